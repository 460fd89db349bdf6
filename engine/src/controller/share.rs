//! Shares a group's power among its members.
//!
//! Each unit first takes what it must: the power nearest to rest that the laws leave it. What is missing to the group's power is
//! shared among those that can still move that way, weighted by what they can do and by their distance to where they must
//! stop (their floor when discharging, full when charging); what one cannot take passes on to the rest. Small powers run on
//! few units, since inverters are poor near zero: a unit runs only if it gets its minimum, and it is let go only some
//! way below that, so that a power near the border does not make it come and go.
//!
//! A group may be bound to more than the laws leave its members, by a function that stands above them. The rest is then
//! shared by what the devices can do.

use super::member::Range;
use crate::math::{at_least, at_most};
use crate::units::Watts;

/// Most members of one group.
pub const MAX_MEMBERS: usize = 64;

/// A unit joins when it would get at least this part of its rating.
pub const MINIMUM_SHARE: f64 = 0.05;
/// A running unit leaves when it would get less than this part of that minimum.
pub const LEAVE_SHARE: f64 = 0.8;
/// Less than this is rounding and moves nobody, W.
const ROUNDING_W: f64 = 1e-6;
/// Distance to the cut-off that every unit is taken to have, so that none counts nothing while it can do anything.
const LEAST_DISTANCE: f64 = 0.01;

/// One member of a group, as sharing sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// What the laws leave of its ability.
    pub left: Range,
    /// What it can do.
    pub ability: Range,
    /// Distance to where it must stop discharging, 0 to 1.
    pub above_floor: f64,
    /// Distance to full, 0 to 1.
    pub below_full: f64,
    /// Its rating, a magnitude.
    pub rating: Watts,
    /// Its measured power.
    pub measured: Watts,
    /// Whether it ran until now.
    pub is_running: bool,
    /// What it gets: the result.
    pub share: Watts,
}

impl Unit {
    /// A unit that can do nothing and gets nothing.
    pub const NONE: Self = Self {
        left: Range { low: Watts::ZERO, high: Watts::ZERO },
        ability: Range { low: Watts::ZERO, high: Watts::ZERO },
        above_floor: 0.0,
        below_full: 0.0,
        rating: Watts::ZERO,
        measured: Watts::ZERO,
        is_running: false,
        share: Watts::ZERO,
    };
}

/// What a round of sharing moves, all magnitudes in the direction of the round.
#[derive(Clone, Copy)]
struct Portion {
    place: usize,
    available: f64,
    weight: f64,
    /// The least that it takes, if it takes anything.
    minimum: f64,
    is_running: bool,
    taken: f64,
}

/// Shares the power `total` of a group of batteries, which is not more than all units can do, and writes each unit's share.
///
/// # Panics
/// If there are more than [`MAX_MEMBERS`]; the wiring of a stack refuses such a group.
pub fn share(total: Watts, units: &mut [Unit]) {
    assert!(units.len() <= MAX_MEMBERS, "a group has few members");
    for unit in units.iter_mut() {
        unit.share = Watts::ZERO.within(unit.left.low, unit.left.high);
    }
    move_by_missing(total, units, |unit| unit.left);
    move_by_missing(total, units, |unit| unit.ability);
}

/// Shares a limit `total` among generators: each may make what it makes, and an equal part of its rating more.
///
/// A unit that has less sun than its part leaves the rest to the others within a few scans, because what it does not make
/// is handed out again.
pub fn share_limit(total: Watts, units: &mut [Unit]) {
    let made = |unit: &Unit| unit.measured.within(unit.left.low, unit.left.high).watts();
    let all: f64 = units.iter().map(made).sum();
    let wanted = total.watts();
    for unit in units.iter_mut() {
        let kept = if all > wanted { made(unit) * wanted / all } else { made(unit) };
        unit.share = Watts::of(kept).within(unit.left.low, unit.left.high);
        // Spreads the rest by rating, whatever the hour.
        (unit.above_floor, unit.below_full, unit.is_running) = (1.0, 1.0, true);
    }
    move_by_missing(total, units, |unit| unit.left);
    move_by_missing(total, units, |unit| unit.ability);
}

/// Moves units within `range` by what is missing to `total`, or as far as they go.
fn move_by_missing(total: Watts, units: &mut [Unit], range: impl Fn(&Unit) -> Range) {
    let sum = units.iter().fold(Watts::ZERO, |sum, unit| sum + unit.share);
    let missing = total - sum;
    if missing.watts().abs() < ROUNDING_W {
        return;
    }
    let rises = missing > Watts::ZERO;
    let none = Portion { place: 0, available: 0.0, weight: 0.0, minimum: 0.0, is_running: false, taken: 0.0 };
    let mut portions = [none; MAX_MEMBERS];
    let mut able = 0;
    for (place, unit) in units.iter().enumerate() {
        let available = if rises { range(unit).high - unit.share } else { unit.share - range(unit).low };
        if available > Watts::ZERO {
            portions[able] = portion(place, unit, available.watts(), rises);
            able += 1;
        }
    }
    let portions = &mut portions[..able];
    // Running units first, then those with the most weight; equal ones by their place, so that the order is total.
    portions.sort_unstable_by(|a, b| {
        let by_weight = b.weight.total_cmp(&a.weight).then(a.place.cmp(&b.place));
        b.is_running.cmp(&a.is_running).then(by_weight)
    });
    let running = running_count(missing.abs().watts(), portions);
    fill(missing.abs().watts(), &mut portions[..running]);
    for portion in portions {
        let unit = &mut units[portion.place];
        let taken = Watts::of(portion.taken);
        let moved = if rises { unit.share + taken } else { unit.share - taken };
        // Rounding must not carry a unit over the end that it was given.
        unit.share = if rises { moved.at_most(range(unit).high) } else { moved.at_least(range(unit).low) };
    }
}

fn portion(place: usize, unit: &Unit, available: f64, rises: bool) -> Portion {
    let distance = if rises { unit.above_floor } else { unit.below_full };
    let distance = at_least(distance, LEAST_DISTANCE);
    // A unit that moves already is beyond the powers at which it would be poor.
    let moves = unit.share != Watts::ZERO;
    let factor = if unit.is_running { LEAVE_SHARE } else { 1.0 };
    let minimum = if moves { 0.0 } else { unit.rating.watts() * MINIMUM_SHARE * factor };
    let minimum = at_most(minimum, available);
    let is_running = unit.is_running || moves;
    Portion { place, available, weight: available * distance, minimum, is_running, taken: 0.0 }
}

/// How many units run: the fewest that can carry `total`, and more while each still gets its minimum.
fn running_count(total: f64, portions: &[Portion]) -> usize {
    let (mut available, mut minimum) = (0.0, 0.0);
    for (position, portion) in portions.iter().enumerate() {
        minimum += portion.minimum;
        if available >= total && minimum > total {
            return position;
        }
        available += portion.available;
    }
    portions.len()
}

/// Hands `total` out by weight, to none more than it can take and to none less than its minimum where that is possible.
///
/// Each gets the same level times its weight, held between its two ends. The sum rises with the level, and is straight between
/// the levels at which somebody reaches an end, so the level that gives `total` is found among those.
fn fill(total: f64, portions: &mut [Portion]) {
    let minimum: f64 = portions.iter().map(|portion| portion.minimum).sum();
    if minimum > total {
        portions.iter_mut().for_each(|portion| portion.minimum = 0.0);
    }
    let mut levels = [0.0; 2 * MAX_MEMBERS];
    let levels = &mut levels[..2 * portions.len()];
    for (ends, portion) in levels.chunks_exact_mut(2).zip(portions.iter()) {
        ends[0] = portion.minimum / portion.weight;
        ends[1] = portion.available / portion.weight;
    }
    levels.sort_unstable_by(f64::total_cmp);
    let sum_at = |level: f64| -> f64 { portions.iter().map(|portion| portion.at(level)).sum() };
    let within = levels.iter().take_while(|level| sum_at(**level) <= total).count();
    let (below, above) = (if within > 0 { levels[within - 1] } else { 0.0 }, levels.get(within));
    // Who rises between two neighboring levels is seen in their middle: at the levels themselves rounding decides.
    let middle = above.map_or(below, |above| 0.5 * (below + above));
    let rises = |portion: &&Portion| {
        let wished = middle * portion.weight;
        wished > portion.minimum && wished < portion.available
    };
    let slope: f64 = portions.iter().filter(rises).map(|portion| portion.weight).sum();
    let level = if slope > 0.0 { below + (total - sum_at(below)) / slope } else { below };
    for portion in portions.iter_mut() {
        portion.taken = portion.at(level);
    }
    // What rounding has left over goes to the first that is at neither end, so that one unit alone gets the power itself.
    let left_over = total - portions.iter().map(|portion| portion.taken).sum::<f64>();
    let is_between =
        |portion: &&mut Portion| portion.taken > portion.minimum && portion.taken < portion.available;
    if let Some(portion) = portions.iter_mut().find(is_between) {
        portion.taken = at_most(at_least(portion.taken + left_over, portion.minimum), portion.available);
    }
}

impl Portion {
    /// What it takes at a level.
    fn at(&self, level: f64) -> f64 {
        at_most(at_least(level * self.weight, self.minimum), self.available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn kilowatts(power: f64) -> Watts {
        Watts::of(power * 1e3)
    }

    fn range(low: f64, high: f64) -> Range {
        Range { low: kilowatts(low), high: kilowatts(high) }
    }

    fn unit(available_kw: f64, distance: f64) -> Unit {
        Unit {
            left: range(-available_kw, available_kw),
            ability: range(-available_kw, available_kw),
            above_floor: distance,
            below_full: distance,
            rating: kilowatts(100.0),
            ..Unit::NONE
        }
    }

    fn shares(total_kw: f64, units: &mut [Unit]) -> Vec<f64> {
        share(kilowatts(total_kw), units);
        units.iter().map(|unit| crate::math::round(unit.share.watts()) / 1e3).collect()
    }

    #[test]
    fn units_share_by_what_they_can_do_and_their_distance_to_the_cut_off() {
        assert_eq!(shares(60.0, &mut [unit(100.0, 0.5), unit(50.0, 0.5)]), [40.0, 20.0]);
        assert_eq!(shares(60.0, &mut [unit(100.0, 0.25), unit(50.0, 1.0)]), [20.0, 40.0]);
        assert_eq!(shares(-60.0, &mut [unit(100.0, 0.25), unit(50.0, 1.0)]), [-20.0, -40.0]);
    }

    #[test]
    fn what_a_saturated_unit_cannot_take_passes_on() {
        assert_eq!(shares(120.0, &mut [unit(100.0, 0.1), unit(50.0, 0.9)]), [70.0, 50.0]);
        assert_eq!(shares(150.0, &mut [unit(100.0, 0.1), unit(50.0, 0.9)]), [100.0, 50.0]);
    }

    #[test]
    fn a_small_power_runs_on_few_units_and_a_unit_leaves_later_than_it_came() {
        let mut units = [unit(100.0, 0.5), unit(100.0, 0.5)];
        assert_eq!(shares(9.9, &mut units), [9.9, 0.0]);
        assert_eq!(shares(10.0, &mut units), [5.0, 5.0]);
        for unit in &mut units {
            unit.is_running = true;
        }
        assert_eq!(shares(8.1, &mut units), [4.05, 4.05]);
        assert_eq!(shares(7.9, &mut units), [7.9, 0.0]);
    }

    #[test]
    fn a_running_unit_gets_its_minimum_however_little_it_weighs() {
        assert_eq!(shares(60.0, &mut [unit(100.0, 0.02), unit(100.0, 0.9)]), [5.0, 55.0]);
    }

    #[test]
    fn a_unit_that_needs_its_minimum_takes_it_from_one_that_would_be_full() {
        let running = Unit { is_running: true, ..unit(18.0, 1.0) };
        let mut units =
            [Unit { left: range(1.0, 18.0), ability: range(1.0, 18.0), ..running }, unit(100.0, 0.01)];
        let shares = shares(21.0, &mut units);
        assert!((shares[0] + shares[1] - 21.0).abs() < 1e-6 && shares[1] >= 4.9, "{shares:?}");
    }

    #[test]
    fn a_unit_that_can_do_nothing_gets_nothing() {
        assert_eq!(shares(50.0, &mut [unit(0.0, 1.0), unit(100.0, 0.0)]), [0.0, 50.0]);
    }

    #[test]
    fn a_unit_that_must_charge_is_made_up_for_by_the_others() {
        let forced = Unit { left: range(-100.0, -20.0), ..unit(100.0, 0.5) };
        assert_eq!(shares(30.0, &mut [forced, unit(100.0, 0.5)]), [-20.0, 50.0]);
    }

    #[test]
    fn a_unit_that_cannot_come_down_at_once_is_not_told_to() {
        let ramped = Unit { left: range(65.0, 69.0), ability: range(65.0, 69.0), ..unit(100.0, 0.5) };
        assert_eq!(shares(40.0, &mut [ramped, unit(100.0, 0.5)]), [65.0, -25.0]);
    }

    #[test]
    fn what_a_higher_function_binds_is_taken_beyond_what_the_laws_leave() {
        let kept = Unit { left: range(-100.0, 0.0), ..unit(100.0, 0.5) };
        assert_eq!(shares(130.0, &mut [kept, unit(100.0, 0.5)]), [30.0, 100.0]);
    }

    #[test]
    fn a_generator_without_sun_leaves_its_part_of_a_limit_to_the_others() {
        let sun = |measured: f64| Unit {
            left: range(0.0, 200.0),
            ability: range(0.0, 200.0),
            measured: kilowatts(measured),
            rating: kilowatts(200.0),
            ..Unit::NONE
        };
        let mut made = [30.0, 75.0];
        for _scan in 0..40 {
            let mut units = [sun(made[0]), sun(made[1])];
            share_limit(kilowatts(150.0), &mut units);
            let limits: Vec<f64> = units.iter().map(|unit| unit.share.watts() / 1e3).collect();
            assert!((limits[0] + limits[1] - 150.0).abs() < 1e-6);
            made = [at_most(limits[0], 30.0), limits[1]];
        }
        assert!(made[0] + made[1] > 149.0, "{made:?}");
    }
}

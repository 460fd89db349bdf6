//! Shares a group's power among its members.
//!
//! A group of one takes all. Otherwise each running unit gets its share by what it can do, weighted by its distance to the
//! cut-off (full for charging, empty for discharging), and what one cannot take passes on to the rest. Small powers run on
//! few units, since inverters are poor near zero: a unit runs only if each running one gets its minimum, and it is
//! let go only some way below that, so that a power near the border does not make it come and go.

use crate::units::Watts;

/// Most members of one group.
pub const MAX_MEMBERS: usize = 64;

/// A unit joins when every running one would get at least this part of its rating.
pub const MINIMUM_SHARE: f64 = 0.05;
/// A running unit leaves when the running ones get less than this part of that minimum.
pub const LEAVE_SHARE: f64 = 0.8;

/// One member of a group, as sharing sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// The most it can do in the wanted direction, a magnitude.
    pub available: Watts,
    /// Distance to the cut-off in the wanted direction, 0 to 1.
    pub distance: f64,
    /// Its rating, a magnitude.
    pub rating: Watts,
    /// Whether it ran until now.
    pub is_running: bool,
    /// What it gets, a magnitude: the result.
    pub share: Watts,
}

/// Shares `total` (a magnitude, not more than all units can do) and writes each unit's share.
///
/// # Panics
/// If there are more than [`MAX_MEMBERS`]; the wiring of a stack refuses such a group.
pub fn share(total: Watts, units: &mut [Unit]) {
    for unit in units.iter_mut() {
        unit.share = Watts::ZERO;
    }
    if total <= Watts::ZERO {
        return;
    }
    let mut places = [0_usize; MAX_MEMBERS];
    let mut able = 0;
    for (place, _unit) in units.iter().enumerate().filter(|entry| entry.1.available > Watts::ZERO) {
        places[able] = place;
        able += 1;
    }
    let order = &mut places[..able];
    // Running units first, then those with the most weight; equal ones by their place, so that the order is total.
    order.sort_unstable_by(|a, b| {
        let key = |place: usize| (units[place].is_running, weight(&units[place]));
        let ((a_runs, a_weight), (b_runs, b_weight)) = (key(*a), key(*b));
        b_runs.cmp(&a_runs).then(b_weight.total_cmp(&a_weight)).then(a.cmp(b))
    });
    let running = running_count(total, units, order);
    fill(total, units, &order[..running]);
}

/// How many units of `order` run: the fewest that can carry `total`, and more while each still gets its minimum.
fn running_count(total: Watts, units: &[Unit], order: &[usize]) -> usize {
    let mut available = Watts::ZERO;
    let mut minimum = Watts::ZERO;
    for (position, place) in order.iter().enumerate() {
        let unit = &units[*place];
        let factor = if unit.is_running { LEAVE_SHARE } else { 1.0 };
        minimum += unit.rating * (MINIMUM_SHARE * factor);
        let is_needed = available < total;
        if !is_needed && minimum > total {
            return position;
        }
        available += unit.available;
    }
    order.len()
}

/// Hands `total` out by weight; what a unit cannot take passes on. Each round saturates a unit or ends.
fn fill(total: Watts, units: &mut [Unit], running: &[usize]) {
    let mut rest = total.watts();
    for _round in 0..running.len() {
        let open = |unit: &Unit| unit.share < unit.available;
        let weights: f64 =
            running.iter().map(|place| &units[*place]).filter(|unit| open(unit)).map(weight).sum();
        if rest <= 0.0 || weights <= 0.0 {
            return;
        }
        let mut passed_on = 0.0;
        for place in running {
            let unit = &mut units[*place];
            if !open(unit) {
                continue;
            }
            let wanted = unit.share.watts() + rest * weight(unit) / weights;
            let taken = if wanted > unit.available.watts() { unit.available.watts() } else { wanted };
            passed_on += wanted - taken;
            unit.share = Watts::of(taken);
        }
        rest = passed_on;
    }
}

/// What a unit counts: what it can do, by its distance to the cut-off; never quite zero while it can do anything.
fn weight(unit: &Unit) -> f64 {
    let distance = if unit.distance > 0.01 { unit.distance } else { 0.01 };
    unit.available.watts() * distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn unit(available_kw: f64, distance: f64) -> Unit {
        Unit {
            available: Watts::of(available_kw * 1e3),
            distance,
            rating: Watts::of(100e3),
            is_running: false,
            share: Watts::ZERO,
        }
    }

    fn shares(total_kw: f64, units: &mut [Unit]) -> Vec<f64> {
        share(Watts::of(total_kw * 1e3), units);
        units.iter().map(|unit| unit.share.watts() / 1e3).collect()
    }

    #[test]
    fn units_share_by_what_they_can_do_and_their_distance_to_the_cut_off() {
        assert_eq!(shares(60.0, &mut [unit(100.0, 0.5), unit(50.0, 0.5)]), [40.0, 20.0]);
        assert_eq!(shares(60.0, &mut [unit(100.0, 0.25), unit(50.0, 1.0)]), [20.0, 40.0]);
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
    fn a_unit_that_can_do_nothing_gets_nothing() {
        assert_eq!(shares(50.0, &mut [unit(0.0, 1.0), unit(100.0, 0.0)]), [0.0, 50.0]);
    }
}

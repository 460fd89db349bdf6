//! How a value moves within one segment: a straight line, and parts that die away.
//!
//! Power at the point of common coupling is a line plus one part per time constant of the batteries that move; the energy
//! of a battery is a line plus two. Integrals are closed forms. Where such a sum turns, and where it crosses a level, is a
//! closed form with a single part on a level line or, for turning, on any line; else it is searched: turning points by halving
//! where the slopes of the parts leave the sign open, crossings between two of them by Newton's steps inside a bracket.
//!
//! **Error:** a crossing is found to a tenth of a nanosecond. A value between two turning points that lie closer together
//! than the halving sees is off by less than [`NEGLIGIBLE_SHARE`] of what the parts move.

use r_ems_engine::math;

/// A rise or fall of this share of what the parts move is no turn.
const NEGLIGIBLE_SHARE: f64 = 1e-9;

/// Most halvings in the search for turning points: a segment of an hour ends in pieces of 3 ns.
const MAX_HALVINGS: u32 = 40;

/// A crossing is found when a step is shorter than this, in s.
const CROSSING_S: f64 = 1e-10;

/// Most steps towards a crossing. Each third one halves the bracket, which is 1e-10 of it after a hundred.
const MAX_STEPS: u32 = 192;

/// A part that dies away with time constant `lag_s`, counted from the segment's start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decay {
    /// The part at the segment's start.
    pub start: f64,
    /// The part at the segment's end.
    pub end: f64,
    /// Its time constant, in s.
    pub lag_s: f64,
}

/// A value over one segment. Instants are seconds from the segment's start.
#[derive(Clone, Copy, Debug)]
pub struct Motion<'a> {
    /// The straight part at the segment's start.
    pub straight_start: f64,
    /// The straight part at the segment's end.
    pub straight_end: f64,
    /// How long the segment lasts.
    pub span_s: f64,
    /// What dies away.
    pub decays: &'a [Decay],
}

/// A stretch in which a value only rises or only falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Where it begins.
    pub from_s: f64,
    /// Where it ends.
    pub to_s: f64,
    /// The value at its beginning.
    pub start: f64,
    /// The value at its end.
    pub end: f64,
}

/// What lies above a level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Above {
    /// How long the value is above the level, in s.
    pub span_s: f64,
    /// The integral of what is above it: J if the value is in W.
    pub integral: f64,
}

/// The direction that a search for turning points has seen last, and where it began.
#[derive(Clone, Copy, Debug)]
struct Run {
    from_s: f64,
    start: f64,
    direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Unknown,
    Rising,
    Falling,
}

impl Decay {
    fn at(self, at_s: f64, span_s: f64) -> f64 {
        if at_s <= 0.0 {
            self.start
        } else if at_s >= span_s {
            self.end
        } else {
            self.start * math::exp(-at_s / self.lag_s)
        }
    }
}

impl Motion<'_> {
    /// The value at an instant.
    pub fn at(&self, at_s: f64) -> f64 {
        self.decays.iter().fold(self.straight_at(at_s), |sum, decay| sum + decay.at(at_s, self.span_s))
    }

    /// A value that is never above the motion, and one that is never below it; the motion itself need not reach them.
    #[inline]
    pub fn bounds(&self) -> (f64, f64) {
        let (mut low, mut high) = sorted(self.straight_start, self.straight_end);
        for decay in self.decays {
            let (least, most) = sorted(decay.start, decay.end);
            low += least;
            high += most;
        }
        (low, high)
    }

    /// The integral over the whole segment.
    #[inline]
    pub fn integral(&self) -> f64 {
        let straight = 0.5 * (self.straight_start + self.straight_end) * self.span_s;
        self.decays.iter().fold(straight, |sum, decay| sum + (decay.start - decay.end) * decay.lag_s)
    }

    /// How long, and by how much, the value is above `level` in all of the segment.
    #[inline]
    pub fn above(&self, level: f64) -> Above {
        let (low, high) = self.bounds();
        if high <= level {
            Above::default()
        } else if low >= level {
            Above { span_s: self.span_s, integral: self.integral() - level * self.span_s }
        } else {
            self.above_within(level, 0.0, self.span_s)
        }
    }

    /// How long, and by how much, the value is above `level` between two instants.
    pub fn above_within(&self, level: f64, from_s: f64, to_s: f64) -> Above {
        let mut above = Above::default();
        self.stretches(from_s, to_s, &mut |stretch: Stretch| {
            let Stretch { mut from_s, mut to_s, start, end } = stretch;
            if start <= level && end <= level {
                return;
            }
            if start < level {
                from_s = self.crossing(level, &stretch);
            } else if end < level {
                to_s = self.crossing(level, &stretch);
            }
            above.span_s += to_s - from_s;
            above.integral += self.integral_within(from_s, to_s) - level * (to_s - from_s);
        });
        above
    }

    /// The instant at which the value crosses `level`, which lies between both ends of `stretch`.
    pub fn crossing(&self, level: f64, stretch: &Stretch) -> f64 {
        let Stretch { from_s, to_s, start, end } = *stretch;
        let slope = self.slope();
        let level_line = slope.abs() <= 0.0;
        match self.decays {
            [] => from_s + (to_s - from_s) * (level - start) / (end - start),
            [decay] if level_line => {
                let left = (level - self.straight_start) / decay.start;
                (0.0 - decay.lag_s * math::ln(left)).clamp(from_s, to_s)
            }
            [_, ..] => self.searched(level, stretch),
        }
    }

    /// Newton's steps towards `level` inside a bracket, each third one a halving.
    fn searched(&self, level: f64, stretch: &Stretch) -> f64 {
        let rises = stretch.end > stretch.start;
        let (mut low_s, mut high_s) = (stretch.from_s, stretch.to_s);
        let share = (level - stretch.start) / (stretch.end - stretch.start);
        let mut at_s = low_s + share * (high_s - low_s);
        for step in 0..MAX_STEPS {
            let (value, slope) = self.at_with_slope(at_s);
            if (value > level) == rises {
                high_s = at_s;
            } else {
                low_s = at_s;
            }
            let newton_s = at_s - (value - level) / slope;
            let is_inside = newton_s >= low_s && newton_s <= high_s;
            let next_s = if is_inside && step % 3 != 2 { newton_s } else { 0.5 * (low_s + high_s) };
            if (next_s - at_s).abs() <= CROSSING_S {
                return next_s;
            }
            at_s = next_s;
        }
        at_s
    }

    /// Hands out the stretches between two instants in which the value only rises or only falls, in order.
    pub fn stretches(&self, from_s: f64, to_s: f64, take: &mut impl FnMut(Stretch)) {
        let mut run = Run { from_s, start: self.at(from_s), direction: Direction::Unknown };
        match self.decays {
            [] => {}
            [decay] => {
                // The slope is that of the line less `start / lag` of the part, which dies away.
                let left = self.slope() * decay.lag_s / decay.start;
                if left > 0.0 && left < 1.0 {
                    let turn_s = 0.0 - decay.lag_s * math::ln(left);
                    if turn_s > from_s && turn_s < to_s {
                        self.end_run(&mut run, turn_s, take);
                    }
                }
            }
            [_, _, ..] => {
                let (low, high) = self.bounds();
                let negligible = NEGLIGIBLE_SHARE * (high - low);
                self.halve(from_s, to_s, negligible, MAX_HALVINGS, &mut run, take);
            }
        }
        self.end_run(&mut run, to_s, take);
    }

    /// Looks for turns between two instants.
    fn halve(
        &self,
        from_s: f64,
        to_s: f64,
        negligible: f64,
        halvings: u32,
        run: &mut Run,
        take: &mut impl FnMut(Stretch),
    ) {
        let slope = self.slope();
        let (mut lowest, mut highest) = (slope, slope);
        for decay in self.decays {
            let first = 0.0 - decay.at(from_s, self.span_s) / decay.lag_s;
            let last = 0.0 - decay.at(to_s, self.span_s) / decay.lag_s;
            let (least, most) = sorted(first, last);
            lowest += least;
            highest += most;
        }
        let moves = if -lowest > highest { -lowest } else { highest } * (to_s - from_s);
        let found = if lowest >= 0.0 {
            Direction::Rising
        } else if highest <= 0.0 {
            Direction::Falling
        } else if halvings == 0 || moves <= negligible {
            // Whatever happens here is too little to be seen: it goes on as before.
            run.direction
        } else {
            let middle_s = 0.5 * (from_s + to_s);
            self.halve(from_s, middle_s, negligible, halvings - 1, run, take);
            self.halve(middle_s, to_s, negligible, halvings - 1, run, take);
            return;
        };
        if run.direction != Direction::Unknown && found != run.direction {
            self.end_run(run, from_s, take);
        }
        run.direction = found;
    }

    /// Hands out what lies before `at_s` and begins the next stretch there.
    fn end_run(&self, run: &mut Run, at_s: f64, take: &mut impl FnMut(Stretch)) {
        let end = self.at(at_s);
        take(Stretch { from_s: run.from_s, to_s: at_s, start: run.start, end });
        *run = Run { from_s: at_s, start: end, direction: Direction::Unknown };
    }

    /// The integral between two instants.
    pub fn integral_within(&self, from_s: f64, to_s: f64) -> f64 {
        let straight = 0.5 * (self.straight_at(from_s) + self.straight_at(to_s)) * (to_s - from_s);
        self.decays.iter().fold(straight, |sum, decay| {
            sum + (decay.at(from_s, self.span_s) - decay.at(to_s, self.span_s)) * decay.lag_s
        })
    }

    fn at_with_slope(&self, at_s: f64) -> (f64, f64) {
        self.decays.iter().fold((self.straight_at(at_s), self.slope()), |(value, slope), decay| {
            let part = decay.at(at_s, self.span_s);
            (value + part, slope - part / decay.lag_s)
        })
    }

    fn straight_at(&self, at_s: f64) -> f64 {
        if at_s >= self.span_s { self.straight_end } else { self.straight_start + self.slope() * at_s }
    }

    fn slope(&self) -> f64 {
        if self.span_s > 0.0 { (self.straight_end - self.straight_start) / self.span_s } else { 0.0 }
    }
}

#[inline]
fn sorted(one: f64, other: f64) -> (f64, f64) {
    if one < other { (one, other) } else { (other, one) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn decay(start: f64, lag_s: f64, span_s: f64) -> Decay {
        Decay { start, end: start * math::exp(-span_s / lag_s), lag_s }
    }

    fn motion(straight: (f64, f64), span_s: f64, decays: &[Decay]) -> Motion<'_> {
        Motion { straight_start: straight.0, straight_end: straight.1, span_s, decays }
    }

    #[test]
    fn a_line_is_above_a_level_from_where_it_crosses() {
        let above = motion((30.0, -10.0), 4.0, &[]).above(0.0);
        assert!((above.integral - 45.0).abs() < 1e-12 && (above.span_s - 3.0).abs() < 1e-12, "{above:?}");
    }

    #[test]
    fn a_decay_is_above_a_level_until_it_crosses() {
        // 100 e^(−t) − 50 passes zero at ln 2 and has 50 − 50 ln 2 before it.
        let decays = [decay(100.0, 1.0, 3.0)];
        let above = motion((-50.0, -50.0), 3.0, &decays).above(0.0);
        let ln_2 = core::f64::consts::LN_2;
        assert!((above.span_s - ln_2).abs() < 1e-12, "{above:?}");
        assert!((above.integral - (50.0 - 50.0 * ln_2)).abs() < 1e-12, "{above:?}");
    }

    #[test]
    fn a_dip_between_two_high_ends_is_found() {
        // 100 e^(−t) − 60 + 22.5 t is 40 at 0 and 31.8 at 4, and turns at ln (100 / 22.5).
        let decays = [decay(100.0, 1.0, 4.0)];
        let dip = motion((-60.0, 30.0), 4.0, &decays);
        let mut stretches = Vec::new();
        dip.stretches(0.0, 4.0, &mut |stretch| stretches.push(stretch));
        let turn_s = math::ln(100.0 / 22.5);
        assert_eq!(stretches.len(), 2);
        assert!((stretches[0].to_s - turn_s).abs() < 1e-12);
        assert!((stretches[1].start - (22.5 - 60.0 + 22.5 * turn_s)).abs() < 1e-9);
        assert!(dip.above(0.0).integral > dip.integral() + 1.0);
    }

    fn parts() -> impl Strategy<Value = ((f64, f64), Vec<(f64, f64)>)> {
        let lag_s = prop_oneof![0.05..0.5, 0.5..5.0, 5.0..60.0];
        ((-100.0..100.0, -100.0..100.0), proptest::collection::vec((-100.0..100.0, lag_s), 0..5))
    }

    proptest! {
        #[test]
        fn stretches_and_what_is_above_a_level_agree_with_looking_at_ten_thousand_instants(
            (straight, parts) in parts(), span_s in 0.1..20.0, level in -50.0..50.0
        ) {
            let decays: Vec<Decay> = parts.iter().map(|(start, lag_s)| decay(*start, *lag_s, span_s)).collect();
            let motion = motion(straight, span_s, &decays);
            let (low, high) = motion.bounds();
            let mut stretches = Vec::new();
            motion.stretches(0.0, span_s, &mut |stretch| stretches.push(stretch));
            let (count, step_s) = (10_000_u32, span_s / 10_000.0);
            let (mut place, mut span_above_s, mut integral) = (0, 0.0, 0.0);
            for number in 0..count {
                let at_s = (f64::from(number) + 0.5) * step_s;
                let value = motion.at(at_s);
                prop_assert!(low - 1e-9 <= value && value <= high + 1e-9);
                while stretches[place].to_s < at_s {
                    place += 1;
                }
                let (least, most) = sorted(stretches[place].start, stretches[place].end);
                let seen = 1e-8 * (high - low) + 1e-9;
                prop_assert!(least - seen <= value && value <= most + seen, "{value} at {at_s}: {stretches:?}");
                if value > level {
                    span_above_s += step_s;
                    integral += (value - level) * step_s;
                }
            }
            let above = motion.above(level);
            prop_assert!((above.span_s - span_above_s).abs() <= 12.0 * step_s, "{above:?} {span_above_s}");
            prop_assert!((above.integral - integral).abs() <= 1e-3 * span_s * (high - low), "{above:?} {integral}");
        }

        #[test]
        fn a_crossing_is_where_the_value_is_the_level(
            (straight, parts) in parts(), span_s in 0.1..20.0, share in 0.01..0.99
        ) {
            let decays: Vec<Decay> = parts.iter().map(|(start, lag_s)| decay(*start, *lag_s, span_s)).collect();
            let motion = motion(straight, span_s, &decays);
            let mut stretches = Vec::new();
            motion.stretches(0.0, span_s, &mut |stretch| stretches.push(stretch));
            for stretch in stretches {
                if (stretch.end - stretch.start).abs() > 1e-3 {
                    let level = stretch.start + share * (stretch.end - stretch.start);
                    let at_s = motion.crossing(level, &stretch);
                    prop_assert!(stretch.from_s <= at_s && at_s <= stretch.to_s);
                    // The steepest part moves 2,000 a second.
                    prop_assert!((motion.at(at_s) - level).abs() < 1e-6, "{level} at {at_s}: {stretch:?}");
                }
            }
        }
    }
}

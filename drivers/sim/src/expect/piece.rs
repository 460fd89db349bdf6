//! Pieces of a signal that only rise or only fall, and the window that cuts them.
//!
//! Every watched value is a chain of such pieces in time order; between two of them it may jump. Most are straight. What is
//! curved is cut where it turns, so that a piece's extremes are its ends and it crosses a level once at most. Instants are
//! rounded to the nanosecond.

use r_ems_engine::{Span, Time};

use crate::plant::{Motion, Stretch};

/// A value from one instant to the next, between which it only rises or only falls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Where it begins.
    pub(super) from: Time,
    /// Where it ends, not earlier.
    pub(super) to: Time,
    /// The value at the beginning.
    pub(super) start: f64,
    /// The value at the end.
    pub(super) end: f64,
    /// How it gets from one to the other; none: straight.
    course: Option<Course<'a>>,
}

/// A curve, with the instant that it is counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course<'a> {
    /// The curve.
    pub(super) motion: &'a Motion<'a>,
    /// Where it begins.
    pub(super) origin: Time,
    /// The values at its ends, which the curve has but for rounding.
    pub(super) ends: (f64, f64),
}

/// The instants that count, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first.
    pub(super) from: Time,
    /// The last.
    pub(super) to: Time,
}

impl<'a> Piece<'a> {
    /// A value that goes in a straight line.
    #[inline]
    pub(super) fn straight((start, end): (f64, f64), from: Time, to: Time) -> Self {
        Self { from, to, start, end, course: None }
    }

    /// A value that stays.
    #[inline]
    pub(super) fn flat(value: f64, from: Time, to: Time) -> Self {
        Self::straight((value, value), from, to)
    }

    /// When the value passes `level`, which lies between its two ends or is as good as one of them. They are not equal.
    pub(super) fn crossing(self, level: f64) -> Time {
        let Some(course) = self.course else {
            let share = (level - self.start) / (self.end - self.start);
            let offset = Span::from_secs_f64(share * self.to.since(self.from).as_secs_f64());
            return (self.from + offset).min(self.to);
        };
        let stretch = Stretch {
            from_s: course.seconds(self.from),
            to_s: course.seconds(self.to),
            start: self.start,
            end: self.end,
        };
        course.instant(course.motion.crossing(level, &stretch)).clamp(self.from, self.to)
    }

    /// The part of a straight piece inside `window`.
    ///
    /// A piece that only touches the window has no part in it, for it holds no time there; a window of a single instant
    /// takes whatever touches it.
    #[inline]
    pub(super) fn within(self, window: Window) -> Option<Self> {
        if self.from >= window.from && self.to <= window.to {
            return Some(self);
        }
        let (from, to) = window.cut(self.from, self.to)?;
        Some(Self::straight((self.at(from), self.at(to)), from, to))
    }

    /// The value at an instant of a straight piece.
    fn at(self, instant: Time) -> f64 {
        if instant == self.from {
            return self.start;
        }
        if instant == self.to {
            return self.end;
        }
        let share = instant.since(self.from).as_secs_f64() / self.to.since(self.from).as_secs_f64();
        self.start + share * (self.end - self.start)
    }
}

impl<'a> Course<'a> {
    /// Hands out the pieces of the curve, which ends at `until`, that lie inside `window`, in order.
    pub(super) fn pieces(self, until: Time, window: Window, take: &mut impl FnMut(Piece<'a>)) {
        let Some((from, to)) = window.cut(self.origin, until) else { return };
        let mut begun = from;
        self.motion.stretches(self.seconds(from), self.seconds(to), &mut |stretch: Stretch| {
            let ended = self.instant(stretch.to_s).clamp(begun, to);
            let start = if begun == self.origin { self.ends.0 } else { stretch.start };
            let end = if ended == until { self.ends.1 } else { stretch.end };
            take(Piece { from: begun, to: ended, start, end, course: Some(self) });
            begun = ended;
        });
    }

    fn seconds(self, instant: Time) -> f64 {
        instant.since(self.origin).as_secs_f64()
    }

    fn instant(self, at_s: f64) -> Time {
        self.origin + Span::from_secs_f64(at_s)
    }
}

impl Window {
    /// The part of a stretch of time inside the window; none if it holds no time there.
    pub(super) fn cut(self, from: Time, to: Time) -> Option<(Time, Time)> {
        let (from, to) = (from.max(self.from), to.min(self.to));
        if from > to || (from == to && self.from < self.to) { None } else { Some((from, to)) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use r_ems_engine::math;

    use super::*;
    use crate::plant::Decay;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    /// 0 to 100 between 10 and 20 s.
    const RISE: fn() -> Piece<'static> = || Piece::straight((0.0, 100.0), at(10), at(20));

    /// Where a piece is, and what it is there.
    fn ends(piece: Piece<'_>) -> (Time, Time, f64, f64) {
        (piece.from, piece.to, piece.start, piece.end)
    }

    #[test]
    fn a_crossing_lies_where_the_line_passes_the_level() {
        assert_eq!(RISE().crossing(0.0), at(10));
        assert_eq!(RISE().crossing(70.0), at(17));
        assert_eq!(RISE().crossing(100.0), at(20));
        let fall = Piece { start: 100.0, end: 0.0, ..RISE() };
        assert_eq!(fall.crossing(70.0), at(13));
    }

    #[test]
    fn a_window_cuts_a_piece_at_interpolated_values() {
        let part = RISE().within(Window { from: at(12), to: at(15) });
        assert_eq!(part.map(ends), Some((at(12), at(15), 20.0, 50.0)));
        assert_eq!(RISE().within(Window { from: at(10), to: at(20) }).map(ends), Some(ends(RISE())));
    }

    #[test]
    fn a_piece_that_only_touches_a_window_is_outside_unless_the_window_is_an_instant() {
        let part = |from, to| RISE().within(Window { from: at(from), to: at(to) }).map(ends);
        assert_eq!(part(20, 30), None);
        assert_eq!(part(0, 10), None);
        assert_eq!(part(21, 21), None);
        assert_eq!(part(20, 20), Some((at(20), at(20), 100.0, 100.0)));
        assert_eq!(part(12, 12), Some((at(12), at(12), 20.0, 20.0)));
    }

    #[test]
    fn a_curve_is_handed_out_in_pieces_that_meet_where_it_turns() {
        // 100 e^(−t) + 22.5 t − 60 turns at ln (100 / 22.5) s after its beginning at 10 s.
        let decays = [Decay { start: 100.0, end: 100.0 * math::exp(-4.0), lag_s: 1.0 }];
        let motion = Motion { straight_start: -60.0, straight_end: 30.0, span_s: 4.0, decays: &decays };
        let course = Course { motion: &motion, origin: at(10), ends: (40.0, motion.at(4.0)) };
        let mut pieces = Vec::new();
        course.pieces(at(14), Window { from: at(11), to: at(20) }, &mut |piece| pieces.push(piece));
        let turn = at(10) + Span::from_secs_f64(math::ln(100.0 / 22.5));
        assert_eq!(
            pieces.iter().map(|piece| (piece.from, piece.to)).collect::<Vec<_>>(),
            [(at(11), turn), (turn, at(14))]
        );
        assert_eq!(pieces[0].end, pieces[1].start);
        let crossing = pieces[1].crossing(0.0);
        assert!(turn < crossing && crossing < at(14));
        assert!(motion.at(crossing.since(at(10)).as_secs_f64()).abs() < 1e-7);
    }
}

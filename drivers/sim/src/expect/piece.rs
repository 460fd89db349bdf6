//! Straight pieces of a signal, and the window that cuts them.
//!
//! Every watched value is a chain of straight pieces in time order. Between two pieces it may jump. Instants are found by
//! linear interpolation and rounded to the nanosecond.

use r_ems_engine::{Span, Time};

/// A value that moves in a straight line from one instant to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// Where it begins.
    pub(super) from: Time,
    /// Where it ends, not earlier.
    pub(super) to: Time,
    /// The value at the beginning.
    pub(super) start: f64,
    /// The value at the end.
    pub(super) end: f64,
}

/// The instants that count, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first.
    pub(super) from: Time,
    /// The last.
    pub(super) to: Time,
}

impl Piece {
    /// A value that stays.
    #[inline]
    pub(super) fn flat(value: f64, from: Time, to: Time) -> Self {
        Self { from, to, start: value, end: value }
    }

    /// When the value passes `level`, which lies between its two ends. They are not equal.
    pub(super) fn crossing(self, level: f64) -> Time {
        let share = (level - self.start) / (self.end - self.start);
        let offset = Span::from_secs_f64(share * self.to.since(self.from).as_secs_f64());
        (self.from + offset).min(self.to)
    }

    /// The part inside `window`.
    ///
    /// A piece that only touches the window has no part in it, for it holds no time there; a window of a single instant
    /// takes whatever touches it.
    #[inline]
    pub(super) fn within(self, window: Window) -> Option<Self> {
        if self.from >= window.from && self.to <= window.to {
            return Some(self);
        }
        let (from, to) = (self.from.max(window.from), self.to.min(window.to));
        if from > to || (from == to && window.from < window.to) {
            return None;
        }
        Some(Self { from, to, start: self.at(from), end: self.at(to) })
    }

    /// The value at an instant of the piece.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    /// 0 to 100 between 10 and 20 s.
    const RISE: fn() -> Piece = || Piece { from: at(10), to: at(20), start: 0.0, end: 100.0 };

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
        assert_eq!(part, Some(Piece { from: at(12), to: at(15), start: 20.0, end: 50.0 }));
        assert_eq!(RISE().within(Window { from: at(10), to: at(20) }), Some(RISE()));
    }

    #[test]
    fn a_piece_that_only_touches_a_window_is_outside_unless_the_window_is_an_instant() {
        assert_eq!(RISE().within(Window { from: at(20), to: at(30) }), None);
        assert_eq!(RISE().within(Window { from: at(0), to: at(10) }), None);
        assert_eq!(RISE().within(Window { from: at(21), to: at(21) }), None);
        let touched = RISE().within(Window { from: at(20), to: at(20) });
        assert_eq!(touched, Some(Piece::flat(100.0, at(20), at(20))));
        let inside = RISE().within(Window { from: at(12), to: at(12) });
        assert_eq!(inside, Some(Piece::flat(20.0, at(12), at(12))));
    }
}

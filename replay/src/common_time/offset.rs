//! How far one clock is ahead of another, over time: straight pieces, because clocks are disciplined, slewed and suspended.
//!
//! As long as a straight line fits between the letters there and back, there is one piece. Where none fits, time is halved, and
//! again, until one does: a clock that jumped is followed up to the jump and from there on.

use super::strip::{FAR, Point, Strip};

/// Steps until an instant of one clock is found on the other to the nanosecond, however far apart they are.
const STEPS: u32 = 8;
/// Most pieces. What comes after as many is told by the last one.
const PIECES_MAX: usize = 4_096;

/// What letters say of two clocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    at_most: Vec<Point>,
    at_least: Vec<Point>,
}

/// How far clock y is ahead of clock x.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    /// In order of time; one at least.
    pieces: Vec<Strip>,
    /// How many letters tell.
    pub(super) letters: u64,
    /// How many others there are: one way only, in a time of which the other way tells nothing.
    pub(super) others: u64,
    /// The widest error of any piece, ns.
    within: i64,
}

/// Pieces as they are found.
#[derive(Default)]
struct Pieces {
    found: Vec<Strip>,
    letters: u64,
}

impl Bounds {
    /// A letter left clock x at `sent` and reached clock y at `received`.
    pub(super) fn there(&mut self, sent: i64, received: i64) {
        self.at_most.extend(point(sent, sent, received));
    }

    /// A letter left clock y at `sent` and reached clock x at `received`.
    pub(super) fn back(&mut self, sent: i64, received: i64) {
        self.at_least.extend(point(received, received, sent));
    }

    /// What follows; `None`: not enough.
    pub(super) fn offset(mut self) -> Option<Offset> {
        let first = self.at_most.first()?.x;
        for points in [&mut self.at_most, &mut self.at_least] {
            points.retain(|point| point.x.abs_diff(first) < FAR);
            points.sort_unstable();
        }
        let mut pieces = Pieces::default();
        split(&self.at_most, &self.at_least, &mut pieces);
        let Pieces { found: pieces, letters } = pieces;
        let others = (self.at_most.len() + self.at_least.len()) as u64 - letters;
        let within = pieces.iter().map(|piece| piece.within(piece.from)).max()?;
        Some(Offset { pieces, letters, others, within })
    }
}

/// What a letter says at `x`.
fn point(x: i64, shows_x: i64, shows_y: i64) -> Option<Point> {
    let ahead = i128::from(shows_y) - i128::from(shows_x);
    i64::try_from(ahead).ok().filter(|ahead| ahead.unsigned_abs() < FAR).map(|ahead| Point { x, ahead })
}

/// Adds the pieces that fit, halving time where none does.
fn split(at_most: &[Point], at_least: &[Point], pieces: &mut Pieces) {
    let ends = |points: &[Point]| Some((points.first()?.x, points.last()?.x));
    // One way alone tells nothing.
    let (Some(there), Some(back)) = (ends(at_most), ends(at_least)) else { return };
    if pieces.found.len() == PIECES_MAX {
        return;
    }
    if let Some(strip) = Strip::between(at_most, at_least) {
        pieces.letters += (at_most.len() + at_least.len()) as u64;
        return pieces.found.push(strip);
    }
    let (from, to) = (there.0.min(back.0), there.1.max(back.1));
    if from == to {
        // At one instant they contradict each other.
        return;
    }
    let middle = from + (to - from) / 2;
    let halves = |points: &[Point]| points.partition_point(|point| point.x <= middle);
    let (before, after) = at_most.split_at(halves(at_most));
    let (before_back, after_back) = at_least.split_at(halves(at_least));
    split(before, before_back, pieces);
    split(after, after_back, pieces);
}

impl Offset {
    /// How far clock y is ahead when clock x shows `x`, ns.
    pub(super) fn ahead(&self, x: i64) -> i64 {
        self.piece(x).ahead(x)
    }

    /// What clock x shows when clock y shows `y`.
    pub(super) fn back(&self, y: i64) -> i64 {
        // Rates differ so little that each step makes the error 500 times smaller.
        let mut x = y;
        for _ in 0..STEPS {
            let next = y.saturating_sub(self.ahead(x));
            if next == x {
                break;
            }
            x = next;
        }
        x
    }

    /// The truth is no farther away, ns, wherever letters tell.
    pub(super) const fn within(&self) -> i64 {
        self.within
    }

    /// The truth is no farther away when clock x shows `x`, ns. Between two pieces the clock jumped, and nobody knows when.
    pub(super) fn within_at(&self, x: i64) -> i64 {
        let (nearest, other) = self.around(x);
        let own = nearest.within(x);
        match other.filter(|_| nearest.distance(x) > 0) {
            None => own,
            Some(other) => {
                let apart = i64::try_from(nearest.ahead(x).abs_diff(other.ahead(x))).unwrap_or(i64::MAX);
                own.max(apart.saturating_add(other.within(x)))
            }
        }
    }

    /// The first piece.
    pub(super) fn earliest(&self) -> &Strip {
        self.pieces.first().expect("there is one at least")
    }

    /// The last piece.
    pub(super) fn latest(&self) -> &Strip {
        self.pieces.last().expect("there is one at least")
    }

    fn piece(&self, x: i64) -> &Strip {
        self.around(x).0
    }

    /// The piece in which an instant lies, or the nearest one; and that on the other side of it, if there is one.
    fn around(&self, x: i64) -> (&Strip, Option<&Strip>) {
        let after = self.pieces.partition_point(|piece| piece.to < x);
        let before = after.checked_sub(1).map(|before| &self.pieces[before]);
        match (before, self.pieces.get(after)) {
            (Some(before), Some(next)) if before.distance(x) <= next.distance(x) => (before, Some(next)),
            (before, Some(next)) => (next, before),
            (Some(before), None) => (before, None),
            (None, None) => panic!("there is one at least"),
        }
    }
}

//! The straight lines that one clock may follow against another, as far as letters tell.
//!
//! No letter arrives before it is sent. Of clocks x and y, what x sends at `a` and y gets at `b` says that y was ahead of x by
//! **at most** `b - a`; what y sends at `b` and x gets at `a` says that it was ahead by **at least** `b - a`. With clocks whose
//! rates are constant the difference is a line below all points of the first kind and above all of the second. The line in the
//! middle of the room between them is taken, and how far others may lie from it bounds its error, whatever took so long on the
//! way and however unlike the ways there and back are.
//!
//! Only the convex hulls matter: the points in which a line may touch. For a given slope the room is what is left between the
//! hulls, and as a function of the slope it has one maximum.
//!
//! Whole numbers only: nanoseconds, and slopes in 10⁻¹², so that the same letters give the same line everywhere.
//!
//! # Source    A. Duda, G. Harrus, Y. Haddad, G. Bernard: Estimating Global Time in Distributed Systems, ICDCS 1987

/// How far the rates of two clocks may differ, in 10⁻¹²: each crystal is within 100 ppm, and is slewed by 500 ppm at the most.
pub const RATE_MAX: i64 = 2_000_000_000;
/// One, as slopes count.
const ONE: i128 = 1_000_000_000_000;
/// What rounding the line to whole nanoseconds takes away.
const ROUNDED: i128 = 3;
/// Whoever asks about an instant that is wrong by the error of the line gets a line that is wrong by so much more: not above what
/// [`RATE_MAX`] makes of it.
const ONCE_MORE: i128 = 400;
/// Clocks that are farther apart than 73 years are not compared: products of differences must fit into 128 bits.
pub(super) const FAR: u64 = 1 << 61;

/// What one letter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// When, by clock x, ns.
    pub(super) x: i64,
    /// A bound of how far clock y was ahead then, ns.
    pub(super) ahead: i64,
}

/// A line, and how far from it the truth may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strip {
    /// The first and the last instant of which a letter tells, by clock x.
    pub(super) from: i64,
    pub(super) to: i64,
    /// How far clock y is ahead at `from`, ns.
    level: i64,
    /// How much farther it gets ahead, in 10⁻¹².
    pub(super) slope: i64,
    /// The truth is no farther from the line anywhere between `from` and `to`, ns.
    within: i64,
    /// And its slope no farther from that of the line, in 10⁻¹².
    spread: i64,
}

/// The points in which a line may touch, by clock x, from where it is counted.
struct Hulls {
    origin: i64,
    /// Below which the line is, and above which.
    highest: Vec<Point>,
    lowest: Vec<Point>,
}

impl Strip {
    /// The line in the middle between points; `None`: nothing straight fits between them. Both kinds come in order of time, and
    /// there is one of each at least.
    pub(super) fn between(at_most: &[Point], at_least: &[Point]) -> Option<Self> {
        let ends = |points: &[Point]| Some((points.first()?.x, points.last()?.x));
        let ((first, last), (first_back, last_back)) = (ends(at_most)?, ends(at_least)?);
        let (from, to) = (first.min(first_back), last.max(last_back));
        let mirrored: Vec<Point> = at_least.iter().map(|point| point.mirrored()).collect();
        let lowest = lower_hull(&mirrored).into_iter().map(Point::mirrored).collect();
        let hulls = Hulls { origin: from, highest: lower_hull(at_most), lowest };
        let slope = hulls.best();
        if hulls.room(slope) < 0 {
            return None;
        }
        let level = hulls.below(slope).midpoint(hulls.above(slope));
        // What is rounded in the points must not make of two that lie close a slope that is not true.
        let fits = |slope: i64| hulls.room(slope) >= -ROUNDED * ONE;
        let gentlest = -1 + first_true(-RATE_MAX, slope, fits);
        let steepest = first_true(slope, RATE_MAX, |slope| !fits(slope));
        // A line of any slope between them may be true; those in between two whole ones are no farther away than they are.
        let slopes = (gentlest.max(-RATE_MAX), steepest.min(RATE_MAX));
        // The room is convex: nowhere wider than at its ends.
        let within =
            [0, i128::from(to) - i128::from(from)].map(|x| hulls.farthest(slopes, (level, slope), x));
        let within = within[0].max(within[1]).div_euclid(ONE) + ROUNDED;
        let within = within + within / ONCE_MORE;
        let whole = |scaled: i128| i64::try_from(scaled).unwrap_or(i64::MAX);
        let spread = (slopes.1 - slope).max(slope - slopes.0) + 1;
        Some(Self { from, to, level: whole(level.div_euclid(ONE)), slope, within: whole(within), spread })
    }

    /// How far clock y is ahead when clock x shows `x`, ns. The line goes on to both sides.
    pub(super) fn ahead(&self, x: i64) -> i64 {
        let rise = (i128::from(x) - i128::from(self.from)) * i128::from(self.slope) / ONE;
        let ahead = (i128::from(self.level) + rise).clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(ahead).expect("it was clamped")
    }

    /// How far the truth may be from the line when clock x shows `x`, ns: the more the farther that is from all letters.
    pub(super) fn within(&self, x: i64) -> i64 {
        let more = i128::from(self.distance(x)) * i128::from(self.spread) / ONE;
        let more = i64::try_from(more + more / ONCE_MORE).unwrap_or(i64::MAX);
        self.within.saturating_add(more)
    }

    /// How far an instant is from those of which letters tell.
    pub(super) fn distance(&self, x: i64) -> u64 {
        x.clamp(self.from, self.to).abs_diff(x)
    }
}

impl Point {
    const fn mirrored(self) -> Self {
        Self { x: self.x, ahead: -self.ahead }
    }

    /// Twice the area of the triangle; positive if the points turn to the left.
    fn turn(self, second: Self, third: Self) -> i128 {
        let (x, y) = (i128::from(self.x), i128::from(self.ahead));
        (i128::from(second.x) - x) * (i128::from(third.ahead) - y)
            - (i128::from(second.ahead) - y) * (i128::from(third.x) - x)
    }
}

/// The points from which a line below all of them may be seen, in order.
fn lower_hull(points: &[Point]) -> Vec<Point> {
    let mut hull: Vec<Point> = Vec::new();
    for point in points {
        if let Some(last) = hull.last().filter(|last| last.x == point.x) {
            if last.ahead <= point.ahead {
                continue;
            }
            hull.pop();
        }
        while let [.., before, last] = hull[..]
            && before.turn(last, *point) <= 0
        {
            hull.pop();
        }
        hull.push(*point);
    }
    hull
}

impl Hulls {
    fn scaled(&self, point: Point, slope: i64) -> i128 {
        let x = i128::from(point.x) - i128::from(self.origin);
        i128::from(point.ahead) * ONE - i128::from(slope) * x
    }

    /// The highest level at the origin of a line of this slope that is below all that is to be above it.
    fn below(&self, slope: i64) -> i128 {
        self.highest.iter().map(|point| self.scaled(*point, slope)).min().unwrap_or(0)
    }

    /// The lowest level at the origin of a line of this slope that is above all that is to be below it.
    fn above(&self, slope: i64) -> i128 {
        self.lowest.iter().map(|point| self.scaled(*point, slope)).max().unwrap_or(0)
    }

    /// How far lines of a slope may lie from each other; negative if none fits.
    fn room(&self, slope: i64) -> i128 {
        self.below(slope) - self.above(slope)
    }

    /// The slope with the most room; of several the gentlest.
    fn best(&self) -> i64 {
        highest(-RATE_MAX, RATE_MAX, |slope| self.room(slope))
    }

    /// How far a line that fits may be from this one at most, so far from the origin.
    fn farthest(&self, (gentlest, steepest): (i64, i64), (level, slope): (i128, i64), x: i128) -> i128 {
        let of = |slope: i64| i128::from(slope) * x;
        let upper = |slope| self.below(slope) + of(slope);
        let lower = |slope| -(self.above(slope) + of(slope));
        let line = level + of(slope);
        let top = upper(highest(gentlest, steepest, upper)) - line;
        let bottom = line + lower(highest(gentlest, steepest, lower));
        top.max(bottom)
    }
}

/// Where a concave function is highest in a range; of several places the one that is nearest to zero.
fn highest(from: i64, to: i64, of: impl Fn(i64) -> i128) -> i64 {
    let left = first_true(from, to, |place| of(place + 1) <= of(place));
    let right = first_true(left, to, |place| of(place + 1) < of(place));
    0.clamp(left, right)
}

/// The first place of a range for which something holds that holds from there on; its end if there is none before.
fn first_true(from: i64, to: i64, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

//! What one expectation remembers of the pieces of its point, and how it ends.
//!
//! Each claim keeps a few numbers, whatever the run's length. Nearly all pieces change none of them, and that takes two
//! comparisons to see; only a piece that comes closer to failing than all before is looked at in full, and only a curve that
//! might do so is cut into pieces at all.

use r_ems_engine::{Span, Time};

use super::piece::{Piece, Window};
use super::{Comparison, Condition, Excursions};

/// What a value may be on the wrong side of a limit and still count as at the limit: a share of the limit, and an amount
/// in the point's base unit. A value is a few sums and products of numbers of its size, each rounded at 1e-16.
const ROUNDING_SHARE: f64 = 1e-12;
const ROUNDING: f64 = 1e-9;

/// How a claim stands, without its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) held: bool,
    pub(super) margin: f64,
    pub(super) at: Time,
    pub(super) value: f64,
    pub(super) excursions: Option<Excursions>,
}

/// A condition as one number: how far a value is on the wrong side of the limit.
#[derive(Clone, Copy, Debug)]
struct Threshold {
    limit: f64,
    /// 1 if larger values are worse, else −1.
    sign: f64,
    at_limit: AtLimit,
}

/// Whether a condition holds at the limit itself.
#[derive(Clone, Copy, Debug)]
enum AtLimit {
    Holds,
    Fails,
}

/// A value that stands out, and when it did.
#[derive(Clone, Copy, Debug)]
struct Extreme {
    /// How far on the wrong side, in the point's unit.
    excess: f64,
    value: f64,
    at: Time,
}

/// A stretch of time without the condition; its pieces join where they touch.
#[derive(Clone, Copy, Debug)]
struct Excursion {
    began: Time,
    ended: Time,
    worst: Extreme,
}

/// A claim about a point, and what it has seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Observer {
    Always(Always),
    Eventually(Eventually),
    Bounds(Bounds),
}

/// Watches that a condition holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Always {
    threshold: Threshold,
    /// Largest excess while the condition holds: above 0 by rounding only, minus infinity as long as nothing was seen.
    closest: Extreme,
    except_for: Span,
    total: Option<Span>,
    seen: Excursions,
    /// The latest excursion: the next piece may belong to it.
    open: Option<Excursion>,
    forgiven: Option<Extreme>,
    unforgiven: Option<Extreme>,
    reports: Reports,
}

/// Whether a verdict tells of excursions.
#[derive(Clone, Copy, Debug)]
enum Reports {
    Excursions,
    Nothing,
}

/// Watches for the first instant of a condition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eventually {
    threshold: Threshold,
    within: Span,
    /// Smallest excess so far.
    closest: Option<Extreme>,
    met: Option<Extreme>,
}

/// Keeps the highest and the lowest value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    low: Option<f64>,
    high: Option<f64>,
    peak_to_peak: Option<f64>,
    lowest: (f64, Time),
    highest: (f64, Time),
    /// The first time without a value: the last value before it, and when it began.
    missed: Option<(f64, Time)>,
}

impl Observer {
    pub(super) fn always(condition: Condition, except_for: Span, total: Option<Span>) -> Self {
        let threshold = Threshold::new(condition.comparison, condition.value);
        Self::Always(Always::new(threshold, except_for, total, Reports::Excursions))
    }

    /// Never is always the opposite, with nothing forgiven.
    pub(super) fn never(condition: Condition) -> Self {
        let opposite = match condition.comparison {
            Comparison::Below => Comparison::AtLeast,
            Comparison::AtMost => Comparison::Above,
            Comparison::Above => Comparison::AtMost,
            Comparison::AtLeast => Comparison::Below,
        };
        let threshold = Threshold::new(opposite, condition.value);
        Self::Always(Always::new(threshold, Span::ZERO, None, Reports::Nothing))
    }

    pub(super) fn eventually(condition: Condition, within: Span) -> Self {
        let threshold = Threshold::new(condition.comparison, condition.value);
        Self::Eventually(Eventually { threshold, within, closest: None, met: None })
    }

    pub(super) fn bounds(low: Option<f64>, high: Option<f64>, peak_to_peak: Option<f64>) -> Self {
        let (lowest, highest) = ((f64::INFINITY, Time::ZERO), (f64::NEG_INFINITY, Time::ZERO));
        Self::Bounds(Bounds { low, high, peak_to_peak, lowest, highest, missed: None })
    }

    /// Takes the next piece of the window.
    #[inline]
    pub(super) fn observe(&mut self, piece: Piece<'_>) {
        match self {
            Self::Always(always) => always.observe(piece),
            Self::Eventually(eventually) => eventually.observe(piece),
            Self::Bounds(bounds) => bounds.observe(piece),
        }
    }

    /// Takes a time of the window in which there was no value, after `last`: whatever must hold did not.
    pub(super) fn miss(&mut self, last: f64, from: Time, to: Time) {
        match self {
            // Any value that is wrong is worse than none.
            Self::Always(always) => always.exceed(from, to, Extreme { excess: 0.0, value: last, at: from }),
            Self::Bounds(bounds) => {
                bounds.missed.get_or_insert((last, from));
            }
            Self::Eventually(_) => {}
        }
    }

    /// Whether nothing changes however the value moves between `low` and `high`.
    #[inline]
    pub(super) fn ignores(&self, low: f64, high: f64) -> bool {
        match self {
            Self::Always(always) => always.ignores(low, high),
            Self::Eventually(eventually) => eventually.ignores(low, high),
            Self::Bounds(bounds) => bounds.ignores(low, high),
        }
    }

    /// How the claim stands if nothing follows after `end`; none if it has seen nothing.
    pub(super) fn finding(mut self, window: Window, end: Time) -> Option<Finding> {
        match &mut self {
            Self::Always(always) => always.finding(),
            Self::Eventually(eventually) => eventually.finding(window, end),
            Self::Bounds(bounds) => bounds.finding(),
        }
    }
}

impl Always {
    fn new(threshold: Threshold, except_for: Span, total: Option<Span>, reports: Reports) -> Self {
        let closest = Extreme { excess: f64::NEG_INFINITY, value: 0.0, at: Time::ZERO };
        Self {
            threshold,
            closest,
            except_for,
            total,
            seen: Excursions::default(),
            open: None,
            forgiven: None,
            unforgiven: None,
            reports,
        }
    }

    #[inline]
    fn observe(&mut self, piece: Piece<'_>) {
        if !self.ignores(piece.start, piece.end) {
            self.weigh(piece, self.threshold.excess(piece.start), self.threshold.excess(piece.end));
        }
    }

    #[inline]
    fn ignores(&self, one: f64, other: f64) -> bool {
        let (one, other) = (self.threshold.excess(one), self.threshold.excess(other));
        one < self.closest.excess && other < self.closest.excess
    }

    fn weigh(&mut self, piece: Piece<'_>, start: f64, end: f64) {
        let (worst, mildest) = if end > start {
            (Extreme { excess: end, value: piece.end, at: piece.to }, start)
        } else {
            (Extreme { excess: start, value: piece.start, at: piece.from }, end)
        };
        if self.threshold.holds(worst.excess) {
            self.approach(worst);
            return;
        }
        if !self.threshold.holds(mildest) {
            self.exceed(piece.from, piece.to, worst);
            return;
        }
        let limit = self.threshold.limit;
        let crossing = piece.crossing(limit);
        self.approach(Extreme { excess: 0.0, value: limit, at: crossing });
        let (began, ended) = if end > start { (crossing, piece.to) } else { (piece.from, crossing) };
        if began < ended {
            self.exceed(began, ended, worst);
        }
    }

    /// The condition holds, and was this close to not holding.
    fn approach(&mut self, extreme: Extreme) {
        if extreme.excess > self.closest.excess {
            self.closest = extreme;
        }
    }

    /// The condition does not hold from `began` to `ended`.
    fn exceed(&mut self, began: Time, ended: Time, worst: Extreme) {
        if let Some(open) = &mut self.open {
            if open.ended == began {
                open.ended = ended;
                open.worst = open.worst.or_worse(worst);
                return;
            }
            self.settle();
        }
        self.open = Some(Excursion { began, ended, worst });
    }

    /// Closes the open excursion, and forgives it or not.
    fn settle(&mut self) {
        let Some(Excursion { began, ended, worst }) = self.open.take() else { return };
        let length = ended.since(began);
        self.seen.longest = self.seen.longest.max(length);
        self.seen.total += length;
        // In a window of one instant an excursion has no length and is one all the same.
        let is_short = match self.total {
            // Without a longest one, an excursion may last as long as all together.
            Some(_) if self.except_for.is_zero() => true,
            Some(_) | None => !self.except_for.is_zero() && length <= self.except_for,
        };
        let is_rare = self.total.is_none_or(|total| self.seen.total <= total);
        let worst_of = if is_short && is_rare { &mut self.forgiven } else { &mut self.unforgiven };
        *worst_of = Some(worst_of.map_or(worst, |known| known.or_worse(worst)));
    }

    fn finding(&mut self) -> Option<Finding> {
        self.settle();
        let saw_it_hold = self.closest.excess > f64::NEG_INFINITY;
        let (held, counts) = match (self.unforgiven, self.forgiven) {
            (Some(unforgiven), _) => (false, unforgiven),
            (None, _) if saw_it_hold => (true, self.closest),
            // All of the window is one forgiven excursion: nothing is left of the margin.
            (None, forgiven) => (true, Extreme { excess: 0.0, ..forgiven? }),
        };
        let excursions = match self.reports {
            Reports::Excursions => Some(self.seen),
            Reports::Nothing => None,
        };
        let margin = margin_of(held, 0.0 - counts.excess);
        Some(Finding { held, margin, at: counts.at, value: counts.value, excursions })
    }
}

impl Eventually {
    fn ignores(&self, low: f64, high: f64) -> bool {
        let (low, high) = (self.threshold.excess(low), self.threshold.excess(high));
        // Closer than the closest so far is where it would be met, too.
        self.met.is_some()
            || self.closest.is_some_and(|closest| low > closest.excess && high > closest.excess)
    }

    #[inline]
    fn observe(&mut self, piece: Piece<'_>) {
        if self.met.is_some() {
            return;
        }
        let (start, end) = (self.threshold.excess(piece.start), self.threshold.excess(piece.end));
        if self.threshold.holds(start) {
            self.met = Some(Extreme { excess: start, value: piece.start, at: piece.from });
        } else if self.threshold.holds(end) {
            let (limit, at) = (self.threshold.limit, piece.crossing(self.threshold.limit));
            self.met = Some(Extreme { excess: 0.0, value: limit, at });
        } else {
            self.approach(Extreme { excess: start, value: piece.start, at: piece.from });
            self.approach(Extreme { excess: end, value: piece.end, at: piece.to });
        }
    }

    fn approach(&mut self, extreme: Extreme) {
        if self.closest.is_none_or(|closest| extreme.excess < closest.excess) {
            self.closest = Some(extreme);
        }
    }

    fn finding(&self, window: Window, end: Time) -> Option<Finding> {
        let deadline = (window.from + self.within).min(window.to);
        let (held, margin, found) = match self.met {
            Some(met) => (met.at <= deadline, seconds_left(deadline, met.at), met),
            None => (false, 0.0 - waited_s(window, end), self.closest?),
        };
        Some(Finding { held, margin, at: found.at, value: found.value, excursions: None })
    }
}

impl Bounds {
    #[inline]
    fn observe(&mut self, piece: Piece<'_>) {
        if !self.ignores(piece.start, piece.end) {
            self.extend(piece.start, piece.from);
            self.extend(piece.end, piece.to);
        }
    }

    #[inline]
    fn ignores(&self, one: f64, other: f64) -> bool {
        let is_between = |value: f64| value >= self.lowest.0 && value <= self.highest.0;
        is_between(one) && is_between(other)
    }

    fn extend(&mut self, value: f64, at: Time) {
        if value < self.lowest.0 {
            self.lowest = (value, at);
        }
        if value > self.highest.0 {
            self.highest = (value, at);
        }
    }

    fn finding(&self) -> Option<Finding> {
        let (lowest, highest) = (self.lowest, self.highest);
        let nothing = |(value, at)| Finding { held: false, margin: 0.0, at, value, excursions: None };
        if lowest.0 > highest.0 {
            return self.missed.map(nothing);
        }
        let later = if lowest.1 > highest.1 { lowest } else { highest };
        let margins = [
            self.high.map(|high| (high - highest.0, high, highest)),
            self.low.map(|low| (lowest.0 - low, low, lowest)),
            self.peak_to_peak.map(|most| (most - (highest.0 - lowest.0), most, later)),
        ];
        let mut held = true;
        let mut smallest = None;
        for (margin, bound, found) in margins.into_iter().flatten() {
            held = held && margin >= 0.0 - rounding(bound);
            if smallest.is_none_or(|(known, _)| margin < known) {
                smallest = Some((margin, found));
            }
        }
        // Without any bound there is nothing to fail and no distance to it.
        let (margin, (value, at)) = smallest.unwrap_or((0.0, later));
        match self.missed {
            Some(missed) if held => Some(nothing(missed)),
            Some(_) | None => {
                Some(Finding { held, margin: margin_of(held, margin), at, value, excursions: None })
            }
        }
    }
}

impl Threshold {
    fn new(comparison: Comparison, limit: f64) -> Self {
        let (sign, at_limit) = match comparison {
            Comparison::Below => (1.0, AtLimit::Fails),
            Comparison::AtMost => (1.0, AtLimit::Holds),
            Comparison::Above => (-1.0, AtLimit::Fails),
            Comparison::AtLeast => (-1.0, AtLimit::Holds),
        };
        Self { limit, sign, at_limit }
    }

    #[inline]
    fn excess(self, value: f64) -> f64 {
        self.sign * (value - self.limit)
    }

    fn holds(self, excess: f64) -> bool {
        match self.at_limit {
            AtLimit::Holds => excess <= rounding(self.limit),
            AtLimit::Fails => excess < 0.0,
        }
    }
}

impl Extreme {
    /// The worse of two; the earlier of two that are alike.
    fn or_worse(self, later: Self) -> Self {
        if later.excess > self.excess { later } else { self }
    }
}

/// What rounding may put on the wrong side of `limit`.
fn rounding(limit: f64) -> f64 {
    ROUNDING + ROUNDING_SHARE * limit.abs()
}

/// The margin without what rounding took from it.
fn margin_of(held: bool, margin: f64) -> f64 {
    if held && margin < 0.0 { 0.0 } else { margin }
}

/// Seconds from `at` to `deadline`, negative if it has passed.
pub(super) fn seconds_left(deadline: Time, at: Time) -> f64 {
    if at <= deadline { deadline.since(at).as_secs_f64() } else { 0.0 - at.since(deadline).as_secs_f64() }
}

/// Seconds of the window until `end`.
pub(super) fn waited_s(window: Window, end: Time) -> f64 {
    end.min(window.to).since(window.from).as_secs_f64()
}

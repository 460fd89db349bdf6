//! Expectations: what a run must fulfil, watched while it runs, apart from the code that it checks.
//!
//! An expectation names a point or an event, a window, and what must hold there. Points are the plant's truth, or what a
//! controller's image shows. Every expectation ends with a verdict: whether it held, when and at what value it was closest
//! to failing (or failed worst), and the margin between as a number.
//!
//! # How time is counted
//! Truth is exact between events: loads, suns and limits are straight within an integrated segment of the plant, a battery
//! that moves adds exponentials to its own power and energy and to the power of the connection, and all may jump between two
//! segments. An image's value holds until the next. A condition begins and ceases to hold where the curve crosses the limit,
//! to the nanosecond and not at the next sample; extremes inside a segment count; and windows cut at the value of the curve.
//! What holds for no time does not count: neither a value between two commands of one instant, nor a line that just touches a
//! strict limit. Only a window of a single instant, `from == to`, counts what is there, on both sides of a jump.
//!
//! # What the margin says
//!
//! | claim | held | failed |
//! |---|---|---|
//! | `Always`, `Never` | limit less the worst value outside forgiven excursions | the same of the worst excursion that is not forgiven |
//! | `Bounds` | smallest distance to a bound, in peak-to-peak too | the largest overrun |
//! | `Eventually`, `SomeEvent` | seconds left when it was first met | seconds too late; if never, minus all that were waited |
//! | `NoEvent` | 0 | minus their number |
//!
//! So a margin is positive or zero if the claim held, and negative if it failed; it is zero in a failure only at a strict
//! limit, and where there was no value. What is past a limit by rounding only, 1e-9 and 1e-12 of the limit, is at the limit. A
//! line that runs into a forgiven excursion has touched the limit: 0 is left of the margin, and how much of the time is left
//! the excursions say. An excursion is forgiven if it is not longer than `except_for` and the sum with all
//! before it is not above `total`. With `total` alone a single one may be as long as all; with neither nothing is forgiven,
//! however short. A window cuts excursions.
//!
//! # When an image shows nothing
//! A controller believes a value for the maximum age that its device declares, and not longer. From then until the next
//! answer the image has no value: `Always`, `Never` and `Bounds` do not hold there, with a margin of 0 unless something worse
//! was seen, and an excursion of `Always` may be forgiven like any other. At a run's start the maximum age is granted once.
//!
//! # When the run ends first
//! Claims that must hold throughout are judged by what was seen, claims that must come true have failed if they have not,
//! even where their deadline was still to come. What was never seen has failed, with margin 0: a window that the run did not
//! reach, an image that showed no value.

mod monitor;
mod observer;
mod piece;
mod reading;
#[cfg(test)]
mod sampled;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;

use alloc::string::String;

use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::{Span, Time};

use crate::plant::TruthPoint;

pub use monitor::{GridWatch, Monitor};

/// One thing that a run must fulfil.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// What it is called in reports.
    pub name: String,
    /// The first instant that counts.
    pub from: Time,
    /// The last instant that counts.
    pub to: Time,
    /// What must hold.
    pub claim: Claim,
}

impl Expectation {
    /// Whether it looks at a controller's image.
    pub fn watches_image(&self) -> bool {
        let point = match &self.claim {
            Claim::Always { condition, .. }
            | Claim::Eventually { condition, .. }
            | Claim::Never(condition) => condition.point,
            Claim::Bounds { point, .. } => *point,
            Claim::NoEvent(_) | Claim::SomeEvent { .. } => return false,
        };
        matches!(point, Watched::Image { .. })
    }
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The condition holds at every instant of the window, but for excursions.
    Always {
        /// What must hold.
        condition: Condition,
        /// The longest single excursion that is forgiven; zero: none, or with `total` one as long as that.
        except_for: Span,
        /// The longest sum of all excursions that is forgiven; `None`: any.
        total: Option<Span>,
    },
    /// The condition holds at no instant of the window.
    Never(Condition),
    /// The condition holds at some instant, at the latest `within` after the window's start.
    Eventually {
        /// What must hold.
        condition: Condition,
        /// The time it has.
        within: Span,
    },
    /// The point stays between two values, and its highest and lowest value in the window are close to each other.
    Bounds {
        /// What is watched.
        point: Watched,
        /// It may not be lower.
        low: Option<f64>,
        /// It may not be higher.
        high: Option<f64>,
        /// Its highest and lowest value may not be further apart.
        peak_to_peak: Option<f64>,
    },
    /// No such event is reported.
    NoEvent(EventFilter),
    /// Such an event is reported, at the latest `within` after the window's start.
    SomeEvent {
        /// Which events count.
        filter: EventFilter,
        /// The time it has.
        within: Span,
    },
}

/// A comparison of a point with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// What is watched.
    pub point: Watched,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what, in the point's base unit.
    pub value: f64,
}

/// How a point is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// A point that can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// What is true in the plant.
    Truth {
        /// Which grid.
        grid: u16,
        /// Which value of its bus.
        point: TruthPoint,
    },
    /// What a controller's image shows, in our sign.
    Image {
        /// Whose image.
        controller: ControllerIndex,
        /// Which point of it.
        point: PointIndex,
    },
}

/// Which events count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// The event's kind, one of `Event::KINDS`.
    pub kind: String,
    /// Only those of this controller; `None`: of any.
    pub controller: Option<ControllerIndex>,
}

/// How an expectation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The expectation's name.
    pub name: String,
    /// Whether it held.
    pub held: bool,
    /// How far from failing it stayed, negative by how far it failed: in the point's base unit; for `Eventually` and
    /// `SomeEvent` in seconds, for `NoEvent` minus the number of events.
    pub margin: f64,
    /// When it was closest to failing, or failed worst.
    pub at: Time,
    /// The point's value then; for events how many were seen.
    pub value: f64,
    /// The longest excursion and the sum of all, where the claim forgives some.
    pub excursions: Option<Excursions>,
    /// How long a controller's image had no value that it believed; zero for all else.
    pub without_value: Span,
}

/// How long a condition did not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excursions {
    /// The longest single one.
    pub longest: Span,
    /// All together.
    pub total: Span,
}

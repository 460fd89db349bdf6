//! Expectations: what a run must fulfil, watched while it runs, apart from the code that it checks.
//!
//! An expectation names a point or an event, a window, and what must hold there. Points are the plant's truth, or what a
//! controller's image shows. Every expectation ends with a verdict: whether it held, when and at what value it was closest
//! to failing (or failed worst), and the margin between as a number.

use alloc::string::String;

use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::{Span, Time};

use crate::plant::TruthPoint;

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

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The condition holds at every instant of the window, but for excursions.
    Always {
        /// What must hold.
        condition: Condition,
        /// The longest single excursion that is forgiven.
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
    /// How far from failing it stayed, negative by how far it failed: in the point's base unit; for `Eventually` and for
    /// events in seconds.
    pub margin: f64,
    /// When it was closest to failing, or failed worst.
    pub at: Time,
    /// The point's value then; for events how many were seen.
    pub value: f64,
    /// The longest excursion and the sum of all, where the claim forgives some.
    pub excursions: Option<Excursions>,
}

/// How long a condition did not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excursions {
    /// The longest single one.
    pub longest: Span,
    /// All together.
    pub total: Span,
}

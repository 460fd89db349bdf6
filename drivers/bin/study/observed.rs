//! Counts what controllers report, and how long each point could not be used.
//!
//! Events are edges; a point that is lost until the run ends never comes back, so the books are closed at a given instant.

use std::collections::BTreeMap;

use r_ems_engine::event::{Event, Severity};
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Effect, Input, Outcome, Step};
use r_ems_engine::points::Quality;
use r_ems_engine::{Span, Time};

use crate::metrics::Metrics;

/// A driver whose outcomes are counted.
pub struct Observed<D> {
    /// The driver.
    pub inner: D,
    observations: Observations,
    metrics: Option<Metrics>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    deliveries: u64,
    events: BTreeMap<&'static str, (Severity, u64)>,
    points: BTreeMap<(ControllerIndex, PointIndex), Unusable>,
    alarms: Vec<Alarm>,
    told: Vec<Told>,
    messages_sent: u64,
    messages_received: u64,
}

/// What a controller told of an authority that it took over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// When.
    pub at: Time,
    /// Who.
    pub from: ControllerIndex,
    /// What: that it took over, or that its set-points are out.
    pub event: Event,
}

/// How long a point could not be used after it was good for the first time.
#[derive(Clone, Copy, Debug, Default)]
struct Unusable {
    total: Span,
    since: Option<Time>,
    has_been_good: bool,
}

/// An event that somebody must act on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// When.
    pub at: Time,
    /// Who reported it.
    pub from: ControllerIndex,
    /// What.
    pub event: Event,
}

/// So many alarms are kept for the summary, the first ones: they are nearest to the cause.
pub const MAX_ALARMS_KEPT: usize = 8;
/// So many tellings of take-overs are kept, the first ones: a list of take-overs is no longer.
pub const MAX_TOLD_KEPT: usize = 1_024;

impl<D> Observed<D> {
    /// Watches a driver, and keeps metrics if they are given.
    pub fn new(inner: D, metrics: Option<Metrics>) -> Self {
        Self { inner, observations: Observations::default(), metrics }
    }

    /// Ends watching: the driver, what was seen of it, and the metrics.
    pub fn into_parts(self) -> (D, Observations, Option<Metrics>) {
        (self.inner, self.observations, self.metrics)
    }
}

impl Observations {
    fn note(&mut self, at: Time, from: ControllerIndex, event: &Event) {
        if !self.follow_quality(at, from, event) {
            return;
        }
        let counted = self.events.entry(event.kind()).or_insert((event.severity(), 0));
        counted.1 += 1;
        let is_told = matches!(event, Event::TookOver { .. } | Event::SetPointsTakenOver { .. });
        if is_told && self.told.len() < MAX_TOLD_KEPT {
            self.told.push(Told { at, from, event: *event });
        }
        if event.severity() == Severity::Alarm && self.alarms.len() < MAX_ALARMS_KEPT {
            self.alarms.push(Alarm { at, from, event: *event });
        }
    }

    /// Follows a point's quality; says whether the event counts: a point that is good for the first time is start-up.
    fn follow_quality(&mut self, at: Time, from: ControllerIndex, event: &Event) -> bool {
        let Event::QualityChanged { point, quality } = event else { return true };
        let known = self.points.entry((from, *point)).or_default();
        if *quality == Quality::Good {
            known.close(at);
            return std::mem::replace(&mut known.has_been_good, true);
        }
        if known.has_been_good && known.since.is_none() {
            known.since = Some(at);
        }
        true
    }

    /// How many deliveries were handled.
    pub const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Events by kind, with their severity and count; a point's first good value is start-up and does not count.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, Severity, u64)> {
        self.events.iter().map(|(kind, (severity, count))| (*kind, *severity, *count))
    }

    /// What a controller told of its take-overs up to an instant, in time order.
    pub fn told(&self, from: ControllerIndex, until: Time) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(move |told| told.from == from && told.at <= until)
    }

    /// How many messages members of councils sent to each other, and how many arrived.
    pub const fn messages(&self) -> (u64, u64) {
        (self.messages_sent, self.messages_received)
    }

    /// The first alarms.
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// How long a point could not be used, up to `end`; what was before its first good value is start-up and does not count.
    pub fn unusable(&self, controller: ControllerIndex, point: PointIndex, end: Time) -> Span {
        let known = self.points.get(&(controller, point)).copied().unwrap_or_default();
        known.total + known.since.map_or(Span::ZERO, |since| end.since(since))
    }
}

impl Unusable {
    fn close(&mut self, at: Time) {
        if let Some(since) = self.since.take() {
            self.total += at.since(since);
        }
    }
}

impl<D: Driver> Driver for Observed<D> {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        let next = self.inner.next();
        if let Some(delivery) = &next {
            self.observations.deliveries += 1;
            let is_message = matches!(delivery.step, Step::Input(Input::Message { .. }));
            self.observations.messages_received += u64::from(is_message);
        }
        next
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            match effect {
                Effect::Report(event) => {
                    self.observations.note(outcome.at, outcome.from, event);
                    if let Some(metrics) = &mut self.metrics {
                        metrics.note(outcome.from, event);
                    }
                }
                Effect::Send { .. } => self.observations.messages_sent += 1,
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Disconnect { .. }
                | Effect::Transfer { .. }
                | Effect::Authority { .. }
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Promise(_) => {}
            }
        }
        self.inner.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.inner.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> r_ems_engine::machine::Handled {
        D::contain(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: ControllerIndex = ControllerIndex(0);
    const POINT: PointIndex = PointIndex(3);

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_point_counts_as_unusable_from_its_loss_to_its_return_but_not_during_start_up() {
        let mut seen = Observations::default();
        for (seconds, quality) in [
            (0, Quality::Invalid),
            (2, Quality::Good),
            (10, Quality::Stale),
            (11, Quality::Stuck),
            (15, Quality::Good),
            (90, Quality::Stale),
        ] {
            seen.note(at(seconds), WHO, &Event::QualityChanged { point: POINT, quality });
        }
        assert_eq!(seen.unusable(WHO, POINT, at(100)), Span::from_secs(15));
        assert_eq!(seen.unusable(WHO, PointIndex(4), at(100)), Span::ZERO);
        // Six changes, less the one that belongs to every start.
        let events: Vec<_> = seen.events().collect();
        assert_eq!(events, [("quality_changed", Severity::Warning, 5)]);
    }
}

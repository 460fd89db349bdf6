//! Logs as replays leave them, for tests.

use r_ems_engine::Time;
use r_ems_engine::digest::Digest;
use r_ems_engine::log::{ControllerNames, End, Ending};
use r_ems_engine::wall::WallTime;
use r_ems_replay::Compatibility;

use super::Reading;
use super::segment::{Replayed, Role, Segment};

/// What is told of a log.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) source: usize,
    pub(super) role: Role,
    /// What its process counts from, Unix ns.
    pub(super) start: i64,
    /// The states at its beginning and at its end.
    pub(super) states: [u8; 2],
    pub(super) deliveries: u64,
    pub(super) is_torn: bool,
    pub(super) begins_life: bool,
}

impl Made {
    /// A segment of one archive, which is whole.
    pub(super) const fn segment(number: u64, states: [u8; 2]) -> Self {
        let role = Role::Segment(number);
        Self { source: 0, role, start: 7, states, deliveries: 9, is_torn: false, begins_life: false }
    }

    /// It was cut off.
    pub(super) const fn torn(self) -> Self {
        Self { is_torn: true, ..self }
    }

    /// A life of this process begins with it.
    pub(super) const fn life(self, start: i64) -> Self {
        Self { start, begins_life: true, ..self }
    }

    /// It comes from elsewhere.
    pub(super) const fn of(self, source: usize) -> Self {
        Self { source, ..self }
    }

    /// So much is in it.
    pub(super) const fn deliveries(self, deliveries: u64) -> Self {
        Self { deliveries, ..self }
    }

    pub(super) fn made(self) -> Segment {
        let end =
            if self.is_torn { End::Torn { position: 0, lost: 0 } } else { End::Closed(Ending::Stopped) };
        let replayed = Replayed {
            names: 0,
            is_simulated: false,
            start: WallTime::from_unix_nanos(self.start),
            seats: vec![None],
            span: (self.deliveries > 0).then_some((Time::ZERO, Time::from_nanos(self.deliveries))),
            begins_life: self.begins_life,
            begins_as: Digest::of(&[self.states[0]]),
            ends_as: Digest::of(&[self.states[1]]),
            deliveries: self.deliveries,
            end: Some(end),
            has_diverged: false,
            divergence: None,
            event_difference: false,
            compatibility: Compatibility::Same,
            poisoned: None,
            letters: Vec::new(),
            happened: Vec::new(),
        };
        Segment::new(self.source, format!("state/g/a/{:?}", self.role), self.role, Ok(replayed))
    }
}

/// What was read of these, all of one controller.
pub(super) fn reading(all: &[Made]) -> Reading {
    let mut reading = Reading::new(None, false);
    let (grid, id) = ("g".to_owned(), "a".to_owned());
    reading.names.push(vec![ControllerNames { grid, id, devices: Vec::new(), functions: Vec::new() }]);
    all.iter().for_each(|made| reading.add(made.made()));
    reading
}

//! What of a run is recorded, and when: each delivery before it is handled, then what it led to.
//!
//! ```text
//!     State of each controller | delivery, events, [effects] | delivery ... | State and Chains of each, Closing
//! ```
//!
//! A later segment of a run begins with the State of each controller and then the Chains of each, so that it replays alone.
//! After the State of a controller that has decided something stands what it Carried, for other versions.
//!
//! Sans-IO: the recorder of a program and the simulated disks both stand on it.

use alloc::vec::Vec;

use super::CHECKPOINT_DELIVERIES;
use super::chain::{ChainPair, Chains};
use super::header::{EffectsKept, Header, HeaderError};
use super::record::{Content, Ending, Record};
use super::writer::Writer;
use crate::carried::VERSION;
use crate::ids::ControllerIndex;
use crate::machine::{Delivery, Effect, Outcome, State, Step};

/// Which controllers of a fleet a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Fleet,
    /// One of them; its id in its own log is 0.
    Only(ControllerIndex),
}

impl Scope {
    /// A controller's id in the log.
    #[inline]
    pub(super) fn place(self, controller: ControllerIndex) -> Option<ControllerIndex> {
        match self {
            Self::Fleet => Some(controller),
            Self::Only(only) if only == controller => Some(ControllerIndex(0)),
            Self::Only(_) => None,
        }
    }
}

/// Records one run.
#[derive(Clone, Debug)]
pub struct Recording {
    writer: Writer,
    /// The chains of the whole fleet, whatever is recorded: the run's digest must not depend on it.
    chains: Chains,
    scope: Scope,
    effects: EffectsKept,
    /// Deliveries of each controller since its last full chains.
    since: Vec<u32>,
    /// Who is handling a delivery.
    handling: Option<ControllerIndex>,
    /// By controller: whether it crashed and has not been restored, so that it has no state.
    crashed: Vec<bool>,
    scratch: Vec<u8>,
}

impl Recording {
    /// Begins a log: the header of the whole fleet, and the states of its machines by controller.
    ///
    /// # Errors
    /// [`HeaderError`] if the header is beyond a limit.
    ///
    /// # Panics
    /// If there is not one state for each controller of the header.
    pub fn new<S: State>(header: &Header, scope: Scope, states: &[S]) -> Result<Self, HeaderError> {
        let mut recording = Self::empty(header, scope, Chains::new(header.controllers.len()))?;
        recording.append_states(states);
        Ok(recording)
    }

    /// Begins a later segment of a run whose machines stand at `states` and have asked for what is in `chains`.
    ///
    /// # Errors
    /// As [`Recording::new`].
    ///
    /// # Panics
    /// As [`Recording::new`], and if there is not one pair of chains for each controller.
    pub fn continued<S: State>(
        header: &Header,
        scope: Scope,
        states: &[S],
        chains: &[ChainPair],
    ) -> Result<Self, HeaderError> {
        assert!(chains.len() == header.controllers.len(), "each controller of the header has its chains");
        let mut recording = Self::empty(header, scope, chains.into())?;
        recording.append_states(states);
        recording.append_chains();
        Ok(recording)
    }

    fn empty(header: &Header, scope: Scope, chains: Chains) -> Result<Self, HeaderError> {
        let writer = match scope {
            Scope::Fleet => Writer::new(header)?,
            Scope::Only(controller) => Writer::new(&header.only(controller))?,
        };
        Ok(Self {
            writer,
            chains,
            scope,
            effects: header.effects,
            since: alloc::vec![0; header.controllers.len()],
            handling: None,
            crashed: alloc::vec![false; header.controllers.len()],
            scratch: Vec::new(),
        })
    }

    /// Records a delivery that is about to be handled.
    #[inline]
    pub fn delivery(&mut self, delivery: &Delivery<'_>) {
        let Delivery { at, now, to, step } = *delivery;
        if let Some(controller) = self.scope.place(to) {
            let chains = self.chains.of(to);
            let since = &mut self.since[to.position()];
            if *since == CHECKPOINT_DELIVERIES {
                *since = 0;
                self.writer.append_here(controller, Content::Chains(chains));
            }
            *since += 1;
            let prior = chains.effects.low16();
            self.writer.append(&Record { at, now, controller, content: Content::Delivery { step, prior } });
        }
        self.chains.begin(delivery);
        self.handling = Some(to);
        if matches!(step, Step::Restore { .. }) {
            self.crashed[to.position()] = false;
        }
    }

    /// Records what it led to.
    #[inline]
    pub fn outcome(&mut self, outcome: &Outcome<'_>) {
        self.chains.fold(outcome);
        self.handling = None;
        let Some(controller) = self.scope.place(outcome.from) else { return };
        for event in outcome.effects.as_slice().iter().filter_map(Effect::event) {
            self.writer.append_here(controller, Content::Event(*event));
        }
        match self.effects {
            EffectsKept::Digests => {}
            EffectsKept::Whole => {
                self.writer.append_effects(controller, outcome.effects.as_slice(), outcome.deadline);
            }
        }
    }

    /// Records that the delivery before failed an assertion of its controller, and that the run goes on.
    pub fn failed(&mut self, controller: ControllerIndex) {
        self.handling = None;
        self.crashed[controller.position()] = true;
        if let Some(place) = self.scope.place(controller) {
            self.writer.append_here(place, Content::Crashed);
        }
    }

    /// Ends the log with the states and chains of its controllers; one that crashed and was not restored has no state.
    ///
    /// A delivery that was begun and led to nothing has failed: the log then ends as [`Ending::Poisoned`], whatever is said
    /// here, and without the state of that controller, which must not be used.
    pub fn close<S: State>(&mut self, states: &[S], ending: Ending) -> Ending {
        self.append_states(states);
        self.append_chains();
        let (place, ending) = match self.handling.map(|poisoned| self.scope.place(poisoned)) {
            None => (None, ending),
            Some(None) => (None, Ending::Stopped),
            Some(Some(place)) => (Some(place), Ending::Poisoned),
        };
        self.writer.close(place.unwrap_or_default(), ending);
        ending
    }

    /// The log's bytes and counts.
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Ends the group under way, so that all that has been recorded can be written.
    pub fn flush(&mut self) {
        self.writer.flush();
    }

    /// Notes that everything before `position` is durable.
    pub fn synced(&mut self, position: u64) {
        self.writer.synced(position);
    }

    /// Forgets the bytes that waited, because they have been written.
    pub fn clear_out(&mut self) {
        self.writer.clear_out();
    }

    /// The chains of all controllers.
    pub const fn chains(&self) -> &Chains {
        &self.chains
    }

    fn append_chains(&mut self) {
        for position in 0..self.since.len() {
            let controller = ControllerIndex::of(position);
            if let Some(place) = self.scope.place(controller) {
                self.writer.append_here(place, Content::Chains(self.chains.of(controller)));
            }
        }
    }

    fn append_states<S: State>(&mut self, states: &[S]) {
        assert!(states.len() == self.since.len(), "each controller of the header has its machine");
        for (position, state) in states.iter().enumerate() {
            let controller = ControllerIndex::of(position);
            if self.handling == Some(controller) || self.crashed[position] {
                continue;
            }
            if let Some(place) = self.scope.place(controller) {
                self.scratch.clear();
                state.encode(&mut self.scratch);
                self.writer.append_here(place, Content::State(&self.scratch));
                if let Some(carried) = state.carried() {
                    self.scratch.clear();
                    carried.encode(&mut self.scratch);
                    let content = Content::Carried { version: VERSION, bytes: &self.scratch };
                    self.writer.append_here(place, content);
                }
            }
        }
    }
}

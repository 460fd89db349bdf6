//! Compares what a log says now and then, and at its end: chains, states, and whether an assertion failed.

use std::io::Read;

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{ChainPair, Content, Ending};
use r_ems_engine::machine::State;

use super::ReplayDriver;
use crate::divergence::{Finding, Subject};

impl<R: Read> ReplayDriver<R> {
    /// Compares everything that a controller has asked for and reported up to here.
    pub(super) fn compare_chains(&mut self, controller: ControllerIndex, expected: ChainPair) {
        let found = self.chains.of(controller);
        if expected == found {
            return;
        }
        let lines = |pair: ChainPair| {
            vec![
                format!("effects {:016x}", pair.effects.value()),
                format!("events {:016x}", pair.events.value()),
            ]
        };
        let notes = vec![String::from("the difference arose here or shortly before")];
        let finding =
            Finding { subject: Subject::History, expected: lines(expected), found: lines(found), notes };
        if expected.effects == found.effects {
            self.diverge_in_events(controller.position(), finding);
        } else {
            self.diverge(controller.position(), finding);
        }
    }

    pub(super) fn history_differs(
        &mut self,
        controller: ControllerIndex,
        expected: u16,
        found: u16,
        notes: Vec<String>,
    ) {
        let position = controller.position();
        let digest = |digest: u16| format!("digest {digest:04x} of all effects up to here");
        let expected = vec![digest(expected)];
        let mut lines = vec![digest(found)];
        lines.extend(self.last_led_to(position));
        self.diverge(position, Finding { subject: Subject::Effects, expected, found: lines, notes });
    }

    /// Whether the run may end as the log says, if no assertion failed now.
    pub(super) fn check_ending(&mut self, controller: ControllerIndex, ending: Ending) {
        match ending {
            Ending::Over | Ending::Stopped => {}
            Ending::Poisoned => {
                let expected = vec![String::from("an assertion failed")];
                let position = controller.position();
                let found = self.last_led_to(position);
                let notes = Vec::new();
                self.diverge(position, Finding { subject: Subject::Assertion, expected, found, notes });
            }
        }
    }

    /// Compares the machines' states with those at the log's end.
    pub(crate) fn compare_states<S: State>(&mut self, machines: &[S]) {
        let mut bytes = Vec::new();
        for (position, machine) in machines.iter().enumerate() {
            let Some(expected) = &self.of[position].state else { continue };
            bytes.clear();
            machine.encode(&mut bytes);
            if *expected == bytes {
                continue;
            }
            let same = expected.iter().zip(&bytes).take_while(|(left, right)| left == right).count();
            let describe = |bytes: &[u8]| {
                let digest = r_ems_engine::digest::Digest::of(bytes).short();
                vec![format!("state {digest} of {} bytes", bytes.len())]
            };
            let notes = vec![format!("the states differ from byte {same} on")];
            let (expected, found) = (describe(expected), describe(&bytes));
            self.diverge(position, Finding { subject: Subject::State, expected, found, notes });
            return;
        }
    }

    /// Reads on to the log's end after an assertion failed: the log must say the same.
    pub(crate) fn compare_failure(&mut self, poisoned: Poisoned) {
        while !self.has_stopped() {
            if !self.stage() {
                // A log that simply ends after the failing delivery is what a crash leaves.
                return;
            }
            let record = self.reader.record();
            let disagrees = match record.content {
                Content::Closing(ending) => {
                    ending != Ending::Poisoned || record.controller != poisoned.controller
                }
                Content::State(_) if record.controller == poisoned.controller => true,
                Content::State(bytes) => {
                    self.of[record.controller.position()].state = Some(bytes.to_vec());
                    false
                }
                Content::Carried { .. } => false,
                Content::Chains(expected) => {
                    // Those of the failed controller too: they hold everything before the delivery at which it failed.
                    self.compare_chains(record.controller, expected);
                    false
                }
                Content::Delivery { .. } | Content::Event(_) | Content::Effects { .. } | Content::Crashed => {
                    true
                }
            };
            self.staged = false;
            if disagrees {
                let expected = vec![String::from("the delivery was handled")];
                let found = vec![String::from("an assertion failed")];
                let finding = Finding { subject: Subject::Assertion, expected, found, notes: Vec::new() };
                self.diverge(poisoned.controller.position(), finding);
            }
        }
    }
}

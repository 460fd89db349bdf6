//! Controllers that fail an assertion: their processes die with it, and live again when the orchestrator says so.
//!
//! What such a machine has become is of no use, so it is restored before it boots: from what is kept, or as it was made.

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Machine, State};

use super::SimDriver;
use super::pending::{Of, Pending};
use super::stops;
use r_ems_engine::Time;

/// So many failed assertions are kept, the first ones.
pub(super) const MAX_FAILURES_KEPT: usize = 64;

impl SimDriver {
    /// Keeps the states of machines as they are made.
    pub(super) fn keep_fresh<M: Machine>(&mut self, machines: &[M]) {
        let encoded = |machine: &M| {
            let mut bytes = alloc::vec::Vec::new();
            machine.encode(&mut bytes);
            bytes
        };
        self.fresh = machines.iter().map(encoded).collect();
    }

    /// A controller has failed an assertion.
    pub(super) fn crash(&mut self, failure: Poisoned) -> Afterwards {
        let Poisoned { controller, at } = failure;
        if self.failures.len() < MAX_FAILURES_KEPT {
            self.failures.push(failure);
        }
        if self.fresh.is_empty() {
            return Afterwards::RunEnds;
        }
        let post = controller.0;
        let leaves = self.posts[usize::from(post)].leaves;
        let next = self.orchestrator.failed(at, controller);
        self.posts[usize::from(post)].is_unfit = true;
        self.arriving.take_if(|devices| devices.of.post == post);
        self.disconnect_all(post);
        self.stop(at, post);
        self.look_again(at);
        // Who was asked to end has ended.
        if leaves != Some(stops::Afterwards::Rests) {
            let of = Of { post, life: self.posts[usize::from(post)].life };
            self.queue.push(next, Pending::Revive(of));
        }
        Afterwards::OthersGoOn
    }

    /// A controller that failed starts again, unless it has been started since.
    pub(super) fn revive(&mut self, at: Time, of: Of) {
        let state = &self.posts[usize::from(of.post)];
        if state.life == of.life && !state.is_up {
            self.start(at, of.post);
            self.look_again(at);
        }
    }
}

//! The loop: one scheduler for all machines of a run, one total order, one log.
//!
//! ```text
//!     delivery = driver.next()                    what happens next, when, to whom      the only way in
//!     machine.handle(now, input, &mut effects)    pure; cannot fail; never blocks
//!     driver.perform(outcome)                     effects, next deadline, state on demand: the only way out
//! ```
//!
//! Simulation, site and replay are three drivers of this loop. It must never know which one it has.

use alloc::vec::Vec;
use core::fmt;

use crate::ids::ControllerIndex;
use crate::log::codec;
use crate::machine::{Afterwards, Delivery, Driver, Effects, Handled, Machine, Outcome, Step};
use crate::time::Time;

/// All machines of a run.
#[derive(Clone)]
pub struct Fleet<M> {
    machines: Vec<M>,
    /// By machine: whether it failed an assertion and has not been restored.
    unfit: Vec<bool>,
    effects: Effects,
}

/// A machine's own assertion failed, or a state that it was to go on with is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// Whose assertion failed.
    pub controller: ControllerIndex,
    /// The run's time of the delivery.
    pub at: Time,
}

impl fmt::Display for Poisoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "controller {} failed an assertion at {}", self.controller, self.at)
    }
}

impl core::error::Error for Poisoned {}

/// What one turn of the loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A delivery was handled.
    Handled,
    /// The driver has nothing more: the run is over.
    Over,
}

impl<M: Machine> Fleet<M> {
    /// Gathers machines; their positions are their controllers' ids.
    pub fn new(machines: Vec<M>) -> Self {
        Self { unfit: alloc::vec![false; machines.len()], machines, effects: Effects::new() }
    }

    /// Runs until the driver has nothing more.
    ///
    /// # Errors
    /// [`Poisoned`] if a machine failed an assertion, the driver contained it, and the run ends with that.
    pub fn run<D: Driver>(&mut self, driver: &mut D) -> Result<(), Poisoned> {
        while self.turn(driver)? == Turn::Handled {}
        Ok(())
    }

    /// Handles one delivery.
    ///
    /// # Errors
    /// [`Poisoned`] as for [`Fleet::run`].
    #[inline]
    pub fn turn<D: Driver>(&mut self, driver: &mut D) -> Result<Turn, Poisoned> {
        let Some(delivery) = driver.next() else { return Ok(Turn::Over) };
        let Delivery { at, now, to, ref step } = delivery;
        let machine = &mut self.machines[to.position()];
        let effects = &mut self.effects;
        effects.clear();
        let mut deadline = None;
        let is_unfit = &mut self.unfit[to.position()];
        let mut handled = D::contain(&mut || {
            match *step {
                // What a failed assertion has left is nothing to go on with.
                Step::Boot(_) | Step::Input(_) if *is_unfit => {
                    panic!("a machine that failed is restored first")
                }
                // A restored machine wants nothing before it boots.
                Step::Restore { .. } => return,
                Step::Boot(boot) => machine.boot(now, boot, effects),
                Step::Input(ref input) => machine.handle(now, input, effects),
            }
            deadline = machine.deadline();
        });
        if let Step::Restore { state } = *step {
            match codec::decode(state) {
                Ok(restored) => (*machine, *is_unfit) = (restored, false),
                Err(codec::Undecodable) => handled = Handled::Poisoned,
            }
        }
        if handled == Handled::Poisoned {
            *is_unfit = true;
            let poisoned = Poisoned { controller: to, at };
            return match driver.failed(poisoned) {
                Afterwards::RunEnds => Err(poisoned),
                Afterwards::OthersGoOn => Ok(Turn::Handled),
            };
        }
        let outcome = Outcome { at, now, from: to, deadline, effects: &self.effects, state: machine };
        driver.perform(&outcome);
        Ok(Turn::Handled)
    }

    /// The machines by controller id.
    pub fn machines(&self) -> &[M] {
        &self.machines
    }
}

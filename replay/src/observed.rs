//! Lets others see what a replay hands to its machines, and what those make of it: effects that a log holds as digests only are
//! there again while it is replayed.

use std::io::Read;

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome};

use crate::driver::ReplayDriver;

/// Sees a replay; it changes nothing of it.
pub trait Observer {
    /// Something reaches a machine.
    fn delivery(&mut self, delivery: &Delivery<'_>);

    /// That led to something, as the log says too.
    fn outcome(&mut self, outcome: &Outcome<'_>);
}

/// Sees nothing.
impl Observer for () {
    #[inline]
    fn delivery(&mut self, _delivery: &Delivery<'_>) {}

    #[inline]
    fn outcome(&mut self, _outcome: &Outcome<'_>) {}
}

/// A replay's driver and whoever sees it.
pub(crate) struct Observed<'a, R, O> {
    pub(crate) driver: &'a mut ReplayDriver<R>,
    pub(crate) observer: &'a mut O,
}

impl<R: Read, O: Observer> Driver for Observed<'_, R, O> {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        let next = self.driver.next();
        if let Some(delivery) = &next {
            self.observer.delivery(delivery);
        }
        next
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.driver.perform(outcome);
        // What differs from the log did not happen.
        if !self.driver.has_stopped() {
            self.observer.outcome(outcome);
        }
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.driver.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        ReplayDriver::<R>::contain(run)
    }
}

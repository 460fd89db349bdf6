//! Names a run that is not recorded: the same digest as if it had been, for a few nanoseconds a delivery.

use r_ems_engine::digest::Digest;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::log::{Chains, Header, identity};
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome, State};

/// Folds what passes between a fleet and its driver.
#[derive(Clone, Debug)]
pub struct Digesting<D> {
    driver: D,
    chains: Chains,
}

impl<D: Driver> Digesting<D> {
    /// Wraps the driver of a fleet of `controllers` controllers.
    pub fn new(driver: D, controllers: usize) -> Self {
        Self { driver, chains: Chains::new(controllers) }
    }

    /// The run's digest so far. `machines` are the fleet's.
    ///
    /// # Panics
    /// If there is not one machine for each controller of the header.
    pub fn digest<S: State>(&self, header: &Header, machines: &[S]) -> Digest {
        identity(header, &self.chains, machines)
    }

    /// The chains so far.
    pub const fn chains(&self) -> &Chains {
        &self.chains
    }

    /// The inner driver.
    pub const fn driver(&self) -> &D {
        &self.driver
    }

    /// The inner driver, to be changed.
    pub const fn driver_mut(&mut self) -> &mut D {
        &mut self.driver
    }

    /// Gives the inner driver back.
    pub fn into_driver(self) -> D {
        self.driver
    }
}

impl<D: Driver> Driver for Digesting<D> {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        // Looked at where it lies: taking it apart and putting it together again would copy all of it.
        let next = self.driver.next();
        if let Some(delivery) = &next {
            self.chains.begin(delivery);
        }
        next
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.chains.fold(outcome);
        self.driver.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.driver.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}

//! A run on its way: it can be stopped anywhere, cloned there, and go on with another end or another future.

use r_ems_engine::Time;
use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::{Fleet, Poisoned};
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::Header;
use r_ems_engine::machine::Machine;
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::world::{Timed, WorldSpec};

use super::marks::{Marking, Marks};
use super::site::Variant;
use crate::names::of_spec;
use crate::study::contained::{Contained, Recovering, last_words};

/// A run on its way, with those who watch it.
#[derive(Clone)]
pub(super) struct Running<F: FunctionSet> {
    fleet: Fleet<Controller<F>>,
    driver: Contained<Marking<SimDriver>>,
    poisoned: Option<Poisoned>,
}

/// A run that is over.
pub(super) struct Ended {
    pub(super) result: RunResult,
    pub(super) marks: Marks,
    pub(super) deliveries: u64,
    /// The first assertion that failed, and what it said.
    pub(super) poisoned: Option<(Poisoned, String)>,
}

impl<F: FunctionSet> Running<F> {
    /// Stands at the beginning of a world, with the controllers of its site.
    pub(super) fn new(variant: &Variant<F>, world: WorldSpec) -> Self {
        let fleet = Fleet::new(variant.controllers.iter().map(Controller::<F>::new).collect());
        let driver = SimDriver::new(world).expect("the links of a scenario fit its plant");
        let header = Header::new(F::NAMES, variant.controllers.iter().map(of_spec).collect());
        let driver = driver.with_persistence::<_, Recovering>(&header, fleet.machines());
        let driver = Contained::new(Marking { inner: driver, marks: Marks::default(), deliveries: 0 });
        Self { fleet, driver, poisoned: None }
    }

    /// Runs to the end, unless a failed assertion has ended it before.
    pub(super) fn go_on(&mut self) {
        if self.poisoned.is_none() {
            self.poisoned = self.fleet.run(&mut self.driver).err();
        }
    }

    /// Goes on to another end with another future: see [`SimDriver::resume`].
    pub(super) fn go_on_with(&mut self, timeline: &[Timed], end: Time) {
        self.driver.inner.inner.resume(timeline.to_vec(), end);
        self.go_on();
    }

    /// Closes the books.
    pub(super) fn end(mut self) -> Ended {
        let result = self.driver.inner.inner.finish();
        let failed = self.poisoned.or_else(|| result.failures.first().copied());
        let poisoned = failed.map(|failed| (failed, self.driver.words.unwrap_or_else(last_words)));
        let Marking { marks, deliveries, .. } = self.driver.inner;
        Ended { result, marks, deliveries, poisoned }
    }

    /// How many deliveries were handled.
    pub(super) const fn deliveries(&self) -> u64 {
        self.driver.inner.deliveries
    }

    /// Whether an assertion has ended it.
    pub(super) const fn is_poisoned(&self) -> bool {
        self.poisoned.is_some()
    }

    /// Where it stands.
    pub(super) const fn now(&self) -> Time {
        self.driver.inner.inner.now()
    }

    /// Whether the same run with another timeline would stand here too.
    pub(super) fn has_begun_as(&self, timeline: &[Timed]) -> bool {
        self.driver.inner.inner.has_begun_as(timeline)
    }
}

#[cfg(test)]
impl<F: FunctionSet + std::fmt::Debug> Running<F> {
    /// All of the world and the machines, as text.
    pub(super) fn whole(&self) -> String {
        format!("{:?} {:?}", self.driver.inner.inner, self.fleet.machines())
    }
}

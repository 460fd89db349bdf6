//! A case: what is different in one run, and nothing else. The same case on the same site is the same run, bit for bit.

use r_ems_engine::{Span, Time};

use super::fault::Fault;
use super::settings::Setting;

/// What one run is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The seed of paths and links.
    pub network_seed: u64,
    /// How long it lasts.
    pub length: Span,
    /// What goes wrong, by its beginning.
    pub faults: Vec<Fault>,
    /// What of the site is calmer than its scenario says, a bit each: see [`super::site::CALMS`].
    pub calmed: u8,
    /// What else is not as the scenario says.
    pub settings: Vec<Setting>,
}

impl Case {
    /// The same case that ends so early that `at` is still seen, without what would have happened later.
    #[must_use]
    pub fn until(&self, at: Time) -> Self {
        let step = Span::from_millis(1);
        let seen = step * (at.since(Time::ZERO).whole(step) + 2);
        let length = seen.min(self.length);
        let mut faults = self.faults.clone();
        faults.retain(|fault| fault.from < length);
        for fault in &mut faults {
            fault.to = fault.to.map(|to| to.min(length));
        }
        Self { length, faults, ..self.clone() }
    }
}

/// The `count`-th part of a span.
pub(super) const fn part(span: Span, count: u64) -> Span {
    Span::from_nanos(span.as_nanos() / count)
}

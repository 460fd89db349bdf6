//! Heavy consumers: loads that ask before they start, as thrusters and cranes do on ships.
//!
//! One asks by a signal and gets its breaker closed when there is room for all that it is rated for. As long as it asks, what it
//! does not take yet is kept for it: who starts gensets counts it as load, and who gives room to others does not give it twice.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{View, Wiring};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::PointKind;
use crate::units::Watts;

/// From this share on a signal asks: a contact is told as all or nothing.
const ASKS: f64 = 0.5;

/// What a site file says about one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeavySpec {
    /// The load; its rating is what it may take when it runs.
    pub load: String,
    /// The signal by which it asks: 100 % while it wants to run, 0 % else.
    pub asks: String,
}

/// One heavy consumer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heavy {
    group: GroupIndex,
    signal: DeviceIndex,
    /// As its signal said last, if it ever did: a lost signal neither starts nor stops it.
    asks: Option<bool>,
}

impl Heavy {
    /// Finds the load and the signal.
    pub(super) fn new(spec: &HeavySpec, wiring: &mut Wiring<'_>) -> Self {
        let group = wiring.load("heavy", &spec.load);
        Self { group, signal: wiring.signal("heavy", &spec.asks), asks: None }
    }

    /// Its load.
    pub(super) const fn group(&self) -> GroupIndex {
        self.group
    }

    /// Whether it wants to run; none while that was never known.
    pub(super) const fn asks(&self) -> Option<bool> {
        self.asks
    }

    /// Sees whether it asks.
    pub(super) fn listen(&mut self, view: &View<'_>) {
        if let Some(share) = view.good(self.signal, PointKind::Signal) {
            self.asks = Some(share >= ASKS);
        }
    }

    /// What it may take beyond what it takes, as long as it asks; where that is not known, all.
    pub(super) fn pending(&self, view: &View<'_>) -> Watts {
        let taken = view.member_power(self.group, 0).map_or(Watts::ZERO, |power| -power);
        let rest = (view.rating(self.group) - taken.at_least(Watts::ZERO)).at_least(Watts::ZERO);
        if self.asks == Some(true) { rest } else { Watts::ZERO }
    }

    /// Forgets what was seen in an earlier life.
    pub(super) const fn forget(&mut self) {
        self.asks = None;
    }

    /// Passes what was seen.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.option(&mut self.asks, Carry::flag);
    }
}

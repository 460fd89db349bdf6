//! How a battery stands as a whole: what its mode says, its protection, and who stands at its panel.
//!
//! One that has tripped opens its contactors, and stays off until somebody starts it; one that a fault holds forgets its
//! set-point too, cannot be started before that is over, and then starts by itself, as its start sequence has it.
//!
//! One that is taken to its panel goes on with what it does: its timers wait for nobody then, and begin anew when it is given
//! back.

use r_ems_engine::Time;
use r_ems_engine::points::DeviceMode;

use super::{Battery, Mode};

/// Whether its protection has opened its contactors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tripped {
    /// It has not.
    #[default]
    No,
    /// It has, until somebody starts it.
    Once,
    /// It has, and nobody can start it yet.
    Held,
}

impl Battery {
    /// The mode that it tells.
    pub(super) fn device_mode(&self) -> DeviceMode {
        match (self.mode, self.tripped) {
            (Mode::Off, Tripped::Once | Tripped::Held) => DeviceMode::Fault,
            (Mode::Off, Tripped::No) => DeviceMode::Off,
            (Mode::Starting { .. }, _) => DeviceMode::Starting,
            (Mode::Ready, _) => DeviceMode::Ready,
            (Mode::Running, _) => DeviceMode::Running,
        }
    }

    /// Opens its contactors, until somebody starts it.
    pub(in super::super) fn trip(&mut self, now: Time) {
        self.trips += 1;
        self.let_go();
        self.stop(now);
        self.tripped = Tripped::Once;
    }

    /// Trips, and cannot be started before the fault is over.
    pub(in super::super) fn fail(&mut self, now: Time) {
        self.unheard = None;
        self.fall_back();
        self.trip(now);
        self.tripped = Tripped::Held;
    }

    /// The fault is over: it starts again.
    pub(in super::super) fn recover(&mut self, now: Time) {
        if self.tripped == Tripped::Held {
            self.tripped = Tripped::Once;
            self.start(now);
        }
    }

    /// Somebody stands at its panel: it goes on with what it does, and waits for nobody else.
    pub(in super::super) fn take_to_panel(&mut self) {
        (self.reverts, self.unheard) = (None, None);
    }

    /// It is controlled from afar again.
    pub(in super::super) fn give_back(&mut self, now: Time) {
        if self.is_commanded {
            self.reverts = self.spec.reversion.map(|span| now + span);
            self.unheard = self.spec.heartbeat.map(|span| now + span);
        }
    }
}

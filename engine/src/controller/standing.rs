//! Whether a device can be asked for anything, by what it says of itself: its mode, and whether it is controlled from afar.
//!
//! **A device that is controlled at its panel, or in fault, leaves its group.** The others of the group share what is decided,
//! and nothing is written to it: no set-point, no rest, no heartbeat. What it does at its panel is felt by the meter, like any
//! load, so the laws count on what is left; what one in fault still gives counts as the group's, for it will soon be nothing, and
//! the others need not wait for the meter to tell. When it comes back it begins from its measured power, at once: an operator
//! has said so.
//!
//! - Off and Starting: a battery can do nothing now, and stays in its group. The set-point of an inverter is a limit, which says
//!   nothing of what it makes: one that is off at night keeps its limit, or it would not begin to make anything in the morning.
//! - Ready: as Running, because a set-point starts it. A device that must be started otherwise tells Off until it has been.
//! - A genset's fault is told here, and is the business of its function, which alone knows when to try again: only a stop resets
//!   it.
//!
//! Without such points a device is Running and controlled from afar. While one is lost, what was known last counts; before it was
//! known once, nothing is written, as for every point that is required.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::device::EngineState;
use crate::points::{DeviceMode, Image, PointKind};

/// What a device said of itself last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// None while it was never known, or of a device that does not tell.
    mode: Option<DeviceMode>,
    has_engine_failed: bool,
    is_local: bool,
}

impl Standing {
    /// Sees what the device says of itself in this scan, and tells of a change.
    pub(super) fn look(&mut self, device: DeviceIndex, image: &Image, out: &mut Effects) {
        let before = *self;
        if let Some(mode) = image.good(device, PointKind::Mode).and_then(DeviceMode::of) {
            self.mode = Some(mode);
        }
        if let Some(state) = image.good(device, PointKind::State).and_then(EngineState::of) {
            self.has_engine_failed = state == EngineState::Fault;
        }
        if let Some(remote) = image.good(device, PointKind::Remote) {
            self.is_local = remote < 0.5;
        }
        match (before.is_local, self.is_local) {
            (false, true) => out.report(Event::DeviceLocal { device }),
            (true, false) => out.report(Event::DeviceRemote { device }),
            (false, false) | (true, true) => {}
        }
        match (before.is_in_fault(), self.is_in_fault()) {
            (false, true) => out.report(Event::DeviceFault { device }),
            (true, false) => out.report(Event::DeviceRecovered { device }),
            (false, false) | (true, true) => {}
        }
    }

    /// Its mode; none while it was never known, or of a device that does not tell.
    pub const fn mode(self) -> Option<DeviceMode> {
        self.mode
    }

    /// Whether it is controlled at its panel.
    pub const fn is_local(self) -> bool {
        self.is_local
    }

    /// Whether it has tripped, or its engine did not start.
    pub fn is_in_fault(self) -> bool {
        self.has_engine_failed || self.mode == Some(DeviceMode::Fault)
    }

    /// Whether it has left its group, and is told nothing.
    pub fn is_away(self) -> bool {
        self.is_local || self.mode == Some(DeviceMode::Fault)
    }

    /// Whether it can do something now, if it is a battery.
    pub(super) const fn is_able(self) -> bool {
        match self.mode {
            Some(DeviceMode::Off | DeviceMode::Starting | DeviceMode::Fault) => false,
            Some(DeviceMode::Ready | DeviceMode::Running) | None => true,
        }
    }
}

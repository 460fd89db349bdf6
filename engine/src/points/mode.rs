//! What a device says of itself as a whole: its mode, as the point `mode` tells by a number.

use serde::{Deserialize, Serialize};

/// The mode of a battery or an inverter.
///
/// A genset tells more of its engine: [`EngineState`](super::device::EngineState).
///
/// # Source
/// The states that management systems and inverters have in common; SunSpec's `St` of models 103 and 701 tells the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceMode {
    /// 0: it does nothing, and no set-point starts it.
    Off,
    /// 1: on its way to run, which takes as long as it takes.
    Starting,
    /// 2: it stands by, and a set-point starts it.
    Ready,
    /// 3: it does what it is told.
    Running,
    /// 4: it has tripped.
    Fault,
}

impl DeviceMode {
    /// Whether it can hold a bus, or at once take part in what holds it.
    pub const fn can_hold(self) -> bool {
        match self {
            Self::Ready | Self::Running => true,
            Self::Off | Self::Starting | Self::Fault => false,
        }
    }

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Off, Self::Starting, Self::Ready, Self::Running, Self::Fault];

    /// The mode of a number; none of what is no such number.
    pub fn of(number: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| (mode.number() - number).abs() < 0.5)
    }

    /// Its number.
    pub const fn number(self) -> f64 {
        self as u8 as f64
    }

    /// Its name in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Fault => "fault",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_the_number_of_its_place_and_what_lies_between_two_is_none() {
        for (place, mode) in DeviceMode::ALL.into_iter().enumerate() {
            assert_eq!(DeviceMode::of(place as f64), Some(mode));
        }
        assert_eq!([2.5, 4.6, -1.0, f64::NAN].map(DeviceMode::of), [None; 4]);
    }
}

//! On which side of a band around the nominal frequency a frequency is: what all laws that answer one begin with.

use serde::{Deserialize, Serialize};

use super::Wiring;
use crate::carry::Carry;
use crate::points::device::{FREQUENCY_MAX_HZ, FREQUENCY_MIN_HZ};
use crate::units::Hertz;

/// The nominal frequency unless a site says otherwise.
pub const NOMINAL_HZ: f64 = 50.0;

/// The same as a default of what a site file says.
pub(super) fn nominal() -> Hertz {
    Hertz::of(NOMINAL_HZ)
}

/// Notes a nominal frequency that no grid has.
pub(super) fn require_nominal(nominal: Hertz, wiring: &mut Wiring<'_>) {
    let is_one = (FREQUENCY_MIN_HZ..=FREQUENCY_MAX_HZ).contains(&nominal.hertz());
    let allowed = alloc::format!("from {FREQUENCY_MIN_HZ} Hz to {FREQUENCY_MAX_HZ} Hz");
    wiring.require("nominal", is_one, nominal, &allowed);
}

/// A side of a band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Side {
    /// Inside, its ends included.
    #[default]
    Within,
    /// Above it.
    Over,
    /// Below it.
    Under,
}

impl Side {
    /// The side of `frequency`, and how far it is beyond the nearest end: below 0 under the band.
    pub(super) fn of(frequency: Hertz, nominal: Hertz, half_width: Hertz) -> (Self, Hertz) {
        let (low, high) = (nominal - half_width, nominal + half_width);
        if frequency > high {
            (Self::Over, frequency - high)
        } else if frequency < low {
            (Self::Under, frequency - low)
        } else {
            (Self::Within, Hertz::ZERO)
        }
    }

    /// Passes it to another host.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.choice(self, &[Self::Within, Self::Over, Self::Under]);
    }
}

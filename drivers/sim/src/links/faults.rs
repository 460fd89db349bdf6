//! What is wrong with a device, as one controller meets it.
//!
//! A device may be late, old, wrong, silent about some values or deaf to writes, each for itself and all at once. An answer goes
//! through them in this order: it has the values of now, or those that a gateway has kept; then some of them are replaced;
//! then the device says that it vouches for none; then the last ones are left out. Writes are not touched by what answers say:
//! a gateway that repeats its cache still passes them on, and with them what function 23 reads.
//!
//! It must never change the device: the plant behind a faulty answer is as it is.

use alloc::vec::Vec;

use r_ems_engine::Span;
use r_ems_engine::machine::{Sample, Validity};

use super::MAX_DEVICE_POINTS;

/// What can be wrong with a device for one controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// Its answers come so much later, acknowledgements of writes too; a write acts when it would anyway.
    Late(Span),
    /// It goes on answering with the values that it has when this begins, as a gateway does from its cache.
    Frozen,
    /// One of its points reads a number, whatever is true.
    Wrong {
        /// The point's place among those of the device.
        place: u8,
        /// What it reads.
        reads: Reads,
    },
    /// It vouches for none of its values.
    Invalid,
    /// The second half of its points is missing; the answer of a device with one point is empty.
    Short,
    /// It refuses what is written.
    Refuses,
    /// It acknowledges what is written and takes none of it, as one does that is controlled at its panel and does not say so.
    Ignores,
    /// The connection is gone: what is under way on it is not answered, and the next one takes its time.
    Disconnected,
}

/// Whether a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It is there from now on.
    Begins,
    /// It is gone from now on.
    Ends,
}

/// A number that a device may answer with, in the point's base unit and our sign; may be anything, NaN included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads(u64);

impl Reads {
    /// The bits of the one NaN that devices answer with: what arithmetic makes of a NaN differs between processors.
    const NAN: u64 = 0x7ff8_0000_0000_0000;

    /// The number.
    pub const fn of(value: f64) -> Self {
        Self(if value.is_nan() { Self::NAN } else { value.to_bits() })
    }

    /// The number.
    pub const fn value(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// The number in the sign of a device that counts so.
    pub(super) fn turned(self, factor: f64) -> f64 {
        let value = self.value();
        if value.is_nan() { value } else { value * factor }
    }
}

/// The faults of one link that touch what is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// How much later answers come.
    pub(super) late: Span,
    /// Whether writes are refused.
    pub(super) refuses: bool,
    /// Whether writes are acknowledged and do nothing.
    pub(super) ignores: bool,
    /// What is kept of the time before.
    pub(super) kept: Option<Vec<Sample>>,
    /// By place, in the device's own sign.
    pub(super) wrong: [Option<f64>; MAX_DEVICE_POINTS],
    pub(super) is_invalid: bool,
    pub(super) is_short: bool,
}

impl Faults {
    /// Whether answers are other than what is measured.
    pub(super) fn distort(&self) -> bool {
        self.kept.is_some() || self.is_invalid || self.is_short || self.wrong.iter().any(Option::is_some)
    }

    /// Turns what was measured into what is answered, whole; `is_passed_on`: whatever a gateway has kept.
    #[cold]
    pub(super) fn apply(&self, answer: &mut Vec<Sample>, is_passed_on: bool) {
        if let Some(kept) = self.kept.as_ref().filter(|_| !is_passed_on) {
            answer.clone_from(kept);
        }
        for (sample, wrong) in answer.iter_mut().zip(&self.wrong) {
            if let Some(reads) = wrong {
                sample.value = *reads;
            }
            if self.is_invalid {
                sample.validity = Validity::Invalid;
            }
        }
    }
}

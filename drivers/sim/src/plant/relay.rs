//! An under-frequency relay: opens the breaker of a load when the frequency was too low for too long.
//!
//! It acts by itself and within milliseconds, which no energy management could: with half of the power missing the frequency of a
//! genset falls 18 Hz in a second. It closes nothing: a load that was shed comes back by command only.

use r_ems_engine::{Span, Time};

use super::lasting::Lasting;
use super::{SpecError, within};

/// Frequencies that a relay can be set to, in Hz.
pub const RELAY_HZ: (f64, f64) = (40.0, 65.0);
/// Longest delay of a relay.
const DELAY_MAX: Span = Span::from_mins(10);

/// An under-frequency relay.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    threshold_hz: f64,
    lasting: Lasting,
}

impl Relay {
    /// A relay that opens when the frequency was below `threshold_hz` for `delay`.
    ///
    /// # Errors
    /// [`SpecError::OutOfRange`] unless the threshold is from 40 to 65 Hz and the delay 10 min or less.
    pub fn new(threshold_hz: f64, delay: Span) -> Result<Self, SpecError> {
        within("shed_at", threshold_hz, RELAY_HZ.0, RELAY_HZ.1)?;
        within("shed_delay", delay.as_secs_f64(), 0.0, DELAY_MAX.as_secs_f64())?;
        Ok(Self { threshold_hz, lasting: Lasting::new(delay) })
    }

    /// The frequency below which it opens, in Hz.
    pub(super) fn threshold_hz(&self) -> f64 {
        self.threshold_hz
    }

    /// Sees the frequency at `now`, in Hz, and says whether it opens. Where there is no voltage it sees none and does nothing.
    pub(super) fn look(&mut self, frequency_hz: Option<f64>, now: Time) -> bool {
        self.lasting.look(frequency_hz.is_some_and(|hz| hz < self.threshold_hz), now)
    }

    /// When it opens if the frequency stays where it is.
    pub(super) fn due(&self) -> Time {
        self.lasting.due()
    }

    /// Forgets what it saw.
    pub(super) fn clear(&mut self) {
        self.lasting.clear();
    }
}

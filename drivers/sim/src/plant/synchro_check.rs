//! A synchro-check relay: lets a breaker close between two live sides only when they fit.
//!
//! Both sides must differ by a slip that turns the angle between them slowly, but does turn it, by little voltage, and by little
//! angle at the instant of closing. A request to close waits until they do, up to its time-out. A dead side closes at once.
//!
//! # Source
//! Slip 0.2 to 1.1 % in either direction, 0.01 per unit and 10 degrees are those of CONTROL.md section 3; the time-out of a
//! minute is ours.

use r_ems_engine::units::Ratio;
use r_ems_engine::{Span, Time};

use super::{SpecError, within};

/// What a synchro-check allows, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SynchroSpec {
    /// Least slip, as a share of the nominal frequency.
    pub slip_min: Ratio,
    /// Most slip.
    pub slip_max: Ratio,
    /// Most difference of voltage, per unit.
    pub voltage: f64,
    /// Most angle, in degrees.
    pub angle_deg: f64,
    /// How long a request waits.
    pub time_out: Span,
}

impl Default for SynchroSpec {
    fn default() -> Self {
        Self {
            slip_min: Ratio::of(0.002),
            slip_max: Ratio::of(0.011),
            voltage: 0.01,
            angle_deg: 10.0,
            time_out: Span::from_secs(60),
        }
    }
}

/// How two live sides differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of their frequencies, as a share of the nominal one.
    pub slip: f64,
    /// Of their voltages, per unit.
    pub voltage: f64,
    /// Of their angles, in turns.
    pub turns: f64,
}

/// What becomes of a request to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nobody asked.
    None,
    /// It waits.
    Waits,
    /// The breaker closes.
    Closes,
}

/// A synchro-check at run time.
#[derive(Clone, Copy, Debug)]
pub(super) struct SynchroCheck {
    spec: SynchroSpec,
    /// When a request ends that waits.
    ends: Option<Time>,
}

impl SynchroSpec {
    /// Whether every number is allowed.
    ///
    /// # Errors
    /// [`SpecError`] names the first that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        within("slip_max", self.slip_max.ratio(), 0.0, 0.2)?;
        within("slip_min", self.slip_min.ratio(), 0.0, self.slip_max.ratio())?;
        within("voltage", self.voltage, 0.0, 1.0)?;
        within("angle", self.angle_deg, 0.0, 180.0)?;
        within("time_out", self.time_out.as_secs_f64(), 0.0, 86_400.0)?;
        Ok(())
    }

    /// Whether a breaker may close.
    pub fn fits(&self, is: Difference) -> bool {
        let slip = is.slip.abs();
        (self.slip_min.ratio()..=self.slip_max.ratio()).contains(&slip)
            && is.voltage.abs() <= self.voltage
            && is.turns.abs() * 360.0 <= self.angle_deg
    }
}

impl SynchroCheck {
    pub(super) const fn new(spec: SynchroSpec) -> Self {
        Self { spec, ends: None }
    }

    /// Asks it to close; one that waits already goes on to wait.
    pub(super) fn ask(&mut self, now: Time) {
        self.ends.get_or_insert(now + self.spec.time_out);
    }

    /// Takes the request back.
    pub(super) fn forget(&mut self) {
        self.ends = None;
    }

    /// Whether a request waits.
    pub(super) fn waits(&self) -> bool {
        self.ends.is_some()
    }

    /// Sees how both sides differ at `now`.
    pub(super) fn look(&mut self, is: Difference, now: Time) -> Closing {
        let Some(ends) = self.ends else { return Closing::None };
        if self.spec.fits(is) {
            self.ends = None;
            return Closing::Closes;
        }
        if now >= ends {
            self.ends = None;
            return Closing::None;
        }
        Closing::Waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FITS: Difference = Difference { slip: 0.005, voltage: 0.005, turns: 0.01 };

    #[test]
    fn sides_fit_up_to_each_limit_and_not_beyond() {
        let spec = SynchroSpec::default();
        assert!(spec.fits(FITS) && spec.fits(Difference { slip: -0.005, voltage: -0.005, turns: -0.01 }));
        for slip in [0.002, 0.011] {
            assert!(spec.fits(Difference { slip, ..FITS }), "{slip}");
        }
        for slip in [0.0, 0.001_9, 0.011_1] {
            assert!(!spec.fits(Difference { slip, ..FITS }), "{slip}");
        }
        let fits_with =
            |voltage, degrees: f64| spec.fits(Difference { voltage, turns: degrees / 360.0, ..FITS });
        assert!(fits_with(0.01, 9.99) && !fits_with(0.010_1, 0.0) && !fits_with(0.0, 10.01));
    }

    #[test]
    fn a_request_waits_until_the_sides_fit_and_ends_with_its_time_out() {
        let at = |secs| Time::ZERO + Span::from_secs(secs);
        let apart = Difference { turns: 0.3, ..FITS };
        let mut check = SynchroCheck::new(SynchroSpec::default());
        assert_eq!(check.look(FITS, at(0)), Closing::None);
        check.ask(at(1));
        assert_eq!(check.look(apart, at(2)), Closing::Waits);
        assert_eq!(check.look(FITS, at(3)), Closing::Closes);
        check.ask(at(4));
        check.ask(at(60));
        assert_eq!(check.look(apart, at(63)), Closing::Waits);
        assert_eq!(check.look(apart, at(64)), Closing::None);
        assert!(!check.waits());
    }
}

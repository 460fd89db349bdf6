//! The reactive power of an inverter: what it was told, as far as its apparent power has room beside the active power.
//!
//! It follows at once: an inverter changes its reactive power in some tens of milliseconds, which no law here is faster than,
//! and no energy goes with it.

use r_ems_engine::math;
use r_ems_engine::units::{Vars, VoltAmperes};

use super::{SpecError, positive};

/// What an inverter injects.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReactiveOutput {
    /// None: it takes no reactive set-points.
    apparent_va: Option<f64>,
    set_point_var: f64,
}

impl ReactiveOutput {
    /// An inverter with this apparent power.
    ///
    /// # Errors
    /// [`SpecError::NotPositive`] if that is not above zero.
    pub fn new(apparent: VoltAmperes) -> Result<Self, SpecError> {
        let apparent_va = positive("apparent", apparent.volt_amperes())?;
        Ok(Self { apparent_va: Some(apparent_va), set_point_var: 0.0 })
    }

    /// Whether it takes set-points.
    pub(super) const fn is_there(&self) -> bool {
        self.apparent_va.is_some()
    }

    /// Receives a set-point.
    pub(super) fn command(&mut self, power: Vars) {
        self.set_point_var = power.vars();
    }

    /// Forgets it.
    pub(super) const fn forget(&mut self) {
        self.set_point_var = 0.0;
    }

    /// The last set-point, in var.
    pub(super) const fn set_point_var(&self) -> f64 {
        self.set_point_var
    }

    /// What is injected beside so much active power, in var.
    #[inline]
    pub(super) fn beside(&self, power_w: f64) -> f64 {
        let Some(apparent_va) = self.apparent_va else { return 0.0 };
        let left = apparent_va * apparent_va - power_w * power_w;
        let most = if left > 0.0 { math::sqrt(left) } else { 0.0 };
        self.set_point_var.clamp(-most, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_active_power_leaves_no_room_for_is_not_injected() {
        let mut output = ReactiveOutput::new(VoltAmperes::of(300e3)).expect("an inverter");
        output.command(Vars::of(250e3));
        assert_eq!(output.beside(0.0), 250e3);
        assert_eq!(output.beside(240e3), 180e3, "300² = 240² + 180²");
        assert_eq!(output.beside(-300e3), 0.0);
        assert_eq!(ReactiveOutput::default().beside(0.0), 0.0);
    }
}

//! The grid behind a connection: a voltage source behind an impedance, at a frequency that nobody on the bus moves.
//!
//! # Source
//! The Thévenin equivalent at the point of common coupling, per unit of its nominal voltage: with P and Q exported,
//! b = E² + 2(RP + XQ), c = (R² + X²)(P² + Q²), V² = (b + √(b² − 4c))/2. Check: 4 MVA, R/X 1, 400 kW: export 1.064, import 0.920.

use r_ems_engine::{Time, math};

use super::{SpecError, positive, within};
use crate::sources::{Line, Segment, Source, instant_after};

/// Nominal frequency unless a scenario says otherwise, in Hz.
pub const NOMINAL_HZ: f64 = 50.0;
/// Nominal voltage, of which all voltages are multiples.
pub const NOMINAL_PU: f64 = 1.0;
/// Ratio of resistance to reactance unless a scenario says otherwise: ours, between cables (above 1) and overhead lines (below).
pub const R_TO_X: f64 = 1.0;
/// Largest ratio of resistance to reactance.
const R_TO_X_MAX: f64 = 100.0;

/// What lies between the source and the bus, per unit of voltage and VA.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impedance {
    resistance: f64,
    reactance: f64,
}

/// The source and what lies before it.
#[derive(Clone, Debug)]
pub struct GridSource {
    impedance: Impedance,
    voltage: Signal,
    frequency: Signal,
}

/// A value over time that may be set to another one.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    source: Source,
    line: Line,
    /// What it was set to, whatever its source says.
    set: Option<f64>,
}

/// What a connection has besides its power.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Electrical {
    /// Reactive power into the bus, in var.
    pub reactive_var: f64,
    /// Voltage, as a multiple of the nominal one; 0 where nobody holds it.
    pub voltage_pu: f64,
    /// Frequency, in Hz; 0 where nobody holds it.
    pub frequency_hz: f64,
}

impl Impedance {
    /// The impedance of a grid with a short-circuit power in VA.
    ///
    /// # Errors
    /// [`SpecError`] if that is not above zero, or the ratio of resistance to reactance is negative or above 100.
    pub fn new(short_circuit_va: f64, r_to_x: f64) -> Result<Self, SpecError> {
        let magnitude = 1.0 / positive("short_circuit", short_circuit_va)?;
        let ratio = within("r_to_x", r_to_x, 0.0, R_TO_X_MAX)?;
        let reactance = magnitude / math::sqrt(1.0 + ratio * ratio);
        Ok(Self { resistance: ratio * reactance, reactance })
    }

    /// The voltage at the bus behind a source of `source_pu` from which `power_w` and `reactive_var` flow into the bus; none if
    /// the source cannot carry them: the voltage collapses.
    pub fn voltage(self, source_pu: f64, power_w: f64, reactive_var: f64) -> Option<f64> {
        let Self { resistance, reactance } = self;
        // What flows into the bus is the opposite of what is exported.
        let along = resistance * power_w + reactance * reactive_var;
        let b = source_pu * source_pu - 2.0 * along;
        let squares = power_w * power_w + reactive_var * reactive_var;
        let c = (resistance * resistance + reactance * reactance) * squares;
        let left = b * b - 4.0 * c;
        if b <= 0.0 || left < 0.0 {
            return None;
        }
        Some(math::sqrt(0.5 * (b + math::sqrt(left))))
    }
}

impl GridSource {
    /// A source of `voltage` (multiples of the nominal one) at `frequency` (Hz) behind `impedance`.
    pub fn new(impedance: Impedance, voltage: Source, frequency: Source) -> Self {
        Self { impedance, voltage: Signal::new(voltage), frequency: Signal::new(frequency) }
    }

    /// The next instant at which one of its values goes on in another line.
    pub(super) fn breakpoint(&self) -> Time {
        self.voltage.until().min(self.frequency.until())
    }

    /// Does what is due at `now`.
    pub(super) fn pass(&mut self, now: Time) {
        self.voltage.pass(now);
        self.frequency.pass(now);
    }

    /// Sets the source's voltage or its frequency; none: it follows its own course again.
    pub(super) fn set(&mut self, what: GridValue, value: Option<f64>) {
        match what {
            GridValue::Voltage => self.voltage.set(value),
            GridValue::Frequency => self.frequency.set(value),
        }
    }

    /// Whether both of its values stay as they are and nothing lies before it.
    #[inline]
    pub(super) fn is_stiff(&self) -> bool {
        let Impedance { resistance, reactance } = self.impedance;
        resistance + reactance <= 0.0 && self.voltage.is_constant() && self.frequency.is_constant()
    }

    /// Its frequency at `at`, in Hz.
    pub(super) fn frequency_hz(&self, at: Time) -> f64 {
        self.frequency.at(at)
    }

    /// The voltage of its source at `at`, which is that of a connection through which nothing flows.
    pub(super) fn voltage_pu(&self, at: Time) -> f64 {
        self.voltage.at(at)
    }

    /// When its frequency falls below `threshold_hz`, as far as its present line says; never if it is below.
    pub(super) fn falls_below(&self, threshold_hz: f64, now: Time) -> Time {
        self.frequency.falls_below(threshold_hz, now)
    }

    /// The same of its voltage.
    pub(super) fn sinks_below(&self, threshold_pu: f64, now: Time) -> Time {
        self.voltage.falls_below(threshold_pu, now)
    }

    /// What the bus has when so much flows into it; a voltage of 0 where it collapses.
    pub(super) fn electrical(&self, at: Time, power_w: f64, reactive_var: f64) -> Electrical {
        let voltage = self.impedance.voltage(self.voltage.at(at), power_w, reactive_var);
        Electrical {
            reactive_var: reactive_var + 0.0,
            voltage_pu: voltage.unwrap_or(0.0),
            frequency_hz: self.frequency.at(at),
        }
    }
}

/// What of a grid can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GridValue {
    /// The voltage of its source.
    Voltage,
    /// Its frequency.
    Frequency,
}

impl Signal {
    pub(super) const fn new(source: Source) -> Self {
        Self { source, line: Line::ended(), set: None }
    }

    /// Sets it whatever its source says; none: it follows that again.
    pub(super) const fn set(&mut self, value: Option<f64>) {
        self.set = value;
    }

    /// Whether it follows its source, which goes on as it is for ever.
    fn is_constant(&self) -> bool {
        self.set.is_none() && self.line.until() == Time::MAX
    }

    pub(super) fn until(&self) -> Time {
        if self.set.is_some() { Time::MAX } else { self.line.until() }
    }

    pub(super) fn pass(&mut self, now: Time) {
        if self.set.is_none() && now >= self.line.until() {
            self.line = Line::new(now, self.source.segment(now));
        }
    }

    /// When it falls below `threshold`, as far as its present line says; never if it is below.
    fn falls_below(&self, threshold: f64, now: Time) -> Time {
        if self.set.is_some() {
            return Time::MAX;
        }
        let Segment { value, slope_per_s, until } = self.line.rest(now);
        if slope_per_s < 0.0 && value >= threshold {
            instant_after(now, (threshold - value) / slope_per_s).min(until)
        } else {
            Time::MAX
        }
    }

    pub(super) fn at(&self, at: Time) -> f64 {
        self.set.unwrap_or_else(|| self.line.at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weak_grid() -> Impedance {
        Impedance::new(4e6, 1.0).expect("a grid of 4 MVA")
    }

    #[test]
    fn the_voltage_is_that_of_the_source_behind_its_impedance() {
        let voltage = |power_w| weak_grid().voltage(1.0, power_w, 0.0).expect("carries 400 kW");
        assert!((voltage(-400e3) - 1.064).abs() < 5e-4, "{}", voltage(-400e3));
        assert!((voltage(400e3) - 0.920).abs() < 5e-4, "{}", voltage(400e3));
        assert_eq!(voltage(0.0), 1.0);
    }

    #[test]
    fn what_the_source_cannot_carry_is_a_collapse() {
        // With R = X the most that can be drawn at unity power factor is S/(2 (1 + cos 45°)).
        let most_w = 4e6 / (2.0 * (1.0 + math::sqrt(0.5)));
        assert!(weak_grid().voltage(1.0, most_w * 0.999, 0.0).is_some());
        assert_eq!(weak_grid().voltage(1.0, most_w * 1.001, 0.0), None);
    }

    #[test]
    fn a_grid_without_power_or_with_a_negative_resistance_is_none() {
        for (power, ratio) in [(0.0, 1.0), (-1.0, 1.0), (4e6, -0.1), (4e6, 101.0), (f64::NAN, 1.0)] {
            assert!(Impedance::new(power, ratio).is_err(), "{power} {ratio}");
        }
    }

    proptest! {
        /// The phasor equation itself: E = V + Z·conj(S/V) with S into the bus.
        #[test]
        fn the_closed_form_solves_the_circuit(
            power_w in -8e5..8e5, reactive_var in -8e5..8e5, source_pu in 0.9..1.1, ratio in 0.0..5.0
        ) {
            let impedance = Impedance::new(4e6, ratio).expect("a grid of 4 MVA");
            if let Some(voltage) = impedance.voltage(source_pu, power_w, reactive_var) {
                let Impedance { resistance, reactance } = impedance;
                let real = voltage + (resistance * power_w + reactance * reactive_var) / voltage;
                let imaginary = (reactance * power_w - resistance * reactive_var) / voltage;
                let source = math::sqrt(real * real + imaginary * imaginary);
                prop_assert!((source - source_pu).abs() < 1e-9, "{source} {source_pu}");
            }
        }
    }
}

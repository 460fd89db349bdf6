//! Finite quantities with units: what cannot hold NaN, infinity or a negative zero cannot spread them.
//!
//! Each type wraps an `f64` in SI base units (W, Wh, Hz, …). Arithmetic checks its result, so that a law whose number
//! leaves the finite range stops its controller at that place and not three functions later. `-0.0` becomes `+0.0`, because
//! the two are equal and hash differently.

use core::fmt;
use core::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use core::str::FromStr;

use alloc::string::String;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{self, TextError, Unit};
use crate::time::Span;

/// What active and reactive power have in common: the arithmetic of an interval.
pub trait Amount:
    Copy
    + fmt::Debug
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + AddAssign
    + Neg<Output = Self>
    + Mul<f64, Output = Self>
{
    /// Nothing of it.
    const ZERO: Self;

    /// The number in base units.
    fn base(self) -> f64;

    /// The smaller of two.
    fn at_most(self, other: Self) -> Self;

    /// The larger of two.
    fn at_least(self, other: Self) -> Self;

    /// Moved to the nearest end of `[low, high]` if outside; `low` wins if they cross.
    fn within(self, low: Self, high: Self) -> Self {
        self.at_most(high).at_least(low)
    }

    /// The magnitude.
    fn abs(self) -> Self {
        if self < Self::ZERO { -self } else { self }
    }
}

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $make:ident, $read:ident, $example:literal, [$($symbol:literal = $scale:expr),+]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);
            const UNITS: &'static [Unit] = &[$(($symbol, $scale)),+];

            /// Takes a number in base units; `None` for NaN and infinities.
            pub fn new(value: f64) -> Option<Self> {
                // Adding zero turns −0.0 into +0.0 and changes no other number.
                if value.is_finite() { Some(Self(value + 0.0)) } else { None }
            }

            /// Takes a number in base units that our own arithmetic made.
            ///
            /// # Panics
            /// If the number is not finite: a law is broken, and its controller must stop.
            #[inline]
            pub fn $make(value: f64) -> Self {
                assert!(value.is_finite(), concat!(stringify!($name), " must be finite"));
                Self(value + 0.0)
            }

            /// The number in base units.
            #[inline]
            pub const fn $read(self) -> f64 {
                self.0
            }

            /// The smaller of two.
            #[inline]
            pub fn at_most(self, other: Self) -> Self {
                if other.0 < self.0 { other } else { self }
            }

            /// The larger of two.
            #[inline]
            pub fn at_least(self, other: Self) -> Self {
                if other.0 > self.0 { other } else { self }
            }

            /// Moved to the nearest end of `[low, high]` if outside; `low` wins if they cross.
            #[inline]
            pub fn within(self, low: Self, high: Self) -> Self {
                self.at_most(high).at_least(low)
            }

            /// The magnitude.
            #[inline]
            pub fn abs(self) -> Self {
                Self(self.0.abs())
            }
        }

        impl Amount for $name {
            const ZERO: Self = Self::ZERO;

            #[inline]
            fn base(self) -> f64 {
                self.0
            }

            #[inline]
            fn at_most(self, other: Self) -> Self {
                self.at_most(other)
            }

            #[inline]
            fn at_least(self, other: Self) -> Self {
                self.at_least(other)
            }
        }

        impl Add for $name {
            type Output = Self;
            #[inline]
            fn add(self, other: Self) -> Self {
                Self::$make(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            #[inline]
            fn sub(self, other: Self) -> Self {
                Self::$make(self.0 - other.0)
            }
        }

        impl AddAssign for $name {
            #[inline]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            #[inline]
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }

        impl Neg for $name {
            type Output = Self;
            #[inline]
            fn neg(self) -> Self {
                Self::$make(-self.0)
            }
        }

        impl Mul<f64> for $name {
            type Output = Self;
            #[inline]
            fn mul(self, factor: f64) -> Self {
                Self::$make(self.0 * factor)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                text::write(f, self.0, Self::UNITS)
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                let value = text::parse(text, Self::UNITS, $example)?;
                Ok(Self(value + 0.0))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_f64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(D::Error::custom)
                } else {
                    let value = f64::deserialize(deserializer)?;
                    Self::new(value).ok_or_else(|| D::Error::custom("a quantity must be finite"))
                }
            }
        }
    };
}

unit!(
    /// Active power. A point's power is positive into the bus: discharge, generation, import.
    Watts, of, watts, "500 kW", ["W" = 1.0, "kW" = 1e3, "MW" = 1e6, "GW" = 1e9]
);
unit!(
    /// Energy in watt-hours.
    WattHours, of, watt_hours, "500 kWh", ["Wh" = 1.0, "kWh" = 1e3, "MWh" = 1e6, "GWh" = 1e9]
);
unit!(
    /// Frequency.
    Hertz, of, hertz, "50.2 Hz", ["Hz" = 1.0, "kHz" = 1e3]
);
unit!(
    /// Reactive power. A point's reactive power is positive if it is injected into the bus.
    Vars, of, vars, "100 kvar", ["var" = 1.0, "kvar" = 1e3, "Mvar" = 1e6]
);
unit!(
    /// Apparent power, such as the rating of an inverter or the short-circuit power of a grid.
    VoltAmperes, of, volt_amperes, "4 MVA", ["VA" = 1.0, "kVA" = 1e3, "MVA" = 1e6, "GVA" = 1e9]
);
unit!(
    /// A multiple of a nominal value, such as that of a voltage.
    PerUnit, of, per_unit, "1.05 pu", ["pu" = 1.0]
);
unit!(
    /// Voltage.
    Volts, of, volts, "400 V", ["V" = 1.0, "kV" = 1e3]
);
unit!(
    /// How fast a power may change.
    WattsPerSecond, of, watts_per_second, "50 kW/s",
    ["W/s" = 1.0, "W/min" = 1.0 / 60.0, "kW/min" = 1e3 / 60.0, "kW/s" = 1e3, "MW/min" = 1e6 / 60.0, "MW/s" = 1e6]
);

impl Watts {
    /// The energy of this power over `span`.
    pub fn over(self, span: Span) -> WattHours {
        WattHours::of(self.0 * span.as_hours_f64())
    }
}

impl WattsPerSecond {
    /// The change in `span` at this rate.
    pub fn over(self, span: Span) -> Watts {
        Watts::of(self.0 * span.as_secs_f64())
    }
}

/// A dimensionless share: state of charge, fill level, ramp as part of a rating.
///
/// Written "50 %", "600 ppm" or as a bare number, where 1 is the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);
    /// The whole.
    pub const ONE: Self = Self(1.0);
    const UNITS: &'static [Unit] = &[("ppm", 1e-6), ("%", 1e-2)];

    /// Takes a number, where 1 is the whole; `None` for NaN and infinities.
    pub fn new(value: f64) -> Option<Self> {
        if value.is_finite() { Some(Self(value + 0.0)) } else { None }
    }

    /// Takes a number that our own arithmetic made.
    ///
    /// # Panics
    /// If the number is not finite.
    pub fn of(value: f64) -> Self {
        assert!(value.is_finite(), "Ratio must be finite");
        Self(value + 0.0)
    }

    /// The number, where 1 is the whole.
    #[inline]
    pub const fn ratio(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A percentage is exact only by luck; the shorter text that reads back to the same number is taken.
        let percent = self.0 * 100.0;
        if percent / 100.0 == self.0 { write!(f, "{percent} %") } else { write!(f, "{}", self.0) }
    }
}

impl FromStr for Ratio {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let percent = text.trim().strip_suffix('%').map(str::trim_end);
        if let Some(Ok(value)) =
            percent.map(|number| text::parse(&alloc::format!("{number} x"), &[("x", 1.0)], ""))
        {
            // Dividing is exact where multiplying by 0.01 is not: "15 %" is 0.15.
            return Ok(Self(value / 100.0 + 0.0));
        }
        text::parse(text, Self::UNITS, "50 %").map(|value| Self(value + 0.0))
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Ratio;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as \"50 %\", \"600 ppm\" or 0.5")
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Ratio, E> {
                Ratio::new(value).ok_or_else(|| E::custom("a share must be finite"))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Ratio, E> {
                self.visit_f64(value as f64)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Ratio, E> {
                self.visit_f64(value as f64)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Ratio, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Visitor)
        } else {
            deserializer.deserialize_f64(Visitor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn quantities_read_as_they_are_written() {
        for text in ["0 W", "500 kW", "-1.5 MW", "999 W", "0.1 W"] {
            let power: Watts = text.parse().expect("a power in canonical form");
            assert_eq!(power.to_string(), text);
        }
        assert_eq!("50.2 Hz".parse::<Hertz>().map(Hertz::hertz), Ok(50.2));
        assert_eq!("15 %".parse::<Ratio>().map(Ratio::ratio), Ok(0.15));
        assert_eq!("600 ppm".parse::<Ratio>().map(|ratio| ratio.to_string()), Ok("0.06 %".to_string()));
    }

    #[test]
    fn what_is_not_finite_or_has_no_known_unit_is_refused_and_the_units_are_named() {
        for text in ["NaN kW", "inf W", "1e400 W", "5", "5 kWh", "kW", "", "5kW x"] {
            assert!(text.parse::<Watts>().is_err(), "{text} is no power");
        }
        let message = "5 kWh".parse::<Watts>().expect_err("an energy is no power").to_string();
        assert_eq!(
            message,
            "expected a number and a unit (W, kW, MW, GW), such as \"500 kW\", got \"5 kWh\""
        );
    }

    #[test]
    fn negative_zero_becomes_zero() {
        assert_eq!((-Watts::ZERO).watts().to_bits(), 0);
        assert_eq!(Watts::of(-0.0).watts().to_bits(), 0);
        assert_eq!((Watts::of(1.0) * -0.0).watts().to_bits(), 0);
    }

    #[test]
    fn every_finite_power_survives_its_text() {
        for value in [1.0 / 3.0, 123_456.789, 1e-300, 1.7e308, -250_000.1, 220_000.0, 7e5 / 3.0] {
            let text = Watts::of(value).to_string();
            assert_eq!(text.parse::<Watts>().map(Watts::watts), Ok(value), "{text}");
        }
    }
}

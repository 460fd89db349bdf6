//! Text forms of quantities: "500 kW", "1 h 30 min", "50.2 Hz", both ways and without loss.
//!
//! A quantity is a number, a space and a unit from a fixed table. What is written is what is read again, bit for bit: the
//! largest unit is used whose text parses back to the same number, else the base unit. Spans are sums of whole or
//! decimal parts and are exact to the nanosecond.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Span;

/// One unit of a table: its symbol and how many base units it holds.
pub type Unit = (&'static str, f64);

/// Longest text that is looked at; longer ones are refused before anything is parsed.
pub const MAX_QUANTITY_CHARS: usize = 64;

/// Says why a text is no quantity: what was found and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The text as found, shortened to [`MAX_QUANTITY_CHARS`].
    pub found: String,
    /// What is allowed, as a sentence part: `a number and a unit (W, kW, MW), such as "500 kW"`.
    pub allowed: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got \"{}\"", self.allowed, self.found)
    }
}

impl core::error::Error for TextError {}

/// Makes the error for `found`, listing the units of `units`.
pub(crate) fn error(found: &str, units: &[Unit], example: &str) -> TextError {
    let names: alloc::vec::Vec<&str> = units.iter().map(|unit| unit.0).collect();
    let found = found.chars().take(MAX_QUANTITY_CHARS).collect();
    TextError { found, allowed: format!("a number and a unit ({}), such as \"{example}\"", names.join(", ")) }
}

/// Reads `number unit`, in base units; the number must be finite.
pub(crate) fn parse(text: &str, units: &[Unit], example: &str) -> Result<f64, TextError> {
    let fail = || error(text, units, example);
    if text.len() > MAX_QUANTITY_CHARS {
        return Err(fail());
    }
    let (number, unit) = text.trim().split_once(' ').ok_or_else(fail)?;
    let scale = units.iter().find(|known| known.0 == unit.trim()).ok_or_else(fail)?.1;
    let value = decimal(number).ok_or_else(fail)? * scale;
    if value.is_finite() { Ok(value) } else { Err(fail()) }
}

/// Writes `value` (base units) with the largest unit that loses nothing.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, value: f64, units: &[Unit]) -> fmt::Result {
    let (base, _) = units[0];
    let best = units.iter().rev().find_map(|(symbol, scale)| {
        let number = (value / scale).to_string();
        let exact = decimal(&number).is_some_and(|back| back * scale == value);
        (value.abs() >= *scale && exact && number.len() <= 12).then_some((number, symbol))
    });
    match best {
        Some((number, symbol)) => write!(f, "{number} {symbol}"),
        None if value != 0.0 && !(1e-6..1e15).contains(&value.abs()) => write!(f, "{value:e} {base}"),
        None => write!(f, "{value} {base}"),
    }
}

/// Reads a plain decimal number: digits, sign, point and exponent, but no "inf" and no "NaN".
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !plain {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// The units of a span, in nanoseconds.
const SPAN_UNITS: [(&str, u64); 9] = [
    ("week", 604_800_000_000_000),
    ("day", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("µs", 1_000),
    ("us", 1_000),
    ("ns", 1),
];

impl FromStr for Span {
    type Err = TextError;

    /// Reads "30 min", "1 h 30 min", "2 days", "1.5 s"; parts add up.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let fail = || TextError {
            found: text.chars().take(MAX_QUANTITY_CHARS).collect(),
            allowed: String::from("a span in week, day, h, min, s, ms, us or ns, such as \"1 h 30 min\""),
        };
        if text.len() > MAX_QUANTITY_CHARS {
            return Err(fail());
        }
        let mut words = text.split_whitespace();
        let mut total: Option<u64> = None;
        while let Some(number) = words.next() {
            let unit = words.next().ok_or_else(fail)?;
            let nanos = span_part(number, unit).ok_or_else(fail)?;
            total = Some(total.unwrap_or(0).checked_add(nanos).ok_or_else(fail)?);
        }
        total.map(Self::from_nanos).ok_or_else(fail)
    }
}

/// Reads one part of a span exactly: whole units plus at most nine decimals.
fn span_part(number: &str, unit: &str) -> Option<u64> {
    let singular = match unit {
        "days" => "day",
        "weeks" => "week",
        other => other,
    };
    let scale = SPAN_UNITS.iter().find(|known| known.0 == singular)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let mut nanos = u128::from(whole.parse::<u64>().ok()?) * u128::from(scale);
    if !fraction.is_empty() {
        let tenth_power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos += u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale) / tenth_power;
    }
    u64::try_from(nanos).ok()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_nanos();
        if rest == 0 {
            return f.write_str("0 s");
        }
        let mut first = true;
        for (symbol, scale) in SPAN_UNITS {
            // One spelling of each unit: "us" reads more reliably than "µs" in a terminal.
            if symbol == "week" || symbol == "µs" {
                continue;
            }
            let count = rest / scale;
            rest %= scale;
            if count > 0 {
                let space = if first { "" } else { " " };
                let plural = if symbol == "day" && count > 1 { "s" } else { "" };
                write!(f, "{space}{count} {symbol}{plural}")?;
                first = false;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.as_nanos())
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Self::from_nanos)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_they_are_written() {
        for text in ["0 s", "1 ns", "30 min", "1 h 30 min", "2 days 3 h", "1 day", "100 ms", "18 h 10 min"] {
            let span: Span = text.parse().expect("a span in canonical form");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("1.5 s".parse(), Ok(Span::from_millis(1_500)));
        assert_eq!("1 week".parse(), Ok(Span::from_hours(168)));
    }

    #[test]
    fn spans_that_are_none_are_refused() {
        for text in ["", "5", "5 parsecs", "-1 s", "1 s 2", "NaN s", "99999999999999999999 s", "1e3 s", ". s"]
        {
            assert!(text.parse::<Span>().is_err(), "{text} is no span");
        }
    }
}

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
fn error(found: &str, units: &[Unit], example: &str) -> TextError {
    let names: alloc::vec::Vec<&str> = units.iter().map(|unit| unit.0).collect();
    refused(found, format!("a number and a unit ({}), such as \"{example}\"", names.join(", ")))
}

/// Reads `number unit`, in base units; the number must be finite.
pub(crate) fn parse(text: &str, units: &[Unit], example: &str) -> Result<f64, TextError> {
    if text.len() > MAX_QUANTITY_CHARS {
        return Err(error(text, units, example));
    }
    match quantity(text, units) {
        Some(value) if value.is_finite() => Ok(value),
        Some(_) => {
            Err(refused(text, format!("a finite number, such as \"{example}\" (this one is out of range)")))
        }
        None => match with_spaces(text).filter(|spaced| quantity(spaced, units).is_some()) {
            Some(spaced) => Err(refused(text, missing_space(&spaced))),
            None => Err(error(text, units, example)),
        },
    }
}

/// Reads `number unit`; infinite if the number is too large.
fn quantity(text: &str, units: &[Unit]) -> Option<f64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let scale = units.iter().find(|known| known.0 == unit.trim())?.1;
    Some(plain(number)? * scale)
}

fn refused(found: &str, allowed: String) -> TextError {
    TextError { found: found.chars().take(MAX_QUANTITY_CHARS).collect(), allowed }
}

fn missing_space(spaced: &str) -> String {
    format!("a space between number and unit: write \"{spaced}\"")
}

/// The text with a space between each number and the word beside it; none if nothing is missing.
fn with_spaces(text: &str) -> Option<String> {
    let is_of_number = |letter: char| letter.is_ascii_digit() || "+-.".contains(letter);
    let mut spaced = String::new();
    let mut last = ' ';
    for letter in text.trim().chars() {
        let is_seam = is_of_number(letter) != is_of_number(last);
        if is_seam && !letter.is_whitespace() && !last.is_whitespace() {
            spaced.push(' ');
        }
        spaced.push(letter);
        last = letter;
    }
    (spaced != text.trim()).then_some(spaced)
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
    plain(text).filter(|value| value.is_finite())
}

/// The same, which is infinite if the number is too large.
fn plain(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_plain { text.parse::<f64>().ok() } else { None }
}

const DAY_NS: u64 = 86_400_000_000_000;

/// The units of a span, in nanoseconds.
const SPAN_UNITS: [(&str, u64); 9] = [
    ("week", 604_800_000_000_000),
    ("day", DAY_NS),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("µs", 1_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is no span.
enum NoSpan {
    /// Its form is another.
    Form,
    /// It is negative or too long.
    OutOfRange,
}

impl FromStr for Span {
    type Err = TextError;

    /// Reads "30 min", "1 h 30 min", "2 days", "1.5 s"; parts add up.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = "a span in week, day (d), h, min, s, ms, us or ns, such as \"1 h 30 min\"";
        if text.len() > MAX_QUANTITY_CHARS {
            return Err(refused(text, form.into()));
        }
        span_of(text).map_err(|reason| match reason {
            NoSpan::OutOfRange => {
                let days = Self::MAX.as_nanos() / DAY_NS;
                refused(text, format!("a span from 0 s to {days} days (this one is out of range)"))
            }
            NoSpan::Form => match with_spaces(text).filter(|spaced| span_of(spaced).is_ok()) {
                Some(spaced) => refused(text, missing_space(&spaced)),
                None => refused(text, form.into()),
            },
        })
    }
}

/// Adds the parts of a span up.
fn span_of(text: &str) -> Result<Span, NoSpan> {
    let mut words = text.split_whitespace();
    let mut total: Option<u64> = None;
    while let Some(number) = words.next() {
        let unit = words.next().ok_or(NoSpan::Form)?;
        let nanos = span_part(number, unit)?;
        total = Some(total.unwrap_or(0).checked_add(nanos).ok_or(NoSpan::OutOfRange)?);
    }
    total.map(Span::from_nanos).ok_or(NoSpan::Form)
}

/// Reads one part of a span exactly: whole units plus at most nine decimals.
fn span_part(number: &str, unit: &str) -> Result<u64, NoSpan> {
    let singular = match unit {
        "d" | "days" => "day",
        "weeks" => "week",
        other => other,
    };
    let scale = SPAN_UNITS.iter().find(|known| known.0 == singular).ok_or(NoSpan::Form)?.1;
    let magnitude = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(NoSpan::Form);
    }
    let whole: u64 = whole.parse().map_err(|_| NoSpan::OutOfRange)?;
    let mut nanos = u128::from(whole) * u128::from(scale);
    if !fraction.is_empty() {
        let parts: u64 = fraction.parse().map_err(|_| NoSpan::Form)?;
        nanos += u128::from(parts) * u128::from(scale) / 10_u128.pow(fraction.len() as u32);
    }
    if magnitude.len() < number.len() {
        return Err(NoSpan::OutOfRange);
    }
    u64::try_from(nanos).map_err(|_| NoSpan::OutOfRange)
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
    fn what_is_missing_or_out_of_range_is_said() {
        let span = |text: &str| text.parse::<Span>().expect_err("no span").allowed;
        assert_eq!(span("36h"), "a space between number and unit: write \"36 h\"");
        assert_eq!(span("1h30min"), "a space between number and unit: write \"1 h 30 min\"");
        for text in ["99999999999999999999 s", "-1 s", "500000 days", "213503 days 24 h"] {
            assert_eq!(span(text), "a span from 0 s to 213503 days (this one is out of range)", "{text}");
        }
        let power = |text: &str| text.parse::<crate::units::Watts>().expect_err("no power").allowed;
        assert_eq!(power("225kW"), "a space between number and unit: write \"225 kW\"");
        assert_eq!(power("1e400 W"), "a finite number, such as \"500 kW\" (this one is out of range)");
        assert!(power("225 kWh").starts_with("a number and a unit"));
        assert_eq!("7 d".parse(), Ok(Span::from_hours(168)));
    }

    #[test]
    fn spans_that_are_none_are_refused() {
        for text in ["", "5", "5 parsecs", "-1 s", "1 s 2", "NaN s", "99999999999999999999 s", "1e3 s", ". s"]
        {
            assert!(text.parse::<Span>().is_err(), "{text} is no span");
        }
    }
}

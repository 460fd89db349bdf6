//! Quantities as people write them: three or four figures and the unit that fits.

use r_ems_engine::Span;

/// A power: "220.0 kW".
pub fn power(watts: f64) -> String {
    scaled(watts, "W")
}

/// An energy: "12.3 MWh".
pub fn energy(watt_hours: f64) -> String {
    scaled(watt_hours, "Wh")
}

/// A share: "86.4 %".
pub fn percent(share: f64) -> String {
    format!("{:.1} %", clean(share * 100.0, 0.05))
}

/// A count: "6 048 000" is read at a glance, "6048000" is not.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A second as clocks show it with the `fraction` of it behind: in front of the name that a time has which comes twice.
pub fn with_fraction(second: &str, fraction: &str) -> String {
    match second.rsplit_once(' ').filter(|parts| !parts.1.contains(':')) {
        Some((clock, name)) => format!("{clock}{fraction} {name}"),
        None => format!("{second}{fraction}"),
    }
}

/// An amount of money: "1,234.50 EUR".
pub fn money(amount: f64, currency: &str) -> String {
    let cents = (amount.abs() * 100.0).round();
    // `as` saturates: an amount that large is shown as one.
    let sign = if amount < 0.0 && cents > 0.0 { "-" } else { "" };
    format!("{sign}{}.{:02} {currency}", count((cents / 100.0) as u64), (cents % 100.0) as u64)
}

/// A number in a base unit that is known by its symbol: W, Wh, s, events, number for what has no unit, or 1 for a share.
pub fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "1" => percent(value),
        // Prefixes say nothing here, and the third figure behind the point does.
        "pu" | "Hz" => format!("{:.3} {unit}", clean(value, 0.000_5)),
        "s" if value < 0.0 => format!("-{}", duration(Span::from_secs_f64(-value))),
        "s" => duration(Span::from_secs_f64(value)),
        "number" => plain(value, 3),
        "money" => format!("{:.2}", clean(value, 0.005)),
        "events" => format!("{value} events"),
        unit => scaled(value, unit),
    }
}

/// A number with so many decimals at most.
fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn scaled(value: f64, unit: &str) -> String {
    const STEPS: [(f64, &str); 4] = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
    let magnitude = value.abs();
    // Rounding to one decimal must not give "1000.0 kW".
    let fits = |step: &&(f64, &str)| magnitude >= step.0 * 0.99995;
    let (factor, prefix) = STEPS.iter().find(fits).copied().unwrap_or((1.0, ""));
    let decimals = usize::from(factor > 1.0 || magnitude < 100.0) + usize::from(factor > 1e3);
    let smallest = 0.5 * [1.0, 0.1, 0.01][decimals];
    let shown = clean(value / factor, smallest);
    if shown.abs() < smallest { format!("0 {unit}") } else { format!("{shown:.decimals$} {prefix}{unit}") }
}

/// What would be shown as "-0.0" is zero.
fn clean(value: f64, smallest: f64) -> f64 {
    if value.abs() < smallest { 0.0 } else { value }
}

/// A length of time in its two largest units: "16 h 30 min". What is shown can be typed where a span is asked for.
pub fn duration(span: Span) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "h"), (60, "min"), (1, "s")];
    let nanos = span.as_nanos();
    if nanos == 0 {
        return "0 s".to_owned();
    }
    if nanos < 1_000_000 {
        return format!("{:.1} us", nanos as f64 / 1e3);
    }
    if nanos < 1_000_000_000 {
        return format!("{:.0} ms", nanos as f64 / 1e6);
    }
    if nanos < 60_000_000_000 {
        let seconds = format!("{:.1}", nanos as f64 / 1e9);
        return format!("{} s", seconds.trim_end_matches('0').trim_end_matches('.'));
    }
    let seconds = nanos.saturating_add(500_000_000) / 1_000_000_000;
    let largest = UNITS.iter().position(|unit| seconds >= unit.0).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[largest];
    let whole = seconds / unit;
    let plural = if name == "day" && whole > 1 { "s" } else { "" };
    let mut text = format!("{whole} {name}{plural}");
    if let Some((next, name)) = UNITS.get(largest + 1)
        && seconds % unit >= *next
    {
        text += &format!(" {} {name}", seconds % unit / next);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_energies_take_the_unit_that_fits() {
        for (watts, text) in [
            (0.0, "0 W"),
            (-0.04, "0 W"),
            (12.34, "12.3 W"),
            (999.0, "999 W"),
            (-1_000.0, "-1.0 kW"),
            (219_960.0, "220.0 kW"),
            (999_949.0, "999.9 kW"),
            (999_960.0, "1.00 MW"),
            (12_345_678.0, "12.35 MW"),
        ] {
            assert_eq!(power(watts), text);
        }
        assert_eq!(energy(623_400.0), "623.4 kWh");
    }

    #[test]
    fn a_fraction_stands_before_the_name_of_a_time_that_comes_twice() {
        assert_eq!(with_fraction("2016-03-09 18:02:30", ".25"), "2016-03-09 18:02:30.25");
        assert_eq!(with_fraction("2016-10-30 02:30:00 CET", ".000125"), "2016-10-30 02:30:00.000125 CET");
        assert_eq!(with_fraction("2016-04-03 01:45:00 +11", ""), "2016-04-03 01:45:00 +11");
    }

    #[test]
    fn lengths_of_time_show_their_two_largest_units() {
        for (millis, text) in [
            (0, "0 s"),
            (100, "100 ms"),
            (1_500, "1.5 s"),
            (10_000, "10 s"),
            (60_000, "1 min"),
            (59_400_000, "16 h 30 min"),
            (86_400_000, "1 day"),
            (604_800_000, "7 days"),
            (140_400_000, "1 day 15 h"),
            (694_800_000, "8 days 1 h"),
        ] {
            assert_eq!(duration(Span::from_millis(millis)), text);
            assert!(text.parse::<Span>().is_ok(), "{text} can be typed");
        }
        assert_eq!(duration(Span::MAX), "213503 days 23 h");
    }

    #[test]
    fn amounts_of_money_have_two_decimals() {
        for (amount, text) in
            [(0.0, "0.00 EUR"), (-0.004, "0.00 EUR"), (1_234.5, "1,234.50 EUR"), (-9.996, "-10.00 EUR")]
        {
            assert_eq!(money(amount, "EUR"), text);
        }
    }

    #[test]
    fn large_counts_are_grouped() {
        assert_eq!(count(6_048_000), "6,048,000");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
    }
}

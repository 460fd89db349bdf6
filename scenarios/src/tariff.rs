//! The tariff of a scenario: what energy costs and when, and what the highest quarter of an hour costs.
//!
//! ```text
//! tariff: (
//!     currency: "EUR",
//!     import: "0.28 EUR/kWh", export: "0.08 EUR/kWh", demand: "110 EUR/kW",
//!     windows: [During(Daily("17:00"), Daily("20:00"), (import: "0.36 EUR/kWh"))],
//! )
//! ```
//!
//! Where windows overlap, the later one of the list wins. Prices may be negative, as on exchanges.

use r_ems_engine::Time;
use r_ems_sim::bill::{PriceChange, Prices};

use crate::bounds::PRICE_MAX;
use crate::leaf::Leaf;
use crate::mistake::Notes;
use crate::moment::{Calendar, MAX_REPETITIONS};
use crate::node::{Fields, Node, excerpt};

/// Most windows of a tariff, each counted once however often it repeats.
pub(crate) const MAX_PRICE_WINDOWS: usize = 64;
/// Longest name of a currency.
pub(crate) const MAX_CURRENCY_CHARS: usize = 8;

/// What energy and power cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Tariff {
    /// What prices are in: "EUR".
    pub currency: String,
    /// Prices per kWh from instants on, the first from the run's start, in time order.
    pub prices: Vec<PriceChange>,
    /// The price of each kW of the highest mean over a quarter of an hour, for the run.
    pub demand_per_kw: f64,
}

/// Prices that differ for a while; what is not given stays.
struct Window {
    spans: Vec<(Time, Time)>,
    import: Option<f64>,
    export: Option<f64>,
}

/// Reads `(currency: …, import: …, …)`.
pub(crate) fn read(node: &Node<'_>, calendar: &Calendar, notes: &mut Notes) -> Option<Tariff> {
    let mut fields = node.fields(notes)?;
    let currency = read_currency(&mut fields, notes);
    let unit = currency.clone().unwrap_or_else(|| "EUR".to_string());
    let import = price(&mut fields, "import", &unit, "kWh", notes);
    let export = price(&mut fields, "export", &unit, "kWh", notes);
    let demand = price(&mut fields, "demand", &unit, "kW", notes);
    if let Some(demand) = demand.filter(|demand| *demand < 0.0) {
        fields.place("demand").error(notes, format!("must be 0 or more, got {demand}"));
    }
    if import.is_none() {
        fields.required("import", notes);
    }
    let windows = fields.optional("windows");
    let windows = windows.map_or_else(Vec::new, |node| read_windows(&node, &unit, calendar, notes));
    fields.finish(notes);
    let base = Prices { import: import?, export: export.unwrap_or(0.0) };
    Some(Tariff {
        currency: currency?,
        prices: changes(base, &windows),
        demand_per_kw: demand.unwrap_or(0.0),
    })
}

fn read_currency(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<String> {
    let name: String = fields.leaf("currency", notes)?;
    let is_plain = |letter: char| !letter.is_whitespace() && letter != '/';
    if (1..=MAX_CURRENCY_CHARS).contains(&name.chars().count()) && name.chars().all(is_plain) {
        return Some(name);
    }
    let allowed = format!("a currency of 1 to {MAX_CURRENCY_CHARS} characters such as \"EUR\"");
    fields.place("currency").error(notes, format!("expected {allowed}, got \"{}\"", excerpt(&name)));
    None
}

fn read_windows(node: &Node<'_>, unit: &str, calendar: &Calendar, notes: &mut Notes) -> Vec<Window> {
    let items = node.items(notes).unwrap_or_default();
    if items.len() > MAX_PRICE_WINDOWS {
        node.error(notes, format!("expected at most {MAX_PRICE_WINDOWS}, got {}", items.len()));
        return Vec::new();
    }
    let windows: Vec<Window> =
        items.iter().filter_map(|item| read_window(item, unit, calendar, notes)).collect();
    if windows.iter().map(|window| window.spans.len()).sum::<usize>() > MAX_REPETITIONS {
        node.error(notes, format!("expected at most {MAX_REPETITIONS} windows with all repetitions"));
    }
    windows
}

fn read_window(node: &Node<'_>, unit: &str, calendar: &Calendar, notes: &mut Notes) -> Option<Window> {
    let form = "During(Daily(\"17:00\"), Daily(\"20:00\"), (import: …))";
    let values = if node.name() == "During" { node.positional(notes)? } else { Vec::new() };
    let [begin, end, prices] = values.as_slice() else {
        node.error(notes, format!("expected {form}, got {}", excerpt(node.text())));
        return None;
    };
    let spans = calendar.windows(begin, end, notes);
    let mut fields = prices.fields(notes)?;
    let import = price(&mut fields, "import", unit, "kWh", notes);
    let export = price(&mut fields, "export", unit, "kWh", notes);
    if fields.optional("import").is_none() && fields.optional("export").is_none() {
        prices.error(notes, "expected `import` or `export`");
    }
    fields.finish(notes);
    Some(Window { spans, import, export })
}

/// Reads "0.28 EUR/kWh".
fn price(
    fields: &mut Fields<'_>,
    name: &'static str,
    currency: &str,
    per: &str,
    notes: &mut Notes,
) -> Option<f64> {
    let node = fields.optional(name)?;
    let text = String::read(&node).ok();
    let (number, unit) = text.as_deref().and_then(|text| text.trim().split_once(' ')).unwrap_or_default();
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.filter(|_number| unit.trim() == format!("{currency}/{per}"));
    let refuse = |allowed: String| format!("{allowed}, got {}", excerpt(node.text()));
    match number {
        Some(number) if number.abs() <= PRICE_MAX => Some(number + 0.0),
        Some(_) => {
            node.error(notes, refuse(format!("must be from -{PRICE_MAX} to {PRICE_MAX} {currency}/{per}")));
            None
        }
        None => {
            node.error(notes, refuse(format!("expected a price such as \"0.28 {currency}/{per}\"")));
            None
        }
    }
}

/// The prices at every instant at which one may change.
fn changes(base: Prices, windows: &[Window]) -> Vec<PriceChange> {
    let spans = windows.iter().flat_map(|window| window.spans.iter());
    let mut instants: Vec<Time> = spans.flat_map(|(from, to)| [*from, *to]).chain([Time::ZERO]).collect();
    instants.sort_unstable();
    instants.dedup();
    let mut changes: Vec<PriceChange> = Vec::with_capacity(instants.len());
    for from in instants {
        let mut prices = base;
        for window in windows.iter().filter(|window| window.holds_at(from)) {
            prices.import = window.import.unwrap_or(prices.import);
            prices.export = window.export.unwrap_or(prices.export);
        }
        changes.push(PriceChange { from, prices });
    }
    changes
}

impl Window {
    /// Its spans are in time order and do not overlap.
    fn holds_at(&self, at: Time) -> bool {
        let after = self.spans.partition_point(|span| span.0 <= at);
        after.checked_sub(1).is_some_and(|last| at < self.spans[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::Span;

    fn hours(hours: u64) -> Time {
        Time::ZERO + Span::from_hours(hours)
    }

    #[test]
    fn a_later_window_wins_where_two_overlap_and_gives_way_where_it_ends() {
        let day = Window { spans: vec![(hours(8), hours(20))], import: Some(2.0), export: None };
        let evening = Window { spans: vec![(hours(18), hours(22))], import: Some(3.0), export: Some(1.0) };
        let found = changes(Prices { import: 1.0, export: 0.5 }, &[day, evening]);
        let found: Vec<(Time, f64, f64)> =
            found.iter().map(|change| (change.from, change.prices.import, change.prices.export)).collect();
        assert_eq!(
            found,
            [
                (hours(0), 1.0, 0.5),
                (hours(8), 2.0, 0.5),
                (hours(18), 3.0, 1.0),
                (hours(20), 3.0, 1.0),
                (hours(22), 1.0, 0.5)
            ]
        );
    }
}

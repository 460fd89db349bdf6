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
//!
//! What happens may change prices: `At("+1 day", Price(import: "0.35 EUR/kWh"))` puts another price in the place of the
//! tariff's own from then on, under its windows, and `During(begin, end, Price(…))` is one more window, over all of the
//! tariff's. **Nobody but the bill sees it:** laws have price tables of their own, and no point carries a price.

use r_ems_engine::Time;
use r_ems_sim::bill::{PriceChange, Prices};

use crate::bounds::PRICE_MAX;
use crate::happening::NEVER;
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

/// The happening that changes prices.
pub(crate) const PRICE: &str = "Price";

/// Prices that are others from an instant on; what is not given stays.
struct Step {
    from: Time,
    import: Option<f64>,
    export: Option<f64>,
}

/// Prices that differ for a while; what is not given stays.
struct Window {
    spans: Vec<(Time, Time)>,
    import: Option<f64>,
    export: Option<f64>,
}

/// Reads `(currency: …, import: …, …)`, and what happens to its prices in `timeline` and `faults`.
pub(crate) fn read(
    node: &Node<'_>,
    happenings: [Option<&Node<'_>>; 2],
    calendar: &Calendar,
    notes: &mut Notes,
) -> Option<Tariff> {
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
    let mut windows = windows.map_or_else(Vec::new, |node| read_windows(&node, &unit, calendar, notes));
    let steps = read_happenings(happenings, &mut windows, &unit, calendar, notes);
    fields.finish(notes);
    let base = Prices { import: import?, export: export.unwrap_or(0.0) };
    Some(Tariff {
        currency: currency?,
        prices: changes(base, &steps, &windows),
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
    let (import, export) = read_prices(prices, unit, notes)?;
    Some(Window { spans, import, export })
}

/// Reads `(import: …, export: …)`, one of both at least.
fn read_prices(node: &Node<'_>, unit: &str, notes: &mut Notes) -> Option<(Option<f64>, Option<f64>)> {
    let mut fields = node.fields(notes)?;
    let import = price(&mut fields, "import", unit, "kWh", notes);
    let export = price(&mut fields, "export", unit, "kWh", notes);
    if fields.optional("import").is_none() && fields.optional("export").is_none() {
        node.error(notes, "expected `import` or `export`");
    }
    fields.finish(notes);
    Some((import, export))
}

/// Reads what happens to prices: what holds from an instant on is handed back, in time order, and windows are added.
fn read_happenings(
    lists: [Option<&Node<'_>>; 2],
    windows: &mut Vec<Window>,
    unit: &str,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (place, values) in happenings(lists) {
        let (Some(prices), Some(begin)) = (values.last(), values.first()) else { continue };
        let Some((import, export)) = read_prices(prices, unit, notes) else { continue };
        if let [begin, end, _] = values.as_slice() {
            windows.push(Window { spans: calendar.windows(begin, end, notes), import, export });
        } else if let Some(when) = calendar.when(begin, notes) {
            let instants = calendar.instants(when);
            if instants.is_empty() && calendar.is_dated {
                begin.warning(notes, NEVER);
            }
            steps.extend(instants.into_iter().map(|from| Step { from, import, export }));
        }
        if steps.len() + windows.iter().map(|window| window.spans.len()).sum::<usize>() > MAX_REPETITIONS {
            place.error(
                notes,
                format!("expected at most {MAX_REPETITIONS} changes of prices with all repetitions"),
            );
            return Vec::new();
        }
    }
    steps.sort_by_key(|step| step.from);
    steps
}

/// What happens to prices, with the values of each entry; what else is wrong with the lists is noted by whoever reads them.
fn happenings<'t>(lists: [Option<&Node<'t>>; 2]) -> Vec<(Node<'t>, Vec<Node<'t>>)> {
    let items = |list: &Node<'t>| list.items(&mut Notes::default()).unwrap_or_default();
    let values = |item: Node<'t>| {
        let values = item.positional(&mut Notes::default())?;
        let count = match item.name() {
            "At" => 2,
            "During" => 3,
            _ => return None,
        };
        let is_price = values.len() == count && values.last()?.name() == PRICE;
        is_price.then_some((item, values))
    };
    lists.into_iter().flatten().flat_map(items).filter_map(values).collect()
}

/// Notes prices that change where there is no tariff.
pub(crate) fn refuse_prices(lists: [Option<&Node<'_>>; 2], notes: &mut Notes) {
    for (place, _) in happenings(lists) {
        place.error(notes, "a price is one of the scenario's `tariff`, and there is none");
    }
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
fn changes(mut base: Prices, steps: &[Step], windows: &[Window]) -> Vec<PriceChange> {
    let spans = windows.iter().flat_map(|window| window.spans.iter()).flat_map(|(from, to)| [*from, *to]);
    let mut instants: Vec<Time> =
        spans.chain(steps.iter().map(|step| step.from)).chain([Time::ZERO]).collect();
    instants.sort_unstable();
    instants.dedup();
    let mut changes: Vec<PriceChange> = Vec::with_capacity(instants.len());
    let mut steps = steps.iter().peekable();
    for from in instants {
        while let Some(step) = steps.next_if(|step| step.from <= from) {
            base.import = step.import.unwrap_or(base.import);
            base.export = step.export.unwrap_or(base.export);
        }
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
        let found = changes(Prices { import: 1.0, export: 0.5 }, &[], &[day, evening]);
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

    #[test]
    fn a_price_that_changes_holds_from_then_on_under_the_windows() {
        let evening = Window { spans: vec![(hours(18), hours(22))], import: Some(3.0), export: None };
        let step = |at, import, export| Step { from: hours(at), import, export };
        let steps = [step(6, Some(1.5), None), step(20, Some(0.9), Some(0.1)), step(30, None, Some(0.2))];
        let found = changes(Prices { import: 1.0, export: 0.5 }, &steps, &[evening]);
        let found: Vec<(Time, f64, f64)> =
            found.iter().map(|change| (change.from, change.prices.import, change.prices.export)).collect();
        assert_eq!(
            found,
            [
                (hours(0), 1.0, 0.5),
                (hours(6), 1.5, 0.5),
                (hours(18), 3.0, 0.5),
                (hours(20), 3.0, 0.1),
                (hours(22), 0.9, 0.1),
                (hours(30), 0.9, 0.2)
            ]
        );
    }
}

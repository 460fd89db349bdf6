//! Expectations as a scenario writes them: `Always("commerce/pcc.p <= 225 kW", (except_for: "2 s"))`.
//!
//! What is claimed stands first; what is forgiven, a window and a name follow in parentheses of their own.

use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};
use r_ems_sim::expect::{Claim, Comparison, Condition, EventFilter, Expectation};

use crate::leaf::Leaf;
use crate::mistake::{Notes, suggestion};
use crate::moment::Calendar;
use crate::naming::{Found, Names};
use crate::node::{Fields, Node, excerpt};
use crate::plant::Unit;

/// Most expectations of a scenario.
pub(crate) const MAX_EXPECTATIONS: usize = 1_000;
/// Longest name of an expectation.
pub(crate) const MAX_EXPECTATION_NAME_CHARS: usize = 200;
/// The kinds of expectations.
const KINDS: [&str; 6] = ["Always", "Never", "Eventually", "Bounds", "NoEvent", "SomeEvent"];

/// Reads the list of expectations; names are unique.
pub(crate) fn read(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Vec<Expectation> {
    let items = node.items(notes).unwrap_or_default();
    if items.len() > MAX_EXPECTATIONS {
        node.error(notes, format!("expected at most {MAX_EXPECTATIONS}, got {}", items.len()));
        return Vec::new();
    }
    let mut all: Vec<Expectation> = Vec::with_capacity(items.len());
    for item in &items {
        let Some(expectation) = read_one(item, names, calendar, notes) else { continue };
        if all.iter().any(|other| other.name == expectation.name) {
            item.error(
                notes,
                format!("another expectation is called \"{}\"; give this one a name", expectation.name),
            );
        } else {
            all.push(expectation);
        }
    }
    all
}

fn read_one(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Option<Expectation> {
    let kind = node.name();
    if !KINDS.contains(&kind) {
        let found = excerpt(if kind.is_empty() { node.text() } else { kind });
        node.error(notes, format!("unknown expectation `{found}`; {}", suggestion(&found, &KINDS)));
        return None;
    }
    let values = node.positional(notes)?;
    let (subject, options) = match values.as_slice() {
        [subject] => (subject, None),
        [subject, options] => (subject, Some(options.fields(notes)?)),
        [..] => {
            let message = format!(
                "expected {kind}(\"…\") or {kind}(\"…\", (name: \"…\", …)), got {} values",
                values.len()
            );
            node.error(notes, message);
            return None;
        }
    };
    let text: Option<String> = subject.leaf(notes);
    let mut reader = Reader { subject, options, names, calendar };
    let name = reader.text("name", notes);
    let from = reader.moment("from", notes).unwrap_or(Time::ZERO);
    let to = reader.moment("to", notes).unwrap_or(Time::ZERO + calendar.duration);
    if from > to {
        reader.place("to").error(notes, format!("must not be before `from`, {from}, got {to}"));
    }
    let claim = match kind {
        "Always" => reader.always(text.as_deref(), notes),
        "Never" => reader.condition(text.as_deref(), notes).map(Claim::Never),
        "Eventually" => reader.eventually(text.as_deref(), notes),
        "Bounds" => reader.bounds(text.as_deref(), notes),
        "NoEvent" => reader.filter(text.as_deref(), notes).map(Claim::NoEvent),
        _ => reader.some_event(text.as_deref(), notes),
    };
    reader.finish(notes);
    let text = text?;
    let name = name.unwrap_or_else(|| format!("{} {text}", spoken(kind)));
    if name.is_empty() || name.chars().count() > MAX_EXPECTATION_NAME_CHARS {
        node.error(notes, format!("expected a name of 1 to {MAX_EXPECTATION_NAME_CHARS} characters"));
    }
    Some(Expectation { name, from, to, claim: claim? })
}

/// How a kind begins a name.
fn spoken(kind: &str) -> &'static str {
    match kind {
        "Always" => "always",
        "Never" => "never",
        "Eventually" => "eventually",
        "Bounds" => "bounds of",
        "NoEvent" => "no event",
        _ => "some event",
    }
}

/// What one expectation is read with.
struct Reader<'a, 't> {
    subject: &'a Node<'t>,
    options: Option<Fields<'t>>,
    names: &'a Names<'a, 'a>,
    calendar: &'a Calendar,
}

impl<'t> Reader<'_, 't> {
    fn option(&mut self, name: &'static str) -> Option<Node<'t>> {
        self.options.as_mut()?.optional(name)
    }

    fn place(&self, name: &str) -> &Node<'t> {
        self.options.as_ref().map_or(self.subject, |options| options.place(name))
    }

    fn text(&mut self, name: &'static str, notes: &mut Notes) -> Option<String> {
        self.option(name)?.leaf(notes)
    }

    fn span(&mut self, name: &'static str, notes: &mut Notes) -> Option<Span> {
        self.option(name)?.leaf(notes)
    }

    fn moment(&mut self, name: &'static str, notes: &mut Notes) -> Option<Time> {
        let node = self.option(name)?;
        self.calendar.moment(&node, notes)
    }

    fn finish(self, notes: &mut Notes) {
        if let Some(options) = self.options {
            options.finish(notes);
        }
    }

    fn always(&mut self, text: Option<&str>, notes: &mut Notes) -> Option<Claim> {
        let condition = self.condition(text, notes);
        let except_for = self.span("except_for", notes).unwrap_or(Span::ZERO);
        let total = self.span("total", notes);
        Some(Claim::Always { condition: condition?, except_for, total })
    }

    fn eventually(&mut self, text: Option<&str>, notes: &mut Notes) -> Option<Claim> {
        let condition = self.condition(text, notes);
        let within = self.span("within", notes).unwrap_or(self.calendar.duration);
        Some(Claim::Eventually { condition: condition?, within })
    }

    fn some_event(&mut self, text: Option<&str>, notes: &mut Notes) -> Option<Claim> {
        let filter = self.filter(text, notes);
        let within = self.span("within", notes).unwrap_or(self.calendar.duration);
        Some(Claim::SomeEvent { filter: filter?, within })
    }

    fn bounds(&mut self, text: Option<&str>, notes: &mut Notes) -> Option<Claim> {
        let found = self.point(text?, notes);
        let unit = found.as_ref().map_or(Unit::Power, |found| found.unit);
        let low = self.option("low").and_then(|node| amount(&node, unit, notes));
        let high = self.option("high").and_then(|node| amount(&node, unit, notes));
        let peak_to_peak = self.option("peak_to_peak").and_then(|node| amount(&node, unit, notes));
        let given = ["low", "high", "peak_to_peak"].iter().any(|name| self.option(name).is_some());
        if !given {
            self.subject.error(notes, "expected at least one of `low`, `high` and `peak_to_peak`");
        }
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            self.place("high").error(notes, "must not be below `low`");
        }
        Some(Claim::Bounds { point: found?.watched?, low, high, peak_to_peak })
    }

    fn point(&self, text: &str, notes: &mut Notes) -> Option<Found> {
        self.names.point(text.trim()).map_err(|message| self.subject.error(notes, message)).ok()
    }

    /// Reads `commerce/pcc.p <= 225 kW`.
    fn condition(&self, text: Option<&str>, notes: &mut Notes) -> Option<Condition> {
        let text = text?;
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ];
        let parts = signs.iter().find_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)));
        let Some(((point, value), comparison)) = parts else {
            let message = format!(
                "expected a condition such as \"commerce/pcc.p <= 225 kW\", got \"{}\"",
                excerpt(text)
            );
            self.subject.error(notes, message);
            return None;
        };
        let found = self.point(point, notes)?;
        let value =
            read_amount(value.trim(), found.unit).map_err(|message| self.subject.error(notes, message)).ok();
        Some(Condition { point: found.watched?, comparison, value: value? })
    }

    fn filter(&mut self, text: Option<&str>, notes: &mut Notes) -> Option<EventFilter> {
        let controller_node = self.option("controller");
        let kind = text?;
        if !Event::KINDS.contains(&kind) {
            let message = format!("unknown event \"{}\"; {}", excerpt(kind), suggestion(kind, &Event::KINDS));
            self.subject.error(notes, message);
            return None;
        }
        let mut controller = None;
        if let Some(node) = controller_node {
            let name: String = node.leaf(notes)?;
            let full = |grid: &crate::naming::Named<'_, '_>| format!("{}/{}", grid.grid, grid.controller);
            let known: Vec<String> = self.names.grids.iter().map(full).collect();
            let found = known.iter().position(|known| *known == name);
            if found.is_none() {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let message =
                    format!("there is no controller \"{}\"; {}", excerpt(&name), suggestion(&name, &known));
                node.error(notes, message);
            }
            controller = Some(ControllerIndex::of(found?));
        }
        Some(EventFilter { kind: kind.to_string(), controller })
    }
}

/// Reads a number in the unit of a point, from text in quotes or a bare number where that has no unit.
fn amount(node: &Node<'_>, unit: Unit, notes: &mut Notes) -> Option<f64> {
    let is_bare = matches!(unit, Unit::Share | Unit::Flag) && !node.text().starts_with(['"', 'r']);
    let read =
        if is_bare { f64::read(node) } else { String::read(node).and_then(|text| read_amount(&text, unit)) };
    read.map_err(|message| node.error(notes, message)).ok()
}

/// Reads a number in the unit of a point from text.
fn read_amount(text: &str, unit: Unit) -> Result<f64, String> {
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    match unit {
        Unit::Power => text.parse::<Watts>().map(Watts::watts).map_err(|error| error.to_string()),
        Unit::Energy => {
            text.parse::<WattHours>().map(WattHours::watt_hours).map_err(|error| error.to_string())
        }
        Unit::Share => match number() {
            Some(share) => Ok(share + 0.0),
            None => text.parse::<Ratio>().map(Ratio::ratio).map_err(|error| error.to_string()),
        },
        Unit::Flag => number().ok_or_else(|| format!("expected 0 or 1, got \"{}\"", excerpt(text))),
    }
}

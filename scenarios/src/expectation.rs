//! Expectations as a scenario writes them: `Always("commerce/pcc.p <= 225 kW", (except_for: "2 s"))`.
//!
//! What is claimed stands first; what is forgiven, a window and a name follow in parentheses of their own. A window that
//! comes every day makes one expectation of each day, so that a report says which day failed.

use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::text::TextError;
use r_ems_engine::units::{Hertz, PerUnit, Ratio, Vars, WattHours, Watts};
use r_ems_engine::{Span, Time};
use r_ems_sim::expect::{Claim, Comparison, Condition, EventFilter, Expectation};

use crate::at_end::{self, AtEnd};
use crate::bounds::Bounded;
use crate::later::unknown;
use crate::leaf::Leaf;
use crate::mistake::{Notes, suggestion};
use crate::moment::Calendar;
use crate::naming::{Found, Names};
use crate::node::{Fields, Node, excerpt};
use crate::outlives::DURABLE_OUTLIVES;
use crate::plant::Unit;
use crate::take_over::{self, AUTHORITY_RETURNS, ONE_AUTHORITY, Who};

/// Most expectations of a scenario.
pub(crate) const MAX_EXPECTATIONS: usize = 1_000;
/// Longest name of an expectation.
pub(crate) const MAX_EXPECTATION_NAME_CHARS: usize = 200;
/// The kinds of expectations.
pub(crate) const KINDS: [&str; 8] =
    ["Always", "Never", "Eventually", "Bounds", "NoEvent", "SomeEvent", "AtEnd", "TakeOverWithin"];

/// Everything that a run must fulfil.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// What is watched while it runs.
    pub(crate) watched: Vec<Expectation>,
    /// What is compared when it has ended.
    pub(crate) at_end: Vec<AtEnd>,
}

impl Expected {
    fn len(&self) -> usize {
        self.watched.len() + self.at_end.len()
    }

    fn has(&self, name: &str) -> bool {
        [ONE_AUTHORITY, AUTHORITY_RETURNS, DURABLE_OUTLIVES].contains(&name)
            || self.watched.iter().any(|known| known.name == name)
            || self.at_end.iter().any(|known| known.name == name)
    }
}

impl Expected {
    /// Adds what is expected of every run in which several controllers share a grid, behind all others.
    fn add_one_authority(&mut self, names: &Names<'_, '_>) {
        if names.grids.iter().any(crate::naming::Named::is_shared) {
            let subject = at_end::Subject::OneAuthority(Who::of(names));
            self.at_end.push(AtEnd { name: ONE_AUTHORITY.to_string(), place: usize::MAX, subject });
            let subject = at_end::Subject::Progress(Who::of(names));
            self.at_end.push(AtEnd { name: AUTHORITY_RETURNS.to_string(), place: usize::MAX, subject });
        }
    }

    /// Adds what is expected of every run in which something is kept on disks, behind all others.
    fn add_outlives(&mut self, names: &Names<'_, '_>) {
        let subject = at_end::Subject::Outlives(Who::of(names));
        self.at_end.push(AtEnd { name: DURABLE_OUTLIVES.to_string(), place: usize::MAX, subject });
    }
}

/// One expectation as it is written; with daily windows it stands for several.
struct Written {
    name: String,
    windows: Vec<(Time, Time)>,
    is_daily: bool,
    subject: Subject,
}

/// What an expectation is about.
enum Subject {
    /// What happens while the run goes on.
    Course(Claim),
    /// What is judged at the end.
    AtEnd(at_end::Subject),
}

/// Reads what is expected, and adds what is expected of every run in which several controllers share a grid, and of
/// every one in which something is kept on disks.
pub(crate) fn read(
    node: Option<&Node<'_>>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    has_disks: bool,
    notes: &mut Notes,
) -> Expected {
    let mut all = node.map_or_else(Expected::default, |node| read_list(node, names, calendar, notes));
    all.add_one_authority(names);
    if has_disks {
        all.add_outlives(names);
    }
    all
}

/// Reads the list of expectations; names are unique.
fn read_list(node: &Node<'_>, names: &Names<'_, '_>, calendar: &Calendar, notes: &mut Notes) -> Expected {
    let items = node.items(notes).unwrap_or_default();
    let mut all = Expected::default();
    for item in &items {
        if let Some(written) = read_one(item, names, calendar, notes) {
            add(&mut all, item, written, calendar, notes);
        }
        let found = items.len().max(all.len());
        if found > MAX_EXPECTATIONS {
            let counted = "; what is daily counts once for each day";
            node.error(notes, format!("expected at most {MAX_EXPECTATIONS}, got {found}{counted}"));
            break;
        }
    }
    all
}

/// Adds an expectation for each of its windows.
fn add(all: &mut Expected, node: &Node<'_>, written: Written, calendar: &Calendar, notes: &mut Notes) {
    let Written { name, windows, is_daily, subject } = written;
    let mut refuse = |name: &str, all: &Expected| {
        let is_known = all.has(name);
        if is_known {
            node.error(notes, format!("another expectation is called \"{name}\"; give this one a name"));
        }
        is_known
    };
    match subject {
        Subject::AtEnd(subject) => {
            if !refuse(&name, all) {
                let place = all.len();
                all.at_end.push(AtEnd { name, place, subject });
            }
        }
        Subject::Course(claim) => {
            for (from, to) in windows {
                let name = if is_daily { dated(&name, from, calendar) } else { name.clone() };
                if refuse(&name, all) {
                    return;
                }
                all.watched.push(Expectation { name, from, to, claim: claim.clone() });
            }
        }
    }
}

/// The name of one day's part of an expectation.
fn dated(name: &str, from: Time, calendar: &Calendar) -> String {
    let local = (calendar.start + from.since(Time::ZERO)).local(calendar.zone).to_string();
    format!("{name}, {}", local.strip_suffix(":00").unwrap_or(&local))
}

fn read_one(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Option<Written> {
    let kind = node.name();
    if !KINDS.contains(&kind) {
        unknown(node, "expectation", &KINDS, &[], notes);
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
    let read = match kind {
        "AtEnd" => at_end::read(text.as_deref(), subject, names, notes)
            .map(|bound| Subject::AtEnd(at_end::Subject::Sum(bound))),
        "TakeOverWithin" => take_over::read(subject, reader.options.as_mut(), names, notes)
            .map(|limit| Subject::AtEnd(at_end::Subject::TakeOver(limit, Who::of(names)))),
        _ => reader.claim(kind, text.as_deref(), notes).map(Subject::Course),
    };
    // What is judged at the end has no window: it is of the whole run.
    let is_at_end = matches!(kind, "AtEnd" | "TakeOverWithin");
    let (windows, is_daily) = if is_at_end { (Vec::new(), false) } else { reader.windows(notes) };
    reader.finish(notes);
    let text = text?;
    let name = name.unwrap_or_else(|| format!("{} {text}", spoken(kind)));
    if name.is_empty() || name.chars().count() > MAX_EXPECTATION_NAME_CHARS {
        node.error(notes, format!("expected a name of 1 to {MAX_EXPECTATION_NAME_CHARS} characters"));
    }
    Some(Written { name, windows, is_daily, subject: read? })
}

/// How a kind begins a name.
fn spoken(kind: &str) -> &'static str {
    match kind {
        "Always" => "always",
        "Never" => "never",
        "Eventually" => "eventually",
        "Bounds" => "bounds of",
        "NoEvent" => "no event",
        "SomeEvent" => "some event",
        "TakeOverWithin" => "take-over within",
        _ => "at the end",
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

    /// The windows in which the claim is judged, and whether they come every day.
    fn windows(&mut self, notes: &mut Notes) -> (Vec<(Time, Time)>, bool) {
        let (from, to) = (self.option("from"), self.option("to"));
        let is_daily = |node: &Option<Node<'_>>| node.as_ref().is_some_and(|node| node.name() == "Daily");
        if let (Some(from), Some(to)) = (&from, &to)
            && (is_daily(&Some(from.clone())) || is_daily(&Some(to.clone())))
        {
            let errors = notes.errors();
            let windows = self.calendar.windows(from, to, notes);
            if windows.is_empty() && notes.errors() == errors && self.calendar.is_dated {
                from.warning(notes, "the run has no such time of day: nothing is judged");
            }
            return (windows, true);
        }
        if is_daily(&from) || is_daily(&to) {
            self.subject.error(notes, "expected both `from` and `to` as Daily(…), or none");
            return (Vec::new(), true);
        }
        let written = |node: &Option<Node<'_>>| node.as_ref().map(|node| excerpt(node.text()));
        let (from_text, to_text) = (written(&from), written(&to));
        let mut moment = |node: Option<Node<'_>>| node.and_then(|node| self.calendar.moment(&node, notes));
        let from = moment(from).unwrap_or(Time::ZERO);
        let to = moment(to).unwrap_or(Time::ZERO + self.calendar.duration);
        if from > to {
            let (from, to) = (from_text.unwrap_or_default(), to_text.unwrap_or_default());
            self.place("to").error(notes, format!("must not be before `from`, {from}, got {to}"));
            return (Vec::new(), false);
        }
        (vec![(from, to)], false)
    }

    fn claim(&mut self, kind: &str, text: Option<&str>, notes: &mut Notes) -> Option<Claim> {
        match kind {
            "Always" => self.always(text, notes),
            "Never" => self.condition(text, notes).map(Claim::Never),
            "Eventually" => self.eventually(text, notes),
            "Bounds" => self.bounds(text, notes),
            "NoEvent" => self.filter(text, notes).map(Claim::NoEvent),
            _ => self.some_event(text, notes),
        }
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
        let unit = found.as_ref().map(|found| found.unit);
        // Without its point nobody knows the unit of a number.
        let mut read = |name: &'static str| {
            self.option(name).zip(unit).and_then(|(node, unit)| amount(&node, unit, notes))
        };
        let (low, high, peak_to_peak) = (read("low"), read("high"), read("peak_to_peak"));
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
        self.names.point(text.trim()).map_err(|message| self.subject.error(notes, message)).ok()?
    }

    /// Reads `commerce/pcc.p <= 225 kW`.
    fn condition(&self, text: Option<&str>, notes: &mut Notes) -> Option<Condition> {
        let text = text?;
        let Some((point, comparison, value)) = compared(text) else {
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
            let found = self.names.member(&name).map_err(|message| node.error(notes, message)).ok()?;
            controller = Some(ControllerIndex(found));
        }
        Some(EventFilter { kind: kind.to_string(), controller })
    }
}

/// Splits `commerce/pcc.p <= 225 kW` at its sign.
pub(crate) fn compared(text: &str) -> Option<(&str, Comparison, &str)> {
    let signs = [
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Below),
        (">", Comparison::Above),
    ];
    signs.iter().find_map(|(sign, comparison)| {
        let (left, right) = text.split_once(sign)?;
        Some((left.trim(), *comparison, right.trim()))
    })
}

/// Reads a number in the unit of a point, from text in quotes or a bare number where that has no unit.
fn amount(node: &Node<'_>, unit: Unit, notes: &mut Notes) -> Option<f64> {
    let is_bare =
        matches!(unit, Unit::Share | Unit::Flag | Unit::Number) && !node.text().starts_with(['"', 'r']);
    let read =
        if is_bare { f64::read(node) } else { String::read(node).and_then(|text| read_amount(&text, unit)) };
    read.map_err(|message| node.error(notes, message)).ok()
}

/// Reads a number in the unit of a point from text.
pub(crate) fn read_amount(text: &str, unit: Unit) -> Result<f64, String> {
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    match unit {
        Unit::Power => {
            let power: Watts = text.parse().map_err(|error: TextError| error.to_string())?;
            let refused = power.refused().map(|allowed| format!("must be {allowed}, got \"{text}\""));
            refused.map_or(Ok(power.watts()), Err)
        }
        Unit::ReactivePower => text.parse::<Vars>().map(Vars::vars).map_err(|error| error.to_string()),
        Unit::Voltage => text.parse::<PerUnit>().map(PerUnit::per_unit).map_err(|error| error.to_string()),
        Unit::Frequency => text.parse::<Hertz>().map(Hertz::hertz).map_err(|error| error.to_string()),
        Unit::Energy => {
            text.parse::<WattHours>().map(WattHours::watt_hours).map_err(|error| error.to_string())
        }
        Unit::Span => text.parse::<Span>().map(Span::as_secs_f64).map_err(|error| error.to_string()),
        Unit::Share => match number() {
            Some(share) => Ok(share + 0.0),
            None => text.parse::<Ratio>().map(Ratio::ratio).map_err(|error| error.to_string()),
        },
        Unit::Number | Unit::Money => {
            number().ok_or_else(|| format!("expected a number, got \"{}\"", excerpt(text)))
        }
        Unit::Flag => number().ok_or_else(|| format!("expected 0 or 1, got \"{}\"", excerpt(text))),
    }
}

//! What happens during a run: breakers that move, batteries that start and stop, devices that fall silent; once or every day.

use r_ems_engine::Time;
use r_ems_engine::ids::DeviceIndex;
use r_ems_sim::plant::{ComponentIndex, Position};
use r_ems_sim::world::{Change, InverterOrder, LinkState, Timed};

use crate::later::unknown;
use crate::mistake::Notes;
use crate::moment::{Calendar, MAX_REPETITIONS};
use crate::naming::Names;
use crate::node::{Node, excerpt};
use crate::plant::Kind;

/// Most entries of a timeline, and of a list of faults.
pub(crate) const MAX_HAPPENINGS: usize = 10_000;

/// The kinds of entries.
pub(crate) const ENTRIES: [&str; 2] = ["At", "During"];
/// What can happen at an instant.
pub(crate) const CHANGES: [&str; 4] = ["Open", "Close", "Start", "Stop"];
/// What can last for a while.
pub(crate) const FAULTS: [&str; 1] = ["Silent"];
/// What waits for parts of the plant, of the controllers or of their redundancy that are not there yet.
pub(crate) const LATER: [&str; 9] =
    ["SetPoint", "Mode", "GridMode", "GridSignal", "Price", "Frequency", "Voltage", "Crash", "Loss"];

/// What is said of a time of day that the run does not have.
const NEVER: &str = "the run has no such time of day: nothing happens";

/// A device of a grid: positions of both.
type Place = (usize, usize);

/// A device that does not answer for a while.
struct Silence {
    place: Place,
    from: Time,
    to: Time,
}

/// Everything that was read so far.
#[derive(Default)]
struct Happened {
    changes: Vec<Timed>,
    silences: Vec<Silence>,
}

/// Reads `timeline` and `faults` into what changes when, sorted by time; at one instant in the order of the files.
pub(crate) fn read(
    timeline: Option<&Node<'_>>,
    faults: Option<&Node<'_>>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Vec<Timed> {
    let mut all = Happened::default();
    for node in [timeline, faults].into_iter().flatten() {
        let items = node.items(notes).unwrap_or_default();
        if items.len() > MAX_HAPPENINGS {
            node.error(notes, format!("expected at most {MAX_HAPPENINGS}, got {}", items.len()));
            continue;
        }
        for item in &items {
            match item.name() {
                "At" => read_at(item, names, calendar, &mut all.changes, notes),
                "During" => read_during(item, names, calendar, &mut all.silences, notes),
                _ => unknown(item, "word", &ENTRIES, &LATER, notes),
            }
            if all.changes.len() + all.silences.len() > MAX_REPETITIONS {
                let limit = format!("expected at most {MAX_REPETITIONS} instants with all repetitions");
                item.error(notes, format!("{limit}; this one exceeds them"));
                return Vec::new();
            }
        }
    }
    let mut changes = all.changes;
    changes.extend(silent_changes(all.silences));
    changes.sort_by_key(|timed| timed.at);
    changes
}

/// Reads `At("+10 min", Open("commerce/pcc"))`.
fn read_at(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    changes: &mut Vec<Timed>,
    notes: &mut Notes,
) {
    let Some(values) = node.positional(notes) else { return };
    let [place, what] = values.as_slice() else {
        let found = values.len();
        node.error(notes, format!("expected At(\"+10 min\", Open(\"grid/pcc\")), got {found} values"));
        return;
    };
    let when = calendar.when(place, notes);
    let change = read_change(what, names, notes);
    if let (Some(when), Some(change)) = (when, change) {
        let instants = calendar.instants(when);
        if instants.is_empty() && calendar.is_dated {
            place.warning(notes, NEVER);
        }
        changes.extend(instants.into_iter().map(|at| Timed { at, change }));
    }
}

/// Reads `Open("commerce/pcc")`.
fn read_change(what: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Change> {
    let (kind, must) = match what.name() {
        "Open" | "Close" => (Kind::Connection, "only a GridConnection has a breaker"),
        "Start" | "Stop" => (Kind::Battery, "only a Battery starts and stops"),
        _ => {
            unknown(what, "change", &CHANGES, &LATER, notes);
            return None;
        }
    };
    let (grid, owner, target) = target(what, names, notes)?;
    let part = names.component(grid, &owner).map_err(|message| target.error(notes, message)).ok()??;
    let found = names.grids[grid].plant.and_then(|plant| plant.parts[part].kind);
    if found.is_some_and(|found| found != kind) {
        target.error(notes, must);
    }
    let grid = u16::try_from(grid).unwrap_or(u16::MAX);
    let component = ComponentIndex(u16::try_from(part).unwrap_or(u16::MAX));
    Some(match what.name() {
        "Open" => Change::Breaker { grid, position: Position::Open },
        "Close" => Change::Breaker { grid, position: Position::Closed },
        "Start" => Change::Inverter { grid, component, order: InverterOrder::Start },
        _ => Change::Inverter { grid, component, order: InverterOrder::Stop },
    })
}

/// Reads `During("+1 h", "+2 h", Silent("commerce/pcc"))`.
fn read_during(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    silences: &mut Vec<Silence>,
    notes: &mut Notes,
) {
    let Some(values) = node.positional(notes) else { return };
    let [begin, end, what] = values.as_slice() else {
        let message = "expected During(\"+1 h\", \"+2 h\", Silent(\"grid/device\")), got";
        node.error(notes, format!("{message} {} values", values.len()));
        return;
    };
    let errors = notes.errors();
    let windows = calendar.windows(begin, end, notes);
    if windows.is_empty() && notes.errors() == errors && calendar.is_dated {
        begin.warning(notes, NEVER);
    }
    if what.name() != FAULTS[0] {
        unknown(what, "fault", &FAULTS, &LATER, notes);
        return;
    }
    let Some((grid, owner, target)) = target(what, names, notes) else { return };
    match names.device(grid, &owner) {
        Ok(None) => {}
        Ok(Some(device)) => {
            let silence = |(from, to)| Silence { place: (grid, device), from, to };
            silences.extend(windows.into_iter().map(silence));
        }
        Err(message) => target.error(notes, message),
    }
}

/// Reads the one name in `Open("commerce/pcc")`: its grid, what follows, and where it stands.
fn target<'t>(
    node: &Node<'t>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(usize, String, Node<'t>)> {
    let values = node.positional(notes)?;
    let [value] = values.as_slice() else {
        node.error(notes, format!("expected {}(\"grid/name\"), got {} values", node.name(), values.len()));
        return None;
    };
    let text: String = value.leaf(notes)?;
    let (grid, owner) = split(&text, names).map_err(|message| value.error(notes, message)).ok()?;
    Some((grid, owner, value.clone()))
}

/// Splits `commerce/pcc` into the position of its grid and the rest.
pub(crate) fn split(text: &str, names: &Names<'_, '_>) -> Result<(usize, String), String> {
    let form = || format!("expected a name such as \"grid/device\", got \"{}\"", excerpt(text));
    let (grid, owner) = text.split_once('/').ok_or_else(form)?;
    Ok((names.grid(grid)?, owner.to_string()))
}

/// Silences that overlap or touch are one.
fn silent_changes(mut silences: Vec<Silence>) -> Vec<Timed> {
    silences.sort_by_key(|silence| (silence.place, silence.from));
    let mut merged: Vec<Silence> = Vec::new();
    for silence in silences {
        match merged.last_mut() {
            Some(last) if last.place == silence.place && silence.from <= last.to => {
                last.to = last.to.max(silence.to);
            }
            Some(_) | None => merged.push(silence),
        }
    }
    let change = |silence: &Silence, state: LinkState| {
        let (controller, device) = silence.place;
        let controller = u16::try_from(controller).unwrap_or(u16::MAX);
        Change::Link { controller, device: DeviceIndex::of(device), state }
    };
    let both = |silence: &Silence| {
        [
            Timed { at: silence.from, change: change(silence, LinkState::Silent) },
            Timed { at: silence.to, change: change(silence, LinkState::Answering) },
        ]
    };
    merged.iter().flat_map(both).collect()
}

//! What happens during a run: breakers that move, batteries that start and stop, devices that restart, operators' commands, and
//! faults; once or every day. That prices change is read with the tariff.

use r_ems_sim::disk::DiskChange;
use r_ems_sim::plant::{ComponentIndex, Position};
use r_ems_sim::world::{Change, InverterOrder, Life, PlantChange, Timed};

use crate::command::{self, COMMANDS};
use crate::device_fault;
use crate::fault::{self, Effect, Lasting, Usual};
use crate::grid_value::{self, GRID_SIGNAL, GRID_VALUES};
use crate::later::unknown;
use crate::mistake::Notes;
use crate::moment::{Calendar, MAX_REPETITIONS};
use crate::naming::Names;
use crate::node::{Node, excerpt};
use crate::persistence::BIT_ROT;
use crate::plant::Kind;
use crate::tariff::PRICE;

/// Most entries of a timeline, and of a list of faults.
pub(crate) const MAX_HAPPENINGS: usize = 10_000;

/// The kinds of entries.
pub(crate) const ENTRIES: [&str; 2] = ["At", "During"];
/// What can happen at an instant.
pub(crate) const CHANGES: [&str; 25] = [
    "Open",
    "Close",
    "Start",
    "Stop",
    "Crash",
    "Boot",
    "Kill",
    "Restart",
    "ClockRate",
    "WallClock",
    "Upgrade",
    "RestartDevice",
    BIT_ROT,
    GRID_VALUES[0],
    GRID_VALUES[1],
    GRID_SIGNAL,
    PRICE,
    COMMANDS[0],
    COMMANDS[1],
    COMMANDS[2],
    COMMANDS[3],
    COMMANDS[4],
    COMMANDS[5],
    COMMANDS[6],
    COMMANDS[7],
];

/// What is said of a time of day that the run does not have.
pub(crate) const NEVER: &str = "the run has no such time of day: nothing happens";

/// What names and moments mean here.
pub(crate) struct Context<'a> {
    pub(crate) names: &'a Names<'a, 'a>,
    pub(crate) calendar: &'a Calendar,
    pub(crate) usual: Usual<'a>,
}

/// Everything that was read so far.
#[derive(Default)]
struct Happened<'t> {
    changes: Vec<Timed>,
    faults: Vec<Lasting<'t>>,
}

/// Reads `timeline` and `faults` into what changes when, sorted by time; at one instant in the order of the files.
pub(crate) fn read<'t>(
    lists: [Option<&Node<'t>>; 2],
    context: &Context<'_>,
    notes: &mut Notes,
) -> Vec<Timed> {
    let mut all = Happened::default();
    for node in lists.into_iter().flatten() {
        let items = node.items(notes).unwrap_or_default();
        if items.len() > MAX_HAPPENINGS {
            node.error(notes, format!("expected at most {MAX_HAPPENINGS}, got {}", items.len()));
            continue;
        }
        for item in &items {
            match item.name() {
                "At" => read_at(item, context, &mut all.changes, notes),
                "During" => read_during(item, context, &mut all.faults, notes),
                _ => unknown(item, "word", &ENTRIES, &[], notes),
            }
            if all.changes.len() + all.faults.len() > MAX_REPETITIONS {
                let limit = format!("expected at most {MAX_REPETITIONS} instants with all repetitions");
                item.error(notes, format!("{limit}; this one exceeds them"));
                return Vec::new();
            }
        }
    }
    let mut changes = all.changes;
    changes.extend(fault::changes(all.faults, notes));
    changes.sort_by_key(|timed| timed.at);
    changes
}

/// Reads `At("+10 min", Open("commerce/pcc"))`.
fn read_at(node: &Node<'_>, context: &Context<'_>, changes: &mut Vec<Timed>, notes: &mut Notes) {
    let Some(values) = node.positional(notes) else { return };
    let [place, what] = values.as_slice() else {
        let found = values.len();
        node.error(notes, format!("expected At(\"+10 min\", Open(\"grid/pcc\")), got {found} values"));
        return;
    };
    if what.name() == PRICE {
        // It changes nothing in the world, and is read with the tariff.
        return;
    }
    let when = context.calendar.when(place, notes);
    let all = read_change(what, context, notes);
    if let (Some(when), Some(all)) = (when, all) {
        let instants = context.calendar.instants(when);
        if instants.is_empty() && context.calendar.is_dated {
            place.warning(notes, NEVER);
        }
        for at in instants {
            changes.extend(all.iter().map(|change| Timed { at, change: *change }));
        }
    }
}

/// Reads `Open("commerce/pcc")`, `Crash(host: "a")` or `SwitchOver("commerce")`.
fn read_change(what: &Node<'_>, context: &Context<'_>, notes: &mut Notes) -> Option<Vec<Change>> {
    let names = context.names;
    let host = |state, notes: &mut Notes| {
        fault::host_of(what, names, notes).map(|host| vec![Change::Host { host, state }])
    };
    let process = |state, notes: &mut Notes| {
        fault::process_of(what, names, notes).map(|controller| vec![Change::Process { controller, state }])
    };
    let with_disk = |change: &dyn Fn(u16) -> Change, notes: &mut Notes| {
        fault::host_with_disk(what, names, &context.usual, notes).map(|host| vec![change(host)])
    };
    match what.name() {
        "Open" | "Close" => {
            let kinds = [Kind::Connection, Kind::Load, Kind::Tie];
            read_move(what, &kinds, "only a GridConnection, a Load or a BusTie has a breaker", names, notes)
        }
        "Stop" if fault::stops_order(what) => fault::stop_at(what, names, notes).map(|change| vec![change]),
        "Start" | "Stop" => {
            let kinds = [Kind::Battery, Kind::Genset];
            read_move(what, &kinds, "only a Battery or a Genset starts and stops", names, notes)
        }
        "Crash" => host(Life::Down, notes),
        "Boot" => host(Life::Up, notes),
        "Kill" => process(Life::Down, notes),
        "Restart" => process(Life::Up, notes),
        "ClockRate" => {
            let (host, rate_ppb) = fault::clock_rate(what, names, notes)?;
            Some(vec![Change::ClockRate { host, rate_ppb }])
        }
        "WallClock" => {
            let (host, wall) = fault::wall_clock(what, names, notes)?;
            Some(vec![Change::WallClock { host, wall }])
        }
        "Upgrade" => with_disk(&|host| Change::Upgrade { host }, notes),
        "RestartDevice" => device_fault::read_restart(what, names, notes),
        name if GRID_VALUES.contains(&name) => {
            let (grid, value, level) = grid_value::read(what, names, notes)?;
            Some(vec![grid_value::change(grid, value, Some(level))])
        }
        GRID_SIGNAL => {
            let (grid, receiver, level) = grid_value::read_signal(what, names, notes)?;
            Some(vec![grid_value::signals(grid, receiver, Some(level))])
        }
        BIT_ROT => with_disk(&|host| Change::Disk { host, change: DiskChange::Rot }, notes),
        name if COMMANDS.contains(&name) => command::read(what, names, notes),
        name if fault::FAULTS.contains(&name) => {
            what.error(notes, format!("`{name}` lasts for a while: write During(begin, end, {name}(…))"));
            None
        }
        _ => {
            unknown(what, "change", &CHANGES, &[], notes);
            None
        }
    }
}

/// Reads what moves in the plant.
fn read_move(
    what: &Node<'_>,
    kinds: &[Kind],
    must: &str,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<Vec<Change>> {
    let values = what.positional(notes)?;
    let [place] = values.as_slice() else {
        what.error(notes, format!("expected {}(\"grid/name\"), got {} values", what.name(), values.len()));
        return None;
    };
    let (grid, component, found) = component_of(place, kinds, must, names, notes)?;
    let moves = |position| match found {
        Some(Kind::Load) => PlantChange::Load(component, position),
        Some(Kind::Tie) => PlantChange::Tie(component, position),
        Some(Kind::Connection | Kind::Pv | Kind::Battery | Kind::Genset | Kind::Signal) | None => {
            PlantChange::Breaker(position)
        }
    };
    let change = match what.name() {
        "Open" => moves(Position::Open),
        "Close" => moves(Position::Closed),
        "Start" => PlantChange::Inverter(component, InverterOrder::Start),
        _ => PlantChange::Inverter(component, InverterOrder::Stop),
    };
    Some(vec![Change::Plant { grid, change }])
}

/// Reads `During("+1 h", "+2 h", Silent("commerce/pcc"))`.
fn read_during<'t>(node: &Node<'t>, context: &Context<'_>, faults: &mut Vec<Lasting<'t>>, notes: &mut Notes) {
    let Some(values) = node.positional(notes) else { return };
    let [begin, end, what] = values.as_slice() else {
        let message = "expected During(\"+1 h\", \"+2 h\", Silent(\"grid/device\")), got";
        node.error(notes, format!("{message} {} values", values.len()));
        return;
    };
    if what.name() == PRICE {
        return;
    }
    let errors = notes.errors();
    let windows = context.calendar.windows(begin, end, notes);
    if windows.is_empty() && notes.errors() == errors && context.calendar.is_dated {
        begin.warning(notes, NEVER);
    }
    let effects: Vec<Effect> = fault::read(what, context.names, &context.usual, notes).unwrap_or_default();
    for (from, to) in windows {
        let lasting = |effect: &Effect| Lasting { effect: *effect, from, to, node: what.clone() };
        faults.extend(effects.iter().map(lasting));
        if faults.len() > MAX_REPETITIONS {
            return;
        }
    }
}

/// Finds the component that `"commerce/pcc"` names: its grid, its place there, and its kind where that is known.
pub(crate) fn component_of(
    place: &Node<'_>,
    kinds: &[Kind],
    must: &str,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(u16, ComponentIndex, Option<Kind>)> {
    let text: String = place.leaf(notes)?;
    let (grid, owner) = split(&text, names).map_err(|message| place.error(notes, message)).ok()?;
    let part = names.component(grid, &owner).map_err(|message| place.error(notes, message)).ok()??;
    let found = names.grids[grid].plant.and_then(|plant| plant.parts[part].kind);
    if found.is_some_and(|found| !kinds.contains(&found)) {
        place.error(notes, must);
        return None;
    }
    let number = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
    Some((number(grid), ComponentIndex(number(part)), found))
}

/// Splits `commerce/pcc` into the position of its grid and the rest.
pub(crate) fn split(text: &str, names: &Names<'_, '_>) -> Result<(usize, String), String> {
    let form = || format!("expected a name such as \"grid/device\", got \"{}\"", excerpt(text));
    let (grid, owner) = text.split_once('/').ok_or_else(form)?;
    Ok((names.grid(grid)?, owner.to_string()))
}

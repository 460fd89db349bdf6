//! What operators ask of controllers on a timeline: `SwitchOver("commerce", (to: "b"))`, `Maintenance("commerce/a", On)`,
//! `SetPoint("commerce/bess", "50 kW", (for: "30 min"))`, `Mode("commerce", Stop)`.

use r_ems_engine::Span;
use r_ems_engine::controller::operation::Operation;
use r_ems_engine::controller::orders::{Aim, MANUAL_MAX, Milliwatts};
use r_ems_engine::functions::wiring::{ALL_BATTERIES, ALL_PVS};
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::points::DeviceClass;
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::Watts;
use r_ems_sim::world::Change;

use crate::happening::split;
use crate::leaf::word;
use crate::mistake::Notes;
use crate::naming::Names;
use crate::node::Node;

/// What can be asked for.
pub(crate) const COMMANDS: [&str; 8] =
    ["SwitchOver", "Maintenance", "Sole", "SetPoint", "Release", "EmergencyStop", "Reset", "Mode"];

/// Reads a command; one to a grid is asked of each of its controllers, and those that it is not for refuse.
pub(crate) fn read(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Change>> {
    match node.name() {
        "SwitchOver" => switch_over(node, names, notes),
        "Maintenance" => {
            const WORDS: [(bool, bool); 3] = [(true, false), (true, true), (false, false)];
            let (controller, place) = to_one(node, &["On", "Forced", "Off"], names, notes)?;
            let (begins, is_forced) = WORDS[place];
            Some(vec![Change::Command { controller, command: Command::Maintenance { begins, is_forced } }])
        }
        "SetPoint" => set_point(node, names, notes),
        "Mode" => mode(node, names, notes),
        "Release" => {
            let values = node.positional(notes)?;
            let [asked] = values.as_slice() else {
                node.error(notes, format!("expected Release(\"grid/device\"), got {} values", values.len()));
                return None;
            };
            let (grid, to) = aim(asked, names, notes)?;
            Some(of_grid(grid, Command::ReleaseSetPoint { to }, names))
        }
        "EmergencyStop" | "Reset" => {
            let values = node.positional(notes)?;
            let [asked] = values.as_slice() else {
                let form = format!("expected {}(\"grid\")", node.name());
                node.error(notes, format!("{form}, got {} values", values.len()));
                return None;
            };
            let name: String = asked.leaf(notes)?;
            let grid = names.grid(&name).map_err(|message| asked.error(notes, message)).ok()?;
            let command = if node.name() == "Reset" { Command::Reset } else { Command::EmergencyStop };
            Some(of_grid(grid, command, names))
        }
        _ => {
            let (controller, place) = to_one(node, &["On", "Off"], names, notes)?;
            Some(vec![Change::Command { controller, command: Command::Sole { begins: place == 0 } }])
        }
    }
}

/// Reads `SwitchOver("commerce")`, `SwitchOver("commerce/a")`, or either with `(to: "b")` behind it.
fn switch_over(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Change>> {
    let values = node.positional(notes)?;
    let (asked, options) = match values.as_slice() {
        [asked] => (asked, None),
        [asked, options] => (asked, Some(options)),
        [..] => {
            let form = "expected SwitchOver(\"grid\") or SwitchOver(\"grid\", (to: \"controller\"))";
            node.error(notes, format!("{form}, got {} values", values.len()));
            return None;
        }
    };
    let name: String = asked.leaf(notes)?;
    let grid_name = name.split_once('/').map_or(name.as_str(), |parts| parts.0);
    let grid = names.grid(grid_name).map_err(|message| asked.error(notes, message)).ok()?;
    if !names.grids[grid].is_shared() {
        asked
            .error(notes, format!("the grid \"{grid_name}\" has one controller: there is none to switch to"));
        return None;
    }
    let controllers: Vec<u16> = if name == grid_name {
        names.grids[grid].controllers().collect()
    } else {
        vec![names.member(&name).map_err(|message| asked.error(notes, message)).ok()?]
    };
    let mut to = None;
    if let Some(options) = options {
        let mut fields = options.fields(notes)?;
        let value = fields.required("to", notes);
        fields.finish(notes);
        let value = value?;
        let wanted: String = value.leaf(notes)?;
        to = Some(names.controller(grid, &wanted).map_err(|message| value.error(notes, message)).ok()?);
    }
    let change = |controller| Change::Command { controller, command: Command::SwitchOver { to } };
    Some(controllers.into_iter().map(change).collect())
}

/// Reads `SetPoint("commerce/bess", "50 kW", (for: "30 min"))`.
fn set_point(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Change>> {
    let values = node.positional(notes)?;
    let [asked, power, options] = values.as_slice() else {
        let form = "expected SetPoint(\"grid/device\", \"50 kW\", (for: \"30 min\"))";
        node.error(notes, format!("{form}, got {} values", values.len()));
        return None;
    };
    let meant = aim(asked, names, notes);
    let power: Option<Watts> = power.leaf(notes);
    let lasts = lasting(options, notes)?;
    let (grid, to) = meant?;
    Some(of_grid(grid, Command::SetPoint { to, power: Milliwatts::of(power?), lasts }, names))
}

/// Reads `(for: "30 min")`.
fn lasting(options: &Node<'_>, notes: &mut Notes) -> Option<Span> {
    let mut fields = options.fields(notes)?;
    let value = fields.required("for", notes);
    fields.finish(notes);
    let value = value?;
    let lasts: Span = value.leaf(notes)?;
    if lasts == Span::ZERO || lasts > MANUAL_MAX {
        value.error(notes, format!("must be more than 0 s and at most {MANUAL_MAX}, got {lasts}"));
        return None;
    }
    Some(lasts)
}

/// Reads `Mode("commerce", Hold, (for: "30 min"))`, `Mode("commerce", Stop)` or `Mode("commerce", Auto)`.
fn mode(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Change>> {
    let values = node.positional(notes)?;
    let (asked, wanted, options) = match values.as_slice() {
        [asked, wanted] => (asked, wanted, None),
        [asked, wanted, options] => (asked, wanted, Some(options)),
        [..] => {
            let form = "expected Mode(\"grid\", Auto or Stop) or Mode(\"grid\", Hold, (for: \"30 min\"))";
            node.error(notes, format!("{form}, got {} values", values.len()));
            return None;
        }
    };
    let name: Option<String> = asked.leaf(notes);
    let operation = Operation::ALL[word(wanted, &["Auto", "Hold", "Stop"], notes)?];
    let lasts = match (operation, options) {
        (Operation::Hold, Some(options)) => lasting(options, notes)?,
        (Operation::Hold, None) => {
            wanted.error(notes, "Hold needs to know for how long: Mode(\"grid\", Hold, (for: \"30 min\"))");
            return None;
        }
        (Operation::Auto | Operation::Stop, None) => Span::ZERO,
        (Operation::Auto | Operation::Stop, Some(options)) => {
            options.error(notes, "only Hold lasts for a while; leave this out");
            return None;
        }
    };
    let grid = names.grid(&name?).map_err(|message| asked.error(notes, message)).ok()?;
    Some(of_grid(grid, Command::Operate { operation, lasts }, names))
}

/// The same command to each controller of a grid.
fn of_grid(grid: usize, command: Command, names: &Names<'_, '_>) -> Vec<Change> {
    names.grids[grid].controllers().map(|controller| Change::Command { controller, command }).collect()
}

/// Reads whose set-point is meant, and in which grid.
fn aim(asked: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<(usize, Aim)> {
    let text: String = asked.leaf(notes)?;
    let (grid, name) = split(&text, names).map_err(|message| asked.error(notes, message)).ok()?;
    let to = match name.as_str() {
        ALL_BATTERIES => Aim::All(DeviceClass::Battery),
        ALL_PVS => Aim::All(DeviceClass::Pv),
        name => {
            let found = names.device(grid, name).map_err(|message| asked.error(notes, message)).ok()??;
            Aim::Device(DeviceIndex::of(found))
        }
    };
    Some((grid, to))
}

/// Reads a controller and a word.
fn to_one(node: &Node<'_>, words: &[&str], names: &Names<'_, '_>, notes: &mut Notes) -> Option<(u16, usize)> {
    let values = node.positional(notes)?;
    let [asked, value] = values.as_slice() else {
        let form = format!("expected {}(\"grid/controller\", {})", node.name(), words.join(" or "));
        node.error(notes, format!("{form}, got {} values", values.len()));
        return None;
    };
    let name: Option<String> = asked.leaf(notes);
    let place = word(value, words, notes);
    let controller = names.member(&name?).map_err(|message| asked.error(notes, message)).ok()?;
    let is_witness = |grid: &crate::naming::Named<'_, '_>| {
        let seat = usize::from(controller).checked_sub(grid.first);
        seat.and_then(|seat| grid.members.get(seat)).is_some_and(|member| member.is_witness)
    };
    if names.grids.iter().any(is_witness) {
        asked.error(notes, "a witness only votes; name a controller");
    }
    Some((controller, place?))
}

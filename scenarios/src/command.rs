//! What operators ask of controllers on a timeline: `SwitchOver("commerce", (to: "b"))`, `Maintenance("commerce/a", On)`.

use r_ems_engine::redundancy::Command;
use r_ems_sim::world::Change;

use crate::leaf::word;
use crate::mistake::Notes;
use crate::naming::Names;
use crate::node::Node;

/// What can be asked for.
pub(crate) const COMMANDS: [&str; 3] = ["SwitchOver", "Maintenance", "Sole"];

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

//! What happens to the grid behind a connection: its frequency, and the voltage of its source.
//!
//! `At("18:02", Frequency("commerce/pcc", "49.7 Hz"))` holds from then on, `During(begin, end, Voltage("commerce/pcc",
//! "0.94 pu"))` until the end; then the grid follows its own course again, as its component says. So does what its operator
//! signals: `GridSignal("commerce/receiver", "60 %")`.

use r_ems_engine::units::Ratio;
use r_ems_sim::plant::{ComponentIndex, GridValue};
use r_ems_sim::world::{Change, Level, PlantChange};

use crate::happening::component_of;
use crate::mistake::Notes;
use crate::naming::Names;
use crate::node::Node;
use crate::plant::Kind;
use crate::source::{grid_amount, grid_range};

/// What can be set, by name.
pub(crate) const GRID_VALUES: [&str; 2] = ["Frequency", "Voltage"];
/// What the grid operator does.
pub(crate) const GRID_SIGNAL: &str = "GridSignal";

/// Reads `Frequency("commerce/pcc", "49.7 Hz")`.
pub(crate) fn read(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(u16, GridValue, Level)> {
    let values = node.positional(notes)?;
    let (what, example) = match node.name() {
        "Frequency" => (GridValue::Frequency, "49.7 Hz"),
        _ => (GridValue::Voltage, "0.94 pu"),
    };
    let [place, amount] = values.as_slice() else {
        let form = format!("expected {}(\"grid/pcc\", \"{example}\")", node.name());
        node.error(notes, format!("{form}, got {} values", values.len()));
        return None;
    };
    let must = "only a GridConnection has a grid behind it";
    let (grid, ..) = component_of(place, &[Kind::Connection], must, names, notes)?;
    let value = grid_amount(amount, what, notes)?;
    let (low, high, unit) = grid_range(what);
    if !(low..=high).contains(&value) {
        amount.error(notes, format!("must be from {low} to {high}{unit}, got {value}"));
        return None;
    }
    Some((grid, what, Level::of(value)))
}

/// The grid has this value from now on, or follows its own course again.
pub(crate) const fn change(grid: u16, what: GridValue, level: Option<Level>) -> Change {
    Change::Plant { grid, change: PlantChange::Grid(what, level) }
}

/// Reads `GridSignal("commerce/receiver", "60 %")`.
pub(crate) fn read_signal(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(u16, ComponentIndex, Level)> {
    let values = node.positional(notes)?;
    let [place, share] = values.as_slice() else {
        let form = "expected GridSignal(\"grid/receiver\", \"60 %\")";
        node.error(notes, format!("{form}, got {} values", values.len()));
        return None;
    };
    let must = "only a Signal tells what the grid operator wants";
    let (grid, receiver, _kind) = component_of(place, &[Kind::Signal], must, names, notes)?;
    let found: Ratio = share.leaf(notes)?;
    if !(Ratio::ZERO..=Ratio::ONE).contains(&found) {
        share.error(notes, format!("must be from 0 % to 100 %, got {found}"));
        return None;
    }
    Some((grid, receiver, Level::of(found.ratio())))
}

/// A receiver tells this from now on, or follows its own course again.
pub(crate) const fn signals(grid: u16, receiver: ComponentIndex, level: Option<Level>) -> Change {
    Change::Plant { grid, change: PlantChange::Signal(receiver, level) }
}

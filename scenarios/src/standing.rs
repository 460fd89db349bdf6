//! Devices that are taken to their panels, and devices that trip: `Local("g/bess")`, `Fault("g/bess")`.
//!
//! Both are about the device itself, whoever asks it: all controllers of its grid meet it so.

use r_ems_sim::links::Edge;
use r_ems_sim::plant::ComponentIndex;
use r_ems_sim::world::{Change, PlantChange};

use crate::fault::{Effect, Key};
use crate::happening::component_of;
use crate::mistake::Notes;
use crate::naming::Names;
use crate::node::Node;
use crate::plant::Kind;

/// What can be so of a device for a while.
pub(crate) const STANDINGS: [&str; 2] = ["Local", "Fault"];

/// Reads who stands at its panel, or what trips, until the window ends.
pub(crate) fn read(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Effect> {
    let values = node.positional(notes)?;
    let [place] = values.as_slice() else {
        let found = values.len();
        node.error(notes, format!("expected {}(\"grid/device\"), got {found} values", node.name()));
        return None;
    };
    let text: String = place.leaf(notes)?;
    if let Some((controller, device)) = text.split_once(':') {
        let message = format!(
            "a device is so for all controllers: write \"{device}\", without \"{controller}:\"; what one of them does not see \
             of it is Silent or Wrong"
        );
        place.error(notes, message);
        return None;
    }
    let trips = node.name() == "Fault";
    let (kinds, must): (&[Kind], &str) = if trips {
        (
            &[Kind::Battery, Kind::Pv, Kind::Genset],
            "only a battery, PV or a genset trips by itself; what opens a breaker is Open",
        )
    } else {
        (
            &[Kind::Connection, Kind::Load, Kind::Pv, Kind::Battery, Kind::Genset],
            "only what takes set-points has a panel: a battery, PV, a genset, a load, or a connection with a breaker",
        )
    };
    let (grid, component, _) = component_of(place, kinds, must, names, notes)?;
    let change = |edge| Change::Plant { grid, change: change(trips, component, edge) };
    let key = if trips { Key::Fault(grid, component) } else { Key::Panel(grid, component) };
    Some(Effect::new(key, change(Edge::Begins), change(Edge::Ends)))
}

const fn change(trips: bool, component: ComponentIndex, edge: Edge) -> PlantChange {
    if trips { PlantChange::Fault(component, edge) } else { PlantChange::Panel(component, edge) }
}

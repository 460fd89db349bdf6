//! Hosts whose site file is not that of the others: `differs: { "b": { "site.grids.commerce.redundancy.lease": "60 ms" } }`.
//!
//! Such a host runs the same controllers on the same devices, or there would be nothing that the world could carry; all else may
//! be another. What the world is follows the site file that the others have.

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::persistence::SnapshotSettings;
use r_ems_sim::progress::Promised;

use super::site_root_of;
use crate::files::Document;
use crate::fleet;
use crate::mistake::{Notes, suggestion};
use crate::node::{Entry, Node};
use crate::overrides;
use crate::site::{self, Site};

/// A member of the fleet whose site file is another.
pub(super) struct Other {
    place: usize,
    /// Whether the others do not understand it.
    is_foreign: bool,
}

/// Makes the controllers of the hosts in `differs` from what their site file says; returns which they are.
pub(super) fn replace<F: FunctionSet>(
    differs: Option<&Node<'_>>,
    texts: (&Document, Option<&Document>),
    (site, snapshots): (&Site<'_, F::Spec>, SnapshotSettings),
    controllers: &mut [ControllerSpec<F>],
    notes: &mut Notes,
) -> Vec<Other> {
    let mut others = Vec::new();
    for entry in differs.and_then(|node| node.map(notes)).unwrap_or_default() {
        let names: Vec<&str> = site.hosts.iter().map(|host| host.name.as_str()).collect();
        let Some(host) = names.iter().position(|name| *name == entry.name) else {
            entry.key.error(notes, format!("there is no such host; {}", suggestion(&entry.name, &names)));
            continue;
        };
        let Some(own) = fleet_of::<F>(&entry, texts, (site, snapshots), notes) else { continue };
        let members = site.grids.iter().flat_map(|grid| grid.council.members());
        for (place, (member, own)) in members.zip(own).enumerate() {
            let Some(common) = controllers.get_mut(place).filter(|_common| member.host == host) else {
                continue;
            };
            let is_foreign = common.redundancy.section != own.redundancy.section;
            others.push(Other { place, is_foreign });
            *common = own;
        }
    }
    others
}

/// All controllers, as the site file of one host has them.
fn fleet_of<F: FunctionSet>(
    entry: &Entry<'_>,
    (scenario, file): (&Document, Option<&Document>),
    (site, snapshots): (&Site<'_, F::Spec>, SnapshotSettings),
    notes: &mut Notes,
) -> Option<Vec<ControllerSpec<F>>> {
    let errors = notes.errors();
    let settings = overrides::of_site(&entry.value, file.is_some(), notes);
    let changed = overrides::apply(file.unwrap_or(scenario).clone(), &settings, &mut Vec::new(), notes);
    let root = Node::root(&changed, notes)?;
    let root = if file.is_some() { root } else { site_root_of(&root)? };
    let own = site::read::<F>(&root, notes)?;
    if notes.errors() > errors {
        return None;
    }
    if shape(&own) != shape(site) {
        let allowed =
            "must leave the grids, their controllers and their devices as the other hosts have them";
        entry.value.error(notes, allowed);
        return None;
    }
    Some(fleet::controllers::<F>(&own, snapshots, notes))
}

/// What a world is built on.
fn shape<S>(site: &Site<'_, S>) -> Vec<String> {
    let mut shape = Vec::new();
    for grid in &site.grids {
        shape.push(format!("grid {}", grid.name));
        let member =
            |member: crate::council::Member<'_>| format!("{} on {}", member.id, site.hosts[member.host].name);
        shape.extend(grid.council.members().map(member));
        shape.extend(
            grid.devices.iter().map(|device| format!("{} {:?}", device.spec.name, device.spec.class)),
        );
    }
    shape
}

/// Who differs is no heir that the others could count on, and whom they do not understand has no vote among them.
pub(super) fn promise_less(promised: &mut [Promised], others: &[Other]) {
    for member in promised.iter_mut().flat_map(|promised| &mut promised.members) {
        if let Some(other) = others.iter().find(|other| other.place == usize::from(member.place)) {
            member.is_heir = false;
            member.votes &= !other.is_foreign;
        }
    }
}

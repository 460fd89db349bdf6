//! Hosts whose site file is not that of the others: `differs: { "b": { "site.grids.commerce.redundancy.lease": "60 ms" } }`.
//!
//! Such a host runs the same controllers on the same devices, or there would be nothing that the world could carry; what its
//! controllers believe and do may be another. What the world is follows the site file that the others have.
//!
//! **Invariant:** what a host's site file says otherwise takes effect in its controllers, or is refused (`ineffective`).

use r_ems_engine::Span;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::persistence::SnapshotSettings;
use r_ems_sim::progress::Promised;
use r_ems_sim::world::Post;

use super::site_root_of;
use crate::files::Document;
use crate::fleet;
use crate::mistake::{Notes, suggestion};
use crate::node::{Entry, Node, excerpt};
use crate::overrides;
use crate::site::{self, Site};

/// A member of the fleet whose site file is another.
pub(super) struct Other {
    place: usize,
    /// Whether the others do not understand it.
    is_foreign: bool,
}

/// Makes the controllers of the hosts in `differs` from what their site file says, and what their images make of their links,
/// which are the `posts`' (none if no world is made); returns which they are.
pub(super) fn replace<F: FunctionSet>(
    differs: Option<&Node<'_>>,
    texts: (&Document, Option<&Document>),
    (site, snapshots): (&Site<'_, F::Spec>, SnapshotSettings),
    (controllers, posts): (&mut [ControllerSpec<F>], &mut [Post]),
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
            let links = posts.get_mut(place).map_or(&mut [][..], |post| &mut post.links);
            for (link, device) in links.iter_mut().zip(&own.devices) {
                (link.declared, link.valid_for) = (device.positive, fleet::believed_for(device));
            }
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
    let refused = ineffective(&own, site);
    let settings = entry.value.map(&mut Notes::default()).unwrap_or_default();
    for Ineffective { path, allowed } in &refused {
        let states_it =
            |setting: &&Entry<'_>| path.starts_with(&setting.name) || setting.name.starts_with(path);
        let place = settings.iter().rfind(states_it).map_or(&entry.value, |setting| &setting.value);
        let found = excerpt(place.text());
        place.error(
            notes,
            format!("all hosts of a simulated run have one `{path}`: expected {allowed}, got {found}"),
        );
    }
    if !refused.is_empty() {
        return None;
    }
    Some(fleet::controllers::<F>(&own, snapshots, notes))
}

/// What one host's site file says otherwise, and what nothing would follow from.
struct Ineffective {
    path: String,
    /// What the others have.
    allowed: String,
}

/// What belongs to no controller: the world takes it from the site file that the others have.
fn ineffective<S>(own: &Site<'_, S>, site: &Site<'_, S>) -> Vec<Ineffective> {
    let mut all = Vec::new();
    let mut compare = |path: String, is_same: bool, allowed: String| {
        if !is_same {
            all.push(Ineffective { path, allowed });
        }
    };
    let of_others = || "what the others have".to_string();
    let zone = site.time_zone.unwrap_or_default();
    compare("site.time_zone".into(), own.time_zone == site.time_zone, format!("\"{zone}\""));
    let host = |host: &Entry<'_>| (host.name.clone(), host.value.text().to_string());
    let are_same = own.hosts.iter().map(host).eq(site.hosts.iter().map(host));
    compare("site.hosts".into(), are_same, of_others());
    compare("site.persistence".into(), own.persistence == site.persistence, of_others());
    for (grid, others) in own.grids.iter().zip(&site.grids) {
        for (device, others) in grid.devices.iter().zip(&others.devices) {
            let mut same = |field: &str, found: String, allowed: String| {
                let path = format!("site.grids.{}.devices.{}.link.{field}", grid.name, others.spec.name);
                compare(path, found == allowed, allowed);
            };
            let quoted = |span: Span| format!("\"{span}\"");
            same("timeout", quoted(device.timeout), quoted(others.timeout));
            if let (Some(found), Some(allowed)) = (device.one_connection, others.one_connection) {
                same("connect", quoted(found.connect), quoted(allowed.connect));
                same("dead_connection", quoted(found.dead_after), quoted(allowed.dead_after));
            }
            if let (Some(found), Some(allowed)) = (&device.modbus, &others.modbus) {
                let ((address, unit), (its_address, its_unit)) = (found.place(), allowed.place());
                same("address", format!("\"{address}\""), format!("\"{its_address}\""));
                same("unit", unit.to_string(), its_unit.to_string());
                same("serial", found.settings(), allowed.settings());
            }
        }
    }
    all
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

//! What is made again from the texts of a scenario that was loaded before: its controllers, or what else might happen in it.
//!
//! Profiles and plants are not needed, so that this costs little: a search may ask for thousands of lists of faults.

use r_ems_engine::functions::FunctionSet;
use r_ems_sim::world::Timed;

use super::{Header, really, site_root, who_runs};
use crate::fault::Usual;
use crate::files::Document;
use crate::mistake::{Mistake, Notes};
use crate::moment::Calendar;
use crate::node::Node;
use crate::plant::Plant;
use crate::{Recalled, fleet, happening, site};

/// Reads what happens in a list of faults against the texts of a scenario, as if it stood in its `faults` alone.
pub(crate) fn happenings<F: FunctionSet>(
    documents: &[Document],
    faults: &Document,
    notes: &mut Notes,
) -> Option<Vec<Timed>> {
    let [scenario, rest @ ..] = documents else { return None };
    let root = Node::root(scenario, notes)?;
    let header = Header::read(&root, notes)?;
    let site = site_root(&header, rest.first(), notes).and_then(|node| site::read::<F>(&node, notes))?;
    let zone = site.time_zone?;
    let (start, duration) = (header.start(zone, notes)?, header.duration?);
    let calendar = Calendar { start, zone, duration, is_dated: true };
    let plants: Vec<Option<Plant<'_>>> = site.grids.iter().map(|_grid| None).collect();
    let names = fleet::names(&site, &plants);
    let (_, hosts, network) = really(&header, fleet::posts(&site, &plants, header.is_at_wire), &names, notes);
    let has_disks = header.persistence.or(site.persistence).is_some();
    let usual = Usual { network: &network, clocks: &hosts, has_disks };
    let context = happening::Context { names: &names, calendar: &calendar, usual };
    let list = Node::root(faults, notes)?;
    Some(happening::read([None, Some(&list)], &context, notes))
}

/// Reads a scenario's or a site's controllers only, from texts that were checked when a log was written.
pub(crate) fn recall<F: FunctionSet>(documents: &[Document], notes: &mut Notes) -> Option<Recalled<F>> {
    let [scenario, rest @ ..] = documents else {
        notes.add(Mistake::of_file("", 0, "", "expected the text of a scenario, got none"));
        return None;
    };
    let root = Node::root(scenario, notes)?;
    let header = Header::read(&root, notes)?;
    let site = site_root(&header, rest.first(), notes).and_then(|node| site::read::<F>(&node, notes))?;
    let time_zone = site.time_zone?;
    let start = header.start(time_zone, notes);
    let controllers = who_runs::<F>(&header, (scenario, rest.first()), &site, (&mut [], &mut []), notes);
    if notes.errors() > 0 {
        return None;
    }
    Some(Recalled { name: header.name?, time_zone, start: start?, controllers })
}

//! Who runs: the controllers of all grids in the order of the fleet, where they stand, and what they reach from there.
//!
//! The fleet has the grids in the order of the file, and of each grid the members of its council in the order of their seats.
//! Every controller of a grid has the same device links, since each polls the devices itself; a witness has none.

use r_ems_engine::Span;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::persistence::SnapshotSettings;
use r_ems_engine::points::DeviceSpec;
use r_ems_sim::network::Delay;
use r_ems_sim::plant::{ComponentIndex, Quantity};
use r_ems_sim::world::{LinkSpec, Post};

use crate::device::RECONNECT;
use crate::fieldbus;
use crate::mistake::Notes;
use crate::naming::{Named, Names, first_point, quantity_of};
use crate::plant::Plant;
use crate::site::{self, Site};

/// All controllers and witnesses of a site.
pub(crate) fn controllers<F: FunctionSet>(
    site: &Site<'_, F::Spec>,
    snapshots: SnapshotSettings,
    notes: &mut Notes,
) -> Vec<ControllerSpec<F>> {
    if notes.errors() > 0 {
        return Vec::new();
    }
    let mut fleet = Vec::new();
    for grid in &site.grids {
        if let Some(common) = site::wire::<F>(grid, notes) {
            let zone = site.time_zone.unwrap_or_default();
            let common = ControllerSpec { snapshots, zone, ..common };
            fleet.extend(grid.council.fleet(&common));
        }
    }
    fleet
}

/// By controller: where the connections of its fieldbus lead.
pub(crate) fn addresses<S>(site: &Site<'_, S>) -> Vec<Vec<String>> {
    let of_grid = |grid: &site::Grid<'_, S>| -> Vec<Vec<String>> {
        let addresses: Vec<String> = fieldbus::ways(&grid.devices).into_iter().map(|way| way.0).collect();
        let of = |is_witness: bool| if is_witness { Vec::new() } else { addresses.clone() };
        grid.council.members().map(|member| of(member.is_witness)).collect()
    };
    site.grids.iter().flat_map(of_grid).collect()
}

/// All names of a site and its plants.
pub(crate) fn names<'a, 't, S>(site: &'a Site<'t, S>, plants: &'a [Option<Plant<'t>>]) -> Names<'a, 't> {
    let mut first = 0;
    let mut grids = Vec::with_capacity(site.grids.len());
    for (grid, plant) in site.grids.iter().zip(plants) {
        let members: Vec<_> = grid.council.members().collect();
        let count = members.len();
        grids.push(Named {
            grid: &grid.name,
            members,
            first,
            devices: grid.devices.iter().map(|device| &device.spec).collect(),
            unread: &grid.unread,
            plant: plant.as_ref(),
            take_over_max: None,
            shaves: grid.shaving_limit().is_some(),
        });
        first += count;
    }
    Names { grids, hosts: site.hosts.iter().map(|host| host.name.as_str()).collect(), currency: None }
}

/// Where each member of the fleet stands, with links as the site declares them.
///
/// With `is_at_wire`, devices whose links are of kind `Modbus` speak it.
pub(crate) fn posts<S>(site: &Site<'_, S>, plants: &[Option<Plant<'_>>], is_at_wire: bool) -> Vec<Post> {
    let mut posts = Vec::new();
    for (position, (grid, plant)) in site.grids.iter().zip(plants).enumerate() {
        let links = links(grid, plant.as_ref());
        // What is wrong with it was noted when the site was read.
        let bus = if is_at_wire {
            fieldbus::bus(&grid.devices, grid.scan, &mut Notes::default())
        } else {
            BusSpec::default()
        };
        posts.extend(grid.council.members().map(|member| Post {
            host: u16::try_from(member.host).unwrap_or(u16::MAX),
            grid: u16::try_from(position).unwrap_or(u16::MAX),
            seat: member.seat,
            links: if member.is_witness { Vec::new() } else { links.clone() },
            bus: if member.is_witness { BusSpec::default() } else { bus.clone() },
        }));
    }
    posts
}

/// How long an image believes an answer of a device after its arrival.
pub(crate) fn believed_for(device: &DeviceSpec) -> Span {
    device.age_max - device.latency
}

/// What a device reads, in the order of its points.
fn quantities(device: &DeviceSpec) -> Vec<Quantity> {
    device.points.iter().map(|kind| quantity_of(device.class, kind)).collect()
}

/// The links of a grid's devices as the site declares them; they lead nowhere where the plant is broken, which was noted.
fn links<S>(grid: &site::Grid<'_, S>, plant: Option<&Plant<'_>>) -> Vec<LinkSpec> {
    let parts = plant.map_or(&[][..], |plant| plant.parts.as_slice());
    let mut links = Vec::with_capacity(grid.devices.len());
    for (position, device) in grid.devices.iter().enumerate() {
        let component = parts.iter().position(|part| part.is_of(&device.spec)).unwrap_or(0);
        let before = grid.devices[..position].iter().map(|device| device.spec.points);
        links.push(LinkSpec {
            component: ComponentIndex(u16::try_from(component).unwrap_or(u16::MAX)),
            first_point: first_point(before),
            quantities: quantities(&device.spec),
            positive: device.spec.positive,
            declared: device.spec.positive,
            latency: device.spec.latency,
            write_delay: Delay::exactly(Span::ZERO),
            checks_epochs: device.spec.checks_epochs,
            one_connection: device.one_connection,
            timeout: device.timeout,
            reconnect: RECONNECT,
            valid_for: believed_for(&device.spec),
            drop_outs: None,
        });
    }
    links
}

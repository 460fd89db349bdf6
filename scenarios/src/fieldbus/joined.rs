//! What devices at one address have in common: their connection. What does not fit together is noted at the link.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{BusSpec, DeviceMap};
use r_ems_engine::fieldbus::master::{ConnectionSpec, MAX_JOBS, MAX_UNITS};
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::points::Connections;

use super::writes::check_writes;
use super::{Modbus, serial, sunspec};
use crate::device::Device;
use crate::mistake::Notes;
use crate::naming::first_point;

/// Where the connections of a grid's devices lead, and how frames lie on them, in the order of their ids.
pub(crate) fn ways(devices: &[Device<'_>]) -> Vec<(String, Framing)> {
    let mut ways: Vec<(String, Framing)> = Vec::new();
    for modbus in devices.iter().filter_map(|device| device.modbus.as_ref()) {
        if ways.iter().all(|way| way.0 != modbus.address) {
            ways.push((modbus.address.clone(), modbus.framing));
        }
    }
    ways
}

/// Makes the connections and maps of a grid's devices; what does not fit together is noted at the link.
pub(crate) fn bus(devices: &[Device<'_>], scan: Span, notes: &mut Notes) -> BusSpec {
    let mut bus = BusSpec::default();
    let ways = ways(devices);
    let mut jobs = vec![0; ways.len()];
    let mut connections: Vec<Connections> = Vec::new();
    for (position, device) in devices.iter().enumerate() {
        let Some(modbus) = &device.modbus else { continue };
        let known = ways.iter().position(|way| way.0 == modbus.address);
        let Some(connection) = known else { continue };
        if connection == bus.connections.len() {
            let Modbus { framing, min_gap, connect_timeout, pipelining, .. } = *modbus;
            let units = Vec::new();
            bus.connections.push(ConnectionSpec { units, framing, min_gap, connect_timeout, pipelining });
            connections.push(device.spec.connections);
        }
        if connections[connection] != device.spec.connections {
            let message = format!(
                "`connections` belongs to the address: another device at \"{}\" has {:?}, this one {:?}",
                modbus.address, connections[connection], device.spec.connections
            );
            device.note_link(message, notes);
            continue;
        }
        let shared = &mut bus.connections[connection];
        if let Some(message) = does_not_join(modbus, shared) {
            device.note_link(message, notes);
            continue;
        }
        shared.units.push(modbus.unit);
        let unit = (shared.units.len() - 1) as u16;
        let first = first_point(devices[..position].iter().map(|device| device.spec.points));
        let way = (ConnectionIndex::of(connection), unit);
        match DeviceMap::new(modbus.mapping((DeviceIndex::of(position), &device.spec), way, first)) {
            Ok(map) => {
                match map.models() {
                    Some(wanted) => sunspec::check(device, (wanted, map.limits()), notes),
                    None => check_writes(device, &map, notes),
                }
                serial::check_times(device, (&map, modbus.framing, modbus.unit.timeout), notes);
                jobs[connection] += map.most_reads()
                    + usize::from(device.spec.class.is_controlled())
                    + usize::from(map.heartbeat_timeout().is_some());
                if jobs[connection] > MAX_JOBS {
                    let message = format!(
                        "all devices at \"{}\" take more than {MAX_JOBS} requests a scan; put some behind another address",
                        modbus.address
                    );
                    device.note_link(message, notes);
                    continue;
                }
                bus.devices.push(map);
            }
            Err(flaw) => device.note_link(modbus.told(flaw), notes),
        }
    }
    serial::check_scan(devices, &bus, scan, notes);
    bus
}

/// Why a device cannot share a connection with those that are there.
fn does_not_join(modbus: &Modbus, shared: &ConnectionSpec) -> Option<String> {
    let Modbus { address, framing, unit, min_gap, connect_timeout, pipelining, .. } = modbus;
    if shared.framing != *framing {
        return Some(format!(
            "`serial` belongs to the line: another device at \"{address}\" has {}, this one {}",
            serial::told(shared.framing),
            serial::told(*framing)
        ));
    }
    if shared.units.iter().any(|other| other.unit == unit.unit) {
        return Some(format!("unit {} at \"{address}\" is another device already", unit.unit));
    }
    if shared.units.len() >= MAX_UNITS {
        return Some(format!("at most {MAX_UNITS} units share the connection to \"{address}\""));
    }
    if (shared.min_gap, shared.connect_timeout) != (*min_gap, *connect_timeout) {
        return Some(format!(
            "`min_gap` and `connect_timeout` belong to the connection: another device at \"{address}\" has {} and {}, this one \
             {min_gap} and {connect_timeout}",
            shared.min_gap, shared.connect_timeout
        ));
    }
    if shared.pipelining != *pipelining {
        return Some(format!(
            "`pipelining` belongs to the connection: another device at \"{address}\" has {}, this one {pipelining}",
            shared.pipelining
        ));
    }
    None
}

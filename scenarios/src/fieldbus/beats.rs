//! Whether a device that listens for heartbeats hears them in time.
//!
//! One is due each third of the device's time-out, and the device hears the next one of those before it falls back. So whatever
//! keeps one from leaving may take a third at most: a request on the same connection that nobody answers, with its repetitions,
//! and the scan after which a heartbeat that was not answered is tried again. On a serial line an answer may come late for as
//! long again, and all that is written there passes one after the other. During a take-over nobody sends one.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{BusSpec, DeviceMap};
use r_ems_engine::fieldbus::master::{ConnectionSpec, UnitSpec};
use r_ems_engine::fieldbus::write::{Heartbeat, WriteRequest};
use r_ems_engine::ids::ConnectionIndex;

use super::serial::rounded;
use crate::device::Device;
use crate::mistake::Notes;

/// Notes heartbeats that may come too late because of what else happens on the same connection.
pub(crate) fn check_connections(devices: &[Device<'_>], bus: &BusSpec, scan: Span, notes: &mut Notes) {
    let listens = |map: &DeviceMap| {
        map.heartbeat().map(|heartbeat| (map.device(), map.connection(), heartbeat.clone()))
    };
    for (device, connection, heartbeat) in bus.devices.iter().filter_map(listens) {
        let shared = &bus.connections[connection.position()];
        let (lost, and_more) = match shared.framing {
            Framing::Tcp => (longest_job(shared), ""),
            Framing::Rtu(_) => {
                let lost = rounded(longest_job(shared) + all_written(bus, connection));
                (lost, ", for their late answers, for all that is written on the line")
            }
        };
        if heartbeat.interval() < lost + scan {
            let message = format!(
                "the `timeout` of `heartbeat` must be at least {}, got {}: a heartbeat is due after a third of that, and may \
                 wait for {lost}, as long as a request on its connection takes that is not answered, nor are its \
                 repetitions{and_more}, and for a scan of {scan}",
                (lost + scan) * Heartbeat::IN_TIMEOUT,
                heartbeat.timeout
            );
            devices[device.position()].note_link(message, notes);
        }
    }
}

/// How long a request keeps others from a connection that is not answered, nor are its repetitions.
fn longest_job(connection: &ConnectionSpec) -> Span {
    let takes = |unit: &UnitSpec| {
        let late = connection.framing.may_be_late(unit.timeout);
        (unit.timeout + late + connection.gap()) * (u64::from(unit.retries) + 1)
    };
    connection.units.iter().map(takes).max().unwrap_or(Span::ZERO)
}

/// How long everything passes that is written on a line, with what is said to it.
fn all_written(bus: &BusSpec, connection: ConnectionIndex) -> Span {
    let spec = &bus.connections[connection.position()];
    let passes = |write: &WriteRequest| {
        let (asked, answered) = write.passes(spec.framing);
        asked + answered + spec.gap()
    };
    let here = bus.devices.iter().filter(|map| map.connection() == connection);
    here.flat_map(DeviceMap::all_writes).map(passes).fold(Span::ZERO, |sum, takes| sum + takes)
}

/// Notes a heartbeat without which its device falls back during a take-over, which lasts so long at the most.
pub(crate) fn check_take_over(device: &Device<'_>, take_over_max: Span, scan: Span, notes: &mut Notes) {
    let Some(heartbeat) = device.modbus.as_ref().and_then(|modbus| modbus.heartbeat.as_ref()) else { return };
    let unheard = take_over_max + scan;
    if heartbeat.timeout <= unheard + heartbeat.interval() {
        let least = Span::from_nanos((unheard * Heartbeat::IN_TIMEOUT).as_nanos() / Heartbeat::UNHEARD);
        let message = format!(
            "the `timeout` of `heartbeat` must be above {least}, got {}: the last one may be a third of that old when a \
             take-over begins, which lasts up to {take_over_max}, and the device may hold the first number of the next \
             controller already, which sends another one a scan of {scan} later",
            heartbeat.timeout
        );
        device.note_link(message, notes);
    }
}

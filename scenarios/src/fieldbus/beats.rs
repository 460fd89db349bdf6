//! Whether a device that listens for heartbeats hears them in time.
//!
//! One is due each third of the device's time-out, and the device hears the next one of those before it falls back. So whatever
//! keeps one from leaving may take a third at most, together with the scan after which it is asked for. That is a request to the
//! device itself that is not answered, with its repetitions; or everything of others that goes before it, while none of them
//! answers: the exchange that is under way, as it has just begun, and a heartbeat of each, see
//! [`master`](r_ems_engine::fieldbus::master). Of several requests to the device that are under way at once each may be lost and
//! repeated alone. Where both happen at once they take the two thirds that there are. On a serial
//! line an answer may come late for as long again, and all that is written there passes one after the other. During a take-over
//! nobody sends one.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{BusSpec, DeviceMap};
use r_ems_engine::fieldbus::master::ConnectionSpec;
use r_ems_engine::fieldbus::write::Heartbeat;
use r_ems_engine::ids::ConnectionIndex;

use super::Modbus;
use super::serial::rounded;
use crate::device::Device;
use crate::mistake::Notes;

/// Notes heartbeats that may come too late because of what else happens on the same connection.
pub(crate) fn check_connections(devices: &[Device<'_>], bus: &BusSpec, scan: Span, notes: &mut Notes) {
    for map in &bus.devices {
        let Some(timeout) = map.heartbeat_timeout() else { continue };
        let shared = &bus.connections[map.connection().position()];
        let own = repeated(shared, map);
        let (of_others, beats) = before(bus, map);
        let (waits, reason) = if own >= of_others {
            (
                own,
                if at_once(shared, map) == 1 {
                    "as long as a request to it takes that is not answered, nor are its repetitions"
                        .to_owned()
                } else {
                    format!(
                        "as long as {} requests to it take that are not answered, nor are their repetitions",
                        at_once(shared, map)
                    )
                },
            )
        } else {
            let beats = match beats {
                0 => "",
                1 => ", and the heartbeat of another",
                _ => ", and the heartbeats of others",
            };
            (
                of_others,
                format!(
                    "as long as a request to another on its connection takes that is not answered{beats}"
                ),
            )
        };
        let (waits, and_more) = match shared.framing {
            Framing::Tcp => (waits, ""),
            Framing::Rtu(_) => {
                let waits = rounded(waits + all_written(bus, map.connection()));
                (waits, ", for their late answers, for all that is written on the line")
            }
        };
        if Heartbeat::interval_in(timeout) < waits + scan {
            let message = format!(
                "the `timeout` of `heartbeat` must be at least {}, got {timeout}: a heartbeat is due after a third of that, and \
                 may wait for {waits}, {reason}{and_more}, and for a scan of {scan}",
                (waits + scan) * Heartbeat::IN_TIMEOUT
            );
            devices[map.device().position()].note_link(message, notes);
        }
    }
}

/// How long a request keeps others from a connection that its unit does not answer.
fn unanswered(connection: &ConnectionSpec, unit: u16) -> Span {
    let timeout = connection.units[usize::from(unit)].timeout;
    timeout + connection.framing.may_be_late(timeout) + connection.gap()
}

/// How many requests to a device may be under way at once.
fn at_once(connection: &ConnectionSpec, map: &DeviceMap) -> u64 {
    map.most_reads().clamp(1, connection.most_at_once()) as u64
}

/// How long what a device is asked at once keeps others from its connection, with its repetitions, which go one by one.
fn repeated(connection: &ConnectionSpec, map: &DeviceMap) -> Span {
    let retries = u64::from(connection.units[usize::from(map.unit())].retries);
    unanswered(connection, map.unit()) * (1 + retries * at_once(connection, map))
}

/// How long what others are asked goes before a heartbeat where none of them answers, and how many heartbeats that are.
fn before(bus: &BusSpec, listener: &DeviceMap) -> (Span, usize) {
    let connection = &bus.connections[listener.connection().position()];
    let takes = |map: &DeviceMap| unanswered(connection, map.unit());
    let is_other =
        |map: &&DeviceMap| map.connection() == listener.connection() && map.device() != listener.device();
    let others = || bus.devices.iter().filter(is_other);
    let beats = || others().filter(|map| map.heartbeat_timeout().is_some());
    let under_way = others().map(takes).max().unwrap_or(Span::ZERO);
    (beats().map(takes).fold(under_way, |sum, takes| sum + takes), beats().count())
}

/// How long everything passes that is written on a line, with what is said to it.
fn all_written(bus: &BusSpec, connection: ConnectionIndex) -> Span {
    let spec = &bus.connections[connection.position()];
    let here = bus.devices.iter().filter(|map| map.connection() == connection);
    here.map(|map| map.writes_pass(spec.framing, spec.gap())).fold(Span::ZERO, |sum, takes| sum + takes)
}

/// Notes a heartbeat without which its device falls back during a take-over, which lasts so long at the most.
pub(crate) fn check_take_over(device: &Device<'_>, take_over_max: Span, scan: Span, notes: &mut Notes) {
    let Some(timeout) = device.modbus.as_ref().and_then(Modbus::heartbeat_timeout) else { return };
    let unheard = take_over_max + scan;
    if timeout <= unheard + Heartbeat::interval_in(timeout) {
        let least = Span::from_nanos((unheard * Heartbeat::IN_TIMEOUT).as_nanos() / Heartbeat::UNHEARD);
        let message = format!(
            "the `timeout` of `heartbeat` must be above {least}, got {timeout}: the last one may be a third of that old when a \
             take-over begins, which lasts up to {take_over_max}, and the device may hold the first number of the next \
             controller already, which sends another one a scan of {scan} later"
        );
        device.note_link(message, notes);
    }
}

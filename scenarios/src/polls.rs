//! Whether the devices of a grid can be polled as often as it scans.
//!
//! On a connection one request follows the answer to the one before, so that a scan's reads take the sum of them. Where that is
//! more than a scan, the next poll waits, and values are older than they could be. Where they become older than `max_age` before
//! the next ones come, and stay so for a scan, functions lose them in every poll: such a site never controls, and is refused.
//!
//! What it takes is what the links declare; a device that is silent takes longer, and is no mistake of the file.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::ids::ConnectionIndex;

use crate::device::Device;
use crate::mistake::Notes;
use crate::site::SCAN_MIN;

/// Notes connections on which one scan's reads take longer than the scan.
pub(crate) fn check(devices: &[Device<'_>], bus: &BusSpec, scan: Span, notes: &mut Notes) {
    for (place, connection) in bus.connections.iter().enumerate() {
        let takes = bus.takes(ConnectionIndex::of(place));
        // A scan that is too short for anybody is a mistake of its own.
        if takes <= scan || scan < SCAN_MIN {
            continue;
        }
        let maps = bus.devices.iter().filter(|map| map.connection().position() == place);
        let here = maps.filter_map(|map| devices.get(map.device().position()));
        let why = format!(
            "one scan's reads of this connection take {takes}, by the latencies of its devices, and the scan is {scan}"
        );
        let mut is_refused = false;
        for device in here.clone() {
            let (age, age_max) = (device.spec.latency + takes, device.spec.age_max);
            // The last scan before the next values come is less than a scan before them.
            if age >= age_max + scan {
                let message = format!(
                    "values become {age} old before the next ones come, and `max_age` is {age_max}: {why}; let the scan be \
                     longer, or say the `latency` that it has"
                );
                device.note_link(message, notes);
                is_refused = true;
            }
        }
        // Of a serial line it is said with its settings.
        let first = here.clone().next().filter(|_first| !is_refused && connection.framing == Framing::Tcp);
        if let Some(first) = first {
            first.warn_link(format!("{why}: values are as old as that"), notes);
        }
    }
}

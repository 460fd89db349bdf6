//! Serial lines of a site file: `serial: (path: "/dev/ttyUSB0", baud: 9600, parity: Even, stop_bits: 1)` in place of an address.
//!
//! Only the path has no default; the others are those of the Modbus serial line specification V1.02: 19200 baud, even parity, and
//! one stop bit, or two where there is no parity. What takes characters longer than the site allows is refused here.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{BusSpec, DeviceMap};
use r_ems_engine::fieldbus::rtu;
use r_ems_engine::fieldbus::serial::{BAUD_DEFAULT, BAUD_RATES, Parity, SerialLine, StopBits};
use r_ems_engine::ids::ConnectionIndex;

use super::ways;
use crate::device::Device;
use crate::leaf::{self, word};
use crate::mistake::Notes;
use crate::node::{Entry, Fields, Node, excerpt};
use crate::site::Grid;

/// What an address looks like.
const ADDRESS_EXAMPLE: &str = "10.0.0.21:502";
/// What a path of a serial port looks like.
const PATH_EXAMPLE: &str = "/dev/ttyUSB0";
/// Most bytes of a path.
const PATH_BYTES_MAX: usize = 255;
/// The units that a TCP connection may have.
const TCP_UNITS: (u64, u64) = (0, 255);

/// Where a device is found, and how frames lie on their way there: an address, or the path of a serial port.
pub(super) fn way(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<(String, Framing)> {
    let Some(serial) = fields.optional("serial") else {
        let node = fields.required("address", notes)?;
        let is_path = node.text().starts_with("\"/");
        if is_path {
            node.error(
                notes,
                format!("a serial port is serial: (path: {}), in place of `address`", node.text()),
            );
            return None;
        }
        return Some((leaf::address(&node, ADDRESS_EXAMPLE, notes)?, Framing::Tcp));
    };
    if let Some(address) = fields.optional("address") {
        address.error(notes, "a device has an `address` or is on a `serial` line, not both");
    }
    let mut of_line = serial.fields(notes)?;
    let path = of_line.required("path", notes).and_then(|node| path(&node, notes));
    let line = read_line(&mut of_line, notes);
    of_line.finish(notes);
    Some((path?, Framing::Rtu(line?)))
}

fn path(node: &Node<'_>, notes: &mut Notes) -> Option<String> {
    let path: String = node.leaf(notes)?;
    let is_possible = path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.contains('\0');
    if !is_possible {
        let allowed = format!("expected the whole path of a serial port such as \"{PATH_EXAMPLE}\"");
        node.error(notes, format!("{allowed}, at most {PATH_BYTES_MAX} bytes, got \"{}\"", excerpt(&path)));
    }
    is_possible.then_some(path)
}

fn read_line(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<SerialLine> {
    let baud: u64 = fields.leaf_or("baud", BAUD_DEFAULT.into(), notes);
    let known = BAUD_RATES.into_iter().find(|known| u64::from(*known) == baud);
    if known.is_none() {
        let rates: Vec<String> = BAUD_RATES.iter().map(u32::to_string).collect();
        fields.place("baud").error(notes, format!("must be one of {}, got {baud}", rates.join(", ")));
    }
    let parity = match fields.optional("parity") {
        None => Some(Parity::Even),
        Some(node) => word(&node, &["Even", "Odd", "None"], notes)
            .map(|place| [Parity::Even, Parity::Odd, Parity::None][place]),
    };
    let (default, allowed) = match parity {
        Some(Parity::Even | Parity::Odd) => (1, &[1][..]),
        Some(Parity::None) | None => (2, &[1, 2][..]),
    };
    let stop_bits: u64 = fields.leaf_or("stop_bits", default, notes);
    if !allowed.contains(&stop_bits) {
        let allowed = if allowed.len() > 1 { "1 or 2" } else { "1 with a parity: a character has 11 bits" };
        fields.place("stop_bits").error(notes, format!("must be {allowed}, got {stop_bits}"));
    }
    let stop_bits = if stop_bits == 2 { StopBits::Two } else { StopBits::One };
    Some(SerialLine { baud: known?, parity: parity?, stop_bits })
}

/// The lowest and the highest unit.
pub(super) fn units(framing: Framing) -> (u64, u64) {
    match framing {
        Framing::Tcp => TCP_UNITS,
        Framing::Rtu(_) => ((*rtu::UNITS.start()).into(), (*rtu::UNITS.end()).into()),
    }
}

/// The settings as people say them: "9600 8E1".
pub(super) fn told(framing: Framing) -> String {
    let Framing::Rtu(SerialLine { baud, parity, stop_bits }) = framing else { return "an address".into() };
    let parity = match parity {
        Parity::Even => 'E',
        Parity::Odd => 'O',
        Parity::None => 'N',
    };
    let stop_bits = if stop_bits == StopBits::Two { 2 } else { 1 };
    format!("{baud} 8{parity}{stop_bits}")
}

/// A time as people read it: in steps of 0.1 ms, and not less than it is.
pub(super) const fn rounded(span: Span) -> Span {
    Span::from_micros(span.as_nanos().div_ceil(100_000) * 100)
}

/// Notes a gap that is no silence.
pub(super) fn check_gap(framing: Framing, gap: Span, fields: &Fields<'_>, notes: &mut Notes) {
    let silence = framing.silence();
    if gap < silence {
        let silence = rounded(silence);
        let message =
            format!("must be at least {silence}, the silence between two frames at this rate, got {gap}");
        fields.place("min_gap").error(notes, message);
    }
}

/// Notes times of a device that its line has no time for.
pub(super) fn check_times(
    device: &Device<'_>,
    (map, framing, timeout): (&DeviceMap, Framing, Span),
    notes: &mut Notes,
) {
    if framing == Framing::Tcp {
        return;
    }
    let (asked, written) = map.longest_write(framing);
    let longest = map.longest_read(framing).max(written);
    if timeout <= longest {
        let message = format!(
            "`timeout` must be longer than {}, which a request and its answer take at {}, got {timeout}",
            rounded(longest),
            told(framing)
        );
        device.note_link(message, notes);
    }
    let declared = device.spec.longest_write;
    if !declared.is_zero() && !device.spec.checks_epochs && declared <= asked {
        let message = format!(
            "`longest_write` must be longer than {}, which a write takes to pass at {}, got {declared}",
            rounded(asked),
            told(framing)
        );
        device.note_link(message, notes);
    }
}

/// Notes lines on which one scan's reads take longer than the scan.
pub(super) fn check_scan(devices: &[Device<'_>], bus: &BusSpec, scan: Span, notes: &mut Notes) {
    for (place, connection) in bus.connections.iter().enumerate() {
        let takes = bus.takes(ConnectionIndex::of(place));
        let first = bus.devices.iter().find(|map| map.connection().position() == place);
        let first = first.and_then(|map| devices.get(map.device().position()));
        if let Some(first) = first.filter(|_| connection.framing != Framing::Tcp && takes > scan) {
            let message = format!(
                "one scan's reads of this line take {} at {}, by the latencies of its devices, and the scan is {scan}: \
                 values are as old as that",
                rounded(takes),
                told(connection.framing)
            );
            first.warn_link(message, notes);
        }
    }
}

/// Notes lines on which controllers of two grids would be masters, on one host. Of several hosts each has a port of that path.
pub(crate) fn check_masters<S>(grids: &[Grid<'_, S>], hosts: &[Entry<'_>], notes: &mut Notes) {
    for (place, grid) in grids.iter().enumerate() {
        for (path, _) in ways(&grid.devices).iter().filter(|way| way.1 != Framing::Tcp) {
            let has_it = |other: &&Grid<'_, S>| first_at(other, path).is_some();
            let mut others = grids[..place].iter().filter(has_it);
            let taken = others.find_map(|other| Some((other, common_host(grid, other)?)));
            let Some(((other, host), first)) = taken.zip(first_at(grid, path)) else { continue };
            let host = hosts.get(host).map_or("", |host| host.name.as_str());
            let message = format!(
                "a serial line has one master, and \"{path}\" of the host \"{host}\" is a line of the grid \"{}\" already; \
                 expected a port of its own for each grid, or all devices of the line in one grid",
                other.name
            );
            first.note_link(message, notes);
        }
    }
}

/// The first device of a grid that is found there.
fn first_at<'g, 't, S>(grid: &'g Grid<'t, S>, address: &str) -> Option<&'g Device<'t>> {
    let is_there =
        |device: &&Device<'_>| device.modbus.as_ref().is_some_and(|modbus| modbus.address == address);
    grid.devices.iter().find(is_there)
}

/// The first host with controllers of both; a witness reaches no device.
fn common_host<S>(grid: &Grid<'_, S>, other: &Grid<'_, S>) -> Option<usize> {
    let hosts = |grid: &Grid<'_, S>| -> Vec<usize> {
        grid.council.controllers.iter().map(|controller| controller.host).collect()
    };
    let others = hosts(other);
    hosts(grid).into_iter().find(|host| others.contains(host))
}

//! Where a controller's connections lead: what a site file says, as the driver of a site takes it, and as people read it.

use std::io;
use std::io::ErrorKind;

use r_ems_scenarios::RealWay;
use r_ems_site::line::{Port, Way};

/// What to look at, by what the operating system says.
const REMEDIES: [(ErrorKind, &str); 5] = [
    (ErrorKind::NotFound, "is the adapter plugged in, and is this its path?"),
    (ErrorKind::PermissionDenied, "the user that runs this needs the group of the port, often dialout"),
    (ErrorKind::WouldBlock, "another program has it"),
    (ErrorKind::ResourceBusy, "another program has it"),
    (ErrorKind::InvalidInput, "it cannot be set as the site says"),
];

/// The same for the driver of a site.
pub fn line(way: &RealWay) -> Way {
    match way {
        RealWay::Tcp(address) => Way::Tcp(*address),
        RealWay::Serial(path, line) => Way::Serial(Port { path: path.into(), line: *line }),
    }
}

/// The address, or the path of the port.
pub fn told(way: &RealWay) -> String {
    match way {
        RealWay::Tcp(address) => address.to_string(),
        RealWay::Serial(path, _) => path.clone(),
    }
}

/// Why a port cannot be opened now, and what to look at; `None`: it can, or it is none.
pub fn refused(way: &RealWay) -> Option<(io::Error, &'static str)> {
    let Way::Serial(port) = line(way) else { return None };
    let error = port.try_to_open().err()?;
    let known = REMEDIES.iter().find(|known| known.0 == error.kind());
    Some((error, known.map_or("is it a serial port?", |known| known.1)))
}

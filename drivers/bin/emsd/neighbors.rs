//! Where a write may wait for the address of its device on the network for longer than its connection lasts.
//!
//! What is to be sent while the address of a neighbor is asked for waits in a queue of the operating system (ARP; neighbor
//! discovery), for 3 s as a rule, also when its connection has ended meanwhile. Where the queue has room for one packet only, the
//! reset that ends the connection takes the place of the write.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use r_ems_engine::fieldbus::map::DeviceMap;
use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::{RealMember, RealWay};

/// Warns of interfaces on which writes to devices that know no epochs may wait, where others may write after this host.
pub(super) fn look<F: FunctionSet>(members: &[&RealMember<F>]) {
    let recalls = |member: &&&RealMember<F>| member.spec.bus.devices.iter().any(DeviceMap::recalls);
    let address = |way: &RealWay| match way {
        RealWay::Tcp(address) => Some(*address),
        RealWay::Serial(..) => None,
    };
    let addresses = || members.iter().filter(recalls).flat_map(|member| &member.ways).filter_map(address);
    let is_reached = |address: &SocketAddr| !address.ip().is_loopback();
    for (family, is_v4) in [("ipv4", true), ("ipv6", false)] {
        if !addresses().filter(is_reached).any(|address| address.is_ipv4() == is_v4) {
            continue;
        }
        for interface in that_keep(Path::new("/proc/sys/net").join(family).join("neigh").as_path()) {
            tracing::warn!(
                "{interface}: a write to a device that knows no epochs may wait there for 3 s, and arrive after another host's, \
                 when the device's address is asked for; `sysctl -w net.{family}.neigh.{interface}.unres_qlen_bytes=0` \
                 keeps it from that"
            );
        }
    }
}

/// The interfaces where more than one packet may wait.
fn that_keep(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let room =
        |name: &str| fs::read_to_string(folder.join(name).join("unres_qlen_bytes")).unwrap_or_default();
    let mut found: Vec<String> = named.filter(|name| keeps(name, &room(name))).collect();
    found.sort();
    found
}

/// Whether more than one packet may wait on an interface with so much room; nothing is known of one whose room cannot be read.
fn keeps(name: &str, room: &str) -> bool {
    !matches!(name, "lo" | "default") && room.trim().parse().is_ok_and(|bytes: u64| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_with_room_for_more_than_one_packet_keep_some() {
        assert!(keeps("eth1", "212992\n"));
        for (name, room) in [("lo", "212992\n"), ("default", "212992\n"), ("eth0", "0\n"), ("eth0", "")] {
            assert!(!keeps(name, room), "{name} {room}");
        }
        assert_eq!(that_keep(Path::new("/nowhere")), Vec::<String>::new());
    }
}

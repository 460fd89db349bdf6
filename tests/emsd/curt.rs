//! Devices behind gateways that end each connection after one answer.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the gateway has sockets and threads"
)]

use super::daemon::until;
use super::production::Site;

#[path = "../modbus/curt.rs"]
mod gateway;

#[test]
fn a_battery_whose_gateway_ends_each_connection_after_one_answer_is_read_and_written() {
    let site = Site::new("curt", "commerce_modbus.ron", &[("scan: \"1 s\"", "scan: \"200 ms\"")]);
    let addresses = ["commerce/pcc", "commerce/bess"].map(|device| site.address(device).to_owned());
    let gateways = addresses.each_ref().map(|address| gateway::before(address));
    site.change(&[(&addresses[0], &gateways[0]), (&addresses[1], &gateways[1])]);
    let daemon = site.start("a", &[]);
    daemon.follow("started");
    until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    let read = || daemon.json(&["status"])["grids"][0]["devices"][1]["lasts_s"].as_f64();
    until("its charge is read", read);
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    site.replay("a", "commerce/a", &[false, false]);
}

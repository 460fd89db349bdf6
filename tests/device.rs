//! `r-emsctl device` as its clients meet it: real sockets, frames made by hand from the specification.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is a client of the program, on the other side of its sockets"
)]

mod modbus;

use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use self::modbus::{Client, Served};

/// Whether the other end has closed the connection.
fn is_closed(client: &mut Client) -> bool {
    matches!(client.stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

#[test]
fn a_client_reads_the_plant_and_its_set_point_is_followed() {
    let served = Served::start("scenarios/peak_shaving.ron", &["--set", "start=\"2016-03-09 17:30\""]);
    let mut meter = served.connect("commerce/pcc");
    let before = f32::from_be_bytes(meter.two(4, 52));
    assert!(before > 100e3, "an evening of the shop draws {before} W");
    let mut battery = served.connect("commerce/bess");
    let answer = battery.ask(&[3, 0, 102, 0, 1]);
    let per_mille = answer[2..].try_into().map(u16::from_be_bytes);
    assert!(matches!(per_mille, Ok(780..=820)), "it is charged to about 80 %: {answer:?}");
    let wanted: i32 = 50_000;
    let mut write = vec![16, 0, 200, 0, 2, 4];
    write.extend(wanted.to_be_bytes());
    assert_eq!(battery.ask(&write), [16, 0, 200, 0, 2]);
    assert_eq!(i32::from_be_bytes(battery.two(3, 200)), wanted, "it is held");
    // However slow this machine is: the plant follows within some of its own time.
    let follows = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        i32::from_be_bytes(battery.two(3, 100)) > 49_000
    });
    assert!(follows);
    let after = f32::from_be_bytes(meter.two(4, 52));
    assert!((before - after - 50e3).abs() < 10e3, "the meter sees it: {before} W before, {after} W after");
}

#[test]
fn what_a_device_does_not_have_is_refused_and_the_connection_stays() {
    let served = Served::start("scenarios/peak_shaving_wire.ron", &[]);
    let mut battery = served.connect("commerce/bess");
    for (request, exception) in [
        (&[3, 0, 99, 0, 2][..], [0x83, 2]),
        (&[3, 0, 0, 0, 126][..], [0x83, 3]),
        (&[4, 0, 100, 0, 2][..], [0x84, 2]),
        (&[1, 0, 0, 0, 8][..], [0x81, 1]),
        (&[16, 0, 100, 0, 2, 4, 0, 0, 0, 0][..], [0x90, 2]),
        (&[6, 0, 200, 0, 1][..], [0x86, 2]),
        (&[99][..], [0xe3, 1]),
    ] {
        assert_eq!(battery.ask(request), exception, "{request:?}");
    }
    battery.unit = 9;
    assert_eq!(battery.ask(&[3, 0, 100, 0, 2]), [0x83, 11], "no such unit is behind this address");
}

#[test]
fn whoever_sends_something_else_or_does_not_go_on_disturbs_nobody() {
    let served = Served::start("scenarios/peak_shaving_wire.ron", &[]);
    let mut noise = served.connect("commerce/bess");
    noise.stream.write_all(b"GET / HTTP/1.1\r\nhost: battery\r\n\r\n").expect("it listens");
    assert!(is_closed(&mut noise), "that is no frame");
    let mut half = served.connect("commerce/bess");
    half.stream.write_all(&[0, 1, 0, 0, 0]).expect("it listens");
    let idle: Vec<Client> = (0..100).map(|_| served.connect("commerce/bess")).collect();
    assert!(idle.into_iter().any(|mut client| {
        client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        matches!(client.stream.read(&mut [0; 8]), Ok(0))
    }));
    let mut meter = served.connect("commerce/pcc");
    meter.two(4, 52);
    half.transaction = 1;
    half.stream.write_all(&[6, half.unit, 3, 0, 100, 0, 2]).expect("it waited");
    assert_eq!(half.receive()[..2], [3, 4], "a request may come in pieces");
}

#[test]
fn several_requests_under_way_are_answered_in_their_order_and_each_after_its_own_time() {
    let latency = "site.grids.commerce.devices.bess.link.latency=\"500 ms\"";
    let served = Served::start("scenarios/peak_shaving_wire.ron", &["--set", latency]);
    let mut battery = served.connect("commerce/bess");
    let began = Instant::now();
    // The last three of them come to a device that reads nothing more while sixteen wait.
    (0..19).for_each(|_| battery.send(&[3, 0, 100, 0, 2]));
    for transaction in 1..=19 {
        battery.transaction = transaction;
        assert_eq!(battery.receive()[..2], [3, 4]);
    }
    let took = began.elapsed();
    let one_by_one = Duration::from_millis(19 * 500);
    assert!(took >= Duration::from_millis(500) && took < one_by_one / 3, "all took {took:?}");
}

#[test]
fn a_site_that_cannot_be_served_is_refused_with_what_to_do() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("it listens").port().to_string();
    for (scenario, ports, code, words) in [
        ("scenarios/demo.ron", "0", 2, "no device of the site has a link of kind Modbus"),
        ("scenarios/flaky_wire.ron", &taken, 1, "--ports 15020 listens on 127.0.0.1"),
        ("scenarios/flaky_wire.ron", "65535", 2, "address 2 of the site has no port left"),
    ] {
        let output = Command::new(cargo_bin!("r-emsctl"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["device", scenario, "--ports", ports])
            .output()
            .expect("the program runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}

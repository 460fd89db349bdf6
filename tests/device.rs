//! `r-emsctl device` as its clients meet it: real sockets, frames made by hand from the specification.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is a client of the program, on the other side of its sockets"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;

/// After so long a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that serves, and where.
struct Served {
    child: Child,
    /// By device: its address and unit.
    devices: Vec<(String, String, u8)>,
}

impl Served {
    fn start(scenario: &str, more: &[&str]) -> Self {
        let mut child = Command::new(cargo_bin!("r-emsctl"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["device", scenario, "--ports", "0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let stdout = child.stdout.take().expect("it was asked for");
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let table: Vec<String> = lines.take_while(|line| !line.starts_with("in real time")).collect();
        let device = |line: &String| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let unit = words.get(2)?.parse().ok()?;
            Some((words[0].to_owned(), words[1].to_owned(), unit))
        };
        Self { child, devices: table.iter().filter_map(device).collect() }
    }

    fn connect(&self, device: &str) -> Client {
        let found = self.devices.iter().find(|known| known.0 == device);
        let (_, address, unit) = found.unwrap_or_else(|| panic!("{device} is not among {:?}", self.devices));
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Client { stream, unit: *unit, transaction: 0 }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A Modbus client that knows nothing of R-EMS.
struct Client {
    stream: TcpStream,
    unit: u8,
    transaction: u16,
}

impl Client {
    fn send(&mut self, pdu: &[u8]) {
        self.transaction += 1;
        let length = u16::try_from(pdu.len() + 1).expect("a short request");
        let mut frame = self.transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend(length.to_be_bytes());
        frame.push(self.unit);
        frame.extend(pdu);
        self.stream.write_all(&frame).expect("the connection is open");
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).expect("an answer");
        assert_eq!(head[..4], [(self.transaction >> 8) as u8, self.transaction as u8, 0, 0]);
        assert_eq!(head[6], self.unit);
        let mut pdu = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
        self.stream.read_exact(&mut pdu).expect("the rest of it");
        pdu
    }

    fn ask(&mut self, pdu: &[u8]) -> Vec<u8> {
        self.send(pdu);
        self.receive()
    }

    /// Two registers from `address` on, by `function`.
    fn two(&mut self, function: u8, address: u16) -> [u8; 4] {
        let [high, low] = address.to_be_bytes();
        let answer = self.ask(&[function, high, low, 0, 2]);
        assert_eq!(answer[..2], [function, 4], "{answer:?}");
        answer[2..].try_into().expect("two registers")
    }

    /// Whether the other end has closed the connection.
    fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 64]), Ok(0) | Err(_))
    }
}

#[test]
fn a_client_reads_the_plant_and_its_set_point_is_followed() {
    let served = Served::start("scenarios/peak_shaving_wire.ron", &["--set", "start=\"2016-03-09 17:30\""]);
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
    assert!(noise.is_closed(), "that is no frame");
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
fn a_site_that_cannot_be_served_is_refused_with_what_to_do() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("it listens").port().to_string();
    for (scenario, ports, code, words) in [
        ("scenarios/peak_shaving.ron", "0", 2, "no device of the site has a link of kind Modbus"),
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

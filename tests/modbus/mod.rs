//! Devices that `r-emsctl device` serves, and a Modbus client made by hand from the specification.
#![expect(clippy::disallowed_types, reason = "a client of a device has a socket")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;

/// After so long a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that serves, and where.
pub(crate) struct Served {
    child: Child,
    /// By device: its address and unit.
    pub(crate) devices: Vec<(String, String, u8)>,
}

impl Served {
    pub(crate) fn start(scenario: &str, more: &[&str]) -> Self {
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

    pub(crate) fn connect(&self, device: &str) -> Client {
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
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) unit: u8,
    pub(crate) transaction: u16,
}

impl Client {
    pub(crate) fn send(&mut self, pdu: &[u8]) {
        self.transaction += 1;
        let length = u16::try_from(pdu.len() + 1).expect("a short request");
        let mut frame = self.transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend(length.to_be_bytes());
        frame.push(self.unit);
        frame.extend(pdu);
        self.stream.write_all(&frame).expect("the connection is open");
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).expect("an answer");
        assert_eq!(head[..4], [(self.transaction >> 8) as u8, self.transaction as u8, 0, 0]);
        assert_eq!(head[6], self.unit);
        let mut pdu = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
        self.stream.read_exact(&mut pdu).expect("the rest of it");
        pdu
    }

    pub(crate) fn ask(&mut self, pdu: &[u8]) -> Vec<u8> {
        self.send(pdu);
        self.receive()
    }

    /// Two registers from `address` on, by `function`.
    pub(crate) fn two(&mut self, function: u8, address: u16) -> [u8; 4] {
        let [high, low] = address.to_be_bytes();
        let answer = self.ask(&[function, high, low, 0, 2]);
        assert_eq!(answer[..2], [function, 4], "{answer:?}");
        answer[2..].try_into().expect("two registers")
    }
}

//! A battery and a photovoltaic plant behind Modbus, as their clients and their controller meet them.

use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::machine::Machine;
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Loaded, Memory, Overrides, load};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::plant::{ComponentIndex, Quantity};

pub(crate) const BESS: DeviceIndex = DeviceIndex(1);
pub(crate) const PV: DeviceIndex = DeviceIndex(2);
/// Where they stand in the plant.
const BATTERY: ComponentIndex = ComponentIndex(1);
const PLANT: ComponentIndex = ComponentIndex(2);

/// Value, time-out and enable in a request each, and a heartbeat in the register of the last.
pub(crate) const GROUP: &str = "
    \"set_point\": Holding(address: 200, number: I32, scale: \"1 W\", in_force: (address: 203, number: Bits(first: 3), is: 1)),
}, hole_max: 1,
writes: [
    (address: 200, values: [SetPoint(number: I32, scale: \"1 W\")]),
    (address: 202, function: 6, read_back: true, values: [Constant(number: U16, value: 60)]),
    (address: 203, function: 22, values: [Constant(number: Bits(first: 3), value: 1)]),
],
heartbeat: (timeout: \"10 s\", address: 203, function: 22, values: [Toggle(number: Bits(first: 0))]),";

/// One request, by function 23.
pub(crate) const EXCHANGED: &str = "
    \"set_point\": Holding(address: 200, number: I32, scale: \"1 W\"),
},
writes: [(address: 200, function: 23, values: [SetPoint(number: I32, scale: \"1 W\")])],";

/// Value, a coil that enables, and two that set a mode; another coil hears the heartbeat, and an input says what is in force.
pub(crate) const COILS: &str = "
    \"set_point\": Holding(address: 200, number: I32, scale: \"1 W\", in_force: Discrete(address: 5, is: 1)),
},
writes: [
    (address: 200, values: [SetPoint(number: I32, scale: \"1 W\")]),
    (address: 3, function: 5, read_back: true, values: [Constant(value: 1)]),
    (address: 8, function: 15, read_back: true, values: [Constant(value: 1), Constant(value: 0)]),
],
heartbeat: (timeout: \"10 s\", address: 4, function: 5, values: [Toggle()]),";

const SITE: &str = r#"
Scenario(
    version: 1,
    name: "registers",
    fidelity: Wire,
    site: Site(
        version: 1,
        time_zone: "UTC+1",
        hosts: { "h": () },
        grids: {
            "g": (
                scan: "1 s",
                devices: {
                    "pcc": Meter(
                        link: Modbus(address: "10.0.0.20:502", positive: Import, points: { "p": Input(address: 5, number: F32) }),
                        rating: "400 kW",
                    ),
                    "bess": Battery(
                        link: Modbus(
                            address: "10.0.0.21:502", positive: Discharge, timeout: "200 ms",
                            points: {
                                "p": Holding(address: 100, number: I32, scale: "1 W"),
                                "soc": Holding(address: 102, number: U16, scale: "0.1 %"),
                                "discharge_limit": Holding(address: 103, number: U16, scale: "10 W"),
                                "charge_limit": Holding(address: 104, number: U16, scale: "10 W"),
                                // the set-point and what writes it
                        ),
                        rating: "250 kW", reversion: "10 min", dead_band: "20 kW",
                    ),
                    "pv": Pv(
                        link: Modbus(
                            address: "10.0.0.22:502", timeout: "200 ms",
                            points: { "p": Input(address: 0, number: F32), "set_point": Input(address: 2, number: F32) },
                            writes: [(address: 300, values: [SetPoint(number: I32, scale: "1 W")])],
                            heartbeat: (timeout: "10 s", address: 310, function: 6, values: [Counter(number: U16)]),
                        ),
                        rating: "60 kW",
                    ),
                },
                functions: [PeakShaving(meter: "pcc", battery: "bess", limit: "220 kW", recharge: "170 kW")],
                controllers: { "a": (host: "h", order: 0) },
            ),
        },
    ),
    start: "2016-03-07",
    duration: "5 min",
    plant: {
        "g": {
            "load": Load(rating: "400 kW", source: Constant("300 kW")),
            "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %"),
            "pv": Pv(rating: "60 kW", source: Constant("0 kW")),
            "pcc": GridConnection(import_max: "400 kW"),
        },
    },
    // more
)"#;

fn loaded(map: &str, more: &str) -> Loaded<BuiltIn> {
    let text = SITE.replace("// the set-point and what writes it", map).replace("// more", more);
    let files = Memory::new().with("x.ron", text);
    load(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"))
}

/// Lets its controller have the site.
pub(crate) fn run(map: &str, more: &str) -> RunResult {
    let loaded = loaded(map, more);
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let mut driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    fleet.run(&mut driver).expect("no controller fails an assertion");
    driver.finish()
}

/// A site whose devices anybody asks.
pub(crate) struct Served {
    driver: SimDriver,
    /// Who is asked.
    pub(crate) device: DeviceIndex,
}

impl Served {
    pub(crate) fn new(map: &str, more: &str) -> Self {
        let driver = SimDriver::new(loaded(map, more).world).expect("the checker has seen every link");
        Self { driver, device: BESS }
    }

    /// What it answers to a request; nothing if it does not.
    pub(crate) fn ask(&mut self, pdu: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        self.driver.serve((ControllerIndex(0), self.device), pdu, &mut answer);
        answer
    }

    /// Writes, and sees that it is acknowledged.
    pub(crate) fn acknowledges(&mut self, pdu: &[u8]) {
        let answer = self.ask(pdu);
        assert_eq!(answer.first(), pdu.first(), "{pdu:?} is answered by {answer:?}");
    }

    /// Registers in a row.
    pub(crate) fn words(&mut self, address: u16, count: u16) -> Vec<u16> {
        let answer = self.ask(&read(3, address, count));
        assert_eq!(answer[..2], [3, 2 * count as u8], "{answer:?}");
        answer[2..].chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    /// Lets time pass up to so many seconds from the start.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.driver.pass_until(Time::ZERO + Span::from_secs(seconds));
        let asked = std::mem::replace(&mut self.device, BESS);
        self.words(100, 2);
        self.device = asked;
    }

    /// Whether the battery follows a set-point.
    pub(crate) fn is_in_force(&self) -> bool {
        self.driver.bus(0).is_commanded(BATTERY)
    }

    /// What the battery, or the photovoltaic plant, goes to.
    pub(crate) fn set_point_w(&self) -> f64 {
        let component = if self.device == PV { PLANT } else { BATTERY };
        let bus = self.driver.bus(0);
        bus.value(bus.truth(component, Quantity::SetPoint).expect("it has one"))
    }
}

fn request(function: u8, words: &[u16]) -> Vec<u8> {
    let mut pdu = vec![function];
    pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    pdu
}

/// Functions 3 and 4.
pub(crate) fn read(function: u8, address: u16, count: u16) -> Vec<u8> {
    request(function, &[address, count])
}

/// Function 6.
pub(crate) fn one(address: u16, word: u16) -> Vec<u8> {
    request(6, &[address, word])
}

/// Function 16.
pub(crate) fn several(address: u16, words: &[u16]) -> Vec<u8> {
    let mut pdu = request(16, &[address, words.len() as u16]);
    pdu.push(2 * words.len() as u8);
    pdu.extend(&request(0, words)[1..]);
    pdu
}

/// Function 22: the bits of `and` are kept, the others are those of `or`.
pub(crate) fn mask(address: u16, and: u16, or: u16) -> Vec<u8> {
    request(22, &[address, and, or])
}

/// Function 23.
pub(crate) fn exchange(first: u16, count: u16, address: u16, words: &[u16]) -> Vec<u8> {
    let mut pdu = request(23, &[first, count, address, words.len() as u16]);
    pdu.push(2 * words.len() as u8);
    pdu.extend(&request(0, words)[1..]);
    pdu
}

/// The registers of a power.
pub(crate) fn watts(power_w: i32) -> Vec<u16> {
    vec![(power_w as u32 >> 16) as u16, power_w as u16]
}

//! A slow gateway with several devices behind it, read by one request after the other and by several at once.

use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::Machine;
use r_ems_scenarios::{Memory, Overrides, load};
use r_ems_sim::driver::SimDriver;

/// So many requests read all devices behind the gateway: a meter's one number, and two and five that lie far apart.
const READS: u8 = 8;
/// How long that is simulated.
const RUN_S: f64 = 60.0;

const SITE: &str = r#"
Scenario(
    version: 1,
    name: "a slow gateway",
    fidelity: Wire,
    site: Site(
        version: 1,
        time_zone: "UTC+1",
        hosts: { "h": () },
        grids: {
            "g": (
                scan: "20 ms",
                devices: {
                    "pcc": Meter(
                        link: Modbus(
                            address: "10.0.0.20:502", unit: 1, /* at once */ positive: Import,
                            latency: "50 ms", timeout: "500 ms", points: { "p": Input(address: 5, number: F32) },
                        ),
                        rating: "400 kW", max_age: "5 s",
                    ),
                    "bess": Battery(
                        link: Modbus(
                            address: "10.0.0.20:502", unit: 2, /* at once */ positive: Discharge,
                            latency: "50 ms", timeout: "500 ms",
                            points: {
                                "p": Holding(address: 100, number: I32, scale: "1 W"),
                                "soc": Holding(address: 300, number: U16, scale: "0.1 %"),
                                "discharge_limit": Holding(address: 500, number: U16, scale: "10 W"),
                                "charge_limit": Holding(address: 700, number: U16, scale: "10 W"),
                                "set_point": Holding(address: 900, number: I32, scale: "1 W"),
                            },
                            writes: [(address: 900, values: [SetPoint(number: I32, scale: "1 W")])],
                        ),
                        rating: "250 kW", max_age: "5 s",
                    ),
                    "pv": Pv(
                        link: Modbus(
                            address: "10.0.0.20:502", unit: 3, /* at once */ latency: "50 ms", timeout: "500 ms",
                            points: { "p": Input(address: 0, number: F32), "set_point": Input(address: 300, number: F32) },
                            writes: [(address: 300, values: [SetPoint(number: I32, scale: "1 W")])],
                        ),
                        rating: "60 kW", max_age: "5 s",
                    ),
                },
                functions: [PeakShaving(meter: "pcc", battery: "bess", limit: "220 kW", recharge: "170 kW")],
                controllers: { "a": (host: "h", order: 0) },
            ),
        },
    ),
    start: "2016-03-07",
    duration: "1 min",
    plant: {
        "g": {
            "load": Load(rating: "400 kW", source: Constant("200 kW")),
            "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %"),
            "pv": Pv(rating: "60 kW", source: Constant("0 kW")),
            "pcc": GridConnection(import_max: "400 kW"),
        },
    },
)"#;

/// How often a second all is read where so many requests are under way at once.
fn polls_a_second(pipelining: u8) -> f64 {
    let text = SITE.replace("/* at once */", &format!("pipelining: {pipelining},"));
    let files = Memory::new().with("x.ron", text);
    let loaded = load::<BuiltIn>(&files, "x.ron", &Overrides::default());
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let mut driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    fleet.run(&mut driver).expect("no controller fails an assertion");
    let traffic = &driver.finish().traffic[0];
    assert!(traffic.iter().all(|link| link.poll_timeouts == 0), "{traffic:?}");
    traffic.iter().map(|link| link.answers as f64).sum::<f64>() / f64::from(READS) / RUN_S
}

#[test]
fn four_requests_at_once_poll_the_devices_behind_a_slow_gateway_four_times_as_often() {
    let (one, four) = (polls_a_second(1), polls_a_second(4));
    // Eight reads of 50 ms, one after the other, and a scan of 20 ms until the next begin.
    assert!((2.3..=2.5).contains(&one), "{one} a second");
    assert!((3.5..=4.2).contains(&(four / one)), "{four} a second, in place of {one}");
}

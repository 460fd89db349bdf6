//! Devices that are taken to their panels and devices that trip, where links pass values and where they pass bytes: who is told
//! what, and when.

use r_ems_engine::controller::Controller;
use r_ems_engine::event::Event;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::{
    Delivery, Driver, Effect, Input, Machine, Outcome, Step, WriteKind, WriteOutcome,
};
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Loaded, Memory, Overrides, check, load};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::plant::{ComponentIndex, Quantity};

/// Batteries as the plant has them, and as the devices of the image.
const PLANT: [ComponentIndex; 2] = [ComponentIndex(1), ComponentIndex(2)];
const FIRST: u16 = 1;

const POINTS: &str = r#"
    "b1": Battery(link: Points(positive: Discharge), rating: "100 kW", measures: [mode, remote]),
    "b2": Battery(link: Points(positive: Discharge), rating: "100 kW", measures: [remote, mode]),
"#;

/// One tells its mode in a register, and by a contact that somebody stands at its panel; the other by a contact that it has
/// tripped.
const MODBUS: &str = r#"
    "b1": Battery(
        link: Modbus(
            address: "127.0.0.1:15021", positive: Discharge,
            points: {
                "p": Holding(address: 100, number: I32, scale: "1 W"),
                "soc": Holding(address: 102, number: U16, scale: "0.1 %"),
                "discharge_limit": Holding(address: 103, number: U16, scale: "10 W"),
                "charge_limit": Holding(address: 104, number: U16, scale: "10 W"),
                "set_point": Holding(address: 200, number: I32, scale: "1 W"),
                "mode": Input(address: 7, number: U16),
                "remote": Discrete(address: 3, on: 0, off: 1),
            },
            writes: [(address: 200, values: [SetPoint(number: I32, scale: "1 W")])],
        ),
        rating: "100 kW",
    ),
    "b2": Battery(
        link: Modbus(
            address: "127.0.0.1:15022", positive: Discharge,
            points: {
                "p": Holding(address: 100, number: I32, scale: "1 W"),
                "soc": Holding(address: 102, number: U16, scale: "0.1 %"),
                "discharge_limit": Holding(address: 103, number: U16, scale: "10 W"),
                "charge_limit": Holding(address: 104, number: U16, scale: "10 W"),
                "set_point": Holding(address: 200, number: I32, scale: "1 W"),
                "mode": Discrete(address: 9, on: 4, off: 3),
                "remote": Coil(address: 4),
            },
            writes: [(address: 200, values: [SetPoint(number: I32, scale: "1 W")])],
        ),
        rating: "100 kW",
    ),
"#;

/// 320 kW of load, of which two batteries shave 60 kW each, for ten minutes.
fn text(fidelity: &str, batteries: &str, load: &str, faults: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "x", {fidelity}
            site: Site(
                version: 1, hosts: {{ "h": () }},
                grids: {{
                    "g": (
                        scan: "1 s",
                        devices: {{ "pcc": Meter(link: Points(positive: Import), rating: "400 kW"), {batteries} }},
                        functions: [
                            PeakShaving(meter: "pcc", battery: "batteries", limit: "200 kW", recharge: "100 kW", reserve: "20 %"),
                        ],
                        controllers: {{ "a": (host: "h", order: 0) }},
                    ),
                }},
            ),
            start: "2016-03-07", duration: "10 min",
            plant: {{
                "g": {{
                    "load": Load(rating: "400 kW", source: {load}),
                    "b1": Battery(capacity: "100 kWh", rating: "100 kW", soc: "60 %", start_delay: "10 s"),
                    "b2": Battery(capacity: "100 kWh", rating: "100 kW", soc: "60 %", start_delay: "10 s"),
                    "pcc": GridConnection(import_max: "400 kW"),
                }},
            }},
            faults: [{faults}],
        )"#
    )
}

/// What controllers tell devices, what they hear of that, and what they report.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Wrote(u16, f64),
    Written(u16, WriteOutcome),
    Reported(Event),
    /// What the batteries do, and what comes over the connection.
    Stands([f64; 3]),
}

struct Watched {
    inner: SimDriver,
    seen: Vec<(Time, Seen)>,
}

impl Driver for Watched {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let stands = [PLANT[0], PLANT[1], ComponentIndex(3)].map(|component| {
            let bus = self.inner.bus(0);
            bus.truth(component, Quantity::Power).map_or(0.0, |power| bus.value(power))
        });
        self.seen.push((self.inner.now(), Seen::Stands(stands)));
        let delivery = self.inner.next()?;
        if let Step::Input(Input::Written { device, outcome }) = delivery.step {
            self.seen.push((delivery.at, Seen::Written(device.0, outcome)));
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            let seen = match effect {
                Effect::Write(write) => Some(Seen::Wrote(write.device.0, write.value)),
                Effect::Frame { write: Some(write), .. } if write.kind == WriteKind::SetPoint => {
                    Some(Seen::Wrote(write.device.0, write.value))
                }
                Effect::Report(event) => Some(Seen::Reported(*event)),
                Effect::Frame { .. }
                | Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Link { .. }
                | Effect::Send { .. }
                | Effect::Transfer { .. }
                | Effect::Promise(_)
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Authority { .. } => None,
            };
            self.seen.extend(seen.map(|seen| (outcome.at, seen)));
        }
        self.inner.perform(outcome);
    }
}

impl Watched {
    /// Runs both kinds of links.
    fn of_both(load_source: &str, faults: &str) -> [Self; 2] {
        [("", POINTS), ("fidelity: Wire,", MODBUS)].map(|(fidelity, batteries)| {
            let text = text(fidelity, batteries, load_source, faults);
            let files = Memory::new().with("x.ron", text);
            let loaded: Loaded<BuiltIn> =
                load(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
            let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
            let inner = SimDriver::new(loaded.world).expect("the checker has seen every link");
            let mut driver = Self { inner, seen: Vec::new() };
            fleet.run(&mut driver).expect("no controller fails an assertion");
            let result = driver.inner.finish();
            assert_eq!(result.grids[0].balance, Ok(()), "energy is kept");
            assert_eq!(result.grids[0].reversion, Ok(()), "no set-point outlives its expiry");
            driver
        })
    }

    fn within(&self, from: u64, to: u64) -> impl Iterator<Item = &(Time, Seen)> {
        let at = |seconds| Time::ZERO + Span::from_secs(seconds);
        self.seen.iter().filter(move |(then, _)| *then >= at(from) && *then <= at(to))
    }

    /// The set-points that a device was told between two instants, in seconds.
    fn told(&self, device: u16, from: u64, to: u64) -> Vec<f64> {
        let told = |(_, seen): &(Time, Seen)| match seen {
            Seen::Wrote(of, power) if *of == device => Some(*power),
            Seen::Wrote(..) | Seen::Written(..) | Seen::Reported(_) | Seen::Stands(_) => None,
        };
        self.within(from, to).filter_map(told).collect()
    }

    fn reported(&self, kind: &str) -> usize {
        let is_it = |(_, seen): &&(Time, Seen)| matches!(seen, Seen::Reported(event) if event.kind() == kind);
        self.seen.iter().filter(is_it).count()
    }

    /// What the batteries do at the end of a second, and what the meter reads, in kW.
    fn stands(&self, second: u64) -> [f64; 3] {
        let stands = |(_, seen): &(Time, Seen)| match seen {
            Seen::Stands(stands) => Some(*stands),
            Seen::Wrote(..) | Seen::Written(..) | Seen::Reported(_) => None,
        };
        let last = self.within(0, second).filter_map(stands).last().expect("it was looked at");
        last.map(|power| (power / 100.0).round() / 10.0)
    }
}

/// Both give about the same, so that nothing is missing: who has more in store gives a little more.
fn assert_shared([first, second, pcc]: [f64; 3], both: f64) {
    let is_shared = (first - second).abs() < both * 0.1 && (first + second - both).abs() < 0.2;
    assert!(is_shared && (pcc - 200.0).abs() < 0.2, "{first} kW and {second} kW of {both} kW, {pcc} kW");
}

#[test]
fn a_battery_at_its_panel_holds_what_it_does_and_is_told_nothing_until_it_is_given_back() {
    // More load from the second minute on, when one is at its panel, for longer than its set-point lasts.
    let load = r#"Ramp(from: "320 kW", to: "350 kW", begin: "+2 min", end: "+3 min")"#;
    for watched in Watched::of_both(load, r#"During("+1 min", "+5 min", Local("g/b1"))"#) {
        assert_eq!(watched.stands(59), [60.0, 60.0, 200.0]);
        assert_eq!(watched.stands(299), [60.0, 90.0, 200.0]);
        assert_eq!(watched.told(FIRST, 61, 299), [] as [f64; 0]);
        let [first, ..] = watched.told(FIRST, 300, 302)[..] else { panic!("it is told where to go on") };
        assert!((first - 60e3).abs() < 100.0, "it goes on from what it does: {first} W");
        assert_shared(watched.stands(320), 150.0);
        let counts = ["device_local", "device_remote", "write_failed", "shortfall_began", "device_limited"];
        assert_eq!(counts.map(|kind| watched.reported(kind)), [1, 1, 0, 0, 0]);
    }
}

#[test]
fn a_write_that_is_under_way_when_somebody_comes_to_the_panel_is_refused() {
    // The load moves all the time, so that something is written in each scan.
    let load = r#"Ramp(from: "300 kW", to: "360 kW", begin: "+0 s", end: "+10 min")"#;
    let fault = r#"During("+61 s", "+5 min", Local("g/b1"))"#;
    for watched in Watched::of_both(load, fault) {
        let late = watched.told(FIRST, 62, 299);
        assert_eq!(late, [] as [f64; 0]);
        let failed = watched.reported("write_failed");
        assert_eq!(watched.reported("writes_succeed"), failed, "what has failed succeeds in the end");
    }
}

#[test]
fn a_battery_that_trips_gives_nothing_and_starts_by_itself_when_its_fault_is_over() {
    let fault = r#"During("+1 min", "+5 min", Fault("g/b1"))"#;
    for watched in Watched::of_both(r#"Constant("280 kW")"#, fault) {
        assert_eq!(watched.stands(59), [40.0, 40.0, 200.0]);
        let [_, other, pcc] = watched.stands(62);
        assert!((other - 80.0).abs() < 5.0 && (pcc - 200.0).abs() < 5.0, "the other takes over in one scan");
        assert_eq!(watched.stands(70), [0.0, 80.0, 200.0]);
        assert_eq!(watched.told(FIRST, 62, 299), [] as [f64; 0]);
        assert_eq!(watched.stands(309), [0.0, 80.0, 200.0], "it starts");
        assert_shared(watched.stands(320), 80.0);
        let counts = ["device_fault", "device_recovered", "device_local", "write_failed", "device_limited"];
        assert_eq!(counts.map(|kind| watched.reported(kind)), [1, 1, 0, 0, 0]);
    }
}

#[test]
fn where_all_are_at_their_panels_one_shortfall_is_told() {
    let faults = r#"During("+1 min", "+5 min", Local("g/b1")), During("+1 min", "+5 min", Fault("g/b2"))"#;
    for watched in Watched::of_both(r#"Constant("280 kW")"#, faults) {
        assert_eq!(watched.stands(200), [40.0, 0.0, 240.0]);
        let counts = ["shortfall_began", "shortfall_ended"];
        assert_eq!(counts.map(|kind| watched.reported(kind)), [1, 1]);
        assert_shared(watched.stands(330), 80.0);
    }
}

#[test]
fn what_cannot_be_so_of_a_device_is_a_mistake_that_says_what_can() {
    for (fault, expected) in [
        (r#"Local("a:g/b1")"#, "write \"g/b1\", without \"a:\""),
        (r#"Fault("g/load")"#, "only a battery, PV or a genset trips by itself"),
        (r#"Local("g/b3")"#, "there is no component \"b3\""),
        (r#"Local(device: "g/b1")"#, "Local"),
    ] {
        let fault = format!(r#"During("+1 min", "+2 min", {fault})"#);
        let files = Memory::new().with("x.ron", text("", POINTS, r#"Constant("280 kW")"#, &fault));
        let report = check::<BuiltIn>(&files, "x.ron").to_string();
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let odd = POINTS.replace("measures: [mode, remote]", "measures: [mode, state]");
    let files = Memory::new().with("x.ron", text("", &odd, r#"Constant("280 kW")"#, ""));
    let report = check::<BuiltIn>(&files, "x.ron").to_string();
    assert!(report.contains("state"), "{report}");
    let odd = MODBUS.replace("on: 4, off: 3", "on: 9, off: 3");
    let files = Memory::new().with("x.ron", text("fidelity: Wire,", &odd, r#"Constant("280 kW")"#, ""));
    let report = check::<BuiltIn>(&files, "x.ron").to_string();
    assert!(report.contains("is no `mode`: 9"), "{report}");
}

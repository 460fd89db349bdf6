//! The contract that every function keeps, whatever it decides: finite, inside the interval, quiet when saturated, alive
//! without its measurements, and without a bump when it is enabled.

use proptest::prelude::*;

use r_ems_engine::controller::{Controller, ControllerSpec, Phase};
use r_ems_engine::event::Event;
use r_ems_engine::functions::connection_limit::ConnectionLimitSpec;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::ramp_limit::RampLimitSpec;
use r_ems_engine::functions::self_consumption::SelfConsumptionSpec;
use r_ems_engine::functions::soc_floor::SocFloorSpec;
use r_ems_engine::functions::{BuiltIn, BuiltInSpec, FunctionSet};
use r_ems_engine::ids::{DeviceIndex, PointIndex};
use r_ems_engine::machine::{Boot, Effect, Effects, Input, Machine, Sample, Validity, WriteOutcome};
use r_ems_engine::points::{DeviceClass, DeviceSpec, Positive};
use r_ems_engine::units::{Ratio, Watts, WattsPerSecond};
use r_ems_engine::{LocalTime, Span};

const SCAN: Span = Span::from_secs(1);
const BATTERY_W: f64 = 250e3;
const PV_W: f64 = 600e3;

fn kilowatts(power: f64) -> Watts {
    Watts::of(power * 1e3)
}

/// One specification of every built-in function.
fn every_function() -> Vec<BuiltInSpec> {
    let (meter, battery, pv) = (|| "pcc".to_string(), || "batteries".to_string(), || "pv".to_string());
    vec![
        BuiltInSpec::ConnectionLimit(ConnectionLimitSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: Some(pv()),
            import_max: Some(kilowatts(300.0)),
            export_max: Some(kilowatts(100.0)),
            fail_safe: None,
        }),
        BuiltInSpec::RampLimit(RampLimitSpec {
            battery: Some(battery()),
            pv: None,
            up: WattsPerSecond::of(50e3),
            down: None,
        }),
        BuiltInSpec::SocFloor(SocFloorSpec {
            battery: battery(),
            floor: Ratio::of(0.15),
            force_charge_below: Some(Ratio::of(0.10)),
            force_charge_power: None,
            release: None,
            dwell: None,
        }),
        BuiltInSpec::PeakShaving(PeakShavingSpec {
            meter: meter(),
            battery: battery(),
            limit: kilowatts(220.0),
            recharge: kilowatts(170.0),
            reserve: Ratio::of(0.8),
            window: Window::Mean(Span::from_mins(15)),
        }),
        BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
            meter: meter(),
            battery: battery(),
            target: Watts::ZERO,
            discharge_above: Ratio::of(0.2),
        }),
    ]
}

fn device(name: &str, class: DeviceClass, positive: Positive, rating: f64) -> DeviceSpec {
    DeviceSpec {
        name: name.into(),
        class,
        positive,
        rating: Watts::of(rating),
        latency: Span::ZERO,
        age_max: Span::from_secs(3),
        stuck_after: None,
        reversion: Span::from_secs(60),
        write_interval: Span::ZERO,
        dead_band: Watts::ZERO,
        ramp: None,
    }
}

/// What the devices of the site measure in one scan; `None`: the device does not answer.
#[derive(Clone, Copy, Debug)]
struct Reading {
    pcc: Option<f64>,
    batteries: [Option<(f64, f64, f64)>; 2],
    pv: Option<f64>,
}

impl Reading {
    /// Every device answers: grid, batteries at half charge with their full limits, sun.
    const fn quiet(pcc: f64, battery: f64) -> Self {
        let battery = Some((battery / 2.0, 0.5, BATTERY_W));
        Self { pcc: Some(pcc), batteries: [battery, battery], pv: Some(100e3) }
    }
}

/// A controller with a meter, two batteries and an inverter.
struct Site {
    controller: Controller<BuiltIn>,
    now: LocalTime,
    held: [f64; 4],
    effects: Effects,
    events: Vec<Event>,
    writes: u64,
}

impl Site {
    fn of(stack: &[BuiltInSpec]) -> Self {
        let devices = vec![
            device("pcc", DeviceClass::Meter, Positive::Import, 400e3),
            device("b1", DeviceClass::Battery, Positive::Discharge, BATTERY_W),
            device("b2", DeviceClass::Battery, Positive::Charge, BATTERY_W),
            device("pv", DeviceClass::Pv, Positive::Generation, PV_W),
        ];
        let spec = ControllerSpec::wire("grid", "a", SCAN, devices, stack).expect("a right stack");
        let mut controller = Controller::new(&spec);
        let mut effects = Effects::new();
        controller.boot(LocalTime::ZERO, Boot { incarnation: 1, wall: None }, &mut effects);
        let held = [0.0, 0.0, 0.0, PV_W];
        Self { controller, now: LocalTime::ZERO, held, effects, events: Vec::new(), writes: 0 }
    }

    fn scan(&mut self, reading: Reading) {
        if let Some(pcc) = reading.pcc {
            self.answer(0, 0, &[pcc]);
        }
        for (place, battery) in (0..).zip(reading.batteries) {
            if let Some((power, soc, limit)) = battery {
                let sign = if place == 0 { 1.0 } else { -1.0 };
                let held = self.held[1 + usize::from(place)];
                self.answer(1 + place, 1 + 5 * place, &[power * sign, soc, limit, limit, held]);
            }
        }
        if let Some(pv) = reading.pv {
            self.answer(3, 11, &[pv, self.held[3]]);
        }
        self.now += SCAN;
        self.effects.clear();
        self.controller.handle(self.now, &Input::Wake, &mut self.effects);
        self.look_at_effects();
        self.look_at_decisions();
    }

    fn answer(&mut self, device: u16, first: u16, values: &[f64]) {
        let sample = |(value, point): (&f64, u16)| Sample {
            point: PointIndex(point),
            validity: Validity::Valid,
            value: *value,
        };
        let samples: Vec<Sample> = values.iter().zip(first..).map(sample).collect();
        let input = Input::Points { device: DeviceIndex(device), samples: &samples };
        self.controller.handle(self.now + Span::from_millis(990), &input, &mut self.effects);
    }

    fn look_at_effects(&mut self) {
        let effects: Vec<Effect> = self.effects.as_slice().to_vec();
        for effect in effects {
            match effect {
                Effect::Write(write) => {
                    assert!(write.value.is_finite(), "a set-point is finite");
                    assert!(write.valid_until > self.now, "a set-point is valid when it is written");
                    self.held[write.device.position()] = write.value;
                    self.writes += 1;
                    let outcome = WriteOutcome::Acknowledged;
                    let input = Input::Written { device: write.device, outcome };
                    self.controller.handle(self.now, &input, &mut self.effects);
                }
                Effect::Report(event) => self.events.push(event),
                Effect::Poll { .. } => {}
            }
        }
    }

    fn look_at_decisions(&self) {
        for group in self.controller.composition().groups() {
            let Some(power) = group.applied() else { continue };
            let ability = &group.steps()[0];
            assert!(
                power >= ability.low && power <= ability.high,
                "{power} is inside what the devices can do"
            );
            let shares = group.members().iter().fold(0.0, |sum, member| sum + member.set_point.watts());
            assert!((shares - power.watts()).abs() < 1e-3, "{shares} W are shared of {power}");
            for step in group.steps().windows(2) {
                assert!(step[1].low >= step[0].low && step[1].high <= step[0].high, "intervals only shrink");
            }
        }
    }
}

fn stacks() -> Vec<Vec<BuiltInSpec>> {
    let every = every_function();
    every.iter().map(|spec| vec![spec.clone()]).chain([every.clone()]).collect()
}

fn reading() -> impl Strategy<Value = Reading> {
    let number = prop_oneof![
        8 => -1e6..1e6,
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, 1e300, -1e13, 5e-324]),
    ];
    let soc = prop_oneof![8 => 0.0..=1.0, 1 => prop::sample::select(vec![f64::NAN, -1.0, 7.0])];
    let battery = prop::option::weighted(0.9, (number.clone(), soc, 0.0..=BATTERY_W));
    let power = prop::option::weighted(0.9, number);
    (power.clone(), [battery.clone(), battery], power).prop_map(|(pcc, batteries, pv)| Reading {
        pcc,
        batteries,
        pv,
    })
}

#[test]
fn every_built_in_function_is_under_contract() {
    let names: Vec<&str> = every_function().iter().map(BuiltIn::name).collect();
    assert_eq!(names, BuiltIn::NAMES);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_finite_and_inside_the_interval_whatever_is_measured(
        readings in prop::collection::vec(reading(), 1..120),
    ) {
        for stack in stacks() {
            let mut site = Site::of(&stack);
            site.scan(Reading::quiet(200e3, 0.0));
            for reading in &readings {
                site.scan(*reading);
            }
        }
    }
}

#[test]
fn the_first_set_point_is_the_measured_power() {
    for stack in stacks() {
        for battery in [-120e3, 0.0, 77e3] {
            let mut site = Site::of(&stack);
            site.scan(Reading::quiet(200e3, battery));
            assert_eq!(site.controller.phase(), Phase::Running);
            let groups = site.controller.composition().groups().iter();
            for group in groups.filter(|group| group.class() == DeviceClass::Battery) {
                assert_eq!(group.applied(), Some(Watts::of(battery)), "{}", BuiltIn::name(&stack[0]));
            }
            for group in site.controller.composition().groups() {
                if group.class() == DeviceClass::Pv {
                    assert_eq!(
                        group.applied(),
                        Some(Watts::of(PV_W)),
                        "an inverter is not curtailed by a start"
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_is_written_before_every_required_point_is_good() {
    for stack in stacks() {
        for missing in 0..3 {
            let mut site = Site::of(&stack);
            let mut reading = Reading::quiet(200e3, 0.0);
            match missing {
                0 => reading.batteries[0] = None,
                1 => reading.batteries[1] = Some((0.0, f64::NAN, BATTERY_W)),
                _ => reading.batteries = [None, None],
            }
            for _scan in 0..10 {
                site.scan(reading);
            }
            assert_eq!((site.writes, site.controller.phase()), (0, Phase::Starting));
        }
    }
}

#[test]
fn a_saturated_function_is_quiet() {
    for stack in stacks() {
        let mut site = Site::of(&stack);
        // Far more than the batteries can do, for ever, and they do all they can.
        let saturated = Reading::quiet(5e6, 500e3);
        for _scan in 0..120 {
            site.scan(saturated);
        }
        let (events, writes) = (site.events.len(), site.writes);
        for _scan in 0..60 {
            site.scan(saturated);
        }
        assert_eq!(site.events.len(), events, "{:?}", &site.events[events..]);
        // Each device is re-asserted every half minute, and no more.
        assert!(site.writes - writes <= 6, "{} writes in a minute", site.writes - writes);
    }
}

#[test]
fn without_measurements_the_batteries_come_to_rest_and_return_without_a_bump() {
    for stack in stacks() {
        let mut site = Site::of(&stack);
        for _scan in 0..30 {
            site.scan(Reading::quiet(400e3, 60e3));
        }
        let silent = Reading { pcc: None, ..Reading::quiet(400e3, 0.0) };
        for _scan in 0..30 {
            site.scan(silent);
        }
        let needs_meter =
            stack.iter().any(|spec| BuiltIn::name(spec) != "RampLimit" && BuiltIn::name(spec) != "SocFloor");
        let battery = |site: &Site| {
            let mut groups = site.controller.composition().groups().iter();
            groups.find(|group| group.class() == DeviceClass::Battery).and_then(|group| group.applied())
        };
        if needs_meter {
            assert_eq!(battery(&site), Some(Watts::ZERO), "{}", BuiltIn::name(&stack[0]));
        }
        for _scan in 0..11 {
            site.scan(Reading::quiet(400e3, 33e3));
        }
        if needs_meter {
            assert_eq!(battery(&site), Some(Watts::of(33e3)), "{}", BuiltIn::name(&stack[0]));
        }
    }
}

//! A controller and a simulated site in a closed loop, by hand and without the scenario language.

use r_ems_engine::event::Event;
use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex, PointIndex};
use r_ems_engine::machine::{Delivery, Driver, Effect, Outcome};
use r_ems_engine::points::Positive;
use r_ems_engine::redundancy::Seat;
use r_ems_engine::units::{Ratio, WattHours};
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::expect::{Claim, Comparison, Condition, Expectation, Watched};
use r_ems_sim::network::Path;
use r_ems_sim::plant::{
    Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, InitialMode, Load, Position, Quantity,
};
use r_ems_sim::sources::Source;
use r_ems_sim::world::{
    Change, DropOuts, GridWorld, HostClock, InverterOrder, LinkState, PlantChange, Post, Ties, Timed,
    WorldSpec,
};

mod hand_built;

use hand_built::{BATTERY_POINTS, controller, kilowatts, link};

const CONNECTION: ComponentIndex = ComponentIndex(0);
const BATTERY: ComponentIndex = ComponentIndex(2);

/// A meter's connection, 300 kW of load and a battery.
fn bus(battery: BatterySpec) -> Bus {
    Bus::new(vec![
        Component::Connection(Connection::new(kilowatts(400.0)).expect("a positive limit")),
        Component::Load(Load::new(Source::constant(300e3).expect("a finite load"))),
        Component::Battery(Battery::new(battery).expect("a sound battery")),
    ])
    .expect("one connection")
}

/// 300 kW of load on a battery of 500 kWh and 250 kW, whose meters count the other way round than the engine.
fn world() -> WorldSpec {
    let bus = bus(BatterySpec::new(WattHours::of(500e3), kilowatts(250.0), Ratio::of(0.5)));
    let pcc = bus.truth(CONNECTION, Quantity::Power).expect("a connection has a power");
    let condition = Condition {
        point: Watched::Truth { grid: 0, point: pcc },
        comparison: Comparison::AtMost,
        value: 221e3,
    };
    WorldSpec {
        seed: 1,
        start: WallTime::EPOCH,
        duration: Span::from_mins(30),
        hosts: vec![HostClock::TRUE],
        grids: vec![GridWorld { bus, shaving_limit: Some(kilowatts(220.0)) }],
        posts: vec![Post {
            host: 0,
            seat: Seat(0),
            grid: 0,
            bus: BusSpec::default(),
            links: vec![
                link(CONNECTION, 0, Positive::Export, &[Quantity::Power]),
                link(BATTERY, 1, Positive::Charge, &BATTERY_POINTS),
            ],
        }],
        paths: Vec::new(),
        path: Path::LOCAL,
        sync: Span::from_millis(4),
        persistence: None,
        timeline: Vec::new(),
        expectations: vec![Expectation {
            name: "the peak is shaved".into(),
            from: Time::ZERO,
            to: Time::MAX,
            claim: Claim::Always { condition, except_for: Span::from_secs(5), total: None },
        }],
        promised: Vec::new(),
        ties: Ties::InOrder,
    }
}

/// Counts what goes by.
struct Counting<D> {
    inner: D,
    deliveries: u64,
    writes: Vec<(Time, f64)>,
    events: Vec<(Time, Event)>,
    clocks: Vec<(Time, LocalTime)>,
}

impl<D: Driver> Driver for Counting<D> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        self.deliveries += 1;
        self.clocks.push((delivery.at, delivery.now));
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            match effect {
                Effect::Write(write) => self.writes.push((outcome.at, write.value)),
                Effect::Report(event) => self.events.push((outcome.at, *event)),
                Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Send { .. }
                | Effect::Transfer { .. }
                | Effect::Promise(_)
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Authority { .. } => {}
            }
        }
        self.inner.perform(outcome);
    }
}

fn run(world: WorldSpec) -> Counting<SimDriver> {
    let inner = SimDriver::new(world).expect("links fit their bus");
    let mut driver =
        Counting { inner, deliveries: 0, writes: Vec::new(), events: Vec::new(), clocks: Vec::new() };
    let mut fleet = Fleet::new(vec![controller()]);
    fleet.run(&mut driver).expect("no assertion fails");
    driver
}

fn kinds(driver: &Counting<SimDriver>) -> Vec<&'static str> {
    driver.events.iter().map(|event| event.1.kind()).collect()
}

#[test]
fn the_peak_is_shaved_and_the_books_balance() {
    let mut driver = run(world());
    let result = driver.inner.finish();
    assert_eq!(result.simulated, Span::from_mins(30));
    let [verdict] = result.verdicts.as_slice() else { panic!("one expectation gives one verdict") };
    assert!(verdict.held, "{verdict:?}");
    assert_eq!(result.grids[0].balance, Ok(()));
    let energies = result.grids[0].energies;
    assert!((energies.load_wh - 150e3).abs() < 1e-6, "300 kW for half an hour: {energies:?}");
    assert!((energies.discharge_wh - 40e3).abs() < 200.0, "80 kW for half an hour: {energies:?}");
    assert_eq!(kinds(&driver)[..2], ["booted", "quality_changed"]);
    assert!(kinds(&driver).contains(&"started"));
    assert!(!kinds(&driver).contains(&"sign_suspect"));
    // The device counts charging as positive, so discharging is written as a negative number.
    assert!(driver.writes.iter().any(|write| (write.1 + 80e3).abs() < 500.0), "{:?}", driver.writes);
}

#[test]
fn a_world_forked_in_the_middle_goes_on_like_the_one_that_was_not() {
    let whole = run(world()).writes;
    let mut driver = SimDriver::new(world()).expect("links fit their bus");
    let mut fleet = Fleet::new(vec![controller()]);
    while driver.now() < Time::from_nanos(600_000_000_000) {
        fleet.turn(&mut driver).expect("no assertion fails");
    }
    let mut fork = (fleet.clone(), driver.clone());
    fleet.run(&mut driver).expect("no assertion fails");
    drop(driver);
    let mut counting =
        Counting { inner: fork.1, deliveries: 0, writes: Vec::new(), events: Vec::new(), clocks: Vec::new() };
    fork.0.run(&mut counting).expect("no assertion fails");
    assert!(counting.deliveries > 1_000);
    assert!(whole.ends_with(&counting.writes), "the fork writes what the whole run wrote");
}

#[test]
fn a_host_whose_clock_runs_fast_scans_by_its_own_clock() {
    let mut fast = world();
    fast.hosts = vec![HostClock {
        rate_ppb: 600_000,
        at_start: LocalTime::from_nanos(5_000_000_000),
        ..HostClock::TRUE
    }];
    let driver = run(fast);
    let (at, now) = *driver.clocks.last().expect("something was delivered");
    let gained = now.as_nanos() - 5_000_000_000 - at.as_nanos();
    let expected = at.as_nanos() * 600 / 1_000_000;
    assert!(gained.abs_diff(expected) <= 1, "gained {gained} ns, expected {expected} ns");
    // 1,800 s and 600 ppm make one scan more than a true clock.
    let scans = |driver: &Counting<SimDriver>| driver.deliveries;
    assert!(scans(&driver) > scans(&run(world())));
    let mut driver = driver;
    assert!(driver.inner.finish().verdicts[0].held);
}

#[test]
fn a_silent_meter_makes_the_battery_rest_and_its_return_is_noticed() {
    let mut silent = world();
    let change = |state| Change::Link { controller: 0, device: DeviceIndex(0), state };
    silent.timeline = vec![
        Timed { at: Time::from_nanos(600_000_000_000), change: change(LinkState::Silent) },
        Timed { at: Time::from_nanos(700_000_000_000), change: change(LinkState::Answering) },
    ];
    let mut driver = run(silent);
    let lost = driver.events.iter().find(|event| matches!(event.1, Event::FunctionLost { .. }));
    let returned = driver.events.iter().find(|event| matches!(event.1, Event::FunctionReturned { .. }));
    let (lost, returned) = (lost.expect("it was lost").0, returned.expect("it returned").0);
    assert!((603..=605).contains(&(lost.as_nanos() / 1_000_000_000)), "lost at {lost}");
    assert!((709..=712).contains(&(returned.as_nanos() / 1_000_000_000)), "returned at {returned}");
    let rested = driver.writes.iter().any(|write| write.0 > lost && write.0 < returned && write.1 == 0.0);
    assert!(rested, "the battery came to rest");
    assert!(!driver.inner.finish().verdicts[0].held, "the peak was not shaved meanwhile");
}

#[test]
fn a_device_that_drops_out_at_random_is_the_same_in_every_run() {
    let mut random = world();
    random.posts[0].links[1].drop_outs =
        Some(DropOuts { every: Span::from_mins(5), lasting: Span::from_secs(20) });
    let (mut first, second) = (run(random.clone()), run(random));
    assert_eq!(first.writes, second.writes);
    assert!(first.inner.finish().traffic[0][1].poll_timeouts > 0);
}

#[test]
fn an_expectation_on_an_image_does_not_hold_on_the_value_of_a_silent_meter() {
    let mut silent = world();
    let change = |state| Change::Link { controller: 0, device: DeviceIndex(0), state };
    silent.timeline = vec![
        Timed { at: Time::from_nanos(600_500_000_000), change: change(LinkState::Silent) },
        Timed { at: Time::from_nanos(700_500_000_000), change: change(LinkState::Answering) },
    ];
    let shown = Watched::Image { controller: ControllerIndex(0), point: PointIndex(0) };
    let condition = Condition { point: shown, comparison: Comparison::AtMost, value: 1e6 };
    silent.expectations[0].claim = Claim::Always { condition, except_for: Span::ZERO, total: None };
    let mut answering = silent.clone();
    answering.timeline = Vec::new();
    assert!(run(answering).inner.finish().verdicts[0].held);
    let verdict = run(silent).inner.finish().verdicts.remove(0);
    assert!(!verdict.held);
    // The last answer came by 600 s and is believed for 3 s; the next one comes by 701 s.
    assert!((97.0..99.0).contains(&verdict.without_value.as_secs_f64()), "{verdict:?}");
}

#[test]
fn polls_and_writes_that_time_out_are_counted_apart() {
    // The battery goes silent in the middle of a second, after that second's poll and before the next one, for long
    // enough that its set-point is given up.
    let mut silent = world();
    let at = |millis: u64| Time::ZERO + Span::from_millis(millis);
    let change = |state| Change::Link { controller: 0, device: DeviceIndex(1), state };
    silent.timeline = vec![
        Timed { at: at(600_500), change: change(LinkState::Silent) },
        Timed { at: at(700_500), change: change(LinkState::Answering) },
    ];
    let traffic = run(silent).inner.finish().traffic[0].clone();
    let answers = run(world()).inner.finish().traffic[0][1].answers;
    assert_eq!((traffic[0].poll_timeouts, traffic[0].write_timeouts), (0, 0));
    assert_eq!(traffic[1].poll_timeouts, 100);
    assert_eq!(traffic[1].answers + 100, answers);
    assert!((1..100).contains(&traffic[1].write_timeouts), "{:?}", traffic[1]);
}

#[test]
fn a_sign_that_the_site_file_has_wrong_is_noticed() {
    let mut wrong = world();
    wrong.duration = Span::from_mins(5);
    wrong.posts[0].links[0].positive = Positive::Import;
    let driver = run(wrong);
    let suspects: Vec<&Event> =
        driver.events.iter().map(|event| &event.1).filter(|event| event.kind() == "sign_suspect").collect();
    assert!(
        suspects.iter().any(|event| matches!(event, Event::SignSuspect { measured_by: DeviceIndex(0), .. })),
        "{:?}",
        kinds(&driver)
    );
}

#[test]
fn an_open_breaker_leaves_the_load_unserved() {
    let mut dark = world();
    let change = |position| Change::Plant { grid: 0, change: PlantChange::Breaker(position) };
    dark.timeline = vec![
        Timed { at: Time::from_nanos(600_000_000_000), change: change(Position::Open) },
        Timed { at: Time::from_nanos(960_000_000_000), change: change(Position::Closed) },
    ];
    let mut driver = run(dark);
    let result = driver.inner.finish();
    assert_eq!(result.grids[0].balance, Ok(()));
    assert!((result.grids[0].energies.unserved_wh - 30e3).abs() < 1.0, "300 kW for six minutes");
}

#[test]
fn a_battery_that_begins_off_shaves_once_it_was_started() {
    let mut cold = world();
    let spec = BatterySpec::new(WattHours::of(500e3), kilowatts(250.0), Ratio::of(0.5));
    cold.grids[0].bus = bus(spec.beginning(InitialMode::Off));
    let change = Change::Plant { grid: 0, change: PlantChange::Inverter(BATTERY, InverterOrder::Start) };
    cold.timeline = vec![Timed { at: Time::from_nanos(900_000_000_000), change }];
    let mut driver = run(cold);
    let result = driver.inner.finish();
    assert_eq!(result.grids[0].balance, Ok(()));
    let discharged_wh = result.grids[0].energies.discharge_wh;
    assert!((discharged_wh - 20e3).abs() < 200.0, "80 kW for a quarter of an hour: {discharged_wh} Wh");
}

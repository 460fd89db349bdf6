//! What happens at one instant may come in any order: results may change, what must always hold may not.

use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::machine::{Delivery, Driver, Input, Outcome, Step};
use r_ems_engine::points::Positive;
use r_ems_engine::redundancy::Seat;
use r_ems_engine::units::{Ratio, WattHours};
use r_ems_engine::wall::WallTime;
use r_ems_engine::{Span, Time};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::expect::{Claim, Comparison, Condition, Expectation, Watched};
use r_ems_sim::network::Path;
use r_ems_sim::plant::{
    Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, Load, Position, Quantity,
};
use r_ems_sim::sources::{Ramp, Source};
use r_ems_sim::world::{Change, GridWorld, HostClock, LinkState, PlantChange, Post, Ties, Timed, WorldSpec};

mod hand_built;

use hand_built::{BATTERY_POINTS, controller, kilowatts, link};

const SEEDS: u64 = 60;
const CONNECTION: ComponentIndex = ComponentIndex(0);

fn at(seconds: u64) -> Time {
    Time::ZERO + Span::from_secs(seconds)
}

/// A load that rises from 200 to 400 kW in a quarter of an hour, and two batteries.
fn bus() -> Bus {
    let load = Ramp::new(200e3, 400e3, at(0), at(900)).expect("a valid ramp");
    let spec = BatterySpec::new(WattHours::of(40e3), kilowatts(250.0), Ratio::of(0.5));
    let battery = || Component::Battery(Battery::new(spec).expect("a sound battery"));
    Bus::new(vec![
        Component::Connection(Connection::new(kilowatts(500.0)).expect("a positive limit")),
        Component::Load(Load::new(Source::Ramp(load))),
        battery(),
        battery(),
    ])
    .expect("one connection")
}

/// Two grids with two controllers each, all of which scan, poll and write at the same instants; each has a battery of its own.
fn world(ties: Ties) -> WorldSpec {
    let post = |grid, battery| Post {
        host: 0,
        seat: Seat(0),
        grid,
        bus: BusSpec::default(),
        links: vec![
            link(CONNECTION, 0, Positive::Export, &[Quantity::Power]),
            link(ComponentIndex(battery), 1, Positive::Charge, &BATTERY_POINTS),
        ],
    };
    let mut expectations = Vec::new();
    for grid in 0..2 {
        for battery in [ComponentIndex(2), ComponentIndex(3)] {
            let point = bus().truth(battery, Quantity::StateOfCharge).expect("a battery has it");
            let point = Watched::Truth { grid, point };
            expectations.push(Claim::Bounds { point, low: Some(0.0), high: Some(1.0), peak_to_peak: None });
        }
        // Two controllers that shave the same peak by themselves hunt, but never beyond both ratings.
        let point = bus().truth(CONNECTION, Quantity::Power).expect("a connection has it");
        let point = Watched::Truth { grid, point };
        let condition = Condition { point, comparison: Comparison::AtLeast, value: -300e3 };
        expectations.push(Claim::Always { condition, except_for: Span::ZERO, total: None });
    }
    let named = |(number, claim): (usize, Claim)| Expectation {
        name: number.to_string(),
        from: Time::ZERO,
        to: Time::MAX,
        claim,
    };
    let link = |controller, state| Change::Link { controller, device: DeviceIndex(1), state };
    let breaker = |position| Change::Plant { grid: 1, change: PlantChange::Breaker(position) };
    let timeline = [
        (300, link(0, LinkState::Silent)),
        (300, link(3, LinkState::Silent)),
        (360, link(0, LinkState::Answering)),
        (360, link(3, LinkState::Answering)),
        // At one instant a breaker opens and closes: it must end closed.
        (400, breaker(Position::Open)),
        (400, breaker(Position::Closed)),
        (500, breaker(Position::Open)),
        (530, breaker(Position::Closed)),
    ];
    WorldSpec {
        seed: 1,
        start: WallTime::EPOCH,
        duration: Span::from_mins(15),
        hosts: vec![HostClock::TRUE],
        grids: (0..2).map(|_| GridWorld { bus: bus(), shaving_limit: Some(kilowatts(220.0)) }).collect(),
        posts: vec![post(0, 2), post(0, 3), post(1, 2), post(1, 3)],
        paths: Vec::new(),
        path: Path::LOCAL,
        sync: Span::from_millis(4),
        persistence: None,
        timeline: timeline.map(|(second, change)| Timed { at: at(second), change }).to_vec(),
        expectations: expectations.into_iter().enumerate().map(named).collect(),
        promised: Vec::new(),
        ties,
    }
}

/// Notes in which order deliveries come, and what the meters say.
struct Noting {
    inner: SimDriver,
    deliveries: Vec<(Time, u16, &'static str)>,
    /// The last import that the meter of each controller said.
    imports: [f64; 4],
    answers_out_of_order: u32,
}

impl Driver for Noting {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        let post = delivery.to.0;
        let kind = match &delivery.step {
            Step::Boot(_) => "boot",
            Step::Restore { .. } => "restore",
            Step::Input(Input::Wake) => "wake",
            Step::Input(Input::Points { device, samples }) => {
                // The load of the first grid only rises, as long as nobody discharges.
                let import = -samples[0].value;
                if device.0 == 0 && delivery.at < at(60) {
                    self.answers_out_of_order += u32::from(import < self.imports[usize::from(post)]);
                    self.imports[usize::from(post)] = import;
                }
                "points"
            }
            Step::Input(_) => "other",
        };
        self.deliveries.push((delivery.at, post, kind));
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.inner.perform(outcome);
    }
}

fn run(ties: Ties) -> (RunResult, Vec<(Time, u16, &'static str)>) {
    let inner = SimDriver::new(world(ties)).expect("links fit their bus");
    let mut driver = Noting { inner, deliveries: Vec::new(), imports: [0.0; 4], answers_out_of_order: 0 };
    let mut fleet = Fleet::new((0..4).map(|_| controller()).collect());
    fleet.run(&mut driver).unwrap_or_else(|failure| panic!("{ties:?}: {failure:?}"));
    assert_eq!(driver.answers_out_of_order, 0, "{ties:?}");
    let result = driver.inner.finish();
    (result, driver.deliveries)
}

#[test]
fn whatever_the_order_energy_is_conserved_and_bounds_hold() {
    for ties in [Ties::InOrder].into_iter().chain((0..SEEDS).map(Ties::Shuffled)) {
        let (result, deliveries) = run(ties);
        for grid in &result.grids {
            assert_eq!(grid.balance, Ok(()), "{ties:?}");
            assert!((grid.energies.load_wh + grid.energies.unserved_wh - 75e3).abs() < 1e-3, "{ties:?}");
        }
        assert!(result.grids[0].energies.unserved_wh.abs() < 1e-9);
        // The breaker of the second grid was open from 500 s to 530 s and at no other time: 314 kW on average.
        let unserved_wh = result.grids[1].energies.unserved_wh;
        assert!(
            (unserved_wh - 30.0 * (200e3 + 515.0 * 200e3 / 900.0) / 3_600.0).abs() < 1e-3,
            "{unserved_wh}"
        );
        for verdict in &result.verdicts {
            assert!(verdict.held, "{ties:?}: {verdict:?}");
        }
        assert!(deliveries.is_sorted_by_key(|delivery| delivery.0), "{ties:?}");
    }
}

#[test]
fn a_seed_shuffles_what_happens_at_one_instant_and_always_alike() {
    let order = |ties| run(ties).1;
    let (usual, first, second) = (order(Ties::InOrder), order(Ties::Shuffled(1)), order(Ties::Shuffled(2)));
    assert_ne!(usual, first);
    assert_ne!(first, second);
    assert_eq!(first, order(Ties::Shuffled(1)));
    let boots =
        |order: &[(Time, u16, &str)]| order.iter().take_while(|delivery| delivery.2 == "boot").count();
    assert_eq!((boots(&usual), boots(&first)), (4, 4));
    let wake_before_answer = |order: &[(Time, u16, &'static str)]| {
        order.windows(2).any(|pair| pair[0].0 == pair[1].0 && (pair[0].2, pair[1].2) == ("wake", "points"))
    };
    assert!(!wake_before_answer(&usual) && wake_before_answer(&first));
}

#[test]
fn a_shuffled_world_forked_in_the_middle_goes_on_like_the_one_that_was_not() {
    let whole = run(Ties::Shuffled(3)).1;
    let mut driver = SimDriver::new(world(Ties::Shuffled(3))).expect("links fit their bus");
    let mut fleet = Fleet::new((0..4).map(|_| controller()).collect());
    while driver.now() < at(450) {
        fleet.turn(&mut driver).expect("no assertion fails");
    }
    let (mut fork, inner) = (fleet.clone(), driver.clone());
    let mut noting = Noting { inner, deliveries: Vec::new(), imports: [0.0; 4], answers_out_of_order: 0 };
    fork.run(&mut noting).expect("no assertion fails");
    assert!(noting.deliveries.len() > 1_000);
    assert!(whole.ends_with(&noting.deliveries));
}

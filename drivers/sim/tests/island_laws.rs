//! Laws of islands that hold for any formers, any loads and any commands.

mod looks;

use proptest::prelude::*;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Ratio, WattHours, Watts, WattsPerSecond};
use r_ems_engine::{Span, Time};
use r_ems_sim::account::Account;
use r_ems_sim::ledger::Ledger;
use r_ems_sim::limits::Limits;
use r_ems_sim::plant::*;
use r_ems_sim::sources::*;

/// Length of a run: twelve thousand steps, in which gensets start and stop and small batteries are emptied.
const RUN: Span = Span::from_secs(12);

#[derive(Clone, Debug)]
enum Action {
    Command(u16, f64),
    Breaker(Position),
    Load(u16, Position),
    Start(u16),
    Stop(u16),
    Frequency(f64),
}

#[derive(Clone, Debug)]
struct World {
    batteries: Vec<BatterySpec>,
    gensets: Vec<GensetSpec>,
    plants: Vec<Source>,
    loads: Vec<(Source, Option<f64>)>,
    has_check: bool,
}

impl World {
    /// Batteries, gensets, plants, loads, and the connection.
    fn bus(&self) -> Bus {
        let mut all: Vec<Component> = Vec::new();
        for spec in &self.batteries {
            all.push(Component::Battery(Battery::new(*spec).expect("a valid battery")));
        }
        for spec in &self.gensets {
            all.push(Component::Genset(Genset::new(*spec, Stream::new(5, 1)).expect("a valid genset")));
        }
        for source in &self.plants {
            let spec = PvSpec::new(Watts::of(60e3));
            all.push(Component::Pv(Pv::new(spec, source.clone()).expect("a valid plant")));
        }
        for (source, shed_hz) in &self.loads {
            let load = Load::new(source.clone());
            let relay = |hz: f64| Relay::new(hz, Span::from_millis(100)).expect("a valid relay");
            all.push(Component::Load(match shed_hz {
                Some(hz) => load.shed_by(relay(*hz)),
                None => load,
            }));
        }
        let check = self.has_check.then(SynchroSpec::default);
        let connection = Connection::new(Watts::of(150e3)).and_then(|made| made.checked_by(check));
        all.push(Component::Connection(connection.expect("a valid connection")));
        Bus::new(all).expect("one connection")
    }

    fn act(&self, bus: &mut Bus, at: Time, action: &Action, watch: &mut impl Watch) {
        let formers = (self.batteries.len() + self.gensets.len()) as u16;
        let before_loads = formers + self.plants.len() as u16;
        let former = |number: u16| ComponentIndex(number % formers);
        match action {
            Action::Command(number, power_w) => bus.command(former(*number), Watts::of(*power_w), at, watch),
            Action::Breaker(position) => bus.breaker(*position, at, watch),
            Action::Load(number, position) => {
                let load = ComponentIndex(before_loads + number % self.loads.len() as u16);
                bus.load_breaker(load, *position, at, watch);
            }
            Action::Start(number) => bus.start(former(*number), at, watch),
            Action::Stop(number) => bus.stop(former(*number), at, watch),
            Action::Frequency(hz) => bus.set_grid(GridValue::Frequency, Some(*hz), at, watch),
        }
    }

    /// A run with its actions, looked at at `looks` as well.
    fn run<W: Watch>(&self, actions: &[(Time, Action)], looks: &[Time], watch: &mut W) -> Bus {
        let mut bus = self.bus();
        bus.breaker(Position::Open, Time::ZERO, watch);
        let act = |bus: &mut Bus, at, action: &Action, watch: &mut W| self.act(bus, at, action, watch);
        looks::run(bus, (actions, act), looks, Time::ZERO + RUN, watch)
    }
}

fn instant() -> impl Strategy<Value = Time> {
    prop_oneof![
        (0..RUN.as_nanos()).prop_map(Time::from_nanos),
        (0..RUN.as_nanos() / 1_000_000).prop_map(|millis| Time::ZERO + Span::from_millis(millis)),
    ]
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        (0.0..80e3).prop_map(|value| Source::constant(value).expect("finite")),
        (0.0..60e3, 0.0..40e3, 1_u64..60).prop_map(|(mean, amplitude, period)| {
            Source::Sine(Sine::new(mean, amplitude, Span::from_secs(period), 0.0).expect("a valid sine"))
        }),
        (0.0..60e3, 1_u64..9_000, 1_u64..9_000).prop_map(|(value, on, off)| {
            let (on, off) = (Span::from_millis(on), Span::from_millis(off));
            Source::Blocks(Blocks::new(value, on, off, Time::ZERO).expect("valid blocks"))
        }),
    ]
}

fn forming() -> impl Strategy<Value = Option<Forming>> {
    let some =
        (0.001..0.2, 1_u64..2_000, 1.0..2.0, 0_u64..5_000).prop_map(|(droop, filter, overload, time)| {
            Some(Forming {
                droop: Ratio::of(droop),
                filter: Span::from_millis(filter),
                overload,
                overload_time: Span::from_millis(time),
                ..Forming::default()
            })
        });
    prop_oneof![1 => Just(None), 3 => some]
}

fn battery() -> impl Strategy<Value = BatterySpec> {
    let mode = prop_oneof![1 => Just(InitialMode::Off), 4 => Just(InitialMode::Running)];
    let lag = prop_oneof![Just(0_u64), 1_u64..3_000];
    (1e3..50e3, 0.1..1.0, 0.0..1.0, lag, forming(), mode).prop_map(
        |(rating, hours, soc, lag, forms, mode)| {
            let capacity = WattHours::of(rating * hours * hours * 0.1 + rating / 150.0);
            let spec = BatterySpec::new(capacity, Watts::of(rating * 2.0), Ratio::of(soc));
            BatterySpec { lag: Span::from_millis(lag), forms, ..spec }.beginning(mode)
        },
    )
}

fn governor() -> impl Strategy<Value = GovernorSpec> {
    (0.004..0.3, 0.004..0.3, 0.0..0.5, 0.1..60.0, 1_u64..200).prop_map(|(t1_s, t6_s, t4_s, gain, dead)| {
        let dead_time = Span::from_millis(dead);
        GovernorSpec { t1_s, t4_s, t6_s, gain, dead_time, ..GovernorSpec::default() }
    })
}

fn genset() -> impl Strategy<Value = GensetSpec> {
    let initial = prop_oneof![1 => Just(InitialGenset::Off), 3 => Just(InitialGenset::Running)];
    let sizes = (5e3..120e3, 0.0..1.0, 0.05..5.0, 0.0..3.0, 0.005..0.2);
    (sizes, governor(), initial, 0_u32..3).prop_map(|(sizes, governor, initial, fails_first)| {
        let (rating, share, inertia_s, damping, droop) = sizes;
        GensetSpec {
            set_point: Watts::of(rating * share),
            initial,
            inertia: Span::from_secs_f64(inertia_s),
            damping,
            droop: Ratio::of(droop),
            governor,
            ramp: WattsPerSecond::of(rating / 3.0),
            crank: Span::from_millis(500),
            warm_up: Span::from_millis(1_500),
            synchronizing: Span::from_millis(700),
            cool_down: Span::from_secs(2),
            overload_time: Span::from_secs(2),
            fails_first,
            ..GensetSpec::new(Watts::of(rating))
        }
    })
}

fn world() -> impl Strategy<Value = World> {
    let shed_hz = prop_oneof![Just(None), (45.0..49.9).prop_map(Some)];
    (
        prop::collection::vec(battery(), 1..3),
        prop::collection::vec(genset(), 0..3),
        prop::collection::vec(source(), 0..2),
        prop::collection::vec((source(), shed_hz), 1..3),
        any::<bool>(),
    )
        .prop_map(|(batteries, gensets, plants, loads, has_check)| World {
            batteries,
            gensets,
            plants,
            loads,
            has_check,
        })
}

fn action() -> impl Strategy<Value = Action> {
    let position = || prop_oneof![Just(Position::Open), Just(Position::Closed)];
    prop_oneof![
        4 => (any::<u16>(), -100e3..100e3).prop_map(|(number, power_w)| Action::Command(number, power_w)),
        2 => position().prop_map(Action::Breaker),
        3 => (any::<u16>(), position()).prop_map(|(number, position)| Action::Load(number, position)),
        4 => any::<u16>().prop_map(Action::Start),
        1 => any::<u16>().prop_map(Action::Stop),
        1 => (49.0..51.0).prop_map(Action::Frequency),
    ]
}

fn actions() -> impl Strategy<Value = Vec<(Time, Action)>> {
    looks::actions(instant(), action(), 30)
}

fn looks() -> impl Strategy<Value = Vec<Time>> {
    looks::looks(instant())
}

/// Every value that does not add energies up segment by segment.
fn values(bus: &Bus) -> Vec<u64> {
    let quantities = [
        Quantity::Power,
        Quantity::StateOfCharge,
        Quantity::SetPoint,
        Quantity::Closed,
        Quantity::Voltage,
        Quantity::Frequency,
        Quantity::State,
        Quantity::Trips,
        Quantity::Waiting,
        Quantity::Starts,
    ];
    looks::values(bus, &quantities).into_iter().map(|(_quantity, value)| value.to_bits()).collect()
}

/// Fails the test where a frequency or a voltage is none.
struct Sane;

impl Watch for Sane {
    fn segment(&mut self, bus: &Bus, _from: Time, to: Time) {
        let (first, last) = bus.electrical();
        for is in [first, last] {
            assert!((0.0..=2.0).contains(&is.voltage_pu), "{} pu at {to}", is.voltage_pu);
            assert!((0.0..=70.0).contains(&is.frequency_hz), "{} Hz at {to}", is.frequency_hz);
        }
        if bus.mode() == BusMode::Island {
            let sum_w: f64 = bus.components().iter().map(|component| component.ends_w().1).sum();
            assert!(sum_w.abs() < 1e-3, "{sum_w} W are left at {to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn energy_is_conserved_on_any_island_and_nothing_does_more_than_it_can(
        world in world(), actions in actions(), looks in looks()
    ) {
        let bus = world.bus();
        let (mut ledger, mut limits) = (Ledger::new(&bus), Limits::new(&bus));
        let mut account = Account::new(&bus, Time::ZERO + Span::from_mins(15), None);
        let bus = world.run(&actions, &looks, &mut ((&mut ledger, &mut limits), (&mut account, Sane)));
        prop_assert_eq!(ledger.check(&bus), Ok(()));
        prop_assert_eq!(limits.check(), Ok(()));
        let energies = ledger.energies(&bus);
        prop_assert!(account.pv_used_wh() <= energies.pv_made_wh + 1e-3);
        prop_assert!(energies.unserved_wh >= 0.0 && energies.absorbed_wh >= 0.0);
    }

    #[test]
    fn looking_at_an_island_changes_nothing_in_it(world in world(), actions in actions(), looks in looks()) {
        let unseen = world.run(&actions, &[], &mut ());
        let seen = world.run(&actions, &looks, &mut ());
        prop_assert_eq!(values(&unseen), values(&seen));
        prop_assert_eq!(unseen.next_event(), seen.next_event());
    }
}

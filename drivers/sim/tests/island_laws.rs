//! Laws of islands that hold for any formers, any loads and any commands.

mod any_former;
mod looks;

use any_former::*;
use proptest::prelude::*;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::Watts;
use r_ems_engine::{Span, Time};
use r_ems_sim::account::Account;
use r_ems_sim::ledger::Ledger;
use r_ems_sim::limits::Limits;
use r_ems_sim::plant::*;
use r_ems_sim::sources::*;

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

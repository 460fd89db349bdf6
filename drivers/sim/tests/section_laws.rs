//! Laws of buses with sections that hold for any formers, any loads, any tree of sections and any commands.

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
    Tie(u16, Position),
    Load(u16, Position),
    Start(u16),
    Stop(u16),
    Grid(GridValue, f64),
}

/// Everything stands in a section that is given as any number.
#[derive(Clone, Debug)]
struct World {
    formers: Vec<(u8, Former)>,
    plants: Vec<(u8, Source)>,
    loads: Vec<(u8, Source, Option<f64>)>,
    /// Of each section but the main one, any number of one that is nearer to that, and whether its tie has a check.
    ties: Vec<(u8, bool)>,
}

#[derive(Clone, Debug)]
enum Former {
    Battery(BatterySpec),
    Genset(GensetSpec),
}

impl World {
    /// Formers, plants, loads, the connection, and ties: what they join stands in the section that `place` makes of a number.
    fn components(&self, place: impl Fn(u8) -> u8) -> Vec<(u8, Component)> {
        let mut all: Vec<(u8, Component)> = Vec::new();
        for (section, former) in &self.formers {
            let component = match former {
                Former::Battery(spec) => Component::Battery(Battery::new(*spec).expect("a valid battery")),
                Former::Genset(spec) => {
                    Component::Genset(Genset::new(*spec, Stream::new(5, 1)).expect("a valid genset"))
                }
            };
            all.push((place(*section), component));
        }
        for (section, source) in &self.plants {
            let pv = Pv::new(PvSpec::new(Watts::of(60e3)), source.clone()).expect("a valid plant");
            all.push((place(*section), Component::Pv(pv)));
        }
        for (section, source, shed_hz) in &self.loads {
            let relay = |hz: &f64| Relay::new(*hz, Span::from_millis(100)).expect("a valid relay");
            let load = shed_hz.iter().map(relay).fold(Load::new(source.clone()), Load::shed_by);
            all.push((place(*section), Component::Load(load)));
        }
        all.push((0, Component::Connection(Connection::new(Watts::of(150e3)).expect("a valid connection"))));
        all
    }

    fn bus(&self) -> Bus {
        let sections = 1 + self.ties.len() as u8;
        let mut all = self.components(|number| number % sections);
        for (section, (to, has_check)) in (1..).zip(&self.ties) {
            let check = has_check.then(SynchroSpec::default);
            let tie = BusTie::new(SectionIndex(to % section)).checked_by(check).expect("the usual numbers");
            all.push((section, Component::Tie(tie)));
        }
        let (sections, components): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let sections = sections.into_iter().map(SectionIndex).collect();
        Bus::with_sections(components, sections).expect("a tree of sections")
    }

    /// The same without sections.
    fn whole(&self) -> Bus {
        Bus::new(self.components(|_| 0).into_iter().map(|(_, component)| component).collect())
            .expect("one connection")
    }

    fn act(&self, bus: &mut Bus, at: Time, action: &Action, watch: &mut impl Watch) {
        let formers = self.formers.len() as u16;
        let before_loads = formers + self.plants.len() as u16;
        let connection = before_loads + self.loads.len() as u16;
        let former = |number: u16| ComponentIndex(number % formers);
        match action {
            Action::Command(number, power_w) => bus.command(former(*number), Watts::of(*power_w), at, watch),
            Action::Breaker(position) => bus.breaker(*position, at, watch),
            Action::Tie(number, position) => {
                let tie = ComponentIndex(connection + 1 + number % self.ties.len() as u16);
                bus.tie_breaker(tie, *position, at, watch);
            }
            Action::Load(number, position) => {
                let load = ComponentIndex(before_loads + number % self.loads.len() as u16);
                bus.load_breaker(load, *position, at, watch);
            }
            Action::Start(number) => bus.start(former(*number), at, watch),
            Action::Stop(number) => bus.stop(former(*number), at, watch),
            Action::Grid(what, value) => bus.set_grid(*what, Some(*value), at, watch),
        }
    }

    /// A run of `bus` with its actions, looked at at `looks` as well.
    fn run<W: Watch>(&self, bus: Bus, actions: &[(Time, Action)], looks: &[Time], watch: &mut W) -> Bus {
        let act = |bus: &mut Bus, at, action: &Action, watch: &mut W| self.act(bus, at, action, watch);
        looks::run(bus, (actions, act), looks, Time::ZERO + RUN, watch)
    }
}

fn world() -> impl Strategy<Value = World> {
    let former = prop_oneof![battery().prop_map(Former::Battery), genset().prop_map(Former::Genset)];
    let shed_hz = prop_oneof![Just(None), (45.0..49.9).prop_map(Some)];
    (
        prop::collection::vec((any::<u8>(), former), 1..6),
        prop::collection::vec((any::<u8>(), source()), 0..3),
        prop::collection::vec((any::<u8>(), source(), shed_hz), 1..5),
        prop::collection::vec((any::<u8>(), any::<bool>()), 1..4),
    )
        .prop_map(|(formers, plants, loads, ties)| World { formers, plants, loads, ties })
}

fn action() -> impl Strategy<Value = Action> {
    let position = || prop_oneof![Just(Position::Open), Just(Position::Closed)];
    prop_oneof![
        4 => (any::<u16>(), -100e3..100e3).prop_map(|(number, power_w)| Action::Command(number, power_w)),
        2 => position().prop_map(Action::Breaker),
        6 => (any::<u16>(), position()).prop_map(|(number, position)| Action::Tie(number, position)),
        2 => (any::<u16>(), position()).prop_map(|(number, position)| Action::Load(number, position)),
        4 => any::<u16>().prop_map(Action::Start),
        1 => any::<u16>().prop_map(Action::Stop),
        1 => (49.0..51.0).prop_map(|hz| Action::Grid(GridValue::Frequency, hz)),
        1 => (0.3..1.1).prop_map(|pu| Action::Grid(GridValue::Voltage, pu)),
    ]
}

fn actions() -> impl Strategy<Value = Vec<(Time, Action)>> {
    looks::actions(instant(), action(), 40)
}

fn looks() -> impl Strategy<Value = Vec<Time>> {
    looks::looks(instant())
}

/// Fails the test where a part of the bus has no balance of its own, or a frequency or a voltage is none.
struct Sane;

impl Watch for Sane {
    fn segment(&mut self, bus: &Bus, _from: Time, to: Time) {
        for area in bus.areas() {
            let (first, last) = bus.electrical_in(area);
            for is in [first, last] {
                assert!((0.0..=2.0).contains(&is.voltage_pu), "{} pu at {to}", is.voltage_pu);
                assert!((0.0..=70.0).contains(&is.frequency_hz), "{} Hz at {to}", is.frequency_hz);
            }
            let here = (0..).map(ComponentIndex).zip(bus.components()).filter(|(index, component)| {
                !matches!(component, Component::Tie(_)) && bus.area_of(*index) == area
            });
            let sum_w: f64 = here.map(|(_, component)| component.ends_w().1).sum();
            assert!(sum_w.abs() < 1e-3, "{sum_w} W are left in {area:?} at {to}");
            let is_grid = bus.mode_in(area) == BusMode::Grid;
            assert!(!is_grid || area == SectionIndex::MAIN, "{area:?} is on the grid at {to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn energy_is_conserved_in_every_part_and_nothing_does_more_than_it_can(
        world in world(), actions in actions(), looks in looks()
    ) {
        let bus = world.bus();
        let (mut ledger, mut limits) = (Ledger::new(&bus), Limits::new(&bus));
        let mut account = Account::new(&bus, Time::ZERO + Span::from_mins(15), None);
        let watch = &mut ((&mut ledger, &mut limits), (&mut account, Sane));
        let bus = world.run(bus, &actions, &looks, watch);
        prop_assert_eq!(ledger.check(&bus), Ok(()));
        prop_assert_eq!(limits.check(), Ok(()));
        let energies = ledger.energies(&bus);
        prop_assert!(account.pv_used_wh() <= energies.pv_made_wh + 1e-3);
        prop_assert!(energies.unserved_wh >= 0.0 && energies.absorbed_wh >= 0.0);
    }

    #[test]
    fn looking_at_sections_changes_nothing_in_them(world in world(), actions in actions(), looks in looks()) {
        let unseen = world.run(world.bus(), &actions, &[], &mut ());
        let seen = world.run(world.bus(), &actions, &looks, &mut ());
        prop_assert_eq!(values(&unseen), values(&seen));
        prop_assert_eq!(unseen.next_event(), seen.next_event());
    }

    #[test]
    fn ties_that_never_move_are_as_no_sections_at_all(world in world(), actions in actions()) {
        let is_of_ties = |(_, action): &(Time, Action)| matches!(action, Action::Tie(..));
        let actions: Vec<_> = actions.into_iter().filter(|action| !is_of_ties(action)).collect();
        let (divided, whole) = (world.bus(), world.whole());
        let (mut ledger, mut other) = (Ledger::new(&divided), Ledger::new(&whole));
        let divided = world.run(divided, &actions, &[], &mut ledger);
        let whole = world.run(whole, &actions, &[], &mut other);
        let whole_values = values(&whole);
        prop_assert_eq!(&values(&divided)[..whole_values.len()], whole_values);
        prop_assert_eq!(ledger.energies(&divided), other.energies(&whole));
        prop_assert_eq!(divided.next_event(), whole.next_event());
    }
}

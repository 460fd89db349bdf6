//! Laws of the plant that hold for any components and any commands.

mod looks;

use proptest::prelude::*;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};
use r_ems_sim::account::{Account, Peak};
use r_ems_sim::ledger::Ledger;
use r_ems_sim::plant::*;
use r_ems_sim::sources::*;

/// Length of a run. Small batteries go from full to empty in it several times.
const RUN: Span = Span::from_hours(6);

#[derive(Clone, Debug)]
enum Action {
    Command { battery: u16, power_w: f64 },
    Limit { plant: u16, power_w: f64 },
    Breaker(Position),
    Start { battery: u16 },
    Stop { battery: u16 },
}

#[derive(Clone, Debug)]
struct World {
    loads: Vec<Source>,
    plants: Vec<(PvSpec, Source)>,
    batteries: Vec<BatterySpec>,
}

impl World {
    /// Batteries first, then plants, loads and the connection.
    fn bus(&self) -> Bus {
        let mut components: Vec<Component> = Vec::new();
        for spec in &self.batteries {
            components.push(Component::Battery(Battery::new(*spec).expect("a valid battery")));
        }
        for (spec, source) in &self.plants {
            components.push(Component::Pv(Pv::new(*spec, source.clone()).expect("a valid plant")));
        }
        for source in &self.loads {
            components.push(Component::Load(Load::new(source.clone())));
        }
        components
            .push(Component::Connection(Connection::new(Watts::of(150e3)).expect("a valid connection")));
        Bus::new(components).expect("one connection")
    }

    fn act(&self, bus: &mut Bus, at: Time, action: &Action, watch: &mut impl Watch) {
        let batteries = self.batteries.len() as u16;
        let battery = |number: u16| ComponentIndex(number % batteries);
        match action {
            Action::Command { battery: number, power_w } => {
                bus.command(battery(*number), Watts::of(*power_w), at, watch);
            }
            Action::Limit { plant, power_w } => {
                let plant = ComponentIndex(batteries + plant % self.plants.len() as u16);
                bus.command(plant, Watts::of(*power_w), at, watch);
            }
            Action::Breaker(position) => bus.breaker(*position, at, watch),
            Action::Start { battery: number } => bus.start(battery(*number), at, watch),
            Action::Stop { battery: number } => bus.stop(battery(*number), at, watch),
        }
    }

    /// A run with its actions, looked at at `looks` as well.
    fn run<W: Watch>(&self, actions: &[(Time, Action)], looks: &[Time], watch: &mut W) -> Bus {
        let act = |bus: &mut Bus, at, action: &Action, watch: &mut W| self.act(bus, at, action, watch);
        looks::run(self.bus(), (actions, act), looks, Time::ZERO + RUN, watch)
    }
}

fn instant() -> impl Strategy<Value = Time> {
    (0..RUN.as_nanos()).prop_map(Time::from_nanos)
}

fn span(from: Span, to: Span) -> impl Strategy<Value = Span> {
    (from.as_nanos()..to.as_nanos()).prop_map(Span::from_nanos)
}

fn long() -> impl Strategy<Value = Span> {
    span(Span::from_secs(30), Span::from_hours(2))
}

fn source() -> impl Strategy<Value = Source> {
    let simple = prop_oneof![
        (0.0..200e3).prop_map(|value| Source::constant(value).expect("finite")),
        (0.0..100e3, 0.0..150e3, long(), 0.0..1.0).prop_map(|(mean, amplitude, period, phase)| {
            Source::Sine(Sine::new(mean, amplitude, period, phase).expect("a valid sine"))
        }),
        (-50e3..200e3, -50e3..200e3, instant(), long()).prop_map(|(from, to, begin, span)| {
            Source::Ramp(Ramp::new(from, to, begin, begin + span).expect("a valid ramp"))
        }),
        (0.0..90e3, long(), long()).prop_map(|(value, on, off)| {
            Source::Blocks(Blocks::new(value, on, off, Time::ZERO).expect("valid blocks"))
        }),
        (0.0..9e3, long(), 0..u64::MAX).prop_map(|(deviation, every, seed)| {
            let stream = Stream::new(seed, 1);
            Source::RandomWalk(
                RandomWalk::new(50e3, deviation, every, (0.0, 100e3), stream).expect("a valid walk"),
            )
        }),
    ];
    prop_oneof![
        simple.clone(),
        (simple.clone(), 0.0..0.2, 0..u64::MAX).prop_map(|(inner, deviation, seed)| {
            let every = Span::from_secs(20);
            let noise =
                Source::Noise(Noise::new(1.0, deviation, every, Stream::new(seed, 2)).expect("valid noise"));
            Source::Product(Product::new(vec![inner, noise]).expect("two factors"))
        }),
        (simple.clone(), simple, 0..u64::MAX).prop_map(|(one, other, seed)| {
            let sum = Source::Sum(Sum::new(vec![one, other]).expect("two parts"));
            let (distance, lasting) = (Span::from_mins(40), Span::from_mins(3));
            Source::DropOuts(
                DropOuts::new(sum, 0.0, distance, lasting, Stream::new(seed, 3)).expect("valid drop-outs"),
            )
        }),
    ]
}

fn battery() -> impl Strategy<Value = BatterySpec> {
    let lag = prop_oneof![Just(Span::ZERO), span(Span::from_millis(20), Span::from_secs(90))];
    let dead_time = prop_oneof![Just(Span::ZERO), span(Span::from_millis(1), Span::from_secs(5))];
    let reversion = prop_oneof![Just(None), span(Span::from_secs(1), Span::from_hours(1)).prop_map(Some)];
    let sizes = (5e3..200e3, 10e3..300e3, 0.0..1.0, 0.01..0.4);
    let mode = prop_oneof![
        1 => Just(InitialMode::Off),
        1 => Just(InitialMode::Starting),
        1 => Just(InitialMode::Ready),
        5 => Just(InitialMode::Running)
    ];
    let delays = (lag, dead_time, reversion);
    (sizes, delays, -1.0..1.0, mode).prop_map(|(sizes, (lag, dead_time, reversion), fallback, mode)| {
        let (capacity, rating, soc, taper) = sizes;
        let (capacity, rating) = (WattHours::of(capacity), Watts::of(rating));
        let (fallback, taper) = (rating * fallback, Ratio::of(taper));
        BatterySpec {
            lag,
            dead_time,
            reversion,
            fallback,
            taper,
            ..BatterySpec::new(capacity, rating, Ratio::of(soc))
        }
        .beginning(mode)
    })
}

fn plant() -> impl Strategy<Value = (PvSpec, Source)> {
    (20e3..150e3, source()).prop_map(|(rating, source)| (PvSpec::new(Watts::of(rating)), source))
}

fn world() -> impl Strategy<Value = World> {
    (
        prop::collection::vec(source(), 0..3),
        prop::collection::vec(plant(), 1..3),
        prop::collection::vec(battery(), 1..3),
    )
        .prop_map(|(loads, plants, batteries)| World { loads, plants, batteries })
}

fn action() -> impl Strategy<Value = Action> {
    let position = prop_oneof![Just(Position::Open), Just(Position::Closed)];
    prop_oneof![
        8 => (any::<u16>(), -300e3..300e3).prop_map(|(battery, power_w)| Action::Command { battery, power_w }),
        3 => (any::<u16>(), 0.0..150e3).prop_map(|(plant, power_w)| Action::Limit { plant, power_w }),
        1 => position.prop_map(Action::Breaker),
        1 => any::<u16>().prop_map(|battery| Action::Start { battery }),
        1 => any::<u16>().prop_map(|battery| Action::Stop { battery }),
    ]
}

fn actions() -> impl Strategy<Value = Vec<(Time, Action)>> {
    looks::actions(instant(), action(), 40)
}

fn looks() -> impl Strategy<Value = Vec<Time>> {
    looks::looks(instant())
}

/// Every value of every component.
fn values(bus: &Bus) -> Vec<(Quantity, f64)> {
    let quantities = [
        Quantity::Power,
        Quantity::StateOfCharge,
        Quantity::StoredEnergy,
        Quantity::AvailablePower,
        Quantity::ChargeLimit,
        Quantity::DischargeLimit,
        Quantity::SetPoint,
        Quantity::Demand,
        Quantity::Closed,
    ];
    looks::values(bus, &quantities)
}

/// Fails the test where a battery leaves its limits.
struct Guard;

impl Watch for Guard {
    fn segment(&mut self, bus: &Bus, _from: Time, to: Time) {
        for component in bus.components() {
            if let Component::Battery(battery) = component {
                let flow = battery.flow();
                let soc = battery.soc();
                assert!((0.0..=1.0).contains(&soc), "the state of charge is {soc} at {to}");
                let allowed = -battery.charge_limit_w() - 1e-6..=battery.discharge_limit_w() + 1e-6;
                for power_w in [flow.start_w, flow.end_w] {
                    assert!(allowed.contains(&power_w), "{power_w} W is outside the limits at {to}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn energy_is_conserved_whatever_is_connected_and_commanded(
        world in world(), actions in actions(), looks in looks()
    ) {
        let bus = world.bus();
        let mut ledger = Ledger::new(&bus);
        let bus = world.run(&actions, &looks, &mut (&mut ledger, Guard));
        prop_assert_eq!(ledger.check(&bus), Ok(()));
        let energies = ledger.energies(&bus);
        prop_assert!(energies.pv_curtailed_wh() >= -1e-3);
        prop_assert!(energies.import_wh >= 0.0 && energies.export_wh >= 0.0);
    }

    #[test]
    fn looking_at_the_plant_changes_nothing_in_it(world in world(), actions in actions(), looks in looks()) {
        let unseen = world.run(&actions, &[], &mut ());
        let seen = world.run(&actions, &looks, &mut ());
        prop_assert_eq!(values(&unseen), values(&seen));
        prop_assert_eq!(unseen.next_event(), seen.next_event());
    }

    #[test]
    fn accounts_are_the_same_however_often_they_are_kept(
        world in world(), actions in actions(), looks in looks()
    ) {
        let limit = Some(Watts::of(80e3));
        let mut seldom = Account::new(&world.bus(), Time::ZERO + Span::from_mins(15), limit);
        let mut often = seldom.clone();
        let mut ledger = Ledger::new(&world.bus());
        let bus = world.run(&actions, &[], &mut (&mut seldom, &mut ledger));
        world.run(&actions, &looks, &mut often);
        let numbers = |account: &Account| {
            let peak = |peak: Option<Peak>| peak.expect("a run of hours has whole windows").mean_w;
            let overload = account.overload();
            [
                ("peak", peak(account.peak())),
                ("peak without batteries", peak(account.peak_without_batteries())),
                ("shaved", account.shaved_wh().expect("a limit was given")),
                ("excess", account.excess_wh().expect("a limit was given")),
                ("used", account.pv_used_wh()),
                ("overload", overload.energy_wh),
                ("overload time", overload.span_s),
            ]
        };
        for ((name, one), (_, other)) in numbers(&seldom).into_iter().zip(numbers(&often)) {
            prop_assert!((one - other).abs() < 1e-3, "{}: {} and {}", name, one, other);
        }
        let energies = ledger.energies(&bus);
        prop_assert!(seldom.pv_used_wh() <= energies.pv_made_wh + 1e-3);
        prop_assert!(seldom.pv_used_wh() <= energies.load_wh + energies.charge_wh + 1e-3);
        prop_assert!(seldom.pv_used_wh() >= energies.pv_made_wh - energies.export_wh - 1e-3);
    }
}

//! Formers of any size, at the ends of what is allowed, together on one island: they get on, and keep their energy.

use proptest::prelude::*;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Ratio, WattHours, Watts, WattsPerSecond};
use r_ems_engine::{Span, Time, math};
use r_ems_sim::ledger::Ledger;
use r_ems_sim::limits::Limits;
use r_ems_sim::plant::*;
use r_ems_sim::sources::{Blocks, Source};

const RUN: Span = Span::from_secs(4);

/// Any size from one power of ten to another, each power as often as the next, and both ends more often.
fn size(low: f64, high: f64) -> impl Strategy<Value = f64> {
    let between = (0.0..1.0).prop_map(move |share: f64| low * math::pow(high / low, share));
    prop_oneof![1 => Just(low), 1 => Just(high), 6 => between]
}

fn millis(low: f64, high: f64) -> impl Strategy<Value = Span> {
    size(low, high).prop_map(|millis| Span::from_secs_f64(millis * 1e-3))
}

fn forming() -> impl Strategy<Value = Forming> {
    (size(0.001, 0.2), millis(1.0, 10e3), size(0.001, 0.5), size(1.0, 10.0), millis(1e-3, 3.6e6)).prop_map(
        |(droop, filter, voltage_droop, overload, overload_time)| Forming {
            droop: Ratio::of(droop),
            filter,
            voltage_droop: Ratio::of(voltage_droop),
            overload,
            overload_time,
        },
    )
}

fn battery() -> impl Strategy<Value = BatterySpec> {
    (size(1.0, 1e9), size(1.0, 1e3), 0.0..1.0, millis(1e-3, 1e4), forming()).prop_map(
        |(rating, hours, soc, lag, forming)| {
            let capacity = WattHours::of(rating * hours * 0.01);
            let spec = BatterySpec::new(capacity, Watts::of(rating), Ratio::of(soc));
            BatterySpec { lag, dead_time: Span::ZERO, forms: Some(forming), ..spec }
        },
    )
}

fn governor() -> impl Strategy<Value = GovernorSpec> {
    let lag = || size(0.004, 10.0);
    (
        (lag(), lag(), size(0.001, 10.0), size(0.001, 10.0)),
        (lag(), lag(), size(0.01, 1e3), millis(1.0, 200.0)),
    )
        .prop_map(|((t1_s, t2_s, t3_s, t4_s), (t5_s, t6_s, gain, dead_time))| {
            let throttle = GovernorSpec::default().throttle;
            GovernorSpec { t1_s, t2_s, t3_s, t4_s, t5_s, t6_s, gain, throttle, dead_time }
        })
}

fn genset() -> impl Strategy<Value = GensetSpec> {
    let sizes = (size(100.0, 1e9), 0.0..1.0, millis(50.0, 20e3), size(0.001, 100.0), size(0.001, 0.5));
    (sizes, governor()).prop_map(|((rating, share, inertia, damping, droop), governor)| GensetSpec {
        set_point: Watts::of(rating * share),
        initial: InitialGenset::Running,
        inertia,
        damping,
        droop: Ratio::of(droop),
        governor,
        ramp: WattsPerSecond::of(rating),
        ..GensetSpec::new(Watts::of(rating))
    })
}

fn formers_of(batteries: Vec<BatterySpec>, gensets: Vec<GensetSpec>) -> Vec<Component> {
    let batteries = batteries.into_iter().map(|spec| Battery::new(spec).expect("a valid battery"));
    let gensets =
        gensets.into_iter().map(|spec| Genset::new(spec, Stream::new(1, 1)).expect("a valid genset"));
    batteries.map(Component::Battery).chain(gensets.map(Component::Genset)).collect()
}

/// Fails the test where something does not get on: what is cut are whole steps, by blocks, edges and zeros.
struct Busy(u32);

impl Watch for Busy {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        self.0 += 1;
        let state = || bus.components().iter().map(|component| component.ends_w()).collect::<Vec<_>>();
        assert!(self.0 <= 200_000, "{} to {to}: {:?}", from, state());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_formers_that_are_allowed_get_on_and_keep_their_energy(
        batteries in prop::collection::vec(battery(), 0..4),
        gensets in prop::collection::vec(genset(), 0..3),
        load in size(1.0, 1e9),
        (on, off) in (millis(0.1, 3e3), millis(0.1, 3e3)),
        commands in prop::collection::vec((0..RUN.as_nanos(), any::<u16>(), -1e9..1e9), 0..8),
    ) {
        let mut components = formers_of(batteries, gensets);
        let formers = components.len() as u16;
        let steps = Blocks::new(load, on, off, Time::ZERO).expect("valid blocks");
        components.push(Component::Load(Load::new(Source::Blocks(steps))));
        components.push(Component::Connection(Connection::new(Watts::of(1e6)).expect("a valid connection")));
        let mut bus = Bus::new(components).expect("one connection");
        let (mut ledger, mut limits) = (Ledger::new(&bus), (Limits::new(&bus), Busy(0)));
        bus.breaker(Position::Open, Time::ZERO, &mut (&mut ledger, &mut limits));
        let mut commands = commands;
        commands.sort_by_key(|(at, _, _)| *at);
        for (at, former, power_w) in commands {
            if formers > 0 {
                let (former, at) = (ComponentIndex(former % formers), Time::from_nanos(at));
                bus.command(former, Watts::of(power_w), at, &mut (&mut ledger, &mut limits));
            }
        }
        bus.advance(Time::ZERO + RUN, &mut (&mut ledger, &mut limits));
        prop_assert_eq!(ledger.check(&bus), Ok(()));
        prop_assert_eq!(limits.0.check(), Ok(()));
    }

    #[test]
    fn formers_of_any_size_part_and_meet_at_a_tie_and_keep_their_energy(
        batteries in prop::collection::vec(battery(), 1..4),
        gensets in prop::collection::vec(genset(), 0..3),
        sides in prop::collection::vec(0_u8..2, 6),
        loads in prop::array::uniform2(size(1.0, 1e9)),
        is_guarded in any::<bool>(),
        moves in prop::collection::vec((0..RUN.as_nanos(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut components = formers_of(batteries, gensets);
        let mut sections: Vec<_> = sides[..components.len()].iter().copied().map(SectionIndex).collect();
        for (side, load) in (0..2).map(SectionIndex).zip(loads) {
            components.push(Component::Load(Load::new(Source::constant(load).expect("a finite constant"))));
            sections.push(side);
        }
        let tie = ComponentIndex(components.len() as u16);
        let check = is_guarded.then(|| SynchroSpec { slip_min: Ratio::ZERO, ..SynchroSpec::default() });
        components.push(Component::Tie(BusTie::new(SectionIndex::MAIN).checked_by(check).expect("usual")));
        components.push(Component::Connection(Connection::new(Watts::of(1e6)).expect("a valid connection")));
        sections.extend([SectionIndex(1), SectionIndex::MAIN]);
        let mut bus = Bus::with_sections(components, sections).expect("two sections");
        let (mut ledger, mut limits) = (Ledger::new(&bus), (Limits::new(&bus), Busy(0)));
        let mut moves = moves;
        moves.sort_by_key(|(at, _, _)| *at);
        for (at, is_tie, closes) in moves {
            let (at, position) = (Time::from_nanos(at), if closes { Position::Closed } else { Position::Open });
            if is_tie {
                bus.tie_breaker(tie, position, at, &mut (&mut ledger, &mut limits));
            } else {
                bus.breaker(position, at, &mut (&mut ledger, &mut limits));
            }
        }
        bus.advance(Time::ZERO + RUN, &mut (&mut ledger, &mut limits));
        prop_assert_eq!(ledger.check(&bus), Ok(()));
        prop_assert_eq!(limits.0.check(), Ok(()));
    }
}

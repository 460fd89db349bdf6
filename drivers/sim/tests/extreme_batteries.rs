//! Batteries at the edges of what is allowed: the plant gets on, and no watt-hour appears or vanishes.

use proptest::prelude::*;
use r_ems_engine::math;
use r_ems_engine::points::device::MAX_MAGNITUDE;
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};
use r_ems_sim::ledger::Ledger;
use r_ems_sim::plant::*;
use r_ems_sim::sources::Source;

/// Length of a run.
const RUN: Span = Span::from_secs(60);

/// Distance of looks at the plant, as of a controller's scans.
const LOOK: Span = Span::from_secs(1);

/// Most segments of one second on average: taper steps of the smallest battery with the shortest taper, both ways.
const MAX_SEGMENTS_PER_SECOND: u64 = 2_000;

/// Counts segments.
struct Counter(u64);

impl Watch for Counter {
    fn segment(&mut self, _bus: &Bus, _from: Time, _to: Time) {
        self.0 += 1;
    }
}

/// A number between `low` and `high`, as often near one as near the other on a logarithmic scale, and often an end itself.
fn logarithmic(low: f64, high: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(low),
        Just(high),
        (math::ln(low)..math::ln(high)).prop_map(move |exponent| math::exp(exponent).clamp(low, high)),
    ]
}

fn share(low: f64, high: f64) -> impl Strategy<Value = Ratio> {
    prop_oneof![Just(low), Just(high), low..high].prop_map(Ratio::of)
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        (0.0..44.0_f64).prop_map(|exponent| math::exp(exponent) as u64)
    ]
    .prop_map(Span::from_nanos)
}

fn losses() -> impl Strategy<Value = Losses> {
    (share(0.0, 0.2), share(0.0, 0.4), share(0.0, 0.2))
        .prop_map(|(standby, proportional, quadratic)| Losses { standby, proportional, quadratic })
}

fn battery() -> impl Strategy<Value = BatterySpec> {
    let sizes = logarithmic(RATING_MIN_W, MAX_MAGNITUDE).prop_flat_map(|rating_w| {
        let least_wh = Watts::of(rating_w).over(FULL_POWER_MIN).watt_hours();
        (Just(rating_w), prop_oneof![2 => Just(least_wh), 1 => logarithmic(least_wh, CAPACITY_MAX_WH)])
    });
    let times = (span(), span(), prop_oneof![Just(None), span().prop_map(Some)]);
    let shares = (share(0.0, 1.0), share(0.001, 0.45), share(1e-6, 1.0), -1.0..=1.0_f64);
    (sizes, times, shares, losses()).prop_map(|(sizes, times, shares, losses)| {
        let ((rating, capacity), (dead_time, lag, reversion)) = (sizes, times);
        let (soc, taper, soc_step, fallback) = shares;
        let (rating, capacity) = (Watts::of(rating), WattHours::of(capacity));
        BatterySpec {
            dead_time,
            lag: lag.min(LAG_MAX),
            reversion,
            losses,
            taper,
            soc_step,
            fallback: rating * fallback,
            ..BatterySpec::new(capacity, rating, soc)
        }
    })
}

/// When, and by how much of the rating.
fn commands() -> impl Strategy<Value = Vec<(Time, f64)>> {
    prop::collection::vec((0..RUN.as_nanos(), -1.1..1.1), 0..30).prop_map(|mut commands| {
        commands.sort_by_key(|command| command.0);
        commands.into_iter().map(|(at, share)| (Time::from_nanos(at), share)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_battery_that_is_allowed_gets_on_and_keeps_its_energy(
        spec in battery(),
        commands in commands(),
        load_share in -1.0..2.0_f64,
    ) {
        let battery = Battery::new(spec).expect("an extreme, but allowed battery");
        let rating_w = spec.rating.watts();
        let load = Load::new(Source::constant(rating_w * load_share).expect("a finite power"));
        let connection = Connection::new(Watts::of(rating_w)).expect("a power above zero");
        let components =
            vec![Component::Battery(battery), Component::Load(load), Component::Connection(connection)];
        let mut bus = Bus::new(components).expect("one connection");
        let mut watch = (Counter(0), Ledger::new(&bus));
        let mut looks = (1..).map(|look| Time::ZERO + LOOK * look).take_while(|at| *at <= Time::ZERO + RUN).peekable();
        for (at, share) in commands {
            while let Some(look) = looks.next_if(|look| *look <= at) {
                bus.advance(look, &mut watch);
            }
            bus.command(ComponentIndex(0), Watts::of(rating_w * share), at, &mut watch);
        }
        for look in looks {
            bus.advance(look, &mut watch);
        }
        let (Counter(segments), ledger) = watch;
        let most = MAX_SEGMENTS_PER_SECOND * RUN.as_nanos() / LOOK.as_nanos();
        prop_assert!(segments <= most, "{segments} segments in {RUN}");
        prop_assert_eq!(ledger.check(&bus), Ok(()));
    }
}

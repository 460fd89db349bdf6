//! Any batteries, gensets and sources of power, and instants of a short run with them.

use proptest::prelude::*;
use r_ems_engine::units::{Ratio, WattHours, Watts, WattsPerSecond};
use r_ems_engine::{Span, Time};
use r_ems_sim::plant::*;
use r_ems_sim::sources::*;

/// Length of a run: twelve thousand steps, in which gensets start and stop and small batteries are emptied.
pub(crate) const RUN: Span = Span::from_secs(12);

pub(crate) fn instant() -> impl Strategy<Value = Time> {
    prop_oneof![
        (0..RUN.as_nanos()).prop_map(Time::from_nanos),
        (0..RUN.as_nanos() / 1_000_000).prop_map(|millis| Time::ZERO + Span::from_millis(millis)),
    ]
}

pub(crate) fn source() -> impl Strategy<Value = Source> {
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

pub(crate) fn battery() -> impl Strategy<Value = BatterySpec> {
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

pub(crate) fn genset() -> impl Strategy<Value = GensetSpec> {
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

/// Every value that does not add energies up segment by segment, component by component.
pub(crate) fn values(bus: &Bus) -> Vec<u64> {
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
    crate::looks::values(bus, &quantities).into_iter().map(|(_quantity, value)| value.to_bits()).collect()
}

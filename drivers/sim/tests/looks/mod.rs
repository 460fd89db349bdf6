//! Runs of a plant with any actions at any instants, looked at as often as one likes.

use proptest::prelude::*;
use r_ems_engine::Time;
use r_ems_sim::plant::*;

/// A run with its actions, looked at at `looks` as well.
pub(crate) fn run<A, W: Watch>(
    mut bus: Bus,
    (actions, act): (&[(Time, A)], impl Fn(&mut Bus, Time, &A, &mut W)),
    looks: &[Time],
    end: Time,
    watch: &mut W,
) -> Bus {
    let mut looks = looks.iter().peekable();
    for (at, action) in actions {
        while let Some(look) = looks.next_if(|look| *look <= at) {
            bus.advance(*look, watch);
        }
        act(&mut bus, *at, action, watch);
    }
    for look in looks {
        bus.advance(*look, watch);
    }
    bus.advance(end, watch);
    bus
}

/// Fewer than `most` actions in the order of their instants.
pub(crate) fn actions<A: core::fmt::Debug>(
    instant: impl Strategy<Value = Time>,
    action: impl Strategy<Value = A>,
    most: usize,
) -> impl Strategy<Value = Vec<(Time, A)>> {
    prop::collection::vec((instant, action), 0..most).prop_map(|mut actions| {
        actions.sort_by_key(|(at, _)| *at);
        actions
    })
}

/// Instants at which a run is looked at, in order.
pub(crate) fn looks(instant: impl Strategy<Value = Time>) -> impl Strategy<Value = Vec<Time>> {
    prop::collection::vec(instant, 0..60).prop_map(|mut looks| {
        looks.sort();
        looks
    })
}

/// Those values of every component that there are.
pub(crate) fn values(bus: &Bus, quantities: &[Quantity]) -> Vec<(Quantity, f64)> {
    let mut values = Vec::new();
    for index in 0..bus.components().len() as u16 {
        for quantity in quantities {
            if let Some(point) = bus.truth(ComponentIndex(index), *quantity) {
                values.push((*quantity, bus.value(point)));
            }
        }
    }
    values
}

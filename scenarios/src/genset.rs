//! The genset of a plant: its fields, and how it begins by `initial`.

use r_ems_engine::Span;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Ratio, Watts};
use r_ems_sim::plant::{Component, Genset, GensetSpec, GovernorSpec, InitialGenset, InitialMode, SpecError};

use crate::initial::Initial;
use crate::mistake::Notes;
use crate::network::read_chance;
use crate::node::{Fields, Node};
use crate::refused;

/// Reads the fields of `Genset(…)`; none if its rating is missing, which was noted, or if something in its governor is wrong.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    rating: Option<Watts>,
    initial: Option<&mut Initial<'_>>,
    stream: Stream,
    notes: &mut Notes,
) -> Option<Result<Component, SpecError>> {
    let mut spec = GensetSpec::new(rating.unwrap_or(Watts::of(100e3)));
    spec.initial = begins(initial, notes);
    spec.set_point = fields.leaf_or("set_point", spec.set_point, notes);
    spec.ramp = fields.leaf_or("ramp", spec.ramp, notes);
    spec.damping = fields.leaf_or("damping", spec.damping, notes);
    spec.droop = fields.leaf_or("droop", spec.droop, notes);
    spec.voltage_droop = fields.leaf_or("voltage_droop", spec.voltage_droop, notes);
    spec.attempts = count(fields, "attempts", spec.attempts, notes);
    spec.fails_first = count(fields, "fails_first", spec.fails_first, notes);
    if let Some(chance) = fields.optional("fails").and_then(|node| read_chance(&node, notes)) {
        spec.fails = (chance.numerator, chance.denominator);
    }
    spec.overload = share(fields, "overload", spec.overload, notes);
    spec.reverse = share(fields, "reverse", spec.reverse, notes);
    spec.idle_l_per_h = fields.leaf_or("idle_l_per_h", spec.idle_l_per_h, notes);
    spec.l_per_kwh = fields.leaf_or("l_per_kwh", spec.l_per_kwh, notes);
    let mut span = |name, usual: &mut Span| *usual = fields.leaf_or(name, *usual, notes);
    span("inertia", &mut spec.inertia);
    span("crank", &mut spec.crank);
    span("warm_up", &mut spec.warm_up);
    span("synchronizing", &mut spec.synchronizing);
    span("cool_down", &mut spec.cool_down);
    span("overload_time", &mut spec.overload_time);
    span("reverse_time", &mut spec.reverse_time);
    if let Some(node) = fields.optional("governor") {
        spec.governor = governor(&node, notes)?;
    }
    rating?;
    Some(Genset::new(spec, stream).map(Component::Genset))
}

/// How it stands at the run's beginning.
fn begins(initial: Option<&mut Initial<'_>>, notes: &mut Notes) -> InitialGenset {
    match initial.and_then(|begin| Some((begin.mode?, begin))) {
        None | Some((InitialMode::Off, _)) => InitialGenset::Off,
        Some((InitialMode::Running, _)) => InitialGenset::Running,
        Some((InitialMode::Starting | InitialMode::Ready, begin)) => {
            begin.key().error(notes, "a Genset begins Off or Running");
            InitialGenset::Off
        }
    }
}

/// Reads `governor: (gain: 15.0, dead_time: "20 ms")`; none if a number in it is not allowed.
fn governor(node: &Node<'_>, notes: &mut Notes) -> Option<GovernorSpec> {
    let mut fields = node.fields(notes)?;
    let mut spec = GovernorSpec::default();
    let mut number = |name, usual: &mut f64| *usual = fields.leaf_or(name, *usual, notes);
    number("gain", &mut spec.gain);
    number("throttle_min", &mut spec.throttle.0);
    number("throttle_max", &mut spec.throttle.1);
    let times = [
        ("t1", &mut spec.t1_s),
        ("t2", &mut spec.t2_s),
        ("t3", &mut spec.t3_s),
        ("t4", &mut spec.t4_s),
        ("t5", &mut spec.t5_s),
        ("t6", &mut spec.t6_s),
    ];
    for (name, time_s) in times {
        if let Some(span) = fields.leaf_if_given::<Span>(name, notes) {
            *time_s = span.as_secs_f64();
        }
    }
    spec.dead_time = fields.leaf_or("dead_time", spec.dead_time, notes);
    let checked = spec.checked();
    if let Err(error) = &checked {
        refused::show(&fields, error, None, notes);
    }
    fields.finish(notes);
    checked.ok()
}

fn count(fields: &mut Fields<'_>, name: &'static str, usual: u32, notes: &mut Notes) -> u32 {
    let found: Option<u64> = fields.leaf_if_given(name, notes);
    found.map_or(usual, |found| u32::try_from(found).unwrap_or(u32::MAX))
}

fn share(fields: &mut Fields<'_>, name: &'static str, usual: f64, notes: &mut Notes) -> f64 {
    fields.leaf_if_given::<Ratio>(name, notes).map_or(usual, Ratio::ratio)
}

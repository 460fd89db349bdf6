//! Small buses that can be islands.

#![allow(dead_code, reason = "each test program uses its part of it")]

use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};
use r_ems_sim::plant::*;
use r_ems_sim::sources::Source;

pub(crate) fn ms(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

pub(crate) fn s(seconds: u64) -> Time {
    Time::ZERO + Span::from_secs(seconds)
}

pub(crate) fn kw(kilowatts: f64) -> Watts {
    Watts::of(kilowatts * 1e3)
}

/// A load of this power, as something on a bus.
pub(crate) fn load(kilowatts: f64) -> Component {
    Component::Load(plain_load(kilowatts))
}

pub(crate) fn plain_load(kilowatts: f64) -> Load {
    // Without reactive power the voltage is the nominal one.
    Load::new(Source::constant(kilowatts * 1e3).expect("finite"))
        .with_power_factor(Ratio::ONE)
        .expect("1 is allowed")
}

pub(crate) fn connection() -> Component {
    Component::Connection(Connection::new(kw(400.0)).expect("a valid connection"))
}

/// 200 kWh and `kilowatts` that can form an island.
pub(crate) fn former(kilowatts: f64) -> BatterySpec {
    let spec = BatterySpec::new(WattHours::of(200e3), kw(kilowatts), Ratio::of(0.5));
    BatterySpec { forms: Some(Forming::default()), ..spec }
}

pub(crate) fn battery(spec: BatterySpec) -> Component {
    Component::Battery(Battery::new(spec).expect("a valid battery"))
}

pub(crate) fn running(kilowatts: f64, set_point: f64) -> GensetSpec {
    let set_point = kw(set_point);
    GensetSpec { set_point, initial: InitialGenset::Running, ..GensetSpec::new(kw(kilowatts)) }
}

pub(crate) fn genset(spec: GensetSpec) -> Component {
    Component::Genset(Genset::new(spec, Stream::new(7, 1)).expect("a valid genset"))
}

/// A bus whose last component is its connection.
pub(crate) fn bus(mut others: Vec<Component>) -> Bus {
    others.push(connection());
    Bus::new(others).expect("one connection")
}

/// The same bus, which is an island from the start on.
pub(crate) fn island(others: Vec<Component>) -> Bus {
    let mut bus = bus(others);
    bus.breaker(Position::Open, Time::ZERO, &mut ());
    bus
}

pub(crate) fn read(bus: &Bus, component: u16, quantity: Quantity) -> f64 {
    bus.value(bus.truth(ComponentIndex(component), quantity).expect("the component has this value"))
}

pub(crate) fn hz(bus: &Bus) -> f64 {
    read(bus, bus.connection_index().0, Quantity::Frequency)
}

/// What opens or closes the breaker of a load.
pub(crate) fn switch(bus: &mut Bus, load: u16, position: Position, at: Time) {
    bus.load_breaker(ComponentIndex(load), position, at, &mut ());
}

/// A closed tie to another section.
pub(crate) fn tie(to: u8) -> Component {
    Component::Tie(BusTie::new(SectionIndex(to)))
}

/// A bus of components with their sections, whose last component is its connection.
pub(crate) fn sectioned(others: Vec<(u8, Component)>) -> Bus {
    let mut all = others;
    all.push((0, connection()));
    let (sections, components): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    Bus::with_sections(components, sections.into_iter().map(SectionIndex).collect()).expect("valid sections")
}

/// What opens or closes a tie.
pub(crate) fn move_tie(bus: &mut Bus, tie: u16, position: Position, at: Time, watch: &mut impl Watch) {
    bus.tie_breaker(ComponentIndex(tie), position, at, watch);
}

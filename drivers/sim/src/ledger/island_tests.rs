//! The books of an island, right and tampered with.

use alloc::vec;

use r_ems_engine::Span;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Ratio, WattHours, Watts};

use super::*;
use crate::plant::{BatterySpec, BusMode, Forming, Genset, GensetFlow, GensetSpec, InitialGenset};
use crate::sources::{Blocks, Source};

const BATTERY: ComponentIndex = ComponentIndex(0);
const GENSET: ComponentIndex = ComponentIndex(1);

/// Ten seconds of an island with a battery, a genset and a load of 20 and 50 kW; `mistake` is made in what the ledger sees.
fn island(mistake: impl Fn(&mut Bus)) -> Result<(), Imbalance> {
    let forms = Some(Forming::default());
    let battery =
        BatterySpec { forms, ..BatterySpec::new(WattHours::of(50e3), Watts::of(50e3), Ratio::of(0.5)) };
    let (set_point, initial) = (Watts::of(20e3), InitialGenset::Running);
    let genset = GensetSpec { set_point, initial, ..GensetSpec::new(Watts::of(60e3)) };
    let steps = Blocks::new(30e3, Span::from_secs(1), Span::from_secs(2), Time::ZERO).expect("valid blocks");
    let base = Source::constant(20e3).expect("a finite constant");
    let mut bus = Bus::new(vec![
        Component::Battery(Battery::new(battery).expect("a valid battery")),
        Component::Genset(Genset::new(genset, Stream::new(1, 1)).expect("a valid genset")),
        Component::Load(Load::new(base)),
        Component::Load(Load::new(Source::Blocks(steps))),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
    ])
    .expect("one connection");
    bus.breaker(Position::Open, Time::ZERO, &mut ());
    let mut ledger = Ledger::new(&bus);
    bus.advance(Time::ZERO + Span::from_secs(10), &mut Seen { ledger: &mut ledger, mistake });
    assert_eq!(bus.mode(), BusMode::Island);
    ledger.check(&bus)
}

/// A ledger that sees another bus than there is.
pub(super) struct Seen<'a, F> {
    pub(super) ledger: &'a mut Ledger,
    pub(super) mistake: F,
}

impl<F: Fn(&mut Bus)> Watch for Seen<'_, F> {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let mut told = bus.clone();
        (self.mistake)(&mut told);
        self.ledger.segment(&told, from, to);
    }
}

fn genset(change: impl Fn(&mut GensetFlow)) -> Option<Balance> {
    let result = island(|bus| {
        let Component::Genset(genset) = bus.tamper(GENSET) else { panic!("it is the genset") };
        change(genset.tamper());
    });
    result.err().map(|found| found.what)
}

#[test]
fn an_island_without_a_mistake_is_right() {
    assert_eq!(island(|_| {}), Ok(()));
}

#[test]
fn a_mass_that_takes_up_something_else_is_found() {
    // A kilowatt too much for a millisecond is 0.3 mWh.
    let found = genset(|flow| {
        (flow.shaft_start_w, flow.shaft_end_w) = (flow.shaft_start_w + 1e3, flow.shaft_end_w + 1e3)
    });
    assert_eq!(found, Some(Balance::Mass(GENSET)));
    assert_eq!(genset(|flow| flow.speeds.1 += 1e-5), Some(Balance::Mass(GENSET)));
}

#[test]
fn power_that_nobody_takes_is_found_within_a_step() {
    assert_eq!(
        genset(|flow| (flow.start_w, flow.end_w) = (flow.start_w + 1.0, flow.end_w + 1.0)),
        Some(Balance::Power)
    );
    assert_eq!(genset(|flow| flow.generated_wh += 1e-3), Some(Balance::Stated(GENSET)));
    let result = island(|bus| {
        let Component::Battery(battery) = bus.tamper(BATTERY) else { panic!("it is the battery") };
        battery.tamper().0.conversion_wh += 1e-3;
    });
    assert_eq!(result.err().map(|found| found.what), Some(Balance::Stated(BATTERY)));
}

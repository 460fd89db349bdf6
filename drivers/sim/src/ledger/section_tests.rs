//! The books of a bus with sections, right and tampered with.

use alloc::vec;

use r_ems_engine::Span;
use r_ems_engine::units::{Ratio, WattHours, Watts};

use super::island_tests::Seen;
use super::*;
use crate::plant::{BatterySpec, BusTie, Forming, SectionIndex};
use crate::sources::Source;

const TIE: ComponentIndex = ComponentIndex(0);
const NEAR: ComponentIndex = ComponentIndex(1);
const FAR: ComponentIndex = ComponentIndex(2);
const BATTERY: ComponentIndex = ComponentIndex(3);
const STARBOARD: SectionIndex = SectionIndex(1);

/// Ten seconds of a grid with a load on each side, and with a battery that forms on the other; `mistake` is made in what the
/// ledger sees.
fn seen(tie: Position, mistake: impl Fn(&mut Bus)) -> Option<Balance> {
    let load = |power_w| Component::Load(Load::new(Source::constant(power_w).expect("a finite constant")));
    let forms = Some(Forming::default());
    let battery =
        BatterySpec { forms, ..BatterySpec::new(WattHours::of(50e3), Watts::of(50e3), Ratio::of(0.5)) };
    let components = vec![
        Component::Tie(BusTie::new(SectionIndex::MAIN)),
        load(10e3),
        load(20e3),
        Component::Battery(Battery::new(battery).expect("a valid battery")),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
    ];
    let stands = vec![STARBOARD, SectionIndex::MAIN, STARBOARD, STARBOARD, SectionIndex::MAIN];
    let mut bus = Bus::with_sections(components, stands).expect("valid sections");
    bus.tie_breaker(TIE, tie, Time::ZERO, &mut ());
    // Its power has a course of its own while it follows a set-point.
    bus.command(BATTERY, Watts::of(5e3), Time::ZERO, &mut ());
    let mut ledger = Ledger::new(&bus);
    bus.advance(Time::ZERO + Span::from_secs(10), &mut Seen { ledger: &mut ledger, mistake });
    ledger.check(&bus).err().map(|found| found.what)
}

fn tie(bus: &mut Bus, more_w: f64) {
    let Component::Tie(tie) = bus.tamper(TIE) else { panic!("it is the tie") };
    let flow = tie.tamper();
    (flow.start_w, flow.end_w) = (flow.start_w + more_w, flow.end_w + more_w);
}

/// A load that takes more, and says so.
fn load(bus: &mut Bus, load: ComponentIndex, more_w: f64) {
    let span_h = bus.exchange().span_s / 3_600.0;
    let Component::Load(load) = bus.tamper(load) else { panic!("it is a load") };
    let flow = load.tamper();
    (flow.start_w, flow.end_w) = (flow.start_w - more_w, flow.end_w - more_w);
    (flow.demand_start_w, flow.demand_end_w) = (flow.demand_start_w + more_w, flow.demand_end_w + more_w);
    flow.served_wh += more_w * span_h;
}

#[test]
fn sections_without_a_mistake_are_right() {
    assert_eq!(seen(Position::Closed, |_| {}), None);
    assert_eq!(seen(Position::Open, |_| {}), None);
}

#[test]
fn a_tie_that_carries_something_else_is_found() {
    for position in [Position::Closed, Position::Open] {
        assert_eq!(seen(position, |bus| tie(bus, 1.0)), Some(Balance::Tie(TIE)), "{position:?}");
    }
}

#[test]
fn power_that_crosses_an_open_tie_is_found_though_the_bus_as_a_whole_balances() {
    let moved = |bus: &mut Bus| {
        load(bus, FAR, 1.0);
        load(bus, NEAR, -1.0);
        if let Component::Connection(connection) = bus.tamper(ComponentIndex(4)) {
            // What the near side takes less is not drawn.
            let flow = connection.tamper();
            (flow.start_w, flow.end_w) = (flow.start_w - 1.0, flow.end_w - 1.0);
        }
    };
    // In a step of a millisecond that is less energy than the books can see: the powers tell.
    assert_eq!(seen(Position::Open, moved), Some(Balance::Section(STARBOARD)));
}

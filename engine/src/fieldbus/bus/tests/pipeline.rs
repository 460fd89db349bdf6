//! Devices on connections that bear several requests at once.

use super::*;
use crate::fieldbus::map::{MappedBit, Otherwise};
use crate::fieldbus::pdu::Bits;

/// The same bus, closed, on connections that bear so many requests at once.
pub(super) fn bearing(bus: &Bus, at_once: u8) -> Bus {
    let mut spec = bus.spec.clone();
    spec.connections.iter_mut().for_each(|connection| connection.pipelining = at_once);
    Bus::new(&spec)
}

/// Takes one of the frames that were sent on a connection.
pub(super) fn take(asked: &mut [Vec<Vec<u8>>; 2], connection: u16, which: usize) -> Option<Vec<u8>> {
    let asked = &mut asked[usize::from(connection)];
    (!asked.is_empty()).then(|| asked.remove(which % asked.len()))
}

/// The transaction of a frame.
pub(super) fn transaction(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[0], frame[1]])
}

/// What may still wait on the way to the battery, until when and under which transaction, once this frame has been answered.
pub(super) fn arrives(
    in_transit: Option<(LocalTime, u16)>,
    connection: u16,
    frame: &[u8],
) -> Option<(LocalTime, u16)> {
    in_transit.filter(|(_, last)| connection != GATEWAY.0 || transaction(frame) < *last)
}

fn poll(device: DeviceIndex, due: u64) -> Effect {
    Effect::Poll { device, due: at(due) }
}

/// The unit and the function of each frame that was sent.
fn asked(out: &Effects) -> Vec<(u8, u8)> {
    sent(out).iter().map(|(_, frame, _)| (frame[HEADER_BYTES - 1], frame[HEADER_BYTES])).collect()
}

#[test]
fn all_units_behind_a_gateway_are_read_at_once_and_a_set_point_waits_for_that_and_keeps_its_order() {
    let mut bus = opened(bearing(&bus(), 4));
    let reads = ask(&mut bus, 10, &[METER, BATTERY].map(|device| poll(device, 10)));
    assert_eq!(asked(&reads), [(1, 3), (2, 3)]);
    assert_eq!(asked(&ask(&mut bus, 11, &[write(BATTERY, 5.0, 3, 500)])), [], "reads are under way");
    let (meter, battery) = (&sent(&reads)[0].1, &sent(&reads)[1].1);
    let mut out = Effects::new();
    bus.received(at(20), GATEWAY, &answer(battery, 2), &mut out);
    assert!(matches!(told(&mut bus)[..], [Told::Points { device: BATTERY, .. }]));
    assert_eq!(asked(&out), [], "one is under way still");
    bus.received(at(21), GATEWAY, &answer(meter, 1), &mut out);
    assert!(matches!(told(&mut bus)[..], [Told::Points { device: METER, .. }]));
    for function in [16, 6] {
        assert_eq!(asked(&out), [(2, function)]);
        assert_eq!(asked(&ask(&mut bus, 22, &[poll(METER, 22)])), [], "a write is under way");
        let frame = sent(&out)[0].1.clone();
        out = Effects::new();
        bus.received(at(30), GATEWAY, &answer(&frame, 0), &mut out);
    }
    assert_eq!(told(&mut bus), [Told::Written { device: BATTERY, outcome: WriteOutcome::Acknowledged }]);
    assert_eq!(asked(&out), [(1, 3)], "it waited for its turn");
}

#[test]
fn a_set_point_that_expires_while_it_waits_for_reads_does_not_leave() {
    let mut bus = opened(bearing(&bus(), 4));
    let reads = ask(&mut bus, 10, &[METER, BATTERY].map(|device| poll(device, 10)));
    ask(&mut bus, 11, &[write(BATTERY, 5.0, 3, 30)]);
    let mut out = Effects::new();
    for (_, frame, _) in sent(&reads) {
        bus.received(at(31), GATEWAY, &answer(&frame, 1), &mut out);
    }
    assert_eq!(asked(&out), []);
    let expired = Told::Written { device: BATTERY, outcome: WriteOutcome::Expired };
    assert!(told(&mut bus).contains(&expired));
}

#[test]
fn registers_are_read_when_the_bits_have_been_on_which_they_depend() {
    let contactor = MappedBit {
        point: PointIndex(0),
        table: Table::DiscreteInputs,
        address: 7,
        is: true,
        otherwise: Otherwise::Unknown,
    };
    let with_bits = Mapping { bits: vec![contactor], ..said(METER, GATEWAY, 0) };
    let with_bits = DeviceMap::new(with_bits).expect("it fits");
    let mut bus = bearing(&bus_of([with_bits, map(BATTERY, GATEWAY, 1), map(ALONE, LINE, 0)]), 4);
    ask(&mut bus, 10, &[METER, BATTERY].map(|device| poll(device, 10)));
    let mut out = Effects::new();
    bus.link_changed(at(11), GATEWAY, true, &mut out);
    assert_eq!(asked(&out), [(1, 2)], "alone");
    let bits = reply(&sent(&out)[0].1, |request, pdu| {
        put_answer(pdu, request, &Answer::Bits(Bits::new(&[1], 1).expect("one bit")));
    });
    let mut out = Effects::new();
    bus.received(at(20), GATEWAY, &bits, &mut out);
    assert_eq!(asked(&out), [(1, 3), (2, 3)]);
    bus.received(at(30), GATEWAY, &answer(&sent(&out)[0].1, 9), &mut Effects::new());
    let Some(Told::Points { device: METER, samples }) = bus.next_told() else { panic!("it is known") };
    let nine = Sample { point: PointIndex(0), validity: Validity::Valid, value: 9.0 };
    assert_eq!(bus.samples(samples), [nine]);
}

#[test]
fn polls_begin_as_much_earlier_as_reads_take_that_are_under_way_together() {
    // Two reads of 10 ms behind the gateway and one on the line: (20 + 3 * 10) / 4 ms at the most, and as much in reserve.
    for (at_once, begins) in [(1, 960_000), (2, 970_000), (4, 975_000)] {
        let mut bus = opened(bearing(&bus(), at_once));
        ask(&mut bus, 10, &[poll(METER, 1_000)]);
        assert_eq!(bus.deadline(), Some(LocalTime::from_nanos(begins * 1_000)), "{at_once}");
    }
}

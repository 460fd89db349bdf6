//! Set-points that are read back, in every way in which a request can be written, and new connections.

use super::*;
use crate::fieldbus::map::{Guard, Otherwise};

const DONE: Told = Told::Written { device: ALONE, outcome: WriteOutcome::Acknowledged };
const NOT_HELD: Told = Told::Written { device: ALONE, outcome: WriteOutcome::NotHeld };
const REFUSED: Told = Told::Written { device: ALONE, outcome: WriteOutcome::Refused };

/// A device alone on its connection that takes a set-point with one request, which is read back, and then an enabling bit.
pub(super) fn careful(function: WriteFunction) -> Bus {
    let set_point = WriteRequest {
        address: 200,
        function,
        is_read_back: function != WriteFunction::Exchange,
        fields: vec![field(FieldContent::SetPoint, NumberType::U16)],
    };
    let enable = WriteRequest {
        address: 210,
        function: WriteFunction::Mask,
        is_read_back: true,
        fields: vec![field(FieldContent::Constant(1.0), NumberType::Bits { first: 3, count: 1 })],
    };
    let alone = Mapping { writes: vec![set_point, enable], ..said(ALONE, LINE, 0) };
    let alone = DeviceMap::new(alone).expect("it fits");
    opened(bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), alone]))
}

/// The data unit of the only frame that was sent, the whole of it, and whether it carries a write.
fn only(out: &Effects) -> (Vec<u8>, Vec<u8>, bool) {
    let [(LINE, frame, write)] = &sent(out)[..] else { panic!("one frame is sent") };
    (frame[HEADER_BYTES..].to_vec(), frame.clone(), write.is_some())
}

/// Answers a frame; returns what follows.
fn replied(bus: &mut Bus, millis: u64, bytes: &[u8]) -> Effects {
    let mut out = Effects::new();
    bus.received(at(millis), LINE, bytes, &mut out);
    out
}

#[test]
fn a_set_point_goes_on_when_the_device_holds_what_was_written() {
    let mut bus = careful(WriteFunction::Register);
    let (pdu, frame, is_write) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]));
    assert_eq!((&pdu[..], is_write), (&[6, 0, 200, 1, 44][..], true));
    let (pdu, frame, is_write) = only(&replied(&mut bus, 20, &answer(&frame, 0)));
    assert_eq!((&pdu[..], is_write), (&[3, 0, 200, 0, 1][..], false), "it is read back");
    let (pdu, frame, is_write) = only(&replied(&mut bus, 30, &answer(&frame, 300)));
    assert_eq!((&pdu[..], is_write), (&[22, 0, 210, 0xff, 0xf7, 0, 8][..], true), "the others are kept");
    let (pdu, frame, _) = only(&replied(&mut bus, 40, &answer(&frame, 0)));
    assert_eq!(pdu, [3, 0, 210, 0, 1]);
    assert_eq!(told(&mut bus), []);
    // What else stands in that register is nobody's business.
    let out = replied(&mut bus, 50, &answer(&frame, 0b1010));
    assert_eq!((sent(&out), told(&mut bus)), (vec![], vec![DONE]));
}

#[test]
fn what_a_device_acknowledges_and_does_not_hold_has_failed_and_nothing_more_is_written() {
    for held in [299, 0] {
        let mut bus = careful(WriteFunction::Registers);
        let (_, frame, _) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]));
        let (_, frame, _) = only(&replied(&mut bus, 20, &answer(&frame, 0)));
        let out = replied(&mut bus, 30, &answer(&frame, held));
        assert_eq!((sent(&out), told(&mut bus)), (vec![], vec![NOT_HELD]), "{held}");
    }
    let mut bus = careful(WriteFunction::Registers);
    let (_, frame, _) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]));
    let (_, frame, _) = only(&replied(&mut bus, 20, &answer(&frame, 0)));
    let out = replied(&mut bus, 30, &refusal(&frame, Exception::ILLEGAL_ADDRESS));
    assert_eq!((sent(&out), told(&mut bus)), (vec![], vec![REFUSED]), "it cannot be read");
}

#[test]
fn one_request_may_write_and_read_back() {
    for (held, is_right) in [(300, true), (301, false)] {
        let mut bus = careful(WriteFunction::Exchange);
        let (pdu, frame, is_write) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]));
        assert_eq!(pdu, [23, 0, 200, 0, 1, 0, 200, 0, 1, 2, 1, 44]);
        assert!(is_write);
        let out = replied(&mut bus, 20, &exchanged(&frame, held));
        assert_eq!(sent(&out).len(), usize::from(is_right));
        assert_eq!(told(&mut bus), if is_right { vec![] } else { vec![NOT_HELD] });
    }
}

pub(super) fn exchanged(frame: &[u8], held: u16) -> Vec<u8> {
    reply(frame, |request, pdu| {
        let bytes = held.to_be_bytes();
        let registers = Registers::new(&bytes).expect("one register");
        put_answer(pdu, request, &Answer::Registers(registers));
    })
}

#[test]
fn what_is_not_read_back_in_time_may_have_been_applied() {
    let mut bus = careful(WriteFunction::Register);
    let (_, frame, _) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]));
    let _reads = replied(&mut bus, 20, &answer(&frame, 0));
    for millis in [120, 220] {
        bus.wake(at(millis), &mut Effects::new());
    }
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::TimedOut }]);
}

#[test]
fn a_set_point_that_expires_while_it_is_read_back_goes_no_further() {
    let mut bus = careful(WriteFunction::Register);
    let (_, frame, _) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 25)]));
    let (_, frame, _) = only(&replied(&mut bus, 20, &answer(&frame, 0)));
    let out = replied(&mut bus, 30, &answer(&frame, 300));
    assert_eq!(sent(&out), []);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Incomplete }]);
}

#[test]
fn it_is_told_that_a_connection_is_another_and_not_that_it_is_the_first() {
    let mut bus = bus();
    let reconnected = |bus: &mut Bus| {
        let told = told(bus).into_iter();
        told.filter_map(|told| if let Told::Reconnected { device } = told { Some(device.0) } else { None })
            .collect::<Vec<u16>>()
    };
    let connect = |bus: &mut Bus, millis: u64| {
        let _asks = ask(bus, millis, &[Effect::Poll { device: METER, due: at(millis) }]);
        bus.link_changed(at(millis + 1), GATEWAY, true, &mut Effects::new());
    };
    connect(&mut bus, 0);
    assert_eq!(reconnected(&mut bus), []);
    // Nobody asked for this one.
    bus.link_changed(at(2), GATEWAY, true, &mut Effects::new());
    assert_eq!(reconnected(&mut bus), []);
    bus.link_changed(at(10), GATEWAY, false, &mut Effects::new());
    connect(&mut bus, 1_000);
    assert_eq!(reconnected(&mut bus), [METER.0, BATTERY.0]);
}

#[test]
fn what_a_device_says_itself_is_in_force_no_new_connection_puts_in_doubt() {
    let mut alone = said(ALONE, LINE, 0);
    let is = layout(NumberType::U16);
    alone.points[0].guard =
        Some(Guard { address: 102, layout: is, is: 1.0, otherwise: Otherwise::Value(0.0) });
    let alone = DeviceMap::new(alone).expect("it fits");
    let mut bus = opened(bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), alone]));
    for connection in [GATEWAY, LINE] {
        bus.link_changed(at(10), connection, false, &mut Effects::new());
    }
    for (device, connection) in [(METER, GATEWAY), (ALONE, LINE)] {
        let _asks = ask(&mut bus, 1_000, &[Effect::Poll { device, due: at(1_000) }]);
        bus.link_changed(at(1_001), connection, true, &mut Effects::new());
    }
    let reconnected = |device| Told::Reconnected { device };
    assert_eq!(told(&mut bus), [METER, BATTERY].map(reconnected), "the other is asked what is in force");
}

#[test]
fn a_set_point_that_has_not_left_is_replaced() {
    let mut bus = bus();
    for value in [1.0, 2.0, 3.0] {
        let _waits = ask(&mut bus, 10, &[write(ALONE, value, 3, 500)]);
    }
    let mut out = Effects::new();
    bus.link_changed(at(20), LINE, true, &mut out);
    for _request in 0..2 {
        let [(LINE, frame, Some(carried))] = &sent(&out)[..] else { panic!("one is written") };
        assert_eq!(carried.value, 3.0);
        let frame = frame.clone();
        out = Effects::new();
        bus.received(at(30), LINE, &answer(&frame, 0), &mut out);
    }
    let done = Told::Written { device: ALONE, outcome: WriteOutcome::Acknowledged };
    assert_eq!((sent(&out), told(&mut bus)), (vec![], vec![done, done, done]));
}

#[test]
fn a_value_that_has_no_room_is_refused_and_nothing_is_sent() {
    let mut bus = open();
    let out = ask(&mut bus, 10, &[write(ALONE, 1e12, 3, 500)]);
    assert_eq!((sent(&out), told(&mut bus).len()), (vec![], 1));
}

/// Two batteries behind one gateway.
fn two_behind_a_gateway() -> Bus {
    let said_to = |device, unit| {
        let writes = said(BATTERY, GATEWAY, 1).writes;
        DeviceMap::new(Mapping { writes, ..said(device, GATEWAY, unit) }).expect("it fits")
    };
    opened(bus_of([said_to(METER, 0), said_to(BATTERY, 1), map(ALONE, LINE, 0)]))
}

/// Answers the only frame that was sent; returns what is sent then, and by which unit its number.
fn answered(bus: &mut Bus, millis: u64, out: &Effects) -> (Effects, Option<(u8, Vec<u8>)>) {
    let [(GATEWAY, frame, _)] = &sent(out)[..] else { panic!("one frame is sent") };
    let mut then = Effects::new();
    bus.received(at(millis), GATEWAY, &answer(frame, 0), &mut then);
    let next = sent(&then)
        .first()
        .map(|(_, frame, _)| (frame[HEADER_BYTES - 1], frame[HEADER_BYTES..HEADER_BYTES + 3].to_vec()));
    (then, next)
}

#[test]
fn nothing_comes_between_the_requests_of_a_set_point_and_the_next_one_waits_for_its_turn() {
    let mut bus = two_behind_a_gateway();
    let first = ask(&mut bus, 10, &[write(BATTERY, 1.0, 3, 500)]);
    let waits =
        [Effect::Poll { device: METER, due: at(12) }, write(METER, 5.0, 3, 500), write(BATTERY, 2.0, 3, 500)];
    assert!(sent(&ask(&mut bus, 12, &waits)).is_empty());
    let (value, enable) = (vec![16, 0, 200], vec![6, 0, 210]);
    let (out, next) = answered(&mut bus, 20, &first);
    assert_eq!(
        next,
        Some((2, enable.clone())),
        "the battery's second request, before the other unit's first"
    );
    let (out, next) = answered(&mut bus, 30, &out);
    assert_eq!(next, Some((1, value.clone())), "the other unit's, before the battery's next set-point");
    let (out, next) = answered(&mut bus, 40, &out);
    assert_eq!(next, Some((1, enable)));
    let (_, next) = answered(&mut bus, 50, &out);
    assert_eq!(next, Some((2, value)));
}

#[test]
fn a_device_is_read_before_the_second_of_two_set_points_in_a_row_and_no_other_is() {
    let mut bus = two_behind_a_gateway();
    let first = ask(&mut bus, 10, &[write(BATTERY, 1.0, 3, 500)]);
    let polls = [METER, BATTERY].map(|device| Effect::Poll { device, due: at(12) });
    let waits = [polls[0], polls[1], write(BATTERY, 2.0, 3, 500)];
    assert!(sent(&ask(&mut bus, 12, &waits)).is_empty());
    let (out, _enable) = answered(&mut bus, 20, &first);
    let (mut out, mut next) = answered(&mut bus, 30, &out);
    let mut asked = Vec::new();
    while let Some((unit, pdu)) = next {
        asked.push((unit, pdu[0]));
        (out, next) = answered(&mut bus, 40, &out);
    }
    let reads = |unit: u8| vec![(unit, 3); map(METER, GATEWAY, 0).reads().len()];
    assert_eq!(asked, [reads(2), vec![(2, 16), (2, 6)], reads(1)].concat());
}

#[test]
fn it_is_told_of_each_request_that_leaves_whether_it_wears_registers_once_more() {
    let how = |bus: &mut Bus| {
        let told = core::iter::from_fn(|| bus.next_told());
        let how = told.filter_map(|told| if let Told::Left { how, .. } = told { Some(how) } else { None });
        how.collect::<Vec<Leaving>>()
    };
    let mut bus = open();
    let first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 5_000)]);
    assert_eq!(how(&mut bus), [Leaving::Begins]);
    let mut out = Effects::new();
    bus.wake(at(110), &mut out);
    assert_eq!(how(&mut bus), [Leaving::Repeats]);
    assert_eq!(sent(&first)[0].1[HEADER_BYTES..], sent(&out)[0].1[HEADER_BYTES..]);
    let out = replied(&mut bus, 120, &answer(&sent(&out)[0].1, 0));
    assert_eq!(how(&mut bus), [Leaving::GoesOn]);
    let _done = replied(&mut bus, 130, &answer(&sent(&out)[0].1, 0));
    // What never leaves is told of by nobody.
    bus.link_changed(at(140), LINE, false, &mut Effects::new());
    let _waits = ask(&mut bus, 141, &[write(ALONE, 2.0, 3, 5_000)]);
    bus.link_changed(at(142), LINE, false, &mut Effects::new());
    let [
        Told::Written { outcome: WriteOutcome::Acknowledged, .. },
        Told::Written { outcome: WriteOutcome::TimedOut, .. },
    ] = core::iter::from_fn(|| bus.next_told()).collect::<Vec<Told>>()[..]
    else {
        panic!("nothing leaves")
    };
}

#[test]
fn what_the_driver_did_not_send_has_expired_unless_an_earlier_try_was_sent() {
    let not_sent = |bus: &mut Bus, millis| {
        bus.not_sent(at(millis), ALONE, (WriteKind::SetPoint, at(500)), &mut Effects::new());
    };
    let mut bus = open();
    let _first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500)]);
    not_sent(&mut bus, 20);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Expired }]);
    let _second = ask(&mut bus, 30, &[write(ALONE, 1.0, 3, 500)]);
    bus.wake(at(130), &mut Effects::new());
    not_sent(&mut bus, 140);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::TimedOut }]);
    bus.not_sent(at(140), DeviceIndex(7), (WriteKind::SetPoint, at(500)), &mut Effects::new());
    assert_eq!(told(&mut bus), [], "that is another's");
}

#[test]
fn it_is_told_which_request_of_a_set_point_was_to_leave_and_was_not_sent() {
    let not_sent = |bus: &mut Bus| {
        while bus.next_told().is_some() {}
        bus.not_sent(at(190), ALONE, (WriteKind::SetPoint, at(500)), &mut Effects::new());
        bus.next_told()
    };
    let told = |how| Some(Told::NotSent { device: ALONE, how });
    let mut bus = open();
    let _first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500)]);
    assert_eq!(not_sent(&mut bus), told(Leaving::Begins));
    let mut bus = open();
    let first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500)]);
    let _second = replied(&mut bus, 20, &answer(&sent(&first)[0].1, 0));
    assert_eq!(not_sent(&mut bus), told(Leaving::GoesOn));
    let mut bus = open();
    let _first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500)]);
    bus.wake(at(110), &mut Effects::new());
    assert_eq!(not_sent(&mut bus), told(Leaving::Repeats));
}

#[test]
fn what_was_not_sent_is_credited_to_no_other_write() {
    let mut bus = beats::beating();
    bus.beat(at(10), (3, at(5_000)), at(110), |_device| Care::Written, &mut Effects::new());
    // It is given up before its driver says that it was not sent, and a set-point is under way by then.
    for millis in [110, 210] {
        bus.wake(at(millis), &mut Effects::new());
    }
    let _connects = ask(&mut bus, 1_800, &[write(ALONE, 1.0, 3, 5_000)]);
    let mut out = Effects::new();
    bus.link_changed(at(1_801), LINE, true, &mut out);
    assert_eq!(sent(&out).len(), 1);
    while bus.next_told().is_some() {}
    let _extended = ask(&mut bus, 1_810, &[Effect::Authority { epoch: 3, until: at(6_000) }]);
    for (kind, valid_until) in [
        (WriteKind::Heartbeat, 310),
        (WriteKind::Heartbeat, 5_000),
        (WriteKind::SetPoint, 310),
        (WriteKind::SetPoint, 6_000),
    ] {
        bus.not_sent(at(1_820), ALONE, (kind, at(valid_until)), &mut Effects::new());
        assert_eq!(told(&mut bus), [], "{kind:?} {valid_until}");
    }
    bus.not_sent(at(1_830), ALONE, (WriteKind::SetPoint, at(5_000)), &mut Effects::new());
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Expired }]);
}

#[test]
fn a_device_that_refuses_an_epoch_is_asked_which_one_it_has_accepted() {
    for (accepted, outcome) in [(9, WriteOutcome::Outdated { accepted: 9 }), (3, WriteOutcome::Refused)] {
        let mut bus = open();
        let out = ask(&mut bus, 10, &[write(ALONE, 42.0, 3, 500)]);
        let refused = refusal(&sent(&out)[0].1, Exception::ILLEGAL_VALUE);
        let mut out = Effects::new();
        bus.received(at(20), LINE, &refused, &mut out);
        assert_eq!(told(&mut bus), []);
        let [(LINE, frame, None)] = &sent(&out)[..] else { panic!("it is asked") };
        assert_eq!(frame[HEADER_BYTES..], [3, 0, 200, 0, 4]);
        bus.received(at(30), LINE, &answer(frame, accepted), &mut Effects::new());
        assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome }]);
    }
}

#[test]
fn what_of_a_set_point_crosses_the_end_of_a_connection_leaves_on_the_next_while_it_is_valid() {
    for (again_at, is_valid) in [(25, true), (31, false)] {
        let mut bus = open();
        let (_, frame, _) = only(&ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 30)]));
        let (_, frame, _) = only(&replied(&mut bus, 20, &answer(&frame, 0)));
        let mut out = Effects::new();
        bus.link_changed(at(21), LINE, false, &mut out);
        assert_eq!((wishes(&out), sent(&out)), (vec![(LINE, LinkWish::Open)], vec![]));
        let mut out = Effects::new();
        bus.link_changed(at(again_at), LINE, true, &mut out);
        if is_valid {
            let (_, again, _) = only(&out);
            assert_eq!(again[HEADER_BYTES..], frame[HEADER_BYTES..], "the same request");
            let _none = replied(&mut bus, 26, &answer(&again, 0));
        } else {
            assert_eq!(sent(&out), []);
        }
        // Of one that was sent nobody knows what the device made of it.
        let outcome = if is_valid { WriteOutcome::Acknowledged } else { WriteOutcome::TimedOut };
        let written = Told::Written { device: ALONE, outcome };
        assert_eq!(told(&mut bus), [Told::Reconnected { device: ALONE }, written]);
    }
}

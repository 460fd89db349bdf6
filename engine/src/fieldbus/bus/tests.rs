//! A bus with two devices on one connection and one on another, and a peer that answers as it is told to.

mod beats;
mod bits;
mod finding;
mod identity;
mod pipeline;
mod recall;
mod writes;

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::fieldbus::frame::{Assembler, HEADER_BYTES};
use crate::fieldbus::framing::Framing;
use crate::fieldbus::map::{DeviceMap, MappedPoint, Mapping};
use crate::fieldbus::master::{ConnectionSpec, UnitSpec};
use crate::fieldbus::pdu::{Answer, Registers, Request, Table, put_answer, put_exception};
use crate::fieldbus::plan::ReadLimits;
use crate::fieldbus::refusal::Exception;
use crate::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use crate::fieldbus::sunspec::testing::{BATTERY as MODELS, Image};
use crate::fieldbus::write::{FieldContent, Heartbeat, WriteFunction, WriteRequest, WrittenField};
use crate::ids::PointIndex;
use crate::machine::{LinkWish, Validity, WriteKind};

const METER: DeviceIndex = DeviceIndex(0);
const BATTERY: DeviceIndex = DeviceIndex(1);
const ALONE: DeviceIndex = DeviceIndex(2);
const GATEWAY: ConnectionIndex = ConnectionIndex(0);
const LINE: ConnectionIndex = ConnectionIndex(1);

fn at(millis: u64) -> LocalTime {
    LocalTime::from_nanos(millis * 1_000_000)
}

fn layout(number: NumberType) -> Layout {
    Layout { number, order: WordOrder::HighFirst, scale: 1.0, offset: 0.0, unknown: Unknown::Never }
}

fn map(device: DeviceIndex, connection: ConnectionIndex, unit: u16) -> DeviceMap {
    DeviceMap::new(said(device, connection, unit)).expect("it fits")
}

fn field(content: FieldContent, number: NumberType) -> WrittenField {
    WrittenField { content, layout: layout(number), most: None }
}

fn said(device: DeviceIndex, connection: ConnectionIndex, unit: u16) -> Mapping {
    let point = MappedPoint {
        point: PointIndex(device.0),
        table: Table::HoldingRegisters,
        address: 100,
        layout: layout(NumberType::I32),
        factor: None,
        guard: None,
        model: None,
    };
    let writes = vec![
        WriteRequest {
            address: 200,
            function: WriteFunction::Registers,
            is_read_back: false,
            fields: vec![
                field(FieldContent::Epoch, NumberType::U64),
                field(FieldContent::SetPoint, NumberType::I32),
            ],
        },
        WriteRequest {
            address: 210,
            function: WriteFunction::Register,
            is_read_back: false,
            fields: vec![field(FieldContent::Constant(1.0), NumberType::U16)],
        },
    ];
    Mapping {
        device,
        connection,
        unit,
        latency: Span::from_millis(10),
        reversion: Span::from_secs(60),
        recalls: device != ALONE,
        limits: ReadLimits::default(),
        points: vec![point],
        bits: Vec::new(),
        identity: Vec::new(),
        writes: if device == METER { Vec::new() } else { writes },
        heartbeat: None,
        models: None,
    }
}

/// Behind the first connection a meter, unit 1, and a battery, unit 2; behind the second another battery, unit 1.
fn bus() -> Bus {
    bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), map(ALONE, LINE, 0)])
}

fn bus_of(devices: [DeviceMap; 3]) -> Bus {
    let unit = |unit: u8| UnitSpec {
        unit,
        timeout: Span::from_millis(100),
        retries: 1,
        back_off_first: Span::from_millis(500),
        back_off_max: Span::from_secs(1),
    };
    let connection = |units: Vec<UnitSpec>| ConnectionSpec {
        units,
        framing: Framing::Tcp,
        min_gap: Span::ZERO,
        connect_timeout: Span::from_millis(300),
        pipelining: 1,
    };
    Bus::new(&BusSpec {
        connections: vec![connection(vec![unit(1), unit(2)]), connection(vec![unit(1)])],
        devices: devices.to_vec(),
    })
}

/// A frame that was sent: its connection, its bytes, and the write that it carries.
type Sent = (ConnectionIndex, Vec<u8>, Option<SetPointWrite>);

fn sent(out: &Effects) -> Vec<Sent> {
    let frame = |effect: &Effect| {
        let Effect::Frame { connection, first, length, write, .. } = *effect else { return None };
        Some((connection, out.frames()[first as usize..][..length as usize].to_vec(), write))
    };
    out.as_slice().iter().filter_map(frame).collect()
}

fn wishes(out: &Effects) -> Vec<(ConnectionIndex, LinkWish)> {
    let wish = |effect: &Effect| {
        let Effect::Link { connection, wish } = *effect else { return None };
        Some((connection, wish))
    };
    out.as_slice().iter().filter_map(wish).collect()
}

/// What a device answers to a frame: registers that hold `value`, or that it has done what was written.
fn answer(frame: &[u8], value: i32) -> Vec<u8> {
    let bytes = i64::from(value).to_be_bytes();
    reply(frame, |request, pdu| {
        let Request::Read { count, .. } = request else {
            return put_answer(pdu, request, &Answer::Written);
        };
        let registers = Registers::new(&bytes[bytes.len() - 2 * usize::from(*count)..]);
        put_answer(pdu, request, &Answer::Registers(registers.expect("whole registers")));
    })
}

fn refusal(frame: &[u8], exception: Exception) -> Vec<u8> {
    reply(frame, |request, pdu| put_exception(pdu, request.function(), exception))
}

fn reply(frame: &[u8], answer: impl FnOnce(&Request<'_>, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let request = Request::decode(&frame[HEADER_BYTES..]).expect("what is sent is a request");
    let transaction = u16::from_be_bytes([frame[0], frame[1]]);
    crate::fieldbus::frame::put(&mut bytes, transaction, frame[HEADER_BYTES - 1], |pdu| {
        answer(&request, pdu)
    });
    bytes
}

/// All that is told but when writes leave, or do not, and in what steps.
fn told(bus: &mut Bus) -> Vec<Told> {
    let all = core::iter::from_fn(|| bus.next_told());
    all.filter(|told| !matches!(told, Told::Left { .. } | Told::NotSent { .. } | Told::Steps { .. }))
        .collect()
}

/// Asks for something, and returns what that led to.
fn ask(bus: &mut Bus, millis: u64, wishes: &[Effect]) -> Effects {
    let mut out = Effects::new();
    wishes.iter().for_each(|wish| out.push(*wish));
    bus.carry_out(at(millis), false, &mut out);
    out
}

fn write(device: DeviceIndex, value: f64, epoch: u64, valid_until: u64) -> Effect {
    let kind = WriteKind::SetPoint;
    Effect::Write(SetPointWrite { device, kind, value, reactive: 0.0, epoch, valid_until: at(valid_until) })
}

/// A bus whose connections are open and idle.
fn open() -> Bus {
    opened(bus())
}

fn opened(mut bus: Bus) -> Bus {
    for (device, connection) in [(METER, GATEWAY), (ALONE, LINE)] {
        let out = ask(&mut bus, 0, &[Effect::Poll { device, due: at(0) }]);
        assert_eq!(wishes(&out), [(connection, LinkWish::Open)]);
        let mut out = Effects::new();
        bus.link_changed(at(1), connection, true, &mut out);
        let [(_, frame, None)] = &sent(&out)[..] else { panic!("one frame is sent") };
        bus.received(at(2), connection, &answer(frame, 7), &mut out);
        assert!(matches!(told(&mut bus)[..], [Told::Points { .. }]));
    }
    bus
}

#[test]
fn polls_of_all_devices_begin_at_one_instant_before_they_are_due() {
    let mut bus = open();
    let polls = [METER, BATTERY, ALONE].map(|device| Effect::Poll { device, due: at(1_000) });
    let out = ask(&mut bus, 10, &polls);
    assert!(out.as_slice().is_empty(), "it is not time yet");
    // Two reads of 10 ms behind the gateway, and as much in reserve.
    assert_eq!(bus.deadline(), Some(at(960)));
    let mut out = Effects::new();
    bus.wake(at(960), &mut out);
    let first = sent(&out);
    assert_eq!(first.iter().map(|frame| frame.0).collect::<Vec<_>>(), [GATEWAY, LINE]);
    let mut out = Effects::new();
    bus.received(at(970), GATEWAY, &answer(&first[0].1, -5), &mut out);
    let [Told::Points { device: METER, samples }] = told(&mut bus)[..] else { panic!("the meter answers") };
    assert_eq!(samples, (0, 1));
    assert_eq!(sent(&out).len(), 1, "the battery is next");
}

#[test]
fn values_are_there_until_all_is_told() {
    let mut bus = open();
    let out = ask(&mut bus, 10, &[Effect::Poll { device: METER, due: at(10) }]);
    bus.received(at(20), GATEWAY, &answer(&sent(&out)[0].1, -5), &mut Effects::new());
    let Some(Told::Points { samples, .. }) = bus.next_told() else { panic!("the meter answers") };
    assert_eq!(
        bus.samples(samples),
        [Sample { point: PointIndex(0), validity: Validity::Valid, value: -5.0 }]
    );
}

#[test]
fn a_set_point_is_written_by_all_of_its_requests_in_their_order() {
    let mut bus = open();
    let out = ask(&mut bus, 10, &[write(ALONE, 42.0, 3, 500)]);
    let [(LINE, frame, Some(carried))] = &sent(&out)[..] else { panic!("one frame is sent") };
    assert_eq!((carried.value, carried.epoch), (42.0, 3));
    assert_eq!(frame[HEADER_BYTES..], [16, 0, 200, 0, 6, 12, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 42]);
    let mut out = Effects::new();
    bus.received(at(20), LINE, &answer(frame, 0), &mut out);
    assert_eq!(told(&mut bus), [], "it has not ended");
    let [(LINE, frame, Some(_))] = &sent(&out)[..] else { panic!("the next one is sent") };
    assert_eq!(frame[HEADER_BYTES..], [6, 0, 210, 0, 1]);
    bus.received(at(30), LINE, &answer(frame, 0), &mut Effects::new());
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Acknowledged }]);
}

#[test]
fn what_is_decided_meanwhile_replaces_what_waits_and_answers_for_it() {
    let mut bus = open();
    let first = sent(&ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500)]));
    for value in [2.0, 3.0] {
        assert!(sent(&ask(&mut bus, 12, &[write(ALONE, value, 3, 500)])).is_empty());
    }
    let mut out = Effects::new();
    bus.received(at(20), LINE, &refusal(&first[0].1, Exception::DEVICE_FAILURE), &mut out);
    let asked = sent(&out);
    let mut out = Effects::new();
    bus.received(at(30), LINE, &answer(&asked[0].1, 0), &mut out);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Refused }]);
    for _request in 0..2 {
        let [(LINE, frame, Some(carried))] = &sent(&out)[..] else { panic!("the newest one is sent") };
        assert_eq!(carried.value, 3.0);
        let frame = frame.clone();
        out = Effects::new();
        bus.received(at(40), LINE, &answer(&frame, 0), &mut out);
    }
    let done = Told::Written { device: ALONE, outcome: WriteOutcome::Acknowledged };
    assert_eq!(told(&mut bus), [done, done]);
}

#[test]
fn a_set_point_that_expires_when_a_part_of_it_was_acknowledged_is_incomplete_and_that_is_known() {
    let mut bus = open();
    let first = sent(&ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 50)]));
    let mut out = Effects::new();
    bus.received(at(60), LINE, &answer(&first[0].1, 0), &mut out);
    assert_eq!(sent(&out), []);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Incomplete }]);
}

#[test]
fn it_is_told_how_long_a_write_that_leaves_may_do_so_and_also_of_the_next_try() {
    let mut bus = open();
    let left = |bus: &mut Bus| {
        let told: Vec<Told> = core::iter::from_fn(|| bus.next_told()).collect();
        told.into_iter().find(|told| matches!(told, Told::Left { .. }))
    };
    let _first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 300)]);
    assert_eq!(
        left(&mut bus),
        Some(Told::Left { device: ALONE, valid_until: at(300), how: Leaving::Begins })
    );
    let _extended = ask(&mut bus, 20, &[Effect::Authority { epoch: 3, until: at(400) }]);
    let mut out = Effects::new();
    bus.wake(at(110), &mut out);
    assert_eq!(sent(&out).len(), 1, "it is tried again");
    assert_eq!(
        left(&mut bus),
        Some(Told::Left { device: ALONE, valid_until: at(400), how: Leaving::Repeats })
    );
}

#[test]
fn what_has_left_once_has_not_expired_when_the_next_try_cannot_leave() {
    let mut bus = open();
    let _first = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 50)]);
    let mut out = Effects::new();
    bus.wake(at(110), &mut out);
    assert_eq!(sent(&out), []);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::TimedOut }]);
}

#[test]
fn a_device_that_has_not_done_yet_what_it_took_may_still_do_it() {
    let mut bus = open();
    let first = sent(&ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500)]));
    let taken = refusal(&first[0].1, Exception::IN_PROGRESS);
    bus.received(at(20), LINE, &taken, &mut Effects::new());
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::TimedOut }]);
}

#[test]
fn a_connection_that_is_given_up_is_closed_and_all_that_was_asked_on_it_ends() {
    let mut bus = open();
    let _sent = ask(&mut bus, 10, &[write(ALONE, 1.0, 3, 500), write(ALONE, 2.0, 3, 500)]);
    let out = ask(&mut bus, 12, &[Effect::Disconnect { device: ALONE }]);
    assert_eq!((wishes(&out), sent(&out)), (vec![(LINE, LinkWish::Closed)], vec![]));
    let lost = Told::Written { device: ALONE, outcome: WriteOutcome::TimedOut };
    assert_eq!(told(&mut bus), [lost, lost]);
    let out = ask(&mut bus, 20, &[Effect::Poll { device: ALONE, due: at(20) }]);
    assert_eq!(wishes(&out), [(LINE, LinkWish::Open)], "who asks again connects again");
}

/// What may happen to a bus.
#[derive(Clone, Debug)]
enum Step {
    Poll(u16),
    Write { device: u16, valid_for: u64 },
    Disconnect(u16),
    Answer { connection: u16, value: i32 },
    Refuse { connection: u16, code: u8 },
    Bytes { connection: u16, bytes: Vec<u8> },
    Link { connection: u16, is_open: bool },
    NotSent(u16),
    Authority { epoch: u64, valid_for: u64 },
    Beat { epoch: u64, valid_for: u64 },
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u16).prop_map(Step::Poll),
        3 => (1..3_u16, 0..300_u64).prop_map(|(device, valid_for)| Step::Write { device, valid_for }),
        1 => (0..3_u16).prop_map(Step::Disconnect),
        6 => (0..2_u16, any::<i32>()).prop_map(|(connection, value)| Step::Answer { connection, value }),
        1 => (0..2_u16, any::<u8>()).prop_map(|(connection, code)| Step::Refuse { connection, code }),
        1 => (0..2_u16, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(connection, bytes)| Step::Bytes { connection, bytes }),
        3 => (0..2_u16, any::<bool>()).prop_map(|(connection, is_open)| Step::Link { connection, is_open }),
        1 => (0..3_u16).prop_map(Step::NotSent),
        1 => (0..3_u64, 0..300_u64).prop_map(|(epoch, valid_for)| Step::Authority { epoch, valid_for }),
        2 => (0..3_u64, 0..300_u64).prop_map(|(epoch, valid_for)| Step::Beat { epoch, valid_for }),
        4 => (0..400_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_each_write_ends_once_and_none_leaves_when_it_has_expired(
        kind in 0..3,
        at_once in 1..4_u8,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut bus = match kind {
            0 => writes::careful(WriteFunction::Registers),
            1 => beats::beating(),
            _by_models => finding::searched(),
        };
        bus = pipeline::bearing(&bus, at_once);
        let mut now = 10;
        let mut image = Image::at(40_000, &MODELS);
        // The newest frames of each connection: any of them may be answered next, and late.
        let mut asked: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
        let (mut decided, mut ended) = (0, 0);
        // Until when a write to the battery may wait in its connection, and under which transaction it was sent last: nothing
        // that came later has been answered.
        let mut in_transit: Option<(LocalTime, u16)> = None;
        let quiet = [Step::Pass(2_000), Step::Disconnect(0), Step::Disconnect(2), Step::Pass(2_000)];
        for step in steps.into_iter().chain(quiet) {
            let mut out = Effects::new();
            match step.clone() {
                Step::Poll(device) => {
                    out = ask(&mut bus, now, &[Effect::Poll { device: DeviceIndex(device), due: at(now + 50) }]);
                }
                Step::Write { device, valid_for } => {
                    decided += 1;
                    out = ask(&mut bus, now, &[write(DeviceIndex(device), 5.0, 1, now + valid_for)]);
                }
                Step::Disconnect(device) => {
                    out = ask(&mut bus, now, &[Effect::Disconnect { device: DeviceIndex(device) }]);
                }
                Step::Answer { connection, value } => {
                    if let Some(frame) = pipeline::take(&mut asked, connection, value as u8 as usize) {
                        in_transit = pipeline::arrives(in_transit, connection, &frame);
                        let bytes = if kind == 2 && connection == LINE.0 {
                            // Now and then a register is another, which may end the chain or move a model.
                            let (word, at) = ((value >> 16) as u16, 40_000 + (value as u16 & 0x1ff));
                            if value % 8 == 0 {
                                image.put(at, &[word]);
                            }
                            finding::shown(&mut image, &frame, &mut Vec::new())
                        } else {
                            answer(&frame, value)
                        };
                        bus.received(at(now), ConnectionIndex(connection), &bytes, &mut out);
                    }
                }
                Step::Refuse { connection, code } => {
                    if let Some(frame) = pipeline::take(&mut asked, connection, code.into()) {
                        in_transit = pipeline::arrives(in_transit, connection, &frame);
                        let bytes = refusal(&frame, Exception(code));
                        bus.received(at(now), ConnectionIndex(connection), &bytes, &mut out);
                    }
                }
                Step::Bytes { connection, bytes } => {
                    bus.received(at(now), ConnectionIndex(connection), &bytes, &mut out);
                }
                Step::Link { connection, is_open } => {
                    in_transit = in_transit.filter(|_| is_open || connection != GATEWAY.0);
                    bus.link_changed(at(now), ConnectionIndex(connection), is_open, &mut out);
                }
                Step::NotSent(device) => {
                    let device = DeviceIndex(device);
                    let attached = bus.place(device).map(|place| &bus.devices[place]);
                    let sent_until = attached.map_or(at(0), |attached| attached.sent_until);
                    for kind in [WriteKind::SetPoint, WriteKind::Heartbeat] {
                        bus.not_sent(at(now), device, (kind, sent_until), &mut out);
                    }
                }
                Step::Authority { epoch, valid_for } => {
                    out = ask(&mut bus, now, &[Effect::Authority { epoch, until: at(now + valid_for) }]);
                }
                Step::Beat { epoch, valid_for } => {
                    let cares = |_device| Care::Written;
                    bus.beat(at(now), (epoch, at(now + valid_for)), at(now + 100), cares, &mut out);
                }
                Step::Pass(span) => {
                    now += span;
                    bus.wake(at(now), &mut out);
                }
            }
            for (connection, frame, write) in sent(&out) {
                let mut frames = 0;
                Assembler::default().feed(&frame, |_frame| frames += 1).expect("a frame");
                prop_assert_eq!(frames, 1);
                prop_assert!(write.is_none_or(|write| write.valid_until >= at(now)));
                if let Some(write) = write.filter(|write| write.device == BATTERY) {
                    // One before it may still wait, and for longer.
                    let before = in_transit.map_or(write.valid_until, |(until, _)| until);
                    in_transit = Some((before.max(write.valid_until), pipeline::transaction(&frame)));
                }
                let asked = &mut asked[connection.position()];
                asked.push(frame);
                if asked.len() > 4 {
                    asked.remove(0);
                }
            }
            for told in core::iter::from_fn(|| bus.next_told()) {
                match told {
                    Told::Written { .. } => ended += 1,
                    Told::Left { device: BATTERY, valid_until, .. } => {
                        in_transit = in_transit.map(|(until, last)| (until.max(valid_until), last));
                    }
                    Told::Left { .. }
                    | Told::NotSent { .. }
                    | Told::Reconnected { .. }
                    | Told::Points { .. }
                    | Told::TimedOut { .. }
                    | Told::Models { .. }
                    | Told::Steps { .. }
                    | Told::Identity { .. }
                    | Told::Beats { .. } => {}
                }
            }
            if wishes(&out).iter().any(|(connection, _)| *connection == GATEWAY) {
                in_transit = None;
            }
            let waits = in_transit.map(|(until, _)| until);
            if matches!(step, Step::Pass(_)) {
                prop_assert!(waits.is_none_or(|until| until >= at(now)), "it waits until {waits:?} at {now} ms");
            }
        }
        prop_assert_eq!(decided, ended);
        prop_assert!(bus.desk == Desk::default());
    }
}

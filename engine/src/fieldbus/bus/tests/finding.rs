//! Devices that say themselves where their numbers lie: the battery alone on its connection is one.

use super::*;
use crate::fieldbus::plan::Piece;
use crate::fieldbus::sunspec::testing::{BATTERY as MODELS, Image};
use crate::fieldbus::sunspec::{ByModels, Chain, Missing};
use crate::machine::WriteOutcome;
use crate::points::DeviceClass;
use crate::units::Watts;

pub(super) fn searched() -> Bus {
    searched_with(None)
}

/// The same with a device that falls back after so long without a heartbeat.
fn searched_with(heartbeat: Option<Span>) -> Bus {
    let by = ByModels {
        class: DeviceClass::Battery,
        kinds: DeviceClass::Battery.points(),
        first_point: PointIndex(10),
        only: Vec::new(),
        reversion: Span::from_secs(60),
        heartbeat,
        rating: Watts::of(100e3),
        nominal: None,
        reactive: None,
    };
    let (points, writes) = (Vec::new(), Vec::new());
    let alone = Mapping { points, writes, recalls: true, models: Some(by), ..said(ALONE, LINE, 0) };
    let alone = DeviceMap::new(alone).expect("it fits");
    bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), alone])
}

/// Answers all that is asked on the line until nothing is, a millisecond after the other; returns which registers were asked for.
pub(super) fn answered(bus: &mut Bus, from: u64, image: &mut Image, first: &Effects) -> Vec<Piece> {
    let (mut asked, mut out, mut millis) = (Vec::new(), sent(first), from);
    while let Some((LINE, frame, _)) = out.first().cloned() {
        millis += 1;
        let bytes = shown(image, &frame, &mut asked);
        let mut next = Effects::new();
        bus.received(at(millis), LINE, &bytes, &mut next);
        out = sent(&next);
    }
    asked
}

/// What the device answers to a frame; notes which registers were asked for, as coils where they were written.
pub(super) fn shown(image: &mut Image, frame: &[u8], asked: &mut Vec<Piece>) -> Vec<u8> {
    reply(frame, |request, pdu| match request {
        Request::Read { table, address, count } => {
            let piece = Piece { table: *table, address: *address, count: *count };
            asked.push(piece);
            match image.read(piece) {
                Some(bytes) => {
                    let registers = Registers::new(&bytes).expect("whole registers");
                    put_answer(pdu, request, &Answer::Registers(registers));
                }
                None => put_exception(pdu, request.function(), Exception::ILLEGAL_ADDRESS),
            }
        }
        Request::WriteRegisters { address, registers } => {
            let words: Vec<u16> = registers.iter().collect();
            asked.push(Piece { table: Table::Coils, address: *address, count: words.len() as u16 });
            image.put(*address, &words);
            put_answer(pdu, request, &Answer::Written);
        }
        Request::WriteCoil { .. }
        | Request::WriteRegister { .. }
        | Request::WriteCoils { .. }
        | Request::MaskRegister { .. }
        | Request::Exchange { .. }
        | Request::Identify { .. } => panic!("{request:?} is not asked of such a device"),
    })
}

/// Polls the device on a connection that was just opened.
fn polled(bus: &mut Bus, millis: u64, image: &mut Image) -> Vec<Piece> {
    let mut out = ask(bus, millis, &[Effect::Poll { device: ALONE, due: at(millis) }]);
    if wishes(&out) == [(LINE, LinkWish::Open)] {
        out = Effects::new();
        bus.link_changed(at(millis + 1), LINE, true, &mut out);
    }
    answered(bus, millis + 1, image, &out)
}

const FOUND: Told = Told::Models { device: ALONE, found: Ok(Chain { base: 40_000, models: 6 }) };

#[test]
fn a_device_is_searched_with_its_first_poll_and_read_with_the_next() {
    let (mut bus, mut image) = (searched(), Image::at(40_000, &MODELS));
    assert!(polled(&mut bus, 10, &mut image).len() > MODELS.len());
    assert_eq!(told(&mut bus), [FOUND]);
    assert_eq!(polled(&mut bus, 1_000, &mut image).len(), 4, "the set-point lies in the model that commands");
    let all = told(&mut bus);
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|told| matches!(told, Told::Points { device: ALONE, .. })), "{all:?}");
}

#[test]
fn a_set_point_waits_until_it_is_known_how_it_is_written() {
    let (mut bus, mut image) = (searched(), Image::at(0, &MODELS));
    let out = ask(&mut bus, 10, &[write(ALONE, 12e3, 3, 500)]);
    assert_eq!(wishes(&out), [(LINE, LinkWish::Open)]);
    let mut out = Effects::new();
    bus.link_changed(at(11), LINE, true, &mut out);
    let asked = answered(&mut bus, 11, &mut image, &out);
    let writes = asked.iter().filter(|piece| piece.table == Table::Coils).count();
    assert_eq!(writes, 3, "its value, its time, and that it is in force");
    let outcome = WriteOutcome::Acknowledged;
    let [Told::Models { .. }, Told::Written { device: ALONE, outcome: found }] = told(&mut bus)[..] else {
        panic!("it is found and written")
    };
    assert_eq!(found, outcome);
    let model = 2 + 68 + 155 + 52;
    assert_eq!((image.0[&(model + 22)], image.0[&(model + 25)]), (1, 1_200));
}

#[test]
fn a_set_point_that_expires_during_a_search_does_not_leave() {
    let (mut bus, mut image) = (searched(), Image::at(0, &MODELS));
    ask(&mut bus, 10, &[write(ALONE, 12e3, 3, 13)]);
    let mut out = Effects::new();
    bus.link_changed(at(11), LINE, true, &mut out);
    let asked = answered(&mut bus, 11, &mut image, &out);
    assert!(asked.iter().all(|piece| piece.table != Table::Coils), "{asked:?}");
    let expired = Told::Written { device: ALONE, outcome: WriteOutcome::Expired };
    assert_eq!(told(&mut bus)[1..], [expired]);
}

#[test]
fn a_new_connection_is_a_new_device() {
    let (mut bus, mut image) = (searched(), Image::at(40_000, &MODELS));
    let first = polled(&mut bus, 10, &mut image);
    polled(&mut bus, 1_000, &mut image);
    told(&mut bus);
    bus.link_changed(at(1_500), LINE, false, &mut Effects::new());
    image = Image::at(50_000, &MODELS);
    assert_eq!(polled(&mut bus, 3_000, &mut image).len(), first.len() + 2, "the marker is the third");
    assert_eq!(
        told(&mut bus),
        [Told::Models { device: ALONE, found: Ok(Chain { base: 50_000, models: 6 }) }]
    );
    polled(&mut bus, 4_000, &mut image);
    assert_eq!(told(&mut bus).len(), 4);
}

#[test]
fn a_model_that_moves_is_searched_anew_and_what_was_read_there_is_not_believed() {
    let (mut bus, mut image) = (searched(), Image::at(40_000, &MODELS));
    polled(&mut bus, 10, &mut image);
    told(&mut bus);
    let mut moved = MODELS.to_vec();
    moved.insert(1, (2, 14, &[]));
    image = Image::at(40_000, &moved);
    polled(&mut bus, 1_000, &mut image);
    while let Some(told) = bus.next_told() {
        let Told::Points { samples, .. } = told else { panic!("{told:?}") };
        assert!(bus.samples(samples).iter().all(|sample| sample.validity == Validity::Invalid));
    }
    let asked = polled(&mut bus, 2_000, &mut image);
    assert_eq!(asked[0], Piece { table: Table::HoldingRegisters, address: 40_000, count: 2 });
    assert_eq!(
        told(&mut bus),
        [Told::Models { device: ALONE, found: Ok(Chain { base: 40_000, models: 7 }) }]
    );
}

#[test]
fn a_device_without_what_it_must_have_is_told_once_and_asked_again_after_a_while() {
    let (mut bus, mut image) = (searched(), Image::at(40_000, &MODELS[..3]));
    polled(&mut bus, 10, &mut image);
    let missing = Told::Models { device: ALONE, found: Err(Missing::Control) };
    let all = told(&mut bus);
    let [first, Told::Points { samples, .. }] = all[..] else { panic!("{all:?}") };
    assert_eq!((first, samples.1 - samples.0), (missing, 5), "its points are not known");
    assert_eq!(polled(&mut bus, 1_000, &mut image), []);
    ask(&mut bus, 1_500, &[write(ALONE, 12e3, 3, 2_000)]);
    assert_eq!(told(&mut bus), [Told::Written { device: ALONE, outcome: WriteOutcome::Refused }]);
    assert!(!polled(&mut bus, 11_000, &mut image).is_empty());
    assert!(matches!(told(&mut bus)[..], [Told::Points { .. }]));
    image = Image::at(40_000, &MODELS);
    polled(&mut bus, 22_000, &mut image);
    assert_eq!(told(&mut bus), [FOUND]);
}

#[test]
fn a_device_that_does_not_answer_is_no_other_than_one_with_a_map() {
    let mut bus = searched();
    ask(&mut bus, 10, &[Effect::Poll { device: ALONE, due: at(10) }, write(ALONE, 12e3, 3, 5_000)]);
    let mut out = Effects::new();
    bus.link_changed(at(11), LINE, true, &mut out);
    assert_eq!(sent(&out).len(), 1);
    for due in [111, 211] {
        bus.wake(at(due), &mut Effects::new());
    }
    let written = Told::Written { device: ALONE, outcome: WriteOutcome::TimedOut };
    assert_eq!(told(&mut bus), [Told::TimedOut { device: ALONE }, written]);
    ask(&mut bus, 300, &[Effect::Poll { device: ALONE, due: at(300) }]);
    assert_eq!(told(&mut bus), [Told::TimedOut { device: ALONE }], "it is left alone");
}

/// The first registers of all that was written.
fn written(asked: &[Piece]) -> Vec<u16> {
    asked.iter().filter(|piece| piece.table == Table::Coils).map(|piece| piece.address).collect()
}

fn beat(bus: &mut Bus, millis: u64) -> Effects {
    let mut out = Effects::new();
    bus.beat(at(millis), (3, at(60_000)), at(millis + 1_000), |_device| Care::Written, &mut out);
    out
}

/// A device that was found, with what it shows.
fn found() -> (Bus, Image) {
    let (mut bus, mut image) = (searched_with(Some(Span::from_secs(3))), Image::at(40_000, &MODELS));
    polled(&mut bus, 10, &mut image);
    assert_eq!(told(&mut bus), [FOUND]);
    (bus, image)
}

/// Where the models that are written begin, if the first one of all is at this register.
const CONTROL: u16 = 68 + 155 + 52;
const HEARTBEAT: u16 = CONTROL + 67 + 9;

#[test]
fn a_set_point_that_waits_for_a_search_comes_again_behind_a_heartbeat() {
    let (mut bus, mut image) = (searched_with(Some(Span::from_secs(3))), Image::at(40_000, &MODELS));
    ask(&mut bus, 10, &[write(ALONE, 12e3, 3, 5_000)]);
    let mut out = Effects::new();
    bus.link_changed(at(11), LINE, true, &mut out);
    assert!(!bus.is_heard(ALONE, 3), "nobody knows how");
    assert_eq!(written(&answered(&mut bus, 11, &mut image, &out)), [0; 0]);
    let expired = Told::Written { device: ALONE, outcome: WriteOutcome::Expired };
    assert_eq!(told(&mut bus)[1..], [expired]);
    let mut out = beat(&mut bus, 1_000);
    out.push(write(ALONE, 12e3, 3, 5_000));
    bus.carry_out(at(1_000), false, &mut out);
    let first = written(&answered(&mut bus, 1_000, &mut image, &out));
    assert_eq!(first[..2], [40_002 + HEARTBEAT + 5, 40_002 + CONTROL + 24]);
}

#[test]
fn nothing_is_written_where_a_model_was_before_it_moved() {
    for is_read in [true, false] {
        let (mut bus, mut image) = found();
        let mut moved = MODELS.to_vec();
        moved.insert(1, (2, 14, &[]));
        image = if is_read { Image::at(40_000, &moved) } else { image };
        polled(&mut bus, 1_000, &mut image);
        told(&mut bus);
        if !is_read {
            // Who takes its place on the next connection has another model in front of the others.
            bus.link_changed(at(1_500), LINE, false, &mut Effects::new());
            image = Image::at(40_000, &moved);
        }
        let mut all = Vec::new();
        for scan in 3..9 {
            let now = scan * 1_000;
            let mut out = beat(&mut bus, now);
            out.push(write(ALONE, scan as f64 * 1e3, 3, now + 900));
            out.push(Effect::Poll { device: ALONE, due: at(now) });
            bus.carry_out(at(now), false, &mut out);
            if wishes(&out).contains(&(LINE, LinkWish::Open)) {
                bus.link_changed(at(now + 1), LINE, true, &mut out);
            }
            all.extend(written(&answered(&mut bus, now + 1, &mut image, &out)));
            told(&mut bus);
        }
        let places =
            [CONTROL + 22, CONTROL + 24, CONTROL + 31, HEARTBEAT + 5].map(|place| 40_002 + 16 + place);
        assert!(all.iter().all(|address| places.contains(address)), "{all:?}, and it has {places:?}");
        assert!(places.iter().all(|place| all.contains(place)), "{all:?}");
    }
}

#[test]
fn another_scale_factor_of_what_is_written_is_another_device() {
    let (mut bus, mut image) = found();
    image.put(40_002 + CONTROL + 55, &[0]);
    polled(&mut bus, 1_000, &mut image);
    told(&mut bus);
    assert!(polled(&mut bus, 2_000, &mut image).len() > MODELS.len());
    let step = Told::Steps { device: ALONE, steps: (1.0, 0.0) };
    assert_eq!(core::iter::from_fn(|| bus.next_told()).collect::<Vec<_>>(), [step]);
}

#[test]
fn what_waits_when_a_connection_is_taken_back_does_not_leave_on_the_next() {
    let (mut bus, mut image) = found();
    let mut out = beat(&mut bus, 1_000);
    out.push(write(ALONE, 1e3, 3, 1_050));
    bus.carry_out(at(1_000), false, &mut out);
    let [(LINE, frame, Some(_))] = &sent(&out)[..] else { panic!("a heartbeat is sent") };
    let mut out = Effects::new();
    bus.received(at(1_010), LINE, &shown(&mut image, frame, &mut Vec::new()), &mut out);
    assert_eq!(sent(&out).len(), 1, "the set-point, which nobody answers");
    ask(&mut bus, 1_020, &[write(ALONE, 2e3, 3, 5_000)]);
    let mut out = Effects::new();
    bus.wake(at(1_051), &mut out);
    assert_eq!(wishes(&out), [(LINE, LinkWish::Closed), (LINE, LinkWish::Open)]);
    let mut out = Effects::new();
    bus.link_changed(at(1_060), LINE, true, &mut out);
    assert_eq!(written(&answered(&mut bus, 1_060, &mut image, &out)), [0; 0]);
}

/// Asks for this of a device that ends its connection after each answer; returns which registers were asked for.
fn served_and_cut_off(bus: &mut Bus, millis: &mut u64, image: &mut Image, wish: Effect) -> Vec<Piece> {
    let (mut asked, mut out) = (Vec::new(), ask(bus, *millis, &[wish]));
    loop {
        *millis += 1;
        let mut next = Effects::new();
        match (&wishes(&out)[..], &sent(&out)[..]) {
            ([(LINE, LinkWish::Open)], []) => bus.link_changed(at(*millis), LINE, true, &mut next),
            ([], [(LINE, frame, _)]) => {
                bus.received(at(*millis), LINE, &shown(image, frame, &mut asked), &mut next);
                // What was sent meanwhile is lost.
                next = Effects::new();
                bus.link_changed(at(*millis), LINE, false, &mut next);
            }
            ([], []) => return asked,
            other => panic!("{other:?}"),
        }
        out = next;
    }
}

#[test]
fn a_device_that_ends_its_connection_after_each_answer_is_found_read_and_written() {
    let (mut bus, mut image, mut millis) = (searched(), Image::at(40_000, &MODELS), 10);
    let poll = |millis| Effect::Poll { device: ALONE, due: at(millis) };
    served_and_cut_off(&mut bus, &mut millis, &mut image, poll(10));
    assert_eq!(told(&mut bus), [FOUND]);
    millis = 1_000;
    let read = served_and_cut_off(&mut bus, &mut millis, &mut image, poll(1_000));
    assert_eq!(read.len(), 4, "it is not searched again");
    let points = told(&mut bus).into_iter().filter(|told| matches!(told, Told::Points { device: ALONE, .. }));
    assert_eq!(points.count(), 4);
    let written = served_and_cut_off(&mut bus, &mut millis, &mut image, write(ALONE, 12e3, 3, 2_000));
    assert_eq!(written.iter().filter(|piece| piece.table == Table::Coils).count(), 3);
    let acknowledged = Told::Written { device: ALONE, outcome: WriteOutcome::Acknowledged };
    assert!(told(&mut bus).contains(&acknowledged));
}

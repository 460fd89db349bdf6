//! Devices that must say who they are: the battery alone on its connection is one.

use super::finding::answered as answered_in_full;
use super::*;
use crate::fieldbus::map::{Differs, IdentityText, Text, Who};
use crate::fieldbus::plan::Piece;
use crate::fieldbus::sunspec::ByModels;
use crate::points::DeviceClass;
use crate::units::Watts;

const SERIAL: u16 = 60;
const POWER: u16 = 100;

fn identity(is: &[u8]) -> Vec<IdentityText> {
    let (who, table, address) = (Who::Serial, Table::HoldingRegisters, SERIAL);
    vec![IdentityText { who, table, address, registers: 4, is: Text::of(is) }]
}

/// A battery of which the map says that its serial number is `A-1`, and perhaps that it listens for heartbeats.
fn named(heartbeat: Option<Heartbeat>) -> Bus {
    let alone = Mapping { identity: identity(b"A-1"), heartbeat, ..said(ALONE, LINE, 0) };
    let writes = vec![WriteRequest { is_read_back: false, ..alone.writes[0].clone() }];
    let alone = DeviceMap::new(Mapping { writes, ..alone }).expect("it fits");
    bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), alone])
}

/// The registers of a device with this serial number.
fn device(serial: &[u8; 8]) -> Image {
    let mut image = Image::default();
    let words: Vec<u16> = serial.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    image.put(SERIAL, &words);
    image.put(POWER, &[0, 7]);
    image.put(200, &[0; 20]);
    image
}

/// Answers all that is asked; returns which registers were, as coils where they were written.
fn answered(bus: &mut Bus, from: u64, image: &mut Image, first: &Effects) -> Vec<(Table, u16)> {
    answered_in_full(bus, from, image, first)
        .iter()
        .map(|Piece { table, address, .. }| (*table, *address))
        .collect()
}

/// Polls and writes the device, on a connection that is opened if there is none; returns what was asked.
fn scanned(bus: &mut Bus, millis: u64, image: &mut Image) -> Vec<(Table, u16)> {
    let wishes_of_scan =
        [Effect::Poll { device: ALONE, due: at(millis) }, write(ALONE, 9.0, 3, millis + 900)];
    let mut out = ask(bus, millis, &wishes_of_scan);
    if wishes(&out).contains(&(LINE, LinkWish::Open)) {
        bus.link_changed(at(millis + 1), LINE, true, &mut out);
    }
    answered(bus, millis + 1, image, &out)
}

const READS_SERIAL: (Table, u16) = (Table::HoldingRegisters, SERIAL);
const READS_POWER: (Table, u16) = (Table::HoldingRegisters, POWER);
const WRITES: (Table, u16) = (Table::Coils, 200);
const IS_IT: Told = Told::Identity { device: ALONE, found: Ok(()) };

fn differs(found: Option<&[u8]>) -> Told {
    let (who, expected, found) = (Who::Serial, Text::of(b"A-1"), found.map(Text::of));
    Told::Identity { device: ALONE, found: Err(Differs { who, expected, found }) }
}

#[test]
fn a_device_says_who_it_is_before_anything_is_written_to_it_or_read() {
    let (mut bus, mut image) = (named(None), device(b"A-1\0\0\0\0\0"));
    assert_eq!(scanned(&mut bus, 10, &mut image), [READS_SERIAL, WRITES]);
    let written = Told::Written { device: ALONE, outcome: WriteOutcome::Acknowledged };
    assert_eq!(told(&mut bus), [IS_IT, written]);
    assert_eq!(scanned(&mut bus, 1_000, &mut image), [WRITES, READS_POWER], "it is asked once");
}

#[test]
fn nothing_is_written_to_another_device_nor_known_of_it() {
    for (mut image, found) in [
        (device(b"A-2     "), Some(&b"A-2"[..])),
        (device(&[0; 8]), Some(&b""[..])),
        (Image::default(), None),
    ] {
        let mut bus = named(None);
        assert_eq!(scanned(&mut bus, 10, &mut image), [READS_SERIAL]);
        let all = told(&mut bus);
        let [first, Told::Points { samples, .. }, last] = all[..] else { panic!("{all:?}") };
        assert_eq!((first, samples), (differs(found), (0, 1)), "its point is not known");
        assert_eq!(last, Told::Written { device: ALONE, outcome: WriteOutcome::Refused });
        assert_eq!(scanned(&mut bus, 1_000, &mut image), [], "it is left alone for a while");
        told(&mut bus);
        assert_eq!(scanned(&mut bus, 11_000, &mut image), [READS_SERIAL]);
        let again = told(&mut bus);
        assert!(again.iter().all(|told| !matches!(told, Told::Identity { .. })), "{again:?} is no news");
        image = device(b"A-1     ");
        assert_eq!(scanned(&mut bus, 22_000, &mut image), [READS_SERIAL, WRITES]);
        assert_eq!(told(&mut bus)[0], IS_IT);
    }
}

#[test]
fn who_answers_on_the_next_connection_is_asked_again() {
    let (mut bus, mut image) = (named(None), device(b"A-1     "));
    scanned(&mut bus, 10, &mut image);
    told(&mut bus);
    bus.link_changed(at(500), LINE, false, &mut Effects::new());
    image = device(b"A-2     ");
    let mut asked = Vec::new();
    for scan in 1..8 {
        asked.extend(scanned(&mut bus, scan * 1_000, &mut image));
    }
    assert_eq!(asked, [READS_SERIAL]);
    assert!(told(&mut bus).contains(&differs(Some(b"A-2"))));
}

#[test]
fn another_device_hears_no_heartbeat() {
    let request = WriteRequest {
        address: 300,
        function: WriteFunction::Registers,
        is_read_back: false,
        fields: vec![field(FieldContent::Counter, NumberType::U16)],
    };
    let (mut bus, mut image) =
        (named(Some(Heartbeat { timeout: Span::from_secs(3), request })), device(b"A-2     "));
    image.put(300, &[0]);
    let mut asked = Vec::new();
    for (scan, serial) in [(1, b"A-2     "), (2, b"A-2     "), (20, b"A-1     "), (21, b"A-1     ")] {
        (0..4).for_each(|at| {
            image.put(
                SERIAL + at,
                &[u16::from_be_bytes([serial[2 * usize::from(at)], serial[2 * usize::from(at) + 1]])],
            )
        });
        let now = scan * 1_000;
        let mut out = Effects::new();
        bus.beat(at(now), (3, at(60_000)), at(now + 1_000), |_device| Care::Written, &mut out);
        assert_eq!(sent(&out).len(), usize::from(scan == 21), "scan {scan}");
        asked.extend(answered(&mut bus, now, &mut image, &out));
        scanned(&mut bus, now + 100, &mut image);
    }
    assert_eq!(asked[0], (Table::Coils, 300));
}

#[test]
fn a_device_by_models_is_searched_once_it_has_said_who_it_is() {
    let by = ByModels {
        class: DeviceClass::Battery,
        kinds: DeviceClass::Battery.points(),
        first_point: PointIndex(10),
        only: Vec::new(),
        reversion: Span::from_secs(60),
        heartbeat: None,
        rating: Watts::of(100e3),
        nominal: None,
        reactive: None,
    };
    let identity = identity(b"A-1");
    let (points, writes) = (Vec::new(), Vec::new());
    let alone = Mapping { points, writes, identity, models: Some(by), ..said(ALONE, LINE, 0) };
    let alone = DeviceMap::new(alone).expect("it fits");
    for (serial, is_it) in [(b"A-1     ", true), (b"A-2     ", false)] {
        let mut bus = bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), alone.clone()]);
        let mut image = Image::at(40_000, &MODELS);
        image.0.extend(device(serial).0);
        let asked = scanned(&mut bus, 10, &mut image);
        assert_eq!((asked[0], asked.len() > 1), (READS_SERIAL, is_it));
        let models = told(&mut bus).iter().filter(|told| matches!(told, Told::Models { .. })).count();
        assert_eq!(models, usize::from(is_it));
    }
}

//! The bytes of one record of each kind. A change here is a change of the log's format: it takes a new format number.
//!
//! `events` has the bytes of every event, `frame` those around the records: preamble, group, header. The bytes of a controller's
//! state are those of the log that is kept in `tests/golden`.

mod events;
mod frame;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::chain::ChainPair;
use super::error::Flaw;
use super::header::{ControllerNames, DeviceName, Header};
use super::memory::Memory;
use super::record::{Content, Ending, Record};
use super::varint::Cursor;
use super::{decode, encode};
use crate::digest::Chain;
use crate::event::Event;
use crate::ids::{ConnectionIndex, ControllerIndex, DeviceIndex, PointIndex};
use crate::machine::{
    Boot, Effect, Input, LinkWish, MAX_FRAME_INPUT, Sample, SetPointWrite, Step, Validity, WriteKind,
    WriteOutcome,
};
use crate::persistence::{JournalStatus, Origin, Trouble};
use crate::points::DeviceClass;
use crate::redundancy::{Command, Epoch, Message, Promise, Seat, message};
use crate::time::{LocalTime, Time};
use crate::units::Watts;
use crate::wall::WallTime;

pub(super) fn header() -> Header {
    let device =
        |name: &str, class: DeviceClass| DeviceName { name: name.into(), class, points: class.points() };
    let devices = alloc::vec![device("pcc", DeviceClass::Meter), device("bess", DeviceClass::Battery)];
    let names = |id: &str| ControllerNames {
        grid: "g".into(),
        id: id.into(),
        devices: devices.clone(),
        functions: Vec::new(),
    };
    Header::new(&["PeakShaving"], alloc::vec![names("a"), names("b")])
}

/// Checked by hand against [`super::record`]: the third line is a wake as it mostly is, three bytes.
const GOLDEN: [&str; 32] = [
    "410acdab0101050000000000000000",
    "2264cdab",
    "12cdab",
    "03cdab010201000000000000f03f03000000000000f87f",
    "2364cdab00020000000000000040",
    "04cdab01",
    "25bc05cdab01",
    "060900000000000000f03f",
    "0701c801090800000000000004c00001d00f01c80112070202030504010300000000000000000e0dac02060500000000000004ac02c801070f",
    "0803070809",
    "0f120103070809",
    "0f12ffff03020708",
    "0902010000000000000403000000000000",
    "0bcdab0107020203050401",
    "0ccdab01",
    "0dcdab0201",
    "0f0fcdab01020708",
    "0ecdab03070809",
    "01cdab020a0000000000000000",
    "0ccdab03",
    "0ccdab04",
    "0ccdab08",
    "0f10",
    "0f11cdab0105",
    "0f11cdab00",
    "0f13cdabac02020708",
    "0f14cdab03",
    "0f14cdabd804",
    "07000517d804050c0807000000000000170311ac0206050000000000000100000000000004c00001d00f\
     1703bd020c040300000000000081800400000000000008400001d00f1f051fd804",
    "03cdab01018380080000000000000040",
    "05cdab0f01ac02",
    "0a021f",
];

/// The hexadecimal bytes of each record, written in order, and the same records read back.
fn hex_of(records: &[Record<'_>]) -> Vec<String> {
    let (mut writing, mut reading) = (Memory::new(&header()), Memory::new(&header()));
    let mut lines = Vec::new();
    let mut scratch = Vec::new();
    for (count, record) in records.iter().enumerate() {
        let mut bytes = Vec::new();
        encode::encode(&mut writing, &mut bytes, record, count as u64);
        let mut cursor = Cursor::new(&bytes, 0);
        let decoded =
            decode::decode(&mut reading, &mut cursor, &mut scratch).expect("our own bytes are read");
        assert_eq!(cursor.position(), bytes.len());
        assert_eq!(decode::view(&reading, &decoded, &scratch, &bytes), *record);
        lines.push(hex(&bytes));
    }
    lines
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const fn sample(point: u16, value: f64) -> Sample {
    Sample { point: PointIndex(point), validity: Validity::Valid, value }
}

const fn at(nanos: u64, controller: u16, content: Content<'_>) -> Record<'_> {
    let now = LocalTime::from_nanos(nanos + 5);
    Record { at: Time::from_nanos(nanos), now, controller: ControllerIndex(controller), content }
}

const fn input(input: Input<'_>) -> Content<'_> {
    Content::Delivery { step: Step::Input(input), prior: 0xabcd }
}

/// What is asked of connections, the second time with a write.
fn on_the_wire(write: SetPointWrite) -> [Effect; 5] {
    [
        Effect::Frame { connection: ConnectionIndex(300), first: 5, length: 12, chain: 0x0708, write: None },
        Effect::Frame {
            connection: ConnectionIndex(1),
            first: 17,
            length: 300,
            chain: 0x0506,
            write: Some(write),
        },
        Effect::Frame {
            connection: ConnectionIndex(1),
            first: 317,
            length: 12,
            chain: 0x0304,
            write: Some(SetPointWrite { kind: WriteKind::Heartbeat, value: 3.0, ..write }),
        },
        Effect::Link { connection: ConnectionIndex(2), wish: LinkWish::Open },
        Effect::Link { connection: ConnectionIndex(300), wish: LinkWish::Closed },
    ]
}

#[test]
fn each_kind_of_record_has_its_golden_bytes() {
    let boot = Boot { wall: Some(WallTime::from_unix_nanos(-3)), ..Boot::FIRST };
    let recovered = Boot { incarnation: 2, origin: Origin::Damaged, abstains: true, ..Boot::FIRST };
    let first = [sample(0, 1.0), sample(1, f64::NAN)];
    let second = [sample(0, 1.0), sample(1, 2.0)];
    let valid_until = LocalTime::from_nanos(300);
    let not_sent = Input::NotSent { device: DeviceIndex(1), kind: WriteKind::Heartbeat, valid_until };
    let not_in_force = [Sample { validity: Validity::NotInForce, ..sample(1, 2.0) }];
    let meter = DeviceIndex(0);
    let write = SetPointWrite {
        device: DeviceIndex(1),
        kind: WriteKind::SetPoint,
        value: -2.5,
        reactive: 0.0,
        epoch: 1,
        valid_until: LocalTime::from_nanos(2_005),
    };
    let epoch = Epoch { round: 4, seat: Seat(1) };
    let message = Message {
        section: 7,
        incarnation: 2,
        content: message::Content::Grant { number: 3, life: 5, epoch },
    };
    let effects = [
        Effect::Write(write),
        Effect::Poll { device: meter, due: LocalTime::from_nanos(1_105) },
        Effect::Send { to: Seat(2), message },
        Effect::Promise(Promise::FIRST),
        Effect::Disconnect { device: DeviceIndex(1) },
        Effect::Transfer { to: Seat(1), length: 300, chain: 0x0506 },
        Effect::Authority { epoch: 300, until: LocalTime::from_nanos(1_105) },
        Effect::Snapshot,
        Effect::Stopped,
    ];
    let on_the_wire = on_the_wire(write);
    let chains = ChainPair { effects: Chain::new(0x0102), events: Chain::new(0x0304) };
    let records = [
        at(0, 0, Content::Delivery { step: Step::Boot(boot), prior: 0xabcd }),
        at(100, 0, input(Input::Wake)),
        at(200, 0, input(Input::Wake)),
        at(200, 0, input(Input::Points { device: meter, samples: &first })),
        at(300, 0, input(Input::Points { device: meter, samples: &second })),
        at(300, 0, input(Input::TimedOut { device: DeviceIndex(1) })),
        at(1_000, 0, input(Input::Written { device: meter, outcome: WriteOutcome::Refused })),
        at(1_000, 0, Content::Event(Event::DeviceLimited { device: meter, difference: Watts::of(1.0) })),
        at(1_000, 0, Content::Effects { effects: &effects, deadline: Some(LocalTime::from_nanos(1_105)) }),
        at(1_000, 0, Content::State(&[7, 8, 9])),
        at(1_000, 0, Content::Carried { version: 1, bytes: &[7, 8, 9] }),
        at(1_000, 0, Content::Carried { version: u16::MAX, bytes: &[7, 8] }),
        at(1_000, 0, Content::Chains(chains)),
        at(1_000, 0, input(Input::Message { from: Seat(1), message })),
        at(1_000, 0, input(Input::Promised { succeeded: true })),
        at(1_000, 0, input(Input::Command(Command::Sole { begins: true }))),
        at(1_000, 0, input(Input::Transfer { from: Seat(1), unit: &[7, 8] })),
        at(1_000, 0, Content::Delivery { step: Step::Restore { state: &[7, 8, 9] }, prior: 0xabcd }),
        at(1_000, 0, Content::Delivery { step: Step::Boot(recovered), prior: 0xabcd }),
        at(1_000, 0, input(Input::Snapshotted { succeeded: true })),
        at(1_000, 0, input(Input::Journal(JournalStatus::Restored))),
        at(1_000, 0, input(Input::Journal(JournalStatus::Degraded(Trouble::ReadOnly)))),
        at(1_000, 0, Content::Crashed),
        at(1_000, 0, input(Input::WallClock { wall: Some(WallTime::from_unix_nanos(-3)) })),
        at(1_000, 0, input(Input::WallClock { wall: None })),
        at(1_000, 0, input(Input::Frame { connection: ConnectionIndex(300), bytes: &[7, 8] })),
        at(1_000, 0, input(Input::LinkChanged { connection: ConnectionIndex(1), is_open: true })),
        at(1_000, 0, input(Input::LinkChanged { connection: ConnectionIndex(300), is_open: false })),
        at(1_000, 0, Content::Effects { effects: &on_the_wire, deadline: None }),
        at(1_000, 0, input(Input::Points { device: meter, samples: &not_in_force })),
        at(1_000, 0, input(not_sent)),
        at(1_000, 0, Content::Closing(Ending::Poisoned)),
    ];
    assert_eq!(hex_of(&records), GOLDEN);
}

/// What is wrong with a record by itself.
fn decoded(bytes: &[u8]) -> Option<Flaw> {
    let mut scratch = Vec::new();
    decode::decode(&mut Memory::new(&header()), &mut Cursor::new(bytes, 0), &mut scratch).err()
}

#[test]
fn only_kinds_without_room_in_the_tag_stand_behind_an_escape() {
    let refused = |found| Some(Flaw::Code { what: "record behind an escape", found });
    assert_eq!(decoded(&[0x0f, 14]), refused(14));
    assert_eq!(decoded(&[0x0f, 21]), refused(21));
    assert_eq!(decoded(&[0x0f, 255]), refused(255));
    // A wake has room in the tag: no second form of it.
    assert_eq!(decoded(&[0x0f, 2, 0, 0]), refused(2));
    assert_eq!(decoded(&[0x0f]), Some(Flaw::RecordEnds));
}

#[test]
fn a_value_that_is_not_valid_is_in_force_nowhere_and_a_point_has_sixteen_bits() {
    let sample = |word: &[u8]| decoded(&[&[0x03, 0, 0, 1, 1], word, &[0; 8]].concat());
    assert_eq!(sample(&[0xff, 0xff, 0x07]), None);
    assert_eq!(sample(&[0xff, 0xff, 0x0f]), None, "a set-point that is not in force");
    let no_point = |found| Some(Flaw::OutOfRange { what: "point", found, end: 1 << 16 });
    assert_eq!(sample(&[0xfe, 0xff, 0x0f]), no_point(0x1_ffff));
    assert_eq!(sample(&[0x81, 0x80, 0x18]), no_point(0x2_0000));
}

#[test]
fn a_frame_is_no_longer_than_a_delivery_may_bring_and_a_connection_has_sixteen_bits() {
    let frame = |length: &[u8], bytes: usize| {
        decoded(&[&[0x0f, 19, 0, 0, 1], length, alloc::vec![7; bytes].as_slice()].concat())
    };
    let end = MAX_FRAME_INPUT as u64 + 1;
    assert_eq!(frame(&[0x80, 0x08], MAX_FRAME_INPUT), None);
    assert_eq!(frame(&[0x80, 0x08], MAX_FRAME_INPUT - 1), Some(Flaw::RecordEnds));
    let too_long = Flaw::OutOfRange { what: "length of a frame", found: end, end };
    assert_eq!(frame(&[0x81, 0x08], MAX_FRAME_INPUT + 1), Some(too_long));
    let no_connection = |found| Some(Flaw::OutOfRange { what: "connection", found, end: 1 << 16 });
    assert_eq!(decoded(&[0x0f, 19, 0, 0, 0xff, 0xff, 0x03, 0]), None);
    assert_eq!(decoded(&[0x0f, 19, 0, 0, 0x80, 0x80, 0x04, 0]), no_connection(1 << 16));
    assert_eq!(decoded(&[0x0f, 20, 0, 0, 0xff, 0xff, 0x07]), None);
    assert_eq!(decoded(&[0x0f, 20, 0, 0, 0x80, 0x80, 0x08]), no_connection(1 << 16));
}

//! The bytes of a whole small log: preamble, the group of its header, a group of records.

use alloc::vec::Vec;

use super::super::header::{EffectsKept, Header};
use super::super::record::{Content, Ending};
use super::super::writer::Writer;
use super::super::{FORMAT, codec};
use super::{hex, input};
use crate::ids::ControllerIndex;
use crate::machine::Input;
use crate::time::{LocalTime, Time};
use crate::wall::WallTime;

/// Magic, format number, checksum.
const PREAMBLE: &str = "522d454d534c4f47010000003558b045";
/// Marker, length, records, checksum of the payload, synced, time of the first record, link to the preamble, checksum.
const HEAD: &str = "48454144530000000000000071e7665f000000000000000000000000000000007a048b7be204534e4a9a85889757aa91a59d0743";
/// What bincode makes of the header.
const HEADER: &str = concat!(
    "05312e322e3307010b5065616b53686176696e670201670161020370636300010462657373011f0001",
    "670162020370636300010462657373011f00fb2c0105017305702e726f6e02282905712e726f6e017401"
);
/// The same as before a header, linked to the header's group; it begins at 100 ns.
const RECS: &str = "524543530d00000003000000f85ced3500000000000000006400000000000000e66cd132e20b09ad8705deccf99b474ba43faf90";
/// A wake of the second controller at 100 ns, on a clock that is 5 ns ahead; its state; the end.
const RECORDS: &str = "e201640acdab0801078a000002";

fn header() -> Header {
    Header {
        engine: "1.2.3".into(),
        behavior: 7,
        seed: 300,
        start: WallTime::from_unix_nanos(-3),
        scenario: "s".into(),
        scenario_path: "p.ron".into(),
        scenario_text: "()".into(),
        site_path: "q.ron".into(),
        site_text: "t".into(),
        effects: EffectsKept::Whole,
        ..super::header()
    }
}

#[test]
fn a_whole_log_has_its_golden_bytes() {
    let mut writer = Writer::new(&header()).expect("a small header");
    let (at, now) = (Time::from_nanos(100), LocalTime::from_nanos(105));
    let wake = super::Record { at, now, controller: ControllerIndex(1), content: input(Input::Wake) };
    writer.append(&wake);
    writer.append_here(ControllerIndex(1), Content::State(&[7]));
    writer.close(ControllerIndex(0), Ending::Over);
    let golden = [PREAMBLE, HEAD, HEADER, RECS, RECORDS].concat();
    assert_eq!(hex(writer.out()), golden);
    assert_eq!(FORMAT, 1, "another format has golden bytes of its own");
}

#[test]
fn a_header_has_its_golden_bytes() {
    let mut bytes = Vec::new();
    codec::encode(&header(), &mut bytes);
    assert_eq!(hex(&bytes), HEADER);
    assert_eq!(codec::decode(&bytes), Ok(header()));
}

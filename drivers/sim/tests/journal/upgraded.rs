//! What another version of the engine finds in journals: memory and not states.

use r_ems_engine::LocalTime;
use r_ems_engine::Span;
use r_ems_engine::carried::{Carried, NotCarried, VERSION};
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{ChainPair, Content, DeviceName, Header, Writer, codec};
use r_ems_engine::persistence::journal::Completion;
use r_ems_engine::persistence::{FileName, Operation, Origin, Recovered};
use r_ems_engine::points::DeviceClass;

use super::{Counter, OWNER, Rig, header};
use crate::{EVERY, rig};

/// The header of the next version.
fn newer() -> Header {
    let header = header();
    Header { behavior: header.behavior + 1, ..header }
}

/// The machine with which a recovery lets a life begin.
pub(crate) fn found(recovered: &Recovered) -> Counter {
    codec::decode(recovered.state.as_deref().expect("there is a state")).expect("a state of this machine")
}

/// What another version of the engine finds on a disk.
fn upgraded(rig: &Rig) -> Option<Result<Carried, NotCarried>> {
    let recovered = Rig::look_as(&newer(), &rig.disk, rig.now, true);
    recovered.state.is_some().then(|| found(&recovered))?.found
}

fn count(carried: &Carried) -> u64 {
    u64::from_le_bytes(carried.memory.as_slice().try_into().expect("eight bytes"))
}

/// A snapshot is taken every 25 wakes and lasts some of them.
#[test]
fn another_version_finds_the_newest_memory_that_is_kept_whenever_the_power_fails() {
    for wakes in 0..120 {
        let mut rig = rig(EVERY, 1);
        rig.run(wakes);
        rig.crash();
        let snapshots = rig.told.iter().filter(|told| **told == Completion::Snapshotted(true)).count() as u64;
        match upgraded(&rig) {
            Some(Ok(carried)) => {
                let counted = count(&carried);
                assert!(counted.is_multiple_of(25) && counted >= 25 * snapshots, "{counted} after {wakes}");
            }
            Some(Err(NotCarried::Missing)) => assert_eq!(snapshots, 0, "after {wakes}"),
            // Nothing was durable yet: not even a state of another version.
            None => assert_eq!(wakes, 0),
            other => panic!("{other:?} after {wakes}"),
        }
    }
}

#[test]
fn another_version_finds_the_last_memory_of_a_life_that_ended_in_order() {
    let mut rig = rig(EVERY, 1);
    rig.run(33);
    rig.stop();
    rig.wait(Span::from_secs(1));
    rig.crash();
    let carried = upgraded(&rig).expect("it is another version").expect("it is kept");
    assert_eq!((count(&carried), carried.at), (33, LocalTime::from_nanos(33)));
}

#[test]
fn memory_of_other_devices_is_not_taken() {
    let mut rig = rig(EVERY, 1);
    rig.run(60);
    let mut header = header();
    header.controllers[0].devices.push(DeviceName {
        name: "pcc".into(),
        class: DeviceClass::Meter,
        points: DeviceClass::Meter.points(),
    });
    let recovered = Rig::look_as(&header, &rig.disk, rig.now, true);
    assert_eq!(found(&recovered).found, Some(Err(NotCarried::Layout)));
}

/// The state of the first segment of the new version holds it: a life that dies before its boot is durable loses nothing.
#[test]
fn what_was_found_is_kept_until_it_is_taken() {
    let mut rig = rig(EVERY, 1);
    rig.run(60);
    let before = upgraded(&rig).expect("it is another version").expect("it is kept");
    let mut rig = Rig { header: newer(), ..rig }.reborn(true);
    assert_eq!((rig.machine.count, rig.machine.found.clone()), (0, Some(Ok(before.clone()))));
    rig.wait(Span::from_millis(40));
    assert_eq!(rig.journal.durable(), 0, "the head is, and the boot is not yet");
    rig.crash();
    let again = rig.look_again();
    assert_eq!((again.origin, again.carried.as_ref()), (Origin::Replayed, Some(&before)));
    assert_eq!(found(&again).found, Some(Ok(before.clone())));
    // The version after that finds it too.
    let header = newer();
    let header = Header { behavior: header.behavior + 1, ..header };
    assert_eq!(found(&Rig::look_as(&header, &rig.disk, rig.now, true)).found, Some(Ok(before)));
}

/// A disk with segments that hold but a state that means nothing, and beside it a form of such a number.
fn with_segments(forms: &[Form]) -> Rig {
    let mut rig = rig(EVERY, 1);
    for (form, number) in forms.iter().zip(10..) {
        put_segment(&mut rig, number, &[7, 8, 9], form);
    }
    rig
}

/// A number and bytes; none: the record is missing.
type Form = Option<(u16, Vec<u8>)>;

fn put_segment(rig: &mut Rig, number: u64, state: &[u8], form: &Form) {
    let mut writer = Writer::new(&header()).expect("the header is small");
    let owner = ControllerIndex(0);
    writer.append_here(owner, Content::State(state));
    if let Some((version, bytes)) = form {
        writer.append_here(owner, Content::Carried { version: *version, bytes });
    }
    writer.append_here(owner, Content::Chains(ChainPair::default()));
    writer.flush();
    let (file, bytes) = (FileName::Segment(number), writer.out().to_vec());
    let (_span, job) = rig.disk.begin(OWNER, &Operation::Write { file, offset: 0, bytes });
    rig.disk.finish(job);
}

fn form(count: u64) -> Vec<u8> {
    let carried = Carried {
        at: LocalTime::from_nanos(count),
        wall: None,
        layout: 0,
        memory: count.to_le_bytes().to_vec(),
    };
    let mut bytes = Vec::new();
    carried.encode(&mut bytes);
    bytes
}

#[test]
fn a_form_that_is_not_known_is_passed_over_and_told_if_there_is_no_other() {
    let known = |count| Some((VERSION, form(count)));
    let unknown = Some((VERSION + 1, vec![1, 2, 3]));
    let malformed = Some((VERSION, vec![1, 2, 3]));
    let finds = |forms: &[Form]| {
        let found = upgraded(&with_segments(forms)).expect("its segments are another version's");
        found.map(|carried| count(&carried))
    };
    assert_eq!(finds(&[known(5), known(6)]), Ok(6));
    assert_eq!(finds(&[known(5), None]), Ok(5));
    assert_eq!(finds(&[known(5), unknown.clone()]), Ok(5));
    assert_eq!(finds(&[known(5), malformed.clone()]), Ok(5));
    assert_eq!(finds(&[malformed.clone(), unknown.clone()]), Err(NotCarried::Version));
    assert_eq!(finds(&[unknown, malformed]), Err(NotCarried::Malformed));
    assert_eq!(finds(&[None, None]), Err(NotCarried::Missing));
}

/// The same version goes on with states, whether a memory stands beside them or not.
#[test]
fn a_log_without_memory_stays_readable() {
    let mut state = Vec::new();
    let counter = Counter { count: 33, ..crate::counter() };
    codec::encode(&counter, &mut state);
    let mut rig = rig(EVERY, 1);
    for (form, number) in [(None, 10), (Some((VERSION, form(33))), 11), (Some((u16::MAX, vec![1])), 12)] {
        put_segment(&mut rig, number, &state, &form);
        let recovered = rig.look_again();
        assert_eq!((recovered.origin, found(&recovered).count), (Origin::Replayed, 33));
    }
}

/// Where nothing is left but a last state, the clock goes on from the memory beside it.
#[test]
fn the_clock_goes_on_from_a_memory_if_no_delivery_is_left() {
    let mut rig = with_segments(&[Some((VERSION, form(5)))]);
    for number in 1..10 {
        let (_span, job) = rig.disk.begin(OWNER, &Operation::Remove { file: FileName::Segment(number) });
        rig.disk.finish(job);
    }
    let last = Rig::look_as(&newer(), &rig.disk, rig.now, true).last.expect("the memory says it");
    assert_eq!((last.now, last.wall), (LocalTime::from_nanos(5), None));
}

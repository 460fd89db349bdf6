//! What another version of the engine finds in journals: memory and not states.

use r_ems_engine::LocalTime;
use r_ems_engine::Span;
use r_ems_engine::carried::{Carried, NotCarried};
use r_ems_engine::log::{DeviceName, Header, codec};
use r_ems_engine::persistence::journal::Completion;
use r_ems_engine::persistence::{Origin, Recovered};
use r_ems_engine::points::DeviceClass;

use super::{Counter, Rig, header};
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
    header.controllers[0].devices.push(DeviceName { name: "pcc".into(), class: DeviceClass::Meter });
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

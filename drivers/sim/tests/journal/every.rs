//! Every operation of a run fails once, and the host crashes after each of them.

use r_ems_engine::Span;
use r_ems_engine::persistence::disk::DiskError;
use r_ems_engine::persistence::journal::SyncRule;
use r_ems_engine::rng::Stream;
use r_ems_sim::disk::SimDisk;

use super::{PERIOD, Rig, SYNC, settings};
use crate::{EVERY, counter, is_tidy, rig, survives};

/// A run has at most so many operations.
const OPERATIONS_MAX: u64 = 2_000;
/// Ten wakes and a promise each.
const ROUNDS: u32 = 40;

#[test]
fn a_crash_after_every_operation_loses_nothing_that_was_called_durable() {
    /// Half of what the shortest operation takes.
    const STEP: Span = Span::from_micros(25);
    for sync in [EVERY, SyncRule::Strict] {
        let mut rig = rig(sync, 5);
        let (mut seen, mut crashes) = (0, 0);
        while rig.disk.operations() < 400 {
            if rig.disk.operations() % 10 == 3 {
                rig.promise(rig.disk.operations() as u32);
            }
            rig.wake();
            for step in 0..PERIOD.whole(STEP) {
                rig.wait(STEP);
                let begun = rig.disk.operations();
                // Now and then as well, while a sync is on its way or nothing happens.
                if begun != seen || step % 20 == 0 {
                    seen = begun;
                    let mut other = rig.clone();
                    other.crash();
                    survives(&other);
                    crashes += 1;
                }
            }
        }
        assert!(crashes > 1_000, "{crashes} crashes");
    }
}

/// What every run comes to in which one operation failed and the disk worked before and after.
fn is_lived_with(mut rig: Rig, number: u64) {
    rig.run(300);
    rig.wait(Span::from_secs(2));
    assert_eq!(rig.journal.trouble(), None, "operation {number}: {:?}", rig.told);
    assert_eq!(rig.machine.count, 700, "operation {number}");
    assert!(rig.keeper.kept().promise.ceiling.round >= ROUNDS - 1, "operation {number}");
    is_tidy(&mut rig);
    rig.crash();
    survives(&rig);
    let reborn = rig.reborn(true);
    assert!(reborn.machine.count >= 695, "operation {number}: {}", reborn.machine.count);
}

fn rounds(rig: &mut Rig, from: u32, to: u32) {
    for round in from..=to {
        rig.run(10);
        rig.promise(round);
        rig.wait(Span::from_millis(20));
    }
}

#[test]
fn any_one_failing_operation_is_lived_with() {
    let error = |number: u64| [DiskError::Failed, DiskError::Full, DiskError::ReadOnly][number as usize % 3];
    let mut base = rig(EVERY, 9);
    let booted = base.disk.operations();
    // While it boots.
    for number in 1..=booted {
        let mut disk = SimDisk::new(SYNC, Stream::new(9, 0));
        disk.fail(number, error(number));
        let mut failed = Rig::on(disk, settings(EVERY), counter());
        rounds(&mut failed, 1, ROUNDS);
        is_lived_with(failed, number);
    }
    // Each later one fails in a fork of the run that has come to its round.
    let mut next = booted + 1;
    for round in 1..=ROUNDS {
        let fork = base.clone();
        rounds(&mut base, round, round);
        for number in next..=base.disk.operations() {
            let mut failed = fork.clone();
            failed.disk.fail(number, error(number));
            rounds(&mut failed, round, ROUNDS);
            is_lived_with(failed, number);
        }
        next = base.disk.operations() + 1;
    }
    assert!(booted >= 3 && (200..=OPERATIONS_MAX).contains(&base.disk.operations()), "{booted}");
}

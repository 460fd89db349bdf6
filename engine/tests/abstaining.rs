//! A voter that lost what it promised: nothing is granted twice, and its vote comes back.

mod council;

use r_ems_engine::event::Event;
use r_ems_engine::redundancy::supervisor::CommandRefusal;
use r_ems_engine::redundancy::{Command, Epoch, OnSilence, Promise, Seat, Settings};

use council::World;

const MILLI: u64 = 1_000_000;

/// A pair without a witness that waits for its owner, just booted.
fn waiting_pair() -> World {
    let settings = Settings { on_silence: OnSilence::Hold, ..Settings::FAST };
    let mut world = World::new(&[0, 1], false, &settings, 1);
    (0..2).for_each(|seat| world.boot(seat));
    world
}

/// Two controllers and a witness, of which the first is active.
fn settled() -> World {
    let mut world = World::new(&[0, 1, 2], true, &Settings::FAST, 1);
    (0..3).for_each(|seat| world.boot(seat));
    world.run(1_000 * MILLI);
    world
}

#[test]
fn it_votes_again_when_every_other_voter_has_been_heard_and_there_is_never_a_second_authority() {
    for seed in 0..20 {
        let mut world = World::new(&[0, 1, 2], true, &Settings::DEFAULT, seed);
        (0..3).for_each(|seat| world.boot(seat));
        world.run(5_000 * MILLI);
        assert_eq!(world.authorities(), [0], "seed {seed}");
        // The witness loses its disk; meanwhile one of the controllers goes.
        world.crash(2);
        world.run((seed * 13 % 50) * MILLI);
        world.boot_without_promises(2);
        world.crash(1);
        world.run(5_000 * MILLI);
        // The vote of the witness is missing as long as it has not heard both.
        assert!(world.authorities().is_empty(), "seed {seed}");
        world.boot(1);
        world.run(10_000 * MILLI);
        assert_eq!(world.authorities().len(), 1, "seed {seed}");
        assert_eq!(world.overlaps, 0, "seed {seed}");
    }
}

#[test]
fn a_witness_that_refuses_to_be_sole_abstains_as_before() {
    let mut world = World::new(&[0, 1, 2], true, &Settings::DEFAULT, 1);
    (0..3).for_each(|seat| world.boot(seat));
    world.run(5_000 * MILLI);
    world.crash(2);
    world.boot_without_promises(2);
    world.crash(1);
    world.command(2, Command::Sole { begins: true });
    let is_refusal = |event: &(u64, Event)| {
        matches!(event.1, Event::CommandRefused { refusal: CommandRefusal::Witness, .. })
    };
    assert!(world.members[2].events.iter().any(is_refusal));
    world.run(10_000 * MILLI);
    assert!(world.authorities().is_empty(), "its vote is still missing");
}

#[test]
fn who_lost_the_numbers_of_its_lives_is_heard_again() {
    for seed in 0..20 {
        let mut world = World::new(&[0, 1, 2], true, &Settings::DEFAULT, seed);
        (0..3).for_each(|seat| world.boot(seat));
        for _life in 0..4 {
            world.run(1_000 * MILLI);
            world.crash(1);
            world.boot(1);
        }
        world.run(1_000 * MILLI);
        world.crash(1);
        world.boot_without_promises(1);
        world.run(5_000 * MILLI);
        assert_eq!(world.authorities(), [0], "seed {seed}");
        world.crash(0);
        world.run(5_000 * MILLI);
        assert_eq!((world.authorities(), world.overlaps), (vec![1], 0), "seed {seed}");
    }
}

#[test]
fn an_owner_that_acted_alone_and_lost_its_promises_goes_on_above_what_its_state_knows() {
    let mut world = waiting_pair();
    world.run(1_000 * MILLI);
    // The other knows nothing of the epochs of these lives.
    world.crash(1);
    for _life in 0..3 {
        world.crash(0);
        world.boot(0);
        world.run(1_000 * MILLI);
    }
    assert_eq!(world.authorities(), [0]);
    let before = world.members[0].supervisor.epoch();
    world.crash(0);
    world.members[0].disk = Promise::FIRST;
    world.boot_with_its_state(0);
    world.boot(1);
    world.run(1_000 * MILLI);
    assert_eq!(world.authorities(), [0]);
    let after = world.members[0].supervisor.epoch();
    assert!(after > before, "{after} after {before}");
}

#[test]
fn what_a_member_has_heard_of_it_knows_in_its_next_life() {
    let mut world = waiting_pair();
    for _life in 0..3 {
        world.run(1_000 * MILLI);
        world.crash(0);
        world.boot(0);
    }
    world.run(1_000 * MILLI);
    let heard = world.members[0].supervisor.epoch();
    world.crash(1);
    world.boot(1);
    assert!(world.members[1].disk.ceiling >= heard, "{} is durable", world.members[1].disk.ceiling);
}

#[test]
fn an_active_moves_above_what_a_device_has_accepted_but_once() {
    let mut world = settled();
    // Nonsense is not believed.
    for (round, seat) in [(u32::MAX, 1), (1 << 30, 1), (500, 200)] {
        world.refuse(0, Epoch { round, seat: Seat(seat) });
        world.run(100 * MILLI);
        assert_eq!(world.members[0].supervisor.epoch().round, 1);
    }
    let accepted = Epoch { round: 500, seat: Seat(1) };
    for _write in 0..2 {
        // It is promised before it is asked for.
        world.refuse(0, accepted);
        world.run(100 * MILLI);
    }
    assert_eq!((world.authorities(), world.overlaps), (vec![0], 0));
    let moved = world.members[0].supervisor.epoch();
    assert!(moved > accepted, "{moved}");
    // Somebody else writes: the two must not outbid each other.
    for _write in 0..3 {
        world.refuse(0, Epoch { round: moved.round + 1, seat: Seat(1) });
        world.run(100 * MILLI);
    }
    assert_eq!((world.authorities(), world.members[0].supervisor.epoch()), (vec![0], moved));
}

#[test]
fn where_an_operator_vouched_in_vain_both_come_to_rest_once_they_hear_each_other() {
    let mut world = settled();
    (world.cut[0][1], world.cut[1][0]) = (true, true);
    world.command(1, Command::Sole { begins: true });
    world.run(500 * MILLI);
    // Who acts on an operator's word alone does not move above the one that a majority chose.
    let held = world.members[1].supervisor.epoch();
    world.refuse(1, Epoch { round: held.round + 9, seat: Seat(0) });
    world.run(100 * MILLI);
    assert_eq!(world.members[1].supervisor.epoch(), held);
    world.command(1, Command::Sole { begins: false });
    (world.cut[0][1], world.cut[1][0]) = (false, false);
    world.run(1_000 * MILLI);
    assert_eq!(world.authorities().len(), 1);
    world.members.iter_mut().for_each(|member| member.events.clear());
    world.run(1_000 * MILLI);
    assert_eq!(world.authorities().len(), 1);
    assert!(
        world.members.iter().all(|member| member.events.is_empty()),
        "nobody seeks or gives way any more"
    );
}

#[test]
fn a_candidate_that_the_active_does_not_reach_lets_its_epoch_be() {
    let mut world = settled();
    let held = world.members[0].supervisor.epoch();
    world.cut[0][1] = true;
    world.run(20_000 * MILLI);
    assert_eq!((world.authorities(), world.members[0].supervisor.epoch()), (vec![0], held));
}

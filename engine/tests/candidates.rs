//! Who seeks authority, when, and with what: candidates that reach their devices, that do not outbid each other, and that wait
//! for nobody who is dead.

mod council;

use council::{HEALTHY, MILLI, Network, World};
use r_ems_engine::Span;
use r_ems_engine::event::Event;
use r_ems_engine::redundancy::{Command, Health, OnSilence, Reason, Role, Seat, Settings};

const SECOND: u64 = 1_000 * MILLI;
const BLIND: Health = Health { reaches_devices: false, ..HEALTHY };

/// So many controllers on hosts of their own, and a witness, up for a second.
fn settled(controllers: u16, settings: &Settings, seed: u64) -> World {
    let hosts: Vec<u16> = (0..=controllers).collect();
    let mut world = World::new(&hosts, true, settings, seed);
    (0..hosts.len()).for_each(|seat| world.boot(seat));
    world.run(SECOND);
    world
}

/// How long nobody has authority from now on, until somebody has; at most a second.
fn gap(world: &mut World) -> u64 {
    let began = world.now;
    while world.authorities().is_empty() && world.now < began + SECOND {
        world.run(MILLI / 4);
    }
    world.now - began
}

#[test]
fn who_does_not_reach_its_devices_lets_one_take_over_that_does() {
    for seed in 0..20 {
        let mut world = settled(3, &Settings::FAST, seed);
        world.report(1, BLIND);
        world.run(100 * MILLI);
        world.crash(0);
        assert!(gap(&mut world) <= 40 * MILLI, "seed {seed}");
        assert_eq!(world.authorities(), [2], "seed {seed}");
        world.run(SECOND);
        assert_eq!((world.authorities(), world.role(1)), (vec![2], Role::Standby), "seed {seed}");
    }
}

#[test]
fn where_nobody_reaches_all_devices_readiness_is_enough() {
    let mut world = settled(3, &Settings::FAST, 1);
    (0..3).for_each(|seat| world.report(seat, BLIND));
    world.run(SECOND);
    assert_eq!(world.authorities(), [0], "a loss that all share moves nothing");
    world.crash(0);
    assert!(gap(&mut world) <= 40 * MILLI);
    assert_eq!(world.authorities(), [1]);
    world.command(1, Command::SwitchOver { to: None });
    world.run(SECOND);
    assert_eq!(world.authorities(), [2], "an operator may move it, too");
}

#[test]
fn at_a_start_the_first_that_reaches_its_devices_becomes_active() {
    let mut world = World::new(&[0, 1, 2], true, &Settings::FAST, 2);
    (0..3).for_each(|seat| world.boot(seat));
    world.report(0, BLIND);
    world.run(SECOND);
    assert_eq!(world.authorities(), [1]);
    let took_over = |event: &(u64, Event)| matches!(event.1, Event::TookOver { .. });
    assert!(!world.members[0].events.iter().any(took_over), "it did not write before");
}

#[test]
fn where_all_become_ready_at_once_the_first_in_the_order_becomes_active() {
    for seed in 0..20 {
        let mut world = World::new(&[0, 1, 2, 3], true, &Settings::FAST, seed);
        (0..4).for_each(|seat| world.boot(seat));
        (0..4).for_each(|seat| world.report(seat, Health { is_ready: false, ..HEALTHY }));
        world.run(SECOND);
        (0..4).rev().for_each(|seat| world.report(seat, HEALTHY));
        world.run(SECOND);
        assert_eq!(world.authorities(), [0], "seed {seed}");
    }
}

#[test]
fn a_candidate_that_never_succeeds_keeps_one_that_does_not_reach_its_devices_from_nothing() {
    let mut world = settled(2, &Settings::FAST, 3);
    world.report(0, BLIND);
    world.command(0, Command::Maintenance { begins: true, is_forced: true });
    world.run(100 * MILLI);
    assert_eq!(world.authorities(), [1]);
    world.command(0, Command::Maintenance { begins: false, is_forced: false });
    // The one that reaches its devices is heard, but hears nobody.
    (world.cut[0][1], world.cut[2][1]) = (true, true);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
}

#[test]
fn candidates_agree_after_a_few_rounds_however_slow_their_disks_are() {
    for (settings, sync) in [(Settings::FAST, 300 * MILLI), (Settings::DEFAULT, SECOND)] {
        for (controllers, seed) in
            (2..=4).flat_map(|controllers| (0..10).map(move |seed| (controllers, seed)))
        {
            let hosts: Vec<u16> = (0..=controllers).collect();
            let mut world = World::new(&hosts, true, &settings, seed);
            world.sync = sync;
            (0..hosts.len()).for_each(|seat| world.boot(seat));
            world.run(5 * SECOND);
            assert_eq!((world.authorities().len(), world.overlaps), (1, 0), "{controllers}, seed {seed}");
            let rounds = world.members[world.authorities()[0]].supervisor.epoch().round;
            assert!(rounds <= 4, "{controllers}, seed {seed}: they outbid each other up to {rounds}");
        }
    }
}

#[test]
fn a_lease_is_got_and_kept_where_a_round_trip_takes_most_of_it() {
    let mut world = World::new(&[0, 1, 2], true, &Settings::FAST, 4);
    world.network =
        Network { delay_min: 7 * MILLI, delay_mean: 1, delay_max: 7 * MILLI + 1, ..Network::GOOD };
    (0..3).for_each(|seat| world.boot(seat));
    world.run(SECOND);
    assert_eq!(world.authorities().len(), 1);
    // A voter restarts: the holder moves to a higher epoch, and answers to what it asked before still count.
    let holder = world.authorities();
    world.crash(2);
    world.boot(2);
    for _slice in 0..500 {
        world.run(MILLI);
        assert_eq!(world.authorities(), holder, "at {} ns", world.now);
    }
}

#[test]
fn nobody_waits_for_a_better_candidate_that_died_with_the_active() {
    for seed in 0..50 {
        // Five votes: two hosts may fail at once.
        let mut world = settled(4, &Settings::FAST, seed);
        let shift = world.below(5 * MILLI);
        world.run(shift);
        world.crash(0);
        world.crash(1);
        let waited = gap(&mut world);
        // The bound of one crash, and a heartbeat and a delay more to notice the second.
        assert!(waited <= 50 * MILLI, "seed {seed}: {waited} ns");
        assert_eq!(world.authorities(), [2], "seed {seed}");
    }
}

#[test]
fn in_a_pair_that_holds_a_hand_over_waits_only_for_the_disks() {
    for seed in 0..20 {
        let mut world = World::new(&[0, 1], false, &Settings::FAST, seed);
        (0..2).for_each(|seat| world.boot(seat));
        world.run(SECOND);
        world.command(0, Command::SwitchOver { to: None });
        let waited = gap(&mut world);
        // Two disks of 4 ms and a message of at most 5 ms.
        assert!(waited <= 14 * MILLI, "seed {seed}: {waited} ns");
        assert_eq!(world.authorities(), [1]);
    }
}

#[test]
fn who_is_sole_resumes_with_a_new_epoch_after_a_lapse() {
    let mut world = settled(2, &Settings::FAST, 5);
    world.crash(1);
    world.crash(2);
    world.command(0, Command::Sole { begins: true });
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    let before = world.members[0].supervisor.epoch();
    world.stall(0, 50 * MILLI);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    assert!(world.members[0].supervisor.epoch() > before, "another may have held a higher one");
}

#[test]
fn when_a_pair_that_takes_over_heals_the_winner_goes_on_without_a_gap() {
    for seed in 0..20 {
        let settings = Settings { on_silence: OnSilence::TakeOver, ..Settings::FAST };
        let mut world = World::new(&[0, 1], false, &settings, seed);
        (0..2).for_each(|seat| world.boot(seat));
        world.run(SECOND);
        (world.cut[0][1], world.cut[1][0]) = (true, true);
        world.run(SECOND);
        world.heal();
        for _slice in 0..400 {
            world.run(MILLI / 4);
            assert!(world.authorities().contains(&1), "seed {seed} at {} ns", world.now);
        }
        assert_eq!(world.authorities(), [1]);
    }
}

#[test]
fn two_hosts_that_miss_their_scans_do_not_toss_authority_to_and_fro() {
    let mut world = settled(2, &Settings::FAST, 6);
    let slow = Health { overruns: true, ..HEALTHY };
    (0..2).for_each(|seat| world.report(seat, slow));
    world.run(59 * SECOND);
    let hand_overs = |world: &World| {
        let took = |event: &&(u64, Event)| matches!(event.1, Event::TookOver { reason: Reason::TooSlow, .. });
        world.members.iter().flat_map(|member| member.events.iter()).filter(took).count()
    };
    assert!(hand_overs(&world) <= 1, "{}", hand_overs(&world));
    world.run(20 * SECOND);
    assert_eq!(hand_overs(&world), 1);
    assert_eq!(world.authorities().len(), 1);
}

#[test]
fn the_active_is_told_so_when_an_operator_names_it() {
    let mut world = settled(2, &Settings::FAST, 7);
    world.command(0, Command::SwitchOver { to: Some(Seat(0)) });
    let refusal = |event: &Event| {
        if let Event::CommandRefused { refusal, .. } = event { Some(refusal.name()) } else { None }
    };
    let refused: Vec<_> = world.members[0].events.iter().filter_map(|(_, event)| refusal(event)).collect();
    assert_eq!(refused, ["the controller that was named is the active already"]);
    assert_eq!(world.authorities(), [0]);
}

#[test]
fn maintenance_outlives_a_restart_until_an_operator_ends_it() {
    let mut world = settled(2, &Settings::FAST, 8);
    world.command(1, Command::Maintenance { begins: true, is_forced: false });
    world.run(SECOND);
    world.crash(1);
    world.boot(1);
    world.crash(0);
    world.run(SECOND);
    assert_eq!((world.role(1), world.authorities()), (Role::Maintenance, vec![]));
    world.command(1, Command::Maintenance { begins: false, is_forced: false });
    world.run(SECOND);
    assert_eq!(world.authorities(), [1]);
    world.crash(1);
    world.boot(1);
    assert_eq!(world.role(1), Role::Standby);
}

#[test]
fn forced_maintenance_waits_for_writes_that_are_outstanding_and_then_frees_the_voters() {
    let mut world = settled(2, &Settings::FAST, 9);
    world.report(1, Health { is_ready: false, ..HEALTHY });
    world.run(100 * MILLI);
    let ends = world.local(0) + Span::from_millis(500);
    world.report(0, Health { writes_end: ends, ..HEALTHY });
    world.command(0, Command::Maintenance { begins: true, is_forced: true });
    world.run(400 * MILLI);
    world.report(1, HEALTHY);
    world.run(50 * MILLI);
    assert_eq!((world.role(0), world.authorities()), (Role::HandingOver, vec![]));
    world.run(51 * MILLI);
    assert_eq!(world.role(0), Role::Maintenance, "nothing but time had to tell it");
    world.run(100 * MILLI);
    assert_eq!(world.authorities(), [1]);
}

#[test]
fn who_is_not_heard_for_ten_seconds_is_told_of_once_until_it_is_heard() {
    let mut world = World::new(&[0, 1, 2], true, &Settings::FAST, 7);
    (0..2).for_each(|seat| world.boot(seat));
    let told = |world: &World, by: usize| -> Vec<Event> {
        let about = |event: &Event| {
            matches!(event, Event::PeerSilent { seat: Seat(2), .. } | Event::PeerHeard { .. })
        };
        let events = world.members[by].events.iter().map(|(_at, event)| *event);
        events.filter(about).collect()
    };
    world.run(9 * SECOND);
    assert_eq!(told(&world, 0), []);
    world.run(9 * SECOND);
    for by in 0..2 {
        let [Event::PeerSilent { silent, .. }] = told(&world, by)[..] else {
            panic!("{:?}", told(&world, by))
        };
        assert!(silent >= Span::from_secs(10) && silent < Span::from_secs(11), "{silent}");
    }
    world.boot(2);
    world.run(SECOND);
    assert_eq!(told(&world, 1)[1..], [Event::PeerHeard { seat: Seat(2) }]);
    world.crash(2);
    world.run(30 * SECOND);
    assert!(matches!(told(&world, 0)[2..], [Event::PeerSilent { .. }]), "{:?}", told(&world, 0));
}

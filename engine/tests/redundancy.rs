//! Who may write, with the real supervisors: take-over, hand-over, restarts, partitions, and what must never happen.

mod council;

use council::{HEALTHY, MILLI, Network, World};
use proptest::prelude::*;
use r_ems_engine::Span;
use r_ems_engine::event::Event;
use r_ems_engine::redundancy::{Command, FailBack, Health, OnSilence, Reason, Role, Seat, Settings};

const SECOND: u64 = 1_000 * MILLI;

/// Two controllers and a witness on three hosts, up for a second.
fn settled(settings: &Settings, seed: u64) -> World {
    let mut world = World::new(&[0, 1, 2], true, settings, seed);
    (0..3).for_each(|seat| world.boot(seat));
    world.run(SECOND);
    world
}

fn took_over(world: &World, seat: usize) -> Vec<(u64, Reason)> {
    let reason = |event: &Event| {
        if let Event::TookOver { reason, .. } = event { Some(*reason) } else { None }
    };
    let events = world.members[seat].events.iter();
    events.filter_map(|(at, event)| Some((*at, reason(event)?))).collect()
}

#[test]
fn the_first_in_the_order_becomes_active_and_stays_so() {
    let mut world = settled(&Settings::FAST, 1);
    assert_eq!(world.authorities(), [0]);
    world.run(60 * SECOND);
    assert_eq!(world.authorities(), [0]);
    assert_eq!(took_over(&world, 0).len(), 1);
    assert_eq!((world.role(1), world.role(2)), (Role::Standby, Role::Witness));
    assert_eq!(world.overlaps, 0);
}

#[test]
fn the_standby_takes_over_after_the_lease_expires_and_within_its_bound() {
    let settings = Settings::FAST;
    let bound = settings.take_over_max(Span::from_millis(5), Span::ZERO).as_nanos() - 5 * MILLI;
    for seed in 0..200 {
        let mut world = settled(&settings, seed);
        let shift = world.below(5 * MILLI);
        world.run(shift);
        let crashed_at = world.now;
        world.crash(0);
        world.run(100 * MILLI);
        let taken = took_over(&world, 1);
        let [(at, Reason::HeartbeatLost)] = taken[..] else { panic!("seed {seed}: {taken:?}") };
        assert!(at - crashed_at <= bound, "seed {seed}: {} ns", at - crashed_at);
        assert_eq!(world.authorities(), [1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_take_over_lasts_longer_than_its_bound(
        heartbeat in 1_000_000..50_000_000_u64,
        (watchdog, lease) in (2..6_u64, 3..8_u64),
        (retry, delay) in (1..=100_u64, 1..=95_u64),
        rate_max_ppm in 0..50_000_u32,
        rates in proptest::array::uniform3(-100..=100_i64),
        (shift, seed) in (0..1_000_u64, any::<u64>()),
    ) {
        // Delays up to what a renewal leaves of a lease: beyond that leases end before they are renewed.
        let longest = (lease - 1) * heartbeat / 2 * 9 / 10;
        let delay = longest * delay / 100;
        let settings = Settings {
            heartbeat: Span::from_nanos(heartbeat),
            watchdog: Span::from_nanos(watchdog * heartbeat),
            lease: Span::from_nanos(lease * heartbeat),
            retry: Span::from_nanos(heartbeat * retry / 100),
            clock_rate_max_ppb: rate_max_ppm * 1_000,
            ..Settings::FAST
        };
        let mut world = World::new(&[0, 1, 2], true, &settings, seed);
        world.network = Network { delay_min: 0, delay_mean: delay / 3, delay_max: delay, loss_percent: 0 };
        for (seat, percent) in rates.into_iter().enumerate() {
            world.set_rate(seat, i64::from(rate_max_ppm) * 1_000 * percent / 100);
            world.boot(seat);
        }
        world.run(2 * SECOND + 40 * lease * heartbeat + heartbeat * shift / 1_000);
        let [active] = world.authorities()[..] else {
            return Err(TestCaseError::fail(format!("{:?} have authority", world.authorities())));
        };
        let crashed_at = world.now;
        world.crash(active);
        let span = Span::from_nanos(delay);
        // The bound counts the way of the first write too, which is none here.
        let bound = (settings.take_over_max(span, Span::ZERO) - span).as_nanos();
        world.run(bound + SECOND);
        let taken = took_over(&world, 1 - active).last().copied();
        let (at, _reason) = taken.expect("the other takes over");
        prop_assert!(at > crashed_at && at - crashed_at <= bound, "{} of {bound} ns", at - crashed_at);
        prop_assert_eq!(world.overlaps, 0);
    }
}

#[test]
fn a_restarted_active_becomes_a_standby() {
    let mut world = settled(&Settings::FAST, 3);
    world.crash(0);
    world.run(SECOND);
    world.boot(0);
    world.run(SECOND);
    assert_eq!((world.authorities(), world.role(0)), (vec![1], Role::Standby));
}

#[test]
fn a_restart_at_once_gives_no_epoch_twice() {
    let mut world = settled(&Settings::FAST, 4);
    let before = world.members[0].supervisor.epoch();
    world.crash(0);
    world.boot(0);
    world.run(SECOND);
    let active = world.authorities();
    assert_eq!(active.len(), 1);
    assert!(world.members[active[0]].supervisor.epoch() > before);
    assert_eq!(world.overlaps, 0);
}

#[test]
fn without_a_majority_nobody_writes_and_with_one_again_somebody_does() {
    let mut world = settled(&Settings::FAST, 5);
    world.crash(1);
    world.crash(2);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0_usize; 0]);
    assert_ne!(world.role(0), Role::Active);
    world.boot(2);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
}

#[test]
fn a_voter_that_restarts_moves_the_holder_to_a_higher_epoch_without_a_gap() {
    let mut world = settled(&Settings::FAST, 6);
    let before = world.members[0].supervisor.epoch();
    world.crash(2);
    world.boot(2);
    for _slice in 0..1_000 {
        world.run(MILLI);
        assert_eq!(world.authorities(), [0], "at {} ns", world.now);
    }
    assert!(world.members[0].supervisor.epoch() > before);
}

#[test]
fn who_is_cut_off_stops_to_write_before_another_begins() {
    for seed in 0..50 {
        let mut world = settled(&Settings::FAST, seed);
        for other in [1, 2] {
            (world.cut[0][other], world.cut[other][0]) = (true, true);
        }
        world.run(SECOND);
        assert_eq!((world.authorities(), world.overlaps), (vec![1], 0), "seed {seed}");
        assert_ne!(world.role(0), Role::Active);
        world.heal();
        world.run(SECOND);
        assert_eq!((world.authorities(), world.role(0), world.overlaps), (vec![1], Role::Standby, 0));
    }
}

#[test]
fn an_operator_moves_authority_to_a_ready_standby_without_a_gap_longer_than_a_round_trip() {
    let mut world = settled(&Settings::FAST, 7);
    world.command(0, Command::SwitchOver { to: Some(Seat(1)) });
    let (mut gap, mut longest) = (0, 0);
    for _slice in 0..200 {
        world.run(MILLI / 2);
        gap = if world.authorities().is_empty() { gap + MILLI / 2 } else { 0 };
        longest = longest.max(gap);
    }
    assert_eq!(world.authorities(), [1]);
    assert!(longest <= 16 * MILLI, "{longest} ns: a hand-over, a request and a grant");
    assert_eq!(took_over(&world, 1).last().map(|taken| taken.1), Some(Reason::Operator));
    world.run(60 * SECOND);
    assert_eq!((world.authorities(), world.overlaps), (vec![1], 0));
}

#[test]
fn a_hand_over_waits_for_writes_that_are_outstanding() {
    let mut world = settled(&Settings::FAST, 8);
    let ends = world.local(0) + Span::from_secs(2);
    world.report(0, Health { writes_end: ends, ..HEALTHY });
    world.command(0, Command::SwitchOver { to: None });
    world.run(SECOND);
    assert_eq!((world.role(0), world.authorities()), (Role::HandingOver, vec![]));
    world.report(0, HEALTHY);
    world.run(100 * MILLI);
    assert_eq!(world.authorities(), [1]);
}

#[test]
fn authority_returns_to_the_first_after_its_dwell_if_the_site_says_so() {
    let settings = Settings { fail_back: FailBack::After(Span::from_secs(5)), ..Settings::FAST };
    let mut world = settled(&settings, 9);
    world.crash(0);
    world.run(SECOND);
    world.boot(0);
    world.run(4 * SECOND);
    assert_eq!(world.authorities(), [1]);
    world.run(2 * SECOND);
    assert_eq!(world.authorities(), [0]);
    assert_eq!(took_over(&world, 0).last().map(|taken| taken.1), Some(Reason::FailBack));
}

#[test]
fn lost_devices_move_authority_only_to_who_reaches_them() {
    let mut world = settled(&Settings::FAST, 10);
    let blind = Health { reaches_devices: false, ..HEALTHY };
    world.report(1, blind);
    world.run(100 * MILLI);
    world.report(0, blind);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    world.report(1, HEALTHY);
    world.run(SECOND);
    assert_eq!(world.authorities(), [1]);
}

#[test]
fn who_writes_too_late_is_left_at_once_but_not_for_who_did_so_itself_not_long_ago() {
    let mut settings = Settings::FAST;
    settings.fail_back = FailBack::After(Span::from_secs(3));
    let mut world = settled(&settings, 12);
    let late = Health { is_late: true, ..HEALTHY };
    world.report(0, late);
    world.run(200 * MILLI);
    assert_eq!(world.authorities(), [1]);
    assert_eq!(took_over(&world, 1).last().map(|taken| taken.1), Some(Reason::TooSlow));
    world.report(0, HEALTHY);
    world.report(1, late);
    world.run(50 * SECOND);
    assert_eq!(
        world.authorities(),
        [1],
        "the first was too slow as well, and nothing brings authority back to it"
    );
    world.run(20 * SECOND);
    assert_eq!(world.authorities(), [0]);
}

#[test]
fn maintenance_is_refused_on_the_active_without_a_ready_standby_unless_forced() {
    let mut world = settled(&Settings::FAST, 11);
    world.report(1, Health { is_ready: false, ..HEALTHY });
    world.run(100 * MILLI);
    world.command(0, Command::Maintenance { begins: true, is_forced: false });
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    world.command(0, Command::Maintenance { begins: true, is_forced: true });
    world.run(SECOND);
    assert_eq!((world.authorities(), world.role(0)), (vec![], Role::Maintenance));
    world.report(1, HEALTHY);
    world.run(SECOND);
    assert_eq!((world.authorities(), world.role(0)), (vec![1], Role::Maintenance));
    world.command(0, Command::Maintenance { begins: false, is_forced: false });
    world.run(SECOND);
    assert_eq!(world.role(0), Role::Standby);
}

#[test]
fn in_a_pair_that_holds_only_the_owner_acts_and_ownership_moves_by_hand_over() {
    let mut world = World::new(&[0, 1], false, &Settings::FAST, 12);
    (0..2).for_each(|seat| world.boot(seat));
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    // The owner is gone: the other waits, for ever.
    world.crash(0);
    world.run(60 * SECOND);
    assert_eq!(world.authorities(), [0_usize; 0]);
    world.boot(0);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    // Handed over, and durable at both.
    world.command(0, Command::SwitchOver { to: None });
    world.run(SECOND);
    assert_eq!(world.authorities(), [1]);
    world.crash(1);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0_usize; 0]);
    // An operator vouches that the other is off.
    world.command(0, Command::Sole { begins: true });
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
}

#[test]
fn in_a_pair_that_takes_over_silence_is_enough_and_the_higher_epoch_wins_when_the_link_heals() {
    let settings = Settings { on_silence: OnSilence::TakeOver, ..Settings::FAST };
    let mut world = World::new(&[0, 1], false, &settings, 13);
    (0..2).for_each(|seat| world.boot(seat));
    world.run(SECOND);
    assert_eq!(world.authorities(), [0]);
    (world.cut[0][1], world.cut[1][0]) = (true, true);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0, 1], "this is what the choice costs");
    world.heal();
    world.run(SECOND);
    assert_eq!(world.authorities(), [1]);
    let overlapped = |event: &Event| matches!(event, Event::AuthoritiesOverlapped { .. });
    assert!(world.members[0].events.iter().any(|(_at, event)| overlapped(event)));
}

#[test]
fn a_foreign_redundancy_section_is_told_and_not_understood() {
    let mut world = settled(&Settings::FAST, 14);
    assert!(!world.members[2].events.iter().any(|(_, event)| event.kind() == "section_differs"));
    let other = Settings { lease: Span::from_millis(21), ..Settings::FAST };
    let mut foreign = World::new(&[0, 1, 2], true, &other, 14);
    std::mem::swap(&mut foreign.members[1], &mut world.members[1]);
    drop(foreign);
    world.boot(1);
    world.run(SECOND);
    assert_eq!(world.authorities(), [0], "the one with other intervals shares the digest of this test");
}

/// One thing that goes wrong, or right again.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash(usize),
    CrashAndBoot(usize),
    Boot(usize),
    Cut(usize, usize),
    Join(usize, usize),
    Loss(u64),
    Delay(u64),
    Switch(usize),
    /// It does nothing for so many milliseconds.
    Stall(usize, u64),
    /// Disks take so many milliseconds.
    Sync(u64),
    /// Disks refuse to write, or write again.
    Disks(bool),
    /// It loses its devices, or reaches them again.
    Reach(usize, bool),
    Maintain(usize, bool),
}

fn fault(members: usize) -> impl Strategy<Value = Fault> {
    let seat = 0..members;
    prop_oneof![
        1 => seat.clone().prop_map(Fault::Crash),
        1 => seat.clone().prop_map(Fault::CrashAndBoot),
        2 => seat.clone().prop_map(Fault::Boot),
        1 => (seat.clone(), seat.clone()).prop_map(|(from, to)| Fault::Cut(from, to)),
        2 => (seat.clone(), seat.clone()).prop_map(|(from, to)| Fault::Join(from, to)),
        1 => (0_u64..60).prop_map(Fault::Loss),
        1 => (1_u64..60).prop_map(Fault::Delay),
        1 => seat.clone().prop_map(Fault::Switch),
        1 => (seat.clone(), 1_u64..60).prop_map(|(seat, millis)| Fault::Stall(seat, millis)),
        1 => (0_u64..400).prop_map(Fault::Sync),
        1 => any::<bool>().prop_map(Fault::Disks),
        1 => (seat.clone(), any::<bool>()).prop_map(|(seat, reaches)| Fault::Reach(seat, reaches)),
        1 => (seat, any::<bool>()).prop_map(|(seat, begins)| Fault::Maintain(seat, begins)),
    ]
}

fn apply(world: &mut World, fault: Fault) {
    match fault {
        Fault::Crash(seat) => world.crash(seat),
        Fault::CrashAndBoot(seat) => {
            world.crash(seat);
            world.boot(seat);
        }
        Fault::Boot(seat) if !world.members[seat].is_up => world.boot(seat),
        Fault::Boot(_) => {}
        Fault::Cut(from, to) => world.cut[from][to] = true,
        Fault::Join(from, to) => world.cut[from][to] = false,
        Fault::Loss(percent) => world.network.loss_percent = percent,
        Fault::Delay(millis) => {
            world.network =
                Network { delay_mean: millis * MILLI / 4, delay_max: millis * MILLI, ..world.network };
        }
        Fault::Switch(seat) => world.command(seat, Command::SwitchOver { to: None }),
        Fault::Stall(seat, millis) => world.stall(seat, millis * MILLI),
        Fault::Sync(millis) => world.sync = millis * MILLI,
        Fault::Disks(fail) => world.disks_fail = fail,
        Fault::Reach(seat, reaches_devices) => {
            world.report(seat, Health { reaches_devices, ..HEALTHY });
        }
        Fault::Maintain(seat, begins) => {
            world.command(seat, Command::Maintenance { begins, is_forced: true });
        }
    }
}

/// The hosts of the members, whether the last is a witness, and what a pair does on silence.
const COUNCILS: [(&[u16], bool, OnSilence); 8] = [
    (&[0, 1, 2], true, OnSilence::Hold),
    (&[0, 1, 2, 3], true, OnSilence::Hold),
    (&[0, 1, 2], false, OnSilence::Hold),
    (&[0, 0, 1], true, OnSilence::Hold),
    (&[0, 0, 1, 2], true, OnSilence::Hold),
    (&[0, 1], false, OnSilence::Hold),
    (&[0, 0, 1], false, OnSilence::Hold),
    (&[0, 1], false, OnSilence::TakeOver),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn at_most_one_holds_authority_and_a_healed_council_has_one(
        seed in any::<u64>(),
        (hosts, has_witness, on_silence) in prop::sample::select(COUNCILS.to_vec()),
        rates in prop::collection::vec(-600_000_i64..=600_000, 4),
        faults in prop::collection::vec((0_u64..60, fault(4)), 0..40),
    ) {
        let mut world = World::new(hosts, has_witness, &Settings { on_silence, ..Settings::FAST }, seed);
        for (seat, host) in hosts.iter().enumerate() {
            world.set_rate(seat, rates[usize::from(*host)]);
            world.boot(seat);
        }
        world.run(200 * MILLI);
        for (pause, fault) in faults {
            let is_there = match fault {
                Fault::Crash(seat)
                | Fault::CrashAndBoot(seat)
                | Fault::Boot(seat)
                | Fault::Switch(seat)
                | Fault::Stall(seat, _)
                | Fault::Reach(seat, _)
                | Fault::Maintain(seat, _) => seat < hosts.len(),
                Fault::Cut(from, to) | Fault::Join(from, to) => from < hosts.len() && to < hosts.len(),
                Fault::Loss(_) | Fault::Delay(_) | Fault::Sync(_) | Fault::Disks(_) => true,
            };
            if is_there {
                apply(&mut world, fault);
            }
            world.run(pause * MILLI);
        }
        world.heal();
        for seat in 0..hosts.len() {
            apply(&mut world, Fault::Maintain(seat, false));
            apply(&mut world, Fault::Reach(seat, true));
        }
        world.run(2 * SECOND);
        let roles: Vec<Role> = (0..hosts.len()).map(|seat| world.role(seat)).collect();
        prop_assert_eq!(world.authorities().len(), 1, "roles {:?}", roles);
        prop_assert!(world.overlaps == 0 || on_silence == OnSilence::TakeOver, "{} overlaps", world.overlaps);
    }
}

#[test]
fn votes_are_not_kept_for_who_hardly_hears_them() {
    for seed in 0..20 {
        let mut world = settled(&Settings::FAST, seed);
        assert_eq!(world.authorities(), [0]);
        // Everybody hears the active; of what is sent to it one message in six arrives.
        let mut slices = 0;
        while world.authorities() != [1] {
            let is_lost = world.below(6) > 0;
            (world.cut[1][0], world.cut[2][0]) = (is_lost, is_lost);
            world.run(MILLI);
            slices += 1;
            assert!(slices < 2_000, "seed {seed}: nobody else takes over");
        }
    }
}

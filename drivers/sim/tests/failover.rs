//! Crashes, partitions, wrong clocks, and who wrote when, in a grid of two controllers and a witness.

mod council_site;

use council_site::{BATTERY, Site, at, cut, host};
use r_ems_engine::event::Event;
use r_ems_engine::fleet::{Fleet, Turn};
use r_ems_engine::machine::{Delivery, Driver, Effect, Outcome};
use r_ems_engine::redundancy::{Command, Settings};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::authority::{Rule, Violation};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::network::{Chance, Delay};
use r_ems_sim::plant::Quantity;
use r_ems_sim::world::{Change, Life, PathChange, Timed};

#[test]
fn a_standby_takes_over_within_its_bound_and_one_writes_at_a_time() {
    let mut gaps = Vec::new();
    for seed in 0..100 {
        // The crash falls anywhere into a heartbeat.
        let crash =
            Timed { at: Time::from_nanos(1_000_000_000 + seed * 53_000), change: host(0, Life::Down) };
        let site = Site { timeline: vec![crash], ..Site::new(seed) };
        let found = site.authority();
        assert_eq!(found.violations, [], "seed {seed}");
        let [taken] = found.take_overs[..] else { panic!("seed {seed}: {:?}", found.take_overs) };
        assert_eq!((taken.from, taken.to), (0, 1));
        gaps.push(taken.gap());
    }
    gaps.sort_unstable();
    // A message may be lost or late: the bound without losses holds for nearly all.
    let bound = Settings::FAST.take_over_max(Span::from_millis(5), Span::ZERO);
    assert!(gaps[95] <= bound, "95 of 100 within {bound}: {} and {}", gaps[95], gaps[99]);
    assert!(gaps[50] <= Span::from_millis(30), "a median of {}", gaps[50]);
}

#[test]
fn the_peak_stays_shaved_and_set_points_do_not_jump_when_authority_moves() {
    let (undisturbed, _) = Site::new(1).run();
    let (result, machines) = Site::new(1).then(1_000, host(0, Life::Down)).run();
    assert_eq!((result.authority.violation_count, result.authority.take_overs.len()), (0, 1));
    assert!(machines[1].redundancy().role().holds());
    let discharged = |result: &RunResult| result.grids[0].energies.discharge_wh;
    let difference = discharged(&result) - discharged(&undisturbed);
    assert!(difference.abs() < 0.01, "{difference} Wh");
}

#[test]
fn a_standby_has_the_actives_state_of_a_few_scans_ago_also_where_half_of_all_messages_are_lost() {
    let lossy = Chance { numerator: 1, denominator: 2 };
    for (loss, age_max) in [(Chance::NEVER, Span::from_millis(16)), (lossy, Span::from_millis(300))] {
        let loses = Change::Path { from: 0, to: 1, change: PathChange::Loss(loss) };
        let (result, machines) = Site::new(3).then(500, loses).run();
        assert_eq!(result.authority.violations, []);
        assert!(machines[0].redundancy().role().holds());
        let now = LocalTime::ZERO + Span::from_secs(2);
        let age = machines[1].transfer().age(now).expect("it has had state");
        assert!(age <= age_max, "{age}");
    }
}

#[test]
fn a_standby_that_has_just_booted_gets_the_whole_state_at_once() {
    let site = Site { duration: Span::from_millis(1_600), ..Site::new(4) };
    let (_, machines) = site.then(500, host(1, Life::Down)).then(1_500, host(1, Life::Up)).run();
    // Its clock began at its boot: the state is younger than that, and it has 50 ms to start and be told.
    let age = machines[1].transfer().age(LocalTime::ZERO + Span::from_millis(100));
    assert!(age.is_some_and(|age| age <= Span::from_millis(50)), "{age:?}");
}

#[test]
fn who_is_cut_off_stops_before_the_other_begins_and_stays_a_standby_when_it_is_back() {
    for seed in 0..20 {
        let mut site = Site::new(seed);
        for (millis, is_cut) in [(1_000, true), (1_500, false)] {
            for other in [1, 2] {
                site = site.then(millis, cut(0, other, is_cut)).then(millis, cut(other, 0, is_cut));
            }
        }
        let (result, machines) = site.run();
        assert_eq!(result.authority.violations, [], "seed {seed}");
        assert_eq!(result.authority.take_overs.len(), 1, "seed {seed}");
        let roles = machines.iter().map(|machine| machine.redundancy().role().name()).collect::<Vec<_>>();
        assert_eq!(roles, ["standby", "active", "witness"], "seed {seed}");
    }
}

#[test]
fn a_new_holder_waits_for_writes_of_the_old_one_where_devices_check_no_epochs() {
    for seed in 0..20 {
        let slow = Site {
            longest_write: Span::from_millis(200),
            write_delay: Delay {
                at_least: Span::ZERO,
                mean: Span::from_millis(150),
                at_most: Span::from_millis(190),
            },
            checks_epochs: false,
            ..Site::new(seed)
        };
        let found = slow.clone().then(1_000, host(0, Life::Down)).authority();
        assert_eq!(found.violations, [], "seed {seed}");
        assert!(found.take_overs[0].gap() >= Span::from_millis(200), "seed {seed}");
    }
}

#[test]
fn a_declared_write_time_below_the_real_one_is_found_out() {
    let with = |longest_write, seed| {
        let site = Site {
            longest_write,
            write_delay: Delay {
                at_least: Span::ZERO,
                mean: Span::from_millis(150),
                at_most: Span::from_millis(190),
            },
            checks_epochs: false,
            swing: 40e3,
            ..Site::new(seed)
        };
        site.then(1_000, host(0, Life::Down)).authority().violations
    };
    let is_lower_epoch = |rule| matches!(rule, Rule::EpochsRise { .. });
    let lying = (0..10).flat_map(|seed| with(Span::from_millis(20), seed));
    assert!(lying.into_iter().any(|found| is_lower_epoch(found.rule)), "the checker bites");
    let honest = (0..10).flat_map(|seed| with(Span::from_millis(200), seed));
    assert_eq!(honest.count(), 0);
}

#[test]
fn a_restart_of_a_device_that_checks_no_epochs_excuses_no_late_write() {
    let (declared, real) = (Span::from_millis(20), Span::from_millis(190));
    let late = |seed: u64| {
        let site = Site { longest_write: declared, checks_epochs: false, swing: 40e3, ..Site::new(seed) }
            .then(1_000, host(0, Life::Down))
            .then(1_103, Change::RestartDevice { grid: 0, component: BATTERY });
        let mut world = site.world();
        let link = &mut world.posts[0].links[1];
        (link.write_delay, link.timeout) = (Delay::exactly(real), Span::from_millis(500));
        let mut driver = SimDriver::new(world).expect("links fit their bus");
        let mut fleet = Fleet::new(site.controllers());
        while fleet.turn(&mut driver).expect("no assertion fails") == Turn::Handled {}
        driver.finish().authority.violations
    };
    // Host b has written, and is connected again after 20 ms: all that comes before then is of host a.
    let is_of_a = |found: &Violation| {
        matches!(found.rule, Rule::EpochsRise { controller: 0, .. })
            && found.at > at(1_103)
            && found.at < at(1_123)
    };
    assert!((0..10).flat_map(late).any(|found| is_of_a(&found)));
}

/// Keeps what host b's controller writes.
struct Heard {
    inner: SimDriver,
    written: Vec<f64>,
}

impl Driver for Heard {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.inner.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let of_b = outcome.effects.as_slice().iter().filter(|_| outcome.from.0 == 1);
        let value =
            |effect: &Effect| if let Effect::Write(write) = effect { Some(write.value) } else { None };
        self.written.extend(of_b.filter_map(value));
        self.inner.perform(outcome);
    }
}

#[test]
fn a_device_that_restarts_may_take_a_late_write_of_the_old_holder_and_the_new_one_puts_it_right() {
    let mut most = 0;
    for seed in 0..20 {
        // Host a dies while 190 ms of its writes are on their way; b's arrive at once, and the device checks epochs.
        let site = Site { swing: 40e3, ..Site::new(seed) }
            .then(1_000, host(0, Life::Down))
            .then(1_103, Change::RestartDevice { grid: 0, component: BATTERY });
        let mut world = site.world();
        let link = &mut world.posts[0].links[1];
        (link.write_delay, link.timeout) = (Delay::exactly(Span::from_millis(190)), Span::from_millis(500));
        let inner = SimDriver::new(world).expect("links fit their bus");
        let held = inner.bus(0).truth(BATTERY, Quantity::SetPoint).expect("a battery holds one");
        let (mut driver, mut fleet) = (Heard { inner, written: Vec::new() }, Fleet::new(site.controllers()));
        let (mut from_a, mut last) = (0, Time::ZERO);
        while fleet.turn(&mut driver).expect("no assertion fails") == Turn::Handled {
            let (now, value) = (driver.inner.now(), driver.inner.bus(0).value(held));
            let knows = |written: &f64| (written - value).abs() < 1e-6;
            // After the restart it rests, and then holds what one of both has written.
            if now > at(1_103) && value.abs() > 1e-6 && !driver.written.iter().any(knows) {
                (from_a, last) = (from_a + 1, now);
            }
        }
        most = most.max(from_a);
        // The connection is new after 20 ms; then come a scan of 10 ms, the way, and the scan that reads it back.
        assert!(last <= at(1_160), "seed {seed}: a's set-point is held at {last}");
        assert_eq!(driver.inner.finish().authority.violations, [], "seed {seed}");
    }
    assert!(most > 0, "the epoch is what keeps late writes out, and it is gone");
}

#[test]
fn clocks_at_their_bound_break_nothing_and_far_beyond_it_the_checker_finds_two_authorities() {
    let rates = |rates_ppb: [i32; 3], seed| Site { rates_ppb, ..Site::new(seed) };
    let cut_off = |site: Site| {
        let mut site = site;
        for other in [1, 2] {
            site = site.then(1_000, cut(0, other, true)).then(1_000, cut(other, 0, true));
        }
        site.authority().violation_count
    };
    for seed in 0..20 {
        assert_eq!(cut_off(rates([-600_000, 600_000, 600_000], seed)), 0, "seed {seed}");
    }
    let beyond = (0..40).map(|seed| cut_off(rates([-100_000_000, 100_000_000, 100_000_000], seed)));
    assert!(beyond.sum::<u64>() > 0, "a tenth is far beyond the bound of 600 ppm");
}

/// Counts what controllers say of set-points that they took over.
struct Counting(SimDriver, usize);

impl Driver for Counting {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.0.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let taken_over =
            |effect: &&Effect| matches!(effect, Effect::Report(Event::SetPointsTakenOver { .. }));
        self.1 += outcome.effects.as_slice().iter().filter(taken_over).count();
        self.0.perform(outcome);
    }
}

#[test]
fn a_lease_that_is_renewed_after_a_lapse_is_no_take_over() {
    let maintenance = Command::Maintenance { begins: true, is_forced: false };
    let mut site = Site { swing: 40e3, ..Site::new(6) }
        .then(500, Change::Command { controller: 1, command: maintenance });
    for (millis, is_cut) in [(1_000, true), (1_035, false)] {
        site = site.then(millis, cut(0, 1, is_cut)).then(millis, cut(1, 0, is_cut));
        site = site.then(millis, cut(0, 2, is_cut)).then(millis, cut(2, 0, is_cut));
    }
    let mut driver = Counting(SimDriver::new(site.world()).expect("links fit their bus"), 0);
    let mut fleet = Fleet::new(site.controllers());
    fleet.run(&mut driver).expect("no assertion fails");
    assert!(fleet.machines()[0].redundancy().role().holds());
    assert_eq!(driver.1, 1, "only that of the start");
}

#[test]
fn without_a_witness_or_a_peer_nobody_writes_until_a_majority_is_back() {
    let site = Site::new(3)
        .then(1_000, host(2, Life::Down))
        .then(1_200, host(0, Life::Down))
        .then(1_700, host(2, Life::Up));
    let found = site.authority();
    assert_eq!(found.violations, []);
    let [taken] = found.take_overs[..] else { panic!("{:?}", found.take_overs) };
    // The witness has been back for W before it grants anything.
    assert!(taken.at >= at(1_720) && taken.at <= at(1_780), "{}", taken.at);
}

#[test]
fn an_operator_and_restarts_in_turn_leave_no_long_gap() {
    let switch = |controller| Change::Command { controller, command: Command::SwitchOver { to: None } };
    let site = Site::new(4)
        .then(500, switch(0))
        .then(700, host(0, Life::Down))
        .then(720, host(0, Life::Up))
        .then(1_200, switch(1))
        .then(1_400, host(1, Life::Down))
        .then(1_420, host(1, Life::Up))
        .then(1_700, host(2, Life::Down))
        .then(1_720, host(2, Life::Up));
    let found = site.authority();
    assert_eq!(found.violations, []);
    assert_eq!(
        found.take_overs.iter().map(|taken| (taken.from, taken.to)).collect::<Vec<_>>(),
        [(0, 1), (1, 0)]
    );
}

#[test]
fn the_same_seed_gives_the_same_take_over_and_a_fork_goes_on_alike() {
    let site = Site::new(5).then(1_000, host(0, Life::Down)).then(1_300, host(0, Life::Up));
    let (first, machines) = site.run();
    let (second, again) = site.run();
    assert_eq!(first.authority.take_overs, second.authority.take_overs);
    assert_eq!(machines, again);
    // The world and the fleet are cloned in the middle of the take-over, and both go on.
    let mut driver = SimDriver::new(site.world()).expect("links fit their bus");
    let mut fleet = Fleet::new(site.controllers());
    while driver.now() < at(1_010) {
        fleet.turn(&mut driver).expect("no assertion fails");
    }
    let (mut fork, mut forked) = (driver.clone(), fleet.clone());
    forked.run(&mut fork).expect("no assertion fails");
    assert_eq!(forked.machines(), machines);
    assert_eq!(fork.finish().authority.take_overs, first.authority.take_overs);
}

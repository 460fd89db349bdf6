//! The checkers find classic mistakes: each is made on purpose, in the real supervisors, and faults at random must bring it to
//! light within a bounded number of runs. Without a mistake the same runs show nothing.
//!
//! The switch is one for the whole process, so these tests run one after the other.

mod council_site;

use std::sync::{Mutex, MutexGuard, PoisonError};

use council_site::{Site, at, host};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::machine::{Delivery, Driver, Effect, Effects, Outcome};
use r_ems_engine::mistakes::{Mistake, make};
use r_ems_engine::redundancy::Command;
use r_ems_engine::rng::Stream;
use r_ems_engine::{Span, Time};
use r_ems_sim::authority::Rule;
use r_ems_sim::driver::SimDriver;
use r_ems_sim::network::{Chance, Delay, Path};
use r_ems_sim::progress::{Late, Member, Promise, Promised};
use r_ems_sim::world::{Change, Life, PathChange, Timed, WorldSpec};

/// In so many runs a mistake must be found; the hardest takes 166 when this is written, and one run in 300 finds it.
const RUNS: u64 = 5_000;
/// So many runs must show nothing where no mistake is made.
const CLEAN_RUNS: u64 = 1_200;
/// Of so many runs one has writes that wait for their driver.
const STALLED: u64 = 4;
const FAULTS: u64 = 20;
/// So long a storm of faults lasts.
const STORM_MS: u64 = 100;
const RATE_MAX_PPB: u64 = 600_000;

static SWITCH: Mutex<()> = Mutex::new(());

/// Makes a mistake until it is dropped, and keeps other tests from making theirs.
struct Making(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Making {
    fn new(mistake: Option<Mistake>) -> Self {
        let guard = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
        make(mistake);
        Self(guard)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        make(None);
    }
}

/// A site whose devices check no epochs and are slow, and on which things go wrong at random.
fn site(seed: u64) -> Site {
    let mut random = Stream::new(seed, 1);
    let slow = Delay { at_least: Span::ZERO, mean: Span::from_millis(20), at_most: Span::from_millis(30) };
    let mut rate = || random.below(2 * RATE_MAX_PPB + 1) as i32 - RATE_MAX_PPB as i32;
    let rates_ppb = [rate(), rate(), rate()];
    let mut timeline = Vec::new();
    let storms = [0, 0].map(|_| 500 + random.below(1_200));
    for _fault in 0..random.below(FAULTS) + 1 {
        fault(&mut random, storms, is_stalled(seed), &mut timeline);
    }
    timeline.sort_by_key(|timed| timed.at);
    Site {
        longest_write: Span::from_millis(40),
        write_delay: slow,
        checks_epochs: false,
        swing: 40e3,
        rates_ppb,
        timeline,
        ..Site::new(seed)
    }
}

fn is_stalled(seed: u64) -> bool {
    seed % STALLED == STALLED - 1
}

/// Adds one fault, which ends sooner or later. Faults come in storms: what is well-behaved alone may not be in company.
fn fault(random: &mut Stream, storms: [u64; 2], is_stalled: bool, timeline: &mut Vec<Timed>) {
    let begins = storms[random.below(2) as usize] + random.below(STORM_MS);
    let ends = begins + [0, 5, 30, 200][random.below(4) as usize];
    let (one, other) = (random.below(3) as u16, random.below(3) as u16);
    let mut push = |millis: u64, change| timeline.push(Timed { at: at(millis), change });
    let mut on_path = |from, to, (worse, well): (PathChange, PathChange)| {
        push(begins, Change::Path { from, to, change: worse });
        push(ends, Change::Path { from, to, change: well });
    };
    let isolated = (PathChange::Cut(true), PathChange::Cut(false));
    match random.below(8) {
        0 | 1 => {
            push(begins, host(one, Life::Down));
            push(ends, host(one, Life::Up));
        }
        2 => on_path(one, other, isolated),
        3 => [(one, other), (other, one)].into_iter().for_each(|(from, to)| on_path(from, to, isolated)),
        4 => {
            for (from, to) in (0..3).filter(|to| *to != one).flat_map(|to| [(one, to), (to, one)]) {
                on_path(from, to, isolated);
            }
        }
        5 => on_path(
            one,
            other,
            (PathChange::Loss(Chance { numerator: 1, denominator: 3 }), PathChange::Loss(Chance::NEVER)),
        ),
        6 => {
            let (at_least, at_most) = (Span::from_millis(4), Span::from_millis(15));
            let slow = Delay { at_least, mean: Span::from_millis(4), at_most };
            on_path(one, other, (PathChange::Delay(slow), PathChange::Delay(Path::LOCAL.delay)));
        }
        // A stall of the driver alone is not what a hand-over reckons with.
        _ if !is_stalled => {
            push(begins, Change::Command { controller: one, command: Command::SwitchOver { to: None } });
        }
        _ => {}
    }
}

/// A driver whose writes sometimes wait before they are looked at, as behind a bus that is busy.
struct Stalling {
    inner: SimDriver,
    random: Stream,
    writes: Effects,
    /// By controller: the rate of its clock.
    rates_ppb: [i32; 3],
}

impl Stalling {
    const LONGEST_MS: u64 = 100;

    fn new(inner: SimDriver, seed: u64, rates_ppb: [i32; 3]) -> Self {
        Self { inner, random: Stream::new(seed, 2), writes: Effects::new(), rates_ppb }
    }
}

impl Driver for Stalling {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.inner.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let is_write = |effect: &&Effect| matches!(effect, Effect::Write(_));
        let (mut rest, stall) = (Effects::new(), Span::from_millis(self.random.below(Self::LONGEST_MS)));
        self.writes.clear();
        outcome.effects.as_slice().iter().filter(is_write).for_each(|write| self.writes.push(*write));
        outcome
            .effects
            .as_slice()
            .iter()
            .filter(|effect| !is_write(effect))
            .for_each(|other| rest.push(*other));
        let Outcome { at, now, from, deadline, effects: _, state } = *outcome;
        // So much passes on the clock of whoever writes, and a nanosecond for what is rounded.
        let rate = i128::from(1_000_000_000 + self.rates_ppb[usize::from(from.0)]);
        let by_clock = i128::from(stall.as_nanos()) * rate / 1_000_000_000 + 1;
        let by_clock = Span::from_nanos(u64::try_from(by_clock).expect("a clock runs forwards"));
        let (late, now_late) = (at + stall, now + by_clock);
        let writes = Outcome { at: late, now: now_late, from, deadline, effects: &self.writes, state };
        // A lease is told of before what is written under it.
        self.inner.perform(&Outcome { at, now, from, deadline, effects: &rest, state });
        self.inner.perform(&writes);
    }
}

/// The first rule that a run of this seed breaks.
fn broken(seed: u64) -> Option<Rule> {
    let site = site(seed);
    let mut fleet = Fleet::new(site.controllers());
    let mut driver = SimDriver::new(site.world()).expect("links fit their bus");
    let authority = if is_stalled(seed) {
        let mut driver = Stalling::new(driver, seed, site.rates_ppb);
        fleet.run(&mut driver).expect("no assertion fails");
        driver.inner.finish().authority
    } else {
        fleet.run(&mut driver).expect("no assertion fails");
        driver.finish().authority
    };
    authority.violations.first().map(|violation| violation.rule)
}

/// The rule by which the mistake is found first.
fn found(mistake: Mistake) -> Rule {
    let _making = Making::new(Some(mistake));
    (0..RUNS).find_map(broken).unwrap_or_else(|| panic!("{} is not found in {RUNS} runs", mistake.name()))
}

#[test]
fn without_a_mistake_nothing_is_found() {
    let _making = Making::new(None);
    for seed in 0..CLEAN_RUNS {
        assert_eq!(broken(seed), None, "seed {seed}");
    }
}

#[test]
fn a_grantor_that_forgets_its_grants_over_a_restart_is_found() {
    assert!(matches!(found(Mistake::ForgetsGrants), Rule::OneAuthority { .. } | Rule::NewEpochs { .. }));
}

#[test]
fn a_lease_that_is_counted_from_the_answer_is_found() {
    assert!(matches!(found(Mistake::LeaseFromAnswer), Rule::OneAuthority { .. }));
}

#[test]
fn epochs_that_are_not_durable_are_found() {
    assert!(matches!(found(Mistake::EpochNotDurable), Rule::NewEpochs { .. } | Rule::EpochsRise { .. }));
}

#[test]
fn a_grant_that_counts_for_a_newer_request_is_found() {
    assert!(matches!(found(Mistake::GrantForNewerRequest), Rule::OneAuthority { .. }));
}

#[test]
fn an_expired_write_that_is_performed_is_found() {
    assert!(matches!(found(Mistake::ExpiredWritePerformed), Rule::SentInTime { .. }));
}

#[test]
fn a_controller_that_restarts_as_active_is_found() {
    assert!(matches!(found(Mistake::RestartsAsActive), Rule::OneAuthority { .. } | Rule::NewEpochs { .. }));
}

#[test]
fn a_new_holder_that_does_not_wait_for_writes_on_their_way_is_found() {
    assert!(matches!(found(Mistake::NoWaitForWrites), Rule::EpochsRise { .. }));
}

#[test]
fn a_grantor_that_grants_to_another_at_once_is_found() {
    assert!(matches!(found(Mistake::GrantsToAnotherAtOnce), Rule::OneAuthority { .. }));
}

#[test]
fn a_refusal_that_changes_what_was_granted_is_found() {
    assert!(matches!(found(Mistake::RefusalChangesState), Rule::OneAuthority { .. }));
}

#[test]
fn a_release_with_a_write_outstanding_is_found() {
    assert!(matches!(found(Mistake::ReleasesOutstanding), Rule::NothingOutstanding { .. }));
}

/// What is late where authority moves to the other and back to a new life of the one that had it.
fn late_after_authority_came_back() -> Vec<Late> {
    let back = Change::Command { controller: 1, command: Command::SwitchOver { to: None } };
    let mut site =
        Site::new(1).then(3_000, host(0, Life::Down)).then(3_500, host(0, Life::Up)).then(5_000, back);
    site.duration = Span::from_secs(7);
    let member = |place| Member { place, votes: true, writes: place < 2, is_heir: place < 2 };
    let promised = Promised {
        grid: 0,
        members: (0..3).map(member).collect(),
        majority: 2,
        needs_no_vote_of_the_dead: false,
        within: Span::from_millis(60),
        settles_within: Span::from_secs(1),
        doubts_for: Span::ZERO,
        clock_rate_max_ppb: site.settings.clock_rate_max_ppb,
    };
    let world = WorldSpec { promised: vec![promised], ..site.world() };
    let mut driver = SimDriver::new(world).expect("links fit their bus");
    Fleet::new(site.controllers()).run(&mut driver).expect("no assertion fails");
    driver.finish().progress.late
}

#[test]
fn a_standby_that_compares_scans_across_authorities_is_found() {
    let promises = |mistake| {
        let _making = Making::new(mistake);
        late_after_authority_came_back().into_iter().map(|late| (late.promise, late.able)).collect::<Vec<_>>()
    };
    assert_eq!(promises(None), []);
    assert_eq!(promises(Some(Mistake::ComparesScansOnly)), [(Promise::StandsBy, 1)]);
}

/// When the set-point ended that the battery still follows, if it does: both controllers are off for two seconds.
fn outlived() -> Option<Time> {
    let mut site = Site::new(1).then(1_000, host(0, Life::Down)).then(1_000, host(1, Life::Down));
    (site.duration, site.reversion, site.swing) = (Span::from_secs(3), Some(Span::from_millis(500)), 40e3);
    site.run().0.grids[0].reversion.err().map(|outlived| outlived.ended_at)
}

#[test]
fn a_device_whose_timer_has_no_effect_is_found() {
    let ended = |mistake| {
        let _making = Making::new(mistake);
        outlived()
    };
    assert_eq!(ended(None), None);
    let ended = ended(Some(Mistake::TimerWithoutEffect)).expect("it follows a set-point that has ended");
    assert!(ended > at(1_250) && ended < at(1_510), "{ended:?}");
}

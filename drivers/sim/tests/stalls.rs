//! Hosts and processes that stand still between deciding and doing, in a grid of two controllers and a witness.

mod council_site;

use council_site::{Site, at, host};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::machine::{Delivery, Driver, Effect, Input, Outcome, Step, WriteOutcome};
use r_ems_engine::redundancy::{Command, Seat, Settings};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::authority::{AuthorityResult, Rule};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::links::Edge;
use r_ems_sim::world::{Change, Life, Stalled, StalledClock, Timed};

const HOST_A: Stalled = Stalled::Host(0);

/// Devices that check no epochs, and set-points that are written at every scan.
fn plain(seed: u64) -> Site {
    Site { checks_epochs: false, longest_write: Span::from_millis(2), swing: 40e3, ..Site::new(seed) }
}

fn stalled(site: Site, whom: Stalled, clock: StalledClock, (from, to): (Time, Time)) -> Site {
    let change = |edge| Change::Stall { whom, clock, edge };
    let edges = [(from, Edge::Begins), (to, Edge::Ends)];
    let timeline = site.timeline.iter().copied();
    let stall = edges.map(|(at, edge)| Timed { at, change: change(edge) });
    let mut timeline: Vec<Timed> = timeline.chain(stall).collect();
    timeline.sort_by_key(|timed| timed.at);
    Site { timeline, ..site }
}

/// What reaches one controller, and what of its writes is sent when.
struct Heard {
    inner: SimDriver,
    place: u16,
    deliveries: Vec<(Time, LocalTime, What)>,
    wrote_at: Vec<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Boot,
    Wake,
    Message,
    Written(WriteOutcome),
    Other,
}

impl Driver for Heard {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        if delivery.to.0 == self.place {
            let what = match delivery.step {
                Step::Boot(_) => What::Boot,
                Step::Input(Input::Wake) => What::Wake,
                Step::Input(Input::Message { .. } | Input::Transfer { .. }) => What::Message,
                Step::Input(Input::Written { outcome, .. }) => What::Written(outcome),
                Step::Restore { .. } | Step::Input(_) => What::Other,
            };
            self.deliveries.push((delivery.at, delivery.now, what));
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let writes = outcome.effects.as_slice().iter().any(|effect| matches!(effect, Effect::Write(_)));
        if outcome.from.0 == self.place && writes {
            self.wrote_at.push(outcome.at);
        }
        self.inner.perform(outcome);
    }
}

fn heard(site: &Site, place: u16) -> (Heard, AuthorityResult) {
    let inner = SimDriver::new(site.world()).expect("links fit their bus");
    let mut driver = Heard { inner, place, deliveries: Vec::new(), wrote_at: Vec::new() };
    Fleet::new(site.controllers()).run(&mut driver).expect("no assertion fails");
    let result = driver.inner.finish().authority;
    (driver, result)
}

fn lower_epochs(found: &AuthorityResult) -> usize {
    found.violations.iter().filter(|found| matches!(found.rule, Rule::EpochsRise { .. })).count()
}

#[test]
fn what_comes_during_a_stall_waits_in_its_order_and_the_wake_comes_once() {
    let (from, to) = (at(1_003), at(1_043));
    for clock in [StalledClock::Running, StalledClock::Stopped] {
        let (a, _) = heard(&stalled(plain(1), HOST_A, clock, (from, to)), 0);
        let during: Vec<_> = a.deliveries.iter().filter(|heard| heard.0 >= from && heard.0 < to).collect();
        let caught = during.last().expect("something catches it");
        assert!(caught.0 < from + Span::from_millis(10), "{during:?}");
        let late: Vec<_> = a.deliveries.iter().filter(|heard| heard.0 == to).collect();
        let messages = late.iter().filter(|heard| heard.2 == What::Message).count();
        assert!(messages >= 4, "heartbeats and grants of 40 ms wait: {late:?}");
        let wakes: Vec<usize> =
            (0..).zip(&late).filter(|(_, heard)| heard.2 == What::Wake).map(|found| found.0).collect();
        match clock {
            StalledClock::Running => {
                assert_eq!(wakes, [late.len() - 1], "one wake, after all that waited: {late:?}");
                assert!(late.iter().all(|heard| heard.1 == LocalTime::ZERO + to.since(Time::ZERO)));
            }
            StalledClock::Stopped => {
                assert_eq!(wakes, [], "no time has passed: {late:?}");
                assert!(late.iter().all(|heard| heard.1 == caught.1), "{caught:?} {late:?}");
            }
        }
    }
}

#[test]
fn what_was_decided_before_a_short_stall_is_done_after_it() {
    let mut caught = 0;
    for offset in 0..20 {
        let from = at(1_000) + Span::from_micros(500 * offset);
        let to = from + Span::from_millis(4);
        let site = stalled(plain(offset), HOST_A, StalledClock::Running, (from, to));
        let (a, found) = heard(&site, 0);
        assert_eq!((found.violations, found.take_overs), (vec![], vec![]), "{offset}");
        if a.wrote_at.iter().any(|at| *at >= from && *at < to) {
            let after =
                a.deliveries.iter().find(|heard| heard.0 > from && matches!(heard.2, What::Written(_)));
            let (done, _, what) = *after.expect("the write is answered");
            assert_eq!(what, What::Written(WriteOutcome::Acknowledged));
            assert_eq!(done, to + Span::from_micros(500), "it left when the stall was over");
            caught += 1;
        }
    }
    assert!(caught > 3, "{caught} of 20 stalls caught a write");
}

#[test]
fn a_stall_of_any_length_with_a_running_clock_breaks_nothing_and_what_it_kept_expires() {
    let mut expired = 0;
    for seed in 0..60 {
        let from = at(1_000) + Span::from_micros(173 * seed);
        let to = from + Span::from_millis(15 * (seed % 30));
        let site = stalled(plain(seed), HOST_A, StalledClock::Running, (from, to));
        let (a, found) = heard(&site, 0);
        assert_eq!(found.violations, [], "seed {seed}");
        let is_expired = |heard: &&(Time, LocalTime, What)| heard.2 == What::Written(WriteOutcome::Expired);
        expired += a.deliveries.iter().filter(is_expired).count();
    }
    assert!(expired > 10, "{expired} writes expired");
}

#[test]
fn a_stall_with_a_stopped_clock_breaks_epochs_from_about_a_take_over_on() {
    let broken = |millis| {
        let runs = (0..60).map(|seed| {
            let from = at(1_000) + Span::from_micros(173 * seed);
            let to = from + Span::from_millis(millis);
            lower_epochs(&stalled(plain(seed), HOST_A, StalledClock::Stopped, (from, to)).authority())
        });
        runs.sum::<usize>()
    };
    // No voter forgets the last grant before it.
    let certain = Settings::FAST.grantor_wait().as_nanos() / 1_000_000 - 10;
    assert_eq!(broken(certain), 0);
    for millis in [40, 100, 500] {
        let found = broken(millis);
        assert!(found > 15, "{found} of 60 stalls of {millis} ms: the checker bites");
    }
}

#[test]
fn another_takes_over_from_who_stands_still_and_who_comes_back_is_a_standby() {
    for whom in [HOST_A, Stalled::Process(0)] {
        let site = stalled(Site::new(5), whom, StalledClock::Running, (at(1_000), at(1_500)));
        let (result, machines) = site.run();
        assert_eq!(result.authority.violations, []);
        assert_eq!(result.authority.take_overs.len(), 1);
        let roles = machines.iter().map(|machine| machine.redundancy().role().name()).collect::<Vec<_>>();
        assert_eq!(roles, ["standby", "active", "witness"]);
    }
}

#[test]
fn authority_that_was_switched_over_returns_only_after_a_stall_that_is_longer_than_promised() {
    // The longest delay between these hosts, and a lease whose heartbeats leave room for a stall.
    let delay = Span::from_millis(5);
    let settings = Settings {
        watchdog: Span::from_millis(20),
        lease: Span::from_millis(40),
        retry: Span::from_millis(2),
        ..Settings::FAST
    };
    let roles = |offset: u64, lasts: Span| {
        let to_b = Change::Command { controller: 0, command: Command::SwitchOver { to: Some(Seat(1)) } };
        let site = Site { settings: settings.clone(), ..plain(offset) }.then(1_000, to_b);
        let from = at(1_000) + Span::from_micros(1_730 * offset);
        let (result, machines) =
            stalled(site, Stalled::Host(1), StalledClock::Running, (from, from + lasts)).run();
        assert_eq!(result.authority.violations, [], "{offset}");
        [0, 1].map(|place: usize| machines[place].redundancy().role().name())
    };
    let (promised, over) = (settings.stall_max(delay), settings.grantor_wait() + delay * 3);
    for offset in 0..100 {
        assert_eq!(roles(offset, promised), ["standby", "active"], "{offset}");
    }
    // Who has just handed over waits for a while before it seeks authority itself.
    for offset in 60..100 {
        assert_eq!(roles(offset, over), ["active", "standby"], "{offset}");
    }
}

#[test]
fn so_many_letters_wait_and_the_later_ones_are_lost() {
    let (from, to) = (at(500), at(4_500));
    let witness = stalled(
        Site { duration: Span::from_secs(5), ..plain(1) },
        Stalled::Host(2),
        StalledClock::Running,
        (from, to),
    );
    let (w, found) = heard(&witness, 2);
    assert_eq!(found.violations, []);
    let late = |heard: &&(Time, LocalTime, What)| heard.0 == to && heard.2 == What::Message;
    assert_eq!(w.deliveries.iter().filter(late).count(), 256);
    assert!(w.deliveries.iter().any(|heard| heard.0 > to && heard.2 == What::Message), "it hears again");
}

#[test]
fn a_crash_during_a_stall_takes_what_waits() {
    let crash = |from: Time| {
        let site = plain(7).then(1_030, host(0, Life::Down)).then(1_040, host(0, Life::Up));
        heard(&stalled(site, HOST_A, StalledClock::Stopped, (from, at(1_060))), 0)
    };
    let (a, found) = crash(at(1_003));
    assert_eq!(lower_epochs(&found), 0);
    let after: Vec<_> = a.deliveries.iter().filter(|heard| heard.0 > at(1_020)).collect();
    assert_eq!((after[0].0, after[0].2), (at(1_040), What::Boot), "the life that stood still heard no more");
    assert!(
        after.iter().any(|heard| heard.0 < at(1_060) && heard.2 == What::Wake),
        "the new one runs at once"
    );
}

//! Hosts and processes that end in order: authority moves on purpose, and nothing waits for ever.

mod council_site;

use std::panic::{AssertUnwindSafe, catch_unwind};

use council_site::{Site, at, host};
use r_ems_engine::controller::{Controller, ControllerSpec, HAND_OVER_PATIENCE, Phase};
use r_ems_engine::fleet::{Fleet, Poisoned};
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::log::Header;
use r_ems_engine::machine::{
    Afterwards, Boot, Delivery, Driver, Effects, Handled, Input, Machine, Outcome, Step,
};
use r_ems_engine::persistence::recovery::Containment;
use r_ems_engine::redundancy::{Command, Settings};
use r_ems_engine::serde::{Deserialize, Serialize};
use r_ems_engine::units::Watts;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::network::Delay;
use r_ems_sim::world::{Change, Life, Timed};

fn process(controller: u16, state: Life) -> Change {
    Change::Process { controller, state }
}

/// The longest and the median gap of a hundred runs in which host a goes so.
fn gaps(state: Life, site: impl Fn(u64) -> Site) -> (Span, Span) {
    let gap = |seed: u64| {
        let goes = Timed { at: Time::from_nanos(1_000_000_000 + seed * 53_000), change: host(0, state) };
        let found = Site { timeline: vec![goes], ..site(seed) }.authority();
        assert_eq!(found.violations, [], "seed {seed}");
        let [taken] = found.take_overs[..] else { panic!("seed {seed}: {:?}", found.take_overs) };
        assert_eq!((taken.from, taken.to), (0, 1));
        taken.gap()
    };
    let mut gaps: Vec<Span> = (0..100).map(gap).collect();
    gaps.sort_unstable();
    (gaps[99], gaps[50])
}

#[test]
fn a_host_that_is_stopped_hands_over_faster_than_one_that_crashes() {
    let stopped = gaps(Life::Stops, Site::new);
    let crashed = gaps(Life::Down, Site::new);
    // The last write of the one and the first of the other are a scan apart in any case.
    assert!(stopped.1 < Span::from_millis(20) && stopped.1 < crashed.1, "{stopped:?} and {crashed:?}");
}

#[test]
fn nothing_is_released_while_a_write_may_still_be_applied() {
    let write = Span::from_millis(15);
    let slow = |seed| Site {
        longest_write: write,
        write_delay: Delay { at_least: Span::ZERO, mean: write, at_most: write },
        checks_epochs: false,
        swing: 40e3,
        ..Site::new(seed)
    };
    gaps(Life::Stops, slow);
}

#[test]
fn who_cannot_hand_over_ends_all_the_same_and_goes_on_when_it_is_back() {
    let site = Site { duration: Span::from_secs(3), swing: 40e3, ..Site::new(1) };
    let site = site.then(500, host(1, Life::Down)).then(1_000, process(0, Life::Stops));
    let (result, machines) = site.clone().run();
    assert_eq!(result.authority.violations, []);
    assert_eq!(machines[0].phase(), Phase::Stopped);
    let [(grid, since)] = result.authority.waiting[..] else { panic!("{:?}", result.authority.waiting) };
    assert!(grid == 0 && since < at(1_010), "it stops at once: {since}");
    let (result, machines) = site.then(1_001, process(0, Life::Up)).run();
    assert_eq!(result.authority.violations, []);
    assert!(machines[0].redundancy().role().holds(), "it was asked to start while it ended, or after");
}

#[test]
fn who_ends_last_leaves_devices_as_the_site_says_with_a_majority_and_writes_nothing_without() {
    for (gone, is_left) in [(&[1][..], true), (&[1, 2], false)] {
        let site =
            Site { duration: Span::from_secs(4), swing: 40e3, at_stop: Some(Watts::ZERO), ..Site::new(1) };
        let gone = gone.iter().fold(site, |site, place| site.then(500, host(*place, Life::Stops)));
        let (result, machines) = gone.then(2_000, process(0, Life::Stops)).run();
        assert_eq!(result.authority.violations, []);
        let channel = &machines[0].set_points().channels()[0];
        let told = channel.last().or(channel.past()).expect("it was written").power;
        assert_eq!((told == Watts::ZERO, machines[0].phase()), (is_left, Phase::Stopped), "{told}");
    }
}

#[test]
fn a_successor_that_dies_while_it_is_called_is_not_waited_for() {
    let timeline =
        [(1_000, process(0, Life::Stops)), (1_000, host(1, Life::Down)), (1_000, host(2, Life::Down))];
    let site = timeline.into_iter().fold(Site::new(1), |site, (millis, change)| site.then(millis, change));
    let ends = Span::from_secs(1) + HAND_OVER_PATIENCE;
    for (duration, is_over) in [(Span::from_nanos(ends.as_nanos() - 1), false), (ends, true)] {
        let (result, machines) = Site { duration, ..site.clone() }.run();
        assert_eq!(result.authority.violations, []);
        assert_eq!(machines[0].phase() == Phase::Stopped, is_over);
    }
}

#[test]
fn all_hosts_may_be_stopped_at_once_and_start_again() {
    for seed in 0..30 {
        let site = Site { settings: Settings::FAST, duration: Span::from_secs(4), ..Site::new(seed) };
        let stopped = (0..3).fold(site, |site, place| site.then(1_000, host(place, Life::Stops)));
        let again =
            (0..3).fold(stopped, |site, place| site.then(1_005 + u64::from(place), host(place, Life::Up)));
        let (result, machines) = again.run();
        assert_eq!(result.authority.violations, [], "seed {seed}");
        assert!(machines.iter().any(|machine| machine.redundancy().role().holds()), "seed {seed}");
    }
}

/// A controller that fails an assertion when it is asked to stop.
#[derive(Clone, Serialize, Deserialize)]
#[serde(crate = "r_ems_engine::serde")]
struct FailsToStop(Controller<BuiltIn>);

impl Machine for FailsToStop {
    type Spec = ControllerSpec<BuiltIn>;

    fn new(spec: &Self::Spec) -> Self {
        Self(Controller::new(spec))
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.0.boot(now, boot, out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        assert!(*input != Input::Command(Command::Stop), "it cannot stop");
        self.0.handle(now, input, out);
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.0.deadline()
    }
}

/// Catches what fails, and counts the boots of controller a.
struct Catching(SimDriver, usize);

impl Driver for Catching {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.0.next()?;
        self.1 += usize::from(delivery.to.0 == 0 && matches!(delivery.step, Step::Boot(_)));
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.0.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.0.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        catch_unwind(AssertUnwindSafe(run)).map_or(Handled::Poisoned, |()| Handled::Done)
    }
}

impl Containment for Catching {
    fn contain(run: &mut dyn FnMut()) -> Handled {
        <Self as Driver>::contain(run)
    }
}

/// How often controller a booted in a run in which it fails to stop.
fn boots_of_a(timeline: &[(u64, Change)]) -> usize {
    let site = Site { duration: Span::from_secs(6), ..Site::new(1) };
    let site = timeline.iter().fold(site, |site, (millis, change)| site.then(*millis, *change));
    let machines: Vec<FailsToStop> = site.controllers().into_iter().map(FailsToStop).collect();
    let inner = SimDriver::new(site.world()).expect("links fit their bus");
    let header = Header::new(&[], Vec::new());
    let mut driver = Catching(inner.with_persistence::<_, Catching>(&header, &machines), 0);
    let mut fleet = Fleet::new(machines);
    fleet.run(&mut driver).expect("others go on");
    let result = driver.0.finish();
    assert_eq!((result.authority.violations.len(), result.failures.len()), (0, 1));
    assert!(fleet.machines()[1].0.redundancy().role().holds(), "another has taken over");
    driver.1
}

#[test]
fn who_fails_while_it_ends_has_ended() {
    for change in [process(0, Life::Stops), host(0, Life::Stops)] {
        assert_eq!(boots_of_a(&[(1_000, change)]), 1, "{change:?}");
    }
    assert_eq!(boots_of_a(&[(1_000, host(0, Life::Stops)), (2_000, host(0, Life::Up))]), 2);
}

#[test]
fn a_host_goes_when_the_process_that_it_waits_for_is_killed() {
    let alone = [(1_000, host(1, Life::Down)), (1_000, host(2, Life::Down))];
    let stopped =
        [(1_000, host(0, Life::Stops)), (1_010, process(0, Life::Down)), (1_020, host(0, Life::Up))];
    let timeline = alone.into_iter().chain(stopped);
    let site = timeline.fold(Site::new(1), |site, (millis, change)| site.then(millis, change));
    let (result, machines) = site.run();
    assert_eq!(result.authority.violations, []);
    assert_eq!(machines[0].phase(), Phase::Running, "it has not waited for the end of its patience");
}

//! Hosts and processes that end in order: authority moves on purpose, and nothing waits for ever.

mod council_site;

use council_site::{Site, at, host};
use r_ems_engine::controller::{HAND_OVER_PATIENCE, Phase};
use r_ems_engine::redundancy::Settings;
use r_ems_engine::{Span, Time};
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

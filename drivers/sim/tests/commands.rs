//! What is asked from outside while a world runs is the same thing as what was planned for that instant.

mod council_site;

use council_site::{Site, at, host};
use r_ems_engine::controller::{Controller, Phase};
use r_ems_engine::fleet::{Fleet, Turn};
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::machine::Commanded;
use r_ems_engine::redundancy::{Command, Role};
use r_ems_engine::{Span, Time};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::links::Edge;
use r_ems_sim::world::{Change, Life, Stalled, StalledClock, Timed};

/// Runs a site; once its time is `after`, `deed` is done to its driver.
fn run(site: &Site, after: Time, deed: impl FnOnce(&mut SimDriver)) -> (RunResult, Vec<Controller<BuiltIn>>) {
    let mut driver = SimDriver::new(site.world()).expect("links fit their bus");
    let mut fleet = Fleet::new(site.controllers());
    let mut deed = Some(deed);
    while fleet.turn(&mut driver) == Ok(Turn::Handled) {
        if driver.now() >= after
            && let Some(deed) = deed.take()
        {
            deed(&mut driver);
        }
    }
    (driver.finish(), fleet.machines().to_vec())
}

const SWITCH: Command = Command::SwitchOver { to: None };

#[test]
fn a_command_from_outside_is_the_same_as_a_planned_one() {
    let stall = |edge| Change::Stall { whom: Stalled::Host(0), clock: StalledClock::Running, edge };
    let standing = Site::new(3).then(695, stall(Edge::Begins)).then(705, stall(Edge::Ends));
    for site in [Site::new(1), Site::new(2), standing] {
        for when in [at(501), at(700), at(1_003) + Span::from_nanos(7)] {
            let mut with_plan = site.clone();
            with_plan
                .timeline
                .push(Timed { at: when, change: Change::Command { controller: 0, command: SWITCH } });
            let planned = with_plan.run();
            let asked = run(&site, at(500), |driver| driver.command(when, ControllerIndex(0), SWITCH));
            assert_eq!(planned.1, asked.1, "{when}");
            assert_eq!(format!("{:?}", planned.0.authority), format!("{:?}", asked.0.authority));
            assert!(asked.1[1].redundancy().role() == Role::Active, "authority moved");
        }
    }
}

#[test]
fn a_command_for_an_instant_that_is_over_is_for_now() {
    let site = Site::new(1);
    let early = run(&site, at(500), |driver| driver.command(at(400), ControllerIndex(0), SWITCH));
    let now = run(&site, at(500), |driver| driver.command(driver.now(), ControllerIndex(0), SWITCH));
    assert_eq!(early.1, now.1);
    assert!(early.1[1].redundancy().role() == Role::Active, "authority moved");
}

#[test]
fn a_command_for_who_is_down_reaches_nobody_and_is_recorded() {
    let site = Site { duration: Span::from_secs(2), ..Site::new(1) }.then(300, host(0, Life::Down));
    let (result, _machines) = run(&site, at(500), |driver| {
        driver.command(at(500), ControllerIndex(0), SWITCH);
    });
    assert_eq!(result.authority.unheard.len(), 1);
}

#[test]
fn a_run_that_is_stopped_is_over_when_all_have_ended() {
    let site = Site { duration: Span::from_secs(60), ..Site::new(1) };
    let mut driver = SimDriver::new(site.world()).expect("links fit their bus");
    let mut fleet = Fleet::new(site.controllers());
    let mut last = Time::ZERO;
    while fleet.turn(&mut driver) == Ok(Turn::Handled) {
        last = driver.now();
        if last >= at(500) && driver.end() > at(10_000) {
            driver.stop(last, last + Span::from_secs(5));
        }
    }
    assert!(fleet.machines().iter().all(|machine| machine.phase() == Phase::Stopped));
    assert!(last < at(700), "nobody waits for a successor that stops too: {last}");
    assert!(driver.now() <= at(500) + Span::from_secs(6));
}

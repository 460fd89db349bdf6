//! Tests of the pace on a clock that is set by hand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use r_ems_engine::LocalTime;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::machine::{Input, Step};
use r_ems_engine::redundancy::Command;

use super::*;
use crate::control::{Asked, Control, control};

/// What happened, in order: waits and commands that the inner driver was handed.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Waited(Time),
    Commanded(Time, Command),
    Stopped(Time, Time),
}

type Seens = Rc<RefCell<Vec<Seen>>>;

/// A clock that jumps to what is waited for; while it waits, something may be done once.
struct Hand {
    now: Time,
    seen: Seens,
    meanwhile: Option<Box<dyn FnOnce()>>,
}

impl Clock for Hand {
    fn now(&self) -> Time {
        self.now
    }

    fn wait(&mut self, until: Time) -> Waited {
        if let Some(deed) = self.meanwhile.take() {
            deed();
            return Waited::Woken;
        }
        self.seen.borrow_mut().push(Seen::Waited(until));
        self.now = self.now.max(until);
        Waited::Reached
    }
}

/// Deliveries at given times; a command becomes one more, after the last.
struct Planned {
    times: VecDeque<Time>,
    seen: Seens,
    /// Who asks for more whenever something was handed on.
    insists: Option<Control>,
}

impl Driver for Planned {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let at = self.times.pop_front()?;
        let (now, to) = (LocalTime::ZERO, ControllerIndex(0));
        Some(Delivery { at, now, to, step: Step::Input(Input::Wake) })
    }

    fn perform(&mut self, _outcome: &Outcome<'_>) {}
}

impl Commanded for Planned {
    fn command(&mut self, at: Time, _to: ControllerIndex, command: Command) {
        self.seen.borrow_mut().push(Seen::Commanded(at, command));
        self.times.push_front(at);
        if let Some(control) = &self.insists {
            assert!(self.times.len() <= 2 * COMMANDS_MAX, "nothing passes any more");
            control.ask(ASKED).expect("there is room for one");
        }
    }

    fn stop(&mut self, at: Time, until: Time) {
        self.seen.borrow_mut().push(Seen::Stopped(at, until));
        self.times.retain(|time| *time <= until);
    }
}

fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

const SWITCH: Command = Command::SwitchOver { to: None };
const ASKED: Asked = Asked { to: ControllerIndex(0), command: SWITCH };
const PATIENCE: Span = Span::from_millis(100);

fn paced(
    times: &[u64],
    now: u64,
    meanwhile: impl FnOnce(&Control) + 'static,
) -> (Paced<Planned, Hand>, Control, Seens) {
    let seen = Seens::default();
    let (control, controlled) = control(None);
    let inner =
        Planned { times: times.iter().map(|time| at(*time)).collect(), seen: seen.clone(), insists: None };
    let asks = control.clone();
    let meanwhile: Option<Box<dyn FnOnce()>> = Some(Box::new(move || meanwhile(&asks)));
    let clock = Hand { now: at(now), seen: seen.clone(), meanwhile };
    (Paced::new(inner, clock, controlled, PATIENCE), control, seen)
}

fn times<D: Driver>(driver: &mut D) -> Vec<Time> {
    std::iter::from_fn(|| driver.next().map(|delivery| delivery.at)).collect()
}

#[test]
fn each_delivery_passes_at_its_time() {
    let (mut driver, control, seen) = paced(&[10, 30], 0, |_| {});
    assert_eq!(times(&mut driver), [at(10), at(30)]);
    assert_eq!(driver.end(), End::Over);
    assert_eq!(*seen.borrow(), [Seen::Waited(at(10)), Seen::Waited(at(30))]);
    assert_eq!(control.lateness().worst(), Span::ZERO);
}

#[test]
fn who_is_late_catches_up_without_waiting_and_skips_nothing() {
    let (mut driver, control, seen) = paced(&[10, 20, 30, 60], 50, |_| {});
    assert_eq!(times(&mut driver), [at(10), at(20), at(30), at(60)]);
    assert_eq!(*seen.borrow(), [Seen::Waited(at(60))]);
    assert_eq!(control.lateness().worst(), Span::from_millis(40));
    assert_eq!(control.lateness().deliveries(), 4);
}

#[test]
fn a_command_that_comes_while_it_waits_is_delivered_after_that_at_its_time() {
    let (mut driver, _control, seen) = paced(&[10, 30], 0, |control| control.ask(ASKED).expect("room"));
    assert_eq!(times(&mut driver), [at(10), at(10), at(30)]);
    assert_eq!(
        *seen.borrow(),
        [Seen::Waited(at(10)), Seen::Commanded(at(10), SWITCH), Seen::Waited(at(30))],
        "it waits on after it was woken"
    );
}

#[test]
fn an_end_in_order_is_asked_for_once_and_has_its_time() {
    let (mut driver, _control, seen) = paced(&[10, 30, 200], 0, Control::stop);
    assert_eq!(times(&mut driver), [at(10), at(30)]);
    let stops =
        seen.borrow().iter().filter(|seen| matches!(seen, Seen::Stopped(..))).cloned().collect::<Vec<_>>();
    assert_eq!(stops, [Seen::Stopped(at(10), at(100))], "from when it was asked for");
    assert_eq!(driver.end(), End::InOrder);
}

#[test]
fn an_end_in_order_waits_for_no_delivery_longer_than_its_patience() {
    let (mut driver, _control, seen) = paced(&[3_600_000], 10, Control::stop);
    assert_eq!(times(&mut driver), []);
    assert_eq!(seen.borrow().last(), Some(&Seen::Waited(at(110))));
    assert_eq!(driver.end(), End::InOrder);
}

#[test]
fn whoever_asks_without_end_keeps_nothing_from_passing() {
    let (mut driver, control, _seen) = paced(&[10, 30], 0, |_| {});
    driver.inner.insists = Some(control.clone());
    control.ask(ASKED).expect("room");
    assert_eq!(driver.next().map(|delivery| delivery.at), Some(Time::ZERO));
}

#[test]
fn an_end_at_once_lets_nothing_more_pass() {
    let (mut driver, control, _seen) = paced(&[10, 30], 0, Control::end);
    assert_eq!(times(&mut driver), []);
    assert_eq!(driver.end(), End::AtOnce);
    control.stop();
    assert_eq!(times(&mut driver), []);
}

#[test]
fn where_nothing_happens_it_still_gives_signs_of_life() {
    let (mut driver, control, _seen) = paced(&[10_000], 0, |_| {});
    assert_eq!(times(&mut driver), [at(10_000)]);
    assert!(control.progress() >= 20, "{}", control.progress());
}

//! Tests of lanes and lives, on media that do something when they are let, and write down what they did.

use std::sync::{Arc, Mutex};

use r_ems_engine::Span;
use r_ems_engine::persistence::disk::FileName;

use super::*;
use crate::clock::{BootClock, Clock, Waited};

/// A test that waits longer has failed.
const PATIENCE: Span = Span::from_secs(60);
const A: ControllerIndex = ControllerIndex(0);
const B: ControllerIndex = ControllerIndex(1);

type Ledger = Arc<Mutex<Vec<String>>>;

/// One lane's side of a disk that does something for each `()` that comes.
struct Gated {
    name: &'static str,
    lets: Receiver<()>,
    ledger: Ledger,
}

impl Gated {
    fn note(&self, what: &str) {
        self.ledger.lock().expect("nobody panics here").push(format!("{} {what}", self.name));
    }
}

impl Storage for Gated {
    fn list(&mut self) -> Result<Vec<FileName>, DiskError> {
        self.note("lists");
        Ok(Vec::new())
    }

    fn read(&mut self, _file: FileName, _offset: u64, _into: &mut [u8]) -> Result<usize, DiskError> {
        Err(DiskError::Failed)
    }
}

impl Medium for Gated {
    fn perform(&mut self, operation: &Operation) -> Answer {
        // Who lets go of it lets it do everything.
        let _let = self.lets.recv();
        assert_ne!(*operation, Operation::List, "that panics");
        self.note("performs");
        Answer::Done
    }

    fn close_files(&mut self) {
        self.note("closes");
    }
}

/// A disk of two controllers, and what lets it work.
struct Rig {
    disk: Disk<&'static str>,
    clock: BootClock,
    ledger: Ledger,
    /// By controller and lane.
    gates: [[Sender<()>; 2]; 2],
}

impl Rig {
    fn new() -> Self {
        let clock = BootClock::begin_in(Span::ZERO).expect("a clock");
        let ledger = Ledger::default();
        let gated = |name| {
            let (gate, lets) = channel();
            (gate, Gated { name, lets, ledger: Arc::clone(&ledger) })
        };
        let [(aj, a_journal), (ap, a_promises), (bj, b_journal), (bp, b_promises)] =
            ["a journal", "a promises", "b journal", "b promises"].map(gated);
        let media = vec![[a_journal, a_promises], [b_journal, b_promises]];
        let disk = Disk::over(media, &clock.waker()).expect("threads");
        Self { disk, clock, ledger, gates: [[aj, ap], [bj, bp]] }
    }

    fn ask(&mut self, of: ControllerIndex, lane: Lane, number: u32) {
        self.disk.ask(of, lane, Request { number, operation: Operation::SyncDirectory });
    }

    fn let_go(&self, of: ControllerIndex, lane: Lane) {
        self.gates[of.position()][lane as usize].send(()).expect("the thread is there");
    }

    /// Waits until something is told.
    fn hear(&mut self) -> Option<Told<&'static str>> {
        let until = self.clock.now() + PATIENCE;
        loop {
            if let Some(told) = self.disk.take() {
                return Some(told);
            }
            assert_eq!(self.clock.wait(until), Waited::Woken, "nothing happens");
        }
    }

    /// Waits until a thread has said something that nobody is told.
    fn hear_nothing(&mut self) {
        let until = self.clock.now() + PATIENCE;
        assert_eq!(self.clock.wait(until), Waited::Woken, "nothing happens");
        assert_eq!(self.disk.take(), None);
    }

    /// Lets everything be done that is still asked for, and says what was done.
    fn end(mut self) -> Vec<String> {
        drop(self.gates);
        while self.disk.posts.iter().flat_map(|post| &post.threads).any(|thread| thread.works_for.is_some()) {
            let until = self.clock.now() + PATIENCE;
            assert_eq!(self.clock.wait(until), Waited::Woken, "nothing happens");
            while self.disk.take().is_some() {}
        }
        assert!(self.disk.end(Duration::MAX));
        self.ledger.lock().expect("nobody panics here").clone()
    }

    fn done(&self) -> Vec<String> {
        self.ledger.lock().expect("nobody panics here").clone()
    }
}

fn answered(of: ControllerIndex, lane: Lane, number: u32) -> Option<Told<&'static str>> {
    Some(Told::Answered { of, lane, number, answer: Answer::Done })
}

fn recovery(found: &'static str) -> Job<&'static str> {
    Box::new(move |storage| {
        let _listed = storage.list();
        found
    })
}

#[test]
fn nobody_waits_behind_another_lane_or_another_controller() {
    let mut rig = Rig::new();
    rig.ask(A, Lane::Journal, 1);
    rig.ask(A, Lane::Promises, 7);
    rig.ask(B, Lane::Journal, 3);
    assert_eq!(rig.disk.take(), None, "it does not wait");
    rig.let_go(A, Lane::Promises);
    assert_eq!(rig.hear(), answered(A, Lane::Promises, 7));
    rig.let_go(B, Lane::Journal);
    assert_eq!(rig.hear(), answered(B, Lane::Journal, 3));
    rig.ask(A, Lane::Promises, 8);
    rig.let_go(A, Lane::Promises);
    assert_eq!(rig.hear(), answered(A, Lane::Promises, 8));
    rig.let_go(A, Lane::Journal);
    assert_eq!(rig.hear(), answered(A, Lane::Journal, 1));
}

#[test]
#[should_panic(expected = "one thing at a time")]
fn a_lane_that_asks_for_two_things_at_a_time_is_an_error_of_ours() {
    let mut rig = Rig::new();
    rig.gates = Rig::new().gates;
    rig.ask(A, Lane::Journal, 1);
    rig.ask(A, Lane::Journal, 2);
}

#[test]
#[should_panic(expected = "before it has begun")]
fn a_life_that_asks_before_its_recovery_is_an_error_of_ours() {
    let mut rig = Rig::new();
    rig.gates = Rig::new().gates;
    rig.disk.recover(A, recovery("nothing"));
    rig.ask(A, Lane::Promises, 1);
}

#[test]
fn a_recovery_begins_when_both_lanes_have_ended_what_they_had_begun() {
    for [first, last] in [[Lane::Journal, Lane::Promises], [Lane::Promises, Lane::Journal]] {
        let mut rig = Rig::new();
        rig.ask(A, Lane::Journal, 1);
        rig.ask(A, Lane::Promises, 1);
        rig.disk.recover(A, recovery("a state"));
        rig.let_go(A, first);
        rig.hear_nothing();
        assert!(rig.disk.posts[0].job.is_some(), "the other lane is still at work");
        // The other controller is none the worse for it.
        rig.ask(B, Lane::Promises, 5);
        rig.let_go(B, Lane::Promises);
        assert_eq!(rig.hear(), answered(B, Lane::Promises, 5));
        rig.let_go(A, last);
        assert_eq!(rig.hear(), Some(Told::Recovered { of: A, found: Some("a state") }));
        let of_a: Vec<String> = rig.done().into_iter().filter(|line| line.starts_with('a')).collect();
        assert_eq!(of_a[2..], ["a journal closes", "a journal lists"], "{of_a:?}");
        // The number counts anew.
        rig.ask(A, Lane::Promises, 1);
        rig.let_go(A, Lane::Promises);
        assert_eq!(rig.hear(), answered(A, Lane::Promises, 1));
        let done = rig.done();
        assert_eq!(done[done.len() - 2..], ["a promises closes", "a promises performs"]);
    }
}

#[test]
fn a_life_is_told_nothing_of_the_one_before_and_overtakes_nothing_of_it() {
    let mut rig = Rig::new();
    rig.ask(A, Lane::Journal, 1);
    rig.disk.forget(A);
    rig.ask(A, Lane::Journal, 1);
    rig.let_go(A, Lane::Journal);
    rig.hear_nothing();
    rig.let_go(A, Lane::Journal);
    assert_eq!(rig.hear(), answered(A, Lane::Journal, 1));
    assert_eq!(rig.done(), ["a journal performs", "a journal closes", "a journal performs"]);
}

#[test]
fn what_a_life_asked_for_and_no_thread_has_begun_is_never_begun() {
    let mut rig = Rig::new();
    rig.ask(A, Lane::Promises, 1);
    rig.disk.forget(A);
    rig.ask(A, Lane::Promises, 2);
    rig.disk.recover(A, recovery("nobody looks for it"));
    rig.disk.recover(A, recovery("a state"));
    rig.let_go(A, Lane::Promises);
    assert_eq!(rig.hear(), Some(Told::Recovered { of: A, found: Some("a state") }));
    rig.ask(A, Lane::Promises, 3);
    rig.disk.recover(A, recovery("nobody looks for it"));
    rig.disk.forget(A);
    assert_eq!(
        rig.end(),
        [
            "a promises performs",
            "a journal closes",
            "a journal lists",
            "a promises closes",
            "a promises performs"
        ]
    );
}

#[test]
fn a_life_need_not_wait_for_a_recovery_that_does_not_end() {
    let mut rig = Rig::new();
    let (gate, lets) = channel::<()>();
    rig.disk.recover(
        A,
        Box::new(move |storage| {
            let _let = lets.recv();
            let _listed = storage.list();
            "too late"
        }),
    );
    rig.disk.forget(A);
    rig.ask(A, Lane::Journal, 1);
    rig.ask(A, Lane::Promises, 2);
    rig.let_go(A, Lane::Promises);
    assert_eq!(rig.hear(), answered(A, Lane::Promises, 2));
    rig.let_go(A, Lane::Journal);
    drop(gate);
    assert_eq!(rig.hear(), answered(A, Lane::Journal, 1));
    let of_journal: Vec<String> = rig.done().into_iter().filter(|line| line.contains("journal")).collect();
    let expected = ["closes", "lists", "closes", "performs"].map(|what| format!("a journal {what}"));
    assert_eq!(of_journal, expected);
}

#[test]
fn a_panic_is_an_answer_and_the_thread_goes_on() {
    let mut rig = Rig::new();
    rig.disk.ask(A, Lane::Journal, Request { number: 1, operation: Operation::List });
    rig.let_go(A, Lane::Journal);
    let answer = Answer::Failed(DiskError::Failed);
    assert_eq!(rig.hear(), Some(Told::Answered { of: A, lane: Lane::Journal, number: 1, answer }));
    rig.disk.recover(A, Box::new(|_storage| panic!("it does not contain this")));
    assert_eq!(rig.hear(), Some(Told::Recovered { of: A, found: None }));
    rig.ask(A, Lane::Journal, 1);
    rig.let_go(A, Lane::Journal);
    assert_eq!(rig.hear(), answered(A, Lane::Journal, 1));
    let expected = ["closes", "closes", "closes", "performs"].map(|what| format!("a journal {what}"));
    assert_eq!(rig.done(), expected, "a panic, a new life, a panic");
}

#[test]
fn who_ends_does_not_wait_for_a_disk_that_stands_still() {
    let mut rig = Rig::new();
    rig.ask(A, Lane::Journal, 1);
    assert!(!rig.disk.end(Duration::ZERO));
}

#[test]
fn what_was_begun_is_finished_at_the_end() {
    let mut rig = Rig::new();
    rig.ask(A, Lane::Journal, 1);
    rig.ask(B, Lane::Promises, 1);
    drop(rig.gates);
    assert!(rig.disk.end(Duration::MAX), "nobody has taken an answer");
    let mut done = rig.ledger.lock().expect("nobody panicked").clone();
    done.sort();
    assert_eq!(done, ["a journal performs", "b promises performs"]);
}

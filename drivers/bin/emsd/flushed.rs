//! Keeps what is recorded from waiting in memory, where a program that is killed loses it.
//!
//! A log is written in groups of many records. Here a group ends before the first delivery, then with the first one after a
//! second, and at once with what an operator asked for and with a failed assertion.
//!
//! **Invariant:** nothing that passes is changed; what is recorded is the same, laid out in more groups.

use std::io::Write;

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Input, Outcome, Step};
use r_ems_engine::{Span, Time};
use r_ems_replay::Recorder;

/// How long what is recorded waits, as long as something happens.
const FLUSH_EVERY: Span = Span::from_secs(1);

/// A recorder that is flushed again and again.
#[derive(Debug)]
pub(super) struct Flushed<D, W: Write> {
    recorder: Recorder<D, W>,
    /// When it is next.
    due: Time,
    now: Now,
}

/// Whether it is flushed after what is being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Flush,
    Wait,
}

impl<D: Driver, W: Write> Flushed<D, W> {
    /// Flushes `recorder` from its header on.
    pub(super) fn new(mut recorder: Recorder<D, W>) -> Self {
        recorder.flush();
        Self { recorder, due: Time::ZERO, now: Now::Wait }
    }

    /// The driver that is recorded.
    pub(super) const fn driver(&self) -> &D {
        self.recorder.driver()
    }

    /// Ends flushing.
    pub(super) fn into_recorder(self) -> Recorder<D, W> {
        self.recorder
    }
}

impl<D: Driver, W: Write> Driver for Flushed<D, W> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.recorder.next()?;
        if delivery.at >= self.due || matches!(delivery.step, Step::Input(Input::Command(_))) {
            self.now = Now::Flush;
            self.due = delivery.at + FLUSH_EVERY;
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.recorder.perform(outcome);
        if self.now == Now::Flush {
            self.now = Now::Wait;
            self.recorder.flush();
        }
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        let afterwards = self.recorder.failed(failure);
        self.recorder.flush();
        afterwards
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::io;
    use std::rc::Rc;

    use r_ems_engine::LocalTime;
    use r_ems_engine::carried::Carried;
    use r_ems_engine::ids::ControllerIndex;
    use r_ems_engine::log::{ControllerNames, Header, Reader, Scope, Status};
    use r_ems_engine::machine::{Effects, State};
    use r_ems_engine::redundancy::Command;

    use super::*;

    const WHO: ControllerIndex = ControllerIndex(0);
    const COMMAND: Input<'static> = Input::Command(Command::SwitchOver { to: None });

    /// A machine that has nothing to remember.
    struct Nothing;

    impl State for Nothing {
        fn encode(&self, bytes: &mut Vec<u8>) {
            bytes.push(0);
        }

        fn carried(&self) -> Option<Carried> {
            None
        }
    }

    /// Inputs at given milliseconds.
    struct Planned(VecDeque<(u64, Input<'static>)>);

    impl Driver for Planned {
        fn next(&mut self) -> Option<Delivery<'_>> {
            let (millis, input) = self.0.pop_front()?;
            let at = Time::ZERO + Span::from_millis(millis);
            Some(Delivery { at, now: LocalTime::ZERO, to: WHO, step: Step::Input(input) })
        }

        fn perform(&mut self, _outcome: &Outcome<'_>) {}
    }

    /// A sink whose bytes can be counted.
    #[derive(Clone, Default)]
    struct Sink(Rc<RefCell<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn flushed(inputs: &[(u64, Input<'static>)]) -> (Flushed<Planned, Sink>, Sink) {
        let (grid, id) = ("workshop".to_owned(), "a".to_owned());
        let names = ControllerNames { grid, id, devices: Vec::new(), functions: Vec::new() };
        let (sink, planned) = (Sink::default(), Planned(inputs.iter().copied().collect()));
        let header = Header::new(&[], vec![names]);
        let recorder = Recorder::new(planned, sink.clone(), header, Scope::Fleet, &[Nothing]);
        (Flushed::new(recorder.expect("the header is small")), sink)
    }

    /// Lets the next delivery pass; says whether anything was handed on.
    fn pass(flushed: &mut Flushed<Planned, Sink>, sink: &Sink) -> bool {
        let before = sink.0.borrow().len();
        let Delivery { at, now, .. } = flushed.next().expect("something is planned");
        let effects = &Effects::default();
        flushed.perform(&Outcome { at, now, from: WHO, deadline: None, effects, state: &Nothing });
        sink.0.borrow().len() > before
    }

    #[test]
    fn what_waits_is_handed_on_once_a_second_and_after_each_command() {
        let wakes = [0, 500, 999, 1_000, 1_500].map(|millis| (millis, Input::Wake));
        let plan = [&wakes[..], &[(1_600, COMMAND), (2_599, Input::Wake), (2_600, Input::Wake)]].concat();
        let (mut flushed, sink) = flushed(&plan);
        let passed: Vec<bool> = plan.iter().map(|_| pass(&mut flushed, &sink)).collect();
        assert_eq!(passed, [true, false, false, true, false, true, false, true]);
    }

    #[test]
    fn the_states_at_the_start_and_a_failed_assertion_are_handed_on_at_once() {
        let (mut flushed, sink) = flushed(&[(0, Input::Wake), (10, Input::Wake)]);
        let read = |bytes: &[u8]| {
            let mut log = Reader::open(bytes).expect("a header");
            let mut records = 0;
            while let Ok(Status::Record) = log.advance() {
                records += 1;
            }
            records
        };
        assert_eq!(read(&sink.0.borrow()), 1);
        assert!(pass(&mut flushed, &sink));
        let at = flushed.next().expect("something is planned").at;
        flushed.failed(Poisoned { controller: WHO, at });
        assert_eq!(read(&sink.0.borrow()), 3);
    }
}

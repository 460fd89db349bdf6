//! The event queue against the simplest thing that can be right: a sorted map by `(time, push order)`.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use r_ems_engine::queue::EventQueue;
use r_ems_engine::{Span, Time};

/// The order that is promised, without any cleverness.
#[derive(Clone, Default)]
struct Reference {
    now: Time,
    pushed: u64,
    pending: BTreeMap<(Time, u64), u64>,
}

impl Reference {
    fn push(&mut self, at: Time) -> u64 {
        self.pushed += 1;
        self.pending.insert((at, self.pushed), self.pushed);
        self.pushed
    }

    fn pop(&mut self) -> Option<(Time, u64)> {
        let ((at, _), item) = self.pending.pop_first()?;
        self.now = at;
        Some((at, item))
    }

    fn next_time(&self) -> Option<Time> {
        self.pending.keys().next().map(|(at, _)| *at)
    }
}

#[derive(Clone, Debug)]
enum Action {
    /// Pushes this far after the last popped time, so many times.
    Push {
        delay: u64,
        times: u8,
    },
    /// Pushes for one instant that is absolute, if it is not past.
    PushAt {
        at: u64,
    },
    Pop {
        times: u8,
    },
    /// Goes on with a clone of the queue.
    Clone,
}

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0_u64),
        3 => 0..4_u64,
        3 => 0..200_u64,
        3 => 0..100_000_u64,
        3 => (0..50_u64).prop_map(|step| step * 1_000_000),
        1 => (0..64_u32).prop_map(|bit| 1 << bit),
        1 => (0..64_u32).prop_map(|bit| (1 << bit) - 1),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (delay(), 1..4_u8).prop_map(|(delay, times)| Action::Push { delay, times }),
        1 => (delay(), 1..200_u8).prop_map(|(delay, times)| Action::Push { delay, times }),
        2 => (0..5_u64).prop_map(|step| Action::PushAt { at: step * 10_000_000 }),
        1 => Just(Action::PushAt { at: u64::MAX }),
        8 => (1..4_u8).prop_map(|times| Action::Pop { times }),
        1 => (1..200_u8).prop_map(|times| Action::Pop { times }),
        1 => Just(Action::Clone),
    ]
}

/// Does the same to both and compares all that can be seen.
fn follow(actions: &[Action]) -> Result<(), TestCaseError> {
    let mut queue = EventQueue::new();
    let mut reference = Reference::default();
    for action in actions {
        match *action {
            Action::Push { delay, times } => {
                let at = reference.now + Span::from_nanos(delay);
                for _ in 0..times {
                    queue.push(at, reference.push(at));
                }
            }
            Action::PushAt { at } => {
                let at = Time::from_nanos(at);
                if at >= reference.now {
                    queue.push(at, reference.push(at));
                }
            }
            Action::Pop { times } => {
                for _ in 0..times {
                    prop_assert_eq!(queue.pop(), reference.pop());
                }
            }
            Action::Clone => queue = queue.clone(),
        }
        prop_assert_eq!(queue.next_time(), reference.next_time());
        prop_assert_eq!(queue.len(), reference.pending.len());
        prop_assert_eq!(queue.is_empty(), reference.pending.is_empty());
    }
    while let Some(expected) = reference.pop() {
        prop_assert_eq!(queue.pop(), Some(expected));
    }
    prop_assert_eq!(queue.pop(), None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn events_leave_by_time_and_then_by_push_order(actions in vec(action(), 1..120)) {
        follow(&actions)?;
    }

    #[test]
    fn a_steady_number_of_pending_events_keeps_the_order(
        pending in 1..400_usize,
        spread in 1..100_000_000_u64,
        delays in vec(any::<u64>(), 400..800),
    ) {
        let first = delays.iter().take(pending).map(|delay| Action::Push { delay: delay % spread, times: 1 });
        let steady = delays
            .iter()
            .flat_map(|delay| [Action::Pop { times: 1 }, Action::Push { delay: delay % spread, times: 1 }]);
        follow(&first.chain(steady).collect::<Vec<_>>())?;
    }

    #[test]
    fn a_clone_and_its_original_go_on_alike(
        before in vec(delay(), 1..300),
        pops in 0..200_usize,
        after in vec(delay(), 1..100),
    ) {
        let mut original = EventQueue::new();
        for (item, delay) in before.iter().enumerate() {
            original.push(Time::from_nanos(*delay), item);
        }
        let mut now = Time::ZERO;
        for _ in 0..pops {
            now = original.pop().map_or(now, |(at, _)| at);
        }
        let mut clone = original.clone();
        for (item, delay) in after.iter().enumerate() {
            original.push(now + Span::from_nanos(*delay), item);
            clone.push(now + Span::from_nanos(*delay), item);
        }
        while let Some(event) = original.pop() {
            prop_assert_eq!(clone.pop(), Some(event));
        }
        prop_assert!(clone.is_empty());
    }
}

#[test]
fn what_is_pushed_for_the_current_instant_comes_after_what_is_there() {
    let instant = Time::from_nanos(10);
    let mut queue = EventQueue::new();
    queue.push(instant, "first");
    queue.push(instant, "second");

    assert_eq!(queue.pop(), Some((instant, "first")));
    queue.push(instant, "answer to the first");
    assert_eq!(queue.next_time(), Some(instant));

    assert_eq!(queue.pop(), Some((instant, "second")));
    assert_eq!(queue.pop(), Some((instant, "answer to the first")));
    assert_eq!(queue.pop(), None);
}

#[test]
fn an_event_for_the_last_popped_time_is_accepted() {
    let mut queue = EventQueue::new();
    queue.push(Time::from_nanos(10), ());
    queue.pop();
    queue.push(Time::from_nanos(10), ());
    assert_eq!(queue.len(), 1);
}

#[test]
#[should_panic(expected = "the queue has reached")]
fn an_event_one_nanosecond_before_the_last_popped_time_is_refused() {
    let mut queue = EventQueue::new();
    queue.push(Time::from_nanos(10), ());
    queue.pop();
    queue.push(Time::from_nanos(9), ());
}

#[test]
fn looking_at_the_next_time_does_not_forbid_an_earlier_push() {
    let mut queue = EventQueue::new();
    for index in 0..1_000 {
        queue.push(Time::from_nanos(1_000_000 + index), index);
    }
    assert_eq!(queue.next_time(), Some(Time::from_nanos(1_000_000)));
    queue.push(Time::from_nanos(5), 5);
    assert_eq!(queue.pop(), Some((Time::from_nanos(5), 5)));
}

#[test]
fn more_events_for_one_instant_than_fit_into_a_run_keep_their_order() {
    let instant = Time::from_nanos(1_000);
    let mut queue = EventQueue::new();
    for item in 0..1_000 {
        queue.push(instant, item);
    }
    queue.push(Time::from_nanos(999), 1_000);
    assert_eq!(queue.pop(), Some((Time::from_nanos(999), 1_000)));
    for item in 0..1_000 {
        assert_eq!(queue.pop(), Some((instant, item)));
    }
    assert_eq!(queue.pop(), None);
}

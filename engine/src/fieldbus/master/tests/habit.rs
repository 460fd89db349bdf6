//! Peers that end connections on their own.

use super::*;

#[test]
fn what_waits_goes_on_at_once_where_the_peer_ends_the_connection_after_an_answer() {
    let (mut master, mut notes) = open(1);
    for tag in 1..=3 {
        master.ask(at(3), job(tag, 0), &mut notes);
    }
    // It comes before the gap is over.
    master.disconnected(at(4), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
    master.connected(at(5), &mut notes);
    master.wake(at(7), &mut notes);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 2, unit: 1 }]);
    // And once when the next is under way already.
    answer(&mut master, &mut notes, 8, 2, 1);
    master.wake(at(13), &mut notes);
    assert_eq!(notes.take(), [Seen::Done(1), Seen::Sent { transaction: 3, unit: 1 }]);
    master.disconnected(at(14), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
    master.connected(at(15), &mut notes);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 4, unit: 1 }], "the same, once more");
    answer(&mut master, &mut notes, 16, 4, 1);
    // And when nothing waits any more.
    master.wake(at(21), &mut notes);
    answer(&mut master, &mut notes, 22, 5, 1);
    notes.take();
    master.disconnected(at(23), &mut notes);
    assert_eq!((notes.take(), master.deadline()), (vec![], None), "nobody asks");
    master.ask(at(24), job(4, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
}

#[test]
fn who_ends_a_connection_without_an_answer_is_left_alone() {
    let (mut master, mut notes) = open(1);
    master.ask(at(10), job(1, 0), &mut notes);
    master.ask(at(10), job(2, 0), &mut notes);
    master.disconnected(at(11), &mut notes);
    master.connected(at(12), &mut notes);
    master.wake(at(17), &mut notes);
    let again =
        [Seen::Sent { transaction: 2, unit: 1 }, Seen::Connect, Seen::Sent { transaction: 3, unit: 1 }];
    assert_eq!(notes.take(), again);
    master.disconnected(at(18), &mut notes);
    let failed = [Seen::Failed(1, Fault::Disconnected), Seen::Failed(2, Fault::NotConnected)];
    assert_eq!(notes.take(), failed, "what was answered before was on another connection");
    master.ask(at(517), job(3, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Failed(3, Fault::NotConnected)]);
    master.ask(at(518), job(4, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
}

#[test]
fn who_cannot_be_reached_again_is_left_alone() {
    let (mut master, mut notes) = open(1);
    master.ask(at(10), job(1, 0), &mut notes);
    master.disconnected(at(11), &mut notes);
    master.disconnected(at(12), &mut notes);
    let sent = Seen::Sent { transaction: 2, unit: 1 };
    assert_eq!(notes.take(), [sent, Seen::Connect, Seen::Failed(1, Fault::NotConnected)]);
    master.ask(at(1_011), job(2, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Failed(2, Fault::NotConnected)]);
}

/// Has the connection opened and ended by the peer, with an answer between; whether that end was one by habit.
fn ended(master: &mut Master<u32>, notes: &mut Notes, millis: u64) -> bool {
    master.ask(at(millis), job(1, 0), notes);
    master.connected(at(millis), notes);
    let Some(Seen::Sent { transaction, .. }) = notes.take().pop() else { panic!("it is asked") };
    answer(master, notes, millis + 1, transaction, 1);
    let is_habit = master.ends_by_habit(at(millis + 10));
    master.disconnected(at(millis + 10), notes);
    is_habit
}

#[test]
fn the_third_end_in_a_row_is_one_by_habit_unless_another_kind_or_a_long_time_is_between() {
    let (mut master, mut notes) = (master(1), Notes::default());
    let ends = |master: &mut Master<u32>, notes: &mut Notes, from: u64| {
        [0, 100, 200, 300].map(|later| ended(master, notes, from + later))
    };
    let is_habit = [false, false, true, true];
    assert_eq!(ends(&mut master, &mut notes, 0), is_habit);
    // No connection can be opened.
    master.ask(at(1_000), job(2, 0), &mut notes);
    master.disconnected(at(1_001), &mut notes);
    assert_eq!(ends(&mut master, &mut notes, 10_000), is_habit);
    // It is given up here.
    master.ask(at(11_000), job(2, 0), &mut notes);
    master.give_up(at(11_001), &mut notes);
    assert_eq!(ends(&mut master, &mut notes, 12_000), is_habit);
    // It lasts.
    master.ask(at(13_000), job(2, 0), &mut notes);
    master.connected(at(13_000), &mut notes);
    let Some(Seen::Sent { transaction, .. }) = notes.take().pop() else { panic!("it is asked") };
    answer(&mut master, &mut notes, 13_001, transaction, 1);
    master.disconnected(at(73_001), &mut notes);
    assert_eq!(ends(&mut master, &mut notes, 80_000), is_habit);
}

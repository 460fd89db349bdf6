//! What passes from the loop to the service: events through a bounded queue, and the newest state of each controller in a place
//! of its own.
//!
//! **The loop never waits.** A state that nobody has looked at is written over. An event for which there is no room is lost: its
//! number is missing, and it is counted. A state whose place is just being read is left out, which whoever writes it is told.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::{LocalTime, Time};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// So many events wait for the service; one more is lost.
pub const EVENTS_MAX: usize = 4_096;

/// Something that happened in the loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// Counts what happened from 1, also what is lost.
    pub number: u64,
    /// When.
    pub at: Time,
    /// Who.
    pub from: ControllerIndex,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// The controller reported this.
    Event(Event),
    /// The controller failed an assertion.
    Failed,
}

/// Where a controller is in its life, as its driver sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It has not booted yet.
    #[default]
    Made,
    /// It lives.
    Lives,
    /// It has ended in order.
    Stopped,
    /// It failed an assertion.
    Failed,
}

impl Life {
    /// All of them, each at the place of its number.
    const ALL: [Self; 4] = [Self::Made, Self::Lives, Self::Stopped, Self::Failed];
}

/// The newest state of a controller.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When it was handled what made it so.
    pub at: Time,
    /// Its clock then.
    pub now: LocalTime,
    /// The encoded state; empty before the first boot.
    pub state: Vec<u8>,
}

/// What both sides share of a controller.
#[derive(Debug, Default)]
struct Place {
    seen: Mutex<Seen>,
    /// The number of a [`Life`]: apart from the state, as the last word must not be missed.
    life: AtomicU8,
}

/// What both sides share.
#[derive(Debug)]
struct Shared {
    /// By controller.
    places: Vec<Place>,
    lost: AtomicU64,
}

/// The loop's side.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    events: Sender<Told>,
    /// The number of the last event.
    last: u64,
}

/// The service's side: what can be looked at any time.
#[derive(Clone, Debug)]
pub struct Fed(Arc<Shared>);

/// Makes both sides, for so many controllers.
pub fn feed(controllers: usize) -> (Feed, Fed, Receiver<Told>) {
    let (sender, events) = channel(EVENTS_MAX);
    let places = (0..controllers).map(|_| Place::default()).collect();
    let shared = Arc::new(Shared { places, lost: AtomicU64::new(0) });
    (Feed { shared: Arc::clone(&shared), events: sender, last: 0 }, Fed(shared), events)
}

impl Feed {
    /// Passes on what happened, if there is room.
    pub fn tell(&mut self, at: Time, from: ControllerIndex, what: What) {
        self.last += 1;
        if self.events.try_send(Told { number: self.last, at, from, what }).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a controller's newest state, unless it is being read just now; says whether.
    pub fn show(&self, from: ControllerIndex, write: impl FnOnce(&mut Seen)) -> bool {
        match self.shared.places[from.position()].seen.try_lock() {
            Ok(mut seen) => write(&mut seen),
            Err(TryLockError::Poisoned(poisoned)) => write(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        }
        true
    }

    /// Says where a controller is in its life.
    pub fn lives(&self, from: ControllerIndex, life: Life) {
        self.shared.places[from.position()].life.store(life as u8, Ordering::Release);
    }
}

impl Fed {
    /// The newest state of a controller.
    pub fn seen(&self, of: ControllerIndex) -> Seen {
        self.0.places[of.position()].seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where a controller is in its life.
    pub fn life(&self, of: ControllerIndex) -> Life {
        Life::ALL[usize::from(self.0.places[of.position()].life.load(Ordering::Acquire))]
    }

    /// How many events were lost.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Reads a controller's state until the guard is gone.
    #[cfg(test)]
    pub(super) fn reading(&self, of: ControllerIndex) -> std::sync::MutexGuard<'_, Seen> {
        self.0.places[of.position()].seen.lock().expect("nobody panicked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: ControllerIndex = ControllerIndex(0);
    const WHAT: What = What::Event(Event::StopBegan);

    #[test]
    fn the_last_place_is_filled_and_one_event_more_is_lost_with_its_number() {
        let (mut feed, fed, mut events) = feed(1);
        (0..EVENTS_MAX).for_each(|_| feed.tell(Time::ZERO, WHO, WHAT));
        assert_eq!(fed.lost(), 0);
        feed.tell(Time::ZERO, WHO, WHAT);
        assert_eq!(fed.lost(), 1);
        let mut next = || events.try_recv().expect("there is one").number;
        assert_eq!(next(), 1);
        feed.tell(Time::ZERO, WHO, WHAT);
        assert_eq!(fed.lost(), 1);
        (2..=EVENTS_MAX as u64).for_each(|number| assert_eq!(next(), number));
        assert_eq!(next(), EVENTS_MAX as u64 + 2, "the gap is where it was lost");
    }

    #[test]
    fn a_state_that_is_being_read_is_left_out_and_one_that_was_not_is_written_over() {
        let (feed, fed, _events) = feed(1);
        assert!(feed.show(WHO, |seen| seen.state.push(1)));
        assert!(feed.show(WHO, |seen| seen.state.push(2)));
        assert_eq!(fed.seen(WHO).state, [1, 2]);
        let reading = fed.reading(WHO);
        assert!(!feed.show(WHO, |seen| seen.state.push(3)));
        drop(reading);
        assert_eq!(fed.seen(WHO).state, [1, 2]);
    }

    #[test]
    fn every_life_is_told_also_while_the_state_is_being_read() {
        let (feed, fed, _events) = feed(1);
        assert_eq!(fed.life(WHO), Life::Made);
        let _reading = fed.reading(WHO);
        for life in Life::ALL {
            feed.lives(WHO, life);
            assert_eq!(fed.life(WHO), life);
        }
    }
}

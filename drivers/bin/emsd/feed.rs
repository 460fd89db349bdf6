//! What passes from the loop to the service: events through a bounded queue, and the newest state of each controller in a place
//! of its own.
//!
//! **The loop never waits.** A state that nobody has looked at is written over. An event for which there is no room is counted
//! as lost, which the API tells; a state whose place is just being read is left out, and the next one follows soon.

use std::sync::atomic::{AtomicU64, Ordering};
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

/// The newest state of a controller.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When it was handled what made it so.
    pub at: Time,
    /// Its clock then.
    pub now: LocalTime,
    /// Where it is in its life.
    pub life: Life,
    /// The encoded state; empty before the first boot.
    pub state: Vec<u8>,
}

/// What both sides share.
#[derive(Debug)]
struct Shared {
    /// By controller.
    seen: Vec<Mutex<Seen>>,
    lost: AtomicU64,
}

/// The loop's side.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    events: Sender<Told>,
}

/// The service's side: what can be looked at any time.
#[derive(Clone, Debug)]
pub struct Fed(Arc<Shared>);

/// Makes both sides, for so many controllers.
pub fn feed(controllers: usize) -> (Feed, Fed, Receiver<Told>) {
    let (sender, events) = channel(EVENTS_MAX);
    let seen = (0..controllers).map(|_| Mutex::default()).collect();
    let shared = Arc::new(Shared { seen, lost: AtomicU64::new(0) });
    (Feed { shared: Arc::clone(&shared), events: sender }, Fed(shared), events)
}

impl Feed {
    /// Passes on what happened, if there is room.
    pub fn tell(&self, told: Told) {
        if self.events.try_send(told).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a controller's newest state, unless it is being read just now; says whether.
    pub fn show(&self, from: ControllerIndex, write: impl FnOnce(&mut Seen)) -> bool {
        match self.shared.seen[from.position()].try_lock() {
            Ok(mut seen) => write(&mut seen),
            Err(TryLockError::Poisoned(poisoned)) => write(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        }
        true
    }
}

impl Fed {
    /// The newest state of a controller.
    pub fn seen(&self, of: ControllerIndex) -> Seen {
        self.0.seen[of.position()].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many events were lost.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: ControllerIndex = ControllerIndex(0);
    const TOLD: Told = Told { at: Time::ZERO, from: WHO, what: What::Event(Event::StopBegan) };

    #[test]
    fn the_last_place_is_filled_and_one_event_more_is_counted_as_lost() {
        let (feed, fed, mut events) = feed(1);
        (0..EVENTS_MAX).for_each(|_| feed.tell(TOLD));
        assert_eq!(fed.lost(), 0);
        feed.tell(TOLD);
        assert_eq!(fed.lost(), 1);
        assert_eq!(events.try_recv(), Ok(TOLD));
        feed.tell(TOLD);
        assert_eq!(fed.lost(), 1);
    }

    #[test]
    fn a_state_that_is_being_read_is_left_out_and_one_that_was_not_is_written_over() {
        let (feed, fed, _events) = feed(1);
        assert!(feed.show(WHO, |seen| seen.state.push(1)));
        assert!(feed.show(WHO, |seen| seen.state.push(2)));
        assert_eq!(fed.seen(WHO).state, [1, 2]);
        let reading = fed.0.seen[0].lock().expect("nobody panicked");
        assert!(!feed.show(WHO, |seen| seen.state.push(3)));
        drop(reading);
        assert_eq!(fed.seen(WHO).state, [1, 2]);
    }
}

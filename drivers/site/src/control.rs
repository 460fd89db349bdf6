//! How a loop in real time is asked for something from outside: by a bounded queue of which the loop takes when it is about to
//! wait, and by two wishes to end that always find room.
//!
//! **Policy when full:** whoever asks is refused, at once. Nobody waits for the loop, and the loop waits for nobody.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use r_ems_engine::Span;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::redundancy::Command;

use crate::clock::Waker;
use crate::lateness::{Counters, Lateness};
use crate::site::Renewal;

/// So many commands wait for the loop; one more is refused.
pub const COMMANDS_MAX: usize = 64;

/// So many changes of what controllers are made from wait for the loop.
const RENEWALS_MAX: usize = 1;

/// A command and for whom it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// For whom.
    pub to: ControllerIndex,
    /// What.
    pub command: Command,
}

/// The queue of commands is full, or the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already: ask again later.
    Full,
    /// There is no loop any more.
    Over,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits for the loop already; ask again later"),
            Self::Over => f.write_str("the run is over"),
        }
    }
}

/// What a loop and those who ask of it share.
#[derive(Debug, Default)]
struct Shared {
    stops: AtomicBool,
    ends: AtomicBool,
    progress: AtomicU64,
    lateness: Counters,
}

/// The side of those who ask; clones ask the same loop.
#[derive(Clone, Debug)]
pub struct Control {
    commands: SyncSender<Asked>,
    renewals: SyncSender<Renewal>,
    shared: Arc<Shared>,
    waker: Option<Waker>,
}

/// The loop's side.
#[derive(Debug)]
pub struct Controlled {
    commands: Receiver<Asked>,
    renewals: Receiver<Renewal>,
    shared: Arc<Shared>,
}

/// Makes both sides; `waker` ends the loop's waits.
pub fn control(waker: Option<Waker>) -> (Control, Controlled) {
    let (sender, commands) = sync_channel(COMMANDS_MAX);
    let (renews, renewals) = sync_channel(RENEWALS_MAX);
    let shared = Arc::new(Shared::default());
    let control = Control { commands: sender, renewals: renews, shared: Arc::clone(&shared), waker };
    (control, Controlled { commands, renewals, shared })
}

impl Control {
    /// Passes a command to the loop.
    ///
    /// # Errors
    /// [`Refused`] if there is no room for it or nobody to take it.
    pub fn ask(&self, asked: Asked) -> Result<(), Refused> {
        self.commands.try_send(asked).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Over,
        })?;
        self.wake();
        Ok(())
    }

    /// Passes on a change of what controllers are made from; what becomes of it is told.
    ///
    /// # Errors
    /// [`Refused`] if the loop has not taken the change before, or is gone.
    pub fn renew(&self, renewal: Renewal) -> Result<(), Refused> {
        self.renewals.try_send(renewal).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Over,
        })?;
        self.wake();
        Ok(())
    }

    /// Asks for the end of the run in order; it always finds room.
    pub fn stop(&self) {
        self.shared.stops.store(true, Ordering::Release);
        self.wake();
    }

    /// Asks for the end of the run now, without waiting for anybody's order.
    pub fn end(&self) {
        self.shared.ends.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether somebody asked for the end, in order or at once.
    pub fn is_stopping(&self) -> bool {
        self.shared.stops.load(Ordering::Acquire) || self.shared.ends.load(Ordering::Acquire)
    }

    /// Rises while the loop lives, also when it has nothing to do: what a watchdog is fed from.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Acquire)
    }

    /// How late deliveries passed so far.
    pub fn lateness(&self) -> Lateness {
        self.shared.lateness.so_far()
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

impl Controlled {
    /// The next command that waits.
    pub fn take(&self) -> Option<Asked> {
        self.commands.try_recv().ok()
    }

    /// The change of what controllers are made from that waits.
    pub fn take_renewal(&self) -> Option<Renewal> {
        self.renewals.try_recv().ok()
    }

    /// Whether the run is to end in order.
    pub fn stops(&self) -> bool {
        self.shared.stops.load(Ordering::Acquire)
    }

    /// Whether the run is to end now.
    pub fn ends(&self) -> bool {
        self.shared.ends.load(Ordering::Acquire)
    }

    /// Counts how late a delivery passed.
    pub fn passed(&self, late: Span) {
        self.shared.lateness.count(late);
    }

    /// Shows that the loop lives.
    pub fn tick(&self) {
        self.shared.progress.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { to: ControllerIndex(0), command: Command::SwitchOver { to: None } };

    #[test]
    fn the_last_place_is_given_and_one_more_is_refused() {
        let (control, controlled) = control(None);
        for _ in 0..COMMANDS_MAX {
            assert_eq!(control.ask(ASKED), Ok(()));
        }
        assert_eq!(control.ask(ASKED), Err(Refused::Full));
        assert_eq!(controlled.take(), Some(ASKED));
        assert_eq!(control.ask(ASKED), Ok(()));
    }

    #[test]
    fn nobody_is_asked_once_the_loop_is_gone() {
        let (control, controlled) = control(None);
        drop(controlled);
        assert_eq!(control.ask(ASKED), Err(Refused::Over));
    }

    #[test]
    fn the_end_finds_room_where_commands_do_not() {
        let (control, controlled) = control(None);
        while control.ask(ASKED).is_ok() {}
        control.stop();
        assert!(controlled.stops() && !controlled.ends());
        control.end();
        assert!(controlled.ends());
    }
}

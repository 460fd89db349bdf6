//! What systemd is told, where it asks to be told: that the daemon is ready, how it is, that it ends, and that the loop lives.
//!
//! **Invariant:** the watchdog is fed from the loop's progress. A service thread that lives is no sign that anything controls.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

/// How often its line about how everything is is made anew.
pub(super) const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Tells systemd something; where there is none, nobody.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd cannot be told: {error}");
    }
}

/// How far the daemon has come, as systemd was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Begins,
    Runs,
    Reloads,
    Ends,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    Runs,
    Reloads,
    HasReloaded,
    Ends,
}

/// Threads tell of one daemon.
static STANDS: Mutex<Stands> = Mutex::new(Stands::Begins);

impl Stands {
    /// How it stands then; `None`: nothing is told. Who is not ready yet, or ends, says nothing of what it reads.
    const fn after(self, happens: Happens) -> Option<Self> {
        match (self, happens) {
            (Self::Ends, _)
            | (Self::Begins | Self::Runs, Happens::HasReloaded)
            | (Self::Begins, Happens::Reloads) => None,
            (Self::Begins | Self::Runs | Self::Reloads, Happens::Ends) => Some(Self::Ends),
            (Self::Runs | Self::Reloads, Happens::Reloads) => Some(Self::Reloads),
            (Self::Begins | Self::Runs, Happens::Runs) | (Self::Reloads, Happens::HasReloaded) => {
                Some(Self::Runs)
            }
            (Self::Reloads, Happens::Runs) => None,
        }
    }
}

/// Tells what happens, in the order in which it does.
fn tell_that(happens: Happens) {
    let mut stands = STANDS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(after) = stands.after(happens) else { return };
    *stands = after;
    match after {
        Stands::Begins => {}
        Stands::Runs => tell(&[NotifyState::Ready]),
        Stands::Reloads => match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!("systemd cannot be told: {error}"),
        },
        Stands::Ends => tell(&[NotifyState::Stopping]),
    }
}

/// The API answers and the loop runs.
pub(super) fn ready() {
    tell_that(Happens::Runs);
}

/// How everything is, in a line.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// It reads its site file again.
pub(super) fn reloading() {
    tell_that(Happens::Reloads);
}

/// What it read is refused, or every controller runs with it.
pub(super) fn reloaded() {
    tell_that(Happens::HasReloaded);
}

/// The daemon begins to end.
pub(super) fn stopping() {
    tell_that(Happens::Ends);
}

/// Feeds the watchdog while the loop makes progress.
pub(super) struct Watchdog {
    seen: u64,
}

impl Watchdog {
    /// The watchdog, and how often to look; nothing if nobody asks for it.
    pub(super) fn start() -> Option<(Self, Duration)> {
        let patience = sd_notify::watchdog_enabled()?;
        // Twice within the patience is what systemd recommends; once more allows for a look that comes late.
        Some((Self { seen: 0 }, patience / 3))
    }

    /// Looks at the loop's progress; says whether the watchdog was fed.
    pub(super) fn look(&mut self, progress: u64) -> bool {
        let lives = progress != self.seen;
        self.seen = progress;
        if lives {
            tell(&[NotifyState::Watchdog]);
        }
        lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_told_between_the_begin_and_the_end_and_both_are_told_once() {
        use Happens::{Ends, HasReloaded, Reloads, Runs};
        let told = |happen: &[Happens]| {
            let mut stands = Stands::Begins;
            let tells = |happens: &Happens| stands.after(*happens).map(|after| stands = after).is_some();
            happen.iter().map(tells).collect::<Vec<bool>>()
        };
        assert_eq!(told(&[Reloads, HasReloaded, Runs]), [false, false, true]);
        assert_eq!(
            told(&[Runs, Reloads, Reloads, HasReloaded, HasReloaded]),
            [true, true, true, true, false]
        );
        assert_eq!(told(&[Runs, Reloads, Ends, HasReloaded, Ends]), [true, true, true, false, false]);
    }

    #[test]
    fn a_loop_that_stands_still_feeds_nothing() {
        let mut watchdog = Watchdog { seen: 0 };
        assert!(watchdog.look(1));
        assert!(!watchdog.look(1));
        assert!(watchdog.look(2));
    }
}

//! What systemd is told, where it asks to be told: that the daemon is ready, how it is, that it ends, and that the loop lives.
//!
//! **Invariant:** the watchdog is fed from the loop's progress. A service thread that lives is no sign that anything controls.

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

/// The API answers and the loop runs.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// How everything is, in a line.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// It reads its site file again; it is ready once that is done, whatever came of it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("systemd cannot be told: {error}"),
    }
}

/// The daemon begins to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
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
    fn a_loop_that_stands_still_feeds_nothing() {
        let mut watchdog = Watchdog { seen: 0 };
        assert!(watchdog.look(1));
        assert!(!watchdog.look(1));
        assert!(watchdog.look(2));
    }
}

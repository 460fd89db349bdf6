//! Signals: the first SIGTERM or SIGINT ends the daemon in order, the second at once; on SIGHUP a site file is read again.
//!
//! **The same signal again within [`ONE_IS_REPEATED`] is the first one.** A parent that dies sends what it left word for once for
//! each of its threads, and who passes signals on may do so beside a terminal that sends them to all of a group.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "it tells signals apart and decides nothing of a site")]
use std::time::Instant;

use r_ems_site::Control;
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::unregister;

use super::reload::Reloads;
use super::systemd;

/// So soon after the first, the same signal is no second one: nobody has seen by then what the first one does.
const ONE_IS_REPEATED: Duration = Duration::from_millis(300);

/// Notes that a SIGHUP came before anybody could follow it, and keeps it from ending the daemon: one that is sent while a long
/// log is recovered asks for the file that is there by then.
#[derive(Debug)]
pub(super) struct Early {
    came: Arc<AtomicBool>,
    id: SigId,
}

impl Early {
    /// Begins to note it.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub(super) fn note() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let id = flag::register(SIGHUP, Arc::clone(&came))?;
        Ok(Self { came, id })
    }

    /// Ends noting it, as somebody follows it now; says whether one came.
    fn end(self) -> bool {
        unregister(self.id);
        self.came.load(Ordering::SeqCst)
    }
}

/// Watches signals until it is ended.
pub(super) struct Watch {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// Passes signals to the loop, on a thread of its own that waits for nothing else; `reloads` is asked to read a site file again,
/// where one is run, also for a signal that came `early`.
#[expect(clippy::disallowed_methods, reason = "it waits for signals and decides nothing")]
pub(super) fn watch(control: Control, reloads: Option<Reloads>, early: Early) -> io::Result<Watch> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let came_early = early.end();
    let handle = signals.handle();
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked = None;
        if came_early {
            take(SIGHUP, &control, reloads.as_ref(), &mut asked);
        }
        for signal in signals.forever() {
            take(signal, &control, reloads.as_ref(), &mut asked);
        }
    })?;
    Ok(Watch { handle, thread })
}

/// Takes a signal; `asked` is the first one that asked for the end, and when. What operators ask for counts for nothing here:
/// they and whoever sends signals need not know of each other.
#[expect(clippy::disallowed_types, reason = "it tells signals apart and decides nothing of a site")]
fn take(signal: i32, control: &Control, reloads: Option<&Reloads>, asked: &mut Option<(i32, Instant)>) {
    if signal == SIGHUP {
        match reloads {
            Some(reloads) => reloads.ask(),
            None => tracing::warn!(
                "SIGHUP: nothing can be loaded again while it runs; end the daemon and start it anew"
            ),
        }
    } else if let Some((first, at)) = *asked {
        if is_another(signal, first, at.elapsed()) {
            control.end();
            tracing::warn!("a second signal: it ends at once");
        }
    } else {
        *asked = Some((signal, Instant::now()));
        control.stop();
        tracing::info!("it ends in order; a second signal ends it at once");
        systemd::stopping();
    }
}

impl Watch {
    /// Ends watching.
    pub(super) fn end(self) {
        self.handle.close();
        // It has nothing left to do and cannot fail.
        let _ended = self.thread.join();
    }
}

/// Whether a signal is another one than the first, so long after that.
fn is_another(signal: i32, first: i32, after: Duration) -> bool {
    signal != first || after > ONE_IS_REPEATED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_at_once_is_the_first_one_and_another_or_a_later_one_is_not() {
        let later = ONE_IS_REPEATED + Duration::from_millis(1);
        let cases = [
            (SIGTERM, Duration::ZERO),
            (SIGTERM, ONE_IS_REPEATED),
            (SIGTERM, later),
            (SIGINT, Duration::ZERO),
        ];
        let seen = cases.map(|(signal, after)| is_another(signal, SIGTERM, after));
        assert_eq!(seen, [false, false, true, true]);
    }
}

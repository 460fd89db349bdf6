//! Shows how far a run is, and ends it when the user asks.
//!
//! On a terminal a line moves: simulated time, speed, what remains. Elsewhere a plain line appears every few seconds. The
//! clock on the wall is read only once in [`DELIVERIES_PER_LOOK`] deliveries and never reaches a machine: what is shown
//! changes nothing, and an interrupted run is the beginning of the whole one, bit for bit. The wish to end is looked for
//! before each delivery, because the plant may have much to do between two of them.

#![expect(clippy::disallowed_types, reason = "only people see this clock; no delivery carries it")]

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome};
use r_ems_engine::{Span, Time};

use crate::present::text;

/// Deliveries between two looks at the clock: about a millisecond of work.
pub const DELIVERIES_PER_LOOK: u32 = 4_096;
/// The time between two plain lines where there is no terminal.
pub const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

/// A wish to end a run before its end; set from a signal's handler.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Lets Ctrl-C and a polite termination ask for the end; a second one ends the program at once.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn on_signals() -> std::io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The order matters: the second signal finds the flag set by the first.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self(asked))
    }

    /// Lets Ctrl-C, a polite termination and a terminal that goes away ask for the end, and does nothing more however often they
    /// come: whoever has put something in disorder needs a moment to put it right.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn on_signals_patiently() -> std::io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
        {
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self(asked))
    }

    /// Asks for the end.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Measures how long a run takes here.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A driver whose progress is shown.
pub struct Progress<D> {
    /// The driver.
    pub inner: D,
    interrupt: Interrupt,
    display: Display,
    end: Time,
    reached: Time,
    until_look: u32,
    has_stopped: bool,
}

/// Where progress is shown.
enum Display {
    Nowhere,
    Terminal { bar: ProgressBar, since: Instant },
    Lines { since: Instant, last: Instant },
}

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// On standard error.
    Yes,
    /// Not at all: tests, library calls.
    No,
}

impl<D> Progress<D> {
    /// Shows the progress of a run that lasts until `end`.
    pub fn new(inner: D, end: Time, interrupt: Interrupt, shown: Shown) -> Self {
        let display = match shown {
            Shown::No => Display::Nowhere,
            Shown::Yes if std::io::stderr().is_terminal() => Display::terminal(),
            Shown::Yes => Display::Lines { since: Instant::now(), last: Instant::now() },
        };
        let until_look = DELIVERIES_PER_LOOK;
        Self { inner, interrupt, display, end, reached: Time::ZERO, until_look, has_stopped: false }
    }

    /// Ends the display: the driver, and whether the user ended the run early.
    pub fn into_parts(self) -> (D, bool) {
        if let Display::Terminal { bar, .. } = &self.display {
            bar.finish_and_clear();
        }
        (self.inner, self.has_stopped)
    }

    #[cold]
    fn look(&mut self) {
        self.until_look = DELIVERIES_PER_LOOK;
        self.display.show(self.reached, self.end);
    }
}

impl Display {
    fn terminal() -> Self {
        let bar = ProgressBar::with_draw_target(Some(BAR_LENGTH), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is a constant");
        bar.set_style(style.progress_chars("━╸ "));
        Self::Terminal { bar, since: Instant::now() }
    }

    fn show(&mut self, reached: Time, end: Time) {
        match self {
            Self::Nowhere => {}
            Self::Terminal { bar, since } => {
                bar.set_position((reached.as_secs_f64() / end.as_secs_f64() * BAR_LENGTH as f64) as u64);
                bar.set_message(line(reached, end, since.elapsed()));
            }
            Self::Lines { since, last } => {
                if last.elapsed() < PLAIN_LINE_EVERY {
                    return;
                }
                *last = Instant::now();
                // Nobody reads a broken standard error; the run goes on.
                let _ = writeln!(std::io::stderr(), "{}", line(reached, end, since.elapsed()));
            }
        }
    }
}

const BAR_LENGTH: u64 = 1_000;

fn line(reached: Time, end: Time, wall: Duration) -> String {
    let simulated = reached.as_secs_f64();
    let speed = simulated / wall.as_secs_f64();
    let remaining = end.since(reached).as_secs_f64() / speed;
    let whole = |span: Span| text::duration(span);
    let remaining = Span::from_secs_f64(remaining + 0.5).whole(Span::from_secs(1));
    format!(
        "{} of {} simulated, {} times real time, {} left",
        whole(reached.since(Time::ZERO)),
        whole(end.since(Time::ZERO)),
        text::count(speed as u64),
        whole(Span::from_secs(remaining)),
    )
}

impl<D: Driver> Driver for Progress<D> {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        if self.has_stopped || self.interrupt.is_asked() {
            self.has_stopped = true;
            return None;
        }
        if self.until_look == 0 {
            self.look();
        }
        self.until_look -= 1;
        let next = self.inner.next();
        if let Some(delivery) = &next {
            self.reached = delivery.at;
        }
        next
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.inner.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.inner.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::LocalTime;
    use r_ems_engine::ids::ControllerIndex;
    use r_ems_engine::machine::{Input, Step};

    struct Endless;

    impl Driver for Endless {
        fn next(&mut self) -> Option<Delivery<'_>> {
            let step = Step::Input(Input::Wake);
            Some(Delivery { at: Time::ZERO, now: LocalTime::ZERO, to: ControllerIndex(0), step })
        }

        fn perform(&mut self, _outcome: &Outcome<'_>) {}
    }

    #[test]
    fn a_run_ends_with_the_delivery_under_way_once_that_is_wished() {
        let interrupt = Interrupt::default();
        let mut progress = Progress::new(Endless, Time::MAX, interrupt.clone(), Shown::No);
        assert!(progress.next().is_some());
        interrupt.ask();
        assert!(progress.next().is_none());
        assert!(progress.into_parts().1);
    }

    #[test]
    fn a_polite_termination_is_a_wish_to_end() {
        let interrupt = Interrupt::on_signals().expect("handlers can be set");
        assert!(!interrupt.is_asked());
        signal_hook::low_level::raise(signal_hook::consts::SIGTERM).expect("a signal to oneself arrives");
        assert!(interrupt.is_asked());
    }

    #[test]
    fn the_line_names_time_speed_and_what_remains() {
        let (reached, end) = (Time::ZERO + Span::from_hours(24), Time::ZERO + Span::from_hours(168));
        assert_eq!(
            line(reached, end, Duration::from_secs(2)),
            "1 day of 7 days simulated, 43,200 times real time, 12 s left"
        );
    }
}

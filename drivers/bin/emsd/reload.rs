//! What is in effect of a site's files, and how the site file is read again while it runs.
//!
//! ```text
//!     SIGHUP ─> this thread: file ─> checked ─> what controllers are made from ─> loop
//!               <───────────── refused, or taken and later in effect ──────────────┘
//! ```
//!
//! On SIGHUP the file is read and checked as at the start, on a thread of its own: one that cannot be read to its end keeps
//! nobody from hearing signals. What may not change while it runs is refused with its place, and so is everything while a log
//! is in trouble on which a new life would depend; then nothing changes. What may makes other controllers of the same names and
//! seats: those whose decisions it changes end in order, one after the other, hand over where somebody is there to take over, and
//! begin anew, with the memory of their functions as after an upgrade. The new segment of each log has the new text in its
//! header, so that each replays by itself. Only when all of them fare as before is the file in effect.
//!
//! A reading is compared with what was taken last, so the next one waits until the loop has said whether it takes the one before.
//!
//! **Bounds:** one request to read it waits for this thread, as the next reading sees whatever came before it, and one change for
//! the loop. A newer file takes the place of one that was taken and is not in effect yet.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::machine::Machine;
use r_ems_engine::units::Watts;
use r_ems_engine::wall::WallTime;
use r_ems_scenarios::{Disk as Files, Document, RealMember, RealSite, load_again};
use r_ems_site::Control;
use r_ems_site::site::{Renewal, Renewed};

use super::production::{dated, life_of};
use super::systemd;
use crate::api::{Config, Text, VERSION};
use crate::study::contained::contained;
use crate::study::load::report_text;

/// After so long systemd does not wait any more for controllers that begin anew, and people are told that they still do.
const RUNS_AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// What is in effect, to look at any time.
#[derive(Clone, Debug)]
pub(super) struct Effective(Arc<Mutex<InEffect>>);

#[derive(Clone, Debug)]
struct InEffect {
    config: Config,
    /// By grid, the limit that peaks are shaved to, as far as that may change.
    limits_w: Vec<(String, Option<f64>)>,
}

impl Effective {
    /// Of a run whose files are read once.
    pub(super) fn once(config: Config) -> Self {
        Self(Arc::new(Mutex::new(InEffect { config, limits_w: Vec::new() })))
    }

    /// Of a site.
    pub(super) fn of_site<F: FunctionSet>(mode: &str, site: &RealSite<F>) -> Self {
        let nothing = Text { path: String::new(), text: String::new() };
        let (version, mode) = (VERSION.to_owned(), mode.to_owned());
        let effective = Self::once(Config { version, mode, scenario: nothing.clone(), site: nothing });
        effective.take(site);
        effective
    }

    /// What a site file says is in effect from now on.
    fn take<F: FunctionSet>(&self, site: &RealSite<F>) {
        let mut known = self.known();
        known.config.site =
            Text { path: site.document.path().to_owned(), text: site.document.text().to_owned() };
        let limit =
            |member: &RealMember<F>| (member.spec.grid.clone(), member.shaving_limit.map(Watts::watts));
        known.limits_w = site.members.iter().map(limit).collect();
    }

    /// The files.
    pub(super) fn config(&self) -> Config {
        self.known().config.clone()
    }

    /// The limit that peaks of a grid are shaved to; `None`: it is what it was at the start.
    pub(super) fn limit_w(&self, grid: &str) -> Option<Option<f64>> {
        self.known().limits_w.iter().find(|known| known.0 == grid).map(|known| known.1)
    }

    fn known(&self) -> MutexGuard<'_, InEffect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread hears.
enum Heard {
    /// The file is to be read again.
    Asked,
    /// The change of this number has come so far.
    Renewed(u32, Renewed),
}

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Nothing.
    Nothing,
    /// The loop tells something.
    Told,
    /// The loop tells first whether it takes what was read: only then it is known what another reading is compared with.
    Answered,
}

/// Reads a site file again, as often as it is asked to.
pub(super) struct Again {
    asks: Sender<Heard>,
    heard: Receiver<Heard>,
    does: Box<dyn FnMut(Heard) -> Then + Send>,
}

/// Asks for it.
#[derive(Clone)]
pub(super) struct Reloads {
    asks: Sender<Heard>,
    /// Whether somebody has asked, and nothing was read since.
    is_asked: Arc<AtomicBool>,
}

impl Reloads {
    /// Asks that the file is read again; it never waits.
    pub(super) fn ask(&self) {
        if !self.is_asked.swap(true, Ordering::AcqRel) {
            // The thread lives as long as the process.
            let _sent = self.asks.send(Heard::Asked);
        }
    }
}

impl Again {
    /// Starts the thread, which ends with the process: nobody waits for a file.
    ///
    /// # Errors
    /// The operating system has no more threads.
    #[expect(clippy::disallowed_methods, reason = "it waits for a file, and decides nothing of a run")]
    pub(super) fn start(self) -> io::Result<Reloads> {
        let Self { asks, heard, mut does } = self;
        let reloads = Reloads { asks, is_asked: Arc::default() };
        let is_asked = Arc::clone(&reloads.is_asked);
        std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let mut then = Then::Nothing;
            // Whether a reading waits for the loop's answer to the one before.
            let mut is_put_off = false;
            let mut does = move |heard| {
                contained(|| does(heard)).unwrap_or_else(|words| {
                    tracing::error!("SIGHUP: the site file is not taken, which is a bug of r-ems: {words}");
                    Then::Nothing
                })
            };
            while let Some(heard) = wait(&heard, &mut then) {
                if let Heard::Asked = heard {
                    is_asked.store(false, Ordering::Release);
                    systemd::reloading();
                    if then == Then::Answered {
                        is_put_off = true;
                        continue;
                    }
                }
                then = does(heard);
                if then != Then::Answered && std::mem::take(&mut is_put_off) {
                    then = does(Heard::Asked);
                }
                if then == Then::Nothing {
                    systemd::reloaded();
                }
            }
        })?;
        Ok(reloads)
    }
}

/// What is heard next; says once that the loop tells nothing for long.
fn wait(heard: &Receiver<Heard>, then: &mut Then) -> Option<Heard> {
    if *then != Then::Nothing {
        match heard.recv_timeout(RUNS_AGAIN_WITHIN) {
            Ok(heard) => return Some(heard),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(
                    "SIGHUP: after {RUNS_AGAIN_WITHIN:?} some controllers do not fare yet as before; others of their grids \
                     wait with the change until they do, or until another change is taken"
                );
                systemd::reloaded();
            }
        }
    }
    heard.recv().ok()
}

/// A site file that was read, on its way to be in effect.
struct Change<F: FunctionSet> {
    number: u32,
    site: RealSite<F>,
}

/// A site whose file is read again.
struct Reread<F: FunctionSet> {
    host: u16,
    /// Its controllers here, as people know them.
    names: Vec<String>,
    /// What was taken last.
    running: Document,
    asked: Option<Change<F>>,
    taken: Option<Change<F>>,
    count: u32,
    /// When the run began, and what its logs are called.
    start: WallTime,
    title: String,
    control: Control,
    effective: Effective,
    tells: Sender<Heard>,
}

/// How the file of `site` is read again on `host`, whose controllers are called `names`, in a run that began at `start` and whose
/// logs are called `title`.
pub(super) fn again<F>(
    site: &RealSite<F>,
    (host, names): (u16, Vec<String>),
    (start, title): (WallTime, String),
    (control, effective): (Control, Effective),
) -> Again
where
    F: FunctionSet + Send + Sync + 'static,
{
    let (asks, heard) = channel();
    let mut reread = Reread::<F> {
        host,
        names,
        running: site.document.clone(),
        asked: None,
        taken: None,
        count: 0,
        start,
        title,
        control,
        effective,
        tells: asks.clone(),
    };
    let does = move |heard| match heard {
        Heard::Asked => reread.read(),
        Heard::Renewed(number, renewed) => reread.hear(number, renewed),
    };
    Again { asks, heard, does: Box::new(does) }
}

impl<F: FunctionSet + Send + Sync + 'static> Reread<F> {
    /// Reads the file, and hands on to the loop what it changes.
    fn read(&mut self) -> Then {
        let path = self.running.path().to_owned();
        match load_again::<F>(&Files, &path, &self.running) {
            Ok(Some(site)) => self.ask(site),
            Ok(None) if self.taken.is_some() => {
                tracing::info!("SIGHUP: {path} says what was taken already; it is not in effect yet");
            }
            Ok(None) => tracing::info!("SIGHUP: {path} says what is in effect already"),
            Err(report) => {
                let report = report_text(&report);
                tracing::warn!("SIGHUP: {path} is refused, and nothing changes\n\n{report}");
            }
        }
        self.then()
    }

    fn ask(&mut self, site: RealSite<F>) {
        if !site.warnings.mistakes.is_empty() {
            tracing::warn!("{}", report_text(&site.warnings));
        }
        let here = site.members.iter().filter(|member| member.host() == self.host);
        let life = |member: &RealMember<F>| {
            dated(life_of(&site, member, &Controller::new(&member.spec), &self.title), self.start)
        };
        let lives = here.map(life).collect();
        self.count = self.count.wrapping_add(1);
        let (number, tells) = (self.count, self.tells.clone());
        let tell = Box::new(move |renewed| {
            // The thread lives as long as the process.
            let _sent = tells.send(Heard::Renewed(number, renewed));
        });
        match self.control.renew(Renewal { lives, tell }) {
            Ok(()) => self.asked = Some(Change { number, site }),
            Err(refused) => {
                tracing::warn!(
                    "SIGHUP: {} is not taken, and nothing changes: {refused}",
                    site.document.path()
                );
            }
        }
    }

    /// Hears how far a change has come.
    fn hear(&mut self, number: u32, renewed: Renewed) -> Then {
        let path = self.running.path();
        let is_it = |change: &mut Change<F>| change.number == number;
        match renewed {
            Renewed::Refused(of, trouble) => {
                self.asked.take_if(is_it);
                tracing::warn!(
                    "SIGHUP: {path} is refused, and nothing changes: {} would begin anew from its log, which is not kept: the \
                     disk is {}; send SIGHUP again when journal_restored is told",
                    self.name(of),
                    trouble.name()
                );
            }
            Renewed::Taken(changed) => {
                let names: Vec<&str> = changed.into_iter().map(|of| self.name(of)).collect();
                let names = if names.is_empty() { "no controller here".to_owned() } else { names.join(", ") };
                tracing::info!(
                    "SIGHUP: {path} is taken: {names} begins anew with it, one at a time in a grid"
                );
                if let Some(change) = self.asked.take_if(is_it) {
                    self.running = change.site.document.clone();
                    self.taken = Some(change);
                }
            }
            Renewed::InEffect => {
                if let Some(change) = self.taken.take_if(is_it) {
                    self.effective.take(&change.site);
                    tracing::info!("SIGHUP: {path} is in effect: every controller here runs with it");
                }
            }
        }
        self.then()
    }

    /// What is still to come.
    const fn then(&self) -> Then {
        match (&self.asked, &self.taken) {
            (Some(_), _) => Then::Answered,
            (None, Some(_)) => Then::Told,
            (None, None) => Then::Nothing,
        }
    }

    fn name(&self, of: ControllerIndex) -> &str {
        self.names.get(of.position()).map_or("a controller", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that does as `does` says.
    fn started(does: impl FnMut(Heard) -> Then + Send + 'static) -> Reloads {
        let (asks, heard) = channel();
        Again { asks, heard, does: Box::new(does) }.start().expect("a thread")
    }

    #[test]
    fn nothing_is_read_before_the_loop_has_answered_what_was_read_before() {
        let (does, done) = channel();
        let reloads = started(move |heard| {
            let (told, then) = match heard {
                Heard::Asked => ("read", Then::Answered),
                Heard::Renewed(..) => ("answered", Then::Nothing),
            };
            does.send(told).expect("the test listens");
            then
        });
        reloads.ask();
        assert_eq!(done.recv(), Ok("read"));
        reloads.ask();
        // Whoever answers later stands behind the request.
        reloads.asks.send(Heard::Renewed(1, Renewed::InEffect)).expect("the thread lives");
        assert_eq!((done.recv(), done.recv()), (Ok("answered"), Ok("read")));
    }

    #[test]
    fn who_asks_waits_for_no_file_and_what_comes_meanwhile_is_one_more_reading() {
        let (lets_go, held) = channel::<()>();
        let (begins, begun) = channel();
        let reloads = started(move |_heard| {
            begins.send(()).expect("the test listens");
            held.recv().expect("the test lets it go");
            Then::Nothing
        });
        reloads.ask();
        begun.recv().expect("it reads");
        for _ in 0..3 {
            reloads.ask();
        }
        lets_go.send(()).expect("it waits");
        begun.recv().expect("it reads once more");
        lets_go.send(()).expect("it waits");
        reloads.ask();
        begun.recv().expect("it has read what was asked for meanwhile once");
    }

    #[test]
    fn a_panic_costs_the_reading_in_which_it_happens() {
        let (begins, begun) = channel();
        let mut readings = 0;
        let reloads = started(move |_heard| {
            readings += 1;
            begins.send(readings).expect("the test listens");
            assert!(readings > 1, "the first one fails");
            Then::Nothing
        });
        reloads.ask();
        assert_eq!(begun.recv(), Ok(1));
        reloads.ask();
        assert_eq!(begun.recv(), Ok(2));
    }
}

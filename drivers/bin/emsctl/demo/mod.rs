//! `r-emsctl demo`: a redundant site of real processes on this computer, to kill one of them.
//!
//! ```text
//!     demo ──starts──> plant     r-emsctl device, a meter and a battery
//!                      a, b, w   r-emsd --mode production, two controllers and a witness
//! ```
//!
//! `files` makes what they run on, `part` is one of them, `page` says what to type. Nothing is simulated but the plant: sockets,
//! disks, clocks and processes are real. **Invariant:** nobody is started again by itself, and nothing outlives the demo.

mod files;
mod page;
mod part;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use r_ems_engine::redundancy::Role;
use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};

use self::files::Place;
use self::page::Commands;
use self::part::{Part, how};
use super::daemon::client::Client;
use crate::api::{GridStatus, Status};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};

pub(super) use self::part::perform as be;

pub(super) const EXAMPLES: &str = "\
Examples:
  r-emsctl demo
  r-emsctl demo --dir /tmp/demo

It says which process is which, and what to type in other terminals: watch, kill the active, see the other one take over, collect,
replay, explain. Ctrl-C ends all of them in order; their logs stay in the folder.";

/// The hosts of the site; the last one is the witness.
const HOSTS: [&str; 3] = ["a", "b", "w"];
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So often is looked until something that must come is given up: a minute.
const LOOKS_MAX: usize = 600;
/// So often is looked until those who were asked to end are ended: 20 s.
const ENDS_LOOKS_MAX: usize = 200;
/// So much of what a process said last is told where it failed.
const LAST_LINES: usize = 5;

/// Where the demo is.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// A new folder for all that the demo's processes need and keep
    #[arg(long, value_name = "DIR", default_value = "demo")]
    pub dir: PathBuf,
}

/// A demo that runs.
struct Demo {
    place: Place,
    /// Those that were started, the plant first.
    parts: Vec<Part>,
    /// How often somebody wanted it to end.
    ends: Arc<AtomicUsize>,
}

/// Runs until somebody ends it; `called` is how this program was called.
pub(super) fn perform(
    arguments: &DemoArguments,
    called: &OsStr,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let ends = Arc::<AtomicUsize>::default();
    for signal in [SIGINT, SIGTERM] {
        watch(signal, &ends)
            .map_err(|error| Failure::error(format!("signals cannot be watched: {error}")))?;
    }
    let place = Place::make(&arguments.dir)?;
    let commands = Commands { called: &called.to_string_lossy(), folder: &arguments.dir };
    let mut demo = Demo { place, parts: Vec::new(), ends };
    let Some(active) = demo.start()? else { return demo.end(output) };
    let other = if active == "a" { "b" } else { "a" };
    output.text(&commands.begin(&demo.parts, &active, other))?;
    demo.watch(&commands, output)?;
    demo.end(output)
}

/// Counts a signal.
fn watch(signal: i32, ends: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let ends = Arc::clone(ends);
    let mut signals = signal_hook::iterator::Signals::new([signal])?;
    #[expect(clippy::disallowed_methods, reason = "it waits for signals and decides nothing")]
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            ends.fetch_add(1, Ordering::SeqCst);
        }
    })?;
    Ok(())
}

impl Demo {
    /// Starts all of them, and waits until one is active and the other one ready; nothing if somebody ends it meanwhile.
    fn start(&mut self) -> Result<Option<String>, Failure> {
        let plant = self.place.path("plant.ron");
        self.begin("plant", &["r-emsctl".as_ref(), "device".as_ref(), plant.as_ref()])?;
        let said = self.place.path("plant.log");
        let serves = || {
            let said = fs::read_to_string(&said).unwrap_or_default();
            said.contains("in real time").then_some(())
        };
        let Some(()) = self.until("the plant serves its devices", serves)? else { return Ok(None) };
        // Who comes first is the active: it has been there for longest.
        self.begin_host("w")?;
        self.begin_host("a")?;
        let socket = self.place.path("a.sock");
        let Some(_active) = self.until("somebody is active", || grid(&socket)?.active)? else {
            return Ok(None);
        };
        self.begin_host("b")?;
        let socket = self.place.path("b.sock");
        self.until("the other one is ready to take over", || {
            let grid = grid(&socket)?;
            let mut standing_by = grid.controllers.iter().filter(|known| known.role == Role::Standby.name());
            standing_by.any(|known| known.is_ready).then_some(grid.active).flatten()
        })
    }

    fn begin_host(&mut self, host: &'static str) -> Result<(), Failure> {
        let at = |name: &str| self.place.path(name).into_os_string();
        let mut words: Vec<OsString> = ["r-emsd", "--mode", "production"].map(OsString::from).to_vec();
        words.push(at("site.ron"));
        let named = [
            ("--host", host.into()),
            ("--key", at("key")),
            ("--state", at(&format!("state/{host}"))),
            ("--socket", at(&format!("{host}.sock"))),
        ];
        words.extend(named.into_iter().flat_map(|(name, value)| [name.into(), value]));
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        self.begin(host, &words)
    }

    fn begin(&mut self, name: &'static str, words: &[&OsStr]) -> Result<(), Failure> {
        let words: Vec<OsString> = words.iter().map(|word| (*word).to_owned()).collect();
        self.parts.push(Part::start(&self.place, name, &words)?);
        Ok(())
    }

    /// Looks until there is something; nothing if somebody ends the demo meanwhile.
    fn until<T>(&mut self, what: &str, look: impl Fn() -> Option<T>) -> Result<Option<T>, Failure> {
        for _ in 0..LOOKS_MAX {
            if self.ends.load(Ordering::SeqCst) > 0 {
                return Ok(None);
            }
            if let Some(found) = look() {
                return Ok(Some(found));
            }
            if let Some((name, how)) = self.ended().pop() {
                return Err(Failure::error(format!("{name} {how}\n{}", self.last_lines(name))));
            }
            pause();
        }
        let folder = self.place.path("");
        Err(Failure::error(format!(
            "within a minute it did not come so far that {what}; {}*.log say why",
            folder.display()
        )))
    }

    /// Tells who ends and who takes over, until somebody ends the demo or everybody has ended.
    fn watch(&mut self, commands: &Commands<'_>, output: &mut Output) -> Result<(), Failure> {
        let mut successor_is_told = false;
        let mut lost: Option<&'static str> = None;
        while self.ends.load(Ordering::SeqCst) == 0 && self.parts.iter().any(|part| part.ended.is_none()) {
            for (name, how) in self.ended() {
                output.text(&format!("\n{name} {how}\n"))?;
                lost = lost.or(Some(name).filter(|name| matches!(*name, "a" | "b")));
            }
            if let Some(lost) = lost.filter(|_| !successor_is_told) {
                let other = if lost == "a" { "b" } else { "a" };
                let grid = grid(&self.place.path(&format!("{other}.sock")));
                if grid.is_some_and(|grid| grid.active.as_deref() == Some(other)) {
                    output.text(&commands.taken_over(other))?;
                    output.text(&commands.again(lost))?;
                    successor_is_told = true;
                }
            }
            pause();
        }
        Ok(())
    }

    /// Ends all of them, the witness after those that it votes for, and the plant last.
    fn end(mut self, output: &mut Output) -> Result<Exit, Failure> {
        output.text("\nall of them are asked to end in order\n")?;
        let already = self.ends.load(Ordering::SeqCst);
        for together in [&["a", "b"][..], &["w"], &["plant"]] {
            let wanted = |part: &&Part| together.contains(&part.name);
            self.parts.iter().filter(wanted).for_each(|part| part.signal(Signal::TERM));
            for _ in 0..ENDS_LOOKS_MAX {
                let _told = self.ended();
                let is_over = self.parts.iter().filter(wanted).all(|part| part.ended.is_some());
                if is_over || self.ends.load(Ordering::SeqCst) > already {
                    break;
                }
                pause();
            }
            let late = self.parts.iter().filter(wanted).filter(|part| part.ended.is_none());
            late.for_each(|part| {
                say(&format!("{}: is ended at once", part.name));
                part.signal(Signal::KILL);
            });
        }
        output.text(&format!("their logs stay in {}\n", self.place.path("state").display()))?;
        Ok(Exit::Ok)
    }

    /// Who has ended since it was looked last, and how.
    fn ended(&mut self) -> Vec<(&'static str, String)> {
        let look = |part: &mut Part| Some((part.name, how(part.look()?)));
        self.parts.iter_mut().filter_map(look).collect()
    }

    /// What a process said last.
    fn last_lines(&self, name: &str) -> String {
        let said = fs::read_to_string(self.place.path(&format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

/// The grid, as a host sees it, if it can be asked.
fn grid(socket: &Path) -> Option<GridStatus> {
    let status: Status = Client::new(Some(socket.to_owned())).ok()?.get("/v1/status").ok()?;
    status.grids.into_iter().next()
}

#[expect(clippy::disallowed_methods, reason = "processes and people are waited for")]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

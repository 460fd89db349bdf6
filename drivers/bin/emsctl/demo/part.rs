//! The processes of the demo: this program once more for each, and how they end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use r_ems_engine::functions::FunctionSet;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use super::files::Place;
use crate::emsctl::args::Arguments;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// A process of the demo.
pub(super) struct Part {
    /// What it is called: "plant", or as its host.
    pub(super) name: &'static str,
    child: Child,
    /// How it ended.
    pub(super) ended: Option<ExitStatus>,
}

impl Part {
    /// Starts this program once more, as what `words` say; what it says goes into a file.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(place: &Place, name: &'static str, words: &[OsString]) -> Result<Self, Failure> {
        let says = place.file(&format!("{name}.log"))?;
        let failed = |error: io::Error| Failure::error(format!("{name}: cannot be started: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let child = Command::new(program)
            .arg("as")
            .args(words)
            .stdin(Stdio::null())
            .stdout(says.try_clone().map_err(failed)?)
            .stderr(says)
            // Ctrl-C is for the demo: it ends them in order.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        place.write(&format!("{name}.pid"), &format!("{}\n", child.id()))?;
        Ok(Self { name, child, ended: None })
    }

    /// Its number as a process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it has ended, where that was not known before.
    pub(super) fn look(&mut self) -> Option<ExitStatus> {
        if self.ended.is_some() {
            return None;
        }
        // One that cannot be asked is none any more.
        self.ended = self.child.try_wait().unwrap_or(Some(ExitStatus::from_raw(0)));
        self.ended
    }

    /// Asks it to end in order, or ends it.
    pub(super) fn signal(&self, signal: Signal) {
        if self.ended.is_none()
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            // It may end at this moment by itself.
            let _sent = kill_process(pid, signal);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing of a demo outlives it, also where it failed; one that has ended already cannot be ended again.
        if self.ended.is_none() {
            let _killed = self.child.kill();
            let _ended = self.child.wait();
        }
    }
}

/// How a process ended, in words.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Is another program, as a process of a demo: the first word says which. It ends in order with whoever started it.
///
/// # Errors
/// What the other program says.
pub(in crate::emsctl) fn perform<F>(words: &[OsString], output: &mut Output) -> Result<Exit, Failure>
where
    F: FunctionSet + Send + Sync + 'static,
    F::Spec: Send + Sync,
{
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure::error(format!("it would outlive the demo: {error}")))?;
    match words.first().and_then(|word| word.to_str()) {
        Some("r-emsd") => Ok(crate::emsd::main::<F>(words.to_vec())),
        Some("r-emsctl") => match Arguments::read(words.to_vec()) {
            Ok(Arguments { command }) => crate::emsctl::perform::<F>(command, &words[0], output),
            Err(error) => crate::emsctl::answer(&error, output),
        },
        Some(_) | None => Err(Failure::usage("expected r-emsd or r-emsctl, and its arguments")),
    }
}

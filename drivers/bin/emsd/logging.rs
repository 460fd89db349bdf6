//! What the program says on standard error: one line an event, for people or for programs.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anstream::adapter::strip_str;
use r_ems_engine::event::Severity;
use tracing_subscriber::EnvFilter;

use super::args::LogFormat;
use super::lines::Lines;
use crate::api::EventLine;
use crate::present::style::{BAD, paint};

/// What is told without a filter.
const USUAL: &str = "info";
/// So long the last lines may take before the program ends without them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where everything is said, once logging has started, and how.
pub(super) struct Said {
    lines: Arc<Lines>,
    format: LogFormat,
}

/// Lets lines go to standard error, the last words of a panic too; RUST_LOG filters them.
///
/// # Errors
/// The operating system has no more threads.
pub(super) fn start(format: LogFormat) -> io::Result<Said> {
    let tells = |lost| tracing::warn!(lost, "lines were lost: nobody read them in time");
    let lines = Lines::to(anstream::stderr(), tells)?;
    let filter =
        EnvFilter::builder().with_default_directive(USUAL.parse().expect("a level")).from_env_lossy();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(Arc::clone(&lines))
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_target(false);
    // A second program in one process says what it says where the first one does.
    let _first = match format {
        LogFormat::Human => subscriber.with_ansi(true).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    let last = Arc::clone(&lines);
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        last.settle(LAST_LINES);
    }));
    Ok(Said { lines, format })
}

impl Said {
    /// Says why the daemon ends with an error.
    pub(super) fn fail(&self, message: &str) {
        match self.format {
            LogFormat::Human => self.say(&failure(message)),
            LogFormat::Json => tracing::error!("{}", strip_str(message)),
        }
    }

    /// Says what somebody should look at.
    pub(super) fn warn(&self, message: &str) {
        match self.format {
            LogFormat::Human => self.say(message),
            LogFormat::Json => tracing::warn!("{}", strip_str(message)),
        }
    }

    fn say(&self, message: &str) {
        // A line is lost rather than refused.
        let _said = (&*self.lines).write(format!("{message}\n").as_bytes());
    }

    /// The lines on their way.
    pub(super) fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        self.lines.settle(LAST_LINES);
    }
}

/// Why the daemon ends with an error, as people read it.
pub(super) fn failure(message: &str) -> String {
    format!("{} {message}", paint(BAD, "error:"))
}

/// Tells what a controller reported.
pub(super) fn event(line: &EventLine, severity: Severity) {
    let EventLine { number, at, controller, kind, message, .. } = line;
    match severity {
        Severity::Info => tracing::info!(controller, kind, at, number, "{message}"),
        Severity::Warning => tracing::warn!(controller, kind, at, number, "{message}"),
        Severity::Alarm => tracing::error!(controller, kind, at, number, "{message}"),
    }
}

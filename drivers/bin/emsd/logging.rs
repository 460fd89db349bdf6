//! What the program says on standard error: one line an event, for people or for programs.

use r_ems_engine::event::Severity;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::args::LogFormat;
use crate::api::EventLine;

/// What is told without a filter.
const USUAL: &str = "info";

/// Lets lines go to standard error; RUST_LOG filters them.
pub(super) fn start(format: LogFormat) {
    let filter =
        EnvFilter::builder().with_default_directive(USUAL.parse().expect("a level")).from_env_lossy();
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .with_target(false)
        .with_span_events(FmtSpan::NONE);
    // A second program in one process says what it says where the first one does.
    let _first = match format {
        LogFormat::Human => {
            use std::io::IsTerminal;
            lines.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
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

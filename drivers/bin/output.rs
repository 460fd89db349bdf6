//! The two ways out of a program: data on standard output, everything else on standard error.
//!
//! Whoever reads may stop reading: `r-emsctl show LOG | head` is a wish fulfilled, no error. Colours leave where a
//! terminal shows them and `NO_COLOR` is not set.

use std::io::{self, Write};
#[cfg(unix)]
use std::sync::Arc;

use serde::Serialize;

use crate::exit::Failure;

/// Where results go.
pub struct Output {
    stream: anstream::AutoStream<io::Stdout>,
    state: State,
}

/// Whether somebody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Go on.
    Read,
    /// The reader has gone: more output helps nobody.
    Closed,
}

/// Makes a write that passes the limit of a file's size (`ulimit -f`) an error of that write: by default the system ends the
/// program without a word.
///
/// A library must not do this behind its user's back: the programs call it once.
///
/// # Errors
/// The operating system's refusal.
pub fn survive_file_limits() -> io::Result<()> {
    // A signal that has a handler ends nobody, and the write then fails. What the handler does is nothing to anybody.
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

impl Default for Output {
    fn default() -> Self {
        Self { stream: anstream::stdout(), state: State::Read }
    }
}

impl Output {
    /// Writes text as it is; returns whether somebody still reads.
    ///
    /// # Errors
    /// A full disk, for example; a reader that has gone is none.
    pub fn text(&mut self, text: &str) -> Result<State, Failure> {
        if self.state == State::Read {
            let written = self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush());
            self.after(written)?;
        }
        Ok(self.state)
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<State, Failure> {
        let mut plain = io::stdout().lock();
        let written = plain.write_all(bytes).and_then(|()| plain.flush());
        self.after(written)?;
        Ok(self.state)
    }

    /// Writes one JSON value and ends the line.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<State, Failure> {
        let text = serde_json::to_string_pretty(value).expect("our structures have string keys only");
        self.text(&format!("{text}\n"))
    }

    /// Writes one JSON value on one line.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<State, Failure> {
        let text = serde_json::to_string(value).expect("our structures have string keys only");
        self.text(&format!("{text}\n"))
    }

    fn after(&mut self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.state = State::Closed;
                Ok(())
            }
            Err(error) => Err(Failure::error(format!("standard output: cannot be written: {error}"))),
        }
    }
}

/// Tells the user something that is not data.
pub fn say(message: &str) {
    // Nobody is left to be told that standard error is gone.
    let _ = writeln!(anstream::stderr(), "{message}");
}

//! How the programs end: exit codes that scripts may rely on, and errors that say what to do.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Why the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// Something else failed, or the user interrupted the program.
    Error,
    /// The arguments make no sense.
    Usage,
    /// An expectation was violated.
    Violated,
    /// A replay, or a compared log, is not the same.
    Diverged,
    /// A scenario or site file is wrong.
    BadScenario,
    /// A site is not as its file says.
    Disagrees,
    /// What a site is like could not be found out.
    Unable,
}

impl Exit {
    /// The number that the operating system gets.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error | Self::Disagrees => 1,
            Self::Usage | Self::Unable => 2,
            Self::Violated => 3,
            Self::Diverged => 4,
            Self::BadScenario => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An end that needs words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The place, what is wrong there, and the remedy.
    pub message: String,
}

impl Failure {
    /// Says that something failed.
    pub fn error(message: impl Into<String>) -> Self {
        Self { exit: Exit::Error, message: message.into() }
    }

    /// Says that the arguments make no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// Says that a file could not be read or written.
    pub fn file(path: &Path, deed: &str, error: &io::Error) -> Self {
        let kind = error.kind();
        let remedy = if kind == io::ErrorKind::NotFound && deed == READ {
            "; check the path, it is relative to where you are"
        } else if kind == io::ErrorKind::NotFound {
            "; make its directory first"
        } else if kind == io::ErrorKind::PermissionDenied {
            "; choose a file that you may use"
        } else {
            ""
        };
        Self::error(format!("{}: cannot {deed}: {error}{remedy}", path.display()))
    }
}

/// What is done to a file that is an input.
pub const READ: &str = "be read";
/// What is done to a file that is an output.
pub const WRITTEN: &str = "be written";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

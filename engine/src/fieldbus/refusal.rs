//! Why a device does not do what it was asked, and why bytes are no answer.

use core::fmt;

/// Why a device does not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exception(pub u8);

impl Exception {
    /// The device does not know the function.
    pub const ILLEGAL_FUNCTION: Self = Self(1);
    /// It has no such entries.
    pub const ILLEGAL_ADDRESS: Self = Self(2);
    /// It takes no such value.
    pub const ILLEGAL_VALUE: Self = Self(3);
    /// It failed.
    pub const DEVICE_FAILURE: Self = Self(4);
    /// It has taken the request, and is not done with it.
    pub const IN_PROGRESS: Self = Self(5);
    /// It is busy.
    pub const BUSY: Self = Self(6);
    /// A gateway has no way to the unit.
    pub const NO_PATH: Self = Self(10);
    /// A gateway got no answer of the unit.
    pub const NO_RESPONSE: Self = Self(11);

    /// Whether what was asked is not done, and will not be.
    pub const fn refuses(self) -> bool {
        !self.is_of_gateway() && self.0 != Self::IN_PROGRESS.0
    }

    /// Whether a gateway tells it of a unit behind it: the connection is as good as before.
    pub const fn is_of_gateway(self) -> bool {
        matches!(self, Self::NO_PATH | Self::NO_RESPONSE)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "illegal function",
            2 => "illegal data address",
            3 => "illegal data value",
            4 => "server device failure",
            5 => "acknowledged, not done yet",
            6 => "server device busy",
            8 => "memory parity error",
            10 => "gateway path unavailable",
            11 => "gateway target device failed to respond",
            other => return write!(f, "exception {other}"),
        })
    }
}

/// Why bytes are no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFlaw {
    /// The device refuses, which is an answer.
    Exception(Exception),
    /// It is the answer to another function.
    Function(u8),
    /// It is shorter or longer than the answer to this request is.
    Length {
        /// How long.
        found: usize,
        /// How long it would be.
        expected: usize,
    },
    /// What it repeats of the request is not what was asked.
    Echo,
    /// Nothing of it makes sense.
    Content,
}

impl fmt::Display for AnswerFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exception(exception) => exception.fmt(f),
            Self::Function(found) => write!(f, "an answer to function {found}, which was not asked"),
            Self::Length { found, expected } => {
                write!(f, "an answer of {found} bytes, where it has {expected}")
            }
            Self::Echo => f.write_str("an answer that repeats another request"),
            Self::Content => f.write_str("an answer that makes no sense"),
        }
    }
}

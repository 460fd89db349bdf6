//! Texts by which a device says who it is: they are read before anything is believed of it or written to it.
//!
//! Numbers that lie in the right registers of the wrong device look right. So a map may say who answers there, and where another
//! one does, or one that does not say it, nothing is known of it and it is not controlled.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::DeviceMap;
use crate::fieldbus::pdu::{Registers, Table};
use crate::fieldbus::plan::Piece;

/// Most registers of one text, two letters each.
pub const MAX_TEXT_REGISTERS: u16 = 16;
/// Most bytes of one text.
pub const MAX_TEXT_BYTES: usize = 2 * MAX_TEXT_REGISTERS as usize;

/// What a text of a device says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Who made it.
    Manufacturer,
    /// What it is called.
    Model,
    /// Which of these it is.
    Serial,
    /// With which firmware.
    Version,
}

/// A text, without what fills its registers: nothing from the first NUL on, and no spaces around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    bytes: [u8; MAX_TEXT_BYTES],
    length: u8,
}

/// A text that a device must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityText {
    /// What it says.
    pub who: Who,
    /// In which table of registers.
    pub table: Table,
    /// Its first register.
    pub address: u16,
    /// So many, 1 to [`MAX_TEXT_REGISTERS`].
    pub registers: u16,
    /// What it must be.
    pub is: Text,
}

/// How a device is another than the one that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differs {
    /// In which text.
    pub who: Who,
    /// What it must be.
    pub expected: Text,
    /// What it is; `None`: the device has no such registers.
    pub found: Option<Text>,
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Manufacturer, Self::Model, Self::Serial, Self::Version];

    /// Its name in a site file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manufacturer => "manufacturer",
            Self::Model => "model",
            Self::Serial => "serial",
            Self::Version => "version",
        }
    }
}

impl Text {
    /// The text in some bytes, as far as there is room for it.
    pub fn of(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let trimmed = bytes[..end].trim_ascii();
        let kept = &trimmed[..trimmed.len().min(MAX_TEXT_BYTES)];
        let mut text = Self { bytes: [0; MAX_TEXT_BYTES], length: kept.len() as u8 };
        text.bytes[..kept.len()].copy_from_slice(kept);
        text
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(MAX_TEXT_BYTES)]
    }
}

impl IdentityText {
    /// All its registers.
    pub const fn piece(&self) -> Piece {
        Piece { table: self.table, address: self.address, count: self.registers }
    }

    /// Whether a device could have it, and a request read it that reads at most so many registers.
    pub(super) fn is_possible(&self, most: u16) -> bool {
        !self.table.is_of_bits()
            && (1..=MAX_TEXT_REGISTERS.min(most)).contains(&self.registers)
            && u32::from(self.address) + u32::from(self.registers) <= 1 << 16
            && (1..=2 * usize::from(self.registers)).contains(&self.is.bytes().len())
    }

    /// How a device differs that holds this there; `None` in `read`: it has no such registers.
    pub fn differs(&self, read: Option<Registers<'_>>) -> Option<Differs> {
        let found = read.map(|read| Text::of(read.bytes()));
        let differs = Differs { who: self.who, expected: self.is, found };
        (found != Some(self.is)).then_some(differs)
    }
}

impl DeviceMap {
    /// The texts by which it must say who it is, in the order in which they are read.
    pub fn identity(&self) -> &[IdentityText] {
        &self.identity
    }

    /// Whether a device is asked on each connection who it is, or where its numbers lie.
    pub const fn is_asked_first(&self) -> bool {
        self.models.is_some() || !self.identity.is_empty()
    }

    /// It has said that it is the one.
    pub const fn identify(&mut self) {
        self.is_identified = true;
    }
}

impl fmt::Display for Text {
    /// Letters that could command a terminal are told as question marks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '?' };
        self.bytes().iter().try_for_each(|byte| fmt::Write::write_char(f, letter(byte)))
    }
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, expected) = (self.who.name(), self.expected);
        match self.found {
            Some(found) => write!(f, "its {name} is \"{found}\", expected \"{expected}\""),
            None => write!(f, "its {name} cannot be read, expected \"{expected}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn what_fills_the_registers_of_a_text_is_none_of_it() {
        for bytes in [&b"AB 1"[..], b"AB 1\0\0", b"AB 1    ", b"  AB 1\0rest of another", b"AB 1 \0 \0"] {
            assert_eq!(Text::of(bytes), Text::of(b"AB 1"), "{bytes:?}");
        }
        assert_ne!(Text::of(b"AB 1"), Text::of(b"AB1"));
        assert_eq!(Text::of(&[b'x'; 200]).bytes().len(), MAX_TEXT_BYTES);
        assert!(Text::of(b"\0\0").bytes().is_empty());
    }

    #[test]
    fn a_text_that_differs_is_told_and_commands_no_terminal() {
        let (who, table, is) = (Who::Serial, Table::HoldingRegisters, Text::of(b"A-1"));
        let text = IdentityText { who, table, address: 10, registers: 2, is };
        let read =
            |bytes: &'static [u8]| text.differs(Registers::new(bytes)).map(|differs| format!("{differs}"));
        assert_eq!(read(b"A-1\0"), None);
        assert_eq!(read(b"A-2 ").as_deref(), Some("its serial is \"A-2\", expected \"A-1\""));
        assert_eq!(read(b"\x1b[2J").as_deref(), Some("its serial is \"?[2J\", expected \"A-1\""));
        let missing = text.differs(None).map(|differs| format!("{differs}"));
        assert_eq!(missing.as_deref(), Some("its serial cannot be read, expected \"A-1\""));
    }
}

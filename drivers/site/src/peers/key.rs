//! The key that the hosts of a site share, and the file that keeps it.
//!
//! Whoever has it can speak as any host of the site: it is one key, and proves that somebody of the site wrote something, while
//! the host's number says who. So the file is its owner's alone, and nothing prints what is in it.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Digits of a key in its file.
const KEY_DIGITS: usize = 2 * KEY_BYTES;
/// So much of a file is looked at: a key with white space around it is far shorter.
const FILE_MAX: usize = 1_024;
/// What somebody else than the owner may do with a file.
const OTHERS: u32 = 0o077;
/// How a key is made.
const REMEDY: &str = "make one with `openssl rand -hex 32`";

/// What a keyed hash is made with; it prints as nothing.
#[derive(Clone)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// Reads a key from its file: 64 hexadecimal digits, and white space around them if need be.
    ///
    /// # Errors
    /// Says what to do where there is no such file, where others than its owner may read or write it, or where it holds
    /// something else.
    pub fn load(path: &Path) -> Result<Self, String> {
        let place = path.display();
        let unread = |error| format!("{place}: cannot read the key of the site: {error}; {REMEDY}");
        // Asked before it is opened: who opens a pipe waits for its other end.
        if !std::fs::metadata(path).map_err(unread)?.is_file() {
            return Err(format!(
                "{place}: the key of the site is kept in a file, and this is none; {REMEDY}"
            ));
        }
        let file = File::open(path).map_err(unread)?;
        let mode = file.metadata().map_err(unread)?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(format!(
                "{place}: the key of the site must be its owner's alone, found mode {mode:03o}; \
                 run `chmod 600 {place}`"
            ));
        }
        let mut bytes = Vec::new();
        file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
        Self::read(&bytes).map_err(|problem| format!("{place}:{problem}; {REMEDY}"))
    }

    /// Reads what a file holds; of a mistake it says where in the file, and what.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let problem = |position: usize, found: &dyn fmt::Display| {
            let before = &bytes[..position];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            format!("{line}:{column}: a key is {KEY_DIGITS} hexadecimal digits, found {found}")
        };
        if bytes.len() > FILE_MAX {
            return Err(problem(0, &format_args!("more than {FILE_MAX} bytes")));
        }
        let start = bytes.len() - bytes.trim_ascii_start().len();
        let digits = bytes.trim_ascii();
        if let Some(place) = digits.iter().position(|byte| !byte.is_ascii_hexdigit()) {
            return Err(problem(start + place, &format_args!("'{}'", digits[place].escape_ascii())));
        }
        if digits.len() != KEY_DIGITS {
            return Err(problem(start, &digits.len()));
        }
        let mut key = [0; KEY_BYTES];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16).unwrap_or(0));
            // Two digits are a byte.
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(key))
    }

    /// Takes 32 random bytes for a key.
    pub(super) const fn of(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The first half of the hash of these bytes under this key.
    pub(super) fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

    #[test]
    fn a_key_is_read_with_white_space_around_it_and_never_printed() {
        let expected: [u8; 32] = std::array::from_fn(|place| place as u8);
        for text in [DIGITS.to_owned(), format!("\n  {DIGITS}\r\n")] {
            let key = Key::read(text.as_bytes()).expect("it is sound");
            assert_eq!(key.0, expected);
            assert_eq!(format!("{key:?}"), "Key(..)");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let refused = |text: &str| Key::read(text.as_bytes()).expect_err("it is refused");
        let rest = &DIGITS[1..];
        assert_eq!(refused(""), "1:1: a key is 64 hexadecimal digits, found 0");
        assert_eq!(refused(&format!("\n {rest}")), "2:2: a key is 64 hexadecimal digits, found 63");
        assert_eq!(refused(&format!("{DIGITS}0\n")), "1:1: a key is 64 hexadecimal digits, found 65");
        assert_eq!(refused(&format!("\n0g{rest}")), "2:2: a key is 64 hexadecimal digits, found 'g'");
        assert_eq!(
            refused(&format!("{DIGITS}\n{DIGITS}")),
            "1:65: a key is 64 hexadecimal digits, found '\\n'"
        );
        assert_eq!(refused("\u{e9}"), "1:1: a key is 64 hexadecimal digits, found '\\xc3'");
        let padding = " ".repeat(FILE_MAX - DIGITS.len());
        assert!(Key::read(format!("{DIGITS}{padding}").as_bytes()).is_ok());
        let longer = refused(&format!("{DIGITS} {padding}"));
        assert_eq!(longer, "1:1: a key is 64 hexadecimal digits, found more than 1024 bytes");
    }
}

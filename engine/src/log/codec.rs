//! The encoding of states and headers: the only file that names bincode.
//!
//! bincode 2 is unmaintained (RUSTSEC-2025-0141) and pinned; golden bytes in the tests let it be replaced here without a
//! reader noticing. What comes from outside is decoded with a size limit, and every byte must be used.

use alloc::vec::Vec;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest encoded value that is read back.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

const CONFIGURATION: Configuration<LittleEndian, Varint, Limit<MAX_VALUE_BYTES>> =
    bincode::config::standard().with_limit::<MAX_VALUE_BYTES>();

/// Says that bytes are no encoding of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

/// Collects encoded bytes in a vector that is already there.
struct Sink<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends the encoding of `value` to `bytes`.
pub fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(value, Sink(bytes), CONFIGURATION)
        .expect("our own types have a binary form and a vector takes all bytes");
}

/// Decodes a value from the beginning of `bytes`; returns how many of them it took.
///
/// # Errors
/// [`Undecodable`] if the bytes begin with no such value.
pub fn decode_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), Undecodable> {
    bincode::serde::decode_from_slice(bytes, CONFIGURATION).map_err(|_refused| Undecodable)
}

/// Decodes a value from exactly `bytes`.
///
/// # Errors
/// [`Undecodable`] if the bytes are no such value, too many, or more than the value needs.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Undecodable> {
    let (value, consumed) = decode_first(bytes)?;
    if consumed == bytes.len() { Ok(value) } else { Err(Undecodable) }
}

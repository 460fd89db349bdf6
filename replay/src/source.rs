//! Lets the engine's reader read from anything that implements [`Read`].

use std::io::{self, ErrorKind, Read};

use r_ems_engine::log::Source;

/// The bytes of a file, a socket or memory. The reader asks for large pieces: no buffer is needed in between.
#[derive(Debug)]
pub struct Bytes<R>(pub R);

impl<R: Read> Source for Bytes<R> {
    type Error = io::Error;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, io::Error> {
        loop {
            match self.0.read(into) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

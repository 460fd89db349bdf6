//! Lets the engine's reader read from anything that implements [`Read`].

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use r_ems_engine::log::{Places, Source};

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

impl<R: Read + Seek> Places for Bytes<R> {
    fn go_to(&mut self, position: u64) -> Result<(), io::Error> {
        self.0.seek(SeekFrom::Start(position)).map(|_position| ())
    }
}

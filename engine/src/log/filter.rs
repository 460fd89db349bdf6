//! Cuts one controller's log out of a fleet's: byte for byte what that controller's own recorder would have written.

use super::error::ReadError;
use super::header::HeaderError;
use super::reader::{End, Reader, Source, Status};
use super::record::{Content, Ending, Record};
use super::recording::Scope;
use super::writer::Writer;
use crate::ids::ControllerIndex;

/// Reads a fleet's log to its end and hands `take` the bytes of `controller`'s own log.
///
/// A torn log gives a torn log.
///
/// # Errors
/// [`FilterError`] if the log cannot be read to its end, or does not hold the controller.
pub fn filtered<S: Source>(
    reader: &mut Reader<S>,
    controller: ControllerIndex,
    mut take: impl FnMut(&[u8]),
) -> Result<End, FilterError<S::Error>> {
    if reader.header().names(controller).is_none() {
        return Err(FilterError::NoController(controller));
    }
    let mut writer = Writer::new(&reader.header().only(controller)).map_err(FilterError::Header)?;
    let scope = Scope::Only(controller);
    loop {
        match reader.advance().map_err(FilterError::Read)? {
            Status::Record => copy(&mut writer, scope, &reader.record()),
            Status::Ended(end) => {
                writer.flush();
                take(writer.out());
                return Ok(end);
            }
        }
        if !writer.out().is_empty() {
            take(writer.out());
            writer.clear_out();
        }
    }
}

/// Why a log could not be filtered.
#[derive(Debug)]
pub enum FilterError<E> {
    /// The log has no such controller.
    NoController(ControllerIndex),
    /// The filtered log's header is beyond a limit.
    Header(HeaderError),
    /// The log could not be read.
    Read(ReadError<E>),
}

impl<E: core::fmt::Display> core::fmt::Display for FilterError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoController(controller) => write!(f, "the log has no controller {controller}"),
            Self::Header(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl<E: core::fmt::Debug + core::fmt::Display> core::error::Error for FilterError<E> {}

fn copy(writer: &mut Writer, scope: Scope, record: &Record<'_>) {
    let place = scope.place(record.controller);
    if let Content::Closing(ending) = record.content {
        // The failure of another controller only stopped this one.
        match (ending, place) {
            (Ending::Poisoned, None) => writer.close(ControllerIndex(0), Ending::Stopped),
            (Ending::Poisoned | Ending::Over | Ending::Stopped, _) => {
                writer.close(ControllerIndex(0), ending)
            }
        }
        return;
    }
    let Some(controller) = place else { return };
    if record.content.kind().is_delivery() {
        writer.append(&Record { controller, ..*record });
    } else {
        writer.append_here(controller, record.content);
    }
}

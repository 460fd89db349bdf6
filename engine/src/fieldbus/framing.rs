//! The seam between a master and the bytes of its connection: all in which TCP and serial lines differ.
//!
//! - **What stands around a data unit:** [`mod@frame`] over TCP, [`rtu`] on a serial line.
//! - **What tells whose answer it is:** a transaction over TCP. A serial line has none, so there it is when the answer comes: see
//!   [`Framing::may_be_late`].
//! - **How long bytes take:** on a serial line long enough to be planned with.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::frame::{self, Frame, FrameFlaw, MAX_PDU_BYTES};
use super::pdu::Request;
use super::rtu;
use super::serial::SerialLine;
use crate::time::Span;

/// How data units lie among the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Framing {
    /// As Modbus TCP.
    Tcp,
    /// As Modbus RTU, on a line with these settings.
    Rtu(SerialLine),
}

impl Framing {
    /// Adds a frame to `out`, with the data unit that `pdu` adds. A serial line has no transactions.
    ///
    /// # Panics
    /// If that is empty or too long: whoever makes it keeps it within.
    pub fn put(self, out: &mut Vec<u8>, transaction: u16, unit: u8, pdu: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::Tcp => frame::put(out, transaction, unit, pdu),
            Self::Rtu(_) => rtu::put(out, unit, pdu),
        }
    }

    /// The parts of bytes that are one whole frame, if they are; 0 is the transaction of one that has none.
    pub fn whole(self, bytes: &[u8]) -> Option<Frame<'_>> {
        match self {
            Self::Tcp => frame::whole(bytes),
            Self::Rtu(_) => rtu::whole(bytes),
        }
    }

    /// How long a frame with a data unit of so many bytes takes to pass; over TCP that is part of the latency.
    pub const fn passes(self, pdu_bytes: usize) -> Span {
        match self {
            Self::Tcp => Span::ZERO,
            Self::Rtu(line) => line.characters(pdu_bytes + rtu::AROUND_BYTES),
        }
    }

    /// How long the frame of a request takes to pass, and how long that of its answer; of one whose answer has no certain length,
    /// the longest.
    pub fn exchange_passes(self, request: &Request<'_>) -> (Span, Span) {
        let mut asked = Vec::new();
        request.encode(&mut asked);
        let answered = request.answer_bytes(&[]).unwrap_or(MAX_PDU_BYTES);
        (self.passes(asked.len()), self.passes(answered))
    }

    /// The silence without which nobody knows that a frame begins.
    pub const fn silence(self) -> Span {
        match self {
            Self::Tcp => Span::ZERO,
            Self::Rtu(line) => line.silence(),
        }
    }

    /// For how long after a time-out an answer may come that could be taken for that to another request, where the unit may take
    /// `timeout` for one.
    ///
    /// On a serial line nothing in an answer says to what: it may come as late again. So long the unit is asked nothing, not even
    /// the same once more. What comes later still could be taken for the answer to a request of the same unit and function, for
    /// as many registers: `timeout` is to be half of the longest time after which a unit still answers.
    pub const fn may_be_late(self, timeout: Span) -> Span {
        match self {
            Self::Tcp => Span::ZERO,
            Self::Rtu(_) => timeout,
        }
    }

    /// For how long after a request the unit's answer may come: so long nothing is asked where somebody else may have asked last.
    pub fn may_come(self, timeout: Span) -> Span {
        match self {
            Self::Tcp => Span::ZERO,
            Self::Rtu(_) => timeout + self.may_be_late(timeout),
        }
    }

    /// Whether answers say to which request.
    pub const fn has_transactions(self) -> bool {
        matches!(self, Self::Tcp)
    }
}

/// What has begun to arrive on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Arriving {
    Tcp(frame::Assembler),
    Rtu(rtu::Assembler),
}

/// What is asked while something arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'b> {
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) pdu: &'b [u8],
}

impl Arriving {
    /// Nothing has arrived yet.
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Tcp => Self::Tcp(frame::Assembler::default()),
            Framing::Rtu(_) => Self::Rtu(rtu::Assembler::default()),
        }
    }

    /// Takes what arrived, and gives `each` every frame that is whole with it, under the transaction of what it answers.
    ///
    /// # Errors
    /// [`FrameFlaw`] where the stream makes no sense and never will again.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        asked: Option<Asked<'_>>,
        mut each: impl FnMut(Frame<'_>),
    ) -> Result<(), FrameFlaw> {
        match self {
            Self::Tcp(assembler) => assembler.feed(bytes, each),
            Self::Rtu(assembler) => {
                // Nobody asked: it is late, or noise.
                let Some(Asked { transaction, unit, pdu: asked }) = asked else { return Ok(()) };
                if let Some(pdu) = assembler.answer(bytes, unit, asked) {
                    each(Frame { transaction, unit, pdu });
                }
                Ok(())
            }
        }
    }

    /// Something is asked: on a serial line what came before is no answer to it.
    pub(super) fn asks(&mut self) {
        match self {
            Self::Tcp(_) => {}
            Self::Rtu(assembler) => assembler.clear(),
        }
    }

    /// Forgets what had begun: the connection is another.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Tcp(assembler) => assembler.clear(),
            Self::Rtu(assembler) => assembler.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fieldbus::serial::{Parity, StopBits};

    #[test]
    fn a_frame_is_what_its_framing_makes_of_it() {
        let rtu = Framing::Rtu(SerialLine { baud: 9_600, parity: Parity::None, stop_bits: StopBits::Two });
        for (framing, transaction, length) in [(Framing::Tcp, 9, 12), (rtu, 0, 8)] {
            let mut bytes = Vec::new();
            framing.put(&mut bytes, 9, 7, |pdu| pdu.extend_from_slice(&[3, 0, 0, 0, 2]));
            assert_eq!(bytes.len(), length);
            let frame = Frame { transaction, unit: 7, pdu: &[3, 0, 0, 0, 2] };
            assert_eq!(framing.whole(&bytes), Some(frame));
            assert_eq!(framing.whole(&bytes[1..]), None);
            assert_eq!(framing.whole(&[&bytes[..], &[1]].concat()), None);
        }
        assert_eq!((Framing::Tcp.passes(5), rtu.passes(5)), (Span::ZERO, Span::from_nanos(9_166_667)));
    }
}

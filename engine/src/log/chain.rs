//! The history of what machines asked for, in 16 bytes per controller, and the digest of a whole run made from it.
//!
//! Each controller has two chains. The *effects* chain folds the incarnation of every boot, every effect but reports, and the
//! deadline after each delivery. The *events* chain folds every report: a new event in a later version must not make all
//! old logs diverge. Both cost a few nanoseconds a delivery, so that a run which is not recorded can name itself too.
//!
//! What is folded is part of the log's format: see the known answers in the tests.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::header::Header;
use super::{codec, events};
use crate::digest::{Chain, Digest, Hasher};
use crate::ids::{ControllerIndex, DeviceIndex};
use crate::machine::{Delivery, Effect, Input, LinkWish, Outcome, SetPointWrite, State, Step, WriteKind};
use crate::time::LocalTime;

/// Spreads what identifies an effect over the word that carries its time: no two times of a run are that far apart.
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;
const WRITE: u64 = 1;
const POLL: u64 = 2;
const BOOT: u64 = 3;
const DEADLINE: u64 = 4;
const NO_DEADLINE: u64 = 5;
const SEND: u64 = 6;
const PROMISE: u64 = 7;
const AUTHORITY: u64 = 8;
const TRANSFER: u64 = 9;
const DISCONNECT: u64 = 10;
const SNAPSHOT: u64 = 11;
const STOPPED: u64 = 12;
const FRAME: u64 = 13;
const LINK_OPEN: u64 = 14;
const LINK_CLOSED: u64 = 15;
const HEARTBEAT: u64 = 16;
const REACTIVE: u64 = 17;

/// Both chains of one controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPair {
    /// Incarnations, effects but reports, deadlines.
    pub effects: Chain,
    /// Reports.
    pub events: Chain,
}

impl ChainPair {
    /// Notes a delivery that is about to be handled.
    #[inline]
    pub fn begin(&mut self, step: &Step<'_>) {
        match *step {
            Step::Boot(boot) => self.effects.fold(labelled(u64::from(boot.incarnation), BOOT, 0)),
            // What it led to in the life before is in the chain.
            Step::Restore { .. }
            | Step::Input(
                Input::Wake
                | Input::Points { .. }
                | Input::TimedOut { .. }
                | Input::Frame { .. }
                | Input::LinkChanged { .. }
                | Input::Written { .. }
                | Input::NotSent { .. }
                | Input::Message { .. }
                | Input::Transfer { .. }
                | Input::Promised { .. }
                | Input::Snapshotted { .. }
                | Input::Journal(_)
                | Input::WallClock { .. }
                | Input::Command(_),
            ) => {}
        }
    }

    /// Folds what a delivery led to. `scratch` is only there to be reused.
    #[inline]
    pub fn fold(&mut self, effects: &[Effect], deadline: Option<LocalTime>, scratch: &mut Vec<u8>) {
        for effect in effects {
            match effect {
                Effect::Write(write) => self.fold_write(write),
                Effect::Poll { device: DeviceIndex(device), due } => {
                    self.effects.fold(labelled(due.as_nanos(), POLL, *device));
                }
                Effect::Send { to, message } => {
                    scratch.clear();
                    codec::encode(message, scratch);
                    self.effects.fold(labelled(0, SEND, u16::from(to.0)));
                    self.effects.fold_bytes(scratch);
                }
                Effect::Authority { epoch, until } => {
                    self.effects.fold(labelled(until.as_nanos(), AUTHORITY, 0));
                    self.effects.fold(*epoch);
                }
                Effect::Disconnect { device } => self.effects.fold(labelled(0, DISCONNECT, device.0)),
                Effect::Transfer { to, length: _, chain } => {
                    // The chain of the unit's bytes ends with their number.
                    self.effects.fold(labelled(*chain, TRANSFER, u16::from(to.0)));
                }
                Effect::Frame { connection, first: _, length, chain, write } => {
                    // Where the bytes lie says nothing to whoever gets them.
                    self.effects.fold(labelled(*chain, FRAME, connection.0));
                    self.effects.fold(u64::from(*length) << 1 | u64::from(write.is_some()));
                    if let Some(write) = write {
                        self.fold_write(write);
                    }
                }
                Effect::Link { connection, wish } => {
                    let label = match wish {
                        LinkWish::Open => LINK_OPEN,
                        LinkWish::Closed => LINK_CLOSED,
                    };
                    self.effects.fold(labelled(0, label, connection.0));
                }
                Effect::Promise(promise) => {
                    scratch.clear();
                    codec::encode(promise, scratch);
                    self.effects.fold(labelled(0, PROMISE, 0));
                    self.effects.fold_bytes(scratch);
                }
                Effect::Snapshot => self.effects.fold(labelled(0, SNAPSHOT, 0)),
                Effect::Stopped => self.effects.fold(labelled(0, STOPPED, 0)),
                Effect::Report(event) => {
                    scratch.clear();
                    events::encode(scratch, event);
                    self.events.fold_bytes(scratch);
                }
            }
        }
        self.effects.fold(match deadline {
            Some(deadline) => labelled(deadline.as_nanos(), DEADLINE, 0),
            None => labelled(0, NO_DEADLINE, 0),
        });
    }

    #[inline]
    fn fold_write(&mut self, write: &SetPointWrite) {
        let SetPointWrite { device, kind, value, reactive, epoch, valid_until } = write;
        let label = match kind {
            WriteKind::SetPoint => WRITE,
            WriteKind::Heartbeat => HEARTBEAT,
        };
        self.effects.fold(labelled(value.to_bits(), label, device.0));
        if *reactive != 0.0 {
            self.effects.fold(labelled(reactive.to_bits(), REACTIVE, device.0));
        }
        // Epochs are far below 2^32; the product of the constant keeps them apart from times.
        self.effects.fold(valid_until.as_nanos().wrapping_add(epoch.wrapping_mul(SPREAD)));
    }
}

/// A word that says what it is.
#[inline]
const fn labelled(word: u64, label: u64, device: u16) -> u64 {
    word.wrapping_add((label << 16 | device as u64).wrapping_mul(SPREAD))
}

/// The chains of a fleet.
#[derive(Clone, Debug)]
pub struct Chains {
    of: Vec<ChainPair>,
    scratch: Vec<u8>,
}

impl Chains {
    /// Starts the chains of `controllers` controllers.
    pub fn new(controllers: usize) -> Self {
        Self { of: alloc::vec![ChainPair::default(); controllers], scratch: Vec::new() }
    }

    /// Makes a controller go on from chains that are known.
    pub fn set(&mut self, controller: ControllerIndex, chains: ChainPair) {
        self.of[controller.position()] = chains;
    }

    /// Notes a delivery that is about to be handled.
    #[inline]
    pub fn begin(&mut self, delivery: &Delivery<'_>) {
        self.of[delivery.to.position()].begin(&delivery.step);
    }

    /// Folds what a delivery led to.
    #[inline]
    pub fn fold(&mut self, outcome: &Outcome<'_>) {
        let effects = outcome.effects.as_slice();
        self.of[outcome.from.position()].fold(effects, outcome.deadline, &mut self.scratch);
    }

    /// One controller's chains.
    #[inline]
    pub fn of(&self, controller: ControllerIndex) -> ChainPair {
        self.of[controller.position()]
    }

    /// All chains by controller.
    pub fn as_slice(&self) -> &[ChainPair] {
        &self.of
    }
}

impl From<&[ChainPair]> for Chains {
    /// Goes on from the chains of each controller.
    fn from(chains: &[ChainPair]) -> Self {
        Self { of: chains.to_vec(), scratch: Vec::new() }
    }
}

/// The digest of a run: it depends on every effect, every event and the last state of every controller.
///
/// It does not depend on whether and how the run was recorded, nor on the texts that described it.
///
/// # Panics
/// If there is not one chain and one state for each controller of the header.
pub fn identity<S: State>(header: &Header, chains: &Chains, states: &[S]) -> Digest {
    assert!(chains.of.len() == header.controllers.len(), "each controller has its chains");
    assert!(states.len() == header.controllers.len(), "each controller has its state");
    let mut hasher = Hasher::new();
    let mut bytes = Vec::new();
    for ((names, pair), state) in header.controllers.iter().zip(&chains.of).zip(states) {
        bytes.clear();
        state.encode(&mut bytes);
        // The name is the only part of variable length that is not digested itself.
        let name = names.full();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&pair.effects.value().to_le_bytes());
        hasher.update(&pair.events.value().to_le_bytes());
        hasher.update(Digest::of(&bytes).as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnectionIndex;

    fn folded(effect: Effect) -> u64 {
        let mut pair = ChainPair::default();
        pair.fold(&[effect], None, &mut Vec::new());
        pair.effects.value()
    }

    #[test]
    fn frames_and_links_give_the_known_answers() {
        // Computed apart from this code, with whole numbers of any length.
        let connection = ConnectionIndex(3);
        let read = |first| Effect::Frame { connection, first, length: 12, chain: 0x0708, write: None };
        assert_eq!(folded(read(0)), 0xe57f_2aaa_8b5d_078a);
        let valid_until = LocalTime::from_nanos(2_005);
        let connection = ConnectionIndex(1);
        let writing = |kind| {
            let write = SetPointWrite {
                device: DeviceIndex(1),
                kind,
                value: -2.5,
                reactive: 0.0,
                epoch: 1,
                valid_until,
            };
            Effect::Frame { connection, first: 17, length: 300, chain: 0x0506, write: Some(write) }
        };
        assert_eq!(folded(writing(WriteKind::SetPoint)), 0x73d8_fd4a_6a0f_62b4);
        assert_eq!(folded(writing(WriteKind::Heartbeat)), 0x5da0_66a5_3186_7c0e);
        let link = |wish| Effect::Link { connection: ConnectionIndex(2), wish };
        assert_eq!(folded(link(LinkWish::Open)), 0x7b4b_e8fa_b272_25d9);
        assert_eq!(folded(link(LinkWish::Closed)), 0x417f_5a36_e02b_489e);
        // Where the bytes of a frame lie is nobody's business.
        assert_eq!(folded(read(7)), folded(read(0)));
    }
}

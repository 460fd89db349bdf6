//! The fieldbus of one controller: turns polls and set-points into requests on connections, and answers into values.
//!
//! ```text
//!   Poll, Write, Disconnect ────> reads; one set-point at a time ───> master of the connection ──> Frame, Link
//!   Points, TimedOut, Written <── register map <───────────────────── master of the connection <── Frame, LinkChanged
//! ```
//!
//! It stands between a controller's decisions and its driver: a device behind Modbus is asked and written as any other.
//!
//! - **Polls** of all devices begin at one instant, so that what they measure belongs together, and so long before they are
//!   due that the answers on the slowest connection are there in time, with as much again in reserve. A device that still answers
//!   the poll before is not asked again.
//! - **Set-points** are written one at a time for each device, before anything is read: its requests in their order, and the next
//!   set-point when all are answered, and the device has been read if it waits to be. What is decided meanwhile replaces what has
//!   not left, and answers for it.
//! - **Authority.** What waits is what is wanted still: where the lease under which it was decided is extended meanwhile, it may
//!   leave as long as that holds. What has not left when it expires, or when the authority is given up, does not leave.
//! - **What has left cannot be recalled from a device,** but from the connection: a cable that is out keeps it there, and lets it
//!   go when it is in again. A write that is not answered when its validity ends takes its connection with it.
//! - **Heartbeats** are asked for by whoever scans, and leave like set-points: while they are valid, or not at all. One that is
//!   late may still be applied when another controller writes, and does no harm then: it has nothing but a number that says that
//!   somebody cares, who does. So the bus ends no connection for it; the kernel, which is told until when it counts, may.
//! - **Epochs.** A device that refuses a request with an epoch is asked which one it has accepted.
//! - **What cannot be known is said so:** a write that was sent and not answered has timed out, and may have been applied.

mod authority;
mod beats;
mod counter;
mod finding;
mod told;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::authority::Transit;
use self::beats::Beats;
pub use self::beats::Care;
use self::counter::Counter;
use self::finding::Finding;
pub use self::told::{Leaving, Told};
use super::map::{BitsSeen, BusSpec, DeviceMap};
use super::master::{Job, Master, Turn};
use crate::ids::{ConnectionIndex, DeviceIndex};
use crate::machine::{Effect, Effects, Sample, SetPointWrite, WriteKind, WriteOutcome};
use crate::time::{LocalTime, Span};

/// Polls begin earlier than their answers take by this factor.
const RESERVE: u64 = 2;

/// From the last instant at which something counts to the first at which it does not.
const INSTANT: Span = Span::from_nanos(1);

/// The connections of a controller and the devices behind them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bus {
    /// The maps of devices that say themselves where their numbers lie are here as far as they have.
    spec: BusSpec,
    /// So long before they are due polls begin.
    lead: Span,
    masters: Vec<Master<Ask>>,
    /// As the maps.
    devices: Vec<Attached>,
    /// Empty between two deliveries.
    #[serde(skip)]
    desk: Desk,
}

/// What a request asks of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ask {
    /// The device's place among the maps.
    place: u16,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    /// One of its reads.
    Read(u16),
    /// The request at which its set-point is.
    Write,
    /// What the registers of that request hold now.
    ReadBack,
    /// Which epoch it has accepted.
    Epoch,
    /// Its heartbeat.
    Beat,
    /// Where its numbers lie.
    Find,
}

impl What {
    /// What a request of this writes, if it does.
    const fn kind(self) -> Option<WriteKind> {
        match self {
            Self::Write => Some(WriteKind::SetPoint),
            Self::Beat => Some(WriteKind::Heartbeat),
            Self::Read(_) | Self::ReadBack | Self::Epoch | Self::Find => None,
        }
    }

    /// When its turn is where it is not what another leads to.
    const fn turn(self) -> Turn {
        match self.kind() {
            Some(WriteKind::SetPoint) => Turn::Write,
            Some(WriteKind::Heartbeat) => Turn::Heartbeat,
            None => Turn::Read,
        }
    }
}

/// A device, and what is under way to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Attached {
    /// When the next poll begins.
    poll_at: Option<LocalTime>,
    /// So many reads of the poll under way have not ended.
    reads_left: u16,
    /// Whether one of them was answered.
    has_answered: bool,
    /// What the bits were in that poll on which points depend.
    seen: BitsSeen,
    /// The set-point under way.
    write: Option<Writing>,
    /// The newest one, which waits for that.
    waiting: Option<Writing>,
    /// Until when that was valid which was sent last of what writes, when it was sent.
    sent_until: LocalTime,
    /// A write may wait in the connection: nothing that was sent with it or after it has been answered.
    in_transit: Option<Transit>,
    beats: Beats,
    /// Whether there was a connection to it in this life.
    was_connected: bool,
    finding: Finding,
}

impl Attached {
    /// Whether nothing is under way to it that its map says.
    fn is_idle(&self) -> bool {
        self.reads_left == 0 && self.write.is_none() && !self.beats.are_under_way()
    }
}

/// A set-point on its way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Writing {
    write: SetPointWrite,
    decided: LocalTime,
    /// At which of its requests it is.
    request: u8,
    /// So many decisions it answers for.
    decisions: u16,
    /// So many of its requests were sent.
    sent: u8,
}

impl Writing {
    /// How the request at which it is leaves.
    const fn leaves(&self, is_repeated: bool) -> Leaving {
        match self.request {
            _ if is_repeated => Leaving::Repeats,
            0 => Leaving::Begins,
            _ => Leaving::GoesOn,
        }
    }
}

/// What a controller asks of its bus.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wish {
    Poll { place: usize, due: LocalTime },
    Write { place: usize, write: SetPointWrite },
    GiveUp(ConnectionIndex),
    Authority { epoch: u64, until: LocalTime },
}

/// What passes over the bus within one delivery.
#[derive(Clone, Debug, Default, PartialEq)]
struct Desk {
    wishes: Vec<Wish>,
    told: Vec<Told>,
    /// So many of them the controller has taken.
    taken: usize,
    samples: Vec<Sample>,
    /// The bits of an answer, as registers.
    bits: Vec<u8>,
}

impl Bus {
    /// Makes a bus whose connections are closed.
    pub fn new(spec: &BusSpec) -> Self {
        let connections = (0..spec.connections.len()).map(ConnectionIndex::of);
        Self {
            lead: connections.map(|connection| spec.takes(connection)).max().unwrap_or(Span::ZERO) * RESERVE,
            masters: spec.connections.iter().map(Master::new).collect(),
            devices: spec.devices.iter().map(|_map| Attached::default()).collect(),
            desk: Desk::default(),
            spec: spec.clone(),
        }
    }

    /// Forgets all of an earlier life, with which its connections ended.
    pub fn forget(&mut self) {
        self.spec.devices.iter_mut().for_each(DeviceMap::forget);
        *self = Self::new(&self.spec);
    }

    /// Whether no device is behind it.
    pub const fn is_empty(&self) -> bool {
        self.spec.devices.is_empty()
    }

    /// When it wants to be woken.
    #[inline]
    pub fn deadline(&self) -> Option<LocalTime> {
        if self.is_empty() { None } else { self.first_due() }
    }

    fn first_due(&self) -> Option<LocalTime> {
        let masters = self.masters.iter().filter_map(Master::deadline);
        let transits = |device: &Attached| device.in_transit.map(|transit| transit.ends_at);
        let devices = self.devices.iter().flat_map(|device| [device.poll_at, transits(device)]);
        masters.chain(devices.flatten()).min()
    }

    /// Takes over what is asked of the devices behind it.
    ///
    /// `is_given_away`: the authority is about to be given up; no set-point leaves any more because it is extended.
    pub fn carry_out(&mut self, now: LocalTime, is_given_away: bool, out: &mut Effects) {
        let mut wishes = core::mem::take(&mut self.desk.wishes);
        out.take_out(|effect| {
            let wish = self.wish(effect);
            wishes.extend(wish);
            // Of authority the driver must know too.
            wish.is_some_and(|wish| !matches!(wish, Wish::Authority { .. }))
        });
        for wish in wishes.drain(..) {
            match wish {
                Wish::Poll { place, due } => self.devices[place].poll_at = Some((due - self.lead).max(now)),
                Wish::Write { place, write } => self.write(now, place, write, out),
                Wish::GiveUp(connection) => self.give_up(now, connection, out),
                Wish::Authority { epoch, until } if until <= now => self.hear_end(epoch, until),
                Wish::Authority { epoch, until } if is_given_away => self.hear_respite(epoch, until),
                Wish::Authority { epoch, until } => self.hear_authority(epoch, until),
            }
        }
        self.desk.wishes = wishes;
        self.recall(now, out);
        self.poll(now, out);
    }

    /// What an effect asks of the bus; `None`: it is for others.
    fn wish(&self, effect: &Effect) -> Option<Wish> {
        match *effect {
            Effect::Poll { device, due } => Some(Wish::Poll { place: self.place(device)?, due }),
            Effect::Write(write) => Some(Wish::Write { place: self.place(write.device)?, write }),
            Effect::Disconnect { device } => {
                Some(Wish::GiveUp(self.spec.devices[self.place(device)?].connection()))
            }
            Effect::Authority { epoch, until } => Some(Wish::Authority { epoch, until }),
            Effect::Frame { .. }
            | Effect::Link { .. }
            | Effect::Send { .. }
            | Effect::Transfer { .. }
            | Effect::Promise(_)
            | Effect::Snapshot
            | Effect::Stopped
            | Effect::Report(_) => None,
        }
    }

    /// Bytes have arrived.
    pub fn received(&mut self, now: LocalTime, connection: ConnectionIndex, bytes: &[u8], out: &mut Effects) {
        if connection.position() < self.masters.len() {
            self.with(now, connection, out, |master, counter| master.received(now, bytes, counter));
        }
    }

    /// A driver did not send a write of this kind, which was valid until then, because it had expired when it could be. One that
    /// was given up meanwhile says nothing of the next.
    pub fn not_sent(
        &mut self,
        now: LocalTime,
        device: DeviceIndex,
        (kind, valid_until): (WriteKind, LocalTime),
        out: &mut Effects,
    ) {
        let Some(place) = self.place(device) else { return };
        let (connection, sent_until) =
            (self.spec.devices[place].connection(), self.devices[place].sent_until);
        let is_it = |job: &Job<Ask>| {
            usize::from(job.tag.place) == place
                && job.tag.what.kind() == Some(kind)
                && sent_until == valid_until
        };
        self.with(now, connection, out, |master, counter| {
            if master.under_way().is_some_and(is_it) {
                if kind == WriteKind::SetPoint {
                    counter.not_sent(place, master.repeats());
                }
                master.not_sent(now, counter);
            }
        });
    }

    /// A connection is open, or it ended, or could not be opened.
    pub fn link_changed(
        &mut self,
        now: LocalTime,
        connection: ConnectionIndex,
        is_open: bool,
        out: &mut Effects,
    ) {
        let Some(master) = self.masters.get(connection.position()) else { return };
        if is_open && master.is_opening() {
            let here = self.devices.iter_mut().zip(&self.spec.devices);
            for (attached, map) in here.filter(|(_, map)| map.connection() == connection) {
                let was_connected = core::mem::replace(&mut attached.was_connected, true);
                if was_connected && !map.tells_what_is_in_force() {
                    self.desk.told.push(Told::Reconnected { device: map.device() });
                }
            }
        }
        self.with(now, connection, out, |master, counter| {
            if is_open {
                return master.connected(now, counter);
            }
            counter.is_over(master.ends_by_habit(now));
            master.disconnected(now, counter);
        });
    }

    /// Does what is due.
    pub fn wake(&mut self, now: LocalTime, out: &mut Effects) {
        self.recall(now, out);
        for connection in (0..self.masters.len()).map(ConnectionIndex::of) {
            if self.masters[connection.position()].deadline().is_some_and(|due| now >= due) {
                self.with(now, connection, out, |master, counter| master.wake(now, counter));
            }
        }
        self.poll(now, out);
    }

    /// The next thing that became of what was asked; `None`: all has been told.
    pub fn next_told(&mut self) -> Option<Told> {
        let told = self.desk.told.get(self.desk.taken).copied();
        match told {
            Some(_) => self.desk.taken += 1,
            None => {
                self.desk.told.clear();
                self.desk.samples.clear();
                self.desk.taken = 0;
            }
        }
        told
    }

    /// The values that came with what was told.
    pub fn samples(&self, (first, end): (usize, usize)) -> &[Sample] {
        &self.desk.samples[first..end]
    }

    fn place(&self, device: DeviceIndex) -> Option<usize> {
        self.spec.devices.iter().position(|map| map.device() == device)
    }

    /// Begins the polls that are due.
    fn poll(&mut self, now: LocalTime, out: &mut Effects) {
        for place in 0..self.devices.len() {
            let attached = &mut self.devices[place];
            if attached.poll_at.take_if(|at| now >= *at).is_none() || attached.reads_left > 0 {
                continue;
            }
            (attached.has_answered, attached.seen) = (false, BitsSeen::default());
            if !self.is_found(place) {
                if self.may_be_found(now, place) {
                    self.find(now, place, true, out);
                }
                continue;
            }
            let reads = self.spec.devices[place].reads().len() as u16;
            self.devices[place].reads_left = reads;
            (0..reads).for_each(|read| self.ask(now, place, What::Read(read), out));
        }
    }

    /// Begins to write a set-point, or lets it wait for the one that is under way.
    fn write(&mut self, now: LocalTime, place: usize, write: SetPointWrite, out: &mut Effects) {
        let is_found = self.is_found(place);
        let may_be_written = if is_found {
            self.spec.devices[place].can_be_written(&write)
        } else {
            self.may_be_found(now, place)
        };
        if !may_be_written {
            let outcome = if is_found { WriteOutcome::Refused } else { self.outcome_unfound(place) };
            let device = write.device;
            return self.desk.told.push(Told::Written { device, outcome });
        }
        let attached = &mut self.devices[place];
        let new = Writing { write, decided: now, request: 0, decisions: 1, sent: 0 };
        let after = |replaced: Option<Writing>| {
            let before = replaced.map_or(0, |replaced| replaced.decisions);
            Some(Writing { decisions: before.saturating_add(1), ..new })
        };
        match attached.write {
            Some(under_way) if under_way.sent > 0 => attached.waiting = after(attached.waiting),
            Some(replaced) => attached.write = after(Some(replaced)),
            None => {
                attached.write = Some(new);
                if is_found {
                    self.ask(now, place, What::Write, out);
                } else {
                    self.find(now, place, false, out);
                }
            }
        }
    }

    /// Asks a device this, when its turn comes.
    fn ask(&mut self, now: LocalTime, place: usize, what: What, out: &mut Effects) {
        let map = &self.spec.devices[place];
        let tag = Ask { place: place as u16, what };
        let (job, connection) = (Job { tag, unit: map.unit(), turn: what.turn() }, map.connection());
        self.with(now, connection, out, |master, counter| master.ask(now, job, counter));
    }

    /// Closes a connection; nothing that waits to leave on it does.
    fn give_up(&mut self, now: LocalTime, connection: ConnectionIndex, out: &mut Effects) {
        let here = self.devices.iter_mut().zip(&self.spec.devices);
        for (attached, _map) in here.filter(|(_, map)| map.connection() == connection) {
            attached.poll_at = None;
            if let (Some(write), Some(waiting)) = (&mut attached.write, attached.waiting.take()) {
                write.decisions = write.decisions.saturating_add(waiting.decisions);
            }
        }
        self.with(now, connection, out, |master, counter| master.give_up(now, counter));
    }

    /// Does something with a master.
    fn with(
        &mut self,
        now: LocalTime,
        connection: ConnectionIndex,
        out: &mut Effects,
        does: impl FnOnce(&mut Master<Ask>, &mut Counter<'_>),
    ) {
        let Self { spec, masters, devices, desk, .. } = self;
        let framing = spec.connections[connection.position()].framing;
        let mut counter = Counter { now, maps: &mut spec.devices, devices, desk, connection, framing, out };
        does(&mut masters[connection.position()], &mut counter);
    }
}

#[cfg(test)]
mod tests;

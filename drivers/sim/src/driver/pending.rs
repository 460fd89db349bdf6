//! What waits in the queue of a simulated world, and what of it reaches a machine.

use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::machine::{SetPointWrite, WriteKind, WriteOutcome};
use r_ems_engine::persistence::{JournalStatus, Lane};
use r_ems_engine::queue::EventQueue;
use r_ems_engine::redundancy::{Command, Message, Seat};
use r_ems_engine::wall::told::LOOKS_EVERY;
use r_ems_engine::{LocalTime, Time};

use super::PostState;
use super::devices::{WriteAnswer, WriteUnderWay};
use crate::world::Change;

/// Neighboring devices of one controller, which were polled together: their answers travel together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Devices {
    pub(super) of: Of,
    pub(super) first: u16,
    pub(super) count: u16,
}

/// What waits in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    Boot(Of),
    Measure(Devices),
    Answers(Devices),
    PollTimedOut {
        of: Of,
        device: DeviceIndex,
    },
    Write(WriteUnderWay),
    /// A write leaves that waited for a connection.
    Send {
        of: Of,
        write: SetPointWrite,
    },
    /// A device's answer to a write is there.
    WriteAnswered(WriteAnswer),
    WriteEnded {
        of: Of,
        device: DeviceIndex,
        outcome: WriteOutcome,
    },
    /// A frame that carries a write was not sent.
    NotSent {
        of: Of,
        device: DeviceIndex,
        kind: WriteKind,
        valid_until: LocalTime,
    },
    /// A request to write reaches its device; it waits among the freight, as the next does.
    Request {
        of: Of,
        slot: u32,
    },
    /// A frame reaches a controller.
    Frame {
        of: Of,
        slot: u32,
    },
    /// A controller hears how a connection fares, unless it has given that one up.
    LineTold {
        of: Of,
        connection: ConnectionIndex,
        number: u32,
        is_open: bool,
    },
    Chance {
        post: u16,
        device: DeviceIndex,
    },
    /// What was planned for the world happens.
    Timeline(Change),
    /// A controller that stood still takes the next thing that waits for it.
    Next {
        post: u16,
    },
    /// A message arrives; it waits in the post office.
    Mail {
        slot: u32,
    },
    /// The promise that a controller was saving is durable.
    Saved(Of),
    /// A disk has done what it was asked to.
    Disk {
        of: Of,
        lane: Lane,
    },
    /// Something about a controller's persistence is due.
    Tend(Of),
    /// A controller that failed an assertion starts again.
    Revive(Of),
    /// A controller is asked to end in order.
    Stop(Of),
    /// A controller has ended in order, and what it left is kept as far as it can be.
    Ended(Of),
    /// Every host looks whether its wall clock shows what its controllers believe.
    LookAtWalls,
    /// A controller is told something by its host.
    Told {
        of: Of,
        told: Told,
    },
}

/// A life of a controller: what an earlier one was waiting for reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) post: u16,
    pub(super) life: u16,
}

/// What reaches a machine, before its data is lent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happened {
    Restore,
    Boot,
    Wake,
    Answer { device: DeviceIndex },
    TimedOut { device: DeviceIndex },
    Written { device: DeviceIndex, outcome: WriteOutcome },
    NotSent { device: DeviceIndex, kind: WriteKind, valid_until: LocalTime },
    Frame { connection: ConnectionIndex, device: DeviceIndex, brings: bool },
    Line { connection: ConnectionIndex, is_open: bool },
    Message { from: Seat, message: Message },
    Unit { from: Seat, slot: u32 },
    Told(Told),
    Command(Command),
}

/// What a controller is told by its host: of its persistence, and of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Promised(bool),
    Snapshotted(bool),
    Journal(JournalStatus),
    WallClock,
}

/// Plans what is known from the run's start.
pub(super) fn plan(queue: &mut EventQueue<Pending>, posts: &mut [PostState]) {
    queue.push(Time::ZERO + LOOKS_EVERY, Pending::LookAtWalls);
    for (post, state) in (0..).zip(posts) {
        queue.push(Time::ZERO, Pending::Boot(Of { post, life: 0 }));
        for (device, link) in (0..).zip(&mut state.links) {
            if let Some(at) = link.next_chance(Time::ZERO) {
                queue.push(at, Pending::Chance { post, device: DeviceIndex(device) });
            }
        }
    }
}

//! What writer and reader both remember, so that a record says only what has changed.

use alloc::vec::Vec;

use super::header::Header;
use super::record::KIND_END;
use crate::ids::ControllerIndex;
use crate::machine::Sample;
use crate::time::{LocalTime, Time};

/// The past of a log, as far as later records refer to it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The time of the last record.
    pub(super) at: Time,
    /// Whom the last record concerned.
    pub(super) controller: ControllerIndex,
    /// What is remembered of each controller.
    pub(super) of: Vec<Remembered>,
}

/// The past of one controller.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    /// `now − at`, wrapping.
    pub(super) clock: u64,
    /// The last step in time of each kind of record that is a delivery.
    pub(super) steps: [u64; KIND_END],
    /// The last samples of each device.
    pub(super) devices: Vec<Vec<Sample>>,
    /// The last recorded deadline.
    pub(super) deadline: Option<LocalTime>,
}

impl Memory {
    pub(super) fn new(header: &Header) -> Self {
        let fresh = |devices: usize| Remembered {
            clock: 0,
            steps: [0; KIND_END],
            devices: alloc::vec![Vec::new(); devices],
            deadline: None,
        };
        let of = header.device_counts().map(fresh).collect();
        Self { at: Time::ZERO, controller: ControllerIndex(0), of }
    }
}

impl Remembered {
    /// What the controller's own clock shows.
    pub(super) fn now(&self, at: Time) -> LocalTime {
        LocalTime::from_nanos(at.as_nanos().wrapping_add(self.clock))
    }
}

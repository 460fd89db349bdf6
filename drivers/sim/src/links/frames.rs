//! A link on which bytes pass: when they arrive, and what the device says in them.

use r_ems_engine::Time;
use r_ems_engine::machine::Sample;

use super::Link;
use super::connection::Access;
use crate::plant::{Bus, Quantity};

impl Link {
    /// When a connection that somebody asks for now can be had; `None`: it cannot.
    pub(crate) fn opens_at(&mut self, at: Time) -> Option<Time> {
        match self.connection.access(at, self.reconnect) {
            Access::Now => Some(at),
            Access::At(there) => Some(there),
            Access::Never => None,
        }
    }

    /// When a request that leaves now reaches the device, which takes no longer than its link's writes do.
    pub(crate) fn reaches_at(&mut self, at: Time) -> Time {
        at + self.latency + self.write_delay.draw(&mut self.writes)
    }

    /// When the answer to a request that reads now is there.
    pub(crate) fn answered_at(&self, at: Time) -> Time {
        at + self.latency + self.faults.late
    }

    /// What the device says of all its points while its bus stands where it does, were its answers whole.
    ///
    /// A set-point that `waits` there to be taken, W, in the device's own sign, is its set-point already. What is asked with a
    /// write `is_passed_on`: no gateway answers that from what it has kept.
    pub(crate) fn values(&mut self, bus: &Bus, waits: Option<f64>, is_passed_on: bool) -> &[Sample] {
        let spare = core::mem::take(&mut self.arrived);
        let mut answer = self.read(bus, spare);
        for (sample, reading) in answer.iter_mut().zip(&self.readings) {
            if reading.point.quantity() == Quantity::SetPoint {
                sample.value = waits.unwrap_or(sample.value);
            }
        }
        if self.distorts {
            self.faults.apply(&mut answer, is_passed_on);
        }
        self.arrived = answer;
        &self.arrived
    }

    /// Whether its answers are too short.
    pub(crate) const fn is_short(&self) -> bool {
        self.faults.is_short
    }

    /// These values have arrived last.
    pub(crate) fn brings(&mut self, samples: &[Sample]) {
        self.arrived.clear();
        self.arrived.extend_from_slice(samples);
    }

    /// Counts a poll that is answered.
    pub(crate) const fn count_answer(&mut self) {
        self.traffic.answers += 1;
    }
}

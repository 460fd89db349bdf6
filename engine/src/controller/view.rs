//! What a function sees: its grid's measurements, aligned in time, and what is left for its groups.

use crate::controller::group::Group;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::{Image, PointKind};
use crate::time::LocalTime;
use crate::units::{Ratio, Watts};
use crate::wall::WallTime;

/// A function's view of its grid in one scan.
pub struct View<'a> {
    pub(super) now: LocalTime,
    pub(super) wall: Option<WallTime>,
    pub(super) image: &'a Image,
    pub(super) groups: &'a [Group],
    /// The instant at which this function's measurements are aligned.
    pub(super) aligned: LocalTime,
}

impl View<'_> {
    /// This host's clock at the scan.
    pub const fn now(&self) -> LocalTime {
        self.now
    }

    /// The wall clock at the instant of the measurements, if it is synchronized.
    pub fn wall(&self) -> Option<WallTime> {
        let age = self.now.since(self.aligned);
        self.wall.map(|wall| wall - age)
    }

    /// The instant at which the function's measurements were all taken.
    pub const fn measured_at(&self) -> LocalTime {
        self.aligned
    }

    /// The meter's power at the aligned instant, positive = import.
    pub fn meter(&self, meter: DeviceIndex) -> Option<Watts> {
        self.image.good(meter, PointKind::Power)?;
        self.image.power(meter).power_at(self.aligned).map(Watts::of)
    }

    /// The measured power of a group at the aligned instant, positive into the bus.
    pub fn measured(&self, group: GroupIndex) -> Option<Watts> {
        self.group(group).power_at(self.aligned, self.image)
    }

    /// What the meter would read if the group were at rest: grid and group power at one instant.
    pub fn demand(&self, meter: DeviceIndex, group: GroupIndex) -> Option<Watts> {
        // The meter has felt what reserves delivered, so it must count here, or the other laws would take it back.
        Some(self.meter(meter)? + self.measured(group)? + self.group(group).offset_at(self.aligned))
    }

    /// The mean state of charge of a group of batteries.
    pub fn state_of_charge(&self, group: GroupIndex) -> Option<Ratio> {
        self.group(group).state_of_charge(self.image)
    }

    /// The lowest power that is left for the group.
    pub fn lowest(&self, group: GroupIndex) -> Watts {
        self.group(group).interval.low()
    }

    /// The highest power that is left for the group.
    pub fn highest(&self, group: GroupIndex) -> Watts {
        self.group(group).interval.high()
    }

    /// What was decided for the group in the scan before this one.
    pub fn applied(&self, group: GroupIndex) -> Option<Watts> {
        self.group(group).applied()
    }

    /// The sum of the ratings of the group's members.
    pub fn rating(&self, group: GroupIndex) -> Watts {
        self.group(group).rating()
    }

    fn group(&self, group: GroupIndex) -> &Group {
        &self.groups[group.position()]
    }
}

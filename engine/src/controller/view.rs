//! What a function sees: its grid's measurements, aligned in time, and what is left for its groups.

use core::ops::Range;

use crate::controller::composition::Scan;
use crate::controller::group::Group;
use crate::controller::mode::GridMode;
use crate::controller::reactive::Reactive;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::device::EngineState;
use crate::points::{DeviceClass, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, PerUnit, Ratio, Vars, VoltAmperes, Watts};
use crate::wall::{Civil, WallTime};

/// A function's view of its grid in one scan.
pub struct View<'a> {
    pub(super) scan: &'a Scan<'a>,
    pub(super) mode: GridMode,
    pub(super) groups: &'a [Group],
    /// The instant at which this function's measurements are aligned.
    pub(super) aligned: LocalTime,
}

impl View<'_> {
    /// This host's clock at the scan.
    pub const fn now(&self) -> LocalTime {
        self.scan.now
    }

    /// What holds the bus.
    pub const fn mode(&self) -> GridMode {
        self.mode
    }

    /// Time since the last scan in which was decided.
    pub const fn elapsed(&self) -> Span {
        self.scan.elapsed
    }

    /// The wall clock at the instant of the measurements, if it is synchronized.
    pub fn wall(&self) -> Option<WallTime> {
        let age = self.scan.now.since(self.aligned);
        self.scan.wall.map(|wall| wall - age)
    }

    /// What the site's clocks show at that instant, if the wall clock is synchronized.
    pub fn local(&self) -> Option<Civil> {
        self.wall().map(|wall| self.scan.zone.civil(wall))
    }

    /// The instant at which the function's measurements were all taken.
    pub const fn measured_at(&self) -> LocalTime {
        self.aligned
    }

    /// The meter's power at the aligned instant, positive = import.
    pub fn meter(&self, meter: DeviceIndex) -> Option<Watts> {
        self.scan.image.good(meter, PointKind::Power)?;
        self.scan.image.power(meter).power_at(self.aligned).map(Watts::of)
    }

    /// A point of a device; none while it is not good.
    pub fn good(&self, device: DeviceIndex, kind: PointKind) -> Option<f64> {
        self.scan.image.good(device, kind)
    }

    /// The frequency that a meter measured last.
    pub fn frequency(&self, meter: DeviceIndex) -> Option<Hertz> {
        self.scan.image.good(meter, PointKind::Frequency).map(Hertz::of)
    }

    /// The voltage that a meter measured last, as a multiple of the nominal one.
    pub fn voltage(&self, meter: DeviceIndex) -> Option<PerUnit> {
        self.scan.image.good(meter, PointKind::Voltage).map(PerUnit::of)
    }

    /// The measured power of a group at the aligned instant, positive into the bus.
    ///
    /// A member that cannot be seen, or is controlled at its panel, is left out: what it does is felt by the meter, like any
    /// load.
    pub fn measured(&self, group: GroupIndex) -> Watts {
        self.group(group).power_at(self.aligned, self.scan.image)
    }

    /// The same with what reserves deliver.
    pub fn power(&self, group: GroupIndex) -> Watts {
        self.measured(group) + self.group(group).offset_at(self.aligned)
    }

    /// What the meter would read if the group were at rest: grid and group power at one instant.
    pub fn demand(&self, meter: DeviceIndex, group: GroupIndex) -> Option<Watts> {
        // The meter has felt what reserves delivered, so it must count here, or the other laws would take it back.
        Some(self.meter(meter)? + self.measured(group) + self.group(group).offset_at(self.aligned))
    }

    /// The mean state of charge of a group of batteries, weighted by rating; `None` if that of none may be used.
    pub fn state_of_charge(&self, group: GroupIndex) -> Option<Ratio> {
        self.group(group).state_of_charge(self.scan.image)
    }

    /// The lowest power that is left for the group.
    pub fn lowest(&self, group: GroupIndex) -> Watts {
        self.group(group).interval.low()
    }

    /// The highest power that is left for the group.
    pub fn highest(&self, group: GroupIndex) -> Watts {
        self.group(group).interval.high()
    }

    /// What was decided for the group in the scan before this one, without what reserves delivered on top.
    pub fn decided(&self, group: GroupIndex) -> Option<Watts> {
        self.group(group).without_offset()
    }

    /// What an operator told the group by hand, while that counts.
    pub fn by_hand(&self, group: GroupIndex) -> Option<Watts> {
        self.group(group).by_hand().map(|order| order.power)
    }

    /// What would have been decided in the scan before this one if nothing had been held, without what reserves delivered.
    pub fn wanted(&self, group: GroupIndex) -> Option<Watts> {
        self.group(group).wanted()
    }

    /// The places of a group's members.
    pub fn members(&self, group: GroupIndex) -> Range<u16> {
        // The wiring bounds a group far below that.
        0..self.group(group).members().len() as u16
    }

    /// The state of charge of one member, if it may be used.
    pub fn member_state_of_charge(&self, group: GroupIndex, place: u16) -> Option<Ratio> {
        self.group(group).members()[usize::from(place)].state_of_charge(self.scan.image)
    }

    /// The rated power of one member.
    pub fn member_rating(&self, group: GroupIndex, place: u16) -> Watts {
        self.group(group).members()[usize::from(place)].rating()
    }

    /// How the engine of one member stands; none while that is not known.
    pub fn member_state(&self, group: GroupIndex, place: u16) -> Option<EngineState> {
        EngineState::of(self.member_good(group, place, PointKind::State)?)
    }

    /// The power of one member that was measured last; none while it cannot be seen.
    pub fn member_power(&self, group: GroupIndex, place: u16) -> Option<Watts> {
        self.member_good(group, place, PointKind::Power).map(Watts::of)
    }

    /// The set-point that one member holds; none while that is not known.
    pub fn member_held(&self, group: GroupIndex, place: u16) -> Option<Watts> {
        self.member_good(group, place, PointKind::SetPoint).map(Watts::of)
    }

    /// Whether one member is controlled at its panel, so that it does what it wants.
    pub fn member_is_local(&self, group: GroupIndex, place: u16) -> bool {
        self.group(group).members()[usize::from(place)].standing().is_local()
    }

    /// Whether the breaker of one member is closed; none while that is not known.
    pub fn member_closed(&self, group: GroupIndex, place: u16) -> Option<bool> {
        self.member_good(group, place, PointKind::Closed).map(|closed| closed > 0.5)
    }

    /// The voltage and the frequency that one member measures; none while they are not known.
    pub fn member_grid(&self, group: GroupIndex, place: u16) -> Option<(PerUnit, Hertz)> {
        let voltage = self.member_good(group, place, PointKind::Voltage)?;
        let frequency = self.member_good(group, place, PointKind::Frequency)?;
        Some((PerUnit::of(voltage), Hertz::of(frequency)))
    }

    fn member_good(&self, group: GroupIndex, place: u16, kind: PointKind) -> Option<f64> {
        self.scan.image.good(self.group(group).members()[usize::from(place)].device(), kind)
    }

    /// What the members of a group are.
    pub fn class(&self, group: GroupIndex) -> DeviceClass {
        self.group(group).class()
    }

    /// The sum of the ratings of the group's members.
    pub fn rating(&self, group: GroupIndex) -> Watts {
        self.group(group).rating()
    }

    /// The sum of the apparent power of those of its members that take reactive set-points.
    pub fn apparent(&self, group: GroupIndex) -> VoltAmperes {
        self.group(group).reactive().map_or(VoltAmperes::ZERO, Reactive::rating)
    }

    /// The reactive power that was decided for the group in the scan before this one.
    pub fn decided_reactive(&self, group: GroupIndex) -> Option<Vars> {
        self.group(group).reactive()?.applied()
    }

    fn group(&self, group: GroupIndex) -> &Group {
        &self.groups[group.position()]
    }
}

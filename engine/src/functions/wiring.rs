//! Wiring: from the names in a site file to the dense ids of a controller, and every mistake on the way.
//!
//! A function asks for what it needs by name. A name that does not fit is noted with the field that holds it, and an id that
//! leads nowhere is handed out, so that one look finds all mistakes; whoever called throws the result away.
//!
//! **Groups.** A function acts on a group: one device by its name, or all of a class by the class's reserved name
//! (`"batteries"`, `"pvs"`). The groups of one controller never overlap: a battery is either named on its own by every
//! function or shared by every function, because two owners of one set-point cannot both be right.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::seen::SeenBatteries;
use crate::controller::share::MAX_MEMBERS;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::{DeviceClass, DeviceSpec, PointKind};
use crate::units::Ratio;

/// The name that stands for all batteries of a grid.
pub const ALL_BATTERIES: &str = "batteries";
/// The name that stands for all photovoltaic inverters of a grid.
pub const ALL_PVS: &str = "pvs";

/// The name that stands for all gensets of a grid.
pub const ALL_GENSETS: &str = "gensets";

/// Devices that share one set-point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// What its members are.
    pub class: DeviceClass,
    /// Its members in device order, at least one.
    pub members: Vec<DeviceIndex>,
}

/// One mistake in a function's specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The field that holds it.
    pub field: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No device of that name.
    UnknownDevice {
        /// The name.
        found: String,
        /// The names that would do.
        known: Vec<String>,
    },
    /// The device is of another class.
    WrongClass {
        /// The device.
        device: String,
        /// Its class.
        found: DeviceClass,
        /// The class that is needed.
        wanted: DeviceClass,
    },
    /// The device does not measure what is needed.
    NotMeasured {
        /// The device.
        device: String,
        /// What is needed.
        point: PointKind,
    },
    /// The device takes no reactive set-points.
    NotReactive {
        /// The device.
        device: String,
    },
    /// The device is shared in one function and named on its own in another.
    SharedAndAlone {
        /// The device.
        device: String,
    },
    /// A value is outside its range.
    OutOfRange {
        /// What was found.
        found: String,
        /// What is allowed, as a sentence part: "at most the limit of 220 kW".
        allowed: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDevice { found, known } if known.is_empty() => {
                write!(f, "there is no device \"{found}\", nor any other that would do")
            }
            Self::UnknownDevice { found, known } => {
                write!(f, "there is no device \"{found}\"; known here: {}", known.join(", "))
            }
            Self::WrongClass { device, found, wanted } => {
                write!(f, "\"{device}\" is a {}, but a {} is needed", found.name(), wanted.name())
            }
            Self::NotMeasured { device, point } => {
                let point = point.name();
                write!(
                    f,
                    "\"{device}\" must measure `{point}`: add `measures: [{point}]`, or `{point}` to the points of its map"
                )
            }
            Self::NotReactive { device } => write!(
                f,
                "\"{device}\" takes no reactive set-points: say its `apparent` power, such as \"300 kVA\""
            ),
            Self::SharedAndAlone { device } => {
                write!(
                    f,
                    "\"{device}\" is shared with others in one function and named alone in another; use one way"
                )
            }
            Self::OutOfRange { found, allowed } => write!(f, "must be {allowed}, got {found}"),
        }
    }
}

/// Finds devices and groups by name, and collects what does not fit.
pub struct Wiring<'a> {
    devices: &'a [DeviceSpec],
    groups: Vec<GroupSpec>,
    errors: Vec<SpecError>,
}

impl<'a> Wiring<'a> {
    /// Starts with the devices of one grid.
    pub const fn new(devices: &'a [DeviceSpec]) -> Self {
        Self { devices, groups: Vec::new(), errors: Vec::new() }
    }

    /// Finds a meter.
    pub fn meter(&mut self, field: &'static str, name: &str) -> DeviceIndex {
        self.device(field, name, DeviceClass::Meter).unwrap_or_default()
    }

    /// Finds a meter that measures this besides its power.
    pub fn meter_of(&mut self, field: &'static str, name: &str, kind: PointKind) -> DeviceIndex {
        let errors = self.errors.len();
        let meter = self.meter(field, name);
        if self.errors.len() == errors {
            self.measures(field, meter, kind);
        }
        meter
    }

    /// Finds a receiver of what the grid operator wants.
    pub fn signal(&mut self, field: &'static str, name: &str) -> DeviceIndex {
        self.device(field, name, DeviceClass::Signal).unwrap_or_default()
    }

    /// Finds the group of one battery, or of all batteries.
    pub fn battery(&mut self, field: &'static str, name: &str) -> GroupIndex {
        self.group(field, name, DeviceClass::Battery, ALL_BATTERIES)
    }

    /// Finds the group of one photovoltaic inverter, or of all.
    pub fn pv(&mut self, field: &'static str, name: &str) -> GroupIndex {
        self.group(field, name, DeviceClass::Pv, ALL_PVS)
    }

    /// Finds the group of one genset, or of all.
    pub fn genset(&mut self, field: &'static str, name: &str) -> GroupIndex {
        self.group(field, name, DeviceClass::Genset, ALL_GENSETS)
    }

    /// Refuses a load that a field names twice.
    pub fn each_once<'n>(&mut self, field: &'static str, names: impl Iterator<Item = &'n String>) {
        let names: Vec<&String> = names.collect();
        let twice =
            (1..).zip(&names).find(|(next, name)| names.get(*next..).unwrap_or_default().contains(name));
        if let Some((_, name)) = twice {
            self.require(field, false, alloc::format!("\"{name}\" twice"), "each load once");
        }
    }

    /// Batteries that are only looked at: the one of this name, or all of them, however others share them.
    pub fn batteries_seen(&mut self, field: &'static str, name: Option<&str>) -> SeenBatteries {
        let Some(name) = name else { return SeenBatteries::default() };
        let devices = self.devices;
        let rated = |index: DeviceIndex| (index, devices[index.position()].rating);
        if name == ALL_BATTERIES {
            let is_battery = |entry: &(usize, &DeviceSpec)| entry.1.class == DeviceClass::Battery;
            let all = self.devices.iter().enumerate().filter(is_battery);
            let all: Vec<_> = all.map(|(place, _)| rated(DeviceIndex::of(place))).collect();
            if all.is_empty() {
                let found = alloc::format!("{name} (no {})", DeviceClass::Battery.name());
                let problem = Problem::UnknownDevice { found, known: Vec::new() };
                self.errors.push(SpecError { field, problem });
            }
            return SeenBatteries::of(all);
        }
        let found = self.device(field, name, DeviceClass::Battery);
        SeenBatteries::of(found.into_iter().map(rated).collect())
    }

    /// How many devices a group has; 0 if it was not found.
    pub fn members(&self, group: GroupIndex) -> usize {
        self.groups.get(group.position()).map_or(0, |group| group.members.len())
    }

    /// Finds the group of one load.
    pub fn load(&mut self, field: &'static str, name: &str) -> GroupIndex {
        self.alone(field, name, DeviceClass::Load)
    }

    /// Finds the group of the breaker at the point of common coupling, which measures the voltage and the frequency behind it.
    pub fn breaker(&mut self, field: &'static str, name: &str) -> GroupIndex {
        let errors = self.errors.len();
        let group = self.alone(field, name, DeviceClass::Breaker);
        if self.errors.len() == errors {
            let breaker = self.groups[group.position()].members[0];
            for point in [PointKind::Voltage, PointKind::Frequency] {
                self.measures(field, breaker, point);
            }
        }
        group
    }

    /// Notes a device that does not measure this.
    fn measures(&mut self, field: &'static str, device: DeviceIndex, point: PointKind) {
        let found = &self.devices[device.position()];
        if !found.points.contains(point) {
            let problem = Problem::NotMeasured { device: found.name.clone(), point };
            self.errors.push(SpecError { field, problem });
        }
    }

    /// Notes members of a group that take no reactive set-points, if none does.
    pub fn takes_reactive(&mut self, group: GroupIndex) {
        let Some(found) = self.groups.get(group.position()) else { return };
        let devices = self.devices;
        let takes = |device: &DeviceIndex| devices[device.position()].apparent.is_some();
        if let (Some(first), false) = (found.members.first(), found.members.iter().any(takes)) {
            let field = if found.class == DeviceClass::Pv { "pv" } else { "battery" };
            let problem = Problem::NotReactive { device: devices[first.position()].name.clone() };
            self.errors.push(SpecError { field, problem });
        }
    }

    /// Finds the groups of a law that acts on a battery, on an inverter, or on both.
    pub fn battery_or_pv(&mut self, battery: Option<&str>, pv: Option<&str>) -> Vec<GroupIndex> {
        self.require("battery", battery.is_some() || pv.is_some(), "neither", "given, or else pv");
        let battery = battery.map(|name| self.battery("battery", name));
        let pv = pv.map(|name| self.pv("pv", name));
        battery.into_iter().chain(pv).collect()
    }

    /// Finds the group of a law that acts on a battery or on an inverter, but not on both.
    pub fn one_of_battery_and_pv(&mut self, battery: Option<&str>, pv: Option<&str>) -> GroupIndex {
        let found = if pv.is_some() { "both battery and pv" } else { "neither" };
        self.require("battery", battery.is_some() != pv.is_some(), found, "one of battery and pv");
        match (battery, pv) {
            (Some(name), _) => self.battery("battery", name),
            (None, Some(name)) => self.pv("pv", name),
            (None, None) => GroupIndex::default(),
        }
    }

    /// Notes that `field` is out of range unless `holds`.
    pub fn require(&mut self, field: &'static str, holds: bool, found: impl fmt::Display, allowed: &str) {
        if !holds {
            let problem = Problem::OutOfRange { found: found.to_string(), allowed: allowed.to_string() };
            self.errors.push(SpecError { field, problem });
        }
    }

    /// Notes that `field` is out of range unless it is a state of charge.
    pub fn state_of_charge(&mut self, field: &'static str, found: Ratio) {
        self.require(field, (Ratio::ZERO..=Ratio::ONE).contains(&found), found, "from 0 % to 100 %");
    }

    /// The devices of the grid.
    pub const fn devices(&self) -> &'a [DeviceSpec] {
        self.devices
    }

    /// Hands out the mistakes that were noted since the last call.
    pub fn take_errors(&mut self) -> Vec<SpecError> {
        core::mem::take(&mut self.errors)
    }

    /// The groups that were asked for; every controlled device that nobody asked for is none.
    pub fn into_groups(self) -> Vec<GroupSpec> {
        self.groups
    }

    fn device(&mut self, field: &'static str, name: &str, wanted: DeviceClass) -> Option<DeviceIndex> {
        let Some(position) = self.devices.iter().position(|device| device.name == name) else {
            let fits = self.devices.iter().filter(|device| device.class == wanted);
            let known = fits.map(|device| device.name.clone()).collect();
            let problem = Problem::UnknownDevice { found: name.to_string(), known };
            self.errors.push(SpecError { field, problem });
            return None;
        };
        let found = self.devices[position].class;
        if found != wanted {
            let problem = Problem::WrongClass { device: name.to_string(), found, wanted };
            self.errors.push(SpecError { field, problem });
            return None;
        }
        Some(DeviceIndex::of(position))
    }

    fn group(&mut self, field: &'static str, name: &str, class: DeviceClass, all: &str) -> GroupIndex {
        if name != all {
            return self.alone(field, name, class);
        }
        let devices = self.devices.iter().enumerate();
        let members =
            devices.filter(|entry| entry.1.class == class).map(|entry| DeviceIndex::of(entry.0)).collect();
        self.group_of(field, members, &format!("{name} (no {})", class.name()))
    }

    fn alone(&mut self, field: &'static str, name: &str, class: DeviceClass) -> GroupIndex {
        let Some(device) = self.device(field, name, class) else { return GroupIndex::default() };
        self.group_of(field, Vec::from([device]), name)
    }

    /// The group of these members; `missing` is what was looked for if there are none.
    fn group_of(&mut self, field: &'static str, members: Vec<DeviceIndex>, missing: &str) -> GroupIndex {
        let Some(first) = members.first().copied() else {
            let (found, known) = (missing.to_string(), Vec::new());
            self.errors.push(SpecError { field, problem: Problem::UnknownDevice { found, known } });
            return GroupIndex::default();
        };
        if let Some(position) = self.groups.iter().position(|group| group.members == members) {
            return GroupIndex::of(position);
        }
        if members.len() > MAX_MEMBERS {
            self.require(field, false, members.len(), &format!("a group of at most {MAX_MEMBERS} devices"));
            return GroupIndex::default();
        }
        let overlaps = |device: &&DeviceIndex| self.groups.iter().any(|group| group.members.contains(device));
        if let Some(device) = members.iter().find(overlaps) {
            let problem = Problem::SharedAndAlone { device: self.devices[device.position()].name.clone() };
            self.errors.push(SpecError { field, problem });
            return GroupIndex::default();
        }
        let class = self.devices[first.position()].class;
        self.groups.push(GroupSpec { class, members });
        GroupIndex::of(self.groups.len() - 1)
    }
}

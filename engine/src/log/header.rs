//! What a log says about itself, so that it can be read and replayed without the files that made it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::{BEHAVIOR, ENGINE_VERSION, MAX_CONTROLLERS, MAX_DEVICES, MAX_HEADER_BYTES, codec};
use crate::ids::{ControllerIndex, DeviceIndex, PointIndex};
use crate::points::{DeviceClass, PointKind, PointKinds};
use crate::wall::WallTime;

/// The first group of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the engine that wrote it.
    pub engine: String,
    /// What that engine's machines answer to the same deliveries (`B` in CHANGELOG.md).
    pub behavior: u32,
    /// The names of the functions that the program knew, in the order of their variants.
    pub functions: Vec<String>,
    /// The controllers by id.
    pub controllers: Vec<ControllerNames>,
    /// The run's seed.
    pub seed: u64,
    /// The wall clock when the run began.
    pub start: WallTime,
    /// The scenario's name; empty for a site.
    pub scenario: String,
    /// The scenario file's path as it was named, since profiles are found beside it; empty for a site.
    pub scenario_path: String,
    /// The scenario file as it was read; empty for a site.
    pub scenario_text: String,
    /// The site file's path as it was named; empty if the site stands in the scenario.
    pub site_path: String,
    /// The site file as it was read.
    pub site_text: String,
    /// Whether effects are stored.
    pub effects: EffectsKept,
}

/// How much of a machine's effects a log holds; events are always whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EffectsKept {
    /// Digests only: enough to find the first difference.
    Digests,
    /// Everything: enough to say what the difference is.
    Whole,
}

/// One controller by name: records hold ids only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControllerNames {
    /// The grid that it controls.
    pub grid: String,
    /// Its id within the grid.
    pub id: String,
    /// Its devices in the order of their ids.
    pub devices: Vec<DeviceName>,
    /// Its functions in priority order.
    pub functions: Vec<String>,
}

/// One device by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceName {
    /// Its name in the grid.
    pub name: String,
    /// What it is.
    pub class: DeviceClass,
    /// Its points, in their order.
    pub points: PointKinds,
}

/// Why a run cannot be recorded under this header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError {
    /// What is too large.
    pub what: &'static str,
    /// Its size.
    pub found: usize,
    /// The limit.
    pub limit: usize,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log's {} is too large: {}, at most {} is allowed", self.what, self.found, self.limit)
    }
}

impl core::error::Error for HeaderError {}

impl Header {
    /// Describes a run of this engine; seed, start and texts are for the caller to fill in.
    pub fn new(functions: &[&str], controllers: Vec<ControllerNames>) -> Self {
        Self {
            engine: String::from(ENGINE_VERSION),
            behavior: BEHAVIOR,
            functions: functions.iter().map(|name| String::from(*name)).collect(),
            controllers,
            seed: 0,
            start: WallTime::EPOCH,
            scenario: String::new(),
            scenario_path: String::new(),
            scenario_text: String::new(),
            site_path: String::new(),
            site_text: String::new(),
            effects: EffectsKept::Digests,
        }
    }

    /// The header of one controller's own log.
    pub fn only(&self, controller: ControllerIndex) -> Self {
        let names = self.controllers.get(controller.position()).cloned();
        Self { controllers: names.into_iter().collect(), ..self.clone() }
    }

    /// A controller's names.
    pub fn names(&self, controller: ControllerIndex) -> Option<&ControllerNames> {
        self.controllers.get(controller.position())
    }

    /// Finds a controller by "grid/id".
    pub fn find(&self, name: &str) -> Option<ControllerIndex> {
        let position = self.controllers.iter().position(|names| names.full() == name)?;
        Some(ControllerIndex::of(position))
    }

    /// How many devices each controller has.
    pub(super) fn device_counts(&self) -> impl Iterator<Item = usize> {
        self.controllers.iter().map(|names| names.devices.len())
    }

    /// The encoded header, if it keeps the limits that a reader insists on.
    pub(super) fn encoded(&self) -> Result<Vec<u8>, HeaderError> {
        self.check()?;
        let mut bytes = Vec::new();
        codec::encode(self, &mut bytes);
        within("header", bytes.len(), MAX_HEADER_BYTES)?;
        Ok(bytes)
    }

    pub(super) fn check(&self) -> Result<(), HeaderError> {
        within("number of controllers", self.controllers.len(), MAX_CONTROLLERS)?;
        within("number of devices", self.device_counts().sum(), MAX_DEVICES)
    }
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), HeaderError> {
    if found <= limit { Ok(()) } else { Err(HeaderError { what, found, limit }) }
}

impl ControllerNames {
    /// The name by which people call the controller: "grid/id".
    pub fn full(&self) -> String {
        format!("{}/{}", self.grid, self.id)
    }

    /// A device's name.
    pub fn device(&self, device: DeviceIndex) -> Option<&str> {
        self.devices.get(device.position()).map(|device| device.name.as_str())
    }

    /// The device and kind of a point: the image holds the points of each device in the order of the devices.
    pub fn point(&self, point: PointIndex) -> Option<(&str, PointKind)> {
        let mut rest = point.position();
        for device in &self.devices {
            if let Some(kind) = device.points.get(rest) {
                return Some((&device.name, kind));
            }
            rest -= device.points.len();
        }
        None
    }
}

//! Which device somebody wants to be explained: by its name, or by that of one of its points.

use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::log::DeviceName;
use r_ems_engine::points::PointKind;

/// A device, or a point of it, as a user writes it: "commerce/bess", "commerce/bess.set_point".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The grid.
    pub grid: String,
    /// The device.
    pub device: String,
    /// The point; any of the device's without it.
    kind: Option<String>,
}

impl std::str::FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((grid, rest)) = text.split_once('/') else {
            return Err(
                "expected grid/device or grid/device.point, such as commerce/bess.set_point".to_owned()
            );
        };
        let (device, kind) = rest.split_once('.').map_or((rest, None), |(device, kind)| (device, Some(kind)));
        Ok(Self { grid: grid.to_owned(), device: device.to_owned(), kind: kind.map(str::to_owned) })
    }
}

impl Point {
    /// The device, among those of a controller of its grid.
    ///
    /// # Errors
    /// There is no such device or point, or nothing is ever decided for it.
    pub fn device(&self, names: &ControllerNames) -> Result<DeviceIndex, String> {
        let Self { device, kind, .. } = self;
        let Some(position) = names.devices.iter().position(|known| known.name == *device) else {
            let known: Vec<&str> = names.devices.iter().map(|device| device.name.as_str()).collect();
            return Err(format!("there is no device {device}; known here: {}", known.join(", ")));
        };
        let DeviceName { class, points, .. } = names.devices[position];
        let kinds: Vec<&str> = points.iter().map(PointKind::name).collect();
        if kind.as_ref().is_some_and(|kind| !kinds.contains(&kind.as_str())) {
            return Err(format!("{device} has no such point; it has {}", kinds.join(", ")));
        }
        if !class.is_controlled() {
            return Err(format!("{device} is only measured; name a device that takes set-points"));
        }
        Ok(DeviceIndex::of(position))
    }
}

//! The devices of a grid: what each is told, what it does, and who controls it.

use super::{BAD, NOTHING, WARN, paint, seconds};
use crate::api::DeviceStatus;
use crate::present::table::{Align, Table};
use crate::present::text::{percent, power};

/// The table of a grid's devices.
pub(super) fn devices(devices: &[DeviceStatus]) -> String {
    const COLUMNS: [Align; 10] = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
    ];
    let mut table = Table::new(2, &COLUMNS);
    table.row([
        "device",
        "set-point",
        "measured",
        "control",
        "bound by",
        "write",
        "SoC",
        "quality",
        "age",
        "expires in",
    ]);
    for device in devices {
        let watts = |watts: Option<f64>| watts.map_or_else(|| NOTHING.to_owned(), power);
        let quality =
            if device.quality == "good" { device.quality.clone() } else { paint(BAD, &device.quality) };
        let write = match device.write.as_deref() {
            Some("failed") => paint(BAD, "failed"),
            write => write.unwrap_or(NOTHING).to_owned(),
        };
        let name = match device.is_simulated {
            true => paint(WARN, &format!("{} (simulated)", device.name)),
            false => device.name.clone(),
        };
        table.row([
            name,
            watts(device.set_point_w),
            watts(device.power_w),
            control(device),
            device.bound_by.clone().unwrap_or_else(|| NOTHING.to_owned()),
            write,
            device.soc.map_or_else(|| NOTHING.to_owned(), percent),
            quality,
            seconds(device.age_s),
            seconds(device.reverts_in_s),
        ]);
    }
    table.headed()
}

/// Who controls a device and how it stands, as far as it says.
fn control(device: &DeviceStatus) -> String {
    let marked = |word: &String, usual: bool| if usual { word.clone() } else { paint(WARN, word) };
    let control = device.control.as_ref().map(|control| marked(control, control == "remote"));
    let mode = device.mode.as_ref().map(|mode| marked(mode, mode != "fault"));
    let parts: Vec<String> = control.into_iter().chain(mode).collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

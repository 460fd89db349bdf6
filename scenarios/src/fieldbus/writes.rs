//! What is written to a device: the requests of its set-point, and its heartbeat.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::map::{DeviceMap, MappedPoint};
use r_ems_engine::fieldbus::register::NumberType;
use r_ems_engine::fieldbus::write::{FieldContent, Heartbeat, WriteFunction, WriteRequest, WrittenField};
use r_ems_engine::points::{DeviceClass, Dimension, PointKind};
use r_ems_engine::units::Watts;

use super::TIME_MAX;
use super::bits::{BIT, refuse_numbers};
use super::registers::{read_bare, read_layout, register};
use crate::device::Device;
use crate::leaf::word;
use crate::mistake::{Notes, suggestion};
use crate::node::{Fields, Node, excerpt};

/// Most requests that write one set-point are bounded by the engine; so many numbers has one.
const MAX_VALUES: usize = 16;
/// The functions that write registers and coils.
const FUNCTIONS: [(u64, WriteFunction); 6] = [
    (5, WriteFunction::Coil),
    (6, WriteFunction::Register),
    (15, WriteFunction::Coils),
    (WRITES_MANY, WriteFunction::Registers),
    (22, WriteFunction::Mask),
    (23, WriteFunction::Exchange),
];
const WRITES_MANY: u64 = 16;

/// The values of a request that writes a set-point, and of one that writes a heartbeat.
const SET_POINT: [&str; 5] = ["SetPoint", "ReactiveSetPoint", "Switch", "Epoch", "Constant"];
const HEARTBEAT: [&str; 3] = ["Counter", "Toggle", "Epoch"];

/// Reads `[(address: 200, values: [Epoch(number: U64), SetPoint(number: I32, scale: "1 W")])]`.
pub(super) fn read_writes(node: &Node<'_>, notes: &mut Notes) -> Option<Vec<WriteRequest>> {
    let items = node.items(notes)?;
    let requests = items.iter().map(|item| {
        let mut fields = item.fields(notes)?;
        let read_back = fields.optional("read_back");
        let is_read_back = read_back.and_then(|node| word(&node, &["false", "true"], notes)) == Some(1);
        let request = read_request(&mut fields, &SET_POINT, notes);
        fields.finish(notes);
        request.map(|request| WriteRequest { is_read_back, ..request })
    });
    // All of them are looked at, to find what else is wrong.
    let requests: Vec<Option<WriteRequest>> = requests.collect();
    requests.into_iter().collect()
}

/// Reads `(timeout: "3 s", address: 300, values: [Counter(number: U16)])` of a grid with this scan.
pub(super) fn read_heartbeat(node: &Node<'_>, scan: Span, notes: &mut Notes) -> Option<Heartbeat> {
    let mut fields = node.fields(notes)?;
    let timeout: Option<Span> = fields.leaf("timeout", notes);
    if let Some(timeout) = timeout {
        check_timeout(timeout, scan, fields.place("timeout"), notes);
    }
    let request = read_request(&mut fields, &HEARTBEAT, notes);
    fields.finish(notes);
    Some(Heartbeat { timeout: timeout?, request: request? })
}

/// Notes a time-out of heartbeats in which too few scans fit.
pub(super) fn check_timeout(found: Span, scan: Span, place: &Node<'_>, notes: &mut Notes) {
    let shortest = scan * Heartbeat::IN_TIMEOUT;
    if !(shortest..=TIME_MAX).contains(&found) {
        let message = format!(
            "must be from {} scans, {shortest}, to {TIME_MAX}: each scan may send one, and {} are sent in that time; got {found}",
            Heartbeat::IN_TIMEOUT,
            Heartbeat::IN_TIMEOUT
        );
        place.error(notes, message);
    }
}

/// Reads `address`, `function` and `values` of a request whose values have these names.
fn read_request(fields: &mut Fields<'_>, names: &[&'static str], notes: &mut Notes) -> Option<WriteRequest> {
    let address = register(fields, notes);
    let function = fields.leaf_or("function", WRITES_MANY, notes);
    let known = FUNCTIONS.iter().find(|(number, _)| *number == function);
    if known.is_none() {
        let allowed = "must be 6 for a single register, 16, 22 for some bits of one, 23, which reads back, 5 for a coil, or 15 \
                       for several";
        fields.place("function").error(notes, format!("{allowed}; got {function}"));
    }
    let values = fields.required("values", notes).and_then(|node| node.items(notes)).unwrap_or_default();
    if values.is_empty() || values.len() > MAX_VALUES {
        let found = values.len();
        fields.place("values").error(notes, format!("expected 1 to {MAX_VALUES} values, got {found}"));
    }
    let values = values.iter().take(MAX_VALUES).map(|value| match known {
        Some((_, function)) if function.table().is_of_bits() => read_coil(value, names, notes),
        Some(_) | None => read_value(value, names, notes),
    });
    let values: Vec<Option<WrittenField>> = values.collect();
    let fields =
        values.into_iter().collect::<Option<Vec<WrittenField>>>().filter(|fields| !fields.is_empty());
    let (_, function) = *known?;
    Some(WriteRequest { address: address?, function, is_read_back: false, fields: fields? })
}

/// Reads what a coil is to be: `Constant(value: 1)`, or `Toggle()` of a heartbeat.
fn read_coil(node: &Node<'_>, names: &[&'static str], notes: &mut Notes) -> Option<WrittenField> {
    let allowed =
        if names.contains(&"Toggle") { "Toggle()" } else { "Switch(), or Constant(value: 1), or 0" };
    let content = match node.name() {
        "Constant" if names.contains(&"Constant") => {
            let mut fields = node.fields(notes)?;
            refuse_numbers(&mut fields, notes);
            let value: Option<u64> = fields.leaf("value", notes);
            if value.is_some_and(|value| value > 1) {
                fields.place("value").error(notes, "a coil is 0 or 1");
            }
            fields.finish(notes);
            FieldContent::Constant(if value.filter(|value| *value <= 1)? == 1 { 1.0 } else { 0.0 })
        }
        name @ ("Toggle" | "Switch") if names.contains(&name) => {
            let mut fields = node.fields(notes)?;
            refuse_numbers(&mut fields, notes);
            fields.finish(notes);
            if name == "Toggle" { FieldContent::Toggle } else { FieldContent::Switch }
        }
        _other => {
            let found = excerpt(node.text());
            node.error(notes, format!("a coil is one bit: allowed is {allowed}, got {found}"));
            return None;
        }
    };
    Some(WrittenField { content, layout: BIT, most: None })
}

fn read_value(node: &Node<'_>, names: &[&'static str], notes: &mut Notes) -> Option<WrittenField> {
    let mut fields = node.fields(notes)?;
    let name = if names.contains(&node.name()) { node.name() } else { "" };
    let (content, layout) = match name {
        "SetPoint" => (FieldContent::SetPoint, read_layout(&mut fields, Dimension::Power, notes)),
        "ReactiveSetPoint" => {
            (FieldContent::ReactiveSetPoint, read_layout(&mut fields, Dimension::ReactivePower, notes))
        }
        "Epoch" => (FieldContent::Epoch, read_bare(&mut fields, notes)),
        "Switch" => (FieldContent::Switch, read_bare(&mut fields, notes)),
        "Constant" => {
            let value: f64 = fields.leaf("value", notes)?;
            (FieldContent::Constant(value), read_bare(&mut fields, notes))
        }
        "Counter" => (FieldContent::Counter, read_bare(&mut fields, notes)),
        "Toggle" => (FieldContent::Toggle, read_bare(&mut fields, notes)),
        _unknown => {
            let found = excerpt(if node.name().is_empty() { node.text() } else { node.name() });
            let message = if node.name() == "Constant" {
                let allowed = HEARTBEAT.join(", ");
                format!(
                    "a heartbeat has no Constant(…), which would do harm where it comes late; allowed: {allowed}"
                )
            } else {
                format!("unknown value `{found}`; {}", suggestion(&found, names))
            };
            node.error(notes, message);
            return None;
        }
    };
    fields.finish(notes);
    Some(WrittenField { content, layout: layout?, most: None })
}

/// Whether a request writes this.
fn holds(request: &WriteRequest, content: FieldContent) -> bool {
    request.fields.iter().any(|field| field.content == content)
}

/// Whether a request switches the device and holds no epoch.
fn switches_unfenced(map: &DeviceMap) -> bool {
    let is_unfenced = |request| holds(request, FieldContent::Switch) && !holds(request, FieldContent::Epoch);
    map.writes().iter().any(is_unfenced)
}

/// Whether what is read of a switch is, while it is on, what it was told.
fn check_position(device: &Device<'_>, map: &DeviceMap, notes: &mut Notes) {
    // The map has its points in the order of the file, the device in that of the image.
    let first = map.points().iter().map(|point| usize::from(point.point.0)).min();
    let place = device.spec.points.place(PointKind::SetPoint).zip(first).map(|(place, first)| first + place);
    let is_it = |point: &&MappedPoint| place == Some(usize::from(point.point.0));
    let found = map.points().iter().find(is_it);
    let Some(point) = found.filter(|point| point.table.is_of_bits()) else { return };
    let (on, rating) = (point.layout.scale + point.layout.offset, device.spec.rating.watts());
    if (on - rating).abs() > rating * 1e-9 || point.layout.offset.abs() > 0.0 {
        let message = format!(
            "`set_point` in a bit is the rating while it is 1, {}, and 0 W while it is 0; got {} and {}",
            device.spec.rating,
            Watts::of(on),
            Watts::of(point.layout.offset)
        );
        device.note_link(message, notes);
    }
}

/// Whether a device that is switched, and no other, is written its switch.
fn check_switch(device: &Device<'_>, map: &DeviceMap, notes: &mut Notes) {
    let has = |content: FieldContent| map.writes().iter().any(|request| holds(request, content));
    let (class, has_switch) = (device.spec.class, has(FieldContent::Switch));
    if has_switch && !class.is_switched() {
        let name = class.name();
        device.note_link(
            format!("Switch() starts a Genset, or closes a Load or a Breaker; a {name} has none"),
            notes,
        );
    }
    if has_switch && !has(FieldContent::SetPoint) && class == DeviceClass::Genset {
        device.note_link("a Genset is written its SetPoint(…) too, besides Switch()".into(), notes);
    }
}

/// Whether what is written to a device has room in its registers, and what it does with epochs fits.
pub(super) fn check_writes(device: &Device<'_>, map: &DeviceMap, notes: &mut Notes) {
    let first = |content: FieldContent| map.writes().iter().position(|request| holds(request, content));
    let epoch = first(FieldContent::Epoch);
    let set_point = first(FieldContent::SetPoint).or(first(FieldContent::Switch));
    check_switch(device, map, notes);
    check_position(device, map, notes);
    // In the device's own sign, of which a load counts what it takes as positive.
    let factor = device.spec.positive.factor();
    let (low, high) = device.spec.class.range(device.spec.rating);
    let ends = [low.watts() * factor, high.watts() * factor];
    for field in map.all_writes().flat_map(|request| &request.fields) {
        match field.content {
            FieldContent::SetPoint => {
                let is_narrow = |value: &&f64| field.layout.registers(**value).is_err();
                if let Some(value) = ends.iter().find(is_narrow) {
                    let (value, number) = (Watts::of(*value), field.layout.number);
                    let message = format!(
                        "SetPoint(…) has no room for {value}: {number:?} with this scale; a wider number or a larger scale has"
                    );
                    device.note_link(message, notes);
                }
            }
            FieldContent::Epoch if field.layout.number != NumberType::U64 => {
                device.note_link("Epoch(…) needs a U64: shorter ones would repeat".into(), notes);
            }
            FieldContent::ReactiveSetPoint
            | FieldContent::Switch
            | FieldContent::Epoch
            | FieldContent::Constant(_)
            | FieldContent::Counter
            | FieldContent::Toggle => {}
        }
    }
    match (device.spec.apparent.is_some(), first(FieldContent::ReactiveSetPoint)) {
        (true, None) => {
            let message = "a device with `apparent` power needs ReactiveSetPoint(…) among its `writes`";
            device.note_link(message.into(), notes);
        }
        (false, Some(_)) => {
            let message = "ReactiveSetPoint(…) needs the `apparent` power of the device, such as \"300 kVA\"";
            device.note_link(message.into(), notes);
        }
        (true, Some(_)) | (false, None) => {}
    }
    if device.spec.checks_epochs && epoch.is_none() {
        let message =
            "checks_epochs: true needs Epoch(…) among the `values` of the request that writes SetPoint(…)";
        device.note_link(message.into(), notes);
    } else if epoch.is_some() && (epoch != set_point || switches_unfenced(map)) {
        let message = "Epoch(…) must be written in each request that has SetPoint(…) or Switch(): between two, another's may \
                       come";
        device.note_link(message.into(), notes);
    }
}

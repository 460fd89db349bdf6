//! What is wrong with devices: silent, late, frozen, wrong, incomplete, deaf to writes, cut off; and devices that restart.
//!
//! `"commerce/bess"` means a device for all controllers of its grid, `"a:commerce/bess"` for one of them: a gateway may be at
//! fault that only one of them uses. A device that restarts does so for all.

use r_ems_engine::Span;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::points::{DeviceClass, DeviceSpec, PointKind, PointKinds};
use r_ems_sim::links::{DeviceFault, Edge, Reads};
use r_ems_sim::plant::ComponentIndex;
use r_ems_sim::world::{Change, LinkState};

use crate::expectation::read_amount;
use crate::fault::{Effect, Key};
use crate::happening::split;
use crate::leaf::Leaf;
use crate::mistake::{Notes, suggestion};
use crate::naming::{Names, unit_of};
use crate::node::{Node, excerpt};
use crate::plant::Unit;

/// What can be wrong with a device for a while.
pub(crate) const DEVICE_FAULTS: [&str; 9] =
    ["Silent", "Late", "Frozen", "Wrong", "Invalid", "Short", "Refuses", "Ignores", "Disconnected"];
/// Longest time by which answers are late: what comes later than this comes never.
pub const LATE_MAX: Span = Span::from_mins(10);

/// What of a device is at fault: two of one part must not overlap with different changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Silent,
    Late,
    Frozen,
    /// A point, by its place among those of the device.
    Wrong(u8),
    Invalid,
    Short,
    Refuses,
    Ignores,
    Disconnected,
}

/// A device as one controller meets it: whose link, to which device.
type Link = (u16, DeviceIndex);

/// Reads what is wrong with a device; for all controllers of a grid it is one effect each.
pub(crate) fn read(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Effect>> {
    let (links, part, fault) = match node.name() {
        "Late" => late(node, names, notes)?,
        "Wrong" => wrong(node, names, notes)?,
        name => {
            let (place, links) = only(node, names, notes)?;
            let (part, fault) = match name {
                "Frozen" => (Part::Frozen, DeviceFault::Frozen),
                "Invalid" => (Part::Invalid, DeviceFault::Invalid),
                "Short" => (Part::Short, DeviceFault::Short),
                "Disconnected" => (Part::Disconnected, DeviceFault::Disconnected),
                "Refuses" | "Ignores" => {
                    if class(&place, names).is_some_and(|class| !class.is_controlled()) {
                        node.error(
                            notes,
                            "a meter takes no writes that it could refuse or ignore; name a battery or PV",
                        );
                    }
                    if name == "Refuses" {
                        (Part::Refuses, DeviceFault::Refuses)
                    } else {
                        (Part::Ignores, DeviceFault::Ignores)
                    }
                }
                _ => return Some(links.into_iter().map(silent).collect()),
            };
            (links, part, fault)
        }
    };
    let effect = |(controller, device): Link| {
        let change = |edge| Change::Fault { controller, device, fault, edge };
        let key = Key::Device(controller, device.0, part);
        Effect::new(key, change(Edge::Begins), change(Edge::Ends))
    };
    Some(links.into_iter().map(effect).collect())
}

fn silent((controller, device): Link) -> Effect {
    let change = |state| Change::Link { controller, device, state };
    let key = Key::Device(controller, device.0, Part::Silent);
    Effect::new(key, change(LinkState::Silent), change(LinkState::Answering))
}

/// Reads the one name in `Frozen("commerce/pcc")`: the name, and the links that it means.
fn only(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<(String, Vec<Link>)> {
    let values = node.positional(notes)?;
    let [value] = values.as_slice() else {
        let form = format!("expected {}(\"grid/device\")", node.name());
        node.error(notes, format!("{form}, got {} values", values.len()));
        return None;
    };
    let text: String = value.leaf(notes)?;
    let found = links(&text, names).map_err(|message| value.error(notes, message)).ok()?;
    Some((text, found))
}

/// Reads `Late(device: "commerce/bess", by: "300 ms")`.
fn late(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<(Vec<Link>, Part, DeviceFault)> {
    let mut fields = node.fields(notes)?;
    let device = fields.required("device", notes);
    let by: Option<Span> = fields.leaf("by", notes);
    let is_allowed = |by: &Span| !by.is_zero() && *by <= LATE_MAX;
    if let Some(by) = by.filter(|by| !is_allowed(by)) {
        fields.place("by").error(notes, format!("must be above 0 s and at most {LATE_MAX}, got {by}"));
    }
    let by = by.filter(is_allowed);
    fields.finish(notes);
    let device = device?;
    let text: String = device.leaf(notes)?;
    let links = links(&text, names).map_err(|message| device.error(notes, message)).ok()?;
    Some((links, Part::Late, DeviceFault::Late(by?)))
}

/// Reads `Wrong(point: "commerce/bess.soc", reads: 7.0)`.
fn wrong(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(Vec<Link>, Part, DeviceFault)> {
    let mut fields = node.fields(notes)?;
    let (point, reads) = (fields.required("point", notes), fields.required("reads", notes));
    fields.finish(notes);
    let (point, reads) = (point?, reads?);
    let text: String = point.leaf(notes)?;
    let found = place(&text, names).map_err(|message| point.error(notes, message)).ok()?;
    let (links, place, unit) = found?;
    let value = amount(&reads, unit).map_err(|message| reads.error(notes, message)).ok()?;
    Some((links, Part::Wrong(place), DeviceFault::Wrong { place, reads: Reads::of(value) }))
}

/// The links of `commerce/bess.soc`, the point's place in the device, and its unit; none if the device could not be read.
type Place = Option<(Vec<Link>, u8, Unit)>;

fn place(text: &str, names: &Names<'_, '_>) -> Result<Place, String> {
    let form = || format!("expected a point such as commerce/bess.soc, got \"{}\"", excerpt(text));
    let (device, point) = text.rsplit_once('.').ok_or_else(form)?;
    let links = links(device, names)?;
    let Some(points) = points(device, names) else { return Ok(None) };
    let known: Vec<&str> = points.iter().map(PointKind::name).collect();
    let missing = || {
        let device = excerpt(device);
        format!("\"{device}\" reports no point \"{}\"; {}", excerpt(point), suggestion(point, &known))
    };
    let kind = points.iter().find(|kind| kind.name() == point).ok_or_else(missing)?;
    let place = points.place(kind).ok_or_else(missing)?;
    Ok(Some((links, u8::try_from(place).unwrap_or(u8::MAX), unit_of(kind))))
}

/// Reads a number that nobody needs to believe: any bare one in the base unit, NaN and inf included, or a quantity in quotes.
fn amount(node: &Node<'_>, unit: Unit) -> Result<f64, String> {
    if node.text().starts_with(['"', 'r']) {
        return read_amount(&String::read(node)?, unit);
    }
    let found = || format!("expected a number, NaN, inf or -inf, got {}", excerpt(node.text()));
    node.parse::<f64>().map_err(|_| found())
}

/// Reads `RestartDevice("commerce/bess")`.
pub(crate) fn read_restart(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Change>> {
    let (text, _links) = only(node, names, notes)?;
    if let Some((controller, device)) = text.split_once(':') {
        let message =
            format!("a device restarts for all controllers: write \"{device}\", without \"{controller}:\"");
        node.error(notes, message);
        return None;
    }
    // The names are right: what they lead to is missing only where that was noted.
    let (grid, name) = split(&text, names).ok()?;
    let part = names.component(grid, &name).ok()??;
    let grid = u16::try_from(grid).unwrap_or(u16::MAX);
    let component = ComponentIndex(u16::try_from(part).unwrap_or(u16::MAX));
    Some(vec![Change::RestartDevice { grid, component }])
}

/// The links that `commerce/pcc` or `a:commerce/pcc` means: whose they are, and to which device.
pub(crate) fn links(text: &str, names: &Names<'_, '_>) -> Result<Vec<Link>, String> {
    let (controller, place) = match text.split_once(':') {
        Some((controller, place)) => (Some(controller), place),
        None => (None, text),
    };
    let (grid, owner) = split(place, names)?;
    // A device that could not be read was noted.
    let Some(device) = names.device(grid, &owner)? else { return Ok(Vec::new()) };
    let device = DeviceIndex::of(device);
    let named = &names.grids[grid];
    let only = controller.map(|controller| names.controller(grid, controller)).transpose()?;
    let all = named.controllers().enumerate();
    let meant = all.filter(|(seat, _)| only.is_none_or(|only| only.position() == *seat));
    Ok(meant.map(|(_, controller)| (controller, device)).collect())
}

/// The points of the device that `commerce/pcc` or `a:commerce/pcc` names.
fn points(name: &str, names: &Names<'_, '_>) -> Option<PointKinds> {
    spec(name, names).map(|spec| spec.points)
}

/// The class of the device that `commerce/pcc` or `a:commerce/pcc` names.
pub(crate) fn class(name: &str, names: &Names<'_, '_>) -> Option<DeviceClass> {
    spec(name, names).map(|spec| spec.class)
}

fn spec<'n>(name: &str, names: &Names<'n, '_>) -> Option<&'n DeviceSpec> {
    let place = name.split_once(':').map_or(name, |parts| parts.1);
    let (grid, device) = split(place, names).ok()?;
    let device = names.device(grid, &device).ok()??;
    names.grids[grid].devices.get(device).copied()
}

//! Site files: hosts and grids, each with its devices, its stack of functions and its council of controllers.
//!
//! The same file describes a simulated site and a real one. What is read here is what controllers believe; what the
//! world really is stands in the scenario.
//!
//! **Order.** Hosts, grids, devices and functions keep the order of the file; dense ids follow it.

use r_ems_engine::Span;
use r_ems_engine::controller::{ControllerSpec, Placed};
use r_ems_engine::functions::wiring::ALL_BATTERIES;
use r_ems_engine::functions::{FunctionSet, Rank, When};
use r_ems_engine::ids::{DeviceIndex, GroupIndex};
use r_ems_engine::points::{DeviceClass, DeviceSpec};
use r_ems_engine::units::Watts;
use r_ems_engine::wall::TimeZone;

use crate::bounds;
use crate::council::{self, Council};
use crate::device::{self, Device};
use crate::fieldbus;
use crate::leaf::{self, check_name};
use crate::mistake::{Notes, suggestion};
use crate::node::{Entry, Fields, Node, excerpt};
use crate::{persistence, polls};

/// The version of the language that is read.
pub(crate) const VERSION: u64 = 1;
/// Most grids of a site.
pub(crate) const MAX_GRIDS: usize = 64;
/// Most hosts of a site.
pub(crate) const MAX_HOSTS: usize = 64;
/// Most devices of a grid.
pub(crate) const MAX_DEVICES: usize = 512;
/// Most functions of a stack.
pub(crate) const MAX_FUNCTIONS: usize = 64;
/// Shortest time between two scans: a millisecond is shorter than any fieldbus.
pub const SCAN_MIN: Span = Span::from_millis(1);
/// Longest time between two scans.
pub(crate) const SCAN_MAX: Span = Span::from_hours(1);

/// Functions that answer for the whole demand at a meter.
const CARRIES_DEMAND: [&str; 5] =
    ["GridOperator", "ConnectionLimit", "PeakShaving", "SelfConsumption", "Tariff"];
/// Functions that go by the site's clocks.
const GOES_BY_THE_CLOCK: [&str; 2] = ["Schedule", "Tariff"];

/// A site as its file describes it.
#[derive(Debug)]
pub(crate) struct Site<'t, S> {
    /// None if it is there and wrong, which was noted.
    pub(crate) time_zone: Option<TimeZone>,
    pub(crate) hosts: Vec<Entry<'t>>,
    pub(crate) grids: Vec<Grid<'t, S>>,
    pub(crate) persistence: Option<persistence::Stated>,
}

/// One grid of a site.
#[derive(Debug)]
pub(crate) struct Grid<'t, S> {
    pub(crate) name: String,
    pub(crate) scan: Span,
    pub(crate) devices: Vec<Device<'t>>,
    /// The names of devices that could not be read, which was noted.
    pub(crate) unread: Vec<String>,
    pub(crate) functions: Vec<Slot<'t, S>>,
    pub(crate) council: Council<'t>,
}

/// One place in a stack.
#[derive(Debug)]
pub(crate) struct Slot<'t, S> {
    pub(crate) node: Node<'t>,
    pub(crate) spec: S,
    /// When it has a say, if the file says so.
    pub(crate) when: Option<When>,
}

impl<S> Grid<'_, S> {
    /// The limit that the summary counts shaved energy against: that of the first peak shaving.
    pub(crate) fn shaving_limit(&self) -> Option<Watts> {
        let shaving = self.functions.iter().find(|slot| slot.node.name() == "PeakShaving")?;
        let fields = shaving.node.try_fields()?;
        let (name, raw) = fields.into_iter().find(|field| field.0 == "limit")?;
        shaving.node.child(raw, name).leaf(&mut Notes::default())
    }
}

/// Reads `Site(…)`.
pub(crate) fn read<'t, F: FunctionSet>(node: &Node<'t>, notes: &mut Notes) -> Option<Site<'t, F::Spec>> {
    if node.name() != "Site" {
        let name = excerpt(node.text());
        node.error(notes, format!("expected Site(version: {VERSION}, …), got {name}"));
        return None;
    }
    let mut fields = node.fields(notes)?;
    version(&mut fields, notes);
    let zone = fields.optional("time_zone");
    let is_placed = zone.is_some();
    let time_zone = zone.map_or(Some(TimeZone::UTC), |zone| zone.leaf(notes));
    let hosts = fields.optional("hosts").map_or_else(Vec::new, |hosts| read_hosts(&hosts, notes));
    let grids = fields.required("grids", notes).and_then(|grids| grids.map(notes)).unwrap_or_default();
    if grids.is_empty() || grids.len() > MAX_GRIDS {
        let found = grids.len();
        fields.place("grids").error(notes, format!("expected 1 to {MAX_GRIDS} grids, got {found}"));
    }
    let persistence = fields.optional("persistence").map(|node| persistence::read(&node, notes));
    fields.finish(notes);
    let read = |grid: &Entry<'t>| read_grid::<F>(grid, &hosts, notes);
    let grids: Vec<_> = grids.iter().take(MAX_GRIDS).filter_map(read).collect();
    fieldbus::check_masters(&grids, &hosts, notes);
    let slots = grids.iter().flat_map(|grid| &grid.functions);
    for slot in slots.filter(|slot| !is_placed && GOES_BY_THE_CLOCK.contains(&slot.node.name())) {
        let message =
            "goes by UTC, because the site states no time_zone; if that is meant: time_zone: \"UTC\"";
        slot.node.warning(notes, message);
    }
    Some(Site { time_zone, hosts, grids, persistence })
}

/// Checks the `version` field that every file begins with.
pub(crate) fn version(fields: &mut Fields<'_>, notes: &mut Notes) {
    if let Some(node) = fields.required("version", notes) {
        check_version(&node, notes);
    }
}

/// Checks the number itself.
pub(crate) fn check_version(node: &Node<'_>, notes: &mut Notes) {
    if let Some(found) = node.leaf::<u64>(notes)
        && found != VERSION
    {
        node.error(notes, format!("expected version {VERSION}, the only one that is known, got {found}"));
    }
}

/// Where a host's control API may be looked at.
pub(crate) const LISTEN_EXAMPLE: &str = "127.0.0.1:9464";
/// An address as a host may have it.
pub(crate) const HOST_EXAMPLE: &str = "10.0.0.1:7400";

fn read_hosts<'t>(node: &Node<'t>, notes: &mut Notes) -> Vec<Entry<'t>> {
    let hosts = node.map(notes).unwrap_or_default();
    if hosts.len() > MAX_HOSTS {
        node.error(notes, format!("expected at most {MAX_HOSTS} hosts, got {}", hosts.len()));
    }
    for host in &hosts {
        check_name(&host.key, &host.name, notes);
        let Some(mut fields) = host.value.fields(notes) else { continue };
        if let Some(node) = fields.optional("address") {
            leaf::address(&node, HOST_EXAMPLE, notes);
        }
        if let Some(node) = fields.optional("listen") {
            leaf::address(&node, LISTEN_EXAMPLE, notes);
        }
        fields.finish(notes);
    }
    hosts
}

fn read_grid<'t, F: FunctionSet>(
    entry: &Entry<'t>,
    hosts: &[Entry<'t>],
    notes: &mut Notes,
) -> Option<Grid<'t, F::Spec>> {
    check_name(&entry.key, &entry.name, notes);
    let mut fields = entry.value.fields(notes)?;
    let scan = read_scan(&mut fields, notes);
    let devices =
        fields.required("devices", notes).and_then(|devices| devices.map(notes)).unwrap_or_default();
    if devices.is_empty() || devices.len() > MAX_DEVICES {
        let found = devices.len();
        fields.place("devices").error(notes, format!("expected 1 to {MAX_DEVICES} devices, got {found}"));
    }
    let stack = fields.required("functions", notes).and_then(|stack| stack.items(notes)).unwrap_or_default();
    if stack.len() > MAX_FUNCTIONS {
        let found = stack.len();
        fields.place("functions").error(notes, format!("expected at most {MAX_FUNCTIONS}, got {found}"));
    }
    let mut council = council::read(scan, &mut fields, hosts, notes);
    refuse_persistence(&mut fields, notes);
    let witness = fields.place("witness").clone();
    fields.finish(notes);
    let (mut known, mut unread) = (Vec::new(), Vec::new());
    for device in devices.iter().take(MAX_DEVICES) {
        match device::read(device, scan, notes) {
            Some(device) => known.push(device),
            None => unread.push(device.name.clone()),
        }
    }
    // A device that could not be read at all would be missed by every function that names it.
    let all_are_known = known.len() == devices.len();
    let devices = known;
    let read = |node: &Node<'t>| read_function::<F>(node, notes);
    let functions: Vec<Slot<'t, F::Spec>> = stack.iter().take(MAX_FUNCTIONS).filter_map(read).collect();
    council::check_devices(&council, &witness, &devices, notes);
    council.identify(&entry.name, hosts, &devices);
    let grid = Grid { name: entry.name.clone(), scan, devices, unread, functions, council };
    check_breakers(&grid, notes);
    if all_are_known {
        check_stack::<F>(&grid, notes);
    }
    Some(grid)
}

fn read_scan(fields: &mut Fields<'_>, notes: &mut Notes) -> Span {
    let scan = fields.leaf::<Span>("scan", notes);
    if let Some(scan) = scan
        && !(SCAN_MIN..=SCAN_MAX).contains(&scan)
    {
        let message = format!("must be from {SCAN_MIN} to {SCAN_MAX}, got {scan}");
        fields.place("scan").error(notes, message);
    }
    scan.unwrap_or(Span::from_secs(1))
}

/// Says of what belongs to all grids of a site where it is written.
fn refuse_persistence(fields: &mut Fields<'_>, notes: &mut Notes) {
    for name in ["snapshots", "event_log", "persistence"] {
        if let Some(node) = fields.optional(name) {
            node.error(notes, "is written once for all grids: persistence: (…) of the site");
        }
    }
}

/// Reads one function by its own type.
fn read_function<'t, F: FunctionSet>(node: &Node<'t>, notes: &mut Notes) -> Option<Slot<'t, F::Spec>> {
    let name = node.name();
    if !F::NAMES.contains(&name) {
        let found = excerpt(node.text());
        let found = if name.is_empty() { &found } else { name };
        node.error(notes, format!("unknown function `{found}`; {}", suggestion(found, F::NAMES)));
        return None;
    }
    // Fields given twice are noted here, with the place of the second.
    let errors = notes.errors();
    node.fields(notes)?;
    for (field, raw) in node.try_fields().unwrap_or_default() {
        bounds::check(&node.child(raw, field), notes);
    }
    if notes.errors() > errors {
        return None;
    }
    let stated = node.try_fields().unwrap_or_default().into_iter().find(|field| field.0 == "when");
    let when = match stated {
        Some((name, raw)) => Some(read_when(&node.child(raw, name), notes)?),
        None => None,
    };
    let parsed = match stated {
        Some(field) => node.parse_without::<F::Spec>(field),
        None => node.parse::<F::Spec>(),
    };
    match parsed {
        Ok(spec) => Some(Slot { node: node.clone(), spec, when }),
        Err(error) => {
            refuse_function(node, &error, notes);
            None
        }
    }
}

/// Reads `when: Island`, which every function may have.
fn read_when(node: &Node<'_>, notes: &mut Notes) -> Option<When> {
    let all = [When::OnGrid, When::Island, When::Both];
    leaf::word(node, &["OnGrid", "Island", "Both"], notes).map(|place| all[place])
}

/// Shows an error of a function's own reader at the field that it stopped in.
fn refuse_function(node: &Node<'_>, error: &ron::error::SpannedError, notes: &mut Notes) {
    let fields = node.try_fields().unwrap_or_default();
    if let ron::Error::NoSuchStructField { expected, found, .. } = &error.code {
        let message = format!("unknown field `{found}`; {}", suggestion(found, expected));
        match fields.iter().find(|field| field.0 == found) {
            Some((name, _value)) => node.child(name, found).error(notes, message),
            None => node.error(notes, message),
        }
        return;
    }
    if let ron::Error::MissingStructField { field, .. } = &error.code {
        node.error(notes, format!("the field `{field}` is missing"));
        return;
    }
    let stopped = node.offset_in(error.span.start);
    let begins = |raw: &str| (raw.as_ptr() as usize).saturating_sub(node.text().as_ptr() as usize);
    let field = fields.iter().rev().find(|field| begins(field.1) <= stopped);
    match field {
        Some((name, raw)) => {
            let value = node.child(raw, name);
            value
                .error(notes, format!("{}, got {}", trimmed(&error.code.to_string()), excerpt(value.text())));
        }
        None => node.error(notes, error.code.to_string()),
    }
}

/// A reader's message without what it says about the value, which is shown after it.
fn trimmed(message: &str) -> &str {
    message.split_once(", got ").map_or(message, |parts| parts.0)
}

/// Notes a second breaker at the point of common coupling, and functions of islands in a grid that has none: it is never one.
fn check_breakers<S>(grid: &Grid<'_, S>, notes: &mut Notes) {
    let is_breaker = |device: &&Device<'_>| device.spec.class == DeviceClass::Breaker;
    let mut breakers = grid.devices.iter().filter(is_breaker);
    let first = breakers.next();
    if let (Some(first), Some(second)) = (first, breakers.next()) {
        let (first, second) = (&first.spec.name, &second.spec.name);
        let message = format!("a grid has one Breaker, at its connection; got \"{first}\" and \"{second}\"");
        grid.devices.iter().filter(is_breaker).for_each(|device| device.note_link(message.clone(), notes));
    }
    for slot in &grid.functions {
        let is_gensets = slot.node.name() == "Gensets";
        let is_of_islands = slot.when == Some(When::Island) || slot.when.is_none() && is_gensets;
        let message = "this grid is never an island, because it has no Breaker among its devices";
        if is_of_islands && first.is_none() && is_gensets {
            slot.node.error(
                notes,
                format!("{message}: its gensets would rest; a site that no grid reaches has one too"),
            );
        } else if is_of_islands && first.is_none() {
            slot.node.warning(notes, message);
        }
        let is_half = !matches!(slot.when, None | Some(When::Both));
        if slot.node.name() == "LoadShedding" && is_half {
            let message =
                "sheds loads on an island and lets them come back on the grid, so it has a say in `Both`";
            slot.node.error(notes, message);
        }
    }
}

/// Wires the stack with the grid's devices to find what does not fit, and looks at its order.
fn check_stack<F: FunctionSet>(grid: &Grid<'_, F::Spec>, notes: &mut Notes) {
    let Some(spec) = wire::<F>(grid, notes) else { return };
    refuse_rivals(grid, &spec, notes);
    let mut highest: Option<(Rank, usize)> = None;
    for (position, law) in spec.laws.iter().enumerate() {
        let rank = law.law.rank();
        match highest {
            Some((other, at)) if other > rank => {
                let above = grid.functions[at].node.name();
                let name = grid.functions[position].node.name();
                let message = format!("{name} stands below {above}, but the standard order has it above");
                grid.functions[position].node.warning(notes, message);
            }
            Some(_) | None => highest = Some((rank, position)),
        }
    }
}

/// Notes functions that would carry the whole demand of one meter with different batteries: each would do all of it, and
/// the meter would swing by the demand for ever.
fn refuse_rivals<F: FunctionSet>(grid: &Grid<'_, F::Spec>, spec: &ControllerSpec<F>, notes: &mut Notes) {
    let mut carriers: Vec<(DeviceIndex, GroupIndex, &str)> = Vec::new();
    for (slot, law) in grid.functions.iter().zip(&spec.laws) {
        let name = slot.node.name();
        let is_battery = |group: &&GroupIndex| spec.groups[group.position()].class == DeviceClass::Battery;
        let Some(meter) = law.law.meter().filter(|_meter| CARRIES_DEMAND.contains(&name)) else { continue };
        let Some(group) = law.law.groups().iter().find(is_battery).copied() else { continue };
        let rival = carriers.iter().find(|known| known.0 == meter && known.1 != group);
        if let Some((_, _, rival)) = rival {
            let fields = slot.node.try_fields().unwrap_or_default();
            let field = fields.into_iter().find(|field| field.0 == "battery");
            let node = field.map_or_else(|| slot.node.clone(), |(name, raw)| slot.node.child(raw, name));
            let meter = &spec.devices[meter.position()].name;
            let message = format!(
                "{rival} above carries the whole demand at \"{meter}\" with another battery, and {name} would carry it a \
                 second time; use one group in both: battery: \"{ALL_BATTERIES}\""
            );
            node.error(notes, message);
        }
        carriers.push((meter, group, name));
    }
}

/// Makes what the controllers of a grid have in common; mistakes are noted at the function's field.
pub(crate) fn wire<F: FunctionSet>(grid: &Grid<'_, F::Spec>, notes: &mut Notes) -> Option<ControllerSpec<F>> {
    let devices: Vec<DeviceSpec> = grid.devices.iter().map(|device| device.spec.clone()).collect();
    let stack: Vec<F::Spec> = grid.functions.iter().map(|slot| slot.spec.clone()).collect();
    let errors = match ControllerSpec::wire(&grid.name, "", grid.scan, devices, &stack) {
        Ok(spec) => {
            let bus = fieldbus::bus(&grid.devices, grid.scan, notes);
            fieldbus::check_connections(&grid.devices, &bus, grid.scan, notes);
            polls::check(&grid.devices, &bus, grid.scan, notes);
            let laws = spec.laws.into_iter().zip(&grid.functions);
            let laws = laws.map(|(placed, slot)| Placed { when: slot.when.unwrap_or(placed.when), ..placed });
            return Some(ControllerSpec { bus, laws: laws.collect(), ..spec });
        }
        Err(errors) => errors,
    };
    for error in errors {
        let node = &grid.functions[error.position].node;
        let fields = node.try_fields().unwrap_or_default();
        let message = error.error.problem.to_string();
        match fields.iter().find(|field| field.0 == error.error.field) {
            Some((name, raw)) => node.child(raw, name).error(notes, message),
            None => node.child(node.text(), error.error.field).error(notes, message),
        }
    }
    None
}

//! Links of kind `Modbus` of a site file: where a device is found, where its points lie, and what writes its set-point.
//!
//! ```text
//! Modbus(
//!     address: "10.0.0.21:502", unit: 1, positive: Discharge,
//!     points: { "p": Holding(address: 100, number: I32, scale: "1 W"), … },
//!     writes: [(address: 200, values: [SetPoint(number: I32, scale: "1 W")])],
//! )
//! ```
//!
//! Devices with one address share a connection, as units behind a gateway do. Addresses of registers are those on the wire,
//! from 0. A scale has no default but for floating point: a guess would be wrong by a factor of ten for every second device.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::map::{
    BusSpec, DeviceMap, FieldContent, MapFlaw, MappedPoint, Mapping, WriteRequest, WrittenField,
};
use r_ems_engine::fieldbus::master::{ConnectionSpec, MAX_JOBS, MAX_UNITS, UnitSpec};
use r_ems_engine::fieldbus::pdu::{MAX_REGISTERS_READ, Table};
use r_ems_engine::fieldbus::plan::{PlanFlaw, ReadLimits};
use r_ems_engine::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex, PointIndex};
use r_ems_engine::points::{Connections, DeviceClass, PointKind};
use r_ems_engine::units::{Ratio, Watts};

use crate::device::Device;
use crate::leaf::{self, word};
use crate::mistake::{Notes, suggestion};
use crate::naming::first_point;
use crate::node::{Fields, Node, excerpt};

/// How often a request is repeated, unless the link says otherwise: a lost answer should cost no scan, a dead device little.
const RETRIES: u64 = 1;
/// Most repetitions.
const RETRIES_MAX: u64 = 10;
/// How long a device that does not answer is left alone at first, unless the link says otherwise.
const BACK_OFF: Span = Span::from_secs(1);
/// The longest that it is left alone, unless the link says otherwise.
const BACK_OFF_MAX: Span = Span::from_secs(8);
/// How long an attempt to connect may take, unless the link says otherwise.
const CONNECT_TIMEOUT: Span = Span::from_secs(1);
/// Longest of all these times.
const TIME_MAX: Span = Span::from_hours(1);
/// Most requests that write one set-point are bounded by the engine; so many numbers has one.
const MAX_VALUES: usize = 16;
/// The functions that write registers.
const WRITES_ONE: u64 = 6;
const WRITES_MANY: u64 = 16;

/// How a device is found and asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Modbus {
    address: String,
    unit: UnitSpec,
    min_gap: Span,
    connect_timeout: Span,
    limits: ReadLimits,
    /// By the points' places in the device's class.
    points: Vec<(usize, Table, u16, Layout)>,
    writes: Vec<WriteRequest>,
}

/// Reads what a link of kind `Modbus` says beyond what every link says.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    class: DeviceClass,
    timeout: Span,
    notes: &mut Notes,
) -> Option<Modbus> {
    let address =
        fields.required("address", notes).and_then(|node| leaf::address(&node, "10.0.0.21:502", notes));
    let unit = whole(fields, "unit", (1, 0, 255), notes);
    let retries = whole(fields, "retries", (RETRIES, 0, RETRIES_MAX), notes);
    let mut span = |name: &'static str, default: Span, may_be_zero: bool| {
        let found = fields.leaf_or(name, default, notes);
        if found > TIME_MAX || (found.is_zero() && !may_be_zero) {
            let low = if may_be_zero { "from 0 s to" } else { "above 0 s and at most" };
            fields.place(name).error(notes, format!("must be {low} {TIME_MAX}, got {found}"));
        }
        found
    };
    let back_off_first = span("back_off", BACK_OFF, false);
    let back_off_max = span("back_off_max", BACK_OFF_MAX.max(back_off_first), false);
    let min_gap = span("min_gap", Span::ZERO, true);
    let connect_timeout = span("connect_timeout", CONNECT_TIMEOUT, false);
    let most = u64::from(MAX_REGISTERS_READ);
    let registers = whole(fields, "registers_max", (most, 1, most), notes) as u16;
    let hole = whole(fields, "hole_max", (0, 0, most), notes) as u16;
    let points = fields.required("points", notes).and_then(|node| read_points(&node, class, notes));
    let writes = if class.is_controlled() {
        fields.required("writes", notes).and_then(|node| read_writes(&node, notes))
    } else {
        Some(Vec::new())
    };
    let unit = UnitSpec {
        unit: unit as u8,
        timeout,
        retries: retries as u8,
        back_off_first,
        back_off_max: back_off_max.max(back_off_first),
    };
    let limits = ReadLimits { registers, hole };
    Some(Modbus {
        address: address?,
        unit,
        min_gap,
        connect_timeout,
        limits,
        points: points?,
        writes: writes?,
    })
}

/// A whole number within bounds.
fn whole(
    fields: &mut Fields<'_>,
    name: &'static str,
    (default, low, high): (u64, u64, u64),
    notes: &mut Notes,
) -> u64 {
    let found = fields.leaf_or(name, default, notes);
    if !(low..=high).contains(&found) {
        fields.place(name).error(notes, format!("must be from {low} to {high}, got {found}"));
    }
    found.clamp(low, high)
}

/// Reads where each point of a device of `class` lies.
fn read_points(
    node: &Node<'_>,
    class: DeviceClass,
    notes: &mut Notes,
) -> Option<Vec<(usize, Table, u16, Layout)>> {
    let errors = notes.errors();
    let names: Vec<&str> = class.points().iter().map(|kind| kind.name()).collect();
    let mut points = Vec::new();
    for entry in node.map(notes)? {
        let Some(place) = names.iter().position(|name| *name == entry.name) else {
            let help = suggestion(&entry.name, &names);
            entry
                .key
                .error(notes, format!("a {} has no point `{}`; {help}", class.name(), excerpt(&entry.name)));
            continue;
        };
        if let Some((table, address, layout)) = read_point(&entry.value, class.points()[place], notes) {
            points.push((place, table, address, layout));
        }
    }
    let missing: Vec<&str> =
        names.iter().copied().filter(|name| !points.iter().any(|point| names[point.0] == *name)).collect();
    if notes.errors() == errors && !missing.is_empty() {
        let list = missing.join("`, `");
        node.error(notes, format!("a {} needs all of its points; missing: `{list}`", class.name()));
        return None;
    }
    Some(points)
}

/// Reads `Holding(address: 100, number: I32, scale: "1 W")`, or `Input(…)`.
fn read_point(node: &Node<'_>, kind: PointKind, notes: &mut Notes) -> Option<(Table, u16, Layout)> {
    let table = match node.name() {
        "Holding" => Table::HoldingRegisters,
        "Input" => Table::InputRegisters,
        name => {
            let found = excerpt(if name.is_empty() { node.text() } else { name });
            node.error(
                notes,
                format!("unknown table `{found}`; {}", suggestion(&found, &["Holding", "Input"])),
            );
            return None;
        }
    };
    let mut fields = node.fields(notes)?;
    let address = register(&mut fields, notes);
    let layout = read_layout(&mut fields, kind == PointKind::StateOfCharge, notes);
    fields.finish(notes);
    Some((table, address?, layout?))
}

fn register(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<u16> {
    let address: u64 = fields.leaf("address", notes)?;
    let found = u16::try_from(address).ok();
    if found.is_none() {
        let allowed = "must be a register's address on the wire, from 0 to 65535; 40001 in a manual is often holding register 0";
        fields.place("address").error(notes, format!("{allowed}; got {address}"));
    }
    found
}

/// Reads `number`, `scale`, `offset`, `order` and `unknown`; a share's scale is one too, else a power.
fn read_layout(fields: &mut Fields<'_>, is_share: bool, notes: &mut Notes) -> Option<Layout> {
    let number = fields.required("number", notes).and_then(|node| read_number(&node, notes));
    let unit = if is_share { "\"0.1 %\"" } else { "\"1 W\"" };
    let quantity = |node: &Node<'_>, notes: &mut Notes| -> Option<f64> {
        if is_share {
            node.leaf::<Ratio>(notes).map(Ratio::ratio)
        } else {
            node.leaf::<Watts>(notes).map(Watts::watts)
        }
    };
    let scale = match (fields.optional("scale"), number) {
        (Some(node), _) => quantity(&node, notes).filter(|scale| {
            if *scale == 0.0 {
                node.error(notes, format!("must not be 0; it is what one of the number is, such as {unit}"));
            }
            *scale != 0.0
        }),
        (None, Some(NumberType::F32)) => Some(1.0),
        (None, _) => {
            let message = format!("the field `scale` is missing: what one of the number is, such as {unit}");
            fields.node().error(notes, message);
            None
        }
    };
    let offset = fields.optional("offset").map_or(Some(0.0), |node| quantity(&node, notes));
    let (order, unknown) = read_order(fields, notes);
    Some(Layout { number: number?, order, scale: scale?, offset: offset?, unknown })
}

/// Reads a number that is no quantity.
fn read_bare(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Layout> {
    let number = fields.required("number", notes).and_then(|node| read_number(&node, notes));
    let (order, unknown) = read_order(fields, notes);
    Some(Layout { number: number?, order, scale: 1.0, offset: 0.0, unknown })
}

fn read_order(fields: &mut Fields<'_>, notes: &mut Notes) -> (WordOrder, Unknown) {
    let order = fields.optional("order").and_then(|node| word(&node, &["HighFirst", "LowFirst"], notes));
    let unknown = match fields.optional("unknown") {
        None => Unknown::Never,
        Some(node) if node.text() == "SunSpec" => Unknown::SunSpec,
        Some(node) => match node.parse::<u64>() {
            Ok(pattern) => Unknown::Pattern(pattern),
            Err(_) => {
                let found = excerpt(node.text());
                node.error(
                    notes,
                    format!("expected SunSpec, or a pattern such as 32768 or 0x8000, got {found}"),
                );
                Unknown::Never
            }
        },
    };
    (if order == Some(1) { WordOrder::LowFirst } else { WordOrder::HighFirst }, unknown)
}

fn read_number(node: &Node<'_>, notes: &mut Notes) -> Option<NumberType> {
    use NumberType::{F32, I16, I32, I64, U16, U32, U64};
    let names = ["U16", "I16", "U32", "I32", "U64", "I64", "F32"];
    word(node, &names, notes).map(|place| [U16, I16, U32, I32, U64, I64, F32][place])
}

/// Reads `[(address: 200, values: [Epoch(number: U64), SetPoint(number: I32, scale: "1 W")])]`.
fn read_writes(node: &Node<'_>, notes: &mut Notes) -> Option<Vec<WriteRequest>> {
    let mut writes = Vec::new();
    for item in node.items(notes)? {
        let mut fields = item.fields(notes)?;
        let address = register(&mut fields, notes);
        let function = fields.leaf_or("function", WRITES_MANY, notes);
        if function != WRITES_ONE && function != WRITES_MANY {
            let allowed = format!("must be {WRITES_ONE} for a single register or {WRITES_MANY}");
            fields.place("function").error(notes, format!("{allowed}, got {function}"));
        }
        let values = fields.required("values", notes).and_then(|node| node.items(notes)).unwrap_or_default();
        if values.is_empty() || values.len() > MAX_VALUES {
            let found = values.len();
            fields.place("values").error(notes, format!("expected 1 to {MAX_VALUES} values, got {found}"));
        }
        let values = values.iter().take(MAX_VALUES).filter_map(|value| read_value(value, notes)).collect();
        fields.finish(notes);
        writes.push(WriteRequest { address: address?, is_single: function == WRITES_ONE, fields: values });
    }
    Some(writes)
}

fn read_value(node: &Node<'_>, notes: &mut Notes) -> Option<WrittenField> {
    let mut fields = node.fields(notes)?;
    let (content, layout) = match node.name() {
        "SetPoint" => (FieldContent::SetPoint, read_layout(&mut fields, false, notes)),
        "Epoch" => (FieldContent::Epoch, read_bare(&mut fields, notes)),
        "Constant" => {
            let value: f64 = fields.leaf("value", notes)?;
            (FieldContent::Constant(value), read_bare(&mut fields, notes))
        }
        name => {
            let found = excerpt(if name.is_empty() { node.text() } else { name });
            let names = ["SetPoint", "Epoch", "Constant"];
            node.error(notes, format!("unknown value `{found}`; {}", suggestion(&found, &names)));
            return None;
        }
    };
    fields.finish(notes);
    Some(WrittenField { content, layout: layout? })
}

/// Where the connections of a grid's devices lead, in the order of their ids.
pub(crate) fn addresses(devices: &[Device<'_>]) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    for modbus in devices.iter().filter_map(|device| device.modbus.as_ref()) {
        if !addresses.contains(&modbus.address) {
            addresses.push(modbus.address.clone());
        }
    }
    addresses
}

/// Makes the connections and maps of a grid's devices; what does not fit together is noted at the link.
pub(crate) fn bus(devices: &[Device<'_>], notes: &mut Notes) -> BusSpec {
    let mut bus = BusSpec::default();
    let addresses = addresses(devices);
    let mut jobs = vec![0; addresses.len()];
    let mut connections: Vec<Connections> = Vec::new();
    for (position, device) in devices.iter().enumerate() {
        let Some(modbus) = &device.modbus else { continue };
        let known = addresses.iter().position(|address| *address == modbus.address);
        let Some(connection) = known else { continue };
        if connection == bus.connections.len() {
            let (min_gap, connect_timeout) = (modbus.min_gap, modbus.connect_timeout);
            bus.connections.push(ConnectionSpec { units: Vec::new(), min_gap, connect_timeout });
            connections.push(device.spec.connections);
        }
        if connections[connection] != device.spec.connections {
            let message = format!(
                "`connections` belongs to the address: another device at \"{}\" has {:?}, this one {:?}",
                modbus.address, connections[connection], device.spec.connections
            );
            device.note_link(message, notes);
            continue;
        }
        let shared = &mut bus.connections[connection];
        if let Some(message) = does_not_join(modbus, shared) {
            device.note_link(message, notes);
            continue;
        }
        shared.units.push(modbus.unit);
        let unit = (shared.units.len() - 1) as u16;
        let first = first_point(devices[..position].iter().map(|device| device.spec.class));
        let mapping = modbus.mapping(DeviceIndex::of(position), ConnectionIndex::of(connection), unit, first);
        match DeviceMap::new(Mapping {
            latency: device.spec.latency,
            reversion: device.spec.reversion,
            recalls: !device.spec.longest_write.is_zero() && !device.spec.checks_epochs,
            ..mapping
        }) {
            Ok(map) => {
                check_writes(device, &map, notes);
                jobs[connection] += map.reads().len() + usize::from(!map.writes().is_empty());
                if jobs[connection] > MAX_JOBS {
                    let message = format!(
                        "all devices at \"{}\" take more than {MAX_JOBS} requests a scan; put some behind another address",
                        modbus.address
                    );
                    device.note_link(message, notes);
                    continue;
                }
                bus.devices.push(map);
            }
            Err(flaw) => device.note_link(modbus.told(device.spec.class, flaw), notes),
        }
    }
    bus
}

/// Why a device cannot share a connection with those that are there.
fn does_not_join(modbus: &Modbus, shared: &ConnectionSpec) -> Option<String> {
    let Modbus { address, unit, min_gap, connect_timeout, .. } = modbus;
    if shared.units.iter().any(|other| other.unit == unit.unit) {
        return Some(format!("unit {} at \"{address}\" is another device already", unit.unit));
    }
    if shared.units.len() >= MAX_UNITS {
        return Some(format!("at most {MAX_UNITS} units share the connection to \"{address}\""));
    }
    if (shared.min_gap, shared.connect_timeout) != (*min_gap, *connect_timeout) {
        return Some(format!(
            "`min_gap` and `connect_timeout` belong to the connection: another device at \"{address}\" has {} and {}, this one \
             {min_gap} and {connect_timeout}",
            shared.min_gap, shared.connect_timeout
        ));
    }
    None
}

/// Whether what is written to a device has room in its registers, and what it does with epochs fits.
fn check_writes(device: &Device<'_>, map: &DeviceMap, notes: &mut Notes) {
    let holds = |content: FieldContent| {
        let has = |request: &&WriteRequest| request.fields.iter().any(|field| field.content == content);
        map.writes().iter().position(|request| has(&request))
    };
    let (epoch, set_point) = (holds(FieldContent::Epoch), holds(FieldContent::SetPoint));
    let rating = device.spec.rating.watts();
    let lowest = if device.spec.class == DeviceClass::Pv { 0.0 } else { -rating };
    for field in map.writes().iter().flat_map(|request| &request.fields) {
        match field.content {
            FieldContent::SetPoint => {
                let is_narrow = |value: &&f64| field.layout.registers(**value).is_err();
                if let Some(value) = [lowest, rating].iter().find(is_narrow) {
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
            FieldContent::Epoch | FieldContent::Constant(_) => {}
        }
    }
    if device.spec.checks_epochs && epoch.is_none() {
        let message =
            "checks_epochs: true needs Epoch(…) among the `values` of the request that writes SetPoint(…)";
        device.note_link(message.into(), notes);
    } else if epoch.is_some() && epoch != set_point {
        let message =
            "Epoch(…) and SetPoint(…) must be written in one request: between two, another's may come";
        device.note_link(message.into(), notes);
    }
}

impl Modbus {
    /// Where it is found: its address and its unit.
    pub(crate) fn place(&self) -> (&str, u8) {
        (&self.address, self.unit.unit)
    }

    /// What is wrong with the map, with the names of points.
    fn told(&self, class: DeviceClass, flaw: MapFlaw) -> String {
        let place = match flaw {
            MapFlaw::Bits { place } => Some(place),
            MapFlaw::Read(PlanFlaw::Long { place, .. } | PlanFlaw::Beyond { place }) => {
                Some(usize::from(place))
            }
            MapFlaw::ManyWrites { .. }
            | MapFlaw::Write { .. }
            | MapFlaw::Constant { .. }
            | MapFlaw::SetPoints { .. } => None,
        };
        let point = place.and_then(|place| class.points().get(self.points.get(place)?.0));
        point.map_or_else(|| flaw.to_string(), |kind| format!("`{}`: {flaw}", kind.name()))
    }

    fn mapping(
        &self,
        device: DeviceIndex,
        connection: ConnectionIndex,
        unit: u16,
        first: PointIndex,
    ) -> Mapping {
        let point = |(place, table, address, layout): &(usize, Table, u16, Layout)| MappedPoint {
            point: PointIndex::of(first.position() + place),
            table: *table,
            address: *address,
            layout: *layout,
        };
        Mapping {
            device,
            connection,
            unit,
            latency: Span::ZERO,
            reversion: Span::ZERO,
            recalls: false,
            limits: self.limits,
            points: self.points.iter().map(point).collect(),
            writes: self.writes.clone(),
        }
    }
}

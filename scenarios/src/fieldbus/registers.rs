//! Where numbers lie in registers: the `points` of a link, and the layout of any number.

use r_ems_engine::fieldbus::map::{Guard, MappedBit, MappedPoint, Otherwise};
use r_ems_engine::fieldbus::pdu::Table;
use r_ems_engine::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use r_ems_engine::ids::PointIndex;
use r_ems_engine::points::{DeviceClass, Dimension, PointKind};
use r_ems_engine::units::{Hertz, PerUnit, Ratio, Vars, Watts};

use super::bits;
use crate::later::unknown;
use crate::leaf::word;
use crate::mistake::{Notes, suggestion};
use crate::node::{Fields, Node, excerpt};

/// A point of a map, and the bits on which it depends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) point: MappedPoint,
    pub(super) bits: Vec<MappedBit>,
}

/// What a point depends on.
pub(super) enum Condition {
    /// A number beside it.
    Guard(Guard),
    /// Bits in tables of their own.
    Bits(Vec<MappedBit>),
}

/// Reads where each point of a device of `class` lies.
pub(super) fn read_points(
    node: &Node<'_>,
    class: DeviceClass,
    notes: &mut Notes,
) -> Option<Vec<(PointKind, Found)>> {
    let errors = notes.errors();
    let may_have = class.points().iter().chain(class.more_points().iter());
    let names: Vec<&str> = may_have.clone().map(PointKind::name).collect();
    let mut points = Vec::new();
    for entry in node.map(notes)? {
        let Some(kind) = may_have.clone().find(|kind| kind.name() == entry.name) else {
            let help = suggestion(&entry.name, &names);
            entry
                .key
                .error(notes, format!("a {} has no point `{}`; {help}", class.name(), excerpt(&entry.name)));
            continue;
        };
        if let Some(point) = read_point(&entry.value, kind, notes) {
            points.push((kind, point));
        }
    }
    let is_missing = |kind: &PointKind| !points.iter().any(|point| point.0 == *kind);
    let missing: Vec<&str> = class.points().iter().filter(is_missing).map(PointKind::name).collect();
    if notes.errors() == errors && !missing.is_empty() {
        let list = missing.join("`, `");
        node.error(notes, format!("a {} needs all of its points; missing: `{list}`", class.name()));
        return None;
    }
    Some(points)
}

/// Reads `Holding(address: 100, number: I32, scale: "1 W", scale_factor: 110)`, or `Input(…)`; which point of the image it is is
/// not known here.
fn read_point(node: &Node<'_>, kind: PointKind, notes: &mut Notes) -> Option<Found> {
    if let Some(table) = bits::table(node.name()) {
        return bits::read_point(node, table, kind, notes);
    }
    let Some(table) = table(node.name()) else {
        unknown(node, "table", &["Holding", "Input", "Coil", "Discrete"], &[], notes);
        return None;
    };
    let mut fields = node.fields(notes)?;
    let address = register(&mut fields, notes);
    let layout = read_layout(&mut fields, kind.dimension(), notes);
    let factor = fields.optional("scale_factor").map(|node| register_at(&node, notes));
    let name = if kind == PointKind::SetPoint { "in_force" } else { "valid_if" };
    let condition = fields.optional(name).map(|node| read_condition(&node, kind, notes));
    fields.finish(notes);
    let (address, layout) = (address?, layout?);
    let (guard, bits) = match condition {
        Some(read) => match read? {
            Condition::Guard(guard) => (Some(guard), Vec::new()),
            Condition::Bits(bits) => (None, bits),
        },
        None => (None, Vec::new()),
    };
    let factor = match factor {
        Some(read) => Some(read?),
        None => None,
    };
    let point = PointIndex(0);
    Some(Found { point: MappedPoint { point, table, address, layout, factor, guard, model: None }, bits })
}

/// The table of registers of this name.
pub(super) fn table(name: &str) -> Option<Table> {
    match name {
        "Holding" => Some(Table::HoldingRegisters),
        "Input" => Some(Table::InputRegisters),
        _ => None,
    }
}

/// Reads what a point in registers depends on: a number beside it, or bits.
fn read_condition(node: &Node<'_>, kind: PointKind, notes: &mut Notes) -> Option<Condition> {
    let is_number = node.name().is_empty() && node.try_items().is_none();
    if is_number {
        read_guard(node, kind, notes).map(Condition::Guard)
    } else {
        bits::read_conditions(node, kind, notes)
    }
}

/// Reads `(address: 210, number: Bits(first: 3), is: 1)`, and of a set-point also what it is where that does not hold.
fn read_guard(node: &Node<'_>, kind: PointKind, notes: &mut Notes) -> Option<Guard> {
    let mut fields = node.fields(notes)?;
    let address = register(&mut fields, notes);
    let layout = read_bare(&mut fields, notes);
    let is: Option<f64> = fields.leaf("is", notes);
    let otherwise = if kind == PointKind::SetPoint {
        Otherwise::Value(fields.leaf_or("otherwise", Watts::ZERO, notes).watts())
    } else {
        Otherwise::Unknown
    };
    let has_room = layout.zip(is).is_none_or(|(layout, is)| layout.registers(is).is_ok());
    if !has_room {
        fields.place("is").error(notes, "must be a number that the registers can hold");
    }
    fields.finish(notes);
    Some(Guard { address: address?, layout: layout?, is: is?, otherwise })
}

pub(super) fn register(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<u16> {
    let node = fields.required("address", notes)?;
    register_at(&node, notes)
}

fn register_at(node: &Node<'_>, notes: &mut Notes) -> Option<u16> {
    let address: u64 = node.leaf(notes)?;
    let found = u16::try_from(address).ok();
    if found.is_none() {
        let allowed = "must be a register's address on the wire, from 0 to 65535; 40001 in a manual is often holding register 0";
        node.error(notes, format!("{allowed}; got {address}"));
    }
    found
}

/// Reads `number`, `scale`, `offset`, `order` and `unknown`; a share's scale is one too, else a power.
pub(super) fn read_layout(
    fields: &mut Fields<'_>,
    dimension: Dimension,
    notes: &mut Notes,
) -> Option<Layout> {
    let unit = match dimension {
        // The number itself is meant.
        Dimension::Number => return read_bare(fields, notes),
        Dimension::Power => "\"1 W\"",
        Dimension::ReactivePower => "\"1 var\"",
        Dimension::Share => "\"0.1 %\"",
        Dimension::Voltage => "\"0.001 pu\"",
        Dimension::Frequency => "\"0.01 Hz\"",
    };
    let number = fields.required("number", notes).and_then(|node| read_number(&node, notes));
    let quantity = |node: &Node<'_>, notes: &mut Notes| -> Option<f64> {
        match dimension {
            Dimension::Power => node.leaf::<Watts>(notes).map(Watts::watts),
            Dimension::ReactivePower => node.leaf::<Vars>(notes).map(Vars::vars),
            Dimension::Share => node.leaf::<Ratio>(notes).map(Ratio::ratio),
            Dimension::Voltage => node.leaf::<PerUnit>(notes).map(PerUnit::per_unit),
            Dimension::Frequency => node.leaf::<Hertz>(notes).map(Hertz::hertz),
            Dimension::Number => node.leaf(notes),
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
pub(super) fn read_bare(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Layout> {
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
    if node.name() == "Bits" {
        return read_bits(node, notes);
    }
    let names = ["U16", "I16", "U32", "I32", "U64", "I64", "F32"];
    word(node, &names, notes).map(|place| [U16, I16, U32, I32, U64, I64, F32][place])
}

/// Reads `Bits(first: 4, count: 3)`, some bits of one register.
fn read_bits(node: &Node<'_>, notes: &mut Notes) -> Option<NumberType> {
    let mut fields = node.fields(notes)?;
    let first: Option<u64> = fields.leaf("first", notes);
    let count = fields.leaf_or("count", 1_u64, notes);
    let is_there = first.is_none_or(|first| first < 16 && count >= 1 && count <= 16 - first);
    if !is_there {
        node.error(
            notes,
            "a register has bits 0, the lowest, to 15; `count` of them from `first` on must be there",
        );
    }
    fields.finish(notes);
    let first = first.filter(|_| is_there)?;
    Some(NumberType::Bits { first: first as u8, count: count as u8 })
}

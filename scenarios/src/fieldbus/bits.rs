//! Tables of bits: points that are one, such as a limit that is all or nothing or a relay of a receiver, and bits on which
//! points depend.
//!
//! ```text
//! "charge_limit": Discrete(address: 12, on: "250 kW"),
//! "signal": Discrete(address: 3, on: "60 %", off: "100 %"),
//! "p": Input(…, valid_if: [Discrete(address: 0, is: 1), Discrete(address: 1, is: 0)]),
//! "set_point": Holding(…, in_force: Coil(address: 3, is: 1)),
//! ```

use r_ems_engine::fieldbus::map::{Guard, MappedBit, MappedPoint, Otherwise};
use r_ems_engine::fieldbus::pdu::Table;
use r_ems_engine::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use r_ems_engine::ids::PointIndex;
use r_ems_engine::points::PointKind;
use r_ems_engine::points::device::Dimension;
use r_ems_engine::units::{Ratio, Watts};

use super::registers::{Condition, Found, register};
use crate::mistake::{Notes, suggestion};
use crate::node::{Fields, Node, excerpt};

/// Most bits on which one point depends.
const CONDITIONS_MAX: usize = 4;
/// What only a number has, which a bit is none of.
const OF_NUMBERS: [&str; 6] = ["number", "scale", "scale_factor", "offset", "order", "unknown"];

/// A bit as it lies in its table.
pub(super) const BIT: Layout = Layout {
    number: NumberType::BIT,
    order: WordOrder::HighFirst,
    scale: 1.0,
    offset: 0.0,
    unknown: Unknown::Never,
};

/// The table of bits of this name.
pub(super) fn table(name: &str) -> Option<Table> {
    match name {
        "Coil" => Some(Table::Coils),
        "Discrete" => Some(Table::DiscreteInputs),
        _ => None,
    }
}

/// Notes what stands at a bit that only a number has.
pub(super) fn refuse_numbers(fields: &mut Fields<'_>, notes: &mut Notes) {
    for name in OF_NUMBERS {
        if let Some(node) = fields.optional(name) {
            node.error(notes, format!("a bit has no `{name}`: it is 0 or 1"));
        }
    }
}

/// Reads `Discrete(address: 12, on: "250 kW")`: a limit that is all or nothing.
pub(super) fn read_point(node: &Node<'_>, table: Table, kind: PointKind, notes: &mut Notes) -> Option<Found> {
    match kind {
        PointKind::ChargeLimit
        | PointKind::DischargeLimit
        | PointKind::Signal
        | PointKind::SetPoint
        | PointKind::Closed
        | PointKind::Mode
        | PointKind::Remote => {}
        PointKind::Power
        | PointKind::StateOfCharge
        | PointKind::State
        | PointKind::ReactivePower
        | PointKind::ReactiveSetPoint
        | PointKind::Voltage
        | PointKind::Frequency => {
            let message = format!(
                "`{}` is a quantity and lies in registers, Holding(…) or Input(…), got {}(…); one bit can be `charge_limit`, \
                 `discharge_limit`, `signal`, `closed`, `mode`, `remote`, the `set_point` of a switch, or what a point \
                 depends on",
                kind.name(),
                node.name()
            );
            node.error(notes, message);
            return None;
        }
    }
    let mut fields = node.fields(notes)?;
    refuse_numbers(&mut fields, notes);
    let address = register(&mut fields, notes);
    let (on, off) = match kind.dimension() {
        // A relay that is open says nothing by itself: what that means is written down.
        Dimension::Share => {
            let on: Option<Ratio> = fields.leaf("on", notes);
            let off: Option<Ratio> = fields.leaf("off", notes);
            (on.map(Ratio::ratio), off?.ratio())
        }
        // Which two modes a contact tells apart is written down too.
        Dimension::Number if kind == PointKind::Mode => {
            (fields.leaf("on", notes), fields.leaf("off", notes)?)
        }
        // A contact that is made closes the breaker, unless it is said to be the other way round.
        Dimension::Number => (Some(fields.leaf_or("on", 1.0, notes)), fields.leaf_or("off", 0.0, notes)),
        Dimension::Power | Dimension::ReactivePower | Dimension::Voltage | Dimension::Frequency => {
            let on: Option<Watts> = fields.leaf("on", notes);
            (on.map(Watts::watts), fields.leaf_or("off", Watts::ZERO, notes).watts())
        }
    };
    let differs = |on: f64| (on - off).abs() > 0.0;
    if on.is_some_and(|on| !differs(on)) {
        fields.place("on").error(notes, "must be another than `off`: what the point is while the bit is 1");
    }
    for (name, value) in [("on", on), ("off", Some(off))] {
        if let Some(value) =
            value.filter(|value| kind.dimension() == Dimension::Number && !kind.can_be(*value))
        {
            fields.place(name).error(notes, format!("is no `{}`: {value}", kind.name()));
        }
    }
    let guard = match fields.optional("valid_if") {
        Some(node) => Some(read_beside(&node, table, notes)?),
        None => None,
    };
    fields.finish(notes);
    let (address, on) = (address?, on.filter(|on| differs(*on))?);
    let layout = Layout { scale: on - off, offset: off, ..BIT };
    let point = PointIndex(0);
    let point = MappedPoint { point, table, address, layout, factor: None, guard, model: None };
    Some(Found { point, bits: Vec::new() })
}

/// Reads a bit on which a point depends that is one itself: of the same table, so that one request reads both.
fn read_beside(node: &Node<'_>, table: Table, notes: &mut Notes) -> Option<Guard> {
    if self::table(node.name()) != Some(table) {
        let name = if table == Table::Coils { "Coil" } else { "Discrete" };
        let found = excerpt(node.text());
        let message =
            format!("a bit depends on another in its own table, {name}(address: …, is: …), got {found}");
        node.error(notes, message);
        return None;
    }
    let (address, is) = read_bit(node, false, notes)?.0;
    Some(Guard { address, layout: BIT, is: if is { 1.0 } else { 0.0 }, otherwise: Otherwise::Unknown })
}

/// Reads `Discrete(address: 0, is: 1)`, or several in a list, on which a point in registers depends.
pub(super) fn read_conditions(node: &Node<'_>, kind: PointKind, notes: &mut Notes) -> Option<Condition> {
    let listed = if node.try_items().is_some() { node.items(notes)? } else { vec![node.clone()] };
    if !(1..=CONDITIONS_MAX).contains(&listed.len()) {
        let found = listed.len();
        node.error(notes, format!("a point depends on 1 to {CONDITIONS_MAX} bits, got {found}"));
        return None;
    }
    let mut bits = Vec::new();
    for node in listed {
        let Some(table) = table(node.name()) else {
            let found = excerpt(if node.name().is_empty() { node.text() } else { node.name() });
            let names = suggestion(&found, &["Coil", "Discrete"]);
            node.error(
                notes,
                format!("expected a bit of a table, Discrete(address: 0, is: 1), got `{found}`; {names}"),
            );
            return None;
        };
        let is_set_point = kind == PointKind::SetPoint;
        let ((address, is), otherwise) = read_bit(&node, is_set_point, notes)?;
        let otherwise = if is_set_point { Otherwise::Value(otherwise.watts()) } else { Otherwise::Unknown };
        bits.push(MappedBit { point: PointIndex(0), table, address, is, otherwise });
    }
    Some(Condition::Bits(bits))
}

/// Reads which bit it is, what it must be, and what is where it is not.
fn read_bit(node: &Node<'_>, has_otherwise: bool, notes: &mut Notes) -> Option<((u16, bool), Watts)> {
    let mut fields = node.fields(notes)?;
    refuse_numbers(&mut fields, notes);
    let address = register(&mut fields, notes);
    let is: Option<u64> = fields.leaf("is", notes);
    if is.is_some_and(|is| is > 1) {
        fields.place("is").error(notes, "must be 0 or 1: it is a bit");
    }
    let otherwise = if has_otherwise { fields.leaf_or("otherwise", Watts::ZERO, notes) } else { Watts::ZERO };
    fields.finish(notes);
    Some(((address?, is.filter(|is| *is <= 1)? == 1), otherwise))
}

//! Reads points of a device one by one.

use r_ems_engine::LocalTime;
use r_ems_engine::fieldbus::map::{BitsSeen, MappedPoint};
use r_ems_engine::fieldbus::pdu::{Registers, Request};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::machine::Validity;
use r_ems_engine::points::PointKind;

use super::plausible::Doubt;
use super::session::{Exchange, Reply, Session};
use super::target::Target;

/// Reads registers of a unit.
pub(super) fn read(session: &mut Session, unit: u8, piece: Piece) -> Exchange {
    let Piece { table, address, count } = piece;
    session.ask(unit, &Request::Read { table, address, count })
}

/// Reads what is in force of one kind of point of a device; none if that cannot be used.
///
/// # Units    W and positive into the bus, or a share
pub(super) fn read_point(
    session: &mut Session,
    target: &Target<'_>,
    kind: PointKind,
) -> Option<(f64, LocalTime)> {
    let point = target.point(kind)?;
    let Exchange { outcome, at, .. } = read(session, target.unit(), point.piece());
    let Ok(Reply::Registers(bytes)) = outcome else { return None };
    let instead = instead(session, target, point);
    match instead.unwrap_or(point.value(Registers::new(&bytes)?)) {
        (Validity::Invalid, _) => None,
        (Validity::Valid, value) if !target.measured(kind).can_be(value) => None,
        (Validity::Valid | Validity::NotInForce, value) => Some((value * target.factor(kind), at)),
    }
}

/// What a point is because of the bits that it depends on; `None`: what its registers say.
fn instead(session: &mut Session, target: &Target<'_>, point: &MappedPoint) -> Option<(Validity, f64)> {
    let mut seen = BitsSeen::default();
    for (place, bit) in target.map.bits().iter().enumerate().filter(|(_, bit)| bit.point == point.point) {
        if let Ok(Reply::Registers(bytes)) = read(session, target.unit(), bit.piece()).outcome
            && let Some(registers) = Registers::new(&bytes)
        {
            seen.see(place, bit.is_right(registers));
        }
    }
    target.map.instead(point, seen)
}

/// Reads what the registers hold, in force or not, with what is doubtful about it.
pub(super) fn read_doubted(
    session: &mut Session,
    target: &Target<'_>,
    kind: PointKind,
) -> Option<(f64, Option<Doubt>)> {
    let point = target.point(kind)?;
    let Ok(Reply::Registers(bytes)) = read(session, target.unit(), point.piece()).outcome else {
        return None;
    };
    let piece = Registers::new(&bytes)?;
    let (layout, registers) = (point.layout_in(piece)?, point.own_of(piece));
    let scaled = MappedPoint { layout, factor: None, ..*point };
    Some((layout.value(registers)? * target.factor(kind), target.measured(kind).doubt(&scaled, registers)))
}

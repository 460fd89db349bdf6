//! Who a device says it is: function 43/14, and the map of SunSpec.
//!
//! Sources: MODBUS Application Protocol Specification V1.1b3, 6.21; SunSpec Device Information Model Specification 1.1, where
//! a map begins with the marker `SunS` at holding register 40000, 0 or 50000, and ends with a model 0xffff.

use r_ems_engine::fieldbus::pdu::{Registers, Request, Table};

use super::look::told;
use super::report::{Identity, Model, SunSpec};
use super::session::{Reply, Session};

/// The basic category, and its objects.
const BASIC: u8 = 1;
const VENDOR: u8 = 0;
const PRODUCT: u8 = 1;
const REVISION: u8 = 2;
/// A device that goes on with its objects is asked so often.
const PARTS_MAX: usize = 4;
/// Most characters of a text that are kept.
const TEXT_MAX: usize = 64;

/// Where a map of SunSpec may begin.
const BEGINNINGS: [u16; 3] = [40_000, 0, 50_000];
/// What is found there: `SunS`.
const MARKER: [u8; 4] = *b"SunS";
/// The model that ends a map.
const END: u16 = 0xffff;
/// Most models that are walked.
const MODELS_MAX: usize = 64;

/// Asks who the device is.
pub(super) fn identity(session: &mut Session, unit: u8) -> Identity {
    let mut found = Identity::default();
    let mut object = 0;
    for _part in 0..PARTS_MAX {
        match session.ask(unit, &Request::Identify { detail: BASIC, object }).outcome {
            Ok(Reply::Identity { more, objects }) => {
                take(&objects, &mut found);
                match more {
                    Some(next) if next > object => object = next,
                    Some(_) | None => return found,
                }
            }
            Ok(Reply::Registers(_) | Reply::Written) => return found,
            Err(fault) => {
                found.refused = Some(told(&fault));
                return found;
            }
        }
    }
    found
}

fn take(objects: &[u8], found: &mut Identity) {
    let mut rest = objects;
    while let [number, length, behind @ ..] = rest {
        let Some((bytes, behind)) = behind.split_at_checked(usize::from(*length)) else { return };
        let place = match *number {
            VENDOR => &mut found.vendor,
            PRODUCT => &mut found.product,
            REVISION => &mut found.revision,
            _ => &mut None,
        };
        *place = Some(plain(bytes));
        rest = behind;
    }
}

/// A text of a device, which may hold anything and goes to a terminal.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let text: String = letters.take(TEXT_MAX).collect();
    text.trim().to_owned()
}

/// Looks for the marker of SunSpec, and walks the models behind it.
pub(super) fn sunspec(session: &mut Session, unit: u8) -> Option<SunSpec> {
    let address = BEGINNINGS
        .into_iter()
        .find(|address| read(session, unit, *address).is_some_and(|found| found == MARKER))?;
    let mut found = SunSpec { address, models: Vec::new(), is_whole: false, settings: Vec::new() };
    let mut next = address.checked_add(2);
    while let Some(place) = next.filter(|_place| found.models.len() < MODELS_MAX) {
        let Some(head) = read(session, unit, place) else { return Some(found) };
        let (id, length) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
        if id == END {
            found.is_whole = true;
            return Some(found);
        }
        found.models.push(Model { id, length, address: place });
        next = place.checked_add(2).and_then(|body| body.checked_add(length));
    }
    Some(found)
}

/// Two holding registers.
fn read(session: &mut Session, unit: u8, address: u16) -> Option<[u8; 4]> {
    let request = Request::Read { table: Table::HoldingRegisters, address, count: 2 };
    match session.ask(unit, &request).outcome {
        Ok(Reply::Registers(bytes)) => Registers::new(&bytes)?.bytes().try_into().ok(),
        Ok(Reply::Written | Reply::Identity { .. }) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_taken_whatever_they_hold() {
        let mut found = Identity::default();
        take(b"\x00\x04Acme\x01\x05A\x1b[2J\x02\x02\xff\x00\x09\x01x", &mut found);
        assert_eq!(found.vendor.as_deref(), Some("Acme"));
        assert_eq!(found.product.as_deref(), Some("A [2J"), "nothing commands a terminal");
        assert_eq!(found.revision.as_deref(), Some("\u{fffd}"));
        take(b"\x00\xffshort", &mut found);
        assert_eq!(found.vendor.as_deref(), Some("Acme"), "what is cut off is left out");
        assert_eq!(plain(&[b'x'; 1_000]).len(), TEXT_MAX);
    }
}

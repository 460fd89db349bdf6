//! What is set at a device in models of SunSpec that its controllers do not use, and where it works against them.
//!
//! A device that holds the voltage or the frequency by a curve of its own, and a law of the site that does the same: each undoes
//! what the other does, or both do it twice.

use r_ems_engine::fieldbus::pdu::{Registers, Table};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::sunspec::settings::{self, registers};
use r_ems_scenarios::Severity;

use super::look::told;
use super::reading::read;
use super::report::{Model, ModelSeen, Numbers};
use super::session::{Reply, Session};
use super::target::{Noted, Target};

/// Reads what is set in the models that a device has, and notes what works against the site.
pub(super) fn look(
    target: &Target<'_>,
    session: &mut Session,
    models: &[Model],
) -> (Vec<ModelSeen>, Vec<Noted>) {
    let (mut seen, mut notes) = (Vec::new(), Vec::new());
    for model in models {
        let Some(count) = registers(model.id, model.length) else { continue };
        let (found, refused) = match whole(target, session, (model.address, count)) {
            Ok(bytes) => (Registers::new(&bytes).and_then(settings::settings), None),
            Err(refused) => (None, Some(refused)),
        };
        notes.extend(found.as_ref().and_then(|found| rival(target, found)));
        let (of, is_on) = found.as_ref().map_or(("", None), |found| (found.of, found.is_on));
        let numbers = found.into_iter().flat_map(|found| found.numbers).map(|numbers| {
            let settings::Numbers { name, unit, values, bits } = numbers;
            Numbers { name, unit, values, bits }
        });
        seen.push(ModelSeen { model: model.id, of, is_on, numbers: numbers.collect(), refused });
    }
    (seen, notes)
}

/// Registers from an address on, as many at a time as the device lets be read; or why not.
fn whole(target: &Target<'_>, session: &mut Session, (first, count): (u16, u16)) -> Result<Vec<u8>, String> {
    let (mut bytes, mut address, mut rest) = (Vec::new(), first, count);
    while rest > 0 {
        let count = rest.min(target.map.limits().most());
        let piece = Piece { table: Table::HoldingRegisters, address, count };
        match read(session, target.unit(), piece).outcome {
            Ok(Reply::Registers(more)) => bytes.extend(more),
            Ok(Reply::Written | Reply::Identity { .. }) => return Err("another answer".to_owned()),
            Err(fault) => return Err(told(&fault)),
        }
        // A model that leads out of the table is refused before it gets there.
        address = address.wrapping_add(count);
        rest -= count;
    }
    Ok(bytes)
}

/// A law of the site that does what the device does by itself.
fn rival(target: &Target<'_>, found: &settings::Settings) -> Option<Noted> {
    let law = found.rival.filter(|law| found.is_on == Some(true) && target.laws.contains(law))?;
    let settings::Settings { model, of, .. } = found;
    let note = target.note(&["link"], Severity::Warning, format!("its own {of} is on, model {model}"));
    let likely = format!("it works against {law}(…) of the site: one of both should be off");
    Some(note.expected("a device that leaves that to the site").likely(likely))
}

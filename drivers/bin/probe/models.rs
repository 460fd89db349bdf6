//! Asks a device that says itself where its numbers lie, as its controllers will.

use r_ems_engine::fieldbus::master::Fault;
use r_ems_engine::fieldbus::refusal::AnswerFlaw;
use r_ems_engine::fieldbus::sunspec::{Missing, is_missing};
use r_ems_scenarios::Severity;

use super::reading::read;
use super::session::{Reply, Session};
use super::target::{Noted, Target};
use crate::study::progress::Interrupt;

/// Learns the map of a device; says what it has not. One that does not answer is looked at as any other is.
pub(super) fn learn(target: &mut Target<'_>, session: &mut Session, interrupt: &Interrupt) -> Option<Noted> {
    let unit = target.unit();
    let found = target.map.search(|piece| {
        if interrupt.is_asked() {
            return Err(Unanswered);
        }
        match read(session, unit, piece).outcome {
            Ok(Reply::Registers(bytes)) => Ok(Some(bytes)),
            Err(Fault::Answer(AnswerFlaw::Exception(exception))) if is_missing(exception) => Ok(None),
            Ok(Reply::Written | Reply::Identity { .. }) | Err(_) => Err(Unanswered),
        }
    });
    found.ok()?.err().map(|missing| told(target, missing))
}

/// A search was not brought to its end.
struct Unanswered;

fn told(target: &Target<'_>, missing: Missing) -> Noted {
    let class = target.spec.class.name();
    let expected = format!("the models by which a {class} is known and controlled");
    let is_other = missing == Missing::Marker;
    let likely = is_other
        .then(|| "a device without SunSpec has `points` and `writes` in place of `sunspec`".to_owned());
    target.note(&["link", "sunspec"], Severity::Error, missing.to_string()).expected(expected).likely(likely)
}

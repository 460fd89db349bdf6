//! Asks a device that says itself where its numbers lie, as its controllers will.

use r_ems_engine::fieldbus::master::Fault;
use r_ems_engine::fieldbus::pdu::Registers;
use r_ems_engine::fieldbus::refusal::AnswerFlaw;
use r_ems_engine::fieldbus::sunspec::{Missing, Progress, Search, is_missing};
use r_ems_scenarios::Severity;

use super::reading::read;
use super::session::{Reply, Session};
use super::target::{Noted, Target};
use crate::study::progress::Interrupt;

/// Learns the map of a device; says what it has not. One that does not answer is looked at as any other is.
pub(super) fn learn(target: &mut Target<'_>, session: &mut Session, interrupt: &Interrupt) -> Option<Noted> {
    let by = target.map.models()?.clone();
    let (unit, limits) = (target.unit(), target.map.limits());
    let mut search = Search::default();
    let missing = loop {
        if interrupt.is_asked() {
            return None;
        }
        let outcome = read(session, unit, search.next(&by, limits)).outcome;
        let progress = match &outcome {
            Ok(Reply::Registers(bytes)) => search.take(&by, Registers::new(bytes)),
            Err(Fault::Answer(AnswerFlaw::Exception(exception))) if is_missing(*exception) => {
                search.take(&by, None)
            }
            Ok(Reply::Written | Reply::Identity { .. }) | Err(_) => return None,
        };
        match progress {
            Progress::More => {}
            Progress::Fails(missing) => break missing,
            Progress::Done(_) => match target.map.learn(search.models()) {
                Ok(()) => return None,
                Err(missing) => break missing,
            },
        }
    };
    Some(told(target, missing))
}

fn told(target: &Target<'_>, missing: Missing) -> Noted {
    let class = target.spec.class.name();
    let expected = format!("the models by which a {class} is known and controlled");
    let is_other = missing == Missing::Marker;
    let likely = is_other
        .then(|| "a device without SunSpec has `points` and `writes` in place of `sunspec`".to_owned());
    target.note(&["link", "sunspec"], Severity::Error, missing.to_string()).expected(expected).likely(likely)
}

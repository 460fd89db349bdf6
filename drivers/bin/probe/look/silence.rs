//! What is noted of a device that does not answer, and where one is looked for in its place.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::master::Fault;
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::AnswerFlaw;
use r_ems_scenarios::Severity;

use super::{Look, TRIES, is_answer, read, told};
use crate::probe::target::Noted;
use crate::ways;

/// Other units are tried for so long.
const OTHERS_WITHIN: Span = Span::from_secs(5);

impl Look<'_, '_> {
    /// What is noted of a device that does not answer.
    pub(super) fn silence(&mut self, fault: &Fault, asked: Piece) -> Noted {
        let (address, unit) = (self.target.address(), self.target.unit());
        let (field, server) = if self.target.is_on_line() {
            ("serial", format!("a device that answers as unit {unit} on the line of {address}"))
        } else {
            ("address", format!("a Modbus TCP server at {address} that answers for unit {unit}"))
        };
        match fault {
            Fault::Answer(AnswerFlaw::Exception(exception)) => {
                let found =
                    format!("exception {:#04x} ({exception}) of a gateway for unit {unit}", exception.0);
                let other = self.other_unit(asked);
                self.target
                    .note(&["link", "unit"], Severity::Error, found)
                    .expected("a unit that the gateway reaches")
                    .likely(other)
            }
            Fault::Unit(other) => {
                let found = format!("answers from unit {other}");
                self.target
                    .note(&["link", "unit"], Severity::Error, found)
                    .expected(format!("answers from unit {unit}"))
            }
            Fault::NotConnected => {
                let (found, likely) = self.no_connection();
                self.target.note(&["link", field], Severity::Error, found).expected(server).likely(likely)
            }
            // No gateway says there that it knows no such unit.
            Fault::TimedOut if self.target.is_on_line() => {
                let found = format!("no answer within {TRIES} time-outs");
                let other = self.other_unit(asked);
                let place = if other.is_some() { "unit" } else { field };
                let likely = other.unwrap_or_else(|| {
                    "the unit, the rate, the parity or the stop bits are others, or the wires are swapped"
                        .into()
                });
                self.target.note(&["link", place], Severity::Error, found).expected(server).likely(likely)
            }
            Fault::TimedOut => {
                let found = format!("a connection, and no answer within {TRIES} time-outs");
                let likely =
                    "the address or the unit is of something else, or the device is busy with another client"
                        .to_owned();
                self.target.note(&["link", field], Severity::Error, found).expected(server).likely(likely)
            }
            Fault::Disconnected
            | Fault::LeftAlone
            | Fault::Expired
            | Fault::Frame(_)
            | Fault::Answer(
                AnswerFlaw::Function(_) | AnswerFlaw::Length { .. } | AnswerFlaw::Echo | AnswerFlaw::Content,
            ) => self.target.note(&["link", field], Severity::Error, told(fault)).expected(server),
        }
    }

    /// That there is no connection; of a port also why, and what to do about that.
    fn no_connection(&self) -> (String, Option<String>) {
        match ways::refused(self.target.way) {
            Some((error, remedy)) => (format!("the port cannot be opened: {error}"), Some(remedy.to_owned())),
            None => ("no connection".to_owned(), None),
        }
    }

    /// Which other unit answers.
    fn other_unit(&mut self, asked: Piece) -> Option<String> {
        let until = self.session.now() + OTHERS_WITHIN;
        for unit in self.target.other_units() {
            if self.session.now() >= until {
                return None;
            }
            if is_answer(&read(self.session, unit, asked).outcome) {
                return Some(format!("unit {unit} answers there"));
            }
        }
        None
    }
}

//! The texts by which the site file says who a device must be, and who answers.

use r_ems_engine::fieldbus::map::Text;
use r_ems_engine::fieldbus::pdu::Registers;
use r_ems_scenarios::Severity;

use super::{Look, told};
use crate::probe::report::TextSeen;
use crate::probe::session::Reply;
use crate::probe::target::table;

impl Look<'_, '_> {
    /// Reads who answers, and notes where it is another.
    pub(super) fn read_texts(&mut self) {
        for text in self.target.map.identity() {
            let outcome = self.read(text.piece()).outcome;
            let (registers, refused) = match &outcome {
                Ok(Reply::Registers(bytes)) => (Registers::new(bytes), None),
                Ok(Reply::Written | Reply::Identity { .. }) => (None, None),
                Err(fault) => (None, Some(told(fault))),
            };
            if let Some(differs) = text.differs(registers) {
                let found = match (&refused, differs.found) {
                    (Some(refused), _) => format!("{refused} for its {}", text.who.name()),
                    (None, Some(found)) => format!("\"{found}\""),
                    (None, None) => "no registers".to_owned(),
                };
                let note = self.target.note(&["link", "identity", text.who.name()], Severity::Error, found);
                let likely = "another device at this address; its controllers write nothing to it".to_owned();
                self.notes.push(note.expected(format!("\"{}\"", text.is)).likely(likely));
            }
            self.device.texts.push(TextSeen {
                text: text.who.name(),
                table: table(text.table),
                address: text.address,
                reads: registers.map(|read| Text::of(read.bytes()).to_string()),
                is: text.is.to_string(),
                refused,
            });
        }
    }
}

//! The texts of a scenario and its site, read and put together before anything in them is.

use super::read_document;
use crate::alike;
use crate::files::{Document, Files, resolved};
use crate::include;
use crate::mistake::Notes;
use crate::node::Node;
use crate::overrides::{self, Overrides, Setting, Settings, Stated};

/// The texts of a scenario and its site, with what the command line sets in them.
pub(crate) struct Texts {
    pub(super) scenario: Document,
    /// None if the site stands in the scenario, or cannot be read.
    pub(super) site: Option<Document>,
    /// What the command line sets, as a field `set` would.
    pub(super) typed: Vec<Stated>,
}

impl Texts {
    /// Reads both files.
    pub(crate) fn read(
        files: &dyn Files,
        path: &str,
        changes: &Overrides,
        notes: &mut Notes,
    ) -> Option<Self> {
        let merged = include::merged(files, read_document(files, path, notes)?, notes)?;
        let merged = alike::expanded(merged, notes)?;
        let mut typed = Vec::new();
        let (scenario, for_site) = Settings::read(&merged, changes, notes).apply(&merged, &mut typed, notes);
        let site = Self::read_site(files, &scenario, (&for_site, &mut typed), notes);
        Some(Self { scenario, site, typed })
    }

    fn read_site(
        files: &dyn Files,
        scenario: &Document,
        (settings, typed): (&[Setting<'_>], &mut Vec<Stated>),
        notes: &mut Notes,
    ) -> Option<Document> {
        // A scenario that cannot be read is noted when it is.
        let root = Node::root(scenario, &mut Notes::default())?;
        let (name, raw) = root.try_fields()?.into_iter().find(|field| field.0 == "site")?;
        let node = root.child(raw, name);
        let path: String = node.parse().ok()?;
        let path = resolved(scenario.path(), &path);
        match Document::read(files, &path) {
            Ok(document) => Some(overrides::apply(alike::expanded(document, notes)?, settings, typed, notes)),
            Err(reason) => {
                node.error(notes, format!("cannot read \"{path}\": {reason}"));
                None
            }
        }
    }

    /// Both texts as they are.
    pub(super) fn documents(&self) -> (&Document, Option<&Document>) {
        (&self.scenario, self.site.as_ref())
    }

    /// Both texts, the scenario first.
    pub(super) fn into_documents(self) -> Vec<Document> {
        std::iter::once(self.scenario).chain(self.site).collect()
    }
}

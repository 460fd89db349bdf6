//! Origins: which file each part of a text comes from, where a text was put together from several.
//!
//! A scenario that uses others is read as one text, as if a person had written it. Mistakes in it are shown where that person
//! would mend them: in the file that the part comes from, or on the command line.

use std::sync::Arc;

use crate::files::Document;

/// Where the parts of a text come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    sources: Vec<Arc<Document>>,
    /// In the order of the text, without gaps.
    pieces: Vec<Piece>,
}

/// A part of a text that comes from one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// Where it begins in the text.
    begin: usize,
    source: usize,
    /// Where it comes from in its source.
    offset: usize,
    /// How many bytes of it are the source's own; what is beyond them stands for the place before.
    length: usize,
    /// The source and the place in it that took it over from there.
    user: Option<(usize, usize)>,
}

impl Origins {
    /// Of a text that is a file's own.
    pub(crate) fn whole(document: Document) -> Self {
        let piece = Piece { begin: 0, source: 0, offset: 0, length: document.text().len(), user: None };
        Self { sources: vec![Arc::new(document)], pieces: vec![piece] }
    }

    fn piece(&self, at: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.begin <= at);
        self.pieces.get(after.checked_sub(1)?)
    }

    /// The place of whoever took over the byte at `at` from where it stands; none if nobody did.
    pub(crate) fn user(&self, at: usize) -> Option<(&Document, usize)> {
        let (source, offset) = self.piece(at)?.user?;
        Some((&self.sources[source], offset))
    }

    /// The piece that begins at `begin` was taken over by the place at `offset` of `user`.
    pub(crate) fn is_used(&mut self, begin: usize, (user, offset): (Document, usize)) {
        let source = known_or_new(&mut self.sources, user);
        for piece in self.pieces.iter_mut().filter(|piece| piece.begin == begin) {
            piece.user = Some((source, offset));
        }
    }

    /// The place in its own file of the byte at `at`; none of an empty text.
    pub(crate) fn of(&self, at: usize) -> Option<(&Document, usize)> {
        let piece = self.piece(at)?;
        Some((&self.sources[piece.source], piece.offset + (at - piece.begin).min(piece.length)))
    }

    /// The same after the bytes from `begin` to `end` were replaced by `new` others, which come from `length` bytes of `source`
    /// from `offset` on.
    pub(crate) fn replaced(
        &self,
        (begin, end): (usize, usize),
        new: usize,
        (source, offset): (Document, usize),
        length: usize,
    ) -> Self {
        let mut sources = self.sources.clone();
        let source = known_or_new(&mut sources, source);
        let kept = self.pieces.iter().copied().filter(|piece| piece.begin < begin);
        let mut pieces: Vec<Piece> = kept.collect();
        pieces.push(Piece { begin, source, offset, length, user: None });
        let cut = self.pieces.iter().rev().find(|piece| piece.begin <= end);
        pieces.extend(cut.map(|piece| {
            let passed = (end - piece.begin).min(piece.length);
            let (offset, length) = (piece.offset + passed, piece.length - passed);
            Piece { begin: begin + new, offset, length, ..*piece }
        }));
        let later = self.pieces.iter().filter(|piece| piece.begin > end);
        pieces.extend(later.map(|piece| Piece { begin: piece.begin - end + begin + new, ..*piece }));
        Self { sources, pieces }
    }
}

/// The place of a source in the list, to which it is added if it is not there: many parts come from one file.
fn known_or_new(sources: &mut Vec<Arc<Document>>, source: Document) -> usize {
    let is_it = |known: &Arc<Document>| known.path() == source.path() && known.text() == source.text();
    sources.iter().position(is_it).unwrap_or_else(|| {
        sources.push(Arc::new(source));
        sources.len() - 1
    })
}

/// Puts a text together and keeps where its parts come from.
#[derive(Default)]
pub(crate) struct Patchwork {
    text: String,
    origins: Origins,
}

impl Patchwork {
    /// Adds a part of `document` as it stands there, from `offset` on.
    pub(crate) fn copy(&mut self, document: &Document, part: &str, offset: usize) {
        self.piece(document, offset, part.len());
        self.text.push_str(part);
    }

    /// Adds text of our own that stands for the place at `offset` of `document`.
    pub(crate) fn stand_in(&mut self, document: &Document, text: &str, offset: usize) {
        self.piece(document, offset, 0);
        self.text.push_str(text);
    }

    /// The text under the path of `document`.
    pub(crate) fn into_document(self, path: &str) -> Document {
        Document::new(path, self.text).with_origins(self.origins)
    }

    /// How long the text is so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn piece(&mut self, document: &Document, offset: usize, length: usize) {
        let sources = &mut self.origins.sources;
        let known = sources.iter().position(|source| source.path() == document.path());
        let source = known.unwrap_or_else(|| {
            sources.push(Arc::new(document.clone()));
            sources.len() - 1
        });
        self.origins.pieces.push(Piece { begin: self.text.len(), source, offset, length, user: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patchwork() -> Document {
        let (one, two) = (Document::new("one", "abcdef"), Document::new("two", "uvwxyz"));
        let mut text = Patchwork::default();
        text.copy(&one, "bcd", 1);
        text.stand_in(&one, "---", 5);
        text.copy(&two, "xyz", 3);
        text.into_document("three")
    }

    fn origin(document: &Document, at: usize) -> (String, usize) {
        let (source, offset) = document.origin(at);
        (source.path().to_string(), offset)
    }

    #[test]
    fn every_byte_knows_where_it_comes_from() {
        let text = patchwork();
        assert_eq!(text.text(), "bcd---xyz");
        for (at, from) in [
            (0, ("one", 1)),
            (2, ("one", 3)),
            (3, ("one", 5)),
            (5, ("one", 5)),
            (6, ("two", 3)),
            (8, ("two", 5)),
        ] {
            assert_eq!(origin(&text, at), (from.0.to_string(), from.1), "{at}");
        }
    }

    #[test]
    fn what_is_replaced_comes_from_elsewhere_and_the_rest_stays_where_it_was() {
        let text = patchwork().replaced((1, 7), "12", "--set a=1");
        assert_eq!(text.text(), "b12yz");
        for (at, from) in
            [(0, ("one", 1)), (1, ("--set a=1", 0)), (2, ("--set a=1", 1)), (3, ("two", 4)), (4, ("two", 5))]
        {
            assert_eq!(origin(&text, at), (from.0.to_string(), from.1), "{at}");
        }
    }

    #[test]
    fn what_a_file_sets_comes_from_where_it_says_so() {
        let file = Document::new("file", "set: { \"a.b\": 12 }");
        let text = patchwork().replaced_by((1, 7), "(b: 12)", (&file, 14), 2);
        assert_eq!(text.text(), "b(b: 12)yz");
        let places =
            [(0, ("one", 1)), (1, ("file", 14)), (3, ("file", 16)), (7, ("file", 16)), (8, ("two", 4))];
        for (at, from) in places {
            assert_eq!(origin(&text, at), (from.0.to_string(), from.1), "{at}");
        }
    }
}

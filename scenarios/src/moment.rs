//! Moments: instants that a scenario names, counted from the run's start or by the site's wall clock.

use r_ems_engine::wall::{UtcOffset, WallTime};
use r_ems_engine::{Span, Time};

use crate::mistake::Notes;
use crate::node::Node;

/// What instants are counted from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    pub(crate) start: WallTime,
    pub(crate) zone: UtcOffset,
    /// How long the run lasts by its file: nothing may be named that is later.
    pub(crate) duration: Span,
}

impl Calendar {
    /// Reads `"+10 min"` or `"2016-03-09 18:02:30"`.
    pub(crate) fn moment(&self, node: &Node<'_>, notes: &mut Notes) -> Option<Time> {
        let text: String = node.leaf(notes)?;
        let read = match text.trim().strip_prefix('+') {
            Some(span) => span.parse::<Span>().map(|span| Time::ZERO + span),
            None => WallTime::parse_local(&text, self.zone).map(|wall| Time::ZERO + wall.since(self.start)),
        };
        let is_before = !text.trim().starts_with('+')
            && WallTime::parse_local(&text, self.zone).is_ok_and(|wall| wall < self.start);
        match read {
            Err(error) => {
                let other = "; or a span after the start, such as \"+10 min\"";
                let other = if text.trim().starts_with('+') { "" } else { other };
                node.error(notes, format!("{error}{other}"));
                None
            }
            Ok(_) if is_before => {
                let start = self.start.local(self.zone);
                node.error(notes, format!("must not be before the run's start, {start}, got \"{text}\""));
                None
            }
            Ok(at) if at > Time::ZERO + self.duration => {
                let end = (self.start + self.duration).local(self.zone);
                node.error(notes, format!("must not be after the run's end, {end}, got \"{text}\""));
                None
            }
            Ok(at) => Some(at),
        }
    }
}

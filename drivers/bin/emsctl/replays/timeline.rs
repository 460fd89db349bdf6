//! What happened, on all hosts, in one time.

use std::collections::BTreeMap;

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::wall::WallTime;
use r_ems_replay::describe::Words;

use super::Reading;
use super::lineage::{Clocks, Follows, Lines, Link};
use super::segment::{Replayed, What};
use super::together::{Together, councils};

/// Something that happened.
pub(super) struct Told {
    /// In the common time.
    pub(super) at: WallTime,
    /// To whom, "grid/id".
    pub(super) controller: String,
    /// The kind of event, `command`, or `log_ends`.
    pub(super) kind: &'static str,
    /// `info`, `warning` or `alarm`.
    pub(super) severity: String,
    /// In words.
    pub(super) text: String,
}

/// Where something stands that happened: it is put into words when it is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: WallTime,
    segment: usize,
    /// Which of the segment; the last one is its end.
    which: usize,
}

/// All that happened, in order.
pub(super) struct Timeline<'a> {
    reading: &'a Reading,
    places: Vec<Place>,
    /// When the first log begins.
    pub(super) begin: Option<WallTime>,
    /// By grid: its controllers by seat, if all are known.
    councils: BTreeMap<&'a str, Vec<ControllerNames>>,
}

impl<'a> Timeline<'a> {
    /// Puts what happened in order.
    pub(super) fn of(reading: &'a Reading, lines: &Lines, clocks: &Clocks, together: &Together) -> Self {
        let mut places = Vec::new();
        let mut begin: Option<WallTime> = None;
        let mut goes_on = vec![false; reading.segments.len()];
        for line in &lines.lines {
            self::goes_on(&line.links).for_each(|segment| goes_on[segment] = true);
        }
        for (segment, own) in reading.segments.iter().enumerate() {
            let (Some(clock), Ok(replayed)) = (clocks.of[segment], &own.result) else { continue };
            let at = |at| together.at(Some(clock), replayed.shown(at));
            let begins = replayed.span.map(|(first, _)| at(first));
            begin = [begin, begins].into_iter().flatten().min();
            let happened = replayed.happened.iter().enumerate();
            places.extend(happened.map(|(which, happened)| Place { at: at(happened.at), segment, which }));
            let ends = replayed.span.filter(|_| replayed.is_torn() && !goes_on[segment]);
            places.extend(ends.map(|(_, last)| Place { at: at(last), segment, which: usize::MAX }));
        }
        places.sort_unstable();
        Self { reading, places, begin, councils: councils(reading) }
    }

    /// What happened between two instants, each in words when it is asked for.
    pub(super) fn between(&self, from: WallTime, to: WallTime) -> impl Iterator<Item = Told> {
        let first = self.places.partition_point(|place| place.at < from);
        let end = self.places.partition_point(|place| place.at <= to);
        self.places[first..end.max(first)].iter().filter_map(|place| self.told(*place))
    }

    fn told(&self, Place { at, segment, which }: Place) -> Option<Told> {
        let replayed = self.reading.segments[segment].result.as_ref().ok()?;
        let Some(happened) = replayed.happened.get(which) else { return Some(self.log_ends(at, replayed)) };
        let controller = happened.controller;
        let names = self.names(replayed, controller);
        let words = self.words(replayed, controller);
        let (kind, severity, text) = match &happened.what {
            What::Event(event) => (event.kind(), event.severity().to_string(), words.event(event)),
            What::Command(command) => {
                let text = format!("an operator asks: {}", words.command(*command));
                ("command", "info".to_owned(), text)
            }
        };
        Some(Told { at, controller: names.full(), kind, severity, text })
    }

    fn log_ends(&self, at: WallTime, replayed: &Replayed) -> Told {
        let names = self.reading.names[replayed.names].iter().map(ControllerNames::full);
        Told {
            at,
            controller: names.collect::<Vec<_>>().join(", "),
            kind: "log_ends",
            severity: "warning".to_owned(),
            text: "log_ends: what follows is not in it, as after a crash or where it was collected"
                .to_owned(),
        }
    }

    fn names(&self, replayed: &Replayed, controller: ControllerIndex) -> &ControllerNames {
        &self.reading.names[replayed.names][controller.position()]
    }

    /// The words for a controller, with the names of others where they are known.
    fn words(&self, replayed: &Replayed, controller: ControllerIndex) -> Words<'_> {
        let own = self.names(replayed, controller);
        let council = self.councils.get(own.grid.as_str()).map_or(&[][..], Vec::as_slice);
        match council.iter().position(|names| names == own) {
            Some(place) => Words::within(council, place),
            None => Words::within(&self.reading.names[replayed.names], controller.position()),
        }
    }
}

/// Those segments of a journal that another one goes on with.
fn goes_on(links: &[Link]) -> impl Iterator<Item = usize> {
    let mut before = None;
    links.iter().filter(|link| link.follows != Follows::Again).filter_map(move |link| {
        let goes_on = before.filter(|_| link.follows == Follows::GoesOn);
        before = Some(link.segment);
        goes_on
    })
}

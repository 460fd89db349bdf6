//! What archives and several logs came to, as JSON. The fields are stable; fields are added and never changed.

use r_ems_engine::log::ControllerNames;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_replay::{Compatibility, Divergence};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use super::Whole;
use super::lineage::{Follows, name};
use super::page::exact;
use super::segment::{Replayed, Role};
use super::timeline::Timeline;
use crate::archive::manifest::Manifest;
use crate::exit::{Exit, Failure};
use crate::output::Output;

#[derive(Serialize)]
struct Printed<'a> {
    ok: bool,
    archives: Vec<Archive<'a>>,
    logs: Vec<Log<'a>>,
    clocks: Vec<Clock<'a>>,
    letters: Vec<Letters<'a>>,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Events<'a>>,
    events_left_out: u64,
}

#[derive(Serialize)]
struct Archive<'a> {
    file: &'a str,
    ok: bool,
    errors: Vec<String>,
    manifest: Option<&'a Manifest>,
}

#[derive(Serialize)]
struct Log<'a> {
    /// The argument, and the path in it if that is an archive.
    file: &'a str,
    path: Option<&'a str>,
    controller: String,
    /// `segment`, `quarantined` or `log`.
    role: &'static str,
    number: Option<u64>,
    /// `same`, `torn`, `cut`, `diverged` or `unreadable`.
    verdict: &'static str,
    /// `first`, `goes_on`, `life`, `other_life`, `gap`, `missing`, `again` or `unknown`; of segments and copies only.
    follows: Option<&'static str>,
    /// So many numbers before it of which there is no segment. Nothing is missing where it goes on, or a life, all the same.
    missing: Option<u64>,
    error: Option<&'a str>,
    #[serde(flatten)]
    result: Option<Came<'a>>,
}

/// What a log came to.
#[derive(Serialize)]
struct Came<'a> {
    /// By its own clock.
    from: Option<String>,
    to: Option<String>,
    deliveries: u64,
    end: Option<&'static str>,
    poisoned: Option<String>,
    compatibility: &'a Compatibility,
    divergence: Option<&'a Divergence>,
}

#[derive(Serialize)]
struct Clock<'a> {
    /// Whose logs count by it.
    controllers: &'a str,
    since: Option<String>,
    is_reference: bool,
    /// The place in this list of the clock by which its times are told, if that is another one.
    told_by: Option<usize>,
    ahead_s: Option<f64>,
    within_s: Option<f64>,
    rate_ppm: Option<f64>,
    letters: u64,
    /// What it showed at the first and at the last of them: beyond, `within_s` is no bound.
    letters_from: Option<String>,
    letters_until: Option<String>,
}

#[derive(Serialize)]
struct Letters<'a> {
    from: &'a str,
    to: &'a str,
    sent: u64,
    arrived: u64,
    lost: u64,
    unknown: u64,
    repeated: u64,
    unsent: u64,
}

/// Each is put into words when it is its turn.
struct Events<'a> {
    timeline: &'a Timeline<'a>,
    window: (WallTime, WallTime),
    zone: TimeZone,
}

#[derive(Serialize)]
struct Event {
    at: String,
    at_unix_ns: i64,
    controller: String,
    kind: &'static str,
    severity: String,
    message: String,
}

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for told in self.timeline.between(self.window.0, self.window.1) {
            list.serialize_element(&Event {
                at: exact(told.at, self.zone),
                at_unix_ns: told.at.as_unix_nanos(),
                controller: told.controller,
                kind: told.kind,
                severity: told.severity,
                message: told.text,
            })?;
        }
        list.end()
    }
}

/// Prints it.
pub(super) fn print(
    whole: &Whole<'_>,
    timeline: Option<&Timeline<'_>>,
    window: (WallTime, WallTime),
    output: &mut Output,
) -> Result<(), Failure> {
    let zone = whole.reading.zone.unwrap_or(TimeZone::UTC);
    let archives = whole.sources.iter().filter_map(|source| {
        let archive = source.archive.as_ref()?;
        let refusal = archive.refusal.iter().map(ToString::to_string);
        // What is cut off has no manifest, and why is known.
        let mistakes = archive.mistakes();
        let mistakes = mistakes.iter().filter(|_| archive.refusal.is_none()).map(ToString::to_string);
        let errors: Vec<String> = refusal.chain(mistakes).collect();
        Some(Archive {
            file: &source.path,
            ok: errors.is_empty(),
            errors,
            manifest: archive.manifest.as_ref(),
        })
    });
    let clocks = whole.together.clocks.iter().map(|clock| {
        let ahead = clock.ahead.as_ref();
        Clock {
            controllers: &clock.name,
            since: clock.first.map(|first| exact(first, zone)),
            is_reference: clock.is_reference,
            told_by: clock.told_by,
            ahead_s: ahead.map(|ahead| ahead.by as f64 / 1e9),
            within_s: ahead.map(|ahead| ahead.within as f64 / 1e9),
            rate_ppm: ahead.and_then(|ahead| ahead.rate).map(|rate| rate as f64 / 1e6),
            letters: ahead.map_or(0, |ahead| ahead.letters),
            letters_from: ahead.map(|ahead| exact(ahead.told.0, zone)),
            letters_until: ahead.map(|ahead| exact(ahead.told.1, zone)),
        }
    });
    let letters = whole.together.letters.iter().map(|passed| {
        let counts = passed.counts;
        Letters {
            from: &passed.from,
            to: &passed.to,
            sent: counts.sent,
            arrived: counts.arrived,
            lost: counts.lost,
            unknown: counts.unknown,
            repeated: counts.repeated,
            unsent: counts.unsent,
        }
    });
    output.json(&Printed {
        ok: whole.exit() == Exit::Ok,
        archives: archives.collect(),
        logs: whole.places().into_iter().map(|place| log(whole, place, zone)).collect(),
        clocks: clocks.collect(),
        letters: letters.collect(),
        notes: &whole.together.notes,
        events: timeline.map(|timeline| Events { timeline, window, zone }),
        events_left_out: whole.reading.happened_more,
    })?;
    Ok(())
}

fn log<'a>(whole: &Whole<'a>, place: usize, zone: TimeZone) -> Log<'a> {
    let segment = &whole.reading.segments[place];
    let link = whole.lines.link(place);
    let is_again = segment.again.is_some();
    let follows = link.map(|link| link.follows).or(is_again.then_some(Follows::Again));
    let source = &whole.sources[segment.source];
    let (role, number) = match segment.role {
        Role::Segment(number) => ("segment", Some(number)),
        Role::Quarantined(number) => ("quarantined", Some(number)),
        Role::Alone => ("log", None),
    };
    let controller = match (&segment.result, segment.role) {
        (Ok(replayed), _) => all_names(&whole.reading.names[replayed.names]),
        (Err(_), Role::Alone) => String::new(),
        (Err(_), Role::Segment(_) | Role::Quarantined(_)) => name(whole.reading, segment),
    };
    Log {
        file: &source.path,
        path: source.archive.is_some().then_some(segment.path.as_str()),
        controller,
        role,
        number,
        verdict: whole.verdict(place).name(),
        follows: follows.map(follows_name),
        missing: link.map(|link| link.missing).filter(|missing| *missing > 0),
        error: segment.result.as_ref().err().map(String::as_str),
        result: segment.result.as_ref().ok().map(|replayed| came(whole, replayed, zone)),
    }
}

fn all_names(names: &[ControllerNames]) -> String {
    names.iter().map(ControllerNames::full).collect::<Vec<_>>().join(", ")
}

fn came<'a>(whole: &Whole<'a>, replayed: &'a Replayed, zone: TimeZone) -> Came<'a> {
    let shown = |at| exact(replayed.shown(at), zone);
    let names = &whole.reading.names[replayed.names];
    Came {
        from: replayed.span.map(|(first, _)| shown(first)),
        to: replayed.span.map(|(_, last)| shown(last)),
        deliveries: replayed.deliveries,
        end: replayed.end.map(|end| end.name()),
        poisoned: replayed.poisoned.map(|poisoned| names[poisoned.controller.position()].full()),
        compatibility: &replayed.compatibility,
        divergence: replayed.divergence.as_deref(),
    }
}

const fn follows_name(follows: Follows) -> &'static str {
    match follows {
        Follows::First => "first",
        Follows::GoesOn => "goes_on",
        Follows::Life => "life",
        Follows::OtherLife => "other_life",
        Follows::Gap => "gap",
        Follows::Missing => "missing",
        Follows::Again => "again",
        Follows::Unknown => "unknown",
    }
}

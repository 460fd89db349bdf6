//! One log, replayed as it is read: what it came to, and what is kept of it for everything after.

use std::io::{BufReader, Read, Seek};

use r_ems_engine::Time;
use r_ems_engine::controller::Controller;
use r_ems_engine::digest::Digest;
use r_ems_engine::event::Event;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{ControllerNames, DeviceName, End, Header, Reader, codec, filtered};
use r_ems_engine::machine::{Delivery, Effect, Input, Outcome, Step};
use r_ems_engine::points::Quality;
use r_ems_engine::redundancy::{Command, Seat};
use r_ems_engine::wall::WallTime;
use r_ems_replay::letters::Noted;
use r_ems_replay::{Bytes, Compatibility, Divergence, Letters, Observer, Replay};

use super::Reading;
use crate::study::contained::contained;
use crate::study::recall::zone;

/// Longer errors are cut off: they may hold a name of a log, which may be as long as a header.
const ERROR_CHARS_MAX: usize = 2_000;
/// Longer names are cut off: no site has any.
const NAME_CHARS_MAX: usize = 255;
/// No less than is kept of each controller of each log: its seat, when that tells of it, whose clock it shows.
const CONTROLLER_BYTES: usize = 256;

/// What a log is to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A segment of a journal.
    Segment(u64),
    /// A segment that a recovery put aside: it is expected to be bad.
    Quarantined(u64),
    /// A log by itself.
    Alone,
}

impl Role {
    /// Whether it is only there for people: nothing that it comes to is an error.
    pub(super) const fn is_set_aside(self) -> bool {
        matches!(self, Self::Quarantined(_))
    }
}

/// A log that was replayed, or that could not be.
#[derive(Debug)]
pub(super) struct Segment {
    /// Which argument it comes from.
    pub(super) source: usize,
    /// Its path there; of a log by itself that of the argument.
    pub(super) path: String,
    pub(super) role: Role,
    pub(super) result: Result<Replayed, String>,
    /// Which other one it is once more, not longer than that.
    pub(super) again: Option<usize>,
}

impl Segment {
    /// What was read, of which nobody knows yet whether it is another one once more.
    pub(super) const fn new(
        source: usize,
        path: String,
        role: Role,
        result: Result<Replayed, String>,
    ) -> Self {
        Self { source, path, role, result, again: None }
    }

    /// Whether one of both is the other once more, or the beginning of it.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        let has_place = match (self.role, other.role) {
            (Role::Segment(number), Role::Segment(of_other)) => number == of_other,
            (Role::Segment(_) | Role::Alone, Role::Segment(_) | Role::Alone) => true,
            (Role::Quarantined(_), _) | (_, Role::Quarantined(_)) => false,
        };
        let both = self.result.as_ref().ok().zip(other.result.as_ref().ok());
        has_place && both.is_some_and(|(one, other)| one.begins_like(other))
    }

    /// The more of several copies counts: what was collected later. Of those that hold as much, the one that stands in a journal.
    pub(super) fn worth(&self) -> (bool, u64, bool, bool) {
        let is_segment = self.role != Role::Alone;
        let Ok(replayed) = &self.result else { return (false, 0, false, is_segment) };
        (!replayed.has_diverged, replayed.deliveries, !replayed.is_torn(), is_segment)
    }
}

/// What a log came to.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Which of the known lists of controllers is its own.
    pub(super) names: usize,
    /// Whether a scenario made it.
    pub(super) is_simulated: bool,
    /// What the wall clock showed at the run's time zero.
    pub(super) start: WallTime,
    /// The seat of each controller that shares its grid.
    pub(super) seats: Vec<Option<Seat>>,
    /// The first and the last delivery, if there is one.
    pub(super) span: Option<(Time, Time)>,
    /// Whether it begins with a boot.
    pub(super) begins_life: bool,
    /// The states at its beginning and at its end.
    pub(super) begins_as: Digest,
    pub(super) ends_as: Digest,
    pub(super) deliveries: u64,
    pub(super) end: Option<End>,
    pub(super) has_diverged: bool,
    /// How, if it is told.
    pub(super) divergence: Option<Box<Divergence>>,
    pub(super) event_difference: bool,
    pub(super) compatibility: Compatibility,
    pub(super) poisoned: Option<Poisoned>,
    /// What its controllers sent and got.
    pub(super) letters: Vec<Noted>,
    /// What is worth a line.
    pub(super) happened: Vec<Happened>,
}

/// Something that happened to a controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    pub(super) at: Time,
    pub(super) controller: ControllerIndex,
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// It reported this.
    Event(Event),
    /// An operator asked for this.
    Command(Command),
}

impl Replayed {
    /// What its clock showed at an instant of its run.
    pub(super) fn shown(&self, at: Time) -> WallTime {
        self.start + at.since(Time::ZERO)
    }

    /// Whether both are of one run, from one state on. A simulated run may have the beginning of another one.
    fn begins_like(&self, other: &Self) -> bool {
        let begins = |own: &Self| (own.names, own.is_simulated, own.start, own.begins_as);
        let whole = |own: &Self| own.is_simulated.then_some((own.deliveries, own.ends_as));
        begins(self) == begins(other) && whole(self) == whole(other)
    }

    /// Whether it lacks its closing record.
    pub(super) fn is_torn(&self) -> bool {
        self.end.is_some_and(End::is_torn)
    }
}

/// Sees what a replay delivers and leads to.
struct Watching {
    letters: Letters,
    happened: Vec<Happened>,
    /// The run's time zero, and from when to when it is kept what happened.
    start: WallTime,
    kept_between: (WallTime, WallTime),
    happened_most: usize,
    happened_more: u64,
    span: Option<(Time, Time)>,
    begins_life: bool,
}

impl Watching {
    fn note(&mut self, happened: Happened) {
        let shown = self.start + happened.at.since(Time::ZERO);
        if shown < self.kept_between.0 || shown > self.kept_between.1 {
            return;
        }
        if self.happened.len() < self.happened_most {
            self.happened.push(happened);
        } else {
            self.happened_more += 1;
        }
    }
}

impl Observer for Watching {
    fn delivery(&mut self, delivery: &Delivery<'_>) {
        let Delivery { at, to: controller, step, now: _ } = *delivery;
        if self.span.is_none() {
            self.begins_life = matches!(step, Step::Restore { .. } | Step::Boot(_));
        }
        self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        if let Step::Input(Input::Command(command)) = step {
            self.note(Happened { at, controller, what: What::Command(command) });
        }
        self.letters.delivery(delivery);
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) {
        let (at, controller) = (outcome.at, outcome.from);
        for event in
            outcome.effects.as_slice().iter().filter_map(Effect::event).filter(|event| is_told(event))
        {
            self.note(Happened { at, controller, what: What::Event(*event) });
        }
        self.letters.outcome(outcome);
    }
}

/// Whether an event is worth a line beside those of other hosts.
const fn is_told(event: &Event) -> bool {
    !matches!(event, Event::SnapshotTaken { .. } | Event::QualityChanged { quality: Quality::Good, .. })
}

/// Replays a log by itself: of the wanted controller only, if there is one. Nothing if it does not hold it.
///
/// # Errors
/// It cannot be replayed, in words that can be printed.
pub(super) fn replayed_alone<F: FunctionSet>(
    file: &mut (impl Read + Seek),
    reading: &mut Reading,
) -> Result<Option<Replayed>, String> {
    let Some(part) = part(file, reading)? else { return replayed::<F>(&mut BufReader::new(file), reading) };
    let (bytes, end) = part;
    let mut replayed = replayed::<F>(&mut bytes.as_slice(), reading)?;
    if let Some(replayed) = replayed.as_mut().filter(|replayed| replayed.is_torn()) {
        // Positions are those of the file, not of what was cut out of it.
        replayed.end = Some(end);
    }
    Ok(replayed)
}

/// What a log of several controllers tells of the wanted one; nothing if it has no other one, or does not hold it.
fn part(file: &mut (impl Read + Seek), reading: &Reading) -> Result<Option<(Vec<u8>, End)>, String> {
    let Some(name) = &reading.controller else { return Ok(None) };
    let cut_out = |file: &mut dyn Read| {
        // What no log begins like is told by whoever replays it.
        let Ok(mut reader) = Reader::open(Bytes(file)) else { return Ok(None) };
        let header = reader.header();
        let Some(controller) = header.find(&name.to_string()) else { return Ok(None) };
        if header.controllers.len() == 1 {
            return Ok(None);
        }
        let mut own = Vec::new();
        let end = filtered(&mut reader, controller, |bytes| own.extend_from_slice(bytes));
        end.map(|end| Some((own, end))).map_err(|error| cut(&error.to_string(), ERROR_CHARS_MAX))
    };
    let part = cut_out(&mut BufReader::new(&mut *file));
    file.rewind().map_err(|error| error.to_string())?;
    part
}

/// Replays a log. Nothing if its controllers are not wanted.
///
/// # Errors
/// It cannot be replayed, in words that can be printed.
pub(super) fn replayed<F: FunctionSet>(
    log: &mut dyn Read,
    reading: &mut Reading,
) -> Result<Option<Replayed>, String> {
    // What comes from anywhere may hold what no controller ever did.
    let ended = contained(|| replay::<F>(log, reading));
    ended.unwrap_or_else(|words| {
        Err(cut(&format!("this program failed on it, which is its bug: {words}"), ERROR_CHARS_MAX))
    })
}

fn replay<F: FunctionSet>(log: &mut dyn Read, reading: &mut Reading) -> Result<Option<Replayed>, String> {
    let failed = |error: &dyn std::fmt::Display| cut(&error.to_string(), ERROR_CHARS_MAX);
    let mut replay = Replay::<Controller<F>, _>::open(log).map_err(|error| failed(&error))?;
    let header = replay.header();
    if let Some(name) = &reading.controller {
        if header.find(&name.to_string()).is_none() {
            return Ok(None);
        }
        if header.controllers.len() > 1 {
            return Err(
                "it holds several controllers, as no journal does: replay it without --controller".to_owned()
            );
        }
    }
    reading.zone.get_or_insert_with(|| zone::<F>(header));
    let (start, is_simulated) = (header.start, !header.scenario_text.is_empty());
    let names = reading.intern(header)?;
    let states = |machines: &[Controller<F>]| {
        let mut bytes = Vec::new();
        machines.iter().for_each(|machine| codec::encode(machine, &mut bytes));
        Digest::of(&bytes)
    };
    let seat = |machine: &Controller<F>| {
        let redundancy = machine.redundancy();
        (!redundancy.is_alone()).then(|| redundancy.me())
    };
    let seats = replay.machines().iter().map(seat).collect();
    let begins_as = states(replay.machines());
    let mut watching = Watching {
        letters: Letters::new(reading.letters_most, reading.sampling),
        happened: Vec::new(),
        start,
        kept_between: reading.kept_between(),
        happened_most: reading.happened_left,
        happened_more: 0,
        span: None,
        begins_life: false,
    };
    replay.run_until_observed(Time::MAX, &mut watching).map_err(|error| failed(&error))?;
    let result = replay.result();
    let has_diverged = result.divergence.is_some();
    let divergence = result.divergence.filter(|_| reading.divergences_left > 0);
    reading.divergences_left -= usize::from(divergence.is_some());
    let Watching { letters, happened, happened_more, span, begins_life, .. } = watching;
    reading.sampling = letters.sampling();
    reading.happened_left -= happened.len();
    reading.happened_more += happened_more;
    Ok(Some(Replayed {
        names,
        is_simulated,
        start,
        seats,
        span,
        begins_life,
        begins_as,
        ends_as: states(replay.machines()),
        deliveries: result.deliveries,
        end: result.end,
        has_diverged,
        divergence,
        event_difference: result.event_difference.is_some(),
        compatibility: result.compatibility,
        poisoned: result.poisoned,
        letters: letters.into_noted(),
        happened,
    }))
}

/// The same where it must not begin a line that looks as if this program had written it.
pub(super) fn printable_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// What a log says about itself is for a terminal only without control characters.
pub(super) fn printable(text: &str) -> String {
    text.replace(|letter: char| letter.is_control() && letter != '\n', "?")
}

/// No more of a text than this, and what can be printed.
fn cut(text: &str, chars_max: usize) -> String {
    printable(&text.chars().take(chars_max).collect::<String>())
}

/// The controllers of a log, by names that can be printed.
pub(super) fn printable_names(header: &Header) -> Vec<ControllerNames> {
    let name = |name: &str| printable_line(&cut(name, NAME_CHARS_MAX));
    let names = |names: &ControllerNames| ControllerNames {
        grid: name(&names.grid),
        id: name(&names.id),
        devices: names
            .devices
            .iter()
            .map(|device| DeviceName { name: name(&device.name), class: device.class, points: device.points })
            .collect(),
        functions: names.functions.iter().map(|function| name(function)).collect(),
    };
    header.controllers.iter().map(names).collect()
}

/// How many bytes are kept of what a log says of itself, but for names that are kept already.
pub(super) fn weight(header: &Header) -> usize {
    header.engine.len() + CONTROLLER_BYTES * header.controllers.len()
}

/// How many bytes a list of names takes.
pub(super) fn names_weight(names: &[ControllerNames]) -> usize {
    let of_devices = |names: &ControllerNames| {
        names.devices.iter().map(|device| size_of::<DeviceName>() + device.name.len()).sum::<usize>()
    };
    let of_functions = |names: &ControllerNames| {
        names.functions.iter().map(|function| size_of::<String>() + function.len()).sum::<usize>()
    };
    let whole = |names: &ControllerNames| {
        let own = size_of::<ControllerNames>() + names.grid.len() + names.id.len();
        own + of_devices(names) + of_functions(names)
    };
    names.iter().map(whole).sum()
}

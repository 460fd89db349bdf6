//! The records of a log, in words and numbers, for people and programs.
//!
//! Nothing is kept but what may still be answered: a log of any length is shown in the same memory.

mod fields;

use std::io::{self, Read, Seek};

use serde::Serialize;

use r_ems_engine::Time;
use r_ems_engine::digest::Digest;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{
    Content, ControllerNames, EffectsKept, End, Header, Kind, ReadError, Reader, Record, Status,
};
use r_ems_engine::machine::{Effect, Input, Sample, Step, Validity};

use crate::describe::{Words, carried_words};
use crate::source::Bytes;
use crate::writes::Writes;

pub(crate) use self::fields::value_w;
pub use self::fields::{Answer, Asked, Fields, Written};

/// One record in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The run's time, ns.
    pub at_ns: u64,
    /// The controller's own clock, ns.
    pub local_ns: u64,
    /// The controller, "grid/id".
    pub controller: String,
    /// The kind of record: [`Kind::name`].
    pub kind: &'static str,
    /// The kind of event: [`r_ems_engine::event::Event::kind`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<&'static str>,
    /// What it says.
    pub text: String,
    /// What it says in numbers, each a field of its own: of writes, answers to them, what fieldbus connections bring,
    /// and events on authority.
    #[serde(flatten)]
    pub fields: Option<Fields>,
    /// The values that a device reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// Byte position in the log.
    pub position: u64,
    /// Bytes in the log.
    pub bytes: u64,
}

/// One reported value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// The point, "device.point".
    pub point: String,
    /// The value in base units and the device's own sign.
    pub value: f64,
    /// Whether the device vouches for it.
    pub valid: bool,
    /// Whether it is a set-point that the device does not follow, since another decides.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub not_in_force: bool,
}

/// Which records are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Nothing earlier.
    pub from: Time,
    /// Nothing later.
    pub to: Time,
    /// Only this controller.
    pub controller: Option<ControllerIndex>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<Kind>,
    /// What of effects.
    pub of_effects: OfEffects,
}

/// What is wanted of the effects in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfEffects {
    /// All, and when the controller wants to be woken.
    All,
    /// Writes; records without any are left out.
    Writes,
}

impl Filter {
    /// Everything.
    pub const ALL: Self = Self {
        from: Time::ZERO,
        to: Time::MAX,
        controller: None,
        kinds: Vec::new(),
        of_effects: OfEffects::All,
    };

    fn takes(&self, record: &Record<'_>) -> bool {
        record.at >= self.from
            && self.controller.is_none_or(|wanted| wanted == record.controller)
            && (self.kinds.is_empty() || self.kinds.contains(&record.content.kind()))
            && self.of_effects.takes(record)
    }
}

impl OfEffects {
    fn takes(self, record: &Record<'_>) -> bool {
        let Content::Effects { effects, .. } = record.content else { return true };
        self == Self::All || effects.iter().any(is_write)
    }
}

const fn is_write(effect: &Effect) -> bool {
    effect.write().is_some()
}

/// Iterates over the entries of a log that pass a filter.
#[derive(Debug)]
pub struct Entries<R> {
    reader: Reader<Bytes<R>>,
    writes: Writes,
    filter: Filter,
    over: bool,
    end: Option<End>,
}

impl<R: Read> Entries<R> {
    /// Opens a log.
    ///
    /// # Errors
    /// If its header cannot be read.
    pub fn open(log: R, filter: Filter) -> Result<Self, ReadError<io::Error>> {
        let reader = Reader::open(Bytes(log))?;
        let writes = Writes::of(reader.header());
        Ok(Self { reader, writes, filter, over: false, end: None })
    }

    /// What the log says about itself.
    pub const fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Changes the filter, once the header has said which controllers there are.
    pub fn select(&mut self, filter: Filter) {
        self.filter = filter;
    }

    /// How the log ended, once it has been read to its end.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    fn step(&mut self) -> Result<Option<Entry>, ReadError<io::Error>> {
        loop {
            match self.reader.advance()? {
                Status::Record => {}
                Status::Ended(end) => {
                    self.end = Some(end);
                    return Ok(None);
                }
            }
            let record = self.reader.record();
            if record.at > self.filter.to {
                return Ok(None);
            }
            let taken =
                self.filter.takes(&record).then(|| put(&self.reader, &self.writes, self.filter.of_effects));
            self.writes.note(&record);
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }
}

impl<R: Read + Seek> Entries<R> {
    /// Of a log that was just opened, passes over what is earlier than the filter wants, as far as what is shown is the same: in
    /// a log with effects an answer is to a write that may be any time before. What is passed over is not verified.
    ///
    /// # Errors
    /// If the log cannot be read on there.
    pub fn begin(&mut self) -> Result<(), ReadError<io::Error>> {
        match self.header().effects {
            EffectsKept::Digests => self.reader.begin_before(self.filter.from),
            EffectsKept::Whole => Ok(()),
        }
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = Result<Entry, ReadError<io::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let item = self.step().transpose();
        self.over = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Puts the reader's current record into words.
pub(crate) fn entry<R: Read>(reader: &Reader<Bytes<R>>, writes: &Writes) -> Entry {
    put(reader, writes, OfEffects::All)
}

fn put<R: Read>(reader: &Reader<Bytes<R>>, writes: &Writes, of_effects: OfEffects) -> Entry {
    let record = reader.record();
    let words = Words::within(&reader.header().controllers, record.controller.position());
    let names = &reader.header().controllers[record.controller.position()];
    let event = match record.content {
        Content::Event(event) => Some(event.kind()),
        Content::Delivery { .. }
        | Content::Effects { .. }
        | Content::State(_)
        | Content::Carried { .. }
        | Content::Chains(_)
        | Content::Closing(_)
        | Content::Crashed => None,
    };
    let fields = Fields::of(words, &record, writes);
    let more =
        fields.as_ref().and_then(Fields::more_words).map_or_else(String::new, |more| format!(": {more}"));
    Entry {
        at_ns: record.at.as_nanos(),
        local_ns: record.now.as_nanos(),
        controller: names.full(),
        kind: record.content.kind().name(),
        event,
        text: text(words, &record, of_effects) + &more,
        fields,
        values: values(names, &record),
        position: reader.record_position(),
        bytes: reader.record_bytes(),
    }
}

fn text(words: Words<'_>, record: &Record<'_>, of_effects: OfEffects) -> String {
    match &record.content {
        Content::Delivery { step, .. } => words.step(step),
        Content::Event(event) => words.event(event),
        Content::Effects { effects, .. } if of_effects == OfEffects::Writes => {
            let writes = effects.iter().filter(|effect| is_write(effect));
            writes.map(|effect| words.effect(effect, record.now)).collect::<Vec<_>>().join("; ")
        }
        Content::Effects { effects, deadline } => {
            let lines = effects.iter().map(|effect| words.effect(effect, record.now));
            let lines: Vec<String> = lines.chain([words.deadline(*deadline, record.now)]).collect();
            lines.join("; ")
        }
        Content::State(bytes) => format!("state {} of {} bytes", Digest::of(bytes).short(), bytes.len()),
        Content::Carried { version, bytes } => carried_words(*version, bytes),
        Content::Chains(pair) => {
            format!("chains: effects {:016x}, events {:016x}", pair.effects.value(), pair.events.value())
        }
        Content::Closing(ending) => format!("the run ended: {ending}"),
        Content::Crashed => String::from("an assertion failed: nothing that was asked for is done"),
    }
}

fn values(names: &ControllerNames, record: &Record<'_>) -> Vec<Value> {
    let Content::Delivery { step: Step::Input(Input::Points { samples, .. }), .. } = record.content else {
        return Vec::new();
    };
    let value = |sample: &Sample| Value {
        point: Words::of(names).point(sample.point),
        value: sample.value,
        valid: sample.validity != Validity::Invalid,
        not_in_force: sample.validity == Validity::NotInForce,
    };
    samples.iter().map(value).collect()
}

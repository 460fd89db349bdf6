//! What records say in numbers, beside the words: writes, their answers, what fieldbus connections bring, events on authority.

use r_ems_engine::event::Event;
use r_ems_engine::log::{Content, Record};
use r_ems_engine::machine::{Effect, Input, SetPointWrite, Step, WriteKind, WriteOutcome};
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::{LocalTime, Span};
use serde::Serialize;

use crate::describe::council::reason_words;
use crate::describe::{Words, hex};
use crate::writes::{Sent, Unanswered, Writes};

/// What a record says in numbers; epochs are `round.seat`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Fields {
    /// A write was answered.
    Written(Answer),
    /// Bytes arrived on a fieldbus connection.
    Frame {
        /// On which.
        connection: u16,
        /// The bytes, two hexadecimal digits each.
        hex: String,
    },
    /// A fieldbus connection is open, or is not.
    Link {
        /// Which.
        connection: u16,
        /// Whether bytes can be sent.
        open: bool,
    },
    /// The controller asked for writes.
    Writes {
        /// Which.
        writes: Vec<Asked>,
    },
    /// `role_changed`.
    RoleChanged {
        /// Its name, such as `standby`.
        role: &'static str,
        /// Why, in words.
        reason: &'static str,
        /// The epoch that it holds, or the highest that it knows.
        epoch: String,
    },
    /// `took_over`.
    TookOver {
        /// Why, in words.
        reason: &'static str,
        /// Its epoch.
        epoch: String,
        /// How long no active had been heard when it was granted.
        silent_s: f64,
        /// How long it asked for.
        sought_s: f64,
    },
    /// `set_points_taken_over`.
    SetPointsTakenOver {
        /// By how much they differ from what the devices hold, all devices added.
        step_w: f64,
        /// How long after the grant.
        after_s: f64,
        /// How old the state was that it had from the active before it; null: it had none.
        state_age_s: Option<f64>,
    },
}

/// An answer to a write.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Who answered.
    pub device: String,
    /// `acknowledged`, `refused`, `outdated`, `not_held`, `timed_out`, `expired` or `incomplete`.
    pub outcome: &'static str,
    /// What it answers, if the log tells.
    #[serde(flatten)]
    pub write: Option<Written>,
    /// What it may answer, if it may be one of several: at most the newest four, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Written>,
    /// How many those are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of_count: Option<u64>,
}

/// A write that was sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// Its epoch.
    pub epoch: String,
    /// The set-point in the device's own sign; null: it is a heartbeat.
    pub value_w: Option<f64>,
    /// How long before the answer it was sent, by the controller's own clock.
    pub sent_s: f64,
}

/// A write that a controller asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// To whom.
    pub device: String,
    /// Its epoch.
    pub epoch: String,
    /// The set-point in the device's own sign; null: it is a heartbeat.
    pub value_w: Option<f64>,
    /// For how long it may be performed.
    pub valid_s: f64,
}

impl Fields {
    /// The numbers of a record; nothing for most.
    pub(super) fn of(words: Words<'_>, record: &Record<'_>, known: &Writes) -> Option<Self> {
        match &record.content {
            Content::Delivery { step: Step::Input(Input::Written { device, outcome }), .. } => {
                let found = known.unanswered(record, *device);
                Some(Self::Written(Answer::of(words.device(*device), *outcome, record.now, found)))
            }
            Content::Delivery { step: Step::Input(Input::NotSent { device, .. }), .. } => {
                let (found, outcome) = (known.unanswered(record, *device), WriteOutcome::Expired);
                Some(Self::Written(Answer::of(words.device(*device), outcome, record.now, found)))
            }
            Content::Delivery { step: Step::Input(Input::Frame { connection, bytes }), .. } => {
                Some(Self::Frame { connection: connection.0, hex: hex(bytes) })
            }
            Content::Delivery { step: Step::Input(Input::LinkChanged { connection, is_open }), .. } => {
                Some(Self::Link { connection: connection.0, open: *is_open })
            }
            Content::Effects { effects, .. } => {
                let writes = effects.iter().filter_map(|effect| asked(words, effect, record.now));
                let writes: Vec<Asked> = writes.collect();
                (!writes.is_empty()).then_some(Self::Writes { writes })
            }
            Content::Event(event) => Self::of_event(event),
            Content::Delivery { .. }
            | Content::State(_)
            | Content::Carried { .. }
            | Content::Chains(_)
            | Content::Closing(_)
            | Content::Crashed => None,
        }
    }

    fn of_event(event: &Event) -> Option<Self> {
        if let Event::RoleChanged { role, reason, epoch } = event {
            let (role, reason, epoch) = (role.name(), reason_words(*reason), epoch.to_string());
            return Some(Self::RoleChanged { role, reason, epoch });
        }
        if let Event::TookOver { reason, epoch, silent, sought } = event {
            return Some(Self::TookOver {
                reason: reason_words(*reason),
                epoch: epoch.to_string(),
                silent_s: silent.as_secs_f64(),
                sought_s: sought.as_secs_f64(),
            });
        }
        if let Event::SetPointsTakenOver { step, after, state_age } = event {
            return Some(Self::SetPointsTakenOver {
                step_w: step.watts(),
                after_s: after.as_secs_f64(),
                state_age_s: state_age.map(Span::as_secs_f64),
            });
        }
        None
    }

    /// What the words of a record leave out: what an answer answers.
    pub(super) fn more_words(&self) -> Option<String> {
        let Self::Written(answer) = self else { return None };
        let ago = |write: &Written| Span::from_secs_f64(write.sent_s);
        let told = |write: &Written| {
            let said =
                write.value_w.map_or_else(|| String::from("a heartbeat"), |value| format!("{value} W"));
            format!("{said} under epoch {} sent {} ago", write.epoch, ago(write))
        };
        if let Some(write) = &answer.write {
            return Some(told(write));
        }
        let count = answer.one_of_count?;
        let several: Vec<String> = answer.one_of.iter().map(told).collect();
        let among = if several.len() as u64 == count { "" } else { ", the newest" };
        Some(format!("one of {count} writes{among}: {}", several.join(", ")))
    }
}

impl Answer {
    fn of(device: String, outcome: WriteOutcome, now: LocalTime, found: Option<&Unanswered>) -> Self {
        let outcome = match outcome {
            WriteOutcome::Acknowledged => "acknowledged",
            WriteOutcome::Refused => "refused",
            WriteOutcome::Outdated { .. } => "outdated",
            WriteOutcome::TimedOut => "timed_out",
            WriteOutcome::Expired => "expired",
            WriteOutcome::NotHeld => "not_held",
            WriteOutcome::Incomplete => "incomplete",
        };
        let count = found.map_or(0, Unanswered::count);
        let mut writes: Vec<Written> =
            found.into_iter().flat_map(Unanswered::newest).map(|sent| written(sent, now)).collect();
        let write = if count == 1 { writes.pop() } else { None };
        let one_of_count = (count > 1).then_some(count);
        Self { device, outcome, write, one_of: writes, one_of_count }
    }
}

/// The set-point that a write says, W.
pub(crate) fn value_w(write: &SetPointWrite) -> Option<f64> {
    match write.kind {
        WriteKind::SetPoint => Some(write.value),
        WriteKind::Heartbeat => None,
    }
}

fn written(sent: &Sent, now: LocalTime) -> Written {
    let epoch = Epoch::of_number(sent.epoch).to_string();
    Written { epoch, value_w: sent.value_w, sent_s: now.since(sent.at).as_secs_f64() }
}

fn asked(words: Words<'_>, effect: &Effect, now: LocalTime) -> Option<Asked> {
    let write = effect.write()?;
    let SetPointWrite { device, epoch, valid_until, .. } = *write;
    Some(Asked {
        device: words.device(device),
        epoch: Epoch::of_number(epoch).to_string(),
        value_w: value_w(write),
        valid_s: valid_until.since(now).as_secs_f64(),
    })
}

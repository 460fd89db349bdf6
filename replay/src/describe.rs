//! Says in words, and by name, what records hold by id. One line each, no line ends.
//!
//! What the members of a council tell each other and report is in [`council`], what devices say on a wire in `frames`.

pub mod council;
mod frames;
mod orders;
mod persistence;

pub(crate) use frames::hex;
pub(crate) use persistence::carried_words;

use std::fmt::{self, Write};

use r_ems_engine::event::Event;
use r_ems_engine::fieldbus::sunspec::Chain;
use r_ems_engine::ids::{DeviceIndex, GroupIndex, PointIndex, SlotIndex};
use r_ems_engine::log::ControllerNames;
use r_ems_engine::machine::{
    Effect, Input, LinkWish, Sample, SetPointWrite, Step, Validity, WriteKind, WriteOutcome,
};
use r_ems_engine::points::Quality;
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::units::Watts;
use r_ems_engine::{LocalTime, Span};

/// The words for one controller.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    names: &'a ControllerNames,
    /// All controllers of the log, where the names of seats come from.
    fleet: &'a [ControllerNames],
    figures: Figures,
}

/// To how many figures what events say is told.
#[derive(Clone, Copy, Debug)]
struct Figures {
    time: fn(Span) -> String,
    power: fn(Watts) -> String,
}

impl Figures {
    /// All of them, as logs tell it.
    const ALL: Self = Self { time: |span| span.to_string(), power: |power| power.to_string() };
}

impl<'a> Words<'a> {
    /// The words for a controller by itself: other members of its council are known by their seats only.
    pub const fn of(names: &'a ControllerNames) -> Self {
        Self { names, fleet: &[], figures: Figures::ALL }
    }

    /// The words for one controller of a log.
    ///
    /// # Panics
    /// If the log has no controller at `position`.
    pub fn within(fleet: &'a [ControllerNames], position: usize) -> Self {
        Self { names: &fleet[position], fleet, figures: Figures::ALL }
    }

    /// The same, with times and powers of events in these words.
    #[must_use]
    pub const fn with_figures(self, time: fn(Span) -> String, power: fn(Watts) -> String) -> Self {
        Self { figures: Figures { time, power }, ..self }
    }

    fn time(self, span: Span) -> String {
        (self.figures.time)(span)
    }

    fn power(self, power: Watts) -> String {
        (self.figures.power)(power)
    }

    /// What happened to the controller.
    pub fn step(self, step: &Step<'_>) -> String {
        match step {
            Step::Restore { state: _ } => String::from("the state of a life before is restored"),
            Step::Boot(boot) => persistence::boot(boot),
            Step::Input(Input::Wake) => String::from("wake"),
            Step::Input(Input::Points { device, samples }) => {
                let mut text = format!("points of {}:", self.device(*device));
                for (index, sample) in samples.iter().enumerate() {
                    let separator = if index == 0 { " " } else { ", " };
                    text.push_str(separator);
                    text.push_str(&self.sample(sample));
                }
                text
            }
            Step::Input(Input::TimedOut { device }) => format!("no answer from {}", self.device(*device)),
            Step::Input(Input::Frame { connection, bytes }) => {
                format!("frame on connection {connection}: {}", frames::received(bytes))
            }
            Step::Input(Input::LinkChanged { connection, is_open: true }) => {
                format!("connection {connection} is open")
            }
            Step::Input(Input::LinkChanged { connection, is_open: false }) => {
                format!("connection {connection} is closed")
            }
            Step::Input(Input::Written { device, outcome }) => {
                format!("write to {} {}", self.device(*device), outcome_words(*outcome))
            }
            Step::Input(Input::NotSent { device, kind, valid_until: _ }) => {
                let what = match kind {
                    WriteKind::SetPoint => "write",
                    WriteKind::Heartbeat => "heartbeat",
                };
                format!("{what} to {} {}", self.device(*device), outcome_words(WriteOutcome::Expired))
            }
            Step::Input(Input::Message { from, message }) => {
                format!("from {}: {}", self.seat(*from), self.message(message))
            }
            Step::Input(Input::Transfer { from, unit }) => {
                format!("from {}: {} B of state", self.seat(*from), unit.len())
            }
            Step::Input(Input::Promised { succeeded: true }) => String::from("the promise is durable"),
            Step::Input(Input::Promised { succeeded: false }) => {
                String::from("the promise could not be made durable")
            }
            Step::Input(Input::Snapshotted { succeeded: true }) => String::from("the snapshot is durable"),
            Step::Input(Input::Snapshotted { succeeded: false }) => {
                String::from("the snapshot could not be made durable")
            }
            Step::Input(Input::Journal(status)) => persistence::status(*status),
            Step::Input(Input::WallClock { wall }) => persistence::wall_clock(*wall),
            Step::Input(Input::Command(command)) => format!("command: {}", self.command(*command)),
        }
    }

    /// What the controller asked for; instants as they stand to its clock, `now`.
    pub fn effect(self, effect: &Effect, now: LocalTime) -> String {
        match effect {
            Effect::Write(write) => self.write(write, now),
            Effect::Poll { device, due } => {
                format!("poll {}, due {}", self.device(*device), relative(*due, now))
            }
            Effect::Disconnect { device } => format!("disconnect from {}", self.device(*device)),
            // The chain tells apart what is as long.
            Effect::Frame { connection, first: _, length, chain, write } => {
                let carried =
                    write.map_or_else(String::new, |write| format!(": {}", self.write(&write, now)));
                format!("send {length} B of chain {chain:016x} on connection {connection}{carried}")
            }
            Effect::Link { connection, wish: LinkWish::Open } => format!("open connection {connection}"),
            Effect::Link { connection, wish: LinkWish::Closed } => format!("close connection {connection}"),
            Effect::Send { to, message } => format!("tell {}: {}", self.seat(*to), self.message(message)),
            Effect::Transfer { to, length, chain: _ } => {
                format!("give {} {length} B of state", self.seat(*to))
            }
            Effect::Authority { epoch, until } => {
                let epoch = Epoch::of_number(*epoch);
                format!("authority under epoch {epoch} until {}", relative(*until, now))
            }
            Effect::Promise(promise) => self.promise(promise),
            Effect::Snapshot => String::from("keep a snapshot"),
            Effect::Stopped => String::from("stopped: keep the state and end"),
            Effect::Report(event) => format!("report {}", self.event(event)),
        }
    }

    /// What the controller asked for, with what its frames say: `frames` are [`r_ems_engine::machine::Effects::frames`].
    pub(crate) fn effect_and_frame(self, effect: &Effect, frames: &[u8], now: LocalTime) -> String {
        let words = self.effect(effect, now);
        let Effect::Frame { first, length, .. } = *effect else { return words };
        let bytes = frames.get(first as usize..).and_then(|rest| rest.get(..length as usize));
        bytes.map_or_else(|| words.clone(), |bytes| format!("{words}: {}", frames::sent(bytes)))
    }

    /// When the controller wants to be woken.
    pub fn deadline(self, deadline: Option<LocalTime>, now: LocalTime) -> String {
        match deadline {
            Some(deadline) => format!("wake wanted {}", relative(deadline, now)),
            None => String::from("no wake wanted"),
        }
    }

    /// What the controller reported.
    pub fn event(self, event: &Event) -> String {
        let kind = event.kind();
        match event {
            Event::Booted { incarnation } => format!("{kind}: incarnation {incarnation}"),
            Event::Started { after } => format!("{kind} {} after boot", self.time(*after)),
            Event::ScansMissed { count, lateness } => {
                format!("{kind}: {count}, {} late", self.time(*lateness))
            }
            Event::QualityChanged { point, quality } => {
                format!("{kind}: {} is {}", self.point(*point), quality_word(*quality))
            }
            Event::FunctionLost { slot } | Event::FunctionReturned { slot } => {
                format!("{kind}: {}", self.function(*slot))
            }
            Event::ShortfallBegan { slot, group, shortfall } => {
                self.short(kind, *slot, *group, ("", *shortfall))
            }
            Event::ShortfallEnded { slot, group, worst } => {
                self.short(kind, *slot, *group, ("at worst ", *worst))
            }
            Event::WriteFailed { device, outcome } | Event::HeartbeatFailed { device, outcome } => {
                format!("{kind}: to {}, {}", self.device(*device), outcome_words(*outcome))
            }
            Event::ModelsFound { device, chain } => self.found(kind, *device, *chain),
            Event::ModelsMissing { device, missing } => self.lacking(kind, *device, missing),
            Event::IdentityDiffers { device, differs } => self.lacking(kind, *device, differs),
            Event::WriteBudgetUsedUp { device, per_day, renewed_in } => {
                format!("{kind}: {}", self.used_up(*device, *per_day, *renewed_in))
            }
            Event::WriteBudgetRenewed { device } => format!("{kind}: of {}", self.device(*device)),
            Event::DeviceLimited { device, difference } => self.limited(kind, *device, *difference),
            Event::WritesSucceed { device } | Event::HeartbeatsSucceed { device } => {
                format!("{kind}: to {}", self.device(*device))
            }
            Event::DeviceFollows { device }
            | Event::IdentityFound { device }
            | Event::DeviceLocal { device }
            | Event::DeviceRemote { device }
            | Event::DeviceFault { device }
            | Event::DeviceRecovered { device } => format!("{kind}: {}", self.device(*device)),
            Event::RoleChanged { .. }
            | Event::TookOver { .. }
            | Event::SetPointsTakenOver { .. }
            | Event::StateTaken { .. }
            | Event::StateRefused { .. }
            | Event::AuthoritiesOverlapped { .. }
            | Event::SectionDiffers { .. }
            | Event::PeerSilent { .. }
            | Event::PeerHeard { .. } => self.council_event(event),
            Event::CommandRefused { .. }
            | Event::ManualBegan { .. }
            | Event::ManualEnded { .. }
            | Event::EmergencyStopBegan
            | Event::EmergencyStopEnded
            | Event::OperationChanged { .. } => self.order_event(event),
            Event::StateRecovered { .. }
            | Event::MemoryCarried { .. }
            | Event::MemoryNotCarried { .. }
            | Event::SnapshotTaken { .. }
            | Event::SnapshotFailed
            | Event::JournalDegraded { .. }
            | Event::JournalRestored { .. }
            | Event::WallClockSet { .. }
            | Event::StopBegan
            | Event::Stopped { .. } => self.persistence_event(event),
            Event::Islanded | Event::Rejoined | Event::BlackedOut | Event::Energized => String::from(kind),
            Event::SignSuspect { device, measured_by, step, moved } => {
                self.suspect(kind, (*device, *step), (*measured_by, *moved))
            }
        }
    }

    /// Where the models of a device lie.
    fn found(self, kind: &str, device: DeviceIndex, Chain { base, models }: Chain) -> String {
        format!("{kind}: {models} of {}, from register {base} on", self.device(device))
    }

    /// How far a device is from what it was told.
    fn limited(self, kind: &str, device: DeviceIndex, difference: Watts) -> String {
        format!("{kind}: {} is {} off its set-point", self.device(device), self.power(difference))
    }

    /// What a function misses on a group.
    fn short(self, kind: &str, slot: SlotIndex, group: GroupIndex, (how, missing): (&str, Watts)) -> String {
        format!("{kind}: {} on group {group}, {how}{}", self.function(slot), self.power(missing))
    }

    /// What a device was written today.
    fn used_up(self, device: DeviceIndex, per_day: u32, renewed_in: Span) -> String {
        let (device, renewed_in) = (self.device(device), self.time(renewed_in));
        format!("{per_day} writes a day to {device}, renewed in {renewed_in}")
    }

    /// What moved the wrong way when something was stepped.
    fn suspect(
        self,
        kind: &str,
        (device, step): (DeviceIndex, Watts),
        (measured_by, moved): (DeviceIndex, Watts),
    ) -> String {
        let (device, measured_by) = (self.device(device), self.device(measured_by));
        let (step, moved) = (self.power(step), self.power(moved));
        format!("{kind}: {device} was stepped by {step} and {measured_by} moved by {moved}")
    }

    /// What a device is not, or has not.
    fn lacking(self, kind: &str, device: DeviceIndex, what: &dyn fmt::Display) -> String {
        format!("{kind}: {}: {what}", self.device(device))
    }

    /// A device by name.
    pub fn device(self, device: DeviceIndex) -> String {
        self.names.device(device).map_or_else(|| format!("device {device}"), String::from)
    }

    /// A point by name: `bess.soc`.
    pub fn point(self, point: PointIndex) -> String {
        match self.names.point(point) {
            Some((device, kind)) => format!("{device}.{}", kind.name()),
            None => format!("point {point}"),
        }
    }

    fn write(self, write: &SetPointWrite, now: LocalTime) -> String {
        let SetPointWrite { device, kind, value, reactive, epoch, valid_until } = *write;
        let said = match kind {
            WriteKind::SetPoint if reactive != 0.0 => format!("{value} W, {reactive} var"),
            WriteKind::SetPoint => format!("{value} W"),
            WriteKind::Heartbeat => format!("heartbeat {value}"),
        };
        format!(
            "write {said} to {}, epoch {}, valid until {}",
            self.device(device),
            Epoch::of_number(epoch),
            relative(valid_until, now)
        )
    }

    fn function(self, slot: SlotIndex) -> String {
        let name = self.names.functions.get(slot.position());
        name.map_or_else(|| format!("function {slot}"), |name| format!("{name} (position {slot})"))
    }

    fn sample(self, sample: &Sample) -> String {
        let mut text = format!("{} = {}", self.point(sample.point), sample.value);
        match sample.validity {
            Validity::Valid => {}
            Validity::NotInForce => text.push_str(" (not in force)"),
            Validity::Invalid => text.push_str(" (invalid)"),
        }
        text
    }
}

/// An instant as it stands to `now`.
fn relative(instant: LocalTime, now: LocalTime) -> String {
    let mut text = String::new();
    let written = if instant >= now {
        write!(text, "in {}", instant.since(now))
    } else {
        write!(text, "{} ago", now.since(instant))
    };
    written.expect("a string takes all text");
    text
}

fn outcome_words(outcome: WriteOutcome) -> String {
    String::from(match outcome {
        WriteOutcome::Acknowledged => "acknowledged",
        WriteOutcome::Refused => "refused",
        WriteOutcome::Outdated { accepted } => {
            return format!("refused, the device has accepted epoch {}", Epoch::of_number(accepted));
        }
        WriteOutcome::TimedOut => "timed out",
        WriteOutcome::Expired => "not performed, because it had expired",
        WriteOutcome::NotHeld => "acknowledged and not held",
        WriteOutcome::Incomplete => "performed in part, because the rest had expired",
    })
}

const fn quality_word(quality: Quality) -> &'static str {
    match quality {
        Quality::Unknown => "unknown",
        Quality::Good => "good",
        Quality::Stale => "stale",
        Quality::Invalid => "invalid",
        Quality::Stuck => "stuck",
    }
}

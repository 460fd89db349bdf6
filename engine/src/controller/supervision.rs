//! Watches whether devices do what they are told: do they follow, and do their powers move the right way?
//!
//! Measured power is what counts in every law; that a device does not follow its set-point is therefore no fault of control,
//! but somebody must know. A device is on its way while its set-point moves: it follows if it is somewhere between the
//! set-points of the last [`JUDGED_AFTER`] and its latency, however fast they ramp. A sign that is wrong in the site file turns
//! every law around: a step of a set-point must move the device's own power the same way and the meter's power the other way,
//! else an alarm names both.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::mode::GridMode;
use super::set_points::SetPoints;
use crate::event::Event;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::{DeviceClass, DeviceSpec, Image, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::Watts;

/// A device follows if its power is this close to what was asked of it lately, as part of its rating.
pub const FOLLOWING: f64 = 0.02;
/// A device that has not followed for this long is limited.
pub const LIMITED_AFTER: Span = Span::from_secs(10);
/// The smallest step that is judged, as part of the device's rating.
pub const JUDGED_STEP: f64 = 0.05;
/// A step is judged this long after it was written, besides the latencies of both links.
pub const JUDGED_AFTER: Span = Span::from_secs(2);
/// So many small steps in a row must look wrong: a load may move the meter by chance.
pub const WRONG_STEPS: u8 = 3;
/// A step of this part of the device's rating convicts on its own.
pub const DECISIVE_STEP: f64 = 0.25;

/// What is watched of one controller's devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Supervision {
    watched: Vec<Watched>,
    meter: Option<DeviceIndex>,
}

/// One device's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Watched {
    device: DeviceIndex,
    /// A generator makes less than its limit whenever the sun wants; only a battery is expected to follow.
    class: DeviceClass,
    rating: Watts,
    judged_after: Span,
    asked: Option<Asked>,
    strays_since: Option<LocalTime>,
    is_limited: bool,
    known: Watts,
    step: Option<Step>,
    wrong_meter: u8,
    wrong_device: u8,
}

/// What was asked of a device lately: all set-points of the last one to two times that it has to answer, as ranges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Asked {
    since: LocalTime,
    present: Range,
    before: Range,
}

/// From the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Range {
    least: Watts,
    most: Watts,
}

/// A step of a set-point that is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Step {
    judged_at: LocalTime,
    size: Watts,
    device_before: Watts,
    meter_before: Option<Watts>,
}

impl Supervision {
    /// Watches the controlled devices among `devices`, and how they move `meter` at the point of common coupling.
    pub fn new(set_points: &SetPoints, devices: &[DeviceSpec], meter: Option<DeviceIndex>) -> Self {
        let meter_latency = meter.map_or(Span::ZERO, |meter| devices[meter.position()].latency);
        let channels = set_points.channels().iter();
        let watched = channels.map(|channel| {
            let device = &devices[channel.device().position()];
            Watched {
                device: channel.device(),
                class: device.class,
                rating: device.rating,
                judged_after: JUDGED_AFTER + device.latency.max(meter_latency),
                asked: None,
                strays_since: None,
                is_limited: false,
                known: Watts::ZERO,
                step: None,
                wrong_meter: 0,
                wrong_device: 0,
            }
        });
        Self { watched: watched.collect(), meter }
    }

    /// Forgets what an earlier life was watching.
    pub(super) fn forget(&mut self) {
        self.watched.iter_mut().for_each(Watched::forget);
    }

    /// Compares what was written with what is measured.
    ///
    /// On an island a battery that forms gives what the island takes, and no step of it says anything about a sign.
    pub(super) fn watch(
        &mut self,
        now: LocalTime,
        mode: Option<GridMode>,
        set_points: &SetPoints,
        image: &Image,
        out: &mut Effects,
    ) {
        if mode != Some(GridMode::OnGrid) {
            for watched in self.watched.iter().filter(|watched| watched.is_limited) {
                out.report(Event::DeviceFollows { device: watched.device });
            }
            return self.forget();
        }
        let meter = self.meter.and_then(|meter| image.good(meter, PointKind::Power)).map(Watts::of);
        for (watched, channel) in self.watched.iter_mut().zip(set_points.channels()) {
            let Some(last) = channel.last() else {
                // It was not written yet, or is told nothing any more.
                watched.rest(out);
                continue;
            };
            let Some(power) = image.good(watched.device, PointKind::Power).map(Watts::of) else { continue };
            if watched.class == DeviceClass::Battery {
                watched.follow(now, last.power, power, out);
            }
            watched.judge_step(now, power, self.meter.zip(meter), out);
            watched.note_step(now, last.power, power, meter);
        }
    }
}

impl Watched {
    fn forget(&mut self) {
        self.asked = None;
        self.strays_since = None;
        self.is_limited = false;
        self.known = Watts::ZERO;
        self.step = None;
        self.wrong_meter = 0;
        self.wrong_device = 0;
    }

    /// Watches no more until something is asked of the device.
    fn rest(&mut self, out: &mut Effects) {
        if self.is_limited {
            out.report(Event::DeviceFollows { device: self.device });
        }
        self.forget();
    }

    /// Tells when the device stops or begins to follow.
    fn follow(&mut self, now: LocalTime, set_point: Watts, power: Watts, out: &mut Effects) {
        let asked = self.asked.get_or_insert(Asked::first(now, set_point));
        asked.add(now, self.known, set_point, self.judged_after);
        if asked.distance(power) <= self.rating * FOLLOWING {
            self.strays_since = None;
            if self.is_limited {
                self.is_limited = false;
                out.report(Event::DeviceFollows { device: self.device });
            }
            return;
        }
        let since = *self.strays_since.get_or_insert(now);
        if !self.is_limited && now.since(since) >= LIMITED_AFTER {
            self.is_limited = true;
            out.report(Event::DeviceLimited { device: self.device, difference: set_point - power });
        }
    }

    /// Remembers a step that is large enough to be judged later.
    fn note_step(&mut self, now: LocalTime, set_point: Watts, power: Watts, meter: Option<Watts>) {
        let size = match self.class {
            DeviceClass::Battery | DeviceClass::Meter | DeviceClass::Signal => set_point - self.known,
            // A genset takes its time, a load takes what it wants, and through a breaker flows what must.
            DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker => Watts::ZERO,
            // A limit moves a generator only down, and only if it makes more.
            DeviceClass::Pv => set_point.at_most(power) - power,
        };
        self.known = set_point;
        if self.step.is_none() && size.abs() >= self.rating * JUDGED_STEP {
            let judged_at = now + self.judged_after;
            self.step = Some(Step { judged_at, size, device_before: power, meter_before: meter });
        }
    }

    /// Judges the step whose time has come.
    fn judge_step(
        &mut self,
        now: LocalTime,
        power: Watts,
        meter: Option<(DeviceIndex, Watts)>,
        out: &mut Effects,
    ) {
        let Some(step) = self.step.filter(|step| now >= step.judged_at) else { return };
        self.step = None;
        let moved = power - step.device_before;
        let weight = if step.size.abs() >= self.rating * DECISIVE_STEP { WRONG_STEPS } else { 1 };
        if moves_against(moved, step.size) {
            if convicts(&mut self.wrong_device, weight) {
                let device = self.device;
                out.report(Event::SignSuspect { device, measured_by: device, step: step.size, moved });
            }
            return;
        }
        self.wrong_device = 0;
        let (Some((measured_by, meter)), Some(before)) = (meter, step.meter_before) else { return };
        let meter_moved = meter - before;
        // More into the bus from the device is less from the grid.
        if !moves_against(meter_moved, -moved) || moved.abs() < self.rating * JUDGED_STEP {
            self.wrong_meter = 0;
        } else if convicts(&mut self.wrong_meter, weight) {
            let (device, step) = (self.device, step.size);
            out.report(Event::SignSuspect { device, measured_by, step, moved: meter_moved });
        }
    }
}

impl Asked {
    const fn first(now: LocalTime, set_point: Watts) -> Self {
        let only = Range { least: set_point, most: set_point };
        Self { since: now, present: only, before: only }
    }

    /// Adds a set-point that comes after `known`, and forgets those that the device has had at least `span` to answer.
    fn add(&mut self, now: LocalTime, known: Watts, set_point: Watts, span: Span) {
        let only = |set_point| Range { least: set_point, most: set_point };
        if now.since(self.since) >= span {
            // Where scans are rare, the set-point of the last one was to be answered until now.
            let before = if now.since(self.since) >= span * 2 { only(known) } else { self.present };
            *self = Self { since: now, before, present: only(set_point) };
        }
        self.present.least = self.present.least.at_most(set_point);
        self.present.most = self.present.most.at_least(set_point);
    }

    /// How far a power is from all that was asked for.
    fn distance(&self, power: Watts) -> Watts {
        let least = self.present.least.at_most(self.before.least);
        let most = self.present.most.at_least(self.before.most);
        (least - power).at_least(power - most).at_least(Watts::ZERO)
    }
}

/// Adds a wrong step to those in a row; whether they now suffice, which they do once.
fn convicts(wrong: &mut u8, weight: u8) -> bool {
    let before = *wrong;
    *wrong = before.saturating_add(weight).min(WRONG_STEPS);
    before < WRONG_STEPS && *wrong == WRONG_STEPS
}

/// Whether something moved clearly against what was expected: by at least half of it, the other way.
fn moves_against(moved: Watts, expected: Watts) -> bool {
    let share = moved.watts() / expected.watts();
    expected != Watts::ZERO && share <= -0.5
}

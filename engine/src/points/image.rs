//! The process image: the newest value of each point and whether it may be used.
//!
//! Every value carries its measuring time (arrival − declared latency). A point is good only while it is young enough,
//! possible, vouched for by its device and, where the site says so, its device still moves. What is not good is unknown to
//! the laws: there is no "last good value" to fall for.
//!
//! **Stalls.** Who stood still has asked nobody, and what nobody asked for is not the device's silence. So the scan that ends a
//! stall judges ages as of when it was due, and what counts then does so for the time that the next answer takes: a period and
//! the latency. A poll that was not answered before the stall, or the first after it, counts as ever; so does what is answered.
//!
//! **Stuck.** A gateway may answer for a dead device from its cache. So a device of which no value at all has changed for the
//! time that the site states is stuck as a whole; while one of its values moves, a constant one is only constant.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::device::{Connections, DeviceClass, DeviceSpec, PointKind, Positive};
use super::history::History;
use super::kinds::PointKinds;
use crate::carry::Carry;
use crate::event::Event;
use crate::ids::{DeviceIndex, PointIndex};
use crate::machine::{Effects, Sample, Validity};
use crate::time::{LocalTime, Span};
use crate::timing::Stall;

/// Whether a value may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quality {
    /// Nothing has arrived since boot.
    Unknown,
    /// May be used.
    Good,
    /// Too old.
    Stale,
    /// The device does not vouch for it, or it is no number that can be true.
    Invalid,
    /// No value of its device has changed for too long.
    Stuck,
}

impl Quality {
    /// The quality's name in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "good",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Stuck => "stuck",
        }
    }
}

/// One value with what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The number in the point's base unit and our sign; the last one that was finite.
    pub value: f64,
    /// Whether it may be used, as of the last scan.
    pub quality: Quality,
    /// Of a set-point: whether the device follows it, as far as it says; that another decides is in no value.
    pub is_in_force: bool,
    /// When it was measured, by this host's clock.
    pub measured: LocalTime,
    /// Whether anything that could be believed has arrived since boot.
    arrived: bool,
    /// Whether the last sample could be believed.
    believed: bool,
}

/// All points of one controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    points: Vec<Point>,
    devices: Vec<Entry>,
}

/// What the image needs to know of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    class: DeviceClass,
    kinds: PointKinds,
    positive: Positive,
    connections: Connections,
    /// Whether it answered this controller itself, since that may connect to it.
    has_answered: bool,
    first: PointIndex,
    latency: Span,
    age_max: Span,
    stuck_after: Option<Span>,
    /// When a value of the device last changed.
    changed: LocalTime,
    power: History,
    /// When it is told that nothing of it has arrived since boot; never, once it was, or where it may be another's to ask.
    missed_at: LocalTime,
    /// Polls that it left unanswered, in all lives of which the state is known.
    unanswered: u64,
    /// While before this instant every point of the device is known to keep its quality: a scan need not look.
    settled_until: LocalTime,
}

impl Image {
    /// Makes the image of `devices`; histories reach back over the longest declared latency.
    pub fn new(devices: &[DeviceSpec], scan: Span) -> Self {
        let reach = devices.iter().map(|device| device.latency).max().unwrap_or(Span::ZERO);
        let mut points = Vec::new();
        let mut entries = Vec::with_capacity(devices.len());
        for device in devices {
            entries.push(Entry {
                class: device.class,
                kinds: device.points,
                positive: device.positive,
                connections: device.connections,
                has_answered: false,
                first: PointIndex::of(points.len()),
                latency: device.latency,
                age_max: device.age_max,
                stuck_after: device.stuck_after,
                changed: LocalTime::ZERO,
                power: History::new(scan, reach),
                missed_at: LocalTime::MAX,
                unanswered: 0,
                settled_until: LocalTime::ZERO,
            });
            points.extend(device.points.iter().map(|_kind| Point::unknown()));
        }
        Self { points, devices: entries }
    }

    /// Forgets every value: what was measured before this boot is not known now.
    pub fn forget(&mut self, now: LocalTime) {
        for point in &mut self.points {
            *point = Point::unknown();
        }
        for device in &mut self.devices {
            device.power.clear();
            device.settled_until = LocalTime::ZERO;
            device.has_answered = false;
            device.missed_at = match device.connections {
                Connections::Shared => now + device.age_max,
                Connections::ActiveOnly => LocalTime::MAX,
            };
        }
    }

    /// Notes that the connections to devices which take only one are another's from now on.
    pub fn disconnect(&mut self) {
        let own = self.devices.iter_mut().filter(|entry| entry.connections == Connections::ActiveOnly);
        own.for_each(|entry| (entry.has_answered, entry.missed_at) = (false, LocalTime::MAX));
    }

    /// Notes that the connections to devices which take only one are this controller's from now on: who does not answer is
    /// missed.
    pub fn connect(&mut self, now: LocalTime) {
        let own = self.devices.iter_mut().filter(|entry| entry.connections == Connections::ActiveOnly);
        for entry in own.filter(|entry| !entry.has_answered) {
            (entry.missed_at, entry.settled_until) = (now + entry.age_max, LocalTime::ZERO);
        }
    }

    /// Takes a device's answer. Samples of points that are not the device's are left out.
    pub fn take(&mut self, now: LocalTime, device: DeviceIndex, samples: &[Sample]) {
        let Some(entry) = self.devices.get_mut(device.position()) else { return };
        let measured = now - entry.latency;
        entry.has_answered = true;
        let kinds = entry.kinds;
        let first = entry.first.position();
        let points = &mut self.points[first..first + kinds.len()];
        for sample in samples {
            let place = sample.point.position().wrapping_sub(first);
            let (Some(kind), Some(point)) = (kinds.get(place), points.get_mut(place)) else { continue };
            let believed = sample.validity != Validity::Invalid && kind.can_be(sample.value);
            if believed != point.believed || point.quality != Quality::Good {
                entry.settled_until = LocalTime::ZERO;
            }
            point.believed = believed;
            if !believed {
                continue;
            }
            let factor = if kind.is_signed() { entry.positive.factor() } else { 1.0 };
            let value = kind.bounded(sample.value) * factor + 0.0;
            if value.to_bits() != point.value.to_bits() || !point.arrived {
                point.value = value;
                point.arrived = true;
                entry.changed = now;
            }
            let is_in_force = sample.validity != Validity::NotInForce;
            if core::mem::replace(&mut point.is_in_force, is_in_force) != is_in_force {
                entry.changed = now;
            }
            point.measured = measured;
            if kind == PointKind::Power {
                entry.power.push(measured, value);
            }
        }
    }

    /// Counts a poll that a device left unanswered. Age alone decides when its points are stale.
    pub fn is_silent(&mut self, device: DeviceIndex) {
        if let Some(entry) = self.devices.get_mut(device.position()) {
            entry.unanswered += 1;
        }
    }

    /// How many polls a device left unanswered, over the lives of the controller that it knows of.
    pub fn unanswered(&self, device: DeviceIndex) -> u64 {
        self.devices[device.position()].unanswered
    }

    /// Passes the values of the devices that only the active connects to, with the ages of their measurements.
    pub(crate) fn carry(&mut self, carry: &mut Carry<'_>) {
        for entry in self.devices.iter_mut().filter(|entry| entry.connections == Connections::ActiveOnly) {
            let kinds = entry.kinds;
            let first = entry.first.position();
            for (kind, point) in kinds.iter().zip(&mut self.points[first..first + kinds.len()]) {
                carry.flag(&mut point.arrived);
                carry.flag(&mut point.believed);
                carry.real(&mut point.value);
                carry.flag(&mut point.is_in_force);
                carry.instant(&mut point.measured);
                if carry.restores() && point.arrived && kind == PointKind::Power {
                    entry.power.push(point.measured, point.value);
                }
            }
            carry.instant(&mut entry.changed);
            if carry.restores() {
                entry.settled_until = LocalTime::ZERO;
            }
        }
    }

    /// Which controllers connect to a device.
    pub fn connections(&self, device: DeviceIndex) -> Connections {
        self.devices[device.position()].connections
    }

    /// Whether a device is only seen through the active, or not connected to yet: that its values age is no failure of it.
    pub fn is_apart(&self, device: DeviceIndex) -> bool {
        let entry = &self.devices[device.position()];
        entry.connections == Connections::ActiveOnly && !entry.has_answered
    }

    /// The devices to which these controllers connect.
    pub fn devices_with(&self, connections: Connections) -> impl Iterator<Item = DeviceIndex> {
        let all = (0..).map(DeviceIndex).zip(&self.devices);
        all.filter(move |(_, entry)| entry.connections == connections).map(|(device, _)| device)
    }

    /// Judges every point's quality as of `now` and reports what changed, and once what has been unknown for as long as a value
    /// may be old. A `stall` that ends now has made nothing older.
    pub fn judge(&mut self, now: LocalTime, stall: Option<Stall>, out: &mut Effects) {
        for entry in &mut self.devices {
            if stall.is_none() && now < entry.settled_until {
                continue;
            }
            let (lasted, answers_by) = match stall {
                None => (Span::ZERO, LocalTime::MAX),
                Some(stall) => (stall.lasted, now + stall.period + entry.latency),
            };
            let is_missed = now >= entry.missed_at;
            if is_missed {
                entry.missed_at = LocalTime::MAX;
            }
            let mut settled_until = entry.missed_at.min(answers_by);
            for place in 0..entry.kinds.len() {
                let index = entry.first.position() + place;
                let point = &mut self.points[index];
                let stuck_at = entry.stuck_after.map(|span| entry.changed + span);
                let (quality, until) = point.judged(now - lasted, entry.age_max, stuck_at);
                settled_until = settled_until.min(until + lasted);
                if quality != point.quality || is_missed && quality == Quality::Unknown {
                    point.quality = quality;
                    out.report(Event::QualityChanged { point: PointIndex::of(index), quality });
                }
            }
            entry.settled_until = settled_until;
        }
    }

    /// The value of a point if it is good.
    #[inline]
    pub fn good(&self, device: DeviceIndex, kind: PointKind) -> Option<f64> {
        let point = self.point(device, kind)?;
        if point.quality == Quality::Good { Some(point.value) } else { None }
    }

    /// A device's point; `None` if such a device has no such point.
    #[inline]
    pub fn point(&self, device: DeviceIndex, kind: PointKind) -> Option<&Point> {
        let entry = &self.devices[device.position()];
        self.points.get(entry.first.position() + entry.kinds.place(kind)?)
    }

    /// Whether every point that each device of its class has is good, its set-point read back included, and what it tells of
    /// itself as a whole.
    pub fn is_known(&self, device: DeviceIndex) -> bool {
        let entry = &self.devices[device.position()];
        let is_good = |kind| {
            let point =
                entry.kinds.place(kind).and_then(|place| self.points.get(entry.first.position() + place));
            point.is_some_and(|point| point.quality == Quality::Good)
        };
        entry.class.required(entry.kinds).iter().all(is_good)
    }

    /// Recent power of a device.
    #[inline]
    pub fn power(&self, device: DeviceIndex) -> &History {
        &self.devices[device.position()].power
    }

    /// All points in image order.
    pub fn points(&self) -> &[Point] {
        &self.points
    }
}

impl Point {
    const fn unknown() -> Self {
        Self {
            value: 0.0,
            quality: Quality::Unknown,
            is_in_force: true,
            measured: LocalTime::ZERO,
            arrived: false,
            believed: true,
        }
    }

    /// The quality at `now`, and until when it stays so if nothing arrives.
    ///
    /// New samples only move that instant further out, so a scan before it need not judge again.
    fn judged(&self, now: LocalTime, age_max: Span, stuck_at: Option<LocalTime>) -> (Quality, LocalTime) {
        if !self.believed {
            return (Quality::Invalid, LocalTime::MAX);
        }
        if !self.arrived {
            return (Quality::Unknown, LocalTime::MAX);
        }
        let stale_after = self.measured + age_max;
        if now > stale_after {
            return (Quality::Stale, LocalTime::MAX);
        }
        let tick = Span::from_nanos(1);
        match stuck_at {
            Some(stuck_at) if now > stuck_at => (Quality::Stuck, stale_after + tick),
            Some(stuck_at) => (Quality::Good, stale_after.min(stuck_at) + tick),
            None => (Quality::Good, stale_after + tick),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::functions::testing::device;
    use crate::machine::Effect;

    #[test]
    fn what_never_arrives_is_told_once_when_a_value_would_be_too_old() {
        let shared = device("pcc", DeviceClass::Meter, Positive::Import, 400.0);
        let age_max = shared.age_max;
        let apart = DeviceSpec { connections: Connections::ActiveOnly, ..shared.clone() };
        let heard = shared.clone();
        let mut image = Image::new(&[shared, apart, heard], Span::from_secs(1));
        let booted = LocalTime::ZERO + Span::from_hours(1);
        let told = |now: LocalTime, image: &mut Image| -> Vec<(u16, Quality)> {
            let mut out = Effects::new();
            image.judge(now, None, &mut out);
            let told = |effect: &Effect| {
                let Effect::Report(Event::QualityChanged { point, quality }) = effect else { return None };
                Some((point.0, *quality))
            };
            out.as_slice().iter().filter_map(told).collect()
        };
        image.forget(booted);
        let sample = Sample { point: PointIndex(2), value: 1.0, validity: Validity::Valid };
        image.take(booted + age_max, DeviceIndex(2), &[sample]);
        let before = booted + age_max - Span::from_nanos(1);
        assert_eq!(told(before, &mut image), [(2, Quality::Good)]);
        assert_eq!(told(booted + age_max, &mut image), [(0, Quality::Unknown)]);
        assert_eq!(told(booted + age_max * 2, &mut image), []);
        image.forget(booted);
        assert_eq!(
            told(booted + age_max * 2, &mut image)[..1],
            [(0, Quality::Unknown)],
            "each life tells anew"
        );
    }

    /// The quality in scans of the given times, in milliseconds after one that was due and came 450 ms late, of a meter that
    /// answered last so long before that one was due.
    fn after_a_stall(answered_before: u64, scans: &[(u64, Option<Validity>)]) -> Vec<Quality> {
        let scan = Span::from_millis(100);
        let latency = Span::from_millis(20);
        let meter = device("pcc", DeviceClass::Meter, Positive::Import, 400.0);
        let meter = DeviceSpec { latency, age_max: scan * 3 + latency, ..meter };
        let mut image = Image::new(&[meter], scan);
        let due = LocalTime::ZERO + Span::from_secs(60);
        let answer = |image: &mut Image, now: LocalTime, validity: Validity| {
            image.take(now, DeviceIndex(0), &[Sample { point: PointIndex(0), value: 1.0, validity }]);
        };
        image.forget(LocalTime::ZERO);
        answer(&mut image, due - Span::from_millis(answered_before), Validity::Valid);
        let mut out = Effects::new();
        image.judge(due - scan, None, &mut out);
        let lasted = Span::from_millis(450);
        let judged = scans.iter().map(|(millis, answered)| {
            let now = due + Span::from_millis(*millis);
            if let Some(validity) = *answered {
                answer(&mut image, now, validity);
            }
            let stall = Some(Stall { lasted, period: scan });
            image.judge(now, stall.filter(|_| now == due + lasted), &mut out);
            image.points()[0].quality
        });
        judged.collect()
    }

    #[test]
    fn what_was_not_asked_for_in_a_stall_counts_until_the_next_answer_is_due() {
        use Quality::{Good, Invalid, Stale};
        // It would be too old at 280 ms; it counts until another period and the latency have passed, and no longer.
        assert_eq!(after_a_stall(1, &[(450, None), (569, None), (570, None)]), [Good, Good, Stale]);
        assert_eq!(after_a_stall(1, &[(450, None), (560, Some(Validity::Valid)), (600, None)]), [Good; 3]);
        assert_eq!(after_a_stall(1, &[(450, None), (460, Some(Validity::Invalid))]), [Good, Invalid]);
        assert_eq!(after_a_stall(1, &[(449, None), (450, None)]), [Stale, Good], "only a stall is excused");
    }

    #[test]
    fn the_silence_of_a_device_before_a_stall_and_after_it_are_one() {
        use Quality::{Good, Stale};
        assert_eq!(after_a_stall(201, &[(450, None), (549, None), (550, None)]), [Good, Good, Stale]);
        assert_eq!(after_a_stall(301, &[(450, None)]), [Stale]);
    }
}

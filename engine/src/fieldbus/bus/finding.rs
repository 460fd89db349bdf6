//! Devices that say themselves where their numbers lie: when they are asked, and what follows from what they say.
//!
//! A device is searched when it is polled or written for the first time on a connection. Nothing else is asked of it until that
//! is done: what was to be read is read with the next poll, and a set-point leaves once it is known how. A device that has not
//! what it must have is asked again after [`REST`]; until then its points are not known, and it refuses set-points.
//!
//! **Decision: a new search on each connection, not once in a life.** A device that was updated may have its models elsewhere,
//! and whoever writes where one was writes into another. A search takes a request for each model and some ten more, after an
//! interruption of seconds.
//!
//! **What is doubted is not written.** Where a connection has ended, or a poll shows that a model, a scale factor of what is
//! written or what a share is a share of is another than before, nothing leaves any more that the old map says: set-points and
//! heartbeats that wait end unsent, and the device is searched first.
//!
//! **Decision: a search is jobs in the master's queue, one after the other,** each like any read. So it waits for the set-points
//! of other units, and a unit that does not answer costs what it costs with a map of its own.

use serde::{Deserialize, Serialize};

use super::counter::Counter;
use super::{Ask, Bus, Told, What};
use crate::fieldbus::map::DeviceMap;
use crate::fieldbus::master::{Fault, Job, Next};
use crate::fieldbus::pdu::{Answer, Registers};
use crate::fieldbus::plan::Piece;
use crate::fieldbus::refusal::AnswerFlaw;
use crate::fieldbus::sunspec::{Chain, Missing, Progress, Search, is_missing};
use crate::ids::PointIndex;
use crate::machine::{Effects, Sample, Validity, WriteOutcome};
use crate::time::{LocalTime, Span};

/// After so long a device is searched again that has not what it must have.
const REST: Span = Span::from_secs(10);

/// How far a device's models are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// The search that is under way.
    search: Option<Search>,
    /// The next one does not begin before.
    rests_until: LocalTime,
    /// What was known may not be so any more: the connection is another, or a model is not where it was.
    pub(super) is_doubted: bool,
    /// What was told of the last one that ended.
    told: Option<Result<Chain, Missing>>,
}

impl Finding {
    /// Nothing that is known of a device which says itself need be so any more; whoever searches it begins anew.
    pub(super) fn doubt(&mut self, map: &DeviceMap) {
        self.is_doubted = map.models().is_some();
        if let Some(search) = &mut self.search {
            *search = Search::default();
        }
    }
}

impl Bus {
    /// Whether it is known how a device is polled and written; what is doubted is forgotten first, when nothing is under way.
    pub(super) fn is_found(&mut self, place: usize) -> bool {
        let (map, attached) = (&mut self.spec.devices[place], &mut self.devices[place]);
        if attached.finding.is_doubted && attached.finding.search.is_none() {
            if !attached.is_idle() {
                return false;
            }
            attached.finding.is_doubted = false;
            map.forget();
        }
        map.is_known()
    }

    /// Whether a device that is not known may be searched, or is; not before all ends that its map asked for.
    pub(super) fn may_be_found(&self, now: LocalTime, place: usize) -> bool {
        let finding = &self.devices[place].finding;
        finding.search.is_some() || !finding.is_doubted && now >= finding.rests_until
    }

    /// How a set-point ends of a device that may not be found now.
    pub(super) fn outcome_unfound(&self, place: usize) -> WriteOutcome {
        if self.devices[place].finding.is_doubted { WriteOutcome::Expired } else { WriteOutcome::Refused }
    }

    /// Searches a device that is not known, unless that is under way; it stands for a poll, or for a set-point.
    pub(super) fn find(&mut self, now: LocalTime, place: usize, is_polled: bool, out: &mut Effects) {
        let attached = &mut self.devices[place];
        attached.reads_left = attached.reads_left.max(u16::from(is_polled));
        if attached.finding.search.is_none() {
            attached.finding.search = Some(Search::default());
            self.ask(now, place, What::Find, out);
        }
    }
}

impl Counter<'_> {
    /// What is read next of a device that is searched.
    pub(super) fn sought(&self, place: u16) -> Piece {
        let (map, finding) = (&self.maps[usize::from(place)], &self.devices[usize::from(place)].finding);
        let (Some(by), Some(search)) = (map.models(), &finding.search) else {
            unreachable!("a device is searched that says itself where its numbers lie, while it is searched")
        };
        search.next(by, map.limits())
    }

    /// One step of a search has ended.
    pub(super) fn end_find(&mut self, job: &Job<Ask>, outcome: &Result<Answer<'_>, Fault>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        let read = match outcome {
            Ok(Answer::Registers(registers)) => Some(*registers),
            Err(Fault::Answer(AnswerFlaw::Exception(exception))) if is_missing(*exception) => None,
            Ok(Answer::Bits(_) | Answer::Written | Answer::Identity { .. }) | Err(_) => {
                return self.give_up_search(job);
            }
        };
        match self.step(place, read) {
            Progress::More => Next::InTurn(*job),
            Progress::Done(chain) => self.end_search(job, Ok(chain)),
            Progress::Fails(missing) => self.end_search(job, Err(missing)),
        }
    }

    fn step(&mut self, place: usize, read: Option<Registers<'_>>) -> Progress {
        let (map, finding) = (&self.maps[place], &mut self.devices[place].finding);
        match (map.models(), &mut finding.search) {
            (Some(by), Some(search)) => search.take(by, read),
            (None, _) | (_, None) => Progress::Fails(Missing::Marker),
        }
    }

    /// The device did not answer: whoever waits for the search hears that.
    fn give_up_search(&mut self, job: &Job<Ask>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        let attached = &mut self.devices[place];
        attached.finding.search = None;
        if core::mem::take(&mut attached.reads_left) > 0 {
            self.desk.told.push(Told::TimedOut { device: self.maps[place].device() });
        }
        self.end_all_writes(job.tag.place, WriteOutcome::TimedOut);
        Next::Nothing
    }

    fn end_search(&mut self, job: &Job<Ask>, found: Result<Chain, Missing>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        let (map, attached) = (&mut self.maps[place], &mut self.devices[place]);
        let search = attached.finding.search.take().unwrap_or_default();
        let found = found.and_then(|chain| map.learn(search.models()).map(|()| chain));
        attached.reads_left = 0;
        attached.finding.is_doubted = false;
        let device = map.device();
        self.desk.told.push(Told::Steps { device, step: map.step() });
        if attached.finding.told.replace(found) != Some(found) {
            self.desk.told.push(Told::Models { device, found });
        }
        if found.is_err() {
            attached.finding.rests_until = self.now + REST;
            self.know_nothing(place);
            self.end_all_writes(job.tag.place, WriteOutcome::Refused);
            return Next::Nothing;
        }
        let Some(writing) = &attached.write else { return Next::Nothing };
        if map.heartbeat().is_some() {
            // Some take none from whom they have not heard: it comes again with the next scan, behind a heartbeat.
            self.end_all_writes(job.tag.place, WriteOutcome::Expired);
            return Next::Nothing;
        }
        if map.can_be_written(&writing.write) {
            return Next::AtOnce(Job {
                tag: Ask { what: What::Write, ..job.tag },
                turn: What::Write.turn(),
                ..*job
            });
        }
        self.end_all_writes(job.tag.place, WriteOutcome::Refused);
        Next::Nothing
    }

    /// The device is there, and does not say what its points are.
    fn know_nothing(&mut self, place: usize) {
        let map = &self.maps[place];
        let Some(by) = map.models() else { return };
        let (device, first) = (map.device(), self.desk.samples.len());
        for offset in 0..by.class.points().len() {
            let point = PointIndex::of(by.first_point.position() + offset);
            self.desk.samples.push(Sample { point, validity: Validity::Invalid, value: 0.0 });
        }
        let samples = (first, self.desk.samples.len());
        self.desk.told.push(Told::Points { device, samples });
    }

    /// The set-point under way ends so, and the one that waits for it.
    fn end_all_writes(&mut self, place: u16, outcome: WriteOutcome) {
        while self.devices[usize::from(place)].write.is_some() {
            self.end_write(place, outcome);
        }
    }
}

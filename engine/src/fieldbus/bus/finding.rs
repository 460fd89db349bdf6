//! Devices that are asked first: who they are, where their map says who must answer, and where their numbers lie, if they say
//! that themselves. When they are asked, and what follows from what they say.
//!
//! A device is asked when it is polled or written for the first time on a connection. Nothing else is asked of it until that
//! is done: what was to be read is read with the next poll, and a set-point leaves once it is known how. A device that has not
//! what it must have, or is another than its map names, is asked again after [`REST`]; until then its points are not known, and
//! it refuses set-points.
//!
//! **Decision: a new search on each connection, not once in a life.** A device that was updated may have its models elsewhere,
//! and whoever writes where one was writes into another. A search takes a request for each model and some ten more, after an
//! interruption of seconds. Only of a device that ends connections as a habit (`master::habit`) the end of another says nothing:
//! a search goes on over several, and what it has found holds. Each poll still shows whether its models are where they were.
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
use crate::fieldbus::map::{DeviceMap, Differs};
use crate::fieldbus::master::{Fault, Job, Next};
use crate::fieldbus::pdu::Answer;
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
    /// What is under way.
    search: Option<Seek>,
    /// The next one does not begin before.
    rests_until: LocalTime,
    /// What was known may not be so any more: the connection is another, or a model is not where it was.
    pub(super) is_doubted: bool,
    /// What was told of the last one that ended.
    told: Option<Result<Chain, Missing>>,
    /// And of who the device is.
    told_who: Option<Result<(), Differs>>,
}

/// What a device is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Seek {
    /// Who it is: the text of this place.
    Who(u8),
    /// Where its numbers lie.
    Models(Search),
}

impl Seek {
    /// The first thing of all.
    fn first(map: &DeviceMap) -> Self {
        if map.identity().is_empty() { Self::Models(Search::default()) } else { Self::Who(0) }
    }
}

impl Finding {
    /// Nothing that is known of a device which says itself need be so any more; whoever searches it begins anew.
    pub(super) fn doubt(&mut self, map: &DeviceMap) {
        self.is_doubted |= map.models().is_some();
        if let Some(search) = &mut self.search {
            *search = Seek::first(map);
        }
    }

    /// The connection is over: whoever answers on the next one must say again who it is, and where its numbers lie.
    pub(super) fn begin_anew(&mut self, map: &DeviceMap) {
        self.doubt(map);
        self.is_doubted = map.is_asked_first();
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
            attached.finding.search = Some(Seek::first(&self.spec.devices[place]));
            self.ask(now, place, What::Find, out);
        }
    }
}

impl Counter<'_> {
    /// What is read next of a device that is searched.
    pub(super) fn sought(&self, place: u16) -> Piece {
        let (map, finding) = (&self.maps[usize::from(place)], &self.devices[usize::from(place)].finding);
        match (&finding.search, map.models()) {
            (Some(Seek::Who(text)), _) => map.identity()[usize::from(*text)].piece(),
            (Some(Seek::Models(search)), Some(by)) => search.next(by, map.limits()),
            (Some(Seek::Models(_)) | None, _) => {
                unreachable!(
                    "a device is searched that says itself where its numbers lie, while it is searched"
                )
            }
        }
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
        let (map, finding) = (&self.maps[place], &mut self.devices[place].finding);
        let progress = match (&mut finding.search, map.models()) {
            (Some(Seek::Who(text)), _) => {
                let differs = map.identity()[usize::from(*text)].differs(read);
                *text += 1;
                return match differs {
                    Some(differs) => self.end_identity(job, Err(differs)),
                    None if usize::from(*text) < map.identity().len() => Next::InTurn(*job),
                    None => self.end_identity(job, Ok(())),
                };
            }
            (Some(Seek::Models(search)), Some(by)) => search.take(by, read),
            (Some(Seek::Models(_)) | None, _) => Progress::Fails(Missing::Marker),
        };
        match progress {
            Progress::More => Next::InTurn(*job),
            Progress::Done(chain) => self.end_search(job, Ok(chain)),
            Progress::Fails(missing) => self.end_search(job, Err(missing)),
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

    /// It is known who a device is, or that it is another.
    fn end_identity(&mut self, job: &Job<Ask>, found: Result<(), Differs>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        let (map, attached) = (&mut self.maps[place], &mut self.devices[place]);
        if attached.finding.told_who.replace(found) != Some(found) {
            self.desk.told.push(Told::Identity { device: map.device(), found });
        }
        if found.is_ok() {
            map.identify();
            if map.models().is_some() {
                attached.finding.search = Some(Seek::Models(Search::default()));
                return Next::InTurn(*job);
            }
        }
        self.end_asking(job, found.is_ok())
    }

    fn end_search(&mut self, job: &Job<Ask>, found: Result<Chain, Missing>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        let (map, attached) = (&mut self.maps[place], &mut self.devices[place]);
        let found = match attached.finding.search.take() {
            Some(Seek::Models(search)) => found.and_then(|chain| map.learn(search.models()).map(|()| chain)),
            Some(Seek::Who(_)) | None => found,
        };
        let device = map.device();
        let steps = (map.step(), map.reactive_step());
        self.desk.told.push(Told::Steps { device, steps });
        if attached.finding.told.replace(found) != Some(found) {
            self.desk.told.push(Told::Models { device, found });
        }
        self.end_asking(job, found.is_ok())
    }

    /// Nothing more is asked of who a device is, and where its numbers lie.
    fn end_asking(&mut self, job: &Job<Ask>, is_found: bool) -> Next<Ask> {
        let attached = &mut self.devices[usize::from(job.tag.place)];
        (attached.reads_left, attached.finding.search, attached.finding.is_doubted) = (0, None, false);
        if is_found { self.go_on_found(job) } else { self.rest(job) }
    }

    /// The device is left alone for a while, and nothing is known of it.
    fn rest(&mut self, job: &Job<Ask>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        self.devices[place].finding.rests_until = self.now + REST;
        self.know_nothing(place);
        self.end_all_writes(job.tag.place, WriteOutcome::Refused);
        Next::Nothing
    }

    /// The device is known: a set-point that waited for that leaves.
    fn go_on_found(&mut self, job: &Job<Ask>) -> Next<Ask> {
        let place = usize::from(job.tag.place);
        let (map, attached) = (&self.maps[place], &self.devices[place]);
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
        let (device, first) = (map.device(), self.desk.samples.len());
        let unknown = |point: PointIndex| Sample { point, validity: Validity::Invalid, value: 0.0 };
        match map.models() {
            Some(by) => {
                let points = 0..by.kinds.len();
                let index = |offset: usize| PointIndex::of(by.first_point.position() + offset);
                self.desk.samples.extend(points.map(|offset| unknown(index(offset))));
            }
            None => self.desk.samples.extend(map.points().iter().map(|point| unknown(point.point))),
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

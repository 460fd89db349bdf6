//! What happens at one instant in an order that a seed chooses.
//!
//! Things that happen at one instant come in the order in which they were planned, the timeline first, then wakes by
//! controller. Nothing may depend on that: a test shuffles it and sees whether what must always hold still does. Results may
//! change.
//!
//! Some things keep their order, since one causes the other or they travel the same way: what happens on one device's link,
//! a boot and all that follows on the same controller, and the entries of the timeline.

use alloc::vec::Vec;

use r_ems_engine::Time;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::queue::EventQueue;
use r_ems_engine::rng::Stream;
use r_ems_engine::wakes::Wakes;

use super::SimDriver;
use super::devices::{WriteAnswer, WriteUnderWay};
use super::pending::{Devices, Happened, Of, Pending};
use super::timeline::Timeline;

/// Everything that is due at the present instant, and the chance that chooses among it.
#[derive(Clone, Debug)]
pub(super) struct Shuffle {
    stream: Stream,
    /// What is due now, in the order in which it was planned.
    due: Vec<Pending>,
    /// Places in `due`, then controllers whose wake is due; kept for its memory.
    eligible: Vec<Chosen>,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Chosen {
    /// A place among what is due.
    Due(u32),
    /// A controller wakes.
    Wake(u16),
}

impl Shuffle {
    pub(super) fn new(seed: u64) -> Self {
        Self { stream: Stream::named(seed, "ties"), due: Vec::new(), eligible: Vec::new() }
    }

    /// Whether something is left of the present instant.
    fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Takes all that the timeline and the queue have for `at`. Answers that travel together arrive one by one.
    fn gather(&mut self, timeline: &mut Timeline, queue: &mut EventQueue<Pending>, at: Time) {
        while timeline.due() == at {
            self.due.push(timeline.take());
        }
        while queue.next_time() == Some(at) {
            let Some((_, pending)) = queue.pop() else { return };
            if let Pending::Answers(Devices { of, first, count }) = pending {
                let single = |first| Pending::Answers(Devices { of, first, count: 1 });
                self.due.extend((first..first + count).map(single));
            } else {
                self.due.push(pending);
            }
        }
    }

    /// Chooses what happens next at `at` among what is due and the wakes of `posts` controllers.
    ///
    /// # Panics
    /// If nothing is due: whoever asks has seen that something is.
    fn choose(&mut self, wakes: &Wakes, posts: u16, at: Time) -> Chosen {
        self.eligible.clear();
        for (place, pending) in (0..).zip(&self.due) {
            let before = &self.due[..place as usize];
            if !before.iter().any(|other| keep_their_order(other, pending)) {
                self.eligible.push(Chosen::Due(place));
            }
        }
        let is_woken = |post: &u16| wakes.deadline(u32::from(*post)) == Some(at);
        self.eligible.extend((0..posts).filter(is_woken).map(Chosen::Wake));
        self.eligible[self.stream.below(self.eligible.len() as u64) as usize]
    }

    /// Takes what was chosen.
    fn take(&mut self, place: u32) -> Pending {
        self.due.remove(place as usize)
    }
}

impl SimDriver {
    /// Lets the world happen until something reaches a machine, with the order at one instant shuffled.
    #[cold]
    pub(super) fn wait_shuffled(&mut self) -> Option<(u16, Happened)> {
        let posts = self.posts.len() as u16;
        loop {
            let shuffle = self.shuffle.as_mut()?;
            let queued = self.queue.next_time().unwrap_or(Time::MAX).min(self.timeline.due());
            let woken = self.wakes.next().map_or(Time::MAX, |wake| wake.0);
            let at = if shuffle.is_due() { self.now } else { queued.min(woken) };
            if at > self.end || at == Time::MAX {
                self.now = self.end;
                return None;
            }
            shuffle.gather(&mut self.timeline, &mut self.queue, at);
            let chosen = match shuffle.choose(&self.wakes, posts, at) {
                Chosen::Wake(post) => Err(post),
                Chosen::Due(place) => Ok(shuffle.take(place)),
            };
            self.pass_to(at);
            match chosen {
                Err(post) => return Some((post, Happened::Wake)),
                Ok(pending) => {
                    let happened = self.happen(at, pending);
                    if happened.is_some() {
                        return happened;
                    }
                }
            }
        }
    }
}

/// Whether `later`, which was planned after `earlier`, may not happen before it.
fn keep_their_order(earlier: &Pending, later: &Pending) -> bool {
    match (place_of(earlier), place_of(later)) {
        (Place::Timeline, Place::Timeline) => true,
        (Place::Timeline, Place::Devices(_)) | (Place::Devices(_), Place::Timeline) => false,
        (Place::Devices(one), Place::Devices(other)) => {
            let (end, other_end) =
                (one.first.saturating_add(one.count), other.first.saturating_add(other.count));
            one.of.post == other.of.post && one.first < other_end && other.first < end
        }
    }
}

/// Where something happens.
enum Place {
    Timeline,
    Devices(Devices),
}

fn place_of(pending: &Pending) -> Place {
    let of_all = |of| Devices { of, first: 0, count: u16::MAX };
    let of_one = |of, device: DeviceIndex| Devices { of, first: device.0, count: 1 };
    Place::Devices(match *pending {
        Pending::Timeline(_) | Pending::Mail { .. } | Pending::LookAtWalls => return Place::Timeline,
        Pending::Boot(of)
        | Pending::Saved(of)
        | Pending::Disk { of, .. }
        | Pending::Tend(of)
        | Pending::Revive(of)
        | Pending::Stop(of)
        | Pending::Ended(of)
        | Pending::Request { of, .. }
        | Pending::Frame { of, .. }
        | Pending::LineTold { of, .. }
        | Pending::Told { of, .. } => of_all(of),
        Pending::Measure(devices) | Pending::Answers(devices) => devices,
        Pending::PollTimedOut { of, device }
        | Pending::WriteEnded { of, device, .. }
        | Pending::NotSent { of, device, .. } => of_one(of, device),
        Pending::Write(WriteUnderWay { of, device, .. })
        | Pending::WriteAnswered(WriteAnswer { of, device, .. }) => of_one(of, device),
        Pending::Send { of, write } => of_one(of, write.device),
        Pending::Chance { post, device } => of_one(Of { post, life: 0 }, device),
        Pending::Next { post } => of_all(Of { post, life: 0 }),
    })
}

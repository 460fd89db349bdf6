//! One controller's place on this host: its connections, its life, and how far that has come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::{fmt, io};

use r_ems_engine::ids::{ConnectionIndex, ControllerIndex};
use r_ems_engine::log::Header;
use r_ems_engine::machine::Input;
use r_ems_engine::persistence::recovery::{Expected, Making};
use r_ems_engine::persistence::{JournalSettings, Life, Recovered, Storage};
use r_ems_engine::redundancy::Seat;
use r_ems_engine::wall::told::Told;
use r_ems_engine::{LocalTime, Span, Time};

use super::gauges::Asked;
use super::renewing::Fares;
use crate::line::{Line, Way};
use crate::reactor::Watch;

/// Rebuilds a machine's state from its files, whatever kind of machine it is.
pub(super) type Rebuild = fn(&mut dyn Storage, &Expected<'_>) -> Recovered;

/// What a controller of this host is to its driver.
#[derive(Clone, Debug)]
pub struct PostSpec {
    /// By what letters name its grid.
    pub grid: u64,
    /// Its seat in the council of the grid.
    pub seat: Seat,
    /// By seat of that council: the host.
    pub council: Vec<u16>,
    /// Where the connections of its fieldbus lead, in the order of their ids.
    pub lines: Vec<Way>,
    /// What it begins each life with.
    pub life: LifeSpec,
}

/// What a controller begins a life with, and how that is kept.
#[derive(Clone, Debug)]
pub struct LifeSpec {
    /// What each segment of its journal says about itself.
    pub header: Header,
    /// How the journal is kept.
    pub journal: JournalSettings,
    /// Whether its state is recovered; promises always are.
    pub auto_replay: bool,
    /// Its encoded state as it is made.
    pub fresh: Vec<u8>,
    /// What another text of the site's file makes.
    pub makes: Makes,
    /// Whether any device is left with a set-point of its own when it ends and nobody goes on.
    pub has_at_stop: bool,
}

/// Gives the encoded state of a controller, as it is made, for a text of its site's file; `None`: that makes none.
type Make = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// What other texts of a site's file make of a controller.
#[derive(Clone)]
pub struct Makes(Arc<Make>);

impl Makes {
    /// Says it by a function, whose panics are its own matter.
    pub fn new(makes: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(makes))
    }
}

impl fmt::Debug for Makes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Makes")
    }
}

impl LifeSpec {
    /// What a recovery of it expects.
    pub fn expected(&self) -> Expected<'_> {
        let Self { header, fresh, auto_replay, makes, .. } = self;
        Expected { header, fresh, auto_replay: *auto_replay, making: Making(&*makes.0), at: Time::ZERO }
    }

    /// Whether a life that begins with the other one is another, whatever its log says about itself.
    pub(super) fn makes_another(&self, other: &Self) -> bool {
        self.fresh != other.fresh || self.journal != other.journal || self.auto_replay != other.auto_replay
    }
}

/// How far a life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is made from the files; then it begins without them.
    Recovering(Time),
    /// Its number is on its way to the disk.
    Numbering,
    /// It is restored and boots, as far as that has not been delivered.
    Booting,
    Living,
    /// The machine has stopped; its last state is on its way to the disk.
    Ending,
    /// It failed an assertion, and begins again then.
    Failed(Time),
    /// There is no life any more, and none will begin.
    Gone,
}

/// What follows a life that ends in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// Nothing.
    Rests,
    /// The next one.
    Returns,
}

/// A controller's place.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) spec: PostSpec,
    pub(super) lines: Vec<Line>,
    /// Writes under lower epochs leave no more: it gave these up.
    pub(super) writes_from: u64,
    /// Until when it holds authority.
    pub(super) holds_until: LocalTime,
    pub(super) stage: Stage,
    pub(super) life: Option<Life>,
    /// By lane: what its disk is asked to do.
    pub(super) asked: [Option<Asked>; 2],
    /// Whether its machine is as it was made.
    pub(super) is_new: bool,
    pub(super) leaves: Option<Afterwards>,
    /// It ends as soon as it can hear that, and lives until then only to leave its devices as its site says.
    pub(super) stops: bool,
    /// What its next life begins with, if that is something else.
    pub(super) next: Option<LifeSpec>,
    pub(super) fares: Fares,
    /// How it fared before it was asked to begin anew, until it fares so again.
    pub(super) awaited: Option<Fares>,
    /// What it was told of the wall clock.
    pub(super) told: Told,
    /// Whether it was woken last, and not told anything.
    pub(super) was_woken: bool,
}

/// So much later a machine is woken that was woken and wants to be woken in the past.
const REST: Span = Span::from_millis(1);

/// When a machine is woken that wants that at `due`, after a delivery at `at`, all of whose effects were done by `now`.
///
/// A wake that changes nothing would be the next one again. What arrived just as a wake was due comes before it, and makes it no
/// later.
pub(super) fn woken_at(due: Time, was_woken: bool, at: Time, now: Time) -> Time {
    if was_woken && due <= at { now + REST } else { due }
}

/// What waits to be delivered to a controller.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    Restore,
    Boot,
    /// An input that borrows nothing.
    Told(Input<'static>),
    /// What the wall clock shows then.
    WallClock,
    /// From another controller on this host.
    Letter(Vec<u8>),
}

/// All that waits, in order.
pub(super) type Queue = VecDeque<(ControllerIndex, Waiting)>;

impl Post {
    /// A place whose life begins with what was found.
    ///
    /// # Errors
    /// There are no threads or descriptors for its lines.
    pub(super) fn new(
        at: Time,
        spec: PostSpec,
        found: Recovered,
        watch: impl Fn(ConnectionIndex) -> Watch,
    ) -> io::Result<Self> {
        let life = Life::begin(at, found);
        let line = |(place, way)| Line::new(way, watch(ConnectionIndex::of(place)));
        Ok(Self {
            lines: spec.lines.iter().enumerate().map(line).collect::<io::Result<_>>()?,
            spec,
            writes_from: 0,
            holds_until: LocalTime::ZERO,
            stage: Stage::Numbering,
            life: Some(life),
            asked: [None; 2],
            is_new: true,
            leaves: None,
            stops: false,
            next: None,
            fares: Fares::IsDown,
            awaited: None,
            told: Told::NOTHING,
            was_woken: false,
        })
    }

    /// The encoded state with which its life begins.
    pub(super) fn state(&self) -> &[u8] {
        self.life.as_ref().expect("who is restored has begun to live").state(&self.spec.life.fresh)
    }

    /// Whether its machine must be given the state with which its life begins.
    pub(super) fn is_to_be_restored(&self) -> bool {
        !self.is_new || self.life.as_ref().is_some_and(|life| life.found().state.is_some())
    }

    /// Ends its life: nothing of it is waited for.
    pub(super) fn end(&mut self, stage: Stage) {
        self.lines.iter_mut().for_each(Line::close);
        (self.life, self.asked) = (None, [None; 2]);
        (self.writes_from, self.holds_until) = (0, LocalTime::ZERO);
        (self.stage, self.leaves, self.fares) = (stage, None, Fares::IsDown);
    }

    /// Whether what waits for it may be delivered now.
    pub(super) const fn hears(&self, waiting: &Waiting) -> bool {
        match waiting {
            Waiting::Restore | Waiting::Boot => matches!(self.stage, Stage::Booting),
            Waiting::Told(_) | Waiting::WallClock | Waiting::Letter(_) => matches!(self.stage, Stage::Living),
        }
    }

    /// When something of its life is due, or the next one.
    pub(super) fn due(&self) -> Option<Time> {
        match self.stage {
            Stage::Failed(until) | Stage::Recovering(until) => Some(until),
            Stage::Numbering | Stage::Booting | Stage::Living | Stage::Ending | Stage::Gone => {
                self.life.as_ref().and_then(Life::deadline)
            }
        }
    }
}

/// The host's clock is the run's.
pub(super) const fn local(at: Time) -> LocalTime {
    LocalTime::from_nanos(at.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_woken_and_wants_that_in_the_past_is_woken_later() {
        let [due, at, now] = [5, 7, 8].map(|millis| Time::ZERO + Span::from_millis(millis));
        assert_eq!(woken_at(due, true, at, now), now + REST, "it keeps nobody from anything");
        assert_eq!(woken_at(due, true, due, now), now + REST);
        assert_eq!(woken_at(now, true, at, now), now, "it was woken for something else");
        assert_eq!(
            woken_at(due, false, at, now),
            due,
            "a frame that came as a scan was due makes it no later"
        );
    }
}

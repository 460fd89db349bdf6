//! Whether a controller could write: what it knows of its devices and of the active, how it starts, and how it fares.
//!
//! It begins to run once every meter that a function needs and every device that it controls is known. A device to which only
//! the active connects is known through the active, or not at all before the first authority: nobody waits for it in vain.

use super::composition::HOLD;
use super::set_points::Channel;
use super::{Controller, Phase};
use crate::event::Event;
use crate::functions::Function;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::{Connections, PointKind};
use crate::redundancy::Health;
use crate::time::{LocalTime, Span};
use crate::timing::Stall;

/// So many scans in a row that were late by a whole period are a fault of the host: authority is handed over.
const OVERRUNS_MAX: u8 = 3;
/// So long a start waits for devices that do not answer; then it begins with those that do.
pub const START_PATIENCE: Span = Span::from_secs(10);

impl<F: Function> Controller<F> {
    /// Sees which points count in this scan, and what devices say of themselves.
    pub(super) fn judge(&mut self, now: LocalTime, stall: Option<Stall>, out: &mut Effects) {
        self.image.judge(now, stall, out);
        self.composition.look_at_devices(&self.image, out);
    }

    /// The stall that ends now, if what was measured before it may count for a moment longer: once this controller runs, and as
    /// long as a battery would be held without its meter, and each device holds what it was told.
    pub(super) fn stall(&self, now: LocalTime) -> Option<Stall> {
        let holds = |stall: &Stall| {
            let held_for = self.set_points.held_for().unwrap_or(HOLD);
            self.phase == Phase::Running && stall.lasted <= held_for.min(HOLD)
        };
        self.scan_clock.stall(now).filter(holds)
    }

    /// Whether it knows what the active remembers, which is nothing before that has begun. Once the active is gone, the last that
    /// it told must do.
    ///
    /// **Decision: then even nothing must do**, as for a standby that has just booted: it cannot be told anything any more, and
    /// if it waited, the grid might wait for ever. How old its state is, or that it has none, is told with its first set-points.
    fn has_state(&self, now: LocalTime) -> bool {
        let is_fresh = |age| age <= self.redundancy.settings().state_age_max;
        !self.redundancy.hears_active(now)
            || self.redundancy.follows_unready()
            || self.transfer.age(now).is_some_and(is_fresh)
    }

    /// Tells the supervisor how this controller fares.
    pub(super) fn tell_health(&mut self, now: LocalTime, out: &mut Effects) {
        if !self.redundancy.is_alone() {
            let health = self.fares(now);
            self.redundancy.report(now, health, out);
        }
    }

    /// How it fares: as its council was told last, or as it is where nobody needs to be told.
    pub fn health(&self, now: LocalTime) -> Health {
        if !self.redundancy.is_alone() {
            return self.redundancy.health();
        }
        let fares = self.fares(now);
        Health { is_ready: fares.is_ready && self.stopping.is_none(), ..fares }
    }

    fn fares(&self, now: LocalTime) -> Health {
        // Of a device that takes one connection nobody knows whether another would reach it, so its loss is no reason to hand
        // over: each new active would have to see it for a while before it counts, and would give up first. Who is alone hands
        // nothing over, and says what it reaches.
        let is_alone = self.redundancy.is_alone();
        let counts = |device| is_alone || self.image.connections(device) == Connections::Shared;
        let is_good = |device: DeviceIndex| self.image.good(device, PointKind::Power).is_some();
        let mut meters = self.meters.iter().copied().filter(|meter| counts(*meter));
        let members = self.composition.groups().iter().flat_map(|group| group.members());
        let mut members = members.filter(|member| counts(member.device()));
        Health {
            is_ready: self.can_start() && self.has_state(now),
            reaches_devices: meters.all(is_good) && members.all(|member| member.is_seen()),
            overruns: self.overruns >= OVERRUNS_MAX,
            is_late: self.set_points.is_late(now, counts),
            writes_end: self.set_points.writes_end(),
        }
    }

    /// Whether it runs, or waits only for what it would reach as the active.
    fn can_start(&self) -> bool {
        match self.phase {
            Phase::Made | Phase::Voting | Phase::Stopped => false,
            Phase::Running => true,
            Phase::Starting => {
                let controlled = self.set_points.channels().iter().map(Channel::device);
                let needed = self.meters.iter().copied().chain(self.composition.breaker());
                let mut own = needed.chain(controlled).filter(|own| self.connects(*own));
                own.all(|device| self.image.is_known(device))
            }
        }
    }

    /// Whether it connects to a device as things stand.
    fn connects(&self, device: DeviceIndex) -> bool {
        match self.image.connections(device) {
            Connections::Shared => true,
            Connections::ActiveOnly => self.redundancy.role().holds(),
        }
    }

    /// Begins to run once everything is known, or the meters and something to control after some patience.
    pub(super) fn start(&mut self, now: LocalTime, out: &mut Effects) {
        let is_known = |device: DeviceIndex| self.image.is_known(device);
        if self.phase != Phase::Starting || !self.meters.iter().all(|meter| is_known(*meter)) {
            return;
        }
        let mut controlled = self.set_points.channels().iter().map(Channel::device);
        let has_patience = now.since(self.booted_at) < START_PATIENCE;
        let is_enough = if has_patience {
            // A limit that stays while its measurement is lost must be known once.
            let is_measured =
                |law: &F| law.meter().is_none_or(|meter| self.image.good(meter, law.measured()).is_some());
            let tells_mode = self.composition.breaker().is_none_or(is_known);
            tells_mode
                && controlled.all(is_known)
                && self.composition.slots().iter().all(|slot| is_measured(slot.law()))
        } else {
            controlled.any(is_known)
        };
        if !is_enough {
            return;
        }
        self.phase = Phase::Running;
        out.report(Event::Started { after: now.since(self.booted_at) });
    }
}

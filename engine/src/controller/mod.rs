//! A controller: one machine that reads its grid's image, composes its functions' wishes, and writes set-points.
//!
//! ```text
//!     Points, TimedOut, Written ─> image ─┐
//!     Wake ─> scan clock ─> judge image ─> composition ─> role gate ─> set-points ─> Write
//!                     └───> polls, due just before the next scan                └──> supervision
//! ```
//!
//! - [`composition`] asks the functions; [`interval`] is what is left of a group's freedom; [`group`] and [`share`] split it;
//! - [`set_points`] holds the role gate, epochs, expiry and the rate limit of writes;
//! - [`supervision`] watches whether devices do what they are told; [`tally`] sums what each function did;
//! - [`crate::redundancy`] says whether this controller may write at all.
//!
//! **Start-up.** Nothing is decided before every meter that a function needs is good, and nothing is written to a device
//! before all its points are good and its set-point was read back. Devices that do not answer are waited for, but not for
//! ever ([`START_PATIENCE`]): one dead battery of ten must not stop the site, nor an inverter that sleeps at night. The
//! first set-point is the measured power; then each function takes over from there.
//!
//! **Redundancy.** A standby does everything that an active does but write: so it is ready, and so the first set-points of a
//! take-over are those that the active would have written. It is granted authority between two scans, and then decides and
//! writes at once. A witness has no devices and only votes.

pub mod composition;
pub mod group;
pub mod interval;
pub mod member;
pub mod set_points;
pub mod share;
pub mod supervision;
pub mod tally;
pub mod view;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::composition::{Composition, Scan};
use self::group::Group;
use self::set_points::{Channel, SetPoints};
use self::supervision::Supervision;
use crate::event::Event;
use crate::functions::wiring::GroupSpec;
use crate::functions::{Function, SpecError, Wiring};
use crate::ids::DeviceIndex;
use crate::machine::{Boot, Effect, Effects, Input, Machine};
use crate::persistence::{SnapshotSchedule, SnapshotSettings};
use crate::points::{DeviceSpec, Image, PointKind};
use crate::redundancy::{Epoch, Health, RedundancySupervisor, Role, SupervisorSpec};
use crate::time::{LocalTime, Span};
use crate::timing::{LoopTimingReporter, ScanClock};
use crate::wall::WallTime;

/// What a controller is made from; [`ControllerSpec::wire`] makes it from names.
#[derive(Clone, Debug)]
pub struct ControllerSpec<F: Function> {
    /// The grid that it controls.
    pub grid: String,
    /// Its id within the grid.
    pub id: String,
    /// The time between two scans.
    pub scan: Span,
    /// The devices of its grid; their order makes ids.
    pub devices: Vec<DeviceSpec>,
    /// The functions in priority order.
    pub laws: Vec<F>,
    /// The groups that the functions act on.
    pub groups: Vec<GroupSpec>,
    /// Its seat in the grid's council, and the council's rules.
    pub redundancy: SupervisorSpec,
    /// When it asks for snapshots.
    pub snapshots: SnapshotSettings,
}

/// A mistake in one function of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackError {
    /// The function's position in the stack.
    pub position: usize,
    /// What is wrong with it.
    pub error: SpecError,
}

impl<F: Function> ControllerSpec<F> {
    /// Builds the functions of a stack and finds their devices.
    ///
    /// # Errors
    /// Every mistake of every function, with the function's position.
    pub fn wire(
        grid: &str,
        id: &str,
        scan: Span,
        devices: Vec<DeviceSpec>,
        stack: &[F::Spec],
    ) -> Result<Self, Vec<StackError>> {
        let mut wiring = Wiring::new(&devices);
        let mut errors = Vec::new();
        let mut laws = Vec::with_capacity(stack.len());
        for (position, spec) in stack.iter().enumerate() {
            laws.push(F::build(spec, &mut wiring));
            errors.extend(wiring.take_errors().into_iter().map(|error| StackError { position, error }));
        }
        let groups = wiring.into_groups();
        if errors.is_empty() {
            let redundancy = SupervisorSpec::alone();
            Ok(Self {
                grid: String::from(grid),
                id: String::from(id),
                scan,
                devices,
                laws,
                groups,
                redundancy,
                snapshots: SnapshotSettings::NEVER,
            })
        } else {
            Err(errors)
        }
    }

    /// A witness of a grid: it has a vote and nothing else.
    pub fn witness(grid: &str, id: &str, redundancy: SupervisorSpec) -> Self {
        let (grid, id) = (String::from(grid), String::from(id));
        let (devices, laws, groups) = (Vec::new(), Vec::new(), Vec::new());
        let snapshots = SnapshotSettings::NEVER;
        Self { grid, id, scan: redundancy.settings.evaluate, devices, laws, groups, redundancy, snapshots }
    }
}

/// So many scans in a row that were late by a whole period are a fault of the host: authority is handed over.
const OVERRUNS_MAX: u8 = 3;
/// So long a start waits for devices that do not answer; then it begins with those that do.
pub const START_PATIENCE: Span = Span::from_secs(10);

/// One controller of a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Controller<F: Function> {
    scan_clock: ScanClock,
    timing: LoopTimingReporter,
    image: Image,
    /// The meters that functions need.
    meters: Vec<DeviceIndex>,
    devices: u16,
    composition: Composition<F>,
    set_points: SetPoints,
    supervision: Supervision,
    redundancy: RedundancySupervisor,
    snapshots: SnapshotSchedule,
    /// The authority under which it writes; `None` while it has none.
    writes: Option<Writing>,
    /// Scans in a row before which others were missed.
    overruns: u8,
    phase: Phase,
    booted_at: LocalTime,
    wall_at_boot: Option<WallTime>,
}

/// How far a controller has come in writing under its authority.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Writing {
    epoch: Epoch,
    since: LocalTime,
    /// Whether the first set-points of this authority are out.
    has_begun: bool,
}

/// Where a controller is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Made, but not booted.
    Made,
    /// It polls and waits until every required point is good.
    Starting,
    /// It scans, and writes if it may.
    Running,
    /// It is a witness: it votes.
    Voting,
}

impl<F: Function> Machine for Controller<F> {
    type Spec = ControllerSpec<F>;

    fn new(spec: &ControllerSpec<F>) -> Self {
        let group = |group: &GroupSpec| Group::new(group, &spec.devices, spec.scan);
        let groups: Vec<Group> = spec.groups.iter().map(group).collect();
        let set_points = SetPoints::new(&groups, &spec.devices);
        let meters = meters(spec);
        let supervision = Supervision::new(&set_points, &spec.devices, meters.first().copied());
        Self {
            scan_clock: ScanClock::new(spec.scan, LocalTime::ZERO),
            timing: LoopTimingReporter::default(),
            image: Image::new(&spec.devices, spec.scan),
            meters,
            devices: DeviceIndex::of(spec.devices.len()).0,
            composition: Composition::new(spec.laws.clone(), groups),
            set_points,
            supervision,
            redundancy: RedundancySupervisor::new(&spec.redundancy),
            snapshots: SnapshotSchedule::new(spec.snapshots),
            writes: None,
            overruns: 0,
            phase: Phase::Made,
            booted_at: LocalTime::ZERO,
            wall_at_boot: None,
        }
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.scan_clock = ScanClock::new(self.scan_clock.period(), now);
        self.image.forget();
        self.composition.forget();
        self.set_points.forget();
        self.supervision.forget();
        self.writes = None;
        self.overruns = 0;
        self.booted_at = now;
        self.wall_at_boot = boot.wall;
        out.report(Event::Booted { incarnation: boot.incarnation });
        self.snapshots.boot(now, boot.origin, out);
        self.redundancy.boot(now, boot.incarnation, boot.promise, out);
        self.phase = if self.redundancy.role() == Role::Witness { Phase::Voting } else { Phase::Starting };
        self.poll(out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        match *input {
            Input::Wake => self.wake(now, out),
            Input::Points { device, samples } => self.image.take(now, device, samples),
            // Age alone decides when a silent device's points are stale; the log keeps the reason.
            Input::TimedOut { device: _ } => {}
            Input::Written { device, outcome } => {
                self.set_points.written(now, device, outcome, out);
                self.tell_health(now, out);
            }
            Input::Message { from, ref message } => self.redundancy.message(now, from, message, out),
            Input::Promised { succeeded } => self.redundancy.saved(now, succeeded, out),
            Input::Snapshotted { succeeded } => self.snapshots.snapshotted(now, succeeded, out),
            Input::Journal(status) => self.snapshots.journal(now, status, out),
            Input::Command(command) => self.redundancy.command(now, command, out),
        }
        self.follow_authority(now, out);
    }

    fn deadline(&self) -> Option<LocalTime> {
        match self.phase {
            Phase::Made => None,
            Phase::Voting => self.redundancy.deadline(),
            Phase::Starting | Phase::Running => {
                let scan = self.scan_clock.due();
                let council = self.redundancy.deadline().unwrap_or(LocalTime::MAX);
                Some(scan.min(council).min(self.begins_at().unwrap_or(LocalTime::MAX)))
            }
        }
    }
}

impl<F: Function> Controller<F> {
    fn wake(&mut self, now: LocalTime, out: &mut Effects) {
        if self.redundancy.deadline().is_some_and(|deadline| now >= deadline) {
            self.redundancy.wake(now, out);
        }
        match self.phase {
            Phase::Made | Phase::Voting => {}
            Phase::Starting | Phase::Running => self.scan(now, out),
        }
    }

    fn scan(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(turn) = self.scan_clock.begin(now) else { return };
        self.timing.count(turn);
        self.overruns = if turn.missed > 0 { self.overruns.saturating_add(1) } else { 0 };
        if turn.missed > 0 {
            out.report(Event::ScansMissed { count: turn.missed, lateness: turn.lateness });
        }
        self.image.judge(now, out);
        self.start(now, out);
        if self.phase == Phase::Running {
            self.compose(now, out);
            self.write(now, out);
            self.supervision.watch(now, &self.set_points, &self.image, out);
        }
        self.tell_health(now, out);
        self.poll(out);
        self.snapshots.scanned(now, out);
        self.invariants(now);
    }

    fn compose(&mut self, now: LocalTime, out: &mut Effects) {
        let elapsed = self.composition.elapsed(now);
        let scan = Scan { now, wall: self.wall(now), image: &self.image, elapsed };
        self.composition.compose(&scan, out);
    }

    /// Writes set-points, as far as there is authority.
    fn write(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(authority) = self.redundancy.authority(now) else { return };
        let settings = self.redundancy.settings();
        let (groups, image) = (self.composition.groups(), &self.image);
        let step = self.set_points.write(now, authority, settings, groups, image, out);
        let begins = self.begins_at().is_some_and(|at| now >= at);
        if let Some(writes) = self.writes.as_mut().filter(|_writes| begins) {
            writes.has_begun = true;
            let after = now.since(writes.since);
            if let Some(step) = step {
                out.report(Event::SetPointsTakenOver { step, after });
            }
        }
    }

    /// Notices that authority came or went. Who has just been granted it decides and writes at once.
    fn follow_authority(&mut self, now: LocalTime, out: &mut Effects) {
        let authority = self.redundancy.authority(now);
        let known = self.writes.map(|writes| writes.since);
        let Some(authority) = authority else {
            // Who hands over still waits for its last writes.
            if !self.redundancy.role().holds() && self.writes.take().is_some() {
                // What was written is another's to re-assert and to watch from now on.
                self.set_points.forget();
                self.supervision.forget();
            }
            return;
        };
        if known == Some(authority.since) {
            if self.begins_at().is_some_and(|at| now >= at) {
                self.write(now, out);
            }
            return;
        }
        self.set_points.forget();
        self.supervision.forget();
        let is_first = self.redundancy.is_alone();
        self.writes = Some(Writing { epoch: authority.epoch, since: authority.since, has_begun: is_first });
        if self.phase == Phase::Running {
            self.image.judge(now, out);
            self.compose(now, out);
            self.write(now, out);
        }
    }

    /// When the first write of this authority may leave, if it is still to come.
    fn begins_at(&self) -> Option<LocalTime> {
        let may_begin = self.phase == Phase::Running && self.redundancy.role() == Role::Active;
        let writes = self.writes.filter(|writes| !writes.has_begun && may_begin)?;
        let wait = self.set_points.shortest_wait(self.redundancy.settings())?;
        Some(writes.since + wait)
    }

    /// Tells the supervisor how this controller fares.
    fn tell_health(&mut self, now: LocalTime, out: &mut Effects) {
        if self.redundancy.is_alone() {
            return;
        }
        let is_good = |device: &DeviceIndex| self.image.good(*device, PointKind::Power).is_some();
        let mut members = self.composition.groups().iter().flat_map(|group| group.members());
        let health = Health {
            is_ready: self.phase == Phase::Running,
            reaches_devices: self.meters.iter().all(is_good) && members.all(|member| member.takes_part()),
            overruns: self.overruns >= OVERRUNS_MAX,
            has_outstanding_writes: self.set_points.has_outstanding(),
        };
        self.redundancy.report(now, health, out);
    }

    /// Begins to run once everything is known, or the meters and something to control after some patience.
    fn start(&mut self, now: LocalTime, out: &mut Effects) {
        let is_known = |device: DeviceIndex| self.image.is_known(device);
        if self.phase != Phase::Starting || !self.meters.iter().all(|meter| is_known(*meter)) {
            return;
        }
        let mut controlled = self.set_points.channels().iter().map(Channel::device);
        let has_patience = now.since(self.booted_at) < START_PATIENCE;
        let is_enough = if has_patience { controlled.all(is_known) } else { controlled.any(is_known) };
        if !is_enough {
            return;
        }
        self.phase = Phase::Running;
        out.report(Event::Started { after: now.since(self.booted_at) });
    }

    /// Asks every device for an answer that is there just before the next scan.
    fn poll(&self, out: &mut Effects) {
        let due = self.scan_clock.due();
        for device in 0..self.devices {
            out.push(Effect::Poll { device: DeviceIndex(device), due });
        }
    }

    fn wall(&self, now: LocalTime) -> Option<WallTime> {
        self.wall_at_boot.map(|wall| wall + now.since(self.booted_at))
    }

    fn invariants(&self, now: LocalTime) {
        assert!(self.scan_clock.due() > now, "the next scan lies ahead");
        assert!(matches!(self.phase, Phase::Starting | Phase::Running), "only a booted controller scans");
    }

    /// The newest values and their quality.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The functions and groups with their last decisions.
    pub const fn composition(&self) -> &Composition<F> {
        &self.composition
    }

    /// The set-points on their way.
    pub const fn set_points(&self) -> &SetPoints {
        &self.set_points
    }

    /// How late its scans were.
    pub const fn timing(&self) -> &LoopTimingReporter {
        &self.timing
    }

    /// Where it is in its life.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Who may write, as far as this controller knows.
    pub const fn redundancy(&self) -> &RedundancySupervisor {
        &self.redundancy
    }
}

/// The meters that functions need, in the order of the stack.
fn meters<F: Function>(spec: &ControllerSpec<F>) -> Vec<DeviceIndex> {
    let mut meters = Vec::new();
    for meter in spec.laws.iter().filter_map(Function::meter) {
        if !meters.contains(&meter) {
            meters.push(meter);
        }
    }
    meters
}

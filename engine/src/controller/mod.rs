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
//! - [`supervision`] watches whether devices do what they are told; [`tally`] sums what each function did.
//!
//! **Start-up.** Nothing is decided before every meter that a function needs is good, and nothing is written to a device
//! before all its points are good and its set-point was read back. Devices that do not answer are waited for, but not for
//! ever ([`START_PATIENCE`]): one dead battery of ten must not stop the site, nor an inverter that sleeps at night. The
//! first set-point is the measured power; then each function takes over from there.

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
use self::set_points::{Channel, Lease, SetPoints};
use self::supervision::Supervision;
use crate::event::Event;
use crate::functions::wiring::GroupSpec;
use crate::functions::{Function, SpecError, Wiring};
use crate::ids::DeviceIndex;
use crate::machine::{Boot, Effect, Effects, Input, Machine};
use crate::points::{DeviceSpec, Image};
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
            Ok(Self { grid: String::from(grid), id: String::from(id), scan, devices, laws, groups })
        } else {
            Err(errors)
        }
    }
}

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
    lease: Lease,
    phase: Phase,
    booted_at: LocalTime,
    wall_at_boot: Option<WallTime>,
}

/// Where a controller is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Made, but not booted.
    Made,
    /// It polls and waits until every required point is good.
    Starting,
    /// It scans and writes.
    Running,
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
            lease: Lease::without_end(0),
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
        self.lease = Lease::without_end(u64::from(boot.incarnation));
        self.phase = Phase::Starting;
        self.booted_at = now;
        self.wall_at_boot = boot.wall;
        out.report(Event::Booted { incarnation: boot.incarnation });
        self.poll(out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        match *input {
            Input::Wake => self.wake(now, out),
            Input::Points { device, samples } => self.image.take(now, device, samples),
            // Age alone decides when a silent device's points are stale; the log keeps the reason.
            Input::TimedOut { device: _ } => {}
            Input::Written { device, outcome } => self.set_points.written(now, device, outcome, out),
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        match self.phase {
            Phase::Made => None,
            Phase::Starting | Phase::Running => Some(self.scan_clock.due()),
        }
    }
}

impl<F: Function> Controller<F> {
    fn wake(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(turn) = self.scan_clock.begin(now) else { return };
        self.timing.count(turn);
        if turn.missed > 0 {
            out.report(Event::ScansMissed { count: turn.missed, lateness: turn.lateness });
        }
        self.image.judge(now, out);
        self.start(now, out);
        if self.phase == Phase::Running {
            let elapsed = self.composition.elapsed(now);
            let scan = Scan { now, wall: self.wall(now), image: &self.image, elapsed };
            self.composition.compose(&scan, out);
            self.set_points.write(now, self.lease, self.composition.groups(), &self.image, out);
            self.supervision.watch(now, &self.set_points, &self.image, out);
        }
        self.poll(out);
        self.invariants(now);
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
        assert!(self.phase != Phase::Made, "only a booted controller is woken");
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

    /// Its authority to write.
    pub const fn lease(&self) -> Lease {
        self.lease
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

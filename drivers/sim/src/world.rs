//! What a simulated world is made of: clocks of hosts, buses, the links between devices and plant, and what is changed when.
//!
//! A world is data; the simulation driver makes it run. The scenario language builds it; tests may build it by hand.

use alloc::vec::Vec;

use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::ids::{DeviceIndex, PointIndex};
use r_ems_engine::persistence::JournalSettings;
use r_ems_engine::points::Positive;
use r_ems_engine::redundancy::{Command, Seat};
use r_ems_engine::units::Watts;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Span, Time};

use crate::disk::DiskChange;
use crate::expect::Expectation;
use crate::links::{DeviceFault, Edge};
use crate::network::{Chance, Delay, Path};
use crate::plant::{Bus, ComponentIndex, GridValue, Position, Quantity};
use crate::progress::Promised;
use crate::slot::OneConnection;

/// Everything about a run but the controllers themselves.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// Seed of every random stream in the world.
    pub seed: u64,
    /// The wall clock at the run's start.
    pub start: WallTime,
    /// How long the run lasts.
    pub duration: Span,
    /// The clocks of the hosts.
    pub hosts: Vec<HostClock>,
    /// One bus per grid.
    pub grids: Vec<GridWorld>,
    /// Where each controller of the fleet stands, in the fleet's order.
    pub posts: Vec<Post>,
    /// The paths between the hosts, one for each ordered pair that is not like `path`.
    pub paths: Vec<(u16, u16, Path)>,
    /// The path between any two hosts.
    pub path: Path,
    /// How long a promise takes to become durable.
    pub sync: Span,
    /// How what outlives controllers is kept; `None`: their machines outlive everything.
    pub persistence: Option<PersistenceSpec>,
    /// What happens to the world, in time order.
    pub timeline: Vec<Timed>,
    /// What the run must fulfil.
    pub expectations: Vec<Expectation>,
    /// What the redundancy of shared grids promises.
    pub promised: Vec<Promised>,
    /// In which order things happen that happen at one instant.
    pub ties: Ties,
}

/// The order of what happens at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// As it was planned, then wakes by controller.
    #[default]
    InOrder,
    /// As this seed has it, as far as one thing does not cause the other. Results may change, what must always hold may not.
    Shuffled(u64),
}

/// How what outlives controllers is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersistenceSpec {
    /// Their journals.
    pub journal: JournalSettings,
    /// Whether a life goes on with the state of the one before; promises are kept in any case.
    pub auto_replay: bool,
}

/// One grid's plant.
#[derive(Clone, Debug)]
pub struct GridWorld {
    /// Its bus.
    pub bus: Bus,
    /// The limit against which the summary counts shaved energy; `None`: the grid shaves no peaks.
    pub shaving_limit: Option<Watts>,
}

/// What the clocks of a host show against the run's time: the monotonic one, by which everything is timed, and the wall clock,
/// which is another one and may be set at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostClock {
    /// How much faster it runs, in parts per billion; −600,000 loses 600 µs a second.
    pub rate_ppb: i32,
    /// What it shows at `since`.
    pub at_start: LocalTime,
    /// When it began to run so: at the run's beginning, at the host's last boot, or when its rate changed; the end of time
    /// while it stands still.
    pub since: Time,
    /// What its wall clock shows.
    pub wall: HostWall,
}

/// What the wall clock of a host shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostWall {
    /// So many nanoseconds more than is right; less if it is negative.
    Ahead(i64),
    /// The host does not vouch for it.
    Unknown,
}

impl HostWall {
    /// What it shows when it should show `right`.
    pub fn shows(self, right: WallTime) -> Option<WallTime> {
        match self {
            Self::Ahead(nanos) => Some(right.moved(nanos)),
            Self::Unknown => None,
        }
    }
}

/// Largest clock-rate error that is simulated, in parts per billion: a tenth.
pub const RATE_PPB_MAX: i32 = 100_000_000;

impl HostClock {
    /// A clock that shows the run's time.
    pub const TRUE: Self =
        Self { rate_ppb: 0, at_start: LocalTime::ZERO, since: Time::ZERO, wall: HostWall::Ahead(0) };
    /// What a clock shows when its host has just booted.
    const AT_BOOT: LocalTime = LocalTime::from_nanos(1_000_000_000);
    const BILLION: u128 = 1_000_000_000;

    /// What the clock shows at `at`.
    #[inline]
    pub fn local(self, at: Time) -> LocalTime {
        let elapsed = self.scaled(at.since(self.since).as_nanos());
        self.at_start + Span::from_nanos(elapsed)
    }

    /// The first instant at which the clock shows `local` or more; `Time::MAX` if never.
    #[inline]
    pub fn run_time(self, local: LocalTime) -> Time {
        let elapsed = local.since(self.at_start).as_nanos();
        if self.rate_ppb == 0 {
            return self.since + Span::from_nanos(elapsed);
        }
        let numerator = u128::from(elapsed) * Self::BILLION;
        let rate = self.rate();
        self.since + Span::from_nanos(u64::try_from(numerator.div_ceil(rate)).unwrap_or(u64::MAX))
    }

    /// The same clock with another rate from `at` on; one that stands still goes on so later.
    pub fn at_rate(self, at: Time, rate_ppb: i32) -> Self {
        let since = if self.stands_still() { self.since } else { at };
        Self { rate_ppb, at_start: self.local(at), since, ..self }
    }

    /// The same clock, which stands still from `at` on, as that of a virtual machine that is paused.
    pub fn stopped(self, at: Time) -> Self {
        Self { at_start: self.local(at), since: Time::MAX, ..self }
    }

    /// The same clock, which goes on at `at` if it stands still.
    pub fn resumed(self, at: Time) -> Self {
        if self.stands_still() { Self { since: at, ..self } } else { self }
    }

    /// Whether it stands still.
    pub fn stands_still(self) -> bool {
        self.since == Time::MAX
    }

    /// The clock after the host has booted at `at`.
    pub const fn booted(self, at: Time) -> Self {
        Self { at_start: Self::AT_BOOT, since: at, ..self }
    }

    fn scaled(self, nanos: u64) -> u64 {
        if self.rate_ppb == 0 {
            return nanos;
        }
        u64::try_from(u128::from(nanos) * self.rate() / Self::BILLION).unwrap_or(u64::MAX)
    }

    /// Local nanoseconds in a billion of the run's.
    fn rate(self) -> u128 {
        let rate = Self::BILLION as i64 + i64::from(self.rate_ppb.clamp(-RATE_PPB_MAX, RATE_PPB_MAX));
        u128::from(rate.unsigned_abs())
    }
}

/// Where a controller stands and what it reaches from there.
#[derive(Clone, Debug)]
pub struct Post {
    /// Its host, as a position in `WorldSpec::hosts`.
    pub host: u16,
    /// Its grid, as a position in `WorldSpec::grids`.
    pub grid: u16,
    /// Its seat in the council of its grid.
    pub seat: Seat,
    /// Its device links, in the order of its devices.
    pub links: Vec<LinkSpec>,
    /// The connections on which it speaks Modbus with them, and the maps of the devices there; empty where values pass.
    pub bus: BusSpec,
}

/// A device link of kind `Points`: typed values over a protocol that somebody else speaks.
#[derive(Clone, Debug)]
pub struct LinkSpec {
    /// What the device measures or moves.
    pub component: ComponentIndex,
    /// The device's first point in its controller's image.
    pub first_point: PointIndex,
    /// What each of the device's points reads, in image order.
    pub quantities: Vec<Quantity>,
    /// The sign that the device really has, whatever the site file says.
    pub positive: Positive,
    /// The sign that the site file declares: what the controller's image makes of the device's values.
    pub declared: Positive,
    /// From measuring to arrival, and from sending a write to its effect and answer.
    pub latency: Span,
    /// How long a write is on its way, beyond the latency: what a gateway's queue and its retries add.
    pub write_delay: Delay,
    /// Whether the device refuses a write whose epoch is lower than one that it has accepted.
    pub checks_epochs: bool,
    /// How the device is connected to, where it takes only one connection at a time.
    pub one_connection: Option<OneConnection>,
    /// A poll or a write that takes longer than this has failed.
    pub timeout: Span,
    /// How long the first exchange waits for a new connection after the old one was lost.
    pub reconnect: Span,
    /// How long a controller's image believes an answer after its arrival: the declared maximum age less the declared latency.
    pub valid_for: Span,
    /// When the device does not answer at random; `None`: it always does.
    pub drop_outs: Option<DropOuts>,
}

/// Random silence of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropOuts {
    /// Mean time between two silences.
    pub every: Span,
    /// Mean length of one.
    pub lasting: Span,
}

/// Something that happens to the world at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub at: Time,
    /// What.
    pub change: Change,
}

/// What can happen to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something of a grid's plant changes.
    Plant {
        /// Which grid.
        grid: u16,
        /// What.
        change: PlantChange,
    },
    /// A host loses its power, or boots: its controllers go and come with it, its clock begins anew.
    Host {
        /// Which.
        host: u16,
        /// Whether it runs from now on.
        state: Life,
    },
    /// A controller's process dies or starts again.
    Process {
        /// Which, by its place in the fleet.
        controller: u16,
        /// Whether it runs from now on.
        state: Life,
    },
    /// A path between two hosts changes.
    Path {
        /// From which host.
        from: u16,
        /// To which host.
        to: u16,
        /// What changes.
        change: PathChange,
    },
    /// A host's disk changes.
    Disk {
        /// Which host.
        host: u16,
        /// What changes.
        change: DiskChange,
    },
    /// A host's clock runs at another rate from now on.
    ClockRate {
        /// Which host.
        host: u16,
        /// Its error in parts per billion.
        rate_ppb: i32,
    },
    /// The program of a host is another version from the next start of each of its controllers on, to which their states mean
    /// nothing; the memory beside them does.
    Upgrade {
        /// Which host.
        host: u16,
    },
    /// A host's wall clock is set, or is vouched for no more.
    WallClock {
        /// Which host.
        host: u16,
        /// What it shows from now on.
        wall: HostWall,
    },
    /// A host or a process stands still from the next thing on that it does, between deciding and doing, or goes on.
    Stall {
        /// Who.
        whom: Stalled,
        /// What its clock does meanwhile.
        clock: StalledClock,
        /// Whether it begins or ends.
        edge: Edge,
    },
    /// An operator asks something of a controller.
    Command {
        /// Which, by its place in the fleet.
        controller: u16,
        /// What.
        command: Command,
    },
    /// A device stops or begins to answer one controller.
    Link {
        /// Which controller, by its place in the fleet.
        controller: u16,
        /// Which of its devices.
        device: DeviceIndex,
        /// Whether it answers from now on.
        state: LinkState,
    },
    /// Something about a device begins or ends to be wrong for one controller.
    Fault {
        /// Which controller, by its place in the fleet.
        controller: u16,
        /// Which of its devices.
        device: DeviceIndex,
        /// What.
        fault: DeviceFault,
        /// Whether it begins or ends.
        edge: Edge,
    },
    /// A device restarts: it forgets its set-point, the epochs that it has accepted, and who was connected to it.
    RestartDevice {
        /// Which grid.
        grid: u16,
        /// What the device measures or moves.
        component: ComponentIndex,
    },
}

/// What can change about a plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantChange {
    /// The breaker of the connection moves there.
    Breaker(Position),
    /// The inverter of a battery, or a genset, is started or stopped.
    Inverter(ComponentIndex, InverterOrder),
    /// The breaker of a load moves there.
    Load(ComponentIndex, Position),
    /// A tie between two sections moves there, or waits until it may.
    Tie(ComponentIndex, Position),
    /// The grid behind the connection has this value from now on; none: it follows its own course again.
    Grid(GridValue, Option<Level>),
    /// A receiver tells this share; none: it follows its own course again.
    Signal(ComponentIndex, Option<Level>),
    /// Somebody stands at a device's panel, or leaves it.
    Panel(ComponentIndex, Edge),
    /// A device trips, or what held it is over.
    Fault(ComponentIndex, Edge),
}

/// A value in millionths of its unit, so that two of them can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(u64);

impl Level {
    /// The nearest to a value that is not negative.
    pub fn of(value: f64) -> Self {
        Self((value * 1e6 + 0.5) as u64)
    }

    /// The value.
    pub fn value(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// What an inverter or a genset can be told apart from its set-point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InverterOrder {
    /// It starts, unless it is on its way or running.
    Start,
    /// It opens its contactors, or its breaker.
    Stop,
}

/// Whether a host or a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Up,
    /// It does not.
    Down,
    /// It is asked to end in order: its controllers hand over, keep their states, and then it does not run.
    Stops,
}

/// Who stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stalled {
    /// A host, with all of its controllers.
    Host(u16),
    /// A controller's process, by its place in the fleet.
    Process(u16),
}

/// What the clock of a host does that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StalledClock {
    /// It runs on, as when a process is stopped or a machine is overloaded.
    Running,
    /// It stands still too, as when a virtual machine is paused; that is no clock rate that a site can declare.
    Stopped,
}

/// What can change about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathChange {
    /// Nothing passes any more, or everything again.
    Cut(bool),
    /// So many messages are lost.
    Loss(Chance),
    /// So many come twice.
    Duplication(Chance),
    /// So long a message is on its way.
    Delay(Delay),
}

/// Whether a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It answers.
    Answering,
    /// It does not.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_an_instant_no_earlier_than_it_is_woken_for() {
        for rate_ppb in [0, 600_000, -600_000, 1, -1, RATE_PPB_MAX, -RATE_PPB_MAX] {
            let clock = HostClock { rate_ppb, at_start: LocalTime::from_nanos(12_345), ..HostClock::TRUE };
            for nanos in [12_345, 12_346, 1_000_000_007, 31_622_400_000_000_000] {
                let local = LocalTime::from_nanos(nanos);
                let at = clock.run_time(local);
                assert!(clock.local(at) >= local, "{rate_ppb} ppb at {nanos} ns");
                let before = Time::from_nanos(at.as_nanos().saturating_sub(1));
                assert!(at == Time::ZERO || clock.local(before) < local, "{rate_ppb} ppb at {nanos} ns");
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_shows_the_same_until_it_goes_on_at_its_rate() {
        let at = |seconds| Time::ZERO + Span::from_secs(seconds);
        let clock = HostClock { rate_ppb: 500_000, ..HostClock::TRUE }.stopped(at(1));
        let shows = LocalTime::from_nanos(1_000_500_000);
        assert_eq!([clock.local(at(1)), clock.local(at(9))], [shows; 2]);
        assert_eq!(clock.run_time(shows + Span::from_nanos(1)), Time::MAX);
        let clock = clock.at_rate(at(5), 0).resumed(at(9));
        assert_eq!([clock.local(at(9)), clock.local(at(10))], [shows, shows + Span::from_secs(1)]);
        assert_eq!(clock.resumed(at(20)), clock, "one that runs goes on as it does");
    }

    #[test]
    fn a_fast_clock_gains_what_its_rate_says() {
        let clock = HostClock { rate_ppb: 500_000, ..HostClock::TRUE };
        assert_eq!(clock.local(Time::from_nanos(1_000_000_000)), LocalTime::from_nanos(1_000_500_000));
    }
}

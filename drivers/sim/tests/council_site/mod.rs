//! Two controllers and a witness on three hosts of a simulated world, which shave a peak.

#![allow(dead_code, reason = "each test file uses a part of it")]

use r_ems_engine::controller::{Controller, ControllerSpec};
use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::{BuiltIn, BuiltInSpec};
use r_ems_engine::ids::PointIndex;
use r_ems_engine::machine::Machine;
use r_ems_engine::points::{Connections, DeviceClass, DeviceSpec, Positive, Priority};
use r_ems_engine::redundancy::{Council, Seat, Settings, SupervisorSpec};
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::wall::WallTime;
use r_ems_engine::{Span, Time};
use r_ems_sim::authority::AuthorityResult;
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::network::{Chance, Delay, Path};
use r_ems_sim::plant::{Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, Load, Quantity};
use r_ems_sim::sources::{Sine, Source};
use r_ems_sim::world::{
    Change, GridWorld, HostClock, Life, LinkSpec, PathChange, Post, Ties, Timed, WorldSpec,
};

const CONNECTION: ComponentIndex = ComponentIndex(0);
pub(crate) const BATTERY: ComponentIndex = ComponentIndex(2);

/// What differs from one site to the next.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) settings: Settings,
    /// D as declared, and how long writes really take beyond the latency.
    pub(crate) longest_write: Span,
    pub(crate) write_delay: Delay,
    pub(crate) checks_epochs: bool,
    pub(crate) seed: u64,
    pub(crate) timeline: Vec<Timed>,
    pub(crate) duration: Span,
    pub(crate) rates_ppb: [i32; 3],
    /// Amplitude of the load, W.
    pub(crate) swing: f64,
    /// How long the battery holds a set-point that nobody repeats.
    pub(crate) reversion: Option<Span>,
    /// With what it is left when nobody goes on.
    pub(crate) at_stop: Option<Watts>,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            settings: Settings::FAST,
            longest_write: Span::ZERO,
            write_delay: Delay::exactly(Span::ZERO),
            checks_epochs: true,
            seed,
            timeline: Vec::new(),
            duration: Span::from_secs(2),
            rates_ppb: [0; 3],
            swing: 0.0,
            reversion: None,
            at_stop: None,
        }
    }

    pub(crate) fn then(mut self, millis: u64, change: Change) -> Self {
        self.timeline.push(Timed { at: at(millis), change });
        self
    }

    fn device(&self, name: &str, class: DeviceClass, positive: Positive) -> DeviceSpec {
        DeviceSpec {
            name: name.into(),
            class,
            points: class.points(),
            positive,
            rating: Watts::of(250e3),
            latency: Span::from_micros(500),
            age_max: Span::from_millis(100),
            stuck_after: None,
            reversion: Span::from_secs(60),
            write_interval: Span::ZERO,
            writes_per_day: None,
            longest_write: self.longest_write,
            checks_epochs: self.checks_epochs,
            at_stop: self.at_stop,
            dead_band: Watts::of(250.0),
            connections: Connections::Shared,
            apparent: None,
            priority: Priority::Active,
            ramp: None,
        }
    }

    fn redundancy(&self, seat: u8) -> SupervisorSpec {
        SupervisorSpec {
            council: Council::new(&[0, 1, 2], true, Seat(seat)),
            settings: self.settings.clone(),
            section: 7,
        }
    }

    /// Controller a or b.
    pub(crate) fn controller(&self, seat: u8) -> ControllerSpec<BuiltIn> {
        let stack = [BuiltInSpec::PeakShaving(PeakShavingSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            limit: Watts::of(220e3),
            recharge: Watts::of(170e3),
            reserve: Ratio::of(0.8),
            window: Window::Instant,
        })];
        let devices = vec![
            self.device("pcc", DeviceClass::Meter, Positive::Import),
            self.device("bess", DeviceClass::Battery, Positive::Discharge),
        ];
        let id = ["a", "b"][usize::from(seat)];
        let spec = ControllerSpec::wire("grid", id, Span::from_millis(10), devices, &stack);
        ControllerSpec { redundancy: self.redundancy(seat), ..spec.expect("a right stack") }
    }

    pub(crate) fn controllers(&self) -> Vec<Controller<BuiltIn>> {
        let witness = ControllerSpec::witness("grid", "w", self.redundancy(2));
        [self.controller(0), self.controller(1), witness].iter().map(Controller::new).collect()
    }

    pub(crate) fn world(&self) -> WorldSpec {
        // A load that swings by 40 kW a second keeps set-points moving, so that writes are always on their way.
        let swing = Sine::new(300e3, self.swing, Span::from_secs(1), 0.0).expect("a finite load");
        let load = Load::new(Source::Sine(swing));
        let battery = BatterySpec {
            reversion: self.reversion,
            ..BatterySpec::new(WattHours::of(500e3), Watts::of(250e3), Ratio::of(0.5))
        };
        let bus = Bus::new(vec![
            Component::Connection(Connection::new(Watts::of(400e3)).expect("a positive limit")),
            Component::Load(load),
            Component::Battery(Battery::new(battery).expect("a sound battery")),
        ]);
        let bus = bus.expect("one connection");
        let controller = |seat: u8| Post {
            host: u16::from(seat),
            grid: 0,
            seat: Seat(seat),
            bus: BusSpec::default(),
            links: vec![
                self.link(CONNECTION, 0, Positive::Import, &[Quantity::Power]),
                self.link(BATTERY, 1, Positive::Discharge, &BATTERY_POINTS),
            ],
        };
        let witness = Post { host: 2, grid: 0, seat: Seat(2), links: Vec::new(), bus: BusSpec::default() };
        WorldSpec {
            seed: self.seed,
            start: WallTime::EPOCH,
            duration: self.duration,
            hosts: self.rates_ppb.map(|rate_ppb| HostClock { rate_ppb, ..HostClock::TRUE }).to_vec(),
            grids: vec![GridWorld { bus, shaving_limit: Some(Watts::of(220e3)) }],
            posts: vec![controller(0), controller(1), witness],
            paths: Vec::new(),
            path: Path {
                delay: Delay {
                    at_least: Span::from_micros(300),
                    mean: Span::from_millis(1),
                    at_most: Span::from_millis(5),
                },
                loss: Chance { numerator: 1, denominator: 1_000 },
                ..Path::LOCAL
            },
            sync: Span::from_millis(4),
            persistence: None,
            timeline: self.timeline.clone(),
            expectations: Vec::new(),
            promised: Vec::new(),
            ties: Ties::InOrder,
        }
    }

    fn link(
        &self,
        component: ComponentIndex,
        first_point: u16,
        positive: Positive,
        quantities: &[Quantity],
    ) -> LinkSpec {
        LinkSpec {
            component,
            first_point: PointIndex(first_point),
            quantities: quantities.to_vec(),
            positive,
            declared: positive,
            latency: Span::from_micros(500),
            write_delay: self.write_delay,
            checks_epochs: self.checks_epochs,
            one_connection: None,
            timeout: Span::from_millis(50).max(self.write_delay.at_most * 2),
            reconnect: Span::from_millis(20),
            valid_for: Span::from_millis(100),
            drop_outs: None,
        }
    }

    pub(crate) fn run(&self) -> (RunResult, Vec<Controller<BuiltIn>>) {
        let mut driver = SimDriver::new(self.world()).expect("links fit their bus");
        let mut fleet = Fleet::new(self.controllers());
        fleet.run(&mut driver).expect("no assertion fails");
        let result = driver.finish();
        assert_eq!(result.grids[0].balance, Ok(()), "seed {}", self.seed);
        (result, fleet.machines().to_vec())
    }

    pub(crate) fn authority(&self) -> AuthorityResult {
        self.run().0.authority
    }
}

const BATTERY_POINTS: [Quantity; 5] = [
    Quantity::Power,
    Quantity::ReportedStateOfCharge,
    Quantity::ChargeLimit,
    Quantity::DischargeLimit,
    Quantity::SetPoint,
];

pub(crate) fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

pub(crate) fn host(host: u16, state: Life) -> Change {
    Change::Host { host, state }
}

pub(crate) fn cut(from: u16, to: u16, is_cut: bool) -> Change {
    Change::Path { from, to, change: PathChange::Cut(is_cut) }
}

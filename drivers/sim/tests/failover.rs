//! Two controllers and a witness on three hosts of a simulated world: crashes, partitions, wrong clocks, and who wrote when.

use r_ems_engine::controller::{Controller, ControllerSpec};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::{BuiltIn, BuiltInSpec};
use r_ems_engine::ids::PointIndex;
use r_ems_engine::machine::Machine;
use r_ems_engine::points::{Connections, DeviceClass, DeviceSpec, Positive};
use r_ems_engine::redundancy::{Command, Council, Seat, Settings, SupervisorSpec};
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::authority::{AuthorityResult, Rule};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::network::{Chance, Delay, Path};
use r_ems_sim::plant::{Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, Load, Quantity};
use r_ems_sim::sources::{Sine, Source};
use r_ems_sim::world::{
    Change, GridWorld, HostClock, Life, LinkSpec, PathChange, Post, Ties, Timed, WorldSpec,
};

const CONNECTION: ComponentIndex = ComponentIndex(0);
const BATTERY: ComponentIndex = ComponentIndex(2);

/// What differs from one site to the next.
#[derive(Clone)]
struct Site {
    settings: Settings,
    /// D as declared, and how long writes really take beyond the latency.
    longest_write: Span,
    write_delay: Delay,
    checks_epochs: bool,
    seed: u64,
    timeline: Vec<Timed>,
    duration: Span,
    rates_ppb: [i32; 3],
    /// Amplitude of the load, W.
    swing: f64,
}

impl Site {
    fn new(seed: u64) -> Self {
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
        }
    }

    fn then(mut self, millis: u64, change: Change) -> Self {
        self.timeline.push(Timed { at: at(millis), change });
        self
    }

    fn device(&self, name: &str, class: DeviceClass, positive: Positive) -> DeviceSpec {
        DeviceSpec {
            name: name.into(),
            class,
            positive,
            rating: Watts::of(250e3),
            latency: Span::from_micros(500),
            age_max: Span::from_millis(100),
            stuck_after: None,
            reversion: Span::from_secs(60),
            write_interval: Span::ZERO,
            longest_write: self.longest_write,
            checks_epochs: self.checks_epochs,
            dead_band: Watts::of(250.0),
            connections: Connections::Shared,
            ramp: None,
        }
    }

    fn controllers(&self) -> Vec<Controller<BuiltIn>> {
        let stack = [BuiltInSpec::PeakShaving(PeakShavingSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            limit: Watts::of(220e3),
            recharge: Watts::of(170e3),
            reserve: Ratio::of(0.8),
            window: Window::Instant,
        })];
        let redundancy = |seat| SupervisorSpec {
            council: Council::new(&[0, 1, 2], true, Seat(seat)),
            settings: self.settings.clone(),
            section: 7,
        };
        let controller = |seat: u8| {
            let devices = vec![
                self.device("pcc", DeviceClass::Meter, Positive::Import),
                self.device("bess", DeviceClass::Battery, Positive::Discharge),
            ];
            let id = ["a", "b"][usize::from(seat)];
            let spec = ControllerSpec::wire("grid", id, Span::from_millis(10), devices, &stack);
            let spec = ControllerSpec { redundancy: redundancy(seat), ..spec.expect("a right stack") };
            Controller::new(&spec)
        };
        let witness = Controller::new(&ControllerSpec::witness("grid", "w", redundancy(2)));
        vec![controller(0), controller(1), witness]
    }

    fn world(&self) -> WorldSpec {
        // A load that swings by 40 kW a second keeps set-points moving, so that writes are always on their way.
        let swing = Sine::new(300e3, self.swing, Span::from_secs(1), 0.0).expect("a finite load");
        let load = Load::new(Source::Sine(swing));
        let battery = BatterySpec::new(WattHours::of(500e3), Watts::of(250e3), Ratio::of(0.5));
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
            links: vec![
                self.link(CONNECTION, 0, Positive::Import, &[Quantity::Power]),
                self.link(BATTERY, 1, Positive::Discharge, &BATTERY_POINTS),
            ],
        };
        let witness = Post { host: 2, grid: 0, seat: Seat(2), links: Vec::new() };
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
            timeout: Span::from_millis(50),
            valid_for: Span::from_millis(100),
            drop_outs: None,
        }
    }

    fn run(&self) -> (RunResult, Vec<Controller<BuiltIn>>) {
        let mut driver = SimDriver::new(self.world()).expect("links fit their bus");
        let mut fleet = Fleet::new(self.controllers());
        fleet.run(&mut driver).expect("no assertion fails");
        let result = driver.finish();
        assert_eq!(result.grids[0].balance, Ok(()), "seed {}", self.seed);
        (result, fleet.machines().to_vec())
    }

    fn authority(&self) -> AuthorityResult {
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

fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

fn host(host: u16, state: Life) -> Change {
    Change::Host { host, state }
}

fn cut(from: u16, to: u16, is_cut: bool) -> Change {
    Change::Path { from, to, change: PathChange::Cut(is_cut) }
}

#[test]
fn a_standby_takes_over_within_its_bound_and_one_writes_at_a_time() {
    let mut gaps = Vec::new();
    for seed in 0..100 {
        // The crash falls anywhere into a heartbeat.
        let crash =
            Timed { at: Time::from_nanos(1_000_000_000 + seed * 53_000), change: host(0, Life::Down) };
        let site = Site { timeline: vec![crash], ..Site::new(seed) };
        let found = site.authority();
        assert_eq!(found.violations, [], "seed {seed}");
        let [taken] = found.take_overs[..] else { panic!("seed {seed}: {:?}", found.take_overs) };
        assert_eq!((taken.from, taken.to), (0, 1));
        gaps.push(taken.gap());
    }
    gaps.sort_unstable();
    // A message may be lost or late: the bound without losses holds for nearly all.
    let bound = Settings::FAST.take_over_max(Span::from_millis(5), Span::ZERO);
    assert!(gaps[95] <= bound, "95 of 100 within {bound}: {} and {}", gaps[95], gaps[99]);
    assert!(gaps[50] <= Span::from_millis(30), "a median of {}", gaps[50]);
}

#[test]
fn the_peak_stays_shaved_and_set_points_do_not_jump_when_authority_moves() {
    let (undisturbed, _) = Site::new(1).run();
    let (result, machines) = Site::new(1).then(1_000, host(0, Life::Down)).run();
    assert_eq!((result.authority.violation_count, result.authority.take_overs.len()), (0, 1));
    assert!(machines[1].redundancy().role().holds());
    let discharged = |result: &RunResult| result.grids[0].energies.discharge_wh;
    let difference = discharged(&result) - discharged(&undisturbed);
    assert!(difference.abs() < 0.01, "{difference} Wh");
}

#[test]
fn a_standby_has_the_actives_state_of_a_few_scans_ago_also_where_half_of_all_messages_are_lost() {
    let lossy = Chance { numerator: 1, denominator: 2 };
    for (loss, age_max) in [(Chance::NEVER, Span::from_millis(16)), (lossy, Span::from_millis(300))] {
        let loses = Change::Path { from: 0, to: 1, change: PathChange::Loss(loss) };
        let (result, machines) = Site::new(3).then(500, loses).run();
        assert_eq!(result.authority.violations, []);
        assert!(machines[0].redundancy().role().holds());
        let now = LocalTime::ZERO + Span::from_secs(2);
        let age = machines[1].transfer().age(now).expect("it has had state");
        assert!(age <= age_max, "{age}");
    }
}

#[test]
fn a_standby_that_has_just_booted_gets_the_whole_state_at_once() {
    let site = Site { duration: Span::from_millis(1_600), ..Site::new(4) };
    let (_, machines) = site.then(500, host(1, Life::Down)).then(1_500, host(1, Life::Up)).run();
    // Its clock began at its boot: the state is younger than that, and it has 50 ms to start and be told.
    let age = machines[1].transfer().age(LocalTime::ZERO + Span::from_millis(100));
    assert!(age.is_some_and(|age| age <= Span::from_millis(50)), "{age:?}");
}

#[test]
fn who_is_cut_off_stops_before_the_other_begins_and_stays_a_standby_when_it_is_back() {
    for seed in 0..20 {
        let mut site = Site::new(seed);
        for (millis, is_cut) in [(1_000, true), (1_500, false)] {
            for other in [1, 2] {
                site = site.then(millis, cut(0, other, is_cut)).then(millis, cut(other, 0, is_cut));
            }
        }
        let (result, machines) = site.run();
        assert_eq!(result.authority.violations, [], "seed {seed}");
        assert_eq!(result.authority.take_overs.len(), 1, "seed {seed}");
        let roles = machines.iter().map(|machine| machine.redundancy().role().name()).collect::<Vec<_>>();
        assert_eq!(roles, ["standby", "active", "witness"], "seed {seed}");
    }
}

#[test]
fn a_new_holder_waits_for_writes_of_the_old_one_where_devices_check_no_epochs() {
    for seed in 0..20 {
        let slow = Site {
            longest_write: Span::from_millis(200),
            write_delay: Delay {
                at_least: Span::ZERO,
                mean: Span::from_millis(150),
                at_most: Span::from_millis(190),
            },
            checks_epochs: false,
            ..Site::new(seed)
        };
        let found = slow.clone().then(1_000, host(0, Life::Down)).authority();
        assert_eq!(found.violations, [], "seed {seed}");
        assert!(found.take_overs[0].gap() >= Span::from_millis(200), "seed {seed}");
    }
}

#[test]
fn a_declared_write_time_below_the_real_one_is_found_out() {
    let with = |longest_write, seed| {
        let site = Site {
            longest_write,
            write_delay: Delay {
                at_least: Span::ZERO,
                mean: Span::from_millis(150),
                at_most: Span::from_millis(190),
            },
            checks_epochs: false,
            swing: 40e3,
            ..Site::new(seed)
        };
        site.then(1_000, host(0, Life::Down)).authority().violations
    };
    let is_lower_epoch = |rule| matches!(rule, Rule::EpochsRise { .. });
    let lying = (0..10).flat_map(|seed| with(Span::from_millis(20), seed));
    assert!(lying.into_iter().any(|found| is_lower_epoch(found.rule)), "the checker bites");
    let honest = (0..10).flat_map(|seed| with(Span::from_millis(200), seed));
    assert_eq!(honest.count(), 0);
}

#[test]
fn clocks_at_their_bound_break_nothing_and_far_beyond_it_the_checker_finds_two_authorities() {
    let rates = |rates_ppb: [i32; 3], seed| Site { rates_ppb, ..Site::new(seed) };
    let cut_off = |site: Site| {
        let mut site = site;
        for other in [1, 2] {
            site = site.then(1_000, cut(0, other, true)).then(1_000, cut(other, 0, true));
        }
        site.authority().violation_count
    };
    for seed in 0..20 {
        assert_eq!(cut_off(rates([-600_000, 600_000, 600_000], seed)), 0, "seed {seed}");
    }
    let beyond = (0..40).map(|seed| cut_off(rates([-100_000_000, 100_000_000, 100_000_000], seed)));
    assert!(beyond.sum::<u64>() > 0, "a tenth is far beyond the bound of 600 ppm");
}

#[test]
fn without_a_witness_or_a_peer_nobody_writes_until_a_majority_is_back() {
    let site = Site::new(3)
        .then(1_000, host(2, Life::Down))
        .then(1_200, host(0, Life::Down))
        .then(1_700, host(2, Life::Up));
    let found = site.authority();
    assert_eq!(found.violations, []);
    let [taken] = found.take_overs[..] else { panic!("{:?}", found.take_overs) };
    // The witness has been back for W before it grants anything.
    assert!(taken.at >= at(1_720) && taken.at <= at(1_780), "{}", taken.at);
}

#[test]
fn an_operator_and_restarts_in_turn_leave_no_long_gap() {
    let switch = |controller| Change::Command { controller, command: Command::SwitchOver { to: None } };
    let site = Site::new(4)
        .then(500, switch(0))
        .then(700, host(0, Life::Down))
        .then(720, host(0, Life::Up))
        .then(1_200, switch(1))
        .then(1_400, host(1, Life::Down))
        .then(1_420, host(1, Life::Up))
        .then(1_700, host(2, Life::Down))
        .then(1_720, host(2, Life::Up));
    let found = site.authority();
    assert_eq!(found.violations, []);
    assert_eq!(
        found.take_overs.iter().map(|taken| (taken.from, taken.to)).collect::<Vec<_>>(),
        [(0, 1), (1, 0)]
    );
}

#[test]
fn the_same_seed_gives_the_same_take_over_and_a_fork_goes_on_alike() {
    let site = Site::new(5).then(1_000, host(0, Life::Down)).then(1_300, host(0, Life::Up));
    let (first, machines) = site.run();
    let (second, again) = site.run();
    assert_eq!(first.authority.take_overs, second.authority.take_overs);
    assert_eq!(machines, again);
    // The world and the fleet are cloned in the middle of the take-over, and both go on.
    let mut driver = SimDriver::new(site.world()).expect("links fit their bus");
    let mut fleet = Fleet::new(site.controllers());
    while driver.now() < at(1_010) {
        fleet.turn(&mut driver).expect("no assertion fails");
    }
    let (mut fork, mut forked) = (driver.clone(), fleet.clone());
    forked.run(&mut fork).expect("no assertion fails");
    assert_eq!(forked.machines(), machines);
    assert_eq!(fork.finish().authority.take_overs, first.authority.take_overs);
}

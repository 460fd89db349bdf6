//! Which devices hear heartbeats: those of whose set-points their controller takes care, as long as nobody else may.

mod site;

use r_ems_engine::Span;
use r_ems_engine::controller::{ControllerSpec, Phase, START_PATIENCE};
use r_ems_engine::event::Event;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{BusSpec, DeviceMap, Mapping};
use r_ems_engine::fieldbus::master::{ConnectionSpec, UnitSpec};
use r_ems_engine::fieldbus::plan::ReadLimits;
use r_ems_engine::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use r_ems_engine::fieldbus::write::{FieldContent, Heartbeat, WriteFunction, WriteRequest, WrittenField};
use r_ems_engine::functions::self_consumption::SelfConsumptionSpec;
use r_ems_engine::functions::{BuiltIn, BuiltInSpec};
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::machine::{Effects, Input, Machine};
use r_ems_engine::points::DeviceSpec;
use r_ems_engine::redundancy::{Command, Council, OnSilence, Role, Seat, Settings, SupervisorSpec};
use r_ems_engine::units::{Ratio, Watts};

use self::site::{DEVICES, Reading, SCAN, Site};

const BATTERY: usize = 1;
const OTHER: usize = 2;
const PV: usize = 3;
/// How long each device waits for a heartbeat.
const TIMEOUT: Span = Span::from_secs(6);

/// It has nothing to do with the inverter.
fn stack() -> [BuiltInSpec; 1] {
    let (meter, battery) = ("pcc".to_string(), "batteries".to_string());
    let (target, discharge_above) = (Watts::ZERO, Ratio::of(0.2));
    [BuiltInSpec::SelfConsumption(SelfConsumptionSpec { meter, battery, target, discharge_above })]
}

fn request(address: u16, content: FieldContent) -> WriteRequest {
    let (order, unknown) = (WordOrder::HighFirst, Unknown::Never);
    let layout = Layout { number: NumberType::I32, order, scale: 1.0, offset: 0.0, unknown };
    let fields = vec![WrittenField { content, layout, most: None }];
    WriteRequest { address, function: WriteFunction::Registers, is_read_back: false, fields }
}

/// Both batteries and the inverter are written through a bus, each on a connection of its own; what they measure is told by
/// itself.
fn behind_a_bus(spec: &mut ControllerSpec<BuiltIn>) {
    let unit = UnitSpec {
        unit: 1,
        timeout: Span::from_millis(500),
        retries: 0,
        back_off_first: SCAN,
        back_off_max: SCAN,
    };
    let map = |place: usize| {
        let heartbeat = Heartbeat { timeout: TIMEOUT, request: request(300, FieldContent::Counter) };
        DeviceMap::new(Mapping {
            device: DeviceIndex(place as u16),
            connection: ConnectionIndex(place as u16 - 1),
            unit: 0,
            latency: Span::ZERO,
            reversion: Span::from_secs(60),
            recalls: false,
            limits: ReadLimits::default(),
            points: Vec::new(),
            bits: Vec::new(),
            identity: Vec::new(),
            writes: vec![request(200, FieldContent::SetPoint)],
            models: None,
            heartbeat: Some(heartbeat),
        })
    };
    let connection = ConnectionSpec {
        units: vec![unit],
        framing: Framing::Tcp,
        min_gap: Span::ZERO,
        connect_timeout: Span::from_secs(1),
        pipelining: 1,
    };
    spec.bus = BusSpec {
        connections: vec![connection; 3],
        devices: [BATTERY, OTHER, PV].map(|place| map(place).expect("it fits")).to_vec(),
    };
}

fn scans(site: &mut Site, reading: Reading, count: usize) -> Vec<[u64; DEVICES]> {
    let scan = |_turn| {
        let before = site.beats;
        site.scan(reading);
        core::array::from_fn(|device| site.beats[device] - before[device])
    };
    (0..count).map(scan).collect()
}

#[test]
fn devices_hear_nothing_before_all_is_known_of_them_and_those_in_no_group_never_do() {
    let mut site = Site::made(&stack(), |_devices| {}, behind_a_bus);
    let quiet = Reading::quiet(100e3, 0.0);
    let blind = Reading { batteries: [quiet.batteries[0], None], ..quiet };
    let patience = (START_PATIENCE.as_nanos() / SCAN.as_nanos()) as usize;
    let heard = scans(&mut site, blind, patience + 20);
    assert_eq!(site.controller.phase(), Phase::Running);
    assert!(site.beats[BATTERY] > 8, "{heard:?}");
    assert_eq!((site.beats[OTHER], site.beats[PV]), (0, 0), "one is not known, and one is in no group");
    scans(&mut site, quiet, 5);
    assert!(site.beats[OTHER] > 1);
    assert_eq!(site.beats[PV], 0);
}

#[test]
fn a_device_that_takes_no_set_points_falls_back_and_hears_heartbeats_with_a_later_try() {
    let mut site = Site::made(&stack(), |_devices| {}, behind_a_bus);
    scans(&mut site, Reading::quiet(100e3, 0.0), 10);
    site.refuses[BATTERY] = true;
    // Another load in each scan: each set-point is another.
    let mut heard = Vec::new();
    for turn in 0..60 {
        heard.extend(scans(&mut site, Reading::quiet(100e3 + 5e3 * f64::from(turn), 0.0), 1));
    }
    let hears = |device: usize| heard.iter().map(|beats| beats[device]).collect::<Vec<u64>>();
    let silent = |beats: &[u64]| beats.iter().all(|beats| *beats == 0);
    let battery = hears(BATTERY);
    let stops = battery.iter().rposition(|beats| *beats > 0);
    let pause = battery.windows(12).position(silent);
    assert_eq!(pause, Some(8), "it hears them for six seconds more: {battery:?}");
    assert!(stops > Some(20), "it hears them again with a later try: {battery:?}");
    assert!(!hears(OTHER).windows(3).any(silent), "the other goes on");
    site.refuses[BATTERY] = false;
    let heard = scans(&mut site, Reading::quiet(100e3, 0.0), 40);
    let tail: Vec<u64> = heard[20..].iter().map(|beats| beats[BATTERY]).collect();
    assert!(!tail.windows(3).any(silent), "{tail:?}");
}

/// An end before the first scan, at which the battery is to be left with 10 kW and holds this number.
fn stopped_at_once(scan: Span, held: f64) -> Site {
    let leave = |devices: &mut [DeviceSpec]| devices[BATTERY].at_stop = Some(Watts::of(10e3));
    let mut site = Site::made(&stack(), leave, |spec| {
        behind_a_bus(spec);
        spec.scan = scan;
    });
    site.held[BATTERY] = 50e3;
    site.unheard[BATTERY] = Some(held);
    site.command(Command::Stop);
    site
}

#[test]
fn who_stops_before_it_runs_is_heard_by_a_device_that_takes_nothing_from_whom_it_does_not_hear() {
    for held in [0.0, 1.0, 7.0] {
        let mut site = stopped_at_once(SCAN, held);
        for _scan in 0..2 {
            site.scan(Reading { pcc: None, batteries: [None, None], pv: None });
        }
        assert_eq!((site.held[BATTERY], site.writes[BATTERY]), (10e3, 1), "it holds {held}");
        assert_eq!(site.controller.phase(), Phase::Stopped);
        assert_eq!((site.beats[OTHER], site.beats[PV]), (0, 0), "they are not told how they are left");
    }
}

#[test]
fn a_device_that_refused_until_it_heard_no_heartbeat_any_more_hears_one_before_it_is_told_how_it_is_left() {
    let leave = |devices: &mut [DeviceSpec]| devices[BATTERY].at_stop = Some(Watts::of(10e3));
    let mut site = Site::made(&stack(), leave, behind_a_bus);
    scans(&mut site, Reading::quiet(100e3, 0.0), 10);
    site.refuses[BATTERY] = true;
    let mut heard = Vec::new();
    for turn in 0..12 {
        heard.extend(scans(&mut site, Reading::quiet(100e3 + 5e3 * f64::from(turn), 0.0), 1));
    }
    assert!(heard[10..].iter().all(|beats| beats[BATTERY] == 0), "it is left to fall back: {heard:?}");
    // It has fallen back, and takes nothing before it hears another number.
    (site.refuses[BATTERY], site.unheard[BATTERY]) = (false, Some(-1.0));
    site.command(Command::Stop);
    scans(&mut site, Reading::quiet(100e3, 0.0), 2);
    assert_eq!((site.held[BATTERY], site.controller.phase()), (10e3, Phase::Stopped));
}

#[test]
fn who_stops_between_two_scans_far_apart_sends_the_heartbeat_that_there_is_time_for() {
    let site = stopped_at_once(Span::from_millis(1_001), 7.0);
    assert_eq!((site.held[BATTERY], site.beats[BATTERY]), (10e3, 1));
    assert_eq!(site.controller.phase(), Phase::Stopped);
}

#[test]
fn who_gives_its_authority_up_is_heard_until_it_is_given_up() {
    let settings = Settings {
        heartbeat: SCAN,
        watchdog: SCAN * 3,
        lease: SCAN * 6,
        retry: SCAN,
        on_silence: OnSilence::Hold,
        ..Settings::DEFAULT
    };
    let redundancy = SupervisorSpec { council: Council::new(&[0, 1], false, Seat(0)), settings, section: 0 };
    let mut site = Site::made(
        &stack(),
        |devices| devices.iter_mut().for_each(|device| device.longest_write = Span::from_secs(8)),
        |spec| {
            behind_a_bus(spec);
            spec.redundancy = redundancy;
        },
    );
    // What it promises when it boots is durable at once.
    site.controller.handle(site.now, &Input::Promised { succeeded: true }, &mut Effects::new());
    let reading = Reading::quiet(100e3, 0.0);
    scans(&mut site, reading, 60);
    assert_eq!(site.controller.redundancy().role(), Role::Active);
    site.events.clear();
    // Nobody knows what became of this one, so that it waits for D.
    site.is_mute[OTHER] = true;
    scans(&mut site, Reading::quiet(200e3, 0.0), 1);
    site.command(Command::Maintenance { begins: true, is_forced: true });
    let mut heard = Vec::new();
    while site.controller.redundancy().role() == Role::HandingOver && heard.len() < 60 {
        heard.extend(scans(&mut site, reading, 1));
    }
    assert_eq!(site.controller.redundancy().role(), Role::Maintenance);
    let battery: Vec<u64> = heard.iter().map(|beats| beats[BATTERY]).collect();
    assert!(battery.len() > 7, "it has waited for long: {battery:?}");
    assert!(!battery.windows(3).any(|beats| beats == [0; 3]), "{battery:?}");
    assert_eq!(scans(&mut site, reading, 20), [[0; DEVICES]; 20], "and not any more");
    let fails = |event: &Event| matches!(event, Event::HeartbeatFailed { device: DeviceIndex(1), .. });
    assert!(!site.events.iter().any(fails));
}

//! What the words of redundancy mean: seats, votes, fleets, faults and commands.

use r_ems_engine::controller::Controller;
use r_ems_engine::controller::operation::Operation;
use r_ems_engine::controller::orders::{Aim, Milliwatts};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::machine::Machine;
use r_ems_engine::points::DeviceClass;
use r_ems_engine::redundancy::{Command, FailBack, OnSilence, Seat, Settings};
use r_ems_engine::{Span, Time};
use r_ems_scenarios::assurance::RestsOn;
use r_ems_scenarios::{Disk, Loaded, Memory, Overrides, examine, load};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::network::{Chance, Delay, Path};
use r_ems_sim::world::{Change, HostWall, Life, LinkState, PathChange};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// The good scenario with the controllers `b` (first) and `a`, a witness, and `more` behind its fields.
fn text(redundancy: &str, more: &str) -> String {
    let text = GOOD.replace("hosts: { \"h\": () }", "hosts: { \"h\": (), \"i\": (), \"w\": () }");
    let controllers = "controllers: { \"a\": (host: \"h\", order: 1), \"b\": (host: \"i\", order: 0) },";
    let text = text.replace(
        "controllers: { \"a\": (host: \"h\", order: 0) },",
        &format!("{controllers} witness: \"w\", redundancy: ({redundancy}),"),
    );
    let text =
        text.replace("Points(positive: Discharge)", "Points(positive: Discharge, longest_write: \"50 ms\")");
    let (head, expect) = text.split_once("    expect:").expect("the good scenario expects something");
    format!("{head}{more}\n    expect:{expect}")
}

fn files(redundancy: &str, more: &str) -> Memory {
    Memory::new().with("x.ron", text(redundancy, more)).with("short.csv", PROFILE)
}

fn loaded(redundancy: &str, more: &str) -> Loaded<BuiltIn> {
    let loaded = load(&files(redundancy, more), "x.ron", &Overrides::default());
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

fn changes(more: &str) -> Vec<(u64, Change)> {
    let timeline = loaded("", more).world.timeline;
    timeline.iter().map(|timed| (timed.at.as_nanos() / 1_000_000_000, timed.change)).collect()
}

#[test]
fn a_grids_fleet_stands_in_failover_order_with_the_witness_last() {
    let loaded = loaded("", "");
    let ids: Vec<&str> = loaded.controllers.iter().map(|controller| controller.id.as_str()).collect();
    assert_eq!(ids, ["b", "a", "w"]);
    let posts = loaded.world.posts.iter().map(|post| (post.host, post.seat, post.links.len()));
    assert_eq!(posts.collect::<Vec<_>>(), [(1, Seat(0), 2), (0, Seat(1), 2), (2, Seat(2), 0)]);
    for (place, controller) in loaded.controllers.iter().enumerate() {
        let council = &controller.redundancy.council;
        assert_eq!((council.me().position(), council.majority(), council.seats()), (place, 2, 3));
        assert_eq!(controller.redundancy.section, loaded.controllers[0].redundancy.section);
        assert_eq!(council.is_witness(council.me()), place == 2);
    }
    assert_eq!(loaded.controllers[0].devices, loaded.controllers[1].devices);
}

#[test]
fn what_a_section_leaves_out_has_the_engines_default_and_each_word_changes_its_digest() {
    let settings = |redundancy: &str| loaded(redundancy, "").controllers[0].redundancy.clone();
    let plain = settings("");
    assert_eq!(plain.settings, Settings::DEFAULT);
    let given = settings(
        "heartbeat: \"10 ms\", watchdog: \"30 ms\", lease: \"40 ms\", retry: \"5 ms\", evaluate: \"50 ms\", clock_rate_max: \
         \"250 ppm\", fail_back: After(\"5 min\")",
    );
    let expected = Settings {
        heartbeat: Span::from_millis(10),
        watchdog: Span::from_millis(30),
        lease: Span::from_millis(40),
        retry: Span::from_millis(5),
        evaluate: Span::from_millis(50),
        clock_rate_max_ppb: 250_000,
        state_age_max: Span::from_secs(5),
        fail_back: FailBack::After(Span::from_mins(5)),
        on_silence: OnSilence::Hold,
    };
    assert_eq!(given.settings, expected);
    let sections = [
        plain.section,
        given.section,
        settings("lease: \"401 ms\"").section,
        settings("watchdog: \"401 ms\"").section,
    ];
    for (place, section) in sections.iter().enumerate() {
        assert!(!sections[..place].contains(section), "{place}");
    }
    assert_eq!(settings("lease: \"400 ms\"").section, plain.section, "what is said is what counts, not how");
}

#[test]
fn a_partition_cuts_both_ways_and_a_cut_one_way() {
    let cut = |from, to, is_cut| Change::Path { from, to, change: PathChange::Cut(is_cut) };
    let one_way = changes("faults: [During(\"+1 s\", \"+2 s\", Cut(from: \"h\", to: \"w\"))],");
    assert_eq!(one_way, [(1, cut(0, 2, true)), (2, cut(0, 2, false))]);
    let both = changes("faults: [During(\"+1 s\", \"+2 s\", Partition(a: [\"h\"], b: [\"i\", \"w\"]))],");
    let pairs = [(0, 1), (0, 2), (1, 0), (2, 0)];
    let expected = |at, is_cut| pairs.map(|(from, to)| (at, cut(from, to, is_cut)));
    assert_eq!(both, [expected(1, true), expected(2, false)].concat());
}

#[test]
fn a_path_has_after_a_fault_what_it_had_before() {
    let faults = changes(
        "network: (delay: \"2 ms\", loss: (1, 100), paths: { \"h>i\": (loss: (1, 9)) }),
        faults: [
            During(\"+1 s\", \"+2 s\", Loss(from: \"h\", to: \"i\", ratio: (3, 10))),
            During(\"+3 s\", \"+4 s\", Delay(from: \"i\", to: \"h\", at_least: \"1 ms\", mean: \"1 ms\", at_most: \"9 ms\")),
        ],",
    );
    let path = |from, to, change| Change::Path { from, to, change };
    let loss = |numerator, denominator| PathChange::Loss(Chance { numerator, denominator });
    let (ms, nine) = (Span::from_millis(1), Span::from_millis(9));
    let slow = Delay { at_least: ms, mean: ms, at_most: nine };
    let expected = [
        (1, path(0, 1, loss(3, 10))),
        (2, path(0, 1, loss(1, 9))),
        (3, path(1, 0, PathChange::Delay(slow))),
        (4, path(1, 0, PathChange::Delay(Delay::exactly(ms + ms)))),
    ];
    assert_eq!(faults, expected);
}

#[test]
fn crashes_that_overlap_are_one_and_come_every_day() {
    let host = |state| Change::Host { host: 0, state };
    let found = changes(
        "faults: [
            During(\"+1 s\", \"+5 s\", Crash(host: \"h\")), During(\"+3 s\", \"+9 s\", Crash(host: \"h\")),
            At(Daily(\"00:30\"), Kill(controller: \"g/w\")), During(\"+10 s\", \"+11 s\", Kill(controller: \"g/b\")),
        ],",
    );
    let process = |controller, state| Change::Process { controller, state };
    let expected = [
        (1, host(Life::Down)),
        (9, host(Life::Up)),
        (10, process(0, Life::Down)),
        (11, process(0, Life::Up)),
        (1_800, process(2, Life::Down)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn hosts_and_processes_stop_in_order_at_an_instant_or_for_a_while() {
    let host = |state| Change::Host { host: 0, state };
    let process = |state| Change::Process { controller: 2, state };
    let found = changes(
        "faults: [
            At(\"+1 s\", Stop(host: \"h\")), During(\"+3 s\", \"+4 s\", Stop(host: \"h\")),
            During(\"+5 s\", \"+6 s\", Stop(controller: \"g/w\")),
        ],",
    );
    let expected = [
        (1, host(Life::Stops)),
        (3, host(Life::Stops)),
        (4, host(Life::Up)),
        (5, process(Life::Stops)),
        (6, process(Life::Up)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_silent_device_answers_no_controller_or_only_not_one() {
    let silent = |controller, state| Change::Link { controller, device: DeviceIndex(0), state };
    let all = changes("faults: [During(\"+1 s\", \"+2 s\", Silent(\"g/pcc\"))],");
    let both = |at, state| [(at, silent(0, state)), (at, silent(1, state))];
    assert_eq!(all, [both(1, LinkState::Silent), both(2, LinkState::Answering)].concat());
    let one = changes("faults: [During(\"+1 s\", \"+2 s\", Silent(\"a:g/pcc\"))],");
    assert_eq!(one, [(1, silent(1, LinkState::Silent)), (2, silent(1, LinkState::Answering))]);
}

#[test]
fn operators_ask_a_grid_or_one_controller() {
    let found = changes(
        "timeline: [
            At(\"+1 s\", SwitchOver(\"g\")), At(\"+2 s\", SwitchOver(\"g/b\", (to: \"a\"))),
            At(\"+3 s\", Maintenance(\"g/a\", Forced)),
            At(\"+4 s\", Sole(\"g/b\", On)), At(\"+5 s\", ClockRate(host: \"w\", rate: \"-600 ppm\")),
        ],",
    );
    let command = |controller, command| Change::Command { controller, command };
    let expected = [
        (1, command(0, Command::SwitchOver { to: None })),
        (1, command(1, Command::SwitchOver { to: None })),
        (2, command(0, Command::SwitchOver { to: Some(Seat(1)) })),
        (3, command(1, Command::Maintenance { begins: true, is_forced: true })),
        (4, command(0, Command::Sole { begins: true })),
        (5, Change::ClockRate { host: 2, rate_ppb: -600_000 }),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_operators_tell_devices_is_told_to_every_controller_of_their_grid_and_bounded_in_time() {
    let found = changes(
        "timeline: [
            At(\"+1 s\", SetPoint(\"g/batteries\", \"-2.5 kW\", (for: \"1 h\"))),
            At(\"+2 s\", Release(\"g/pcc\")), At(\"+3 s\", EmergencyStop(\"g\")), At(\"+4 s\", Reset(\"g\")),
            At(\"+5 s\", Mode(\"g\", Hold, (for: \"10 min\"))), At(\"+6 s\", Mode(\"g\", Stop)), At(\"+7 s\", Mode(\"g\", Auto)),
        ],",
    );
    let both = |at, command| [0, 1].map(|controller| (at, Change::Command { controller, command }));
    let (to, power, lasts) = (Aim::All(DeviceClass::Battery), Milliwatts(-2_500_000), Span::from_hours(1));
    let expected = [
        both(1, Command::SetPoint { to, power, lasts }),
        both(2, Command::ReleaseSetPoint { to: Aim::Device(DeviceIndex(0)) }),
        both(3, Command::EmergencyStop),
        both(4, Command::Reset),
        both(5, Command::Operate { operation: Operation::Hold, lasts: Span::from_mins(10) }),
        both(6, Command::Operate { operation: Operation::Stop, lasts: Span::ZERO }),
        both(7, Command::Operate { operation: Operation::Auto, lasts: Span::ZERO }),
    ];
    assert_eq!(found, expected.concat());
    let long = "timeline: [At(\"+1 s\", SetPoint(\"g/pcc\", \"1 kW\", (for: \"61 min\")))],";
    let refused = load::<BuiltIn>(&files("", long), "x.ron", &Overrides::default());
    let report = refused.err().map(|report| report.to_string()).unwrap_or_default();
    assert!(report.contains("must be more than 0 s and at most 1 h, got 1 h 1 min"), "{report}");
}

#[test]
fn a_wall_clock_is_set_for_good_or_for_a_while() {
    let found = changes(
        "clocks: { \"i\": (wall: \"-250 ms\") },
        faults: [
            At(\"+1 s\", WallClock(host: \"h\", ahead: \"1 h\")),
            During(\"+2 s\", \"+3 s\", WallClock(host: \"h\", ahead: \"-1 h\")),
            During(\"+4 s\", \"+5 s\", WallClock(host: \"i\", ahead: Unknown)), At(\"+6 s\", Upgrade(host: \"w\")),
        ],
        persistence: (),",
    );
    let shows = |host, wall| Change::WallClock { host, wall };
    let hour = 3_600_000_000_000;
    let expected = [
        (1, shows(0, HostWall::Ahead(hour))),
        (2, shows(0, HostWall::Ahead(-hour))),
        (3, shows(0, HostWall::Ahead(0))),
        (4, shows(1, HostWall::Unknown)),
        (5, shows(1, HostWall::Ahead(-250_000_000))),
        (6, Change::Upgrade { host: 2 }),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_link_may_be_another_for_one_controller() {
    let (of_all, of_one) = ("\"g/bess\": (write_delay: \"5 ms\")", "\"a:g/bess\": (latency: \"30 ms\")");
    // What is said of one counts wherever it stands.
    for (first, second) in [(of_all, of_one), (of_one, of_all)] {
        let loaded = loaded("", &format!("links: {{ {first}, {second} }},"));
        let link = |post: usize| {
            (loaded.world.posts[post].links[1].latency, loaded.world.posts[post].links[1].write_delay)
        };
        let five = Delay::exactly(Span::from_millis(5));
        assert_eq!(link(0), (Span::from_millis(20), five));
        assert_eq!(link(1), (Span::from_millis(30), five));
    }
}

#[test]
fn paths_that_are_not_named_are_those_of_the_network() {
    let world =
        loaded("", "network: (loss: (1, 1000), paths: { \"h>w\": (delay: \"3 ms\") }), sync: \"9 ms\",")
            .world;
    let loss = Chance { numerator: 1, denominator: 1_000 };
    assert_eq!(world.path, Path { loss, ..Path::LOCAL });
    let own = Path { delay: Delay::exactly(Span::from_millis(3)), ..world.path };
    assert_eq!((world.paths, world.sync), (vec![(0, 2, own)], Span::from_millis(9)));
}

#[test]
fn the_bound_of_a_take_over_follows_from_the_scenarios_own_network() {
    let redundancy = "heartbeat: \"10 ms\", watchdog: \"30 ms\", lease: \"40 ms\", retry: \"5 ms\", clock_rate_max: \"0 %\"";
    let (report, found) = examine::<BuiltIn>(&files(redundancy, "network: (delay: \"2 ms\"),"), "x.ron");
    assert!(report.mistakes.is_empty(), "{report}");
    let grid = &found[0];
    assert_eq!((grid.voters.as_slice(), grid.majority), (&["b", "a", "w"].map(String::from)[..], 2));
    // W 40 ms and a delay, a retry, D of 50 ms, two messages, and a write of 20 ms.
    assert!((grid.take_over_max_s - 0.121).abs() < 1e-9, "{grid:?}");
    assert!((grid.grantor_wait_s - 0.04).abs() < 1e-9 && !grid.delay_is_assumed);
    assert_eq!(grid.devices[0].rests_on, RestsOn::DeclaredLongestWrite);
    // A delay that a fault brings counts.
    let delay = "Delay(from: \"h\", to: \"i\", at_least: \"1 ms\", mean: \"1 ms\", at_most: \"10 ms\")";
    let slow = format!("faults: [During(\"+1 s\", \"+2 s\", {delay})],");
    let (_, found) =
        examine::<BuiltIn>(&files(redundancy, &format!("network: (delay: \"2 ms\"), {slow}")), "x.ron");
    assert!((found[0].take_over_max_s - 0.145).abs() < 1e-9, "{found:?}");
    // 40 ms less a heartbeat of 10 ms and 2 · 10 ms, on a clock without error.
    assert!((found[0].stall_max_s - 0.01).abs() < 1e-9, "{found:?}");
    // A sync under way and its own, of 8 ms each, before the write.
    let strict = "network: (delay: \"2 ms\"), sync: \"8 ms\", persistence: (sync: Strict),";
    let (report, found) = examine::<BuiltIn>(&files(redundancy, strict), "x.ron");
    assert!(report.mistakes.is_empty(), "{report}");
    assert!((found[0].take_over_max_s - 0.137).abs() < 1e-9, "{found:?}");
    assert!((found[0].sync_wait_s - 0.016).abs() < 1e-9, "{found:?}");
}

#[test]
fn one_authority_that_returns_in_time_is_expected_of_every_run_with_a_shared_grid() {
    let loaded = loaded("", "");
    let names: Vec<&str> = loaded.at_end.iter().map(|judged| judged.name.as_str()).collect();
    assert_eq!(names, [r_ems_scenarios::ONE_AUTHORITY, r_ems_scenarios::AUTHORITY_RETURNS]);
    let overrides = Overrides { until: Some(Span::from_mins(10)), ..Overrides::default() };
    let early = load::<BuiltIn>(&files("", ""), "x.ron", &overrides).expect("a good scenario");
    assert_eq!(early.at_end.len(), 2, "also of a part of it");
    assert_eq!(early.world.duration, Time::from_nanos(600_000_000_000).since(Time::ZERO));
}

#[test]
fn nothing_is_promised_of_a_grid_in_which_no_function_acts() {
    let settings = vec!["site.grids.g.functions=[]".to_owned(), "expect=[]".to_owned()];
    let overrides = Overrides { settings, ..Overrides::default() };
    let idle =
        load::<BuiltIn>(&files("", ""), "x.ron", &overrides).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((loaded("", "").world.promised.len(), idle.world.promised), (1, vec![]));
}

#[test]
fn a_list_of_faults_reads_alike_by_itself_and_in_its_scenario() {
    let faults = r#"[During("+1 s", "+2 s", Crash(host: "h")), At("+3 s", SwitchOver("g/a"))]"#;
    let alone = r_ems_scenarios::happenings::<BuiltIn>(&loaded("", "").documents, faults);
    let within = loaded("", &format!("faults: {faults},")).world.timeline;
    assert_eq!(alone.expect("a good list"), within);
    let wrong = r_ems_scenarios::happenings::<BuiltIn>(
        &loaded("", "").documents,
        "[At(\"+1 s\", Crash(host: \"q\"))]",
    );
    assert!(wrong.expect_err("no such host").to_string().contains("there is no host"));
}

#[test]
fn nobody_counts_on_who_may_lose_a_device_by_writing_to_it() {
    // Values count for 305 ms: of that a scan takes 100 ms, a read 5 ms, and a write 5 ms besides what delays it.
    for (delay, heirs) in [("195 ms", 2), ("196 ms", 0)] {
        let settings = [
            "expect=[]".to_owned(),
            "site.grids.commerce.devices.bess.link.timeout=\"1 s\"".to_owned(),
            format!("links={{ \"commerce/bess\": (write_delay: \"{delay}\") }}"),
        ];
        let overrides = Overrides { settings: settings.into(), ..Overrides::default() };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/failover_wire.ron");
        let loaded = load::<BuiltIn>(&Disk, path, &overrides).unwrap_or_else(|report| panic!("{report}"));
        let found = loaded.world.promised[0].members.iter().filter(|member| member.is_heir);
        assert_eq!(found.count(), heirs, "{delay}");
        let is_told = loaded.warnings.to_string().contains("`max_age` is 305 ms");
        assert_eq!(is_told, heirs == 0, "{delay}: {}", loaded.warnings);
    }
}

/// A pair in the dark: its meter knows no frequency.
const DARK: &str = r#"Scenario(
    version: 1, name: "dark", start: "2016-03-09", duration: "1 min",
    site: Site(version: 1, hosts: { "a": (), "b": (), "w": () }, grids: { "g": (
        scan: "200 ms",
        devices: {
            "pcc": Meter(link: Points(positive: Import), rating: "400 kW", measures: [v, f]),
            "pv": Pv(link: Points(longest_write: "100 ms"), rating: "20 kW"),
            "main": Breaker(link: Points(checks_epochs: true), rating: "400 kW", measures: [v, f]),
        },
        functions: [Lfsm(meter: "pcc", pv: "pv", when: Both)],
        controllers: { "a": (host: "a", order: 0), "b": (host: "b", order: 1) }, witness: "w",
    ) }),
    plant: { "g": {
        "load": Load(rating: "10 kW", source: Constant("9 kW")),
        "pv": Pv(rating: "20 kW", source: Constant("9 kW")),
        "pcc": GridConnection(import_max: "400 kW", breaker: "main", short_circuit: "1 MVA"),
    } },
    initial: { "g/pcc": (breaker: Open) },
)"#;

#[test]
fn a_start_that_waits_for_a_frequency_that_nobody_has_breaks_no_promise() {
    let files = Memory::new().with("x.ron", DARK);
    let loaded =
        load::<BuiltIn>(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let mut driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    fleet.run(&mut driver).expect("no controller fails an assertion");
    let result = driver.finish();
    assert!(result.traffic[0][1].writes > 0, "its start does not wait for ever");
    assert_eq!(result.progress.late, []);
}

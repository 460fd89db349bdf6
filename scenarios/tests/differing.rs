//! Hosts whose site file is not that of the others: what they do not understand of each other, and that nothing breaks by it.

use r_ems_engine::controller::Controller;
use r_ems_engine::event::Event;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::{Delivery, Driver, Effect, Machine, Outcome};
use r_ems_engine::points::Positive;
use r_ems_engine::redundancy::Seat;
use r_ems_engine::redundancy::transfer::Refusal;
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Loaded, Memory, Overrides, load, recall};
use r_ems_sim::driver::{RunResult, SimDriver};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// When the first controller's host crashes, for good.
const CRASH: Time = Time::from_nanos(30_000_000_000);

/// The good scenario for a minute with the controllers `a` (first) and `b`, a witness, and `more` behind its fields.
fn text(more: &str) -> String {
    let text = GOOD.replace("hosts: { \"h\": () }", "hosts: { \"h\": (), \"i\": (), \"w\": () }");
    let controllers = "controllers: { \"a\": (host: \"h\", order: 0), \"b\": (host: \"i\", order: 1) },";
    let text = text.replace(
        "controllers: { \"a\": (host: \"h\", order: 0) },",
        &format!("{controllers} witness: \"w\", redundancy: (),"),
    );
    let text =
        text.replace("Points(positive: Discharge)", "Points(positive: Discharge, longest_write: \"50 ms\")");
    let text = text.replace("profile: (\"short\", \"load_pu\")", "source: Constant(\"300 kW\")");
    let text = text.replace("duration: \"1 h\"", "duration: \"1 min\"");
    let (head, _expect) = text.split_once("    expect:").expect("the good scenario expects something");
    format!("{head}faults: [At(\"+30 s\", Crash(host: \"h\"))],\n{more}\n)")
}

fn loaded(more: &str) -> Loaded<BuiltIn> {
    let files = Memory::new().with("x.ron", text(more)).with("short.csv", PROFILE);
    load(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"))
}

/// What everybody reports, with its place in the fleet.
struct Heard {
    inner: SimDriver,
    events: Vec<(Time, u16, Event)>,
}

impl Driver for Heard {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.inner.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            if let Effect::Report(event) = effect {
                self.events.push((outcome.at, outcome.from.0, *event));
            }
        }
        self.inner.perform(outcome);
    }
}

impl Heard {
    fn run(loaded: Loaded<BuiltIn>) -> (Self, RunResult) {
        let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
        let inner = SimDriver::new(loaded.world).expect("the checker has seen every link");
        let mut driver = Self { inner, events: Vec::new() };
        fleet.run(&mut driver).expect("no controller fails an assertion");
        let result = driver.inner.finish();
        assert_eq!(result.authority.violation_count, 0, "{:?}", result.authority.violations);
        assert_eq!(result.progress.late, [], "what cannot be is not promised");
        (driver, result)
    }

    /// Who reported something, before the crash or in all of the run.
    fn reported(&self, wanted: Event, by: Time) -> Vec<u16> {
        let is_it = |event: &&(Time, u16, Event)| event.2 == wanted && event.0 < by;
        self.events.iter().filter(is_it).map(|event| event.1).collect()
    }

    /// Who took over after the crash.
    fn took_over(&self) -> Vec<u16> {
        let is_it =
            |event: &&(Time, u16, Event)| matches!(event.2, Event::TookOver { .. }) && event.0 > CRASH;
        self.events.iter().filter(is_it).map(|event| event.1).collect()
    }
}

fn differs(setting: &str) -> String {
    format!("differs: {{ \"i\": {{ {setting} }} }},")
}

#[test]
fn hosts_that_are_alike_understand_each_other() {
    let (heard, result) = Heard::run(loaded(""));
    assert_eq!(heard.reported(Event::StateTaken { seat: Seat(0) }, CRASH), [1]);
    assert_eq!(heard.took_over(), [1]);
    assert!(result.authority.waiting.is_empty());
}

#[test]
fn whoever_differs_in_what_authority_rests_on_is_not_understood_and_gets_none() {
    for setting in [
        "\"site.grids.g.redundancy.lease\": \"900 ms\"",
        // Who believes this would write into what the one before has on its way.
        "\"site.grids.g.devices.bess.link\": Points(positive: Discharge, longest_write: \"10 ms\")",
        "\"site.grids.g.devices.bess.link\": Points(positive: Discharge, longest_write: \"50 ms\", checks_epochs: true)",
    ] {
        let (heard, result) = Heard::run(loaded(&differs(setting)));
        let of = |seat| heard.reported(Event::SectionDiffers { seat: Seat(seat) }, CRASH);
        assert_eq!((of(0), of(2)), (vec![1], vec![1]), "{setting}");
        let mut of_b = of(1);
        of_b.sort_unstable();
        assert_eq!(of_b, [0, 2], "{setting}");
        let refused = Event::StateRefused { seat: Seat(0), refusal: Refusal::Section };
        assert_eq!(heard.reported(refused, Time::MAX), [1], "{setting}");
        assert_eq!(heard.took_over(), [], "{setting}");
        assert_eq!(result.authority.waiting.len(), 1, "nobody writes: {setting}");
    }
}

#[test]
fn a_witness_that_differs_has_no_vote_and_the_two_others_go_on() {
    let more = "differs: { \"w\": { \"site.grids.g.redundancy.lease\": \"900 ms\" } },";
    let (heard, _) = Heard::run(loaded(more));
    assert_eq!(heard.reported(Event::SectionDiffers { seat: Seat(2) }, CRASH).len(), 2);
    assert_eq!(heard.reported(Event::StateTaken { seat: Seat(0) }, CRASH), [1]);
    assert_eq!(heard.took_over(), [], "one vote of three is no majority");
}

#[test]
fn of_a_pair_that_takes_over_on_silence_one_writes_though_neither_understands_the_other() {
    for host in ["i", "h"] {
        let more = format!("differs: {{ \"{host}\": {{ \"site.grids.g.redundancy.evaluate\": \"2 s\" }} }},");
        let pair = text(&more)
            .replace(" witness: \"w\", redundancy: ()", " redundancy: (on_silence: TakeOver)")
            .replace("At(\"+30 s\", Crash(host: \"h\"))", "During(\"+30 s\", \"+40 s\", Crash(host: \"h\"))");
        let files = Memory::new().with("x.ron", pair).with("short.csv", PROFILE);
        let loaded = load(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
        let (heard, result) = Heard::run(loaded);
        let took_over = |event: &&(Time, u16, Event)| matches!(event.2, Event::TookOver { .. });
        let writers: Vec<u16> = heard.events.iter().filter(took_over).map(|event| event.1).collect();
        assert_eq!(writers, [0, 1], "who returns waits, as the other holds authority");
        assert!(result.authority.waiting.is_empty());
    }
}

#[test]
fn another_limit_is_tolerated_and_counts_from_the_take_over_on() {
    let (heard, result) = Heard::run(loaded(&differs("\"site.grids.g.functions[0].limit\": \"200 kW\"")));
    assert_eq!(heard.reported(Event::StateTaken { seat: Seat(0) }, CRASH), [1]);
    assert_eq!(heard.took_over(), [1]);
    assert!(result.authority.waiting.is_empty());
}

#[test]
fn the_state_of_other_functions_is_refused_and_the_standby_begins_without() {
    let more = differs(
        "\"site.grids.g.functions\": [
            SelfConsumption(meter: \"pcc\", battery: \"bess\", discharge_above: \"20 %\"),
        ]",
    );
    let (heard, result) = Heard::run(loaded(&more));
    let refused = Event::StateRefused { seat: Seat(0), refusal: Refusal::Layout };
    assert_eq!(heard.reported(refused, CRASH), [1]);
    assert_eq!(heard.reported(Event::StateTaken { seat: Seat(0) }, Time::MAX), []);
    assert_eq!(heard.took_over(), [1], "the active is gone: what it remembered cannot be had any more");
    assert!(result.authority.waiting.is_empty());
}

#[test]
fn what_a_log_keeps_makes_the_same_controllers_again() {
    let loaded = loaded(&differs("\"site.grids.g.functions[0].limit\": \"200 kW\""));
    let recalled = recall::<BuiltIn>(&loaded.documents).expect("it was read before");
    let states = |specs: &[_]| {
        specs.iter().map(Controller::<BuiltIn>::new).map(|made| format!("{made:?}")).collect::<Vec<_>>()
    };
    assert_eq!(states(&recalled.controllers), states(&loaded.controllers));
    assert_ne!(format!("{:?}", loaded.controllers[0].laws), format!("{:?}", loaded.controllers[1].laws));
}

#[test]
fn a_site_file_of_its_own_differs_by_the_same_paths() {
    let text = text(&differs("\"site.grids.g.scan\": \"2 s\""));
    let from = text.find("    site: Site(").expect("the good scenario holds its site") + "    site: ".len();
    let to = text.find("    start:").expect("it begins at some time");
    let site = text[from..to].trim_end().trim_end_matches(',').to_string();
    let scenario = format!("{}\"site.ron\",\n{}", &text[..from], &text[to..]);
    let files = Memory::new().with("x.ron", scenario).with("site.ron", site).with("short.csv", PROFILE);
    let loaded: Loaded<BuiltIn> =
        load(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    let scans: Vec<Span> = loaded.controllers.iter().take(2).map(|controller| controller.scan).collect();
    assert_eq!(scans, [Span::from_secs(1), Span::from_secs(2)]);
}

#[test]
fn what_the_controllers_of_a_host_do_not_read_is_refused_where_it_is_set() {
    let link = |more: &str| {
        let link = "\"site.grids.g.devices.bess.link\": Points(positive: Discharge, longest_write: \"50 ms\"";
        format!("{link}, {more})")
    };
    for (setting, path, allowed) in [
        (
            "\"site.persistence\": (sync: Strict)".into(),
            "site.persistence",
            "what the others have, got (sync: Strict)",
        ),
        ("\"site.time_zone\": \"UTC+2\"".into(), "site.time_zone", "\"UTC+1\", got \"UTC+2\""),
        ("\"site.hosts.i\": (address: \"10.0.0.1:1\")".into(), "site.hosts", "what the others have"),
        (link("timeout: \"2 s\""), "link.timeout", "\"1 s\", got Points("),
    ] {
        let files = Memory::new().with("x.ron", text(&differs(&setting))).with("short.csv", PROFILE);
        let refused =
            load::<BuiltIn>(&files, "x.ron", &Overrides::default()).expect_err(&setting).to_string();
        for words in ["differs.i", path, "expected", allowed] {
            assert!(refused.contains(words), "{words}: {refused}");
        }
    }
}

#[test]
fn what_an_expectation_reads_in_an_image_is_what_the_host_of_that_image_makes_of_it() {
    let link = "\"site.grids.g.devices.bess.link\": Points(positive: Charge, longest_write: \"50 ms\")";
    let age = "\"site.grids.g.devices.bess.max_age\": \"9 s\"";
    let loaded = loaded(&differs(&format!("{link}, {age}")));
    let [a, b] = [0, 1].map(|post: usize| {
        let link = &loaded.world.posts[post].links[1];
        (link.positive, link.declared, link.valid_for)
    });
    assert_eq!((a.0, a.1), (Positive::Discharge, Positive::Discharge));
    assert_eq!((b.0, b.1), (Positive::Discharge, Positive::Charge));
    assert_eq!((a.2, b.2), (Span::from_secs(3), Span::from_millis(8_980)));
}

//! Scenarios of several files: what is merged how, where mistakes are shown, and what a log keeps.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Disk, Files, Loaded, Memory, Overrides, Report, check, load, recall};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// The good scenario in `base/base.ron`, with its profile beside it, and a scenario that uses it.
fn files(own: &str) -> Memory {
    let base = GOOD.replace("\"short.csv\"", "\"../data/short.csv\"");
    Memory::new().with("run/x.ron", own).with("run/base/base.ron", base).with("run/data/short.csv", PROFILE)
}

fn loaded_with(files: &dyn Files, settings: &[&str]) -> Result<Loaded<BuiltIn>, Report> {
    let settings = settings.iter().map(ToString::to_string).collect();
    load(files, "run/x.ron", &Overrides { settings, ..Overrides::default() })
}

fn loaded(own: &str) -> Loaded<BuiltIn> {
    loaded_with(&files(own), &[]).unwrap_or_else(|report| panic!("{report}"))
}

/// What is wrong, one line a mistake: the place and the message.
fn mistakes(files: &dyn Files) -> Vec<String> {
    let report = check::<BuiltIn>(files, "run/x.ron");
    report.mistakes.iter().map(|m| format!("{}:{}:{}: {}", m.file, m.line, m.column, m.message)).collect()
}

#[test]
fn maps_are_merged_by_name_lists_are_joined_and_own_fields_win() {
    let own = r#"Scenario(
        version: 1,
        use: ["base/base.ron"],
        name: "own",
        duration: "30 min",
        plant: { "g": {
            "bess": Battery(capacity: "1 MWh", rating: "250 kW", soc: "40 %"),
            "more": Load(rating: "1 kW", source: Constant(1.0)),
        } },
        expect: [Never("g/pcc.p > 1 MW")],
    )"#;
    let own = loaded(own);
    assert_eq!(own.name, "own");
    assert_eq!(own.world.duration, r_ems_engine::Span::from_mins(30));
    // The names of the base keep their places, new ones come behind them.
    assert_eq!(own.components, [["load", "bess", "pcc", "more"]]);
    let names: Vec<&str> = own.world.expectations.iter().map(|expected| expected.name.as_str()).collect();
    assert_eq!(names, ["always g/pcc.p <= 225 kW", "never g/pcc.p > 1 MW"]);
    let text = own.documents[0].text();
    assert!(text.contains("1 MWh") && !text.contains("500 kWh"), "{text}");
}

#[test]
fn what_a_file_is_without_is_left_out_of_all_that_it_uses() {
    let own = r#"Scenario(version: 1, use: ["base/base.ron"], without: ["expect"], expect: [Never("g/pcc.p > 1 MW")])"#;
    let own = loaded(own);
    let names: Vec<&str> = own.world.expectations.iter().map(|expected| expected.name.as_str()).collect();
    assert_eq!(names, ["never g/pcc.p > 1 MW"]);
    assert!(!own.documents[0].text().contains("without"), "a log keeps what is left");
    let wrong = files("Scenario(version: 1, use: [\"base/base.ron\"], without: [\"site\"])");
    let message = mistakes(&wrong).join("\n");
    assert!(message.contains("cannot be left out; allowed: note, clocks, differs, expect"), "{message}");
    let alone =
        Memory::new().with("run/x.ron", GOOD.replace("version: 1,", "version: 1, without: [\"expect\"],"));
    assert!(mistakes(&alone).join("\n").contains("names what is left out of the files of `use`"));
}

#[test]
fn a_log_keeps_one_text_that_needs_no_other_file_but_its_profiles() {
    let first = loaded(r#"Scenario(version: 1, use: ["base/base.ron"], seed: 9)"#);
    let [document] = first.documents.as_slice() else { panic!("the site stands in the scenario") };
    assert!(!document.text().contains("use:"), "{}", document.text());
    let recalled = recall::<BuiltIn>(&first.documents).expect("a text that was loaded");
    assert_eq!(recalled.name, first.name);
    let kept = Memory::new().with("run/x.ron", document.text()).with("run/data/short.csv", PROFILE);
    let again = loaded_with(&kept, &[]).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((again.world.seed, again.documents[0].text()), (9, document.text()));
}

#[test]
fn a_mistake_is_shown_in_the_file_that_it_is_in() {
    let own = "Scenario(version: 1,\n    use: [\"base/base.ron\"],\n    seeed: 7,\n    expect: [Always(\"g/pcc.x <= 1 kW\")],\n)";
    let base =
        GOOD.replace("\"short.csv\"", "\"../data/short.csv\"").replace("soc: \"50 %\"", "soc: \"500 %\"");
    let line = base.lines().position(|line| line.contains("500 %")).expect("the line just made") + 1;
    let column = base.lines().nth(line - 1).and_then(|text| text.find("\"500 %")).expect("the same") + 1;
    let files = files(own).with("run/base/base.ron", base);
    assert_eq!(
        mistakes(&files),
        [
            "run/x.ron:3:5: unknown field `seeed`; did you mean `seed`? allowed: version, use, without, set, duration, \
             name, note, site, seed, network_seed, start, profiles, plant, links, clocks, differs, network, fidelity, sync, \
             persistence, initial, tariff, timeline, faults, expect"
                .to_string(),
            "run/x.ron:4:21: \"pcc\" has no point \"x\"; allowed: p, closed, q, v, f, state, waiting, grid_v, grid_f, \
             trips, remote"
                .to_string(),
            format!("run/base/base.ron:{line}:{column}: must be from 0 % to 100 %, got \"500 %\""),
        ]
    );
}

#[test]
fn what_the_command_line_sets_is_set_in_what_is_merged_and_shown_as_the_command_lines() {
    let files = files(r#"Scenario(version: 1, use: ["base/base.ron"])"#);
    let set = loaded_with(&files, &["plant.g.bess.soc=40 %", "site.grids.g.scan=2 s"]);
    let set = set.unwrap_or_else(|report| panic!("{report}"));
    assert!(set.documents[0].text().contains("soc: \"40 %\""), "{}", set.documents[0].text());
    let report = loaded_with(&files, &["plant.g.bess.soc=400 %", "plant.g.bess.capacity=0 kWh"])
        .expect_err("too much");
    let places: Vec<(&str, &str)> =
        report.mistakes.iter().map(|mistake| (mistake.file.as_str(), mistake.field.as_str())).collect();
    let expected = [
        ("--set plant.g.bess.capacity=0 kWh", "plant.g.bess.capacity"),
        ("--set plant.g.bess.soc=400 %", "plant.g.bess.soc"),
    ];
    assert_eq!(places, expected);
}

#[test]
fn each_file_counts_once_and_circles_are_refused() {
    let own = r#"Scenario(version: 1, use: ["one.ron", "two.ron"])"#;
    let diamond = files(own)
        .with("run/one.ron", r#"Scenario(version: 1, use: ["base/base.ron"])"#)
        .with("run/two.ron", r#"Scenario(use: ["./base/../base/base.ron"])"#);
    assert_eq!(mistakes(&diamond), [""; 0]);
    let circle = files(own)
        .with("run/one.ron", r#"Scenario(version: 1, use: ["base/base.ron"])"#)
        .with("run/two.ron", r#"Scenario(use: ["one.ron", "x.ron"])"#);
    let found = mistakes(&circle);
    assert_eq!(found, ["run/two.ron:1:27: the file uses itself: run/x.ron → run/two.ron → run/x.ron"]);
}

#[test]
fn files_that_are_missing_or_something_else_are_refused_where_they_are_named() {
    let found = mistakes(&files(r#"Scenario(version: 1, use: ["base/base.ron", "none.ron", 7])"#));
    assert_eq!(
        found,
        [
            "run/x.ron:1:45: cannot read \"run/none.ron\": no such file",
            "run/x.ron:1:57: expected a text in quotes, got 7",
        ]
    );
    let site = files(r#"Scenario(version: 1, use: ["base/base.ron", "site.ron"])"#)
        .with("run/site.ron", "Site(version: 1)");
    assert_eq!(
        mistakes(&site),
        ["run/site.ron:1:1: expected Scenario(…), the only file to be used, got Site(version: 1)"]
    );
    let old = files(r#"Scenario(version: 1, use: ["base/base.ron", "old.ron"])"#)
        .with("run/old.ron", "Scenario(version: 2, seed: 1)");
    assert_eq!(mistakes(&old), ["run/old.ron:1:19: expected version 1, the only one that is known, got 2"]);
}

#[test]
fn nothing_is_said_to_be_missing_where_what_is_used_cannot_be_had() {
    let alone =
        |own: &str| mistakes(&Memory::new().with("run/x.ron", own).with("run/site.ron", "Site(version: 1)"));
    let own = |used: &str| {
        format!("Scenario(version: 1, use: [\"{used}\"], plant: {{ \"g\": {{ \"bess\": () }} }})")
    };
    assert_eq!(alone(&own("none.ron")), ["run/x.ron:1:28: cannot read \"run/none.ron\": no such file"]);
    assert_eq!(alone(&own("x.ron")), ["run/x.ron:1:28: the file uses itself: run/x.ron → run/x.ron"]);
    assert_eq!(
        alone(&own("site.ron")),
        ["run/site.ron:1:1: expected Scenario(…), the only file to be used, got Site(version: 1)"]
    );
}

#[test]
fn long_chains_and_many_files_are_refused() {
    let chain = |length: usize| {
        let last = format!("run/{length}.ron");
        let link = |number: usize| format!("Scenario(use: [\"{}.ron\"])", number + 1);
        let files = files(r#"Scenario(version: 1, use: ["1.ron"])"#)
            .with(&last, r#"Scenario(version: 1, use: ["base/base.ron"])"#);
        (1..length).fold(files, |files, number| files.with(&format!("run/{number}.ron"), link(number)))
    };
    assert_eq!(mistakes(&chain(7)), [""; 0]);
    assert!(mistakes(&chain(8))[0].ends_with("at most 32 files, 8 deep; \"base/base.ron\" is beyond that"));
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("\"{number}.ron\"")).collect();
        let own = format!("Scenario(version: 1, use: [\"base/base.ron\", {}])", names.join(", "));
        (0..count).fold(files(&own), |files, number| files.with(&format!("run/{number}.ron"), "Scenario()"))
    };
    assert_eq!(mistakes(&many(31)), [""; 0]);
    let found = mistakes(&many(32));
    assert!(found.iter().any(|found| found.contains("expected at most 32 files, got 33")), "{found:?}");
}

#[test]
fn a_used_file_works_from_the_disk() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let used = format!("{}/peak_shaving.ron", env!("CARGO_MANIFEST_DIR"));
    let own = format!("Scenario(version: 1, use: [{used:?}], name: \"half a day\", duration: \"12 h\")");
    let path = folder.join("uses.ron");
    std::fs::write(&path, own).expect("a test may write its own files");
    let loaded = load::<BuiltIn>(&Disk, &path.to_string_lossy(), &Overrides::default());
    assert_eq!(loaded.unwrap_or_else(|report| panic!("{report}")).name, "half a day");
}

//! What a command line sets in a scenario.

use r_ems_engine::Span;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::persistence::SyncRule;
use r_ems_scenarios::{Disk, Files, Loaded, Overrides, Report, load, recall};
use r_ems_sim::plant::Component;

fn loaded(changes: Overrides) -> Result<Loaded<BuiltIn>, Report> {
    load(&Disk, &format!("{}/peak_shaving.ron", env!("CARGO_MANIFEST_DIR")), &changes)
}

fn set(setting: &str) -> Result<Loaded<BuiltIn>, Report> {
    loaded(Overrides { settings: vec![setting.into()], ..Overrides::default() })
}

fn capacity_wh(loaded: &Loaded<BuiltIn>) -> f64 {
    let batteries = loaded.world.grids[0].bus.components().iter().filter_map(|component| match component {
        Component::Battery(battery) => Some(battery.spec().capacity.watt_hours()),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Genset(_)
        | Component::Tie(_) => None,
    });
    batteries.sum()
}

#[test]
fn a_value_is_set_as_bare_text_or_as_ron() {
    for value in ["1000kWh", "1000 kWh", "\"1 MWh\""] {
        let loaded = set(&format!("plant.commerce.bess.capacity={value}")).expect(value);
        assert_eq!(capacity_wh(&loaded), 1e6);
    }
}

#[test]
fn a_value_of_the_site_file_is_set_and_is_in_the_texts_that_a_log_keeps() {
    let loaded = set("site.grids.commerce.functions[1].limit=250kW").expect("a path that exists");
    assert_eq!(loaded.world.grids[0].shaving_limit.map(|limit| limit.watts()), Some(250e3));
    assert!(loaded.documents[1].text().contains("250 kW"));
}

#[test]
fn a_field_that_has_a_default_is_added() {
    let loaded = set("plant.commerce.bess.soc_step=5%").expect("a field that a battery has");
    assert!(loaded.documents[0].text().contains("soc_step: \"5 %\""));
}

#[test]
fn a_path_that_leads_nowhere_is_refused_with_what_is_there() {
    let report = set("plant.commerce.bes.capacity=1kWh").expect_err("there is no such component");
    let text = report.to_string();
    assert!(text.contains("did you mean `bess`?"), "{text}");
    let report = set("plant.commerce.bess.capcity=1kWh").expect_err("a battery has no such field");
    assert!(report.to_string().contains("did you mean `capacity`?"), "{report}");
}

/// What is wrong with a setting, in one line.
fn refused(setting: &str) -> String {
    let report = set(setting).expect_err(setting);
    let [mistake] = report.mistakes.as_slice() else { panic!("{report}") };
    mistake.to_string()
}

#[test]
fn an_entry_of_a_list_is_named_by_its_position_in_brackets_or_behind_a_dot() {
    for path in ["site.grids.commerce.functions[1].limit", "site.grids.commerce.functions.1.limit"] {
        let loaded = set(&format!("{path}=250kW")).expect(path);
        assert_eq!(loaded.world.grids[0].shaving_limit.map(|limit| limit.watts()), Some(250e3));
    }
    let found = refused("site.grids.commerce.functions.PeakShaving.limit=250kW");
    let place = "site.grids.commerce.functions";
    let hint = format!("{place} is a list: write {place}[0] for its first entry, got \"PeakShaving\"");
    assert_eq!(found, format!("--set {place}.PeakShaving.limit=250kW: {hint}"));
}

#[test]
fn names_may_stand_in_quotes() {
    let loaded = set("plant.\"commerce\".\"bess\".capacity=1MWh").expect("a path in quotes");
    assert_eq!(capacity_wh(&loaded), 1e6);
}

#[test]
fn what_a_scenario_may_leave_out_is_made_when_something_in_it_is_set() {
    let latency = |setting: &str| set(setting).expect(setting).world.posts[0].links[0].latency;
    assert_eq!(latency("links.commerce/pcc.latency=300 ms"), Span::from_millis(300));
    assert_eq!(latency("links.\"commerce/pcc\".latency=300 ms"), Span::from_millis(300));
    let clock = set("clocks.a.rate=-300 ppm").expect("a host").world.hosts[0];
    assert_eq!(clock.rate_ppb, -300_000);
    let changes = [
        "links.commerce/pcc.latency=300 ms",
        "links.commerce/bess.drop_outs=(every: \"1 h\", lasting: \"1 s\")",
    ];
    let both = Overrides { settings: changes.map(String::from).to_vec(), ..Overrides::default() };
    assert!(loaded(both).expect("two links").world.posts[0].links[1].drop_outs.is_some());
}

#[test]
fn a_mistake_in_what_is_set_names_the_setting() {
    let setting = "plant.commerce.bess.soc=400%";
    assert_eq!(
        refused(setting),
        format!("--set {setting}: plant.commerce.bess.soc: must be from 0 % to 100 %, got \"400 %\"")
    );
    let setting = "site.grids.commerce.scan=0 s";
    assert!(refused(setting).starts_with(&format!("--set {setting}: grids.commerce.scan: must be from")));
    let setting = "links.commerce/pc.latency=1 s";
    assert!(refused(setting).contains("there is no device \"pc\"; did you mean `pcc`?"));
    assert!(refused("link.commerce/pcc.latency=1 s").contains("the scenario has no `link`; "));
    assert!(
        refused("site.grid.commerce.scan=1 s").contains("the site file has no `grid`; did you mean `grids`?")
    );
    assert!(refused("name=\"a\", seed: 3").contains("the value is no RON"));
}

#[test]
fn a_seed_is_taken_as_given() {
    let loaded =
        loaded(Overrides { seed: Some(11), ..Overrides::default() }).expect("a seed is always right");
    assert_eq!(loaded.world.seed, 11);
}

#[test]
fn a_run_that_ends_early_is_judged_by_what_it_can_judge() {
    let until = |span| Overrides { until: Some(span), ..Overrides::default() };
    // What is expected of the whole run's sums is left out with a warning each.
    let day = loaded(until(Span::from_hours(24))).expect("a day of the week");
    assert_eq!((day.world.expectations.len(), day.warnings.counts()), (4, (0, 2)));
    // The controller had 10 s to start.
    let short = loaded(until(Span::from_secs(9))).expect("nine seconds");
    assert_eq!((short.world.expectations.len(), short.warnings.counts()), (3, (0, 3)));
    assert!(loaded(until(Span::ZERO)).is_err());
    assert!(loaded(until(Span::from_hours(24 * 7))).is_ok());
    assert!(loaded(until(Span::from_hours(24 * 7) + Span::from_nanos(1))).is_err());
}

#[test]
fn a_window_that_ends_before_it_begins_is_a_mistake_and_no_warning_of_a_run_that_is_too_short() {
    let setting = "expect[0]=Always(\"commerce/pcc.p <= 1 MW\", (from: \"+3 h\", to: \"+2 h\"))".to_string();
    let until = Some(Span::from_hours(1));
    let changes = Overrides { settings: vec![setting], until, ..Overrides::default() };
    let report = loaded(changes).expect_err("the window ends before it begins");
    let named = |text: &str| report.mistakes.iter().filter(|mistake| mistake.message.contains(text)).count();
    assert_eq!((named("must not be before"), named("pcc.p <= 1 MW\" is not judged")), (1, 0), "{report}");
}

/// The folder of scenarios, with one more.
struct Beside(String);

const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/beside.ron");

impl Files for Beside {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        if path == BESIDE { Ok(self.0.clone().into_bytes()) } else { Disk.read(path, bytes_max) }
    }
}

/// A scenario that uses another one and has these fields.
fn beside(fields: &str, settings: &[&str]) -> Result<Loaded<BuiltIn>, Report> {
    let text = format!("Scenario(\n    version: 1,\n    use: [\"peak_shaving.ron\"],\n    {fields},\n)\n");
    let settings = settings.iter().map(ToString::to_string).collect();
    load(&Beside(text), BESIDE, &Overrides { settings, ..Overrides::default() })
}

#[test]
fn a_file_sets_what_a_command_line_can_and_the_command_line_comes_after_it() {
    let set = r#"set: { "plant.commerce.bess.capacity": "700 kWh", "site.grids.commerce.functions[1].limit": "250 kW" }"#;
    let loaded = beside(set, &[]).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(capacity_wh(&loaded), 700e3);
    assert_eq!(loaded.world.grids[0].shaving_limit.map(|limit| limit.watts()), Some(250e3));
    let typed =
        beside(set, &["plant.commerce.bess.capacity=900kWh"]).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(capacity_wh(&typed), 900e3);
    // What was typed, as a file would state it: nothing of what the file states already.
    let stated = [("plant.commerce.bess.capacity".to_owned(), "\"900 kWh\"".to_owned())];
    assert_eq!(typed.settings, stated);
}

#[test]
fn a_file_sets_a_section_that_is_not_there_and_something_in_it() {
    for set in [
        r#"set: { "persistence": (sync: Strict, keep: 1) }"#,
        r#"set: { "persistence": (), "persistence.sync": Strict, "persistence.keep": 1 }"#,
        r#"persistence: (sync: "50 ms", keep: 7), set: { "persistence.sync": Strict, "persistence.keep": 1 }"#,
        r#"set: { "persistence.sync": Strict, "persistence.keep": 1 }"#,
    ] {
        let loaded = beside(set, &[]).unwrap_or_else(|report| panic!("{set}: {report}"));
        let journal = loaded.world.persistence.expect(set).journal;
        assert_eq!((journal.sync, journal.retention.keep), (SyncRule::Strict, 1), "{set}");
    }
}

#[test]
fn what_a_file_has_set_is_in_the_text_that_a_log_keeps_and_is_not_set_again() {
    let loaded =
        beside(r#"set: { "plant.commerce.bess.soc_step": "5 %" }"#, &[]).expect("a field of a battery");
    let text = loaded.documents[0].text();
    assert!(text.contains("soc_step: \"5 %\"") && text.contains("set: {}"), "{text}");
    assert_eq!(recall::<BuiltIn>(&loaded.documents).expect("a text that was loaded").name, loaded.name);
}

#[test]
fn a_mistake_in_what_a_file_sets_is_shown_where_it_stands() {
    let wrong = [
        (r#""plant.commerce.bess.soc": "400 %""#, "4:39", "must be from 0 % to 100 %, got \"400 %\""),
        (r#""site.version": 2"#, "4:28", "version"),
        (r#""persistence.keep": 0"#, "4:32", "must be from 1 to 1000, got 0"),
        (r#""plant.comerce.bess.soc": 0.5"#, "4:12", "plant has no `comerce`"),
        (r#""seed=1": 0.5"#, "4:12", "expected a path without `=`, got `seed=1`"),
        (r#""a..b": 0.5"#, "4:12", "expected path=value such as"),
        (r#""seed": 1, "seed": 2"#, "4:23", "this name stands here a second time"),
    ];
    for (entries, place, message) in wrong {
        let report = beside(&format!("set: {{ {entries} }}"), &[]).expect_err(entries);
        let [mistake] = report.mistakes.as_slice() else { panic!("{report}") };
        let text = mistake.to_string();
        assert!(text.contains(&format!("beside.ron:{place}: ")) && text.contains(message), "{text}");
    }
    let report = beside(r#"set: ["seed=1"]"#, &[]).expect_err("a list");
    assert_eq!(report.mistakes.len(), 1, "{report}");
}

#[test]
fn what_a_sweep_sets_comes_after_all_settings_and_a_mistake_in_it_names_the_sweep() {
    let path = "plant.commerce.bess.capacity";
    let changes = |swept: &str| Overrides {
        settings: vec![format!("{path}=1 MWh")],
        swept: vec![format!("{path}={swept}")],
        ..Overrides::default()
    };
    assert_eq!(capacity_wh(&loaded(changes("250kWh")).expect("a capacity")), 250e3);
    let report = loaded(changes("-5kWh")).expect_err("less than nothing").to_string();
    assert!(report.contains(&format!("--sweep {path}=-5kWh: {path}: must be above 0")), "{report}");
}

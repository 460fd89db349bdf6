//! What people are told about files that are wrong: one bad file each in `bad/`, its report beside it as a snapshot.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Memory, Overrides, Report, Severity, check, load};

fn path_of(name: &str) -> String {
    format!("{}/tests/bad/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn content(name: &str) -> Vec<u8> {
    std::fs::read(path_of(name)).expect("a file of this test")
}

/// The files by names that are the same on every machine.
fn files(name: &str) -> Memory {
    let own = format!("{name}.csv");
    let has_own = std::fs::exists(path_of(&own)).is_ok_and(|exists| exists);
    let sheets = ["short.csv", "broken.csv", "dips.csv"].into_iter().chain(has_own.then_some(own.as_str()));
    let files = sheets.fold(Memory::new(), |files, csv| files.with(csv, content(csv)));
    let scenario = format!("{name}.ron");
    let text = content(&scenario);
    files.with(&scenario, text)
}

fn report(name: &str) -> Report {
    check::<BuiltIn>(&files(name), &format!("{name}.ron"))
}

macro_rules! bad_files {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let report = report(stringify!($name));
            assert!(!report.mistakes.is_empty());
            insta::with_settings!({ snapshot_path => "bad", prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(stringify!($name), report.to_string());
            });
        })*
    };
}

bad_files! {
    five_mistakes, no_ron, mixed_arguments, unknown_fields, twice, quantities, ranges, versions, time_zone,
    redundancy, no_direction, functions, order_of_functions, names, plant, ratings, missing_files, missing_site,
    short_profile, broken_profile, sources, expectations, happenings, wide_characters, another_file, interpolation,
    daily, not_yet, sums, tariff, rivals, sizes, too_large, odd_sources, sheet_rows, sheet_values, sheet_times,
    sheet_empty, sheet_names, sheet_bytes, sheet_nothing, unknown_component, renamed_component, unknown_device,
    unquoted, window, spelled, empty, unclosed_text, unclosed_bracket, unclosed_end,
    intervals, council, pair, one_host, lone_witness, network, faults, device_faults, take_over, take_over_alone,
    late_writes, late_renewals, late_beats, crowded_beats, persistence, no_disks, stalls, wall_clocks, differing, modbus,
    modbus_misfits, bits, identity, serial, serial_misfits, serial_masters, sunspec, by_the_clock, islands, pipelining, sections,
}

#[test]
fn the_file_that_all_bad_ones_were_made_from_is_right() {
    assert_eq!(report("good"), Report::default());
}

#[test]
fn a_file_with_five_mistakes_lists_five() {
    assert_eq!(report("five_mistakes").counts(), (5, 0));
}

#[test]
fn what_follows_from_a_mistake_is_no_other_mistake() {
    for name in ["unknown_component", "renamed_component", "unknown_device", "unquoted"] {
        assert_eq!(report(name).counts(), (1, 0), "{name}");
    }
}

#[test]
fn a_stack_out_of_order_and_ratings_that_differ_are_warnings_and_do_not_stop_a_run() {
    for (name, count) in [("order_of_functions", 1), ("ratings", 2)] {
        assert_eq!(report(name).counts(), (0, count), "{name}");
        let loaded = load::<BuiltIn>(&files(name), &format!("{name}.ron"), &Overrides::default());
        let warnings = loaded.expect("warnings do not stop a run").warnings;
        assert!(warnings.mistakes.iter().all(|mistake| mistake.severity == Severity::Warning), "{warnings}");
    }
}

#[test]
fn columns_count_characters_as_editors_do() {
    let report = report("wide_characters");
    let line = r#"    name: "Ränder für 電力 😀", dauer: "ß","#;
    let before = line.split("dauer").next().expect("a line with that word").chars().count();
    assert_eq!((report.mistakes[0].line, report.mistakes[0].column), (3, before as u32 + 1));
}

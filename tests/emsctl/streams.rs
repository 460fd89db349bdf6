//! Streams: data goes to standard output and nothing else does; what cannot be written is no success.

use crate::{SCENARIO, code, emsctl, errors, file, json, recorded, text};

#[test]
fn a_wrong_scenario_has_the_same_json_from_run_as_from_check() {
    let scenario = file("wrong_json.ron");
    std::fs::write(&scenario, "Scenario(version: 9)\n").expect("a test may write its own files");
    let scenario = scenario.to_string_lossy();
    let (run, check) = (["run", &*scenario, "--format", "json"], ["check", &*scenario, "--format", "json"]);
    let (run, check) = (emsctl(&run), emsctl(&check));
    assert_eq!((code(&run), code(&check)), (5, 5));
    assert_eq!(json(&run), json(&check));
    assert!(json(&run)["files"][0]["mistakes"][0]["line"].is_u64());
    // What the command line sets, and a file that is not there, have no place.
    let wrong = ["run", SCENARIO, "--set", "plant.commerce.bes.capacity=1kWh", "--format", "json"];
    for output in [emsctl(&wrong), emsctl(&["run", "nowhere.ron", "--format", "json"])] {
        assert_eq!(code(&output), 5);
        let mistake = json(&output)["files"][0]["mistakes"][0].clone();
        assert!(mistake["line"].is_null() && mistake["column"].is_null(), "{mistake}");
    }
}

#[test]
fn nobody_is_shown_colors_where_there_is_no_terminal() {
    let log = recorded("colors.log", &[]);
    for arguments in
        [&["run", SCENARIO, "--until", "1 h"][..], &["show", &log, "--to", "+1 min"], &["run", "--help"]]
    {
        let output = emsctl(arguments);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        assert!(!text(&output).contains('\u{1b}') && !errors(&output).contains('\u{1b}'), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_no_success() {
    use assert_cmd::cargo::cargo_bin;
    use std::process::{Command, Stdio};

    let log = recorded("full.log", &[]);
    for arguments in
        [&["--help"][..], &["--version"], &["run", "--help"], &["man"], &["show", &log], &["check", SCENARIO]]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let mut program = Command::new(cargo_bin!("r-emsctl"));
        let program = program.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
        let output = program.stdout(Stdio::from(full)).output().expect("the program runs");
        assert_eq!(code(&output), 1, "{arguments:?}");
        assert!(errors(&output).contains("standard output: cannot be written"), "{}", errors(&output));
    }
}

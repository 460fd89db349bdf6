//! Arguments: what is refused, with which exit code and in which words; and what a newcomer finds in the help.

use crate::{SCENARIO, code, emsctl, errors, file, json, recorded, text};

#[test]
fn a_wrong_number_is_named_with_its_option_and_what_is_allowed() {
    for (arguments, told) in [
        (["--until", "-1 s"], "expected a span"),
        (["--until", "0 s"], "--until"),
        (["--until", "2 weeks"], "--until: must be above 0 s and at most the run's 7 days"),
        (["--seed", "-1"], "a whole number from 0"),
    ] {
        let output = emsctl(&[&["run", SCENARIO][..], &arguments].concat());
        assert_eq!(code(&output), 2, "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(told), "{arguments:?}: {}", errors(&output));
        // A value that begins with a dash is a value: to write `-- -1` would not help.
        assert!(!errors(&output).contains("tip"), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn a_window_that_holds_nothing_is_refused_with_the_span_of_the_log() {
    let log = recorded("window.log", &[]);
    for arguments in [&["--from", "+5 days"][..], &["--from", "+25 ms", "--to", "+25 ms"]] {
        let output = emsctl(&[&["replay", &log][..], arguments].concat());
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output));
        assert!(errors(&output).contains("2016-03-07 02:00:00"), "{}", errors(&output));
    }
    for command in ["replay", "show"] {
        let output = emsctl(&[command, &log, "--from", "+5 min", "--to", "+1 min"]);
        assert_eq!(code(&output), 2, "{command}: {}", text(&output));
    }
    // Just inside.
    assert_eq!(code(&emsctl(&["replay", &log, "--from", "+2 h"])), 0);
}

#[test]
fn two_instants_that_are_not_the_same_do_not_look_the_same() {
    let log = recorded("digits.log", &[]);
    let output = emsctl(&["explain", &log, "--at", "+2 h 1 ns"]);
    assert_eq!(code(&output), 2);
    let told = errors(&output);
    assert!(told.contains("ends at 2016-03-07 02:00:00, before 2016-03-07 02:00:00.000000001"), "{told}");
}

#[test]
fn what_is_no_result_takes_no_format() {
    for arguments in [&["man", "--format", "json"][..], &["completions", "bash", "--format", "json"]] {
        assert_eq!(code(&emsctl(arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in ["check", "run", "replay", "show", "diff", "explain", "probe", "completions", "man"] {
        let output = emsctl(&[command, "--help"]);
        assert_eq!(code(&output), 0);
        let help = text(&output);
        assert!(help.contains("Example") && help.contains(&format!("r-emsctl {command} ")), "{help}");
    }
    assert!(text(&emsctl(&["show", "--help"])).contains("one object a line"));
}

#[test]
fn a_run_that_is_cut_short_says_what_it_did_not_judge() {
    let cut = ["run", SCENARIO, "--until", "2 h"];
    let summary = json(&emsctl(&[&cut[..], &["--format", "json"]].concat()));
    let all = summary["expectations"].as_array().expect("a list");
    let sum = all.iter().find(|known| known["name"] == "at the end commerce.peak <= 221 kW");
    let sum = sum.expect("what is expected stays known");
    for field in ["held", "margin", "at_s", "at", "value"] {
        assert!(sum[field].is_null(), "{field}: {sum}");
    }
    assert!(sum["not_judged"].as_str().is_some_and(|why| why.contains("whole run")), "{sum}");
    assert_eq!(summary["held"], true);
    let page = emsctl(&cut);
    assert_eq!(code(&page), 0);
    assert!(text(&page).contains("2 not judged") && text(&page).contains("about the whole run"));
}

#[test]
fn what_has_happened_already_is_judged_however_early_the_run_ends() {
    let scenario = file("within.ron");
    let shipped = format!("{}/{SCENARIO}", env!("CARGO_MANIFEST_DIR"));
    let folder = format!("\"{}/scenarios/", env!("CARGO_MANIFEST_DIR"));
    let shipped = std::fs::read_to_string(shipped).expect("it is shipped");
    let more = "SomeEvent(\"started\", (within: \"3 h\", name: \"starts\")),
        SomeEvent(\"shortfall_began\", (within: \"3 h\", name: \"falls short\")),
        SomeEvent(\"shortfall_began\", (within: \"1 h\", name: \"falls short soon\")),
        Always(\"commerce/pcc.p <= 225 kW\", (from: \"+3 h\", name: \"later\")),
        SomeEvent(\"started\"";
    let with_more = shipped.replace("SomeEvent(\"started\"", more);
    let with_paths = with_more.replace("\"profiles/", &format!("{folder}profiles/"));
    let with_paths = with_paths.replace("\"sites/", &format!("{folder}sites/"));
    std::fs::write(&scenario, with_paths).expect("a test may write its own files");
    let scenario = scenario.to_string_lossy();
    let output = emsctl(&["run", &scenario, "--until", "2 h", "--format", "json"]);
    assert_eq!(code(&output), 3, "{}", errors(&output));
    let summary = json(&output);
    let held = |name: &str| {
        let all = summary["expectations"].as_array().expect("a list");
        all.iter().find(|known| known["name"] == name).expect("it is listed")["held"].clone()
    };
    assert_eq!(held("starts"), true);
    assert!(held("falls short").is_null() && held("later").is_null());
    assert_eq!(held("falls short soon"), false);
}

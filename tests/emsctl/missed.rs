//! `explain --missed`: the run is simulated again, and nothing is said about another run than the one that was recorded.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{code, emsctl, errors, file, json, mend, text};

/// A scenario in a directory of its own, with its site and profile, and a log of its first hours.
struct Moved {
    directory: PathBuf,
    profile: PathBuf,
    log: String,
}

impl Moved {
    fn record(name: &str) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let directory = file(name);
        let _absent = fs::remove_dir_all(&directory);
        for part in ["sites", "profiles"] {
            fs::create_dir_all(directory.join(part)).expect("a test may make its own directories");
            for entry in fs::read_dir(shipped.join(part)).expect("it is shipped") {
                let entry = entry.expect("it can be listed");
                fs::copy(entry.path(), directory.join(part).join(entry.file_name()))
                    .expect("a copy of its own");
            }
        }
        let scenario = directory.join("week.ron");
        fs::copy(shipped.join("peak_shaving.ron"), &scenario).expect("a copy of its own");
        let log = directory.join("week.rlog").to_string_lossy().into_owned();
        let run = ["run", &*scenario.to_string_lossy(), "--until", "4 h", "--record", &log];
        assert_eq!(code(&emsctl(&run)), 0);
        let profile = directory.join("profiles/simbench_2016_15min.csv");
        Self { directory, profile, log }
    }

    fn missed(&self, more: &[&str]) -> std::process::Output {
        emsctl(&[&["explain", &self.log, "--missed", "pcc.p <="][..], more].concat())
    }
}

/// The profile with another load in the quarter of an hour that begins so many seconds after the new year.
fn changed(profile: &str, begins: u32) -> String {
    let begin = format!("{begins},");
    let change = |line: &str| match line.strip_prefix(&begin) {
        Some(rest) => {
            let (household, rest) = rest.split_once(',').expect("a column");
            let (_commerce, rest) = rest.split_once(',').expect("another column");
            format!("{begin}{household},0.5,{rest}\n")
        }
        None => format!("{line}\n"),
    };
    profile.lines().map(change).collect()
}

#[test]
fn a_changed_profile_is_no_answer() {
    let moved = Moved::record("changed_profile");
    let profile = fs::read_to_string(&moved.profile).expect("it was just copied");
    assert_eq!(code(&moved.missed(&[])), 0);
    // The run begins 5,702,400 s after the new year: this is its third hour.
    let other = changed(&profile, 5_702_400 + 3 * 3_600);
    assert_ne!(profile, other);
    fs::write(&moved.profile, other).expect("as above");
    let output = moved.missed(&[]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(errors(&output).contains("differs from the one of the run"), "{}", errors(&output));
    assert!(errors(&output).contains("simbench_2016_15min.csv"), "{}", errors(&output));
    // What comes after the log's end is nothing to it.
    fs::write(&moved.profile, changed(&profile, 5_702_400 + 6 * 3_600)).expect("as above");
    assert_eq!(code(&moved.missed(&[])), 0, "{}", errors(&moved.missed(&[])));
}

#[test]
fn a_profile_is_found_beside_the_log_or_where_the_user_says() {
    let moved = Moved::record("moved_profile");
    let logs = file("moved_logs");
    let _absent = fs::remove_dir_all(&logs);
    fs::create_dir_all(logs.join("profiles")).expect("a test may make its own directories");
    let log = logs.join("week.rlog");
    fs::copy(&moved.log, &log).expect("a copy of its own");
    let elsewhere = file("moved_elsewhere");
    let _absent = fs::remove_dir_all(&elsewhere);
    fs::rename(&moved.directory, &elsewhere).expect("one file system");
    let moved = Moved { log: log.to_string_lossy().into_owned(), ..moved };

    let output = moved.missed(&[]);
    assert_eq!(code(&output), 1);
    let told = errors(&output);
    assert!(
        told.contains("looked for") && told.contains("moved_logs") && told.contains("--scenario-dir"),
        "{told}"
    );
    let named = moved.missed(&["--scenario-dir", &elsewhere.to_string_lossy()]);
    assert_eq!(code(&named), 0, "{}", errors(&named));
    let profile = "profiles/simbench_2016_15min.csv";
    fs::copy(elsewhere.join(profile), logs.join(profile)).expect("a copy of its own");
    assert_eq!(code(&moved.missed(&[])), 0, "{}", errors(&moved.missed(&[])));
}

#[test]
fn an_ambiguous_name_lists_what_it_may_mean_and_events_are_told_as_events() {
    let moved = Moved::record("ambiguous");
    let ask = |name: &str| emsctl(&["explain", &moved.log, "--missed", name]);
    let output = ask("o");
    assert_eq!(code(&output), 2);
    for name in ["always commerce/pcc.p <= 225 kW", "no event device_limited"] {
        assert!(errors(&output).contains(name), "{}", errors(&output));
    }
    let output = ask("no event device_limited");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(text(&output).contains("held, none seen; this is when watching ended"), "{}", text(&output));
    let output = ask("some event started");
    assert!(text(&output).contains("this is when the first came"), "{}", text(&output));
}

#[test]
fn a_sum_is_explained_where_the_run_ends_and_not_if_it_was_cut_short() {
    let moved = Moved::record("sums");
    let cut = emsctl(&["explain", &moved.log, "--missed", "commerce.peak"]);
    assert_eq!(code(&cut), 2);
    assert!(errors(&cut).contains("was not judged") && !errors(&cut).contains("--until"), "{}", errors(&cut));
    let log = moved.directory.join("whole.rlog").to_string_lossy().into_owned();
    let scenario = "tests/golden/every_source.ron";
    assert!([0, 3].contains(&code(&emsctl(&["run", scenario, "--record", &log]))));
    let run = json(&emsctl(&["run", scenario, "--format", "json"]));
    let all = run["expectations"].as_array().expect("a list");
    for expectation in all {
        let name = expectation["name"].as_str().expect("a name");
        let output = emsctl(&["explain", &log, "--missed", name, "--format", "json"]);
        assert_eq!(code(&output), 0, "{name}: {}", errors(&output));
        assert_eq!(json(&output)["expectation"], *expectation, "{name}");
    }
}

#[test]
fn a_log_that_was_cut_off_at_once_says_so() {
    let moved = Moved::record("cut_off");
    let bytes = fs::read(&moved.log).expect("it was just written");
    let mut groups = mend::groups(&bytes);
    groups.truncate(1);
    fs::write(&moved.log, mend::joined(&bytes, &groups)).expect("a test may write its own files");
    let output = emsctl(&["replay", &moved.log]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(errors(&output).contains("stopped before its first block was written"), "{}", errors(&output));
    let output = moved.missed(&[]);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("the log ends where the run begins"), "{}", errors(&output));
}

#[test]
fn a_take_over_is_told_as_one_and_explained_when_it_was_over() {
    let path = file("take_over.rlog");
    let log = path.to_string_lossy().into_owned();
    let expect = "expect=[TakeOverWithin(\"100 ms\", (name: \"tow\"))]";
    let run = ["run", "scenarios/failover.ron", "--set", expect, "--record", &log, "--format", "json"];
    let summary = json(&emsctl(&run));
    let output = emsctl(&["explain", &log, "--missed", "tow"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let told = text(&output);
    assert!(
        told.contains("this is when commerce/b had taken over from commerce/a, 77 ms 187 us after its crash"),
        "{told}"
    );
    let end = summary["simulated_s"].as_f64().expect("a number");
    let expectations = summary["expectations"].as_array().expect("a list");
    let judged = expectations.iter().find(|judged| judged["name"] == "tow").expect("it was judged");
    assert!(judged["at_s"].as_f64().is_some_and(|at| at < end), "{judged}");
}

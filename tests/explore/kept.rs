//! What a search found outlives the search, however that ends; and what cannot be kept is said before hours are spent on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use r_ems::engine::functions::BuiltIn;
use r_ems::engine::{Span, Time};
use r_ems::explore::saved::Writer;
use r_ems::explore::settings::DRAWN;
use r_ems::explore::{Broken, Case, Property, Site, saved};
use serde_json::Value;

use super::{LATE_WRITES, emsctl, folder, json, root};

/// The arguments of a search that finds something soon.
fn search<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let settings = LATE_WRITES.iter().flat_map(|setting| ["--set", setting]);
    let what = ["explore", "scenarios/failover_fast.ron", "--seed", "11"];
    what.into_iter().chain(settings).chain(more.iter().copied()).collect()
}

fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "ron")).collect()
}

/// Searches for far longer than it takes to find something, until that has been saved.
fn until_saved(folder: &Path, more: &[&str]) -> Child {
    let save = folder.to_str().expect("a path that is text");
    let arguments =
        search(&[&["--runs", "100000000", "--time", "2 min", "--jobs", "2", "--save", save], more].concat());
    let mut command = Command::new(env!("CARGO_BIN_EXE_r-emsctl"));
    command.current_dir(root()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    while scenarios(folder).is_empty() {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it ended before it found anything");
    }
    child
}

/// What a program says that somebody asks to end.
#[cfg(unix)]
fn ended_by_its_user(child: Child) -> std::process::Output {
    let id = child.id().to_string();
    let asked = Command::new("kill").args(["-INT", &id]).status().expect("there is such a command");
    assert!(asked.success());
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_search_that_is_killed_leaves_what_it_found() {
    let folder = folder("explore_killed");
    let mut child = until_saved(&folder, &[]);
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    for scenario in scenarios(&folder) {
        let text = fs::read_to_string(&scenario).expect("it is whole");
        assert!(text.contains("// As it was found"), "{text}");
        let scenario = scenario.to_str().expect("a path that is text");
        assert_eq!(json(&["run", scenario]).1, Some(3), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_search_that_its_user_ends_says_after_how_many_runs_and_keeps_what_it_found() {
    for (format, name) in [("human", "explore_interrupted"), ("json", "explore_interrupted_json")] {
        let folder = folder(name);
        let child = until_saved(&folder, &["--format", format]);
        let output = ended_by_its_user(child);
        assert_eq!(output.status.code(), Some(3));
        let text = String::from_utf8(output.stdout).expect("text");
        if format == "json" {
            let found: Value = serde_json::from_str(&text).expect("a whole result");
            assert_eq!(found["interrupted"], true);
            assert!(found["runs"].as_u64().is_some_and(|runs| runs > 0), "{found}");
            let saved = found["broken"].as_array().expect("a list").len();
            assert_eq!(scenarios(&folder).len(), saved, "one of each property, as small as it got");
        } else {
            assert!(text.contains("interrupted after ") && text.contains("saved as "), "{text}");
        }
    }
}

#[test]
fn what_is_shrunk_is_saved_over_what_was_found() {
    let folder = folder("explore_replaced");
    let save = folder.to_str().expect("a path that is text");
    let (found, exit) = json(&search(&["--runs", "40", "--save", save]));
    assert_eq!(exit, Some(3), "{found}");
    let broken = found["broken"].as_array().expect("a list");
    let kept = scenarios(&folder);
    assert_eq!(kept.len(), broken.len(), "{kept:?}");
    for scenario in kept {
        let text = fs::read_to_string(&scenario).expect("it is whole");
        assert!(!text.contains("// As it was found"), "{text}");
        // What the command line set stands in it, so that it fails by itself.
        assert_eq!(json(&["run", scenario.to_str().expect("a path that is text")]).1, Some(3), "{text}");
        assert!(scenario.with_extension("rlog").exists());
    }
}

#[test]
fn what_cannot_be_written_is_said_before_the_search_with_the_place_and_the_remedy() {
    let file = folder("explore_no_folder");
    drop(fs::remove_file(&file));
    fs::write(&file, "").expect("a file of the test");
    let beneath = file.join("beneath");
    let beneath = beneath.to_str().expect("a path that is text");
    let endless = ["--runs", "100000000"];
    for (option, path, code, remedy) in [
        ("--save", beneath, 1, "name a folder that you may write to"),
        ("--junit", beneath, 1, "cannot be written"),
        ("--junit", "scenarios", 2, "it is a directory; name a file"),
        ("--junit", "scenarios/failover_fast.ron", 2, "name another file"),
    ] {
        let output = emsctl(&search(&[&endless[..], &[option, path]].concat()));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(path) && errors.contains(remedy), "{errors}");
        assert!(output.stdout.is_empty());
    }
}

/// What a search says that may write no file larger than so many blocks of 512 bytes, or of 1,024.
#[cfg(unix)]
fn on_a_full_disk(blocks: u32, folder: &Path, more: &[&str]) -> (String, String) {
    let save = folder.to_str().expect("a path that is text");
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.current_dir(root()).args(["-c", &limited, env!("CARGO_BIN_EXE_r-emsctl")]);
    let output = command.args(search(&["--runs", "40", "--save", save])).args(more).output();
    let output = output.expect("there is a shell");
    let [text, errors] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(3), "{errors}");
    (text, errors)
}

#[cfg(unix)]
#[test]
fn what_a_full_disk_does_not_take_is_told_and_no_part_of_a_log_stays() {
    let folder = folder("explore_full");
    let (text, errors) = on_a_full_disk(0, &folder, &[]);
    assert!(text.contains("\n  it could not be saved: ") && !text.contains("--save DIR"), "{text}");
    assert!(errors.contains("cannot be written"), "{errors}");
    assert_eq!(fs::read_dir(&folder).expect("it was made").count(), 0, "nothing is left");
    // The scenarios fit, their logs do not; before, there was room for both.
    json(&search(&["--runs", "40", "--save", folder.to_str().expect("a path that is text")]));
    let is_log = |path: &PathBuf| path.with_extension("rlog").exists();
    assert!(scenarios(&folder).iter().all(is_log));
    let (text, _) = on_a_full_disk(8, &folder, &["--format", "json"]);
    let found: Value = serde_json::from_str(&text).expect("a whole result");
    for broken in found["broken"].as_array().expect("a list") {
        assert!(broken["scenario"].is_string() && broken["log"].is_null(), "{broken}");
        let unsaved = broken["unsaved"].as_str().expect("it is told");
        assert!(unsaved.starts_with("its log could not be saved: "), "{unsaved}");
    }
    assert!(!scenarios(&folder).iter().any(is_log));
}

#[test]
fn a_report_for_ci_is_written_over_nothing_that_the_search_reads() {
    let folder = folder("explore_junit_inputs");
    fs::create_dir_all(&folder).expect("a folder of the test");
    let copy = |from: &str, name: &str| {
        let to = folder.join(name);
        fs::copy(root().join("scenarios").join(from), &to).expect("a shipped file");
        to
    };
    let profile = copy("profiles/simbench_2016_15min.csv", "profile.csv");
    let site = copy("sites/commerce_failover_fast.ron", "site.ron");
    let used = copy("failover_fast.ron", "used.ron");
    let text = fs::read_to_string(&used).expect("a file of the test");
    let text = text.replace("profiles/simbench_2016_15min.csv", "profile.csv");
    let text = text.replace("sites/commerce_failover_fast.ron", "site.ron");
    fs::write(&used, text).expect("a file of the test");
    let file = folder.join("scenario.ron");
    fs::write(&file, "Scenario(version: 1, use: [\"used.ron\"])").expect("a file of the test");
    for input in [&profile, &site, &used, &file] {
        let before = fs::read(input).expect("a file of the test");
        let [file, path] = [&file, input].map(|path| path.to_str().expect("a path that is text"));
        let output = emsctl(&["explore", file, "--runs", "1", "--seed", "1", "--junit", path]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains(path) && errors.contains("which the run reads; name another file"),
            "{errors}"
        );
        assert_eq!(fs::read(input).expect("it is there"), before);
    }
}

#[cfg(unix)]
#[test]
fn a_report_for_ci_that_cannot_be_written_any_more_costs_no_result() {
    let folder = folder("explore_junit_gone");
    let report = folder.with_extension("xml");
    drop(fs::remove_dir_all(&report));
    let path = report.to_str().expect("a path that is text");
    let child = until_saved(&folder, &["--junit", path]);
    assert!(!report.exists(), "nothing is left of the look at it");
    fs::create_dir(&report).expect("its place is free");
    let output = ended_by_its_user(child);
    assert_eq!(output.status.code(), Some(3));
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("interrupted after ") && text.contains("saved as "), "{text}");
    assert!(errors.contains("error: ") && errors.contains(path) && errors.contains("be written"), "{errors}");
}

/// What is saved of a run in which one snapshot is kept, on a site of which `settings` change that.
fn saved_with(settings: &[&str], name: &str) -> String {
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let file = root().join("scenarios/pair_without_witness.ron");
    let site: Site<BuiltIn> = Site::open(&file, &settings, None).expect("a shipped scenario");
    let length = Span::from_secs(1);
    let settings = DRAWN[2].to_vec();
    let case = Case { network_seed: 1, length, faults: Vec::new(), calmed: 0, settings };
    let broken = Broken { property: Property::OneAuthority, at: Time::ZERO, words: String::new() };
    let kept = saved::keep(&site, &folder(name), &case, &broken, "a test").expect("it is saved");
    fs::read_to_string(kept.0).expect("it is there")
}

#[test]
fn what_a_command_line_sets_stands_in_what_is_saved_unless_the_search_set_it_too() {
    let takes_over = "site.grids.commerce.redundancy.on_silence=TakeOver";
    let text = saved_with(&[takes_over, takes_over], "explore_stated");
    let set = "set: { \"persistence.keep\": 1, \"site.grids.commerce.redundancy.on_silence\": TakeOver },";
    assert!(text.contains(set) && !text.contains("--set"), "{text}");
    assert!(text.starts_with("// Broken: one authority at a time"), "{text}");
    let text = saved_with(&["persistence.keep=2"], "explore_stated_twice");
    assert!(text.contains("--set persistence.keep=2 ") && text.contains("and needs them"), "{text}");
    assert!(text.contains("set: { \"persistence.keep\": 1 },"), "{text}");
}

#[test]
fn a_saved_failure_is_replaced_by_nothing_but_what_the_same_search_finds() {
    let (folder, other_folder) = (folder("explore_collide"), folder("explore_collide_site"));
    fs::create_dir_all(&other_folder).expect("a folder of the test");
    let shipped = root().join("scenarios/pair_without_witness.ron");
    let other = other_folder.join("pair_without_witness.ron");
    fs::write(&other, format!("Scenario(version: 1, use: [{shipped:?}])")).expect("a file of the test");
    let [site, other]: [Site<BuiltIn>; 2] =
        [shipped, other].map(|file| Site::open(&file, &[], None).expect("a scenario that is right"));
    let case = |millis| {
        let length = Span::from_millis(millis);
        Case { network_seed: 1, length, faults: Vec::new(), calmed: 0, settings: Vec::new() }
    };
    let broken = Broken { property: Property::OneAuthority, at: Time::ZERO, words: String::new() };
    let name = |path: &Path| path.file_stem().and_then(|name| name.to_str()).expect("text").to_owned();
    let save = |site: &Site<BuiltIn>, millis, found_by: &str| {
        let saved = saved::save(site, &folder, &case(millis), &broken, found_by).expect("it is saved");
        assert!(saved.log.is_some_and(|log| log == saved.scenario.with_extension("rlog")));
        name(&saved.scenario)
    };
    let keep = |site: &Site<BuiltIn>, found_by: &str| {
        let (scenario, writer) =
            saved::keep(site, &folder, &case(100), &broken, found_by).expect("it is kept");
        (name(&scenario), writer)
    };
    let own = |number: &str| format!("pair_without_witness_one_authority_00000001{number}");
    assert_eq!(save(&site, 50, "one"), own(""));
    let read = |name: &str| fs::read(folder.join(format!("{name}.ron"))).expect("it is there");
    let first = read(&own(""));
    // Another command line, the same one over another file, and what is there already.
    assert_eq!(keep(&site, "two"), (own("_2"), Writer::This));
    assert_eq!(save(&site, 60, "two"), own("_2"));
    assert_eq!(save(&other, 70, "two"), own("_3"));
    assert_eq!(keep(&site, "one"), (own(""), Writer::Before));
    assert!(first == read(&own("")), "it is as it was saved");
    // A file of somebody else, and a log that has lost its scenario.
    fs::write(folder.join(own("_4.ron")), "mine").expect("a file of the test");
    fs::write(folder.join(own("_5.rlog")), "mine").expect("a file of the test");
    assert_eq!(save(&site, 50, "three"), own("_6"));
    assert_eq!(save(&site, 40, "one"), own(""));
    assert!(first != read(&own("")), "the same search replaces it");
}

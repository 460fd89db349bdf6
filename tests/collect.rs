//! From a site to a desk: what hosts keep is collected, replays bit for bit, and is lined up as it truly was.
//!
//! `collect/site` makes the site, `collect/folder` is about what is collected, `collect/hostile` about archives that somebody
//! else made.

#[path = "collect/folder.rs"]
mod folder;
#[path = "collect/hostile.rs"]
mod hostile;
#[path = "collect/packed.rs"]
mod packed;
#[path = "collect/site.rs"]
mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;

use packed::{put_together, taken_apart};
use site::{HOSTS, Site};

/// Host a is off for two seconds, and then every third letter from b to w is lost for five.
const FAULTS: &str = "During(\"+10 s\", \"+12 s\", Crash(host: \"a\")), \
                      During(\"+20 s\", \"+25 s\", Loss(from: \"b\", to: \"w\", ratio: (3, 10)))";

fn emsctl(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    cargo_bin_cmd!("r-emsctl").current_dir(root).args(arguments).output().expect("the program runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", errors(output)))
}

/// A place in which nothing is, for one test.
fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("collect").join(name);
    // An earlier run may have left something.
    let _removed = fs::remove_dir_all(&path);
    path
}

/// Replays with `more` arguments, as JSON, and says how the program ended.
fn replayed(archives: &[&str], more: &[&str]) -> (Value, i32) {
    let output = emsctl(&[&["replay"], archives, more, &["--format", "json"]].concat());
    let code = output.status.code().expect("the program ends by itself");
    (json(&output), code)
}

/// The verdicts of a controller's segments.
fn verdicts(whole: &Value, controller: &str) -> Vec<String> {
    let logs = whole["logs"].as_array().expect("a list").iter();
    let own = logs.filter(|log| log["controller"] == controller);
    own.map(|log| {
        format!("{} {}", log["follows"].as_str().unwrap_or("-"), log["verdict"].as_str().expect("a word"))
    })
    .collect()
}

#[test]
fn what_three_hosts_hand_over_replays_and_is_lined_up_as_it_was() {
    let site = Site::run("three_hosts", "40 s", FAULTS);
    let archives: Vec<String> = (0..HOSTS.len()).map(|host| site.collect(host)).collect();
    let archives: Vec<&str> = archives.iter().map(String::as_str).collect();
    let (whole, code) = replayed(&archives, &["--timeline"]);
    assert_eq!(code, 0, "{whole:#}");
    assert_eq!(whole["ok"], true);
    for archive in whole["archives"].as_array().expect("a list") {
        assert_eq!(archive["ok"], true, "{archive}");
    }
    // The crash of a cut its log off, and the end of the run all of them.
    let of_a = verdicts(&whole, "commerce/a");
    assert_eq!(
        (of_a[0].as_str(), of_a.last().map(String::as_str)),
        ("first same", Some("goes_on torn")),
        "{of_a:?}"
    );
    // It begins with what the simulated disk had, which is not to the delivery what the real one has.
    let crash = of_a.iter().position(|verdict| verdict.contains("life same")).expect("a second life");
    assert!(of_a[crash - 1].ends_with("torn"), "{of_a:?}");
    for controller in ["commerce/b", "commerce/w"] {
        let (last, others) = verdicts(&whole, controller)
            .split_last()
            .map(|(last, rest)| (last.clone(), rest.to_vec()))
            .expect("segments");
        assert_eq!(last, "goes_on torn", "{controller}");
        assert!(
            others[1..].iter().all(|verdict| verdict == "goes_on same") && others.len() > 1,
            "{others:?}"
        );
    }
    letters_are_counted(&whole);
    times_are_true(&whole, &site);
}

fn letters_are_counted(whole: &Value) {
    for letters in whole["letters"].as_array().expect("a list") {
        let count = |field: &str| letters[field].as_u64().expect("a count");
        assert_eq!(count("sent"), count("arrived") + count("lost") + count("unknown"), "{letters}");
        assert_eq!((count("repeated"), count("unsent")), (0, 0), "{letters}");
        let is_lossy = letters["from"] == "commerce/b" && letters["to"] == "commerce/w";
        if is_lossy {
            // Ten heartbeats in a tenth of a second, and units of state are not for the witness.
            assert!((80..400).contains(&count("lost")), "{letters}");
        } else {
            assert_eq!(count("lost"), 0, "{letters}");
        }
        let is_to_a = letters["to"] == "commerce/a";
        assert_eq!(count("unknown") > 150, is_to_a, "nobody logs what reaches a host that is off: {letters}");
    }
}

/// Every event stands where it truly was, as the reference's clock showed it, within what is said of the clock it comes by.
fn times_are_true(whole: &Value, site: &Site) {
    let clocks = whole["clocks"].as_array().expect("a list");
    assert_eq!(clocks.len(), 3, "the host that was off has one clock, as its wall clock says: {clocks:?}");
    let host_of = |controllers: &Value| {
        HOSTS.iter().position(|host| *controllers == format!("commerce/{host}")).expect("a controller")
    };
    let reference = clocks.iter().find(|clock| clock["is_reference"] == true).expect("there is one");
    let reference = host_of(&reference["controllers"]);
    let shown = emsctl(&["show", &site.recording, "--kind", "event", "--format", "json"]);
    let lines = text(&shown);
    let truth: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut compared = 0;
    for event in whole["events"].as_array().expect("a list") {
        let is_it =
            |known: &&Value| known["controller"] == event["controller"] && known["event"] == event["kind"];
        let error = |known: &Value| {
            let at = Site::shows(reference, known["at_ns"].as_i64().expect("a time"));
            (at - event["at_unix_ns"].as_i64().expect("a time")).abs()
        };
        let own = clocks.iter().find(|clock| clock["controllers"] == event["controller"]);
        let own = own.expect("each has a clock");
        let within = own["within_s"].as_f64().unwrap_or(0.0) * 1e9;
        assert!(within < 4e6, "letters take 3 ms at the most: {own}");
        match truth.iter().filter(is_it).map(error).min() {
            Some(error) => {
                assert!(error as f64 <= within + 1_000.0, "{error} ns wrong, {within} said: {event}");
                compared += 1;
            }
            None => assert!(event["kind"] == "log_ends" || event["kind"] == "command", "{event}"),
        }
    }
    assert!(compared > 10, "{compared} events");
    let kinds: Vec<&str> = whole["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    let place = |wanted: &str| {
        kinds.iter().rposition(|kind| *kind == wanted).unwrap_or_else(|| panic!("{wanted}: {kinds:?}"))
    };
    let ends = kinds.iter().position(|kind| *kind == "log_ends").expect("a log was cut off");
    assert!(ends < place("took_over"), "the log of the active ends before another takes over");
}

#[test]
fn people_see_segments_clocks_letters_and_what_happened() {
    let site = Site::run("people", "15 s", FAULTS);
    let archives: Vec<String> = (0..HOSTS.len()).map(|host| site.collect(host)).collect();
    let archives: Vec<&str> = archives.iter().map(String::as_str).collect();
    let output = emsctl(&[&["replay"], archives.as_slice(), &["--timeline", "--from", "+9 s"]].concat());
    let page = text(&output);
    assert_eq!(output.status.code(), Some(0), "{page}");
    for words in [
        "as they were collected",
        "commerce/a\n",
        "bit for bit, torn",
        "a new life ",
        "the times below are its own",
        "commerce/b to commerce/w",
        "replayed bit for bit: ",
        "took_over: epoch ",
        "state_taken: of b",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("booted: incarnation 1"), "that was before: {page}");
    let refused = emsctl(&["replay", archives[0], "--from", "+9 s"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors(&refused).contains("--timeline"), "{}", errors(&refused));
}

#[test]
fn one_controller_alone_may_be_replayed_and_logs_stand_beside_archives() {
    let site = Site::run("alone", "5 s", "");
    let (a, b) = (site.collect(0), site.collect(1));
    let (whole, code) = replayed(&[&a, &b], &["--controller", "commerce/b"]);
    assert_eq!((code, whole["logs"].as_array().expect("a list").is_empty()), (0, false));
    assert!(
        verdicts(&whole, "commerce/a").is_empty() && whole["clocks"].as_array().expect("a list").len() == 1
    );
    let segment = site.journal(2).join("0000000001.rlog");
    let last = site.journal(2).read_dir().expect("it is there").count();
    assert!(last > 2, "a segment that was closed");
    let (whole, code) = replayed(&[&a, &b, &segment.to_string_lossy()], &[]);
    assert_eq!((code, whole["clocks"].as_array().expect("a list").len()), (0, 3), "{whole:#}");
    let (whole, code) = replayed(&[&a, &site.recording], &[]);
    assert_eq!(code, 0, "{whole:#}");
    let nobody = emsctl(&["replay", &a, "--controller", "commerce/x"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(errors(&nobody).contains("no log of commerce/x"), "{}", errors(&nobody));
}

#[test]
fn what_was_changed_or_lost_after_it_was_collected_is_named() {
    let site = Site::run("changed", "20 s", "");
    fs::write(site.journal(1).join("promise.a"), "kept").expect("a file can be written");
    let archive = site.collect(1);
    let entries = taken_apart(&fs::read(&archive).expect("it was just made"));
    let changed = |name: &str, change: &dyn Fn(&mut Vec<packed::Entry>)| {
        let mut entries = entries.clone();
        change(&mut entries);
        let path = site.folder.join(name).to_string_lossy().into_owned();
        fs::write(&path, put_together(&entries)).expect("a file can be written");
        replayed(&[&path], &[])
    };
    let find = |entries: &[packed::Entry], end: &str| {
        let is_it = |entry: &packed::Entry| entry.path.ends_with(end.as_bytes());
        entries.iter().position(is_it).unwrap_or_else(|| panic!("{end}"))
    };
    let error = |whole: &Value| whole["archives"][0]["errors"][0].as_str().unwrap_or_default().to_owned();
    let (whole, code) = changed("same.tar.gz", &|_| {});
    assert_eq!((code, error(&whole).as_str()), (0, ""), "{whole:#}");
    // A bit of a promise: no log notices.
    let (whole, code) = changed("promise.tar.gz", &|entries| {
        let promise = find(entries, "promise.a");
        entries[promise].content[2] ^= 4;
    });
    assert_eq!(code, 1);
    assert!(error(&whole).contains("promise.a: its bytes are not those"), "{whole:#}");
    assert!(verdicts(&whole, "commerce/b").iter().all(|verdict| !verdict.ends_with("unreadable")));
    let (whole, code) = changed("bit.tar.gz", &|entries| {
        let segment = find(entries, "0000000002.rlog");
        entries[segment].content[9_000] ^= 4;
    });
    assert_eq!(code, 1);
    assert!(error(&whole).contains("0000000002.rlog: its bytes are not those"), "{whole:#}");
    assert_eq!(verdicts(&whole, "commerce/b")[1], "unknown unreadable");
    let (whole, code) = changed("lost.tar.gz", &|entries| {
        entries.remove(find(entries, "0000000002.rlog"));
    });
    assert_eq!(code, 1);
    assert!(error(&whole).contains("0000000002.rlog: it was collected and is not there"), "{whole:#}");
    assert_eq!(verdicts(&whole, "commerce/b")[1], "missing same");
    let (whole, code) = changed("more.tar.gz", &|entries| {
        let segment = find(entries, "0000000002.rlog");
        let folder =
            String::from_utf8_lossy(&entries[segment].path).replace("0000000002.rlog", "0000000099.rlog");
        let more = packed::Entry::file(&folder, &entries[segment].content);
        entries.insert(segment, more);
    });
    assert_eq!(code, 1);
    assert!(error(&whole).contains("0000000099.rlog: it was not collected"), "{whole:#}");
    let (whole, code) = changed("no_manifest.tar.gz", &|entries| {
        entries.pop();
    });
    assert_eq!(code, 1);
    assert!(error(&whole).contains("there is no manifest.json"), "{whole:#}");
}

#[test]
fn what_was_wrong_before_it_was_collected_is_told_too() {
    let site = Site::run("wrong_before", "25 s", "");
    let segment = |number: u32| site.journal(1).join(format!("{number:010}.rlog"));
    // A segment is gone; one is cut off in the middle of a life; another one has a bit that is another one.
    let lost = fs::read(segment(2)).expect("it is there");
    fs::remove_file(segment(2)).expect("it is there");
    let archive = site.collect(1);
    let (whole, code) = replayed(&[&archive], &["--torn"]);
    assert_eq!((code, &whole["ok"]), (1, &false.into()), "what is missing is an error: {whole:#}");
    assert_eq!(verdicts(&whole, "commerce/b")[..2], ["first same", "missing same"]);
    let page = text(&emsctl(&["replay", &archive]));
    assert!(
        page.contains("one segment is missing") && page.contains("logs missing in 1 place: of"),
        "{page}"
    );
    fs::remove_file(segment(1)).expect("it is there");
    let (whole, code) = replayed(&[&site.collect(1)], &[]);
    assert_eq!(
        (code, verdicts(&whole, "commerce/b")[0].as_str()),
        (0, "first same"),
        "retention removes the oldest"
    );
    fs::write(segment(2), lost).expect("it can be written");
    let cut = fs::read(segment(3)).expect("it is there");
    fs::write(segment(3), &cut[..cut.len() - 100]).expect("it can be written");
    let (whole, code) = replayed(&[&site.collect(1)], &[]);
    assert_eq!(code, 1, "a crash does not explain what is cut off: {whole:#}");
    let found = verdicts(&whole, "commerce/b");
    assert_eq!(found[..3], ["first same", "goes_on cut", "gap same"], "{found:?}");
    let (_, code) = replayed(&[&site.collect(1)], &["--torn"]);
    assert_eq!(code, 0, "who accepts it gets it");
    let mut bytes = fs::read(segment(4)).expect("it is there");
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(segment(4), bytes).expect("it can be written");
    let (whole, code) = replayed(&[&site.collect(1)], &["--torn"]);
    assert_eq!((code, verdicts(&whole, "commerce/b")[2].as_str()), (1, "unknown unreadable"), "{whole:#}");
    // One that a recovery put aside is expected to be so.
    fs::rename(segment(4), site.journal(1).join("0000000004.quarantined")).expect("it can be renamed");
    for later in 5.. {
        if fs::remove_file(segment(later)).is_err() {
            break;
        }
    }
    let (whole, code) = replayed(&[&site.collect(1)], &["--torn"]);
    assert_eq!(code, 0, "{whole:#}");
    let aside = whole["logs"].as_array().expect("a list").iter().find(|log| log["role"] == "quarantined");
    assert_eq!(aside.expect("it is told")["verdict"], "unreadable");
}

#[test]
fn a_log_of_what_never_was_diverges_and_that_is_the_worst() {
    let site = Site::run("false", "5 s", "");
    site.keep_falsely(1, 700);
    let (a, b) = (site.collect(0), site.collect(1));
    let (whole, code) = replayed(&[&a, &b], &[]);
    assert_eq!((code, &whole["ok"]), (4, &false.into()), "{whole:#}");
    let found = verdicts(&whole, "commerce/b");
    let diverged = found.iter().position(|verdict| verdict.ends_with("diverged")).expect("one does");
    assert!(found[..diverged].iter().all(|verdict| verdict.ends_with("same")), "{found:?}");
    assert_eq!(found[diverged + 1], "unknown same", "{found:?}");
    let told = |log: &&Value| !log["divergence"].is_null();
    let logs: Vec<&Value> = whole["logs"].as_array().expect("a list").iter().filter(told).collect();
    let [log] = logs.as_slice() else { panic!("one: {logs:?}") };
    assert_eq!((&log["verdict"], &log["controller"]), (&"diverged".into(), &"commerce/b".into()));
    let page = text(&emsctl(&["replay", &a, &b]));
    assert!(page.contains("DIVERGED: state/commerce/b/") && page.contains("first difference:"), "{page}");
    // Beside it a damaged archive is the smaller trouble.
    let bytes = fs::read(&a).expect("it was just made");
    fs::write(&a, &bytes[..bytes.len() - 100]).expect("it can be written");
    let output = emsctl(&["replay", &a, &b]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output).contains("1 of 2 sources not as collected"), "{}", text(&output));
}

#[test]
fn a_host_that_was_collected_twice_counts_once() {
    let site = Site::run("twice", "5 s", "");
    let (a, b) = (site.collect(0), site.collect(1));
    let (once, _) = replayed(&[&a, &b], &[]);
    let again = site.folder.join("again.tar.gz").to_string_lossy().into_owned();
    fs::copy(&a, &again).expect("a file can be copied");
    let (whole, code) = replayed(&[&a, &b, &again], &[]);
    assert_eq!(code, 0, "{whole:#}");
    assert_eq!(whole["letters"], once["letters"]);
    assert!(verdicts(&whole, "commerce/a").iter().any(|verdict| verdict.starts_with("again")), "{whole:#}");
}

#[test]
fn what_grew_between_two_archives_of_a_host_is_no_damage() {
    let site = Site::run("two_days", "10 s", "");
    // On Monday the second segment was being written.
    let monday = site.folder.join("monday");
    let journal = monday.join("commerce").join("b");
    fs::create_dir_all(&journal).expect("a folder of its own");
    let segment =
        |number: u32| fs::read(site.journal(1).join(format!("{number:010}.rlog"))).expect("it is there");
    let second = segment(2);
    fs::write(journal.join("0000000001.rlog"), segment(1)).expect("it can be written");
    fs::write(journal.join("0000000002.rlog"), &second[..second.len() / 2]).expect("it can be written");
    let (monday, a) = (site.collect_from(&monday.to_string_lossy(), "monday"), site.collect(0));
    let tuesday = site.collect(1);
    let (once, _) = replayed(&[&a, &tuesday], &["--timeline"]);
    for archives in [[&a, &monday, &tuesday], [&tuesday, &monday, &a]] {
        let (whole, code) = replayed(&archives.map(String::as_str), &["--timeline"]);
        assert_eq!(code, 0, "{whole:#}");
        let found = verdicts(&whole, "commerce/b");
        assert!(found.contains(&"again torn".to_owned()), "{found:?}");
        assert!(
            found.iter().all(|verdict| !verdict.contains("gap") && !verdict.contains("cut")),
            "{found:?}"
        );
        assert_eq!(whole["letters"], once["letters"]);
        assert_eq!(whole["events"].as_array().map(Vec::len), once["events"].as_array().map(Vec::len));
    }
}

#[test]
fn a_log_that_is_named_twice_or_beside_its_archive_counts_once() {
    let site = Site::run("beside", "5 s", "");
    let (a, b) = (site.collect(0), site.collect(1));
    let segment = site.journal(0).join("0000000001.rlog").to_string_lossy().into_owned();
    let again = site.folder.join("again.rlog").to_string_lossy().into_owned();
    fs::copy(&site.recording, &again).expect("a file can be copied");
    let (once, _) = replayed(&[&a, &b], &["--timeline"]);
    for twice in [[&a, &b, &segment], [&segment, &a, &b]] {
        let (whole, code) = replayed(&twice.map(String::as_str), &["--timeline"]);
        assert_eq!(code, 0, "{whole:#}");
        for field in ["letters", "clocks", "events"] {
            assert_eq!(whole[field], once[field]);
        }
    }
    // What was simulated is another run than what is kept of it, and no letter goes from the one to the other.
    let (once, _) = replayed(&[&a, &site.recording], &["--timeline"]);
    let (whole, code) = replayed(&[&a, &site.recording, &again], &["--timeline"]);
    assert_eq!((code, &whole["letters"], &whole["events"]), (0, &once["letters"], &once["events"]));
    let lost = |letters: &serde_json::Value| letters["lost"].as_u64().expect("a count");
    assert_eq!(once["letters"].as_array().expect("a list").iter().map(lost).sum::<u64>(), 0, "{once:#}");
}

#[test]
fn of_a_log_of_several_controllers_only_the_wanted_one_is_replayed() {
    let site = Site::run("wanted", "5 s", "");
    let b = site.collect(1);
    let (whole, code) = replayed(&[&b, &site.recording], &["--timeline", "--controller", "commerce/b"]);
    assert_eq!(code, 0, "{whole:#}");
    let logs = whole["logs"].as_array().expect("a list");
    assert!(logs.iter().all(|log| log["controller"] == "commerce/b"), "{logs:#?}");
    assert!(logs.iter().any(|log| log["role"] == "log"));
    let events = whole["events"].as_array().expect("a list");
    assert!(
        !events.is_empty() && events.iter().all(|event| event["controller"] == "commerce/b"),
        "{events:?}"
    );
}

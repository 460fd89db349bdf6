//! A late write of the old active lands after the next one's: whoever reads its log need not count by hand.

use serde_json::Value;

use super::{code, emsctl, errors, file, text};

const SCENARIO: &str = "tests/emsctl/late_write.ron";

/// Records the run, with effects and whatever else is asked for, and returns the log's path.
fn recorded(name: &str, more: &[&str]) -> String {
    let log = file(name).to_string_lossy().into_owned();
    let output = emsctl(&[&["run", SCENARIO, "--record", &log][..], more].concat());
    assert_eq!(code(&output), 3, "epochs did not rise on the battery: {}", errors(&output));
    log
}

/// The records of one kind.
fn shown(log: &str, kind: &str) -> Vec<Value> {
    let output = emsctl(&["show", log, "--kind", kind, "--format", "json"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    text(&output).lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[test]
fn an_answer_is_shown_with_what_it_answers() {
    let log = recorded("late_write.rlog", &["--record-effects"]);
    let shown = shown(&log, "write");
    let fields = |entry: &Value| ["controller", "kind", "epoch", "value_w"].map(|name| entry[name].clone());
    let of = |controller: &str, epoch: &str| {
        [controller.into(), "written".into(), epoch.into(), Value::from(50e3)]
    };
    let answers: Vec<_> = shown.iter().filter(|entry| entry["kind"] == "written").collect();
    assert_eq!(fields(answers[0]), of("works/two", "2.1"));
    assert_eq!(fields(answers[1]), of("works/one", "1.0"), "it landed later and is of an epoch before");
    let sent_s = answers[1]["sent_s"].as_f64().expect("seconds");
    assert!((sent_s - 0.62).abs() < 1e-9, "two latencies and its delay: {sent_s}");
    assert_eq!((&answers[1]["device"], &answers[1]["outcome"]), (&"bess".into(), &"acknowledged".into()));
    let words = "write to bess acknowledged: 50000 W under epoch 1.0 sent 620 ms ago";
    assert_eq!(answers[1]["text"], words);
    // Writes are shown without what else was asked for.
    let asked = &shown[0];
    assert_eq!((&asked["kind"], &asked["writes"][0]["epoch"]), (&"effects".into(), &"1.0".into()));
    let text = asked["text"].as_str().expect("words");
    assert!(text.starts_with("write 50000 W to bess") && !text.contains(';'), "{text}");
    assert_eq!(shown.len(), 4, "two writes and their answers");
    // A window does not hide what was written before it.
    let late = emsctl(&["show", &log, "--kind", "written", "--from", "+800 ms", "--format", "json"]);
    assert!(super::text(&late).contains(words), "{}", super::text(&late));
}

#[test]
fn an_answer_that_may_be_to_several_writes_says_so() {
    let log = file("late_writes.rlog").to_string_lossy().into_owned();
    let often = ["--set", "site.grids.works.devices.bess.reversion=\"400 ms\"", "--set", "faults=[]"];
    let run = emsctl(&[&["run", SCENARIO, "--record", &log, "--record-effects"][..], &often].concat());
    assert_eq!(code(&run), 0, "{}", errors(&run));
    let answers = shown(&log, "written");
    let several = answers.iter().find(|answer| answer["one_of_count"].is_u64());
    let several =
        several.unwrap_or_else(|| panic!("a write each 200 ms, each on its way for longer: {answers:?}"));
    assert!(several["value_w"].is_null() && several["sent_s"].is_null(), "{several}");
    let one_of = several["one_of"].as_array().expect("a list");
    assert_eq!(several["one_of_count"], one_of.len());
    assert!(several["text"].as_str().is_some_and(|text| text.contains(": one of ")), "{several}");
}

#[test]
fn a_write_that_is_answered_is_no_candidate_for_the_next_answer() {
    let often = ["--record-effects", "--set", "site.grids.works.devices.bess.reversion=\"400 ms\""];
    let log = recorded("late_again.rlog", &often);
    let of_two = shown(&log, "written").into_iter().filter(|answer| answer["controller"] == "works/two");
    let sent_s: Vec<_> = of_two.map(|answer| answer["sent_s"].as_f64()).collect();
    assert!(sent_s.len() > 4, "a write each 200 ms: {sent_s:?}");
    assert!(
        sent_s.iter().all(|sent_s| *sent_s == Some(0.02)),
        "each is answered before the next: {sent_s:?}"
    );
}

#[test]
fn a_log_without_effects_names_no_write() {
    let log = recorded("late_digests.rlog", &[]);
    let output = emsctl(&["show", &log, "--kind", "write"]);
    assert!(errors(&output).contains("--record-effects"), "{}", errors(&output));
    let answers = shown(&log, "written");
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert_eq!((&answer["text"], &answer["epoch"]), (&"write to bess acknowledged".into(), &Value::Null));
    }
}

#[test]
fn events_on_authority_carry_their_numbers() {
    let log = recorded("late_events.rlog", &[]);
    let took_over = &shown(&log, "took_over")[1];
    assert_eq!((&took_over["controller"], &took_over["epoch"]), (&"works/two".into(), &"2.1".into()));
    assert_eq!(took_over["reason"], "the active fell silent");
    let (silent, sought) = (took_over["silent_s"].as_f64(), took_over["sought_s"].as_f64());
    assert!(silent > sought && sought > Some(0.0), "{took_over}");
    let acted = &shown(&log, "set_points_taken_over")[1];
    assert!(acted["after_s"].as_f64() >= Some(0.2) && acted["state_age_s"].is_f64(), "{acted}");
    assert_eq!(acted["step_w"], 50e3);
    assert_eq!(shown(&log, "role_changed")[0]["role"], "candidate");
}

/// What each controller says of the battery at an instant, by its name.
fn explained(log: &str, at: &str) -> Vec<(Value, Value)> {
    let output = emsctl(&["explain", log, "--at", at, "--point", "works/bess", "--format", "json"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let all = super::json(&output)["explanations"].as_array().expect("a list").clone();
    let member = |of: &Value| of["groups"][0]["members"][0]["written"].clone();
    all.iter().map(|of| (of["writes"].clone(), member(of))).collect()
}

#[test]
fn who_has_lost_authority_still_says_what_it_wrote() {
    let log = recorded("late_explained.rlog", &[]);
    let [one, two, _witness] = explained(&log, "+621 ms").try_into().expect("three members");
    let (writes, written) = one;
    assert_eq!((writes, &written["authority_over"]), (false.into(), &true.into()));
    assert_eq!((&written["epoch"], &written["state"]), (&"1.0".into(), &"pending".into()));
    let ago_s = written["ago_s"].as_f64().expect("seconds");
    assert!((0.319..0.320).contains(&ago_s), "between scans too it counts up to the moment: {ago_s}");
    let (writes, written) = two;
    assert_eq!((writes, &written["authority_over"]), (true.into(), &false.into()));
    assert_eq!((&written["epoch"], &written["state"]), (&"2.1".into(), &"acknowledged".into()));
    // Its answer comes when another writes, and is noted all the same.
    let (_, written) = explained(&log, "+950 ms").remove(0);
    assert_eq!((&written["state"], &written["authority_over"]), (&"acknowledged".into(), &true.into()));
    let page = text(&emsctl(&["explain", &log, "--at", "+621 ms"]));
    assert!(
        page.contains("bess: would be 50.0 kW, bound by PeakShaving; it computes and does not write"),
        "{page}"
    );
    assert!(page.contains("50.0 kW under epoch 1.0 320 ms ago, pending, authority over since"), "{page}");
    assert!(page.contains("bess: 50.0 kW, bound by PeakShaving\n"), "{page}");
}

#[test]
fn a_run_names_the_rule_that_was_broken_and_explain_takes_that_name() {
    let log = recorded("late_rule.rlog", &[]);
    let page = text(&emsctl(&["run", SCENARIO]));
    let line = page.lines().find(|line| line.contains("✗")).expect("one was violated");
    assert!(line.contains("one authority at a time"), "{line}");
    // The whole instant: the log is looked into there.
    let told =
        "2024-05-06 08:00:00.921; epochs rise on every device: works/bess accepted epoch 1.0 of works/one";
    assert!(line.contains(told), "{line}");
    let missed = |name: &str| emsctl(&["explain", &log, "--missed", name, "--format", "json"]);
    let output = missed("epochs rise");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let expectation = super::json(&output)["expectation"].clone();
    assert_eq!(expectation["name"], "one authority at a time");
    assert_eq!(expectation["rule"], "epochs rise on every device");
    // A rule that was kept is known too, and one that is none is not.
    assert_eq!(code(&missed("others stand by while they can")), 0);
    assert_eq!(code(&missed("epochs fall")), 2);
    let page = text(&emsctl(&["explain", &log, "--missed", "epochs rise"]));
    assert!(page.contains("this is when the first came; epochs rise on every device: works/bess"), "{page}");
}

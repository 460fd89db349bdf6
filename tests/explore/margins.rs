//! How far sites are from breaking, as people and scripts read it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{emsctl, json, root};

/// What of a margin is compared.
fn number(margin: &Value, field: &str) -> f64 {
    margin[field].as_f64().unwrap_or_else(|| panic!("{field}: {margin}"))
}

#[test]
fn margins_are_told_beside_what_is_declared() {
    let output = emsctl(&["margin", "scenarios/failover.ron", "--runs", "8"]);
    assert_eq!(output.status.code(), Some(0));
    let page = String::from_utf8(output.stdout).expect("text");
    insta::assert_snapshot!(page);
}

#[test]
fn a_stall_costs_authority_beyond_its_bound_and_breaks_something_only_where_the_clock_stands_still() {
    let (found, exit) = json(&["margin", "scenarios/failover_fast.ron", "--runs", "4"]);
    assert_eq!((exit, &found["interrupted"]), (Some(0), &false.into()), "{found}");
    let margins = found["margins"].as_array().expect("a list");
    let stalls: Vec<&Value> = margins
        .iter()
        .filter(|margin| margin["subject"].as_str().is_some_and(|subject| subject.contains("stands still")))
        .collect();
    let [lapses, running @ .., one_authority, epochs] = &stalls[..] else { panic!("{found}") };
    assert_eq!(running.len(), 2, "two authorities, and a lower epoch");
    for holds in running {
        assert!(holds["declared"].is_null() && holds["breaks_at"].is_null(), "{holds}");
    }
    for breaks in [lapses, one_authority] {
        assert!(number(breaks, "breaks_at") > number(breaks, "declared"), "{breaks}");
        assert!(number(breaks, "holds_at") < number(breaks, "breaks_at"), "{breaks}");
    }
    assert!(epochs["breaks_at"].is_null(), "the device checks them: {epochs}");
    let (checked, _) = json(&["check", "scenarios/failover_fast.ron"]);
    let checked = &checked["files"][0]["redundancy"][0];
    assert_eq!(
        (&checked["stall_max_s"], &checked["clock_stop_max_s"]),
        (&lapses["declared"], &one_authority["declared"])
    );
}

#[test]
fn a_pair_without_a_witness_has_no_margins_whatever_it_does_on_silence() {
    for on_silence in ["Hold", "TakeOver"] {
        let set = format!("site.grids.commerce.redundancy.on_silence={on_silence}");
        let output = emsctl(&["margin", "scenarios/pair_without_witness.ron", "--set", &set]);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("nothing is promised here"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_search_for_margins_that_its_user_ends_tells_what_it_has_found() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_r-emsctl"));
    command.current_dir(root()).args(["margin", "scenarios/failover_fast.ron", "--runs", "20"]);
    command.args(["--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    for expected in ["error of clocks' rates", "how long a write is on its way"] {
        let line = errors.next().expect("it says what it searches").expect("text");
        assert!(line.contains(expected), "{line}");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("there is such a command").success());
    let mut text = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut text).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let found: Value = serde_json::from_str(&text).expect("a whole result");
    assert_eq!(found["interrupted"], true);
    assert_eq!(found["margins"][0]["finished"], true, "{found}");
    assert!(found["margins"].as_array().is_some_and(|margins| margins.len() < 7), "{found}");
}

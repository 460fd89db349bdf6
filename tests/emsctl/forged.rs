//! Logs whose checksums are right and whose values no program writes: they are refused in words.

use std::fs;

use r_ems::engine::log::Kind;
use r_ems::engine::redundancy::Settings;

use crate::{code, emsctl, errors, file, mend, text};

/// Before four bytes of a number that needs more than two.
const FOUR_BYTES: u8 = 0xfc;

fn encoded(number: u32) -> Vec<u8> {
    [&[FOUR_BYTES][..], &number.to_le_bytes()].concat()
}

#[test]
fn a_state_with_a_clock_rate_that_no_site_may_state_is_refused_and_breaks_nothing() {
    let path = file("forged.rlog");
    let log = path.to_string_lossy().into_owned();
    let run = ["run", "scenarios/failover.ron", "--until", "2 s", "--record", &log];
    assert_eq!(code(&emsctl(&run)), 0);
    let bytes = fs::read(&path).expect("it was just written");
    let state = mend::places(&bytes, Kind::State)[0].clone();
    let rate = encoded(Settings::DEFAULT.clock_rate_max_ppb);
    let within = bytes[state.clone()].windows(rate.len()).position(|found| found == rate);
    let place = state.start + within.expect("the site has the rate of the default");
    fs::write(&path, mend::with_bytes(&bytes, place, &encoded(1_000_000_001))).expect("a file of its own");
    for command in [
        &["replay", &log][..],
        &["explain", &log, "--at", "+1 s"],
        &["explain", &log, "--missed", "pcc.p <="],
    ] {
        let output = emsctl(command);
        assert_eq!(code(&output), 1, "{command:?}: {}", text(&output));
        let told = errors(&output);
        assert!(told.contains("commerce/a") && told.contains("a value that no controller has"), "{told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}

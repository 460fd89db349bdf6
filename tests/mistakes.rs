//! The search bites: classic mistakes that are made on purpose are found by random faults and shrink to a few lines.
//!
//! All of them, with how long each takes to find, are in `cargo bench --bench mistakes`. The switch is one for the whole process,
//! so there is one test here.

use std::path::Path;

use r_ems::engine::functions::BuiltIn;
use r_ems::engine::mistakes::{Mistake, make};
use r_ems::explore::margin::margins;
use r_ems::explore::{Options, Property, Site, explore, shrink, swarm};
use r_ems::study::progress::Interrupt;

/// From which all runs are drawn.
const SEED: u64 = 1;
/// A failure must shrink to so many faults.
const FAULTS_MAX: usize = 5;

/// A mistake, where it is looked for, what it breaks, and in how many runs that must be found.
const FOUND: [(Mistake, &str, Property, u64); 2] = [
    (Mistake::GrantsToAnotherAtOnce, "failover_fast.ron", Property::OneAuthority, 60),
    (Mistake::RestartsAsActive, "failover.ron", Property::OneAuthority, 60),
];

#[test]
fn a_mistake_on_purpose_is_found_and_shrinks_to_a_few_faults() {
    for (mistake, file, property, runs) in FOUND {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
        let site = Site::<BuiltIn>::open(&scenario, &[], None).expect("a shipped scenario is right");
        let options = Options { seed: SEED, runs, time: None, jobs: 2, interrupt: Interrupt::default() };
        let search = || explore(&site, &options, &|_reached| {}).expect("a shipped scenario runs");
        make(None);
        assert!(!search().findings.contains_key(&property), "{} breaks without a mistake", property.name());
        make(Some(mistake));
        let found = search();
        let finding =
            found.findings.get(&property).unwrap_or_else(|| panic!("{} is not found", mistake.name()));
        let case = swarm::draw(&site.facts, site.length, SEED, finding.1.number);
        let shrunk = shrink::shrink(&site, &case, &finding.1.broken, &Interrupt::default()).expect("it runs");
        assert!(shrunk.case.faults.len() <= FAULTS_MAX, "{}: {:#?}", mistake.name(), shrunk.case.faults);
    }
    // What was decided must not be done after the end of the lease.
    make(Some(Mistake::ExpiredWritePerformed));
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover.ron");
    let site = Site::<BuiltIn>::open(&scenario, &[], None).expect("a shipped scenario is right");
    let options = Options { seed: SEED, runs: 8, time: None, jobs: 2, interrupt: Interrupt::default() };
    let found = margins(&site, &options, &|_subject| {}).expect("it runs").margins;
    let gone: Vec<_> = found.iter().filter(|margin| margin.is_gone()).collect();
    let [stall] = &gone[..] else { panic!("{found:#?}") };
    assert!(stall.subject.ends_with("the active's host stands still"), "{stall:?}");
    assert_eq!(stall.property, Property::EpochsRise.name());
    make(None);
}

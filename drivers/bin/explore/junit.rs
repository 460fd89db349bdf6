//! What a search found as JUnit, which every CI shows: one test case a property.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Explored, Property};

/// The report of a search over `file`; `told` is what is known of each property that was broken.
pub fn report(file: &str, explored: &Explored, told: &dyn Fn(Property) -> Option<String>) -> String {
    let mut suite = TestSuite::new(format!("explore {file}"));
    suite.set_time(explored.wall);
    for property in Property::ALL {
        let status = match explored.findings.get(&property) {
            None if explored.was_interrupted => {
                let mut status = TestCaseStatus::skipped();
                status
                    .set_message(format!("held in {} runs, then the search was interrupted", explored.runs));
                status
            }
            None => TestCaseStatus::success(),
            Some((count, finding)) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let runs = format!("{count} of {} runs", explored.runs);
                match told(property) {
                    Some(told) => {
                        status.set_message(runs);
                        status.set_description(told);
                    }
                    None => {
                        status.set_message(format!("{runs}: {}", finding.broken.words));
                    }
                }
                status
            }
        };
        let mut case = TestCase::new(property.name(), status);
        case.set_classname("explore");
        suite.add_test_case(case);
    }
    let mut report = Report::new("r-emsctl explore");
    report.add_test_suite(suite);
    report.to_string().expect("a report in memory can be written")
}

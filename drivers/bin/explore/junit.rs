//! What a search found as JUnit, which every CI shows: one test case a property.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Explored, Property};

/// The report of a search over `file`; `told` is what is known of each property that was broken.
pub fn report(file: &str, explored: &Explored, told: &dyn Fn(Property) -> Option<String>) -> String {
    let mut suite = TestSuite::new(format!("explore {file}"));
    suite.set_time(explored.wall);
    for property in Property::ALL {
        let status = match explored.findings.get(&property) {
            None => TestCaseStatus::success(),
            Some((count, finding)) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(format!("{count} of {} runs: {}", explored.runs, finding.broken.words));
                if let Some(told) = told(property) {
                    status.set_description(told);
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

//! How an expectation ended, in the words that people use: events are seen or not, powers have something to spare.

use r_ems_engine::Span;

use super::text::{duration, quantity};
use crate::names::EVENTS;
use crate::summary::{Due, ExpectationSummary};

/// How far it was from failing, or by how far it failed; nothing if it was not judged.
pub fn margin(expectation: &ExpectationSummary) -> Option<String> {
    let (held, margin) = (expectation.held?, expectation.margin?);
    let amount = quantity(margin.abs(), expectation.unit);
    Some(match (held, expectation.unit) {
        (true, EVENTS) => "none seen".to_owned(),
        (false, EVENTS) => format!("{} too many", margin.abs()),
        (true, _) => format!("{amount} to spare"),
        (false, _) if expectation.value_unit == EVENTS && expectation.value < Some(1.0) => {
            format!("none in {amount}")
        }
        (false, _) => format!("missed by {amount}"),
    })
}

/// The value at the instant that decided; nothing where the margin says it all, or if it was not judged.
pub fn value(expectation: &ExpectationSummary) -> Option<String> {
    let value = expectation.value?;
    match (expectation.value_unit, expectation.unit) {
        (EVENTS, EVENTS) => None,
        (EVENTS, _) if value < 1.0 => None,
        (EVENTS, _) => Some(format!("{value} seen")),
        (unit, _) => Some(quantity(value, unit)),
    }
}

/// What the instant that decided is to the expectation, as the end of a sentence.
pub fn instant(expectation: &ExpectationSummary, due: Due) -> String {
    if let Some(decided) = &expectation.decided {
        return decided.clone();
    }
    let seen = expectation.value.is_some_and(|value| value >= 1.0);
    if expectation.value_unit == EVENTS {
        return if seen { "this is when the first came" } else { "this is when watching ended" }.to_owned();
    }
    let at = value(expectation).unwrap_or_default();
    match (due, expectation.held) {
        (Due::AtEnd, _) => format!("this is the end of the run, which came to {at}"),
        (Due::By(_), Some(true)) => format!("this is when it came true, at {at}"),
        (Due::By(_) | Due::From(_), _) => format!("this was its worst instant, at {at}"),
    }
}

/// Which rule was broken, and what else is to be said; empty if nothing is.
pub fn remark(expectation: &ExpectationSummary) -> String {
    let rule = expectation.rule.filter(|rule| *rule != expectation.name);
    let told: Vec<&str> = rule.into_iter().chain(expectation.remark.as_deref()).collect();
    if told.is_empty() { String::new() } else { format!("; {}", told.join(": ")) }
}

/// How long it was not as it should be, where some of that is forgiven, and how long nothing was known; empty if never.
pub fn excursions(expectation: &ExpectationSummary) -> String {
    let seconds = |secs: f64| duration(Span::from_secs_f64(secs));
    let beyond = match (expectation.longest_excursion_s, expectation.excursions_s) {
        (Some(longest), Some(total)) if total > 0.0 => {
            format!("; beyond it for {} at a time, {} in all", seconds(longest), seconds(total))
        }
        (Some(_) | None, Some(_) | None) => String::new(),
    };
    if expectation.no_value_s > 0.0 {
        format!("{beyond}; no value for {}", seconds(expectation.no_value_s))
    } else {
        beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::Time;

    fn ended(
        held: bool,
        margin: f64,
        unit: &'static str,
        (value, value_unit): (f64, &'static str),
    ) -> ExpectationSummary {
        ExpectationSummary {
            name: String::new(),
            held: Some(held),
            margin: Some(margin),
            unit,
            at_s: Some(0.0),
            at: Some(String::new()),
            value: Some(value),
            value_unit,
            longest_excursion_s: None,
            excursions_s: None,
            no_value_s: 0.0,
            rule: None,
            remark: None,
            decided: None,
            not_judged: None,
        }
    }

    #[test]
    fn events_are_seen_and_powers_have_something_to_spare() {
        for (expectation, words) in [
            (ended(true, 0.0, EVENTS, (0.0, EVENTS)), "none seen"),
            (ended(false, -3.0, EVENTS, (3.0, EVENTS)), "3 too many"),
            (ended(true, 60.0, "s", (1.0, EVENTS)), "1 min to spare"),
            (ended(false, -3_600.0, "s", (0.0, EVENTS)), "none in 1 h"),
            (ended(true, 5e3, "W", (220e3, "W")), "5.0 kW to spare"),
            (ended(false, -5e3, "W", (230e3, "W")), "missed by 5.0 kW"),
        ] {
            assert_eq!(margin(&expectation).as_deref(), Some(words));
        }
    }

    #[test]
    fn the_rule_that_was_broken_is_named_once() {
        let expectation = |rule: &'static str| ExpectationSummary {
            name: "one authority at a time".to_owned(),
            rule: Some(rule),
            remark: Some("a and b held authority at once".to_owned()),
            ..ended(false, -1.0, EVENTS, (1.0, EVENTS))
        };
        let words = "a and b held authority at once";
        assert_eq!(remark(&expectation("one authority at a time")), format!("; {words}"));
        assert_eq!(remark(&expectation("epochs rise")), format!("; epochs rise: {words}"));
        assert_eq!(remark(&ended(true, 0.0, EVENTS, (0.0, EVENTS))), "");
    }

    #[test]
    fn an_instant_is_said_to_be_what_it_is() {
        let from = Due::From(Time::ZERO);
        let by = Due::By(Time::ZERO);
        for (expectation, due, words) in [
            (ended(true, 0.0, EVENTS, (0.0, EVENTS)), from, "this is when watching ended"),
            (ended(false, -3.0, EVENTS, (3.0, EVENTS)), from, "this is when the first came"),
            (ended(true, 60.0, "s", (0.5, "1")), by, "this is when it came true, at 50.0 %"),
            (ended(true, 1.0, "W", (9.0, "W")), from, "this was its worst instant, at 9.0 W"),
            (
                ended(true, 1.0, "W", (9.0, "W")),
                Due::AtEnd,
                "this is the end of the run, which came to 9.0 W",
            ),
        ] {
            assert_eq!(instant(&expectation, due), words);
        }
    }
}

//! What a search showed, as a page.

use std::path::Path;

use r_ems_engine::Span;

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::table::{Align, Table};
use super::text;
use crate::emsctl::Told;
use crate::explore::distribution::{Distribution, Quantiles};
use crate::explore::{Explored, Property, Reached, marks};

/// A line about a search that goes on.
pub fn progress(reached: Reached) -> String {
    let Reached { runs, failures, simulated_s, wall } = reached;
    let rate = runs as f64 / wall.as_secs_f64();
    let simulated = text::duration(Span::from_secs_f64(simulated_s));
    format!(
        "{} runs, {} runs/s, {simulated} simulated, {} failures",
        text::count(runs),
        text::count(rate as u64),
        text::count(failures)
    )
}

/// The page.
pub fn page(file: &Path, seed: u64, length: Span, explored: &Explored, told: &[Told]) -> String {
    let Explored { runs, failures, simulated_s, wall, .. } = explored;
    let wall_s = wall.as_secs_f64();
    let verdict = if *failures == 0 { paint(GOOD, "nothing broke") } else { paint(BAD, "broken") };
    let mut page = format!(
        "{} {verdict}: {failures} of {} runs, seed {seed}\n",
        paint(BOLD, &file.display().to_string()),
        text::count(*runs)
    );
    if explored.was_interrupted {
        let told =
            format!("interrupted after {} runs: this covers what was made until then", text::count(*runs));
        page += &format!("  {}\n", paint(WARN, &told));
    }
    page += &format!(
        "  {} simulated in {wall_s:.1} s, {} a run: {} runs/s, {} times real time\n",
        text::duration(Span::from_secs_f64(*simulated_s)),
        text::duration(length),
        text::count((*runs as f64 / wall_s) as u64),
        text::count((simulated_s / wall_s) as u64)
    );
    page += &format!("\n{}", take_overs("take-overs after crashes", &explored.take_overs));
    page += &format!("  {}\n", paint(DIM, &crashes(explored)));
    page += &format!("\n{}\n", marks_text(explored));
    let mut properties = Table::new(2, &[Align::Left, Align::Right]);
    for property in Property::ALL {
        let broken = explored.findings.get(&property).map_or(0, |finding| finding.0);
        let words =
            if broken == 0 { paint(GOOD, "held") } else { paint(BAD, &format!("broken in {broken} runs")) };
        properties.row([property.name().to_owned(), words]);
    }
    page += &properties.to_string();
    // What broke comes last, where a terminal still shows it.
    told.iter().for_each(|told| page += &broken(told));
    page
}

fn broken(told: &Told) -> String {
    let mut text = format!("\n{}\n", paint(BAD, &told.words));
    text += &format!("  run {}, {}, found in {} runs\n", told.run, needed(told), told.tries);
    told.faults.iter().for_each(|fault| text += &format!("    {fault},\n"));
    told.settings.iter().for_each(|setting| text += &format!("    {}\n", set(setting)));
    if let Some(scenario) = &told.scenario {
        text += &format!("  saved as {scenario}\n");
    }
    if let Some(unsaved) = &told.unsaved {
        text += &format!("  {}\n", paint(WARN, unsaved));
    }
    if told.scenario.is_none() && told.unsaved.is_none() {
        text += &format!("  {}\n", paint(DIM, "--save DIR saves it as a scenario with its log"));
    }
    text
}

/// What take-overs are those of: which crashes give one, and what else happens in their runs.
fn crashes(explored: &Explored) -> String {
    format!(
        "in {} of {} runs with a crash: it counts if it ended who wrote and another could take over all the while;\n  \
         other faults of a run may make it longer than the bound of `check`",
        text::count(explored.taken_over),
        text::count(explored.crashed)
    )
}

/// A setting that a search drew, as a reader of a scenario knows it.
pub fn set(setting: &str) -> String {
    format!("set: {{ {setting} }}")
}

/// How much of what was drawn is needed.
fn needed(told: &Told) -> String {
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let faults = format!("{} of {}", count(told.faults.len(), "fault"), told.faults_before);
    match (told.faults.len(), told.settings.len()) {
        (1, 0) => format!("{faults} is needed"),
        (_, 0) => format!("{faults} are needed"),
        (_, settings) => format!("{faults} and {} are needed", count(settings, "drawn setting")),
    }
}

/// A line with the quantiles of a distribution.
pub fn take_overs(name: &str, found: &Distribution) -> String {
    let Quantiles { count, p50, p99, p999, max } = found.quantiles();
    let millis = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} ms"));
    format!(
        "{name}: {}; p50 {}, p99 {}, p99.9 {}, longest {}\n",
        text::count(count),
        millis(p50),
        millis(p99),
        millis(p999),
        millis(max)
    )
}

fn marks_text(explored: &Explored) -> String {
    let mut table = Table::new(2, &[Align::Left, Align::Right]);
    table.row(["reached", "runs"]);
    let mut never = Vec::new();
    for (name, runs) in marks::names().into_iter().zip(&explored.marks) {
        if *runs == 0 {
            never.push(name);
        } else {
            table.row([name, text::count(*runs)]);
        }
    }
    let mut text = table.headed();
    if !never.is_empty() {
        text += &format!("  {} {}\n", paint(WARN, "never:"), never.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(faults: usize, settings: usize) -> Told {
        let lines = |word: &str, count: usize| (0..count).map(|place| format!("{word} {place}")).collect();
        Told {
            property: Property::EpochsRise.name(),
            runs: 1,
            run: 7,
            words: "an older epoch".to_owned(),
            faults: lines("fault", faults),
            settings: lines("setting", settings),
            faults_before: 5,
            tries: 9,
            steps: 3,
            scenario: None,
            log: None,
            unsaved: None,
        }
    }

    #[test]
    fn take_overs_are_told_beside_the_runs_with_crashes() {
        let explored = Explored { crashed: 1_970, taken_over: 70, ..Explored::default() };
        let page = page(Path::new("x.ron"), 1, Span::from_secs(25), &explored, &[]);
        assert!(page.contains("in 70 of 1,970 runs with a crash: it counts if"), "{page}");
    }

    #[test]
    fn what_is_needed_is_told_whole() {
        let page = |faults, settings| broken(&told(faults, settings));
        assert!(page(1, 0).contains("  run 7, 1 fault of 5 is needed, found in 9 runs\n    fault 0,\n"));
        assert!(page(0, 0).contains("0 faults of 5 are needed"));
        assert!(page(2, 0).contains("2 faults of 5 are needed"));
        let both = page(1, 1);
        assert!(both.contains("1 fault of 5 and 1 drawn setting are needed"), "{both}");
        assert!(both.contains("    fault 0,\n    set: { setting 0 }\n"), "{both}");
        assert!(page(0, 2).contains("0 faults of 5 and 2 drawn settings are needed"));
    }
}

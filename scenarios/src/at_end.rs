//! Expectations that are judged at a run's end: on authority, and on sums: `AtEnd("commerce.pv_used_ratio >= 95 %")`.
//!
//! What is summed is what the summary shows: energies by kind from the plant's own books, and peaks. **A sum is judged over the
//! whole run only:** a run that the command line ends earlier does not judge it.

use r_ems_engine::Time;
use r_ems_sim::authority;
use r_ems_sim::driver::RunResult;
use r_ems_sim::expect::{Comparison, Verdict};
use r_ems_sim::progress::Promise;
use r_ems_sim::survival;

use crate::expectation::{compared, read_amount};
use crate::mistake::{Notes, suggestion};
use crate::naming::Names;
use crate::node::{Node, excerpt};
use crate::outlives;
use crate::plant::Unit;
use crate::take_over::{self, Judged, Limit, Who, judge_limit, judge_one, judge_progress};
use crate::totals::{Needs, TOTALS, Total};

/// What is judged when a run has ended: a sum that is compared with a number, or who had authority.
#[derive(Clone, Debug)]
pub struct AtEnd {
    /// What it is called in reports.
    pub name: String,
    /// Its place among all expectations of the file.
    pub(crate) place: usize,
    pub(crate) subject: Subject,
}

/// What is judged.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A sum over the whole run.
    Sum(Bound),
    /// How long shared grids were without authority.
    TakeOver(Limit, Who),
    /// That there was one authority at a time.
    OneAuthority(Who),
    /// That somebody had it wherever somebody could.
    Progress(Who),
    /// That what was durable outlived every crash.
    Outlives(Who),
}

/// What must hold of a sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    grid: usize,
    total: &'static Total,
    comparison: Comparison,
    value: f64,
}

impl AtEnd {
    /// The unit of its value and its margin: `W`, `Wh`, `Hz`, `pu`, `s`, `events`, `money` in the tariff's currency,
    /// `number`, or `1` for shares.
    pub fn unit(&self) -> &'static str {
        match &self.subject {
            Subject::Sum(bound) => match bound.total.unit {
                Unit::Power => "W",
                Unit::ReactivePower => "var",
                Unit::Energy => "Wh",
                Unit::Voltage => "pu",
                Unit::Frequency => "Hz",
                Unit::Share | Unit::Flag => "1",
                Unit::Number => "number",
                Unit::Money => "money",
                Unit::Span => "s",
            },
            Subject::TakeOver(..) => "s",
            Subject::OneAuthority(_) | Subject::Progress(_) | Subject::Outlives(_) => "events",
        }
    }

    /// Judges a run. The margin of a sum is what is left to its limit, that of a take-over the time that was left; negative by
    /// what is missing.
    pub fn judge(&self, result: &RunResult) -> Verdict {
        let Judged { held, margin, at, value, rule: _, words: _ } = self.judged(result);
        Verdict {
            name: self.name.clone(),
            held,
            margin,
            at,
            value,
            excursions: None,
            without_value: Default::default(),
        }
    }

    /// Says more about a run than its verdict can: how many take-overs there were, or who broke a rule. Nothing for sums.
    pub fn remark(&self, result: &RunResult) -> Option<String> {
        let words = self.judged(result).words;
        (!words.is_empty()).then_some(words)
    }

    /// Which rule a run broke first, of those that it stands for.
    pub fn broken(&self, result: &RunResult) -> Option<&'static str> {
        self.judged(result).rule
    }

    /// The rules that it stands for, by the names under which a search for faults reports them.
    pub const fn rules(&self) -> &'static [&'static str] {
        match self.subject {
            Subject::Sum(_) | Subject::TakeOver(..) => &[],
            Subject::OneAuthority(_) => &authority::Rule::NAMES,
            Subject::Progress(_) => &Promise::NAMES,
            Subject::Outlives(_) => &survival::Rule::NAMES,
        }
    }

    /// What happened at the instant of the verdict, as the end of a sentence, where that is more than can be said of any value.
    pub fn decided(&self, result: &RunResult) -> Option<String> {
        match &self.subject {
            Subject::TakeOver(limit, who) => Some(take_over::decided(limit, who, result)),
            Subject::Sum(_) | Subject::OneAuthority(_) | Subject::Progress(_) | Subject::Outlives(_) => None,
        }
    }

    /// Whether it says something about costs.
    pub(crate) fn needs_tariff(&self) -> bool {
        matches!(&self.subject, Subject::Sum(bound) if bound.total.needs == Needs::Tariff)
    }

    /// Whether a part of a run says nothing about it.
    pub fn is_of_the_whole_run(&self) -> bool {
        match self.subject {
            Subject::Sum(_) | Subject::TakeOver(..) => true,
            // It must hold of every part of a run.
            Subject::OneAuthority(_) | Subject::Progress(_) | Subject::Outlives(_) => false,
        }
    }

    fn judged(&self, result: &RunResult) -> Judged {
        let end = Time::ZERO + result.simulated;
        match &self.subject {
            Subject::Sum(bound) => bound.judge(result, end),
            Subject::TakeOver(limit, who) => judge_limit(limit, who, result),
            Subject::OneAuthority(who) => judge_one(who, &result.authority, end),
            Subject::Progress(who) => judge_progress(who, &result.progress.late, end),
            Subject::Outlives(who) => outlives::judge(who, result),
        }
    }
}

impl Bound {
    fn judge(&self, result: &RunResult, at: Time) -> Judged {
        let Self { grid, total, comparison, value: limit } = *self;
        let value = result.grids.get(grid).map_or(0.0, total.of);
        let (margin, held) = match comparison {
            Comparison::Below => (limit - value, value < limit),
            Comparison::AtMost => (limit - value, value <= limit),
            Comparison::Above => (value - limit, value > limit),
            Comparison::AtLeast => (value - limit, value >= limit),
        };
        Judged { held, margin, at, value, ..Judged::unbroken(at) }
    }
}

/// Puts what belongs to each sum, such as its verdict, between what belongs to the other expectations: the order of the file.
pub fn in_places<T>(at_end: &[AtEnd], course: Vec<T>, of: impl Fn(&AtEnd) -> T) -> Vec<T> {
    let mut all = course;
    for sum in at_end {
        all.insert(sum.place.min(all.len()), of(sum));
    }
    all
}

/// Reads `commerce.pv_used_ratio >= 95 %`.
pub(crate) fn read(
    text: Option<&str>,
    node: &Node<'_>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<Bound> {
    let text = text?;
    let read = || -> Result<Bound, String> {
        let form = || {
            let example = "\"commerce.pv_used_ratio >= 95 %\"";
            format!("expected a comparison of a sum such as {example}, got \"{}\"", excerpt(text))
        };
        let (sum, comparison, value) = compared(text).ok_or_else(form)?;
        let (grid_name, name) = sum.split_once('.').ok_or_else(form)?;
        let grid = names.grid(grid_name)?;
        let known = TOTALS.map(|total| total.name);
        let total = TOTALS
            .iter()
            .find(|total| total.name == name)
            .ok_or_else(|| format!("there is no sum \"{}\"; {}", excerpt(name), suggestion(name, &known)))?;
        // Whether there is a tariff is looked at when all expectations are known: one mistake is enough.
        let has = |needs| match needs {
            Needs::Nothing | Needs::Tariff => true,
            Needs::Shaving => names.grids[grid].shaves,
            Needs::Part(kind) => names.grids[grid].may_have(kind),
        };
        if let Some(lacking) = total.lacks(has) {
            return Err(format!("\"{name}\" needs {lacking} of \"{grid_name}\""));
        }
        let value = match total.unit {
            Unit::Money => amount_of_money(value, names.currency)?,
            Unit::Power
            | Unit::ReactivePower
            | Unit::Energy
            | Unit::Share
            | Unit::Voltage
            | Unit::Frequency
            | Unit::Flag
            | Unit::Span
            | Unit::Number => read_amount(value, total.unit)?,
        };
        Ok(Bound { grid, total, comparison, value })
    };
    read().map_err(|message| node.error(notes, message)).ok()
}

/// Reads `1500 EUR`; without a tariff, or with one whose currency cannot be read, in any currency.
fn amount_of_money(text: &str, currency: Option<&str>) -> Result<f64, String> {
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text, ""));
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
    let is_right = currency.map_or(!unit.trim().is_empty(), |currency| unit.trim() == currency);
    number.filter(|_number| is_right).map(|number| number + 0.0).ok_or_else(|| {
        let currency = currency.unwrap_or("EUR");
        format!("expected an amount such as \"1500 {currency}\", got \"{}\"", excerpt(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::Span;
    use r_ems_engine::units::Watts;
    use r_ems_sim::account::Account;
    use r_ems_sim::authority::AuthorityResult;
    use r_ems_sim::driver::GridResult;
    use r_ems_sim::ledger::Energies;
    use r_ems_sim::plant::{Bus, Component, Connection};

    fn result(energies: Energies) -> RunResult {
        let connection = Connection::new(Watts::of(1e3)).expect("a valid connection");
        let bus = Bus::new(vec![Component::Connection(connection)]).expect("one connection");
        let account = Account::new(&bus, Time::ZERO, None);
        RunResult {
            simulated: Span::from_hours(1),
            grids: vec![GridResult {
                energies,
                balance: Ok(()),
                limits: Ok(()),
                reversion: Ok(()),
                account,
                writes: 0,
                take_overs: 0,
            }],
            verdicts: Vec::new(),
            traffic: Vec::new(),
            authority: AuthorityResult::default(),
            progress: Default::default(),
            failures: Vec::new(),
            persistence: None,
        }
    }

    fn judged(comparison: Comparison, value: f64) -> Verdict {
        let total = TOTALS.iter().find(|total| total.name == "export").expect("a sum of the list");
        let bound = Bound { grid: 0, total, comparison, value };
        let energies = Energies { export_wh: 0.75, ..Energies::default() };
        AtEnd { name: "x".into(), place: 0, subject: Subject::Sum(bound) }.judge(&result(energies))
    }

    #[test]
    fn a_sum_is_compared_at_the_runs_end_with_its_margin() {
        let held = judged(Comparison::AtLeast, 0.7);
        assert!(held.held && (held.margin - 0.05).abs() < 1e-12 && (held.value - 0.75).abs() < 1e-12);
        assert_eq!(held.at, Time::ZERO + Span::from_hours(1));
        let failed = judged(Comparison::AtMost, 0.7);
        assert!(!failed.held && (failed.margin + 0.05).abs() < 1e-12);
        // On the limit: the margin is gone, and only a strict comparison fails.
        assert!(judged(Comparison::AtLeast, 0.75).held && judged(Comparison::AtMost, 0.75).held);
        assert!(!judged(Comparison::Above, 0.75).held && !judged(Comparison::Below, 0.75).held);
    }
}

//! Makes a failing case simpler, one proposal after the other: the one that asks says whether a proposal still fails.
//!
//! ```text
//!     while let Some(proposal) = reducer.propose() { if fails(proposal) { reducer.accept() } else { reducer.reject() } }
//! ```
//!
//! The order is from what saves most to what reads better: chunks of faults go, then single ones; the site is calmed, settings
//! go, windows are shortened, rates lowered and instants rounded; the run begins earlier. Then faults are tried once more,
//! because what was needed before may not be needed now. All passes are made a few times at the most, so that the search ends.

use r_ems_engine::Span;

use super::case::{Case, part};
use super::fault::{Fault, Scope, Value};
use super::settings;
use super::site::CALMS;

/// What is rounded is rounded to the coarsest of these that still fails.
const GRAINS: [Span; 5] = [
    Span::from_secs(1),
    Span::from_millis(100),
    Span::from_millis(10),
    Span::from_millis(1),
    Span::from_micros(10),
];
/// Nothing shorter is halved.
const HALVED_MIN: Span = Span::from_micros(10);
/// Rates below this are not halved.
const PPM_MIN: i32 = 10;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Without `size` faults from a place on.
    Remove { size: usize, place: usize },
    /// With one more part of the site calmed.
    Calm { place: usize },
    /// With one setting less.
    Unset { place: usize },
    /// With one fault simpler in one way.
    Simplify { place: usize, way: usize },
    /// With everything earlier.
    Earlier { tries: u32 },
    /// Nothing is left to try.
    Over,
}

/// Everything may move earlier so often.
const EARLIER_MAX: u32 = 8;

/// Makes one case simpler.
#[derive(Clone, Debug)]
pub struct Reducer {
    best: Case,
    proposed: Option<Case>,
    pass: Pass,
    has_simplified: bool,
    rounds: u32,
}

/// All passes are made so often at the most: rounding may undo what halving did, and the two must not take turns for ever.
const ROUNDS_MAX: u32 = 3;

impl Reducer {
    /// Begins with a case that fails.
    pub fn new(case: Case) -> Self {
        let size = case.faults.len().div_ceil(2);
        Self {
            best: case,
            proposed: None,
            pass: Pass::Remove { size, place: 0 },
            has_simplified: false,
            rounds: 1,
        }
    }

    /// The simplest case known to fail.
    pub const fn best(&self) -> &Case {
        &self.best
    }

    /// The case that is to be tried now; the best one if none is.
    pub fn current(&self) -> &Case {
        self.proposed.as_ref().unwrap_or(&self.best)
    }

    /// What to try next; nothing if nothing is left.
    pub fn propose(&mut self) -> Option<&Case> {
        self.proposed = None;
        while self.pass != Pass::Over && self.proposed.is_none() {
            self.proposed = self.proposal();
            match &self.proposed {
                None => self.next_pass(),
                Some(same) if *same == self.best => self.reject(),
                Some(_) => {}
            }
        }
        self.proposed.as_ref()
    }

    /// The proposal fails too: it is the best case from now on.
    pub fn accept(&mut self) {
        let Some(case) = self.proposed.take() else { return };
        self.best = case;
        match &mut self.pass {
            // What comes after the faults that went stands at their place now.
            Pass::Remove { .. } | Pass::Unset { .. } | Pass::Over => {}
            Pass::Calm { place } => *place += 1,
            // The same is tried again: a half may be halved.
            Pass::Simplify { .. } => self.has_simplified = true,
            Pass::Earlier { tries } => *tries += 1,
        }
    }

    /// The proposal does not fail.
    pub fn reject(&mut self) {
        self.proposed = None;
        match &mut self.pass {
            Pass::Remove { size, place } => *place += *size,
            Pass::Calm { place } | Pass::Unset { place } => *place += 1,
            Pass::Simplify { way, .. } => *way += 1,
            Pass::Earlier { .. } => self.pass = Pass::Earlier { tries: EARLIER_MAX },
            Pass::Over => {}
        }
    }

    /// The proposal of this pass and place, if there is one.
    fn proposal(&self) -> Option<Case> {
        let faults = &self.best.faults;
        match self.pass {
            Pass::Remove { size, place } => (place < faults.len()).then(|| {
                let mut case = self.best.clone();
                case.faults.drain(place..(place + size).min(faults.len()));
                case
            }),
            Pass::Calm { place } => (place < CALMS.len())
                .then(|| Case { calmed: self.best.calmed | 1 << place, ..self.best.clone() }),
            Pass::Unset { place } => (place < self.best.settings.len()).then(|| unset(&self.best, place)),
            Pass::Simplify { place, way } => {
                let simpler = simpler(faults.get(place)?, way)?;
                let collides = |(other, fault): (usize, &Fault)| other != place && simpler.collides(fault);
                let mut case = self.best.clone();
                // What would collide stays as it was, which is nothing to try.
                if !faults.iter().enumerate().any(collides) {
                    case.faults[place] = simpler;
                }
                Some(case)
            }
            Pass::Earlier { tries } => {
                let first = faults.first()?.from;
                (tries < EARLIER_MAX && first > GRAINS[1]).then(|| earlier(&self.best, half(first)))
            }
            Pass::Over => None,
        }
    }

    fn next_pass(&mut self) {
        self.pass = match self.pass {
            Pass::Remove { size, .. } if size > 1 => Pass::Remove { size: part_of(size), place: 0 },
            Pass::Remove { .. } if self.best.calmed == 0 => Pass::Calm { place: 0 },
            Pass::Remove { .. } | Pass::Calm { .. } => Pass::Unset { place: 0 },
            Pass::Unset { .. } => Pass::Simplify { place: 0, way: 0 },
            Pass::Simplify { place, .. } if place + 1 < self.best.faults.len() => {
                Pass::Simplify { place: place + 1, way: 0 }
            }
            Pass::Simplify { .. } => Pass::Earlier { tries: 0 },
            Pass::Earlier { .. } if std::mem::take(&mut self.has_simplified) && self.rounds < ROUNDS_MAX => {
                self.rounds += 1;
                Pass::Remove { size: 1, place: 0 }
            }
            Pass::Earlier { .. } | Pass::Over => Pass::Over,
        };
    }
}

const fn part_of(size: usize) -> usize {
    size / 2
}

/// The same case without one setting; what has disks at all stays where one of them is at fault.
fn unset(case: &Case, place: usize) -> Case {
    let mut case = case.clone();
    let is_needed = || case.faults.iter().any(|fault| matches!(fault.scope, Scope::Disk(_)));
    if case.settings[place] != settings::KEPT || !is_needed() {
        case.settings.remove(place);
    }
    case
}

/// The same case with everything earlier by `by`.
fn earlier(case: &Case, by: Span) -> Case {
    let mut case = case.clone();
    for fault in &mut case.faults {
        fault.from = fault.from - by;
        fault.to = fault.to.map(|to| to - by);
    }
    case.length = case.length - by;
    case
}

/// A fault that is simpler in the given way; nothing if there is no such way. What cannot be simpler stays as it is.
fn simpler(fault: &Fault, way: usize) -> Option<Fault> {
    let mut fault = fault.clone();
    let ways_of_time = 2 + 2 * GRAINS.len();
    match way {
        0 => fault.to = fault.to.map(|to| shorter_end(fault.from, to)),
        1 => fault.from = fault.to.map_or(fault.from, |to| later_begin(fault.from, to)),
        way if way < ways_of_time => {
            let (grain, is_begin) = (GRAINS[(way - 2) / 2], way.is_multiple_of(2));
            round(&mut fault, grain, is_begin);
        }
        way => {
            let place = way - ways_of_time;
            if matches!(fault.what.values.get(place)?.1, Value::Span(_)) {
                halve_spans(&mut fault);
            } else {
                lower(&mut fault.what.values[place].1);
            }
        }
    }
    Some(fault)
}

fn shorter_end(from: Span, to: Span) -> Span {
    let length = to - from;
    if length > HALVED_MIN { from + half(length) } else { to }
}

fn later_begin(from: Span, to: Span) -> Span {
    let length = to - from;
    if length > HALVED_MIN { from + half(length) } else { from }
}

/// Rounds the beginning or the end of a fault, if a window stays one.
fn round(fault: &mut Fault, grain: Span, is_begin: bool) {
    let rounded = |span: Span| grain * (span + half(grain)).whole(grain);
    if is_begin {
        let from = rounded(fault.from);
        if fault.to.is_none_or(|to| from < to) {
            fault.from = from;
        }
    } else if let Some(to) = fault.to {
        let to = rounded(to);
        if to > fault.from {
            fault.to = Some(to);
        }
    }
}

/// Halves all spans of a fault together: the least of a delay must not exceed its most.
fn halve_spans(fault: &mut Fault) {
    let spans = || {
        fault
            .what
            .values
            .iter()
            .filter_map(|value| if let Value::Span(span) = value.1 { Some(span) } else { None })
    };
    if spans().any(|span| !span.is_zero() && span <= HALVED_MIN) {
        return;
    }
    for (_, value) in &mut fault.what.values {
        if let Value::Span(span) = value {
            *span = if span.is_zero() { Span::ZERO } else { half(*span) };
        }
    }
}

/// Makes a value smaller, or a list shorter.
fn lower(value: &mut Value) {
    match value {
        Value::Names(names) => {
            if names.len() > 1 {
                names.pop();
            }
        }
        Value::Ratio(numerator, _) => {
            if *numerator > 1 {
                *numerator /= 2;
            }
        }
        Value::Ppm(ppm) => {
            if ppm.abs() > PPM_MIN {
                *ppm /= 2;
            }
        }
        Value::Name(_) | Value::Word(_) | Value::Span(_) => {}
    }
}

/// Half a span, without the digits that nobody wants to read.
fn half(span: Span) -> Span {
    let half = part(span, 2);
    let grain = GRAINS.iter().find(|grain| half >= **grain * 10).copied().unwrap_or(Span::from_micros(1));
    grain * half.whole(grain).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::fault::What;
    use super::super::settings::{DRAWN, KEPT, Setting};
    use super::*;

    fn crash(from: u64, to: u64) -> Fault {
        let what = What::new("Crash").with("host", Value::Name("a".into()));
        let (from, to) = (Span::from_millis(from), Some(Span::from_millis(to)));
        Fault { kind: 0, from, to, what, scope: Scope::Host(0) }
    }

    fn loss(from: u64, to: u64) -> Fault {
        let what =
            What::new("Loss").with("from", Value::Name("a".into())).with("ratio", Value::Ratio(16, 20));
        Fault { kind: 4, what, ..crash(from, to) }
    }

    fn reduced(faults: Vec<Fault>, fails: impl Fn(&Case) -> bool) -> (Case, u32) {
        reduced_of(faults, Vec::new(), fails)
    }

    fn reduced_of(faults: Vec<Fault>, settings: Vec<Setting>, fails: impl Fn(&Case) -> bool) -> (Case, u32) {
        let case = Case { network_seed: 1, length: Span::from_secs(25), faults, calmed: 0, settings };
        let (mut reducer, mut tries) = (Reducer::new(case), 0);
        while let Some(proposal) = reducer.propose().cloned() {
            tries += 1;
            assert!(tries < 10_000, "a search that does not end");
            assert_ne!(proposal, *reducer.best());
            if fails(reducer.current()) { reducer.accept() } else { reducer.reject() }
        }
        (reducer.best().clone(), tries)
    }

    #[test]
    fn only_the_faults_that_are_needed_stay() {
        let many: Vec<Fault> = (0..30).map(|place| crash(place * 700 + 13, place * 700 + 333)).collect();
        let (first, second) = (many[7].clone(), many[21].clone());
        let is_within = |fault: &Fault, whole: &Fault| fault.from <= whole.from && fault.to >= whole.to;
        let both = |case: &Case| {
            [&first, &second].iter().all(|whole| case.faults.iter().any(|fault| is_within(fault, whole)))
        };
        let (case, tries) = reduced(many, both);
        let begins: Vec<Span> = case.faults.iter().map(|fault| fault.from).collect();
        assert_eq!(begins, [Span::from_millis(4_900), Span::from_millis(14_700)]);
        assert!(tries < 300, "{tries} tries");
    }

    #[test]
    fn settings_go_but_for_the_disks_of_a_fault_that_is_needed() {
        let full = Fault { scope: Scope::Disk(0), what: What::new("DiskFull"), ..crash(1_000, 2_000) };
        let settings = || vec![KEPT, DRAWN[0][0].clone(), DRAWN[2][0].clone()];
        let needs = |case: &Case| !case.faults.is_empty() && case.settings.contains(&DRAWN[2][0]);
        let (case, _) = reduced_of(vec![full], settings(), needs);
        assert_eq!(case.settings, [KEPT, DRAWN[2][0].clone()]);
        let (case, _) = reduced_of(vec![crash(1_000, 2_000)], settings(), needs);
        assert_eq!(case.settings, DRAWN[2]);
    }

    #[test]
    fn windows_get_short_rates_low_and_instants_round() {
        let fails = |case: &Case| {
            case.faults.iter().any(|fault| {
                let covers =
                    fault.from <= Span::from_millis(4_000) && fault.to >= Some(Span::from_millis(4_100));
                let is_heavy = fault
                    .what
                    .values
                    .iter()
                    .any(|value| matches!(value.1, Value::Ratio(ratio, _) if ratio >= 3));
                covers && is_heavy
            })
        };
        let (case, _) = reduced(vec![loss(1_234, 17_777)], fails);
        let [fault] = case.faults.as_slice() else { panic!("one fault is needed: {case:?}") };
        assert_eq!(fault.to_string(), "During(\"+4 s\", \"+4 s 100 ms\", Loss(from: \"a\", ratio: (4, 20)))");
    }

    #[test]
    fn a_case_that_cannot_be_simpler_stays() {
        let whole = vec![crash(1_000, 2_000)];
        let (case, _) =
            reduced(whole.clone(), |case| case.faults == whole && case.length == Span::from_secs(25));
        assert_eq!(case.faults, whole);
    }
}

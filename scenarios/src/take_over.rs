//! Expectations on authority, judged at a run's end: `TakeOverWithin("100 ms")`, and that there is one authority at a time.
//!
//! What is judged is what devices accepted, as the simulation's own checker saw it, and never what a controller says of itself.
//! **Of every run with a shared grid** it is expected, whatever its file says, that there is one authority at a time, and that it
//! returns in time where somebody can have it.

use r_ems_engine::{Span, Time};
use r_ems_sim::authority::{AuthorityResult, TakeOver, Violation};
use r_ems_sim::driver::RunResult;
use r_ems_sim::plant::ComponentIndex;
use r_ems_sim::progress::{Late, Promise};

use crate::mistake::Notes;
use crate::naming::Names;
use crate::node::{Fields, Node};

/// What the built-in expectation is called.
pub const ONE_AUTHORITY: &str = "one authority at a time";

/// What the built-in expectation of progress is called.
pub const AUTHORITY_RETURNS: &str = "authority returns in time";

/// How long a shared grid may be without authority.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) span: Span,
    /// The grids that are meant.
    pub(crate) grids: Vec<u16>,
}

/// Names for what a checker knows by numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    /// By place in the fleet.
    members: Vec<String>,
    /// By grid and component.
    components: Vec<Vec<String>>,
}

/// What was found: whether it holds, how far from failing, when and at what value it was worst, and that in words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) held: bool,
    pub(crate) margin: f64,
    pub(crate) at: Time,
    pub(crate) value: f64,
    /// Which rule was broken, of those that the expectation stands for.
    pub(crate) rule: Option<&'static str>,
    pub(crate) words: String,
}

impl Judged {
    /// None of the rules that the expectation stands for was broken up to `end`.
    pub(crate) const fn unbroken(end: Time) -> Self {
        Self { held: true, margin: 0.0, at: end, value: 0.0, rule: None, words: String::new() }
    }
}

impl Who {
    /// Takes the names of a scenario.
    pub(crate) fn of(names: &Names<'_, '_>) -> Self {
        let mut who = Self::default();
        for grid in &names.grids {
            who.members.extend(grid.members.iter().map(|member| format!("{}/{}", grid.grid, member.id)));
            let parts = grid.plant.map_or(&[][..], |plant| plant.parts.as_slice());
            who.components.push(parts.iter().map(|part| format!("{}/{}", grid.grid, part.name)).collect());
        }
        who
    }

    pub(crate) fn member(&self, place: u16) -> &str {
        self.members.get(usize::from(place)).map_or("a controller", String::as_str)
    }

    fn device(&self, grid: u16, component: ComponentIndex) -> &str {
        let device =
            self.components.get(usize::from(grid)).and_then(|parts| parts.get(usize::from(component.0)));
        device.map_or("a device", String::as_str)
    }

    fn violation(&self, violation: &Violation) -> String {
        let member = |place| self.member(place).to_owned();
        violation.rule.words(member, |component| self.device(violation.grid, component).to_owned())
    }
}

/// Reads what `TakeOverWithin` is about: all shared grids, or the one that is named.
pub(crate) fn read(
    subject: &Node<'_>,
    options: Option<&mut Fields<'_>>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<Limit> {
    let span: Option<Span> = subject.leaf(notes);
    if span.is_some_and(Span::is_zero) {
        subject.error(notes, "must be above 0 s, got 0 s");
    }
    let named = options.and_then(|options| options.optional("grid"));
    let shared: Vec<usize> = (0..names.grids.len()).filter(|grid| names.grids[*grid].is_shared()).collect();
    let grids = match named {
        Some(node) => {
            let name: String = node.leaf(notes)?;
            let grid = names.grid(&name).map_err(|message| node.error(notes, message)).ok()?;
            if !shared.contains(&grid) {
                node.error(notes, format!("the grid \"{name}\" has one controller: nobody takes over"));
            }
            vec![grid]
        }
        None => {
            if shared.is_empty() {
                subject.error(notes, "no grid has more than one controller: nobody takes over");
            }
            shared
        }
    };
    for named in grids.iter().map(|grid| &names.grids[*grid]) {
        if let (Some(span), Some(bound)) = (span, named.take_over_max)
            && span < bound
            && !span.is_zero()
        {
            let grid = named.grid;
            let bound = format!("{:.1} ms", (bound.as_secs_f64() * 1e4).ceil() / 10.0);
            let message = format!(
                "must be at least {bound}, got {span}: so long a take-over of \"{grid}\" may last by its intervals"
            );
            subject.error(notes, message);
        }
    }
    let grids = grids.into_iter().map(|grid| u16::try_from(grid).unwrap_or(u16::MAX)).collect();
    Some(Limit { span: span?, grids })
}

/// The longest time without authority.
#[derive(Clone, Copy, Debug)]
enum Longest<'r> {
    /// Until another took over.
    TakeOver(&'r TakeOver),
    /// Until the run's end, and longer than is allowed.
    Wait(Span),
}

impl<'r> Longest<'r> {
    fn of(limit: &Limit, result: &'r RunResult) -> Option<Self> {
        let end = Time::ZERO + result.simulated;
        let waiting = result.authority.waiting.iter().filter(|found| limit.grids.contains(&found.0));
        let waits = waiting.map(|found| end.since(found.1)).filter(|gap| *gap > limit.span);
        let take_over = take_overs(limit, result).max_by_key(|found| found.gap()).map(Self::TakeOver);
        waits.max().map(Self::Wait).into_iter().chain(take_over).max_by_key(|found| found.gap())
    }

    fn gap(self) -> Span {
        match self {
            Self::TakeOver(found) => found.gap(),
            Self::Wait(gap) => gap,
        }
    }
}

fn take_overs<'r>(limit: &Limit, result: &'r RunResult) -> impl Iterator<Item = &'r TakeOver> {
    result.authority.take_overs.iter().filter(|found| limit.grids.contains(&found.grid))
}

/// Judges every take-over of a run, and grids that nobody has taken over for longer.
pub(crate) fn judge_limit(limit: &Limit, who: &Who, result: &RunResult) -> Judged {
    let end = Time::ZERO + result.simulated;
    let count = take_overs(limit, result).count();
    let counted = if count == 1 { "1 take-over".to_string() } else { format!("{count} take-overs") };
    let Some(longest) = Longest::of(limit, result) else {
        return Judged {
            held: false,
            margin: 0.0,
            at: end,
            value: 0.0,
            rule: None,
            words: "no take-over happened".into(),
        };
    };
    let gap = longest.gap();
    let (at, words) = match longest {
        Longest::TakeOver(TakeOver { from, to, at, .. }) => {
            (*at, format!("{counted}; the longest from {} to {}", who.member(*from), who.member(*to)))
        }
        Longest::Wait(gap) => (end, format!("{counted}; at the end nobody has written since {}", end - gap)),
    };
    let margin = limit.span.as_secs_f64() - gap.as_secs_f64();
    Judged { held: gap <= limit.span, margin, at, value: gap.as_secs_f64(), rule: None, words }
}

/// What happened at the instant that decided.
pub(crate) fn decided(limit: &Limit, who: &Who, result: &RunResult) -> String {
    // Below a microsecond nobody reads.
    let shown = |gap: Span| Span::from_micros(gap.as_nanos() / 1_000);
    match Longest::of(limit, result) {
        Some(Longest::TakeOver(found)) => {
            let (from, to) = (who.member(found.from), who.member(found.to));
            let gap = shown(found.gap());
            format!("this is when {to} had taken over from {from}, {gap} after its crash or last write")
        }
        Some(Longest::Wait(gap)) => {
            format!("this is the end of the run: nobody has written for {}", shown(gap))
        }
        None => "this is the end of the run: nobody took over in it".to_string(),
    }
}

/// Judges that there was one authority at a time.
pub(crate) fn judge_one(who: &Who, authority: &AuthorityResult, end: Time) -> Judged {
    let count = authority.violation_count;
    let Some(first) = authority.violations.first() else {
        return Judged { held: count == 0, ..Judged::unbroken(end) };
    };
    let value = count as f64;
    let (rule, words) = (Some(first.rule.name()), who.violation(first));
    Judged { held: false, margin: -value, at: first.at, value, rule, words }
}

/// Judges that somebody took over or wrote wherever somebody could.
pub(crate) fn judge_progress(who: &Who, late: &[Late], end: Time) -> Judged {
    let Some(first) = late.first() else {
        return Judged::unbroken(end);
    };
    let (able, since) = (who.member(first.able), first.at.since(first.since));
    let words = match first.promise {
        Promise::TakesOver => format!("nobody had taken over {since} after a crash, though {able} could"),
        Promise::Writes => format!("nobody had held authority and written for {since}, though {able} could"),
        Promise::StandsBy => {
            format!("{able} had not stood by for {since}, ready to take over, though it could")
        }
    };
    let value = late.len() as f64;
    Judged { held: false, margin: -value, at: first.at, value, rule: Some(first.promise.name()), words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_sim::authority::Rule;

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    fn who() -> Who {
        Who {
            members: vec!["g/a".into(), "g/b".into()],
            components: vec![vec!["g/load".into(), "g/bess".into()]],
        }
    }

    fn limit() -> Limit {
        Limit { span: Span::from_millis(100), grids: vec![0] }
    }

    fn judged(take_overs: Vec<TakeOver>, waiting: Vec<(u16, Time)>) -> Judged {
        judge_limit(&limit(), &who(), &ran(take_overs, waiting))
    }

    fn ran(take_overs: Vec<TakeOver>, waiting: Vec<(u16, Time)>) -> RunResult {
        let authority = AuthorityResult { take_overs, waiting, ..AuthorityResult::default() };
        RunResult {
            simulated: Span::from_secs(10),
            grids: Vec::new(),
            verdicts: Vec::new(),
            traffic: Vec::new(),
            authority,
            progress: Default::default(),
            failures: Vec::new(),
            persistence: None,
        }
    }

    fn take_over(lost_at: Time, at: Time) -> TakeOver {
        TakeOver { grid: 0, from: 0, to: 1, lost_at, at }
    }

    #[test]
    fn the_longest_take_over_is_the_one_that_counts() {
        let found = judged(vec![take_over(at(0), at(60)), take_over(at(500), at(590))], Vec::new());
        assert!(found.held && (found.margin - 0.01).abs() < 1e-9 && found.at == at(590));
        assert_eq!(found.words, "2 take-overs; the longest from g/a to g/b");
        assert!(judged(vec![take_over(at(0), at(100))], Vec::new()).held);
        assert!(!judged(vec![take_over(at(0), at(101))], Vec::new()).held);
    }

    #[test]
    fn the_instant_that_decided_is_said_to_be_what_it_was() {
        let short = take_over(at(0), at(60));
        let other = TakeOver { grid: 1, ..take_over(at(0), at(5_000)) };
        for (take_overs, waiting, words) in [
            (
                vec![short, take_over(at(500), at(590)), other],
                vec![(0, at(9_950))],
                "this is when g/b had taken over from g/a, 90 ms after its crash or last write",
            ),
            (vec![short], vec![(0, at(9_000))], "this is the end of the run: nobody has written for 1 s"),
            (vec![other], Vec::new(), "this is the end of the run: nobody took over in it"),
        ] {
            assert_eq!(decided(&limit(), &who(), &ran(take_overs, waiting)), words);
        }
    }

    #[test]
    fn a_run_without_a_take_over_and_one_that_ends_without_an_authority_have_failed() {
        let none = judged(Vec::new(), Vec::new());
        assert!(!none.held);
        assert_eq!(none.words, "no take-over happened");
        let lost = judged(Vec::new(), vec![(0, at(9_000))]);
        assert!(!lost.held && (lost.value - 1.0).abs() < 1e-9);
        // What has just begun may still come in time.
        assert!(judged(vec![take_over(at(0), at(60))], vec![(0, at(9_950))]).held);
    }

    #[test]
    fn a_violation_names_who_and_what() {
        let rule = Rule::EpochsRise {
            controller: 0,
            component: ComponentIndex(1),
            epoch: 256,
            accepted: 513,
            way: None,
        };
        let violation = Violation { at: at(7), grid: 0, rule };
        let words = who().violation(&violation);
        assert_eq!(words, "g/bess accepted epoch 1.0 of g/a after epoch 2.1");
        let rule = Rule::NothingOutstanding { controller: 0, component: ComponentIndex(1), epoch: 256 };
        let words = who().violation(&Violation { rule, ..violation });
        assert_eq!(words, "g/a gave epoch 1.0 up while a write of it was on its way to g/bess");
        let authority =
            AuthorityResult { violations: vec![violation], violation_count: 3, ..AuthorityResult::default() };
        let found = judge_one(&who(), &authority, at(9));
        assert!(!found.held && found.at == at(7) && (found.margin + 3.0).abs() < 1e-9);
        assert_eq!(found.rule, Some("epochs rise on every device"));
        assert!(judge_one(&who(), &AuthorityResult::default(), at(9)).held);
    }
}

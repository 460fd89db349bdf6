//! What became of test set-points, judged: what is likely wrong, and where the file says it.
//!
//! A device tells twice what it does, by what it measures and by the set-point that it holds, and the meter sees it from outside.
//! Where two of them agree, the third one is read or written wrongly.

use std::ops::Range;

use r_ems_engine::Span;
use r_ems_scenarios::Severity;

use super::look::duration_of;
use super::plausible::Doubt;
use super::target::{Noted, Target};
use crate::present::text::power;

/// So near to what was asked for is near enough.
const NEAR: f64 = 0.2;
/// A meter that moves by less than so much of what is expected, or by more, was moved by something else too, or is late.
const MOVED: Range<f64> = 0.6..1.4;
/// Who measures and who is told a set-point may be apart by these factors.
const FACTORS: [f64; 6] = [10.0, 0.1, 100.0, 0.01, 1_000.0, 0.001];
/// A reversion is right within a tenth, and within this.
const TOLERANCE: Span = Span::from_secs(1);

/// What became of a set-point, in W and positive into the bus.
pub(super) struct Outcome {
    /// The set-point.
    pub(super) asked: f64,
    /// How far it is from the one before.
    pub(super) stepped: f64,
    /// What the device measures.
    pub(super) measured: Option<f64>,
    /// How far that is from what it measured before.
    pub(super) moved_itself: Option<f64>,
    /// What the device says its set-point is, and what is doubtful about that.
    pub(super) read_back: Option<(f64, Option<Doubt>)>,
    /// How far the meter's power moved, positive: import.
    pub(super) moved: Option<f64>,
}

impl Outcome {
    /// The set-point of somebody else that the device follows; none if it is ours, or may be ours read or written wrongly.
    pub(super) fn of_somebody_else(&self) -> Option<f64> {
        let (found, _) = self.read_back.as_ref()?;
        let is_followed = self.measured.is_some_and(|measured| is_near(measured / found));
        let is_ours = is_near(found / self.asked) || factor_of(found / self.asked).is_some();
        (is_followed && !is_ours && *found != 0.0).then_some(*found)
    }

    /// What a measured power is wrong by, in words. Who idles at a small power has none that is a small part of the set-point.
    fn factor(&self, measured: f64) -> Option<String> {
        let ratio = measured / self.asked;
        let is_moved = |moved: f64| is_near(moved / self.stepped / ratio);
        let is_of_step = ratio.abs() > 0.5 || self.moved_itself.is_none_or(is_moved);
        factor_of(ratio).filter(|_| is_of_step)
    }

    /// What is noted of it; `None`: it is as the file says.
    pub(super) fn judge(self, target: &Target<'_>) -> Option<Noted> {
        let factor = self.measured.and_then(|measured| self.factor(measured));
        let Self { asked, stepped, measured, read_back, moved, .. } = self;
        if let Some((found, doubt)) = read_back.filter(|(found, _)| !is_near(found / asked)) {
            return Some(misread(target, asked, (found, doubt), measured));
        }
        let measured = measured.filter(|measured| !is_near(measured / asked))?;
        // What the meter saw is what was really done, if nothing else changed.
        let seen = moved.map(|moved| (moved / stepped).abs());
        let is_as_seen = |ratio: f64| seen.is_some_and(|seen| is_near(seen / ratio.abs()));
        let (point, writes): (&[&str], &[&str]) = (&["link", "points", "p"], &["link", "writes"]);
        let (below, likely) = match factor {
            Some(factor) if is_as_seen(1.0) => {
                (point, format!("`p` is {factor}: the meter saw what was asked for"))
            }
            Some(factor) if is_as_seen(measured / asked) => {
                (writes, format!("SetPoint(…) is {factor}: the meter saw what was measured"))
            }
            Some(factor) => (point, format!("`p`, or SetPoint(…) in `writes`, is {factor}")),
            None if measured.abs() > asked.abs() => {
                (writes, "it goes far beyond: the scale of SetPoint(…), or of `p`, is wrong".to_owned())
            }
            None => (
                writes,
                "it does not follow: it may be asleep, in another mode, or need another request".to_owned(),
            ),
        };
        let words = format!("{} measured at a set-point of {}", power(measured), power(asked));
        let note = target.note(below, Severity::Error, words);
        Some(note.expected(format!("about {}", power(asked))).likely(likely))
    }
}

/// What is noted of a set-point that is read back as another.
fn misread(
    target: &Target<'_>,
    asked: f64,
    (found, doubt): (f64, Option<Doubt>),
    measured: Option<f64>,
) -> Noted {
    // Where what is measured is what is read back, both are read well.
    let is_followed = measured.is_some_and(|measured| is_near(measured / found));
    let field = doubt.as_ref().and_then(|doubt| doubt.field);
    let point: Vec<&str> = ["link", "points", "set_point"].into_iter().chain(field).collect();
    let below: &[&str] = if is_followed { &["link", "writes"] } else { &point };
    let likely = match (factor_of(found / asked), doubt.and_then(|doubt| doubt.likely)) {
        (Some(factor), _) if is_followed => format!("SetPoint(…) is {factor}"),
        (_, Some(likely)) => likely,
        (Some(factor), None) => format!("`set_point`, or SetPoint(…) in `writes`, is {factor}"),
        (None, None) => "somebody else writes to it, or `set_point` is another register".to_owned(),
    };
    let words = format!("{} read back after {} was written", power(found), power(asked));
    target.note(below, Severity::Error, words).expected(power(asked)).likely(likely)
}

/// Whether the meter saw discharge as less import, whenever a set-point was stepped and its power moved, and what is noted if
/// not; `None`: it saw too little, or too much else.
///
/// # Shape    `ways`: for each step, how far it was and how far the meter moved, W
pub(super) fn seen_by_meter(
    target: &Target<'_>,
    (meter, is_right): (&Target<'_>, bool),
    ways: &[(f64, f64)],
) -> Option<Result<(), Noted>> {
    let all = |sign: f64| ways.iter().all(|(stepped, moved)| MOVED.contains(&(sign * moved / stepped)));
    let (stepped, moved) = *ways.first()?;
    if all(-1.0) {
        return Some(Ok(()));
    }
    if !all(1.0) {
        return None;
    }
    let (seen_by, name) = (&meter.spec.name, &target.spec.name);
    let words = format!("{seen_by} moves by {} when {name} moves by {}", power(moved), power(stepped));
    let or = if is_right { String::new() } else { format!(", or {seen_by} does") };
    let note = target.note(&["link", "positive"], Severity::Error, words);
    let expected = format!("{}: discharge is less import", power(-stepped));
    Some(Err(note.expected(expected).likely(format!("{name} counts the other way{or}"))))
}

/// How far a reversion may be from what the file says, where responses take so long.
pub(super) fn tolerance(declared: Span, responds: Span) -> Span {
    (responds + TOLERANCE).max(Span::from_nanos(declared.as_nanos() / 10))
}

/// What is noted of a reversion, or of none within `waited`; `None`: it is as the file says.
pub(super) fn reversion(
    target: &Target<'_>,
    reverted: Option<Span>,
    (waited, responds): (Span, Span),
) -> Option<Noted> {
    let declared = target.spec.reversion;
    let tolerance = tolerance(declared, responds);
    let note = |found: String| target.note(&["reversion"], Severity::Error, found);
    match reverted {
        Some(after) if after + tolerance < declared || after > declared + tolerance => {
            let found = format!("a set-point that nobody repeats ends after {}", duration_of(after));
            Some(note(found).expected(duration_of(declared)))
        }
        Some(_) => None,
        None => {
            let found = format!("a set-point that nobody repeats still holds after {}", duration_of(waited));
            let likely = "it has no reversion, or whatever it is asked begins it anew".to_owned();
            Some(note(found).expected(format!("an end after {}", duration_of(declared))).likely(likely))
        }
    }
}

/// Whether a ratio is about 1.
pub(super) fn is_near(ratio: f64) -> bool {
    (ratio - 1.0).abs() <= NEAR
}

/// What is wrong with a number that is so many times what it should be, in words; none if that is no scale or sign.
fn factor_of(ratio: f64) -> Option<String> {
    if is_near(-ratio) {
        return Some("of the other sign".to_owned());
    }
    let found = FACTORS.into_iter().find(|factor| is_near(ratio.abs() / factor))?;
    let sign = if ratio < 0.0 { ", and of the other sign" } else { "" };
    Some(if found > 1.0 {
        format!("wrong by {found:.0}{sign}")
    } else {
        format!("wrong by {:.0}{sign}", 1.0 / found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_number_is_wrong_by_is_told() {
        for (ratio, words) in [
            (-1.0, Some("of the other sign")),
            (10.0, Some("wrong by 10")),
            (0.1, Some("wrong by 10")),
            (-0.01, Some("wrong by 100, and of the other sign")),
            (0.0, None),
            (3.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(factor_of(ratio).as_deref(), words, "{ratio}");
        }
    }
}

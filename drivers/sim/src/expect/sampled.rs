//! The claims against a reference that looks at every millisecond, on random lines that jump now and then.

use alloc::vec::Vec;

use proptest::prelude::*;
use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::{Span, Time};

use super::observer::Observer;
use super::piece::{Piece, Window};
use super::{Comparison, Condition, Watched};

fn ms(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

fn at_most(value: f64) -> Condition {
    let point = Watched::Image { controller: ControllerIndex(0), point: PointIndex(0) };
    Condition { point, comparison: Comparison::AtMost, value }
}

/// Sampled in the middle of each millisecond.
struct Reference {
    longest: u64,
    total: u64,
    held: bool,
    /// Worst value of what counts.
    worst: f64,
    highest: f64,
    lowest: f64,
}

/// Looks at every millisecond of the window.
fn sample(pieces: &[Piece<'_>], window: Window, limit: f64, except_for: u64, total: u64) -> Reference {
    let mut reference =
        Reference { longest: 0, total: 0, held: true, worst: f64::MIN, highest: f64::MIN, lowest: f64::MAX };
    let (mut length, mut peak, mut quiet, mut failed) = (0, f64::MIN, f64::MIN, f64::MIN);
    let millis = |at: Time| at.as_nanos() / 1_000_000;
    let mut values = Vec::new();
    for piece in pieces {
        let (from, to) = (millis(piece.from), millis(piece.to));
        for sampled in from..to {
            let share = (sampled as f64 + 0.5 - from as f64) / (to - from) as f64;
            if millis(window.from) <= sampled && sampled < millis(window.to) {
                values.push(piece.start + share * (piece.end - piece.start));
            }
        }
    }
    // What follows the last value closes an open excursion.
    for value in values.into_iter().map(Some).chain([None]) {
        if let Some(value) = value {
            reference.highest = if value > reference.highest { value } else { reference.highest };
            reference.lowest = if value < reference.lowest { value } else { reference.lowest };
            if value > limit {
                length += 1;
                peak = if value > peak { value } else { peak };
                continue;
            }
            quiet = if value > quiet { value } else { quiet };
        }
        if length > 0 {
            reference.longest = reference.longest.max(length);
            reference.total += length;
            if length > except_for || reference.total > total {
                reference.held = false;
                failed = if peak > failed { peak } else { failed };
            }
            (length, peak) = (0, f64::MIN);
        }
    }
    reference.worst = if reference.held { quiet } else { failed };
    reference
}

/// What sampling may be off: a millisecond at each end of each excursion, and the steepest slope in a millisecond.
const SAMPLED_MS: u64 = 60;
const SAMPLED_VALUE: f64 = 0.25;

/// Lines of 100 to 400 ms between whole values from −10 to 10, which jump now and then.
fn pieces() -> impl Strategy<Value = Vec<Piece<'static>>> {
    proptest::collection::vec((1_u64..=4, -10_i32..=10, -10_i32..=10, any::<bool>()), 1..30).prop_map(
        |legs| {
            let (mut from, mut value) = (Time::ZERO, 0.0);
            let mut piece = |(tenths, first, last, jumps): (u64, i32, i32, bool)| {
                let (to, start) =
                    (from + Span::from_millis(100 * tenths), if jumps { f64::from(first) } else { value });
                let piece = Piece::straight((start, f64::from(last)), from, to);
                (from, value) = (to, piece.end);
                piece
            };
            legs.into_iter().map(&mut piece).collect()
        },
    )
}

proptest! {
    #[test]
    fn always_agrees_with_looking_at_every_millisecond(
        pieces in pieces(),
        below in -10_i32..10,
        (from, length) in (0_u64..3_000, 1_u64..8_000),
        (except_for, total) in (1_u64..1_500, 1_u64..4_000),
    ) {
        let window = Window { from: ms(from), to: ms(from + length) };
        // Half-way between the corners, so that no line touches it for less than sampling sees.
        let limit = f64::from(below) + 0.5;
        let end = pieces[pieces.len() - 1].to;
        let forgiven = (Span::from_millis(except_for), Some(Span::from_millis(total)));
        let mut observer = Observer::always(at_most(limit), forgiven.0, forgiven.1);
        for piece in pieces.iter().filter_map(|piece| piece.within(window)) {
            observer.observe(piece);
        }
        let Some(finding) = observer.finding(window, end) else {
            prop_assert!(window.from >= end);
            return Ok(());
        };
        let reference = sample(&pieces, window, limit, except_for, total);
        let seen = finding.excursions.expect("always tells of excursions");
        let millis = |span: Span| span.as_nanos() / 1_000_000;
        prop_assert!(millis(seen.longest).abs_diff(reference.longest) <= 2);
        prop_assert!(millis(seen.total).abs_diff(reference.total) <= SAMPLED_MS);
        // Only excursions whose forgiveness sampling can tell.
        prop_assume!(reference.total.abs_diff(total) > SAMPLED_MS && reference.longest.abs_diff(except_for) > 2);
        prop_assert_eq!(finding.held, reference.held);
        if reference.total <= total && reference.worst > f64::MIN && reference.held {
            // Where a forgiven excursion crosses the limit, the limit itself is what is left: for less than sampling sees.
            let crosses = reference.longest > 0 && (finding.value - limit).abs() < 1e-9;
            prop_assert!(crosses || (finding.value - reference.worst).abs() <= SAMPLED_VALUE);
            prop_assert!((finding.margin - (limit - finding.value)).abs() < 1e-9);
        }
        if !finding.held {
            prop_assert!(finding.margin < 0.0 && finding.value <= reference.highest + SAMPLED_VALUE);
        }
    }

    #[test]
    fn bounds_agree_with_looking_at_every_millisecond(
        pieces in pieces(),
        (from, length) in (0_u64..3_000, 1_u64..8_000),
    ) {
        let window = Window { from: ms(from), to: ms(from + length) };
        let end = pieces[pieces.len() - 1].to;
        prop_assume!(window.from < end);
        let finding = |mut observer: Observer| {
            for piece in pieces.iter().filter_map(|piece| piece.within(window)) {
                observer.observe(piece);
            }
            observer.finding(window, end).expect("the window was seen")
        };
        let reference = sample(&pieces, window, 0.0, 0, 0);
        let high = finding(Observer::bounds(None, Some(0.0), None));
        let low = finding(Observer::bounds(Some(0.0), None, None));
        let wide = finding(Observer::bounds(None, None, Some(3.0)));
        prop_assert!((high.value - reference.highest).abs() <= SAMPLED_VALUE);
        prop_assert!((low.value - reference.lowest).abs() <= SAMPLED_VALUE);
        let found = 3.0 - wide.margin;
        prop_assert!((found - (reference.highest - reference.lowest)).abs() <= 2.0 * SAMPLED_VALUE);
    }
}

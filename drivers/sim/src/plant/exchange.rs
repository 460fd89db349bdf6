//! How much of a segment is import and how much is export.
//!
//! The power at the point of common coupling is a straight line plus one decaying part per moving battery. Its energy is a
//! closed form; where it passes zero is not, with more than one part. So the segment is halved where a bound says
//! that zero may lie inside,
//! until what is left holds less energy than anybody counts.

use r_ems_engine::math;

use super::JOULES_PER_WATT_HOUR;

/// A piece with less energy than this, in J, is booked by its sum: a billionth of a watt-hour.
const NEGLIGIBLE_J: f64 = 1e-9 * JOULES_PER_WATT_HOUR;

/// Most halvings: a segment of an hour ends in pieces of 3 ns.
const MAX_HALVINGS: u32 = 40;

/// A part that dies away with time constant `lag_s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    pub(super) start_w: f64,
    pub(super) end_w: f64,
    pub(super) lag_s: f64,
}

/// The straight part from `start_w` to `end_w` in `span_s` seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Straight {
    pub(super) start_w: f64,
    pub(super) end_w: f64,
    pub(super) span_s: f64,
}

/// Energies in J, both positive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exchanged {
    pub(super) positive_j: f64,
    pub(super) negative_j: f64,
}

impl Exchanged {
    fn book(&mut self, energy_j: f64) {
        if energy_j > 0.0 {
            self.positive_j += energy_j;
        } else {
            self.negative_j -= energy_j;
        }
    }
}

/// Splits the energy of `straight` and `decays` together by the sign of their sum.
pub(super) fn exchanged(straight: Straight, decays: &[Decay]) -> Exchanged {
    let mut sum = Exchanged::default();
    if decays.is_empty() {
        split_straight(straight, &mut sum);
    } else {
        let total_s = straight.span_s;
        split(straight, decays, (0.0, total_s), total_s, MAX_HALVINGS, &mut sum);
    }
    sum
}

fn split_straight(straight: Straight, sum: &mut Exchanged) {
    let Straight { start_w, end_w, span_s } = straight;
    if start_w * end_w >= 0.0 {
        sum.book(0.5 * (start_w + end_w) * span_s);
        return;
    }
    let before_s = span_s * start_w / (start_w - end_w);
    sum.book(0.5 * start_w * before_s);
    sum.book(0.5 * end_w * (span_s - before_s));
}

/// Books the piece from `piece.0` to `piece.1`; `total_s` is the length of the whole segment.
fn split(
    straight: Straight,
    decays: &[Decay],
    piece: (f64, f64),
    total_s: f64,
    halvings: u32,
    sum: &mut Exchanged,
) {
    let (from_s, to_s) = piece;
    let share = (straight.end_w - straight.start_w) / total_s;
    let (first_w, last_w) = (straight.start_w + share * from_s, straight.start_w + share * to_s);
    let (mut low_w, mut high_w) = if first_w < last_w { (first_w, last_w) } else { (last_w, first_w) };
    let mut energy_j = 0.5 * (first_w + last_w) * (to_s - from_s);
    for decay in decays {
        let left_w = |at_s: f64| {
            if at_s <= 0.0 {
                decay.start_w
            } else if at_s >= total_s {
                decay.end_w
            } else {
                decay.start_w * math::exp(-at_s / decay.lag_s)
            }
        };
        let (first_w, last_w) = (left_w(from_s), left_w(to_s));
        energy_j += (first_w - last_w) * decay.lag_s;
        let (least_w, most_w) = if first_w < last_w { (first_w, last_w) } else { (last_w, first_w) };
        low_w += least_w;
        high_w += most_w;
    }
    let one_sign = low_w >= 0.0 || high_w <= 0.0;
    let reach_w = if -low_w > high_w { -low_w } else { high_w };
    if one_sign || halvings == 0 || reach_w * (to_s - from_s) <= NEGLIGIBLE_J {
        sum.book(energy_j);
        return;
    }
    let middle_s = 0.5 * (from_s + to_s);
    split(straight, decays, (from_s, middle_s), total_s, halvings - 1, sum);
    split(straight, decays, (middle_s, to_s), total_s, halvings - 1, sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_through_zero_is_split_where_it_passes() {
        let straight = Straight { start_w: 30.0, end_w: -10.0, span_s: 4.0 };
        let split = exchanged(straight, &[]);
        assert!((split.positive_j - 45.0).abs() < 1e-12 && (split.negative_j - 5.0).abs() < 1e-12);
    }

    #[test]
    fn a_decay_through_zero_is_split_to_a_billionth_of_a_watt_hour() {
        // P = 100 e^(−t) − 50 passes zero at ln 2 and has 50 − 50 ln 2 J before it.
        let end_w = 100.0 * math::exp(-3.0);
        let decays = [Decay { start_w: 100.0, end_w, lag_s: 1.0 }];
        let split = exchanged(Straight { start_w: -50.0, end_w: -50.0, span_s: 3.0 }, &decays);
        let before_j = 50.0 - 50.0 * core::f64::consts::LN_2;
        assert!((split.positive_j - before_j).abs() < 1e-5, "{split:?}");
        let sum_j = 100.0 - end_w - 150.0;
        assert!((split.positive_j - split.negative_j - sum_j).abs() < 1e-9);
    }

    #[test]
    fn a_dip_below_zero_between_two_positive_ends_is_found() {
        // P = 100 e^(−t) − 30 + 20 t is 70 at 0 and 49 at 4 with −20 ... around 1.6.
        let decays = [Decay { start_w: 100.0, end_w: 100.0 * math::exp(-4.0), lag_s: 1.0 }];
        let split = exchanged(Straight { start_w: -60.0, end_w: 30.0, span_s: 4.0 }, &decays);
        assert!(split.negative_j > 1.0, "{split:?}");
    }
}

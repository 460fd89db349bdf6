//! The checker's own integrals of a battery's power: Gauss's rule on the published curve, no closed form.
//!
//! Scans are regular, so most segments have a length that was seen shortly before; what is left of a lag at the points of
//! the rule is kept for the last few lengths.

use r_ems_engine::math;

use crate::plant::{Battery, BatteryFlow};

/// Longest part of a lag that one Gauss rule covers, in time constants. The rule's error is then below 1e-7 of the step's energy.
pub(super) const RULE_TIME_CONSTANTS: f64 = 5.0;

/// Gauss-Legendre nodes and weights with 8 points on [-1, 1] (Abramowitz and Stegun, table 25.4).
pub(super) const GAUSS: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// One battery's energies of one segment, as the checker integrates them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    pub(super) energy_wh: f64,
    pub(super) loss_wh: f64,
    /// Where the published curve ends, in W.
    pub(super) end_w: f64,
}

/// What is left of a lag at the points of the rule, for the last few lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decays {
    known: [Nodes; 4],
    oldest: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Nodes {
    span_s: f64,
    /// Before and after the middle, from the inside out.
    left: [[f64; 2]; 4],
    left_at_end: f64,
}

impl Decays {
    /// What is left of a lag of `lag_s` at the Gauss points of `span_s`.
    #[inline]
    fn nodes(&mut self, span_s: f64, lag_s: f64) -> &Nodes {
        let known = self.known.iter().position(|nodes| nodes.span_s.to_bits() == span_s.to_bits());
        let place = known.unwrap_or_else(|| self.learn(span_s, lag_s));
        &self.known[place]
    }

    /// Computes the points for a new length, in the place of the oldest one.
    fn learn(&mut self, span_s: f64, lag_s: f64) -> usize {
        let left = |share: f64| math::exp(-span_s * share / lag_s);
        let mut nodes = Nodes { span_s, left: [[0.0; 2]; 4], left_at_end: left(1.0) };
        for (index, (node, _)) in GAUSS.iter().enumerate() {
            nodes.left[index] = [left(0.5 - 0.5 * node), left(0.5 + 0.5 * node)];
        }
        let place = usize::from(self.oldest);
        self.known[place] = nodes;
        self.oldest = (self.oldest + 1) % self.known.len() as u8;
        place
    }
}

/// Integrates a battery's power and its conversion loss over a segment by Gauss's rule.
pub(super) fn integrated(battery: &Battery, flow: &BatteryFlow, span_s: f64, decays: &mut Decays) -> Own {
    let spec = battery.spec();
    let proportional = spec.losses.proportional.ratio();
    let quadratic_per_w = spec.losses.quadratic.ratio() / spec.rating.watts();
    let loss_w = |power_w: f64| proportional * power_w.abs() + quadratic_per_w * power_w * power_w;
    if flow.curve.is_settled() {
        let hours = span_s / 3_600.0;
        let end_w = flow.curve.target_w;
        return Own { energy_wh: end_w * hours, loss_wh: loss_w(end_w) * hours, end_w };
    }
    if flow.curve.is_line() {
        return along_line(flow, span_s, loss_w);
    }
    let parts = math::ceil(span_s / (RULE_TIME_CONSTANTS * flow.curve.lag_s));
    let part_s = span_s / parts;
    let nodes = decays.nodes(part_s, flow.curve.lag_s);
    let (mut energy, mut loss) = (0.0, 0.0);
    let mut gap_w = flow.start_w - flow.curve.target_w;
    for _ in 0..parts as u32 {
        for (left, (_, weight)) in nodes.left.iter().zip(&GAUSS) {
            let powers_w = left.map(|left| flow.curve.target_w + gap_w * left);
            energy += weight * (powers_w[0] + powers_w[1]);
            loss += weight * (loss_w(powers_w[0]) + loss_w(powers_w[1]));
        }
        gap_w *= nodes.left_at_end;
    }
    let half_h = part_s * (0.5 / 3_600.0);
    Own { energy_wh: energy * half_h, loss_wh: loss * half_h, end_w: flow.curve.target_w + gap_w }
}

/// The same for a power that goes straight from one end of the curve to the other.
fn along_line(flow: &BatteryFlow, span_s: f64, loss_w: impl Fn(f64) -> f64) -> Own {
    let (start_w, end_w) = (flow.curve.start_w, flow.curve.target_w);
    // The loss has a corner at zero: the rule goes up to it and on from it.
    let zero = if start_w * end_w < 0.0 { start_w / (start_w - end_w) } else { 1.0 };
    let mut own = Own { end_w, ..Own::default() };
    for (from, to) in [(0.0, zero), (zero, 1.0)] {
        let half_h = (to - from) * span_s * (0.5 / 3_600.0);
        for (node, weight) in GAUSS {
            for place in [0.5 - 0.5 * node, 0.5 + 0.5 * node] {
                let power_w = start_w + (end_w - start_w) * (from + (to - from) * place);
                own.energy_wh += weight * half_h * power_w;
                own.loss_wh += weight * half_h * loss_w(power_w);
            }
        }
    }
    own
}

//! Curves of straight lines, as grid codes draw them: what follows from a voltage.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Wiring;
use crate::units::{PerUnit, Ratio};

/// Most corners of a curve.
pub const MAX_CORNERS: usize = 16;

/// A curve: level before its first corner and behind its last, straight between two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    corners: Vec<(PerUnit, Ratio)>,
}

impl Curve {
    /// The curve of a site, or without one the `usual` one; notes corners that are too few or too many, or do not rise.
    pub fn build(
        corners: Option<&[(PerUnit, Ratio)]>,
        usual: &[(f64, f64)],
        wiring: &mut Wiring<'_>,
    ) -> Self {
        let field = "curve";
        let Some(corners) = corners else {
            let corner = |(voltage, share): &(f64, f64)| (PerUnit::of(*voltage), Ratio::of(*share));
            return Self { corners: usual.iter().map(corner).collect() };
        };
        let count = corners.len();
        let allowed = alloc::format!("2 to {MAX_CORNERS} corners");
        wiring.require(field, (2..=MAX_CORNERS).contains(&count), count, &allowed);
        for pair in corners.windows(2) {
            if let [(before, _), (next, _)] = pair {
                let allowed = alloc::format!("above the corner at {before}");
                wiring.require(field, next > before, next, &allowed);
            }
        }
        for (_, share) in corners {
            let is_share = share.ratio().abs() <= 1.0;
            wiring.require(field, is_share, share, "from -100 % to 100 % at each corner");
        }
        Self { corners: corners.to_vec() }
    }

    /// The value at a place.
    pub fn at(&self, place: PerUnit) -> f64 {
        let next = self.corners.partition_point(|(corner, _)| *corner <= place);
        match (next.checked_sub(1).and_then(|last| self.corners.get(last)), self.corners.get(next)) {
            (None, None) => 0.0,
            (None, Some((_, only))) | (Some((_, only)), None) => only.ratio(),
            (Some((from, low)), Some((to, high))) => {
                let share = (place - *from).per_unit() / (*to - *from).per_unit();
                low.ratio() + (high.ratio() - low.ratio()) * share
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_level_outside_and_straight_between_its_corners() {
        let corner = |voltage, share| (PerUnit::of(voltage), Ratio::of(share));
        let curve = Curve { corners: alloc::vec![corner(0.92, 0.44), corner(0.98, 0.0), corner(1.02, 0.0)] };
        let at = |voltage| curve.at(PerUnit::of(voltage));
        assert_eq!((at(0.5), at(0.92), at(1.0), at(1.3)), (0.44, 0.44, 0.0, 0.0));
        assert!((at(0.95) - 0.22).abs() < 1e-12, "{}", at(0.95));
    }
}

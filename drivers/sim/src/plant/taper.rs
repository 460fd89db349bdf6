//! How a battery's limits go to zero at both ends of its state of charge.
//!
//! The law is linear over the last share of the capacity at each end. Here it is a staircase of [`TAPER_STEPS`] steps, each
//! with the law's value in its middle: limits then change at exact amounts of energy, hence at instants that can be
//! computed, instead of all the time. Going back needs half a step more, so that a full battery whose own losses pull it
//! over an edge does not switch for ever.

/// Steps of the taper at each end: 1 % of the rating off at most.
pub const TAPER_STEPS: u32 = 50;

/// Where the energy stands: 0 is empty, 1 to 50 are the lower taper, 51 has no taper, 52 to 101 are the upper taper, 102 is
/// full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Band(u32);

/// The staircase of one battery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taper {
    capacity_j: f64,
    /// Energy of one step, in J.
    step_j: f64,
}

impl Band {
    pub(super) const EMPTY: Self = Self(0);
    const MIDDLE: Self = Self(TAPER_STEPS + 1);
    pub(super) const FULL: Self = Self(2 * TAPER_STEPS + 2);
}

impl Taper {
    /// A staircase over the last `share` of `capacity_j` at each end, `share` between 0 and 0.5.
    pub(super) fn new(capacity_j: f64, share: f64) -> Self {
        Self { capacity_j, step_j: capacity_j * share / f64::from(TAPER_STEPS) }
    }

    /// The band that `stored_j` lies in.
    pub(super) fn band(&self, stored_j: f64) -> Band {
        // From the middle, a falling and then a rising search never meet each other's hysteresis.
        self.moved(Band::MIDDLE, stored_j)
    }

    /// The band after a change of energy, coming from `band`.
    pub(super) fn moved(&self, mut band: Band, stored_j: f64) -> Band {
        while band > Band::EMPTY && stored_j <= self.falling_j(band) {
            band = Band(band.0 - 1);
        }
        while band < Band::FULL && stored_j >= self.rising_j(band) {
            band = Band(band.0 + 1);
        }
        band
    }

    /// At or below this energy the next lower band begins; never, for the lowest.
    pub(super) fn falling_j(&self, band: Band) -> f64 {
        if band == Band::EMPTY {
            f64::NEG_INFINITY
        } else if band <= Band::MIDDLE {
            self.step_j * f64::from(band.0 - 1)
        } else {
            self.capacity_j - self.step_j * (f64::from(Band::FULL.0 - band.0) + 0.5)
        }
    }

    /// At or above this energy the next higher band begins; never, for the highest.
    pub(super) fn rising_j(&self, band: Band) -> f64 {
        if band == Band::FULL {
            f64::INFINITY
        } else if band >= Band::MIDDLE {
            self.capacity_j - self.step_j * f64::from(Band::FULL.0 - 1 - band.0)
        } else {
            self.step_j * (f64::from(band.0) + 0.5)
        }
    }

    /// The share of the rating that may be discharged.
    pub(super) fn discharge_share(&self, band: Band) -> f64 {
        Self::share(band.0)
    }

    /// The share of the rating that may be charged.
    pub(super) fn charge_share(&self, band: Band) -> f64 {
        Self::share(Band::FULL.0 - band.0)
    }

    fn share(steps_from_end: u32) -> f64 {
        if steps_from_end == 0 {
            0.0
        } else if steps_from_end > TAPER_STEPS {
            1.0
        } else {
            (f64::from(steps_from_end) - 0.5) / f64::from(TAPER_STEPS)
        }
    }
}

//! Batteries that a function looks at and does not command: what holds an island beside its gensets.
//!
//! They are no group of that function, so it may count on one that forms while others share all of them.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::View;
use crate::ids::DeviceIndex;
use crate::points::{DeviceMode, PointKind};
use crate::units::{Ratio, Watts};

/// Some batteries with their ratings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenBatteries(Vec<(DeviceIndex, Watts)>);

impl SeenBatteries {
    /// These.
    pub(super) const fn of(batteries: Vec<(DeviceIndex, Watts)>) -> Self {
        Self(batteries)
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many they are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The power of each that was measured last, and the most that it may be discharged with; none of what is not known.
    pub(super) fn supplies<'a>(
        &'a self,
        view: &'a View<'_>,
    ) -> impl Iterator<Item = (Option<Watts>, Option<Watts>)> + 'a {
        let good = |device, kind| view.good(device, kind).map(Watts::of);
        let supply = move |(device, _): &(DeviceIndex, Watts)| {
            // One that is off, starts or has tripped holds nothing, whatever it says that it could.
            let holds = view
                .good(*device, PointKind::Mode)
                .is_none_or(|mode| DeviceMode::of(mode).is_none_or(DeviceMode::can_hold));
            let limit = if holds { good(*device, PointKind::DischargeLimit) } else { Some(Watts::ZERO) };
            (good(*device, PointKind::Power), limit)
        };
        self.0.iter().map(supply)
    }

    /// The mean state of charge, weighted by rating; none where that of none is known.
    pub(super) fn state_of_charge(&self, view: &View<'_>) -> Option<Ratio> {
        let (mut sum, mut ratings) = (0.0, 0.0);
        for (device, rating) in &self.0 {
            if let Some(charge) = view.good(*device, PointKind::StateOfCharge) {
                sum += charge * rating.watts();
                ratings += rating.watts();
            }
        }
        (ratings > 0.0).then(|| Ratio::of(sum / ratings))
    }
}

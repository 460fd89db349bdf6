//! The points of one device: which kinds it measures, in the order of its part of the image.
//!
//! What every device of a class has stands at [`DeviceClass::points`]; what some have besides, such as a meter that measures
//! the voltage too, a site file says device by device. Both are one set, so that a place in the image, in a register map and
//! in a log's header means the same.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::device::{DeviceClass, PointKind};

/// A set of kinds of points; their order is that of [`PointKind`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointKinds(u16);

impl PointKinds {
    /// These kinds.
    pub const fn of(kinds: &[PointKind]) -> Self {
        let mut all = 0;
        let mut place = 0;
        while place < kinds.len() {
            all |= bit(kinds[place]);
            place += 1;
        }
        Self(all)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, kind: PointKind) -> Self {
        Self(self.0 | bit(kind))
    }

    /// Whether a kind is among them.
    #[inline]
    pub const fn contains(self, kind: PointKind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// How many they are.
    #[inline]
    pub const fn len(self) -> usize {
        // What a log may hold beyond the known kinds is none.
        (self.0 & KNOWN).count_ones() as usize
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Where a kind stands among them.
    #[inline]
    pub const fn place(self, kind: PointKind) -> Option<usize> {
        if self.contains(kind) { Some((self.0 & (bit(kind) - 1)).count_ones() as usize) } else { None }
    }

    /// The kind at a place.
    #[inline]
    pub fn get(self, place: usize) -> Option<PointKind> {
        let kinds = self.0 & KNOWN;
        if kinds & (kinds + 1) == 0 {
            // Those of most devices are the first ones without a gap.
            return PointKind::ALL.get(place).copied().filter(|kind| self.contains(*kind));
        }
        self.iter().nth(place)
    }

    /// The kinds in their order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = PointKind> + Clone {
        // Bit by bit: an image asks in every scan, for each of its devices.
        let mut left = self.0 & KNOWN;
        core::iter::from_fn(move || {
            let kind = *PointKind::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(kind)
        })
    }
}

impl fmt::Debug for PointKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

const KNOWN: u16 = PointKinds::of(&PointKind::ALL).0;

const fn bit(kind: PointKind) -> u16 {
    1 << kind as u16
}

impl DeviceClass {
    /// The points that every such device has.
    pub const fn points(self) -> PointKinds {
        match self {
            Self::Meter => PointKinds::of(&[PointKind::Power]),
            Self::Battery => PointKinds::of(&[
                PointKind::Power,
                PointKind::StateOfCharge,
                PointKind::ChargeLimit,
                PointKind::DischargeLimit,
                PointKind::SetPoint,
            ]),
            Self::Pv => PointKinds::of(&[PointKind::Power, PointKind::SetPoint]),
            Self::Signal => PointKinds::of(&[PointKind::Signal]),
            Self::Genset => PointKinds::of(&[PointKind::Power, PointKind::SetPoint, PointKind::State]),
            Self::Load => PointKinds::of(&[PointKind::Power, PointKind::SetPoint]),
            Self::Breaker => PointKinds::of(&[PointKind::SetPoint, PointKind::Closed]),
        }
    }

    /// Of the points that such a device has, those without which it is not known: those of its class, and what it tells of
    /// itself as a whole.
    pub const fn required(self, points: PointKinds) -> PointKinds {
        let told = PointKinds::of(&[PointKind::Mode, PointKind::Remote]);
        PointKinds(points.0 & (self.points().0 | told.0))
    }

    /// The points that such a device may have besides.
    pub const fn more_points(self) -> PointKinds {
        match self {
            Self::Meter => {
                PointKinds::of(&[PointKind::ReactivePower, PointKind::Voltage, PointKind::Frequency])
            }
            Self::Battery | Self::Pv => PointKinds::of(&[
                PointKind::ReactivePower,
                PointKind::ReactiveSetPoint,
                PointKind::Mode,
                PointKind::Remote,
            ]),
            // What a breaker measures lies behind it, on the side of the grid.
            Self::Breaker => PointKinds::of(&[PointKind::Voltage, PointKind::Frequency, PointKind::Remote]),
            Self::Genset | Self::Load => PointKinds::of(&[PointKind::Remote]),
            Self::Signal => PointKinds::of(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_point_is_its_position_in_the_order() {
        for class in DeviceClass::ALL {
            let points = class.points();
            for kind in PointKind::ALL {
                assert_eq!(points.place(kind), points.iter().position(|known| known == kind));
            }
            for (place, kind) in points.iter().enumerate() {
                assert_eq!(points.get(place), Some(kind));
            }
            assert_eq!(points.iter().count(), points.len());
        }
    }

    #[test]
    fn a_point_more_comes_behind_those_of_the_class() {
        let points = DeviceClass::Meter.points().with(PointKind::Frequency).with(PointKind::Voltage);
        let kinds = [PointKind::Power, PointKind::Voltage, PointKind::Frequency];
        assert!(points.iter().eq(kinds), "{points:?}");
    }

    #[test]
    fn bits_that_mean_nothing_are_no_points() {
        let points = PointKinds(u16::MAX);
        assert_eq!(points.len(), PointKind::ALL.len());
        assert_eq!(points.get(points.len()), None);
    }
}

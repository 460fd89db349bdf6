//! Epochs: the fencing numbers of authority, ordered by round and then by the holder's place in the failover order.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A seat of a grid's council: its controllers in failover order, then its witness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seat(pub u8);

/// Most seats of one grid.
pub const MAX_SEATS: usize = 16;

impl Seat {
    /// The position in tables of seats.
    pub const fn position(self) -> usize {
        self.0 as usize
    }

    /// The seat's bit in a set of seats.
    pub const fn bit(self) -> u16 {
        1 << self.0
    }
}

/// The fencing number of an authority: no two controllers ever ask for the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch {
    /// Rises with each new authority.
    pub round: u32,
    /// Who asked for it.
    pub seat: Seat,
}

impl Epoch {
    /// Below every epoch that is asked for.
    pub const NONE: Self = Self { round: 0, seat: Seat(0) };
    const SEAT_BITS: u32 = 8;
    /// Higher rounds are not believed: no site gets there, and the last ones must never be used up.
    const ROUND_MAX: u32 = u32::MAX / 2;

    /// Whether a member may have asked for it; what comes from outside may name any.
    pub const fn is_credible(self) -> bool {
        self.round <= Self::ROUND_MAX
    }

    /// The lowest epoch of `seat` above this one.
    pub const fn next_for(self, seat: Seat) -> Self {
        Self { round: self.round.saturating_add(1), seat }
    }

    /// The number that devices compare.
    pub const fn number(self) -> u64 {
        (self.round as u64) << Self::SEAT_BITS | self.seat.0 as u64
    }

    /// The epoch of a number; what lies beyond 32 bits of round is cut off.
    pub const fn of_number(number: u64) -> Self {
        Self { round: (number >> Self::SEAT_BITS) as u32, seat: Seat(number as u8) }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.seat.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_their_numbers_are_ordered_alike() {
        let epochs = [(0, 0), (1, 0), (1, 3), (2, 0), (u32::MAX, 15)]
            .map(|(round, seat)| Epoch { round, seat: Seat(seat) });
        for pair in epochs.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].number() < pair[1].number());
        }
        assert_eq!(epochs.map(|epoch| Epoch::of_number(epoch.number())), epochs);
    }
}

//! The council of a grid: who has a seat, who has a vote, and what is a majority.
//!
//! Its controllers have seats in failover order; a witness has the last one and only votes. There is **one vote per host**: of
//! several controllers of a grid on one host the first casts it, because a host that fails must not take two votes with it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::epoch::{MAX_SEATS, Seat};

/// Who has seats and votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Council {
    controllers: u8,
    seats: u8,
    voters: u16,
    me: Seat,
}

impl Council {
    /// Makes the council as `me` sees it, from the hosts of all seats in order; `has_witness`: the last seat is one.
    ///
    /// # Panics
    /// If there are more than [`MAX_SEATS`] seats or `me` is none of them; the site file is checked before.
    pub fn new(hosts: &[u16], has_witness: bool, me: Seat) -> Self {
        assert!(hosts.len() <= MAX_SEATS, "a grid has few controllers");
        assert!(me.position() < hosts.len(), "each member of a council has a seat");
        let votes = |(place, host): (usize, &u16)| !hosts[..place].contains(host);
        let voters = hosts.iter().enumerate().filter(|entry| votes(*entry)).map(|entry| 1 << entry.0).sum();
        let seats = hosts.len() as u8;
        Self { controllers: seats - u8::from(has_witness), seats, voters, me }
    }

    /// Decodes one whose seats are there: their numbers shift bits.
    pub(super) fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let council = Self::deserialize(deserializer)?;
        let Self { controllers, seats, voters, me } = &council;
        let is_whole = usize::from(*seats) <= MAX_SEATS && controllers <= seats && me.0 < *seats;
        let of_seats = u32::from(*voters) >> *seats == 0;
        if is_whole && of_seats { Ok(council) } else { Err(D::Error::custom("a council without its seats")) }
    }

    /// The council of a controller that is alone.
    pub fn alone() -> Self {
        Self::new(&[0], false, Seat(0))
    }

    /// Whose view this is.
    pub const fn me(&self) -> Seat {
        self.me
    }

    /// Whether this is the council of one.
    pub const fn is_alone(&self) -> bool {
        self.seats == 1
    }

    /// Whether it is a pair without a witness: two hosts with controllers, and nobody who could break a tie.
    pub const fn is_pair(&self) -> bool {
        self.voters.count_ones() == 2 && self.voters as u32 >> self.controllers == 0
    }

    /// Whether `seat` is a witness.
    pub const fn is_witness(&self, seat: Seat) -> bool {
        seat.0 >= self.controllers && seat.0 < self.seats
    }

    /// Whether `seat` is there at all; what comes from outside may name any.
    pub const fn has(&self, seat: Seat) -> bool {
        seat.0 < self.seats
    }

    /// Whether `seat` has a vote.
    pub const fn votes(&self, seat: Seat) -> bool {
        self.has(seat) && self.voters & seat.bit() != 0
    }

    /// The seats with a vote, as bits.
    pub const fn voters(&self) -> u16 {
        self.voters
    }

    /// How many votes make a majority.
    pub const fn majority(&self) -> u32 {
        self.voters.count_ones() / 2 + 1
    }

    /// How many seats there are.
    pub const fn seats(&self) -> usize {
        self.seats as usize
    }

    /// The others that control, in the order of their seats.
    pub fn other_controllers(&self) -> impl Iterator<Item = Seat> + use<> {
        let me = self.me;
        (0..self.controllers).map(Seat).filter(move |seat| *seat != me)
    }

    /// All others, in the order of their seats.
    pub fn others(&self) -> impl Iterator<Item = Seat> + use<> {
        let me = self.me;
        (0..self.seats).map(Seat).filter(move |seat| *seat != me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::codec;
    use crate::redundancy::SupervisorSpec;
    use alloc::vec::Vec;

    #[test]
    fn each_host_has_one_vote() {
        let council = Council::new(&[0, 1, 1, 2], true, Seat(1));
        assert_eq!(council.voters(), 0b1011);
        assert_eq!(council.majority(), 2);
        assert!(council.is_witness(Seat(3)) && !council.is_witness(Seat(2)) && !council.is_witness(Seat(4)));
        assert_eq!(council.others().collect::<Vec<_>>(), [Seat(0), Seat(2), Seat(3)]);
        assert!(Council::new(&[0, 1], false, Seat(0)).is_pair());
        assert!(!Council::new(&[0, 1, 2], true, Seat(0)).is_pair());
        assert!(!Council::new(&[0, 0, 1], true, Seat(0)).is_pair(), "two votes, but one is a witness's");
        assert!(!council.votes(Seat(200)), "a seat that is not there has no vote");
        assert_eq!(Council::alone().majority(), 1);
    }

    #[test]
    fn a_council_that_lacks_a_seat_which_it_speaks_of_is_not_decoded() {
        let whole = Council { controllers: 2, seats: 3, voters: 0b111, me: Seat(2) };
        let full = Council::new(&[7; MAX_SEATS], false, Seat(15));
        for (council, is_read) in [
            (whole.clone(), true),
            (full, true),
            (Council { me: Seat(3), ..whole.clone() }, false),
            (Council { voters: 0b1111, ..whole.clone() }, false),
            (Council { controllers: 4, ..whole.clone() }, false),
            (Council { controllers: 17, seats: 17, ..whole }, false),
        ] {
            let spec = SupervisorSpec { council, ..SupervisorSpec::alone() };
            let mut bytes = Vec::new();
            codec::encode(&spec, &mut bytes);
            assert_eq!(codec::decode(&bytes).ok(), is_read.then_some(spec.clone()), "{spec:?}");
        }
    }
}

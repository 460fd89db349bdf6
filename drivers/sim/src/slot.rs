//! The one connection that a device takes, where it takes only one: who has it, and since when it counts.
//!
//! A connection is made with the first exchange, which waits for it, and ends when it is given up, or when the process dies that
//! made it: its host's network stack says so. A host that loses its power says nothing, and so does a line that is cut: the
//! device keeps the dead connection for the time that it is told to, and refuses everybody until then, also the one whose it was.

use r_ems_engine::{Span, Time};

/// How connections to such a device are made and lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneConnection {
    /// How long it takes to connect.
    pub connect: Span,
    /// How long the device keeps the connection of a host that is gone.
    pub dead_after: Span,
}

/// The connection at run time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    holder: Option<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    /// Whose it is, as a place and a life of the fleet.
    of: (u16, u16),
    /// When it can be used.
    from: Time,
    /// When the device lets it go by itself.
    until: Time,
}

impl Slot {
    /// When an exchange that begins now can be sent; `None`: another has the connection.
    pub fn exchange(&mut self, at: Time, of: (u16, u16), how: OneConnection) -> Option<Time> {
        match self.holder {
            Some(holder) if holder.of == of && holder.until == Time::MAX => Some(holder.from.max(at)),
            Some(holder) if at < holder.until => None,
            Some(_) | None => {
                let from = at + how.connect;
                self.holder = Some(Holder { of, from, until: Time::MAX });
                Some(from)
            }
        }
    }

    /// The holder gives it up, or its process dies.
    pub fn give_up(&mut self, of: (u16, u16)) {
        if self.holder.is_some_and(|holder| holder.of == of) {
            self.holder = None;
        }
    }

    /// The holder's host has lost its power, or the line to it is cut: nobody tells the device.
    pub fn die(&mut self, at: Time, of: (u16, u16), how: OneConnection) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.of == of) {
            holder.until = at + how.dead_after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: OneConnection =
        OneConnection { connect: Span::from_millis(50), dead_after: Span::from_secs(5) };
    const A: (u16, u16) = (0, 0);
    const B: (u16, u16) = (1, 0);

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn the_first_exchange_waits_for_the_connection_and_others_are_refused_until_it_is_given_up() {
        let mut slot = Slot::default();
        assert_eq!(slot.exchange(at(0), A, HOW), Some(at(50)));
        assert_eq!(slot.exchange(at(20), A, HOW), Some(at(50)));
        assert_eq!(slot.exchange(at(70), A, HOW), Some(at(70)));
        assert_eq!(slot.exchange(at(70), B, HOW), None);
        slot.give_up(B);
        assert_eq!(slot.exchange(at(80), B, HOW), None);
        slot.give_up(A);
        assert_eq!(slot.exchange(at(90), B, HOW), Some(at(140)));
    }

    #[test]
    fn a_dead_connection_stands_in_the_way_of_the_one_whose_it_was() {
        let mut slot = Slot::default();
        slot.exchange(at(0), A, HOW);
        slot.die(at(1_000), A, HOW);
        assert_eq!(slot.exchange(at(2_000), A, HOW), None);
        assert_eq!(slot.exchange(at(6_000), A, HOW), Some(at(6_050)));
        assert_eq!(slot.exchange(at(20_000), B, HOW), None, "the new one is alive");
    }

    #[test]
    fn a_dead_holder_is_kept_until_the_device_notices() {
        let mut slot = Slot::default();
        slot.exchange(at(0), A, HOW);
        slot.die(at(1_000), A, HOW);
        assert_eq!(slot.exchange(at(5_999), B, HOW), None);
        assert_eq!(slot.exchange(at(6_000), B, HOW), Some(at(6_050)));
        slot.die(at(7_000), A, HOW);
        assert_eq!(
            slot.exchange(at(20_000), A, HOW),
            None,
            "a life that is over says nothing about another's"
        );
    }
}

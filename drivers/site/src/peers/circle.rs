//! All hosts of a site as one of them sees them: whose a datagram is, what it leads to, and the count of it. No socket, no clock.
//!
//! What anybody can write is looked at from the cheapest to the dearest: its length and form, for whom and from whom it says it
//! is, its tag, and only then what its sender's [`Association`] says.

use r_ems_engine::Time;

use super::association::{Association, Heard, Identity};
use super::counts::Counts;
use super::datagram::{Datagram, Malformed};

/// The other hosts of a site.
#[derive(Debug)]
pub(super) struct Circle {
    own: Identity,
    /// By the hosts' numbers; `None`: this host itself, or one without an address.
    peers: Vec<Option<Peer>>,
    /// What cannot be told of one peer.
    nobodys: Counts,
}

#[derive(Debug)]
struct Peer {
    association: Association,
    counts: Counts,
}

/// What a datagram led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken<'a> {
    /// It brought a body.
    Body {
        /// From this host.
        from: u16,
        body: &'a [u8],
    },
    /// It is to be answered.
    Answer {
        /// This host.
        to: u16,
    },
    /// Nothing more.
    Nothing,
}

impl Circle {
    /// The hosts of a site; `is_peer` says of each number whether a host has it that can be spoken to.
    pub(super) fn new(own: Identity, is_peer: impl IntoIterator<Item = bool>) -> Self {
        let peer = |(number, is_peer)| {
            let is_peer = is_peer && number != own.host;
            is_peer.then(|| Peer { association: Association::new(number), counts: Counts::default() })
        };
        let peers = (0..=u16::MAX).zip(is_peer).map(peer).collect();
        Self { own, peers, nobodys: Counts::default() }
    }

    /// Writes a datagram for a peer in place of what `into` holds; `false`: there is no such peer.
    pub(super) fn send(&mut self, to: u16, body: &[u8], into: &mut Vec<u8>) -> bool {
        let Some(peer) = self.peers.get_mut(usize::from(to)).and_then(Option::as_mut) else {
            self.not_taken(to);
            return false;
        };
        if peer.association.is_open() {
            peer.counts.sent += 1;
        } else {
            peer.counts.knocked += 1;
        }
        peer.association.send(&self.own, body, into);
        true
    }

    /// Takes what has come; an answer stands in `answer`.
    pub(super) fn take<'a>(&mut self, at: Time, bytes: &'a [u8], answer: &mut Vec<u8>) -> Taken<'a> {
        let refused = &mut self.nobodys.refused;
        let datagram = match Datagram::read(bytes) {
            Ok(datagram) => datagram,
            Err(Malformed::Length) => {
                refused.length += 1;
                return Taken::Nothing;
            }
            Err(Malformed::Foreign) => {
                refused.foreign += 1;
                return Taken::Nothing;
            }
        };
        if datagram.head.to != self.own.host {
            refused.not_for_me += 1;
            return Taken::Nothing;
        }
        let from = datagram.head.from;
        let Some(peer) = self.peers.get_mut(usize::from(from)).and_then(Option::as_mut) else {
            refused.unknown_host += 1;
            return Taken::Nothing;
        };
        let counts = &mut peer.counts;
        match peer.association.take(&self.own, at, &datagram, answer) {
            Heard::Body(body) => {
                counts.delivered += 1;
                return Taken::Body { from, body };
            }
            Heard::Accepted => counts.accepted += 1,
            Heard::Again => {}
            Heard::Forged => counts.refused.forged += 1,
            Heard::Stale => counts.refused.stale += 1,
            Heard::Replayed => counts.refused.replayed += 1,
        }
        if answer.is_empty() {
            return Taken::Nothing;
        }
        counts.answered += 1;
        Taken::Answer { to: from }
    }

    /// Counts a datagram that was written and did not leave.
    pub(super) fn not_taken(&mut self, to: u16) {
        let peer = self.peers.get_mut(usize::from(to)).and_then(Option::as_mut);
        peer.map_or(&mut self.nobodys, |peer| &mut peer.counts).not_taken += 1;
    }

    /// Counts a failure to read.
    pub(super) fn failed(&mut self) {
        self.nobodys.failed += 1;
    }

    /// What passed in all.
    pub(super) fn counts(&self) -> Counts {
        let mut all = self.nobodys;
        self.peers.iter().flatten().for_each(|peer| all += peer.counts);
        all
    }

    /// What passed between this host and a peer; `None`: there is no such peer.
    pub(super) fn counts_of(&self, peer: u16) -> Option<Counts> {
        let peer = self.peers.get(usize::from(peer))?.as_ref()?;
        Some(peer.counts)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

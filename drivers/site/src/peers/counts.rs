//! What passed between this host and its peers, and what was refused, by kind: numbers for metrics, which only rise.

use std::ops::AddAssign;

/// Datagrams between this host and one peer, or all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bodies that were sent, but perhaps to nobody.
    pub sent: u64,
    /// Bodies that were not sent because the peer is not known yet; a knock was sent in place of each.
    pub knocked: u64,
    /// Hellos that were sent in answer to something.
    pub answered: u64,
    /// What of all these the socket did not take, and bodies for hosts that have no address.
    pub not_taken: u64,
    /// Bodies that were delivered.
    pub delivered: u64,
    /// Sessions that were accepted: one for each life of a peer. More of them are two hosts that take themselves for the same.
    pub accepted: u64,
    /// Times the socket failed to be read.
    pub failed: u64,
    /// What came and was refused.
    pub refused: Refused,
}

/// Datagrams that were refused, by the reason. Those of the first four are of nobody: only the counts of all peers have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Too short, too long, or a Hello of another length than a Hello has.
    pub length: u64,
    /// Of another program, or of a version of this one that writes another form.
    pub foreign: u64,
    /// For another host.
    pub not_for_me: u64,
    /// From a host that the site file does not have, or has without an address.
    pub unknown_host: u64,
    /// Without the tag that the key gives: another key, or somebody who has none.
    pub forged: u64,
    /// Nothing shows that it is new to this process. Some of them are how hosts begin to hear each other; many are recordings.
    pub stale: u64,
    /// It came before, or long after others that were sent later.
    pub replayed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { sent, knocked, answered, not_taken, delivered, accepted, failed, refused } = other;
        self.sent += sent;
        self.knocked += knocked;
        self.answered += answered;
        self.not_taken += not_taken;
        self.delivered += delivered;
        self.accepted += accepted;
        self.failed += failed;
        self.refused += refused;
    }
}

impl AddAssign for Refused {
    fn add_assign(&mut self, other: Self) {
        let Self { length, foreign, not_for_me, unknown_host, forged, stale, replayed } = other;
        self.length += length;
        self.foreign += foreign;
        self.not_for_me += not_for_me;
        self.unknown_host += unknown_host;
        self.forged += forged;
        self.stale += stale;
        self.replayed += replayed;
    }
}

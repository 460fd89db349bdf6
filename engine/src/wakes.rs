//! Who wakes next: the deadlines of all machines, in run time.
//!
//! A machine has at most one deadline, and only the machine that was handled can have changed its own. So
//! this is not a queue: it is a winner tree. Each machine has a leaf, each inner node holds the earlier of
//! its two children, and the root is the next wake. Setting a deadline repeats the matches on one path and
//! stops at the first whose winner stays the same; for a single machine the leaf is the root and there is no
//! path at all.
//!
//! At one instant the lowest index wins, so that wakes follow the order of controllers, whatever was set
//! when. A cancelled deadline leaves nothing behind: there are no stale wakes to skip.

use alloc::vec;
use alloc::vec::Vec;

use crate::time::Time;

/// The deadlines of a fixed number of machines, the earliest at hand.
#[derive(Clone, Debug)]
pub struct Wakes {
    count: u32,
    /// Where the leaves begin: the number of leaves, a power of two.
    leaves_from: u32,
    /// Node 1 is the root, and the children of node n are 2n and 2n + 1. Node 0 is unused.
    nodes: Vec<Deadline>,
}

/// A machine's deadline, ordered by time and then by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: Time,
    index: u32,
}

/// Loses every match, also against the last instant.
const NEVER: Deadline = Deadline { at: Time::MAX, index: u32::MAX };

impl Wakes {
    /// Makes the table for `count` machines, none of which has a deadline.
    pub fn new(count: u32) -> Self {
        let leaves = count.max(1).next_power_of_two();
        Self { count, leaves_from: leaves, nodes: vec![NEVER; 2 * leaves as usize] }
    }

    /// Replaces the deadline of a machine; `None` takes it away.
    ///
    /// # Panics
    /// If there is no machine `index`.
    pub fn set(&mut self, index: u32, at: Option<Time>) {
        let leaf = self.leaf(index);
        self.nodes[leaf] = at.map_or(NEVER, |at| Deadline { at, index });
        let mut node = leaf / 2;
        while node != 0 {
            let winner = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
            if self.nodes[node] == winner {
                break;
            }
            self.nodes[node] = winner;
            node /= 2;
        }
    }

    /// The earliest deadline and whose it is; of equal ones that of the lowest index.
    pub fn next(&self) -> Option<(Time, u32)> {
        let winner = self.nodes[1];
        (winner != NEVER).then_some((winner.at, winner.index))
    }

    /// The deadline of one machine.
    ///
    /// # Panics
    /// If there is no machine `index`.
    pub fn deadline(&self, index: u32) -> Option<Time> {
        let deadline = self.nodes[self.leaf(index)];
        (deadline != NEVER).then_some(deadline.at)
    }

    /// The node of a machine.
    fn leaf(&self, index: u32) -> usize {
        assert!(index < self.count, "machine {index} was asked for, but there are {}", self.count);
        (self.leaves_from + index) as usize
    }
}

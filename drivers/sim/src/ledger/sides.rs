//! The checker's own view of ties: which components are one with the connection, and what everybody lacks in every section.
//!
//! It goes by where the ties stand, and asks the plant for no area.

use alloc::vec::Vec;

use super::{Balance, TOLERANCE_SHARE, TOLERANCE_W, is_near};
use crate::plant::{Bus, BusTie, Component, ComponentIndex, MAX_SECTIONS, Position, SectionIndex};

/// Keeps the powers of every section in one segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    /// By component; empty on a bus without ties.
    stands: Vec<SectionIndex>,
    ties: Vec<ComponentIndex>,
    /// By section: what closed ties join it to, up to where none is closed.
    tops: [SectionIndex; MAX_SECTIONS],
    /// By section: the sums of all powers at both ends, and of their magnitudes, in W.
    sums: [Sum; MAX_SECTIONS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    ends_w: (f64, f64),
    reach_w: f64,
}

impl Sum {
    fn and(self, other: Self) -> Self {
        let ends_w = (self.ends_w.0 + other.ends_w.0, self.ends_w.1 + other.ends_w.1);
        Self { ends_w, reach_w: self.reach_w + other.reach_w }
    }

    /// The end at which it is not the opposite of `other_w`, and what it is there.
    fn unlike(self, other_w: (f64, f64)) -> Option<(f64, f64)> {
        let tolerance_w = TOLERANCE_W + TOLERANCE_SHARE * self.reach_w;
        let ends = [(self.ends_w.0, other_w.0), (self.ends_w.1, other_w.1)];
        ends.into_iter().find(|(own_w, other_w)| !is_near(own_w + other_w, 0.0, tolerance_w))
    }
}

impl Sides {
    pub(super) fn new(bus: &Bus) -> Self {
        let indexes = || (0..).map(ComponentIndex).zip(bus.components());
        let is_tie = |(_, component): &(_, &Component)| matches!(component, Component::Tie(_));
        let ties: Vec<_> = indexes().filter(is_tie).map(|(index, _)| index).collect();
        if ties.is_empty() {
            return Self::default();
        }
        let stands = indexes().map(|(index, _)| bus.section_of(index)).collect();
        Self { stands, ties, ..Self::default() }
    }

    /// Begins a segment.
    #[inline]
    pub(super) fn begin(&mut self, bus: &Bus) {
        if self.ties.is_empty() {
            return;
        }
        self.sums = [Sum::default(); MAX_SECTIONS];
        for (section, top) in (0..).map(SectionIndex).zip(&mut self.tops) {
            *top = section;
        }
        // Each round goes one tie further, and no way has more than all of them.
        for _ in 0..self.ties.len() {
            for index in &self.ties {
                let (section, tie) = (self.stands[usize::from(index.0)], tie_of(bus, *index));
                if tie.position() == Position::Closed {
                    self.tops[usize::from(section.0)] = self.tops[usize::from(tie.to().0)];
                }
            }
        }
    }

    /// Whether closed ties join a component to the connection.
    #[inline]
    pub(super) fn is_at_connection(&self, component: ComponentIndex) -> bool {
        let section = self.stands.get(usize::from(component.0));
        section.is_none_or(|section| self.tops[usize::from(section.0)] == SectionIndex::MAIN)
    }

    /// Adds a power at both ends of the segment.
    #[inline]
    pub(super) fn add(&mut self, component: ComponentIndex, (start_w, end_w): (f64, f64)) {
        if let Some(section) = self.stands.get(usize::from(component.0)) {
            let sum = &mut self.sums[usize::from(section.0)];
            *sum = sum.and(Sum { ends_w: (start_w, end_w), reach_w: start_w.abs() + end_w.abs() });
        }
    }

    /// What does not balance, what was found, and what should be, in W.
    #[inline]
    pub(super) fn check(&self, bus: &Bus) -> Option<(Balance, f64, f64)> {
        self.ties.iter().find_map(|index| self.check_tie(bus, *index))
    }

    fn check_tie(&self, bus: &Bus, index: ComponentIndex) -> Option<(Balance, f64, f64)> {
        let (section, tie) = (self.stands[usize::from(index.0)], tie_of(bus, index));
        let flow = tie.flow();
        match tie.position() {
            Position::Closed => {
                let lacks = self.behind(bus, section);
                let unlike = lacks.unlike((flow.start_w, flow.end_w));
                unlike.map(|(own_w, found_w)| (Balance::Tie(index), found_w, 0.0 - own_w))
            }
            Position::Open if flow.start_w.abs() + flow.end_w.abs() > 0.0 => {
                Some((Balance::Tie(index), flow.end_w, 0.0))
            }
            Position::Open => {
                let unlike = self.behind(bus, section).unlike((0.0, 0.0));
                unlike.map(|(own_w, _)| (Balance::Section(section), own_w, 0.0))
            }
        }
    }

    /// The sum of a section and of all that closed ties join to it from behind.
    fn behind(&self, bus: &Bus, section: SectionIndex) -> Sum {
        let mut sum = self.sums[usize::from(section.0)];
        for index in &self.ties {
            let tie = tie_of(bus, *index);
            if tie.to() == section && tie.position() == Position::Closed {
                sum = sum.and(self.behind(bus, self.stands[usize::from(index.0)]));
            }
        }
        sum
    }
}

fn tie_of(bus: &Bus, index: ComponentIndex) -> &BusTie {
    let Component::Tie(tie) = &bus.components()[usize::from(index.0)] else {
        unreachable!("a component stays of its kind");
    };
    tie
}

//! Sections of a bus, and the areas into which its ties divide them.
//!
//! A section other than the main one has one tie, to the main one or to another; so sections form a tree whose root is the
//! main one, where the connection stands. An area is what closed ties join. It goes by the section of it that is nearest to
//! the root, its top: the area of the main section is the only one that the grid can hold. A bus without ties is one section
//! and one area.
//!
//! **Invariant:** between two changes every section knows the top of its area and what holds it, and the top knows how: with
//! which frequency, and at which angle to the grid.

use alloc::vec::Vec;

use r_ems_engine::{Span, Time};

use super::super::swing::{ISLAND_STEP, Swing};
use super::super::{BusMode, Component, ComponentIndex, Position};
use super::BusError;

/// Most sections of one bus: a ship's main switchboard has two to four, and what it feeds a few more.
pub const MAX_SECTIONS: usize = 16;

/// Which section of a bus; dense, in the order in which they were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionIndex(pub u8);

/// What holds an area, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// The component that joins it to another section, and which that is; none of the main section.
    pub(super) tie: Option<(ComponentIndex, SectionIndex)>,
    /// By which its area goes.
    pub(super) top: SectionIndex,
    /// What holds its area.
    pub(super) mode: BusMode,
    /// The frequency of the area while it is an island, if this is its top.
    pub(super) swing: Swing,
    /// The angle between such an island and the grid, in turns, from minus a half to a half.
    pub(super) turns: f64,
}

/// All sections, and who stands where.
#[derive(Clone, Debug)]
pub(super) struct Areas {
    sections: Vec<Section>,
    /// By component: the section in which it stands; of a tie, the one that it joins to another.
    stands: Vec<SectionIndex>,
    /// By component: its area.
    areas: Vec<SectionIndex>,
    /// What holds all of the bus, while it is one area.
    whole: Option<BusMode>,
    has_islands: bool,
}

impl SectionIndex {
    /// The section in which the connection to the grid stands.
    pub const MAIN: Self = Self(0);

    pub(super) fn position(self) -> usize {
        usize::from(self.0)
    }
}

impl Areas {
    /// The sections of these components, all on one grid; `stands` says where each of them stands.
    pub(super) fn new(components: &[Component], stands: Vec<SectionIndex>) -> Result<Self, BusError> {
        assert_eq!(components.len(), stands.len(), "every component stands somewhere");
        let count = 1 + stands.iter().map(|section| section.position()).max().unwrap_or(0);
        if count > MAX_SECTIONS {
            return Err(BusError::Sections { found: count as u64 });
        }
        let main = Section {
            tie: None,
            top: SectionIndex::MAIN,
            mode: BusMode::Grid,
            swing: Swing::new(ISLAND_STEP, Time::ZERO, 1.0),
            turns: 0.0,
        };
        let mut sections = alloc::vec![main; count];
        let mut ties = [0_u64; MAX_SECTIONS];
        for ((index, component), section) in (0..).map(ComponentIndex).zip(components).zip(&stands) {
            match component {
                Component::Tie(tie) => {
                    ties[section.position()] += 1;
                    sections[section.position()].tie = Some((index, tie.to()));
                }
                Component::Connection(_) if *section != SectionIndex::MAIN => return Err(BusError::NotMain),
                Component::Connection(_)
                | Component::Load(_)
                | Component::Pv(_)
                | Component::Battery(_)
                | Component::Receiver(_)
                | Component::Genset(_) => {}
            }
        }
        for (section, found) in (0..).map(SectionIndex).zip(&ties[..count]) {
            let is_main = section == SectionIndex::MAIN;
            if *found != u64::from(!is_main) {
                return Err(BusError::Ties { section, found: *found });
            }
        }
        let areas = alloc::vec![SectionIndex::MAIN; components.len()];
        let all = Self { sections, stands, areas, whole: Some(BusMode::Grid), has_islands: false };
        match all.indexes().find(|section| !all.leads_to_main(*section)) {
            Some(section) => Err(BusError::Loop { section }),
            None => Ok(all),
        }
    }

    /// Whether the ties of a section lead to the main one.
    fn leads_to_main(&self, section: SectionIndex) -> bool {
        let mut at = section;
        // A way without a loop passes each section once.
        for _ in 0..self.sections.len() {
            match self.sections.get(at.position()).map(|section| section.tie) {
                Some(Some((_, to))) => at = to,
                Some(None) => return true,
                None => return false,
            }
        }
        false
    }

    /// All sections.
    pub(super) fn indexes(&self) -> impl Iterator<Item = SectionIndex> + use<> {
        (0..MAX_SECTIONS as u8).map(SectionIndex).take(self.sections.len())
    }

    /// Whether there is more than one section.
    #[inline]
    pub(super) fn has_ties(&self) -> bool {
        self.sections.len() > 1
    }

    /// What holds all of the bus, while it is one area.
    #[inline]
    pub(super) fn whole(&self) -> Option<BusMode> {
        self.whole
    }

    /// Whether an area is an island.
    #[inline]
    pub(super) fn has_islands(&self) -> bool {
        self.has_islands
    }

    /// The section of this number.
    #[inline]
    pub(super) fn section(&self, section: SectionIndex) -> &Section {
        &self.sections[section.position()]
    }

    /// The same, to change it.
    pub(super) fn section_mut(&mut self, section: SectionIndex) -> &mut Section {
        &mut self.sections[section.position()]
    }

    /// What holds the area of a section.
    #[inline]
    pub(super) fn mode(&self, section: SectionIndex) -> BusMode {
        self.section(section).mode
    }

    /// Whether a section is the top of an area that is an island.
    pub(super) fn is_island(&self, section: SectionIndex) -> bool {
        let Section { top, mode, .. } = self.section(section);
        *top == section && *mode == BusMode::Island
    }

    /// Where each component stands.
    #[inline]
    pub(super) fn stands(&self) -> &[SectionIndex] {
        &self.stands
    }

    /// By component, the area.
    #[inline]
    pub(super) fn areas(&self) -> &[SectionIndex] {
        &self.areas
    }

    /// The tie of a section, where it is closed.
    pub(super) fn closed_tie(&self, section: SectionIndex) -> Option<ComponentIndex> {
        let Section { tie, top, .. } = self.section(section);
        tie.filter(|_| *top != section).map(|(tie, _to)| tie)
    }

    /// Whether what stands in `section` gets its power through the closed tie of `tied`.
    pub(super) fn is_behind(&self, section: SectionIndex, tied: SectionIndex) -> bool {
        let mut at = section;
        while at != tied {
            match self.section(at) {
                Section { tie: Some((_, to)), top, .. } if *top != at => at = *to,
                Section { .. } => return false,
            }
        }
        true
    }

    /// By section, the top of its area, as the ties stand now.
    pub(super) fn tops(&self, components: &[Component]) -> [SectionIndex; MAX_SECTIONS] {
        let mut tops = [SectionIndex::MAIN; MAX_SECTIONS];
        for (section, found) in self.indexes().zip(&mut tops) {
            let mut at = section;
            while let Some((tie, to)) = self.section(at).tie
                && position_of(components, tie) == Position::Closed
            {
                at = to;
            }
            *found = at;
        }
        tops
    }

    /// Takes the sections as they are from now on.
    pub(super) fn take(&mut self, sections: &[Section]) {
        self.sections.clear();
        self.sections.extend_from_slice(sections);
        for (area, section) in self.areas.iter_mut().zip(&self.stands) {
            *area = self.sections[section.position()].top;
        }
        let is_main = |section: &Section| section.top == SectionIndex::MAIN;
        self.whole = self.sections.iter().all(is_main).then(|| self.mode(SectionIndex::MAIN));
        self.has_islands = self.sections.iter().any(|section| section.mode == BusMode::Island);
    }

    /// The frequency of an area that is an island, at both ends of a segment, as multiples of the nominal one.
    #[inline]
    pub(super) fn speeds(&self, area: SectionIndex, from: Time, until: Time) -> Option<(f64, f64)> {
        let Section { mode, swing, .. } = self.section(area);
        match mode {
            BusMode::Grid | BusMode::Dead => None,
            BusMode::Island => Some((swing.speed_at(from), swing.speed_at(until))),
        }
    }

    /// The step of islands.
    pub(super) fn step(&self) -> Span {
        self.section(SectionIndex::MAIN).swing.step()
    }
}

/// Where a tie stands.
fn position_of(components: &[Component], tie: ComponentIndex) -> Position {
    let Component::Tie(tie) = &components[usize::from(tie.0)] else {
        unreachable!("the indexes of ties were found at construction and never change");
    };
    tie.position()
}

//! A bus: components that share one voltage, and the connection that balances them.
//!
//! The bus moves from instant to instant. Between two of them nothing changes but along known curves, so it integrates once,
//! whole, and tells whoever watches. Where a component changes by itself lies such an instant, found by the component.
//! Nothing is allocated while it moves.
//!
//! **Invariant:** after `advance(to)` everything that is due at `to` has been done, and [`Bus::next_event`] is later.
//!
//! A bus is one or has sections, which ties join: `sections` has who stands where, `areas` which of them are one at present. What
//! holds such an area is the grid, formers of its own, or nothing: `island` has the second case. `flows` is what moves in a
//! segment, `commands` what is done to a bus, `readings` what is read of it.

mod areas;
mod commands;
mod flows;
mod island;
mod readings;
mod sections;

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::Time;

use self::sections::Areas;
use super::battery::Holds;
use super::breaker::Moved;
use super::motion::Decay;
use super::swing::ISLAND_STEP;
use super::{BusMode, Component, ComponentIndex, Connection, Watch};

pub use self::sections::{MAX_SECTIONS, SectionIndex};

/// Most components of one bus.
pub const MAX_COMPONENTS: usize = 1_024;

/// Most segments of one advance, whole steps of an island apart. More means that a component does not get on, which is a bug: a
/// source of milliseconds makes this many in three hours.
pub const MAX_PER_ADVANCE: u64 = 10_000_000;

/// Says why components make no bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusError {
    /// There must be exactly one connection to the grid.
    Connections {
        /// How many were found.
        found: u64,
    },
    /// There are more than [`MAX_COMPONENTS`].
    TooMany {
        /// How many were found.
        found: u64,
    },
    /// There are more than [`MAX_SECTIONS`].
    Sections {
        /// How many were found.
        found: u64,
    },
    /// The connection does not stand in the main section.
    NotMain,
    /// A section has not the one tie that it needs, or the main one has one.
    Ties {
        /// Which section.
        section: SectionIndex,
        /// How many were found.
        found: u64,
    },
    /// The ties of a section do not lead to the main one.
    Loop {
        /// Which section.
        section: SectionIndex,
    },
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections { found } => write!(f, "a bus needs 1 connection to the grid, got {found}"),
            Self::TooMany { found } => {
                write!(f, "a bus has at most {MAX_COMPONENTS} components, got {found}")
            }
            Self::Sections { found } => write!(f, "a bus has at most {MAX_SECTIONS} sections, got {found}"),
            Self::NotMain => write!(f, "the connection to the grid must stand in the main section"),
            Self::Ties { section: SectionIndex::MAIN, found } => {
                write!(f, "the main section needs 0 ties of its own, got {found}")
            }
            Self::Ties { section, found } => write!(f, "section {} needs 1 tie, got {found}", section.0),
            Self::Loop { section } => {
                write!(f, "the ties of section {} must lead to the main section", section.0)
            }
        }
    }
}

impl core::error::Error for BusError {}

/// Components on one voltage, at an instant.
#[derive(Clone, Debug)]
pub struct Bus {
    components: Vec<Component>,
    connection: usize,
    areas: Areas,
    /// Whether a load has a relay, which looks at the grid too.
    has_relays: bool,
    /// By component: whether somebody stands at its panel.
    local: Vec<bool>,
    /// What every component did before a change; kept for its memory.
    before_w: Vec<f64>,
    now: Time,
    /// When the first component changes by itself.
    breakpoint: Time,
    /// How long the last segment was, in s.
    span_s: f64,
    /// What died away in the exchange with the grid in the last segment, one part per time constant in a row.
    decays: Vec<Decay>,
}

impl Bus {
    /// A live bus of one section at the run's start.
    ///
    /// # Errors
    /// [`BusError`] unless exactly one component is a connection, and none a tie.
    pub fn new(components: Vec<Component>) -> Result<Self, BusError> {
        let stands = alloc::vec![SectionIndex::MAIN; components.len()];
        Self::with_sections(components, stands)
    }

    /// A live bus at the run's start whose components stand in these sections, one for each; its ties are closed. A tie stands
    /// in the section that it joins to another one.
    ///
    /// # Errors
    /// [`BusError`] unless exactly one component is a connection, in the main section, and each other section has one tie,
    /// by which it is joined to the main one or to a section that is.
    ///
    /// # Panics
    /// Unless there is a section for each component.
    pub fn with_sections(
        mut components: Vec<Component>,
        stands: Vec<SectionIndex>,
    ) -> Result<Self, BusError> {
        if components.len() > MAX_COMPONENTS {
            return Err(BusError::TooMany { found: components.len() as u64 });
        }
        let is_connection = |component: &Component| matches!(component, Component::Connection(_));
        let found = components.iter().filter(|component| is_connection(component)).count() as u64;
        let connection = match components.iter().position(is_connection) {
            Some(connection) if found == 1 => connection,
            Some(_) | None => return Err(BusError::Connections { found }),
        };
        let areas = Areas::new(&components, stands)?;
        let room = components.len();
        for component in &mut components {
            component.pass(Time::ZERO);
            if let Component::Tie(tie) = component {
                tie.decays.reserve(room);
            }
        }
        let has_relay =
            |component: &Component| matches!(component, Component::Load(load) if load.relay().is_some());
        let mut bus = Self {
            connection,
            areas,
            has_relays: components.iter().any(has_relay),
            local: alloc::vec![false; room],
            before_w: Vec::with_capacity(room),
            now: Time::ZERO,
            breakpoint: Time::MAX,
            span_s: 0.0,
            decays: Vec::with_capacity(room),
            components,
        };
        bus.settle();
        Ok(bus)
    }

    /// Moves to `to`, through everything that changes on the way; `watch` sees every segment.
    ///
    /// An instant that has passed already changes nothing.
    pub fn advance(&mut self, to: Time, watch: &mut impl Watch) {
        let mut segments = 0;
        while self.now < to {
            let until = self.breakpoint.min(to);
            self.integrate(until);
            let from = core::mem::replace(&mut self.now, until);
            watch.segment(self, from, until);
            let is_step = self.areas.has_islands() && until.since(from) == self.areas.step();
            if self.breakpoint <= until {
                self.pass(watch);
            }
            segments += u64::from(!is_step);
            assert!(segments <= MAX_PER_ADVANCE, "a component of the bus does not get on");
        }
    }

    /// The instant at which the bus stands.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The next instant at which a component changes by itself; none if that is never.
    pub fn next_event(&self) -> Option<Time> {
        if self.breakpoint == Time::MAX { None } else { Some(self.breakpoint) }
    }

    /// All components, in their order.
    #[inline]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Lets a test change a component behind the bus's back.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self, component: ComponentIndex) -> &mut Component {
        &mut self.components[usize::from(component.0)]
    }

    /// What holds the main section.
    #[inline]
    pub fn mode(&self) -> BusMode {
        self.areas.mode(SectionIndex::MAIN)
    }

    /// What holds all of the bus, as long as no open tie divides it.
    #[inline]
    pub fn whole(&self) -> Option<BusMode> {
        self.areas.whole()
    }

    /// What holds the section in which a component stands.
    #[inline]
    pub fn mode_at(&self, component: ComponentIndex) -> BusMode {
        match self.areas.whole() {
            Some(mode) => mode,
            None => self.areas.mode(self.areas.areas()[usize::from(component.0)]),
        }
    }

    /// What holds a section.
    #[inline]
    pub fn mode_in(&self, section: SectionIndex) -> BusMode {
        self.areas.mode(section)
    }

    /// In which section a component stands; a tie stands in the one that it joins to another.
    pub fn section_of(&self, component: ComponentIndex) -> SectionIndex {
        self.areas.stands()[usize::from(component.0)]
    }

    /// In which of the [`areas`](Self::areas) a component stands.
    pub fn area_of(&self, component: ComponentIndex) -> SectionIndex {
        self.areas.areas()[usize::from(component.0)]
    }

    /// The areas into which open ties divide the bus: of each the section that is nearest to the connection. The first is
    /// the main section's.
    #[inline]
    pub fn areas(&self) -> impl Iterator<Item = SectionIndex> {
        self.areas.indexes().filter(|section| self.areas.section(*section).top == *section)
    }

    /// Which component is the connection.
    pub fn connection_index(&self) -> ComponentIndex {
        ComponentIndex(self.connection as u16)
    }

    /// The connection to the grid.
    #[inline]
    pub fn connection(&self) -> &Connection {
        let Component::Connection(connection) = &self.components[self.connection] else {
            unreachable!("the index of the connection was found at construction and never changes");
        };
        connection
    }

    /// Whether nothing but a component and the connection changes when the component does.
    fn is_plain(&self) -> bool {
        self.mode() == BusMode::Grid && !self.has_relays && !self.areas.has_ties()
    }

    /// Lets every component do what is due now.
    fn pass(&mut self, watch: &mut impl Watch) {
        if !self.is_plain() || self.connection().mains_due(self.now) <= self.now {
            self.change(watch, |bus| {
                for component in &mut bus.components {
                    if component.breakpoint() <= bus.now {
                        component.pass(bus.now);
                    }
                }
            });
            return;
        }
        let exchanged_w = self.connection().power_w;
        for index in 0..self.components.len() {
            if self.components[index].breakpoint() > self.now {
                continue;
            }
            let before_w = self.components[index].power_w();
            self.components[index].pass(self.now);
            self.report(ComponentIndex(index as u16), before_w, watch);
        }
        self.settle();
        self.report(self.connection_index(), exchanged_w, watch);
    }

    /// Tells of a jump.
    fn report(&self, component: ComponentIndex, before_w: f64, watch: &mut impl Watch) {
        let after_w = self.components[usize::from(component.0)].power_w();
        if after_w.to_bits() != before_w.to_bits() {
            watch.step(self, self.now, component, before_w, after_w);
        }
    }

    /// Finds what holds the bus, balances it and finds the next breakpoint, after something has changed.
    fn settle(&mut self) {
        let mut rounds = 0;
        let next = loop {
            self.arrange();
            // Each one takes a former off, or closes a breaker, and all of these are components.
            rounds += 1;
            assert!(rounds <= MAX_COMPONENTS + 2, "who cannot go on was taken off");
            if let Some(next) = self.hold() {
                break next;
            }
        };
        assert!(next > self.now, "what is due has been done");
        self.breakpoint = next;
    }

    /// Balances every area, and says when something changes next; none if a breaker has closed, or something that holds an
    /// island cannot go on: then what is left is looked at anew.
    fn hold(&mut self) -> Option<Time> {
        // Of two live sides one is an island.
        let has_islands = self.areas.has_islands();
        if has_islands && (self.meet() == Moved::Closed || self.collapse() == Holds::No) {
            return None;
        }
        let mut next = if self.has_relays { self.see() } else { Time::MAX };
        if has_islands {
            for area in self.areas.indexes() {
                if self.areas.is_island(area) {
                    next = next.min(self.plan(area)?);
                }
            }
        }
        Some(next.min(self.balance()))
    }
}

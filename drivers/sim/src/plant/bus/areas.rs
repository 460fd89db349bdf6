//! Which parts of a bus are one, and what holds each.
//!
//! When ties move, areas part and meet. Who is parted goes on with the frequency that it had, and at the same angle. Where
//! islands meet, their masses do, and the sum of mass times frequency is that of before, as nothing outside accelerates them:
//! so the joined frequency is the mean by mass. Where the grid is on one side, the frequency is the grid's.

use r_ems_engine::Time;

use super::super::breaker::Moved;
use super::super::swing::{Former, Swing};
use super::super::{BusMode, BusTie, Component, ComponentIndex, Difference, Position};
use super::island::{can_hold, former_of};
use super::sections::{MAX_SECTIONS, Section, SectionIndex};
use super::{Bus, island};

impl Bus {
    /// Finds the areas and what holds each of them.
    pub(super) fn arrange(&mut self) {
        let now = self.now;
        self.connection_mut().see_mains(now);
        if !self.areas.has_ties() {
            let position = self.connection().position();
            let is_as_before = match self.mode() {
                BusMode::Grid => position == Position::Closed,
                BusMode::Island => position == Position::Open && self.components.iter().any(can_hold),
                BusMode::Dead => false,
            };
            if is_as_before {
                return;
            }
        }
        loop {
            self.regroup();
            // A genset that was about to join holds what nobody does any more.
            let holds_unknown = |(component, area): (&Component, &SectionIndex)| {
                self.areas.mode(*area) == BusMode::Dead && can_hold(component)
            };
            let mut all = self.components.iter().zip(self.areas.areas());
            if !all.any(holds_unknown) && self.close_onto_dead() == Moved::No {
                return;
            }
        }
    }

    /// Finds the areas anew, and lets everybody know whose area is held by something else from now on.
    fn regroup(&mut self) {
        let tops = if self.areas.has_ties() {
            self.areas.tops(&self.components)
        } else {
            [SectionIndex::MAIN; MAX_SECTIONS]
        };
        let modes = self.modes(&tops);
        let is_as_before = |section: SectionIndex| {
            let (top, known) = (tops[section.position()], self.areas.section(section));
            known.top == top && known.mode == modes[top.position()]
        };
        if self.areas.indexes().all(is_as_before) {
            return;
        }
        let mut after = [*self.areas.section(SectionIndex::MAIN); MAX_SECTIONS];
        for (section, found) in self.areas.indexes().zip(&mut after) {
            let top = tops[section.position()];
            let mode = modes[top.position()];
            *found = Section { top, mode, ..*self.areas.section(section) };
            if top == section {
                (found.swing, found.turns) = self.origin(section, mode, &tops);
            }
        }
        for (component, section) in self.components.iter_mut().zip(self.areas.stands()) {
            let mode = after[section.position()].mode;
            if self.areas.mode(*section) != mode {
                component.energize(mode, self.now);
            }
        }
        let count = self.areas.indexes().count();
        self.areas.take(&after[..count]);
    }

    /// What holds each area, by its top.
    fn modes(&self, tops: &[SectionIndex; MAX_SECTIONS]) -> [BusMode; MAX_SECTIONS] {
        let mut modes = [BusMode::Dead; MAX_SECTIONS];
        if self.connection().position() == Position::Closed {
            modes[SectionIndex::MAIN.position()] = BusMode::Grid;
        }
        for (component, section) in self.components.iter().zip(self.areas.stands()) {
            let mode = &mut modes[tops[section.position()].position()];
            if *mode == BusMode::Dead && can_hold(component) {
                *mode = BusMode::Island;
            }
        }
        modes
    }

    /// With which frequency, and at which angle, an area goes on that goes by `top` from now on.
    fn origin(&self, top: SectionIndex, mode: BusMode, tops: &[SectionIndex; MAX_SECTIONS]) -> (Swing, f64) {
        let known = self.areas.section(top);
        let begun = |speed| Swing::new(self.areas.step(), self.now, speed);
        if mode != BusMode::Island {
            return (begun(1.0), 0.0);
        }
        // Those areas of before that it is made of, as far as they had voltage.
        let joined = |section: &SectionIndex| tops[section.position()] == top;
        let live = |area: &SectionIndex| self.areas.mode(*area) != BusMode::Dead;
        let mut origins = self.areas.indexes().filter(joined).map(|s| self.areas.section(s).top).filter(live);
        let Some(first) = origins.next() else { return (begun(1.0), 0.0) };
        // The side of the top was there first.
        let leads = if live(&known.top) { known.top } else { first };
        let is_one = origins.all(|other| other == first);
        if is_one && first == top && known.mode == BusMode::Island {
            return (known.swing, known.turns);
        }
        let speed = if is_one { self.speed(first) } else { self.joined_speed(top, tops) };
        let (all, turns) = (self.formers_at(top, tops), self.turns(leads));
        (begun(speed).held_by(all), turns)
    }

    /// All formers of an area that goes by `top` from now on.
    fn formers_at(&self, top: SectionIndex, tops: &[SectionIndex; MAX_SECTIONS]) -> Former {
        let components = self.components.iter().zip(self.areas.stands());
        let here = components.filter(|(_, section)| tops[section.position()] == top);
        here.filter_map(|(component, _)| former_of(component)).fold(Former::default(), Former::and)
    }

    /// The frequency at which areas go on together, as a multiple of the nominal one.
    fn joined_speed(&self, top: SectionIndex, tops: &[SectionIndex; MAX_SECTIONS]) -> f64 {
        let (mut mass_ws, mut momentum_ws) = (0.0, 0.0);
        for (component, section) in self.components.iter().zip(self.areas.stands()) {
            let area = self.areas.section(*section).top;
            if tops[section.position()] == top
                && self.areas.mode(area) != BusMode::Dead
                && let Some(former) = former_of(component)
            {
                mass_ws += former.mass_ws;
                momentum_ws += former.mass_ws * self.speed(area);
            }
        }
        if mass_ws > 0.0 { momentum_ws / mass_ws } else { 1.0 }
    }

    /// The frequency of an area now, as a multiple of the nominal one.
    pub(super) fn speed(&self, area: SectionIndex) -> f64 {
        match self.areas.mode(area) {
            BusMode::Grid => self.grid_hz(self.now) / self.connection().nominal_hz(),
            BusMode::Island => self.areas.section(area).swing.speed_at(self.now),
            BusMode::Dead => 1.0,
        }
    }

    /// The angle between an area and the grid, in turns.
    fn turns(&self, area: SectionIndex) -> f64 {
        match self.areas.mode(area) {
            BusMode::Island => self.areas.section(area).turns,
            BusMode::Grid | BusMode::Dead => 0.0,
        }
    }

    /// Closes a breaker that waits for an angle to fit and need not, as there is none.
    fn close_onto_dead(&mut self) -> Moved {
        if self.mode() == BusMode::Dead && self.connection().waits() {
            self.connection_mut().switch(Position::Closed);
            return Moved::Closed;
        }
        for section in self.areas.indexes() {
            let Some((index, to)) = self.areas.section(section).tie else { continue };
            if self.tie(index).breaker.waits() && self.has_dead_side(section, to) {
                self.tie_mut(index).breaker.switch(Position::Closed);
                return Moved::Closed;
            }
        }
        Moved::No
    }

    /// Whether one of two sections, at least, has no voltage.
    pub(super) fn has_dead_side(&self, section: SectionIndex, to: SectionIndex) -> bool {
        self.areas.mode(section) == BusMode::Dead || self.areas.mode(to) == BusMode::Dead
    }

    /// Lets the synchro-checks of breakers that wait see both sides, until one of them closes its breaker.
    pub(super) fn meet(&mut self) -> Moved {
        let now = self.now;
        if self.connection().waits() && self.mode() == BusMode::Island {
            let is = self.difference();
            if self.connection_mut().look(is, now) == Moved::Closed {
                return Moved::Closed;
            }
        }
        for section in self.areas.indexes() {
            let Some((index, to)) = self.areas.section(section).tie else { continue };
            if self.tie(index).breaker.waits() {
                let is = self.difference_across(section, to);
                if self.tie_mut(index).breaker.look(is, now) == Moved::Closed {
                    return Moved::Closed;
                }
            }
        }
        Moved::No
    }

    /// How the area of a section and that of the section to which its open tie leads differ now.
    pub(super) fn difference_across(&self, section: SectionIndex, to: SectionIndex) -> Difference {
        let (own, other) = (self.areas.section(section).top, self.areas.section(to).top);
        let voltage_pu = |area| self.electrical_now(area).voltage_pu;
        Difference {
            slip: self.speed(own) - self.speed(other),
            voltage: voltage_pu(own) - voltage_pu(other),
            turns: island::wrapped(self.turns(own) - self.turns(other)),
        }
    }

    /// A tie by its index.
    pub(super) fn tie(&self, index: ComponentIndex) -> &BusTie {
        let Component::Tie(tie) = &self.components[usize::from(index.0)] else {
            unreachable!("the indexes of ties were found at construction and never change");
        };
        tie
    }

    /// The same, to change it.
    pub(super) fn tie_mut(&mut self, index: ComponentIndex) -> &mut BusTie {
        let Component::Tie(tie) = &mut self.components[usize::from(index.0)] else {
            unreachable!("the indexes of ties were found at construction and never change");
        };
        tie
    }

    /// The frequency of the grid, in Hz.
    pub(super) fn grid_hz(&self, at: Time) -> f64 {
        self.connection().source().frequency_hz(at)
    }
}

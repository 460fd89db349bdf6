//! Parts of a bus that hold themselves: how each of these islands is balanced from step to step, and how it moves away from the
//! grid.
//!
//! The steps of all islands of a bus end together where something changes in one of them.

use r_ems_engine::{Span, Time, math};

use super::super::battery::Holds;
use super::super::swing::{Former, SPEEDS, Swing};
use super::super::{BusMode, Component, Connection, Difference};
use super::Bus;
use super::sections::{Section, SectionIndex};
use crate::sources::seconds;

impl Bus {
    /// The same bus with islands of another step: what shows how much the step matters.
    #[must_use]
    pub fn with_island_step(mut self, step: Span) -> Self {
        let step = if step.is_zero() { super::ISLAND_STEP } else { step };
        for section in self.areas.indexes() {
            let section = self.areas.section_mut(section);
            (section.swing, section.turns) = (Swing::new(step, self.now, 1.0), 0.0);
        }
        for (component, area) in self.components.iter_mut().zip(self.areas.areas()) {
            if let Component::Genset(genset) = component {
                genset.step_by(step);
            }
            component.energize(self.areas.mode(*area), self.now);
        }
        self.settle();
        self
    }

    /// Ends the steps of all islands at the present instant.
    pub(super) fn commit(&mut self) {
        if !self.areas.has_islands() {
            return;
        }
        for area in self.areas.indexes() {
            if self.areas.is_island(area) {
                self.commit_area(area);
            }
        }
    }

    fn commit_area(&mut self, area: SectionIndex) {
        let now = self.now;
        let section = self.areas.section_mut(area);
        let (from, first, last) = section.swing.commit(now);
        let (is_whole, span_s) = (section.swing.is_whole(now), seconds(from, now));
        let own_hz = 0.5 * (first + last) * self.connection().nominal_hz();
        let grid_hz = 0.5 * (self.grid_hz(from) + self.grid_hz(now));
        let section = self.areas.section_mut(area);
        section.turns = wrapped(section.turns + (own_hz - grid_hz) * span_s);
        for (component, at) in self.components.iter_mut().zip(self.areas.areas()) {
            if let Component::Genset(genset) = component
                && *at == area
                && genset.is_on_bus()
            {
                genset.govern(span_s, (first, last), is_whole);
            }
        }
    }

    /// Opens the breakers of all formers of an island whose frequency no machine holds.
    pub(super) fn collapse(&mut self) -> Holds {
        let mut all_hold = Holds::Yes;
        for area in self.areas.indexes() {
            let is_held = |speed| (SPEEDS.0..=SPEEDS.1).contains(&speed);
            if !self.areas.is_island(area) || is_held(self.speed(area)) {
                continue;
            }
            all_hold = Holds::No;
            for (component, at) in self.components.iter_mut().zip(self.areas.areas()) {
                if *at == area && can_hold(component) {
                    trip(component, self.now);
                }
            }
        }
        all_hold
    }

    /// Balances an island up to the end of its step, and says when that is; none if something that holds it cannot go on.
    pub(super) fn plan(&mut self, area: SectionIndex) -> Option<Time> {
        let until = self.step_end(area);
        let (all, taken_w) = self.sums(area, until);
        self.areas.section_mut(area).swing.plan(until, all, taken_w);
        match self.share(area, until) {
            Holds::Yes => Some(until),
            Holds::No => None,
        }
    }

    /// Lets relays see the frequency, and says when one of them acts next on the grid.
    pub(super) fn see(&mut self) -> Time {
        let (now, mut next) = (self.now, Time::MAX);
        for index in 0..self.components.len() {
            if !matches!(&self.components[index], Component::Load(_)) {
                continue;
            }
            let area = self.areas.areas()[index];
            let (mode, hz) = (self.areas.mode(area), self.frequency_hz(area));
            let Component::Load(load) = &mut self.components[index] else { continue };
            load.see(hz, now);
            let Some(relay) = load.relay() else { continue };
            let (threshold_hz, due) = (relay.threshold_hz(), relay.due());
            if mode == BusMode::Grid {
                let falls = self.connection().source().falls_below(threshold_hz, now);
                next = next.min(due).min(falls);
            }
        }
        next
    }

    /// The frequency of an area now, in Hz; none where nothing holds it.
    fn frequency_hz(&self, area: SectionIndex) -> Option<f64> {
        match self.areas.mode(area) {
            BusMode::Grid => Some(self.grid_hz(self.now)),
            BusMode::Island => Some(self.speed(area) * self.connection().nominal_hz()),
            BusMode::Dead => None,
        }
    }

    /// How the island that the main section is in and the grid differ now.
    pub(super) fn difference(&self) -> Difference {
        let connection = self.connection();
        let Section { swing, turns, .. } = self.areas.section(SectionIndex::MAIN);
        Difference {
            slip: swing.speed_at(self.now) - self.grid_hz(self.now) / connection.nominal_hz(),
            voltage: swing.voltage_pu(self.reactive_var(SectionIndex::MAIN))
                - connection.source().voltage_pu(self.now),
            turns: *turns,
        }
    }

    /// The connection to the grid.
    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        let Component::Connection(connection) = &mut self.components[self.connection] else {
            unreachable!("the index of the connection was found at construction and never changes");
        };
        connection
    }

    /// The end of the step: whole, or where a component has something to do by itself.
    fn step_end(&mut self, area: SectionIndex) -> Time {
        let (now, mut until) = (self.now, self.areas.section(area).swing.step_end());
        for (component, at) in self.components.iter_mut().zip(self.areas.areas()) {
            if *at != area {
                continue;
            }
            let timer = match component {
                Component::Connection(connection) => connection.breakpoint(),
                Component::Load(load) => load.breakpoint(),
                Component::Pv(pv) => pv.breakpoint(),
                Component::Battery(battery) => {
                    battery.take_part(now);
                    battery.timer()
                }
                Component::Genset(genset) => genset.timer(),
                Component::Receiver(receiver) => receiver.breakpoint(),
                Component::Tie(_) => continue,
            };
            until = until.min(timer);
        }
        until
    }

    /// All formers together, and what the others take at the beginning and at the end of a step, in W.
    fn sums(&mut self, area: SectionIndex, until: Time) -> (Former, (f64, f64)) {
        let (mut all, mut taken_w) = (Former::default(), (0.0, 0.0));
        let (now, swing) = (self.now, &self.areas.section(area).swing);
        let shares = (swing.share_of_step(now), swing.share_of_step(until));
        for (component, at) in self.components.iter_mut().zip(self.areas.areas()) {
            if *at != area {
                continue;
            }
            let last_w = match component {
                Component::Connection(_) | Component::Receiver(_) | Component::Tie(_) => continue,
                Component::Load(load) => load.power_at(until),
                Component::Pv(pv) => pv.power_at(until),
                Component::Battery(battery) if battery.is_forming() => {
                    all = all.and(battery.former());
                    continue;
                }
                Component::Battery(battery) => {
                    battery.stretch(now, until);
                    battery.straight_end_w()
                }
                Component::Genset(genset) if genset.is_on_bus() => {
                    all = all.and(genset.former(shares.0, shares.1));
                    continue;
                }
                Component::Genset(_) => continue,
            };
            taken_w.0 -= component.power_w();
            taken_w.1 -= last_w;
        }
        (all, taken_w)
    }

    /// Gives every former its share of the step, and takes off who cannot go on with it.
    fn share(&mut self, area: SectionIndex, until: Time) -> Holds {
        let (now, mut all_hold) = (self.now, Holds::Yes);
        let swing = &self.areas.section(area).swing;
        let shares = (swing.share_of_step(now), swing.share_of_step(until));
        for (component, at) in self.components.iter_mut().zip(self.areas.areas()) {
            if *at != area {
                continue;
            }
            let holds = match component {
                Component::Battery(battery) if battery.is_forming() => {
                    battery.go_straight(now, until, swing.power_w(&battery.former()));
                    battery.holds(now)
                }
                Component::Genset(genset) if genset.is_on_bus() => {
                    let former = genset.former(shares.0, shares.1);
                    genset.go_straight(now, until, swing.power_w(&former), swing.shaft_w(&former));
                    genset.holds(now)
                }
                Component::Connection(_)
                | Component::Load(_)
                | Component::Pv(_)
                | Component::Receiver(_)
                | Component::Tie(_)
                | Component::Battery(_)
                | Component::Genset(_) => continue,
            };
            if holds == Holds::No {
                trip(component, now);
                all_hold = Holds::No;
            }
        }
        all_hold
    }
}

/// An angle from minus a half to a half of a turn.
pub(super) fn wrapped(turns: f64) -> f64 {
    turns - math::floor(turns + 0.5)
}

/// Whether a component can hold an island now.
pub(super) fn can_hold(component: &Component) -> bool {
    match component {
        Component::Battery(battery) => battery.can_form(),
        Component::Genset(genset) => genset.is_on_bus(),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Tie(_) => false,
    }
}

/// How a component that can hold an island moves its frequency: its mass, its damping, its stiffness.
pub(super) fn former_of(component: &Component) -> Option<Former> {
    match component {
        Component::Battery(battery) => battery.can_form().then(|| battery.former()),
        Component::Genset(genset) => genset.is_on_bus().then(|| genset.former(0.0, 0.0)),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Tie(_) => None,
    }
}

/// Opens the breaker of a former.
fn trip(component: &mut Component, now: Time) {
    match component {
        Component::Battery(battery) => battery.trip(now),
        Component::Genset(genset) => genset.trip(now),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Tie(_) => {}
    }
}

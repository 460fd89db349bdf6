//! A bus that holds itself: who holds it, how it is balanced from step to step, and how it meets the grid again.

use r_ems_engine::{Span, Time, math};

use super::super::battery::Holds;
use super::super::swing::{Former, SPEEDS, Swing};
use super::super::{BusMode, Component, Connection, Difference, Position};
use super::Bus;
use crate::sources::seconds;

impl Bus {
    /// The same bus with islands of another step: what shows how much the step matters.
    #[must_use]
    pub fn with_island_step(mut self, step: Span) -> Self {
        let step = if step.is_zero() { super::ISLAND_STEP } else { step };
        self.swing = Swing::new(step, self.now, 1.0);
        for component in &mut self.components {
            if let Component::Genset(genset) = component {
                genset.step_by(step);
            }
        }
        let mode = self.mode;
        self.turn_to(mode);
        self.settle();
        self
    }

    /// Finds what holds the bus.
    pub(super) fn arrange(&mut self) {
        let now = self.now;
        self.connection_mut().see_mains(now);
        if self.mode == BusMode::Grid && self.connection().position() == Position::Closed {
            return;
        }
        loop {
            let mode = match self.connection().position() {
                Position::Closed => BusMode::Grid,
                Position::Open if self.components.iter().any(can_hold) => BusMode::Island,
                Position::Open => BusMode::Dead,
            };
            if mode != self.mode {
                self.turn_to(mode);
            }
            // A genset that was about to join holds what nobody does any more.
            if self.mode == BusMode::Dead && self.components.iter().any(can_hold) {
                continue;
            }
            // Who waits for an angle to fit need not once there is none.
            if self.mode != BusMode::Dead || !self.connection().waits() {
                return;
            }
            self.connection_mut().switch(Position::Closed);
        }
    }

    /// The bus is held by something else from now on.
    fn turn_to(&mut self, mode: BusMode) {
        let speed = match self.mode {
            BusMode::Grid => self.grid_hz(self.now) / self.connection().nominal_hz(),
            BusMode::Island | BusMode::Dead => 1.0,
        };
        self.swing = Swing::new(self.swing.step(), self.now, speed);
        self.turns = 0.0;
        self.mode = mode;
        for component in &mut self.components {
            component.energize(mode, self.now);
        }
    }

    /// The frequency of an island at both ends of the segment up to `until`, as multiples of the nominal one.
    #[inline]
    pub(super) fn speeds(&self, until: Time) -> Option<(f64, f64)> {
        match self.mode {
            BusMode::Grid | BusMode::Dead => None,
            BusMode::Island => Some((self.swing.speed_at(self.now), self.swing.speed_at(until))),
        }
    }

    /// Ends the step of an island at the present instant.
    pub(super) fn commit(&mut self) {
        if self.mode != BusMode::Island {
            return;
        }
        let (from, first, last) = self.swing.commit(self.now);
        let (is_whole, span_s) = (self.swing.is_whole(self.now), seconds(from, self.now));
        let own_hz = 0.5 * (first + last) * self.connection().nominal_hz();
        let turns = self.turns + (own_hz - 0.5 * (self.grid_hz(from) + self.grid_hz(self.now))) * span_s;
        self.turns = turns - math::floor(turns + 0.5);
        for component in &mut self.components {
            if let Component::Genset(genset) = component
                && genset.is_on_bus()
            {
                genset.govern(span_s, (first, last), is_whole);
            }
        }
    }

    /// Balances an island up to the end of its step, and says when something changes next; none if something that holds it
    /// cannot go on, or if it is an island no more.
    pub(super) fn plan(&mut self) -> Option<Time> {
        let (now, is) = (self.now, self.difference());
        self.connection_mut().look(is, now);
        if self.connection().position() == Position::Closed {
            return None;
        }
        if !(SPEEDS.0..=SPEEDS.1).contains(&self.swing.speed_at(now)) {
            self.trip_all();
            return None;
        }
        self.see();
        let until = self.step_end();
        let (all, taken_w) = self.sums(until);
        self.swing.plan(until, all, taken_w);
        if self.share(until) == Holds::No {
            return None;
        }
        if let Component::Connection(connection) = &mut self.components[self.connection] {
            connection.power_w = 0.0;
        }
        Some(self.components.iter().fold(until, |next, component| next.min(component.breakpoint())))
    }

    /// Lets relays see the frequency, and says when one of them acts next on the grid.
    pub(super) fn see(&mut self) -> Time {
        let now = self.now;
        let frequency_hz = match self.mode {
            BusMode::Grid => Some(self.grid_hz(now)),
            BusMode::Island => Some(self.swing.speed_at(now) * self.connection().nominal_hz()),
            BusMode::Dead => None,
        };
        let mut next = Time::MAX;
        for index in 0..self.components.len() {
            let Component::Load(load) = &mut self.components[index] else { continue };
            load.see(frequency_hz, now);
            let Some(relay) = load.relay() else { continue };
            let (threshold_hz, due) = (relay.threshold_hz(), relay.due());
            if self.mode == BusMode::Grid {
                let falls = self.connection().source().falls_below(threshold_hz, now);
                next = next.min(due).min(falls);
            }
        }
        next
    }

    /// How an island and the grid differ now.
    pub(super) fn difference(&self) -> Difference {
        let (connection, reactive) = (self.connection(), |sum: f64, component: &Component| {
            sum - component.reactive_var(component.power_w())
        });
        let reactive_var = self.components.iter().fold(0.0, reactive);
        Difference {
            slip: self.swing.speed_at(self.now) - self.grid_hz(self.now) / connection.nominal_hz(),
            voltage: self.swing.voltage_pu(reactive_var) - connection.source().voltage_pu(self.now),
            turns: self.turns,
        }
    }

    /// The connection to the grid.
    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        let Component::Connection(connection) = &mut self.components[self.connection] else {
            unreachable!("the index of the connection was found at construction and never changes");
        };
        connection
    }

    /// The frequency of the grid, in Hz.
    fn grid_hz(&self, at: Time) -> f64 {
        self.connection().source().frequency_hz(at)
    }

    /// The end of the step: whole, or where a component has something to do by itself.
    fn step_end(&mut self) -> Time {
        let (now, mut until) = (self.now, self.swing.step_end());
        for component in &mut self.components {
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
            };
            until = until.min(timer);
        }
        until
    }

    /// All formers together, and what the others take at the beginning and at the end of a step, in W.
    fn sums(&mut self, until: Time) -> (Former, (f64, f64)) {
        let (mut all, mut taken_w) = (Former::default(), (0.0, 0.0));
        let now = self.now;
        let shares = (self.swing.share_of_step(now), self.swing.share_of_step(until));
        for component in &mut self.components {
            let last_w = match component {
                Component::Connection(_) | Component::Receiver(_) => continue,
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
    fn share(&mut self, until: Time) -> Holds {
        let (now, mut all_hold) = (self.now, Holds::Yes);
        let shares = (self.swing.share_of_step(now), self.swing.share_of_step(until));
        for component in &mut self.components {
            let holds = match component {
                Component::Battery(battery) if battery.is_forming() => {
                    battery.go_straight(now, until, self.swing.power_w(&battery.former()));
                    battery.holds(now)
                }
                Component::Genset(genset) if genset.is_on_bus() => {
                    let former = genset.former(shares.0, shares.1);
                    genset.go_straight(now, until, self.swing.power_w(&former), self.swing.shaft_w(&former));
                    genset.holds(now)
                }
                Component::Connection(_)
                | Component::Load(_)
                | Component::Pv(_)
                | Component::Receiver(_)
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

    /// Nothing holds a frequency so far off.
    fn trip_all(&mut self) {
        for component in &mut self.components {
            if can_hold(component) {
                trip(component, self.now);
            }
        }
    }
}

/// Whether a component can hold an island now.
fn can_hold(component: &Component) -> bool {
    match component {
        Component::Battery(battery) => battery.can_form(),
        Component::Genset(genset) => genset.is_on_bus(),
        Component::Connection(_) | Component::Load(_) | Component::Pv(_) | Component::Receiver(_) => false,
    }
}

/// Opens the breaker of a former.
fn trip(component: &mut Component, now: Time) {
    match component {
        Component::Battery(battery) => battery.trip(now),
        Component::Genset(genset) => genset.trip(now),
        Component::Connection(_) | Component::Load(_) | Component::Pv(_) | Component::Receiver(_) => {}
    }
}

//! What flows in a segment: of every component, over the connection, and through closed ties.
//!
//! The connection and the ties follow from all others. The connection carries what the area of the main section lacks, while the
//! grid holds it; a tie carries what everything behind it lacks.

use alloc::vec::Vec;

use r_ems_engine::Time;

use super::super::motion::{Decay, Motion};
use super::super::{BatteryFlow, BusMode, Component, ConnectionFlow, TieFlow, WATT_HOURS_PER_JOULE};
use super::Bus;
use super::sections::SectionIndex;
use crate::sources::seconds;

/// What some components lack in a segment, in W: at its ends, and of that what does not die away.
#[derive(Clone, Copy, Debug, Default)]
struct Lack {
    start_w: f64,
    end_w: f64,
    straight_start_w: f64,
    straight_end_w: f64,
}

/// A segment in which nothing changes; `speeds` are those of an island at both ends.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: Time,
    until: Time,
    speeds: Option<(f64, f64)>,
}

impl Lack {
    /// Integrates a component over a segment, and takes it into the sum.
    // A bus that is one has one call of it in its innermost loop.
    #[inline(always)]
    fn pass(&mut self, component: &mut Component, segment: Segment, decays: &mut Vec<Decay>) {
        let Segment { from, until, speeds } = segment;
        match component {
            Component::Connection(_) | Component::Tie(_) => {}
            Component::Receiver(receiver) => receiver.integrate(until),
            Component::Load(load) => {
                load.integrate(from, until);
                self.take_line(load.flow().start_w, load.flow().end_w);
            }
            Component::Pv(pv) => {
                pv.integrate(from, until);
                self.take_line(pv.flow().start_w, pv.flow().end_w);
            }
            Component::Genset(genset) => {
                genset.integrate(from, until, speeds);
                self.take_line(genset.flow().start_w, genset.flow().end_w);
            }
            Component::Battery(battery) => {
                battery.integrate(from, until);
                self.take_curve(battery.flow(), decays);
            }
        }
    }

    /// Takes a component into the sum that was integrated already.
    fn take(&mut self, component: &Component, decays: &mut Vec<Decay>) {
        match component {
            Component::Connection(_) | Component::Receiver(_) | Component::Tie(_) => {}
            Component::Load(_) | Component::Pv(_) | Component::Genset(_) => {
                let (start_w, end_w) = component.ends_w();
                self.take_line(start_w, end_w);
            }
            Component::Battery(battery) => self.take_curve(battery.flow(), decays),
        }
    }

    #[inline]
    fn take_line(&mut self, start_w: f64, end_w: f64) {
        self.start_w -= start_w;
        self.end_w -= end_w;
        self.straight_start_w -= start_w;
        self.straight_end_w -= end_w;
    }

    /// Takes a battery, and what dies away of its power into `decays`.
    #[inline]
    fn take_curve(&mut self, flow: &BatteryFlow, decays: &mut Vec<Decay>) {
        let straight_w = flow.curve.straight();
        self.start_w -= flow.start_w;
        self.end_w -= flow.end_w;
        self.straight_start_w -= straight_w.0;
        self.straight_end_w -= straight_w.1;
        if flow.curve.has_decay() {
            add_decay(decays, flow.decay());
        }
    }
}

impl Bus {
    /// How the power at the point of common coupling moved in the last segment.
    #[inline]
    pub fn exchange(&self) -> Motion<'_> {
        motion_of(self.connection().flow(), self.span_s, &self.decays)
    }

    /// Integrates all components over a segment in which nothing changes, and the connection and the ties from their sums.
    #[inline]
    pub(super) fn integrate(&mut self, until: Time) {
        let from = self.now;
        self.span_s = seconds(from, until);
        let main = Segment { from, until, speeds: self.areas.speeds(SectionIndex::MAIN, from, until) };
        let mut lack = Lack::default();
        self.decays.clear();
        if self.areas.whole().is_some() {
            for component in &mut self.components {
                lack.pass(component, main, &mut self.decays);
            }
        } else {
            self.integrate_parts(&mut lack, main);
        }
        let Lack { start_w, end_w, straight_start_w, straight_end_w } = lack;
        let flow = match self.mode() {
            BusMode::Grid | BusMode::Dead => {
                ConnectionFlow { start_w, end_w, straight_start_w, straight_end_w, ..Default::default() }
            }
            // Through an open breaker nothing flows, not even what a sum of powers that balance is rounded to.
            BusMode::Island => ConnectionFlow::default(),
        };
        self.exchange_power(flow);
        if self.areas.has_ties() {
            self.pass_through_ties();
        }
    }

    /// Integrates the components of all areas, and takes those of the main one into `lack`.
    fn integrate_parts(&mut self, lack: &mut Lack, main: Segment) {
        // In parts that are not on the grid nothing dies away.
        let (mut elsewhere, mut none) = (Lack::default(), Vec::new());
        for (component, area) in self.components.iter_mut().zip(self.areas.areas()) {
            if *area == SectionIndex::MAIN {
                lack.pass(component, main, &mut self.decays);
            } else {
                let speeds = self.areas.speeds(*area, main.from, main.until);
                elsewhere.pass(component, Segment { speeds, ..main }, &mut none);
            }
        }
    }

    /// Books what the connection exchanged in the last segment, of which `flow` has the powers.
    #[inline]
    fn exchange_power(&mut self, mut flow: ConnectionFlow) {
        let motion = motion_of(&flow, self.span_s, &self.decays);
        (flow.low_w, flow.high_w) = motion.bounds();
        let sum_j = motion.integral();
        let import_j = if flow.low_w >= 0.0 {
            sum_j
        } else if flow.high_w <= 0.0 {
            0.0
        } else {
            motion.above_within(0.0, 0.0, self.span_s).integral
        };
        let export_j = if import_j > sum_j { import_j - sum_j } else { 0.0 };
        flow.import_wh = import_j * WATT_HOURS_PER_JOULE;
        flow.export_wh = export_j * WATT_HOURS_PER_JOULE;
        if let Component::Connection(connection) = &mut self.components[self.connection] {
            connection.power_w = flow.end_w;
            connection.flow = flow;
        }
    }

    /// Finds what flowed through every tie in the last segment.
    fn pass_through_ties(&mut self) {
        for section in self.areas.indexes() {
            let Some((index, _to)) = self.areas.section(section).tie else { continue };
            let mut decays = core::mem::take(&mut self.tie_mut(index).decays);
            decays.clear();
            let mut lack = Lack::default();
            if self.areas.closed_tie(section).is_some() {
                for (component, at) in self.components.iter().zip(self.areas.stands()) {
                    if self.areas.is_behind(*at, section) {
                        lack.take(component, &mut decays);
                    }
                }
            }
            let Lack { start_w, end_w, straight_start_w, straight_end_w } = lack;
            let tie = self.tie_mut(index);
            tie.flow = TieFlow { start_w, end_w, straight_start_w, straight_end_w };
            (tie.power_w, tie.decays) = (end_w, decays);
        }
    }

    /// Balances what the grid holds with what it gives, and says when the first component changes by itself.
    pub(super) fn balance(&mut self) -> Time {
        let (mut others_w, mut next, is_whole) = (0.0, Time::MAX, self.areas.whole().is_some());
        for (index, component) in self.components.iter().enumerate() {
            if index != self.connection && (is_whole || self.areas.areas()[index] == SectionIndex::MAIN) {
                others_w += component.own_w();
            }
            next = next.min(component.breakpoint());
        }
        let (mode, now) = (self.mode(), self.now);
        let connection = self.connection_mut();
        connection.power_w = match mode {
            BusMode::Grid | BusMode::Dead => 0.0 - others_w,
            BusMode::Island => 0.0,
        };
        next = next.min(connection.mains_due(now));
        if self.areas.has_ties() {
            self.balance_ties();
        }
        next
    }

    /// Finds what flows through every tie now.
    fn balance_ties(&mut self) {
        for section in self.areas.indexes() {
            let Some((index, _to)) = self.areas.section(section).tie else { continue };
            let mut behind_w = 0.0;
            if self.areas.closed_tie(section).is_some() {
                for (component, at) in self.components.iter().zip(self.areas.stands()) {
                    if self.areas.is_behind(*at, section) {
                        behind_w += component.own_w();
                    }
                }
            }
            self.tie_mut(index).power_w = 0.0 - behind_w;
        }
    }
}

#[inline]
fn motion_of<'a>(flow: &ConnectionFlow, span_s: f64, decays: &'a [Decay]) -> Motion<'a> {
    Motion { straight_start: flow.straight_start_w, straight_end: flow.straight_end_w, span_s, decays }
}

/// Takes a battery's part from the exchange; parts with one time constant in a row die away as one.
#[inline]
fn add_decay(decays: &mut Vec<Decay>, decay: Decay) {
    if let Some(last) = decays.last_mut()
        && last.lag_s.to_bits() == decay.lag_s.to_bits()
    {
        last.start -= decay.start;
        last.end -= decay.end;
        return;
    }
    decays.push(Decay { start: 0.0 - decay.start, end: 0.0 - decay.end, lag_s: decay.lag_s });
}

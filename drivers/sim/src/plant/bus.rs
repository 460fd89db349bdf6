//! A bus: components that share one voltage, and the connection that balances them.
//!
//! The bus moves from instant to instant. Between two of them nothing changes but along known curves, so it integrates once,
//! whole, and tells whoever watches. Where a component changes by itself lies such an instant, found by the component.
//! Nothing is allocated while it moves.
//!
//! **Invariant:** after `advance(to)` everything that is due at `to` has been done, and [`Bus::next_event`] is later.
//!
//! What holds it is the grid, formers of its own, or nothing: `island` has the second case. `commands` is what is done to a bus,
//! `readings` what is read of it.

mod commands;
mod island;
mod readings;

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::Time;

use super::motion::{Decay, Motion};
use super::swing::{ISLAND_STEP, Swing};
use super::{BusMode, Component, ComponentIndex, Connection, ConnectionFlow, WATT_HOURS_PER_JOULE, Watch};
use crate::sources::seconds;

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
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections { found } => write!(f, "a bus needs 1 connection to the grid, got {found}"),
            Self::TooMany { found } => {
                write!(f, "a bus has at most {MAX_COMPONENTS} components, got {found}")
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
    mode: BusMode,
    /// The frequency while the bus is an island.
    swing: Swing,
    /// The angle between an island and the grid, in turns, from minus a half to a half.
    turns: f64,
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
    /// A live bus at the run's start.
    ///
    /// # Errors
    /// [`BusError`] unless exactly one component is a connection.
    pub fn new(mut components: Vec<Component>) -> Result<Self, BusError> {
        if components.len() > MAX_COMPONENTS {
            return Err(BusError::TooMany { found: components.len() as u64 });
        }
        let is_connection = |component: &Component| matches!(component, Component::Connection(_));
        let found = components.iter().filter(|component| is_connection(component)).count() as u64;
        let connection = match components.iter().position(is_connection) {
            Some(connection) if found == 1 => connection,
            Some(_) | None => return Err(BusError::Connections { found }),
        };
        for component in &mut components {
            component.pass(Time::ZERO);
        }
        let has_relay =
            |component: &Component| matches!(component, Component::Load(load) if load.relay().is_some());
        let mut bus = Self {
            connection,
            mode: BusMode::Grid,
            swing: Swing::new(ISLAND_STEP, Time::ZERO, 1.0),
            turns: 0.0,
            has_relays: components.iter().any(has_relay),
            local: alloc::vec![false; components.len()],
            before_w: Vec::with_capacity(components.len()),
            now: Time::ZERO,
            breakpoint: Time::MAX,
            span_s: 0.0,
            decays: Vec::with_capacity(components.len()),
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
            let is_step = self.mode == BusMode::Island && until.since(from) == self.swing.step();
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

    /// What holds the bus.
    #[inline]
    pub fn mode(&self) -> BusMode {
        self.mode
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

    /// How the power at the point of common coupling moved in the last segment.
    #[inline]
    pub fn exchange(&self) -> Motion<'_> {
        motion_of(self.connection().flow(), self.span_s, &self.decays)
    }

    /// Integrates all components over a segment in which nothing changes, and the connection from their sum.
    #[inline]
    fn integrate(&mut self, until: Time) {
        let from = self.now;
        self.span_s = seconds(from, until);
        let speeds = self.speeds(until);
        let (mut start_w, mut end_w) = (0.0, 0.0);
        let (mut straight_start_w, mut straight_end_w) = (0.0, 0.0);
        self.decays.clear();
        for component in &mut self.components {
            let (first_w, last_w) = match component {
                Component::Connection(_) => continue,
                Component::Receiver(receiver) => {
                    receiver.integrate(until);
                    continue;
                }
                Component::Load(load) => {
                    load.integrate(from, until);
                    (load.flow().start_w, load.flow().end_w)
                }
                Component::Pv(pv) => {
                    pv.integrate(from, until);
                    (pv.flow().start_w, pv.flow().end_w)
                }
                Component::Genset(genset) => {
                    genset.integrate(from, until, speeds);
                    (genset.flow().start_w, genset.flow().end_w)
                }
                Component::Battery(battery) => {
                    battery.integrate(from, until);
                    let flow = battery.flow();
                    let straight_w = flow.curve.straight();
                    start_w -= flow.start_w;
                    end_w -= flow.end_w;
                    straight_start_w -= straight_w.0;
                    straight_end_w -= straight_w.1;
                    if flow.curve.has_decay() {
                        add_decay(&mut self.decays, flow.decay());
                    }
                    continue;
                }
            };
            start_w -= first_w;
            end_w -= last_w;
            straight_start_w -= first_w;
            straight_end_w -= last_w;
        }
        let flow = match self.mode {
            BusMode::Grid | BusMode::Dead => {
                ConnectionFlow { start_w, end_w, straight_start_w, straight_end_w, ..Default::default() }
            }
            // Through an open breaker nothing flows, not even what a sum of powers that balance is rounded to.
            BusMode::Island => ConnectionFlow::default(),
        };
        self.exchange_power(flow);
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

    /// Lets every component do what is due now.
    fn pass(&mut self, watch: &mut impl Watch) {
        if self.mode != BusMode::Grid || self.has_relays || self.connection().mains_due(self.now) <= self.now
        {
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
            // Each one takes a former off, or closes the breaker.
            rounds += 1;
            assert!(rounds <= MAX_COMPONENTS + 2, "who cannot go on was taken off");
            match self.mode {
                BusMode::Grid | BusMode::Dead => break self.balance(),
                // Who cannot go on was taken off: what is left is looked at anew.
                BusMode::Island => {
                    if let Some(next) = self.plan() {
                        break next;
                    }
                }
            }
        };
        assert!(next > self.now, "what is due has been done");
        self.breakpoint = next;
    }

    /// Balances the bus with what the grid gives, and says when the first component changes by itself.
    fn balance(&mut self) -> Time {
        let (mut others_w, mut next) = (0.0, if self.has_relays { self.see() } else { Time::MAX });
        for (index, component) in self.components.iter().enumerate() {
            if index != self.connection {
                others_w += component.power_w();
            }
            next = next.min(component.breakpoint());
        }
        if let Component::Connection(connection) = &mut self.components[self.connection] {
            connection.power_w = 0.0 - others_w;
            next = next.min(connection.mains_due(self.now));
        }
        next
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

//! A bus: components that share one voltage, and the connection that balances them.
//!
//! The bus moves from instant to instant. Between two of them nothing changes but along known curves, so it integrates once,
//! whole, and tells whoever watches. Where a component changes by itself lies such an instant, found by the component.
//! Nothing is allocated while it moves.
//!
//! **Invariant:** after `advance(to)` everything that is due at `to` has been done, and [`Bus::next_event`] is later.
//!
//! Only buses on a grid exist so far: with the breaker open the bus is dead.

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::units::{Vars, Watts};
use r_ems_engine::{Span, Time};

use super::motion::{Decay, Motion};
use super::{
    Component, ComponentIndex, Connection, ConnectionFlow, Electrical, GridValue, Position, Quantity, Supply,
    TruthPoint, WATT_HOURS_PER_JOULE, Watch,
};
use crate::sources::seconds;

/// Most components of one bus.
pub const MAX_COMPONENTS: usize = 1_024;

/// Most segments of one advance. More means that a component does not get on, which is a bug: a source of milliseconds
/// makes this many in three hours.
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
        let decays = Vec::with_capacity(components.len());
        let mut bus =
            Self { components, connection, now: Time::ZERO, breakpoint: Time::MAX, span_s: 0.0, decays };
        if bus.connection().position() == Position::Open {
            bus.energize(Supply::Dead);
        }
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
            if self.breakpoint <= until {
                self.pass(watch);
            }
            segments += 1;
            assert!(segments <= MAX_PER_ADVANCE, "a component of the bus does not get on");
        }
    }

    /// Gives a set-point to a battery, or a limit to a photovoltaic plant, at `now`, in W.
    ///
    /// # Panics
    /// If the component takes no command: whoever wires devices to components has checked that.
    pub fn command(&mut self, component: ComponentIndex, power: Watts, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, |component, at| component.command(power, at));
    }

    /// Gives a reactive set-point to an inverter at `now`, in var; what takes none does nothing.
    pub fn command_reactive(
        &mut self,
        component: ComponentIndex,
        power: Vars,
        now: Time,
        watch: &mut impl Watch,
    ) {
        if self.components[usize::from(component.0)].takes_reactive() {
            self.act(component, now, watch, |component, _at| component.command_reactive(power));
        }
    }

    /// Lets a device hear, at `now`, that somebody cares for its set-point.
    pub fn hear(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::hear);
    }

    /// Whether a device does what it was commanded last, as far as it can: a connection and a load are commanded nothing.
    pub fn is_commanded(&self, component: ComponentIndex) -> bool {
        match &self.components[usize::from(component.0)] {
            Component::Battery(battery) => battery.is_commanded(),
            Component::Pv(pv) => pv.is_commanded(),
            Component::Connection(_) | Component::Load(_) | Component::Receiver(_) => false,
        }
    }

    /// A device falls back from now on when it follows a set-point and hears no heartbeat for so long. To be said before anything
    /// happens.
    pub fn expect_heartbeats(&mut self, component: ComponentIndex, timeout: Span) {
        self.components[usize::from(component.0)].expect_heartbeats(timeout);
    }

    /// Starts the inverter of a battery at `now`: it runs after its start delay, or at once if it is ready; nothing happens
    /// if it is on its way or running.
    ///
    /// # Panics
    /// If the component is no battery.
    pub fn start(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, |component, at| component.battery().start(at));
    }

    /// Stops the inverter of a battery at `now` and opens its contactors.
    ///
    /// # Panics
    /// If the component is no battery.
    pub fn stop(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, |component, at| component.battery().stop(at));
    }

    /// Restarts what controls a component at `now`: it forgets its set-point. A connection and a load have none.
    pub fn restart(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::restart);
    }

    /// Opens or closes the breaker of the connection at `now`.
    pub fn breaker(&mut self, position: Position, now: Time, watch: &mut impl Watch) {
        self.advance(now, watch);
        if self.connection().position() == position {
            return;
        }
        let Component::Connection(connection) = &mut self.components[self.connection] else {
            unreachable!("the index of the connection was found at construction and never changes");
        };
        let supply = connection.switch(position);
        let exchanged_w = connection.power_w;
        for index in 0..self.components.len() {
            let before_w = self.components[index].power_w();
            self.components[index].energize(supply, self.now);
            self.report(ComponentIndex(index as u16), before_w, watch);
        }
        self.settle();
        self.report(self.connection_index(), exchanged_w, watch);
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

    /// A point that can be read from now on; none if the component does not exist or has no such value.
    pub fn truth(&self, component: ComponentIndex, quantity: Quantity) -> Option<TruthPoint> {
        self.read(component, quantity)?;
        Some(TruthPoint { component, quantity })
    }

    /// Sets a value of the grid behind the connection at `now`; none: it follows its own course again.
    pub fn set_grid(&mut self, what: GridValue, value: Option<f64>, now: Time, watch: &mut impl Watch) {
        self.act(self.connection_index(), now, watch, |component, at| {
            if let Component::Connection(connection) = component {
                connection.set(what, value, at);
            }
        });
    }

    /// Sets what a receiver tells at `now`; none: it follows its own course again.
    pub fn set_signal(
        &mut self,
        receiver: ComponentIndex,
        share: Option<f64>,
        now: Time,
        watch: &mut impl Watch,
    ) {
        self.act(receiver, now, watch, |component, at| {
            if let Component::Receiver(receiver) = component {
                receiver.set(share, at);
            }
        });
    }

    /// What the bus had at the start of the last segment and has at its end.
    pub fn electrical(&self) -> (Electrical, Electrical) {
        let (mut first_var, mut last_var) = (0.0, 0.0);
        for component in &self.components {
            let (start_w, end_w) = component.ends_w();
            first_var -= component.reactive_var(start_w);
            last_var -= component.reactive_var(end_w);
        }
        let (connection, flow) = (self.connection(), self.connection().flow());
        let from = Time::from_nanos(self.now.as_nanos() - Span::from_secs_f64(self.span_s).as_nanos());
        (
            connection.electrical(from, flow.start_w, first_var),
            connection.electrical(self.now, flow.end_w, last_var),
        )
    }

    /// What the bus has at the present instant.
    fn electrical_now(&self) -> Electrical {
        let reactive = |sum, component: &Component| sum - component.reactive_var(component.power_w());
        let reactive_var = self.components.iter().fold(0.0, reactive);
        let connection = self.connection();
        connection.electrical(self.now, connection.power_w, reactive_var)
    }

    fn read(&self, component: ComponentIndex, quantity: Quantity) -> Option<f64> {
        if component != self.connection_index() {
            return self.components.get(usize::from(component.0))?.value(quantity);
        }
        match quantity {
            Quantity::ReactivePower => Some(self.electrical_now().reactive_var),
            Quantity::Voltage => Some(self.electrical_now().voltage_pu),
            Quantity::Frequency => Some(self.electrical_now().frequency_hz),
            _ => self.connection().value(quantity),
        }
    }

    /// The value of a point at the present instant, in the unit that its [`Quantity`] states.
    pub fn value(&self, point: TruthPoint) -> f64 {
        self.read(point.component, point.quantity).expect("`truth` makes points of existing values only")
    }

    /// Integrates all components over a segment in which nothing changes, and the connection from their sum.
    #[inline]
    fn integrate(&mut self, until: Time) {
        let from = self.now;
        self.span_s = seconds(from, until);
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
                Component::Battery(battery) => {
                    battery.integrate(until);
                    let flow = battery.flow();
                    start_w -= flow.start_w;
                    end_w -= flow.end_w;
                    straight_start_w -= flow.curve.target_w;
                    straight_end_w -= flow.curve.target_w;
                    if !flow.curve.is_settled() {
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
        let flow = ConnectionFlow { start_w, end_w, straight_start_w, straight_end_w, ..Default::default() };
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

    /// Moves to `now` and does something with a component there.
    fn act(
        &mut self,
        component: ComponentIndex,
        now: Time,
        watch: &mut impl Watch,
        action: impl FnOnce(&mut Component, Time),
    ) {
        self.advance(now, watch);
        let at = self.now;
        let exchanged_w = self.connection().power_w;
        let target = &mut self.components[usize::from(component.0)];
        let before_w = target.power_w();
        action(target, at);
        if target.breakpoint() <= at {
            target.pass(at);
        }
        self.settle();
        self.report(component, before_w, watch);
        self.report(self.connection_index(), exchanged_w, watch);
    }

    /// Tells of a jump.
    fn report(&self, component: ComponentIndex, before_w: f64, watch: &mut impl Watch) {
        let after_w = self.components[usize::from(component.0)].power_w();
        if after_w.to_bits() != before_w.to_bits() {
            watch.step(self, self.now, component, before_w, after_w);
        }
    }

    /// Takes voltage from all components or gives it back.
    fn energize(&mut self, supply: Supply) {
        for component in &mut self.components {
            component.energize(supply, self.now);
        }
    }

    /// Balances the bus and finds the next breakpoint, after something has changed.
    fn settle(&mut self) {
        let (mut others_w, mut next) = (0.0, Time::MAX);
        for (index, component) in self.components.iter().enumerate() {
            if index != self.connection {
                others_w += component.power_w();
            }
            next = next.min(component.breakpoint());
        }
        assert!(next > self.now, "what is due has been done");
        self.breakpoint = next;
        if let Component::Connection(connection) = &mut self.components[self.connection] {
            connection.power_w = 0.0 - others_w;
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

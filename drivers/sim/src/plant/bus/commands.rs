//! What is done to a bus: set-points, starts and stops, breakers, the grid behind it.

use r_ems_engine::units::{Vars, Watts};
use r_ems_engine::{Span, Time};

use super::super::{BusMode, Component, ComponentIndex, GridValue, Position, Watch};
use super::Bus;

/// Powers that differ by less than this share, and by less than this in W, are one.
const SAME_SHARE: f64 = 1e-9;
const SAME_W: f64 = 1e-6;

impl Bus {
    /// Gives a set-point to a battery, or a limit to a photovoltaic plant, at `now`, in W; what else it does to what is switched,
    /// such as the breaker of the connection, its component says.
    ///
    /// # Panics
    /// If the component takes no command: whoever wires devices to components has checked that.
    pub fn command(&mut self, component: ComponentIndex, power: Watts, now: Time, watch: &mut impl Watch) {
        if component == self.connection_index() {
            let position = if power == Watts::ZERO { Position::Open } else { Position::Closed };
            return self.breaker(position, now, watch);
        }
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

    /// Whether a device does what it was commanded last, as far as it can: what is switched stays so, and never forgets
    /// what it was commanded.
    pub fn is_commanded(&self, component: ComponentIndex) -> bool {
        match &self.components[usize::from(component.0)] {
            Component::Battery(battery) => battery.is_commanded(),
            Component::Pv(pv) => pv.is_commanded(),
            Component::Connection(_)
            | Component::Load(_)
            | Component::Genset(_)
            | Component::Receiver(_)
            | Component::Tie(_) => false,
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
        self.act(component, now, watch, Component::start);
    }

    /// Stops the inverter of a battery at `now` and opens its contactors.
    ///
    /// # Panics
    /// If the component is no battery.
    pub fn stop(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::stop);
    }

    /// A component trips at `now`, and nobody starts it before the fault is over.
    ///
    /// # Panics
    /// If it has no protection of its own.
    pub fn fail(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::fail);
    }

    /// A fault is over at `now`: the component starts again, or can be reset.
    pub fn recover(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::recover);
    }

    /// Somebody stands at a component's panel from `now` on: it goes on with what it does.
    pub fn take_to_panel(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, |component, _at| component.take_to_panel());
        self.local[usize::from(component.0)] = true;
    }

    /// A component is controlled from afar again from `now` on.
    pub fn give_back(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::give_back);
        self.local[usize::from(component.0)] = false;
    }

    /// Restarts what controls a component at `now`: it forgets its set-point. A connection and a load have none.
    pub fn restart(&mut self, component: ComponentIndex, now: Time, watch: &mut impl Watch) {
        self.act(component, now, watch, Component::restart);
    }

    /// Opens the breaker of the connection at `now`, or closes it: at once where the bus is dead, and on an island as soon as its
    /// synchro-check allows it.
    pub fn breaker(&mut self, position: Position, now: Time, watch: &mut impl Watch) {
        self.advance(now, watch);
        if self.connection().position() == position && !self.connection().waits() {
            return;
        }
        self.change(watch, |bus| {
            let (mode, is, at) = (bus.mode(), bus.difference(), bus.now);
            let connection = bus.connection_mut();
            match (position, mode) {
                (Position::Closed, BusMode::Island) => connection.ask(is, at),
                (Position::Open | Position::Closed, _) => connection.switch(position),
            }
        });
    }

    /// Opens a tie at `now`, or closes it: at once where one of its sides is dead, and between two live ones as soon as its
    /// synchro-check allows it.
    ///
    /// # Panics
    /// If the component is no tie.
    pub fn tie_breaker(
        &mut self,
        tie: ComponentIndex,
        position: Position,
        now: Time,
        watch: &mut impl Watch,
    ) {
        self.advance(now, watch);
        let breaker = &self.tie(tie).breaker;
        if breaker.position() == position && !breaker.waits() {
            return;
        }
        self.change(watch, |bus| {
            let (section, to, at) = (bus.section_of(tie), bus.tie(tie).to(), bus.now);
            match position {
                Position::Closed if !bus.has_dead_side(section, to) => {
                    let is = bus.difference_across(section, to);
                    bus.tie_mut(tie).breaker.ask(is, at);
                }
                Position::Open | Position::Closed => bus.tie_mut(tie).breaker.switch(position),
            }
        });
    }

    /// Opens or closes the breaker of a load at `now`; a load that was shed comes back so and not by itself.
    ///
    /// # Panics
    /// If the component is no load.
    pub fn load_breaker(
        &mut self,
        load: ComponentIndex,
        position: Position,
        now: Time,
        watch: &mut impl Watch,
    ) {
        self.act(load, now, watch, |component, _at| match component {
            Component::Load(load) => load.switch(position),
            Component::Connection(_)
            | Component::Pv(_)
            | Component::Battery(_)
            | Component::Genset(_)
            | Component::Receiver(_)
            | Component::Tie(_) => {
                panic!("only a load has a breaker of its own")
            }
        });
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
        if !self.is_plain() {
            self.change(watch, |bus| {
                let target = &mut bus.components[usize::from(component.0)];
                action(target, at);
                if target.breakpoint() <= at {
                    target.pass(at);
                }
            });
            return;
        }
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

    /// Changes something at the present instant on any bus, settles it and tells of every jump.
    pub(super) fn change(&mut self, watch: &mut impl Watch, action: impl FnOnce(&mut Self)) {
        let mut before_w = core::mem::take(&mut self.before_w);
        before_w.clear();
        before_w.extend(self.components.iter().map(Component::power_w));
        self.commit();
        action(self);
        self.settle();
        let connection = self.connection;
        let others = (0..before_w.len()).filter(|index| *index != connection);
        for index in others.chain([connection]) {
            let (was_w, is_w) = (before_w[index], self.components[index].power_w());
            // Lines that meet at the end of a step are rounded.
            if (is_w - was_w).abs() > SAME_SHARE * (is_w.abs() + was_w.abs()) + SAME_W {
                watch.step(self, self.now, ComponentIndex(index as u16), was_w, is_w);
            }
        }
        self.before_w = before_w;
    }
}

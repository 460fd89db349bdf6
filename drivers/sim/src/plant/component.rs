//! What can be connected to a bus, and what can be read from it.
//!
//! A new kind of component is one file and one line of [`Component`]; the compiler then names every place that has to say
//! something about it.

use r_ems_engine::units::{Vars, Watts};
use r_ems_engine::{Span, Time};

use super::{Battery, BusMode, BusTie, Connection, Genset, Load, Position, Pv, Receiver};

/// Which component of its bus; dense, in the order in which they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentIndex(pub u16);

/// Anything on a bus. One line per kind.
#[derive(Clone, Debug)]
pub enum Component {
    /// The connection to the grid.
    Connection(Connection),
    /// Consumption.
    Load(Load),
    /// Generation from the sun.
    Pv(Pv),
    /// Storage.
    Battery(Battery),
    /// What tells the grid operator's signal; it moves no power.
    Receiver(Receiver),
    /// Generation from fuel.
    Genset(Genset),
    /// The breaker between two sections.
    Tie(BusTie),
}

/// What of a component is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Active power in W, positive into the bus.
    Power,
    /// State of charge as it is, 0 to 1.
    StateOfCharge,
    /// State of charge as the device reports it, 0 to 1.
    ReportedStateOfCharge,
    /// Stored energy in Wh.
    StoredEnergy,
    /// What could be made, in W, curtailed or not.
    AvailablePower,
    /// 1 while less is made than could be, else 0: then a device cannot know the available power.
    Curtailed,
    /// The most that may be charged now, in W, a magnitude.
    ChargeLimit,
    /// The most that may be discharged now, in W.
    DischargeLimit,
    /// The set-point or limit that the device holds, in W.
    SetPoint,
    /// What is wanted, in W, a magnitude, served or not.
    Demand,
    /// 1 if the breaker is closed, else 0.
    Closed,
    /// Reactive power in var, positive if it is injected into the bus.
    ReactivePower,
    /// Voltage as a multiple of the nominal one.
    Voltage,
    /// Frequency in Hz.
    Frequency,
    /// The reactive set-point that the device holds, in var.
    ReactiveSetPoint,
    /// What the grid operator allows, 0 to 1.
    Signal,
    /// How it stands: of a connection, and of the section of a tie, 0 for dead, 1 for an island, 2 for the grid; of a genset the
    /// number of its state.
    State,
    /// The number of its mode, as a device tells it.
    Mode,
    /// 1 while it is controlled from afar, 0 while somebody stands at its panel.
    Remote,
    /// How often its protection has opened its breaker; of a connection or a tie, how often it was closed out of phase.
    Trips,
    /// 1 while a breaker waits to be closed in phase, else 0.
    Waiting,
    /// Fuel burnt since the run's start, in l.
    Fuel,
    /// How long the engine has run since the run's start, in h.
    RunningHours,
    /// How often the engine has come to run.
    Starts,
    /// Voltage of the grid behind a connection, as a multiple of the nominal one, whatever holds the bus.
    GridVoltage,
    /// Frequency of the grid behind a connection, in Hz, whatever holds the bus.
    GridFrequency,
}

/// A value of the plant that is known to exist: made by `Bus::truth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TruthPoint {
    pub(super) component: ComponentIndex,
    pub(super) quantity: Quantity,
}

impl TruthPoint {
    /// Whose value it is.
    pub fn component(self) -> ComponentIndex {
        self.component
    }

    /// Which value it is.
    pub fn quantity(self) -> Quantity {
        self.quantity
    }
}

impl Component {
    /// Power at the present instant, in W, positive into the bus.
    #[inline]
    pub fn power_w(&self) -> f64 {
        match self {
            Self::Connection(connection) => connection.power_w,
            Self::Load(load) => load.power_w(),
            Self::Pv(pv) => pv.power_w(),
            Self::Battery(battery) => battery.power_w(),
            Self::Receiver(_) => 0.0,
            Self::Genset(genset) => genset.power_w(),
            Self::Tie(tie) => tie.power_w,
        }
    }

    /// What it gives to the bus itself now, in W: a connection and a tie carry what others do.
    #[inline]
    pub(super) fn own_w(&self) -> f64 {
        match self {
            Self::Connection(_) | Self::Receiver(_) | Self::Tie(_) => 0.0,
            Self::Load(load) => load.power_w(),
            Self::Pv(pv) => pv.power_w(),
            Self::Battery(battery) => battery.power_w(),
            Self::Genset(genset) => genset.power_w(),
        }
    }

    /// Power at the start and at the end of the last segment, in W.
    #[inline]
    pub fn ends_w(&self) -> (f64, f64) {
        match self {
            Self::Connection(connection) => (connection.flow().start_w, connection.flow().end_w),
            Self::Load(load) => (load.flow().start_w, load.flow().end_w),
            Self::Pv(pv) => (pv.flow().start_w, pv.flow().end_w),
            Self::Battery(battery) => (battery.flow().start_w, battery.flow().end_w),
            Self::Receiver(_) => (0.0, 0.0),
            Self::Genset(genset) => (genset.flow().start_w, genset.flow().end_w),
            Self::Tie(tie) => (tie.flow().start_w, tie.flow().end_w),
        }
    }

    /// The value of `quantity`; none if this kind of component has none.
    #[inline]
    pub fn value(&self, quantity: Quantity) -> Option<f64> {
        match self {
            Self::Connection(connection) => connection.value(quantity),
            Self::Load(load) => load.value(quantity),
            Self::Pv(pv) => pv.value(quantity),
            Self::Battery(battery) => battery.value(quantity),
            Self::Receiver(receiver) => receiver.value(quantity),
            Self::Genset(genset) => genset.value(quantity),
            Self::Tie(tie) => tie.value(quantity),
        }
    }

    /// Reactive power that goes with so much active power of it, in var, positive into the bus.
    pub(super) fn reactive_var(&self, power_w: f64) -> f64 {
        match self {
            Self::Load(load) => load.reactive_of(power_w),
            Self::Pv(pv) => pv.reactive_of(power_w),
            Self::Battery(battery) => battery.reactive_of(power_w),
            Self::Connection(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => 0.0,
        }
    }

    pub(super) fn breakpoint(&self) -> Time {
        match self {
            Self::Connection(connection) => connection.breakpoint(),
            Self::Load(load) => load.breakpoint(),
            Self::Pv(pv) => pv.breakpoint(),
            Self::Battery(battery) => battery.breakpoint(),
            Self::Receiver(receiver) => receiver.breakpoint(),
            Self::Genset(genset) => genset.breakpoint(),
            Self::Tie(_) => Time::MAX,
        }
    }

    /// Does what is due at `now`.
    pub(super) fn pass(&mut self, now: Time) {
        match self {
            Self::Connection(connection) => connection.pass(now),
            Self::Load(load) => load.pass(now),
            Self::Pv(pv) => pv.pass(now),
            Self::Battery(battery) => battery.pass(now),
            Self::Receiver(receiver) => receiver.pass(now),
            Self::Genset(genset) => genset.pass(now),
            Self::Tie(_) => {}
        }
    }

    /// Lets the component know what holds its part of the bus from now on.
    pub(super) fn energize(&mut self, mode: BusMode, now: Time) {
        let supply = mode.supply();
        match self {
            Self::Connection(_) | Self::Receiver(_) | Self::Tie(_) => {}
            Self::Load(load) => load.energize(supply),
            Self::Pv(pv) => {
                pv.energize(supply);
                pv.pass(now);
            }
            Self::Battery(battery) => battery.energize(supply, now),
            Self::Genset(genset) => genset.energize(mode, now),
        }
    }

    /// Gives a set-point to a battery, or a limit to a photovoltaic plant. A genset runs with its set-point and stops by 0 W, and
    /// the breaker of a load opens by 0 W and closes by any other.
    ///
    /// # Panics
    /// If the component takes no command: whoever wires devices to components has checked that.
    pub(super) fn command(&mut self, power: Watts, now: Time) {
        match self {
            Self::Pv(pv) => {
                pv.command(power, now);
                pv.pass(now);
            }
            Self::Battery(battery) => battery.command(power, now),
            Self::Genset(genset) if power == Watts::ZERO => genset.stop(now),
            Self::Genset(genset) => {
                genset.start(now);
                genset.command(power, now);
            }
            Self::Load(load) => {
                load.switch(if power == Watts::ZERO { Position::Open } else { Position::Closed })
            }
            Self::Connection(_) | Self::Receiver(_) | Self::Tie(_) => {
                panic!(
                    "a receiver takes no set-point, and the bus moves the breakers of a connection and of ties"
                )
            }
        }
    }

    /// Whether it takes set-points, or has a breaker that does.
    pub(super) const fn is_controlled(&self) -> bool {
        match self {
            Self::Receiver(_) | Self::Tie(_) => false,
            Self::Connection(_) | Self::Load(_) | Self::Pv(_) | Self::Battery(_) | Self::Genset(_) => true,
        }
    }

    /// Whether it takes reactive set-points.
    pub(super) fn takes_reactive(&self) -> bool {
        match self {
            Self::Pv(pv) => pv.takes_reactive(),
            Self::Battery(battery) => battery.takes_reactive(),
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => false,
        }
    }

    /// Gives a reactive set-point to an inverter. A connection and a load take none.
    pub(super) fn command_reactive(&mut self, power: Vars) {
        match self {
            Self::Pv(pv) => pv.command_reactive(power),
            Self::Battery(battery) => battery.command_reactive(power),
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => {}
        }
    }

    /// Hears that somebody cares for its set-point. A connection and a load have none, and a genset keeps its own.
    pub(super) fn hear(&mut self, now: Time) {
        match self {
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => {}
            Self::Pv(pv) => pv.hear(now),
            Self::Battery(battery) => battery.hear(now),
        }
    }

    /// Falls back from now on when it hears nobody for so long.
    pub(super) fn expect_heartbeats(&mut self, timeout: Span) {
        match self {
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => {}
            Self::Pv(pv) => pv.expect_heartbeats(timeout),
            Self::Battery(battery) => battery.expect_heartbeats(timeout),
        }
    }

    /// Forgets the set-point: a battery rests as after its reversion, a photovoltaic plant makes what it can.
    pub(super) fn restart(&mut self, now: Time) {
        match self {
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => {}
            Self::Pv(pv) => {
                pv.restart(now);
                pv.pass(now);
            }
            Self::Battery(battery) => battery.restart(now),
        }
    }

    /// Trips until the fault is over.
    ///
    /// # Panics
    /// If it has no protection of its own.
    pub(super) fn fail(&mut self, now: Time) {
        match self {
            Self::Pv(pv) => {
                pv.fail();
                pv.pass(now);
            }
            Self::Battery(battery) => battery.fail(now),
            Self::Genset(genset) => genset.fail(now),
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Tie(_) => {
                panic!("only a battery, a photovoltaic plant or a genset trips by itself")
            }
        }
    }

    /// The fault is over.
    pub(super) fn recover(&mut self, now: Time) {
        match self {
            Self::Pv(pv) => {
                pv.recover(now);
                pv.pass(now);
            }
            Self::Battery(battery) => battery.recover(now),
            Self::Genset(genset) => genset.recover(now),
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Tie(_) => {}
        }
    }

    /// Somebody stands at its panel: it goes on with what it does, and falls back for nobody.
    pub(super) fn take_to_panel(&mut self) {
        match self {
            Self::Pv(pv) => pv.take_to_panel(),
            Self::Battery(battery) => battery.take_to_panel(),
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => {}
        }
    }

    /// It is controlled from afar again, and waits as long as after a set-point.
    pub(super) fn give_back(&mut self, now: Time) {
        match self {
            Self::Pv(pv) => pv.give_back(now),
            Self::Battery(battery) => battery.give_back(now),
            Self::Connection(_) | Self::Load(_) | Self::Receiver(_) | Self::Genset(_) | Self::Tie(_) => {}
        }
    }

    /// Starts a battery's inverter or a genset.
    ///
    /// # Panics
    /// If it is neither.
    pub(super) fn start(&mut self, now: Time) {
        match self {
            Self::Battery(battery) => battery.start(now),
            Self::Genset(genset) => genset.start(now),
            Self::Connection(_) | Self::Load(_) | Self::Pv(_) | Self::Receiver(_) | Self::Tie(_) => {
                panic!("only a battery or a genset is started")
            }
        }
    }

    /// Stops a battery's inverter or a genset.
    ///
    /// # Panics
    /// If it is neither.
    pub(super) fn stop(&mut self, now: Time) {
        match self {
            Self::Battery(battery) => battery.stop(now),
            Self::Genset(genset) => genset.stop(now),
            Self::Connection(_) | Self::Load(_) | Self::Pv(_) | Self::Receiver(_) | Self::Tie(_) => {
                panic!("only a battery or a genset is stopped")
            }
        }
    }
}

/// 1 for yes, 0 for no, as points have it.
pub(super) fn flag(yes: bool) -> Option<f64> {
    Some(if yes { 1.0 } else { 0.0 })
}

//! What operators tell a controller about its devices: set-points by hand, and an emergency stop.
//!
//! A set-point by hand counts where a function of the stack takes it ([`crate::functions::Manual`]), in the place that the site
//! gives that function: what stands above it, such as a connection limit, still binds. It lasts for what the operator said, at
//! most [`MANUAL_MAX`], by this host's clock, which no time server moves; a standby gets it with what is left of it. A boot ends
//! it: whoever gave the order saw another life's measurements.
//!
//! **Emergency stop.** From the next scan on every set-point is 0, before any function is asked, and nothing is started, until
//! [`Command::Reset`]. It is latched in the controller's state: a boot that recovers that state, or the memory of another
//! version, boots stopped, and a standby gets it with the active's memory. Whoever begins with nothing, because its journal is
//! lost or not kept, or takes over without that memory, does not know of it. So this is **no safety function**: what must not
//! move is disconnected by hardware.
//!
//! Only who may write takes orders; the others refuse, because nobody would hear it from them.

use serde::{Deserialize, Serialize};

use super::Controller;
use super::composition::Composition;
use super::group::Group;
use super::operation::Operation;
use crate::carry::Carry;
use crate::event::Event;
use crate::functions::{Function, Rank};
use crate::ids::{DeviceIndex, GroupIndex};
use crate::machine::Effects;
use crate::points::DeviceClass;
use crate::redundancy::supervisor::CommandRefusal;
use crate::redundancy::{Command, Role};
use crate::time::{LocalTime, Span};
use crate::units::Watts;

/// Longest time for which a set-point by hand counts: who wants it for longer says it again, and so is still there.
pub const MANUAL_MAX: Span = Span::from_hours(1);

/// Whose set-point is given by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aim {
    /// One device that has a set-point of its own.
    Device(DeviceIndex),
    /// All devices of a class, which share one: `batteries`, `pvs`.
    All(DeviceClass),
}

/// A power as it crosses from who commands: commands are compared and kept whole, so they hold no floating-point numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milliwatts(pub i64);

impl Milliwatts {
    /// The nearest to a power; beyond what can be said, the largest.
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, which is meant")]
    pub fn of(power: Watts) -> Self {
        let scaled = power.watts() * 1e3;
        Self((if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64)
    }

    /// As a power.
    #[expect(clippy::cast_precision_loss, reason = "beyond 9 TW, which no site has")]
    pub fn watts(self) -> Watts {
        Watts::of(self.0 as f64 / 1e3)
    }
}

/// A set-point by hand that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The power, positive into the bus; of generators what they are limited to.
    pub power: Watts,
    /// The instant from which on it counts no more.
    pub until: LocalTime,
}

impl Order {
    /// Passes it; what is left of it goes on by the clock of who takes it.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.watts(&mut self.power);
        carry.instant(&mut self.until);
    }
}

/// Why a set-point by hand counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManualEnd {
    /// Its time is over.
    Expired,
    /// An operator withdrew it.
    Released,
    /// An emergency stop.
    EmergencyStop,
    /// The controller began a new life.
    Boot,
}

impl ManualEnd {
    /// The reason in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "its time is over",
            Self::Released => "an operator withdrew it",
            Self::EmergencyStop => "an emergency stop ended it",
            Self::Boot => "the controller began anew",
        }
    }
}

impl<F: Function> Controller<F> {
    /// Does what an operator tells the devices, or says why not.
    pub(super) fn order(&mut self, now: LocalTime, command: Command, out: &mut Effects) {
        let done = if self.redundancy.role() == Role::Witness {
            Err(CommandRefusal::Witness)
        } else if self.redundancy.authority(now).is_none() {
            Err(CommandRefusal::TakesNoOrders)
        } else {
            self.carry_out_order(now, command, out)
        };
        if let Err(refusal) = done {
            out.report(Event::CommandRefused { command, refusal });
        }
    }

    fn carry_out_order(
        &mut self,
        now: LocalTime,
        command: Command,
        out: &mut Effects,
    ) -> Result<(), CommandRefusal> {
        match command {
            Command::SetPoint { to, power, lasts } => self.set_by_hand(now, to, power, lasts, out),
            Command::ReleaseSetPoint { to } => {
                let group = self.composition.group_by_hand(to).ok_or(CommandRefusal::NotByHand)?;
                let order = self.composition.group_mut(group).by_hand.take();
                order.ok_or(CommandRefusal::NothingToRelease)?;
                out.report(Event::ManualEnded { group, why: ManualEnd::Released });
                Ok(())
            }
            Command::EmergencyStop => {
                if self.composition.stop(true) {
                    self.end_orders(ManualEnd::EmergencyStop, out);
                    if self.composition.operation() == Operation::Hold {
                        // Who resets the stop has not seen what was held.
                        self.composition.ordered.say(Operation::Auto, now);
                        out.report(Event::OperationChanged { operation: Operation::Auto });
                    }
                    self.tell_memory(now, out);
                }
                // Who asks again is answered, too.
                out.report(Event::EmergencyStopBegan);
                Ok(())
            }
            Command::Reset => {
                if !self.composition.stop(false) {
                    return Err(CommandRefusal::NotStopped);
                }
                out.report(Event::EmergencyStopEnded);
                self.tell_memory(now, out);
                Ok(())
            }
            Command::Operate { operation, lasts } => {
                if operation == Operation::Hold && (lasts == Span::ZERO || lasts > MANUAL_MAX) {
                    return Err(CommandRefusal::TooLong);
                }
                if operation == Operation::Hold && self.composition.is_stopped() {
                    return Err(CommandRefusal::EmergencyStop);
                }
                if self.composition.ordered.say(operation, now + lasts) {
                    self.tell_memory(now, out);
                }
                // Who asks again is answered, too.
                out.report(Event::OperationChanged { operation });
                Ok(())
            }
            Command::SwitchOver { .. }
            | Command::Maintenance { .. }
            | Command::Sole { .. }
            | Command::Stop
            | Command::Snapshot
            | Command::Return => unreachable!("this is no order to devices"),
        }
    }

    /// Tells the standbys at once: one of them may have authority before the next scan.
    fn tell_memory(&mut self, now: LocalTime, out: &mut Effects) {
        self.transfer.send(now, &mut self.redundancy, (&mut self.composition, &mut self.image), out);
    }

    /// Tells that an emergency stop began or ended with what was taken from another host or another life.
    pub(super) fn tell_stop(&self, was_stopped: bool, out: &mut Effects) {
        match (was_stopped, self.composition.is_stopped()) {
            (false, true) => out.report(Event::EmergencyStopBegan),
            (true, false) => out.report(Event::EmergencyStopEnded),
            (false, false) | (true, true) => {}
        }
    }

    /// Tells how an operator has the grid run where that was taken from another host or another life.
    pub(super) fn tell_ordered(&self, was: Operation, out: &mut Effects) {
        let operation = self.composition.operation();
        if operation != was {
            out.report(Event::OperationChanged { operation });
        }
    }

    fn set_by_hand(
        &mut self,
        now: LocalTime,
        to: Aim,
        power: Milliwatts,
        lasts: Span,
        out: &mut Effects,
    ) -> Result<(), CommandRefusal> {
        let index = self.composition.group_by_hand(to).ok_or(CommandRefusal::NotByHand)?;
        if lasts == Span::ZERO || lasts > MANUAL_MAX {
            return Err(CommandRefusal::TooLong);
        }
        if self.composition.is_stopped() {
            return Err(CommandRefusal::EmergencyStop);
        }
        let group = self.composition.group_mut(index);
        let power = power.watts();
        let (lowest, highest) = group.class().range(group.rating());
        if power < lowest || power > highest {
            return Err(CommandRefusal::BeyondRating);
        }
        group.by_hand = Some(Order { power, until: now + lasts });
        out.report(Event::ManualBegan { group: index, power, lasts });
        Ok(())
    }

    /// Ends all set-points by hand.
    pub(super) fn end_orders(&mut self, why: ManualEnd, out: &mut Effects) {
        self.composition.end_orders(|_order| true, |group| out.report(Event::ManualEnded { group, why }));
    }

    /// Ends those set-points by hand whose time is over; who may write tells it.
    pub(super) fn expire_orders(&mut self, now: LocalTime, out: &mut Effects) {
        let tells = self.redundancy.authority(now).is_some();
        let tell = |group| {
            if tells {
                out.report(Event::ManualEnded { group, why: ManualEnd::Expired });
            }
        };
        self.composition.end_orders(|order| now >= order.until, tell);
        if self.composition.ordered.expire(now) && tells {
            out.report(Event::OperationChanged { operation: Operation::Auto });
        }
    }

    /// Whether an emergency stop is latched.
    pub const fn is_stopped_in_emergency(&self) -> bool {
        self.composition.is_stopped()
    }
}

impl<F: Function> Composition<F> {
    /// The group that an order is about, if a function acts on it that takes orders.
    fn group_by_hand(&self, to: Aim) -> Option<GroupIndex> {
        let is_meant = |group: &Group| match to {
            Aim::Device(device) => group.members().iter().map(|member| member.device()).eq([device]),
            // Who names all means a group that is named so; of a single device both names do.
            Aim::All(class) => group.class() == class && self.is_only_of_class(group),
        };
        let place = self.groups().iter().position(is_meant).map(GroupIndex::of)?;
        let takes = |law: &F| law.rank() == Rank::Manual && law.groups().contains(&place);
        self.slots().iter().any(|slot| takes(slot.law())).then_some(place)
    }

    fn is_only_of_class(&self, group: &Group) -> bool {
        self.groups().iter().filter(|other| other.class() == group.class()).count() == 1
    }

    fn end_orders(&mut self, ends: impl Fn(&Order) -> bool, mut tell: impl FnMut(GroupIndex)) {
        for (position, group) in self.groups_mut().iter_mut().enumerate() {
            if group.by_hand.as_ref().is_some_and(&ends) {
                group.by_hand = None;
                tell(GroupIndex::of(position));
            }
        }
    }
}

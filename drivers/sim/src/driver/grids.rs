//! A grid's plant, with those who watch it.

use alloc::vec::Vec;

use r_ems_engine::Time;
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::units::{Vars, Watts};

use super::result::GridResult;
use crate::account::Account;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::links::Edge;
use crate::plant::{Bus, ComponentIndex, Watch};
use crate::reversion::Timers;
use crate::slot::Slot;
use crate::wire::{Page, own};
use crate::world::{GridWorld, InverterOrder, Level, PlantChange, Post};

/// One grid's plant with those who watch it.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) bus: Bus,
    pub(super) ledger: Ledger,
    limits: Limits,
    timers: Timers,
    pub(super) account: Account,
    /// By component: who is connected to a device that takes only one connection.
    pub(super) slots: Vec<Slot>,
    /// By component: the epoch that it has accepted last; a device that checks epochs refuses lower ones.
    pub(super) accepted: Vec<Epoch>,
    /// By component: what was written to its registers.
    pub(super) pages: Vec<Page>,
}

impl Grid {
    /// A grid at the run's start, with those who control it; the first window of its account ends at `first_window_ends`.
    pub(super) fn new<'p>(
        mut world: GridWorld,
        posts: impl Iterator<Item = &'p Post>,
        first_window_ends: Time,
    ) -> Self {
        let components = world.bus.components().len();
        let mut pages = alloc::vec![Page::default(); components];
        for post in posts {
            for map in &post.bus.devices {
                let Some(link) = post.links.get(map.device().position()) else { continue };
                let (own, image) = own(map);
                pages[usize::from(link.component.0)].know(&own, image);
                if let Some(timeout) = map.heartbeat_timeout() {
                    world.bus.expect_heartbeats(link.component, timeout);
                }
            }
        }
        Self {
            ledger: Ledger::new(&world.bus),
            limits: Limits::new(&world.bus),
            timers: Timers::new(&world.bus),
            account: Account::new(&world.bus, first_window_ends, world.shaving_limit),
            slots: alloc::vec![Slot::default(); components],
            accepted: alloc::vec![Epoch::NONE; components],
            pages,
            bus: world.bus,
        }
    }

    /// The plant and everybody who watches it, `others` among them.
    #[inline]
    pub(super) fn watched<'a>(&'a mut self, others: impl Watch + 'a) -> (&'a mut Bus, impl Watch + 'a) {
        let Self { bus, ledger, limits, timers, account, .. } = self;
        (bus, (ledger, (limits, (timers, (account, others)))))
    }

    /// A device accepts a write.
    pub(super) fn command(
        &mut self,
        component: ComponentIndex,
        (power, reactive): (Watts, Vars),
        at: Time,
        others: impl Watch,
    ) {
        {
            let (bus, mut watch) = self.watched(others);
            bus.command_reactive(component, reactive, at, &mut watch);
            bus.command(component, power, at, &mut watch);
        }
        self.timers.accepted(at, component);
    }

    /// A device hears a heartbeat.
    pub(super) fn hear(&mut self, component: ComponentIndex, at: Time, others: impl Watch) {
        {
            let (bus, mut watch) = self.watched(others);
            bus.hear(component, at, &mut watch);
        }
        self.timers.heard(at, component);
    }

    /// A device restarts: it forgets its set-point, the epochs that it has accepted, and who was connected to it.
    pub(super) fn restart(&mut self, component: ComponentIndex, at: Time, others: impl Watch) {
        self.slots[usize::from(component.0)] = Slot::default();
        self.accepted[usize::from(component.0)] = Epoch::NONE;
        self.pages[usize::from(component.0)].restart();
        self.release(component, at, others);
    }

    /// Something about the plant changes. While somebody stands at a device's panel it does what it does, whatever has become of
    /// its set-point; one that trips has forgotten it.
    pub(super) fn change(&mut self, change: PlantChange, at: Time, others: impl Watch) {
        {
            let (bus, mut watch) = self.watched(others);
            let watch = &mut watch;
            match change {
                PlantChange::Breaker(position) => bus.breaker(position, at, watch),
                PlantChange::Inverter(component, InverterOrder::Start) => bus.start(component, at, watch),
                PlantChange::Inverter(component, InverterOrder::Stop) => bus.stop(component, at, watch),
                PlantChange::Load(load, position) => bus.load_breaker(load, position, at, watch),
                PlantChange::Tie(tie, position) => bus.tie_breaker(tie, position, at, watch),
                PlantChange::Grid(what, level) => bus.set_grid(what, level.map(Level::value), at, watch),
                PlantChange::Signal(receiver, level) => {
                    bus.set_signal(receiver, level.map(Level::value), at, watch);
                }
                PlantChange::Panel(component, Edge::Begins) => bus.take_to_panel(component, at, watch),
                PlantChange::Panel(component, Edge::Ends) => bus.give_back(component, at, watch),
                PlantChange::Fault(component, Edge::Begins) => bus.fail(component, at, watch),
                PlantChange::Fault(component, Edge::Ends) => bus.recover(component, at, watch),
            }
        }
        match change {
            PlantChange::Panel(component, Edge::Ends) if self.bus.is_commanded(component) => {
                self.timers.accepted(at, component);
            }
            PlantChange::Panel(component, Edge::Begins) | PlantChange::Fault(component, _) => {
                self.timers.set_aside(component);
            }
            PlantChange::Panel(_, Edge::Ends)
            | PlantChange::Breaker(_)
            | PlantChange::Inverter(..)
            | PlantChange::Load(..)
            | PlantChange::Tie(..)
            | PlantChange::Grid(..)
            | PlantChange::Signal(..) => {}
        }
    }

    /// A device follows its set-point no longer, and falls back.
    pub(super) fn release(&mut self, component: ComponentIndex, at: Time, others: impl Watch) {
        {
            let (bus, mut watch) = self.watched(others);
            bus.restart(component, at, &mut watch);
        }
        self.timers.restarted(at, component);
    }

    /// What the plant did so far; the numbers of writes and of take-overs are known to the driver.
    pub(super) fn result(&self, writes: u64, take_overs: u64) -> GridResult {
        GridResult {
            energies: self.ledger.energies(&self.bus),
            balance: self.ledger.check(&self.bus),
            limits: self.limits.check(),
            reversion: self.timers.check(),
            account: self.account.clone(),
            writes,
            take_overs,
        }
    }
}

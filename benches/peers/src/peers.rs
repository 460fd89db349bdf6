//! The engines that are compared, each used as its documentation shows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use desque::serial::{OkEvent, Simulation};
use r_ems_engine::queue::EventQueue;
use r_ems_engine::{Span, Time};

use crate::nexosim_peer::NexosimPeer;
use crate::workloads::{Workload, World};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `r_ems_engine::queue`.
    Ours,
    /// The standard library's binary heap of `(time, push order, event)`.
    Heap,
    /// desque 0.4.
    Desque,
    /// NeXosim 1.0 on one thread.
    Nexosim,
}

/// All that are measured, ours first.
pub const PEERS: [Peer; 4] = [Peer::Ours, Peer::Heap, Peer::Desque, Peer::Nexosim];

impl Peer {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "r-ems",
            Self::Heap => "std heap",
            Self::Desque => "desque",
            Self::Nexosim => "nexosim",
        }
    }

    /// An engine with the workload's first events pending.
    pub fn start(self, workload: Workload) -> Box<dyn Engine> {
        let world = World::new(workload);
        match self {
            Self::Ours => Box::new(Ours::new(world, workload.pending())),
            Self::Heap => Box::new(Heap::new(world, workload.pending())),
            Self::Desque => Box::new(Desque::new(world, workload.pending())),
            Self::Nexosim => Box::new(NexosimPeer::new(world, workload)),
        }
    }
}

/// A running engine.
pub trait Engine {
    /// Handles so many further events; NeXosim, which cannot stop within an instant, may handle the rest of
    /// it too.
    fn advance(&mut self, events: u64);

    /// The order of all handled events, where the engine promises one.
    fn digest(&self) -> Option<u64>;
}

struct Ours {
    queue: EventQueue<u32>,
    world: World,
}

impl Ours {
    fn new(mut world: World, pending: u32) -> Self {
        let mut queue = EventQueue::new();
        for id in 0..pending {
            queue.push(Time::from_nanos(world.first_time(id)), id);
        }
        Self { queue, world }
    }
}

impl Engine for Ours {
    fn advance(&mut self, events: u64) {
        for _ in 0..events {
            let (now, id) = self.queue.pop().expect("every workload goes on for ever");
            let reaction = self.world.handle(now.as_nanos(), id);
            if let Some(message) = reaction.sends {
                self.queue.push(now, message);
            }
            if let Some(delay) = reaction.again_after {
                self.queue.push(now + Span::from_nanos(delay), id);
            }
        }
    }

    fn digest(&self) -> Option<u64> {
        Some(self.world.digest())
    }
}

struct Heap {
    pending: BinaryHeap<Reverse<(u64, u64, u32)>>,
    pushed: u64,
    world: World,
}

impl Heap {
    fn new(world: World, pending: u32) -> Self {
        let mut heap = Self { pending: BinaryHeap::new(), pushed: 0, world };
        for id in 0..pending {
            let at = heap.world.first_time(id);
            heap.push(at, id);
        }
        heap
    }

    fn push(&mut self, at: u64, id: u32) {
        self.pending.push(Reverse((at, self.pushed, id)));
        self.pushed += 1;
    }
}

impl Engine for Heap {
    fn advance(&mut self, events: u64) {
        for _ in 0..events {
            let Reverse((now, _, id)) = self.pending.pop().expect("every workload goes on for ever");
            let reaction = self.world.handle(now, id);
            if let Some(message) = reaction.sends {
                self.push(now, message);
            }
            if let Some(delay) = reaction.again_after {
                self.push(now + delay, id);
            }
        }
    }

    fn digest(&self) -> Option<u64> {
        Some(self.world.digest())
    }
}

/// The state of a desque simulation: the world and when to pause.
struct DesqueState {
    world: World,
    pause_at: u64,
}

impl desque::SimState<u64> for DesqueState {
    fn is_complete(&self, _now: &u64) -> bool {
        self.world.handled() >= self.pause_at
    }
}

/// The event type of a desque simulation.
#[derive(Debug)]
struct DesqueEvent {
    id: u32,
}

impl OkEvent<DesqueState, u64> for DesqueEvent {
    fn execute(&mut self, simulation: &mut Simulation<DesqueState, u64>) {
        let now = *simulation.current_time();
        let reaction = simulation.state_mut().world.handle(now, self.id);
        if let Some(message) = reaction.sends {
            simulation.schedule_now(Self { id: message }).expect("now is not past");
        }
        if let Some(delay) = reaction.again_after {
            simulation.schedule(Self { id: self.id }, now + delay).expect("the future is not past");
        }
    }
}

struct Desque {
    simulation: Simulation<DesqueState, u64>,
}

impl Desque {
    fn new(world: World, pending: u32) -> Self {
        let mut simulation = Simulation::new(DesqueState { world, pause_at: 0 }, 0);
        for id in 0..pending {
            let at = simulation.state_mut().world.first_time(id);
            simulation.schedule(DesqueEvent { id }, at).expect("the future is not past");
        }
        Self { simulation }
    }
}

impl Engine for Desque {
    fn advance(&mut self, events: u64) {
        self.simulation.state_mut().pause_at += events;
        self.simulation.run().expect("no event fails");
    }

    fn digest(&self) -> Option<u64> {
        Some(self.simulation.state().world.digest())
    }
}

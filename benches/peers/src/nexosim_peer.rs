//! NeXosim 1.0: one model that schedules its own events, and one that receives the messages.
//!
//! One model holds all events, as the other peers' worlds do, so that no mailbox is between an event and its
//! successor. What is periodic is scheduled once as a periodic event. A message is sent through a port, since
//! events must be scheduled for the future.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use crate::peers::Engine;
use crate::workloads::{Workload, World};

/// A running NeXosim simulation.
pub(crate) struct NexosimPeer {
    simulation: Simulation,
    handled: Arc<AtomicU64>,
    pause_at: u64,
}

impl NexosimPeer {
    /// Assembles the two models and schedules the workload's first events.
    pub(crate) fn new(world: World, workload: Workload) -> Self {
        let handled = Arc::new(AtomicU64::new(0));
        let mut source =
            Source { world, workload, messages: Output::default(), handled: Arc::clone(&handled) };
        let receiver = Receiver { world: World::new(workload), handled: Arc::clone(&handled) };
        let source_mailbox = Mailbox::new();
        let receiver_mailbox = Mailbox::new();
        source.messages.connect(Receiver::receive, &receiver_mailbox);
        let simulation = SimInit::with_num_threads(1)
            .add_model(source, source_mailbox, "source")
            .add_model(receiver, receiver_mailbox, "receiver")
            .init(MonotonicTime::EPOCH)
            .expect("the models are assembled correctly");
        Self { simulation, handled, pause_at: 0 }
    }
}

impl Engine for NexosimPeer {
    fn advance(&mut self, events: u64) {
        self.pause_at += events;
        while self.handled.load(Ordering::Relaxed) < self.pause_at {
            self.simulation.step().expect("no model fails");
        }
    }

    fn digest(&self) -> Option<u64> {
        None
    }
}

#[derive(Serialize, Deserialize)]
struct Source {
    world: World,
    workload: Workload,
    messages: Output<u32>,
    #[serde(skip)]
    handled: Arc<AtomicU64>,
}

#[Model]
impl Source {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        for id in 0..self.workload.pending() {
            let first = Duration::from_nanos(self.world.first_time(id));
            match self.workload.period() {
                Some(period) => cx.schedule_periodic_event(
                    first,
                    Duration::from_nanos(period),
                    schedulable!(Self::fire),
                    id,
                ),
                None => cx.schedule_event(first, schedulable!(Self::fire), id),
            }
            .expect("the first time is in the future");
        }
    }

    #[nexosim(schedulable)]
    async fn fire(&mut self, id: u32, cx: &Context<Self>) {
        let since_start = cx.time().duration_since(MonotonicTime::EPOCH);
        let now = since_start.as_secs() * 1_000_000_000 + u64::from(since_start.subsec_nanos());
        let reaction = self.world.handle(now, id);
        self.handled.fetch_add(1, Ordering::Relaxed);
        if let Some(message) = reaction.sends {
            self.messages.send(message).await;
        }
        if let (None, Some(delay)) = (self.workload.period(), reaction.again_after) {
            cx.schedule_event(Duration::from_nanos(delay), schedulable!(Self::fire), id)
                .expect("every delay is positive");
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Receiver {
    world: World,
    #[serde(skip)]
    handled: Arc<AtomicU64>,
}

#[Model]
impl Receiver {
    /// Receives a message.
    pub(crate) fn receive(&mut self, message: u32) {
        self.world.handle(0, message);
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

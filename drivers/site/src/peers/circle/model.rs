//! Two hosts in a world that loses, repeats, reorders, keeps and damages what they send, and in which they begin anew at any
//! time; and what has to hold in it whatever happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::sample::Index;
use r_ems_engine::{Span, Time};

use super::{Circle, Taken};
use crate::peers::HELLO_EVERY;
use crate::peers::association::Identity;
use crate::peers::key::Key;

/// What is done to the two hosts and what is between them.
#[derive(Clone, Copy, Debug)]
enum Event {
    Send {
        from: usize,
    },
    /// One that is under way arrives, in whatever order.
    Arrive(Index),
    Lose(Index),
    /// Somebody sends again what was sent at any time before.
    Repeat(Index),
    /// Somebody sends something of before with one bit flipped.
    Damage {
        which: Index,
        bit: Index,
    },
    Restart {
        host: usize,
    },
    Pass {
        millis: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let host = || 0..2_usize;
    let which = || any::<Index>();
    prop_oneof![
        6 => host().prop_map(|from| Event::Send { from }),
        12 => which().prop_map(Event::Arrive),
        1 => which().prop_map(Event::Lose),
        4 => which().prop_map(Event::Repeat),
        1 => (which(), which()).prop_map(|(which, bit)| Event::Damage { which, bit }),
        1 => host().prop_map(|host| Event::Restart { host }),
        5 => (0..25_u64).prop_map(|millis| Event::Pass { millis }),
    ]
}

/// A datagram and the process that sent it.
#[derive(Clone, Debug)]
struct Sent {
    from: usize,
    process: u64,
    bytes: Vec<u8>,
}

/// Who sent a body.
#[derive(Clone, Copy, Debug)]
struct Body {
    from: usize,
    process: u64,
}

#[derive(Debug)]
struct Host {
    circle: Circle,
    /// Numbers the processes of both hosts, in the order in which they began.
    process: u64,
    /// Bodies from here on were sent after it began.
    begun: u64,
    /// The process of the other host whose session it accepted last.
    accepted: u64,
    delivered: BTreeSet<u64>,
}

#[derive(Debug)]
struct World {
    now: Time,
    hosts: [Host; 2],
    processes: u64,
    bodies: BTreeMap<u64, Body>,
    under_way: VecDeque<Sent>,
    recorded: Vec<Sent>,
}

fn begin(host: usize, process: u64, begun: u64) -> Host {
    let drawn = blake3::hash(&process.to_le_bytes());
    let session = *drawn.as_bytes().first_chunk().expect("it is longer");
    let own = Identity::new(host as u16, Key::of([3; 32]), session, *drawn.as_bytes());
    let circle = Circle::new(own, [true, true]);
    Host { circle, process, begun, accepted: 0, delivered: BTreeSet::new() }
}

impl World {
    fn new() -> Self {
        Self {
            now: Time::ZERO,
            hosts: [begin(0, 1, 0), begin(1, 2, 0)],
            processes: 2,
            bodies: BTreeMap::new(),
            under_way: VecDeque::new(),
            recorded: Vec::new(),
        }
    }

    fn restart(&mut self, host: usize) {
        self.processes += 1;
        self.hosts[host] = begin(host, self.processes, self.bodies.len() as u64);
    }

    fn leave(&mut self, from: usize, bytes: Vec<u8>) {
        let sent = Sent { from, process: self.hosts[from].process, bytes };
        self.recorded.push(sent.clone());
        self.under_way.push_back(sent);
    }

    /// Sends a body of its own, which is named by a number.
    fn send(&mut self, from: usize) -> u64 {
        let name = self.bodies.len() as u64;
        let host = &mut self.hosts[from];
        self.bodies.insert(name, Body { from, process: host.process });
        let mut bytes = Vec::new();
        assert!(host.circle.send(1 - from as u16, &name.to_le_bytes(), &mut bytes));
        self.leave(from, bytes);
        name
    }

    /// Lets something arrive, and looks whether what that leads to is allowed.
    fn arrive(&mut self, sent: &Sent) {
        let to = 1 - sent.from;
        let host = &mut self.hosts[to];
        let accepted = host.circle.counts().accepted;
        let mut answer = b"of before".to_vec();
        let taken = host.circle.take(self.now, &sent.bytes, &mut answer);
        if host.circle.counts().accepted != accepted {
            assert!(sent.process > host.accepted, "process {} is over and is accepted", sent.process);
            host.accepted = sent.process;
        }
        match taken {
            Taken::Body { from, body } => {
                let name = u64::from_le_bytes(body.try_into().expect("a knock is never delivered"));
                let body = self.bodies[&name];
                assert_eq!((usize::from(from), body.from), (1 - to, 1 - to), "it is the other host's");
                assert_eq!(body.process, host.accepted, "the process that is current");
                assert!(name >= host.begun, "it was sent before this process began");
                assert!(host.delivered.insert(name), "it was delivered before");
            }
            Taken::Answer { to: peer } => {
                assert_eq!(usize::from(peer), sent.from);
                self.leave(to, answer);
            }
            Taken::Nothing => {}
        }
    }

    /// Lets all that is under way arrive, and what it leads to, in order.
    fn settle(&mut self) {
        // Each that is there leads to two more at most: whoever answers without end is found.
        for _ in 0..3 * self.under_way.len() + 3 {
            let Some(sent) = self.under_way.pop_front() else { return };
            self.arrive(&sent);
        }
        assert!(self.under_way.is_empty(), "they answer each other without end");
    }

    fn happen(&mut self, event: Event) {
        let some = |which: &Index, length: usize| (length > 0).then(|| which.index(length));
        match event {
            Event::Send { from } => {
                self.send(from);
            }
            Event::Arrive(which) => {
                let sent = some(&which, self.under_way.len()).and_then(|place| self.under_way.remove(place));
                sent.iter().for_each(|sent| self.arrive(sent));
            }
            Event::Lose(which) => {
                some(&which, self.under_way.len()).map(|place| self.under_way.remove(place));
            }
            Event::Repeat(which) => {
                if let Some(place) = some(&which, self.recorded.len()) {
                    let sent = self.recorded[place].clone();
                    self.arrive(&sent);
                }
            }
            Event::Damage { which, bit } => {
                if let Some(place) = some(&which, self.recorded.len()) {
                    let mut sent = self.recorded[place].clone();
                    let (byte, bit) = (bit.index(sent.bytes.len()), bit.index(8));
                    sent.bytes[byte] ^= 1 << bit;
                    self.damaged(&sent);
                }
            }
            Event::Restart { host } => self.restart(host),
            Event::Pass { millis } => self.now += Span::from_millis(millis),
        }
    }

    /// What is damaged leads to nothing.
    fn damaged(&mut self, sent: &Sent) {
        let mut answer = Vec::new();
        let taken = self.hosts[1 - sent.from].circle.take(self.now, &sent.bytes, &mut answer);
        assert_eq!(taken, Taken::Nothing);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_delivered_is_new_and_of_the_current_process_and_without_loss_data_flow_again(
        events in proptest::collection::vec(event(), 0..150),
        keeps_what_is_under_way in any::<bool>(),
        (first, second) in (any::<bool>(), any::<bool>()),
    ) {
        let mut world = World::new();
        events.into_iter().for_each(|event| world.happen(event));
        if !keeps_what_is_under_way {
            world.under_way.clear();
        }
        world.settle();
        // One of them sends, or both do in step, which is when each answers while the other does.
        for round in 1..=3 {
            world.now += HELLO_EVERY;
            let senders = [(0, first || !second), (1, second)].into_iter().filter(|(_, sends)| *sends);
            let names: Vec<(usize, u64)> = senders.map(|(from, _)| (from, world.send(from))).collect();
            world.settle();
            for (from, name) in names {
                let is_delivered = world.hosts[1 - from].delivered.contains(&name);
                prop_assert!(round < 3 || is_delivered, "host {} is not heard", from);
            }
        }
    }
}

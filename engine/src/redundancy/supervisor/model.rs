//! Every behavior of a small council: two controllers and a witness, with the real supervisors.
//!
//! Time passes in ticks. Between two ticks anything may happen in any order: a message arrives, is lost, or stays on its way
//! as long as it likes and is overtaken; a member crashes, and comes back at once or any time later with what was durable.
//! Of all that is sent, any [`Bounds::in_flight`] messages may be on their way at once, whichever they are. Crashes and rounds
//! of epochs are bounded too. The search goes breadth first, so that it looks at all short behaviors before longer ones, and
//! stops at [`STATES`] for each set of bounds: 840,000 states in all.
//!
//! Two states are the same if nothing that differs can matter later: instants count by their distance from now, requests by
//! their distance from the last. Plain heartbeats, which neither ask for a renewal nor tell of authority, arrive at once, since
//! they only say who is alive. A promise becomes durable at once, or, where [`Saves`] say so, at any time later, or never: then
//! the member is told so, or crashes before it is told anything. The first promises are durable when a behavior begins.
//!
//! That the search bites is shown by leaving rules out: it then finds two authorities.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::{Health, RedundancySupervisor, SupervisorSpec};
use crate::digest::Digest;
use crate::log::codec;
use crate::machine::{Effect, Effects};
use crate::redundancy::message::{Content, Message};
use crate::redundancy::{Council, FailBack, OnSilence, Promise, Seat, Settings};
use crate::time::{LocalTime, Span};

const TICK: Span = Span::from_millis(1);
const MEMBERS: usize = 3;
/// An instant so far back is as good as any earlier one.
const LONG_AGO: Span = Span::from_millis(5);
const HEALTHY: Health =
    Health { is_ready: true, reaches_devices: true, overruns: false, writes_end: LocalTime::ZERO };

/// So many states a search looks at.
const STATES: usize = 120_000;
/// So many it needs to find what a missing rule leads to.
const STATES_TO_BITE: usize = 200_000;

/// What bounds a search.
#[derive(Clone, Copy)]
struct Bounds {
    in_flight: usize,
    crashes: u8,
    rounds: u32,
    saves: Saves,
}

/// When promises become durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saves {
    AtOnce,
    /// Those of later lives at any time later; so many fail.
    Later {
        failures: u8,
    },
}

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The witness waits for less than a lease.
    TheWait,
    /// What was promised is forgotten over a restart, and so is the wait after it.
    Memory,
}

#[derive(Clone)]
struct State {
    now: LocalTime,
    members: [RedundancySupervisor; MEMBERS],
    is_up: [bool; MEMBERS],
    disks: [Promise; MEMBERS],
    /// What is on its way to the disks.
    saving: [Option<Promise>; MEMBERS],
    failures_left: u8,
    incarnations: [u32; MEMBERS],
    mail: Vec<Letter>,
    crashes_left: u8,
}

type Letter = (Seat, Seat, Message);

struct Search {
    bounds: Bounds,
    without: Without,
    seen: BTreeSet<[u8; 16]>,
    open: VecDeque<State>,
    authorities_max: usize,
    has_been_active: [bool; MEMBERS],
}

fn settings(without: Without, seat: u8) -> Settings {
    // A voter that counts a shorter lease waits for less.
    let lease = if without == Without::TheWait && seat == 2 { 1 } else { 2 };
    Settings {
        heartbeat: TICK,
        watchdog: TICK * 2,
        lease: TICK * lease,
        retry: TICK,
        evaluate: Span::from_hours(1),
        clock_rate_max_ppb: 0,
        state_age_max: Span::from_hours(1),
        fail_back: FailBack::Manual,
        on_silence: OnSilence::Hold,
    }
}

impl Search {
    fn new(without: Without, bounds: Bounds) -> Self {
        let member = |seat: u8| {
            let council = Council::new(&[0, 1, 2], true, Seat(seat));
            RedundancySupervisor::new(&SupervisorSpec {
                council,
                settings: settings(without, seat),
                section: 1,
            })
        };
        let mut search = Self {
            bounds: Bounds { saves: Saves::AtOnce, ..bounds },
            without,
            seen: BTreeSet::new(),
            open: VecDeque::new(),
            authorities_max: 0,
            has_been_active: [false; MEMBERS],
        };
        let state = State {
            now: LocalTime::ZERO + TICK * 100,
            members: [member(0), member(1), member(2)],
            is_up: [false; MEMBERS],
            disks: [Promise::FIRST; MEMBERS],
            saving: [None; MEMBERS],
            failures_left: match bounds.saves {
                Saves::AtOnce => 0,
                Saves::Later { failures } => failures,
            },
            incarnations: [0; MEMBERS],
            mail: Vec::new(),
            crashes_left: bounds.crashes,
        };
        let mut states = alloc::vec![state];
        for seat in 0..MEMBERS {
            states = states.into_iter().flat_map(|state| search.boot(state, seat)).collect();
        }
        search.bounds = bounds;
        search.add_all(states);
        search
    }

    /// Looks at every state, or at the first `states`; stops at the first with two authorities.
    fn run(&mut self, states: usize) {
        while let Some(state) = self.open.pop_front() {
            self.follow(state);
            if self.seen.len() >= states || self.authorities_max > 1 {
                return;
            }
        }
    }

    /// Adds every state that can come next.
    fn follow(&mut self, state: State) {
        for place in 0..state.mail.len() {
            let mut lost = state.clone();
            let (from, to, message) = lost.mail.remove(place);
            self.add(lost.clone());
            if lost.is_up[to.position()] {
                let act = |supervisor: &mut RedundancySupervisor, now, out: &mut Effects| {
                    supervisor.message(now, from, &message, out);
                };
                self.add_all(self.with(lost, to.position(), act));
            }
        }
        for seat in 0..MEMBERS {
            if !state.is_up[seat] {
                self.add_all(self.boot(state.clone(), seat));
                continue;
            }
            if let Some(promise) = state.saving[seat] {
                self.save(&state, seat, promise);
            }
            if state.crashes_left > 0 {
                let mut crashed = state.clone();
                crashed.is_up[seat] = false;
                crashed.crashes_left -= 1;
                if let Some(promise) = crashed.saving[seat].take() {
                    // Whether it had become durable is not known before the next boot.
                    self.add(crashed.clone());
                    crashed.disks[seat] = promise;
                }
                self.add(crashed);
            }
        }
        let mut states = alloc::vec![State { now: state.now + TICK, ..state }];
        for seat in 0..MEMBERS {
            states = states.into_iter().flat_map(|state| self.wake(state, seat)).collect();
        }
        self.add_all(states);
    }

    /// The promise on its way to a disk becomes durable, or cannot be written.
    fn save(&mut self, state: &State, seat: usize, promise: Promise) {
        let mut saved = State { saving: state.saving, ..state.clone() };
        saved.saving[seat] = None;
        if state.failures_left > 0 {
            let failed = State { failures_left: state.failures_left - 1, ..saved.clone() };
            self.add_all(self.with(failed, seat, |supervisor, now, out| supervisor.saved(now, false, out)));
        }
        saved.disks[seat] = promise;
        self.add_all(self.with(saved, seat, |supervisor, now, out| supervisor.saved(now, true, out)));
    }

    fn add_all(&mut self, states: Vec<State>) {
        states.into_iter().for_each(|state| self.add(state));
    }

    fn add(&mut self, state: State) {
        if state.members.iter().any(|member| member.highest.round > self.bounds.rounds) {
            return;
        }
        let digest = Digest::of(&gist(&state));
        let key: [u8; 16] = core::array::from_fn(|place| digest.as_bytes()[place]);
        if !self.seen.insert(key) {
            return;
        }
        let holds = |seat: &usize| state.is_up[*seat] && state.members[*seat].authority(state.now).is_some();
        let mut holders = 0;
        for seat in (0..MEMBERS).filter(holds) {
            self.has_been_active[seat] = true;
            holders += 1;
        }
        self.authorities_max = self.authorities_max.max(holders);
        self.open.push_back(state);
    }

    fn boot(&self, mut state: State, seat: usize) -> Vec<State> {
        state.is_up[seat] = true;
        state.incarnations[seat] += 1;
        let forgets = self.without == Without::Memory && state.incarnations[seat] > 1;
        let promise = if forgets { Promise::FIRST } else { state.disks[seat] };
        let incarnation = state.incarnations[seat];
        self.with(state, seat, |supervisor, now, out| {
            // Without the wait after a restart it is as if it had booted long ago.
            let booted = if forgets { now - LONG_AGO } else { now };
            // Nothing of the state of the life before is found again.
            *supervisor = RedundancySupervisor::new(&supervisor.spec.clone());
            supervisor.boot(booted, incarnation, promise, out);
            supervisor.report(booted, HEALTHY, out);
        })
    }

    fn wake(&self, state: State, seat: usize) -> Vec<State> {
        let deadline = state.members[seat].deadline();
        let is_due = state.is_up[seat] && deadline.is_some_and(|deadline| deadline <= state.now);
        if is_due { self.with(state, seat, RedundancySupervisor::wake) } else { alloc::vec![state] }
    }

    /// Lets a member act, and returns one state for each way in which the network may take what it sends.
    fn with(
        &self,
        mut state: State,
        seat: usize,
        act: impl FnOnce(&mut RedundancySupervisor, LocalTime, &mut Effects),
    ) -> Vec<State> {
        let mut out = Effects::new();
        act(&mut state.members[seat], state.now, &mut out);
        let mut sent = Vec::new();
        state.perform(seat, &out, self.bounds.saves, &mut sent);
        network(&state, &sent, self.bounds.in_flight)
    }
}

impl State {
    /// Does what a member asks for; what goes into the network is left in `sent`.
    fn perform(&mut self, seat: usize, out: &Effects, saves: Saves, sent: &mut Vec<Letter>) {
        for effect in out.as_slice() {
            match *effect {
                Effect::Send { to, message } if is_plain(&message) => {
                    if self.is_up[to.position()] {
                        let mut more = Effects::new();
                        self.members[to.position()].message(self.now, Seat(seat as u8), &message, &mut more);
                        self.perform(to.position(), &more, saves, sent);
                    }
                }
                Effect::Send { to, message } => sent.push((Seat(seat as u8), to, message)),
                Effect::Promise(promise) if saves == Saves::AtOnce => {
                    self.disks[seat] = promise;
                    let mut more = Effects::new();
                    self.members[seat].saved(self.now, true, &mut more);
                    self.perform(seat, &more, saves, sent);
                }
                Effect::Promise(promise) => {
                    assert_eq!(self.saving[seat], None, "one promise at a time is on its way");
                    self.saving[seat] = Some(promise);
                }
                Effect::Report(_) | Effect::Authority { .. } => {}
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Transfer { .. } => {
                    panic!("a supervisor does none of these")
                }
            }
        }
    }
}

/// Whether a message only says that its sender is alive.
fn is_plain(message: &Message) -> bool {
    matches!(message.content, Content::Heartbeat(heartbeat) if heartbeat.renewal == 0 && !heartbeat.role.holds())
}

/// All ways in which a network takes what is sent: any choice of messages that fits. Smaller choices are reached by losing
/// messages later.
fn network(state: &State, sent: &[Letter], in_flight: usize) -> Vec<State> {
    let all: Vec<Letter> = state.mail.iter().chain(sent).copied().collect();
    let full = in_flight.min(all.len()) as u32;
    let choices = (0_u32..1 << all.len()).filter(|choice| choice.count_ones() == full);
    let taken = choices.map(|choice| {
        let kept = all.iter().enumerate().filter(|(place, _)| choice & (1 << place) != 0);
        State { mail: kept.map(|(_, letter)| *letter).collect(), ..state.clone() }
    });
    taken.collect()
}

/// What of a state can still matter.
fn gist(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (seat, member) in state.members.iter().enumerate() {
        // What a member knew when it crashed is gone.
        if state.is_up[seat] {
            gist_of_member(member, state.now, &mut bytes);
            codec::encode(&(member.kept, member.wanted, state.saving[seat]), &mut bytes);
        }
    }
    let mut mail: Vec<Vec<u8>> = state.mail.iter().map(|letter| gist_of_letter(state, letter)).collect();
    mail.sort_unstable();
    let rest = (state.is_up, state.disks, state.incarnations, mail, state.crashes_left, state.failures_left);
    codec::encode(&rest, &mut bytes);
    bytes
}

fn gist_of_member(member: &RedundancySupervisor, now: LocalTime, bytes: &mut Vec<u8>) {
    let ago = |at: LocalTime| now.since(at).min(LONG_AGO);
    let ahead = |at: LocalTime| at.since(now).min(LONG_AGO);
    let followed = member.followed.map(|followed| (followed.seat, followed.epoch, ago(followed.at)));
    let seeking = member.seeking.map(|(since, _reason)| ago(since));
    let retry = if seeking.is_some() { ahead(member.retry_due) } else { Span::ZERO };
    codec::encode(
        &(member.role, member.grantor.gist(now), member.holder.gist(now), followed, seeking),
        bytes,
    );
    codec::encode(&(retry, ahead(member.heartbeat_due), member.highest, member.released), bytes);
    let term = member.term_began.map(ago);
    // How long it has been there counts only until it hears an active, or was one.
    let is_new = member.followed.is_none();
    let life = is_new.then(|| (ago(member.booted_at), ago(member.ready_at)));
    codec::encode(&(term, member.failed_terms, member.defers_until.since(now), life), bytes);
    for peer in &member.peers {
        let heard = peer.heard_at.map(ago).filter(|ago| *ago < LONG_AGO);
        codec::encode(&(heard, peer.incarnation, peer.is_candidate()), bytes);
    }
}

fn gist_of_letter(state: &State, (from, to, message): &Letter) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(&(*from, *to, message.incarnation), &mut bytes);
    let behind = |seat: &Seat, number| state.members[seat.position()].holder.behind(number).min(1 << 5);
    match message.content {
        Content::Heartbeat(heartbeat) => {
            let renewal = (behind(from, heartbeat.renewal), heartbeat.renews);
            codec::encode(&(0_u8, heartbeat.role, heartbeat.epoch, renewal, heartbeat.is_ready), &mut bytes);
        }
        Content::Request { number, epoch } => codec::encode(&(1_u8, behind(from, number), epoch), &mut bytes),
        Content::Grant { number, life, epoch } => {
            codec::encode(&(2_u8, behind(to, number), life, epoch), &mut bytes);
        }
        Content::Refuse { number, life, refusal, floor, wait } => {
            codec::encode(&(3_u8, behind(to, number), life, refusal, floor, wait.is_zero()), &mut bytes);
        }
        Content::Release { epoch } => codec::encode(&(4_u8, epoch), &mut bytes),
        Content::HandOver { epoch, owned_from: _, reason: _ } => codec::encode(&(5_u8, epoch), &mut bytes),
        Content::MissesState => bytes.push(6),
        Content::Outlived { life, heard } => codec::encode(&(7_u8, life, heard), &mut bytes),
    }
    bytes
}

#[test]
fn at_most_one_has_authority_in_every_behavior_that_is_looked_at() {
    let later = Saves::Later { failures: 1 };
    let (at_once, crashes) = ([(1, 0), (2, 0), (1, 1), (2, 1)], [(1, 1), (2, 1), (1, 2)]);
    let at_once = at_once.into_iter().map(|bounds| (Saves::AtOnce, bounds));
    let mut looked_at = 0;
    for (saves, (in_flight, crashes)) in at_once.chain(crashes.map(|bounds| (later, bounds))) {
        let mut search = Search::new(Without::Nothing, Bounds { in_flight, crashes, rounds: 3, saves });
        search.run(STATES);
        assert_eq!(search.authorities_max, 1, "{in_flight} in flight, {crashes} crashes");
        assert!(search.has_been_active[0], "somebody writes in some of them");
        looked_at += search.seen.len();
    }
    assert!(looked_at >= 7 * STATES, "{looked_at} states");
}

#[test]
fn without_a_rule_the_search_finds_two_authorities() {
    let later = Saves::Later { failures: 0 };
    let all = [
        (Without::TheWait, 0, Saves::AtOnce),
        (Without::Memory, 1, Saves::AtOnce),
        (Without::Memory, 1, later),
    ];
    for (without, crashes, saves) in all {
        let mut search = Search::new(without, Bounds { in_flight: 1, crashes, rounds: 3, saves });
        search.run(STATES_TO_BITE);
        assert_eq!(search.authorities_max, 2, "{} states", search.seen.len());
    }
}

//! The search: from each state to all that can come next, until nothing is new.
//!
//! States that differ only in their mail are followed together: what does not come from the mail comes once for all of them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::state::{Letter, Mail, State};
use super::{Bounds, MEMBERS, Saves, TICK, Without, gist};
use crate::digest::Digest;
use crate::machine::Effects;
use crate::redundancy::supervisor::RedundancySupervisor;
use crate::redundancy::{Epoch, Promise};
use crate::time::LocalTime;

/// Keys are remembered in so many places at first.
const PLACES: usize = 1 << 8;

pub(super) struct Search {
    bounds: Bounds,
    without: Without,
    /// The keys of all states that were reached.
    seen: Keys,
    /// Those of which it is still to be found out what comes next, by all their mails.
    open: Vec<(State, Vec<Mail>)>,
    scratch: Vec<u8>,
    /// So many steps led beyond the bound of rounds.
    cut: u128,
    pub(super) authorities_max: usize,
    pub(super) has_been_active: [bool; MEMBERS],
    /// The highest epoch that counted.
    pub(super) highest: Epoch,
    pub(super) twins: Option<Twins>,
}

/// What states of one key lead to.
pub(super) struct Twins {
    /// One key in so many is looked at.
    one_in: u128,
    led_to: BTreeMap<u128, Vec<u128>>,
    /// So many states were found to lead to the same as an earlier one of their key.
    pub(super) equal: usize,
}

impl Search {
    pub(super) fn new(without: Without, bounds: Bounds) -> Self {
        let mut search = Self::nowhere(without, bounds);
        let (mut state, mut sent) = (State::new(without, &bounds), Vec::new());
        let first = Bounds { saves: Saves::AtOnce, ..bounds };
        (0..MEMBERS).for_each(|seat| state.boot(seat, without, &first, &mut sent));
        search.add(state, &[Mail::new()], &sent);
        search
    }

    fn nowhere(without: Without, bounds: Bounds) -> Self {
        Self {
            bounds,
            without,
            seen: Keys::new(),
            open: Vec::new(),
            scratch: Vec::new(),
            cut: 0,
            authorities_max: 0,
            has_been_active: [false; MEMBERS],
            highest: Epoch::NONE,
            twins: None,
        }
    }

    /// Compares what follows from states of one key, of one key in so many.
    pub(super) fn compare_twins(&mut self, one_in: u128) {
        self.twins = Some(Twins { one_in, led_to: BTreeMap::new(), equal: 0 });
    }

    /// Looks at every state, or at the first `states`; stops at the first with two authorities.
    pub(super) fn run(&mut self, states: usize) {
        while self.seen.len < states && self.authorities_max <= 1 {
            let Some((state, mails)) = self.open.pop() else { return };
            self.follow(&state, &mails);
        }
    }

    /// How many states it has reached.
    pub(super) const fn states(&self) -> usize {
        self.seen.len
    }

    /// Whether nothing is left of which it is to be found out what comes next.
    pub(super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds every state that can come next.
    fn follow(&mut self, state: &State, mails: &[Mail]) {
        let mut letters: Vec<Letter> = Vec::new();
        for letter in mails.iter().flatten() {
            if !letters.contains(letter) {
                letters.push(*letter);
            }
        }
        for letter in letters.iter().filter(|(_, to, _)| state.is_up[to.position()]) {
            let holds: Vec<Mail> = mails.iter().filter(|mail| mail.contains(letter)).cloned().collect();
            let (from, to, message) = letter;
            self.add_after(state.clone(), &holds, to.position(), |supervisor, now, out| {
                supervisor.message(now, *from, message, out);
            });
        }
        for seat in 0..MEMBERS {
            if !state.is_up[seat] {
                let (mut booted, mut sent) = (state.clone(), Vec::new());
                booted.boot(seat, self.without, &self.bounds, &mut sent);
                self.add(booted, mails, &sent);
                continue;
            }
            if let Some(promise) = state.saving[seat] {
                self.save(state, mails, seat, promise);
            }
            if state.crashes_left > 0 {
                self.crash(state.clone(), mails, seat);
            }
        }
        self.tick(state.clone(), mails);
    }

    /// Time passes, and wakes whom it is due.
    fn tick(&mut self, mut state: State, mails: &[Mail]) {
        state.now += TICK;
        let mut sent = Vec::new();
        for seat in 0..MEMBERS {
            let deadline = state.members[seat].deadline();
            if state.is_up[seat] && deadline.is_some_and(|deadline| deadline <= state.now) {
                state.act(seat, self.bounds.saves, &mut sent, RedundancySupervisor::wake);
            }
        }
        self.add(state, mails, &sent);
    }

    fn crash(&mut self, mut state: State, mails: &[Mail], seat: usize) {
        state.is_up[seat] = false;
        state.crashes_left -= 1;
        if let Some(promise) = state.saving[seat].take() {
            // Whether it had become durable is not known before the next boot.
            self.add(state.clone(), mails, &[]);
            state.disks[seat] = promise;
        }
        self.add(state, mails, &[]);
    }

    /// The promise on its way to a disk becomes durable, or cannot be written.
    fn save(&mut self, state: &State, mails: &[Mail], seat: usize, promise: Promise) {
        let mut saved = state.clone();
        saved.saving[seat] = None;
        if state.failures_left > 0 {
            let failed = State { failures_left: state.failures_left - 1, ..saved.clone() };
            self.add_after(failed, mails, seat, |supervisor, now, out| supervisor.saved(now, false, out));
        }
        saved.disks[seat] = promise;
        self.add_after(saved, mails, seat, |supervisor, now, out| supervisor.saved(now, true, out));
    }

    /// Lets a member act, and adds what comes of it.
    fn add_after(
        &mut self,
        mut state: State,
        mails: &[Mail],
        seat: usize,
        act: impl FnOnce(&mut RedundancySupervisor, LocalTime, &mut Effects),
    ) {
        let mut sent = Vec::new();
        state.act(seat, self.bounds.saves, &mut sent, act);
        self.add(state, mails, &sent);
    }

    /// Adds a state with each of these mails and for each way in which the network may take what is sent.
    fn add(&mut self, state: State, mails: &[Mail], sent: &[Letter]) {
        if state.is_beyond() {
            self.cut += 1;
            return;
        }
        let mut taken = Vec::new();
        mails.iter().for_each(|mail| network(&state, mail, sent, self.bounds.in_flight, &mut taken));
        let members = gist::of_members(&state, &mut self.scratch);
        self.compare(&state, &members, &taken);
        taken.retain(|mail| self.seen.insert(gist::key(&state, &members, mail, &mut self.scratch)));
        if taken.is_empty() {
            return;
        }
        for holder in state.holders() {
            self.has_been_active[holder.me().position()] = true;
            self.highest = self.highest.max(holder.epoch());
        }
        self.authorities_max = self.authorities_max.max(state.holders().count());
        self.open.push((state, taken));
    }

    /// Compares what follows from these states with what followed from others of their keys.
    fn compare(&mut self, state: &State, members: &Digest, mails: &[Mail]) {
        let Some(twins) = &mut self.twins else { return };
        for mail in mails {
            let key = gist::key(state, members, mail, &mut self.scratch);
            if !key.is_multiple_of(twins.one_in) {
                continue;
            }
            let mut next = Self::nowhere(self.without, self.bounds);
            next.follow(state, core::slice::from_ref(mail));
            let mut keys: Vec<u128> = next.seen.iter().collect();
            keys.sort_unstable();
            keys.push(next.cut);
            let first = twins.led_to.entry(key).or_insert_with(|| keys.clone());
            assert_eq!(
                *first, keys,
                "what follows from {state:?} with {mail:?} follows from another of its key"
            );
            twins.equal += 1;
        }
    }
}

/// Adds each choice of so many letters that the network may keep of what is on its way and what is sent.
///
/// Who has a letter on its way can do all that who lost it can, so no smaller choice is needed.
fn network(state: &State, mail: &Mail, sent: &[Letter], in_flight: usize, taken: &mut Vec<Mail>) {
    let mut all: Vec<Letter> = Vec::new();
    for letter in mail.iter().chain(sent) {
        if !all.contains(letter) {
            all.push(*letter);
        }
    }
    if in_flight > 1 {
        // Of two that say the same none takes the place of another.
        gist::dedup(state, &mut all);
    }
    let full = in_flight.min(all.len()) as u32;
    for choice in (0_u32..1 << all.len()).filter(|choice| choice.count_ones() == full) {
        let kept = all.iter().enumerate().filter(|(place, _)| choice & (1 << place) != 0);
        let mail = kept.map(|(_, letter)| *letter).collect();
        if !taken.contains(&mail) {
            taken.push(mail);
        }
    }
}

/// A set of keys, which are as good as random: each stands at the first free place from its own on.
struct Keys {
    places: Vec<u128>,
    len: usize,
}

impl Keys {
    fn new() -> Self {
        Self { places: alloc::vec![0; PLACES], len: 0 }
    }

    fn iter(&self) -> impl Iterator<Item = u128> {
        self.places.iter().copied().filter(|key| *key != 0)
    }

    /// Adds a key; `false` if it is there.
    fn insert(&mut self, key: u128) -> bool {
        if self.len * 4 >= self.places.len() * 3 {
            let doubled = alloc::vec![0; self.places.len() * 2];
            for key in core::mem::replace(&mut self.places, doubled) {
                let place = self.place(key);
                self.places[place] = key;
            }
        }
        let place = self.place(key);
        let is_new = self.places[place] != key;
        self.places[place] = key;
        self.len += usize::from(is_new);
        is_new
    }

    /// Where a key stands or would stand; no key is 0.
    fn place(&self, key: u128) -> usize {
        let mask = self.places.len() - 1;
        let mut place = key as usize & mask;
        while self.places[place] != 0 && self.places[place] != key {
            place = (place + 1) & mask;
        }
        place
    }
}

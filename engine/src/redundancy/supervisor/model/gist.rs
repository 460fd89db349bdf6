//! What of a state can still matter: from two states of one gist the same can come, so that one of them is enough.
//!
//! Each thing that is left out is one that no rule reads any more:
//!
//! - instants count by their distance from now, and only as far as a rule compares them: an active that was heard long ago is
//!   as silent as one that was heard longer ago;
//! - of when an active was heard and of a pause after a term only the later counts, for that is all that is waited for;
//! - requests have no numbers, but places among those to which an answer may still come: what is on its way is all that
//!   can lead to one, and a request to which none can come is as good as forgotten;
//! - an answer to a request or a life that is over says only that its sender was alive, and so does a refusal of which nothing is
//!   news: what is known and what is asked for only rise within a life, and another life takes no answer of this one's;
//! - what a member knew when it crashed is gone: its next life has its disk alone;
//! - what a standby asked for is read only when it asks next, which is above that and above all that it has heard of: it matters
//!   only where its round is the higher one;
//! - an active forgets whom it followed, and misses itself when it is active no more;
//! - a witness never seeks, so neither whom it follows nor whom it hears is ever read;
//! - which standby goes before matters only to those behind it, and who asks already only to those that knew no active;
//! - since when a candidate seeks is only reported, since the [settings](super::state) let it ask as often later as at first.

use alloc::vec::Vec;

use super::state::{Letter, State};
use crate::digest::Digest;
use crate::log::codec;
use crate::redundancy::grantor::Refusal;
use crate::redundancy::message::{Content, Message};
use crate::redundancy::supervisor::voting::{DOUBLINGS_MAX, TERM_WAITS};
use crate::redundancy::supervisor::watch::{DEFERENCE_WAITS, RENEWING_WAITS};
use crate::redundancy::supervisor::{Peer, RedundancySupervisor};
use crate::redundancy::{Promise, Role, Seat};
use crate::time::{LocalTime, Span};

/// So much of a digest names what it is of.
const KEY_BYTES: usize = 16;
const INSTANT: Span = Span::from_nanos(1);

/// Names what can matter of the members, whatever is on its way.
pub(super) fn of_members(state: &State, bytes: &mut Vec<u8>) -> Digest {
    bytes.clear();
    for (seat, member) in state.members.iter().enumerate() {
        if state.is_up[seat] {
            gist_of_member(member, state.now, bytes);
            codec::encode(&state.saving[seat].as_ref().map(ceiling), bytes);
        }
    }
    let rest = (state.is_up, state.disks.each_ref().map(ceiling), state.incarnations, state.round_max);
    codec::encode(&(rest, state.crashes_left, state.failures_left), bytes);
    Digest::of(bytes)
}

/// Names the gist of a state, of whose members `members` is what can matter, with `mail` on its way.
pub(super) fn key(state: &State, members: &Digest, mail: &[Letter], bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    bytes.extend_from_slice(&members.as_bytes()[..KEY_BYTES]);
    for (seat, member) in state.members.iter().enumerate().filter(|(_, member)| member.role != Role::Witness)
    {
        let answered = answered(state, mail, Seat(seat as u8));
        codec::encode(&member.holder.gist_of_requests(state.now, &answered), bytes);
    }
    if let [letter] = mail {
        gist_of_letter(state, mail, letter, bytes);
    } else {
        let mut letters: Vec<Vec<u8>> = mail.iter().map(|letter| gist_among(state, mail, letter)).collect();
        letters.sort_unstable();
        letters.dedup();
        codec::encode(&letters, bytes);
    }
    let digest = Digest::of(bytes);
    u128::from_le_bytes(core::array::from_fn(|place| digest.as_bytes()[place]))
}

fn gist_among(state: &State, mail: &[Letter], letter: &Letter) -> Vec<u8> {
    let mut bytes = Vec::new();
    gist_of_letter(state, mail, letter, &mut bytes);
    bytes
}

/// Keeps one of those letters that say the same.
pub(super) fn dedup(state: &State, letters: &mut Vec<Letter>) {
    let all = letters.clone();
    let mut gists: Vec<Vec<u8>> = Vec::new();
    letters.retain(|letter| {
        let gist = gist_among(state, &all, letter);
        let is_new = !gists.contains(&gist);
        gists.push(gist);
        is_new
    });
}

/// The request that a letter carries or answers: whose, of which life, and its number.
fn request((from, to, message): &Letter) -> Option<(Seat, u32, u32)> {
    match message.content {
        Content::Heartbeat(heartbeat) => Some((*from, message.incarnation, heartbeat.renewal)),
        Content::Request { number, .. } => Some((*from, message.incarnation, number)),
        Content::Grant { number, life, .. } | Content::Refuse { number, life, .. } => {
            Some((*to, life, number))
        }
        Content::Release { .. }
        | Content::HandOver { .. }
        | Content::MissesState
        | Content::Outlived { .. } => None,
    }
}

/// The numbers of the requests of a member that an answer may still come to, in order.
fn answered(state: &State, mail: &[Letter], seat: Seat) -> Vec<u32> {
    let member = &state.members[seat.position()];
    let is_alive = |life| state.is_up[seat.position()] && life == member.incarnation;
    let of_seat = |(whose, life, number)| {
        (whose == seat && is_alive(life) && member.holder.remembers(number)).then_some(number)
    };
    // A refusal that changes nothing of it is no answer.
    let is_answer = |letter: &&Letter| match letter.2.content {
        Content::Refuse { .. } => outdates(member, &letter.2),
        Content::Heartbeat(_)
        | Content::Request { .. }
        | Content::Grant { .. }
        | Content::Release { .. }
        | Content::HandOver { .. }
        | Content::MissesState
        | Content::Outlived { .. } => true,
    };
    let mut numbers: Vec<u32> =
        mail.iter().filter(is_answer).filter_map(request).filter_map(of_seat).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The place of a letter's request among those of its member.
fn place(state: &State, mail: &[Letter], letter: &Letter) -> Option<usize> {
    let (whose, life, number) = request(letter)?;
    if life != state.members[whose.position()].incarnation {
        return None;
    }
    answered(state, mail, whose).iter().position(|answered| *answered == number)
}

/// All that ever changes of a promise.
fn ceiling(promise: &Promise) -> u32 {
    let Promise { ceiling, .. } = *promise;
    assert_eq!(*promise, Promise { ceiling, ..Promise::FIRST }, "no pair, no maintenance");
    ceiling.round
}

fn gist_of_member(member: &RedundancySupervisor, now: LocalTime, bytes: &mut Vec<u8>) {
    codec::encode(&(member.role, member.incarnation, member.grantor.gist(now), member.highest), bytes);
    let (kept, wanted) = (ceiling(&member.kept), ceiling(&member.wanted));
    codec::encode(&(kept, wanted, member.saves_fail, member.heartbeat_due.since(now)), bytes);
    if member.role == Role::Witness {
        return member.peers.iter().for_each(|peer| codec::encode(&peer.incarnation, bytes));
    }
    let asked = member.holder.asked();
    let asked = (member.role != Role::Standby || asked.round > member.highest.round).then_some(asked);
    codec::encode(&(asked, member.holder.gist(now)), bytes);
    gist_of_watch(member, now, bytes);
    let settings = &member.spec.settings;
    // Who is heard no more, and whose silence keeps nobody waiting.
    let silent = settings.watchdog + settings.heartbeat + INSTANT;
    for (seat, peer) in member.peers.iter().enumerate() {
        let heard = peer.heard_at.map_or(silent, |at| now.since(at).min(silent));
        let goes_first = (goes_before(member, Seat(seat as u8), peer), asks_before(member, peer));
        codec::encode(&(heard, peer.incarnation, goes_first), bytes);
    }
}

fn goes_before(member: &RedundancySupervisor, seat: Seat, peer: &Peer) -> bool {
    peer.is_candidate() && member.is_better(seat, peer)
}

/// Whether it is let go first since it asks while nobody was active yet.
fn asks_before(member: &RedundancySupervisor, peer: &Peer) -> bool {
    member.followed.is_none() && !member.role.holds() && peer.asks()
}

/// When it seeks authority, and how long it has done so.
fn gist_of_watch(member: &RedundancySupervisor, now: LocalTime, bytes: &mut Vec<u8>) {
    let (settings, wait) = (&member.spec.settings, member.spec.settings.grantor_wait());
    let followed = member.followed.map(|followed| followed.epoch);
    let heard = member.followed.map_or(member.booted_at, |followed| followed.at);
    let silent_at = (heard + settings.watchdog).max(member.defers_until);
    // Who has none to go before it seeks authority at once, unless another asks already where nobody was active yet.
    let others = u64::from(member.me().0) + u64::from(member.followed.is_none());
    let patience = wait * DEFERENCE_WAITS * others;
    let watched = match member.role {
        Role::Standby | Role::Candidate | Role::Lapsed => Some((silent_at + patience).since(now)),
        // It misses itself when it is active no more.
        Role::Active | Role::HandingOver | Role::Witness | Role::Maintenance => None,
    };
    // It seeks nothing for a watchdog after it has heard an active.
    let defers = member.defers_until.max(now + settings.watchdog).since(now);
    codec::encode(&(followed, watched, defers), bytes);
    let began = member.term_began.map(|began| now.since(began).min(wait * TERM_WAITS));
    let renews = (member.role == Role::Lapsed).then(|| now.since(heard).min(wait * RENEWING_WAITS + INSTANT));
    let retry = (member.role == Role::Candidate).then(|| member.retry_due.since(now));
    codec::encode(&(began, member.failed_terms.min(DOUBLINGS_MAX), renews, retry, member.released), bytes);
}

fn gist_of_letter(state: &State, mail: &[Letter], letter: &Letter, bytes: &mut Vec<u8>) {
    let (from, to, message) = letter;
    codec::encode(&(*from, *to, message.incarnation), bytes);
    if says_nothing(state, *to, message) {
        return bytes.push(0);
    }
    let place = place(state, mail, letter);
    match message.content {
        Content::Heartbeat(heartbeat) => {
            let renewal = (heartbeat.renewal != 0, place, heartbeat.renews);
            codec::encode(&(1_u8, heartbeat.role, heartbeat.epoch, renewal), bytes);
        }
        Content::Request { epoch, .. } => codec::encode(&(2_u8, place, epoch), bytes),
        Content::Grant { epoch, .. } => codec::encode(&(3_u8, place, epoch), bytes),
        Content::Refuse { refusal, floor, wait, .. } => {
            let outdated = place.filter(|_place| refusal == Refusal::Outdated);
            codec::encode(&(4_u8, floor, outdated.map(|place| (place, wait.is_zero()))), bytes);
        }
        Content::Release { epoch } => codec::encode(&(5_u8, epoch), bytes),
        Content::Outlived { life, heard } => codec::encode(&(6_u8, life, heard), bytes),
        Content::HandOver { .. } | Content::MissesState => {
            panic!("nobody hands over, and no state is missed")
        }
    }
}

/// Whether a letter, whenever it arrives, says only that its sender was alive.
fn says_nothing(state: &State, to: Seat, message: &Message) -> bool {
    let member = &state.members[to.position()];
    let is_of_life = |life| state.is_up[to.position()] && life == member.incarnation;
    match message.content {
        Content::Grant { number, life, .. } => !is_of_life(life) || !member.holder.remembers(number),
        // It tells of a floor that is not known yet, or that what is asked for now is too low.
        Content::Refuse { life, floor, .. } => {
            !is_of_life(life) || !(floor > member.highest || outdates(member, message))
        }
        Content::Heartbeat(_)
        | Content::Release { .. }
        | Content::Request { .. }
        | Content::HandOver { .. }
        | Content::MissesState
        | Content::Outlived { .. } => false,
    }
}

/// Whether a refusal says that what is asked for now is too low.
fn outdates(member: &RedundancySupervisor, message: &Message) -> bool {
    let Content::Refuse { number, refusal, floor, .. } = message.content else { return false };
    let holder = &member.holder;
    refusal == Refusal::Outdated && floor >= holder.asked() && holder.asks_with(number)
}

//! What a member makes of single messages: whose life they answer, how old they are, and what nobody can have meant.

mod council;

use council::HEALTHY;
use r_ems_engine::machine::{Effect, Effects};
use r_ems_engine::redundancy::grantor::Refusal;
use r_ems_engine::redundancy::message::{Content, Heartbeat};
use r_ems_engine::redundancy::{
    Command, Council, Epoch, Message, Promise, Reason, RedundancySupervisor, Role, Seat, Settings,
    SupervisorSpec,
};
use r_ems_engine::{LocalTime, Span};

/// One supervisor, whose peers are the test.
#[derive(Clone)]
struct Lone {
    supervisor: RedundancySupervisor,
    now: LocalTime,
    sent: Vec<(Seat, Content)>,
    promised: Vec<Promise>,
    refused: usize,
}

const PEER: Seat = Seat(1);
const WITNESS: Seat = Seat(2);
const QUIET: Heartbeat = Heartbeat {
    role: Role::Witness,
    epoch: Epoch::NONE,
    renewal: 0,
    renews: Epoch::NONE,
    is_ready: true,
    reaches_devices: true,
    is_slow: false,
    owner: Seat(0),
    owned_from: Epoch::NONE,
    active_for: Span::ZERO,
};

impl Lone {
    /// Seat `me` in life `incarnation`, up and well; `has_witness`, or a pair.
    fn new(me: u8, incarnation: u32, has_witness: bool) -> Self {
        let hosts: &[u16] = if has_witness { &[0, 1, 2] } else { &[0, 1] };
        let council = Council::new(hosts, has_witness, Seat(me));
        let spec = SupervisorSpec { council, settings: Settings::FAST, section: 7 };
        let (supervisor, now) = (RedundancySupervisor::new(&spec), LocalTime::from_nanos(1_000_000_000));
        let mut lone = Self { supervisor, now, sent: Vec::new(), promised: Vec::new(), refused: 0 };
        lone.act(|supervisor, now, out| {
            supervisor.boot(now, incarnation, Promise::FIRST, out);
            supervisor.saved(now, true, out);
            supervisor.report(now, HEALTHY, out);
        });
        lone
    }

    fn act(&mut self, act: impl FnOnce(&mut RedundancySupervisor, LocalTime, &mut Effects)) {
        let mut out = Effects::new();
        act(&mut self.supervisor, self.now, &mut out);
        for effect in out.as_slice() {
            match *effect {
                Effect::Send { to, message } => self.sent.push((to, message.content)),
                Effect::Promise(promise) => self.promised.push(promise),
                Effect::Report(event) => self.refused += usize::from(event.kind() == "command_refused"),
                Effect::Authority { .. }
                | Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Disconnect { .. }
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Transfer { .. } => {}
            }
        }
    }

    fn hear(&mut self, from: Seat, incarnation: u32, content: Content) {
        let message = Message { section: 7, incarnation, content };
        self.act(|supervisor, now, out| supervisor.message(now, from, &message, out));
    }

    /// Lets time pass, with a heartbeat of `from` each 5 ms.
    fn pass(&mut self, millis: u64, from: Seat, heartbeat: Heartbeat) {
        for milli in 0..millis {
            if milli % 5 == 0 {
                self.hear(from, 1, Content::Heartbeat(heartbeat));
            }
            self.now += Span::from_millis(1);
            if self.supervisor.deadline().is_some_and(|deadline| self.now >= deadline) {
                self.act(RedundancySupervisor::wake);
            }
        }
    }

    fn save(&mut self) {
        self.act(|supervisor, now, out| supervisor.saved(now, true, out));
    }

    fn is_active(&self) -> bool {
        self.supervisor.authority(self.now).is_some()
    }

    /// The last request that was sent.
    fn request(&self) -> (u32, Epoch) {
        let request = |(_, content): &(Seat, Content)| {
            if let Content::Request { number, epoch } = *content { Some((number, epoch)) } else { None }
        };
        self.sent.iter().rev().find_map(request).expect("it asked")
    }

    fn beat(&self) -> Heartbeat {
        let beat = |(_, content): &(Seat, Content)| {
            if let Content::Heartbeat(heartbeat) = *content { Some(heartbeat) } else { None }
        };
        self.sent.iter().rev().find_map(beat).expect("it lives")
    }

    /// Asks until it is granted its lease by the witness.
    fn take_over(&mut self) -> Epoch {
        self.pass(30, WITNESS, QUIET);
        let (number, epoch) = self.request();
        let life = 1;
        self.hear(WITNESS, 1, Content::Grant { number, life, epoch });
        assert!(self.is_active());
        epoch
    }
}

fn epoch(round: u32, seat: u8) -> Epoch {
    Epoch { round, seat: Seat(seat) }
}

#[test]
fn a_grant_to_an_earlier_life_gives_a_later_one_nothing() {
    let mut lone = Lone::new(0, 2, true);
    lone.pass(30, WITNESS, QUIET);
    let (number, epoch) = lone.request();
    lone.hear(WITNESS, 1, Content::Grant { number, life: 1, epoch });
    assert_eq!(lone.supervisor.role(), Role::Candidate);
    lone.hear(WITNESS, 1, Content::Grant { number, life: 2, epoch });
    assert!(lone.is_active());
}

#[test]
fn a_refusal_counts_for_the_life_and_the_request_that_it_answers() {
    let refuse = |number, life| Content::Refuse {
        number,
        life,
        refusal: Refusal::Outdated,
        floor: epoch(9, 0),
        wait: Span::ZERO,
    };
    let asked_after = |number: u32, life| {
        let mut lone = Lone::new(0, 2, true);
        lone.pass(30, WITNESS, QUIET);
        lone.hear(WITNESS, 1, refuse(lone.request().0 + number, life));
        lone.pass(2, WITNESS, QUIET);
        lone.request().1
    };
    assert_eq!(asked_after(0, 1), epoch(1, 0), "an earlier life was refused");
    assert_eq!(asked_after(7, 2), epoch(1, 0), "nobody asked that");
    assert_eq!(asked_after(0, 2), epoch(10, 0));
}

#[test]
fn what_an_earlier_life_says_is_neither_news_nor_a_request() {
    let mut lone = Lone::new(0, 1, true);
    lone.pass(10, WITNESS, QUIET);
    lone.hear(PEER, 3, Content::Heartbeat(Heartbeat { role: Role::Standby, ..QUIET }));
    lone.sent.clear();
    lone.hear(PEER, 2, Content::Request { number: 1, epoch: epoch(5, 1) });
    assert_eq!(lone.sent, [], "it is dead");
    lone.hear(PEER, 2, Content::Heartbeat(Heartbeat { role: Role::Active, epoch: epoch(5, 1), ..QUIET }));
    lone.take_over();
    assert_eq!(lone.supervisor.epoch(), epoch(1, 0));
}

#[test]
fn only_the_life_that_was_granted_a_lease_releases_it() {
    let mut voter = Lone::new(2, 1, true);
    voter.pass(30, PEER, QUIET);
    voter.hear(Seat(1), 2, Content::Request { number: 1, epoch: epoch(1, 1) });
    let is_free = |voter: &Lone| {
        let mut voter = voter.clone();
        voter.sent.clear();
        voter.hear(Seat(0), 1, Content::Request { number: 1, epoch: epoch(2, 0) });
        matches!(voter.sent[..], [(_, Content::Grant { .. })])
    };
    voter.hear(Seat(0), 1, Content::Release { epoch: epoch(1, 1) });
    assert!(!is_free(&voter), "another's word");
    voter.hear(Seat(1), 3, Content::Release { epoch: epoch(1, 1) });
    assert!(!is_free(&voter), "a later life was granted nothing");
    let mut voter = Lone::new(2, 1, true);
    voter.pass(30, PEER, QUIET);
    voter.hear(Seat(1), 2, Content::Request { number: 1, epoch: epoch(1, 1) });
    voter.hear(Seat(1), 2, Content::Release { epoch: epoch(1, 1) });
    assert!(is_free(&voter));
}

#[test]
fn an_active_tells_what_it_holds_and_asks_for_what_it_needs() {
    let mut lone = Lone::new(0, 1, true);
    let held = lone.take_over();
    // The witness restarted: it renews nothing up to its ceiling.
    let floor = Epoch { round: 40, seat: Seat(u8::MAX) };
    lone.pass(5, WITNESS, QUIET);
    let number = lone.beat().renewal;
    let refusal = Refusal::Outdated;
    lone.hear(WITNESS, 2, Content::Refuse { number, life: 1, refusal, floor, wait: Span::ZERO });
    lone.now += Span::from_millis(5);
    lone.act(RedundancySupervisor::wake);
    let beat = lone.beat();
    assert_eq!((beat.epoch, beat.renews), (held, epoch(41, 0)));
    // Handed over before anybody granted the higher one: both are released, and the held one is handed over.
    lone.hear(PEER, 1, Content::Heartbeat(Heartbeat { role: Role::Standby, ..QUIET }));
    lone.sent.clear();
    lone.act(|supervisor, now, out| supervisor.command(now, Command::SwitchOver { to: Some(PEER) }, out));
    let to_peer: Vec<Content> = lone.sent.iter().filter(|sent| sent.0 == PEER).map(|sent| sent.1).collect();
    let [first, second, third] = to_peer[..] else { panic!("{to_peer:?}") };
    assert_eq!([first, second], [held, epoch(41, 0)].map(|epoch| Content::Release { epoch }));
    let owned_from = Epoch::NONE;
    assert_eq!(third, Content::HandOver { epoch: held, owned_from, reason: Reason::Operator });
}

#[test]
fn a_stale_or_foreign_call_to_take_over_calls_nobody() {
    let call = |epoch| Content::HandOver { epoch, owned_from: Epoch::NONE, reason: Reason::Operator };
    let active = Heartbeat { role: Role::Active, epoch: epoch(5, 0), ..QUIET };
    let role_after = |from: Seat, called: Epoch| {
        let mut lone = Lone::new(1, 1, true);
        lone.pass(10, Seat(0), active);
        lone.hear(from, 1, call(called));
        lone.supervisor.role()
    };
    assert_eq!(role_after(Seat(0), epoch(5, 0)), Role::Candidate);
    assert_eq!(role_after(Seat(0), epoch(4, 0)), Role::Standby, "it has taken authority again since");
    assert_eq!(role_after(WITNESS, epoch(5, 0)), Role::Standby, "not its own to give");
    let mut lone = Lone::new(1, 1, true);
    lone.pass(10, Seat(0), active);
    lone.hear(Seat(0), 1, call(epoch(5, 0)));
    lone.hear(Seat(0), 1, Content::Heartbeat(Heartbeat { epoch: epoch(7, 0), ..active }));
    lone.hear(Seat(0), 1, call(epoch(5, 0)));
    assert_eq!(lone.supervisor.role(), Role::Standby, "the same call, repeated by the network");
}

#[test]
fn an_owner_that_is_no_controller_is_not_believed() {
    let mut lone = Lone::new(0, 1, false);
    lone.promised.clear();
    for owner in [2, 16, 200] {
        let heartbeat =
            Heartbeat { role: Role::Standby, owner: Seat(owner), owned_from: epoch(9, 1), ..QUIET };
        lone.hear(PEER, 1, Content::Heartbeat(heartbeat));
        let owned_from = Epoch { round: u32::MAX, seat: PEER };
        lone.hear(PEER, 1, Content::Heartbeat(Heartbeat { owner: PEER, owned_from, ..heartbeat }));
    }
    assert_eq!(lone.promised, []);
    let heartbeat = Heartbeat { role: Role::Standby, owner: PEER, owned_from: epoch(9, 1), ..QUIET };
    lone.hear(PEER, 1, Content::Heartbeat(heartbeat));
    assert_eq!(lone.promised.first().map(|promise| promise.owner), Some(PEER));
}

#[test]
fn a_life_that_finds_a_pair_given_away_says_so_when_that_is_durable_and_no_lease_of_before_runs() {
    let given = epoch(5, 0);
    let found = Promise { owner: PEER, owned_from: given, ..Promise::FIRST };
    let boot = |outcomes: &[bool]| {
        let mut lone = Lone::new(0, 1, false);
        lone.act(|supervisor, now, out| {
            supervisor.boot(now, 2, found, out);
            outcomes.iter().for_each(|succeeded| supervisor.saved(now, *succeeded, out));
        });
        lone
    };
    let quiet = Heartbeat { role: Role::Standby, ..QUIET };
    let mut durable = boot(&[true]);
    assert_eq!(durable.beat().owned_from, Epoch::NONE, "the lease of the life before may still run");
    durable.pass(100, PEER, quiet);
    assert_eq!((durable.beat().owner, durable.beat().owned_from), (PEER, given));
    let mut failing = boot(&[false]);
    failing.pass(100, PEER, quiet);
    assert_eq!(failing.beat().owned_from, Epoch::NONE, "it was there to be read, and may be lost");
    failing.save();
    failing.pass(10, PEER, quiet);
    assert_eq!(failing.beat().owned_from, given);
}

#[test]
fn a_ceiling_that_failed_and_is_written_with_something_else_is_never_lowered() {
    let mut lone = Lone::new(0, 1, false);
    let ask = |lone: &mut Lone, round| {
        lone.hear(PEER, 1, Content::Request { number: round, epoch: epoch(round, 1) });
    };
    ask(&mut lone, 70);
    lone.act(|supervisor, now, out| supervisor.saved(now, false, out));
    let begins = Command::Maintenance { begins: true, is_forced: true };
    lone.act(|supervisor, now, out| supervisor.command(now, begins, out));
    let written = *lone.promised.last().expect("maintenance outlives a restart");
    assert!(written.in_maintenance && written.ceiling >= epoch(70, 1));
    ask(&mut lone, 65);
    lone.save();
    assert!(lone.promised.last().is_some_and(|last| last.ceiling >= written.ceiling), "{:?}", lone.promised);
}

#[test]
fn a_pair_remembers_a_call_until_it_is_durable_that_it_owns() {
    let mut lone = Lone::new(1, 1, false);
    let active = Heartbeat { role: Role::Active, epoch: epoch(5, 0), ..QUIET };
    lone.pass(30, Seat(0), active);
    let (at, reason) = (epoch(5, 0), Reason::Operator);
    lone.hear(Seat(0), 1, Content::HandOver { epoch: at, owned_from: at, reason });
    assert_eq!(lone.supervisor.role(), Role::Standby, "a restart would forget that it owns");
    lone.save();
    assert!(lone.is_active(), "the owner alone is the majority");
}

#[test]
fn what_comes_after_the_lease_is_over_finds_no_active() {
    let over = Span::from_millis(30);
    let mut commanded = Lone::new(0, 1, true);
    commanded.take_over();
    commanded.hear(PEER, 1, Content::Heartbeat(Heartbeat { role: Role::Standby, ..QUIET }));
    let (mut saved, mut told) = (commanded.clone(), commanded.clone());
    commanded.now += over;
    commanded.hear(PEER, 1, Content::Heartbeat(Heartbeat { role: Role::Standby, ..QUIET }));
    commanded.act(|supervisor, now, out| supervisor.command(now, Command::SwitchOver { to: None }, out));
    assert_eq!((commanded.supervisor.role(), commanded.refused), (Role::Lapsed, 1));
    told.now += over;
    told.act(|supervisor, now, out| supervisor.report(now, HEALTHY, out));
    assert_eq!(told.supervisor.role(), Role::Lapsed);
    saved.act(|supervisor, now, out| {
        supervisor.command(now, Command::Maintenance { begins: false, is_forced: false }, out);
        supervisor.command(now, Command::Sole { begins: true }, out);
    });
    saved.now += over;
    saved.save();
    assert_eq!(saved.supervisor.role(), Role::Lapsed);
}

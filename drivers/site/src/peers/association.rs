//! What this process and one other host of the site know of each other: a state machine without a socket and without a clock.
//!
//! ```text
//!     b                                            a, which has begun just now
//!     Data(session b, echo ?)             ──────>  who is b? not delivered
//!                                         <──────  Hello(session a, echo ?; answers b, nonce n)
//!     Hello(session b, echo n;            ──────>  n is from me: b lives, and wants to be sent m;
//!           answers a, nonce m)                    b is accepted
//!     m is from me: a lives, and wants    <──────  Hello(session a, echo m; answers b, nonce n)
//!     to be sent n; a is accepted
//!     Data(session b, echo n)             ──────>  delivered
//! ```
//!
//! **Sessions.** A process draws a session and a secret when it begins, and keeps neither beyond its end.
//!
//! **Nonces** are a hash, under that secret, of the peer, its session and a generation, so nothing is kept of sessions that were
//! merely heard of. Each time another session of the peer is accepted the generation rises: what a former session could say
//! is said for ever, and a session that comes back must prove anew that it lives.
//!
//! **What is learned from what.** A datagram is *fresh* if it echoes the nonce that this process gives to its session now.
//! - Data are delivered if they are fresh, of the accepted session, and their counter is new to its [`Window`]. Nothing else is
//!   learned from them. Data that are not fresh are answered with a Hello to their session.
//! - A Hello that answers another session than this process's own is for a process that is gone: nothing is learned or answered.
//! - A Hello that answers this session and is fresh is believed: its session is accepted, if it is not yet, and its nonce is
//!   echoed from now on. One of the accepted session has to pass the window too, so that an old nonce does not come back.
//! - A Hello that answers this session and is not fresh changes nothing: it may be a recording. It is answered with a Hello that
//!   echoes its nonce, which is fresh for whoever lives and useless to others.
//!
//! So **only a fresh Hello changes anything**, and whoever has recorded all that was ever said changes nothing with it.
//!
//! **Answers are bounded.** In each [`HELLO_EVERY`] at most one Hello answers Data and one answers a Hello. Two bounds, not one:
//! when two hosts begin in step, each has just answered the other's Data when the other's Hello comes, and if that
//! Hello found no answer, the same would happen with each heartbeat for ever. A Hello that is fresh is answered only if it
//! made its session accepted, so nobody answers without end. Recordings sent all the time can take the place of answers, and so
//! delay how soon hosts that have just begun hear each other; they disturb none that do already.
//!
//! **Nothing is queued or sent again.** Data to a host of which no session is accepted could not be delivered, whatever they
//! hold: they leave without their body, as a knock that asks for a Hello, so that no state transfer floods a host that is down.
//! Heartbeats are knocks enough. Where nothing is lost, and answers come before the next heartbeat, the third is delivered at the
//! latest if they are `HELLO_EVERY` apart, whatever happened before; as a rule it is the second.
//!
//! **What this does not give:** what a process sent before it ended is delivered as long as its successor has not been heard. It
//! was sent to this process and never delivered before; how old a message may be is decided by what it says.

use r_ems_engine::{Span, Time};

use super::datagram::{Content, Datagram, Head, Nonce, Session, write};
use super::key::Key;
use super::window::Window;

/// How often Hellos of one kind leave to one peer at most.
pub const HELLO_EVERY: Span = Span::from_millis(10);

/// This process among the hosts of the site.
#[derive(Debug)]
pub(super) struct Identity {
    /// The number of this host.
    pub(super) host: u16,
    /// What the hosts of the site share.
    pub(super) key: Key,
    session: Session,
    /// What nonces are made with.
    secret: Key,
}

impl Identity {
    /// A process of this host; `session` and `secret` are drawn at random for it.
    pub(super) const fn new(host: u16, key: Key, session: [u8; 16], secret: [u8; 32]) -> Self {
        Self { host, key, session: Session(session), secret: Key::of(secret) }
    }

    /// What a session of a peer is to say back in a generation.
    fn nonce(&self, peer: u16, session: Session, generation: u64) -> Nonce {
        let mut given = [0; 26];
        given[..2].copy_from_slice(&peer.to_le_bytes());
        given[2..18].copy_from_slice(&session.0);
        given[18..].copy_from_slice(&generation.to_le_bytes());
        Nonce(self.secret.digest(&given))
    }
}

/// What is known of one peer.
#[derive(Clone, Debug)]
pub(super) struct Association {
    peer: u16,
    /// The number of the last datagram that was sent to it.
    counter: u64,
    /// How many sessions of it were accepted.
    generation: u64,
    accepted: Option<Accepted>,
    /// When Data, and when a Hello, were last answered.
    data_answered: Option<Time>,
    hello_answered: Option<Time>,
}

/// A session of the peer that has proved that it lives.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    session: Session,
    /// What it was given, and has to echo.
    given: Nonce,
    /// What it gave, and wants to be echoed.
    wanted: Nonce,
    window: Window,
}

/// What a datagram of the peer led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// A body to be delivered.
    Body(&'a [u8]),
    /// A fresh Hello of another session than the one before.
    Accepted,
    /// A fresh Hello of the accepted session.
    Again,
    /// Nobody with the key wrote it.
    Forged,
    /// Nothing shows that it was written for this process by one that lives.
    Stale,
    /// It was here before, or is too old to tell.
    Replayed,
}

impl Association {
    /// Nothing is known of this peer yet.
    pub(super) const fn new(peer: u16) -> Self {
        Self { peer, counter: 0, generation: 0, accepted: None, data_answered: None, hello_answered: None }
    }

    /// Whether the peer is known, so that bodies are sent.
    pub(super) const fn is_open(&self) -> bool {
        self.accepted.is_some()
    }

    /// Writes Data for the peer in place of what `into` holds; without the body if the peer is not known.
    pub(super) fn send(&mut self, own: &Identity, body: &[u8], into: &mut Vec<u8>) {
        let (echo, body) = match &self.accepted {
            Some(accepted) => (accepted.wanted, body),
            None => (Nonce::UNKNOWN, &[][..]),
        };
        self.write(own, echo, Content::Data(body), into);
    }

    /// Takes a datagram that says it is from the peer and for this host. If it is to be answered, the answer stands in `answer`
    /// afterwards, and else nothing does.
    pub(super) fn take<'a>(
        &mut self,
        own: &Identity,
        at: Time,
        datagram: &Datagram<'a>,
        answer: &mut Vec<u8>,
    ) -> Heard<'a> {
        answer.clear();
        if !datagram.is_authentic(&own.key) {
            return Heard::Forged;
        }
        match datagram.content {
            Content::Data(body) => self.take_data(own, at, &datagram.head, body, answer),
            Content::Hello { answered, nonce } if answered == own.session => {
                self.take_hello(own, at, &datagram.head, nonce, answer)
            }
            Content::Hello { .. } => Heard::Stale,
        }
    }

    fn take_data<'a>(
        &mut self,
        own: &Identity,
        at: Time,
        head: &Head,
        body: &'a [u8],
        answer: &mut Vec<u8>,
    ) -> Heard<'a> {
        let accepted = self.accepted.as_mut().filter(|accepted| accepted.session == head.session);
        if let Some(accepted) = accepted
            && accepted.given == head.echo
        {
            return if accepted.window.takes(head.counter) { Heard::Body(body) } else { Heard::Replayed };
        }
        if is_due(&mut self.data_answered, at) {
            let echo = self.wanted_by(head.session);
            self.greet(own, head.session, echo, answer);
        }
        Heard::Stale
    }

    fn take_hello<'a>(
        &mut self,
        own: &Identity,
        at: Time,
        head: &Head,
        nonce: Nonce,
        answer: &mut Vec<u8>,
    ) -> Heard<'a> {
        let session = head.session;
        let given = self.given_to(own, session);
        if head.echo != given {
            if is_due(&mut self.hello_answered, at) {
                self.greet(own, session, nonce, answer);
            }
            return Heard::Stale;
        }
        if let Some(accepted) = self.accepted.as_mut().filter(|accepted| accepted.session == session) {
            if !accepted.window.takes(head.counter) {
                return Heard::Replayed;
            }
            accepted.wanted = nonce;
            return Heard::Again;
        }
        self.generation += 1;
        let window = Window::from(head.counter);
        self.accepted = Some(Accepted { session, given, wanted: nonce, window });
        // Now that its Hello could be believed it is told so: it does not know yet that its own was.
        if is_due(&mut self.hello_answered, at) {
            self.greet(own, session, nonce, answer);
        }
        Heard::Accepted
    }

    /// What a session of the peer is given now: one that is not accepted would begin the next generation.
    fn given_to(&self, own: &Identity, session: Session) -> Nonce {
        match &self.accepted {
            Some(accepted) if accepted.session == session => accepted.given,
            Some(_) | None => own.nonce(self.peer, session, self.generation + 1),
        }
    }

    /// What a session of the peer wants to be echoed, as far as it is known.
    fn wanted_by(&self, session: Session) -> Nonce {
        let accepted = self.accepted.filter(|accepted| accepted.session == session);
        accepted.map_or(Nonce::UNKNOWN, |accepted| accepted.wanted)
    }

    /// Writes a Hello for a session of the peer.
    fn greet(&mut self, own: &Identity, answered: Session, echo: Nonce, into: &mut Vec<u8>) {
        let nonce = self.given_to(own, answered);
        self.write(own, echo, Content::Hello { answered, nonce }, into);
    }

    fn write(&mut self, own: &Identity, echo: Nonce, content: Content<'_>, into: &mut Vec<u8>) {
        self.counter += 1;
        let (session, counter) = (own.session, self.counter);
        write(&Head { from: own.host, to: self.peer, session, echo, counter }, content, &own.key, into);
    }
}

/// Whether an answer may leave again; then it is taken to leave now.
fn is_due(last: &mut Option<Time>, at: Time) -> bool {
    let is_due = last.is_none_or(|last| at.since(last) >= HELLO_EVERY);
    if is_due {
        *last = Some(at);
    }
    is_due
}

//! A connection on which one thing is asked at a time, and waited for: a site's line and master, without its controllers.
//!
//! Each answer is one to what was asked, or a [`Fault`]. Nothing is repeated by itself, as what is lost is to be counted, but
//! what crosses the end of a connection that the device has answered on.
//!
//! **Bounds:** an exchange ends within [`ANSWER_MAX`], a connection is waited for within [`CONNECT_MAX`], whatever the site file
//! allows: a person waits for all of it.

use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::master::{ConnectionSpec, Fault, Job, Master, Next, Peer, Turn, UnitSpec};
use r_ems_engine::fieldbus::pdu::{Answer, Request};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_scenarios::RealWay;
use r_ems_site::BootClock;
use r_ems_site::line::{Happened, Line};
use r_ems_site::reactor::Reactor;

use crate::exit::Failure;
use crate::ways;

/// The longest that an answer is waited for.
pub(super) const ANSWER_MAX: Span = Span::from_secs(5);
/// The longest that a connection is waited for.
pub(super) const CONNECT_MAX: Span = Span::from_secs(5);
/// A connection on which nothing was asked for so long is not relied on.
const IDLE_MAX: Span = Span::from_secs(5);
/// A unit that failed may be asked again at once: whoever asks here knows what it does.
const AT_ONCE: Span = Span::from_nanos(1);
/// Bytes that are read at once.
const READ_BYTES: usize = 1_024;
/// The line's name among those that end a wait.
const NAME: u64 = 0;

/// What a device answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Registers, as they travel; bits as registers that are 0 or 1.
    Registers(Vec<u8>),
    /// It is written.
    Written,
    /// Who it is: the next object, if there are more, and the objects themselves.
    Identity {
        /// The object with which to go on.
        more: Option<u8>,
        /// The objects, each with its number, its length and its bytes.
        objects: Vec<u8>,
    },
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// From the request to its end.
    pub(super) took: Span,
    /// When it ended.
    pub(super) at: LocalTime,
    /// The answer.
    pub(super) outcome: Result<Reply, Fault>,
}

/// A connection to one address, or on one line.
pub(super) struct Session {
    spec: ConnectionSpec,
    master: Master<()>,
    desk: Desk,
    /// When something was asked for the last time.
    asked_at: LocalTime,
}

/// What the master is told and asked through.
struct Desk {
    reactor: Reactor,
    line: Line,
    way: RealWay,
    framing: Framing,
    /// The request that is to be made.
    request: Vec<u8>,
    ended: Option<Result<Reply, Fault>>,
    opening: LocalTime,
    /// How long the last connection took.
    connected: Option<Span>,
    sent: LocalTime,
    /// So many connections the device has ended after an answer.
    cut_off: usize,
    /// The line is closed, and the master does not know.
    is_lost: bool,
    /// The connection is over, and another would have to be made.
    is_over: bool,
    /// Nothing is asked from then on.
    patient_until: Option<LocalTime>,
    now: LocalTime,
}

impl Session {
    /// A connection that leads `way` and is opened once something is asked, to the units that `like` names and to `others`.
    ///
    /// # Errors
    /// The operating system has no clock or no descriptors left.
    pub(super) fn new(way: &RealWay, like: &ConnectionSpec, others: &[u8]) -> Result<Self, Failure> {
        let timeout = like.units.iter().map(|unit| unit.timeout).max().unwrap_or(ANSWER_MAX).min(ANSWER_MAX);
        let unit = |unit: u8, timeout: Span| UnitSpec {
            unit,
            timeout: timeout.min(ANSWER_MAX),
            retries: 0,
            back_off_first: AT_ONCE,
            back_off_max: AT_ONCE,
        };
        let named = like.units.iter().map(|known| unit(known.unit, known.timeout));
        let is_named = |other: &&u8| like.units.iter().any(|known| known.unit == **other);
        let more = others.iter().filter(|other| !is_named(other)).map(|other| unit(*other, timeout));
        let spec = ConnectionSpec {
            units: named.chain(more).collect(),
            framing: like.framing,
            min_gap: like.min_gap,
            connect_timeout: like.connect_timeout.min(CONNECT_MAX),
            // What is asked is looked at before more is.
            pipelining: 1,
        };
        let refused = |error: std::io::Error| Failure::error(format!("nothing can be waited for: {error}"));
        let reactor = BootClock::begin_in(Span::ZERO).and_then(Reactor::new).map_err(refused)?;
        let line = Line::new(&ways::line(way), reactor.watch(NAME)).map_err(refused)?;
        let desk = Desk {
            reactor,
            line,
            way: way.clone(),
            framing: like.framing,
            request: Vec::new(),
            ended: None,
            opening: LocalTime::ZERO,
            connected: None,
            sent: LocalTime::ZERO,
            cut_off: 0,
            is_lost: false,
            is_over: false,
            patient_until: None,
            now: LocalTime::ZERO,
        };
        Ok(Self { master: Master::new(&spec), spec, desk, asked_at: LocalTime::ZERO })
    }

    /// Asks a unit and waits for the end; the connection is opened where there is none.
    ///
    /// # Panics
    /// If the connection was made without that unit.
    pub(super) fn ask(&mut self, unit: u8, request: &Request<'_>) -> Exchange {
        let mut pdu = Vec::new();
        request.encode(&mut pdu);
        self.ask_as(unit, pdu)
    }

    /// The same for a data unit that is made already.
    ///
    /// # Panics
    /// As [`Session::ask`], and if it is no request.
    pub(super) fn ask_as(&mut self, unit: u8, pdu: Vec<u8>) -> Exchange {
        let now = self.desk.look();
        if self.desk.patient_until.is_some_and(|until| now >= until) {
            return Exchange { took: Span::ZERO, at: now, outcome: Err(Fault::TimedOut) };
        }
        // Many devices end connections on which nothing is asked for long, and some do not say so.
        let is_idle = !self.desk.line.is_closed();
        if is_idle {
            self.take_what_is_there();
        }
        if self.desk.is_over || (is_idle && now >= self.asked_at + IDLE_MAX) {
            self.renew();
        }
        let place = self.spec.units.iter().position(|known| known.unit == unit);
        let unit = place.expect("the connection was made with this unit") as u16;
        let now = self.desk.look();
        (self.desk.request, self.desk.ended, self.desk.sent) = (pdu, None, now);
        self.master.ask(now, Job { tag: (), unit, turn: Turn::Read }, &mut self.desk);
        let outcome = loop {
            if let Some(outcome) = self.desk.ended.take() {
                break outcome;
            }
            self.turn();
        };
        self.asked_at = self.desk.now;
        Exchange { took: self.desk.now.since(self.desk.sent), at: self.desk.now, outcome }
    }

    /// Where it leads.
    pub(super) fn way(&self) -> &RealWay {
        &self.desk.way
    }

    /// How long the last connection took to be there; `None`: there was none yet.
    pub(super) fn connected(&self) -> Option<Span> {
        self.desk.connected
    }

    /// So many connections the device has ended after it had answered on them.
    pub(super) fn cut_off(&self) -> usize {
        self.desk.cut_off
    }

    /// Nothing is asked any more when so much time has passed: all ends then as if nobody answered; `None`: there is no hurry.
    pub(super) fn be_patient_for(&mut self, span: Option<Span>) {
        let now = self.desk.look();
        self.desk.patient_until = span.map(|span| now + span);
    }

    /// What the clock shows.
    pub(super) fn now(&mut self) -> LocalTime {
        self.desk.look()
    }

    /// Waits, and takes what arrives meanwhile.
    pub(super) fn rest_until(&mut self, until: LocalTime) {
        let mut ready = Vec::new();
        while self.desk.look() < until {
            let wait = Time::from_nanos(until.as_nanos());
            // What may arrive belongs to no request, and must not end the wait over and over. Nor must a port that is opened
            // after it was given up, which is let go here.
            self.take_what_is_there();
            if self.desk.reactor.wait(wait, &mut ready).is_err() {
                return;
            }
            ready.clear();
        }
    }

    /// Ends the connection; what is asked next opens another.
    pub(super) fn renew(&mut self) {
        self.desk.line.close();
        self.master = Master::new(&self.spec);
        (self.desk.is_over, self.desk.is_lost) = (false, false);
    }

    /// Waits for the next thing that happens, and handles it.
    fn turn(&mut self) {
        if std::mem::take(&mut self.desk.is_lost) {
            return self.end();
        }
        // Whoever waits for nothing has ended.
        let due = self.master.deadline().unwrap_or(self.desk.now);
        let mut ready = Vec::new();
        let waited = self.desk.reactor.wait(Time::from_nanos(due.as_nanos()), &mut ready);
        if waited.is_err() {
            self.desk.is_lost = true;
            return;
        }
        self.take_what_is_there();
        let now = self.desk.look();
        if self.master.deadline().is_some_and(|due| now >= due) {
            self.master.wake(now, &mut self.desk);
        }
    }

    fn take_what_is_there(&mut self) {
        let mut bytes = [0; READ_BYTES];
        let happened = self.desk.line.look(&mut bytes);
        let now = self.desk.look();
        match happened {
            Happened::Nothing => {}
            Happened::Opened => {
                self.desk.connected = Some(now.since(self.desk.opening));
                self.master.connected(now, &mut self.desk);
            }
            Happened::Arrived(count) => self.master.received(now, &bytes[..count], &mut self.desk),
            Happened::Closed => self.end(),
        }
    }

    /// The connection has ended, or could not be opened.
    fn end(&mut self) {
        self.desk.cut_off += usize::from(self.master.ends_after_an_answer());
        self.desk.is_over = true;
        let now = self.desk.look();
        self.master.disconnected(now, &mut self.desk);
    }
}

impl Desk {
    fn look(&mut self) -> LocalTime {
        self.now = LocalTime::from_nanos(self.reactor.now().as_nanos());
        self.now
    }
}

impl Peer for Desk {
    type Tag = ();

    fn request(&mut self, _job: &Job<()>, pdu: &mut Vec<u8>) {
        pdu.extend_from_slice(&self.request);
    }

    fn connect(&mut self) {
        self.opening = self.look();
        self.is_over = false;
        self.is_lost = self.line.open() == Happened::Closed;
    }

    fn disconnect(&mut self) {
        self.line.close();
        self.is_over = true;
    }

    fn has_expired(&self, _now: LocalTime, _job: &Job<()>) -> bool {
        false
    }

    fn goes_alone(&self, _job: &Job<()>) -> bool {
        true
    }

    fn send(&mut self, _job: &Job<()>, transaction: u16, unit: u8, pdu: &[u8]) {
        let mut bytes = Vec::new();
        self.framing.put(&mut bytes, transaction, unit, |out| out.extend_from_slice(pdu));
        self.sent = self.look();
        self.is_lost = self.line.send(self.sent, &bytes, None) == Happened::Closed;
    }

    fn arrived(&mut self, _transaction: u16) {}

    fn done(&mut self, _job: &Job<()>, outcome: Result<Answer<'_>, Fault>) -> Next<()> {
        let reply = |answer: Answer<'_>| match answer {
            Answer::Registers(registers) => Reply::Registers(registers.bytes().to_vec()),
            Answer::Bits(bits) => {
                let mut bytes = Vec::new();
                bits.put_as_registers(&mut bytes);
                Reply::Registers(bytes)
            }
            Answer::Written => Reply::Written,
            Answer::Identity { more, objects, .. } => Reply::Identity { more, objects: objects.to_vec() },
        };
        self.ended = Some(outcome.map(reply));
        Next::Nothing
    }
}

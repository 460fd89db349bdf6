//! Looks at one device: whether it answers, how fast, who it is, and what its points read. Nothing is written.
//!
//! What is asked beyond the map: who it is (function 43/14), the registers where SunSpec begins, and, where something is refused,
//! whether another unit, table or neighboring register answers.
//!
//! **Bounds:** a look ends within [`LOOK_MAX`], and one exchange, whatever is answered. [`POLLS`] requests measure how long
//! answers take, or as many as fit into [`POLLS_WITHIN`]; a device that has not answered twice is asked no more.

mod bits;
mod silence;
mod texts;

use r_ems_engine::Span;
use r_ems_engine::fieldbus::map::{BitsSeen, MappedPoint, Otherwise};
use r_ems_engine::fieldbus::master::Fault;
use r_ems_engine::fieldbus::pdu::{Registers, Table};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::{AnswerFlaw, Exception};
use r_ems_engine::fieldbus::sunspec::Search;
use r_ems_engine::machine::Validity;
use r_ems_engine::points::{DeviceClass, PointKind, Quality};
use r_ems_scenarios::Severity;

use super::identity::{identity, sunspec};
use super::plausible::{Doubt, odd_charge, show};
use super::reading::read;
use super::report::{Device, Identity, PointSeen, RoundTrips};
use super::session::{Exchange, Reply, Session};
use super::settings;
use super::target::{Noted, Target, table};
use crate::present::text::duration;
use crate::study::progress::Interrupt;

/// The longest look at one device.
const LOOK_MAX: Span = Span::from_mins(1);
/// So many polls measure how long answers take.
const POLLS: usize = 50;
/// And no more once they have taken so long.
const POLLS_WITHIN: Span = Span::from_secs(5);
/// Who has never answered is asked so often.
const TRIES: usize = 2;
/// So many connections at least that a device ends are no matter of chance.
const ENDS: usize = 5;
/// A table has so many registers.
const REGISTERS: u32 = 1 << 16;
/// An answer that takes so many times as long as the file says is no matter of chance.
const FAR_BEYOND: u64 = 2;
/// The quality of a number that the engine would believe, and nobody else.
const DOUBTFUL: &str = "doubtful";
/// And one beside which another number says that it does not mean what it shows.
const UNVOUCHED: &str = "not in force";

/// What became of a look.
pub(super) struct Looked {
    pub(super) device: Device,
    pub(super) notes: Vec<Noted>,
    /// What its points mean, in our sign, where they can be true.
    values: Vec<(PointKind, f64)>,
}

impl Looked {
    /// Whether another device answers than the one that the file names.
    pub(super) fn is_another(&self) -> bool {
        self.device.texts.iter().any(|text| text.reads.as_ref() != Some(&text.is))
    }

    /// What a point reads; none if that cannot be used.
    pub(super) fn value(&self, kind: PointKind) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == kind).map(|(_, value)| *value)
    }
}

/// Whether a unit answered, be it that it refuses.
pub(super) fn is_answer(outcome: &Result<Reply, Fault>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(Fault::Answer(AnswerFlaw::Exception(exception))) => !exception.is_of_gateway(),
        Err(_) => false,
    }
}

/// Looks at a device over a connection to its address.
pub(super) fn look(target: &Target<'_>, session: &mut Session, interrupt: &Interrupt) -> Looked {
    let device = Device {
        device: target.name(),
        class: target.spec.class.name(),
        address: target.address(),
        unit: target.unit(),
        answers: false,
        trouble: None,
        connect_s: None,
        round_trips: None,
        identity: Identity::default(),
        texts: Vec::new(),
        sunspec: None,
        bits: Vec::new(),
        points: Vec::new(),
        written: None,
    };
    session.be_patient_for(Some(LOOK_MAX));
    let (notes, values, seen) = (Vec::new(), Vec::new(), BitsSeen::default());
    let mut look = Look { target, session, device, notes, values, seen };
    if look.reach() {
        look.read_texts();
        look.read_points();
        look.judge();
        if !interrupt.is_asked() {
            look.measure(interrupt);
        }
        if !interrupt.is_asked() {
            look.device.identity = identity(look.session, target.unit());
            look.device.sunspec = sunspec(look.session, target.unit());
        }
        if let Some(found) = look.device.sunspec.as_mut().filter(|_found| !interrupt.is_asked()) {
            let (seen, notes) = settings::look(target, look.session, &found.models);
            found.settings = seen;
            look.notes.extend(notes);
        }
    }
    let Look { device, notes, values, session, .. } = look;
    session.be_patient_for(None);
    Looked { device, notes, values }
}

struct Look<'t, 's> {
    target: &'t Target<'s>,
    session: &'t mut Session,
    device: Device,
    notes: Vec<Noted>,
    values: Vec<(PointKind, f64)>,
    /// The bits on which points depend.
    seen: BitsSeen,
}

impl Look<'_, '_> {
    fn read(&mut self, piece: Piece) -> Exchange {
        read(self.session, self.target.unit(), piece)
    }

    /// Whether the device answers at all; notes where it does not.
    fn reach(&mut self) -> bool {
        let Some(first) = self.polls().first().copied() else { return false };
        let mut outcome = Err(Fault::NotConnected);
        for _try in 0..TRIES {
            outcome = self.read(first).outcome;
            if is_answer(&outcome) {
                break;
            }
        }
        self.device.connect_s = self.session.connected().map(Span::as_secs_f64);
        self.device.answers = is_answer(&outcome);
        let Err(fault) = outcome else { return true };
        if !self.device.answers {
            let words = told(&fault);
            let note = self.silence(&fault, first);
            self.device.trouble = Some(words);
            self.notes.push(note);
        }
        self.device.answers
    }

    /// What is read with each poll: the points, or where they are looked for while they are not known.
    fn polls(&self) -> Vec<Piece> {
        let map = &self.target.map;
        let sought = map
            .models()
            .filter(|_| map.points().is_empty())
            .map(|by| Search::default().next(by, map.limits()));
        map.reads().iter().map(|read| read.span).chain(sought).collect()
    }

    /// Reads all points; what one request refuses is asked one by one.
    fn read_points(&mut self) {
        let map = &self.target.map;
        let mut seen = Vec::new();
        for (place, read) in map.reads().iter().enumerate() {
            match self.read(read.span).outcome {
                Ok(Reply::Registers(bytes)) => {
                    let registers = Registers::new(&bytes).expect("an answer to a read is whole registers");
                    let pieces = map.pieces(place, registers);
                    seen.extend(pieces.map(|(point, piece)| (*point, Ok(piece.bytes().to_vec()))));
                    self.take_bits(place, registers);
                }
                Ok(Reply::Written | Reply::Identity { .. }) => {}
                Err(fault) if map.points_of(place).count() == 1 => {
                    seen.extend(map.points_of(place).map(|point| (*point, Err(fault))));
                    self.read_bits_alone(place);
                }
                Err(_) => {
                    self.read_bits_alone(place);
                    for point in map.points_of(place).copied().collect::<Vec<_>>() {
                        seen.push((point, self.read_alone(&point)));
                    }
                }
            }
        }
        seen.sort_by_key(|(point, _)| point.point);
        for (point, words) in seen {
            self.take(&point, words);
        }
    }

    fn read_alone(&mut self, point: &MappedPoint) -> Result<Vec<u8>, Fault> {
        match self.read(point.piece()).outcome {
            Ok(Reply::Registers(bytes)) => Ok(bytes),
            // Neither answers a read.
            Ok(Reply::Written | Reply::Identity { .. }) => Err(Fault::Answer(AnswerFlaw::Content)),
            Err(fault) => Err(fault),
        }
    }

    /// Takes what was read of a point's piece, and notes what is wrong with it.
    fn take(&mut self, point: &MappedPoint, piece: Result<Vec<u8>, Fault>) {
        let kind = self.target.kind(point);
        let mut seen = PointSeen {
            point: kind.name(),
            table: table(point.table),
            address: point.address,
            words: Vec::new(),
            value: None,
            unit: kind.dimension().symbol(),
            quality: Quality::Unknown.name(),
            refused: None,
        };
        match piece {
            Ok(bytes) => {
                let piece = Registers::new(&bytes).expect("an answer to a read is whole registers");
                let registers = point.own_of(piece);
                seen.words = registers.iter().map(|word| format!("{word:04x}")).collect();
                let layout = point.layout_in(piece);
                let found = layout.and_then(|layout| layout.value(registers));
                let scaled = MappedPoint { layout: layout.unwrap_or(point.layout), factor: None, ..*point };
                let can_be = found.is_some_and(|value| kind.can_be(value));
                seen.value = found.map(|value| value * self.target.factor(kind));
                let instead = self.target.map.instead(point, self.seen);
                seen.quality = match instead.unwrap_or_else(|| point.value(piece)) {
                    // What is in force then is known.
                    (Validity::NotInForce, value) => {
                        self.values.push((kind, value * self.target.factor(kind)));
                        UNVOUCHED
                    }
                    (Validity::Invalid, _) if found.is_some() => {
                        match (instead, self.without_bits(point)) {
                            (_, Some(note)) => self.notes.push(note),
                            // What cannot be read is noted already.
                            (Some(_), None) => {}
                            (None, None) => self.notes.push(self.without_guard(kind)),
                        }
                        UNVOUCHED
                    }
                    (Validity::Valid | Validity::Invalid, _) => {
                        match (can_be, self.doubt(kind, &scaled, registers)) {
                            (true, false) => Quality::Good.name(),
                            (true, true) => DOUBTFUL,
                            (false, _) => Quality::Invalid.name(),
                        }
                    }
                };
            }
            Err(fault) => {
                self.miss(kind, point, &fault);
                seen.refused = Some(told(&fault));
            }
        }
        self.device.points.push(seen);
    }

    /// A point beside which another number says that it does not mean what it shows.
    fn without_guard(&self, kind: PointKind) -> Noted {
        let found = "another number beside it than the one with which it means what it shows";
        let note = self.target.note(&["link", "points", kind.name(), "valid_if"], Severity::Warning, found);
        note.expected("the one that the file names; the device may be off, or be controlled at its panel")
    }

    /// Notes a point whose number cannot be; says whether it did.
    fn doubt(&mut self, kind: PointKind, point: &MappedPoint, registers: Registers<'_>) -> bool {
        let measured = self.target.measured(kind);
        let below = ["link", "points", kind.name()];
        let note = match (point.layout.value(registers), measured.doubt(point, registers)) {
            (None, _) => {
                let found = "a pattern that means that the device does not know";
                let expected = format!("{}; the device may be off or starting", measured.allowed());
                self.target.note(&below, Severity::Warning, found).expected(expected)
            }
            (Some(value), Some(Doubt { field, likely })) => {
                let below: Vec<&str> = below.into_iter().chain(field).collect();
                let note = self.target.note(&below, Severity::Error, show(kind, value));
                // It could be true, and is a good number with its words in the other order.
                let is_tiny = measured.can_be(value);
                let tiny = || "0 W, or a power that can be told from it".to_owned();
                note.expected(if is_tiny { tiny() } else { measured.allowed() })
                    .likely(self.target.hint(likely))
            }
            (Some(value), None) => {
                self.values.push((kind, value * self.target.factor(kind)));
                return false;
            }
        };
        self.notes.push(note);
        true
    }

    /// Notes a point that cannot be read, and looks what is beside it.
    fn miss(&mut self, kind: PointKind, point: &MappedPoint, fault: &Fault) {
        let is_missing = matches!(
            fault,
            Fault::Answer(AnswerFlaw::Exception(Exception::ILLEGAL_ADDRESS | Exception::ILLEGAL_FUNCTION))
        );
        let likely = if is_missing { self.beside(kind, point) } else { None };
        let (name, count) = (table(point.table), point.layout.number.registers());
        let last = usize::from(point.address) + count - 1;
        let registers = if count == 1 {
            format!("{name} {}", point.address)
        } else {
            format!("{name} {} to {last}", point.address)
        };
        let found = format!("{} for {registers}", told(fault));
        let note = self.target.note(&["link", "points", kind.name()], Severity::Error, found);
        self.notes.push(note.expected(format!("{count} registers that can be read")).likely(likely));
    }

    /// Which registers beside those of a point answer, with a number that can be.
    fn beside(&mut self, kind: PointKind, point: &MappedPoint) -> Option<String> {
        let other_table = match point.table {
            Table::InputRegisters => Table::HoldingRegisters,
            Table::HoldingRegisters => Table::InputRegisters,
            Table::Coils => Table::DiscreteInputs,
            Table::DiscreteInputs => Table::Coils,
        };
        let at = |table, offset: i32| {
            let address = u16::try_from(i32::from(point.address) + offset).ok()?;
            // The number alone: what vouches for it stays where it is.
            let other = MappedPoint { table, address, guard: None, ..*point };
            (u32::from(address) + u32::from(other.piece().count) <= REGISTERS).then_some(other)
        };
        // Manuals count from 1, and name holding registers from 40001, input registers from 30001 and discrete inputs from
        // 10001 on.
        let from = |table: Table, first: i32| {
            if table == point.table || table == other_table { at(table, -first) } else { None }
        };
        let places = [
            at(other_table, 0),
            at(point.table, -1),
            at(point.table, 1),
            from(Table::HoldingRegisters, 40_001),
            from(Table::InputRegisters, 30_001),
            from(Table::DiscreteInputs, 10_001),
        ];
        for other in places.into_iter().flatten() {
            let Ok(bytes) = self.read_alone(&other) else { continue };
            let registers = Registers::new(&bytes).expect("an answer to a read is whole registers");
            let Some(value) = other.layout.value(registers) else { continue };
            if self.target.measured(kind).can_be(value) {
                let (name, shown) = (table(other.table), show(kind, value));
                return Some(format!("{name}(address: {}) answers, with {shown}", other.address));
            }
        }
        None
    }

    /// Notes what is odd though each number could be true.
    fn judge(&mut self) {
        let rating = self.target.spec.rating.watts();
        let value = |kind| self.values.iter().find(|(known, _)| *known == kind).map(|(_, value)| *value);
        let mut odd = Vec::new();
        for (kind, value) in &self.values {
            let Some(point) = self.target.point(*kind) else { continue };
            odd.extend(self.target.measured(*kind).oddity(point, *value).map(|doubt| (*kind, *value, doubt)));
        }
        let charge = (value(PointKind::StateOfCharge), value(PointKind::DischargeLimit));
        if let ((Some(charge), Some(limit)), Some(point)) =
            (charge, self.target.point(PointKind::StateOfCharge))
        {
            let doubt = odd_charge(charge, limit, rating, point);
            odd.extend(doubt.map(|doubt| (PointKind::StateOfCharge, charge, doubt)));
        }
        self.judge_most();
        for (kind, value, Doubt { field, likely }) in odd {
            let below: Vec<&str> = ["link", "points", kind.name()].into_iter().chain(field).collect();
            let rating = show(PointKind::Power, rating);
            let expected = format!("what fits a rating of {rating}");
            self.notes.push(
                self.target
                    .note(&below, Severity::Warning, show(kind, value))
                    .expected(expected)
                    .likely(self.target.hint(likely)),
            );
        }
    }

    /// Notes a rating beyond what an inverter by models is set to: set-points are shares of that.
    fn judge_most(&mut self) {
        let by_models = self.target.map.models().filter(|by| by.class == DeviceClass::Pv);
        let set_point = by_models.and_then(|_| self.target.point(PointKind::SetPoint));
        if let Some(Otherwise::Value(most)) =
            set_point.and_then(|point| point.guard).map(|guard| guard.otherwise)
            && self.target.spec.rating.watts() > most + self.target.map.step()
        {
            let found = format!("a most of {}, of which set-points are shares", show(PointKind::Power, most));
            let rating = show(PointKind::Power, self.target.spec.rating.watts());
            let note = self.target.note(&["rating"], Severity::Warning, found);
            self.notes
                .push(note.expected(format!("the rating of {rating}: a set-point above it may be refused")));
        }
    }

    /// Measures how long answers take.
    fn measure(&mut self, interrupt: &Interrupt) {
        let reads = self.polls();
        let until = self.session.now() + POLLS_WITHIN;
        let (mut took, mut asked): (Vec<Span>, usize) = (Vec::new(), 0);
        let before = self.session.cut_off();
        while asked < POLLS && self.session.now() < until && !interrupt.is_asked() {
            let exchange = self.read(reads[asked % reads.len()]);
            asked += 1;
            if is_answer(&exchange.outcome) {
                took.push(exchange.took);
            }
        }
        self.judge_ends(self.session.cut_off() - before, asked);
        took.sort_unstable();
        let Some(max) = took.last().copied() else { return };
        // The smallest of those that so many are not above.
        let quantile = |percent: usize| took[(took.len() * percent).div_ceil(100).saturating_sub(1)];
        let (p50, p99, declared) = (quantile(50), quantile(99), self.target.spec.latency);
        self.device.round_trips = Some(RoundTrips {
            asked,
            lost: asked - took.len(),
            p50_s: p50.as_secs_f64(),
            p99_s: p99.as_secs_f64(),
            max_s: max.as_secs_f64(),
            declared_s: declared.as_secs_f64(),
        });
        if p99 > declared {
            let severity = if p50 > declared * FAR_BEYOND { Severity::Error } else { Severity::Warning };
            let found =
                format!("round trips of {} by half, {} by 99 of 100", duration_of(p50), duration_of(p99));
            let expected = format!("at most {}", duration_of(declared));
            self.notes.push(self.target.note(&["link", "latency"], severity, found).expected(expected));
        }
        if took.len() < asked {
            let found = format!("{} of {asked} requests without an answer in time", asked - took.len());
            self.notes.push(
                self.target
                    .note(&["link", "timeout"], Severity::Warning, found)
                    .expected("an answer to each"),
            );
        }
    }
}

impl Look<'_, '_> {
    /// Notes where so many of the connections on which so much was `asked` were ended by the device: one that does so with each
    /// answer, or with every other.
    fn judge_ends(&mut self, ended: usize, asked: usize) {
        if ended < ENDS || ended * 2 < asked {
            return;
        }
        let found = format!("{ended} connections that the device ended after an answer, in {asked} requests");
        let connect = self.session.connected().unwrap_or(Span::ZERO);
        let likely = format!(
            "a time-out of its Modbus TCP server, or that of its gateway, is too short, or \"keep the connection\" is off there; \
             where it cannot be set, let latency hold the connection of each request too, {}",
            duration_of(connect)
        );
        let note = self.target.note(&["link", "address"], Severity::Warning, found);
        self.notes.push(
            note.expected("a connection that lasts for as long as the device is polled").likely(likely),
        );
    }
}

/// A length of time, with a decimal where it is a few milliseconds.
pub(super) fn duration_of(span: Span) -> String {
    let nanos = span.as_nanos();
    if (1_000_000..100_000_000).contains(&nanos) {
        return format!("{:.1} ms", nanos as f64 / 1e6);
    }
    duration(span)
}

/// What became of a request that was not done.
pub(super) fn told(fault: &Fault) -> String {
    match fault {
        Fault::NotConnected => "no connection".to_owned(),
        Fault::Disconnected => "a connection that ends before the answer".to_owned(),
        Fault::LeftAlone | Fault::Expired => "nothing, as it was not asked".to_owned(),
        Fault::TimedOut => "no answer in time".to_owned(),
        Fault::Frame(flaw) => format!("bytes that are no Modbus TCP: {flaw}"),
        Fault::Unit(unit) => format!("an answer from unit {unit}"),
        Fault::Answer(AnswerFlaw::Exception(exception)) => format!("exception {} ({exception})", exception.0),
        Fault::Answer(flaw) => flaw.to_string(),
    }
}

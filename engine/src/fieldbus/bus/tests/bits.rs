//! Points that depend on bits in tables of their own, and set-points and heartbeats that are written to coils.

use super::*;
use crate::fieldbus::map::{MappedBit, Otherwise};
use crate::fieldbus::pdu::Bits;

/// A contactor that must be closed.
const CONTACTOR: MappedBit = MappedBit {
    point: PointIndex(2),
    table: Table::DiscreteInputs,
    address: 7,
    is: true,
    otherwise: Otherwise::Unknown,
};

/// A device alone on its connection whose one point depends on these bits, and whose set-point is enabled by a coil.
fn with_bits(bits: Vec<MappedBit>) -> Bus {
    let set_point = WriteRequest {
        address: 200,
        function: WriteFunction::Register,
        is_read_back: false,
        fields: vec![field(FieldContent::SetPoint, NumberType::U16)],
    };
    let one = || field(FieldContent::Constant(1.0), NumberType::BIT);
    let zero = field(FieldContent::Constant(0.0), NumberType::BIT);
    let coils = |address, function, fields| WriteRequest { address, function, is_read_back: true, fields };
    let enable = coils(3, WriteFunction::Coil, vec![one()]);
    let modes = coils(8, WriteFunction::Coils, vec![one(), zero, one()]);
    let beat = WriteRequest {
        is_read_back: false,
        ..coils(4, WriteFunction::Coil, vec![field(FieldContent::Toggle, NumberType::BIT)])
    };
    let heartbeat = Some(Heartbeat { timeout: Span::from_secs(3), request: beat });
    let writes = vec![set_point, enable, modes];
    let alone = Mapping { bits, writes, heartbeat, ..said(ALONE, LINE, 0) };
    bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), DeviceMap::new(alone).expect("it fits")])
}

/// What the bits and the registers of a device read, by table.
type Holds<'a> = &'a dyn Fn(Table) -> Option<u16>;

/// Polls the device; returns what was asked, and what its point is then.
fn polled(bus: &mut Bus, millis: u64, holds: Holds<'_>) -> (Vec<Table>, Vec<(Validity, f64)>) {
    let mut out = ask(bus, millis, &[Effect::Poll { device: ALONE, due: at(millis) }]);
    if wishes(&out) == [(LINE, LinkWish::Open)] {
        out = Effects::new();
        bus.link_changed(at(millis), LINE, true, &mut out);
    }
    let mut tables = Vec::new();
    while let [(LINE, frame, None)] = &sent(&out)[..] {
        let bytes = reply(frame, |request, pdu| {
            let Request::Read { table, .. } = request else { panic!("{request:?} is no read") };
            tables.push(*table);
            match holds(*table) {
                None => put_exception(pdu, request.function(), Exception::DEVICE_FAILURE),
                Some(bit) if table.is_of_bits() => {
                    let bytes = [bit as u8];
                    put_answer(pdu, request, &Answer::Bits(Bits::new(&bytes, 1).expect("one bit")));
                }
                Some(word) => {
                    let bytes = [[0; 2], word.to_be_bytes()].concat();
                    let registers = Registers::new(&bytes).expect("two registers");
                    put_answer(pdu, request, &Answer::Registers(registers));
                }
            }
        });
        out = Effects::new();
        bus.received(at(millis), LINE, &bytes, &mut out);
    }
    let mut found = Vec::new();
    while let Some(told) = bus.next_told() {
        if let Told::Points { samples, .. } = told {
            found.extend(bus.samples(samples).iter().map(|sample| (sample.validity, sample.value)));
        }
    }
    (tables, found)
}

#[test]
fn bits_are_read_before_the_registers_that_depend_on_them_and_hold_for_one_poll() {
    let mut bus = with_bits(vec![CONTACTOR]);
    let tables = vec![Table::DiscreteInputs, Table::HoldingRegisters];
    let known = vec![(Validity::Valid, 300.0)];
    let unknown = vec![(Validity::Invalid, 0.0)];
    let with = |bit: Option<u16>| move |table: Table| if table.is_of_bits() { bit } else { Some(300) };
    assert_eq!(polled(&mut bus, 1_000, &with(Some(1))), (tables.clone(), known.clone()));
    assert_eq!(polled(&mut bus, 2_000, &with(Some(0))), (tables.clone(), unknown.clone()), "it is open");
    assert_eq!(polled(&mut bus, 3_000, &with(Some(1))), (tables.clone(), known));
    assert_eq!(polled(&mut bus, 4_000, &with(None)), (tables, unknown), "what was read before says nothing");
}

#[test]
fn each_bit_counts_and_what_is_not_known_goes_before_what_is_not_in_force() {
    let remote = MappedBit { table: Table::Coils, address: 3, otherwise: Otherwise::Value(5.0), ..CONTACTOR };
    let mut bus = with_bits(vec![remote, CONTACTOR]);
    let cases: [(Option<u16>, u16, (Validity, f64)); 5] = [
        (Some(1), 1, (Validity::Valid, 300.0)),
        (Some(0), 1, (Validity::NotInForce, 5.0)),
        (Some(1), 0, (Validity::Invalid, 0.0)),
        (Some(0), 0, (Validity::Invalid, 0.0)),
        (None, 1, (Validity::Invalid, 0.0)),
    ];
    for (scan, (coil, input, expected)) in (1..).zip(cases) {
        let holds = |table: Table| match table {
            Table::Coils => coil,
            Table::DiscreteInputs => Some(input),
            Table::HoldingRegisters | Table::InputRegisters => Some(300),
        };
        let (tables, found) = polled(&mut bus, scan * 1_000, &holds);
        assert_eq!((tables.len(), found), (3, vec![expected]), "{coil:?} {input}");
    }
}

/// The data unit of the only frame that was sent, and the whole of it.
fn only(out: &Effects) -> (Vec<u8>, Vec<u8>) {
    let [(LINE, frame, _)] = &sent(out)[..] else { panic!("one frame is sent") };
    (frame[HEADER_BYTES..].to_vec(), frame.clone())
}

fn replied(bus: &mut Bus, millis: u64, bytes: &[u8]) -> Effects {
    let mut out = Effects::new();
    bus.received(at(millis), LINE, bytes, &mut out);
    out
}

fn bits(frame: &[u8], byte: u8, count: u16) -> Vec<u8> {
    reply(frame, |request, pdu| {
        let bytes = [byte];
        put_answer(pdu, request, &Answer::Bits(Bits::new(&bytes, count).expect("one byte of bits")));
    })
}

#[test]
fn coils_are_written_one_by_function_5_and_several_by_15_and_read_back_as_coils() {
    for (held, outcome) in [(0b101, WriteOutcome::Acknowledged), (0b111, WriteOutcome::NotHeld)] {
        let mut bus = with_bits(Vec::new());
        let _opens = ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]);
        let mut out = Effects::new();
        bus.link_changed(at(11), LINE, true, &mut out);
        let (pdu, frame) = only(&out);
        assert_eq!(pdu, [6, 0, 200, 1, 44]);
        let (pdu, frame) = only(&replied(&mut bus, 20, &answer(&frame, 0)));
        assert_eq!(pdu, [5, 0, 3, 0xff, 0]);
        let (pdu, frame) = only(&replied(&mut bus, 30, &answer(&frame, 0)));
        assert_eq!(pdu, [1, 0, 3, 0, 1], "it is read back");
        let (pdu, frame) = only(&replied(&mut bus, 40, &bits(&frame, 1, 1)));
        assert_eq!(pdu, [15, 0, 8, 0, 3, 1, 0b101]);
        let (pdu, frame) = only(&replied(&mut bus, 50, &answer(&frame, 0)));
        assert_eq!(pdu, [1, 0, 8, 0, 3]);
        let out = replied(&mut bus, 60, &bits(&frame, held, 3));
        assert_eq!((sent(&out), told(&mut bus)), (vec![], vec![Told::Written { device: ALONE, outcome }]));
    }
}

#[test]
fn a_coil_that_does_not_hold_what_it_acknowledges_ends_the_set_point() {
    let mut bus = with_bits(Vec::new());
    let _opens = ask(&mut bus, 10, &[write(ALONE, 300.0, 3, 500)]);
    let mut out = Effects::new();
    bus.link_changed(at(11), LINE, true, &mut out);
    for millis in [20, 30] {
        let (_, frame) = only(&out);
        out = replied(&mut bus, millis, &answer(&frame, 0));
    }
    let (_, frame) = only(&out);
    let out = replied(&mut bus, 40, &bits(&frame, 0, 1));
    let not_held = Told::Written { device: ALONE, outcome: WriteOutcome::NotHeld };
    assert_eq!((sent(&out), told(&mut bus)), (vec![], vec![not_held]));
}

#[test]
fn a_heartbeat_may_be_a_coil() {
    let mut bus = with_bits(Vec::new());
    let holds = |_table: Table| Some(300);
    polled(&mut bus, 1_000, &holds);
    for (scan, coil) in [(2, [0, 0]), (3, [0xff, 0])] {
        let mut out = Effects::new();
        bus.beat(at(scan * 1_000), (3, at(60_000)), at(scan * 1_000 + 1_000), |_| Care::Written, &mut out);
        let (pdu, frame) = only(&out);
        assert_eq!(pdu, [&[5, 0, 4][..], &coil].concat());
        assert_eq!(sent(&replied(&mut bus, scan * 1_000 + 10, &answer(&frame, 0))), []);
    }
}

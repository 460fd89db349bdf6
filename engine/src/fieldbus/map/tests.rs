//! Points that count only where another number says so, and what is not to be written.

use alloc::vec;

use super::*;
use crate::fieldbus::framing::Framing;
use crate::fieldbus::pdu::{Answer, Request, put_answer};
use crate::fieldbus::plan::PlanFlaw;
use crate::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use crate::fieldbus::serial::{Parity, SerialLine, StopBits};
use crate::fieldbus::write::WriteFunction;
use crate::fieldbus::write::WriteFunction::{Exchange, Mask, Register, Registers as Many};
use crate::ids::PointIndex;
use crate::machine::Validity;

fn layout(number: NumberType) -> Layout {
    Layout { number, order: WordOrder::HighFirst, scale: 10.0, offset: 0.0, unknown: Unknown::Never }
}

fn point(place: u16, address: u16, guard: Option<Guard>) -> MappedPoint {
    let (point, table) = (PointIndex(place), Table::HoldingRegisters);
    MappedPoint { point, table, address, layout: layout(NumberType::I32), factor: None, guard, model: None }
}

/// Bit 2 of a register must be set.
fn guard(address: u16, otherwise: Otherwise) -> Guard {
    let bit = Layout { scale: 1.0, ..layout(NumberType::Bits { first: 2, count: 1 }) };
    Guard { address, layout: bit, is: 1.0, otherwise }
}

fn map(points: Vec<MappedPoint>, hole: u16) -> Result<DeviceMap, MapFlaw> {
    DeviceMap::new(said(points, hole))
}

fn said(points: Vec<MappedPoint>, hole: u16) -> Mapping {
    Mapping {
        device: DeviceIndex(0),
        connection: ConnectionIndex(0),
        unit: 0,
        latency: Span::ZERO,
        reversion: Span::ZERO,
        recalls: false,
        limits: ReadLimits { hole, ..ReadLimits::default() },
        points,
        bits: Vec::new(),
        identity: Vec::new(),
        writes: Vec::new(),
        heartbeat: None,
        models: None,
    }
}

fn request(address: u16, function: WriteFunction, fields: &[(FieldContent, NumberType)]) -> WriteRequest {
    let layout = |number| Layout { scale: 1.0, ..layout(number) };
    let field =
        |(content, number): &_| WrittenField { content: *content, layout: layout(*number), most: None };
    let fields = fields.iter().map(field).collect();
    WriteRequest { address, function, is_read_back: false, fields }
}

/// The flaw of a device that is written the set-point in registers 200 and 201 and then this, and hears that.
fn flaw(then: WriteRequest, heartbeat: WriteRequest) -> Option<MapFlaw> {
    let set_point = request(200, Many, &[(FieldContent::SetPoint, NumberType::I32)]);
    let heartbeat = Heartbeat { timeout: Span::from_secs(3), request: heartbeat };
    let writes = vec![set_point, then];
    DeviceMap::new(Mapping { writes, heartbeat: Some(heartbeat), ..said(Vec::new(), 0) }).err()
}

const fn bits(first: u8, count: u8) -> NumberType {
    NumberType::Bits { first, count }
}

const ONE: FieldContent = FieldContent::Constant(1.0);

/// What an answer brings that has all registers in a row.
fn brought(map: &DeviceMap, words: &[u16]) -> Vec<(u16, Option<f64>)> {
    samples(map, words).iter().map(|sample| (sample.point.0, of_valid(sample))).collect()
}

fn of_valid(sample: &Sample) -> Option<f64> {
    (sample.validity != Validity::Invalid).then_some(sample.value)
}

fn samples(map: &DeviceMap, words: &[u16]) -> Vec<Sample> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let registers = Registers::new(&bytes).expect("whole registers");
    map.brought(0, registers, BitsSeen::default()).collect()
}

#[test]
fn a_point_counts_where_its_guard_says_so_on_either_side_of_it() {
    for (otherwise, expected) in [(Otherwise::Unknown, None), (Otherwise::Value(-3.0), Some(-3.0))] {
        let after = map(vec![point(7, 100, Some(guard(102, otherwise)))], 0).expect("it fits");
        assert_eq!((after.reads().len(), after.reads()[0].span.count), (1, 3));
        assert_eq!(brought(&after, &[0, 5, 0b0111]), [(7, Some(50.0))]);
        assert_eq!(brought(&after, &[0, 5, 0b1011]), [(7, expected)]);
        let before = map(vec![point(7, 101, Some(guard(100, otherwise)))], 0).expect("it fits");
        assert_eq!(brought(&before, &[0b0100, 0, 5]), [(7, Some(50.0))]);
        assert_eq!(brought(&before, &[0, 0, 5]), [(7, expected)]);
    }
}

#[test]
fn several_points_may_have_one_guard_and_lie_between_another_and_it() {
    let guarded = |place, address| point(place, address, Some(guard(106, Otherwise::Unknown)));
    let all = map(vec![guarded(0, 100), point(1, 102, None), guarded(2, 104)], 0).expect("no hole is read");
    assert_eq!(all.reads().len(), 1);
    assert_eq!(brought(&all, &[0, 1, 0, 2, 0, 3, 4]), [(0, Some(10.0)), (1, Some(20.0)), (2, Some(30.0))]);
    assert_eq!(brought(&all, &[0, 1, 0, 2, 0, 3, 0]), [(0, None), (1, Some(20.0)), (2, None)]);
}

#[test]
fn between_a_point_and_its_guard_nothing_is_read_that_the_map_does_not_name_unless_it_says_so() {
    let apart =
        |address, hole| map(vec![point(0, 100, Some(guard(address, Otherwise::Unknown)))], hole).err();
    assert_eq!(apart(102, 0), None);
    assert_eq!(apart(103, 0), Some(MapFlaw::Apart { place: 0, hole: 1 }));
    assert_eq!(apart(103, 1), None);
    assert_eq!(apart(96, 2), Some(MapFlaw::Apart { place: 0, hole: 3 }));
    assert_eq!(apart(96, 3), None);
    assert_eq!(apart(65_535, 124), Some(MapFlaw::Apart { place: 0, hole: 125 }));
    let long = MapFlaw::Read(PlanFlaw::Long { place: 0, most: 125 });
    assert_eq!(apart(225, 125), Some(long), "a request has only so many");
    assert_eq!(apart(224, 125), None);
}

#[test]
fn a_set_point_that_is_not_in_force_is_told_from_one_that_is_and_has_the_same_value() {
    let of = |otherwise| map(vec![point(7, 100, Some(guard(102, otherwise)))], 0).expect("it fits");
    let tells = of(Otherwise::Value(0.0));
    assert!(tells.tells_what_is_in_force() && !of(Otherwise::Unknown).tells_what_is_in_force());
    let validity = |words| samples(&tells, words)[0].validity;
    assert_eq!(validity(&[0, 0, 0b0100]), Validity::Valid);
    assert_eq!(validity(&[0, 0, 0b0000]), Validity::NotInForce);
}

#[test]
fn some_bits_of_a_register_are_written_by_function_22_only() {
    let beat = || request(300, Register, &[(FieldContent::Toggle, NumberType::U16)]);
    for function in [Register, Many, Exchange] {
        let found = |number| flaw(request(203, function, &[(ONE, number)]), beat());
        let clears = MapFlaw::Clears { which: Writes::SetPoint(1), value: 0, function };
        assert_eq!([bits(3, 1), bits(0, 15), bits(1, 15)].map(found), [Some(clears); 3]);
        assert_eq!([bits(0, 16), NumberType::U16].map(found), [None; 2], "it fills its register");
    }
    assert_eq!(flaw(request(203, Mask, &[(ONE, bits(3, 1))]), beat()), None);
    let second = request(203, Many, &[(ONE, NumberType::U16), (ONE, bits(0, 4))]);
    let clears = MapFlaw::Clears { which: Writes::SetPoint(1), value: 1, function: Many };
    assert_eq!(flaw(second, beat()), Some(clears));
    let toggle = request(300, Register, &[(FieldContent::Toggle, bits(0, 1))]);
    let clears = MapFlaw::Clears { which: Writes::Heartbeat, value: 0, function: Register };
    assert_eq!(flaw(request(203, Mask, &[(ONE, bits(3, 1))]), toggle), Some(clears));
}

#[test]
fn a_heartbeat_and_a_set_point_write_no_bits_of_each_other() {
    let (toggle, counter) = (FieldContent::Toggle, FieldContent::Counter);
    let over = |place, address| Some(MapFlaw::BeatsOver { place, address });
    let enable = |function, number| request(203, function, &[(ONE, number)]);
    let cases = [
        (enable(Mask, bits(3, 1)), request(203, Mask, &[(toggle, bits(0, 1))]), None),
        (enable(Mask, bits(3, 1)), request(203, Mask, &[(toggle, bits(2, 2))]), over(1, 203)),
        (enable(Mask, bits(3, 1)), request(203, Register, &[(counter, NumberType::U16)]), over(1, 203)),
        (enable(Register, NumberType::U16), request(203, Mask, &[(toggle, bits(0, 1))]), over(1, 203)),
        (
            enable(Register, NumberType::U16),
            request(201, Register, &[(counter, NumberType::U16)]),
            over(0, 201),
        ),
        (enable(Register, NumberType::U16), request(199, Many, &[(counter, NumberType::U32)]), over(0, 200)),
        (enable(Register, NumberType::U16), request(204, Register, &[(counter, NumberType::U16)]), None),
        (enable(Register, NumberType::U16), request(65_535, Register, &[(counter, NumberType::U16)]), None),
    ];
    for (then, heartbeat, expected) in cases {
        assert_eq!(flaw(then, heartbeat.clone()), expected, "{heartbeat:?}");
    }
}

#[test]
fn a_heartbeat_writes_nothing_that_would_do_harm_where_it_comes_late() {
    let enable = || request(203, Mask, &[(ONE, bits(3, 1))]);
    let counter = (FieldContent::Counter, NumberType::U16);
    let epoch = (FieldContent::Epoch, NumberType::U64);
    assert_eq!(flaw(enable(), request(300, Many, &[epoch, counter])), None);
    let steady = request(300, Many, &[counter, (ONE, NumberType::U16)]);
    assert_eq!(flaw(enable(), steady), Some(MapFlaw::BeatsSteady { value: 1 }));
}

#[test]
fn a_write_passes_as_long_as_its_frames_have_characters() {
    let line = SerialLine { baud: 1_200, parity: Parity::Even, stop_bits: StopBits::One };
    let framing = Framing::Rtu(line);
    let write = crate::machine::SetPointWrite {
        device: DeviceIndex(0),
        value: 1.0,
        reactive: 0.0,
        epoch: 7,
        valid_until: crate::time::LocalTime::ZERO,
        kind: crate::machine::WriteKind::SetPoint,
    };
    let (one, number) = ([(FieldContent::SetPoint, NumberType::U16)], NumberType::U32);
    let some = [(FieldContent::SetPoint, number), (FieldContent::Constant(1.0), number)];
    let bits = [(FieldContent::SetPoint, NumberType::Bits { first: 3, count: 2 })];
    for (function, fields) in [(Register, &one[..]), (Many, &some), (Mask, &bits), (Exchange, &some)] {
        let request = request(200, function, fields);
        let (mut asked, mut answered) = (vec![], vec![]);
        request.encode(&write, &mut asked).expect("there is room");
        let decoded = Request::decode(&asked).expect("a unit would take it");
        let held = [0; 8];
        let read = Registers::new(&held).expect("whole registers");
        let answer = if function == Exchange { Answer::Registers(read) } else { Answer::Written };
        put_answer(&mut answered, &decoded, &answer);
        let passes = (framing.passes(asked.len()), framing.passes(answered.len()));
        assert_eq!(request.passes(framing), passes, "{function:?}");
        assert_eq!(request.passes(Framing::Tcp), (Span::ZERO, Span::ZERO));
    }
}

/// A map of these points, one of which depends on these bits.
fn with_bits(points: Vec<MappedPoint>, bits: Vec<MappedBit>) -> Result<DeviceMap, MapFlaw> {
    DeviceMap::new(Mapping { bits, ..said(points, 0) })
}

const fn bit(point: u16, table: Table, address: u16) -> MappedBit {
    MappedBit { point: PointIndex(point), table, address, is: true, otherwise: Otherwise::Unknown }
}

#[test]
fn bits_travel_in_few_requests_and_before_registers() {
    let (coil, input) = (Table::Coils, Table::DiscreteInputs);
    let bits = vec![bit(7, input, 4), bit(7, coil, 9), bit(8, input, 4), bit(8, input, 5)];
    let map = with_bits(vec![point(7, 100, None), point(8, 102, None)], bits).expect("it fits");
    let spans: Vec<Piece> = map.reads().iter().map(|read| read.span).collect();
    let piece = |table, address, count| Piece { table, address, count };
    assert_eq!(spans, [piece(coil, 9, 1), piece(input, 4, 2), piece(Table::HoldingRegisters, 100, 4)]);
    assert!(map.points_of(0).chain(map.points_of(1)).next().is_none(), "no point lies there");
    assert!(map.is_in_place(1, Registers::new(&[0, 1, 0, 1]).expect("two")));
}

#[test]
fn a_point_that_is_a_bit_has_no_more_than_that() {
    let layout = Layout { scale: 250e3, ..layout(NumberType::BIT) };
    let allowed = MappedPoint { table: Table::DiscreteInputs, layout, ..point(7, 2, None) };
    let map = with_bits(vec![allowed], Vec::new()).expect("it fits");
    assert_eq!((brought(&map, &[1]), brought(&map, &[0])), (vec![(7, Some(250e3))], vec![(7, Some(0.0))]));
    let bits = Err(MapFlaw::Bits { place: 0 });
    let wide = Layout { number: bits_of_two(), ..layout };
    assert_eq!(with_bits(vec![MappedPoint { layout: wide, ..allowed }], Vec::new()), bits);
    assert_eq!(with_bits(vec![MappedPoint { factor: Some(3), ..allowed }], Vec::new()), bits);
    let is_wide = Guard { layout: wide, ..guard(3, Otherwise::Unknown) };
    assert_eq!(with_bits(vec![MappedPoint { guard: Some(is_wide), ..allowed }], Vec::new()), bits);
    let late = Err(MapFlaw::Conditions { found: 1 });
    assert_eq!(with_bits(vec![allowed], vec![bit(7, Table::Coils, 0)]), late, "it is read with its own");
    assert_eq!(with_bits(vec![point(7, 100, None)], vec![bit(7, Table::InputRegisters, 0)]), late);
    let many = vec![bit(7, Table::Coils, 0); MAX_BITS + 1];
    assert_eq!(with_bits(vec![point(7, 100, None)], many), Err(MapFlaw::Conditions { found: MAX_BITS + 1 }));
}

const fn bits_of_two() -> NumberType {
    bits(0, 2)
}

#[test]
fn coils_have_room_for_single_bits_that_are_no_set_point() {
    use WriteFunction::{Coil, Coils};
    let toggle = || request(4, Coil, &[(FieldContent::Toggle, NumberType::BIT)]);
    assert_eq!(flaw(request(3, Coil, &[(ONE, NumberType::BIT)]), toggle()), None);
    assert_eq!(
        flaw(request(200, Coils, &[(ONE, NumberType::BIT); 2]), toggle()),
        None,
        "they are no registers"
    );
    let coil = Some(MapFlaw::Coil { which: Writes::SetPoint(1) });
    for (content, number) in
        [(ONE, NumberType::U16), (ONE, bits(1, 1)), (FieldContent::Epoch, NumberType::BIT)]
    {
        assert_eq!(flaw(request(3, Coil, &[(content, number)]), toggle()), coil);
    }
    let set_point = request(3, Coil, &[(FieldContent::SetPoint, NumberType::BIT)]);
    assert_eq!(flaw(set_point, toggle()), coil);
    let two = Some(MapFlaw::Write { which: Writes::SetPoint(1), registers: 2 });
    assert_eq!(flaw(request(3, Coil, &[(ONE, NumberType::BIT); 2]), toggle()), two);
    let over = Some(MapFlaw::BeatsOver { place: 1, address: 4 });
    assert_eq!(flaw(request(3, Coils, &[(ONE, NumberType::BIT); 2]), toggle()), over);
    let register = request(4, Register, &[(ONE, NumberType::U16)]);
    assert_eq!(flaw(register, toggle()), None, "a register and a coil of one number are two things");
    let two = FieldContent::Constant(2.0);
    assert!(matches!(
        flaw(request(3, Coil, &[(two, NumberType::BIT)]), toggle()),
        Some(MapFlaw::Constant { .. })
    ));
}

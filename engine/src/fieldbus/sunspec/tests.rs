//! What devices say of themselves, and what is made of it.

use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

use proptest::prelude::*;

use super::testing::{BATTERY, Body, Image};
use super::*;
use crate::fieldbus::map::{BitsSeen, DeviceMap, Mapping};
use crate::fieldbus::pdu::Registers;
use crate::fieldbus::plan::ReadLimits;
use crate::ids::{ConnectionIndex, DeviceIndex};
use crate::machine::{SetPointWrite, Validity, WriteKind};
use crate::points::Priority;
use crate::time::LocalTime;

fn wanted(class: DeviceClass) -> ByModels {
    ByModels {
        class,
        kinds: class.points(),
        first_point: PointIndex(0),
        only: Vec::new(),
        reversion: Span::from_millis(60_500),
        heartbeat: None,
        rating: Watts::of(100e3),
        nominal: None,
        reactive: None,
    }
}

fn map(by: &ByModels, limits: ReadLimits) -> DeviceMap {
    let said = Mapping {
        device: DeviceIndex(0),
        connection: ConnectionIndex(0),
        unit: 0,
        latency: Span::ZERO,
        reversion: by.reversion,
        recalls: false,
        limits,
        points: Vec::new(),
        bits: Vec::new(),
        identity: Vec::new(),
        writes: Vec::new(),
        heartbeat: None,
        models: Some(by.clone()),
    };
    DeviceMap::new(said).expect("nothing is said that could be wrong")
}

/// The map of a device that shows these registers, and how many requests it took to find it.
fn found(image: &Image, by: &ByModels, limits: ReadLimits) -> Result<(DeviceMap, usize), Missing> {
    let (mut map, mut asked) = (map(by, limits), 0);
    let found = map.search(|piece| {
        asked += 1;
        assert!(asked <= BASES.len() + MODELS_MAX + 1 + MODELS_MAX * 125, "it does not end");
        assert!((1..=limits.most()).contains(&piece.count), "{piece:?}");
        Ok::<_, Infallible>(image.read(piece))
    });
    let Ok(found) = found;
    found.map(|()| (map, asked))
}

fn of(models: &[Body<'_>], by: &ByModels) -> Result<DeviceMap, Missing> {
    found(&Image::at(40_000, models), by, ReadLimits::default()).map(|(map, _)| map)
}

/// What the points read, in the order of the class.
fn values(map: &DeviceMap, image: &Image) -> Vec<(Validity, f64)> {
    let mut values = vec![(Validity::Invalid, f64::NAN); map.points().len()];
    for (place, read) in map.reads().iter().enumerate() {
        let bytes = image.read(read.span).expect("all that is read is there");
        for sample in
            map.brought(place, Registers::new(&bytes).expect("whole registers"), BitsSeen::default())
        {
            values[sample.point.position()] = (sample.validity, sample.value);
        }
    }
    values
}

/// What the requests of a set-point write: the first register, and all of them.
fn written(map: &DeviceMap, value: f64) -> Vec<(u16, Vec<u16>)> {
    written_with(map, (value, 0.0))
}

/// The same with a reactive set-point.
fn written_with(map: &DeviceMap, (value, reactive): (f64, f64)) -> Vec<(u16, Vec<u16>)> {
    let (device, kind, valid_until) = (DeviceIndex(0), WriteKind::SetPoint, LocalTime::ZERO);
    let write = SetPointWrite { device, kind, value, reactive, epoch: 1, valid_until };
    let words = |request: &crate::fieldbus::write::WriteRequest| {
        let mut pdu = Vec::new();
        request.encode(&write, &mut pdu).expect("there is room");
        let words = pdu[6..].chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        (request.address, words.collect())
    };
    map.writes().iter().map(words).collect()
}

#[test]
fn a_battery_with_the_newer_models_is_known() {
    for base in BASES {
        let image = Image::at(base, &BATTERY);
        let (map, asked) =
            found(&image, &wanted(DeviceClass::Battery), ReadLimits::default()).expect("it has all");
        // Markers, heads with the last one, and three models that have something to be known.
        let markers = BASES.iter().position(|known| *known == base).expect("one of them") + 1;
        assert_eq!(asked, markers + BATTERY.len() + 1 + 4);
        use Validity::{NotInForce, Valid};
        let expected = [(Valid, 40e3), (Valid, 0.5), (Valid, 90e3), (Valid, 100e3), (NotInForce, 0.0)];
        assert_eq!(values(&map, &image), expected);
    }
}

#[test]
fn a_set_point_in_watts_is_its_value_its_time_and_that_it_is_in_force() {
    let mut image = Image::at(40_000, &BATTERY);
    let (map, _) = found(&image, &wanted(DeviceClass::Battery), ReadLimits::default()).expect("it has all");
    let model = 40_002 + 68 + 155 + 52;
    // The scale factor is 1, and the time is rounded up.
    let requests = written(&map, -12_340.0);
    assert_eq!(
        requests,
        [(model + 24, vec![0xffff, 0xfb2e]), (model + 31, vec![0, 61]), (model + 22, vec![1, 1])]
    );
    assert!((map.step() - 10.0).abs() < 1e-9);
    for (address, words) in &requests {
        image.put(*address, words);
    }
    assert_eq!(values(&map, &image)[4], (Validity::Valid, -12_340.0));
    // In percent it is not ours.
    image.put(model + 23, &[0]);
    assert_eq!(values(&map, &image)[4], (Validity::NotInForce, 0.0));
}

#[test]
fn a_battery_with_the_older_models_is_set_between_two_rates() {
    let models: [Body<'_>; 3] = [
        (103, 50, &[(14, 0xff9c), (15, 1)]),
        (
            124,
            24,
            &[(2, 5_000), (5, 0), (8, 800), (12, 0), (13, 0), (15, 0), (18, 1), (22, 0xffff), (25, 0xfffe)],
        ),
        (802, 62, &[(4, 0xffff), (5, 0xffff), (11, 0xffff), (19, 0xffff)]),
    ];
    let mut image = Image::at(40_000, &models);
    let map = of(&models, &wanted(DeviceClass::Battery)).expect("it has all");
    use Validity::{NotInForce, Valid};
    let expected = [(Valid, -1_000.0), (Valid, 0.8), (Valid, 50e3), (Valid, 50e3), (NotInForce, 0.0)];
    assert_eq!(values(&map, &image), expected, "what is not implemented is not used");
    let model = 40_002 + 52;
    let requests = written(&map, -25e3);
    let minus = |share: i16| share as u16;
    assert_eq!(
        requests,
        [(model + 12, vec![minus(-5_000), 5_000]), (model + 15, vec![61]), (model + 5, vec![3])]
    );
    requests.iter().for_each(|(address, words)| image.put(*address, words));
    assert_eq!(values(&map, &image)[4], (Valid, -25e3));
}

#[test]
fn an_inverter_is_limited_by_a_share_of_what_it_can() {
    let newer: [Body<'_>; 3] = [
        (701, 153, &[(10, 300), (116, 2)]),
        (702, 50, &[(26, 800), (45, 2)]),
        (704, 65, &[(14, 0), (15, 0), (18, 0), (19, 0), (54, 0xffff)]),
    ];
    let older: [Body<'_>; 4] = [
        (113, 60, &[(22, 0x46ea), (23, 0x6000)]),
        (120, 26, &[(3, 999), (4, 2)]),
        (121, 30, &[(2, 800), (22, 2)]),
        (123, 24, &[(5, 0), (9, 0), (23, 0xffff)]),
    ];
    let second = 40_002 + 155 + 52;
    let third = 40_002 + 62 + 28 + 32;
    let cases = [
        (&newer[..], [(second + 15, vec![500]), (second + 18, vec![0, 61]), (second + 14, vec![1])].to_vec()),
        // Without a time-out of its own nothing is written there.
        (&older[..], [(third + 5, vec![500]), (third + 9, vec![1])].to_vec()),
    ];
    for (models, expected) in cases {
        let mut image = Image::at(40_000, models);
        let map = of(models, &wanted(DeviceClass::Pv)).expect("it has all");
        assert_eq!(values(&map, &image), [(Validity::Valid, 30e3), (Validity::NotInForce, 80e3)]);
        let requests = written(&map, 40e3);
        assert_eq!(requests, expected, "half of 80 kW");
        requests.iter().for_each(|(address, words)| image.put(*address, words));
        assert_eq!(values(&map, &image)[1], (Validity::Valid, 40e3));
        assert_eq!(written(&map, 80_004.0)[0].1, [1_000], "no more than all of it");
        assert!(is_in_place(&map, &image));
        let most = image.0.iter().find(|(_, word)| **word == 800).map(|(address, _)| *address);
        image.put(most.expect("it has one"), &[900]);
        assert!(!is_in_place(&map, &image), "the same share is more now");
    }
}

/// What is wanted of a device that takes reactive set-points.
fn reactive(class: DeviceClass, priority: Priority) -> ByModels {
    let kinds = class.points().with(PointKind::ReactivePower).with(PointKind::ReactiveSetPoint);
    ByModels { kinds, reactive: Some(priority), ..wanted(class) }
}

#[test]
fn a_reactive_set_point_in_vars_follows_the_other_with_what_comes_first() {
    // Two of the models' scale factors: of watts and of vars.
    let known: [(u16, u16); 16] = [
        (22, 0),
        (23, 0),
        (24, 0),
        (25, 0),
        (31, 0),
        (32, 0),
        (35, 0),
        (36, 0),
        (37, 0),
        (38, 0),
        (39, 0),
        (45, 0),
        (46, 0),
        (55, 1),
        (57, 2),
        (58, 0),
    ];
    let without: Vec<(u16, u16)> = known.into_iter().filter(|(at, _)| *at != 37).collect();
    let mut models = BATTERY.to_vec();
    models[1] = (701, 153, &[(10, 400), (12, 0xfff6), (116, 2), (119, 3)]);
    for (priority, word) in [(Priority::Active, 0), (Priority::Reactive, 1)] {
        models[3] = (704, 65, &known);
        let by = reactive(DeviceClass::Battery, priority);
        let mut image = Image::at(40_000, &models);
        let (map, _) = found(&image, &by, ReadLimits::default()).expect("it has all");
        use Validity::{NotInForce, Valid};
        let [q, q_set_point] = [5, 6];
        assert_eq!(values(&map, &image)[q..], [(Valid, -10e3), (NotInForce, 0.0)]);
        let model = 40_002 + 68 + 155 + 52;
        let requests = written_with(&map, (-12_340.0, 5_000.0));
        assert_eq!(
            requests,
            [
                (model + 24, vec![0xffff, 0xfb2e]),
                (model + 31, vec![0, 61]),
                (model + 22, vec![1, 1]),
                (model + 38, vec![0, 50]),
                (model + 45, vec![0, 61]),
                (model + 35, vec![1, 4, word]),
            ]
        );
        assert_eq!(requests.len(), by.most_writes());
        assert!((map.reactive_step() - 100.0).abs() < 1e-9);
        requests.iter().for_each(|(address, words)| image.put(*address, words));
        assert_eq!(values(&map, &image)[q_set_point], (Valid, 5_000.0));
        // In percent of something it is not ours.
        image.put(model + 36, &[1]);
        assert_eq!(values(&map, &image)[q_set_point], (NotInForce, 0.0));
        // Without its mode nobody knows what a set-point would be; who cannot be told what comes first is told the rest.
        models[3] = (704, 65, &known[..7]);
        assert_eq!(of(&models, &by).err(), Some(Missing::Point(PointKind::ReactiveSetPoint)));
        models[3] = (704, 65, &without);
        let map = of(&models, &by).expect("it has all");
        assert_eq!(written_with(&map, (0.0, 0.0))[5], (model + 35, vec![1, 4]));
        models[3] = BATTERY[3];
        assert_eq!(of(&models, &by).err(), Some(Missing::Point(PointKind::ReactiveSetPoint)));
    }
}

#[test]
fn a_reactive_set_point_is_a_share_of_the_most_active_power_by_the_older_models() {
    let models: [Body<'_>; 4] = [
        (103, 50, &[(14, 300), (15, 2), (20, 0xff9c), (21, 2)]),
        (120, 26, &[(3, 999), (4, 2)]),
        (121, 30, &[(2, 800), (22, 2)]),
        (123, 24, &[(5, 0), (7, 0), (9, 0), (15, 0), (19, 0), (21, 0), (22, 0), (23, 0xffff), (25, 0xffff)]),
    ];
    let by = reactive(DeviceClass::Pv, Priority::Active);
    let mut image = Image::at(40_000, &models);
    let map = of(&models, &by).expect("it has all");
    let model = 40_002 + 52 + 28 + 32;
    use Validity::{NotInForce, Valid};
    assert_eq!(values(&map, &image)[2..], [(Valid, -10e3), (NotInForce, 0.0)]);
    let requests = written_with(&map, (80e3, -20e3));
    let minus_a_quarter = (-250_i16) as u16;
    assert_eq!(
        requests[3..],
        [(model + 15, vec![minus_a_quarter]), (model + 19, vec![61]), (model + 21, vec![1, 1])]
    );
    requests.iter().for_each(|(address, words)| image.put(*address, words));
    assert_eq!(values(&map, &image)[3], (Valid, -20e3));
    assert!(is_in_place(&map, &image));
    image.put(40_002 + 52 + 28 + 2, &[900]);
    assert!(!is_in_place(&map, &image), "the same share is more now");
    let newer = ByModels { only: vec![103, 120, 121, 702, 704], ..by.clone() };
    assert_eq!(newer.lacks(), None);
    let without = ByModels { only: vec![103, 120, 121, 702], ..by };
    assert_eq!(without.lacks(), Some(Missing::Point(PointKind::ReactiveSetPoint)));
}

#[test]
fn a_voltage_is_a_multiple_of_the_nominal_one_between_the_same_conductors() {
    let scaled: [Body<'_>; 1] = [(203, 105, &[(7, 2_323), (11, 4_080), (15, 0xffff), (18, 0), (22, 0)])];
    // 2346 V and 4120 V: single precision of 1 and some bits.
    let single: [Body<'_>; 1] =
        [(213, 124, &[(10, 0x4512), (11, 0xa000), (18, 0x4580), (19, 0xc000), (28, 0), (29, 0)])];
    let kinds = DeviceClass::Meter.points().with(PointKind::Voltage);
    let line_to_line = |volts| Some(NominalVoltage::LineToLine(Volts::of(volts)));
    let line_to_neutral = |volts| Some(NominalVoltage::LineToNeutral(Volts::of(volts)));
    for (models, nominal, expected) in [
        (&scaled, line_to_line(400.0), 1.02),
        (&scaled, line_to_neutral(230.0), 1.01),
        (&single, line_to_line(4_000.0), 1.03),
        (&single, line_to_neutral(2_300.0), 1.02),
    ] {
        let by = ByModels { kinds, nominal, ..wanted(DeviceClass::Meter) };
        let map = of(models, &by).expect("it has all");
        let (validity, value) = values(&map, &Image::at(40_000, models))[1];
        assert_eq!(validity, Validity::Valid);
        assert!((value - expected).abs() < 1e-9, "{nominal:?}: {value}");
    }
    let by = ByModels { kinds, ..wanted(DeviceClass::Meter) };
    assert_eq!(by.lacks(), Some(Missing::Point(PointKind::Voltage)));
    assert_eq!(of(&scaled, &by).err(), Some(Missing::Point(PointKind::Voltage)));
    // A meter between two lines knows none to neutral.
    let delta: [Body<'_>; 1] = [(204, 105, &[(7, 0x8000), (11, 4_080), (15, 0xffff)])];
    let by = ByModels { nominal: line_to_neutral(230.0), ..by };
    let map = of(&delta, &by).expect("it has a register for it");
    assert_eq!(values(&map, &Image::at(40_000, &delta))[1].0, Validity::Invalid);
}

fn is_in_place(map: &DeviceMap, image: &Image) -> bool {
    (0..map.reads().len()).all(|place| {
        let bytes = image.read(map.reads()[place].span).expect("all that is read is there");
        map.is_in_place(place, Registers::new(&bytes).expect("whole registers"))
    })
}

#[test]
fn meters_count_in_whole_numbers_or_in_single_precision() {
    let whole: [Body<'_>; 1] = [(204, 105, &[(18, 0xfed4), (22, 1)])];
    let single: [Body<'_>; 1] = [(212, 124, &[(28, 0xc53b), (29, 0x8000)])];
    for models in [&whole, &single] {
        let map = of(models, &wanted(DeviceClass::Meter)).expect("it has all");
        assert_eq!(values(&map, &Image::at(40_000, models)), [(Validity::Valid, -3_000.0)]);
        assert!(map.writes().is_empty());
    }
}

#[test]
fn a_scale_factor_may_be_another_with_each_answer_and_none_is_no_number() {
    let mut image = Image::at(40_000, &BATTERY);
    let map = of(&BATTERY, &wanted(DeviceClass::Battery)).expect("it has all");
    let factor = 40_002 + 68 + 116;
    for (word, expected) in [
        (3, (Validity::Valid, 400e3)),
        (0xffff, (Validity::Valid, 40.0)),
        (0x8000, (Validity::Invalid, 0.0)),
        (11, (Validity::Invalid, 0.0)),
    ] {
        image.put(factor, &[word]);
        assert_eq!(values(&map, &image)[0], expected, "{word}");
    }
}

#[test]
fn a_model_that_is_not_where_it_was_is_not_known() {
    let map = of(&BATTERY, &wanted(DeviceClass::Battery)).expect("it has all");
    let mut moved = BATTERY.to_vec();
    moved.insert(1, (2, 14, &[]));
    let image = Image::at(40_000, &moved);
    assert!(values(&map, &image).iter().all(|value| value.0 == Validity::Invalid));
}

#[test]
fn what_a_device_has_not_is_named() {
    let battery = wanted(DeviceClass::Battery);
    let without = |id: u16| BATTERY.into_iter().filter(|model| model.0 != id).collect::<Vec<_>>();
    for (id, missing) in [
        (701, Missing::Point(PointKind::Power)),
        (702, Missing::Point(PointKind::ChargeLimit)),
        (704, Missing::Control),
        (713, Missing::Point(PointKind::StateOfCharge)),
    ] {
        assert_eq!(of(&without(id), &battery).err(), Some(missing), "{id}");
        let only = ByModels {
            only: [701, 702, 704, 713].into_iter().filter(|known| *known != id).collect(),
            ..battery.clone()
        };
        assert_eq!(of(&BATTERY, &only).err(), Some(missing), "{id}");
        assert_eq!(only.lacks(), Some(missing), "{id}");
    }
    let beats = ByModels { heartbeat: Some(Span::from_secs(3)), ..battery.clone() };
    assert_eq!(of(&without(715), &beats).err(), Some(Missing::Heartbeat));
    let map = of(&BATTERY, &beats).expect("it has all");
    assert_eq!(
        map.heartbeat().map(|heartbeat| heartbeat.request.address),
        Some(40_002 + 68 + 155 + 52 + 67 + 9 + 5)
    );
    assert_eq!(of(&BATTERY, &wanted(DeviceClass::Meter)).err(), Some(Missing::Point(PointKind::Power)));
    let mut control = BATTERY.to_vec();
    control[3] = (704, 65, &[(55, 0)]);
    assert_eq!(of(&control, &battery).err(), Some(Missing::Control), "its switch is not implemented");
    assert_eq!(found(&Image::default(), &battery, ReadLimits::default()).err(), Some(Missing::Marker));
    let narrow = ReadLimits { registers: 40, ..ReadLimits::default() };
    assert_eq!(
        found(&Image::at(0, &BATTERY), &battery, narrow).err(),
        Some(Missing::Point(PointKind::Power))
    );
    let mut both = BATTERY.to_vec();
    both.push((103, 50, &[(14, 1), (15, 0)]));
    assert_eq!(
        found(&Image::at(0, &both), &battery, narrow).err(),
        Some(Missing::Room(PointKind::ChargeLimit))
    );
}

#[test]
fn a_chain_ends_where_the_device_says_so_or_refuses_and_never_without_an_end() {
    let battery = wanted(DeviceClass::Battery);
    let mut image = Image::at(40_000, &BATTERY);
    let end = *image.0.keys().next_back().expect("there are some");
    image.0.retain(|address, _| *address + 1 < end);
    assert!(found(&image, &battery, ReadLimits::default()).is_ok(), "it just stops");
    let many: Vec<Body<'_>> = (0..70).map(|_| (9_999, 1, &[][..])).collect();
    assert_eq!(of(&many, &battery).err(), Some(Missing::End));
    let mut far = Image::at(40_000, &[(1, 66, &[])]);
    far.put(40_003, &[u16::MAX]);
    assert_eq!(found(&far, &battery, ReadLimits::default()).err(), Some(Missing::End));
}

proptest! {
    /// Whatever registers hold, a search ends, within a bounded number of requests, and what it finds can be asked.
    #[test]
    fn any_device_is_found_or_not(
        base in 0_usize..3,
        ids in proptest::collection::vec((0_usize..30, 0_u16..160), 0..80),
        words in proptest::collection::vec(any::<u16>(), 64),
        registers in HEAD..=125,
        class in prop_oneof![Just(DeviceClass::Meter), Just(DeviceClass::Battery), Just(DeviceClass::Pv)],
    ) {
        let known = |place: usize| MODELS_USED.get(place).copied().unwrap_or(9_999);
        let models: Vec<Body<'_>> = ids.iter().map(|(place, length)| (known(*place), *length, &[][..])).collect();
        let mut image = Image::at(BASES[base], &models);
        for (address, word) in image.0.clone() {
            let chosen = words[usize::from(address) % words.len()];
            // What makes the chain stays mostly.
            if chosen % 3 == 0 && word == u16::MAX {
                image.put(address, &[chosen / 7]);
            }
        }
        let limits = ReadLimits { registers, ..ReadLimits::default() };
        let is_controlled = class.is_controlled();
        let by = ByModels {
            heartbeat: is_controlled.then(|| Span::from_secs(3)),
            kinds: class.more_points().iter().fold(class.points(), PointKinds::with),
            nominal: (!is_controlled).then(|| NominalVoltage::LineToLine(Volts::of(400.0))),
            reactive: is_controlled.then_some(Priority::Active),
            ..wanted(class)
        };
        if let Ok((map, _asked)) = found(&image, &by, limits) {
            prop_assert_eq!(map.points().len(), by.kinds.len());
            prop_assert!(map.reads().len() <= by.most_reads());
            prop_assert!(map.writes().len() <= by.most_writes());
            prop_assert!(map.reads().iter().all(|read| read.span.count <= registers));
            values(&map, &image);
        }
    }
}

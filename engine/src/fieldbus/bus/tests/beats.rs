//! Heartbeats to a device alone on its connection, which falls back without one for 900 ms.

use super::*;

/// The epoch of the present authority.
const EPOCH: u64 = 3;
/// A lease without end.
const LONG: u64 = 1_000_000;

pub(super) fn beating() -> Bus {
    listened_to(900, (WriteFunction::Register, FieldContent::Counter))
}

/// A device that falls back after so many milliseconds.
fn listened_to(timeout: u64, (function, content): (WriteFunction, FieldContent)) -> Bus {
    let fields = vec![field(content, NumberType::U16)];
    let request = WriteRequest { address: 300, function, is_read_back: false, fields };
    let heartbeat = Heartbeat { timeout: Span::from_millis(timeout), request };
    let alone = Mapping { heartbeat: Some(heartbeat), ..said(ALONE, LINE, 0) };
    let alone = DeviceMap::new(alone).expect("it fits");
    opened(bus_of([map(METER, GATEWAY, 0), map(BATTERY, GATEWAY, 1), alone]))
}

/// Scans every 100 ms; returns what is sent.
fn scan(bus: &mut Bus, millis: u64, lease: (u64, u64)) -> Vec<Sent> {
    scan_caring(bus, millis, lease, Care::Written)
}

fn scan_caring(bus: &mut Bus, millis: u64, (epoch, until): (u64, u64), care: Care) -> Vec<Sent> {
    let mut out = Effects::new();
    bus.beat(at(millis), (epoch, at(until)), at(millis + 100), |_device| care, &mut out);
    sent(&out)
}

/// Lets the device answer what was sent.
fn answered(bus: &mut Bus, millis: u64, sent: Vec<Sent>) -> Vec<f64> {
    for (connection, frame, _) in &sent {
        bus.received(at(millis + 5), *connection, &answer(frame, 0), &mut Effects::new());
    }
    counts(&sent)
}

fn scan_answered(bus: &mut Bus, millis: u64) -> Vec<f64> {
    let sent = scan(bus, millis, (EPOCH, LONG));
    answered(bus, millis, sent)
}

fn counts(sent: &[Sent]) -> Vec<f64> {
    sent.iter().filter_map(|(_, _, write)| Some(write.as_ref()?.value)).collect()
}

#[test]
fn a_device_hears_a_heartbeat_three_times_in_its_time_out_and_each_is_another_number() {
    let mut bus = beating();
    let beats: Vec<(u64, Vec<f64>)> = (1..=11)
        .map(|turn| (100 * turn, scan_answered(&mut bus, 100 * turn)))
        .filter(|(_, counts)| !counts.is_empty())
        .collect();
    // It may hold the first one already, from another life or another controller.
    let expected = [(100, 0.0), (200, 1.0), (500, 2.0), (800, 3.0), (1_100, 4.0)];
    assert_eq!(beats, expected.map(|(at, count)| (at, vec![count])));
    assert_eq!(told(&mut bus), [], "nothing begins or ends to fail");
}

#[test]
fn a_heartbeat_is_a_write_that_says_what_it_is_and_for_how_long_it_may_leave() {
    let mut bus = beating();
    assert_eq!(scan_answered(&mut bus, 100), [0.0]);
    let [(LINE, frame, Some(write))] = &scan(&mut bus, 200, (EPOCH, 350))[..] else { panic!("one is sent") };
    assert_eq!(frame[HEADER_BYTES..], [6, 1, 44, 0, 1]);
    assert_eq!((write.device, write.kind, write.epoch), (ALONE, WriteKind::Heartbeat, EPOCH));
    assert_eq!(write.valid_until, at(350), "no longer than the lease");
}

#[test]
fn no_timer_sends_a_heartbeat() {
    let mut bus = beating();
    assert_eq!(scan_answered(&mut bus, 100), [0.0]);
    let mut out = Effects::new();
    for millis in (100..5_000).step_by(10) {
        bus.wake(at(millis), &mut out);
    }
    assert_eq!(sent(&out), [], "scans stand still");
}

/// Lets a heartbeat wait for a read, asked for at 100 under a lease that holds until 150.
fn waiting() -> (Bus, Vec<u8>) {
    let mut bus = beating();
    let read = sent(&ask(&mut bus, 100, &[Effect::Poll { device: ALONE, due: at(100) }]));
    assert_eq!(scan(&mut bus, 100, (EPOCH, 150)), []);
    (bus, read[0].1.clone())
}

/// The device answers the read; returns what is sent then.
fn read_answered(bus: &mut Bus, millis: u64, read: &[u8]) -> Vec<Sent> {
    let mut out = Effects::new();
    bus.received(at(millis), LINE, &answer(read, 0), &mut out);
    sent(&out)
}

#[test]
fn a_heartbeat_in_its_time_leaves_when_the_read_before_it_is_answered() {
    let (mut bus, read) = waiting();
    assert_eq!(counts(&read_answered(&mut bus, 150, &read)), [0.0]);
}

#[test]
fn what_waits_for_longer_than_it_may_is_not_sent_and_the_next_scan_tries_it_again() {
    for (given_up, from) in [(None, 151), (Some(140), 140)] {
        let (mut bus, read) = waiting();
        if let Some(until) = given_up {
            let _heard = ask(&mut bus, until, &[Effect::Authority { epoch: EPOCH, until: at(until) }]);
        }
        assert_eq!(read_answered(&mut bus, from, &read), []);
        assert_eq!(counts(&scan(&mut bus, 200, (EPOCH, 5_000))), [0.0]);
    }
}

#[test]
fn what_waits_to_leave_may_do_so_as_long_as_its_lease_is_extended_and_until_the_next_one_is_due() {
    for (is_given_away, extended, until) in [(false, 260, 260), (true, 260, 260), (false, LONG, 400)] {
        let valid_until = |sent: &[Sent]| sent[0].2.map(|write| write.valid_until);
        for (answered, leaves) in [(until, true), (until + 1, false)] {
            let (mut bus, read) = waiting();
            let mut out = Effects::new();
            for epoch in [EPOCH - 1, EPOCH + 1] {
                out.push(Effect::Authority { epoch, until: at(LONG) });
            }
            out.push(Effect::Authority { epoch: EPOCH, until: at(extended) });
            bus.carry_out(at(140), is_given_away, &mut out);
            let sent = read_answered(&mut bus, answered, &read);
            assert_eq!(counts(&sent), if leaves { vec![0.0] } else { vec![] }, "{extended} {answered}");
            assert!(!leaves || valid_until(&sent) == Some(at(until)));
        }
    }
}

#[test]
fn a_new_authority_is_heard_at_once_and_by_two_numbers_of_which_one_is_new() {
    let mut bus = beating();
    assert_eq!((scan_answered(&mut bus, 100), scan_answered(&mut bus, 200)), (vec![0.0], vec![1.0]));
    assert_eq!(scan(&mut bus, 300, (EPOCH, 5_000)), []);
    for (millis, count) in [(300, 2.0), (400, 3.0)] {
        let sent = scan(&mut bus, millis, (EPOCH + 1, 5_000));
        assert_eq!(answered(&mut bus, millis, sent), [count]);
    }
    assert_eq!(scan(&mut bus, 500, (EPOCH + 1, 5_000)), []);
}

#[test]
fn what_the_driver_did_not_send_is_tried_again_with_the_next_scan() {
    let mut bus = beating();
    assert_eq!(scan(&mut bus, 100, (EPOCH, 5_000)).len(), 1);
    bus.not_sent(at(120), ALONE, (WriteKind::Heartbeat, at(400)), &mut Effects::new());
    assert_eq!(counts(&scan(&mut bus, 200, (EPOCH, 5_000))), [0.0]);
    assert_eq!(told(&mut bus), []);
}

#[test]
fn after_a_number_that_the_device_may_hold_already_the_next_one_is_due_at_once() {
    let mut bus = beating();
    assert_eq!((scan_answered(&mut bus, 100), scan_answered(&mut bus, 200)), (vec![0.0], vec![1.0]));
    // Nobody knows whether these have arrived.
    assert_eq!(counts(&scan(&mut bus, 500, (EPOCH, LONG))), [2.0]);
    for millis in [600, 700] {
        bus.wake(at(millis), &mut Effects::new());
    }
    let mut out = Effects::new();
    for millis in [1_200, 1_300] {
        bus.wake(at(millis), &mut out);
        assert_eq!(scan(&mut bus, millis, (EPOCH, LONG)), []);
        bus.link_changed(at(millis + 1), LINE, true, &mut out);
    }
    let repeated = sent(&out);
    assert_eq!(answered(&mut bus, 1_310, repeated), [2.0]);
    assert_eq!(scan_answered(&mut bus, 1_400), [3.0]);
    assert_eq!(scan(&mut bus, 1_500, (EPOCH, LONG)), []);
}

const fn beats(outcome: WriteOutcome) -> Told {
    Told::Beats { device: ALONE, outcome }
}

/// Scans each 100 ms and does with what is sent what `ends` does; returns when something is told of heartbeats.
fn fails(
    bus: &mut Bus,
    span: (u64, u64),
    lease: u64,
    ends: impl Fn(&mut Bus, u64, &[u8]),
) -> Vec<(u64, Told)> {
    let mut all = Vec::new();
    for millis in (span.0..=span.1).step_by(10) {
        bus.wake(at(millis), &mut Effects::new());
        if millis % 100 == 0 {
            for (_, frame, _) in scan(bus, millis, (EPOCH, millis + lease)) {
                ends(bus, millis + 5, &frame);
            }
        }
        let beats = told(bus).into_iter().filter(|told| matches!(told, Told::Beats { .. }));
        all.extend(beats.map(|told| (millis, told)));
    }
    all
}

fn refuses(bus: &mut Bus, millis: u64, frame: &[u8]) {
    bus.received(at(millis), LINE, &refusal(frame, Exception::ILLEGAL_ADDRESS), &mut Effects::new());
}

fn acknowledges(bus: &mut Bus, millis: u64, frame: &[u8]) {
    bus.received(at(millis), LINE, &answer(frame, 0), &mut Effects::new());
}

fn is_silent(_bus: &mut Bus, _millis: u64, _frame: &[u8]) {}

#[test]
fn it_is_told_once_when_none_was_acknowledged_for_two_thirds_of_the_time_out_and_once_that_they_succeed() {
    let mut bus = beating();
    let all = fails(&mut bus, (100, 690), 40, refuses);
    assert_eq!(all, []);
    assert_eq!(fails(&mut bus, (700, 2_000), 40, refuses), [(700, beats(WriteOutcome::Refused))]);
    let all = fails(&mut bus, (2_010, 5_000), 40, acknowledges);
    assert_eq!(all.iter().map(|(_, told)| *told).collect::<Vec<_>>(), [beats(WriteOutcome::Acknowledged)]);
    let all = fails(&mut bus, (5_010, 8_000), 40, refuses);
    assert_eq!(all.iter().map(|(_, told)| *told).collect::<Vec<_>>(), [beats(WriteOutcome::Refused)]);
}

#[test]
fn whatever_becomes_of_heartbeats_that_are_not_acknowledged_it_is_told() {
    let first = |bus: &mut Bus, lease| fails(bus, (1_000, 5_000), lease, is_silent);
    let at_700 = |outcome| vec![(1_600, beats(outcome))];
    // No answer comes, and the device is left alone.
    assert_eq!(first(&mut beating(), 40), at_700(WriteOutcome::TimedOut));
    // There is no connection.
    let mut bus = beating();
    bus.link_changed(at(900), LINE, false, &mut Effects::new());
    assert_eq!(first(&mut bus, 40), at_700(WriteOutcome::TimedOut));
    // None may leave any more when it is asked for.
    let mut bus = beating();
    let mut all = Vec::new();
    for millis in (1_000..5_000).step_by(100) {
        assert_eq!(scan(&mut bus, millis, (EPOCH, millis - 1)), []);
        all.extend(told(&mut bus).into_iter().map(|told| (millis, told)));
    }
    assert_eq!(all, at_700(WriteOutcome::Expired));
}

#[test]
fn the_next_authority_tells_anew_what_fails() {
    let mut bus = beating();
    assert_eq!(fails(&mut bus, (100, 2_000), 40, refuses).len(), 1);
    bus.forget_beats();
    assert_eq!(fails(&mut bus, (2_100, 2_690), 40, refuses), []);
    assert_eq!(fails(&mut bus, (2_700, 4_000), 40, refuses), [(2_700, beats(WriteOutcome::Refused))]);
    bus.forget_beats();
    assert_eq!(fails(&mut bus, (4_010, 6_000), 40, acknowledges), [], "nothing was told that could end");
}

#[test]
fn a_device_of_which_nobody_cares_hears_nothing() {
    let mut bus = beating();
    for millis in (100..3_000).step_by(100) {
        assert_eq!(scan_caring(&mut bus, millis, (EPOCH, LONG), Care::None), []);
    }
    assert_eq!(told(&mut bus), [], "what is not asked for does not fail");
    assert_eq!(scan_answered(&mut bus, 3_000), [0.0]);
}

#[test]
fn a_device_whose_set_point_fails_hears_heartbeats_for_its_time_out_and_again_with_a_try_when_it_has_fallen_back()
 {
    let mut bus = beating();
    let mut heard = Vec::new();
    // The first try fails, and so does each of these.
    let tries = [1_000, 2_000, 3_600, 3_700, 5_000];
    for millis in (100..6_000).step_by(100) {
        let tried = tries.into_iter().rfind(|tried| *tried <= millis);
        let care = tried.map_or(Care::Written, |tried| Care::Fails { tried: at(tried) });
        let sent = scan_caring(&mut bus, millis, (EPOCH, LONG), care);
        heard.extend(answered(&mut bus, millis, sent).into_iter().map(|_count| millis));
    }
    assert_eq!(heard, [100, 200, 500, 800, 1_100, 1_400, 1_700, 3_700, 4_000, 4_300, 4_600]);
    assert_eq!(told(&mut bus), []);
    // Once it is written again, heartbeats go on.
    assert_eq!(scan_answered(&mut bus, 6_000).len(), 1);
}

#[test]
fn function_23_reads_back_what_the_device_has_heard() {
    for (held, outcome) in [(0, WriteOutcome::Acknowledged), (7, WriteOutcome::NotHeld)] {
        let mut bus = listened_to(900, (WriteFunction::Exchange, FieldContent::Counter));
        let mut all = Vec::new();
        for millis in (100..2_000).step_by(100) {
            for (_, frame, _) in scan(&mut bus, millis, (EPOCH, LONG)) {
                let written = u16::from_be_bytes([frame[frame.len() - 2], frame[frame.len() - 1]]);
                let reply = writes::exchanged(&frame, written + held);
                bus.received(at(millis + 5), LINE, &reply, &mut Effects::new());
            }
            all.extend(told(&mut bus));
        }
        let expected = if outcome == WriteOutcome::NotHeld { vec![beats(outcome)] } else { vec![] };
        assert_eq!(all, expected);
    }
}

/// When a device that holds `held` hears something new, which falls back after 1.8 s. A request and its repetition get lost, or
/// both of its answers.
fn news(content: FieldContent, held: u16, lost: usize, is_heard: bool) -> Vec<u64> {
    let mut bus = listened_to(1_800, (WriteFunction::Register, content));
    let (mut held, mut news, mut frames) = (held, Vec::new(), 0);
    let mut answers: Vec<Vec<u8>> = Vec::new();
    for millis in (10..15_000).step_by(10) {
        let mut out = Effects::new();
        for answer in answers.drain(..) {
            bus.received(at(millis), LINE, &answer, &mut out);
        }
        bus.wake(at(millis), &mut out);
        if millis % 100 == 0 {
            bus.beat(at(millis), (EPOCH, at(LONG)), at(millis + 100), |_device| Care::Written, &mut out);
        }
        if wishes(&out).contains(&(LINE, LinkWish::Open)) {
            bus.link_changed(at(millis), LINE, true, &mut out);
        }
        for (_, frame, _) in sent(&out) {
            let number = u16::from_be_bytes([frame[frame.len() - 2], frame[frame.len() - 1]]);
            let is_lost = (lost..lost + 2).contains(&frames);
            frames += 1;
            if (is_heard || !is_lost) && number != held {
                held = number;
                news.push(millis);
            }
            if !is_lost {
                answers.push(answer(&frame, 0));
            }
        }
    }
    news
}

#[test]
fn no_number_is_lost_on_a_device_whatever_it_holds_and_whichever_request_or_answer_is_lost() {
    for content in [FieldContent::Toggle, FieldContent::Counter] {
        for (held, lost) in (0..3).flat_map(|held| (0..8).map(move |lost| (held, lost))) {
            for is_heard in [false, true] {
                let news = news(content, held, lost, is_heard);
                let times = || [0].into_iter().chain(news.iter().copied());
                let longest = times().zip(times().skip(1)).map(|(one, next)| next - one).max();
                let case = (content, held, lost, is_heard);
                assert!(longest.is_some_and(|longest| longest <= 1_800), "{case:?}: {news:?}");
                assert!(news.last().is_some_and(|last| *last > 13_800), "{case:?}: {news:?}");
                assert!(lost < 2 || news[0] <= 200, "one of the first two is new: {case:?}: {news:?}");
            }
        }
    }
}

#[test]
fn toggles_and_counters_begin_anew_when_there_is_no_more_room() {
    let beat = |content, number, value| {
        let fields = vec![field(content, number)];
        let function = WriteFunction::Register;
        let request = WriteRequest { address: 0, function, is_read_back: false, fields };
        let (device, valid_until) = (ALONE, at(0));
        let write =
            SetPointWrite { device, kind: WriteKind::Heartbeat, value, reactive: 0.0, epoch: 1, valid_until };
        let mut pdu = Vec::new();
        request.encode(&write, &mut pdu).expect("there is room");
        u16::from_be_bytes([pdu[3], pdu[4]])
    };
    let toggle = |value| beat(FieldContent::Toggle, NumberType::U16, value);
    assert_eq!([0.0, 1.0, 2.0].map(toggle), [0, 1, 0]);
    let counter = |value| beat(FieldContent::Counter, NumberType::U16, value);
    assert_eq!([65_535.0, 65_536.0, 65_537.0].map(counter), [65_535, 0, 1]);
    let signed = |value| beat(FieldContent::Counter, NumberType::I16, value);
    assert_eq!([32_767.0, 32_768.0].map(signed), [32_767, 0]);
}

/// Behind a gateway a device that falls back after 600 ms, and two that stop to answer then; all are read and written again and
/// again. When the first one hears something new.
fn news_beside_dead_ones(die_at: u64) -> Vec<u64> {
    const UNITS: [DeviceIndex; 3] = [ALONE, BATTERY, METER];
    let fields = vec![field(FieldContent::Counter, NumberType::U16)];
    let function = WriteFunction::Register;
    let request = WriteRequest { address: 300, function, is_read_back: false, fields };
    let heartbeat = Heartbeat { timeout: Span::from_millis(600), request };
    let writes = said(BATTERY, GATEWAY, 0).writes;
    let map = |(unit, device): (u16, DeviceIndex)| {
        let heartbeat = Some(heartbeat.clone()).filter(|_| device == ALONE);
        DeviceMap::new(Mapping { heartbeat, writes: writes.clone(), ..said(device, GATEWAY, unit) })
            .expect("it fits")
    };
    let unit = |(number, retries): (u8, u8)| UnitSpec {
        unit: number,
        timeout: Span::from_millis(100),
        retries,
        back_off_first: Span::from_millis(500),
        back_off_max: Span::from_secs(1),
    };
    let mut bus = Bus::new(&BusSpec {
        connections: vec![ConnectionSpec {
            units: [(1, 0), (2, 3), (3, 3)].map(unit).to_vec(),
            framing: Framing::Tcp,
            min_gap: Span::ZERO,
            connect_timeout: Span::from_millis(300),
            pipelining: 1,
        }],
        devices: (0..).zip(UNITS).map(map).collect(),
    });
    let (mut held, mut news, mut answers) = (u16::MAX, Vec::new(), Vec::<Vec<u8>>::new());
    for millis in (10..15_000).step_by(10) {
        let mut out = Effects::new();
        for answer in answers.drain(..) {
            bus.received(at(millis), GATEWAY, &answer, &mut out);
        }
        bus.wake(at(millis), &mut out);
        if millis % 100 == 0 {
            for device in [METER, BATTERY, ALONE] {
                out.push(write(device, (millis % 1_000) as f64, EPOCH, millis + 400));
                out.push(Effect::Poll { device, due: at(millis) });
            }
            bus.carry_out(at(millis), false, &mut out);
            bus.beat(at(millis), (EPOCH, at(LONG)), at(millis + 100), |_device| Care::Written, &mut out);
        }
        if wishes(&out).contains(&(GATEWAY, LinkWish::Open)) {
            bus.link_changed(at(millis), GATEWAY, true, &mut out);
        }
        for (_, frame, sent) in sent(&out) {
            let is_alive = frame[HEADER_BYTES - 1] == 1;
            let number = u16::from_be_bytes([frame[frame.len() - 2], frame[frame.len() - 1]]);
            if sent.is_some_and(|sent| sent.kind == WriteKind::Heartbeat) && number != held {
                held = number;
                news.push(millis);
            }
            if is_alive || millis < die_at {
                answers.push(answer(&frame, 0));
            }
        }
        told(&mut bus);
    }
    news
}

#[test]
fn dead_devices_that_are_to_be_written_keep_no_other_behind_their_gateway_from_hearing_heartbeats() {
    for die_at in (1_000..2_000).step_by(30) {
        let news = news_beside_dead_ones(die_at);
        let longest = news.iter().zip(&news[1..]).map(|(one, next)| next - one).max();
        assert!(longest.is_some_and(|longest| longest <= 600), "they die at {die_at} ms: {news:?}");
        assert!(news.last().is_some_and(|last| *last > 14_400), "they die at {die_at} ms: {news:?}");
    }
}

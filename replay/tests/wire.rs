//! What fieldbus connections bring, in logs: replayed, told in words and in numbers, and what it costs in bytes.

mod toy;

use r_ems_engine::fieldbus::frame;
use r_ems_engine::fieldbus::pdu::{Answer, Registers, Request, Table, put_answer};
use r_ems_engine::ids::{ConnectionIndex, ControllerIndex};
use r_ems_engine::log::{EffectsKept, Ending, Kind, Recording, Scope};
use r_ems_engine::machine::{Boot, Delivery, Effects, Input, Machine, Outcome, Step};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_replay::entries::{Fields, OfEffects};
use r_ems_replay::{Entries, Entry, Filter, Statistics, replay, statistics};
use toy::{Toy, header, record_wired};

const GAINS: [u64; 2] = [0, 600_000];

fn entries(log: &[u8], filter: Filter) -> Vec<Entry> {
    let entries = Entries::open(log, filter).expect("a log");
    entries.map(|entry| entry.expect("a whole log")).collect()
}

#[test]
fn a_run_on_a_wire_replays_bit_for_bit() {
    for effects in [EffectsKept::Digests, EffectsKept::Whole] {
        let (log, recorded) = record_wired(&GAINS, 300, effects);
        let replayed = replay::<Toy, _>(log.as_slice()).unwrap();
        assert_eq!((replayed.divergence, replayed.digest), (None, recorded.digest));
    }
}

#[test]
fn what_a_connection_brings_is_shown_in_words_and_numbers() {
    let (log, _) = record_wired(&[0], 60, EffectsKept::Whole);
    let frames = entries(&log, Filter { kinds: vec![Kind::Frame], ..Filter::ALL });
    let whole = "frame on connection 2: unit 1 answers 50 holding registers (000100000067010364";
    let whole = frames.iter().find(|entry| entry.text.starts_with(whole)).expect("one is not cut");
    let Some(Fields::Frame { connection: 2, hex }) = &whole.fields else { panic!("{:?}", whole.fields) };
    assert_eq!(hex.len(), 2 * 109);
    assert!(whole.text.ends_with(&format!(" ({hex})")));
    assert!(frames.iter().any(|entry| entry.text.contains("unit 1 has done: write ")));
    assert!(frames.iter().any(|entry| entry.text.contains("2: the first 54 B of a frame (")));

    let links = entries(&log, Filter { kinds: vec![Kind::Link], ..Filter::ALL });
    let told: Vec<_> = links.iter().map(|entry| (entry.text.as_str(), entry.fields.clone())).collect();
    let link = |open| Some(Fields::Link { connection: 2, open });
    assert_eq!(told[0], ("connection 2 is open", link(true)));
    assert_eq!(told[1], ("connection 2 is closed", link(false)));
}

#[test]
fn a_write_in_a_frame_is_shown_as_a_write() {
    let (log, _) = record_wired(&[0], 60, EffectsKept::Whole);
    let filter = Filter { kinds: vec![Kind::Effects], of_effects: OfEffects::Writes, ..Filter::ALL };
    let writes = entries(&log, filter);
    assert!(writes.len() > 10, "{} writes", writes.len());
    for entry in writes {
        let Some(Fields::Writes { writes }) = entry.fields else { panic!("{:?}", entry.fields) };
        let [write] = writes.as_slice() else { panic!("{writes:?}") };
        assert_eq!((write.device.as_str(), write.epoch.as_str()), ("bess", "0.1"));
        let value_w = write.value_w.expect("it is a set-point");
        let carried = format!(" on connection 2: write {value_w} W to bess, epoch 0.1, valid until in 2 s");
        assert!(
            entry.text.starts_with("send 12 B of chain ") && entry.text.ends_with(&carried),
            "{}",
            entry.text
        );
        assert!(!entry.text.contains(';'), "nothing but the write: {}", entry.text);
    }
}

#[test]
fn an_answer_to_a_write_in_a_frame_says_what_it_answers() {
    let (log, _) = record_wired(&[0], 60, EffectsKept::Whole);
    let answers = entries(&log, Filter { kinds: vec![Kind::Written], ..Filter::ALL });
    assert!(answers.len() > 3, "{} answers", answers.len());
    for entry in answers {
        let Some(Fields::Written(answer)) = entry.fields else { panic!("{:?}", entry.fields) };
        assert!(answer.write.is_some() || answer.one_of_count > Some(1), "{}", entry.text);
    }
}

/// What a run of so many scans of 100 ms costs, each with two wakes, an answer of so many registers to each request, and the
/// answer to a write where there is one. Everything comes some other nanoseconds late each time, as at a site.
fn scans(count: u64, requests: &[u16], writes: bool) -> Statistics {
    let (header, toys) = (header(1, EffectsKept::Digests), [Toy::new(&None)]);
    let mut recording = Recording::new(&header, Scope::Fleet, &toys).expect("a small header");
    let (mut log, mut noise) = (Vec::new(), 1_u64);
    let mut hand = |at: Time, step: Step<'_>| {
        let (now, controller) = (LocalTime::from_nanos(at.as_nanos()), ControllerIndex(0));
        recording.delivery(&Delivery { at, now, to: controller, step });
        let (effects, state) = (&Effects::new(), &toys[0]);
        recording.outcome(&Outcome { at, now, from: controller, deadline: Some(now), effects, state });
        log.extend_from_slice(recording.writer().out());
        recording.clear_out();
    };
    hand(Time::ZERO, Step::Boot(Boot::FIRST));
    for scan in 1..=count {
        let mut at = Time::ZERO + Span::from_millis(100 * scan);
        let mut late = |least: u64| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            at += Span::from_nanos(least + (noise >> 48));
            at
        };
        hand(late(0), Step::Input(Input::Wake));
        let mut answered = |at: Time, request: Request<'_>, answer: Answer<'_>| {
            let mut bytes = Vec::new();
            frame::put(&mut bytes, scan as u16, 1, |pdu| put_answer(pdu, &request, &answer));
            hand(at, Step::Input(Input::Frame { connection: ConnectionIndex(0), bytes: &bytes }));
        };
        if writes {
            answered(late(3_000_000), Request::WriteRegister { address: 40, value: 7 }, Answer::Written);
        }
        for count in requests {
            let words: Vec<u8> = (0..2 * *count).map(|byte| byte as u8).collect();
            let read = Request::Read { table: Table::HoldingRegisters, address: 0, count: *count };
            let registers = Answer::Registers(Registers::new(&words).expect("whole registers"));
            answered(late(5_000_000), read, registers);
        }
        hand(late(50_000_000), Step::Input(Input::Wake));
    }
    recording.close(&toys, Ending::Over);
    log.extend_from_slice(recording.writer().out());
    statistics(log.as_slice()).expect("a whole log")
}

#[test]
fn a_day_of_fifty_points_in_two_requests_takes_less_than_200_megabytes() {
    /// An hour of them.
    const SCANS: u64 = 36_000;
    const OF_A_DAY: u64 = 24;
    let counted = scans(SCANS, &[25, 25], true);
    let day = counted.bytes * OF_A_DAY;
    assert!(day < 155_000_000, "{day} bytes a day");
    let of = |kind: Kind| counted.kinds.iter().find(|share| share.name == kind.name()).unwrap();
    // Two answers of 25 registers and one to a write, and 10 bytes beside each: what it is, when, after what, and on which
    // connection.
    assert_eq!(of(Kind::Frame).bytes, SCANS * (2 * 59 + 12 + 3 * 10));
    assert_eq!(of(Kind::Wake).bytes, SCANS * 2 * 7);
    let rest = counted.bytes - of(Kind::Frame).bytes - of(Kind::Wake).bytes;
    assert!(rest < SCANS, "{rest} bytes of chains and groups");
}

//! What a device holds, asked after it had acknowledged.

use super::*;
use crate::controller::set_points::channel::{RETRY_LONGEST, SETTLES_WITHIN};
use crate::ids::PointIndex;
use crate::machine::{Sample, Validity};
use crate::points::Point;

/// The battery's set-point is read.
fn shows(image: &mut Image, now: LocalTime, kilowatts: f64) {
    shows_as(image, now, kilowatts, Validity::Valid);
}

fn shows_as(image: &mut Image, now: LocalTime, kilowatts: f64, validity: Validity) {
    let set_point = image.points().len() - 1;
    let point = PointIndex::of(set_point);
    image.take(now, BATTERY, &[Sample { point, validity, value: kilowatts * 1e3 }]);
    let point: Option<&Point> = image.point(BATTERY, PointKind::SetPoint);
    assert!(point.is_some_and(|point| point.value == kilowatts * 1e3));
}

/// Wants 10 kW and reads back, each second; returns when it is written. The device acknowledges, and shows what `holds` says.
fn written_and_shown(
    set_points: &mut SetPoints,
    seconds: core::ops::Range<u64>,
    holds: impl Fn(u64, u64) -> f64,
) -> (Vec<u64>, Vec<(u64, Event)>) {
    let (mut image, mut out) = (image(), Effects::new());
    let (mut written, mut told) = (Vec::new(), Vec::new());
    for now in seconds {
        let since = written.last().map_or(0, |written| now - written);
        shows(&mut image, second(now), holds(now, since));
        set_points.channels[0].read_back(&image, &mut out);
        if wants(set_points, second(now), 10.0, &mut out) {
            written.push(now);
            set_points.written(
                second(now) + Span::from_millis(30),
                BATTERY,
                WriteOutcome::Acknowledged,
                &mut out,
            );
        }
        told.extend(reports(&out).into_iter().map(|event| (now, event)));
        out = Effects::new();
    }
    (written, told)
}

#[test]
fn what_a_device_acknowledges_and_does_not_hold_is_written_again_after_pauses_and_told_once() {
    let not_held = Event::WriteFailed { device: BATTERY, outcome: WriteOutcome::NotHeld };
    let mut set_points = written_at(&[]);
    let (written, told) =
        written_and_shown(&mut set_points, 10..100, |now, _| if now < 80 { 0.0 } else { 10.0 });
    assert_eq!(written, [10, 12, 14, 18, 26, 42, 58, 74]);
    assert_eq!(told, [(12, not_held), (80, Event::WritesSucceed { device: BATTERY })]);
    // Its day is spared more.
    let mut set_points = worn(false);
    let (written, told) = written_and_shown(&mut set_points, 10..3_000, |_, _| 0.0);
    assert_eq!(written, [10, 12, 14, 1_814, 1_822], "two are all that there was room for");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_device_that_takes_a_while_to_change_its_mode_comes_to_hold_what_it_is_told() {
    // Each write begins the change anew.
    for takes in [1, 3, 12] {
        let mut set_points = written_at(&[]);
        let (written, told) =
            written_and_shown(&mut set_points, 10..40, |_, since| if since > takes { 10.0 } else { 0.0 });
        let expected: &[u64] = match takes {
            1 => &[10],
            3 => &[10, 12, 14],
            _ => &[10, 12, 14, 18, 26],
        };
        assert_eq!(written, expected, "{takes} s");
        assert_eq!(told.len(), if takes == 1 { 0 } else { 2 });
    }
}

#[test]
fn what_is_lost_later_is_written_again_at_once_and_another_set_point_need_not_wait() {
    let mut set_points = written_at(&[]);
    let (written, _) =
        written_and_shown(&mut set_points, 10..60, |now, _| if now == 40 { 0.0 } else { 10.0 });
    assert_eq!(written, [10, 40]);
    let mut image = image();
    shows(&mut image, second(62), 0.0);
    let mut out = Effects::new();
    set_points.channels[0].read_back(&image, &mut out);
    assert!(wants(&mut set_points, second(62), 10.0, &mut out), "the first time");
    set_points.written(second(62), BATTERY, WriteOutcome::Acknowledged, &mut out);
    shows(&mut image, second(62) + SETTLES_WITHIN + Span::from_secs(1), 0.0);
    set_points.channels[0].read_back(&image, &mut out);
    assert!(!wants(&mut set_points, at(63_500), 10.0, &mut out), "the same waits");
    assert!(wants(&mut set_points, at(63_500), 20.0, &mut out));
}

#[test]
fn nothing_is_judged_by_what_was_read_before_the_device_could_show_it() {
    let mut set_points = written_at(&[]);
    let mut out = Effects::new();
    assert!(wants(&mut set_points, at(1_000), 10.0, &mut out));
    set_points.written(at(1_030), BATTERY, WriteOutcome::Acknowledged, &mut out);
    for (millis, is_held) in [(1_000, true), (2_029, true), (2_030, false)] {
        let mut image = image();
        shows(&mut image, at(millis), 0.0);
        set_points.channels[0].read_back(&image, &mut out);
        let state = set_points.channels[0].last.map(|last| last.state);
        assert_eq!(state == Some(WriteState::Acknowledged { at: at(1_030) }), is_held, "{millis}");
    }
    assert!(set_points.channels[0].reverts_at().is_none());
    assert!(RETRY_LONGEST > SETTLES_WITHIN);
}

#[test]
fn a_device_that_leaves_its_mode_while_it_is_told_to_rest_is_told_again() {
    for (validity, is_told) in [(Validity::Valid, false), (Validity::NotInForce, true)] {
        let mut set_points = worn(false);
        use_up(&mut set_points);
        assert_eq!(written_of(&mut set_points, 60..61, 0.0, WriteOutcome::Acknowledged), [60]);
        let mut image = image();
        shows_as(&mut image, second(70), 0.0, validity);
        let mut out = Effects::new();
        set_points.channels[0].read_back(&image, &mut out);
        assert_eq!(wants(&mut set_points, second(70), 0.0, &mut out), is_told);
        let not_held = Event::WriteFailed { device: BATTERY, outcome: WriteOutcome::NotHeld };
        assert_eq!(reports(&out), if is_told { alloc::vec![not_held] } else { Vec::new() });
    }
}

#[test]
fn that_another_decides_is_found_however_often_the_set_point_moves() {
    let mut set_points = written_at(&[]);
    let (mut image, mut out) = (image(), Effects::new());
    let mut found = None;
    for tenth in 10..60 {
        let now = at(tenth * 100);
        let point = PointIndex::of(image.points().len() - 1);
        let validity = Validity::NotInForce;
        image.take(now, BATTERY, &[Sample { point, validity, value: 0.0 }]);
        set_points.channels[0].read_back(&image, &mut out);
        if wants(&mut set_points, now, (tenth % 7) as f64 * 10.0 + 5.0, &mut out) {
            set_points.written(now + Span::from_millis(30), BATTERY, WriteOutcome::Acknowledged, &mut out);
        }
        if set_points.channels[0].fails() && found.is_none() {
            found = Some(tenth);
        }
    }
    assert!(found.is_some_and(|tenth| tenth <= 23), "{found:?}");
}

#[test]
fn a_device_that_clamps_is_cared_for_and_one_that_another_commands_is_not() {
    for (validity, fails) in [(Validity::Valid, false), (Validity::NotInForce, true)] {
        let mut set_points = written_at(&[]);
        let (mut image, mut out) = (image(), Effects::new());
        assert!(wants(&mut set_points, second(10), 10.0, &mut out));
        set_points.written(second(10), BATTERY, WriteOutcome::Acknowledged, &mut out);
        let point = PointIndex::of(image.points().len() - 1);
        image.take(second(12), BATTERY, &[Sample { point, validity, value: 8e3 }]);
        set_points.channels[0].read_back(&image, &mut out);
        assert!(matches!(
            set_points.channels[0].last.map(|last| last.state),
            Some(WriteState::NotHeld { .. })
        ));
        assert_eq!(set_points.channels[0].fails(), fails);
    }
}

#[test]
fn a_reactive_set_point_that_is_not_in_force_is_not_held() {
    let meter = device("pcc", DeviceClass::Meter, Positive::Import, 400.0);
    let battery = device("bess", DeviceClass::Battery, Positive::Discharge, 250.0);
    let battery = DeviceSpec { points: battery.points.with(PointKind::ReactiveSetPoint), ..battery };
    for (validity, is_held) in [(Validity::Valid, true), (Validity::NotInForce, false)] {
        let mut set_points = written_at(&[]);
        let (mut image, mut out) =
            (Image::new(&[meter.clone(), battery.clone()], Span::from_secs(1)), Effects::new());
        assert!(wants(&mut set_points, second(10), 10.0, &mut out));
        set_points.written(second(10), BATTERY, WriteOutcome::Acknowledged, &mut out);
        let [power, reactive] = [2, 1].map(|behind| PointIndex::of(image.points().len() - behind));
        let samples = [
            Sample { point: power, validity: Validity::Valid, value: 10e3 },
            Sample { point: reactive, validity, value: 0.0 },
        ];
        image.take(second(12), BATTERY, &samples);
        image.judge(second(12), None, &mut out);
        set_points.channels[0].read_back(&image, &mut out);
        let state = set_points.channels[0].last.map(|last| last.state);
        assert_eq!(state == Some(WriteState::Acknowledged { at: second(10) }), is_held, "{validity:?}");
    }
}

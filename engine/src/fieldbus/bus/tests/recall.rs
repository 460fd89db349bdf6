//! Writes that must not leave any more, or not arrive.

use super::*;

#[test]
fn a_write_that_is_not_answered_when_it_expires_takes_its_connection_with_it() {
    let mut bus = open();
    let out = ask(&mut bus, 10, &[write(BATTERY, 42.0, 3, 50)]);
    assert_eq!(sent(&out).len(), 1);
    assert_eq!(bus.deadline(), Some(at(50) + INSTANT));
    let mut out = Effects::new();
    bus.wake(at(50), &mut out);
    assert_eq!(wishes(&out), [], "it may still arrive");
    bus.wake(at(50) + INSTANT, &mut out);
    assert_eq!(wishes(&out), [(GATEWAY, LinkWish::Closed)]);
    assert_eq!(told(&mut bus), [Told::Written { device: BATTERY, outcome: WriteOutcome::TimedOut }]);
    // Nobody is blamed: whatever is asked next opens it at once.
    let out = ask(&mut bus, 51, &[Effect::Poll { device: METER, due: at(51) }]);
    assert_eq!(wishes(&out), [(GATEWAY, LinkWish::Open)]);
}

#[test]
fn a_device_that_knows_epochs_is_left_to_refuse_what_comes_late() {
    let mut bus = open();
    ask(&mut bus, 10, &[write(ALONE, 42.0, 3, 50)]);
    let mut out = Effects::new();
    bus.wake(at(60), &mut out);
    assert_eq!((wishes(&out), told(&mut bus)), (vec![], vec![]));
}

#[test]
fn a_write_under_way_may_wait_as_long_as_its_authority_is_extended_and_that_is_told() {
    let mut bus = open();
    ask(&mut bus, 10, &[write(BATTERY, 42.0, 3, 50)]);
    while bus.next_told().is_some() {}
    let extension = [Effect::Authority { epoch: 3, until: at(80) }];
    ask(&mut bus, 20, &extension);
    let waits = Told::Left { device: BATTERY, valid_until: at(80), how: Leaving::Waits };
    assert_eq!(bus.next_told(), Some(waits));
    // Who gives it away waits for the answer as long as it may come, and ends all when it is given up.
    let mut out = Effects::new();
    out.push(Effect::Authority { epoch: 3, until: at(120) });
    bus.carry_out(at(30), true, &mut out);
    let waits = Told::Left { device: BATTERY, valid_until: at(110), how: Leaving::Waits };
    assert_eq!(bus.next_told(), Some(waits));
    let out = ask(&mut bus, 40, &[Effect::Authority { epoch: 3, until: at(40) }]);
    assert_eq!(wishes(&out), [(GATEWAY, LinkWish::Closed)]);
}

#[test]
fn a_late_answer_shows_that_a_write_has_arrived_and_an_answer_to_what_was_sent_before_does_not() {
    for is_its_own in [true, false] {
        let mut bus = open();
        let out = ask(&mut bus, 10, &[Effect::Poll { device: METER, due: at(10) }]);
        let read = sent(&out)[0].1.clone();
        bus.received(at(20), GATEWAY, &answer(&read, 7), &mut Effects::new());
        assert_eq!(told(&mut bus).len(), 1);
        ask(&mut bus, 220, &[write(BATTERY, 42.0, 3, 600)]);
        let mut out = Effects::new();
        bus.wake(at(320), &mut out);
        let repeated = sent(&out)[0].1.clone();
        bus.wake(at(420), &mut out);
        assert_eq!(
            told(&mut bus).last(),
            Some(&Told::Written { device: BATTERY, outcome: WriteOutcome::TimedOut })
        );
        let late = if is_its_own { &repeated } else { &read };
        bus.received(at(430), GATEWAY, &answer(late, 7), &mut out);
        let mut out = Effects::new();
        bus.wake(at(601), &mut out);
        assert_eq!(wishes(&out).first().copied(), (!is_its_own).then_some((GATEWAY, LinkWish::Closed)));
    }
}

#[test]
fn what_timed_out_waits_in_its_connection_until_a_later_request_is_answered() {
    for is_answered in [true, false] {
        let mut bus = open();
        ask(&mut bus, 10, &[write(BATTERY, 42.0, 3, 450)]);
        let mut out = Effects::new();
        // It is repeated once, and times out twice.
        for millis in [110, 210] {
            bus.wake(at(millis), &mut out);
        }
        assert_eq!(told(&mut bus), [Told::Written { device: BATTERY, outcome: WriteOutcome::TimedOut }]);
        let out = ask(&mut bus, 400, &[Effect::Poll { device: METER, due: at(400) }]);
        assert_eq!(wishes(&out), [], "the meter may answer yet");
        let [(GATEWAY, frame, None)] = &sent(&out)[..] else { panic!("the meter is asked") };
        if is_answered {
            bus.received(at(410), GATEWAY, &answer(frame, 7), &mut Effects::new());
        }
        let mut out = Effects::new();
        bus.wake(at(451), &mut out);
        let closed: &[_] = if is_answered { &[] } else { &[(GATEWAY, LinkWish::Closed)] };
        assert_eq!(wishes(&out)[..closed.len()], *closed);
        assert_eq!(wishes(&out).is_empty(), is_answered);
    }
}

#[test]
fn what_waits_leaves_as_long_as_its_authority_holds_and_not_when_that_is_given_up() {
    let authority = |epoch, until| Effect::Authority { epoch, until: at(until) };
    // A read is under way until 100 ms.
    for (valid_until, told_meanwhile, leaves) in [
        (62, None, false),
        (62, Some(authority(3, 300)), true),
        (62, Some(authority(4, 300)), false),
        (500, None, true),
        (500, Some(authority(3, 20)), false),
        (500, Some(authority(2, 20)), true),
    ] {
        let mut bus = open();
        let read = sent(&ask(&mut bus, 10, &[Effect::Poll { device: ALONE, due: at(10) }]));
        let _waits = ask(&mut bus, 12, &[write(ALONE, 1.0, 3, valid_until)]);
        let out = ask(&mut bus, 20, told_meanwhile.as_slice());
        assert_eq!(out.as_slice(), told_meanwhile.as_slice(), "the driver hears of it too");
        let mut out = Effects::new();
        bus.received(at(100), LINE, &answer(&read[0].1, 0), &mut out);
        assert_eq!(sent(&out).len(), usize::from(leaves), "{valid_until} {told_meanwhile:?}");
        let expired = Told::Written { device: ALONE, outcome: WriteOutcome::Expired };
        assert_eq!(told(&mut bus).contains(&expired), !leaves);
    }
}

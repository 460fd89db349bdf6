//! Logs of several lives, in any order, and such as no host writes, are lined up all the same, and soon.

use r_ems_engine::wall::WallTime;
use r_ems_replay::common_time::{Clock, Interval, Letter, LinedUp, Mail, line_up};

const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLI;
/// 2026-11-29 UTC.
const START: i64 = 1_795_910_400 * SECOND;

/// One host with two lives, of which the second is 5 s ahead, and another one: letters there and back for a minute of each.
fn two_lives() -> (Vec<Mail>, Vec<Vec<Interval>>) {
    let mut mail = [Mail { from: 0, to: 1, ..Mail::default() }, Mail { from: 1, to: 0, ..Mail::default() }];
    let shown = |at: i64| WallTime::from_unix_nanos(START + at);
    let ahead = [0, 5 * SECOND];
    for number in 0..1_200_i64 {
        let life = number / 600;
        let at = number * 100 * MILLI + life * 30 * SECOND;
        let letter = |clock: i64, content: i64, at: i64| Letter {
            content: content as u64,
            is_numbered: true,
            clock: Clock(clock as u32),
            shown: shown(at),
        };
        let own = ahead[life as usize];
        mail[0].sent.push(letter(life, 2 * number, at + own));
        mail[0].received.push(letter(2, 2 * number, at + MILLI));
        mail[1].sent.push(letter(2, 2 * number + 1, at));
        mail[1].received.push(letter(life, 2 * number + 1, at + MILLI + own));
    }
    let interval =
        |clock, from: i64, to: i64| Interval { clock: Clock(clock), from: shown(from), to: shown(to) };
    let covered = vec![
        vec![interval(0, -20 * SECOND, 70 * SECOND), interval(1, 80 * SECOND, 180 * SECOND)],
        vec![interval(2, -20 * SECOND, 180 * SECOND)],
    ];
    (mail.to_vec(), covered)
}

#[test]
fn two_lives_of_a_host_have_one_mail_in_whatever_order_their_logs_come() {
    let (mut mail, covered) = two_lives();
    let owners = [0, 0, 1];
    let check = |mail: &[Mail]| {
        let LinedUp { time, counts } = line_up(&owners, mail, &covered);
        for counts in counts {
            assert_eq!(
                (counts.sent, counts.arrived, counts.lost, counts.repeated, counts.unsent),
                (1_200, 1_200, 0, 0, 0)
            );
        }
        let told = [time.ahead(Clock(0)), time.ahead(Clock(1)), time.ahead(Clock(2))];
        let common =
            |clock, at: i64| time.of(Clock(clock), WallTime::from_unix_nanos(START + at)).as_unix_nanos();
        let apart = common(1, 105 * SECOND) - common(2, 100 * SECOND);
        assert!(apart.abs() <= 2 * MILLI && (common(0, 0) - common(2, 0)).abs() <= 2 * MILLI, "{apart}");
        told
    };
    let told = check(&mail);
    for mail in &mut mail {
        mail.sent.reverse();
        mail.received.reverse();
    }
    assert_eq!(check(&mail), told);
    // What both lives sent with one number is no number: nobody knows which of them arrived.
    let again = Letter { clock: Clock(1), shown: mail[0].sent[0].shown, ..mail[0].sent[1_199] };
    mail[0].sent.insert(0, again);
    let time = line_up(&owners, &mail, &covered).time;
    assert_eq!([0, 1, 2].map(|clock| time.reference(Clock(clock))), [Clock(2); 3]);
    for clock in [0, 1] {
        let (now, before) =
            (time.ahead(Clock(clock)).expect("linked"), told[clock as usize].expect("linked"));
        assert!((now.by - before.by).abs() < MILLI && now.letters == before.letters - u64::from(clock == 0));
    }
}

#[test]
fn clocks_that_jump_all_the_time_and_thousands_of_clocks_keep_nobody_waiting() {
    let letter = |content: u64, clock: u32, at: i64| Letter {
        content,
        is_numbered: true,
        clock: Clock(clock),
        shown: WallTime::from_unix_nanos(START + at),
    };
    let between = || [Mail { from: 0, to: 1, ..Mail::default() }, Mail { from: 1, to: 0, ..Mail::default() }];
    // One second to and fro every 10 ms.
    let mut jumps = between();
    for number in 0..100_000_u64 {
        let (at, jump) = (number as i64 * 10 * MILLI, (number as i64 % 2) * SECOND);
        jumps[0].sent.push(letter(2 * number, 0, at));
        jumps[0].received.push(letter(2 * number, 1, at + jump + MILLI));
        jumps[1].sent.push(letter(2 * number + 1, 1, at + jump + MILLI));
        jumps[1].received.push(letter(2 * number + 1, 0, at + 2 * MILLI));
    }
    let all = Interval {
        clock: Clock(0),
        from: WallTime::from_unix_nanos(START),
        to: WallTime::from_unix_nanos(START + 3_600 * SECOND),
    };
    let time = line_up(&[0, 1], &jumps, &[vec![all; 20_000], vec![all; 20_000]]).time;
    let ahead = time.ahead(Clock(1)).or(time.ahead(Clock(0))).expect("letters link them");
    assert!(ahead.letters > 4_000 && ahead.others > 100_000, "{ahead:?}");
    // Each knows the next one only.
    let mut chain = between();
    let clocks = 3_000_u32;
    for clock in 0..clocks - 1 {
        for number in 0..4 {
            let content = u64::from(clock) * 8 + 2 * number;
            let at = number as i64 * SECOND;
            chain[0].sent.push(letter(content, clock, at));
            chain[0].received.push(letter(content, clock + 1, at + MILLI));
            chain[1].sent.push(letter(content + 1, clock + 1, at));
            chain[1].received.push(letter(content + 1, clock, at + MILLI));
        }
    }
    let owners: Vec<usize> = (0..clocks as usize).collect();
    let time = line_up(&owners, &chain, &[vec![all], vec![all]]).time;
    let mut references: Vec<Clock> = (0..clocks).map(|clock| time.reference(Clock(clock))).collect();
    references.dedup();
    assert!(
        (2..9).contains(&references.len()),
        "those that are too far away count for themselves: {references:?}"
    );
}

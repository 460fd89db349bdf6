//! What the zones of real places give, and what holds for all that can be written.

use super::*;
use crate::wall::OFFSET_MINUTES_MAX;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
const SYDNEY: &str = "AEST-10AEDT,M10.1.0,M4.1.0/3";
/// Half an hour of summer; a season that is called summer in winter; one that never ends; switches outside their day.
const ODD: [&str; 6] = [
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "EST3EDT4,0/0,J365/23",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "EET-2EEST,M3.4.4/50,M10.4.4/50",
    "AAA0BBB,J1/-167,J365/167",
];

fn zone(text: &str) -> TimeZone {
    text.parse().expect("a time zone")
}

fn at(text: &str) -> WallTime {
    text.parse().expect("an instant")
}

fn shown(at: WallTime, zone: TimeZone) -> String {
    at.local(zone).to_string()
}

#[test]
fn clocks_are_set_when_they_are_in_berlin_new_york_and_sydney() {
    // By the IANA data base, release 2024a, as other programs read it.
    for (text, switches) in [
        (
            BERLIN,
            [
                ("2016-03-27 01:00:00", 60, 120),
                ("2016-10-30 01:00:00", 120, 60),
                ("2021-03-28 01:00:00", 60, 120),
                ("2025-10-26 01:00:00", 120, 60),
            ],
        ),
        (
            NEW_YORK,
            [
                ("2016-03-13 07:00:00", -300, -240),
                ("2016-11-06 06:00:00", -240, -300),
                ("2020-03-08 07:00:00", -300, -240),
                ("2025-11-02 06:00:00", -240, -300),
            ],
        ),
        (
            SYDNEY,
            [
                ("2016-04-02 16:00:00", 660, 600),
                ("2016-10-01 16:00:00", 600, 660),
                ("2023-04-01 16:00:00", 660, 600),
                ("2025-10-04 16:00:00", 600, 660),
            ],
        ),
    ] {
        for (instant, before, after) in switches {
            let switch = at(&format!("{instant} UTC"));
            let minutes = |at: WallTime| zone(text).offset_at(at).as_minutes();
            assert_eq!((minutes(switch.moved(-1)), minutes(switch)), (before, after), "{text} {instant}");
        }
    }
    assert_eq!(shown(at("2016-01-01 UTC"), zone(SYDNEY)), "2016-01-01 11:00:00", "summer is over New Year");
    assert_eq!(shown(at("2016-07-01 UTC"), zone(SYDNEY)), "2016-07-01 10:00:00");
}

#[test]
fn a_time_that_is_left_out_is_the_instant_at_which_clocks_leap() {
    let leap = at("2016-03-27 01:00 UTC");
    let read = |text: &str| WallTime::parse_local(text, zone(BERLIN)).expect("a time");
    assert_eq!(read("2016-03-27 01:59:59"), leap.moved(-SECOND));
    for text in ["2016-03-27 02:00", "2016-03-27 02:30", "2016-03-27 02:59:59.999", "2016-03-27 03:00"] {
        assert_eq!(read(text), leap, "{text}");
    }
    assert_eq!(read("2016-03-27 03:00:01"), leap.moved(SECOND));
    assert_eq!(shown(leap.moved(-SECOND), zone(BERLIN)), "2016-03-27 01:59:59");
    assert_eq!(shown(leap, zone(BERLIN)), "2016-03-27 03:00:00");
}

#[test]
fn a_time_that_comes_twice_is_the_first_unless_a_name_says_which() {
    let read = |text: &str| WallTime::parse_local(text, zone(BERLIN));
    for (text, instant) in [
        ("2016-10-30 02:30", "2016-10-30 00:30 UTC"),
        ("2016-10-30 02:30 CEST", "2016-10-30 00:30 UTC"),
        ("2016-10-30 02:30 CET", "2016-10-30 01:30 UTC"),
        ("2016-10-30 03:00", "2016-10-30 02:00 UTC"),
        ("2016-10-30 01:59:59", "2016-10-29 23:59:59 UTC"),
    ] {
        assert_eq!(read(text), Ok(at(instant)), "{text}");
    }
    assert_eq!(shown(at("2016-10-30 00:30 UTC"), zone(BERLIN)), "2016-10-30 02:30:00 CEST");
    assert_eq!(shown(at("2016-10-30 01:30 UTC"), zone(BERLIN)), "2016-10-30 02:30:00 CET");
    assert_eq!(shown(at("2016-10-30 02:00 UTC"), zone(BERLIN)), "2016-10-30 03:00:00");
    let error = read("2016-07-01 12:00 CET").expect_err("it is summer");
    assert_eq!(error.allowed, "a time at which the clocks show CET");
    assert!(read("2016-07-01 12:00 EST").is_err());
}

#[test]
fn days_of_the_year_count_the_leap_day_only_without_a_j() {
    let first = |text: &str, year: i64| {
        let Clocks::Seasons(seasons) = zone(text).0 else { panic!("it has seasons") };
        let (_, month, day) = date_of(seasons.begins.day.in_year(year));
        (month, day)
    };
    for (rule, in_2015, in_2016) in [
        ("J59", (2, 28), (2, 28)),
        ("J60", (3, 1), (3, 1)),
        ("58", (2, 28), (2, 28)),
        ("59", (3, 1), (2, 29)),
        ("M2.5.1", (2, 23), (2, 29)),
        ("M2.4.0", (2, 22), (2, 28)),
    ] {
        let text = format!("AAA0BBB,{rule},M10.1.0");
        assert_eq!((first(&text, 2015), first(&text, 2016)), (in_2015, in_2016), "{rule}");
    }
}

#[test]
fn texts_of_posix_read_and_write_and_a_zone_without_summer_is_an_offset() {
    for text in [BERLIN, NEW_YORK, SYDNEY].into_iter().chain(ODD) {
        assert_eq!(zone(text).to_string(), text);
    }
    for (text, written) in [
        ("UTC", "UTC"),
        ("UTC+1", "UTC+1"),
        ("UTC0", "UTC"),
        ("CET-1", "UTC+1"),
        ("<+03>-3", "UTC+3"),
        ("<-0330>+03:30", "UTC-3:30"),
        ("CET-1CEST-2,M3.5.0/2,M10.5.0/3:00:00", BERLIN),
    ] {
        assert_eq!(zone(text).to_string(), written, "{text}");
    }
}

#[test]
fn what_is_no_zone_is_refused_with_what_would_be_one() {
    for (text, allowed) in [
        ("", "an offset from UTC such as"),
        ("Europe/Berlin", "names such as \"Europe/Berlin\" are not known"),
        ("CET", "an offset from UTC such as"),
        ("CE-1", "an offset from UTC such as"),
        ("UTC1", "\"UTC+1\" for what is an hour ahead"),
        ("UTC-1CEST,M3.5.0,M10.5.0", "\"UTC+1\" for what is an hour ahead"),
        ("CET-1CEST", "when daylight saving begins and ends"),
        ("CET-1CEST,M3.5.0", "when daylight saving begins and ends"),
        ("CET-1CEST,M3.6.0,M10.5.0", "days such as"),
        ("CET-1CEST,M3.5.7,M10.5.0", "days such as"),
        ("CET-1CEST,M13.5.0,M10.5.0", "days such as"),
        ("CET-1CEST,J366,M10.5.0", "days such as"),
        ("CET-1CEST,J0,M10.5.0", "days such as"),
        ("CET-1CEST,366,M10.5.0", "days such as"),
        ("CET-1CEST,M3.5.0/168,M10.5.0", "times of up to 167 hours"),
        ("CET-1CEST,M3.5.0/2:60,M10.5.0", "times of up to 167 hours"),
        ("CET-1CEST,M3.5.0,M10.5.0/3 ", ""),
        ("CET-1CEST,M3.5.0,M10.5.0/3,", "nothing behind the zone"),
        ("CET-1CET,M3.5.0,M10.5.0/3", "two names"),
        ("CET-25", "times of up to 24 hours"),
        ("CET-15", "offsets from UTC-12 to UTC+14"),
        ("LMT-0:53:28", "offsets of whole minutes"),
        ("<CET-1", "an offset from UTC such as"),
        ("CÉT-1", "an offset from UTC such as"),
    ] {
        match text.parse::<TimeZone>() {
            Ok(_) => assert_eq!(allowed, "", "{text}"),
            Err(error) => assert!(!allowed.is_empty() && error.allowed.contains(allowed), "{text}: {error}"),
        }
    }
    assert!(zone("CET-14").offset_at(WallTime::EPOCH).as_minutes() == OFFSET_MINUTES_MAX);
}

#[test]
fn a_day_on_which_clocks_are_set_has_23_or_25_hours() {
    for (date, hours) in [("2016-03-26", 24), ("2016-03-27", 23), ("2016-10-30", 25), ("2016-10-31", 24)] {
        let zone = zone(BERLIN);
        let day = zone.civil(WallTime::parse_local(date, zone).expect("a date")).day;
        let (begin, end) = zone.span_of(day, 0, DAY);
        assert_eq!(end.since(begin), crate::time::Span::from_hours(hours), "{date}");
    }
}

fn zones() -> impl Strategy<Value = TimeZone> {
    let known: Vec<&str> = [BERLIN, NEW_YORK, SYDNEY].into_iter().chain(ODD).collect();
    proptest::sample::select(known).prop_map(zone)
}

/// From 1971 to 2200.
const NANOS: core::ops::Range<i64> = 31_536_000 * SECOND..7_258_118_400 * SECOND;

/// Anything, and much that is nearly a zone.
const NEARLY_ZONES: &str = "\\PC{0,40}|[A-C<>+-]{3,6}[-+:0-9]{1,4}[A-C]{0,4}(,[MJ0-9./-]{1,9}){0,2}";

proptest! {
    #[test]
    fn what_clocks_show_at_an_instant_they_show_at_that_instant(zone in zones(), nanos in NANOS) {
        let at = WallTime(nanos);
        let civil = zone.civil(at);
        let found = match zone.instants(civil.day, civil.nanos) {
            Instants::One(one) => one == at,
            Instants::Two(first, second) => first < second && (first == at || second == at),
            Instants::Missing(_) => false,
        };
        prop_assert!(found, "{} in {zone}", at);
    }

    #[test]
    fn whatever_clocks_may_show_lies_where_they_show_it(zone in zones(), local in NANOS) {
        let (day, nanos) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let shows = |at: WallTime| {
            let civil = zone.civil(at);
            civil.day * DAY + civil.nanos
        };
        match zone.instants(day, nanos) {
            Instants::One(at) => prop_assert_eq!(shows(at), local),
            Instants::Two(first, second) => prop_assert_eq!((shows(first), shows(second)), (local, local)),
            Instants::Missing(leap) => {
                prop_assert!(shows(leap) > local && shows(leap.moved(-1)) < local, "{} in {zone}", leap);
            }
        }
    }

    #[test]
    fn what_is_shown_of_an_instant_is_read_again(zone in zones(), nanos in NANOS) {
        let at = WallTime(nanos - nanos % 1_000_000);
        prop_assert_eq!(WallTime::parse_local(&shown(at, zone), zone), Ok(at));
    }

    #[test]
    fn no_text_panics_and_what_is_read_is_written_as_what_reads_the_same(text in NEARLY_ZONES) {
        if let Ok(zone) = text.parse::<TimeZone>() {
            prop_assert_eq!(zone.to_string().parse(), Ok(zone));
        }
    }

    #[test]
    fn the_longest_span_of_a_day_is_no_surprise(zone in zones(), day in 400..80_000_i64, from in 0..DAY, to in 0..DAY) {
        let (begin, end) = zone.span_of(day, from, to);
        prop_assert!(begin < end && end.since(begin) <= crate::time::Span::from_hours(26));
    }
}

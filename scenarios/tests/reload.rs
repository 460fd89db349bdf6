//! Site files that are read again while their controllers run: what changes, and what is refused with its place.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Document, Memory, RealSite, load_again};

const PAIR: &str = include_str!("../sites/commerce_pair_loopback.ron");

fn again(text: &str) -> Result<Option<RealSite<BuiltIn>>, String> {
    let files = Memory::new().with("site.ron", text);
    let loaded = load_again::<BuiltIn>(&files, "site.ron", &Document::new("site.ron", PAIR));
    loaded.map_err(|report| report.to_string())
}

fn changed(old: &str, new: &str) -> Result<Option<RealSite<BuiltIn>>, String> {
    assert!(PAIR.contains(old), "the site says {old}");
    again(&PAIR.replacen(old, new, 1))
}

#[test]
fn what_functions_are_told_and_how_logs_are_kept_may_change() {
    for (old, new) in [
        (r#"limit: "220 kW""#, r#"limit: "210 kW""#),
        (r#", reserve: "80 %""#, ""),
        (r#"floor: "15 %""#, r#"floor: "15 %", release: "20 %""#),
        ("    grids: {", "    persistence: (rotate: \"1 MB\"),\n    grids: {"),
    ] {
        let site = changed(old, new).unwrap_or_else(|said| panic!("{new}: {said}"));
        assert!(site.is_some_and(|site| site.document.text().contains(new)), "{new}");
    }
}

#[test]
fn comments_and_blanks_change_nothing() {
    assert!(again(PAIR).is_ok_and(|site| site.is_none()));
    let respelled = changed("    grids: {", "  // The one of the shop.\n  grids:   {");
    assert!(respelled.is_ok_and(|site| site.is_none()));
}

#[test]
fn all_else_is_refused_where_it_stands_with_what_is_in_effect() {
    for (old, new, said) in [
        ("scan: \"100 ms\"", "scan: \"50 ms\"", "\"100 ms\" is in effect, got \"50 ms\""),
        ("lease: \"100 ms\"", "lease: \"120 ms\"", "\"100 ms\" is in effect, got \"120 ms\""),
        ("127.0.0.1:7402", "127.0.0.1:7404", "\"127.0.0.1:7402\" is in effect, got \"127.0.0.1:7404\""),
        ("rating: \"250 kW\"", "rating: \"250 kW\", at_stop: \"0 W\"", "`at_stop` is not in effect"),
        ("time_zone: \"UTC+1\",", "", "`time_zone` is missing, of which \"UTC+1\" is in effect"),
        (
            "PeakShaving(meter: \"pcc\", battery: \"bess\"",
            "PeakShaving(meter: \"pcc\", battery: \"batteries\"",
            "\"bess\" is in effect, got \"batteries\"",
        ),
        (
            "SocFloor(battery: \"bess\", floor: \"15 %\", force_charge_below: \"10 %\"),",
            "",
            "is in effect, got",
        ),
    ] {
        let refused = changed(old, new).expect_err(new);
        assert!(refused.contains(said) && refused.contains("site.ron:"), "{new}: {refused}");
        assert!(refused.contains("while it runs `persistence` may change"), "{new}: {refused}");
    }
    let (first, second) = ("\"a\": (host: \"a\", order: 0)", "\"b\": (host: \"b\", order: 1)");
    let swapped = format!("{second}, {first}");
    let refused = changed(&format!("{first}, {second}"), &swapped).expect_err("ids follow the order");
    assert!(refused.contains("they stand in the order a, b in effect"), "{refused}");
}

#[test]
fn a_file_that_is_wrong_is_refused_as_at_the_start() {
    let refused = changed("limit: \"220 kW\"", "limit: \"220 kV\"").expect_err("that is no power");
    assert!(refused.contains("site.ron:"), "{refused}");
}

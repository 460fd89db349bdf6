//! No text, however hostile, panics or hangs: each is refused in words.

use proptest::prelude::*;
use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::files::{MAX_PROFILE_BYTES, MAX_SCENARIO_BYTES};
use r_ems_scenarios::mistake::MAX_MISTAKES;
use r_ems_scenarios::{Disk, Files, Memory, Overrides, Report, check, load};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

fn report_of(text: impl Into<Vec<u8>>) -> Report {
    let files = Memory::new().with("x.ron", text).with("short.csv", PROFILE);
    check::<BuiltIn>(&files, "x.ron")
}

fn report_of_profile(csv: impl Into<Vec<u8>>) -> Report {
    let files = Memory::new().with("x.ron", GOOD).with("short.csv", csv);
    check::<BuiltIn>(&files, "x.ron")
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("(", ")"), ("[", "]"), ("{\"a\":", "}"), ("Sum([", "])"), ("/*", "*/")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(report_of(deep).has_errors(), "{open}");
        assert!(report_of(open.repeat(100_000)).has_errors(), "{open}");
    }
}

#[test]
fn a_source_nested_in_sources_is_refused_beyond_its_depth() {
    for (depth, is_right) in [(16, true), (17, false)] {
        let source = format!("{}Constant(0.1){}", "Sum([".repeat(depth), "])".repeat(depth));
        let text = GOOD.replace("profile: (\"short\", \"load_pu\")", &format!("source: {source}"));
        assert_eq!(!report_of(text).has_errors(), is_right, "{depth} deep");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for number in ["NaN", "inf", "-inf", "1e400", "999999999999999999999999999999999999999999", "-1", "\"\""]
    {
        assert!(report_of(GOOD.replace("\"50 %\"", number)).has_errors(), "{number}");
    }
}

#[test]
fn empty_files_and_files_of_something_else_are_refused() {
    let none: &[&[u8]] =
        &[b"", b" ", b"\xEF\xBB\xBF", b"\0\0\0", b"\xFF\xFE", b"{}", b"()", b"Scenario", b"Site()", b"// x"];
    for text in none {
        assert!(report_of(*text).has_errors(), "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_change_nothing() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(report_of(text), Report::default());
    let csv = format!("\u{feff}{}", PROFILE.replace('\n', "\r\n"));
    assert_eq!(report_of_profile(csv), Report::default());
}

#[test]
fn files_above_their_limit_are_refused_before_they_are_read() {
    let filled = |bytes: u64| GOOD.to_string() + &" ".repeat(bytes as usize - GOOD.len());
    assert_eq!(report_of(filled(MAX_SCENARIO_BYTES)), Report::default());
    assert!(report_of(filled(MAX_SCENARIO_BYTES + 1)).has_errors());
    // As sparse as a file can be: a gigabyte that takes no space.
    let path = format!("{}/huge.csv", env!("CARGO_TARGET_TMPDIR"));
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(Disk.read(&path, MAX_PROFILE_BYTES).unwrap_err().contains("at most"));
}

#[test]
fn what_is_no_file_is_refused() {
    for path in [env!("CARGO_MANIFEST_DIR"), "no/such/file.ron", "", "/dev/zero"] {
        assert!(check::<BuiltIn>(&Disk, path).has_errors(), "{path}");
    }
}

#[test]
fn profiles_that_are_none_are_refused() {
    let wide = format!("time_s,load_pu{}\n", ",x".repeat(300));
    let bad = [
        "",
        "\n",
        "time_s,load_pu\n",
        "time_s,load_pu\n0\n",
        "time_s,load_pu\n0,NaN\n",
        "time_s,load_pu\n0,1e999\n",
        "time_s,load_pu\n-1,0\n900,0\n",
        "time_s,load_pu\n900,0\n0,0\n",
        "time_s,load_pu\n0,0\n0,0\n",
        "time_s,load_pu\n99999999999999999999,0\n",
        "time_s,load_pu\n0,\"1,\n",
        &wide,
    ];
    for csv in bad {
        assert!(report_of_profile(csv).has_errors(), "{csv:?}");
    }
    assert!(report_of_profile(b"\xFF\xFE\0\x01".as_slice()).has_errors());
}

#[test]
fn profiles_with_a_mistake_in_every_cell_are_refused_in_no_time_worth_speaking_of() {
    let filled = |row: &str| {
        let head = "time_s,load_pu\n";
        head.to_string() + &row.repeat((MAX_PROFILE_BYTES as usize / 8 - head.len()) / row.len())
    };
    // Commas and quotation marks without end, rows of every length, and what is no number.
    for row in [",", "\"\n\",", "\"", "a\"b,", "x,x\n", "0,0\n", "0\n", "\n", ",\n", "\"\"\""] {
        let report = report_of_profile(filled(row));
        assert!(report.has_errors() && report.mistakes.len() < 50, "{row:?}: {}", report.mistakes.len());
    }
}

#[test]
fn all_profiles_together_have_a_limit() {
    let csv = |number: usize| {
        format!(
            "\"p{number}\": Csv(file: \"big.csv\", time: \"time_s\", epoch: \"2016-03-07\", interpolation: Step),"
        )
    };
    let with = |count: usize| {
        let entries: String = (0..count).map(csv).collect();
        let text = GOOD.replace("profiles: {", &format!("profiles: {{ {entries}"));
        let big = format!(
            "time_s,load_pu\n0,0\n900,0\n1800,\"{}\"\n",
            " ".repeat(MAX_PROFILE_BYTES as usize - 100)
        );
        let files = Memory::new().with("x.ron", text).with("short.csv", PROFILE).with("big.csv", big);
        check::<BuiltIn>(&files, "x.ron").to_string()
    };
    assert!(!with(3).contains("together"));
    assert!(with(5).contains("all profiles may have 268435456 bytes together"));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let path = format!("{}/pipe.ron", env!("CARGO_TARGET_TMPDIR"));
    let _old = std::fs::remove_file(&path);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is there on every unix");
    let report = check::<BuiltIn>(&Disk, &path);
    assert!(report.to_string().contains("it is no regular file"), "{report}");
    let named = GOOD.replace("short.csv", &path);
    let scenario = format!("{}/names_a_pipe.ron", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&scenario, named).expect("a folder of this test");
    assert!(check::<BuiltIn>(&Disk, &scenario).to_string().contains("it is no regular file"));
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted_and_not_kept() {
    let many = (0..5_000).map(|number| format!("f{number}: 1, ")).collect::<String>();
    let report = report_of(GOOD.replace("    version: 1,", &format!("    version: 1, {many}")));
    assert!(report.mistakes.len() <= MAX_MISTAKES + 1);
    assert!(report.to_string().len() < 1 << 20);
}

#[test]
fn a_hundred_thousand_names_are_read_in_no_time_worth_speaking_of() {
    let keys = (0..80_000).map(|number| format!("\"k{number}\":1,")).collect::<String>();
    assert!(report_of(GOOD.replace("\"load\": Load", &format!("{keys} \"load\": Load"))).has_errors());
    let fields = (0..80_000).map(|number| format!("f{number}:1,")).collect::<String>();
    assert!(report_of(GOOD.replace("capacity: ", &format!("{fields} capacity: "))).has_errors());
    let items = "At(1,1),".repeat(9_999);
    assert!(
        report_of(GOOD.replace("    expect", &format!("    timeline: [{items}],\n    expect"))).has_errors()
    );
}

#[test]
fn a_hundred_thousand_names_are_merged_in_no_time_worth_speaking_of() {
    let keys = (0..60_000).map(|number| format!("\"k{number}\":1,")).collect::<String>();
    let base = format!("Scenario(links: {{{keys}}}, timeline: [{}])", "1,".repeat(60_000));
    let own = format!("Scenario(version: 1, use: [\"base.ron\"], links: {{{keys}}})");
    let files = Memory::new().with("x.ron", own.replace('k', "kk")).with("base.ron", base);
    assert!(check::<BuiltIn>(&files, "x.ron").has_errors());
}

#[test]
fn hostile_settings_are_refused() {
    let files = Memory::new().with("x.ron", GOOD).with("short.csv", PROFILE);
    for setting in [
        "",
        "=",
        "a=",
        ".=1",
        "plant.g.bess[0]=1",
        "expect[9]=1",
        "plant..=1",
        "seed=)",
        "seed=1,seed:2",
        "name[=",
    ] {
        let overrides = Overrides { settings: vec![setting.into()], ..Overrides::default() };
        assert!(load::<BuiltIn>(&files, "x.ron", &overrides).is_err(), "{setting}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..8),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (place, byte, kind) in edits {
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        // What it says may be anything; that it can be shown is part of it.
        let _shown = report_of(bytes).to_string();
    }

    #[test]
    fn changed_bytes_of_a_used_file_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (place, byte) in edits {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        // The own file has the good one's beginning and what remains of it, so that most names stand in both.
        let own = GOOD.replacen("    name", "    use: [\"base.ron\"],\n    name", 1);
        let own = &own[..own.floor_char_boundary(own.len() - cut.index(10))];
        let files = Memory::new().with("x.ron", own).with("base.ron", bytes).with("short.csv", PROFILE);
        let settings = vec!["plant.g.bess.soc=400 %".into()];
        let overrides = Overrides { settings, ..Overrides::default() };
        let _shown = load::<BuiltIn>(&files, "x.ron", &overrides).err().map(|report| report.to_string());
    }

    #[test]
    fn swapped_words_never_panic(
        pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let mut words: Vec<&str> = GOOD.split_inclusive([' ', '(', ')', ',', '"', ':', '{', '}']).collect();
        for (one, other) in pairs {
            let (one, other) = (one.index(words.len()), other.index(words.len()));
            words.swap(one, other);
        }
        let _shown = report_of(words.concat()).to_string();
    }
}

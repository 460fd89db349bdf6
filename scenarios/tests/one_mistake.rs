//! One mistake in a component of a plant is told, and the fields beside it are not told as unknown.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Memory, check};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// A name, a kind, and its fields with their values.
type Part = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Every field that a component of each kind may have, with a value that is right.
const WHOLE: [Part; 7] = [
    (
        "pcc",
        "GridConnection",
        &[
            ("import_max", "\"400 kW\""),
            ("short_circuit", "\"4 MVA\""),
            ("r_to_x", "1.0"),
            ("voltage", "Constant(1.0)"),
            ("frequency", "Constant(50.0)"),
            ("nominal", "\"50 Hz\""),
            ("synchro_check", "SynchroCheck(time_out: \"2 min\")"),
        ],
    ),
    (
        "load",
        "Load",
        &[
            ("rating", "\"400 kW\""),
            ("source", "Constant(\"100 kW\")"),
            ("power_factor", "0.95"),
            ("shed_at", "(\"49.0 Hz\", \"100 ms\")"),
            ("section", "\"starboard\""),
        ],
    ),
    (
        "sun",
        "Pv",
        &[
            ("rating", "\"100 kW\""),
            ("source", "Constant(\"50 kW\")"),
            ("ac_max", "\"90 kW\""),
            ("lag", "\"1 s\""),
            ("release", "\"10 kW/s\""),
            ("apparent", "\"120 kVA\""),
            ("section", "\"starboard\""),
        ],
    ),
    (
        "bess",
        "Battery",
        &[
            ("capacity", "\"500 kWh\""),
            ("rating", "\"250 kW\""),
            ("soc", "\"50 %\""),
            ("dead_time", "\"50 ms\""),
            ("lag", "\"100 ms\""),
            ("standby_loss", "\"0.5 %\""),
            ("proportional_loss", "\"2 %\""),
            ("quadratic_loss", "\"5 %\""),
            ("taper", "\"5 %\""),
            ("soc_bias", "\"0 %\""),
            ("soc_step", "\"1 %\""),
            ("start_delay", "\"1 s\""),
            ("reversion", "\"60 s\""),
            ("fallback", "\"0 W\""),
            ("apparent", "\"300 kVA\""),
            ("forms", "true"),
            ("droop", "\"1 %\""),
            ("filter", "\"10 ms\""),
            ("voltage_droop", "\"5 %\""),
            ("overload", "\"120 %\""),
            ("overload_time", "\"10 s\""),
            ("section", "\"main\""),
        ],
    ),
    (
        "gen",
        "Genset",
        &[
            ("rating", "\"200 kW\""),
            ("set_point", "\"0 W\""),
            ("ramp", "\"20 kW/s\""),
            ("inertia", "\"700 ms\""),
            ("damping", "1.0"),
            ("droop", "\"5 %\""),
            ("voltage_droop", "\"5 %\""),
            ("crank", "\"5 s\""),
            ("attempts", "3"),
            ("fails_first", "0"),
            ("fails", "(0, 1)"),
            ("warm_up", "\"30 s\""),
            ("synchronizing", "\"5 s\""),
            ("cool_down", "\"3 min\""),
            ("overload", "\"100 %\""),
            ("overload_time", "\"10 s\""),
            ("reverse", "\"8 %\""),
            ("reverse_time", "\"5 s\""),
            ("idle_l_per_h", "16.0"),
            ("l_per_kwh", "0.246"),
            ("governor", "(gain: 0.8)"),
            ("section", "\"starboard\""),
        ],
    ),
    ("receiver", "Signal", &[("source", "Constant(1.0)")]),
    (
        "tie",
        "BusTie",
        &[
            ("section", "\"starboard\""),
            ("to", "\"main\""),
            ("synchro_check", "SynchroCheck(time_out: \"2 min\")"),
        ],
    ),
];

/// What is told of the good scenario with all components, one field of one of them as `changed` says.
fn told(component: usize, changed: impl Fn(usize, &str, &str) -> Option<String>) -> String {
    let (head, rest) = GOOD.split_once("    plant: {").expect("the good scenario has a plant");
    assert!(rest.contains("expect:"));
    let one = |(place, (name, kind, fields)): (usize, &Part)| {
        let as_it_is = |field: &str, value: &str| Some(format!("{field}: {value}"));
        let field = |(number, (field, value)): (usize, &(&str, &str))| {
            if place == component { changed(number, field, value) } else { as_it_is(field, value) }
        };
        let fields: Vec<String> = fields.iter().enumerate().filter_map(field).collect();
        format!("\"{name}\": {kind}({})", fields.join(", "))
    };
    let parts: Vec<String> = WHOLE.iter().enumerate().map(one).collect();
    let text = format!("{head}    plant: {{ \"g\": {{ {} }} }},\n)", parts.join(",\n"));
    let files = Memory::new().with("x.ron", text).with("short.csv", PROFILE);
    check::<BuiltIn>(&files, "x.ron").to_string()
}

#[test]
fn all_fields_of_all_components_are_known() {
    let told = told(0, |_number, field, value| Some(format!("{field}: {value}")));
    assert!(!told.contains("unknown field") && !told.contains("expected"), "{told}");
}

#[test]
fn a_field_that_cannot_be_read_makes_no_other_field_unknown() {
    for (component, (name, kind, fields)) in WHOLE.iter().enumerate() {
        for (wrong, (field, _)) in fields.iter().enumerate() {
            let spoiled = |number: usize, field: &str, value: &str| {
                let value = if number == wrong { "Nonsense(-1.5)" } else { value };
                Some(format!("{field}: {value}"))
            };
            let told = told(component, spoiled);
            assert!(!told.contains("unknown field"), "{kind}.{field}: {told}");
            assert!(told.contains(&format!("plant.g.{name}.{field}")), "{kind}.{field}: {told}");
        }
    }
}

#[test]
fn a_field_that_is_missing_or_refused_makes_no_other_field_unknown() {
    for (component, (_, kind, fields)) in WHOLE.iter().enumerate() {
        for (wrong, (field, value)) in fields.iter().enumerate() {
            let without = |number: usize, field: &str, value: &str| {
                (number != wrong).then(|| format!("{field}: {value}"))
            };
            // A battery that does not form has no fields of one that does.
            if *field != "forms" {
                let told = told(component, without);
                assert!(!told.contains("unknown field"), "without {kind}.{field}: {told}");
            }
            // A quantity of the right kind that is not allowed.
            let Some((number, unit)) = value.trim_matches('"').split_once(' ') else { continue };
            if number.parse::<f64>().is_err() {
                continue;
            }
            let refused = |number: usize, field: &str, value: &str| {
                let value = if number == wrong { format!("\"-7 {unit}\"") } else { value.to_owned() };
                Some(format!("{field}: {value}"))
            };
            let told = told(component, refused);
            assert!(!told.contains("unknown field"), "{kind}.{field} of -7 {unit}: {told}");
        }
    }
}

#[test]
fn a_field_that_is_unknown_is_told_beside_another_mistake() {
    let told = told(0, |number, field, value| {
        Some(if number == 0 {
            "import_max: \"0 kW\", shortcircuit: \"4 MVA\"".to_owned()
        } else {
            format!("{field}: {value}")
        })
    });
    assert_eq!(told.matches("unknown field").count(), 1, "{told}");
    assert!(told.contains("unknown field `shortcircuit`; did you mean `short_circuit`?"), "{told}");
    assert!(told.contains("must be above 0 W"), "{told}");
}

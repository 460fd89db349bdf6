//! Rules for manifests: who may depend on whom, and why.
//!
//! The layers are the architecture. The engine decides and knows nobody; the simulated world, the languages and the
//! recorder know the engine; the programs know everything. A dependency that crosses a layer is found here before it
//! is used. A new package is a decision, so it enters the list below in the commit that makes it.

use toml::{Table, Value};

/// How many libraries of others a package may use in what it ships. Tests may use more: they decide nothing.
enum Foreign {
    /// Each of these and nothing else: a library that is gone from the manifest goes from the list too.
    Exactly(&'static [&'static str]),
    /// Any of these.
    Within(&'static [&'static str]),
    /// Whatever deny.toml lets in: nothing here decides.
    Anything,
}

/// A package of the workspace and what it may depend on.
pub(crate) struct Package {
    /// Its manifest, from the repository's root.
    pub(crate) manifest: &'static str,
    /// Packages of this workspace that it may name, in tests too.
    ours: &'static [&'static str],
    /// Libraries of others.
    foreign: Foreign,
}

/// Our packages. None depends on the root package, and the engine on none.
pub(crate) const PACKAGES: [Package; 8] = [
    Package {
        manifest: "Cargo.toml",
        ours: &["r-ems-engine", "r-ems-sim", "r-ems-site", "r-ems-scenarios", "r-ems-replay"],
        foreign: Foreign::Anything,
    },
    Package {
        manifest: "engine/Cargo.toml",
        ours: &[],
        foreign: Foreign::Exactly(&[
            "bincode",
            "blake3",
            "crc32fast",
            "libm",
            "rand_chacha",
            "rand_core",
            "serde",
        ]),
    },
    Package { manifest: "drivers/sim/Cargo.toml", ours: &["r-ems-engine"], foreign: Foreign::Exactly(&[]) },
    Package {
        manifest: "drivers/site/Cargo.toml",
        ours: &["r-ems-engine"],
        foreign: Foreign::Exactly(&["blake3", "rustix", "thread-priority"]),
    },
    Package {
        manifest: "scenarios/Cargo.toml",
        ours: &["r-ems-engine", "r-ems-sim"],
        foreign: Foreign::Within(&["annotate-snippets", "csv", "ron", "serde", "serde_path_to_error"]),
    },
    Package { manifest: "replay/Cargo.toml", ours: &["r-ems-engine"], foreign: Foreign::Within(&["serde"]) },
    Package {
        manifest: "tests/golden/Cargo.toml",
        ours: &["r-ems-engine", "r-ems-sim", "r-ems-scenarios", "r-ems-replay"],
        foreign: Foreign::Exactly(&[]),
    },
    Package { manifest: "benches/peers/Cargo.toml", ours: &["r-ems-engine"], foreign: Foreign::Anything },
];

/// What a dependency is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Shipped,
    Test,
    Build,
}

/// The tables of a manifest that name dependencies; each may also stand below a `target`.
const TABLES: [(&str, Purpose); 3] = [
    ("dependencies", Purpose::Shipped),
    ("dev-dependencies", Purpose::Test),
    ("build-dependencies", Purpose::Build),
];

/// Lists what is wrong with a manifest.
pub(crate) fn problems(path: &str, text: &str) -> Vec<String> {
    let manifest: Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{path}: this is not TOML: {error}")],
    };
    let mut problems = comment_problems(path, text);
    let takes_workspace_lints =
        manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
    if takes_workspace_lints != Some(true) {
        problems.push(format!("{path}: take the workspace's lints: `[lints]`, `workspace = true`"));
    }
    if manifest.get("package").is_some_and(|package| package.get("build").is_some()) {
        problems.push(format!("{path}: must not name a build script"));
    }
    match PACKAGES.iter().find(|package| package.manifest == path) {
        Some(package) => problems.extend(dependency_problems(package, &manifest)),
        None => problems.push(format!("{path}: say in tests/tidy/manifests.rs what it may depend on")),
    }
    problems
}

/// Lists dependencies that cross a layer.
fn dependency_problems(package: &Package, manifest: &Table) -> Vec<String> {
    let path = package.manifest;
    let mut problems = Vec::new();
    let mut shipped = Vec::new();
    for (name, purpose) in dependencies(manifest) {
        if name.starts_with("r-ems") {
            if !package.ours.contains(&name.as_str()) {
                problems.push(format!("{path}: must not depend on {name}: it is not a layer below"));
            }
            continue;
        }
        match purpose {
            Purpose::Shipped => shipped.push(name),
            Purpose::Test => {}
            Purpose::Build => problems.push(format!("{path}: must not run {name} at build time")),
        }
    }
    let (allowed, required): (&[&str], &[&str]) = match package.foreign {
        Foreign::Exactly(list) => (list, list),
        Foreign::Within(list) => (list, &[]),
        Foreign::Anything => return problems,
    };
    for name in shipped.iter().filter(|name| !allowed.contains(&name.as_str())) {
        problems.push(format!("{path}: must not depend on {name}: allowed are {allowed:?}"));
    }
    for name in required.iter().filter(|name| !shipped.iter().any(|found| found == *name)) {
        problems
            .push(format!("{path}: no longer depends on {name}: take it from the list of what it may use"));
    }
    problems
}

/// The true names of what a manifest depends on, whatever it calls them and for whatever target.
fn dependencies(manifest: &Table) -> Vec<(String, Purpose)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let below_targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut found = Vec::new();
    for scope in [manifest].into_iter().chain(below_targets) {
        for (table, purpose) in TABLES {
            for (name, value) in scope.get(table).and_then(Value::as_table).into_iter().flatten() {
                let renamed = value.get("package").and_then(Value::as_str);
                found.push((renamed.unwrap_or(name).to_owned(), purpose));
            }
        }
    }
    found
}

/// Lists dependencies without a comment that says why.
///
/// Ours need none, nor do those whose reason stands at the workspace's line. Lines of one family (`clap`,
/// `clap_complete`) share the comment above the first.
fn comment_problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut in_dependencies = false;
    // The family that the last comment is about: none after a comment until a line follows.
    let mut explained: Option<Option<&str>> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.starts_with('[') {
            let header = line.trim_matches(['[', ']']);
            in_dependencies = header.ends_with("dependencies");
            explained = None;
            if header.contains("dependencies.") {
                problems
                    .push(format!("{path}:{number}: write a dependency in one line, with its reason above"));
            }
        } else if line.starts_with('#') {
            explained = Some(None);
        } else if line.trim().is_empty() {
            explained = None;
        } else if in_dependencies && line.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            if line.contains("path = ") || line.contains("workspace = true") {
                continue;
            }
            let family = line.split(|end: char| !end.is_ascii_alphanumeric()).next();
            let has_reason = match explained {
                Some(None) => true,
                Some(earlier) => earlier == family,
                None => false,
            };
            if !has_reason {
                problems.push(format!("{path}:{number}: say in a comment above why it is needed: {line}"));
            }
            explained = Some(family);
        }
    }
    problems
}

/// What every manifest below ends with.
const LINTS: &str = "[lints]\nworkspace = true\n";

/// Asserts that a manifest has exactly the given problem, or none.
#[track_caller]
fn assert_problem(path: &str, text: &str, expected: Option<&str>) {
    let found = problems(path, &format!("{text}\n{LINTS}"));
    assert_eq!(found.len(), expected.iter().len(), "{found:?}");
    if let Some(beginning) = expected {
        assert!(found[0].starts_with(beginning), "{found:?}");
    }
}

/// The engine's dependencies, all of them from the workspace.
fn engine_dependencies(left_out: &str) -> String {
    let names = ["bincode", "blake3", "crc32fast", "libm", "rand_chacha", "rand_core", "serde"];
    let lines =
        names.iter().filter(|name| **name != left_out).map(|name| format!("{name}.workspace = true\n"));
    format!("[dependencies]\n{}", lines.collect::<String>())
}

#[test]
fn the_engine_has_its_libraries_and_no_other() {
    let path = "engine/Cargo.toml";
    assert_problem(path, &engine_dependencies(""), None);
    let one_more = engine_dependencies("") + "rand.workspace = true\n";
    assert_problem(path, &one_more, Some("engine/Cargo.toml: must not depend on rand:"));
    assert_problem(path, &engine_dependencies("libm"), Some("engine/Cargo.toml: no longer depends on libm"));
}

#[test]
fn tests_may_use_other_libraries() {
    let text = engine_dependencies("") + "[dev-dependencies]\nproptest.workspace = true\n";
    assert_problem("engine/Cargo.toml", &text, None);
}

#[test]
fn nothing_depends_on_a_layer_above_not_even_in_a_test() {
    for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
    {
        let text = format!("[{table}]\nr-ems-scenarios.workspace = true\n");
        assert_problem(
            "replay/Cargo.toml",
            &text,
            Some("replay/Cargo.toml: must not depend on r-ems-scenarios"),
        );
    }
}

#[test]
fn nothing_depends_on_the_root_package() {
    for package in &PACKAGES {
        assert!(!package.ours.contains(&"r-ems"), "{}", package.manifest);
    }
    let text = "[dev-dependencies]\nr-ems = { path = \"..\" }\n";
    assert_problem("scenarios/Cargo.toml", text, Some("scenarios/Cargo.toml: must not depend on r-ems:"));
}

#[test]
fn a_dependency_under_another_name_is_found() {
    let text = "[dependencies]\nmap = { package = \"hashbrown\", workspace = true }\n";
    assert_problem(
        "drivers/sim/Cargo.toml",
        text,
        Some("drivers/sim/Cargo.toml: must not depend on hashbrown"),
    );
}

#[test]
fn a_dependency_of_one_target_only_is_found() {
    let text = "[target.'cfg(unix)'.dependencies]\nlibc.workspace = true\n";
    assert_problem("drivers/sim/Cargo.toml", text, Some("drivers/sim/Cargo.toml: must not depend on libc"));
}

#[test]
fn a_package_that_parses_may_use_some_of_its_libraries() {
    assert_problem("scenarios/Cargo.toml", "[dependencies]\nron.workspace = true\n", None);
    let text = "[dependencies]\nserde_yaml.workspace = true\n";
    assert_problem("scenarios/Cargo.toml", text, Some("scenarios/Cargo.toml: must not depend on serde_yaml"));
}

#[test]
fn nothing_of_others_runs_at_build_time() {
    let text = "[build-dependencies]\n# Compiles C.\ncc = \"1\"\n";
    assert_problem("drivers/sim/Cargo.toml", text, Some("drivers/sim/Cargo.toml: must not run cc"));
    let text = "[package]\nname = \"a\"\nbuild = \"make.rs\"\n";
    assert_problem("scenarios/Cargo.toml", text, Some("scenarios/Cargo.toml: must not name a build script"));
}

#[test]
fn a_package_that_no_rule_knows_is_found() {
    assert_problem("drivers/new/Cargo.toml", "", Some("drivers/new/Cargo.toml: say in tests/tidy"));
}

#[test]
fn a_package_with_lints_of_its_own_is_found() {
    for lints in ["", "[lints]\nworkspace = false\n", "[lints.rust]\nunsafe_code = \"allow\"\n"] {
        let found = problems("replay/Cargo.toml", lints);
        assert_eq!(found, ["replay/Cargo.toml: take the workspace's lints: `[lints]`, `workspace = true`"]);
    }
}

#[test]
fn what_is_not_toml_is_found() {
    assert_eq!(problems("replay/Cargo.toml", "[lints\n").len(), 1);
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    for table in ["dependencies", "dev-dependencies", "workspace.dependencies"] {
        let alone = format!("[{table}]\ncsv = \"1\"\n");
        assert_eq!(comment_problems("a", &alone).len(), 1, "{alone}");
        let explained = format!("[{table}]\n# Profiles are tables.\ncsv = \"1\"\n");
        assert_eq!(comment_problems("a", &explained), Vec::<String>::new());
    }
}

#[test]
fn only_a_family_shares_a_reason() {
    let family = "[dependencies]\n# Arguments.\nclap = \"4\"\nclap_complete = \"4\"\nclap-mangen = \"0.3\"\n";
    assert_eq!(comment_problems("a", family), Vec::<String>::new());
    let stranger = "[dependencies]\n# Arguments.\nclap = \"4\"\ncsv = \"1\"\n";
    assert_eq!(comment_problems("a", stranger).len(), 1);
    let apart = "[dependencies]\n# Arguments.\n\nclap = \"4\"\n";
    assert_eq!(comment_problems("a", apart).len(), 1);
}

#[test]
fn a_dependency_with_a_table_of_its_own_is_found() {
    assert_eq!(comment_problems("a", "# Tables.\n[dependencies.csv]\nversion = \"1\"\n").len(), 1);
}

#[test]
fn what_is_no_dependency_needs_no_reason() {
    let text = "[package]\nname = \"a\"\n[features]\na = []\n";
    assert_eq!(comment_problems("a", text), Vec::<String>::new());
}

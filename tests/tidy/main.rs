//! Keeps what a compiler cannot keep: who depends on whom, which file names which library, how long a file may be.
//!
//! A rule is a function from the text of a file to the problems in it, so that each one is also tried on text that
//! breaks it: a check that cannot fail checks nothing. The rules for sources are in `source`, those for manifests in
//! `manifests`; this file only walks the repository. The length of a function is left to clippy, see clippy.toml.
//!
//! The walk reads the working tree and not git, because an unpacked archive of the sources is to be checked too.

mod manifests;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// What is read as text; other files, such as recorded data, are not ours to format.
const TEXT_EXTENSIONS: [&str; 6] = ["md", "mjs", "ron", "rs", "sh", "toml"];

/// A file of the repository: its path from the root, with `/` on every platform, and its content.
struct Text {
    path: String,
    content: String,
}

/// Holds if a folder of this name belongs to the project: build output and hidden folders other than CI's do not.
fn is_ours(folder: &str) -> bool {
    folder == ".ci" || !(folder.starts_with('.') || folder.starts_with("target"))
}

/// Holds if a file is one of those whose text is checked.
fn is_text(path: &Path) -> bool {
    let is_script = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == ".ci");
    let extension = path.extension().and_then(|extension| extension.to_str());
    is_script || extension.is_some_and(|extension| TEXT_EXTENSIONS.contains(&extension))
}

/// Adds the text files below `folder` to `found`, in the order of their names.
fn collect(root: &Path, folder: &Path, found: &mut Vec<Text>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of the repository can be listed")
        .map(|entry| entry.expect("an entry of a listed folder can be read").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).expect("our file names are Unicode");
        if path.is_dir() && is_ours(name) {
            collect(root, &path, found);
        } else if path.is_file() && is_text(&path) {
            let content = fs::read_to_string(&path).expect("a text file of the repository is UTF-8");
            let below = path.strip_prefix(root).expect("the walk stays below the root");
            let path = below.to_str().expect("our file names are Unicode").replace('\\', "/");
            found.push(Text { path, content });
        }
    }
}

/// Reads every text file of the repository.
fn repository() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found
}

/// Fails with one problem a line.
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn every_text_is_tidy() {
    let texts = repository();
    let problems: Vec<String> =
        texts.iter().flat_map(|text| source::text_problems(&text.path, &text.content)).collect();
    assert_none(&problems);
}

#[test]
fn every_source_keeps_the_rules() {
    let texts = repository();
    let problems: Vec<String> = texts
        .iter()
        .filter(|text| text.path.ends_with(".rs"))
        .flat_map(|text| source::source_problems(&text.path, &text.content))
        .collect();
    assert_none(&problems);
}

#[test]
fn every_manifest_keeps_the_rules() {
    let texts = repository();
    let problems: Vec<String> = texts
        .iter()
        .filter(|text| text.path == "Cargo.toml" || text.path.ends_with("/Cargo.toml"))
        .flat_map(|text| manifests::problems(&text.path, &text.content))
        .collect();
    assert_none(&problems);
}

#[test]
fn the_walk_finds_every_file_that_a_rule_names() {
    let texts = repository();
    let named = source::NAMED_FILES.iter().map(|path| (*path).to_owned());
    let missing: Vec<String> = named
        .chain(manifests::PACKAGES.iter().map(|package| package.manifest.to_owned()))
        .chain([".ci/run".to_owned(), "tests/tidy/main.rs".to_owned()])
        .filter(|path| !texts.iter().any(|text| text.path == *path))
        .map(|path| format!("{path}: a rule names this file, but it does not exist"))
        .collect();
    assert_none(&missing);
}

#[test]
fn build_output_and_hidden_folders_are_not_ours() {
    for folder in ["target", "target-miri", ".git", ".cargo"] {
        assert!(!is_ours(folder), "{folder}");
    }
    for folder in ["engine", ".ci", "tests"] {
        assert!(is_ours(folder), "{folder}");
    }
}

#[test]
fn scripts_are_text_and_profiles_are_not() {
    assert!(is_text(Path::new("/r-ems/.ci/run")));
    assert!(is_text(Path::new("/r-ems/scenarios/year.ron")));
    assert!(!is_text(Path::new("/r-ems/scenarios/profiles/year.csv")));
}

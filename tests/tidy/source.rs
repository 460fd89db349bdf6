//! Rules for texts, and for Rust sources among them.
//!
//! What a rule says about code is said about tokens, not about lines: a comment may explain a library that the file
//! must not call, and a string may hold a macro's name. What it says about people's reading, such as widths, is said
//! about lines.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file above this has more than one idea.
const LINES_MAX: usize = 500;

/// Two files beside each other fit on a screen; rustfmt wraps code earlier, this is for comments and strings.
const CHARACTERS_MAX: usize = 130;

/// Marks of unfinished work, in pieces so that this file does not contain them.
const MARKS: [&str; 3] = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];

/// Where everything is deterministic and nothing of an operating system exists.
const PURE_FOLDERS: [&str; 2] = ["engine/src/", "drivers/sim/src/"];

/// The crate roots of the pure folders.
const PURE_ROOTS: [&str; 2] = ["engine/src/lib.rs", "drivers/sim/src/lib.rs"];

/// The only file that names bincode, so that it can be replaced.
const CODEC: &str = "engine/src/log/codec.rs";

/// The only file that calls libm, so that its results are pinned in one place.
const MATH: &str = "engine/src/math.rs";

/// The only pure file that asks the compiler's environment: for the version, which is the manifest's.
const VERSION: &str = "engine/src/log/mod.rs";

/// Files that the rules name: if one moves, its rule moves with it.
pub(crate) const NAMED_FILES: [&str; 5] = [PURE_ROOTS[0], PURE_ROOTS[1], CODEC, MATH, VERSION];

/// Token sequences that no source contains, each with what to do instead.
const FORBIDDEN: [(&[&str], &str); 3] = [
    (&["todo", "!"], "finish it, or leave it out"),
    (&["unimplemented", "!"], "finish it, or leave it out"),
    (&["#", "[", "ignore"], "a test that does not run proves nothing: give it a script of its own"),
];

/// A word, sign or bracket of a source, and its line.
struct Token {
    text: String,
    line: usize,
}

/// Lists what is wrong with a text in any language.
pub(crate) fn text_problems(path: &str, text: &str) -> Vec<String> {
    let mut problems: Vec<String> = numbered(text)
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(number, _)| format!("{path}:{number}: remove the white space at the end of the line"))
        .collect();
    if !text.is_empty() && !text.ends_with('\n') {
        problems.push(format!("{path}: end the last line"));
    }
    problems
}

/// Lists what is wrong with a Rust source.
pub(crate) fn source_problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = layout_problems(path, text);
    match tokens(text) {
        Ok(tokens) => problems.extend(token_problems(path, &tokens)),
        Err(reason) => problems.push(format!("{path}: this is not Rust: {reason}")),
    }
    problems
}

/// Lists what a reader would stumble over: length, width, no introduction, marks of unfinished work.
fn layout_problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{path}: at most {LINES_MAX} lines, found {lines}: split it by ideas"));
    }
    let introduction = text.lines().find(|line| !line.starts_with("#![") && !line.is_empty());
    if !introduction.is_some_and(|line| line.starts_with("//!")) {
        problems.push(format!("{path}:1: begin with `//!` and say what this file decides"));
    }
    for (number, line) in numbered(text) {
        let characters = line.chars().count();
        if characters > CHARACTERS_MAX && !is_table_row(line) {
            problems
                .push(format!("{path}:{number}: at most {CHARACTERS_MAX} characters, found {characters}"));
        }
        for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
            problems.push(format!("{path}:{number}: `{mark}`: finish it, or leave it out"));
        }
    }
    problems
}

/// Holds for a row of a table in documentation: it is one line, however wide.
fn is_table_row(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//! |") || line.starts_with("/// |")
}

/// Lists code that stands in the wrong file or in no file at all.
fn token_problems(path: &str, tokens: &[Token]) -> Vec<String> {
    let mut problems = Vec::new();
    for (sequence, remedy) in FORBIDDEN {
        for line in places(tokens, sequence) {
            problems.push(format!("{path}:{line}: `{}`: {remedy}", sequence.concat()));
        }
    }
    for (library, owner) in [("bincode", CODEC), ("libm", MATH)] {
        for line in places(tokens, &[library]).into_iter().filter(|_| path != owner) {
            problems.push(format!("{path}:{line}: only {owner} names {library}"));
        }
    }
    if PURE_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        for line in places(tokens, &["extern", "crate", "std"]) {
            problems.push(format!("{path}:{line}: nothing of an operating system here: use core and alloc"));
        }
        for name in ["env", "option_env"] {
            for line in places(tokens, &[name, "!"]).into_iter().filter(|_| path != VERSION) {
                problems.push(format!(
                    "{path}:{line}: `{name}!`: what decides depends on no build's environment"
                ));
            }
        }
    }
    if path == "build.rs" || path.ends_with("/build.rs") {
        problems.push(format!("{path}: a build script depends on where it runs: commit what it would make"));
    }
    if PURE_ROOTS.contains(&path) && places(tokens, &["#", "!", "[", "no_std", "]"]).is_empty() {
        problems.push(format!("{path}: say `#![no_std]`, without a condition"));
    }
    problems
}

/// The lines of a text, counted from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n').enumerate().map(|(index, line)| (index + 1, line))
}

/// Splits a source into tokens, without its comments; documentation is a string in an attribute.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let stream: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
    let mut found = Vec::new();
    flatten(stream, &mut found);
    Ok(found)
}

/// Adds the tokens of a stream, with the brackets of its groups as tokens of their own.
fn flatten(stream: TokenStream, found: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(name) => found.push(Token { text: name.to_string(), line }),
            TokenTree::Punct(sign) => found.push(Token { text: sign.as_char().to_string(), line }),
            // What a literal says is data.
            TokenTree::Literal(_) => found.push(Token { text: "literal".to_owned(), line }),
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                found.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), found);
                found.push(Token { text: close.to_owned(), line });
            }
        }
    }
}

/// The signs around a group.
fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// The lines at which a sequence of tokens begins.
fn places(tokens: &[Token], sequence: &[&str]) -> Vec<usize> {
    tokens
        .windows(sequence.len())
        .filter(|window| window.iter().zip(sequence).all(|(token, wanted)| token.text == *wanted))
        .map(|window| window[0].line)
        .collect()
}

/// Asserts that a source has exactly one problem and that its message begins as given.
#[track_caller]
fn assert_one(path: &str, text: &str, beginning: &str) {
    let problems = source_problems(path, text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(beginning), "{problems:?}");
}

/// Asserts that a source has no problem.
#[track_caller]
fn assert_good(path: &str, text: &str) {
    assert_eq!(source_problems(path, text), Vec::<String>::new());
}

#[test]
fn white_space_at_the_end_of_a_line_is_found() {
    for end in [" ", "\t", "\r"] {
        let problems = text_problems("a.md", &format!("good\nbad{end}\n"));
        assert_eq!(problems, ["a.md:2: remove the white space at the end of the line"]);
    }
    assert!(text_problems("a.md", "good\n\n  good\n").is_empty());
}

#[test]
fn an_unended_last_line_is_found() {
    assert_eq!(text_problems("a.md", "good\nbad"), ["a.md: end the last line"]);
    assert!(text_problems("a.md", "").is_empty());
}

#[test]
fn a_file_may_have_the_most_lines_and_not_one_more() {
    let longest = "//! A\n".repeat(LINES_MAX);
    assert_good("a.rs", &longest);
    assert_one("a.rs", &(longest + "//! A\n"), "a.rs: at most 500 lines, found 501");
}

#[test]
fn a_line_may_have_the_most_characters_and_not_one_more() {
    // Characters count, not bytes.
    let widest = format!("//! {}", "µ".repeat(CHARACTERS_MAX - 4));
    assert_good("a.rs", &widest);
    assert_one("a.rs", &(widest + "µ"), "a.rs:1: at most 130 characters, found 131");
}

#[test]
fn only_a_row_of_a_table_may_be_wider() {
    let wide = "x".repeat(CHARACTERS_MAX);
    assert_good("a.rs", &format!("//! | {wide} |\nmod a {{\n    /// | {wide} |\n}}\n"));
    assert_one("a.rs", &format!("//! A\n//! - {wide}\n"), "a.rs:2: at most 130 characters, found 136");
}

#[test]
fn a_file_without_an_introduction_is_found() {
    assert_one("a.rs", "// A\n", "a.rs:1: begin with `//!`");
    assert_one("a.rs", "use core::fmt;\n//! A\n", "a.rs:1: begin with `//!`");
    assert_one("a.rs", "", "a.rs:1: begin with `//!`");
    assert_good("a.rs", "#![no_std]\n\n//! A\n");
}

#[test]
fn marks_of_unfinished_work_are_found_in_comments() {
    for mark in MARKS {
        assert_one("a.rs", &format!("//! A\n// {mark}: later\n"), &format!("a.rs:2: `{mark}`"));
    }
}

#[test]
fn unfinished_code_is_found() {
    assert_one("a.rs", "//! A\nfn a() {\n    todo!()\n}\n", "a.rs:3: `todo!`");
    assert_one("a.rs", "//! A\nfn a() { unimplemented!(\"b\") }\n", "a.rs:2: `unimplemented!`");
    assert_good("a.rs", "//! A\nfn todo() -> &'static str { \"todo!\" }\n");
}

#[test]
fn a_test_that_does_not_run_is_found() {
    assert_one("a.rs", "//! A\n#[test]\n#[ignore]\nfn a() {}\n", "a.rs:3: `#[ignore`");
    assert_one("a.rs", "//! A\n#[ignore = \"slow\"]\nfn a() {}\n", "a.rs:2: `#[ignore`");
}

#[test]
fn bincode_is_found_outside_the_codec() {
    let text = "//! A\nuse bincode::config;\n";
    assert_one("engine/src/log/writer.rs", text, "engine/src/log/writer.rs:2: only engine/src/log/codec.rs");
    assert_good(CODEC, text);
}

#[test]
fn libm_is_found_outside_math() {
    let text = "//! A\nfn a(x: f64) -> f64 { libm::exp(x) }\n";
    assert_one("drivers/sim/src/load.rs", text, "drivers/sim/src/load.rs:2: only engine/src/math.rs");
    assert_good(MATH, text);
}

#[test]
fn a_library_may_be_spoken_of() {
    let text = "//! Not with libm.\n/* nor bincode */\n/// libm\nconst A: &str = r#\"bincode\"#;\n";
    assert_good("engine/src/time.rs", text);
}

#[test]
fn std_is_found_where_everything_is_pure() {
    let text = "//! A\n#[cfg(test)]\nextern crate std;\n";
    assert_one("engine/src/time.rs", text, "engine/src/time.rs:3: nothing of an operating system");
    assert_one("drivers/sim/src/a/b.rs", text, "drivers/sim/src/a/b.rs:3: nothing of an operating system");
    assert_good("scenarios/src/a.rs", text);
    assert_good("engine/src/time.rs", "//! A\nextern crate alloc;\n");
}

#[test]
fn the_builds_environment_is_found_where_everything_is_pure() {
    for name in ["env", "option_env"] {
        let text = format!("//! A\nconst A: &str = {name}!(\"B\");\n");
        let told = format!("engine/src/time.rs:2: `{name}!`");
        assert_one("engine/src/time.rs", &text, &told);
        assert_good("scenarios/src/a.rs", &text);
        assert_good(VERSION, &text);
    }
    assert_good("engine/src/time.rs", "//! A\nfn env() {}\n");
}

#[test]
fn a_build_script_is_found() {
    for path in ["build.rs", "engine/build.rs", "drivers/sim/build.rs"] {
        assert_one(path, "//! A\nfn main() {}\n", &format!("{path}: a build script"));
    }
    assert_good("engine/src/rebuild.rs", "//! A\n");
}

#[test]
fn a_pure_crate_without_no_std_is_found() {
    for root in PURE_ROOTS {
        assert_good(root, "//! A\n#![no_std]\n");
        assert_one(root, "//! A\n", &format!("{root}: say `#![no_std]`"));
        assert_one(root, "//! A\n#![cfg_attr(not(test), no_std)]\n", &format!("{root}: say `#![no_std]`"));
        assert_one(root, "//! A\n// #![no_std]\n", &format!("{root}: say `#![no_std]`"));
    }
}

#[test]
fn what_is_not_rust_is_found() {
    assert_one("a.rs", "//! A\nfn a( {}\n", "a.rs: this is not Rust");
}

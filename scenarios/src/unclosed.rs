//! Where a text or a parenthesis was opened that nobody closed. A parser finds that out pages later, at a place that is right.

/// A place that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclosed {
    /// A text that begins here ends on another line, or never.
    Text(usize),
    /// The bracket that opens here is closed by none of its kind: by the one at the other place, or by nothing.
    Bracket(usize, Option<usize>),
}

/// Most brackets that are open at once; deeper texts are refused for their depth.
const MAX_OPEN: usize = 1_024;

/// Looks for what is not closed in a text that the parser refused at `refused_at`.
pub(crate) fn find(text: &str, refused_at: usize) -> Option<Unclosed> {
    let bytes = text.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let length = match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.len() - crate::node::after_block_comment(rest).len(),
            b'"' => {
                let Some(length) = string_length(rest) else { return Some(Unclosed::Text(at)) };
                // A text may have several lines; one that the parser stumbles over behind its end was not meant to.
                let last_line = bytes[at + length..].iter().position(|byte| *byte == b'\n');
                let end_of_line = last_line.map_or(text.len(), |newline| at + length + newline);
                if rest[..length].contains('\n') && (at..=end_of_line).contains(&refused_at) {
                    return Some(Unclosed::Text(at));
                }
                length
            }
            b'r' if is_raw(rest) && !follows_word(bytes, at) => match raw_length(rest) {
                Some(length) => length,
                None => return Some(Unclosed::Text(at)),
            },
            b'(' | b'[' | b'{' => {
                if open.len() == MAX_OPEN {
                    return None;
                }
                open.push(at);
                1
            }
            closing @ (b')' | b']' | b'}') => {
                let opening = open.pop()?;
                if closing != closer(bytes[opening]) {
                    return Some(Unclosed::Bracket(opening, Some(at)));
                }
                1
            }
            _ => 1,
        };
        at = next_boundary(text, at + length);
    }
    open.last().map(|opening| Unclosed::Bracket(*opening, None))
}

fn closer(opening: u8) -> u8 {
    match opening {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}

fn next_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// How long the text is that begins with a quotation mark; none if it has no end.
fn string_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether a raw text, `r"…"` or `r#"…"#`, begins here.
fn is_raw(text: &str) -> bool {
    text[1..].trim_start_matches('#').starts_with('"')
}

fn raw_length(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let begin = hashes + 2;
    let end = format!("\"{}", "#".repeat(hashes));
    text[begin..].find(&end).map(|at| begin + at + end.len())
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric() || bytes[before] == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_closed_is_found_where_it_was_opened() {
        for (text, found) in [
            ("A(b: \"x)", Some(Unclosed::Text(5))),
            ("A(b: r#\"x\")", Some(Unclosed::Text(5))),
            ("A(b: [1, 2)", Some(Unclosed::Bracket(5, Some(10)))),
            ("A(b: {1: (2}", Some(Unclosed::Bracket(9, Some(11)))),
            ("A(b: (1)", Some(Unclosed::Bracket(1, None))),
            ("A(b: \"(\", c: r\"[\", /* ( */ d: 1) // (", None),
            ("A(ä: \"ß)\")", None),
            (")", None),
        ] {
            assert_eq!(find(text, text.len()), found, "{text}");
        }
    }

    #[test]
    fn a_text_of_two_lines_is_blamed_only_if_the_parser_stumbles_over_its_end() {
        let text = "A(a: \"x,\n b: \"y\",\n c: 1 2)";
        assert_eq!(find(text, text.find('y').unwrap_or(0)), Some(Unclosed::Text(5)));
        let text = "A(a: \"x,\n b\",\n c: 1 2)";
        assert_eq!(find(text, text.find('2').unwrap_or(0)), None);
    }
}

//! The way to a value as a command line writes it: `plant.commerce.bess.capacity`, `expect[0]`, `plant."my.grid".load`.

use crate::node::excerpt;

/// Most steps of a way: a file is not nested deeper.
const MAX_STEPS: usize = crate::node::MAX_DEPTH;

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A name of a structure or a map.
    Name(String),
    /// A place in a list, from 0.
    Position(usize),
}

/// Splits `path=value`; names may stand in quotes, in which dots, brackets and signs of equality are letters.
pub(crate) fn parsed(setting: &str) -> Result<(Vec<Step>, &str), String> {
    let mut steps = Vec::new();
    let mut rest = setting.trim_start();
    loop {
        if steps.len() >= MAX_STEPS {
            return Err(format!("expected a path of at most {MAX_STEPS} steps"));
        }
        let (name, behind) = name(rest).ok_or_else(|| form(setting))?;
        steps.push(Step::Name(name));
        rest = behind;
        while let Some(behind) = rest.strip_prefix('[') {
            let (number, behind) = behind.split_once(']').ok_or_else(|| form(setting))?;
            let position = number
                .trim()
                .parse()
                .map_err(|_| format!("expected a position such as [1], got [{}]", excerpt(number)))?;
            steps.push(Step::Position(position));
            rest = behind;
            if steps.len() >= MAX_STEPS {
                return Err(form(setting));
            }
        }
        rest = rest.trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            return Ok((steps, value));
        }
        rest = rest.strip_prefix('.').ok_or_else(|| form(setting))?;
    }
}

/// The name at the beginning, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"')?;
        return Some((name.to_string(), rest));
    }
    let end = text.find(['.', '[', '=', '"']).unwrap_or(text.len());
    let name = text[..end].trim();
    if name.is_empty() { None } else { Some((name.to_string(), &text[end..])) }
}

fn form(setting: &str) -> String {
    let example = "plant.commerce.bess.capacity=500kWh or expect[0]=…";
    format!("expected path=value such as {example}, got {}", shown(setting))
}

/// A name or a path as a message shows it.
pub(crate) fn shown(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Step {
        Step::Name(name.to_string())
    }

    #[test]
    fn a_path_has_names_positions_and_quotes() {
        let read = |text| parsed(text).expect(text);
        assert_eq!(read("a.b=1"), (vec![name("a"), name("b")], "1"));
        assert_eq!(
            read("a[2][0].b = x=y"),
            (vec![name("a"), Step::Position(2), Step::Position(0), name("b")], " x=y")
        );
        assert_eq!(read("a.\"b.c=d\".e=1"), (vec![name("a"), name("b.c=d"), name("e")], "1"));
        assert_eq!(read("links.g/pcc.latency=1 s").0[1], name("g/pcc"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", "=", "a", ".=1", "a..b=1", "a[=1", "a[x]=1", "a[-1]=1", "a\"b\"=1", "\"a=1", "a.=1", "[0]=1"]
        {
            assert!(parsed(text).is_err(), "{text}");
        }
        assert!(parsed(&format!("{}=1", ["a"; 200].join("."))).is_err());
    }
}

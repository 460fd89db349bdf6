//! What the files of a controller are called.
//!
//! ```text
//! 0000000042.rlog           a segment of the journal        promise.a    what was promised, one copy
//! 0000000042.new            one in the making               promise.b    the other copy
//! 0000000042.quarantined    one that must not be believed   lock         says that a process works here
//! ```
//!
//! Any other file is somebody else's: it is neither read nor removed. So is `42.rlog`: a file of ours has one name only.

use r_ems_engine::persistence::disk::{CopyName, FileName};

/// Wide enough that names sort by their numbers for three thousand years of a segment every ten seconds; a number beyond it is
/// wider.
const DIGITS: usize = 10;
const SEGMENT: &str = "rlog";
const NEW: &str = "new";
const QUARANTINED: &str = "quarantined";
const PROMISE: &str = "promise";

/// The name of a file in its folder.
pub fn text_of(file: FileName) -> String {
    match file {
        FileName::Segment(number) => format!("{number:0DIGITS$}.{SEGMENT}"),
        FileName::New(number) => format!("{number:0DIGITS$}.{NEW}"),
        FileName::Quarantined(number) => format!("{number:0DIGITS$}.{QUARANTINED}"),
        FileName::Promise(CopyName::A) => format!("{PROMISE}.a"),
        FileName::Promise(CopyName::B) => format!("{PROMISE}.b"),
    }
}

/// The file of a name; `None`: it is none of a controller's.
pub fn file_of(name: &[u8]) -> Option<FileName> {
    let text = str::from_utf8(name).ok()?;
    let (stem, extension) = text.split_once('.')?;
    let file = match (stem, extension) {
        (PROMISE, "a") => FileName::Promise(CopyName::A),
        (PROMISE, "b") => FileName::Promise(CopyName::B),
        (number, SEGMENT) => FileName::Segment(number.parse().ok()?),
        (number, NEW) => FileName::New(number.parse().ok()?),
        (number, QUARANTINED) => FileName::Quarantined(number.parse().ok()?),
        (_, _) => return None,
    };
    (text_of(file) == text).then_some(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files() -> impl Strategy<Value = FileName> {
        // Numbers of every width.
        let number = (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift);
        (number, 0..5_u8).prop_map(|(number, kind)| match kind {
            0 => FileName::Segment(number),
            1 => FileName::New(number),
            2 => FileName::Quarantined(number),
            3 => FileName::Promise(CopyName::A),
            _b => FileName::Promise(CopyName::B),
        })
    }

    proptest! {
        #[test]
        fn a_name_says_which_file_it_is(file in files()) {
            prop_assert_eq!(file_of(text_of(file).as_bytes()), Some(file));
        }

        #[test]
        fn no_file_has_two_names(name in "[+0-9]{0,22}\\.(rlog|new|quarantined)") {
            if let Some(file) = file_of(name.as_bytes()) {
                prop_assert_eq!(text_of(file), name);
            }
        }

        #[test]
        fn names_sort_by_their_numbers(low in 0..10_u64.pow(10), high in 0..10_u64.pow(10)) {
            let text = |number| text_of(FileName::Segment(number));
            prop_assert_eq!(low.cmp(&high), text(low).cmp(&text(high)));
        }

        #[test]
        fn any_bytes_are_a_name_or_none(name in proptest::collection::vec(any::<u8>(), 0..24)) {
            if let Some(file) = file_of(&name) {
                prop_assert_eq!(text_of(file).into_bytes(), name);
            }
        }
    }

    #[test]
    fn names_are_as_people_know_them() {
        let golden = [
            (FileName::Segment(42), "0000000042.rlog"),
            (FileName::New(9_999_999_999), "9999999999.new"),
            (FileName::Quarantined(10_000_000_000), "10000000000.quarantined"),
            (FileName::Promise(CopyName::A), "promise.a"),
            (FileName::Promise(CopyName::B), "promise.b"),
        ];
        for (file, name) in golden {
            assert_eq!((text_of(file), file_of(name.as_bytes())), (name.to_owned(), Some(file)));
        }
        let foreign = [
            "42.rlog",
            "+000000042.rlog",
            "00000000042.rlog",
            "0000000042.rlog~",
            "0000000042.rlog.new",
            "18446744073709551616.rlog",
            ".rlog",
            "promise.c",
            "promise",
            "lock",
            "",
        ];
        for name in foreign {
            assert_eq!(file_of(name.as_bytes()), None, "{name}");
        }
    }
}

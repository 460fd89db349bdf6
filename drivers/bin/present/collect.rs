//! What was collected, as a page.

use std::collections::BTreeMap;
use std::path::Path;

use super::style::{BOLD, WARN, paint};
use super::table::{Align, Table};
use super::text::count;
use crate::archive::STATE;
use crate::archive::manifest::Manifest;

/// What was found in one folder.
#[derive(Default)]
struct Folder {
    segments: usize,
    others: usize,
    bytes: u64,
}

/// The page of an archive that was made.
pub fn page(archive: &Path, packed_bytes: u64, manifest: &Manifest) -> String {
    let mut folders: BTreeMap<&str, Folder> = BTreeMap::new();
    let below = |path: &'_ str| path.strip_prefix(STATE).and_then(|path| path.strip_prefix('/')).is_some();
    for file in manifest.files.iter().filter(|file| below(&file.path)) {
        let (place, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let folder = folders.entry(place.get(STATE.len() + 1..).unwrap_or("")).or_default();
        let counted = if name.ends_with(".rlog") { &mut folder.segments } else { &mut folder.others };
        *counted += 1;
        folder.bytes += file.bytes;
    }
    let mut page = format!("{}\n", paint(BOLD, &archive.display().to_string()));
    let mut table = Table::new(2, &[Align::Left, Align::Right, Align::Right, Align::Right]);
    table.row(["below the state folder", "segments", "other files", "size"]);
    for (place, folder) in &folders {
        table.row([
            (*place).to_owned(),
            count(folder.segments as u64),
            count(folder.others as u64),
            size(folder.bytes),
        ]);
    }
    page += &table.headed();
    page += &format!("  packed: {}\n", size(packed_bytes));
    match &manifest.unanswered {
        None => page += &format!("  the daemon at {} said how it is\n", manifest.socket),
        Some(why) => page += &format!("  no daemon said how it is: {why}\n"),
    }
    for file in &manifest.files {
        if let Some(problem) = &file.problem {
            page += &format!("  {} {}: {problem}\n", paint(WARN, "note:"), file.path);
        }
    }
    for left in &manifest.left_out {
        page += &format!("  {} {} is left out: {}\n", paint(WARN, "note:"), left.path, left.why);
    }
    if manifest.left_out_more > 0 {
        page += &format!("  {} {} more are left out\n", paint(WARN, "note:"), count(manifest.left_out_more));
    }
    page
}

/// A number of bytes: "1.2 MB".
pub fn size(bytes: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    // Rounding must not give "1000.0 kB".
    match STEPS.iter().find(|step| bytes >= step.0 - step.0 / 20_000) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (12_345_678, "12.3 MB"),
            (64 << 30, "68.7 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}

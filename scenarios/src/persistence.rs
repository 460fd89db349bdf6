//! The persistence section: `persistence: (sync: "100 ms", snapshots: (every: "10 s"), keep: 5, …)`, of a site, or of a scenario
//! for its site.
//!
//! Without the section nothing is kept: simulated controllers are then as they were when their host boots again, and no disk is
//! simulated.

use r_ems_engine::Span;
use r_ems_engine::persistence::{JournalSettings, Retention, SnapshotSettings, SyncRule};
use r_ems_sim::disk::DiskChange;
use r_ems_sim::world::PersistenceSpec;

use crate::leaf::word;
use crate::mistake::Notes;
use crate::node::{Fields, Node, excerpt};

/// The faults of a disk that last.
pub(crate) const DISK_FAULTS: [&str; 7] =
    ["DiskFull", "DiskSlow", "DiskFailing", "DiskReadOnly", "LyingSync", "TornWrites", "MisdirectedWrites"];
/// What happens to a disk at an instant.
pub(crate) const BIT_ROT: &str = "BitRot";

/// How long deliveries may wait to become durable, if nothing is said.
const SYNC: Span = Span::from_millis(100);
/// Shortest time between two syncs: a disk is not faster.
pub(crate) const SYNC_MIN: Span = Span::from_millis(1);
/// Longest time between two syncs, of a disk's sync, and shortest age of a segment or snapshot that makes sense.
pub(crate) const SYNC_MAX: Span = Span::from_mins(1);
/// Bytes of a segment, if nothing is said; the smallest and the largest.
const ROTATE_BYTES: u64 = 64_000_000;
pub(crate) const ROTATE_MIN: u64 = 64_000;
pub(crate) const ROTATE_MAX: u64 = 4_000_000_000;
/// Shortest time between two snapshots.
pub(crate) const SNAPSHOT_MIN: Span = Span::from_millis(100);
/// Longest time that anything here may last.
pub(crate) const SPAN_MAX: Span = Span::from_hours(24 * 366 * 10);
/// Segments that are kept, if nothing is said, and at most.
const KEEP: u64 = 5;
pub(crate) const KEEP_MAX: u64 = 1_000;

/// Units of bytes, as disks are sold.
const BYTES: [(&str, u64); 4] = [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];

/// What a section says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) spec: PersistenceSpec,
    pub(crate) snapshots: SnapshotSettings,
}

/// When controllers ask for snapshots under a section, or without one.
pub(crate) fn snapshots(kept: Option<Stated>) -> SnapshotSettings {
    kept.map_or(SnapshotSettings::NEVER, |kept| kept.snapshots)
}

impl Stated {
    /// What an empty section says.
    pub(crate) const DEFAULT: Self = Self {
        spec: PersistenceSpec {
            journal: JournalSettings {
                sync: SyncRule::Every(SYNC),
                rotate_bytes: ROTATE_BYTES,
                rotate_after: None,
                retention: Retention { keep: KEEP as u32, keep_for: None },
            },
            auto_replay: true,
        },
        snapshots: SnapshotSettings::NEVER,
    };
}

/// So many syncs may pass before a life that begins can promise something: two for its number where its file is new, one that is
/// under way, and its own.
const SYNCS_OF_A_START: u64 = 4;
/// So many syncs may pass before a write is sent that waits for its delivery to be durable: one that is under way, and its own.
const SYNCS_OF_A_WRITE: u64 = 2;

/// How long a controller may wait for a disk that works as it should.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// When it starts, until it can promise something.
    pub(crate) start: Span,
    /// Before it sends a write.
    pub(crate) write: Span,
}

/// What the waits are if a sync lasts `sync`.
pub(crate) fn waits(kept: Option<Stated>, sync: Span) -> Waits {
    let syncs = |start, write| Waits { start: sync * start, write: sync * write };
    match kept.map(|kept| kept.spec.journal.sync) {
        None => syncs(1, 0),
        Some(SyncRule::Every(_)) => syncs(SYNCS_OF_A_START, 0),
        Some(SyncRule::Strict) => syncs(SYNCS_OF_A_START, SYNCS_OF_A_WRITE),
    }
}

/// Reads the section; mistakes are noted at their fields, and what is wrong counts as not said.
pub(crate) fn read(node: &Node<'_>, notes: &mut Notes) -> Stated {
    let default = Stated::DEFAULT;
    let Some(mut fields) = node.fields(notes) else { return default };
    let sync = fields.optional("sync").and_then(|node| read_sync(&node, notes));
    let rotate_bytes = fields.optional("rotate").and_then(|node| read_bytes(&node, notes));
    let rotate_after = span(&mut fields, "rotate_after", SYNC_MAX, notes);
    let keep = fields.leaf_or("keep", KEEP, notes);
    if !(1..=KEEP_MAX).contains(&keep) {
        fields.place("keep").error(notes, format!("must be from 1 to {KEEP_MAX}, got {keep}"));
    }
    let keep_for = span(&mut fields, "keep_for", SYNC_MAX, notes);
    let auto_replay = fields.optional("auto_replay").and_then(|node| read_flag(&node, notes));
    let snapshots = fields.optional("snapshots").and_then(|node| read_snapshots(&node, notes));
    fields.finish(notes);
    let retention = Retention { keep: u32::try_from(keep).unwrap_or(u32::MAX), keep_for };
    let PersistenceSpec { journal, auto_replay: replays } = default.spec;
    let journal = JournalSettings {
        sync: sync.unwrap_or(journal.sync),
        rotate_bytes: rotate_bytes.unwrap_or(journal.rotate_bytes),
        rotate_after,
        retention,
    };
    let spec = PersistenceSpec { journal, auto_replay: auto_replay.unwrap_or(replays) };
    Stated { spec, snapshots: snapshots.unwrap_or(default.snapshots) }
}

/// Reads `"100 ms"` or `Strict`.
fn read_sync(node: &Node<'_>, notes: &mut Notes) -> Option<SyncRule> {
    if node.text() == "Strict" {
        return Some(SyncRule::Strict);
    }
    if !node.text().starts_with('"') {
        let found = excerpt(node.text());
        node.error(notes, format!("expected a span such as \"100 ms\", or Strict, got {found}"));
        return None;
    }
    let span: Span = node.leaf(notes)?;
    if !(SYNC_MIN..=SYNC_MAX).contains(&span) {
        node.error(notes, format!("must be from {SYNC_MIN} to {SYNC_MAX}, or Strict, got {span}"));
        return None;
    }
    Some(SyncRule::Every(span))
}

/// Reads a number of bytes, `"64 MB"`.
fn read_bytes(node: &Node<'_>, notes: &mut Notes) -> Option<u64> {
    let text: String = node.leaf(notes)?;
    let parts = text.split_once(' ').and_then(|(number, unit)| {
        let unit = BYTES.iter().find(|known| known.0 == unit)?;
        number.parse::<u64>().ok()?.checked_mul(unit.1)
    });
    let bytes = parts.filter(|bytes| (ROTATE_MIN..=ROTATE_MAX).contains(bytes));
    if bytes.is_none() {
        let message = "expected from \"64 kB\" to \"4 GB\", a whole number, a space, and B, kB, MB or GB";
        node.error(notes, format!("{message}, got \"{}\"", excerpt(&text)));
    }
    bytes
}

/// Reads `(every: "10 s", scans: 1000)`, of which one is enough.
fn read_snapshots(node: &Node<'_>, notes: &mut Notes) -> Option<SnapshotSettings> {
    let mut fields = node.fields(notes)?;
    let every = span(&mut fields, "every", SNAPSHOT_MIN, notes);
    let scans: Option<u64> = fields.leaf_if_given("scans", notes);
    if scans.is_some_and(|scans| scans == 0 || scans > u64::from(u32::MAX)) {
        fields.place("scans").error(notes, format!("must be from 1 to {}, got {}", u32::MAX, scans?));
    }
    if fields.optional("every").is_none() && scans.is_none() {
        node.error(notes, "expected (every: \"10 s\") or (scans: 1000)");
    }
    fields.finish(notes);
    Some(SnapshotSettings { every, scans: scans.and_then(|scans| u32::try_from(scans).ok()) })
}

fn read_flag(node: &Node<'_>, notes: &mut Notes) -> Option<bool> {
    word(node, &["false", "true"], notes).map(|position| position == 1)
}

fn span(fields: &mut Fields<'_>, name: &'static str, low: Span, notes: &mut Notes) -> Option<Span> {
    let span: Span = fields.leaf_if_given(name, notes)?;
    if !(low..=SPAN_MAX).contains(&span) {
        fields.place(name).error(notes, format!("must be from {low} to {SPAN_MAX}, got {span}"));
    }
    Some(span)
}

/// What a fault of a disk does when it begins and when it ends; `DiskSlow` has its span beside it.
pub(crate) fn disk_fault(name: &str, sync: Option<Span>) -> Option<(DiskChange, DiskChange)> {
    Some(match name {
        "DiskFull" => (DiskChange::Full(true), DiskChange::Full(false)),
        "DiskSlow" => (DiskChange::Slow(sync), DiskChange::Slow(None)),
        "DiskFailing" => (DiskChange::Failing(true), DiskChange::Failing(false)),
        "DiskReadOnly" => (DiskChange::ReadOnly(true), DiskChange::ReadOnly(false)),
        "LyingSync" => (DiskChange::Lying(true), DiskChange::Lying(false)),
        "TornWrites" => (DiskChange::Tearing(true), DiskChange::Tearing(false)),
        "MisdirectedWrites" => (DiskChange::Misdirecting(true), DiskChange::Misdirecting(false)),
        _ => return None,
    })
}

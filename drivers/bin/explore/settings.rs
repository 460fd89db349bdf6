//! What a run sets of its scenario beside its faults: how what outlives controllers is kept, how long writes are on their way,
//! and which host has another site file. What a crash or a late write finds depends on both. Settings stand in a case, shrink
//! away, and are saved as the scenario's field `set`.

use std::borrow::Cow;
use std::fmt;

use r_ems_engine::Span;
use r_ems_scenarios::limits::{DELAY_MAX, INTERVAL_MAX, SCAN_MIN};

use super::case::part;
use super::site::{Controlled, GridFacts};
use super::swarm::Draw;

/// What a run sets in its scenario: one value, or some that only go together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// Paths and values as the language writes them.
    pub text: Cow<'static, str>,
    /// The time between two of what it makes a disk do, if it says one: crashes near that are drawn more often.
    pub beat: Option<Span>,
    /// Whether writes last longer than the site declares: such runs may break what D protects.
    pub outlasts_d: bool,
    /// What of a scenario it changes.
    pub sort: Sort,
}

/// What of a scenario a setting changes: what marks tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Things are kept on disks at all.
    Disks,
    /// Nothing goes on before it is durable.
    StrictSync,
    /// What is logged becomes durable at another interval.
    SyncEvery,
    /// Snapshots are taken often.
    Snapshots,
    /// Nothing but the last is kept.
    KeepOne,
    /// Segments of logs are small.
    Rotate,
    /// Lives begin with a snapshot alone.
    NoReplay,
    /// Writes are on their way for up to D, or for what the scenario's links take.
    WriteDelay,
    /// Writes are on their way for longer than D.
    OutlastsD,
    /// Those of one controller take no time where D is too short.
    OneQuick,
    /// Set-points are repeated often.
    Repeated,
    /// A host has another site file.
    Differs,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Disks,
        Self::StrictSync,
        Self::SyncEvery,
        Self::Snapshots,
        Self::KeepOne,
        Self::Rotate,
        Self::NoReplay,
        Self::WriteDelay,
        Self::OutlastsD,
        Self::OneQuick,
        Self::Repeated,
        Self::Differs,
    ];

    /// What it is called in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disks => "disks",
            Self::StrictSync => "strict sync",
            Self::SyncEvery => "another interval of syncs",
            Self::Snapshots => "frequent snapshots",
            Self::KeepOne => "keep: 1",
            Self::Rotate => "small segments",
            Self::NoReplay => "no replay",
            Self::WriteDelay => "write delay",
            Self::OutlastsD => "write delay beyond D",
            Self::OneQuick => "one controller's writes quick",
            Self::Repeated => "set-points repeated often",
            Self::Differs => "site that differs",
        }
    }
}

/// Has disks simulated where the scenario's site keeps nothing: what else is set needs them.
pub const KEPT: Setting = of(Sort::Disks, r#""persistence": ()"#);

/// What is drawn of how things are kept: of each line one value, or none.
pub const DRAWN: [&[Setting]; 5] = [
    &[
        of(Sort::StrictSync, r#""persistence.sync": Strict"#),
        at(Sort::SyncEvery, r#""persistence.sync": "5 ms""#, Span::from_millis(5)),
        at(Sort::SyncEvery, r#""persistence.sync": "1 s""#, Span::from_secs(1)),
    ],
    &[at(Sort::Snapshots, r#""persistence.snapshots": (every: "100 ms")"#, Span::from_millis(100))],
    &[of(Sort::KeepOne, r#""persistence.keep": 1"#)],
    &[of(Sort::Rotate, r#""persistence.rotate": "64 kB""#)],
    &[of(Sort::NoReplay, r#""persistence.auto_replay": false"#)],
];

/// Of so many runs with slow writes one has such that last longer than declared.
const OUTLASTS_OF: u64 = 16;
/// So many times as long.
const OUTLASTS: [u64; 2] = [2, 8];
/// The mean of what writes take is this part of the most.
const MEANS: [u64; 3] = [1, 2, 8];
/// A link that is quicker than it says leaves the most of D to what keeps writes waiting.
const QUICK: Span = Span::from_millis(1);
/// Set-points are repeated each time that half of this many scans have passed, which is as often as is allowed.
pub(super) const REVERSION_SCANS: u64 = 4;

/// Draws how long writes to a device are on their way: from no time up to D, or to a lease where the device checks epochs, and
/// rarely longer.
///
/// Where the scenario itself has them on their way for longer than D, they take up to that, or those of one controller take no
/// time and those of the others what they really do: a delay that is the same for all lets no write overtake another, so that a
/// wrong D would never show. Such a run is excused from nothing.
pub fn slow_writes(draw: &mut Draw<'_>, grid: usize, device: &Controlled) -> Option<Setting> {
    let name = format!("{}/{}", draw.site().grids[grid].name, device.name);
    if device.exceeds_d().is_some() && draw.below(2) == 0 {
        let quick = draw.controller_of(grid)?;
        let link = format!("links.{}:{name}", draw.site().members[usize::from(quick)].id);
        let latency = QUICK.min(device.latency);
        return Some(set(
            Sort::OneQuick,
            format!("\"{link}.latency\": \"{latency}\", \"{link}.write_delay\": \"0 s\""),
        ));
    }
    let link = format!("links.{name}");
    let longest = device.longest_write.max(device.write_really);
    let is_quick = (draw.below(2) == 0 || device.latency >= longest) && device.latency > QUICK;
    let latency = if is_quick { QUICK } else { device.latency };
    let outlasts_d = draw.below(OUTLASTS_OF) == 0 && !device.checks_epochs && device.exceeds_d().is_none();
    let times = if outlasts_d { draw.one_of(&OUTLASTS)? } else { 1 };
    let most = (longest * times).min(device.timeout).max(device.write_really) - latency;
    let most = most.min(DELAY_MAX);
    if most.is_zero() {
        return None;
    }
    let mean = part(most, draw.one_of(&MEANS)?);
    let mut text = String::new();
    if is_quick {
        text += &format!("\"{link}.latency\": \"{latency}\", ");
    }
    text += &format!("\"{link}.write_delay\": (at_least: \"0 s\", mean: \"{mean}\", at_most: \"{most}\")");
    let sort = if outlasts_d { Sort::OutlastsD } else { Sort::WriteDelay };
    Some(Setting { outlasts_d, ..set(sort, text) })
}

/// Has the set-points of a grid's batteries repeated often, so that writes are on their way when authority moves; the batteries
/// themselves stay as they are.
pub fn often_written(grid: &GridFacts) -> Option<Setting> {
    let (name, scan) = (&grid.name, grid.scan_brisk);
    let often = scan * REVERSION_SCANS;
    let of = |device: &Controlled| {
        let (device, reversion) = (&device.name, device.reversion?);
        Some(format!(
            ", \"site.grids.{name}.devices.{device}.reversion\": \"{often}\", \
             \"plant.{name}.{device}.reversion\": \"{reversion}\""
        ))
    };
    let batteries: String = grid.controlled.iter().filter_map(of).collect();
    (!batteries.is_empty())
        .then(|| set(Sort::Repeated, format!("\"site.grids.{name}.scan\": \"{scan}\"{batteries}")))
}

impl Setting {
    /// Whether a host believes something else than the others.
    pub fn differs(&self) -> bool {
        self.sort == Sort::Differs
    }
}

/// Draws a host whose site file says otherwise than that of the others: another lease, or a shorter scan; nothing where what was
/// drawn has no room to differ.
pub fn differs(draw: &mut Draw<'_>) -> Option<Setting> {
    let grid = draw.shared_grid()?;
    let host = draw.host()?;
    let is_lease = draw.below(2) == 0;
    let site = draw.site();
    let (host, grid) = (&site.hosts[usize::from(host)], &site.grids[grid]);
    let (lease, scan) = (grid.lease + part(grid.lease, 2), part(grid.scan_brisk, 2));
    let own = match is_lease {
        true if lease <= INTERVAL_MAX => format!("redundancy.lease\": \"{lease}\""),
        false if scan >= SCAN_MIN => format!("scan\": \"{scan}\""),
        true | false => return None,
    };
    Some(set(Sort::Differs, format!("\"differs\": {{ \"{host}\": {{ \"site.grids.{}.{own} }} }}", grid.name)))
}

const fn of(sort: Sort, text: &'static str) -> Setting {
    Setting { text: Cow::Borrowed(text), beat: None, outlasts_d: false, sort }
}

const fn at(sort: Sort, text: &'static str, beat: Span) -> Setting {
    Setting { text: Cow::Borrowed(text), beat: Some(beat), outlasts_d: false, sort }
}

const fn set(sort: Sort, text: String) -> Setting {
    Setting { text: Cow::Owned(text), beat: None, outlasts_d: false, sort }
}

/// Settings as they stand in a scenario.
pub fn map(settings: &[Setting]) -> String {
    let entries: Vec<String> = settings.iter().map(ToString::to_string).collect();
    format!("{{ {} }}", entries.join(", "))
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_the_language_reads_them() {
        let text = map(&[KEPT, DRAWN[0][1].clone()]);
        assert_eq!(text, "{ \"persistence\": (), \"persistence.sync\": \"5 ms\" }");
    }
}

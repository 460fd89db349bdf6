//! The redundancy section of a grid: `redundancy: (heartbeat: "10 ms", watchdog: "30 ms", lease: "40 ms", …)`.
//!
//! What is omitted has the engine's default. The section has a digest, which travels with every message: who runs with another
//! section is not understood.

use r_ems_engine::Span;
use r_ems_engine::digest::Digest;
use r_ems_engine::points::{Connections, DeviceSpec};
use r_ems_engine::redundancy::{CLOCK_RATE_PPB_MAX, FailBack, OnSilence, Settings};
use r_ems_engine::units::Ratio;

use crate::council::Council;
use crate::device::Device;
use crate::leaf::word;
use crate::mistake::{Notes, suggestion};
use crate::node::{Entry, Fields, Node, excerpt};

/// Shortest time between two heartbeats: below that a network carries little else.
pub(crate) const HEARTBEAT_MIN: Span = Span::from_millis(1);
/// Longest interval of any kind.
pub const INTERVAL_MAX: Span = Span::from_hours(1);
/// Shortest time between two requests of a candidate.
pub(crate) const RETRY_MIN: Span = Span::from_micros(100);
/// A watchdog that expires at the first heartbeat that is late would expire every day.
pub(crate) const WATCHDOG_HEARTBEATS: u64 = 2;
/// A lease must outlast a renewal that is lost.
pub(crate) const LEASE_HEARTBEATS: u64 = 2;
/// A standby's state may lack so many units in a row before it is too old, unless the section says otherwise.
pub(crate) const STATE_SCANS: u64 = 5;
/// At least one unit may be late.
pub(crate) const STATE_SCANS_MIN: u64 = 2;
/// Largest clock-rate bound, as the simulated clocks have it.
pub(crate) const RATE_MAX: f64 = CLOCK_RATE_PPB_MAX as f64 / 1e9;

/// What a section says.
#[derive(Debug)]
pub(crate) struct Stated<'t> {
    pub(crate) settings: Settings,
    /// Where it says what a pair does in silence.
    on_silence: Option<Node<'t>>,
    /// Where it says how long a lease lasts, or could.
    pub(crate) lease: Node<'t>,
}

/// What a grid that scans every `scan` has without a section.
pub(crate) fn default(scan: Span) -> Settings {
    Settings { state_age_max: scan * STATE_SCANS, ..Settings::DEFAULT }
}

/// Reads the section of a grid that scans every `scan`; mistakes are noted at their fields.
pub(crate) fn read<'t>(node: &Node<'t>, scan: Span, notes: &mut Notes) -> Option<Stated<'t>> {
    let mut fields = node.fields(notes)?;
    let default = default(scan);
    let on_silence = fields.optional("on_silence");
    let fail_back = fields.optional("fail_back");
    let settings = Settings {
        heartbeat: fields.leaf_or("heartbeat", default.heartbeat, notes),
        watchdog: fields.leaf_or("watchdog", default.watchdog, notes),
        lease: fields.leaf_or("lease", default.lease, notes),
        retry: fields.leaf_or("retry", default.retry, notes),
        evaluate: fields.leaf_or("evaluate", default.evaluate, notes),
        clock_rate_max_ppb: read_rate(&mut fields, notes).unwrap_or(default.clock_rate_max_ppb),
        state_age_max: fields.leaf_or("state_age_max", default.state_age_max, notes),
        fail_back: fail_back.and_then(|node| read_fail_back(&node, notes)).unwrap_or(default.fail_back),
        on_silence: on_silence
            .as_ref()
            .and_then(|node| read_silence(node, notes))
            .unwrap_or(default.on_silence),
    };
    check(&settings, scan, &fields, notes);
    let lease = fields.place("lease").clone();
    fields.finish(notes);
    Some(Stated { settings, on_silence, lease })
}

fn read_rate(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<u32> {
    let rate: Ratio = fields.leaf_if_given("clock_rate_max", notes)?;
    if !(0.0..=RATE_MAX).contains(&rate.ratio()) {
        fields.place("clock_rate_max").error(notes, format!("must be from 0 % to 10 %, got {rate}"));
        return None;
    }
    // Rounding takes away what decimal text leaves.
    Some((rate.ratio() * 1e9).round() as u32)
}

/// Reads `Manual` or `After("5 min")`.
fn read_fail_back(node: &Node<'_>, notes: &mut Notes) -> Option<FailBack> {
    match node.name() {
        "Manual" if node.text() == "Manual" => Some(FailBack::Manual),
        "After" => {
            let values = node.positional(notes)?;
            let [value] = values.as_slice() else {
                node.error(notes, format!("expected After(\"5 min\"), got {} values", values.len()));
                return None;
            };
            let dwell: Span = value.leaf(notes)?;
            if dwell.is_zero() || dwell > INTERVAL_MAX {
                value.error(notes, format!("must be above 0 s and at most {INTERVAL_MAX}, got {dwell}"));
            }
            Some(FailBack::After(dwell))
        }
        name => {
            let found = excerpt(if name.is_empty() { node.text() } else { name });
            node.error(notes, format!("unknown word {found}; {}", suggestion(&found, &["Manual", "After"])));
            None
        }
    }
}

fn read_silence(node: &Node<'_>, notes: &mut Notes) -> Option<OnSilence> {
    const WORDS: [OnSilence; 2] = [OnSilence::Hold, OnSilence::TakeOver];
    word(node, &["Hold", "TakeOver"], notes).map(|position| WORDS[position])
}

/// Notes intervals that do not fit each other.
fn check(settings: &Settings, scan: Span, fields: &Fields<'_>, notes: &mut Notes) {
    let mut require = |field: &str, found: Span, low: Span, why: &str, high: Span, limit: &str| {
        if found < low || found > high {
            let allowed = format!("from {low}{why} to {high}{limit}");
            fields
                .place(field)
                .error(notes, format!("{}must be {allowed}, got {found}", named(fields, field)));
        }
    };
    let Settings { heartbeat, watchdog, lease, retry, evaluate, state_age_max, .. } = settings;
    let hour = INTERVAL_MAX;
    require("heartbeat", *heartbeat, HEARTBEAT_MIN, "", hour, "");
    require("watchdog", *watchdog, *heartbeat * WATCHDOG_HEARTBEATS, ", two heartbeats,", hour, "");
    require("lease", *lease, *heartbeat * LEASE_HEARTBEATS, ", two heartbeats,", hour, "");
    require("retry", *retry, RETRY_MIN, "", (*heartbeat).max(RETRY_MIN), ", the heartbeat");
    require("evaluate", *evaluate, HEARTBEAT_MIN, "", hour, "");
    // The longest scan is an hour too.
    let (low, high) = (scan * STATE_SCANS_MIN, hour * STATE_SCANS);
    require("state_age_max", *state_age_max, low, ", two scans,", high, "");
}

/// A field that is not there is named, and that it has its default.
fn named(fields: &Fields<'_>, field: &str) -> String {
    let is_there = fields.place(field).field().ends_with(field);
    if is_there { String::new() } else { format!("the default of `{field}` does not fit: it ") }
}

/// A pair without a majority must say what it does in silence; nobody else needs to.
pub(crate) fn check_silence(stated: Option<&Stated<'_>>, place: &Node<'_>, is_pair: bool, notes: &mut Notes) {
    let said = stated.and_then(|stated| stated.on_silence.as_ref());
    match (said, is_pair) {
        (None, true) => {
            let allowed = "redundancy: (on_silence: Hold) or (on_silence: TakeOver)";
            place.error(
                notes,
                format!("two votes have no majority when one is silent: expected {allowed}, or a witness"),
            );
        }
        (Some(node), false) => node.warning(notes, "is not used: there is a majority without it"),
        (Some(_), true) | (None, false) => {}
    }
}

/// Identifies a section with those who have seats under it and with what it says of writes that cannot be recalled: the digest
/// of a text in which all of it stands once. Who believes that a device checks epochs, or that its writes end sooner, would
/// write too early after a take-over.
pub(crate) fn section(grid: &str, council: &Council<'_>, hosts: &[Entry<'_>], devices: &[Device<'_>]) -> u64 {
    let Settings {
        heartbeat,
        watchdog,
        lease,
        retry,
        evaluate,
        clock_rate_max_ppb,
        state_age_max,
        fail_back,
        on_silence,
    } = &council.settings;
    let fail_back = match fail_back {
        FailBack::Manual => "manual".to_string(),
        FailBack::After(dwell) => format!("after {}", dwell.as_nanos()),
    };
    let on_silence = match on_silence {
        OnSilence::Hold => "hold",
        OnSilence::TakeOver => "take over",
    };
    let intervals = [heartbeat, watchdog, lease, retry, evaluate, state_age_max].map(|span| span.as_nanos());
    let mut text = format!("{grid}\n{intervals:?}\n{clock_rate_max_ppb}\n{fail_back}\n{on_silence}\n");
    for member in council.members() {
        let kind = if member.is_witness { "witness" } else { "controller" };
        let host = hosts.get(member.host).map_or("", |host| host.name.as_str());
        text += &format!("{} {kind} {} on {host}\n", member.seat.0, member.id);
    }
    for DeviceSpec { name, longest_write, checks_epochs, connections, .. } in
        devices.iter().map(|device| &device.spec)
    {
        let ends_ns = longest_write.as_nanos();
        let connects = match connections {
            Connections::Shared => "shared",
            Connections::ActiveOnly => "active only",
        };
        text += &format!("{name} {ends_ns} {checks_epochs} {connects}\n");
    }
    Digest::of(text.as_bytes()).word()
}

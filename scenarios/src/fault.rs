//! What breaks: hosts and processes that die or stand still, paths that lose, delay or repeat messages, clocks that run wrong,
//! disks; what is wrong with devices has a file of its own.
//!
//! A fault lasts for a window and ends with it. Windows of one fault that overlap or touch are one; two faults of one kind that
//! say different things of the same at one time are a mistake.

use r_ems_engine::units::Ratio;
use r_ems_engine::{Span, Time};
use r_ems_sim::links::Edge;
use r_ems_sim::network::Path;
use r_ems_sim::plant::{ComponentIndex, GridValue};
use r_ems_sim::world::{
    Change, HostClock, HostWall, Life, PathChange, RATE_PPB_MAX, Stalled, StalledClock, Timed,
};

use crate::device_fault::{self, DEVICE_FAULTS, Part};
use crate::grid_value::{self, GRID_SIGNAL, GRID_VALUES};
use crate::happening::CHANGES;
use crate::later::unknown;
use crate::leaf::word;
use crate::mistake::Notes;
use crate::naming::Names;
use crate::network::{Network, delay_fields, read_chance};
use crate::node::{Fields, Node};
use crate::persistence::{DISK_FAULTS, SPAN_MAX, disk_fault};
use crate::reality::read_wall;
use crate::standing::{self, STANDINGS};

/// What can last for a while.
pub(crate) const FAULTS: [&str; 32] = [
    "Crash",
    "Kill",
    "Stop",
    "Partition",
    "Cut",
    "Loss",
    "Delay",
    "Duplication",
    "ClockRate",
    "WallClock",
    "Stall",
    GRID_VALUES[0],
    GRID_VALUES[1],
    GRID_SIGNAL,
    DEVICE_FAULTS[0],
    DEVICE_FAULTS[1],
    DEVICE_FAULTS[2],
    DEVICE_FAULTS[3],
    DEVICE_FAULTS[4],
    DEVICE_FAULTS[5],
    DEVICE_FAULTS[6],
    DEVICE_FAULTS[7],
    DEVICE_FAULTS[8],
    STANDINGS[0],
    STANDINGS[1],
    DISK_FAULTS[0],
    DISK_FAULTS[1],
    DISK_FAULTS[2],
    DISK_FAULTS[3],
    DISK_FAULTS[4],
    DISK_FAULTS[5],
    DISK_FAULTS[6],
];
/// Most windows that partitions of many hosts may come to.
pub(crate) const MAX_PARTS: usize = 64;

/// What a fault is about: two of one key must not overlap with different changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A device as one controller meets it.
    Device(u16, u16, Part),
    Host(u16),
    Process(u16),
    Cut(u16, u16),
    Loss(u16, u16),
    Delay(u16, u16),
    Duplication(u16, u16),
    Rate(u16),
    Wall(u16),
    Stall(Stalled),
    /// A value of the grid behind a connection, by its place among those.
    Grid(u16, u8),
    /// What a receiver tells.
    Signal(u16, ComponentIndex),
    /// Who stands at a device's panel.
    Panel(u16, ComponentIndex),
    /// A device that trips.
    Fault(u16, ComponentIndex),
    /// A host, and the fault's place among those of disks.
    Disk(u16, u8),
}

/// What a fault does when it begins and when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect {
    key: Key,
    begin: Change,
    end: Change,
}

impl Effect {
    pub(crate) const fn new(key: Key, begin: Change, end: Change) -> Self {
        Self { key, begin, end }
    }
}

/// A fault for a while.
#[derive(Clone, Debug)]
pub(crate) struct Lasting<'t> {
    pub(crate) effect: Effect,
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// Where it stands.
    pub(crate) node: Node<'t>,
}

/// What faults change, as it is without them.
pub(crate) struct Usual<'a> {
    pub(crate) network: &'a Network,
    pub(crate) clocks: &'a [HostClock],
    /// Whether anything is kept, so that there are disks.
    pub(crate) has_disks: bool,
}

/// Reads what breaks; a partition breaks several paths.
pub(crate) fn read(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    usual: &Usual<'_>,
    notes: &mut Notes,
) -> Option<Vec<Effect>> {
    match node.name() {
        "Crash" => host_of(node, names, notes).map(|host| vec![crash(host)]),
        "Kill" => process_of(node, names, notes).map(|process| vec![kill(process)]),
        "Stop" if stops_order(node) => stop(node, names, notes).map(|effect| vec![effect]),
        "Partition" => partition(node, names, notes),
        "Cut" | "Loss" | "Delay" | "Duplication" => {
            path(node, names, usual, notes).map(|effect| vec![effect])
        }
        "ClockRate" => {
            let (host, rate_ppb) = clock_rate(node, names, notes)?;
            let before = usual.clocks.get(usize::from(host)).map_or(0, |clock| clock.rate_ppb);
            let change = |rate_ppb| Change::ClockRate { host, rate_ppb };
            Some(vec![Effect { key: Key::Rate(host), begin: change(rate_ppb), end: change(before) }])
        }
        "WallClock" => {
            let (host, wall) = wall_clock(node, names, notes)?;
            let before = usual.clocks.get(usize::from(host)).map_or(HostClock::TRUE.wall, |clock| clock.wall);
            let change = |wall| Change::WallClock { host, wall };
            Some(vec![Effect { key: Key::Wall(host), begin: change(wall), end: change(before) }])
        }
        "Stall" => stall(node, names, notes).map(|effect| vec![effect]),
        name if GRID_VALUES.contains(&name) => {
            let (grid, value, level) = grid_value::read(node, names, notes)?;
            let change = |level| grid_value::change(grid, value, level);
            let key = Key::Grid(grid, u8::from(value == GridValue::Frequency));
            Some(vec![Effect { key, begin: change(Some(level)), end: change(None) }])
        }
        GRID_SIGNAL => {
            let (grid, receiver, level) = grid_value::read_signal(node, names, notes)?;
            let change = |level| grid_value::signals(grid, receiver, level);
            let key = Key::Signal(grid, receiver);
            Some(vec![Effect { key, begin: change(Some(level)), end: change(None) }])
        }
        name if DEVICE_FAULTS.contains(&name) => device_fault::read(node, names, notes),
        name if STANDINGS.contains(&name) => standing::read(node, names, notes).map(|effect| vec![effect]),
        name if DISK_FAULTS.contains(&name) => disk(node, names, usual, notes).map(|effect| vec![effect]),
        name if CHANGES.contains(&name) => {
            node.error(notes, format!("`{name}` happens at an instant: write At(moment, {name}(…))"));
            None
        }
        _ => {
            unknown(node, "fault", &FAULTS, &[], notes);
            None
        }
    }
}

fn crash(host: u16) -> Effect {
    let change = |state| Change::Host { host, state };
    Effect { key: Key::Host(host), begin: change(Life::Down), end: change(Life::Up) }
}

fn kill(controller: u16) -> Effect {
    let change = |state| Change::Process { controller, state };
    Effect { key: Key::Process(controller), begin: change(Life::Down), end: change(Life::Up) }
}

/// Whether it is a host or a controller that stops, and no battery.
pub(crate) fn stops_order(node: &Node<'_>) -> bool {
    node.try_fields().is_some_and(|fields| !fields.is_empty())
}

/// Reads `Stop(host: "a")` or `Stop(controller: "commerce/a")`: it ends in order.
fn stop(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Effect> {
    let is_of_host = node.try_fields()?.iter().any(|field| field.0 == "host");
    Some(if is_of_host {
        let host = host_of(node, names, notes)?;
        Effect { begin: Change::Host { host, state: Life::Stops }, ..crash(host) }
    } else {
        let controller = process_of(node, names, notes)?;
        Effect { begin: Change::Process { controller, state: Life::Stops }, ..kill(controller) }
    })
}

/// Reads the same of an instant.
pub(crate) fn stop_at(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Change> {
    stop(node, names, notes).map(|effect| effect.begin)
}

/// Reads the one field in `Crash(host: "a")`.
pub(crate) fn host_of(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<u16> {
    let mut fields = node.fields(notes)?;
    let host = host(&mut fields, "host", names, notes);
    fields.finish(notes);
    host
}

/// Reads the one field in `Kill(controller: "commerce/a")`.
pub(crate) fn process_of(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<u16> {
    let mut fields = node.fields(notes)?;
    let value = fields.required("controller", notes);
    fields.finish(notes);
    let value = value?;
    let name: String = value.leaf(notes)?;
    names.member(&name).map_err(|message| value.error(notes, message)).ok()
}

/// Reads `ClockRate(host: "a", rate: "-600 ppm")`.
pub(crate) fn clock_rate(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<(u16, i32)> {
    let mut fields = node.fields(notes)?;
    let host = host(&mut fields, "host", names, notes);
    let rate: Option<Ratio> = fields.leaf("rate", notes);
    let ppb = rate.and_then(|rate| rate_ppb(rate, &fields, notes));
    fields.finish(notes);
    Some((host?, ppb?))
}

/// Reads `WallClock(host: "a", ahead: "-1 h")`.
pub(crate) fn wall_clock(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(u16, HostWall)> {
    let mut fields = node.fields(notes)?;
    let host = host(&mut fields, "host", names, notes);
    let wall = fields.required("ahead", notes).and_then(|node| read_wall(&node, notes));
    fields.finish(notes);
    Some((host?, wall?))
}

/// What the clock of a host can do that stands still.
const CLOCKS: [&str; 2] = ["Running", "Stopped"];

/// Reads `Stall(host: "a")`, `Stall(host: "a", clock: Stopped)` or `Stall(controller: "commerce/a")`.
fn stall(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Effect> {
    let mut fields = node.fields(notes)?;
    let controller = fields.optional("controller");
    let whom = match &controller {
        Some(value) => {
            let name: String = value.leaf(notes)?;
            let found = names.member(&name).map_err(|message| value.error(notes, message)).ok();
            found.map(Stalled::Process)
        }
        None => host(&mut fields, "host", names, notes).map(Stalled::Host),
    };
    let clock = fields.optional("clock");
    let word = clock.as_ref().map(|clock| word(clock, &CLOCKS, notes));
    if let (Some(_), Some(clock)) = (&controller, &clock) {
        clock.error(notes, "a process has no clock of its own: name a host, or leave the clock out");
    }
    fields.finish(notes);
    let clock = match word {
        None | Some(Some(0)) => StalledClock::Running,
        Some(Some(_)) => StalledClock::Stopped,
        Some(None) => return None,
    };
    let whom = whom?;
    let change = |edge| Change::Stall { whom, clock, edge };
    Some(Effect { key: Key::Stall(whom), begin: change(Edge::Begins), end: change(Edge::Ends) })
}

/// A clock's rate in parts per billion.
pub(crate) fn rate_ppb(rate: Ratio, fields: &Fields<'_>, notes: &mut Notes) -> Option<i32> {
    let ppb = rate.ratio() * 1e9;
    if ppb.abs() > f64::from(RATE_PPB_MAX) {
        fields.place("rate").error(notes, format!("must be from -10 % to 10 %, got {rate}"));
        return None;
    }
    // Rounding takes away what decimal text leaves.
    Some(ppb.round() as i32)
}

/// Reads `DiskFull(host: "a")` or `DiskSlow(host: "a", sync: "2 s")`.
fn disk(node: &Node<'_>, names: &Names<'_, '_>, usual: &Usual<'_>, notes: &mut Notes) -> Option<Effect> {
    check_disks(node, usual, notes);
    let mut fields = node.fields(notes)?;
    let host = host(&mut fields, "host", names, notes);
    let is_slow = node.name() == "DiskSlow";
    let sync: Option<Span> = if is_slow { fields.leaf("sync", notes) } else { None };
    if let Some(sync) = sync
        && (sync.is_zero() || sync > SPAN_MAX)
    {
        fields.place("sync").error(notes, format!("must be above 0 s and at most {SPAN_MAX}, got {sync}"));
    }
    fields.finish(notes);
    let place = DISK_FAULTS.iter().position(|name| *name == node.name())?;
    let (begin, end) = disk_fault(node.name(), sync)?;
    let (host, place) = (host?, u8::try_from(place).ok()?);
    let change = |change| Change::Disk { host, change };
    Some(Effect { key: Key::Disk(host, place), begin: change(begin), end: change(end) })
}

/// Reads the host of `BitRot(host: "a")` or `Upgrade(host: "a")`, whose disk has something that this is about.
pub(crate) fn host_with_disk(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    usual: &Usual<'_>,
    notes: &mut Notes,
) -> Option<u16> {
    check_disks(node, usual, notes);
    host_of(node, names, notes)
}

/// Notes a fault of disks of which nothing would be seen.
fn check_disks(node: &Node<'_>, usual: &Usual<'_>, notes: &mut Notes) {
    if !usual.has_disks {
        node.error(notes, "nothing is kept on disks: add persistence: (…) to the site or the scenario");
    }
}

fn host(
    fields: &mut Fields<'_>,
    name: &'static str,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<u16> {
    let value = fields.required(name, notes)?;
    let text: String = value.leaf(notes)?;
    names.host(&text).map_err(|message| value.error(notes, message)).ok()
}

/// Reads `Partition(a: ["a"], b: ["b", "w"])`: nothing passes between the two sides, either way.
fn partition(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Option<Vec<Effect>> {
    let mut fields = node.fields(notes)?;
    let mut side = |name: &'static str, notes: &mut Notes| -> Option<Vec<u16>> {
        let list = fields.required(name, notes)?;
        let items = list.items(notes)?;
        if items.is_empty() || items.len() > MAX_PARTS {
            list.error(notes, format!("expected 1 to {MAX_PARTS} hosts, got {}", items.len()));
        }
        let mut hosts = Vec::new();
        for item in items.iter().take(MAX_PARTS) {
            let name: String = item.leaf(notes)?;
            let found = names.host(&name).map_err(|message| item.error(notes, message)).ok()?;
            if hosts.contains(&found) {
                item.error(notes, "this host stands here a second time; each is given once");
            }
            hosts.push(found);
        }
        Some(hosts)
    };
    let (one, other) = (side("a", notes), side("b", notes));
    let (one, other) = (one?, other?);
    if let Some(both) = one.iter().find(|host| other.contains(host)) {
        let name = names.hosts.get(usize::from(*both)).copied().unwrap_or_default();
        fields.place("b").error(notes, format!("the host \"{name}\" cannot be on both sides"));
    }
    fields.finish(notes);
    let pairs = one.iter().flat_map(|from| other.iter().map(move |to| (*from, *to)));
    Some(pairs.flat_map(|(from, to)| [cut(from, to), cut(to, from)]).collect())
}

fn cut(from: u16, to: u16) -> Effect {
    let change = |is_cut| Change::Path { from, to, change: PathChange::Cut(is_cut) };
    Effect { key: Key::Cut(from, to), begin: change(true), end: change(false) }
}

/// Reads what happens to one path, one way: `Loss(from: "a", to: "b", ratio: (3, 10))`.
fn path(node: &Node<'_>, names: &Names<'_, '_>, usual: &Usual<'_>, notes: &mut Notes) -> Option<Effect> {
    let mut fields = node.fields(notes)?;
    let (from, to) = (host(&mut fields, "from", names, notes), host(&mut fields, "to", names, notes));
    let changed = match node.name() {
        "Cut" => Some(PathChange::Cut(true)),
        "Delay" => delay_fields(&mut fields, notes).map(PathChange::Delay),
        kind => {
            let ratio = fields.required("ratio", notes).and_then(|node| read_chance(&node, notes));
            ratio.map(
                |ratio| if kind == "Loss" { PathChange::Loss(ratio) } else { PathChange::Duplication(ratio) },
            )
        }
    };
    let (from, to) = (from?, to?);
    if from == to {
        fields.place("to").error(notes, "expected two hosts: within one nothing is late or lost");
    }
    fields.finish(notes);
    let Path { delay, loss, duplication, is_cut } = usual.network.between(from, to);
    let (key, before) = match changed? {
        PathChange::Cut(_) => (Key::Cut(from, to), PathChange::Cut(is_cut)),
        PathChange::Loss(_) => (Key::Loss(from, to), PathChange::Loss(loss)),
        PathChange::Duplication(_) => (Key::Duplication(from, to), PathChange::Duplication(duplication)),
        PathChange::Delay(_) => (Key::Delay(from, to), PathChange::Delay(delay)),
    };
    let change = |change| Change::Path { from, to, change };
    Some(Effect { key, begin: change(changed?), end: change(before) })
}

/// What changes when: windows of one fault that overlap or touch are one.
pub(crate) fn changes(mut all: Vec<Lasting<'_>>, notes: &mut Notes) -> Vec<Timed> {
    all.sort_by_key(|lasting| (lasting.effect.key, lasting.from));
    let mut merged: Vec<Lasting<'_>> = Vec::new();
    for lasting in all {
        match merged.last_mut() {
            Some(last) if last.effect.key == lasting.effect.key && lasting.from <= last.to => {
                let differs = last.effect.begin != lasting.effect.begin;
                if differs && lasting.from < last.to {
                    let message =
                        "overlaps another fault of this kind that says something else; let one end before";
                    lasting.node.error(notes, message);
                }
                if differs {
                    merged.push(lasting);
                } else {
                    last.to = last.to.max(lasting.to);
                }
            }
            Some(_) | None => merged.push(lasting),
        }
    }
    let both = |lasting: &Lasting<'_>| {
        let Effect { begin, end, .. } = lasting.effect;
        [Timed { at: lasting.from, change: begin }, Timed { at: lasting.to, change: end }]
    };
    merged.iter().flat_map(both).collect()
}

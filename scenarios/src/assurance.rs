//! What the redundancy of a grid comes to: votes, waits, and how long a take-over lasts at the most.
//!
//! The numbers are those of the engine's own rules. A scenario says how long messages and writes are on their way; a site file
//! does not, so that for it [`ASSUMED_DELAY`] stands in, and the result says so.

use r_ems_engine::Span;
use r_ems_engine::controller::member::GOOD_BEFORE_RETURN;
use r_ems_engine::controller::set_points::channel::longest_pause;
use r_ems_engine::controller::{ControllerSpec, START_PATIENCE};
use r_ems_engine::fieldbus::map::DeviceMap;
use r_ems_engine::fieldbus::sunspec::ByModels;
use r_ems_engine::functions::Function;
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::points::PointKind;
use r_ems_engine::redundancy::{OnSilence, Seat, Settings};
use r_ems_sim::progress::{self, Promised};
use r_ems_sim::slot::OneConnection;
use r_ems_sim::world::{Change, PathChange, Post, Timed};
use serde::Serialize;

use crate::council::Member;
use crate::device::Device;
use crate::fieldbus::{self, Modbus};
use crate::mistake::Notes;
use crate::naming::Names;
use crate::network::Network;
use crate::persistence::Waits;
use crate::site::{Grid, Site};

/// How long a message is on its way at the most where nobody says.
pub const ASSUMED_DELAY: Span = Span::from_millis(5);

/// What the redundancy of one grid comes to. Fields of the JSON form are added and never changed; `_s` is seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assurance {
    /// The grid.
    pub grid: String,
    /// Who has a vote, in the order of the seats: one of each host.
    pub voters: Vec<String>,
    /// How many votes make a majority.
    pub majority: u32,
    /// W: how long a voter waits after a grant before it grants to another.
    pub grantor_wait_s: f64,
    /// The devices that take set-points.
    pub devices: Vec<DeviceAssurance>,
    /// How long a message is on its way at the most.
    pub delay_s: f64,
    /// Whether that is assumed, because a site file does not say it.
    pub delay_is_assumed: bool,
    /// Whether a crash of the active needs an operator's word: the others are no majority, and wait (`on_silence: Hold`).
    pub waits_for_word: bool,
    /// The longest time from a crash of the active, or from that word, to the first write of the next, if no message is lost and
    /// a standby is ready; of the device with the longest.
    pub take_over_max_s: f64,
    /// How much of that a write waits for the journal's sync.
    pub sync_wait_s: f64,
    /// How long the active's host may stand still without losing authority, if no message is lost; 0 where leases end before they
    /// are renewed.
    pub stall_max_s: f64,
    /// How long a host's clock may stand still within the declared error of its rate.
    pub clock_stop_max_s: f64,
}

/// One device of a grid that is shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceAssurance {
    /// The device.
    pub name: String,
    /// D: how long a write may be on its way.
    pub longest_write_s: f64,
    /// What one writer at a time rests on.
    pub rests_on: RestsOn,
    /// Where the device takes one connection: how long it keeps that of a host that is gone, and connecting then.
    pub connecting_s: Option<f64>,
    /// The take-over bound of this device.
    pub take_over_max_s: f64,
}

/// What keeps a late write of the one before from being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestsOn {
    /// The device refuses epochs lower than one that it has accepted.
    Epochs,
    /// The declared D is true.
    DeclaredLongestWrite,
}

/// How long things are on their way.
pub(crate) struct Ways {
    /// A message between two of the grid's hosts, at the most.
    delay: Span,
    delay_is_assumed: bool,
    /// A write to each device, at the most.
    writes: Vec<Span>,
    /// What is under way on the connection to each device, and goes before a write, where frames pass on it; at the most.
    ahead: Vec<Span>,
    /// How long a write waits for the disk before that.
    sync: Span,
}

impl Ways {
    /// What a site file says of one of its grids.
    pub(crate) fn assumed<S>(grid: &Grid<'_, S>, sync: Span) -> Self {
        let writes = grid.devices.iter().map(|device| device.spec.latency).collect();
        Self { delay: ASSUMED_DELAY, delay_is_assumed: true, writes, ahead: Vec::new(), sync }
    }

    /// What a scenario says: `posts` are those of the grid.
    pub(crate) fn simulated(network: &Network, timeline: &[Timed], posts: &[Post], sync: Span) -> Self {
        let hosts: Vec<u16> = posts.iter().map(|post| post.host).collect();
        let mut delay = Span::ZERO;
        for from in &hosts {
            for to in hosts.iter().filter(|to| *to != from) {
                delay = delay.max(network.between(*from, *to).delay.longest());
            }
        }
        for timed in timeline {
            if let Change::Path { from, to, change: PathChange::Delay(changed) } = timed.change
                && hosts.contains(&from)
                && hosts.contains(&to)
            {
                delay = delay.max(changed.longest());
            }
        }
        let devices = posts.iter().map(|post| post.links.len()).max().unwrap_or(0);
        let longest = |device: usize| {
            let of = |post: &Post| {
                let link = post.links.get(device)?;
                Some(link.latency + link.write_delay.longest() + passes(post, device).0)
            };
            posts.iter().filter_map(of).max().unwrap_or(Span::ZERO)
        };
        let ahead = |device: usize| {
            let here = posts.iter().flat_map(|post| {
                let own = post.bus.map_of(DeviceIndex::of(device));
                let is_here =
                    move |map: &&DeviceMap| own.is_some_and(|own| own.connection() == map.connection());
                post.bus.devices.iter().filter(is_here)
            });
            let reads = |device: usize| posts.iter().map(|post| passes(post, device).1).max();
            let takes = |map: &DeviceMap| {
                let device = map.device().position();
                longest(device) + reads(device).unwrap_or(Span::ZERO)
            };
            here.map(takes).max().unwrap_or(Span::ZERO)
        };
        let (writes, ahead) = ((0..devices).map(longest).collect(), (0..devices).map(ahead).collect());
        Self { delay, delay_is_assumed: false, writes, ahead, sync }
    }

    /// How long a message is on its way at the most.
    pub(crate) const fn delay(&self) -> Span {
        self.delay
    }

    /// How long a write to a device is on its way at the most.
    pub(crate) fn write(&self, device: usize) -> Span {
        self.writes.get(device).copied().unwrap_or(Span::ZERO)
    }

    /// How long what goes before a write takes at the most.
    fn ahead(&self, device: usize) -> Span {
        self.ahead.get(device).copied().unwrap_or(Span::ZERO)
    }
}

/// The longest time from a crash of the active to the first write of the next to a device.
fn bound<S>(grid: &Grid<'_, S>, ways: &Ways, position: usize) -> Span {
    let device = &grid.devices[position];
    let waited_for = if device.spec.checks_epochs { Span::ZERO } else { device.spec.longest_write };
    // Of the three ways that the bound counts, the last is that of the write.
    let written = ways.sync + ways.ahead(position) + ways.write(position);
    let bound = grid.council.settings.take_over_max(ways.delay, waited_for) - ways.delay + written;
    // A host that is gone says nothing: its connection is kept. Then each of two scans may just have been missed.
    let silent = device.modbus.as_ref().map_or(Span::ZERO, Modbus::silent_at_first);
    // And by its models it is searched on the new connection.
    let searched = device.modbus.as_ref().map_or(Span::ZERO, |modbus| modbus.search_takes(&device.spec));
    let connected = |one: OneConnection| {
        bound.max(one.dead_after) + one.connect + silent + searched + (grid.scan + written) * 2
    };
    device.one_connection.map_or(bound, connected)
}

/// Notes devices of a shared grid that would fall back during a take-over, because they hear no heartbeat.
pub(crate) fn check_heartbeats<S>(grid: &Grid<'_, S>, ways: &Ways, notes: &mut Notes) {
    if !grid.council.is_shared() {
        return;
    }
    for (position, device) in grid.devices.iter().enumerate() {
        let bound = bound(grid, ways, position);
        fieldbus::check_take_over(device, bound, grid.scan, notes);
    }
}

/// What a grid's redundancy comes to; none if one controller has it alone.
pub(crate) fn of<S>(grid: &Grid<'_, S>, ways: &Ways) -> Option<(Assurance, Span)> {
    if !grid.council.is_shared() {
        return None;
    }
    let council = grid.council.seen_from(Seat(0));
    let settings = &grid.council.settings;
    let voters = grid.council.members().filter(|member| council.votes(member.seat));
    let voters: Vec<String> = voters.map(|member| member.id.to_string()).collect();
    let mut devices = Vec::new();
    let mut longest = Span::ZERO;
    for (position, device) in grid.devices.iter().enumerate() {
        let spec = &device.spec;
        if !spec.class.is_controlled() {
            continue;
        }
        let rests_on = if spec.checks_epochs { RestsOn::Epochs } else { RestsOn::DeclaredLongestWrite };
        let bound = bound(grid, ways, position);
        longest = longest.max(bound);
        devices.push(DeviceAssurance {
            name: spec.name.clone(),
            longest_write_s: spec.longest_write.as_secs_f64(),
            rests_on,
            connecting_s: device.one_connection.map(|one| (one.dead_after + one.connect).as_secs_f64()),
            take_over_max_s: bound.as_secs_f64(),
        });
    }
    let assurance = Assurance {
        grid: grid.name.clone(),
        majority: council.majority(),
        grantor_wait_s: settings.grantor_wait().as_secs_f64(),
        devices,
        delay_s: ways.delay.as_secs_f64(),
        delay_is_assumed: ways.delay_is_assumed,
        waits_for_word: settings.on_silence == OnSilence::Hold && council.majority() as usize == voters.len(),
        take_over_max_s: longest.as_secs_f64(),
        sync_wait_s: ways.sync.as_secs_f64(),
        stall_max_s: settings.stall_max(ways.delay).as_secs_f64(),
        clock_stop_max_s: settings.clock_stop_max().as_secs_f64(),
        voters,
    };
    Some((assurance, longest))
}

/// What the redundancy of each shared grid comes to; a declared D that the links do not keep is worth a look.
pub(crate) fn assure<S>(
    site: &Site<'_, S>,
    names: &mut Names<'_, '_>,
    (network, timeline, posts): (&Network, &[Timed], &[Post]),
    sync: Span,
    notes: &mut Notes,
) -> Vec<Assurance> {
    if notes.errors() > 0 {
        return Vec::new();
    }
    let mut assurances = Vec::new();
    for (position, (grid, named)) in site.grids.iter().zip(&mut names.grids).enumerate() {
        let of_grid = |post: &&Post| usize::from(post.grid) == position;
        let posts: Vec<Post> = posts.iter().filter(of_grid).cloned().collect();
        let ways = Ways::simulated(network, timeline, &posts, sync);
        // A delay that is a fault is meant.
        let usual = Ways::simulated(network, &[], &posts, sync);
        grid.council.check_lease(usual.delay(), notes);
        check_heartbeats(grid, &usual, notes);
        if let Some((assurance, take_over_max)) = of(grid, &ways) {
            named.take_over_max = Some(take_over_max);
            assurances.push(assurance);
            for (device, known) in grid.devices.iter().enumerate() {
                known.check_declared(ways.write(device), notes);
            }
            if let Some((device, age)) = unread_while_written(grid, &posts, &usual) {
                let message = format!(
                    "what is written here may keep values from being read until they are {age} old, and `max_age` is {}: who \
                     writes may lose the device by that, and nobody is counted on",
                    device.spec.age_max
                );
                device.warn_link(message, notes);
            }
        }
    }
    assurances
}

/// How long a write to a device takes to pass on its line, and how long a read of it and its heartbeat, with their answers.
fn passes(post: &Post, device: usize) -> (Span, Span) {
    let Some(map) = post.bus.map_of(DeviceIndex::of(device)) else { return (Span::ZERO, Span::ZERO) };
    let framing = post.bus.connections[map.connection().position()].framing;
    (map.longest_write(framing).0, map.longest_read(framing) + map.heartbeat_passes(framing))
}

/// A device of which values may become too old while set-points pass on its connection, and how old: who writes loses it by that
/// alone, and is none that others could count on.
///
/// At worst a set-point of each device begins to leave just before a poll would, a scan after the one before. Where links pass
/// values and no frames, nothing waits for anything.
fn unread_while_written<'g, 't, S>(
    grid: &'g Grid<'t, S>,
    posts: &[Post],
    ways: &Ways,
) -> Option<(&'g Device<'t>, Span)> {
    let read =
        posts.iter().flat_map(|post| post.bus.devices.iter().map(move |map| (post, map.connection(), map)));
    let aged = |(post, connection, map): (&Post, ConnectionIndex, &DeviceMap)| {
        let here = post.bus.devices.iter().filter(|other| other.connection() == connection);
        let writes = |map: &DeviceMap| {
            let requests = map.models().map_or(map.all_writes().count(), ByModels::most_writes);
            ways.write(map.device().position()) * requests as u64
        };
        let written = here.map(writes).fold(Span::ZERO, |sum, takes| sum + takes);
        let age = grid.scan + written + post.bus.takes(connection);
        let device = &grid.devices[map.device().position()];
        (age > device.spec.age_max).then_some((device, age))
    };
    read.filter_map(aged).next()
}

/// So many heartbeats more may a take-over last where messages may be lost: each of its few may be, and is repeated.
const LOST_HEARTBEATS: u64 = 4;

/// What the redundancy of each shared grid promises while the network is as usual.
pub(crate) fn promises<S>(
    site: &Site<'_, S>,
    names: &Names<'_, '_>,
    network: &Network,
    posts: &[Post],
    waits: Waits,
) -> Vec<Promised> {
    let of = |(position, grid): (usize, &Grid<'_, S>)| {
        let of_grid = |post: &&Post| usize::from(post.grid) == position;
        let posts: Vec<Post> = posts.iter().filter(of_grid).cloned().collect();
        promised(grid, (position, names.grids[position].first), &posts, network, waits)
    };
    site.grids.iter().enumerate().filter_map(of).collect()
}

/// What a grid's redundancy promises while its network is as usual; nothing of a pair without a witness that waits for its
/// owner, and of a grid in which nothing is written: it has no device for that, or no function that acts on one.
fn promised<S>(
    grid: &Grid<'_, S>,
    (position, first): (usize, usize),
    posts: &[Post],
    network: &Network,
    waits: Waits,
) -> Option<Promised> {
    let ways = Ways::simulated(network, &[], posts, waits.write);
    let (assurance, longest) = of(grid, &ways)?;
    let council = grid.council.seen_from(Seat(0));
    let settings = &grid.council.settings;
    let takes_over = settings.on_silence == OnSilence::TakeOver;
    let is_written = !assurance.devices.is_empty() && !grid.functions.is_empty();
    if (council.is_pair() && !takes_over) || !is_written {
        return None;
    }
    let loses_devices = unread_while_written(grid, posts, &ways).is_some();
    let member = |member: Member<'_>| progress::Member {
        place: u16::try_from(first + member.seat.position()).unwrap_or(u16::MAX),
        votes: council.votes(member.seat),
        writes: !member.is_witness,
        is_heir: !member.is_witness && !loses_devices,
    };
    let hosts: Vec<u16> = posts.iter().map(|post| post.host).collect();
    let pairs = hosts.iter().flat_map(|from| hosts.iter().map(move |to| (*from, *to)));
    let loses =
        pairs.filter(|(from, to)| from != to).any(|(from, to)| network.between(from, to).loss.numerator > 0);
    let repeats = if loses { settings.heartbeat * LOST_HEARTBEATS } else { Span::ZERO };
    let pauses = grid.devices.iter().map(|device| longest_pause(&device.spec));
    Some(Promised {
        grid: u16::try_from(position).unwrap_or(u16::MAX),
        members: grid.council.members().map(member).collect(),
        majority: assurance.majority as usize,
        needs_no_vote_of_the_dead: council.is_pair() && takes_over,
        within: longest + repeats,
        doubts_for: pauses.fold(GOOD_BEFORE_RETURN, Span::max),
        settles_within: settles_within(grid, settings, &ways, waits.start),
        clock_rate_max_ppb: settings.clock_rate_max_ppb,
    })
}

/// Lets a start take as long as it waits for what a function measures beside power: where nothing holds the bus, a meter knows no
/// frequency.
pub(crate) fn bear_with_starts<F: Function>(promised: &mut [Promised], controllers: &[ControllerSpec<F>]) {
    for promised in promised {
        let places = promised.members.iter().map(|member| usize::from(member.place));
        let mut laws = places.filter_map(|place| controllers.get(place)).flat_map(|spec| &spec.laws);
        if laws.any(|placed| placed.law.meter().is_some() && placed.law.measured() != PointKind::Power) {
            promised.settles_within += START_PATIENCE;
        }
    }
}

/// How long a change may be felt: a voter that booted waits and saves its promise, one that handed over defers, a device that was
/// silent has to be polled again and believed, and all of that is looked at from time to time.
fn settles_within<S>(grid: &Grid<'_, S>, settings: &Settings, ways: &Ways, sync: Span) -> Span {
    let of_device = |device: &Device<'_>| {
        let connecting = device.one_connection.map_or(Span::ZERO, |one| one.dead_after + one.connect * 2);
        device.timeout + device.spec.age_max + device.spec.longest_write + connecting
    };
    let devices = grid.devices.iter().map(of_device).max().unwrap_or(Span::ZERO);
    let votes = (settings.grantor_wait() + sync + ways.delay * 2) * 2;
    votes + settings.watchdog * 4 + settings.evaluate * 2 + grid.scan * 4 + devices
}

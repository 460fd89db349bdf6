//! Draws the faults of a run.
//!
//! **Swarm.** Each run takes a random subset of the kinds, with random weights: what hides when everything happens at once is
//! found where few kinds happen often. **Nearness.** Half of all faults begin near an edge of another: races are short. Half of
//! all crashes come near a beat at which disks work: what is lost between a write and its sync, only such a crash loses.
//! **Two phases.** In most runs a core is chosen (a controller, its devices, a majority of votes). What touches it ends at the
//! time of healing; everything else may stay broken. What the checkers demand they read from the world alone, never from here.

use r_ems_engine::Span;
use r_ems_engine::rng::Stream;

use super::case::{Case, part};
use super::fault::{Fault, Scope, Value};
use super::kinds::{Drawn, HOST_CRASH, KINDS, Kind, Lasts, PARTITION};
use super::settings::{self, Setting};
use super::site::Facts;

/// A kind takes part in one of so many runs, and so it is drawn for each run: many kinds that meet, or few that happen often.
const TAKES_PART_OF: [u64; 3] = [2, 4, 8];
/// Kinds that leave what the site declares take part in one of so many runs at all.
const BEYOND_OF: u64 = 8;
/// One of so many runs never heals.
const NEVER_HEALS_OF: u64 = 4;
/// One of so many runs keeps things as its scenario says.
const AS_STATED_OF: u64 = 2;
/// In one of so many runs writes are slow.
const SLOW_WRITES_OF: u64 = 2;
/// In one of so many runs a host has another site file than the others.
const DIFFERS_OF: u64 = 8;
/// A crash near a beat of disks comes so much later at the most: what is to become durable takes some syncs.
const AFTER_BEAT_MAX: Span = Span::from_millis(30);
/// Heaviest weight of a kind.
const WEIGHT_MAX: u64 = 8;
/// How often a draw that collides with another fault is repeated.
const REPEATS_MAX: u32 = 4;
/// Most faults of a run by size of its list, evenly drawn.
const MOST: [u64; 4] = [2, 5, 12, 30];

/// A source of chance and a site.
pub struct Draw<'a> {
    site: &'a Facts,
    length: Span,
    stream: Stream,
    has_disks: bool,
    beats: Vec<Span>,
}

/// What is whole after the time of healing.
struct Core {
    controller: u16,
    hosts: Vec<u16>,
    heals_at: Span,
}

/// Draws the case of a number.
pub fn draw(site: &Facts, length: Span, seed: u64, number: u64) -> Case {
    let stream = Stream::named(seed, &format!("explore {number}"));
    let (has_disks, beats) = (site.has_disks, site.beats.clone());
    let mut draw = Draw { site, length, stream, has_disks, beats };
    // Nineteen digits are as good as twenty, and any reader of JSON takes them.
    let network_seed = draw.stream.word() >> 33;
    let mut settings = draw.kept();
    settings.extend(draw.writes());
    if draw.below(DIFFERS_OF) == 0 {
        settings.extend(settings::differs(&mut draw));
    }
    Case { network_seed, length, faults: draw.faults(), calmed: 0, settings }
}

impl Draw<'_> {
    /// Draws how things are kept, in some of the runs.
    fn kept(&mut self) -> Vec<Setting> {
        if self.below(AS_STATED_OF) == 0 {
            return Vec::new();
        }
        let mut drawn = Vec::new();
        if !self.has_disks {
            self.has_disks = true;
            drawn.push(settings::KEPT);
        }
        for values in settings::DRAWN {
            if self.below(2) == 0 {
                drawn.push(values[self.below(values.len() as u64) as usize].clone());
            }
        }
        self.beats.extend(drawn.iter().filter_map(|setting| setting.beat));
        drawn
    }

    /// Draws how long writes are on their way, in some of the runs, and in some of those how often there are any. Where the
    /// scenario itself exceeds what its site declares, that is looked at in more of them.
    fn writes(&mut self) -> Vec<Setting> {
        let exceeds_d = self.site.exceeds_d();
        if self.below(SLOW_WRITES_OF) != 0 && !(exceeds_d && self.below(SLOW_WRITES_OF) == 0) {
            return Vec::new();
        }
        let (site, is_often) = (self.site, self.below(2) == 0 || exceeds_d);
        let mut drawn = Vec::new();
        for (place, grid) in site.grids.iter().enumerate() {
            for device in &grid.controlled {
                drawn.extend(settings::slow_writes(self, place, device));
            }
            if is_often {
                drawn.extend(settings::often_written(grid));
            }
        }
        drawn
    }

    fn faults(&mut self) -> Vec<Fault> {
        let goes_beyond = self.below(BEYOND_OF) == 0;
        let takes_part_of = self.one_of(&TAKES_PART_OF).expect("the list is not empty");
        let mut weights: Vec<u64> =
            KINDS.iter().map(|kind| self.weight(kind, takes_part_of, goes_beyond)).collect();
        if self.has_disks {
            // Nobody sees what a disk did wrong before its host has lost its memory.
            weights[HOST_CRASH] = weights[HOST_CRASH].max(1 + self.below(WEIGHT_MAX));
        }
        if self.site.exceeds_d() {
            // A write that is late counts only where its sender lives on and is not heard.
            weights[PARTITION] = weights[PARTITION].max(1 + self.below(WEIGHT_MAX));
        }
        let most = self.one_of(&MOST).expect("the list is not empty");
        let count = 1 + self.below(most);
        let core = self.core();
        let mut faults: Vec<Fault> = Vec::new();
        for _fault in 0..count {
            for _repeat in 0..REPEATS_MAX {
                let Some(kind) = self.weighted(&weights) else { return faults };
                let new = self.fault(kind, core.as_ref(), &faults);
                let collides = |fault: &Fault| faults.iter().any(|known| known.collides(fault));
                if !new.is_empty() && !new.iter().any(collides) {
                    faults.extend(new);
                    break;
                }
            }
        }
        faults.sort_by_key(|fault| fault.from);
        faults
    }

    fn weight(&mut self, kind: &Kind, takes_part_of: u64, goes_beyond: bool) -> u64 {
        let takes_part = self.below(takes_part_of) == 0;
        let weight = 1 + self.below(WEIGHT_MAX);
        if takes_part && (goes_beyond || !kind.is_beyond) { weight } else { 0 }
    }

    fn weighted(&mut self, weights: &[u64]) -> Option<usize> {
        let sum: u64 = weights.iter().sum();
        if sum == 0 {
            return None;
        }
        let mut left = self.below(sum);
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return Some(place);
            }
            left -= weight;
        }
        None
    }

    /// Draws a core that heals, in most runs.
    fn core(&mut self) -> Option<Core> {
        if self.below(NEVER_HEALS_OF) == 0 {
            return None;
        }
        let grid = self.shared_grid()?;
        let controller = self.controller_of(grid)?;
        let own = self.site.members[usize::from(controller)].host;
        let mut others: Vec<u16> =
            self.site.voting_hosts(grid).into_iter().filter(|host| *host != own).collect();
        let mut hosts = vec![own];
        while hosts.len() < self.site.grids[grid].majority && !others.is_empty() {
            hosts.push(others.swap_remove(self.below(others.len() as u64) as usize));
        }
        // From three to six tenths of the run: long enough to break things, and time is left to settle.
        let heals_at = part(self.length, 20) * (6 + self.below(7));
        Some(Core { controller, hosts, heals_at })
    }

    fn fault(&mut self, kind: usize, core: Option<&Core>, known: &[Fault]) -> Vec<Fault> {
        let Some(Drawn { what, scope, lasts }) = (KINDS[kind].draw)(self) else { return Vec::new() };
        let is_window = matches!(lasts, Lasts::For(_));
        let end = match core {
            // What an operator asks for is over too: it may move authority whomever it is asked of.
            Some(core) if !is_window || core.is_touched(&scope, self.site) => core.heals_at,
            Some(_) | None => self.length,
        };
        let from = if what.takes_memory() && self.below(2) == 0 {
            self.begin_at_beat(end)
        } else {
            self.begin(known, end)
        };
        let by = |span: Span| (from + span).min(end);
        let is_longer = |to: Span| to > from;
        let fault = |from, to, what| Fault { kind, from, to, what, scope: scope.clone() };
        match lasts {
            Lasts::Instant => vec![fault(from, None, what)],
            Lasts::For(span) if is_longer(by(span)) => vec![fault(from, Some(by(span)), what)],
            Lasts::Until(span, undo) if is_longer(by(span)) => {
                vec![fault(from, None, what), fault(by(span), None, undo)]
            }
            Lasts::For(_) | Lasts::Until(..) => Vec::new(),
        }
    }

    /// When a crash comes just after disks began to work.
    fn begin_at_beat(&mut self, end: Span) -> Span {
        let anywhere = Span::from_nanos(self.below(end.as_nanos().max(1)));
        let beats = self.beats.clone();
        let Some(beat) = self.one_of(&beats) else { return anywhere };
        let near = beat * anywhere.whole(beat) + self.span(Span::from_micros(1), AFTER_BEAT_MAX);
        if near < end { near } else { anywhere }
    }

    /// When a fault begins that must be over by `end`.
    fn begin(&mut self, known: &[Fault], end: Span) -> Span {
        let anywhere = Span::from_nanos(self.below(end.as_nanos().max(1)));
        if known.is_empty() || self.below(2) == 0 {
            return anywhere;
        }
        let place = self.below(known.len() as u64) as usize;
        let edge = match known[place].to {
            Some(to) if self.below(2) == 0 => to,
            Some(_) | None => known[place].from,
        };
        let offset = self.span(Span::from_micros(1), self.lease() * 4);
        let near = if self.below(3) == 0 { edge - offset } else { edge + offset };
        if near < end { near } else { anywhere }
    }

    /// The site.
    pub fn site(&self) -> &Facts {
        self.site
    }

    /// How long the run lasts.
    pub const fn length(&self) -> Span {
        self.length
    }

    /// The lease of a shared grid, or a stand-in: the scale of all that is interesting.
    pub fn lease(&self) -> Span {
        self.site.lease
    }

    /// The smallest declared bound of clock-rate errors.
    pub fn clock_rate_max_ppm(&self) -> u32 {
        self.site.clock_rate_max_ppb / 1_000
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.stream.below(n)
    }

    /// A number from `low` to `high`, evenly by its logarithm; both above 0.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let high = high.max(low);
        let exponents = u64::from(64 - low.leading_zeros())..=u64::from(64 - high.leading_zeros());
        let count = exponents.end() - exponents.start() + 1;
        let bits = exponents.start() + self.below(count);
        let (least, most) = (1_u64 << (bits - 1), (1_u64 << (bits - 1)) | ((1_u64 << (bits - 1)) - 1));
        let (least, most) = (least.max(low), most.min(high));
        least + self.below(most - least + 1)
    }

    /// A span, evenly by its logarithm, in whole microseconds.
    pub fn span(&mut self, low: Span, high: Span) -> Span {
        let micros = |span: Span| (span.as_nanos() / 1_000).max(1);
        Span::from_micros(self.between(micros(low), micros(high)))
    }

    /// One of some.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len() as u64) as usize])
    }

    /// A host on which something runs.
    pub fn host(&mut self) -> Option<u16> {
        let site = self.site;
        self.one_of(&site.used_hosts)
    }

    /// A member of the fleet.
    pub fn member(&mut self) -> Option<u16> {
        let count = self.site.members.len() as u64;
        (count > 0).then(|| self.below(count) as u16)
    }

    /// Two different hosts on which something runs.
    pub fn path(&mut self) -> Option<(u16, u16)> {
        let hosts = &self.site.used_hosts;
        if hosts.len() < 2 {
            return None;
        }
        let from = self.below(hosts.len() as u64) as usize;
        let to = (from + 1 + self.below(hosts.len() as u64 - 1) as usize) % hosts.len();
        Some((hosts[from], hosts[to]))
    }

    /// All hosts in two sides, none empty.
    pub fn two_sides(&mut self) -> Option<(Vec<u16>, Vec<u16>)> {
        let hosts = &self.site.used_hosts;
        let (first, second) = self.path()?;
        let mut sides = (vec![first], vec![second]);
        for host in hosts.iter().filter(|host| ![first, second].contains(host)) {
            if self.below(2) == 0 { sides.0.push(*host) } else { sides.1.push(*host) }
        }
        sides.0.sort_unstable();
        sides.1.sort_unstable();
        Some(sides)
    }

    /// A device of a grid, with its full name.
    pub fn device(&mut self) -> Option<(usize, String)> {
        let grid = self.below(self.site.grids.len() as u64) as usize;
        let known = &self.site.grids[grid];
        let device = self.below((known.devices.len() as u64).max(1)) as usize;
        known.devices.get(device).map(|device| (grid, format!("{}/{device}", known.name)))
    }

    /// A point of a device of a grid, with its full name.
    pub fn point(&mut self) -> Option<(usize, String)> {
        let grid = self.below(self.site.grids.len() as u64) as usize;
        let known = &self.site.grids[grid];
        let point = self.below((known.points.len() as u64).max(1)) as usize;
        known.points.get(point).map(|point| (grid, format!("{}/{point}", known.name)))
    }

    /// A host on whose disk something is kept.
    pub fn disk(&mut self) -> Option<u16> {
        if self.has_disks { self.host() } else { None }
    }

    /// A device of a grid that takes set-points, with its full name.
    pub fn controlled_device(&mut self) -> Option<(usize, String)> {
        let grid = self.below(self.site.grids.len() as u64) as usize;
        let known = &self.site.grids[grid];
        let device = self.below((known.controlled.len() as u64).max(1)) as usize;
        known.controlled.get(device).map(|device| (grid, format!("{}/{}", known.name, device.name)))
    }

    /// A grid with several controllers.
    pub fn shared_grid(&mut self) -> Option<usize> {
        let shared = (0..self.site.grids.len()).filter(|grid| self.site.controllers_of(*grid).len() > 1);
        let shared: Vec<usize> = shared.collect();
        self.one_of(&shared)
    }

    /// A controller of a grid.
    pub fn controller_of(&mut self, grid: usize) -> Option<u16> {
        let controllers = self.site.controllers_of(grid);
        self.one_of(&controllers)
    }

    /// A host as a value.
    pub fn host_name(&self, host: u16) -> Value {
        Value::Name(self.site.hosts[usize::from(host)].clone())
    }

    /// A member as a value.
    pub fn member_name(&self, member: u16) -> Value {
        self.site.member_value(member)
    }
}

impl Core {
    fn is_touched(&self, scope: &Scope, site: &Facts) -> bool {
        match scope {
            Scope::Host(host) | Scope::Disk(host) => self.hosts.contains(host),
            Scope::Member(member) => self.hosts.contains(&site.members[usize::from(*member)].host),
            Scope::Paths(paths) => {
                paths.iter().any(|(from, to)| self.hosts.contains(from) && self.hosts.contains(to))
            }
            Scope::Devices(controllers) => controllers.contains(&self.controller),
        }
    }
}

//! The site that is explored: a scenario, cut to a short window and without all that happens in it.
//!
//! **The window** is [`LENGTH`] long, or as long as authority needs to settle several times. It begins so that what happens first
//! in the scenario would lie at a third of it; where nothing happens, at the scenario's start. The plant begins as the scenario
//! says, whenever that is. Faults, timeline, expectations and tariff are left out: whatever happens is drawn.
//!
//! What is explored is a text that uses the scenario, read as any other: a saved failure is that text with its faults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::persistence::SyncRule;
use r_ems_engine::points::DeviceSpec;
use r_ems_engine::redundancy::{OnSilence, Settings};
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Disk, Document, Files, Loaded, Overrides, Report};
use r_ems_sim::plant::{Bus, Component};
use r_ems_sim::progress::Promised;
use r_ems_sim::world::{LinkSpec, WorldSpec};

use super::case::part;
use super::fault::Value;
use super::settings::{self, Setting};
use crate::exit::Failure;
use crate::study::load::{NotLoaded, Noted};

/// How long a run is, if authority settles soon enough.
pub const LENGTH: Span = Span::from_secs(25);
/// A run is so many times as long as all that is to settle.
const SETTLES: u64 = 4;
/// What happens in a scenario first lies at this part of the window.
const FIRST_AT: u64 = 3;
/// No shorter scan is set because a D is too short: runs with it take longer.
const SCAN_SHORTEST: Span = Span::from_millis(5);
/// A setting under which a scenario expects nothing.
const NOTHING_EXPECTED: &str = "expect=[]";
/// What that sets.
const EXPECT: &str = "expect";

/// What can be made calmer about a site, for a failure that is easier to understand.
pub const CALMS: [Calm; 3] = [
    Calm { leaves_out: "links", instead: None },
    Calm { leaves_out: "clocks", instead: None },
    Calm { leaves_out: "network", instead: Some("network: (delay: \"1 ms\")") },
];

/// A part of a scenario that a failure may not need.
pub struct Calm {
    /// The part that is left out.
    pub leaves_out: &'static str,
    /// What is written instead.
    pub instead: Option<&'static str>,
}

/// What is left out of every scenario.
const LEFT_OUT: [&str; 5] = ["note", "expect", "faults", "timeline", "tariff"];

/// A site with everything that a run needs.
pub struct Site<F: FunctionSet> {
    /// The scenario's file.
    pub file: PathBuf,
    /// What the scenario is called.
    pub name: String,
    /// When the window begins, as a scenario writes it.
    pub start: String,
    /// How long a run is at the most.
    pub length: Span,
    /// A run that is shorter sees nothing settle: that authority comes back in time is not checked in it.
    pub settles: Span,
    /// What faults are drawn from.
    pub facts: Facts,
    /// What somebody should look at before exploring it.
    pub warnings: Report,
    /// Every file that was read for it: a search writes over none of them.
    pub inputs: Vec<PathBuf>,
    settings: Vec<String>,
    /// The same as a field `set` states it: paths, and values in RON.
    stated: Vec<(String, String)>,
    plain: Arc<Variant<F>>,
    others: Mutex<Variants<F>>,
}

/// The site as it is, or calmer, or with other settings.
pub(super) struct Variant<F: FunctionSet> {
    pub(super) documents: Vec<Document>,
    pub(super) world: WorldSpec,
    pub(super) controllers: Vec<ControllerSpec<F>>,
    /// Whether a setting has writes last longer than their D.
    pub(super) outlasts_d: bool,
    /// Whether members may not understand each other, because a host differs.
    pub(super) differs: bool,
}

/// By what is calmer, and by what is set.
type Variants<F> = BTreeMap<(u8, Vec<Setting>), Arc<Variant<F>>>;

/// The names and numbers of a site.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The names of its hosts.
    pub hosts: Vec<String>,
    /// The hosts on which something runs.
    pub used_hosts: Vec<u16>,
    /// The members of the fleet.
    pub members: Vec<MemberFacts>,
    /// Its grids.
    pub grids: Vec<GridFacts>,
    /// The lease of the first shared grid.
    pub lease: Span,
    /// The smallest bound of a clock's rate in parts per billion.
    pub clock_rate_max_ppb: u32,
    /// Whether anything is kept on disks.
    pub has_disks: bool,
    /// The times between two of what makes a disk work.
    pub beats: Vec<Span>,
}

/// A member of the fleet.
#[derive(Clone, Debug)]
pub struct MemberFacts {
    /// Its id in its grid.
    pub id: String,
    /// Its grid, by its place.
    pub grid: usize,
    /// Its host, by its place.
    pub host: u16,
    /// Whether it only votes.
    pub is_witness: bool,
    /// Whether it casts the vote of its host.
    pub votes: bool,
}

/// A grid.
#[derive(Clone, Debug)]
pub struct GridFacts {
    /// Its name.
    pub name: String,
    /// Its devices.
    pub devices: Vec<String>,
    /// Its lease, where several controllers share it.
    pub lease: Span,
    /// What they report, as points of a device.
    pub points: Vec<String>,
    /// Those of them that take set-points.
    pub controlled: Vec<Controlled>,
    /// A scan with which its controllers act often: two or more while a lease lasts, and where a D is too short so many that a
    /// set-point can be repeated within the time by which it is.
    pub scan_brisk: Span,
    /// So many votes are a majority.
    pub majority: usize,
    /// Whether two may write at once by its own rules, while they do not hear each other.
    pub may_overlap: bool,
    /// So long after that one of them may not yet have given way: W and a heartbeat.
    pub gives_way_within: Span,
}

/// A device that takes set-points.
#[derive(Clone, Debug)]
pub struct Controlled {
    /// Its name in its grid.
    pub name: String,
    /// How long an exchange with it really takes, over the slowest of its links.
    pub latency: Span,
    /// How long the scenario itself has a write to it on its way at the most, over the slowest of its links.
    pub write_really: Span,
    /// When an exchange has failed.
    pub timeout: Span,
    /// Whether it refuses lower epochs than it knows.
    pub checks_epochs: bool,
    /// So long a write may be on its way without harm: D, or a lease where it checks epochs.
    pub longest_write: Span,
    /// When the battery falls back by itself, if it can be told to be written to more often than that needs.
    pub reversion: Option<Span>,
}

impl<F: FunctionSet> Site<F> {
    /// Opens a scenario's site. `settings` change the scenario as the command line does; `length` is that of a run.
    ///
    /// # Errors
    /// The scenario is wrong, or has no grid that several controllers share.
    pub fn open(file: &Path, settings: &[String], length: Option<Span>) -> Result<Self, Failure> {
        // What it expects is no part of what is explored, and other intervals are not held against it.
        let unexpecting: Vec<String> =
            settings.iter().cloned().chain([NOTHING_EXPECTED.to_owned()]).collect();
        let files = Noted::default();
        let whole = load::<F>(&files, file, &unexpecting)?;
        let facts = Facts::of(&whole);
        if facts.shared().next().is_none() {
            let message = format!(
                "{}: no grid has more than one controller: nobody takes over, and there is nothing to explore",
                file.display()
            );
            return Err(Failure::usage(message));
        }
        let longest =
            whole.world.promised.iter().map(|promised| promised.settles_within + promised.within).max();
        let settles = longest.unwrap_or(Span::ZERO) * SETTLES;
        let least = LENGTH.max(settles);
        let length = length.unwrap_or(least).min(whole.world.duration);
        let first = whole.world.timeline.first().map_or(Span::ZERO, |timed| timed.at.since(Time::ZERO));
        let second = Span::from_secs(1);
        let before = (first - part(length, FIRST_AT)).min(whole.world.duration - length);
        let into = second * before.whole(second);
        let start = (whole.world.start + into).local(whole.time_zone).to_string();
        let mut site = Self {
            file: file.to_owned(),
            name: whole.name.clone(),
            start,
            length,
            settles,
            facts,
            warnings: whole.warnings.clone(),
            inputs: files.into_inputs(),
            settings: settings.to_vec(),
            stated: whole.settings.iter().filter(|set| set.0 != EXPECT).cloned().collect(),
            plain: Arc::new(Variant::of(whole)),
            others: Mutex::default(),
        };
        site.plain = Arc::new(site.load(0, &[])?);
        Ok(site)
    }

    /// The fields of a scenario that uses this one's file under the name `used`, with entries of a map `set`.
    pub fn fields(&self, used: &str, calmed: u8, set: &[String], length: Span) -> String {
        let calms =
            || CALMS.iter().enumerate().filter(|(place, _)| calmed >> place & 1 == 1).map(|calm| calm.1);
        let without: Vec<&str> = LEFT_OUT.into_iter().chain(calms().map(|calm| calm.leaves_out)).collect();
        let mut text = format!("    use: [{used:?}],\n    without: {without:?},\n");
        for instead in calms().filter_map(|calm| calm.instead) {
            text += &format!("    {instead},\n");
        }
        if !set.is_empty() {
            text += &format!("    set: {{ {} }},\n", set.join(", "));
        }
        text + &format!("    start: \"{}\",\n    duration: \"{length}\",\n", self.start)
    }

    /// What the redundancy of its grids promises.
    pub fn promised(&self) -> &[Promised] {
        &self.plain.world.promised
    }

    /// What the command line sets.
    pub fn settings(&self) -> &[String] {
        &self.settings
    }

    /// The same as entries of a map `set`; of what is set twice the last counts.
    pub fn stated(&self) -> Vec<String> {
        let is_last = |place: usize, path: &str| self.stated[place + 1..].iter().all(|later| later.0 != path);
        let last = self.stated.iter().enumerate().filter(|(place, (path, _))| is_last(*place, path));
        last.map(|(_, (path, value))| format!("{path:?}: {value}")).collect()
    }

    /// Whether a text is read as a scenario, as it would be as a file of this name.
    pub fn reads(&self, path: &Path, text: &str) -> bool {
        let files = Explored { path: path.to_string_lossy().into_owned(), text: text.to_owned() };
        load::<F>(&files, path, &[]).is_ok()
    }

    /// The site as it is, or calmer, or with other settings.
    pub(super) fn variant(&self, calmed: u8, settings: &[Setting]) -> Result<Arc<Variant<F>>, Failure> {
        if calmed == 0 && settings.is_empty() {
            return Ok(Arc::clone(&self.plain));
        }
        let mut others = self.others.lock().expect("nobody panics while holding it");
        let key = (calmed, settings.to_vec());
        if let Some(known) = others.get(&key) {
            return Ok(Arc::clone(known));
        }
        let mut made = self.load(calmed, settings)?;
        // None of both changes a plant, whose profiles are large.
        made.world.grids.clone_from(&self.plain.world.grids);
        made.outlasts_d = settings.iter().any(|setting| setting.outlasts_d);
        made.differs = settings.iter().any(Setting::differs);
        let made = Arc::new(made);
        others.insert(key, Arc::clone(&made));
        Ok(made)
    }

    fn load(&self, calmed: u8, settings: &[Setting]) -> Result<Variant<F>, Failure> {
        let used = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let set: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let text = format!("Scenario(\n    version: 1,\n{})\n", self.fields(used, calmed, &set, self.length));
        let path = self.file.with_file_name(format!("{used}: explored"));
        let files = Explored { path: path.to_string_lossy().into_owned(), text };
        load::<F>(&files, &path, &self.settings).map(Variant::of)
    }
}

impl<F: FunctionSet> Variant<F> {
    fn of(loaded: Loaded<F>) -> Self {
        let Loaded { documents, world, controllers, .. } = loaded;
        Self { documents, world, controllers, outlasts_d: false, differs: false }
    }
}

fn load<F: FunctionSet>(files: &dyn Files, path: &Path, settings: &[String]) -> Result<Loaded<F>, Failure> {
    let path = path.to_str().ok_or_else(|| {
        Failure::usage(format!("{}: the path must be UTF-8 text; rename it", path.display()))
    })?;
    let overrides = Overrides { settings: settings.to_vec(), ..Overrides::default() };
    r_ems_scenarios::load::<F>(files, path, &overrides).map_err(|report| NotLoaded::Wrong(report).into())
}

/// The disk, and the text that uses a scenario beside it.
struct Explored {
    path: String,
    text: String,
}

impl Files for Explored {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        if path == self.path { Ok(self.text.clone().into_bytes()) } else { Disk.read(path, bytes_max) }
    }
}

/// What takes set-points in a grid: its devices, the links that each of its controllers has to them, and its plant.
fn controlled(
    (devices, found): (&[DeviceSpec], &BusSpec),
    links: &[&[LinkSpec]],
    bus: &Bus,
    lease: Span,
) -> Vec<Controlled> {
    // Who takes its reversion over the wire takes whole seconds.
    let is_told_it =
        |place: usize| found.map_of(DeviceIndex::of(place)).is_some_and(|map| map.models().is_some());
    let of = |(place, device): (usize, &DeviceSpec)| {
        let to_it = || links.iter().filter_map(|links| links.get(place));
        let slowest = |takes: fn(&LinkSpec) -> Span| to_it().map(takes).max().unwrap_or(Span::ZERO);
        let link = &links[0][place];
        // What the plant does by itself stays as it is only where the plant can be told so.
        let reversion = match &bus.components()[usize::from(link.component.0)] {
            Component::Battery(battery) if device.write_interval.is_zero() && !is_told_it(place) => {
                battery.spec().reversion
            }
            Component::Battery(_)
            | Component::Connection(_)
            | Component::Load(_)
            | Component::Pv(_)
            | Component::Receiver(_)
            | Component::Genset(_)
            | Component::Tie(_) => None,
        };
        Controlled {
            name: device.name.clone(),
            latency: slowest(|link| link.latency),
            write_really: slowest(|link| link.latency + link.write_delay.longest()),
            timeout: link.timeout,
            checks_epochs: device.checks_epochs,
            longest_write: if device.checks_epochs { lease } else { device.longest_write },
            reversion,
        }
    };
    devices.iter().enumerate().filter(|(_, device)| device.class.is_controlled()).map(of).collect()
}

/// A scan so short that a set-point, which is repeated after half of [`settings::REVERSION_SCANS`], is sent within the time by
/// which a D is too short, if one is; at the most `scan`.
fn scan_brisk(scan: Span, controlled: &[Controlled]) -> Span {
    let step = Span::from_millis(1);
    let within = |excess: Span| step * part(excess, settings::REVERSION_SCANS / 2).whole(step);
    let excesses = controlled.iter().filter_map(Controlled::exceeds_d);
    excesses.map(|excess| within(excess).max(SCAN_SHORTEST)).fold(scan, Span::min)
}

fn points(devices: &[DeviceSpec]) -> Vec<String> {
    let of = |device: &DeviceSpec| {
        let name = device.name.clone();
        device.points.iter().map(move |point| format!("{name}.{}", point.name()))
    };
    devices.iter().flat_map(of).collect()
}

/// How often disks have work that a scenario says of itself.
fn beats<F: FunctionSet>(loaded: &Loaded<F>) -> Vec<Span> {
    let Some(kept) = &loaded.world.persistence else { return Vec::new() };
    let sync = match kept.journal.sync {
        SyncRule::Every(span) => Some(span),
        SyncRule::Strict => None,
    };
    let snapshots = loaded.controllers.iter().find_map(|spec| spec.snapshots.every);
    sync.into_iter().chain(snapshots).collect()
}

impl Controlled {
    /// By how much the scenario has writes on their way for longer than the site declares; nothing where it keeps what is
    /// declared, or nothing has to be because the device checks epochs.
    pub fn exceeds_d(&self) -> Option<Span> {
        let excess = self.write_really - self.longest_write;
        (!self.checks_epochs && !excess.is_zero()).then_some(excess)
    }
}

impl Facts {
    /// Whether the scenario has writes on their way for longer than its site declares.
    pub fn exceeds_d(&self) -> bool {
        self.grids.iter().flat_map(|grid| &grid.controlled).any(|device| device.exceeds_d().is_some())
    }

    fn of<F: FunctionSet>(loaded: &Loaded<F>) -> Self {
        let mut members = Vec::new();
        let mut grids: Vec<GridFacts> = Vec::new();
        let mut shared: Vec<&Settings> = Vec::new();
        for (spec, post) in loaded.controllers.iter().zip(&loaded.world.posts) {
            let council = &spec.redundancy.council;
            let settings = &spec.redundancy.settings;
            let grid = usize::from(post.grid);
            if grid == grids.len() {
                let bus = &loaded.world.grids[grid].bus;
                let of_grid = loaded.world.posts.iter().filter(|known| known.grid == post.grid);
                let links: Vec<&[LinkSpec]> =
                    of_grid.map(|post| post.links.as_slice()).filter(|links| !links.is_empty()).collect();
                let controlled = controlled((&spec.devices, &spec.bus), &links, bus, settings.lease);
                grids.push(GridFacts {
                    name: spec.grid.clone(),
                    devices: spec.devices.iter().map(|device| device.name.clone()).collect(),
                    lease: settings.lease,
                    points: points(&spec.devices),
                    scan_brisk: scan_brisk(spec.scan.min(part(settings.lease, 2)), &controlled),
                    controlled,
                    majority: council.majority() as usize,
                    may_overlap: council.is_pair() && settings.on_silence == OnSilence::TakeOver,
                    gives_way_within: settings.grantor_wait() + settings.heartbeat,
                });
            }
            if !council.is_alone() {
                shared.push(settings);
            }
            members.push(MemberFacts {
                id: spec.id.clone(),
                grid,
                host: post.host,
                is_witness: council.is_witness(council.me()),
                votes: council.votes(council.me()),
            });
        }
        let mut used_hosts: Vec<u16> = members.iter().map(|member| member.host).collect();
        used_hosts.sort_unstable();
        used_hosts.dedup();
        let rates = shared.iter().map(|settings| settings.clock_rate_max_ppb);
        Self {
            hosts: loaded.hosts.clone(),
            used_hosts,
            lease: shared.first().map_or(Settings::DEFAULT.lease, |settings| settings.lease),
            clock_rate_max_ppb: rates.min().unwrap_or(Settings::DEFAULT.clock_rate_max_ppb),
            has_disks: loaded.world.persistence.is_some(),
            beats: beats(loaded),
            members,
            grids,
        }
    }

    /// The controllers of a grid, without a witness.
    pub fn controllers_of(&self, grid: usize) -> Vec<u16> {
        let of_grid = |entry: &(u16, &MemberFacts)| entry.1.grid == grid && !entry.1.is_witness;
        (0..).zip(&self.members).filter(of_grid).map(|entry| entry.0).collect()
    }

    /// The grids that several controllers share.
    pub fn shared(&self) -> impl Iterator<Item = usize> {
        (0..self.grids.len()).filter(|grid| self.controllers_of(*grid).len() > 1)
    }

    /// The hosts that have votes in a grid.
    pub fn voting_hosts(&self, grid: usize) -> Vec<u16> {
        let votes = |member: &&MemberFacts| member.grid == grid && member.votes;
        self.members.iter().filter(votes).map(|member| member.host).collect()
    }

    /// The full name of a member.
    pub fn member_name(&self, member: u16) -> String {
        let known = &self.members[usize::from(member)];
        format!("{}/{}", self.grids[known.grid].name, known.id)
    }

    /// The full name of a member as a value.
    pub fn member_value(&self, member: u16) -> Value {
        Value::Name(self.member_name(member))
    }
}

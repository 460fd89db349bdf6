//! A site as this host runs it: which controllers stand here, what is left of their lives before, and what they reach.
//!
//! What happens here happens before the loop begins: it may wait for disks and for names, and what is wrong ends the program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::Header;
use r_ems_engine::machine::{Machine, State};
use r_ems_engine::persistence::recovery::newest_header;
use r_ems_engine::persistence::{Recovered, recover};
use r_ems_engine::redundancy::letter::name_of;
use r_ems_engine::units::Watts;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_scenarios::{Disk as Files, Memory, RealMember, RealSite, load_site};
use r_ems_site::BootClock;
use r_ems_site::clock::{Face, wall_clock};
use r_ems_site::control::{Control, control};
use r_ems_site::disk::{Disk, Folder};
use r_ems_site::peers::{Key, Peers};
use r_ems_site::reactor::Reactor;
use r_ems_site::site::{Gauges, LifeSpec, Makes, PostSpec, SiteDriver, World};

use super::about::{About, GridAbout, MemberAbout, MemberPlace};
use super::args::Arguments;
use super::hosts::Hosts;
use super::reload::{Again, Effective, again};
use super::running::STOP_PATIENCE;
use super::socket::{Readers, listen_to_readers};
use super::{neighbors, ports};
use crate::api::SYSTEM_STATE;
use crate::exit::{Exit, Failure};
use crate::names;
use crate::study::contained::{Recovering, contained};
use crate::study::load::report_text;
use crate::ways;

/// What a run with no simulated device is called.
const ALL_REAL: &str = "all real";

/// A site that can be run.
pub(super) struct Site<F: FunctionSet> {
    pub(super) about: About,
    pub(super) effective: Effective,
    pub(super) again: Again,
    pub(super) machines: Vec<Controller<F>>,
    pub(super) driver: SiteDriver,
    pub(super) control: Control,
    pub(super) face: Face,
    pub(super) hosts: Hosts,
    pub(super) gauges: Gauges,
    pub(super) readers: Option<Readers>,
}

/// Loads a site file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn load<F: FunctionSet>(path: &Path) -> Result<RealSite<F>, Failure> {
    let text = path.to_str().ok_or_else(|| {
        Failure::usage(format!("{}: the path must be UTF-8 text; rename it", path.display()))
    })?;
    let site = load_site::<F>(&Files, text).map_err(|report| {
        let message = format!("the site is wrong\n\n{}", report_text(&report));
        Failure { exit: Exit::BadScenario, message }
    })?;
    if !site.warnings.mistakes.is_empty() {
        tracing::warn!("{}", report_text(&site.warnings));
    }
    Ok(site)
}

/// Makes everything that a loop needs; `simulated` are devices that are none, each "commerce/bess".
///
/// # Errors
/// What this host cannot do.
pub(super) fn begin<F>(
    site: &RealSite<F>,
    arguments: &Arguments,
    simulated: &[String],
) -> Result<Site<F>, Failure>
where
    F: FunctionSet + Send + Sync + 'static,
{
    let host = this_host(site, arguments.host.as_deref())?;
    let members: Vec<&RealMember<F>> = site.members.iter().filter(|member| member.host() == host).collect();
    let name = &site.hosts[usize::from(host)].name;
    if members.is_empty() {
        let message = format!("{}: no controller stands on host {name}", site.document.path());
        return Err(Failure { exit: Exit::BadScenario, message });
    }
    neighbors::look(&members);
    ports::look(&members);
    let machines: Vec<Controller<F>> = members.iter().map(|member| Controller::new(&member.spec)).collect();
    let state = arguments.state.clone().unwrap_or_else(state_directory);
    let title = title(simulated);
    let mut places = Vec::with_capacity(members.len());
    for (member, machine) in members.iter().zip(&machines) {
        let life = life_of(site, member, machine, &title);
        places.push(Place::look(member, life, &state)?);
    }
    let wall = wall_clock();
    let resumed = places.iter().filter_map(|place| place.found.last).map(|last| last.resumes_at(wall)).max();
    let begins = Time::from_nanos(resumed.unwrap_or(LocalTime::ZERO).as_nanos());
    let start = wall.map_or(WallTime::from_unix_nanos(0), |wall| {
        wall.moved(-i64::try_from(begins.as_nanos()).unwrap_or(i64::MAX))
    });
    let hosts = Hosts::default();
    let of_hosts = site.hosts.iter().map(|host| host.name.clone()).collect();
    let of_controllers: Vec<String> =
        members.iter().map(|member| format!("{}/{}", member.spec.grid, member.spec.id)).collect();
    let tell = hosts.listener(of_controllers.clone(), of_hosts);
    let failed = |what: &str, error: std::io::Error| Failure::error(format!("{what}: {error}"));
    let clock = BootClock::resume_in(Span::ZERO, begins)
        .map_err(|error| failed("the clock cannot be used", error))?;
    let (control, controlled) = control(Some(clock.waker()));
    let (face, waker) = (clock.face(), clock.waker());
    let reactor = Reactor::new(clock).map_err(|error| failed("nothing can be waited for", error))?;
    let peers = peers(site, host, arguments.key.as_deref())?;
    let about = about(site, &members, start, face, simulated);
    let (mut folders, mut posts) = (Vec::new(), Vec::new());
    for (member, place) in members.iter().zip(places) {
        let Place { folder, life, mut found } = place;
        found.closed.iter_mut().for_each(|closed| closed.ended = begins);
        folders.push(folder);
        let spec = PostSpec {
            grid: name_of(&member.spec.grid),
            seat: member.seat,
            council: member.council.clone(),
            lines: member.ways.iter().map(ways::line).collect(),
            life: dated(life, start),
        };
        posts.push((spec, found));
    }
    let disk =
        Disk::start(folders, &waker).map_err(|error| failed("the disk's threads cannot start", error))?;
    let world = World { reactor, controlled, disk, peers, host, patience: STOP_PATIENCE, tell };
    let driver = SiteDriver::new::<Controller<F>, Recovering>(world, posts)
        .map_err(|error| failed("other hosts cannot be heard", error))?;
    let mode = if simulated.is_empty() { "production" } else { "hybrid" };
    let effective = Effective::of_site(mode, site);
    let effects = (control.clone(), effective.clone());
    let again = again(site, (host, of_controllers), (start, title), effects);
    let gauges = driver.gauges();
    let readers = site.hosts[usize::from(host)].listen.map(listen_to_readers).transpose()?;
    Ok(Site { about, effective, again, machines, driver, control, face, hosts, gauges, readers })
}

/// What is known of one controller before it lives.
struct Place {
    folder: Folder,
    life: LifeSpec,
    found: Recovered,
}

/// What a controller of a site begins its lives with, in logs that are called so.
pub(super) fn life_of<F: FunctionSet>(
    site: &RealSite<F>,
    member: &RealMember<F>,
    machine: &Controller<F>,
    title: &str,
) -> LifeSpec {
    let mut header = Header::new(F::NAMES, vec![names::of_spec(&member.spec)]);
    title.clone_into(&mut header.scenario);
    site.document.path().clone_into(&mut header.site_path);
    site.document.text().clone_into(&mut header.site_text);
    let mut fresh = Vec::new();
    machine.encode(&mut fresh);
    let path = header.site_path.clone();
    let (grid, id) = (member.spec.grid.clone(), member.spec.id.clone());
    let makes = move |text: &str| contained(|| made::<F>((&path, text), &grid, &id)).ok().flatten();
    let makes = Makes::new(makes);
    let has_at_stop = member.spec.devices.iter().any(|device| device.at_stop.is_some());
    LifeSpec { header, journal: site.journal, auto_replay: site.auto_replay, fresh, makes, has_at_stop }
}

/// The encoded state of a controller as this text of a site's file makes it, if it does.
fn made<F: FunctionSet>((path, text): (&str, &str), grid: &str, id: &str) -> Option<Vec<u8>> {
    let site = load_site::<F>(&Memory::new().with(path, text), path).ok()?;
    let member = site.members.iter().find(|member| member.spec.grid == grid && member.spec.id == id)?;
    let mut fresh = Vec::new();
    Controller::new(&member.spec).encode(&mut fresh);
    Some(fresh)
}

/// The same in a run that began then.
pub(super) fn dated(life: LifeSpec, start: WallTime) -> LifeSpec {
    LifeSpec { header: Header { start, ..life.header }, ..life }
}

impl Place {
    /// Looks what is left of the lives before, unless other devices were simulated in them than in this run.
    fn look<F: FunctionSet>(member: &RealMember<F>, life: LifeSpec, state: &Path) -> Result<Self, Failure> {
        let path = state.join(&member.spec.grid).join(&member.spec.id);
        let mut folder = Folder::open(&path).map_err(|error| {
            Failure::error(format!("{error}; --state names another place than {}", state.display()))
        })?;
        let name = format!("{}/{}", member.spec.grid, member.spec.id);
        let was = newest_header(&mut folder).map(|header| header.scenario);
        if let Some(was) = was.filter(|was| *was != life.header.scenario) {
            let in_words =
                |title: &str| if title.is_empty() { ALL_REAL.to_owned() } else { title.to_owned() };
            return Err(Failure::error(format!(
                "{name}: {} is of a run with other devices ({}) than this one ({}): what it remembers and promised is not true \
                 here; --state names another place than {}, or move that folder away",
                path.display(),
                in_words(&was),
                in_words(&life.header.scenario),
                state.display()
            )));
        }
        let found = recover::<Controller<F>, Recovering>(&mut folder, &life.expected());
        for finding in &found.findings {
            tracing::warn!("{name}: {}: {finding}", path.display());
        }
        Ok(Self { folder, life, found })
    }
}

/// What a log is called that tells of devices that are none; it is called as its site where there are none of these.
fn title(simulated: &[String]) -> String {
    if simulated.is_empty() {
        return String::new();
    }
    let mut simulated = simulated.to_vec();
    simulated.sort_unstable();
    format!("simulated: {}", simulated.join(", "))
}

/// Which host of the site this computer is.
pub(super) fn this_host<F: FunctionSet>(site: &RealSite<F>, wanted: Option<&str>) -> Result<u16, Failure> {
    let own = rustix::system::uname();
    let own = own.nodename().to_str().unwrap_or_default();
    let is_called = |name: &str| site.hosts.iter().position(|host| host.name == name);
    let found = match (wanted, site.hosts.len()) {
        (Some(name), _) => is_called(name),
        (None, 1) => Some(0),
        (None, _) => is_called(own),
    };
    found.and_then(|place| u16::try_from(place).ok()).ok_or_else(|| {
        let known: Vec<&str> = site.hosts.iter().map(|host| host.name.as_str()).collect();
        let (path, known) = (site.document.path(), known.join(", "));
        Failure::usage(match wanted {
            Some(name) => format!("--host {name}: {path} has the hosts {known}"),
            None => {
                format!("--host: say which host of {path} this is, one of {known}; no one is called {own}")
            }
        })
    })
}

/// The links to other hosts, if a controller here shares its grid with one there.
fn peers<F: FunctionSet>(
    site: &RealSite<F>,
    host: u16,
    key: Option<&Path>,
) -> Result<Option<Peers>, Failure> {
    let is_shared =
        |member: &&RealMember<F>| member.host() == host && member.council.iter().any(|other| *other != host);
    let Some(shared) = site.members.iter().find(is_shared) else { return Ok(None) };
    let Some(key) = key else {
        return Err(Failure::usage(format!(
            "--key: {}/{} shares its grid with other hosts, and all of them need the same key; make one with \
             (umask 077; openssl rand -hex 32 > site.key) and copy it to each host",
            shared.spec.grid, shared.spec.id
        )));
    };
    let key = Key::load(key).map_err(|error| Failure::error(format!("--key: {error}")))?;
    let addresses: Vec<Option<SocketAddr>> = site.hosts.iter().map(|host| host.address).collect();
    let name = &site.hosts[usize::from(host)].name;
    Peers::bind(host, &addresses, key).map(Some).map_err(|error| {
        let question = format!("is this computer {name} (--host), and runs no other r-emsd as it?");
        Failure::error(format!("{error}; it is the address of host {name}: {question}"))
    })
}

/// Where to keep what is to outlive the daemon, if nobody says otherwise.
#[expect(clippy::disallowed_methods, reason = "where a system keeps its files is no input of a run")]
fn state_directory() -> PathBuf {
    let given = std::env::var_os("STATE_DIRECTORY").filter(|directory| !directory.is_empty());
    // Of several, separated by colons, the first one.
    let first =
        given.as_ref().map(|given| given.to_string_lossy().split(':').next().unwrap_or_default().to_owned());
    first.map_or_else(|| PathBuf::from(SYSTEM_STATE), PathBuf::from)
}

/// The members of a grid, in the order of their seats; `here` are those of this host.
fn council<F: FunctionSet>(site: &RealSite<F>, here: &[&RealMember<F>], grid: &str) -> Vec<MemberAbout> {
    let member = |member: &RealMember<F>| {
        let is_it = |other: &&RealMember<F>| other.seat == member.seat && other.spec.grid == grid;
        let on = || MemberPlace::On(site.hosts[usize::from(member.host())].name.clone());
        let place = here.iter().position(is_it).map(ControllerIndex::of);
        MemberAbout { id: member.spec.id.clone(), place: place.map_or_else(on, MemberPlace::Here) }
    };
    site.members.iter().filter(|member| member.spec.grid == grid).map(member).collect()
}

/// The devices of a grid, by their names in it.
fn of_grid(grid: &str, devices: &[String]) -> Vec<String> {
    let name = |device: &String| Some(device.strip_prefix(grid)?.strip_prefix('/')?.to_owned());
    devices.iter().filter_map(name).collect()
}

fn about<F: FunctionSet>(
    site: &RealSite<F>,
    members: &[&RealMember<F>],
    start: WallTime,
    face: Face,
    simulated: &[String],
) -> About {
    let mut grids: Vec<GridAbout> = Vec::new();
    for member in members {
        if grids.iter().all(|grid| grid.name != member.spec.grid) {
            let capacities_wh =
                member.capacities.iter().map(|(name, holds)| (name.clone(), holds.watt_hours()));
            grids.push(GridAbout {
                members: council(site, members, &member.spec.grid),
                name: member.spec.grid.clone(),
                limit_w: member.shaving_limit.map(Watts::watts),
                capacities_wh: capacities_wh.collect(),
                simulated: of_grid(&member.spec.grid, simulated),
            });
        }
    }
    let controllers = members.iter().map(|member| names::of_spec(&member.spec)).collect();
    let title = site.document.path().to_owned();
    let offset = site.time_zone;
    About { title, start, face: Some(face), offset, grids, controllers, keeps_journals: true }
}

//! A site file as a real site runs it: no scenario, no plant, every device behind a protocol, and everything kept.
//!
//! A site that says nothing of persistence is kept as `persistence: ()` keeps it: what a controller promised must outlive it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::serial::SerialLine;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::persistence::JournalSettings;
use r_ems_engine::redundancy::Seat;
use r_ems_engine::units::{WattHours, Watts};
use r_ems_engine::wall::TimeZone;

use crate::assurance::{self, Ways};
use crate::device::Device;
use crate::files::{Document, Files};
use crate::leaf;
use crate::mistake::{Mistake, Notes, Report, Severity};
use crate::node::{Node, excerpt};
use crate::overrides::child;
use crate::site::{HOST_EXAMPLE, LISTEN_EXAMPLE, Site};
use crate::steps::Step;
use crate::{alike, fieldbus, fleet, network, persistence, scenario, site};

/// A site that was loaded to be run.
#[derive(Clone, Debug)]
pub struct RealSite<F: FunctionSet> {
    /// The file as it was read: for logs.
    pub document: Document,
    /// How local times are shown.
    pub time_zone: TimeZone,
    /// Its hosts.
    pub hosts: Vec<RealHost>,
    /// Its controllers and witnesses, grid by grid in the order of their seats.
    pub members: Vec<RealMember<F>>,
    /// How journals are kept.
    pub journal: JournalSettings,
    /// Whether states are recovered.
    pub auto_replay: bool,
    /// What somebody should look at.
    pub warnings: Report,
}

/// A computer of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealHost {
    /// Its name.
    pub name: String,
    /// Where it hears the others; a host that shares no grid with another one needs none.
    pub address: Option<SocketAddr>,
    /// Where its control API may be looked at over TCP.
    pub listen: Option<SocketAddr>,
}

/// A controller or witness of a site.
#[derive(Clone, Debug)]
pub struct RealMember<F: FunctionSet> {
    /// What it is.
    pub spec: ControllerSpec<F>,
    /// Its seat in the council of its grid.
    pub seat: Seat,
    /// By seat of that council: a position among the site's hosts. Its own is at its seat.
    pub council: Vec<u16>,
    /// Where the connections of its fieldbus lead.
    pub ways: Vec<RealWay>,
    /// The limit that peaks of its grid are shaved to.
    pub shaving_limit: Option<Watts>,
    /// How much batteries of its grid hold, by their names, as far as the file says so.
    pub capacities: BTreeMap<String, WattHours>,
}

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealWay {
    /// To a device or gateway in the network.
    Tcp(SocketAddr),
    /// To the serial port at a path of the controller's host.
    Serial(String, SerialLine),
}

impl<F: FunctionSet> RealMember<F> {
    /// The position of its host.
    pub fn host(&self) -> u16 {
        self.council[self.seat.position()]
    }
}

impl<F: FunctionSet> RealSite<F> {
    /// What somebody found out about a value of the file: at its place, or where the file would say it.
    ///
    /// # Shape
    /// `way`: the names that lead to it, and the positions in lists: `["grids", "shop", "devices", "bess", "link", "unit"]`
    pub fn finding(&self, way: &[&str], severity: Severity, message: &str) -> Mistake {
        let named = |name: &&str| {
            if name.parse::<usize>().is_ok() { format!("[{name}]") } else { format!(".{name}") }
        };
        let field: String = way.iter().map(named).collect();
        let field = field.trim_start_matches('.').to_owned();
        let Some(mut node) = Node::root(&self.document, &mut Notes::default()) else {
            return Mistake::of_file(self.document.path(), 0, &field, message).about(field.clone(), severity);
        };
        for name in way {
            let Ok(below) = child(&node, &Step::Name((*name).to_owned()), "") else { break };
            node = below;
        }
        node.mistake(message).about(field, severity)
    }
}

/// Loads a site file to be run.
///
/// # Errors
/// Every mistake that was found, warnings included.
pub fn load_site<F: FunctionSet>(files: &dyn Files, path: &str) -> Result<RealSite<F>, Report> {
    let mut notes = Notes::default();
    let made = scenario::read_document(files, path, &mut notes)
        .and_then(|document| alike::expanded(document, &mut notes))
        .and_then(|document| make::<F>(&document, &mut notes).map(|made| RealSite { document, ..made }));
    let report = notes.into_report();
    match made {
        Some(made) if !report.has_errors() => Ok(RealSite { warnings: report, ..made }),
        Some(_) | None => Err(report),
    }
}

/// Makes everything but the document.
fn make<F: FunctionSet>(document: &Document, notes: &mut Notes) -> Option<RealSite<F>> {
    let root = Node::root(document, notes)?;
    if root.name() == "Scenario" {
        let needed =
            "a real site is run from its site file, Site(…), such as the one that this scenario names";
        root.error(notes, format!("this is a scenario, which can be simulated but not run: {needed}"));
        return None;
    }
    let site = site::read::<F>(&root, notes)?;
    refuse_values(&site, notes);
    refuse_names(&site, notes);
    let sync = persistence::waits(site.persistence, network::SYNC).write;
    for grid in &site.grids {
        assurance::check_heartbeats(grid, &Ways::assumed(grid, sync), notes);
    }
    let hosts = hosts(&site, notes);
    miss_addresses(&site, &hosts, notes);
    let kept = site.persistence.unwrap_or(persistence::Stated::DEFAULT);
    let specs = fleet::controllers::<F>(&site, kept.snapshots, notes);
    let position = |host: usize| u16::try_from(host).unwrap_or(u16::MAX);
    let places = site.grids.iter().flat_map(|grid| {
        let council: Vec<u16> = grid.council.members().map(|member| position(member.host)).collect();
        // What is none was noted.
        let ways: Vec<RealWay> = fieldbus::ways(&grid.devices).iter().filter_map(real).collect();
        let holds = |device: &Device<'_>| Some((device.spec.name.clone(), device.capacity?));
        let known = (grid.shaving_limit(), grid.devices.iter().filter_map(holds).collect::<BTreeMap<_, _>>());
        let place = move |seat: Seat, is_witness: bool| {
            (seat, council.clone(), if is_witness { Vec::new() } else { ways.clone() }, known.clone())
        };
        grid.council.members().map(move |member| place(member.seat, member.is_witness))
    });
    let member = |(spec, (seat, council, ways, (shaving_limit, capacities)))| RealMember {
        spec,
        seat,
        council,
        ways,
        shaving_limit,
        capacities,
    };
    Some(RealSite {
        document: Document::new("", ""),
        time_zone: site.time_zone?,
        hosts,
        members: specs.into_iter().zip(places).map(member).collect(),
        journal: kept.spec.journal,
        auto_replay: kept.spec.auto_replay,
        warnings: Report::default(),
    })
}

fn hosts<S>(site: &Site<'_, S>, notes: &mut Notes) -> Vec<RealHost> {
    let mut host = |entry: &crate::node::Entry<'_>| {
        // What is wrong with it was noted when the site was read.
        let mut fields = entry.value.fields(&mut Notes::default());
        let mut address = |name, example| {
            let node = fields.as_mut().and_then(|fields| fields.optional(name))?;
            let text = leaf::address(&node, example, &mut Notes::default())?;
            text.parse().map_err(|_none| node.error(notes, no_name(&text, example))).ok()
        };
        let (address, listen) = (address("address", HOST_EXAMPLE), address("listen", LISTEN_EXAMPLE));
        RealHost { name: entry.name.clone(), address, listen }
    };
    site.hosts.iter().map(&mut host).collect()
}

/// Notes devices that are found by a name only.
///
/// **Decision: a real site is found by addresses.** A name needs a server: after a blackout that may come up later than the
/// controllers, or be on the host that is off.
fn refuse_names<S>(site: &Site<'_, S>, notes: &mut Notes) {
    for device in site.grids.iter().flat_map(|grid| &grid.devices) {
        for way in fieldbus::ways(std::slice::from_ref(device)) {
            if real(&way).is_none() {
                device.note_link(no_name(&way.0, "10.0.0.21:502"), notes);
            }
        }
    }
}

/// Where a connection leads, unless it is only a name.
fn real((address, framing): &(String, Framing)) -> Option<RealWay> {
    match framing {
        Framing::Tcp => address.parse().ok().map(RealWay::Tcp),
        Framing::Rtu(line) => Some(RealWay::Serial(address.clone(), *line)),
    }
}

fn no_name(found: &str, example: &str) -> String {
    format!(
        "a real site needs an address such as \"{example}\", got \"{}\": a name's server may be off when it is needed",
        excerpt(found)
    )
}

/// Notes hosts that share a grid with others and say not where these reach them.
fn miss_addresses<S>(site: &Site<'_, S>, hosts: &[RealHost], notes: &mut Notes) {
    for (place, (entry, host)) in site.hosts.iter().zip(hosts).enumerate() {
        let shares = |grid: &&site::Grid<'_, S>| {
            let stands = |member: &crate::council::Member<'_>| member.host == place;
            grid.council.members().any(|member| stands(&member))
                && !grid.council.members().all(|member| stands(&member))
        };
        // One that is wrong was noted.
        let says_none =
            entry.value.try_fields().is_some_and(|fields| fields.iter().all(|(name, _)| *name != "address"));
        if let Some(grid) = site.grids.iter().find(shares).filter(|_| host.address.is_none() && says_none) {
            let message = format!(
                "host {} shares the grid {} with others, which must reach it: write (address: \"{HOST_EXAMPLE}\")",
                host.name, grid.name
            );
            entry.value.error(notes, message);
        }
    }
}

/// Notes links on which values pass: nobody speaks the protocol of such a device.
fn refuse_values<S>(site: &Site<'_, S>, notes: &mut Notes) {
    for device in site.grids.iter().flat_map(|grid| &grid.devices) {
        if device.modbus.is_none() {
            let message = "a real device needs a link of kind Modbus(…): with Points(…) values only pass in a simulation";
            device.note_link(message.into(), notes);
        }
    }
}

//! Scenario files: from texts to a world, its controllers and everything by name.
//!
//! Everything is read before anything is judged, so that a mistake in the site hides none in the plant. What is made has
//! the order of the files: grids and hosts as in the site file, components as in the scenario. Each random stream is named
//! by its place, never numbered.

mod differing;
mod recall;
mod texts;

pub(crate) use self::recall::{happenings, recall};
pub(crate) use self::texts::Texts;

use r_ems_engine::Span;
use r_ems_engine::Time;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::fieldbus::map::BusSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_sim::expect::{Claim, Expectation};
use r_ems_sim::progress::Promised;
use r_ems_sim::world::{GridWorld, HostClock, Post, Ties, WorldSpec};

use crate::assurance;
use crate::at_end::{AtEnd, Subject};
use crate::expectation::Expected;
use crate::fault::Usual;
use crate::files::{Document, Files, MAX_PROFILES_BYTES};
use crate::initial::Initial;
use crate::leaf::word;
use crate::mistake::{Mistake, Notes, Report, suggestion};
use crate::moment::Calendar;
use crate::naming::{Named, Names};
use crate::network::Network;
use crate::node::{Fields, Node, excerpt};
use crate::overrides::Overrides;
use crate::plant::{self, Plant};
use crate::profile::{self, MAX_PROFILES, Table};
use crate::site::{self, Site};
use crate::source::Maker;
use crate::tariff::Tariff;
use crate::{Loaded, expectation, fleet, happening, initial, network, persistence, reality, tariff};

/// Longest run: a century.
pub(crate) const DURATION_MAX: Span = Span::from_hours(876_600);

/// The fields of a scenario; what lies below is opened later.
struct Header<'t> {
    name: Option<String>,
    note: Option<String>,
    site: Option<Node<'t>>,
    seed: u64,
    network_seed: Option<u64>,
    start: Option<Node<'t>>,
    duration: Option<Span>,
    profiles: Option<Node<'t>>,
    plant: Option<Node<'t>>,
    links: Option<Node<'t>>,
    clocks: Option<Node<'t>>,
    differs: Option<Node<'t>>,
    network: Option<Node<'t>>,
    /// Whether devices behind Modbus are asked by frames; else they pass values.
    is_at_wire: bool,
    sync: Span,
    persistence: Option<persistence::Stated>,
    initial: Option<Node<'t>>,
    tariff: Option<Node<'t>>,
    timeline: Option<Node<'t>>,
    faults: Option<Node<'t>>,
    expect: Option<Node<'t>>,
}

/// Reads a file that must be there.
pub(crate) fn read_document(files: &dyn Files, path: &str, notes: &mut Notes) -> Option<Document> {
    Document::read(files, path)
        .map_err(|reason| notes.add(Mistake::of_file(path, 0, "", &format!("cannot read it: {reason}"))))
        .ok()
}

impl<'t> Header<'t> {
    fn read(root: &Node<'t>, notes: &mut Notes) -> Option<Self> {
        if root.name() == "Site" {
            let needed =
                "a run needs a Scenario(…) file, whose `site` names this one, such as peak_shaving.ron";
            root.error(notes, format!("this is a site file, which can be checked but not run: {needed}"));
            return None;
        }
        if root.name() != "Scenario" {
            let found = excerpt(if root.name().is_empty() { root.text() } else { root.name() });
            root.error(
                notes,
                format!("unknown file `{found}`; {}", suggestion(&found, &["Scenario", "Site"])),
            );
            return None;
        }
        let mut fields = root.fields(notes)?;
        site::version(&mut fields, notes);
        if let Some(node) = fields.optional("use") {
            // Files are merged before anything is read; a log's text has been merged when it was written.
            node.error(notes, "the files of `use` are read with the scenario's file only");
        }
        if let Some(node) = fields.optional("without") {
            node.error(notes, "names what is left out of the files of `use`, and there is none");
        }
        if let Some(node) = fields.optional("set")
            && node.try_map().is_none_or(|entries| !entries.is_empty())
        {
            // So is what a file sets: it has been set when a log was written.
            node.error(notes, "what a file sets is read with the scenario's file only");
        }
        let duration: Option<Span> = fields.leaf("duration", notes);
        if let Some(span) = duration
            && (span.is_zero() || span > DURATION_MAX)
        {
            fields
                .place("duration")
                .error(notes, format!("must be above 0 s and at most {DURATION_MAX}, got {span}"));
        }
        let header = Self {
            name: fields.leaf("name", notes),
            note: fields.leaf_if_given("note", notes),
            site: fields.required("site", notes),
            seed: fields.leaf_or("seed", 0, notes),
            network_seed: fields.leaf_if_given("network_seed", notes),
            start: fields.required("start", notes),
            duration: duration.filter(|span| !span.is_zero()),
            profiles: fields.optional("profiles"),
            plant: fields.required("plant", notes),
            links: fields.optional("links"),
            clocks: fields.optional("clocks"),
            differs: fields.optional("differs"),
            network: fields.optional("network"),
            is_at_wire: read_fidelity(&mut fields, notes),
            sync: read_sync(&mut fields, notes),
            persistence: fields.optional("persistence").map(|node| persistence::read(&node, notes)),
            initial: fields.optional("initial"),
            tariff: fields.optional("tariff"),
            timeline: fields.optional("timeline"),
            faults: fields.optional("faults"),
            expect: fields.optional("expect"),
        };
        fields.finish(notes);
        Some(header)
    }

    /// The lists of what happens.
    fn happenings(&self) -> [Option<&Node<'t>>; 2] {
        [self.timeline.as_ref(), self.faults.as_ref()]
    }

    /// The start by the site's wall clock; a date that cannot be read is noted.
    fn start(&self, zone: TimeZone, notes: &mut Notes) -> Option<WallTime> {
        let node = self.start.as_ref()?;
        let text: String = node.leaf(notes)?;
        WallTime::parse_local(&text, zone).map_err(|error| node.error(notes, error.to_string())).ok()
    }
}

/// Reads `fidelity: Wire`, or `Points`, which is the default.
fn read_fidelity(fields: &mut Fields<'_>, notes: &mut Notes) -> bool {
    let fidelity = fields.optional("fidelity");
    fidelity.and_then(|node| word(&node, &["Points", "Wire"], notes)) == Some(1)
}

/// Longest time that a promise may take to become durable.
pub(crate) const SYNC_MAX: Span = Span::from_mins(1);

fn read_sync(fields: &mut Fields<'_>, notes: &mut Notes) -> Span {
    let sync = fields.leaf_or("sync", network::SYNC, notes);
    if sync > SYNC_MAX {
        fields.place("sync").error(notes, format!("must be at most {SYNC_MAX}, got {sync}"));
    }
    sync
}

/// The site's node: in the scenario, or the root of its own file.
fn site_root<'t>(header: &Header<'t>, site: Option<&'t Document>, notes: &mut Notes) -> Option<Node<'t>> {
    let node = header.site.as_ref()?;
    if let Some(document) = site {
        let root = Node::root(document, notes)?;
        if root.name() == "Site" {
            return Some(root);
        }
        // The scenario's line is shown: the file may be right, and the wrong one.
        let found = excerpt(if root.name().is_empty() { root.text() } else { root.name() });
        let message = format!("the file \"{}\" must hold Site(…), got {found}", document.path());
        node.error(notes, message);
        return None;
    }
    if node.name() == "Site" {
        return Some(node.clone());
    }
    if !node.text().starts_with('"') {
        node.error(notes, format!("expected a file in quotes or Site(…), got {}", excerpt(node.text())));
    }
    None
}

/// The node of a site that stands in its scenario.
fn site_root_of<'t>(scenario: &Node<'t>) -> Option<Node<'t>> {
    let (name, raw) = scenario.try_fields()?.into_iter().find(|field| field.0 == "site")?;
    Some(scenario.child(raw, name))
}

/// Loads everything that a run needs; none if there were errors.
pub(crate) fn load<F: FunctionSet>(
    files: &dyn Files,
    path: &str,
    changes: &Overrides,
    notes: &mut Notes,
) -> Option<Loaded<F>> {
    let texts = Texts::read(files, path, changes, notes)?;
    let loaded = make::<F>(&texts, files, changes, notes)?;
    let settings = texts.typed.clone();
    Some(Loaded { settings, documents: texts.into_documents(), ..loaded })
}

/// Makes everything but the documents, which it reads.
fn make<F: FunctionSet>(
    texts: &Texts,
    files: &dyn Files,
    changes: &Overrides,
    notes: &mut Notes,
) -> Option<Loaded<F>> {
    let root = Node::root(&texts.scenario, notes)?;
    let header = Header::read(&root, notes)?;
    let site = site_root(&header, texts.site.as_ref(), notes).and_then(|node| site::read::<F>(&node, notes));
    let known_zone = site.as_ref().and_then(|site| site.time_zone);
    let zone = known_zone.unwrap_or_default();
    let start = header.start(zone, notes);
    let calendar = calendar(start, known_zone, header.duration);
    let (mut tables, broken) = read_profiles(header.profiles.as_ref(), files, notes);
    let mut begin = header.initial.as_ref().map_or_else(Vec::new, |node| initial::read(node, notes));
    let seed = changes.seed.unwrap_or(header.seed);
    let mut maker = Maker { tables: &mut tables, calendar, broken, seed };
    let plants = read_plants(&header, site.as_ref(), &mut begin, &mut maker, notes);
    let site = site?;
    let tariff = read_tariff(&header, &calendar, notes);
    let mut names = fleet::names(&site, &plants);
    names.currency = tariff.as_ref().map(|tariff| tariff.currency.as_str());
    check_initial(&names, &begin, notes);
    let (mut posts, hosts, network) =
        really(&header, fleet::posts(&site, &plants, header.is_at_wire), &names, notes);
    let kept = header.persistence.or(site.persistence);
    let usual = Usual { network: &network, clocks: &hosts, has_disks: kept.is_some() };
    let context = happening::Context { names: &names, calendar: &calendar, usual };
    let mut timeline = happening::read(header.happenings(), &context, notes);
    let waits = persistence::waits(kept, header.sync);
    let assurances = assurance::assure(&site, &mut names, (&network, &timeline, &posts), waits.write, notes);
    let mut promised = assurance::promises(&site, &names, &network, &posts, waits);
    let expected = expectation::read(header.expect.as_ref(), &names, &calendar, kept.is_some(), notes);
    let duration = shortened(&calendar, changes, notes);
    let Expected { watched: expectations, at_end } =
        judgeable(expected, duration, calendar.duration, root.document(), notes);
    check_tariff(&header, &at_end, notes);
    timeline.retain(|timed| timed.at <= Time::ZERO + duration);
    let components: Vec<Vec<String>> = plants.iter().map(component_names).collect();
    let controllers = who_runs::<F>(&header, texts.documents(), &site, (&mut promised, &mut posts), notes);
    if notes.errors() > 0 {
        return None;
    }
    let grids: Option<Vec<GridWorld>> = plants.into_iter().zip(&site.grids).map(grid_world).collect();
    let world = WorldSpec {
        promised,
        seed: header.network_seed.unwrap_or(seed),
        start: start?,
        duration,
        hosts,
        grids: grids?,
        posts,
        paths: network.paths,
        path: network.path,
        sync: header.sync,
        persistence: kept.map(|kept| kept.spec),
        timeline,
        expectations,
        ties: Ties::InOrder,
    };
    Some(Loaded {
        name: header.name?,
        note: header.note,
        documents: Vec::new(),
        settings: Vec::new(),
        time_zone: zone,
        controllers,
        components,
        addresses: fleet::addresses(&site),
        hosts: site.hosts.iter().map(|host| host.name.clone()).collect(),
        at_end,
        tariff,
        assurances,
        world,
        warnings: Report::default(),
    })
}

/// The tariff, with what happens to its prices.
fn read_tariff(header: &Header<'_>, calendar: &Calendar, notes: &mut Notes) -> Option<Tariff> {
    let happenings = header.happenings();
    if header.tariff.is_none() {
        tariff::refuse_prices(happenings, notes);
    }
    header.tariff.as_ref().and_then(|node| tariff::read(node, happenings, calendar, notes))
}

/// Notes what only a tariff could tell, where there is none.
fn check_tariff(header: &Header<'_>, at_end: &[AtEnd], notes: &mut Notes) {
    if let Some(expect) = header.expect.as_ref().filter(|_expect| header.tariff.is_none())
        && at_end.iter().any(AtEnd::needs_tariff)
    {
        expect.error(notes, "what energy costs is known by a `tariff` only, and there is none");
    }
}

/// A grid's world, if its plant is whole.
fn grid_world<S>((plant, grid): (Option<Plant<'_>>, &site::Grid<'_, S>)) -> Option<GridWorld> {
    Some(GridWorld { bus: plant?.bus?, shaving_limit: grid.shaving_limit() })
}

/// The controllers, each as the site file of its host has it; less is `promised` of those whose file is another.
fn who_runs<F: FunctionSet>(
    header: &Header<'_>,
    documents: (&Document, Option<&Document>),
    site: &Site<'_, F::Spec>,
    (promised, posts): (&mut [Promised], &mut [Post]),
    notes: &mut Notes,
) -> Vec<ControllerSpec<F>> {
    let snapshots = persistence::snapshots(header.persistence.or(site.persistence));
    let mut controllers = fleet::controllers::<F>(site, snapshots, notes);
    let site = (site, snapshots);
    let others =
        differing::replace(header.differs.as_ref(), documents, site, (&mut controllers, posts), notes);
    differing::promise_less(promised, &others);
    if !header.is_at_wire {
        for controller in &mut controllers {
            controller.bus = BusSpec::default();
        }
    }
    assurance::bear_with_starts(promised, &controllers);
    controllers
}

/// The run's calendar. Without a right start or duration all is checked as in a century from 1970, except what profiles cover.
fn calendar(start: Option<WallTime>, zone: Option<TimeZone>, duration: Option<Span>) -> Calendar {
    Calendar {
        start: start.unwrap_or(WallTime::EPOCH),
        zone: zone.unwrap_or_default(),
        duration: duration.unwrap_or(DURATION_MAX),
        is_dated: start.is_some() && duration.is_some() && zone.is_some(),
    }
}

/// The profiles, and the names of those that cannot be read, which was noted.
fn read_profiles<'t>(
    node: Option<&Node<'t>>,
    files: &dyn Files,
    notes: &mut Notes,
) -> (Vec<Table<'t>>, Vec<String>) {
    let (mut tables, mut broken) = (Vec::new(), Vec::new());
    let mut room = MAX_PROFILES_BYTES;
    let entries = node.and_then(|node| node.map(notes)).unwrap_or_default();
    if entries.len() > MAX_PROFILES
        && let Some(node) = node
    {
        node.error(notes, format!("expected at most {MAX_PROFILES} profiles, got {}", entries.len()));
    }
    for entry in entries.into_iter().take(MAX_PROFILES) {
        match profile::read(&entry, files, &mut room, notes) {
            Some(table) => tables.push(table),
            None => broken.push(entry.name),
        }
    }
    (tables, broken)
}

/// The plants of the site's grids, in their order. Without a site there are no grids, and all is read for its mistakes.
fn read_plants<'t, S>(
    header: &Header<'t>,
    site: Option<&Site<'t, S>>,
    begin: &mut [Initial<'t>],
    maker: &mut Maker<'_, 't>,
    notes: &mut Notes,
) -> Vec<Option<Plant<'t>>> {
    let entries = header.plant.as_ref().and_then(|node| node.map(notes)).unwrap_or_default();
    let grids = site.map_or(&[][..], |site| site.grids.as_slice());
    let known: Vec<&str> = grids.iter().map(|grid| grid.name.as_str()).collect();
    let mut plants: Vec<Option<Plant<'t>>> = grids.iter().map(|_grid| None).collect();
    for entry in &entries {
        let position = known.iter().position(|name| *name == entry.name);
        if position.is_none() && site.is_some() {
            entry.key.error(notes, format!("the site has no such grid; {}", suggestion(&entry.name, &known)));
        }
        let devices = position.map_or(&[][..], |position| grids[position].devices.as_slice());
        let plant = plant::read(entry, devices, begin, maker, notes);
        if let Some(position) = position {
            plants[position] = plant;
        }
    }
    if let Some(node) = &header.plant {
        for name in known.iter().filter(|name| entries.iter().all(|entry| entry.name != **name)) {
            node.error(notes, format!("the grid \"{name}\" has no plant here"));
        }
    }
    plants
}

fn check_initial(names: &Names<'_, '_>, begin: &[Initial<'_>], notes: &mut Notes) {
    let places = |grid: &Named<'_, '_>| {
        let parts = grid.plant.map_or(&[][..], |plant| plant.parts.as_slice());
        parts.iter().map(|part| format!("{}/{}", grid.grid, part.name)).collect::<Vec<String>>()
    };
    let places: Vec<String> = names.grids.iter().flat_map(places).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    // A device without its component was noted with the plant.
    let is_noted = |place: &str| {
        let parts = place.split_once('/');
        parts.is_some_and(|(grid, name)| {
            names.grids.iter().any(|known| known.grid == grid && known.declares(name))
        })
    };
    Initial::check_all_used(begin, &places, &is_noted, notes);
}

/// What links, clocks and paths really are.
fn really(
    header: &Header<'_>,
    mut posts: Vec<Post>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> (Vec<Post>, Vec<HostClock>, Network) {
    if let Some(node) = &header.links {
        reality::read_links(node, names, &mut posts, notes);
    }
    let hosts = reality::read_clocks(header.clocks.as_ref(), names, notes);
    let network = header.network.as_ref().map_or(Network::LOCAL, |node| network::read(node, names, notes));
    (posts, hosts, network)
}

fn component_names(plant: &Option<Plant<'_>>) -> Vec<String> {
    plant.as_ref().map_or_else(Vec::new, |plant| plant.parts.iter().map(|part| part.name.clone()).collect())
}

/// How long the run lasts with what the command line says.
fn shortened(calendar: &Calendar, changes: &Overrides, notes: &mut Notes) -> Span {
    match changes.until {
        Some(until) if until.is_zero() || until > calendar.duration => {
            let allowed = format!("above 0 s and at most the run's {}", calendar.duration);
            notes.add(Mistake::of_file("--until", 0, "", &format!("must be {allowed}, got {until}")));
            calendar.duration
        }
        Some(until) => until,
        None => calendar.duration,
    }
}

/// Expectations cut to a run that ends early; what it cannot judge is left out with a warning.
fn judgeable(
    all: Expected,
    duration: Span,
    planned: Span,
    document: &Document,
    notes: &mut Notes,
) -> Expected {
    if duration == planned {
        return all;
    }
    let mut leave_out = |name: &str| {
        let message = format!("\"{name}\" is not judged: the run ends before it could be");
        notes.add(Mistake::of_file(document.path(), 0, "expect", &message).into_warning());
    };
    let end = Time::ZERO + duration;
    let mut kept = Expected::default();
    for expectation in all.watched {
        let deadline = match &expectation.claim {
            Claim::Eventually { within, .. } | Claim::SomeEvent { within, .. } => {
                (expectation.from + *within).min(expectation.to)
            }
            Claim::Always { .. } | Claim::Never(_) | Claim::Bounds { .. } | Claim::NoEvent(_) => {
                expectation.from
            }
        };
        if deadline > end {
            leave_out(&expectation.name);
        } else {
            kept.watched.push(Expectation { to: expectation.to.min(end), ..expectation });
        }
    }
    for judged in all.at_end {
        match judged.subject {
            // It must hold of every part of a run.
            Subject::OneAuthority(_) | Subject::Progress(_) | Subject::Outlives(_) => {
                kept.at_end.push(judged)
            }
            Subject::Sum(_) | Subject::TakeOver(..) => leave_out(&judged.name),
        }
    }
    kept
}

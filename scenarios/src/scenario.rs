//! Scenario files: from texts to a world, its controllers and everything by name.
//!
//! Everything is read before anything is judged, so that a mistake in the site hides none in the plant. What is made has
//! the order of the files: grids and hosts as in the site file, components as in the scenario. Each random stream is named
//! by its place, never numbered.

use r_ems_engine::Span;
use r_ems_engine::Time;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::wall::{UtcOffset, WallTime};
use r_ems_sim::expect::{Claim, Expectation};
use r_ems_sim::plant::ComponentIndex;
use r_ems_sim::world::{GridWorld, LinkSpec, Post, Ties, WorldSpec};

use crate::expectation::Expected;
use crate::files::{Document, Files, MAX_PROFILES_BYTES, resolved};
use crate::initial::Initial;
use crate::mistake::{Mistake, Notes, Report, suggestion};
use crate::moment::Calendar;
use crate::naming::{Named, Names, first_point, quantity_of};
use crate::node::{Node, excerpt};
use crate::overrides::{self, Overrides, Setting};
use crate::plant::{self, Plant};
use crate::profile::{self, MAX_PROFILES, Table};
use crate::site::{self, Site};
use crate::source::Maker;
use crate::{Loaded, Recalled, expectation, happening, include, initial, reality, tariff};

/// Longest run: a century.
pub(crate) const DURATION_MAX: Span = Span::from_hours(876_600);

/// The fields of a scenario; what lies below is opened later.
struct Header<'t> {
    name: Option<String>,
    note: Option<String>,
    site: Option<Node<'t>>,
    seed: u64,
    start: Option<Node<'t>>,
    duration: Option<Span>,
    profiles: Option<Node<'t>>,
    plant: Option<Node<'t>>,
    links: Option<Node<'t>>,
    clocks: Option<Node<'t>>,
    initial: Option<Node<'t>>,
    tariff: Option<Node<'t>>,
    timeline: Option<Node<'t>>,
    faults: Option<Node<'t>>,
    expect: Option<Node<'t>>,
}

/// The texts of a scenario and its site, with what the command line sets in them.
pub(crate) struct Texts {
    scenario: Document,
    /// None if the site stands in the scenario, or cannot be read.
    site: Option<Document>,
}

impl Texts {
    /// Reads both files.
    pub(crate) fn read(
        files: &dyn Files,
        path: &str,
        settings: &[String],
        notes: &mut Notes,
    ) -> Option<Self> {
        let scenario = include::merged(files, read_document(files, path, notes)?, notes);
        let (scenario, for_site) = overrides::apply_to_scenario(scenario, settings, notes);
        let site = Self::read_site(files, &scenario, &for_site, notes);
        Some(Self { scenario, site })
    }

    fn read_site(
        files: &dyn Files,
        scenario: &Document,
        settings: &[Setting<'_>],
        notes: &mut Notes,
    ) -> Option<Document> {
        // A scenario that cannot be read is noted when it is.
        let root = Node::root(scenario, &mut Notes::default())?;
        let (name, raw) = root.try_fields()?.into_iter().find(|field| field.0 == "site")?;
        let node = root.child(raw, name);
        let path: String = node.parse().ok()?;
        let path = resolved(scenario.path(), &path);
        match Document::read(files, &path) {
            Ok(document) => Some(overrides::apply(document, settings, notes)),
            Err(reason) => {
                node.error(notes, format!("cannot read \"{path}\": {reason}"));
                None
            }
        }
    }

    /// Both texts, the scenario first.
    fn into_documents(self) -> Vec<Document> {
        std::iter::once(self.scenario).chain(self.site).collect()
    }
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
            start: fields.required("start", notes),
            duration: duration.filter(|span| !span.is_zero()),
            profiles: fields.optional("profiles"),
            plant: fields.required("plant", notes),
            links: fields.optional("links"),
            clocks: fields.optional("clocks"),
            initial: fields.optional("initial"),
            tariff: fields.optional("tariff"),
            timeline: fields.optional("timeline"),
            faults: fields.optional("faults"),
            expect: fields.optional("expect"),
        };
        fields.finish(notes);
        Some(header)
    }

    /// The start by the site's wall clock; a date that cannot be read is noted.
    fn start(&self, zone: UtcOffset, notes: &mut Notes) -> Option<WallTime> {
        let node = self.start.as_ref()?;
        let text: String = node.leaf(notes)?;
        WallTime::parse_local(&text, zone).map_err(|error| node.error(notes, error.to_string())).ok()
    }
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

/// Loads everything that a run needs; none if there were errors.
pub(crate) fn load<F: FunctionSet>(
    files: &dyn Files,
    path: &str,
    changes: &Overrides,
    notes: &mut Notes,
) -> Option<Loaded<F>> {
    let texts = Texts::read(files, path, &changes.settings, notes)?;
    let loaded = make::<F>(&texts, files, changes, notes)?;
    Some(Loaded { documents: texts.into_documents(), ..loaded })
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
    // Without a right start or duration all else is checked as in a century from 1970, except what profiles cover.
    let calendar = Calendar {
        start: start.unwrap_or(WallTime::EPOCH),
        zone,
        duration: header.duration.unwrap_or(DURATION_MAX),
        is_dated: start.is_some() && header.duration.is_some() && known_zone.is_some(),
    };
    let (mut tables, broken) = read_profiles(header.profiles.as_ref(), files, notes);
    let mut begin = header.initial.as_ref().map_or_else(Vec::new, |node| initial::read(node, notes));
    let seed = changes.seed.unwrap_or(header.seed);
    let mut maker = Maker { tables: &mut tables, calendar, broken, seed };
    let plants = read_plants(&header, site.as_ref(), &mut begin, &mut maker, notes);
    let site = site?;
    let names = names_of(&site, &plants);
    check_initial(&names, &begin, notes);
    let mut links: Vec<Vec<LinkSpec>> =
        site.grids.iter().zip(&plants).map(|(grid, plant)| links_of(grid, plant.as_ref())).collect();
    if let Some(node) = &header.links {
        reality::read_links(node, &names, &mut links, notes);
    }
    let timeline = (header.timeline.as_ref(), header.faults.as_ref());
    let mut timeline = happening::read(timeline.0, timeline.1, &names, &calendar, notes);
    let hosts = reality::read_clocks(header.clocks.as_ref(), &site.hosts, notes);
    let expect = header.expect.as_ref();
    let expected =
        expect.map_or_else(Expected::default, |node| expectation::read(node, &names, &calendar, notes));
    let tariff = header.tariff.as_ref().map(|node| tariff::read(node, &calendar, notes));
    let duration = shortened(&calendar, changes, notes);
    let Expected { watched: expectations, at_end } =
        judgeable(expected, duration, calendar.duration, root.document(), notes);
    timeline.retain(|timed| timed.at <= Time::ZERO + duration);
    let components: Vec<Vec<String>> = plants.iter().map(component_names).collect();
    let controllers = controllers::<F>(&site, notes);
    if notes.errors() > 0 {
        return None;
    }
    let posts = posts_of(&site, links);
    let worlds = |(plant, grid): (Option<Plant<'_>>, &site::Grid<'_, F::Spec>)| {
        Some(GridWorld { bus: plant?.bus?, shaving_limit: grid.shaving_limit() })
    };
    let grids: Option<Vec<GridWorld>> = plants.into_iter().zip(&site.grids).map(worlds).collect();
    let world = WorldSpec {
        seed,
        start: start?,
        duration,
        hosts,
        grids: grids?,
        posts,
        timeline,
        expectations,
        ties: Ties::InOrder,
    };
    Some(Loaded {
        name: header.name?,
        note: header.note,
        documents: Vec::new(),
        time_zone: zone,
        controllers,
        components,
        at_end,
        tariff: tariff.flatten(),
        world,
        warnings: Report::default(),
    })
}

/// Reads a scenario's or a site's controllers only, from texts that were checked when a log was written.
pub(crate) fn recall<F: FunctionSet>(documents: &[Document], notes: &mut Notes) -> Option<Recalled<F>> {
    let [scenario, rest @ ..] = documents else {
        notes.add(Mistake::of_file("", 0, "", "expected the text of a scenario, got none"));
        return None;
    };
    let root = Node::root(scenario, notes)?;
    let header = Header::read(&root, notes)?;
    let site = site_root(&header, rest.first(), notes).and_then(|node| site::read::<F>(&node, notes))?;
    let time_zone = site.time_zone?;
    let start = header.start(time_zone, notes);
    let controllers = controllers::<F>(&site, notes);
    if notes.errors() > 0 {
        return None;
    }
    Some(Recalled { name: header.name?, time_zone, start: start?, controllers })
}

/// One controller per grid, in the order of the grids.
fn controllers<F: FunctionSet>(site: &Site<'_, F::Spec>, notes: &mut Notes) -> Vec<ControllerSpec<F>> {
    if notes.errors() > 0 {
        return Vec::new();
    }
    let made = |grid: &site::Grid<'_, F::Spec>| {
        let id = grid.controller.as_ref().map_or("", |controller| controller.id.as_str());
        site::wire::<F>(grid, id, notes)
    };
    site.grids.iter().filter_map(made).collect()
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

fn names_of<'a, 't, S>(site: &'a Site<'t, S>, plants: &'a [Option<Plant<'t>>]) -> Names<'a, 't> {
    let named = |(grid, plant): (&'a site::Grid<'t, S>, &'a Option<Plant<'t>>)| Named {
        grid: &grid.name,
        controller: grid.controller.as_ref().map_or("", |controller| controller.id.as_str()),
        devices: grid.devices.iter().map(|device| &device.spec).collect(),
        unread: &grid.unread,
        plant: plant.as_ref(),
        shaves: grid.shaving_limit().is_some(),
    };
    Names { grids: site.grids.iter().zip(plants).map(named).collect() }
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

/// The links of a grid's devices as the site declares them; fewer where the plant is broken, which was noted.
fn links_of<S>(grid: &site::Grid<'_, S>, plant: Option<&Plant<'_>>) -> Vec<LinkSpec> {
    let parts = plant.map_or(&[][..], |plant| plant.parts.as_slice());
    let mut links = Vec::with_capacity(grid.devices.len());
    for (position, device) in grid.devices.iter().enumerate() {
        let component = parts.iter().position(|part| part.name == device.spec.name).unwrap_or(0);
        let before = grid.devices[..position].iter().map(|device| device.spec.class);
        links.push(LinkSpec {
            component: ComponentIndex(u16::try_from(component).unwrap_or(u16::MAX)),
            first_point: first_point(before),
            quantities: device.spec.class.points().iter().map(|kind| quantity_of(*kind)).collect(),
            positive: device.spec.positive,
            declared: device.spec.positive,
            latency: device.spec.latency,
            timeout: device.timeout,
            valid_for: device.spec.age_max - device.spec.latency,
            drop_outs: None,
        });
    }
    links
}

fn posts_of<S>(site: &Site<'_, S>, links: Vec<Vec<LinkSpec>>) -> Vec<Post> {
    let post = |(position, (grid, links)): (usize, (&site::Grid<'_, S>, Vec<LinkSpec>))| {
        let host = grid.controller.as_ref().map_or(0, |controller| controller.host);
        Post {
            host: u16::try_from(host).unwrap_or(u16::MAX),
            grid: u16::try_from(position).unwrap_or(u16::MAX),
            links,
        }
    };
    site.grids.iter().zip(links).enumerate().map(post).collect()
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
    for sum in all.at_end {
        leave_out(&sum.name);
    }
    kept
}

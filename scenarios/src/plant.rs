//! The plant of a scenario: what stands behind the devices of each grid, and how it is when the run begins.
//!
//! Every field of a component is asked for whatever is wrong with the others: one that nobody asked for would be told as unknown.
//!
//! A component and a device of one name belong together. What a device's file says of it and what it really is may differ
//! on purpose; the checker warns where the ratings do.

use r_ems_engine::Time;
use r_ems_engine::points::{DeviceClass, DeviceSpec};
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Hertz, Ratio, VoltAmperes, Watts, WattsPerSecond};
use r_ems_sim::plant::{
    Bus, Component, ComponentIndex, Connection, GridSource, GridValue, Impedance, Load, NOMINAL_HZ,
    NOMINAL_PU, POWER_FACTOR, Pv, PvSpec, R_TO_X, ReactiveOutput, Receiver, SpecError,
};
use r_ems_sim::sources::Source;

use crate::device::Device;
use crate::initial::Initial;
use crate::later::unknown;
use crate::leaf::check_name;
use crate::mistake::Notes;
use crate::node::{Entry, Fields, Node};
use crate::reach::Reach;
use crate::sections::{self, Stands, Tie};
use crate::source::{Maker, Stand};
use crate::wind::{self, WIND};
use crate::{battery, genset, island, refused};

pub(crate) use crate::kind::{Kind, Unit};

/// Most components of a grid.
pub(crate) const MAX_COMPONENTS: usize = r_ems_sim::plant::MAX_COMPONENTS;

/// One component of a grid's plant.
#[derive(Debug)]
pub(crate) struct Part<'t> {
    pub(crate) name: String,
    pub(crate) key: Node<'t>,
    /// None if its kind could not be read.
    pub(crate) kind: Option<Kind>,
    /// The device that moves its breaker, if it is a connection with one.
    breaker: Option<Node<'t>>,
    /// Its rated power and where that stands.
    rating: Option<(Watts, Node<'t>)>,
    /// In which section it stands.
    pub(crate) stands: Stands<'t>,
    /// What it is besides, if it is a tie.
    pub(crate) tie: Option<Tie<'t>>,
    pub(crate) component: Option<Component>,
}

impl<'t> Part<'t> {
    /// A component of which nothing but its name and its kind is known.
    fn of(entry: &Entry<'t>, kind: Option<Kind>) -> Self {
        let (name, key) = (entry.name.clone(), entry.key.clone());
        let (stands, tie) = (Stands::Unknown, None);
        Self { name, key, kind, breaker: None, rating: None, stands, tie, component: None }
    }

    /// Whether a device measures or moves it: that of its name, or the one that it names as its breaker.
    pub(crate) fn is_of(&self, device: &DeviceSpec) -> bool {
        match device.class {
            DeviceClass::Breaker => {
                let named = self.breaker.as_ref().and_then(|breaker| breaker.parse::<String>().ok());
                named.is_some_and(|named| named == device.name)
            }
            DeviceClass::Meter
            | DeviceClass::Battery
            | DeviceClass::Pv
            | DeviceClass::Signal
            | DeviceClass::Genset
            | DeviceClass::Load => self.name == device.name,
        }
    }
}

/// The plant of one grid; without a bus if something in it is wrong.
#[derive(Debug)]
pub(crate) struct Plant<'t> {
    pub(crate) parts: Vec<Part<'t>>,
    pub(crate) bus: Option<Bus>,
}

/// Reads the components of one grid.
pub(crate) fn read<'t>(
    grid: &Entry<'t>,
    devices: &[Device<'_>],
    initial: &mut [Initial<'t>],
    maker: &mut Maker<'_, 't>,
    notes: &mut Notes,
) -> Option<Plant<'t>> {
    let entries = grid.value.map(notes)?;
    if entries.len() > MAX_COMPONENTS {
        grid.value.error(notes, format!("expected at most {MAX_COMPONENTS}, got {}", entries.len()));
        return None;
    }
    let mut parts = Vec::with_capacity(entries.len());
    for entry in &entries {
        let place = format!("{}/{}", grid.name, entry.name);
        let mut begin = Initial::take(initial, &place);
        let declared = devices.iter().find(|device| device.spec.name == entry.name);
        let part = read_part(entry, &place, declared, begin.as_deref_mut(), maker, notes);
        if let Some(begin) = begin {
            begin.check_used(part.kind, notes);
        }
        parts.push(part);
    }
    check_connection(&grid.value, &parts, notes);
    check_devices(grid, devices, &parts, notes);
    let sections = sections::join(&mut parts, notes);
    let components: Option<Vec<Component>> = parts.iter_mut().map(|part| part.component.take()).collect();
    let bus = components.and_then(|components| Bus::with_sections(components, sections?).ok());
    let bus = bus.map(|bus| with_breakers(bus, &grid.name, &parts, initial));
    Some(Plant { parts, bus })
}

/// Opens the breakers at the start that `initial` says are open.
fn with_breakers(mut bus: Bus, grid: &str, parts: &[Part<'_>], initial: &mut [Initial<'_>]) -> Bus {
    for (index, part) in (0..).map(ComponentIndex).zip(parts) {
        let begun = Initial::take(initial, &format!("{grid}/{}", part.name));
        let Some(position) = begun.and_then(|begun| begun.breaker) else { continue };
        match part.kind {
            Some(Kind::Connection) => bus.breaker(position, Time::ZERO, &mut ()),
            Some(Kind::Tie) => bus.tie_breaker(index, position, Time::ZERO, &mut ()),
            // Nothing else begins with a breaker, which was noted.
            Some(Kind::Load | Kind::Pv | Kind::Battery | Kind::Signal | Kind::Genset) | None => {}
        }
    }
    bus
}

fn check_connection(node: &Node<'_>, parts: &[Part<'_>], notes: &mut Notes) {
    let is_connection = |part: &&Part<'_>| part.kind == Some(Kind::Connection);
    let found = parts.iter().filter(is_connection).count();
    // A part of unknown kind may have been meant as the connection.
    if found > 1 || (found == 0 && parts.iter().all(|part| part.kind.is_some())) {
        node.error(notes, format!("a grid needs one GridConnection, got {found}"));
    }
}

/// Every device needs its component, of its kind; ratings that differ are worth a look.
fn check_devices(grid: &Entry<'_>, devices: &[Device<'_>], parts: &[Part<'_>], notes: &mut Notes) {
    for part in parts {
        let is_breaker = |device: &&Device<'_>| device.spec.class == DeviceClass::Breaker;
        if let Some(breaker) = &part.breaker
            && !devices.iter().filter(is_breaker).any(|device| part.is_of(&device.spec))
        {
            breaker.error(notes, format!("the site has no Breaker {}", breaker.text()));
        }
    }
    for device in devices {
        let spec = &device.spec;
        let Some(part) = parts.iter().find(|part| part.is_of(spec)) else {
            let (name, wanted) = (&spec.name, Kind::of(spec.class).name());
            let message = if spec.class == DeviceClass::Breaker {
                format!("no {wanted} has the device \"{name}\" as its breaker; add breaker: \"{name}\" to it")
            } else {
                format!("the device \"{name}\" has no component here; add \"{name}\": {wanted}(…)")
            };
            grid.value.error(notes, message);
            continue;
        };
        let wanted = Kind::of(spec.class);
        if let Some(kind) = part.kind.filter(|kind| *kind != wanted) {
            let (class, wanted) = (spec.class.name(), wanted.name());
            let message =
                format!("the site's {class} of this name needs a {wanted} here, got {}", kind.name());
            part.key.error(notes, message);
        } else if let Some((rating, node)) = &part.rating
            && let Some(declared) = &device.rating
            && *rating != spec.rating
        {
            let site = declared.document().path();
            node.warning(notes, format!("the site file {site} says {}, here it is {rating}", spec.rating));
        }
    }
}

fn read_part<'t>(
    entry: &Entry<'t>,
    place: &str,
    declared: Option<&Device<'_>>,
    initial: Option<&mut Initial<'t>>,
    maker: &mut Maker<'_, 't>,
    notes: &mut Notes,
) -> Part<'t> {
    let stand = &|rating: Watts| Stand::of(rating, place);
    check_name(&entry.key, &entry.name, notes);
    let name = entry.value.name();
    let kind = Kind::NAMES.iter().find(|known| known.0 == name).map(|known| known.1);
    let mut part = Part::of(entry, kind);
    let Some(kind) = kind else {
        unknown(&entry.value, "component", &Kind::NAMES.map(|known| known.0), &[], notes);
        return part;
    };
    let Some(mut fields) = entry.value.fields(notes) else { return part };
    if matches!(kind, Kind::Signal | Kind::Tie) {
        read_unrated(&mut part, &mut fields, place, maker, notes);
        fields.finish(notes);
        return part;
    }
    let field = if kind == Kind::Connection { "import_max" } else { "rating" };
    let rating: Option<Watts> = fields.leaf(field, notes);
    if let Some(low) = rating.filter(|rating| *rating <= Watts::ZERO) {
        fields.place(field).error(notes, format!("must be above 0 W, got {low}"));
    }
    let made = match kind {
        Kind::Connection => {
            part.breaker = fields.optional("breaker");
            let grid = read_grid(&mut fields, maker, place, notes);
            let meeting = island::meeting(&mut fields, notes);
            rating.map(|rating| {
                let made = meeting.at(Connection::new(rating)?)?;
                Ok(Component::Connection(made.to_grid(grid?)))
            })
        }
        Kind::Load => {
            let source = read_source(&mut fields, rating, maker, stand, notes);
            let load = read_load(&mut fields, source, notes);
            // A controller that may switch it knows it by its rating.
            let rated = declared.map(|declared| declared.spec.rating);
            load.map(|load| Ok(Component::Load(rated.into_iter().fold(load?, Load::rated))))
        }
        Kind::Pv => {
            let source = match name {
                WIND => wind::read(&mut fields, rating, maker, place, notes),
                _ => read_source(&mut fields, rating, maker, stand, notes),
            };
            let reactive = read_reactive(&mut fields, declared, notes);
            let pv = read_pv(&mut fields, rating, source, notes);
            pv.map(|pv| Ok(Component::Pv(pv?.with_reactive(reactive?))))
        }
        Kind::Battery => {
            let reactive = read_reactive(&mut fields, declared, notes);
            let battery = battery::read(&mut fields, rating, declared, initial, notes);
            battery.map(|battery| Ok(Component::Battery(battery.with_reactive(reactive?))))
        }
        Kind::Signal | Kind::Tie => None,
        Kind::Genset => {
            let stream = Stream::named(maker.seed, &format!("{place}/genset"));
            genset::read(&mut fields, rating, initial, stream, notes)
        }
    };
    part.rating = rating.map(|rating| (rating, fields.place(field).clone()));
    part.component = made.and_then(|made| accepted(made, &fields, rating, notes));
    part.stands = if kind == Kind::Connection { Stands::Main } else { sections::read(&mut fields, notes) };
    fields.finish(notes);
    part
}

/// Reads what has no rating: a signal, or a tie, which is made as soon as all sections are known.
fn read_unrated<'t>(
    part: &mut Part<'t>,
    fields: &mut Fields<'t>,
    place: &str,
    maker: &mut Maker<'_, 't>,
    notes: &mut Notes,
) {
    if part.kind == Some(Kind::Tie) {
        let (stands, tie) = sections::read_tie(fields, notes);
        (part.stands, part.tie) = (stands, Some(tie));
    } else {
        part.stands = Stands::Main;
        part.component = read_receiver(fields, place, maker, notes).map(Component::Receiver);
    }
}

/// The component that was made, or none and a note of what is refused about it.
fn accepted(
    made: Result<Component, SpecError>,
    fields: &Fields<'_>,
    rating: Option<Watts>,
    notes: &mut Notes,
) -> Option<Component> {
    match made {
        Ok(component) => Some(component),
        Err(error) => {
            // A rating of zero was noted where it was read.
            if !matches!(refused::parameter_of(&error), "rating" | "import_max") {
                refused::show(fields, &error, rating, notes);
            }
            None
        }
    }
}

/// Reads what a load has beside its source.
fn read_load(
    fields: &mut Fields<'_>,
    source: Option<Source>,
    notes: &mut Notes,
) -> Option<Result<Load, SpecError>> {
    let factor = fields.leaf_or("power_factor", Ratio::of(POWER_FACTOR), notes);
    let relay = island::shed_at(fields, notes);
    let made = Load::new(source?).with_power_factor(factor);
    Some(made.map(|load| relay.into_iter().fold(load, Load::shed_by)))
}

/// Reads `source: …` of a receiver: shares, 1 without it.
fn read_receiver(
    fields: &mut Fields<'_>,
    place: &str,
    maker: &mut Maker<'_, '_>,
    notes: &mut Notes,
) -> Option<Receiver> {
    let Some(node) = fields.optional("source") else {
        return Some(Receiver::new(Source::constant(1.0).expect("a finite constant")));
    };
    // What is a share of one is a share.
    let shaped = maker.make(&node, &Stand::of(Watts::of(1.0), place), notes)?;
    let Reach { low, high } = shaped.reach;
    if low < 0.0 || high > 1.0 {
        node.error(notes, format!("must have values from 0 to 1, got {low} to {high}"));
        return None;
    }
    Some(Receiver::new(shaped.source))
}

/// Reads `short_circuit: "4 MVA", r_to_x: 1.0, voltage: …, frequency: …`: the grid behind a connection.
fn read_grid(
    fields: &mut Fields<'_>,
    maker: &mut Maker<'_, '_>,
    place: &str,
    notes: &mut Notes,
) -> Result<GridSource, SpecError> {
    let power: Option<VoltAmperes> = fields.leaf_if_given("short_circuit", notes);
    let ratio = fields.leaf_or("r_to_x", R_TO_X, notes);
    let impedance =
        power.map_or(Ok(Impedance::default()), |power| Impedance::new(power.volt_amperes(), ratio));
    // What is wrong with it is said where islands are read.
    let nominal =
        fields.optional("nominal").and_then(|node| node.parse::<String>().ok()?.parse::<Hertz>().ok());
    let mut course = |name, what, usual| {
        let node = fields.optional(name);
        let made = node.and_then(|node| maker.make(&node, &Stand::of_grid(what, place), notes));
        made.map_or_else(|| Source::constant(usual).expect("nominal values are finite"), |made| made.source)
    };
    let voltage = course("voltage", GridValue::Voltage, NOMINAL_PU);
    let frequency = course("frequency", GridValue::Frequency, nominal.map_or(NOMINAL_HZ, Hertz::hertz));
    Ok(GridSource::new(impedance?, voltage, frequency))
}

/// Reads `profile: (…)` or `source: …`.
/// Reads what drives a component: `profile` or `source`.
pub(crate) fn read_source(
    fields: &mut Fields<'_>,
    rating: Option<Watts>,
    maker: &mut Maker<'_, '_>,
    stand: &dyn Fn(Watts) -> Stand,
    notes: &mut Notes,
) -> Option<Source> {
    // Without a rating the source is read all the same, for its mistakes.
    let stand = stand(rating.unwrap_or(Watts::ZERO));
    let (node, shaped) = match (fields.optional("profile"), fields.optional("source")) {
        (Some(node), None) => (node.clone(), maker.column(&node, &stand, notes)?),
        (None, Some(node)) => (node.clone(), maker.make(&node, &stand, notes)?),
        (Some(_), Some(node)) => {
            node.error(notes, "either `profile` or `source` is given, got both");
            return None;
        }
        (None, None) => {
            fields.node().error(notes, "the field `profile` or `source` is missing");
            return None;
        }
    };
    if let Some(rating) = rating {
        shaped.reach.check(&node, rating, notes);
    }
    Some(shaped.source)
}

/// Reads `apparent: "300 kVA"`: what the inverter really has; what the device's file says unless it is given.
fn read_reactive(
    fields: &mut Fields<'_>,
    declared: Option<&Device<'_>>,
    notes: &mut Notes,
) -> Result<ReactiveOutput, SpecError> {
    let found = fields.leaf_if_given("apparent", notes);
    let declared = declared.and_then(|device| device.spec.apparent);
    found.or(declared).map_or(Ok(ReactiveOutput::default()), ReactiveOutput::new)
}

fn read_pv(
    fields: &mut Fields<'_>,
    rating: Option<Watts>,
    source: Option<Source>,
    notes: &mut Notes,
) -> Option<Result<Pv, SpecError>> {
    let limit: Option<Watts> = fields.leaf_if_given("ac_max", notes);
    if let Some(low) = limit.filter(|limit| *limit <= Watts::ZERO) {
        fields.place("ac_max").error(notes, format!("must be above 0 W, got {low}"));
    }
    let mut spec = PvSpec::new(limit.or(rating).unwrap_or(Watts::ZERO));
    spec.lag = fields.leaf_or("lag", spec.lag, notes);
    spec.release = fields.leaf_or::<WattsPerSecond>("release", spec.release, notes);
    rating?;
    Some(Pv::new(spec, source?))
}

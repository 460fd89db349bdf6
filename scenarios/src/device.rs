//! Devices of a site file: meters, batteries, inverters and receivers, with the link that leads to each.
//!
//! Every number but the rating and the direction has a default, written down beside it. The direction that a meter or a
//! battery counts as positive has none: a guess would be right for half of all sites.

use r_ems_engine::Span;
use r_ems_engine::controller::budget::WriteBudget;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::points::{Connections, DeviceClass, DeviceSpec, PointKind, PointKinds, Positive, Priority};
use r_ems_engine::units::{VoltAmperes, WattHours, Watts};
use r_ems_sim::slot::OneConnection;

use crate::fieldbus::{self, Modbus};
use crate::later::unknown;
use crate::leaf::{check_name, word};
use crate::mistake::Notes;
use crate::node::{Entry, Fields, Node};

/// How old a value is when it arrives, unless the link says otherwise: one request over a local network.
pub(crate) const LATENCY: Span = Span::from_millis(20);
/// When a poll or a write has failed, unless the link says otherwise.
pub(crate) const TIMEOUT: Span = Span::from_secs(1);
/// How long a new connection takes unless the scenario says otherwise (ours): a gateway that has lost one needs a moment to
/// notice and to free its place.
pub(crate) const RECONNECT: Span = Span::from_millis(500);
/// A point is stale after this many scans and the latency, unless the device says otherwise (three polls).
pub(crate) const AGE_SCANS: u64 = 3;
/// When a device without a new set-point falls back, unless it says otherwise: ours, a usual setting of inverters.
pub(crate) const REVERSION: Span = Span::from_secs(60);
/// Smallest change of a set-point that is written, as a share of the rating, unless the device says otherwise: ours.
pub(crate) const DEAD_BAND: f64 = 0.001;
/// A reversion must leave time for this many scans: a set-point is repeated at half of it.
pub(crate) const REVERSION_SCANS: u64 = 4;
/// How long it takes to connect to a device that takes one connection, unless the link says otherwise.
pub(crate) const CONNECT: Span = Span::from_millis(50);
/// How long such a device keeps the connection of a host that is gone, unless the link says otherwise or it is on a serial line:
/// gateways differ widely.
pub(crate) const DEAD_CONNECTION: Span = Span::from_secs(30);
/// Longest time for either.
pub(crate) const CONNECTION_MAX: Span = Span::from_hours(1);
/// Longest latency: what is later is no measurement to control with.
pub(crate) const LATENCY_MAX: Span = Span::from_mins(1);

/// Longest time that a write may be on its way: what comes later is no control.
pub(crate) const LONGEST_WRITE_MAX: Span = Span::from_hours(1);

/// A device as the site file describes it.
#[derive(Debug)]
pub(crate) struct Device<'t> {
    pub(crate) spec: DeviceSpec,
    pub(crate) timeout: Span,
    /// How it is connected to, where it takes only one connection at a time.
    pub(crate) one_connection: Option<OneConnection>,
    /// How it is found and asked where its link is of kind `Modbus`.
    pub(crate) modbus: Option<Modbus>,
    /// Where its link stands, and whether that says how long a write may be on its way.
    link: Option<(Node<'t>, LateWrites)>,
    /// How much it holds, if it is a battery and the file says so: people are told how long that lasts.
    pub(crate) capacity: Option<WattHours>,
    /// Where its rating stands; none if it is missing or wrong, which was noted.
    pub(crate) rating: Option<Node<'t>>,
}

/// A link as the file describes it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) latency: Span,
    pub(crate) timeout: Span,
    pub(crate) positive: Positive,
    one_connection: Option<OneConnection>,
    late_writes: LateWrites,
    modbus: Option<Modbus>,
}

/// What a link says of writes that come late.
#[derive(Clone, Copy, Debug, Default)]
struct LateWrites {
    /// How long a write may be on its way; none if it is not said.
    longest: Option<Span>,
    /// Whether the device refuses epochs lower than one that it has accepted.
    checks_epochs: bool,
}

impl Device<'_> {
    /// Notes something that is wrong with its link.
    pub(crate) fn note_link(&self, message: String, notes: &mut Notes) {
        if let Some((link, _)) = &self.link {
            link.error(notes, message);
        }
    }

    /// Notes something about its link that somebody should look at.
    pub(crate) fn warn_link(&self, message: String, notes: &mut Notes) {
        if let Some((link, _)) = &self.link {
            link.warning(notes, message);
        }
    }

    /// Notes a serial line that more than one controller would open.
    pub(crate) fn check_one_master(&self, notes: &mut Notes) {
        let is_serial = self.modbus.as_ref().is_some_and(|modbus| modbus.framing() != Framing::Tcp);
        if is_serial && self.spec.connections == Connections::Shared {
            let message = "a serial line has one master at a time: with more than one controller its devices need \
                           connections: ActiveOnly";
            self.note_link(message.into(), notes);
        }
    }

    /// Notes a declared D that writes may exceed: that is how a device is written by two controllers.
    pub(crate) fn check_declared(&self, really: Span, notes: &mut Notes) {
        let Some((link, LateWrites { longest: Some(declared), checks_epochs: false })) = &self.link else {
            return;
        };
        if really > *declared {
            let message =
                format!("`longest_write` is {declared}, but here a write may be on its way for {really}");
            link.warning(notes, message);
        }
    }

    /// Notes a link that does not say what becomes of writes of a controller that has lost its authority.
    pub(crate) fn check_late_writes(&self, notes: &mut Notes) {
        if let Some((link, LateWrites { longest: None, checks_epochs: false })) = &self.link {
            let message = "with more than one controller a link says `longest_write`, how long a write may be on its way \
                           (\"200 ms\"), or `checks_epochs: true`, which refuses late ones";
            link.error(notes, message);
        }
    }
}

/// Reads one device of a grid with the given scan.
pub(crate) fn read<'t>(entry: &Entry<'t>, scan: Span, notes: &mut Notes) -> Option<Device<'t>> {
    check_name(&entry.key, &entry.name, notes);
    let Some(class) = DeviceClass::ALL.into_iter().find(|class| class.name() == entry.value.name()) else {
        unknown(&entry.value, "device", &DeviceClass::ALL.map(DeviceClass::name), &[], notes);
        return None;
    };
    let mut fields = entry.value.fields(notes)?;
    let node = fields.required("link", notes);
    let read = node.as_ref().and_then(|link| read_link(link, class, scan, notes));
    let link_place = node.zip(read.as_ref().map(|link| link.late_writes));
    let late_writes = LateWrites::default();
    let (positive, one_connection) = (Positive::Import, None);
    let missing =
        Link { latency: LATENCY, timeout: TIMEOUT, positive, one_connection, late_writes, modbus: None };
    let link = read.unwrap_or(missing);
    // A receiver has no power.
    let rating = if class == DeviceClass::Signal { None } else { read_rating(&mut fields, notes) };
    let age_max = fields.leaf_or("max_age", scan * AGE_SCANS + link.latency, notes);
    let stuck_after = fields.leaf_if_given("stuck_after", notes);
    let points = measured_points(&mut fields, link.modbus.as_ref(), class, notes);
    let mut spec = DeviceSpec {
        name: entry.name.clone(),
        class,
        points: points.iter().fold(class.points(), PointKinds::with),
        positive: link.positive,
        rating: rating.unwrap_or(Watts::ZERO),
        latency: link.latency,
        age_max,
        stuck_after,
        reversion: REVERSION,
        write_interval: Span::ZERO,
        writes_per_day: None,
        dead_band: rating.unwrap_or(Watts::ZERO) * DEAD_BAND,
        longest_write: link.late_writes.longest.unwrap_or(Span::ZERO),
        checks_epochs: link.late_writes.checks_epochs,
        connections: match link.one_connection {
            Some(_) => Connections::ActiveOnly,
            None => Connections::Shared,
        },
        at_stop: None,
        apparent: None,
        priority: Priority::Active,
        ramp: None,
    };
    if class.is_controlled() {
        if !class.is_switched() {
            read_reactive(&mut fields, &mut spec, link.modbus.as_ref(), notes);
        }
        spec.reversion = fields.leaf_or("reversion", REVERSION, notes);
        spec.write_interval = fields.leaf_or("write_interval", Span::ZERO, notes);
        let per_day: Option<u64> = fields.leaf_if_given("writes_per_day", notes);
        // More than that no connection carries in a day.
        spec.writes_per_day = per_day.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        spec.dead_band = fields.leaf_or("dead_band", spec.dead_band, notes);
        spec.at_stop = fields.leaf_if_given("at_stop", notes);
        spec.ramp = fields.leaf_if_given("ramp", notes);
    }
    let capacity = if class == DeviceClass::Battery { read_capacity(&mut fields, notes) } else { None };
    if rating.is_some() || class == DeviceClass::Signal {
        check_numbers(&spec, scan, &fields, notes);
    }
    let place = rating.map(|_rating| fields.place("rating").clone());
    fields.finish(notes);
    let Link { timeout, one_connection, modbus, .. } = link;
    Some(Device { spec, timeout, one_connection, modbus, link: link_place, capacity, rating: place })
}

/// What a device measures, by its map or by `measures`, beyond what all of its class do.
fn measured_points(
    fields: &mut Fields<'_>,
    modbus: Option<&Modbus>,
    class: DeviceClass,
    notes: &mut Notes,
) -> PointKinds {
    let mapped = modbus.filter(|modbus| modbus.maps_points()).map(Modbus::points);
    match (fields.optional("measures"), mapped) {
        (Some(node), Some(mapped)) => {
            node.error(notes, "what a device with a map measures is what stands in its `points`");
            mapped
        }
        (Some(node), None) => read_measures(&node, class, notes),
        (None, mapped) => mapped.unwrap_or_default(),
    }
}

/// Reads `apparent: "300 kVA", priority: Active`: what takes reactive set-points.
fn read_reactive(fields: &mut Fields<'_>, spec: &mut DeviceSpec, modbus: Option<&Modbus>, notes: &mut Notes) {
    spec.apparent = fields.leaf_if_given("apparent", notes);
    if let Some(apparent) = spec.apparent
        && apparent <= VoltAmperes::ZERO
    {
        fields.place("apparent").error(notes, format!("must be above 0 VA, got {apparent}"));
        spec.apparent = None;
    }
    let priority = fields.optional("priority");
    if let (Some(node), None) = (&priority, spec.apparent) {
        node.error(notes, "`priority` goes with the `apparent` power of a device");
    }
    if priority.and_then(|node| word(&node, &["Active", "Reactive"], notes)) == Some(1) {
        spec.priority = Priority::Reactive;
    }
    // What a device with a map tells of it stands there.
    if spec.apparent.is_some() && !modbus.is_some_and(Modbus::maps_points) {
        spec.points = spec.points.with(PointKind::ReactivePower).with(PointKind::ReactiveSetPoint);
    }
}

/// Reads `[v, f]`: what a device measures beyond what all of its class do.
fn read_measures(node: &Node<'_>, class: DeviceClass, notes: &mut Notes) -> PointKinds {
    let kinds: Vec<PointKind> = class.more_points().iter().collect();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut measured = PointKinds::default();
    for item in node.items(notes).unwrap_or_default() {
        if let Some(place) = word(&item, &names, notes) {
            measured = measured.with(kinds[place]);
        }
    }
    measured
}

fn read_capacity(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<WattHours> {
    let capacity: WattHours = fields.leaf_if_given("capacity", notes)?;
    if capacity <= WattHours::ZERO {
        fields.place("capacity").error(notes, format!("must be above 0 Wh, got {capacity}"));
        return None;
    }
    Some(capacity)
}

fn read_rating(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Watts> {
    let rating: Watts = fields.leaf("rating", notes)?;
    if rating <= Watts::ZERO {
        fields.place("rating").error(notes, format!("must be above 0 W, got {rating}"));
        return None;
    }
    Some(rating)
}

/// Reads `Points(positive: …, latency: …, timeout: …, longest_write: …, checks_epochs: …)`, or `Modbus(…)`, which has all of
/// these and what [`fieldbus`] reads.
fn read_link(node: &Node<'_>, class: DeviceClass, scan: Span, notes: &mut Notes) -> Option<Link> {
    match node.name() {
        "Points" | "Modbus" => {}
        _ => {
            unknown(node, "link", &["Points", "Modbus"], &[], notes);
            return None;
        }
    }
    let mut fields = node.fields(notes)?;
    let latency = fields.leaf_or("latency", LATENCY, notes);
    let timeout = fields.leaf_or("timeout", TIMEOUT.max(latency * 2), notes);
    check_latency(latency, timeout, &fields, notes);
    let positive = match class {
        DeviceClass::Meter | DeviceClass::Battery => {
            fields.required("positive", notes).and_then(|node| direction(&node, class, notes))
        }
        DeviceClass::Pv | DeviceClass::Genset => Some(Positive::Generation),
        DeviceClass::Load => Some(Positive::Consumption),
        // A share and a switch have no direction.
        DeviceClass::Signal | DeviceClass::Breaker => Some(Positive::Import),
    };
    if matches!(class, DeviceClass::Pv | DeviceClass::Genset | DeviceClass::Load)
        && let Some(node) = fields.optional("positive")
    {
        direction(&node, class, notes);
    }
    let late_writes =
        if class.is_controlled() { read_late_writes(&mut fields, notes) } else { LateWrites::default() };
    // A serial line keeps no connection of a host that is gone.
    let is_serial = node.name() == "Modbus" && fields.optional("serial").is_some();
    let dead_connection = if is_serial { Span::ZERO } else { DEAD_CONNECTION };
    let one_connection = read_connections(&mut fields, dead_connection, notes);
    let modbus = match node.name() {
        "Modbus" => Some(fieldbus::read(&mut fields, class, (scan, timeout), notes)),
        _ => None,
    };
    fields.finish(notes);
    let modbus = match modbus {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Link { latency, timeout, positive: positive?, one_connection, late_writes, modbus })
}

/// Reads `connections: ActiveOnly, connect: "50 ms", dead_connection: "30 s"`.
fn read_connections(
    fields: &mut Fields<'_>,
    dead_connection: Span,
    notes: &mut Notes,
) -> Option<OneConnection> {
    let connections = fields.optional("connections");
    let is_one = connections.and_then(|node| word(&node, &["Shared", "ActiveOnly"], notes)) == Some(1);
    let mut span = |name: &'static str, default: Span| {
        let found: Option<Span> = fields.leaf_if_given(name, notes);
        if let Some(span) = found
            && span > CONNECTION_MAX
        {
            fields.place(name).error(notes, format!("must be at most {CONNECTION_MAX}, got {span}"));
        }
        if found.is_some() && !is_one {
            fields.place(name).error(notes, format!("`{name}` goes with connections: ActiveOnly"));
        }
        found.unwrap_or(default)
    };
    let (connect, dead_after) = (span("connect", CONNECT), span("dead_connection", dead_connection));
    is_one.then_some(OneConnection { connect, dead_after })
}

fn read_late_writes(fields: &mut Fields<'_>, notes: &mut Notes) -> LateWrites {
    let checks_epochs = fields.optional("checks_epochs");
    let checks_epochs = checks_epochs.and_then(|node| word(&node, &["false", "true"], notes)) == Some(1);
    let longest: Option<Span> = fields.leaf_if_given("longest_write", notes);
    let low = if checks_epochs {
        "from 0 s to"
    } else {
        "above 0 s where the device does not check epochs, and at most"
    };
    if let Some(span) = longest
        && ((span.is_zero() && !checks_epochs) || span > LONGEST_WRITE_MAX)
    {
        let message = format!("must be {low} {LONGEST_WRITE_MAX}, got {span}");
        fields.place("longest_write").error(notes, message);
    }
    LateWrites { longest, checks_epochs }
}

/// Notes a latency that is too long, or not shorter than the time-out.
pub(crate) fn check_latency(latency: Span, timeout: Span, fields: &Fields<'_>, notes: &mut Notes) {
    if latency > LATENCY_MAX {
        fields.place("latency").error(notes, format!("must be at most {LATENCY_MAX}, got {latency}"));
    }
    if timeout <= latency {
        let message = format!("must be longer than the latency of {latency}, got {timeout}");
        fields.place("timeout").error(notes, message);
    }
}

/// Reads a direction that a device of `class` can count as positive.
pub(crate) fn direction(node: &Node<'_>, class: DeviceClass, notes: &mut Notes) -> Option<Positive> {
    let allowed: &[(&str, Positive)] = match class {
        DeviceClass::Meter => &[("Import", Positive::Import), ("Export", Positive::Export)],
        DeviceClass::Battery => &[("Charge", Positive::Charge), ("Discharge", Positive::Discharge)],
        DeviceClass::Pv | DeviceClass::Genset => &[("Generation", Positive::Generation)],
        DeviceClass::Load => &[("Consumption", Positive::Consumption)],
        DeviceClass::Signal | DeviceClass::Breaker => &[],
    };
    let names: Vec<&str> = allowed.iter().map(|entry| entry.0).collect();
    word(node, &names, notes).map(|position| allowed[position].1)
}

fn check_numbers(spec: &DeviceSpec, scan: Span, fields: &Fields<'_>, notes: &mut Notes) {
    let mut require = |field: &str, holds: bool, found: String, allowed: String| {
        if !holds {
            fields.place(field).error(notes, format!("must be {allowed}, got {found}"));
        }
    };
    let age_min = scan + spec.latency;
    let allowed = format!("at least the scan and the latency, {age_min}");
    require("max_age", spec.age_max >= age_min, spec.age_max.to_string(), allowed);
    if let Some(stuck_after) = spec.stuck_after {
        let allowed = format!("longer than the scan of {scan}");
        require("stuck_after", stuck_after > scan, stuck_after.to_string(), allowed);
    }
    if spec.class.is_controlled() {
        let shortest = scan * REVERSION_SCANS;
        let allowed = format!("at least {REVERSION_SCANS} scans, {shortest}");
        require("reversion", spec.reversion >= shortest, spec.reversion.to_string(), allowed);
        let half = Span::from_nanos(spec.reversion.as_nanos() / 2);
        let allowed = format!("at most half of the reversion, {half}");
        require("write_interval", spec.write_interval <= half, spec.write_interval.to_string(), allowed);
        if let Some(found) = spec.writes_per_day {
            let least = WriteBudget::least(half);
            let allowed = format!(
                "more than {least}, which repeat the set-point within its reversion of {}",
                spec.reversion
            );
            require("writes_per_day", u64::from(found) > least, found.to_string(), allowed);
        }
        let is_band = spec.dead_band >= Watts::ZERO && spec.dead_band <= spec.rating;
        let allowed = format!("from 0 W to the rating of {}", spec.rating);
        require("dead_band", is_band, spec.dead_band.to_string(), allowed);
        if let Some(power) = spec.at_stop {
            let (low, high) = spec.class.range(spec.rating);
            let allowed = format!("from {low} to {high} (positive into the bus)");
            require("at_stop", (low..=high).contains(&power), power.to_string(), allowed);
        }
        if let Some(ramp) = spec.ramp {
            require("ramp", ramp.watts_per_second() > 0.0, ramp.to_string(), "above 0 W/s".into());
        }
    }
}

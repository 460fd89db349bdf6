//! What happens during a run: breakers that move, devices that fall silent, and how links and clocks really are.

use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::units::Ratio;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::plant::Position;
use r_ems_sim::world::{Change, DropOuts, HostClock, LinkSpec, LinkState, RATE_PPB_MAX, Timed};

use crate::device::{check_latency, direction};
use crate::mistake::{Notes, suggestion};
use crate::moment::Calendar;
use crate::naming::Names;
use crate::node::{Entry, Node, excerpt};

/// Most entries of a timeline, and of a list of faults.
pub(crate) const MAX_HAPPENINGS: usize = 10_000;

/// A device of a grid: positions of both.
type Place = (usize, usize);

/// A device that does not answer for a while.
struct Silence {
    place: Place,
    from: Time,
    to: Time,
}

/// Reads `timeline` and `faults` into what changes when, sorted by time; at one instant in the order of the files.
pub(crate) fn read(
    timeline: Option<&Node<'_>>,
    faults: Option<&Node<'_>>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Vec<Timed> {
    let mut changes = Vec::new();
    let mut silences = Vec::new();
    for node in [timeline, faults].into_iter().flatten() {
        let items = node.items(notes).unwrap_or_default();
        if items.len() > MAX_HAPPENINGS {
            node.error(notes, format!("expected at most {MAX_HAPPENINGS}, got {}", items.len()));
            continue;
        }
        for item in &items {
            match item.name() {
                "At" => changes.extend(read_at(item, names, calendar, notes)),
                "During" => silences.extend(read_during(item, names, calendar, notes)),
                name => {
                    let found = excerpt(if name.is_empty() { item.text() } else { name });
                    let message =
                        format!("unknown word `{found}`; {}", suggestion(&found, &["At", "During"]));
                    item.error(notes, message);
                }
            }
        }
    }
    changes.extend(silent_changes(silences));
    changes.sort_by_key(|timed| timed.at);
    changes
}

/// Reads `At("+10 min", Open("commerce/pcc"))`.
fn read_at(node: &Node<'_>, names: &Names<'_, '_>, calendar: &Calendar, notes: &mut Notes) -> Option<Timed> {
    let values = node.positional(notes)?;
    let [when, what] = values.as_slice() else {
        node.error(
            notes,
            format!("expected At(\"+10 min\", Open(\"grid/pcc\")), got {} values", values.len()),
        );
        return None;
    };
    let at = calendar.moment(when, notes);
    let position = match what.name() {
        "Open" => Position::Open,
        "Close" => Position::Closed,
        name => {
            let found = excerpt(if name.is_empty() { what.text() } else { name });
            what.error(
                notes,
                format!("unknown change `{found}`; {}", suggestion(&found, &["Open", "Close"])),
            );
            return None;
        }
    };
    let (grid, owner, target) = target(what, names, notes)?;
    let part = names.component(grid, &owner).map_err(|message| target.error(notes, message)).ok()?;
    let kind = names.grids[grid].plant.and_then(|plant| plant.parts[part].kind);
    if kind.is_some_and(|kind| kind != crate::plant::Kind::Connection) {
        target.error(notes, "only a GridConnection has a breaker");
    }
    let grid = u16::try_from(grid).unwrap_or(u16::MAX);
    Some(Timed { at: at?, change: Change::Breaker { grid, position } })
}

/// Reads `During("+1 h", "+2 h", Silent("commerce/pcc"))`.
fn read_during(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    calendar: &Calendar,
    notes: &mut Notes,
) -> Option<Silence> {
    let values = node.positional(notes)?;
    let [begin, end, what] = values.as_slice() else {
        let message = "expected During(\"+1 h\", \"+2 h\", Silent(\"grid/device\")), got";
        node.error(notes, format!("{message} {} values", values.len()));
        return None;
    };
    let (from, to) = (calendar.moment(begin, notes), calendar.moment(end, notes));
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        end.error(notes, "must be later than the beginning");
    }
    if what.name() != "Silent" {
        let found = excerpt(if what.name().is_empty() { what.text() } else { what.name() });
        what.error(notes, format!("unknown fault `{found}`; {}", suggestion(&found, &["Silent"])));
        return None;
    }
    let (grid, owner, target) = target(what, names, notes)?;
    let device = names.device(grid, &owner).map_err(|message| target.error(notes, message)).ok()?;
    Some(Silence { place: (grid, device), from: from?, to: to? })
}

/// Reads the one name in `Open("commerce/pcc")`: its grid, what follows, and where it stands.
fn target<'t>(
    node: &Node<'t>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Option<(usize, String, Node<'t>)> {
    let values = node.positional(notes)?;
    let [value] = values.as_slice() else {
        node.error(notes, format!("expected {}(\"grid/name\"), got {} values", node.name(), values.len()));
        return None;
    };
    let text: String = value.leaf(notes)?;
    let (grid, owner) = split(&text, names).map_err(|message| value.error(notes, message)).ok()?;
    Some((grid, owner, value.clone()))
}

/// Splits `commerce/pcc` into the position of its grid and the rest.
fn split(text: &str, names: &Names<'_, '_>) -> Result<(usize, String), String> {
    let form = || format!("expected a name such as \"grid/device\", got \"{}\"", excerpt(text));
    let (grid, owner) = text.split_once('/').ok_or_else(form)?;
    Ok((names.grid(grid)?, owner.to_string()))
}

/// Silences that overlap or touch are one.
fn silent_changes(mut silences: Vec<Silence>) -> Vec<Timed> {
    silences.sort_by_key(|silence| (silence.place, silence.from));
    let mut merged: Vec<Silence> = Vec::new();
    for silence in silences {
        match merged.last_mut() {
            Some(last) if last.place == silence.place && silence.from <= last.to => {
                last.to = last.to.max(silence.to);
            }
            Some(_) | None => merged.push(silence),
        }
    }
    let change = |silence: &Silence, state: LinkState| {
        let (controller, device) = silence.place;
        let controller = u16::try_from(controller).unwrap_or(u16::MAX);
        Change::Link { controller, device: DeviceIndex::of(device), state }
    };
    let both = |silence: &Silence| {
        [
            Timed { at: silence.from, change: change(silence, LinkState::Silent) },
            Timed { at: silence.to, change: change(silence, LinkState::Answering) },
        ]
    };
    merged.iter().flat_map(both).collect()
}

/// Changes links to what `links` says that they really are; `links` is by grid and device.
pub(crate) fn read_links(
    node: &Node<'_>,
    names: &Names<'_, '_>,
    links: &mut [Vec<LinkSpec>],
    notes: &mut Notes,
) {
    for entry in node.map(notes).unwrap_or_default() {
        let place = split(&entry.name, names)
            .and_then(|(grid, device)| Ok((grid, names.device(grid, &device)?)))
            .map_err(|message| entry.key.error(notes, message));
        let Ok((grid, device)) = place else { continue };
        let class = names.grids[grid].devices[device].class;
        let Some(mut fields) = entry.value.fields(notes) else { continue };
        // Links are missing where the plant is broken; their fields are read all the same.
        let mut drop_outs = None;
        let link = links.get_mut(grid).and_then(|links| links.get_mut(device));
        let declared = link.as_ref().map_or((Span::ZERO, Span::MAX), |link| (link.latency, link.timeout));
        let latency = fields.leaf_or("latency", declared.0, notes);
        let timeout = fields.leaf_or("timeout", declared.1, notes);
        check_latency(latency, timeout, &fields, notes);
        let positive = fields.optional("positive").and_then(|node| direction(&node, class, notes));
        if let Some(node) = fields.optional("drop_outs") {
            drop_outs = read_drop_outs(&node, notes);
        }
        fields.finish(notes);
        if let Some(link) = link {
            link.latency = latency;
            link.timeout = timeout;
            link.positive = positive.unwrap_or(link.positive);
            link.drop_outs = drop_outs;
        }
    }
}

/// Shortest mean of a device's random silences and of the time between them.
pub(crate) const DROP_OUT_MIN: Span = Span::from_millis(1);

fn read_drop_outs(node: &Node<'_>, notes: &mut Notes) -> Option<DropOuts> {
    let mut fields = node.fields(notes)?;
    let mut span = |name: &'static str| {
        let span: Span = fields.leaf(name, notes)?;
        if span < DROP_OUT_MIN {
            fields.place(name).error(notes, format!("must be at least {DROP_OUT_MIN}, got {span}"));
        }
        Some(span)
    };
    let (every, lasting) = (span("every"), span("lasting"));
    fields.finish(notes);
    Some(DropOuts { every: every?, lasting: lasting? })
}

/// Reads how the hosts' clocks run; those that are not named are true.
pub(crate) fn read_clocks(node: Option<&Node<'_>>, hosts: &[Entry<'_>], notes: &mut Notes) -> Vec<HostClock> {
    let mut clocks = vec![HostClock::TRUE; hosts.len()];
    for entry in node.and_then(|node| node.map(notes)).unwrap_or_default() {
        let Some(position) = hosts.iter().position(|host| host.name == entry.name) else {
            let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
            entry.key.error(notes, format!("there is no such host; {}", suggestion(&entry.name, &known)));
            continue;
        };
        let Some(mut fields) = entry.value.fields(notes) else { continue };
        let rate: Ratio = fields.leaf_or("rate", Ratio::ZERO, notes);
        let ppb = rate.ratio() * 1e9;
        if ppb.abs() > f64::from(RATE_PPB_MAX) {
            fields.place("rate").error(notes, format!("must be from -10 % to 10 %, got {rate}"));
        }
        let at_start: Span = fields.leaf_or("at_start", Span::ZERO, notes);
        fields.finish(notes);
        // `as` saturates, and what is too large was noted; rounding takes away what decimal text leaves.
        clocks[position] =
            HostClock { rate_ppb: ppb.round() as i32, at_start: LocalTime::from_nanos(at_start.as_nanos()) };
    }
    clocks
}

//! What links and clocks really are, whatever the site file says of them.

use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::points::DeviceClass;
use r_ems_engine::units::Ratio;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::world::{DropOuts, HostClock, HostWall, LinkSpec, Post};

use crate::device::{LATENCY_MAX, check_latency, direction};
use crate::device_fault::{class, links};
use crate::fault::rate_ppb;
use crate::mistake::{Notes, suggestion};
use crate::naming::Names;
use crate::network::read_delay;
use crate::node::{Node, excerpt};

/// Changes links to what `links` says that they really are: `"commerce/pcc"` for all controllers, `"a:commerce/pcc"` for one,
/// which wins wherever it stands.
pub(crate) fn read_links(node: &Node<'_>, names: &Names<'_, '_>, posts: &mut [Post], notes: &mut Notes) {
    let mut entries = node.map(notes).unwrap_or_default();
    entries.sort_by_key(|entry| entry.name.contains(':'));
    for entry in entries {
        let meant = links(&entry.name, names).map_err(|message| entry.key.error(notes, message));
        let Ok(meant) = meant else { continue };
        let Some(mut fields) = entry.value.fields(notes) else { continue };
        let found = meant.first().and_then(|(post, device)| link(posts, *post, *device));
        let Some(declared) = found.cloned() else { continue };
        let latency = fields.leaf_or("latency", declared.latency, notes);
        let timeout = fields.leaf_or("timeout", declared.timeout, notes);
        check_latency(latency, timeout, &fields, notes);
        let reconnect = fields.leaf_or("reconnect", declared.reconnect, notes);
        if reconnect > LATENCY_MAX {
            let message = format!("must be at most {LATENCY_MAX}, got {reconnect}");
            fields.place("reconnect").error(notes, message);
        }
        let class = class(&entry.name, names);
        let positive = fields.optional("positive").and_then(|node| direction(&node, class?, notes));
        let drop_outs = fields.optional("drop_outs").and_then(|node| read_drop_outs(&node, notes));
        let write_delay = if class.is_some_and(DeviceClass::is_controlled) {
            fields.optional("write_delay").and_then(|node| read_delay(&node, notes))
        } else {
            None
        };
        fields.finish(notes);
        for (post, device) in meant {
            if let Some(link) = link(posts, post, device) {
                link.latency = latency;
                link.timeout = timeout;
                link.reconnect = reconnect;
                link.positive = positive.unwrap_or(link.positive);
                link.write_delay = write_delay.unwrap_or(link.write_delay);
                link.drop_outs = drop_outs.or(link.drop_outs);
            }
        }
    }
}

fn link(posts: &mut [Post], post: u16, device: DeviceIndex) -> Option<&mut LinkSpec> {
    posts.get_mut(usize::from(post))?.links.get_mut(device.position())
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

/// Farthest that a wall clock is from what is right: a computer whose battery is empty believes that it is 1970.
pub(crate) const WALL_ERROR_MAX: Span = Span::from_hours(100 * 366 * 24);

/// Reads what a wall clock shows: how far it is ahead of what is right, `"1 h"` or `"-1 h"`, or `Unknown`.
pub(crate) fn read_wall(node: &Node<'_>, notes: &mut Notes) -> Option<HostWall> {
    if node.text() == "Unknown" {
        return Some(HostWall::Unknown);
    }
    let form = || {
        format!(
            "expected how far it is ahead, such as \"1 h\" or \"-1 h\", or Unknown, got {}",
            excerpt(node.text())
        )
    };
    let Ok(text) = node.parse::<String>() else {
        node.error(notes, form());
        return None;
    };
    let (is_behind, magnitude) = match text.trim().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let Ok(span) = magnitude.parse::<Span>() else {
        node.error(notes, form());
        return None;
    };
    if span > WALL_ERROR_MAX {
        node.error(
            notes,
            format!("must be within {WALL_ERROR_MAX} of what is right, got \"{}\"", excerpt(&text)),
        );
        return None;
    }
    let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    Some(HostWall::Ahead(if is_behind { -nanos } else { nanos }))
}

/// Reads how the hosts' clocks run; those that are not named are true.
pub(crate) fn read_clocks(
    node: Option<&Node<'_>>,
    names: &Names<'_, '_>,
    notes: &mut Notes,
) -> Vec<HostClock> {
    let mut clocks = vec![HostClock::TRUE; names.hosts.len()];
    for entry in node.and_then(|node| node.map(notes)).unwrap_or_default() {
        let Some(position) = names.hosts.iter().position(|host| *host == entry.name) else {
            let known = suggestion(&entry.name, &names.hosts);
            entry.key.error(notes, format!("there is no such host; {known}"));
            continue;
        };
        let Some(mut fields) = entry.value.fields(notes) else { continue };
        let rate: Ratio = fields.leaf_or("rate", Ratio::ZERO, notes);
        let rate_ppb = rate_ppb(rate, &fields, notes).unwrap_or(0);
        let at_start: Span = fields.leaf_or("at_start", Span::ZERO, notes);
        let wall = fields.optional("wall").and_then(|node| read_wall(&node, notes));
        fields.finish(notes);
        let at_start = LocalTime::from_nanos(at_start.as_nanos());
        let wall = wall.unwrap_or(HostClock::TRUE.wall);
        clocks[position] = HostClock { rate_ppb, at_start, since: Time::ZERO, wall };
    }
    clocks
}

//! What links and clocks really are, whatever the site file says of them.

use r_ems_engine::units::Ratio;
use r_ems_engine::{LocalTime, Span};
use r_ems_sim::world::{DropOuts, HostClock, LinkSpec, RATE_PPB_MAX};

use crate::device::{check_latency, direction};
use crate::happening::split;
use crate::mistake::{Notes, suggestion};
use crate::naming::Names;
use crate::node::{Entry, Node};

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
        let Ok((grid, Some(device))) = place else { continue };
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

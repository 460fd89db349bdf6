//! What an operator should know of a grid: what its controllers report, and what is seen of them.

use crate::api::{Condition, ControllerStatus, GridStatus, Status};

use super::NOTHING;

/// Something that an operator should know.
pub(super) struct Worry {
    /// Whether somebody has to do something about it now.
    pub(super) is_alarm: bool,
    pub(super) text: String,
}

/// What is not as it should be: what controllers report, and what is seen of them. Who ends is no worry.
pub(super) fn worries(grid: &GridStatus, status: &Status) -> Vec<Worry> {
    let mut worries = Vec::new();
    let members = &grid.controllers;
    if status.events_lost > 0 {
        let text = "events were lost: what is listed here may be incomplete, or over".to_owned();
        worries.push(Worry { is_alarm: false, text });
    }
    if !status.is_stopping {
        if grid.active.is_none() {
            let text = if grid.hears_all() {
                "nobody writes: set-points are computed only, and devices fall back when theirs expire"
            } else {
                "whether somebody writes is not known here: ask the daemons on the other hosts"
            };
            worries.push(Worry { is_alarm: true, text: text.to_owned() });
        }
        worries.extend(members.iter().filter_map(unheard));
        let sole = members.iter().filter(|member| member.is_sole == Some(true));
        worries.extend(sole.map(|sole| Worry {
            is_alarm: false,
            text: format!("{} is sole: an operator vouches that all others are off", sole.name),
        }));
        let down = members.iter().filter(|member| member.role == "down");
        worries.extend(
            down.map(|down| Worry { is_alarm: false, text: format!("{} is {}", down.name, down.life) }),
        );
        let is_shared = members.iter().filter(|member| member.role != "witness").count() > 1;
        if is_shared
            && grid.active.is_some()
            && !members.iter().any(|member| could_take_over(member, members))
        {
            worries.push(Worry { is_alarm: false, text: "nobody could take over".to_owned() });
        }
    }
    let unusable = grid.devices.iter().filter(|device| device.quality != "good");
    worries.extend(
        unusable
            .map(|device| Worry { is_alarm: false, text: format!("{} is {}", device.name, device.quality) }),
    );
    let mut reported: Vec<(&Condition, Vec<&str>)> = Vec::new();
    for condition in &grid.conditions {
        // What several controllers see is one thing, from when the first one saw it.
        match reported.iter_mut().find(|(first, _by)| first.message == condition.message) {
            Some((_first, by)) => by.push(&condition.controller),
            None => reported.push((condition, vec![&condition.controller])),
        }
    }
    worries.extend(reported.iter().map(|(Condition { since, severity, message, .. }, by)| Worry {
        is_alarm: severity == "alarm",
        text: format!("{message}  ({}, since {since})", by.join(", ")),
    }));
    worries
}

/// What is to be known of a member on another host that does not count for those here.
fn unheard(member: &ControllerStatus) -> Option<Worry> {
    let host = member.host.as_deref().unwrap_or(NOTHING);
    let what = match member.role.as_str() {
        "silent" => "is not heard here",
        "differs" => {
            "has another redundancy section: nothing that it says counts here; give both the same site file"
        }
        _ => return None,
    };
    Some(Worry { is_alarm: false, text: format!("{} on host {host} {what}", member.name) })
}

/// Whether a member could take over from the active: who misses devices that the active reaches is no better than it.
fn could_take_over(member: &ControllerStatus, members: &[ControllerStatus]) -> bool {
    let is_needed = members.iter().any(|active| active.role == "active" && active.reaches_devices);
    member.role == "standby" && member.is_ready && (member.reaches_devices || !is_needed)
}

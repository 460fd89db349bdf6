//! The members of a grid's council that run on other hosts, as they were heard here last.

use r_ems_engine::Span;
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::redundancy::supervisor::Heard;

use super::super::about::MemberPlace;
use super::Api;
use super::status::Looked;
use crate::api::ControllerStatus;

/// Who has not been heard for longer, beyond the watchdog, is told to be silent: what is looked at here may be as old.
const SILENT_BEYOND: Span = Span::from_millis(500);

/// A member that runs on another host.
pub(super) struct Elsewhere {
    pub(super) status: ControllerStatus,
    /// Its id.
    pub(super) id: String,
    /// The epoch under which it may write.
    pub(super) held: Option<Epoch>,
}

impl Api {
    /// Those of a grid; `members` are the ones here, at least one of which has to be seen.
    pub(super) fn elsewhere(&self, grid: &str, members: &[&Looked]) -> Vec<Elsewhere> {
        let hears = members.iter().filter(|member| member.lives());
        let Some(hearer) = hears.filter_map(|member| Some((member.ago, member.view.as_ref()?))).next() else {
            return Vec::new();
        };
        let about = self.about.grid(grid);
        let members = about.map_or(&[][..], |about| about.members.as_slice());
        let told = |(seat, member): (usize, &super::super::about::MemberAbout)| {
            let MemberPlace::On(host) = &member.place else { return None };
            let (ago, view) = hearer;
            let heard = view.heard.get(seat).copied().flatten();
            let heard = heard.map(|(heard, before)| (heard, before + ago));
            Some(told(&format!("{grid}/{}", member.id), &member.id, host, heard, view.watchdog))
        };
        members.iter().enumerate().filter_map(told).collect()
    }
}

/// What is told of a member that was heard so long ago.
fn told(name: &str, id: &str, host: &str, heard: Option<(Heard, Span)>, watchdog: Span) -> Elsewhere {
    let recent = heard.filter(|(_, ago)| *ago <= watchdog + SILENT_BEYOND);
    let said = recent.and_then(|(heard, _)| heard.said);
    let status = ControllerStatus {
        name: name.to_owned(),
        host: Some(host.to_owned()),
        role: said.map_or("silent", |said| said.role.name()).to_owned(),
        epoch: said.map_or(Epoch::NONE, |said| said.epoch).to_string(),
        life: "elsewhere".to_owned(),
        is_ready: said.is_some_and(|said| said.is_ready),
        reaches_devices: said.is_some_and(|said| said.reaches_devices),
        state_age_s: None,
        scans: 0,
        missed: 0,
        lateness_worst_s: 0.0,
        seen_s: heard.map_or(f64::MAX, |(_, ago)| ago.as_secs_f64()),
    };
    let held = said.filter(|said| said.role.holds()).map(|said| said.epoch);
    Elsewhere { status, id: id.to_owned(), held }
}

#[cfg(test)]
mod tests {
    use r_ems_engine::LocalTime;
    use r_ems_engine::redundancy::message::Heartbeat;
    use r_ems_engine::redundancy::{Role, Seat};

    use super::*;

    #[test]
    fn who_was_not_heard_for_long_is_silent_and_holds_nothing() {
        let epoch = Epoch { round: 3, seat: Seat(0) };
        let said = Heartbeat {
            role: Role::Active,
            epoch,
            renewal: 0,
            renews: Epoch::NONE,
            is_ready: true,
            reaches_devices: true,
            is_slow: false,
            owner: Seat(0),
            owned_from: Epoch::NONE,
            active_for: Span::ZERO,
        };
        let heard = Heard { at: LocalTime::ZERO, said: Some(said) };
        let watchdog = Span::from_millis(60);
        let at = |ago| told("g/a", "a", "far", Some((heard, ago)), watchdog);
        let recent = at(watchdog + SILENT_BEYOND);
        assert_eq!((recent.status.role.as_str(), recent.held), ("active", Some(epoch)));
        let late = at(watchdog + SILENT_BEYOND + Span::from_nanos(1));
        assert_eq!((late.status.role.as_str(), late.held), ("silent", None));
        assert_eq!(told("g/a", "a", "far", None, watchdog).status.role, "silent");
    }
}

//! The members of a grid's council that run on other hosts, as they were heard here last.

use r_ems_engine::Span;
use r_ems_engine::redundancy::Epoch;

use super::super::about::MemberPlace;
use super::Api;
use super::status::Looked;
use super::views::LastHeard;
use crate::api::ControllerStatus;

/// Who has not been heard for longer, beyond the watchdog, is told to be silent: what is looked at here may be as old.
const SILENT_BEYOND: Span = Span::from_millis(500);

/// What is heard of a member that runs on another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// What it says of itself.
    Understood,
    /// That it is there; it runs with another redundancy section, and nothing that it says counts.
    Differs,
    /// Nothing, for long or ever.
    Silent,
}

/// A member that runs on another host.
pub(super) struct Elsewhere {
    pub(super) status: ControllerStatus,
    /// Its id.
    pub(super) id: String,
    /// Its host.
    pub(super) host: String,
    /// What is heard of it.
    pub(super) hearing: Hearing,
    /// The epoch under which it may write.
    pub(super) held: Option<Epoch>,
}

impl Api {
    /// Those of a grid; `members` are the ones here. While none of these lives, nobody hears anything.
    pub(super) fn elsewhere(&self, grid: &str, members: &[&Looked]) -> Vec<Elsewhere> {
        let hears = members.iter().filter(|member| member.lives());
        let hearer = hears.filter_map(|member| Some((member.ago, member.view.as_ref()?))).next();
        let about = self.about.grid(grid);
        let members = about.map_or(&[][..], |about| about.members.as_slice());
        let told = |(seat, member): (usize, &super::super::about::MemberAbout)| {
            let MemberPlace::On(host) = &member.place else { return None };
            let heard = hearer.and_then(|(ago, view)| {
                let (heard, before) = view.heard.get(seat).copied().flatten()?;
                Some((heard, before + ago))
            });
            let watchdog = hearer.map_or(Span::ZERO, |(_, view)| view.watchdog);
            Some(told(&format!("{grid}/{}", member.id), &member.id, host, heard, watchdog))
        };
        members.iter().enumerate().filter_map(told).collect()
    }
}

/// What is told of a member of which this was heard so long ago.
fn told(name: &str, id: &str, host: &str, heard: Option<(LastHeard, Span)>, watchdog: Span) -> Elsewhere {
    let recent = heard.filter(|(_, ago)| *ago <= watchdog + SILENT_BEYOND);
    let (hearing, said, role) = match recent {
        Some((LastHeard::Understood(Some(said)), _)) => (Hearing::Understood, Some(said), said.role.name()),
        Some((LastHeard::Differs, _)) => (Hearing::Differs, None, "differs"),
        Some((LastHeard::Understood(None), _)) | None => (Hearing::Silent, None, "silent"),
    };
    let status = ControllerStatus {
        name: name.to_owned(),
        host: Some(host.to_owned()),
        role: role.to_owned(),
        is_sole: None,
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
    Elsewhere { status, id: id.to_owned(), host: host.to_owned(), hearing, held }
}

#[cfg(test)]
mod tests {
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
        let heard = LastHeard::Understood(Some(said));
        let watchdog = Span::from_millis(60);
        let at = |ago| told("g/a", "a", "far", Some((heard, ago)), watchdog);
        let recent = at(watchdog + SILENT_BEYOND);
        assert_eq!((recent.status.role.as_str(), recent.held), ("active", Some(epoch)));
        let late = at(watchdog + SILENT_BEYOND + Span::from_nanos(1));
        assert_eq!((late.status.role.as_str(), late.held), ("silent", None));
        assert_eq!(told("g/a", "a", "far", None, watchdog).status.role, "silent");
    }

    #[test]
    fn who_is_heard_and_not_understood_differs_and_who_says_nothing_of_itself_is_silent() {
        let at = |heard, ago| told("g/a", "a", "far", Some((heard, ago)), Span::ZERO);
        let differs = at(LastHeard::Differs, SILENT_BEYOND);
        assert_eq!((differs.status.role.as_str(), differs.hearing), ("differs", Hearing::Differs));
        let gone = at(LastHeard::Differs, SILENT_BEYOND + Span::from_nanos(1));
        assert_eq!((gone.status.role.as_str(), gone.hearing), ("silent", Hearing::Silent));
        let wordless = at(LastHeard::Understood(None), Span::ZERO);
        assert_eq!((wordless.status.role.as_str(), wordless.hearing), ("silent", Hearing::Silent));
    }
}

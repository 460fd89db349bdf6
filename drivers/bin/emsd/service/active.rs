//! Who may write in a grid, as far as is known here, and why its set-points are what they are.

use super::Api;
use super::commands::Trouble;
use super::elsewhere::{Elsewhere, Hearing};
use super::status::Looked;
use crate::api::Explained;
use crate::explanation::Point;

/// Who may write: of two that say so, one of which has just gone, the one of the later authority.
pub(super) fn active<'a>(members: &[&'a Looked]) -> Option<&'a Looked> {
    members.iter().copied().filter(|member| member.held().is_some()).max_by_key(|member| member.held())
}

/// The same of those on other hosts.
pub(super) fn active_elsewhere(elsewhere: &[Elsewhere]) -> Option<&Elsewhere> {
    elsewhere.iter().filter(|other| other.held.is_some()).max_by_key(|other| other.held)
}

impl Api {
    /// The controller here that may write in a grid; `members` are the ones here, `elsewhere` the others.
    ///
    /// # Errors
    /// There is none here: who it is, or that it is not known.
    pub(super) fn active_here<'a>(
        &self,
        grid: &str,
        members: &[&'a Looked],
        elsewhere: &[Elsewhere],
    ) -> Result<&'a Looked, Trouble> {
        active(members).ok_or_else(|| Trouble::Conflict(format!("{grid}: {}", not_here(elsewhere))))
    }

    /// Why set-points are what they are, by the active.
    pub(super) fn explain(&self, wanted: &Point) -> Result<Explained, Trouble> {
        let grid = wanted.grid.as_str();
        self.check_grid(grid)?;
        let looked = self.look();
        let members = self.of_grid(&looked, grid);
        let active = self.active_here(grid, &members, &self.elsewhere(grid, &members))?;
        let device = wanted.device(&self.about.controllers[active.of.position()]);
        let device = device.map_err(|reason| Trouble::Unknown(format!("{grid}: {reason}")))?;
        let explanation = self.views.explain(active.of, &active.seen, Some(device));
        let explanation =
            explanation.ok_or_else(|| Trouble::Conflict(format!("{grid}: nothing has been decided yet")))?;
        let at = active.seen.at;
        Ok(Explained { at_s: at.as_secs_f64(), at: self.local(at), explanation })
    }
}

/// Where the active is, if no member here is the one. That nobody is active is known only where all others are heard.
fn not_here(elsewhere: &[Elsewhere]) -> String {
    if let Some(Elsewhere { id, host, .. }) = active_elsewhere(elsewhere) {
        return format!("{id} is active; ask the daemon on host {host}");
    }
    let unknown = |Elsewhere { id, host, hearing, .. }: &Elsewhere| match hearing {
        Hearing::Understood => None,
        Hearing::Differs => Some(format!("{id} on host {host} has another redundancy section")),
        Hearing::Silent => Some(format!("{id} on host {host} is not heard")),
    };
    let unknown: Vec<String> = elsewhere.iter().filter_map(unknown).collect();
    match unknown.as_slice() {
        [] => "nobody is active".to_owned(),
        unknown => format!("no active is heard here: {}; ask the daemons there", unknown.join(", ")),
    }
}

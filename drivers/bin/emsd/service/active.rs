//! Who may write in a grid, as far as is known here.

use super::Api;
use super::commands::Trouble;
use super::elsewhere::{Elsewhere, Hearing};
use super::status::Looked;

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

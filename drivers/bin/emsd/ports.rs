//! Serial ports as a person finds them before a site begins: what cannot be opened now is said with the reason.
//!
//! It is a warning only: an adapter may be plugged in later, and the line is tried again as long as the site runs.

use std::collections::BTreeSet;

use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::RealMember;

use crate::ways;

/// Warns of ports that cannot be opened.
pub(super) fn look<F: FunctionSet>(members: &[&RealMember<F>]) {
    let mut seen = BTreeSet::new();
    for way in members.iter().flat_map(|member| &member.ways) {
        if seen.insert(ways::told(way))
            && let Some((error, remedy)) = ways::refused(way)
        {
            tracing::warn!("{}: cannot be opened: {error}; {remedy}; it is tried again", ways::told(way));
        }
    }
}

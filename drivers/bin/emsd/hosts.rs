//! What passes between this host and the others, as far as people should know of it: counts for metrics, and a warning the first
//! time that something of a kind is refused, with what is likely wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r_ems_engine::ids::ControllerIndex;
use r_ems_site::peers::Counts;
use r_ems_site::site::{Said, Tell};

/// What was counted, to look at any time.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Arc<Mutex<Vec<Counted>>>);

/// What was counted of a host, or of nobody.
pub(super) type Counted = (Option<String>, Counts);

/// A kind of what is counted.
type Kind = (&'static str, fn(&Counts) -> u64);

/// What is counted by host.
pub(super) const OF_HOST: [Kind; 8] = [
    ("sent", |counts| counts.sent),
    ("knocked", |counts| counts.knocked),
    ("not_taken", |counts| counts.not_taken),
    ("delivered", |counts| counts.delivered),
    ("sessions", |counts| counts.accepted),
    ("refused_forged", |counts| counts.refused.forged),
    ("refused_stale", |counts| counts.refused.stale),
    ("refused_replayed", |counts| counts.refused.replayed),
];

/// What is counted of nobody, as nothing shows who sent it.
pub(super) const OF_NOBODY: [Kind; 4] = [
    ("refused_length", |counts| counts.refused.length),
    ("refused_foreign", |counts| counts.refused.foreign),
    ("refused_not_for_me", |counts| counts.refused.not_for_me),
    ("refused_unknown_host", |counts| counts.refused.unknown_host),
];

/// What is warned of, and what is likely wrong.
const WORRIES: [(&str, &str); 5] = [
    ("refused_forged", "their tag is wrong: that host has another key, or somebody else sends them"),
    (
        "refused_replayed",
        "they were sent before: the network repeats them, or somebody records and sends them",
    ),
    ("refused_foreign", "they are of another program, or of a version of r-ems with another form"),
    ("refused_not_for_me", "they are for another host: the site files list hosts in different orders"),
    (
        "refused_unknown_host",
        "they are of a host that the site file here does not have, or without an address",
    ),
];

impl Hosts {
    /// Whoever the driver tells; `controllers` and `hosts` are called so.
    pub(super) fn listener(&self, controllers: Vec<String>, hosts: Vec<String>) -> Tell {
        let own = self.clone();
        Box::new(move |said| match said {
            Said::Finding(of, finding) => {
                let name =
                    controllers.get(ControllerIndex::position(of)).map_or("a controller", String::as_str);
                tracing::warn!("{name}: {finding}");
            }
            Said::Peer(host, counts) => {
                let host = host.and_then(|host| hosts.get(usize::from(host)).cloned());
                for (words, why) in own.note(host.clone(), counts) {
                    let from = host.as_deref().map_or_else(String::new, |host| format!(" of host {host}"));
                    tracing::warn!("datagrams{from} are refused ({words}): {why}");
                }
            }
        })
    }

    /// Notes what was counted, and gives what is refused for the first time, and why.
    fn note(&self, host: Option<String>, counts: Counts) -> Vec<(&'static str, &'static str)> {
        let kinds: &[Kind] = if host.is_some() { &OF_HOST } else { &OF_NOBODY };
        let mut known = self.known();
        let place = known.iter().position(|(known, _)| *known == host).unwrap_or_else(|| {
            known.push((host, Counts::default()));
            known.len() - 1
        });
        let before = std::mem::replace(&mut known[place].1, counts);
        let is_new = |name: &str| {
            kinds.iter().any(|(kind, count)| *kind == name && count(&before) == 0 && count(&counts) > 0)
        };
        WORRIES.into_iter().filter(|(name, _)| is_new(name)).collect()
    }

    /// What was counted by now.
    pub(super) fn known(&self) -> MutexGuard<'_, Vec<Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use r_ems_site::peers::Refused;

    use super::*;

    #[test]
    fn each_kind_is_warned_of_once_for_each_host() {
        let hosts = Hosts::default();
        let refused = |forged, foreign| Counts {
            refused: Refused { forged, foreign, ..Refused::default() },
            ..Counts::default()
        };
        let note = |host: Option<&str>, counts| -> Vec<&str> {
            hosts.note(host.map(str::to_owned), counts).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(note(Some("b"), refused(0, 0)), [""; 0]);
        assert_eq!(note(Some("b"), refused(1, 0)), ["refused_forged"]);
        assert_eq!(note(Some("b"), refused(2, 0)), [""; 0]);
        assert_eq!(note(Some("c"), refused(1, 0)), ["refused_forged"]);
        assert_eq!(note(None, refused(3, 1)), ["refused_foreign"], "what is of a host is told of that");
        assert_eq!(hosts.known().len(), 3);
    }

    #[test]
    fn whatever_is_worried_about_is_counted() {
        let kinds = || OF_HOST.into_iter().chain(OF_NOBODY).map(|(name, _)| name);
        assert!(WORRIES.iter().all(|(name, _)| kinds().any(|kind| kind == *name)));
    }
}

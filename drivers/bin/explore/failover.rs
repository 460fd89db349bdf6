//! How long take-overs last: host after host crashes, and nothing else is wrong.
//!
//! A take-over lasts from the crash of the active's host to the first write of the next that a device accepts. The hosts of the
//! controllers crash in turn, each for long enough to be taken over, and all has settled before the next one does; crashes fall
//! anywhere into a scan and a heartbeat. Nothing here is a time of this machine: the same command gives the same table
//! everywhere.
//!
//! Counted is what the site promises. A pair that takes over on silence promises nothing at the instant of a crash, because the
//! other cannot know of it: there every gap counts that devices saw. A pair that waits for its owner has nothing to measure.
//!
//! The site is measured as it is, and with devices that do not check epochs and declare a D of 200 ms and of 1 s.

use std::path::Path;

use r_ems_engine::Span;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::rng::Stream;

use super::case::Case;
use super::fault::{Fault, Scope, Value, What};
use super::{Explored, Options, Reached, Site, Trial, Watch, each, trial};
use crate::exit::Failure;

/// The longest writes of the rows after the first.
const LONGEST_WRITES: [Span; 2] = [Span::from_millis(200), Span::from_secs(1)];
/// A crash comes up to so much later than it could: twice the longest scan that a fast site has.
const SHIFT_MAX: Span = Span::from_millis(20);

/// The take-overs of one variant of the site.
#[derive(Clone, Debug)]
pub struct Row {
    /// What D is.
    pub name: String,
    /// How long a run was.
    pub length: Span,
    /// What the runs showed.
    pub explored: Explored,
}

/// Whether the measurement was ended early by its user.
pub fn was_interrupted(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.explored.was_interrupted)
}

/// Measures the take-overs of a site; each row has as many runs as `options` say.
///
/// # Errors
/// The scenario is wrong, or its grids are not shared.
pub fn rows<F>(
    file: &Path,
    settings: &[String],
    length: Option<Span>,
    options: &Options,
    show: &(dyn Fn(Reached) + Sync),
) -> Result<Vec<Row>, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let declared = Site::<F>::open(file, settings, length)?;
    if let Some(why) = nobody_takes_over(&declared) {
        return Err(Failure::usage(format!("{}: {why}", file.display())));
    }
    let row = |name: String, site: &Site<F>| {
        measure(site, options, show).map(|explored| Row { name, length: site.length, explored })
    };
    let mut rows = vec![row("as declared".to_owned(), &declared)?];
    for longest_write in LONGEST_WRITES {
        let mut settings = settings.to_vec();
        for grid in declared.facts.shared().map(|grid| &declared.facts.grids[grid]) {
            for device in &grid.controlled {
                let link = format!("site.grids.{}.devices.{}.link", grid.name, device.name);
                settings.push(format!("{link}.checks_epochs=false"));
                settings.push(format!("{link}.longest_write={longest_write}"));
            }
        }
        let site = Site::<F>::open(file, &settings, length)?;
        rows.push(row(longest_write.to_string(), &site)?);
    }
    Ok(rows)
}

fn measure<F>(site: &Site<F>, options: &Options, show: &(dyn Fn(Reached) + Sync)) -> Result<Explored, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let sees_all = site.promised().iter().all(|promised| promised.needs_no_vote_of_the_dead);
    each(options, &Watch::showing(show), &|number| {
        let trial = trial::run(site, &crashes(site, options.seed, number))?;
        Ok(if sees_all { Trial { take_overs: trial.gaps.clone(), ..trial } } else { trial })
    })
}

/// Why nobody of a site takes over, and what changes that.
fn nobody_takes_over<F: FunctionSet>(site: &Site<F>) -> Option<&'static str> {
    if !site.promised().is_empty() {
        return None;
    }
    let is_controlled = |grid: usize| !site.facts.grids[grid].controlled.is_empty();
    Some(if site.facts.shared().any(is_controlled) {
        "nobody takes over when the active's host crashes: a pair without a witness waits for its owner; \
         name a witness, or set on_silence: TakeOver"
    } else {
        "nobody takes over what is not there: no shared grid has a device that takes set-points"
    })
}

/// The crashes of one run.
fn crashes<F: FunctionSet>(site: &Site<F>, seed: u64, number: u64) -> Case {
    let mut stream = Stream::named(seed, &format!("failover {number}"));
    let longest = |read: fn(&r_ems_sim::progress::Promised) -> Span| {
        site.promised().iter().map(read).max().unwrap_or(Span::ZERO)
    };
    // Who crashed is down for twice as long as a take-over may last.
    let (settles, outage) =
        (longest(|promised| promised.settles_within), longest(|promised| promised.within) * 2);
    let mut hosts = Vec::new();
    for grid in site.facts.shared() {
        for member in site.facts.controllers_of(grid) {
            let host = site.facts.members[usize::from(member)].host;
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    let mut faults = Vec::new();
    let mut at = settles;
    for host in hosts.iter().cycle() {
        let from = at + Span::from_nanos(stream.below(SHIFT_MAX.as_nanos()));
        let to = from + outage;
        if to >= site.length || outage.is_zero() {
            break;
        }
        let what = What::new("Crash").with("host", Value::Name(site.facts.hosts[usize::from(*host)].clone()));
        faults.push(Fault { kind: 0, from, to: Some(to), what, scope: Scope::Host(*host) });
        at = to + settles;
    }
    Case { network_seed: stream.word() >> 33, length: site.length, faults, calmed: 0, settings: Vec::new() }
}

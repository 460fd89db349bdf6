//! Runs the proposals of a search for a simpler case from where they first differ from the simplest one known.
//!
//! ```text
//!     best      ──────┤fault├────────────┤fault├──────┤fault├──── broken
//!     proposal  ──────┤fault├────────────┤fault  ├────┤fault├──── …
//!                                              └ they differ from here on: the prefix ends just before
//! ```
//!
//! Until the first instant at which their timelines differ, two runs of one seed on one site are one run. A run is stopped just
//! before that instant and what is there is kept, so that the next proposal that differs there or later begins there. What serves
//! whom is decided by what has happened, never by who proposed it: a prefix that has taken the same entries of the timeline, and
//! none that the proposal has later, is the proposal's own beginning.
//!
//! **Invariant:** a run from a prefix is the run from its beginning, bit for bit: it ends with the same world and machines.

use std::sync::Arc;

use r_ems_engine::Time;
use r_ems_engine::functions::FunctionSet;
use r_ems_sim::world::{Timed, WorldSpec};

use super::case::Case;
use super::running::Running;
use super::settings::Setting;
use super::site::{Site, Variant};
use super::trial::{self, Beyond, Trial};
use crate::exit::Failure;

/// So many prefixes are kept at the most: about as many as a case has faults. Each is some ten to a hundred kB.
const PREFIXES_MAX: usize = 32;

/// Beginnings of runs, by how far they have come.
pub(super) struct Prefixes<'a, F: FunctionSet> {
    site: &'a Site<F>,
    /// The simplest case known to fail.
    best: Plot,
    /// What was run last.
    last: Option<Plot>,
    kept: Vec<Running<F>>,
    handled: Handled,
}

/// Deliveries of all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// As many as they have from their beginnings on.
    pub whole: u64,
    /// As many as were handled, the others being those of prefixes.
    pub really: u64,
}

/// All that decides what happens in a run.
#[derive(Clone, Debug)]
struct Plot {
    network_seed: u64,
    calmed: u8,
    settings: Vec<Setting>,
    timeline: Vec<Timed>,
    end: Time,
}

impl Plot {
    fn of(case: &Case, world: &WorldSpec) -> Self {
        let Case { network_seed, calmed, length, .. } = *case;
        let (settings, timeline) = (case.settings.clone(), world.timeline.clone());
        Self { network_seed, calmed, settings, timeline, end: Time::ZERO + length }
    }

    /// Whether two runs are one until their timelines differ.
    fn is_alike(&self, other: &Self) -> bool {
        let site = |plot: &Self| (plot.network_seed, plot.calmed);
        site(self) == site(other) && self.settings == other.settings
    }

    /// The last instant before the timelines differ; nothing if they differ from the start on, or only after the end.
    fn parts_after(&self, other: &Self) -> Option<Time> {
        let timelines = [&self.timeline, &other.timeline];
        let common = timelines[0].iter().zip(timelines[1]).take_while(|pair| pair.0 == pair.1).count();
        let next = timelines.iter().filter_map(|timeline| timeline.get(common));
        let before = next.map(|timed| timed.at).min()?.as_nanos().checked_sub(1)?;
        (before < self.end.as_nanos()).then(|| Time::from_nanos(before))
    }
}

impl<'a, F: FunctionSet> Prefixes<'a, F> {
    /// Keeps none yet; `best` is the case that shall become simpler.
    ///
    /// # Errors
    /// The language does not read the case.
    pub(super) fn new(site: &'a Site<F>, best: &Case) -> Result<Self, Failure> {
        let (_, world) = trial::world(site, best)?;
        let best = Plot::of(best, &world);
        Ok(Self { site, best, last: None, kept: Vec::new(), handled: Handled::default() })
    }

    /// Runs a case, from the last prefix that is its own.
    ///
    /// # Errors
    /// The language does not read the case.
    pub(super) fn run(&mut self, case: &Case) -> Result<Trial, Failure> {
        let (variant, world) = trial::world(self.site, case)?;
        let facts = &self.site.facts;
        let beyond = Beyond::of(&variant, &world, facts.clock_rate_max_ppb);
        let plot = Plot::of(case, &world);
        let mut trial = trial::of_run(beyond, facts, || self.play(&plot, &variant, world));
        trial.drawn(case);
        self.handled.whole += trial.deliveries;
        self.last = Some(plot);
        Ok(trial)
    }

    /// The case that was run last is the simplest one from now on.
    pub(super) fn accept(&mut self) {
        let Some(plot) = self.last.take() else { return };
        let is_alike = plot.is_alike(&self.best);
        self.kept.retain(|prefix| is_alike && prefix.has_begun_as(&plot.timeline));
        self.best = plot;
    }

    /// How many deliveries there were.
    pub(super) const fn handled(&self) -> Handled {
        self.handled
    }

    /// Leads a run to its end and keeps what it shares with the best case.
    fn play(&mut self, plot: &Plot, variant: &Arc<Variant<F>>, world: WorldSpec) -> Running<F> {
        let is_alike = plot.is_alike(&self.best);
        let own = |prefix: &&Running<F>| {
            is_alike && prefix.now() <= plot.end && prefix.has_begun_as(&plot.timeline)
        };
        let prefix = self.kept.iter().filter(own).max_by_key(|prefix| prefix.now());
        let mut running = prefix.cloned().unwrap_or_else(|| Running::new(variant, world));
        let resumed = running.deliveries();
        if is_alike
            && let Some(parts) = plot.parts_after(&self.best)
            && parts > running.now()
        {
            running.go_on_with(&plot.timeline, parts);
            if !running.is_poisoned() {
                self.keep(running.clone());
            }
        }
        running.go_on_with(&plot.timeline, plot.end);
        self.handled.really += running.deliveries() - resumed;
        running
    }

    /// Keeps a prefix; of too many goes the one that saves the least: whose own predecessor is nearest.
    fn keep(&mut self, prefix: Running<F>) {
        let place = self.kept.partition_point(|known| known.now() <= prefix.now());
        self.kept.insert(place, prefix);
        if self.kept.len() > PREFIXES_MAX {
            let before =
                |place: usize| place.checked_sub(1).map_or(Time::ZERO, |before| self.kept[before].now());
            let saves = |place: &usize| self.kept[*place].now().since(before(*place));
            let least = (0..self.kept.len()).filter(|other| *other != place).min_by_key(saves);
            if let Some(least) = least {
                self.kept.remove(least);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use r_ems_engine::functions::BuiltIn;

    use super::super::{reduce::Reducer, swarm};
    use super::*;

    /// Shared grids, and one whose controllers go on from their disks.
    const FILES: [&str; 3] = ["failover.ron", "failover_fast.ron", "rolling_restart.ron"];

    fn site(file: &str) -> Site<BuiltIn> {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
        Site::open(&scenario, &[], None).expect("a shipped scenario is right")
    }

    /// How a run ends that is made from its beginning.
    fn whole(site: &Site<BuiltIn>, case: &Case) -> String {
        let (variant, world) = trial::world(site, case).expect("it is read");
        let mut running = Running::new(&variant, world);
        running.go_on();
        running.whole()
    }

    /// The same from a prefix.
    fn resumed(prefixes: &mut Prefixes<'_, BuiltIn>, case: &Case) -> String {
        let (variant, world) = trial::world(prefixes.site, case).expect("it is read");
        let plot = Plot::of(case, &world);
        prefixes.play(&plot, &variant, world).whole()
    }

    /// The place of the first difference, with what is around it: whole worlds are too much to read.
    fn difference(one: &str, other: &str) -> Option<(String, String)> {
        let place = one.bytes().zip(other.bytes()).position(|(one, other)| one != other);
        let place = place.or_else(|| (one.len() != other.len()).then_some(one.len().min(other.len())))?;
        let around = |text: &str| text.chars().skip(place.saturating_sub(200)).take(400).collect();
        Some((around(one), around(other)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

        /// Whatever becomes simpler, and whichever proposals count, world and machines end as in a run from the beginning.
        #[test]
        fn a_run_from_a_prefix_is_the_run_from_its_beginning(
            seed in any::<u64>(),
            file in proptest::sample::select(&FILES[..]),
            answers in proptest::collection::vec(any::<bool>(), 16),
        ) {
            let site = site(file);
            let case = swarm::draw(&site.facts, site.length, seed, 0);
            let mut prefixes = Prefixes::new(&site, &case).expect("it is read");
            let mut reducer = Reducer::new(case);
            for is_accepted in answers {
                let Some(case) = reducer.propose() else { break };
                prop_assert_eq!(difference(&resumed(&mut prefixes, case), &whole(&site, case)), None);
                let trial = prefixes.run(case).expect("it is read");
                prop_assert_eq!(trial, trial::run(&site, case).expect("it is read"));
                if is_accepted {
                    prefixes.accept();
                    reducer.accept();
                } else {
                    reducer.reject();
                }
            }
        }
    }

    #[test]
    fn what_proposals_share_is_handled_once_and_few_prefixes_are_kept() {
        let site = site("failover_fast.ron");
        let numbers = 0..20;
        let case = numbers.map(|number| swarm::draw(&site.facts, site.length, 1, number));
        let case = case.max_by_key(|case| case.faults.len()).expect("there are some");
        let mut prefixes = Prefixes::new(&site, &case).expect("it is read");
        // One fault less, the first, the second, …: each run differs later than the one before.
        for place in 0..case.faults.len() {
            let mut less = case.clone();
            less.faults.remove(place);
            prefixes.run(&less).expect("it is read");
        }
        let Handled { whole, really } = prefixes.handled();
        assert!(really * 10 < whole * 9, "{really} of {whole}");
        let kept = prefixes.kept.len();
        assert!(kept > 1 && kept <= PREFIXES_MAX, "{kept}");
        for _more in 0..2 * PREFIXES_MAX {
            prefixes.keep(prefixes.kept[0].clone());
        }
        assert_eq!(prefixes.kept.len(), PREFIXES_MAX);
    }
}

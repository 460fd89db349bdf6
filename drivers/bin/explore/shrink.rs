//! Shrinks a failure within a budget of runs, and makes sure that what is left fails by itself.
//!
//! A proposal counts only if it breaks the same property: another failure is another finding. Nothing after the violation
//! matters, so each accepted case ends right behind it, which also makes the next runs short.
//!
//! **Decision: every proposal is run from its beginning.** Worlds and fleets could be cloned at instants on the way and proposals
//! resumed from there, but a run ends at its violation and costs few milliseconds, and the passes that change the most, removing
//! and calming, change it from its first faults on. Measured on `failover_fast.ron`, a shrink is a few hundred runs and a second.
//! Runs of hours would change our mind.

use r_ems_engine::functions::FunctionSet;

use super::case::Case;
use super::reduce::Reducer;
use super::site::Site;
use super::trial::{self, Broken, Property};
use crate::exit::Failure;
use crate::study::progress::Interrupt;

/// Most runs that one failure is shrunk with.
pub const BUDGET: u32 = 1_000;

/// A failure as small as it got.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What still fails.
    pub case: Case,
    /// How.
    pub broken: Broken,
    /// How many runs that took.
    pub tries: u32,
    /// How many of them made it simpler.
    pub steps: u32,
}

/// Shrinks a case that broke `broken`; a wish to end early leaves it as small as it is by then.
///
/// # Errors
/// A calmer site cannot be loaded.
pub fn shrink<F: FunctionSet>(
    site: &Site<F>,
    case: &Case,
    broken: &Broken,
    interrupt: &Interrupt,
) -> Result<Shrunk, Failure> {
    let property = broken.property;
    let mut shrunk = Shrunk { case: case.clone(), broken: broken.clone(), tries: 0, steps: 0 };
    // An assertion that fails may be told of at another time than it has its cause.
    if property != Property::NothingPanics {
        let early = case.until(broken.at);
        if let Some(again) = fails(site, &early, property)? {
            (shrunk.case, shrunk.broken) = (early, again);
        }
        shrunk.tries += 1;
    }
    let mut reducer = Reducer::new(shrunk.case.clone());
    while shrunk.tries < BUDGET && !interrupt.is_asked() {
        let Some(proposal) = reducer.propose().cloned() else { break };
        shrunk.tries += 1;
        match fails(site, &proposal, property)? {
            Some(again) => {
                shrunk.broken = again;
                shrunk.steps += 1;
                reducer.accept();
            }
            None => reducer.reject(),
        }
    }
    shrunk.case = reducer.best().clone();
    let last = shrunk.case.until(shrunk.broken.at);
    shrunk.tries += 1;
    if property != Property::NothingPanics
        && let Some(again) = fails(site, &last, property)?
    {
        (shrunk.case, shrunk.broken) = (last, again);
    }
    Ok(shrunk)
}

fn fails<F: FunctionSet>(site: &Site<F>, case: &Case, property: Property) -> Result<Option<Broken>, Failure> {
    Ok(trial::run(site, case)?.breaks(property).cloned())
}

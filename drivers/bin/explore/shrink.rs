//! Shrinks a failure within a budget of runs, and makes sure that what is left fails by itself.
//!
//! A proposal counts only if it breaks the same property: another failure is another finding. Nothing after the violation
//! matters, so the case is cut right behind it, before all else and once more at the end, which also makes the runs short.
//!
//! **Decision: a proposal is run from where it first differs from the best case**, on clones of the world and the fleet that
//! stood there (`prefix`). A clone costs some microseconds and reading a case 200, so that even what shares little loses nothing
//! that can be measured. What it saves hangs on where faults lie: they begin early, and calming the site changes a run from its
//! start on. `cargo bench --bench shrink` shrinks the same failures to the same cases both ways, on a shared 2-core AMD EPYC:
//!
//! | broken | of | length of runs | deliveries handled | faster, in three runs of the bench |
//! |---|---|---:|---:|---:|
//! | one authority, by a mistake in granting | `failover_fast.ron` | 25 s | 75 % | 1.17 to 1.53 |
//! | one authority, by a mistake in restarts | `failover.ron` | 25 s | 85 % | 1.00 to 1.08 |
//! | epochs rise, by a device later than declared | `failover_fast.ron` | 25 s | 73 % | 1.09 to 1.42 |
//! | one authority, by a mistake in granting | `failover_fast.ron` | 10 min | 58 % | 1.64 to 1.76 |
//! | one authority, by a mistake in restarts | `failover.ron` | 10 min | 77 % | 1.11 to 1.31 |
//! | epochs rise, by a device later than declared | `failover_fast.ron` | 10 min | 43 % | 1.85 to 2.38 |
//!
//! Each row is the sum of four failures: the third shrinks in 1.3 s, the last in 9.6 s in place of 20. What shrinks in tens of
//! milliseconds gains little.

use r_ems_engine::functions::FunctionSet;

use super::case::Case;
pub use super::prefix::Handled;
use super::prefix::Prefixes;
use super::property::Property;
use super::reduce::Reducer;
use super::site::Site;
use super::trial::Broken;
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
    /// How many deliveries those runs have, and how many had to be handled.
    pub handled: Handled,
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
    let (case, broken) = (case.clone(), broken.clone());
    let mut prefixes = Prefixes::new(site, &case)?;
    let mut shrunk = Shrunk { case, broken, tries: 0, steps: 0, handled: Handled::default() };
    // An assertion that fails may be told of at another time than it has its cause.
    if property != Property::NothingPanics {
        let early = shrunk.case.until(shrunk.broken.at);
        if let Some(again) = fails(&mut prefixes, &early, property)? {
            prefixes.accept();
            (shrunk.case, shrunk.broken) = (early, again);
        }
        shrunk.tries += 1;
    }
    let mut reducer = Reducer::new(shrunk.case.clone());
    while shrunk.tries < BUDGET && !interrupt.is_asked() {
        let Some(proposal) = reducer.propose().cloned() else { break };
        shrunk.tries += 1;
        let is_calmer = proposal.calmed != shrunk.case.calmed;
        let found = match fails(&mut prefixes, &proposal, property) {
            // A setting of its user may need what is calmed.
            Err(_failure) if is_calmer => None,
            found => found?,
        };
        match found {
            Some(again) => {
                prefixes.accept();
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
        && let Some(again) = fails(&mut prefixes, &last, property)?
    {
        (shrunk.case, shrunk.broken) = (last, again);
    }
    shrunk.handled = prefixes.handled();
    Ok(shrunk)
}

fn fails<F: FunctionSet>(
    prefixes: &mut Prefixes<'_, F>,
    case: &Case,
    property: Property,
) -> Result<Option<Broken>, Failure> {
    Ok(prefixes.run(case)?.breaks(property).cloned())
}

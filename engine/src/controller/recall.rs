//! The controller's side of memory that a log keeps: what it gives to each state's record, and what it takes at a boot.
//!
//! What is taken is what the functions remember. Their hysteresis and timers are taken only if the memory is younger than
//! [`TIMERS_LAST`]. Set-points and measurements are in it, because it is what state transfer sends, and are not taken: after a
//! boot what devices measure and hold wins over what is remembered, and the first set-point is the measured power.

use serde::{Deserialize, Serialize};

use super::Controller;
use super::composition::Composition;
use super::transfer::save;
use crate::carried::{Carried, NotCarried, TIMERS_LAST};
use crate::carry::{Carry, Unsound};
use crate::event::Event;
use crate::functions::Function;
use crate::machine::Effects;
use crate::points::Image;
use crate::time::{LocalTime, Span};
use crate::wall::WallTime;

/// What one controller has of memory that a log keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recall {
    /// What it is to take, or why nothing, at its next boot.
    found: Option<Result<Carried, NotCarried>>,
    /// The last decision that its memory is of, whichever life made it, and the wall clock then.
    decided: Option<(LocalTime, Option<WallTime>)>,
}

impl Recall {
    /// What was found is to be taken at the next boot.
    pub(super) fn find(&mut self, found: Result<Carried, NotCarried>) {
        self.found = Some(found);
    }

    /// Notes that the memory is of a decision at `now`.
    pub(super) const fn decided(&mut self, now: LocalTime, wall: Option<WallTime>) {
        self.decided = Some((now, wall));
    }

    /// Takes what was found, whole or not at all, and reports it.
    pub(super) fn boot<F: Function>(
        &mut self,
        (now, wall): (LocalTime, Option<WallTime>),
        layout: u64,
        (composition, image): (&mut Composition<F>, &mut Image),
        out: &mut Effects,
    ) {
        let Some(found) = self.found.take() else { return };
        let taken = found.and_then(|carried| {
            if carried.layout != layout {
                return Err(NotCarried::Layout);
            }
            let age = carried.age(now, wall);
            restore(now, &carried, age, (composition, image)).map_err(|Unsound| NotCarried::Malformed)?;
            self.decided = Some((carried.at, carried.wall));
            Ok(age)
        });
        out.report(match taken {
            Ok(age) => Event::MemoryCarried { age },
            Err(why) => Event::MemoryNotCarried { why },
        });
    }
}

impl<F: Function> Controller<F> {
    /// The memory that stands beside this state in a log; `None` before the first decision.
    pub(super) fn kept_memory(&self) -> Option<Carried> {
        if let Some(found) = &self.recall.found {
            return found.clone().ok();
        }
        let (at, wall) = self.recall.decided?;
        // Saving visits what it saves as restoring does, and changes nothing.
        let (mut composition, mut image) = (self.composition.clone(), self.image.clone());
        let mut memory = alloc::vec::Vec::new();
        save(at, &mut composition, &mut image, &mut memory);
        Some(Carried { at, wall, layout: self.transfer.layout(), memory })
    }
}

/// Takes the functions' memory; timers only if it is known to be young.
fn restore<F: Function>(
    now: LocalTime,
    carried: &Carried,
    age: Option<Span>,
    (composition, image): (&mut Composition<F>, &mut Image),
) -> Result<(), Unsound> {
    // A clock that began anew shows less than it did: the ages then count from the boot.
    let at = carried.at.min(now);
    let is_young = age.is_some_and(|age| age <= TIMERS_LAST);
    let restoring = Carry::restoring(at, &carried.memory);
    let restoring = if is_young { restoring } else { restoring.without_timers() };
    for mut carry in [Carry::checking(at, &carried.memory), restoring] {
        composition.carry(&mut carry);
        image.carry(&mut carry);
        carry.finish()?;
    }
    composition.forget_decisions();
    image.forget();
    Ok(())
}

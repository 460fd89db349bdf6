//! The controller's side of memory that a log keeps: what it gives to each state's record, and what it takes at a boot.
//!
//! What is taken is what the functions remember. Their hysteresis and timers are taken only if the memory is younger than
//! [`TIMERS_LAST`]. Set-points and measurements are in it, because it is what state transfer sends, and are not taken: after a
//! boot what devices measure and hold wins over what is remembered, and the first set-point is the measured power.
//!
//! What devices may still be written today is kept beside it, and taken whatever its age: an outage does not count in a day. That
//! is no standby's business, which counts what it has written itself.

use serde::{Deserialize, Serialize};

use super::Controller;
use super::composition::Composition;
use super::set_points::SetPoints;
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
        parts: (&mut Composition<F>, &mut Image, &mut SetPoints),
        out: &mut Effects,
    ) {
        let Some(found) = self.found.take() else { return };
        let taken = found.and_then(|carried| {
            if carried.layout != layout {
                return Err(NotCarried::Layout);
            }
            let age = carried.age(now, wall);
            restore(now, &carried, age, parts).map_err(|Unsound| NotCarried::Malformed)?;
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
        let mut set_points = self.set_points.clone();
        let mut memory = alloc::vec::Vec::new();
        let mut carry = Carry::saving(at, &mut memory);
        composition.carry(&mut carry);
        image.carry(&mut carry);
        set_points.carry(&mut carry);
        carry.finish().expect("what is saved is sound");
        Some(Carried { at, wall, layout: self.transfer.layout(), memory })
    }
}

/// Takes the functions' memory; timers only if it is known to be young.
fn restore<F: Function>(
    now: LocalTime,
    carried: &Carried,
    age: Option<Span>,
    (composition, image, set_points): (&mut Composition<F>, &mut Image, &mut SetPoints),
) -> Result<(), Unsound> {
    // A clock that began anew shows less than it did: the ages then count from the boot.
    let at = carried.at.min(now);
    let is_young = age.is_some_and(|age| age <= TIMERS_LAST);
    let restoring = Carry::restoring(at, &carried.memory);
    let restoring = if is_young { restoring } else { restoring.without_timers() };
    for mut carry in [Carry::checking(at, &carried.memory), restoring] {
        composition.carry(&mut carry);
        image.carry(&mut carry);
        set_points.carry(&mut carry);
        carry.finish()?;
    }
    composition.forget_decisions();
    composition.ordered.forget();
    image.forget(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::peak_shaving::Window;
    use crate::functions::soc_floor::SocFloorSpec;
    use crate::functions::testing::{Reading, Rig, shaving};
    use crate::machine::Machine;
    use crate::units::Ratio;

    const NOON: WallTime = WallTime::from_unix_nanos(1_457_524_800_000_000_000);
    /// Read by hand: no emergency stop; the floor's part, one battery that reached it just now and is not forced; peak shaving's
    /// part, it refills, its window, what that has used, 100 kW 10 ms ago; of the group 70 kW of charge, nothing held or
    /// delivered on top, and no order by hand; of its battery 70 kW of charge and no reactive power; none of the group; no day of
    /// writes.
    const GOLDEN: [&str; 4] = [
        "00 02 000000 0202020000",
        "0202 808094b5aac595ba28 00000000605a1841 0280dac409 00000000006af840",
        "02000000000017f1c0 00000000 000000000017f1c0 0000000000000000 0000000000000000 020000000000000000",
        "0200",
    ];
    const MINUTE: Span = Span::from_mins(1);
    const QUARTERS: Window = Window::Mean(Span::from_mins(15));

    /// A law with timers, and one with hysteresis and a sum.
    fn stack() -> [BuiltInSpec; 2] {
        let floor = SocFloorSpec {
            battery: "bess".into(),
            floor: Ratio::of(0.3),
            force_charge_below: None,
            force_charge_power: None,
            release: None,
            dwell: Some(Span::from_secs(200)),
        };
        [BuiltInSpec::SocFloor(floor), BuiltInSpec::PeakShaving(shaving(QUARTERS))]
    }

    /// A life of some scans that began at noon.
    fn lived(stack: &[BuiltInSpec], readings: impl IntoIterator<Item = Reading>) -> Rig {
        let mut rig = Rig::booted_at(stack, LocalTime::ZERO, Some(NOON));
        readings.into_iter().for_each(|reading| {
            rig.scan(reading);
        });
        rig
    }

    /// A battery that has reached its floor, and that is full up to the reserve before.
    fn at_the_floor() -> Rig {
        let reading = |soc| Reading { pcc: 100.0, soc, ..Reading::default() };
        lived(&stack(), [reading(0.81), reading(0.81), reading(0.79), reading(0.29)])
    }

    fn carried(rig: &Rig) -> Carried {
        rig.controller().carried().expect("it has decided something")
    }

    /// The next version after `pause`.
    fn after(rig: &Rig, pause: Span, found: Result<Carried, NotCarried>) -> Rig {
        Rig::upgraded(&stack(), rig.now() + pause, wall(rig).map(|wall| wall + pause), found)
    }

    fn wall(rig: &Rig) -> Option<WallTime> {
        Some(NOON + rig.now().since(LocalTime::ZERO))
    }

    fn told(rig: &Rig) -> Vec<Event> {
        let of_memory =
            |event: &Event| matches!(event, Event::MemoryCarried { .. } | Event::MemoryNotCarried { .. });
        rig.reported().into_iter().filter(of_memory).collect()
    }

    /// Whether a battery just above its floor is still held by the timer of the life before.
    fn holds_the_floor(rig: &mut Rig) -> bool {
        rig.settled(Reading { pcc: 600.0, soc: 0.4, ..Reading::default() }).bess == 0.0
    }

    #[test]
    fn timers_are_taken_from_memory_of_a_minute_and_not_from_older_memory() {
        let before = at_the_floor();
        for (pause, holds) in [(MINUTE, true), (MINUTE + Span::from_nanos(1), false)] {
            let mut life = after(&before, pause, Ok(carried(&before)));
            assert_eq!(told(&life), [Event::MemoryCarried { age: Some(pause) }]);
            assert_eq!(holds_the_floor(&mut life), holds, "after {pause}");
        }
    }

    #[test]
    fn memory_whose_age_nobody_knows_counts_as_old() {
        let before = at_the_floor();
        let mut life = Rig::upgraded(&stack(), before.now(), None, Ok(carried(&before)));
        assert_eq!(told(&life), [Event::MemoryCarried { age: None }]);
        assert!(!holds_the_floor(&mut life));
    }

    /// How many scans it takes in which the set-point moves until it is told that the day has no more writes.
    fn until_used_up(life: &mut Rig) -> Option<u64> {
        (1..=20).find(|scan| {
            life.scan(Reading { pcc: 300.0 + *scan as f64, soc: 0.9, ..Reading::default() });
            life.reported().iter().any(|event| matches!(event, Event::WriteBudgetUsedUp { .. }))
        })
    }

    #[test]
    fn what_a_device_may_be_written_today_outlives_an_upgrade_and_a_restart_and_is_told_again() {
        // 2,880 of them repeat the set-point.
        let worn = || Rig::of_worn(&stack(), 2_885);
        let mut before = worn();
        assert!(until_used_up(&mut before).is_some_and(|scans| scans >= 5));
        let found = carried(&before);
        for (found, least) in [(Ok(found.clone()), 1..5), (Err(NotCarried::Missing), 5..20)] {
            let mut life = worn().upgrades(before.now() + MINUTE * 60, wall(&before), found);
            let scans = until_used_up(&mut life).expect("it is used up sooner or later");
            assert!(least.contains(&scans), "{scans} scans");
        }
        before.restart(MINUTE);
        assert!(
            until_used_up(&mut before).is_some_and(|scans| scans < 5),
            "who heard of it has forgotten it"
        );
        // A site file that does not count any more takes the rest, and one that counts now begins to.
        for (from, to) in [(Rig::of(&stack()), worn()), (worn(), Rig::of(&stack()))] {
            let mut from = from;
            from.settled(Reading { pcc: 300.0, soc: 0.9, ..Reading::default() });
            let life = to.upgrades(from.now(), None, Ok(carried(&from)));
            assert_eq!(told(&life), [Event::MemoryCarried { age: None }]);
        }
    }

    #[test]
    fn what_was_measured_wins_over_what_is_remembered() {
        let shaving = [BuiltInSpec::PeakShaving(shaving(QUARTERS))];
        let discharges = Reading { pcc: 220.0, bess: 180.0, soc: 0.5, ..Reading::default() };
        let before = lived(&shaving, [discharges; 20]);
        let mut life = Rig::upgraded(&shaving, before.now(), Some(NOON), Ok(carried(&before)));
        let fresh = Rig::upgraded(&shaving, before.now(), Some(NOON), Err(NotCarried::Missing));
        let groups = |rig: &Rig| rig.controller().composition().groups().to_vec();
        assert_eq!(groups(&life), groups(&fresh), "set-points are in the memory and are not taken");
        assert_eq!(life.scan(Reading { bess: 35.0, ..discharges }).bess, 35.0);
    }

    #[test]
    fn what_cannot_be_taken_is_told_and_the_life_begins_as_it_is_made() {
        let before = at_the_floor();
        let sound = carried(&before);
        let layout = Carried { layout: sound.layout + 1, ..sound.clone() };
        let malformed = Carried { memory: Vec::from([7, 8]), ..sound };
        let fresh = Rig::upgraded(&stack(), before.now(), None, Err(NotCarried::Missing));
        for (found, why) in [
            (Err(NotCarried::Missing), NotCarried::Missing),
            (Err(NotCarried::Version), NotCarried::Version),
            (Ok(layout), NotCarried::Layout),
            (Ok(malformed), NotCarried::Malformed),
        ] {
            let life = Rig::upgraded(&stack(), before.now(), None, found);
            assert_eq!(told(&life), [Event::MemoryNotCarried { why }]);
            assert_eq!(life.controller(), fresh.controller());
        }
    }

    #[test]
    fn memory_is_kept_from_the_first_decision_on_and_through_lives_that_decide_nothing() {
        assert_eq!(Rig::of(&stack()).controller().carried(), None);
        let before = at_the_floor();
        let kept = carried(&before);
        assert_eq!((kept.at, kept.wall), (before.now(), wall(&before)));
        let life = after(&before, Span::from_secs(2), Ok(kept.clone()));
        let again = carried(&life);
        assert_eq!((again.at, again.wall), (kept.at, kept.wall), "it is as old as it was");
        let mut life = after(&before, Span::from_secs(4), Ok(again));
        assert!(holds_the_floor(&mut life));
    }

    /// A change here is a change of what is carried: it takes a new version of the part.
    #[test]
    fn the_memory_of_a_controller_has_its_golden_bytes() {
        let hex: String =
            carried(&at_the_floor()).memory.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.concat().replace(' ', ""));
    }

    proptest! {
        /// The law of an upgrade: it decides what a restart of the same version decides.
        #[test]
        fn an_upgraded_life_decides_what_a_restarted_one_decides(
            past in readings(4..40),
            pause in 0..60_u64,
            future in readings(4..40),
        ) {
            let (stack, pause) = ([BuiltInSpec::PeakShaving(shaving(QUARTERS))], Span::from_secs(pause));
            let mut restarted = lived(&stack, past);
            let found = Ok(carried(&restarted));
            restarted.restart(pause);
            let mut upgraded = Rig::upgraded(&stack, restarted.now(), wall(&restarted), found);
            for reading in future {
                prop_assert_eq!(upgraded.scan(reading), restarted.scan(reading));
            }
        }

        #[test]
        fn no_memory_makes_a_life_fail(
            at in any::<u64>(),
            wall in proptest::option::of(any::<i64>()),
            memory in proptest::collection::vec(any::<u8>(), 0..80),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let before = at_the_floor();
            let sound = carried(&before);
            let mut damaged = sound.memory.clone();
            *place.get_mut(&mut damaged) = byte;
            for memory in [memory, damaged] {
                let wall = wall.map(WallTime::from_unix_nanos);
                let at = LocalTime::from_nanos(at);
                let mut life = after(&before, MINUTE, Ok(Carried { at, wall, memory, ..sound }));
                prop_assert_eq!(told(&life).len(), 1);
                for _scan in 0..3 {
                    life.scan(Reading { pcc: 300.0, soc: 0.4, ..Reading::default() });
                }
            }
        }
    }

    fn readings(count: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Reading>> {
        let reading = (0.0..400.0, -100.0..100.0, 0.7..0.9);
        let reading = reading.prop_map(|(pcc, bess, soc)| Reading { pcc, bess, soc, ..Reading::default() });
        proptest::collection::vec(reading, count)
    }
}

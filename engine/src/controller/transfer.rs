//! The controller's side of state transfer: an active sends what it remembers after each scan, a standby goes on from it.
//!
//! What is carried is what the next decisions start from: the functions' memory and the groups' set-points. A standby computes
//! all the same, on measurements of its own; each unit that it takes makes its memory the active's again. Of devices that take
//! one connection only, it has what the active measured, with the age of each value.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Controller;
use super::composition::Composition;
use crate::carry::{Carry, Unsound};
use crate::event::Event;
use crate::functions::Function;
use crate::machine::Effects;
use crate::points::Image;
use crate::redundancy::transfer::{Receiver, Refusal, Sender, Tag, Unopened};
use crate::redundancy::{RedundancySupervisor, Seat};
use crate::time::{LocalTime, Span};

/// What one controller sends and has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateTransfer {
    layout: u64,
    sender: Sender,
    receiver: Receiver,
}

impl StateTransfer {
    /// Makes the transfer of a controller with this composition and image.
    pub fn new<F: Function>(composition: &Composition<F>, image: &Image) -> Self {
        Self { layout: composition.layout(image), sender: Sender::default(), receiver: Receiver::default() }
    }

    /// Forgets what was sent and taken in an earlier life.
    pub(super) fn forget(&mut self) {
        self.sender = Sender::default();
        self.receiver = Receiver::default();
    }

    /// Sends what an active remembers to its standbys, if there are any.
    pub(super) fn send<F: Function>(
        &mut self,
        now: LocalTime,
        redundancy: &mut RedundancySupervisor,
        (composition, image): (&mut Composition<F>, &mut Image),
        out: &mut Effects,
    ) {
        let Some(authority) = redundancy.authority(now).filter(|_authority| !redundancy.is_alone()) else {
            return;
        };
        if redundancy.take_missed_state() {
            self.sender.is_missed();
        }
        let tag = Tag { section: redundancy.section(), layout: self.layout };
        out.transfer(redundancy.other_controllers(), |memory, unit| {
            save(now, composition, image, memory);
            self.sender.unit(now, tag, authority.epoch, memory, unit);
        });
    }

    /// Takes a unit of an active: whole, or not at all.
    pub(super) fn take<F: Function>(
        &mut self,
        now: LocalTime,
        from: Seat,
        unit: &[u8],
        redundancy: &mut RedundancySupervisor,
        (composition, image): (&mut Composition<F>, &mut Image),
        out: &mut Effects,
    ) {
        if redundancy.role().holds() || !redundancy.other_controllers().any(|seat| seat == from) {
            return;
        }
        let tag = Tag { section: redundancy.section(), layout: self.layout };
        let mut memory = out.lend_scratch();
        let opened = self.receiver.open(now, tag, from, redundancy.followed_epoch(), unit, &mut memory);
        match opened {
            Ok(opened) => match restore(now, composition, image, &memory) {
                Ok(()) => {
                    if self.receiver.take(opened, &memory) {
                        out.report(Event::StateTaken { seat: from });
                    }
                }
                Err(Unsound) => self.refuse(from, Refusal::Malformed, out),
            },
            Err(Unopened::Outdated) => {}
            Err(Unopened::MissesBase) => redundancy.miss_state(from, out),
            Err(Unopened::Refused(refusal)) => self.refuse(from, refusal, out),
        }
        out.return_scratch(memory);
    }

    fn refuse(&mut self, seat: Seat, refusal: Refusal, out: &mut Effects) {
        if self.receiver.refuse(refusal) {
            out.report(Event::StateRefused { seat, refusal });
        }
    }

    /// Identifies what is carried.
    pub(super) const fn layout(&self) -> u64 {
        self.layout
    }

    /// How old the state is that was taken last; `None` if there is none.
    pub fn age(&self, now: LocalTime) -> Option<Span> {
        self.receiver.last().map(|last| now.since(last.at))
    }
}

/// Saves what a controller carries over to another host.
fn save<F: Function>(
    now: LocalTime,
    composition: &mut Composition<F>,
    image: &mut Image,
    memory: &mut Vec<u8>,
) {
    let mut carry = Carry::saving(now, memory);
    composition.carry(&mut carry);
    image.carry(&mut carry);
    carry.finish().expect("what is saved is sound");
}

/// Takes it over, whole or not at all.
fn restore<F: Function>(
    now: LocalTime,
    composition: &mut Composition<F>,
    image: &mut Image,
    memory: &[u8],
) -> Result<(), Unsound> {
    for mut carry in [Carry::checking(now, memory), Carry::restoring(now, memory)] {
        composition.carry(&mut carry);
        image.carry(&mut carry);
        carry.finish()?;
    }
    Ok(())
}

impl<F: Function> Controller<F> {
    /// Takes what the active remembers.
    pub(super) fn take_transfer(&mut self, now: LocalTime, from: Seat, unit: &[u8], out: &mut Effects) {
        let (was_stopped, was) = (self.composition.is_stopped(), self.composition.operation());
        let parts = (&mut self.composition, &mut self.image);
        self.transfer.take(now, from, unit, &mut self.redundancy, parts, out);
        self.tell_stop(was_stopped, out);
        self.tell_ordered(was, out);
        self.tell_health(now, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::controller::orders::{Aim, Milliwatts};
    use crate::functions::fcr::FcrSpec;
    use crate::functions::frequency_droop::FrequencyDroopSpec;
    use crate::functions::lfsm::LfsmSpec;
    use crate::functions::manual::ManualSpec;
    use crate::functions::peak_shaving::{PeakShavingSpec, Window};
    use crate::functions::pid::{Holds, PidSpec};
    use crate::functions::ramp_limit::RampLimitSpec;
    use crate::functions::return_to_service::ReturnToServiceSpec;
    use crate::functions::soc_floor::SocFloorSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts};
    use crate::functions::{BuiltIn, BuiltInSpec};
    use crate::ids::DeviceIndex;
    use crate::redundancy::Command;
    use crate::units::{Hertz, Ratio, WattHours, WattsPerSecond};
    use crate::wall::WallTime;

    /// Every kind of memory that a built-in function has.
    fn stack() -> Vec<BuiltInSpec> {
        Vec::from([
            BuiltInSpec::RampLimit(RampLimitSpec {
                battery: Some("bess".into()),
                pv: None,
                up: WattsPerSecond::of(20e3),
                down: None,
            }),
            BuiltInSpec::SocFloor(SocFloorSpec {
                battery: "bess".into(),
                floor: Ratio::of(0.3),
                force_charge_below: Some(Ratio::of(0.2)),
                force_charge_power: None,
                release: None,
                dwell: Some(Span::from_secs(4)),
            }),
            BuiltInSpec::PeakShaving(PeakShavingSpec {
                meter: "pcc".into(),
                battery: "bess".into(),
                limit: kilowatts(220.0),
                recharge: kilowatts(170.0),
                reserve: Ratio::of(0.8),
                window: Window::Mean(Span::from_mins(1)),
            }),
        ])
    }

    /// The same of laws that answer a frequency, between those above and one that has what is left.
    fn frequency_stack() -> Vec<BuiltInSpec> {
        let (meter, battery, pv) = (|| "pcc".into(), || "bess".into(), || Some("pv".into()));
        let nominal = Hertz::of(50.0);
        let returning = ReturnToServiceSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: pv(),
            nominal,
            voltage_min: None,
            voltage_max: None,
            frequency_min: None,
            frequency_max: None,
            trip_voltage_min: None,
            trip_voltage_max: None,
            trip_frequency_min: None,
            trip_frequency_max: None,
            trip_after: Span::from_secs(1),
            hold: Span::from_secs(2),
            ramp: Span::from_secs(5),
        };
        let limited = LfsmSpec {
            meter: meter(),
            battery: None,
            pv: pv(),
            nominal,
            threshold: Hertz::of(0.2),
            droop: Ratio::of(0.05),
            release: Span::from_secs(2),
        };
        let contained = FcrSpec {
            meter: meter(),
            battery: battery(),
            reserve: kilowatts(30.0),
            nominal,
            dead_band: Hertz::of(0.01),
            full_at: Hertz::of(0.2),
            from_edge: true,
            full_in: Span::from_secs(30),
            capacity: Some(WattHours::of(100e3)),
            reserve_for: Span::from_mins(15),
        };
        let droop = FrequencyDroopSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: pv(),
            nominal,
            dead_band: Hertz::of(0.1),
            droop: Ratio::of(0.05),
            response: Span::from_secs(5),
        };
        let holding = PidSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: None,
            holds: Holds::Power(kilowatts(100.0)),
            gain: 0.3,
            integral_time: Some(Span::from_secs(2)),
            derivative_time: Some(Span::from_secs(1)),
            filter: None,
        };
        let first = [
            BuiltInSpec::ReturnToService(returning),
            BuiltInSpec::Lfsm(limited),
            BuiltInSpec::Fcr(contained),
            BuiltInSpec::FrequencyDroop(droop),
        ];
        first.into_iter().chain(stack()).chain([BuiltInSpec::Pid(holding)]).collect()
    }

    /// So many scans before the transfer the standby booted.
    const LATELY: usize = 3;

    /// An active at its boot, and a standby on another clock that boots [`LATELY`] scans before the active's `scans` are over.
    fn pair(stack: &[BuiltInSpec], scans: usize) -> (Rig, Rig) {
        let away = Span::from_secs((scans - LATELY) as u64);
        let wall = |after: Span| Some(WallTime::EPOCH + after);
        let active = Rig::booted_at(stack, LocalTime::ZERO, wall(Span::ZERO));
        let standby = Rig::booted_at(stack, LocalTime::ZERO + Span::from_millis(123_456_700), wall(away));
        (active, standby)
    }

    fn readings(count: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Reading>> {
        let f = prop_oneof![3 => 49.95..50.05, 1 => 48.0..52.0];
        let reading = (0.0..400.0, -100.0..100.0, 0.1..0.9, 0.0..400.0, f);
        let reading = reading.prop_map(|(pcc, bess, soc, pv, f)| Reading {
            pcc,
            bess,
            soc,
            pv,
            f,
            ..Reading::default()
        });
        proptest::collection::vec(reading, count)
    }

    fn parts(rig: &mut Rig) -> (&mut Composition<BuiltIn>, &mut Image) {
        rig.controller_mut().parts_mut()
    }

    fn moved(from: &mut Rig, to: &mut Rig) -> Result<(), Unsound> {
        let mut memory = Vec::new();
        let (here, there) = (from.now(), to.now());
        let (composition, image) = parts(from);
        save(here, composition, image, &mut memory);
        let (composition, image) = parts(to);
        restore(there, composition, image, &memory)
    }

    proptest! {
        /// The law of bumpless take-over: a standby that booted lately, on another clock, decides as the active would.
        #[test]
        fn a_standby_with_the_actives_state_decides_what_the_active_decides(
            past in readings(4..60),
            future in readings(1..60),
        ) {
            for stack in [stack(), frequency_stack()] {
                let (mut active, mut standby) = pair(&stack, past.len());
                past.iter().for_each(|reading| { active.scan(*reading); });
                let lately = &past[past.len() - LATELY..];
                lately.iter().for_each(|reading| { standby.scan(*reading); });
                prop_assert_eq!(moved(&mut active, &mut standby), Ok(()));
                for reading in &future {
                    prop_assert_eq!(standby.scan(*reading), active.scan(*reading));
                }
            }
        }

        #[test]
        fn memory_that_is_damaged_is_taken_whole_or_not_at_all(
            past in readings(4..20),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut active = Rig::of(&frequency_stack());
            past.iter().for_each(|reading| { active.scan(*reading); });
            let mut memory = Vec::new();
            let now = active.now();
            let (composition, image) = parts(&mut active);
            save(now, composition, image, &mut memory);
            *place.get_mut(&mut memory) = byte;
            let mut standby = Rig::of(&frequency_stack());
            past.iter().for_each(|reading| { standby.scan(*reading); });
            let now = standby.now();
            let (composition, image) = parts(&mut standby);
            let before = (composition.clone(), image.clone());
            if restore(now, composition, image, &memory).is_err() {
                prop_assert_eq!((composition, image), (&mut before.0.clone(), &mut before.1.clone()));
            }
            standby.scan(Reading::default());
        }
    }

    #[test]
    fn a_standby_goes_on_with_what_is_left_of_an_order_and_with_an_emergency_stop() {
        let manual = [BuiltInSpec::Manual(ManualSpec { battery: Some("bess".into()), pv: None })];
        let mut active = Rig::of(&manual);
        let mut standby = Rig::booted_at(&manual, LocalTime::ZERO + Span::from_secs(123_456), None);
        active.settled(Reading::default());
        standby.settled(Reading::default());
        let (to, power) = (Aim::Device(DeviceIndex(1)), Milliwatts(-50_000_000));
        active.command(Command::SetPoint { to, power, lasts: Span::from_secs(10) });
        for _scan in 0..4 {
            active.scan(Reading::default());
        }
        assert_eq!(moved(&mut active, &mut standby), Ok(()));
        let decided: Vec<f64> = (0..7).map(|_scan| standby.scan(Reading::default()).bess).collect();
        assert_eq!(decided, [[-50.0; 5].as_slice(), &[0.0; 2]].concat(), "six seconds are left");
        active.command(Command::EmergencyStop);
        assert_eq!(moved(&mut active, &mut standby), Ok(()));
        assert!(standby.controller().is_stopped_in_emergency());
        active.command(Command::Reset);
        assert_eq!(moved(&mut active, &mut standby), Ok(()));
        assert!(!standby.controller().is_stopped_in_emergency());
    }

    #[test]
    fn without_the_actives_state_a_standby_decides_otherwise() {
        let (mut active, mut standby) = pair(&stack(), 20);
        for _scan in LATELY..20 {
            active.scan(Reading { pcc: 100.0, ..Reading::default() });
        }
        let peak = Reading { pcc: 380.0, ..Reading::default() };
        for _scan in 0..LATELY {
            standby.scan(peak);
            active.scan(peak);
        }
        assert_ne!(standby.scan(peak), active.scan(peak));
    }
}

//! An operator's set-point: while one is in force for its group, that is what the group does.
//!
//! The order itself, its expiry and how it reaches a standby are the controller's, see [`crate::controller::orders`]; the site
//! decides by the place of this function in the stack what an operator may overrule. Without an order it wishes nothing.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::units::Watts;

/// What a site file says about set-points by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManualSpec {
    /// The battery that operators may command, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that they may limit, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
}

/// Lets operators command a battery, or limit an inverter, for a while.
///
/// # Units     none
/// # Shape     a target for a battery group, a limit for a generator group
/// # Errors    `Problem::OutOfRange` if not exactly one of `battery` and `pv` is given
/// # Source    OpenEMS, "Fix Active Power" controller; the expiry is ours: an order that nobody remembers must not stay
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manual {
    group: [GroupIndex; 1],
    is_limit: bool,
}

impl Function for Manual {
    type Spec = ManualSpec;

    fn build(spec: &ManualSpec, wiring: &mut Wiring<'_>) -> Self {
        let group = wiring.one_of_battery_and_pv(spec.battery.as_deref(), spec.pv.as_deref());
        Self { group: [group], is_limit: spec.battery.is_none() }
    }

    fn rank(&self) -> Rank {
        Rank::Manual
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.group
    }

    fn carry(&mut self, _carry: &mut Carry<'_>) {}

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [group] = self.group;
        match (view.by_hand(group), self.is_limit) {
            (Some(power), false) => wishes.target(group, power),
            // What a standby was told comes from outside.
            (Some(limit), true) => wishes.limit(group, Watts::ZERO, limit.at_least(Watts::ZERO)),
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::controller::orders::{Aim, MANUAL_MAX, ManualEnd, Milliwatts};
    use crate::event::Event;
    use crate::functions::testing::{DRAWN, Reading, Rig, kilowatts, ordered_stack};
    use crate::ids::{DeviceIndex, GroupIndex};
    use crate::points::DeviceClass;
    use crate::redundancy::Command;
    use crate::redundancy::supervisor::CommandRefusal;
    use crate::time::Span;

    const BESS: Aim = Aim::Device(DeviceIndex(1));
    const PV: Aim = Aim::Device(DeviceIndex(2));

    fn told(to: Aim, kilowatts: i64, lasts: Span) -> Command {
        Command::SetPoint { to, power: Milliwatts(kilowatts * 1_000_000), lasts }
    }

    fn refusals(rig: &Rig) -> Vec<CommandRefusal> {
        let refused = |event: Event| {
            if let Event::CommandRefused { refusal, .. } = event { Some(refusal) } else { None }
        };
        rig.reported().into_iter().filter_map(refused).collect()
    }

    #[test]
    fn an_order_counts_from_the_next_scan_to_its_last_second_and_then_the_laws_below_decide_again() {
        let mut rig = Rig::of(&ordered_stack());
        assert_eq!(rig.settled(DRAWN).bess, 40.0);
        rig.command(told(BESS, -50, Span::from_secs(3)));
        let (group, power, lasts) = (GroupIndex(0), kilowatts(-50.0), Span::from_secs(3));
        assert!(rig.reported().contains(&Event::ManualBegan { group, power, lasts }));
        assert_eq!([rig.scan(DRAWN).bess, rig.scan(DRAWN).bess], [-50.0; 2]);
        assert_eq!(rig.scan(DRAWN).bess, 40.0, "its time is over with the third second");
        assert!(rig.reported().contains(&Event::ManualEnded { group, why: ManualEnd::Expired }));
    }

    #[test]
    fn an_order_may_be_replaced_and_withdrawn() {
        let mut rig = Rig::of(&ordered_stack());
        rig.settled(DRAWN);
        rig.command(told(BESS, -50, Span::from_secs(2)));
        rig.command(told(Aim::All(DeviceClass::Battery), 20, MANUAL_MAX));
        for _scan in 0..5 {
            assert_eq!(rig.scan(DRAWN).bess, 20.0, "the first order's end is no end of the second");
        }
        rig.command(Command::ReleaseSetPoint { to: BESS });
        assert_eq!(rig.scan(DRAWN).bess, 40.0);
        rig.command(Command::ReleaseSetPoint { to: BESS });
        assert_eq!(refusals(&rig), [CommandRefusal::NothingToRelease]);
    }

    #[test]
    fn what_stands_above_still_binds() {
        let mut rig = Rig::of(&ordered_stack());
        rig.settled(Reading { pcc: 280.0, ..DRAWN });
        rig.command(told(BESS, -100, MANUAL_MAX));
        assert_eq!(rig.scan(Reading { pcc: 280.0, ..DRAWN }).bess, -20.0);
    }

    #[test]
    fn an_inverter_is_limited_and_not_told_to_make_what_the_sun_does_not_give() {
        let mut rig = Rig::of(&ordered_stack());
        assert_eq!(rig.settled(Reading { pv: 300.0, ..DRAWN }).pv, 600.0);
        rig.command(told(PV, 250, MANUAL_MAX));
        assert_eq!(rig.scan(Reading { pv: 300.0, ..DRAWN }).pv, 250.0);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_changes_nothing() {
        let mut rig = Rig::of(&ordered_stack());
        rig.settled(DRAWN);
        let long = MANUAL_MAX + Span::from_nanos(1);
        for (command, refusal) in [
            (told(BESS, 10, long), CommandRefusal::TooLong),
            (told(BESS, 10, Span::ZERO), CommandRefusal::TooLong),
            (told(BESS, 251, MANUAL_MAX), CommandRefusal::BeyondRating),
            (told(BESS, -251, MANUAL_MAX), CommandRefusal::BeyondRating),
            (told(PV, -1, MANUAL_MAX), CommandRefusal::BeyondRating),
            (told(Aim::Device(DeviceIndex(0)), 10, MANUAL_MAX), CommandRefusal::NotByHand),
            (told(Aim::Device(DeviceIndex(99)), 10, MANUAL_MAX), CommandRefusal::NotByHand),
            (told(Aim::All(DeviceClass::Meter), 10, MANUAL_MAX), CommandRefusal::NotByHand),
            (Command::Reset, CommandRefusal::NotStopped),
        ] {
            rig.command(command);
            assert_eq!(refusals(&rig), [refusal], "{command:?}");
            assert_eq!(rig.scan(DRAWN).bess, 40.0);
        }
        let mut without = Rig::of(&ordered_stack()[..1]);
        without.settled(DRAWN);
        without.command(told(BESS, 10, MANUAL_MAX));
        assert_eq!(refusals(&without), [CommandRefusal::NotByHand], "no Manual function");
    }

    #[test]
    fn a_boot_ends_an_order_and_says_so() {
        let mut rig = Rig::of(&ordered_stack());
        rig.settled(DRAWN);
        rig.command(told(BESS, -50, MANUAL_MAX));
        rig.scan(DRAWN);
        rig.restart(Span::from_secs(1));
        let ended = Event::ManualEnded { group: GroupIndex(0), why: ManualEnd::Boot };
        assert!(rig.reported().contains(&ended));
        assert_eq!(rig.settled(DRAWN).bess, 40.0);
    }

    #[test]
    fn an_emergency_stop_holds_all_at_rest_whatever_the_laws_want_and_outlives_a_boot() {
        let mut rig = Rig::of(&ordered_stack());
        let sunny = Reading { pcc: 380.0, pv: 300.0, ..DRAWN };
        rig.settled(sunny);
        rig.command(told(BESS, -50, MANUAL_MAX));
        rig.command(Command::EmergencyStop);
        let ended = Event::ManualEnded { group: GroupIndex(0), why: ManualEnd::EmergencyStop };
        assert!(rig.reported().contains(&ended) && rig.reported().contains(&Event::EmergencyStopBegan));
        let stopped = rig.scan(sunny);
        assert_eq!((stopped.bess, stopped.pv), (0.0, 0.0));
        rig.command(told(BESS, 10, MANUAL_MAX));
        assert_eq!(refusals(&rig), [CommandRefusal::EmergencyStop]);
        rig.restart(Span::from_secs(100));
        let stopped = rig.settled(sunny);
        assert_eq!((stopped.bess, stopped.pv), (0.0, 0.0));
        rig.command(Command::Reset);
        assert!(rig.reported().contains(&Event::EmergencyStopEnded));
        let decided = rig.scan(sunny);
        assert!(decided.bess >= 80.0, "the connection limit counts again: {decided:?}");
        assert_eq!(decided.pv, 600.0);
    }
}

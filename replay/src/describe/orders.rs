//! What operators ask a controller for, and what it reports of that.

use r_ems_engine::controller::operation::Operation;
use r_ems_engine::controller::orders::Aim;
use r_ems_engine::event::Event;
use r_ems_engine::functions::wiring::{ALL_BATTERIES, ALL_GENSETS, ALL_PVS};
use r_ems_engine::points::DeviceClass;
use r_ems_engine::redundancy::Command;

use super::Words;

impl Words<'_> {
    /// What an operator asks for.
    pub fn command(self, command: Command) -> String {
        match command {
            Command::SwitchOver { to: Some(seat) } => format!("switch over to {}", self.seat(seat)),
            Command::SwitchOver { to: None } => String::from("switch over"),
            Command::Maintenance { begins: true, is_forced: false } => String::from("maintenance begins"),
            Command::Maintenance { begins: true, is_forced: true } => {
                String::from("maintenance begins, forced")
            }
            Command::Maintenance { begins: false, is_forced: _ } => String::from("maintenance ends"),
            Command::Sole { begins: true } => String::from("be the majority on its own"),
            Command::Sole { begins: false } => String::from("be the majority on its own no longer"),
            Command::Stop => String::from("stop in order"),
            Command::Snapshot => String::from("keep a snapshot"),
            Command::Return => String::from("stop in order and begin anew"),
            Command::SetPoint { to, power, lasts } => {
                let (to, power, lasts) = (self.aim(to), self.power(power.watts()), self.time(lasts));
                format!("{power} by hand for {to}, for {lasts}")
            }
            Command::ReleaseSetPoint { to } => format!("release {}", self.aim(to)),
            Command::EmergencyStop => String::from("emergency stop"),
            Command::Reset => String::from("reset the emergency stop"),
            Command::Operate { operation: Operation::Hold, lasts } => {
                format!("hold the grid for {}", self.time(lasts))
            }
            Command::Operate { operation: operation @ (Operation::Auto | Operation::Stop), lasts: _ } => {
                format!("run the grid by {}", operation.name())
            }
        }
    }

    /// Whose set-point is given by hand.
    fn aim(self, aim: Aim) -> String {
        match aim {
            Aim::Device(device) => self.device(device),
            Aim::All(DeviceClass::Battery) => String::from(ALL_BATTERIES),
            Aim::All(DeviceClass::Pv) => String::from(ALL_PVS),
            Aim::All(DeviceClass::Genset) => String::from(ALL_GENSETS),
            Aim::All(
                class @ (DeviceClass::Meter | DeviceClass::Signal | DeviceClass::Load | DeviceClass::Breaker),
            ) => format!("every {}", class.name()),
        }
    }

    /// What the controller reported about an operator's word.
    pub(super) fn order_event(self, event: &Event) -> String {
        let kind = event.kind();
        if let Event::ManualBegan { group, power, lasts } = event {
            format!("{kind}: group {group}, {} for {}", self.power(*power), self.time(*lasts))
        } else if let Event::ManualEnded { group, why } = event {
            format!("{kind}: group {group}, {}", why.name())
        } else if let Event::OperationChanged { operation } = event {
            format!("{kind}: {}", operation.name())
        } else if let Event::CommandRefused { command, refusal } = event {
            format!("{kind}: {}: {}", self.command(*command), refusal.name())
        } else {
            String::from(kind)
        }
    }
}

//! What operators tell devices and grids: set-points by hand, emergency stops, and how a grid runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use r_ems_engine::Span;
use r_ems_engine::controller::operation::Operation;
use r_ems_engine::controller::orders::{Aim, ManualEnd, Milliwatts};
use r_ems_engine::event::Event;
use r_ems_engine::functions::wiring::{ALL_BATTERIES, ALL_PVS};
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::points::DeviceClass;
use r_ems_engine::points::device::MAX_MAGNITUDE;
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::Watts;
use r_ems_site::control::Asked;

use super::Api;
use super::commands::{Trouble, Until, done};
use super::told::Told;
use crate::api::{Done, EmergencyStop, Mode, Release, SetPoint};
use crate::names::operation_words;
use crate::present::text::{duration, power};

/// A longer span is one that the controller refuses all the same; it bounds what is made of a number.
const LONG: Span = Span::from_hours(1_000);

impl Api {
    /// Gives a set-point by hand.
    async fn set_point(self: &Arc<Self>, wanted: &SetPoint) -> Result<Done, Trouble> {
        let to = self.aim(&wanted.device)?;
        let is_power = wanted.power_w.abs() <= MAX_MAGNITUDE;
        let watts = Watts::new(wanted.power_w).filter(|_power| is_power);
        let watts = watts.ok_or_else(|| Trouble::Conflict(format!("{} W is no power", wanted.power_w)))?;
        let lasts = lasting(wanted.for_s);
        self.tell(&wanted.device, Command::SetPoint { to, power: Milliwatts::of(watts), lasts }).await
    }

    /// Withdraws it.
    async fn release(self: &Arc<Self>, wanted: &Release) -> Result<Done, Trouble> {
        let to = self.aim(&wanted.device)?;
        self.tell(&wanted.device, Command::ReleaseSetPoint { to }).await
    }

    /// Stops a grid, or resets that.
    async fn emergency_stop(self: &Arc<Self>, wanted: &EmergencyStop) -> Result<Done, Trouble> {
        self.check_grid(&wanted.grid)?;
        let looked = self.look();
        let members = self.of_grid(&looked, &wanted.grid);
        let elsewhere = self.elsewhere(&wanted.grid, &members);
        let active = self.active_here(&wanted.grid, &members, &elsewhere)?;
        let is_so = active.view.as_ref().is_some_and(|view| view.is_stopped == wanted.on);
        if is_so && !wanted.on {
            return Ok(done(format!("{} is not stopped", wanted.grid)));
        }
        let command = if wanted.on { Command::EmergencyStop } else { Command::Reset };
        let told = self.tell(&wanted.grid, command).await?;
        // What was looked at is a moment old: a stop is asked for in any case.
        Ok(if is_so { done(format!("{} is stopped already", wanted.grid)) } else { told })
    }

    /// Has a grid run otherwise.
    async fn mode(self: &Arc<Self>, wanted: &Mode) -> Result<Done, Trouble> {
        self.check_grid(&wanted.grid)?;
        let operation = Operation::ALL.into_iter().find(|known| known.name() == wanted.operation);
        let operation = operation.ok_or_else(|| {
            let known = Operation::ALL.map(Operation::name).join(", ");
            Trouble::Conflict(format!("'{}' is no mode of a grid; there is {known}", wanted.operation))
        })?;
        if operation != Operation::Hold && wanted.for_s != 0.0 {
            let cause =
                format!("{} s for '{}': only a hold lasts for a while", wanted.for_s, wanted.operation);
            return Err(Trouble::Conflict(cause));
        }
        self.tell(&wanted.grid, Command::Operate { operation, lasts: lasting(wanted.for_s) }).await
    }

    /// Passes it to the active of the grid in which `name` is.
    async fn tell(self: &Arc<Self>, name: &str, command: Command) -> Result<Done, Trouble> {
        let grid = name.split_once('/').map_or(name, |parts| parts.0);
        let looked = self.look();
        let members = self.of_grid(&looked, grid);
        let elsewhere = self.elsewhere(grid, &members);
        let active = self.active_here(grid, &members, &elsewhere)?;
        self.ask(Asked { to: active.of, command }, Until::default()).await
    }

    /// Whose set-point is meant.
    fn aim(&self, name: &str) -> Result<Aim, Trouble> {
        let Some((grid, device)) = name.split_once('/') else {
            return Err(Trouble::Unknown(format!("'{name}' is no device; name it as grid/device")));
        };
        self.check_grid(grid)?;
        match device {
            ALL_BATTERIES => return Ok(Aim::All(DeviceClass::Battery)),
            ALL_PVS => return Ok(Aim::All(DeviceClass::Pv)),
            _ => {}
        }
        let of_grid = self.about.controllers.iter().filter(|names| names.grid == grid);
        let devices = of_grid.map(|names| &names.devices).find(|devices| !devices.is_empty());
        let devices = devices.map_or(&[][..], Vec::as_slice);
        let found = devices.iter().position(|known| known.name == device);
        found.map(|place| Aim::Device(DeviceIndex::of(place))).ok_or_else(|| {
            let known: Vec<String> = devices.iter().map(|known| format!("{grid}/{}", known.name)).collect();
            Trouble::Unknown(format!("there is no device '{name}'; there is {}", known.join(", ")))
        })
    }
}

/// A span that somebody asked for.
fn lasting(seconds: f64) -> Span {
    let lasts = if seconds > 0.0 { seconds } else { 0.0 };
    if lasts < LONG.as_secs_f64() { Span::from_secs_f64(lasts) } else { LONG }
}

/// Whether an event of who was asked says that a command was carried out.
pub(super) fn is_outcome(event: Event, command: Command) -> bool {
    match command {
        Command::SetPoint { .. } => matches!(event, Event::ManualBegan { .. }),
        Command::ReleaseSetPoint { .. } => {
            matches!(event, Event::ManualEnded { why: ManualEnd::Released, .. })
        }
        Command::EmergencyStop => matches!(event, Event::EmergencyStopBegan),
        Command::Reset => matches!(event, Event::EmergencyStopEnded),
        Command::Operate { operation, lasts: _ } => event == Event::OperationChanged { operation },
        Command::SwitchOver { .. }
        | Command::Maintenance { .. }
        | Command::Sole { .. }
        | Command::Stop
        | Command::Snapshot
        | Command::Return => false,
    }
}

/// Says so.
pub(super) fn outcome_words(who: &str, event: Event) -> String {
    if let Event::ManualBegan { power: told, lasts, .. } = event {
        format!("{who} takes {} by hand, for {}", power(told.watts()), duration(lasts))
    } else if let Event::OperationChanged { operation } = event {
        format!("{who}: {}", operation_words(operation))
    } else if event == Event::EmergencyStopBegan {
        format!("{who} holds every set-point at 0 until it is reset")
    } else {
        format!("the functions of {who} decide again")
    }
}

pub(super) async fn set_point(
    State(api): State<Arc<Api>>,
    Told { peer, wanted }: Told<SetPoint>,
) -> Response {
    let SetPoint { device, power_w, for_s } = &wanted;
    peer.does(format_args!("gives {device:?} a set-point of {power_w} W by hand, for {for_s} s"));
    api.set_point(&wanted).await.map(Json).into_response()
}

pub(super) async fn release(State(api): State<Arc<Api>>, Told { peer, wanted }: Told<Release>) -> Response {
    peer.does(format_args!("withdraws the set-point by hand of {:?}", wanted.device));
    api.release(&wanted).await.map(Json).into_response()
}

pub(super) async fn mode(State(api): State<Arc<Api>>, Told { peer, wanted }: Told<Mode>) -> Response {
    let Mode { grid, operation, for_s } = &wanted;
    peer.does(format_args!("has {grid:?} run by {operation:?}, for {for_s} s if that is a hold"));
    api.mode(&wanted).await.map(Json).into_response()
}

pub(super) async fn emergency_stop(
    State(api): State<Arc<Api>>,
    Told { peer, wanted }: Told<EmergencyStop>,
) -> Response {
    let grid = &wanted.grid;
    if wanted.on {
        peer.does(format_args!("stops {grid:?} in an emergency"));
    } else {
        peer.does(format_args!("resets the emergency stop of {grid:?}"));
    }
    api.emergency_stop(&wanted).await.map(Json).into_response()
}

//! What operators want: it is passed to the loop, and what comes of it is waited for among the events.

use std::sync::atomic::Ordering;
use std::time::Duration;

use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::redundancy::{Command, Role};
use r_ems_site::control::{Asked, Refused};

use super::super::feed::What;
use super::history::Entry;
use super::status::{Looked, active};
use super::{Api, systemd};
use crate::api::{Done, Maintenance, SwitchOver};

/// So long the outcome of a command is waited for; then the answer says that it was asked for.
const OUTCOME_WITHIN: Duration = Duration::from_secs(5);

/// Why a command did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no such grid or controller.
    Unknown(String),
    /// The controller refuses it, or nobody can do it now.
    Conflict(String),
    /// Too much was asked for at once, or the run is over.
    Busy(String),
}

/// What an event says about a command.
enum Judged {
    Done(String),
    Refused(String),
}

impl Api {
    /// Moves authority in a grid.
    pub(super) async fn switch_over(&self, wanted: &SwitchOver) -> Result<Done, Trouble> {
        let (grid, names) = (wanted.grid.as_str(), &self.facts.controllers);
        if !self.grid_names().any(|known| known == grid) {
            let known: Vec<&str> = self.grid_names().collect();
            return Err(Trouble::Unknown(format!(
                "there is no grid '{grid}'; there is {}",
                known.join(", ")
            )));
        }
        let looked = self.look();
        let members = self.of_grid(&looked, grid);
        let Some(active) = active(&members) else {
            return Err(Trouble::Conflict(format!("{grid}: nobody is active who could hand over")));
        };
        let to = match &wanted.to {
            None => None,
            Some(id) => Some(self.seat(&members, grid, id)?),
        };
        let from = active.of;
        let of_grid = |of: ControllerIndex| names[of.position()].grid == grid;
        let command = Command::SwitchOver { to };
        self.ask(Asked { to: from, command }, |entry| match entry.told.what {
            What::Event(Event::CommandRefused { command: asked, refusal })
                if entry.told.from == from && asked == command =>
            {
                Some(Judged::Refused(format!("{}: {}", names[from.position()].full(), refusal.name())))
            }
            What::Event(Event::TookOver { epoch, .. }) if of_grid(entry.told.from) => {
                let to = names[entry.told.from.position()].full();
                Some(Judged::Done(format!("{to} is active, epoch {epoch}")))
            }
            What::Event(_) | What::Failed => None,
        })
        .await
    }

    /// Begins or ends maintenance of a controller.
    pub(super) async fn maintenance(&self, wanted: &Maintenance) -> Result<Done, Trouble> {
        let of = self.find(&wanted.controller)?;
        let (name, begins) = (&wanted.controller, wanted.on);
        let looked = self.look();
        let member = looked.iter().find(|looked| looked.of == of && looked.lives());
        let Some(view) = member.and_then(|member| member.view.as_ref()) else {
            return Err(Trouble::Conflict(format!("{name} does not run")));
        };
        if (view.role == Role::Maintenance) == begins {
            let state = if begins { "in maintenance already" } else { "not in maintenance" };
            return Ok(Done { outcome: "done".to_owned(), message: format!("{name} is {state}") });
        }
        let command = Command::Maintenance { begins, is_forced: wanted.force };
        self.ask(Asked { to: of, command }, |entry| {
            if entry.told.from != of {
                return None;
            }
            match entry.told.what {
                What::Event(Event::CommandRefused { command: asked, refusal }) if asked == command => {
                    Some(Judged::Refused(format!("{name}: {}", refusal.name())))
                }
                What::Event(Event::RoleChanged { role, .. }) if (role == Role::Maintenance) == begins => {
                    Some(Judged::Done(format!("{name} is {}", role.name())))
                }
                What::Event(_) | What::Failed => None,
            }
        })
        .await
    }

    /// Ends the run in order.
    pub(super) fn shut_down(&self) -> Done {
        self.control.stop();
        systemd::stopping();
        Done { outcome: "asked".to_owned(), message: "every controller is asked to stop in order".to_owned() }
    }

    /// Passes a command to the loop and waits for the first event that `judge` can judge it by.
    async fn ask(&self, asked: Asked, judge: impl Fn(&Entry) -> Option<Judged>) -> Result<Done, Trouble> {
        let mut newest = self.newest.subscribe();
        let mut next = self.history().last() + 1;
        self.control.ask(asked).map_err(|refused: Refused| Trouble::Busy(refused.to_string()))?;
        let judged = async {
            while newest.changed().await.is_ok() {
                let history = self.history();
                if let Some(judged) = history.from(next, usize::MAX).find_map(&judge) {
                    return Some(judged);
                }
                next = history.last() + 1;
                if self.is_over.load(Ordering::Acquire) {
                    break;
                }
            }
            None
        };
        match tokio::time::timeout(OUTCOME_WITHIN, judged).await {
            Ok(Some(Judged::Done(message))) => Ok(Done { outcome: "done".to_owned(), message }),
            Ok(Some(Judged::Refused(message))) => Err(Trouble::Conflict(message)),
            Ok(None) => Err(Trouble::Busy(Refused::Over.to_string())),
            Err(_elapsed) => {
                let seconds = OUTCOME_WITHIN.as_secs();
                let message =
                    format!("it has not happened within {seconds} s; look at the status and the events");
                Ok(Done { outcome: "asked".to_owned(), message })
            }
        }
    }

    /// A controller by its full name.
    pub(super) fn find(&self, name: &str) -> Result<ControllerIndex, Trouble> {
        let names = &self.facts.controllers;
        let found = names.iter().position(|known| known.full() == name);
        found.map(ControllerIndex::of).ok_or_else(|| {
            let known: Vec<String> = names.iter().map(|known| known.full()).collect();
            Trouble::Unknown(format!("there is no controller '{name}'; there is {}", known.join(", ")))
        })
    }

    fn seat(
        &self,
        members: &[&Looked],
        grid: &str,
        id: &str,
    ) -> Result<r_ems_engine::redundancy::Seat, Trouble> {
        let of = self.find(&format!("{grid}/{id}"))?;
        let member = members.iter().find(|member| member.of == of);
        let view = member.and_then(|member| member.view.as_ref());
        view.map(|view| view.seat).ok_or_else(|| Trouble::Conflict(format!("{grid}/{id} does not run")))
    }
}

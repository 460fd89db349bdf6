//! Puts together how everything is, from the newest state of each controller.

use r_ems_engine::controller::Phase;
use r_ems_engine::controller::mode::GridMode;
use r_ems_engine::controller::operation::Operation;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::{Span, Time};

use super::super::feed::{Life, Seen};
use super::super::recording::Kept;
use super::Api;
use super::active::{active, active_elsewhere};
use super::views::View;
use crate::api::{ControllerStatus, GridStatus, Points, Status, Timing, VERSION};
use crate::summary::DOWN;

/// Who wanted to be woken so long ago, and of whom nothing was seen since, is taken as down: in a simulated world whole hosts
/// may go. A loop that is late by less is not taken for it.
const SILENT_AFTER: Span = Span::from_secs(3);

const SECONDS_PER_HOUR: f64 = 3_600.0;
/// A battery that lasts longer is at rest for whoever looks: nobody plans by a trickle.
const LASTS_MAX_S: f64 = 100.0 * 24.0 * SECONDS_PER_HOUR;

/// A controller as it was seen last.
pub(super) struct Looked {
    pub(super) of: ControllerIndex,
    life: Life,
    pub(super) seen: Seen,
    pub(super) view: Option<View>,
    /// How long ago.
    pub(super) ago: Span,
}

/// What holds a grid, in a word.
const fn held_by(mode: GridMode) -> &'static str {
    match mode {
        GridMode::OnGrid => "grid",
        GridMode::Island => "island",
        GridMode::Dead => "dead",
    }
}

impl Looked {
    /// Whether it lives, as far as it was seen.
    pub(super) fn lives(&self) -> bool {
        self.life == Life::Lives && self.view.as_ref().is_some_and(|view| !is_silent(self.ago, view.wakes_in))
    }

    /// The epoch under which it may write.
    pub(super) fn held(&self) -> Option<Epoch> {
        let view = self.view.as_ref().filter(|view| self.lives() && view.role.holds())?;
        Some(view.epoch)
    }

    fn controls(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.phase != Phase::Voting)
    }

    fn life(&self) -> &'static str {
        match (self.life, &self.view) {
            (Life::Failed, _) => "failed",
            (Life::Stopped, _) => "stopped",
            (Life::Made, _) | (Life::Lives, None) => DOWN,
            (Life::Lives, Some(_)) if !self.lives() => "silent",
            (Life::Lives, Some(view)) => match view.phase {
                Phase::Made => DOWN,
                Phase::Starting => "starting",
                Phase::Running => "running",
                Phase::Voting => "voting",
                Phase::Stopped => "stopped",
            },
        }
    }

    fn status(&self, names: &ControllerNames) -> ControllerStatus {
        let view = self.view.as_ref();
        let living = view.filter(|_view| self.lives());
        ControllerStatus {
            name: names.full(),
            host: None,
            role: living.map_or(DOWN, |view| view.role.name()).to_owned(),
            epoch: view.map_or(Epoch::NONE, |view| view.epoch).to_string(),
            is_sole: living.map(|view| view.is_sole),
            life: self.life().to_owned(),
            is_ready: living.is_some_and(|view| view.health.is_ready),
            reaches_devices: living.is_some_and(|view| view.health.reaches_devices),
            state_age_s: living.and_then(|view| view.state_age).map(Span::as_secs_f64),
            scans: view.map_or(0, |view| view.timing.scans()),
            missed: view.map_or(0, |view| view.timing.missed()),
            lateness_worst_s: view.map_or(0.0, |view| view.timing.worst().as_secs_f64()),
            seen_s: self.ago.as_secs_f64(),
        }
    }
}

impl Api {
    /// Looks at all controllers.
    pub(super) fn look(&self) -> Vec<Looked> {
        let look = |of| {
            let (life, seen) = (self.fed.life(of), self.fed.seen(of));
            let view = self.views.view(of, &seen);
            let ago = self.now().since(seen.at);
            Looked { of, life, seen, view, ago }
        };
        self.controllers().map(look).collect()
    }

    /// Those of one grid.
    pub(super) fn of_grid<'a>(&self, looked: &'a [Looked], grid: &str) -> Vec<&'a Looked> {
        let names = &self.about.controllers;
        looked.iter().filter(|looked| names[looked.of.position()].grid == grid).collect()
    }

    /// How everything is.
    pub(super) fn status(&self) -> Status {
        let (now, looked, lateness) = (self.now(), self.look(), self.control.lateness());
        Status {
            version: VERSION.to_owned(),
            mode: self.effective.config().mode,
            scenario: self.about.title.clone(),
            now_s: now.as_secs_f64(),
            now: self.local(now),
            is_stopping: self.control.is_stopping(),
            timing: Timing {
                deliveries: lateness.deliveries(),
                p50_s: lateness.quantile(1, 2).as_secs_f64(),
                p99_s: lateness.quantile(99, 100).as_secs_f64(),
                worst_s: lateness.worst().as_secs_f64(),
            },
            events_lost: self.fed.lost(),
            lines_lost: self.lines.lost(),
            log: self.log.as_ref().map(Kept::status),
            grids: self.grid_names().map(|grid| self.grid(grid, &looked)).collect(),
        }
    }

    fn grid(&self, grid: &str, looked: &[Looked]) -> GridStatus {
        let members = self.of_grid(looked, grid);
        let id = |looked: &Looked| self.about.controllers[looked.of.position()].id.clone();
        let active = active(&members);
        let elsewhere = self.elsewhere(grid, &members);
        let other = active_elsewhere(&elsewhere);
        let seer =
            active.or_else(|| members.iter().copied().find(|member| member.lives() && member.controls()));
        let devices = seer.and_then(|seer| seer.view.as_ref()).map(|view| view.devices.clone());
        let mut devices = devices.unwrap_or_default();
        let known = self.about.grid(grid);
        for device in &mut devices {
            device.is_simulated = known.is_some_and(|known| known.simulated.contains(&device.name));
            let capacity_wh = known.and_then(|known| known.capacities_wh.get(&device.name));
            device.lasts_s =
                capacity_wh.and_then(|capacity_wh| lasts(device.power_w?, device.soc?, *capacity_wh));
        }
        let is_of_grid = |of: ControllerIndex| self.about.controllers[of.position()].grid == grid;
        let status = |member: &&Looked| member.status(&self.about.controllers[member.of.position()]);
        let seen = seer.and_then(|seer| seer.view.as_ref());
        let (operation, held_for) = seen.map_or((Operation::Auto, None), |view| view.operation);
        GridStatus {
            name: grid.to_owned(),
            active: active.map(id).or_else(|| other.map(|other| other.id.clone())),
            epoch: active
                .and_then(Looked::held)
                .or(other.and_then(|other| other.held))
                .map(|epoch| epoch.to_string()),
            seen_by: seer.map(id),
            is_stopped: seen.is_some_and(|view| view.is_stopped),
            operation: operation.name().to_owned(),
            held_for_s: held_for.map(Span::as_secs_f64),
            held_by: seen.and_then(|view| view.mode).map(|mode| held_by(mode).to_owned()),
            limit_w: self.effective.limit_w(grid).unwrap_or(known.and_then(|known| known.limit_w)),
            devices,
            controllers: members
                .iter()
                .map(status)
                .chain(elsewhere.into_iter().map(|other| other.status))
                .collect(),
            conditions: self.history().conditions.list(is_of_grid),
        }
    }

    /// Every point of every controller that lives.
    pub(super) fn points(&self) -> Points {
        let looked = self.look();
        let living = looked.into_iter().filter(Looked::lives).filter_map(|looked| looked.view);
        Points { now_s: self.now().as_secs_f64(), points: living.flat_map(|view| view.points).collect() }
    }

    /// The grids' names, each once.
    pub(super) fn grid_names(&self) -> impl Iterator<Item = &str> {
        self.about.grids.iter().map(|grid| grid.name.as_str())
    }

    /// The text of an instant; in whole seconds, as nobody reads more of a clock that moves.
    pub(super) fn local(&self, at: Time) -> String {
        self.about.local(Time::ZERO + Span::from_secs(at.since(Time::ZERO).whole(Span::from_secs(1))))
    }
}

/// Whether somebody is silent who was seen so long ago, and then wanted to be woken so much later, if at all.
fn is_silent(ago: Span, wakes_in: Option<Span>) -> bool {
    wakes_in.is_some_and(|wakes_in| ago >= wakes_in + SILENT_AFTER)
}

/// How long a battery's charge, or the room for more, lasts at its power; nothing while it rests, or as good as rests.
fn lasts(power_w: f64, soc: f64, capacity_wh: f64) -> Option<f64> {
    let share = if power_w > 0.0 { soc } else { 1.0 - soc };
    let lasts_s = share * capacity_wh / power_w.abs() * SECONDS_PER_HOUR;
    (power_w.abs() >= 1.0 && lasts_s <= LASTS_MAX_S).then_some(lasts_s)
}

/// The same in one line: "workshop: a is active, epoch 1.0".
pub(super) fn line(status: &Status) -> String {
    let grid = |grid: &GridStatus| match (&grid.active, &grid.epoch) {
        (Some(active), Some(epoch)) => format!("{}: {active} is active, epoch {epoch}", grid.name),
        (_, _) if !grid.hears_all() => format!("{}: no active is heard here", grid.name),
        (_, _) => format!("{}: nobody is active", grid.name),
    };
    let simulated = status.grids.iter().flat_map(|grid| {
        let simulated = grid.devices.iter().filter(|device| device.is_simulated);
        simulated.map(|device| format!("{}/{} is SIMULATED", grid.name, device.name))
    });
    status.grids.iter().map(grid).chain(simulated).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_to_do_for_long_is_not_silent() {
        let seconds = Span::from_secs;
        assert!(!is_silent(seconds(62), Some(seconds(60))) && is_silent(seconds(63), Some(seconds(60))));
        assert!(!is_silent(seconds(2), Some(Span::ZERO)) && is_silent(seconds(3), Some(Span::ZERO)));
        assert!(!is_silent(seconds(3_600), None), "only an input can change it");
    }

    #[test]
    fn a_battery_lasts_by_its_charge_or_its_room_and_not_for_ever() {
        assert_eq!(lasts(5e3, 0.5, 10e3), Some(3_600.0));
        assert_eq!(lasts(-5e3, 0.25, 10e3), Some(5_400.0));
        assert_eq!(lasts(0.9, 0.5, 10.0), None, "it rests");
        assert_eq!(lasts(1.0, 1.0, 2_400.0), Some(LASTS_MAX_S));
        assert_eq!((lasts(1.0, 1.0, 2_401.0), lasts(1.0, 1.0, 1e300)), (None, None));
    }
}

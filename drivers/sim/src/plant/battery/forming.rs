//! A battery that holds voltage and frequency of an island.
//!
//! Its inverter is a droop behind a filter: f = f0 (1 − k P'/S) with τ dP'/dt = P − P'. With P' put into f this reads
//! (τ/k) d(f/f0)/dt = −P/S − (f/f0 − 1)/k, which is the equation of a rotating mass with 2H = τ/k and damping 1/k. So one
//! equation serves inverters and gensets, and they share an island as their droops say. What the mass gives comes out of
//! the cells.
//!
//! The power of who forms is what balances the bus, and no set-point: neither the taper nor a limit holds it. What it cannot give
//! ends it: a power beyond its rating for too long, one beyond its overload at once, an empty store, a full one that should
//! charge. Its breaker then opens, and it stays off until somebody starts it.
//!
//! # Source
//! Droop and filter are those of CONTROL.md section 3; an overload of 1.2 for 10 s is ours.

use r_ems_engine::units::Ratio;
use r_ems_engine::{Span, Time};

use super::super::lasting::Lasting;
use super::super::swing::Former;
use super::super::taper::Band;
use super::super::{Curve, SpecError, Supply, ranged, within};
use super::{Battery, Mode, Phase, Progress};
use crate::sources::seconds;

/// Shortest and longest filter, in s: a shorter one does not move within the step of an island.
const FILTER_S: (f64, f64) = (0.001, 10.0);
/// Longest overload, in s.
const OVERLOAD_S_MAX: f64 = 3_600.0;

/// How a battery forms an island.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forming {
    /// By which share of the nominal one the frequency falls at rated power.
    pub droop: Ratio,
    /// Time constant of the filter of its power.
    pub filter: Span,
    /// By which share of the nominal one the voltage falls at rated reactive power.
    pub voltage_droop: Ratio,
    /// The most that it gives or takes for a short time, as a multiple of its rating.
    pub overload: f64,
    /// How long it gives or takes more than its rating.
    pub overload_time: Span,
}

impl Default for Forming {
    fn default() -> Self {
        Self {
            droop: Ratio::of(0.01),
            filter: Span::from_millis(10),
            voltage_droop: Ratio::of(0.05),
            overload: 1.2,
            overload_time: Span::from_secs(10),
        }
    }
}

impl Forming {
    /// Whether every parameter is allowed.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        ranged("droop", self.droop, 0.001, 0.2)?;
        within("filter", self.filter.as_secs_f64(), FILTER_S.0, FILTER_S.1)?;
        ranged("voltage_droop", self.voltage_droop, 0.001, 0.5)?;
        within("overload", self.overload, 1.0, 10.0)?;
        within("overload_time", self.overload_time.as_secs_f64(), 0.0, OVERLOAD_S_MAX)?;
        Ok(())
    }
}

/// What a battery does on its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drive {
    /// It follows its set-point.
    Follows,
    /// It balances the bus.
    Forms,
}

/// Says whether who forms an island can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Holds {
    /// It can.
    Yes,
    /// It cannot: its breaker opens.
    No,
}

impl Battery {
    /// The overload timer of `forming`.
    pub(super) fn overload_timer(forming: Option<Forming>) -> Lasting {
        Lasting::new(forming.unwrap_or_default().overload_time)
    }

    /// Whether it can hold an island.
    pub(in super::super) fn can_form(&self) -> bool {
        self.spec.forms.is_some() && self.mode == Mode::Running && self.band > Band::EMPTY
    }

    /// Whether it holds an island.
    pub fn is_forming(&self) -> bool {
        self.drive == Drive::Forms
    }

    /// Begins to form if it can, or goes on to do what it does.
    pub(in super::super) fn take_part(&mut self, now: Time) {
        let drive = if self.can_form() { Drive::Forms } else { Drive::Follows };
        if drive != self.drive {
            self.drive = drive;
            self.overloaded.clear();
            self.renew(now);
        }
    }

    /// Follows its set-point again.
    pub(super) fn let_go(&mut self) {
        self.drive = Drive::Follows;
        self.overloaded.clear();
    }

    /// How it moves the frequency of an island.
    pub(in super::super) fn former(&self) -> Former {
        let Forming { droop, filter, voltage_droop, .. } = self.spec.forms.unwrap_or_default();
        let (rating_w, droop) = (self.constants.rating_w, droop.ratio());
        Former {
            mass_ws: rating_w * filter.as_secs_f64() / droop,
            damping_w: rating_w / droop,
            drive_w: (0.0, 0.0),
            stiffness_var: rating_w / voltage_droop.ratio(),
        }
    }

    /// Goes straight to where its lag is at `until`: what an island knows of a battery that follows its set-point.
    pub(in super::super) fn stretch(&mut self, now: Time, until: Time) {
        if self.phase.curve.is_settled() {
            return;
        }
        if self.phase.curve.is_line() {
            self.renew(now);
        }
        if self.phase.curve.has_decay() {
            let end_w = self.phase.curve.passed(seconds(now, until)).power_w;
            self.go_straight(now, until, (self.phase.curve.start_w, end_w));
        }
    }

    /// Goes straight from one power to another, which is what balances an island.
    pub(in super::super) fn go_straight(&mut self, now: Time, until: Time, (start_w, end_w): (f64, f64)) {
        let curve = Curve::line(start_w, end_w, seconds(now, until));
        let Phase { standby_w, .. } = self.phase;
        let mut phase = Phase { from: now, until, edge_j: None, curve, stored_j: self.stored_j, standby_w };
        phase.find_end(self.band, &self.constants);
        self.phase = phase;
        self.progress = Progress { power_w: start_w, ..Progress::default() };
    }

    /// The power at `until` of a phase that goes straight there, or is settled.
    pub(in super::super) fn straight_end_w(&self) -> f64 {
        self.phase.curve.target_w
    }

    /// Whether it can go on to form with the power that it has now.
    pub(in super::super) fn holds(&mut self, now: Time) -> Holds {
        let Forming { overload, .. } = self.spec.forms.unwrap_or_default();
        let power_w = self.progress.power_w;
        let is_over = power_w.abs() > self.constants.rating_w;
        let has_lasted = self.overloaded.look(is_over, now);
        let is_too_much = power_w.abs() > overload * self.constants.rating_w;
        let is_full = self.band == Band::FULL && power_w < 0.0;
        if self.supply == Supply::Dead || !self.can_form() || has_lasted || is_too_much || is_full {
            Holds::No
        } else {
            Holds::Yes
        }
    }

    /// How often it could not hold an island.
    pub fn trips(&self) -> u32 {
        self.trips
    }
}

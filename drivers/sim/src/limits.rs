//! The checker of limits: no battery and no photovoltaic plant does what it cannot.
//!
//! It looks at a bus every [`LOOKS_EVERY`] and at every jump of a power.
//!
//! - A battery's power stays within its rating, and within what its state of charge allows: over the last share of the capacity
//!   at each end, the taper, as much less as there is less to give or to take in.
//!   One that holds an island gives what the island takes, up to its overload.
//! - It stores nothing less than nothing, and no more than its capacity.
//! - A photovoltaic plant makes no more than there is, and no more than its rating; it takes nothing.
//! - Where there is no voltage both do nothing, nor does a battery whose inverter does not run.
//!
//! It knows the law from the specification and not from the plant, whose taper is a staircase: that lies above the law by half
//! a step at the most, which is allowed. What goes over the connection is the sum of all else, and what a site may draw is what
//! a scenario expects.
//!
//! It must never change what it checks, and never panic: what it finds is a value.

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::{Span, Time};

use crate::plant::{
    Bus, BusMode, Component, ComponentIndex, JOULES_PER_WATT_HOUR, Mode, TAPER_STEPS, WATT_HOURS_PER_JOULE,
    Watch,
};

/// What a power may be above its limit, and energy beyond the capacity, as a share of the rating or the capacity: an edge of the
/// staircase is passed a nanosecond late, and lines that meet are rounded.
pub const TOLERANCE_SHARE: f64 = 1e-6;

/// How often it looks, where something moves that often: what lasts longer is found. A look each second took a fiftieth
/// of a year's run.
pub const LOOKS_EVERY: Span = Span::from_secs(2);

/// So far the staircase of the taper lies above the law, as a share of the rating.
const HALF_A_STEP: f64 = 0.5 / TAPER_STEPS as f64;

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// More is discharged than the battery can give; in W.
    Discharge,
    /// More is charged than the battery can take; in W.
    Charge,
    /// More, or less, is stored than can be; in Wh.
    Stored,
    /// More is made than there is; in W.
    Available,
    /// Power is taken by what only makes it; in W.
    Made,
}

/// What a component did beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    /// When.
    pub at: Time,
    /// Which component.
    pub component: ComponentIndex,
    /// Which limit.
    pub limit: Limit,
    /// What was found, in W or Wh.
    pub found: f64,
    /// What is allowed, in W or Wh.
    pub allowed: f64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, component, limit, found, allowed } = self;
        let unit = if *limit == Limit::Stored { "Wh" } else { "W" };
        write!(
            f,
            "a limit of component {} does not hold at {at} ({limit:?}): allowed {allowed} {unit}, got {found} {unit}",
            component.0
        )
    }
}

impl core::error::Error for Excess {}

/// Checks the limits of one bus.
#[derive(Clone, Debug)]
pub struct Limits {
    watched: Vec<(ComponentIndex, Limited)>,
    /// When it looks next.
    due: Time,
    first: Option<Excess>,
}

/// What is known of a component that has limits.
#[derive(Clone, Copy, Debug)]
enum Limited {
    Battery(Cell),
    Pv(Plant),
}

/// What is known of a battery, in the units of the inner loop.
#[derive(Clone, Copy, Debug)]
struct Cell {
    rating_w: f64,
    capacity_j: f64,
    /// How much more may be done with each joule that is stored, or left, in the taper.
    taper_w_per_j: f64,
    /// So far the staircase of the taper lies above the law.
    half_a_step_w: f64,
}

/// What is known of a photovoltaic plant.
#[derive(Clone, Copy, Debug)]
struct Plant {
    rating_w: f64,
}

/// What a battery may do.
#[derive(Clone, Copy, Debug)]
enum May {
    Nothing,
    /// What its rating and its state of charge allow.
    Follow,
    /// So much, in W, in either direction: it holds an island.
    Form(f64),
}

impl Limits {
    /// Checks what is on `bus`, from now on.
    pub fn new(bus: &Bus) -> Self {
        let limited = |component: &Component| match component {
            Component::Battery(battery) => {
                let spec = battery.spec();
                let (rating_w, capacity_j) =
                    (spec.rating.watts(), spec.capacity.watt_hours() * JOULES_PER_WATT_HOUR);
                Some(Limited::Battery(Cell {
                    rating_w,
                    capacity_j,
                    taper_w_per_j: rating_w / (capacity_j * spec.taper.ratio()),
                    half_a_step_w: rating_w * HALF_A_STEP,
                }))
            }
            Component::Pv(pv) => Some(Limited::Pv(Plant { rating_w: pv.spec().rating.watts() })),
            Component::Connection(_)
            | Component::Load(_)
            | Component::Receiver(_)
            | Component::Genset(_)
            | Component::Tie(_) => None,
        };
        let indexed = (0..).map(ComponentIndex).zip(bus.components());
        let watched = indexed.filter_map(|(index, component)| Some((index, limited(component)?))).collect();
        Self { watched, due: bus.now() + LOOKS_EVERY, first: None }
    }

    /// Whether all limits have held so far.
    ///
    /// # Errors
    /// The first [`Excess`].
    pub fn check(&self) -> Result<(), Excess> {
        self.first.map_or(Ok(()), Err)
    }

    /// Looks at what every component does at the end of a segment.
    fn look_at_all(&mut self, bus: &Bus, at: Time) {
        for place in 0..self.watched.len() {
            let (component, limited) = &self.watched[place];
            let is_live = bus.mode_at(*component) != BusMode::Dead;
            let (power_w, is_well_within) = match (limited, &bus.components()[usize::from(component.0)]) {
                (Limited::Battery(cell), Component::Battery(battery)) => {
                    let (power_w, stored_j) = (battery.flow().end_w, battery.stored_j());
                    let follows = battery.mode() == Mode::Running && !battery.is_forming();
                    (power_w, follows && cell.is_well_within(power_w, stored_j))
                }
                (Limited::Pv(plant), Component::Pv(pv)) => {
                    let power_w = pv.flow().end_w;
                    (power_w, plant.is_well_within(power_w, pv.available_w()))
                }
                (Limited::Battery(_) | Limited::Pv(_), _) => unreachable!("a component stays of its kind"),
            };
            if !(is_live && is_well_within) {
                self.look(bus, at, place, power_w);
            }
        }
    }

    /// Looks closer at a component, which does `power_w`.
    #[cold]
    fn look(&mut self, bus: &Bus, at: Time, place: usize, power_w: f64) {
        let (component, limited) = self.watched[place];
        let is_live = bus.mode_at(component) != BusMode::Dead;
        let broken = match (limited, &bus.components()[usize::from(component.0)]) {
            (Limited::Battery(cell), Component::Battery(battery)) => {
                let may = match battery.spec().forms {
                    _ if !is_live || battery.mode() != Mode::Running => May::Nothing,
                    Some(forming) if battery.is_forming() => May::Form(forming.overload * cell.rating_w),
                    Some(_) | None => May::Follow,
                };
                // What a former carries in a step follows from its beginning, and that is judged.
                let carried_w = if matches!(may, May::Form(_)) { battery.flow().start_w } else { power_w };
                cell.broken(carried_w, battery.stored_j(), may)
            }
            (Limited::Pv(plant), Component::Pv(pv)) => {
                plant.broken(power_w, if is_live { pv.available_w() } else { 0.0 })
            }
            (Limited::Battery(_) | Limited::Pv(_), _) => unreachable!("a component stays of its kind"),
        };
        if let Some((limit, found, allowed)) = broken {
            self.first.get_or_insert(Excess { at, component, limit, found, allowed });
        }
    }
}

impl Cell {
    /// Whether all limits are kept, without a closer look.
    fn is_well_within(&self, power_w: f64, stored_j: f64) -> bool {
        let left_j = self.capacity_j - stored_j;
        let is_allowed = power_w <= stored_j * self.taper_w_per_j + self.half_a_step_w
            && -power_w <= left_j * self.taper_w_per_j + self.half_a_step_w;
        stored_j >= 0.0 && left_j >= 0.0 && power_w.abs() <= self.rating_w && is_allowed
    }

    /// The limit that a battery does not keep, what it does, and what is allowed.
    fn broken(&self, power_w: f64, stored_j: f64, may: May) -> Option<(Limit, f64, f64)> {
        let grain_j = self.capacity_j * TOLERANCE_SHARE;
        // What cannot be compared lies in no range.
        if !(-grain_j..=self.capacity_j + grain_j).contains(&stored_j) {
            let allowed_j = if stored_j < 0.0 { 0.0 } else { self.capacity_j };
            return Some((Limit::Stored, stored_j * WATT_HOURS_PER_JOULE, allowed_j * WATT_HOURS_PER_JOULE));
        }
        let allowed_w = |left_j: f64| {
            let most_w = (left_j * self.taper_w_per_j + self.half_a_step_w).clamp(0.0, self.rating_w);
            match may {
                May::Nothing => 0.0,
                May::Follow => most_w,
                May::Form(most_w) => most_w,
            }
        };
        let (gives_w, takes_w) = (allowed_w(stored_j), allowed_w(self.capacity_j - stored_j));
        let tolerance_w = self.rating_w * TOLERANCE_SHARE;
        if (-takes_w - tolerance_w..=gives_w + tolerance_w).contains(&power_w) {
            None
        } else if power_w > 0.0 {
            Some((Limit::Discharge, power_w, gives_w))
        } else {
            Some((Limit::Charge, -power_w, takes_w))
        }
    }
}

impl Plant {
    fn is_well_within(&self, power_w: f64, available_w: f64) -> bool {
        power_w >= 0.0 && power_w <= available_w && power_w <= self.rating_w
    }

    /// The limit that a photovoltaic plant does not keep, what it does, and what is allowed.
    fn broken(&self, power_w: f64, available_w: f64) -> Option<(Limit, f64, f64)> {
        let tolerance_w = self.rating_w * TOLERANCE_SHARE;
        let most_w = if available_w < self.rating_w { available_w } else { self.rating_w };
        if (-tolerance_w..=most_w + tolerance_w).contains(&power_w) {
            None
        } else if power_w < 0.0 {
            Some((Limit::Made, power_w, 0.0))
        } else {
            Some((Limit::Available, power_w, most_w))
        }
    }
}

impl Watch for Limits {
    #[inline]
    fn segment(&mut self, bus: &Bus, _from: Time, to: Time) {
        if to >= self.due {
            self.due = to + LOOKS_EVERY;
            self.look_at_all(bus, to);
        }
    }

    fn step(&mut self, bus: &Bus, at: Time, component: ComponentIndex, _before_w: f64, after_w: f64) {
        if let Some(place) = self.watched.iter().position(|watched| watched.0 == component) {
            self.look(bus, at, place, after_w);
        }
    }
}

#[cfg(test)]
mod tests;

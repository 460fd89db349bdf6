//! Checks that no set-point outlives its expiry where the device has a timer.
//!
//! A device with a reversion timer falls back on its own when nobody has written for that long, whatever has become of whoever
//! wrote. The checker keeps its own account of each battery's last accepted write, and asks neither the timer nor what the
//! device says of its set-point: what counts is the power. After the last write that may be anything for the time of the
//! reversion, then it must go where the device falls back to as fast as its lag lets it, and stay there or, where its state of
//! charge or its inverter allow less, between there and zero. A device that restarts has forgotten its set-point at once.
//!
//! A device that expects heartbeats falls back as well when it has heard none for its time-out, and stays there until the next
//! write. A photovoltaic plant then makes what it can, once its limit is released.
//!
//! What a device does before it is written to for the first time is nobody's set-point, and promises nothing.

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::math;
use r_ems_engine::{Span, Time};

use crate::plant::{
    Bus, BusMode, Component, ComponentIndex, LAG_MIN, Quantity, SETTLED_TIME_CONSTANTS, Watch,
};

/// What a power may be away from where it must be, as a share of the rating.
pub const TOLERANCE_SHARE: f64 = 1e-6;

/// A device that does what was asked of it longer than it may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlived {
    /// When that was found.
    pub at: Time,
    /// Which device, by what it moves.
    pub component: ComponentIndex,
    /// When its last set-point ended: with its reversion, or with a restart.
    pub ended_at: Time,
    /// What it does, in W.
    pub power_w: f64,
    /// Where it falls back to, in W.
    pub fallback_w: f64,
}

impl fmt::Display for Outlived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, component, ended_at, power_w, fallback_w } = self;
        write!(
            f,
            "component {} does {power_w} W at {at} though its set-point ended {} before and it falls back to {fallback_w} W",
            component.0,
            at.since(*ended_at)
        )
    }
}

impl core::error::Error for Outlived {}

/// Watches the devices of one bus that have a timer.
#[derive(Clone, Debug)]
pub struct Timers {
    timers: Vec<Timer>,
    /// No set-point ends before.
    due: Time,
    first: Option<Outlived>,
}

/// What is known of a device with a timer.
#[derive(Clone, Copy, Debug)]
struct Timer {
    component: ComponentIndex,
    reversion: Option<Span>,
    heartbeat: Option<Span>,
    falls: Falls,
    rating_w: f64,
    /// When the last set-point ends; none was ever accepted.
    ends: Option<Time>,
    /// When it has heard no heartbeat for too long.
    unheard: Option<Time>,
}

/// What a device does without a set-point.
#[derive(Clone, Copy, Debug)]
enum Falls {
    /// It goes to a power, with a lag.
    Back { lag_s: f64, power_w: f64 },
    /// It makes what it can, after so long.
    Free { after: Span },
}

impl Timers {
    /// Watches the devices on `bus`, from now on.
    pub fn new(bus: &Bus) -> Self {
        let timer = |(component, of): (ComponentIndex, &Component)| {
            let (reversion, heartbeat, falls, rating) = match of {
                Component::Battery(battery) => {
                    let spec = battery.spec();
                    let lag_s = if spec.lag < LAG_MIN { 0.0 } else { spec.lag.as_secs_f64() };
                    let falls = Falls::Back { lag_s, power_w: spec.fallback.watts() };
                    (spec.reversion, spec.heartbeat, falls, spec.rating)
                }
                Component::Pv(pv) => {
                    let spec = pv.spec();
                    let after_s = spec.rating.watts() / spec.release.watts_per_second();
                    let after = Span::from_secs_f64(after_s);
                    (None, pv.heartbeat(), Falls::Free { after }, spec.rating)
                }
                Component::Connection(_)
                | Component::Load(_)
                | Component::Receiver(_)
                | Component::Genset(_)
                | Component::Tie(_) => return None,
            };
            reversion.or(heartbeat)?;
            let rating_w = rating.watts();
            Some(Timer { component, reversion, heartbeat, falls, rating_w, ends: None, unheard: None })
        };
        let components = (0..).map(ComponentIndex).zip(bus.components());
        Self { timers: components.filter_map(timer).collect(), due: Time::MAX, first: None }
    }

    /// A device has accepted a write.
    pub fn accepted(&mut self, at: Time, component: ComponentIndex) {
        self.set(component, |timer| {
            timer.end_unheard(at);
            timer.unheard = timer.unheard.or(timer.heartbeat.map(|span| at + span));
            timer.ends = Some(timer.reversion.map_or(Time::MAX, |span| at + span));
        });
    }

    /// A device has heard a heartbeat.
    pub fn heard(&mut self, at: Time, component: ComponentIndex) {
        self.set(component, |timer| {
            timer.end_unheard(at);
            timer.unheard = timer.heartbeat.map(|span| at + span);
        });
    }

    /// A device has restarted and forgotten its set-point.
    pub fn restarted(&mut self, at: Time, component: ComponentIndex) {
        self.set(component, |timer| (timer.ends, timer.unheard) = (Some(at), None));
    }

    /// Nobody's set-point counts at a device from now on, until it accepts one.
    pub fn set_aside(&mut self, component: ComponentIndex) {
        self.set(component, |timer| (timer.ends, timer.unheard) = (None, None));
    }

    /// Whether every set-point ended in time so far.
    ///
    /// # Errors
    /// The first device that followed one for longer.
    pub fn check(&self) -> Result<(), Outlived> {
        self.first.map_or(Ok(()), Err)
    }

    fn set(&mut self, component: ComponentIndex, change: impl Fn(&mut Timer)) {
        self.timers.iter_mut().filter(|timer| timer.component == component).for_each(change);
        self.due = self.timers.iter().filter_map(Timer::end).min().unwrap_or(Time::MAX);
    }

    /// Looks at the devices whose set-point has ended.
    fn look(&mut self, bus: &Bus, at: Time) {
        for timer in &mut self.timers {
            let Some(ended_at) = timer.end().filter(|end| *end < at) else { continue };
            let component = timer.component;
            let of = &bus.components()[usize::from(component.0)];
            if matches!(of, Component::Battery(battery) if battery.is_forming()) {
                // Who holds an island follows no set-point; it falls back when it does so no more.
                (timer.ends, timer.unheard) = (Some(at), None);
                continue;
            }
            let (power_w, ended_for) = (of.ends_w().1, at.since(ended_at));
            let (fallback_w, may) = match timer.falls {
                Falls::Back { lag_s, power_w: fallback_w } => {
                    (fallback_w, timer.may_do(power_w, ended_for, (lag_s, fallback_w)))
                }
                Falls::Free { after } => {
                    let available_w = of.value(Quantity::AvailablePower).unwrap_or(0.0);
                    let lowest_w = available_w - timer.rating_w * TOLERANCE_SHARE;
                    let is_dead = bus.mode_at(component) == BusMode::Dead;
                    (available_w, is_dead || ended_for <= after || power_w >= lowest_w)
                }
            };
            if !may {
                self.first.get_or_insert(Outlived { at, component, ended_at, power_w, fallback_w });
            }
        }
    }
}

impl Timer {
    /// When the last set-point ends; none was ever accepted.
    fn end(&self) -> Option<Time> {
        self.ends.map(|ends| self.unheard.map_or(ends, |unheard| ends.min(unheard)))
    }

    /// What it had not heard for too long before `at` has ended its set-point for good.
    fn end_unheard(&mut self, at: Time) {
        if let Some(unheard) = self.unheard.take_if(|unheard| *unheard <= at) {
            self.ends = self.ends.map(|ends| ends.min(unheard));
        }
    }

    /// Whether a device may do so much when its set-point ended so long ago.
    fn may_do(&self, power_w: f64, ended_for: Span, (lag_s, fallback_w): (f64, f64)) -> bool {
        let time_constants = ended_for.as_secs_f64() / lag_s;
        // At the end it may have been as far away as its rating is wide; and it is there once it is settled.
        let left = if time_constants < SETTLED_TIME_CONSTANTS { math::exp(-time_constants) } else { 0.0 };
        let (low_w, high_w) = if fallback_w < 0.0 { (fallback_w, 0.0) } else { (0.0, fallback_w) };
        let tolerance_w = self.rating_w * TOLERANCE_SHARE;
        let low_w = low_w - (self.rating_w + low_w) * left - tolerance_w;
        let high_w = high_w + (self.rating_w - high_w) * left + tolerance_w;
        (low_w..=high_w).contains(&power_w)
    }
}

impl Watch for Timers {
    #[inline]
    fn segment(&mut self, bus: &Bus, _from: Time, to: Time) {
        if to > self.due {
            self.look(bus, to);
        }
    }
}

#[cfg(test)]
mod tests;

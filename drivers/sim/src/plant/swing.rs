//! The frequency of an island: the swing equation of everything that holds it, in steps of fixed length.
//!
//! M dω/dt = Σ A − P, where ω is the frequency as a multiple of the nominal one, M the sum of all masses, A what drives each
//! former less its damping, and P what the others take. One frequency per island: machines that swing against each other are not
//! modelled. The power of a former is what its drive leaves after its mass has got its share, so all of them add up to P by
//! construction, to the last bit but rounding.
//!
//! # How an exact plant and a stepped island go together
//! On the grid everything is a closed form between the instants at which something changes. Two shapes were weighed for islands:
//!
//! - an integrator beside the segments, which hands averages of many steps to whoever watches. Fewer segments, but a power that
//!   nobody can integrate again: every checker would have to trust it.
//! - a step as an ordinary segment, in which every power is a straight line. The watchers need nothing new, energies are
//!   exact integrals of what is published, and a look inside a step reads the line and changes nothing.
//!
//! The second one is here. It costs a segment for each millisecond of an island, which takes about as long as a scan. What would
//! change our mind: islands of months.
//!
//! A step ends at the next whole multiple of its length in the run's time, or earlier where something changes; then it ends
//! where it is, and the next one begins there. So the plant depends on what is done to it and when, and not on who looks.
//!
//! **Error:** the swing equation is integrated by the trapezoid rule, whose error falls with the square of the step. Inertia is
//! that of the linear equation, 2H dω/dt instead of 2H ω dω/dt: what a mass gives down to 49 Hz is 1 % more than that of a
//! real one.

use r_ems_engine::{Span, Time};

use crate::sources::seconds;

/// Length of a step.
pub const ISLAND_STEP: Span = Span::from_millis(1);

/// Frequencies, as multiples of the nominal one, outside of which no machine holds: the island collapses. Ours.
pub(super) const SPEEDS: (f64, f64) = (0.8, 1.2);

/// How one former, or all of them, moves the frequency.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Former {
    /// Energy that a whole change of frequency takes, in Ws: 2H S of a genset.
    pub(super) mass_ws: f64,
    /// Power that a whole change of frequency takes, in W.
    pub(super) damping_w: f64,
    /// What drives it, at the beginning and at the end of the step, in W.
    pub(super) drive_w: (f64, f64),
    /// Reactive power at which its voltage would have fallen to nothing, in var.
    pub(super) stiffness_var: f64,
}

/// The frequency of an island in one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swing {
    step: Span,
    from: Time,
    until: Time,
    /// The frequency at the beginning, as a multiple of the nominal one.
    speed: f64,
    /// The frequency at the end.
    next_speed: f64,
    /// What accelerates all masses at the beginning and at the end, in W.
    force_w: (f64, f64),
    all: Former,
}

impl Former {
    /// Two formers together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            mass_ws: self.mass_ws + other.mass_ws,
            damping_w: self.damping_w + other.damping_w,
            drive_w: (self.drive_w.0 + other.drive_w.0, self.drive_w.1 + other.drive_w.1),
            stiffness_var: self.stiffness_var + other.stiffness_var,
        }
    }
}

impl Swing {
    /// An island that begins at `now` with a frequency.
    pub(super) fn new(step: Span, now: Time, speed: f64) -> Self {
        let (force_w, all) = ((0.0, 0.0), Former::default());
        Self { step, from: now, until: now, speed, next_speed: speed, force_w, all }
    }

    /// The same island, of which it is known already who holds it.
    pub(super) fn held_by(self, all: Former) -> Self {
        Self { all, ..self }
    }

    /// The frequency at `at`, inside the step, as a multiple of the nominal one.
    pub(super) fn speed_at(&self, at: Time) -> f64 {
        if at >= self.until {
            return self.next_speed;
        }
        let (t_s, step_s) = (seconds(self.from, at), seconds(self.from, self.until));
        let mean_w = self.force_w.0 + (self.force_w.1 - self.force_w.0) * (0.5 * t_s / step_s);
        self.speed + mean_w * t_s / self.all.mass_ws
    }

    /// Ends the step at `now` and says what the frequency was when it began and is now.
    pub(super) fn commit(&mut self, now: Time) -> (Time, f64, f64) {
        let begun = (self.from, self.speed);
        let speed = self.speed_at(now);
        *self = Self { from: now, until: now, speed, next_speed: speed, ..*self };
        (begun.0, begun.1, speed)
    }

    /// The end of the step that begins now, unless something changes before.
    pub(super) fn step_end(&self) -> Time {
        let step = self.step.as_nanos();
        Time::from_nanos((self.from.as_nanos() / step).saturating_add(1).saturating_mul(step))
    }

    /// How far an instant lies from the last whole step to the next one, which may be 1 at the end.
    pub(super) fn share_of_step(&self, at: Time) -> f64 {
        let step = self.step.as_nanos();
        let begun = Time::from_nanos(self.from.as_nanos() / step * step);
        seconds(begun, at) / self.step.as_secs_f64()
    }

    /// Whether `at` lies between two whole steps.
    pub(super) fn is_whole(&self, at: Time) -> bool {
        at.as_nanos().is_multiple_of(self.step.as_nanos())
    }

    /// How long a step is.
    pub(super) fn step(&self) -> Span {
        self.step
    }

    /// Begins the step up to `until`, in which the others take so much at its beginning and at its end.
    pub(super) fn plan(&mut self, until: Time, all: Former, taken_w: (f64, f64)) {
        let half_s = 0.5 * seconds(self.from, until);
        let Former { mass_ws, damping_w, drive_w, .. } = all;
        // The trapezoid rule, solved for the change of the deviation: it is linear in it.
        let first_w = drive_w.0 - damping_w * (self.speed - 1.0) - taken_w.0;
        let last_w = drive_w.1 - damping_w * (self.speed - 1.0) - taken_w.1;
        let change = half_s * (first_w + last_w) / (mass_ws + half_s * damping_w);
        self.next_speed = self.speed + change;
        self.force_w = (first_w, last_w - damping_w * change);
        (self.until, self.all) = (until, all);
    }

    /// What a former drives with less its damping, at the beginning and at the end of the step, in W.
    pub(super) fn shaft_w(&self, former: &Former) -> (f64, f64) {
        let damped_w = |drive_w: f64, speed: f64| drive_w - former.damping_w * (speed - 1.0);
        (damped_w(former.drive_w.0, self.speed), damped_w(former.drive_w.1, self.next_speed))
    }

    /// What a former gives to the bus at the beginning and at the end of the step, in W.
    pub(super) fn power_w(&self, former: &Former) -> (f64, f64) {
        let (shaft_w, share) = (self.shaft_w(former), former.mass_ws / self.all.mass_ws);
        (shaft_w.0 - share * self.force_w.0, shaft_w.1 - share * self.force_w.1)
    }

    /// The voltage with so much reactive power taken, as a multiple of the nominal one.
    pub(super) fn voltage_pu(&self, reactive_var: f64) -> f64 {
        if self.all.stiffness_var <= 0.0 {
            return 1.0;
        }
        (1.0 - reactive_var / self.all.stiffness_var).clamp(0.0, 2.0)
    }
}

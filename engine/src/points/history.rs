//! A device's recent power: a ring of (measuring time, power), newest last.
//!
//! A law that adds two measurements must use both at one instant, or it chases its own delayed echo: with the meter 1 s late
//! and unaligned the loop swings for ever. The slower of two measurements sets the instant; the faster one is looked up
//! here, interpolated between the two samples around it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::device::believed;
use crate::carry::Carry;
use crate::time::{LocalTime, Span};

/// Most samples that one device's history keeps.
pub const MAX_HISTORY: usize = 512;

/// One measured power.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    at: LocalTime,
    power_w: f64,
}

/// Recent power of one device, positive into the bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    entries: Vec<Entry>,
    /// Where the newest entry is.
    newest: u16,
    capacity: u16,
}

impl History {
    /// Makes room for samples every `period` that reach back over `reach`; bounded by [`MAX_HISTORY`].
    pub fn new(period: Span, reach: Span) -> Self {
        // Two more than fit, so that there is one on each side of every instant in reach.
        let wanted = reach.whole(period).saturating_add(3).min(MAX_HISTORY as u64);
        Self { entries: Vec::new(), newest: 0, capacity: wanted as u16 }
    }

    /// Adds a sample; one that is not newer than the newest is left out.
    #[inline]
    pub fn push(&mut self, at: LocalTime, power_w: f64) {
        let entry = Entry { at, power_w };
        if let Some(newest) = self.entries.get(self.newest as usize)
            && newest.at >= at
        {
            return;
        }
        if self.entries.len() < self.capacity as usize {
            self.entries.push(entry);
            self.newest = (self.entries.len() - 1) as u16;
        } else {
            self.newest = if self.newest + 1 == self.capacity { 0 } else { self.newest + 1 };
            self.entries[self.newest as usize] = entry;
        }
    }

    /// Passes the newest sample to another host, whose own samples of that time it corrects; where there is none, there has been
    /// none, and the other's own are forgotten.
    pub fn carry_newest(&mut self, carry: &mut Carry<'_>) {
        let newest = self.entries.get(self.newest as usize);
        let mut newest = newest.map(|entry| (entry.at, entry.power_w));
        carry.option(&mut newest, |carry, (at, power_w)| {
            carry.instant(at);
            carry.real(power_w);
        });
        if !carry.restores() {
            return;
        }
        let Some((at, power_w)) = newest else { return self.clear() };
        let power_w = believed(power_w);
        match self.entries.get_mut(self.newest as usize).filter(|own| own.at >= at) {
            Some(own) => own.power_w = power_w,
            None => self.push(at, power_w),
        }
    }

    /// Forgets everything: after a boot, old samples belong to another life.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.newest = 0;
    }

    /// Measuring time of the newest sample.
    #[inline]
    pub fn newest(&self) -> Option<LocalTime> {
        self.entries.get(self.newest as usize).map(|entry| entry.at)
    }

    /// Power of the newest sample, W.
    pub fn newest_power(&self) -> Option<f64> {
        self.entries.get(self.newest as usize).map(|entry| entry.power_w)
    }

    /// The power at `at` in W: interpolated between the samples around it, the nearest sample outside their range.
    #[inline]
    pub fn power_at(&self, at: LocalTime) -> Option<f64> {
        let mut later = *self.entries.get(self.newest as usize)?;
        if later.at <= at {
            return Some(later.power_w);
        }
        for back in 1..self.entries.len() {
            let earlier =
                self.entries[(self.newest as usize + self.entries.len() - back) % self.entries.len()];
            if earlier.at <= at {
                let share =
                    at.since(earlier.at).as_nanos() as f64 / later.at.since(earlier.at).as_nanos() as f64;
                return Some(earlier.power_w + (later.power_w - earlier.power_w) * share);
            }
            later = earlier;
        }
        Some(later.power_w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> LocalTime {
        LocalTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn interpolates_between_samples_and_holds_the_ends() {
        let mut history = History::new(Span::from_millis(100), Span::from_millis(300));
        assert_eq!(history.power_at(at(0)), None);
        for step in 1..=20 {
            history.push(at(step * 100), step as f64 * 10.0);
        }
        assert_eq!(history.newest(), Some(at(2_000)));
        assert_eq!(history.power_at(at(2_500)), Some(200.0));
        assert_eq!(history.power_at(at(1_950)), Some(195.0));
        assert_eq!(history.power_at(at(1_700)), Some(170.0));
        // Six samples are kept, the oldest of 1.5 s: what is older is answered with it.
        assert_eq!(history.power_at(at(100)), Some(150.0));
    }

    #[test]
    fn who_takes_over_has_the_newest_sample_of_the_other_or_none_if_that_has_none() {
        let taken = |from: &History, own: &History| {
            let mut memory = Vec::new();
            from.clone().carry_newest(&mut Carry::saving(at(1_000), &mut memory));
            let mut own = own.clone();
            own.carry_newest(&mut Carry::checking(at(5_000), &memory));
            own.carry_newest(&mut Carry::restoring(at(5_000), &memory));
            own
        };
        let none = History::new(Span::from_millis(100), Span::ZERO);
        let (mut active, mut standby) = (none.clone(), none.clone());
        active.push(at(900), 7.0);
        standby.push(at(4_800), 2.0);
        standby.push(at(4_900), 3.0);
        let corrected = taken(&active, &standby);
        assert_eq!((corrected.power_at(at(4_800)), corrected.power_at(at(4_900))), (Some(2.0), Some(7.0)));
        assert_eq!(taken(&active, &none).power_at(at(4_900)), Some(7.0));
        assert_eq!(taken(&none, &standby), none, "the active never had one");
    }

    #[test]
    fn a_sample_that_is_not_newer_is_left_out() {
        let mut history = History::new(Span::from_millis(100), Span::ZERO);
        history.push(at(200), 1.0);
        history.push(at(200), 2.0);
        history.push(at(100), 3.0);
        assert_eq!(history.power_at(at(500)), Some(1.0));
    }
}

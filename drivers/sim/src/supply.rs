//! What held a bus and how well: the extremes of its voltage and frequency, and how long it was an island or dead.
//!
//! What a bus reads while nothing holds it is no extreme, but how long that was is told. A voltage that collapses, since a
//! grid cannot carry what flows, is one of 0. Both are looked at where segments begin and end, as expectations do.

use r_ems_engine::{Span, Time};

use crate::plant::{Bus, BusMode};

/// The lowest and the highest of a value, and when each was first reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lowest, and when.
    pub low: (f64, Time),
    /// The highest, and when.
    pub high: (f64, Time),
}

/// Keeps what held one bus.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    voltage_pu: Option<Range>,
    frequency_hz: Option<Range>,
    island: Span,
    dead: Span,
    /// Whether a grid was seen that gives the same values for ever: to look again is only work.
    has_seen_stiff: bool,
}

impl Supply {
    /// The extremes of the voltage, as multiples of the nominal one; none if nothing ever held it.
    pub fn voltage_pu(&self) -> Option<Range> {
        self.voltage_pu
    }

    /// The extremes of the frequency, in Hz; none if nothing ever held it.
    pub fn frequency_hz(&self) -> Option<Range> {
        self.frequency_hz
    }

    /// How long formers on the bus itself held it.
    pub fn island(&self) -> Span {
        self.island
    }

    /// How long nothing held it.
    pub fn dead(&self) -> Span {
        self.dead
    }

    /// Sees a segment of a bus, which stands at its end.
    #[inline]
    pub(crate) fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        match bus.mode() {
            BusMode::Grid if bus.connection().is_stiff() => {
                if core::mem::replace(&mut self.has_seen_stiff, true) {
                    return;
                }
            }
            BusMode::Grid => {}
            BusMode::Island => self.island += to.since(from),
            BusMode::Dead => {
                self.dead += to.since(from);
                return;
            }
        }
        let (start, end) = bus.electrical();
        for (seen, at) in [(start, from), (end, to)] {
            Range::widen(&mut self.voltage_pu, seen.voltage_pu, at);
            Range::widen(&mut self.frequency_hz, seen.frequency_hz, at);
        }
    }
}

impl Range {
    fn widen(range: &mut Option<Self>, value: f64, at: Time) {
        let known = range.get_or_insert(Self { low: (value, at), high: (value, at) });
        if value < known.low.0 {
            known.low = (value, at);
        }
        if value > known.high.0 {
            known.high = (value, at);
        }
    }
}

//! What held a bus and how well: the extremes of its voltage and frequency, and how long it was an island or dead.
//!
//! What a bus reads while nothing holds it is no extreme, but how long that was is told. A voltage that collapses, since a
//! grid cannot carry what flows, is one of 0. Both are looked at where segments begin and end, as expectations do. Of a bus that
//! open ties divide, the extremes are those of all its parts, and it counts as an island, and as dead, while one of them is.

use r_ems_engine::{Span, Time};

use crate::plant::{Bus, BusMode, SectionIndex};

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

    /// How long formers on the bus itself held it, or a part of it.
    pub fn island(&self) -> Span {
        self.island
    }

    /// How long nothing held it, or a part of it.
    pub fn dead(&self) -> Span {
        self.dead
    }

    /// Sees a segment of a bus, which stands at its end.
    #[inline]
    pub(crate) fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let Some(mode) = bus.whole() else { return self.parts(bus, from, to) };
        self.add(mode, to.since(from));
        let is_known = self.has_seen_stiff && mode == BusMode::Grid && bus.connection().is_stiff();
        if !is_known {
            self.look(bus, (SectionIndex::MAIN, mode), from, to);
        }
    }

    /// Sees a segment of a bus that is divided: it is an island, and dead, as long as a part of it is.
    fn parts(&mut self, bus: &Bus, from: Time, to: Time) {
        let held = || bus.areas().map(|area| (area, bus.mode_in(area)));
        for mode in [BusMode::Island, BusMode::Dead] {
            if held().any(|(_, held)| held == mode) {
                self.add(mode, to.since(from));
            }
        }
        for area in held() {
            self.look(bus, area, from, to);
        }
    }

    #[inline]
    fn add(&mut self, mode: BusMode, lasted: Span) {
        match mode {
            BusMode::Grid => {}
            BusMode::Island => self.island += lasted,
            BusMode::Dead => self.dead += lasted,
        }
    }

    /// Looks at the voltage and the frequency of an area that is held.
    fn look(&mut self, bus: &Bus, (area, mode): (SectionIndex, BusMode), from: Time, to: Time) {
        match mode {
            BusMode::Grid => self.has_seen_stiff = bus.connection().is_stiff(),
            BusMode::Island => {}
            BusMode::Dead => return,
        }
        let (start, end) = bus.electrical_in(area);
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

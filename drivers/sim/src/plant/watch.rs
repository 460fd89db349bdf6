//! What looks at the plant while it moves: ledgers, summaries, expectations.

use r_ems_engine::Time;

use super::{Bus, ComponentIndex};

/// Sees every integrated segment of a bus, in order.
pub trait Watch {
    /// Called after each segment: the components' flows are those of `from` to `to`, the bus stands at `to`.
    fn segment(&mut self, bus: &Bus, from: Time, to: Time);

    /// Called when the power of a component jumps at `at`, in W, positive into the bus. The connection, which balances
    /// the others, comes last.
    fn step(&mut self, bus: &Bus, at: Time, component: ComponentIndex, before_w: f64, after_w: f64) {
        let _ = (bus, at, component, before_w, after_w);
    }
}

/// Looks at nothing.
impl Watch for () {
    fn segment(&mut self, _bus: &Bus, _from: Time, _to: Time) {}
}

impl<W: Watch> Watch for &mut W {
    #[inline]
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        (**self).segment(bus, from, to);
    }

    fn step(&mut self, bus: &Bus, at: Time, component: ComponentIndex, before_w: f64, after_w: f64) {
        (**self).step(bus, at, component, before_w, after_w);
    }
}

/// The first looks first.
impl<A: Watch, B: Watch> Watch for (A, B) {
    #[inline]
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        self.0.segment(bus, from, to);
        self.1.segment(bus, from, to);
    }

    fn step(&mut self, bus: &Bus, at: Time, component: ComponentIndex, before_w: f64, after_w: f64) {
        self.0.step(bus, at, component, before_w, after_w);
        self.1.step(bus, at, component, before_w, after_w);
    }
}

//! What the summary of a run says about peaks, shaving and batteries.
//!
//! Peaks are mean imports over windows of a quarter of an hour, as a meter registers them, once as they were and once as
//! they would have been without batteries (load and photovoltaics of the same run). Shaved energy is what lay above the
//! limit without batteries less what lay above it with them.
//!
//! Powers are taken as straight between the ends of a segment. For loads and photovoltaics that is exact; for a moving
//! battery it is a chord over one scan at most. Energies that need to be exact are the ledger's.

use alloc::vec::Vec;

use r_ems_engine::units::Watts;
use r_ems_engine::{Span, Time};

use crate::bill::Bill;
use crate::plant::{Bus, Component, ComponentIndex, Watch};

/// The window that grid fees are measured over in most of Europe.
pub const PEAK_WINDOW: Span = Span::from_mins(15);

/// The highest mean of a window, and when that window began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// Mean import, in W.
    pub mean_w: f64,
    /// The window's beginning.
    pub from: Time,
}

/// What one battery went through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatteryUse {
    /// Which battery.
    pub component: ComponentIndex,
    /// Discharged energy by capacity.
    pub cycles: f64,
    /// Lowest state of charge, 0 to 1, and when.
    pub soc_min: (f64, Time),
    /// Highest state of charge, 0 to 1, and when.
    pub soc_max: (f64, Time),
}

/// Keeps the numbers of a summary for one bus.
#[derive(Clone, Debug)]
pub struct Account {
    /// When the first window ends.
    window_ends: Time,
    /// When the window that is open began.
    window_began: Time,
    limit_w: Option<f64>,
    with: Register,
    without: Register,
    batteries: Vec<BatteryUse>,
    passed: Span,
    bill: Option<Bill>,
}

/// One of the two imports: energy of the open window and of the excess, in J.
#[derive(Clone, Copy, Debug, Default)]
struct Register {
    window_j: f64,
    excess_j: f64,
    peak: Peak,
}

/// A straight piece of power.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) start_w: f64,
    pub(crate) end_w: f64,
    pub(crate) span_s: f64,
}

impl Account {
    /// Opens the account of `bus` as it stands.
    ///
    /// # Units     first_window_ends: the first instant at which a window ends, such as the next full quarter of the local
    ///   hour; limit: the import above which energy counts as excess
    pub fn new(bus: &Bus, first_window_ends: Time, limit: Option<Watts>) -> Self {
        let now = bus.now();
        let batteries = bus
            .components()
            .iter()
            .enumerate()
            .filter_map(|(index, component)| match component {
                Component::Battery(battery) => Some(BatteryUse {
                    component: ComponentIndex(index as u16),
                    cycles: 0.0,
                    soc_min: (battery.soc(), now),
                    soc_max: (battery.soc(), now),
                }),
                Component::Connection(_) | Component::Load(_) | Component::Pv(_) => None,
            })
            .collect();
        Self {
            window_ends: first_window_ends.max(now + Span::from_nanos(1)),
            window_began: now,
            limit_w: limit.map(Watts::watts),
            with: Register::default(),
            without: Register::default(),
            batteries,
            passed: Span::ZERO,
            bill: None,
        }
    }

    /// Also keeps a bill, from now on.
    pub(crate) fn keep_bill(&mut self, bill: Bill) {
        self.bill = Some(bill);
    }

    /// What the exchanged energy costs; none without prices.
    pub fn bill(&self) -> Option<&Bill> {
        self.bill.as_ref()
    }

    /// The highest mean import of a whole window, with batteries. A window that began before the run or has not ended
    /// does not count.
    pub fn peak(&self) -> Peak {
        self.with.peak
    }

    /// The same without batteries.
    pub fn peak_without_batteries(&self) -> Peak {
        self.without.peak
    }

    /// Energy above the limit without batteries less energy above it with them, in Wh; none without a limit.
    pub fn shaved_wh(&self) -> Option<f64> {
        self.limit_w.map(|_| (self.without.excess_j - self.with.excess_j) / 3_600.0)
    }

    /// Energy above the limit with batteries, in Wh; none without a limit.
    pub fn excess_wh(&self) -> Option<f64> {
        self.limit_w.map(|_| self.with.excess_j / 3_600.0)
    }

    /// What each battery went through, in the order of the bus.
    pub fn batteries(&self) -> &[BatteryUse] {
        &self.batteries
    }

    /// How long the account has been kept.
    pub fn passed(&self) -> Span {
        self.passed
    }

    /// Books a straight piece that lies in one window.
    fn book(&mut self, with: Piece, without: Piece) {
        for (register, piece) in [(&mut self.with, with), (&mut self.without, without)] {
            register.window_j += piece.above_j(0.0);
            if let Some(limit_w) = self.limit_w {
                register.excess_j += piece.above_j(limit_w);
            }
        }
    }

    /// Ends the open window and opens the next one.
    fn close_window(&mut self) {
        let length = self.window_ends.since(self.window_began);
        for register in [&mut self.with, &mut self.without] {
            let mean_w = register.window_j / length.as_secs_f64();
            if length == PEAK_WINDOW && mean_w > register.peak.mean_w {
                register.peak = Peak { mean_w, from: self.window_began };
            }
            register.window_j = 0.0;
        }
        self.window_began = self.window_ends;
        self.window_ends += PEAK_WINDOW;
    }
}

impl Watch for Account {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let (mut start_w, mut end_w) = bus.components()[usize::from(bus.connection_index().0)].ends_w();
        let mut with = Piece { start_w, end_w, span_s: to.since(from).as_secs_f64() };
        let mut number = 0;
        for component in bus.components() {
            let Component::Battery(battery) = component else { continue };
            let flow = battery.flow();
            start_w += flow.start_w;
            end_w += flow.end_w;
            let (used, soc) = (&mut self.batteries[number], battery.soc());
            used.cycles += flow.discharge_wh / battery.spec().capacity.watt_hours();
            if soc < used.soc_min.0 {
                used.soc_min = (soc, to);
            }
            if soc > used.soc_max.0 {
                used.soc_max = (soc, to);
            }
            number += 1;
        }
        let mut without = Piece { start_w, end_w, ..with };
        if let Some(bill) = &mut self.bill {
            bill.book(bus.connection().flow(), (with, without), from, to);
        }
        self.passed += to.since(from);
        let mut begun = from;
        while self.window_ends <= to {
            let head_s = self.window_ends.since(begun).as_secs_f64();
            let (with_head, with_tail) = with.cut(head_s);
            let (without_head, without_tail) = without.cut(head_s);
            self.book(with_head, without_head);
            (with, without, begun) = (with_tail, without_tail, self.window_ends);
            self.close_window();
        }
        self.book(with, without);
    }
}

impl Piece {
    /// The energy above `bound_w`, in J.
    #[inline]
    pub(crate) fn above_j(self, bound_w: f64) -> f64 {
        let (first_w, last_w) = (self.start_w - bound_w, self.end_w - bound_w);
        if first_w <= 0.0 && last_w <= 0.0 {
            return 0.0;
        }
        if first_w >= 0.0 && last_w >= 0.0 {
            return 0.5 * (first_w + last_w) * self.span_s;
        }
        // A triangle: the positive end's height, and the share of the piece on its side of the crossing.
        let high_w = if first_w > last_w { first_w } else { last_w };
        0.5 * high_w * self.span_s * high_w / (first_w - last_w).abs()
    }

    /// The first `head_s` seconds, and the rest.
    pub(crate) fn cut(self, head_s: f64) -> (Self, Self) {
        let share = if self.span_s > 0.0 { head_s / self.span_s } else { 0.0 };
        let middle_w = self.start_w + share * (self.end_w - self.start_w);
        (
            Self { end_w: middle_w, span_s: head_s, ..self },
            Self { start_w: middle_w, span_s: self.span_s - head_s, ..self },
        )
    }
}

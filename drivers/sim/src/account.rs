//! What the summary of a run says about peaks, shaving, sunshine and batteries.
//!
//! Peaks are mean imports over windows of a quarter of an hour, as a meter registers them, once as they were and once as
//! they would have been without batteries (load and photovoltaics of the same run). Shaved energy is what lay above the
//! limit without batteries less what lay above it with them. Sunshine is used where a load or a battery takes it at the same
//! time; what a battery exports later was used all the same.
//!
//! All integrals are exact: straight lines, and the exponentials of moving batteries in closed form between crossings that
//! are found to a tenth of a nanosecond.

use alloc::vec::Vec;

use r_ems_engine::units::Watts;
use r_ems_engine::{Span, Time};

use crate::bill::Bill;
use crate::plant::{
    Above, Battery, Bus, BusMode, Component, ComponentIndex, ConnectionFlow, Decay, Genset,
    JOULES_PER_WATT_HOUR, Motion, WATT_HOURS_PER_JOULE, Watch,
};
use crate::supply::Supply;

/// The window that grid fees are measured over in most of Europe.
pub const PEAK_WINDOW: Span = Span::from_mins(15);

/// The highest mean of a window, and when that window began.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// What one genset went through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GensetUse {
    /// Which genset.
    pub component: ComponentIndex,
    /// Energy given to the bus, in Wh.
    pub generated_wh: f64,
    /// How often its engine was started.
    pub starts: u32,
    /// How long its engine ran, in h.
    pub hours: f64,
    /// How much fuel it took, in l.
    pub fuel_l: f64,
}

/// How long and by how much the connection was above its rating.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overload {
    /// How long, in s.
    pub span_s: f64,
    /// Energy above the rating, in Wh.
    pub energy_wh: f64,
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
    overload: Overload,
    pv_used_wh: f64,
    batteries: Vec<BatteryUse>,
    gensets: Vec<GensetUse>,
    supply: Supply,
    /// What dies away while batteries charge; kept for its memory.
    charging: Vec<Decay>,
    passed: Span,
    bill: Option<Bill>,
}

/// One of the two imports: energy of the open window and of the excess, in J.
#[derive(Clone, Copy, Debug, Default)]
struct Register {
    window_j: f64,
    excess_j: f64,
    peak: Option<Peak>,
}

/// What all components but the connection did in a segment: those of islands, whose exchange with the grid is none, apart.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Power of the batteries at both ends, in W.
    batteries_w: (f64, f64),
    made_wh: f64,
    /// By plants on islands, in Wh, which is all used there.
    made_on_islands_wh: f64,
    discharged_wh: f64,
    /// By gensets, in Wh.
    generated_wh: f64,
    /// The straight part of the charging power at both ends, in W, zero or less.
    charging_w: (f64, f64),
}

impl Account {
    /// Opens the account of `bus` as it stands.
    ///
    /// # Units     first_window_ends: the first instant at which a window ends, such as the next full quarter of the local
    ///   hour; limit: the import above which energy counts as excess
    pub fn new(bus: &Bus, first_window_ends: Time, limit: Option<Watts>) -> Self {
        let now = bus.now();
        let (mut batteries, mut gensets) = (Vec::new(), Vec::new());
        for (index, component) in bus.components().iter().enumerate() {
            let index = ComponentIndex(index as u16);
            match component {
                Component::Battery(battery) => batteries.push(BatteryUse::begun(index, battery, now)),
                Component::Genset(_) => gensets.push(GensetUse::begun(index)),
                Component::Connection(_)
                | Component::Load(_)
                | Component::Pv(_)
                | Component::Receiver(_)
                | Component::Tie(_) => {}
            }
        }
        Self {
            window_ends: first_window_ends.max(now + Span::from_nanos(1)),
            window_began: now,
            limit_w: limit.map(Watts::watts),
            with: Register::default(),
            without: Register::default(),
            overload: Overload::default(),
            pv_used_wh: 0.0,
            charging: Vec::with_capacity(bus.components().len()),
            batteries,
            gensets,
            supply: Supply::default(),
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
    /// does not count; `None` without a whole window.
    pub fn peak(&self) -> Option<Peak> {
        self.with.peak
    }

    /// The same without batteries.
    pub fn peak_without_batteries(&self) -> Option<Peak> {
        self.without.peak
    }

    /// Energy above the limit without batteries less energy above it with them, in Wh; none without a limit.
    pub fn shaved_wh(&self) -> Option<f64> {
        self.limit_w.map(|_| (self.without.excess_j - self.with.excess_j) / JOULES_PER_WATT_HOUR)
    }

    /// Energy above the limit with batteries, in Wh; none without a limit.
    pub fn excess_wh(&self) -> Option<f64> {
        self.limit_w.map(|_| self.with.excess_j / JOULES_PER_WATT_HOUR)
    }

    /// What loads and batteries took of the photovoltaic energy while it was made, in Wh.
    pub fn pv_used_wh(&self) -> f64 {
        self.pv_used_wh
    }

    /// How long and by how much the connection was above its rating.
    pub fn overload(&self) -> Overload {
        self.overload
    }

    /// What each battery went through, in the order of the bus.
    pub fn batteries(&self) -> &[BatteryUse] {
        &self.batteries
    }

    /// What each genset went through, in the order of the bus.
    pub fn gensets(&self) -> &[GensetUse] {
        &self.gensets
    }

    /// What held the bus, and how well.
    pub fn supply(&self) -> &Supply {
        &self.supply
    }

    /// How long the account has been kept.
    pub fn passed(&self) -> Span {
        self.passed
    }

    /// Books a segment that lies in one window; `flow` is that of the connection.
    #[inline]
    fn book(&mut self, flow: &ConnectionFlow, with: &Motion<'_>, without: &Motion<'_>) {
        self.with.window_j += flow.import_wh * JOULES_PER_WATT_HOUR;
        self.without.window_j += without.above(0.0).integral;
        if let Some(limit_w) = self.limit_w {
            if flow.high_w > limit_w {
                self.with.excess_j += with.above(limit_w).integral;
            }
            self.without.excess_j += without.above(limit_w).integral;
        }
    }

    /// Books the part of a segment that lies in one window.
    fn book_part(&mut self, with: &Motion<'_>, without: &Motion<'_>, (from_s, to_s): (f64, f64)) {
        for (register, motion) in [(&mut self.with, with), (&mut self.without, without)] {
            register.window_j += motion.above_within(0.0, from_s, to_s).integral;
            if let Some(limit_w) = self.limit_w {
                register.excess_j += motion.above_within(limit_w, from_s, to_s).integral;
            }
        }
    }

    /// Ends the open window and opens the next one.
    fn close_window(&mut self) {
        let length = self.window_ends.since(self.window_began);
        for register in [&mut self.with, &mut self.without] {
            let mean_w = register.window_j / length.as_secs_f64();
            if length == PEAK_WINDOW && register.peak.is_none_or(|peak| mean_w > peak.mean_w) {
                register.peak = Some(Peak { mean_w, from: self.window_began });
            }
            register.window_j = 0.0;
        }
        self.window_began = self.window_ends;
        self.window_ends += PEAK_WINDOW;
    }

    /// Books what one battery went through.
    #[inline]
    fn battery(&mut self, number: usize, battery: &Battery, at: Time) {
        let (used, flow, soc) = (&mut self.batteries[number], battery.flow(), battery.soc());
        used.cycles += flow.discharge_wh / battery.spec().capacity.watt_hours();
        if soc < used.soc_min.0 {
            used.soc_min = (soc, at);
        }
        if soc > used.soc_max.0 {
            used.soc_max = (soc, at);
        }
    }

    /// Counts what a battery did on the grid; without its formers there would be no island to compare with.
    #[inline]
    fn battery_on_grid(&mut self, battery: &Battery, tally: &mut Tally) {
        let flow = battery.flow();
        tally.batteries_w.0 += flow.start_w;
        tally.batteries_w.1 += flow.end_w;
        tally.discharged_wh += flow.discharge_wh;
        if flow.charge_wh > 0.0 {
            let straight_w = flow.curve.straight();
            tally.charging_w.0 += straight_w.0;
            tally.charging_w.1 += straight_w.1;
            if flow.curve.has_decay() {
                self.charging.push(flow.decay());
            }
        }
    }

    /// Of the photovoltaic energy of a segment, what loads and batteries took at once, in Wh.
    fn pv_used(&self, bus: &Bus, without: &Motion<'_>, tally: &Tally) -> f64 {
        if tally.discharged_wh <= 0.0 {
            // Nothing but the sun can be exported.
            return tally.made_wh - bus.connection().flow().export_wh;
        }
        // What is left over is what is made less what loads and charging batteries take.
        let left_over = Motion {
            straight_start: tally.charging_w.0 - without.straight_start,
            straight_end: tally.charging_w.1 - without.straight_end,
            decays: &self.charging,
            ..*without
        };
        tally.made_wh - left_over.above(0.0).integral * WATT_HOURS_PER_JOULE
    }
}

impl BatteryUse {
    fn begun(component: ComponentIndex, battery: &Battery, now: Time) -> Self {
        let soc = (battery.soc(), now);
        Self { component, cycles: 0.0, soc_min: soc, soc_max: soc }
    }
}

impl GensetUse {
    const fn begun(component: ComponentIndex) -> Self {
        Self { component, generated_wh: 0.0, starts: 0, hours: 0.0, fuel_l: 0.0 }
    }

    #[inline]
    fn add(&mut self, genset: &Genset) {
        self.generated_wh += genset.flow().generated_wh;
        (self.starts, self.hours, self.fuel_l) = genset.wear();
    }
}

impl Watch for Account {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let mut tally = Tally::default();
        let (mut number, mut genset_number) = (0, 0);
        self.charging.clear();
        self.supply.segment(bus, from, to);
        for (index, component) in (0..).map(ComponentIndex).zip(bus.components()) {
            let is_on_island = || bus.mode_at(index) == BusMode::Island;
            match component {
                Component::Battery(battery) => {
                    self.battery(number, battery, to);
                    number += 1;
                    if !is_on_island() {
                        self.battery_on_grid(battery, &mut tally);
                    }
                }
                Component::Pv(pv) if is_on_island() => tally.made_on_islands_wh += pv.flow().made_wh,
                Component::Pv(pv) => tally.made_wh += pv.flow().made_wh,
                Component::Genset(genset) => {
                    if !is_on_island() {
                        tally.generated_wh += genset.flow().generated_wh;
                    }
                    self.gensets[genset_number].add(genset);
                    genset_number += 1;
                }
                Component::Connection(_)
                | Component::Load(_)
                | Component::Receiver(_)
                | Component::Tie(_) => {}
            }
        }
        let connection = bus.connection();
        let (flow, with) = (connection.flow(), bus.exchange());
        let without = Motion {
            straight_start: flow.start_w + tally.batteries_w.0,
            straight_end: flow.end_w + tally.batteries_w.1,
            decays: &[],
            ..with
        };
        if let Some(bill) = &mut self.bill {
            bill.book(flow, (&with, &without), from, to);
        }
        self.pv_used_wh += tally.made_on_islands_wh;
        if tally.made_wh > 0.0 {
            let used_wh = self.pv_used(bus, &without, &tally);
            // What is exported counts as sunshine first, and what is more than that comes from gensets.
            let is_more = tally.generated_wh > 0.0 && used_wh < 0.0;
            self.pv_used_wh += if is_more { 0.0 } else { used_wh };
        }
        let rating_w = connection.import_max().watts();
        if flow.high_w > rating_w {
            let Above { span_s, integral } = with.above(rating_w);
            self.overload.span_s += span_s;
            self.overload.energy_wh += integral * WATT_HOURS_PER_JOULE;
        }
        self.passed += to.since(from);
        if self.window_ends > to {
            self.book(flow, &with, &without);
            return;
        }
        let mut begun_s = 0.0;
        while self.window_ends <= to {
            let end_s = self.window_ends.since(from).as_secs_f64();
            self.book_part(&with, &without, (begun_s, end_s));
            begun_s = end_s;
            self.close_window();
        }
        self.book_part(&with, &without, (begun_s, with.span_s));
    }
}

//! The monitor: watches all expectations of a run at once and ends with their verdicts.
//!
//! It sees every integrated segment of every bus ([`GridWatch`] is a [`Watch`]), every change of a controller's image, and
//! every event that is reported. What it keeps does not grow with the run, nothing is allocated while it watches, and its
//! clone goes on from where it was cloned.
//!
//! It must never change what it watches, and it shares no code with the controllers that it judges. The module above says
//! how time and margins are counted.

use alloc::string::String;
use alloc::vec::Vec;

use r_ems_engine::event::Event;
use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::{Span, Time};

use super::observer::{Finding, Observer, seconds_left, waited_s};
use super::piece::{Course, Piece, Window};
use super::reading;
use super::{Claim, EventFilter, Expectation, Verdict, Watched};
use crate::plant::{Bus, Decay, TruthPoint, Watch};

/// Watches what a run must fulfil.
///
/// Instants must be given in time order, for each grid and for each image by itself.
///
/// ```
/// use r_ems_engine::ids::{ControllerIndex, PointIndex};
/// use r_ems_engine::{Span, Time};
/// use r_ems_sim::expect::{Claim, Comparison, Condition, Expectation, Monitor, Watched};
///
/// let (controller, point) = (ControllerIndex(0), PointIndex(3));
/// let condition = Condition {
///     point: Watched::Image { controller, point },
///     comparison: Comparison::AtMost,
///     value: 220e3,
/// };
/// let claim = Claim::Always { condition, except_for: Span::from_secs(2), total: None };
/// let name = "import stays at the limit".into();
/// let mut monitor = Monitor::new(vec![Expectation { name, from: Time::ZERO, to: Time::MAX, claim }]);
///
/// let at = |seconds| Time::ZERO + Span::from_secs(seconds);
/// monitor.image(at(0), controller, point, 210e3);
/// monitor.image(at(60), controller, point, 231e3); // for 2 s: forgiven
/// monitor.image(at(62), controller, point, 190e3);
///
/// let verdict = &monitor.finish(at(3_600))[0];
/// assert!(verdict.held);
/// assert_eq!((verdict.margin, verdict.value, verdict.at), (10e3, 210e3, at(0)));
/// assert_eq!(verdict.excursions.map(|seen| seen.longest), Some(Span::from_secs(2)));
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    names: Vec<String>,
    /// By grid.
    truths: Vec<Vec<TruthWatch>>,
    images: Vec<ImageWatch>,
    events: Vec<EventWatch>,
}

/// Watches the true values of one grid.
#[derive(Debug)]
pub struct GridWatch<'a> {
    watches: &'a mut [TruthWatch],
}

/// The expectation's place in the order that was given.
type Place = u32;

#[derive(Clone, Debug)]
struct TruthWatch {
    window: Window,
    point: TruthPoint,
    observer: Observer,
    place: Place,
}

#[derive(Clone, Debug)]
struct ImageWatch {
    window: Window,
    controller: ControllerIndex,
    point: PointIndex,
    /// The value that came last.
    shown: Option<f64>,
    /// Up to when all has been looked at.
    since: Time,
    /// How long a value is believed.
    valid_for: Span,
    /// Until when the last value is believed; before the first one the run's start counts as one.
    expires: Time,
    /// How long no value was believed inside the window.
    without_value: Span,
    observer: Observer,
    place: Place,
}

#[derive(Clone, Debug)]
struct EventWatch {
    window: Window,
    /// The position in `Event::KINDS`.
    kind: u8,
    controller: Option<ControllerIndex>,
    wanted: Wanted,
    count: u64,
    first: Option<Time>,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    None,
    SomeUntil(Time),
}

impl Monitor {
    /// Takes what the run must fulfil.
    ///
    /// # Panics
    /// If an expectation names an event kind that does not exist: whoever writes expectations has checked that.
    pub fn new(expectations: Vec<Expectation>) -> Self {
        let mut monitor =
            Self { names: Vec::new(), truths: Vec::new(), images: Vec::new(), events: Vec::new() };
        for Expectation { name, from, to, claim } in expectations {
            let place = monitor.names.len() as Place;
            let window = Window { from, to };
            monitor.names.push(name);
            match claim {
                Claim::Always { condition, except_for, total } => {
                    let observer = Observer::always(condition, except_for, total);
                    monitor.point(place, window, condition.point, observer);
                }
                Claim::Never(condition) => {
                    monitor.point(place, window, condition.point, Observer::never(condition));
                }
                Claim::Eventually { condition, within } => {
                    let observer = Observer::eventually(condition, within);
                    monitor.point(place, window, condition.point, observer);
                }
                Claim::Bounds { point, low, high, peak_to_peak } => {
                    monitor.point(place, window, point, Observer::bounds(low, high, peak_to_peak));
                }
                Claim::NoEvent(filter) => {
                    monitor.events.push(EventWatch::new(place, window, &filter, Wanted::None));
                }
                Claim::SomeEvent { filter, within } => {
                    let wanted = Wanted::SomeUntil((from + within).min(to));
                    monitor.events.push(EventWatch::new(place, window, &filter, wanted));
                }
            }
        }
        monitor
    }

    /// What watches the bus of `grid`, to be handed to it whenever it moves.
    #[inline]
    pub fn watch(&mut self, grid: u16) -> GridWatch<'_> {
        GridWatch { watches: self.truths.get_mut(usize::from(grid)).map_or(&mut [], Vec::as_mut_slice) }
    }

    /// Learns that a controller believes a value of `point` for `span` after its arrival only; otherwise it does for ever.
    pub fn expires(&mut self, controller: ControllerIndex, point: PointIndex, span: Span) {
        for watch in &mut self.images {
            if watch.controller == controller && watch.point == point {
                watch.valid_for = span;
                watch.expires = Time::ZERO + span;
            }
        }
    }

    /// Learns that a controller's image shows `value` from `at` until the next call for the same point, or until it
    /// expires, in our sign and the point's base unit.
    #[inline]
    pub fn image(&mut self, at: Time, controller: ControllerIndex, point: PointIndex, value: f64) {
        for watch in &mut self.images {
            if watch.controller == controller && watch.point == point {
                watch.observe_until(at);
                watch.shown = Some(value);
                watch.expires = at + watch.valid_for;
            }
        }
    }

    /// Learns that a controller believes nothing of `point` from `at` until the next value.
    #[cold]
    pub fn disbelieve(&mut self, at: Time, controller: ControllerIndex, point: PointIndex) {
        for watch in &mut self.images {
            if watch.controller == controller && watch.point == point {
                watch.observe_until(at);
                watch.expires = watch.expires.min(at);
            }
        }
    }

    /// Learns that a controller reported an event of `kind`.
    #[inline]
    pub fn event(&mut self, at: Time, controller: ControllerIndex, kind: &str) {
        if self.events.is_empty() {
            return;
        }
        let Some(kind) = kind_index(kind) else { return };
        for watch in &mut self.events {
            let is_meant = watch.kind == kind && watch.controller.is_none_or(|only| only == controller);
            if is_meant && watch.window.from <= at && at <= watch.window.to {
                watch.count += 1;
                watch.first.get_or_insert(at);
            }
        }
    }

    /// The verdicts if the run ends at `end`, in the order in which the expectations were given.
    ///
    /// The buses stand at `end`; what an image shows holds until then.
    pub fn finish(&mut self, end: Time) -> Vec<Verdict> {
        let mut findings: Vec<(Place, Finding, Span)> = Vec::with_capacity(self.names.len());
        for watch in self.truths.iter().flatten() {
            let finding = watch.observer.finding(watch.window, end);
            findings.push((watch.place, finding.unwrap_or_else(|| unseen(watch.window, end)), Span::ZERO));
        }
        for watch in &mut self.images {
            watch.observe_until(end);
            let finding = watch.observer.finding(watch.window, end);
            let finding = finding.unwrap_or_else(|| unseen(watch.window, end));
            findings.push((watch.place, finding, watch.without_value));
        }
        findings.extend(self.events.iter().map(|watch| (watch.place, watch.finding(end), Span::ZERO)));
        findings.sort_by_key(|(place, ..)| *place);
        let named = self.names.iter().zip(findings);
        named
            .map(|(name, (_, Finding { held, margin, at, value, excursions }, without_value))| Verdict {
                name: name.clone(),
                held,
                margin,
                at,
                value,
                excursions,
                without_value,
            })
            .collect()
    }

    fn point(&mut self, place: Place, window: Window, point: Watched, observer: Observer) {
        match point {
            Watched::Truth { grid, point } => {
                let grid = usize::from(grid);
                if self.truths.len() <= grid {
                    self.truths.resize_with(grid + 1, Vec::new);
                }
                self.truths[grid].push(TruthWatch { window, point, observer, place });
            }
            Watched::Image { controller, point } => {
                self.images.push(ImageWatch {
                    window,
                    controller,
                    point,
                    shown: None,
                    since: Time::ZERO,
                    valid_for: Span::MAX,
                    expires: Time::MAX,
                    without_value: Span::ZERO,
                    observer,
                    place,
                });
            }
        }
    }
}

impl Watch for GridWatch<'_> {
    #[inline]
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        for watch in &mut *self.watches {
            if to < watch.window.from || from > watch.window.to {
                continue;
            }
            if reading::is_curved(bus, watch.point) {
                watch.curve(bus, from, to);
                continue;
            }
            let piece = Piece::straight(reading::ends(bus, watch.point), from, to);
            if let Some(piece) = piece.within(watch.window) {
                watch.observer.observe(piece);
            }
        }
    }
}

impl TruthWatch {
    /// Looks at a segment in which the point was on a curve.
    fn curve(&mut self, bus: &Bus, from: Time, to: Time) {
        let mut parts = [Decay::default(); 2];
        let motion = reading::motion(bus, self.point, to.since(from).as_secs_f64(), &mut parts);
        let (low, high) = motion.bounds();
        if self.observer.ignores(low, high) {
            return;
        }
        let course = Course { motion: &motion, origin: from, ends: reading::ends(bus, self.point) };
        course.pieces(to, self.window, &mut |piece| self.observer.observe(piece));
    }
}

impl ImageWatch {
    /// Looks at what was shown up to `at`, and at whether anything was.
    #[inline]
    fn observe_until(&mut self, at: Time) {
        if at <= self.since {
            return;
        }
        let since = core::mem::replace(&mut self.since, at);
        let believed = at.min(self.expires);
        if let Some(value) = self.shown
            && since < believed
            && let Some(piece) = Piece::flat(value, since, believed).within(self.window)
        {
            self.observer.observe(piece);
        }
        if self.expires < at {
            self.miss(since.max(self.expires), at);
        }
    }

    /// Looks at a time in which no value was believed.
    #[cold]
    fn miss(&mut self, from: Time, to: Time) {
        let Some((from, to)) = self.window.cut(from, to) else { return };
        self.without_value += to.since(from);
        self.observer.miss(self.shown.unwrap_or(0.0), from, to);
    }
}

impl EventWatch {
    fn new(place: Place, window: Window, filter: &EventFilter, wanted: Wanted) -> Self {
        let kind = kind_index(&filter.kind).expect("a scenario's check refuses kinds that no event has");
        Self { window, kind, controller: filter.controller, wanted, count: 0, first: None, place }
    }

    fn finding(&self, end: Time) -> Finding {
        if self.window.from > end {
            return unseen(self.window, end);
        }
        let last = end.min(self.window.to);
        let count = self.count as f64;
        let (held, margin) = match (self.wanted, self.first) {
            (Wanted::None, _) => (self.count == 0, 0.0 - count),
            (Wanted::SomeUntil(deadline), Some(first)) => (first <= deadline, seconds_left(deadline, first)),
            (Wanted::SomeUntil(_), None) => (false, 0.0 - waited_s(self.window, end)),
        };
        Finding { held, margin, at: self.first.unwrap_or(last), value: count, excursions: None }
    }
}

/// What was not seen has not held.
fn unseen(window: Window, end: Time) -> Finding {
    Finding { held: false, margin: 0.0, at: window.from.min(end), value: 0.0, excursions: None }
}

fn kind_index(kind: &str) -> Option<u8> {
    Event::KINDS.iter().position(|known| *known == kind).map(|index| index as u8)
}

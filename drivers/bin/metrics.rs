//! What controllers report, as metrics: typed events counted for Prometheus.
//!
//! Nothing is measured here. Every number is one that a controller reported, or says of itself. Label values are the names of the
//! site file and those of logs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use r_ems_engine::Span;
use r_ems_engine::event::Event;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex, PointIndex};
use r_ems_engine::log::ControllerNames;
use r_ems_engine::math::at_most;
use r_ems_engine::points::{PointKind, Quality};
use r_ems_engine::redundancy::{Epoch, Reason, Role};
use r_ems_engine::timing::{LATENESS_CLASSES, LoopTimingReporter};

/// Upper bounds of buckets of take-overs, in seconds: from a fast council to a device that is only declared to forget.
const TAKE_OVER_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.4, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Upper bounds of buckets of steps in set-points, in watts: from a sensor's noise to a whole plant.
const STEP_BUCKETS: [f64; 9] = [0.0, 10.0, 100.0, 1e3, 1e4, 3e4, 1e5, 3e5, 1e6];
/// Upper bounds of buckets of how old the state is with which a controller takes over, in seconds.
const AGE_BUCKETS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0];

/// Names and values that tell a series from others of its family.
type Labels = Vec<(&'static str, String)>;

/// A histogram with fixed buckets.
#[derive(Clone, Copy, Debug)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Distribution = Family<Labels, Histogram, Buckets>;

/// The metrics of a fleet.
pub struct Metrics {
    registry: Registry,
    controllers: Vec<ControllerNames>,
    /// By controller and point: whether it can be used.
    usable: Vec<Vec<bool>>,
    /// By controller: how long it asked for its last authority.
    sought: Vec<Span>,
    events: Family<Labels, Counter>,
    roles: Family<Labels, Gauge>,
    epoch: Family<Labels, Gauge>,
    boots: Family<Labels, Counter>,
    missed: Family<Labels, Counter>,
    lateness: Lateness,
    take_overs: Family<Labels, Counter>,
    detection: Distribution,
    acting: Distribution,
    step: Distribution,
    state_age: Distribution,
    unusable: Family<Labels, Gauge>,
    local: Family<Labels, Gauge>,
    fault: Family<Labels, Gauge>,
    unanswered: Family<Labels, Counter>,
    write_failures: Family<Labels, Counter>,
    snapshots: Family<Labels, Counter>,
    snapshots_failed: Family<Labels, Counter>,
    journal_degraded: Family<Labels, Gauge>,
}

impl Metrics {
    /// Makes the metrics of these controllers. What is rare and matters begins at 0, so that its first time is an increase; other
    /// series begin with the first thing that they count.
    pub fn new(controllers: &[ControllerNames]) -> Self {
        let distribution = |buckets| Distribution::new_with_constructor(Buckets(buckets));
        let usable = |names: &ControllerNames| {
            vec![false; names.devices.iter().map(|device| device.points.len()).sum()]
        };
        let mut metrics = Self {
            registry: Registry::with_prefix("r_ems"),
            controllers: controllers.to_vec(),
            usable: controllers.iter().map(usable).collect(),
            sought: vec![Span::ZERO; controllers.len()],
            events: Family::default(),
            roles: Family::default(),
            epoch: Family::default(),
            boots: Family::default(),
            missed: Family::default(),
            lateness: Lateness::default(),
            take_overs: Family::default(),
            detection: distribution(&TAKE_OVER_BUCKETS),
            acting: distribution(&TAKE_OVER_BUCKETS),
            step: distribution(&STEP_BUCKETS),
            state_age: distribution(&AGE_BUCKETS),
            unusable: Family::default(),
            local: Family::default(),
            fault: Family::default(),
            unanswered: Family::default(),
            write_failures: Family::default(),
            snapshots: Family::default(),
            snapshots_failed: Family::default(),
            journal_degraded: Family::default(),
        };
        metrics.register();
        metrics.begin_rare();
        metrics
    }

    fn begin_rare(&self) {
        for names in &self.controllers {
            for counter in [&self.missed, &self.snapshots_failed] {
                counter.get_or_create(&labels(names)).inc_by(0);
            }
            for reason in Reason::ALL {
                self.take_overs.get_or_create(&labels_with(names, "reason", reason.name())).inc_by(0);
            }
            for device in names.devices.iter().filter(|device| device.class.is_controlled()) {
                self.write_failures.get_or_create(&labels_with(names, "device", &device.name)).inc_by(0);
            }
        }
    }

    fn register(&mut self) {
        let watts = || Unit::Other("watts".to_owned());
        let registry = &mut self.registry;
        registry.register("events", "Events by kind", self.events.clone());
        registry.register("role", "1 for the role that the controller has", self.roles.clone());
        registry.register(
            "epoch",
            "Round of the epoch that is held, or the highest known",
            self.epoch.clone(),
        );
        registry.register("boots", "Lives that the controller began", self.boots.clone());
        registry.register("scans_missed", "Scans that were missed", self.missed.clone());
        registry.register_collector(Box::new(self.lateness.clone()));
        registry.register("take_overs", "Take-overs by reason", self.take_overs.clone());
        let help = "How long no active had been heard when authority was first asked for";
        registry.register_with_unit("take_over_detection", help, Unit::Seconds, self.detection.clone());
        let help =
            "How long after authority was first asked for the first set-points of a take-over were out";
        registry.register_with_unit("take_over_acting", help, Unit::Seconds, self.acting.clone());
        let help = "Step in the set-points of all devices at a take-over";
        registry.register_with_unit("take_over_step", help, watts(), self.step.clone());
        let help = "How old the state was with which a controller took over";
        registry.register_with_unit("take_over_state_age", help, Unit::Seconds, self.state_age.clone());
        registry.register("points_unusable", "Points that are not good", self.unusable.clone());
        let help = "1 while the device is controlled at its panel";
        registry.register("device_local", help, self.local.clone());
        let help = "1 while the device says that it is in fault";
        registry.register("device_fault", help, self.fault.clone());
        registry.register(
            "polls_unanswered",
            "Polls without an answer, for whatever reason",
            self.unanswered.clone(),
        );
        registry.register("write_failures", "Times that writes began to fail", self.write_failures.clone());
        registry.register("snapshots", "States that became durable", self.snapshots.clone());
        let help = "States that did not become durable";
        registry.register("snapshots_failed", help, self.snapshots_failed.clone());
        let help = "1 while the journal cannot be kept";
        registry.register("journal_degraded", help, self.journal_degraded.clone());
    }

    /// The same, and what `more` has to tell at each scrape.
    #[must_use]
    pub fn with(mut self, more: impl Collector) -> Self {
        self.registry.register_collector(Box::new(more));
        self
    }

    /// Counts what a controller reports.
    pub fn note(&mut self, from: ControllerIndex, event: &Event) {
        let Some(names) = self.controllers.get(from.position()) else { return };
        let who = || labels(names);
        let with = |name: &'static str, value: &str| labels_with(names, name, value);
        let of_device = |device: DeviceIndex| with("device", device_name(names, device));
        self.events.get_or_create(&with("event", event.kind())).inc();
        match event {
            Event::Booted { .. } => self.begins(from),
            Event::ScansMissed { count, .. } => {
                self.missed.get_or_create(&who()).inc_by(u64::from(*count));
            }
            Event::TookOver { .. } | Event::SetPointsTakenOver { .. } => self.take_over(from, event),
            Event::QualityChanged { point, quality } => self.judged(from, *point, *quality),
            Event::WriteFailed { device, .. } => {
                self.write_failures.get_or_create(&of_device(*device)).inc();
            }
            Event::DeviceLocal { device } => mark(&self.local, &of_device(*device), true),
            Event::DeviceRemote { device } => mark(&self.local, &of_device(*device), false),
            Event::DeviceFault { device } => mark(&self.fault, &of_device(*device), true),
            Event::DeviceRecovered { device } => mark(&self.fault, &of_device(*device), false),
            Event::SnapshotTaken { .. } => {
                self.snapshots.get_or_create(&who()).inc();
            }
            Event::SnapshotFailed => {
                self.snapshots_failed.get_or_create(&who()).inc();
            }
            Event::JournalDegraded { .. } | Event::JournalRestored { .. } => {
                let is_degraded = matches!(event, Event::JournalDegraded { .. });
                self.journal_degraded.get_or_create(&who()).set(i64::from(is_degraded));
            }
            Event::Started { .. }
            | Event::RoleChanged { .. }
            | Event::FunctionLost { .. }
            | Event::FunctionReturned { .. }
            | Event::ShortfallBegan { .. }
            | Event::ShortfallEnded { .. }
            | Event::WritesSucceed { .. }
            | Event::WriteBudgetUsedUp { .. }
            | Event::WriteBudgetRenewed { .. }
            | Event::ModelsFound { .. }
            | Event::ModelsMissing { .. }
            | Event::IdentityFound { .. }
            | Event::IdentityDiffers { .. }
            | Event::HeartbeatFailed { .. }
            | Event::HeartbeatsSucceed { .. }
            | Event::DeviceLimited { .. }
            | Event::DeviceFollows { .. }
            | Event::StateTaken { .. }
            | Event::StateRefused { .. }
            | Event::AuthoritiesOverlapped { .. }
            | Event::SectionDiffers { .. }
            | Event::PeerSilent { .. }
            | Event::PeerHeard { .. }
            | Event::CommandRefused { .. }
            | Event::StateRecovered { .. }
            | Event::MemoryCarried { .. }
            | Event::MemoryNotCarried { .. }
            | Event::WallClockSet { .. }
            | Event::StopBegan
            | Event::Stopped { .. }
            | Event::ManualBegan { .. }
            | Event::ManualEnded { .. }
            | Event::EmergencyStopBegan
            | Event::EmergencyStopEnded
            | Event::OperationChanged { .. }
            | Event::Islanded
            | Event::Rejoined
            | Event::BlackedOut
            | Event::Energized
            | Event::SignSuspect { .. } => {}
        }
    }

    /// Counts the points of a device that are not usable.
    fn judged(&mut self, from: ControllerIndex, point: PointIndex, quality: Quality) {
        let names = &self.controllers[from.position()];
        let (name, _kind) = names.point(point).unwrap_or(("unknown", PointKind::Power));
        let is_good = quality == Quality::Good;
        let usable = self.usable[from.position()].get_mut(point.position());
        let change = usable.map_or(0, |usable| i64::from(std::mem::replace(usable, is_good)));
        let of_device = self.unusable.get_or_create(&labels_with(names, "device", name));
        of_device.inc_by(change - i64::from(is_good));
    }

    /// Counts a take-over, and how long it took to notice and to act: they part where authority was first asked for.
    fn take_over(&mut self, from: ControllerIndex, event: &Event) {
        let names = &self.controllers[from.position()];
        let who = labels(names);
        if let Event::TookOver { reason, silent, sought, .. } = event {
            self.take_overs.get_or_create(&labels_with(names, "reason", reason.name())).inc();
            if reason.is_noticed() {
                self.detection.get_or_create(&who).observe((*silent - *sought).as_secs_f64());
            }
            self.sought[from.position()] = *sought;
        }
        if let Event::SetPointsTakenOver { step, after, state_age } = event {
            let acted = self.sought[from.position()] + *after;
            self.acting.get_or_create(&who).observe(acted.as_secs_f64());
            self.step.get_or_create(&who).observe(step.watts());
            if let Some(age) = state_age {
                self.state_age.get_or_create(&who).observe(age.as_secs_f64());
            }
        }
    }

    /// A controller begins a life: until it reports them, its points are unknown.
    fn begins(&mut self, from: ControllerIndex) {
        let names = &self.controllers[from.position()];
        self.boots.get_or_create(&labels(names)).inc();
        self.journal_degraded.get_or_create(&labels(names)).set(0);
        self.usable[from.position()].fill(false);
        for device in &names.devices {
            let points = i64::try_from(device.points.len()).unwrap_or(i64::MAX);
            let of_device = labels_with(names, "device", &device.name);
            self.unusable.get_or_create(&of_device).set(points);
            if device.class.is_controlled() {
                // It says anew that it is so, once it is known.
                self.local.get_or_create(&of_device).set(0);
                self.fault.get_or_create(&of_device).set(0);
            }
        }
    }

    /// Says how many polls a device of a controller has left unanswered by now.
    pub fn has_unanswered(&self, who: &ControllerNames, device: &str, polls: u64) {
        let counter = self.unanswered.get_or_create(&labels_with(who, "device", device));
        counter.inner().store(polls, Ordering::Relaxed);
    }

    /// Says what a controller is now: its role by name, none of the known ones where it does not run, the epoch that it holds or
    /// the highest that it knows, and how late all its scans were.
    pub fn is_now(&self, who: &ControllerNames, role: &str, epoch: Epoch, timing: &LoopTimingReporter) {
        self.lateness.is_now(who, timing);
        self.epoch.get_or_create(&labels(who)).set(i64::from(epoch.round));
        for possible in Role::ALL.map(Role::name) {
            let of_role = self.roles.get_or_create(&labels_with(who, "role", possible));
            of_role.set(i64::from(possible == role));
        }
    }
}

/// How late all scans were, as controllers said last.
#[derive(Clone, Debug, Default)]
struct Lateness(Arc<Mutex<BTreeMap<Labels, LoopTimingReporter>>>);

impl Lateness {
    fn is_now(&self, who: &ControllerNames, timing: &LoopTimingReporter) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(labels(who), timing.clone());
    }
}

impl Collector for Lateness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return Ok(());
        }
        let help = "How late scans were, all of them; the sum is what it is at the most, if each was as late as its class allows";
        let unit = Unit::Seconds;
        let mut family =
            encoder.encode_descriptor("scan_lateness", help, Some(&unit), MetricType::Histogram)?;
        for (labels, timing) in known.iter() {
            let end = |(class, count): (usize, &u64)| (class_end_s(class), *count);
            let buckets: Vec<(f64, u64)> = timing.classes().iter().enumerate().map(end).collect();
            let worst_s = timing.worst().as_secs_f64();
            let at_most_s = |(end, count): &(f64, u64)| at_most(*end, worst_s) * *count as f64;
            let sum_s: f64 = buckets.iter().map(at_most_s).sum();
            let mut encoder = family.encode_family(labels)?;
            encoder.encode_histogram::<NoLabelSet>(sum_s, timing.scans(), &buckets, None)?;
        }
        Ok(())
    }
}

/// Where a class of lateness ends, in seconds: the first at 1 us, each further one at twice as much, the last nowhere.
fn class_end_s(class: usize) -> f64 {
    if class + 1 == LATENESS_CLASSES { f64::INFINITY } else { Span::from_micros(1 << class).as_secs_f64() }
}

/// Says whether something is so.
fn mark(gauge: &Family<Labels, Gauge>, labels: &Labels, is_so: bool) {
    gauge.get_or_create(labels).set(i64::from(is_so));
}

/// The labels of a controller.
fn labels(who: &ControllerNames) -> Labels {
    vec![("grid", who.grid.clone()), ("controller", who.id.clone())]
}

/// A device by name.
fn device_name(names: &ControllerNames, device: DeviceIndex) -> &str {
    names.devices.get(device.position()).map_or("unknown", |known| known.name.as_str())
}

/// The labels of a controller and one more.
fn labels_with(who: &ControllerNames, name: &'static str, value: &str) -> Labels {
    let mut labels = labels(who);
    labels.push((name, value.to_owned()));
    labels
}

impl fmt::Display for Metrics {
    /// Writes them in Prometheus' text format, version 0.0.4.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        prometheus_text::encode(f, &self.registry)
    }
}

#[cfg(test)]
mod tests {
    use r_ems_engine::timing::ScanTurn;

    use super::*;

    #[test]
    fn the_lateness_of_every_scan_is_told_also_where_none_was_missed() {
        let who = ControllerNames {
            grid: "commerce".to_owned(),
            id: "a".to_owned(),
            devices: Vec::new(),
            functions: Vec::new(),
        };
        let mut timing = LoopTimingReporter::default();
        for lateness in [Span::ZERO, Span::from_micros(3), Span::from_secs(100)] {
            timing.count(ScanTurn { lateness, missed: 0 });
        }
        let metrics = Metrics::new(&[]);
        metrics.is_now(&who, "active", Epoch::NONE, &timing);
        let text = metrics.to_string();
        let series = |name: &str, more: &str| {
            let start =
                format!("r_ems_scan_lateness_seconds_{name}{{grid=\"commerce\",controller=\"a\"{more}}} ");
            let found = text.lines().find_map(|line| line.strip_prefix(&start));
            found.unwrap_or_else(|| panic!("{start}: {text}")).parse::<f64>().expect("a number")
        };
        let of_bucket = |end: &str| series("bucket", &format!(",le=\"{end}\"")) as u64;
        assert_eq!([of_bucket("1e-06"), of_bucket("4e-06"), of_bucket("16.777216")], [1, 2, 2], "{text}");
        assert_eq!((of_bucket("+Inf"), series("count", "") as u64), (3, 3));
        assert!((100.0..100.001).contains(&series("sum", "")), "{text}");
        timing.count(ScanTurn { lateness: Span::ZERO, missed: 0 });
        metrics.is_now(&who, "active", Epoch::NONE, &timing);
        assert!(metrics.to_string().contains("controller=\"a\"} 4"), "what is said last counts");
    }
}

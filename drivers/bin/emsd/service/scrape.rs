//! What a scrape gets beside what controllers report: how late the loop is, and what it could not pass on.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::persistence::Lane;
use r_ems_site::Control;
use r_ems_site::clock::Face;
use r_ems_site::lateness::{BOUNDS, Lateness};
use r_ems_site::site::Gauges;

use super::super::feed::Fed;
use super::super::hosts::{Hosts, OF_HOST, OF_NOBODY};
use super::super::lines::Lines;
use super::super::recording::Kept;
use super::Api;
use crate::summary::DOWN;

/// The loop, to be scraped.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) control: Control,
    pub(super) fed: Fed,
    pub(super) lines: Arc<Lines>,
    pub(super) log: Option<Kept>,
    pub(super) hosts: Hosts,
    /// What a site's driver counts; nothing in a simulation.
    pub(super) site: Option<Site>,
}

/// The controllers of a site, to be scraped.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) gauges: Gauges,
    pub(super) names: Vec<ControllerNames>,
    pub(super) face: Face,
    /// Devices that are none, by the names of their grids and their own.
    pub(super) simulated: Vec<[String; 2]>,
}

impl Collector for Loop {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lateness = self.control.lateness();
        let help = "How late deliveries passed to controllers";
        let loops =
            encoder.encode_descriptor("loop_lateness", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        histogram(loops, &lateness)?;
        let mut count = |name, help, unit: Option<&Unit>, count| {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, unit, counter.metric_type())?)
        };
        count("events_lost", "Events that the service could not take in", None, self.fed.lost())?;
        count("lines_lost", "Lines on standard error that nobody read in time", None, self.lines.lost())?;
        self.hosts(&mut encoder)?;
        if let Some(site) = &self.site {
            site.encode(&mut encoder)?;
        }
        let mut count = |name, help, unit: Option<&Unit>, count| {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, unit, counter.metric_type())?)
        };
        let Some(log) = &self.log else { return Ok(()) };
        count("log", "Bytes of the recorded log that are durable", Some(&Unit::Bytes), log.bytes())?;
        let cut = ConstGauge::new(i64::from(log.is_cut()));
        let help = "Whether the recorded log ended before the run";
        cut.encode(encoder.encode_descriptor("log_cut", help, None, cut.metric_type())?)
    }
}

impl Site {
    /// What is counted of each controller and its disk.
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let each = || (0..self.names.len()).map(ControllerIndex::of);
        let name = |of: ControllerIndex| {
            let names = &self.names[of.position()];
            [("grid", names.grid.as_str()), ("controller", names.id.as_str())]
        };
        let help = "How long the disk took for each thing that it was asked for";
        let mut times =
            encoder.encode_descriptor("disk", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for of in each() {
            for lane in Lane::ALL {
                let [grid, controller] = name(of);
                let labels = [grid, controller, ("lane", lane.name())];
                histogram(times.encode_family(&labels)?, &self.gauges.disk(of, lane))?;
            }
        }
        let help = "Bytes that were written to the controller's log since the start";
        let mut bytes =
            encoder.encode_descriptor("journal", help, Some(&Unit::Bytes), MetricType::Counter)?;
        for of in each() {
            ConstCounter::new(self.gauges.log_bytes(of)).encode(bytes.encode_family(&name(of))?)?;
        }
        let help = "Assertions that the controller failed; it starts again from its log";
        let mut failures = encoder.encode_descriptor("failures", help, None, MetricType::Counter)?;
        for of in each() {
            ConstCounter::new(self.gauges.failures(of)).encode(failures.encode_family(&name(of))?)?;
        }
        if !self.simulated.is_empty() {
            let help = "Devices of the site for which a simulated plant stands";
            let mut devices = encoder.encode_descriptor("device_simulated", help, None, MetricType::Gauge)?;
            for [grid, device] in &self.simulated {
                let labels = [("grid", grid.as_str()), ("device", device.as_str())];
                ConstGauge::new(1_i64).encode(devices.encode_family(&labels)?)?;
            }
        }
        let help = "How old the last whole state is with which the controller's log begins";
        let mut ages =
            encoder.encode_descriptor("state_age", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        let now = self.face.now();
        for of in each() {
            if let Some(age) = self.gauges.state_age(of, now) {
                ConstGauge::new(age.as_secs_f64()).encode(ages.encode_family(&name(of))?)?;
            }
        }
        Ok(())
    }
}

/// Writes how long things took.
fn histogram(mut encoder: MetricEncoder<'_>, lateness: &Lateness) -> Result<(), fmt::Error> {
    let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64()).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(lateness.counts().iter().copied()).collect();
    let total_s = lateness.total().as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(total_s, lateness.deliveries(), &buckets, None)
}

impl Loop {
    /// What passes between hosts.
    fn hosts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let known = self.hosts.known();
        if known.is_empty() {
            return Ok(());
        }
        let help = "Datagrams between this host and others, by what became of them; without a host what shows no sender";
        let mut family = encoder.encode_descriptor("datagrams", help, None, MetricType::Counter)?;
        for (host, counts) in &*known {
            let kinds = if host.is_some() { &OF_HOST[..] } else { &OF_NOBODY[..] };
            for (kind, count) in kinds {
                let labels = [("host", host.as_deref().unwrap_or_default()), ("kind", kind)];
                ConstCounter::new(count(counts)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl Api {
    /// All metrics in Prometheus' text format.
    pub(super) fn scrape(&self) -> String {
        let looked = self.look();
        let metrics = self.metrics();
        for controller in &looked {
            // Who has not booted yet has nothing to tell.
            let Some(view) = &controller.view else { continue };
            let role = if controller.lives() { view.role.name() } else { DOWN };
            let names = &self.about.controllers[controller.of.position()];
            metrics.is_now(names, role, view.epoch, &view.timing);
            for device in &view.devices {
                metrics.has_unanswered(names, &device.name, device.timeouts);
            }
        }
        metrics.to_string()
    }
}

//! What a scrape gets beside what controllers report: how late the loop is, and what it could not pass on.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;
use r_ems_site::Control;
use r_ems_site::lateness::BOUNDS;

use super::super::feed::Fed;
use super::super::lines::Lines;
use super::Api;
use crate::summary::DOWN;

/// The loop, to be scraped.
#[derive(Debug)]
pub(super) struct Loop {
    control: Control,
    fed: Fed,
    lines: Arc<Lines>,
}

impl Loop {
    pub(super) const fn new(control: Control, fed: Fed, lines: Arc<Lines>) -> Self {
        Self { control, fed, lines }
    }
}

impl Collector for Loop {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lateness = self.control.lateness();
        let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64()).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(lateness.counts().iter().copied()).collect();
        let help = "How late deliveries passed to controllers";
        let mut histogram =
            encoder.encode_descriptor("loop_lateness", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let total_s = lateness.total().as_secs_f64();
        histogram.encode_histogram::<NoLabelSet>(total_s, lateness.deliveries(), &buckets, None)?;
        let lost = ConstCounter::new(self.fed.lost());
        let help = "Events that the service could not take in";
        lost.encode(encoder.encode_descriptor("events_lost", help, None, lost.metric_type())?)?;
        let lost = ConstCounter::new(self.lines.lost());
        let help = "Lines of the log on standard error that nobody read in time";
        lost.encode(encoder.encode_descriptor("lines_lost", help, None, lost.metric_type())?)
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
            metrics.is_now(&self.facts.controllers[controller.of.position()], role, view.epoch);
        }
        metrics.to_string()
    }
}

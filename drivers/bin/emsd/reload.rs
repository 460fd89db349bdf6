//! What is in effect of a site's files, and how the site file is read again while it runs.
//!
//! On SIGHUP the file is read and checked as at the start, on the thread that watches signals. What may not change while it runs
//! is refused with its place, and then nothing changes. What may makes other controllers of the same names and seats: those whose
//! decisions it changes end in order, hand over where somebody is there to take over, and begin anew, with the memory of their
//! functions as after an upgrade. The new segment of each log has the new text in its header, so that each replays by itself.
//!
//! **Bounds:** one change waits for the loop; another one is refused meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::machine::Machine;
use r_ems_engine::units::Watts;
use r_ems_scenarios::{Disk as Files, RealSite, load_again};
use r_ems_site::Control;
use r_ems_site::site::LifeSpec;

use super::production::life_of;
use crate::api::{Config, Text, VERSION};
use crate::study::load::report_text;

/// Reads a site file again, says what came of it, and waits for nobody but the disk with that file.
pub(super) type Again = Box<dyn FnMut() + Send>;

/// What is in effect, to look at any time.
#[derive(Clone, Debug)]
pub(super) struct Effective(Arc<Mutex<InEffect>>);

#[derive(Clone, Debug)]
struct InEffect {
    config: Config,
    /// By grid, the limit that peaks are shaved to, as far as that may change.
    limits_w: Vec<(String, Option<f64>)>,
}

impl Effective {
    /// Of a run whose files are read once.
    pub(super) fn once(config: Config) -> Self {
        Self(Arc::new(Mutex::new(InEffect { config, limits_w: Vec::new() })))
    }

    /// Of a site.
    pub(super) fn of_site<F: FunctionSet>(mode: &str, site: &RealSite<F>) -> Self {
        let nothing = Text { path: String::new(), text: String::new() };
        let (version, mode) = (VERSION.to_owned(), mode.to_owned());
        let effective = Self::once(Config { version, mode, scenario: nothing.clone(), site: nothing });
        effective.take(site);
        effective
    }

    /// What a site file says is in effect from now on.
    fn take<F: FunctionSet>(&self, site: &RealSite<F>) {
        let mut known = self.known();
        known.config.site =
            Text { path: site.document.path().to_owned(), text: site.document.text().to_owned() };
        let limit = |member: &r_ems_scenarios::RealMember<F>| {
            (member.spec.grid.clone(), member.shaving_limit.map(Watts::watts))
        };
        known.limits_w = site.members.iter().map(limit).collect();
    }

    /// The files.
    pub(super) fn config(&self) -> Config {
        self.known().config.clone()
    }

    /// The limit that peaks of a grid are shaved to; `None`: it is what it was at the start.
    pub(super) fn limit_w(&self, grid: &str) -> Option<Option<f64>> {
        self.known().limits_w.iter().find(|known| known.0 == grid).map(|known| known.1)
    }

    fn known(&self) -> MutexGuard<'_, InEffect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the file of `site` is read again on `host`; `dated` completes what lives begin with.
pub(super) fn again<F>(
    site: &RealSite<F>,
    host: u16,
    dated: impl Fn(LifeSpec) -> LifeSpec + Send + 'static,
    control: Control,
    effective: Effective,
) -> Again
where
    F: FunctionSet + Send + Sync + 'static,
{
    let mut running = site.document.clone();
    Box::new(move || {
        let path = running.path();
        let site = match load_again::<F>(&Files, path, &running) {
            Ok(Some(site)) => site,
            Ok(None) => return tracing::info!("SIGHUP: {path} says what is in effect already"),
            Err(report) => {
                let report = report_text(&report);
                return tracing::warn!("SIGHUP: {path} is refused, and nothing changes\n\n{report}");
            }
        };
        if !site.warnings.mistakes.is_empty() {
            tracing::warn!("{}", report_text(&site.warnings));
        }
        let here = site.members.iter().filter(|member| member.host() == host);
        let life = |member| dated(life_of(&site, member, &Controller::new(&member.spec)));
        if let Err(refused) = control.renew(here.map(life).collect()) {
            return tracing::warn!("SIGHUP: {path} is not taken, and nothing changes: {refused}");
        }
        effective.take(&site);
        tracing::info!("SIGHUP: {path} is in effect; controllers that it changes begin anew with it");
        running = site.document;
    })
}

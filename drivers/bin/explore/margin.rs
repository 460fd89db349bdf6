//! How far a site is from breaking: the smallest clock-rate error that gives two authorities, and the smallest write delay that
//! lets a device accept a lower epoch, beside what is declared.
//!
//! **The search** bisects over whole sets of runs with fixed seeds, each with several take-overs from an active that is cut off
//! or crashes. Everything is as bad as it can be for what is searched: the active's clock is slow and all others are fast by the
//! same error; the active's writes take the whole delay and those of the next none; and set-points are written at every scan, so
//! that one is on its way whenever authority is lost. What is found breaks in these runs; what is below was not broken by them.
//!
//! **Stalls.** A sender that stalls before a write's validity is checked refuses the write. One that stalls between the check and
//! the sending makes the write later by as much: what is left between the link's own longest write and the delay that breaks is
//! the room for such stalls, and is told as their margin.

use r_ems_engine::Span;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::rng::Stream;
use r_ems_sim::network::Delay;
use r_ems_sim::progress::Promised;
use r_ems_sim::world::{RATE_PPB_MAX, WorldSpec};
use serde::Serialize;

use super::fault::{self, Fault, Scope, Value, What};
use super::site::Variant;
use super::trial::{self, Excuse, Property};
use super::{Options, Site, Watch, each};
use crate::exit::Failure;

/// The search ends when what breaks and what holds differ by less than this part.
const RESOLUTION: u64 = 100;
/// Nothing finer is searched: a part per million, a microsecond.
const FINEST: u64 = 1;
/// Writes are not made later than so many times all that a take-over may last.
const LIMIT_TAKE_OVERS: u64 = 4;
/// An active is cut off for so many times what a take-over may last.
const OUTAGE_TAKE_OVERS: u64 = 2;
/// An active is lost up to so much later than it could be.
const SHIFT_MAX: Span = Span::from_millis(40);

/// How far something is from breaking. Fields of the JSON form are added and never changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Margin {
    /// What is made worse.
    pub subject: String,
    /// What of it breaks.
    pub property: &'static str,
    /// In what the numbers are: `ppm` or `s`.
    pub unit: &'static str,
    /// What the site declares.
    pub declared: f64,
    /// What the scenario has.
    pub present: f64,
    /// The smallest that broke; nothing if nothing did up to the limit.
    pub breaks_at: Option<f64>,
    /// The largest that did not.
    pub holds_at: f64,
    /// Nothing beyond it was tried.
    pub limit: f64,
}

/// Searches all margins of a site; each probe makes as many runs as `options` say.
///
/// # Errors
/// What is made of the site cannot be run.
pub fn margins<F>(site: &Site<F>, options: &Options) -> Result<Vec<Margin>, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let mut margins = Vec::new();
    for promised in site.promised() {
        let search = Search { site, options, promised };
        margins.push(search.clock()?);
        let devices = search.writes()?;
        margins.extend(devices);
    }
    Ok(margins)
}

struct Search<'a, F: FunctionSet> {
    site: &'a Site<F>,
    options: &'a Options,
    promised: &'a Promised,
}

impl<F> Search<'_, F>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    fn clock(&self) -> Result<Margin, Failure> {
        let limit = u64::from(RATE_PPB_MAX.unsigned_abs()) / 1_000;
        let active = self.active_host();
        let probe = |ppm: u64| {
            self.breaks(Property::OneAuthority, &|world: &mut WorldSpec| {
                for (host, clock) in (0..).zip(&mut world.hosts) {
                    let ppb = i32::try_from(ppm * 1_000).unwrap_or(RATE_PPB_MAX);
                    clock.rate_ppb = if host == active { -ppb } else { ppb };
                }
            })
        };
        let (holds_at, breaks_at) = bisected(limit, &probe)?;
        let hosts = &self.plain()?.world.hosts;
        let present = hosts.iter().map(|host| host.rate_ppb.unsigned_abs()).max().unwrap_or(0);
        Ok(Margin {
            subject: format!("{}: error of clocks' rates", self.grid_name()),
            property: Property::OneAuthority.name(),
            unit: "ppm",
            declared: f64::from(self.promised.clock_rate_max_ppb) / 1e3,
            present: f64::from(present) / 1e3,
            breaks_at: breaks_at.map(|ppm| ppm as f64),
            holds_at: holds_at as f64,
            limit: limit as f64,
        })
    }

    fn writes(&self) -> Result<Vec<Margin>, Failure> {
        let mut margins = Vec::new();
        let variant = self.plain()?;
        let spec = &variant.controllers[usize::from(self.first_member())];
        for (place, device) in spec.devices.iter().enumerate() {
            if !device.class.is_controlled() {
                continue;
            }
            let micros = |span: Span| span.as_nanos() / 1_000;
            let limit = micros(self.promised.within * LIMIT_TAKE_OVERS);
            let active = self.first_member();
            let probe = |delay: u64| {
                self.breaks(Property::EpochsRise, &|world: &mut WorldSpec| {
                    for (post, known) in (0..).zip(&mut world.posts) {
                        if let Some(link) = known.links.get_mut(place).filter(|_link| self.is_member(post)) {
                            let beyond = Span::from_micros(delay) - link.latency;
                            let beyond = if post == active { beyond } else { Span::ZERO };
                            link.write_delay = Delay::exactly(beyond);
                        }
                    }
                })
            };
            let (holds_at, breaks_at) = bisected(limit, &probe)?;
            let seconds = |micros: u64| Span::from_micros(micros).as_secs_f64();
            let link = &variant.world.posts[usize::from(active)].links[place];
            let present = link.latency + link.write_delay.longest();
            let checks = if device.checks_epochs { ", which checks epochs" } else { "" };
            let name = format!("{}/{}{checks}", self.grid_name(), device.name);
            let late = Margin {
                subject: format!("{name}: how long a write is on its way"),
                property: Property::EpochsRise.name(),
                unit: "s",
                declared: device.longest_write.as_secs_f64(),
                present: present.as_secs_f64(),
                breaks_at: breaks_at.map(seconds),
                holds_at: seconds(holds_at),
                limit: seconds(limit),
            };
            margins.extend([late.clone(), stalled(&late, &name)]);
        }
        Ok(margins)
    }

    /// Whether one of the runs breaks a property when the world is changed so.
    fn breaks(&self, property: Property, change: &(dyn Fn(&mut WorldSpec) + Sync)) -> Result<bool, Failure> {
        let variant = self.plain()?;
        let controllers: Vec<ControllerSpec<F>> = variant.controllers.iter().map(eager).collect();
        let eager =
            Variant { documents: variant.documents.clone(), world: variant.world.clone(), controllers };
        let run = |number| {
            let (network_seed, faults) = self.losses(number);
            let text = fault::list(&faults, "");
            let timeline = r_ems_scenarios::happenings::<F>(&eager.documents, &text);
            let timeline = timeline.map_err(|report| Failure::error(format!("{report}\n{text}")))?;
            let mut world = WorldSpec { seed: network_seed, timeline, ..eager.world.clone() };
            change(&mut world);
            Ok(trial::run_world(&eager, world, &self.site.facts, Excuse::Nothing))
        };
        let found = each(self.options, &Watch::showing(&|_reached| {}), &run)?;
        Ok(found.findings.contains_key(&property))
    }

    /// The first controller is lost, and gets authority back, over and over.
    fn losses(&self, number: u64) -> (u64, Vec<Fault>) {
        let facts = &self.site.facts;
        let mut stream = Stream::named(self.options.seed, &format!("margin {number}"));
        let Promised { within, settles_within, .. } = *self.promised;
        let host = self.active_host();
        let name = |host: u16| facts.hosts[usize::from(host)].clone();
        let others: Vec<String> =
            facts.used_hosts.iter().filter(|other| **other != host).map(|other| name(*other)).collect();
        let mut faults = Vec::new();
        let mut at = settles_within;
        loop {
            let from = at + Span::from_nanos(stream.below(SHIFT_MAX.as_nanos()));
            let to = from + within * OUTAGE_TAKE_OVERS;
            let back = to + settles_within;
            if back >= self.site.length {
                return (stream.word() >> 33, faults);
            }
            let what = if stream.below(2) == 0 {
                What::new("Crash").with("host", Value::Name(name(host)))
            } else {
                let sides = What::new("Partition").with("a", Value::Names(vec![name(host)]));
                sides.with("b", Value::Names(others.clone()))
            };
            let lost = Fault { kind: 0, from, to: Some(to), what, scope: Scope::Host(host) };
            let what = What::new("SwitchOver").of(Value::Name(self.grid_name()));
            let returned = Fault { kind: 0, from: back, to: None, what, scope: Scope::Host(host) };
            faults.extend([lost, returned]);
            at = back + settles_within;
        }
    }

    fn plain(&self) -> Result<std::sync::Arc<Variant<F>>, Failure> {
        self.site.variant(0, &[])
    }

    fn grid_name(&self) -> String {
        self.site.facts.grids[usize::from(self.promised.grid)].name.clone()
    }

    fn first_member(&self) -> u16 {
        self.promised.members[0].place
    }

    fn is_member(&self, place: u16) -> bool {
        self.promised.members.iter().any(|member| member.place == place)
    }

    /// Where the controller stands that has authority first.
    fn active_host(&self) -> u16 {
        self.site.facts.members[usize::from(self.first_member())].host
    }
}

/// A stall makes a write later by as much as it lasts: what the link itself takes leaves less room for it.
fn stalled(late: &Margin, name: &str) -> Margin {
    let room = |value: f64| if value > late.present { value - late.present } else { 0.0 };
    Margin {
        subject: format!("{name}: a stall between check and sending"),
        declared: room(late.declared),
        present: 0.0,
        breaks_at: late.breaks_at.map(room),
        holds_at: room(late.holds_at),
        limit: room(late.limit),
        ..late.clone()
    }
}

/// The same controller, which writes every set-point at every scan.
fn eager<F: FunctionSet>(spec: &ControllerSpec<F>) -> ControllerSpec<F> {
    let mut spec = spec.clone();
    for device in &mut spec.devices {
        device.reversion = spec.scan;
        device.write_interval = Span::ZERO;
    }
    spec
}

/// The largest that holds, and the smallest that breaks; the latter is nothing if the limit itself holds.
fn bisected(
    limit: u64,
    breaks: &dyn Fn(u64) -> Result<bool, Failure>,
) -> Result<(u64, Option<u64>), Failure> {
    if !breaks(limit)? {
        return Ok((limit, None));
    }
    let (mut holds, mut broken) = (0, limit);
    while broken - holds > (broken / RESOLUTION).max(FINEST) {
        let middle = holds + (broken - holds) / 2;
        if breaks(middle)? { broken = middle } else { holds = middle }
    }
    Ok((holds, Some(broken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_found_to_a_hundredth() {
        let (holds, broken) = bisected(100_000, &|value| Ok(value >= 31_250)).expect("nothing fails");
        assert!(
            holds < 31_250 && broken.is_some_and(|broken| (31_250..31_600).contains(&broken)),
            "{holds} {broken:?}"
        );
        assert_eq!(bisected(500, &|_value| Ok(false)).expect("nothing fails"), (500, None));
        assert_eq!(bisected(500, &|_value| Ok(true)).expect("nothing fails").1, Some(1));
    }
}

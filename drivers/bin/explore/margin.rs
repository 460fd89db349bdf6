//! How far a site is from breaking: the smallest clock-rate error that gives two authorities, the smallest write delay that lets
//! a device accept a lower epoch, and the smallest stall that costs the active its authority, gives two, or lets a device accept
//! a lower epoch; beside what is declared.
//!
//! **The search** bisects over whole sets of runs with fixed seeds, each with several take-overs from an active that is cut off,
//! crashes or stands still. Everything is as bad as it can be for what is searched: the active's clock is slow and all others are
//! fast by the same error; the active's writes take the whole delay and those of the next none; a stall catches its host between
//! deciding and doing; and set-points are written at every scan, so that one is on its way whenever authority is lost. What is
//! found breaks in these runs; what is below was not broken by them.
//!
//! **Stalls.** Who stands still with a running clock does not do what it had decided when it goes on after the end of its lease:
//! it loses authority, which is told beside the bound of the settings, and breaks nothing, however long the stall. With a clock
//! that stands still too, as in a virtual machine that is paused, it does not know that the lease is over; what protects the site
//! then is that such a stop is no longer than the declared error of a clock's rate makes of a lease. A stall that comes after the
//! check of a write's validity makes the write later by as much, and counts as its delay.
//!
//! **Invariant:** a search that its user ends tells what it has found by then, and of what it was searching between which values
//! it lies.

mod placed;

use std::sync::atomic::{AtomicBool, Ordering};

use r_ems_engine::Span;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::redundancy::Settings;
use r_ems_sim::network::Delay;
use r_ems_sim::progress::Promised;
use r_ems_sim::world::{RATE_PPB_MAX, StalledClock, WorldSpec};
use serde::Serialize;

use self::placed::{Placed, Stall, With};
use super::fault;
use super::property::Property;
use super::site::Variant;
use super::trial::{self, Excuse, Trial};
use super::{Options, Site, Watch, each};
use crate::exit::Failure;

/// The search ends when what breaks and what holds differ by less than this part.
const RESOLUTION: u64 = 100;
/// If the limit breaks nothing, these parts of it are tried.
const PARTS: [u64; 5] = [1, 4, 16, 64, 256];
/// Nothing finer is searched: a part per million, a microsecond.
const FINEST: u64 = 1;
/// Nothing is made later, and nobody stands still for longer, than so many times all that a take-over may last.
const LIMIT_TAKE_OVERS: u64 = 4;

/// How far something is from breaking. Fields of the JSON form are added and never changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Margin {
    /// What is made worse.
    pub subject: String,
    /// What of it breaks.
    pub property: &'static str,
    /// In what the numbers are: `ppm` or `s`.
    pub unit: &'static str,
    /// What the site declares, or what follows from it; nothing if it must hold however bad it gets.
    pub declared: Option<f64>,
    /// What the scenario has.
    pub present: f64,
    /// The smallest that broke; nothing if nothing did up to the limit.
    pub breaks_at: Option<f64>,
    /// The largest that did not.
    pub holds_at: f64,
    /// Nothing beyond it was tried.
    pub limit: f64,
    /// Whether the search came to its end; otherwise the border is anywhere between what holds and what breaks.
    pub finished: bool,
}

impl Margin {
    /// Whether it breaks within what is declared, or as it is now.
    pub fn is_gone(&self) -> bool {
        let within = |at: f64| self.declared.is_none_or(|declared| at <= declared) || at <= self.present;
        self.breaks_at.is_some_and(within)
    }
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Margins {
    /// What was searched, in its order; of what an early end left over nothing.
    pub margins: Vec<Margin>,
    /// Whether the search was ended early by its user.
    pub was_interrupted: bool,
}

/// Searches all margins of a site; each probe makes as many runs as `options` say, and `begins` is told what is searched next. A
/// pair that takes over on silence has given its margins up, and one that waits for its owner has none.
///
/// # Errors
/// What is made of the site cannot be run.
pub fn margins<F>(
    site: &Site<F>,
    options: &Options,
    begins: &(dyn Fn(&str) + Sync),
) -> Result<Margins, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let mut found = Margins::default();
    let holds = |promised: &&Promised| !site.facts.grids[usize::from(promised.grid)].may_overlap;
    for promised in site.promised().iter().filter(holds) {
        let search = Search { site, options, promised, begins };
        found.margins.extend(search.clock()?);
        found.margins.extend(search.writes()?);
        found.margins.extend(search.stalls()?);
    }
    found.was_interrupted = options.interrupt.is_asked();
    Ok(found)
}

/// By what a run is seen to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Broken(Property),
    /// Somebody has lost its authority, which is no error of its own.
    Lapsed,
}

impl Sign {
    const fn name(self) -> &'static str {
        match self {
            Self::Broken(property) => property.name(),
            Self::Lapsed => "the active keeps authority",
        }
    }

    fn is_seen(self, trial: &Trial) -> bool {
        match self {
            Self::Broken(property) => trial.breaks(property).is_some(),
            Self::Lapsed => trial.marks.has_lapsed(),
        }
    }
}

/// What one set of runs shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probed {
    Breaks,
    Holds,
    /// It was ended before it was over.
    Open,
}

/// Where something begins to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Border {
    holds_at: u64,
    /// Nothing if the limit itself holds.
    breaks_at: Option<u64>,
    is_finished: bool,
}

struct Search<'a, F: FunctionSet> {
    site: &'a Site<F>,
    options: &'a Options,
    promised: &'a Promised,
    begins: &'a (dyn Fn(&str) + Sync),
}

impl<F> Search<'_, F>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    fn clock(&self) -> Result<Option<Margin>, Failure> {
        let limit = u64::from(RATE_PPB_MAX.unsigned_abs()) / 1_000;
        let (active, placed) = (self.active_host(), self.placed());
        let sign = Sign::Broken(Property::OneAuthority);
        let probe = |ppm: u64| {
            self.probe(sign, &|number| placed.losses(number), &|world: &mut WorldSpec| {
                for (host, clock) in (0..).zip(&mut world.hosts) {
                    let ppb = i32::try_from(ppm * 1_000).unwrap_or(RATE_PPB_MAX);
                    clock.rate_ppb = if host == active { -ppb } else { ppb };
                }
            })
        };
        let subject = format!("{}: error of clocks' rates", self.grid_name());
        let Some(border) = self.bisected((&subject, sign), limit, &probe)? else { return Ok(None) };
        let hosts = &self.plain()?.world.hosts;
        let present = hosts.iter().map(|host| host.rate_ppb.unsigned_abs()).max().unwrap_or(0);
        Ok(Some(Margin {
            subject,
            property: sign.name(),
            unit: "ppm",
            declared: Some(f64::from(self.promised.clock_rate_max_ppb) / 1e3),
            present: f64::from(present) / 1e3,
            breaks_at: border.breaks_at.map(|ppm| ppm as f64),
            holds_at: border.holds_at as f64,
            limit: limit as f64,
            finished: border.is_finished,
        }))
    }

    fn writes(&self) -> Result<Vec<Margin>, Failure> {
        let mut margins = Vec::new();
        let variant = self.plain()?;
        let (active, placed) = (self.first_member(), self.placed());
        let sign = Sign::Broken(Property::EpochsRise);
        for (place, device) in variant.controllers[usize::from(active)].devices.iter().enumerate() {
            if !device.class.is_controlled() {
                continue;
            }
            let probe = |delay: u64| {
                self.probe(sign, &|number| placed.losses(number), &|world: &mut WorldSpec| {
                    for (post, known) in (0..).zip(&mut world.posts) {
                        if let Some(link) = known.links.get_mut(place).filter(|_link| self.is_member(post)) {
                            let beyond = Span::from_micros(delay) - link.latency;
                            let beyond = if post == active { beyond } else { Span::ZERO };
                            link.write_delay = Delay::exactly(beyond);
                        }
                    }
                })
            };
            let checks = if device.checks_epochs { ", which checks epochs" } else { "" };
            let whose = format!("{}/{}{checks}", self.grid_name(), device.name);
            let subject = format!("{whose}: how long a write is on its way");
            let Some(border) = self.bisected((&subject, sign), self.limit_micros(), &probe)? else { break };
            let link = &variant.world.posts[usize::from(active)].links[place];
            let late = Late {
                subject,
                declared: Some(device.longest_write),
                present: link.latency + link.write_delay.longest(),
            };
            margins.push(late.margin(sign, self.limit_micros(), border));
        }
        Ok(margins)
    }

    fn stalls(&self) -> Result<Vec<Margin>, Failure> {
        let variant = self.plain()?;
        let settings: &Settings = &variant.controllers[usize::from(self.first_member())].redundancy.settings;
        let (stall_max, stop_max) =
            (settings.stall_max(self.delay(&variant.world)), settings.clock_stop_max());
        let (one_authority, epochs) =
            (Sign::Broken(Property::OneAuthority), Sign::Broken(Property::EpochsRise));
        let (running, stopped) = (StalledClock::Running, StalledClock::Stopped);
        let searched = [
            (running, With::Nothing, Sign::Lapsed, Some(stall_max)),
            (running, With::CutOff, one_authority, None),
            (running, With::CutOff, epochs, None),
            (stopped, With::CutOff, one_authority, Some(stop_max)),
            (stopped, With::CutOff, epochs, Some(stop_max)),
        ];
        let (placed, limit) = (self.placed(), self.limit_micros());
        let mut margins = Vec::new();
        for (clock, with, sign, declared) in searched {
            let probe = |micros: u64| {
                let longest = Span::from_micros(limit);
                let stall = Stall { lasts: Span::from_micros(micros), longest, clock, with };
                self.probe(sign, &|number| placed.stalls(number, &stall), &|_world| {})
            };
            let which = match clock {
                StalledClock::Running => "stands still",
                StalledClock::Stopped => "stands still with its clock",
            };
            let subject = format!("{}: how long the active's host {which}", self.grid_name());
            let Some(border) = self.bisected((&subject, sign), limit, &probe)? else { break };
            margins.push(Late { subject, declared, present: Span::ZERO }.margin(sign, limit, border));
        }
        Ok(margins)
    }

    fn bisected(
        &self,
        (subject, sign): (&str, Sign),
        limit: u64,
        probe: &dyn Fn(u64) -> Result<Probed, Failure>,
    ) -> Result<Option<Border>, Failure> {
        if !self.options.interrupt.is_asked() {
            (self.begins)(&format!("{subject} ({})", sign.name()));
        }
        bisected(limit, probe)
    }

    /// Whether one of the runs shows the sign when `happens` happens and the world is changed so.
    fn probe(
        &self,
        sign: Sign,
        happens: &(dyn Fn(u64) -> Placed + Sync),
        change: &(dyn Fn(&mut WorldSpec) + Sync),
    ) -> Result<Probed, Failure> {
        let variant = self.plain()?;
        let controllers: Vec<ControllerSpec<F>> = variant.controllers.iter().map(eager).collect();
        let eager = Variant {
            documents: variant.documents.clone(),
            world: variant.world.clone(),
            controllers,
            ..*variant
        };
        let is_seen = AtomicBool::new(false);
        let run = |number| {
            // One is enough: whether there is one does not depend on who is first.
            if is_seen.load(Ordering::Relaxed) {
                return Ok(Trial::default());
            }
            let Placed { network_seed, faults } = happens(number);
            let text = fault::list(&faults, "");
            let timeline = r_ems_scenarios::happenings::<F>(&eager.documents, &text);
            let timeline = timeline.map_err(|report| Failure::error(format!("{report}\n{text}")))?;
            let mut world = WorldSpec { seed: network_seed, timeline, ..eager.world.clone() };
            change(&mut world);
            let trial = trial::run_world(&eager, world, &self.site.facts, Excuse::Nothing);
            is_seen.fetch_or(sign.is_seen(&trial), Ordering::Relaxed);
            Ok(trial)
        };
        let made = each(self.options, &Watch::showing(&|_reached| {}), &run)?;
        Ok(match (is_seen.into_inner(), made.runs < self.options.runs) {
            (true, _) => Probed::Breaks,
            (false, true) => Probed::Open,
            (false, false) => Probed::Holds,
        })
    }

    fn placed(&self) -> placed::Places<'_> {
        placed::Places {
            facts: &self.site.facts,
            length: self.site.length,
            seed: self.options.seed,
            promised: self.promised,
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

    fn limit_micros(&self) -> u64 {
        (self.promised.within * LIMIT_TAKE_OVERS).as_nanos() / 1_000
    }

    /// How long a message between two hosts of the grid is on its way at the most.
    fn delay(&self, world: &WorldSpec) -> Span {
        let has = |host: u16| {
            self.promised.members.iter().any(|member| world.posts[usize::from(member.place)].host == host)
        };
        let special = world.paths.iter().filter(|(from, to, _path)| has(*from) && has(*to));
        special.map(|(_, _, path)| path.delay.longest()).fold(world.path.delay.longest(), Span::max)
    }
}

/// Something whose margin is a time.
struct Late {
    subject: String,
    declared: Option<Span>,
    present: Span,
}

impl Late {
    fn margin(self, sign: Sign, limit: u64, border: Border) -> Margin {
        let seconds = |micros: u64| Span::from_micros(micros).as_secs_f64();
        Margin {
            subject: self.subject,
            property: sign.name(),
            unit: "s",
            declared: self.declared.map(Span::as_secs_f64),
            present: self.present.as_secs_f64(),
            breaks_at: border.breaks_at.map(seconds),
            holds_at: seconds(border.holds_at),
            limit: seconds(limit),
            finished: border.is_finished,
        }
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

/// Where something begins to break; nothing if not even the limit could be tried.
fn bisected(limit: u64, probe: &dyn Fn(u64) -> Result<Probed, Failure>) -> Result<Option<Border>, Failure> {
    let mut broken = None;
    // What is much too late may break nothing any more: a write may end in its time-out.
    for part in PARTS {
        match probe(limit / part)? {
            Probed::Open if part == 1 => return Ok(None),
            Probed::Open => {
                return Ok(Some(Border { holds_at: limit, breaks_at: None, is_finished: false }));
            }
            Probed::Holds => {}
            Probed::Breaks => {
                broken = Some(limit / part);
                break;
            }
        }
    }
    let Some(mut broken) = broken else {
        return Ok(Some(Border { holds_at: limit, breaks_at: None, is_finished: true }));
    };
    let mut holds = 0;
    while broken - holds > (broken / RESOLUTION).max(FINEST) {
        let middle = holds + (broken - holds) / 2;
        match probe(middle)? {
            Probed::Breaks => broken = middle,
            Probed::Holds => holds = middle,
            Probed::Open => {
                return Ok(Some(Border { holds_at: holds, breaks_at: Some(broken), is_finished: false }));
            }
        }
    }
    Ok(Some(Border { holds_at: holds, breaks_at: Some(broken), is_finished: true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(holds_at: u64, breaks_at: Option<u64>) -> Option<Border> {
        Some(Border { holds_at, breaks_at, is_finished: true })
    }

    fn from(border: u64) -> impl Fn(u64) -> Result<Probed, Failure> {
        move |value| Ok(if value >= border { Probed::Breaks } else { Probed::Holds })
    }

    #[test]
    fn the_border_is_found_to_a_hundredth() {
        let border = bisected(100_000, &from(31_250)).expect("nothing fails").expect("the limit was tried");
        assert!(
            border.holds_at < 31_250 && border.breaks_at.is_some_and(|at| (31_250..31_600).contains(&at)),
            "{border:?}"
        );
        assert_eq!(bisected(500, &from(501)).expect("nothing fails"), found(500, None));
        let island = |value| from(20)(if value > 150 { 0 } else { value });
        assert_eq!(
            bisected(500, &island).expect("nothing fails"),
            found(19, Some(20)),
            "from 20 to 150 it breaks"
        );
        assert_eq!(bisected(500, &from(0)).expect("nothing fails"), found(0, Some(1)));
    }

    #[test]
    fn a_search_that_is_ended_tells_between_which_values_the_border_lies() {
        let left = std::cell::Cell::new(3);
        let probe = |value| {
            left.set(left.get() - 1);
            if left.get() < 0 { Ok(Probed::Open) } else { from(300)(value) }
        };
        let border = Border { holds_at: 250, breaks_at: Some(500), is_finished: false };
        assert_eq!(bisected(1_000, &probe).expect("nothing fails"), Some(border));
        assert_eq!(bisected(1_000, &probe).expect("nothing fails"), None);
    }
}

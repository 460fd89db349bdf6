//! Compares a site file with the site, for commissioning: what its devices measure and say, beside what the file says of them.
//!
//! ```text
//!     target   what the file says of a device
//!     session  ──engine's master, codec and plan──> line of the site driver ──> device
//!     models   where a device says that its numbers lie, if the file leaves that to it
//!     look     does it answer, how fast, who is it, what do its points read        plausible: can that be
//!     signs    do its powers agree with those of the others
//!     trial    does a battery follow small set-points, and when does it fall back: where that is wanted only
//!     held     whether an r-emsd runs the site, and would write too
//! ```
//!
//! It asks with what a site is run with: [`r_ems_engine::fieldbus`] makes requests and judges answers, [`r_ems_site::line`]
//! moves bytes. What is told is what was measured; what cannot be known is said so.
//!
//! **Bounds:** every device takes a bounded time, whatever it answers or does not: see `session` and `look`.

pub mod held;
mod identity;
mod judged;
mod look;
mod models;
mod plausible;
mod reading;
pub mod report;
mod session;
mod settings;
mod signs;
mod target;
mod trial;

use r_ems_engine::fieldbus::master::{ConnectionSpec, UnitSpec};
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::points::{Connections, DeviceClass, PointKind};
use r_ems_scenarios::{RealMember, RealSite, RealWay};

use self::look::{Looked, look};
use self::reading::read_point;
use self::report::{Finding, Probed, Signs};
use self::session::Session;
use self::signs::{Seen, compare};
use self::target::{Noted, Target};
use self::trial::{REVERSION_MAX, SHARE, Trial};
use crate::exit::Failure;
use crate::present::text::{duration, power};
use crate::study::progress::Interrupt;

/// What is asked for.
pub struct Wanted<'w> {
    /// The host whose controllers reach the devices, by its place; none: those of all grids are asked from here.
    pub host: Option<u16>,
    /// The devices, as `grid/device` or by their names in a grid; all, if there are none.
    pub devices: &'w [String],
    /// Whether batteries are tried with small set-points.
    pub writes: bool,
    /// Who may end it.
    pub interrupt: &'w Interrupt,
    /// Who is told which device is asked.
    pub tell: fn(&str),
}

/// Looks at the devices of a site.
///
/// # Errors
/// A device that the site does not have, or a host without devices; or the operating system has no descriptors left.
pub fn probe<F: FunctionSet>(site: &RealSite<F>, wanted: &Wanted<'_>) -> Result<Probed, Failure> {
    let mut targets = targets(site, wanted)?;
    let mut sessions = Sessions::to_all(&targets);
    let mut looks: Vec<Looked> = Vec::new();
    let (mut signs, mut notes): (Vec<Signs>, Vec<Noted>) = (Vec::new(), Vec::new());
    for target in &mut targets {
        if wanted.interrupt.is_asked() {
            break;
        }
        (wanted.tell)(&format!("{} at {}", target.name(), target.address()));
        let session = sessions.to(target)?;
        notes.extend(models::learn(target, session, wanted.interrupt));
        looks.push(look(target, session, wanted.interrupt));
    }
    if !wanted.interrupt.is_asked() {
        for grid in grids(&targets) {
            let seen = see(grid, &targets, &looks, &mut sessions)?;
            let (found, more) = compare(grid, &seen);
            signs.push(found);
            notes.extend(more);
        }
    }
    if wanted.writes {
        notes.extend(tried(&targets, &mut looks, &mut signs, &mut sessions, wanted));
    }
    let untried = if wanted.writes { untried(&targets, &looks) } else { Vec::new() };
    let mut devices = Vec::new();
    let mut all: Vec<Noted> = Vec::new();
    for Looked { device, notes, .. } in looks {
        all.extend(notes);
        devices.push(device);
    }
    all.extend(notes);
    let place = |noted: &Noted| devices.iter().position(|device| device.device == noted.device);
    all.sort_by_key(place);
    let findings: Vec<Finding> = all.into_iter().map(|noted| noted.placed(site)).collect();
    Ok(Probed {
        ok: !findings.iter().any(Finding::is_error),
        file: site.document.path().to_owned(),
        interrupted: wanted.interrupt.is_asked(),
        untried,
        devices,
        signs,
        findings,
    })
}

/// What a trial would do to batteries, a line for each.
pub struct Plan {
    /// What is done to those that are tried.
    pub tried: Vec<String>,
    /// Why the others are not.
    pub refused: Vec<String>,
}

/// What would be tried, and what not.
///
/// # Errors
/// As [`probe`].
pub fn to_be_tried<F: FunctionSet>(site: &RealSite<F>, wanted: &Wanted<'_>) -> Result<Plan, Failure> {
    let targets = targets(site, wanted)?;
    let mut plan = Plan { tried: Vec::new(), refused: Vec::new() };
    for target in targets.iter().filter(|target| target.spec.class == DeviceClass::Battery) {
        let place = format!("{} at {}", target.name(), target.address());
        if let Some(why) = trial::refused(target) {
            plan.refused.push(format!("{place}: not tried: {why}"));
            continue;
        }
        let size = power(target.spec.rating.watts() * SHARE);
        let reversion = duration(target.spec.reversion.min(REVERSION_MAX));
        plan.tried.push(format!(
            "{place}: up to {size} either way for some seconds, then {reversion} or more without a write"
        ));
    }
    Ok(plan)
}

/// What a daemon that runs the site would lose to whoever asks, in words: a device that takes one connection at a time, which is
/// that of the active controller, or a serial line, which one process has.
///
/// # Errors
/// As [`probe`].
pub fn takes_one_connection<F: FunctionSet>(
    site: &RealSite<F>,
    wanted: &Wanted<'_>,
) -> Result<Option<String>, Failure> {
    let targets = targets(site, wanted)?;
    let has_one =
        |target: &&Target<'_>| target.is_on_line() || target.spec.connections == Connections::ActiveOnly;
    let told = |target: &Target<'_>| {
        if target.is_on_line() {
            return format!(
                "{}, the line of {}, which one process has at a time",
                target.address(),
                target.name()
            );
        }
        format!("{}, which takes one connection at a time", target.name())
    };
    Ok(targets.iter().find(has_one).map(told))
}

/// The batteries that were not tried, or not to the end.
fn untried(targets: &[Target<'_>], looks: &[Looked]) -> Vec<String> {
    let is_tried =
        |looked: &Looked| looked.device.written.as_ref().is_some_and(|written| written.withheld.is_none());
    let is_left = |(place, target): &(usize, &Target<'_>)| {
        target.spec.class == DeviceClass::Battery && !looks.get(*place).is_some_and(is_tried)
    };
    targets.iter().enumerate().filter(is_left).map(|(_, target)| target.name()).collect()
}

/// Tries the batteries, one after the other.
fn tried(
    targets: &[Target<'_>],
    looks: &mut [Looked],
    signs: &mut [Signs],
    sessions: &mut Sessions,
    wanted: &Wanted<'_>,
) -> Vec<Noted> {
    let mut notes = Vec::new();
    for place in 0..looks.len() {
        let target = &targets[place];
        if target.spec.class == DeviceClass::Meter
            || !looks[place].device.answers
            || wanted.interrupt.is_asked()
        {
            continue;
        }
        let is_meter = |(other, looked): &(&Target<'_>, &Looked)| {
            other.spec.class == DeviceClass::Meter
                && other.grid == target.grid
                && looked.value(PointKind::Power).is_some()
        };
        let meters: Vec<&Target<'_>> =
            targets.iter().zip(looks.iter()).filter(is_meter).map(|(meter, _)| meter).collect();
        // Of several nobody knows which one sees it.
        let meter = if let [only] = meters[..] { Some(only) } else { None };
        let signs = signs.iter_mut().find(|signs| signs.grid == target.grid);
        let meter_is_right = signs.as_ref().is_some_and(|signs| signs.meter_is_right);
        let (interrupt, tell) = (wanted.interrupt, wanted.tell);
        let mut trial = Trial { target, meter, meter_is_right, sessions, interrupt, tell };
        let (written, found) = trial.run(&looks[place]);
        if let Some(signs) = signs.filter(|_signs| written.meter_agrees == Some(true)) {
            signs.agree(&target.spec.name);
        }
        looks[place].device.written = Some(written);
        notes.extend(found);
    }
    notes
}

/// The connections, one to each address.
struct Sessions {
    /// What the site file says of them, by address.
    specs: Vec<(RealWay, ConnectionSpec)>,
    made: Vec<Session>,
}

impl Sessions {
    /// Connections to these devices, of which each is made once somebody asks. Several grids may lie behind one address.
    fn to_all(targets: &[Target<'_>]) -> Self {
        let mut specs: Vec<(RealWay, ConnectionSpec)> = Vec::new();
        for Target { way, connection, .. } in targets {
            let Some((_, spec)) = specs.iter_mut().find(|known| known.0 == **way) else {
                specs.push(((*way).clone(), (*connection).clone()));
                continue;
            };
            let is_new = |unit: &&UnitSpec| !spec.units.iter().any(|known| known.unit == unit.unit);
            let more: Vec<UnitSpec> = connection.units.iter().filter(is_new).copied().collect();
            spec.units.extend(more);
            spec.min_gap = spec.min_gap.max(connection.min_gap);
            spec.connect_timeout = spec.connect_timeout.max(connection.connect_timeout);
        }
        Self { specs, made: Vec::new() }
    }

    fn to(&mut self, target: &Target<'_>) -> Result<&mut Session, Failure> {
        let known = self.made.iter().position(|session| session.way() == target.way);
        let place = match known {
            Some(place) => place,
            None => {
                let spec = self.specs.iter().find(|spec| spec.0 == *target.way);
                let spec = spec.map_or(target.connection, |(_, spec)| spec);
                self.made.push(Session::new(target.way, spec, &target.other_units())?);
                self.made.len() - 1
            }
        };
        Ok(&mut self.made[place])
    }

    /// The same where something was asked before.
    fn known(&mut self, target: &Target<'_>) -> &mut Session {
        let known = self.made.iter_mut().find(|session| session.way() == target.way);
        known.expect("it was asked before")
    }
}

/// The devices that are asked.
fn targets<'s, F: FunctionSet>(
    site: &'s RealSite<F>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Target<'s>>, Failure> {
    let mut members: Vec<&RealMember<F>> = Vec::new();
    for member in &site.members {
        let is_here = wanted.host.is_none_or(|host| host == member.host());
        let is_known = members.iter().any(|known| known.spec.grid == member.spec.grid);
        // All controllers of a grid reach the same devices; a witness reaches none.
        if is_here && !is_known && !member.spec.bus.devices.is_empty() {
            members.push(member);
        }
    }
    let all: Vec<Target<'s>> = members.into_iter().flat_map(Target::all_of).collect();
    let path = site.document.path();
    if all.is_empty() {
        return Err(Failure::usage(format!("{path}: no controller of that host has devices")));
    }
    let is_called = |target: &Target<'_>, name: &str| target.name() == name || target.spec.name == name;
    if let Some(name) = wanted.devices.iter().find(|name| !all.iter().any(|target| is_called(target, name))) {
        let known: Vec<String> = all.iter().map(Target::name).collect();
        return Err(Failure::usage(format!("--device {name}: {path} has the devices {}", known.join(", "))));
    }
    let is_wanted = |target: &Target<'_>| {
        wanted.devices.is_empty() || wanted.devices.iter().any(|name| is_called(target, name))
    };
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// The grids of these devices.
fn grids<'s>(targets: &[Target<'s>]) -> Vec<&'s str> {
    let mut grids: Vec<&str> = targets.iter().map(|target| target.grid).collect();
    grids.dedup();
    grids
}

/// What the devices of a grid read at about one instant.
fn see<'t, 's>(
    grid: &str,
    targets: &'t [Target<'s>],
    looks: &[Looked],
    sessions: &mut Sessions,
) -> Result<Vec<Seen<'t, 's>>, Failure> {
    let mut seen = Vec::new();
    for (target, looked) in targets.iter().zip(looks).filter(|(target, _)| target.grid == grid) {
        // What could not be read before is not waited for again.
        let power = match looked.value(PointKind::Power) {
            Some(_) => read_point(sessions.to(target)?, target, PointKind::Power).map(|(power, _)| power),
            None => None,
        };
        seen.push(Seen { target, power, set_point: looked.value(PointKind::SetPoint) });
    }
    Ok(seen)
}

//! `r-emsd`: runs the controllers of a site in real time, with an API by which people and programs look and ask.
//!
//! - `args` is what a user may write, `demo` the scenario that the program brings along, `production` makes a site ready to run,
//!   `hybrid` lets a simulated plant stand for some of its devices, and `about` is what is told of either; `hosts` what passes
//!   between hosts;
//! - `running` is the loop, on a thread of its own; `published` and `feed` pass on what happens in it;
//! - `reload` reads a site file again, on a thread of its own;
//! - `recording` keeps its log, which `flushed` does not let wait;
//! - `service` answers requests on a Unix socket, on another thread; `socket` is the place of that socket;
//! - `signals` end the daemon in order; `systemd` is told how it is; `logging` is what standard error says, by `lines`.
//!
//! **Invariant:** the loop waits for nobody but its clock. What is asked of it is bounded, logged with the run, and replayed
//! with it.

mod about;
pub mod args;
pub mod demo;
pub mod feed;
mod flushed;
mod hosts;
mod hybrid;
mod lines;
mod logging;
mod neighbors;
mod ports;
mod production;
pub mod published;
mod recording;
mod reload;
mod running;
mod service;
mod signals;
mod socket;
mod systemd;

use std::ffi::OsString;
use std::fs::File;

use clap::Parser;
use r_ems_engine::Span;
use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::{Overrides, RealSite};
use r_ems_site::clock::Face;
use r_ems_site::control::{Control, control};
use r_ems_site::paced::End;
use r_ems_site::site::Gauges;
use r_ems_site::{BootClock, real_time};
use tokio::sync::oneshot;

use self::about::About;
use self::args::{Arguments, Mode};
use self::hosts::Hosts;
use self::hybrid::Plant;
use self::logging::Said;
use self::production::Site;
use self::recording::{Kept, Log};
use self::reload::{Again, Effective};
use self::running::{Ended, Loop, STOP_PATIENCE, Simulated, World};
use self::service::Plan;
use self::signals::Early;
use self::socket::{Readers, Socket};
use crate::api::{Config, Text, VERSION};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say, survive_file_limits};
use crate::study::contained::quiet_contained_panics;
use crate::study::load::{Loaded, load, load_from, report_text};
use crate::study::{Prepared, Study, prepare};

/// So long the start of all threads may take: the run's time begins then.
const LEAD: Span = Span::from_millis(50);

/// Does what the arguments say, with the functions of `F`.
pub fn main<F>(arguments: impl IntoIterator<Item = OsString>) -> Exit
where
    F: FunctionSet + Send + Sync + 'static,
{
    let fails = |Failure { exit, message }| {
        say(&logging::failure(&message));
        exit
    };
    // Before anything that takes long, and before there is another thread.
    let early = match Early::note() {
        Ok(early) => early,
        Err(error) => return fails(failed("signals cannot be handled", &error)),
    };
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return answer(&error).unwrap_or_else(fails),
    };
    let said = match logging::start(arguments.log) {
        Ok(said) => said,
        Err(error) => return fails(Failure::error(format!("nothing can be told: {error}"))),
    };
    quiet_contained_panics();
    run::<F>(&arguments, &said, early).unwrap_or_else(|Failure { exit, message }| {
        said.fail(&message);
        exit
    })
}

/// Help and version are answers; everything else that the parser says is about wrong arguments.
fn answer(error: &clap::Error) -> Result<Exit, Failure> {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        say(text.trim_end());
        return Ok(Exit::Usage);
    }
    Output::default().text(&text)?;
    Ok(Exit::Ok)
}

/// A run that can begin.
struct Ready<F: FunctionSet> {
    about: About,
    effective: Effective,
    again: Option<Again>,
    machines: Vec<Controller<F>>,
    world: World,
    control: Control,
    face: Face,
    log: Option<Log>,
    hosts: Hosts,
    gauges: Option<Gauges>,
    readers: Option<Readers>,
    /// What stands for devices of a site that are simulated.
    plant: Option<Plant>,
}

/// Asks for what lets the loop be on time, and says what it does not get. It holds until what it gives is dropped.
fn punctual(keep_awake: bool) -> Option<File> {
    let warn = |refused| tracing::warn!("{refused}");
    real_time::ask_for_memory().unwrap_or_else(warn);
    let awake = keep_awake.then(real_time::keep_awake)?;
    awake.map_err(warn).ok()
}

/// Runs until somebody ends it, or the scenario is over.
fn run<F>(arguments: &Arguments, said: &Said, early: Early) -> Result<Exit, Failure>
where
    F: FunctionSet + Send + Sync + 'static,
{
    arguments.check()?;
    survive_file_limits().map_err(|error| failed("signals cannot be handled", &error))?;
    let (socket, ready) = match (arguments.mode, &arguments.file) {
        (Mode::Production, Some(file)) => {
            let site = production::load::<F>(file)?;
            let socket = Socket::bind(arguments.socket.as_deref())?;
            (socket, real(&site, arguments, None)?)
        }
        (Mode::Hybrid, Some(file)) => {
            let mut site = production::load::<F>(file)?;
            let plant = hybrid::stand_in(&mut site, arguments, said)?;
            let socket = Socket::bind(arguments.socket.as_deref())?;
            (socket, real(&site, arguments, Some(plant))?)
        }
        (Mode::Production | Mode::Hybrid, None) => unreachable!("that was refused"),
        (Mode::Simulation, _) => {
            let study = simulation::<F>(arguments, said)?;
            let socket = Socket::bind(arguments.socket.as_deref())?;
            (socket, simulated(study, arguments)?)
        }
    };
    let _awake = punctual(arguments.keep_awake);
    let Ready { about, effective, again, machines, world, control, face, log, hosts, gauges, readers, plant } =
        ready;
    let (feed, fed, events) = feed::feed(machines.len());
    let (over, ended) = oneshot::channel();
    let plan = Plan {
        about,
        effective,
        machines: machines.clone(),
        control: control.clone(),
        face,
        fed,
        events,
        listener: socket.listener().map_err(|error| failed("the socket cannot be shared", &error))?,
        readers,
        lines: said.lines(),
        log: log.as_ref().map(Log::kept),
        hosts,
        gauges,
        over: ended,
    };
    let reloads = again
        .map(Again::start)
        .transpose()
        .map_err(|error| failed("the site file cannot be read again", &error))?;
    let signals = signals::watch(control, reloads, early)
        .map_err(|error| failed("signals cannot be watched", &error))?;
    tracing::info!("{}: r-emsctl finds this daemon at {}", plan.about.title, socket.path().display());
    plant.map_or(Ok(()), Plant::start)?;
    let serving = service::start(plan).map_err(|error| failed("the service cannot start", &error))?;
    let looping = Loop { world, machines, feed };
    let looping = looping
        .start(move || {
            // Whoever listens ends with it; nobody listens if the service has ended already.
            let _told = over.send(());
        })
        .map_err(|error| failed("the loop cannot start", &error))?;
    let ran = looping.join();
    let kept = log.map(Log::end);
    signals.end();
    serving.end(service::ENDS_WITHIN);
    drop(socket);
    let ended =
        ran.map_err(|_panic| Failure::error("the loop failed, which is a bug of r-ems; see above"))??;
    Ok(tell(&ended, kept))
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::error(format!("{what}: {error}"))
}

/// Loads the scenario of a simulation.
fn simulation<F: FunctionSet>(arguments: &Arguments, said: &Said) -> Result<Study<F>, Failure> {
    let overrides = Overrides { settings: arguments.set.clone(), ..Overrides::default() };
    let Loaded { study, warnings } = match &arguments.file {
        Some(file) => load::<F>(file, &overrides)?,
        None => load_from::<F>(&demo::files(), demo::PATH, &overrides)?,
    };
    if !warnings.mistakes.is_empty() {
        said.warn(&report_text(&warnings));
    }
    Ok(study)
}

/// Makes a simulation ready to run.
fn simulated<F: FunctionSet>(study: Study<F>, arguments: &Arguments) -> Result<Ready<F>, Failure> {
    let text = |document: &r_ems_scenarios::Document| Text {
        path: document.path().to_owned(),
        text: document.text().to_owned(),
    };
    let config = Config {
        version: VERSION.to_owned(),
        mode: "simulation".to_owned(),
        scenario: text(&study.scenario),
        site: text(&study.site),
    };
    let keeps_journals = study.world.persistence.is_some();
    let Prepared { facts, header, machines, world: driver, inputs } = prepare(study)?;
    let (record, log) =
        arguments.record.as_deref().map(|path| recording::begin(path, &inputs)).transpose()?.unzip();
    let clock = BootClock::begin_in(LEAD).map_err(|error| failed("the clock cannot be used", &error))?;
    let face = clock.face();
    let (control, controlled) = control(Some(clock.waker()));
    let world = World::Simulated(Box::new(Simulated { driver, header, record, clock, controlled }));
    let (about, hosts) = (About { keeps_journals, ..facts.into() }, Hosts::default());
    Ok(Ready {
        about,
        effective: Effective::once(config),
        again: None,
        machines,
        world,
        control,
        face,
        log,
        hosts,
        gauges: None,
        readers: None,
        plant: None,
    })
}

/// Makes a site ready to run, and lets a plant stand for some of its devices.
fn real<F>(site: &RealSite<F>, arguments: &Arguments, plant: Option<Plant>) -> Result<Ready<F>, Failure>
where
    F: FunctionSet + Send + Sync + 'static,
{
    let simulated = plant.as_ref().map_or_else(Vec::new, Plant::devices);
    let Site { about, effective, again, machines, driver, control, face, hosts, gauges, readers } =
        production::begin(site, arguments, &simulated)?;
    let world = World::Real(Box::new(driver));
    Ok(Ready {
        about,
        effective,
        again: Some(again),
        machines,
        world,
        control,
        face,
        log: None,
        hosts,
        gauges: Some(gauges),
        readers,
        plant,
    })
}

/// Says how it ended, and its log.
fn tell(ended: &Ended, kept: Option<Kept>) -> Exit {
    let log = kept.zip(ended.recorded.as_ref()).map_or(Exit::Ok, |(kept, recorded)| kept.tell_end(recorded));
    if let Some(words) = &ended.words {
        tracing::error!("a controller failed an assertion: {words}; record the run and send its log");
        return Exit::Error;
    }
    if ended.unkept > 0 {
        tracing::error!(
            "{} of the controllers could not keep their last state; they begin with an older one",
            ended.unkept
        );
        return Exit::Error;
    }
    match ended.end {
        End::Over => tracing::info!("the scenario is over"),
        End::InOrder if ended.living > 0 => tracing::warn!(
            "stopped: {} of the controllers had not ended in order after {STOP_PATIENCE}, or were down before",
            ended.living
        ),
        End::InOrder => tracing::info!("stopped in order"),
        End::AtOnce => {
            tracing::warn!("stopped at once, as it was asked twice");
            return Exit::Error;
        }
    }
    log
}

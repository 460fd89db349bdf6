//! The service plane: what people and programs ask of a running daemon, on a thread of its own.
//!
//! - `server` takes connections from a Unix socket, within bounds; `routes` says what can be asked, `openapi` describes it;
//! - `views` reads the states of controllers, `elsewhere` what they hear of other hosts, `status` puts them together; `active` is
//!   who may write, and why it writes what it does;
//! - `history` keeps events, `conditions` what lasts;
//! - `commands` passes on what operators want and waits for what comes of it, `orders` what they tell devices;
//! - `scrape` is for Prometheus.
//!
//! **Invariant:** the loop waits for nothing here. What comes from it comes by [`super::feed`], what goes to it goes by
//! [`r_ems_site::control`]; both are bounded and say what happens when they are full.

mod active;
mod commands;
mod conditions;
mod elsewhere;
mod history;
mod openapi;
mod orders;
mod routes;
mod scrape;
mod server;
mod status;
mod told;
mod views;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Signal, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use r_ems_engine::Time;
use r_ems_engine::controller::Controller;
use r_ems_engine::event::{Event, Severity};
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::points::Quality;
use r_ems_site::Control;
use r_ems_site::clock::Face;
use r_ems_site::site::Gauges;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, oneshot, watch};

use self::history::History;
use self::views::{States, Views};
use super::about::About;
use super::feed::{Fed, Told, What};
use super::hosts::Hosts;
use super::lines::Lines;
use super::recording::Kept;
use super::reload::Effective;
use super::socket::{Listener, Readers};
use super::{logging, systemd};
use crate::metrics::Metrics;

/// So long the thread may take to end once the loop has ended: longer than what is being answered may.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How often is looked whether the loop has begun.
const BEGINS_LOOK: Duration = Duration::from_millis(2);

/// What a service is made from.
pub(super) struct Plan<F: FunctionSet> {
    pub(super) about: About,
    pub(super) effective: Effective,
    pub(super) machines: Vec<Controller<F>>,
    pub(super) control: Control,
    pub(super) face: Face,
    pub(super) fed: Fed,
    pub(super) events: Receiver<Told>,
    pub(super) listener: Listener,
    /// Where those are heard who only look.
    pub(super) readers: Option<Readers>,
    pub(super) lines: Arc<Lines>,
    pub(super) log: Option<Kept>,
    pub(super) hosts: Hosts,
    /// What a site's driver counts.
    pub(super) gauges: Option<Gauges>,
    /// Comes when the loop has ended.
    pub(super) over: oneshot::Receiver<()>,
}

/// What requests are answered from.
pub(super) struct Api {
    about: About,
    effective: Effective,
    control: Control,
    face: Face,
    fed: Fed,
    lines: Arc<Lines>,
    log: Option<Kept>,
    views: Box<dyn Views>,
    history: Mutex<History>,
    metrics: Mutex<Metrics>,
    /// The places of those who follow events.
    followers: Arc<Semaphore>,
    /// By grid, whose turn it is to command it.
    turns: Vec<Arc<tokio::sync::Mutex<()>>>,
    /// The number of the last event, for those who wait for the next.
    newest: watch::Sender<u64>,
    /// Whether there is no next one.
    is_over: AtomicBool,
}

impl Api {
    fn new<F>(plan: &Plan<F>) -> Self
    where
        F: FunctionSet + Send + Sync + 'static,
    {
        let metrics = Metrics::new(&plan.about.controllers);
        let looked_at = scrape::Loop {
            control: plan.control.clone(),
            fed: plan.fed.clone(),
            lines: Arc::clone(&plan.lines),
            log: plan.log.clone(),
            hosts: plan.hosts.clone(),
            site: plan.gauges.clone().map(|gauges| scrape::Site {
                gauges,
                names: plan.about.controllers.clone(),
                face: plan.face,
                simulated: plan.about.simulated(),
            }),
        };
        let metrics = metrics.with(looked_at);
        Self {
            about: plan.about.clone(),
            effective: plan.effective.clone(),
            control: plan.control.clone(),
            face: plan.face,
            fed: plan.fed.clone(),
            lines: Arc::clone(&plan.lines),
            log: plan.log.clone(),
            views: Box::new(States::new(&plan.about, &plan.machines)),
            history: Mutex::default(),
            metrics: Mutex::new(metrics),
            followers: Arc::new(Semaphore::new(server::FOLLOWERS_MAX)),
            turns: plan.about.grids.iter().map(|_grid| Arc::default()).collect(),
            newest: watch::Sender::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        self.face.now()
    }

    fn controllers(&self) -> impl Iterator<Item = ControllerIndex> + use<> {
        (0..self.about.controllers.len()).map(ControllerIndex::of)
    }

    /// No event comes any more: whoever follows them has all.
    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.newest.send_modify(|_last| {});
    }

    /// Takes in what happened in the loop.
    fn note(&self, told: Told) {
        let (line, severity) = self.history().add(told, &self.about, &*self.views);
        if let What::Event(event) = &told.what {
            self.metrics().note(told.from, event);
        }
        let is_return =
            matches!(told.what, What::Event(Event::QualityChanged { quality: Quality::Good, .. }));
        logging::event(&line, if is_return { Severity::Info } else { severity });
        self.newest.send_replace(line.number);
    }
}

/// A service that runs.
pub(super) struct Serving {
    thread: JoinHandle<()>,
    /// Nothing ever comes: it is closed when the thread ends.
    ended: Signal<()>,
}

impl Serving {
    /// Waits until it has ended, for a while: nobody whom it waits for keeps the daemon.
    pub(super) fn end(self, patience: Duration) {
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the service did not end; the daemon ends without it");
        } else if self.thread.join().is_err() {
            tracing::error!("the service failed; the loop went on without it");
        }
    }
}

/// Starts the thread.
#[expect(clippy::disallowed_methods, reason = "it serves people and decides nothing")]
pub(super) fn start<F>(plan: Plan<F>) -> io::Result<Serving>
where
    F: FunctionSet + Send + Sync + 'static,
{
    plan.listener.set_nonblocking(true)?;
    if let Some(readers) = &plan.readers {
        readers.set_nonblocking(true)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ends, ended) = channel();
    let thread = std::thread::Builder::new().name("service".to_owned()).spawn(move || {
        let _ends = ends;
        runtime.block_on(serve(plan));
    })?;
    Ok(Serving { thread, ended })
}

/// Serves until the loop has ended.
async fn serve<F>(plan: Plan<F>)
where
    F: FunctionSet + Send + Sync + 'static,
{
    let api = Arc::new(Api::new(&plan));
    let Plan { mut events, listener, readers, over, .. } = plan;
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the control API cannot be served: {error}"),
    };
    let readers = match readers.map(tokio::net::TcpListener::from_std).transpose() {
        Ok(readers) => readers,
        Err(error) => return tracing::error!("the control API cannot be served over TCP: {error}"),
    };
    let (places, of_readers) = (server::Places::of_operators(), server::Places::of_readers());
    let notes = async {
        while let Some(told) = events.recv().await {
            api.note(told);
        }
    };
    tokio::select! {
        () = notes => {}
        () = server::accept(&listener, &api, &places) => {}
        () = server::accept_readers(readers.as_ref(), &api, &of_readers) => {}
        () = care(&api) => {}
        _ = over => {}
    }
    // What the loop told last.
    while let Ok(told) = events.try_recv() {
        api.note(told);
    }
    api.end();
    places.linger().await;
    of_readers.linger().await;
}

/// Tells systemd how everything is.
async fn care(api: &Api) {
    let watchdog = systemd::Watchdog::start();
    let every = watchdog.as_ref().map_or(systemd::STATUS_EVERY, |(_, every)| *every);
    let mut watchdog = watchdog.map(|(watchdog, _)| watchdog);
    let mut told = String::new();
    while api.control.progress() == 0 {
        tokio::time::sleep(BEGINS_LOOK).await;
    }
    systemd::ready();
    let mut whole_log = api.log.as_ref();
    loop {
        tokio::time::sleep(every.min(systemd::STATUS_EVERY)).await;
        // It is told once.
        let _told = whole_log.take_if(|log| log.tell_cut());
        if let Some(watchdog) = &mut watchdog
            && !watchdog.look(api.control.progress())
        {
            tracing::error!("the loop stands still");
        }
        let line = status::line(&api.status());
        if line != told {
            systemd::status(&line);
            told = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a thread that does not end")]
    fn who_waits_for_a_service_that_does_not_end_goes_on_without_it() {
        let (ends, ended) = channel();
        let (lets_go, held) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let _let_go = held.recv_timeout(Duration::from_secs(60));
            drop(ends);
        });
        Serving { thread, ended }.end(Duration::ZERO);
        assert_eq!(lets_go.send(()), Ok(()), "it still waits");
    }
}

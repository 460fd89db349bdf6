//! Serves the devices of a simulated plant to anybody's Modbus client, over TCP or on a serial line, in real time.
//!
//! ```text
//!     client ──request──> connection ──> unit ──> plant, brought up to now ──after its link's latency──> answer
//! ```
//!
//! The world is the scenario's: its plant, its timeline, and what its links make of requests. Its controllers do not live here:
//! whoever connects is the controller. Each connection is answered in order, each request after its own time, however many are
//! under way; one that sends what is no frame is closed. On a serial line, which has no port here but a [`FarEnd`], a request is
//! what is whole; what is none is forgotten with the next silence, and no unit speaks for another.
//!
//! **Bounds:** so many connections at once for an address ([`CONNECTIONS_MAX`]; one where the site says `ActiveOnly`), and for
//! each as many answers as requests may be under way ([`PIPELINING_MAX`]) and come with one read: nothing is read while so many
//! wait.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use r_ems_engine::Span;
use r_ems_engine::fieldbus::frame::{Assembler, Frame, FrameFlaw};
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::master::PIPELINING_MAX;
use r_ems_engine::fieldbus::pdu::put_exception;
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::fieldbus::rtu;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{ConnectionIndex, ControllerIndex, DeviceIndex};
use r_ems_sim::driver::SimDriver;
use r_ems_site::clock::Face;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::far_end::FarEnd;
use crate::study::Study;

/// Most connections to one address at once; one more is closed at once.
pub const CONNECTIONS_MAX: usize = 64;
/// So often the plant is brought up to date while nobody asks.
const TICK: Duration = Duration::from_millis(100);
/// A pause after a connection could not be taken: there may be no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Bytes that are read at once.
const READ_BYTES: usize = 1_024;

/// So long after its last byte a request on a serial line is not whole any more; what is sent together comes sooner.
const PIECES_WITHIN: Duration = Duration::from_millis(50);

/// One address, and the devices behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// The grid that they belong to.
    pub grid: String,
    /// Which connection of the grid's controllers leads to it.
    pub connection: ConnectionIndex,
    /// The address in the site file, or the path of the port.
    pub address: String,
    /// How frames lie there.
    pub framing: Framing,
    /// By unit: whose links lead to the device, and which device it is.
    pub units: Vec<(u8, ControllerIndex, DeviceIndex)>,
    /// Their names, in the same order.
    pub devices: Vec<String>,
    /// Whether it takes one connection at a time.
    pub takes_one: bool,
}

/// The addresses of a scenario's site, grid by grid, as the first controller of each reaches them: all of a grid have the same.
pub fn stations<F: FunctionSet>(study: &Study<F>) -> Vec<Station> {
    let mut stations: Vec<Station> = Vec::new();
    let mut grids: Vec<u16> = Vec::new();
    for (controller, post) in study.world.posts.iter().enumerate() {
        if post.bus.devices.is_empty() || grids.contains(&post.grid) {
            continue;
        }
        grids.push(post.grid);
        let names = &study.facts.controllers[controller];
        for (position, address) in study.addresses[controller].iter().enumerate() {
            let mut station = Station {
                grid: names.grid.clone(),
                connection: ConnectionIndex::of(position),
                address: address.clone(),
                framing: post.bus.connections[position].framing,
                units: Vec::new(),
                devices: Vec::new(),
                takes_one: false,
            };
            for map in post.bus.devices.iter().filter(|map| map.connection().position() == position) {
                let place = map.device().position();
                let unit = post.bus.connections[position].units[usize::from(map.unit())].unit;
                station.units.push((unit, ControllerIndex::of(controller), map.device()));
                station.devices.push(names.devices[place].name.clone());
                station.takes_one |= post.links[place].one_connection.is_some();
            }
            stations.push(station);
        }
    }
    stations
}

/// Whoever is told of connections that come and go.
pub type Tell = fn(&str);

/// The world that all connections share.
struct World {
    driver: SimDriver,
    face: Face,
}

impl World {
    fn pass(&mut self) {
        let now = self.face.now();
        self.driver.pass_until(now);
    }

    /// The answer to a frame, and how long it takes; `None`: there is none.
    fn answer(&mut self, station: &Station, asked: Frame<'_>) -> Option<(Vec<u8>, Span)> {
        let Frame { transaction, unit, pdu: request } = asked;
        let known = station.units.iter().find(|known| known.0 == unit);
        let mut pdu = Vec::new();
        let takes = match known {
            Some((_, controller, device)) => {
                self.pass();
                self.driver.serve((*controller, *device), request, &mut pdu)?
            }
            None if station.framing != Framing::Tcp => return None,
            None => {
                put_exception(&mut pdu, request.first().copied().unwrap_or_default(), Exception::NO_RESPONSE);
                Span::ZERO
            }
        };
        let mut bytes = Vec::new();
        station.framing.put(&mut bytes, transaction, unit, |out| out.extend_from_slice(&pdu));
        let passes = station.framing.passes(request.len()) + station.framing.passes(pdu.len());
        Some((bytes, takes + passes))
    }
}

/// Where clients come in.
#[derive(Debug)]
pub enum Entrance {
    /// At a port of TCP.
    Tcp(TcpListener),
    /// At a serial line.
    Line(FarEnd),
}

/// Serves all stations until the scenario is over.
pub async fn serve(driver: SimDriver, face: Face, stations: Vec<(Station, Entrance)>, tell: Tell) {
    let end = driver.end();
    let world = Rc::new(RefCell::new(World { driver, face }));
    let local = tokio::task::LocalSet::new();
    for (station, entrance) in stations {
        let (station, world) = (Rc::new(station), Rc::clone(&world));
        match entrance {
            Entrance::Tcp(listener) => drop(local.spawn_local(accept(station, listener, world, tell))),
            Entrance::Line(far_end) => drop(local.spawn_local(async move {
                let at = far_end.path().display().to_string();
                if let Err(error) = line(far_end, &station, &world).await {
                    tell(&format!("{at}: the line is gone: {error}"));
                }
            })),
        }
    }
    local
        .run_until(async {
            while face.now() < end {
                tokio::time::sleep(TICK).await;
                world.borrow_mut().pass();
            }
        })
        .await;
}

/// Takes connections for ever.
async fn accept(station: Rc<Station>, listener: TcpListener, world: Rc<RefCell<World>>, tell: Tell) {
    let at = listener.local_addr().map_or_else(|_unbound| station.address.clone(), |at| at.to_string());
    let places = Rc::new(Semaphore::new(if station.takes_one { 1 } else { CONNECTIONS_MAX }));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (station, world, places) = (Rc::clone(&station), Rc::clone(&world), Rc::clone(&places));
                let at = at.clone();
                tokio::task::spawn_local(async move {
                    let Ok(_place) = places.try_acquire() else {
                        return tell(&format!("{at}: {peer} finds no place and is refused"));
                    };
                    tell(&format!("{at}: {peer} is connected"));
                    match connection(stream, &station, &world).await {
                        Ok(()) => tell(&format!("{at}: {peer} has gone")),
                        Err(error) => tell(&format!("{at}: {peer} is cut off: {error}")),
                    }
                });
            }
            Err(error) => {
                tell(&format!("{at}: a connection cannot be taken: {error}"));
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Answers one connection until it ends.
async fn connection(mut stream: TcpStream, station: &Station, world: &RefCell<World>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut assembler, mut bytes) = (Assembler::default(), [0; READ_BYTES]);
    let mut answers: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let (mut is_heard, mut flaw) = (true, Ok(()));
    while is_heard || !answers.is_empty() {
        let next = answers.front().map(|(due, _)| *due);
        tokio::select! {
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if let Some((_, answer)) = answers.pop_front() {
                    stream.write_all(&answer).await?;
                }
            }
            read = stream.read(&mut bytes), if is_heard && answers.len() < usize::from(PIPELINING_MAX) => {
                let count = read?;
                let now = Instant::now();
                let heard = assembler.feed(&bytes[..count], |frame| {
                    let Some((answer, takes)) = world.borrow_mut().answer(station, frame) else { return };
                    let due = now + Duration::from_nanos(takes.as_nanos());
                    answers.push_back((answers.back().map_or(due, |(last, _)| due.max(*last)), answer));
                });
                flaw = heard.map_err(|flaw: FrameFlaw| std::io::Error::other(flaw.to_string()));
                is_heard = count > 0 && flaw.is_ok();
            }
        }
    }
    flaw
}

/// Answers a serial line as long as it is there.
async fn line(far_end: FarEnd, station: &Station, world: &RefCell<World>) -> std::io::Result<()> {
    let (mut line, mut heard, mut bytes) = (far_end.listen()?, Vec::new(), [0; READ_BYTES]);
    loop {
        let read = line.hears.read(&mut bytes);
        let count = if heard.is_empty() {
            read.await?
        } else if let Ok(count) = tokio::time::timeout(PIECES_WITHIN, read).await {
            count?
        } else {
            heard.clear();
            continue;
        };
        heard.extend_from_slice(&bytes[..count]);
        if let Some(frame) = rtu::whole(&heard) {
            let answer = world.borrow_mut().answer(station, frame);
            heard.clear();
            if let Some((bytes, takes)) = answer {
                tokio::time::sleep(Duration::from_nanos(takes.as_nanos())).await;
                line.says.write_all(&bytes).await?;
            }
        } else if heard.len() > rtu::MAX_RTU_BYTES {
            heard.clear();
        }
    }
}

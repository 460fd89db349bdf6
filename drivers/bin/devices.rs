//! Serves the devices of a simulated plant to anybody's Modbus client, over TCP and in real time.
//!
//! ```text
//!     client ──request──> connection ──> unit ──> plant, brought up to now ──after its link's latency──> answer
//! ```
//!
//! The world is the scenario's: its plant, its timeline, and what its links make of requests. Its controllers do not live here:
//! whoever connects is the controller. Each connection is answered in order, as by a gateway; one that sends what is no frame is
//! closed.
//!
//! **Bounds:** so many connections at once for an address ([`CONNECTIONS_MAX`]; one where the site says `ActiveOnly`), and one
//! frame of memory for each.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use r_ems_engine::Span;
use r_ems_engine::fieldbus::frame::{self, Assembler, FrameFlaw};
use r_ems_engine::fieldbus::pdu::put_exception;
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{ConnectionIndex, ControllerIndex, DeviceIndex};
use r_ems_sim::driver::SimDriver;
use r_ems_site::clock::Face;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::study::Study;

/// Most connections to one address at once; one more is closed at once.
pub const CONNECTIONS_MAX: usize = 64;
/// So often the plant is brought up to date while nobody asks.
const TICK: Duration = Duration::from_millis(100);
/// A pause after a connection could not be taken: there may be no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Bytes that are read at once.
const READ_BYTES: usize = 1_024;

/// One address, and the devices behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// The grid that they belong to.
    pub grid: String,
    /// Which connection of the grid's controllers leads to it.
    pub connection: ConnectionIndex,
    /// The address in the site file.
    pub address: String,
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
    fn answer(&mut self, station: &Station, asked: (u16, u8, &[u8])) -> Option<(Vec<u8>, Span)> {
        let (transaction, unit, request) = asked;
        let known = station.units.iter().find(|known| known.0 == unit);
        let mut pdu = Vec::new();
        let takes = match known {
            Some((_, controller, device)) => {
                self.pass();
                self.driver.serve((*controller, *device), request, &mut pdu)?
            }
            None => {
                put_exception(&mut pdu, request.first().copied().unwrap_or_default(), Exception::NO_RESPONSE);
                Span::ZERO
            }
        };
        let mut bytes = Vec::new();
        frame::put(&mut bytes, transaction, unit, |out| out.extend_from_slice(&pdu));
        Some((bytes, takes))
    }
}

/// Serves all stations until the scenario is over.
pub async fn serve(driver: SimDriver, face: Face, stations: Vec<(Station, TcpListener)>, tell: Tell) {
    let end = driver.end();
    let world = Rc::new(RefCell::new(World { driver, face }));
    let local = tokio::task::LocalSet::new();
    for (station, listener) in stations {
        local.spawn_local(accept(Rc::new(station), listener, Rc::clone(&world), tell));
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
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let mut asked = Vec::new();
        let whole = assembler.feed(&bytes[..count], |frame| {
            asked.push((frame.transaction, frame.unit, frame.pdu.to_vec()));
        });
        for (transaction, unit, request) in asked {
            let answer = world.borrow_mut().answer(station, (transaction, unit, &request));
            if let Some((bytes, takes)) = answer {
                tokio::time::sleep(Duration::from_nanos(takes.as_nanos())).await;
                stream.write_all(&bytes).await?;
            }
        }
        whole.map_err(|flaw: FrameFlaw| std::io::Error::other(flaw.to_string()))?;
    }
}

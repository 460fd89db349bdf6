//! Devices whose Modbus is not ours: `tokio-modbus` serves a meter and a battery, and `r-emsd` runs a site with them.
//!
//! Its codec refuses frames that it does not understand, and the devices refuse what their registers do not have: whatever
//! `r-emsd` sends wrongly is an exception or a closed connection, and fails the test.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};

use super::daemon::{Daemon, until};
use super::production::Site;

/// What is drawn behind the meter, in W; it changes by a watt with each poll, as no load stands still.
const LOAD_W: u32 = 300_000;
/// What may be drawn, and how near it the peak must be shaved, in W.
const LIMIT_W: f64 = 220e3;
const NEAR_W: f64 = 500.0;
/// The registers of `commerce_modbus.ron`: the meter's power, what the battery is, and what is wanted of it.
const METER: u16 = 52;
const BATTERY: u16 = 100;
const SET_POINT: u16 = 200;
/// Half full, in ‰, and what the battery can give and take, in 10 W.
const STATE_OF_CHARGE: u16 = 500;
const POWER_LIMIT: u16 = 25_000;

/// A load, a meter before it, and a battery that does what it is told.
#[derive(Default)]
struct Shop {
    set_point_w: AtomicI32,
    /// It takes no set-points for now.
    refuses: AtomicBool,
    polls: AtomicU32,
    /// Requests that these devices do not have: none is expected.
    wrong: AtomicU32,
}

#[derive(Clone, Copy)]
enum Kind {
    Meter,
    Battery,
}

/// One connection to a device.
struct Device(Kind, Arc<Shop>);

impl Service for Device {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        let answer = self.answer(request.slave, &request.request);
        let is_wrong = answer.as_ref().is_err_and(|code| *code != ExceptionCode::ServerDeviceFailure);
        self.1.wrong.fetch_add(u32::from(is_wrong), Ordering::SeqCst);
        ready(answer)
    }
}

impl Device {
    fn answer(&self, unit: u8, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        match (self.0, unit) {
            (Kind::Meter, 1) | (Kind::Battery, 3) => {}
            (Kind::Meter | Kind::Battery, _) => return Err(ExceptionCode::GatewayTargetDevice),
        }
        if let (Kind::Meter, Request::ReadInputRegisters(from, count)) = (self.0, request) {
            let load = LOAD_W + self.1.polls.fetch_add(1, Ordering::SeqCst) % 2;
            let power_w = f64::from(load) - f64::from(self.1.set_point_w.load(Ordering::SeqCst));
            let registers = registers(&[(METER, &(power_w as f32).to_be_bytes())]);
            return read(&registers, *from, *count).map(Response::ReadInputRegisters);
        }
        if let (Kind::Battery, Request::ReadHoldingRegisters(from, count)) = (self.0, request) {
            let set_point = self.1.set_point_w.load(Ordering::SeqCst).to_be_bytes();
            let states = [STATE_OF_CHARGE, POWER_LIMIT, POWER_LIMIT].map(u16::to_be_bytes);
            let own = [set_point.as_slice(), states.as_flattened()].concat();
            let registers = registers(&[(BATTERY, &own), (SET_POINT, &set_point)]);
            return read(&registers, *from, *count).map(Response::ReadHoldingRegisters);
        }
        if let (Kind::Battery, Request::WriteMultipleRegisters(SET_POINT, words)) = (self.0, request) {
            let [high, low] = words[..] else { return Err(ExceptionCode::IllegalDataValue) };
            if self.1.refuses.load(Ordering::SeqCst) {
                return Err(ExceptionCode::ServerDeviceFailure);
            }
            let power_w = (u32::from(high) << 16 | u32::from(low)).cast_signed();
            self.1.set_point_w.store(power_w, Ordering::SeqCst);
            return Ok(Response::WriteMultipleRegisters(SET_POINT, 2));
        }
        Err(ExceptionCode::IllegalFunction)
    }
}

/// Registers by address, from runs of bytes that begin at one each.
fn registers(runs: &[(u16, &[u8])]) -> BTreeMap<u16, u16> {
    let words = |(from, bytes): &(u16, &[u8])| {
        let words: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        (*from..).zip(words).collect::<Vec<_>>()
    };
    runs.iter().flat_map(words).collect()
}

fn read(registers: &BTreeMap<u16, u16>, from: u16, count: u16) -> Result<Vec<u16>, ExceptionCode> {
    let found: Vec<u16> = (from..).take(count.into()).map_while(|at| registers.get(&at).copied()).collect();
    if found.len() == usize::from(count) { Ok(found) } else { Err(ExceptionCode::IllegalDataAddress) }
}

/// Serves a device at a free port of this computer as long as the runtime lives: its address.
fn serve(runtime: &Runtime, kind: Kind, shop: &Arc<Shop>) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let shop = Arc::clone(shop);
    runtime.spawn(async move {
        let device = |_client| Ok(Some(Device(kind, Arc::clone(&shop))));
        let connected = |stream, client| ready(accept_tcp_connection(stream, client, &device));
        Server::new(listener).serve(&connected, |_ended| {}).await
    });
    address
}

#[test]
fn a_meter_and_a_battery_of_another_library_are_polled_and_commanded() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_io().build().expect("a runtime");
    let shop = Arc::<Shop>::default();
    let (meter, battery) = (serve(&runtime, Kind::Meter, &shop), serve(&runtime, Kind::Battery, &shop));
    let changes = [
        ("scan: \"1 s\"", "scan: \"50 ms\""),
        ("127.0.0.1:15020", meter.as_str()),
        ("127.0.0.1:15021", battery.as_str()),
    ];
    let site = Site::alone("interop", "commerce_modbus.ron", &changes);
    let daemon = site.start("a", &[]);
    let drawn_w = || f64::from(LOAD_W) - f64::from(shop.set_point_w.load(Ordering::SeqCst));
    let is_near = |power_w: f64| (power_w - LIMIT_W).abs() < NEAR_W;
    until("the peak is shaved", || is_near(drawn_w()).then_some(()));
    let devices = until("both are known", || {
        let devices = daemon.json(&["status"])["grids"][0]["devices"].clone();
        let is_shaved = devices[0]["power_w"].as_f64().is_some_and(is_near);
        (is_shaved && devices[1]["write"] == "acknowledged").then_some(devices)
    });
    for (position, name) in ["pcc", "bess"].into_iter().enumerate() {
        let device = &devices[position];
        assert_eq!((&device["name"], &device["quality"]), (&name.into(), &"good".into()), "{devices}");
    }
    assert_eq!(devices[1]["soc"], 0.5, "{devices}");
    assert_eq!(shop.wrong.load(Ordering::SeqCst), 0, "it asks for what is there");
    takes_again_what_was_refused(&daemon, &shop);
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(shop.wrong.load(Ordering::SeqCst), 0, "it asks for what is there");
    site.replay("a", "commerce/a", &[false, false]);
}

/// An exception is told as what it is, and the battery is asked again.
fn takes_again_what_was_refused(daemon: &Daemon, shop: &Shop) {
    shop.refuses.store(true, Ordering::SeqCst);
    daemon.follow("write_failed");
    shop.refuses.store(false, Ordering::SeqCst);
    until("the battery is written to again", || {
        (daemon.json(&["status"])["grids"][0]["devices"][1]["write"] == "acknowledged").then_some(())
    });
}

//! A redundant pair at work among those who mean it no good: authority does not move for them, no scan is missed, no write fails,
//! memory stays bounded, and what was recorded replays.
//!
//! Two of its meters are hostile, strangers send datagrams to its peer ports and hold connections to what it lists, and clients
//! of the control API never read. Each counts what it did, and the test goes on until all of them have done enough.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::{Rng, RngExt};
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use super::daemon::{Daemon, until};
use super::production::{Epochs, Site};

/// More connections than a host takes of those who only look.
const READERS: u64 = 1_000;
/// As many clients follow events and read none.
const DEAF: usize = 8;
/// Most bytes of a datagram that strangers send: as much as a cable takes at once.
const DATAGRAM_BYTES: usize = 1_500;
/// How the datagrams of this version begin, before the sender's number and the receiver's.
const HEAD: &[u8; 6] = b"REMS\x01\x02";
/// How much more memory a controller may take than before, in KiB: measured are some 2 MiB.
const MORE_KIB: u64 = 8 * 1_024;
/// Scans that each controller does meanwhile.
const SCANS: u64 = 16;

/// What was done so far.
#[derive(Default)]
struct Done {
    /// Answers of noise, and single bytes of an answer.
    noises: AtomicU64,
    bytes: AtomicU64,
    datagrams: AtomicU64,
    /// Connections of readers that were ended.
    ended: AtomicU64,
}

impl Done {
    /// Whether there was enough of everything.
    fn is_enough(&self) -> bool {
        [(&self.noises, 10), (&self.bytes, 6), (&self.datagrams, 10_000), (&self.ended, 3 * READERS)]
            .iter()
            .all(|(done, enough)| done.load(Ordering::SeqCst) >= *enough)
    }
}

fn add(to: &AtomicU64) {
    to.fetch_add(1, Ordering::SeqCst);
}

fn random() -> TestRng {
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

/// A listener at a free port of this computer, and its address.
fn listener(runtime: &Runtime) -> (TcpListener, String) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

/// A meter that answers with noise: unasked, asked, and behind the head of the request that it answers.
async fn noise(listener: TcpListener, done: Arc<Done>) {
    let mut random = random();
    for turn in 0_u64.. {
        let Ok((mut stream, _client)) = listener.accept().await else { return };
        let mut request = [0; 12];
        if turn % 3 > 0 && stream.read_exact(&mut request).await.is_err() {
            continue;
        }
        if turn % 3 > 1 && stream.write_all(&request[..8]).await.is_err() {
            continue;
        }
        let mut bytes = [0; 260];
        random.fill_bytes(&mut bytes);
        // It is cut off as soon as it has said more than it was asked for.
        while stream.write_all(&bytes).await.is_ok() {
            random.fill_bytes(&mut bytes);
            sleep(Duration::from_millis(1)).await;
        }
        add(&done.noises);
    }
}

/// A meter that says the right thing, a byte a second.
async fn trickle(listener: TcpListener, done: Arc<Done>) {
    loop {
        let Ok((mut stream, _client)) = listener.accept().await else { return };
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let mut request = [0; 12];
            stream.read_exact(&mut request).await?;
            let answer = [&request[..4], &[0, 7], &request[6..8], &[4, 0, 0, 0, 0]].concat();
            for byte in answer {
                stream.write_all(&[byte]).await?;
                add(&done.bytes);
                sleep(Duration::from_secs(1)).await;
            }
            std::io::Result::Ok(())
        });
    }
}

/// Somebody who sends noise to all hosts, every other time behind what a peer's datagram begins with.
async fn forge(addresses: Vec<String>, done: Arc<Done>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let (mut random, mut bytes) = (random(), [0; DATAGRAM_BYTES]);
    loop {
        for (host, address) in (0_u8..).zip(&addresses) {
            random.fill_bytes(&mut bytes);
            if random.random() {
                bytes[..10].copy_from_slice(&[HEAD.as_slice(), &[(host + 1) % 3, 0, host, 0]].concat());
            }
            let length = random.random_range(0..=DATAGRAM_BYTES);
            // Nobody listens there before the host does.
            if socket.send_to(&bytes[..length], address).await.is_ok() {
                add(&done.datagrams);
            }
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// A reader that asks for nothing, and comes again when it is dropped.
async fn idle(address: String, done: Arc<Done>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(&address).await {
            // Its end or a reset: it is told nothing.
            let _ended = stream.read(&mut [0; 256]).await;
            add(&done.ended);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// A client that follows events and reads none of them.
async fn deaf(socket: String) {
    let mut stream = UnixStream::connect(&socket).await.expect("it listens");
    let request = b"GET /v1/events?follow=true HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.expect("it is taken");
    std::future::pending::<()>().await;
}

/// What a host says of the grid, and what it takes.
struct Look {
    status: Value,
    metrics: String,
    memory_kib: u64,
}

impl Look {
    fn at(daemon: &Daemon) -> Self {
        let (status, body) = daemon.ask("GET", "/v1/status", "");
        assert_eq!(status, 200, "{body}");
        let status: Value = serde_json::from_str(&body).expect("JSON");
        let (_status, metrics) = daemon.ask("GET", "/metrics", "");
        let process = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
        let memory = process.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        let memory_kib = memory.and_then(|memory| memory.trim().parse().ok()).expect("a number");
        Self { status: status["grids"][0].clone(), metrics, memory_kib }
    }

    /// The sum of all series of a name whose labels have `part` in them.
    fn sum(&self, name: &str, part: &str) -> u64 {
        let series = self.metrics.lines().filter(|line| line.starts_with(name) && line.contains(part));
        series.map(|line| line.rsplit_once(' ').expect("a value").1.parse::<u64>().expect("a count")).sum()
    }

    /// How many scans its own controller did, or how many it missed.
    fn count(&self, of: &str) -> u64 {
        self.status["controllers"][0][of].as_u64().expect("a number")
    }

    /// Asserts that nothing has changed that strangers must not change.
    fn is_unmoved_since(&self, before: &Self) {
        assert_eq!(self.status["epoch"], before.status["epoch"], "{:#}", self.status);
        assert_eq!(self.status["active"], before.status["active"], "{:#}", self.status);
        assert_eq!(self.count("missed"), before.count("missed"), "no scan is missed: {:#}", self.status);
        assert_eq!(self.sum("r_ems_write_failures_total", ""), 0, "{}", self.metrics);
        let more = self.memory_kib.saturating_sub(before.memory_kib);
        assert!(more <= MORE_KIB, "it takes {more} KiB more than {} KiB", before.memory_kib);
    }
}

/// The pair with two meters more, a reader's address at host a, and time-outs for a machine that builds beside this test.
fn site_with(noise: &str, trickle: &str, listen: &str) -> Site {
    let site = Site::pair("hostile_site");
    let meter = |name: &str, address: &str| {
        let points = r#"{ "p": Input(address: 52, number: F32, scale: "1 W") }"#;
        let link = format!("Modbus(address: \"{address}\", positive: Import, points: {points})");
        format!("\"{name}\": Meter(link: {link}, rating: \"400 kW\"),\n")
    };
    let devices = meter("noise", noise) + &meter("trickle", trickle) + "\"bess\": Battery(";
    let own = hosts(&site)[0].clone();
    let host = format!("\"{own}\", listen: \"{listen}\"");
    site.change(&[
        ("\"bess\": Battery(", &devices),
        (&format!("\"{own}\""), &host),
        ("scan: \"100 ms\"", "scan: \"500 ms\""),
        ("lease: \"500 ms\"", "lease: \"3 s\""),
        ("watchdog: \"300 ms\"", "watchdog: \"2 s\""),
    ]);
    site
}

/// The peer addresses of the hosts, as the site file has them.
fn hosts(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(&site.path).expect("it was written");
    let addresses = text.lines().find(|line| line.contains("hosts:")).expect("it has hosts");
    let quoted = addresses.split("(address: \"").skip(1);
    quoted.map(|rest| rest.split('"').next().expect("its end").to_owned()).collect()
}

#[test]
fn strangers_move_no_authority_cost_no_scan_fail_no_write_and_fill_no_memory() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let done = Arc::<Done>::default();
    let ((noisy, noise_at), (slow, trickle_at), (free, listen)) =
        (listener(&runtime), listener(&runtime), listener(&runtime));
    drop(free);
    let site = site_with(&noise_at, &trickle_at, &listen);
    runtime.spawn(noise(noisy, Arc::clone(&done)));
    runtime.spawn(trickle(slow, Arc::clone(&done)));
    let key = ["--key", &site.key];
    let [witness, first, second] = ["w", "a", "b"].map(|host| site.start(host, &key));
    let epochs = Epochs::watch(&site);
    until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    let before = until("each knows the other and who writes", || {
        let looks = [&first, &second].map(Look::at);
        let active = [0, 1].map(|own: usize| looks[own].status["active"].as_str().map(str::to_owned));
        let is_ready = |look: &Look| look.status["controllers"][0]["is_ready"] == true;
        (active[0].is_some() && active[0] == active[1] && looks.iter().all(is_ready)).then_some(looks)
    });
    let epoch = until("an epoch was seen at the battery", || Some(epochs.last()).filter(|epoch| *epoch > 0));
    runtime.spawn(forge(hosts(&site), Arc::clone(&done)));
    (0..READERS).for_each(|_| drop(runtime.spawn(idle(listen.clone(), Arc::clone(&done)))));
    for daemon in [&first, &second] {
        (0..DEAF).for_each(|_| drop(runtime.spawn(deaf(daemon.socket().to_owned()))));
    }
    let after = until("there was enough of it", || {
        let looks = [&first, &second].map(Look::at);
        looks.iter().zip(&before).for_each(|(look, before)| look.is_unmoved_since(before));
        let mut both = looks.iter().zip(&before);
        let is_longer = both.all(|(look, before)| look.count("scans") > before.count("scans") + SCANS);
        (is_longer && done.is_enough()).then_some(looks)
    });
    for look in &after {
        for kind in ["foreign", "forged"] {
            let refused = look.sum("r_ems_datagrams_total", &format!("kind=\"refused_{kind}\""));
            assert!(refused > 1_000, "{refused} {kind}: {}", look.metrics);
        }
        for device in look.status["devices"].as_array().expect("a list") {
            let is_hostile = device["name"] == "noise" || device["name"] == "trickle";
            assert_eq!(device["quality"] != "good", is_hostile, "{device}");
        }
    }
    assert_eq!(epochs.last(), epoch, "the battery has had one writer");
    assert!(site.set_point() > 50_000, "the peak is shaved");
    epochs.end();
    for daemon in [&first, &second, &witness] {
        daemon.signal("TERM");
        let (code, said) = daemon.ended();
        assert_eq!(code, Some(0), "{said}");
    }
    drop(runtime);
    for host in ["a", "b", "w"] {
        site.replay(host, &format!("commerce/{host}"), &[false, false]);
    }
}

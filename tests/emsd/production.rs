//! `r-emsd --mode production`: real sockets, real disks, real processes that are killed.
//!
//! The devices are those of `r-emsctl device`; what is true of the site is asked of them, and of the logs.
#![expect(clippy::disallowed_types, reason = "free ports are found by taking them")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::daemon::{Daemon, emsctl, file, text, until};
use super::modbus::{Client, Served};

pub(super) const SCENARIO: &str = "scenarios/peak_shaving_wire.ron";
/// The shop's peak, which the battery shaves.
pub(super) const EVENING: [&str; 2] = ["--set", "start=\"2016-03-09 18:00\""];
/// Where the battery's set-point lies, and behind it the epoch where that is written.
const SET_POINT: u16 = 200;
const EPOCH: u8 = 202;

/// A site of its own, in a folder of its own.
pub(super) struct Site {
    folder: PathBuf,
    /// Its devices, unless a test has devices itself.
    served: Option<Served>,
    pub(super) path: String,
    /// The key that hosts share; empty where there is one host.
    pub(super) key: String,
}

impl Site {
    /// The shipped site with `changes`, among them where its devices are.
    pub(super) fn alone(name: &str, shipped: &str, changes: &[(&str, &str)]) -> Self {
        let folder = PathBuf::from(file(name));
        let _old = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder of its own");
        let path = folder.join("site.ron").to_string_lossy().into_owned();
        fs::copy(Path::new("scenarios/sites").join(shipped), &path).expect("it is shipped");
        let site = Self { path, folder, served: None, key: String::new() };
        site.change(changes);
        site
    }

    /// The shipped site with the addresses of its devices as they are served, and with `changes`.
    pub(super) fn new(name: &str, shipped: &str, changes: &[(&str, &str)]) -> Self {
        let site = Self::alone(name, shipped, changes);
        // The devices have the registers of this site, at ports that are free.
        let own = format!("site={:?}", site.path);
        let served = Served::start(SCENARIO, &[&EVENING[..], &["--set", &own]].concat());
        let site = Self { served: Some(served), ..site };
        let (meter, battery) = (site.address("commerce/pcc"), site.address("commerce/bess"));
        site.change(&[("127.0.0.1:15020", meter), ("127.0.0.1:15021", battery)]);
        site
    }

    /// Where a device is served.
    pub(super) fn address(&self, device: &str) -> &str {
        let served = self.served.as_ref().expect("its devices are served");
        let found = served.devices.iter().find(|known| known.0 == device);
        found.expect("it is among them").1.as_str()
    }

    /// Writes its file with `changes`.
    pub(super) fn change(&self, changes: &[(&str, &str)]) {
        let text = fs::read_to_string(&self.path).expect("it was written");
        let text = changes.iter().fold(text, |text, (old, new)| {
            assert!(text.contains(old), "the site says {old}");
            text.replace(old, new)
        });
        fs::write(&self.path, text).expect("it can be written");
    }

    /// A pair and a witness on this computer, with a battery that checks epochs, at ports that are free; each with the key.
    pub(super) fn pair(name: &str) -> Self {
        // They are free again at once; whoever takes them meanwhile fails the test loudly.
        let free: Vec<UdpSocket> =
            (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
        let ports: Vec<String> =
            free.iter().map(|socket| socket.local_addr().expect("it is bound").to_string()).collect();
        drop(free);
        let site = Self::new(
            name,
            "commerce_pair_loopback.ron",
            &[
                ("127.0.0.1:7401", &ports[0]),
                ("127.0.0.1:7402", &ports[1]),
                ("127.0.0.1:7403", &ports[2]),
                ("longest_write: \"50 ms\"", "checks_epochs: true"),
                (
                    "[SetPoint(number: I32, scale: \"1 W\")]",
                    "[SetPoint(number: I32, scale: \"1 W\"), Epoch(number: U64)]",
                ),
                // A machine that builds beside this test is late.
                ("lease: \"100 ms\"", "lease: \"500 ms\""),
                ("watchdog: \"60 ms\"", "watchdog: \"300 ms\""),
            ],
        );
        let key = site.folder.join("key");
        fs::write(&key, "0123456789abcdef".repeat(4)).expect("a file can be written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
        Self { key: key.to_string_lossy().into_owned(), ..site }
    }

    pub(super) fn state(&self, host: &str) -> String {
        self.folder.join(host).to_string_lossy().into_owned()
    }

    pub(super) fn start(&self, host: &str, more: &[&str]) -> Daemon {
        self.start_by(host, more, Daemon::start)
    }

    /// Starts the daemon of a host in another way than usual.
    pub(super) fn start_by<T>(&self, host: &str, more: &[&str], start: impl FnOnce(&str, &[&str]) -> T) -> T {
        let name = format!("{}_{host}", self.folder.file_name().expect("a name").to_string_lossy());
        let state = self.state(host);
        let own = ["--mode", "production", &self.path, "--host", host, "--state", &state];
        start(&name, &[&own, more].concat())
    }

    /// The battery's set-point in W, as it has it.
    pub(super) fn set_point(&self) -> i32 {
        i32::from_be_bytes(self.battery().two(3, SET_POINT))
    }

    /// A connection to the battery.
    fn battery(&self) -> Client {
        self.served.as_ref().expect("its devices are served").connect("commerce/bess")
    }

    /// The segments of a controller's journal, the oldest first.
    pub(super) fn segments(&self, host: &str, controller: &str) -> Vec<String> {
        let folder = self.folder.join(host).join(controller);
        let found =
            fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it can be read").path());
        let mut segments: Vec<String> = found
            .filter(|path| path.extension().is_some_and(|extension| extension == "rlog"))
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        segments.sort();
        segments
    }

    /// Collects what a host keeps, beside what its daemon says if one runs, and gives the archive's path.
    fn collect(&self, host: &str, daemon: Option<&Daemon>, name: &str) -> String {
        let archive = self.folder.join(format!("{host}_{name}")).to_string_lossy().into_owned();
        let nobody = archive.clone() + ".sock";
        let socket = daemon.map_or(nobody.as_str(), Daemon::socket);
        let state = self.state(host);
        let arguments =
            ["collect", "--state", &state, "--output", &archive, "--socket", socket, "--format", "json"];
        let output = emsctl(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let files = printed["files"].as_array().expect("a list");
        let said =
            files.iter().filter(|file| file["path"].as_str().is_some_and(|path| path.starts_with("daemon/")));
        let expected = if daemon.is_some() { (3, true) } else { (0, false) };
        assert_eq!((said.count(), printed["unanswered"].is_null()), expected, "{printed:#}");
        archive
    }

    /// Replays all segments of a controller: each bit for bit, and as torn as `torn` says.
    pub(super) fn replay(&self, host: &str, controller: &str, torn: &[bool]) {
        let segments = self.segments(host, controller);
        assert_eq!(segments.len(), torn.len(), "{segments:?}");
        for (segment, is_torn) in segments.iter().zip(torn) {
            let replayed = emsctl(&["replay", segment]);
            let said = text(&replayed.stdout);
            assert_eq!(replayed.status.code(), Some(i32::from(*is_torn)), "{segment}: {said}");
            assert!(said.contains("replayed bit for bit"), "{segment}: {said}");
        }
    }
}

#[test]
fn a_site_that_is_killed_goes_on_where_it_was_and_its_logs_replay() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let hosts = format!("hosts: {{ \"a\": (listen: \"{address}\") }}");
    let changes = [("scan: \"1 s\"", "scan: \"50 ms\""), ("hosts: { \"a\": () }", hosts.as_str())];
    let site = Site::new("killed_site", "commerce_modbus.ron", &changes);
    let daemon = site.start("a", &[]);
    let metrics = over_tcp(&address, "GET /metrics");
    assert!(
        metrics.starts_with("HTTP/1.1 200 OK") && metrics.contains("r_ems_loop_lateness_seconds_count"),
        "{metrics}"
    );
    for refused in ["POST /v1/shutdown", "POST /v1/switchover"] {
        let answer = over_tcp(&address, refused);
        assert!(answer.starts_with("HTTP/1.1 404"), "who is far commands nothing: {answer}");
    }
    let described = over_tcp(&address, "GET /v1/openapi.json");
    assert!(described.contains("\"/v1/status\"") && !described.contains("\"post\""), "{described}");
    assert!(daemon.ask("GET", "/v1/openapi.json", "").1.contains("\"post\""));
    until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    until("its charge lasts for so long", || {
        daemon.json(&["status"])["grids"][0]["devices"][1]["lasts_s"].as_f64().filter(|lasts| *lasts > 600.0)
    });
    let status = daemon.json(&["status"]);
    assert_eq!((&status["mode"], &status["grids"][0]["active"]), (&"production".into(), &"a".into()));
    let own = &status["grids"][0]["controllers"][0];
    let fares = (&own["is_ready"], &own["reaches_devices"]);
    assert_eq!(fares, (&true.into(), &true.into()), "it is alone and misses nothing: {status}");
    let running = site.segments("a", "commerce/a").pop().expect("it keeps a journal");
    for arguments in [&["replay"][..], &["explain", "--event", "started"]] {
        let output = emsctl(&[arguments, &[&running]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("a daemon is still writing it") && !said.contains("torn"), "{said}");
    }
    let kept = daemon.json(&["snapshot", "commerce/a"]);
    assert_eq!(kept["outcome"], "done", "{kept}");
    let other = emsctl_refused(&site, "a");
    assert!(other.contains("another"), "{other}");
    daemon.signal("KILL");
    assert_eq!(daemon.ended().0, None);
    let daemon = site.start("a", &[]);
    daemon.follow("state_recovered");
    daemon.follow("started");
    let status = daemon.json(&["status"]);
    assert_eq!(status["grids"][0]["epoch"], "2.0", "its number is another: {status}");
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopped in order"), "{said}");
    // A segment ended with the snapshot, the next with the first life, which was cut off; the second life closed its own and left
    // one with its last state.
    site.replay("a", "commerce/a", &[false, true, false, false]);
    let explained = emsctl(&["explain", &site.segments("a", "commerce/a")[2], "--at", "+0 s"]);
    assert!(text(&explained.stdout).contains("PeakShaving"), "{}", text(&explained.stderr));
}

/// What is answered over TCP.
fn over_tcp(address: &str, asked: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "{asked} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// What a second daemon on the same state says.
fn emsctl_refused(site: &Site, host: &str) -> String {
    let socket = file("second.sock");
    let state = site.state(host);
    let second = std::process::Command::new(assert_cmd::cargo::cargo_bin!("r-emsd"))
        .args(["--mode", "production", &site.path, "--host", host, "--state", &state, "--socket", &socket])
        .output()
        .expect("the program runs");
    assert_eq!(second.status.code(), Some(1));
    text(&second.stderr)
}

#[test]
fn the_standby_takes_over_from_a_killed_active_and_no_older_epoch_is_accepted_after_it() {
    let site = Site::pair("pair");
    let key = ["--key", &site.key];
    let witness = site.start("w", &key);
    let first = site.start("a", &key);
    let second = site.start("b", &key);
    let epochs = Epochs::watch(&site);
    until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    let shown = |daemon: &Daemon| daemon.json(&["status"])["grids"][0]["active"].as_str().map(str::to_owned);
    until("everybody knows who writes", || {
        let active = [&first, &second, &witness].map(shown);
        (active[0].is_some() && active.iter().all(|shown| *shown == active[0])).then_some(())
    });
    let (active, standby, killed, other) = match shown(&first).as_deref() {
        Some("a") => (&first, &second, "a", "b"),
        _ => (&second, &first, "b", "a"),
    };
    until("the other could take over", || {
        let status = standby.json(&["status"]);
        let own = status["grids"][0]["controllers"][0].clone();
        (own["is_ready"] == true && own["reaches_devices"] == true).then_some(())
    });
    for (name, labels) in [
        ("r_ems_datagrams_total", format!("host=\"{killed}\",kind=\"delivered\"")),
        ("r_ems_journal_bytes_total", format!("grid=\"commerce\",controller=\"{other}\"")),
        ("r_ems_disk_seconds_count", format!("grid=\"commerce\",controller=\"{other}\",lane=\"promises\"")),
    ] {
        let series = format!("{name}{{{labels}}} ");
        until(&format!("{series} counts"), || {
            let (_status, metrics) = standby.ask("GET", "/metrics", "");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&series))?.parse::<u64>();
            value.is_ok_and(|value| value > 0).then_some(())
        });
    }
    let before = epochs.last();
    active.signal("KILL");
    standby.follow("took_over");
    until("it writes", || (epochs.last() > before).then_some(()));
    assert_eq!(shown(standby).as_deref(), Some(other));
    assert_eq!(active.ended().0, None);
    // The one that was killed returns as a standby, and an operator gives it back what it had.
    let returned = site.start(killed, &key);
    until("it could take over", || {
        let status = returned.json(&["status"]);
        (status["grids"][0]["controllers"][0]["is_ready"] == true).then_some(())
    });
    let far = standby.emsctl(&["maintenance", &format!("commerce/{killed}"), "on"]);
    let said = format!("commerce/{killed} runs on host {killed}; ask the daemon there");
    assert!(text(&far.stderr).contains(&said) && far.status.code() != Some(0), "{far:?}");
    let done = standby.json(&["switchover", "commerce", "--to", killed]);
    assert!(done["message"].as_str().is_some_and(|message| message.contains("is active")), "{done}");
    until("everybody knows it", || {
        [standby, &returned, &witness]
            .map(shown)
            .iter()
            .all(|shown| shown.as_deref() == Some(killed))
            .then_some(())
    });
    let archives = [(killed, &returned), (other, standby), ("w", &witness)]
        .map(|(host, daemon)| site.collect(host, Some(daemon), "running.tar.gz"));
    lined_up(&archives, other);
    for daemon in [standby, &returned, &witness] {
        daemon.signal("TERM");
        let (code, said) = daemon.ended();
        assert_eq!(code, Some(0), "{said}");
    }
    assert!(epochs.end() >= 3, "each authority wrote under an epoch of its own");
    site.replay(killed, &format!("commerce/{killed}"), &[true, false, false]);
    site.replay(other, &format!("commerce/{other}"), &[false, false]);
    site.replay("w", "commerce/w", &[false, false]);
    lined_up(&["a", "b", "w"].map(|host| site.collect(host, None, "stopped.tar.gz")), other);
}

/// What three hosts hand over replays, and says who took over, in one time: their clocks are one computer's.
fn lined_up(archives: &[String; 3], taker: &str) {
    let paths: Vec<&str> = archives.iter().map(String::as_str).collect();
    let output = emsctl(&[&["replay"], paths.as_slice(), &["--timeline", "--format", "json"]].concat());
    let whole: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &whole["ok"]), (Some(0), &true.into()), "{whole:#}");
    let clocks = whole["clocks"].as_array().expect("a list");
    assert_eq!(clocks.len(), 4, "the one that was killed ran twice: {clocks:?}");
    for clock in clocks.iter().filter(|clock| clock["is_reference"] == false) {
        let number = |field: &str| clock[field].as_f64().expect("letters tell");
        // The wall clock is read a moment before or after the other one, on a machine that builds.
        assert!(number("ahead_s").abs() < number("within_s") + 0.05 && number("within_s") < 0.5, "{clock}");
    }
    let events = whole["events"].as_array().expect("a list");
    let place = |kind: &str, controller: &str| {
        let controller = format!("commerce/{controller}");
        events.iter().position(|event| event["kind"] == kind && event["controller"] == controller)
    };
    let killed = if taker == "a" { "b" } else { "a" };
    let (ends, takes) = (place("log_ends", killed), place("took_over", taker));
    assert!(ends.is_some() && ends < takes, "{events:#?}");
    assert!(events.iter().any(|event| event["kind"] == "command"), "{events:#?}");
}

/// Watches the epochs that the battery has accepted: none is lower than one before.
pub(super) struct Epochs {
    seen: Arc<Seen>,
    watching: JoinHandle<usize>,
}

#[derive(Default)]
struct Seen {
    last: AtomicU64,
    ends: AtomicBool,
}

impl Epochs {
    #[expect(clippy::disallowed_methods, reason = "a device is watched while the test goes on")]
    pub(super) fn watch(site: &Site) -> Self {
        let mut battery = site.battery();
        let seen = Arc::<Seen>::default();
        let watched = Arc::clone(&seen);
        let watching = std::thread::spawn(move || {
            let mut different = 0;
            while !watched.ends.load(Ordering::SeqCst) {
                let answer = battery.ask(&[3, 0, EPOCH, 0, 4]);
                let epoch = u64::from_be_bytes(answer[2..].try_into().expect("four registers"));
                let before = watched.last.swap(epoch, Ordering::SeqCst);
                assert!(epoch >= before, "epoch {epoch} was accepted after {before}");
                different += usize::from(epoch > before);
                std::thread::sleep(Duration::from_millis(2));
            }
            different
        });
        Self { seen, watching }
    }

    pub(super) fn last(&self) -> u64 {
        self.seen.last.load(Ordering::SeqCst)
    }

    /// How many there were.
    pub(super) fn end(self) -> usize {
        self.seen.ends.store(true, Ordering::SeqCst);
        self.watching.join().expect("no epoch was lower than one before")
    }
}

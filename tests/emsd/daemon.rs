//! A daemon that runs for one test, and ways to ask it.

#![expect(clippy::disallowed_types, reason = "a client of the control API has a socket")]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::mem::take;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use serde_json::Value;

/// So long is waited for what must happen some time: a test that waits longer fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How often is looked whether it has happened.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// So often is looked.
const LOOKS: u128 = PATIENCE.as_millis() / LOOK_EVERY.as_millis();

/// Looks until there is something.
#[expect(clippy::disallowed_methods, reason = "what a process does is waited for, for a while")]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("within {PATIENCE:?} it did not come so far that {what}");
}

/// A place for a test's file, where none is.
pub(crate) fn file(name: &str) -> String {
    let place = place(name);
    let _old = std::fs::remove_file(&place);
    place
}

/// A place for a test's file.
fn place(name: &str) -> String {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).to_string_lossy().into_owned()
}

/// What makes the controllers of the demo keep journals.
pub(crate) const JOURNALS: (&str, &str) = ("network:", "persistence: (sync: \"100 ms\"),\n    network:");

/// A scenario like the demo, in which something is written otherwise, and something in its site.
pub(crate) fn demo(name: &str, scenario: &[(&str, &str)], site: &[(&str, &str)]) -> String {
    let write = |name: &str, text: &str, changes: &[(&str, &str)]| {
        let text = changes.iter().fold(text.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "the demo says {old}");
            text.replace(old, new)
        });
        let file = file(name);
        std::fs::write(&file, text).expect("a file can be written");
        file
    };
    let site_name = format!("{name}_site.ron");
    write(&site_name, include_str!("../../scenarios/sites/demo.ron"), site);
    let scenario = [&[("sites/demo.ron", site_name.as_str())], scenario].concat();
    write(&format!("{name}.ron"), include_str!("../../scenarios/demo.ron"), &scenario)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn emsctl(arguments: &[&str]) -> Output {
    cargo_bin_cmd!("r-emsctl").args(arguments).timeout(PATIENCE).output().expect("the program runs")
}

/// What the program makes of an answer, whoever gives it.
pub(crate) fn emsctl_answered(name: &str, answer: &str) -> Output {
    let socket = file(&format!("{name}.sock"));
    let listener = UnixListener::bind(&socket).expect("a place for a socket");
    listener.set_nonblocking(true).expect("it is ours");
    let asks = Command::new(cargo_bin("r-emsctl"))
        .args(["status", "--socket", &socket])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (mut stream, _address) = until("it connects", || listener.accept().ok());
    stream.set_read_timeout(Some(PATIENCE)).expect("that is a length");
    let mut request = BufReader::new(&stream).lines().map(|line| line.expect("it is text"));
    assert!(request.any(|line| line.is_empty()), "it asks for something");
    stream.write_all(answer.as_bytes()).expect("it is taken");
    asks.wait_with_output().expect("it ends")
}

/// The lines that come from a pipe. Each is read once the one before has been taken, so that a pipe of which nobody takes any
/// fills up; it is closed when whoever takes them goes.
#[expect(clippy::disallowed_methods, reason = "a pipe cannot be waited for, for a while")]
fn lines(pipe: ChildStderr) -> Receiver<String> {
    let (takes, lines) = sync_channel(0);
    std::thread::spawn(move || {
        let (mut pipe, mut line) = (BufReader::new(pipe), String::new());
        while pipe.read_line(&mut line).expect("it is text") > 0 && takes.send(take(&mut line)).is_ok() {}
    });
    lines
}

/// The status and the body of what comes over a connection.
pub(crate) fn answer(mut stream: UnixStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (_head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (status.expect("a status"), body.to_owned())
}

/// A daemon on a socket of its own; it ends with this.
pub(crate) struct Daemon {
    child: RefCell<Child>,
    /// The lines it says, which are read as they are taken; nothing once nobody reads them any more.
    said: RefCell<Option<Receiver<String>>>,
    socket: String,
}

impl Daemon {
    /// Starts one, and waits until it listens.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::begin(name, arguments, &mut Command::new(cargo_bin("r-emsd")))
    }

    /// Starts one as systemd does; what it tells systemd comes from what is returned beside it.
    pub(crate) fn start_under_systemd(name: &str, arguments: &[&str]) -> (Self, impl Fn() -> String + use<>) {
        let place = file(&format!("{name}.notify"));
        let notified = UnixDatagram::bind(&place).expect("a place for a socket");
        notified.set_read_timeout(Some(PATIENCE)).expect("that is a length");
        let mut command = Command::new(cargo_bin("r-emsd"));
        command.env("NOTIFY_SOCKET", &place).env("WATCHDOG_USEC", "3000000");
        let daemon = Self::begin(name, arguments, &mut command);
        let told = move || {
            let mut bytes = [0; 4_096];
            let length = notified.recv(&mut bytes).expect("a message");
            text(&bytes[..length])
        };
        (daemon, told)
    }

    /// Starts one that can write no file beyond so many blocks.
    pub(crate) fn start_with_small_files(name: &str, blocks: u32, arguments: &[&str]) -> Self {
        let limited = format!("ulimit -f {blocks} && exec \"$0\" \"$@\"");
        Self::begin(name, arguments, Command::new("sh").args(["-c", &limited]).arg(cargo_bin("r-emsd")))
    }

    fn begin(name: &str, arguments: &[&str], command: &mut Command) -> Self {
        let socket = place(&format!("{name}.sock"));
        let mut child = command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .args(["--log", "json", "--socket", &socket])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let said = lines(child.stderr.take().expect("it is piped"));
        let daemon = Self { child: RefCell::new(child), said: RefCell::new(Some(said)), socket };
        let mut heard = String::new();
        until("it listens", || {
            let is_open = daemon.hear(&mut heard);
            let listens = heard.contains("finds this daemon");
            assert!(is_open || listens, "it ended: {heard}");
            listens.then_some(())
        });
        daemon
    }

    /// Adds the next line that it says, if one comes soon; says whether there may be more.
    fn hear(&self, heard: &mut String) -> bool {
        match self.said.borrow().as_ref().map(|said| said.recv_timeout(LOOK_EVERY)) {
            Some(Ok(line)) => *heard += &line,
            Some(Err(RecvTimeoutError::Timeout)) => {}
            None | Some(Err(RecvTimeoutError::Disconnected)) => return false,
        }
        true
    }

    /// Reads what it says until that has `words` in it; gives all that was read.
    pub(crate) fn says(&self, words: &str) -> String {
        let mut heard = String::new();
        until(&format!("it says {words}"), || {
            assert!(self.hear(&mut heard), "it ended: {heard}");
            heard.contains(words).then_some(())
        });
        heard
    }

    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    /// Waits for an event of this kind.
    pub(crate) fn follow(&self, kind: &str) {
        let events = BufReader::new(self.connect("GET", "/v1/events?follow=true", ""));
        let wanted = format!("\"kind\":\"{kind}\"");
        let found = events.lines().map(|line| line.expect("it is text")).any(|line| line.contains(&wanted));
        assert!(found, "the daemon ended before {kind}");
    }

    /// Asks by the program.
    pub(crate) fn emsctl(&self, arguments: &[&str]) -> Output {
        emsctl(&[arguments, &["--socket", &self.socket]].concat())
    }

    /// The same, as JSON; the program must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.emsctl(&[arguments, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Its number as a process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Connects.
    pub(crate) fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("that is a length");
        stream
    }

    /// Sends a request as HTTP.
    pub(crate) fn connect(&self, method: &str, path: &str, body: &str) -> UnixStream {
        let mut stream = self.stream();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("it is taken");
        stream
    }

    /// The status and the body of an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        answer(self.connect(method, path, body))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("there is a shell").success());
    }

    /// From now on nobody can read what it says.
    pub(crate) fn stop_reading(&self) {
        self.said.take();
    }

    /// Waits for its end without reading what it says: its exit code.
    pub(crate) fn ended_unread(&self) -> Option<i32> {
        until("it ends", || self.child.borrow_mut().try_wait().expect("it is our child")).code()
    }

    /// Waits for its end: its exit code, and what it said.
    pub(crate) fn ended(&self) -> (Option<i32>, String) {
        let mut said = String::new();
        // It closes what it says it on when it ends.
        for _ in 0..LOOKS {
            if !self.hear(&mut said) {
                return (self.ended_unread(), said);
            }
        }
        panic!("it does not end: {said}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.borrow_mut().kill();
        let _ended = self.child.borrow_mut().wait();
    }
}

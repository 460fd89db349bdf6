//! The socket's place: of daemons that come, end, die and start at once, and of other programs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use super::daemon::{Daemon, emsctl_answered, file, text};
use super::emsd;

/// The file beside a socket by which its place is claimed.
fn claim(socket: &str) -> String {
    format!("{socket}.lock")
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn its_group_may_ask_and_nothing_is_left_over() {
    let daemon = Daemon::start("mode", &[]);
    let socket = daemon.socket().to_owned();
    assert_eq!((mode(&socket), mode(&claim(&socket))), (0o660, 0o600));
    daemon.follow("started");
    daemon.signal("TERM");
    assert_eq!(daemon.ended().0, Some(0));
    assert!(!Path::new(&socket).exists() && !Path::new(&claim(&socket)).exists());
}

#[test]
fn a_refusal_by_another_version_says_so() {
    let refusal = "HTTP/1.1 404 Not Found\r\nr-ems-version: 9.9.9\r\ncontent-length: 23\r\n\r\n{\"error\":\"no such way\"}";
    let said = text(&emsctl_answered("other_version", refusal).stderr);
    assert!(said.contains("no such way; it is version 9.9.9"), "{said}");
}

#[test]
fn a_second_daemon_leaves_the_socket_of_the_first_alone() {
    let daemon = Daemon::start("second", &[]);
    daemon.follow("started");
    let second = emsd(&["--socket", daemon.socket()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another daemon listens there"), "{}", text(&second.stderr));
    daemon.json(&["status"]);
    let plain = file("plain.txt");
    fs::write(&plain, "kept").expect("a file can be written");
    let refused = emsd(&["--socket", &plain]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert_eq!(fs::read_to_string(&plain).expect("it is still there"), "kept");
}

#[test]
fn who_has_claimed_the_place_has_it_before_it_listens() {
    let socket = file("starting.sock");
    let other = File::create(claim(&socket)).expect("a file can be made");
    other.set_permissions(Permissions::from_mode(0o600)).expect("it is ours");
    other.lock().expect("it can be locked");
    let second = emsd(&["--socket", &socket]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another daemon listens there"), "{}", text(&second.stderr));
    assert!(!Path::new(&socket).exists() && Path::new(&claim(&socket)).exists());
}

#[test]
fn the_socket_of_a_daemon_that_was_killed_is_taken_over() {
    let daemon = Daemon::start("killed", &[]);
    daemon.follow("started");
    daemon.signal("KILL");
    assert_eq!(daemon.ended().0, None);
    let next = Daemon::start("killed", &[]);
    next.follow("started");
}

#[test]
fn who_ends_leaves_what_another_has_made_in_its_place() {
    let first = Daemon::start("replaced", &[]);
    first.follow("started");
    let socket = first.socket();
    fs::remove_file(socket).expect("it is there");
    fs::remove_file(claim(socket)).expect("it is there");
    let second = Daemon::start("replaced", &[]);
    second.follow("started");
    first.signal("TERM");
    assert_eq!(first.ended().0, Some(0));
    second.json(&["status"]);
    assert!(Path::new(&claim(socket)).exists());
}

#[test]
fn another_programs_socket_is_left_alone_and_not_waited_for() {
    let path = file("busy.sock");
    let address = SocketAddrUnix::new(path.as_str()).expect("it is short");
    let stream = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a socket")
    };
    let busy = stream();
    bind(&busy, &address).expect("the place is free");
    listen(&busy, 0).expect("it is bound");
    // Nobody takes a connection: soon one more would have to wait.
    let waiting: Vec<_> = (0..10).map(|_| stream()).collect();
    assert!(waiting.iter().any(|waiting| connect(waiting, &address) == Err(Errno::AGAIN)));
    let refused = emsd(&["--socket", &path]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("another program listens there"), "{}", text(&refused.stderr));
    assert!(Path::new(&path).exists() && !Path::new(&claim(&path)).exists());
}

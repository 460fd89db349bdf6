//! Odd clients: what they do is bounded, and the loop goes on.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

use super::daemon::{Daemon, answer, text, until};

/// More connections than the daemon takes at once.
const MANY: usize = 1_000;

/// How much reached the controllers so far.
fn deliveries(daemon: &Daemon) -> u64 {
    let (status, body) = daemon.ask("GET", "/v1/status", "");
    assert_eq!(status, 200, "{body}");
    let status: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status["grids"][0]["active"], "a", "authority does not move for it");
    status["timing"]["deliveries"].as_u64().expect("a number")
}

#[test]
fn odd_requests_are_refused_and_the_loop_goes_on() {
    let daemon = Daemon::start("odd", &[]);
    daemon.follow("set_points_taken_over");
    let before = deliveries(&daemon);
    let huge = "x".repeat(1 << 20);
    let far = format!(r#"{{"grid":"{}"}}"#, "x".repeat(20_000));
    for (method, path, body, expected) in [
        ("POST", "/v1/switchover", r#"{"grid":"nowhere"}"#, 404),
        ("POST", "/v1/switchover", r#"{"grid":"workshop","too":"b"}"#, 422),
        ("POST", "/v1/switchover", r#"{"grid":7}"#, 422),
        ("POST", "/v1/switchover", "{", 400),
        ("POST", "/v1/switchover", "", 400),
        ("POST", "/v1/switchover", far.as_str(), 413),
        ("POST", "/v1/maintenance", r#"{"controller":"workshop/b"}"#, 422),
        ("GET", "/v1/events?from=-1", "", 400),
        ("GET", "/v1/events?until=5", "", 400),
        ("GET", "/v1/explain?point=bess", "", 400),
        ("GET", "/v1/explain?point=workshop/nothing", "", 404),
        ("GET", "/v1/explain?point=nowhere/bess", "", 404),
        ("GET", "/v1/explain", "", 400),
        ("GET", "/v1/status/x", "", 404),
        ("PUT", "/v1/status", "", 405),
    ] {
        let (status, answer) = daemon.ask(method, path, body);
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(answer.contains("\"error\""), "{method} {path}: {answer}");
    }
    // What is far too large is not even read.
    let mut stream = daemon.stream();
    let head = "POST /v1/switchover HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it is taken");
    let _refused = stream.write_all(huge.as_bytes());
    for bytes in [&b"\x00\xff\x80\r\n\r\n"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[b'a'; 70_000]] {
        let mut stream = daemon.stream();
        // It may end while it is written to.
        let _written = stream.write_all(bytes);
        read_until_closed(stream);
    }
    assert!(deliveries(&daemon) > before);
}

#[test]
fn a_thousand_idle_connections_end_by_themselves_and_the_loop_goes_on() {
    let daemon = Daemon::start("idle", &[]);
    daemon.follow("set_points_taken_over");
    let before = deliveries(&daemon);
    let idle: Vec<_> = (0..MANY).map(|_| daemon.stream()).collect();
    idle.into_iter().for_each(read_until_closed);
    assert!(deliveries(&daemon) > before);
}

/// Waits until the daemon ends a connection, whether it says why or just closes it.
fn read_until_closed(mut stream: impl Read) {
    if let Err(error) = stream.read_to_end(&mut Vec::new()) {
        // It comes where what was sent has not been read: else the connection is still open.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
}

#[test]
fn followers_beyond_the_bound_are_refused_and_operators_are_heard() {
    let daemon = Daemon::start("followers", &[]);
    daemon.follow("set_points_taken_over");
    // More than there are connections at once.
    let mut followers: Vec<_> = (0..300).map(|_| follower(&daemon)).collect();
    let taken = followers.iter().filter(|(line, _)| line.contains(" 200 ")).count();
    let refused = followers.iter().filter(|(line, _)| line.contains(" 503 ")).count();
    assert_eq!((taken, refused), (64, 236), "each is told");
    assert_eq!(daemon.json(&["switchover", "workshop"])["outcome"], "done");
    assert!(daemon.emsctl(&["events"]).status.success(), "who only lists events takes no place");
    let refused = daemon.emsctl(&["events", "--follow"]);
    assert!(text(&refused.stderr).contains("64 clients follow events already"), "{}", text(&refused.stderr));
    followers.clear();
    until("a place is free again", || follower(&daemon).0.contains(" 200 ").then_some(()));
}

/// One more who follows events: the first line of its answer, and its connection.
fn follower(daemon: &Daemon) -> (String, impl Sized) {
    let mut answer = BufReader::new(daemon.connect("GET", "/v1/events?follow=true", ""));
    let mut line = String::new();
    answer.read_line(&mut line).expect("it is text");
    (line, answer)
}

#[test]
fn of_two_commands_at_once_one_is_done_and_the_other_refused() {
    let daemon = Daemon::start("two", &[]);
    daemon.follow("set_points_taken_over");
    // Both are there before the daemon looks.
    daemon.signal("STOP");
    let both = [0; 2].map(|_| daemon.connect("POST", "/v1/switchover", r#"{"grid":"workshop"}"#));
    daemon.signal("CONT");
    let mut answers = both.map(answer);
    answers.sort();
    let [(done, first), (refused, second)] = &answers;
    assert_eq!((*done, *refused), (200, 503), "{answers:?}");
    assert!(first.contains("workshop/b is active") && second.contains("another command is under way"));
}

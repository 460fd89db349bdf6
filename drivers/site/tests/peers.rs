//! Hosts that speak over the loopback interface, through a relay that sees and keeps all that they say; and the file of their
//! key.

#![expect(clippy::disallowed_types, reason = "the sockets of the hosts' network")]

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use r_ems_engine::{Span, Time};
use r_ems_site::clock::BootClock;
use r_ems_site::peers::{BODY_MAX, BindError, Counts, HELLO_EVERY, Key, Peers, RECEIVE_MAX, Received};
use r_ems_site::reactor::{Interest, Reactor};
use rustix::event::{PollFd, PollFlags, poll};

/// A test that waits longer than so many steps of 10 ms has failed.
const STEPS: usize = 6_000;
/// A datagram says here from which host it is.
const FROM: usize = 6;

/// A file that is gone with the test.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str, text: &str, mode: u32) -> Self {
        let kept = Self::named(name);
        fs::write(&kept.0, text).expect("the folder of tests");
        fs::set_permissions(&kept.0, Permissions::from_mode(mode)).expect("our file");
        kept
    }

    fn named(name: &str) -> Self {
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id())))
    }

    /// What is said of it, without its path.
    fn refusal(&self) -> String {
        let refusal = Key::load(&self.0).expect_err("it is refused");
        refusal.replace(&self.0.display().to_string(), "site.key")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// The key that is made of one digit; `name` is the test's own.
fn key(name: &str, digit: char) -> Key {
    let kept = Kept::new(&format!("{name}-{digit}"), &digit.to_string().repeat(64), 0o600);
    Key::load(&kept.0).expect("it is sound")
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn address_of(peers: &Peers) -> SocketAddr {
    rustix::net::getsockname(peers.socket()).expect("it is bound").try_into().expect("an IP address")
}

/// Two hosts, each of which takes the relay for the other.
struct Site {
    key: Key,
    hosts: [Peers; 2],
    relay: UdpSocket,
    /// All that was said, from whom, and how.
    said: Vec<(usize, Vec<u8>)>,
    delivered: Vec<(u16, Vec<u8>)>,
    now: Time,
}

fn bind(host: u16, key: &Key, relay: &UdpSocket) -> Peers {
    let mut addresses = [relay.local_addr().ok(); 3];
    addresses[usize::from(host)] = Some(any_port());
    Peers::bind(host, &addresses, key.clone()).expect("a free port")
}

impl Site {
    fn new(name: &str) -> Self {
        let relay = UdpSocket::bind(any_port()).expect("a free port");
        relay.set_nonblocking(true).expect("it is a socket");
        let key = key(name, 'a');
        let hosts = [0, 1].map(|host| bind(host, &key, &relay));
        Self { key, hosts, relay, said: Vec::new(), delivered: Vec::new(), now: Time::ZERO }
    }

    /// The same once both hosts have heard each other.
    fn introduced(name: &str) -> Self {
        let mut site = Self::new(name);
        site.hosts[1].send(0, b"knock");
        site.until(|site| [0, 1].iter().all(|host| site.counts(*host).accepted == 1));
        site
    }

    fn counts(&self, host: usize) -> Counts {
        self.hosts[host].counts()
    }

    /// Lets whatever is under way arrive until something holds.
    fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let mut bytes = vec![0; 1 << 16];
        for _ in 0..STEPS {
            self.now += HELLO_EVERY;
            while let Ok((length, _)) = self.relay.recv_from(&mut bytes) {
                let from = usize::from(bytes[FROM]);
                self.said.push((from, bytes[..length].to_vec()));
                self.pass(from, &bytes[..length]);
            }
            for host in &mut self.hosts {
                while let Received::Body { from, length } = host.receive(self.now, &mut bytes) {
                    self.delivered.push((from, bytes[..length].to_vec()));
                }
            }
            if holds(self) {
                return;
            }
            let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let [zero, one] = self.hosts.each_ref().map(Peers::socket);
            let mut sockets = [
                PollFd::new(&self.relay, PollFlags::IN),
                PollFd::new(&zero, PollFlags::IN),
                PollFd::new(&one, PollFlags::IN),
            ];
            let _ready = poll(&mut sockets, Some(&tick));
        }
        panic!("it never holds");
    }

    /// Hands a datagram of one host to the other, whoever does so.
    fn pass(&self, from: usize, bytes: &[u8]) {
        self.relay.send_to(bytes, address_of(&self.hosts[1 - from])).expect("there is room");
    }
}

#[test]
fn what_one_host_sends_the_other_takes_also_the_longest_body() {
    let mut site = Site::introduced("both-ways");
    let longest: Vec<u8> = (0..BODY_MAX).map(|place| place as u8).collect();
    site.hosts[0].send(1, b"");
    site.hosts[1].send(0, &longest);
    site.until(|site| site.delivered.len() == 2);
    site.delivered.sort_unstable();
    assert_eq!(site.delivered, [(0, Vec::new()), (1, longest)]);
    let counts = site.hosts[0].counts_of(1).expect("a peer");
    assert_eq!((counts.sent, counts.delivered, counts.not_taken, counts.failed), (1, 1, 0, 0));
    assert_eq!(site.hosts[0].counts_of(2), Some(Counts::default()));
}

#[test]
fn a_host_with_another_key_is_refused_and_counted() {
    let mut site = Site::introduced("other-key");
    let addresses = [Some(address_of(&site.hosts[0])), None, Some(any_port())];
    let mut third = Peers::bind(2, &addresses, key("other-key", 'b')).expect("a free port");
    third.send(0, b"grant");
    site.until(|site| site.counts(0).refused.forged == 1);
    assert_eq!(site.hosts[0].counts_of(2).map(|counts| counts.refused.forged), Some(1));
    assert!(site.delivered.is_empty());
}

#[test]
fn a_recording_is_refused_and_counted() {
    let mut site = Site::introduced("recording");
    site.hosts[1].send(0, b"grant");
    site.until(|site| site.delivered.len() == 1);
    let (from, grant) = site.said.last().expect("it was said").clone();
    site.pass(from, &grant);
    site.until(|site| site.counts(0).refused.replayed == 1);
    assert_eq!(site.delivered.len(), 1);
}

#[test]
fn a_host_that_begins_anew_is_heard_and_takes_nothing_of_before() {
    let mut site = Site::introduced("anew");
    site.hosts[1].send(0, b"grant");
    site.until(|site| site.delivered.len() == 1);
    let recorded = site.said.clone();
    site.hosts[0] = bind(0, &site.key, &site.relay);
    let to_zero: Vec<_> = recorded.iter().filter(|(from, _)| *from == 1).collect();
    to_zero.iter().for_each(|(from, bytes)| site.pass(*from, bytes));
    site.until(|site| site.counts(0).refused.stale >= to_zero.len() as u64);
    assert_eq!(site.delivered.len(), 1);
    // Host 1 may speak to the former process for a while: it finds out by itself.
    site.hosts[1].send(0, b"perhaps lost");
    site.until(|site| site.counts(0).accepted == 1 && site.counts(1).accepted == 2);
    site.hosts[1].send(0, b"heard");
    site.hosts[0].send(1, b"as well");
    let times = |site: &Site, from: u16, body: &[u8]| {
        site.delivered.iter().filter(|(of, delivered)| *of == from && delivered == body).count()
    };
    site.until(|site| times(site, 1, b"heard") == 1 && times(site, 0, b"as well") == 1);
    assert_eq!(times(&site, 1, b"grant"), 1, "not once more");
}

#[test]
fn a_flood_is_looked_at_in_parts() {
    let site = Site::new("flood");
    let [mut zero, _one] = site.hosts;
    let flood = RECEIVE_MAX as u64 + 1;
    for _ in 0..flood {
        site.relay.send_to(b"nothing", address_of(&zero)).expect("there is room");
    }
    let mut bytes = vec![0; BODY_MAX];
    let mut looked_at = 0;
    for _ in 0..STEPS {
        let found = zero.receive(site.now, &mut bytes);
        let looked_at_now = zero.counts().refused.length - looked_at;
        assert!(looked_at_now <= RECEIVE_MAX as u64);
        let expected =
            if looked_at_now == RECEIVE_MAX as u64 { Received::Unfinished } else { Received::Empty };
        assert_eq!(found, expected);
        looked_at += looked_at_now;
        if looked_at == flood {
            return;
        }
    }
    panic!("only {looked_at} have come");
}

#[test]
fn what_is_longer_than_any_datagram_is_refused() {
    let mut site = Site::new("longer");
    site.pass(1, &vec![0; 65_507]);
    site.until(|site| site.counts(0).refused.length == 1);
}

#[test]
fn what_the_socket_does_not_take_is_lost_and_counted() {
    // Nobody has asked for leave to speak to all.
    let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, 7_400));
    let addresses = [Some(any_port()), Some(everybody), None];
    let mut peers = Peers::bind(0, &addresses, key("not-taken", 'a')).expect("a free port");
    peers.send(1, b"lost");
    peers.send(2, b"lost");
    assert_eq!(peers.counts(), Counts { knocked: 1, not_taken: 2, ..Counts::default() });
}

#[test]
#[should_panic(expected = "a body of 60501 bytes is longer than 60500")]
fn a_body_that_is_too_long_is_the_senders_mistake() {
    Site::new("too-long").hosts[0].send(1, &[0; BODY_MAX + 1]);
}

#[test]
fn the_socket_ends_a_wait() {
    let site = Site::new("wait");
    let mut reactor = Reactor::new(BootClock::begin_in(Span::ZERO).expect("a clock")).expect("descriptors");
    let mut ready = Vec::new();
    reactor.watch(5).add(site.hosts[0].socket(), Interest::Reads).expect("a socket");
    site.pass(1, b"whatever");
    reactor.wait(Time::MAX, &mut ready).expect("a wait");
    assert_eq!(ready, [5]);
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let taken = UdpSocket::bind(any_port()).expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let refused = |own: u16, addresses: &[Option<SocketAddr>]| {
        Peers::bind(own, addresses, key("bind", 'a')).expect_err("it cannot be had")
    };
    let error = refused(0, &[Some(address)]);
    assert!(matches!(error, BindError::Socket { address: named, .. } if named == address));
    assert!(error.to_string().starts_with(&format!("{address}: cannot take this address for UDP: ")));
    for own in [1, 2] {
        let expected = format!("host number {own} has no address: its peers cannot reach it; give it one");
        assert_eq!(refused(own, &[Some(address), None]).to_string(), expected);
    }
    let other = "[::1]:7400".parse().expect("an address");
    assert_eq!(
        refused(0, &[Some(address), Some(other)]).to_string(),
        format!(
            "{address}: nothing can be sent from here to [::1]:7400, the address of host number 1; \
             give all hosts IPv4 addresses, or all IPv6"
        ),
    );
}

#[test]
fn a_key_file_that_others_may_read_or_write_is_refused() {
    let digits = "0".repeat(64);
    for (mode, shown) in [(0o640, "640"), (0o604, "604"), (0o620, "620")] {
        let refusal = Kept::new("shared", &digits, mode).refusal();
        let expected = format!(
            "site.key: the key of the site must be its owner's alone, found mode {shown}; \
             run `chmod 600 site.key`"
        );
        assert_eq!(refusal, expected);
    }
    assert!(Key::load(&Kept::new("owned", &digits, 0o400).0).is_ok());
}

#[test]
fn a_key_file_that_is_none_is_refused_with_its_place_and_a_remedy() {
    const REMEDY: &str = "; make one with `openssl rand -hex 32`";
    let refusal = Kept::new("short", "\nabc\n", 0o600).refusal();
    assert_eq!(refusal, format!("site.key:2:1: a key is 64 hexadecimal digits, found 3{REMEDY}"));
    let refusal = Kept::named("missing").refusal();
    assert!(refusal.starts_with("site.key: cannot read the key of the site: "), "{refusal}");
    assert!(refusal.ends_with(REMEDY), "{refusal}");
    let folder = Kept(PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    let expected = format!("site.key: the key of the site is kept in a file, and this is none{REMEDY}");
    assert_eq!(folder.refusal(), expected);
}

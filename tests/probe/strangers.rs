//! Servers that are no good: silent, noisy, lying, endless. Each costs a bounded time, and is named.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::{at, probed, site};

/// Answers each request on each connection with the bytes that `answer` makes of it; nothing ends the connection.
fn server(answer: fn(&[u8]) -> Option<Vec<u8>>) -> SocketAddr {
    server_with(None, answer)
}

/// The same, and ends a connection on which nothing is asked for so long.
pub(crate) fn server_with<A>(idle: Option<Duration>, answer: A) -> SocketAddr
where
    A: FnMut(&[u8]) -> Option<Vec<u8>> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            stream.set_read_timeout(idle).expect("a time-out");
            thread::spawn(move || serve(stream, answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    let mut head = [0; 6];
    while stream.read_exact(&mut head).is_ok() {
        let mut frame = head.to_vec();
        frame.resize(6 + usize::from(head[5]), 0);
        if stream.read_exact(&mut frame[6..]).is_err() {
            return;
        }
        let Some(bytes) = answer(&frame) else {
            let _gone = stream.shutdown(Shutdown::Both);
            return;
        };
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// A frame that answers this one with a data unit.
pub(crate) fn framed(asked: &[u8], pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("a short one").to_be_bytes();
    [&asked[..4], &length, &asked[6..7], pdu].concat()
}

/// Registers that a request reads, each by its address.
pub(crate) fn registers(asked: &[u8], register: impl Fn(u16) -> u16) -> Vec<u8> {
    let (first, count) =
        (u16::from_be_bytes([asked[8], asked[9]]), u16::from_be_bytes([asked[10], asked[11]]));
    let words = (0..count).flat_map(|place| register(first.wrapping_add(place)).to_be_bytes());
    let pdu: Vec<u8> = [asked[7], (2 * count) as u8].into_iter().chain(words).collect();
    framed(asked, &pdu)
}

#[test]
fn who_a_device_says_it_is_is_told_without_its_tricks() {
    let talks = |asked: &[u8]| {
        Some(match asked[7] {
            43 => framed(asked, b"\x2b\x0e\x01\x81\x00\x00\x03\x00\x04Acme\x01\x07B\x1b[31m1\x02\x031.2"),
            _ => registers(asked, |address| match address {
                40_000 => 0x5375,
                40_001 => 0x6e53,
                40_002 => 1,
                40_003 => 66,
                40_070 => 802,
                40_071 => 62,
                40_134 => 0xffff,
                _ => 0,
            }),
        })
    };
    let address = server(talks).to_string();
    let site = site("probe_named.ron", (&address, &address), &[]);
    let (code, probed) = probed(&site, &["--device", "pcc"]);
    assert_eq!(code, Some(0), "{probed:#}");
    let device = &probed["devices"][0];
    assert_eq!(device["identity"]["vendor"], "Acme");
    assert_eq!(device["identity"]["product"], "B [31m1");
    assert_eq!(device["identity"]["revision"], "1.2");
    let models = &device["sunspec"]["models"];
    assert_eq!(
        (&models[0]["id"], &models[1]["id"], &models[1]["address"]),
        (&1.into(), &802.into(), &40_070.into())
    );
    assert_eq!(device["sunspec"]["is_whole"], true);
}

#[test]
fn whoever_does_not_answer_or_answers_nonsense_is_named_in_a_bounded_time() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("it listens")
    };
    let cases: [(&str, SocketAddr, &str); 9] = [
        ("nobody", nobody, "no connection"),
        ("silent", server(|_asked| Some(Vec::new())), "no answer within"),
        ("ends", server(|_asked| None), "ends before the answer"),
        ("noise", server(|_asked| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())), "no Modbus TCP"),
        ("floods", server(|asked| Some(framed(asked, &[0xff; 253]).repeat(500))), "link.address"),
        ("other unit", server(|asked| Some([&asked[..6], &[77], &asked[7..]].concat())), "from unit 77"),
        ("short", server(|asked| Some(framed(asked, &[asked[7], 2, 0]))), "an answer of 3 bytes"),
        ("echo", server(|asked| Some(asked.to_vec())), "link.address"),
        (
            "stale",
            server(|asked| Some([&[0xee, 0xee], &registers(asked, |_| 0)[2..]].concat())),
            "no answer within",
        ),
    ];
    for (name, address, words) in cases {
        let address = address.to_string();
        let quick = ("timeout: \"5 s\"", "timeout: \"300 ms\"");
        let site =
            site("probe_bad.ron", (&address, &address), &[("latency: \"4 s\"", "latency: \"20 ms\""), quick]);
        let (code, probed) = probed(&site, &["--device", "pcc"]);
        assert_eq!(code, Some(1), "{name}: {probed:#}");
        assert!(probed["findings"].to_string().contains(words), "{name}: {probed:#}");
    }
}

#[test]
fn a_device_that_lies_about_everything_else_is_survived() {
    // Its points read well; who it is and its models are nonsense, and never end.
    let lies = |asked: &[u8]| {
        Some(match asked[7] {
            43 => framed(asked, &[43, 14, 1, 1, 0xff, asked[10].wrapping_add(1), 1, 0, 3, 0xff, 0x1b, 0]),
            _ => registers(asked, |address| match address {
                40_000 => 0x5375,
                40_001 => 0x6e53,
                _ => 0,
            }),
        })
    };
    let address = server(lies).to_string();
    let site = site("probe_lies.ron", (&address, &address), &[]);
    let (code, probed) = probed(&site, &["--device", "commerce/pcc"]);
    assert_eq!(code, Some(0), "{probed:#}");
    assert_eq!(probed["devices"][0]["sunspec"]["is_whole"], false);
    assert_eq!(probed["devices"][0]["sunspec"]["models"].as_array().map(Vec::len), Some(64));
}

#[test]
fn a_number_in_the_other_table_is_named_also_where_another_vouches_for_it() {
    let other = |asked: &[u8]| {
        Some(match asked[7] {
            4 => registers(asked, |address| if address == 52 { 0x47c3 } else { 0 }),
            _ => framed(asked, &[asked[7] | 0x80, 2]),
        })
    };
    let address = server(other).to_string();
    // The second one is as manuals count, far behind what vouches for it: nobody asks for all between them.
    for (old, new, words) in [
        ("Input(address: 52, number: F32", "Holding(address: 52, number: F32", "Input(address: 52) answers"),
        ("Input(address: 52, number: F32", "Holding(address: 40053, number: F32", "exception 2"),
    ] {
        let guard = if new.contains("40053") { "40055" } else { "54" };
        let new = format!("{new}, valid_if: (address: {guard}, number: U16, is: 0)");
        let site = site("probe_guard.ron", (&address, &address), &[(old, &new)]);
        let (code, probed) = probed(&site, &["--device", "pcc"]);
        assert_eq!(code, Some(1), "{probed:#}");
        let finding = at(&probed, "pcc.link.points.p").unwrap_or_else(|| panic!("{probed:#}"));
        assert!(finding.to_string().contains(words), "{finding:#}");
    }
}

#[test]
fn grids_behind_one_gateway_are_asked_over_one_connection() {
    let address = server(|asked| Some(registers(asked, |_| 0))).to_string();
    let site = site("probe_gateway.ron", (&address, &address), &[("unit: 3", "unit: 20")]);
    let text = std::fs::read_to_string(&site).expect("it is there");
    let (first, last) = (text.find("        \"commerce\": ("), text.rfind("    },\n)"));
    let (first, last) = first.zip(last).expect("it has a grid");
    let other = text[first..last].replacen("commerce", "office", 1).replacen("unit: 20", "unit: 30", 1);
    std::fs::write(&site, [&text[..last], &other, &text[last..]].concat()).expect("a test may write");
    let (_, probed) = probed(&site, &[]);
    let devices = probed["devices"].as_array().expect("a list");
    let known: Vec<_> = devices.iter().map(|device| (&device["unit"], &device["answers"])).collect();
    let answers = &true.into();
    assert_eq!(
        known,
        [(&1.into(), answers), (&20.into(), answers), (&1.into(), answers), (&30.into(), answers)]
    );
}

#[test]
fn who_ended_a_connection_on_which_nothing_was_asked_is_asked_on_another() {
    // The meter ends it while the battery is looked at.
    let meter = server_with(Some(Duration::from_millis(300)), |asked| Some(registers(asked, |_| 0)));
    let battery = server(|asked| {
        thread::sleep(Duration::from_millis(20));
        Some(registers(asked, |_| 0))
    });
    let (meter, battery) = (meter.to_string(), battery.to_string());
    let site = site("probe_idle.ron", (&meter, &battery), &[]);
    let (_, probed) = probed(&site, &[]);
    let unknown = probed["signs"][0]["unknown"].to_string();
    assert!(!unknown.contains("the power of"), "{unknown}");
}

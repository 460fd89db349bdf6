//! Servers that are no good: silent, noisy, lying, endless. Each costs a bounded time, and is named.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::{probed, site};

/// Answers each request on each connection with the bytes that `answer` makes of it; nothing ends the connection.
fn server(answer: fn(&[u8]) -> Option<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, answer: fn(&[u8]) -> Option<Vec<u8>>) {
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
fn framed(asked: &[u8], pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("a short one").to_be_bytes();
    [&asked[..4], &length, &asked[6..7], pdu].concat()
}

/// Registers that a request reads, each by its address.
fn registers(asked: &[u8], register: impl Fn(u16) -> u16) -> Vec<u8> {
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

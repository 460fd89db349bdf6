//! A gateway before a device that ends each connection after one answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Starts one before the device at `address`; returns where it listens. It lives as long as this process.
pub(crate) fn before(address: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = listener.local_addr().expect("it is bound").to_string();
    let address = address.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let address = address.clone();
            // Whoever goes away meanwhile is not answered.
            std::thread::spawn(move || drop(pass(client, &address)));
        }
    });
    own
}

/// Passes one request on, and its answer back.
fn pass(mut client: TcpStream, address: &str) -> std::io::Result<()> {
    let request = frame(&mut client)?;
    let mut device = TcpStream::connect(address)?;
    device.write_all(&request)?;
    client.write_all(&frame(&mut device)?)
}

/// The next frame.
fn frame(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 6];
    from.read_exact(&mut head)?;
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]]))];
    from.read_exact(&mut rest)?;
    Ok([&head[..], &rest].concat())
}

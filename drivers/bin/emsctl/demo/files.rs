//! What the demo's processes run on: the shipped site and its plant at ports that are free, and a key that nobody else has.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::exit::{Failure, READ, WRITTEN};

const SITE: &str = include_str!("../../../../scenarios/sites/commerce_pair_loopback.ron");
const PLANT: &str = include_str!("../../../../scenarios/demo_pair.ron");
/// Where the plant's site stands in the repository, and beside it in the demo's folder.
const SITE_PATHS: [&str; 2] = ["sites/commerce_pair_loopback.ron", "site.ron"];
/// The addresses of devices in the shipped site.
const DEVICES: [&str; 2] = ["127.0.0.1:15020", "127.0.0.1:15021"];
/// Those of hosts.
const HOSTS: [&str; 3] = ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
/// A computer on which people work is late now and then: nobody loses authority or a measurement for that.
const PATIENCE: [[&str; 2]; 3] = [
    ["scan: \"100 ms\"", "scan: \"500 ms\""],
    ["watchdog: \"60 ms\"", "watchdog: \"1 s\""],
    ["lease: \"100 ms\"", "lease: \"2 s\""],
];
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The folder of a demo.
pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    /// Makes all files in a folder in which there are none yet.
    ///
    /// # Errors
    /// There are some, or they cannot be made.
    pub(super) fn make(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::file(folder, WRITTEN, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        if fs::read_dir(folder).map_err(failed)?.next().is_some() {
            return Err(Failure::error(format!(
                "{}: there is something in this folder, such as what an earlier demo has left: remove it, or name another one \
                 with --dir",
                folder.display()
            )));
        }
        let place = Self { folder: folder.to_owned() };
        place.write("site.ron", &site()?)?;
        place.write("plant.ron", &changed(PLANT, SITE_PATHS[0], SITE_PATHS[1]))?;
        place.write("key", &key()?)?;
        Ok(place)
    }

    /// The path of something in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a file that only its owner reads.
    pub(super) fn file(&self, name: &str) -> Result<File, Failure> {
        let path = self.path(name);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        opened.map_err(|error| Failure::file(&path, WRITTEN, &error))
    }

    /// Writes a file that only its owner reads.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let written = self.file(name)?.write_all(text.as_bytes());
        written.map_err(|error| Failure::file(&self.path(name), WRITTEN, &error))
    }
}

/// The shipped site, with what this computer needs otherwise.
fn site() -> Result<String, Failure> {
    let failed = |error| Failure::error(format!("there is no free port on 127.0.0.1: {error}"));
    let (devices, hosts) = free_ports().map_err(failed)?;
    let addresses = DEVICES.iter().zip(&devices).chain(HOSTS.iter().zip(&hosts));
    let site = addresses.fold(SITE.to_owned(), |site, (old, new)| changed(&site, old, new));
    Ok(PATIENCE.iter().fold(site, |site, [old, new]| changed(&site, old, new)))
}

/// The text with something else in one place.
fn changed(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the shipped file says {old}");
    text.replace(old, new)
}

/// Addresses of devices and of hosts that nobody has. Who takes one in the moment before its process does is told by that.
#[expect(clippy::disallowed_types, reason = "free ports are found by taking them")]
fn free_ports() -> std::io::Result<(Vec<String>, Vec<String>)> {
    let any = (std::net::Ipv4Addr::LOCALHOST, 0);
    let listeners: Vec<_> =
        DEVICES.iter().map(|_| std::net::TcpListener::bind(any)).collect::<Result<_, _>>()?;
    let sockets: Vec<_> = HOSTS.iter().map(|_| std::net::UdpSocket::bind(any)).collect::<Result<_, _>>()?;
    let devices = listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string()));
    let hosts = sockets.iter().map(|socket| Ok(socket.local_addr()?.to_string()));
    Ok((devices.collect::<std::io::Result<_>>()?, hosts.collect::<std::io::Result<_>>()?))
}

/// A key that nobody else has, as a file holds it.
fn key() -> Result<String, Failure> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; KEY_BYTES];
    let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Failure::file(source, READ, &error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
}

//! `r-emsctl collect`: puts what a host keeps into one archive, whether its daemon runs or not.
//!
//! What a running daemon appends meanwhile is not in it: a segment is taken as long as it was when it was opened, which is a log
//! that is cut off and replays. What a daemon removes meanwhile is told and no error. Nothing is written over, ever.

mod walk;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use r_ems_engine::log::Reader;
use r_ems_engine::persistence::disk::FileName;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_replay::Bytes;
use r_ems_site::clock::wall_clock;
use serde::Serialize;

use self::walk::{Found, walk};
use super::args::{Collect, Format};
use super::daemon::client::Client;
use crate::api::VERSION;
use crate::archive::manifest::{EngineAbout, FORMAT, FileAbout, LEFT_OUT_MAX, LeftOut, Manifest};
use crate::archive::pack::{Original, Packer, unix_seconds};
use crate::archive::{DAEMON, STATE};
use crate::exit::{Exit, Failure, READ, WRITTEN};
use crate::output::Output;
use crate::present::collect::page;

/// Nobody else reads what a site does.
const MODE: u32 = 0o600;
/// What the daemon is asked for, and the names under which it is kept.
const ASKED: [(&str, &str); 3] = [
    ("/v1/status", "status.json"),
    ("/v1/config", "config.json"),
    ("/v1/events?from=0&follow=false", "events.jsonl"),
];

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    ok: bool,
    archive: String,
    packed_bytes: u64,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// What is gathered beside the files.
struct Gathered {
    collected: WallTime,
    host: String,
    socket: String,
    unanswered: Option<String>,
    left_out: Vec<LeftOut>,
    left_out_more: u64,
    /// Whether something is missing that should have been collected.
    is_incomplete: bool,
}

/// Collects what a host keeps.
pub(super) fn perform(arguments: &Collect, format: Format, output: &mut Output) -> Result<Exit, Failure> {
    let state = arguments.state.as_path();
    fs::read_dir(state).map_err(|error| Failure::file(state, READ, &error))?;
    let uname = rustix::system::uname();
    let host = named(uname.nodename().to_str().unwrap_or_default());
    let collected = wall_clock().unwrap_or(WallTime::EPOCH);
    let folder = format!("{host}-{}", stamp(collected));
    let archive = arguments.output.clone().unwrap_or_else(|| PathBuf::from(format!("{folder}.tar.gz")));
    let mut gathered = Gathered {
        collected,
        host,
        socket: String::new(),
        unanswered: None,
        left_out: Vec::new(),
        left_out_more: 0,
        is_incomplete: false,
    };
    let file = made(&archive)?;
    let packed = pack(&file, folder, state, arguments.socket.clone(), &mut gathered);
    let manifest = match packed {
        Ok(manifest) => manifest,
        Err(failed) => {
            // It was made a moment ago, and nobody can read half of it. If it stays, that harms nobody.
            let _removed = fs::remove_file(&archive);
            return Err(failed.told(state, &archive));
        }
    };
    let packed_bytes = file.metadata().map_err(|error| Failure::file(&archive, WRITTEN, &error))?.len();
    let exit = if gathered.is_incomplete { Exit::Error } else { Exit::Ok };
    match format {
        Format::Json => output.json(&Printed {
            ok: exit == Exit::Ok,
            archive: archive.display().to_string(),
            packed_bytes,
            manifest: &manifest,
        })?,
        Format::Human => output.text(&page(&archive, packed_bytes, &manifest))?,
    };
    Ok(exit)
}

/// Why nothing was collected.
enum Failed {
    Asking(Failure),
    Reading(io::Error),
    Writing(io::Error),
    Nothing,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Reading(error)
    }
}

impl Failed {
    fn told(self, state: &Path, archive: &Path) -> Failure {
        match self {
            Self::Asking(failure) => failure,
            Self::Reading(error) => Failure::file(state, READ, &error),
            Self::Writing(error) => Failure::file(archive, WRITTEN, &error),
            Self::Nothing => Failure::error(format!(
                "{}: no file of a journal lies below it: name the folder that r-emsd was given as --state",
                state.display()
            )),
        }
    }
}

/// Makes the archive's file, which must not be there yet.
fn made(path: &Path) -> Result<File, Failure> {
    if path.as_os_str() == "-" {
        return Err(Failure::usage("--output needs a file: standard output carries the result"));
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    made.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            let path = path.display();
            return Failure::usage(format!(
                "{path}: it is there already: name another file with --output, or move it"
            ));
        }
        Failure::file(path, WRITTEN, &error)
    })
}

fn pack(
    file: &File,
    folder: String,
    state: &Path,
    socket: Option<PathBuf>,
    gathered: &mut Gathered,
) -> Result<Manifest, Failed> {
    let mut packer = Packer::new(BufWriter::new(file), folder);
    ask(&mut packer, socket, gathered)?;
    let mut is_found = false;
    walk(state, &mut |found| {
        is_found |= matches!(found, Found::File { .. });
        take(&mut packer, found, gathered)
    })?;
    if !is_found {
        return Err(Failed::Nothing);
    }
    let about = |files: Vec<FileAbout>| Manifest {
        format: FORMAT,
        version: VERSION.to_owned(),
        host: gathered.host.clone(),
        collected: gathered.collected,
        state: state.display().to_string(),
        socket: gathered.socket.clone(),
        unanswered: gathered.unanswered.clone(),
        files,
        left_out: gathered.left_out.clone(),
        left_out_more: gathered.left_out_more,
    };
    let (mut into, manifest) = packer.finish(about).map_err(Failed::Writing)?;
    into.flush().and_then(|()| file.sync_all()).map_err(Failed::Writing)?;
    Ok(manifest)
}

/// Asks the daemon how it is; if none answers, that is told.
fn ask<W: Write>(
    packer: &mut Packer<W>,
    socket: Option<PathBuf>,
    gathered: &mut Gathered,
) -> Result<(), Failed> {
    let mut client = Client::new(socket).map_err(Failed::Asking)?;
    gathered.socket = client.socket().display().to_string();
    let modified = unix_seconds(gathered.collected);
    for (asked, name) in ASKED {
        let answer = match client.bytes(asked) {
            Ok(answer) => answer,
            Err(failure) => {
                // Of what does not listen nothing more is asked.
                gathered.unanswered = Some(failure.message);
                return Ok(());
            }
        };
        let (path, bytes) = (format!("{DAEMON}/{name}"), answer.len() as u64);
        let original = Original { path, bytes, modified, engine: None, content: &mut answer.as_ref() };
        packer.add(original).map_err(Failed::Writing)?;
    }
    Ok(())
}

fn take<W: Write>(packer: &mut Packer<W>, found: Found, gathered: &mut Gathered) -> Result<(), Failed> {
    let (path, name, mut file, bytes, modified) = match found {
        Found::File { path, name, file, bytes, modified } => (path, name, file, bytes, modified),
        Found::Left { path, why, is_missed } => {
            gathered.leave_out(path, why, is_missed);
            return Ok(());
        }
    };
    let packed = format!("{STATE}/{path}");
    if let Some(why) = packer.refusal(&packed, bytes) {
        gathered.leave_out(path, why.to_owned(), true);
        return Ok(());
    }
    let engine = engine(name, &mut file);
    if let Err(error) = file.rewind() {
        gathered.leave_out(path, format!("it cannot be read: {error}"), true);
        return Ok(());
    }
    let original = Original { path: packed, bytes, modified, engine, content: &mut file };
    let about = packer.add(original).map_err(Failed::Writing)?;
    gathered.is_incomplete |= about.problem.is_some();
    Ok(())
}

/// The engine that wrote a segment, if its header can be read.
fn engine(name: FileName, file: &mut File) -> Option<EngineAbout> {
    match name {
        FileName::Segment(_) | FileName::New(_) | FileName::Quarantined(_) => {}
        FileName::Promise(_) => return None,
    }
    let reader = Reader::open(Bytes(file)).ok()?;
    let header = reader.header();
    Some(EngineAbout { version: header.engine.clone(), behavior: header.behavior })
}

impl Gathered {
    fn leave_out(&mut self, path: String, why: String, is_missed: bool) {
        self.is_incomplete |= is_missed;
        if self.left_out.len() < LEFT_OUT_MAX {
            // A name may have any bytes; here it is for people.
            self.left_out.push(LeftOut { path: path.replace(char::is_control, "?"), why });
        } else {
            self.left_out_more += 1;
        }
    }
}

/// A computer's name as part of a file's.
fn named(host: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let plain: String = host.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    let plain = plain.trim_start_matches(['.', '-']);
    if plain.is_empty() { "host".to_owned() } else { plain.to_owned() }
}

/// An instant as part of a file's name, in UTC.
fn stamp(at: WallTime) -> String {
    let shown = at.local(TimeZone::UTC).to_string();
    let digits: String = shown.chars().take(19).filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at(8);
    format!("{date}-{time}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_called_by_its_host_and_its_time() {
        let at: WallTime = "2026-11-29 17:20:03.5 UTC".parse().expect("an instant");
        assert_eq!(stamp(at), "20261129-172003Z");
        for (host, name) in
            [("site-7.example", "site-7.example"), ("../x y", "_x_y"), ("", "host"), ("..", "host")]
        {
            assert_eq!(named(host), name);
        }
    }
}

//! HTTP over a daemon's Unix socket: one connection a request, as the daemon wants it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::api::{Refusal, VERSION, VERSION_HEADER, default_socket, system_socket};
use crate::exit::Failure;
use crate::output::State;

/// The largest answer that is taken in at once; a stream of lines has this bound for each line.
const ANSWER_MAX: usize = 64 << 20;
/// So long an answer may take to begin.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Asks one daemon.
pub(in crate::emsctl) struct Client {
    runtime: Runtime,
    socket: PathBuf,
}

impl Client {
    /// Asks the daemon at `socket`, or at the usual place.
    ///
    /// # Errors
    /// The operating system has no room for it.
    pub(in crate::emsctl) fn new(socket: Option<PathBuf>) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::error(format!("the network cannot be used: {error}")))?;
        Ok(Self { runtime, socket: socket.unwrap_or_else(default_socket) })
    }

    /// Asks for something that changes nothing.
    ///
    /// # Errors
    /// There is no daemon, it refuses, or it is of another version and not understood.
    pub(in crate::emsctl) fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        self.runtime.block_on(self.ask(Method::GET, path, Bytes::new()))
    }

    /// Asks for something that changes nothing, and takes the answer as it is, if all of it comes in time.
    ///
    /// # Errors
    /// There is no daemon, it refuses, or it is too slow.
    pub(in crate::emsctl) fn bytes(&mut self, path: &str) -> Result<Bytes, Failure> {
        self.runtime.block_on(async {
            let answer = async {
                let answer = self.send(Method::GET, path, Bytes::new()).await?;
                let body = Limited::new(self.accepted(answer).await?, ANSWER_MAX);
                Ok(body.collect().await.map_err(|error| self.broken(&*error))?.to_bytes())
            };
            let timed = tokio::time::timeout(ANSWER_WITHIN, answer).await;
            timed.unwrap_or_else(|_elapsed| Err(self.says(&too_slow())))
        })
    }

    /// Where it asks.
    pub(in crate::emsctl) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for something that changes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        wanted: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let body = wanted.map(|wanted| serde_json::to_vec(wanted).expect("its keys are strings"));
        self.runtime.block_on(self.ask(Method::POST, path, body.unwrap_or_default().into()))
    }

    /// Takes the lines of an answer one by one, until it ends or nobody wants more.
    ///
    /// # Errors
    /// As [`Client::get`], and what `take` says.
    pub(super) fn lines<T: DeserializeOwned>(
        &mut self,
        path: &str,
        mut take: impl FnMut(T) -> Result<State, Failure>,
    ) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let answer = self.send(Method::GET, path, Bytes::new()).await?;
            let version = version(&answer);
            let mut body = self.accepted(answer).await?;
            let mut rest = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| self.broken(&error))?;
                rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    if take(self.understood(&line, version.as_deref())?)? == State::Closed {
                        return Ok(());
                    }
                }
                if rest.len() > ANSWER_MAX {
                    return Err(self.says("answers with a line that does not end"));
                }
            }
            Ok(())
        })
    }

    /// Waits.
    pub(super) fn pause(&self, duration: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(duration).await });
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Failure> {
        let answer = self.send(method, path, body).await?;
        let version = version(&answer);
        let body = Limited::new(self.accepted(answer).await?, ANSWER_MAX);
        let body = body.collect().await.map_err(|error| self.broken(&*error))?.to_bytes();
        self.understood(&body, version.as_deref())
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| self.broken(&error))?;
        tokio::spawn(async move {
            // What goes wrong with it is told where its answer is waited for.
            let _ended = connection.await;
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "r-emsd")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::usage(format!("{path}: cannot be asked for: {error}")))?;
        match tokio::time::timeout(ANSWER_WITHIN, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(|error| self.broken(&error)),
            Err(_elapsed) => Err(self.says(&too_slow())),
        }
    }

    /// The body of a success; else what the daemon says about it.
    async fn accepted(&self, answer: Response<Incoming>) -> Result<Incoming, Failure> {
        let (status, version) = (answer.status(), version(&answer));
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let said = body.ok().and_then(|body| serde_json::from_slice::<Refusal>(&body.to_bytes()).ok());
        Err(match said {
            Some(Refusal { error }) => Failure::error(format!("{error}{}", of_version(version.as_deref()))),
            None => self.says(&format!("answers {status}{}", of_version(version.as_deref()))),
        })
    }

    fn understood<T: DeserializeOwned>(&self, body: &[u8], version: Option<&str>) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| {
            self.says(&format!("answers what is not understood ({error}){}", of_version(version)))
        })
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        let is = |kind: io::ErrorKind| error.kind() == kind;
        Failure::error(if is(io::ErrorKind::NotFound) || is(io::ErrorKind::ConnectionRefused) {
            format!(
                "{socket}: no daemon listens there; start one with `r-emsd`, or name its socket with --socket, \
                 the system's is {}",
                system_socket().display()
            )
        } else if is(io::ErrorKind::PermissionDenied) {
            format!("{socket}: you may not ask this daemon; only its user and its group may")
        } else {
            format!("{socket}: cannot be connected to: {error}")
        })
    }

    fn broken(&self, error: &dyn std::error::Error) -> Failure {
        self.says(&format!("broke the connection off ({error}); it may be busy or end, try again"))
    }

    fn says(&self, what: &str) -> Failure {
        Failure::error(format!("{}: the daemon {what}", self.socket.display()))
    }
}

fn too_slow() -> String {
    format!("did not answer within {} s", ANSWER_WITHIN.as_secs())
}

/// The version that an answer names.
fn version(answer: &Response<Incoming>) -> Option<String> {
    Some(answer.headers().get(VERSION_HEADER)?.to_str().ok()?.to_owned())
}

/// What an answer that is not understood may come from.
fn of_version(version: Option<&str>) -> String {
    match version {
        Some(VERSION) => String::new(),
        Some(other) => format!("; it is version {other} and this r-emsctl {VERSION}, use the same of both"),
        None => "; it does not say that it is r-emsd".to_owned(),
    }
}

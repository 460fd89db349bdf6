//! Connections of the control API: over a Unix socket, and over TCP for those who only look; HTTP/1.1, one request each.
//!
//! **Every part is bounded:** how many connections there are, how many of them may last, how long one may wait before it asks,
//! how long it may refuse to read, and what a request may hold. Who is beyond a bound is dropped; the loop feels nothing of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;

use super::{Api, routes};

/// So many connections at once; one more is dropped at once. Those that do nothing end soon, by the bounds below.
const CONNECTIONS_MAX: u32 = 256;
/// So many at once over TCP, beside them: whoever is far keeps no operator from the socket.
const READERS_MAX: u32 = 64;
/// So many of them may follow events, for as long as they like; one more is refused. The others are for who asks or commands.
pub(super) const FOLLOWERS_MAX: usize = 64;
/// So long a connection may take to say what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// So long a client may read nothing while there is something to read.
const READS_WITHIN: Duration = Duration::from_secs(10);
/// So long what is being answered may take when the daemon ends.
const LINGER: Duration = Duration::from_secs(1);
/// A pause after a connection could not be taken: there may be no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection, as the operating system knows it. Whether they may ask is decided by the socket's
/// mode: see [`super::super::socket`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl Peer {
    /// Notes what this operator does. What it names is from outside, and stands in `what` with its control characters escaped:
    /// else it could look like a line of the daemon's own.
    pub(super) fn does(self, what: fmt::Arguments<'_>) {
        tracing::info!(uid = self.uid, gid = self.gid, pid = self.pid, "an operator {what}");
    }
}

/// The places that connections take.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    all: u32,
}

impl Places {
    /// Those of operators.
    pub(super) fn of_operators() -> Self {
        Self::new(CONNECTIONS_MAX)
    }

    /// Those of who only looks.
    pub(super) fn of_readers() -> Self {
        Self::new(READERS_MAX)
    }

    fn new(all: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits until all are free again, for a while.
    pub(super) async fn linger(&self) {
        // Who has not ended by then is cut off.
        let _all = tokio::time::timeout(LINGER, self.free.acquire_many(self.all)).await;
    }
}

/// Takes operators' connections for ever.
pub(super) async fn accept(listener: &UnixListener, api: &Arc<Api>, places: &Places) {
    let router = routes::router(Arc::clone(api));
    loop {
        let taken = listener.accept().await.map(|(stream, _address)| stream);
        begin(taken, places, |stream| connection(stream, router.clone())).await;
    }
}

/// Takes connections of those who only look, for ever; without a listener there are none.
pub(super) async fn accept_readers(listener: Option<&TcpListener>, api: &Arc<Api>, places: &Places) {
    let Some(listener) = listener else { return std::future::pending().await };
    let router = routes::reading(Arc::clone(api));
    loop {
        let taken = listener.accept().await;
        begin(taken, places, |(stream, address)| {
            let router = router.clone();
            async move {
                if let Err(error) = serve(stream, router).await {
                    tracing::debug!(%address, "a connection ended early: {error}");
                }
            }
        })
        .await;
    }
}

/// Begins to serve what was taken, if there is a place.
async fn begin<T, S>(taken: std::io::Result<T>, places: &Places, serve: impl FnOnce(T) -> S)
where
    S: Future<Output = ()> + Send + 'static,
{
    match taken {
        Ok(stream) => {
            let Ok(place) = Arc::clone(&places.free).try_acquire_owned() else { return };
            let served = serve(stream);
            tokio::spawn(async move {
                served.await;
                drop(place);
            });
        }
        Err(error) => {
            tracing::warn!("a connection cannot be taken: {error}");
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }
}

/// Serves an operator's connection.
async fn connection(stream: UnixStream, router: Router) {
    let credentials = match stream.peer_cred() {
        Ok(credentials) => credentials,
        Err(error) => return tracing::warn!("a connection does not say whose it is: {error}"),
    };
    let peer = Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
    if let Err(error) = serve(stream, router.layer(Extension(peer))).await {
        tracing::debug!(uid = peer.uid, gid = peer.gid, pid = peer.pid, "a connection ended early: {error}");
    }
}

/// Serves one connection.
async fn serve<S>(stream: S, router: Router) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(READS_WITHIN));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .keep_alive(false)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router))
        .await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures_util::stream::repeat_with;
    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    /// Serves one connection that says `said` and then neither says nor reads anything; asserts that it ends. While nothing
    /// happens, time passes at once.
    fn ends(said: &[u8]) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (client, server) = UnixStream::pair().expect("a pair");
            client.writable().await.expect("it is open");
            assert_eq!(client.try_write(said).expect("there is room"), said.len());
            let piece = || Ok::<_, Infallible>(Bytes::from_static(&[0; 4_096]));
            let endless = async move || Body::from_stream(repeat_with(piece));
            let served = connection(server, Router::new().route("/", get(endless)));
            assert!(timeout(Duration::from_secs(3_600), served).await.is_ok(), "it lasts for ever");
            drop(client);
        });
    }

    #[test]
    fn who_reads_nothing_of_an_answer_that_fills_all_buffers_is_dropped() {
        ends(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    }

    #[test]
    fn who_does_not_say_what_it_wants_is_dropped() {
        ends(b"");
        ends(b"GET / HTTP/1.1\r\nhost");
    }
}

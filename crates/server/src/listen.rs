//! TCP listeners: bound here or inherited, with TLS or without, each connection a task that is drained when the server stops.
//!
//! A listener may be inherited the way systemd hands it over (`LISTEN_FDS`, `LISTEN_FDNAMES`, sd_listen_fds(3)): a port that
//! was bound before the server entered another network namespace stays reachable from the first one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{FromRawFd as _, RawFd};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_http::compression::predicate::Predicate;
use tower_http::compression::{Compression, CompressionLevel};

use crate::incident::Incident;
use crate::leftover;
use crate::patient::Patient;

/// A client that has not finished its TLS handshake by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that has not sent its request's head by then is let go.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes after which the protocol's own timers run: the preface of HTTP/2 (RFC 9113 section 3.4), by which it is told from
/// HTTP/1. A request that is shorter as a whole is answered, and that ends the wait, too.
const OPENING: usize = 24;
/// Connections that are still busy so long after the server was told to stop are cut.
const DRAIN: Duration = Duration::from_secs(10);
/// After a failed accept (no file handles left) the next try waits, so as not to spin.
const BREATH: Duration = Duration::from_millis(50);
/// The first inherited file descriptor (sd_listen_fds(3)).
const FIRST_INHERITED: RawFd = 3;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client.
    pub remote: SocketAddr,
    /// The address that it called.
    pub local: SocketAddr,
}

/// What answers the requests of a listener.
pub trait Handler: Clone + Send + Sync + 'static {
    /// A client that takes no byte of an answer for so long is let go.
    const PATIENCE: Duration = Duration::from_secs(600);

    /// Answers one request.
    fn answer(self, peer: Peer, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;

    /// The answer when [`Handler::answer`] panicked.
    fn broken(&self, incident: &Incident) -> Response<Body>;
}

/// Binds a TCP port on `address`.
///
/// # Errors
/// When it is taken or may not be bound.
pub async fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((address, port)).await
}

/// Takes over listeners that the parent process bound, with their names (`api` when it named none). Call it once, early.
///
/// # Errors
/// When a descriptor is no listening socket.
pub fn inherited(env: impl Fn(&str) -> Option<String>) -> io::Result<Vec<(String, std::net::TcpListener)>> {
    let count: RawFd = env("LISTEN_FDS").and_then(|count| count.parse().ok()).unwrap_or_default();
    let meant = env("LISTEN_PID").is_none_or(|pid| pid == std::process::id().to_string());
    if !meant {
        return Ok(Vec::new());
    }
    let names = env("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut found = Vec::new();
    for fd in FIRST_INHERITED..FIRST_INHERITED.saturating_add(count.clamp(0, 64)) {
        // SAFETY: the parent said by LISTEN_FDS that this descriptor is ours, and nobody else takes it: this is called once.
        let listener = unsafe { std::net::TcpListener::from_raw_fd(fd) };
        listener.local_addr()?;
        listener.set_nonblocking(true)?;
        found.push((names.next().unwrap_or("api").to_owned(), listener));
    }
    Ok(found)
}

/// Accepts connections until `stop`, then drains them.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    handler: H,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let acceptor = tls.map(TlsAcceptor::from);
    let tracker = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((stream, remote)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        let peer = Peer { remote, local };
        // Answers are written whole; waiting for more would only delay them.
        drop(stream.set_nodelay(true));
        let (handler, watcher, acceptor) = (handler.clone(), graceful.watcher(), acceptor.clone());
        tracker.spawn(async move {
            match acceptor {
                None => connection(stream, peer, handler, watcher).await,
                Some(acceptor) => {
                    if let Some(stream) = shake_hands(&acceptor, stream).await {
                        connection(stream, peer, handler, watcher).await;
                    }
                }
            }
        });
    }
    drop(listener);
    tracker.close();
    let drained = async { tokio::join!(graceful.shutdown(), tracker.wait()) };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "connections cut that were still busy");
    }
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

async fn connection<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    handler: H,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let stream = Patient::new(stream, H::PATIENCE).opened_within(OPENING, HEAD);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD).max_concurrent_streams(256);
    let service = Compression::new(Service { handler, peer })
        .quality(CompressionLevel::Fastest)
        .compress_when(OnlyJson);
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, remote = %peer.remote, "connection ended");
    }
}

/// JSON is compressed; bytes are not, for their ranges and lengths must stay true.
#[derive(Clone, Copy, Debug)]
struct OnlyJson;

impl Predicate for OnlyJson {
    fn should_compress<B: hyper::body::Body>(&self, response: &Response<B>) -> bool {
        let json = |kind: &http::HeaderValue| kind.as_bytes().starts_with(b"application/json");
        response.headers().get(http::header::CONTENT_TYPE).is_some_and(json)
            && !matches!(response.status().as_u16(), 204 | 304)
            && response.body().size_hint().exact() != Some(0)
    }
}

/// A [`Handler`] in the shape that compression and hyper want.
#[derive(Clone, Debug)]
struct Service<H> {
    handler: H,
    peer: Peer,
}

impl<H: Handler> tower_service::Service<Request<Incoming>> for Service<H> {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (peer, handler) = (self.peer, self.handler.clone());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = AssertUnwindSafe(self.handler.clone().answer(peer, leftover::kept(request)));
        Box::pin(async move {
            let answer = answer.catch_unwind().await;
            Ok(answer.unwrap_or_else(|panic| {
                handler.broken(&Incident::note(&*panic, &format!("{method} {}", uri.path()), peer))
            }))
        })
    }
}

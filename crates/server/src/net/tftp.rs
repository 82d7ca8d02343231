//! The TFTP service: one socket for requests, one socket and one task per transfer, both bounded.

mod transfers;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gantry_netboot::path;
use gantry_netboot::tftp::packet::{error, refusal};
use gantry_netboot::tftp::{Ended, Input, Limits, Mode, Packet, Request, Session, Step, netascii};
use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::transfers::{Admission, Place, Transfers};
use super::udp::{Datagram, Socket};
use super::{FileSource, Found, Protocol, Reports, Served, Wanted};

/// Read from a file at a time, bytes.
const CHUNK: usize = 1 << 20;
/// Largest file that is converted to netascii, bytes.
const NETASCII: u64 = 4 << 20;
/// Datagrams of clients are small; requests are the largest.
const BUFFER: usize = 2_048;

/// The service.
pub struct Tftp {
    source: Arc<dyn FileSource>,
    reports: Reports,
    transfers: Mutex<Transfers>,
}

impl Tftp {
    /// A service that is not listening yet.
    pub fn new(source: Arc<dyn FileSource>, reports: Reports) -> Self {
        Self { source, reports, transfers: Mutex::default() }
    }

    /// Serves until `stop`; transfers under way are then cut, clients ask again.
    pub async fn run(self, sockets: Vec<Socket>, stop: CancellationToken) {
        let service = Arc::new(self);
        let mut listeners = JoinSet::new();
        for socket in sockets {
            let (service, stop) = (service.clone(), stop.clone());
            listeners.spawn(async move { service.listen(&socket, &stop).await });
        }
        while listeners.join_next().await.is_some() {}
    }

    async fn listen(self: &Arc<Self>, socket: &Socket, stop: &CancellationToken) {
        let mut transfers = JoinSet::new();
        let mut buffer = [0; BUFFER];
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = transfers.join_next() => continue,
                received = socket.receive(&mut buffer) => received,
            };
            match received {
                Ok(datagram) => {
                    self.datagram(socket, &buffer[..datagram.len], datagram, &mut transfers).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "tftp receive failed");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn datagram(
        self: &Arc<Self>,
        socket: &Socket,
        bytes: &[u8],
        datagram: Datagram,
        transfers: &mut JoinSet<()>,
    ) {
        let refuse = match Packet::decode(bytes) {
            Ok(Packet::Read(request)) => match self.admit(datagram.from, &request) {
                Admission::Welcome(place) => {
                    let (service, guard) = (self.clone(), self.guard(place));
                    transfers.spawn(async move { service.transfer(request, datagram, guard).await });
                    return;
                }
                Admission::Repeated => return,
                Admission::Full => {
                    self.reports.counters.file_status(Protocol::Tftp, "BUSY");
                    refusal(error::UNDEFINED, "server is busy, try again")
                }
            },
            Ok(Packet::Write(_)) => {
                self.reports.counters.file_status(Protocol::Tftp, "REFUSED");
                refusal(error::ACCESS, "server does not support write requests")
            }
            // Of a transfer that is over: nothing to say.
            Ok(Packet::Ack(_) | Packet::Error(..)) => return,
            Err(malformed) => {
                self.reports.counters.file_status(Protocol::Tftp, "MALFORMED");
                tracing::debug!(error = %malformed, from = %datagram.from, "malformed tftp packet");
                refusal(error::ILLEGAL, "malformed request")
            }
        };
        if let Err(error) = socket.reply(&refuse, &datagram).await {
            tracing::debug!(%error, to = %datagram.from, "tftp refusal not sent");
        }
    }

    fn admit(&self, client: SocketAddr, request: &Request) -> Admission {
        self.transfers().admit(client, request, Instant::now())
    }

    fn guard(self: &Arc<Self>, place: Place) -> Guard {
        self.reports.counters.transfers().inc();
        Guard { service: self.clone(), place }
    }

    fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn transfer(self: Arc<Self>, request: Request, datagram: Datagram, guard: Guard) {
        let (start, since) = (SystemTime::now(), Instant::now());
        let local = datagram.local.unwrap_or(match datagram.from {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let mut wanted = Wanted {
            path: request.file.clone(),
            client: datagram.from.ip(),
            local,
            protocol: Protocol::Tftp,
        };
        let result = match socket_to(local, datagram.from).await {
            Err(error) => Summary::failed(format!("no socket: {error}")),
            Ok(socket) => match path::clean(&request.file) {
                Err(refused) => {
                    let _ = socket.send(&refusal(error::ACCESS, &refused.to_string())).await;
                    Summary::failed(refused.to_string())
                }
                Ok(path) => {
                    wanted.path = path;
                    self.send(&socket, &request, &wanted, &guard).await
                }
            },
        };
        drop(guard);
        let served = Served {
            wanted,
            status: result.status.into(),
            bytes: result.bytes,
            start,
            duration: since.elapsed(),
            retries: result.retries,
            error: result.error,
        };
        self.reports.file(&served);
    }

    async fn send(&self, socket: &UdpSocket, request: &Request, wanted: &Wanted, guard: &Guard) -> Summary {
        let opened = tokio::select! {
            opened = self.source.open(wanted) => opened,
            () = guard.place.replaced.cancelled() => return Summary::failed(REPLACED),
        };
        let content = match opened {
            Found::Bytes(bytes) => Content::Bytes(bytes),
            Found::File { file, size, .. } => Content::file(file, size),
            Found::Missing => return refuse(socket, error::NOT_FOUND, "file not found").await,
            Found::Folder(_) => return refuse(socket, error::NOT_FOUND, "is a directory").await,
            Found::Stream { .. } => return refuse(socket, error::UNDEFINED, "only over HTTP").await,
            Found::Failed(why) => {
                tracing::error!(path = wanted.path, client = %wanted.client, error = why, "file cannot be rendered");
                return refuse(socket, error::UNDEFINED, "file cannot be rendered").await;
            }
        };
        let content = match request.mode {
            Mode::Octet => content,
            Mode::Netascii => match content.into_netascii().await {
                Ok(content) => content,
                Err(why) => return refuse(socket, error::UNDEFINED, &why).await,
            },
        };
        converse(socket, request, content, guard).await
    }
}

/// Why a transfer ends whose client asks anew.
const REPLACED: &str = "the client began another transfer";

/// A place among the transfers; given back when dropped.
struct Guard {
    service: Arc<Tftp>,
    place: Place,
}

impl Guard {
    /// The client has answered.
    fn heard(&self) {
        self.service.transfers().heard(&self.place, Instant::now());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.service.transfers().end(&self.place);
        self.service.reports.counters.transfers().dec();
    }
}

/// How a transfer ended.
struct Summary {
    status: &'static str,
    bytes: u64,
    retries: u32,
    error: Option<String>,
}

impl Summary {
    fn failed(why: impl Into<String>) -> Self {
        Self { status: "FAILED", bytes: 0, retries: 0, error: Some(why.into()) }
    }

    fn of(session: &Session, ended: Ended) -> Self {
        let (status, error) = match ended {
            Ended::Done => ("SUCCESS", None),
            Ended::Probed => ("PROBED", None),
            Ended::Refused(code, message) => ("FAILED", Some(format!("client says {code} {message}"))),
            Ended::TimedOut => ("FAILED", Some("client does not answer".into())),
            Ended::Failed(why) => ("FAILED", Some(why)),
        };
        Self { status, bytes: session.bytes(), retries: session.retries(), error }
    }
}

async fn refuse(socket: &UdpSocket, code: u16, message: &str) -> Summary {
    let _ = socket.send(&refusal(code, message)).await;
    Summary::failed(message)
}

/// A socket of its own for a transfer, on the address that the client asked.
async fn socket_to(local: IpAddr, client: SocketAddr) -> io::Result<UdpSocket> {
    let bound = match UdpSocket::bind((local, 0)).await {
        Ok(socket) => socket,
        // Asked by broadcast, or an address that is gone.
        Err(_) if local.is_ipv4() => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
        Err(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
    };
    bound.connect(client).await?;
    Ok(bound)
}

async fn converse(socket: &UdpSocket, request: &Request, mut content: Content, guard: &Guard) -> Summary {
    let size = content.size();
    let mtu =
        getsockopt(socket, sockopt::IpMtu).ok().and_then(|mtu| usize::try_from(mtu).ok()).unwrap_or(1500);
    if let Err(why) = content.fetch(0..CHUNK as u64).await {
        return refuse(socket, error::UNDEFINED, &format!("file cannot be read: {}", why.kind())).await;
    }
    let (mut session, mut step) =
        Session::start(request, Some(size), Limits::for_mtu(mtu), &mut content.reader());
    let mut buffer = [0; BUFFER];
    loop {
        for datagram in &step.send {
            // A lost datagram is sent again; an unreachable client is seen when it stays silent.
            let _ = socket.send(datagram).await;
        }
        let Step { wait, ended, .. } = step;
        if let Some(ended) = ended {
            return Summary::of(&session, ended);
        }
        let received = tokio::select! {
            received = tokio::time::timeout(wait, socket.recv(&mut buffer)) => received,
            () = guard.place.replaced.cancelled() => {
                return Summary::of(&session, Ended::Failed(REPLACED.into()));
            }
        };
        if let Ok(Ok(_)) = &received {
            guard.heard();
        }
        if let Err(why) = content.fetch(session.ahead()).await {
            let _ = socket.send(&refusal(error::UNDEFINED, "the file cannot be read")).await;
            return Summary::of(&session, Ended::Failed(why.to_string()));
        }
        step = match received {
            Ok(Ok(len)) => session.drive(Input::Packet(&buffer[..len]), &mut content.reader()),
            // Port unreachable: the client is gone, but an old ICMP message may lie: let the time-outs decide.
            Ok(Err(_)) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                session.drive(Input::Timeout, &mut content.reader())
            }
            Err(_) => session.drive(Input::Timeout, &mut content.reader()),
        };
    }
}

/// What is being sent, with the part of it that is in memory.
enum Content {
    Bytes(bytes::Bytes),
    File { file: Arc<std::fs::File>, size: u64, from: u64, chunk: Vec<u8> },
}

impl Content {
    fn file(file: std::fs::File, size: u64) -> Self {
        Self::File { file: Arc::new(file), size, from: 0, chunk: Vec::new() }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Brings a part of the file into memory, off the threads that serve the network.
    async fn fetch(&mut self, wanted: std::ops::Range<u64>) -> io::Result<()> {
        let Self::File { file, size, from, chunk } = self else { return Ok(()) };
        let end = wanted.end.min(*size);
        if wanted.start >= end || (*from <= wanted.start && end <= *from + chunk.len() as u64) {
            return Ok(());
        }
        let (file, start) = (file.clone(), wanted.start);
        let len = (end - start).max(CHUNK as u64).min(*size - start) as usize;
        *chunk = tokio::task::spawn_blocking(move || read_at(&file, start, len))
            .await
            .map_err(io::Error::other)??;
        *from = start;
        Ok(())
    }

    /// Reads from memory alone.
    fn reader(&self) -> impl FnMut(u64, &mut [u8]) -> Result<usize, String> + '_ {
        |offset, buffer| {
            let (bytes, from, size) = match self {
                Self::Bytes(bytes) => (&bytes[..], 0, bytes.len() as u64),
                Self::File { chunk, from, size, .. } => (&chunk[..], *from, *size),
            };
            if offset >= size {
                return Ok(0);
            }
            let start = offset.checked_sub(from).and_then(|s| usize::try_from(s).ok());
            let rest = start.and_then(|s| bytes.get(s..)).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            if (len as u64) < (size - offset).min(buffer.len() as u64) {
                return Err("the file became shorter while it was sent".into());
            }
            buffer[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        }
    }

    async fn into_netascii(self) -> Result<Self, String> {
        let plain = match self {
            Self::Bytes(bytes) => bytes,
            Self::File { size, .. } if size > NETASCII => {
                return Err("too large for netascii, ask for octet".into());
            }
            Self::File { file, size, .. } => {
                let read = tokio::task::spawn_blocking(move || read_at(&file, 0, size as usize)).await;
                let read = read.map_err(io::Error::other).and_then(|read| read);
                read.map_err(|error| format!("file cannot be read: {}", error.kind()))?.into()
            }
        };
        Ok(Self::Bytes(netascii(&plain).into()))
    }
}

fn read_at(file: &std::fs::File, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut chunk[filled..], from + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    chunk.truncate(filled);
    Ok(chunk)
}

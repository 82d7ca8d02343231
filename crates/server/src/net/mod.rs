//! Sockets of the boot services: DHCP and boot server, TFTP, files over HTTP, router advertisements.
//!
//! Everything that is decided is decided in `gantry-netboot`; here bytes come in, clocks are read, leases are written,
//! answers go out, and what happened is counted and noted. Sockets are bound or inherited by the caller, so that tests use
//! loopback and ports of their own. Each service runs until its token is cancelled and leaves no task behind.

mod counters;
pub mod dhcp;
pub mod files;
mod frames;
mod interfaces;
mod probe;
pub mod ra;
pub mod tftp;
pub mod udp;

#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use counters::Counters;
pub use frames::Frames;
pub use interfaces::Interfaces;
pub use probe::Prober;

use tokio::io::unix::AsyncFd;

use crate::trace::{Note, TraceSink};

/// A future behind a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a file travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TFTP.
    Tftp,
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Protocol {
    /// The word for counters and traces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tftp => "tftp",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Clean relative path (see `gantry_netboot::path::clean`); empty is the root.
    pub path: String,
    /// The client.
    pub client: IpAddr,
    /// The address of ours that it asked: rendered URLs lead there.
    pub local: IpAddr,
    /// How.
    pub protocol: Protocol,
}

/// What there is under a path.
#[derive(Debug)]
pub enum Found {
    /// Content in memory: rendered for this request, or small.
    Bytes(bytes::Bytes),
    /// A file.
    File {
        /// Open for reading.
        file: std::fs::File,
        /// Its length, bytes.
        size: u64,
        /// When it was written.
        modified: Option<SystemTime>,
    },
    /// Content that comes from elsewhere, with its length if known. HTTP only, no ranges.
    Stream {
        /// Length, bytes.
        size: Option<u64>,
        /// The content.
        body: axum::body::Body,
    },
    /// A folder: names, folders ending in `/`.
    Folder(Vec<String>),
    /// Nothing.
    Missing,
    /// Something that could not be produced: a template that does not render. For the log; the client learns only that.
    Failed(String),
}

/// The one file tree that machines see, rendered and explicit files alike.
pub trait FileSource: Send + Sync {
    /// Looks up one path for one client.
    fn open<'a>(&'a self, wanted: &'a Wanted) -> Boxed<'a, Found>;
}

/// A request for a file that came to its end, for events (`static.serve`, `tftp.serve`).
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// What was asked for; the path as requested when it could not be cleaned.
    pub wanted: Wanted,
    /// HTTP status; for TFTP `SUCCESS`, `PROBED` or `FAILED`.
    pub status: String,
    /// Bytes that reached the client, or were handed to the kernel for it.
    pub bytes: u64,
    /// When the request came.
    pub start: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// TFTP retransmissions.
    pub retries: u32,
    /// Why it failed, for people.
    pub error: Option<String>,
}

impl Served {
    /// As a line of a boot trace; who it was is for the caller to add.
    pub fn note(&self) -> Note {
        let Self { wanted, status, bytes, duration, retries, error, .. } = self;
        let mut data = serde_json::Map::new();
        data.insert("File".into(), wanted.path.clone().into());
        data.insert("Status".into(), status.clone().into());
        data.insert("Bytes".into(), (*bytes).into());
        data.insert("Ms".into(), (duration.as_micros() as f64 / 1000.0).into());
        let (word, milliseconds) = (wanted.protocol.word(), duration.as_millis());
        let mut text = format!("{word} /{} {status} {bytes} bytes in {milliseconds} ms", wanted.path);
        if *retries > 0 {
            data.insert("Retries".into(), (*retries).into());
            text = format!("{text}, {retries} retries");
        }
        if let Some(error) = error {
            text = format!("{text}: {error}");
        }
        Note { kind: word, text, data, ..Note::default() }
    }
}

/// Hears of every file that was served. Never blocks.
pub trait ServedSink: Send + Sync {
    /// One request is over.
    fn served(&self, served: &Served);
}

impl ServedSink for () {
    fn served(&self, _: &Served) {}
}

/// Where services report to.
#[derive(Clone)]
pub struct Reports {
    /// The boot trace.
    pub trace: Arc<dyn TraceSink>,
    /// Events.
    pub served: Arc<dyn ServedSink>,
    /// Metrics.
    pub counters: Counters,
}

impl Reports {
    /// Counts, notes and tells of a file request that is over.
    fn file(&self, served: &Served) {
        self.counters.file(served);
        self.served.served(served);
        self.trace.note(Note { address: Some(served.wanted.client), ..served.note() });
    }
}

/// Has the runtime watch a descriptor.
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same descriptor until it is dropped, which the AsyncFd does itself.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

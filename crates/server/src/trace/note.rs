//! What the parts of the server hand to the trace.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// Takes notes. Cheap, never blocks for I/O, never fails.
pub trait TraceSink: Send + Sync {
    /// Remembers one event.
    fn note(&self, note: Note);
}

/// One event, as the part of the server that saw it describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// UUID of the machine, when it is known.
    pub machine: Option<String>,
    /// MAC as `aa:bb:cc:dd:ee:ff`, when it is known.
    pub mac: Option<String>,
    /// The client's address, when it has one.
    pub address: Option<IpAddr>,
    /// Whether this is how a power-on begins: a DISCOVER by firmware rather than by iPXE or an operating system.
    pub power_on: bool,
    /// Whether this happens again and again and says no more the second time: it is folded into the newest entry when that has
    /// the same text.
    pub repeats: bool,
    /// What kind of thing happened: `dhcp`, `tftp`, `http`, `agent`, `power`, `job`, `machine`.
    pub kind: &'static str,
    /// One line for people: `DISCOVER -> OFFER 192.168.124.10 file ipxe.efi`.
    pub text: String,
    /// Details for programs: bytes, duration in milliseconds, retries, exit state, …
    pub data: Map<String, Value>,
}

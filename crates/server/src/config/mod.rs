//! What the operator asked for: flags and environment, and nothing else (there is no configuration file).
//!
//! Names are those of `dr-provision` (reference: network.md §3.1); every flag has an environment variable and wins over it.
//! A flag whose function does not exist here is not swallowed: giving it is an error that says what to use instead.
//! This module and the program's `main` are the only ones that read flags and environment: `flags` is the table of what can be
//! given, `read` makes a [`Config`] of what was.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

mod flags;
mod read;

pub use flags::{Described, command, described, for_recovery};
pub use read::read;

/// Everything that the server is told at its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder of everything that this server keeps; relative folders below are joined to it.
    pub base_root: PathBuf,
    /// Where the object store lies, or None to keep objects in memory (`--backend memory`).
    pub data_root: Option<PathBuf>,
    /// Root of the file tree that machines see.
    pub file_root: PathBuf,
    /// Files here are served in place of those under `file_root`.
    pub replace_root: PathBuf,
    /// Job logs.
    pub log_root: PathBuf,
    /// Boot traces.
    pub trace_root: PathBuf,
    /// Folders with content packs to load at start.
    pub content: Vec<PathBuf>,
    /// Address that the TCP servers listen on.
    pub listen: IpAddr,
    /// Ports; 0 lets the system choose.
    pub ports: Ports,
    /// Which services run.
    pub services: Services,
    /// Ask the network before a fresh address is offered.
    pub probe: bool,
    /// Address to advertise when the client's connection does not tell.
    pub static_ip: Option<Ipv4Addr>,
    /// Advertise `static_ip` always.
    pub force_static: bool,
    /// Interfaces that DHCP answers on; empty for all.
    pub dhcp_interfaces: Vec<String>,
    /// Advertise no router by IPv6 (lifetime 0), so that iPXE does not wait for one.
    pub router_advertisement: bool,
    /// Certificate and key of the API, PEM.
    pub tls: Pair,
    /// Certificate and key of files over HTTPS, PEM.
    pub static_tls: Option<Pair>,
    /// Curve of certificates made here.
    pub curve: Curve,
    /// Name of this server; empty: the MAC of its first interface.
    pub id: String,
    /// Name of the cluster; empty: the same as `id`.
    pub ha_id: String,
    /// Where `/` and `/ui` lead; empty: nowhere.
    pub ui_url: String,
    /// Preferences to set when they have no value yet.
    pub preferences: BTreeMap<&'static str, String>,
    /// Level of the server's own log lines.
    pub log_level: String,
}

/// TCP and UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the services")]
pub struct Ports {
    pub api: u16,
    pub files: u16,
    pub secure_files: u16,
    pub tftp: u16,
    pub dhcp: u16,
    pub binl: u16,
    pub metrics: u16,
}

/// Which services run beside the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the services")]
pub struct Services {
    pub tftp: bool,
    pub files: bool,
    pub dhcp: bool,
    pub binl: bool,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// Curves of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "standard names")]
pub enum Curve {
    P256,
    P384,
}

#[cfg(test)]
mod tests;

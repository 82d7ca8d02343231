//! What the machine is made of, read from `/proc` and `/sys` below a root that tests can choose.
//!
//! [`gather`] never fails: what cannot be read is left out. The result is published as the machine's
//! param `gantry-inventory`; its JSON is the serialisation of [`Inventory`], field by field as
//! documented here. Sizes are bytes, speeds megabits per second, names as the kernel gives them.

pub mod cpu;
pub mod disks;
pub mod dmi;
pub mod fingerprint;
pub mod firmware;
pub mod gohai;
pub mod nics;
pub mod pci;

use crate::wire::Fingerprint;
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;

/// Largest file of `/sys` or `/proc` that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The whole inventory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Inventory {
    /// Shape of this object; grows when a field changes its meaning.
    pub version: u32,
    /// Architecture in the API's names.
    pub arch: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// Host name.
    pub hostname: String,
    /// Processors.
    pub cpu: cpu::Cpu,
    /// Main memory.
    pub memory: Memory,
    /// Block devices that are whole disks.
    pub disks: Vec<disks::Disk>,
    /// Network cards.
    pub nics: Vec<nics::Nic>,
    /// PCI functions.
    pub pci: Vec<pci::Device>,
    /// SMBIOS: system, board, chassis, BIOS, memory modules.
    pub dmi: dmi::Dmi,
    /// How the machine was booted.
    pub firmware: firmware::Firmware,
}

/// Main memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Memory {
    /// What the kernel manages, in bytes.
    pub total: u64,
    /// What is free for use, in bytes.
    pub available: u64,
}

/// What identifies a machine to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// MAC addresses of physical cards, sorted.
    pub macs: Vec<String>,
    /// Architecture in the API's names.
    pub arch: String,
    /// Our address as the server sees it, empty if unknown.
    pub address: String,
    /// Hashes of the hardware.
    pub fingerprint: Fingerprint,
    /// Domain from the resolver's configuration, empty if there is none.
    pub domain: String,
}

impl Facts {
    /// `d` and the first MAC with dashes, as machines are named by default (engine.md §6 step 5).
    pub fn default_name(&self) -> String {
        let mac = self.macs.first().map_or_else(|| "unknown".to_owned(), |mac| mac.replace(':', "-"));
        if self.domain.is_empty() { format!("d{mac}") } else { format!("d{mac}.{}", self.domain) }
    }
}

/// Reads everything.
pub fn gather(root: &Path) -> Inventory {
    Inventory {
        version: 1,
        arch: arch().to_owned(),
        kernel: read(root, "proc/sys/kernel/osrelease"),
        hostname: read(root, "proc/sys/kernel/hostname"),
        cpu: cpu::gather(root),
        memory: memory(root),
        disks: disks::gather(root),
        nics: nics::gather(root),
        pci: pci::gather(root),
        dmi: dmi::gather(root),
        firmware: firmware::gather(root),
    }
}

/// Reads what identifies the machine; `server` is the URL that our address is measured towards.
pub fn facts(root: &Path, server: &str) -> Facts {
    let nics = nics::gather(root);
    let mut macs: Vec<String> =
        nics.iter().filter(|nic| nic.physical && !nic.mac.is_empty()).map(|nic| nic.mac.clone()).collect();
    macs.sort();
    macs.dedup();
    Facts {
        macs,
        arch: arch().to_owned(),
        address: own_address(server).unwrap_or_default(),
        fingerprint: fingerprint::of(root),
        domain: domain(root),
    }
}

/// Id of the present boot.
pub fn boot_id(root: &Path) -> String {
    read(root, "proc/sys/kernel/random/boot_id")
}

/// The architecture that this binary was built for, in the API's names.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn memory(root: &Path) -> Memory {
    let text = read(root, "proc/meminfo");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Memory { total: field("MemTotal").unwrap_or(0), available: field("MemAvailable").unwrap_or(0) }
}

fn domain(root: &Path) -> String {
    let text = read(root, "etc/resolv.conf");
    let line =
        text.lines().find_map(|line| line.strip_prefix("search ").or_else(|| line.strip_prefix("domain ")));
    line.and_then(|words| words.split_whitespace().next()).unwrap_or_default().to_owned()
}

/// The source address that the kernel would use towards the server; nothing is sent.
fn own_address(server: &str) -> Option<String> {
    let rest = server.split_once("://")?.1;
    let authority = rest.split('/').next()?;
    let target = if authority.rfind(':') > authority.rfind(']') {
        authority.to_owned()
    } else {
        format!("{authority}:443")
    };
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(target).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// A small text file below the root, trimmed; empty when it cannot be read.
pub(crate) fn read(root: &Path, path: &str) -> String {
    read_path(&root.join(path))
}

/// A small text file, trimmed; empty when it cannot be read.
pub(crate) fn read_path(path: &Path) -> String {
    String::from_utf8_lossy(&read_bytes(path))
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .to_owned()
}

/// A small file; empty when it cannot be read, cut at 1 MiB.
pub(crate) fn read_bytes(path: &Path) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(MAX_FILE).read_to_end(&mut bytes);
    }
    bytes
}

/// The names in a folder, sorted; none when it cannot be read.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The last part of where a link points, empty when it is no link.
pub(crate) fn link_name(path: &Path) -> String {
    let target = fs::read_link(path).unwrap_or_default();
    target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A number in a small file.
pub(crate) fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    read_path(path).parse().ok()
}

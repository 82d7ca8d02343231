//! Labs: network namespaces, a user-space Ethernet switch and QEMU machines. `gantry lab` for operators, and the ground that all
//! end-to-end tests stand on.
//!
//! ```no_run
//! use std::time::Duration;
//! use gantry_lab::{Config, Disk, DiskBus, Lab, MachineSpec, Program};
//!
//! # fn main() -> gantry_lab::Result<()> {
//! let lab = Lab::start(Config::default())?;
//! let api = std::net::TcpListener::bind("127.0.0.1:8092").expect("a free port");
//! let server = lab.spawn(&Program::new("gantry").args(["serve"]).listener("api", api))?;
//! let machine = lab.machine(MachineSpec { disks: vec![Disk::blank(DiskBus::Nvme, 4 << 30)], ..MachineSpec::new("m1") })?;
//! lab.capture(lab.folder().join("boot.pcapng"))?;
//! machine.power_on()?;
//! machine.wait_serial("login:", Duration::from_secs(60))?;
//! # drop(server);
//! lab.stop()
//! # }
//! ```
//!
//! # The processes
//!
//! A process with threads cannot enter a user namespace, and a test or a server has threads. So a lab lives in processes of its
//! own, which the helper program (`gantry-lab`, or `gantry lab`) becomes when a lab is started:
//!
//! ```text
//! owner (a test, gantry lab up)
//!   └─ guardian          enters the namespaces, waits, removes the lab's folder
//!        └─ supervisor   process 1 inside: network, switch, machines, programs; answers requests
//!             ├─ qemu-system-x86_64 …      one per machine that is on
//!             └─ gantry serve …            whatever was spawned
//! ```
//!
//! Nothing needs root: an ordinary user's lab has a user namespace in which that user is root. Root's labs do without. The network
//! namespace has no way out: the only connections to the world are files that are passed in, such as a listener that was bound on
//! the host's loopback ([`Program::listeners`]).
//!
//! Whatever happens, nothing stays behind: see the table in the source of the guardian. The supervisor being process 1 of a process
//! namespace, its end is everybody's end; and a folder that a crash leaves is swept by the next lab.
//!
//! # The network
//!
//! ```text
//! gantry serve ── srv0 ══ veth ══ srv0-p ── AF_PACKET ─┐
//!                                                      ├── switch ── capture.pcapng
//! qemu -netdev dgram ── Unix datagram socket ──────────┤
//! a test's Wire ─────── Unix datagram socket ──────────┘
//! ```
//!
//! The switch is a thread of the supervisor. It learns addresses, knows VLANs, and can lose, delay, duplicate and reorder what
//! passes a port, the same way in every run ([`Impairment`]).
//!
//! Left out: routing between networks (a test that needs a relay spawns one), other architectures than x86-64, BMCs.

mod capture;
mod client;
mod config;
mod enter;
mod error;
mod folder;
mod guardian;
mod log;
mod mac;
mod machine;
mod net;
mod process;
mod proto;
mod qemu;
mod serial;
mod supervisor;
mod switch;

pub mod cli;

pub use capture::{Captured, read as read_capture};
pub use client::{Lab, Machine, Process, Switchboard, Wire, clean};
pub use config::{Config, Files, Helper, Lifetime, Network, Vlan, default_root};
pub use error::{Error, Result};
pub use mac::Mac;
pub use machine::{
    Accel, BootOrder, Disk, DiskBus, DiskContent, Event, Firmware, Happening, MachineSpec, MachineStatus,
    Nic, NicModel, Power,
};
pub use process::{Base, Exit, Output, Program};
pub use serial::{Line, Serial};
pub use switch::{Counters, Harm, Impairment, Port, Traffic, Way};

//! Builds and opens what machines boot: the discovery OS, the boot loaders, a demo disk image; partition tables.
//!
//! Two halves, so that the agent stays small:
//!
//! * [`gpt`] and [`cpio`] are always there and bring one small dependency.
//! * Everything else is behind the feature `build` (on by default) and belongs to `gantry image`: [`discovery`] makes
//!   the discovery OS, [`loaders`] stages the boot loaders, [`debian`] makes the demo's disk image. All three take their
//!   parts from Debian packages, fetched and verified by the host's own apt ([`apt`]), and need no root.
//!
//! [`command()`] and [`run`] are the command line, mounted by `gantry` as `gantry image`.
#![cfg_attr(
    not(feature = "build"),
    allow(rustdoc::broken_intra_doc_links, reason = "half of the crate is off")
)]

pub mod cpio;
pub mod gpt;

#[cfg(feature = "build")]
mod agent;
#[cfg(feature = "build")]
pub mod apt;
#[cfg(feature = "build")]
mod command;
#[cfg(feature = "build")]
pub mod debian;
#[cfg(feature = "build")]
pub mod description;
#[cfg(feature = "build")]
pub mod discovery;
#[cfg(feature = "build")]
mod error;
#[cfg(feature = "build")]
pub mod kmod;
#[cfg(feature = "build")]
mod layer;
#[cfg(feature = "build")]
mod libs;
#[cfg(feature = "build")]
pub mod loaders;
#[cfg(feature = "build")]
pub mod manifest;
#[cfg(feature = "build")]
mod process;
#[cfg(feature = "build")]
pub mod tree;
#[cfg(feature = "build")]
pub mod uki;

#[cfg(feature = "build")]
pub use command::{command, run};
#[cfg(feature = "build")]
pub use error::Error;

/// Is told what a build is doing. The command line turns it into lines or a progress bar.
#[cfg(feature = "build")]
pub trait Progress {
    /// A new step begins, e.g. "fetching 31 packages".
    fn step(&self, what: &str);
}

/// Says nothing.
#[cfg(feature = "build")]
#[derive(Debug, Clone, Copy)]
pub struct Silent;

#[cfg(feature = "build")]
impl Progress for Silent {
    fn step(&self, _: &str) {}
}

//! Content packs as files: what a folder or a bundle holds, how a pack is written back, documented and checked.
//!
//! - [`Pack::read`] takes a folder (one folder per kind of object, `._<Field>.meta` and `meta.yaml` for the metadata) or a
//!   bundle (one YAML or JSON file), with every quirk that shipped packs rely on ([`yaml`], [`mod@coerce`]).
//! - [`Pack::layer`] makes the model's [`Layer`](gantry_model::Layer) of it; whatever is wrong comes out at once, each
//!   [`Fault`] with pack, file, object, line and field.
//! - [`Pack::to_json`], [`Pack::to_yaml`], [`Pack::unbundle`], [`document`] write.
//! - [`builtin`] has the packs that are in the program.
//! - [`lint`] finds what a server stores and nobody can use; [`mod@check`] renders every template of a set of packs for every machine that could meet it.
//!
//! Left out: how packs are stored and appear in a running server, which is the `state` crate's; and the kinds of objects,
//! which are the model's.

pub mod builtin;
pub mod check;
pub mod coerce;
pub mod conformance;
mod document;
mod fault;
mod folder;
mod lint;
mod order;
mod pack;
pub mod yaml;

pub use document::document;
pub use fault::{Fault, counted, listed};
pub use folder::is_pack;
pub use gantry_boot::yaml::to_yaml;
pub use lint::{lint, similar, unheard};
pub use order::in_order;
pub use pack::{Pack, Source};

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds no pack.
    #[error("{}: no content pack here; a pack has a file ._Name.meta or meta.yaml, or its folders do", path.display())]
    Nothing {
        /// Which.
        path: std::path::PathBuf,
    },
    /// Parts of a pack are wrong; every fault is listed.
    #[error("content pack {pack} has {}:\n{}", counted(faults.len(), "fault"), listed(faults))]
    Wrong {
        /// The pack, or the folder that was to be one.
        pack: String,
        /// What is wrong.
        faults: Vec<Fault>,
    },
}

//! The demo's disk image.
use crate::apt::Refresh;
use crate::manifest::Manifest;
use crate::{Error, Progress};
use std::path::PathBuf;

/// What to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the results.
    pub out: PathBuf,
    /// Folder for packages and parts.
    pub cache: PathBuf,
    /// Which kernel: `cloud` or `generic`.
    pub kernel: String,
    /// Compression level of zstd, 1 to 19.
    pub level: i32,
    /// Size of the disk in bytes.
    pub size: u64,
    /// When to fetch the package index.
    pub refresh: Refresh,
}

/// Builds the image.
///
/// # Errors
/// When a program is absent or fails.
pub fn build(options: &Options, _progress: &dyn Progress) -> Result<Manifest, Error> {
    Err(Error::Missing { what: "the demo image".into(), wanted_by: options.out.display().to_string() })
}

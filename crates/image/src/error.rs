//! What can go wrong while an image is built, said so that the operator can act on it.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What we were doing, with the path.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that the build needs is not installed.
    #[error("the program `{program}` is needed but was not found\nhint: apt-get install {package}")]
    NoProgram {
        /// Name of the program.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program failed.
    #[error("`{program}` failed ({status}) while we wanted to {doing}:\n{stderr}")]
    Program {
        /// Name of the program.
        program: String,
        /// Exit status.
        status: String,
        /// What it was run for.
        doing: String,
        /// The last lines that it wrote.
        stderr: String,
    },
    /// The description of the image cannot be used.
    #[error("image description {origin}: {reason}")]
    Description {
        /// File name, or "built in".
        origin: String,
        /// What is wrong, with the name of the field.
        reason: String,
    },
    /// A package does not contain what the description asks for, or a library is nowhere to be found.
    #[error("{what} is missing: {wanted_by}")]
    Missing {
        /// The file, package or library.
        what: String,
        /// Who asked for it and what to do.
        wanted_by: String,
    },
    /// A file has not the form that its name promises.
    #[error("{file}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The agent cannot be process 1 of the discovery OS.
    #[error(
        "the agent {file} is not what is wanted: {reason}\nhint: give a static program for x86-64, as `make agent` builds it"
    )]
    Agent {
        /// The file.
        file: String,
        /// What it is instead.
        reason: String,
    },
    /// The image is larger than it may be.
    #[error(
        "kernel and initramfs have {size} bytes, more than the {limit} allowed\nhint: move packages or modules to an optional layer, or raise --limit"
    )]
    TooLarge {
        /// Bytes reached.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The partition table of a disk image could not be made.
    #[error(transparent)]
    Partitions(#[from] crate::gpt::Error),
}

/// Adds to an I/O error what was being done.
pub(crate) trait Doing<T> {
    /// "cannot `verb` `path`".
    fn doing(self, verb: impl Display, path: &Path) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, verb: impl Display, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: format!("{verb} {}", path.display()), source })
    }
}

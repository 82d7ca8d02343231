//! What can go wrong with blobs.

use std::io;
use std::path::{Path, PathBuf};

use super::{Name, is_absent};

/// Errors of [`super::Blobs`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that no blob can have.
    #[error("blob name {name:?} {fault}")]
    Name {
        /// The name, cut to 255 characters.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// There is no such blob.
    #[error("there is no blob {name}")]
    NotFound {
        /// The name that was asked for.
        name: Name,
    },
    /// The name is a folder, or goes through something that is none, or through a link that leads out.
    #[error("blob name {name} cannot be used: {why}")]
    Unusable {
        /// The name that was asked for.
        name: Name,
        /// What is in the way.
        why: &'static str,
    },
    /// Two uploads to one name at once.
    #[error("another upload of {name} is under way")]
    Busy {
        /// The name that both were to get.
        name: Name,
    },
    /// More bytes were written than the upload may have. What was written is gone.
    #[error("upload of {name} is larger than the {limit} bytes that it may have")]
    TooLarge {
        /// The name it was to get.
        name: Name,
        /// The limit in bytes.
        limit: u64,
    },
    /// An append beyond the end.
    #[error("append to {name} at offset {offset}, but it ends at {size}; send what is between first")]
    Hole {
        /// The blob.
        name: Name,
        /// The offset that was asked for.
        offset: u64,
        /// The blob's size in bytes.
        size: u64,
    },
    /// An append that repeats other bytes than those that are there.
    #[error("append to {name} at offset {offset} repeats bytes, but not the ones that are there")]
    Differs {
        /// The blob.
        name: Name,
        /// The offset that was asked for.
        offset: u64,
    },
    /// Another process has the folder.
    #[error("{} is held by another process; end that one first", .path.display())]
    InUse {
        /// The lock's file.
        path: PathBuf,
    },
    /// The storage refused.
    #[error("{doing} ({}) failed", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the storage said.
        source: io::Error,
    },
}

impl Error {
    /// Wraps what the storage said about a path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// Wraps what the storage said about a blob, and gives the common answers their names.
    pub(super) fn at(doing: &'static str, name: &Name) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            // A part of the name that is a file: there is no such blob either, but nor can there be.
            io::ErrorKind::NotADirectory if doing != READING => {
                Self::Unusable { name: name.clone(), why: "a part of it is a file" }
            }
            _ if is_absent(&source) => Self::NotFound { name: name.clone() },
            io::ErrorKind::DirectoryNotEmpty => {
                Self::Unusable { name: name.clone(), why: "it is a folder with something in it" }
            }
            io::ErrorKind::IsADirectory => Self::Unusable { name: name.clone(), why: "it is a folder" },
            io::ErrorKind::CrossesDevices => {
                Self::Unusable { name: name.clone(), why: "a link on its way leads out of the folder" }
            }
            _ => Self::Io { doing, path: name.path().to_owned(), source },
        }
    }
}

/// What opening a blob for reading is called.
pub(super) const READING: &str = "reading a blob";

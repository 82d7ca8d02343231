//! What can go wrong in a store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{Key, MAX_KEY, MAX_VALUE};

/// Why a group of commits was refused: somebody else changed what it had read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Which commit of the group, counted from 0, made the compare.
    pub commit: usize,
    /// The key that changed.
    pub key: Key,
}

/// A store's errors. They are cloned to everybody whose commit shared the failed fsync.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A compare did not hold; nothing of the group was applied. Load what changed and try again.
    #[error("commit {} of the group was made from an older state: {} has changed since", .0.commit, .0.key)]
    Conflict(Conflict),
    /// A key that is empty or too long.
    #[error("key of {length} bytes: it must have 1 to {MAX_KEY}")]
    KeyLength {
        /// Its length in bytes.
        length: usize,
    },
    /// A value that is too large.
    #[error("value of {size} bytes: it must have at most {MAX_VALUE}")]
    ValueTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Another process holds the file.
    #[error("{} is in use by another process; end that one first", .path.display())]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The file was written by a newer Gantry.
    #[error("the store has format {found}, this program reads format {known}; use a newer program")]
    Format {
        /// The format number in the file.
        found: u64,
        /// The format number that this program writes.
        known: u64,
    },
    /// Stored bytes that do not decode.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What does not decode, and why.
        what: String,
    },
    /// The storage refused. After a failed commit the engine accepts no more, and whether that commit is durable
    /// is known only after the store was opened again.
    #[error("{doing} failed")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What the storage said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The engine has stopped.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Wraps what the storage said.
    pub(crate) fn storage<E>(doing: &'static str) -> impl Fn(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Storage { doing, source: Arc::new(source) }
    }
}

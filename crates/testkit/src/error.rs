//! Why a scenario cannot go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of a scenario.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the scenario needs has not been built.
    #[error("{} is missing\nhint: scripts/artifacts.sh builds it", .0.display())]
    Missing(PathBuf),
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// The action and its object.
        what: String,
        /// The reason that the system gave.
        source: io::Error,
    },
    /// The API's address is taken.
    #[error(
        "cannot listen on {0}: another program does\nhint: end it first; it is a server of this host, or another user's demo (gantry lab down)"
    )]
    Taken(SocketAddr),
    /// The lab refused.
    #[error("the lab: {0}")]
    Lab(#[from] gantry_lab::Error),
    /// A call of the API failed.
    #[error("cannot {what}: {source}")]
    Call {
        /// What was being done.
        what: String,
        /// Why not.
        source: gantry_client::Error,
    },
    /// What was waited for did not happen in time.
    #[error("waited {after:.0?} in vain for {what}\n{tail}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
        /// What was seen last: the state of the server or of the machine, and the end of the serial console.
        tail: String,
    },
    /// A job failed, so that the machine's workflow stopped.
    #[error("task {task} failed on {machine}; its log:\n{log}")]
    Job {
        /// The task.
        task: String,
        /// The machine's name.
        machine: String,
        /// The job's log.
        log: String,
    },
    /// Somebody wanted it to end before its time.
    #[error("interrupted")]
    Interrupted,
    /// The server ended by itself.
    #[error("the server ended: {end}; its last lines:\n{tail}")]
    Server {
        /// Exit code or signal.
        end: String,
        /// The end of its log.
        tail: String,
    },
}

/// Says what was being done when the operating system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

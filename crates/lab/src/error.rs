//! What can go wrong in a lab, as one enum.
//!
//! The supervisor of a lab is another process: what it has to say comes back as [`Error::Refused`], already worded.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a call into the lab can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; `what` says what was being done, to which thing.
    #[error("cannot {what}: {source}")]
    Io {
        /// The action and its object, such as "create the folder /tmp/x".
        what: String,
        /// The reason that the system gave.
        source: io::Error,
    },
    /// A field of a configuration or of a request has a value that cannot be.
    #[error("{field}: {value:?} is not right: {right}")]
    Invalid {
        /// The field, as the user wrote it.
        field: &'static str,
        /// The value that was found.
        value: String,
        /// What would be right.
        right: String,
    },
    /// The lab answered, and the answer is no.
    #[error("{message}")]
    Refused {
        /// The reason, in words.
        message: String,
    },
    /// Nothing of that name is in the lab.
    #[error("there is no {kind} named {name:?} ({})", known_text(known))]
    Unknown {
        /// Machine, port, process or lab.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// What was waited for did not happen in time.
    #[error("waited {after:.1?} in vain for {what}{}", tail_text(tail))]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
        /// The last lines seen meanwhile, if there were any.
        tail: String,
    },
    /// A program that the lab needs is not installed.
    #[error("{program} was not found\nhint: apt-get install {package}")]
    Missing {
        /// The file or program looked for.
        program: PathBuf,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The kernel or its settings do not allow the namespaces that a lab consists of.
    #[error("cannot make the lab's namespaces: {step}: {source}\nhint: {hint}")]
    Namespaces {
        /// The system call or the file.
        step: &'static str,
        /// The reason that the kernel gave.
        source: io::Error,
        /// What usually helps.
        hint: &'static str,
    },
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn known_text(known: &str) -> String {
    if known.is_empty() { "there is none at all".into() } else { format!("there are: {known}") }
}

fn tail_text(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("; last seen:\n{tail}") }
}

/// Words for a system error: `.doing(|| "open the door")`.
pub(crate) trait Doing<T> {
    /// Says what was being done when the error came.
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| Error::Io { what: what().into(), source: error.into() })
    }
}

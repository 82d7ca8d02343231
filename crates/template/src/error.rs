//! Errors, worded as Go words them, with the position as data beside the text.

use std::fmt;

/// Why a template could not be parsed or rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What was going on.
    pub kind: ErrorKind,
    /// The template whose text holds the fault.
    pub template: String,
    /// Line of the fault, counted from 1; 0 when there is none.
    pub line: usize,
    /// Column of the fault in bytes, as Go counts it; 0 when there is none.
    pub column: usize,
    /// The whole message: `template: name:line:column: executing "name" at <.X>: …`.
    pub message: String,
}

/// The stage at which a template failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no template.
    Parse,
    /// There is no template of that name.
    Missing,
    /// The render failed.
    Exec,
    /// The render ran into one of its limits.
    Limit,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// How a function or method fails; the engine adds the position.
#[derive(Clone, Debug)]
pub struct Fail {
    pub(crate) message: String,
    pub(crate) limit: bool,
}

impl Fail {
    /// A failure with this text.
    pub fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), limit: false }
    }

    /// The same failure with what was being done before it.
    #[must_use]
    pub fn while_doing(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// A limit that was reached.
    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self { message: message.into(), limit: true }
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self { limit: error.kind == ErrorKind::Limit, message: error.message }
    }
}

impl From<String> for Fail {
    fn from(message: String) -> Self {
        Self::text(message)
    }
}

impl From<&str> for Fail {
    fn from(message: &str) -> Self {
        Self::text(message)
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

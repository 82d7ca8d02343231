//! Why a call has no result.

/// Errors of a [`crate::Client`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused.
    #[error("{0}")]
    Refused(gantry_api::Error),
    /// The server wants credentials, and none were given or none that it can read.
    #[error("{url} wants a user name and password, or a token")]
    Unauthorized {
        /// What was called.
        url: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was called.
        url: String,
        /// Why, without the parts that only a programmer wants.
        reason: String,
    },
    /// The server's answer is not what the API says.
    #[error("the answer of {url} cannot be read: {reason}")]
    Unreadable {
        /// What was called.
        url: String,
        /// The decoder's words.
        reason: String,
    },
    /// The endpoint is no URL.
    #[error("the endpoint `{endpoint}` cannot be used: {reason}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// The status that the server refused with.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::Unauthorized { .. } => Some(401),
            _ => None,
        }
    }
}

/// The innermost cause says what happened ("connection refused"); the layers above only repeat the URL.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

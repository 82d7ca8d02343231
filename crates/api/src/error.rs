//! The error body of the API: one JSON shape for every refusal (reference: api.md §21).
//!
//! Handlers never write texts by hand. They build an [`Error`] with one of the constructors here, or turn a
//! `gantry_model::Error` into one with [`Error::from_model`], so that the same situation reads the same everywhere.
//! What this leaves out: the HTTP answer itself (headers, compression), which belongs to the server.

use std::fmt;
use std::time::Duration;

use gantry_model::LayerFault;
use serde::{Deserialize, Serialize};

use crate::claim::Wanted;

/// What a refused request gets as its body. The first five fields are always present; `Code` equals the HTTP status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Error {
    /// Prefix of the kind that the request was about, such as `machines`, or empty.
    pub model: String,
    /// Key of the object, as the caller wrote it, or empty.
    pub key: String,
    /// What was refused: an HTTP method, `ValidationError`, `AUTH`, `Conflict`, …
    pub r#type: String,
    /// One text per problem, in the order in which they were found.
    pub messages: Vec<String>,
    /// The HTTP status.
    pub code: u16,
    /// For a content pack, each message again with the object, field and line that it is about. Left out when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<serde_json::Value>")]
    pub faults: Vec<LayerFault>,
}

impl Error {
    /// An error with one message and neither model nor key.
    pub fn new(code: u16, r#type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, r#type: r#type.into(), messages: vec![message.into()], ..Self::default() }
    }

    /// The same error about one object.
    #[must_use]
    pub fn about(mut self, model: impl Into<String>, key: impl Into<String>) -> Self {
        self.model = model.into();
        self.key = key.into();
        self
    }

    /// The same error with one more message.
    #[must_use]
    pub fn and(mut self, message: impl Into<String>) -> Self {
        self.messages.push(message.into());
        self
    }

    /// 404: no such object.
    pub fn not_found(method: &str, model: &str, key: &str) -> Self {
        Self::new(404, method, "Not Found").about(model, key)
    }

    /// 404: no operation has this method and path. `path` includes the query string.
    pub fn no_route(method: &str, path: &str) -> Self {
        Self::new(404, method, "No route").about("", path)
    }

    /// 400: the body or its content type cannot be used.
    pub fn malformed(method: &str, message: impl Into<String>) -> Self {
        Self::new(400, method, message)
    }

    /// 413: the body is larger than this operation takes.
    pub fn too_large(method: &str, limit: u64) -> Self {
        Self::new(413, method, format!("Body is larger than the {limit} bytes that this request may have"))
    }

    /// 408: the client stopped sending in the middle of its body.
    pub fn stalled(method: &str, seconds: u64) -> Self {
        Self::new(408, method, format!("No byte of the body arrived for {seconds} seconds"))
    }

    /// 406: a list query that cannot be understood.
    pub fn unacceptable(method: &str, model: &str, message: impl Into<String>) -> Self {
        Self::new(406, method, message).about(model, "")
    }

    /// 403: wrong user name or password.
    pub fn access_denied() -> Self {
        Self::new(403, "", "Access Denied").about("users", "")
    }

    /// 429: the password was not looked at, because too many were wrong of late. Ours; DRP lets everybody guess on.
    pub fn too_many_guesses(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let message =
            format!("too many wrong passwords for this user from this address; try again in {seconds} s");
        Self::new(429, "", message).about("users", "")
    }

    /// 403: the token cannot be used; the token itself is never echoed.
    pub fn invalid_token(reason: impl fmt::Display) -> Self {
        Self::new(403, "", format!("Invalid Token :{reason}")).about("system", "")
    }

    /// 403: a secret that the token was sealed with has changed since.
    pub fn revoked_token() -> Self {
        Self::new(403, "AUTH", "Validation failed")
    }

    /// 403: the caller is known but lacks a claim. `path` includes the query string.
    pub fn forbidden(path: &str, wanted: &Wanted) -> Self {
        Self::new(403, "AUTH", format!("Cannot access {path}")).and(format!("Requires: {wanted}"))
    }

    /// Whether credentials were refused, as opposed to something that they do not allow.
    pub fn is_login(&self) -> bool {
        self.code == 403
            && (*self == Self::access_denied()
                || *self == Self::revoked_token()
                || self.model == "system" && self.r#type.is_empty())
    }

    /// 500: a fault of the server. The text says what failed but carries no internals.
    pub fn internal(method: &str, what: impl fmt::Display) -> Self {
        Self::new(500, method, format!("The server failed: {what}"))
    }

    /// 503: the server is stopping or a part of it is not there yet.
    pub fn unavailable(method: &str, what: impl fmt::Display) -> Self {
        Self::new(503, method, format!("Not available now: {what}"))
    }
}

/// `Type: Model/Key: message`, the form in which command lines print it (reference: api.md §21.1), without the parts that
/// are empty.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = [self.model.as_str(), self.key.as_str()];
        let subject: Vec<_> = subject.into_iter().filter(|part| !part.is_empty()).collect();
        let subject = subject.join("/");
        let one = if let [one] = self.messages.as_slice() { one.as_str() } else { "" };
        let parts = [self.r#type.as_str(), &subject, one];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join(": "))?;
        let many = if one.is_empty() { self.messages.as_slice() } else { &[] };
        many.iter().try_for_each(|message| write!(f, "\n  {message}"))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_five_fields_are_always_there() {
        let text = serde_json::to_string(&Error::access_denied()).unwrap();
        assert_eq!(text, r#"{"Model":"users","Key":"","Type":"","Messages":["Access Denied"],"Code":403}"#);
    }

    #[test]
    fn refused_credentials_are_told_from_refused_rights() {
        assert!(Error::access_denied().is_login() && Error::invalid_token("expired").is_login());
        assert!(Error::revoked_token().is_login());
        let wanted = Wanted::new("machines", "delete", "m");
        assert!(!Error::forbidden("/api/v3/machines/m", &wanted).is_login());
    }

    #[test]
    fn prints_like_the_command_line() {
        let check = |error: Error, want: &str| assert_eq!(error.to_string(), want);
        check(Error::not_found("GET", "machines", "bob"), "GET: machines/bob: Not Found");
        check(Error::access_denied(), "users: Access Denied");
        check(Error::new(422, "ValidationError", "a").and("b"), "ValidationError\n  a\n  b");
    }
}

//! From what the model refuses to what the wire says: the one place that gives `gantry_model::Error` its status codes and
//! texts (reference: api.md §4.5, §7.1 and §21).

use gantry_model::{Error as Model, Kind};

use crate::Error;

/// What the caller was doing when the model refused.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The key as the caller wrote it; empty when the path has none.
    pub key: &'a str,
    /// Whether the path names the object or a part of it. Refusals of parts (params, meta) are all 409.
    pub target: Target,
}

/// Whether a request is about an object or about a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/machines/x`
    Object,
    /// `/machines/x/params`, `/meta/machines/x`
    Part,
}

impl Error {
    /// The wire form of what the model refused.
    pub fn from_model(error: Model, asked: Asked<'_>) -> Self {
        match asked.target {
            Target::Object => of_object(error, asked),
            Target::Part => of_part(error, asked),
        }
    }
}

fn of_object(error: Model, asked: Asked<'_>) -> Error {
    let method = asked.method;
    match error {
        Model::NotFound { kind, key } => Error::not_found(method, kind.prefix(), &key),
        Model::AlreadyExists { kind, key } => {
            Error::new(409, "CREATE", "already exists").about(kind.prefix(), key.as_str())
        }
        Model::EmptyKey { kind } => {
            Error::new(400, "CREATE", "Empty key not allowed").about(kind.prefix(), "")
        }
        Model::Invalid { kind, key, messages } => list(422, "ValidationError", kind, key.as_str(), messages),
        Model::InUse { kind, key, messages } => list(409, "StillInUseError", kind, key.as_str(), messages),
        Model::ReadOnly { kind, key } if method == "DELETE" => {
            Error::new(404, method, format!("readonly: {key}")).about(kind.prefix(), key.as_str())
        }
        Model::ReadOnly { kind, key } => {
            Error::new(400, method, key.as_str().to_owned()).about(kind.prefix(), key.as_str())
        }
        Model::Locked { kind, key } => Error::new(403, method, "Locked").about(kind.prefix(), key.as_str()),
        Model::Conflict { kind, key, messages } => list(409, method, kind, &key, messages),
        Model::KeyChange { kind, from, to } => {
            let text = format!("Key change from {from} to {to} not allowed");
            Error::new(400, method, text).about(kind.prefix(), from)
        }
        Model::KeyPatched { kind, to } => {
            Error::malformed(method, format!("Update: {}:{to} does not already exist", kind.prefix()))
        }
        Model::Malformed { message, .. } => Error::malformed(method, message),
        Model::Undecodable { kind, key, message } => {
            Error::new(406, method, message).about(kind.prefix(), key.as_str())
        }
        Model::Query { kind, message } => Error::unacceptable(method, kind.prefix(), message),
        Model::Preference { message } => Error::new(400, method, message).about("prefs", ""),
        Model::Layer { layer, messages, faults } => {
            Error { messages, faults, ..Error::new(422, method, "").about("contents", layer) }
        }
        Model::Unsupported { kind } => {
            Error::new(400, method, format!("{} cannot be changed", kind.prefix()))
                .about(kind.prefix(), asked.key)
        }
    }
}

fn of_part(error: Model, asked: Asked<'_>) -> Error {
    let part = |kind: Kind, messages| list(409, asked.method, kind, asked.key, messages);
    match error {
        Model::NotFound { kind, .. } => Error::not_found(asked.method, kind.prefix(), asked.key),
        Model::Invalid { kind, messages, .. } | Model::Conflict { kind, messages, .. } => {
            part(kind, messages)
        }
        Model::ReadOnly { kind, key } => part(kind, vec![key.as_str().to_owned()]),
        Model::Locked { kind, .. } => part(kind, vec!["Locked".into()]),
        Model::Undecodable { kind, message, .. } => part(kind, vec![message]),
        other => of_object(other, asked),
    }
}

fn list(code: u16, r#type: &str, kind: Kind, key: &str, messages: Vec<String>) -> Error {
    Error { messages, ..Error::new(code, r#type, "").about(kind.prefix(), key) }
}

#[cfg(test)]
mod tests {
    use gantry_model::Key;

    use super::*;

    fn check(error: Model, method: &str, target: Target, want: &str) {
        let got = Error::from_model(error, Asked { method, key: "Name:bob", target });
        assert_eq!(format!("{} {got}", got.code), want);
    }

    #[test]
    fn one_refusal_reads_differently_for_an_object_and_for_a_part() {
        let invalid = || Model::invalid(Kind::Machine, "u-1", "wrong");
        check(invalid(), "PATCH", Target::Object, "422 ValidationError: machines/u-1: wrong");
        check(invalid(), "POST", Target::Part, "409 POST: machines/Name:bob: wrong");
        let locked = || Model::Locked { kind: Kind::Machine, key: Key::new("u-1") };
        check(locked(), "DELETE", Target::Object, "403 DELETE: machines/u-1: Locked");
        check(locked(), "PATCH", Target::Part, "409 PATCH: machines/Name:bob: Locked");
        let read_only = || Model::ReadOnly { kind: Kind::Stage, key: Key::new("none") };
        check(read_only(), "DELETE", Target::Object, "404 DELETE: stages/none: readonly: none");
        check(read_only(), "PUT", Target::Object, "400 PUT: stages/none: none");
        check(read_only(), "PATCH", Target::Part, "409 PATCH: stages/Name:bob: none");
    }

    #[test]
    fn creation_has_its_own_words() {
        let taken = Model::AlreadyExists { kind: Kind::Profile, key: Key::new("p") };
        check(taken, "POST", Target::Object, "409 CREATE: profiles/p: already exists");
        let empty = Model::EmptyKey { kind: Kind::Profile };
        check(empty, "POST", Target::Object, "400 CREATE: profiles: Empty key not allowed");
    }
}

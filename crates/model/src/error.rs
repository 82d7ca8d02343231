//! What can go wrong with an object, as data. The `api` crate turns each into a status code and a wire body.

use crate::{Key, Kind};

/// Why a read or a change of the model was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No object of that kind and key.
    #[error("{}/{key}: Not Found", kind.prefix())]
    NotFound {
        /// The kind that was asked.
        kind: Kind,
        /// The key as it was asked for.
        key: String,
    },
    /// A create named a key that is taken.
    #[error("{}/{key}: already exists", kind.prefix())]
    AlreadyExists {
        /// The kind.
        kind: Kind,
        /// The key.
        key: Key,
    },
    /// A create without a key, for a kind whose keys people choose.
    #[error("{}: Empty key not allowed", kind.prefix())]
    EmptyKey {
        /// The kind.
        kind: Kind,
    },
    /// The object broke rules of its kind; every broken rule has a message, in check order.
    #[error("{}/{key}: {}", kind.prefix(), messages.join("; "))]
    Invalid {
        /// The kind.
        kind: Kind,
        /// The key of the object that was refused.
        key: Key,
        /// One sentence per broken rule.
        messages: Vec<String>,
    },
    /// A delete was refused because others use the object.
    #[error("{}/{key}: {}", kind.prefix(), messages.join("; "))]
    InUse {
        /// The kind.
        kind: Kind,
        /// The key.
        key: Key,
        /// One sentence per user of the object.
        messages: Vec<String>,
    },
    /// The object lives in a content pack or is built in.
    #[error("readonly: {key}")]
    ReadOnly {
        /// The kind.
        kind: Kind,
        /// The key.
        key: Key,
    },
    /// The machine is locked.
    #[error("{}/{key}: Locked", kind.prefix())]
    Locked {
        /// The kind.
        kind: Kind,
        /// The key.
        key: Key,
    },
    /// The change met a state that it did not expect: a failed `test`, a missing path, a job that is already running.
    #[error("{}/{key}: {}", kind.prefix(), messages.join("; "))]
    Conflict {
        /// The kind.
        kind: Kind,
        /// The key, or empty when the reference leaves it out.
        key: String,
        /// What was met.
        messages: Vec<String>,
    },
    /// Whole-object replace under another key than the one addressed.
    #[error("Key change from {from} to {to} not allowed")]
    KeyChange {
        /// The kind.
        kind: Kind,
        /// The key in the request's path.
        from: String,
        /// The key in the body.
        to: String,
    },
    /// A patch changed the key.
    #[error("Update: {}:{to} does not already exist", kind.prefix())]
    KeyPatched {
        /// The kind.
        kind: Kind,
        /// The key that the patch produced.
        to: String,
    },
    /// The body is not what this request takes.
    #[error("{message}")]
    Malformed {
        /// The kind.
        kind: Kind,
        /// The decoder's words.
        message: String,
    },
    /// The result of a patch does not decode into the kind (status 406 on the wire).
    #[error("{}/{key}: {message}", kind.prefix())]
    Undecodable {
        /// The kind.
        kind: Kind,
        /// The key.
        key: Key,
        /// The decoder's words.
        message: String,
    },
    /// A list query that cannot be answered (status 406).
    #[error("{}: {message}", kind.prefix())]
    Query {
        /// The kind.
        kind: Kind,
        /// What is wrong with it.
        message: String,
    },
    /// A preference was refused.
    #[error("{message}")]
    Preference {
        /// Name, value and what would be right.
        message: String,
    },
    /// A content layer cannot be part of the View.
    #[error("{layer}: {}", messages.join("; "))]
    Layer {
        /// The name of the layer.
        layer: String,
        /// One sentence per reason, in the reference's words.
        messages: Vec<String>,
        /// The same with the object, field and line of each.
        faults: Vec<LayerFault>,
    },
    /// The kind does not take this change at all.
    #[error("{} cannot be changed", kind.prefix())]
    Unsupported {
        /// The kind.
        kind: Kind,
    },
}

impl Error {
    /// A [`Error::NotFound`].
    #[must_use]
    pub fn not_found(kind: Kind, key: &str) -> Self {
        Self::NotFound { kind, key: key.to_owned() }
    }

    /// A [`Error::Layer`] whose messages are those of the faults.
    #[must_use]
    pub fn layer(layer: &str, faults: Vec<LayerFault>) -> Self {
        let messages = faults.iter().map(|fault| fault.message.clone()).collect();
        Self::Layer { layer: layer.to_owned(), messages, faults }
    }

    /// A [`Error::Invalid`] with one message.
    #[must_use]
    pub fn invalid(kind: Kind, key: &str, message: impl Into<String>) -> Self {
        Self::Invalid { kind, key: Key::new(key), messages: vec![message.into()] }
    }
}

/// One thing that is wrong with a content layer. Empty parts are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LayerFault {
    /// The prefix of the object's kind, or `meta`.
    pub section: String,
    /// The object's key in the pack.
    pub key: String,
    /// The field, as a path: `Templates/0/Contents`.
    pub field: String,
    /// The line within the text of the field, from 1; 0 when not known.
    pub line: usize,
    /// What is wrong, in the reference's words.
    pub message: String,
}

impl LayerFault {
    /// A fault of an object; a message that begins with the place of a template says its field too.
    #[must_use]
    pub fn of(section: &str, key: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let field = template_place(&message).unwrap_or_default();
        Self { section: section.to_owned(), key: key.to_owned(), field, line: 0, message }
    }

    /// A fault of the metadata.
    #[must_use]
    pub fn of_meta(message: impl Into<String>) -> Self {
        Self { section: "meta".to_owned(), message: message.into(), ..Self::default() }
    }
}

/// `Templates/3` for a message such as `Templates[3]: No common template for x`.
fn template_place(message: &str) -> Option<String> {
    let rest = message.strip_prefix("Templates[").or_else(|| message.strip_prefix("Template["))?;
    let (number, _) = rest.split_once(']')?;
    number.parse::<usize>().ok().map(|number| format!("Templates/{number}"))
}

/// Collects every broken rule, so that all are reported at once.
///
/// A rule's sentence is in the reference's words, which say little about names; what would be right is a hint beside it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems {
    messages: Vec<String>,
    hints: Vec<String>,
}

impl Problems {
    /// Adds one sentence.
    pub fn add(&mut self, message: impl Into<String>) {
        self.messages.push(message.into());
    }

    /// Adds what would be right, once.
    pub fn hint(&mut self, hint: String) {
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }

    /// True when nothing is broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many sentences there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Puts `prefix` before every sentence from number `from` on.
    pub fn prefix(&mut self, from: usize, prefix: &str) {
        for message in &mut self.messages[from..] {
            message.insert_str(0, prefix);
        }
    }

    /// Forgets what was collected and takes these sentences instead.
    pub fn replace(&mut self, messages: Vec<String>) {
        *self = Self { messages, hints: Vec::new() };
    }

    /// The sentences, without hints: for where each becomes a fault of its own.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.messages
    }

    /// The sentences, then the hints.
    #[must_use]
    pub fn into_messages(self) -> Vec<String> {
        [self.messages, self.hints].concat()
    }

    /// The sentences.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.messages
    }
}

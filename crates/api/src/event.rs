//! Events as they travel on the websocket, and the filters that clients register (reference: api.md §16).
//!
//! What publishes them, and how slow readers are handled, is the server's business.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something happened: to an object, or posted by somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Event {
    /// When, RFC 3339.
    pub time: String,
    /// Prefix of the kind, or another word: `websocket`, `log`, `gap`, or whatever was posted.
    pub r#type: String,
    /// `create`, `update`, `save`, `delete`, …
    pub action: String,
    /// Native key of the object.
    pub key: String,
    /// Who did it: `user:<name>`, `runner:<machine>`, or a part of the server.
    pub principal: String,
    /// The object as it is now, or as it was when deleted.
    pub object: Value,
    /// The object as it was before an update or save.
    pub original: Value,
    /// Revision at which this became visible; 0 for events that are no change of an object. Registering again with
    /// `from` set to the last revision seen brings what was missed.
    #[serde(skip_serializing_if = "is_zero")]
    pub revision: u64,
}

impl Default for Event {
    fn default() -> Self {
        Self {
            time: "0001-01-01T00:00:00Z".into(),
            r#type: String::new(),
            action: String::new(),
            key: String::new(),
            principal: String::new(),
            object: Value::Null,
            original: Value::Null,
            revision: 0,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(revision: &u64) -> bool {
    *revision == 0
}

/// `type.action.key`, each part `*` or a comma list. The key may hold dots; `\1`, `\2` and `\3` stand for a dot, a
/// comma and a star.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    text: String,
    parts: [Vec<Option<String>>; 3],
}

impl Filter {
    /// Reads a filter. None when it has fewer than three parts: such a filter is acknowledged but matches nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.').map(words);
        let parts = [parts.next()?, parts.next()?, parts.next()?];
        Some(Self { text: text.to_owned(), parts })
    }

    /// The filter as the client wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether an event of this type, action and key passes.
    pub fn matches(&self, r#type: &str, action: &str, key: &str) -> bool {
        let fits = |part: &[Option<String>], value: &str| {
            part.iter().any(|word| word.as_deref().is_none_or(|word| word == value))
        };
        let [types, actions, keys] = &self.parts;
        fits(types, r#type) && fits(actions, action) && fits(keys, key)
    }
}

/// None stands for a star.
fn words(part: &str) -> Vec<Option<String>> {
    let plain = |word: &str| word.replace("\\1", ".").replace("\\2", ",").replace("\\3", "*");
    part.split(',').map(|word| (word != "*").then(|| plain(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_by_word_list_and_star() {
        let check = |filter: &str, event: (&str, &str, &str), want: bool| {
            let filter = Filter::parse(filter).unwrap();
            assert_eq!(filter.matches(event.0, event.1, event.2), want, "{filter:?} {event:?}");
        };
        check("machines.update.a", ("machines", "update", "a"), true);
        check("machines.update.a", ("machines", "save", "a"), false);
        check("machines.update,save.*", ("machines", "save", "b"), true);
        check("*.*.*", ("x", "", ""), true);
        check("params.*.net.conf", ("params", "update", "net.conf"), true);
        check("params.*.a\\2b", ("params", "update", "a,b"), true);
        check("params.*.\\3", ("params", "update", "a"), false);
    }

    #[test]
    fn two_parts_are_no_filter() {
        assert_eq!(Filter::parse("machines.update"), None);
    }

    #[test]
    fn an_event_without_change_has_no_revision() {
        let text = serde_json::to_string(&Event::default()).unwrap();
        assert!(text.ends_with(r#""Object":null,"Original":null}"#), "{text}");
    }
}

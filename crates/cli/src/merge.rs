//! From "these fields are to be so" to a patch that refuses when somebody else was faster.

use json_patch::{Patch, PatchOperation, TestOperation};
use serde_json::Value;

/// The patch that brings `from` to what merging `change` into it gives (RFC 7396, except that null stays null for fields).
/// Before every operation stands a `test` of what it replaces, so that the server refuses when that has changed.
pub(crate) fn patch(from: &Value, change: &Value) -> Value {
    let mut to = from.clone();
    json_patch::merge(&mut to, change);
    guarded(from, &json_patch::diff(from, &to))
}

fn guarded(from: &Value, patch: &Patch) -> Value {
    let operations = patch.iter().flat_map(|operation| {
        let path = operation.path();
        let test = match operation {
            PatchOperation::Replace(_) | PatchOperation::Remove(_) => from.pointer(path.as_str()),
            _ => None,
        };
        let test = test
            .map(|value| PatchOperation::Test(TestOperation { path: path.to_owned(), value: value.clone() }));
        test.into_iter().chain([operation.clone()])
    });
    // Operations of this library always serialize.
    serde_json::to_value(Patch(operations.collect())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_guarded_by_what_they_replace() {
        let from = json!({ "Name": "a", "Params": { "x": 1 }, "Same": true });
        let got = patch(&from, &json!({ "Name": "b", "Params": { "y": 2 }, "Same": true }));
        let want = json!([
            { "op": "test", "path": "/Name", "value": "a" },
            { "op": "replace", "path": "/Name", "value": "b" },
            { "op": "add", "path": "/Params/y", "value": 2 },
        ]);
        assert_eq!(got, want);
    }

    #[test]
    fn no_change_is_an_empty_patch() {
        assert_eq!(patch(&json!({ "a": 1 }), &json!({ "a": 1 })), json!([]));
    }
}

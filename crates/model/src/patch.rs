//! RFC 6902 patches with the messages of the reference (API §6).
//!
//! The `json-patch` crate moves the values; reading the operations, `test`, and the words of every failure are here, because
//! clients compare them. What a patch may cost is bounded ([`cost`]).

mod cost;

use std::io;

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
};
use serde::Serialize;
use serde_json::{Map, Value};

use self::cost::{Budget, MOST_OPERATIONS};
use crate::go;

/// A refusal repeats at most so many bytes of the patch, or of the object.
const REPEATED: usize = 256 << 10;

/// A patch that was read and can be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
}

/// Serialised, it is the operation as refusals show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Operation {
    op: String,
    path: PointerBuf,
    from: PointerBuf,
    value: Value,
}

/// The operation that failed, counted from 0, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl Patch {
    /// Reads a patch. Null and an empty list change nothing.
    ///
    /// # Errors
    /// What Go's decoder says about it, or that it has too many operations that change something.
    pub fn parse(value: Value) -> Result<Self, String> {
        let items = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            other => {
                return Err(format!(
                    "json: cannot unmarshal {} into Go value of type jsonpatch2.Patch",
                    go::word(&other)
                ));
            }
        };
        let operations = items.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let changes = operations.iter().filter(|operation| operation.op != "test").count();
        if changes > MOST_OPERATIONS {
            return Err(format!(
                "the patch has {changes} operations, at most {MOST_OPERATIONS} are possible"
            ));
        }
        Ok(Self { operations })
    }

    /// Applies the patch, all or nothing.
    ///
    /// # Errors
    /// The first operation that fails.
    pub fn apply(&self, document: &Value) -> Result<Value, Failure> {
        let mut result = document.clone();
        let mut budget = Budget::default();
        for (line, operation) in self.operations.iter().enumerate() {
            operation.apply(&mut result, &mut budget).map_err(|reason| Failure { line, reason })?;
        }
        Ok(result)
    }

    /// The messages for a failed patch of an object.
    #[must_use]
    pub fn object_messages(&self, failure: &Failure) -> Vec<String> {
        vec![
            format!("Patch error at line {}: {}", failure.line, failure.reason),
            format!("Patch: {}", self.pretty()),
        ]
    }

    /// The messages for a failed patch of a Params or Meta map.
    #[must_use]
    pub fn map_messages(failure: &Failure) -> Vec<String> {
        vec![format!("Patch failed to apply at line {}", failure.line), failure.reason.clone()]
    }

    /// The pointers that the patch writes to, without those it only tests; `move` counts twice. For permissions.
    pub fn written_paths(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().filter(|operation| operation.op != "test").flat_map(|operation| {
            let from = (operation.op == "move").then(|| operation.from.as_str());
            std::iter::once(operation.path.as_str()).chain(from)
        })
    }

    /// Whether it does more than look.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.written_paths().next().is_some()
    }

    /// The patch with two spaces of indent, each operation with op, path, from and value in that order.
    fn pretty(&self) -> String {
        let mut text = Bounded(Vec::new());
        match serde_json::to_writer_pretty(&mut text, &self.operations) {
            Ok(()) => String::from_utf8(text.0).unwrap_or_default(),
            Err(_) => format!("{} operations, too long to repeat", self.operations.len()),
        }
    }
}

/// A text that refuses to grow beyond [`REPEATED`]: indented, a patch may be a hundred times as long as it was.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > REPEATED {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(item: Value) -> Result<Operation, String> {
    let Value::Object(mut map) = item else {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type jsonpatch2.operation",
            go::word(&item)
        ));
    };
    let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(Operation {
        op: text("op").to_owned(),
        path: pointer(text("path"))?,
        from: pointer(text("from"))?,
        value: map.remove("value").unwrap_or_default(),
    })
}

fn pointer(text: &str) -> Result<PointerBuf, String> {
    if !text.is_empty() && !text.starts_with('/') {
        return Err("Initial character of a non-empty pointer must be `/`".to_owned());
    }
    PointerBuf::parse(text).map_err(|error| format!("pointer {text}: {error}"))
}

impl Operation {
    fn apply(&self, document: &mut Value, budget: &mut Budget) -> Result<(), String> {
        if self.op == "test" {
            return self.test(document);
        }
        self.check(document, budget)?;
        let (path, from) = (self.path.clone(), self.from.clone());
        let value = || self.value.clone();
        let operation = match self.op.as_str() {
            "add" => PatchOperation::Add(AddOperation { path, value: value() }),
            "remove" => PatchOperation::Remove(RemoveOperation { path }),
            "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value() }),
            "move" => PatchOperation::Move(MoveOperation { from, path }),
            "copy" => PatchOperation::Copy(CopyOperation { from, path }),
            other => return Err(format!("Invalid op {other}")),
        };
        // The document is thrown away when an operation fails, so nothing has to be undone.
        json_patch::patch_unsafe(document, &[operation])
            .map_err(|_| format!("`{}` does not point to an existing location", self.path))
    }

    /// Whether what the operation needs is there, and within the budget.
    fn check(&self, document: &Value, budget: &mut Budget) -> Result<(), String> {
        match self.op.as_str() {
            "add" => {
                budget.put(&self.path, &self.value)?;
                budget.shift(document, &self.path)
            }
            "remove" => {
                self.must_exist(document, &self.path)?;
                budget.shift(document, &self.path)
            }
            "replace" if document.pointer(self.path.as_str()).is_none() => {
                Err(format!("{} does not refer to an existing location", self.path))
            }
            "replace" => budget.put(&self.path, &self.value),
            "move" | "copy" => {
                budget.put(&self.path, self.must_exist(document, &self.from)?)?;
                budget.shift(document, &self.from)?;
                budget.shift(document, &self.path)
            }
            _ => Ok(()),
        }
    }

    fn must_exist<'a>(&self, document: &'a Value, path: &PointerBuf) -> Result<&'a Value, String> {
        let found = document.pointer(path.as_str());
        found.ok_or_else(|| format!("`{path}` does not point to an existing location"))
    }

    fn test(&self, document: &Value) -> Result<(), String> {
        match document.pointer(self.path.as_str()) {
            Some(found) if same(found, &self.value) => Ok(()),
            Some(_) => Err("Test op failed.".to_owned()),
            None => Err(self.missing(document)),
        }
    }

    /// The first part of the path that is not there, said as the Go library says it.
    fn missing(&self, document: &Value) -> String {
        let mut here = document;
        for token in self.path.tokens() {
            let name = token.decoded();
            let next = match here {
                Value::Object(map) => map.get(name.as_ref()),
                Value::Array(items) => name.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None,
            };
            match (next, here) {
                (Some(next), _) => here = next,
                (None, Value::Object(map)) => return selector(&name, map),
                (None, Value::Array(_)) => return format!("Selector {name} out of range"),
                (None, _) => return format!("Selector {name} does not apply to a {}", go::word(here)),
            }
        }
        "Test op failed.".to_owned()
    }
}

fn selector(name: &str, map: &Map<String, Value>) -> String {
    let mut text = format!("Selector {name} not a member of {}", go::print_map(map));
    text.truncate(text.floor_char_boundary(REPEATED));
    text
}

/// Equality of JSON values; numbers are equal when their values are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(document: &Value, patch: Value, expected: Result<Value, (usize, &str)>) {
        let result = Patch::parse(patch).unwrap().apply(document);
        assert_eq!(
            result.map_err(|f| (f.line, f.reason)),
            expected.map_err(|(line, reason)| (line, reason.to_owned()))
        );
    }

    #[test]
    fn operations_do_what_the_rfc_says() {
        let doc = json!({"a": 1, "l": [1, 2], "m": {"x/y": "z"}});
        check(
            &doc,
            json!([{"op": "add", "path": "/b", "from": "", "value": 2}]),
            Ok(json!({"a": 1, "b": 2, "l": [1, 2], "m": {"x/y": "z"}})),
        );
        check(
            &doc,
            json!([{"op": "add", "path": "/l/-", "value": 3}, {"op": "remove", "path": "/l/0"}]),
            Ok(json!({"a": 1, "l": [2, 3], "m": {"x/y": "z"}})),
        );
        check(
            &doc,
            json!([{"op": "replace", "path": "/m/x~1y", "value": []}]),
            Ok(json!({"a": 1, "l": [1, 2], "m": {"x/y": []}})),
        );
        check(
            &doc,
            json!([{"op": "move", "from": "/a", "path": "/c"}]),
            Ok(json!({"c": 1, "l": [1, 2], "m": {"x/y": "z"}})),
        );
        check(
            &doc,
            json!([{"op": "copy", "from": "/l", "path": "/m/k"}]),
            Ok(json!({"a": 1, "l": [1, 2], "m": {"k": [1, 2], "x/y": "z"}})),
        );
        check(&doc, json!([{"op": "test", "path": "/a", "value": 1.0}]), Ok(doc.clone()));
        check(&doc, json!([{"op": "test", "path": "", "value": doc}]), Ok(doc.clone()));
        check(&doc, json!([]), Ok(doc.clone()));
        check(&doc, Value::Null, Ok(doc.clone()));
    }

    #[test]
    fn failures_name_the_line_and_the_reason() {
        let doc = json!({"a": 1});
        check(
            &doc,
            json!([{"op": "test", "path": "/a", "value": 1}, {"op": "test", "path": "/a", "value": 2}]),
            Err((1, "Test op failed.")),
        );
        check(
            &doc,
            json!([{"op": "test", "path": "/b", "value": 2}]),
            Err((0, r#"Selector b not a member of map[string]interface {}{"a":1}"#)),
        );
        check(
            &doc,
            json!([{"op": "remove", "path": "/b"}]),
            Err((0, "`/b` does not point to an existing location")),
        );
        check(
            &doc,
            json!([{"op": "replace", "path": "/b", "value": 2}]),
            Err((0, "/b does not refer to an existing location")),
        );
        check(&doc, json!([{"op": "frob", "path": "/b"}]), Err((0, "Invalid op frob")));
        check(
            &doc,
            json!([{"op": "add", "path": "/x/y", "value": 2}]),
            Err((0, "`/x/y` does not point to an existing location")),
        );
    }

    #[test]
    fn malformed_patches_are_refused() {
        let message = |value: Value| Patch::parse(value).unwrap_err();
        assert_eq!(
            message(json!([{"op": "add", "path": "x"}])),
            "Initial character of a non-empty pointer must be `/`"
        );
        assert_eq!(
            message(json!({})),
            "json: cannot unmarshal object into Go value of type jsonpatch2.Patch"
        );
        assert_eq!(
            message(json!([1])),
            "json: cannot unmarshal number into Go value of type jsonpatch2.operation"
        );
    }

    #[test]
    fn conflicts_show_the_whole_patch() {
        let patch =
            Patch::parse(json!([{"op": "test", "path": "/OS/Name", "from": "", "value": "a"}])).unwrap();
        let failure = patch.apply(&json!({"OS": {"Name": "x"}})).unwrap_err();
        assert_eq!(
            patch.object_messages(&failure),
            [
                "Patch error at line 0: Test op failed.",
                "Patch: [\n  {\n    \"op\": \"test\",\n    \"path\": \"/OS/Name\",\n    \"from\": \"\",\n    \"value\": \"a\"\n  }\n]"
            ]
        );
    }
}

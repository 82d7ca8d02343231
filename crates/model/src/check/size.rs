//! How large an object may be: what every store can hold and every client can read.

use serde_json::Value;

use crate::Problems;

/// The longest JSON text of an object, in bytes: 4 MiB, which is what a store takes, less some room for what it adds.
pub const LONGEST: usize = (4 << 20) - 64;
/// The longest key and the longest name, in bytes.
pub const LONGEST_NAME: usize = 255;
/// How deep the values of an object may be nested. Readers of JSON, this program's too, give up at 128, and objects travel inside
/// lists, events and packs.
pub const DEEPEST: usize = 100;

/// Judges an object with that key, value and length of its JSON text.
pub(crate) fn size(problems: &mut Problems, key: &str, value: &Value, length: usize) {
    if length > LONGEST {
        problems.add(format!("the object has {length} bytes as JSON, at most {LONGEST} are possible"));
    }
    let depth = depth(value);
    if depth > DEEPEST {
        problems.add(format!("the object is nested {depth} deep, at most {DEEPEST} are possible"));
    }
    if key.len() > LONGEST_NAME && problems.is_empty() {
        problems.add(format!("the key has {} bytes, at most {LONGEST_NAME} are possible", key.len()));
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

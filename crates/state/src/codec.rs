//! How objects are written in the store.
//!
//! Key: `<prefix>/<key>`. Value: the number of the shape, a space, the object's canonical JSON: `1 {"Name":"eth0",..}`.
//! An object of an older shape is upgraded when it is read; fields that were added since get their zero values from the
//! model in any case. Keys that begin with `_` are this crate's own: `_packs/<name>`, `_chunks/<digest>/<number>`,
//! `_deletes`, `_aside/<key>` (see [`crate::aside`]).

use std::collections::BTreeMap;

use gantry_model::{Action, Edit, Kind, Record, check};
use gantry_store::{Entry, Key, MAX_KEY, MAX_VALUE, Value};

use crate::Error;

/// The shape that this program writes. 1: the first.
const SHAPE: u32 = 1;
/// What the model takes, the store takes.
const _: () = assert!(check::LONGEST + 16 <= MAX_VALUE && check::LONGEST_NAME + 64 <= MAX_KEY);
/// Put by every commit that deletes, because the compare of a range does not notice a deletion.
const DELETES: &str = "_deletes";

/// Changes to the store's keys.
pub(crate) type Changes = BTreeMap<Key, Option<Value>>;

/// What a key is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Object(Kind, &'a str),
    Pack(&'a str),
    Chunk {
        digest: &'a str,
    },
    Guard,
    /// A copy of what was written over and could not be read.
    Aside,
}

/// `None`: no key that this program writes.
pub(crate) fn place(key: &Key) -> Option<Place<'_>> {
    let text = std::str::from_utf8(key).ok()?;
    if text == DELETES {
        return Some(Place::Guard);
    }
    match text.split_once('/')? {
        ("_packs", name) => Some(Place::Pack(name)),
        ("_aside", _) => Some(Place::Aside),
        ("_chunks", chunk) => chunk.split_once('/').map(|(digest, _)| Place::Chunk { digest }),
        (prefix, key) => Kind::from_prefix(prefix).map(|kind| Place::Object(kind, key)),
    }
}

pub(crate) fn pack_key(name: &str) -> Result<Key, Error> {
    Ok(Key::new(format!("_packs/{name}"))?)
}

pub(crate) fn chunk_key(digest: &str, number: usize) -> Result<Key, Error> {
    Ok(Key::new(format!("_chunks/{digest}/{number:06}"))?)
}

/// Where a copy of the value under `key` is kept.
pub(crate) fn aside_key(key: &Key) -> Result<Key, Error> {
    Ok(Key::new([b"_aside/".as_slice(), key].concat())?)
}

/// The changes of edits; a later edit of one object counts.
pub(crate) fn changes(edits: &[Edit]) -> Result<Changes, Error> {
    let mut changes = Changes::new();
    for edit in edits {
        let key = Key::new(format!("{}/{}", edit.kind.prefix(), edit.key))?;
        changes.insert(key, value(&edit.action)?);
    }
    Ok(changes)
}

/// Adds the guard if anything is deleted.
pub(crate) fn guarded(mut changes: Changes) -> Result<Changes, Error> {
    if changes.values().any(Option::is_none) {
        changes.insert(Key::new(DELETES)?, Some(Value::new([])?));
    }
    Ok(changes)
}

fn value(action: &Action) -> Result<Option<Value>, Error> {
    let Action::Put(record) = action else { return Ok(None) };
    Ok(Some(Value::new(format!("{SHAPE} {}", record.json()).into_bytes())?))
}

/// Why an entry is no object that this program can use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// In words, with the key.
    pub(crate) why: String,
    /// A newer program wrote it, and can read it.
    pub(crate) newer: bool,
}

/// The object of an entry.
pub(crate) fn record(kind: Kind, key: &str, entry: &Entry) -> Result<Record, Unreadable> {
    let fault = |why: &str, newer| {
        let why = format!("{kind}/{key} at revision {}: {why}", entry.revision);
        Unreadable { why, newer }
    };
    let json = current_shape(&entry.value).map_err(|(why, newer)| fault(&why, newer))?;
    let record = Record::from_json(kind, json, entry.revision.0).map_err(|why| fault(&why, false))?;
    if record.key().as_str() != key {
        return Err(fault(&format!("it says that its key is {:?}", record.key()), false));
    }
    Ok(record)
}

/// The JSON in the shape of today; else why not, and whether a newer program wrote it.
fn current_shape(value: &[u8]) -> Result<&[u8], (String, bool)> {
    let end = value.iter().position(|byte| *byte == b' ');
    let end = end.ok_or_else(|| ("its shape is missing".to_owned(), false))?;
    let shape = std::str::from_utf8(&value[..end]).ok().and_then(|shape| shape.parse::<u32>().ok());
    match shape {
        Some(SHAPE) => Ok(&value[end + 1..]),
        Some(newer) if newer > SHAPE => {
            Err((format!("it has shape {newer}, this program reads {SHAPE}; use a newer one"), true))
        }
        _ => Err(("its shape is no number".to_owned(), false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_store::Revision;

    fn entry(value: &str) -> Entry {
        let key = Key::new("profiles/a").unwrap();
        Entry { key, value: Value::new(value.as_bytes()).unwrap(), revision: Revision(7) }
    }

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    #[test]
    fn keys_say_what_they_are_about() {
        assert_eq!(place(&key("profiles/a/b")), Some(Place::Object(Kind::Profile, "a/b")));
        assert_eq!(place(&pack_key("core").unwrap()), Some(Place::Pack("core")));
        assert_eq!(place(&chunk_key("ab12", 3).unwrap()), Some(Place::Chunk { digest: "ab12" }));
        assert_eq!(place(&key("_deletes")), Some(Place::Guard));
        assert_eq!(place(&aside_key(&key("profiles/a")).unwrap()), Some(Place::Aside));
        for unknown in ["gadgets/a", "profiles", "_chunks/x", "_other/x"] {
            assert_eq!(place(&key(unknown)), None, "{unknown}");
        }
        assert_eq!(place(&Key::new([b'a', 255]).unwrap()), None);
    }

    #[test]
    fn an_object_is_read_as_it_was_written() {
        let written = Record::from_json(Kind::Profile, br#"{"Name":"a","Description":"d"}"#, 0).unwrap();
        let edit = Edit::put(std::sync::Arc::new(written));
        let changes = changes(std::slice::from_ref(&edit)).unwrap();
        let value = changes[&key("profiles/a")].clone().unwrap();
        assert!(value.starts_with(b"1 {"));
        let read = record(Kind::Profile, "a", &Entry { value, ..entry("") }).unwrap();
        assert_eq!(
            (edit.action, read.revision()),
            (Action::Put(std::sync::Arc::new(read.placed(None, 0))), 7)
        );
    }

    #[test]
    fn only_deletions_are_guarded() {
        let put = Changes::from([(key("profiles/a"), Some(Value::new([]).unwrap()))]);
        assert_eq!(guarded(put.clone()).unwrap(), put);
        let delete = changes(&[Edit::delete(Kind::Profile, "a".into())]).unwrap();
        let keys: Vec<_> = guarded(delete).unwrap().into_keys().map(|key| key.to_string()).collect();
        assert_eq!(keys, ["_deletes", "profiles/a"]);
    }

    #[test]
    fn damage_is_named() {
        let faults = [
            ("", "its shape is missing"),
            ("x {}", "its shape is no number"),
            ("9 {}", "it has shape 9, this program reads 1; use a newer one"),
            (r#"1 {"Name":"b"}"#, "it says that its key is \"b\""),
        ];
        for (value, why) in faults {
            let fault = record(Kind::Profile, "a", &entry(value)).unwrap_err();
            let newer = value.starts_with('9');
            assert_eq!(fault, Unreadable { why: format!("profiles/a at revision 7: {why}"), newer });
        }
        assert!(record(Kind::Profile, "a", &entry("1 {")).is_err());
    }
}

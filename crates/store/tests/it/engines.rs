//! The engines under test, and short words for commits.

use std::collections::BTreeMap;

use gantry_store::{
    Bounds, Commit, Compare, Embedded, Key, KeyRange, Memory, Options, Revision, Store, Value,
};
use tempfile::TempDir;

/// An engine that is open, and the folder it lives in if it needs one.
pub(crate) struct Engine {
    pub(crate) store: Box<dyn Store>,
    folder: Option<TempDir>,
    bounds: Bounds,
}

impl Engine {
    pub(crate) fn memory(bounds: Bounds) -> Self {
        Self { store: Box::new(Memory::new(bounds)), folder: None, bounds }
    }

    pub(crate) fn embedded(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = embedded(&folder, bounds);
        Self { store, folder: Some(folder), bounds }
    }

    /// Closes and opens again, for engines that keep what they hold.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, folder: Some(folder), bounds } = self else { return self };
        drop(store);
        let store = embedded(&folder, bounds);
        Self { store, folder: Some(folder), bounds }
    }
}

fn embedded(folder: &TempDir, history: Bounds) -> Box<dyn Store> {
    let options = Options { history, ..Options::default() };
    Box::new(Embedded::open(&folder.path().join("store"), options).unwrap())
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn value(text: &str) -> Value {
    Value::new(text.as_bytes()).unwrap()
}

pub(crate) fn put(name: &str, text: &str) -> Commit {
    Commit { changes: BTreeMap::from([(key(name), Some(value(text)))]), ..Commit::default() }
}

pub(crate) fn delete(name: &str) -> Commit {
    Commit { changes: BTreeMap::from([(key(name), None)]), ..Commit::default() }
}

pub(crate) fn if_key(name: &str, revision: u64, mut commit: Commit) -> Commit {
    commit.compares.push(Compare::Key { key: key(name), revision: Revision(revision) });
    commit
}

pub(crate) fn if_range(prefix: &str, not_after: u64, mut commit: Commit) -> Commit {
    let range = KeyRange::prefix(prefix.as_bytes());
    commit.compares.push(Compare::Range { range, not_after: Revision(not_after) });
    commit
}

/// Submits a group and returns its revisions or its error as text.
pub(crate) fn submit(store: &dyn Store, group: impl Into<Vec<Commit>>) -> Result<Vec<u64>, String> {
    let outcome = store.submit(group.into()).wait();
    outcome.map(|revisions| revisions.iter().map(|r| r.0).collect()).map_err(|error| error.to_string())
}

/// Everything that is stored, as `key=value@revision`, and the revision of it all.
pub(crate) fn dump(store: &dyn Store) -> (Vec<String>, u64) {
    let mut rows = Vec::new();
    let mut each = |entry: gantry_store::Entry| {
        let text = String::from_utf8_lossy(&entry.value).into_owned();
        rows.push(format!("{}={text}@{}", entry.key, entry.revision));
    };
    let revision = store.load(&mut each).unwrap();
    (rows, revision.0)
}

//! What is committed, and what comes back from it.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Conflict, Error, Key, KeyRange, Value};

/// A place in the one total order of commits. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Before every commit; as a key's revision: the key does not exist.
    pub const ZERO: Self = Self(0);

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One key with its value and the revision that put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// The revision of the commit that put this value.
    pub revision: Revision,
}

/// A condition on the keys as they were before the group of the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key was put by exactly this revision; [`Revision::ZERO`]: it does not exist.
    Key {
        /// The key that was read.
        key: Key,
        /// The revision it had.
        revision: Revision,
    },
    /// Every key that is now in the range was put at `not_after` or before.
    ///
    /// As in etcd, a key deleted from the range goes unnoticed; who depends on one names it with [`Compare::Key`].
    Range {
        /// The range that was read.
        range: KeyRange,
        /// The revision it was read at.
        not_after: Revision,
    },
}

/// Changes that happen together, on conditions, with their record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// All must hold, or the whole group is refused.
    pub compares: Vec<Compare>,
    /// New value of each key; `None` deletes it, which is no error when it does not exist.
    pub changes: BTreeMap<Key, Option<Value>>,
    /// Who did what and why, opaque here. Kept as long as the history.
    pub record: Vec<u8>,
}

/// A durable commit, as followers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the total order.
    pub revision: Revision,
    /// What it put (`Some`) and deleted (`None`).
    pub changes: BTreeMap<Key, Option<Value>>,
    /// The record it was submitted with.
    pub record: Vec<u8>,
}

impl Committed {
    /// Bytes that it occupies in the history, roughly.
    pub(crate) fn size(&self) -> usize {
        size(&self.changes, &self.record)
    }
}

impl Commit {
    /// Bytes that it adds to a transaction, roughly.
    pub(crate) fn size(&self) -> usize {
        size(&self.changes, &self.record)
    }
}

fn size(changes: &BTreeMap<Key, Option<Value>>, record: &[u8]) -> usize {
    let changes = changes.iter().map(|(key, value)| key.len() + value.as_deref().map_or(0, <[u8]>::len));
    record.len() + changes.sum::<usize>()
}

/// What judging compares needs to know of an engine's keys.
pub(crate) trait Keys {
    /// The revision that put the key, [`Revision::ZERO`] when it does not exist.
    fn revision_of(&self, key: &Key) -> Result<Revision, Error>;
    /// Some key of the range that was put after the revision.
    fn put_after(&self, range: &KeyRange, revision: Revision) -> Result<Option<Key>, Error>;
}

/// The first compare of the group that does not hold. `newest` is the newest revision of `keys`.
pub(crate) fn first_conflict(
    group: &[Commit],
    keys: &impl Keys,
    newest: Revision,
) -> Result<Option<Conflict>, Error> {
    for (commit, one) in group.iter().enumerate() {
        for compare in &one.compares {
            if let Some(key) = violated(compare, keys, newest)? {
                return Ok(Some(Conflict { commit, key }));
            }
        }
    }
    Ok(None)
}

fn violated(compare: &Compare, keys: &impl Keys, newest: Revision) -> Result<Option<Key>, Error> {
    match compare {
        Compare::Key { key, revision } => Ok((keys.revision_of(key)? != *revision).then(|| key.clone())),
        // Nothing was committed since: the usual case, and it must not cost a scan.
        Compare::Range { not_after, .. } if *not_after >= newest => Ok(None),
        Compare::Range { range, not_after } => keys.put_after(range, *not_after),
    }
}

//! What the store holds and this program cannot read: it is set aside, so that one damaged object or content pack does not keep
//! the server, and with it the means to mend it, from starting.
//!
//! Nothing of it is lost: keys and chunks stay as they are, for a program that can read them. A write to such a key first
//! keeps what was there, under `_aside/<key>`. Only who may do what is never guessed: damage to users, roles, tenants and
//! preferences ends the start, and so does what a newer program wrote.

use std::collections::HashMap;

use gantry_model::Kind;
use gantry_store::{Key, Revision, Store};

use crate::Error;
use crate::codec::{self, Changes};

/// Kinds that say who may do what.
const ACCESS: [Kind; 4] = [Kind::User, Kind::Role, Kind::Tenant, Kind::Preference];

/// Whether a damaged object of the kind may be set aside.
pub(crate) fn may_be(kind: Kind) -> bool {
    !ACCESS.contains(&kind)
}

/// Something in the store that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The kind; `Kind::Content` for a content pack.
    pub kind: Kind,
    /// The key of the object, or the name of the pack.
    pub key: String,
    /// Why it cannot be read, with its name.
    pub why: String,
}

/// Everything that was set aside when the store was read, by its key there.
#[derive(Debug, Default)]
pub(crate) struct Aside(HashMap<Key, (Revision, SetAside)>);

impl Aside {
    pub(crate) fn add(&mut self, key: Key, revision: Revision, what: SetAside) {
        self.0.insert(key, (revision, what));
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// What nobody has replaced or removed since, sorted.
    pub(crate) fn still(&self, store: &dyn Store) -> Vec<SetAside> {
        let unchanged = |key: &Key, seen: &Revision| {
            store.get(key).is_ok_and(|entry| entry.is_some_and(|entry| entry.revision == *seen))
        };
        let still = self.0.iter().filter(|(key, (seen, _))| unchanged(key, seen));
        let mut still: Vec<SetAside> = still.map(|(_, (_, what))| what.clone()).collect();
        still.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        still
    }

    /// Adds to the changes copies of what they write over and nobody could read.
    pub(crate) fn keep(&self, changes: &mut Changes, store: &dyn Store) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut kept = Changes::new();
        for key in changes.keys() {
            let Some((seen, _)) = self.0.get(key) else { continue };
            if let Some(entry) = store.get(key)?.filter(|entry| entry.revision == *seen) {
                kept.insert(codec::aside_key(key)?, Some(entry.value));
            }
        }
        changes.extend(kept);
        Ok(())
    }
}

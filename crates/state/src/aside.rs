//! What the store holds and this program cannot read: it is set aside, so that one damaged object or content pack does not keep
//! the server, and with it the means to mend it, from starting.
//!
//! Keys and chunks stay as they are, for a program that can read them. A write to the key of an object first keeps what was
//! there, under `_aside/<key>`. A pack is not kept: it came from a file and can come again, so who replaces or removes it ends it,
//! chunks and all. Only who may do what is never guessed: damage to users, roles, tenants and
//! preferences ends the start, and so does what a newer program wrote.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gantry_model::Kind;
use gantry_store::{Key, Revision, Store};

use crate::Error;
use crate::codec::{self, Changes, Place};

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

impl SetAside {
    /// Whether this is what the key in the store stands for.
    fn is_at(&self, key: &Key) -> bool {
        match codec::place(key) {
            Some(Place::Object(kind, name)) => (self.kind, self.key.as_str()) == (kind, name),
            Some(Place::Pack(name)) => (self.kind, self.key.as_str()) == (Kind::Content, name),
            _ => false,
        }
    }
}

/// What nobody has replaced or removed since the start, sorted. Reading it costs nothing.
#[derive(Debug)]
pub(crate) struct Still(ArcSwap<Vec<SetAside>>);

impl Still {
    pub(crate) fn new(aside: &Aside) -> Self {
        Self(ArcSwap::from_pointee(aside.sorted()))
    }

    pub(crate) fn get(&self) -> Arc<Vec<SetAside>> {
        self.0.load_full()
    }

    pub(crate) fn set(&self, aside: &Aside) {
        self.0.store(Arc::new(aside.sorted()));
    }

    /// Takes out what a commit has written. Only the thread that writes calls this.
    pub(crate) fn written<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let now = self.0.load();
        if now.is_empty() {
            return;
        }
        let gone: Vec<&SetAside> = keys.filter_map(|key| now.iter().find(|what| what.is_at(key))).collect();
        if !gone.is_empty() {
            let left = now.iter().filter(|what| !gone.contains(what)).cloned().collect();
            self.0.store(Arc::new(left));
        }
    }
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

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of it, by kind and key.
    pub(crate) fn sorted(&self) -> Vec<SetAside> {
        let mut all: Vec<SetAside> = self.0.values().map(|(_, what)| what.clone()).collect();
        all.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        all
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

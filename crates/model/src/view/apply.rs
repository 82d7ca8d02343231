//! From one View to the next: edits in, changes out.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::{self, Entry};
use super::propagate::Dirty;
use super::{Table, View};
use crate::{Key, Kind, Record};

/// What an edit does to its object.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Makes it so.
    Put(Arc<Record>),
    /// Removes it; an object of an overwritable layer that it hid comes back.
    Delete,
}

/// One object that shall change.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Its kind.
    pub kind: Kind,
    /// Its native key.
    pub key: Key,
    /// What shall happen to it.
    pub action: Action,
}

impl Edit {
    /// Makes an object so.
    #[must_use]
    pub fn put(record: Arc<Record>) -> Self {
        Self { kind: record.kind(), key: record.key().clone(), action: Action::Put(record) }
    }

    /// Removes an object.
    #[must_use]
    pub fn delete(kind: Kind, key: Key) -> Self {
        Self { kind, key, action: Action::Delete }
    }
}

/// One object that is not as it was: edited itself, or found usable or unusable because of an edit elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its kind.
    pub kind: Kind,
    /// Its native key.
    pub key: Key,
    /// The object before; none when it is new.
    pub before: Option<Arc<Record>>,
    /// The object now; none when it is gone.
    pub after: Option<Arc<Record>>,
}

impl View {
    /// The View after `edits`, at `revision`, and what changed: the edited objects in the order of the edits, then the
    /// objects whose computed state followed. Cost: per edit and per object that follows, not per object that there is.
    #[must_use]
    pub fn apply(&self, edits: &[Edit], revision: u64) -> (Self, Vec<Change>) {
        let mut draft = Draft::new(self, revision);
        for edit in edits {
            let after = match &edit.action {
                Action::Put(record) if record.revision() == revision && record.layer().is_none() => {
                    Some(Arc::clone(record))
                }
                Action::Put(record) => Some(Arc::new(record.placed(None, revision))),
                Action::Delete => self.layered(edit.kind, &edit.key),
            };
            draft.replace(edit.kind, &edit.key, after);
        }
        draft.finish()
    }
}

/// A View being changed.
pub(super) struct Draft {
    pub(super) view: View,
    touched: Vec<(Kind, Key, Option<Arc<Record>>)>,
    seen: HashMap<(Kind, Key), ()>,
    dirty: Dirty,
}

impl Draft {
    pub(super) fn new(view: &View, revision: u64) -> Self {
        let mut view = view.clone();
        view.revision = revision;
        Self { view, touched: Vec::new(), seen: HashMap::new(), dirty: Dirty::default() }
    }

    /// Puts `after` in the place of the object and marks whatever depends on it.
    pub(super) fn replace(&mut self, kind: Kind, key: &Key, after: Option<Arc<Record>>) {
        let after = self.inheriting(kind, key, after);
        let before = self.store(kind, key, after.as_ref());
        self.dirty.note(&self.view, kind, key, before.as_ref(), after.as_ref());
    }

    /// Marks a boot environment whose files came or went, and the machines in it.
    pub(super) fn reconsider_boot_env(&mut self, key: &Key) {
        self.dirty.boot_env(&self.view, key);
    }

    /// The object with the computed state that it had, so that computing it anew tells whether it moved.
    fn inheriting(&self, kind: Kind, key: &Key, after: Option<Arc<Record>>) -> Option<Arc<Record>> {
        let after = after?;
        match self.view.record(kind, key) {
            Some(before) if before.derived() != after.derived() => {
                Some(Arc::new(after.with_derived(before.derived().clone())))
            }
            _ => Some(after),
        }
    }

    /// Computes derived state until nothing moves, and lists the changes.
    pub(super) fn finish(mut self) -> (View, Vec<Change>) {
        while let Some((kind, key)) = self.dirty.pop(&self.view) {
            self.rederive(kind, &key);
        }
        let view = self.view;
        let changes = self.touched.into_iter().filter_map(|(kind, key, before)| {
            let after = view.record(kind, &key).cloned();
            let same = match (&before, &after) {
                (Some(before), Some(after)) => before.revision() == after.revision() && before == after,
                (None, None) => true,
                _ => false,
            };
            (!same).then_some(Change { kind, key, before, after })
        });
        let changes = changes.collect();
        (view, changes)
    }

    fn rederive(&mut self, kind: Kind, key: &Key) {
        let Some(derive) = kind.spec().erased.derive else { return };
        let Some(record) = self.view.record(kind, key) else { return };
        let mut errors = Vec::new();
        derive(record, &self.view, &mut errors);
        let derived = crate::Derived::new(errors);
        if *record.derived() == derived {
            return;
        }
        let flipped = record.derived().available() != derived.available();
        let after = Arc::new(record.with_derived(derived));
        self.store(kind, key, Some(&after));
        if flipped {
            self.dirty.referrers(&self.view, kind, key);
        }
    }

    fn store(&mut self, kind: Kind, key: &Key, after: Option<&Arc<Record>>) -> Option<Arc<Record>> {
        let tables = self.view.tables_mut();
        let before = Arc::make_mut(&mut tables[kind as usize]).replace(key, after);
        if self.seen.insert((kind, key.clone()), ()).is_none() {
            self.touched.push((kind, key.clone(), before.clone()));
        }
        before
    }
}

impl View {
    fn tables_mut(&mut self) -> &mut [Arc<Table>] {
        if Arc::get_mut(&mut self.tables).is_none() {
            self.tables = self.tables.iter().cloned().collect();
        }
        Arc::get_mut(&mut self.tables).expect("the tables were just made")
    }
}

impl Table {
    /// Puts, replaces or removes one object, in the map and in every index whose values moved.
    fn replace(&mut self, key: &Key, after: Option<&Arc<Record>>) -> Option<Arc<Record>> {
        let before = match after {
            Some(record) => self.records.insert(record.key().clone(), Arc::clone(record)),
            None => self.records.remove(key.as_str()),
        };
        let old = before.as_ref().map_or(&[][..], |record| &record.facts);
        let new = after.map_or(&[][..], |record| &record.facts);
        for (number, value) in old.iter().filter(|fact| new.binary_search(fact).is_err()) {
            index::remove(&mut self.indexes[usize::from(*number)], value, key);
        }
        for (number, value) in new.iter().filter(|fact| old.binary_search(fact).is_err()) {
            let entry = Entry { value: Arc::clone(value), key: key.clone() };
            self.indexes[usize::from(*number)].insert(entry);
        }
        let available = after.is_none_or(|record| record.derived().available());
        if !available {
            self.unavailable.insert(key.clone(), ());
        } else if !self.unavailable.is_empty() {
            self.unavailable.remove(key.as_str());
        }
        before
    }

    pub(super) fn unavailable(&self) -> impl Iterator<Item = &Key> {
        self.unavailable.keys()
    }
}

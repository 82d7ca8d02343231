//! The engine without a disk: for tests, and for fleets that are only simulated.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::commit::{Keys, first_conflict};
use crate::history::{Bounds, Follow, History};
use crate::{Commit, Committed, Entry, Error, Key, KeyRange, Revision, Store, Ticket, Value};

/// A store in memory. What it holds ends with it.
#[derive(Debug)]
pub struct Memory {
    keys: Mutex<Map>,
    history: History,
}

#[derive(Debug, Default)]
struct Map(BTreeMap<Key, (Revision, Value)>);

impl Default for Memory {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(history: Bounds) -> Self {
        let history = History::new(history, Revision::ZERO, Vec::new());
        Self { keys: Mutex::default(), history }
    }

    /// The map stays whole even if a holder of the lock panicked: a group is judged before it is applied.
    fn keys(&self) -> MutexGuard<'_, Map> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, group: Vec<Commit>) -> Result<Vec<Revision>, Error> {
        let mut keys = self.keys();
        let newest = self.history.newest();
        if let Some(conflict) = first_conflict(&group, &*keys, newest)? {
            return Err(Error::Conflict(conflict));
        }
        let mut revisions = Vec::with_capacity(group.len());
        for commit in group {
            let revision = revisions.last().copied().unwrap_or(newest).next();
            keys.apply(&commit.changes, revision);
            // Published under the lock on the keys, so that followers see the order of the revisions.
            let Commit { changes, record, .. } = commit;
            self.history.publish([Arc::new(Committed { revision, changes, record })]);
            revisions.push(revision);
        }
        Ok(revisions)
    }
}

impl Store for Memory {
    fn revision(&self) -> Revision {
        self.history.newest()
    }

    fn load(&self, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        let keys = self.keys();
        for (key, (revision, value)) in &keys.0 {
            each(Entry { key: key.clone(), value: value.clone(), revision: *revision });
        }
        Ok(self.history.newest())
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let keys = self.keys();
        let found = keys.0.get(key);
        Ok(found.map(|(revision, value)| Entry {
            key: key.clone(),
            value: value.clone(),
            revision: *revision,
        }))
    }

    fn submit(&self, group: Vec<Commit>) -> Ticket {
        Ticket::ready(self.apply(group))
    }

    fn follow(&self, after: Revision) -> Follow {
        self.history.follow(after)
    }
}

impl Map {
    fn apply(&mut self, changes: &BTreeMap<Key, Option<Value>>, revision: Revision) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key.clone(), (revision, value.clone())),
                None => self.0.remove(key),
            };
        }
    }
}

impl Keys for Map {
    fn revision_of(&self, key: &Key) -> Result<Revision, Error> {
        Ok(self.0.get(key).map_or(Revision::ZERO, |(revision, _)| *revision))
    }

    fn put_after(&self, range: &KeyRange, revision: Revision) -> Result<Option<Key>, Error> {
        let bounds = (
            Bound::Included(range.start.as_slice()),
            range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        );
        let mut inside = self.0.range::<[u8], _>(bounds).take_while(|(key, _)| range.contains(key));
        Ok(inside.find(|(_, (put, _))| *put > revision).map(|(key, _)| key.clone()))
    }
}

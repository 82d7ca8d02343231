//! The View: all objects at one revision, with their indexes. Immutable; a clone is a few pointers.
//!
//! A change makes a new View that shares everything unchanged with the old one, so readers never wait and never see half a
//! change, and one edit costs the same whatever the size of the fleet. Reverse references ("who uses profile p?") are kept
//! indexes, like names. Whether an object can be used is computed here ([`apply`]) and never stored.

mod apply;
mod files;
pub(crate) mod index;
mod layers;
mod load;
mod propagate;

use std::fmt;
use std::sync::Arc;

use imbl::OrdMap;

pub use apply::{Action, Change, Edit};
pub use files::is_install_source;

use crate::kind::Index;
use crate::{Catalogue, Key, Kind, Layer, Object, Record};
use index::Entries;

/// All objects at one revision.
#[derive(Clone)]
pub struct View {
    revision: u64,
    tables: Arc<[Arc<Table>]>,
    layers: Arc<Vec<Arc<Layer>>>,
    catalogue: Arc<Catalogue>,
}

/// The objects of one kind.
#[derive(Clone, Default)]
pub(crate) struct Table {
    records: OrdMap<Key, Arc<Record>>,
    /// By the number of the index in the kind's table; those not kept stay empty.
    indexes: Vec<Entries>,
    /// The objects that are not available, so that healing need not search.
    unavailable: OrdMap<Key, ()>,
}

/// See [`View::stamp`].
#[derive(Clone)]
pub struct Stamp(Arc<Table>);

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({:p})", self.0)
    }
}

/// An object that refers to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Referrer {
    /// The kind of the referring object.
    pub kind: Kind,
    /// Its key.
    pub key: Key,
    /// The index through which it refers, such as `Profiles`.
    pub index: &'static str,
}

impl View {
    /// A View without any object, not even the built-in ones.
    #[must_use]
    pub fn empty() -> Self {
        let table = |kind: &Kind| {
            Arc::new(Table { indexes: vec![Entries::new(); kind.spec().indexes.len()], ..Table::default() })
        };
        Self {
            revision: 0,
            tables: Kind::ALL.iter().map(table).collect(),
            layers: Arc::default(),
            catalogue: Arc::default(),
        }
    }

    /// The store's revision that this View shows.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    #[must_use]
    pub fn record(&self, kind: Kind, key: &str) -> Option<&Arc<Record>> {
        self.table(kind).records.get(key)
    }

    /// One object, typed.
    #[must_use]
    pub fn object<T: Object>(&self, key: &str) -> Option<Arc<T>> {
        self.record(T::KIND, key).map(|record| record.typed())
    }

    /// All objects of a kind, in the order of their keys.
    pub fn records(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        self.table(kind).records.values()
    }

    /// All objects of a kind, typed, in the order of their keys.
    pub fn objects<T: Object>(&self) -> impl DoubleEndedIterator<Item = Arc<T>> {
        self.records(T::KIND).map(|record| record.typed())
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.table(kind).records.len()
    }

    /// The native key that `text` means: a key itself, `<unique index>:<value>`, or a dotted address for kinds whose key is
    /// the hexadecimal form (API §4.3).
    #[must_use]
    pub fn lookup(&self, kind: Kind, text: &str) -> Option<Key> {
        if let Some((key, _)) = self.table(kind).records.get_key_value(text) {
            return Some(key.clone());
        }
        if kind.spec().key_field == "Addr"
            && let Some((key, _)) = self.table(kind).records.get_key_value(canonical_key(kind, text).as_str())
        {
            return Some(key.clone());
        }
        let (name, value) = text.split_once(':')?;
        if name == "Key" {
            return self.table(kind).records.get_key_value(value).map(|(key, _)| key.clone());
        }
        let index = kind
            .spec()
            .index(name)
            .filter(|index| index.unique && index.listed || index.name == kind.spec().key_field)?;
        if !index.kept {
            return self.table(kind).records.get_key_value(value).map(|(key, _)| key.clone());
        }
        self.find(kind, index.name, value).next().cloned()
    }

    /// The keys of the objects that have `value` in the named index, in order. An index that is not kept is answered by
    /// looking at every object; an unknown one finds nothing.
    pub fn find<'a>(
        &'a self,
        kind: Kind,
        index: &str,
        value: &str,
    ) -> Box<dyn Iterator<Item = &'a Key> + 'a> {
        let spec = kind.spec();
        let Some(number) = spec.indexes.iter().position(|known| known.name == index) else {
            return Box::new(std::iter::empty());
        };
        if spec.indexes[number].kept && !value.is_empty() {
            return Box::new(index::keys_of(&self.table(kind).indexes[number], value));
        }
        Box::new(self.scan(kind, &spec.indexes[number], value.to_owned()))
    }

    /// Who refers to the object, whether it exists or not.
    #[must_use]
    pub fn referrers(&self, kind: Kind, key: &str) -> Vec<Referrer> {
        let mut found = Vec::new();
        for (user, index) in referring_indexes(kind) {
            let keys = self.find(user, index.name, key).cloned();
            found.extend(keys.map(|key| Referrer { kind: user, key, index: index.name }));
        }
        found
    }

    /// Stands for all objects of a kind as they are now: equal as long as none of them changed. For caches of what was
    /// compiled from them.
    #[must_use]
    pub fn stamp(&self, kind: Kind) -> Stamp {
        Stamp(Arc::clone(&self.tables[kind as usize]))
    }

    /// The files beside the objects.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The content layers, in the order of API §12.1 without the writable one.
    #[must_use]
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// The value of a preference: the stored one, else its default (API §18).
    #[must_use]
    pub fn preference(&self, name: &str) -> String {
        match self.object::<crate::Preference>(name) {
            Some(preference) => preference.val.clone(),
            None => crate::preference::default(name).to_owned(),
        }
    }

    pub(crate) fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    /// Looks at the text of every object; parses only those in whose text the value occurs.
    fn scan<'a>(
        &'a self,
        kind: Kind,
        index: &'static Index,
        value: String,
    ) -> impl Iterator<Item = &'a Key> + use<'a> {
        let needle = serde_json::Value::from(value.as_str()).to_string();
        let finder = memchr::memmem::Finder::new(needle.as_bytes()).into_owned();
        self.records(kind).filter_map(move |record| {
            finder.find(record.json().as_bytes())?;
            let mut hit = false;
            index::each_text(index, &record.value(), &mut |text| hit |= text == value);
            hit.then(|| record.key())
        })
    }
}

/// Kinds and indexes whose values are keys of `kind`.
pub(crate) fn referring_indexes(kind: Kind) -> impl Iterator<Item = (Kind, &'static Index)> {
    Kind::ALL.iter().flat_map(move |user| {
        user.spec()
            .indexes
            .iter()
            .filter(move |index| index.refers == Some(kind))
            .map(move |index| (*user, index))
    })
}

/// The key as the View has it: leases and reservations may be asked for by dotted address.
#[must_use]
pub fn canonical_key(kind: Kind, text: &str) -> String {
    if kind.spec().key_field == "Addr"
        && text.contains(['.', ':'])
        && let Ok(address) = crate::Address::parse(text)
    {
        return address.hex();
    }
    text.to_owned()
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View@{}", self.revision)
    }
}

impl View {
    pub(crate) fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }
}

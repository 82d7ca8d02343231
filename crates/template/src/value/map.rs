//! [`Map`]: a Go map with string keys. `set`, `unset` and `merge` change a map in place, and everyone
//! who holds it sees that, so a map is a shared cell. Maps that outlive one render are *frozen*: a
//! template that sets a key in one gets a changed copy, and the original stays as it was.

use super::{Elem, Str, Value, release};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The entries of a map, in the byte order of their keys, which is the order of printing and ranging.
pub type Entries = BTreeMap<Str, Value>;

/// A shared map from strings to values.
#[derive(Clone)]
pub struct Map {
    elem: Elem,
    nil: bool,
    cell: Cell,
}

#[derive(Clone)]
pub(super) enum Cell {
    Frozen(Arc<Entries>),
    Live(Arc<RwLock<Arc<Entries>>>),
}

impl Drop for Cell {
    fn drop(&mut self) {
        release::map(self);
    }
}

impl Map {
    /// A `map[string]interface {}` that templates may change in place.
    pub fn new(entries: Entries) -> Self {
        Self::of(Elem::Any, entries)
    }

    /// A map of the given element type that templates may change in place.
    pub fn of(elem: Elem, entries: Entries) -> Self {
        Self { elem, nil: false, cell: Cell::Live(Arc::new(RwLock::new(Arc::new(entries)))) }
    }

    /// A map that no template can change: for data shared between renders.
    pub fn frozen(elem: Elem, entries: Arc<Entries>) -> Self {
        Self { elem, nil: false, cell: Cell::Frozen(entries) }
    }

    /// The nil map of the given element type.
    pub fn nil(elem: Elem) -> Self {
        Self { nil: true, ..Self::frozen(elem, Arc::default()) }
    }

    /// The element type.
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Whether this is the nil map, which reads as empty and cannot be written.
    pub fn is_nil(&self) -> bool {
        self.nil
    }

    /// Whether templates get a copy when they change this map.
    pub fn is_frozen(&self) -> bool {
        matches!(self.cell, Cell::Frozen(_))
    }

    /// The entries as they are now; later changes do not show in them.
    pub fn entries(&self) -> Arc<Entries> {
        match &self.cell {
            Cell::Frozen(entries) => Arc::clone(entries),
            Cell::Live(cell) => Arc::clone(&cell.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        match &self.cell {
            Cell::Frozen(entries) => entries.get(key).cloned(),
            Cell::Live(cell) => cell.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned(),
        }
    }

    /// Whether `key` is there.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.entries().contains_key(key)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        match &self.cell {
            Cell::Frozen(entries) => entries.len(),
            Cell::Live(cell) => cell.read().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes the map in place and returns it; a frozen map stays and a changed copy is returned.
    pub fn change(&self, edit: impl FnOnce(&mut Entries)) -> Map {
        match &self.cell {
            Cell::Frozen(entries) => {
                let mut copy = Entries::clone(entries);
                edit(&mut copy);
                Map::of(self.elem, copy)
            }
            Cell::Live(cell) => {
                edit(Arc::make_mut(&mut cell.write().unwrap_or_else(PoisonError::into_inner)));
                self.clone()
            }
        }
    }

    /// Whether both are the same map, not only equal ones.
    pub(crate) fn same(&self, other: &Map) -> bool {
        self.address() == other.address()
    }

    /// Whether nobody else holds the map.
    pub(crate) fn is_unshared(&self) -> bool {
        match &self.cell {
            Cell::Frozen(entries) => Arc::strong_count(entries) == 1,
            Cell::Live(cell) => Arc::strong_count(cell) == 1,
        }
    }

    pub(super) fn cell_mut(&mut self) -> &mut Cell {
        &mut self.cell
    }

    /// Where the map lies.
    pub(crate) fn address(&self) -> usize {
        match &self.cell {
            Cell::Frozen(entries) => Arc::as_ptr(entries) as usize,
            Cell::Live(cell) => Arc::as_ptr(cell) as usize,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One level only: a map may contain itself.
        f.debug_set().entries(self.entries().keys()).finish()
    }
}

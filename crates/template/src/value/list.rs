//! [`List`]: a Go slice. Besides its elements it knows its element type, whether it is nil, and its
//! capacity: Sprig's `slice` can reach past the length of a list, into its spare capacity.

use super::{Elem, Value};
use std::fmt;
use std::sync::Arc;

/// A shared, immutable window on a sequence of values.
#[derive(Clone)]
pub struct List {
    elem: Elem,
    nil: bool,
    data: Arc<[Value]>,
    start: usize,
    len: usize,
    cap: usize,
}

impl List {
    /// A `[]interface {}`.
    pub fn new(items: Vec<Value>) -> Self {
        Self::of(Elem::Any, items)
    }

    /// A `[]string`.
    pub fn of_strings<S: Into<super::Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::of(Elem::String, items.into_iter().map(|s| Value::Str(s.into())).collect())
    }

    /// A slice of the given element type.
    pub fn of(elem: Elem, items: Vec<Value>) -> Self {
        let cap = items.len();
        Self::with_capacity(elem, items, cap)
    }

    /// The nil slice of the given element type: empty, but `null` in JSON and equal to nil.
    pub fn nil(elem: Elem) -> Self {
        Self { nil: true, ..Self::of(elem, Vec::new()) }
    }

    /// A slice with spare capacity, which `slice` may reach into.
    pub fn with_capacity(elem: Elem, items: Vec<Value>, cap: usize) -> Self {
        let len = items.len();
        Self { elem, nil: false, data: items.into(), start: 0, len, cap: cap.max(len) }
    }

    /// The element type.
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Whether this is the nil slice.
    pub fn is_nil(&self) -> bool {
        self.nil
    }

    /// How far the list may be re-sliced.
    pub fn capacity(&self) -> usize {
        self.cap
    }

    /// The elements.
    pub fn items(&self) -> &[Value] {
        &self.data[self.start..self.start + self.len]
    }

    /// Go's `list[from:to]`; `None` when the bounds are not `0 <= from <= to <= capacity`.
    pub fn slice(&self, from: usize, to: usize) -> Option<List> {
        if from > to || to > self.cap {
            return None;
        }
        let mut part = self.clone();
        if self.start + to > self.data.len() {
            let mut grown = self.data[self.start..].to_vec();
            grown.resize(self.cap, Value::zero(self.elem.to_type()));
            part.data = grown.into();
            part.start = 0;
        }
        part.start += from;
        part.len = to - from;
        part.cap = self.cap - from;
        Some(part)
    }

    /// Whether both are windows on the same elements.
    pub(crate) fn same(&self, other: &List) -> bool {
        Arc::ptr_eq(&self.data, &other.data) && self.start == other.start && self.len == other.len
    }

    pub(crate) fn address(&self) -> usize {
        self.items().as_ptr() as usize
    }
}

impl std::ops::Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        self.items()
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.items()).finish()
    }
}

/// The capacity that appending one element at a time gives to a slice of 16-byte elements.
pub(crate) fn grown_capacity(len: usize) -> usize {
    if len <= 512 { len.next_power_of_two() * usize::from(len > 0) } else { len + len / 4 }
}

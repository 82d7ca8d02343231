//! [`List`]: a Go slice. Besides its elements it knows its element type, whether it is nil, and its
//! capacity: Sprig's `slice` can reach past the length of a list, into its spare capacity.

use super::{Elem, Value, release};
use std::fmt;
use std::sync::Arc;

/// A shared, immutable window on a sequence of values.
#[derive(Clone)]
pub struct List {
    elem: Elem,
    nil: bool,
    data: Items,
    start: usize,
    len: usize,
    cap: usize,
}

/// The elements. They lie behind the pointer and not beside its counts, so that the last holder can take them apart though the
/// ledger still keeps a weak pointer. `None` when they are taken.
#[derive(Clone)]
pub(super) struct Items(Option<Arc<Box<[Value]>>>);

impl Items {
    fn new(items: Vec<Value>) -> Self {
        Self(Some(Arc::new(items.into())))
    }

    /// The elements, if nobody else holds them; nothing is left then, nor when somebody does.
    pub(super) fn take(&mut self) -> Option<Box<[Value]>> {
        self.0.take().and_then(Arc::into_inner)
    }
}

impl std::ops::Deref for Items {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        self.0.as_ref().map_or(&[], |items| items)
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        release::list(self);
    }
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
        Self { elem, nil: false, data: Items::new(items), start: 0, len, cap: cap.max(len) }
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
            part.data = Items::new(grown);
            part.start = 0;
        }
        part.start += from;
        part.len = to - from;
        part.cap = self.cap - from;
        Some(part)
    }

    /// All elements, those outside of the window, too, if nobody else holds them.
    pub(crate) fn unshared(&self) -> Option<&Arc<Box<[Value]>>> {
        self.data.0.as_ref().filter(|items| Arc::strong_count(items) == 1)
    }

    pub(super) fn data_mut(&mut self) -> &mut Items {
        &mut self.data
    }

    /// Whether both are windows on the same elements.
    pub(crate) fn same(&self, other: &List) -> bool {
        self.place() == other.place()
    }

    /// Where the list lies, and its length.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.items().as_ptr() as usize, self.len)
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

/// The capacity that appending one element of `size` bytes at a time gives to a Go slice.
pub(crate) fn grown_capacity(len: usize, size: usize) -> usize {
    let mut cap = 0;
    while cap < len {
        cap = appended_capacity(cap, 1, size);
    }
    cap
}

/// The capacity after appending `more` elements of `size` bytes at once to a full Go slice of `len`.
pub(crate) fn appended_capacity(len: usize, more: usize, size: usize) -> usize {
    let need = len + more;
    if more == 0 || need == 0 {
        return need;
    }
    let mut cap = len;
    if need > 2 * len {
        cap = need;
    } else if len < 256 {
        cap = 2 * len;
    } else {
        while cap < need {
            cap += (cap + 3 * 256) / 4;
        }
    }
    round_up(cap * size) / size
}

/// Size of an interface in Go, in bytes.
pub(crate) const INTERFACE_SIZE: usize = 16;

/// Go's allocation sizes, in bytes.
const CLASSES: [usize; 68] = [
    8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416,
    448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200,
    3456, 4096, 4864, 5120, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288, 13568,
    14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
];

/// Bytes that Go allocates for `size` bytes.
fn round_up(size: usize) -> usize {
    const PAGE: usize = 8192;
    let found = CLASSES.iter().copied().find(|&class| class >= size);
    found.unwrap_or_else(|| size.next_multiple_of(PAGE))
}

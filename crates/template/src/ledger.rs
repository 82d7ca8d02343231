//! What values a render has made and still holds.
//!
//! A loop that appends to a list or a text makes a new one in each turn and lets go of the old one; only what is held at one
//! time may not pass the limit. So the ledger keeps a weak pointer to each large value, and looks which are still there when
//! the sum reaches the limit. Small values, and what functions charge themselves, count as if they were held for ever.

use std::sync::{Arc, Weak};

use crate::value::{Str, Value};

/// Values of fewer bytes are not followed one by one.
const SMALL: usize = 4096;

/// A large value.
#[derive(Debug)]
enum Held {
    Text(Weak<[u8]>),
    List(Weak<Box<[Value]>>),
}

impl Held {
    fn is_there(&self) -> bool {
        match self {
            Self::Text(text) => text.strong_count() > 0,
            Self::List(list) => list.strong_count() > 0,
        }
    }
}

/// The bytes that a render holds, at most: what was let go of since the last look counts, too.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    bytes: usize,
    held: Vec<(Held, usize)>,
    /// At so many bytes it is time to look what is still there.
    look_at: usize,
}

impl Ledger {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts bytes for ever.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Looks which large values are still there. The next time is half way from there to the limit, so that looking costs
    /// little beside making.
    pub(crate) fn sweep(&mut self, limit: usize) {
        let mut gone = 0;
        self.held.retain(|(held, bytes)| {
            let there = held.is_there();
            gone += if there { 0 } else { *bytes };
            there
        });
        self.bytes = self.bytes.saturating_sub(gone);
        self.look_at = self.bytes.midpoint(limit);
    }

    /// Enters what a function gave, with the texts in it, as far as nobody else holds it: then it was just made.
    pub(crate) fn enter(&mut self, value: &Value, limit: usize) {
        self.enter_made(value);
        if self.bytes > self.look_at {
            self.sweep(limit);
        }
    }

    fn enter_made(&mut self, value: &Value) {
        match value {
            Value::Str(text) => self.text(text),
            Value::List(list) => {
                if let Some(items) = list.unshared() {
                    self.add(size_of_val(&***items), || Held::List(Arc::downgrade(items)));
                    self.texts(items.iter());
                }
            }
            Value::Map(map) if map.is_unshared() => self.texts(map.entries().values()),
            _ => {}
        }
    }

    fn texts<'v>(&mut self, values: impl Iterator<Item = &'v Value>) {
        for value in values {
            if let Value::Str(text) = value {
                self.text(text);
            }
        }
    }

    fn text(&mut self, text: &Str) {
        let bytes = text.shared();
        if Arc::strong_count(bytes) == 1 {
            self.add(bytes.len(), || Held::Text(Arc::downgrade(bytes)));
        }
    }

    fn add(&mut self, bytes: usize, held: impl FnOnce() -> Held) {
        self.charge(bytes);
        if bytes >= SMALL {
            self.held.push((held(), bytes));
        }
    }
}

//! Keys, values and ranges of keys: bytes whose limits were checked once, when they were made.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::Error;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1024;

/// The largest value, in bytes. etcd needs `--max-request-bytes` above this; larger things are blobs or chunks.
pub const MAX_VALUE: usize = 4 << 20;

/// A key: 1 to [`MAX_KEY`] bytes, ordered as bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<[u8]>);

impl Key {
    /// Checks the length and takes the bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`] when empty or longer than [`MAX_KEY`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > MAX_KEY {
            return Err(Error::KeyLength { length: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }
}

impl Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A value: at most [`MAX_VALUE`] opaque bytes, shared between the engine, its history and its readers.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// Checks the length and takes the bytes.
    ///
    /// # Errors
    /// [`Error::ValueTooLarge`] when longer than [`MAX_VALUE`].
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self, Error> {
        let bytes = bytes.into();
        if bytes.len() > MAX_VALUE {
            return Err(Error::ValueTooLarge { size: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// For bytes that passed [`Value::new`] before they were stored.
    pub(crate) fn stored(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Value {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let more = if self.0.len() > SHOWN { "..." } else { "" };
        write!(f, "{}{more}", self.0[..self.0.len().min(SHOWN)].escape_ascii())
    }
}

/// Keys from `start` up to but not including `end`; no `end` means "to the last key".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key of the range, included. Empty: from the very first key.
    pub start: Vec<u8>,
    /// The first key after the range.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Vec::new(), end: None }
    }

    /// Every key that begins with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                return Self { start: prefix.to_vec(), end: Some(end) };
            }
        }
        Self { start: prefix.to_vec(), end: None }
    }

    /// Whether a key lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && self.end.as_deref().is_none_or(|end| key < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_name_the_length() {
        assert_eq!(Key::new("").unwrap_err().to_string(), "key of 0 bytes: it must have 1 to 1024");
        assert!(Key::new(vec![b'a'; MAX_KEY]).is_ok());
        assert!(Key::new(vec![b'a'; MAX_KEY + 1]).is_err());
        assert!(Value::new(vec![0; MAX_VALUE]).is_ok());
        let error = Value::new(vec![0; MAX_VALUE + 1]).unwrap_err().to_string();
        assert_eq!(error, "value of 4194305 bytes: it must have at most 4194304");
    }

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        let range = KeyRange::prefix(b"a/");
        for (key, inside) in [("a", false), ("a/", true), ("a/\u{7f}", true), ("a0", false), ("b", false)] {
            assert_eq!(range.contains(key.as_bytes()), inside, "{key}");
        }
        assert_eq!(KeyRange::prefix(&[7, 255, 255]).end, Some(vec![8]));
        assert_eq!(KeyRange::prefix(&[255, 255]).end, None);
        assert!(KeyRange::all().contains(&[255; 9]));
    }
}

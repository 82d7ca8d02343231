//! How a commit is written in the history table.
//!
//! `record, count, (key, 0 | 1, value if 1)*`, where the bytes of record, key and value come after their length and
//! every number is a little-endian u32. The revision is the row's key.

use std::collections::BTreeMap;

use crate::{Commit, Committed, Error, Key, Revision, Value};

/// Compares are left out: they held.
pub(super) fn encode(commit: &Commit) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, &commit.record);
    put_number(&mut out, commit.changes.len());
    for (key, value) in &commit.changes {
        put_bytes(&mut out, key);
        out.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put_bytes(&mut out, value);
        }
    }
    out
}

pub(super) fn decode(revision: Revision, row: &[u8]) -> Result<Committed, Error> {
    read(&mut &row[..], revision)
        .ok_or_else(|| Error::Damaged { what: format!("commit {revision} in the history does not decode") })
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let number =
        u32::try_from(number).expect("limits on keys, values and memory keep a commit far below 4 GiB");
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn read(input: &mut &[u8], revision: Revision) -> Option<Committed> {
    let record = take_bytes(input)?.to_vec();
    let mut changes = BTreeMap::new();
    for _ in 0..take_number(input)? {
        let key = Key::new(take_bytes(input)?).ok()?;
        let value = match input.split_off_first()? {
            0 => None,
            1 => Some(Value::stored(take_bytes(input)?)),
            _ => return None,
        };
        changes.insert(key, value);
    }
    input.is_empty().then_some(Committed { revision, changes, record })
}

fn take_number(input: &mut &[u8]) -> Option<usize> {
    let (number, rest) = input.split_first_chunk()?;
    *input = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(input)?;
    input.split_off(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Commit {
        let changes = BTreeMap::from([
            (Key::new("a").unwrap(), Some(Value::new(*b"one").unwrap())),
            (Key::new("b").unwrap(), None),
            (Key::new("c").unwrap(), Some(Value::new(*b"").unwrap())),
        ]);
        Commit { compares: Vec::new(), changes, record: b"who".to_vec() }
    }

    #[test]
    fn what_was_written_is_read() {
        let commit = sample();
        let read = decode(Revision(7), &encode(&commit)).unwrap();
        assert_eq!(read, Committed { revision: Revision(7), changes: commit.changes, record: commit.record });
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let good = encode(&sample());
        for length in 0..good.len() {
            assert!(decode(Revision(7), &good[..length]).is_err(), "cut to {length} bytes");
        }
        let mut longer = good.clone();
        longer.push(0);
        let error = decode(Revision(7), &longer).unwrap_err();
        assert_eq!(error.to_string(), "the store is damaged: commit 7 in the history does not decode");
        assert!(decode(Revision(7), &[255; 40]).is_err());
    }
}

//! Slash-separated paths, as Go's package `path` sees them. Nothing is looked up.

use super::args::{STR, str};
use super::{Row, row};
use crate::object::Signature;

const ONE: Signature = Signature::exact(&[STR]);

pub(super) static ROWS: &[Row] = &[
    row("base", ONE, |_, a| Ok(base(str(&a[0])).to_vec().into()), "base PATH", "The last element."),
    row("dir", ONE, |_, a| Ok(dir(str(&a[0])).into()), "dir PATH", "All but the last element."),
    row(
        "clean",
        ONE,
        |_, a| Ok(clean(str(&a[0])).into()),
        "clean PATH",
        "The shortest path to the same place.",
    ),
    row("ext", ONE, |_, a| Ok(ext(str(&a[0])).to_vec().into()), "ext PATH", "The extension, with its dot."),
    row(
        "isAbs",
        ONE,
        |_, a| Ok(str(&a[0]).starts_with(b"/").into()),
        "isAbs PATH",
        "Whether the path starts at the root.",
    ),
];

fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
    let start = path[..end].iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    if start == end { b"/" } else { &path[start..end] }
}

fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    clean(&path[..end])
}

fn ext(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&b| b == b'.' || b == b'/') {
        Some(at) if path[at] == b'.' => &path[at..],
        _ => b"",
    }
}

/// Go's `path.Clean`.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|&last| last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

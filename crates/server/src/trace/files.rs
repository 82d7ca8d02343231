//! Traces on disk: one file of JSON lines per name, turned over when it is long.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Entry;

/// Bytes of a trace file before it is turned over; one older file is kept.
const FILE_LIMIT: u64 = 1 << 20;

/// What the files of a name hold, the newest line first. A trace that was never written has no file; one that cannot be read
/// is left out rather than failing the rest.
pub(super) fn read(folder: &Path, name: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for file in [older(&file(folder, name)), file(folder, name)] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
    }
    found.reverse();
    found
}

/// Adds entries to the file of a name.
pub(super) fn append(folder: &Path, name: &str, entries: &[Entry]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = file(folder, name);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > FILE_LIMIT) {
        std::fs::rename(&path, older(&path))?;
    }
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&text)
}

fn file(folder: &Path, name: &str) -> PathBuf {
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    folder.join(format!("{safe}.jsonl"))
}

fn older(file: &Path) -> PathBuf {
    file.with_extension("old.jsonl")
}

//! Traces on disk: JSON lines, one file for each name of a machine, and one for all strangers together.
//!
//! Everything is bounded. A file is turned over when it is long, and one older file of it is kept. A machine's files go with the
//! machine, when nothing was added for long, and, the quietest first, when all together are too many. Strangers, whom anybody on
//! the wire can invent, have one pair of files.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::Entry;
use super::memory::Batch;

/// Bytes of a machine's trace file before it is turned over.
const FILE_LIMIT: u64 = 1 << 20;
/// Bytes of the strangers' file before it is turned over.
const STRANGERS_LIMIT: u64 = 8 << 20;
/// The least that a file takes of a disk, bytes.
const BLOCK: u64 = 4_096;
const STRANGERS: &str = "strangers";

/// What is kept of all machines' traces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Since something was last added.
    pub(super) age: Duration,
}

pub(super) const BOUNDS: Bounds = Bounds { bytes: 2 << 30, age: Duration::from_secs(90 * 24 * 3600) };

/// The folder of traces.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    alone: Mutex<()>,
}

impl Disk {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, alone: Mutex::new(()) }
    }

    /// Held by who changes files, from looking what to write until it is written.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the files hold of these names, the newest line of each first. A trace that was never written has no file; one that cannot
    /// be read is left out rather than failing the rest.
    pub(super) fn read(&self, names: &[String]) -> Vec<Entry> {
        let mut found: Vec<Entry> = Vec::new();
        for path in names.iter().flat_map(|name| both(&self.file(name))) {
            each_line(&path, |line| found.extend(serde_json::from_slice::<Entry>(line).ok()));
        }
        let starts: Vec<String> = names.iter().map(|name| start(name)).collect();
        for path in both(&self.file(STRANGERS)) {
            each_line(&path, |line| {
                if starts.iter().any(|start| line.starts_with(start.as_bytes())) {
                    found
                        .extend(serde_json::from_slice::<(String, Entry)>(line).ok().map(|(_, entry)| entry));
                }
            });
        }
        found.reverse();
        found
    }

    /// Adds entries to the file of a machine's name.
    pub(super) fn append(&self, batch: &Batch) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in &batch.entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        self.write(&batch.name, FILE_LIMIT, &text)
    }

    /// Adds entries to the file of the strangers.
    pub(super) fn append_strangers(&self, batches: &[Batch]) -> io::Result<()> {
        let mut text = Vec::new();
        for (name, entry) in batches.iter().flat_map(|b| b.entries.iter().map(|entry| (&*b.name, entry))) {
            serde_json::to_writer(&mut text, &(name, entry))?;
            text.push(b'\n');
        }
        if text.is_empty() { Ok(()) } else { self.write(STRANGERS, STRANGERS_LIMIT, &text) }
    }

    fn write(&self, name: &str, limit: u64, text: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.file(name);
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > limit) {
            fs::rename(&path, older(&path))?;
        }
        fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text)
    }

    /// Removes the files of these names.
    pub(super) fn remove(&self, names: &[String]) -> io::Result<()> {
        names.iter().flat_map(|name| both(&self.file(name))).try_for_each(|path| remove(&path))
    }

    /// Removes what is beyond the bounds.
    pub(super) fn tidy(&self, bounds: Bounds, now: SystemTime) -> io::Result<()> {
        let mut files = self.machine_files()?;
        files.sort_by_key(|file| file.changed);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            let old = now.duration_since(file.changed).is_ok_and(|age| age > bounds.age);
            if old || bytes > bounds.bytes {
                remove(&file.path)?;
                bytes -= file.bytes;
            }
        }
        Ok(())
    }

    fn machine_files(&self) -> io::Result<Vec<Found>> {
        let mut files = Vec::new();
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            listed => listed?,
        };
        let strangers = both(&self.file(STRANGERS));
        for path in listed.flatten().map(|entry| entry.path()).filter(|path| !strangers.contains(path)) {
            let Ok(meta) = path.metadata() else { continue };
            let bytes = meta.len().next_multiple_of(BLOCK).max(BLOCK);
            let is_trace = meta.is_file() && path.extension().is_some_and(|end| end == "jsonl");
            if let (true, Ok(changed)) = (is_trace, meta.modified()) {
                files.push(Found { path, bytes, changed });
            }
        }
        Ok(files)
    }

    fn file(&self, name: &str) -> PathBuf {
        let safe: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        self.folder.join(format!("{safe}.jsonl"))
    }
}

/// A file of a machine's trace.
struct Found {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

/// How a stranger's lines begin.
fn start(name: &str) -> String {
    format!("[{},", serde_json::Value::from(name))
}

/// The older file and the present one, in this order.
fn both(file: &Path) -> [PathBuf; 2] {
    [older(file), file.to_owned()]
}

fn older(file: &Path) -> PathBuf {
    file.with_extension("old.jsonl")
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn each_line(path: &Path, mut found: impl FnMut(&[u8])) {
    let Ok(file) = fs::File::open(path) else { return };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        found(&line);
        line.clear();
    }
}

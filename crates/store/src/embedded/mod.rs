//! The engine for one server: one file, no other process.
//!
//! The file is a redb database. A thread of its own writes; everything that was submitted while one fsync was under
//! way shares the next. A commit is acknowledged and shown to followers after its fsync, so it survives `kill -9`
//! and power loss. When the storage refuses a commit the engine stops for good: after a failed fsync nobody can say
//! what is on the disk, and only opening the file again finds out.
//!
//! Tables: `keys` (key → revision, value), `history` (revision → changes and record, trimmed to its bounds),
//! `meta` (format, revision, compacted). Losing power while the file is being made leaves no half file: it is made
//! under another name. What is left out: compaction of the file (freed pages are used again, but it never shrinks).

mod codec;
mod file;
#[cfg(test)]
mod power_loss;
mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::history::{Bounds, History};
use crate::{Commit, Entry, Error, Follow, Key, Revision, Store, Ticket, Value};

pub(crate) const KEYS: TableDefinition<'_, &[u8], (u64, &[u8])> = TableDefinition::new("keys");
pub(crate) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// How an embedded store runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How much history is kept.
    pub history: Bounds,
    /// Bytes of the file held in memory, beside the page cache of the kernel.
    pub cache: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { history: Bounds::default(), cache: 16 << 20 }
    }
}

/// A store in one file. Dropping it finishes what was submitted and closes the file.
#[derive(Debug)]
pub struct Embedded {
    database: Arc<Database>,
    history: Arc<History>,
    /// Taken by `drop`, which ends the writer.
    queue: Option<mpsc::Sender<writer::Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store in the file at `path`, or makes it. Its directory must exist.
    ///
    /// After a crash this takes longer, as every page is checked: about a second for each gigabyte.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process (or this one) has it open, [`Error::Format`] when it is from a newer
    /// version, [`Error::Damaged`] and [`Error::Storage`] when it cannot be read.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        Self::start(file::open(path, options.cache)?, options)
    }

    fn start(database: Database, options: Options) -> Result<Self, Error> {
        file::check_format(&database)?;
        let database = Arc::new(database);
        let history = Arc::new(file::read_history(&database, options.history)?);
        let (queue, requests) = mpsc::channel();
        let writer = writer::Writer { database: Arc::clone(&database), history: Arc::clone(&history) };
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&requests))
            .map_err(Error::storage("starting the store's thread"))?;
        Ok(Self { database, history, queue: Some(queue), writer: Some(writer) })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so on its own; its tickets resolve as `Closed`.
            drop(writer.join());
        }
    }
}

impl Store for Embedded {
    fn revision(&self) -> Revision {
        self.history.newest()
    }

    fn load(&self, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        let snapshot = self.database.begin_read().map_err(Error::storage("reading the store"))?;
        let keys = snapshot.open_table(KEYS).map_err(Error::storage("opening the keys"))?;
        for row in keys.iter().map_err(Error::storage("reading the keys"))? {
            let (key, value) = row.map_err(Error::storage("reading a key"))?;
            each(entry(Key::new(key.value())?, value.value()));
        }
        let meta = snapshot.open_table(META).map_err(Error::storage("opening the revision"))?;
        Ok(Revision(file::number(&meta, "revision")?))
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let snapshot = self.database.begin_read().map_err(Error::storage("reading the store"))?;
        let keys = snapshot.open_table(KEYS).map_err(Error::storage("opening the keys"))?;
        let found = keys.get(&**key).map_err(Error::storage("reading a key"))?;
        Ok(found.map(|found| entry(key.clone(), found.value())))
    }

    fn submit(&self, group: Vec<Commit>) -> Ticket {
        let (answer, ticket) = Ticket::new();
        let Some(queue) = &self.queue else { return Ticket::ready(Err(Error::Closed)) };
        match queue.send(writer::Request { group, answer }) {
            Ok(()) => ticket,
            Err(_) => Ticket::ready(Err(Error::Closed)),
        }
    }

    fn follow(&self, after: Revision) -> Follow {
        self.history.follow(after)
    }
}

fn entry(key: Key, (revision, value): (u64, &[u8])) -> Entry {
    Entry { key, value: Value::stored(value), revision: Revision(revision) }
}

//! The boot trace: what happened to a machine, in order, from its first DHCP packet to its running system.
//!
//! Whatever part of the server meets a machine calls [`TraceSink::note`], which never blocks and never fails. Notes are
//! kept under the best name known at that moment: the MAC, which DHCP teaches for an address, else the machine's UUID, else the
//! address. Reading a machine's trace gathers all its names again, so what happened before the machine was registered is part
//! of it.
//!
//! Notes live in memory, bounded in bytes over all ([`memory`]), and are appended to files by [`Trace::flush`], which the
//! server calls every second and when it stops: **a crash loses at most the last second**. The files are bounded as well
//! ([`files`]). An entry before which notes were dropped before they were written, because there were too many, carries their
//! number as `Lost`. Traces are no commits: they neither wait for the disk nor fill the history.
//!
//! What an operating system repeats for days, renewing its lease, is one entry with a count (`Times`, `Last`); on disk the
//! count is the last power of two. Which boot an entry belongs to is decided in [`boots`].

mod boots;
mod files;
mod memory;
mod milestone;
mod note;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gantry_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use self::milestone::note as milestone;
pub use self::note::{Note, TraceSink};

use self::boots::Boots;
use self::files::{BOUNDS, Disk};
use self::memory::{Batch, Memory};
use crate::clock;

/// One line of a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Entry {
    /// Position among all notes of this server; grows, also across restarts.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Which power-on of this machine, counted from 1 as far back as its trace is kept.
    pub boot: u64,
    /// See [`Note::power_on`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub power_on: bool,
    /// See [`Note::kind`].
    pub kind: String,
    /// See [`Note::text`].
    pub text: String,
    /// See [`Note::data`].
    pub data: Map<String, Value>,
}

/// The traces of all machines.
#[derive(Debug)]
pub struct Trace {
    disk: Option<Disk>,
    memory: Mutex<Memory>,
    changed: tokio::sync::watch::Sender<u64>,
}

/// Which names a reader wants together, and from where on.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// UUID of the machine.
    pub machine: String,
    /// Its MACs.
    pub macs: Vec<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Only entries after this [`Entry::seq`].
    pub since: u64,
}

/// Who reads one trace, and reads on: files are looked into the first time only.
#[derive(Clone, Debug)]
pub struct Reader {
    names: Vec<String>,
    since: u64,
    seen: u64,
    boots: Boots,
}

impl Reader {
    /// Of nothing yet.
    pub fn new(wanted: &Wanted) -> Self {
        Self { names: wanted.names(), since: wanted.since, seen: 0, boots: Boots::default() }
    }
}

impl Trace {
    /// A trace that is kept in files below `folder`, or in memory alone.
    pub fn new(folder: Option<PathBuf>) -> Self {
        // Beginning at the microseconds since 1970 keeps the sequence growing across restarts without a file for it.
        let seq = u64::try_from(clock::now().0.as_microsecond()).unwrap_or_default();
        let memory = Mutex::new(Memory::new(seq));
        Self { disk: folder.map(Disk::new), memory, changed: tokio::sync::watch::Sender::new(seq) }
    }

    /// The entries that `reader` has not read, in order, under whatever name they were noted. Blocks on the disk the first time.
    pub fn read(&self, reader: &mut Reader) -> Vec<Entry> {
        let (mut found, newest, whole) = self.lock().read(&reader.names, reader.seen);
        if let Some(disk) = self.disk.as_ref().filter(|_| !whole) {
            found.extend(disk.read(&reader.names));
        }
        // Of an entry that was written more than once the first is the newest: memory, then the files' last lines.
        found.sort_by_key(|entry| entry.seq);
        found.dedup_by_key(|entry| entry.seq);
        found.retain(|entry| entry.seq > reader.seen);
        found.iter_mut().for_each(|entry| entry.boot = reader.boots.see(entry).max(1));
        found.retain(|entry| entry.seq > reader.since);
        reader.seen = newest;
        found
    }

    /// Resolves when something was noted after `seq`.
    pub async fn changed_since(&self, seq: u64) {
        // The sender lives as long as self, so waiting cannot fail.
        let _ = self.changed.subscribe().wait_for(|newest| *newest > seq).await;
    }

    /// The newest sequence number.
    pub fn newest(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Appends what is not yet on disk. Blocks on the disk: call it from a blocking thread.
    ///
    /// # Errors
    /// The first failure of the file system; what could not be written is tried again at the next call.
    pub fn flush(&self) -> std::io::Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let _alone = disk.alone();
        let (pending, lost) = self.lock().pending();
        if lost > 0 {
            tracing::warn!(lost, "notes of boot traces came faster than they could be written");
        }
        let (machines, strangers): (Vec<Batch>, Vec<Batch>) = pending.into_iter().partition(|b| b.is_machine);
        let mut result = disk.append_strangers(&strangers);
        if result.is_err() {
            strangers.iter().for_each(|batch| self.lock().take_back(batch));
        }
        for batch in machines {
            if let Err(error) = disk.append(&batch) {
                self.lock().take_back(&batch);
                result = result.and(Err(error));
            }
        }
        result
    }

    /// Removes a machine's trace, in memory and on disk. Blocks on the disk.
    ///
    /// # Errors
    /// The first failure of the file system.
    pub fn forget(&self, wanted: &Wanted) -> std::io::Result<()> {
        let names = wanted.names();
        let _alone = self.disk.as_ref().map(Disk::alone);
        self.lock().forget(&names);
        self.disk.as_ref().map_or(Ok(()), |disk| disk.remove(&names))
    }

    /// Removes files that nobody will miss: see [`files`]. Blocks on the disk.
    ///
    /// # Errors
    /// The first failure of the file system.
    pub fn tidy(&self) -> std::io::Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let _alone = disk.alone();
        disk.tidy(BOUNDS, SystemTime::now())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceSink for Trace {
    fn note(&self, note: Note) {
        let seq = self.lock().add(note, clock::now());
        self.changed.send_replace(seq);
    }
}

impl Wanted {
    fn names(&self) -> Vec<String> {
        let mut names = vec![self.machine.clone()];
        names.extend(self.macs.iter().map(|mac| mac.to_ascii_lowercase()));
        names.extend(self.address.map(|address| address.to_string()));
        names.retain(|name| !name.is_empty());
        names
    }
}

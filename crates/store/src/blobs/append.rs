//! Appending to logs: by offset, so that a repetition is harmless, and with one round of syncing for many logs.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::OFlags;

use super::read::open_beneath;
use super::{Blobs, Error, Name, is_absent, sync_folder};

/// A loss of power may take the appends of at most this time (and of the sync that was under way).
pub const APPEND_SYNC: Duration = Duration::from_millis(500);

const DOING: &str = "appending to a blob";
/// Appends to different blobs rarely meet in one of so many locks.
const LOCKS: usize = 64;
/// So many blobs are synced one by one.
const FEW: usize = 8;
/// Bytes that are compared at once with a repetition.
const CHUNK: usize = 64 << 10;

/// One append at a time to each blob.
#[derive(Debug)]
pub(super) struct Locks {
    locks: [Mutex<()>; LOCKS],
    hash: RandomState,
}

impl Default for Locks {
    fn default() -> Self {
        Self { locks: [const { Mutex::new(()) }; LOCKS], hash: RandomState::new() }
    }
}

impl Locks {
    fn lock(&self, name: &Name) -> MutexGuard<'_, ()> {
        let mut hasher = self.hash.build_hasher();
        hasher.write(name.as_str().as_bytes());
        let slot = hasher.finish() % LOCKS as u64;
        self.locks[slot as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn append(blobs: &Blobs, name: &Name, offset: u64, bytes: &[u8]) -> Result<u64, Error> {
    let _one_at_a_time = blobs.appends.lock(name);
    let flags = OFlags::RDWR | OFlags::CREATE;
    let open = || open_beneath(&blobs.folder, name, flags);
    let file = blobs.with_parent(name, open).map_err(Error::at(DOING, name))?;
    let size = file.metadata().map_err(Error::at(DOING, name))?.len();
    let Some(known) = size.checked_sub(offset) else {
        return Err(Error::Hole { name: name.clone(), offset, size });
    };
    let known = usize::try_from(known).unwrap_or(usize::MAX).min(bytes.len());
    let (repeated, new) = bytes.split_at(known);
    if !has(&file, offset, repeated).map_err(Error::at(DOING, name))? {
        return Err(Error::Differs { name: name.clone(), offset });
    }
    if !new.is_empty() {
        file.write_all_at(new, size).map_err(Error::at(DOING, name))?;
        blobs.syncer.add(name);
    }
    Ok(size + new.len() as u64)
}

fn has(file: &File, offset: u64, bytes: &[u8]) -> std::io::Result<bool> {
    let mut there = vec![0; bytes.len().min(CHUNK)];
    let mut at = offset;
    for chunk in bytes.chunks(CHUNK) {
        let there = &mut there[..chunk.len()];
        file.read_exact_at(there, at)?;
        if there != chunk {
            return Ok(false);
        }
        at += chunk.len() as u64;
    }
    Ok(true)
}

/// Syncs what was appended to, in rounds, on a thread of its own. It holds names, not handles.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    unsynced: Mutex<Unsynced>,
    changed: Condvar,
    /// Held during a round, so that `sync` also waits for the one under way.
    round: Mutex<()>,
}

#[derive(Debug, Default)]
struct Unsynced {
    names: HashSet<Name>,
    stop: bool,
}

impl Syncer {
    pub(super) fn start(root: &Path) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            unsynced: Mutex::default(),
            changed: Condvar::new(),
            round: Mutex::default(),
        });
        let thread = std::thread::Builder::new().name("blob-sync".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        let thread = thread.map_err(Error::io("starting the thread that syncs", root))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn add(&self, name: &Name) {
        let mut unsynced = self.shared.unsynced();
        if unsynced.names.is_empty() {
            self.shared.changed.notify_one();
        }
        if !unsynced.names.contains(name) {
            unsynced.names.insert(name.clone());
        }
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.shared.sync()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.unsynced().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while self.wait() {
            // What could not be synced stays on the list, and `sync` reports it to whoever asks.
            drop(self.sync());
        }
        drop(self.sync());
    }

    /// Waits for an append, then lets more of them gather. False: the end.
    fn wait(&self) -> bool {
        let unsynced = self.unsynced();
        let idle = self.changed.wait_while(unsynced, |u| u.names.is_empty() && !u.stop);
        let gathering = idle.unwrap_or_else(PoisonError::into_inner);
        let gathered = self.changed.wait_timeout_while(gathering, APPEND_SYNC, |u| !u.stop);
        !gathered.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    /// The whole file system at once: a thousand small logs would be a thousand waits for the disk, and commits of the
    /// store would wait among them.
    fn sync_all(&self) -> Result<(), Error> {
        let failed = Error::io("syncing the file system of the logs", &self.root);
        let folder = File::open(&self.root).and_then(|root| Ok(rustix::fs::syncfs(&root)?));
        folder.map_err(failed)
    }

    fn sync(&self) -> Result<(), Error> {
        let _round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let names = std::mem::take(&mut self.unsynced().names);
        if names.len() > FEW {
            let done = self.sync_all();
            if done.is_err() {
                self.unsynced().names.extend(names);
            }
            return done;
        }
        let mut result = Ok(());
        let mut folders = HashSet::new();
        for name in names {
            let path = name.under(&self.root);
            match File::open(&path).and_then(|file| file.sync_data()) {
                Ok(()) => drop(folders.insert(path.parent().map(Path::to_owned))),
                // Deleted meanwhile: nothing is left to be lost.
                Err(error) if is_absent(&error) => {}
                Err(error) => {
                    result = Err(Error::io("syncing a log", &path)(error));
                    self.unsynced().names.insert(name);
                }
            }
        }
        for folder in folders.into_iter().flatten() {
            let synced = sync_folder(&folder);
            if let Err(error) = synced
                && !is_absent(&error)
            {
                result = Err(Error::io("syncing a folder", &folder)(error));
            }
        }
        result
    }
}

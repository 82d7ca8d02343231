//! Large and append-only bytes beside the key space: ISO images, uploaded files, disk images, job logs.
//!
//! A blob is an ordinary file under the folder, at the path that is its [`Name`], so an operator may look at it, and
//! put one there by hand. A name cannot leave the folder, and opening refuses links that do.
//!
//! * [`Blobs::put`] writes aside, syncs, then renames: readers see the old bytes or the new, whole. It hashes while
//!   writing and stops at a size limit.
//! * [`Blobs::append`] is for logs: the writer says at which offset its bytes belong, so a repeated append is
//!   harmless. An append survives the end of this process when it returns, and a loss of power within
//!   [`APPEND_SYNC`] (or from [`Blobs::sync`] on): many logs share one round of syncing.
//! * [`Blobs::read`] reads by offset, through a handle that lives as long as the reader.
//!
//! Every method blocks; an async caller moves it to a blocking thread. No file handle outlives the value that a
//! method returned. What is left out: which server of a cluster holds a blob (a key in the store, see `state`).

mod append;
mod error;
mod name;
mod read;
mod upload;

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::OFlags;

pub use append::APPEND_SYNC;
pub use error::Error;
pub use name::Name;
pub use read::Blob;
pub use upload::{Stored, Upload};

/// The 32 bytes of a SHA-256.
pub type Digest = [u8; 32];

/// A folder of blobs. One process at a time has it.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    /// A handle of `root`, from which names are resolved.
    folder: File,
    uploads: AtomicU64,
    /// Names that an upload is under way to.
    uploading: Mutex<HashSet<Name>>,
    appends: append::Locks,
    syncer: append::Syncer,
    /// Held while an empty folder is removed or a parent folder is made, so that neither undoes the other.
    folders: Mutex<()>,
    /// Locked while this value lives.
    _lock: File,
}

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The blob's name.
    pub name: Name,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl Blobs {
    /// Opens the folder, makes it if need be, and removes what unfinished uploads left behind.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it, [`Error::Io`] when it cannot be made or read.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let private = root.join(name::PRIVATE);
        fs::create_dir_all(&private).map_err(Error::io("making the blob folder", &private))?;
        let lock = lock(&private.join("lock"))?;
        let uploads = private.join("uploads");
        remove_orphans(&uploads).map_err(Error::io("removing unfinished uploads", &uploads))?;
        fs::create_dir_all(&uploads).map_err(Error::io("making the upload folder", &uploads))?;
        let folder = File::open(root).map_err(Error::io("opening the blob folder", root))?;
        Ok(Self {
            root: root.to_owned(),
            folder,
            uploads: AtomicU64::new(0),
            uploading: Mutex::default(),
            appends: append::Locks::default(),
            syncer: append::Syncer::start(root)?,
            folders: Mutex::default(),
            _lock: lock,
        })
    }

    /// Starts an upload of at most `limit` bytes. The blob appears, or is replaced, when the upload is finished.
    ///
    /// # Errors
    /// [`Error::Busy`] when another upload to this name is under way, [`Error::Io`] when the file cannot be made.
    pub fn put(&self, name: &Name, limit: u64) -> Result<Upload<'_>, Error> {
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let aside = self.root.join(name::PRIVATE).join("uploads").join(number.to_string());
        Upload::start(self, name.clone(), aside, limit)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of this name.
    pub fn read(&self, name: &Name) -> Result<Blob, Error> {
        Blob::open(&self.folder, name)
    }

    /// Adds bytes to a blob at an offset, and makes it if need be. Returns its size in bytes.
    ///
    /// Bytes before the blob's end must be the ones that it already has: then they are a repetition, and only what
    /// goes beyond the end is added.
    ///
    /// # Errors
    /// [`Error::Hole`] when the offset is beyond the end, [`Error::Differs`] when repeated bytes are not the same,
    /// [`Error::Io`] when the file cannot be written.
    pub fn append(&self, name: &Name, offset: u64, bytes: &[u8]) -> Result<u64, Error> {
        append::append(self, name, offset, bytes)
    }

    /// Returns when every append that returned before is safe from loss of power.
    ///
    /// # Errors
    /// [`Error::Io`] when the storage refuses.
    pub fn sync(&self) -> Result<(), Error> {
        self.syncer.sync()
    }

    /// Deletes a blob or an empty folder, and the folders above it that become empty. Readers that have the blob open keep it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of this name, [`Error::Unusable`] when it is a folder with something in it.
    pub fn delete(&self, name: &Name) -> Result<(), Error> {
        let doing = "deleting";
        // Refuses a name that leads out of the folder.
        let handle =
            read::open_beneath(&self.folder, name, OFlags::RDONLY).map_err(Error::at(doing, name))?;
        let kind = handle.metadata().map_err(Error::at(doing, name))?.file_type();
        let path = name.under(&self.root);
        let removed = match kind {
            kind if kind.is_file() => fs::remove_file(&path),
            kind if kind.is_dir() => {
                let _held = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
                fs::remove_dir(&path)
            }
            _ => return Err(Error::Unusable { name: name.clone(), why: "it is no file" }),
        };
        removed.map_err(Error::at(doing, name))?;
        let parent = path.parent().unwrap_or(&self.root);
        self.remove_empty(parent);
        self.sync_nearest(parent)
    }

    /// The names in a folder in their order, those of folders with a slash at the end. Links are not listed.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such folder, [`Error::Unusable`] when it is none or lies outside,
    /// [`Error::Io`] when it cannot be read.
    pub fn entries(&self, folder: &Name) -> Result<Vec<String>, Error> {
        let doing = "listing a folder";
        read::open_beneath(&self.folder, folder, OFlags::DIRECTORY).map_err(Error::at(doing, folder))?;
        let rows = fs::read_dir(folder.under(&self.root)).map_err(Error::at(doing, folder))?;
        let mut names = Vec::new();
        for row in rows {
            let row = row.map_err(Error::at(doing, folder))?;
            let kind = row.file_type().map_err(Error::at(doing, folder))?;
            let Ok(name) = row.file_name().into_string() else { continue };
            match kind {
                kind if kind.is_dir() => names.push(name + "/"),
                kind if kind.is_file() => names.push(name),
                _ => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Every blob whose name begins with `prefix`, in the order of their names. Links are not listed.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be read.
    pub fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut found = Vec::new();
        let (folder, _) = prefix.rsplit_once('/').unwrap_or_default();
        if !folder.is_empty() {
            let Ok(folder) = Name::new(folder) else { return Ok(found) };
            self.list_folder(folder.as_str(), prefix, &mut found)?;
        } else {
            self.list_folder("", prefix, &mut found)?;
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn list_folder(&self, folder: &str, prefix: &str, found: &mut Vec<Listed>) -> Result<(), Error> {
        let path = self.root.join(folder);
        let doing = "listing a folder";
        let rows = match fs::read_dir(&path) {
            Err(error) if is_absent(&error) => return Ok(()),
            rows => rows.map_err(Error::io(doing, &path))?,
        };
        for row in rows {
            let row = row.map_err(Error::io(doing, &path))?;
            // Not a name that a blob can have: not ours.
            let Some(Ok(name)) = row.file_name().to_str().map(|part| join(folder, part)) else { continue };
            let text = name.as_str();
            let kind = row.file_type().map_err(Error::io(doing, &path))?;
            if kind.is_dir() && (text.starts_with(prefix) || prefix.starts_with(&format!("{text}/"))) {
                self.list_folder(text, prefix, found)?;
            } else if kind.is_file() && text.starts_with(prefix) {
                found.extend(listed(&row, name).map_err(Error::io(doing, &path))?);
            }
        }
        Ok(())
    }

    /// Runs `work`, which needs the folder of the blob to exist, and makes the folder if that is what it misses.
    fn with_parent<T>(&self, name: &Name, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _held = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
                self.make_folders(name)?;
                work()
            }
            done => done,
        }
    }

    /// Refuses a blob whose folder is reached through a link that leads out (`EXDEV`).
    fn check_folder(&self, name: &Name) -> io::Result<()> {
        match name.as_str().rsplit_once('/').map(|(folder, _)| Name::new(folder)) {
            Some(Ok(folder)) => read::open_beneath(&self.folder, &folder, OFlags::DIRECTORY).map(drop),
            _ => Ok(()),
        }
    }

    fn make_folders(&self, name: &Name) -> io::Result<()> {
        let path = name.under(&self.root);
        let parent = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent)?;
        for folder in parent.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            sync_folder(folder)?;
        }
        Ok(())
    }

    /// Syncs a folder, or the nearest one above it when it was removed meanwhile because it was empty.
    fn sync_nearest(&self, folder: &Path) -> Result<(), Error> {
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            match sync_folder(folder) {
                Err(error) if is_absent(&error) => {}
                synced => return synced.map_err(Error::io("syncing a folder", folder)),
            }
        }
        Ok(())
    }

    fn remove_empty(&self, folder: &Path) {
        let _held = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in folder.ancestors().take_while(|folder| *folder != self.root) {
            // Refused unless it is empty, and then there is nothing more to do.
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let open = File::options().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(Error::io("opening the lock of the blob folder", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io("locking the blob folder", path)(error)),
    }
}

fn remove_orphans(uploads: &Path) -> io::Result<()> {
    match fs::remove_dir_all(uploads) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Nothing there, or something that is no folder on the way: for a reader both mean that there is no such blob.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn join(folder: &str, part: &str) -> Result<Name, Error> {
    if folder.is_empty() { Name::new(part) } else { Name::new(&format!("{folder}/{part}")) }
}

/// `None` when it was deleted meanwhile.
fn listed(row: &fs::DirEntry, name: Name) -> io::Result<Option<Listed>> {
    match row.metadata() {
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
        Ok(data) => Ok(Some(Listed { name, size: data.len(), modified: data.modified()? })),
    }
}

//! Writing a blob: aside, hashed, limited, synced, then renamed into its place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::{Blobs, Digest, Error, Name};

const DOING: &str = "writing an upload";

/// What became of a finished upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// When it was last written, as [`super::Blob::modified`] will say.
    pub modified: SystemTime,
}

/// An upload under way. Dropping it unfinished removes what was written.
#[derive(Debug)]
pub struct Upload<'b> {
    blobs: &'b Blobs,
    name: Name,
    limit: u64,
    size: u64,
    hash: Sha256,
    file: File,
    aside: Aside,
    _turn: Turn<'b>,
}

/// One upload at a time to each name: the second would undo the first, or be undone by it.
#[derive(Debug)]
struct Turn<'b> {
    blobs: &'b Blobs,
    name: Name,
}

impl<'b> Turn<'b> {
    fn take(blobs: &'b Blobs, name: &Name) -> Result<Self, Error> {
        let mut uploading = blobs.uploading.lock().unwrap_or_else(PoisonError::into_inner);
        if !uploading.insert(name.clone()) {
            return Err(Error::Busy { name: name.clone() });
        }
        Ok(Self { blobs, name: name.clone() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.blobs.uploading.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// The file beside, removed unless it got its name.
#[derive(Debug)]
struct Aside {
    path: PathBuf,
    renamed: bool,
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed now is removed at the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl<'b> Upload<'b> {
    pub(super) fn start(blobs: &'b Blobs, name: Name, path: PathBuf, limit: u64) -> Result<Self, Error> {
        let turn = Turn::take(blobs, &name)?;
        let file = File::create_new(&path).map_err(Error::io("starting an upload", &path))?;
        let aside = Aside { path, renamed: false };
        Ok(Self { blobs, name, limit, size: 0, hash: Sha256::new(), file, aside, _turn: turn })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when these bytes go beyond the limit: none of them is written, and the upload is best
    /// dropped. [`Error::Io`] when the storage refuses, for example because it is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > self.limit {
            return Err(Error::TooLarge { name: self.name.clone(), limit: self.limit });
        }
        self.file.write_all(bytes).map_err(Error::io(DOING, &self.aside.path))?;
        self.hash.update(bytes);
        self.size = size;
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes it durable and gives it its name. A blob that has the name already is replaced.
    ///
    /// # Errors
    /// [`Error::Unusable`] when the name is a folder or goes through a file, [`Error::Io`] when the storage refuses.
    /// What was written is gone then.
    pub fn finish(mut self) -> Result<Stored, Error> {
        self.file.sync_all().map_err(Error::io("syncing an upload", &self.aside.path))?;
        let modified = self.file.metadata().and_then(|data| data.modified());
        let modified = modified.map_err(Error::io(DOING, &self.aside.path))?;
        self.blobs.with_parent(&self.name, || self.rename()).map_err(Error::at(DOING, &self.name))?;
        self.aside.renamed = true;
        let place = self.name.under(&self.blobs.root);
        self.blobs.sync_nearest(place.parent().unwrap_or(&self.blobs.root))?;
        Ok(Stored { size: self.size, sha256: self.hash.finalize().into(), modified })
    }

    fn rename(&self) -> io::Result<()> {
        self.blobs.check_folder(&self.name)?;
        fs::rename(&self.aside.path, self.name.under(&self.blobs.root))
    }
}

//! Writing a blob: aside, hashed, limited, synced, then renamed into its place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

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
        let file = File::create_new(&path).map_err(Error::io("starting an upload", &path))?;
        let aside = Aside { path, renamed: false };
        Ok(Self { blobs, name, limit, size: 0, hash: Sha256::new(), file, aside })
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
        self.blobs.with_parent(&self.name, || self.rename()).map_err(Error::at(DOING, &self.name))?;
        self.aside.renamed = true;
        let place = self.name.under(&self.blobs.root);
        self.blobs.sync_nearest(place.parent().unwrap_or(&self.blobs.root))?;
        Ok(Stored { size: self.size, sha256: self.hash.finalize().into() })
    }

    fn rename(&self) -> io::Result<()> {
        self.blobs.check_folder(&self.name)?;
        fs::rename(&self.aside.path, self.name.under(&self.blobs.root))
    }
}

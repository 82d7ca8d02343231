//! Reading a blob by offset, and the one way in which names become handles.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use sha2::{Digest as _, Sha256};

use super::error::READING;
use super::{Digest, Error, Name};

/// Bytes that are read at once when a blob is hashed.
const CHUNK: usize = 1 << 20;

/// Opens a file below the folder. The kernel refuses links that lead out of it (`EXDEV`).
pub(super) fn open_beneath(folder: &File, name: &Name, flags: OFlags) -> io::Result<File> {
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let handle =
        openat2(folder, name.path(), flags, mode, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)?;
    Ok(File::from(handle))
}

/// A blob that is open for reading: its bytes stay what they were when the blob is replaced or deleted meanwhile.
#[derive(Debug)]
pub struct Blob {
    file: File,
    size: u64,
    modified: SystemTime,
}

impl Blob {
    pub(super) fn open(folder: &File, name: &Name) -> Result<Self, Error> {
        let file = open_beneath(folder, name, OFlags::RDONLY).map_err(Error::at(READING, name))?;
        let data = file.metadata().map_err(Error::at(READING, name))?;
        if !data.is_file() {
            return Err(Error::Unusable { name: name.clone(), why: "it is no file" });
        }
        let modified = data.modified().map_err(Error::at(READING, name))?;
        Ok(Self { file, size: data.len(), modified })
    }

    /// Its size in bytes when it was opened; a log may have grown since.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When it was last written.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// Reads at an offset; fewer bytes than asked for only at the end, none beyond it.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Reads everything and returns the SHA-256. It asks again and again whether to stop: a large file takes minutes.
    ///
    /// # Errors
    /// When the storage cannot be read, or when it is to stop.
    pub fn digest(&self, stopped: impl Fn() -> bool) -> io::Result<Digest> {
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            if stopped() {
                return Err(io::Error::other("the file was not read to its end: it is no longer wanted"));
            }
            let read = self.read_at(&mut chunk, offset)?;
            hash.update(&chunk[..read]);
            offset += read as u64;
            if read < chunk.len() {
                return Ok(hash.finalize().into());
            }
        }
    }

    /// The handle, for callers that hand it to the kernel (`sendfile`) or to an async runtime.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }
}

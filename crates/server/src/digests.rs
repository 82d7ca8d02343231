//! SHA-256 of files, remembered as long as size and time of change stay the same, so that a large file is hashed once.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use gantry_store::blobs::Blob;

/// Files whose digest is remembered; beyond that the memory starts anew.
const REMEMBERED: usize = 4_096;

/// Shared memory of digests.
#[derive(Clone, Debug, Default)]
pub struct Digests(Arc<Mutex<HashMap<String, Known>>>);

#[derive(Debug)]
struct Known {
    size: u64,
    modified: SystemTime,
    digest: String,
}

impl Digests {
    /// The digest of the blob called `name`, in lower-case hexadecimal. Blocks on the disk when it is not yet known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(&self, name: &str, blob: &Blob) -> io::Result<String> {
        let (size, modified) = (blob.size(), blob.modified());
        let fresh = |known: &&Known| known.size == size && known.modified == modified;
        if let Some(known) = self.lock().get(name).filter(fresh) {
            return Ok(known.digest.clone());
        }
        let digest = hex(&blob.digest()?);
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name.to_owned(), Known { size, modified, digest: digest.clone() });
        Ok(digest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

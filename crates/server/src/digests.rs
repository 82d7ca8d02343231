//! SHA-256 of files, remembered as long as size and time of change stay the same, so that a large file is hashed once.
//!
//! What an upload computed is learned from it. A file that was put below the root by hand is hashed when somebody needs its
//! digest: once, however many ask meanwhile, and few files at a time, so that the disk stays free for those who read. Digests of
//! large files outlive the server, in a small file beside the blobs; when it is lost they are computed again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base16ct::lower::encode_string as hex;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use gantry_store::blobs::{Blob, Digest};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// From this size on a file is large: to hash it takes so long that it is worth to be kept and not worth to be waited for, bytes.
pub const LARGE: u64 = 16 << 20;
/// Files whose digest is remembered; beyond that the small ones are forgotten, then all.
const REMEMBERED: usize = 4_096;
/// Files that are hashed at a time.
const AT_ONCE: usize = 2;

/// Shared memory of digests; cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Digests(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: Mutex<HashMap<String, Known>>,
    /// Files that are being hashed, for those who come later.
    flights: Mutex<HashMap<(String, Stamp), Flight>>,
    hashing: Semaphore,
    /// When the server stops, nobody waits for a large file.
    stop: CancellationToken,
    /// Where digests of large files are kept. Held while it is written.
    kept: Mutex<PathBuf>,
}

type Flight = Shared<BoxFuture<'static, Result<String, Arc<io::Error>>>>;

/// What tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stamp {
    size: u64,
    modified: SystemTime,
}

#[derive(Clone, Debug)]
struct Known {
    stamp: Stamp,
    digest: String,
}

impl Stamp {
    fn of(blob: &Blob) -> Self {
        Self { size: blob.size(), modified: blob.modified() }
    }
}

impl Digests {
    /// What the file at `kept` remembers; nothing when there is none, or none that can be read.
    pub fn open(kept: PathBuf, stop: CancellationToken) -> Self {
        let known = std::fs::read_to_string(&kept).unwrap_or_default();
        let known = known.lines().filter_map(parse).collect();
        Self(Arc::new(Inner {
            known: Mutex::new(known),
            flights: Mutex::default(),
            hashing: Semaphore::new(AT_ONCE),
            stop,
            kept: Mutex::new(kept),
        }))
    }

    /// The digest of the blob called `name`, in lower-case hexadecimal, if nothing has to be read for it.
    pub fn known(&self, name: &str, blob: &Blob) -> Option<String> {
        let known = lock(&self.0.known);
        known.get(name).filter(|known| known.stamp == Stamp::of(blob)).map(|known| known.digest.clone())
    }

    /// The digest of the blob called `name`, in lower-case hexadecimal.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn of(&self, name: &str, blob: &Arc<Blob>) -> Result<String, Arc<io::Error>> {
        if let Some(known) = self.known(name, blob) {
            return Ok(known);
        }
        let key = (name.to_owned(), Stamp::of(blob));
        let flight = {
            let mut flights = lock(&self.0.flights);
            flights.entry(key.clone()).or_insert_with(|| self.start(key, blob.clone())).clone()
        };
        flight.await
    }

    /// In a task of its own: it comes to its end, and makes room for the next, when those who asked have left.
    fn start(&self, key: (String, Stamp), blob: Arc<Blob>) -> Flight {
        let digests = self.clone();
        let work = tokio::spawn(async move {
            let digest = digests.compute(&key.0, blob).await;
            lock(&digests.0.flights).remove(&key);
            digest
        });
        async { work.await.unwrap_or_else(|failed| Err(Arc::new(io::Error::other(failed)))) }.boxed().shared()
    }

    async fn compute(&self, name: &str, blob: Arc<Blob>) -> Result<String, Arc<io::Error>> {
        // Nobody closes the semaphore.
        let _turn = self.0.hashing.acquire().await.map_err(io::Error::other)?;
        let (digests, name) = (self.clone(), name.to_owned());
        let hashed = tokio::task::spawn_blocking(move || {
            let digest = blob.digest(|| digests.0.stop.is_cancelled())?;
            digests.learn(&name, blob.size(), blob.modified(), &digest);
            Ok(hex(&digest))
        });
        hashed.await.unwrap_or_else(|failed| Err(io::Error::other(failed))).map_err(Arc::new)
    }

    /// Remembers what is known from writing the file. Blocks on the disk when it is large.
    pub fn learn(&self, name: &str, size: u64, modified: SystemTime, digest: &Digest) {
        let learned = Known { stamp: Stamp { size, modified }, digest: hex(digest) };
        {
            let mut known = lock(&self.0.known);
            if known.len() >= REMEMBERED {
                known.retain(|_, known| known.stamp.size >= LARGE);
            }
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(name.to_owned(), learned);
        }
        if size >= LARGE {
            self.keep();
        }
    }

    fn keep(&self) {
        let path = lock(&self.0.kept);
        let lines: String =
            lock(&self.0.known).iter().filter_map(|(name, known)| line(name, known)).collect();
        if let Err(error) = write(&path, &lines) {
            tracing::warn!(%error, path = %path.display(), "digests could not be kept; they will be computed again");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(path: &Path, lines: &str) -> io::Result<()> {
    let aside = path.with_extension("new");
    std::fs::write(&aside, lines)?;
    std::fs::rename(&aside, path)
}

/// `size nanoseconds-since-1970 digest name`; nothing for small files, and for times that no file should have.
fn line(name: &str, known: &Known) -> Option<String> {
    let Stamp { size, modified } = known.stamp;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    let nanoseconds = u64::try_from(since.as_nanos()).ok()?;
    (size >= LARGE).then(|| format!("{size} {nanoseconds} {} {name}\n", known.digest))
}

fn parse(line: &str) -> Option<(String, Known)> {
    let mut words = line.splitn(4, ' ');
    let (size, nanoseconds) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (digest, name) = (words.next()?, words.next()?);
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let modified = UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))?;
    Some((name.to_owned(), Known { stamp: Stamp { size, modified }, digest: digest.to_owned() }))
}

#[cfg(test)]
mod tests {
    use gantry_store::blobs::{Blobs, Name};

    use super::*;

    fn blob(blobs: &Blobs, name: &str) -> Arc<Blob> {
        Arc::new(blobs.read(&Name::new(name).unwrap()).unwrap())
    }

    #[tokio::test]
    async fn whoever_hangs_up_leaves_room_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let digests = Digests::open(folder.path().join("sums"), CancellationToken::new());
        for n in 0..=AT_ONCE {
            let name = n.to_string();
            std::fs::write(folder.path().join("blobs").join(&name), &name).unwrap();
            assert!(digests.of(&name, &blob(&blobs, &name)).now_or_never().is_none());
        }
        for n in 0..=AT_ONCE {
            let name = n.to_string();
            let digest = digests.of(&name, &blob(&blobs, &name)).await.unwrap();
            assert_eq!(digest, hex(ring::digest::digest(&ring::digest::SHA256, name.as_bytes()).as_ref()));
        }
        // A digest is known a moment before its task ends.
        let landed = async {
            while !lock(&digests.0.flights).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), landed).await.expect("every file makes room");
    }

    #[tokio::test]
    async fn a_server_that_stops_waits_for_no_file_that_is_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("x"), "x").unwrap();
        let stop = CancellationToken::new();
        let digests = Digests::open(folder.path().join("sums"), stop.clone());
        stop.cancel();
        let why = digests.of("x", &blob(&blobs, "x")).await.unwrap_err().to_string();
        assert_eq!(why, "the file was not read to its end: it is no longer wanted");
        assert_eq!(digests.known("x", &blob(&blobs, "x")), None);
    }

    #[tokio::test]
    async fn a_large_file_is_hashed_once_for_all_who_ask_and_for_the_next_server() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("sums");
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let path = folder.path().join("blobs/large iso");
        std::fs::File::create(&path).unwrap().set_len(LARGE).unwrap();
        let (digests, large) =
            (Digests::open(kept.clone(), CancellationToken::new()), blob(&blobs, "large iso"));
        assert_eq!(digests.known("large iso", &large), None);
        let (one, two) = tokio::join!(digests.of("large iso", &large), digests.of("large iso", &large));
        let zeros = "080acf35a507ac9849cfcba47dc2ad83e01b75663a516279c8b9d243b719643e";
        assert_eq!((one.unwrap().as_str(), two.unwrap().as_str()), (zeros, zeros));
        assert!(lock(&digests.0.flights).is_empty());
        let next = Digests::open(kept.clone(), CancellationToken::new());
        assert_eq!(next.known("large iso", &large).as_deref(), Some(zeros));
        std::fs::File::options().append(true).open(&path).unwrap().set_len(LARGE + 1).unwrap();
        assert_eq!(next.known("large iso", &blob(&blobs, "large iso")), None, "it has changed");
        std::fs::write(&kept, "1 x y\n\u{0}\n").unwrap();
        assert_eq!(
            Digests::open(kept, CancellationToken::new()).known("large iso", &large),
            None,
            "a damaged file is none"
        );
    }
}

//! Writing the image: a thread of its own, direct to the disk, without the stretches of zeros.
//!
//! Data goes out in aligned blocks with `O_DIRECT`, past the page cache, which would only compete for
//! memory. A stretch of zeros becomes one request to the device (`BLKZEROOUT`), which most answer
//! without moving data; a device that cannot do it gets zeros written by the kernel. What was on the
//! disk before therefore never shines through.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Bytes per buffer.
pub const BLOCK: usize = 1 << 20;
/// Zeros are looked for in pieces of this size.
const GRAIN: usize = 64 << 10;
/// Alignment that direct writes need.
const ALIGN: usize = 4096;
/// Buffers on their way.
const DEPTH: usize = 4;
const BLKZEROOUT: u64 = 0x127f;
const BLKGETSIZE64: u64 = 0x8008_1272;

/// A buffer at an address that direct writes accept.
#[repr(C, align(4096))]
struct Page([u8; ALIGN]);

/// One mebibyte of aligned memory.
pub struct Buffer {
    pages: Vec<Page>,
    /// Bytes in use.
    pub length: usize,
}

impl Buffer {
    fn new() -> Self {
        let pages = (0..BLOCK / ALIGN).map(|_| Page([0; ALIGN])).collect();
        Self { pages, length: 0 }
    }

    /// All of it, as bytes.
    pub fn space(&mut self) -> &mut [u8] {
        // SAFETY: Page is plain bytes without padding (its size is its alignment), so the vector is one
        // run of BLOCK initialised bytes.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_mut_ptr().cast(), BLOCK) }
    }

    fn data(&self) -> &[u8] {
        // SAFETY: as above.
        let all = unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast(), BLOCK) };
        &all[..self.length.min(BLOCK)]
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of image.
    pub total: u64,
    /// Bytes of it that were data.
    pub data: u64,
}

/// The writing end.
#[derive(Debug)]
pub struct Sink {
    full: SyncSender<Buffer>,
    empty: Receiver<Buffer>,
    writer: JoinHandle<io::Result<Written>>,
}

impl Sink {
    /// Opens a disk (or, for tests, a file) and starts the writer.
    pub fn open(path: &Path) -> io::Result<Self> {
        let target = Target::open(path)?;
        let (full, work) = sync_channel(DEPTH);
        let (back, empty) = sync_channel(DEPTH + 1);
        for _ in 0..DEPTH {
            let _ = back.send(Buffer::new());
        }
        let writer = std::thread::spawn(move || target.write_all(&work, &back));
        Ok(Self { full, empty, writer })
    }

    /// A buffer to fill; `None` when the writer has failed, which [`Sink::finish`] explains.
    pub fn buffer(&self) -> Option<Buffer> {
        self.empty.recv().ok()
    }

    /// Queues a filled buffer. All but the last must be full.
    pub fn write(&self, buffer: Buffer) -> bool {
        self.full.send(buffer).is_ok()
    }

    /// Waits until everything is on the disk.
    pub fn finish(self) -> io::Result<Written> {
        drop(self.full);
        drop(self.empty);
        self.writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
    }
}

/// Size of a disk or file in bytes.
pub fn size_of_target(file: &File) -> io::Result<u64> {
    let meta = file.metadata()?;
    if !meta.file_type().is_block_device() {
        return Ok(meta.len());
    }
    let mut size = 0u64;
    // SAFETY: BLKGETSIZE64 writes one u64.
    unsafe { crate::sys::ioctl(file.as_raw_fd(), BLKGETSIZE64, &mut size)? };
    Ok(size)
}

/// Overwrites the places where partition tables live, so that a half-written disk boots nothing.
pub fn wipe(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let size = size_of_target(&file)?;
    let zeros = vec![0; BLOCK];
    let length = BLOCK.min(size as usize);
    file.write_all_at(&zeros[..length], 0)?;
    file.write_all_at(&zeros[..length], size.saturating_sub(length as u64))?;
    file.sync_all()
}

struct Target {
    direct: File,
    /// For the unaligned end of the image.
    plain: File,
    block_device: bool,
    size: u64,
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        let plain = OpenOptions::new().read(true).write(true).open(path)?;
        let block_device = plain.metadata()?.file_type().is_block_device();
        let mut options = OpenOptions::new();
        options.write(true);
        if block_device {
            // Exclusive: fails when a partition of the disk is in use.
            options.custom_flags(libc::O_DIRECT | libc::O_EXCL);
        }
        let direct = options.open(path)?;
        let size = size_of_target(&plain)?;
        Ok(Self { direct, plain, block_device, size })
    }

    fn write_all(self, work: &Receiver<Buffer>, back: &SyncSender<Buffer>) -> io::Result<Written> {
        let mut written = Written::default();
        // A stretch of zeros that is not yet on the disk.
        let mut zeros: Option<(u64, u64)> = None;
        while let Ok(buffer) = work.recv() {
            let data = buffer.data();
            if written.total + data.len() as u64 > self.size {
                return Err(io::Error::other(format!(
                    "the image is larger than the disk of {}",
                    crate::text::human_size(self.size)
                )));
            }
            for (index, run) in runs(data) {
                let at = written.total + index as u64;
                match run {
                    Run::Zeros(length) => {
                        let start = zeros.map_or(at, |(start, _)| start);
                        zeros = Some((start, at + length as u64));
                    }
                    Run::Data(bytes) => {
                        self.flush_zeros(&mut zeros)?;
                        self.put(bytes, at)?;
                        written.data += bytes.len() as u64;
                    }
                }
            }
            written.total += data.len() as u64;
            let _ = back.try_send(buffer);
        }
        self.flush_zeros(&mut zeros)?;
        self.clear_end(written.total)?;
        self.plain.sync_all()?;
        Ok(written)
    }

    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let aligned = bytes.len() / ALIGN * ALIGN;
        let (whole, rest) = bytes.split_at(aligned);
        if !whole.is_empty() {
            self.direct.write_all_at(whole, at)?;
        }
        if !rest.is_empty() {
            self.plain.write_all_at(rest, at + aligned as u64)?;
        }
        Ok(())
    }

    fn flush_zeros(&self, zeros: &mut Option<(u64, u64)>) -> io::Result<()> {
        let Some((start, end)) = zeros.take() else { return Ok(()) };
        self.zero(start, end)
    }

    fn zero(&self, start: u64, end: u64) -> io::Result<()> {
        let aligned_end = end / 512 * 512;
        let done = if self.block_device {
            let mut range = [start, aligned_end.saturating_sub(start)];
            // SAFETY: BLKZEROOUT reads two u64.
            unsafe { crate::sys::ioctl(self.direct.as_raw_fd(), BLKZEROOUT, &mut range).is_ok() }
        } else {
            punch(&self.direct, start, aligned_end.saturating_sub(start)).is_ok()
        };
        let mut at = if done { aligned_end } else { start };
        let block = vec![0; GRAIN];
        while at < end {
            let length = GRAIN.min((end - at) as usize);
            self.plain.write_all_at(&block[..length], at)?;
            at += length as u64;
        }
        Ok(())
    }

    /// Old RAID and partition data live in the last mebibyte of a disk and would confuse the new system.
    fn clear_end(&self, image_end: u64) -> io::Result<()> {
        let start = self.size.saturating_sub(BLOCK as u64).max(image_end.next_multiple_of(512));
        if start < self.size { self.zero(start, self.size) } else { Ok(()) }
    }
}

/// Makes a hole in a regular file.
fn punch(file: &File, at: u64, length: u64) -> io::Result<()> {
    if length == 0 {
        return Ok(());
    }
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: no memory is passed.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), mode, at as libc::off_t, length as libc::off_t) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

enum Run<'a> {
    Zeros(usize),
    Data(&'a [u8]),
}

/// Splits into stretches of zeros and of data, at multiples of the grain.
fn runs(data: &[u8]) -> Vec<(usize, Run<'_>)> {
    let mut all = Vec::new();
    let mut start = 0;
    while start < data.len() {
        let zero = |at: usize| is_zero(&data[at..(at + GRAIN).min(data.len())]);
        let kind = zero(start);
        let mut end = start;
        while end < data.len() && zero(end) == kind {
            end += GRAIN;
        }
        let end = end.min(data.len());
        all.push((start, if kind { Run::Zeros(end - start) } else { Run::Data(&data[start..end]) }));
        start = end;
    }
    all
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::fs;

    fn write(path: &Path, image: &[u8]) -> io::Result<Written> {
        let sink = Sink::open(path)?;
        for chunk in image.chunks(BLOCK) {
            let Some(mut buffer) = sink.buffer() else { break };
            buffer.space()[..chunk.len()].copy_from_slice(chunk);
            buffer.length = chunk.len();
            if !sink.write(buffer) {
                break;
            }
        }
        sink.finish()
    }

    fn disk(dir: &TempDir, size: usize) -> std::path::PathBuf {
        let path = dir.path().join("disk");
        fs::write(&path, vec![0xee; size]).expect("disk");
        path
    }

    #[test]
    fn what_was_there_never_shines_through() {
        let dir = TempDir::new();
        let path = disk(&dir, 8 << 20);
        let mut image = vec![0; (3 << 20) + 5000];
        image[..100].fill(1);
        image[(2 << 20) + 77..(2 << 20) + 80].fill(2);
        image[(3 << 20) + 4999] = 3;
        let written = write(&path, &image).expect("write");
        assert_eq!(written.total, image.len() as u64);
        assert!(written.data <= 3 * GRAIN as u64, "{written:?}");
        let now = fs::read(&path).expect("disk");
        assert_eq!(&now[..image.len()], &image[..]);
        assert!(now[7 << 20..].iter().all(|byte| *byte == 0), "end is cleared");
        assert_eq!((now.len(), now[6 << 20]), (8 << 20, 0xee));
    }

    #[test]
    fn too_small_a_disk_is_refused() {
        let dir = TempDir::new();
        let path = disk(&dir, 2 << 20);
        let error = write(&path, &vec![1; 3 << 20]).expect_err("too large");
        assert!(error.to_string().contains("larger than the disk of 2.0 MiB"), "{error}");
    }

    #[test]
    fn wiping_clears_both_ends() {
        let dir = TempDir::new();
        let path = disk(&dir, 4 << 20);
        wipe(&path).expect("wipe");
        let now = fs::read(&path).expect("disk");
        assert!(now[..BLOCK].iter().chain(&now[3 << 20..]).all(|byte| *byte == 0));
        assert_eq!(now[2 << 20], 0xee);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
        #[test]
        fn any_image_arrives(spots in proptest::collection::vec((0usize..(3 << 20), 1u8..), 0..6), length in 1usize..(3 << 20)) {
            let dir = TempDir::new();
            let path = disk(&dir, 5 << 20);
            let mut image = vec![0; length];
            for (at, byte) in spots {
                if at < length {
                    image[at] = byte;
                }
            }
            write(&path, &image).expect("write");
            let now = fs::read(&path).expect("disk");
            proptest::prop_assert!(now[..length] == image[..]);
        }
    }
}

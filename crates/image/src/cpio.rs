//! The `newc` cpio format, which is what the Linux kernel unpacks as initramfs.
//!
//! [`Writer`] makes archives whose bytes depend on nothing but what is put in: inode numbers count up, the owner is
//! root, the time is given once for all. Device nodes are plain records, so no privilege is needed to make them.
//! [`Reader`] takes an archive in memory apart and never trusts a length in it.
//! Format: kernel documentation, `driver-api/early-userspace/buffer-format`. Left out: hard links and checksums.

use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"070701";
const HEADER_LEN: usize = 110;
const TRAILER: &str = "TRAILER!!!";

const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;

/// Writes one archive. End it with [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    mtime: u32,
    inode: u32,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// An archive whose entries all carry the modification time `mtime` (seconds since 1970).
    pub fn new(out: W, mtime: u32) -> Self {
        Self { out, mtime, inode: 0, written: 0 }
    }

    /// Adds a directory with permission bits `mode`. Parents come before children: the kernel makes none by itself.
    ///
    /// # Errors
    /// When writing fails.
    pub fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.entry(path, DIRECTORY | mode & 0o7777, 2, (0, 0), 0, io::empty())
    }

    /// Adds a regular file of exactly `len` bytes.
    ///
    /// # Errors
    /// When reading or writing fails, or when `data` has more or fewer than `len` bytes.
    pub fn file(&mut self, path: &str, mode: u32, len: u64, data: impl Read) -> io::Result<()> {
        let len = u32::try_from(len)
            .map_err(|_| invalid(format!("{path}: {len} bytes are more than cpio can hold")))?;
        self.entry(path, FILE | mode & 0o7777, 1, (0, 0), len, data)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// When writing fails.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let len = u32::try_from(target.len())
            .map_err(|_| invalid(format!("{path}: the link's target is too long")))?;
        self.entry(path, LINK | 0o777, 1, (0, 0), len, target.as_bytes())
    }

    /// Adds a character device.
    ///
    /// # Errors
    /// When writing fails.
    pub fn character_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, CHARACTER | mode & 0o7777, 1, (major, minor), 0, io::empty())
    }

    /// Writes the trailer and fills the archive up to a multiple of 512 bytes.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        (self.inode, self.mtime) = (u32::MAX, 0);
        self.entry(TRAILER, 0, 1, (0, 0), 0, io::empty())?;
        self.pad(512)?;
        Ok(self.out)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        links: u32,
        device: (u32, u32),
        len: u32,
        data: impl Read,
    ) -> io::Result<()> {
        let name = path.trim_matches('/');
        if name.is_empty() || name.len() > 4000 || name.contains('\0') {
            return Err(invalid(format!("{path:?} is no path for an archive")));
        }
        self.inode = self.inode.wrapping_add(1);
        let name_len = name.len() as u32 + 1;
        let (major, minor) = device;
        let fields = [self.inode, mode, 0, 0, links, self.mtime, len, 0, 0, major, minor, name_len, 0];
        let mut header = MAGIC.to_vec();
        fields.iter().try_for_each(|field| write!(header, "{field:08X}"))?;
        header.extend_from_slice(name.as_bytes());
        header.push(0);
        self.put(&header)?;
        self.pad(4)?;
        let copied = io::copy(&mut data.take(u64::from(len) + 1), &mut self.out)?;
        if copied != u64::from(len) {
            return Err(invalid(format!("{path}: announced with {len} bytes, which is not its length")));
        }
        self.written += copied;
        self.pad(4)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn pad(&mut self, unit: u64) -> io::Result<()> {
        let missing = (unit - self.written % unit) % unit;
        self.put(&[0; 512][..missing as usize])
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// What an archive's record stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// A directory.
    Directory,
    /// A regular file with its bytes.
    File(&'a [u8]),
    /// A symbolic link with its target.
    Link(&'a [u8]),
    /// A character device: major and minor number.
    CharacterDevice(u32, u32),
    /// Any other file type: the type bits of its mode.
    Other(u32),
}

/// One record of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path without a leading slash; not necessarily UTF-8 and not checked for `..`.
    pub path: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// Modification time in seconds since 1970.
    pub mtime: u32,
    /// What it is.
    pub node: Node<'a>,
}

/// Why an archive cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a newc cpio archive: {what} at byte {at}")]
pub struct Error {
    /// What is wrong.
    pub what: &'static str,
    /// Where the record begins.
    pub at: usize,
}

/// Iterates over the records of an archive up to its trailer. After an error it ends.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    done: bool,
}

impl<'a> Reader<'a> {
    /// Reads the (uncompressed) archive at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, done: false }
    }

    fn record(&mut self) -> Result<Option<Entry<'a>>, Error> {
        let start = self.at;
        let fault = |what| Error { what, at: start };
        let header = self.take(HEADER_LEN).ok_or(fault("the header is cut off"))?;
        if !header.starts_with(MAGIC) {
            return Err(fault("no magic number"));
        }
        let field = |n: usize| hex(&header[6 + 8 * n..14 + 8 * n]).ok_or(fault("a field is not hexadecimal"));
        let (mode, mtime, len, name_len) = (field(1)?, field(5)?, field(6)?, field(11)?);
        let (major, minor) = (field(9)?, field(10)?);
        let name = self.take(name_len as usize).ok_or(fault("the name is cut off"))?;
        let path = name.strip_suffix(b"\0").ok_or(fault("the name does not end"))?;
        self.align();
        let data = self.take(len as usize).ok_or(fault("the data is cut off"))?;
        self.align();
        if path == TRAILER.as_bytes() {
            return Ok(None);
        }
        let node = match mode & KIND {
            DIRECTORY => Node::Directory,
            FILE => Node::File(data),
            LINK => Node::Link(data),
            CHARACTER => Node::CharacterDevice(major, minor),
            other => Node::Other(other),
        };
        Ok(Some(Entry { path, mode: mode & 0o7777, mtime, node }))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4).min(self.bytes.len());
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.record().transpose();
        self.done = !matches!(record, Some(Ok(_)));
        record
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let mut archive = Writer::new(Vec::new(), 1_700_000_000);
        archive.directory("/bin", 0o755).unwrap();
        archive.file("bin/tool", 0o4755, 5, &b"hello"[..]).unwrap();
        archive.link("init", "bin/tool").unwrap();
        archive.character_device("dev/console", 0o600, 5, 1).unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn entries_come_back_in_order() {
        let bytes = sample();
        assert_eq!(bytes.len() % 512, 0);
        let entries: Vec<_> = Reader::new(&bytes).collect::<Result<_, _>>().unwrap();
        let seen: Vec<_> =
            entries.iter().map(|e| (std::str::from_utf8(e.path).unwrap(), e.mode, e.node)).collect();
        let expected = [
            ("bin", 0o755, Node::Directory),
            ("bin/tool", 0o4755, Node::File(b"hello")),
            ("init", 0o777, Node::Link(b"bin/tool")),
            ("dev/console", 0o600, Node::CharacterDevice(5, 1)),
        ];
        assert_eq!(seen, expected);
        assert!(entries.iter().all(|e| e.mtime == 1_700_000_000));
    }

    /// The first record field by field: inode, mode, owner, group, links, time, size, device, node's device, name's
    /// length, checksum.
    #[test]
    fn the_header_is_as_the_format_says() {
        let fields = [
            "070701", "00000001", "000041ED", "00000000", "00000000", "00000002", "6553F100", "00000000",
            "00000000", "00000000", "00000000", "00000000", "00000004", "00000000", "bin\0",
        ];
        assert_eq!(std::str::from_utf8(&sample()[..114]).unwrap(), fields.concat());
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let mut archive = Writer::new(Vec::new(), 0);
        assert!(archive.file("a", 0o644, 4, &b"hello"[..]).is_err());
        assert!(archive.file("b", 0o644, 6, &b"hello"[..]).is_err());
        assert!(archive.file("c", 0o644, u64::MAX, &b""[..]).is_err());
        assert!(archive.directory("/", 0o755).is_err());
    }

    #[test]
    fn damaged_archives_are_refused_with_the_place() {
        let bytes = sample();
        let fault = |bytes: &[u8]| Reader::new(bytes).find_map(Result::err).map(|e| (e.what, e.at));
        assert_eq!(fault(&bytes), None);
        assert_eq!(fault(&bytes[..200]), Some(("the header is cut off", 116)));
        assert_eq!(fault(b""), Some(("the header is cut off", 0)));
        let mut broken = bytes.clone();
        broken[54..62].copy_from_slice(b"FFFFFFFF");
        assert_eq!(fault(&broken), Some(("the data is cut off", 0)));
        broken[54] = b'x';
        assert_eq!(fault(&broken), Some(("a field is not hexadecimal", 0)));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(Reader::new(&bytes).count() <= 6);
        }

        #[test]
        fn damage_never_panics(at in 0usize..600, value: u8) {
            let mut bytes = sample();
            let len = bytes.len();
            bytes[at % len] = value;
            prop_assert!(Reader::new(&bytes).count() <= 20);
        }
    }
}

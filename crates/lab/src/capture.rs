//! Packet captures in the pcapng form (draft-ietf-opsawg-pcapng), one capture interface per port of the switch.
//!
//! Written by hand: three kinds of blocks. The reader is for tests and for our own answers ("did the machine send a DISCOVER?");
//! it reads what the writer writes, not every file there is. Wireshark and tcpdump do the rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::error::{Doing, Error, Result};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_NAME: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;

/// A capture that is being written.
#[derive(Debug)]
pub(crate) struct Writer<W: Write = BufWriter<File>> {
    out: W,
    /// The longest part of a frame that is kept, in bytes.
    longest: usize,
    interfaces: BTreeMap<String, u32>,
}

impl Writer {
    pub(crate) fn create(path: &Path, longest: usize) -> Result<Writer> {
        let file = File::create(path).doing(|| format!("create the capture {}", path.display()))?;
        Writer::new(BufWriter::with_capacity(1 << 16, file), longest)
            .doing(|| format!("write the capture {}", path.display()))
    }
}

impl<W: Write> Writer<W> {
    fn new(out: W, longest: usize) -> io::Result<Writer<W>> {
        let mut writer = Writer { out, longest, interfaces: BTreeMap::new() };
        let mut body = Vec::new();
        body.extend(BYTE_ORDER.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // The length of the section: unknown.
        body.extend((-1_i64).to_le_bytes());
        writer.block(SECTION, &body)?;
        Ok(writer)
    }

    /// Records a frame as it came in at a port, with a remark if something was done to it.
    pub(crate) fn frame(
        &mut self,
        port: &str,
        at: SystemTime,
        frame: &[u8],
        remark: Option<&str>,
    ) -> io::Result<()> {
        let interface = self.interface(port)?;
        let kept = &frame[..frame.len().min(self.longest)];
        let nanoseconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let mut body = Vec::with_capacity(kept.len() + 64);
        body.extend(interface.to_le_bytes());
        body.extend(((nanoseconds >> 32) as u32).to_le_bytes());
        body.extend((nanoseconds as u32).to_le_bytes());
        body.extend((kept.len() as u32).to_le_bytes());
        body.extend((frame.len() as u32).to_le_bytes());
        put_padded(&mut body, kept);
        if let Some(remark) = remark {
            put_option(&mut body, OPTION_COMMENT, remark.as_bytes());
            put_option(&mut body, OPTION_END, b"");
        }
        self.block(PACKET, &body)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The number of the capture interface of a port; described in the file when it first appears.
    fn interface(&mut self, port: &str) -> io::Result<u32> {
        if let Some(number) = self.interfaces.get(port) {
            return Ok(*number);
        }
        let number = self.interfaces.len() as u32;
        let mut body = Vec::new();
        body.extend(ETHERNET.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        body.extend((self.longest as u32).to_le_bytes());
        put_option(&mut body, OPTION_NAME, port.as_bytes());
        // Times are in units of 10^-9 s.
        put_option(&mut body, OPTION_RESOLUTION, &[9]);
        put_option(&mut body, OPTION_END, b"");
        self.block(INTERFACE, &body)?;
        self.interfaces.insert(port.to_owned(), number);
        Ok(number)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = (body.len() + 12) as u32;
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&length.to_le_bytes())
    }
}

fn put_padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn put_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    put_padded(body, value);
}

/// A frame out of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When it came in.
    pub at: SystemTime,
    /// The port of the switch at which it came in.
    pub port: String,
    /// The frame, as far as it was kept.
    pub frame: Bytes,
    /// How long it was, in bytes.
    pub length: usize,
    /// What the lab did to it.
    pub remark: Option<String>,
}

/// Reads a capture that this lab has written, or is writing: a block that is not complete yet ends it.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Invalid`] if it is no capture of ours.
pub fn read(path: impl Into<PathBuf>) -> Result<Vec<Captured>> {
    let path = path.into();
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .doing(|| format!("read the capture {}", path.display()))?;
    parse(&bytes).ok_or_else(|| Error::Invalid {
        field: "capture",
        value: path.display().to_string(),
        right: "a pcapng file that the lab has written".to_owned(),
    })
}

fn parse(bytes: &[u8]) -> Option<Vec<Captured>> {
    let mut rest = Reader(bytes);
    let mut ports = Vec::new();
    let mut frames = Vec::new();
    if bytes.get(..4) != Some(&SECTION.to_le_bytes()) {
        return None;
    }
    while let Some((kind, body)) = rest.block() {
        match kind {
            INTERFACE => ports.push(Reader(body.get(8..)?).option(OPTION_NAME).map(text).unwrap_or_default()),
            PACKET => frames.push(packet(body, &ports)?),
            _ => {}
        }
    }
    Some(frames)
}

fn packet(body: &[u8], ports: &[String]) -> Option<Captured> {
    let mut body = Reader(body);
    let port = ports.get(body.number()? as usize)?.clone();
    let nanoseconds = u64::from(body.number()?) << 32 | u64::from(body.number()?);
    let kept = body.number()? as usize;
    let length = body.number()? as usize;
    let frame = Bytes::copy_from_slice(body.take(kept.checked_next_multiple_of(4)?)?.get(..kept)?);
    let remark = body.option(OPTION_COMMENT).map(text);
    Some(Captured { at: UNIX_EPOCH + Duration::from_nanos(nanoseconds), port, frame, length, remark })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn block(&mut self) -> Option<(u32, &'a [u8])> {
        let kind = self.number()?;
        let length = (self.number()? as usize).checked_sub(12)?;
        let body = self.take(length)?;
        self.number()?;
        Some((kind, body))
    }

    fn option(&mut self, wanted: u16) -> Option<&'a [u8]> {
        loop {
            let head = self.number()?;
            let (code, length) = (head as u16, (head >> 16) as usize);
            let value = self.take(length.next_multiple_of(4))?;
            if code == wanted {
                return value.get(..length);
            }
            if code == OPTION_END {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(frames: &[(&str, u64, &[u8], Option<&str>)], longest: usize) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), longest).unwrap();
        for (port, nanoseconds, frame, remark) in frames {
            writer.frame(port, UNIX_EPOCH + Duration::from_nanos(*nanoseconds), frame, *remark).unwrap();
        }
        writer.out
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = written(
            &[
                ("srv0", 1_700_000_000_123_456_789, b"abcde", None),
                ("vm.0", 2, b"", Some("lost")),
                ("srv0", 3, b"x", None),
            ],
            100,
        );
        let frames = parse(&bytes).unwrap();
        let shown: Vec<_> =
            frames.iter().map(|f| (f.port.as_str(), &f.frame[..], f.remark.as_deref())).collect();
        assert_eq!(shown, [("srv0", &b"abcde"[..], None), ("vm.0", b"", Some("lost")), ("srv0", b"x", None)]);
        assert_eq!(frames[0].at, UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789));
    }

    #[test]
    fn long_frames_are_cut_and_say_how_long_they_were() {
        let frames = parse(&written(&[("a", 1, &[7; 50], None)], 10)).unwrap();
        assert_eq!((frames[0].frame.len(), frames[0].length), (10, 50));
    }

    #[test]
    fn the_file_is_laid_out_as_the_draft_says() {
        let bytes = written(&[("p", 0x1_0000_0002, b"abcde", None)], 64);
        let expected: Vec<u8> = [
            &hex("0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000")[..],
            &hex("01000000 28000000 01000000 40000000 02000100 70000000 09000100 09000000 00000000 28000000"),
            &hex("06000000 28000000 00000000 01000000 02000000 05000000 05000000 6162636465000000 28000000"),
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn an_unfinished_file_is_read_as_far_as_it_goes() {
        let bytes = written(&[("a", 1, b"one", None), ("a", 2, b"two", None)], 64);
        assert_eq!(parse(&bytes[..bytes.len() - 1]).unwrap().len(), 1);
        assert!(parse(b"no capture").is_none());
    }

    proptest! {
        #[test]
        fn damaged_files_are_survived(cut in 0..200usize, at in 0..200usize, byte in any::<u8>()) {
            let mut bytes = written(&[("a", 1, b"one", Some("remark")), ("b", 2, b"three", None)], 64);
            bytes.truncate(cut);
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
            let _ = parse(&bytes);
        }
    }
}

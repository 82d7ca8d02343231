//! A machine's serial console: two files, and a cursor that waits for words in them.
//!
//! `serial.log` holds the bytes exactly as they came, of all power-ons one after another. `serial.times` says beside it when they
//! came: one line per line of the console (and per pause inside a line), `UNIX_MICROSECONDS MICROSECONDS_SINCE_POWER_ON OFFSET`.
//! A program may hang in the middle of a line, and a prompt never ends its line, so nothing here waits for a line to end.

mod recorder;

pub(crate) use recorder::Recorder;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use regex::Regex;

use crate::error::{Doing, Error, Result};

/// The file of the bytes, in a machine's folder.
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join("serial.log")
}

/// The file of the times, in a machine's folder.
pub(crate) fn times_path(folder: &Path) -> PathBuf {
    folder.join("serial.times")
}

/// A line of the console, as a person would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its first byte came.
    pub at: SystemTime,
    /// How long after the power-on before it.
    pub since_power_on: Duration,
    /// The text, without control sequences and the line's end.
    pub text: String,
}

/// Reads a place in a machine's console, and waits there.
///
/// Each wait begins behind the line that the previous one found, so that waits in a row are milestones in a row.
pub struct Serial {
    log: PathBuf,
    times: PathBuf,
    waiter: Box<dyn FnMut(u64, Duration) -> Result<u64> + Send>,
    /// Everything before is done with.
    position: u64,
}

impl std::fmt::Debug for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serial")
            .field("log", &self.log)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Serial {
    /// A cursor at an offset. `waiter(length, timeout)` waits until the log is longer than that and says how long it is.
    pub(crate) fn new(
        folder: &Path,
        position: u64,
        waiter: impl FnMut(u64, Duration) -> Result<u64> + Send + 'static,
    ) -> Serial {
        Serial { log: log_path(folder), times: times_path(folder), waiter: Box::new(waiter), position }
    }

    /// Waits for a line, complete or not, in which the expression is found, and moves behind it.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the last lines if it does not come in time, [`Error::Invalid`] if the expression is none.
    pub fn wait_for(&mut self, expression: &str, timeout: Duration) -> Result<Line> {
        let wanted = Regex::new(expression).map_err(|error| Error::Invalid {
            field: "expression",
            value: expression.to_owned(),
            right: format!("a regular expression: {error}"),
        })?;
        let deadline = Instant::now() + timeout;
        // Where the first line begins that is not known to be without the wanted text.
        let mut searched = self.position;
        loop {
            let bytes = self.read_from(searched)?;
            let mut offset = searched;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if wanted.is_match(plain(line).trim_end_matches('\n')) {
                    let found = self.line(offset, line)?;
                    self.position = offset + line.len() as u64;
                    return Ok(found);
                }
                if line.ends_with(b"\n") {
                    searched = offset + line.len() as u64;
                }
                offset += line.len() as u64;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let what = format!("{expression:?} on the serial console {}", self.log.display());
                return Err(Error::Deadline { what, after: timeout, tail: self.tail()? });
            }
            (self.waiter)(offset, left)?;
        }
    }

    /// The lines from here to the end, and moves there.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn lines(&mut self) -> Result<Vec<Line>> {
        let bytes = self.read_from(self.position)?;
        let times = Times::read(&self.times)?;
        let mut lines = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.push(times.line(self.position, line));
            self.position += line.len() as u64;
        }
        Ok(lines)
    }

    /// The text from here to the end, without control sequences; the cursor stays.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn text(&self) -> Result<String> {
        self.read_from(self.position).map(|bytes| plain(&bytes))
    }

    /// Waits for more output at most this long; says whether there is some.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn wait_for_more(&mut self, timeout: Duration) -> Result<bool> {
        Ok((self.waiter)(self.position, timeout)? > self.position)
    }

    fn line(&self, offset: u64, bytes: &[u8]) -> Result<Line> {
        Ok(Times::read(&self.times)?.line(offset, bytes))
    }

    fn tail(&self) -> Result<String> {
        let text = self.text()?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(12)..].join("\n"))
    }

    fn read_from(&self, offset: u64) -> Result<Vec<u8>> {
        let read = || {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            io::Result::Ok(bytes)
        };
        read().doing(|| format!("read {}", self.log.display()))
    }
}

/// The contents of `serial.times`.
struct Times(Vec<(u64, u64, u64)>);

impl Times {
    fn read(path: &Path) -> Result<Times> {
        let text = std::fs::read_to_string(path).doing(|| format!("read {}", path.display()))?;
        Ok(Times(text.lines().filter_map(Times::parse).collect()))
    }

    fn parse(line: &str) -> Option<(u64, u64, u64)> {
        let mut numbers = line.split(' ').map(|word| word.parse::<u64>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    }

    /// The line that begins at this offset; its time is that of the latest stamp up to there.
    fn line(&self, offset: u64, bytes: &[u8]) -> Line {
        let behind = self.0.partition_point(|(_, _, stamped)| *stamped <= offset);
        let (unix, since, _) =
            behind.checked_sub(1).and_then(|at| self.0.get(at)).copied().unwrap_or_default();
        Line {
            at: UNIX_EPOCH + Duration::from_micros(unix),
            since_power_on: Duration::from_micros(since),
            text: plain(bytes).trim_end_matches('\n').to_owned(),
        }
    }
}

/// What a person would see: without ANSI control sequences and control characters, invalid UTF-8 replaced.
fn plain(bytes: &[u8]) -> String {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            0x1b => rest = after_escape(tail),
            b'\n' | b'\t' | b' '.. if *byte != 0x7f => kept.push(*byte),
            _ => {}
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What follows an escape sequence (ECMA-48 §5.4: CSI, and the short ones that choose character sets).
fn after_escape(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'[', tail @ ..] => {
            let end =
                tail.iter().position(|byte| (0x40..=0x7e).contains(byte)).map_or(tail.len(), |at| at + 1);
            &tail[end..]
        }
        [b'(' | b')' | b'#', _, tail @ ..] | [_, tail @ ..] => tail,
        [] => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// A folder that is removed with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            let path = std::env::temp_dir().join(format!("gantry-lab-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn console() -> (Folder, Arc<Recorder>, Serial) {
        let folder = Folder::new();
        let recorder = Arc::new(Recorder::create(&folder.0).unwrap());
        let waiter = Arc::clone(&recorder);
        let serial =
            Serial::new(&folder.0, 0, move |length, timeout| Ok(waiter.wait_beyond(length, timeout)));
        (folder, recorder, serial)
    }

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn milestones_are_found_in_order() {
        let (_folder, recorder, mut serial) = console();
        recorder.copy(&b"iPXE 1.0\r\nok\r\nlogin: ok\r\nprompt> "[..]);
        assert_eq!(serial.wait_for("ok", SOON).unwrap().text, "ok");
        assert_eq!(serial.wait_for("ok", SOON).unwrap().text, "login: ok");
        assert_eq!(serial.wait_for("prompt", SOON).unwrap().text, "prompt> ");
        let error = serial.wait_for("iPXE", Duration::from_millis(1)).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "earlier lines are behind the cursor: {error}");
    }

    #[test]
    fn a_line_may_come_in_pieces_and_later() {
        let (_folder, recorder, mut serial) = console();
        let writer = thread::spawn(move || {
            b"Linux |vers|ion 6.1\n".split(|b| *b == b'|').for_each(|part| recorder.copy(part));
        });
        assert!(serial.wait_for("Linux version", SOON).unwrap().text.starts_with("Linux version"));
        writer.join().unwrap();
    }

    #[test]
    fn control_sequences_do_not_hide_words() {
        let (_folder, recorder, mut serial) = console();
        recorder.copy(&b"\x1b[2J\x1b[01;01H\x1b[0mSea\x1b[1;33mBIOS\x1b[0m\r\n\x1b(B\x07done\x1b["[..]);
        assert_eq!(serial.wait_for("^SeaBIOS$", SOON).unwrap().text, "SeaBIOS");
        assert_eq!(serial.wait_for("^done$", SOON).unwrap().text, "done");
    }

    #[test]
    fn a_deadline_shows_the_last_lines() {
        let (_folder, recorder, mut serial) = console();
        recorder.copy(&b"one\ntwo\n"[..]);
        let text = serial.wait_for("three", Duration::from_millis(5)).unwrap_err().to_string();
        assert!(text.starts_with("waited 5.0ms in vain for \"three\" on the serial console"), "{text}");
        assert!(text.ends_with("last seen:\none\ntwo"), "{text}");
    }

    #[test]
    fn every_line_has_its_time() {
        let (folder, recorder, mut serial) = console();
        let begin = UNIX_EPOCH + Duration::from_secs(1_000);
        {
            let mut state = recorder.lock();
            let zero = state.power_on;
            let mut put = |ms: u64, bytes: &[u8]| {
                let after = Duration::from_millis(ms);
                state.append(bytes, zero + after, begin + after).unwrap();
            };
            put(10, b"a\nb");
            put(20, b"b\n");
            put(90, b"c");
            put(200, b"after a pause\nd\n");
        }
        let lines = serial.lines().unwrap();
        let shown: Vec<_> = lines.iter().map(|l| (l.since_power_on.as_millis(), l.text.as_str())).collect();
        assert_eq!(shown, [(10, "a"), (10, "bb"), (90, "cafter a pause"), (200, "d")]);
        assert_eq!(lines[3].at, begin + Duration::from_millis(200));
        let times = std::fs::read_to_string(times_path(&folder.0)).unwrap();
        assert_eq!(
            times.lines().nth(3),
            Some("1000200000 200000 6"),
            "the pause inside a line is stamped too"
        );
        assert_eq!(serial.lines().unwrap(), []);
    }

    #[test]
    fn a_power_on_starts_the_clock_anew() {
        let (_folder, recorder, _) = console();
        recorder.copy(&b"before"[..]);
        recorder.power_on();
        recorder.copy(&b"after\n"[..]);
        assert_eq!((recorder.power_on_offset(), recorder.length()), (6, 12));
    }

    #[test]
    fn a_wrong_expression_is_told() {
        let (_folder, _, mut serial) = console();
        let text = serial.wait_for("(", SOON).unwrap_err().to_string();
        assert!(text.starts_with("expression: \"(\" is not right"), "{text}");
    }
}

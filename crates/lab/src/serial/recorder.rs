//! The side that writes: what comes from a machine, with its times.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{log_path, times_path};
use crate::error::{Doing, Result};

/// A pause after which the rest of a line gets a time of its own.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes both files, and tells who waits that there is more.
pub(crate) struct Recorder {
    state: Mutex<Recording>,
    grown: Condvar,
}

pub(super) struct Recording {
    log: File,
    times: File,
    length: u64,
    pub(super) power_on: Instant,
    power_on_offset: u64,
    last_time: Option<Instant>,
    line_ended: bool,
}

impl Recorder {
    pub(crate) fn create(folder: &Path) -> Result<Recorder> {
        let open = |path: PathBuf| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.doing(|| format!("create {}", path.display()))
        };
        let recording = Recording {
            log: open(log_path(folder))?,
            times: open(times_path(folder))?,
            length: 0,
            power_on: Instant::now(),
            power_on_offset: 0,
            last_time: None,
            line_ended: true,
        };
        Ok(Recorder { state: Mutex::new(recording), grown: Condvar::new() })
    }

    /// From here on times count from now.
    pub(crate) fn power_on(&self) {
        let mut state = self.lock();
        state.power_on = Instant::now();
        state.power_on_offset = state.length;
        state.last_time = None;
        state.line_ended = true;
    }

    /// Copies what comes until the stream ends.
    pub(crate) fn copy(&self, mut stream: impl Read) {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    // A full disk costs the log, not the machine.
                    let _ = self.append(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.lock().length
    }

    pub(crate) fn power_on_offset(&self) -> u64 {
        self.lock().power_on_offset
    }

    pub(crate) fn since_power_on(&self) -> Duration {
        self.lock().power_on.elapsed()
    }

    /// Waits until there are more than so many bytes, at most this long; says how many there are.
    pub(crate) fn wait_beyond(&self, length: u64, timeout: Duration) -> u64 {
        let state = self.lock();
        let waited = self.grown.wait_timeout_while(state, timeout, |state| state.length <= length);
        waited.unwrap_or_else(PoisonError::into_inner).0.length
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let result = state.append(bytes, Instant::now(), SystemTime::now());
        drop(state);
        self.grown.notify_all();
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Recording> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    pub(super) fn append(&mut self, bytes: &[u8], now: Instant, clock: SystemTime) -> io::Result<()> {
        let offset = self.length;
        self.length += bytes.len() as u64;
        let paused = self.last_time.is_none_or(|last| now.duration_since(last) >= PAUSE);
        let mut stamps = Vec::new();
        if self.line_ended || paused {
            stamps.push(offset);
        }
        // Every line that begins inside this piece, but not one that has no byte yet.
        let inner = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        stamps.extend(inner.filter(|at| *at < bytes.len()).map(|at| offset + at as u64));
        self.line_ended = bytes.last() == Some(&b'\n');
        self.log.write_all(bytes)?;
        if stamps.is_empty() {
            return Ok(());
        }
        self.last_time = Some(now);
        let unix = clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let since = now.duration_since(self.power_on).as_micros();
        let lines: String = stamps.iter().map(|offset| format!("{unix} {since} {offset}\n")).collect();
        self.times.write_all(lines.as_bytes())
    }
}

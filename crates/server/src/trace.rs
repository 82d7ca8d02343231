//! The boot trace: what happened to a machine, in order, from its first DHCP packet to its running system.
//!
//! Whatever part of the server meets a machine calls [`TraceSink::note`], which never blocks and never fails. Notes are
//! kept under the best name known at that moment: the machine's UUID, else its MAC, else its address; DHCP teaches which
//! address a MAC has. Reading a machine's trace gathers all its names again, so what happened before the machine was
//! registered is part of it.
//!
//! Notes live in memory, bounded per name and in all, and are appended to one file per name by [`Trace::flush`], which the
//! server calls every second and when it stops: **a crash loses at most the last second**. An entry before which notes
//! were dropped, because a bound was reached, carries their number as `Lost`. Traces are no commits: they neither wait for the disk nor fill the history.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantry_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock;

/// Notes kept in memory per name; the oldest go first.
const PER_NAME: usize = 2_000;
/// Names kept in memory; the one that was quiet for longest goes first.
const NAMES: usize = 20_000;
/// Bytes of a trace file before it is turned over; one older file is kept.
const FILE_LIMIT: u64 = 1 << 20;
/// A firmware that starts anew within so many seconds of its last packet is only retrying.
const RETRY_SECONDS: i64 = 20;

/// Takes notes. Cheap, never blocks for I/O, never fails.
pub trait TraceSink: Send + Sync {
    /// Remembers one event.
    fn note(&self, note: Note);
}

/// One event, as the part of the server that saw it describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// UUID of the machine, when it is known.
    pub machine: Option<String>,
    /// MAC as `aa:bb:cc:dd:ee:ff`, when it is known.
    pub mac: Option<String>,
    /// The client's address, when it has one.
    pub address: Option<IpAddr>,
    /// Whether this is how a power-on begins: a DISCOVER by firmware rather than by iPXE or an operating system.
    pub power_on: bool,
    /// What kind of thing happened: `dhcp`, `tftp`, `http`, `agent`, `job`, `stage`, `bootenv`, `machine`.
    pub kind: &'static str,
    /// One line for people: `DISCOVER -> OFFER 192.168.124.10 file ipxe.efi`.
    pub text: String,
    /// Details for programs: bytes, duration in milliseconds, retries, exit state, …
    pub data: Map<String, Value>,
}

/// One line of a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Entry {
    /// Position among all notes of this server; grows, also across restarts.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Which power-on of this machine, counted from 1 since the server first saw it.
    pub boot: u64,
    /// See [`Note::kind`].
    pub kind: String,
    /// See [`Note::text`].
    pub text: String,
    /// See [`Note::data`].
    pub data: Map<String, Value>,
}

/// The traces of all machines.
#[derive(Debug)]
pub struct Trace {
    folder: Option<PathBuf>,
    inner: Mutex<Inner>,
    changed: tokio::sync::watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    seq: u64,
    lines: HashMap<String, Lines>,
    mac_of: HashMap<IpAddr, String>,
}

/// What is known under one name.
#[derive(Debug, Default)]
struct Lines {
    entries: VecDeque<Entry>,
    boot: u64,
    unwritten: usize,
    last_power_on: Option<Time>,
}

/// Which names a reader wants together, and from where on.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// UUID of the machine.
    pub machine: String,
    /// Its MACs.
    pub macs: Vec<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Only entries after this [`Entry::seq`].
    pub since: u64,
}

impl Trace {
    /// A trace that is kept in files below `folder`, or in memory alone.
    pub fn new(folder: Option<PathBuf>) -> Self {
        // Beginning at the microseconds since 1970 keeps the sequence growing across restarts without a file for it.
        let seq = u64::try_from(clock::now().0.as_microsecond()).unwrap_or_default();
        let inner = Mutex::new(Inner { seq, ..Inner::default() });
        Self { folder, inner, changed: tokio::sync::watch::Sender::new(seq) }
    }

    /// Entries of one machine in order, under whatever name they were noted.
    pub fn read(&self, wanted: &Wanted) -> Vec<Entry> {
        let names = wanted.names();
        let mut found: Vec<Entry> = {
            let inner = self.lock();
            names
                .iter()
                .flat_map(|name| match inner.lines.get(name) {
                    Some(lines) => lines.entries.iter().cloned().collect(),
                    None => Vec::new(),
                })
                .collect()
        };
        found.extend(names.iter().flat_map(|name| self.read_files(name)));
        found.sort_by_key(|entry| entry.seq);
        found.dedup_by_key(|entry| entry.seq);
        number_boots(&mut found);
        found.retain(|entry| entry.seq > wanted.since);
        found
    }

    /// Resolves when something was noted after `seq`.
    pub async fn changed_since(&self, seq: u64) {
        // The sender lives as long as self, so waiting cannot fail.
        let _ = self.changed.subscribe().wait_for(|newest| *newest > seq).await;
    }

    /// The newest sequence number.
    pub fn newest(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Appends what is not yet on disk. Blocks on the disk: call it from a blocking thread.
    ///
    /// # Errors
    /// The first failure of the file system; what could not be written is tried again at the next call.
    pub fn flush(&self) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let pending: Vec<(String, Vec<Entry>)> = {
            let inner = self.lock();
            inner
                .lines
                .iter()
                .filter(|(_, lines)| lines.unwritten > 0)
                .map(|(name, lines)| (name.clone(), lines.newest(lines.unwritten)))
                .collect()
        };
        for (name, entries) in pending {
            append(folder, &name, &entries)?;
            if let Some(lines) = self.lock().lines.get_mut(&name) {
                lines.unwritten = lines.unwritten.saturating_sub(entries.len());
            }
        }
        Ok(())
    }

    fn read_files(&self, name: &str) -> Vec<Entry> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let mut found = Vec::new();
        for file in [older(&file(folder, name)), file(folder, name)] {
            // A trace that was never written has no file; one that cannot be read is left out rather than failing the rest.
            let text = std::fs::read_to_string(file).unwrap_or_default();
            found.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceSink for Trace {
    fn note(&self, note: Note) {
        let seq = self.lock().add(note, clock::now());
        self.changed.send_replace(seq);
    }
}

impl Inner {
    fn add(&mut self, note: Note, time: Time) -> u64 {
        self.seq += 1;
        let mac = note.mac.map(|mac| mac.to_ascii_lowercase());
        if let (Some(address), Some(mac)) = (note.address, &mac) {
            self.mac_of.insert(address, mac.clone());
        }
        let learned = note.address.and_then(|address| self.mac_of.get(&address).cloned());
        let name = mac.or(learned).or(note.machine).or(note.address.map(|address| address.to_string()));
        let name = name.unwrap_or_else(|| "unknown".into());
        self.make_room(&name);
        let lines = self.lines.entry(name).or_default();
        if note.power_on {
            lines.power_on(time);
        }
        let entry = Entry {
            seq: self.seq,
            time,
            boot: lines.boot,
            kind: note.kind.into(),
            text: note.text,
            data: note.data,
        };
        lines.push(entry);
        self.seq
    }

    fn make_room(&mut self, name: &str) {
        if self.lines.len() < NAMES || self.lines.contains_key(name) {
            return;
        }
        let newest = |lines: &Lines| lines.entries.back().map_or(0, |entry| entry.seq);
        let quiet = self.lines.iter().min_by_key(|(_, lines)| newest(lines)).map(|(name, _)| name.clone());
        if let Some(quiet) = quiet {
            self.lines.remove(&quiet);
            self.mac_of.retain(|_, mac| *mac != quiet);
        }
    }
}

impl Lines {
    fn power_on(&mut self, time: Time) {
        let retry = self.last_power_on.is_some_and(|last| time.unix() - last.unix() < RETRY_SECONDS);
        self.last_power_on = Some(time);
        if !retry {
            self.boot += 1;
        }
    }

    fn push(&mut self, mut entry: Entry) {
        if self.entries.len() == PER_NAME {
            self.entries.pop_front();
            if self.unwritten == PER_NAME {
                entry.data.insert("Lost".into(), 1.into());
            }
        }
        self.entries.push_back(entry);
        self.unwritten = (self.unwritten + 1).min(PER_NAME);
    }

    fn newest(&self, count: usize) -> Vec<Entry> {
        self.entries.iter().skip(self.entries.len() - count).cloned().collect()
    }
}

impl Wanted {
    fn names(&self) -> Vec<String> {
        let mut names = vec![self.machine.clone()];
        names.extend(self.macs.iter().map(|mac| mac.to_ascii_lowercase()));
        names.extend(self.address.map(|address| address.to_string()));
        names
    }
}

/// Entries under different names count their boots apart; a machine's boot goes on until its next power-on.
fn number_boots(entries: &mut [Entry]) {
    let mut boot = 1;
    for entry in entries {
        boot = boot.max(entry.boot);
        entry.boot = boot;
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    folder.join(format!("{safe}.jsonl"))
}

fn older(file: &Path) -> PathBuf {
    file.with_extension("old.jsonl")
}

fn append(folder: &Path, name: &str, entries: &[Entry]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = file(folder, name);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > FILE_LIMIT) {
        std::fs::rename(&path, older(&path))?;
    }
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: &'static str, text: &str) -> Note {
        Note { kind, text: text.into(), ..Note::default() }
    }

    fn texts(trace: &Trace, wanted: &Wanted) -> Vec<String> {
        trace.read(wanted).into_iter().map(|entry| format!("{} {}", entry.boot, entry.text)).collect()
    }

    #[test]
    fn what_happened_before_registration_belongs_to_the_machine() {
        let trace = Trace::new(None);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mac = Some("AA:00:00:00:00:01".to_owned());
        trace.note(Note { mac: mac.clone(), power_on: true, ..note("dhcp", "DISCOVER") });
        trace.note(Note { mac, address: Some(address), ..note("dhcp", "ACK") });
        trace.note(Note { address: Some(address), ..note("http", "vmlinuz") });
        trace.note(Note { machine: Some("u-1".into()), ..note("job", "started") });
        trace.note(Note { mac: Some("aa:00:00:00:00:02".into()), ..note("dhcp", "other") });
        let wanted =
            Wanted { machine: "u-1".into(), macs: vec!["aa:00:00:00:00:01".into()], ..Wanted::default() };
        assert_eq!(texts(&trace, &wanted), ["1 DISCOVER", "1 ACK", "1 vmlinuz", "1 started"]);
    }

    #[test]
    fn a_restart_keeps_what_was_flushed_and_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted { machine: "u-1".into(), ..Wanted::default() };
        let first = Trace::new(Some(folder.path().into()));
        first.note(Note { machine: Some("u-1".into()), ..note("job", "one") });
        first.flush().unwrap();
        first.flush().unwrap();
        let again = Trace::new(Some(folder.path().into()));
        again.note(Note { machine: Some("u-1".into()), ..note("job", "two") });
        assert_eq!(texts(&again, &wanted), ["1 one", "1 two"]);
    }

    #[test]
    fn memory_is_bounded_and_a_loss_is_told() {
        let trace = Trace::new(None);
        for _ in 0..PER_NAME + 5 {
            trace.note(Note { machine: Some("m".into()), ..note("job", "x") });
        }
        assert_eq!(trace.read(&Wanted { machine: "m".into(), ..Wanted::default() }).len(), PER_NAME);
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes() {
        let trace = Trace::new(None);
        let seen = trace.newest();
        let (_, ()) = tokio::join!(trace.changed_since(seen), async {
            trace.note(note("job", "x"));
        });
    }
}

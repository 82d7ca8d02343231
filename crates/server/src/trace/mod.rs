//! The boot trace: what happened to a machine, in order, from its first DHCP packet to its running system.
//!
//! Whatever part of the server meets a machine calls [`TraceSink::note`], which never blocks and never fails. Notes are
//! kept under the best name known at that moment: the machine's UUID, else its MAC, else its address; DHCP teaches which
//! address a MAC has. Reading a machine's trace gathers all its names again, so what happened before the machine was
//! registered is part of it.
//!
//! Notes live in memory, bounded per name and in all, and are appended to one file per name by [`Trace::flush`], which the
//! server calls every second and when it stops: **a crash loses at most the last second**. An entry before which notes
//! were dropped before they were written, because a name had too many, carries their number as `Lost`. Traces are no
//! commits: they neither wait for the disk nor fill the history.
//!
//! What an operating system repeats for days, renewing its lease, is one entry with a count (`Times`, `Last`); on disk the
//! count is the last power of two. Which boot an entry belongs to is decided in [`boots`].

mod boots;
mod files;
mod note;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantry_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::note::{Note, TraceSink};

use self::boots::Boots;
use crate::clock;

/// Notes kept in memory per name; the oldest go first.
const PER_NAME: usize = 2_000;
/// Names kept in memory; the one that was quiet for longest goes first.
const NAMES: usize = 20_000;

/// One line of a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Entry {
    /// Position among all notes of this server; grows, also across restarts.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Which power-on of this machine, counted from 1 as far back as its trace is kept.
    pub boot: u64,
    /// See [`Note::power_on`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub power_on: bool,
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
    boots: Boots,
    unwritten: usize,
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
        if let Some(folder) = &self.folder {
            found.extend(names.iter().flat_map(|name| files::read(folder, name)));
        }
        // Of an entry that was written more than once the first is the newest: memory, then the files' last lines.
        found.sort_by_key(|entry| entry.seq);
        found.dedup_by_key(|entry| entry.seq);
        let mut boots = Boots::default();
        found.iter_mut().for_each(|entry| entry.boot = boots.see(entry).max(1));
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
            files::append(folder, &name, &entries)?;
            if let Some(lines) = self.lock().lines.get_mut(&name) {
                lines.unwritten = lines.unwritten.saturating_sub(entries.len());
            }
        }
        Ok(())
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
        if note.repeats && lines.fold(note.kind, &note.text, time) {
            return self.seq;
        }
        let mut entry = Entry {
            seq: self.seq,
            time,
            boot: 0,
            power_on: note.power_on,
            kind: note.kind.into(),
            text: note.text,
            data: note.data,
        };
        entry.boot = lines.boots.see(&entry);
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
    /// Counts one more of the newest entry, if that is the same.
    fn fold(&mut self, kind: &str, text: &str, time: Time) -> bool {
        let Some(newest) = self.entries.back_mut() else { return false };
        if newest.kind != kind || newest.text != text {
            return false;
        }
        let times = newest.data.get("Times").and_then(Value::as_u64).unwrap_or(1) + 1;
        newest.data.insert("Times".into(), times.into());
        newest.data.insert("Last".into(), time.to_string().into());
        if times.is_power_of_two() {
            self.unwritten = self.unwritten.max(1);
        }
        true
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == PER_NAME {
            let gone = self.entries.pop_front();
            if self.unwritten == PER_NAME {
                self.tell_loss(gone.as_ref());
            }
        }
        self.entries.push_back(entry);
        self.unwritten = (self.unwritten + 1).min(PER_NAME);
    }

    /// The oldest entry tells how many were before it that nobody can read any more.
    fn tell_loss(&mut self, gone: Option<&Entry>) {
        let before = gone.and_then(|entry| entry.data.get("Lost")).and_then(Value::as_u64).unwrap_or(0);
        if let Some(oldest) = self.entries.front_mut() {
            oldest.data.insert("Lost".into(), (before + 1).into());
        }
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
        let kept = trace.read(&Wanted { machine: "m".into(), ..Wanted::default() });
        assert_eq!((kept.len(), kept[0].data.get("Lost")), (PER_NAME, Some(&Value::from(5))));
        assert!(kept[1..].iter().all(|entry| !entry.data.contains_key("Lost")));
    }

    #[test]
    fn renewals_are_one_entry_with_a_count_on_disk_too() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted { machine: "u-1".into(), ..Wanted::default() };
        let trace = Trace::new(Some(folder.path().into()));
        let renewal = || Note {
            machine: Some("u-1".into()),
            repeats: true,
            ..note("dhcp", "REQUEST -> ACK 192.0.2.7")
        };
        for _ in 0..5 {
            trace.note(renewal());
            trace.flush().unwrap();
        }
        trace.note(Note { machine: Some("u-1".into()), ..note("job", "done") });
        trace.note(renewal());
        trace.flush().unwrap();
        let times = |trace: &Trace| -> Vec<Value> {
            trace
                .read(&wanted)
                .iter()
                .map(|entry| entry.data.get("Times").cloned().unwrap_or_default())
                .collect()
        };
        assert_eq!(times(&trace), [Value::from(5), Value::Null, Value::Null]);
        assert_eq!(
            times(&Trace::new(Some(folder.path().into()))),
            [Value::from(4), Value::Null, Value::Null]
        );
    }

    #[test]
    fn boots_are_told_apart_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted { macs: vec!["aa:00:00:00:00:01".into()], ..Wanted::default() };
        let discover =
            || Note { mac: Some("aa:00:00:00:00:01".into()), power_on: true, ..note("dhcp", "DISCOVER") };
        let file = || Note {
            mac: Some("aa:00:00:00:00:01".into()),
            data: [("Status".to_owned(), "SUCCESS".into())].into_iter().collect(),
            ..note("tftp", "loader")
        };
        for _ in 0..2 {
            let trace = Trace::new(Some(folder.path().into()));
            for event in [discover(), file(), discover(), file()] {
                trace.note(event);
            }
            trace.flush().unwrap();
        }
        let trace = Trace::new(Some(folder.path().into()));
        let want = [
            "1 DISCOVER",
            "1 loader",
            "2 DISCOVER",
            "2 loader",
            "3 DISCOVER",
            "3 loader",
            "4 DISCOVER",
            "4 loader",
        ];
        assert_eq!(texts(&trace, &wanted), want);
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

//! Traces in memory: what is not written yet, and what was noted last.
//!
//! The bound is in bytes and over all names together; the oldest notes go first. Machines and strangers have a share each, so that
//! who invents clients on the wire pushes out other strangers only.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use gantry_model::Time;
use serde_json::Value;

use super::boots::Boots;
use super::{Entry, Note};

/// Bytes of notes about machines, and about strangers. What is on disk is read from there.
const MACHINES: usize = 6 << 20;
pub(super) const STRANGERS: usize = 2 << 20;
/// Bytes that an entry takes besides its texts: itself, its part of the maps, and its name.
const ENTRY: usize = 400;
/// Bytes that a detail takes besides its texts.
const DETAIL: usize = 64;
/// Addresses whose MAC is remembered. DHCP teaches them anew.
const ADDRESSES: usize = 65_536;

/// All notes in memory.
#[derive(Debug)]
pub(super) struct Memory {
    seq: u64,
    /// What is newer than this is all here.
    floor: u64,
    lines: HashMap<Arc<str>, Lines>,
    machines: Share,
    strangers: Share,
    mac_of: HashMap<IpAddr, String>,
    lost: u64,
}

/// What is known under one name.
#[derive(Debug, Default)]
struct Lines {
    entries: VecDeque<Entry>,
    boots: Boots,
    /// Entries up to this number are on disk, or on their way.
    written: u64,
    is_machine: bool,
}

/// The entries of a group of names, by age.
#[derive(Debug)]
struct Share {
    oldest: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    limit: usize,
}

/// Entries of one name that are to be written.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) name: Arc<str>,
    pub(super) entries: Vec<Entry>,
    /// It has a file of its own.
    pub(super) is_machine: bool,
    before: u64,
}

impl Memory {
    pub(super) fn new(seq: u64) -> Self {
        Self {
            seq,
            floor: seq,
            lines: HashMap::new(),
            machines: Share::new(MACHINES),
            strangers: Share::new(STRANGERS),
            mac_of: HashMap::new(),
            lost: 0,
        }
    }

    /// Adds a note and returns the newest sequence number.
    pub(super) fn add(&mut self, note: Note, time: Time) -> u64 {
        self.seq += 1;
        let is_machine = note.machine.is_some();
        let name = self.name(&note);
        if is_machine {
            self.promote(&name);
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
        let lines = self.lines.entry(name.clone()).or_default();
        lines.is_machine |= is_machine;
        let share = if lines.is_machine { &mut self.machines } else { &mut self.strangers };
        if note.repeats
            && let Some(grown) = lines.fold(&entry)
        {
            share.bytes += grown;
            return self.seq;
        }
        entry.boot = lines.boots.see(&entry);
        share.put(&entry, name);
        lines.entries.push_back(entry);
        self.make_room();
        self.seq
    }

    /// The best name known: the MAC, which the address may tell, else the machine's UUID, else the address.
    fn name(&mut self, note: &Note) -> Arc<str> {
        let mac = note.mac.as_ref().map(|mac| mac.to_ascii_lowercase());
        if let (Some(address), Some(mac)) = (note.address, &mac) {
            if self.mac_of.len() >= ADDRESSES {
                self.mac_of.clear();
            }
            self.mac_of.insert(address, mac.clone());
        }
        let learned = note.address.and_then(|address| self.mac_of.get(&address).cloned());
        let name =
            mac.or(learned).or(note.machine.clone()).or(note.address.map(|address| address.to_string()));
        name.unwrap_or_else(|| "unknown".into()).into()
    }

    /// A stranger turned out to be a machine: what is known of it goes into the machine's own file.
    fn promote(&mut self, name: &Arc<str>) {
        let Some(lines) = self.lines.get_mut(name).filter(|lines| !lines.is_machine) else { return };
        lines.is_machine = true;
        lines.written = 0;
        for entry in &lines.entries {
            self.strangers.take(entry);
            self.machines.put(entry, name.clone());
        }
    }

    fn make_room(&mut self) {
        for share in [&mut self.machines, &mut self.strangers] {
            while share.bytes > share.limit {
                let Some((seq, name)) = share.oldest.pop_first() else { break };
                self.floor = self.floor.max(seq);
                let Some(lines) = self.lines.get_mut(&name) else { continue };
                let Some(entry) = lines.entries.pop_front() else { continue };
                share.bytes = share.bytes.saturating_sub(cost(&entry));
                if entry.seq > lines.written {
                    self.lost += 1;
                    share.bytes += lines.tell_loss(&entry);
                }
                if lines.entries.is_empty() {
                    self.lines.remove(&name);
                }
            }
        }
    }

    /// The entries of these names after `seq`; the newest number of all; and whether nothing of it has left the memory.
    pub(super) fn read(&self, names: &[String], seq: u64) -> (Vec<Entry>, u64, bool) {
        let lines = names.iter().filter_map(|name| self.lines.get(name.as_str()));
        let found = lines.flat_map(|lines| lines.after(seq)).cloned().collect();
        (found, self.seq, seq >= self.floor)
    }

    /// Everything that is not on disk yet, which counts as written from now on, and how many notes were lost since the last call.
    pub(super) fn pending(&mut self) -> (Vec<Batch>, u64) {
        let mut pending = Vec::new();
        for (name, lines) in &mut self.lines {
            let entries: Vec<Entry> = lines.after(lines.written).cloned().collect();
            let Some(newest) = entries.last().map(|entry| entry.seq) else { continue };
            let before = std::mem::replace(&mut lines.written, newest);
            pending.push(Batch { name: name.clone(), entries, is_machine: lines.is_machine, before });
        }
        (pending, std::mem::take(&mut self.lost))
    }

    /// The batch could not be written.
    pub(super) fn take_back(&mut self, batch: &Batch) {
        if let Some(lines) = self.lines.get_mut(&batch.name) {
            lines.written = lines.written.min(batch.before);
        }
    }

    /// Forgets everything under these names.
    pub(super) fn forget(&mut self, names: &[String]) {
        for name in names {
            let Some(lines) = self.lines.remove(name.as_str()) else { continue };
            let share = if lines.is_machine { &mut self.machines } else { &mut self.strangers };
            lines.entries.iter().for_each(|entry| share.take(entry));
            self.mac_of.retain(|_, mac| mac != name);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.machines.bytes + self.strangers.bytes
    }
}

impl Share {
    fn new(limit: usize) -> Self {
        Self { oldest: BTreeMap::new(), bytes: 0, limit }
    }

    fn put(&mut self, entry: &Entry, name: Arc<str>) {
        self.oldest.insert(entry.seq, name);
        self.bytes += cost(entry);
    }

    fn take(&mut self, entry: &Entry) {
        self.oldest.remove(&entry.seq);
        self.bytes = self.bytes.saturating_sub(cost(entry));
    }
}

impl Lines {
    fn after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(from..)
    }

    /// Counts one more of the newest entry, if that is the same; by how many bytes it has grown.
    fn fold(&mut self, again: &Entry) -> Option<usize> {
        let newest = self.entries.back_mut()?;
        if newest.kind != again.kind || newest.text != again.text {
            return None;
        }
        let before = cost(newest);
        let times = newest.data.get("Times").and_then(Value::as_u64).unwrap_or(1) + 1;
        newest.data.insert("Times".into(), times.into());
        newest.data.insert("Last".into(), again.time.to_string().into());
        if times.is_power_of_two() {
            self.written = self.written.min(newest.seq - 1);
        }
        // Times of one form have one length, so it never shrinks.
        Some(cost(newest).saturating_sub(before))
    }

    /// The oldest entry tells how many were before it that nobody can read any more; by how many bytes it has grown.
    fn tell_loss(&mut self, gone: &Entry) -> usize {
        let before = gone.data.get("Lost").and_then(Value::as_u64).unwrap_or(0);
        let Some(oldest) = self.entries.front_mut() else { return 0 };
        let bytes = cost(oldest);
        oldest.data.insert("Lost".into(), (before + 1).into());
        cost(oldest).saturating_sub(bytes)
    }
}

/// About how many bytes an entry takes.
fn cost(entry: &Entry) -> usize {
    let details = entry.data.iter().map(|(name, value)| name.len() + size(value));
    ENTRY + entry.text.len() + details.sum::<usize>()
}

fn size(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    DETAIL + inside
}

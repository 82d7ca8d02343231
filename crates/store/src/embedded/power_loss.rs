//! Losing power: a disk on which every write that was not synced may be there, be gone, or be torn.
//!
//! SIGKILL alone cannot show that commits are synced, as the kernel keeps what a killed process wrote.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use redb::{Builder, StorageBackend};

use super::{Embedded, Options};
use crate::{Commit, Entry, Error, Key, Revision, Store, Value};

/// What a disk tears writes into, in bytes.
const SECTOR: usize = 512;

/// A disk whose power fails after so many writes and syncs.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a reader sees: everything that was written.
    seen: Vec<u8>,
    /// What is on the platter since the last sync.
    platter: Vec<u8>,
    /// Since then.
    unsynced: Vec<Write>,
    /// Writes and syncs until the power fails.
    fuse: u32,
    /// A sync that does nothing, to show that the test would notice.
    lies: bool,
}

#[derive(Debug)]
enum Write {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl Disk {
    fn new(platter: Vec<u8>, fuse: u32) -> Self {
        Self(Arc::new(Mutex::new(State { seen: platter.clone(), platter, fuse, ..State::default() })))
    }

    /// What is on the platter when the power is back.
    fn after_loss(&self, random: &mut Random) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        let unsynced = std::mem::take(&mut state.unsynced);
        let mut platter = std::mem::take(&mut state.platter);
        for write in unsynced {
            match (random.below(4), write) {
                (0, _) => {}
                (1, Write::Bytes(offset, bytes)) => tear(&mut platter, offset, &bytes, random),
                (_, write) => apply(&mut platter, &write),
            }
        }
        platter
    }
}

/// Any of the write's sectors, in part.
fn tear(platter: &mut Vec<u8>, offset: u64, bytes: &[u8], random: &mut Random) {
    for (sector, at) in bytes.chunks(SECTOR).zip((offset..).step_by(SECTOR)) {
        if random.below(2) == 0 {
            apply(platter, &Write::Bytes(at, sector.to_vec()));
        }
    }
}

fn apply(image: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(length) => image.resize(*length as usize, 0),
        Write::Bytes(offset, bytes) => {
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            image.resize(image.len().max(end), 0);
            image[start..end].copy_from_slice(bytes);
        }
    }
}

impl State {
    fn burn(&mut self) -> io::Result<()> {
        self.fuse = self.fuse.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
        Ok(())
    }

    fn write(&mut self, write: Write) -> io::Result<()> {
        self.burn()?;
        apply(&mut self.seen, &write);
        self.unsynced.push(write);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = offset as usize;
        let bytes = state.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().write(Write::Length(length))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().write(Write::Bytes(offset, bytes.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.burn()?;
        if !state.lies {
            let State { platter, unsynced, .. } = &mut *state;
            unsynced.drain(..).for_each(|write| apply(platter, &write));
        }
        Ok(())
    }
}

/// Numbers that are random enough, the same for each seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A disk through many losses of power, and every commit that was ever tried on it, in order.
struct Trial {
    random: Random,
    platter: Vec<u8>,
    tried: Vec<Commit>,
    acknowledged: u64,
    lies: bool,
}

impl Trial {
    fn new(seed: u64, lies: bool) -> Self {
        let random = Random(seed);
        let mut trial = Self { random, platter: Vec::new(), tried: Vec::new(), acknowledged: 0, lies };
        // The file is made under another name, so it is never opened half made.
        let disk = Disk::new(Vec::new(), u32::MAX);
        drop(open(&disk).unwrap());
        trial.platter = disk.after_loss(&mut trial.random);
        trial
    }

    /// Writes until the power fails, then opens what is left. The error says what is wrong with it.
    fn lose_power(&mut self) -> Result<(), String> {
        let disk = Disk::new(std::mem::take(&mut self.platter), 1 + self.random.below(120) as u32);
        disk.0.lock().unwrap().lies = self.lies;
        // Even opening may meet the end of its fuse: recovery writes too.
        if let Ok(store) = open(&disk) {
            self.write(&store);
        }
        self.platter = disk.after_loss(&mut self.random);
        self.check()
    }

    fn write(&mut self, store: &Embedded) {
        loop {
            let first = self.tried.len();
            let groups: Vec<Vec<Commit>> = (0..=self.random.below(3)).map(|_| self.group()).collect();
            let tickets: Vec<_> = groups.into_iter().map(|group| store.submit(group)).collect();
            for ticket in tickets {
                match ticket.wait() {
                    Ok(revisions) => self.acknowledged = revisions.last().map_or(0, |revision| revision.0),
                    Err(Error::Storage { .. } | Error::Closed) => return,
                    Err(error) => panic!("{error} from commit {first} on"),
                }
            }
        }
    }

    fn group(&mut self) -> Vec<Commit> {
        let group: Vec<_> = (0..=self.random.below(2)).map(|_| self.commit()).collect();
        self.tried.extend(group.iter().cloned());
        group
    }

    fn commit(&mut self) -> Commit {
        let mut changes = BTreeMap::new();
        for _ in 0..=self.random.below(4) {
            let key = Key::new(format!("key/{}", self.random.below(40))).unwrap();
            let value = vec![self.random.below(256) as u8; self.random.below(9000) as usize];
            changes.insert(key, (self.random.below(5) > 0).then(|| Value::new(value).unwrap()));
        }
        Commit { changes, record: self.tried.len().to_string().into_bytes(), ..Commit::default() }
    }

    /// What is there must be the result of the first commits, at least of those that were acknowledged.
    fn check(&mut self) -> Result<(), String> {
        let disk = Disk::new(self.platter.clone(), u32::MAX);
        let store = open(&disk).map_err(|error| format!("it does not open: {error:?}"))?;
        let mut found = BTreeMap::new();
        let mut each = |entry: Entry| drop(found.insert(entry.key, (entry.revision.0, entry.value)));
        let revision = store.load(&mut each).map_err(|error| format!("it does not load: {error:?}"))?;
        if revision.0 < self.acknowledged {
            return Err(format!("{} was acknowledged, {revision} is there", self.acknowledged));
        }
        // Commits that were not acknowledged may be there; from now on they count.
        self.tried.truncate(revision.0 as usize);
        if found != replay(&self.tried) {
            return Err(format!("the keys are not those of revision {revision}"));
        }
        let history =
            store.follow(Revision(revision.0.saturating_sub(3))).ready().map_err(|lost| lost.to_string())?;
        let records: Vec<_> = history.iter().map(|commit| commit.record.clone()).collect();
        let from = self.tried.len().saturating_sub(3);
        let tried: Vec<_> = self.tried[from..].iter().map(|commit| commit.record.clone()).collect();
        if records != tried {
            return Err(format!("the history is not that of revision {revision}"));
        }
        drop(store);
        self.platter = disk.after_loss(&mut self.random);
        self.acknowledged = revision.0;
        Ok(())
    }
}

fn open(disk: &Disk) -> Result<Embedded, Error> {
    let database = Builder::new().set_cache_size(1 << 20).create_with_backend(disk.clone());
    let database = database.map_err(Error::storage("opening the disk"))?;
    Embedded::start(database, Options::default())
}

fn replay(commits: &[Commit]) -> BTreeMap<Key, (u64, Value)> {
    let mut keys = BTreeMap::new();
    for (commit, revision) in commits.iter().zip(1..) {
        for (key, value) in &commit.changes {
            match value {
                Some(value) => drop(keys.insert(key.clone(), (revision, value.clone()))),
                None => drop(keys.remove(key)),
            }
        }
    }
    keys
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    let mut acknowledged = 0;
    for seed in 0..20 {
        let mut trial = Trial::new(seed, false);
        for loss in 0..12 {
            if let Err(wrong) = trial.lose_power() {
                panic!("seed {seed}, loss {loss}: {wrong}");
            }
        }
        acknowledged += trial.acknowledged;
    }
    assert!(acknowledged > 1000, "only {acknowledged} commits were tried");
}

#[test]
fn the_trial_notices_a_disk_that_does_not_sync() {
    let noticed = (0..20).any(|seed| {
        let mut trial = Trial::new(seed, true);
        (0..12).any(|_| trial.lose_power().is_err())
    });
    assert!(noticed);
}

#[test]
fn after_a_failed_commit_the_store_accepts_no_more_and_says_so() {
    let disk = Disk::new(Vec::new(), u32::MAX);
    let store = open(&disk).unwrap();
    let mut follow = store.follow(Revision::ZERO);
    let commit = || {
        let changes = BTreeMap::from([(Key::new("a").unwrap(), None)]);
        vec![Commit { changes, ..Commit::default() }]
    };
    store.submit(commit()).wait().unwrap();
    disk.0.lock().unwrap().fuse = 0;
    let failed = store.submit(commit()).wait().unwrap_err();
    assert!(matches!(failed, Error::Storage { .. }), "{failed:?}");
    assert!(matches!(store.submit(commit()).wait(), Err(Error::Closed)));
    assert_eq!(store.revision(), Revision(1), "what is not durable is not shown");
    assert_eq!(follow.ready().unwrap().len(), 1);
    drop(store);
    assert_eq!(follow.ready(), Err(crate::Lost::Closed));
}

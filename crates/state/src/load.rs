//! Reading everything at the start: the store on one thread, parsing on all cores.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use gantry_model::{Kind, Layer, Record, View};
use gantry_store::{Entry, Key, Revision, Store};

use crate::Error;
use crate::aside::{self, Aside, SetAside};
use crate::codec::{self, Changes, Place};
use crate::packs::{Manifest, damaged};

/// Entries that are handed over at once.
const BATCH: usize = 256;
/// Batches that wait for a parser: bounds what is in memory twice.
const WAITING: usize = 8;
/// How many faults that end the start are listed.
const FAULTS: usize = 20;

/// What a store holds.
pub(crate) struct Loaded {
    pub(crate) view: View,
    /// Deletes the chunks that belong to no pack.
    pub(crate) orphans: Changes,
    /// What cannot be read.
    pub(crate) aside: Aside,
}

/// Reads the store, with `base` below what it holds.
pub(crate) fn load(store: &dyn Store, base: &[Arc<Layer>]) -> Result<Loaded, Error> {
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let mut packs = Packs::default();
    let (revision, parsed) = std::thread::scope(|scope| {
        let parser = || {
            let receiver = Arc::clone(&receiver);
            scope.spawn(move || parse(&receiver))
        };
        let parsers: Vec<_> = (0..workers).map(|_| parser()).collect();
        // Only the parsers hold it now: when all have panicked nobody waits for room in their queue.
        drop(receiver);
        let revision = read(store, &mut packs, &sender);
        // Ends the parsers, once they have emptied the queue.
        drop(sender);
        let parsed: Vec<_> = parsers.into_iter().filter_map(|parser| parser.join().ok()).collect();
        (revision, parsed)
    });
    let revision = revision?;
    if parsed.len() < workers {
        return Err(Error::Panicked);
    }
    let mut records = Vec::new();
    let mut fatal = std::mem::take(&mut packs.unknown);
    let mut aside = Aside::default();
    for part in parsed {
        records.extend(part.records);
        fatal.extend(part.fatal);
        aside.extend(part.aside);
    }
    if !fatal.is_empty() {
        return Err(Error::Damaged { faults: listed(fatal, aside.len()) });
    }
    let (stored, orphans) = packs.unpack(&mut aside)?;
    let layers = base.iter().cloned().chain(stored).collect();
    // Parsers finish in any order; the maps are made fastest in that of the keys.
    records.sort_by(|a, b| (a.kind(), a.key()).cmp(&(b.kind(), b.key())));
    Ok(Loaded { view: View::load(layers, records, revision.0), orphans, aside })
}

/// The faults that end the start, and the number of the objects that would not have.
fn listed(mut fatal: Vec<String>, others: usize) -> Vec<String> {
    fatal.sort();
    fatal.truncate(FAULTS);
    if others > 0 {
        fatal.push(format!("objects that cannot be read either and would only be set aside: {others}"));
    }
    fatal
}

/// Hands objects to the parsers and keeps the rest.
fn read(
    store: &dyn Store,
    packs: &mut Packs,
    sender: &mpsc::SyncSender<Vec<Entry>>,
) -> Result<Revision, Error> {
    let mut batch = Vec::with_capacity(BATCH);
    let revision = store.load(&mut |entry| {
        if !matches!(codec::place(&entry.key), Some(Place::Object(..))) {
            return packs.add(entry);
        }
        batch.push(entry);
        if batch.len() == BATCH {
            // Fails only when every parser has panicked, and then their number tells.
            drop(sender.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))));
        }
    })?;
    drop(sender.send(batch));
    Ok(revision)
}

#[derive(Default)]
struct Parsed {
    records: Vec<Arc<Record>>,
    /// Faults with which the server does not start, as many as are listed.
    fatal: Vec<String>,
    aside: Aside,
}

fn parse(batches: &Mutex<mpsc::Receiver<Vec<Entry>>>) -> Parsed {
    let mut parsed = Parsed::default();
    loop {
        let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { return parsed };
        for entry in batch {
            let Some(Place::Object(kind, key)) = codec::place(&entry.key) else { continue };
            match codec::record(kind, key, &entry) {
                Ok(record) => parsed.records.push(Arc::new(record)),
                Err(unreadable) if unreadable.newer || !aside::may_be(kind) => {
                    if parsed.fatal.len() < FAULTS {
                        parsed.fatal.push(unreadable.why);
                    }
                }
                Err(unreadable) => {
                    let what = SetAside { kind, key: key.to_owned(), why: unreadable.why };
                    parsed.aside.add(entry.key.clone(), entry.revision, what);
                }
            }
        }
    }
}

/// What is not an object: the parts of packs.
#[derive(Default)]
struct Packs {
    manifests: Vec<(String, Entry)>,
    chunks: HashMap<Key, Entry>,
    unknown: Vec<String>,
}

impl Packs {
    fn add(&mut self, entry: Entry) {
        match codec::place(&entry.key) {
            Some(Place::Pack(name)) => self.manifests.push((name.to_owned(), entry)),
            Some(Place::Chunk { .. }) => drop(self.chunks.insert(entry.key.clone(), entry)),
            Some(Place::Guard | Place::Aside | Place::Object(..)) => {}
            None if self.unknown.len() < FAULTS => {
                self.unknown.push(format!(
                    "{}: no kind of object that this program knows; use a newer one",
                    entry.key
                ));
            }
            None => {}
        }
    }

    /// The layers, and the deletion of what belongs to no pack. A pack that cannot be read is set aside with its chunks.
    fn unpack(mut self, aside: &mut Aside) -> Result<(Vec<Arc<Layer>>, Changes), Error> {
        let mut layers = Vec::new();
        let mut unclear = false;
        for (name, entry) in std::mem::take(&mut self.manifests) {
            let manifest = Manifest::decode(&name, &entry.value);
            // Nobody knows which chunks belong to a manifest that is none.
            unclear |= manifest.is_err();
            match manifest.and_then(|manifest| self.layer(&name, &manifest)) {
                Ok(layer) => layers.push(layer),
                Err(Error::Damaged { faults }) => {
                    let what = SetAside { kind: Kind::Content, key: name, why: faults.join("; ") };
                    aside.add(entry.key, entry.revision, what);
                }
                Err(other) => return Err(other),
            }
        }
        let orphans = self.chunks.into_keys().filter(|_| !unclear).map(|key| (key, None)).collect();
        Ok((layers, orphans))
    }

    /// The layer of a manifest, whose chunks are taken whether they make one or not.
    fn layer(&mut self, name: &str, manifest: &Manifest) -> Result<Arc<Layer>, Error> {
        let layer = manifest.unpack(name, &mut |key| Ok(self.chunks.remove(key)));
        let own = |key: &Key| matches!(codec::place(key), Some(Place::Chunk { digest }) if digest == manifest.digest);
        self.chunks.retain(|key, _| !own(key));
        layer?.ok_or_else(|| damaged(name, &"chunks are missing"))
    }
}

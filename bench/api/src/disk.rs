//! The disk below: commits of the store beside raw fsyncs of the same folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gantry_store::{Commit, Embedded, Entry, Options, Store as _};

use crate::server::Result;
use crate::table::{Row, row};

const RAW: Row = row("raw fsync/s of the disk (4 KiB)", "");
const ONE: Row = row("commits/s, 1 writer", "near the raw fsyncs");
const MANY: Row = row("commits/s, 64 writers", "many times the raw fsyncs");
/// Writes more than enough of them to spread over the file.
const ENTRIES: usize = 4096;

/// Opens the store that a server left in `folder`, writes objects again as they are, and compares.
pub(crate) fn compare(folder: &Path, time: Duration, add: &mut dyn FnMut(Row, f64)) -> Result<()> {
    let data = folder.join("digitalrebar").join("gantry.db");
    let store = Embedded::open(&data, Options::default())?;
    let mut entries = Vec::new();
    store.load(&mut |entry| {
        if entries.len() < ENTRIES && entry.key.starts_with(b"machines/") {
            entries.push(entry);
        }
    })?;
    add(RAW, fsyncs(folder, time)?);
    add(ONE, commits(&store, &entries, 1, time)?);
    add(MANY, commits(&store, &entries, 64, time)?);
    Ok(())
}

fn fsyncs(folder: &Path, time: Duration) -> Result<f64> {
    let path = folder.join("fsync");
    let file = File::create(&path)?;
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < time {
        file.write_all_at(&[count as u8; 4096], 0)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

fn commits(store: &Embedded, entries: &[Entry], writers: usize, time: Duration) -> Result<f64> {
    let count = AtomicUsize::new(0);
    let began = Instant::now();
    let write = || -> Result<()> {
        while began.elapsed() < time {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let entry = &entries[number * 31 % entries.len()];
            let changes = BTreeMap::from([(entry.key.clone(), Some(entry.value.clone()))]);
            store.submit(vec![Commit { changes, ..Commit::default() }]).wait()?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a writer panicked")?)
    })?;
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

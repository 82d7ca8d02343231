//! How many durable commits a second the embedded engine does, beside the raw fsyncs of the same disk.
//!
//! `cargo run --release -p gantry-store --example commits [FOLDER] [SECONDS]`: rounds are interleaved, because
//! machines change speed from minute to minute; the table shows the median of the rounds.

#![allow(clippy::print_stdout, reason = "the table is this program's output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gantry_store::{Commit, Embedded, Key, Options, Store, Value};

const ROUNDS: usize = 5;
/// A machine object with ten params, roughly.
const VALUE_BYTES: usize = 2000;
const PREFILLED: usize = 10_000;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: f64 = arguments.next().map_or(Ok(1.0), |seconds| seconds.parse())?;
    let time = Duration::from_secs_f64(seconds);
    let folder = folder.join(format!("gantry-commits-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let table = measure(&folder, time);
    std::fs::remove_dir_all(&folder)?;
    println!("{:<44} {:>10}", "", "per second");
    for (what, rounds) in table? {
        println!("{what:<44} {:>10.0}", median(rounds));
    }
    Ok(())
}

fn measure(folder: &Path, time: Duration) -> Outcome<Vec<(String, Vec<f64>)>> {
    let disk = File::create_new(folder.join("disk"))?;
    let store = Embedded::open(&folder.join("store"), Options::default())?;
    prefill(&store)?;
    let mut raw = Vec::new();
    let mut commits = [1, 64].map(|writers| (writers, Vec::new()));
    for _ in 0..ROUNDS {
        raw.push(fsyncs(&disk, time)?);
        for (writers, rounds) in &mut commits {
            rounds.push(commit(&store, *writers, time)?);
        }
    }
    let mut table = vec![("write of 4 KiB and fsync, raw".to_owned(), raw)];
    for (writers, rounds) in commits {
        let s = if writers == 1 { "" } else { "s" };
        table.push((format!("commits of {VALUE_BYTES} bytes, {writers} writer{s}"), rounds));
    }
    Ok(table)
}

fn prefill(store: &Embedded) -> Outcome<()> {
    let group = (0..PREFILLED).map(|number| change(number, 0)).collect::<Outcome<_>>()?;
    store.submit(group).wait()?;
    Ok(())
}

fn change(number: usize, fill: u8) -> Outcome<Commit> {
    let key = Key::new(format!("machines/{number:08}"))?;
    let changes = BTreeMap::from([(key, Some(Value::new(vec![fill; VALUE_BYTES])?))]);
    Ok(Commit { changes, record: b"bench".to_vec(), ..Commit::default() })
}

fn fsyncs(disk: &File, time: Duration) -> Outcome<f64> {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < time {
        disk.write_all_at(&[count as u8; 4096], 0)?;
        disk.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn commit(store: &Embedded, writers: usize, time: Duration) -> Outcome<f64> {
    let count = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let write = |writer| {
            for number in (writer..).step_by(writers) {
                if start.elapsed() >= time {
                    break;
                }
                // Far apart, so that each commit meets other pages.
                let commit = change(number * 7919 % PREFILLED, number as u8)?;
                store.submit(vec![commit]).wait()?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Ok(())
        };
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(move || write(writer))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a writer panicked")?)
    })?;
    Ok(count.into_inner() as f64 / start.elapsed().as_secs_f64())
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

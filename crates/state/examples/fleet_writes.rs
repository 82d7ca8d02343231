//! What a fleet costs: opening, one writer, many writers, by the number of machines. Beside the wall clock stands the
//! processor time, which tells the same on a busy machine.
//!
//! `cargo run --release -p gantry-state --example fleet_writes [FOLDER] [MACHINES..]` (default 0, 1000, 10000, 100000; 10 params each).

#![allow(clippy::print_stdout, reason = "the table is this program's output")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_model::{Error, Kind, Now, Time, Tx};
use gantry_state::{Audit, Failure, Setup, State};
use gantry_store::{Embedded, Options, Store};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const TIME: Duration = Duration::from_secs(2);

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mut sizes = arguments.map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![0, 1_000, 10_000, 100_000];
    }
    println!(
        "{:>9} {:>8} {:>8} {:>7} {:>14} {:>14} {:>15} {:>11}",
        "machines",
        "open s",
        "CPU s",
        "RSS MB",
        "1 patch/s,us",
        "8 patch/s,us",
        "8 create/s,us",
        "closure us"
    );
    for size in sizes {
        let folder = folder.join(format!("gantry-fleet-{}-{size}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let row = measure(&folder, size);
        std::fs::remove_dir_all(&folder)?;
        println!("{}", row?);
    }
    Ok(())
}

fn measure(folder: &Path, size: usize) -> Outcome<String> {
    fill(&open(folder)?, size)?;
    let watch = Watch::start();
    let state = Arc::new(open(folder)?);
    let (opened, opened_cpu) = watch.read();
    let memory = resident()?;
    let uuids: Arc<Vec<String>> =
        Arc::new(state.view().records(Kind::Machine).map(|r| r.key().to_string()).collect());
    let patch = |writer: usize, n: usize| {
        (!uuids.is_empty()).then(|| uuids[(n * 7919 + writer * 31) % uuids.len()].clone())
    };
    let one = rate(&state, "one", 1, &patch)?;
    let eight = rate(&state, "eight", 8, &patch)?;
    let create = rate(&state, "new", 8, &|_, _| None)?;
    let closure = closure_cost(&state, &uuids)?;
    Ok(format!(
        "{size:>9} {opened:>8.2} {opened_cpu:>8.2} {memory:>7} {one:>14} {eight:>14} {create:>15} {closure:>11.1}"
    ))
}

/// Wall clock and processor time of this process.
struct Watch {
    wall: Instant,
    cpu: f64,
}

impl Watch {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: processor_time() }
    }

    /// Seconds since the start, and seconds of processor time.
    fn read(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), processor_time() - self.cpu)
    }
}

fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn open(folder: &Path) -> Outcome<State> {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.join("store"), Options::default())?);
    let clock = || Now::new(Time(std::time::SystemTime::now().try_into().unwrap_or_default()), seed());
    let layers = vec![Arc::new(gantry_model::builtin::layer())];
    Ok(State::open(store, Setup { clock: Box::new(clock), rules: Arc::new(()), layers })?)
}

/// Different for each write, which is all that is needed here.
fn seed() -> [u8; 32] {
    use std::hash::{BuildHasher, RandomState};
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&RandomState::new().hash_one(Instant::now()).to_le_bytes());
    seed
}

fn machine(name: &str) -> Value {
    let params: serde_json::Map<String, Value> =
        (0..10).map(|n| (format!("fleet/param-{n}"), json!(format!("value {n} of {name}")))).collect();
    json!({"Name": name, "BootEnv": "local", "Stage": "none", "Params": params})
}

fn fill(state: &State, size: usize) -> Outcome<()> {
    const GROUP: usize = 500;
    for from in (0..size).step_by(GROUP) {
        let names: Vec<_> = (from..size.min(from + GROUP)).map(|n| format!("m{n:06}.example.com")).collect();
        let work = move |tx: &mut Tx| {
            names.iter().try_for_each(|name| tx.create(Kind::Machine, machine(name)).map(drop))
        };
        block_on(state.write(Audit::new("bench", "fill"), work))??;
    }
    Ok(())
}

/// Writes a second, and microseconds of processor time for each, by so many writers: patches of a machine's param, or creates where there is no machine to patch.
fn rate(
    state: &Arc<State>,
    label: &str,
    writers: usize,
    target: &(impl Fn(usize, usize) -> Option<String> + Sync),
) -> Outcome<String> {
    let watch = Watch::start();
    let work = |writer: usize| -> Outcome<usize> {
        let mut n = 0;
        while watch.wall.elapsed() < TIME {
            block_on(write(state, target(writer, n), format!("{label}-{writer}-{n}.example.com")))??;
            n += 1;
        }
        Ok(n)
    };
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(move || work(writer))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a writer panicked")?)
            .sum::<Outcome<usize>>()
    })?;
    let (wall, cpu) = watch.read();
    Ok(format!("{:.0} {:.0}", total as f64 / wall, cpu * 1e6 / total as f64))
}

async fn write(state: &State, target: Option<String>, name: String) -> Result<(), Failure<Error>> {
    let work = move |tx: &mut Tx| edit(tx, target.as_deref(), &name);
    state.write(Audit::new("bench", "write"), work).await.map(drop)
}

fn edit(tx: &mut Tx, target: Option<&str>, name: &str) -> Result<(), Error> {
    match target {
        Some(uuid) => tx.set_param(Kind::Machine, uuid, "fleet/param-3", json!(name)).map(drop),
        None => tx.create(Kind::Machine, machine(name)).map(drop),
    }
}

/// Microseconds of processor time of one closure on the head, without the disk.
fn closure_cost(state: &State, uuids: &Arc<Vec<String>>) -> Outcome<f64> {
    const TIMES: usize = 2000;
    let uuids = Arc::clone(uuids);
    let work = move |tx: &mut Tx| {
        let watch = Watch::start();
        for n in 0..TIMES {
            let mut draft = tx.clone();
            edit(&mut draft, uuids.get(n * 7919 % uuids.len().max(1)).map(String::as_str), "measured")?;
        }
        Ok::<_, Error>(watch.read().1)
    };
    let seconds = block_on(state.write(Audit::new("bench", "measure"), work))??.value;
    Ok(seconds * 1e6 / TIMES as f64)
}

fn block_on<T>(work: impl Future<Output = T>) -> Outcome<T> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(work))
}

/// Resident memory of this process in MB.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}

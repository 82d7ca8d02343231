//! States to test, and short words for objects.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use gantry_model::{Error, Kind, Layer, Now, Time, Tx, View};
use gantry_state::{Audit, Clash, Committed, Failure, Over, Present, Setup, State};
use gantry_store::{Memory, Store};
use serde_json::{Value, json};

/// A clock that goes on by a second for each write, and seeds that differ.
pub(crate) fn setup() -> Setup {
    let writes = AtomicU64::new(0);
    let clock = move || {
        let write = writes.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&write.to_le_bytes());
        Now::new(Time::from_unix(1_700_000_000 + write as i64), seed)
    };
    let layers = vec![Arc::new(gantry_model::builtin::layer())];
    Setup { clock: Box::new(clock), rules: Arc::new(()), layers }
}

pub(crate) fn open(store: &Arc<impl Store + 'static>) -> State {
    State::open(Arc::clone(store) as Arc<dyn Store>, setup()).unwrap()
}

pub(crate) fn memory() -> Arc<Memory> {
    Arc::new(Memory::default())
}

/// Runs a test's future, with a limit in case something hangs.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.unwrap() })
}

pub(crate) fn audit() -> Audit {
    Audit::new("user:test", "test")
}

/// Writes and waits.
pub(crate) fn write<T: Send + 'static>(
    state: &State,
    work: impl FnMut(&mut Tx) -> Result<T, Error> + Send + 'static,
) -> Result<Committed<T>, Failure<Error>> {
    block_on(state.write(audit(), work))
}

/// Makes a profile, or gives it another description.
pub(crate) fn put_profile(state: &State, name: &'static str, description: &'static str) -> u64 {
    write(state, move |tx| set_profile(tx, name, description)).unwrap().revision
}

pub(crate) fn set_profile(tx: &mut Tx, name: &str, description: &str) -> Result<(), Error> {
    let value = json!({"Name": name, "Description": description});
    match tx.view().record(Kind::Profile, name) {
        Some(_) => tx.put(Kind::Profile, name, value),
        None => tx.create(Kind::Profile, value),
    }
    .map(drop)
}

pub(crate) fn delete_profile(state: &State, name: &'static str) -> Result<u64, String> {
    let done = write(state, move |tx| tx.delete(Kind::Profile, name).map(drop));
    done.map(|committed| committed.revision).map_err(|failure| failure.to_string())
}

/// The description of a profile, if there is one.
pub(crate) fn profile(view: &View, name: &str) -> Option<String> {
    let record = view.record(Kind::Profile, name)?;
    Some(record.value()["Description"].as_str().unwrap().to_owned())
}

/// A pack with these profiles.
pub(crate) fn pack(name: &str, profiles: &[(&str, &str)]) -> Arc<Layer> {
    let objects: serde_json::Map<String, Value> = profiles
        .iter()
        .map(|(key, text)| ((*key).to_owned(), json!({"Name": key, "Description": text})))
        .collect();
    let content = json!({"meta": {"Name": name, "Version": "1.0.0"}, "sections": {"profiles": objects}});
    Arc::new(Layer::from_value(content).unwrap())
}

/// Adds a pack, or replaces the one of its name that is there.
pub(crate) async fn put_pack(state: &State, layer: Arc<Layer>) -> Result<Committed<()>, Failure<Error>> {
    let is_there = state.view().layers().iter().any(|other| other.name() == layer.name());
    let present = if is_there { Present::Yes } else { Present::No };
    state.put_pack(audit(), layer, Over { present, clash: Clash::Refuse }).await
}

/// Everything a View shows, one line for each object.
pub(crate) fn dump(view: &View) -> Vec<String> {
    let kinds = Kind::ALL.iter();
    let rows = kinds.flat_map(|kind| view.records(*kind)).map(|record| {
        let mut json = String::new();
        record.write_json(&mut json);
        format!("{}/{}@{} {json}", record.kind(), record.key(), record.revision())
    });
    rows.collect()
}

/// Holds up the thread of a state inside a closure, until it is let go.
pub(crate) struct Hold {
    entered: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

impl Hold {
    /// The hold, and what a closure calls to be held (the first time only).
    pub(crate) fn new() -> (Self, impl FnMut() + Send + 'static) {
        let (enter, entered) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let mut first = true;
        let wait = move || {
            if std::mem::take(&mut first) {
                enter.send(()).unwrap();
                gone.recv_timeout(Duration::from_secs(60)).unwrap();
            }
        };
        (Self { entered, go }, wait)
    }

    pub(crate) fn until_entered(&self) {
        self.entered.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    pub(crate) fn let_go(&self) {
        self.go.send(()).unwrap();
    }
}

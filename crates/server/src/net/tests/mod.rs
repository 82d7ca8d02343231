//! The services over loopback, with real clients where there are any; and over a wire of their own where that may be made.

mod dhcp;
mod http;
mod tftp;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantry_model::{Kind, Machine, Now, Tx, View};
use gantry_netboot::dhcp::engine::Host;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::dhcp::{Change, Durable};
use super::{Boxed, Counters, FileSource, Found, Reports, Served, ServedSink, Wanted};
use crate::clock;
use crate::trace::{Note, TraceSink};

/// A View in memory whose writes can be held up and made to fail.
pub(super) struct Objects {
    view: Mutex<Arc<View>>,
    pub(super) gate: Semaphore,
    pub(super) broken: AtomicBool,
    seed: AtomicU8,
}

impl Objects {
    /// One subnet, 10.9.0.0/24 with the pool .10 to .12.
    pub(super) fn lab() -> Arc<Self> {
        let objects = Self {
            view: Mutex::new(Arc::new(View::empty())),
            gate: Semaphore::new(1000),
            broken: AtomicBool::new(false),
            seed: AtomicU8::new(0),
        };
        let subnet = json!({
            "Name": "lab", "Enabled": true, "Subnet": "10.9.0.0/24", "ActiveStart": "10.9.0.10", "ActiveEnd": "10.9.0.12",
            "ActiveLeaseTime": 60, "ReservedLeaseTime": 7200, "Strategy": "MAC", "Options": [{"Code": 3, "Value": "10.9.0.1"}],
        });
        objects.change(|tx| drop(tx.create(Kind::Subnet, subnet.clone()).unwrap())).unwrap();
        Arc::new(objects)
    }

    fn change(&self, mut change: impl FnMut(&mut Tx)) -> Result<(), String> {
        let mut view = self.view.lock().unwrap();
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        let mut tx = Tx::new((**view).clone(), Now::new(clock::now(), [seed; 32]));
        change(&mut tx);
        let next = view.apply(tx.edits(), view.revision() + 1).0;
        *view = Arc::new(next);
        Ok(())
    }

    pub(super) fn leases(&self) -> Vec<(String, String)> {
        let view = self.view();
        view.objects::<gantry_model::Lease>().map(|l| (l.addr.to_string(), l.state.clone())).collect()
    }
}

impl Durable for Objects {
    fn view(&self) -> Arc<View> {
        self.view.lock().unwrap().clone()
    }

    fn write(&self, mut change: Change) -> Boxed<'_, Result<(), String>> {
        Box::pin(async move {
            let _gate = self.gate.acquire().await.unwrap();
            if self.broken.load(Ordering::Relaxed) {
                return Err("disk full".into());
            }
            let mut result = Ok(());
            self.change(|tx| result = change(tx).map_err(|e| e.to_string()))?;
            result
        })
    }
}

/// No templates, no parameters.
pub(super) struct Plain;

impl Host for Plain {
    fn render(&self, template: &str, _: &BTreeMap<u8, String>) -> Result<String, String> {
        Ok(template.into())
    }

    fn param(&self, _: &View, _: Option<&Machine>, _: &str) -> Option<Value> {
        None
    }
}

/// Everything that was reported.
#[derive(Default)]
pub(super) struct Ear {
    pub(super) notes: Mutex<Vec<Note>>,
    pub(super) served: Mutex<Vec<Served>>,
}

impl TraceSink for Ear {
    fn note(&self, note: Note) {
        self.notes.lock().unwrap().push(note);
    }
}

impl ServedSink for Ear {
    fn served(&self, served: &Served) {
        self.served.lock().unwrap().push(served.clone());
    }
}

impl Ear {
    pub(super) fn reports(self: &Arc<Self>) -> Reports {
        Reports { trace: self.clone(), served: self.clone(), counters: Counters::default() }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.notes.lock().unwrap().iter().map(|n| n.text.clone()).collect()
    }

    /// Waits until so many files were reported.
    pub(super) async fn files(&self, count: usize) -> Vec<Served> {
        eventually(|| self.served.lock().unwrap().len() >= count).await;
        self.served.lock().unwrap().clone()
    }
}

/// Looks until it is so, and gives up when it takes so long that it will not be.
pub(super) async fn eventually(mut so: impl FnMut() -> bool) {
    let look = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("it comes to be");
}

pub(super) fn metrics(counters: &Counters) -> String {
    let mut registry = Registry::default();
    counters.register(&mut registry);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    page
}

/// Some files in memory and one on disk.
pub(super) struct Shelf {
    files: HashMap<&'static str, &'static [u8]>,
    big: PathBuf,
    huge: PathBuf,
}

/// More than the kernel takes for a client that does not read.
pub(super) const HUGE: u64 = 64 << 20;

pub(super) const BIG: usize = 3_000_017;

pub(super) fn big() -> Vec<u8> {
    (0..BIG as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

impl Shelf {
    pub(super) fn new(folder: &tempfile::TempDir) -> Arc<Self> {
        let path = folder.path().join("big");
        std::fs::write(&path, big()).unwrap();
        let huge = folder.path().join("huge");
        std::fs::File::create(&huge).unwrap().set_len(HUGE).unwrap();
        let files = HashMap::from([
            ("default.ipxe", &b"#!ipxe\necho hello\n"[..]),
            ("sb/grubx64.efi", b"MZ"),
            ("empty", b""),
        ]);
        Arc::new(Self { files, big: path, huge })
    }
}

impl FileSource for Shelf {
    fn open<'a>(&'a self, wanted: &'a Wanted) -> Boxed<'a, Found> {
        Box::pin(async move {
            match wanted.path.as_str() {
                "big" | "huge" => {
                    let path = if wanted.path == "big" { &self.big } else { &self.huge };
                    let file = std::fs::File::open(path).unwrap();
                    let meta = file.metadata().unwrap();
                    Found::File { file, size: meta.len(), modified: meta.modified().ok() }
                }
                "who" => Found::Bytes(format!("{} {}", wanted.client, wanted.local).into()),
                "bug" => panic!("a bug"),
                "broken" => Found::Failed("template: x:1:2: secret".into()),
                "" => Found::Folder(vec!["a&b".into(), "sb/".into()]),
                path => match self.files.get(path) {
                    Some(content) => Found::Bytes((*content).into()),
                    None => Found::Missing,
                },
            }
        })
    }
}

pub(super) fn localhost() -> IpAddr {
    std::net::Ipv4Addr::LOCALHOST.into()
}

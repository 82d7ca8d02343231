//! One round at one size: start, writes, reads, events, jobs, files, and the disk beside them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_client::Client;
use reqwest::Method;
use serde_json::json;

use crate::fleet::{self, WORKERS, any, create, delete, patch, worker};
use crate::load::{Load, Took, spread};
use crate::server::{Result, Server};
use crate::table::{Row, median, row};
use crate::{disk, files};

const START: Row = row("start to serving, s", "10,000: 1; 100,000: 10");
const MEMORY: Row = row("resident memory after start, MB", "30 + 6 for each 1,000");
const MEMORY_END: Row = row("resident memory at the end, MB", "");
const CREATES: [[Row; 2]; 2] = [
    [row("creates/s, 1 client", ""), row("  ms CPU each (1 client)", "the same at all sizes")],
    [row("creates/s, 8 clients", "thousands"), row("  ms CPU each (8 clients)", "the same at all sizes")],
];
const PATCHES: [[Row; 2]; 2] = [
    [row("patches/s, 1 client", ""), row("  ms CPU each (patch, 1)", "the same at all sizes")],
    [row("patches/s, 8 clients", "thousands"), row("  ms CPU each (patch, 8)", "the same at all sizes")],
];
const LIST: [Row; 2] = [row("list of all machines, ms", "10,000: 60"), row("  ms CPU each (list)", "")];
const LIST_SIZE: Row = row("  MB", "");
const BY_NAME: [Row; 2] = [row("get by Name, ms", ""), row("  ms CPU each (get)", "")];
const BY_PARAM: [Row; 2] = [row("list by a param's value, ms", ""), row("  ms CPU each (param)", "")];
const BY_NUMBER: [Row; 2] =
    [row("list by a numeric param's value, ms", ""), row("  ms CPU each (numeric param)", "")];
const WHOAMI: [Row; 2] =
    [row("first whoami of a new machine, ms", "the same at all sizes"), row("  ms CPU each (whoami)", "")];
const EVENT: Row = row("event after its patch's answer, ms", "2");
const JOBS: [Row; 2] =
    [row("jobs/s, 8 clients (ask, run, finish)", "thousands"), row("  ms CPU each (job)", "")];

/// One round at one size.
pub(crate) struct Round<'a> {
    pub(crate) number: usize,
    pub(crate) size: usize,
    /// How long each rate is measured.
    pub(crate) time: Duration,
    /// The parts to measure; all when empty.
    pub(crate) only: &'a [String],
}

type Add<'a> = &'a mut dyn FnMut(Row, f64);

impl Round<'_> {
    pub(crate) async fn run(&self, gantry: &Path, folder: &Path, add: Add<'_>) -> Result<()> {
        let server = Server::start(gantry, folder).await?;
        add(START, server.start.as_secs_f64());
        add(MEMORY, server.memory()?);
        if self.wants("writes") {
            self.writes(&server, add).await?;
        }
        if self.wants("reads") {
            self.reads(&server, add).await?;
        }
        if self.wants("event") {
            event(&server, self.size, add).await?;
        }
        if self.wants("jobs") {
            self.jobs(&server, add).await?;
        }
        if self.wants("files") {
            files::kickstarts(&server, self.time, add).await?;
            files::download(&server, add).await?;
        }
        add(MEMORY_END, server.memory()?);
        server.stop().await?;
        if self.wants("disk") { self.disk(folder, add).await } else { Ok(()) }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    async fn disk(&self, folder: &Path, add: Add<'_>) -> Result<()> {
        let (folder, time) = (folder.to_owned(), self.time / 2);
        let rows = tokio::task::spawn_blocking(move || {
            let mut rows = Vec::new();
            disk::compare(&folder, time, &mut |row, value| rows.push((row, value))).map(|()| rows)
        });
        rows.await??.into_iter().for_each(|(row, value)| add(row, value));
        Ok(())
    }

    /// What is created is deleted again, so the fleet keeps its size.
    async fn writes(&self, server: &Server, add: Add<'_>) -> Result<()> {
        for (index, clients) in [1, 8].into_iter().enumerate() {
            let load = Load { clients, most: usize::MAX, time: self.time };
            let round = self.number;
            let name = move |number: usize| format!("fresh-{round}-{clients}-{number}.example.com");
            let made =
                spread(server, load, move |client, number| create(client, name(number), number)).await?;
            rates(CREATES[index], &made, add);
            let size = self.size;
            let patched =
                spread(server, load, move |client, number| patch(client, any(size, number), number)).await?;
            rates(PATCHES[index], &patched, add);
            let made = Arc::new(made.done);
            let load = Load { clients: 8, most: made.len(), time: Duration::MAX };
            spread(server, load, move |client, number| delete(client, name(made[number]))).await?;
        }
        Ok(())
    }

    async fn reads(&self, server: &Server, add: Add<'_>) -> Result<()> {
        let client = server.client()?;
        let list = client.send(client.request(Method::GET, "/machines", &[])).await?.bytes().await?;
        let bytes = list.len();
        drop(list);
        let size = self.size;
        let some = move |number: usize| format!("/machines/Name:{}", any(size, number));
        let all = |_| "/machines".to_owned();
        self.read(server, LIST, add, all, &[]).await?;
        add(LIST_SIZE, bytes as f64 / 1e6);
        self.read(server, BY_NAME, add, some, &[]).await?;
        self.read(server, BY_PARAM, add, all, &[("rack", "rack-7")]).await?;
        self.read(server, BY_NUMBER, add, all, &[("row", "7")]).await?;
        self.whoami(server, add).await
    }

    /// What every machine asks at its first start: hardware that nobody has.
    async fn whoami(&self, server: &Server, add: Add<'_>) -> Result<()> {
        let load = Load { clients: 1, most: usize::MAX, time: self.time };
        let took = spread(server, load, |client, number| async move {
            let body = json!({
                "MacAddrs": [format!("06:00:{:02x}:{:02x}:00:01", number >> 8 & 255, number & 255)],
                "Fingerprint": {
                    "SSNHash": "bmV3", "CSNHash": "bmV3", "SystemUUID": format!("new-{number}"), "MemoryIds": ["bmV3"],
                },
            });
            client.call(Method::POST, "/whoami", &[], Some(&body)).await?;
            Ok(())
        });
        let took = took.await?;
        add(WHOAMI[0], took.ms_each());
        add(WHOAMI[1], took.cpu_ms_each());
        Ok(())
    }

    async fn read(
        &self,
        server: &Server,
        rows: [Row; 2],
        add: Add<'_>,
        path: impl Fn(usize) -> String + Clone + Send + 'static,
        query: &'static [(&'static str, &'static str)],
    ) -> Result<()> {
        let load = Load { clients: 1, most: usize::MAX, time: self.time };
        let took = spread(server, load, move |client, number| {
            let path = path(number);
            async move {
                client.send(client.request(Method::GET, &path, query)).await?.bytes().await?;
                Ok(())
            }
        });
        let took = took.await?;
        add(rows[0], took.ms_each());
        add(rows[1], took.cpu_ms_each());
        Ok(())
    }

    async fn jobs(&self, server: &Server, add: Add<'_>) -> Result<()> {
        let client = server.client()?;
        let mut keys = Vec::new();
        for number in 0..WORKERS {
            let path = format!("/machines/Name:{}", worker(number));
            // Ten jobs for each machine; the list begins anew in each round.
            let body = json!([
                { "op": "replace", "path": "/Tasks", "value": vec!["bench-task"; 10] },
                { "op": "replace", "path": "/CurrentTask", "value": -1 },
            ]);
            let machine = client.call(Method::PATCH, &path, &[], Some(&body)).await?;
            keys.push(machine["Uuid"].as_str().unwrap_or_default().to_owned());
        }
        let keys = Arc::new(keys);
        let load = Load { clients: 8, most: 10 * WORKERS, time: self.time };
        let done = spread(server, load, move |client, number| job(client, keys.clone(), number)).await?;
        rates(JOBS, &done, add);
        Ok(())
    }
}

fn rates(rows: [Row; 2], took: &Took, add: Add<'_>) {
    add(rows[0], took.per_second());
    add(rows[1], took.cpu_ms_each());
}

async fn job(client: Client, keys: Arc<Vec<String>>, number: usize) -> Result<()> {
    let body = json!({ "Machine": keys[number % keys.len()] });
    let job = client.call(Method::POST, "/jobs", &[], Some(&body)).await?;
    let path = format!("/jobs/{}", job["Uuid"].as_str().ok_or("no job")?);
    for state in ["running", "finished"] {
        let body = json!([{ "op": "replace", "path": "/State", "value": state }]);
        client.call(Method::PATCH, &path, &[], Some(&body)).await?;
    }
    Ok(())
}

/// From the answer of a patch to the arrival of its event; 0 when the event came first.
async fn event(server: &Server, size: usize, add: Add<'_>) -> Result<()> {
    let client = server.client()?;
    let mut events = client.events(None).await?;
    events.register("machines.update.*").await?;
    let (heard, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let listener = tokio::spawn(async move {
        while let Ok(event) = events.next().await {
            let text = event.object["Description"].as_str().unwrap_or_default().to_owned();
            if heard.send((text, Instant::now())).is_err() {
                break;
            }
        }
    });
    let mut delays = Vec::new();
    for number in 0..50 {
        let name = fleet::any(size, number);
        patch(client.clone(), name, 1_000_000 + number).await?;
        let answered = Instant::now();
        let wanted = format!("number {}", 1_000_000 + number);
        let arrived = async {
            while let Some((text, at)) = arrivals.recv().await {
                if text == wanted {
                    return Ok(at);
                }
            }
            Err("the event stream ended")
        };
        let at = tokio::time::timeout(Duration::from_secs(10), arrived).await??;
        delays.push(at.saturating_duration_since(answered).as_secs_f64() * 1000.0);
    }
    listener.abort();
    median(delays).into_iter().for_each(|delay| add(EVENT, delay));
    Ok(())
}

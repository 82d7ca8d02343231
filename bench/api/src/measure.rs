//! The rows of the table.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::load::{self, Took, spread};
use crate::server::{Result, Server};

/// Name and value of every row.
pub(crate) type Column = Vec<(&'static str, String)>;

/// Operations of one measurement of writes.
const WRITES: usize = 400;
/// A kickstart of 145 lines with the lookups that real ones have.
const KICKSTART_LINES: usize = 145;

/// Fills a server with `size` machines, starts it anew, and measures.
pub(crate) async fn at(gantry: &Path, size: usize, rounds: usize) -> Result<Column> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(gantry, folder.path()).await?;
    prepare(&server).await?;
    spread(&server, 8, size, |client, number| load::create(client, format!("seed-{number:06}"), number))
        .await?;
    server.stop().await?;

    let server = Server::start(gantry, folder.path()).await?;
    let mut column = vec![
        ("start to serving, ms", format!("{:.0}", millis(server.start))),
        ("resident memory after start, MiB", format!("{:.0}", server.memory()?)),
    ];
    let mut taken: Vec<(&'static str, Vec<f64>)> = Vec::new();
    let mut add = |name: &'static str, value: f64| match taken.iter_mut().find(|(known, _)| *known == name) {
        Some((_, values)) => values.push(value),
        None => taken.push((name, vec![value])),
    };
    // What is compared is interleaved: the speed of such machines changes from minute to minute.
    for round in 0..rounds {
        writes(&server, round, &mut add).await?;
        reads(&server, size, &mut add).await?;
        event(&server, &mut add).await?;
        jobs(&server, round, &mut add).await?;
        kickstarts(&server, &mut add).await?;
    }
    column.extend(taken.into_iter().map(|(name, values)| (name, shown(median(values)))));
    column.push(("resident memory at the end, MiB", format!("{:.0}", server.memory()?)));
    server.stop().await?;
    Ok(column)
}

async fn prepare(server: &Server) -> Result<()> {
    let client = server.client()?;
    let post = async |path: &str, body: Value| client.call(Method::POST, path, &[], Some(&body)).await;
    for (name, schema) in [("rack", "string"), ("row", "integer"), ("unit", "integer")] {
        post("/params", json!({ "Name": name, "Schema": { "type": schema } })).await?;
    }
    post("/tasks", json!({ "Name": "bench-task" })).await?;
    let template =
        json!([{ "Name": "kickstart", "Path": "{{.Machine.Path}}/bench.ks", "Contents": kickstart() }]);
    post("/stages", json!({ "Name": "bench-stage", "Templates": template })).await?;
    for number in 0..200 {
        let body = json!({ "Name": format!("worker-{number:03}"), "Stage": "bench-stage", "Params": { "rack": "workers" } });
        post("/machines", body).await?;
    }
    Ok(())
}

fn kickstart() -> String {
    let lines = (0..KICKSTART_LINES).map(|line| match line % 12 {
        0 => "url --url {{.ProvisionerURL}}/{{.Machine.Name}}/install\n".to_owned(),
        3 => "{{if .ParamExists \"rack\"}}# rack {{.Param \"rack\"}}{{else}}# no rack{{end}}\n".to_owned(),
        6 => "network --hostname={{.Machine.Name}} --bootproto=dhcp\n".to_owned(),
        9 => "{{range $i, $mac := .Machine.HardwareAddrs}}# card {{$i}} {{$mac}} {{end}}# cards\n".to_owned(),
        _ => format!("part /data{line} --fstype=xfs --size={}\n", 1000 + line),
    });
    lines.collect()
}

async fn writes(server: &Server, round: usize, add: &mut impl FnMut(&'static str, f64)) -> Result<()> {
    let rows = [
        (1, "creates/s, 1 client", "create, ms CPU each", "patches/s, 1 client", "patch, ms CPU each"),
        (
            8,
            "creates/s, 8 clients",
            "create of 8, ms CPU each",
            "patches/s, 8 clients",
            "patch of 8, ms CPU each",
        ),
    ];
    for (clients, creates, create_cpu, patches, patch_cpu) in rows {
        let count = WRITES * clients / 2;
        let name = move |number: usize| format!("fresh-{round}-{clients}-{number}");
        let made =
            spread(server, clients, count, |client, number| load::create(client, name(number), number))
                .await?;
        add(creates, made.per_second());
        add(create_cpu, made.cpu_ms_each());
        let patched =
            spread(server, clients, count, |client, number| patch(client, name(number), number)).await?;
        add(patches, patched.per_second());
        add(patch_cpu, patched.cpu_ms_each());
        spread(server, 8, count, |client, number| delete(client, name(number))).await?;
    }
    Ok(())
}

async fn patch(client: Client, name: String, number: usize) -> Result<()> {
    let body = json!([{ "op": "replace", "path": "/Description", "value": format!("number {number}") }]);
    client.call(Method::PATCH, &format!("/machines/Name:{name}"), &[], Some(&body)).await?;
    Ok(())
}

async fn delete(client: Client, name: String) -> Result<()> {
    client.call(Method::DELETE, &format!("/machines/Name:{name}"), &[], None).await?;
    Ok(())
}

async fn reads(server: &Server, size: usize, add: &mut impl FnMut(&'static str, f64)) -> Result<()> {
    let client = server.client()?;
    client.get("/objects", &[]).await?;
    let began = Instant::now();
    let reply = client.send(client.request(Method::GET, "/machines", &[])).await?;
    let bytes = reply.bytes().await?.len();
    add("list of all machines, ms", millis(began.elapsed()));
    add("list of all machines, MiB", bytes as f64 / 1_048_576.0);
    let name = if size == 0 { "worker-000".to_owned() } else { format!("seed-{:06}", size / 2) };
    add("get by Name, ms", best(&client, &format!("/machines/Name:{name}"), &[]).await?);
    add("list by a parameter's value, ms", best(&client, "/machines", &[("rack", "rack-7")]).await?);
    add("list by a numeric parameter, ms", best(&client, "/machines", &[("row", "7")]).await?);
    Ok(())
}

/// The median of a few calls.
async fn best(client: &Client, path: &str, query: &[(&str, &str)]) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        client.send(client.request(Method::GET, path, query)).await?.bytes().await?;
        times.push(millis(began.elapsed()));
    }
    Ok(median(times))
}

/// From the answer of a patch to its event.
async fn event(server: &Server, add: &mut impl FnMut(&'static str, f64)) -> Result<()> {
    let client = server.client()?;
    let mut events = client.events(None).await?;
    events.register("machines.*.*").await?;
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = {
        let heard = heard.clone();
        tokio::spawn(async move {
            while let Ok(event) = events.next().await {
                let at = Instant::now();
                let text = event.object["Description"].as_str().unwrap_or_default().to_owned();
                heard.lock().map(|mut heard| heard.push((text, at))).unwrap_or_default();
            }
        })
    };
    let mut delays = Vec::new();
    for number in 0..20 {
        patch(client.clone(), "worker-000".into(), 1_000_000 + number).await?;
        let answered = Instant::now();
        let wanted = format!("number {}", 1_000_000 + number);
        let at = loop {
            let found =
                heard.lock().ok().and_then(|h| h.iter().find(|(text, _)| *text == wanted).map(|(_, at)| *at));
            match found {
                Some(at) => break at,
                None => tokio::time::sleep(Duration::from_micros(100)).await,
            }
        };
        delays.push(millis(at.saturating_duration_since(answered)));
    }
    listener.abort();
    add("event after its patch's answer, ms", median(delays));
    Ok(())
}

async fn jobs(server: &Server, round: usize, add: &mut impl FnMut(&'static str, f64)) -> Result<()> {
    let client = server.client()?;
    let mut keys = Vec::new();
    for number in 0..200 {
        let machine = client.get(&format!("/machines/Name:worker-{number:03}"), &[]).await?;
        keys.push(machine["Uuid"].as_str().unwrap_or_default().to_owned());
    }
    // A fresh list for each round, and a job for each machine.
    let tasks = json!([{ "op": "replace", "path": "/Tasks", "value": ["bench-task"] }]);
    let rewind = json!([{ "op": "replace", "path": "/CurrentTask", "value": -1 }]);
    for key in &keys {
        let body = if round == 0 { &tasks } else { &rewind };
        client.call(Method::PATCH, &format!("/machines/{key}"), &[], Some(body)).await?;
    }
    let keys = Arc::new(keys);
    let done = spread(server, 8, keys.len(), |client, number| job(client, keys.clone(), number)).await?;
    add("jobs/s, 8 clients (ask, run, finish)", done.per_second());
    add("job, ms CPU each", done.cpu_ms_each());
    Ok(())
}

async fn job(client: Client, keys: Arc<Vec<String>>, number: usize) -> Result<()> {
    let body = json!({ "Machine": keys[number] });
    let job = client.call(Method::POST, "/jobs", &[], Some(&body)).await?;
    let path = format!("/jobs/{}", job["Uuid"].as_str().ok_or("no job")?);
    for state in ["running", "finished"] {
        let body = json!([{ "op": "replace", "path": "/State", "value": state }]);
        client.call(Method::PATCH, &path, &[], Some(&body)).await?;
    }
    Ok(())
}

async fn kickstarts(server: &Server, add: &mut impl FnMut(&'static str, f64)) -> Result<()> {
    let client = server.client()?;
    let mut urls = Vec::new();
    for number in 0..50 {
        let machine = client.get(&format!("/machines/Name:worker-{number:03}"), &[]).await?;
        urls.push(format!(
            "{}/machines/{}/bench.ks",
            server.files,
            machine["Uuid"].as_str().unwrap_or_default()
        ));
    }
    let urls = Arc::new(urls);
    let http: Vec<reqwest::Client> =
        (0..8).map(|_| gantry_client::http()).collect::<std::result::Result<_, _>>()?;
    let http = Arc::new(http);
    let took: Took = spread(server, 8, 800, |_, number| {
        let (urls, http) = (urls.clone(), http.clone());
        async move {
            let reply = http[number % 8].get(&urls[number % urls.len()]).send().await?.error_for_status()?;
            match reply.text().await?.lines().count() {
                KICKSTART_LINES => Ok(()),
                other => Err(format!("a kickstart of {other} lines").into()),
            }
        }
    })
    .await?;
    add("kickstarts/s (145 lines), 8 clients", took.per_second());
    add("kickstart, ms CPU each", took.cpu_ms_each());
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

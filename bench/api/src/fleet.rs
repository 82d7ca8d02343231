//! The fleet: what is in a server before anything is measured.

use std::path::Path;
use std::time::Duration;

use gantry_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::load::{Load, spread};
use crate::server::{Result, Server};

/// Machines that run jobs and fetch kickstarts. Every fleet has them, the empty one too.
pub(crate) const WORKERS: usize = 200;
/// Lines of the kickstart.
pub(crate) const KICKSTART_LINES: usize = 145;
/// Bytes of the file that is downloaded.
pub(crate) const FILE_BYTES: usize = 256 << 20;
/// Its place below the root of files.
pub(crate) const FILE: &str = "files/bench.bin";
/// Filling need not be polite.
const FILLERS: usize = 32;

/// Makes a store with `size` machines in `folder`.
pub(crate) async fn fill(gantry: &Path, folder: &Path, size: usize) -> Result<()> {
    let server = Server::start(gantry, folder).await?;
    prepare(&server).await?;
    let load = Load { clients: FILLERS, most: size, time: Duration::MAX };
    spread(&server, load, |client, number| create(client, seed(number), number)).await?;
    let file = folder.join("tftpboot").join(FILE);
    tokio::fs::create_dir_all(file.parent().unwrap_or(folder)).await?;
    tokio::fs::write(&file, vec![7; FILE_BYTES]).await?;
    server.stop().await
}

/// The name of a machine that is always there.
pub(crate) fn seed(number: usize) -> String {
    format!("seed-{number:06}.example.com")
}

pub(crate) fn worker(number: usize) -> String {
    format!("worker-{number:03}.example.com")
}

/// Some machine of a fleet of `size`: one after the other, far apart.
pub(crate) fn any(size: usize, number: usize) -> String {
    match size {
        0 => worker(number * 79 % WORKERS),
        _ => seed(number * 7919 % size),
    }
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
    for number in 0..WORKERS {
        let mut body = machine(&worker(number), number);
        body["Stage"] = "bench-stage".into();
        body["Params"]["rack"] = "workers".into();
        post("/machines", body).await?;
    }
    Ok(())
}

/// The shape of a real kickstart: mostly text, a lookup or a condition every third line.
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

/// A machine with ten parameters.
fn machine(name: &str, number: usize) -> Value {
    json!({
        "Name": name,
        "Params": {
            "rack": format!("rack-{}", number % 400),
            "row": number % 40,
            "unit": number % 42,
            "owner": format!("team-{}", number % 17),
            "serial": format!("SN{number:08}"),
            "site": "north",
            "net/vlan": 100 + number % 16,
            "disk-count": 2 + number % 6,
            "bmc/address": format!("10.{}.{}.{}", number / 65_536 % 256, number / 256 % 256, number % 256),
            "labels": { "env": "prod", "tier": number % 3 },
        },
    })
}

pub(crate) async fn create(client: Client, name: String, number: usize) -> Result<()> {
    client.call(Method::POST, "/machines", &[], Some(&machine(&name, number))).await?;
    Ok(())
}

pub(crate) async fn patch(client: Client, name: String, number: usize) -> Result<()> {
    let body = json!([{ "op": "replace", "path": "/Description", "value": format!("number {number}") }]);
    client.call(Method::PATCH, &format!("/machines/Name:{name}"), &[], Some(&body)).await?;
    Ok(())
}

pub(crate) async fn delete(client: Client, name: String) -> Result<()> {
    client.call(Method::DELETE, &format!("/machines/Name:{name}"), &[], None).await?;
    Ok(())
}

//! What machines download: rendered kickstarts, and a large file as it is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fleet::{FILE, FILE_BYTES, KICKSTART_LINES, WORKERS, worker};
use crate::load::{Load, spread};
use crate::server::{Result, Server};
use crate::table::{Row, row};

const KICKSTARTS: Row = row("kickstarts/s (145 lines), 8 clients", "thousands");
const KICKSTART_CPU: Row = row("  ms CPU each", "0.25");
const FILE_RATE: Row = row("file of 256 MiB by HTTP, MB/s", "");
const FILE_CPU: Row = row("  s CPU for each GB", "");

pub(crate) async fn kickstarts(server: &Server, time: Duration, add: &mut dyn FnMut(Row, f64)) -> Result<()> {
    let client = server.client()?;
    let mut urls = Vec::new();
    for number in 0..WORKERS {
        let machine = client.get(&format!("/machines/Name:{}", worker(number)), &[]).await?;
        let uuid = machine["Uuid"].as_str().unwrap_or_default();
        urls.push(format!("{}/machines/{uuid}/bench.ks", server.files));
    }
    let urls = Arc::new(urls);
    let load = Load { clients: 8, most: usize::MAX, time };
    let http =
        (0..load.clients).map(|_| gantry_client::http()).collect::<std::result::Result<Vec<_>, _>>()?;
    let http = Arc::new(http);
    let took = spread(server, load, move |_, number| {
        let (urls, http) = (urls.clone(), http.clone());
        async move {
            let reply = http[number % http.len()].get(&urls[number % urls.len()]).send().await?;
            match reply.error_for_status()?.text().await?.lines().count() {
                KICKSTART_LINES => Ok(()),
                other => Err(format!("a kickstart of {other} lines").into()),
            }
        }
    })
    .await?;
    add(KICKSTARTS, took.per_second());
    add(KICKSTART_CPU, took.cpu_ms_each());
    Ok(())
}

/// Reads with as little of a client as can be.
pub(crate) async fn download(server: &Server, add: &mut dyn FnMut(Row, f64)) -> Result<()> {
    let address = server.files.trim_start_matches("http://").to_owned();
    let cpu = server.cpu()?;
    let began = Instant::now();
    let read = tokio::task::spawn_blocking(move || fetch(&address)).await??;
    let time = began.elapsed();
    if read < FILE_BYTES {
        return Err(format!("a file of {read} bytes").into());
    }
    add(FILE_RATE, read as f64 / 1e6 / time.as_secs_f64());
    add(FILE_CPU, (server.cpu()? - cpu) / (read as f64 / 1e9));
    Ok(())
}

fn fetch(address: &str) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /{FILE} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut buffer = vec![0; 1 << 20];
    let mut all = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(all),
            read => all += read,
        }
    }
}

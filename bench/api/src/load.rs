//! Work for several clients at once, and what it took.

use std::time::{Duration, Instant};

use gantry_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Result, Server};

/// What a number of operations took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) count: usize,
    pub(crate) time: Duration,
    /// Seconds of the server's processor time.
    pub(crate) cpu: f64,
}

impl Took {
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    pub(crate) fn cpu_ms_each(&self) -> f64 {
        self.cpu * 1000.0 / self.count as f64
    }
}

/// Runs `work` for the numbers from 0 to `count`, spread over clients with a connection each.
pub(crate) async fn spread<F, W>(server: &Server, clients: usize, count: usize, work: W) -> Result<Took>
where
    W: Fn(Client, usize) -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let cpu = server.cpu()?;
    let mut lanes = Vec::new();
    for lane in 0..clients {
        let client = server.client()?;
        // The handshake is not what is measured.
        client.get("/objects", &[]).await?;
        let work: Vec<F> =
            (lane..count).step_by(clients).map(|number| work(client.clone(), number)).collect();
        lanes.push(work);
    }
    let began = Instant::now();
    let lanes = lanes.into_iter().map(|work| {
        tokio::spawn(async move {
            for one in work {
                one.await?;
            }
            Result::<()>::Ok(())
        })
    });
    let lanes: Vec<_> = lanes.collect();
    for lane in lanes {
        lane.await??;
    }
    Ok(Took { count, time: began.elapsed(), cpu: server.cpu()? - cpu })
}

/// A machine with ten parameters.
pub(crate) fn machine(name: &str, number: usize) -> Value {
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

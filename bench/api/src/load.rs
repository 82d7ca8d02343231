//! Work for several clients at once, and what it took.

use std::time::{Duration, Instant};

use gantry_client::Client;

use crate::server::{Result, Server};

/// What a number of operations took.
#[derive(Clone, Debug)]
pub(crate) struct Took {
    /// The numbers of the operations that were done.
    pub(crate) done: Vec<usize>,
    pub(crate) time: Duration,
    /// Seconds of the server's processor time.
    pub(crate) cpu: f64,
}

impl Took {
    pub(crate) fn per_second(&self) -> f64 {
        self.done.len() as f64 / self.time.as_secs_f64()
    }

    pub(crate) fn cpu_ms_each(&self) -> f64 {
        self.cpu * 1000.0 / self.done.len().max(1) as f64
    }

    pub(crate) fn ms_each(&self) -> f64 {
        1000.0 / self.per_second()
    }
}

/// How many clients, how many operations at most, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) most: usize,
    pub(crate) time: Duration,
}

/// Runs `work` for the numbers from 0 on, spread over clients with a connection each, until the load is done.
pub(crate) async fn spread<F, W>(server: &Server, load: Load, work: W) -> Result<Took>
where
    W: Fn(Client, usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut clients = Vec::new();
    for _ in 0..load.clients {
        let client = server.client()?;
        // The handshake is not what is measured.
        client.get("/objects", &[]).await?;
        clients.push(client);
    }
    let cpu = server.cpu()?;
    let began = Instant::now();
    let lanes = clients.into_iter().enumerate().map(|(lane, client)| {
        let work = work.clone();
        tokio::spawn(async move {
            let mut done = Vec::new();
            for number in (lane..load.most).step_by(load.clients) {
                if began.elapsed() >= load.time {
                    break;
                }
                work(client.clone(), number).await?;
                done.push(number);
            }
            Result::Ok(done)
        })
    });
    let lanes: Vec<_> = lanes.collect();
    let mut done = Vec::new();
    for lane in lanes {
        done.extend(lane.await??);
    }
    Ok(Took { done, time: began.elapsed(), cpu: server.cpu()? - cpu })
}

//! Waiting for the machine to change: by events, by asking where there are none.

use crate::http::stream::Events;
use crate::http::{Client, Fault, decode};
use crate::session;
use crate::wire::Machine;
use std::time::{Duration, Instant};

/// A wait ends after this time even when nothing happens, and begins anew.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Time for connecting and registering.
const SETUP: Duration = Duration::from_secs(20);
/// Pause between questions to a server without events.
const POLL: Duration = Duration::from_secs(5);

/// Waits until the machine differs from `known`; `None` when nothing happened for an hour.
pub fn wait(client: &Client, known: &Machine) -> Result<Option<Machine>, Fault> {
    let deadline = Instant::now() + PATIENCE;
    let filters = ["update", "save"].map(|action| format!("machines.{action}.{}", known.uuid));
    let mut events = match Events::open(client, &filters, SETUP) {
        Ok(events) => Some(events),
        Err(Fault::Transport(text)) if text.contains("HTTP error: 4") => None,
        Err(fault) => return Err(fault),
    };
    loop {
        let machine = fetch(client, &known.uuid)?;
        if !session::same_for_us(known, &machine) {
            return Ok(Some(machine));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        match &mut events {
            Some(events) => {
                events.next(deadline)?;
            }
            None => std::thread::sleep(POLL),
        }
    }
}

fn fetch(client: &Client, uuid: &str) -> Result<Machine, Fault> {
    let answer = client.get(&format!("machines/{uuid}?slim=Params,Meta"))?;
    decode("machine", answer.body)
}

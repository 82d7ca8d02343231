//! What only machines have: tokens and the boot trace (reference: api.md §15.6).

use std::time::Duration;

use gantry_api::{Error, duration};
use gantry_model::{Kind, Machine, check};
use serde_json::json;

use super::answer::{self, Answer};
use super::{Ask, users};
use crate::auth::Token;
use crate::trace::{Entry, Reader, Wanted};
use crate::{clock, tokens};

/// The longest wait for news of a trace.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

fn machine(ask: &Ask) -> Result<std::sync::Arc<Machine>, Error> {
    let missing = || Error::not_found(ask.method, "machines", &ask.route.key);
    let key = ask.view.lookup(Kind::Machine, &ask.route.key).ok_or_else(missing)?;
    ask.view.object(&key).ok_or_else(missing)
}

/// `GET /machines/<k>/token`
pub(super) fn token(ask: &Ask) -> Answer {
    let machine = machine(ask)?;
    let default = i64::try_from(tokens::known_timeout(&ask.view).as_secs()).unwrap_or(i64::MAX);
    let ttl = users::ttl(ask, default)?;
    let ttl = Duration::from_secs(u64::try_from(ttl).unwrap_or(0));
    let issued = Token::for_machine(&machine.uuid.to_string(), clock::now(), ttl).issue(&ask.view);
    let issued = issued.ok_or_else(|| Error::not_found(ask.method, "machines", &ask.route.key))?;
    answer::ok(&json!({ "Token": issued, "Info": *super::info::describe(ask) }))
}

/// `GET /machines/<k>/trace`
pub(super) async fn trace(ask: Ask) -> Answer {
    let since = number(&ask, "since")?.unwrap_or_default();
    let wait = match ask.query.get("wait") {
        Some(text) => {
            duration::parse(text).map_err(|text| Error::malformed(ask.method, text))?.min(LONGEST_WAIT)
        }
        None => Duration::ZERO,
    };
    let wanted = match machine(&ask) {
        Ok(machine) => Wanted {
            machine: machine.uuid.to_string(),
            macs: machine.hardware_addrs.clone(),
            address: machine.address.0,
            since,
        },
        Err(error) => Wanted { since, ..stranger(&ask.route.key).ok_or(error)? },
    };
    let deadline = tokio::time::Instant::now() + wait;
    let mut reader = Reader::new(&wanted);
    let mut entries = read(&ask, &mut reader).await?;
    let mut newest = ask.api.trace.newest();
    while entries.is_empty() {
        let changed = ask.api.trace.changed_since(newest);
        let going_on = tokio::select! {
            woken = tokio::time::timeout_at(deadline, changed) => woken.is_ok(),
            () = ask.api.stop.cancelled() => false,
        };
        if !going_on {
            break;
        }
        newest = ask.api.trace.newest();
        entries = read(&ask, &mut reader).await?;
    }
    if since == 0 && ask.query.get("boot") != Some("all") {
        let last = entries.last().map_or(0, |entry| entry.boot);
        let boot = last.saturating_sub(number(&ask, "boot")?.unwrap_or_default());
        entries.retain(|entry| entry.boot == boot);
    }
    answer::ok(&entries)
}

/// Who is meant by a MAC or an address while no machine has registered with it: a boot that fails before is the one that most
/// needs to be seen.
fn stranger(key: &str) -> Option<Wanted> {
    let mac = || Some(Wanted { macs: vec![check::mac(key).ok()?], ..Wanted::default() });
    let address = || Some(Wanted { address: Some(key.parse().ok()?), ..Wanted::default() });
    mac().or_else(address)
}

async fn read(ask: &Ask, reader: &mut Reader) -> Result<Vec<Entry>, Error> {
    let (trace, mut reading) = (ask.api.trace.clone(), reader.clone());
    let (read, entries) = super::blocking(move || {
        let entries = trace.read(&mut reading);
        (reading, entries)
    })
    .await?;
    *reader = read;
    Ok(entries)
}

fn number(ask: &Ask, name: &str) -> Result<Option<u64>, Error> {
    let Some(text) = ask.query.get(name) else { return Ok(None) };
    let wrong = |_| Error::malformed(ask.method, format!("{name} is `{text}`; it must be a whole number"));
    text.parse().map(Some).map_err(wrong)
}

//! What only machines have: tokens, whoami and the boot trace (reference: api.md §10.20, §15.6).

use std::time::Duration;

use gantry_api::types::{Whoami, WhoamiResult};
use gantry_api::{Error, duration};
use gantry_model::{Kind, Machine, View, check};
use serde_json::json;

use super::answer::{self, Answer};
use super::{Ask, body, users};
use crate::auth::Token;
use crate::trace::{Entry, Reader, Wanted};
use crate::{clock, tokens};

/// A machine is recognised from this score on.
const ENOUGH: u64 = 100;
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

/// `POST /whoami`
pub(super) async fn whoami(mut ask: Ask) -> Answer {
    let given = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let mut whoami: Whoami =
        serde_json::from_value(given).map_err(|error| Error::malformed("POST", error.to_string()))?;
    whoami.result = best(&ask.view, &whoami).unwrap_or_default();
    if !whoami.result.uuid.is_empty() {
        let ttl = tokens::known_timeout(&ask.view);
        let token = Token::for_machine(&whoami.result.uuid, clock::now(), ttl);
        whoami.result.token = token.issue(&ask.view).unwrap_or_default();
        ask.api.note_machine(
            &ask.view,
            &whoami.result.uuid,
            Some(ask.remote()),
            "agent",
            "asks who it is".into(),
        );
    }
    answer::ok(&whoami)
}

fn best(view: &View, asked: &Whoami) -> Option<WhoamiResult> {
    let scored = candidates(view, asked).map(|machine| (score(&machine, asked), machine));
    let (score, machine) = scored.max_by_key(|(score, _)| *score)?;
    (score >= ENOUGH).then(|| WhoamiResult { score, uuid: machine.uuid.to_string(), token: String::new() })
}

/// Machines that can reach the score at all. One MAC or the remembered UUID finds them by index; only a fingerprint
/// without either needs a look at every machine.
fn candidates<'a>(
    view: &'a View,
    asked: &'a Whoami,
) -> Box<dyn Iterator<Item = std::sync::Arc<Machine>> + 'a> {
    let by_uuid = view.object::<Machine>(&asked.on_disk_uuid.to_ascii_lowercase());
    if let Some(machine) = by_uuid {
        return Box::new(std::iter::once(machine));
    }
    let macs: Vec<String> = asked.mac_addrs.iter().map(|mac| mac.to_ascii_lowercase()).collect();
    let by_mac: Vec<_> = macs
        .iter()
        .flat_map(|mac| view.find(Kind::Machine, "HardwareAddrs", mac))
        .filter_map(|key| view.object(key))
        .collect();
    match by_mac.is_empty() {
        false => Box::new(by_mac.into_iter()),
        true if asked.fingerprint == gantry_api::types::Fingerprint::default() => {
            Box::new(std::iter::empty())
        }
        true => Box::new(view.objects::<Machine>()),
    }
}

/// Points of likeness (reference: api.md §10.20): a field counts only when the stored machine has it.
fn score(machine: &Machine, asked: &Whoami) -> u64 {
    let (known, given) = (&machine.fingerprint, &asked.fingerprint);
    let same =
        |known: &str, given: &str, points| if !known.is_empty() && known == given { points } else { 0 };
    let uuid = machine.uuid.to_string();
    let memory: Vec<String> = known.memory_ids.iter().map(ToString::to_string).collect();
    let macs: Vec<String> = machine.hardware_addrs.iter().map(|mac| mac.to_ascii_lowercase()).collect();
    let given_macs: Vec<String> = asked.mac_addrs.iter().map(|mac| mac.to_ascii_lowercase()).collect();
    same(&known.ssn_hash.to_string(), &given.ssn_hash, 25)
        + same(&known.csn_hash.to_string(), &given.csn_hash, 25)
        + same(&known.system_uuid, &given.system_uuid, 50)
        + same(&known.cloud_instance_id, &given.cloud_instance_id, 500)
        + share(&memory, &given.memory_ids)
        + share(&macs, &given_macs)
        + same(&uuid, &asked.on_disk_uuid.to_ascii_lowercase(), 1_000)
}

/// 100 points times the part of the known ones that was given.
fn share(known: &[String], given: &[String]) -> u64 {
    let matched = known.iter().filter(|one| given.contains(one)).count();
    match known.len() {
        0 => 0,
        all => (100 * matched / all) as u64,
    }
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

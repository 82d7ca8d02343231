//! `DELETE /jobs`: old jobs and their logs go (reference: api.md §10.8). Which ones is decided by `gantry_workflow::retention`.

use gantry_api::refusal::Target;
use gantry_api::{Error, duration};
use gantry_model::{Error as Refused, Kind};
use gantry_workflow::retention::{Policy, Whose, expired};

use super::Ask;
use super::answer::{self, Answer};
use crate::clock;

/// Jobs that are deleted in one transaction.
const CHUNK: usize = 256;

/// `DELETE /jobs`
pub(super) async fn purge(ask: Ask) -> Answer {
    let policy = policy(&ask)?;
    let machine = machine(&ask)?;
    let view = ask.view.clone();
    let whose = move || {
        let whose = match machine.as_deref() {
            None => Whose::Everybody,
            Some("missing") => Whose::Missing,
            Some(key) => Whose::Machine(key),
        };
        expired(&view, whose, policy, clock::now())
    };
    let expired = super::blocking(whose).await?;
    if ask.query.flag("dryrun") {
        return answer::ok(&expired);
    }
    let mut gone = Vec::new();
    for chunk in expired.chunks(CHUNK) {
        gone.extend(delete(&ask, chunk.to_vec()).await?);
    }
    answer::ok(&gone)
}

/// Deletes jobs together; one that has come to life or is gone meanwhile is left alone.
async fn delete(ask: &Ask, keys: Vec<String>) -> Result<Vec<String>, Error> {
    let written = ask.write("jobs.purge", Target::Object, move |tx| {
        let mut gone = Vec::new();
        for key in &keys {
            match tx.delete(Kind::Job, key) {
                Ok(_) => gone.push(key.clone()),
                Err(Refused::NotFound { .. } | Refused::Invalid { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    });
    let gone = written.await?.value;
    gone.iter().for_each(|key| ask.api.deleted(&ask.view, Kind::Job, key));
    Ok(gone)
}

/// The machine that was named, by its UUID; `missing` stays as it is.
fn machine(ask: &Ask) -> Result<Option<String>, Error> {
    let Some(named) = ask.query.get("machine").filter(|named| !named.is_empty()) else { return Ok(None) };
    if named == "missing" {
        return Ok(Some(named.to_owned()));
    }
    let found = ask.view.lookup(Kind::Machine, named);
    let missing = || Error::not_found(ask.method, Kind::Machine.prefix(), named);
    Ok(Some(found.ok_or_else(missing)?.as_str().to_owned()))
}

/// The preferences, and what the query puts in their place.
fn policy(ask: &Ask) -> Result<Policy, Error> {
    let wrong = |text: String| Error::new(400, ask.method, text).about("jobs", "");
    let text = |name: &str| ask.query.get(name).map_or_else(|| ask.view.preference(name), str::to_owned);
    let seconds = |name: &str| match text(name).trim() {
        "" => Ok(None),
        time => {
            let time = duration::parse(time).map_err(|reason| wrong(format!("{name}: {reason}")))?.as_secs();
            Ok((time > 0).then_some(i64::try_from(time).unwrap_or(i64::MAX)))
        }
    };
    let keep = match text("jobsToKeep").trim() {
        "" => 0,
        count => count.parse().map_err(|_| {
            wrong(format!("jobsToKeep is `{count}`; it must be a number of jobs, or 0 for all"))
        })?,
    };
    Ok(Policy {
        keep: (keep > 0).then_some(keep),
        failed_seconds: seconds("failedJobsPurgedAfter")?,
        finished_seconds: seconds("completeJobsPurgedAfter")?,
    })
}

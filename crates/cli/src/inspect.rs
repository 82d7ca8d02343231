//! What ran on one machine: `machines inspect jobs` and `machines inspect tasks`.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::machine::text;
use crate::run::Typed;
use crate::verb::Do;

/// The jobs of a machine, or those of them that ran one task; with an index, the one of them that has it.
pub(crate) async fn inspect(act: Do, typed: &Typed<'_>) -> Result<Option<Value>, Error> {
    let machine = typed.get(&typed.path(), &[]).await?;
    let mut query = vec![("Machine", text(&machine, "Uuid")), ("sort", "StartTime")];
    let index = if act == Do::InspectTasks {
        query.push(("Task", typed.word(1)));
        typed.optional(2)
    } else {
        typed.optional(1)
    };
    if let Some(index) = index {
        let wrong = |_| Error::Usage(format!("the index is `{index}`; it must be a number from 0 on"));
        index.parse::<u32>().map_err(wrong)?;
        query.extend([("offset", index), ("limit", "1")]);
    }
    let mut jobs = typed.get("/jobs", &query).await?;
    if typed.switch("full") {
        for job in jobs.as_array_mut().into_iter().flatten() {
            fill(typed, job).await?;
        }
    }
    Ok(Some(jobs))
}

/// Puts the log and the number of actions into the job's Meta.
async fn fill(typed: &Typed<'_>, job: &mut Value) -> Result<(), Error> {
    let path = format!("/jobs/{}", text(job, "Uuid"));
    let client = &typed.session.client;
    let log = client.send(client.request(Method::GET, &format!("{path}/log"), &[])).await?;
    let broken = |error: reqwest::Error| gantry_client::Error::Unreachable {
        url: path.clone(),
        reason: error.to_string(),
    };
    let log = log.text().await.map_err(broken)?;
    let count = count(typed.get(&format!("{path}/actions"), &[]).await)?.to_string();
    if let Some(Value::Object(meta)) = job.get_mut("Meta") {
        meta.insert("log".into(), log.into());
        meta.insert("actionCount".into(), json!(count));
    }
    Ok(())
}

/// How many actions there are. A task that is gone, or that cannot be rendered any more, has none; its log is there all the same.
fn count(actions: Result<Value, Error>) -> Result<usize, Error> {
    match actions {
        Err(Error::Client(error)) if matches!(error.code(), Some(404 | 422)) => Ok(0),
        actions => Ok(actions?.as_array().map_or(0, Vec::len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_actions_that_are_gone_are_none() {
        let refused = |code| {
            let error = gantry_api::Error { code, ..gantry_api::Error::default() };
            count(Err(gantry_client::Error::Refused(error).into())).ok()
        };
        assert_eq!([404, 422, 403, 500].map(refused), [Some(0), Some(0), None, None]);
        assert_eq!(count(Ok(json!([{}, {}]))).ok(), Some(2));
    }
}

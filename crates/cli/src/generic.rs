//! Verbs that work on any kind.

use std::time::Duration;

use gantry_client::Waited;
use gantry_model::Kind;
use http::Method;
use http::header::{ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::run::Typed;
use crate::{Error, input, merge, output, warn};

type Answer = Result<Option<Value>, Error>;

/// A wait without a given time lasts a day, as drpcli's does.
const WAIT: Duration = Duration::from_secs(86_400);

/// `Field=value`, or the three words `Field Gt value`; how to show is `reverse`, or two words such as `sort Field`.
pub(crate) fn filters<'a>(words: &[&'a str]) -> Result<Vec<(&'a str, String)>, Error> {
    let mut found = Vec::new();
    let mut rest = words;
    while let [word, after @ ..] = rest {
        rest = match (word.split_once('='), *word, after) {
            (Some((name, value)), ..) => {
                found.push((name, value.to_owned()));
                after
            }
            (None, "reverse", _) => {
                found.push(("reverse", "true".to_owned()));
                after
            }
            (None, "sort" | "limit" | "offset", [value, after @ ..]) => {
                found.push((word, (*value).to_owned()));
                after
            }
            (None, name, [test, value, after @ ..]) => {
                found.push((name, format!("{}({value})", capitalized(test))));
                after
            }
            _ => {
                return Err(Error::Usage(format!(
                    "`{word}` is no filter; write Field=value or Field Eq value"
                )));
            }
        };
    }
    Ok(found)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters.flat_map(char::to_lowercase)).collect()
}

pub(crate) async fn list(typed: &Typed<'_>) -> Answer {
    let filters = filters(typed.rest())?;
    let mut query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query.extend(typed.query().into_iter().filter(|(name, _)| *name != "force"));
    let found = typed.get(&format!("/{}", typed.noun), &query).await?;
    if typed.session.format.is_table() && found.as_array().is_some_and(Vec::is_empty) {
        output::say(&format!("no {}", typed.noun));
        return Ok(None);
    }
    Ok(Some(found))
}

pub(crate) async fn count(typed: &Typed<'_>) -> Answer {
    let filters = filters(typed.rest())?;
    let query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let client = &typed.session.client;
    let reply = client.send(client.request(Method::HEAD, &format!("/{}", typed.noun), &query)).await?;
    let header = reply.headers().get(HeaderName::from_static("x-drp-list-filter-count"));
    let count = header.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    count
        .map(|count| Some(json!(count)))
        .ok_or_else(|| Error::Usage("the server did not say how many".into()))
}

pub(crate) async fn exists(typed: &Typed<'_>) -> Answer {
    let client = &typed.session.client;
    let mut request = client.request(Method::HEAD, &typed.path(), &[]);
    let waited = if typed.noun == "contents" { None } else { typed.flag("wait") };
    if let Some(wait) = waited {
        let tag = match typed.flag("etag") {
            Some(tag) => tag.to_owned(),
            None => tag(typed).await?,
        };
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| Error::Usage(format!("`{text}` is no header")))
        };
        request =
            request.header(IF_NONE_MATCH, header(&tag)?).header("prefer", header(&format!("wait={wait}"))?);
    }
    client.send(request).await.map(|_| None).map_err(|error| missing(error, typed))
}

/// `HEAD` has no body, so the words of its refusal are made here.
fn missing(error: gantry_client::Error, typed: &Typed<'_>) -> Error {
    match error.code() {
        Some(404) => {
            gantry_client::Error::Refused(gantry_api::Error::not_found("GET", &typed.noun, typed.word(0)))
                .into()
        }
        _ => error.into(),
    }
}

async fn tag(typed: &Typed<'_>) -> Result<String, Error> {
    let client = &typed.session.client;
    let reply = client.send(client.request(Method::HEAD, &typed.path(), &[])).await;
    let reply = reply.map_err(|error| missing(error, typed))?;
    let tag = reply.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    tag.map(str::to_owned).ok_or_else(|| Error::Usage("the server gave no tag".into()))
}

pub(crate) async fn etag(typed: &Typed<'_>) -> Answer {
    Ok(Some(Value::String(tag(typed).await?)))
}

/// The field that a bare word on the command line stands for.
fn key_field(noun: &str) -> &'static str {
    match Kind::from_prefix(noun) {
        Some(Kind::Machine) => "Name",
        Some(kind) => kind.spec().key_field,
        None => "Name",
    }
}

pub(crate) async fn create(typed: &Typed<'_>) -> Answer {
    let (value, text) = input::scalar_with_text(typed.word(0)).await?;
    let body = match value {
        Value::String(machine) if typed.noun == "jobs" => job_of(typed, &machine).await?,
        // A word is a name, also when YAML takes it for something else.
        Value::String(_) | Value::Bool(_) | Value::Number(_) => {
            json!({ key_field(&typed.noun): text.trim() })
        }
        other => input::fitted(&typed.noun, other),
    };
    warn::of_unknown_fields(&typed.noun, &body);
    match typed.send(Method::POST, &format!("/{}", typed.noun), Some(&body)).await {
        Ok(made) => Ok(Some(made)),
        Err(error) => Err(taken(typed, &body, error).await),
    }
}

/// Which object has the value already that must be there once only.
async fn taken(typed: &Typed<'_>, body: &Value, error: Error) -> Error {
    let text = error.to_string();
    let index = text.split("violates unique index ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let value = index.and_then(|index| Some((index, body.get(index)?.as_str()?)));
    let (Some((index, value)), Some(kind)) = (value, Kind::from_prefix(&typed.noun)) else { return error };
    let path = format!("/{}/{index}:{value}", typed.noun);
    let Ok(other) = typed.get(&path, &[]).await else { return error };
    match other.get(kind.spec().key_field).and_then(Value::as_str) {
        Some(key) => {
            Error::Usage(format!("{text}\nhint: {}/{key} has the {index} {value} already", typed.noun))
        }
        None => error,
    }
}

/// A job is asked for by its machine's key or name.
async fn job_of(typed: &Typed<'_>, machine: &str) -> Result<Value, Error> {
    let found = match typed.get(&format!("/machines/{machine}"), &[]).await {
        Err(Error::Client(error)) if error.code() == Some(404) => {
            typed.get(&format!("/machines/Name:{machine}"), &[]).await?
        }
        found => found?,
    };
    Ok(json!({ "Machine": found.get("Uuid") }))
}

pub(crate) async fn update(typed: &Typed<'_>) -> Answer {
    let mut change = input::fitted(&typed.noun, input::value(typed.word(1)).await?);
    if let Some(Value::Object(params)) = change.get_mut("Params") {
        typed.session.client.seal_all(&typed.path(), params).await?;
    }
    warn::of_unknown_fields(&typed.noun, &change);
    let from = match &typed.session.reference {
        Some(reference) => reference.clone(),
        None => typed.get(&typed.path(), &[]).await?,
    };
    let patch = merge::patch(&from, &change);
    Ok(Some(typed.send(Method::PATCH, &typed.path(), Some(&patch)).await?))
}

pub(crate) async fn patch(typed: &Typed<'_>) -> Answer {
    let patch = input::value(typed.word(1)).await?;
    warn::of_unknown_paths(&typed.noun, &patch);
    Ok(Some(typed.send(Method::PATCH, &typed.path(), Some(&patch)).await?))
}

pub(crate) async fn destroy(typed: &Typed<'_>) -> Answer {
    typed.send(Method::DELETE, &typed.path(), None).await?;
    let single = typed.noun.strip_suffix('s').unwrap_or(&typed.noun);
    output::print(&format!("Deleted {single} {}", typed.word(0)));
    Ok(None)
}

pub(crate) async fn wait(typed: &Typed<'_>) -> Answer {
    let timeout = match typed.optional(3) {
        Some(text) => gantry_api::duration::parse(text).map_err(Error::Usage)?,
        None => WAIT,
    };
    let (field, wanted) = (typed.word(1), typed.word(2));
    let is_wanted = |value: &Value| match value.get(field) {
        Some(Value::String(text)) => text == wanted,
        Some(other) => *other.to_string() == *wanted,
        None => false,
    };
    let waited = typed.session.client.wait_for(&typed.noun, typed.word(0), timeout, is_wanted);
    let word = tokio::select! {
        waited = waited => match waited? {
            Waited::Complete(_) => "complete",
            Waited::Timeout(last) => {
                output::say(&still(typed, timeout, last.get(field)));
                "timeout"
            }
        },
        _ = tokio::signal::ctrl_c() => "interrupt",
    };
    output::print(word);
    Ok(None)
}

/// What is said when the time of a wait is over.
fn still(typed: &Typed<'_>, timeout: Duration, last: Option<&Value>) -> String {
    let (object, field, wanted) = (format!("{}/{}", typed.noun, typed.word(0)), typed.word(1), typed.word(2));
    match last {
        Some(last) => format!("timeout: after {timeout:?} {field} of {object} is {last}, not `{wanted}`"),
        None => format!(
            "timeout: after {timeout:?} {object} has no field {field}; field names are as `show` prints them"
        ),
    }
}

pub(crate) async fn token(typed: &Typed<'_>) -> Answer {
    let mut query = Vec::new();
    for pair in typed.rest().chunks(2) {
        match pair {
            [name @ ("ttl" | "scope" | "action" | "specific" | "roles"), value] => {
                query.push((*name, *value));
            }
            other => {
                return Err(Error::Usage(format!(
                    "`{}` is no pair of ttl, scope, action, specific or roles and a value",
                    other.join(" ")
                )));
            }
        }
    }
    Ok(Some(typed.get(&format!("{}/token", typed.path()), &query).await?))
}

pub(crate) async fn upload_content(typed: &Typed<'_>) -> Answer {
    if std::path::Path::new(typed.word(0)).is_dir() {
        return Err(Error::Usage(format!(
            "{0} is a folder, here a file is wanted\nhint: `gantry content upload {0}` takes folders",
            typed.word(0)
        )));
    }
    let mut pack = input::value(typed.word(0)).await?;
    crate::content::key::open(typed.flag("key"), &mut pack)?;
    let name = pack.pointer("/meta/Name").and_then(Value::as_str);
    let name = name.ok_or_else(|| Error::Usage("the pack has no meta.Name".into()))?;
    let path = format!("/contents/{name}");
    let (method, path) = match typed.session.client.exists(&path).await? {
        true => (Method::PUT, path),
        false => (Method::POST, "/contents".to_owned()),
    };
    let query: &[(&str, &str)] =
        if typed.switch("replace-writable") { &[("replaceWritable", "true")] } else { &[] };
    Ok(Some(typed.session.client.call(method, &path, query, Some(&pack)).await?))
}

pub(crate) async fn upload_template(typed: &Typed<'_>) -> Answer {
    let contents = input::text(typed.word(0)).await?;
    let id = typed.word(1);
    let path = format!("/templates/{id}");
    if typed.session.client.exists(&path).await? {
        let patch = json!([{ "op": "replace", "path": "/Contents", "value": contents }]);
        return Ok(Some(typed.send(Method::PATCH, &path, Some(&patch)).await?));
    }
    let body = json!({ "ID": id, "Contents": contents });
    Ok(Some(typed.send(Method::POST, "/templates", Some(&body)).await?))
}

pub(crate) async fn raw(typed: &Typed<'_>) -> Answer {
    let word = typed.word(0).to_ascii_uppercase();
    let method = word.parse().map_err(|_| Error::Usage(format!("`{word}` is no HTTP method")))?;
    let (path, query) = typed.word(1).split_once('?').unwrap_or((typed.word(1), ""));
    let path = path.strip_prefix(gantry_api::operation::BASE).unwrap_or(path);
    let query = gantry_api::query::Query::parse(query);
    let pairs: Vec<(&str, &str)> =
        query.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = match typed.optional(2) {
        Some(text) => Some(input::value(text).await?),
        None => None,
    };
    let answer = typed.session.client.call(method, path, &pairs, body.as_ref()).await?;
    Ok(Some(answer).filter(|answer| !answer.is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_in_both_spellings() {
        let got = filters(&["Name=bob", "Runnable", "eq", "true", "Age=Gt(3)"]).unwrap();
        assert_eq!(
            got,
            [("Name", "bob".into()), ("Runnable", "Eq(true)".into()), ("Age", "Gt(3)".to_owned())]
        );
        let got = filters(&["sort", "Name", "reverse", "limit", "3"]).unwrap();
        assert_eq!(got, [("sort", "Name".into()), ("reverse", "true".into()), ("limit", "3".to_owned())]);
        assert!(filters(&["Name"]).unwrap_err().to_string().contains("`Name` is no filter"));
    }
}

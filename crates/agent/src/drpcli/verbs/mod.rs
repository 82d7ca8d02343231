//! What the verbs do. Those that edit lists of machines and those that wait have their own files.

mod lists;
mod wait;

pub(super) use lists::{add_profiles, add_tasks, remove_profiles, remove_tasks};
pub(super) use wait::wait;

use super::table::Call;
use super::{Output, explain, value_of};
use crate::http::Client;
use crate::inventory;
use crate::wire::patch_op;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;

type Result<T = Output> = std::result::Result<T, String>;

fn ask(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    client.json(method, path, body).map(|answer| answer.body).map_err(explain)
}

fn json(value: Value) -> Result {
    Ok(Output::Json(value))
}

pub(super) fn get(client: &Client, path: &str) -> Result {
    json(ask(client, "GET", path, None)?)
}

pub(super) fn list(c: Call<'_>) -> Result {
    let filters: Vec<String> =
        c.words.iter().filter(|word| word.contains('=')).map(|word| (*word).to_owned()).collect();
    let options = c.line.query();
    let joined = [options.trim_start_matches('?').to_owned(), filters.join("&")];
    let query = joined.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
    get(c.client, &format!("{}?{query}", c.kind))
}

pub(super) fn exists(c: Call<'_>) -> Result {
    c.client.head_length(&c.path()).map_err(explain)?;
    Ok(Output::Done)
}

pub(super) fn create(c: Call<'_>) -> Result {
    let object = match value_of(c.word(0))? {
        Value::String(name) => json!({"Name": name}),
        object => object,
    };
    json(ask(c.client, "POST", &format!("{}{}", c.kind, c.line.query()), Some(&object))?)
}

pub(super) fn destroy(c: Call<'_>) -> Result {
    let path = format!("{}{}", c.path(), c.line.query());
    ask(c.client, "DELETE", &path, None)?;
    Ok(Output::Text(format!("Deleted {} {}\n", c.kind.trim_end_matches('s'), c.word(0))))
}

/// Merges an object into what is there and sends the fields that it names.
pub(super) fn update(c: Call<'_>) -> Result {
    let Value::Object(wanted) = value_of(c.word(1))? else {
        return Err("update: want a JSON object".into());
    };
    let now = ask(c.client, "GET", &c.path(), None)?;
    let patch: Vec<Value> = wanted
        .into_iter()
        .map(|(name, value)| {
            let mut merged = now.get(&name).cloned().unwrap_or(Value::Null);
            merge(&mut merged, value);
            patch_op("add", &pointer(&name), merged)
        })
        .collect();
    send_patch(&c, &c.path(), patch)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(&name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A name as a JSON pointer (RFC 6901).
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn send_patch(c: &Call<'_>, path: &str, patch: Vec<Value>) -> Result {
    json(ask(c.client, "PATCH", &format!("{path}{}", c.line.query()), Some(&Value::Array(patch)))?)
}

pub(super) fn patch(c: Call<'_>) -> Result {
    let Value::Array(operations) = value_of(c.word(1))? else {
        return Err("patch: want an array of RFC 6902 operations".into());
    };
    send_patch(&c, &c.path(), operations)
}

pub(super) fn set_field(c: Call<'_>, field: &str) -> Result {
    send_patch(&c, &c.path(), vec![patch_op("replace", &pointer(field), c.word(1))])
}

pub(super) fn set_runnable(c: Call<'_>, runnable: bool) -> Result {
    send_patch(&c, &c.path(), vec![patch_op("replace", "/Runnable", runnable)])
}

// --- params and meta ------------------------------------------------------------------------------

pub(super) fn get_param(c: Call<'_>) -> Result {
    get(c.client, &format!("{}/params/{}{}", c.path(), c.word(1), c.line.query()))
}

pub(super) fn set_param(c: Call<'_>) -> Result {
    let value = value_of(c.word(2))?;
    if value.is_null() {
        return remove_param(c);
    }
    json(ask(c.client, "POST", &format!("{}/params/{}", c.path(), c.word(1)), Some(&value))?)
}

pub(super) fn add_param(c: Call<'_>) -> Result {
    let known = ask(c.client, "GET", &format!("{}/params/{}", c.path(), c.word(1)), None)?;
    if !known.is_null() {
        return Err(format!(
            "Key, {}, already present on {} {}",
            c.word(1),
            c.kind.trim_end_matches('s'),
            c.word(0)
        ));
    }
    set_param(c)
}

pub(super) fn remove_param(c: Call<'_>) -> Result {
    json(ask(c.client, "DELETE", &format!("{}/params/{}", c.path(), c.word(1)), None)?)
}

pub(super) fn replace_params(c: Call<'_>) -> Result {
    let params = value_of(c.word(1))?;
    json(ask(c.client, "POST", &format!("{}/params", c.path()), Some(&params))?)
}

pub(super) fn get_meta(c: Call<'_>) -> Result {
    let object = ask(c.client, "GET", &c.path(), None)?;
    json(object.pointer(&format!("/Meta{}", pointer(c.word(1)))).cloned().unwrap_or(Value::Null))
}

pub(super) fn set_meta(c: Call<'_>) -> Result {
    let path = format!("/Meta{}", pointer(c.word(1)));
    send_patch(&c, &c.path(), vec![patch_op("add", &path, c.word(2))])
}

// --- jobs, actions, files, events -----------------------------------------------------------------

pub(super) fn current_job(c: Call<'_>) -> Result {
    let machine = ask(c.client, "GET", &c.path(), None)?;
    let id = machine.get("CurrentJob").and_then(Value::as_str).unwrap_or_default();
    get(c.client, &format!("jobs/{id}"))
}

pub(super) fn current_log(c: Call<'_>) -> Result {
    let machine = ask(c.client, "GET", &c.path(), None)?;
    let id = machine.get("CurrentJob").and_then(Value::as_str).unwrap_or_default();
    c.client.download(&format!("jobs/{id}/log"), &mut std::io::stdout()).map_err(explain)?;
    Ok(Output::Done)
}

pub(super) fn job_log(c: Call<'_>) -> Result {
    c.client.download(&format!("{}/log", c.path()), &mut std::io::stdout()).map_err(explain)?;
    Ok(Output::Done)
}

pub(super) fn append_log(c: Call<'_>) -> Result {
    let mut text = Vec::new();
    if c.word(1) == "-" {
        std::io::stdin().read_to_end(&mut text).map_err(|error| error.to_string())?;
    } else {
        text.extend_from_slice(c.word(1).as_bytes());
    }
    c.client.put_bytes(&format!("{}/log", c.path()), &text, &[]).map_err(explain)?;
    Ok(Output::Text("Success\n".into()))
}

/// Parameters are a JSON object or pairs of name and value.
pub(super) fn run_action(c: Call<'_>) -> Result {
    let body = match c.words.get(2..).unwrap_or_default() {
        [] => json!({}),
        [one] => value_of(one)?,
        pairs => {
            let mut object = Map::new();
            for pair in pairs.chunks(2) {
                let [name, value] = pair else { return Err(format!("{}: value missing", pair[0])) };
                object.insert((*name).to_owned(), value_of(value)?);
            }
            Value::Object(object)
        }
    };
    json(ask(c.client, "POST", &format!("{}/actions/{}", c.path(), c.word(1)), Some(&body))?)
}

pub(super) fn post_event(c: Call<'_>) -> Result {
    let event = value_of(c.word(0))?;
    ask(c.client, "POST", "events", Some(&event))?;
    Ok(Output::Done)
}

pub(super) fn list_files(c: Call<'_>) -> Result {
    get(c.client, &format!("files?path={}", c.word(0)))
}

pub(super) fn download(c: Call<'_>) -> Result {
    let path = c.path();
    let result = match c.word(1) {
        "-" => c.client.download(&path, &mut std::io::stdout()),
        place => {
            let mut file = std::fs::File::create(place).map_err(|error| format!("{place}: {error}"))?;
            c.client.download(&path, &mut file)
        }
    };
    result.map_err(explain)?;
    Ok(Output::Done)
}

pub(super) fn upload(c: Call<'_>) -> Result {
    let bytes = match c.word(0) {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        place => std::fs::read(place),
    };
    let bytes = bytes.map_err(|error| format!("{}: {error}", c.word(0)))?;
    let answer =
        c.client.send_bytes("POST", &format!("{}/{}", c.kind, c.word(1)), &bytes, &[]).map_err(explain)?;
    json(answer.body)
}

pub(super) fn gohai() -> Result {
    json(inventory::gohai::of(&inventory::gather(Path::new("/"))))
}

pub(super) fn fingerprint() -> Result {
    let print = inventory::fingerprint::of(Path::new("/"));
    json(serde_json::to_value(print).map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut target, json!({"a": {"b": null, "e": 3}, "d": [2]}));
        assert_eq!(target, json!({"a": {"c": 2, "e": 3}, "d": [2]}));
    }

    #[test]
    fn names_as_pointers() {
        assert_eq!(pointer("net/a~b"), "/net~1a~0b");
    }
}

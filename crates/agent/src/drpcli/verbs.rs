//! What the verbs do.

use super::table::Call;
use super::{Output, explain, value_of};
use crate::http::stream::Events;
use crate::http::{Client, Fault};
use crate::inventory;
use crate::wire::patch_op;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long `wait` waits by default.
const WAIT: u64 = 86_400;

type Result<T = Output> = std::result::Result<T, String>;

/// From the whole object and a list in it to the new list.
type Edit<'a> = dyn Fn(&Value, Vec<String>) -> Result<Vec<String>> + 'a;

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

// --- lists inside a machine -----------------------------------------------------------------------

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|all| all.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        .unwrap_or_default()
}

/// Changes a list field, guarded by a test of its old value; repeats when somebody else was faster.
fn edit_list(c: &Call<'_>, field: &str, edit: &Edit<'_>) -> Result {
    for _ in 0..5 {
        let object = ask(c.client, "GET", &c.path(), None)?;
        let old = texts(object.get(field).unwrap_or(&Value::Null));
        let new = edit(&object, old.clone())?;
        if new == old {
            return json(object);
        }
        let path = pointer(field);
        let patch = json!([patch_op("test", &path, json!(old)), patch_op("replace", &path, json!(new))]);
        match c.client.json("PATCH", &format!("{}{}", c.path(), c.line.query()), Some(&patch)) {
            Err(Fault::Refused(refusal)) if refusal.code == 409 => {}
            other => return json(other.map_err(explain)?.body),
        }
    }
    Err(format!("{}: changed by somebody else again and again", c.path()))
}

pub(super) fn add_profiles(c: Call<'_>) -> Result {
    edit_list(&c, "Profiles", &|_, mut list| {
        for name in c.words.iter().skip(1) {
            if !list.iter().any(|known| known == name) {
                list.push((*name).to_owned());
            }
        }
        Ok(list)
    })
}

pub(super) fn remove_profiles(c: Call<'_>) -> Result {
    edit_list(&c, "Profiles", &|_, mut list| {
        list.retain(|known| !c.words[1..].contains(&known.as_str()));
        Ok(list)
    })
}

/// The tasks that may be changed: behind the running one, up to the next stage (engine.md §4.6).
fn present(machine: &Value, tasks: &[String]) -> std::ops::Range<usize> {
    let current = machine.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1);
    let start = usize::try_from(current + 1).unwrap_or(0).min(tasks.len());
    let length = tasks[start..].iter().position(|task| task.starts_with("stage:"));
    start..length.map_or(tasks.len(), |length| start + length)
}

pub(super) fn add_tasks(c: Call<'_>) -> Result {
    let with_offset = c.line.words.get(4).is_some_and(|word| word == "at");
    let (offset, names) = if with_offset {
        let offset: i64 = c.word(1).parse().map_err(|_| format!("offset {}: want a number", c.word(1)))?;
        (Some(offset), c.words.get(2..).unwrap_or_default())
    } else {
        (None, c.words.get(1..).unwrap_or_default())
    };
    edit_list(&c, "Tasks", &|machine, mut tasks| {
        let present = present(machine, &tasks);
        let at = match offset {
            None => present.end,
            Some(n) if n >= 0 => present.start + (n as usize).min(present.len()),
            Some(n) => present.end - (n.unsigned_abs() as usize).min(present.len()),
        };
        let there = tasks.get(at..at + names.len()).is_some_and(|slice| slice == names);
        if !there {
            tasks.splice(at..at, names.iter().map(|name| (*name).to_owned()));
        }
        Ok(tasks)
    })
}

/// Removes, in order, the first match of each name.
pub(super) fn remove_tasks(c: Call<'_>) -> Result {
    edit_list(&c, "Tasks", &|machine, mut tasks| {
        let mut range = present(machine, &tasks);
        for name in c.words.iter().skip(1) {
            if let Some(found) = tasks[range.clone()].iter().position(|task| task == name) {
                tasks.remove(range.start + found);
                range = range.start + found..range.end - 1;
            }
        }
        Ok(tasks)
    })
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

// --- waiting and this machine ---------------------------------------------------------------------

/// Prints `complete` or `timeout`; both are a success, as content expects.
pub(super) fn wait(c: Call<'_>) -> Result {
    let seconds = if c.words.len() > 3 {
        c.word(3).parse().map_err(|_| format!("{}: want seconds", c.word(3)))?
    } else {
        WAIT
    };
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let wanted = value_of(c.word(2))?;
    let object = ask(c.client, "GET", &c.path(), None)?;
    if holds(&object, c.word(1), &wanted) {
        return Ok(Output::Text("complete\n".into()));
    }
    let key = ["Uuid", "Name", "ID", "Id"]
        .iter()
        .find_map(|field| object.get(*field)?.as_str())
        .unwrap_or(c.word(0));
    let filters = ["update", "save"].map(|action| format!("{}.{action}.{key}", c.kind));
    let mut events = Events::open(c.client, &filters, Duration::from_secs(20)).ok();
    loop {
        if holds(&ask(c.client, "GET", &c.path(), None)?, c.word(1), &wanted) {
            return Ok(Output::Text("complete\n".into()));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Output::Text("timeout\n".into()));
        }
        let broken = match &mut events {
            Some(stream) => stream.next(deadline).is_err(),
            None => {
                std::thread::sleep(left.min(Duration::from_secs(2)));
                false
            }
        };
        if broken {
            events = Events::open(c.client, &filters, Duration::from_secs(20)).ok();
        }
    }
}

/// Compares as values, and a text also by how it is written.
fn holds(object: &Value, field: &str, wanted: &Value) -> bool {
    let Some(found) = object.pointer(&format!("/{field}")).or_else(|| object.get(field)) else {
        return false;
    };
    let bare = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    found == wanted || bare(found) == bare(wanted)
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
    fn conditions() {
        let object = json!({"WorkflowComplete": true, "Stage": "none", "Params": {"x": 5}});
        assert!(holds(&object, "WorkflowComplete", &json!(true)));
        assert!(holds(&object, "Stage", &json!("none")) && holds(&object, "Params/x", &json!(5)));
        assert!(!holds(&object, "Stage", &json!("x")) && !holds(&object, "Nope", &json!(null)));
    }

    #[test]
    fn the_present_part_of_a_task_list() {
        let tasks: Vec<String> = ["stage:a", "x", "y", "stage:b", "z"].map(str::to_owned).to_vec();
        assert_eq!(present(&json!({"CurrentTask": 1}), &tasks), 2..3);
        assert_eq!(present(&json!({"CurrentTask": 4}), &tasks), 5..5);
        assert_eq!(present(&json!({"CurrentTask": 9}), &tasks), 5..5);
    }

    #[test]
    fn names_as_pointers() {
        assert_eq!(pointer("net/a~b"), "/net~1a~0b");
    }
}

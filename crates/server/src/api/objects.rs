//! The generic verbs: list, create, read, replace, patch, delete of any kind (reference: api.md §4–§6).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use gantry_api::claim::Wanted;
use gantry_api::refusal::Target;
use gantry_api::{Error, duration};
use gantry_model::filter::Query as Filter;
use gantry_model::patch::Patch;
use gantry_model::{Kind, Record, View, decode};
use http::header::{HeaderName, IF_NONE_MATCH};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::{Ask, body, jobs, secure, stream};

const COUNT: HeaderName = HeaderName::from_static("x-drp-list-count");
const TOTAL: HeaderName = HeaderName::from_static("x-drp-list-total-count");
const MATCHES: HeaderName = HeaderName::from_static("x-drp-list-filter-count");
/// The longest that a reader may wait for a change.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Lists longer than this are sent in pieces of so many objects.
const PIECE: usize = 256;

/// Query names that steer a list and are no filters.
const STEERING: &[&str] = &["slim", "params", "decode", "token", "Token"];

/// `GET` and `HEAD /<kind>`
pub(super) fn list(ask: &Ask) -> Answer {
    let kind = ask.kind()?;
    if kind == Kind::Interface {
        let all = super::interfaces::all();
        return Ok(counted(answer::ok(&all)?, all.len(), all.len(), all.len()));
    }
    let pairs = ask.query.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs = pairs.filter(|(name, _)| !STEERING.contains(name));
    let filter = Filter::parse(&ask.view, kind, pairs).map_err(|error| ask.refuse(error, Target::Object))?;
    let page = filter.run_all(&ask.view);
    let shown = Shown::of(ask)?;
    let (length, matches, total) = (page.records.len(), page.matched, page.total);
    let reply = if ask.head { Response::new(Body::empty()) } else { write_list(ask, page.records, shown)? };
    Ok(counted(reply, length, total, matches))
}

/// The answer with its counts: what is in it, what the kind has, what passed the filters. The command line of v4 crashes
/// on a list without them.
fn counted(mut reply: Response<Body>, length: usize, total: usize, matches: usize) -> Response<Body> {
    for (name, count) in [(COUNT, length), (TOTAL, total), (MATCHES, matches)] {
        answer::header(&mut reply, name, &count.to_string());
    }
    reply
}

/// The counts of a list that the caller may not see.
pub(super) fn no_counts(reply: Response<Body>) -> Response<Body> {
    counted(reply, 0, 0, 0)
}

/// Canonical JSON is concatenated; only what a caller wants changed is parsed.
fn write_list(ask: &Ask, records: Vec<Arc<Record>>, shown: Shown) -> Answer {
    let mut text = answer::text(StatusCode::OK, b"[]".to_vec());
    if records.is_empty() {
        return Ok(text);
    }
    let keys = ask.api.secure.clone();
    let write = move |record: &Record, out: &mut String| match shown.is_plain() {
        true => record.write_json(out),
        false => out.push_str(&shown.apply(record, &keys).to_string()),
    };
    let last = records.len().div_ceil(PIECE) - 1;
    let mut records = records.into_iter();
    let pieces = (0..=last).map(move |piece| {
        let mut out = String::new();
        for (index, record) in records.by_ref().take(PIECE).enumerate() {
            out.push(if piece == 0 && index == 0 { '[' } else { ',' });
            write(&record, &mut out);
        }
        if piece == last {
            out.push_str("]\n");
        }
        Bytes::from(out)
    });
    *text.body_mut() = match last {
        0 => Body::from(pieces.fold(Bytes::new(), |_, only| only)),
        _ => stream::pieces(pieces),
    };
    Ok(text)
}

/// How a caller wants objects shown: `slim`, `params`, `decode` (reference: api.md §4.1).
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    slim: Vec<String>,
    only: Option<Vec<String>>,
    decode: bool,
}

impl Shown {
    /// Reads the query; decoding needs a claim of its own.
    pub(super) fn of(ask: &Ask) -> Result<Self, Error> {
        let decode = ask.query.flag("decode");
        if decode {
            ask.require("getSecure")?;
        }
        let words = |name| ask.query.list(name).into_iter().map(str::to_ascii_lowercase).collect();
        let only = ask.query.get("params").filter(|list| !list.is_empty());
        let only = only.map(|_| ask.query.list("params").into_iter().map(str::to_owned).collect());
        Ok(Self { slim: words("slim"), only, decode })
    }

    fn is_plain(&self) -> bool {
        self.slim.is_empty() && self.only.is_none() && !self.decode
    }

    fn apply(&self, record: &Record, keys: &secure::Keys) -> Value {
        let mut value = record.wire_value();
        let Some(object) = value.as_object_mut() else { return value };
        let mut partial = false;
        for (field, word) in [("Params", "params"), ("Meta", "meta")] {
            let kept_anyway = field == "Params" && self.only.is_some();
            if self.slim.iter().any(|slim| slim == word) && object.contains_key(field) && !kept_anyway {
                object.insert(field.into(), json!({}));
                partial = true;
            }
        }
        if let (Some(only), Some(Value::Object(params))) = (&self.only, object.get_mut("Params")) {
            params.retain(|name, _| only.contains(name));
            partial = true;
        }
        if let (true, Some(Value::Object(params))) = (self.decode, object.get_mut("Params")) {
            keys.open_all(record.kind(), record.key(), params);
        }
        if partial && object.contains_key("Partial") {
            object.insert("Partial".into(), true.into());
        }
        value
    }
}

/// One object, as the caller wants it shown, with its tag.
pub(super) fn show(ask: &Ask, view: &View, kind: Kind, key: &str, status: StatusCode) -> Answer {
    let Some(record) = view.record(kind, key) else {
        return Err(Error::not_found(ask.method, kind.prefix(), key));
    };
    let shown = Shown::of(ask)?;
    let mut reply = match jobs::elevated(ask, view, record) {
        Some(job) => answer::text(status, job.to_string().into_bytes()),
        None => reply(record, &shown, &ask.api.secure, status),
    };
    answer::tag(&mut reply, &etag(record));
    Ok(reply)
}

fn reply(record: &Record, shown: &Shown, keys: &secure::Keys, status: StatusCode) -> Response<Body> {
    let mut text = String::new();
    match shown.is_plain() {
        true => record.write_json(&mut text),
        false => text = shown.apply(record, keys).to_string(),
    }
    answer::text(status, text.into_bytes())
}

/// Changes with the object and with what is computed about it.
pub(super) fn etag(record: &Record) -> String {
    if !record.read_only() && record.derived().errors().is_empty() {
        return format!("\"{}\"", record.revision());
    }
    // A pack's objects have no revision of their own.
    let mut hash = DefaultHasher::new();
    record.derived().errors().hash(&mut hash);
    if record.read_only() {
        record.json().hash(&mut hash);
    }
    format!("\"{}-{:x}\"", record.revision(), hash.finish())
}

/// `GET` and `HEAD /<kind>/<key>`, perhaps waiting for a change (reference: api.md §4.9).
pub(super) async fn read(ask: Ask) -> Answer {
    let kind = ask.kind()?;
    if kind == Kind::Interface {
        return super::interfaces::one(&ask);
    }
    let missing = || Error::not_found(ask.method, kind.prefix(), &canonical(kind, &ask.route.key));
    let key = ask.view.lookup(kind, &ask.route.key).ok_or_else(missing)?;
    let known =
        ask.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let wait = wait(&ask)?;
    let deadline = tokio::time::Instant::now() + wait;
    let mut view = ask.view.clone();
    loop {
        let record = view.record(kind, &key).ok_or_else(missing)?;
        if known.is_empty() || etag(record) != known {
            return show(&ask, &view, kind, &key, StatusCode::OK);
        }
        let changed = ask.api.changed_after(view.revision());
        let stopped = ask.api.stop.cancelled();
        let woken = tokio::select! {
            woken = tokio::time::timeout_at(deadline, changed) => woken.is_ok(),
            () = stopped => false,
        };
        if !woken {
            return Ok(answer::unchanged(&known));
        }
        view = ask.api.state.view();
    }
}

/// `Prefer: wait=<duration>`
fn wait(ask: &Ask) -> Result<Duration, Error> {
    let prefer = ask.headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(text) = prefer.split(',').find_map(|part| part.trim().strip_prefix("wait=")) else {
        return Ok(Duration::ZERO);
    };
    let wait = duration::parse(text).map_err(|text| Error::new(400, ask.method, text))?;
    Ok(wait.min(LONGEST_WAIT))
}

fn canonical(kind: Kind, key: &str) -> String {
    if key.contains(':') { key.to_owned() } else { gantry_model::canonical_key(kind, key) }
}

/// `POST /<kind>`
pub(super) async fn create(mut ask: Ask) -> Answer {
    let kind = ask.kind()?;
    let value = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let wanted = Wanted::new(kind.prefix(), "create", decode::key(kind, &value));
    if !ask.caller.may(&wanted) {
        return Err(Error::forbidden(&ask.path, &wanted));
    }
    let written = ask.write("create", Target::Object, move |tx| tx.create(kind, value.clone())).await?;
    let key = written.value.key().clone();
    ask.api.created(&written.view, kind, &key);
    show(&ask, &written.view, kind, &key, StatusCode::CREATED)
}

/// `PUT /<kind>/<key>`
pub(super) async fn replace(mut ask: Ask) -> Answer {
    let kind = ask.kind()?;
    let value = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let key = ask.route.key.clone();
    if let Some(record) = ask.view.record(kind, &key) {
        permit_replace(&ask, record, &value)?;
    }
    let written = match kind {
        Kind::Job => jobs::replace(&ask, key.clone(), value).await?,
        _ => {
            let path = key.clone();
            ask.write("update", Target::Object, move |tx| tx.put(kind, &path, value.clone())).await?
        }
    };
    ask.api.changed(&ask.view, &written.view, kind, written.value.key());
    show(&ask, &written.view, kind, written.value.key(), StatusCode::OK)
}

/// `PATCH /<kind>/<key>`
pub(super) async fn patch(mut ask: Ask) -> Answer {
    let kind = ask.kind()?;
    let patch = read_patch(&mut ask).await?;
    permit_patch(&ask, kind, &patch, "")?;
    let key = ask.route.key.clone();
    let written = match kind {
        _ if !patch.writes() => ask.look(Target::Object, |tx| tx.patch(kind, &key, &patch))?,
        Kind::Job => jobs::patch(&ask, key, patch).await?,
        _ => ask.write("update", Target::Object, move |tx| tx.patch(kind, &key, &patch)).await?,
    };
    ask.api.changed(&ask.view, &written.view, kind, written.value.key());
    show(&ask, &written.view, kind, written.value.key(), StatusCode::OK)
}

/// `DELETE /<kind>/<key>`
pub(super) async fn delete(ask: Ask) -> Answer {
    let kind = ask.kind()?;
    let key = ask.route.key.clone();
    let written = ask.write("delete", Target::Object, move |tx| tx.delete(kind, &key)).await?;
    ask.api.deleted(&ask.view, kind, written.value.key());
    Ok(reply(&written.value, &Shown::default(), &ask.api.secure, StatusCode::OK))
}

/// The body as a JSON Patch.
pub(super) async fn read_patch(ask: &mut Ask) -> Result<Patch, Error> {
    let value = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!([])).await?;
    Patch::parse(value).map_err(|message| Error::malformed(ask.method, message))
}

/// Every pointer that a patch writes needs its claim; `under` is what the patch's pointers are relative to. A denial names
/// the action `patch`. A patch that only looks needs the right to look.
pub(super) fn permit_patch(ask: &Ask, kind: Kind, patch: &Patch, under: &str) -> Result<(), Error> {
    let specific = ask.specific();
    let denied = || Error::forbidden(&ask.path, &Wanted::new(kind.prefix(), "patch", ask.subject()));
    let hidden = || Error::not_found(ask.method, kind.prefix(), ask.subject());
    if !patch.writes() && !ask.may_see(kind, &specific) {
        return Err(hidden());
    }
    for pointer in patch.written_paths() {
        let wanted = Wanted::new(kind.prefix(), format!("update:{under}{pointer}"), &*specific);
        if !ask.caller.may(&wanted) {
            return Err(if ask.may_see(kind, &specific) { denied() } else { hidden() });
        }
    }
    Ok(())
}

/// A replacement needs the claim for every field that it changes; one that changes none, the right to look.
fn permit_replace(ask: &Ask, record: &Record, value: &Value) -> Result<(), Error> {
    let before = record.wire_value();
    let none = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&none), value.as_object().unwrap_or(&none));
    let specific = ask.specific();
    let fields = before.keys().chain(after.keys());
    let mut changed = fields.filter(|field| before.get(*field) != after.get(*field)).peekable();
    if changed.peek().is_none() && !ask.may_see(record.kind(), &specific) {
        return Err(Error::not_found(ask.method, record.kind().prefix(), ask.subject()));
    }
    for field in changed {
        let wanted = Wanted::new(record.kind().prefix(), format!("update:/{field}"), &*specific);
        if !ask.caller.may(&wanted) {
            return Err(Error::forbidden(
                &ask.path,
                &Wanted::new(record.kind().prefix(), "update", ask.subject()),
            ));
        }
    }
    Ok(())
}

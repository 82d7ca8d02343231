//! `/params` and `/meta`: parts of objects with paths of their own (reference: api.md §4.8, §7, §8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::Error;
use gantry_api::claim::Wanted;
use gantry_api::refusal::Target;
use gantry_boot::param::{self, Found};
use gantry_model::params::{self, Layer, Origin};
use gantry_model::{Kind, Machine, Record, Stage, Tx};
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::objects::{permit_patch, read_patch};
use super::{Ask, body};
use crate::rules;

fn record(ask: &Ask) -> Result<(Kind, &std::sync::Arc<Record>), Error> {
    let kind = ask.kind()?;
    let missing = || Error::not_found(ask.method, kind.prefix(), &ask.route.key);
    let key = ask.view.lookup(kind, &ask.route.key).ok_or_else(missing)?;
    Ok((kind, ask.view.record(kind, &key).ok_or_else(missing)?))
}

fn own(record: &Record, field: &str) -> Map<String, Value> {
    match record.value().get_mut(field).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// `GET /meta/<kind>/<key>`
pub(super) fn meta_read(ask: &Ask) -> Answer {
    let (_, record) = record(ask)?;
    answer::ok(&own(record, "Meta"))
}

/// `PATCH /meta/<kind>/<key>`
pub(super) async fn meta_patch(ask: Ask) -> Answer {
    patch_map(ask, "Meta").await
}

/// `PATCH /<kind>/<key>/params`
pub(super) async fn patch(ask: Ask) -> Answer {
    patch_map(ask, "Params").await
}

async fn patch_map(mut ask: Ask, field: &'static str) -> Answer {
    let patch = read_patch(&mut ask).await?;
    let (kind, _) = record(&ask)?;
    permit_patch(&ask, kind, &patch, &format!("/{field}"))?;
    let (key, writes) = (ask.route.key.clone(), patch.writes());
    let work = move |tx: &mut Tx| tx.patch_map(kind, &key, field, &patch);
    let written = match writes {
        true => ask.write("update", Target::Part, work).await?,
        false => ask.look(Target::Part, work)?,
    };
    ask.api.changed(&ask.view, &written.view, kind, written.value.key());
    answer::ok(&own(&written.value, field))
}

/// `GET /<kind>/<key>/params`
pub(super) fn read_all(ask: &Ask) -> Answer {
    let (kind, record) = record(ask)?;
    let decode = decode(ask)?;
    if ask.query.flag("origin") {
        return origins(ask, kind, record, decode);
    }
    let aggregate = ask.query.flag("aggregate");
    let count = if aggregate { usize::MAX } else { 1 };
    let mut found = Map::new();
    for Source { mut params, kind, key } in sources(ask, kind, record).into_iter().take(count) {
        if decode {
            ask.api.secure.open_all(kind, &key, &mut params);
        }
        for (name, value) in params {
            found.entry(name).or_insert(value);
        }
    }
    if ask.query.get("params").is_some_and(|list| !list.is_empty()) {
        let only = ask.query.list("params");
        found.retain(|name, _| only.contains(&name.as_str()));
    }
    answer::ok(&found)
}

/// Every value on the way to a machine, the one that counts first, each with where it was set: what it hides comes after it.
fn origins(ask: &Ask, kind: Kind, record: &Record, decode: bool) -> Answer {
    if kind != Kind::Machine {
        let text = "origin is known of the parameters of machines only";
        return Err(Error::new(400, ask.method, text).about(kind.prefix(), &ask.route.key));
    }
    let machine = record.typed::<Machine>();
    let only = ask.query.list("params");
    let mut found = Map::new();
    for (name, values) in param::explain(&ask.view, Some(&machine)) {
        if !only.is_empty() && !only.contains(&name.as_str()) {
            continue;
        }
        let values = values.into_iter().map(|Found { value, origin }| {
            let holder = param::holder(&origin, Some(&machine)).filter(|_| decode);
            let value = holder.map_or(value.clone(), |(kind, key)| ask.api.secure.open(kind, &key, &value));
            json!({ "Origin": origin.to_string(), "Value": value })
        });
        found.insert(name, values.collect());
    }
    answer::ok(&found)
}

/// `GET /<kind>/<key>/params/<name>`
pub(super) fn read(ask: &Ask) -> Answer {
    let (kind, record) = record(ask)?;
    let (name, decode) = (&ask.route.rest, decode(ask)?);
    let flag = |flag| ask.query.flag(flag);
    let deep = flag("aggregate") || flag("compose");
    let sources = sources(ask, kind, record).into_iter().take(if deep { usize::MAX } else { 1 });
    let set = sources.filter_map(|Source { mut params, kind, key }| {
        let value = params.remove(name)?;
        Some(if decode { ask.api.secure.open(kind, &key, &value) } else { value })
    });
    let default = deep.then(|| params::default_value(&ask.view, name)).flatten();
    // The first counts; composed, all do.
    let values = set.chain(default).take(if flag("compose") { usize::MAX } else { 1 });
    answer::ok(&param::merge_all(values.collect()).unwrap_or(Value::Null))
}

/// Parameters of one source, and the object that they belong to.
struct Source {
    params: Map<String, Value>,
    kind: Kind,
    key: String,
}

/// Where an object's parameters come from, the nearest first (reference: api.md §7.2).
fn sources(ask: &Ask, kind: Kind, record: &Record) -> Vec<Source> {
    let view = &ask.view;
    let own = Source { params: own(record, "Params"), kind, key: record.key().to_string() };
    let machine = record.typed::<Machine>();
    let inherited: Vec<Layer<'_>> = match kind {
        Kind::Machine => params::layers(view, &machine).into_iter().skip(1).collect(),
        Kind::Profile => {
            params::profile_layers(view, std::slice::from_ref(&own.key)).into_iter().skip(1).collect()
        }
        Kind::Stage => params::profile_layers(view, &record.typed::<Stage>().profiles),
        _ => params::global_layers(view),
    };
    let inherited = inherited.iter().map(|layer| {
        let (kind, key) = match &layer.origin {
            Origin::Profile(path) | Origin::StageProfile(_, path) | Origin::Global(path) => {
                (Kind::Profile, path.last().cloned().unwrap_or_default())
            }
            Origin::Stage(stage) => (Kind::Stage, stage.clone()),
            Origin::Machine | Origin::Default => (own.kind, own.key.clone()),
        };
        Source { params: layer.params().clone(), kind, key }
    });
    let inherited: Vec<Source> = inherited.collect();
    std::iter::once(own).chain(inherited).collect()
}

fn decode(ask: &Ask) -> Result<bool, Error> {
    let decode = ask.query.flag("decode");
    if decode {
        ask.require("getSecure")?;
    }
    Ok(decode)
}

/// `POST /<kind>/<key>/params`
pub(super) async fn replace_all(mut ask: Ask) -> Answer {
    let given = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let given = match given {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => {
            let text = format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                gantry_model::go::word(&other)
            );
            return Err(Error::malformed(ask.method, text));
        }
    };
    let (kind, _) = record(&ask)?;
    permit(&ask, kind, "/Params")?;
    let key = ask.route.key.clone();
    let written =
        ask.write("update", Target::Part, move |tx| tx.set_params(kind, &key, given.clone())).await?;
    ask.api.changed(&ask.view, &written.view, kind, written.value.key());
    answer::ok(&own(&written.value, "Params"))
}

/// `POST /<kind>/<key>/params/<name>`
pub(super) async fn write(mut ask: Ask) -> Answer {
    let value = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, Value::Null).await?;
    let (kind, _) = record(&ask)?;
    let (key, name) = (ask.route.key.clone(), ask.route.rest.clone());
    permit(&ask, kind, &pointer(&name))?;
    let own = record(&ask)?.1.key().clone();
    if value.is_object()
        && let Err(message) = rules::secret(&ask.api.secure, &ask.view, (kind, &own), &name, &value)
    {
        let error = gantry_model::Error::Conflict { kind, key: key.clone(), messages: vec![message] };
        return Err(ask.refuse(error, Target::Part));
    }
    let given = value.clone();
    let written =
        ask.write("update", Target::Part, move |tx| tx.set_param(kind, &key, &name, given.clone())).await?;
    ask.api.changed(&ask.view, &written.view, kind, written.value.key());
    answer::ok(&value)
}

/// `DELETE /<kind>/<key>/params/<name>`
pub(super) async fn delete(ask: Ask) -> Answer {
    let (kind, _) = record(&ask)?;
    let (key, name) = (ask.route.key.clone(), ask.route.rest.clone());
    permit(&ask, kind, &pointer(&name))?;
    let gone = name.clone();
    let written = ask.write("update", Target::Part, move |tx| tx.remove_param(kind, &key, &gone)).await?;
    match written.value {
        Some(value) => answer::ok(&value),
        None => Err(Error::not_found("DELETE", "params", &name)),
    }
}

fn pointer(name: &str) -> String {
    format!("/Params/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn permit(ask: &Ask, kind: Kind, pointer: &str) -> Result<(), Error> {
    let specific = ask.specific();
    if ask.caller.may(&Wanted::new(kind.prefix(), format!("update:{pointer}"), &*specific)) {
        return Ok(());
    }
    if !ask.may_see(kind, &specific) {
        return Err(Error::not_found(ask.method, kind.prefix(), &ask.route.key));
    }
    Err(Error::forbidden(
        &ask.path,
        &Wanted::new(kind.prefix(), format!("update:{pointer}"), &*ask.route.key),
    ))
}

/// `GET /<kind>/<key>/pubkey`
pub(super) async fn pubkey(ask: Ask) -> Answer {
    let (kind, record) = record(&ask)?;
    answer::ok(&STANDARD.encode(ask.api.secure.pair(kind, record.key()).public()))
}

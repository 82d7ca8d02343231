//! Content packs over the API (reference: api.md §12).

mod check;

use std::sync::Arc;

use gantry_api::Error;
use gantry_api::refusal::{Asked, Target};
use gantry_model::{Kind, Layer, View};
use gantry_state::{Audit, Clash, Failure, Over, Present, SetAside};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::{Ask, body};
use crate::seal;

/// The name under which the store itself is listed.
const BACKING: &str = "BackingStore";

/// `GET /contents`
pub(super) fn list(ask: &Ask) -> Answer {
    let aside = ask.api.state.set_aside();
    let (packs, objects): (Vec<&SetAside>, Vec<&SetAside>) =
        aside.iter().partition(|aside| aside.kind == Kind::Content);
    let mut backing = backing_summary(&ask.view);
    backing["Warnings"] = objects.into_iter().map(set_aside).collect();
    let mut all = vec![backing];
    all.extend(ask.view.layers().iter().map(|layer| summary(&ask.view, layer)));
    all.extend(packs.into_iter().map(unreadable));
    answer::ok(&all)
}

fn set_aside(aside: &SetAside) -> Value {
    format!("set aside, it cannot be read: {}", aside.why).into()
}

/// A pack that is stored and could not be read at the start: it can be replaced or removed.
fn unreadable(aside: &SetAside) -> Value {
    let mut meta = json!(gantry_model::kinds::content::ContentMeta::default());
    meta["Name"] = aside.key.as_str().into();
    meta["Type"] = "dynamic".into();
    meta["Description"] = "Cannot be read: replace or remove it".into();
    meta["Tags"] = "".into();
    json!({ "meta": meta, "Counts": {}, "Warnings": [set_aside(aside)] })
}

fn summary(view: &View, layer: &Layer) -> Value {
    let mut meta = json!(layer.meta());
    // Clients expect no tags in summaries.
    meta["Tags"] = "".into();
    json!({ "meta": meta, "Counts": layer.counts(), "Warnings": view.warnings(layer) })
}

fn backing_meta() -> Value {
    let mut meta = json!(gantry_model::kinds::content::ContentMeta::default());
    meta["Name"] = BACKING.into();
    meta["Version"] = "0.0.0".into();
    meta["Description"] = "Writable backing store".into();
    meta["Type"] = "writable".into();
    meta["Writable"] = true.into();
    meta
}

fn own(view: &View, kind: Kind) -> impl Iterator<Item = &Arc<gantry_model::Record>> {
    view.records(kind).filter(|record| !record.read_only())
}

fn backing_summary(view: &View) -> Value {
    let counts = Kind::ALL.iter().map(|kind| (kind.prefix().to_owned(), own(view, *kind).count()));
    let counts: Map<String, Value> =
        counts.filter(|(_, count)| *count > 0).map(|(p, count)| (p, count.into())).collect();
    json!({ "meta": backing_meta(), "Counts": counts, "Warnings": [] })
}

/// `GET /contents/<name>`
pub(super) fn read(ask: &Ask) -> Answer {
    if ask.route.key == BACKING {
        return answer::ok(&backing(&ask.view));
    }
    let found = ask.view.layers().iter().find(|layer| layer.name() == ask.route.key);
    let mut content = found.ok_or_else(|| none(ask))?.to_value();
    // Packs travel with their secrets in plain text (reference: api.md §12.5).
    seal::open_pack(&ask.api.secure, &mut content);
    answer::ok(&content)
}

/// The store as a pack. Password hashes and secrets of tokens stay here: this is no backup.
fn backing(view: &View) -> Value {
    let mut sections = Map::new();
    for kind in Kind::ALL.iter().filter(|kind| kind.spec().verbs.create || **kind == Kind::Preference) {
        let objects = own(view, *kind).map(|record| (record.key().to_string(), record.wire_value()));
        let mut objects: Map<String, Value> = objects.collect();
        if *kind == Kind::Preference {
            objects.retain(|name, _| !name.ends_with("Secret"));
        }
        sections.insert(kind.prefix().to_owned(), objects.into());
    }
    json!({ "meta": backing_meta(), "sections": sections })
}

fn none(ask: &Ask) -> Error {
    Error::new(404, ask.method, "No such content store").about("contents", &ask.route.key)
}

/// `POST /contents`
pub(super) async fn create(mut ask: Ask) -> Answer {
    let value = pack_body(&mut ask).await?;
    if ask.query.flag("check") {
        let layer = judged(&ask, value).await?;
        return check::run(&ask, layer, clash(&ask)).await;
    }
    // Before any other check of the pack (reference: api.md §12.3), and again when it is written.
    let name = Layer::name_in(&value);
    if ask.view.layers().iter().any(|other| other.name() == name) || name == BACKING {
        return Err(taken(&name));
    }
    let layer = judged(&ask, value).await?;
    put(&ask, layer, Present::No).await
}

fn taken(name: &str) -> Error {
    Error::new(409, "POST", format!("Content {name} already exists")).about("contents", name)
}

/// `PUT /contents/<name>`
pub(super) async fn replace(mut ask: Ask) -> Answer {
    let value = pack_body(&mut ask).await?;
    let layer = judged(&ask, value).await?;
    if layer.name() != ask.route.key {
        let text = format!("Cannot change name from {} to {}", ask.route.key, layer.name());
        return Err(Error::new(400, "PUT", text).about("contents", &ask.route.key));
    }
    put(&ask, layer, Present::Yes).await
}

async fn pack_body(ask: &mut Ask) -> Result<Value, Error> {
    body::json(ask.take_body(), &ask.headers, body::PACK_LIMIT, json!({})).await
}

/// The pack of a body, or everything that is wrong with it.
async fn judged(ask: &Ask, mut value: Value) -> Result<Arc<Layer>, Error> {
    let (view, keys) = (ask.view.clone(), ask.api.secure.clone());
    let clash = self::clash(ask);
    let work = move || {
        let sealed = seal::pack(&view, &keys, &mut value);
        let (layer, mut faults) = Layer::lenient(value)?;
        let layer = Arc::new(layer);
        let undecoded = !faults.is_empty();
        faults.extend(sealed.err().into_iter().flatten());
        if faults.is_empty() {
            return Ok(layer);
        }
        // What else is wrong is told in the same answer: not of the objects that are wrong already, for parts of them are missing.
        faults.extend(check::faults(&view, &layer, clash, &faults));
        Err(if undecoded {
            Layer::undecoded(layer.name(), faults)
        } else {
            gantry_model::Error::layer(layer.name(), faults)
        })
    };
    let layer = super::blocking(work).await?;
    layer.map_err(|error| ask.refuse(error, Target::Object))
}

/// Adds the pack, or replaces the one that is present.
async fn put(ask: &Ask, layer: Arc<Layer>, present: Present) -> Answer {
    let (action, status) = match &present {
        Present::No => ("create", StatusCode::CREATED),
        Present::Yes | Present::This(_) => ("update", StatusCode::OK),
    };
    let audit = Audit::new(&ask.caller.principal, action);
    let (core, given, over) = (ask.api.clone(), layer.clone(), Over { present, clash: clash(ask) });
    // Judging a large pack takes a while, and this thread has others to serve.
    let runtime = tokio::runtime::Handle::current();
    let work = move || runtime.block_on(core.state.put_pack(audit, given, over));
    super::blocking(work).await?.map_err(|failure| match failure {
        Failure::Refused(gantry_model::Error::AlreadyExists { .. }) => taken(layer.name()),
        Failure::Refused(gantry_model::Error::NotFound { .. }) => {
            Error::new(404, "PUT", format!("Cannot find {}", layer.name())).about("contents", layer.name())
        }
        other => refused(ask, other),
    })?;
    publish(ask, layer.name(), action);
    answer::json(status, &summary(&ask.api.state.view(), &layer))
}

/// What becomes of writable objects that the pack has too.
fn clash(ask: &Ask) -> Clash {
    if ask.query.flag("replaceWritable") { Clash::ReplaceWritable } else { Clash::Refuse }
}

/// `DELETE /contents/<name>`
pub(super) async fn delete(ask: Ask) -> Answer {
    let audit = Audit::new(&ask.caller.principal, "delete");
    let removed = ask.api.state.remove_pack(audit, &ask.route.key).await;
    removed.map_err(|failure| match failure {
        Failure::Refused(gantry_model::Error::NotFound { .. }) if ask.route.key == BACKING => {
            Error::new(404, "DELETE", format!("readonly: {BACKING}")).about("contents", BACKING)
        }
        Failure::Refused(gantry_model::Error::NotFound { .. }) => none(&ask),
        Failure::Refused(gantry_model::Error::Layer { messages, .. }) => {
            Error { messages, ..Error::new(404, "DELETE", "").about("contents", &ask.route.key) }
        }
        other => refused(&ask, other),
    })?;
    publish(&ask, &ask.route.key, "delete");
    Ok(answer::nothing())
}

fn refused(ask: &Ask, failure: Failure<gantry_model::Error>) -> Error {
    match failure {
        Failure::Refused(error) => Error::from_model(
            error,
            Asked { method: ask.method, key: &ask.route.key, target: Target::Object },
        ),
        Failure::Failed(gantry_state::Error::Panicked) => crate::incident::write_panicked(),
        Failure::Failed(error) => {
            tracing::error!(%error, "content pack could not be stored");
            Error::unavailable(ask.method, "the store refused the write")
        }
    }
}

fn publish(ask: &Ask, name: &str, action: &str) {
    ask.api.bus.publish(gantry_api::Event {
        time: crate::clock::now().to_string(),
        r#type: "contents".into(),
        action: action.into(),
        key: name.into(),
        principal: ask.caller.principal.clone(),
        ..gantry_api::Event::default()
    });
}

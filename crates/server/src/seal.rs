//! Secure values at rest are sealed (reference: api.md §8, §12.5): those in packs when the pack comes, and those that were
//! there before their parameter became secure.
//!
//! Packs carry secure values in plain text on the wire, in both directions; what is stored is sealed for the object that
//! carries it. The second half is a reconciler: it looks at what is, seals what is plain, and may run at any time.

use std::collections::BTreeSet;
use std::sync::Arc;

use gantry_model::secret::Sealed;
use gantry_model::{Kind, Layer, LayerFault, Now, Param, Record, View, schema};
use gantry_state::{Audit, Clash, Over, Present};
use serde_json::{Map, Value};

use crate::api::secure::Keys;
use crate::clock;
use crate::core::Core;

/// Objects that are sealed in one commit.
const CHUNK: usize = 200;

/// Names of the parameters whose values are secret.
fn secure_names(view: &View) -> BTreeSet<String> {
    view.objects::<Param>().filter(|param| param.secure).map(|param| param.name.clone()).collect()
}

/// The kinds that carry parameters.
fn carriers() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.spec().params)
}

/// Seals every plain secret in a pack, each for its object. What the pack says about a parameter itself counts before what
/// `view` says.
///
/// # Errors
/// One fault for each value that does not suit its parameter, and for what only looks sealed.
pub(crate) fn pack(view: &View, keys: &Keys, content: &mut Value) -> Result<(), Vec<LayerFault>> {
    let definitions = definitions(view, content);
    let now = clock::dice();
    let mut faults = Vec::new();
    for kind in carriers() {
        each_params(content, kind, |key, params| {
            for (name, value) in params.iter_mut() {
                let Some(schema) =
                    definitions.iter().find(|(known, _)| known == name).map(|(_, schema)| schema)
                else {
                    continue;
                };
                if let Err(why) = seal(keys, kind, key, schema, value, &now) {
                    let message = format!("Key '{name}': invalid val: {why}");
                    let field = format!("Params/{name}");
                    faults.push(LayerFault { field, ..LayerFault::of(kind.prefix(), key, message) });
                }
            }
        });
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Secure parameters with their schemas.
fn definitions(view: &View, content: &Value) -> Vec<(String, Value)> {
    let own = content.pointer("/sections/params").and_then(Value::as_object);
    let own: Vec<Param> = own.into_iter().flatten().filter_map(|(_, param)| decoded(param.clone())).collect();
    let theirs = view.objects::<Param>().filter(|param| !own.iter().any(|mine| mine.name == param.name));
    let theirs: Vec<Param> = theirs.map(|param| Param::clone(&param)).collect();
    let all = own.into_iter().chain(theirs).filter(|param| param.secure);
    all.map(|param| (param.name, param.schema)).collect()
}

fn decoded(param: Value) -> Option<Param> {
    let canonical = gantry_model::decode::object(Kind::Param, param).ok()?;
    serde_json::from_value(Value::Object(canonical)).ok()
}

fn seal(
    keys: &Keys,
    kind: Kind,
    key: &str,
    schema: &Value,
    value: &mut Value,
    now: &Now,
) -> Result<(), String> {
    if let Ok(sealed) = Sealed::parse(value) {
        // Sealed for another object or with a key of the client's: it could never be opened here.
        return keys.pair(kind, key).open(&sealed).map(drop);
    }
    schema::check_value(schema, value)?;
    *value = Sealed::seal(value, keys.pair(kind, key).public(), now)?.to_value();
    Ok(())
}

/// Opens every sealed value of a pack, for whoever downloads it.
pub(crate) fn open_pack(keys: &Keys, content: &mut Value) {
    for kind in carriers() {
        each_params(content, kind, |key, params| keys.open_all(kind, key, params));
    }
}

/// Calls `work` with the key and the parameters of each object of a kind.
fn each_params(content: &mut Value, kind: Kind, mut work: impl FnMut(&str, &mut Map<String, Value>)) {
    let section = content.get_mut("sections").and_then(|sections| sections.get_mut(kind.prefix()));
    for (in_pack, object) in section.and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(object) = object.as_object_mut() else { continue };
        let field = kind.spec().key_field;
        let named = |wanted: &str, map: &Map<String, Value>| {
            map.keys().find(|name| name.eq_ignore_ascii_case(wanted)).cloned()
        };
        let own = named(field, object).and_then(|name| object[&name].as_str().map(str::to_owned));
        let Some(params) = named("Params", object) else { continue };
        if let Some(params) = object.get_mut(&params).and_then(Value::as_object_mut) {
            work(own.as_deref().unwrap_or(in_pack), params);
        }
    }
}

/// Seals whatever is plain, at the start and whenever a parameter may have become secure, until the server stops.
pub(crate) async fn keep(core: Arc<Core>) {
    let mut known = BTreeSet::new();
    let mut stamp = None;
    let mut events = core.state.subscribe(None);
    loop {
        let view = core.state.view();
        if stamp.as_ref() != Some(&view.stamp(Kind::Param)) {
            stamp = Some(view.stamp(Kind::Param));
            let names = secure_names(&view);
            let new: BTreeSet<String> = names.difference(&known).cloned().collect();
            known = names;
            if !new.is_empty() {
                seal_all(&core, &view, &new).await;
            }
        }
        tokio::select! {
            // A gap in the events makes no difference: what counts is what is there now.
            next = events.next() => if let Err(gantry_state::Lost::Closed) = next { return },
            () = core.stop.cancelled() => return,
        }
    }
}

async fn seal_all(core: &Arc<Core>, view: &View, names: &BTreeSet<String>) {
    let plain = |record: &Arc<Record>| has_plain(record, names);
    let own =
        carriers().flat_map(|kind| view.records(kind)).filter(|record| !record.read_only() && plain(record));
    let own: Vec<(Kind, String)> = own.map(|record| (record.kind(), record.key().to_string())).collect();
    for chunk in own.chunks(CHUNK) {
        let (chunk, names, keys) = (chunk.to_vec(), names.clone(), core.secure.clone());
        let sealed = core.write("server", "params.seal", move |tx| {
            chunk.iter().try_for_each(|(kind, key)| seal_object(tx, *kind, key, &names, &keys))
        });
        if let Err(error) = sealed.await {
            tracing::error!(%error, "values of parameters that became secure could not be sealed");
        }
    }
    for layer in view.layers().iter().filter(|layer| layer.objects().any(plain)) {
        seal_layer(core, layer, names).await;
    }
}

/// True when one of the parameters has a value here that is not sealed.
fn has_plain(record: &Record, names: &BTreeSet<String>) -> bool {
    if !record.kind().spec().params {
        return false;
    }
    let value = record.value();
    let params = value.get("Params").and_then(Value::as_object);
    params.into_iter().flatten().any(|(name, value)| names.contains(name) && Sealed::parse(value).is_err())
}

fn seal_object(
    tx: &mut gantry_model::Tx,
    kind: Kind,
    key: &str,
    names: &BTreeSet<String>,
    keys: &Keys,
) -> Result<(), gantry_model::Error> {
    let Ok(record) = tx.get(kind, key) else { return Ok(()) };
    let value = record.value();
    for (name, value) in value.get("Params").and_then(Value::as_object).into_iter().flatten() {
        if names.contains(name) && Sealed::parse(value).is_err() {
            let sealed = Sealed::seal(value, keys.pair(kind, key).public(), tx.now());
            let sealed = sealed.map_err(|why| gantry_model::Error::invalid(kind, key, why))?;
            tx.set_param(kind, key, name, sealed.to_value())?;
        }
    }
    Ok(())
}

/// Seals a pack in its place. One that was replaced meanwhile is looked at again, and one that was removed stays away.
async fn seal_layer(core: &Arc<Core>, layer: &Arc<Layer>, names: &BTreeSet<String>) {
    let mut layer = Arc::clone(layer);
    while let Err(error) = put_sealed(core, &layer).await {
        let view = core.state.view();
        let Some(now) = view.layers().iter().find(|other| other.name() == layer.name()) else { return };
        if Arc::ptr_eq(now, &layer) {
            tracing::error!(
                pack = layer.name(),
                error,
                "values of parameters that became secure could not be sealed"
            );
            return;
        }
        if !now.objects().any(|record| has_plain(record, names)) {
            return;
        }
        layer = Arc::clone(now);
    }
}

async fn put_sealed(core: &Arc<Core>, layer: &Arc<Layer>) -> Result<(), String> {
    let mut content = layer.to_value();
    let sealed = pack(&core.state.view(), &core.secure, &mut content)
        .map_err(|faults| gantry_model::Error::layer(layer.name(), faults))
        .and_then(|()| Layer::from_value(content))
        .map_err(|error| error.to_string())?;
    let audit = Audit::new("server", "params.seal");
    let over = Over { present: Present::This(Arc::clone(layer)), clash: Clash::Refuse };
    let put = core.state.put_pack(audit, Arc::new(sealed), over).await;
    put.map(drop).map_err(|error| error.to_string())
}

//! drpcli's `contents bundlize` and `contents convert`: from objects of a running server to a pack, and back.

use gantry_model::Kind;
use gantry_pack::Pack;
use http::Method;
use serde_json::{Map, Value, json};

use crate::content::key::{self, Shown};
use crate::content::write_bundle;
use crate::run::Typed;
use crate::{Error, input};

/// What the server knows of an object beside what it is.
const ENVELOPE: [&str; 6] = ["Available", "Bundle", "Endpoint", "Errors", "ReadOnly", "Validated"];

/// Kinds in an order in which each finds what it refers to.
const ORDER: [&str; 8] =
    ["params", "templates", "profiles", "tasks", "bootenvs", "stages", "workflows", "machines"];

type Answer = Result<Option<Value>, Error>;

/// `contents bundlize FILE [Field=value | KIND | KIND:KEY | KIND:Field=value]…`: the objects as a pack, written to the file. With
/// `--delete` they are removed from the server then; with `--reload` the pack takes their place.
pub(crate) async fn bundlize(typed: &Typed<'_>) -> Answer {
    let file = typed.word(0);
    let (objects, meta): (Vec<&str>, Vec<&str>) = typed.rest().iter().partition(|word| names_objects(word));
    let mut content = json!({"meta": {}, "sections": {}});
    for word in meta {
        let (field, value) = word
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("`{word}` is neither Field=value nor KIND:KEY")))?;
        content["meta"][field] = value.into();
    }
    if content["meta"].get("Name").is_none() {
        return Err(Error::Usage("the pack needs a name: add Name=<name>".into()));
    }
    let (mut taken, mut shown) = (Vec::new(), Shown::default());
    for word in objects {
        for (kind, object) in fetch(typed, word, &mut shown).await? {
            let key = object[kind.spec().key_field].as_str().unwrap_or_default().to_owned();
            taken.push(format!("/{}/{key}", kind.prefix()));
            content["sections"][kind.prefix()][key] = object;
        }
    }
    let plain = Pack::from_value(content.clone()).map_err(Error::Usage)?;
    key::seal(typed, &mut content, &shown)?;
    write_bundle(&Pack::from_value(content).map_err(Error::Usage)?, file)?;
    if typed.switch("reload") {
        // One step: the pack comes and the objects go, or nothing happens.
        return put(typed, &plain).await.map(Some);
    }
    if typed.switch("delete") {
        for path in taken.iter().rev() {
            typed.send(Method::DELETE, path, None).await?;
        }
    }
    Ok(None)
}

/// `contents show NAME`: with `--key` its secure values are sealed.
pub(crate) async fn show(typed: &Typed<'_>) -> Answer {
    let mut content = typed.get(&typed.path(), &[]).await?;
    if typed.flag("key").is_some() {
        key::seal_pack(typed, &mut content).await?;
    }
    Ok(Some(content))
}

/// `profiles`, `profiles:north`, `machines:Name=m1`: not `Source=http://…`.
fn names_objects(word: &str) -> bool {
    let kind = word.split([':', '=']).next().unwrap_or_default();
    Kind::from_prefix(kind).is_some() && !word[kind.len()..].starts_with('=')
}

/// The objects that a word means, without what only the server knows; `shown` gets to know what of them is shown to everybody.
async fn fetch(typed: &Typed<'_>, word: &str, shown: &mut Shown) -> Result<Vec<(Kind, Value)>, Error> {
    let (prefix, which) = word.split_once(':').map_or((word, None), |(prefix, which)| (prefix, Some(which)));
    let Some(kind) = Kind::from_prefix(prefix) else {
        return Err(Error::Usage(format!("`{prefix}` is no kind of object")));
    };
    let (path, filter) = match which.map(|which| (which, which.split_once('='))) {
        None => (format!("/{prefix}"), None),
        Some((_, Some(filter))) => (format!("/{prefix}"), Some(filter)),
        Some((key, None)) => (format!("/{prefix}/{key}"), None),
    };
    let get = async |decode: Option<(&str, &str)>| {
        let query: Vec<(&str, &str)> = decode.into_iter().chain(filter).collect();
        typed.get(&path, &query).await.map(listed)
    };
    let mut objects = get(None).await?;
    if kind.spec().params {
        objects.iter().for_each(|object| shown.note(kind, object));
        objects = get(Some(("decode", "true"))).await?;
    }
    let own = objects.into_iter().filter(|object| which.is_some() || object["ReadOnly"] != json!(true));
    Ok(own.map(|object| (kind, stripped(object))).collect())
}

fn listed(found: Value) -> Vec<Value> {
    match found {
        Value::Array(objects) => objects,
        one => vec![one],
    }
}

fn stripped(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.retain(|name, _| !ENVELOPE.contains(&name.as_str()));
    }
    object
}

async fn put(typed: &Typed<'_>, pack: &Pack) -> Result<Value, Error> {
    let path = format!("/contents/{}", pack.name());
    let there = typed.session.client.exists(&path).await?;
    let (method, path) = if there { (Method::PUT, path) } else { (Method::POST, "/contents".to_owned()) };
    let query = [("replaceWritable", "true")];
    Ok(typed.session.client.call(method, &path, &query, Some(&pack.to_value())).await?)
}

/// `contents convert FILE`: the objects of a pack as objects of the store, which can be changed. A pack of that name on the server
/// goes first. When one of the objects is refused, those before it go and the pack comes back.
pub(crate) async fn convert(typed: &Typed<'_>) -> Answer {
    let mut pack = match typed.word(0) {
        "-" => Pack::from_value(input::value("-").await?).map_err(Error::Usage)?,
        file => Pack::read(std::path::Path::new(file))?,
    };
    key::open_pack(typed.flag("key"), &mut pack)?;
    let path = format!("/contents/{}", pack.name());
    let there = typed.session.client.exists(&path).await?;
    let before = if there { Some(typed.get(&path, &[]).await?) } else { None };
    if there {
        typed.send(Method::DELETE, &path, None).await?;
    }
    let mut made = Vec::new();
    for (prefix, object) in in_order(&pack.to_value()) {
        if let Err(error) = make(typed, prefix, stripped(object), &mut made).await {
            for path in made.iter().rev().filter_map(|(prefix, object)| path_of(prefix, object)) {
                typed.send(Method::DELETE, &path, None).await?;
            }
            if let Some(before) = before {
                typed.send(Method::POST, "/contents", Some(&before)).await?;
            }
            return Err(error);
        }
    }
    let counts = made.iter().fold(Map::new(), |mut counts, (prefix, _)| {
        let count = counts.get(prefix).and_then(Value::as_u64).unwrap_or_default();
        counts.insert(prefix.clone(), (count + 1).into());
        counts
    });
    Ok(Some(counts.into()))
}

/// Makes an object of the store. Its secure values are sealed for it, so they come when it is there.
async fn make(
    typed: &Typed<'_>,
    prefix: String,
    mut object: Value,
    made: &mut Vec<(String, Value)>,
) -> Result<(), Error> {
    let client = &typed.session.client;
    let mut secrets = Vec::new();
    if let Some(params) = object.get_mut("Params").and_then(Value::as_object_mut) {
        for name in params.keys().cloned().collect::<Vec<_>>() {
            if client.is_secure(&name).await? {
                secrets.extend(params.remove_entry(&name));
            }
        }
    }
    let object = typed.send(Method::POST, &format!("/{prefix}"), Some(&object)).await?;
    let path = path_of(&prefix, &object);
    made.push((prefix, object));
    let Some(path) = path else { return Ok(()) };
    for (name, value) in secrets {
        let value = client.seal(&path, value).await?;
        typed.send(Method::POST, &format!("{path}/params/{name}"), Some(&value)).await?;
    }
    Ok(())
}

fn path_of(prefix: &str, object: &Value) -> Option<String> {
    let key = object.get(Kind::from_prefix(prefix)?.spec().key_field)?.as_str()?;
    Some(format!("/{prefix}/{key}"))
}

/// The objects with their prefixes, what others refer to first.
fn in_order(content: &Value) -> Vec<(String, Value)> {
    let sections = content.get("sections").and_then(Value::as_object).cloned().unwrap_or_default();
    let place = |prefix: &str| ORDER.iter().position(|known| *known == prefix).unwrap_or(ORDER.len() - 1);
    let mut objects: Vec<(String, Value)> = sections
        .into_iter()
        .flat_map(|(prefix, objects)| {
            let objects = objects.as_object().cloned().unwrap_or_default();
            objects.into_iter().map(move |(_, object)| (prefix.clone(), object))
        })
        .collect();
    objects.sort_by_key(|(prefix, _)| place(prefix));
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_objects_or_metadata() {
        for (word, objects) in [
            ("profiles", true),
            ("profiles:north", true),
            ("machines:Name=m1", true),
            ("Name=north", false),
            ("Source=http://x", false),
            ("profiles=x", false),
            ("nothing:x", false),
        ] {
            assert_eq!(names_objects(word), objects, "{word}");
        }
    }

    #[test]
    fn what_others_refer_to_comes_first() {
        let content = json!({"sections": {
            "workflows": {"w": {"Name": "w"}}, "stages": {"s": {"Name": "s"}}, "params": {"p": {"Name": "p"}}, "roles": {"r": {"Name": "r"}},
        }});
        let order: Vec<String> = in_order(&content).into_iter().map(|(prefix, _)| prefix).collect();
        assert_eq!(order, ["params", "stages", "workflows", "roles"]);
    }
}

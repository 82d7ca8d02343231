//! Maps of objects by name: parameters, `Meta`, and preferences, which are the server's own map.

use http::Method;
use serde_json::{Map, Value, json};

use crate::run::Typed;
use crate::verb::Do;
use crate::{Error, input, output};

type Answer = Result<Option<Value>, Error>;

/// A JSON pointer to one name: `~` and `/` escaped.
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

pub(crate) async fn meta(act: Do, typed: &Typed<'_>) -> Answer {
    let path = format!("/meta{}", typed.path());
    let now = typed.get(&path, &[]).await?;
    let (key, value) = (typed.word(1), typed.optional(2));
    let known = now.get(key);
    let pointer = pointer(key);
    let test = known.map(|known| json!({ "op": "test", "path": pointer, "value": known }));
    let change = match act {
        Do::MetaShow => return Ok(Some(now)),
        Do::MetaGet => {
            let gone = || Error::Usage(format!("{}/{} has no Meta {key}", typed.noun, typed.word(0)));
            return known.cloned().map(Some).ok_or_else(gone);
        }
        Do::MetaAdd if known.is_some() => {
            return Err(Error::Usage(format!(
                "Key {key} already present on {} {}",
                typed.noun,
                typed.word(0)
            )));
        }
        Do::MetaRemove => json!({ "op": "remove", "path": pointer }),
        _ => json!({ "op": "add", "path": pointer, "value": value.unwrap_or_default() }),
    };
    let patch = Value::Array(test.into_iter().chain([change]).collect());
    Ok(Some(typed.send(Method::PATCH, &path, Some(&patch)).await?))
}

pub(crate) async fn params(act: Do, typed: &Typed<'_>) -> Answer {
    let all = format!("{}/params", typed.path());
    let key = typed.word(1);
    let one = format!("{all}/{key}");
    match act {
        Do::Params => match typed.optional(1) {
            Some(json) => {
                let mut map = input::value(json).await?;
                if let Some(params) = map.as_object_mut() {
                    typed.session.client.seal_all(&typed.path(), params).await?;
                }
                Ok(Some(typed.send(Method::POST, &all, Some(&map)).await?))
            }
            None => {
                let found = typed.get(&all, &typed.query()).await?;
                if !typed.switch("origin") || typed.flag("format").is_some() {
                    return Ok(Some(found));
                }
                crate::output::print(&crate::origin::table(&found));
                Ok(None)
            }
        },
        Do::ParamGet => Ok(Some(typed.get(&one, &typed.query()).await?)),
        Do::ParamAdd | Do::ParamSet => {
            let value = sealed(typed, key, typed.word(2)).await?;
            let known = typed.get(&all, &[]).await?.get(key).cloned();
            if act == Do::ParamAdd && known.is_some() {
                return Err(Error::Usage(format!(
                    "Key {key} already present on {} {}",
                    typed.noun,
                    typed.word(0)
                )));
            }
            match &typed.session.reference {
                None => Ok(Some(typed.send(Method::POST, &one, Some(&value)).await?)),
                Some(seen) => {
                    let pointer = pointer(key);
                    let patch = json!([
                        { "op": "test", "path": pointer, "value": seen },
                        { "op": "replace", "path": pointer, "value": value },
                    ]);
                    typed.send(Method::PATCH, &all, Some(&patch)).await?;
                    Ok(Some(value))
                }
            }
        }
        _ => match &typed.session.reference {
            None => Ok(Some(typed.send(Method::DELETE, &one, None).await?)),
            Some(seen) => {
                let pointer = pointer(key);
                let patch = json!([{ "op": "test", "path": pointer, "value": seen }, { "op": "remove", "path": pointer }]);
                Ok(Some(typed.send(Method::PATCH, &all, Some(&patch)).await?))
            }
        },
    }
}

/// The value that is typed for a parameter, sealed if the parameter is secure: then no error shows any of it.
async fn sealed(typed: &Typed<'_>, name: &str, word: &str) -> Result<Value, Error> {
    let client = &typed.session.client;
    if !client.is_secure(name).await? {
        of_unknown(typed, name).await?;
        return input::scalar(word).await;
    }
    let value = input::scalar(word).await.map_err(|error| match error {
        Error::Usage(_) => {
            Error::Usage(format!("the value of the secure parameter {name} is no JSON and no YAML"))
        }
        other => other,
    })?;
    Ok(client.seal(&typed.path(), value).await?)
}

/// Parameters need no definition; one whose name is nearly that of a defined one is a mistake.
async fn of_unknown(typed: &Typed<'_>, name: &str) -> Result<(), Error> {
    if typed.session.client.exists(&format!("/params/{name}")).await.unwrap_or(true) {
        return Ok(());
    }
    let all = typed.get("/params", &[]).await?;
    let names = all.as_array().into_iter().flatten().filter_map(|param| param.get("Name")?.as_str());
    if let Some(meant) = gantry_pack::similar(name, names) {
        output::say(&format!("warning: no parameter `{name}` is defined; did you mean `{meant}`?"));
    }
    Ok(())
}

/// One JSON argument, or pairs of name and value.
async fn pairs(words: &[&str]) -> Result<Map<String, Value>, Error> {
    if let [one] = words {
        return match input::value(one).await? {
            Value::Object(map) => Ok(map),
            _ => Err(Error::Usage(format!("`{one}` must be a map, or give pairs of name and value"))),
        };
    }
    let mut map = Map::new();
    for pair in words.chunks(2) {
        let [name, value] = pair else {
            return Err(Error::Usage(format!("`{}` has no value beside it", pair.concat())));
        };
        map.insert((*name).to_owned(), input::scalar(value).await?);
    }
    Ok(map)
}

pub(crate) async fn run_action(typed: &Typed<'_>) -> Answer {
    let body = Value::Object(pairs(typed.rest()).await?);
    let path = format!("{}/{}", typed.actions(), typed.word(1));
    let answer = typed.session.client.call(Method::POST, &path, &typed.query(), Some(&body)).await?;
    Ok(Some(answer))
}

pub(crate) async fn prefs(typed: &Typed<'_>) -> Answer {
    let given = pairs(typed.rest()).await?;
    // Values of preferences are text, also those that look like numbers.
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let body: Map<String, Value> =
        given.into_iter().map(|(name, value)| (name, text(value).into())).collect();
    let sent = typed.send(Method::POST, "/prefs", Some(&body.into())).await;
    if let Err(Error::Client(error)) = &sent
        && let Some(unknown) = error.to_string().split("Unknown Preference ").nth(1)
        && let Ok(Value::Object(known)) = typed.get("/prefs", &[]).await
        && let Some(meant) = gantry_pack::similar(unknown.trim(), known.keys().map(String::as_str))
    {
        return Err(Error::Usage(format!("{error}; did you mean `{meant}`?")));
    }
    Ok(Some(sent?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_slashes() {
        assert_eq!(pointer("net/a~b"), "/net~1a~0b");
    }
}

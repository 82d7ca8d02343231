//! `pools manage`: flags and filters into the body of a move.

use http::Method;
use serde_json::{Map, Value};

use crate::run::Typed;
use crate::{Error, generic, input, output};

/// Flags whose value is a list of words, a number, or text, and their names in the body.
const LISTS: &[(&str, &str)] = &[
    ("machine-list", "pool/machine-list"),
    ("add-profiles", "pool/add-profiles"),
    ("remove-profiles", "pool/remove-profiles"),
    ("remove-parameters", "pool/remove-parameters"),
];
const NUMBERS: &[(&str, &str)] = &[("count", "pool/count"), ("minimum", "pool/minimum")];
const TEXTS: &[(&str, &str)] = &[("new-workflow", "pool/workflow"), ("wait-timeout", "pool/wait-timeout")];

/// Asks for a move; `command` is the last word of the path.
pub(crate) async fn moved(typed: &Typed<'_>, command: &str) -> Result<Option<Value>, Error> {
    let mut query = typed.session.query();
    if command == "addMachines" {
        query.extend(typed.flag("source-pool").map(|pool| ("source-pool", pool)));
    }
    let body = Value::Object(body(typed).await?);
    known(typed, command).await?;
    let path = format!("{}/{command}", typed.path());
    Ok(Some(typed.session.client.call(Method::POST, &path, &query, Some(&body)).await?))
}

/// A pool is there when it was made or when machines are in it. Machines may be moved into one that is not there, as DRP
/// allows; then it is worth a warning.
async fn known(typed: &Typed<'_>, command: &str) -> Result<(), Error> {
    let id = typed.word(0);
    match typed.get(&format!("{}/status", typed.path()), &[]).await {
        Err(Error::Client(error)) if error.code() == Some(404) && command == "addMachines" => {
            output::say(&format!(
                "warning: there was no pool {id}; `gantry pools create {id}` gives it a place of its own"
            ));
            Ok(())
        }
        Err(Error::Client(error)) if error.code() == Some(404) => Err(Error::Usage(format!(
            "there is no pool {id}; `gantry pools active` shows those with machines"
        ))),
        // Whoever may not see it may yet be allowed to change it: the server decides.
        _ => Ok(()),
    }
}

async fn body(typed: &Typed<'_>) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    for (flag, name) in LISTS {
        if let Some(words) = typed.flag(flag) {
            body.insert((*name).to_owned(), words.split(',').map(str::trim).collect());
        }
    }
    for (flag, name) in NUMBERS {
        let Some(text) = typed.flag(flag) else { continue };
        let wrong = |_| Error::Usage(format!("--{flag} is `{text}`; it must be a whole number"));
        body.insert((*name).to_owned(), text.parse::<u32>().map_err(wrong)?.into());
    }
    for (flag, name) in TEXTS {
        body.extend(typed.flag(flag).map(|text| ((*name).to_owned(), text.into())));
    }
    if let Some(map) = typed.flag("add-parameters") {
        body.insert("pool/add-parameters".to_owned(), input::value(map).await?);
    }
    if typed.switch("all-machines") {
        body.insert("pool/all-machines".to_owned(), true.into());
    }
    let filters = generic::filters(typed.rest())?;
    if !filters.is_empty() {
        let filters = filters.iter().map(|(name, value)| format!("{name}={value}"));
        body.insert("pool/filter".to_owned(), filters.collect());
    }
    let bounded =
        ["pool/count", "pool/machine-list", "pool/all-machines"].iter().any(|name| body.contains_key(*name));
    if !bounded && !body.contains_key("pool/filter") {
        return Err(Error::Usage(
            "say which machines: filters such as Name=m1, --machine-list, --count or --all-machines".into(),
        ));
    }
    if !bounded {
        // Filters alone mean all that pass them; that there is none is worth an error.
        body.insert("pool/all-machines".to_owned(), true.into());
        body.entry("pool/minimum").or_insert(1.into());
    }
    Ok(body)
}

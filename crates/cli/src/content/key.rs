//! `--key`: secure values of a pack lie sealed in its file, and the key to them lies in another one (reference: api.md §12.5).
//!
//! Between client and server packs travel in plain text; the server seals their values for the objects that they come to.

use std::collections::BTreeSet;

use gantry_model::secret::Sealed;
use serde_json::{Map, Value};

use super::keyfile;
use crate::Error;
use crate::run::Typed;

/// Seals the secure values of a bundle for the key in the file of `--key`.
pub(super) async fn seal(typed: &Typed<'_>, content: &mut Value) -> Result<(), Error> {
    let secure = typed.get("/params", &[("Secure", "true"), ("slim", "Params,Meta")]).await?;
    let own = content.pointer("/sections/params").and_then(Value::as_object).into_iter().flatten();
    let own = own.map(|(_, param)| param).filter(|param| param["Secure"] == Value::Bool(true));
    let secure = secure.as_array().into_iter().flatten().chain(own);
    let secure: BTreeSet<String> =
        secure.filter_map(|param| param["Name"].as_str()).map(str::to_owned).collect();
    let mut secrets = 0;
    each_value(sections(content), |_, name, value| {
        secrets += usize::from(secure.contains(name) && Sealed::parse(value).is_err());
        Ok(())
    })?;
    if secrets == 0 {
        return Ok(());
    }
    let file = typed.flag("key").ok_or_else(|| {
        Error::Usage(
            "the pack has secure values\nhint: `--key FILE` seals them and saves the key to them".into(),
        )
    })?;
    let dice = gantry_client::dice();
    let dice = dice.ok_or_else(|| Error::Usage("this system gives no random numbers to seal with".into()))?;
    let public = keyfile::read_or_make(file, &dice)?.public();
    each_value(sections(content), |_, name, value| {
        if secure.contains(name) && Sealed::parse(value).is_err() {
            *value = Sealed::seal(value, public, &dice).map_err(Error::Usage)?.to_value();
        }
        Ok(())
    })
}

/// Opens the sealed values of a bundle with the key in the file, when one is given.
pub(crate) fn open(file: Option<&str>, content: &mut Value) -> Result<(), Error> {
    open_all(file, sections(content))
}

/// The same for the sections of a pack.
pub(super) fn open_all<'a>(
    file: Option<&str>,
    sections: impl Iterator<Item = (&'a String, &'a mut Map<String, Value>)>,
) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    let pair = keyfile::read(file)?;
    each_value(sections, |object, name, value| {
        if let Ok(sealed) = Sealed::parse(value) {
            let other = |_| Error::Usage(format!("{object}: {name} was not sealed for the key in {file}"));
            *value = pair.open(&sealed).map_err(other)?;
        }
        Ok(())
    })
}

fn sections(content: &mut Value) -> impl Iterator<Item = (&String, &mut Map<String, Value>)> {
    let sections = content.get_mut("sections").and_then(Value::as_object_mut).into_iter().flatten();
    sections.filter_map(|(prefix, objects)| Some((prefix, objects.as_object_mut()?)))
}

/// Calls `work` with every parameter's value in the objects: `profiles/north`, name, value.
fn each_value<'a>(
    sections: impl Iterator<Item = (&'a String, &'a mut Map<String, Value>)>,
    mut work: impl FnMut(&str, &str, &mut Value) -> Result<(), Error>,
) -> Result<(), Error> {
    for (prefix, objects) in sections {
        for (key, object) in objects {
            let params = object.get_mut("Params").and_then(Value::as_object_mut);
            for (name, value) in params.into_iter().flatten() {
                work(&format!("{prefix}/{key}"), name, value)?;
            }
        }
    }
    Ok(())
}

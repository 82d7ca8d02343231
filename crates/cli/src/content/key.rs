//! `--key`: secure values of a pack lie sealed in its file, and the key to them lies in another one (reference: api.md §12.5).
//!
//! Between client and server packs travel in plain text; the server seals their values for the objects that they come to. Which
//! values are secure is seen by how the server shows them to those who may read no secret. The definitions of parameters do not
//! tell it: who may read a secret need not be shown them.

use std::collections::BTreeMap;

use gantry_client::Error as Refusal;
use gantry_model::Kind;
use gantry_model::secret::Sealed;
use gantry_pack::Pack;
use serde_json::{Map, Value};

use super::keyfile;
use crate::Error;
use crate::run::Typed;

/// The parameters of objects as they are shown to those who may read no secret, by path: `profiles/north`.
#[derive(Default)]
pub(super) struct Shown(BTreeMap<String, Map<String, Value>>);

impl Shown {
    pub(super) fn note(&mut self, kind: Kind, object: &Value) {
        let key = object.get(kind.spec().key_field).and_then(Value::as_str);
        let params = object.get("Params").and_then(Value::as_object);
        if let (Some(key), Some(params)) = (key, params) {
            self.0.insert(format!("{}/{key}", kind.prefix()), params.clone());
        }
    }

    /// Of all objects that a pack may have. Those that the caller may not see are missing.
    async fn of_pack(typed: &Typed<'_>, content: &mut Value) -> Result<Self, Error> {
        let mut shown = Self::default();
        let prefixes = carriers(content).filter(|(_, objects)| !objects.is_empty());
        let kinds: Vec<Kind> = prefixes.filter_map(|(prefix, _)| Kind::from_prefix(prefix)).collect();
        for kind in kinds {
            let path = format!("/{}", kind.prefix());
            match typed.session.client.get(&path, &[("slim", "Meta")]).await {
                Ok(Value::Array(found)) => found.iter().for_each(|object| shown.note(kind, object)),
                Ok(_) => {}
                Err(Refusal::Refused(refused)) if !refused.is_login() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(shown)
    }

    /// What is not shown as it is counts as a secret.
    fn hides(&self, object: &str, name: &str, value: &Value) -> bool {
        let shown = self.0.get(object).and_then(|params| params.get(name));
        shown != Some(value) && Sealed::parse(value).is_err()
    }
}

/// Seals the secure values of a pack that is on the server.
pub(super) async fn seal_pack(typed: &Typed<'_>, content: &mut Value) -> Result<(), Error> {
    let shown = Shown::of_pack(typed, content).await?;
    seal(typed, content, &shown)
}

/// Seals the secure values of a bundle for the key in the file of `--key`.
pub(super) fn seal(typed: &Typed<'_>, content: &mut Value, shown: &Shown) -> Result<(), Error> {
    let mut secrets = 0;
    each_value(carriers(content), |object, name, value| {
        secrets += usize::from(shown.hides(object, name, value));
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
    each_value(carriers(content), |object, name, value| {
        if shown.hides(object, name, value) {
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

/// Opens a pack whose values are to be used here: what is sealed needs a key.
pub(super) fn open_pack(file: Option<&str>, pack: &mut Pack) -> Result<(), Error> {
    if file.is_some() {
        return open_all(file, pack.sections.iter_mut());
    }
    each_value(pack.sections.iter_mut(), |object, name, value| match Sealed::parse(value) {
        Ok(_) => Err(Error::Usage(format!(
            "{object}: the value of {name} is sealed\nhint: `--key FILE` opens it with the key in the file"
        ))),
        Err(_) => Ok(()),
    })
}

/// The sections of the kinds whose secure values the server seals.
fn carriers(content: &mut Value) -> impl Iterator<Item = (&String, &mut Map<String, Value>)> {
    sections(content).filter(|(prefix, _)| Kind::from_prefix(prefix).is_some_and(|kind| kind.spec().params))
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

//! `--key`: secure values of a pack lie sealed in its file, and the key to them lies in another one (reference: api.md §12.5).
//!
//! A key file is as `drpcli` makes it: the private key of a pair that is made for this pack alone, 32 bytes in base64, as a JSON
//! string. Between client and server packs travel in plain text; the server seals their values for the objects that they come to.

use std::collections::BTreeSet;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use gantry_model::secret::{KeyPair, Sealed};
use gantry_model::{Bytes, Now};
use serde_json::{Map, Value};

use crate::Error;
use crate::run::Typed;

/// Seals the secure values of a bundle and writes the key to them into the file of `--key`.
pub(super) async fn seal(typed: &Typed<'_>, content: &mut Value) -> Result<(), Error> {
    let secure = typed.get("/params", &[("Secure", "true"), ("slim", "Params,Meta")]).await?;
    let own = content.pointer("/sections/params").and_then(Value::as_object).into_iter().flatten();
    let own = own.map(|(_, param)| param).filter(|param| param["Secure"] == Value::Bool(true));
    let secure = secure.as_array().into_iter().flatten().chain(own);
    let secure: BTreeSet<String> =
        secure.filter_map(|param| param["Name"].as_str()).map(str::to_owned).collect();
    let dice = gantry_client::dice();
    let dice = dice.ok_or_else(|| Error::Usage("this system gives no random numbers to seal with".into()))?;
    let pair = KeyPair::fresh(&dice);
    if !seal_for(&pair, content, &secure, &dice)? {
        return Ok(());
    }
    let file = typed.flag("key").ok_or_else(|| {
        Error::Usage(
            "the pack has secure values\nhint: `--key FILE` seals them and saves the key to them".into(),
        )
    })?;
    save(&pair, file).map_err(|source| Error::File { file: file.to_owned(), source })
}

/// Whether there was something to seal.
fn seal_for(
    pair: &KeyPair,
    content: &mut Value,
    secure: &BTreeSet<String>,
    dice: &Now,
) -> Result<bool, Error> {
    let mut found = false;
    each_value(sections(content), |_, name, value| {
        if secure.contains(name) && Sealed::parse(value).is_err() {
            *value = Sealed::seal(value, pair.public(), dice).map_err(Error::Usage)?.to_value();
            found = true;
        }
        Ok(())
    })?;
    Ok(found)
}

fn save(pair: &KeyPair, file: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    // It may have been there, for everybody to read.
    file.set_permissions(Permissions::from_mode(0o600))?;
    let text = Bytes(pair.private().to_vec()).to_string();
    file.write_all(Value::String(text).to_string().as_bytes())
}

/// Opens the sealed values of a bundle with the key in the file, when one is given.
pub(crate) async fn open(file: Option<&str>, content: &mut Value) -> Result<(), Error> {
    open_all(file, sections(content)).await
}

/// The same for the sections of a pack.
pub(super) async fn open_all<'a>(
    file: Option<&str>,
    sections: impl Iterator<Item = (&'a String, &'a mut Map<String, Value>)>,
) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    let read = tokio::fs::read(file).await;
    let text = read.map_err(|source| Error::File { file: file.to_owned(), source })?;
    let key = serde_json::from_slice::<String>(&text).ok().and_then(|text| Bytes::parse(&text).ok());
    let key = key.and_then(|key| <[u8; 32]>::try_from(key.0).ok());
    let key =
        key.ok_or_else(|| Error::Usage(format!("{file} is no key: 32 bytes in base64, as a JSON string")))?;
    let pair = KeyPair::from_private(key);
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

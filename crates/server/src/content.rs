//! Content packs as folders (reference: engine.md §7.1): one folder per kind, one file per object, `._<Field>.meta` files
//! for the metadata.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_model::{Kind, Layer};
use serde_json::{Map, Value, json};

/// Why a pack cannot be used; every fault is named.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no pack.
    #[error("{}: no content pack here; a pack has a file ._Name.meta, or its folders do", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
    },
    /// Files of a pack are wrong.
    #[error("content pack {pack}:\n  {}", faults.join("\n  "))]
    Wrong {
        /// The folder.
        pack: String,
        /// One line per fault, with file and reason.
        faults: Vec<String>,
    },
}

/// Reads the pack in `folder`, or all packs in the folders below it.
///
/// # Errors
/// See [`Error`].
pub fn load(folder: &Path) -> Result<Vec<Arc<Layer>>, Error> {
    let here = |folder: &Path| is_pack(|name| folder.join(name).is_file());
    let mut packs = Vec::new();
    if here(folder) {
        packs.push(folder.to_owned());
    } else {
        packs.extend(entries(folder)?.into_iter().filter(|entry| entry.is_dir() && here(entry)));
    }
    if packs.is_empty() {
        return Err(Error::Nothing { path: folder.to_owned() });
    }
    packs.iter().map(|pack| bundle(&pack.display().to_string(), files(pack)?)).collect()
}

/// Whether a folder is a pack, told by whether it has a file of a name.
pub fn is_pack(has: impl Fn(&str) -> bool) -> bool {
    has("._Name.meta")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(read)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(read)?;
    found.sort();
    Ok(found)
}

/// Files of a pack's folder and of the folders in it, by path below it.
fn files(pack: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    for entry in entries(pack)? {
        let inner = if entry.is_dir() { entries(&entry)? } else { vec![entry] };
        for file in inner.into_iter().filter(|file| file.is_file()) {
            let bytes = fs::read(&file).map_err(|source| Error::Read { path: file.clone(), source })?;
            let name = file.strip_prefix(pack).unwrap_or(&file).to_string_lossy().into_owned();
            found.push((name, bytes));
        }
    }
    Ok(found)
}

/// Makes a pack of files, by path below the pack's folder.
///
/// # Errors
/// [`Error::Wrong`] with every fault.
pub fn bundle(pack: &str, files: Vec<(String, Vec<u8>)>) -> Result<Arc<Layer>, Error> {
    let mut meta = Map::new();
    let mut sections: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut faults = Vec::new();
    for (path, bytes) in files {
        if let Some(field) = path.strip_prefix("._").and_then(|name| name.strip_suffix(".meta")) {
            meta.insert(field.to_owned(), String::from_utf8_lossy(&bytes).trim().into());
            continue;
        }
        let Some((prefix, file)) = path.split_once('/') else { continue };
        let Some(kind) = Kind::from_prefix(prefix).filter(|_| !file.starts_with('.')) else { continue };
        match object(kind, file, &bytes) {
            Ok((key, object)) => drop(sections.entry(prefix.to_owned()).or_default().insert(key, object)),
            Err(why) => faults.push(format!("{path}: {why}")),
        }
    }
    if faults.is_empty() {
        let made = Layer::from_value(json!({ "meta": meta, "sections": sections }));
        return made.map(Arc::new).map_err(|error| wrong(pack, vec![error.to_string()]));
    }
    Err(wrong(pack, faults))
}

fn wrong(pack: &str, faults: Vec<String>) -> Error {
    Error::Wrong { pack: pack.to_owned(), faults }
}

/// One file: a decoded object with its key, or a raw template.
fn object(kind: Kind, file: &str, bytes: &[u8]) -> Result<(String, Value), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())?;
    let value = match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => serde_json::from_str(text).map_err(|error| error.to_string())?,
        Some("yaml" | "yml") => serde_saphyr::from_str(text).map_err(|error| error.to_string())?,
        _ if kind == Kind::Template => return Ok((file.to_owned(), json!({ "ID": file, "Contents": text }))),
        _ => return Err("must end in .yaml, .yml or .json".into()),
    };
    let value = gantry_model::decode::object(kind, value)?;
    let field = kind.spec().key_field;
    let key = value.get(field).and_then(Value::as_str).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| format!("{field} is missing"))?.to_owned();
    Ok((key, value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn a_folder_becomes_a_pack_with_raw_templates() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("p/._Name.meta", "p\n"),
            ("p/params/a.b.yml", "name: a/b\n"),
            ("p/templates/x.tmpl", "hi"),
            ("p/.git/x", ""),
        ];
        write(folder.path(), &files);
        let packs = load(folder.path()).unwrap();
        assert_eq!(packs.len(), 1);
        assert!(packs[0].get(Kind::Param, "a/b").is_some());
        let template = packs[0].get(Kind::Template, "x.tmpl").unwrap();
        assert!(template.json().contains(r#""Contents":"hi""#), "{}", template.json());
    }

    #[test]
    fn every_fault_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("._Name.meta", "p"), ("params/a.txt", ""), ("tasks/t.yml", "Name: [")]);
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("params/a.txt: must end in") && error.contains("tasks/t.yml: "), "{error}");
    }

    #[test]
    fn a_folder_without_packs_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(Error::Nothing { .. })));
    }
}

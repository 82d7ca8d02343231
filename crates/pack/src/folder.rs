//! A pack as a folder (engine §7.1): one folder per kind of object, one file per object, metadata in `._<Field>.meta`
//! files or `meta.yaml`.
//!
//! Folders that begin with a dot or name no kind are passed over, and so are folders within the folder of a kind. In
//! `templates`, a file that is neither YAML nor JSON is a template whose ID is the file's name.

use std::fs;
use std::path::{Path, PathBuf};

use gantry_model::Kind;
use serde_json::{Map, Value, json};

use crate::pack::{Pack, Source, fields};
use crate::{Error, Fault, coerce, lint, yaml};

/// Whether a folder is a pack, told by whether it has a file of a name.
pub fn is_pack(has: impl Fn(&str) -> bool) -> bool {
    ["._Name.meta", "meta.yaml", "meta.yml", "meta.json"].into_iter().any(has)
}

/// Every pack in `folder`: itself, else the folders below it, however deep.
pub(crate) fn find(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if is_pack(|name| folder.join(name).is_file()) {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in entries(folder)?.into_iter().filter(|entry| entry.is_dir() && !entry.is_symlink()) {
        if !hidden(&entry) {
            found.extend(find(&entry)?);
        }
    }
    Ok(found)
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    let read = fs::read_dir(folder).map_err(failed)?;
    let mut found: Vec<PathBuf> =
        read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    found.sort();
    Ok(found)
}

/// Files of a pack's folder and of the folders in it, by path below it.
pub(crate) fn files(pack: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    for entry in entries(pack)? {
        let wanted = entry.is_file()
            || entry.file_name().is_some_and(|name| Kind::from_prefix(&name.to_string_lossy()).is_some());
        let inner = match (wanted, entry.is_dir()) {
            (false, _) => continue,
            (true, true) => entries(&entry)?,
            (true, false) => vec![entry],
        };
        for file in inner.into_iter().filter(|file| file.is_file()) {
            let bytes = fs::read(&file).map_err(|source| Error::File { path: file.clone(), source })?;
            let name = file.strip_prefix(pack).unwrap_or(&file).to_string_lossy().into_owned();
            found.push((name, bytes));
        }
    }
    Ok(found)
}

/// Names of the folders that are passed over though they hold what may be meant as objects.
pub(crate) fn strays(pack: &Path) -> Result<Vec<String>, Error> {
    let strays = entries(pack)?.into_iter().filter(|entry| lint::is_stray(entry));
    Ok(strays.filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned())).collect())
}

/// Makes a pack of files, by path below the pack's folder, with `given` metadata where no file has it. What cannot be read is
/// not in the pack, and among the faults.
pub(crate) fn collect(
    folder: &str,
    files: Vec<(String, Vec<u8>)>,
    given: &Map<String, Value>,
) -> (Pack, Vec<Fault>) {
    let mut pack = Pack::default();
    let mut faults = Vec::new();
    let (metas, objects): (Vec<_>, Vec<_>) = files.into_iter().partition(|(path, _)| !path.contains('/'));
    for (path, bytes) in metas {
        read_meta(&mut pack.meta, &path, &bytes, &mut faults);
    }
    // What a file says wins.
    for (field, value) in given {
        pack.meta.entry(field.clone()).or_insert_with(|| value.clone());
    }
    faults.extend(coerce::meta(&mut pack.meta).into_iter().map(|misfit| Fault {
        object: "meta".to_owned(),
        field: misfit.pointer.trim_start_matches("/meta/").to_owned(),
        message: misfit.message,
        ..Fault::default()
    }));
    // A field's own file wins, and files come in the order of their names: `._` is before `meta`.
    for (path, bytes) in objects {
        let Some((prefix, file)) = path.split_once('/') else { continue };
        let Some(kind) = Kind::from_prefix(prefix).filter(|_| !file.starts_with('.')) else { continue };
        match object(kind, file, &bytes) {
            Ok((key, value, lines)) => {
                let source = Source { file: path.clone(), lines };
                pack.insert(prefix, &key, value, source);
            }
            Err(found) => faults.extend(found.into_iter().map(|fault| Fault { file: path.clone(), ..fault })),
        }
    }
    let name = if pack.name().is_empty() { folder.to_owned() } else { pack.name().to_owned() };
    faults.iter_mut().chain(&mut pack.doubles).for_each(|fault| name.clone_into(&mut fault.pack));
    (pack, faults)
}

fn read_meta(meta: &mut Map<String, Value>, path: &str, bytes: &[u8], faults: &mut Vec<Fault>) {
    if let Some(field) = path.strip_prefix("._").and_then(|name| name.strip_suffix(".meta")) {
        meta.insert(field.to_owned(), String::from_utf8_lossy(bytes).trim().into());
    } else if let "meta.yaml" | "meta.yml" | "meta.json" = path {
        match read(path, bytes) {
            Ok((value, _)) => {
                for (field, value) in fields(&value) {
                    meta.entry(field).or_insert(value);
                }
            }
            Err(fault) => faults.push(Fault { file: path.to_owned(), ..fault }),
        }
    }
}

type Object = (String, Value, std::collections::BTreeMap<String, usize>);

/// One file: an object with its key and the lines of its fields, or a raw template.
fn object(kind: Kind, file: &str, bytes: &[u8]) -> Result<Object, Vec<Fault>> {
    let prefix = kind.prefix();
    let is_data = matches!(file.rsplit_once('.'), Some((_, "json" | "yaml" | "yml")));
    if !is_data && kind == Kind::Template {
        let text = text(bytes).map_err(|fault| vec![fault])?;
        return Ok((
            file.to_owned(),
            json!({ "ID": file, "Contents": text }),
            [("/Contents".to_owned(), 0)].into(),
        ));
    }
    if !is_data {
        return Err(vec![Fault { message: "must end in .yaml, .yml or .json".into(), ..Fault::default() }]);
    }
    let (mut value, lines) = read(file, bytes).map_err(|fault| vec![fault])?;
    let misfits = coerce::object(kind, &mut value);
    let key = key_of(kind, &value);
    let mut faults: Vec<Fault> = misfits
        .into_iter()
        .map(|misfit| Fault {
            line: lines.get(&misfit.pointer).copied().unwrap_or_default(),
            object: format!("{prefix}/{key}"),
            field: misfit.pointer.trim_start_matches('/').to_owned(),
            message: misfit.message,
            ..Fault::default()
        })
        .collect();
    if key.is_empty() {
        let field = kind.spec().key_field;
        faults.push(Fault {
            field: field.into(),
            message: "is missing; it is the key of the object".into(),
            ..Fault::default()
        });
    }
    if faults.is_empty() { Ok((key, value, lines)) } else { Err(faults) }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        Fault { line, message: "is no UTF-8 text".into(), ..Fault::default() }
    })
}

/// A YAML or JSON file with the lines of its parts.
pub(crate) fn read(
    file: &str,
    bytes: &[u8],
) -> Result<(Value, std::collections::BTreeMap<String, usize>), Fault> {
    let text = text(bytes)?;
    let wrong = |line: usize, message: String| Fault { line, message, ..Fault::default() };
    let document = yaml::parse(text);
    if file.ends_with(".json") {
        let value = serde_json::from_str(text).map_err(|error| wrong(error.line(), error.to_string()))?;
        // JSON is YAML, so its lines are found likewise; a file that is not gives none.
        return Ok((value, document.map(|document| document.lines).unwrap_or_default()));
    }
    document
        .map(|document| (document.value, document.lines))
        .map_err(|error| wrong(error.line, error.message))
}

/// The key of an object, whose field may be written in any case.
pub(crate) fn key_of(kind: Kind, value: &Value) -> String {
    let field = kind.spec().key_field;
    let found = value.get(field).or_else(|| {
        value.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(field)).map(|(_, value)| value)
    });
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

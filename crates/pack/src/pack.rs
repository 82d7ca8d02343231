//! A pack in memory, with where each object came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_model::{Error as ModelError, Kind, Layer, LayerFault};
use serde_json::{Map, Value, json};

use crate::folder::{self, key_of};
use crate::{Error, Fault, coerce};

/// A content pack as files have it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pack {
    /// The metadata by field.
    pub meta: Map<String, Value>,
    /// The objects by prefix and key.
    pub sections: BTreeMap<String, Map<String, Value>>,
    /// Folders that name no kind and hold what may be meant as objects.
    pub(crate) strays: Vec<String>,
    /// Files that replace what an earlier one says of the same object.
    pub(crate) doubles: Vec<Fault>,
    pub(crate) sources: BTreeMap<(String, String), Source>,
}

/// Where an object was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The file, below the pack's folder.
    pub file: String,
    /// The line of each field, by JSON pointer.
    pub lines: BTreeMap<String, usize>,
}

/// Where packs are: the bundle at `path`, or the folders at or below it that are packs.
fn places(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let folders = folder::find(path)?;
    if folders.is_empty() { Err(Error::Nothing { path: path.to_owned() }) } else { Ok(folders) }
}

/// What a bundle has to be.
const NO_BUNDLE: &str = "a bundle is a map with `meta` and `sections`";
/// Metadata of a pack that has none.
const DEFAULTS: [(&str, &str); 3] = [("Name", "Unspecified"), ("Version", "v0.0.0"), ("Type", "dynamic")];

impl Pack {
    /// Reads the packs at `path`: a bundle, a folder that is a pack, or every pack in the folders below it.
    ///
    /// # Errors
    /// See [`Error`]; each pack with all its faults, but of several packs only the first that has some.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, Error> {
        places(path)?.iter().map(|place| Self::read(place)).collect()
    }

    /// As much of the packs at `path` as can be read, and what is wrong with the rest: for checks, which tell everything at once. With
    /// faults the packs are not whole, and good for nothing else.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Nothing`].
    pub fn read_all_loosely(
        path: &Path,
        given: &Map<String, Value>,
    ) -> Result<(Vec<Self>, Vec<Fault>), Error> {
        let (mut packs, mut faults) = (Vec::new(), Vec::new());
        for place in &places(path)? {
            if place.is_dir() {
                let (pack, found) = Self::read_folder(place, given)?;
                packs.push(pack);
                faults.extend(found);
                continue;
            }
            match Self::read_with(place, given) {
                Ok(pack) => packs.push(pack),
                Err(Error::Wrong { faults: found, .. }) => faults.extend(found),
                Err(other) => return Err(other),
            }
        }
        Ok((packs, faults))
    }

    fn read_folder(path: &Path, given: &Map<String, Value>) -> Result<(Self, Vec<Fault>), Error> {
        let (pack, faults) = folder::collect(&path.display().to_string(), folder::files(path)?, given);
        Ok((Self { strays: folder::strays(path)?, ..pack }.with_defaults(), faults))
    }

    fn whole(self, faults: Vec<Fault>) -> Result<Self, Error> {
        match faults.first() {
            None => Ok(self),
            Some(first) => Err(Error::Wrong { pack: first.pack.clone(), faults }),
        }
    }

    /// Reads one pack: a folder, metadata or not, or a bundle in YAML or JSON.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_with(path, &Map::new())
    }

    /// The same, with metadata for what the pack says nothing about.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read_with(path: &Path, given: &Map<String, Value>) -> Result<Self, Error> {
        if path.is_dir() {
            let (pack, faults) = Self::read_folder(path, given)?;
            return pack.whole(faults);
        }
        let shown = path.display().to_string();
        let bytes = fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let (value, _) = folder::read(&shown, &bytes).map_err(|fault| {
            let faults = vec![Fault { file: shown.clone(), ..fault }];
            Error::Wrong { pack: shown.clone(), faults }
        })?;
        let mut pack = Self::from_value(value).map_err(|message| {
            let faults = vec![Fault { file: shown.clone(), message, ..Fault::default() }];
            Error::Wrong { pack: shown.clone(), faults }
        })?;
        for (field, value) in given {
            pack.meta.entry(field.clone()).or_insert_with(|| value.clone());
        }
        Ok(pack)
    }

    /// A pack of files that are in memory, by path below the pack's folder.
    ///
    /// # Errors
    /// [`Error::Wrong`].
    pub fn from_files(folder: &str, files: Vec<(String, Vec<u8>)>) -> Result<Self, Error> {
        let (pack, faults) = folder::collect(folder, files, &Map::new());
        pack.with_defaults().whole(faults)
    }

    /// A bundle: `{"meta": {..}, "sections": {"<prefix>": {"<key>": {..}}}}`. Scalars are brought to the types of their fields.
    ///
    /// # Errors
    /// When it has not that form.
    pub fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(mut value) = value else {
            return Err(NO_BUNDLE.into());
        };
        if !value.contains_key("meta") && !value.contains_key("sections") {
            return Err(NO_BUNDLE.into());
        }
        let meta = match value.remove("meta").unwrap_or_default() {
            Value::Object(meta) => meta,
            Value::Null => Map::new(),
            _ => return Err("`meta` must be a map".into()),
        };
        let Value::Object(sections) = value.remove("sections").unwrap_or_else(|| json!({})) else {
            return Err("`sections` must be a map".into());
        };
        let mut pack = Self { meta, ..Self::default() };
        // What does not fit is reported with all else when the pack is made a layer.
        coerce::meta(&mut pack.meta);
        for (prefix, objects) in sections {
            let mut objects = match objects {
                Value::Object(objects) => objects,
                Value::Null => Map::new(),
                other => {
                    return Err(format!(
                        "`sections/{prefix}` must be a map of objects, not {}",
                        coerce::given(&other)
                    ));
                }
            };
            if let Some(kind) = Kind::from_prefix(&prefix) {
                objects.values_mut().for_each(|value| drop(coerce::object(kind, value)));
            }
            pack.sections.insert(prefix, objects);
        }
        Ok(pack)
    }

    fn with_defaults(mut self) -> Self {
        for (field, value) in DEFAULTS {
            if self.meta.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                self.meta.insert(field.to_owned(), value.into());
            }
        }
        self
    }

    /// Adds an object. Of two files with one key the later name counts, as in DRP; shipped packs rely on it.
    pub(crate) fn insert(&mut self, prefix: &str, key: &str, value: Value, source: Source) {
        self.sections.entry(prefix.to_owned()).or_default().insert(key.to_owned(), value);
        let file = source.file.clone();
        let earlier = self.sources.insert((prefix.to_owned(), key.to_owned()), source);
        if let Some(Source { file: earlier, .. }) = earlier {
            let message = format!("{earlier} has the same key and is passed over");
            self.doubles.push(Fault { file, object: format!("{prefix}/{key}"), message, ..Fault::default() });
        }
    }

    /// Of each object that several files say: which of them count for nothing.
    #[must_use]
    pub fn doubles(&self) -> &[Fault] {
        &self.doubles
    }

    /// The name; empty when the metadata has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.field("Name")
    }

    /// A field of the metadata.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.meta.get(name).and_then(Value::as_str).unwrap_or_default().trim()
    }

    /// Where an object was read; none for those of a bundle.
    #[must_use]
    pub fn source(&self, prefix: &str, key: &str) -> Option<&Source> {
        self.sources.get(&(prefix.to_owned(), key.to_owned()))
    }

    /// The form of API §12.2.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"meta": self.meta, "sections": self.sections})
    }

    /// The bundle as JSON, indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.to_value()).unwrap_or_default() + "\n"
    }

    /// The bundle as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        gantry_boot::yaml::to_yaml(&self.to_value())
    }

    /// The pack as the model has it. Objects are decoded, not judged against others: see `View::put_layer`.
    ///
    /// # Errors
    /// [`Error::Wrong`] with everything that does not decode.
    pub fn layer(&self) -> Result<Arc<Layer>, Error> {
        Layer::from_value(self.to_value()).map(Arc::new).map_err(|error| self.wrong(error))
    }

    /// What the model says about this pack, with the files and lines of it.
    #[must_use]
    pub fn wrong(&self, error: ModelError) -> Error {
        Error::Wrong { pack: self.name().to_owned(), faults: self.faults(error) }
    }

    /// The same as a list.
    #[must_use]
    pub fn faults(&self, error: ModelError) -> Vec<Fault> {
        match error {
            ModelError::Layer { faults, .. } => faults.into_iter().map(|fault| self.located(fault)).collect(),
            other => {
                vec![Fault { pack: self.name().to_owned(), message: other.to_string(), ..Fault::default() }]
            }
        }
    }

    /// A fault of the model with the file and line of this pack.
    #[must_use]
    pub fn located(&self, fault: LayerFault) -> Fault {
        let source = self.source(&fault.section, &fault.key);
        let lines = source.map(|source| &source.lines);
        let start = lines.and_then(|lines| lines.get(&format!("/{}", fault.field))).copied();
        // A block of text begins on the line after its field.
        let line = match (start, fault.line) {
            (Some(start), within) => start + within,
            (None, within) => within,
        };
        let object =
            if fault.key.is_empty() { fault.section } else { format!("{}/{}", fault.section, fault.key) };
        Fault {
            pack: self.name().to_owned(),
            file: source.map(|source| source.file.clone()).unwrap_or_default(),
            line,
            object,
            field: fault.field,
            message: fault.message,
        }
    }

    /// Writes the pack as a folder: the inverse of reading one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn unbundle(&self, folder: &Path) -> Result<(), Error> {
        let write = |path: &Path, text: &str| {
            let failed = |source| Error::File { path: path.to_owned(), source };
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
            fs::write(path, text).map_err(failed)
        };
        for (field, value) in self.meta.iter().filter(|(field, _)| is_file_name(field)) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write(&folder.join(format!("._{field}.meta")), &text)?;
        }
        for (prefix, objects) in self.sections.iter().filter(|(prefix, _)| is_file_name(prefix)) {
            let mut taken = BTreeSet::new();
            for (key, value) in objects {
                let (file, text) = file_of(prefix, key, value, &taken);
                write(&folder.join(prefix).join(&file), &text)?;
                taken.insert(file.to_lowercase());
            }
        }
        Ok(())
    }
}

/// The entries of a map.
pub(crate) fn fields(value: &Value) -> impl Iterator<Item = (String, Value)> {
    value.as_object().cloned().unwrap_or_default().into_iter()
}

fn is_file_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '\\', '\0']) && text != "." && text != ".."
}

/// The file of an object: a plain template as it is, anything else as YAML. A slash in a key becomes a dot; of keys that make one
/// name, also where case does not count, the later ones get a number.
fn file_of(prefix: &str, key: &str, value: &Value, taken: &BTreeSet<String>) -> (String, String) {
    let name = key.replace(['/', '\\', '\0'], ".");
    let name = if name.starts_with('.') { format!("_{name}") } else { name };
    let own =
        value.as_object().map(|map| map.keys().map(String::as_str).collect::<Vec<_>>()).unwrap_or_default();
    let data = matches!(name.rsplit_once('.'), Some((_, "json" | "yaml" | "yml")));
    let plain = prefix == "templates"
        && !data
        && name == key
        && !taken.contains(&name.to_lowercase())
        && own.iter().all(|field| ["ID", "Contents"].contains(field));
    match value
        .get("Contents")
        .and_then(Value::as_str)
        .filter(|_| plain && key_of(Kind::Template, value) == key)
    {
        Some(text) => (name, text.to_owned()),
        None => {
            let names =
                (1..).map(|n| if n == 1 { format!("{name}.yaml") } else { format!("{name}-{n}.yaml") });
            let free = names.into_iter().find(|name| !taken.contains(&name.to_lowercase()));
            (free.unwrap_or_default(), gantry_boot::yaml::to_yaml(value))
        }
    }
}

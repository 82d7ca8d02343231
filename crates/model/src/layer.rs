//! Content layers: packs, the built-in objects, and what a plugin provider brings (API §12).
//!
//! A layer is immutable. Its objects are part of the View beside those of the store, read-only; which of two objects with
//! one key counts is the View's matter ([`View::put_layer`](crate::View::put_layer)).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::check::LONGEST_NAME;
use crate::decode::{self, Misfit};
use crate::kinds::content::ContentMeta;
use crate::{Error, Key, Kind, LayerFault, Record, go};

/// How the objects of a pack are decoded.
type Decode = dyn Fn(Kind, Value) -> (Map<String, Value>, Vec<Misfit>);

/// A content pack in memory.
pub struct Layer {
    meta: ContentMeta,
    objects: BTreeMap<(Kind, Key), Arc<Record>>,
    /// Sections of kinds that nobody knows: kept and counted, so that the pack can be handed back whole.
    unknown: BTreeMap<String, Map<String, Value>>,
}

impl Layer {
    /// Reads a pack in the form of API §12.2: `{"meta": {..}, "sections": {"<prefix>": {"<key>": {..}}}}`. Objects are
    /// decoded but not judged; [`View::put_layer`](crate::View::put_layer) judges them together with all others.
    ///
    /// # Errors
    /// [`Error::Layer`] with one message for each value that does not fit its field.
    pub fn from_value(content: Value) -> Result<Self, Error> {
        let (layer, faults) = Self::lenient(content)?;
        if faults.is_empty() { Ok(layer) } else { Err(Self::undecoded(&layer.meta.name, faults)) }
    }

    /// Reads a pack that is stored already: numbers wider than their field are cut (see [`decode::stored`]).
    ///
    /// # Errors
    /// As [`Layer::from_value`].
    pub fn stored(content: Value) -> Result<Self, Error> {
        let once = |kind, value| match decode::stored(kind, value) {
            Ok(object) => (object, Vec::new()),
            Err(message) => (Map::new(), vec![Misfit { field: String::new(), message }]),
        };
        let (layer, faults) = Self::read(content, &once)?;
        if faults.is_empty() { Ok(layer) } else { Err(Self::undecoded(&layer.meta.name, faults)) }
    }

    /// The same with zero values in the place of those that do not fit, and a fault for each: so that what does fit can be
    /// judged too. Such a layer is not to be used.
    ///
    /// # Errors
    /// [`Error::Layer`] when this is no pack at all.
    pub fn lenient(content: Value) -> Result<(Self, Vec<LayerFault>), Error> {
        Self::read(content, &decode::lenient)
    }

    fn read(content: Value, decoder: &Decode) -> Result<(Self, Vec<LayerFault>), Error> {
        let Value::Object(mut content) = content else {
            return Err(Error::layer("", vec![LayerFault::of_meta("a content pack is an object")]));
        };
        let meta = read_meta(content.remove("meta").unwrap_or_default())
            .map_err(|why| Error::layer("", vec![LayerFault::of_meta(why)]))?;
        if meta.name.is_empty() {
            return Err(Error::layer(
                "",
                vec![LayerFault::of_meta("Store at content- has no Name metadata")],
            ));
        }
        if meta.name.len() > LONGEST_NAME {
            let why = format!("Name has {} bytes, at most {LONGEST_NAME} are possible", meta.name.len());
            return Err(Error::layer("", vec![LayerFault::of_meta(why)]));
        }
        let mut layer = Self { meta, objects: BTreeMap::new(), unknown: BTreeMap::new() };
        let mut faults = Vec::new();
        match content.remove("sections").unwrap_or_default() {
            Value::Object(sections) => {
                for (prefix, objects) in sections {
                    layer.read_section(&prefix, objects, decoder, &mut faults);
                }
            }
            Value::Null => {}
            other => {
                faults.push(LayerFault::of_meta(format!("sections must be a map, not {}", go::word(&other))));
            }
        }
        Ok((layer, faults))
    }

    /// The name that a pack in the form of API §12.2 gives itself, as it will be read: field names in any case, no space
    /// around it. Empty when it gives itself none.
    #[must_use]
    pub fn name_in(content: &Value) -> String {
        let meta = content.get("meta").cloned().unwrap_or_default();
        let (content, _) = decode::lenient(Kind::Content, json!({ "meta": meta }));
        let name = content.get("meta").and_then(|meta| meta.get("Name")?.as_str());
        name.unwrap_or_default().trim().to_owned()
    }

    /// The error of a pack with values that do not fit.
    #[must_use]
    pub fn undecoded(name: &str, faults: Vec<LayerFault>) -> Error {
        let mut messages: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
        messages.push(format!("Try manually replacing content layer {name}"));
        Error::Layer { layer: name.to_owned(), messages, faults }
    }

    fn read_section(&mut self, prefix: &str, objects: Value, decoder: &Decode, faults: &mut Vec<LayerFault>) {
        let objects = match objects {
            Value::Object(objects) => objects,
            Value::Null => return,
            other => {
                let message = format!(
                    "Store {prefix} failed to load from layer content-{}: must be a map of objects, not {}",
                    self.meta.name,
                    go::word(&other)
                );
                faults.push(LayerFault::of(prefix, "", message));
                return;
            }
        };
        let Some(kind) = Kind::from_prefix(prefix) else {
            self.unknown.insert(prefix.to_owned(), objects);
            return;
        };
        for (key, value) in objects {
            let (object, mut misfits) = decoder(kind, value);
            match layered(kind, object) {
                Ok(record) => {
                    self.objects.insert((kind, record.key().clone()), Arc::new(record));
                }
                Err(message) if misfits.is_empty() => misfits.push(Misfit { field: String::new(), message }),
                Err(_) => {}
            }
            faults.extend(misfits.into_iter().map(|Misfit { field, message }| {
                let message = format!(
                    "Store {prefix} item {key} failed to load from layer content-{}: {message}",
                    self.meta.name
                );
                LayerFault { field, ..LayerFault::of(prefix, &key, message) }
            }));
        }
    }

    /// The name of the pack, which is the `Bundle` of its objects.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// The metadata.
    #[must_use]
    pub fn meta(&self) -> &ContentMeta {
        &self.meta
    }

    /// `<type>-<name>`, as messages call a layer.
    #[must_use]
    pub fn title(&self) -> String {
        let kind = if self.meta.kind.is_empty() { "dynamic" } else { &self.meta.kind };
        format!("{kind}-{}", self.meta.name)
    }

    /// True when other layers and the store may hide its objects.
    #[must_use]
    pub fn overwritable(&self) -> bool {
        self.meta.overwritable
    }

    /// One of its objects, as the pack has it.
    #[must_use]
    pub fn get(&self, kind: Kind, key: &str) -> Option<&Arc<Record>> {
        self.objects.get(&(kind, Key::new(key)))
    }

    /// All its objects.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.objects.values()
    }

    /// How many objects there are of each prefix.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> =
            self.unknown.iter().map(|(prefix, objects)| (prefix.clone(), objects.len())).collect();
        for (kind, _) in self.objects.keys() {
            *counts.entry(kind.prefix().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The pack as API §12.2 shows it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut sections = self.unknown.clone();
        for ((kind, key), record) in &self.objects {
            let section = sections.entry(kind.prefix().to_owned()).or_default();
            section.insert(key.to_string(), record.value());
        }
        serde_json::json!({"meta": self.meta, "sections": sections})
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &(Kind, Key)> {
        self.objects.keys()
    }

    /// The place in the listing of API §12.1.
    pub(crate) fn order(&self) -> (u8, &str) {
        let place = match self.meta.kind.as_str() {
            "local" => 1,
            "default" => 2,
            "plugin" => 4,
            "basic" => 5,
            _ => 3,
        };
        (place, &self.meta.name)
    }
}

/// An object of a pack with the defaults that do not depend on other objects.
fn layered(kind: Kind, mut object: Map<String, Value>) -> Result<Record, String> {
    match kind {
        Kind::Stage => {
            object.insert("RunnerWait".to_owned(), true.into());
        }
        Kind::Task => crate::check::default_flags(&mut object, "sane-exit-codes", "original-exit-codes"),
        _ => {}
    }
    Record::from_canonical(kind, &Value::Object(object), 0)
}

fn read_meta(meta: Value) -> Result<ContentMeta, String> {
    let content = Value::Object([("meta".to_owned(), meta)].into_iter().collect());
    let decoded = decode::object(Kind::Content, content)?;
    let mut meta: ContentMeta =
        decoded.get("meta").cloned().and_then(|meta| serde_json::from_value(meta).ok()).unwrap_or_default();
    for text in [&mut meta.name, &mut meta.version, &mut meta.description, &mut meta.source, &mut meta.kind] {
        *text = text.trim().to_owned();
    }
    if meta.kind.is_empty() {
        "dynamic".clone_into(&mut meta.kind);
    }
    Ok(meta)
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} objects)", self.title(), self.objects.len())
    }
}

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        self.meta == other.meta && self.objects == other.objects && self.unknown == other.unknown
    }
}

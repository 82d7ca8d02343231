//! One object at rest: its canonical JSON and little else.
//!
//! A hundred thousand machines must fit into memory, so an object is held as text and parsed when it is asked for. Beside
//! the text lie the values of the kept indexes, which a change needs in order to find the old entries, and the computed state.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::kind::Shown;
use crate::{Kind, Layer, Object, decode};

/// The native key of an object. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A key from its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for Key {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Key {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What the View computes about an object: whether it can be used, and why not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    errors: Option<Arc<[String]>>,
}

impl Derived {
    pub(crate) fn new(errors: Vec<String>) -> Self {
        Self { errors: if errors.is_empty() { None } else { Some(errors.into()) } }
    }

    /// True for every stored object: one that breaks the rules of its kind is not stored.
    #[must_use]
    pub fn validated(&self) -> bool {
        true
    }

    /// True when everything that the object refers to is there and usable.
    #[must_use]
    pub fn available(&self) -> bool {
        self.errors.is_none()
    }

    /// Why it is not available.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        self.errors.as_deref().unwrap_or_default()
    }
}

/// The value of one kept index: its number in the kind's table, and the text.
pub(crate) type Fact = (u8, Arc<str>);

/// One object at rest in a View.
pub struct Record {
    kind: Kind,
    key: Key,
    json: Arc<str>,
    revision: u64,
    layer: Option<Arc<Layer>>,
    derived: Derived,
    pub(crate) facts: Box<[Fact]>,
    parsed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Record {
    /// A record from JSON as the store or a pack holds it. It is brought into canonical form (fields that were added since
    /// get their zero values, numbers wider than their field is now are cut), but not judged.
    ///
    /// # Errors
    /// The decoder's words, or that the key is missing.
    pub fn from_value(kind: Kind, value: Value, revision: u64) -> Result<Self, String> {
        let value = Value::Object(decode::stored(kind, value)?);
        Self::from_canonical(kind, &value, revision)
    }

    /// A record from the text of a JSON object; see [`Record::from_value`].
    ///
    /// # Errors
    /// The parser's or the decoder's words.
    pub fn from_json(kind: Kind, json: &[u8], revision: u64) -> Result<Self, String> {
        let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        Self::from_value(kind, value, revision)
    }

    /// A record from a typed object.
    ///
    /// # Errors
    /// The decoder's words; only for a key that is missing.
    pub fn from_object<T: Object>(object: &T) -> Result<Self, String> {
        let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
        Self::from_value(T::KIND, value, 0)
    }

    pub(crate) fn from_canonical(kind: Kind, value: &Value, revision: u64) -> Result<Self, String> {
        let spec = kind.spec();
        let key = (spec.erased.key)(value)
            .filter(|key| !key.is_empty())
            .ok_or_else(|| format!("{kind}: {} is missing or malformed", spec.key_field))?;
        Ok(Self {
            kind,
            key: key.into(),
            json: value.to_string().into(),
            revision,
            layer: None,
            derived: Derived::default(),
            facts: crate::view::index::facts(spec, value),
            parsed: OnceLock::new(),
        })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The native key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The canonical JSON: compact, every stored field, no computed one. This is what the store holds.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The revision of the store at which the object got this form; 0 for built-in objects and drafts.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The content layer that the object comes from; none for the store itself.
    #[must_use]
    pub fn layer(&self) -> Option<&Arc<Layer>> {
        self.layer.as_ref()
    }

    /// True when the object cannot be changed because it comes from a layer.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.layer.is_some()
    }

    /// The wire's `Bundle`: the name of the layer, empty for the store.
    #[must_use]
    pub fn bundle(&self) -> &str {
        self.layer.as_ref().map_or("", |layer| layer.name())
    }

    /// Validated, Available, Errors.
    #[must_use]
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// The object, typed, with the computed fields filled in. Small kinds keep the parse, so asking again is cheap;
    /// machines, jobs and leases are parsed each time (about 5 µs), because keeping a hundred thousand would not be.
    ///
    /// # Panics
    /// Never, when `T` is the record's kind; a default object otherwise.
    #[must_use]
    pub fn typed<T: Object>(&self) -> Arc<T> {
        if T::KIND != self.kind {
            return Arc::new(T::default());
        }
        if matches!(self.kind, Kind::Machine | Kind::Job | Kind::Lease) {
            return Arc::new(self.parse());
        }
        let parsed = self.parsed.get_or_init(|| (self.kind.spec().erased.parse)(self));
        Arc::clone(parsed).downcast().unwrap_or_default()
    }

    pub(crate) fn parse<T: Object>(&self) -> T {
        let mut object: T = serde_json::from_str(&self.json).unwrap_or_default();
        object.take_computed(self);
        object
    }

    /// The canonical JSON as a value.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// The object as clients see it, as a value.
    #[must_use]
    pub fn wire_value(&self) -> Value {
        let mut text = String::new();
        self.write_json(&mut text);
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Appends the object as clients see it: the computed fields, then the canonical JSON without its hidden fields.
    pub fn write_json(&self, out: &mut String) {
        let spec = self.kind.spec();
        out.reserve(self.json.len() + 128);
        out.push('{');
        if spec.shown != Shown::Bare {
            self.write_envelope(spec.shown, out);
        }
        let rest = if spec.hidden_fields().next().is_some() { self.without_hidden() } else { None };
        let rest = rest.as_deref().unwrap_or(&self.json);
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        if rest == "}" && out.ends_with(',') {
            out.pop();
        }
        out.push_str(rest);
    }

    fn write_envelope(&self, shown: Shown, out: &mut String) {
        out.push_str("\"Validated\":true,\"Available\":");
        out.push_str(if self.derived.available() { "true" } else { "false" });
        out.push_str(",\"Errors\":");
        match self.derived.errors() {
            [] => out.push_str("[]"),
            errors => out.push_str(&Value::from(errors).to_string()),
        }
        out.push_str(",\"ReadOnly\":");
        out.push_str(if self.read_only() { "true" } else { "false" });
        if shown != Shown::NoBundle {
            out.push_str(",\"Bundle\":");
            out.push_str(&Value::from(self.bundle()).to_string());
        }
        if shown == Shown::Params {
            out.push_str(",\"Partial\":false");
        }
        out.push(',');
    }

    fn without_hidden(&self) -> Option<String> {
        let mut value = self.value();
        let map = value.as_object_mut()?;
        for field in self.kind.spec().hidden_fields() {
            map.remove(field);
        }
        Some(value.to_string())
    }

    /// The same object in another layer or at another revision.
    #[must_use]
    pub fn placed(&self, layer: Option<Arc<Layer>>, revision: u64) -> Self {
        Self { layer, revision, parsed: OnceLock::new(), ..self.copy() }
    }

    pub(crate) fn with_derived(&self, derived: Derived) -> Self {
        Self { derived, parsed: OnceLock::new(), ..self.copy() }
    }

    fn copy(&self) -> Self {
        Self {
            kind: self.kind,
            key: self.key.clone(),
            json: Arc::clone(&self.json),
            revision: self.revision,
            layer: self.layer.clone(),
            derived: self.derived.clone(),
            facts: self.facts.clone(),
            parsed: OnceLock::new(),
        }
    }
}

/// Equal when they would be answered alike; the revision does not count.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.json == other.json
            && self.derived == other.derived
            && self.bundle() == other.bundle()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{} {:?}", self.kind.prefix(), self.key, self.revision, self.derived.errors())
    }
}

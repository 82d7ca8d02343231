//! A draft of changes over a View: what a write closure works on.
//!
//! A [`Tx`] sees its own changes. Every change of an object goes through the checks of its kind here, whoever asks for it:
//! decode, defaults, the hooks of the engines ([`Rules`]), the object's own rules, its references, uniqueness. What comes out
//! is a list of [`Edit`]s to be committed.

mod leave;
mod rules;
mod store;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use rules::{How, Rules, Saving};

use crate::check::{Delete, Refusals};
use crate::patch::Patch;
use crate::{Change, Edit, Error, Job, Key, Kind, Machine, Now, Object, Record, View, decode};

/// A draft of changes over a View.
#[derive(Clone)]
pub struct Tx {
    view: View,
    now: Now,
    rules: Arc<dyn Rules>,
    how: How,
    edits: Vec<Edit>,
    changes: Vec<Change>,
}

impl Tx {
    /// A draft over `view` at the instant `now`, with the model's own rules.
    #[must_use]
    pub fn new(view: View, now: Now) -> Self {
        Self { view, now, rules: Arc::new(()), how: How::default(), edits: Vec::new(), changes: Vec::new() }
    }

    /// The same draft with the engines' rules.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn Rules>) -> Self {
        self.rules = rules;
        self
    }

    /// How the following changes are asked for.
    pub fn set_how(&mut self, how: How) {
        self.how = how;
    }

    /// All objects, changes so far included.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The instant, and fresh ids.
    #[must_use]
    pub fn now(&self) -> &Now {
        &self.now
    }

    /// The edits so far, in order.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The edits and every change that they made in the draft.
    #[must_use]
    pub fn into_parts(self) -> (View, Vec<Edit>, Vec<Change>) {
        (self.view, self.edits, self.changes)
    }

    /// The object of that key, index value or dotted address.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, kind: Kind, key: &str) -> Result<Arc<Record>, Error> {
        let native = self.view.lookup(kind, key).ok_or_else(|| Error::not_found(kind, key))?;
        self.view.record(kind, &native).cloned().ok_or_else(|| Error::not_found(kind, key))
    }

    /// Stores a new object from a client's JSON (API §4.2).
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::EmptyKey`], [`Error::AlreadyExists`], [`Error::Invalid`].
    pub fn create(&mut self, kind: Kind, value: Value) -> Result<Arc<Record>, Error> {
        let mut object = decode::object(kind, value).map_err(|message| Error::Malformed { kind, message })?;
        if matches!(kind, Kind::Machine | Kind::Job) && text(&object, "Uuid").is_empty() {
            object.insert("Uuid".to_owned(), self.now.uuid().to_string().into());
        }
        let key = key_of(kind, &object).ok_or(Error::EmptyKey { kind })?;
        if self.view.record(kind, &key).is_some() {
            return Err(Error::AlreadyExists { kind, key });
        }
        self.store(kind, &key, object, None)
    }

    /// Replaces an object by a client's JSON (API §4.4). `key` is the native key; the body must carry the same.
    ///
    /// # Errors
    /// As [`Tx::create`], and [`Error::KeyChange`], [`Error::NotFound`], [`Error::ReadOnly`], [`Error::Locked`].
    pub fn put(&mut self, kind: Kind, key: &str, value: Value) -> Result<Arc<Record>, Error> {
        let (before, object) = self.replaced(kind, key, value)?;
        self.store(kind, before.key(), object, Some(&before))
    }

    fn replaced(
        &self,
        kind: Kind,
        key: &str,
        value: Value,
    ) -> Result<(Arc<Record>, Map<String, Value>), Error> {
        let object = decode::object(kind, value).map_err(|message| Error::Malformed { kind, message })?;
        let to = key_of(kind, &object).map(|key| key.to_string()).unwrap_or_default();
        if to != key {
            return Err(Error::KeyChange { kind, from: key.to_owned(), to });
        }
        let before = self.writable(kind, key)?;
        self.check_lock(&before, &object)?;
        Ok((before, object))
    }

    /// Applies a JSON patch to an object (API §6). `key` may be any form that [`View::lookup`] knows. A patch that only looks
    /// (`test` operations, or none) changes nothing and leaves no edit.
    ///
    /// # Errors
    /// As [`Tx::put`], [`Error::Conflict`] when an operation fails, [`Error::Undecodable`], [`Error::KeyPatched`].
    pub fn patch(&mut self, kind: Kind, key: &str, patch: &Patch) -> Result<Arc<Record>, Error> {
        let before = self.writable(kind, key)?;
        let object = self.patched(&before, patch)?;
        if !patch.writes() {
            return Ok(before);
        }
        self.store(kind, before.key(), object, Some(&before))
    }

    /// What [`Tx::patch`] would make of a job, for the engine to settle and [`Tx::save`]: nothing is stored.
    ///
    /// # Errors
    /// As [`Tx::patch`].
    pub fn patched_job(&self, key: &str, patch: &Patch) -> Result<Job, Error> {
        let before = self.writable(Kind::Job, key)?;
        self.patched(&before, patch).and_then(typed)
    }

    /// What [`Tx::put`] would make of a job, for the engine to settle and [`Tx::save`]: nothing is stored.
    ///
    /// # Errors
    /// As [`Tx::put`].
    pub fn replaced_job(&self, key: &str, value: Value) -> Result<Job, Error> {
        self.replaced(Kind::Job, key, value).and_then(|(_, object)| typed(object))
    }

    fn patched(&self, before: &Arc<Record>, patch: &Patch) -> Result<Map<String, Value>, Error> {
        let kind = before.kind();
        let conflict = |failure| Error::Conflict {
            kind,
            key: before.key().to_string(),
            messages: patch.object_messages(&failure),
        };
        let mut wire = before.wire_value();
        blank_hidden(kind, &mut wire);
        let patched = patch.apply(&wire).map_err(conflict)?;
        let object = decode::object(kind, patched).map_err(|message| Error::Undecodable {
            kind,
            key: before.key().clone(),
            message,
        })?;
        let to = key_of(kind, &object).map(|key| key.to_string()).unwrap_or_default();
        if to != **before.key() {
            return Err(Error::KeyPatched { kind, to });
        }
        self.check_lock(before, &object)?;
        Ok(object)
    }

    /// Applies a JSON patch to one map of an object: `Params` or `Meta` (API §4.8, §7). Returns the object. A patch that only looks
    /// leaves no edit.
    ///
    /// # Errors
    /// As [`Tx::patch`], with the messages for maps.
    pub fn patch_map(
        &mut self,
        kind: Kind,
        key: &str,
        field: &str,
        patch: &Patch,
    ) -> Result<Arc<Record>, Error> {
        let before = self.writable(kind, key)?;
        let mut object = canonical(&before);
        let map = object.get(field).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let patched = patch.apply(&map).map_err(|failure| Error::Conflict {
            kind,
            key: key.to_owned(),
            messages: Patch::map_messages(&failure),
        })?;
        if !patch.writes() {
            return Ok(before);
        }
        object.insert(field.to_owned(), patched);
        self.update(kind, &before, object)
    }

    /// Sets one parameter of an object; null is a value.
    ///
    /// # Errors
    /// As [`Tx::put`].
    pub fn set_param(
        &mut self,
        kind: Kind,
        key: &str,
        name: &str,
        value: Value,
    ) -> Result<Arc<Record>, Error> {
        let before = self.writable(kind, key)?;
        let mut object = canonical(&before);
        params_of(&mut object).insert(name.to_owned(), value);
        self.update(kind, &before, object)
    }

    /// Replaces all parameters of an object.
    ///
    /// # Errors
    /// As [`Tx::put`].
    pub fn set_params(
        &mut self,
        kind: Kind,
        key: &str,
        params: Map<String, Value>,
    ) -> Result<Arc<Record>, Error> {
        let before = self.writable(kind, key)?;
        let mut object = canonical(&before);
        object.insert("Params".to_owned(), Value::Object(params));
        self.update(kind, &before, object)
    }

    /// Removes one parameter of an object and returns its value; none when it was not set.
    ///
    /// # Errors
    /// As [`Tx::put`].
    pub fn remove_param(&mut self, kind: Kind, key: &str, name: &str) -> Result<Option<Value>, Error> {
        let before = self.writable(kind, key)?;
        let mut object = canonical(&before);
        let Some(removed) = params_of(&mut object).remove(name) else { return Ok(None) };
        self.update(kind, &before, object)?;
        Ok(Some(removed))
    }

    /// Removes an object and returns it as it was (API §4.5).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`], [`Error::InUse`], [`Error::Invalid`], [`Error::ReadOnly`].
    pub fn delete(&mut self, kind: Kind, key: &str) -> Result<Arc<Record>, Error> {
        let record = self.get(kind, key)?;
        let native = record.key().clone();
        if self.how.locks && kind == Kind::Machine && record.typed::<Machine>().locked {
            return Err(Error::Locked { kind, key: native });
        }
        let mut delete = Delete { view: &self.view, key: &native, problems: Refusals::default() };
        (kind.spec().erased.delete)(&record, &mut delete);
        let Refusals { mut used, refused } = delete.problems;
        self.rules.check_delete(&self.view, &record, &mut used);
        if !refused.is_empty() {
            return Err(Error::Invalid { kind, key: native, messages: refused });
        }
        if !used.is_empty() {
            return Err(Error::InUse { kind, key: native, messages: used });
        }
        if record.read_only() {
            return Err(Error::ReadOnly { kind, key: native });
        }
        if kind == Kind::Machine {
            self.leave(&record.typed())?;
        }
        self.push(Edit::delete(kind, native))?;
        Ok(record)
    }

    /// Stores an object of the server's or an engine's own making, new or not. The kind's checks run, the engines' rules and
    /// the lock do not: whoever calls this has applied them. What a struct serialises to is canonical, so it is not decoded.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Invalid`], [`Error::ReadOnly`].
    pub fn save<T: Object>(&mut self, object: &T) -> Result<Arc<Record>, Error> {
        let kind = T::KIND;
        let malformed = |message: String| Error::Malformed { kind, message };
        let object = decode::own(object).map_err(malformed)?;
        let key = key_of(kind, &object).ok_or(Error::EmptyKey { kind })?;
        let before = self.view.record(kind, &key).cloned();
        if before.as_ref().is_some_and(|record| record.read_only()) {
            return Err(Error::ReadOnly { kind, key });
        }
        let force = std::mem::replace(&mut self.how.force, true);
        let result = self.check_and_push(kind, &key, Value::Object(object), before.as_deref(), Hooks::Skip);
        self.how.force = force;
        result
    }

    /// Removes an object without asking who uses it: expired leases, old jobs. Removing nothing is fine; the last user who can
    /// manage the server stays.
    pub fn purge(&mut self, kind: Kind, key: &str) {
        if let Some(record) = self.view.record(kind, key).filter(|record| !record.read_only()) {
            let key = record.key().clone();
            self.push(Edit::delete(kind, key)).ok();
        }
    }

    /// Sets preferences, all or none (API §18).
    ///
    /// # Errors
    /// [`Error::Preference`] with the first that is refused.
    pub fn set_preferences(&mut self, values: &[(String, String)]) -> Result<(), Error> {
        for (name, value) in values {
            crate::preference::check(&self.view, name, &crate::preference::normal(name, value))
                .map_err(|message| Error::Preference { message })?;
        }
        for (name, value) in values {
            let val = crate::preference::normal(name, value);
            self.save(&crate::Preference { name: name.clone(), val, ..crate::Preference::default() })?;
        }
        Ok(())
    }
}

/// Whether the engines' rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hooks {
    Run,
    Skip,
}

fn typed<T: Object>(object: Map<String, Value>) -> Result<T, Error> {
    let malformed = |error: serde_json::Error| Error::Malformed { kind: T::KIND, message: error.to_string() };
    serde_json::from_value(Value::Object(object)).map_err(malformed)
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    crate::check::text(object, field)
}

fn key_of(kind: Kind, object: &Map<String, Value>) -> Option<Key> {
    let text = text(object, kind.spec().key_field);
    (!text.is_empty()).then(|| crate::view::canonical_key(kind, text).into())
}

fn canonical(record: &Record) -> Map<String, Value> {
    match record.value() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn params_of(object: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let params = object.entry("Params").or_insert_with(|| Value::Object(Map::new()));
    if !params.is_object() {
        *params = Value::Object(Map::new());
    }
    params.as_object_mut().expect("it was made an object above")
}

/// A patch works on what the client sees. Hidden fields are there to be written, but empty: neither `test` nor the words of a
/// refusal tell what is in them.
fn blank_hidden(kind: Kind, wire: &mut Value) {
    for field in kind.spec().hidden_fields() {
        wire[field] = "".into();
    }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tx over {:?}: {} edits", self.view, self.edits.len())
    }
}

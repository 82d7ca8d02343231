//! From a complete object to an edit: defaults, the engines' say, the checks of the kind, uniqueness.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Hooks, Saving, Tx};
use crate::check::{self, Cross, Fill};
use crate::{BootEnv, Edit, Error, Key, Kind, Machine, Object, Problems, Record, access, decode};

impl Tx {
    pub(super) fn update(
        &mut self,
        kind: Kind,
        before: &Arc<Record>,
        object: Map<String, Value>,
    ) -> Result<Arc<Record>, Error> {
        let object = decode::object(kind, Value::Object(object)).map_err(|message| Error::Conflict {
            kind,
            key: before.key().to_string(),
            messages: vec![message],
        })?;
        self.check_lock(before, &object)?;
        self.store(kind, before.key(), object, Some(before))
    }

    /// The object, if it exists and lives in the store.
    pub(super) fn writable(&self, kind: Kind, key: &str) -> Result<Arc<Record>, Error> {
        let record = self.get(kind, key)?;
        if record.read_only() {
            return Err(Error::ReadOnly { kind, key: record.key().clone() });
        }
        Ok(record)
    }

    /// People may change a locked machine only together with unlocking it.
    pub(super) fn check_lock(&self, before: &Record, after: &Map<String, Value>) -> Result<(), Error> {
        let locked = self.how.locks && before.kind() == Kind::Machine && before.typed::<Machine>().locked;
        if locked && after.get("Locked") == Some(&Value::Bool(true)) {
            return Err(Error::Locked { kind: before.kind(), key: before.key().clone() });
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        kind: Kind,
        key: &Key,
        mut object: Map<String, Value>,
        before: Option<&Arc<Record>>,
    ) -> Result<Arc<Record>, Error> {
        let old = before.map(|record| record.value());
        if let Some(old) = &old {
            keep_hidden(kind, old, &mut object);
        }
        let fill = Fill { view: &self.view, now: &self.now, before: old.as_ref() };
        (kind.spec().erased.fill)(&mut object, &fill);
        let before = before.map(Arc::as_ref);
        let value = match kind {
            Kind::Machine => self.complete_machine(before, Value::Object(object))?,
            _ => Value::Object(object),
        };
        self.check_and_push(kind, key, value, before, Hooks::Run)
    }

    /// Lets the engines complete a machine.
    fn complete_machine(&self, before: Option<&Record>, value: Value) -> Result<Value, Error> {
        let kind = Kind::Machine;
        let malformed = |message: String| Error::Malformed { kind, message };
        let mut machine: Machine =
            serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        let old = before.map(Record::typed::<Machine>);
        let mut problems = Problems::default();
        let saving = self.saving(kind, before);
        self.rules.complete_machine(&saving, old.as_deref(), &mut machine, &mut problems);
        if !problems.is_empty() {
            let key = machine.key().into();
            return Err(Error::Invalid { kind, key, messages: problems.into_messages() });
        }
        decode::own(&machine).map(Value::Object).map_err(malformed)
    }

    fn saving<'a>(&'a self, kind: Kind, before: Option<&'a Record>) -> Saving<'a> {
        Saving { view: &self.view, now: &self.now, kind, before, how: self.how }
    }

    pub(super) fn check_and_push(
        &mut self,
        kind: Kind,
        key: &Key,
        value: Value,
        before: Option<&Record>,
        hooks: Hooks,
    ) -> Result<Arc<Record>, Error> {
        let old = before.map(Record::value);
        let mut value = value;
        if kind == Kind::Machine {
            self.note_os(old.as_ref(), &mut value);
        }
        let cross =
            Cross { view: &self.view, key, before: old.as_ref(), after: &value, force: self.how.force };
        let mut problems = Problems::default();
        (kind.spec().erased.check)(&value, &cross, &mut problems)
            .map_err(|message| Error::Malformed { kind, message })?;
        let record = Record::from_canonical(kind, &value, self.view.revision() + 1)
            .map_err(|message| Error::Malformed { kind, message })?;
        check::size(&mut problems, key, &value, record.json().len());
        self.check_unique(&record, &mut problems);
        if problems.is_empty() && hooks == Hooks::Run {
            self.rules.check(&self.saving(kind, before), &value, &mut problems);
        }
        if !problems.is_empty() {
            return Err(Error::Invalid { kind, key: key.clone(), messages: problems.into_messages() });
        }
        self.push(Edit::put(Arc::new(record)))?;
        self.get(kind, key)
    }

    /// A machine that enters an installing environment has that operating system from then on (engine §1.8).
    fn note_os(&self, before: Option<&Value>, machine: &mut Value) {
        let moved = before.is_none_or(|before| before["BootEnv"] != machine["BootEnv"]);
        let name = machine["BootEnv"].as_str().unwrap_or_default();
        if let Some(env) = self.view.object::<BootEnv>(name).filter(|env| moved && env.is_installer()) {
            machine["OS"] = env.os.name.clone().into();
        }
    }

    /// No other object may have the value of a unique index.
    fn check_unique(&self, record: &Record, problems: &mut Problems) {
        for (number, value) in &record.facts {
            let index = &record.kind().spec().indexes[usize::from(*number)];
            if index.unique && self.view.find(record.kind(), index.name, value).any(|key| key != record.key())
            {
                problems.add(format!(
                    "{}:{} violates unique index {}",
                    record.kind(),
                    record.key(),
                    index.name
                ));
            }
        }
    }

    /// Adds an edit to the draft, unless nobody could manage the server any more.
    pub(super) fn push(&mut self, edit: Edit) -> Result<(), Error> {
        let revision = self.view.revision() + 1;
        let (mut view, changes) = self.view.apply(std::slice::from_ref(&edit), revision);
        if let Some(message) = access::lost(&self.view, &view, &*self.rules) {
            return Err(Error::invalid(edit.kind, &edit.key, message));
        }
        view.set_revision(revision - 1);
        self.view = view;
        self.changes.extend(changes);
        self.edits.push(edit);
        Ok(())
    }
}

/// Nobody is shown a hidden field, so whoever leaves it empty does not mean to empty it.
fn keep_hidden(kind: Kind, before: &Value, object: &mut Map<String, Value>) {
    for field in kind.spec().hidden_fields() {
        if check::text(object, field).is_empty() {
            object.insert(field.to_owned(), before[field].clone());
        }
    }
}

//! What a check is given: the View, the object as it was, and how the change came about.

use serde_json::{Map, Value};

use crate::{Kind, Now, View};

/// For filling defaults into an object about to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) view: &'a View,
    pub(crate) now: &'a Now,
    /// The object as it was; none on create.
    pub(crate) before: Option<&'a Value>,
}

impl Fill<'_> {
    pub(crate) fn creating(&self) -> bool {
        self.before.is_none()
    }
}

/// For checking an object about to be stored against the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cross<'a> {
    pub(crate) view: &'a View,
    pub(crate) key: &'a str,
    /// The object as it was; none on create.
    pub(crate) before: Option<&'a Value>,
    /// The object as it shall be.
    pub(crate) after: &'a Value,
    /// `force=true` was given.
    pub(crate) force: bool,
}

impl Cross<'_> {
    pub(crate) fn creating(&self) -> bool {
        self.before.is_none()
    }

    /// True when the field gets another value than it had; always on create.
    pub(crate) fn changed(&self, field: &str) -> bool {
        let Some(before) = self.before else { return true };
        before.get(field) != self.after.get(field)
    }
}

/// What speaks against a delete.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Others use the object: answered as "still in use".
    pub(crate) used: Vec<String>,
    /// The object itself may not go: answered as a validation error.
    pub(crate) refused: Vec<String>,
}

/// For finding out whether an object can be deleted.
#[derive(Debug)]
pub(crate) struct Delete<'a> {
    pub(crate) view: &'a View,
    pub(crate) key: &'a str,
    pub(crate) problems: Refusals,
}

/// More users than this are counted, not listed: a boot environment may have a hundred thousand.
const LISTED: usize = 100;

impl Delete<'_> {
    /// Others use the object.
    pub(crate) fn problem(&mut self, message: String) {
        self.problems.used.push(message);
    }

    /// The object itself may not go.
    pub(crate) fn refuse(&mut self, message: String) {
        self.problems.refused.push(message);
    }

    /// One message for every object of `kind` whose `index` names this one.
    pub(crate) fn used_by(&mut self, kind: Kind, index: &str, message: impl Fn(&str) -> String) {
        let mut users = self.view.find(kind, index, self.key);
        self.problems.used.extend(users.by_ref().take(LISTED).map(|user| message(user.as_str())));
        let more = users.count();
        if more > 0 {
            self.problems.used.push(format!("and {more} more {kind}"));
        }
    }

    /// The same for machines, which are called by their names.
    pub(crate) fn used_by_machines(&mut self, index: &str, message: impl Fn(&str) -> String) {
        let view = self.view;
        self.used_by(Kind::Machine, index, |key| {
            let name = view.object::<crate::Machine>(key).map(|machine| machine.name.clone());
            message(name.as_deref().unwrap_or(key))
        });
    }
}

/// The text of a field of an object in the making; empty when it has none.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

//! What engines add to saving objects, and how a change was asked for.

use std::sync::Arc;

use serde_json::Value;

use crate::{Kind, Layer, LayerFault, Machine, Now, Problems, Record, View};

/// What an engine adds to saving objects: `workflow` completes machines, `boot` judges templates. `server` composes them.
pub trait Rules: Send + Sync {
    /// Completes a machine that is about to be stored, before it is checked: what does a new Workflow, Stage, BootEnv or task
    /// list mean for the others? Called for create, put and patch, not for [`Tx::save`].
    fn complete_machine(
        &self,
        _saving: &Saving<'_>,
        _before: Option<&Machine>,
        _machine: &mut Machine,
        _problems: &mut Problems,
    ) {
    }

    /// Judges an object of any kind that is about to be stored, after its own checks passed.
    fn check(&self, _saving: &Saving<'_>, _object: &Value, _problems: &mut Problems) {}

    /// Judges a content layer that is in the View already but not yet in the current one: its objects, and those of others
    /// that depend on them. Called once for a layer that comes; what is wrong keeps it out.
    fn check_layer(&self, _view: &View, _layer: &Layer, _faults: &mut Vec<LayerFault>) {}

    /// Judges an object that is about to be deleted. Each sentence is a user of it.
    fn check_delete(&self, _view: &View, _record: &Record, _users: &mut Vec<String>) {}

    /// Whether a password can be right for this `PasswordHash`.
    fn is_password_hash(&self, hash: &[u8]) -> bool {
        !hash.is_empty()
    }
}

/// No rules beyond the model's own.
impl Rules for () {}

/// Several sets of rules, one after another.
impl Rules for Vec<Arc<dyn Rules>> {
    fn complete_machine(
        &self,
        saving: &Saving<'_>,
        before: Option<&Machine>,
        machine: &mut Machine,
        problems: &mut Problems,
    ) {
        self.iter().for_each(|rules| rules.complete_machine(saving, before, machine, problems));
    }

    fn check(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        self.iter().for_each(|rules| rules.check(saving, object, problems));
    }

    fn check_layer(&self, view: &View, layer: &Layer, faults: &mut Vec<LayerFault>) {
        self.iter().for_each(|rules| rules.check_layer(view, layer, faults));
    }

    fn check_delete(&self, view: &View, record: &Record, users: &mut Vec<String>) {
        self.iter().for_each(|rules| rules.check_delete(view, record, users));
    }

    fn is_password_hash(&self, hash: &[u8]) -> bool {
        self.iter().all(|rules| rules.is_password_hash(hash))
    }
}

/// How an object comes to be saved.
#[derive(Debug, Clone, Copy)]
pub struct Saving<'a> {
    /// The draft before the change.
    pub view: &'a View,
    /// The instant, and fresh ids.
    pub now: &'a Now,
    /// The kind of the object.
    pub kind: Kind,
    /// The object as it was; none on create.
    pub before: Option<&'a Record>,
    /// How it was asked for.
    pub how: How,
}

/// How a change was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct How {
    /// `force=true`: soft checks are bypassed (API §4.1).
    pub force: bool,
    /// The lock of a machine counts: set for people, not for the machine's own tokens and the server itself (API §6).
    pub locks: bool,
    /// `CurrentTask` of a machine may not be set to an entry of its list: the caller lacks `updateTaskList` (API §11.2).
    pub keeps_place: bool,
}

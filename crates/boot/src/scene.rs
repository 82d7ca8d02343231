//! What one render is about: the View, the machine, its boot environment and stage, the task, the server.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gantry_model::params::{self, Layer, Origin};
use gantry_model::{BootEnv, Machine, Object, Record, Stage, Task, View};
use gantry_template::Value;
use serde_json::Value as Json;

use crate::dot::Dot;
use crate::host::{Host, Server};
use crate::param::{self, Found};
use crate::repo::Repo;

/// What the files of one machine have in common, found when the first of them asks for it.
#[derive(Default)]
pub(crate) struct Shared {
    layers: OnceLock<Vec<Layer<'static>>>,
    pub(crate) repositories: OnceLock<Vec<Repo>>,
}

/// Everything that dot can show.
pub(crate) struct Scene {
    pub(crate) view: View,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) server: Arc<Server>,
    pub(crate) machine: Option<Arc<Machine>>,
    /// The machine's boot environment, with what the machine changes of it.
    pub(crate) env: Option<Arc<BootEnv>>,
    pub(crate) stage: Option<Arc<Stage>>,
    pub(crate) task: Option<Arc<Task>>,
    /// The network card that a per-card file is for.
    pub(crate) mac: Option<String>,
    /// The path of the file being rendered; empty for actions.
    pub(crate) path: String,
    /// The operating system that asks for actions.
    pub(crate) target_os: String,
    /// Sealed parameters are opened: in tasks, not in files that anybody may fetch.
    pub(crate) opens: bool,
    /// The parameter that was asked for last, and where its value came from: when a render fails, that is where to look.
    last_read: Mutex<Option<(String, Option<Origin>)>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) shown: OnceLock<Json>,
}

impl Scene {
    pub(crate) fn new(view: &View, host: &Arc<dyn Host>, server: &Arc<Server>) -> Self {
        Self {
            view: view.clone(),
            host: Arc::clone(host),
            server: Arc::clone(server),
            machine: None,
            env: None,
            stage: None,
            task: None,
            mac: None,
            path: String::new(),
            target_os: String::new(),
            opens: false,
            last_read: Mutex::new(None),
            shared: Arc::default(),
            shown: OnceLock::new(),
        }
    }

    /// Dot.
    pub(crate) fn dot(self: &Arc<Self>) -> Value {
        Value::object(Dot(Arc::clone(self)))
    }

    /// The machine's architecture, or the default one without a machine.
    pub(crate) fn arch(&self) -> &str {
        self.machine
            .as_ref()
            .map(|machine| machine.arch.as_str())
            .filter(|arch| !arch.is_empty())
            .unwrap_or("amd64")
    }

    /// The value that counts.
    pub(crate) fn param(&self, name: &str) -> Option<Found> {
        let found = self.found(name);
        self.note(name, found.as_ref().map(|found| found.origin.clone()));
        found.map(|found| self.opened(found))
    }

    fn found(&self, name: &str) -> Option<Found> {
        if let Some(value) = self.machine.as_ref().and_then(|machine| machine.params.get(name)) {
            return Some(Found { value: value.clone(), origin: Origin::Machine });
        }
        let (value, origin) = params::lookup(&self.view, self.inherited(), name)?;
        Some(Found { value, origin })
    }

    fn note(&self, name: &str, origin: Option<Origin>) {
        *self.last_read.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), origin));
    }

    /// The parameter that was asked for last; its origin is none when it has no value.
    pub(crate) fn last_read(&self) -> Option<(String, Option<Origin>)> {
        self.last_read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn has_param(&self, name: &str) -> bool {
        let own = self.machine.as_ref().is_some_and(|machine| machine.params.contains_key(name));
        own || params::lookup(&self.view, self.inherited(), name).is_some()
    }

    /// All values merged.
    pub(crate) fn composed(&self, name: &str) -> Option<Json> {
        let own = self.machine.as_ref().and_then(|machine| machine.params.get(name));
        let own = own.map(|value| Found { value: value.clone(), origin: Origin::Machine });
        let rest = param::all(&self.view, self.inherited(), name);
        self.note(name, own.as_ref().or(rest.first()).map(|found| found.origin.clone()));
        param::merge_all(own.into_iter().chain(rest).map(|found| self.opened(found).value).collect())
    }

    fn inherited(&self) -> &[Layer<'static>] {
        self.shared.layers.get_or_init(|| match &self.machine {
            None => params::global_layers(&self.view),
            Some(machine) => {
                let stage = self.stage.as_ref().map_or(machine.stage.as_str(), |stage| &stage.name);
                params::inherited(&self.view, &machine.profiles, stage)
            }
        })
    }

    fn opened(&self, found: Found) -> Found {
        let sealed = self.opens
            && found.value.as_object().is_some_and(|map| map.len() == 3 && map.contains_key("Payload"));
        if !sealed {
            return found;
        }
        let holder = param::holder(&found.origin, self.machine.as_deref());
        let value = holder.and_then(|(kind, key)| self.host.open(kind, &key, &found.value));
        Found { value: value.unwrap_or(found.value), origin: found.origin }
    }

    /// `http://<server>:<port>` of the file service.
    pub(crate) fn files_url(&self) -> String {
        self.server.files_url()
    }

    /// The seconds of a preference that holds a number.
    pub(crate) fn seconds(&self, preference: &str) -> i64 {
        self.view.preference(preference).parse().unwrap_or(600)
    }

    /// The machine as its JSON, computed once.
    pub(crate) fn machine_json(&self) -> &Json {
        self.shown.get_or_init(|| self.machine.as_deref().map(json_of).unwrap_or_default())
    }
}

/// A typed object as JSON with all fields.
pub(crate) fn json_of<T: Object>(object: &T) -> Json {
    serde_json::to_value(object).unwrap_or_default()
}

/// The machine of an address, if there is exactly one.
pub(crate) fn machine_at(view: &View, address: IpAddr) -> Option<Arc<Record>> {
    let text = address.to_canonical().to_string();
    let key = view.find(gantry_model::Kind::Machine, "Address", &text).next()?.clone();
    view.record(gantry_model::Kind::Machine, &key).cloned()
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scene({:?}, {})", self.machine.as_ref().map(|machine| &machine.name), self.path)
    }
}

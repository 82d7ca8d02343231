//! What one render is about: the View, the machine, its boot environment and stage, the task, the server.
//!
//! Dot gets everything through here. A survey has the scene note what was asked for ([`Reads`]); hence the fields that show
//! the View are private, and their accessors take the names of the fields that the caller is about to read.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gantry_model::params::{self, Layer, Origin};
use gantry_model::{BootEnv, Kind, Machine, Object, Param, Record, Stage, Task, View};
use gantry_template::Value;
use serde_json::Value as Json;

use crate::dot::Dot;
use crate::host::{Host, Server};
use crate::install_tree::InstallTree;
use crate::param::{self, Found};
use crate::reads::{Input, Reads};
use crate::repo::Repo;

/// The objects that a render is about.
#[derive(Clone, Default)]
pub(crate) struct Cast {
    pub(crate) machine: Option<Arc<Machine>>,
    /// The machine's boot environment, with what the machine changes of it.
    pub(crate) env: Option<Arc<BootEnv>>,
    pub(crate) stage: Option<Arc<Stage>>,
    pub(crate) shared: Arc<Shared>,
}

/// What the files of one machine have in common, found when the first of them asks for it.
#[derive(Default)]
pub(crate) struct Shared {
    layers: OnceLock<Vec<Layer<'static>>>,
    repositories: OnceLock<Vec<Repo>>,
    tree: OnceLock<Option<InstallTree>>,
    machine: OnceLock<Json>,
    env: OnceLock<Json>,
    stage: OnceLock<Json>,
    /// Hashes of answers, see [`crate::reads`].
    pub(crate) answers: Mutex<HashMap<Input, u64>>,
}

/// Everything that dot can show.
pub(crate) struct Scene {
    view: View,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) server: Arc<Server>,
    cast: Cast,
    task: Option<Arc<Task>>,
    task_json: OnceLock<Json>,
    /// The network card that a per-card file is for.
    pub(crate) mac: Option<String>,
    /// The path of the file being rendered; empty for actions.
    pub(crate) path: String,
    /// The operating system that asks for actions.
    pub(crate) target_os: String,
    /// The parameter that was asked for last, and where its value came from: when a render fails, that is where to look.
    last_read: Mutex<Option<(String, Option<Origin>)>>,
    /// Everything that was asked for, when somebody wants to know.
    reads: Option<Arc<Reads>>,
}

impl Scene {
    pub(crate) fn new(view: &View, host: &Arc<dyn Host>, server: &Arc<Server>, cast: Cast) -> Self {
        Self {
            view: view.clone(),
            host: Arc::clone(host),
            server: Arc::clone(server),
            cast,
            task: None,
            task_json: OnceLock::new(),
            mac: None,
            path: String::new(),
            target_os: String::new(),
            last_read: Mutex::new(None),
            reads: None,
        }
    }

    /// The scene of a script: sealed parameters are opened in tasks, not in files that anybody may fetch.
    pub(crate) fn with_task(self, task: Option<Arc<Task>>) -> Self {
        Self { task, ..self }
    }

    /// The scene with notes of what is asked for.
    pub(crate) fn noting(self, reads: Option<Arc<Reads>>) -> Self {
        Self { reads, ..self }
    }

    /// Dot.
    pub(crate) fn dot(self: &Arc<Self>) -> Value {
        Value::object(Dot(Arc::clone(self)))
    }

    /// The View, for what is noted elsewhere.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The machine, of which the caller will read these fields.
    pub(crate) fn machine(&self, fields: &[&str]) -> Option<&Arc<Machine>> {
        self.note_fields(Kind::Machine, fields);
        self.cast.machine.as_ref()
    }

    /// The boot environment, of which the caller will read these fields.
    pub(crate) fn env(&self, fields: &[&str]) -> Option<&BootEnv> {
        self.note_fields(Kind::BootEnv, fields);
        self.cast.env.as_deref()
    }

    /// The machine, for who notes what he reads himself.
    pub(crate) fn cast_machine(&self) -> Option<&Machine> {
        self.cast.machine.as_deref()
    }

    /// The boot environment, for who notes what he reads himself.
    pub(crate) fn cast_env(&self) -> Option<&BootEnv> {
        self.cast.env.as_deref()
    }

    /// What the files of this machine have in common.
    pub(crate) fn shared(&self) -> &Shared {
        &self.cast.shared
    }

    /// True when there is such an object in the scene. What a scene has is part of every result that is kept.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Machine => self.cast.machine.is_some(),
            Kind::BootEnv => self.cast.env.is_some(),
            Kind::Stage => self.cast.stage.is_some(),
            Kind::Task => self.task.is_some(),
            _ => false,
        }
    }

    /// A field of an object of the scene as JSON.
    pub(crate) fn field_of(&self, kind: Kind, field: &str) -> &Json {
        self.note_fields(kind, &[field]);
        self.json(kind).get(field).unwrap_or(&Json::Null)
    }

    /// An object of the scene as JSON.
    pub(crate) fn whole(&self, kind: Kind) -> &Json {
        self.note(Input::Whole(kind));
        self.json(kind)
    }

    /// The same, for who notes it himself. Made once.
    pub(crate) fn json(&self, kind: Kind) -> &Json {
        let Cast { machine, env, stage, shared } = &self.cast;
        match kind {
            Kind::Machine => {
                shared.machine.get_or_init(|| machine.as_deref().map(json_of).unwrap_or_default())
            }
            Kind::BootEnv => shared.env.get_or_init(|| env.as_deref().map(json_of).unwrap_or_default()),
            Kind::Stage => shared.stage.get_or_init(|| stage.as_deref().map(json_of).unwrap_or_default()),
            Kind::Task => {
                self.task_json.get_or_init(|| self.task.as_deref().map(json_of).unwrap_or_default())
            }
            _ => &Json::Null,
        }
    }

    fn note(&self, input: Input) {
        if let Some(reads) = &self.reads {
            reads.note(input);
        }
    }

    /// Something is read that no question stands for: the result is not for keeping.
    pub(crate) fn note_untold(&self) {
        if let Some(reads) = &self.reads {
            reads.note_untold();
        }
    }

    fn note_fields(&self, kind: Kind, fields: &[&str]) {
        if self.reads.is_some() {
            fields.iter().for_each(|field| self.note(Input::Field(kind, (*field).into())));
        }
    }

    /// The machine's architecture, or the default one without a machine. Part of every result that is kept.
    pub(crate) fn arch(&self) -> &str {
        let machine = self.cast.machine.as_ref();
        machine.map(|machine| machine.arch.as_str()).filter(|arch| !arch.is_empty()).unwrap_or("amd64")
    }

    /// The value that counts.
    pub(crate) fn param(&self, name: &str) -> Option<Found> {
        self.note(Input::Param(name.into()));
        let found = self.peek(name);
        self.remember(name, found.as_ref().map(|found| found.origin.clone()));
        found.map(|found| self.opened(found))
    }

    /// The value that counts as it is stored, and its origin, by reference; the default of the schema is none of them.
    fn set(&self, name: &str) -> Option<(&Json, Origin)> {
        if let Some(value) = self.cast.machine.as_ref().and_then(|machine| machine.params.get(name)) {
            return Some((value, Origin::Machine));
        }
        self.inherited().iter().find_map(|layer| Some((layer.params().get(name)?, layer.origin.clone())))
    }

    /// Calls `with` with the value that counts as it is stored, and its origin, if there is one. Notes nothing.
    pub(crate) fn with_param(&self, name: &str, with: impl FnOnce(Option<(&Json, Origin)>)) {
        match self.set(name) {
            Some(found) => with(Some(found)),
            None => {
                let param = self.view.object::<Param>(name);
                with(
                    param
                        .as_ref()
                        .and_then(|param| param.default_value())
                        .map(|value| (value, Origin::Default)),
                );
            }
        }
    }

    /// The value that counts as it is stored, noting nothing.
    pub(crate) fn peek(&self, name: &str) -> Option<Found> {
        let mut found = None;
        self.with_param(name, |value| {
            found = value.map(|(value, origin)| Found { value: value.clone(), origin });
        });
        found
    }

    fn remember(&self, name: &str, origin: Option<Origin>) {
        *self.last_read.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), origin));
    }

    /// The parameter that was asked for last; its origin is none when it has no value.
    pub(crate) fn last_read(&self) -> Option<(String, Option<Origin>)> {
        self.last_read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when the parameter has a value.
    pub(crate) fn has_param(&self, name: &str) -> bool {
        self.note(Input::HasParam(name.into()));
        let mut has = false;
        self.with_param(name, |found| has = found.is_some());
        has
    }

    /// All values merged.
    pub(crate) fn composed(&self, name: &str) -> Option<Json> {
        self.note(Input::Composed(name.into()));
        let values = self.values(name);
        self.remember(name, values.first().map(|found| found.origin.clone()));
        param::merge_all(values.into_iter().map(|found| self.opened(found).value).collect())
    }

    /// All values merged as they are stored, with every layer, noting nothing.
    pub(crate) fn peek_composed(&self, name: &str) -> Option<(Json, Vec<Origin>)> {
        let (values, origins) =
            self.values(name).into_iter().map(|found| (found.value, found.origin)).unzip::<_, _, Vec<_>, _>();
        Some((param::merge_all(values)?, origins))
    }

    fn values(&self, name: &str) -> Vec<Found> {
        let own = self.cast.machine.as_ref().and_then(|machine| machine.params.get(name));
        let own = own.map(|value| Found { value: value.clone(), origin: Origin::Machine });
        own.into_iter().chain(param::all(&self.view, self.inherited(), name)).collect()
    }

    fn inherited(&self) -> &[Layer<'static>] {
        self.cast.shared.layers.get_or_init(|| match &self.cast.machine {
            None => params::global_layers(&self.view),
            Some(machine) => {
                let stage = self.cast.stage.as_ref().map_or(machine.stage.as_str(), |stage| &stage.name);
                params::inherited(&self.view, &machine.profiles, stage)
            }
        })
    }

    fn opened(&self, found: Found) -> Found {
        let sealed = self.task.is_some()
            && found.value.as_object().is_some_and(|map| map.len() == 3 && map.contains_key("Payload"));
        if !sealed {
            return found;
        }
        let holder = param::holder(&found.origin, self.cast.machine.as_deref());
        let value = holder.and_then(|(kind, key)| self.host.open(kind, &key, &found.value));
        Found { value: value.unwrap_or(found.value), origin: found.origin }
    }

    /// Asks for a parameter without its value: for those who have it from a render before.
    pub(crate) fn ask(&self, name: &str) {
        self.note(Input::Param(name.into()));
        let mut origin = None;
        self.with_param(name, |found| origin = found.map(|(_, origin)| origin));
        self.remember(name, origin);
    }

    /// The repositories of the files of this machine, made by the first that asks.
    pub(crate) fn repositories(&self, read: impl FnOnce() -> Vec<Repo>) -> &[Repo] {
        self.cast.shared.repositories.get_or_init(read)
    }

    /// The unpacked tree that the machine's operating system is installed from.
    pub(crate) fn tree(&self) -> Option<&InstallTree> {
        self.note(Input::Tree);
        self.peek_tree()
    }

    /// The same, without a note. Found once for all files of a machine.
    pub(crate) fn peek_tree(&self) -> Option<&InstallTree> {
        self.cast.shared.tree.get_or_init(|| InstallTree::find(self)).as_ref()
    }

    /// True when there is such a profile.
    pub(crate) fn has_profile(&self, name: &str) -> bool {
        self.note(Input::HasProfile(name.into()));
        self.view.record(Kind::Profile, name).is_some()
    }

    /// `http://<server>:<port>` of the file service.
    pub(crate) fn files_url(&self) -> String {
        self.server.files_url()
    }

    /// The seconds of a preference that holds a number.
    pub(crate) fn seconds(&self, preference: &str) -> i64 {
        self.note(Input::Preference(preference.into()));
        self.view.preference(preference).parse().unwrap_or(600)
    }
}

/// The scene as the world of the template language: its host, told apart by scene where templates are looked up.
impl gantry_template::Host for Scene {
    fn random(&self, buffer: &mut [u8]) {
        self.host.random(buffer);
    }

    fn now(&self) -> std::time::Duration {
        self.host.now()
    }

    fn time_zone(&self) -> &str {
        self.host.time_zone()
    }

    fn resolve(&self, name: &str) -> Vec<String> {
        self.host.resolve(name)
    }

    fn file(&self, path: &str) -> Option<Arc<[u8]>> {
        self.host.file(path)
    }

    fn looks_up(&self, template: &[u8]) {
        if let Some(reads) = &self.reads {
            reads.note_template(template);
        }
    }

    fn expired(&self) -> bool {
        self.host.expired()
    }
}

/// A typed object as JSON with all fields.
pub(crate) fn json_of<T: Object>(object: &T) -> Json {
    serde_json::to_value(object).unwrap_or_default()
}

/// The machine of an address, if there is exactly one.
pub(crate) fn machine_at(view: &View, address: IpAddr) -> Option<Arc<Record>> {
    let text = address.to_canonical().to_string();
    let key = view.find(Kind::Machine, "Address", &text).next()?.clone();
    view.record(Kind::Machine, &key).cloned()
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scene({:?}, {})", self.cast.machine.as_ref().map(|machine| &machine.name), self.path)
    }
}

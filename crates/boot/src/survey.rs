//! Everything that is rendered for a machine, at once: for checks of content before it is used.
//!
//! Files are those of the machine's boot environment and stage, scripts those of its task list. Nothing is served; a
//! [`Sample`] host stands in for the world, so that the same input gives the same bytes, before and after a change.

use std::sync::Arc;
use std::time::Duration;

use gantry_model::params::Origin;
use gantry_model::{BootEnv, Info, Kind, Machine, Record, Stage, Task, View};
use serde_json::Value;

use crate::actions::wanted;
use crate::bootenv;
use crate::compile::{Compiled, CompiledFile, PATTERN, Renderer};
use crate::host::{Host, Server};
use crate::scene::Scene;
use crate::tree::{Owner, render_or_fail};

/// One template, rendered.
#[derive(Debug, Clone)]
pub struct Render {
    /// The kind of the object that has the template: a boot environment, a stage or a task.
    pub kind: Kind,
    /// The object.
    pub object: String,
    /// The template's name in it.
    pub template: String,
    /// Where the file appears; empty for scripts, and for files whose path does not render.
    pub path: String,
    /// The contents, or why there are none.
    pub result: Result<Vec<u8>, Failure>,
}

/// Why a template does not render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The template whose text holds the fault: an included one, perhaps.
    pub template: String,
    /// Its line, from 1; 0 when there is none.
    pub line: usize,
    /// The column in bytes, as Go counts; 0 when there is none.
    pub column: usize,
    /// The engine's message.
    pub message: String,
    /// The parameter that was read last.
    pub param: Option<String>,
    /// Where its value came from; none when it has none.
    pub origin: Option<Origin>,
}

/// Which tasks are rendered beside the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    /// None: boot and stage files only.
    Skip,
    /// Those of the machine's task list.
    Listed,
}

impl Renderer {
    /// Renders what a machine gets now, one [`Render`] after another to `each`; without a machine, what unknown ones get.
    pub fn survey(
        &self,
        view: &View,
        machine: Option<&Arc<Machine>>,
        scripts: Scripts,
        world: &World,
        each: &mut dyn FnMut(Render),
    ) {
        for owner in self.owners(view, machine) {
            self.survey_files(view, &owner, world, each);
        }
        let Some(machine) = machine.filter(|_| scripts == Scripts::Listed) else { return };
        let mut seen = std::collections::BTreeSet::new();
        for name in machine.tasks.iter().filter(|name| !name.contains(':') && seen.insert(name.as_str())) {
            if let Some(record) = view.record(Kind::Task, name) {
                self.survey_object(view, record, machine, world, each);
            }
        }
    }

    /// Renders all templates of one boot environment, stage or task for a machine, whether it is in it or not.
    pub fn survey_object(
        &self,
        view: &View,
        record: &Arc<Record>,
        machine: &Arc<Machine>,
        world: &World,
        each: &mut dyn FnMut(Render),
    ) {
        let mut inside = Machine::clone(machine);
        match record.kind() {
            Kind::BootEnv => record.key().as_str().clone_into(&mut inside.boot_env),
            Kind::Stage => record.key().as_str().clone_into(&mut inside.stage),
            _ => {}
        }
        let inside = Arc::new(inside);
        if record.kind() == Kind::Task {
            return self.survey_task(view, record, &inside, world, each);
        }
        let unknown = record.kind() == Kind::BootEnv && record.typed::<BootEnv>().only_unknown;
        let owners = self.owners(view, Some(&inside));
        for owner in owners.into_iter().filter(|owner| owner.kind == record.kind()) {
            let owner = if unknown { owner.without_machine() } else { owner };
            self.survey_files(view, &owner, world, each);
        }
    }

    fn survey_files(&self, view: &View, owner: &Owner, world: &World, each: &mut dyn FnMut(Render)) {
        for file in owner.compiled.files.iter().filter(|file| owner.mountable(file)) {
            for card in owner.cards(file) {
                let scene = Arc::new(owner.scene(view, &world.host, &world.server, card.clone(), ""));
                let path = match pattern(file, &scene) {
                    Ok(path) => path,
                    Err(failure) => {
                        each(owner.render(file, "", Err(failure)));
                        continue;
                    }
                };
                let scene = Arc::new(owner.scene(view, &world.host, &world.server, card, &path));
                let result = contents(&owner.compiled, file, &scene);
                each(owner.render(file, &path, result));
            }
        }
    }

    fn survey_task(
        &self,
        view: &View,
        record: &Arc<Record>,
        machine: &Arc<Machine>,
        world: &World,
        each: &mut dyn FnMut(Render),
    ) {
        let task: Arc<Task> = record.typed();
        let compiled = self.compiled(view, record);
        let mut scene = Scene::new(view, &world.host, &world.server);
        scene.env = bootenv::for_machine(view, Some(machine), &machine.boot_env);
        scene.stage = view.object::<Stage>(&machine.stage);
        scene.machine = Some(Arc::clone(machine));
        scene.task = Some(task);
        scene.opens = true;
        let scene = Arc::new(scene);
        for file in wanted(&compiled.files, "linux") {
            let (path, result) = match pattern(file, &scene) {
                Ok(path) => (path, contents(&compiled, file, &scene)),
                Err(failure) => (String::new(), Err(failure)),
            };
            let (object, template) = (record.key().to_string(), file.info.name.clone());
            each(Render { kind: Kind::Task, object, template, path, result });
        }
    }
}

impl Owner {
    fn render(&self, file: &CompiledFile, path: &str, result: Result<Vec<u8>, Failure>) -> Render {
        let (object, template) = (self.object.clone(), file.info.name.clone());
        Render { kind: self.kind, object, template, path: path.trim_start_matches('/').to_owned(), result }
    }
}

fn pattern(file: &CompiledFile, scene: &Arc<Scene>) -> Result<String, Failure> {
    match &file.path {
        Some(pattern) => text(render_or_fail(&pattern.set, PATTERN, scene), scene),
        None => Ok(String::new()),
    }
}

fn contents(compiled: &Compiled, file: &CompiledFile, scene: &Arc<Scene>) -> Result<Vec<u8>, Failure> {
    if let Some(error) = compiled.errors.first() {
        return Err(Failure {
            template: file.info.name.clone(),
            line: error.line,
            column: 0,
            message: error.message.clone(),
            param: None,
            origin: None,
        });
    }
    if let Some(link) = &file.link {
        return text(render_or_fail(&link.set, PATTERN, scene), scene).map(String::into_bytes);
    }
    render_or_fail(&compiled.set, file.call(), scene).map_err(|error| failure(error, scene))
}

fn text(rendered: Result<Vec<u8>, gantry_template::Error>, scene: &Arc<Scene>) -> Result<String, Failure> {
    let bytes = rendered.map_err(|error| failure(error, scene))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn failure(error: gantry_template::Error, scene: &Scene) -> Failure {
    let (param, origin) = match scene.last_read() {
        Some((param, origin)) => (Some(param), origin),
        None => (None, None),
    };
    let gantry_template::Error { template, line, column, message, .. } = error;
    Failure { template, line, column, message, param, origin }
}

/// Where a survey takes place: the server as machines reach it, and a host.
#[derive(Clone)]
pub struct World {
    /// The server's addresses and ports.
    pub server: Arc<Server>,
    /// Tokens, sealed values, time and chance.
    pub host: Arc<dyn Host>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({})", self.server.address)
    }
}

impl Default for World {
    /// A server on its usual ports at an address for documentation (RFC 5737), and a [`Sample`] host.
    fn default() -> Self {
        let info = Info {
            api_port: 8092,
            file_port: 8091,
            secure_file_port: 8090,
            id: "sample".to_owned(),
            ..Info::default()
        };
        let server = Server { info: Arc::new(info), address: [192, 0, 2, 1].into(), client: None };
        Self { server: Arc::new(server), host: Arc::new(Sample) }
    }
}

/// A host for renders that nobody uses: time stands still, chance is zero, tokens and secrets are words.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample;

impl gantry_template::Host for Sample {
    /// Every file is there and empty, so that templates which take a line from one find none.
    fn file(&self, _path: &str) -> Option<Arc<[u8]>> {
        Some(Arc::from([]))
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }

    fn now(&self) -> Duration {
        // 2024-01-01T00:00:00Z.
        Duration::from_secs(1_704_067_200)
    }
}

impl Host for Sample {
    fn machine_token(&self, _machine: &Machine, _seconds: i64) -> String {
        "machine-token".to_owned()
    }

    fn unknown_token(&self, _seconds: i64) -> String {
        "unknown-machine-token".to_owned()
    }

    fn profile_token(&self, _profile: &str, _seconds: i64) -> String {
        "profile-token".to_owned()
    }

    fn open(&self, _kind: Kind, _key: &str, _sealed: &Value) -> Option<Value> {
        Some("secret".into())
    }
}

//! Everything that is rendered for a machine, at once: for checks of content before it is used.
//!
//! Files are those of the machine's boot environment and stage, scripts those of its task list. Nothing is served; a
//! [`Sample`] host stands in for the world, so that the same input gives the same bytes, before and after a change.

mod world;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use gantry_model::params::Origin;
use gantry_model::{BootEnv, Kind, Machine, Record, Task, View};

use crate::actions::{LINUX, each_os};
use crate::compile::{Compiled, CompiledFile, PATTERN, Renderer, inline_name};
use crate::reads::{Input, Reads};
use crate::scene::{Cast, Scene};
use crate::tree::{Owner, render_or_fail};
pub use world::{Sample, World};

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

/// A template that is to be rendered for a machine, or for nobody.
pub struct Target {
    /// The kind of the object that has the template.
    pub kind: Kind,
    /// The object.
    pub object: Arc<str>,
    compiled: Arc<Compiled>,
    /// Its place among the templates of the object.
    at: usize,
    cast: Cast,
    task: Option<Arc<Task>>,
    /// The operating system that a script is for; empty for files.
    os: String,
    card: Option<String>,
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
        self.targets(view, machine, scripts).iter().for_each(|target| each(target.render(view, world)));
    }

    /// What [`Renderer::survey`] renders, in the same order.
    #[must_use]
    pub fn targets(&self, view: &View, machine: Option<&Arc<Machine>>, scripts: Scripts) -> Vec<Target> {
        let owners = self.owners(view, machine);
        let mut targets: Vec<Target> = owners.iter().flat_map(file_targets).collect();
        let Some(machine) = machine.filter(|_| scripts == Scripts::Listed) else { return targets };
        let shared = owners.first().map(|owner| owner.cast.clone());
        let cast = shared.unwrap_or_else(|| Cast::of(view, Some(Arc::clone(machine)), &machine.boot_env));
        let mut seen = std::collections::BTreeSet::new();
        for name in machine.tasks.iter().filter(|name| !name.contains(':') && seen.insert(name.as_str())) {
            if let Some(record) = view.record(Kind::Task, name) {
                targets.extend(self.script_targets(view, record, &cast).filter(|target| target.os == LINUX));
            }
        }
        targets
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
        let targets: Vec<Target> = if record.kind() == Kind::Task {
            let cast = Cast::of(view, Some(Arc::clone(&inside)), &inside.boot_env);
            self.script_targets(view, record, &cast).collect()
        } else {
            let unknown = record.kind() == Kind::BootEnv && record.typed::<BootEnv>().only_unknown;
            let owners = self.owners(view, Some(&inside)).into_iter();
            let own = owners.filter(|owner| owner.kind == record.kind());
            own.flat_map(|owner| file_targets(&if unknown { owner.without_machine() } else { owner }))
                .collect()
        };
        targets.iter().for_each(|target| each(target.render(view, world)));
    }

    /// All scripts and files of a task, those for other systems than Linux, too.
    fn script_targets(&self, view: &View, record: &Arc<Record>, cast: &Cast) -> impl Iterator<Item = Target> {
        let task: Arc<Task> = record.typed();
        let compiled = self.compiled(view, record);
        let places: Vec<(usize, String)> =
            each_os(&compiled.files).map(|(at, os)| (at, os.to_owned())).collect();
        let (object, cast): (Arc<str>, Cast) = (record.key().as_str().into(), cast.clone());
        places.into_iter().map(move |(at, os)| Target {
            kind: Kind::Task,
            object: Arc::clone(&object),
            compiled: Arc::clone(&compiled),
            at,
            cast: cast.clone(),
            task: Some(Arc::clone(&task)),
            os,
            card: None,
        })
    }
}

fn file_targets(owner: &Owner) -> Vec<Target> {
    let files = owner.compiled.files.iter().enumerate().filter(|(_, file)| owner.mountable(file));
    let target = |at, card| Target {
        kind: owner.kind,
        object: Arc::clone(&owner.object),
        compiled: Arc::clone(&owner.compiled),
        at,
        cast: owner.cast.clone(),
        task: None,
        os: String::new(),
        card,
    };
    files
        .flat_map(|(at, file)| owner.cards(file).into_iter().map(move |card| (at, card)))
        .map(|(at, card)| target(at, card))
        .collect()
}

impl Target {
    /// The template's name in its object.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.file().info.name
    }

    fn file(&self) -> &CompiledFile {
        &self.compiled.files[self.at]
    }

    /// Renders it.
    #[must_use]
    pub fn render(&self, view: &View, world: &World) -> Render {
        self.render_noting(view, world, None)
    }

    /// Renders it and notes what was asked for.
    pub(crate) fn render_noting(&self, view: &View, world: &World, reads: Option<&Arc<Reads>>) -> Render {
        let scene = |path: &str| {
            let mut scene = self.scene(view, world).noting(reads.cloned());
            path.clone_into(&mut scene.path);
            Arc::new(scene)
        };
        let path = self.path(&scene(""));
        let (path, result) = match path {
            Ok(path) => {
                let result = self.contents(&scene(&path));
                (path, result)
            }
            Err(failure) => (String::new(), Err(failure)),
        };
        Render {
            kind: self.kind,
            object: self.object.to_string(),
            template: self.template().to_owned(),
            path: if self.kind == Kind::Task { path } else { path.trim_start_matches('/').to_owned() },
            result,
        }
    }

    fn scene(&self, view: &View, world: &World) -> Scene {
        let mut scene =
            Scene::new(view, &world.host, &world.server, self.cast.clone()).with_task(self.task.clone());
        scene.mac.clone_from(&self.card);
        scene.target_os.clone_from(&self.os);
        scene
    }

    /// Tells the target from all others of its machine.
    pub(crate) fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.kind, &self.object, self.template(), &self.os, &self.card).hash(&mut hasher);
        hasher.finish()
    }

    /// Everything that its result follows from, when these are all questions that its render asks.
    pub(crate) fn fingerprint(&self, view: &View, world: &World, inputs: &[Input]) -> u64 {
        let mut hasher = DefaultHasher::new();
        let scene = self.scene(view, world);
        let CompiledFile { info, .. } = self.file();
        (self.identity(), &info.path, &info.link, self.file().call(), scene.arch()).hash(&mut hasher);
        self.compiled.errors.first().map(|error| (&error.message, error.line)).hash(&mut hasher);
        [Kind::Machine, Kind::BootEnv, Kind::Stage, Kind::Task].map(|kind| scene.has(kind)).hash(&mut hasher);
        inputs.iter().for_each(|input| scene.answer(input, &self.compiled).hash(&mut hasher));
        hasher.finish()
    }

    fn path(&self, scene: &Arc<Scene>) -> Result<String, Failure> {
        match &self.file().path {
            Some(pattern) => self.text(render_or_fail(&pattern.set, PATTERN, scene), scene),
            None => Ok(String::new()),
        }
    }

    fn contents(&self, scene: &Arc<Scene>) -> Result<Vec<u8>, Failure> {
        if let Some(error) = self.compiled.errors.first() {
            return Err(Failure {
                template: self.template().to_owned(),
                line: error.line,
                column: 0,
                message: error.message.clone(),
                param: None,
                origin: None,
            });
        }
        if let Some(link) = &self.file().link {
            return self.text(render_or_fail(&link.set, PATTERN, scene), scene).map(String::into_bytes);
        }
        render_or_fail(&self.compiled.set, self.file().call(), scene)
            .map_err(|error| self.failure(error, scene))
    }

    fn text(
        &self,
        rendered: Result<Vec<u8>, gantry_template::Error>,
        scene: &Scene,
    ) -> Result<String, Failure> {
        let bytes = rendered.map_err(|error| self.failure(error, scene))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A failure with its place in the template as it was written: to the engine, the inline texts of an object are one text.
    fn failure(&self, error: gantry_template::Error, scene: &Scene) -> Failure {
        let (param, origin) = match scene.last_read() {
            Some((param, origin)) => (Some(param), origin),
            None => (None, None),
        };
        let gantry_template::Error { mut template, mut line, mut column, message, .. } = error;
        if line > 0 && template == inline_name(&self.object) {
            let at;
            (at, line, column) = self.compiled.place(line, column);
            template.clone_from(&self.compiled.files[at].info.name);
        }
        Failure { template, line, column, message, param, origin }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({}/{} {})", self.kind.prefix(), self.object, self.template())
    }
}

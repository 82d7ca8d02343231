//! What the agent runs for a job: the rendered templates of its task (API §11.7, engine §4.9).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantry_model::{Job, Kind, Machine, Stage, Task, View};
use serde::Serialize;

use crate::compile::{CompiledFile, PATTERN, Renderer};
use crate::host::{Host, Server};
use crate::scene::{Cast, Scene};
use crate::tree::render;
use crate::{Error, bootenv};

/// One script to run or file to place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobAction {
    /// The name of the common template, else that of the inline one: agents make a file name of it, for which the free text
    /// beside an `ID` is not made.
    pub name: String,
    /// Where the file goes; empty for a script.
    pub path: String,
    /// Its contents.
    pub content: String,
    /// The template's `Meta`.
    pub meta: BTreeMap<String, String>,
}

impl Renderer {
    /// What the agent runs for `job` on the operating system `os` (Go's word; empty for all). Rendered anew at each call.
    ///
    /// # Errors
    /// [`Error::Missing`] when machine or task is gone, [`Error::Required`] for parameters without a value,
    /// [`Error::Render`] with one message for each template that fails.
    pub fn job_actions(
        &self,
        view: &View,
        job: &Job,
        os: &str,
        server: &Arc<Server>,
        host: &Arc<dyn Host>,
    ) -> Result<Vec<JobAction>, Error> {
        let key = job.machine.to_string();
        let Some(machine) = view.object::<Machine>(&key) else {
            return Err(Error::Missing(format!("Machine {key} does not exist")));
        };
        let Some(record) = view.record(Kind::Task, &job.task) else {
            return Err(Error::Missing(format!("Task {} does not exist", job.task)));
        };
        let task: Arc<Task> = record.typed();
        let cast = Cast {
            env: bootenv::for_machine(view, Some(&machine), &machine.boot_env),
            stage: view.object::<Stage>(&job.stage),
            machine: Some(machine),
            shared: Arc::default(),
        };
        let mut scene = Scene::new(view, host, server, cast).with_task(Some(Arc::clone(&task)));
        os.clone_into(&mut scene.target_os);
        let scene = Arc::new(scene);
        check_required(&scene, &task)?;
        let compiled = self.compiled(view, record);
        if !compiled.errors.is_empty() {
            return Err(Error::Render(compiled.messages()));
        }
        let rendered =
            wanted(&compiled.files, os).map(|(_, file)| render_action(&compiled.set, file, &scene));
        let (actions, errors): (Vec<_>, Vec<_>) = rendered.partition(Result::is_ok);
        if errors.is_empty() {
            Ok(actions.into_iter().filter_map(Result::ok).collect())
        } else {
            Err(Error::Render(errors.into_iter().filter_map(Result::err).collect()))
        }
    }
}

fn check_required(scene: &Scene, task: &Task) -> Result<(), Error> {
    let missing: Vec<String> = task
        .required_params
        .iter()
        .filter(|name| !scene.has_param(name))
        .map(|name| format!("Missing required parameter {name} for tasks {}", task.name))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Required(missing)) }
}

/// The templates for an operating system with their places in the task: all when the first says none, or nobody asked.
pub(crate) fn wanted<'a>(
    files: &'a [CompiledFile],
    os: &'a str,
) -> impl Iterator<Item = (usize, &'a CompiledFile)> {
    let filtered = !os.is_empty() && files.first().is_some_and(|file| file.info.meta.contains_key("OS"));
    files.iter().enumerate().filter(move |(_, file)| {
        let listed = file.info.meta.get("OS").map(String::as_str).unwrap_or_default();
        !filtered || listed.split(',').map(str::trim).any(|word| word == "any" || word == os)
    })
}

/// What machines run unless they say otherwise.
pub(crate) const LINUX: &str = "linux";

/// The templates with the operating system that each is rendered for when all are to be looked at: Linux for those that it
/// gets, for the others the first that their `Meta` names.
pub(crate) fn each_os(files: &[CompiledFile]) -> impl Iterator<Item = (usize, &str)> {
    let on_linux: BTreeSet<usize> = wanted(files, LINUX).map(|(at, _)| at).collect();
    files.iter().enumerate().filter_map(move |(at, file)| {
        if on_linux.contains(&at) {
            return Some((at, LINUX));
        }
        let mut words = file.info.meta.get("OS")?.split(',').map(str::trim);
        words.find(|word| !word.is_empty()).map(|word| (at, word))
    })
}

fn render_action(
    set: &gantry_template::Set,
    file: &CompiledFile,
    scene: &Arc<Scene>,
) -> Result<JobAction, String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let path = match &file.path {
        Some(pattern) => render(&pattern.set, PATTERN, scene).map(text)?,
        None => String::new(),
    };
    let content = render(set, file.call(), scene).map(text)?;
    Ok(JobAction { name: file.call().to_owned(), path, content, meta: file.info.meta.clone() })
}

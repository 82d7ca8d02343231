//! From stages and tasks to the flat task list that a machine walks through.
//!
//! A workflow becomes, for each of its stages, a `stage:` entry, a `bootenv:` entry where the boot environment changes, and the
//! stage's tasks, each preceded by the prerequisites that have not run since the last `bootenv:` entry: a reboot loses what
//! they prepared (reference: engine.md §4.4, api.md §11.3).

use std::collections::BTreeSet;

use gantry_model::{Stage, Task, TaskEntry, View, Workflow};

/// A prerequisite chain longer than this is a cycle or a mistake; the walk stops with an error instead of the stack.
const MAX_DEPTH: usize = 64;

/// The task list of `workflow`. Stages that do not exist contribute their `stage:` entry alone: whether such a workflow
/// may be used at all is decided by its availability.
///
/// # Errors
/// One message for each prerequisite that is missing or depends on itself.
pub fn workflow(view: &View, workflow: &Workflow) -> Result<Vec<String>, Vec<String>> {
    let mut list = List::new(view);
    let mut boot_env = String::new();
    for name in &workflow.stages {
        list.push(TaskEntry::Stage(name).to_string());
        let Some(stage) = view.object::<Stage>(name) else { continue };
        if !stage.boot_env.is_empty() && stage.boot_env != boot_env {
            boot_env.clone_from(&stage.boot_env);
            list.push(TaskEntry::BootEnv(&boot_env).to_string());
        }
        list.extend(&stage.tasks);
    }
    list.finish()
}

/// The task list of a stage that is entered without a workflow, or of task entries that an operator edits in: the same
/// entries with their prerequisites before them. `done` are entries that have run already since the last reboot.
///
/// # Errors
/// As [`workflow`].
pub fn tasks(view: &View, done: &[String], tasks: &[String]) -> Result<Vec<String>, Vec<String>> {
    let mut list = List::new(view);
    for entry in done {
        list.note(entry);
    }
    list.extend(tasks);
    list.finish()
}

/// A task list in the making.
struct List<'v> {
    view: &'v View,
    entries: Vec<String>,
    /// Tasks that are in the list since its last `bootenv:` entry.
    emitted: BTreeSet<String>,
    faults: Vec<String>,
}

impl<'v> List<'v> {
    fn new(view: &'v View) -> Self {
        List { view, entries: Vec::new(), emitted: BTreeSet::new(), faults: Vec::new() }
    }

    fn finish(self) -> Result<Vec<String>, Vec<String>> {
        if self.faults.is_empty() { Ok(self.entries) } else { Err(self.faults) }
    }

    fn extend(&mut self, tasks: &[String]) {
        for entry in tasks {
            if let Some(TaskEntry::Task(name)) = TaskEntry::parse(entry) {
                self.prerequisites(name, &mut Vec::new());
            }
            self.push(entry.clone());
        }
    }

    fn push(&mut self, entry: String) {
        self.note(&entry);
        self.entries.push(entry);
    }

    fn note(&mut self, entry: &str) {
        match TaskEntry::parse(entry) {
            Some(TaskEntry::BootEnv(_)) => self.emitted.clear(),
            Some(TaskEntry::Task(name)) => {
                self.emitted.insert(name.to_owned());
            }
            _ => {}
        }
    }

    /// Emits what `task` needs and has not got, depth first. `chain` are the tasks that led here.
    fn prerequisites(&mut self, task: &str, chain: &mut Vec<String>) {
        let Some(object) = self.view.object::<Task>(task) else { return };
        if object.prerequisites.is_empty() {
            return;
        }
        chain.push(task.to_owned());
        for needed in &object.prerequisites {
            if self.emitted.contains(needed) {
                continue;
            }
            if chain.contains(needed) || chain.len() > MAX_DEPTH {
                self.faults.push(cycle(chain, needed));
            } else if self.view.object::<Task>(needed).is_none() {
                self.faults.push(format!("Task {task} missing prerequisite {needed}"));
            } else {
                self.prerequisites(needed, chain);
                self.push(needed.clone());
            }
        }
        chain.pop();
    }
}

fn cycle(chain: &[String], back_to: &str) -> String {
    let first = &chain[0];
    if first == back_to {
        format!("Task {first} depends on itself!")
    } else {
        format!("Task {first} depends on a task with a circular dependency")
    }
}

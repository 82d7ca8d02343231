//! Stages: a step of a workflow (API §10.5).

use serde_json::{Map, Value};

use crate::check::{self, Cross, Delete, Fill};
use crate::kind::{Behaviour, Index, Shown};
use crate::parts::TemplateInfo;
use crate::shape::wire;
use crate::{Kind, Problems, TaskEntry, View};

wire! {
    /// A step of a workflow: a boot environment and a list of tasks, with parameters of its own.
    object Stage {
        /// True when `slim` or `params` trimmed the answer. Computed.
        partial: bool = "Partial" derived,
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// Files that are rendered for machines in the stage.
        templates: Vec<TemplateInfo> = "Templates",
        /// Parameters that must have a value on every machine in the stage.
        required_params: Vec<String> = "RequiredParams",
        /// Parameters that the stage understands.
        optional_params: Vec<String> = "OptionalParams",
        /// Parameters that machines get while they are in the stage.
        params: Map<String, Value> = "Params",
        /// What the machine boots in the stage; empty to stay with what it boots.
        boot_env: String = "BootEnv",
        /// What runs: task names and the markers `action:`, `stage:`, `bootenv:`, `context:`, `chroot:`.
        tasks: Vec<String> = "Tasks",
        /// Profiles that machines get while they are in the stage.
        profiles: Vec<String> = "Profiles",
        /// Ask for a reboot on entry. Deprecated: a change of boot environment does it.
        reboot: bool = "Reboot",
        /// Always true; kept for old clients.
        runner_wait: bool = "RunnerWait",
    }
}

impl Behaviour for Stage {
    const SHOWN: Shown = Shown::Params;
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::text("BootEnv").refers(Kind::BootEnv),
        Index::list("Params"),
        Index::list("Profiles").refers(Kind::Profile),
        Index::flag("Reboot"),
        Index::list("Tasks").refers(Kind::Task),
        Index::text("Description"),
        Index::text("Documentation"),
        Index::list("TemplateIDs").at(&["Templates", "*", "ID"]).refers(Kind::Template).internal(),
    ];

    fn fill(stage: &mut Map<String, Value>, _fill: &Fill<'_>) {
        stage.insert("RunnerWait".to_owned(), true.into());
    }

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        check::templates(problems, &self.templates, check::Paths::Required);
        check::param_names(problems, &self.required_params, &self.optional_params);
        check::param_keys(problems, &self.params);
        if !self.boot_env.is_empty() {
            check::name(problems, "Invalid BootEnv", &self.boot_env);
        }
        for profile in &self.profiles {
            check::name(problems, "Invalid Profile", profile);
        }
        for entry in &self.tasks {
            check::stage_entry(problems, entry);
        }
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        check::template_ids(cross.view, &self.templates, problems);
        check::param_values(cross, &self.params, problems);
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        for (i, entry) in self.tasks.iter().enumerate() {
            if let Some(TaskEntry::Task(task)) = TaskEntry::parse(entry)
                && view.record(Kind::Task, task).is_none()
            {
                errors.push(format!("{}: Task {task} (at {i}) does not exist", self.name));
            }
        }
        for profile in &self.profiles {
            if view.record(Kind::Profile, profile).is_none() {
                errors.push(format!("{}: Profile {profile} does not exist", self.name));
            }
        }
        if !self.boot_env.is_empty() {
            match view.record(Kind::BootEnv, &self.boot_env) {
                None => errors.push(format!("{}: BootEnv {} does not exist", self.name, self.boot_env)),
                Some(env) if !env.derived().available() => errors
                    .push(format!("Stage {} wants BootEnv {}, which is not available", self.name, self.boot_env)),
                Some(_) => {}
            }
        }
        check::missing_template_ids(view, &self.templates, errors);
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        delete.used_by_machines("Stage", |machine| format!("Stage {} in use by Machine {machine}", self.name));
        delete.used_by(Kind::Workflow, "Stages", |workflow| {
            format!("Stage {} in use by Workflow {workflow}", self.name)
        });
    }
}

//! Tasks: what the agent runs on a machine (API §10.6).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::check::{self, Cross, Delete, Fill};
use crate::kind::{Behaviour, Index};
use crate::parts::{Claim, TemplateInfo};
use crate::shape::wire;
use crate::{Kind, Problems, View};

wire! {
    /// Something to be done on a machine: scripts that run and files that are placed.
    object Task {
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// Scripts (without a path) and files (with one).
        templates: Vec<TemplateInfo> = "Templates",
        /// Parameters that must have a value on the machine.
        required_params: Vec<String> = "RequiredParams",
        /// Parameters that the task understands.
        optional_params: Vec<String> = "OptionalParams",
        /// Tasks that must have run before it since the last boot.
        prerequisites: Vec<String> = "Prerequisites",
        /// Roles that the task's token has beyond the machine's rights.
        extra_roles: Vec<String> = "ExtraRoles" omitted,
        /// Rights that the task's token has beyond the machine's.
        extra_claims: Vec<Claim> = "ExtraClaims" omitted,
    }
}

/// What the `OS` value of a template may name.
const SYSTEMS: [&str; 9] =
    ["any", "darwin", "esxi", "freebsd", "linux", "netbsd", "openbsd", "solaris", "windows"];

impl Behaviour for Task {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::flag("Elevated").at(&["ExtraRoles"]),
        Index::list("ExtraRoles"),
        Index::text("Description"),
        Index::text("Documentation"),
        Index::list("TemplateIDs").at(&["Templates", "*", "ID"]).refers(Kind::Template).internal(),
        Index::list("Prerequisites").refers(Kind::Task).internal(),
    ];

    fn fill(task: &mut Map<String, Value>, _fill: &Fill<'_>) {
        check::default_flags(task, "sane-exit-codes", "original-exit-codes");
    }

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        check::templates(problems, &self.templates, check::Paths::Optional);
        check::param_names(problems, &self.required_params, &self.optional_params);
        for task in &self.prerequisites {
            check::name(problems, "Invalid Task", task);
        }
        for claim in &self.extra_claims {
            check::claim(claim, problems);
        }
        check_systems(&self.templates, problems);
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        check::template_ids(cross.view, &self.templates, problems);
        for task in &self.prerequisites {
            let is_itself = *task == self.name;
            if (is_itself && cross.creating()) || (!is_itself && cross.view.record(Kind::Task, task).is_none()) {
                problems.add(format!("Task {} missing prerequisite {task}", self.name));
            }
        }
        if problems.is_empty() {
            check_cycles(self, cross.view, problems);
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        check::missing_template_ids(view, &self.templates, errors);
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        for key in delete.view.find(Kind::Stage, "Tasks", &self.name) {
            delete.problems.used.push(format!("stages:{key} still uses {}", self.name));
        }
        for referrer in delete.view.referrers(Kind::Task, &self.name) {
            if referrer.kind == Kind::Machine {
                delete.problems.used.push(format!("machines:{} still uses {}", referrer.key, self.name));
            }
        }
    }
}

/// Either every template says which systems it is for, or none does.
fn check_systems(templates: &[TemplateInfo], problems: &mut Problems) {
    let tagged = templates.iter().filter(|template| template.meta.contains_key("OS")).count();
    if tagged != 0 && tagged != templates.len() {
        problems.add("Cannot mix templates with OS metadata and templates without OS metadata");
        for (i, template) in templates.iter().enumerate() {
            problems.add(match template.meta.get("OS") {
                Some(os) => format!("Template[{i}] {} has OS metadata {os}", template.name),
                None => format!("Template[{i}] {} is missing OS metadata", template.name),
            });
        }
    }
    let mut bad = false;
    for (i, template) in templates.iter().enumerate() {
        for os in template.meta.get("OS").into_iter().flat_map(|list| list.split(',')).map(str::trim) {
            if !SYSTEMS.contains(&os) {
                bad = true;
                problems.add(format!("Template[{i}]: Invalid OS value {os}"));
            }
        }
    }
    if bad {
        problems.add(format!("Valid values are: {}", SYSTEMS.join(",")));
    }
}

/// Prerequisites may not lead back to where they started.
fn check_cycles(task: &Task, view: &View, problems: &mut Problems) {
    let mut path = vec![task.name.clone()];
    let mut done = BTreeSet::new();
    let Some((chain, start)) = find_cycle(&task.prerequisites, view, (&task.name, &task.prerequisites), &mut path, &mut done) else {
        return;
    };
    if start == 0 {
        problems.add(format!("Task {} depends on itself!", task.name));
    } else {
        problems.add(format!("Task {} depends on a task with a circular dependency", task.name));
    }
    problems.add(format!("{} (cycle at {start})", chain.join(": ")));
}

/// The chain that closes and the position in it that it closes at.
fn find_cycle(
    next: &[String],
    view: &View,
    own: (&str, &[String]),
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<(Vec<String>, usize)> {
    for name in next {
        if let Some(start) = path.iter().position(|seen| seen == name) {
            let mut chain = path.clone();
            chain.push(name.clone());
            return Some((chain, start));
        }
        if !done.insert(name.clone()) {
            continue;
        }
        let prerequisites = if name == own.0 {
            own.1.to_vec()
        } else {
            view.object::<Task>(name).map(|task| task.prerequisites.clone()).unwrap_or_default()
        };
        path.push(name.clone());
        let found = find_cycle(&prerequisites, view, own, path, done);
        path.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

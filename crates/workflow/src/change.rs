//! What an edit of a machine does to its task list, stage, boot environment and `Runnable`, and which edits are refused
//! (reference: engine.md §4.3–4.6, api.md §10.9 and §11.2–11.4).
//!
//! The engine's own changes (a marker entered, a job created) do not pass here: they are saved as they are.

use std::sync::Arc;

use gantry_model::{Kind, Machine, Stage, TaskEntry, Uuid, View, Workflow};

use crate::expand;
use crate::job::State;
use crate::next::{base_context, index, newest_job, position};

/// What a machine gets that names nothing itself: the preferences `defaultWorkflow`, `defaultStage`, `defaultBootEnv`.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// Workflow; empty for none.
    pub workflow: &'a str,
    /// Stage of a machine without workflow.
    pub stage: &'a str,
    /// Boot environment, where the stage names none.
    pub boot_env: &'a str,
}

/// How far the editor of a machine may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// The soft rules hold.
    No,
    /// `?force=true`: pending tasks may be dropped, a boot environment changed inside a stage, later stages edited.
    Yes,
}

/// Whether the editor of a machine may set `CurrentTask` to an entry of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Any that the rules allow.
    Free,
    /// Only to -1, the start: the editor lacks the right `updateTaskList`.
    Fixed,
}

/// Completes a machine that is being created.
///
/// # Errors
/// One message per fault, in the server's words.
pub fn created(view: &View, machine: &mut Machine, defaults: Defaults<'_>) -> Result<(), Vec<String>> {
    machine.runnable = true;
    machine.context = base_context(machine);
    if machine.workflow.is_empty() {
        defaults.workflow.clone_into(&mut machine.workflow);
    }
    if !machine.workflow.is_empty() {
        let boot_env = std::mem::take(&mut machine.boot_env);
        start_workflow(view, machine)?;
        if machine.boot_env.is_empty() {
            machine.boot_env = if boot_env.is_empty() { defaults.boot_env.to_owned() } else { boot_env };
        }
        return Ok(());
    }
    if machine.stage.is_empty() {
        defaults.stage.clone_into(&mut machine.stage);
    }
    // Nobody chose the default for this machine: a machine that nobody knew yet has to be able to register.
    let stage =
        if machine.stage == defaults.stage { known_stage(view, machine)? } else { stage(view, machine)? };
    if !stage.boot_env.is_empty() {
        machine.boot_env.clone_from(&stage.boot_env);
    } else if machine.boot_env.is_empty() {
        defaults.boot_env.clone_into(&mut machine.boot_env);
    }
    let listed = if stage.tasks.is_empty() { &machine.tasks } else { &stage.tasks };
    machine.tasks = expand::tasks(view, &[], listed)?;
    restart(machine);
    Ok(())
}

/// Settles an edit: `before` is the machine as stored, `after` as it is wanted; `after` is completed in place.
///
/// # Errors
/// One message per fault, in the server's words; `after` is not to be stored then.
pub fn updated(
    view: &View,
    before: &Machine,
    after: &mut Machine,
    force: Force,
    place: Place,
) -> Result<(), Vec<String>> {
    keep_own(before, after);
    if after.workflow != before.workflow {
        change_workflow(view, after)?;
    } else if after.stage != before.stage {
        change_stage(view, before, after, force)?;
    } else {
        change_boot_env(before, after, force)?;
        change_position(view, before, after, place)?;
        change_tasks(view, before, after, force)?;
    }
    // The boot environment is entered by a reboot; the agent that comes up in it sets Runnable again.
    if after.boot_env != before.boot_env {
        after.runnable = false;
    }
    Ok(())
}

/// What only the server writes stays as it was, whatever an editor sends: often it is what they read a while ago.
fn keep_own(before: &Machine, after: &mut Machine) {
    after.current_job = before.current_job;
    after.retry_task_attempt = before.retry_task_attempt;
    after.task_error_stacks.clone_from(&before.task_error_stacks);
    after.workflow_complete = before.workflow_complete;
}

fn change_workflow(view: &View, machine: &mut Machine) -> Result<(), Vec<String>> {
    machine.context = base_context(machine);
    if !machine.workflow.is_empty() {
        return start_workflow(view, machine);
    }
    "none".clone_into(&mut machine.stage);
    machine.tasks.clear();
    restart(machine);
    Ok(())
}

fn start_workflow(view: &View, machine: &mut Machine) -> Result<(), Vec<String>> {
    let name = &machine.workflow;
    let Some(workflow) = view.object::<Workflow>(name) else {
        return Err(vec![format!("Workflow {name} does not exist")]);
    };
    if !view.record(Kind::Workflow, name).is_some_and(|record| record.derived().available()) {
        return Err(vec![format!("Machine {} wants Workflow {name}, which is not available", machine.uuid)]);
    }
    machine.tasks = expand::workflow(view, &workflow)?;
    if let Some(first) = workflow.stages.first() {
        machine.stage.clone_from(first);
        if let Some(stage) = view.object::<Stage>(first).filter(|stage| !stage.boot_env.is_empty()) {
            machine.boot_env.clone_from(&stage.boot_env);
        }
    }
    restart(machine);
    Ok(())
}

fn change_stage(view: &View, before: &Machine, after: &mut Machine, force: Force) -> Result<(), Vec<String>> {
    if !before.workflow.is_empty() {
        return Err(vec!["Changing machine stage not allowed".to_owned()]);
    }
    if after.stage.is_empty() {
        "none".clone_into(&mut after.stage);
    }
    let pending = !before.tasks.is_empty() && index(before.current_task) < before.tasks.len();
    if pending && force == Force::No {
        return Err(vec!["Can not change stages with pending tasks unless forced".to_owned()]);
    }
    let stage = stage(view, after)?;
    after.tasks = expand::tasks(view, &[], &stage.tasks)?;
    if !stage.boot_env.is_empty() {
        after.boot_env.clone_from(&stage.boot_env);
    }
    after.context = base_context(after);
    restart(after);
    Ok(())
}

fn change_boot_env(before: &Machine, after: &Machine, force: Force) -> Result<(), Vec<String>> {
    if after.boot_env == before.boot_env {
        return Ok(());
    }
    if !before.workflow.is_empty() {
        return Err(vec!["Changing machine bootenv not allowed".to_owned()]);
    }
    if before.stage != "none" && force == Force::No {
        let (old, new) = (&before.boot_env, &after.boot_env);
        return Err(vec![format!(
            "Can not change bootenv while in a stage unless forced. old: {old} new {new}"
        )]);
    }
    Ok(())
}

/// An edit of `CurrentTask`: it may go back, as far as the machine's boot environment reaches, never forward.
fn change_position(
    view: &View,
    before: &Machine,
    after: &mut Machine,
    place: Place,
) -> Result<(), Vec<String>> {
    let (old, new) = (before.current_task, after.current_task);
    if old == new {
        return Ok(());
    }
    if new > old || new < -1 {
        return Err(vec![format!("Cannot advance CurrentTask from {old} to {new} without running jobs")]);
    }
    if new >= 0 && place == Place::Fixed {
        return Err(vec![format!("Cannot change CurrentTask from {old} to {new} (reposition not allowed)")]);
    }
    if new >= 0 && after.tasks != before.tasks {
        return Err(vec!["Cannot change task list and current task at the same time".to_owned()]);
    }
    match rewind_limit(before) {
        Some(limit) if new == -1 && after.runnable => after.current_task = limit,
        Some(limit) if new < limit => {
            return Err(vec![format!("Cannot change CurrentTask from {old} to {new} past {limit}")]);
        }
        _ => {}
    }
    after.workflow_complete = after.tasks.is_empty();
    // A finished job at the position gone back to would say that its task is done. Its task is to run again.
    if after.current_task >= 0 && !newest_job(view, before).is_some_and(|job| State::of(&job).is_live()) {
        after.current_job = Uuid(None);
    }
    Ok(())
}

/// The earliest position that a machine can go back to without another boot environment: the `stage:` entry that opened
/// the present one. `None`: any.
fn rewind_limit(machine: &Machine) -> Option<i64> {
    let mut limit = None;
    let done = machine.tasks.iter().enumerate().take(index(machine.current_task).saturating_add(1));
    for (at, entry) in done.rev() {
        let Some(TaskEntry::Stage(_)) = TaskEntry::parse(entry) else { continue };
        match machine.tasks.get(at + 1).map(|next| TaskEntry::parse(next)) {
            Some(Some(TaskEntry::BootEnv(env))) if env == machine.boot_env => limit = Some(position(at)),
            Some(Some(TaskEntry::BootEnv(_))) => break,
            _ => {}
        }
    }
    limit
}

/// An edit of `Tasks`: what has run stays, what comes before the next stage may change, the rest only by force.
fn change_tasks(view: &View, before: &Machine, after: &mut Machine, force: Force) -> Result<(), Vec<String>> {
    if after.tasks == before.tasks {
        return Ok(());
    }
    let (past, present, future) = split(&before.tasks, after.current_task.min(before.current_task));
    if after.tasks.len() < past.len() {
        return Err(vec![
            "Cannot remove tasks that have already executed or are already executing".to_owned(),
        ]);
    }
    let (kept, wanted) = after.tasks.split_at(past.len());
    if kept != past {
        return Err(vec!["Cannot change tasks that have already executed or are executing".to_owned()]);
    }
    let fresh = past.is_empty();
    let (now, later) =
        wanted.split_at(wanted.iter().position(|t| TaskEntry::is_stage(t)).unwrap_or(wanted.len()));
    if later != future && !fresh && force == Force::No {
        return Err(vec!["Cannot change tasks that are past the next stage transition".to_owned()]);
    }
    let mut tasks = past.to_vec();
    let now = if now == present { now.to_vec() } else { expand::tasks(view, past, now)? };
    tasks.extend(now);
    tasks.extend_from_slice(later);
    let exhausted = index(before.current_task) >= before.tasks.len() && before.current_task >= 0;
    after.tasks = tasks;
    if fresh {
        restart(after);
    } else if exhausted && after.tasks.len() > before.tasks.len() {
        // What ran last is the entry before the new ones.
        after.current_task = position(before.tasks.len()) - 1;
        after.workflow_complete = false;
    }
    Ok(())
}

/// Past (run or running), present (to the next `stage:` entry) and future of a task list.
fn split(tasks: &[String], current: i64) -> (&[String], &[String], &[String]) {
    let done = if current < 0 { 0 } else { index(current).saturating_add(1).min(tasks.len()) };
    let (past, rest) = tasks.split_at(done);
    let (present, future) =
        rest.split_at(rest.iter().position(|t| TaskEntry::is_stage(t)).unwrap_or(rest.len()));
    (past, present, future)
}

/// Puts the machine before the first entry of its list.
fn restart(machine: &mut Machine) {
    machine.workflow_complete = machine.tasks.is_empty();
    machine.current_task = if machine.tasks.is_empty() { 0 } else { -1 };
    machine.retry_task_attempt = 0;
    machine.task_error_stacks.clear();
}

/// The stage that a machine is put into, which has to have all that it refers to.
fn stage(view: &View, machine: &Machine) -> Result<Arc<Stage>, Vec<String>> {
    let stage = known_stage(view, machine)?;
    let name = &machine.stage;
    if !view.record(Kind::Stage, name).is_some_and(|record| record.derived().available()) {
        return Err(vec![format!("Machine {} wants Stage {name}, which is not available", machine.uuid)]);
    }
    Ok(stage)
}

/// The stage of a machine, available or not.
fn known_stage(view: &View, machine: &Machine) -> Result<Arc<Stage>, Vec<String>> {
    let name = &machine.stage;
    view.object::<Stage>(name).ok_or_else(|| vec![format!("Stage {name} does not exist")])
}

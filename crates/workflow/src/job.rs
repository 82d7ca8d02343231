//! The life of a job: its states, and what a report on it does to its machine (reference: engine.md §4.9 and §4.11).

use std::fmt;

use gantry_model::{Job, Machine, Now, View};

use crate::{next, pool};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Handed to an agent that has not begun.
    Created,
    /// Under way.
    Running,
    /// To be continued as the same job.
    Incomplete,
    /// Over; its task is to run again as a new job.
    Failed,
    /// Over; its task is done.
    Finished,
}

impl State {
    /// The state of a stored job. An unknown word counts as failed: its task runs again.
    pub fn of(job: &Job) -> Self {
        Self::parse(&job.state).unwrap_or(Self::Failed)
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Running, Self::Incomplete, Self::Failed, Self::Finished]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Finished => "finished",
        }
    }

    /// Whether an agent is, or is about to be, at work on it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Created | Self::Running)
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Finished)
    }

    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Created => true,
            Self::Running => next != Self::Created,
            Self::Incomplete => next != Self::Created,
            Self::Failed | Self::Finished => self == next,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The line that the log of every job begins with.
pub fn log_head(job: &Job) -> String {
    format!("Log for Job: {}\n", job.uuid)
}

/// What happens after a task failed, from the machine's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// How often the task may be tried again (param `task-retry`, by task).
    pub retries: i64,
    /// Tasks that run before the failed one is tried for the last time (param `task-error-handlers`, by task).
    pub handlers: Vec<String>,
    /// Stop after each task (param `task-single-step`).
    pub single_step: bool,
}

/// Settles a report: `before` is the job as stored, `after` as reported; `after` is completed in place. Answers with the
/// machine if the report changes it. `controls` is asked only for a job that is over.
///
/// # Errors
/// One message per fault, in the server's words; nothing is to be stored then.
pub fn changed(
    view: &View,
    before: &Job,
    after: &mut Job,
    controls: impl FnOnce() -> Controls,
    now: &Now,
) -> Result<Option<Machine>, Vec<String>> {
    keep_own(before, after);
    let Some(new) = State::parse(&after.state) else {
        return Err(vec![format!("Invalid State `{}`", after.state)]);
    };
    if !matches!(after.exit_state.as_str(), "" | "reboot" | "poweroff" | "stop" | "complete" | "failed") {
        return Err(vec![format!("Invalid ExitState `{}`", after.exit_state)]);
    }
    let old = State::of(before);
    if !old.may_become(new) {
        return Err(vec![format!("Job {} is {old} and cannot become {new}", before.uuid)]);
    }
    let machine = view
        .object::<Machine>(&before.machine.to_string())
        .filter(|machine| machine.current_job == before.uuid);
    if new.is_live() && machine.is_none() && old != new {
        return Err(vec![format!(
            "Job {} is not the current job of its machine and cannot become {new}",
            before.uuid
        )]);
    }
    if old == new {
        return Ok(None);
    }
    match new {
        State::Running => after.start_time = now.time(),
        State::Failed | State::Finished => after.end_time = now.time(),
        State::Created | State::Incomplete => {}
    }
    Ok(machine.and_then(|machine| {
        let mut settled = (*machine).clone();
        if new.is_over() && next::stands(&machine, before) {
            settle(&mut settled, after, new, &controls());
        } else if new == State::Failed {
            stop(&mut settled, after);
        }
        (settled != *machine).then_some(settled)
    }))
}

/// A report says how it goes; what the job is, and where it stands in the list, was said when it was made.
fn keep_own(before: &Job, after: &mut Job) {
    let own = before.clone();
    *after = Job {
        previous: own.previous,
        machine: own.machine,
        task: own.task,
        stage: own.stage,
        workflow: own.workflow,
        boot_env: own.boot_env,
        context: own.context,
        current: own.current,
        current_index: own.current_index,
        next_index: own.next_index,
        extra_claims: own.extra_claims,
        token: own.token,
        ..std::mem::take(after)
    };
}

/// What the end of the job at the present place of its list does to a machine.
fn settle(machine: &mut Machine, job: &Job, state: State, controls: &Controls) {
    let handling = !machine.task_error_stacks.is_empty();
    if state == State::Finished {
        machine.retry_task_attempt *= i64::from(handling);
        machine.runnable &= !controls.single_step;
        return;
    }
    if !handling && machine.retry_task_attempt < controls.retries {
        machine.retry_task_attempt += 1;
        machine.runnable = true;
        return;
    }
    if !handling && !controls.handlers.is_empty() && machine.retry_task_attempt == controls.retries {
        handle(machine, controls);
        return;
    }
    stop(machine, job);
}

/// A task that failed stops its machine, also one that has moved or replaced the list: what follows may need what it left
/// undone. A bare `failed` does not: it is an agent's repair of a job that died with it (engine.md §4.9).
fn stop(machine: &mut Machine, job: &Job) {
    if job.exit_state == "failed" {
        machine.runnable = false;
        pool::held(machine);
    }
}

/// Puts the task list aside and walks the handlers' instead. One attempt more than the retries marks that this has been
/// done: a task that fails once more after its handlers is over.
fn handle(machine: &mut Machine, controls: &Controls) {
    let tasks = std::mem::replace(&mut machine.tasks, controls.handlers.clone());
    machine.task_error_stacks.push(gantry_model::kinds::machine::TaskStack {
        current_task: machine.current_task,
        task_list: tasks,
    });
    machine.current_task = -1;
    machine.retry_task_attempt = controls.retries + 1;
    machine.runnable = true;
}

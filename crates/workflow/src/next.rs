//! Which job an agent gets when it asks for work (`POST /jobs`; reference: engine.md §4.7–4.8, api.md §11.5).

use gantry_model::parts::Claim;
use gantry_model::{BootEnv, Job, Kind, Machine, Now, Role, Task, TaskEntry, Time, Uuid, View};

use crate::job::{State, log_head};
use crate::pool;

/// The longest pause before another attempt, as a power of two of seconds. It is short because the agent's request waits for
/// it, and nobody wants to wait for a request that looks lost.
const LONGEST_PAUSE: i64 = 5;

/// What the log of a job ends with that was given up.
const LEFT: &str = "Failed: the task list has left this job behind, and its runner asked for other work.\n";

/// An agent's request for work.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Key of the machine that asks.
    pub machine: &'a str,
    /// The key that the new job is to have; `None` lets the server choose.
    pub job: Option<Uuid>,
    /// The context that the asking runner serves; empty for the machine's own agent.
    pub context: &'a str,
    /// Names of tasks before which the machine stops (param `task-stop-at`).
    pub stop_at: &'a [String],
}

/// What the agent is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A new job, in state `created` (201).
    Created(Job),
    /// The incomplete job again (202).
    Again(Job),
    /// A plugin has to be called; the finished job is answered when it has (202).
    Invoke(Job),
    /// Nothing to run now (204).
    Nothing(Reason),
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every task of the list has run.
    Exhausted,
    /// Another runner serves the machine's present context.
    OtherContext,
    /// The machine entered another stage, boot environment or context; ask again.
    Marker,
    /// The next task is one to stop at.
    StoppedAt(String),
    /// The task failed and is to be tried again, but not before this time.
    Later(Time),
    /// The machine is stopped before a boot environment that it may not enter, for this reason (409).
    Unusable(String),
}

/// Why the request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 422.
    #[error("Machine {0} does not exist")]
    NoSuchMachine(String),
    /// 409: somebody stopped the machine, or it refers to something that is missing.
    #[error("Machine {0} is not runnable")]
    NotRunnable(String),
    /// 409.
    #[error("Machine {0} already has running or created job")]
    Busy(String),
    /// 409: the key that was asked for is another job's.
    #[error("Job {0} already exists")]
    Taken(Uuid),
    /// 500: an entry of the list that nothing understands.
    #[error("Machine {machine} has the malformed entry {entry} at {index} of its task list")]
    Malformed {
        /// Key of the machine.
        machine: String,
        /// The entry as stored.
        entry: String,
        /// Its position, from 0.
        index: usize,
    },
}

/// The answer and what has to be saved with it, in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What the agent is told.
    pub answer: Answer,
    /// The machine, if it changed.
    pub machine: Option<Machine>,
    /// Jobs that are new or changed.
    pub jobs: Vec<Job>,
    /// The one of them that the asking runner has given up, because the task list has left it behind; it is failed.
    pub left: Option<Job>,
    /// Text to append to the log of a job: its key, the text.
    pub logs: Vec<(Uuid, String)>,
}

/// Answers a request for work.
///
/// # Errors
/// [`Refused`] when the machine may not get work at all; nothing is to be saved then.
pub fn job(view: &View, request: Request<'_>, now: &Now) -> Result<Outcome, Refused> {
    let key = request.machine;
    let machine = view.object::<Machine>(key).ok_or_else(|| Refused::NoSuchMachine(key.to_owned()))?;
    if !machine.runnable || !available(view, key) {
        return Err(Refused::NotRunnable(key.to_owned()));
    }
    let last = newest_job(view, &machine);
    let live = last.as_ref().filter(|job| State::of(job).is_live() && machine.context == request.context);
    if live.is_some_and(|job| stands(&machine, job) || job.context != request.context) {
        return Err(Refused::Busy(key.to_owned()));
    }
    if let Some(time) = not_before(&machine, last.as_ref(), now.time()).filter(|time| now.time() < *time) {
        let answer = Answer::Nothing(Reason::Later(time));
        return Ok(Outcome { answer, machine: None, jobs: Vec::new(), left: None, logs: Vec::new() });
    }
    let (jobs, logs) = (Vec::new(), Vec::new());
    let mut walk = Walk { view, request, now, machine: (*machine).clone(), last, jobs, left: None, logs };
    let answer = walk.run()?;
    if answer == Answer::Nothing(Reason::Exhausted) {
        pool::done(view, &mut walk.machine);
    }
    let changed = walk.machine != *machine;
    let Walk { machine, jobs, left, logs, .. } = walk;
    Ok(Outcome { answer, machine: changed.then_some(machine), jobs, left, logs })
}

/// When the task that failed may be tried again: 2, 4, 8, … seconds after it failed, for each attempt that it has been given
/// (param `task-retry`; reference: engine.md §4.11). An end that lies ahead is false, or the clock was set back: it holds nobody.
fn not_before(machine: &Machine, last: Option<&Job>, now: Time) -> Option<Time> {
    let failed = |job: &&Job| {
        State::of(job) == State::Failed
            && job.uuid == machine.current_job
            && job.current_index == machine.current_task
            && job.end_time <= now
    };
    let job = last.filter(failed).filter(|_| machine.retry_task_attempt > 0)?;
    Some(job.end_time.plus_seconds(pause(machine.retry_task_attempt)))
}

/// Seconds between the failure of a task and its next attempt, by the machine's `RetryTaskAttempt`.
pub fn pause(attempt: i64) -> i64 {
    1 << attempt.clamp(0, LONGEST_PAUSE)
}

/// The machine's current job; after a rewind, which clears that, the job that was current last.
pub(crate) fn newest_job(view: &View, machine: &Machine) -> Option<Job> {
    if let Some(job) = view.object::<Job>(&machine.current_job.to_string()) {
        return Some((*job).clone());
    }
    view.find(Kind::Job, "Machine", &machine.uuid.to_string())
        .filter_map(|key| view.object::<Job>(key.as_str()))
        .find(|job| job.current)
        .map(|job| (*job).clone())
}

/// True while the job is the machine's own at the present place of its list, which nobody has moved or replaced.
pub(crate) fn stands(machine: &Machine, job: &Job) -> bool {
    job.uuid == machine.current_job
        && job.current_index == machine.current_task
        && (0..position(machine.tasks.len())).contains(&job.current_index)
}

fn available(view: &View, machine: &str) -> bool {
    view.record(Kind::Machine, machine).is_some_and(|record| record.derived().available())
}

/// One pass over the task list, collecting what changes.
struct Walk<'a> {
    view: &'a View,
    request: Request<'a>,
    now: &'a Now,
    machine: Machine,
    /// The newest job of the machine; live only if it is another runner's.
    last: Option<Job>,
    jobs: Vec<Job>,
    left: Option<Job>,
    logs: Vec<(Uuid, String)>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<Answer, Refused> {
        self.give_up();
        if self.machine.context != self.request.context {
            return Ok(Answer::Nothing(Reason::OtherContext));
        }
        let start = match self.resume() {
            Resume::Again(job) => return Ok(Answer::Again(job)),
            Resume::At(index) => index,
        };
        if let Some(answer) = self.walk(start)? {
            return Ok(answer);
        }
        // The handlers of a failed task are through: back to its list, and to the task itself.
        if let Some(aside) = self.machine.task_error_stacks.pop() {
            self.machine.tasks = aside.task_list;
            self.machine.current_task = aside.current_task;
            if let Some(answer) = self.walk(index(aside.current_task))? {
                return Ok(answer);
            }
        }
        self.machine.current_task = position(self.machine.tasks.len());
        self.machine.workflow_complete = true;
        Ok(Answer::Nothing(Reason::Exhausted))
    }

    /// The first entry from `start` on that is not in effect already.
    fn walk(&mut self, start: usize) -> Result<Option<Answer>, Refused> {
        for index in start..self.machine.tasks.len() {
            if let Some(answer) = self.step(index)? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// A job at a place that the list has left never continues: nobody runs one that is incomplete, and the runner of a live
    /// one has given it up, for it asks for work.
    fn give_up(&mut self) {
        let (machine, runner) = (&self.machine, self.request.context);
        let over = |job: &mut Job| match State::of(job) {
            State::Incomplete => !stands(machine, job),
            State::Created | State::Running => !stands(machine, job) && job.context == runner,
            State::Failed | State::Finished => false,
        };
        let Some(mut job) = self.last.take_if(over) else { return };
        job.state = State::Failed.to_string();
        job.exit_state = "failed".to_owned();
        job.end_time = self.now.time();
        self.logs.push((job.uuid, LEFT.to_owned()));
        self.save(job.clone());
        self.left = Some(job.clone());
        self.last = Some(job);
    }

    /// Where the walk goes on: behind a finished entry, again at a failed one, at the start of a list that was replaced.
    fn resume(&self) -> Resume {
        let at = index(self.machine.current_task);
        match self.last.as_ref().filter(|job| stands(&self.machine, job)) {
            Some(job) if State::of(job) == State::Incomplete => Resume::Again(job.clone()),
            Some(job) if State::of(job) == State::Finished => Resume::At(at + 1),
            _ => Resume::At(at),
        }
    }

    /// Notes a job that is new or changed, in place of what was noted of it before.
    fn save(&mut self, job: Job) {
        self.jobs.retain(|known| known.uuid != job.uuid);
        self.jobs.push(job);
    }

    /// One entry. `None` when it is in effect already and the walk goes on.
    fn step(&mut self, index: usize) -> Result<Option<Answer>, Refused> {
        let text = self.machine.tasks[index].clone();
        let malformed =
            || Refused::Malformed { machine: self.request.machine.to_owned(), entry: text.clone(), index };
        let answer = match TaskEntry::parse(&text).ok_or_else(malformed)? {
            TaskEntry::Stage(stage) => return self.enter(index, &text, "stage", stage),
            TaskEntry::BootEnv(env) => return self.enter_environment(index, &text, env),
            TaskEntry::Context(context) => {
                let context =
                    if context.is_empty() { base_context(&self.machine) } else { context.to_owned() };
                return self.enter(index, &text, "context", &context);
            }
            TaskEntry::Task(task) if self.request.stop_at.iter().any(|stop| stop == task) => {
                self.stop_before(task)
            }
            TaskEntry::Task(_) | TaskEntry::Chroot(_) => Answer::Created(self.start(index, &text)?),
            TaskEntry::Action { .. } => Answer::Invoke(self.start(index, &text)?),
        };
        Ok(Some(answer))
    }

    /// As [`Walk::enter`]; the machine stops before an environment that no machine may enter, and nothing is recorded.
    fn enter_environment(&mut self, index: usize, entry: &str, env: &str) -> Result<Option<Answer>, Refused> {
        match BootEnv::unusable(self.view, env).filter(|_| self.machine.boot_env != env) {
            Some(reason) => {
                self.machine.runnable = false;
                pool::held(&mut self.machine);
                Ok(Some(Answer::Nothing(Reason::Unusable(reason))))
            }
            None => self.enter(index, entry, "bootenv", env),
        }
    }

    /// Enters a stage, boot environment or context and records that as a finished job. `None` when the machine is in it already.
    fn enter(
        &mut self,
        index: usize,
        entry: &str,
        what: &'static str,
        new: &str,
    ) -> Result<Option<Answer>, Refused> {
        let field = match what {
            "stage" => &mut self.machine.stage,
            "bootenv" => &mut self.machine.boot_env,
            _ => &mut self.machine.context,
        };
        if field == new {
            return Ok(None);
        }
        let old = std::mem::replace(field, new.to_owned());
        // A machine whose runner lives elsewhere is not rebooted, so nobody would set Runnable again (engine.md §4.8).
        if what == "bootenv" && self.machine.context.is_empty() {
            self.machine.runnable = false;
        }
        let mut job = self.start(index, entry)?;
        job.state = State::Finished.to_string();
        job.exit_state = "complete".to_owned();
        job.end_time = self.now.time();
        let text = format!("Machine {} changing from {what} {old} to {new}", self.request.machine);
        self.logs.push((job.uuid, text));
        self.save(job);
        Ok(Some(Answer::Nothing(Reason::Marker)))
    }

    /// A new job for the entry at `index`; it becomes the machine's current one.
    fn start(&mut self, index: usize, entry: &str) -> Result<Job, Refused> {
        let uuid = self.request.job.unwrap_or_else(|| self.now.uuid());
        if self.view.record(Kind::Job, &uuid.to_string()).is_some() {
            return Err(Refused::Taken(uuid));
        }
        let previous = self.last.take();
        let job = Job {
            uuid,
            previous: previous.as_ref().map_or(Uuid::ZERO, |job| job.uuid),
            machine: self.machine.uuid,
            task: entry.to_owned(),
            stage: self.machine.stage.clone(),
            workflow: self.machine.workflow.clone(),
            boot_env: self.machine.boot_env.clone(),
            context: self.machine.context.clone(),
            start_time: self.now.time(),
            current: true,
            current_index: position(index),
            next_index: position(index + 1),
            state: State::Created.to_string(),
            extra_claims: rights(self.view, entry),
            ..Job::default()
        };
        if let Some(mut previous) = previous {
            previous.current = false;
            self.save(previous);
        }
        self.machine.current_job = job.uuid;
        self.machine.current_task = position(index);
        self.machine.workflow_complete = false;
        self.logs.push((job.uuid, log_head(&job)));
        self.save(job.clone());
        Ok(job)
    }

    fn stop_before(&mut self, task: &str) -> Answer {
        self.machine.runnable = false;
        Answer::Nothing(Reason::StoppedAt(task.to_owned()))
    }
}

/// Rights that a task has beyond those of its machine: its own, and those of its roles (reference: engine.md §4.9). An entry
/// that is no task has none.
fn rights(view: &View, entry: &str) -> Vec<Claim> {
    let Some(task) = view.object::<Task>(entry) else { return Vec::new() };
    let roles = task.extra_roles.iter().filter_map(|role| view.object::<Role>(role));
    roles.fold(task.extra_claims.clone(), |mut all, role| {
        all.extend_from_slice(&role.claims);
        all
    })
}

/// Where a walk begins.
enum Resume {
    Again(Job),
    At(usize),
}

/// The context that a machine falls back to: what its Meta names, else its own agent's.
pub(crate) fn base_context(machine: &Machine) -> String {
    machine.meta.get("BaseContext").cloned().unwrap_or_default()
}

/// A position of a task list as an index; "before the first" is 0.
pub(crate) fn index(position: i64) -> usize {
    usize::try_from(position).unwrap_or(0)
}

pub(crate) fn position(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

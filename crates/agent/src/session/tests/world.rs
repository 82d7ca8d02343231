//! The server's side of the tests.

use super::*;
use crate::wire::WhoamiResult;
use std::collections::BTreeMap;

/// The server's side: one machine, its tasks, its jobs.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) exists: bool,
    pub(super) machine: Machine,
    pub(super) jobs: BTreeMap<String, Job>,
    /// What each task's scripts end with, one per run; the last repeats.
    pub(super) outcomes: BTreeMap<String, Vec<Outcome>>,
    /// Runs begun and runs completed, by task.
    pub(super) begun: BTreeMap<String, usize>,
    pub(super) completed: BTreeMap<String, usize>,
    pub(super) log: Vec<String>,
    /// The change-stage map.
    pub(super) stages: BTreeMap<String, NextStage>,
}

impl World {
    pub(super) fn new(tasks: &[(&str, &[Outcome])]) -> Self {
        let machine = Machine {
            uuid: "m".into(),
            name: "node".into(),
            boot_env: "discovery".into(),
            workflow: "w".into(),
            tasks: tasks.iter().map(|(name, _)| (*name).to_owned()).collect(),
            current_task: -1,
            runnable: true,
            available: true,
            ..Machine::default()
        };
        let outcomes = tasks.iter().map(|(name, all)| ((*name).to_owned(), all.to_vec())).collect();
        Self {
            exists: false,
            machine,
            jobs: BTreeMap::new(),
            outcomes,
            begun: BTreeMap::new(),
            completed: BTreeMap::new(),
            log: Vec::new(),
            stages: BTreeMap::new(),
        }
    }

    pub(super) fn answer(&mut self, call: &Call) -> Result<Reply, Fault> {
        let machine = |world: &Self| Ok(Reply::Machine(Box::new(world.machine.clone())));
        match call {
            Call::Whoami if self.exists => Ok(Reply::Whoami(Whoami {
                result: WhoamiResult { score: 100, uuid: "m".into(), token: Secret::new("t") },
                ..Whoami::default()
            })),
            Call::Whoami => Ok(Reply::Whoami(Whoami::default())),
            Call::Search => {
                Ok(Reply::Machines(if self.exists { vec![self.machine.clone()] } else { vec![] }))
            }
            Call::Create { .. } if self.exists => refuse(422, "machines:x violates unique index Name"),
            Call::Create { .. } => {
                self.exists = true;
                machine(self)
            }
            Call::Machine => machine(self),
            Call::Token => Ok(Reply::Token(Secret::new("lasting"))),
            Call::CheckIn { arm, .. } => {
                self.machine.runnable |= *arm;
                machine(self)
            }
            Call::Job(id) => match self.jobs.get(id) {
                Some(job) => Ok(Reply::Job(Some(job.clone()))),
                None => refuse(404, "Not Found"),
            },
            Call::NewJob => self.new_job(),
            Call::Task(name) => Ok(Reply::Task(Task { name: name.clone(), ..Task::default() })),
            Call::Actions(_) => Ok(Reply::Actions(vec![Action::default()])),
            Call::JobState { job, from, to, exit } => self.job_state(job, from, to, *exit),
            Call::Disarm => {
                self.machine.runnable = false;
                machine(self)
            }
            Call::Credentials if self.exists => {
                Ok(Reply::Credentials { uuid: "m".into(), token: Secret::new("short") })
            }
            Call::Credentials => {
                Ok(Reply::Credentials { uuid: String::new(), token: Secret::new("unknown") })
            }
            Call::NextStage { stage, .. } => Ok(Reply::NextStage(self.stages.get(stage).cloned())),
            Call::SetStage { from, .. } if *from != self.machine.stage => {
                refuse(409, "Patch error at line 0: Test op failed.")
            }
            Call::SetStage { to, .. } => {
                to.clone_into(&mut self.machine.stage);
                machine(self)
            }
            Call::Publish | Call::Flush(_) | Call::LogLine { .. } | Call::Prepare { .. } => {
                Ok(Reply::Nothing)
            }
        }
    }

    /// engine.md §4.8 for plain tasks and boot environment markers.
    fn new_job(&mut self) -> Result<Reply, Fault> {
        if !self.machine.runnable {
            return refuse(409, "Machine m is not runnable");
        }
        let last = self.jobs.get(&self.machine.current_job).cloned().unwrap_or_default();
        match last.state.as_str() {
            "created" | "running" => return refuse(409, "Machine m already has running or created job"),
            "incomplete" => return Ok(Reply::Job(Some(last))),
            "finished" | "" => self.machine.current_task += 1,
            _ => {}
        }
        let Some(task) = self.machine.tasks.get(self.machine.current_task as usize).cloned() else {
            self.machine.current_task = self.machine.tasks.len() as i64;
            self.machine.workflow_complete = true;
            return Ok(Reply::Job(None));
        };
        let id = format!("job{}", self.jobs.len() + 1);
        let marker = task.strip_prefix("bootenv:").map(str::to_owned);
        let state = if marker.is_some() { "finished" } else { "created" };
        let job = Job { uuid: id.clone(), task, state: state.into(), ..Job::default() };
        self.machine.current_job = id.clone();
        self.jobs.insert(id, job.clone());
        if let Some(boot_env) = marker {
            self.machine.boot_env = boot_env;
            self.machine.runnable = false;
            return Ok(Reply::Job(None));
        }
        Ok(Reply::Job(Some(job)))
    }

    fn job_state(&mut self, id: &str, from: &str, to: &str, exit: Option<&str>) -> Result<Reply, Fault> {
        let Some(job) = self.jobs.get_mut(id) else { return refuse(404, "Not Found") };
        if job.state != from {
            return refuse(409, "Patch error at line 0: Test op failed.");
        }
        to.clone_into(&mut job.state);
        exit.unwrap_or_default().clone_into(&mut job.exit_state);
        self.machine.runnable &= exit != Some("failed");
        self.log.push(format!("{}={to}{}", job.task, exit.map(|e| format!("/{e}")).unwrap_or_default()));
        Ok(Reply::Job(Some(job.clone())))
    }

    /// Begins a run; rule 1 of the session is checked here.
    pub(super) fn begin(&mut self, plan: &Plan) -> Outcome {
        let live: Vec<&Job> =
            self.jobs.values().filter(|job| matches!(job.state.as_str(), "created" | "running")).collect();
        assert_eq!(live.len(), 1, "live jobs: {live:?}");
        assert_eq!((live[0].uuid.as_str(), live[0].state.as_str()), (plan.job.uuid.as_str(), "running"));
        let task = plan.job.task.clone();
        let outcomes = &self.outcomes[&task];
        let index = self.completed.get(&task).copied().unwrap_or(0).min(outcomes.len() - 1);
        *self.begun.entry(task).or_default() += 1;
        outcomes[index]
    }

    pub(super) fn complete(&mut self, task: &str) {
        *self.completed.entry(task.to_owned()).or_default() += 1;
    }
}

fn refuse<T>(code: u16, text: &str) -> Result<T, Fault> {
    Err(Fault::Refused(Refusal { code, messages: vec![text.into()], ..Refusal::default() }))
}

//! A View with a few stages and tasks, one machine, and an agent that can be told what to do.

use std::sync::Arc;

use gantry_model::{Edit, Job, Kind, Machine, Now, Object, Record, Time, Uuid, View};
use gantry_workflow::change::{self, Defaults, Force, Place};
use gantry_workflow::job::{self, Controls, State};
use gantry_workflow::next::{self, Answer, Outcome, Reason, Refused, Request};
use serde_json::{Value, json};

pub(crate) const MACHINE: &str = "3e7031fe-3062-45f1-835c-92541bc9cbd3";

pub(crate) struct World {
    pub(crate) view: View,
    pub(crate) now: Now,
}

impl World {
    /// Boot environments env1 and env2, tasks a, b, c, d and handler, p (needs a, b), the stages of the worked example of
    /// engine.md §4.15 and its workflow `wf`, and a machine in stage `none`.
    pub(crate) fn new() -> Self {
        let mut world = World { view: View::empty(), now: Now::new(Time::from_unix(1_700_000_000), [7; 32]) };
        for env in ["local", "env1", "env2"] {
            world.put(Kind::BootEnv, json!({ "Name": env }));
        }
        for task in ["a", "b", "c", "d", "handler"] {
            world.put(Kind::Task, json!({ "Name": format!("task-{task}") }));
        }
        world.put(Kind::Task, json!({ "Name": "task-p", "Prerequisites": ["task-a", "task-b"] }));
        world.stage("none", "", &[]);
        world.stage("s1", "env1", &["task-a", "task-b"]);
        world.stage("s2", "", &["task-c"]);
        world.stage("s3", "env2", &["task-d"]);
        world.workflow("wf", &["s1", "s2", "s3"]);
        world.put(
            Kind::Machine,
            json!({ "Uuid": MACHINE, "Name": "m1", "Stage": "none", "BootEnv": "local", "Runnable": true }),
        );
        world
    }

    /// Lets time go by.
    pub(crate) fn pass(&mut self, seconds: i64) {
        let time = self.now.time().plus_seconds(seconds);
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&time.unix().to_le_bytes());
        self.now = Now::new(time, seed);
    }

    pub(crate) fn put(&mut self, kind: Kind, value: Value) {
        let record = Record::from_value(kind, value, 1).expect("a well-formed object");
        self.apply(record);
    }

    pub(crate) fn stage(&mut self, name: &str, env: &str, tasks: &[&str]) {
        self.put(Kind::Stage, json!({ "Name": name, "BootEnv": env, "Tasks": tasks }));
    }

    pub(crate) fn workflow(&mut self, name: &str, stages: &[&str]) {
        self.put(Kind::Workflow, json!({ "Name": name, "Stages": stages }));
    }

    pub(crate) fn save<T: Object>(&mut self, object: &T) {
        self.apply(Record::from_object(object).expect("a well-formed object"));
    }

    fn apply(&mut self, record: Record) {
        let revision = self.view.revision() + 1;
        self.view = self.view.apply(&[Edit::put(Arc::new(record))], revision).0;
    }

    pub(crate) fn machine(&self) -> Machine {
        (*self.view.object::<Machine>(MACHINE).expect("the machine")).clone()
    }

    pub(crate) fn job(&self, uuid: Uuid) -> Job {
        (*self.view.object::<Job>(&uuid.to_string()).expect("the job")).clone()
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.view.objects::<Job>().map(|job| (*job).clone()).collect()
    }

    /// Edits the machine as a user would.
    pub(crate) fn edit(
        &mut self,
        force: Force,
        edit: impl FnOnce(&mut Machine),
    ) -> Result<Machine, Vec<String>> {
        self.edit_from(Place::Free, force, edit)
    }

    /// The same for a user who may not set `CurrentTask` to an entry of the list, or who may.
    pub(crate) fn edit_from(
        &mut self,
        place: Place,
        force: Force,
        edit: impl FnOnce(&mut Machine),
    ) -> Result<Machine, Vec<String>> {
        let before = self.machine();
        let mut after = before.clone();
        edit(&mut after);
        change::updated(&self.view, &before, &mut after, force, place)?;
        self.save(&after);
        Ok(self.machine())
    }

    pub(crate) fn create(&mut self, value: Value, workflow: &str) -> Result<Machine, Vec<String>> {
        let mut machine: Machine = serde_json::from_value(value).expect("a machine");
        change::created(&self.view, &mut machine, Defaults { workflow, stage: "none", boot_env: "local" })?;
        Ok(machine)
    }

    /// Asks for work and saves what comes of it.
    pub(crate) fn ask(&mut self) -> Result<Outcome, Refused> {
        self.ask_with(&[], "")
    }

    pub(crate) fn ask_with(&mut self, stop_at: &[String], context: &str) -> Result<Outcome, Refused> {
        let request = Request { machine: MACHINE, job: None, context, stop_at };
        let outcome = next::job(&self.view, request, &self.now)?;
        if let Some(machine) = &outcome.machine {
            self.save(machine);
        }
        for job in &outcome.jobs {
            self.save(job);
        }
        Ok(outcome)
    }

    /// Reports on the machine's current job and saves what comes of it.
    pub(crate) fn report(
        &mut self,
        state: State,
        exit: &str,
        controls: &Controls,
    ) -> Result<(), Vec<String>> {
        let uuid = self.machine().current_job;
        self.report_on(uuid, state, exit, controls)
    }

    pub(crate) fn report_on(
        &mut self,
        uuid: Uuid,
        state: State,
        exit: &str,
        controls: &Controls,
    ) -> Result<(), Vec<String>> {
        let before = self.job(uuid);
        let mut after = Job { state: state.to_string(), exit_state: exit.to_owned(), ..before.clone() };
        let machine = job::changed(&self.view, &before, &mut after, || controls.clone(), &self.now)?;
        self.save(&after);
        if let Some(machine) = machine {
            self.save(&machine);
        }
        Ok(())
    }

    /// One line for an ask: status code, what and where.
    pub(crate) fn step(&mut self) -> String {
        match self.ask() {
            Ok(Outcome { answer: Answer::Created(job), .. }) => {
                format!("201 {} {}", job.current_index, job.task)
            }
            Ok(Outcome { answer: Answer::Again(job), .. }) => {
                format!("202 {} {}", job.current_index, job.task)
            }
            Ok(Outcome { answer: Answer::Invoke(job), .. }) => {
                format!("invoke {} {}", job.current_index, job.task)
            }
            Ok(Outcome { answer: Answer::Nothing(Reason::Marker), jobs, .. }) => {
                let job = jobs.last().expect("a marker leaves a job");
                format!("204 {} {}", job.current_index, job.task)
            }
            Ok(Outcome { answer: Answer::Nothing(reason), .. }) => {
                format!("204 {} {reason:?}", self.machine().current_task)
            }
            Err(refused) => format!("refused: {}", refused.to_string().replace(MACHINE, "M")),
        }
    }

    /// Asks, runs and finishes until there is a line other than a new job; answers with every line.
    pub(crate) fn run(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.step();
            let go_on = line.starts_with("201");
            lines.push(line);
            if !go_on {
                return lines;
            }
            self.report(State::Running, "", &Controls::default()).expect("a created job may run");
            self.report(State::Finished, "complete", &Controls::default()).expect("a running job may finish");
        }
    }
}

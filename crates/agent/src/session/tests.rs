//! Tables and properties of the session, against a small server made of plain data.

use super::exit::{After, Outcome};
use super::journal::{Journal, Power, Run};
use super::*;
use crate::wire::{Refusal, WhoamiResult};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The server's side: one machine, its tasks, its jobs.
#[derive(Clone, Debug)]
struct World {
    exists: bool,
    machine: Machine,
    jobs: BTreeMap<String, Job>,
    /// What each task's scripts end with, one per run; the last repeats.
    outcomes: BTreeMap<String, Vec<Outcome>>,
    /// Runs begun and runs completed, by task.
    begun: BTreeMap<String, usize>,
    completed: BTreeMap<String, usize>,
    log: Vec<String>,
    /// The change-stage map.
    stages: BTreeMap<String, NextStage>,
}

impl World {
    fn new(tasks: &[(&str, &[Outcome])]) -> Self {
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

    fn answer(&mut self, call: &Call) -> Result<Reply, Fault> {
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
            Call::SetStage { from, to } => {
                assert_eq!(*from, self.machine.stage);
                to.clone_into(&mut self.machine.stage);
                machine(self)
            }
            Call::Publish | Call::Flush(_) | Call::LogLine { .. } | Call::LoadKernel { .. } => {
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
        self.log.push(format!("{}={to}{}", job.task, exit.map(|e| format!("/{e}")).unwrap_or_default()));
        Ok(Reply::Job(Some(job.clone())))
    }

    /// Begins a run; rule 1 of the session is checked here.
    fn begin(&mut self, plan: &Plan) -> Outcome {
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

    fn complete(&mut self, task: &str) {
        *self.completed.entry(task.to_owned()).or_default() += 1;
    }
}

fn refuse<T>(code: u16, text: &str) -> Result<T, Fault> {
    Err(Fault::Refused(Refusal { code, messages: vec![text.into()], ..Refusal::default() }))
}

/// What goes wrong at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    RequestLost,
    AnswerLost,
    AgentKilled,
}

/// The agent's side and the network between.
struct Lab {
    settings: Settings,
    world: World,
    session: Session,
    saved: Journal,
    boot: usize,
    mishaps: Vec<Mishap>,
    effects: Vec<String>,
    off: bool,
}

fn settings() -> Settings {
    Settings { token: Secret::new("unknown"), name: "node".into(), ..Settings::default() }
}

impl Lab {
    fn new(world: World, mut mishaps: Vec<Mishap>) -> Self {
        mishaps.reverse();
        let session = Session::new(settings(), Journal::default(), "boot0");
        Self {
            settings: settings(),
            world,
            session,
            saved: Journal::default(),
            boot: 0,
            mishaps,
            effects: Vec::new(),
            off: false,
        }
    }

    /// With an agent that is told this.
    fn told(mut self, settings: Settings) -> Self {
        self.session = Session::new(settings.clone(), Journal::default(), "boot0");
        self.settings = settings;
        self
    }

    /// Runs until the session waits with nothing to do; fails after too many steps.
    fn run(&mut self) {
        let mut input = Input::Start;
        for _ in 0..3000 {
            let effects = self.session.step(std::mem::replace(&mut input, Input::Quiet));
            match self.perform(effects) {
                Some(next) => input = next,
                None => return,
            }
        }
        panic!("no end:\n{}", self.effects[self.effects.len().saturating_sub(60)..].join("\n"));
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Option<Input> {
        let mut answer = None;
        for effect in effects {
            let mishap = match &effect {
                Effect::Call(_) | Effect::Execute(_) => self.mishaps.pop().unwrap_or(Mishap::None),
                _ => Mishap::None,
            };
            if mishap == Mishap::AgentKilled {
                self.killed_during(&effect);
                return Some(self.restart());
            }
            assert!(answer.is_none(), "something after an effect with an answer: {effect:?}");
            answer = match effect {
                Effect::Call(call) => Some(self.call(&call, mishap)),
                Effect::Sleep(_) => Some(Input::Woken),
                Effect::Watch(machine) => {
                    self.effects.push("watch".into());
                    let changed = !same_for_us(&machine, &self.world.machine);
                    if !changed {
                        return None;
                    }
                    Some(Input::Changed(self.world.machine.clone()))
                }
                Effect::Execute(plan) => {
                    self.effects.push(format!("execute {}", plan.job.task));
                    let outcome = self.world.begin(&plan);
                    self.world.complete(&plan.job.task);
                    Some(Input::Executed(outcome))
                }
                Effect::Save(journal) => {
                    self.saved = journal;
                    None
                }
                Effect::Power(power) => {
                    self.effects.push(format!("{power:?}"));
                    if power == Power::PowerOff {
                        self.off = true;
                        return None;
                    }
                    // The discovery OS forgets everything.
                    self.boot += 1;
                    self.saved = Journal::default();
                    return Some(self.restart());
                }
                Effect::Exit => {
                    self.effects.push("exit".into());
                    return None;
                }
                Effect::Say(_) | Effect::Trace(_) | Effect::Identity { .. } | Effect::Kill => None,
            };
        }
        assert!(answer.is_some(), "the session waits for nothing: {:?}", self.session);
        answer
    }

    /// A killed agent may still have got its request through, or its scripts begun.
    fn killed_during(&mut self, effect: &Effect) {
        match effect {
            Effect::Call(call) if self.mishaps.len().is_multiple_of(2) => drop(self.world.answer(call)),
            Effect::Execute(plan) => drop(self.world.begin(plan)),
            _ => {}
        }
    }

    fn restart(&mut self) -> Input {
        self.effects.push("restart".into());
        self.session = Session::new(self.settings.clone(), self.saved.clone(), &format!("boot{}", self.boot));
        Input::Start
    }

    fn call(&mut self, call: &Call, mishap: Mishap) -> Input {
        self.effects.push(name_of(call));
        let lost = Input::Failed(Fault::Transport("lost".into()));
        match mishap {
            Mishap::RequestLost => lost,
            Mishap::AnswerLost => {
                let _ = self.world.answer(call);
                lost
            }
            _ => match self.world.answer(call) {
                Ok(reply) => Input::Answered(reply),
                Err(fault) => Input::Failed(fault),
            },
        }
    }
}

fn name_of(call: &Call) -> String {
    match call {
        Call::JobState { to, .. } => format!("job {to}"),
        Call::Create { name } => format!("create {name}"),
        Call::CheckIn { .. } => "check in".into(),
        Call::Job(_) => "job?".into(),
        Call::Task(_) => "task?".into(),
        Call::Actions(_) => "actions?".into(),
        Call::Flush(_) => "flush".into(),
        Call::LogLine { text, .. } => format!("log {text}"),
        Call::LoadKernel { .. } => "loadkernel".into(),
        Call::NextStage { stage, .. } => format!("after {stage}?"),
        Call::SetStage { to, .. } => format!("stage {to}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

const DONE: &[Outcome] = &[Outcome::Finished(After::Continue)];

fn check(world: World, mishaps: &[Mishap], expected: &str) -> Lab {
    let mut lab = Lab::new(world, mishaps.to_vec());
    lab.run();
    assert_eq!(lab.effects.join(", "), expected);
    lab
}

#[test]
fn a_new_machine_registers_and_works() {
    let lab = check(
        World::new(&[("a", DONE)]),
        &[],
        "whoami, search, create node, whoami, machine, token, publish, check in, \
         newjob, task?, job running, actions?, execute a, flush, job finished, newjob, machine, watch",
    );
    assert_eq!(lab.world.log, ["a=running", "a=finished/complete"]);
    assert_eq!(lab.saved.token.expose(), "lasting");
}

#[test]
fn an_interrupted_job_is_failed_and_runs_again_as_a_new_one() {
    let mut mishaps = vec![Mishap::None; 12];
    mishaps.push(Mishap::AgentKilled);
    let lab = check(
        World::new(&[("a", DONE)]),
        &mishaps,
        "whoami, search, create node, whoami, machine, token, publish, check in, newjob, task?, job running, actions?, \
         restart, machine, job?, flush, job failed, newjob, task?, job running, actions?, execute a, flush, job finished, newjob, machine, watch",
    );
    assert_eq!(lab.world.log, ["a=running", "a=failed", "a=running", "a=finished/complete"]);
    assert_eq!((lab.world.begun["a"], lab.world.completed["a"]), (2, 1));
}

#[test]
fn a_result_survives_the_agents_death() {
    let mut mishaps = vec![Mishap::None; 13];
    mishaps.push(Mishap::AgentKilled);
    let lab = check(
        World::new(&[("a", DONE)]),
        &mishaps,
        "whoami, search, create node, whoami, machine, token, publish, check in, newjob, task?, job running, actions?, execute a, \
         restart, machine, flush, job finished, newjob, machine, watch",
    );
    assert_eq!(lab.world.begun["a"], 1);
}

#[test]
fn a_failed_task_stops_the_machine_until_it_is_runnable_again() {
    let outcomes = &[Outcome::Failed, Outcome::Finished(After::Continue)];
    let mut lab = Lab::new(World::new(&[("a", outcomes)]), Vec::new());
    lab.run();
    assert_eq!(lab.world.log, ["a=running", "a=failed/failed"]);
    assert!(!lab.world.machine.runnable);
    lab.world.machine.runnable = true;
    let effects = lab.session.step(Input::Changed(lab.world.machine.clone()));
    let mut input = lab.perform(effects);
    while let Some(next) = input {
        let effects = lab.session.step(next);
        input = lab.perform(effects);
    }
    assert_eq!(lab.world.log[2..], ["a=running", "a=finished/complete"]);
}

#[test]
fn rebooting_tasks_and_boot_environments() {
    let reboot = &[Outcome::Incomplete(After::Reboot), Outcome::Finished(After::Reboot)];
    let mut lab = Lab::new(World::new(&[("a", reboot), ("bootenv:local", DONE), ("b", DONE)]), Vec::new());
    lab.run();
    assert_eq!(
        lab.world.log,
        [
            "a=running",
            "a=incomplete/reboot",
            "a=running",
            "a=finished/reboot",
            "b=running",
            "b=finished/complete"
        ]
    );
    assert_eq!(lab.effects.iter().filter(|effect| *effect == "Reboot").count(), 3);
    assert!(lab.world.machine.workflow_complete);
}

#[test]
fn power_off_is_the_end() {
    let mut lab = Lab::new(World::new(&[("a", &[Outcome::Finished(After::PowerOff)])]), Vec::new());
    lab.run();
    assert!(lab.off && !lab.world.machine.runnable);
}

#[test]
fn an_unrenderable_task_is_failed_with_its_reason() {
    let mut session = Session::new(settings(), Journal::default(), "b");
    let mut world = World::new(&[("a", DONE)]);
    let mut effects = session.step(Input::Start);
    let mut seen = Vec::new();
    for _ in 0..25 {
        let Some(call) = effects
            .iter()
            .find_map(|effect| if let Effect::Call(call) = effect { Some(call.clone()) } else { None })
        else {
            break;
        };
        seen.push(name_of(&call));
        let input = match &call {
            Call::Actions(_) => Input::Failed(Fault::Refused(Refusal {
                code: 422,
                messages: vec!["template: x".into()],
                ..Refusal::default()
            })),
            call => world.answer(call).map_or_else(Input::Failed, Input::Answered),
        };
        effects = session.step(input);
    }
    assert!(
        seen.join(", ").ends_with("actions?, log Failed to render actions: 422 : template: x, job failed"),
        "{seen:?}"
    );
    assert_eq!(world.log.last().map(String::as_str), Some("a=failed/failed"));
}

#[test]
fn stopping_during_a_job_leaves_it_incomplete() {
    let mut lab = Lab::new(World::new(&[("a", DONE)]), Vec::new());
    let mut input = Input::Start;
    loop {
        let effects = lab.session.step(input);
        if effects.iter().any(|effect| matches!(effect, Effect::Execute(_))) {
            break;
        }
        input = lab.perform(effects).expect("goes on");
    }
    assert_eq!(lab.session.step(Input::Stop), vec![Effect::Kill]);
    let mut effects = lab.session.step(Input::Executed(Outcome::Interrupted));
    while let Some(input) = lab.perform(effects) {
        effects = lab.session.step(input);
    }
    assert_eq!(lab.world.log, ["a=running", "a=incomplete/complete"]);
    assert!(lab.world.machine.runnable, "it continues when the agent is back");
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
}

#[test]
fn a_token_that_no_longer_works_asks_again_who_we_are() {
    let journal = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        token: Secret::new("old"),
        renewed: true,
        ..Journal::default()
    };
    let mut session = Session::new(settings(), journal, "b");
    session.step(Input::Start);
    let effects = session.step(Input::Failed(Fault::Refused(Refusal { code: 401, ..Refusal::default() })));
    assert!(
        effects.contains(&Effect::Identity { uuid: "m".into(), token: Secret::new("unknown") }),
        "{effects:?}"
    );
    assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Whoami)]);
}

/// The command line names the file that has key and token.
fn fetching(uuid: &str) -> Settings {
    Settings { uuid: uuid.into(), token: Secret::default(), fetches: true, ..settings() }
}

#[test]
fn key_and_token_are_fetched_first() {
    let mut lab = Lab::new(World::new(&[]), Vec::new()).told(fetching(""));
    lab.run();
    let expected =
        "credentials, whoami, search, create node, whoami, machine, token, publish, check in, watch";
    assert_eq!(
        lab.effects.join(", "),
        expected.replace("check in, watch", "check in, newjob, machine, watch")
    );

    let mut lab = Lab::new(World { exists: true, ..World::new(&[]) }, Vec::new()).told(fetching("m"));
    lab.run();
    assert!(lab.effects.join(", ").starts_with("credentials, machine, token, publish"), "{:?}", lab.effects);
}

#[test]
fn a_known_machine_that_is_not_believed_is_recognised_like_an_unknown_one() {
    // The file of the machine was refused, that for unknown machines has no key.
    let mut session = Session::new(fetching("m"), Journal::default(), "b");
    assert_eq!(session.step(Input::Start).last(), Some(&Effect::Call(Call::Credentials)));
    let reply = Reply::Credentials { uuid: String::new(), token: Secret::new("unknown") };
    let effects = session.step(Input::Answered(reply));
    assert_eq!(effects.last(), Some(&Effect::Call(Call::Whoami)), "{effects:?}");
    assert!(effects.contains(&Effect::Identity { uuid: String::new(), token: Secret::new("unknown") }));
}

#[test]
fn a_fetched_token_that_no_longer_works_is_fetched_again() {
    let journal =
        Journal { boot_id: "b".into(), uuid: "m".into(), token: Secret::new("old"), ..Journal::default() };
    let mut session = Session::new(fetching("m"), journal, "b");
    assert_eq!(session.step(Input::Start).last(), Some(&Effect::Call(Call::Machine)));
    session.step(Input::Failed(Fault::Refused(Refusal { code: 403, ..Refusal::default() })));
    assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Credentials)]);
}

/// A machine without a workflow, at the end of its stage; what it asks and does.
fn at_stage_end(boot_env: &str, stages: &[(&str, &str, After)]) -> Lab {
    let mut world = World::new(&[]);
    world.exists = true;
    world.machine.workflow = String::new();
    world.machine.stage = "one".into();
    world.machine.boot_env = boot_env.into();
    world.machine.current_task = 0;
    world.machine.workflow_complete = true;
    world.stages = stages
        .iter()
        .map(|(from, to, then)| ((*from).to_owned(), NextStage { stage: (*to).to_owned(), then: *then }))
        .collect();
    let mut lab = Lab::new(world, Vec::new());
    lab.run();
    lab
}

#[test]
fn stages_follow_each_other_by_the_map() {
    let tail = |stages: &[(&str, &str, After)]| {
        let lab = at_stage_end("discovery", stages);
        let at = lab.effects.iter().position(|effect| effect == "check in").expect("check in");
        lab.effects[at + 1..].join(", ")
    };
    assert_eq!(tail(&[]), "after one?, watch");
    assert_eq!(
        tail(&[("one", "two", After::Continue), ("two", "three", After::Continue)]),
        "after one?, stage two, after two?, stage three, after three?, watch"
    );
    assert_eq!(tail(&[("one", "two", After::Stop)]), "after one?, stage two, exit");
    assert_eq!(tail(&[("one", "two", After::PowerOff)]), "after one?, stage two, PowerOff");
    let rebooting = tail(&[("one", "two", After::Reboot)]);
    assert!(
        rebooting.starts_with("after one?, stage two, disarm, loadkernel, Reboot, restart"),
        "{rebooting}"
    );
    assert_eq!(tail(&[("one", "one", After::Reboot)]), "after one?, watch", "a stage cannot follow itself");
}

/// Starts the session again in the same boot and runs it; what it asks and does.
fn started_again(lab: &mut Lab) -> String {
    let before = lab.effects.len();
    lab.restart();
    lab.run();
    lab.effects[before..].join(", ")
}

#[test]
fn an_agent_that_was_stopped_by_the_map_takes_no_jobs_when_it_is_started_again() {
    let mut lab =
        at_stage_end("discovery", &[("one", "two", After::Stop), ("two", "three", After::Continue)]);
    assert!(lab.world.machine.runnable);
    for _ in 0..2 {
        assert_eq!(started_again(&mut lab), "restart, machine, watch");
    }
    // What the server finds out by itself does not count, what an operator changes does.
    lab.world.machine.available = false;
    assert_eq!(started_again(&mut lab), "restart, machine, watch");
    lab.world.machine.available = true;
    lab.world.machine.workflow = "w".into();
    lab.world.machine.workflow_complete = false;
    assert_eq!(started_again(&mut lab), "restart, machine, newjob, machine, watch");
    assert_eq!(lab.saved.run, Run::Idle);
}

#[test]
fn a_stop_by_the_map_ends_with_the_boot() {
    let mut lab =
        at_stage_end("discovery", &[("one", "two", After::Stop), ("two", "three", After::Continue)]);
    lab.boot += 1;
    let again = started_again(&mut lab);
    assert!(again.ends_with("check in, after two?, stage three, after three?, watch"), "{again}");
}

#[test]
fn a_stopped_machine_goes_on_when_it_is_made_runnable_again() {
    let mut lab =
        at_stage_end("discovery", &[("one", "two", After::Stop), ("two", "three", After::Continue)]);
    started_again(&mut lab);
    let before = lab.effects.len();
    for runnable in [false, true] {
        lab.world.machine.runnable = runnable;
        let mut input = Some(Input::Changed(lab.world.machine.clone()));
        while let Some(next) = input {
            let effects = lab.session.step(next);
            input = lab.perform(effects);
        }
    }
    assert_eq!(lab.effects[before..].join(", "), "watch, after two?, stage three, after three?, watch");
}

/// A session that has just asked for the stage that follows.
fn asking_the_map() -> Session {
    let journal = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        token: Secret::new("t"),
        renewed: true,
        checked_in: true,
        boot_env: "discovery".into(),
        ..Journal::default()
    };
    let mut session = Session::new(settings(), journal, "b");
    session.step(Input::Start);
    let machine = at_stage_end("discovery", &[]).world.machine;
    let effects = session.step(Input::Answered(Reply::Machine(Box::new(machine))));
    assert!(matches!(effects.last(), Some(Effect::Call(Call::NextStage { .. }))), "{effects:?}");
    session
}

#[test]
fn a_map_that_cannot_be_read_now_is_asked_again() {
    let refused = |code| Fault::Refused(Refusal { code, ..Refusal::default() });
    for fault in [refused(500), refused(503), refused(404), Fault::Nonsense("entry a:Fly".into())] {
        let mut session = asking_the_map();
        let effects = session.step(Input::Failed(fault.clone()));
        assert!(matches!(effects.last(), Some(Effect::Sleep(_))), "{fault}: {effects:?}");
        assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Machine)], "{fault}");
    }
    for code in [401, 403] {
        let mut session = asking_the_map();
        session.step(Input::Failed(refused(code)));
        assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Whoami)], "{code}");
    }
}

#[test]
fn a_corrected_map_is_asked_when_the_watch_wakes() {
    let mut lab = at_stage_end("discovery", &[]);
    let two = NextStage { stage: "two".into(), then: After::Continue };
    lab.world.stages.insert("one".into(), two);
    let before = lab.effects.len();
    let mut input = Some(Input::Quiet);
    while let Some(next) = input {
        let effects = lab.session.step(next);
        input = lab.perform(effects);
    }
    assert_eq!(lab.effects[before..].join(", "), "machine, after one?, stage two, after two?, watch");
}

#[test]
fn an_installer_never_restarts_by_the_map() {
    let lab = at_stage_end("debian-install", &[("one", "local", After::Reboot)]);
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
    assert!(!lab.effects.contains(&"Reboot".to_owned()), "{:?}", lab.effects);
}

#[test]
fn a_kernel_is_looked_for_when_the_boot_environment_changes_and_not_when_a_task_restarts() {
    let mut lab = Lab::new(World::new(&[("bootenv:local", DONE)]), Vec::new());
    lab.run();
    assert!(lab.effects.join(", ").contains("loadkernel, Reboot, restart"), "{:?}", lab.effects);
    let mut lab = Lab::new(World::new(&[("a", &[Outcome::Finished(After::Reboot)])]), Vec::new());
    lab.run();
    assert!(!lab.effects.contains(&"loadkernel".to_owned()), "{:?}", lab.effects);
}

#[test]
fn an_agent_that_died_on_its_way_out_goes_on_leaving() {
    let journal = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        run: Run::Leaving(Power::Reboot),
        ..Journal::default()
    };
    let effects = Session::new(settings(), journal.clone(), "b").step(Input::Start);
    assert!(effects.contains(&Effect::Power(Power::Reboot)), "{effects:?}");
    let effects = Session::new(settings(), journal, "c").step(Input::Start);
    assert!(!effects.contains(&Effect::Power(Power::Reboot)), "the restart has happened");
}

#[test]
fn an_installer_is_left_to_restart_by_itself() {
    let mut world = World::new(&[("a", DONE), ("bootenv:local", DONE)]);
    world.machine.boot_env = "debian-install".into();
    let mut lab = Lab::new(world, Vec::new());
    lab.run();
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
    assert!(!lab.effects.contains(&"Reboot".to_owned()));
}

#[test]
fn contexts_and_oneshot() {
    let mut world = World::new(&[("a", DONE)]);
    world.machine.context = "container".into();
    let lab =
        check(world, &[], "whoami, search, create node, whoami, machine, token, publish, check in, watch");
    assert_eq!(lab.world.log, Vec::<String>::new());
    let settings = Settings { oneshot: true, ..settings() };
    let mut lab = Lab::new(World::new(&[]), Vec::new()).told(settings);
    lab.run();
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        6 => Just(Mishap::None),
        1 => Just(Mishap::RequestLost),
        1 => Just(Mishap::AnswerLost),
        1 => Just(Mishap::AgentKilled),
    ]
}

fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    let early = prop_oneof![
        Just(Outcome::Incomplete(After::Reboot)),
        Just(Outcome::Finished(After::Reboot)),
        Just(Outcome::Finished(After::Continue)),
    ];
    let last = prop_oneof![Just(Outcome::Finished(After::Continue)), Just(Outcome::Finished(After::Reboot))];
    (prop::collection::vec(early, 0..2), last).prop_map(|(mut all, last)| {
        all.retain(|outcome| matches!(outcome, Outcome::Incomplete(_)));
        all.push(last);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The three rules, whatever goes wrong: `World::begin` checks the first at every run.
    #[test]
    fn every_task_finishes_exactly_once(
        all in prop::collection::vec(outcomes(), 1..5),
        mishaps in prop::collection::vec(mishap(), 0..120),
        (fetches, other_boot_env) in (any::<bool>(), any::<bool>()),
    ) {
        let names: Vec<String> = (0..all.len()).map(|n| format!("task{n}")).collect();
        let mut tasks: Vec<(&str, &[Outcome])> = names.iter().map(String::as_str).zip(all.iter().map(Vec::as_slice)).collect();
        if other_boot_env {
            tasks.insert(all.len() / 2, ("bootenv:other", DONE));
        }
        let told = if fetches { fetching("") } else { settings() };
        let mut lab = Lab::new(World::new(&tasks), mishaps).told(told);
        lab.run();
        prop_assert!(lab.world.machine.workflow_complete, "stuck: {:?}\n{}", lab.world.machine, lab.effects.join(", "));
        let finished: Vec<&String> = lab.world.log.iter().filter(|line| line.contains("=finished")).collect();
        let order: Vec<&str> = finished.iter().filter_map(|line| line.split('=').next()).collect();
        prop_assert_eq!(order, names.iter().map(String::as_str).collect::<Vec<_>>(), "in order, each once");
        for (name, outcomes) in names.iter().zip(&all) {
            // A completed run is never repeated: its result reached the server, or was found in the journal.
            prop_assert!(lab.world.completed[name] <= outcomes.len(), "{name}: {:?}", lab.world.completed);
        }
    }
}

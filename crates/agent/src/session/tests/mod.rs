//! Tables and properties of the session, against a small server made of plain data.

mod jobs;
mod leaving;
mod properties;
mod stages;
mod starting;
mod world;

use super::exit::{After, Outcome};
use super::journal::{Journal, Power};
use super::*;
use crate::wire::Refusal;
use world::World;

/// What goes wrong at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    RequestLost,
    AnswerLost,
    AgentKilled,
    /// The server answers 503 and does nothing.
    Busy,
    /// The server does it and answers 503.
    BusyAfter,
    /// The token does not work any more.
    Revoked,
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
            Mishap::Busy => refused(503),
            Mishap::BusyAfter => {
                let _ = self.world.answer(call);
                refused(503)
            }
            Mishap::Revoked => refused(401),
            _ => match self.world.answer(call) {
                Ok(reply) => Input::Answered(reply),
                Err(fault) => Input::Failed(fault),
            },
        }
    }
}

fn refused(code: u16) -> Input {
    Input::Failed(Fault::Refused(Refusal { code, ..Refusal::default() }))
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
        Call::Prepare { boot_env, restart } => format!("prepare {restart:?} {boot_env}").to_lowercase(),
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

/// The command line names the file that has key and token.
fn fetching(uuid: &str) -> Settings {
    Settings { uuid: uuid.into(), token: Secret::default(), fetches: true, ..settings() }
}

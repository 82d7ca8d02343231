//! The transitions of the session: its phases, and where each input leads.
//!
//! `question` has what each phase asks for; `identify`, `work` and `onward` have the three parts of a session's life, `trouble`
//! has what refusals and silence lead to.

mod identify;
mod onward;
mod question;
mod trouble;
mod work;

use super::exit::Outcome;
use super::journal::{Journal, Power};
use super::{Effect, Input, NextStage, Reply, Restart, Settings};
use crate::http::Fault;
use crate::wire::{Job, Machine, Refusal, Task};

/// The state of the agent's conversation with the server.
#[derive(Clone, Debug)]
pub struct Session {
    settings: Settings,
    journal: Journal,
    machine: Machine,
    phase: Phase,
    /// Unanswered calls in a row.
    lost: u32,
    /// Refused rounds in a row.
    refused: u32,
    stopping: bool,
    /// The stage of which is known that no other follows; forgotten when a watch ends, for the map may be another by then.
    last_stage: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    New,
    Credentials,
    Whoami {
        created: bool,
    },
    Search,
    Create {
        tries: u32,
    },
    Greet,
    Renew,
    Inspect,
    /// What a job that died had written.
    Salvage {
        job: Job,
    },
    Abandon {
        job: Job,
    },
    Publish,
    CheckIn {
        bare: bool,
    },
    Refresh {
        asked: bool,
    },
    Watch,
    Request,
    Task {
        job: Job,
    },
    Start {
        job: Job,
        task: Task,
    },
    Verify {
        job: Job,
        task: Task,
    },
    Actions {
        job: Job,
        task: Task,
    },
    Explain {
        job: Job,
        text: String,
    },
    Refuse {
        job: Job,
    },
    Execute {
        job: Job,
    },
    Flush {
        job: String,
        outcome: Outcome,
    },
    DisarmJob {
        job: String,
        outcome: Outcome,
    },
    Result {
        job: String,
        outcome: Outcome,
    },
    Confirm {
        job: String,
        outcome: Outcome,
    },
    NextStage,
    SetStage(NextStage),
    Disarm,
    /// Before a restart: perhaps the next kernel can be entered at once (engine.md §5.7).
    Prepare(Restart),
    /// Ask again what `0` asks.
    Retry(Box<Phase>),
    /// Begin again with the machine.
    Rest,
    /// Begin again with the question who we are.
    Lost,
    Over,
}

impl Session {
    /// A session that goes on where `journal` ended; `boot_id` names the present boot.
    pub fn new(settings: Settings, journal: Journal, boot_id: &str) -> Self {
        let mut journal = journal.resume(boot_id);
        if !settings.uuid.is_empty() && settings.uuid != journal.uuid {
            journal =
                Journal { boot_id: boot_id.to_owned(), uuid: settings.uuid.clone(), ..Journal::default() };
        }
        if settings.token_lasts || journal.token.is_empty() {
            journal.token = settings.token.clone();
            journal.renewed |= settings.token_lasts;
        }
        Self {
            settings,
            journal,
            machine: Machine::default(),
            phase: Phase::New,
            lost: 0,
            refused: 0,
            stopping: false,
            last_stage: None,
        }
    }

    /// The machine as last seen.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What would be written to the journal now.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// True when nothing more will be asked for.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// One step.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        match input {
            Input::Stop => self.stop(phase),
            Input::Start if phase == Phase::New => self.begin(),
            Input::Woken => self.woken(phase),
            Input::Failed(Fault::Transport(text)) => self.retry(phase, &text),
            Input::Failed(Fault::Nonsense(text)) => {
                self.declined(phase, &Refusal { messages: vec![text], ..Refusal::default() })
            }
            Input::Failed(Fault::Refused(refusal)) => self.refused(phase, &refusal),
            Input::Answered(reply) => {
                self.lost = 0;
                self.answered(phase, reply)
            }
            Input::Changed(machine) if phase == Phase::Watch => {
                self.lost = 0;
                self.last_stage = None;
                self.machine = machine;
                self.decide(false)
            }
            Input::Quiet if phase == Phase::Watch => {
                self.last_stage = None;
                self.enter(Phase::Refresh { asked: false })
            }
            Input::Executed(outcome) => match phase {
                Phase::Execute { job } => self.executed(job.uuid, outcome),
                other => self.ignore(other),
            },
            Input::Start | Input::Changed(_) | Input::Quiet => self.ignore(phase),
        }
    }

    fn ignore(&mut self, phase: Phase) -> Vec<Effect> {
        self.phase = phase;
        Vec::new()
    }

    fn identity(&self) -> Effect {
        Effect::Identity { uuid: self.journal.uuid.clone(), token: self.journal.token.clone() }
    }

    fn save(&self) -> Effect {
        Effect::Save(self.journal.clone())
    }

    fn enter(&mut self, phase: Phase) -> Vec<Effect> {
        self.enter_after(Vec::new(), phase)
    }

    /// Enters a phase with its question, after other effects.
    fn enter_after(&mut self, mut effects: Vec<Effect>, phase: Phase) -> Vec<Effect> {
        effects.push(self.question(&phase));
        self.phase = phase;
        effects
    }

    fn answered(&mut self, phase: Phase, reply: Reply) -> Vec<Effect> {
        match (phase, reply) {
            (Phase::Credentials, Reply::Credentials { uuid, token }) => self.fetched(uuid, token),
            (Phase::Whoami { created }, Reply::Whoami(who)) => {
                self.told(created, who.result.uuid, who.result.token)
            }
            (Phase::Search, Reply::Machines(found)) => self.found(&found),
            (Phase::Create { .. }, Reply::Machine(machine)) => {
                self.journal.uuid = machine.uuid.clone();
                let say = Effect::Say(format!("registered as {} ({})", machine.name, machine.uuid));
                self.enter_after(vec![say], Phase::Whoami { created: true })
            }
            (Phase::Greet, Reply::Machine(machine)) => self.greeted(*machine),
            (Phase::Renew, Reply::Token(token)) => {
                self.journal.renewed = true;
                if !token.is_empty() {
                    self.journal.token = token;
                }
                let effects = vec![self.identity(), self.save()];
                self.settle(effects)
            }
            (Phase::Inspect, Reply::Job(job)) => self.inspected(job),
            (Phase::Salvage { job }, _) => self.enter(Phase::Abandon { job }),
            (Phase::Abandon { .. }, _) => self.introduce(),
            (Phase::Publish, _) => self.enter(Phase::CheckIn { bare: false }),
            (Phase::CheckIn { .. }, Reply::Machine(machine)) => self.checked_in(*machine),
            (Phase::Refresh { asked }, Reply::Machine(machine)) => {
                let same = same_for_us(&self.machine, &machine);
                self.machine = *machine;
                self.decide(asked && same)
            }
            (Phase::Request, Reply::Job(job)) => self.handed_out(job),
            (Phase::Task { job }, Reply::Task(task)) => self.enter(Phase::Start { job, task }),
            (Phase::Start { job, task }, _) => self.started(job, task),
            (Phase::Verify { job, task }, Reply::Job(found)) => self.verified(job, task, found),
            (Phase::Actions { job, task }, Reply::Actions(actions)) => self.execute(job, task, actions),
            (Phase::Explain { job, .. }, _) => self.enter(Phase::Refuse { job }),
            (Phase::Refuse { .. }, _) => self.rest(),
            (Phase::Flush { job, outcome }, _) => self.flushed(job, outcome),
            (Phase::DisarmJob { job, outcome }, reply) => {
                // Where the machine is to go may have been changed by the job itself.
                if let Reply::Machine(machine) = reply {
                    self.machine = *machine;
                }
                self.enter(Phase::Result { job, outcome })
            }
            (Phase::Result { outcome, .. }, _) => self.reported(outcome),
            (Phase::Confirm { job, outcome }, Reply::Job(found)) => self.confirmed(&job, outcome, found),
            (Phase::NextStage, Reply::NextStage(next)) => self.stage_told(next),
            (Phase::SetStage(next), Reply::Machine(machine)) => self.stage_set(*machine, next.then),
            (Phase::Disarm, _) => self.prepare(Restart::Onward),
            (Phase::Prepare(_), _) => self.leave(Power::Reboot),
            (other, _) => self.retry(other, "an answer to another question"),
        }
    }
}

/// True when nothing differs that would give us work (engine.md §5.3, WAIT_FOR_CHANGE_STAGE).
pub(crate) fn same_for_us(a: &Machine, b: &Machine) -> bool {
    let key = |m: &Machine| (m.current_task, m.runnable, m.available, m.workflow_complete);
    key(a) == key(b)
        && a.boot_env == b.boot_env
        && a.stage == b.stage
        && a.context == b.context
        && a.workflow == b.workflow
        && a.tasks == b.tasks
}

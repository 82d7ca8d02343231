//! The transitions of the session.

use super::exit::{After, Outcome};
use super::journal::{Journal, Power, Run, Stand};
use super::{Call, Effect, Input, Milestone, NextStage, Plan, Reply, Settings};
use crate::http::Fault;
use crate::secret::Secret;
use crate::wire::{Job, Machine, Refusal, Task};
use std::time::Duration;

/// Attempts to create a machine before asking again who we are.
const CREATE_TRIES: u32 = 5;

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
    LoadKernel,
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
            Input::Failed(Fault::Refused(refusal)) => self.declined(phase, &refusal),
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

    fn begin(&mut self) -> Vec<Effect> {
        if let Run::Leaving(power) = self.journal.run {
            return self.leave_now(power);
        }
        let identity = self.identity();
        let next = if self.settings.fetches && self.journal.token.is_empty() {
            Phase::Credentials
        } else if self.journal.uuid.is_empty() {
            Phase::Whoami { created: false }
        } else {
            Phase::Greet
        };
        self.enter_after(vec![identity], next)
    }

    fn fetched(&mut self, uuid: String, token: Secret) -> Vec<Effect> {
        self.journal.uuid = uuid;
        self.journal.token = token;
        self.journal.renewed = false;
        let known = !self.journal.uuid.is_empty();
        let effects = vec![self.identity(), self.save()];
        self.enter_after(effects, if known { Phase::Greet } else { Phase::Whoami { created: false } })
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

    /// What a phase asks for. Entering it again asks the same again.
    fn question(&self, phase: &Phase) -> Effect {
        Effect::Call(match phase {
            Phase::Credentials => Call::Credentials,
            Phase::Whoami { .. } => Call::Whoami,
            Phase::Search => Call::Search,
            Phase::Create { tries } => Call::Create { name: self.name(*tries) },
            Phase::Greet | Phase::Refresh { .. } => Call::Machine,
            Phase::Renew => Call::Token,
            Phase::Inspect => Call::Job(self.machine.current_job.clone()),
            Phase::Salvage { job } => Call::Flush(job.uuid.clone()),
            Phase::Abandon { job } => Call::JobState {
                job: job.uuid.clone(),
                from: known_state(&job.state),
                to: "failed",
                exit: None,
            },
            Phase::Publish => Call::Publish,
            Phase::CheckIn { bare } => Call::CheckIn {
                machine: Box::new(self.machine.clone()),
                arm: self.settings.context.is_empty(),
                bare: *bare,
            },
            Phase::Request => Call::NewJob,
            Phase::Task { job } => Call::Task(job.task.clone()),
            Phase::Start { job, .. } => Call::JobState {
                job: job.uuid.clone(),
                from: known_state(&job.state),
                to: "running",
                exit: None,
            },
            Phase::Verify { job, .. } => Call::Job(job.uuid.clone()),
            Phase::Actions { job, .. } => Call::Actions(job.uuid.clone()),
            Phase::Explain { job, text } => Call::LogLine { job: job.uuid.clone(), text: text.clone() },
            Phase::Refuse { job } => Call::JobState {
                job: job.uuid.clone(),
                from: known_state(&job.state),
                to: "failed",
                exit: Some("failed"),
            },
            Phase::Flush { job, .. } => Call::Flush(job.clone()),
            Phase::DisarmJob { .. } | Phase::Disarm => Call::Disarm,
            Phase::Result { job, outcome } => Call::JobState {
                job: job.clone(),
                from: "running",
                to: outcome.state(),
                exit: Some(outcome.exit_state()),
            },
            Phase::Confirm { job, .. } => Call::Job(job.clone()),
            Phase::NextStage => Call::NextStage {
                stage: self.machine.stage.clone(),
                installing: self.journal.boot_env.ends_with("-install"),
            },
            Phase::SetStage(next) => {
                Call::SetStage { from: self.machine.stage.clone(), to: next.stage.clone() }
            }
            Phase::LoadKernel => Call::LoadKernel { boot_env: self.machine.boot_env.clone() },
            Phase::Watch => return Effect::Watch(Box::new(self.machine.clone())),
            Phase::New | Phase::Execute { .. } | Phase::Over => return Effect::Exit,
            Phase::Retry(_) => return Effect::Sleep(backoff(self.lost)),
            Phase::Rest | Phase::Lost => return Effect::Sleep(backoff(self.refused + 3)),
        })
    }

    /// A name that was taken gets a number.
    fn name(&self, tries: u32) -> String {
        match tries {
            0 => self.settings.name.clone(),
            n => format!("{}-{}", self.settings.name, n + 1),
        }
    }

    // --- answers ----------------------------------------------------------------------------------

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
            (Phase::DisarmJob { job, outcome }, _) => self.enter(Phase::Result { job, outcome }),
            (Phase::Result { outcome, .. }, _) => self.reported(outcome),
            (Phase::Confirm { job, outcome }, Reply::Job(found)) => self.confirmed(&job, outcome, found),
            (Phase::NextStage, Reply::NextStage(next)) => self.stage_told(next),
            (Phase::SetStage(next), Reply::Machine(machine)) => self.stage_set(*machine, next.then),
            (Phase::Disarm, _) => self.prepare_leave(),
            (Phase::LoadKernel, _) => self.leave(Power::Reboot),
            (other, _) => self.retry(other, "an answer to another question"),
        }
    }

    fn told(&mut self, created: bool, uuid: String, token: Secret) -> Vec<Effect> {
        if uuid.is_empty() && !created {
            return self.enter(Phase::Search);
        }
        if !uuid.is_empty() {
            self.journal.uuid = uuid;
        }
        if !token.is_empty() {
            self.journal.token = token;
            self.journal.renewed = false;
        }
        let effects = vec![self.identity(), self.save()];
        self.enter_after(effects, Phase::Greet)
    }

    fn found(&mut self, found: &[Machine]) -> Vec<Effect> {
        match found {
            [] => self.enter(Phase::Create { tries: 0 }),
            [one] => {
                self.journal.uuid = one.uuid.clone();
                let effects = vec![self.identity(), self.save()];
                self.enter_after(effects, Phase::Greet)
            }
            many => {
                let names: Vec<&str> = many.iter().map(|m| m.name.as_str()).collect();
                let text = format!("several machines have one of our addresses: {}", names.join(", "));
                self.lost_again(&text)
            }
        }
    }

    fn greeted(&mut self, machine: Machine) -> Vec<Effect> {
        self.machine = machine;
        if self.journal.boot_env.is_empty() {
            self.journal.boot_env = self.machine.boot_env.clone();
        }
        let effects = vec![self.save()];
        if !self.journal.renewed {
            return self.enter_after(effects, Phase::Renew);
        }
        self.settle(effects)
    }

    /// Looks after the job that the journal or the machine remembers.
    fn settle(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        if let Run::Ended(job, outcome) = self.journal.run.clone() {
            return self.enter_after(effects, Phase::Flush { job, outcome });
        }
        if self.machine.last_job().is_some() && !self.is_stopped() {
            return self.enter_after(effects, Phase::Inspect);
        }
        let rest = self.introduce();
        effects.into_iter().chain(rest).collect()
    }

    fn inspected(&mut self, job: Option<Job>) -> Vec<Effect> {
        let Some(job) = job.filter(|job| job.context == self.settings.context) else {
            return self.introduce();
        };
        if job.state == "running" {
            let text = format!("job {} ({}) died with the agent: it will run again", job.uuid, job.task);
            let rest = self.enter(Phase::Salvage { job });
            return std::iter::once(Effect::Say(text)).chain(rest).collect();
        }
        if job.state == "created" && self.journal.checked_in && self.machine.runnable {
            return self.take(job);
        }
        if job.state == "created" {
            return self.enter(Phase::Abandon { job });
        }
        self.introduce()
    }

    /// Says hello once per boot, then works.
    fn introduce(&mut self) -> Vec<Effect> {
        if !self.is_stopped() {
            self.journal.run = Run::Idle;
        }
        if self.journal.checked_in {
            let save = self.save();
            return std::iter::once(save).chain(self.decide(false)).collect();
        }
        self.enter(Phase::Publish)
    }

    fn checked_in(&mut self, machine: Machine) -> Vec<Effect> {
        self.machine = machine;
        self.journal.checked_in = true;
        let mut effects = vec![self.save(), Effect::Trace(Milestone::CheckIn)];
        effects.push(Effect::Say(format!("checked in as {}", self.machine.name)));
        effects.into_iter().chain(self.decide(false)).collect()
    }

    // --- work -------------------------------------------------------------------------------------

    /// What next, given the machine as it is. `spent`: the server just had nothing for exactly this state.
    fn decide(&mut self, spent: bool) -> Vec<Effect> {
        if let Run::Stopped(stand) = &self.journal.run {
            if **stand == Stand::of(&self.machine) {
                return self.pause();
            }
            self.journal.run = Run::Idle;
            let effects = vec![self.save(), Effect::Say("takes jobs again".into())];
            return effects.into_iter().chain(self.decide(false)).collect();
        }
        let own = self.settings.context.is_empty();
        if own && self.machine.boot_env != self.journal.boot_env {
            let text = format!(
                "boot environment changes from {} to {}",
                self.journal.boot_env, self.machine.boot_env
            );
            let rest = self.change_boot_env();
            return std::iter::once(Effect::Say(text)).chain(rest).collect();
        }
        let ours = self.machine.context == self.settings.context;
        let ready = ours && self.machine.available && self.machine.runnable;
        if ready && !spent && !self.machine.workflow_complete {
            return self.enter(Phase::Request);
        }
        if ready && own && self.is_at_stage_end() {
            return self.enter(Phase::NextStage);
        }
        self.pause()
    }

    /// Nothing to do until the machine changes.
    fn pause(&mut self) -> Vec<Effect> {
        if self.settings.oneshot {
            return self.over(Vec::new());
        }
        self.enter(Phase::Watch)
    }

    fn is_stopped(&self) -> bool {
        matches!(self.journal.run, Run::Stopped(_))
    }

    /// No workflow leads on, no task is left, and the map has not been asked about this stage.
    fn is_at_stage_end(&self) -> bool {
        let exhausted = self.machine.workflow_complete
            || usize::try_from(self.machine.current_task).is_ok_and(|at| at >= self.machine.tasks.len());
        exhausted && self.machine.workflow.is_empty() && self.last_stage.as_ref() != Some(&self.machine.stage)
    }

    fn stage_told(&mut self, next: Option<NextStage>) -> Vec<Effect> {
        match next.filter(|next| next.stage != self.machine.stage) {
            Some(next) => {
                let text = format!("stage {} follows {}", next.stage, self.machine.stage);
                let rest = self.enter(Phase::SetStage(next));
                std::iter::once(Effect::Say(text)).chain(rest).collect()
            }
            None => {
                self.last_stage = Some(self.machine.stage.clone());
                self.decide(true)
            }
        }
    }

    fn stage_set(&mut self, machine: Machine, then: After) -> Vec<Effect> {
        self.machine = machine;
        match then {
            After::Continue => self.decide(false),
            After::Stop => {
                // The machine stays runnable, and whoever supervises the agent starts it again: it must know.
                self.journal.run = Run::Stopped(Box::new(Stand::of(&self.machine)));
                self.over(vec![Effect::Say("takes no more jobs".into())])
            }
            After::Reboot => self.change_boot_env(),
            After::PowerOff => self.leave(Power::PowerOff),
        }
    }

    fn change_boot_env(&mut self) -> Vec<Effect> {
        if self.machine.runnable && self.machine.context.is_empty() {
            return self.enter(Phase::Disarm);
        }
        self.prepare_leave()
    }

    /// Before a restart that nobody has prepared: perhaps the next kernel can be entered at once (engine.md §5.7).
    fn prepare_leave(&mut self) -> Vec<Effect> {
        if self.stays(Power::Reboot) {
            return self.leave(Power::Reboot);
        }
        self.enter(Phase::LoadKernel)
    }

    fn handed_out(&mut self, job: Option<Job>) -> Vec<Effect> {
        let Some(job) = job.filter(|job| !job.state.is_empty()) else {
            return self.enter(Phase::Refresh { asked: true });
        };
        self.refused = 0;
        if !job.task.contains(':') {
            return self.take(job);
        }
        match job.state.as_str() {
            "finished" => self.enter(Phase::Request),
            "failed" => self.enter(Phase::Refresh { asked: false }),
            _ => {
                let text = format!("{}: this agent cannot run such an entry", job.task);
                self.enter(Phase::Explain { job, text })
            }
        }
    }

    fn take(&mut self, job: Job) -> Vec<Effect> {
        self.enter(Phase::Task { job })
    }

    fn started(&mut self, mut job: Job, task: Task) -> Vec<Effect> {
        job.state = "running".to_owned();
        self.enter(Phase::Actions { job, task })
    }

    /// The change to `running` was refused: was it made by our own, unanswered request?
    fn verified(&mut self, job: Job, task: Task, found: Option<Job>) -> Vec<Effect> {
        match found {
            Some(found) if found.state == "running" => self.started(job, task),
            _ => self.rest(),
        }
    }

    fn execute(&mut self, job: Job, task: Task, actions: Vec<crate::wire::Action>) -> Vec<Effect> {
        self.journal.run = Run::Running(job.uuid.clone());
        let plan = Plan { job: job.clone(), task, actions, machine_name: self.machine.name.clone() };
        self.phase = Phase::Execute { job };
        vec![self.save(), Effect::Execute(Box::new(plan))]
    }

    fn executed(&mut self, job: String, outcome: Outcome) -> Vec<Effect> {
        self.journal.run = Run::Ended(job.clone(), outcome);
        let save = self.save();
        self.enter_after(vec![save], Phase::Flush { job, outcome })
    }

    fn flushed(&mut self, job: String, outcome: Outcome) -> Vec<Effect> {
        if outcome.clears_runnable() {
            return self.enter(Phase::DisarmJob { job, outcome });
        }
        self.enter(Phase::Result { job, outcome })
    }

    /// The result was refused: did the server have it already?
    fn confirmed(&mut self, job: &str, outcome: Outcome, found: Option<Job>) -> Vec<Effect> {
        let state = found.map(|job| job.state).unwrap_or_default();
        if state == outcome.state() {
            return self.reported(outcome);
        }
        let text = format!(
            "job {job} was changed to {state:?} by somebody else; our result was {}",
            outcome.state()
        );
        let rest = self.reported(Outcome::Finished(After::Continue));
        std::iter::once(Effect::Say(text)).chain(rest).collect()
    }

    fn reported(&mut self, outcome: Outcome) -> Vec<Effect> {
        if !self.journal.checked_in {
            // A result from before the agent's death; the rest of the greeting follows.
            return self.introduce();
        }
        match outcome.after() {
            After::Reboot => self.leave(Power::Reboot),
            After::PowerOff => self.leave(Power::PowerOff),
            After::Stop => self.over(vec![Effect::Say("takes no more jobs".into())]),
            After::Continue => {
                self.journal.run = Run::Idle;
                let save = self.save();
                if self.stopping {
                    return self.over(Vec::new());
                }
                let plain = outcome == Outcome::Finished(After::Continue);
                let next = if plain { Phase::Request } else { Phase::Refresh { asked: false } };
                self.enter_after(vec![save], next)
            }
        }
    }

    // --- ways out ---------------------------------------------------------------------------------

    fn leave(&mut self, power: Power) -> Vec<Effect> {
        if self.stays(power) {
            return self.over(vec![Effect::Say("leaving the restart to others".into())]);
        }
        self.journal.run = Run::Leaving(power);
        let mut effects = vec![self.save()];
        effects.extend(self.leave_now(power));
        effects
    }

    /// True when somebody else restarts or switches off: an installer ends by itself (engine.md §5.6).
    fn stays(&self, power: Power) -> bool {
        let installing = power == Power::Reboot && self.journal.boot_env.ends_with("-install");
        self.settings.skip_power || !self.settings.context.is_empty() || installing
    }

    fn leave_now(&mut self, power: Power) -> Vec<Effect> {
        self.phase = Phase::Over;
        let milestone = match power {
            Power::Reboot => Milestone::Reboot,
            Power::PowerOff => Milestone::PowerOff,
        };
        vec![self.identity(), Effect::Trace(milestone), Effect::Power(power)]
    }

    /// Ends with nothing left to report.
    fn over(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        if !self.is_stopped() {
            self.journal.run = Run::Idle;
        }
        self.phase = Phase::Over;
        effects.extend([self.save(), Effect::Exit]);
        effects
    }

    fn stop(&mut self, phase: Phase) -> Vec<Effect> {
        if self.stopping && !matches!(phase, Phase::Execute { .. }) {
            return self.quit();
        }
        self.stopping = true;
        match phase {
            Phase::Execute { job } => {
                self.phase = Phase::Execute { job };
                vec![Effect::Kill]
            }
            // Let a result reach the server; a second Stop does not wait for it.
            reporting @ (Phase::Flush { .. }
            | Phase::DisarmJob { .. }
            | Phase::Result { .. }
            | Phase::Confirm { .. }) => self.ignore(reporting),
            _ => self.quit(),
        }
    }

    /// Ends at once, the journal as it is.
    fn quit(&mut self) -> Vec<Effect> {
        self.phase = Phase::Over;
        vec![Effect::Exit]
    }

    // --- things that go wrong ---------------------------------------------------------------------

    /// No answer: the same question again, later. A stream that broke means: look at the machine.
    fn retry(&mut self, phase: Phase, text: &str) -> Vec<Effect> {
        let again = match phase {
            Phase::Watch => Phase::Refresh { asked: false },
            // It may have been created all the same: look before creating another one.
            Phase::Create { .. } => Phase::Whoami { created: false },
            other => other,
        };
        let mut effects = Vec::new();
        if self.lost == 2 {
            effects.push(Effect::Say(format!("server does not answer: {text}")));
        }
        let rest = self.enter_after(effects, Phase::Retry(Box::new(again)));
        self.lost = self.lost.saturating_add(1);
        rest
    }

    fn woken(&mut self, phase: Phase) -> Vec<Effect> {
        match phase {
            Phase::Retry(again) => self.enter(*again),
            Phase::Rest if self.journal.uuid.is_empty() => self.enter(Phase::Whoami { created: false }),
            Phase::Rest => self.enter(Phase::Greet),
            Phase::Lost if self.settings.fetches => self.enter(Phase::Credentials),
            Phase::Lost => self.enter(Phase::Whoami { created: false }),
            other => self.ignore(other),
        }
    }

    /// A pause, then everything from the machine on again.
    fn rest(&mut self) -> Vec<Effect> {
        self.refused = self.refused.saturating_add(1);
        self.enter(Phase::Rest)
    }

    /// A pause, then the question who we are; with the token we were born with.
    fn lost_again(&mut self, text: &str) -> Vec<Effect> {
        self.refused = self.refused.saturating_add(1);
        self.journal.token = self.settings.token.clone();
        self.journal.renewed = self.settings.token_lasts;
        let effects = vec![Effect::Say(text.to_owned()), self.identity()];
        self.enter_after(effects, Phase::Lost)
    }

    fn declined(&mut self, phase: Phase, refusal: &Refusal) -> Vec<Effect> {
        self.lost = 0;
        let text = refusal.to_string();
        let unauthorised = matches!(refusal.code, 401 | 403);
        match phase {
            Phase::Credentials => self.lost_again(&format!("key and token: {text}")),
            Phase::Whoami { created: true } => self.enter(Phase::Greet),
            Phase::Whoami { .. } if unauthorised => self.lost_again(&format!("whoami: {text}")),
            Phase::Whoami { .. } => self.enter(Phase::Search),
            Phase::Search => self.enter(Phase::Create { tries: 0 }),
            Phase::Create { tries } if tries + 1 < CREATE_TRIES && is_taken(refusal) => {
                self.enter(Phase::Create { tries: tries + 1 })
            }
            Phase::Create { .. } => self.lost_again(&format!("registering: {text}")),
            Phase::Greet => self.lost_again(&format!("machine {}: {text}", self.journal.uuid)),
            Phase::Renew => {
                self.journal.renewed = true;
                self.settle(vec![Effect::Say(format!("no lasting token: {text}"))])
            }
            Phase::Salvage { job } => self.enter(Phase::Abandon { job }),
            Phase::Inspect | Phase::Abandon { .. } => {
                let rest = self.introduce();
                std::iter::once(Effect::Say(format!("last job: {text}"))).chain(rest).collect()
            }
            Phase::Publish => {
                let say = Effect::Say(format!("inventory refused: {text}"));
                self.enter_after(vec![say], Phase::CheckIn { bare: false })
            }
            Phase::CheckIn { bare: false } => {
                let say = Effect::Say(format!("machine fields refused: {text}"));
                self.enter_after(vec![say], Phase::CheckIn { bare: true })
            }
            Phase::CheckIn { .. } => self.lost_again(&format!("check-in refused: {text}")),
            Phase::Task { job } => self.enter(Phase::Start { job, task: Task::default() }),
            Phase::Start { job, task } => self.enter(Phase::Verify { job, task }),
            Phase::Actions { job, .. } => {
                self.enter(Phase::Explain { job, text: format!("Failed to render actions: {text}") })
            }
            Phase::Explain { job, .. } => self.enter(Phase::Refuse { job }),
            Phase::Flush { job, outcome } => self.flushed(job, outcome),
            Phase::DisarmJob { job, outcome } => self.enter(Phase::Result { job, outcome }),
            Phase::Result { job, outcome } => self.enter(Phase::Confirm { job, outcome }),
            Phase::Confirm { job, outcome } => self.confirmed(&job, outcome, None),
            Phase::Disarm => self.prepare_leave(),
            Phase::LoadKernel => self.leave(Power::Reboot),
            Phase::NextStage if unauthorised => self.lost_again(&format!("change-stage/map: {text}")),
            // Whatever is wrong with the map, somebody mends it, and then the machine goes on.
            Phase::NextStage => {
                let rest = self.rest();
                std::iter::once(Effect::Say(format!("change-stage/map: {text}"))).chain(rest).collect()
            }
            Phase::Request
            | Phase::SetStage(_)
            | Phase::Refresh { .. }
            | Phase::Watch
            | Phase::Refuse { .. }
            | Phase::Verify { .. } => {
                let rest = if unauthorised { self.lost_again(&text) } else { self.rest() };
                std::iter::once(Effect::Say(text)).chain(rest).collect()
            }
            other => self.ignore(other),
        }
    }
}

fn is_taken(refusal: &Refusal) -> bool {
    refusal.messages.iter().any(|m| m.contains("violates unique index") || m.contains("already exists"))
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

/// Job states as constants; an unknown one will fail the test in the patch, which is right.
fn known_state(state: &str) -> &'static str {
    ["created", "running", "incomplete", "failed", "finished"]
        .into_iter()
        .find(|known| *known == state)
        .unwrap_or("created")
}

/// Pause after the n-th failure in a row: soon at first, for a restarted server is back in a moment.
fn backoff(failures: u32) -> Duration {
    const MILLIS: [u64; 8] = [50, 200, 500, 1000, 2000, 3000, 5000, 8000];
    let index = (failures as usize).min(MILLIS.len() - 1);
    Duration::from_millis(MILLIS[index])
}

//! Jobs: asked for, run, reported.

use super::{Phase, Session};
use crate::session::exit::{After, Outcome};
use crate::session::journal::{Power, Run, Stand};
use crate::session::{Effect, Plan, Restart};
use crate::wire::{Job, Task};

impl Session {
    /// What next, given the machine as it is. `spent`: the server just had nothing for exactly this state.
    pub(super) fn decide(&mut self, spent: bool) -> Vec<Effect> {
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
    pub(super) fn pause(&mut self) -> Vec<Effect> {
        if self.settings.oneshot {
            return self.over(Vec::new());
        }
        self.enter(Phase::Watch)
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.journal.run, Run::Stopped(_))
    }

    pub(super) fn handed_out(&mut self, job: Option<Job>) -> Vec<Effect> {
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

    pub(super) fn take(&mut self, job: Job) -> Vec<Effect> {
        self.enter(Phase::Task { job })
    }

    pub(super) fn started(&mut self, mut job: Job, task: Task) -> Vec<Effect> {
        job.state = "running".to_owned();
        self.enter(Phase::Actions { job, task })
    }

    /// The change to `running` was refused: was it made by our own, unanswered request?
    pub(super) fn verified(&mut self, job: Job, task: Task, found: Option<Job>) -> Vec<Effect> {
        match found {
            Some(found) if found.state == "running" => self.started(job, task),
            _ => self.rest(),
        }
    }

    pub(super) fn execute(&mut self, job: Job, task: Task, actions: Vec<crate::wire::Action>) -> Vec<Effect> {
        self.journal.run = Run::Running(job.uuid.clone());
        let plan = Plan { job: job.clone(), task, actions, machine_name: self.machine.name.clone() };
        self.phase = Phase::Execute { job };
        vec![self.save(), Effect::Execute(Box::new(plan))]
    }

    pub(super) fn executed(&mut self, job: String, outcome: Outcome) -> Vec<Effect> {
        self.journal.run = Run::Ended(job.clone(), outcome);
        let save = self.save();
        self.enter_after(vec![save], Phase::Flush { job, outcome })
    }

    pub(super) fn flushed(&mut self, job: String, outcome: Outcome) -> Vec<Effect> {
        if outcome.clears_runnable() {
            return self.enter(Phase::DisarmJob { job, outcome });
        }
        self.enter(Phase::Result { job, outcome })
    }

    /// The result was refused: did the server have it already?
    pub(super) fn confirmed(&mut self, job: &str, outcome: Outcome, found: Option<Job>) -> Vec<Effect> {
        let state = found.map(|job| job.state).unwrap_or_default();
        if state == outcome.state() {
            return self.reported(outcome);
        }
        if state == "running" {
            // Nobody else ended it, so our result still counts: it is in the journal, and reported again after a pause.
            let rest = self.rest();
            let text = format!("the result of job {job} was refused: {}", outcome.state());
            return std::iter::once(Effect::Say(text)).chain(rest).collect();
        }
        let text = format!(
            "job {job} was changed to {state:?} by somebody else; our result was {}",
            outcome.state()
        );
        let rest = self.reported(Outcome::Finished(After::Continue));
        std::iter::once(Effect::Say(text)).chain(rest).collect()
    }

    pub(super) fn reported(&mut self, outcome: Outcome) -> Vec<Effect> {
        if !self.journal.checked_in {
            // A result from before the agent's death; the rest of the greeting follows.
            return self.introduce();
        }
        match outcome.after() {
            After::Reboot => self.prepare(Restart::Task),
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
}

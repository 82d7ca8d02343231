//! From the start to the check-in: who we are, and what became of the last job.

use super::{Phase, Session};
use crate::secret::Secret;
use crate::session::journal::Run;
use crate::session::{Effect, Milestone};
use crate::wire::{Job, Machine};

impl Session {
    pub(super) fn begin(&mut self) -> Vec<Effect> {
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

    pub(super) fn fetched(&mut self, uuid: String, token: Secret) -> Vec<Effect> {
        self.journal.uuid = uuid;
        self.journal.token = token;
        self.journal.renewed = false;
        let known = !self.journal.uuid.is_empty();
        let effects = vec![self.identity(), self.save()];
        self.enter_after(effects, if known { Phase::Greet } else { Phase::Whoami { created: false } })
    }

    pub(super) fn told(&mut self, created: bool, uuid: String, token: Secret) -> Vec<Effect> {
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

    pub(super) fn found(&mut self, found: &[Machine]) -> Vec<Effect> {
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

    pub(super) fn greeted(&mut self, machine: Machine) -> Vec<Effect> {
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

    /// Looks after what the journal or the machine remembers: a stage that was being set, a job.
    pub(super) fn settle(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        if let Run::Moving(next) = self.journal.run.clone()
            && next.stage == self.machine.stage
        {
            // It was set, but the answer got lost.
            let rest = self.stage_set(self.machine.clone(), next.then);
            return effects.into_iter().chain(rest).collect();
        }
        if let Run::Ended(job, outcome) = self.journal.run.clone() {
            return self.enter_after(effects, Phase::Flush { job, outcome });
        }
        if self.machine.last_job().is_some() && !self.is_stopped() {
            return self.enter_after(effects, Phase::Inspect);
        }
        let rest = self.introduce();
        effects.into_iter().chain(rest).collect()
    }

    pub(super) fn inspected(&mut self, job: Option<Job>) -> Vec<Effect> {
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
    pub(super) fn introduce(&mut self) -> Vec<Effect> {
        if !self.is_stopped() {
            self.journal.run = Run::Idle;
        }
        if self.journal.checked_in {
            let save = self.save();
            return std::iter::once(save).chain(self.decide(false)).collect();
        }
        self.enter(Phase::Publish)
    }

    pub(super) fn checked_in(&mut self, machine: Machine) -> Vec<Effect> {
        self.machine = machine;
        self.journal.checked_in = true;
        let mut effects = vec![self.save(), Effect::Trace(Milestone::CheckIn)];
        effects.push(Effect::Say(format!("checked in as {}", self.machine.name)));
        effects.into_iter().chain(self.decide(false)).collect()
    }
}

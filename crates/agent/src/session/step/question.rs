//! What each phase asks for.

use super::{Phase, Session};
use crate::session::{Call, Effect};
use std::time::Duration;

impl Session {
    /// What a phase asks for. Entering it again asks the same again.
    pub(super) fn question(&self, phase: &Phase) -> Effect {
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
            Phase::Prepare(restart) => {
                Call::Prepare { boot_env: self.machine.boot_env.clone(), restart: *restart }
            }
            Phase::Watch => return Effect::Watch(Box::new(self.machine.clone())),
            Phase::New | Phase::Execute { .. } | Phase::Over => return Effect::Exit,
            Phase::Retry(_) => return Effect::Sleep(backoff(self.lost)),
            Phase::Rest | Phase::Lost => return Effect::Sleep(backoff(self.refused + 3)),
        })
    }

    /// A name that was taken gets a number.
    pub(super) fn name(&self, tries: u32) -> String {
        match tries {
            0 => self.settings.name.clone(),
            n => format!("{}-{}", self.settings.name, n + 1),
        }
    }
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

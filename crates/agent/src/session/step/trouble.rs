//! What goes wrong: no answer, or a refusal.

use super::{Phase, Session};
use crate::session::journal::Power;
use crate::session::{Effect, Restart};
use crate::wire::{Refusal, Task};

/// Attempts to create a machine before asking again who we are.
const CREATE_TRIES: u32 = 5;
/// Questions in a row that a server in trouble may leave open before it is taken at its word: about five minutes.
const PATIENCE: u32 = 40;
/// Tokens that are tried for the rest of a log, or for stopping the machine, before the result is reported without.
const TOKENS: u32 = 5;

impl Session {
    /// No answer: the same question again, later. A stream that broke means: look at the machine.
    pub(super) fn retry(&mut self, phase: Phase, text: &str) -> Vec<Effect> {
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

    pub(super) fn woken(&mut self, phase: Phase) -> Vec<Effect> {
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
    pub(super) fn rest(&mut self) -> Vec<Effect> {
        self.refused = self.refused.saturating_add(1);
        self.enter(Phase::Rest)
    }

    /// A pause, then the question who we are; with the token we were born with.
    pub(super) fn lost_again(&mut self, text: &str) -> Vec<Effect> {
        self.refused = self.refused.saturating_add(1);
        self.journal.token = self.settings.token.clone();
        self.journal.renewed = self.settings.token_lasts;
        let effects = vec![Effect::Say(text.to_owned()), self.identity()];
        self.enter_after(effects, Phase::Lost)
    }

    /// A server in trouble has not refused: it is asked again, and for the result of a job until somebody has it.
    pub(super) fn refused(&mut self, phase: Phase, refusal: &Refusal) -> Vec<Effect> {
        let is_result = matches!(phase, Phase::Result { .. } | Phase::Confirm { .. });
        let is_report = is_result || matches!(phase, Phase::Flush { .. } | Phase::DisarmJob { .. });
        let is_trouble = refusal.is_trouble() || is_report && refusal.code == 500;
        if is_trouble && (is_result || self.lost < PATIENCE) {
            return self.retry(phase, &refusal.to_string());
        }
        self.declined(phase, refusal)
    }

    pub(super) fn declined(&mut self, phase: Phase, refusal: &Refusal) -> Vec<Effect> {
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
            Phase::Actions { .. } if refusal.code == 401 => self.lost_again(&text),
            Phase::Actions { job, .. } => {
                self.enter(Phase::Explain { job, text: format!("Failed to render actions: {text}") })
            }
            Phase::Explain { job, .. } => self.enter(Phase::Refuse { job }),
            // The result stays in the journal: it is reported with the next token.
            Phase::Flush { .. } | Phase::DisarmJob { .. } if unauthorised && self.refused < TOKENS => {
                self.lost_again(&text)
            }
            Phase::Result { .. } | Phase::Confirm { .. } if unauthorised => self.lost_again(&text),
            Phase::Flush { job, outcome } => self.flushed(job, outcome),
            Phase::DisarmJob { job, outcome } => self.enter(Phase::Result { job, outcome }),
            Phase::Result { job, outcome } => self.enter(Phase::Confirm { job, outcome }),
            Phase::Confirm { job, outcome } => self.confirmed(&job, outcome, None),
            Phase::Disarm => self.prepare(Restart::Onward),
            Phase::Prepare(_) => self.leave(Power::Reboot),
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

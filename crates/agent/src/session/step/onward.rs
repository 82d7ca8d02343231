//! On to the next stage or boot environment, and out of this boot.

use super::{Phase, Session};
use crate::session::exit::After;
use crate::session::journal::{Power, Run, Stand};
use crate::session::{Effect, Milestone, NextStage, Restart};
use crate::wire::Machine;

impl Session {
    /// No workflow leads on, no task is left, and the map has not been asked about this stage.
    pub(super) fn is_at_stage_end(&self) -> bool {
        let exhausted = self.machine.workflow_complete
            || usize::try_from(self.machine.current_task).is_ok_and(|at| at >= self.machine.tasks.len());
        exhausted && self.machine.workflow.is_empty() && self.last_stage.as_ref() != Some(&self.machine.stage)
    }

    pub(super) fn stage_told(&mut self, next: Option<NextStage>) -> Vec<Effect> {
        match next.filter(|next| next.stage != self.machine.stage) {
            Some(next) => {
                let text = format!("stage {} follows {}", next.stage, self.machine.stage);
                self.journal.run = Run::Moving(next.clone());
                let effects = vec![Effect::Say(text), self.save()];
                self.enter_after(effects, Phase::SetStage(next))
            }
            None => {
                self.last_stage = Some(self.machine.stage.clone());
                self.decide(true)
            }
        }
    }

    pub(super) fn stage_set(&mut self, machine: Machine, then: After) -> Vec<Effect> {
        self.machine = machine;
        match then {
            After::Continue => {
                self.journal.run = Run::Idle;
                let save = self.save();
                std::iter::once(save).chain(self.decide(false)).collect()
            }
            After::Stop => {
                // The machine stays runnable, and whoever supervises the agent starts it again: it must know.
                self.journal.run = Run::Stopped(Box::new(Stand::of(&self.machine)));
                self.over(vec![Effect::Say("takes no more jobs".into())])
            }
            After::Reboot => self.change_boot_env(),
            After::PowerOff => self.leave(Power::PowerOff),
        }
    }

    pub(super) fn change_boot_env(&mut self) -> Vec<Effect> {
        if self.machine.runnable && self.machine.context.is_empty() {
            return self.enter(Phase::Disarm);
        }
        self.prepare(Restart::Onward)
    }

    /// Before a restart: what is loaded must be what is meant.
    pub(super) fn prepare(&mut self, restart: Restart) -> Vec<Effect> {
        if self.stays(Power::Reboot) {
            return self.leave(Power::Reboot);
        }
        self.enter(Phase::Prepare(restart))
    }

    pub(super) fn leave(&mut self, power: Power) -> Vec<Effect> {
        if self.stays(power) {
            return self.over(vec![Effect::Say("leaving the restart to others".into())]);
        }
        self.journal.run = Run::Leaving(power);
        let mut effects = vec![self.save()];
        effects.extend(self.leave_now(power));
        effects
    }

    /// True when somebody else restarts or switches off: an installer ends by itself (engine.md §5.6).
    pub(super) fn stays(&self, power: Power) -> bool {
        let installing = power == Power::Reboot && self.journal.boot_env.ends_with("-install");
        self.settings.skip_power || !self.settings.context.is_empty() || installing
    }

    pub(super) fn leave_now(&mut self, power: Power) -> Vec<Effect> {
        self.phase = Phase::Over;
        let milestone = match power {
            Power::Reboot => Milestone::Reboot,
            Power::PowerOff => Milestone::PowerOff,
        };
        vec![self.identity(), Effect::Trace(milestone), Effect::Power(power)]
    }

    /// Ends with nothing left to report.
    pub(super) fn over(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        if !self.is_stopped() {
            self.journal.run = Run::Idle;
        }
        self.phase = Phase::Over;
        effects.extend([self.save(), Effect::Exit]);
        effects
    }

    pub(super) fn stop(&mut self, phase: Phase) -> Vec<Effect> {
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
    pub(super) fn quit(&mut self) -> Vec<Effect> {
        self.phase = Phase::Over;
        vec![Effect::Exit]
    }
}

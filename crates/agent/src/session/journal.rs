//! What the agent must remember when it dies: a small file, rewritten at each step that matters.
//!
//! In the discovery OS it lies on a tmpfs and dies with the boot; in an installed system it lies on
//! disk and says by the boot id whether the machine restarted in between.

use super::NextStage;
use super::exit::Outcome;
use crate::secret::Secret;
use crate::wire::Machine;
use serde::{Deserialize, Serialize};

/// The memory of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// `/proc/sys/kernel/random/boot_id` of the boot that wrote it.
    pub boot_id: String,
    /// Key of our machine.
    pub uuid: String,
    /// The token that works for it.
    pub token: Secret,
    /// True once the token was exchanged for a lasting one.
    pub renewed: bool,
    /// The boot environment that this boot came from; a machine with another one must reboot.
    pub boot_env: String,
    /// True once this boot has been announced, so that Runnable is set only once per boot.
    pub checked_in: bool,
    /// What was going on.
    pub run: Run,
}

/// What was going on when the journal was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Run {
    /// No job.
    #[default]
    Idle,
    /// This job's scripts may be running.
    Running(String),
    /// This job's scripts are done, but the server may not know.
    Ended(String, Outcome),
    /// The machine was about to restart or switch off.
    Leaving(Power),
    /// This stage was being set; what the map wants done then is still to be done.
    Moving(NextStage),
    /// The stage map said `Stop`: no job in this boot until an operator changes something of this.
    Stopped(Box<Stand>),
}

/// Where a machine stands, as far as operators put it there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stand {
    workflow: String,
    stage: String,
    boot_env: String,
    tasks: Vec<String>,
    current_task: i64,
    runnable: bool,
}

impl Stand {
    /// Where `machine` stands.
    pub fn of(machine: &Machine) -> Self {
        Self {
            workflow: machine.workflow.clone(),
            stage: machine.stage.clone(),
            boot_env: machine.boot_env.clone(),
            tasks: machine.tasks.clone(),
            current_task: machine.current_task,
            runnable: machine.runnable,
        }
    }
}

/// How the machine leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// Restart, by kexec when a kernel is loaded.
    Reboot,
    /// Switch off.
    PowerOff,
}

impl Journal {
    /// Takes over what is still true in the boot `boot_id`.
    pub fn resume(mut self, boot_id: &str) -> Self {
        if self.boot_id == boot_id {
            return self;
        }
        self.boot_id = boot_id.to_owned();
        self.boot_env.clear();
        self.checked_in = false;
        self.run = match self.run {
            // The machine has been off meanwhile: only the result is left to tell.
            Run::Ended(job, outcome) => Run::Ended(job, outcome.already_left()),
            Run::Idle | Run::Running(_) | Run::Leaving(_) | Run::Moving(_) | Run::Stopped(_) => Run::Idle,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::exit::After;
    use super::*;

    #[test]
    fn another_boot_forgets_what_died_with_the_old_one() {
        let old = Journal {
            boot_id: "a".into(),
            uuid: "u".into(),
            boot_env: "discovery".into(),
            checked_in: true,
            run: Run::Ended("j".into(), Outcome::Finished(After::Reboot)),
            ..Journal::default()
        };
        assert_eq!(old.clone().resume("a"), old);
        let new = old.resume("b");
        assert_eq!((new.uuid.as_str(), new.boot_env.as_str(), new.checked_in), ("u", "", false));
        let Run::Ended(_, outcome) = new.run else { panic!("result lost") };
        assert_eq!((outcome.exit_state(), outcome.after()), ("complete", After::Continue));
    }

    #[test]
    fn survives_json() {
        let journal =
            Journal { run: Run::Ended("j".into(), Outcome::Incomplete(After::Stop)), ..Journal::default() };
        let text = serde_json::to_string(&journal).expect("json");
        assert_eq!(serde_json::from_str::<Journal>(&text).expect("journal"), journal);
    }
}

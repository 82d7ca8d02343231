//! Jobs: one run of one task on one machine (API §10.8).

use crate::check;
use crate::kind::{Behaviour, Home, Index, IndexType};
use crate::parts::Claim;
use crate::shape::wire;
use crate::{Kind, Problems, Time, Uuid};

wire! {
    /// One run of one entry of a machine's task list.
    object Job {
        /// Unique id.
        uuid: Uuid = "Uuid",
        /// The job before it on the same machine; all zero for the first.
        previous: Uuid = "Previous",
        /// The machine.
        machine: Uuid = "Machine",
        /// The task, or the task-list entry that the server itself carried out.
        task: String = "Task",
        /// The machine's stage when the job was made.
        stage: String = "Stage",
        /// The machine's workflow when the job was made.
        workflow: String = "Workflow",
        /// The machine's boot environment when the job was made.
        boot_env: String = "BootEnv",
        /// The context that the job runs in.
        context: String = "Context",
        /// `created`, `running`, `incomplete`, `failed` or `finished`.
        state: String = "State",
        /// What the machine shall do after it: empty, `reboot`, `poweroff`, `stop`, `complete` or `failed`.
        exit_state: String = "ExitState",
        /// When the job was made, then when it began to run.
        start_time: Time = "StartTime",
        /// When it finished or failed; the zero time until then.
        end_time: Time = "EndTime",
        /// Its log was removed.
        archived: bool = "Archived",
        /// It is the newest job of its machine.
        current: bool = "Current",
        /// The entry of the task list that it runs.
        current_index: i64 = "CurrentIndex",
        /// The entry after it.
        next_index: i64 = "NextIndex",
        /// Rights beyond those of the machine.
        extra_claims: Vec<Claim> = "ExtraClaims" omitted,
        /// A token with those rights, for the agent alone.
        token: String = "Token" omitted,
    }
}

/// The states that a job can be in.
pub const JOB_STATES: [&str; 5] = ["created", "running", "incomplete", "failed", "finished"];
const EXIT_STATES: [&str; 6] = ["", "reboot", "poweroff", "stop", "complete", "failed"];

impl Job {
    /// True while the job may still do something: created, running or incomplete.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "failed" | "finished")
    }
}

impl Behaviour for Job {
    const KEY: &'static str = "Uuid";
    const HOME: Home = Home::Stored;
    const DERIVES: bool = false;
    const ORDER: &'static str = "StartTime";
    const INDEXES: &'static [Index] = &[
        Index { regex: true, ..Index::of("Uuid", IndexType::Uuid).unique() },
        Index::flag("Archived"),
        Index::text("BootEnv"),
        Index::text("Context"),
        Index::flag("Current").ordered(),
        Index::of("EndTime", IndexType::Time("")),
        Index::of("StartTime", IndexType::Time("")),
        Index::of("Machine", IndexType::Uuid).refers(Kind::Machine),
        Index::of("Previous", IndexType::Uuid).refers(Kind::Job),
        Index::text("Stage"),
        Index::text("State").kept(),
        Index::text("Task"),
        Index::text("Workflow"),
        Index::flag("Elevated").at(&["ExtraClaims"]),
    ];

    fn check(&self, problems: &mut Problems) {
        if !JOB_STATES.contains(&self.state.as_str()) {
            problems.add(format!("Invalid State `{}`", self.state));
        }
        if !EXIT_STATES.contains(&self.exit_state.as_str()) {
            problems.add(format!("Invalid ExitState `{}`", self.exit_state));
        }
        if !self.task.is_empty() && !self.task.contains(':') {
            check::name(problems, "Invalid Task", &self.task);
        }
        for (what, name) in [
            ("Invalid Stage", &self.stage),
            ("Invalid BootEnv", &self.boot_env),
            ("Invalid Workflow", &self.workflow),
        ] {
            if !name.is_empty() {
                check::name(problems, what, name);
            }
        }
    }

    fn cross(&self, cross: &check::Cross<'_>, problems: &mut Problems) {
        let machine = self.machine.to_string();
        if cross.creating() && cross.view.record(Kind::Machine, &machine).is_none() {
            problems.add(format!("Machine {machine} does not exist"));
        }
    }

    fn delete(&self, delete: &mut check::Delete<'_>) {
        let key = self.uuid.to_string();
        let orphan = delete.view.record(Kind::Machine, &self.machine.to_string()).is_none();
        let superseded = delete.view.find(Kind::Job, "Previous", &key).next().is_some();
        if self.is_live() && !orphan && !superseded {
            delete.refuse(format!("Jobs {key} is not in a deletable state: {}", self.state));
        }
    }
}

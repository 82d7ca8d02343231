//! The session: what the agent decides, as a pure state machine.
//!
//! [`Session::step`] takes one [`Input`] and returns [`Effect`]s; it knows no socket, clock, file or
//! process, so every path through it can be tested as a table. The runner (`crate::runner`) performs
//! the effects and feeds the results back. At most one effect at a time expects an answer.
//!
//! ```text
//! identify: (Credentials) → Whoami → (Search) → Create → Whoami → Greet → Renew
//! settle:   Inspect the last job (finish reporting it, or send its log and fail it if it died) → Publish → CheckIn
//! work:     Decide ⇄ Watch;  Request → Prepare(task, running, actions) → Execute → Report(log, runnable, result)
//! onward:   (NextStage → SetStage) when a machine without a workflow has no task left
//! leave:    Disarm → Prepare → Power
//! ```
//!
//! Three rules hold at every point, also when requests or answers get lost, the server restarts or the
//! agent itself is killed (they are property-tested):
//!
//! 1. A script runs only while its job is `running` on the server, and one job at a time.
//! 2. A result that was obtained is reported; a job whose scripts died with the agent is failed, so
//!    that the server hands its task out again.
//! 3. A request that got no answer is asked again; where it may have been carried out already, the
//!    refusal that follows is recognised as success.
//!
//! Wire behaviour: engine.md §5.2–5.7, §4.13. What differs from the reference agent: a restart of the agent
//! within one boot does not make the machine runnable again; a `created` job that nobody ran is run
//! instead of failed; a failed job's machine is stopped by the server, in the write that fails the job.

pub mod exit;
pub mod journal;
mod step;
#[cfg(test)]
mod tests;

use crate::http::Fault;
use crate::secret::Secret;
use crate::wire::{Action, Job, Machine, Task, Whoami};
use exit::Outcome;
use journal::{Journal, Power};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a session is told at its birth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Key of the machine, where the configuration or the kernel command line names it.
    pub uuid: String,
    /// The token to begin with.
    pub token: Secret,
    /// Key and token are to be fetched (`Call::Credentials`).
    pub fetches: bool,
    /// True when `token` is already a lasting one, as in an installed system.
    pub token_lasts: bool,
    /// Which jobs to take; empty is the machine's own agent.
    pub context: String,
    /// Name for a machine that must be created.
    pub name: String,
    /// Leave when there is nothing to do.
    pub oneshot: bool,
    /// Never restart or switch off; leave instead.
    pub skip_power: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begin.
    Start,
    /// The answer to the last [`Effect::Call`].
    Answered(Reply),
    /// The last call or watch failed.
    Failed(Fault),
    /// A [`Effect::Sleep`] is over.
    Woken,
    /// A watched machine is different now.
    Changed(Machine),
    /// Nothing changed for the whole patience of the watch.
    Quiet,
    /// The scripts of a job are done.
    Executed(Outcome),
    /// Someone wants the agent to end.
    Stop,
}

/// Something to do. `Call`, `Sleep`, `Watch` and `Execute` are answered by an input, the rest are not.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the server.
    Call(Call),
    /// Wait.
    Sleep(Duration),
    /// Wait until the machine differs from this copy.
    Watch(Box<Machine>),
    /// Run a job.
    Execute(Box<Plan>),
    /// Kill what [`Effect::Execute`] started; it still answers.
    Kill,
    /// Use this key and token from now on.
    Identity {
        /// Key of the machine, may be empty.
        uuid: String,
        /// Its token.
        token: Secret,
    },
    /// Write the journal, durably as far as its place allows, before the next effect.
    Save(Journal),
    /// Tell the server's boot trace; nobody waits for it.
    Trace(Milestone),
    /// Tell the operator.
    Say(String),
    /// Leave the machine.
    Power(Power),
    /// End the process.
    Exit,
}

/// Points of a machine's life that the boot trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// The agent is connected and has published what it knows.
    CheckIn,
    /// The machine restarts now.
    Reboot,
    /// The machine switches off now.
    PowerOff,
}

/// A request to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// The file that the kernel command line names: key and token of this machine.
    Credentials,
    /// `POST whoami` with the facts of the hardware.
    Whoami,
    /// Machines with one of our MAC addresses.
    Search,
    /// `POST machines`.
    Create {
        /// The name to try.
        name: String,
    },
    /// `GET machines/<uuid>`.
    Machine,
    /// `GET machines/<uuid>/token`, a lasting one.
    Token,
    /// Inventory and boot facts as params of the machine.
    Publish,
    /// Machine fields that differ from the facts, and `Runnable`.
    CheckIn {
        /// The machine as last seen.
        machine: Box<Machine>,
        /// Make it runnable.
        arm: bool,
        /// Only `Runnable`, because the server did not like the rest.
        bare: bool,
    },
    /// `GET jobs/<id>`.
    Job(String),
    /// `POST jobs`.
    NewJob,
    /// `GET tasks/<name>`.
    Task(String),
    /// `GET jobs/<id>/actions?os=linux`.
    Actions(String),
    /// `PATCH jobs/<id>` with a test of the old state.
    JobState {
        /// The job.
        job: String,
        /// State that it must have.
        from: &'static str,
        /// State that it gets.
        to: &'static str,
        /// `ExitState`, if it ends.
        exit: Option<&'static str>,
    },
    /// `PATCH machines/<uuid>` with `Runnable` false.
    Disarm,
    /// The stage that follows, by the machine's `change-stage/map`.
    NextStage {
        /// The present stage.
        stage: String,
        /// The machine came from an environment that installs: `local` follows where the map says nothing.
        installing: bool,
    },
    /// `PATCH machines/<uuid>` with another stage.
    SetStage {
        /// Stage that it must have.
        from: String,
        /// Stage that it gets.
        to: String,
    },
    /// Prepare a restart: a loaded kernel that is not meant for it is dropped; for a change of the boot environment the next
    /// kernel is loaded, where that is allowed and possible. Never fails.
    Prepare {
        /// The boot environment that the machine is in after it.
        boot_env: String,
        /// Why it restarts.
        restart: Restart,
    },
    /// Send what is left of the job's log.
    Flush(String),
    /// Append one line to the job's log.
    LogLine {
        /// The job.
        job: String,
        /// The line, without its end.
        text: String,
    },
}

/// What the server said.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Call::Credentials`]; the key is empty for a machine that nobody knows.
    Credentials {
        /// Key of the machine.
        uuid: String,
        /// Its token, or the one for unknown machines.
        token: Secret,
    },
    /// To [`Call::NextStage`]; `None` when no stage follows.
    NextStage(Option<NextStage>),
    /// To [`Call::Whoami`].
    Whoami(Whoami),
    /// To [`Call::Search`].
    Machines(Vec<Machine>),
    /// To everything that returns a machine.
    Machine(Box<Machine>),
    /// To [`Call::Token`].
    Token(Secret),
    /// To [`Call::Job`], [`Call::NewJob`] and [`Call::JobState`]; `None` is "nothing to do".
    Job(Option<Job>),
    /// To [`Call::Task`].
    Task(Task),
    /// To [`Call::Actions`].
    Actions(Vec<Action>),
    /// To everything else.
    Nothing,
}

/// Why a machine restarts (engine.md §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Its boot environment changes, or its stage wants it.
    Onward,
    /// A task wants it, by its exit code.
    Task,
}

/// What `change-stage/map` says of a stage (engine.md §4.13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStage {
    /// The stage that follows.
    pub stage: String,
    /// What the machine does once it is set.
    pub then: exit::After,
}

/// A job ready to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The job.
    pub job: Job,
    /// Its task's flags.
    pub task: Task,
    /// Files and scripts, in order.
    pub actions: Vec<Action>,
    /// Name of the machine, for the log.
    pub machine_name: String,
}

pub use step::Session;
pub(crate) use step::same_for_us;

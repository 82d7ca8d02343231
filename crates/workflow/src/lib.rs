//! What happens next to a machine: task lists, jobs, stages, reboots.
//!
//! A pure state machine over one [`View`](gantry_model::View). It is asked three questions and answers each with the objects
//! that have to be saved; it saves nothing itself and knows neither clock nor socket:
//!
//! - [`change::created`] and [`change::updated`]: somebody made or edited a machine; what do its task list, stage, boot
//!   environment and `Runnable` become, or why is the edit refused?
//! - [`next::job`]: an agent asks for work; which job does it get?
//! - [`job::changed`]: an agent reports on a job; what does that do to the machine?
//!
//! Besides, [`pool`] moves machines between pools, and [`retention::expired`] says which old jobs are to go.
//!
//! The rules are those of the DRP engine (reference: engine.md §4, api.md §11). Three promises hold over every sequence of
//! questions, and are tested as properties: a machine never has two live jobs; no task is skipped or lost; no finished
//! task runs again unless the list was rewound.
//!
//! Left out: rendering of a job's actions (`boot`), the log of a job (`store`), the call of a plugin (`server`).

pub mod change;
pub mod expand;
pub mod job;
pub mod next;
pub mod pool;
pub mod retention;

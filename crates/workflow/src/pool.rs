//! Machines on their way into, within and out of pools (reference: network.md §6.3, api.md §10.21).
//!
//! A move has a beginning and an end. [`begin`] gives a machine the profiles, parameters and workflow of the move and a status
//! that says what it is being made ready for; [`done`] gives it the status that the move leads to, once that very workflow is
//! complete, and [`held`] one that says where it stopped. A move without a workflow is done at once. Another workflow, which
//! somebody gave the machine meanwhile, never ends a move: a machine that was not wiped must not be free.
//!
//! Left out: filling pools by themselves (`AutoFill`), which DRP describes and does not do either.

use gantry_model::parts::PoolAction;
use gantry_model::{Machine, Pool, View};

/// The pool of machines that nobody put elsewhere.
pub const DEFAULT: &str = "default";

/// What happens to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// From another pool into this one.
    Add,
    /// Out of this pool into its parent.
    Remove,
    /// Somebody gets it.
    Allocate,
    /// Nobody has it any more.
    Release,
}

/// One row per move: the verb, the statuses before, during, when it stops and after it.
struct Row {
    moved: Move,
    verb: &'static str,
    from: &'static str,
    during: &'static str,
    held: &'static str,
    to: &'static str,
}

const ROWS: [Row; 4] = [
    Row { moved: Move::Add, verb: "added", from: "Free", during: "Joining", held: "HoldJoin", to: "Free" },
    Row {
        moved: Move::Remove,
        verb: "removed",
        from: "Free",
        during: "Leaving",
        held: "HoldLeave",
        to: "Free",
    },
    Row {
        moved: Move::Allocate,
        verb: "allocated",
        from: "Free",
        during: "Building",
        held: "HoldBuild",
        to: "InUse",
    },
    Row {
        moved: Move::Release,
        verb: "released",
        from: "InUse",
        during: "Destroying",
        held: "HoldDestroy",
        to: "Free",
    },
];

impl Move {
    fn row(self) -> &'static Row {
        let at = match self {
            Self::Add => 0,
            Self::Remove => 1,
            Self::Allocate => 2,
            Self::Release => 3,
        };
        &ROWS[at]
    }

    /// `added`, `removed`, `allocated`, `released`.
    pub fn verb(self) -> &'static str {
        self.row().verb
    }
}

/// Whether a move may begin although the machine's status says otherwise (`force=true`). Where the machine is always counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It counts.
    Checked,
    /// It does not.
    Ignored,
}

/// Where machines are expected, and what else counts.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The pool that they are in.
    pub from: &'a str,
    /// Whether their status counts.
    pub status: Status,
    /// Whether their lock counts: for people, not for the machine's own tokens (reference: api.md §6).
    pub locks: bool,
}

/// Why a machine cannot make a move.
pub fn refusal(machine: &Machine, moved: Move, expected: Expected<'_>) -> Option<String> {
    let Expected { from, status, locks } = expected;
    let row = moved.row();
    let refuse = |why: String| Some(format!("Machine {} cannot be {}: {why}", machine.name, row.verb));
    if machine.pool != from {
        return refuse(format!("it is in pool {}, not in {from}", machine.pool));
    }
    if status == Status::Checked && machine.pool_status != row.from {
        return refuse(format!("its PoolStatus is {}, it must be {}", machine.pool_status, row.from));
    }
    if locks && machine.locked {
        return refuse("it is locked".to_owned());
    }
    let allocated = moved == Move::Release;
    if status == Status::Checked && machine.pool_allocated != allocated {
        let is = if machine.pool_allocated { "it is allocated" } else { "it is not allocated" };
        return refuse(is.to_owned());
    }
    None
}

/// The pool that a pool's machines come from and go back to.
pub fn parent(view: &View, pool: &str) -> String {
    let object = view.object::<Pool>(pool);
    let named = object.map(|pool| pool.parent_pool.clone()).filter(|parent| !parent.is_empty());
    named.unwrap_or_else(|| DEFAULT.to_owned())
}

/// The machine as it is to be stored when a move into, in or out of `pool` begins, step by step: a workflow that the machine
/// already had starts anew only when it is cleared first. `given` is what the caller wants besides the pool's own actions, and
/// wins over them.
pub fn begin(view: &View, machine: &Machine, moved: Move, pool: &str, given: &PoolAction) -> Vec<Machine> {
    let mut next = machine.clone();
    let mut workflow = String::new();
    for action in actions(view, machine, moved, pool).iter().chain([given]) {
        apply(&mut next, action);
        if !action.workflow.is_empty() {
            workflow.clone_from(&action.workflow);
        }
    }
    next.pool_status = moved.row().during.to_owned();
    match moved {
        Move::Add => next.pool = pool.to_owned(),
        Move::Allocate => next.pool_allocated = true,
        Move::Remove | Move::Release => {}
    }
    next.pool_workflow.clone_from(&workflow);
    if workflow.is_empty() {
        finish(view, &mut next, moved.row());
        return vec![next];
    }
    let cleared = Machine { workflow: String::new(), ..next.clone() };
    let started = Machine { workflow, ..next };
    if machine.workflow == started.workflow { vec![cleared, started] } else { vec![started] }
}

/// The pools' own actions for a move, in order.
fn actions(view: &View, machine: &Machine, moved: Move, pool: &str) -> Vec<PoolAction> {
    let of = |pool: &str, pick: fn(&Pool) -> &PoolAction| {
        view.object::<Pool>(pool).map(|pool| pick(&pool).clone())
    };
    let all = match moved {
        Move::Add => vec![of(&machine.pool, |p| &p.exit_actions), of(pool, |p| &p.enter_actions)],
        Move::Remove => vec![of(pool, |p| &p.exit_actions)],
        Move::Allocate => vec![of(pool, |p| &p.allocate_actions)],
        Move::Release => vec![of(pool, |p| &p.release_actions)],
    };
    all.into_iter().flatten().collect()
}

fn apply(machine: &mut Machine, action: &PoolAction) {
    machine.profiles.retain(|profile| !action.remove_profiles.contains(profile));
    for profile in &action.add_profiles {
        if !machine.profiles.contains(profile) {
            machine.profiles.push(profile.clone());
        }
    }
    for name in &action.remove_parameters {
        machine.params.remove(name);
    }
    machine.params.extend(action.add_parameters.clone());
}

/// The machine's task list is exhausted. The move ends if the list was that of the workflow that the move began; with another
/// one the machine is held. Nothing happens to a machine that is on no move.
pub fn done(view: &View, machine: &mut Machine) {
    let on = |row: &&Row| machine.pool_status == row.during || machine.pool_status == row.held;
    let Some(row) = ROWS.iter().find(on) else { return };
    if machine.pool_workflow.is_empty() || machine.workflow != machine.pool_workflow {
        row.held.clone_into(&mut machine.pool_status);
        return;
    }
    finish(view, machine, row);
}

fn finish(view: &View, machine: &mut Machine, row: &Row) {
    machine.pool_status = row.to.to_owned();
    machine.pool_workflow.clear();
    match row.moved {
        Move::Remove => machine.pool = parent(view, &machine.pool),
        Move::Release => machine.pool_allocated = false,
        Move::Add | Move::Allocate => {}
    }
}

/// A task of a move has failed for good. When somebody mends it, the move goes on.
pub fn held(machine: &mut Machine) {
    if let Some(row) = ROWS.iter().find(|row| machine.pool_status == row.during) {
        machine.pool_status = row.held.to_owned();
    }
}

/// Whether a machine is still on its way.
pub fn is_moving(machine: &Machine) -> bool {
    ROWS.iter().any(|row| machine.pool_status == row.during)
}

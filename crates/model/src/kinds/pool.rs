//! Pools of machines (API §10.21).

use crate::check;
use crate::kind::{Behaviour, Index};
use crate::parts::{PoolAction, PoolAutoFill};
use crate::shape::wire;
use crate::{Kind, Problems, View};

wire! {
    /// A group of machines that can be allocated. A pool also exists without its object, as soon as a machine names it.
    object Pool {
        /// Unique id.
        id: String = "Id",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// The pool that machines come from and go back to; `default` when empty.
        parent_pool: String = "ParentPool" omitted,
        /// What happens to a machine that enters.
        enter_actions: PoolAction = "EnterActions" omitted,
        /// What happens to a machine that leaves.
        exit_actions: PoolAction = "ExitActions" omitted,
        /// What happens to a machine that is allocated.
        allocate_actions: PoolAction = "AllocateActions" omitted,
        /// What happens to a machine that is released.
        release_actions: PoolAction = "ReleaseActions" omitted,
        /// How the pool keeps machines in stock.
        auto_fill: PoolAutoFill = "AutoFill" omitted,
    }
}

impl Behaviour for Pool {
    const KEY: &'static str = "Id";
    const INDEXES: &'static [Index] = &[
        Index::text("Id").unique(),
        Index::text("ParentPool").refers(Kind::Pool),
        Index::text("Description"),
        Index::text("Documentation"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Id", &self.id);
        if !self.parent_pool.is_empty() {
            check::name(problems, "Invalid ParentPool", &self.parent_pool);
        }
        for (what, action) in self.actions() {
            check_action(problems, what, action);
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        for (what, action) in self.actions() {
            if !action.workflow.is_empty() && view.record(Kind::Workflow, &action.workflow).is_none() {
                errors.push(format!("{what}Actions: Workflow {} does not exist", action.workflow));
            }
        }
    }
}

impl Pool {
    fn actions(&self) -> [(&'static str, &PoolAction); 4] {
        [
            ("Enter", &self.enter_actions),
            ("Exit", &self.exit_actions),
            ("Allocate", &self.allocate_actions),
            ("Release", &self.release_actions),
        ]
    }
}

fn check_action(problems: &mut Problems, what: &str, action: &PoolAction) {
    if !action.workflow.is_empty() {
        check::name(problems, &format!("Invalid {what}Actions Workflow"), &action.workflow);
    }
    for profile in &action.add_profiles {
        check::name(problems, &format!("Invalid {what}Actions Add Profile"), profile);
    }
    for profile in &action.remove_profiles {
        check::name(problems, &format!("Invalid {what}Actions Remove Profile"), profile);
    }
    check::param_keys(problems, &action.add_parameters);
    for param in &action.remove_parameters {
        check::param_name(problems, "Invalid Param Name", param);
    }
}

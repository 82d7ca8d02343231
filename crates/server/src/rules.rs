//! The engines' rules for objects that are about to be stored, composed for `state`.

use std::sync::Arc;

use gantry_boot::Renderer;
use gantry_boot::rules::TemplateRules;
use gantry_model::{Machine, Problems, Rules, Saving};
use gantry_workflow::change::{self, Defaults, Force};

/// The rules of all engines, in the order in which they are asked.
pub(crate) fn all(renderer: &Arc<Renderer>) -> Arc<dyn Rules> {
    let rules: Vec<Arc<dyn Rules>> = vec![Arc::new(Workflow), Arc::new(TemplateRules(renderer.clone()))];
    Arc::new(rules)
}

/// What `workflow` says about machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workflow;

impl Rules for Workflow {
    fn complete_machine(
        &self,
        saving: &Saving<'_>,
        before: Option<&Machine>,
        machine: &mut Machine,
        problems: &mut Problems,
    ) {
        let view = saving.view;
        let done = match before {
            None => {
                let [workflow, stage, boot_env] =
                    ["defaultWorkflow", "defaultStage", "defaultBootEnv"].map(|name| view.preference(name));
                let defaults = Defaults { workflow: &workflow, stage: &stage, boot_env: &boot_env };
                change::created(view, machine, defaults)
            }
            Some(before) => {
                let force = if saving.how.force { Force::Yes } else { Force::No };
                change::updated(view, before, machine, force)
            }
        };
        if let Err(faults) = done {
            faults.into_iter().for_each(|fault| problems.add(fault));
        }
    }
}

//! Workflows: lists of stages (API §10.7).

use crate::check;
use crate::kind::{Behaviour, Index};
use crate::shape::wire;
use crate::{Kind, Problems, View};

wire! {
    /// A list of stages that a machine goes through.
    object Workflow {
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// The stages in order.
        stages: Vec<String> = "Stages",
    }
}

impl Behaviour for Workflow {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::list("Stages").refers(Kind::Stage),
        Index::text("Description"),
        Index::text("Documentation"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        for stage in &self.stages {
            check::name(problems, "Invalid Stage", stage);
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        for stage in &self.stages {
            match view.record(Kind::Stage, stage) {
                None => errors.push(format!("Stage {stage} does not exist")),
                Some(record) if !record.derived().available() => {
                    errors.push(format!("Workflow {} wants Stage {stage}, which is not available", self.name));
                }
                Some(_) => {}
            }
        }
    }
}

//! Contexts: where tasks of a machine run when not on the machine itself (API §10.19).

use crate::Problems;
use crate::check;
use crate::kind::{Behaviour, Index};
use crate::shape::wire;

wire! {
    /// A place outside the machine, such as a container, whose agent runs the machine's tasks.
    object Context {
        /// Unique name.
        name: String = "Name",
        /// The image that the engine starts.
        image: String = "Image",
        /// The plugin that starts it.
        engine: String = "Engine",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
    }
}

impl Behaviour for Context {
    const INDEXES: &'static [Index] = &[Index::text("Name").unique(), Index::text("Engine"), Index::text("Image")];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
    }
}

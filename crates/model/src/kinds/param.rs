//! Parameter definitions: what a parameter means and which values it takes (API §10.3).

use serde_json::Value;

use crate::check;
use crate::kind::{Behaviour, Index};
use crate::shape::wire;
use crate::{Problems, View, schema};

wire! {
    /// The definition of a parameter. Parameters without a definition may be set too, to anything.
    object Param {
        /// Unique name; may contain slashes.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// Whether values are stored sealed.
        secure: bool = "Secure",
        /// A JSON schema for values; its `default` is the value where nothing sets one.
        schema: Value = "Schema",
    }
}

impl Param {
    /// The value where nothing sets one.
    #[must_use]
    pub fn default_value(&self) -> Option<&Value> {
        self.schema.as_object()?.get("default")
    }

    /// What is wrong with the schema or its default, each after the name.
    fn definition_problems(&self) -> impl Iterator<Item = String> {
        let mut problems = Problems::default();
        schema::check_definition(&self.schema, &mut problems);
        problems.into_vec().into_iter().map(|problem| format!("{}: {problem}", self.name))
    }

    /// The schema's `type`, when it is one word.
    #[must_use]
    pub fn schema_type(&self) -> &str {
        self.schema.get("type").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Behaviour for Param {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::flag("Secure"),
        Index::text("Description"),
        Index::text("Documentation"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::param_name(problems, "Invalid Name", &self.name);
    }

    fn cross(&self, cross: &check::Cross<'_>, problems: &mut Problems) {
        if cross.changed("Schema") {
            self.definition_problems().for_each(|problem| problems.add(problem));
        }
    }

    /// A definition in a pack may be wrong, and some that are shipped are: the pack is of use all the same.
    fn derive(&self, _view: &View, errors: &mut Vec<String>) {
        if !self.bundle.is_empty() {
            errors.extend(self.definition_problems());
        }
    }
}

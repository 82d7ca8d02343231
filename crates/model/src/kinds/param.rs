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
        schema::check_definition(&self.schema, problems);
    }

    fn derive(&self, _view: &View, _errors: &mut Vec<String>) {}
}

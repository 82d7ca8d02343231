//! Plugins: configured instances of plugin providers (API §10.16).

use serde_json::{Map, Value};

use crate::check;
use crate::kind::{Behaviour, Index, Shown};
use crate::shape::wire;
use crate::{Kind, Problems};

wire! {
    /// A running instance of a plugin provider, with its parameters.
    object Plugin {
        /// True when `slim` or `params` trimmed the answer. Computed.
        partial: bool = "Partial" derived,
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// Its configuration.
        params: Map<String, Value> = "Params",
        /// The provider that runs it.
        provider: String = "Provider",
        /// What went wrong when it was started; written by the server.
        plugin_errors: Vec<String> = "PluginErrors",
    }
}

impl Behaviour for Plugin {
    const SHOWN: Shown = Shown::Params;
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::list("Params"),
        Index::text("Provider").refers(Kind::PluginProvider),
        Index::text("Description"),
        Index::text("Documentation"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        check::name(problems, "Invalid Provider", &self.provider);
        check::param_keys(problems, &self.params);
    }

    fn cross(&self, cross: &check::Cross<'_>, problems: &mut Problems) {
        check::param_values(cross, &self.params, problems);
    }
}

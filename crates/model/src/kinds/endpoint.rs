//! Endpoints: other servers that this one manages (API §10.22).

use serde_json::{Map, Value};

use crate::check;
use crate::kind::{Behaviour, Index, Shown};
use crate::parts::{Component, ElementAction};
use crate::shape::wire;
use crate::{Plugin, Problems};

wire! {
    /// A provisioning server that is managed from here.
    object Endpoint {
        /// Unique id.
        id: String = "Id",
        /// One line for people.
        description: String = "Description" omitted,
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation" omitted,
        /// How to reach it.
        params: Map<String, Value> = "Params" omitted,
        /// Whether it is connected; written by the manager.
        connection_status: String = "ConnectionStatus" omitted,
        /// The version set that it follows (older form).
        version_set: String = "VersionSet" omitted,
        /// The version sets that it follows.
        version_sets: Vec<String> = "VersionSets" omitted,
        /// Whether changes are made or only reported.
        apply: bool = "Apply" omitted,
        /// The id of its high-availability group.
        ha_id: String = "HaId" omitted,
        /// Its architecture.
        arch: String = "Arch" omitted,
        /// Its operating system.
        os: String = "Os" omitted,
        /// The version of its server.
        drp_version: String = "DRPVersion" omitted,
        /// The version of its user interface.
        drpux_version: String = "DRPUXVersion" omitted,
        /// What it has installed.
        components: Vec<Component> = "Components" omitted,
        /// Its plugins.
        plugins: Vec<Plugin> = "Plugins" omitted,
        /// Its preferences.
        prefs: std::collections::BTreeMap<String, String> = "Prefs" omitted,
        /// The parameters of its global profile.
        global: Map<String, Value> = "Global" omitted,
        /// What remains to be done.
        actions: Vec<ElementAction> = "Actions" omitted,
    }
}

impl Behaviour for Endpoint {
    const KEY: &'static str = "Id";
    const SHOWN: Shown = Shown::Params;
    const INDEXES: &'static [Index] = &[
        Index::text("Id").unique(),
        Index::text("HaId"),
        Index::text("Description"),
        Index::list("Params"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::endpoint_name(problems, "Invalid Id", &self.id);
        check::param_keys(problems, &self.params);
    }

    fn cross(&self, cross: &check::Cross<'_>, problems: &mut Problems) {
        check::param_values(cross, &self.params, problems);
    }
}

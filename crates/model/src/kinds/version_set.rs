//! Version sets: what an endpoint shall have installed (API §10.22).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::kind::{Behaviour, Index};
use crate::parts::{Component, FileData};
use crate::shape::wire;
use crate::{Plugin, Problems, check};

wire! {
    /// A set of versions, files and settings that endpoints follow.
    object VersionSet {
        /// Unique id.
        id: String = "Id",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// One line for people.
        description: String = "Description",
        /// Whether changes are made or only reported.
        apply: bool = "Apply",
        /// The version of the server.
        drp_version: String = "DRPVersion",
        /// The version of the user interface.
        drpux_version: String = "DRPUXVersion",
        /// What is installed.
        components: Vec<Component> = "Components",
        /// The plugins.
        plugins: Vec<Plugin> = "Plugins",
        /// The preferences.
        prefs: BTreeMap<String, String> = "Prefs",
        /// The files.
        files: Vec<FileData> = "Files",
        /// The parameters of the global profile.
        global: Map<String, Value> = "Global",
    }
}

impl Behaviour for VersionSet {
    const KEY: &'static str = "Id";
    const INDEXES: &'static [Index] = &[Index::text("Id").unique()];

    fn check(&self, problems: &mut Problems) {
        check::number_name(problems, "Invalid Id", &self.id);
    }
}

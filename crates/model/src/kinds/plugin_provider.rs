//! Plugin providers: the programs that plugins run (API §10.17). Written by the server when a provider is installed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kind::{Behaviour, Home, Index, Verbs};
use crate::shape::wire;

wire! {
    /// An action that a plugin offers on objects.
    part AvailableAction {
        /// The provider that offers it.
        provider: String = "Provider",
        /// The kind of object that it acts on; empty for the plugin itself.
        model: String = "Model",
        /// The word to call it by.
        command: String = "Command",
        /// Parameters that it needs.
        required_params: Vec<String> = "RequiredParams",
        /// Parameters that it understands.
        optional_params: Vec<String> = "OptionalParams",
    }
}

wire! {
    /// A program that provides plugins.
    object PluginProvider {
        /// Unique name.
        name: String = "Name",
        /// Its version.
        version: String = "Version",
        /// The version of the plugin protocol that it speaks.
        plugin_version: i64 = "PluginVersion",
        /// Whether an instance is made when it is installed.
        auto_start: bool = "AutoStart",
        /// Whether it wants events (older form).
        has_publish: bool = "HasPublish",
        /// What it can do.
        available_actions: Vec<AvailableAction> = "AvailableActions",
        /// Parameters that its plugins need.
        required_params: Vec<String> = "RequiredParams",
        /// Parameters that its plugins understand.
        optional_params: Vec<String> = "OptionalParams",
        /// Kinds of objects that it brings, with their schemas.
        store_objects: BTreeMap<String, Value> = "StoreObjects",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// The content pack that it brings, as YAML.
        content: String = "Content",
    }
}

impl Behaviour for PluginProvider {
    const HOME: Home = Home::ReadMostly;
    const VERBS: Verbs = Verbs::READ_DELETE;
    const INDEXES: &'static [Index] = &[Index::text("Name").unique().internal()];
}

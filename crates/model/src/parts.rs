//! Parts that several kinds are made of: template references, DHCP options, pool actions.

use serde_json::{Map, Value};

use crate::shape::wire;

wire! {
    /// One file that a boot environment, stage or task renders.
    part TemplateInfo {
        /// What the file is, unique within its owner; loaders and tools go by it.
        name: String = "Name",
        /// Where the file appears, itself a template.
        path: String = "Path",
        /// A path template of another file of the tree; this one is then an alias of it.
        link: String = "Link",
        /// The template object that holds the text.
        id: String = "ID",
        /// The text itself, instead of an ID.
        contents: String = "Contents",
        /// Free values; `OS` lists the operating systems that a task's template is for.
        meta: std::collections::BTreeMap<String, String> = "Meta",
    }
}

wire! {
    /// A DHCP option: its code and its value, which is a template in the option's text form.
    part DhcpOption {
        /// The option's number.
        code: i64 = "Code" byte,
        /// The value in text form; the engine packs it by the option's type.
        value: String = "Value",
    }
}

wire! {
    /// What happens to a machine when it enters or leaves a pool, or is allocated or released.
    part PoolAction {
        /// The workflow to start.
        workflow: String = "Workflow" omitted,
        /// Profiles to add.
        add_profiles: Vec<String> = "AddProfiles" omitted,
        /// Parameters to set.
        add_parameters: Map<String, Value> = "AddParameters" omitted,
        /// Profiles to remove.
        remove_profiles: Vec<String> = "RemoveProfiles" omitted,
        /// Parameters to remove.
        remove_parameters: Vec<String> = "RemoveParameters" omitted,
    }
}

wire! {
    /// How a pool keeps machines in stock.
    part PoolAutoFill {
        /// Whether it does.
        use_auto_fill: bool = "UseAutoFill" omitted,
        /// Below so many free machines it acquires some.
        min_free: i64 = "MinFree" omitted,
        /// Above so many free machines it returns some.
        max_free: i64 = "MaxFree" omitted,
        /// Parameters for creating machines.
        create_parameters: Map<String, Value> = "CreateParameters" omitted,
        /// The pool to take machines from.
        acquire_pool: String = "AcquirePool" omitted,
        /// The pool to give machines back to.
        return_pool: String = "ReturnPool" omitted,
    }
}

wire! {
    /// A component of a version set or of an endpoint.
    part Component {
        /// Its kind: `ContentPackage`, `PluginProvider`, ...
        kind: String = "Type",
        /// The version asked for.
        version: String = "Version",
        /// Its name.
        name: String = "Name",
        /// The version that was found.
        actual_version: String = "ActualVersion",
    }
}

wire! {
    /// A file that a version set places.
    part FileData {
        /// Where.
        path: String = "Path",
        /// Its checksum, hex.
        sha256_sum: String = "Sha256Sum",
        /// Where it is fetched from.
        source: String = "Source",
        /// Whether it is an archive to be unpacked.
        explode: bool = "Explode",
    }
}

wire! {
    /// A step that an endpoint still has to take.
    part ElementAction {
        /// The kind of the element.
        kind: String = "Type",
        /// The version asked for.
        version: String = "Version",
        /// Its name.
        name: String = "Name",
        /// The version found.
        actual_version: String = "ActualVersion",
        /// The element itself.
        element: Value = "Element",
        /// What to do.
        action: String = "Action",
        /// With which value.
        value: Value = "Value",
    }
}

wire! {
    /// One thing that a role allows.
    part Claim {
        /// Prefixes of kinds, comma separated, or `*`.
        scope: String = "scope",
        /// Actions, comma separated, or `*`.
        action: String = "action",
        /// Keys, comma separated, or `*`.
        specific: String = "specific",
    }
}

//! Content packs as the API shows them (API §12.2). Layers themselves are [`crate::Layer`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kind::{Behaviour, Envelope, Home, Shown, Verbs};
use crate::shape::wire;

wire! {
    /// The metadata of a content pack.
    part ContentMeta {
        /// Unique name of the pack.
        name: String = "Name",
        /// Its version, semantic.
        version: String = "Version",
        /// One line for people.
        description: String = "Description",
        /// Where it comes from.
        source: String = "Source",
        /// Longer text for people.
        documentation: String = "Documentation",
        /// Features that the server must have, comma separated.
        required_features: String = "RequiredFeatures",
        /// Packs that must be present: `name: range`, comma separated.
        prerequisites: String = "Prerequisites",
        /// For user interfaces.
        color: String = "Color",
        /// For user interfaces.
        icon: String = "Icon",
        /// Who wrote it.
        author: String = "Author",
        /// Its name for people.
        display_name: String = "DisplayName",
        /// Its licence.
        license: String = "License",
        /// Whose work it is.
        copyright: String = "Copyright",
        /// Where the source text is.
        code_source: String = "CodeSource",
        /// A hint for sorting.
        order: String = "Order",
        /// Words to find it by.
        tags: String = "Tags",
        /// Where the manual is.
        doc_url: String = "DocUrl",
        /// `writable`, `local`, `default`, `dynamic`, `plugin` or `basic`.
        kind: String = "Type",
        /// True for the store itself.
        writable: bool = "Writable",
        /// True when other layers may shadow its objects.
        overwritable: bool = "Overwritable",
    }
}

wire! {
    /// A content pack: its metadata and its objects by prefix and key.
    part Content {
        /// The pack's name, which is its key.
        name: String = "Name" derived,
        /// The metadata.
        meta: ContentMeta = "meta",
        /// The objects.
        sections: BTreeMap<String, BTreeMap<String, Value>> = "sections",
    }
}

impl Envelope for Content {}

impl Behaviour for Content {
    const HOME: Home = Home::Computed;
    const VERBS: Verbs = Verbs::NONE;
    const SHOWN: Shown = Shown::Bare;
}

//! Catalog items: what can be installed on an endpoint, and from where (API §10.22).

use std::collections::BTreeMap;

use crate::kind::{Behaviour, Index, Shown};
use crate::shape::wire;

wire! {
    /// A content pack, plugin provider or program that can be installed, with its source.
    object CatalogItem {
        /// Unique id.
        id: String = "Id",
        /// Always `catalog_items`.
        kind: String = "Type",
        /// The name of what is installed.
        name: String = "Name",
        /// The version that `tip` or `stable` stands for.
        actual_version: String = "ActualVersion",
        /// The version as asked for.
        version: String = "Version",
        /// `ContentPackage`, `PluginProvider`, `DRP`, `DRPUX` or `DRPCLI`.
        content_type: String = "ContentType",
        /// Where it can be had.
        source: String = "Source",
        /// Checksums in hex, by `arch/os`.
        shasum256: BTreeMap<String, String> = "Shasum256",
        /// A source whose text needs no filter.
        nojq_source: String = "NOJQSource",
        /// The newest development version.
        tip: bool = "Tip",
        /// A repaired version.
        hot_fix: bool = "HotFix",
    }
}

impl Behaviour for CatalogItem {
    const KEY: &'static str = "Id";
    const SHOWN: Shown = Shown::NoBundle;
    const INDEXES: &'static [Index] = &[Index::text("Id").unique()];

    fn fill(object: &mut serde_json::Map<String, serde_json::Value>, _fill: &crate::check::Fill<'_>) {
        object.insert("Type".to_owned(), "catalog_items".into());
    }

    fn check(&self, problems: &mut crate::Problems) {
        crate::check::number_name(problems, "Invalid Id", &self.id);
    }
}

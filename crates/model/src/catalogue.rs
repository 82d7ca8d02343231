//! What lies beside the objects: uploaded files, ISOs, unpacked trees. A list of names for checks and templates; the bytes
//! are the shell's. It is computed from the file store and put into the View by `state`, never stored.

use std::collections::BTreeMap;

/// Files that can be served, by path from the root of the file tree without a leading slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Size in bytes by path, such as `files/jq`, `isos/debian-12.iso`, `debian-12/install/vmlinuz`.
    pub files: BTreeMap<String, u64>,
    /// The digest of the archive that each directory was unpacked from, by directory, such as `debian-12/install`.
    pub trees: BTreeMap<String, String>,
    /// True once somebody has looked. Before that, nothing that is not listed is called missing.
    pub complete: bool,
}

impl Catalogue {
    /// True when the file is there.
    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path.trim_start_matches('/'))
    }

    /// True when an archive was unpacked into the directory.
    #[must_use]
    pub fn has_tree(&self, directory: &str) -> bool {
        self.trees.contains_key(directory.trim_matches('/'))
    }
}

//! What lies beside the objects: files that can be served. A list of names for checks and templates; the bytes are the
//! shell's. It is computed from the file store and put into the View by `state`, never stored.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Files that can be served, by path from the root of the file tree without a leading slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Size in bytes by path, such as `files/jq`, `isos/debian-12.iso`, `debian-12/install/vmlinuz`.
    pub files: BTreeMap<String, u64>,
    /// True once somebody has looked. Before that, nothing that is not listed is called missing.
    pub complete: bool,
}

impl Catalogue {
    /// True when the file is there.
    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path.trim_start_matches('/'))
    }

    /// Names of the folders in a folder, whose path ends in a slash. Looks at one file of each, however many lie below.
    pub fn folders<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let mut from = folder.to_owned();
        std::iter::from_fn(move || {
            loop {
                let start = (Bound::Included(from.as_str()), Bound::Unbounded);
                let (path, _) = self.files.range::<str, _>(start).next()?;
                let rest = path.strip_prefix(folder)?;
                if let Some((name, _)) = rest.split_once('/') {
                    // What comes after everything below it, for `0` is the character after `/`.
                    from = format!("{folder}{name}0");
                    return Some(name);
                }
                from = format!("{path}\0");
            }
        })
    }
}

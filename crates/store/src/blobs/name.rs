//! Names of blobs: relative paths that cannot leave the folder.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Error;

/// The longest name, in bytes.
const MAX_NAME: usize = 1024;
/// The longest part of a name between slashes, in bytes: what file systems take.
const MAX_PART: usize = 255;
/// The folder in which this module keeps its own files; no blob's name begins with it.
pub(super) const PRIVATE: &str = ".gantry";

/// A blob's name: parts with `/` between them, such as `isos/debian.iso`.
///
/// No part is empty, `.` or `..`, so a name never leaves its folder; control characters, backslashes and the
/// leading part `.gantry` are refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Checks and takes a name. Leading slashes are not removed: a caller that allows them does so itself.
    ///
    /// # Errors
    /// [`Error::Name`], which says what is wrong with it.
    pub fn new(name: &str) -> Result<Self, Error> {
        match fault(name) {
            Some(fault) => Err(Error::Name { name: name.chars().take(MAX_PART).collect(), fault }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn path(&self) -> &Path {
        Path::new(&*self.0)
    }

    pub(super) fn under(&self, root: &Path) -> PathBuf {
        root.join(self.path())
    }
}

fn fault(name: &str) -> Option<&'static str> {
    if name.len() > MAX_NAME {
        return Some("is longer than 1024 bytes");
    }
    if name.chars().any(|c| c.is_control() || c == '\\') {
        return Some("has a control character or a backslash");
    }
    if name.split('/').next() == Some(PRIVATE) {
        return Some("begins with .gantry, which is reserved");
    }
    name.split('/').find_map(|part| match part {
        "" => Some("has an empty part; it must be a relative path without trailing slash"),
        "." | ".." => Some("has . or .. as a part"),
        _ if part.len() > MAX_PART => Some("has a part longer than 255 bytes"),
        _ => None,
    })
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let long = "a".repeat(256);
        let bad = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "..\\x",
            ".gantry",
            ".gantry/tmp/1",
            &long,
        ];
        for name in bad {
            assert!(Name::new(name).is_err(), "{name:?}");
        }
        for name in
            ["a", "isos/debian 12.iso", "files/ä/b", "tree/.disk/info", "x/.gantry", "...", "%2e%2e/x"]
        {
            assert!(Name::new(name).is_ok(), "{name:?}");
        }
        let error = Name::new("a/../../etc/shadow").unwrap_err().to_string();
        assert_eq!(error, r#"blob name "a/../../etc/shadow" has . or .. as a part"#);
    }
}

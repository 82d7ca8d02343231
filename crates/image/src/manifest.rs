//! `manifest.json`: what lies in an output folder, what it was made of, and how to tell that it is whole.
//!
//! It holds no time and no path of the building host, so two builds of the same inputs have the same manifest.

use crate::Error;
use crate::apt::Deb;
use crate::error::Doing;
use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Name of the manifest in its folder.
pub const NAME: &str = "manifest.json";

/// What a folder of images holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What was built: `discovery`, `loaders` or `debian`.
    pub image: String,
    /// Digest of all inputs: recipe, package versions, options.
    pub inputs: String,
    /// The files, by name.
    pub files: BTreeMap<String, Digest>,
    /// Versions of the packages that they were made of, by name.
    pub packages: BTreeMap<String, String>,
    /// Particulars of the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

/// Size and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// An empty manifest.
    pub fn new(image: &str, inputs: String, debs: &[Deb]) -> Self {
        let packages = debs.iter().map(|deb| (deb.name.clone(), deb.version.clone())).collect();
        Self { image: image.into(), inputs, files: BTreeMap::new(), packages, details: BTreeMap::new() }
    }

    /// Adds a file of the folder `dir`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add(&mut self, dir: &Path, name: &str) -> Result<&Digest, Error> {
        let digest = Digest::of(&dir.join(name))?;
        Ok(self.files.entry(name.into()).insert_entry(digest).into_mut())
    }

    /// Writes the manifest into `dir`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        let file = dir.join(NAME);
        let text = serde_json::to_string_pretty(self).map_err(io::Error::from).doing("write", &file)?;
        fs::write(&file, text + "\n").doing("write", &file)
    }

    /// The manifest of `dir`, when it was made of the same inputs and its files are there with the right sizes.
    pub fn current(dir: &Path, inputs: &str) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(&fs::read(dir.join(NAME)).ok()?).ok()?;
        let whole = manifest
            .files
            .iter()
            .all(|(name, digest)| fs::metadata(dir.join(name)).is_ok_and(|meta| meta.len() == digest.size));
        (manifest.inputs == inputs && whole).then_some(manifest)
    }

    /// Together the sizes of the named files, in bytes.
    pub fn size(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.files.get(*name)).map(|digest| digest.size).sum()
    }
}

impl Digest {
    /// Reads a whole file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let mut sum = Sha256::new();
        let mut file = File::open(path).doing("read", path)?;
        let size = io::copy(&mut file, &mut sum).doing("read", path)?;
        Ok(Self { size, sha256: hex(&sum.finalize()) })
    }
}

/// SHA-256 of a value's JSON form, in hexadecimal: the name of a set of inputs.
pub(crate) fn digest_of(value: &Value) -> String {
    hex(&Sha256::digest(value.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_current_while_inputs_and_files_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "hello").unwrap();
        let mut manifest = Manifest::new("discovery", "i1".into(), &[]);
        let digest = manifest.add(dir.path(), "a").unwrap();
        assert_eq!(digest.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(manifest.size(&["a", "b"]), 5);
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::current(dir.path(), "i1"), Some(manifest));
        assert_eq!(Manifest::current(dir.path(), "i2"), None, "other inputs");
        fs::write(dir.path().join("a"), "hell").unwrap();
        assert_eq!(Manifest::current(dir.path(), "i1"), None, "a file was cut");
        fs::write(dir.path().join(NAME), "{").unwrap();
        assert_eq!(Manifest::current(dir.path(), "i1"), None, "a broken manifest");
    }
}

//! The description of a discovery OS: which kernel, modules, packages and files, and which layers they form.
//!
//! `data/discovery.toml` is built in; its comments are the manual. `gantry image discovery --print-description` prints
//! it, `--description FILE` replaces it, `--extend FILE` adds to it: tables are merged, lists are joined, other values
//! replaced. Unknown fields are refused, so that a misspelt one is not silently without effect.

use crate::Error;
use crate::error::Doing;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The built-in description, as text.
pub const BUILT_IN: &str = include_str!("../data/discovery.toml");

/// The applets of busybox and where their links go: data of the layer's `applets = true`.
pub(crate) const APPLETS: &str = include_str!("../data/applets.txt");

/// The name of the layer that every image has.
pub const BASE: &str = "base";

/// Everything that goes into a discovery OS.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Description {
    /// Kernels to choose from: name to package. A package that only depends on the real one is followed.
    pub kernels: BTreeMap<String, String>,
    /// Layers by name; `base` is always part of the image, the others are separate archives.
    pub layers: BTreeMap<String, Layer>,
}

/// Which kernel modules to take; see [`crate::kmod`] for the form of a selector.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Selection {
    /// These, with everything that they depend on.
    pub include: Vec<String>,
    /// But not these, unless another module depends on them.
    pub exclude: Vec<String>,
}

/// One archive of the image.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Layer {
    /// What the layer is for.
    pub doc: String,
    /// Empty directories and their permission bits, in octal.
    pub directories: BTreeMap<String, String>,
    /// Character devices: path to `[major, minor]`.
    pub devices: BTreeMap<String, (u32, u32)>,
    /// Text files.
    pub files: BTreeMap<String, String>,
    /// Text files that may be executed.
    pub programs: BTreeMap<String, String>,
    /// Symbolic links: path to target.
    pub links: BTreeMap<String, String>,
    /// Packages by name.
    pub packages: BTreeMap<String, Files>,
    /// Kernel modules; an optional layer leaves out what the base layer has.
    pub modules: Selection,
    /// Firmware for the modules of all layers.
    pub firmware: Firmware,
}

/// What to take from a package. Shared libraries that programs need come by themselves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Files {
    /// Paths of files and directories, `*` within a component. Each must match something.
    pub take: Vec<String>,
    /// Files made by joining others in order of their names: path to pattern.
    pub join: BTreeMap<String, String>,
    /// Whether the links of all busybox applets are made, where nothing else of the name is.
    pub applets: bool,
}

/// Firmware files: those that the selected modules name and these packages have.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Firmware {
    /// The packages.
    pub packages: Vec<String>,
    /// Files to leave out, relative to `/lib/firmware`, `*` within a component; a directory stands for all in it.
    pub exclude: Vec<String>,
}

impl Description {
    /// The built-in description, or the one in `replace`, with the files of `extend` merged into it in order.
    ///
    /// # Errors
    /// When a file cannot be read, is not TOML, has an unknown field or lacks the base layer.
    pub fn load(replace: Option<&Path>, extend: &[&Path]) -> Result<Self, Error> {
        let (origin, mut table) = match replace {
            None => ("built in".to_owned(), parse(BUILT_IN, "built in")?),
            Some(file) => (file.display().to_string(), read(file)?),
        };
        for file in extend {
            merge(&mut table, read(file)?);
        }
        let origin = extend.iter().fold(origin, |all, file| format!("{all} + {}", file.display()));
        let fault = |reason: String| Error::Description { origin: origin.clone(), reason };
        let description = Self::deserialize(table).map_err(|error| fault(error.to_string()))?;
        description.check().map_err(fault)?;
        Ok(description)
    }

    /// The layer called `name`.
    ///
    /// # Errors
    /// [`Error::Description`] with the names that there are.
    pub fn layer(&self, name: &str) -> Result<&Layer, Error> {
        self.layers.get(name).ok_or_else(|| unknown("layer", name, self.layers.keys()))
    }

    /// The package of the kernel called `name`.
    ///
    /// # Errors
    /// [`Error::Description`] with the names that there are.
    pub fn kernel(&self, name: &str) -> Result<&str, Error> {
        self.kernels.get(name).map(String::as_str).ok_or_else(|| unknown("kernel", name, self.kernels.keys()))
    }

    fn check(&self) -> Result<(), String> {
        if !self.layers.contains_key(BASE) {
            return Err("layers: the layer `base` is missing".into());
        }
        for (name, layer) in &self.layers {
            for (path, mode) in &layer.directories {
                permissions(mode).ok_or_else(|| {
                    format!("layers.{name}.directories.{path:?}: {mode:?} is no octal mode such as \"755\"")
                })?;
            }
            let relative = layer.paths().find(|path| !path.starts_with('/'));
            if let Some(path) = relative {
                return Err(format!("layers.{name}: the path {path:?} must begin with a slash"));
            }
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(format!("layers: {name:?} must consist of letters, digits and dashes"));
            }
        }
        Ok(())
    }
}

impl Layer {
    fn paths(&self) -> impl Iterator<Item = &String> {
        let taken = self.packages.values().flat_map(|files| files.take.iter().chain(files.join.keys()));
        let made = self.files.keys().chain(self.programs.keys()).chain(self.links.keys());
        made.chain(self.directories.keys()).chain(self.devices.keys()).chain(taken)
    }
}

/// Permission bits from octal text.
pub(crate) fn permissions(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known: Vec<_> = known.map(String::as_str).collect();
    Error::Description {
        origin: "in use".into(),
        reason: format!("there is no {what} {name:?}; there are: {}", known.join(", ")),
    }
}

fn read(file: &Path) -> Result<toml::Table, Error> {
    parse(&fs::read_to_string(file).doing("read", file)?, &file.display().to_string())
}

fn parse(text: &str, origin: &str) -> Result<toml::Table, Error> {
    text.parse().map_err(|error: toml::de::Error| Error::Description {
        origin: origin.into(),
        reason: error.to_string(),
    })
}

/// Merges tables, joins lists, replaces everything else.
fn merge(base: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Array(new)) => old.extend(new),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, more: &[&str]) -> Result<Description, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: String, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let base = file("base.toml".into(), text);
        let more: Vec<_> = more.iter().enumerate().map(|(n, text)| file(format!("{n}.toml"), text)).collect();
        let more: Vec<_> = more.iter().map(std::path::PathBuf::as_path).collect();
        Description::load(Some(&base), &more).map_err(|error| error.to_string())
    }

    const SMALL: &str =
        "[kernels]\nk = 'linux'\n[layers.base]\nmodules.include = ['a']\n[layers.base.files]\n'/x' = '1'\n";

    #[test]
    fn the_built_in_description_is_right() {
        let description = Description::load(None, &[]).unwrap();
        assert_eq!(description.kernel("generic").unwrap(), "linux-image-amd64");
        let base = description.layer(BASE).unwrap();
        assert!(base.packages.contains_key("busybox-static"));
        assert!(
            description.layers.values().all(|layer| !layer.doc.is_empty()),
            "every layer says what it is for"
        );
    }

    #[test]
    fn applets_are_paths_and_sorted() {
        let lines: Vec<_> = APPLETS.lines().collect();
        assert!(lines.len() > 200 && lines.is_sorted());
        assert!(lines.iter().all(|line| line.starts_with('/')));
        assert!(lines.contains(&"/bin/sh") && lines.contains(&"/sbin/modprobe"));
    }

    #[test]
    fn extensions_join_lists_and_merge_tables() {
        let more = "[layers.base]\nmodules.include = ['b']\n[layers.base.files]\n'/y' = '2'\n'/x' = '3'\n[layers.mine]\ndoc = 'd'\n";
        let description = load(SMALL, &[more]).unwrap();
        assert_eq!(description.layers["base"].modules.include, ["a", "b"]);
        let files: Vec<_> = description.layers["base"].files.iter().map(|(k, v)| format!("{k}{v}")).collect();
        assert_eq!(files, ["/x3", "/y2"]);
        assert!(description.layer("mine").is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, part: &str| {
            let error = load(SMALL, &[text]).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("[layers.base]\npackages.x.tak = ['/a']", "unknown field `tak`");
        check("[layers.base.links]\n'a' = 'b'", "the path \"a\" must begin with a slash");
        check("[layers.base.directories]\n'/a' = '999'", "\"999\" is no octal mode");
        check("[layers.'a/b']\n", "letters, digits and dashes");
        check("[", "TOML parse error");
        assert!(load("[kernels]\n[layers]\n", &[]).unwrap_err().contains("`base` is missing"));
        let error = load(SMALL, &[]).unwrap().layer("lvm").unwrap_err().to_string();
        assert!(error.contains("there are: base"), "{error}");
    }
}

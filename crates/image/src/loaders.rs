//! Stages the boot loaders: `gantry image loaders`.
//!
//! `data/loaders.toml` says which file of which Debian package stands behind each name that machines ask for. The
//! folder made here is what the server offers at the root of its file tree by TFTP and HTTP. `manifest.json` names the
//! packages' versions and, under `absent`, what DRP would serve and Debian does not have.

use crate::apt::{Apt, Refresh};
use crate::error::Doing;
use crate::libs::Pool;
use crate::manifest::{Manifest, digest_of};
use crate::{Error, Progress};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

const BUILT_IN: &str = include_str!("../data/loaders.toml");

/// Where to put the loaders.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the results.
    pub out: PathBuf,
    /// Folder for packages.
    pub cache: PathBuf,
    /// When to fetch the package index.
    pub refresh: Refresh,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    package: Vec<Package>,
    absent: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    name: String,
    files: BTreeMap<String, String>,
}

/// Fetches the packages and copies the loaders, or finds that the folder already holds them.
///
/// # Errors
/// When a package or a file in it is not to be had, or the folder cannot be written.
pub fn build(options: &Options, progress: &dyn Progress) -> Result<Manifest, Error> {
    let out = &options.out;
    fs::create_dir_all(out).doing("create", out)?;
    let list = list()?;
    let apt = Apt::open(&options.cache.join("apt"), options.refresh, progress)?;
    let names: BTreeSet<_> = list.package.iter().map(|package| package.name.clone()).collect();
    let debs = apt.resolve(&names)?;
    let sums: Vec<_> = debs.iter().map(|deb| &deb.sha256).collect();
    let mut manifest = Manifest::new("loaders", digest_of(&json!({"list": list, "packages": sums})), &debs);
    if let Some(current) = Manifest::current(out, &manifest.inputs) {
        progress.step("nothing to do: the loaders are up to date");
        return Ok(current);
    }
    let packages = apt.unpack(&debs, progress)?;
    progress.step("staging boot loaders");
    let pool = Pool::new(&packages);
    for (name, path) in list.package.iter().flat_map(|package| &package.files) {
        let from = pool.find(path).ok_or_else(|| Error::Missing {
            what: path.clone(),
            wanted_by: format!("the loader {name} is made of it"),
        })?;
        let to = out.join(name);
        fs::write(&to, fs::read(&from).doing("read", &from)?).doing("write", &to)?;
        manifest.add(out, name)?;
    }
    manifest.details.insert("absent".into(), json!(list.absent));
    manifest.write(out)?;
    Ok(manifest)
}

fn list() -> Result<List, Error> {
    toml::from_str(BUILT_IN)
        .map_err(|error| Error::Description { origin: "loaders.toml".into(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_machines_ask_for_are_there() {
        let list = list().unwrap();
        let names: BTreeSet<_> = list.package.iter().flat_map(|package| package.files.keys()).collect();
        for name in ["lpxelinux.0", "ldlinux.c32", "ipxe.pxe", "ipxe.efi", "undionly.kpxe", "snponly.efi"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert!(list.absent.keys().all(|name| !names.contains(name)));
    }

    #[test]
    fn names_are_plain_and_paths_absolute() {
        for (name, path) in list().unwrap().package.iter().flat_map(|package| &package.files) {
            assert!(!name.contains('/') && path.starts_with('/'), "{name} {path}");
        }
    }
}

//! The unpacked tree that a machine's operating system is installed from, found among the files of all boot environments.
//!
//! The environment that a machine is in need not be the one that installs its system: a task that writes the list of
//! repositories runs in `local` or in the discovery system. So any environment of the same operating system counts, the first
//! by name, whose kernel and initial ram disks for the machine's architecture lie in its directory.

use std::sync::Arc;

use gantry_model::{BootEnv, Catalogue};

use crate::repo::Style;
use crate::scene::Scene;

/// The suite that DRP looks for, and the components that it has by DRP, whatever they are.
const STABLE: &str = "stable";
const STABLE_COMPONENTS: [&str; 2] = ["main", "restricted"];

/// Where the tree is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct InstallTree {
    /// The boot environment whose files they are.
    pub(crate) env: String,
    /// Below the root of the file tree, without leading slash.
    pub(crate) directory: String,
    /// For systems that install with apt: what the tree has packages of. Kernels without packages are no tree.
    pub(crate) suite: Option<Suite>,
}

/// A suite of packages for apt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Suite {
    /// Its folder below `dists`.
    pub(crate) name: String,
    /// Its parts.
    pub(crate) components: Vec<String>,
}

impl InstallTree {
    /// Looks for it. Notes nothing.
    pub(crate) fn find(scene: &Scene) -> Option<Self> {
        let machine = scene.cast_machine()?;
        let own = scene.cast_env();
        let os = match own {
            // Systems that nobody installs packages on, such as discovery's, are not the machine's for being booted.
            Some(env) if machine.os.is_empty() && Style::of_os(&env.os.name).is_some() => &env.os.name,
            _ => &machine.os,
        };
        if os.is_empty() {
            return None;
        }
        scene.view().objects::<BootEnv>().find_map(|env| {
            // The machine's own one may be customised.
            let env = own.filter(|own| own.name == env.name).cloned().map_or(env, Arc::new);
            (env.os.name == *os).then(|| Self::of(scene, &env)).flatten()
        })
    }

    fn of(scene: &Scene, env: &BootEnv) -> Option<Self> {
        let arch = scene.arch();
        if !scene.view().has_boot_files(env, arch) {
            return None;
        }
        let tree = Self { env: env.name.clone(), directory: env.file_path(arch, ""), suite: None };
        if Style::of_os(&env.os.name) != Some(Style::Apt) {
            return Some(tree);
        }
        let suite = Suite::find(scene.view().catalogue(), &tree.directory)?;
        Some(Self { suite: Some(suite), ..tree })
    }
}

impl Suite {
    /// `stable` when there is one, else the first that has a `Release`.
    fn find(catalogue: &Catalogue, directory: &str) -> Option<Self> {
        let dists = format!("{directory}/dists/");
        let is_released = |suite: &&str| catalogue.has_file(&format!("{dists}{suite}/Release"));
        let stable = Some(STABLE).filter(is_released);
        let name = stable.or_else(|| catalogue.folders(&dists).find(is_released))?;
        let mut components = Vec::new();
        if name != STABLE {
            components = components_in(catalogue, &format!("{dists}{name}/"));
        }
        if components.is_empty() {
            components = STABLE_COMPONENTS.map(str::to_owned).into();
        }
        Some(Self { name: name.to_owned(), components })
    }
}

/// The folders of a suite that have packages.
fn components_in(catalogue: &Catalogue, suite: &str) -> Vec<String> {
    let has_packages = |part: &&str| {
        let part = format!("{suite}{part}/");
        catalogue.folders(&part).any(|folder| folder.starts_with("binary-"))
    };
    catalogue.folders(suite).filter(has_packages).map(str::to_owned).collect()
}

//! The unpacked tree that a machine's operating system is installed from, found among the files of all boot environments.
//!
//! The environment that a machine is in need not be the one that installs its system: a task that writes the list of
//! repositories runs in `local` or in the discovery system. So any environment of the same operating system counts, the first
//! by name, whose kernel and initial ram disks for the machine's architecture lie in its directory.

use std::sync::Arc;

use gantry_model::{BootEnv, Catalogue};

use crate::repo::Style;
use crate::scene::Scene;

/// Where the tree is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct InstallTree {
    /// The boot environment whose files they are.
    pub(crate) env: String,
    /// Below the root of the file tree, without leading slash.
    pub(crate) directory: String,
    /// For systems that install with apt: the suite that the tree has packages of. Kernels without packages are no tree.
    pub(crate) suite: Option<String>,
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
        let suite = suite(scene.view().catalogue(), &tree.directory)?;
        Some(Self { suite: Some(suite), ..tree })
    }
}

/// `stable` when there is one, else the first that has a `Release`.
fn suite(catalogue: &Catalogue, directory: &str) -> Option<String> {
    let dists = format!("{directory}/dists/");
    let is_released = |suite: &&str| catalogue.has_file(&format!("{dists}{suite}/Release"));
    let stable = Some("stable").filter(is_released);
    stable.or_else(|| catalogue.folders(&dists).find(is_released)).map(str::to_owned)
}

//! The files beside the objects: a View with another catalogue, and whether a boot environment has its kernel.

use std::sync::Arc;

use serde_json::Value;

use super::View;
use super::apply::{Change, Draft};
use crate::{BootEnv, Catalogue, Kind, check, params};

/// The parameter that says where operating systems are installed from.
pub(crate) const REPOSITORIES: &str = "package-repositories";

impl View {
    /// The same View with another catalogue. Boot environments find or miss their files by it, and machines follow.
    #[must_use]
    pub fn with_catalogue(&self, catalogue: Arc<Catalogue>) -> Self {
        if Arc::ptr_eq(&self.catalogue, &catalogue) {
            return self.clone();
        }
        self.recatalogued(catalogue).0
    }

    /// [`View::with_catalogue`], and what changed by it.
    #[must_use]
    pub fn recatalogued(&self, catalogue: Arc<Catalogue>) -> (Self, Vec<Change>) {
        let before = self.clone();
        let mut draft = Draft::new(self, self.revision);
        draft.view.catalogue = catalogue;
        for record in before.records(Kind::BootEnv) {
            let env = record.typed::<BootEnv>();
            if before.unbootable(&env) != draft.view.unbootable(&env) {
                draft.reconsider_boot_env(record.key());
            }
        }
        draft.finish()
    }

    /// The architectures that an environment means to boot and cannot, each with what is missing; none without a catalogue.
    #[must_use]
    pub fn unbootable(&self, env: &BootEnv) -> Vec<(String, Vec<String>)> {
        let arches = env.boot_arches().into_iter();
        let missing = arches.map(|arch| (arch.to_owned(), self.missing_files(env, arch)));
        missing.filter(|(_, missing)| !missing.is_empty()).collect()
    }

    /// Kernel and initial ram disks that an architecture needs and that are neither here nor reachable in a repository, one
    /// sentence for each (API §10.1).
    #[must_use]
    pub fn missing_files(&self, env: &BootEnv, arch: &str) -> Vec<String> {
        if !self.catalogue.complete || env.kernel_for(arch).is_empty() || env.os.name.is_empty() {
            return Vec::new();
        }
        let missing: Vec<String> = self
            .absent_files(env, arch)
            .map(|(what, file, path)| {
                format!("bootenv: {}: missing {what} {file} (/{path}) for arch {arch}", env.name)
            })
            .collect();
        if missing.is_empty() || self.has_install_source(&env.os.name, arch) { Vec::new() } else { missing }
    }

    /// True when the kernel and every initial ram disk of an architecture lie in the environment's own directory.
    #[must_use]
    pub fn has_boot_files(&self, env: &BootEnv, arch: &str) -> bool {
        !env.kernel_for(arch).is_empty() && self.absent_files(env, arch).next().is_none()
    }

    /// What a file is for, its name and its path, of those that are not here.
    fn absent_files<'a>(
        &'a self,
        env: &'a BootEnv,
        arch: &'a str,
    ) -> impl Iterator<Item = (&'static str, &'a str, String)> {
        let files = std::iter::once(("kernel", env.kernel_for(arch)))
            .chain(env.initrds_for(arch).iter().map(|initrd| ("initrd", initrd.as_str())));
        files
            .map(move |(what, file)| (what, file, env.file_path(arch, file)))
            .filter(|(_, _, path)| !self.catalogue.has_file(path))
    }

    /// True when a repository of profile `global` or of the parameter's default installs exactly that operating system: its
    /// boot files are then passed through from there (engine §1.8).
    fn has_install_source(&self, os: &str, arch: &str) -> bool {
        let found = params::lookup(self, &params::global_layers(self), REPOSITORIES);
        let entries = found.map(|(value, _)| value).unwrap_or_default();
        entries.as_array().into_iter().flatten().any(|entry| is_install_source(entry, os, arch))
    }
}

/// True when an entry of `package-repositories` is the install source of exactly this operating system.
#[must_use]
pub fn is_install_source(entry: &Value, os: &str, arch: &str) -> bool {
    let names = entry.get("os").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let own = entry.get("arch").and_then(Value::as_str).unwrap_or_default();
    entry.get("installSource") == Some(&Value::Bool(true))
        && names.len() == 1
        && names[0] == os
        && check::arch::canonical(own) == Some(arch)
}

//! Boot environments: what a machine's firmware gets to run (API §10.1, engine §2).

use std::collections::BTreeMap;

use crate::kind::{Behaviour, Index};
use crate::parts::TemplateInfo;
use crate::shape::wire;
use crate::{Kind, check};
use crate::{Problems, View};

wire! {
    /// What one architecture needs to boot an operating system.
    part ArchInfo {
        /// The file name of the ISO or archive.
        iso_file: String = "IsoFile",
        /// Its SHA-256, hex.
        sha256: String = "Sha256",
        /// Where it can be had.
        iso_url: String = "IsoUrl",
        /// The kernel, relative to the environment's directory.
        kernel: String = "Kernel",
        /// The initial ram disks, likewise.
        initrds: Vec<String> = "Initrds",
        /// The kernel's command line, a template.
        boot_params: String = "BootParams",
        /// The loader that DHCP names.
        loader: String = "Loader",
    }
}

wire! {
    /// The operating system that a boot environment boots or installs.
    part OsInfo {
        /// `family-version`; also the directory of its files.
        name: String = "Name",
        /// Such as `debian`.
        family: String = "Family",
        /// Such as `bookworm`.
        codename: String = "Codename",
        /// Such as `12`.
        version: String = "Version",
        /// The file name of the ISO or archive for amd64.
        iso_file: String = "IsoFile",
        /// Its SHA-256, hex.
        iso_sha256: String = "IsoSha256",
        /// Where it can be had.
        iso_url: String = "IsoUrl",
        /// What other architectures need, by architecture.
        supported_architectures: BTreeMap<String, ArchInfo> = "SupportedArchitectures",
    }
}

wire! {
    /// What a machine's firmware gets to run: kernel, initial ram disks, loader configuration and other rendered files.
    object BootEnv {
        /// Unique name. It ends in `-install` when it installs an operating system.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// The operating system.
        os: OsInfo = "OS",
        /// The files that are rendered for each machine.
        templates: Vec<TemplateInfo> = "Templates",
        /// The kernel, relative to the environment's directory, for architectures that name none.
        kernel: String = "Kernel",
        /// The initial ram disks, likewise.
        initrds: Vec<String> = "Initrds",
        /// The kernel's command line, a template.
        boot_params: String = "BootParams",
        /// Parameters that must have a value on every machine that uses the environment.
        required_params: Vec<String> = "RequiredParams",
        /// Parameters that the templates understand.
        optional_params: Vec<String> = "OptionalParams",
        /// For machines that are not known yet; known ones may not use it.
        only_unknown: bool = "OnlyUnknown",
        /// Loaders by type of machine: `386-pcbios`, `amd64-uefi`, `arm64-uefi`.
        loaders: BTreeMap<String, String> = "Loaders",
    }
}

/// The keys that `Loaders` may have.
pub const LOADER_TYPES: [&str; 3] = ["386-pcbios", "amd64-uefi", "arm64-uefi"];

/// Templates one of which an environment with a kernel needs, so that some loader can find it.
const LOADER_TEMPLATES: [&str; 4] = ["pxelinux", "pxelinux-mac", "ipxe", "ipxe-mac"];

impl BootEnv {
    /// Why no machine may enter the environment `name`, if none may. One that does not exist is another complaint.
    pub fn unusable(view: &View, name: &str) -> Option<String> {
        let record = view.record(Kind::BootEnv, name)?;
        if record.typed::<Self>().only_unknown {
            let why = "does not allow Machine assignments, it has the OnlyUnknown flag.";
            return Some(format!("BootEnv {name} {why}"));
        }
        (!record.derived().available()).then(|| format!("BootEnv {name} is not available"))
    }

    /// True when the environment has something to boot from the network.
    #[must_use]
    pub fn net_bootable(&self) -> bool {
        self.only_unknown || !self.kernel.is_empty() || !self.os.supported_architectures.is_empty()
    }

    /// What the environment says about a canonical architecture; keys may be in a distribution's spelling.
    #[must_use]
    pub fn arch(&self, arch: &str) -> Option<&ArchInfo> {
        self.os
            .supported_architectures
            .iter()
            .find(|(name, _)| check::arch::canonical(name) == Some(arch))
            .map(|(_, info)| info)
    }

    /// The kernel for an architecture; empty when there is none. An entry for the architecture that names no kernel falls
    /// back to the environment's own.
    #[must_use]
    pub fn kernel_for(&self, arch: &str) -> &str {
        match self.arch(arch) {
            Some(info) if !info.kernel.is_empty() => &info.kernel,
            _ => &self.kernel,
        }
    }

    /// The initial ram disks for an architecture.
    #[must_use]
    pub fn initrds_for(&self, arch: &str) -> &[String] {
        match self.arch(arch) {
            Some(info) if !info.initrds.is_empty() => &info.initrds,
            _ => &self.initrds,
        }
    }

    /// The command line template for an architecture.
    #[must_use]
    pub fn boot_params_for(&self, arch: &str) -> &str {
        match self.arch(arch) {
            Some(info) if !info.boot_params.is_empty() => &info.boot_params,
            _ => &self.boot_params,
        }
    }

    /// The ISO's file name, checksum and address for an architecture: an entry counts even when empty, the environment's
    /// own only for amd64.
    #[must_use]
    pub fn iso_for(&self, arch: &str) -> (&str, &str, &str) {
        match self.arch(arch) {
            Some(info) => (&info.iso_file, &info.sha256, &info.iso_url),
            None if arch == "amd64" => (&self.os.iso_file, &self.os.iso_sha256, &self.os.iso_url),
            None => ("", "", ""),
        }
    }

    /// True when the environment installs an operating system, which its name tells.
    #[must_use]
    pub fn is_installer(&self) -> bool {
        self.name.ends_with("-install")
    }

    /// The directory of the environment's files for an architecture, below the root of the file tree.
    #[must_use]
    pub fn directory(&self, arch: &str) -> String {
        let mut path = self.os.name.clone();
        if !arch.is_empty() && arch != "amd64" {
            path.push('/');
            path.push_str(arch);
        }
        if self.is_installer() {
            path.push_str("/install");
        }
        path
    }

    /// The path of one of the environment's files below the root of the file tree, without leading slash: joined as Go joins
    /// paths, so `..` climbs and a trailing slash goes. An empty file is the directory.
    #[must_use]
    pub fn file_path(&self, arch: &str, file: &str) -> String {
        clean_path(&format!("{}/{file}", self.directory(arch)))
    }

    /// The canonical architectures that the environment names, else amd64.
    #[must_use]
    pub fn boot_arches(&self) -> Vec<&'static str> {
        let named = self.os.supported_architectures.keys();
        let mut arches: Vec<&'static str> = named.filter_map(|arch| check::arch::canonical(arch)).collect();
        arches.sort_unstable();
        arches.dedup();
        if arches.is_empty() {
            arches.push("amd64");
        }
        arches
    }
}

/// A path without empty parts, `.` and `..`; it cannot climb above the root.
#[must_use]
pub fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Behaviour for BootEnv {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::flag("OnlyUnknown"),
        Index::text("OsName").at(&["OS", "Name"]),
        Index::text("Description"),
        Index::text("Documentation"),
        Index::list("TemplateIDs").at(&["Templates", "*", "ID"]).refers(Kind::Template).internal(),
        Index::text("IsoFile").at(&["OS", "IsoFile"]).kept().internal(),
        Index::list("ArchIsoFiles").at(&["OS", "SupportedArchitectures", "*", "IsoFile"]).kept().internal(),
    ];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        check::param_names(problems, &self.required_params, &self.optional_params);
        check::templates(problems, &self.templates, check::Paths::Required);
        for loader in self.loaders.keys() {
            if !LOADER_TYPES.contains(&loader.as_str()) {
                problems.add(format!("{loader} is not a supported loader type"));
            }
        }
        for (arch, info) in &self.os.supported_architectures {
            if check::arch::canonical(arch).is_none() {
                problems.add(format!("{arch} is not a supported architecture"));
            } else if info.kernel.is_empty() && self.kernel.is_empty() {
                problems.add(format!("Arch {arch} is missing a kernel!"));
            }
        }
    }

    fn cross(&self, cross: &check::Cross<'_>, problems: &mut Problems) {
        check::template_ids(cross.view, &self.templates, problems);
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        let kernel_is_loader = self.meta.get("KernelIsLoader").is_some_and(|value| value == "true");
        let has_loader = self.templates.iter().any(|t| LOADER_TEMPLATES.contains(&t.name.as_str()));
        if !self.kernel.is_empty() && !has_loader && !kernel_is_loader {
            errors.push("bootenv: Missing elilo or pxelinux template".to_owned());
        }
        if (self.only_unknown || !self.os.supported_architectures.is_empty()) && self.os.name.is_empty() {
            errors.push("bootenv: Missing OS.Name".to_owned());
        }
        // One architecture that boots is enough for the environment; machines of the others are told so themselves.
        let unbootable = view.unbootable(self);
        if unbootable.len() == self.boot_arches().len() {
            errors.extend(unbootable.into_iter().flat_map(|(_, missing)| missing));
        }
        check::missing_template_ids(view, &self.templates, errors);
    }

    fn delete(&self, delete: &mut check::Delete<'_>) {
        for pref in ["defaultBootEnv", "unknownBootEnv"] {
            if delete.view.preference(pref) == self.name {
                delete.problem(format!("BootEnv {} is the active {pref}, cannot remove it", self.name));
            }
        }
        delete.used_by_machines("BootEnv", |machine| format!("Bootenv {} in use by Machine {machine}", self.name));
        delete.used_by(Kind::Stage, "BootEnv", |stage| format!("Bootenv {} in use by Stage {stage}", self.name));
    }
}

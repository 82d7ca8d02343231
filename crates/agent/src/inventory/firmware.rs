//! How the machine was booted, and whether it is virtual.

use super::{names, read, read_bytes};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Firmware and virtualisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Firmware {
    /// `efi` or `bios`.
    pub mode: String,
    /// Width of the EFI in bits, 0 for none.
    pub efi_bits: u32,
    /// True when Secure Boot is enforced.
    pub secure_boot: bool,
    /// `integrity`, `confidentiality` or `none`: what the kernel forbids itself.
    pub lockdown: String,
    /// True when a TPM is there.
    pub tpm: bool,
    /// `kvm`, `qemu`, `vmware`, `hyperv`, `xen`, … or empty for bare metal.
    pub virtualization: String,
}

impl Firmware {
    /// The words of the param `detected-bios-mode`.
    pub fn bios_mode(&self) -> &'static str {
        if self.mode == "efi" { "uefi" } else { "legacy-bios" }
    }
}

/// Reads it.
pub fn gather(root: &Path) -> Firmware {
    let efi = root.join("sys/firmware/efi");
    let is_efi = efi.is_dir();
    Firmware {
        mode: if is_efi { "efi" } else { "bios" }.to_owned(),
        efi_bits: read(root, "sys/firmware/efi/fw_platform_size").parse().unwrap_or(0),
        secure_boot: secure_boot(&efi.join("efivars")),
        lockdown: lockdown(&read(root, "sys/kernel/security/lockdown")),
        tpm: !names(&root.join("sys/class/tpm")).is_empty(),
        virtualization: virtualization(root),
    }
}

/// The variable is 4 bytes of attributes and one byte of value.
fn secure_boot(vars: &Path) -> bool {
    let value = read_bytes(&vars.join("SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"));
    value.get(4) == Some(&1)
}

/// `none [integrity] confidentiality`: the word in brackets is in force.
fn lockdown(text: &str) -> String {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or("none", |(word, _)| word).to_owned()
}

/// Empty for bare metal.
pub(super) fn virtualization(root: &Path) -> String {
    let dmi = ["sys_vendor", "product_name", "board_vendor", "bios_vendor"]
        .map(|name| read(root, &format!("sys/class/dmi/id/{name}")).to_lowercase())
        .join(" ");
    const KNOWN: [(&str, &str); 10] = [
        ("kvm", "kvm"),
        ("qemu", "qemu"),
        ("vmware", "vmware"),
        ("virtualbox", "oracle"),
        ("innotek", "oracle"),
        ("microsoft corporation virtual", "hyperv"),
        ("xen", "xen"),
        ("amazon ec2", "amazon"),
        ("google compute", "google"),
        ("bochs", "bochs"),
    ];
    if let Some((_, name)) = KNOWN.iter().find(|(part, _)| dmi.contains(part)) {
        return (*name).to_owned();
    }
    let hypervisor = read(root, "sys/hypervisor/type");
    if !hypervisor.is_empty() {
        return hypervisor;
    }
    let flags = read(root, "proc/cpuinfo");
    let flagged = flags
        .lines()
        .any(|line| line.starts_with("flags") && line.split_whitespace().any(|f| f == "hypervisor"));
    if flagged { "unknown".to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_words() {
        assert_eq!(lockdown("none [integrity] confidentiality"), "integrity");
        assert_eq!(lockdown("[none] integrity confidentiality"), "none");
        assert_eq!(lockdown(""), "none");
    }
}

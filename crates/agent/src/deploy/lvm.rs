//! Logical volumes of a written disk, by LVM's own tools, which the discovery OS has.
//!
//! Every call sees the one partition that was just written and nothing else: another disk may have a volume group of the same
//! name, or of the same image. Volumes are active only as long as the [`Group`].
//!
//! Left out: volume groups over several disks (their tools say what is missing), thin pools and caches as such.

use crate::init;
use crate::runner::say;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An active volume group on one partition.
#[derive(Debug)]
pub struct Group {
    name: String,
    device: PathBuf,
}

impl Group {
    /// Activates the volume group that has the partition `device`.
    ///
    /// # Errors
    /// When the partition is in no group, or LVM refuses.
    pub fn open(device: &Path) -> io::Result<Self> {
        init::modules::modprobe(&["dm-mod".to_owned()]);
        let name = lvm(device, &["pvs", "--noheadings", "-o", "vg_name", &device.display().to_string()])?;
        let name = name.trim().to_owned();
        if name.is_empty() {
            return Err(io::Error::other("the physical volume is in no volume group"));
        }
        let group = Self { name, device: device.to_owned() };
        group.lvm(&["vgchange", "-q", "-ay", &group.name])?;
        Ok(group)
    }

    /// Names of its volumes that have a device, as LVM lists them.
    ///
    /// # Errors
    /// When LVM refuses.
    pub fn volumes(&self) -> io::Result<Vec<String>> {
        let listed = self.lvm(&["lvs", "--noheadings", "-o", "lv_name", &self.name])?;
        let names = listed.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(names.filter(|name| self.path(name).exists()).collect())
    }

    /// The device of a volume.
    pub fn path(&self, volume: &str) -> PathBuf {
        PathBuf::from(mapped(&self.name, volume))
    }

    /// Gives a volume all the room that its partition has.
    ///
    /// # Errors
    /// When LVM refuses, such as when there is no more room.
    pub fn extend(&self, volume: &str) -> io::Result<()> {
        self.lvm(&["pvresize", "-q", &self.device.display().to_string()])?;
        self.lvm(&["lvextend", "-q", "-l", "+100%FREE", &format!("{}/{volume}", self.name)]).map(drop)
    }

    fn lvm(&self, words: &[&str]) -> io::Result<String> {
        lvm(&self.device, words)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = self.lvm(&["vgchange", "-q", "-an", &self.name]) {
            say(&format!("volume group {} stays active: {error}", self.name));
        }
    }
}

/// The device of a volume; the device mapper doubles the dashes within a name.
pub fn mapped(group: &str, volume: &str) -> String {
    let doubled = |name: &str| name.replace('-', "--");
    format!("/dev/mapper/{}-{}", doubled(group), doubled(volume))
}

/// Runs a command of LVM that sees `device` alone and keeps no backups.
fn lvm(device: &Path, words: &[&str]) -> io::Result<String> {
    let (verb, rest) = words.split_first().unwrap_or((&"version", &[]));
    let output = Command::new("lvm").args([verb, "--config", &only(device)]).args(rest).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(io::Error::other(format!("lvm {}: {}", words.join(" "), text.join("; "))))
}

fn only(device: &Path) -> String {
    let name = device.display();
    format!("devices {{ filter = [ \"a|^{name}$|\", \"r|.*|\" ] }} backup {{ backup = 0 archive = 0 }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_device_mapper() {
        assert_eq!(mapped("ubuntu-vg", "ubuntu-lv"), "/dev/mapper/ubuntu--vg-ubuntu--lv");
        assert_eq!(mapped("sys", "root"), "/dev/mapper/sys-root");
    }

    #[test]
    fn other_disks_are_not_looked_at() {
        let text = only(Path::new("/dev/nvme0n1p3"));
        assert!(text.contains(r#"filter = [ "a|^/dev/nvme0n1p3$|", "r|.*|" ]"#), "{text}");
    }
}

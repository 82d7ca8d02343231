//! Telling UEFI firmware to boot the written disk, for machines that leave the discovery OS through their firmware.
//!
//! The boot order stays as it is: the network remains first, so that the server keeps its say. An entry of our own, in no
//! order, names the disk's boot loader; `BootNext` calls it once, when the machine restarts to its own system. Done with
//! `efibootmgr`. Machines with a BIOS have nothing of the kind: there the boot script from the server leads to the disk.

use super::gpt::Partition;
use super::volume;
use crate::sys;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// How our entry is called.
const LABEL: &str = "Gantry disk";
/// Types of EFI system partitions: of GPT, of MBR.
pub(super) const SYSTEM_TYPES: [&str; 2] = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef"];
/// The end of a boot loader's name on this architecture.
const ARCH: &str = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };

/// True when the firmware is UEFI and its variables can be reached.
pub fn is_there() -> bool {
    fs::read_dir("/sys/firmware/efi/efivars").is_ok_and(|mut entries| entries.next().is_some())
}

/// Replaces our entries by one for the boot loader on `disk`. Returns the loader's path; `None` when the disk has no
/// EFI system partition. Whatever comes of it, the old entries are gone.
///
/// # Errors
/// If the partition has no boot loader, or `efibootmgr` fails.
pub fn add_entry(disk: &Path, parts: &[Partition]) -> io::Result<Option<String>> {
    remove_entries()?;
    let Some(part) = parts.iter().find(|part| SYSTEM_TYPES.contains(&part.kind.as_str())) else {
        return Ok(None);
    };
    let place = Path::new("/run/gantry/esp");
    fs::create_dir_all(place)?;
    let device = volume::node(disk, part.number)?;
    sys::mount(&device.display().to_string(), place, "vfat", libc::MS_RDONLY, "")?;
    let found = loader(place);
    sys::unmount(place, 0)?;
    let found = found.ok_or_else(|| io::Error::other("no boot loader on the EFI system partition"))?;
    let (disk, part) = (disk.display().to_string(), part.number.to_string());
    tool(&["--create-only", "--disk", &disk, "--part", &part, "--label", LABEL, "--loader", &found])?;
    Ok(Some(found))
}

/// Removes our entries: what they lead to is about to be overwritten.
///
/// # Errors
/// If `efibootmgr` fails.
pub fn remove_entries() -> io::Result<()> {
    for (number, _) in entries()?.into_iter().filter(|(_, label)| label == LABEL) {
        tool(&["--bootnum", &number, "--delete-bootnum"])?;
    }
    Ok(())
}

/// Makes our entry the next one to be booted, once. False when there is none.
///
/// # Errors
/// If `efibootmgr` fails.
pub fn boot_next() -> io::Result<bool> {
    let Some((number, _)) = entries()?.into_iter().find(|(_, label)| label == LABEL) else {
        return Ok(false);
    };
    tool(&["--bootnext", &number]).map(|_| true)
}

fn entries() -> io::Result<Vec<(String, String)>> {
    Ok(parse(&tool(&[])?))
}

/// `Boot0007* Gantry disk<tab>HD(…)`: number and label.
fn parse(text: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let rest = line.strip_prefix("Boot")?;
        let number = rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let label = rest.get(4..)?.trim_start_matches('*').strip_prefix(' ')?.split('\t').next()?;
        Some((number.to_owned(), label.trim().to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// The loader that a system has installed for itself, else the one for removable disks; as firmware writes paths. A shim
/// comes before every grub, and that before systemd-boot; of several folders with the same, the first by name counts.
fn loader(esp: &Path) -> Option<String> {
    let folder = child(esp, "efi")?;
    let own = crate::inventory::names(&esp.join(&folder))
        .into_iter()
        .filter(|name| !name.eq_ignore_ascii_case("boot"));
    let wanted: Vec<(String, String)> = ["shim", "grub", "systemd-boot"]
        .iter()
        .flat_map(|stem| own.clone().map(move |vendor| (vendor, format!("{stem}{ARCH}.efi"))))
        .chain([("boot".to_owned(), format!("boot{ARCH}.efi"))])
        .collect();
    wanted.into_iter().find_map(|(vendor, name)| {
        let vendor = child(&esp.join(&folder), &vendor)?;
        let name = child(&esp.join(&folder).join(&vendor), &name)?;
        Some(format!("\\{folder}\\{vendor}\\{name}"))
    })
}

/// The name in a folder that is this one but for upper and lower case.
fn child(folder: &Path, name: &str) -> Option<String> {
    crate::inventory::names(folder).into_iter().find(|found| found.eq_ignore_ascii_case(name))
}

fn tool(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("efibootmgr").args(arguments).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("efibootmgr {}: {text}", arguments.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn entries_are_read_from_the_list() {
        let text = "BootCurrent: 0003\nTimeout: 3 seconds\nBootOrder: 0003,0000\nBoot0000* UiApp\tFvVol(7c)/FvFile(46)\n\
                    Boot0003* UEFI PXEv4 (MAC:525400123456)\tPciRoot(0x0)\nBoot000A  Gantry disk\tHD(2,GPT,..)/File(\\EFI\\x)\nBootNext: 0001\n";
        let expected =
            [("0000", "UiApp"), ("0003", "UEFI PXEv4 (MAC:525400123456)"), ("000A", "Gantry disk")];
        assert_eq!(parse(text), expected.map(|(number, label)| (number.to_owned(), label.to_owned())));
    }

    #[test]
    fn a_systems_own_loader_comes_before_the_general_one() {
        let dir = TempDir::new();
        let put = |path: String| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            fs::write(path, "").expect("file");
        };
        assert_eq!(loader(dir.path()), None);
        put(format!("EFI/BOOT/BOOT{}.EFI", ARCH.to_uppercase()));
        assert_eq!(loader(dir.path()), Some(format!("\\EFI\\BOOT\\BOOT{}.EFI", ARCH.to_uppercase())));
        put(format!("EFI/debian/grub{ARCH}.efi"));
        assert_eq!(loader(dir.path()), Some(format!("\\EFI\\debian\\grub{ARCH}.efi")));
        put(format!("EFI/debian/shim{ARCH}.efi"));
        assert_eq!(loader(dir.path()), Some(format!("\\EFI\\debian\\shim{ARCH}.efi")));
        put(format!("EFI/arch/grub{ARCH}.efi"));
        put(format!("EFI/centos/shim{ARCH}.efi"));
        put(format!("EFI/ubuntu/shim{ARCH}.efi"));
        assert_eq!(loader(dir.path()), Some(format!("\\EFI\\centos\\shim{ARCH}.efi")), "the first by name");
    }
}

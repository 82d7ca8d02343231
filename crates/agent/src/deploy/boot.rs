//! The partitions of the written disk that hold its kernels: what its `/etc/fstab` mounts at `/boot`, `/boot/efi` and `/efi`, and
//! what systemd mounts there without being told (systemd-gpt-auto-generator(8)).

use super::efi;
use super::gpt::Partition;
use super::inside::Root;
use super::volume::{self, Mounted};
use crate::init::modules::modprobe;
use crate::runner::say;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Where boot loaders and kernels lie, outer folders first.
const PLACES: [&str; 3] = ["/boot", "/boot/efi", "/efi"];
/// The partition type of `/boot` in the discoverable partitions specification.
const EXTENDED_BOOT: &str = "bc13c2ff-59e6-4262-a352-b275fd6f7172";

/// A partition with what is on it and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    part: Partition,
    kind: &'static str,
    place: &'static str,
}

/// Mounts them below `root`, for reading. What is mounted inside of another one comes first, so that they can be unmounted in order.
pub fn mount(root: &Root, disk: &Path, parts: &[Partition]) -> Vec<Mounted> {
    let Ok(mut file) = File::open(disk) else { return Vec::new() };
    let mut mounted = Vec::new();
    for step in plan(root, &mut file, parts) {
        modprobe(&[step.kind, "nls_cp437", "nls_ascii", "nls_iso8859_1"].map(str::to_owned));
        let device = volume::node(disk, step.part.number);
        let done = root.resolve(step.place).and_then(|place| Mounted::inside(&device?, step.kind, place));
        match done {
            Ok(one) => mounted.insert(0, one),
            Err(error) => say(&format!("{} of the written system: {error}", step.place)),
        }
    }
    mounted
}

fn plan<D: Read + Seek>(root: &Root, disk: &mut D, parts: &[Partition]) -> Vec<Step> {
    let fstab = root.read("/etc/fstab").ok().flatten().unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    for place in PLACES {
        let named =
            source(&fstab, place).and_then(|source| parts.iter().find(|p| is_source(disk, p, source)));
        let by_type = || parts.iter().find(|part| systemd_mounts(root, part, place, parts));
        let Some(part) = named.or_else(by_type).filter(|part| steps.iter().all(|s| s.part != **part)) else {
            continue;
        };
        if let Some(kind) = detect(disk, part.start) {
            steps.push(Step { part: part.clone(), kind, place });
        }
    }
    steps
}

fn source<'a>(fstab: &'a str, place: &str) -> Option<&'a str> {
    let line = fstab.lines().find(|line| line.split_whitespace().nth(1) == Some(place))?;
    line.split_whitespace().next()
}

/// The extended boot partition belongs to `/boot`; the EFI system partition to `/efi`, or, where there is none, to `/boot`. Only
/// empty folders are mounted over.
fn systemd_mounts(root: &Root, part: &Partition, place: &str, parts: &[Partition]) -> bool {
    let is_system = efi::SYSTEM_TYPES.contains(&part.kind.as_str());
    let is_boot = part.kind == EXTENDED_BOOT;
    let wanted = match place {
        "/efi" => is_system,
        "/boot" => {
            let has_boot = parts.iter().any(|part| part.kind == EXTENDED_BOOT);
            is_boot || (is_system && !has_boot && !root.exists("/efi"))
        }
        _ => false,
    };
    wanted && is_empty(root, place)
}

fn is_empty(root: &Root, place: &str) -> bool {
    let folder = root.resolve(place).and_then(fs::read_dir);
    folder.is_ok_and(|mut entries| entries.next().is_none())
}

fn is_source<D: Read + Seek>(disk: &mut D, part: &Partition, source: &str) -> bool {
    match source.split_once('=') {
        Some(("PARTUUID", id)) => id.trim_matches('"').eq_ignore_ascii_case(&part.id),
        Some(("PARTLABEL", name)) => name.trim_matches('"') == part.name,
        Some(("UUID", id)) => {
            let own = volume::uuid(disk, part.start).or_else(|| fat_serial(disk, part.start));
            own.is_some_and(|own| own.eq_ignore_ascii_case(id.trim_matches('"')))
        }
        _ => false,
    }
}

/// The file system at a place of the disk, as mount(2) calls it.
fn detect<D: Read + Seek>(disk: &mut D, start: u64) -> Option<&'static str> {
    let fat = |disk: &mut D| fat_serial(disk, start).map(|_| "vfat");
    volume::detect(disk, start).map(volume::Kind::name).or_else(|| fat(disk))
}

/// The serial number of a FAT file system as `/dev/disk/by-uuid` shows it: `12AB-34CD`. FAT32 has it elsewhere than FAT12 and
/// FAT16 (Microsoft FAT specification, section 3).
fn fat_serial<D: Read + Seek>(disk: &mut D, start: u64) -> Option<String> {
    let mut sector = [0; 512];
    disk.seek(SeekFrom::Start(start)).ok()?;
    disk.read_exact(&mut sector).ok()?;
    let at = match (&sector[0x52..0x5a], &sector[0x36..0x3e]) {
        (b"FAT32   ", _) => 0x43,
        (_, b"FAT12   " | b"FAT16   ") => 0x27,
        _ => return None,
    };
    let serial = u32::from_le_bytes(*sector[at..].first_chunk()?);
    Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff))
}

#[cfg(test)]
mod tests {
    use super::super::gpt::tests::image;
    use super::super::table::Table;
    use super::*;
    use crate::testing::TempDir;
    use std::io::Cursor;

    /// A disk with a FAT32 partition of serial 12AB-34CD, an ext4 one and an empty one; its partitions.
    fn disk() -> (Cursor<Vec<u8>>, Vec<Partition>) {
        let mut disk = image(16 << 20, &[(2048, 4095), (4096, 8191), (8192, 30_000)]);
        let fat = &mut disk[1 << 20..];
        fat[0x52..0x5a].copy_from_slice(b"FAT32   ");
        fat[0x43..0x47].copy_from_slice(&[0xcd, 0x34, 0xab, 0x12]);
        disk[(2 << 20) + 0x438..(2 << 20) + 0x43a].copy_from_slice(&[0x53, 0xef]);
        let table = Table::read(&mut Cursor::new(&disk), disk.len() as u64).expect("a table");
        let mut parts = table.partitions();
        for (part, kind) in parts.iter_mut().zip([efi::SYSTEM_TYPES[0], "linux", "linux"]) {
            part.kind = kind.to_owned();
        }
        (Cursor::new(disk), parts)
    }

    /// What is mounted where in a system with these folders and this `/etc/fstab`.
    fn planned(folders: &[&str], fstab: &str) -> Vec<String> {
        let dir = TempDir::new();
        for folder in folders.iter().chain(&["/etc"]) {
            fs::create_dir_all(dir.path().join(folder.trim_start_matches('/'))).expect("a folder");
        }
        fs::write(dir.path().join("etc/fstab"), fstab).expect("a file");
        let (mut disk, parts) = disk();
        let steps = plan(&Root::new(dir.path()), &mut disk, &parts);
        steps.iter().map(|step| format!("{} {} {}", step.part.number, step.kind, step.place)).collect()
    }

    #[test]
    fn what_fstab_says_is_mounted_whatever_its_file_system() {
        let esp = "UUID=12AB-34CD /boot/efi vfat umask=0077 0 1\n";
        assert_eq!(planned(&["/boot/efi"], esp), ["1 vfat /boot/efi"]);
        let (_, parts) = disk();
        let both = format!("{esp}PARTUUID={} /boot ext4 defaults 0 2\n", parts[1].id);
        assert_eq!(planned(&["/boot/efi"], &both), ["2 ext4 /boot", "1 vfat /boot/efi"]);
        assert_eq!(planned(&["/boot"], "UUID=12ab-34cd /boot vfat defaults 0 0\n"), ["1 vfat /boot"]);
        assert!(planned(&["/boot/grub"], "UUID=0000-0000 /boot vfat defaults 0 0\n").is_empty());
    }

    #[test]
    fn the_system_partition_is_found_as_systemd_finds_it() {
        assert_eq!(planned(&["/boot", "/efi"], ""), ["1 vfat /efi"]);
        assert_eq!(planned(&["/boot"], ""), ["1 vfat /boot"]);
        assert!(planned(&["/boot/grub"], "").is_empty(), "what is there is not hidden");
    }
}

//! Partitions of the written disk as file systems: which is the root, growing it, mounting it.

use super::gpt::{Partition, ROOT_TYPES};
use super::inside::Root;
use super::sink::size_of_target;
use super::table::Table;
use crate::inventory::names;
use crate::{init, sys};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BLKRRPART: u64 = 0x125f;
const EXT4_IOC_RESIZE_FS: u64 = 0x4008_6610;
const BTRFS_IOC_RESIZE: u64 = 0x5000_9403;
/// Time for the kernel to show a partition.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file system that can be a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ext2, ext3, ext4.
    Ext,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
}

impl Kind {
    /// Type for mount(2).
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// What is at a place of the disk, by its superblock.
pub fn detect<D: Read + Seek>(disk: &mut D, start: u64) -> Option<Kind> {
    let mut at = |offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        disk.seek(SeekFrom::Start(start + offset)).ok()?;
        disk.read_exact(&mut bytes).ok()?;
        Some(bytes)
    };
    if at(0x438, 2)? == [0x53, 0xef] {
        return Some(Kind::Ext);
    }
    if at(0, 4)? == *b"XFSB" {
        return Some(Kind::Xfs);
    }
    (at(0x1_0040, 8)? == *b"_BHRfS_M").then_some(Kind::Btrfs)
}

/// The partitions that may hold the root, the likeliest first.
pub fn candidates<D: Read + Seek>(disk: &mut D, parts: &[Partition], wanted: u32) -> Vec<(Partition, Kind)> {
    let mut found: Vec<(Partition, Kind)> = parts
        .iter()
        .filter(|part| wanted == 0 || part.number == wanted)
        .filter_map(|part| Some((part.clone(), detect(disk, part.start)?)))
        .collect();
    let rank =
        |part: &Partition| (!ROOT_TYPES.contains(&part.kind.as_str()), u64::MAX - (part.end - part.start));
    found.sort_by_key(|(part, _)| rank(part));
    found
}

/// True for a physical volume of LVM, whose label is in one of its first four sectors.
pub fn is_physical<D: Read + Seek>(disk: &mut D, start: u64) -> bool {
    let label = |sector: &[u8]| sector.starts_with(b"LABELONE") && sector.get(24..32) == Some(b"LVM2 001");
    head(disk, start).is_some_and(|head| head.chunks(512).take(4).any(label))
}

fn head<D: Read + Seek>(disk: &mut D, start: u64) -> Option<Vec<u8>> {
    let mut head = vec![0; 8192];
    disk.seek(SeekFrom::Start(start)).ok()?;
    disk.read_exact(&mut head).ok()?;
    Some(head)
}

/// What is at a place of the disk that may hold a root, but none that can be mounted.
fn container<D: Read + Seek>(disk: &mut D, start: u64) -> Option<&'static str> {
    let head = head(disk, start)?;
    if head.starts_with(b"LUKS\xba\xbe") {
        return Some("encrypted (LUKS)");
    }
    // The superblock of version 1.2 is at 4 KiB, that of 1.1 at the start.
    let raid = [0xfc, 0x4e, 0x2b, 0xa9];
    (head.starts_with(&raid) || head.get(4096..4100) == Some(&raid)).then_some("a member of a software RAID")
}

/// Why none of the partitions is the root, and what can be done about it.
pub fn why_no_root<D: Read + Seek>(disk: &mut D, parts: &[Partition], tried: &[(Partition, Kind)]) -> String {
    let inside: Vec<String> = parts
        .iter()
        .filter_map(|part| Some(format!("partition {} is {}", part.number, container(disk, part.start)?)))
        .collect();
    if !inside.is_empty() {
        return format!(
            "{}: a root inside it is not supported. The image is on the disk; an order with KeepSize and without \
             System and Kexec leaves it at that",
            inside.join(", ")
        );
    }
    let tried: Vec<String> =
        tried.iter().map(|(part, kind)| format!("{} ({})", part.number, kind.name())).collect();
    format!("no root file system among the partitions [{}]; name it by RootPartition", tried.join(", "))
}

/// Brings the partition table to the size of the disk and grows the root partition. Lines tell what was
/// done, or why not.
pub fn grow(path: &Path, root: u32) -> io::Result<Vec<String>> {
    let mut disk = OpenOptions::new().read(true).write(true).open(path)?;
    let size = size_of_target(&disk)?;
    let mut table = Table::read(&mut disk, size)?;
    let mut lines = Vec::new();
    let moved = table.span_disk();
    let grown = table.grow(root);
    if let Some(end) = grown {
        let start = table.partitions().iter().find(|part| part.number == root).map_or(0, |part| part.start);
        lines.push(format!("partition {root} grows to {}", crate::text::human_size(end - start)));
    }
    if moved || grown.is_some() {
        table.write(&mut disk)?;
        disk.sync_all()?;
    }
    Ok(lines)
}

/// Makes the kernel read the partition table again.
pub fn reread(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let disk = File::open(path)?;
        match sys::ioctl_none(&disk, BLKRRPART) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            other => return other,
        }
    }
}

/// The device node of a partition, once it is there: `sda3`, `nvme0n1p3`.
pub fn node(disk: &Path, number: u32) -> io::Result<PathBuf> {
    let text = disk.display().to_string();
    let separator = if text.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    let path = PathBuf::from(format!("{text}{separator}{number}"));
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        if Instant::now() >= deadline {
            return Err(io::Error::other(format!("{} did not appear", path.display())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(path)
}

/// A mounted file system, unmounted with the value.
#[derive(Debug)]
pub struct Mounted {
    place: PathBuf,
    /// The folder was made for it.
    temporary: bool,
}

impl Mounted {
    /// Mounts a partition at a fresh folder.
    pub fn new(device: &Path, kind: Kind) -> io::Result<Self> {
        // The kernel would ask for the module by itself, but only where /sbin/modprobe is set up.
        init::modules::modprobe(&[kind.name().to_owned(), "crc32c".to_owned(), "crc32c_generic".to_owned()]);
        let place = PathBuf::from(format!("/run/gantry/root-{}", std::process::id()));
        fs::create_dir_all(&place)?;
        let flags = libc::MS_NODEV | libc::MS_NOSUID;
        sys::mount(&device.display().to_string(), &place, kind.name(), flags, "")?;
        Ok(Self { place, temporary: true })
    }

    /// Mounts a file system of any type for reading, inside of one that is mounted.
    pub fn inside(device: &Path, kind: &str, place: PathBuf) -> io::Result<Self> {
        let flags = libc::MS_RDONLY | libc::MS_NODEV | libc::MS_NOSUID;
        sys::mount(&device.display().to_string(), &place, kind, flags, "")?;
        Ok(Self { place, temporary: false })
    }

    /// Where it is mounted.
    pub fn root(&self) -> Root {
        Root::new(&self.place)
    }

    /// True when it looks like a system and not like data.
    pub fn is_system(&self) -> bool {
        let root = self.root();
        root.exists("/etc") && (root.exists("/usr") || root.exists("/bin"))
    }

    /// Grows the file system to its partition, while mounted.
    pub fn grow(&self, kind: Kind, bytes: u64) -> io::Result<()> {
        let folder = File::open(&self.place)?;
        match kind {
            Kind::Ext => {
                let block = block_size(&self.place)?;
                let mut blocks = bytes / block;
                // SAFETY: EXT4_IOC_RESIZE_FS reads one u64.
                unsafe { sys::ioctl(folder.as_raw_fd(), EXT4_IOC_RESIZE_FS, &mut blocks) }
            }
            Kind::Btrfs => {
                let mut arguments = [0u8; 4096];
                arguments[8..11].copy_from_slice(b"max");
                // SAFETY: BTRFS_IOC_RESIZE takes struct btrfs_ioctl_vol_args of 4096 bytes.
                unsafe { sys::ioctl(folder.as_raw_fd(), BTRFS_IOC_RESIZE, &mut arguments) }
            }
            Kind::Xfs => tool(Command::new("xfs_growfs").arg(&self.place)),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        sys::sync();
        if sys::unmount(&self.place, 0).is_err() {
            let _ = sys::unmount(&self.place, libc::MNT_DETACH);
        }
        if self.temporary {
            let _ = fs::remove_dir(&self.place);
        }
    }
}

fn tool(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{}: {text}", command.get_program().display())))
}

fn block_size(place: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    // For ext file systems the preferred I/O size is the block size.
    fs::metadata(place).map(|meta| meta.blksize().max(1024))
}

/// The UUID of a file system that can be a root.
pub fn uuid<D: Read + Seek>(disk: &mut D, start: u64) -> Option<String> {
    let offset = match detect(disk, start)? {
        Kind::Ext => 0x468,
        Kind::Xfs => 32,
        Kind::Btrfs => 0x1_0020,
    };
    let mut bytes = [0; 16];
    disk.seek(SeekFrom::Start(start + offset)).ok()?;
    disk.read_exact(&mut bytes).ok()?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// The partitions that the kernel shows for a disk; for the log.
pub fn shown(disk: &str) -> Vec<String> {
    names(&Path::new("/sys/block").join(disk)).into_iter().filter(|name| name.starts_with(disk)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::gpt::tests::image;
    use super::super::mbr;
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_root_is_the_largest_linux_partition() {
        let mut disk = image(16 << 20, &[(2048, 4095), (4096, 8191), (8192, 30_000)]);
        for start in [2 << 20, 4 << 20] {
            disk[start + 0x438..start + 0x43a].copy_from_slice(&[0x53, 0xef]);
        }
        let table = Table::read(&mut Cursor::new(&disk), disk.len() as u64).expect("read");
        let parts = table.partitions();
        let numbers = |wanted| -> Vec<u32> {
            candidates(&mut Cursor::new(&disk), &parts, wanted).iter().map(|(part, _)| part.number).collect()
        };
        assert_eq!(numbers(0), [3, 2]);
        assert_eq!(numbers(2), [2]);
        assert!(numbers(1).is_empty());
    }

    #[test]
    fn roots_on_disks_with_an_mbr() {
        let mut disk = mbr::tests::image(16 << 20, &[(0x83, 2048, 2048), (0x83, 4096, 8192)]);
        disk[(2 << 20) + 0x438..(2 << 20) + 0x43a].copy_from_slice(&[0x53, 0xef]);
        let mut table = Table::read(&mut Cursor::new(&disk), disk.len() as u64).expect("read");
        let found = candidates(&mut Cursor::new(&disk), &table.partitions(), 0);
        assert_eq!((found.len(), found[0].0.number, found[0].0.id.as_str()), (1, 2, "1234abcd-02"));
        assert!(!table.span_disk());
        assert_eq!(table.grow(2), Some(16 << 20));
        let error =
            Table::read(&mut Cursor::new(&vec![0; 1 << 20]), 1 << 20).expect_err("no table").to_string();
        assert!(error.contains("neither GPT nor MBR"), "{error}");
    }

    #[test]
    fn roots_inside_something_are_refused_by_name() {
        let why = |change: &dyn Fn(&mut [u8])| {
            let mut disk = image(16 << 20, &[(2048, 4095), (4096, 30_000)]);
            change(&mut disk[2 << 20..]);
            let table = Table::read(&mut Cursor::new(&disk), disk.len() as u64).expect("read");
            why_no_root(&mut Cursor::new(&disk), &table.partitions(), &[])
        };
        let luks = why(&|part| part[..6].copy_from_slice(b"LUKS\xba\xbe"));
        let words = "partition 2 is encrypted (LUKS): a root inside it is not supported";
        assert!(luks.starts_with(words), "{luks}");
        assert!(
            why(&|part| part[4096..4100].copy_from_slice(&[0xfc, 0x4e, 0x2b, 0xa9]))
                .contains("software RAID")
        );
        assert!(
            why(&|_| {}).contains("no root file system among the partitions []; name it by RootPartition")
        );
    }

    #[test]
    fn physical_volumes_by_their_label() {
        let mut disk = vec![0; 16 << 10];
        assert!(!is_physical(&mut Cursor::new(&disk), 4096));
        disk[4096 + 512..4096 + 520].copy_from_slice(b"LABELONE");
        disk[4096 + 536..4096 + 544].copy_from_slice(b"LVM2 001");
        assert!(is_physical(&mut Cursor::new(&disk), 4096));
        assert!(!is_physical(&mut Cursor::new(&disk), 0) && !is_physical(&mut Cursor::new(&disk), 1 << 20));
    }

    #[test]
    fn file_systems_by_their_superblocks() {
        let mut disk = vec![0; 1 << 20];
        assert_eq!(detect(&mut Cursor::new(&disk), 0), None);
        disk[0x1_0040..0x1_0048].copy_from_slice(b"_BHRfS_M");
        assert_eq!(detect(&mut Cursor::new(&disk), 0), Some(Kind::Btrfs));
        disk[..4].copy_from_slice(b"XFSB");
        disk[32] = 0xab;
        assert_eq!(detect(&mut Cursor::new(&disk), 0), Some(Kind::Xfs));
        assert_eq!(uuid(&mut Cursor::new(&disk), 0).as_deref(), Some("ab000000-0000-0000-0000-000000000000"));
        assert_eq!(detect(&mut Cursor::new(&disk[..100]), 0), None);
    }
}

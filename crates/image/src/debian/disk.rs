//! The demo's disk: partition table, boot loaders, file systems.
//!
//! ```text
//! sector 0         boot.img: loads the first sector of core.img
//! 1 MiB .. 2 MiB   BIOS boot partition: core.img, which knows ext4 and reads /boot/grub/grub.cfg
//! 2 MiB .. 66 MiB  EFI system partition: shim, signed GRUB, a grub.cfg that points at the root file system
//! 66 MiB ..        root
//! ```

use super::Tailored;
use super::root::quoted;
use crate::apt::Apt;
use crate::error::Doing;
use crate::gpt::{Guid, Partition, Table};
use crate::libs::Pool;
use crate::{Error, Progress, process};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Packages with the boot loaders; they are used from here, not installed.
pub(super) const PACKAGES: [&str; 3] = ["grub-efi-amd64-signed", "grub-pc-bin", "shim-signed"];

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
const ESP: (u64, u64) = (2 * MIB, 64 * MIB);
const ROOT_AT: u64 = ESP.0 + ESP.1;
/// Where `core.img` lies, in sectors.
const CORE_AT: u64 = MIB / SECTOR;
/// What GRUB needs on BIOS machines to read its configuration and start a kernel.
const GRUB_MODULES: [&str; 15] = [
    "biosdisk",
    "part_gpt",
    "ext2",
    "normal",
    "configfile",
    "linux",
    "search",
    "search_fs_uuid",
    "serial",
    "terminal",
    "echo",
    "boot",
    "gzio",
    "test",
    "minicmd",
];

/// Writes the whole disk of `size` bytes to `raw`, out of `root.tar` and `overlay` in `work`.
pub(super) fn write(
    apt: &Apt,
    recipe: &Tailored<'_>,
    size: u64,
    work: &Path,
    raw: &Path,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let names: BTreeSet<_> = PACKAGES.map(ToOwned::to_owned).into();
    let packages = apt.unpack(&apt.resolve(&names)?, progress)?;
    let loaders = Loaders { pool: Pool::new(&packages), work };
    let mut disk =
        File::options().read(true).write(true).create(true).truncate(true).open(raw).doing("create", raw)?;
    disk.set_len(size).doing("write", raw)?;
    let root_len = partition(&mut disk, size, recipe)?;
    write_root(recipe, work, raw, root_len)?;
    let filesystem = recipe.identity.root_filesystem.to_string();
    copy_to(&mut disk, ESP.0, &loaders.esp(&filesystem)?)?;
    loaders.bios(&mut disk, &filesystem).doing("write", raw)??;
    disk.sync_all().doing("write", raw)
}

/// Writes the partition table and returns the length of the root partition in bytes.
fn partition(disk: &mut File, size: u64, recipe: &Tailored<'_>) -> Result<u64, Error> {
    let identity = recipe.identity;
    let mut table = Table::new(SECTOR as u32, size, identity.disk)?;
    let sectors = |(at, len): (u64, u64)| (at / SECTOR, (at + len) / SECTOR - 1);
    let root = (ROOT_AT, (table.usable().1 + 1) * SECTOR / MIB * MIB - ROOT_AT);
    let parts = [
        (Guid::BIOS_BOOT, identity.bios_partition, sectors((MIB, MIB)), "bios"),
        (Guid::EFI_SYSTEM, identity.esp_partition, sectors(ESP), "esp"),
        (Guid::LINUX_ROOT_X86_64, identity.root_partition, sectors(root), "root"),
    ];
    for (kind, id, (first, last), name) in parts {
        table.add(Partition::new(kind, id, first, last, name))?;
    }
    table.write(disk)?;
    Ok(root.1)
}

/// Unpacks, overlays and copies the root into its file system. fakeroot remembers the owners meanwhile.
fn write_root(recipe: &Tailored<'_>, work: &Path, raw: &Path, len: u64) -> Result<(), Error> {
    let identity = recipe.identity;
    let remove: Vec<_> = recipe.recipe.system.remove.iter().map(|path| format!("root/{path}")).collect();
    let id = identity.root_filesystem;
    let script = format!(
        "set -e\n\
         cd {work}\n\
         mkdir root\n\
         {tar} -xf root.tar -C root --exclude='./dev/*'\n\
         rm root.tar\n\
         rm -rf {remove}\n\
         test -e root/boot/initrd.img-{kernel}\n\
         cp -a --remove-destination overlay/. root/\n\
         chmod -R u+r root\n\
         {mke2fs} -q -F -t ext4 -L root -U {id} -m 1 -d root \
         -E offset={ROOT_AT},hash_seed={id},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 {raw} {kib}k\n",
        work = quoted(work),
        tar = quoted(Path::new(process::program("tar")?.get_program())),
        mke2fs = quoted(Path::new(process::program("mke2fs")?.get_program())),
        remove = remove.join(" "),
        kernel = identity.kernel,
        raw = quoted(raw),
        kib = len / 1024,
    );
    let mut command = process::program("fakeroot")?;
    command.args(["--", "/bin/sh", "-c", &script]);
    process::output(&mut command, "copy the system into the disk image")?;
    Ok(())
}

/// The boot loaders, from their packages.
struct Loaders<'a> {
    pool: Pool<'a>,
    work: &'a Path,
}

impl Loaders<'_> {
    fn file(&self, path: &str) -> Result<PathBuf, Error> {
        self.pool.find(path).ok_or_else(|| Error::Missing {
            what: path.into(),
            wanted_by: format!("one of the packages {} should have it", PACKAGES.join(", ")),
        })
    }

    /// Makes the EFI system partition as a file of its own.
    fn esp(&self, filesystem: &str) -> Result<PathBuf, Error> {
        let image = self.work.join("esp.img");
        let file = File::create(&image).doing("create", &image)?;
        file.set_len(ESP.1).doing("write", &image)?;
        let config = self.work.join("esp-grub.cfg");
        let text = format!(
            "search --no-floppy --fs-uuid --set=root {filesystem}\nset prefix=($root)/boot/grub\n\
             configfile $prefix/grub.cfg\n"
        );
        fs::write(&config, text).doing("write", &config)?;
        let shim = self.file("/usr/lib/shim/shimx64.efi.signed")?;
        let grub = self.file("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")?;
        // The serial number, in hexadecimal, is the inputs' and not the time's.
        self.mtool("mformat", &image, &["-F", "-v", "ESP", "-N", &filesystem[..8], "::"])?;
        self.mtool("mmd", &image, &["::/EFI", "::/EFI/BOOT", "::/EFI/debian"])?;
        for (from, to) in [
            (&shim, "::/EFI/BOOT/BOOTX64.EFI"),
            (&grub, "::/EFI/BOOT/grubx64.efi"),
            (&config, "::/EFI/debian/grub.cfg"),
        ] {
            self.mtool("mcopy", &image, &[&from.to_string_lossy(), to])?;
        }
        Ok(image)
    }

    fn mtool(&self, tool: &str, image: &Path, args: &[&str]) -> Result<(), Error> {
        let mut command = process::program(tool)?;
        command.env("MTOOLS_SKIP_CHECK", "1").arg("-i").arg(image).args(args);
        process::output(&mut command, "fill the EFI system partition")?;
        Ok(())
    }

    /// Puts GRUB's two stages for BIOS machines on the disk.
    fn bios(&self, disk: &mut File, filesystem: &str) -> io::Result<Result<(), Error>> {
        let made = self.core(filesystem).and_then(|core| {
            let boot = self.file("/usr/lib/grub/i386-pc/boot.img")?;
            Ok((fs::read(&boot).doing("read", &boot)?, core))
        });
        let (boot, core) = match made {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let mut mbr = [0; 512];
        disk.seek(SeekFrom::Start(0))?;
        io::Read::read_exact(disk, &mut mbr)?;
        let Some((mbr, core)) = install_grub(mbr, &boot, core) else {
            let (file, reason) = ("core.img".into(), "larger than its partition, or not made by GRUB".into());
            return Ok(Err(Error::Malformed { file, reason }));
        };
        disk.seek(SeekFrom::Start(0))?;
        disk.write_all(&mbr)?;
        disk.seek(SeekFrom::Start(MIB))?;
        disk.write_all(&core)?;
        Ok(Ok(()))
    }

    fn core(&self, filesystem: &str) -> Result<Vec<u8>, Error> {
        let (config, core) = (self.work.join("core.cfg"), self.work.join("core.img"));
        let text = format!(
            "search --no-floppy --fs-uuid --set=root {filesystem}\nset prefix=($root)/boot/grub\n\
             configfile $prefix/grub.cfg\n"
        );
        fs::write(&config, text).doing("write", &config)?;
        let modules = self.file("/usr/lib/grub/i386-pc")?;
        let mut command = process::program("grub-mkimage")?;
        command.args(["-O", "i386-pc", "-p", "/boot/grub", "-d"]).arg(modules);
        command.arg("-c").arg(&config).arg("-o").arg(&core).args(GRUB_MODULES);
        process::output(&mut command, "make GRUB's core image")?;
        fs::read(&core).doing("read", &core)
    }
}

/// Writes into GRUB's stages where the next part lies, as `grub-bios-setup` does.
///
/// `boot.img` keeps the disk's parameters and partition records. At 0x5C it has the sector of `core.img`; the drive
/// number at 0x64 is 0xFF for "the one booted from"; at 0x66 a jump becomes two `nop`s, so that this holds on disks.
/// The end of the first sector of `core.img` lists where its other sectors are: start, then length.
fn install_grub(mbr: [u8; 512], boot: &[u8], mut core: Vec<u8>) -> Option<([u8; 512], Vec<u8>)> {
    let mut sector: [u8; 512] = boot.get(..512)?.try_into().ok()?;
    sector[3..0x5A].copy_from_slice(&mbr[3..0x5A]);
    sector[0x1B8..].copy_from_slice(&mbr[0x1B8..]);
    sector[0x5C..0x64].copy_from_slice(&CORE_AT.to_le_bytes());
    sector[0x64] = 0xFF;
    sector[0x66..0x68].copy_from_slice(&[0x90, 0x90]);
    core.resize(core.len().next_multiple_of(512), 0);
    let rest = u16::try_from(core.len() / 512).ok()?.checked_sub(1)?;
    if core.len() as u64 > MIB {
        return None;
    }
    core.get_mut(0x1F4..0x1FC)?.copy_from_slice(&(CORE_AT + 1).to_le_bytes());
    core.get_mut(0x1FC..0x1FE)?.copy_from_slice(&rest.to_le_bytes());
    Some((sector, core))
}

/// Copies a file to a place on the disk, but not its zeros: the disk is sparse.
fn copy_to(disk: &mut File, at: u64, from: &Path) -> Result<(), Error> {
    let bytes = fs::read(from).doing("read", from)?;
    for (n, chunk) in bytes.chunks(4096).enumerate().filter(|(_, chunk)| chunk.iter().any(|&byte| byte != 0))
    {
        disk.seek(SeekFrom::Start(at + n as u64 * 4096)).doing("write", from)?;
        disk.write_all(chunk).doing("write", from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Identity, recipe};
    use super::*;

    #[test]
    fn grubs_stages_learn_where_the_next_lies() {
        let mut mbr = [0; 512];
        mbr[0x1B8] = 7;
        mbr[510..].copy_from_slice(&[0x55, 0xAA]);
        let (sector, core) = install_grub(mbr, &[1; 512], vec![2; 1300]).unwrap();
        assert_eq!(&sector[0x5C..0x69], [0, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1, 0x90, 0x90, 1]);
        assert_eq!((sector[0x1B8], sector[510], sector[3], sector[2]), (7, 0x55, 0, 1));
        assert_eq!(core.len(), 1536);
        assert_eq!(&core[0x1F4..0x200], [1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 2, 2]);
    }

    #[test]
    fn stages_that_do_not_fit_are_refused() {
        assert!(install_grub([0; 512], &[0; 100], vec![0; 1024]).is_none());
        assert!(install_grub([0; 512], &[0; 512], vec![0; 2 << 20]).is_none());
        assert!(install_grub([0; 512], &[0; 512], Vec::new()).is_none());
    }

    #[test]
    fn the_root_is_the_last_partition_and_ends_on_a_whole_mib() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let mut disk = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        disk.set_len(600 * MIB).unwrap();
        let (recipe, identity) = (recipe().unwrap(), Identity::new("i", "k"));
        let tailored = Tailored { recipe: &recipe, flavour: "cloud", identity: &identity };
        assert_eq!(partition(&mut disk, 600 * MIB, &tailored).unwrap(), 533 * MIB);
        let table = Table::find(&mut disk).unwrap();
        let labels: Vec<_> = table.partitions().map(|(n, p)| (n, p.label(), p.first)).collect();
        assert_eq!(labels, [(1, "bios".into(), 2048), (2, "esp".into(), 4096), (3, "root".into(), 135_168)]);
    }
}

//! The demo's disk image: a small Debian that boots from BIOS, UEFI and UEFI Secure Boot: `gantry image debian`.
//!
//! # What it is
//!
//! A GUID partition table with a BIOS boot partition (GRUB's core image), an EFI system partition (shim and signed GRUB)
//! and an ext4 root, last, so that it can grow. The root holds Debian's signed kernel, which `kexec_file_load` accepts.
//!
//! # What it promises to whoever deploys it
//!
//! * `/boot/vmlinuz-VERSION`, `/boot/initrd.img-VERSION`, links to the newest without version; `/boot/grub/grub.cfg` with
//!   one menu entry; a boot loader specification entry in `/boot/loader/entries` (paths from the root of the file
//!   system). New kernels keep all of it up to date.
//! * systemd, networkd with DHCP on every wired card, sshd by socket with keys made on the machine, no other daemon.
//!   `/etc/machine-id` is empty, root has no password, there is no other user: hostname, users, keys and services are
//!   the deployer's to write into the root. cloud-init is not installed: it would double the boot time.
//!
//! # How it is made
//!
//! mmdebstrap makes the root as a tar file, as root or in a user namespace, whatever the caller may.
//! fakeroot keeps the owners while `mke2fs -d` copies it into the disk image; mtools fills the EFI partition. No loop
//! device, no mount, no root. The result is kept in the cache under the digest of package versions and recipe.

mod disk;
mod root;

use crate::apt::{Apt, Deb, Refresh};
use crate::description::Layer;
use crate::discovery::kernel_package;
use crate::error::Doing;
use crate::gpt::Guid;
use crate::manifest::{Manifest, digest_of};
use crate::{Error, Progress};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const BUILT_IN: &str = include_str!("../../data/debian.toml");

/// Name of the compressed disk image in the output folder.
pub const IMAGE: &str = "debian.raw.zst";

/// Changes when the same inputs would give another image.
const FORMAT: u32 = 1;

/// What to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the results.
    pub out: PathBuf,
    /// Folder for packages and parts.
    pub cache: PathBuf,
    /// Which kernel: `cloud` or `generic`.
    pub kernel: String,
    /// Compression level of zstd, 1 to 19.
    pub level: i32,
    /// Size of the disk in bytes.
    pub size: u64,
    /// When to fetch the package index.
    pub refresh: Refresh,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    kernels: BTreeMap<String, String>,
    initramfs: BTreeMap<String, BTreeMap<String, String>>,
    system: System,
    tree: Layer,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct System {
    packages: Vec<String>,
    exclude: Vec<String>,
    remove: Vec<String>,
}

/// The names that tie boot loader, kernel command line and file systems of one image together.
#[derive(Debug, Clone)]
struct Identity {
    disk: Guid,
    root_partition: Guid,
    esp_partition: Guid,
    bios_partition: Guid,
    root_filesystem: Guid,
    /// The kernel's release.
    kernel: String,
}

impl Identity {
    /// Derived from the inputs, so that the same image always has the same.
    fn new(inputs: &str, kernel: &str) -> Self {
        let id = |what: &str| {
            let digest = digest_of(&json!([inputs, what]));
            let mut bytes = [0; 16];
            for (n, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&digest[2 * n..2 * n + 2], 16).unwrap_or(0);
            }
            // Version 8 (made by its user's own rule) and the usual variant: RFC 9562, sections 4 and 5.8.
            (bytes[7], bytes[8]) = (bytes[7] & 0x0F | 0x80, bytes[8] & 0x3F | 0x80);
            Guid(bytes)
        };
        Self {
            disk: id("disk"),
            root_partition: id("root"),
            esp_partition: id("esp"),
            bios_partition: id("bios"),
            root_filesystem: id("ext4"),
            kernel: kernel.trim_start_matches("linux-image-").into(),
        }
    }

    fn kernel_options(&self) -> String {
        let id = self.root_partition;
        format!("root=PARTUUID={id} rw quiet console=tty0 console=ttyS0,115200")
    }
}

/// Builds the image, or finds that the folder already holds it.
///
/// # Errors
/// When a program or package is absent or fails, or the system does not fit the disk.
pub fn build(options: &Options, progress: &dyn Progress) -> Result<Manifest, Error> {
    fs::create_dir_all(&options.out).doing("create", &options.out)?;
    let recipe = recipe()?;
    let apt = Apt::open(&options.cache.join("apt"), options.refresh, progress)?;
    let (kernel, debs) = packages(&apt, &recipe, &options.kernel)?;
    let sums: Vec<_> = debs.iter().map(|deb| &deb.sha256).collect();
    let inputs = json!({
        "format": FORMAT,
        "recipe": recipe,
        "packages": sums,
        "kernel": options.kernel,
        "level": options.level,
        "size": options.size,
    });
    let inputs = digest_of(&inputs);
    let mut manifest = Manifest::new("debian", inputs.clone(), &debs);
    if let Some(current) = Manifest::current(&options.out, &inputs) {
        progress.step("nothing to do: the image is up to date");
        return Ok(current);
    }
    let work = Work::begin(&options.cache, progress)?;
    let identity = Identity::new(&inputs, &kernel.name);
    let recipe = Tailored { recipe: &recipe, flavour: &options.kernel, identity: &identity };

    progress.step("installing Debian into a folder");
    root::install(&apt, &recipe, &kernel, &work.0)?;
    progress.step("writing the disk image");
    let raw = work.0.join("disk.raw");
    disk::write(&apt, &recipe, options.size, &work.0, &raw, progress)?;
    progress.step("compressing the disk image");
    compress(&raw, &options.out.join(IMAGE), options.level)?;

    let digest = manifest.add(&options.out, IMAGE)?.clone();
    let sum = options.out.join(format!("{IMAGE}.sha256"));
    fs::write(&sum, format!("{}  {IMAGE}\n", digest.sha256)).doing("write", &sum)?;
    manifest.add(&options.out, &format!("{IMAGE}.sha256"))?;
    manifest.details.insert("size".into(), options.size.into());
    manifest.details.insert("kernel".into(), identity.kernel.clone().into());
    manifest.write(&options.out)?;
    Ok(manifest)
}

/// A recipe for one kernel and one identity.
struct Tailored<'a> {
    recipe: &'a Recipe,
    flavour: &'a str,
    identity: &'a Identity,
}

/// A folder that goes away with its owner.
struct Work(PathBuf);

impl Work {
    /// Makes the folder, and removes those of builds that were cut off.
    fn begin(cache: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        sweep(cache, |folder| fs::remove_dir_all(folder), progress)?;
        let folder = cache.join(format!("work-{}", std::process::id()));
        fs::create_dir_all(&folder).doing("create", &folder)?;
        folder.canonicalize().doing("find", &folder).map(Self)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next build.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of builds that were cut off, each of some gigabytes. No other build uses one: who holds the [`Apt`] of the
/// cache is alone. What another user's build has left may not go; that is told and hinders nobody.
fn sweep(
    cache: &Path,
    remove: impl Fn(&Path) -> io::Result<()>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    for entry in fs::read_dir(cache).doing("list", cache)? {
        let entry = entry.doing("list", cache)?;
        let folder = entry.path();
        let left = entry.file_name().to_string_lossy().starts_with("work-")
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if left && let Err(error) = remove(&folder) {
            let folder = folder.display();
            progress.step(&format!("leaving {folder} of a build that was cut off: {error}"));
        }
    }
    Ok(())
}

fn recipe() -> Result<Recipe, Error> {
    toml::from_str(BUILT_IN)
        .map_err(|error| Error::Description { origin: "debian.toml".into(), reason: error.to_string() })
}

/// The kernel's package and all whose versions decide over the result.
fn packages(apt: &Apt, recipe: &Recipe, flavour: &str) -> Result<(Deb, Vec<Deb>), Error> {
    let meta = recipe.kernels.get(flavour).ok_or_else(|| Error::Description {
        origin: "debian.toml".into(),
        reason: format!("there is no kernel {flavour:?}; there are: cloud, generic"),
    })?;
    let kernel = kernel_package(apt, meta)?;
    let named: BTreeSet<_> = recipe.system.packages.iter().cloned().collect();
    let mut names = apt.with_libraries(&named)?;
    names.extend(disk::PACKAGES.map(ToOwned::to_owned));
    names.insert(kernel.name.clone());
    Ok((kernel, apt.resolve(&names)?))
}

fn compress(raw: &Path, to: &Path, level: i32) -> Result<(), Error> {
    let mut from = File::open(raw).doing("read", raw)?;
    let out = File::create(to).doing("create", to)?;
    let mut encoder = zstd::Encoder::new(out, level).doing("compress", raw)?;
    encoder.include_checksum(true).doing("compress", raw)?;
    encoder.multithread(2).doing("compress", raw)?;
    // Lets readers reserve space and show progress.
    let len = from.metadata().doing("read", raw)?.len();
    encoder.set_pledged_src_size(Some(len)).doing("compress", raw)?;
    io::copy(&mut from, &mut encoder).doing("compress", raw)?;
    encoder.finish().doing("compress", raw)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;
    use std::cell::RefCell;

    #[test]
    fn the_recipe_is_right() {
        let recipe = recipe().unwrap();
        assert_eq!(recipe.kernels.keys().collect::<Vec<_>>(), recipe.initramfs.keys().collect::<Vec<_>>());
        assert!(recipe.system.remove.iter().all(|path| !path.starts_with('/') && !path.contains("..")));
        let text = &recipe.tree.programs["/usr/local/sbin/resolv-from-dhcp"];
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("'\\n'"), "{text}");
        // The service for all connections is masked, so the socket must be for one server each.
        let units = |name: &str| &recipe.tree.files[&format!("/etc/systemd/system/{name}")];
        assert!(units("ssh.socket").contains("\nAccept=yes\n"));
        assert!(units("ssh@.service").contains("Requires=ssh-hostkeys.service"));
        assert_eq!(recipe.tree.links["/etc/systemd/system/sockets.target.wants/ssh.socket"], "../ssh.socket");
    }

    #[test]
    fn a_build_that_was_cut_off_leaves_nothing_for_long() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir_all(cache.path().join("work-7/root/etc")).unwrap();
        fs::create_dir_all(cache.path().join("apt")).unwrap();
        let names = || {
            let entries = fs::read_dir(cache.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let work = Work::begin(cache.path(), &Silent).unwrap();
        assert_eq!(names(), ["apt".to_owned(), format!("work-{}", std::process::id())]);
        drop(work);
        assert_eq!(names(), ["apt"]);
    }

    #[test]
    fn what_another_build_left_for_good_is_told_and_hinders_none() {
        struct Steps(RefCell<Vec<String>>);
        impl Progress for Steps {
            fn step(&self, what: &str) {
                self.0.borrow_mut().push(what.to_owned());
            }
        }
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("work-notes");
        fs::write(&file, "").unwrap();
        drop(Work::begin(cache.path(), &Silent).unwrap());
        assert!(file.exists());

        let of_root = cache.path().join("work-7");
        fs::create_dir(&of_root).unwrap();
        let steps = Steps(RefCell::default());
        sweep(cache.path(), |_| Err(io::ErrorKind::PermissionDenied.into()), &steps).unwrap();
        let told = format!("leaving {} of a build that was cut off: permission denied", of_root.display());
        assert_eq!(steps.0.into_inner(), [told]);
    }

    #[test]
    fn identities_follow_from_the_inputs() {
        let one = Identity::new("a", "linux-image-6.1.0-1-amd64");
        let two = Identity::new("b", "linux-image-6.1.0-1-amd64");
        assert_eq!(one.root_partition, Identity::new("a", "x").root_partition);
        assert_ne!(one.root_partition, two.root_partition);
        assert_ne!(one.root_partition, one.disk);
        assert_eq!(one.kernel, "6.1.0-1-amd64");
        let text = one.disk.to_string();
        assert_eq!(&text[14..15], "8", "{text}");
    }
}

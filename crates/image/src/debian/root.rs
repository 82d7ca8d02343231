//! The file tree of the demo image: Debian by mmdebstrap, then our own files.

use super::Tailored;
use crate::apt::{Apt, Deb};
use crate::error::Doing;
use crate::tree::{Node, Source, Tree};
use crate::{Error, process};
use nix::unistd::geteuid;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Makes `root.tar` (Debian as installed) and the folder `overlay` (what goes over it) in `work`.
pub(super) fn install(apt: &Apt, recipe: &Tailored<'_>, kernel: &Deb, work: &Path) -> Result<(), Error> {
    let initramfs = work.join("initramfs");
    for (path, text) in initramfs_files(recipe) {
        put(&initramfs, path, text, mode_of(text))?;
    }
    bootstrap(apt, recipe, kernel, work)?;
    write_overlay(recipe, &work.join("overlay"))
}

fn bootstrap(apt: &Apt, recipe: &Tailored<'_>, kernel: &Deb, work: &Path) -> Result<(), Error> {
    let system = &recipe.recipe.system;
    let root = geteuid().is_root();
    let mut command = process::program("mmdebstrap")?;
    command.args(["--quiet", "--variant=minbase", "--format=tar"]);
    // Left to itself mmdebstrap would go on under fakechroot where there are no user namespaces, and fail minutes later.
    command.arg(if root { "--mode=auto" } else { "--mode=unshare" });
    command.arg(format!("--include={},{}", system.packages.join(","), kernel.name));
    command.arg("--aptopt=Apt::Install-Recommends \"false\"");
    command.args(system.exclude.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    // What the initramfs shall contain must be said before the kernel's package makes it.
    command.arg(format!(
        "--extract-hook=mkdir -p \"$1/etc/initramfs-tools\" && cp -r {}/. \"$1/etc/initramfs-tools/\"",
        quoted(&work.join("initramfs"))
    ));
    command.arg("--dpkgopt=force-confold");
    // What a crash would lose is built again; without this dpkg waits for the disk once per file.
    command.arg("--dpkgopt=force-unsafe-io");
    command.arg(codename()?).arg(work.join("root.tar")).args(apt.sources());
    let installed = process::output(&mut command, "install Debian into a folder").map(drop);
    if root { installed } else { installed.map_err(for_ordinary_users) }
}

/// What an ordinary user's build needs, where it failed for want of it: mmdebstrap then names the call, `newuidmap` or the file.
fn for_ordinary_users(error: Error) -> Error {
    let about_ids = |stderr: &str| ["unshare", "uidmap", "subuid"].iter().any(|word| stderr.contains(word));
    match error {
        Error::Program { program, status, doing, stderr } if about_ids(&stderr) => {
            let hint = "hint: an ordinary user's build needs user namespaces (sysctl kernel.unprivileged_userns_clone, the settings of \
                        the container), the package uidmap and a range of ids in /etc/subuid and /etc/subgid; root's needs none of it";
            Error::Program { program, status, doing, stderr: format!("{stderr}\n{hint}") }
        }
        other => other,
    }
}

/// The release of the host, which its package sources offer.
fn codename() -> Result<String, Error> {
    let file = Path::new("/etc/os-release");
    let text = fs::read_to_string(file).doing("read", file)?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(ToOwned::to_owned).ok_or_else(|| Error::Malformed {
        file: file.display().to_string(),
        reason: "VERSION_CODENAME is absent; building the demo image needs a Debian host".into(),
    })
}

fn write_overlay(recipe: &Tailored<'_>, dir: &Path) -> Result<(), Error> {
    let tree = overlay(recipe);
    for (path, node) in tree.iter() {
        let file = dir.join(&path[1..]);
        match node {
            Node::Directory(mode) => {
                fs::create_dir_all(&file).doing("create", &file)?;
                fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).doing("create", &file)?;
            }
            Node::File(mode, source) => {
                let text = String::from_utf8_lossy(&source.read()?).into_owned();
                put(dir, &path[1..], &text, *mode)?;
            }
            Node::Link(target) => symlink(target, &file).doing("create", &file)?,
            Node::CharacterDevice(..) => {}
        }
    }
    Ok(())
}

/// Everything that is ours in the image.
fn overlay(recipe: &Tailored<'_>) -> Tree {
    let mut tree = Tree::default();
    crate::layer::put_own(&mut tree, &recipe.recipe.tree);
    let identity = recipe.identity;
    let (kernel, options) = (&identity.kernel, identity.kernel_options());
    tree.text("/etc/fstab", format!("PARTUUID={} / ext4 errors=remount-ro 0 0\n", identity.root_partition));
    for (path, text) in initramfs_files(recipe) {
        let source = Source::Bytes(text.clone().into_bytes());
        tree.put(&format!("/etc/initramfs-tools/{path}"), Node::File(mode_of(text), source));
    }
    tree.text("/boot/grub/grub.cfg", grub_config(&identity.root_filesystem.to_string(), &options));
    tree.text(
        &format!("/boot/loader/entries/debian-{kernel}.conf"),
        format!(
            "title Debian GNU/Linux ({kernel})\nversion {kernel}\nlinux /boot/vmlinuz-{kernel}\n\
             initrd /boot/initrd.img-{kernel}\noptions {options}\n"
        ),
    );
    tree.put("/boot/vmlinuz", Node::Link(format!("vmlinuz-{kernel}")));
    tree.put("/boot/initrd.img", Node::Link(format!("initrd.img-{kernel}")));
    tree
}

/// Our files for initramfs-tools, relative to its configuration folder.
fn initramfs_files<'a>(recipe: &Tailored<'a>) -> impl Iterator<Item = (&'a String, &'a String)> + use<'a> {
    recipe.recipe.initramfs.get(recipe.flavour).into_iter().flatten()
}

/// Scripts may be executed.
fn mode_of(text: &str) -> u32 {
    if text.starts_with("#!") { 0o755 } else { 0o644 }
}

/// GRUB's menu: the newest kernel, at once, on screen and serial line.
fn grub_config(filesystem: &str, options: &str) -> String {
    format!(
        "set default=0\n\
         set timeout=0\n\
         if serial --unit=0 --speed=115200; then\n    \
             terminal_output console serial\n\
         fi\n\
         search --no-floppy --fs-uuid --set=root {filesystem}\n\
         menuentry 'Debian GNU/Linux' {{\n    \
             linux /boot/vmlinuz {options}\n    \
             initrd /boot/initrd.img\n\
         }}\n"
    )
}

fn put(dir: &Path, path: &str, text: &str, mode: u32) -> Result<(), Error> {
    let file = dir.join(path);
    let parent = file.parent().unwrap_or(dir);
    fs::create_dir_all(parent).doing("create", parent)?;
    fs::write(&file, text).doing("write", &file)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).doing("write", &file)
}

/// A path as one word of a shell command.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::super::{Identity, recipe};
    use super::*;

    #[test]
    fn the_overlay_ties_loader_kernel_and_root_together() {
        let (recipe, identity) = (recipe().unwrap(), Identity::new("i", "linux-image-6.1.0-9-cloud-amd64"));
        let dir = tempfile::tempdir().unwrap();
        write_overlay(&Tailored { recipe: &recipe, flavour: "cloud", identity: &identity }, dir.path())
            .unwrap();
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        let root = format!("root=PARTUUID={}", identity.root_partition);
        let entry = read("boot/loader/entries/debian-6.1.0-9-cloud-amd64.conf");
        assert!(
            entry.contains("\nlinux /boot/vmlinuz-6.1.0-9-cloud-amd64\n") && entry.contains(&root),
            "{entry}"
        );
        let grub = read("boot/grub/grub.cfg");
        assert!(grub.contains(&format!("linux /boot/vmlinuz {root} rw")), "{grub}");
        assert!(grub.contains(&identity.root_filesystem.to_string()));
        assert_eq!(
            fs::read_link(dir.path().join("boot/vmlinuz")).unwrap(),
            Path::new("vmlinuz-6.1.0-9-cloud-amd64")
        );
        let mode = fs::metadata(dir.path().join("etc/kernel/postinst.d/zz-loader-entries"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn an_ordinary_user_is_told_what_a_build_needs() {
        let said = |stderr: &str| {
            let mut command = process::program("sh").unwrap();
            command.args(["-c", "echo \"$0\" >&2; exit 25", stderr]);
            for_ordinary_users(process::output(&mut command, "test").unwrap_err()).to_string()
        };
        let refused = said("E: unshare() failed: Operation not permitted");
        assert!(
            refused.contains("permitted\nhint: an ordinary user's build needs user namespaces"),
            "{refused}"
        );
        assert!(refused.contains("/etc/subuid"), "{refused}");
        assert!(!said("E: cannot resolve the mirror").contains("hint"));
    }

    #[test]
    fn quoting_survives_the_shell() {
        let mut shell = process::program("sh").unwrap();
        shell.arg("-c").arg(format!("printf %s {}", quoted(Path::new("/a b/it's"))));
        assert_eq!(process::text(&mut shell, "test").unwrap(), "/a b/it's");
    }
}

//! Jumping into the written system without the firmware: which kernel, with which command line.
//!
//! Three places say it, the first that does counts: boot loader specification entries (`bls`), the default
//! entry of grub's menu (`grub`), and else the newest kernel in `/boot` with the root's UUID. Loading is
//! `kexec_file_load`, the only call that Secure Boot allows. What cannot be loaded is no failure of a
//! deployment: the machine then boots from its disk in the ordinary way.

pub mod bls;
pub mod grub;

use crate::deploy::inside::Root;
use crate::session::Restart;
use crate::sys;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The boot environment whose machines start from their own disk; a deployed image's kernel is meant for it.
pub const LOCAL: &str = "local";
/// Where the [`Purpose`] of a loaded kernel is written: on a tmpfs, so that it dies with the boot, as the kernel does.
pub const NOTE: &str = "/run/gantry/kexec-for";

/// What a loaded kernel is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To enter this boot environment.
    BootEnv(String),
    /// A task loaded it with tools of its own: for the restart that it asks for, or for the disk.
    Task,
    /// Nothing: it should have been dropped, but could not be. Nobody jumps into it.
    Nothing,
}

impl Purpose {
    /// Whether a restart into `boot_env` may jump into it.
    pub fn suits(&self, boot_env: &str, restart: Restart) -> bool {
        match self {
            Self::BootEnv(meant) => meant == boot_env,
            Self::Task => restart == Restart::Task || boot_env == LOCAL,
            Self::Nothing => false,
        }
    }

    /// Reads the note at `place`; without one, a task has loaded the kernel.
    pub fn read(place: &Path) -> Self {
        match fs::read_to_string(place) {
            Ok(text) if text.is_empty() => Self::Nothing,
            Ok(text) => Self::BootEnv(text),
            Err(_) => Self::Task,
        }
    }

    /// Writes the note at `place`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&self, place: &Path) -> io::Result<()> {
        fs::create_dir_all(place.parent().unwrap_or(place))?;
        match self {
            Self::BootEnv(boot_env) => fs::write(place, boot_env),
            Self::Nothing => fs::write(place, ""),
            Self::Task => match fs::remove_file(place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootEnv(boot_env) => out.write_str(boot_env),
            Self::Task => out.write_str("a task"),
            Self::Nothing => out.write_str("nothing"),
        }
    }
}

/// True when a restart will be a jump into a loaded kernel.
pub fn is_ready() -> bool {
    is_loaded() && Purpose::read(Path::new(NOTE)) != Purpose::Nothing
}

/// True when the kernel holds another one to jump into.
pub fn is_loaded() -> bool {
    fs::read_to_string("/sys/kernel/kexec_loaded").is_ok_and(|text| text.trim() == "1")
}

/// A kernel to start, as paths of the system it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Kernel image.
    pub kernel: String,
    /// Initial RAM disks, in order.
    pub initrds: Vec<String>,
    /// Command line.
    pub cmdline: String,
    /// Where this was found, for people.
    pub origin: String,
}

/// Finds what the boot loader of a mounted system would start. `root_arg` is the `root=` of last resort,
/// for example `UUID=…`.
pub fn find(root: &Root, root_arg: &str) -> Option<Entry> {
    let found = bls::find(root).or_else(|| grub::find(root)).or_else(|| newest(root, root_arg));
    found
        .filter(|entry| root.exists(&entry.kernel) && entry.initrds.iter().all(|path| root.exists(path)))
        .or_else(|| newest(root, root_arg))
}

/// Loads it, with `append` behind its command line, and notes what for.
///
/// # Errors
/// When a file cannot be read, the kernel refuses it, or the note cannot be written.
pub fn load(root: &Root, entry: &Entry, append: &str, purpose: &Purpose) -> io::Result<()> {
    let kernel = File::open(root.resolve(&entry.kernel)?)?;
    let cmdline = [entry.cmdline.trim(), append.trim()].join(" ").trim().to_owned();
    let initrd = match &entry.initrds[..] {
        [] => None,
        [one] => Some(File::open(root.resolve(one)?)?),
        several => Some(joined(root, several)?),
    };
    sys::kexec_file_load(&kernel, initrd.as_ref(), &cmdline)?;
    purpose.note(Path::new(NOTE))
}

/// The kernel unpacks archives one behind the other, so several RAM disks are one.
fn joined(root: &Root, paths: &[String]) -> io::Result<File> {
    let mut out = sys::memory_file()?;
    for path in paths {
        io::copy(&mut File::open(root.resolve(path)?)?, &mut out)?;
    }
    sys::read_only(&out)
}

/// The newest `vmlinuz-*` with its RAM disk.
fn newest(root: &Root, root_arg: &str) -> Option<Entry> {
    let boot = root.resolve("/boot").ok()?;
    let names = crate::inventory::names(&boot);
    let versions = names.iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    let version =
        versions.filter(|version| !version.contains("rescue")).max_by(|a, b| compare_versions(a, b))?;
    let candidates = [
        format!("initrd.img-{version}"),
        format!("initramfs-{version}.img"),
        format!("initrd-{version}"),
        format!("initramfs-{version}"),
    ];
    let initrd = candidates.into_iter().find(|name| names.contains(name));
    let cmdline = if root_arg.is_empty() { "ro".to_owned() } else { format!("root={root_arg} ro") };
    Some(Entry {
        kernel: format!("/boot/vmlinuz-{version}"),
        initrds: initrd.map(|name| format!("/boot/{name}")).into_iter().collect(),
        cmdline,
        origin: "newest kernel".into(),
    })
}

/// Compares like `sort -V`: runs of digits as numbers, a `~` before everything.
pub fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    pieces(a).cmp(&pieces(b))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Before,
    End,
    Text(String),
    Number(u64),
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = if first == '~' {
            1
        } else {
            rest.find(|c: char| c == '~' || c.is_ascii_digit() != is_digit).unwrap_or(rest.len())
        };
        let (piece, tail) = rest.split_at(end);
        all.push(match (first, is_digit) {
            ('~', _) => Piece::Before,
            (_, true) => Piece::Number(piece.parse().unwrap_or(u64::MAX)),
            _ => Piece::Text(piece.to_owned()),
        });
        rest = tail;
    }
    all.push(Piece::End);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    pub(crate) fn system(files: &[(&str, &str)]) -> (TempDir, Root) {
        let dir = TempDir::new();
        let root = Root::new(dir.path());
        for (path, text) in files {
            root.write(path, text.as_bytes(), 0o644).expect("file");
        }
        (dir, root)
    }

    #[test]
    fn the_newest_kernel_is_the_last_resort() {
        let (_dir, root) = system(&[
            ("/boot/vmlinuz-6.1.0-9-amd64", ""),
            ("/boot/vmlinuz-6.1.0-56-amd64", ""),
            ("/boot/initrd.img-6.1.0-56-amd64", ""),
            ("/boot/vmlinuz-0-rescue-abc", ""),
        ]);
        let entry = find(&root, "UUID=1").expect("entry");
        assert_eq!(entry.kernel, "/boot/vmlinuz-6.1.0-56-amd64");
        assert_eq!((entry.initrds.len(), entry.cmdline.as_str()), (1, "root=UUID=1 ro"));
        let (_dir, empty) = system(&[]);
        assert_eq!(find(&empty, ""), None);
    }

    #[test]
    fn a_menu_that_names_missing_files_is_not_followed() {
        let (_dir, root) = system(&[
            ("/boot/grub/grub.cfg", "menuentry 'x' {\n linux /boot/gone root=/dev/sda1\n}\n"),
            ("/boot/vmlinuz-1", ""),
        ]);
        assert_eq!(find(&root, "LABEL=r").expect("entry").origin, "newest kernel");
    }

    #[test]
    fn the_purpose_of_a_loaded_kernel_is_noted() {
        let dir = TempDir::new();
        let place = dir.path().join("run/kexec-for");
        assert_eq!(Purpose::read(&place), Purpose::Task, "nobody noted anything");
        for purpose in [Purpose::BootEnv("rescue".into()), Purpose::Nothing, Purpose::Task, Purpose::Task] {
            purpose.note(&place).expect("note");
            assert_eq!(Purpose::read(&place), purpose);
        }
    }

    #[test]
    fn a_restart_enters_only_the_kernel_that_is_meant() {
        let local = Purpose::BootEnv(LOCAL.into());
        let rows = [
            (&local, LOCAL, Restart::Onward, true),
            // A task that restarts the machine between image-deploy and the change to local comes back to the discovery OS.
            (&local, "sledgehammer", Restart::Task, false),
            (&local, "rescue", Restart::Onward, false),
            (&local, LOCAL, Restart::Task, true),
            (&Purpose::Task, "sledgehammer", Restart::Task, true),
            (&Purpose::Task, LOCAL, Restart::Onward, true),
            (&Purpose::Task, "rescue", Restart::Onward, false),
            (&Purpose::Nothing, LOCAL, Restart::Onward, false),
            (&Purpose::Nothing, LOCAL, Restart::Task, false),
        ];
        for (purpose, boot_env, restart, expected) in rows {
            assert_eq!(purpose.suits(boot_env, restart), expected, "{purpose:?} {boot_env} {restart:?}");
        }
    }

    #[test]
    fn versions() {
        let mut all = vec!["6.1.0-9", "6.1.0-10", "6.1.0-10~rc1", "5.10", "6.1.0-9-cloud"];
        all.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(all, ["5.10", "6.1.0-9", "6.1.0-9-cloud", "6.1.0-10~rc1", "6.1.0-10"]);
    }
}

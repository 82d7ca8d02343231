//! The file systems that every Linux program expects, and a console.

use crate::runner::say;
use crate::sys;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;

const NO_SUID: u64 = libc::MS_NOSUID;
const NO_DEV: u64 = libc::MS_NODEV;
const NO_EXEC: u64 = libc::MS_NOEXEC;

/// Source, target, type, flags, options.
const EARLY: [(&str, &str, &str, u64, &str); 7] = [
    ("proc", "/proc", "proc", NO_SUID | NO_DEV | NO_EXEC, ""),
    ("sysfs", "/sys", "sysfs", NO_SUID | NO_DEV | NO_EXEC, ""),
    ("devtmpfs", "/dev", "devtmpfs", NO_SUID, "mode=0755"),
    ("devpts", "/dev/pts", "devpts", NO_SUID | NO_EXEC, "gid=5,mode=620"),
    ("tmpfs", "/dev/shm", "tmpfs", NO_SUID | NO_DEV, "mode=1777"),
    ("tmpfs", "/run", "tmpfs", NO_SUID | NO_DEV, "mode=0755"),
    ("tmpfs", "/tmp", "tmpfs", NO_SUID | NO_DEV, "mode=1777"),
];

/// What needs drivers or is not on every machine.
const LATE: [(&str, &str, &str, u64, &str); 2] = [
    ("securityfs", "/sys/kernel/security", "securityfs", NO_SUID | NO_DEV | NO_EXEC, ""),
    ("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", NO_SUID | NO_DEV | NO_EXEC, ""),
];

/// Links that programs look for.
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/self/mounts", "/etc/mtab"),
];

/// Mounts everything early and opens the console.
pub fn all() {
    let failed: Vec<String> = EARLY.iter().filter_map(mount).collect();
    open_console();
    for text in failed {
        say(&text);
    }
    let _ = fs::create_dir_all("/etc");
    for (target, link) in LINKS {
        if fs::symlink_metadata(link).is_err() {
            let _ = symlink(target, link);
        }
    }
    own_tools();
}

/// Mounts what may be missing without harm.
pub fn late() {
    for row in &LATE {
        if Path::new(row.1).is_dir() {
            let _ = mount(row);
        }
    }
}

fn mount((source, target, kind, flags, options): &(&str, &str, &str, u64, &str)) -> Option<String> {
    let _ = fs::create_dir_all(target);
    match sys::mount(source, Path::new(target), kind, *flags, options) {
        Ok(()) => None,
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => None,
        Err(error) => Some(format!("mount {target}: {error}")),
    }
}

/// The kernel gives PID 1 no console when the initramfs has no device node for it.
fn open_console() {
    let Ok(console) = fs::OpenOptions::new().read(true).write(true).open("/dev/console") else { return };
    for target in 0..3 {
        // SAFETY: both descriptors are plain numbers; 0 to 2 belong to nobody else in PID 1.
        unsafe { libc::dup2(console.as_raw_fd(), target) };
    }
    if console.as_raw_fd() <= 2 {
        std::mem::forget(console);
    }
}

/// The kernel asks `/sbin/modprobe` for file systems and protocols; without another one that is us.
fn own_tools() {
    let Ok(own) = std::env::current_exe() else { return };
    let _ = fs::create_dir_all("/sbin");
    for link in ["/sbin/modprobe", "/sbin/gantry-agent"] {
        if fs::symlink_metadata(link).is_err() {
            let _ = symlink(&own, link);
        }
    }
}

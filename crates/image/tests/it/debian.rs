//! The demo's disk image boots from BIOS and UEFI, and tells how long it took.

use crate::machine::{Machine, uefi};
use crate::{Lines, cache};
use gantry_image::apt::Refresh;
use gantry_image::debian::{IMAGE, Options, build};
use gantry_image::gpt::{Guid, Table};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Builds the image and expands it into `dir`.
fn raw(dir: &Path) -> PathBuf {
    let out = cache().join("out-debian");
    let options = Options {
        out,
        cache: cache(),
        kernel: "cloud".into(),
        level: 3,
        size: 1 << 30,
        refresh: Refresh::Daily,
    };
    let manifest = build(&options, &Lines).unwrap();
    assert_eq!(build(&options, &Lines).unwrap(), manifest, "a second run finds it done");
    let raw = dir.join("disk.raw");
    let mut packed = File::open(options.out.join(IMAGE)).unwrap();
    zstd::stream::copy_decode(&mut packed, File::create(&raw).unwrap()).unwrap();
    raw
}

fn boots(firmware: &[String]) {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw(dir.path());
    let drive = format!("if=none,id=d,format=raw,cache=unsafe,file={}", raw.display());
    let disk = ["-drive", &drive, "-device", "virtio-blk-pci,drive=d,bootindex=0"];
    let args: Vec<_> = firmware.iter().map(String::as_str).chain(disk).collect();
    let mut machine = Machine::start(1024, &args);
    // The line before the prompt, which itself does not end.
    let (line, at) = machine.wait("debian ttyS0", Duration::from_secs(240));
    println!("{line} after {at:?}");
}

#[test]
#[ignore = "fetches Debian packages and boots QEMU"]
fn it_boots_from_bios() {
    boots(&[]);
}

#[test]
#[ignore = "fetches Debian packages and boots QEMU"]
fn it_boots_from_uefi() {
    let dir = tempfile::tempdir().unwrap();
    boots(&uefi(dir.path()));
}

#[test]
#[ignore = "fetches Debian packages"]
fn its_root_can_grow_and_its_file_system_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw(dir.path());
    let mut disk = File::options().read(true).write(true).open(&raw).unwrap();
    disk.set_len(3 << 30).unwrap();
    let mut table = Table::find(&mut disk).unwrap();
    table.fit(3 << 30).unwrap();
    let grown = table.grow_last().unwrap();
    table.write(&mut disk).unwrap();
    assert_eq!(grown.number, 3);
    assert!(table.partitions().any(|(_, part)| part.kind == Guid::LINUX_ROOT_X86_64));
    let root = dir.path().join("root");
    let offset = format!("skip={}", grown.start >> 20);
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", raw.display())).arg(format!("of={}", root.display())).args([
        "bs=1M",
        &offset,
        "status=none",
    ]);
    assert!(dd.status().unwrap().success());
    let check = Command::new("/usr/sbin/e2fsck").args(["-fn"]).arg(&root).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let listing = Command::new("/usr/sbin/debugfs").args(["-R", "ls -l /boot"]).arg(&root).output().unwrap();
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    assert!(
        listing.contains("vmlinuz-") && listing.contains("initrd.img-") && listing.contains("grub"),
        "{listing}"
    );
    fs::remove_file(root).unwrap();
}

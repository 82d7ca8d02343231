//! What sgdisk and GNU cpio think of what we write. Without the tool a test says so and passes.

use gantry_image::cpio::Writer;
use gantry_image::gpt::{Guid, Partition, Table};
use std::fs::{self, File};
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;

fn have(tool: &str) -> bool {
    let found =
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

#[test]
fn sgdisk_finds_no_fault_in_a_table_that_was_moved_and_grown() {
    if !have("/usr/sbin/sgdisk") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let mut disk = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    disk.set_len(64 * MIB).unwrap();
    let id = |n| Guid::new(n, 1, 0x4002, 0x8000_0000_0000_0003);
    let mut table = Table::new(512, 64 * MIB, id(1)).unwrap();
    table.add(Partition::new(Guid::EFI_SYSTEM, id(2), 2048, 8191, "esp")).unwrap();
    table.add(Partition::new(Guid::LINUX, id(3), 8192, 100_000, "root")).unwrap();
    table.write(&mut disk).unwrap();
    disk.set_len(256 * MIB).unwrap();
    table.fit(256 * MIB).unwrap();
    table.grow_last().unwrap();
    table.write(&mut disk).unwrap();
    let output = Command::new("/usr/sbin/sgdisk").arg("-v").arg("-p").arg(&path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("No problems found"), "{text}");
    assert!(text.contains("522239"), "the root ends at the last whole MiB: {text}");
}

#[test]
fn our_reader_agrees_with_sgdisk() {
    if !have("/usr/sbin/sgdisk") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    File::create(&path).unwrap().set_len(64 * MIB).unwrap();
    let args = ["-n", "1:0:+10M", "-t", "1:ef00", "-c", "1:Größe", "-n", "5:0:0", "-A", "5:set:2"];
    let output = Command::new("/usr/sbin/sgdisk").args(args).arg(&path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = Table::find(&mut File::open(&path).unwrap()).unwrap();
    let seen: Vec<_> =
        table.partitions().map(|(n, p)| (n, p.kind, p.label(), p.first, p.attributes)).collect();
    let root = table.partitions().nth(1).unwrap().1.label();
    assert_eq!(seen[0], (1, Guid::EFI_SYSTEM, "Größe".to_owned(), 2048, 0));
    assert_eq!(seen[1], (5, Guid::LINUX, root, 22528, 4));
}

#[test]
fn gnu_cpio_unpacks_our_archives() {
    if !have("cpio") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Writer::new(Vec::new(), 1_700_000_000);
    archive.directory("etc", 0o755).unwrap();
    archive.file("etc/motd", 0o640, 6, &b"hello\n"[..]).unwrap();
    archive.link("motd", "etc/motd").unwrap();
    let file = dir.path().join("a.cpio");
    fs::write(&file, archive.finish().unwrap()).unwrap();
    let mut cpio = Command::new("cpio");
    cpio.args(["-i", "--quiet", "--no-preserve-owner"])
        .current_dir(dir.path())
        .stdin(File::open(&file).unwrap());
    assert!(cpio.status().unwrap().success());
    assert_eq!(fs::read_to_string(dir.path().join("motd")).unwrap(), "hello\n");
}

//! The inventory of a machine made of files.

use super::runner::TempDir;
use gantry_agent::inventory::{facts, gather, gohai};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn write(root: &Path, path: &str, text: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().expect("parent")).expect("folder");
    fs::write(place, text).expect("file");
}

fn link(root: &Path, target: &str, path: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().expect("parent")).expect("folder");
    symlink(target, place).expect("link");
}

/// One e1000e card, a SATA disk, an NVMe disk, a USB stick, an optical drive, a loop device.
fn machine() -> TempDir {
    let dir = TempDir::new();
    let root = dir.path();
    let card = "sys/devices/pci0000:00/0000:00:19.0";
    write(root, &format!("{card}/vendor"), "0x8086\n");
    write(root, &format!("{card}/device"), "0x10d3\n");
    write(root, &format!("{card}/class"), "0x020000\n");
    link(root, "../../../bus/pci/drivers/e1000e", &format!("{card}/driver"));
    link(root, &format!("../../../../{card}"), "sys/bus/pci/devices/0000:00:19.0");
    for (name, value) in [
        ("address", "52:54:00:AA:00:01"),
        ("carrier", "1"),
        ("operstate", "up"),
        ("speed", "1000"),
        ("duplex", "full"),
        ("mtu", "1500"),
    ] {
        write(root, &format!("{card}/net/eth0/{name}"), value);
    }
    link(root, "../..", &format!("{card}/net/eth0/device"));
    link(root, &format!("../../../{card}/net/eth0"), "sys/class/net/eth0");
    write(root, "sys/devices/virtual/net/lo/address", "00:00:00:00:00:00");
    link(root, "../../devices/virtual/net/lo", "sys/class/net/lo");
    write(root, "sys/devices/virtual/net/br0/address", "52:54:00:aa:00:01");
    link(root, "../../devices/virtual/net/br0", "sys/class/net/br0");

    let sata = "sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
    disk(
        root,
        &format!("{sata}/block/sda"),
        "sda",
        &[("size", "41943040"), ("queue/rotational", "1"), ("queue/logical_block_size", "512")],
    );
    write(root, &format!("{sata}/model"), "QEMU HARDDISK   ");
    write(root, &format!("{sata}/vendor"), "ATA     ");
    write(root, &format!("{sata}/wwid"), "naa.5000c500a1b2c3d4\n");
    fs::write(root.join(format!("{sata}/vpd_pg80")), b"\0\x80\0\x08SN-00001").expect("page 80");
    link(root, "../..", &format!("{sata}/block/sda/device"));
    let nvme = "sys/devices/pci0000:00/0000:03:00.0/nvme/nvme0/nvme0n1";
    disk(root, nvme, "nvme0n1", &[("size", "2097152"), ("wwid", "eui.0025388b01234567")]);
    write(root, "sys/devices/pci0000:00/0000:03:00.0/nvme/nvme0/serial", "NV7   ");
    write(root, "sys/devices/pci0000:00/0000:03:00.0/nvme/nvme0/model", "Fast Disk");
    link(root, "..", &format!("{nvme}/device"));
    disk(
        root,
        "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/sdb",
        "sdb",
        &[("size", "1024"), ("removable", "1")],
    );
    for name in ["sr0", "loop0", "dm-0", "md127"] {
        disk(root, &format!("sys/devices/virtual/block/{name}"), name, &[("size", "100")]);
    }
    disk(root, "sys/devices/virtual/block/sdc", "sdc", &[("size", "0")]);

    write(root, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Test CPU\nflags\t: fpu\n");
    write(root, "proc/meminfo", "MemTotal:        2048 kB\nMemAvailable:    1024 kB\n");
    write(root, "proc/sys/kernel/hostname", "node\n");
    write(root, "sys/class/dmi/id/sys_vendor", "Acme");
    write(root, "sys/class/dmi/id/product_serial", "SER-1");
    write(root, "sys/class/dmi/id/product_uuid", "4C4C4544-0042-4810-8056-B4C04F365931");
    write(root, "etc/resolv.conf", "search lab.test\n");
    dir
}

fn disk(root: &Path, place: &str, name: &str, values: &[(&str, &str)]) {
    for (path, value) in values {
        write(root, &format!("{place}/{path}"), value);
    }
    link(root, &format!("../{}", place.trim_start_matches("sys/")), &format!("sys/block/{name}"));
}

#[test]
fn disks_and_cards_of_a_machine() {
    let dir = machine();
    let all = gather(dir.path());
    let names: Vec<&str> = all.disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["nvme0n1", "sda", "sdb"]);
    let (nvme, sda, sdb) = (&all.disks[0], &all.disks[1], &all.disks[2]);
    assert_eq!(
        (sda.size, sda.serial.as_str(), sda.model.as_str(), sda.transport.as_str(), sda.rotational),
        (20 << 30, "SN-00001", "QEMU HARDDISK", "sata", true)
    );
    assert_eq!(sda.by_id, ["ata-QEMU_HARDDISK_SN-00001", "wwn-0x5000c500a1b2c3d4"]);
    assert_eq!(sda.pci_address, "0000:00:1f.2");
    assert_eq!(
        (nvme.serial.as_str(), nvme.transport.as_str(), nvme.wwn.as_str()),
        ("NV7", "nvme", "eui.0025388b01234567")
    );
    assert_eq!((sdb.removable, sdb.transport.as_str()), (true, "usb"));

    let cards: Vec<(&str, bool)> = all.nics.iter().map(|nic| (nic.name.as_str(), nic.physical)).collect();
    assert_eq!(cards, [("br0", false), ("eth0", true)]);
    let card = &all.nics[1];
    assert_eq!(
        (card.mac.as_str(), card.link, card.speed, card.driver.as_str()),
        ("52:54:00:aa:00:01", true, 1000, "e1000e")
    );
    assert_eq!((card.pci_address.as_str(), card.pci_id.as_str()), ("0000:00:19.0", "8086:10d3"));
    assert_eq!((all.pci.len(), all.pci[0].class.as_str()), (1, "020000"));
    assert_eq!(
        (all.memory.total, all.firmware.mode.as_str(), all.hostname.as_str()),
        (2 << 20, "bios", "node")
    );

    let old = gohai::of(&all);
    assert_eq!(old["DMI"]["System"]["Manufacturer"], "Acme");
    assert_eq!(old["Networking"]["Interfaces"][1]["Sys"]["IsPhysical"], true);
    assert_eq!(old["Storage"]["Disks"][1]["Serial"], "SN-00001");
}

#[test]
fn facts_identify_the_machine() {
    let dir = machine();
    let facts = facts(dir.path(), "https://127.0.0.1:8092");
    assert_eq!(facts.macs, ["52:54:00:aa:00:01"]);
    assert_eq!(facts.default_name(), "d52-54-00-aa-00-01.lab.test");
    assert_eq!(facts.fingerprint.system_uuid, "4c4c4544-0042-4810-8056-b4c04f365931");
    assert!(!facts.fingerprint.ssn_hash.is_empty() && facts.fingerprint.csn_hash.is_empty());
    write(dir.path(), "sys/class/dmi/id/product_name", "KVM Virtual Machine");
    let virtual_one = gantry_agent::inventory::facts(dir.path(), "");
    assert!(virtual_one.fingerprint.ssn_hash.is_empty(), "SMBIOS of a virtual machine identifies nothing");
}

#[test]
fn an_empty_tree_is_an_empty_inventory() {
    let dir = TempDir::new();
    let all = gather(dir.path());
    assert!(all.disks.is_empty() && all.nics.is_empty() && all.pci.is_empty());
    let text = serde_json::to_string(&all).expect("json");
    assert!(text.contains("\"Disks\":[]"), "{text}");
}

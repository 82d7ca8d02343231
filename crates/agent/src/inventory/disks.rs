//! Whole disks, from `/sys/block`. Partitions, loop devices, RAM disks, device-mapper and optical
//! drives are left out: none of them is a place to install to.

use super::{link_name, names, number, read_bytes, read_path};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Disk {
    /// Kernel name, such as `sda`, `nvme0n1`, `vda`.
    pub name: String,
    /// Device node.
    pub path: String,
    /// Capacity in bytes.
    pub size: u64,
    /// Logical sector in bytes.
    pub sector_size: u32,
    /// Model as the disk says it.
    pub model: String,
    /// Maker as the disk says it.
    pub vendor: String,
    /// Serial number.
    pub serial: String,
    /// World wide name, with its `naa.` or `eui.` prefix.
    pub wwn: String,
    /// Names under which udev would link it in `/dev/disk/by-id`.
    pub by_id: Vec<String>,
    /// How it is attached: `sata`, `sas`, `scsi`, `nvme`, `virtio`, `usb`, `mmc`, `xen` or empty.
    pub transport: String,
    /// Spinning disk.
    pub rotational: bool,
    /// The medium can be taken out.
    pub removable: bool,
    /// Writes are refused.
    pub read_only: bool,
    /// PCI address of its controller.
    pub pci_address: String,
}

/// Reads all disks, by name.
pub fn gather(root: &Path) -> Vec<Disk> {
    let block = root.join("sys/block");
    names(&block)
        .into_iter()
        .filter(|name| !is_virtual(name))
        .filter_map(|name| disk(&block.join(&name), name))
        .collect()
}

fn is_virtual(name: &str) -> bool {
    const OTHERS: [&str; 10] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "mtdblock", "drbd"];
    OTHERS.iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    }) || name.contains("boot") && name.starts_with("mmcblk")
}

fn disk(dir: &Path, name: String) -> Option<Disk> {
    let sectors: u64 = number(&dir.join("size")).filter(|sectors| *sectors > 0)?;
    let at = |path: &str| read_path(&dir.join(path));
    let flag = |path: &str| at(path) == "1";
    // A path of a multipath NVMe disk has no device node; the disk itself is listed, too.
    if flag("hidden") {
        return None;
    }
    let place = fs::canonicalize(dir).unwrap_or_default().to_string_lossy().into_owned();
    let mut disk = Disk {
        path: format!("/dev/{name}"),
        size: sectors.saturating_mul(512),
        sector_size: number(&dir.join("queue/logical_block_size")).unwrap_or(512),
        model: first([at("device/model"), at("device/name")]),
        vendor: at("device/vendor"),
        serial: first([at("serial"), at("device/serial"), page_80(dir), page_83_serial(&at("device/wwid"))]),
        wwn: first([at("wwid"), at("device/wwid")]),
        transport: transport(&name, &place, &at("device/vendor")),
        rotational: flag("queue/rotational"),
        removable: flag("removable"),
        read_only: flag("ro"),
        pci_address: pci_address(&place),
        name,
        ..Disk::default()
    };
    if disk.vendor.starts_with("0x") {
        // Virtio and NVMe show the PCI vendor here.
        disk.vendor.clear();
    }
    if !["naa.", "eui.", "nvme."].iter().any(|prefix| disk.wwn.starts_with(prefix)) {
        disk.wwn.clear();
    }
    if link_name(&dir.join("device/subsystem")) == "mmc" {
        "mmc".clone_into(&mut disk.transport);
    }
    disk.by_id = by_id(&disk);
    Some(disk)
}

fn first<const N: usize>(values: [String; N]) -> String {
    values.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
}

/// Unit serial number page of SCSI: 4 bytes of header, then text.
fn page_80(dir: &Path) -> String {
    let page = read_bytes(&dir.join("device/vpd_pg80"));
    let text = page.get(4..).unwrap_or_default();
    String::from_utf8_lossy(text).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
}

/// ATA disks behind libata: `t10.ATA     MODEL   SERIAL`.
fn page_83_serial(wwid: &str) -> String {
    let text = wwid.strip_prefix("t10.ATA").unwrap_or_default();
    text.split_whitespace().last().unwrap_or_default().to_owned()
}

fn transport(name: &str, place: &str, vendor: &str) -> String {
    let by_name = [("nvme", "nvme"), ("vd", "virtio"), ("mmcblk", "mmc"), ("xvd", "xen")];
    if let Some((_, transport)) = by_name.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return (*transport).to_owned();
    }
    let by_place = [("/usb", "usb"), ("/ata", "sata"), ("/virtio", "virtio"), ("/end_device-", "sas")];
    if let Some((_, transport)) = by_place.iter().find(|(part, _)| place.contains(part)) {
        return (*transport).to_owned();
    }
    let guess = if vendor == "ATA" {
        "sata"
    } else if name.starts_with("sd") {
        "scsi"
    } else {
        ""
    };
    guess.to_owned()
}

/// The PCI address nearest to the disk in its sysfs path.
fn pci_address(place: &str) -> String {
    place.rsplit('/').find(|part| is_pci_address(part)).unwrap_or_default().to_owned()
}

pub(super) fn is_pci_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '.']).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2, 1] && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The names that udev's rules would make (60-persistent-storage.rules).
fn by_id(disk: &Disk) -> Vec<String> {
    let safe = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
    let mut all = Vec::new();
    let bus = match disk.transport.as_str() {
        "sata" => "ata",
        "sas" | "scsi" => "scsi",
        other => other,
    };
    if !bus.is_empty() && !disk.serial.is_empty() {
        let model = safe(&disk.model);
        let serial = safe(&disk.serial);
        match bus {
            "virtio" => all.push(format!("virtio-{serial}")),
            "mmc" => all.push(format!("mmc-{model}_{serial}")),
            _ if model.is_empty() => all.push(format!("{bus}-{serial}")),
            _ => all.push(format!("{bus}-{model}_{serial}")),
        }
    }
    if let Some((kind, number)) = disk.wwn.split_once('.') {
        all.push(match kind {
            "naa" => format!("wwn-0x{number}"),
            _ => format!("nvme-{}", disk.wwn),
        });
    }
    all
}

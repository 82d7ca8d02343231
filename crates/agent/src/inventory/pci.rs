//! PCI functions, from `/sys/bus/pci/devices`, in numbers: names belong to whoever shows them.

use super::{link_name, names, read_path};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One PCI function. Numbers are hexadecimal without `0x`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Device {
    /// Domain, bus, device, function: `0000:00:1f.2`.
    pub address: String,
    /// Vendor number.
    pub vendor: String,
    /// Device number.
    pub device: String,
    /// Vendor of the card.
    pub subsystem_vendor: String,
    /// Number of the card.
    pub subsystem_device: String,
    /// Class, subclass and interface: `020000` is Ethernet.
    pub class: String,
    /// Kernel driver, empty for none.
    pub driver: String,
}

/// Reads all functions, by address.
pub fn gather(root: &Path) -> Vec<Device> {
    let bus = root.join("sys/bus/pci/devices");
    let hex = |path: &Path| read_path(path).trim_start_matches("0x").to_owned();
    names(&bus)
        .into_iter()
        .map(|address| {
            let dir = bus.join(&address);
            Device {
                vendor: hex(&dir.join("vendor")),
                device: hex(&dir.join("device")),
                subsystem_vendor: hex(&dir.join("subsystem_vendor")),
                subsystem_device: hex(&dir.join("subsystem_device")),
                class: hex(&dir.join("class")),
                driver: link_name(&dir.join("driver")),
                address,
            }
        })
        .collect()
}

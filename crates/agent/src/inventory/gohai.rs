//! The inventory in the shape of the older param `gohai-inventory` (engine.md §6), for content that
//! reads it: `.DMI.System.Manufacturer`, `.Networking.Interfaces[].HardwareAddr`, `.Storage`, `.System`.

use super::Inventory;
use serde_json::{Value, json};

/// Converts an inventory.
pub fn of(inventory: &Inventory) -> Value {
    json!({
        "DMI": dmi(inventory),
        "Networking": {"Interfaces": interfaces(inventory), "HardwareAddrs": hardware_addrs(inventory)},
        "Storage": {"Disks": disks(inventory), "Volumes": []},
        "System": {
            "OS": {"Name": "linux", "Kernel": inventory.kernel},
            "Hostname": inventory.hostname,
            "Processors": {
                "Model": inventory.cpu.model,
                "Sockets": inventory.cpu.sockets,
                "Cores": inventory.cpu.cores,
                "Threads": inventory.cpu.threads,
            },
            "Memory": {"Total": inventory.memory.total, "Available": inventory.memory.available},
        },
    })
}

fn dmi(inventory: &Inventory) -> Value {
    let dmi = &inventory.dmi;
    json!({
        "BIOS": dmi.bios,
        "System": dmi.system,
        "Baseboards": dmi.baseboards,
        "Chassis": dmi.chassis,
        "Processors": {"TotalCoreCount": inventory.cpu.cores, "TotalThreadCount": inventory.cpu.threads, "Items": dmi.processors},
        "Memory": {
            "TotalSlots": dmi.memory_slots,
            "PopulatedSlots": dmi.memory.len(),
            "Total": dmi.memory.iter().fold(0u64, |sum, module| sum.saturating_add(module.size)),
            "Devices": dmi.memory,
        },
        "Hypervisor": inventory.firmware.virtualization,
    })
}

fn interfaces(inventory: &Inventory) -> Vec<Value> {
    inventory
        .nics
        .iter()
        .map(|nic| {
            json!({
                "Name": nic.name,
                "HardwareAddr": nic.mac,
                "MTU": nic.mtu,
                "Addrs": nic.addresses,
                "Speed": nic.speed,
                "Sys": {
                    "IsPhysical": nic.physical,
                    "IsBridge": false,
                    "Driver": nic.driver,
                    "BusAddress": nic.pci_address,
                    "Carrier": nic.link,
                },
            })
        })
        .collect()
}

fn hardware_addrs(inventory: &Inventory) -> Vec<&str> {
    inventory.nics.iter().filter(|nic| nic.physical).map(|nic| nic.mac.as_str()).collect()
}

fn disks(inventory: &Inventory) -> Vec<Value> {
    inventory
        .disks
        .iter()
        .map(|disk| {
            json!({
                "Name": disk.name,
                "Path": disk.path,
                "Size": disk.size,
                "Vendor": disk.vendor,
                "Model": disk.model,
                "Serial": disk.serial,
                "WWN": disk.wwn,
                "Removable": disk.removable,
                "Rotational": disk.rotational,
            })
        })
        .collect()
}

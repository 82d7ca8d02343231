//! Identity of the hardware in hashes, so that a machine is recognised after its network card was
//! replaced (engine.md §6, network.md §2.12). A virtual machine's SMBIOS identifies nothing, so only
//! its cloud instance is used.

use super::{dmi, firmware, read_bytes};
use crate::wire::Fingerprint;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::path::Path;

/// Serial numbers and tags that makers leave in place of real ones (lower case).
const NONSENSE: [&str; 24] = [
    "0",
    "00000000",
    "0000000000",
    "0123456789",
    "01234567890123456789",
    "012345678",
    "1234567890",
    "123456789",
    "9876543210",
    "chassis serial number",
    "default string",
    "empty",
    "invalid",
    "n/a",
    "na",
    "no asset tag",
    "none",
    "not available",
    "not specified",
    "system serial number",
    "to be filled by o.e.m.",
    "unknown",
    "xxxxxxxxxx",
    "asset-1234567890",
];

/// Computes the fingerprint.
pub fn of(root: &Path) -> Fingerprint {
    let mut print = Fingerprint { cloud_instance_id: cloud_instance(root), ..Fingerprint::default() };
    if firmware::virtualization(root).is_empty() {
        from_dmi(&mut print, &dmi::gather(root));
    }
    print
}

fn from_dmi(print: &mut Fingerprint, dmi: &dmi::Dmi) {
    let system = &dmi.system;
    if usable(&system.serial_number) {
        print.ssn_hash = hash(&[&system.manufacturer, &system.product_name, &system.serial_number]);
    }
    print.csn_hash = match (&dmi.chassis[..], &dmi.baseboards[..]) {
        ([case], _) if usable(&case.serial_number) => hash(&[&case.manufacturer, &case.serial_number]),
        (_, [board]) if usable(&board.serial_number) => {
            hash(&[&board.manufacturer, &board.product_name, &board.serial_number])
        }
        _ => String::new(),
    };
    if sane_uuid(&system.uuid) {
        print.system_uuid = system.uuid.clone();
    }
    print.memory_ids = memory_ids(&dmi.memory);
}

/// One hash per module; two equal ones mean that the serial numbers are no serial numbers.
fn memory_ids(modules: &[dmi::Module]) -> Vec<String> {
    let hashes: Vec<String> = modules
        .iter()
        .filter(|module| usable(&module.serial_number))
        .map(|module| hash(&[&module.manufacturer, &module.part_number, &module.serial_number]))
        .collect();
    let unique: BTreeSet<String> = hashes.iter().cloned().collect();
    if unique.len() == hashes.len() { unique.into_iter().collect() } else { Vec::new() }
}

fn usable(serial: &str) -> bool {
    let serial = serial.trim().to_lowercase();
    !serial.is_empty() && !NONSENSE.contains(&serial.as_str())
}

/// Not one of the values that whole series of boards share.
fn sane_uuid(uuid: &str) -> bool {
    let version = uuid.as_bytes().get(14).copied().unwrap_or(b'0');
    uuid.len() == 36
        && !uuid.ends_with("-000000000000")
        && !uuid.to_lowercase().starts_with("0a0a0a0a")
        && (b'1'..=b'5').contains(&version)
}

fn hash(parts: &[&str]) -> String {
    STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, parts.concat().as_bytes()))
}

/// `<cloud>:<instance>` as cloud-init found it.
fn cloud_instance(root: &Path) -> String {
    let text = read_bytes(&root.join("run/cloud-init/instance-data.json"));
    if text.is_empty() {
        return String::new();
    }
    let Ok(data) = serde_json::from_slice::<serde_json::Value>(&text) else {
        return "PARSE ERROR".to_owned();
    };
    let field = |name: &str| {
        data.pointer(&format!("/v1/{name}")).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
    };
    format!("{}:{}", field("cloud_name"), field("instance_id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(serial: &str) -> dmi::Module {
        dmi::Module {
            manufacturer: "S".into(),
            part_number: "P".into(),
            serial_number: serial.into(),
            ..dmi::Module::default()
        }
    }

    #[test]
    fn memory_with_equal_serials_identifies_nothing() {
        assert_eq!(memory_ids(&[module("1A"), module("2B"), module("N/A")]).len(), 2);
        assert!(memory_ids(&[module("1A"), module("1A")]).is_empty());
    }

    #[test]
    fn uuids_of_series_are_refused() {
        assert!(sane_uuid("4c4c4544-0042-4810-8056-b4c04f365931"));
        for bad in [
            "",
            "03000200-0400-0500-0006-000000000000",
            "0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a",
            "4c4c4544-0042-0810-8056-b4c04f365931",
        ] {
            assert!(!sane_uuid(bad), "{bad}");
        }
    }

    #[test]
    fn chassis_counts_only_alone() {
        let part = |serial: &str| dmi::Part {
            manufacturer: "M".into(),
            serial_number: serial.into(),
            ..dmi::Part::default()
        };
        let mut dmi = dmi::Dmi {
            chassis: vec![part("a"), part("b")],
            baseboards: vec![part("board")],
            ..dmi::Dmi::default()
        };
        let mut print = Fingerprint::default();
        from_dmi(&mut print, &dmi);
        assert_eq!(print.csn_hash, hash(&["M", "", "board"]));
        dmi.chassis.pop();
        from_dmi(&mut print, &dmi);
        assert_eq!(print.csn_hash, hash(&["M", "a"]));
        assert!(print.ssn_hash.is_empty() && print.system_uuid.is_empty());
    }
}

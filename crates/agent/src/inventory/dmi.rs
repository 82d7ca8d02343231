//! SMBIOS, read from the raw table in `/sys/firmware/dmi/tables/DMI` (DSP0134, §6.1 and §7), with
//! `/sys/class/dmi/id` for what the table did not give. The table comes from firmware and is often
//! wrong: every length is checked, and a broken structure ends the walk.

use super::{read, read_bytes};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Structures looked at, at most; real tables have about a hundred.
const MAX_STRUCTURES: usize = 4096;

/// What SMBIOS says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Dmi {
    /// BIOS or UEFI.
    pub bios: Bios,
    /// The machine as sold.
    pub system: System,
    /// Boards.
    pub baseboards: Vec<Part>,
    /// Cases.
    pub chassis: Vec<Part>,
    /// Filled processor sockets.
    pub processors: Vec<Processor>,
    /// Filled memory slots.
    pub memory: Vec<Module>,
    /// Memory slots, empty ones included.
    pub memory_slots: usize,
}

/// Firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the field names are SMBIOS's own")]
pub struct Bios {
    pub vendor: String,
    pub version: String,
    pub release_date: String,
}

/// The machine as sold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the field names are SMBIOS's own")]
pub struct System {
    pub manufacturer: String,
    pub product_name: String,
    pub version: String,
    pub serial_number: String,
    #[serde(rename = "UUID")]
    pub uuid: String,
    #[serde(rename = "SKUNumber")]
    pub sku_number: String,
    pub family: String,
}

/// A board or a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the field names are SMBIOS's own")]
pub struct Part {
    pub manufacturer: String,
    pub product_name: String,
    pub version: String,
    pub serial_number: String,
    pub asset_tag: String,
}

/// A processor in its socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the field names are SMBIOS's own")]
pub struct Processor {
    pub socket: String,
    pub manufacturer: String,
    pub version: String,
    /// Highest speed in megahertz.
    pub max_speed: u32,
    pub cores: u32,
    pub threads: u32,
}

/// A memory module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the field names are SMBIOS's own")]
pub struct Module {
    pub locator: String,
    /// Size in bytes.
    pub size: u64,
    pub manufacturer: String,
    pub serial_number: String,
    pub part_number: String,
    pub asset_tag: String,
    /// Speed in megatransfers per second.
    pub speed: u32,
}

/// Reads it.
pub fn gather(root: &Path) -> Dmi {
    let mut dmi = parse(&read_bytes(&root.join("sys/firmware/dmi/tables/DMI")));
    let id = |name: &str| read(root, &format!("sys/class/dmi/id/{name}"));
    let fill = |field: &mut String, name: &str| {
        if field.is_empty() {
            *field = id(name);
        }
    };
    fill(&mut dmi.bios.vendor, "bios_vendor");
    fill(&mut dmi.bios.version, "bios_version");
    fill(&mut dmi.bios.release_date, "bios_date");
    fill(&mut dmi.system.manufacturer, "sys_vendor");
    fill(&mut dmi.system.product_name, "product_name");
    fill(&mut dmi.system.version, "product_version");
    fill(&mut dmi.system.serial_number, "product_serial");
    fill(&mut dmi.system.uuid, "product_uuid");
    fill(&mut dmi.system.sku_number, "product_sku");
    fill(&mut dmi.system.family, "product_family");
    dmi.system.uuid = dmi.system.uuid.to_lowercase();
    dmi
}

/// Parses a raw table.
pub fn parse(table: &[u8]) -> Dmi {
    let mut dmi = Dmi::default();
    let mut rest = table;
    for _ in 0..MAX_STRUCTURES {
        let Some((structure, after)) = next(rest) else { break };
        take(&mut dmi, &structure);
        rest = after;
    }
    dmi
}

/// One structure: the formatted part with its header, and its strings.
struct Structure<'a> {
    kind: u8,
    data: &'a [u8],
    strings: Vec<String>,
}

/// Splits off one structure: header (type, length, handle), body, strings up to two zero bytes.
fn next(table: &[u8]) -> Option<(Structure<'_>, &[u8])> {
    let (kind, length) = (*table.first()?, usize::from(*table.get(1)?));
    if length < 4 || kind == 127 {
        return None;
    }
    let data = table.get(..length)?;
    let tail = table.get(length..)?;
    let end = tail.windows(2).position(|pair| pair == [0, 0])?;
    let strings = tail[..end]
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).trim().to_owned())
        .collect();
    Some((Structure { kind, data, strings }, tail.get(end + 2..)?))
}

impl Structure<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn long(&self, at: usize) -> u32 {
        u32::from(self.word(at)) | u32::from(self.word(at + 2)) << 16
    }

    /// The string that the byte at `at` names; strings count from 1.
    fn text(&self, at: usize) -> String {
        let index = usize::from(self.byte(at));
        index.checked_sub(1).and_then(|i| self.strings.get(i)).cloned().unwrap_or_default()
    }

    /// SMBIOS 2.6 and later store the first three fields little-endian (§7.2.1).
    fn uuid(&self, at: usize) -> String {
        let Some(b) = self.data.get(at..at + 16) else { return String::new() };
        if b.iter().all(|x| *x == 0) || b.iter().all(|x| *x == 0xff) {
            return String::new();
        }
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut text = String::new();
        for (i, from) in order.into_iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{:02x}", b[from]));
        }
        text
    }

    fn part(&self) -> Part {
        Part {
            manufacturer: self.text(4),
            product_name: self.text(5),
            version: self.text(6),
            serial_number: self.text(7),
            asset_tag: self.text(8),
        }
    }
}

fn take(dmi: &mut Dmi, s: &Structure<'_>) {
    match s.kind {
        0 => dmi.bios = Bios { vendor: s.text(4), version: s.text(5), release_date: s.text(8) },
        1 => {
            dmi.system = System {
                manufacturer: s.text(4),
                product_name: s.text(5),
                version: s.text(6),
                serial_number: s.text(7),
                uuid: s.uuid(8),
                sku_number: s.text(0x19),
                family: s.text(0x1a),
            };
        }
        2 => dmi.baseboards.push(s.part()),
        // Byte 5 of a chassis is its form; its texts sit one byte later than a board's.
        3 => dmi.chassis.push(Part {
            manufacturer: s.text(4),
            product_name: String::new(),
            version: s.text(6),
            serial_number: s.text(7),
            asset_tag: s.text(8),
        }),
        4 if s.byte(0x18) & 0x40 != 0 => dmi.processors.push(processor(s)),
        17 => {
            dmi.memory_slots += 1;
            let module = module(s);
            if module.size > 0 {
                dmi.memory.push(module);
            }
        }
        _ => {}
    }
}

fn processor(s: &Structure<'_>) -> Processor {
    let wide = |byte: usize, word: usize| match s.byte(byte) {
        0xff => u32::from(s.word(word)),
        small => u32::from(small),
    };
    Processor {
        socket: s.text(4),
        manufacturer: s.text(7),
        version: s.text(0x10),
        max_speed: s.word(0x14).into(),
        cores: wide(0x23, 0x2a),
        threads: wide(0x25, 0x2e),
    }
}

fn module(s: &Structure<'_>) -> Module {
    let size = match s.word(0x0c) {
        0 | 0xffff => 0,
        0x7fff => u64::from(s.long(0x1c) & 0x7fff_ffff) << 20,
        kib if kib & 0x8000 != 0 => u64::from(kib & 0x7fff) << 10,
        mib => u64::from(mib) << 20,
    };
    Module {
        locator: s.text(0x10),
        size,
        manufacturer: s.text(0x17),
        serial_number: s.text(0x18),
        asset_tag: s.text(0x19),
        part_number: s.text(0x1a),
        speed: s.word(0x15).into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Builds a structure from its body (after the 4 bytes of header) and strings.
    pub(crate) fn structure(kind: u8, body: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut all = vec![kind, body.len() as u8 + 4, 0, 0];
        all.extend_from_slice(body);
        for text in strings {
            all.extend_from_slice(text.as_bytes());
            all.push(0);
        }
        all.push(0);
        if strings.is_empty() {
            all.push(0);
        }
        all
    }

    pub(crate) fn memory_module(mib: u16, serial: &str) -> Vec<u8> {
        let mut body = vec![0; 0x24];
        body[0x0c - 4..0x0e - 4].copy_from_slice(&mib.to_le_bytes());
        body[0x15 - 4..0x17 - 4].copy_from_slice(&2400u16.to_le_bytes());
        (body[0x10 - 4], body[0x17 - 4], body[0x18 - 4], body[0x1a - 4]) = (1, 2, 3, 4);
        structure(17, &body, &["DIMM_A1", "Samsung", serial, "M393"])
    }

    #[test]
    fn a_small_machine() {
        let mut system = vec![1, 2, 0, 3];
        system.extend((0..16).map(|n| n + 1));
        let mut table = structure(0, &[1, 2, 0, 0, 3], &["SeaBIOS", "1.16", "04/01/2014"]);
        table.extend(structure(1, &system, &["Acme", "Rocket", "SN-7"]));
        table.extend(structure(3, &[1, 1, 0, 2, 0], &["Acme", "CH-1"]));
        table.extend(memory_module(16_384, "M1"));
        table.extend(memory_module(0, "none"));
        table.extend(structure(127, &[], &[]));
        let dmi = parse(&table);
        assert_eq!((dmi.bios.vendor.as_str(), dmi.bios.release_date.as_str()), ("SeaBIOS", "04/01/2014"));
        assert_eq!((dmi.system.product_name.as_str(), dmi.system.serial_number.as_str()), ("Rocket", "SN-7"));
        assert_eq!(dmi.system.uuid, "04030201-0605-0807-090a-0b0c0d0e0f10");
        assert_eq!(dmi.chassis[0].serial_number, "CH-1");
        assert_eq!((dmi.memory.len(), dmi.memory_slots), (1, 2));
        assert_eq!((dmi.memory[0].size, dmi.memory[0].speed), (16 << 30, 2400));
        assert_eq!(dmi.memory[0].serial_number, "M1");
    }

    #[test]
    fn truncated_tables_end_quietly() {
        let table = memory_module(8, "x");
        for cut in 0..table.len() {
            let _ = parse(&table[..cut]);
        }
        assert_eq!(parse(&[1, 0, 0, 0, 0, 0]), Dmi::default());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let _ = parse(&bytes);
        }
    }
}

//! The table as bytes: headers and entries, both ways (UEFI specification 2.10, section 5.3).

use super::{Fault, Guid, Partition, Slot, Table};
use std::io::{self, Read, Seek, SeekFrom};

/// Size of the header proper; the rest of its sector is reserved.
const HEADER_LEN: usize = 92;
/// Size of the partition entry that every known tool writes.
pub(super) const ENTRY_LEN: usize = 128;
/// A table of more bytes than this is refused: 8192 entries, where others stop at 128.
const MAX_ENTRIES_LEN: usize = 1 << 20;
pub(super) const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;

impl Table {
    pub(super) fn encode_header(&self, here: u64, other: u64, entries: u64, sum: u32) -> Vec<u8> {
        let mut h = Vec::with_capacity(self.sector_size as usize);
        h.extend_from_slice(SIGNATURE);
        for word in [REVISION, HEADER_LEN as u32, 0, 0] {
            h.extend_from_slice(&word.to_le_bytes());
        }
        for place in [here, other, self.first_usable, self.last_usable] {
            h.extend_from_slice(&place.to_le_bytes());
        }
        h.extend_from_slice(&self.disk_id.0);
        h.extend_from_slice(&entries.to_le_bytes());
        for word in [self.slots.len() as u32, self.entry_len as u32, sum] {
            h.extend_from_slice(&word.to_le_bytes());
        }
        let own = crc32fast::hash(&h);
        h[16..20].copy_from_slice(&own.to_le_bytes());
        h.resize(self.sector_size as usize, 0);
        h
    }

    /// All entries, padded to whole sectors.
    pub(super) fn encode_entries(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.slots.len() * self.entry_len);
        for slot in &self.slots {
            let end = bytes.len() + self.entry_len;
            if let Some(p) = &slot.partition {
                bytes.extend_from_slice(&p.kind.0);
                bytes.extend_from_slice(&p.id.0);
                for word in [p.first, p.last, p.attributes] {
                    bytes.extend_from_slice(&word.to_le_bytes());
                }
                p.name.iter().for_each(|unit| bytes.extend_from_slice(&unit.to_le_bytes()));
                bytes.extend_from_slice(&slot.rest);
            }
            bytes.resize(end, 0);
        }
        bytes.resize(self.entry_sectors() as usize * self.sector_size as usize, 0);
        bytes
    }
}

/// Reads the header in sector `at` and the entries that it names; the outer error is the disk's, the inner the bytes'.
pub(super) fn read_at<D: Read + Seek>(
    disk: &mut D,
    sector_size: u32,
    disk_sectors: u64,
    at: u64,
) -> io::Result<Result<Table, Fault>> {
    if at == 0 || at >= disk_sectors {
        return Ok(Err(Fault::Short));
    }
    let mut sector = vec![0; sector_size as usize];
    disk.seek(SeekFrom::Start(at * u64::from(sector_size)))?;
    disk.read_exact(&mut sector)?;
    let header = match Header::parse(&sector, at, disk_sectors) {
        Ok(header) => header,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut entries = vec![0; header.entries_len()];
    let start = header.entries_at.checked_mul(u64::from(sector_size));
    let end = start.and_then(|start| start.checked_add(entries.len() as u64));
    let (Some(start), Some(end)) = (start, end) else { return Ok(Err(Fault::Places)) };
    if end > disk_sectors * u64::from(sector_size) {
        return Ok(Err(Fault::Short));
    }
    disk.seek(SeekFrom::Start(start))?;
    disk.read_exact(&mut entries)?;
    Ok(header.table(&entries, sector_size, disk_sectors))
}

/// The fields of a header that are used.
struct Header {
    first_usable: u64,
    last_usable: u64,
    disk_id: Guid,
    entries_at: u64,
    slots: usize,
    entry_len: usize,
    entries_sum: u32,
}

impl Header {
    fn parse(sector: &[u8], at: u64, disk_sectors: u64) -> Result<Self, Fault> {
        if sector.len() < HEADER_LEN || !sector.starts_with(SIGNATURE) {
            return Err(Fault::Signature);
        }
        let len = u32_at(sector, 12) as usize;
        let (slots, entry_len) = (u32_at(sector, 80) as usize, u32_at(sector, 84) as usize);
        let entries_fit = slots.checked_mul(entry_len).is_some_and(|len| len <= MAX_ENTRIES_LEN);
        let entry_ok = entry_len >= ENTRY_LEN && entry_len.is_power_of_two();
        if !(HEADER_LEN..=sector.len()).contains(&len) || !entries_fit || !entry_ok || slots == 0 {
            return Err(Fault::Sizes);
        }
        let mut summed = sector[..len].to_vec();
        summed[16..20].fill(0);
        if crc32fast::hash(&summed) != u32_at(sector, 16) {
            return Err(Fault::HeaderChecksum);
        }
        let (first_usable, last_usable) = (u64_at(sector, 40), u64_at(sector, 48));
        if u64_at(sector, 24) != at || first_usable > last_usable || last_usable >= disk_sectors {
            return Err(Fault::Places);
        }
        Ok(Self {
            first_usable,
            last_usable,
            disk_id: guid_at(sector, 56),
            entries_at: u64_at(sector, 72),
            slots,
            entry_len,
            entries_sum: u32_at(sector, 88),
        })
    }

    fn entries_len(&self) -> usize {
        self.slots * self.entry_len
    }

    fn table(&self, entries: &[u8], sector_size: u32, disk_sectors: u64) -> Result<Table, Fault> {
        if crc32fast::hash(entries) != self.entries_sum {
            return Err(Fault::EntryChecksum);
        }
        let slots: Vec<_> = entries.chunks_exact(self.entry_len).map(Slot::parse).collect();
        let mut used = slots.iter().filter_map(|slot| slot.partition.as_ref());
        if used.any(|p| p.first > p.last || p.first < self.first_usable || p.last > self.last_usable) {
            return Err(Fault::Places);
        }
        let table = Table {
            sector_size,
            disk_sectors,
            disk_id: self.disk_id,
            first_usable: self.first_usable,
            last_usable: self.last_usable,
            entry_len: self.entry_len,
            slots,
        };
        // Writing back puts the primary entries at sector 2 and the backup at the end: both need their room.
        let room = table.first_usable >= 2 + table.entry_sectors();
        if room && disk_sectors > 2 * (1 + table.entry_sectors()) { Ok(table) } else { Err(Fault::Places) }
    }
}

impl Slot {
    fn parse(entry: &[u8]) -> Self {
        let kind = guid_at(entry, 0);
        if kind == Guid::UNUSED {
            return Self { partition: None, rest: Vec::new() };
        }
        let mut name = [0; 36];
        let units = entry[56..ENTRY_LEN].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        name.iter_mut().zip(units).for_each(|(to, unit)| *to = unit);
        let partition = Partition {
            kind,
            id: guid_at(entry, 16),
            first: u64_at(entry, 32),
            last: u64_at(entry, 40),
            attributes: u64_at(entry, 48),
            name,
        };
        Self { partition: Some(partition), rest: entry[ENTRY_LEN..].to_vec() }
    }
}

// The callers pass offsets within lengths that they have checked.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn guid_at(bytes: &[u8], at: usize) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Guid(guid)
}

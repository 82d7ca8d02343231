//! GUID partition tables: read one, check it, fit it to another disk, grow its last partition, write it back.
//!
//! An image is made for a disk of its own size. Written to a larger disk its backup table lies in the middle and its
//! last partition ends far too early. The agent mends both with [`Table::read`], [`Table::fit`], [`Table::grow_last`]
//! and [`Table::write`]; the builder of the demo image makes a table with [`Table::new`] and [`Table::add`].
//!
//! Everything works on a `Read + Write + Seek`, so a file, a block device and a test's byte vector are alike.
//! Bytes read are not trusted: every length is checked and no table makes this module allocate more than 1 MiB.
//! Layout and checks follow the UEFI specification 2.10, section 5.3. Left out: MBR partitions (but for keeping the
//! protective one right) and file systems.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Size of the header proper; the rest of its sector is reserved.
const HEADER_LEN: usize = 92;
/// Size of the partition entry that every known tool writes.
const ENTRY_LEN: usize = 128;
/// A table of more bytes than this is refused: 8192 entries, where others stop at 128.
const MAX_ENTRIES_LEN: usize = 1 << 20;
const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
/// Partition boundaries fall on multiples of this many bytes, as all partitioning tools have it.
const ALIGNMENT: u64 = 1 << 20;

/// What can be wrong with a partition table, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk could not be read or written.
    #[error("cannot {doing} the partition table: {source}")]
    Io {
        /// "read" or "write".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Neither the primary nor the backup header is valid.
    #[error("no valid GUID partition table: {primary} in the primary header, {backup} in the backup header")]
    Invalid {
        /// What is wrong with the header in sector 1.
        primary: Fault,
        /// What is wrong with the header in the last sector.
        backup: Fault,
    },
    /// A partition ends behind the last sector that the disk leaves for partitions.
    #[error("partition {number} ends at byte {end}, but the disk has room for partitions up to byte {room}")]
    DoesNotFit {
        /// Number of the partition, from 1.
        number: usize,
        /// First byte after the partition.
        end: u64,
        /// First byte after the usable space.
        room: u64,
    },
    /// A new partition would overlap another, or lies outside the usable space.
    #[error("sectors {first} to {last} are not free for a partition")]
    NotFree {
        /// First sector asked for.
        first: u64,
        /// Last sector asked for.
        last: u64,
    },
    /// All entries of the table are used.
    #[error("the table's {0} entries are all used")]
    Full(usize),
}

/// Why a header was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The signature `EFI PART` is absent.
    #[error("no signature")]
    Signature,
    /// Header size, entry size or number of entries is outside what can be.
    #[error("impossible sizes")]
    Sizes,
    /// The header's checksum does not match.
    #[error("a wrong header checksum")]
    HeaderChecksum,
    /// The entries' checksum does not match.
    #[error("a wrong entry checksum")]
    EntryChecksum,
    /// The header names another place than the one it was read from, or usable space outside the disk.
    #[error("impossible sector numbers")]
    Places,
    /// The disk ends before the header or its entries.
    #[error("the end of the disk")]
    Short,
}

/// A GUID as the partition table stores it: the first three groups little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Marks an unused entry.
    pub const UNUSED: Self = Self([0; 16]);
    /// EFI system partition.
    pub const EFI_SYSTEM: Self = Self::new(0xC12A_7328, 0xF81F, 0x11D2, 0xBA4B_00A0_C93E_C93B);
    /// Holds GRUB's core image on BIOS machines.
    pub const BIOS_BOOT: Self = Self::new(0x2168_6148, 0x6449, 0x6E6F, 0x744E_6565_6445_4649);
    /// Any Linux file system.
    pub const LINUX: Self = Self::new(0x0FC6_3DAF, 0x8483, 0x4772, 0x8E79_3D69_D847_7DE4);
    /// Root file system of an x86-64 Linux (discoverable partitions specification).
    pub const LINUX_ROOT_X86_64: Self = Self::new(0x4F68_BCE3, 0xE8CD, 0x4DB1, 0x96E7_FBCA_F984_B709);
    /// Root file system of an arm64 Linux.
    pub const LINUX_ROOT_ARM64: Self = Self::new(0xB921_B045, 0x1DF0, 0x41C3, 0xAF44_4C6F_280D_3FAE);
    /// Extended boot loader partition: `/boot` with boot loader specification entries.
    pub const XBOOTLDR: Self = Self::new(0xBC13_C2FF, 0x59E6, 0x4262, 0xA352_B275_FD6F_7172);
    /// Linux swap space.
    pub const LINUX_SWAP: Self = Self::new(0x0657_FD6D, 0xA4AB, 0x43C4, 0x84E5_0933_C84B_4F4F);

    /// The GUID whose text form is `a-b-c-d` with `d`'s first two bytes before a further dash.
    pub const fn new(a: u32, b: u16, c: u16, d: u64) -> Self {
        let (a, b, c, d) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_be_bytes());
        Self([a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]])
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = &self.0;
        let a = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let (m, n) = (u16::from_le_bytes([b[4], b[5]]), u16::from_le_bytes([b[6], b[7]]));
        write!(f, "{a:08x}-{m:04x}-{n:04x}-{:02x}{:02x}-", b[8], b[9])?;
        b[10..].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What the partition is for.
    pub kind: Guid,
    /// The partition's own identity (`PARTUUID`).
    pub id: Guid,
    /// First sector.
    pub first: u64,
    /// Last sector, inclusive.
    pub last: u64,
    /// Attribute bits, as stored.
    pub attributes: u64,
    /// Name in UTF-16, as stored.
    pub name: [u16; 36],
}

impl Partition {
    /// A partition over the sectors `first..=last`; a name of more than 36 UTF-16 units is cut.
    pub fn new(kind: Guid, id: Guid, first: u64, last: u64, name: &str) -> Self {
        let mut stored = [0; 36];
        stored.iter_mut().zip(name.encode_utf16()).for_each(|(to, from)| *to = from);
        Self { kind, id, first, last, attributes: 0, name: stored }
    }

    /// The name as text.
    pub fn label(&self) -> String {
        let units = self.name.iter().copied().take_while(|&unit| unit != 0);
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    /// Length in sectors.
    pub fn sectors(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// The partition table of one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    sector_size: u32,
    disk_sectors: u64,
    disk_id: Guid,
    first_usable: u64,
    last_usable: u64,
    entry_len: usize,
    slots: Vec<Slot>,
}

/// One entry with the bytes behind the known ones, which longer entries have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    partition: Option<Partition>,
    rest: Vec<u8>,
}

/// A partition that [`Table::grow_last`] has made larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// Number of the partition, from 1.
    pub number: usize,
    /// First byte of the partition on the disk.
    pub start: u64,
    /// Bytes before.
    pub before: u64,
    /// Bytes now.
    pub after: u64,
}

impl Table {
    /// An empty table of 128 entries for a disk of `disk_len` bytes with sectors of `sector_size` bytes (512 or 4096).
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] when the disk is too small to hold the table twice.
    pub fn new(sector_size: u32, disk_len: u64, disk_id: Guid) -> Result<Self, Error> {
        let slots = vec![Slot { partition: None, rest: Vec::new() }; 128];
        let mut table = Self {
            sector_size,
            disk_sectors: 0,
            disk_id,
            first_usable: 0,
            last_usable: 0,
            entry_len: ENTRY_LEN,
            slots,
        };
        table.first_usable = 2 + table.entry_sectors();
        table.fit(disk_len)?;
        Ok(table)
    }

    /// Reads the table of a disk, trying sectors of 512 and then of 4096 bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the faults found for 512-byte sectors, or [`Error::Io`].
    pub fn find<D: Read + Seek>(disk: &mut D) -> Result<Self, Error> {
        match Self::read(disk, 512) {
            Err(first @ Error::Invalid { .. }) => Self::read(disk, 4096).map_err(|_| first),
            other => other,
        }
    }

    /// Reads the table of a disk with sectors of `sector_size` bytes: the primary one, or the backup if that is bad.
    ///
    /// # Errors
    /// [`Error::Invalid`] when both are bad, [`Error::Io`] when the disk cannot be read.
    pub fn read<D: Read + Seek>(disk: &mut D, sector_size: u32) -> Result<Self, Error> {
        let failed = |source| Error::Io { doing: "read", source };
        let disk_sectors = disk.seek(SeekFrom::End(0)).map_err(failed)? / u64::from(sector_size);
        let primary = match read_at(disk, sector_size, disk_sectors, 1).map_err(failed)? {
            Ok(table) => return Ok(table),
            Err(fault) => fault,
        };
        let last = disk_sectors.saturating_sub(1);
        match read_at(disk, sector_size, disk_sectors, last).map_err(failed)? {
            Ok(table) => Ok(table),
            Err(backup) => Err(Error::Invalid { primary, backup }),
        }
    }

    /// Bytes per sector.
    pub fn sector_size(&self) -> u32 {
        self.sector_size
    }

    /// Identity of the disk.
    pub fn disk_id(&self) -> Guid {
        self.disk_id
    }

    /// The first and the last sector that partitions may use.
    pub fn usable(&self) -> (u64, u64) {
        (self.first_usable, self.last_usable)
    }

    /// All partitions with their numbers, from 1.
    pub fn partitions(&self) -> impl Iterator<Item = (usize, &Partition)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at + 1, slot.partition.as_ref()?)))
    }

    /// Adds a partition in the first free entry and returns its number.
    ///
    /// # Errors
    /// [`Error::NotFree`] when its sectors are taken or outside the usable space, [`Error::Full`] without an entry.
    pub fn add(&mut self, partition: Partition) -> Result<usize, Error> {
        let (first, last) = (partition.first, partition.last);
        let inside = self.first_usable <= first && first <= last && last <= self.last_usable;
        if !inside || self.partitions().any(|(_, other)| first <= other.last && other.first <= last) {
            return Err(Error::NotFree { first, last });
        }
        let free = self.slots.iter().position(|slot| slot.partition.is_none());
        let at = free.ok_or(Error::Full(self.slots.len()))?;
        self.slots[at].partition = Some(partition);
        Ok(at + 1)
    }

    /// Makes the table one for a disk of `disk_len` bytes: the backup moves to its end, the usable space follows.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] when a partition would not lie within the usable space.
    pub fn fit(&mut self, disk_len: u64) -> Result<(), Error> {
        let sectors = disk_len / u64::from(self.sector_size);
        // The backup is one header and the entries, the usable space ends right before them.
        let last_usable =
            sectors.checked_sub(2 + self.entry_sectors()).filter(|&last| last >= self.first_usable);
        let end = self.partitions().map(|(number, p)| (p.last, number)).max();
        let (end, number) = end.unwrap_or((self.first_usable, 0));
        match last_usable {
            Some(last) if end <= last => {
                (self.disk_sectors, self.last_usable) = (sectors, last);
                Ok(())
            }
            other => Err(Error::DoesNotFit {
                number,
                end: self.bytes(end.saturating_add(1)),
                room: self.bytes(other.map_or(0, |last| last + 1)),
            }),
        }
    }

    /// Extends the partition that lies last on the disk to the end of the usable space, rounded down to 1 MiB.
    /// `None` when there is no partition or nothing to gain.
    pub fn grow_last(&mut self) -> Option<Grown> {
        let unit = (ALIGNMENT / u64::from(self.sector_size)).max(1);
        let end = (self.last_usable + 1) / unit * unit;
        let (number, old) = self.partitions().max_by_key(|(_, p)| p.last).map(|(n, p)| (n, p.clone()))?;
        if end <= old.last + 1 {
            return None;
        }
        let (start, before) = (self.bytes(old.first), self.bytes(old.sectors()));
        let after = self.bytes(end - old.first);
        self.slots[number - 1].partition = Some(Partition { last: end - 1, ..old });
        Some(Grown { number, start, before, after })
    }

    /// Writes the backup table, the primary table and the sizes in the protective MBR, in this order, so that one
    /// valid table exists at any moment. The caller syncs.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk cannot be written.
    pub fn write<D: Read + Write + Seek>(&self, disk: &mut D) -> Result<(), Error> {
        self.write_all(disk).map_err(|source| Error::Io { doing: "write", source })
    }

    fn write_all<D: Read + Write + Seek>(&self, disk: &mut D) -> io::Result<()> {
        let entries = self.encode_entries();
        let sum = crc32fast::hash(&entries[..self.slots.len() * self.entry_len]);
        let end = self.disk_sectors - 1;
        self.put(disk, end - self.entry_sectors(), &entries)?;
        self.put(disk, end, &self.encode_header(end, 1, end - self.entry_sectors(), sum))?;
        disk.flush()?;
        self.put(disk, 2, &entries)?;
        self.put(disk, 1, &self.encode_header(1, end, 2, sum))?;
        let mut mbr = [0; 512];
        disk.seek(SeekFrom::Start(0))?;
        disk.read_exact(&mut mbr)?;
        self.protect(&mut mbr);
        self.put(disk, 0, &mbr)?;
        disk.flush()
    }

    fn put<D: Write + Seek>(&self, disk: &mut D, sector: u64, bytes: &[u8]) -> io::Result<()> {
        disk.seek(SeekFrom::Start(self.bytes(sector)))?;
        disk.write_all(bytes)
    }

    /// Corrects the size in a protective MBR, or makes one where no partition is recorded. Boot code and hybrid
    /// entries are kept.
    fn protect(&self, mbr: &mut [u8; 512]) {
        const RECORDS: usize = 446;
        let sectors = u32::try_from(self.disk_sectors - 1).unwrap_or(u32::MAX);
        let (table, signature) = mbr[RECORDS..].split_at_mut(64);
        let blank = table.iter().all(|&byte| byte == 0);
        let at = if blank { Some(0) } else { (0..4).find(|n| table[n * 16 + 4] == 0xEE) };
        let Some(at) = at else { return };
        let record = &mut table[at * 16..][..16];
        if blank {
            record[..12].copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]);
        }
        record[12..].copy_from_slice(&sectors.to_le_bytes());
        signature.copy_from_slice(&[0x55, 0xAA]);
    }

    fn encode_header(&self, here: u64, other: u64, entries: u64, sum: u32) -> Vec<u8> {
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
    fn encode_entries(&self) -> Vec<u8> {
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

    fn entry_sectors(&self) -> u64 {
        ((self.slots.len() * self.entry_len) as u64).div_ceil(u64::from(self.sector_size))
    }

    fn bytes(&self, sectors: u64) -> u64 {
        sectors.saturating_mul(u64::from(self.sector_size))
    }
}

/// Reads the header in sector `at` and the entries that it names; the outer error is the disk's, the inner the bytes'.
fn read_at<D: Read + Seek>(
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
fn u32_at(bytes: &[u8], at: usize) -> u32 {
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

#[cfg(test)]
#[path = "gpt_tests.rs"]
mod tests;

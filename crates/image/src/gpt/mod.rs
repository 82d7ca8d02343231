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

mod guid;
#[cfg(test)]
mod tests;
mod wire;

pub use guid::Guid;

use std::io::{self, Read, Seek, SeekFrom, Write};
use wire::{ENTRY_LEN, read_at};

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

    fn entry_sectors(&self) -> u64 {
        ((self.slots.len() * self.entry_len) as u64).div_ceil(u64::from(self.sector_size))
    }

    fn bytes(&self, sectors: u64) -> u64 {
        sectors.saturating_mul(u64::from(self.sector_size))
    }
}

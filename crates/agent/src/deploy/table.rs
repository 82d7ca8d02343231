//! The partition table of a disk, of either kind.

use super::gpt::Partition;
use super::{gpt, mbr};
use std::io::{self, Read, Seek, Write};

/// A partition table in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// GUID partition table.
    Gpt(gpt::Table),
    /// Master boot record.
    Mbr(mbr::Table),
}

impl Table {
    /// Reads the table; `size` is the disk's, in bytes.
    ///
    /// # Errors
    /// `InvalidData` for a damaged table, and for a disk that has none.
    pub fn read<D: Read + Seek>(disk: &mut D, size: u64) -> io::Result<Self> {
        if let Some(table) = gpt::Table::read(disk, size)? {
            return Ok(Self::Gpt(table));
        }
        let table = mbr::Table::read(disk, size)?.map(Self::Mbr);
        table.ok_or_else(|| {
            let text = "the image has no partition table, neither GPT nor MBR: want an image of a whole disk";
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    /// All partitions, in the order of the table.
    pub fn partitions(&self) -> Vec<Partition> {
        match self {
            Self::Gpt(table) => table.partitions(),
            Self::Mbr(table) => table.partitions(),
        }
    }

    /// Makes the table span the whole disk. True when it did not before.
    pub fn span_disk(&mut self) -> bool {
        match self {
            Self::Gpt(table) => table.span_disk(),
            Self::Mbr(_) => false,
        }
    }

    /// Grows a partition to the end of the disk, if nothing lies behind it. Returns its new end in bytes.
    pub fn grow(&mut self, number: u32) -> Option<u64> {
        match self {
            Self::Gpt(table) => table.grow(number),
            Self::Mbr(table) => table.grow(number),
        }
    }

    /// Writes it to the disk.
    ///
    /// # Errors
    /// Of the disk.
    pub fn write<D: Read + Write + Seek>(&mut self, disk: &mut D) -> io::Result<()> {
        match self {
            Self::Gpt(table) => table.write(disk),
            Self::Mbr(table) => table.write(disk),
        }
    }
}

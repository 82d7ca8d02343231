//! The GUID partition table (UEFI 2.10 §5.3): reading it, moving its backup to the end of a larger disk,
//! growing one partition. Works on anything that can seek; every number from the disk is checked.

use std::io::{self, Read, Seek, SeekFrom, Write};

const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Entries beyond this are no partition table that any tool makes.
const MAX_ENTRIES: u32 = 1024;
/// Partitions end on multiples of this many bytes.
const GROW_ALIGN: u64 = 1 << 20;

/// Type of a Linux root file system on x86-64 and arm64, and the Linux type of an MBR, as text.
pub const ROOT_TYPES: [&str; 3] =
    ["4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "b921b045-1df0-41c3-af44-4c6f280d3fae", "83"];

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 1.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Byte behind the last one.
    pub end: u64,
    /// Type as text.
    pub kind: String,
    /// Unique id as text.
    pub id: String,
    /// Name.
    pub name: String,
}

/// A partition table in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    sector: u64,
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_size: usize,
    /// Sectors of the disk.
    sectors: u64,
}

impl Table {
    /// Reads the primary table; `size` is the disk's, in bytes. `None`: there is no GPT.
    pub fn read<D: Read + Seek>(disk: &mut D, size: u64) -> io::Result<Option<Self>> {
        for sector in [512, 4096] {
            let mut header = vec![0; sector as usize];
            disk.seek(SeekFrom::Start(sector))?;
            if disk.read_exact(&mut header).is_err() || &header[..8] != SIGNATURE {
                continue;
            }
            return Self::parse(disk, sector, header, size / sector).map(Some);
        }
        Ok(None)
    }

    fn parse<D: Read + Seek>(
        disk: &mut D,
        sector: u64,
        mut header: Vec<u8>,
        sectors: u64,
    ) -> io::Result<Self> {
        if sectors < 68 {
            return Err(invalid(format!("a disk of {sectors} sectors is too small for one")));
        }
        let length = long(&header, 12) as usize;
        if !(92..=header.len()).contains(&length) {
            return Err(invalid(format!("header length {length}: want 92 to {}", header.len())));
        }
        header.truncate(length);
        let stored = long(&header, 16);
        if header_crc(&header) != stored {
            return Err(invalid("header checksum is wrong"));
        }
        let (count, entry_size) = (long(&header, 80), long(&header, 84) as usize);
        if count > MAX_ENTRIES || !(128..=4096).contains(&entry_size) || entry_size % 8 != 0 {
            return Err(invalid(format!(
                "{count} entries of {entry_size} bytes: want at most {MAX_ENTRIES} of 128"
            )));
        }
        let start =
            quad(&header, 72).checked_mul(sector).ok_or_else(|| invalid("entries lie beyond any disk"))?;
        let mut entries = vec![0; count as usize * entry_size];
        disk.seek(SeekFrom::Start(start))?;
        disk.read_exact(&mut entries)?;
        if crc(&entries) != long(&header, 88) {
            return Err(invalid("checksum of the entries is wrong"));
        }
        Ok(Self { sector, header, entries, entry_size, sectors })
    }

    /// All partitions, in the order of the table.
    pub fn partitions(&self) -> Vec<Partition> {
        let used =
            self.entries.chunks(self.entry_size).enumerate().filter(|(_, entry)| entry[..16] != [0; 16]);
        used.filter_map(|(index, entry)| {
            let start = quad(entry, 32).checked_mul(self.sector)?;
            let end = quad(entry, 40).checked_add(1)?.checked_mul(self.sector)?;
            (start < end).then(|| Partition {
                number: index as u32 + 1,
                start,
                end,
                kind: guid(&entry[..16]),
                id: guid(&entry[16..32]),
                name: name(&entry[56..128]),
            })
        })
        .collect()
    }

    /// Makes the table span the whole disk. True when it did not before.
    pub fn span_disk(&mut self) -> bool {
        let last = self.sectors - 1;
        let changed = quad(&self.header, 32) != last;
        put(&mut self.header, 32, last);
        let entry_sectors = (self.entries.len() as u64).div_ceil(self.sector);
        put(&mut self.header, 48, last.saturating_sub(entry_sectors + 1));
        changed
    }

    /// Grows a partition to the end of the usable space, if nothing lies behind it. Returns its new end in
    /// bytes, or `None` when it cannot grow.
    pub fn grow(&mut self, number: u32) -> Option<u64> {
        let all = self.partitions();
        let part = all.iter().find(|part| part.number == number)?;
        if all.iter().any(|other| other.start > part.start) {
            return None;
        }
        let usable = quad(&self.header, 48).checked_add(1)?.checked_mul(self.sector)?;
        let end = usable / GROW_ALIGN * GROW_ALIGN;
        if end <= part.end {
            return None;
        }
        let at = (number as usize - 1) * self.entry_size;
        put(&mut self.entries, at + 40, end / self.sector - 1);
        Some(end)
    }

    /// Writes both copies and the protective MBR's size.
    pub fn write<D: Read + Write + Seek>(&mut self, disk: &mut D) -> io::Result<()> {
        let entries_crc = crc(&self.entries).to_le_bytes();
        self.header[88..92].copy_from_slice(&entries_crc);
        let entry_sectors = (self.entries.len() as u64).div_ceil(self.sector);
        let last = self.sectors - 1;
        let backup_entries = last - entry_sectors;
        // The backup first: at every instant one of the two is whole.
        self.write_copy(disk, last, 1, backup_entries)?;
        disk.flush()?;
        self.write_copy(disk, 1, last, quad(&self.header, 72))?;
        self.write_protective_mbr(disk)?;
        disk.flush()
    }

    fn write_copy<D: Write + Seek>(
        &self,
        disk: &mut D,
        own: u64,
        other: u64,
        entries_at: u64,
    ) -> io::Result<()> {
        let mut header = self.header.clone();
        put(&mut header, 24, own);
        put(&mut header, 32, other);
        put(&mut header, 72, entries_at);
        let sum = header_crc(&header).to_le_bytes();
        header[16..20].copy_from_slice(&sum);
        header.resize(self.sector as usize, 0);
        disk.seek(SeekFrom::Start(entries_at * self.sector))?;
        disk.write_all(&self.entries)?;
        disk.seek(SeekFrom::Start(own * self.sector))?;
        disk.write_all(&header)
    }

    fn write_protective_mbr<D: Read + Write + Seek>(&self, disk: &mut D) -> io::Result<()> {
        let mut mbr = [0; 512];
        disk.seek(SeekFrom::Start(0))?;
        disk.read_exact(&mut mbr)?;
        for slot in 0..4 {
            let at = 446 + slot * 16;
            if mbr[at + 4] == 0xee {
                let sectors = u32::try_from(self.sectors - 1).unwrap_or(u32::MAX);
                mbr[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
            }
        }
        disk.seek(SeekFrom::Start(0))?;
        disk.write_all(&mbr)
    }
}

fn invalid(text: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("partition table: {text}"))
}

fn long(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(place) = bytes.get_mut(at..at + 8) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The checksum is computed with its own field as zero.
fn header_crc(header: &[u8]) -> u32 {
    let mut copy = header.to_vec();
    copy[16..20].fill(0);
    crc(&copy)
}

/// A GUID as text; its first three fields are little-endian.
fn guid(b: &[u8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (i, from) in order.into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", b.get(from).copied().unwrap_or(0)));
    }
    text
}

fn name(utf16: &[u8]) -> String {
    let units =
        utf16.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Cursor;

    /// A disk image of `size` bytes with partitions (first and last sector) on sectors of 512 bytes.
    pub(crate) fn image(size: usize, parts: &[(u64, u64)]) -> Vec<u8> {
        let mut disk = vec![0; size];
        disk[446 + 4] = 0xee;
        (disk[510], disk[511]) = (0x55, 0xaa);
        let mut entries = vec![0; 128 * 128];
        for (i, (first, last)) in parts.iter().enumerate() {
            let entry = &mut entries[i * 128..(i + 1) * 128];
            entry[..16].fill(0xab);
            entry[16..32].fill(i as u8 + 1);
            put(entry, 32, *first);
            put(entry, 40, *last);
            entry[56] = b'a' + i as u8;
        }
        let mut header = vec![0; 92];
        header[..8].copy_from_slice(SIGNATURE);
        header[8..12].copy_from_slice(&[0, 0, 1, 0]);
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        put(&mut header, 40, 34);
        put(&mut header, 72, 2);
        header[80..84].copy_from_slice(&128u32.to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        let sectors = size as u64 / 512;
        let mut table = Table { sector: 512, header, entries, entry_size: 128, sectors };
        table.span_disk();
        table.write(&mut Cursor::new(&mut disk)).expect("write");
        disk
    }

    fn read(disk: &[u8]) -> Table {
        Table::read(&mut Cursor::new(disk), disk.len() as u64).expect("read").expect("gpt")
    }

    #[test]
    fn a_larger_disk_is_spanned_and_the_last_partition_grows() {
        let mut disk = image(4 << 20, &[(2048, 4095), (4096, 8000)]);
        disk.resize(16 << 20, 0);
        let mut table = read(&disk);
        assert!(table.span_disk());
        assert_eq!(table.grow(1), None, "something lies behind it");
        assert_eq!(table.grow(2), Some(15 << 20));
        table.write(&mut Cursor::new(&mut disk)).expect("write");
        let again = read(&disk);
        let parts = again.partitions();
        assert_eq!((parts[1].start, parts[1].end, parts[1].name.as_str()), (2 << 20, 15 << 20, "b"));
        assert_eq!(parts[0].end, 2 << 20);
        let sectors = (16u64 << 20) / 512;
        let backup = &disk[(sectors as usize - 1) * 512..];
        assert_eq!((&backup[..8], quad(backup, 24), quad(backup, 32)), (&SIGNATURE[..], sectors - 1, 1));
        assert_eq!(header_crc(&backup[..92]), long(backup, 16));
        assert_eq!(long(&disk, 446 + 12), sectors as u32 - 1);
        assert!(!read(&disk).clone().span_disk());
    }

    #[test]
    fn broken_tables_are_named() {
        let good = image(4 << 20, &[(2048, 4095)]);
        let error = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut disk = good.clone();
            change(&mut disk);
            let result = Table::read(&mut Cursor::new(&disk), disk.len() as u64);
            result.expect_err("broken").to_string()
        };
        assert!(error(&|disk| disk[512 + 40] ^= 1).contains("header checksum"));
        assert!(error(&|disk| disk[1024 + 40] ^= 1).contains("entries is wrong"));
        assert!(error(&|disk| disk[512 + 12] = 1).contains("header length"));
        assert_eq!(Table::read(&mut Cursor::new(vec![0; 1 << 20]), 1 << 20).expect("read"), None);
        assert_eq!(Table::read(&mut Cursor::new(vec![0; 100]), 100).expect("read"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_damage_is_survived(spots in proptest::collection::vec((0usize..(40 * 512), proptest::num::u8::ANY), 1..8)) {
            let mut disk = image(1 << 20, &[(64, 127), (128, 1000)]);
            for (at, byte) in spots {
                disk[at] = byte;
            }
            if let Ok(Some(mut table)) = Table::read(&mut Cursor::new(&disk), disk.len() as u64) {
                let _ = table.partitions();
                table.span_disk();
                let _ = table.grow(2);
            }
        }
    }
}

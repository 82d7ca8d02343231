//! The partition table of 1983: four primary partitions in the first sector, logical ones in a chain inside an extended one.
//! Read in full; written only to grow the last primary partition. Sectors are of 512 bytes, as on every disk that has one.

use super::gpt::Partition;
use std::io::{self, Read, Seek, SeekFrom, Write};

const SECTOR: u64 = 512;
/// Where the four entries begin, and the length of one.
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
/// Types of extended partitions: containers of logical ones.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// The type that says "look for a GPT".
const PROTECTIVE: u8 = 0xee;
/// Number of the first logical partition.
const FIRST_LOGICAL: u32 = 5;
/// Longer chains of links are no work of any tool.
const MAX_LINKS: u32 = 60;
/// Partitions end on multiples of this many sectors (1 MiB).
const GROW_ALIGN: u64 = 2048;

/// A partition table in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    sector: [u8; SECTOR as usize],
    partitions: Vec<Partition>,
    /// Sectors of the disk.
    sectors: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    start: u64,
    count: u64,
}

impl Entry {
    fn is_extended(&self) -> bool {
        EXTENDED.contains(&self.kind)
    }
}

impl Table {
    /// Reads the table; `size` is the disk's, in bytes. `None`: there is none, or it only protects a GPT.
    pub fn read<D: Read + Seek>(disk: &mut D, size: u64) -> io::Result<Option<Self>> {
        let Some(sector) = read_sector(disk, 0)? else { return Ok(None) };
        // A file system's own boot sector ends in the same two bytes; it has no such entries.
        let sane = (0..4).all(|n| matches!(sector[ENTRIES + n * ENTRY], 0 | 0x80));
        let used: Vec<(u32, Entry)> =
            (0..4).filter_map(|n| Some((n as u32 + 1, entry(&sector, n)?))).collect();
        if !sane || used.is_empty() || used.iter().any(|(_, entry)| entry.kind == PROTECTIVE) {
            return Ok(None);
        }
        let mut table = Self { sector, partitions: Vec::new(), sectors: size / SECTOR };
        let mut logical = FIRST_LOGICAL;
        for (number, entry) in used {
            table.add(number, entry);
            if entry.is_extended() {
                logical = table.follow(disk, entry, logical)?;
            }
        }
        Ok(Some(table))
    }

    fn add(&mut self, number: u32, entry: Entry) {
        let signature = u32::from_le_bytes([440, 441, 442, 443].map(|at: usize| self.sector[at]));
        self.partitions.push(Partition {
            number,
            start: entry.start * SECTOR,
            end: (entry.start + entry.count) * SECTOR,
            kind: format!("{:02x}", entry.kind),
            id: format!("{signature:08x}-{number:02x}"),
            name: String::new(),
        });
    }

    /// The logical partitions of one container, numbered from `number` as Linux does: by partitions found, not by links,
    /// and on through all containers. Returns the number after them. Each link must lie behind the last one.
    fn follow<D: Read + Seek>(&mut self, disk: &mut D, extended: Entry, mut number: u32) -> io::Result<u32> {
        let mut at = extended.start;
        for _ in 0..MAX_LINKS {
            let Some(sector) = read_sector(disk, at)? else {
                return Err(invalid(format!("no link of the extended partition in sector {at}")));
            };
            let (links, parts): (Vec<Entry>, Vec<Entry>) =
                (0..2).filter_map(|n| entry(&sector, n)).partition(Entry::is_extended);
            for part in parts {
                self.add(number, Entry { start: at + part.start, ..part });
                number += 1;
            }
            let Some(next) = links.first().map(|link| extended.start + link.start) else { return Ok(number) };
            if next <= at {
                return Err(invalid(format!("the link in sector {at} leads back to sector {next}")));
            }
            at = next;
        }
        Err(invalid(format!("more than {MAX_LINKS} links of logical partitions")))
    }

    /// All partitions: primary ones by number, logical ones behind their container.
    pub fn partitions(&self) -> Vec<Partition> {
        self.partitions.clone()
    }

    /// Grows a primary partition to the end of the disk, if nothing lies behind it. Returns its new end in bytes, or
    /// `None` when it cannot grow.
    pub fn grow(&mut self, number: u32) -> Option<u64> {
        let at = ENTRIES + (usize::try_from(number).ok()?.checked_sub(1).filter(|n| *n < 4)?) * ENTRY;
        let old = entry(&self.sector, (at - ENTRIES) / ENTRY)?;
        let part = self.partitions.iter().find(|part| part.number == number)?.clone();
        if old.is_extended() || self.partitions.iter().any(|other| other.start > part.start) {
            return None;
        }
        // Numbers of sectors have 32 bits.
        let end = self.sectors.min(u64::from(u32::MAX)) / GROW_ALIGN * GROW_ALIGN;
        if end * SECTOR <= part.end {
            return None;
        }
        let count = u32::try_from(end.checked_sub(old.start)?).ok()?;
        self.sector[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
        let place = self.partitions.iter_mut().find(|part| part.number == number)?;
        place.end = end * SECTOR;
        Some(place.end)
    }

    /// Writes the first sector.
    pub fn write<D: Write + Seek>(&self, disk: &mut D) -> io::Result<()> {
        disk.seek(SeekFrom::Start(0))?;
        disk.write_all(&self.sector)?;
        disk.flush()
    }
}

/// A sector that bears the mark of such tables.
fn read_sector<D: Read + Seek>(disk: &mut D, at: u64) -> io::Result<Option<[u8; SECTOR as usize]>> {
    let mut sector = [0; SECTOR as usize];
    disk.seek(SeekFrom::Start(at * SECTOR))?;
    match disk.read_exact(&mut sector) {
        Ok(()) => Ok(Some(sector).filter(|sector| sector[510..] == [0x55, 0xaa])),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn entry(sector: &[u8; SECTOR as usize], n: usize) -> Option<Entry> {
    let bytes = sector.get(ENTRIES + n * ENTRY..ENTRIES + (n + 1) * ENTRY)?;
    let number = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let (kind, start, count) = (*bytes.get(4)?, number(8)?, number(12)?);
    (kind != 0 && count != 0).then(|| Entry { kind, start: start.into(), count: count.into() })
}

fn invalid(text: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("partition table: {text}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Cursor;

    fn put(disk: &mut [u8], sector: usize, n: usize, kind: u8, start: u32, count: u32) {
        let sector = &mut disk[sector * 512..(sector + 1) * 512];
        (sector[510], sector[511]) = (0x55, 0xaa);
        let entry = &mut sector[ENTRIES + n * ENTRY..ENTRIES + (n + 1) * ENTRY];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..16].copy_from_slice(&count.to_le_bytes());
    }

    /// A disk with primary partitions (type, first sector, sectors).
    pub(crate) fn image(size: usize, parts: &[(u8, u32, u32)]) -> Vec<u8> {
        let mut disk = vec![0; size];
        disk[440..444].copy_from_slice(&0x1234_abcdu32.to_le_bytes());
        for (n, (kind, start, count)) in parts.iter().enumerate() {
            put(&mut disk, 0, n, *kind, *start, *count);
        }
        disk
    }

    fn read(disk: &[u8]) -> io::Result<Option<Table>> {
        Table::read(&mut Cursor::new(disk), disk.len() as u64)
    }

    fn shown(disk: &[u8]) -> Vec<String> {
        let table = read(disk).expect("read").expect("mbr");
        let text = |part: &Partition| {
            format!("{} {} {}+{}", part.number, part.kind, part.start / 512, (part.end - part.start) / 512)
        };
        table.partitions().iter().map(text).collect()
    }

    #[test]
    fn primary_and_logical_partitions() {
        let mut disk = image(16 << 20, &[(0x83, 2048, 2048), (0x05, 4096, 20_000)]);
        put(&mut disk, 4096, 0, 0x83, 64, 1000);
        put(&mut disk, 4096, 1, 0x05, 4000, 3000);
        put(&mut disk, 8096, 0, 0x82, 64, 2000);
        assert_eq!(shown(&disk), ["1 83 2048+2048", "2 05 4096+20000", "5 83 4160+1000", "6 82 8160+2000"]);
        let table = read(&disk).expect("read").expect("mbr");
        assert_eq!(table.partitions()[2].id, "1234abcd-05");
    }

    #[test]
    fn logical_partitions_are_counted_as_linux_does() {
        let mut disk = image(16 << 20, &[(0x05, 4096, 8192), (0x83, 2048, 2048), (0x0f, 16_384, 8192)]);
        // The first link of the first container holds no partition, only the way to the next link.
        put(&mut disk, 4096, 1, 0x05, 1024, 2048);
        put(&mut disk, 5120, 0, 0x83, 64, 1000);
        put(&mut disk, 16_384, 0, 0x82, 64, 2000);
        let expected =
            ["1 05 4096+8192", "5 83 5184+1000", "2 83 2048+2048", "3 0f 16384+8192", "6 82 16448+2000"];
        assert_eq!(shown(&disk), expected);
    }

    #[test]
    fn the_last_primary_partition_grows() {
        let mut disk = image(16 << 20, &[(0x83, 2048, 2048), (0x83, 4096, 4096)]);
        let mut table = read(&disk).expect("read").expect("mbr");
        assert_eq!(table.grow(1), None, "something lies behind it");
        assert_eq!((table.grow(3), table.grow(0), table.grow(5)), (None, None, None));
        assert_eq!(table.grow(2), Some(16 << 20));
        table.write(&mut Cursor::new(&mut disk)).expect("write");
        assert_eq!(shown(&disk), ["1 83 2048+2048", "2 83 4096+28672"]);
        assert_eq!(disk[440..444], 0x1234_abcdu32.to_le_bytes());
        let mut again = read(&disk).expect("read").expect("mbr");
        assert_eq!(again.grow(2), None, "it has grown already");
    }

    #[test]
    fn what_is_no_table_of_this_kind() {
        assert_eq!(read(&image(1 << 20, &[(PROTECTIVE, 1, 2000)])).expect("read"), None);
        assert_eq!(read(&vec![0; 1 << 20]).expect("read"), None);
        assert_eq!(read(&[0; 100]).expect("read"), None);
        let mut fat = image(1 << 20, &[(0x83, 64, 64)]);
        fat[ENTRIES] = b'N';
        assert_eq!(read(&fat).expect("read"), None, "a boot sector with text where entries would be");
    }

    #[test]
    fn chains_that_do_not_end_are_refused() {
        let mut disk = image(1 << 20, &[(0x05, 64, 1000)]);
        put(&mut disk, 64, 1, 0x05, 100, 10);
        put(&mut disk, 164, 1, 0x05, 50, 10);
        let error = read(&disk).expect_err("a loop").to_string();
        assert!(error.contains("sector 164 leads back to sector 114"), "{error}");
        let error = read(&image(1 << 20, &[(0x05, 64, 1000)])).expect_err("no link").to_string();
        assert!(error.contains("no link of the extended partition in sector 64"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_first_sector_is_survived(bytes in proptest::collection::vec(proptest::num::u8::ANY, 64), number in 0u32..9) {
            let mut disk = vec![0; 1 << 16];
            disk[ENTRIES..510].copy_from_slice(&bytes);
            for n in 0..4 {
                disk[ENTRIES + n * ENTRY] &= 0x80;
            }
            (disk[510], disk[511]) = (0x55, 0xaa);
            if let Ok(Some(mut table)) = Table::read(&mut Cursor::new(&disk), disk.len() as u64) {
                let _ = table.grow(number);
                let _ = table.partitions();
            }
        }
    }
}

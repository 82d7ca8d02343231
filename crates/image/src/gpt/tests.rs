//! Tables made, read, moved, grown and mistreated, on byte vectors.

use super::wire::{SIGNATURE, u32_at};
use super::*;
use proptest::prelude::*;
use std::io::Cursor;

const MIB: u64 = 1 << 20;
const ID: Guid = Guid::new(0x7e57_ab1e, 0, 0x4000, 0x8000_0000_0000_0001);

/// A disk of `mib` MiB with an ESP and a root partition that ends 1 MiB before the end.
fn disk(mib: u64, sector_size: u32) -> Cursor<Vec<u8>> {
    let mut disk = Cursor::new(vec![0; (mib * MIB) as usize]);
    let unit = MIB / u64::from(sector_size);
    let mut table = Table::new(sector_size, mib * MIB, ID).unwrap();
    table.add(Partition::new(Guid::EFI_SYSTEM, ID, unit, 2 * unit - 1, "esp")).unwrap();
    table.add(Partition::new(Guid::LINUX, ID, 2 * unit, (mib - 1) * unit - 1, "root")).unwrap();
    table.write(&mut disk).unwrap();
    disk
}

fn grown(mut disk: Cursor<Vec<u8>>, mib: u64) -> Cursor<Vec<u8>> {
    disk.get_mut().resize((mib * MIB) as usize, 0);
    disk
}

#[test]
fn what_was_written_is_read_back() {
    for sector_size in [512, 4096] {
        let table = Table::find(&mut disk(8, sector_size)).unwrap();
        assert_eq!(table.sector_size(), sector_size);
        assert_eq!(table.disk_id(), ID);
        let labels: Vec<_> = table.partitions().map(|(n, p)| (n, p.label(), p.kind)).collect();
        assert_eq!(labels, [(1, "esp".into(), Guid::EFI_SYSTEM), (2, "root".into(), Guid::LINUX)]);
    }
}

#[test]
fn guids_print_as_every_tool_prints_them() {
    assert_eq!(Guid::EFI_SYSTEM.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    assert_eq!(Guid::BIOS_BOOT.to_string(), "21686148-6449-6e6f-744e-656564454649");
    assert_eq!(&Guid::BIOS_BOOT.0, b"Hah!IdontNeedEFI");
}

#[test]
fn an_image_on_a_larger_disk_is_fitted_and_its_last_partition_grows() {
    for sector_size in [512, 4096] {
        let mut disk = grown(disk(8, sector_size), 32);
        let mut table = Table::find(&mut disk).unwrap();
        table.fit(32 * MIB).unwrap();
        let grown = table.grow_last().unwrap();
        assert_eq!(grown, Grown { number: 2, start: 2 * MIB, before: 5 * MIB, after: 29 * MIB });
        assert_eq!(table.grow_last(), None, "nothing is left to gain");
        table.write(&mut disk).unwrap();
        let again = Table::find(&mut disk).unwrap();
        assert_eq!(again, table);
        let bytes = disk.get_ref();
        let last = bytes.len() - sector_size as usize;
        assert_eq!(&bytes[last..last + 8], SIGNATURE, "the backup header is in the last sector");
        assert_eq!(u32_at(bytes, 446 + 12), (32 * MIB / u64::from(sector_size)) as u32 - 1);
    }
}

#[test]
fn boot_code_and_other_records_in_the_mbr_survive() {
    let mut disk = disk(8, 512);
    disk.get_mut()[..440].fill(0x90);
    let table = Table::find(&mut disk).unwrap();
    table.write(&mut disk).unwrap();
    assert!(disk.get_ref()[..440].iter().all(|&byte| byte == 0x90));
    assert_eq!(&disk.get_ref()[510..512], [0x55, 0xAA]);
    // A foreign, not protective table is left alone.
    disk.get_mut()[446 + 4] = 0x83;
    let before = disk.get_ref()[..512].to_vec();
    table.write(&mut disk).unwrap();
    assert_eq!(disk.get_ref()[..512], before);
}

#[test]
fn the_backup_serves_when_the_primary_is_broken() {
    let mut disk = disk(8, 512);
    let good = Table::find(&mut disk).unwrap();
    disk.get_mut()[512 + 60] ^= 1;
    let read = Table::read(&mut disk, 512).unwrap();
    assert_eq!(read, good);
    read.write(&mut disk).unwrap();
    disk.get_mut()[8 * MIB as usize - 512..].fill(0);
    assert_eq!(Table::read(&mut disk, 512).unwrap(), good, "writing mended the primary");
}

#[test]
fn faults_are_named() {
    let check = |at: usize, expected: Fault| {
        let mut disk = disk(8, 512);
        disk.get_mut()[8 * MIB as usize - 512..].fill(0);
        disk.get_mut()[at] ^= 0x40;
        let error = Table::read(&mut disk, 512).unwrap_err();
        let Error::Invalid { primary, backup } = error else { panic!("{error}") };
        assert_eq!((primary, backup), (expected, Fault::Signature));
    };
    check(512, Fault::Signature);
    check(512 + 12, Fault::Sizes);
    check(512 + 83, Fault::Sizes);
    check(512 + 56, Fault::HeaderChecksum);
    check(1024 + 40, Fault::EntryChecksum);
    let error = Table::find(&mut Cursor::new(vec![0; 100])).unwrap_err();
    assert!(error.to_string().contains("the end of the disk"), "{error}");
}

#[test]
fn a_smaller_disk_is_refused_and_the_partition_named() {
    let mut table = Table::find(&mut disk(8, 512)).unwrap();
    let error = table.fit(6 * MIB).unwrap_err();
    assert!(matches!(error, Error::DoesNotFit { number: 2, end, .. } if end == 7 * MIB), "{error}");
    assert!(Table::new(512, 10_000, ID).is_err());
    assert!(Table::new(512, 0, ID).is_err());
}

#[test]
fn overlapping_partitions_are_refused() {
    let mut table = Table::new(512, 8 * MIB, ID).unwrap();
    table.add(Partition::new(Guid::LINUX, ID, 2048, 4095, "a")).unwrap();
    for (first, last) in [(4095, 5000), (100, 2048), (3000, 3001), (6000, 5999), (0, 40), (5000, 16383)] {
        let refused = table.add(Partition::new(Guid::LINUX, ID, first, last, "b"));
        assert!(matches!(refused, Err(Error::NotFree { .. })), "{first}..={last}");
    }
    assert_eq!(table.add(Partition::new(Guid::LINUX, ID, 4096, 4096, "c")).unwrap(), 2);
}

#[test]
fn long_entries_keep_the_bytes_behind_the_known_ones() {
    let mut table = Table::new(512, 8 * MIB, ID).unwrap();
    table.entry_len = 256;
    table.first_usable = 2 + table.entry_sectors();
    table.fit(8 * MIB).unwrap();
    let partition = Partition::new(Guid::LINUX, ID, 2048, 4095, "a");
    table.slots[3] = Slot { partition: Some(partition), rest: vec![7; 128] };
    let mut disk = Cursor::new(vec![0; 8 * MIB as usize]);
    table.write(&mut disk).unwrap();
    assert_eq!(Table::find(&mut disk).unwrap().slots[3], table.slots[3]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8192)) {
        let _ = Table::find(&mut Cursor::new(bytes));
    }

    /// Headers with valid checksums but random fields reach the checks behind the checksum.
    #[test]
    fn random_fields_with_right_checksums_never_panic(
        at in 12usize..92, value: u8, entry in 1024usize..1300, other: u8, len in 0u64..16,
    ) {
        let mut disk = disk(8, 512);
        let bytes = disk.get_mut();
        bytes[512 + at] = value;
        bytes[entry] = other;
        let count = (u32_at(bytes, 512 + 80) as usize).saturating_mul(u32_at(bytes, 512 + 84) as usize);
        let sum = crc32fast::hash(&bytes[1024..1024 + count.min(1 << 20)]);
        bytes[512 + 88..512 + 92].copy_from_slice(&sum.to_le_bytes());
        bytes[512 + 16..512 + 20].fill(0);
        let sum = crc32fast::hash(&bytes[512..512 + 92]);
        bytes[512 + 16..512 + 20].copy_from_slice(&sum.to_le_bytes());
        if let Ok(mut table) = Table::read(&mut disk, 512) {
            let _ = table.fit(len * MIB);
            let _ = table.grow_last();
            let mut disk = Cursor::new(vec![0; 64 * MIB as usize]);
            if table.fit(64 * MIB).is_ok() {
                table.write(&mut disk).unwrap();
                prop_assert_eq!(Table::read(&mut disk, 512).unwrap(), table);
            }
        }
    }
}

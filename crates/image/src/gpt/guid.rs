//! GUIDs, and those that say what a partition is for.

use std::fmt;

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

//! Who is asking: firmware, iPXE or an operating system, and of which architecture.

use super::Packet;
use super::option::code;
use super::sub;

/// What the client says it is (option 60, then 93, 77 and 175).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The protocol by which it wants its first file.
    pub boot: Boot,
    /// Processor and firmware.
    pub arch: Arch,
    /// Set when it is iPXE.
    pub ipxe: Option<Ipxe>,
}

/// How a client wants to boot, by its vendor class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// `PXEClient`: file name in the header, by TFTP.
    Pxe,
    /// `HTTPClient`: a URL in option 67.
    Http,
    /// An operating system, or something that never netboots by itself.
    Other,
}

/// What an iPXE can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ipxe {
    /// HTTP.
    pub http: bool,
    /// Linux kernels on BIOS.
    pub bzimage: bool,
    /// EFI images.
    pub efi: bool,
}

impl Ipxe {
    /// Can it boot our scripts by itself? HTTP, and the kernels of its firmware. Never ask for `comboot` or `pxe`:
    /// Debian's builds lack it, and an iPXE chained from them would fail the same test for ever.
    pub fn is_good_enough(self, arch: Arch) -> bool {
        self.http && if arch.is_bios() { self.bzimage } else { self.efi }
    }

    fn of(packet: &Packet) -> Option<Self> {
        let class = packet.options.get(code::USER_CLASS);
        // iPXE sends the bare word; RFC 3004 would put a length byte before it.
        let named = class.is_some_and(|c| matches!(c.as_ref(), b"iPXE" | b"\x04iPXE"));
        let list = packet.options.get(code::IPXE);
        if !named && list.is_none() {
            return None;
        }
        let on = |name: u8| {
            list.as_deref().and_then(|l| sub::find(l, name)).is_some_and(|v| v.iter().any(|b| *b != 0))
        };
        Some(Self { http: on(19), bzimage: on(24), efi: on(36) })
    }
}

/// Client architecture (option 93, RFC 4578 and the IANA registry "Processor Architecture Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arch(pub u16);

/// What we know of an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchRow {
    /// Number in option 93.
    pub code: u16,
    /// Name for people.
    pub name: &'static str,
    /// Architecture name in boot environments (`SupportedArchitectures`, file tree).
    pub arch: &'static str,
    /// Key in a boot environment's `Loaders` and in the parameter `bootloaders`.
    pub class: Option<&'static str>,
    /// Loader that the server itself brings.
    pub loader: Option<&'static str>,
}

macro_rules! archs {
    ($($code:literal $name:literal $arch:literal $class:expr, $loader:expr;)*) => {
        /// All architectures that have a name.
        pub const ARCHS: &[ArchRow] =
            &[$(ArchRow { code: $code, name: $name, arch: $arch, class: $class, loader: $loader }),*];
    };
}

archs! {
    0 "x86 BIOS" "amd64" Some("386-pcbios"), Some("lpxelinux.0");
    6 "x86 UEFI" "386" None, None;
    7 "x64 UEFI" "amd64" Some("amd64-uefi"), Some("ipxe.efi");
    9 "x64 UEFI (EBC)" "amd64" Some("amd64-uefi"), Some("ipxe.efi");
    10 "arm UEFI" "arm" None, None;
    11 "arm64 UEFI" "arm64" Some("arm64-uefi"), Some("ipxe-arm64.efi");
    12 "PowerPC Open Firmware" "ppc64" None, None;
    14 "POWER OPAL" "ppc64le" None, None;
    15 "x86 UEFI HTTP" "386" None, None;
    16 "x64 UEFI HTTP" "amd64" Some("amd64-uefi"), Some("ipxe.efi");
    18 "arm UEFI HTTP" "arm" None, None;
    19 "arm64 UEFI HTTP" "arm64" Some("arm64-uefi"), Some("ipxe-arm64.efi");
    20 "x86 BIOS HTTP" "amd64" Some("386-pcbios"), Some("lpxelinux.0");
    27 "riscv64 UEFI" "riscv64" None, None;
    28 "riscv64 UEFI HTTP" "riscv64" None, None;
}

impl Arch {
    /// The row, if the architecture has a name.
    pub fn row(self) -> Option<&'static ArchRow> {
        ARCHS.iter().find(|r| r.code == self.0)
    }

    /// PC BIOS, which runs Linux kernels rather than EFI programs.
    pub fn is_bios(self) -> bool {
        matches!(self.0, 0 | 20)
    }
}

impl Client {
    /// Reads the client's options.
    pub fn of(packet: &Packet) -> Self {
        let class = packet.options.get(code::VENDOR_CLASS).unwrap_or_default();
        let boot = match class.as_ref() {
            c if c.starts_with(b"PXEClient") => Boot::Pxe,
            c if c.starts_with(b"HTTPClient") => Boot::Http,
            _ => Boot::Other,
        };
        let arch = packet.options.get(code::CLIENT_ARCH);
        // Several types may be listed, the first is what runs now (RFC 4578 §2.1). Absent means BIOS.
        let arch = arch.as_deref().and_then(|v| v.first_chunk()).map_or(0, |v| u16::from_be_bytes(*v));
        Self { boot, arch: Arch(arch), ipxe: Ipxe::of(packet) }
    }
}

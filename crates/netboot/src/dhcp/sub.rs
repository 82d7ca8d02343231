//! Options inside options: PXE's in 43, the relay's in 82 (RFC 3046), iPXE's in 175.
//!
//! All three are code, length, value; PXE ends its list with 255. Malformed lists come from the network and are no reason
//! to refuse a packet, so reading stops at the first fault and keeps what was whole before it.

/// PXE discovery control (sub-option 6) = 8: boot the file named here, look for no boot server. Followed by the end mark.
/// With it firmware needs no round trip to port 4011.
pub const PXE_BOOT_DIRECTLY: [u8; 4] = [6, 1, 8, 255];
/// iPXE sub-option 176 = 1: do not wait for a ProxyDHCP server. Saves 3 s and more per boot.
pub const IPXE_NO_PROXY_DHCP: [u8; 3] = [176, 1, 1];

/// Sub-options of option 82.
pub mod relay {
    /// Address whose network the client is on (RFC 3527).
    pub const LINK_SELECTION: u8 = 5;
    /// What the server shall call itself (RFC 5107).
    pub const SERVER_ID_OVERRIDE: u8 = 11;
}

/// The whole sub-options of a list, in order.
pub fn read(list: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = list;
    std::iter::from_fn(move || {
        while let [0, tail @ ..] = rest {
            rest = tail;
        }
        match rest {
            [255, ..] | [] | [_] => None,
            [code, len, tail @ ..] => {
                let (value, tail) = tail.split_at_checked(usize::from(*len))?;
                rest = tail;
                Some((*code, value))
            }
        }
    })
}

/// The first sub-option of this code.
pub fn find(list: &[u8], code: u8) -> Option<&[u8]> {
    read(list).find(|(c, _)| *c == code).map(|(_, v)| v)
}

macro_rules! features {
    ($($code:literal $name:literal $doc:literal;)*) => {
        /// Sub-options of option 175: code, name, what it says (iPXE `src/include/ipxe/dhcp.h`, `features.h`).
        pub const IPXE: &[(u8, &str, &str)] = &[$(($code, $name, $doc)),*];
    };
}

features! {
    1 "priority" "signed byte; the offer with the highest wins";
    8 "keep-san" "keep the SAN disk connected";
    9 "skip-san-boot" "do not boot from the SAN disk";
    16 "pxe-ext" "PXE extensions, a version";
    17 "iscsi" "iSCSI";
    18 "aoe" "ATA over Ethernet";
    19 "http" "HTTP";
    20 "https" "HTTPS";
    21 "tftp" "TFTP";
    22 "ftp" "FTP";
    23 "dns" "DNS";
    24 "bzimage" "Linux kernels on BIOS";
    25 "multiboot" "Multiboot kernels";
    26 "slam" "SLAM multicast";
    27 "srp" "SCSI RDMA";
    32 "nbi" "NBI images";
    33 "pxe" "PXE boot files";
    34 "elf" "ELF images";
    35 "comboot" "COMBOOT images; absent from Debian's builds";
    36 "efi" "EFI images";
    37 "fcoe" "Fibre Channel over Ethernet";
    38 "vlan" "VLANs";
    39 "menu" "menus";
    40 "sdi" "SDI images";
    41 "nfs" "NFS";
    85 "syslogs" "encrypted syslog server";
    91 "cert" "client certificate";
    92 "privkey" "client key";
    93 "crosscert" "source of cross-signed certificates";
    176 "no-pxedhcp" "do not wait for ProxyDHCP";
    177 "bus-id" "bus type, vendor and device of the NIC";
    188 "san-filename" "file to boot from the SAN disk";
    189 "bios-drive" "BIOS drive number";
    190 "username" "user name";
    191 "password" "password";
    192 "reverse-username" "reverse CHAP user name";
    193 "reverse-password" "reverse CHAP password";
    203 "iscsi-iqn" "iSCSI initiator name";
    235 "version" "version of iPXE, up to 4 bytes";
}

/// Name of an iPXE sub-option.
pub fn ipxe_name(code: u8) -> Option<&'static str> {
    IPXE.iter().find(|(c, ..)| *c == code).map(|(_, name, _)| *name)
}

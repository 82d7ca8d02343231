//! The DHCP options: one row each with code, name, form and what it is for.
//!
//! Decoding, encoding, names in logs and the reference page all read this table, so an option cannot be decoded one way
//! and printed another. The forms are those of DRP's option value codec (reference network.md §1.17) and must stay:
//! operators' subnets hold texts in them. An option without a row is bytes, and survives.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// Codes that the engine itself speaks of.
pub mod code {
    #![expect(missing_docs, reason = "the table below documents each option")]
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const HOST_NAME: u8 = 12;
    pub const ROOT_PATH: u8 = 17;
    pub const BROADCAST: u8 = 28;
    pub const VENDOR: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL: u8 = 58;
    pub const REBINDING: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const TFTP_SERVER: u8 = 66;
    pub const BOOT_FILE: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RELAY: u8 = 82;
    pub const CLIENT_ARCH: u8 = 93;
    pub const CLIENT_UUID: u8 = 97;
    pub const IPXE: u8 = 175;
    pub const END: u8 = 255;
}

/// How the value of an option looks, on the wire and as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The message type, as a word: `dis`, `ofr`, `req`, `dec`, `ack`, `nak`, `rel`, `inf`.
    Message,
    /// One IPv4 address.
    Address,
    /// IPv4 addresses with commas.
    Addresses,
    /// Text as it is.
    Text,
    /// Decimal, 4 bytes.
    U32,
    /// Decimal, 2 bytes; several with commas.
    U16,
    /// Decimal, 1 byte.
    U8,
    /// Decimal bytes with commas, or `string:` and text.
    Bytes,
}

/// A text that is no value of its option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option {code}: `{text}` is no value for it: want {want}")]
pub struct ValueError {
    /// The option.
    pub code: u8,
    /// What was given.
    pub text: String,
    /// What would be right.
    pub want: &'static str,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Option number.
    pub code: u8,
    /// Name after RFC 2132 and the IANA registry, in words with dashes.
    pub name: &'static str,
    /// How its value looks.
    pub form: Form,
    /// What it is for, and where it is described.
    pub doc: &'static str,
}

macro_rules! table {
    ($($code:literal $name:literal $form:ident $doc:literal;)*) => {
        /// All options with a name, by code.
        pub const TABLE: &[Row] = &[$(Row { code: $code, name: $name, form: Form::$form, doc: $doc }),*];
    };
}

table! {
    1 "subnet-mask" Address "Mask of the client's network (RFC 2132 §3.3); filled in from the subnet.";
    2 "time-offset" U32 "Seconds east of UTC (§3.4).";
    3 "router" Addresses "Gateways, best first (§3.5).";
    4 "time-server" Addresses "RFC 868 time servers (§3.6).";
    5 "name-server" Addresses "IEN 116 name servers (§3.7).";
    6 "domain-name-server" Addresses "DNS servers (§3.8); the Debian installer stops and asks without one.";
    7 "log-server" Addresses "Log servers (§3.9).";
    8 "cookie-server" Addresses "Quote-of-the-day servers (§3.10).";
    9 "lpr-server" Addresses "Line printer servers (§3.11).";
    10 "impress-server" Addresses "Imagen Impress servers (§3.12).";
    11 "resource-location-server" Addresses "RFC 887 resource location servers (§3.13).";
    12 "host-name" Text "Name of the client, without domain (§3.14).";
    13 "boot-file-size" U16 "Boot file in blocks of 512 bytes (§3.15).";
    14 "merit-dump-file" Text "Where a client dumps its core (§3.16).";
    15 "domain-name" Text "DNS domain of the client (§3.17).";
    16 "swap-server" Address "Swap server (§3.18).";
    17 "root-path" Text "Root disk of the client, as NFS path or iSCSI URI (§3.19, RFC 4173).";
    18 "extensions-path" Text "File with more options, by TFTP (§3.20).";
    19 "ip-forwarding" U8 "1: the client forwards packets (§4.1).";
    20 "non-local-source-routing" U8 "1: it forwards source-routed ones too (§4.2).";
    21 "policy-filter" Addresses "Pairs of destination and mask (§4.3).";
    22 "max-datagram-reassembly" U16 "Largest datagram to reassemble, bytes (§4.4).";
    23 "default-ip-ttl" U8 "Time to live of packets (§4.5).";
    24 "path-mtu-aging" U32 "Seconds (§4.6).";
    25 "path-mtu-plateau" Bytes "List of 2-byte sizes (§4.7).";
    26 "interface-mtu" U16 "MTU of the client's interface, bytes (§5.1).";
    27 "all-subnets-local" U8 "1: all subnets have this MTU (§5.2).";
    28 "broadcast-address" Address "Broadcast address (§5.3); filled in from the subnet.";
    29 "perform-mask-discovery" U8 "1: ask by ICMP (§5.4).";
    30 "mask-supplier" U8 "1: answer by ICMP (§5.5).";
    31 "perform-router-discovery" U8 "1: solicit routers (§5.6).";
    32 "router-solicitation-address" Address "Where to solicit routers (§5.7).";
    33 "static-route" Addresses "Pairs of destination and router (§5.8).";
    34 "trailer-encapsulation" U8 "1: negotiate trailers (§6.1).";
    35 "arp-cache-timeout" U32 "Seconds (§6.2).";
    36 "ethernet-encapsulation" U8 "1: IEEE 802.3 (§6.3).";
    37 "tcp-default-ttl" U8 "Time to live of TCP segments (§7.1).";
    38 "tcp-keepalive-interval" U32 "Seconds (§7.2).";
    39 "tcp-keepalive-garbage" U8 "1: with a byte of garbage (§7.3).";
    40 "nis-domain" Text "NIS domain (§8.1).";
    41 "nis-server" Addresses "NIS servers (§8.2).";
    42 "ntp-server" Addresses "NTP servers (§8.3).";
    43 "vendor-specific" Bytes "Options by vendor; for PXE clients sub-options (§8.4, PXE 2.1).";
    44 "netbios-name-server" Addresses "WINS servers (§8.5).";
    45 "netbios-dd-server" Addresses "NetBIOS datagram servers (§8.6).";
    46 "netbios-node-type" U8 "1 B, 2 P, 4 M, 8 H (§8.7).";
    47 "netbios-scope" Text "NetBIOS scope (§8.8).";
    48 "x-font-server" Addresses "X font servers (§8.9).";
    49 "x-display-manager" Addresses "XDM servers (§8.10).";
    50 "requested-address" Address "Address that the client wants (§9.1).";
    51 "lease-time" U32 "Length of the lease, seconds (§9.2).";
    52 "overload" U8 "1: options in file, 2: in sname, 3: in both (§9.3).";
    53 "message-type" Message "Kind of message (§9.6).";
    54 "server-identifier" Address "The server that is meant, or answers (§9.7).";
    55 "parameter-request-list" Bytes "Codes that the client asks for, in its order (§9.8).";
    56 "message" Text "Why a server refused (§9.9).";
    57 "max-message-size" U16 "Largest message the client takes, bytes (§9.10).";
    58 "renewal-time" U32 "T1: seconds until the client renews (§9.11).";
    59 "rebinding-time" U32 "T2: seconds until it asks any server (§9.12).";
    60 "vendor-class" Text "Kind of client: `PXEClient:…`, `HTTPClient:…` (§9.13).";
    61 "client-identifier" Bytes "The client's own name for itself (§9.14); never used as key, loader and OS disagree about it.";
    64 "nisplus-domain" Text "NIS+ domain (§8.11).";
    65 "nisplus-server" Addresses "NIS+ servers (§8.12).";
    66 "tftp-server-name" Text "Next server; answered in the sname field (§9.4).";
    67 "boot-file-name" Text "Boot file; answered in the file field, to HTTP clients as URL (§9.5).";
    68 "mobile-ip-home-agent" Addresses "Home agents (§8.13).";
    69 "smtp-server" Addresses "SMTP servers (§8.14).";
    70 "pop3-server" Addresses "POP3 servers (§8.15).";
    71 "nntp-server" Addresses "NNTP servers (§8.16).";
    72 "www-server" Addresses "Web servers (§8.17).";
    73 "finger-server" Addresses "Finger servers (§8.18).";
    74 "irc-server" Addresses "IRC servers (§8.19).";
    75 "streettalk-server" Addresses "StreetTalk servers (§8.20).";
    76 "streettalk-da-server" Addresses "StreetTalk directory servers (§8.21).";
    77 "user-class" Text "`iPXE` is iPXE (RFC 3004, which iPXE's form does not follow).";
    81 "client-fqdn" Bytes "Full name of the client (RFC 4702).";
    82 "relay-agent-information" Bytes "Sub-options of the relay, echoed (RFC 3046).";
    90 "authentication" Bytes "RFC 3118.";
    93 "client-architecture" U16 "0 BIOS, 7 and 9 x64 UEFI, 11 arm64 UEFI, 16 and 19 their HTTP boot (RFC 4578, IANA).";
    94 "client-network-interface" Bytes "UNDI version (RFC 4578).";
    97 "client-uuid" Bytes "0 and 16 bytes; all zero in many virtual machines, so never a key (RFC 4578).";
    100 "posix-timezone" Text "POSIX time zone (RFC 4833).";
    101 "tz-name" Text "Name in the time zone database (RFC 4833).";
    116 "auto-configure" Bytes "RFC 2563.";
    119 "domain-search" Bytes "Search list, compressed names (RFC 3397).";
    121 "classless-static-route" Bytes "Routes (RFC 3442).";
    125 "vi-vendor-specific" Bytes "Options by enterprise number (RFC 3925).";
    150 "tftp-server-address" Bytes "TFTP servers (RFC 5859).";
    175 "ipxe" Bytes "iPXE's features and settings, as sub-options.";
    209 "pxelinux-config-file" Bytes "PXELINUX configuration file (RFC 5071).";
    210 "pxelinux-path-prefix" Bytes "PXELINUX path prefix (RFC 5071).";
}

const ROWS: [Option<&Row>; 256] = {
    let mut rows = [None; 256];
    let mut i = 0;
    while i < TABLE.len() {
        rows[TABLE[i].code as usize] = Some(&TABLE[i]);
        i += 1;
    }
    rows
};

/// The row of an option, if it has one.
pub fn row(code: u8) -> Option<&'static Row> {
    ROWS[usize::from(code)]
}

/// The form of an option; what has no row is [`Form::Bytes`].
pub fn form(code: u8) -> Form {
    row(code).map_or(Form::Bytes, |r| r.form)
}

/// An option's value as text. A value that does not have the option's form is printed as decimal bytes.
pub fn to_text(code: u8, value: &[u8]) -> String {
    let numbers = |size: usize| join(value.chunks_exact(size).map(be_number));
    let whole = |size: usize| !value.is_empty() && value.len().is_multiple_of(size);
    match form(code) {
        Form::Message => {
            value.first().and_then(|b| super::Message::from_byte(*b)).map_or("unk", |m| m.word()).into()
        }
        Form::Address if value.len() == 4 => address(value),
        Form::Addresses if whole(4) => join(value.chunks_exact(4).map(address)),
        Form::Text => String::from_utf8_lossy(value).into_owned(),
        Form::U32 if value.len() == 4 => numbers(4),
        Form::U16 if whole(2) => numbers(2),
        Form::U8 if value.len() == 1 => numbers(1),
        _ => join(value),
    }
}

/// An option's value from text.
///
/// # Errors
/// [`ValueError`] with what the option's form wants.
pub fn from_text(code: u8, text: &str) -> Result<Vec<u8>, ValueError> {
    let (value, want) = match form(code) {
        Form::Message => (message(text), "one of dis, ofr, req, dec, ack, nak, rel, inf"),
        Form::Address => (parse_address(text), "one IPv4 address"),
        Form::Addresses => (each(text, parse_address), "IPv4 addresses separated by commas"),
        Form::Text => (Some(text.as_bytes().to_vec()), "text"),
        Form::U32 => {
            (text.trim().parse::<u32>().ok().map(|n| n.to_be_bytes().to_vec()), "a number up to 4294967295")
        }
        Form::U16 => {
            (each(text, |t| t.parse::<u16>().ok().map(|n| n.to_be_bytes().to_vec())), "a number up to 65535")
        }
        Form::U8 => (text.trim().parse::<u8>().ok().map(|n| vec![n]), "a number up to 255"),
        Form::Bytes => (bytes(text), "decimal bytes separated by commas, or `string:` and text"),
    };
    value.ok_or_else(|| ValueError { code, text: text.to_owned(), want })
}

fn message(text: &str) -> Option<Vec<u8>> {
    (1..=8).find(|b| super::Message::from_byte(*b).is_some_and(|m| m.word() == text)).map(|b| vec![b])
}

fn parse_address(text: &str) -> Option<Vec<u8>> {
    text.trim().parse::<Ipv4Addr>().ok().map(|a| a.octets().to_vec())
}

fn each(text: &str, parse: impl Fn(&str) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    text.split(',').map(|t| parse(t.trim())).collect::<Option<Vec<_>>>().map(|v| v.concat())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("string:") {
        Some(text) => Some(text.as_bytes().to_vec()),
        None if text.is_empty() => Some(Vec::new()),
        None => each(text, |t| t.parse::<u8>().ok().map(|b| vec![b])),
    }
}

fn address(value: &[u8]) -> String {
    <[u8; 4]>::try_from(value).map(Ipv4Addr::from).map_or_else(|_| join(value), |a| a.to_string())
}

fn be_number(value: &[u8]) -> u64 {
    value.iter().fold(0, |n, b| (n << 8) | u64::from(*b))
}

fn join(items: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let mut text = String::new();
    for item in items {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{item}");
    }
    text
}

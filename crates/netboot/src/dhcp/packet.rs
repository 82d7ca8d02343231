//! The DHCP packet: bytes to values and back.
//!
//! Options are kept as the raw list that was on the wire, in order and with duplicates, because firmware cares about both
//! and because an option that we do not know must survive an echo. Joining split options (RFC 3396) happens on
//! reading a value, not on decoding; splitting and overload (option 52, RFC 2131 §4.1) happen on encoding.
//!
//! Nothing here panics on any input; what cannot be understood is an [`Error`].

mod options;

use std::fmt;
use std::net::Ipv4Addr;

pub use options::Options;

use super::option::code;

/// Bytes of the fixed header up to and with the magic cookie: the shortest packet that may carry options.
pub const HEADER: usize = 240;
/// RFC 2132 §9.10: what every client must accept, less IP and UDP headers.
pub const DEFAULT_MAX: usize = 576 - 28;
/// A BOOTP message; relays and old firmware drop what is shorter (RFC 1542 §2.1).
pub const MIN: usize = 300;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
/// Room kept for option 52 itself and the end mark.
const OVERLOAD_ROOM: usize = 4;

/// Why bytes are not a DHCP packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shorter than the fixed header.
    #[error("packet of {0} bytes is too small: a DHCP packet has at least 240")]
    TooSmall(usize),
    /// A hardware address longer than its field.
    #[error("hardware address length {0} is invalid: at most 16 bytes fit")]
    InvalidHlen(u8),
    /// The length byte of an option points behind its area.
    #[error("option {code} is truncated: {want} bytes promised, {have} there")]
    Truncated {
        /// The option.
        code: u8,
        /// Length that the option states.
        want: usize,
        /// Bytes left in the area.
        have: usize,
    },
}

/// The eight message types of RFC 2132 §9.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Message {
    /// Client looks for servers.
    Discover = 1,
    /// Server proposes an address.
    Offer = 2,
    /// Client asks for an address: a first time, again or longer.
    Request = 3,
    /// Client found the address in use.
    Decline = 4,
    /// Server grants.
    Ack = 5,
    /// Server refuses.
    Nak = 6,
    /// Client gives the address back.
    Release = 7,
    /// Client has an address and wants options.
    Inform = 8,
}

impl Message {
    /// From the byte of option 53.
    pub fn from_byte(byte: u8) -> Option<Self> {
        use Message::{Ack, Decline, Discover, Inform, Nak, Offer, Release, Request};
        [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform].into_iter().find(|m| *m as u8 == byte)
    }

    /// The short word of logs and fixtures: `dis`, `ofr`, …
    pub fn word(self) -> &'static str {
        ["dis", "ofr", "req", "dec", "ack", "nak", "rel", "inf"][self as usize - 1]
    }
}

/// A hardware address of up to 16 bytes, printed with colons in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hardware {
    bytes: [u8; 16],
    len: u8,
}

impl Hardware {
    /// From bytes; what does not fit into 16 is cut.
    pub fn new(from: &[u8]) -> Self {
        let len = from.len().min(16);
        let mut bytes = [0; 16];
        bytes[..len].copy_from_slice(&from[..len]);
        Self { bytes, len: len as u8 }
    }

    /// The address itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.as_bytes().iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hardware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("hardware address `{text}`: want up to 16 hex bytes with colons, as 52:54:00:01:00:01")
        };
        if text.is_empty() {
            return Ok(Self::new(&[]));
        }
        let parts = text.split([':', '-']).map(|p| u8::from_str_radix(p, 16).ok().filter(|_| p.len() <= 2));
        let bytes: Vec<u8> = parts.collect::<Option<_>>().ok_or_else(bad)?;
        if bytes.len() > 16 { Err(bad()) } else { Ok(Self::new(&bytes)) }
    }
}

/// A BOOTP or DHCP message. Fields are the header's, in host order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// 1 request, 2 reply.
    pub op: u8,
    /// Hardware type; 1 is Ethernet.
    pub htype: u8,
    /// Relay hops.
    pub hops: u8,
    /// Transaction id, chosen by the client.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Bit 15: answer by broadcast.
    pub flags: u16,
    /// Client's own address, when it has one.
    pub ciaddr: Ipv4Addr,
    /// "Your" address.
    pub yiaddr: Ipv4Addr,
    /// Next server.
    pub siaddr: Ipv4Addr,
    /// Relay agent.
    pub giaddr: Ipv4Addr,
    /// Client's hardware address.
    pub chaddr: Hardware,
    /// Server name; empty when the area was overloaded with options.
    pub sname: Vec<u8>,
    /// Boot file; empty when the area was overloaded with options.
    pub file: Vec<u8>,
    /// Options of all areas.
    pub options: Options,
}

impl Default for Packet {
    fn default() -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        Self {
            op: 1,
            htype: 1,
            hops: 0,
            xid: 0,
            secs: 0,
            flags: 0,
            ciaddr: none,
            yiaddr: none,
            siaddr: none,
            giaddr: none,
            chaddr: Hardware::new(&[0; 6]),
            sname: Vec::new(),
            file: Vec::new(),
            options: Options::default(),
        }
    }
}

/// What [`Packet::encode`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// Codes that found no room below the limit.
    pub dropped: Vec<u8>,
}

impl Packet {
    /// The broadcast bit of `flags`.
    pub const BROADCAST: u16 = 0x8000;

    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Error`], for anything that is not a whole BOOTP or DHCP message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER {
            return Err(Error::TooSmall(bytes.len()));
        }
        let hlen = bytes[2];
        if hlen > 16 {
            return Err(Error::InvalidHlen(hlen));
        }
        let mut options = Options::default();
        if bytes[236..240] == COOKIE {
            options.read(&bytes[HEADER..])?;
        }
        let overload = options.byte(code::OVERLOAD).unwrap_or(0);
        let text = |flag: u8, range: std::ops::Range<usize>| match overload & flag {
            0 => until_nul(&bytes[range]).to_vec(),
            _ => Vec::new(),
        };
        let (file, sname) = (text(1, FILE), text(2, SNAME));
        if overload & 1 != 0 {
            options.read(&bytes[FILE])?;
        }
        if overload & 2 != 0 {
            options.read(&bytes[SNAME])?;
        }
        Ok(Self {
            op: bytes[0],
            htype: bytes[1],
            hops: bytes[3],
            xid: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            secs: u16::from_be_bytes([bytes[8], bytes[9]]),
            flags: u16::from_be_bytes([bytes[10], bytes[11]]),
            ciaddr: address_at(bytes, 12),
            yiaddr: address_at(bytes, 16),
            siaddr: address_at(bytes, 20),
            giaddr: address_at(bytes, 24),
            chaddr: Hardware::new(&bytes[28..28 + usize::from(hlen)]),
            sname,
            file,
            options,
        })
    }

    /// Writes a datagram of at least [`MIN`] and at most `max` bytes.
    ///
    /// Options that do not fit go into the `file` and `sname` areas if those are empty (RFC 2131 §4.1, option 52); what
    /// does not fit there either is dropped as a whole and named. Put the important ones first.
    pub fn encode(&self, max: usize) -> Encoded {
        let mut bytes = self.header();
        let options: Vec<(u8, &[u8])> = self.options.iter().filter(|(c, _)| *c != code::OVERLOAD).collect();
        let room = max.max(MIN) - HEADER;
        if options.iter().map(|(_, v)| tlv_len(v)).sum::<usize>() < room {
            options.iter().for_each(|(c, v)| push_tlvs(&mut bytes, *c, v));
            bytes.push(code::END);
            bytes.resize(bytes.len().max(MIN), 0);
            return Encoded { bytes, dropped: Vec::new() };
        }
        self.encode_overloaded(bytes, &options, room)
    }

    fn encode_overloaded(&self, mut bytes: Vec<u8>, options: &[(u8, &[u8])], room: usize) -> Encoded {
        let mut areas = [
            (room - OVERLOAD_ROOM, Vec::new()),
            (if self.file.is_empty() { FILE.len() - 1 } else { 0 }, Vec::new()),
            (if self.sname.is_empty() { SNAME.len() - 1 } else { 0 }, Vec::new()),
        ];
        let mut dropped = Vec::new();
        let mut first = [0_usize; 256];
        for (code, value) in options {
            // Pieces of one option are joined in the order options, file, sname: never go back to an earlier area.
            let from = first[usize::from(*code)];
            let fits = (from..areas.len()).find(|i| areas[*i].1.len() + tlv_len(value) <= areas[*i].0);
            let Some(i) = fits else {
                dropped.push(*code);
                continue;
            };
            push_tlvs(&mut areas[i].1, *code, value);
            first[usize::from(*code)] = i;
        }
        let [(_, main), (_, file), (_, sname)] = areas;
        bytes.extend_from_slice(&main);
        let overload = u8::from(!file.is_empty()) | (u8::from(!sname.is_empty()) << 1);
        if overload != 0 {
            push_tlvs(&mut bytes, code::OVERLOAD, &[overload]);
        }
        bytes.push(code::END);
        for (area, range) in [(file, FILE), (sname, SNAME)] {
            if !area.is_empty() {
                bytes[range.start..range.start + area.len()].copy_from_slice(&area);
                bytes[range.start + area.len()] = code::END;
            }
        }
        bytes.resize(bytes.len().max(MIN), 0);
        Encoded { bytes, dropped }
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&[self.op, self.htype, self.chaddr.len, self.hops]);
        bytes.extend_from_slice(&self.xid.to_be_bytes());
        bytes.extend_from_slice(&self.secs.to_be_bytes());
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend_from_slice(&address.octets());
        }
        bytes.extend_from_slice(&self.chaddr.bytes);
        push_text(&mut bytes, &self.sname, SNAME.len());
        push_text(&mut bytes, &self.file, FILE.len());
        bytes.extend_from_slice(&COOKIE);
        bytes
    }

    /// The message type; `None` for BOOTP and for types that do not exist.
    pub fn message(&self) -> Option<Message> {
        self.options.byte(code::MESSAGE_TYPE).and_then(Message::from_byte)
    }

    /// The largest answer that the client takes (option 57 counts IP and UDP headers), capped at an Ethernet frame.
    pub fn max_reply(&self) -> usize {
        let asked = self.options.get(code::MAX_SIZE).and_then(|v| <[u8; 2]>::try_from(v.as_ref()).ok());
        asked.map_or(DEFAULT_MAX, |v| {
            usize::from(u16::from_be_bytes(v)).saturating_sub(28).clamp(DEFAULT_MAX, 1472)
        })
    }

    /// Did the client ask for this option? `true` also when it sent no list (option 55).
    pub fn wants(&self, code: u8) -> bool {
        self.options.get(code::PARAMETER_LIST).is_none_or(|list| list.contains(&code))
    }

    /// Did the client ask for this option by name in its list (option 55)?
    pub fn requests(&self, code: u8) -> bool {
        self.options.get(code::PARAMETER_LIST).is_some_and(|list| list.contains(&code))
    }
}

fn address_at(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

fn until_nul(area: &[u8]) -> &[u8] {
    area.split(|b| *b == 0).next().unwrap_or_default()
}

fn push_text(bytes: &mut Vec<u8>, text: &[u8], size: usize) {
    let kept = &text[..text.len().min(size - 1)];
    bytes.extend_from_slice(kept);
    bytes.resize(bytes.len() + size - kept.len(), 0);
}

/// RFC 3396: a long value becomes consecutive options of the same code. An empty value stays one empty option.
fn push_tlvs(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        bytes.extend_from_slice(&[code, 0]);
    }
    for piece in value.chunks(255) {
        bytes.extend_from_slice(&[code, piece.len() as u8]);
        bytes.extend_from_slice(piece);
    }
}

fn tlv_len(value: &[u8]) -> usize {
    value.len() + 2 * value.len().div_ceil(255).max(1)
}

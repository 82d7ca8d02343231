//! Ethernet frames: the few fields that a switch looks at.
//!
//! Lengths are checked once, in [`Frame::parse`]; nothing else indexes into bytes from the wire.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::mac::Mac;

/// The tag protocol identifier of IEEE 802.1Q.
const TAG: [u8; 2] = [0x81, 0x00];
const ADDRESSES: usize = 12;
/// Both addresses and the type.
const HEADER: usize = 14;

/// A frame, and the addresses in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) destination: Mac,
    pub(crate) source: Mac,
    /// The 802.1Q tag's control field, if the frame is tagged.
    tag: Option<u16>,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the header; `None` if the frame is too short to have one, or cut inside its tag.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let destination = Mac(*bytes.first_chunk()?);
        let source = Mac(*bytes.get(6..)?.first_chunk()?);
        let tag = match bytes.get(ADDRESSES..HEADER)? {
            kind if kind == TAG => Some(u16::from_be_bytes(*bytes.get(HEADER..HEADER + 4)?.first_chunk()?)),
            _ => None,
        };
        Some(Frame { destination, source, tag, bytes })
    }

    /// The VLAN in the tag; 0 means "untagged, but with a priority".
    pub(crate) fn vlan(&self) -> Option<u16> {
        self.tag.map(|tag| tag & 0xfff)
    }

    /// The type and what follows, without a tag.
    fn rest(&self) -> &'a [u8] {
        let start = if self.tag.is_some() { HEADER + 2 } else { ADDRESSES };
        self.bytes.get(start..).unwrap_or_default()
    }

    /// The same frame without its tag.
    pub(crate) fn untagged(&self) -> Bytes {
        let (addresses, rest) = (&self.bytes[..ADDRESSES], self.rest());
        let mut out = BytesMut::with_capacity(addresses.len() + rest.len());
        out.put_slice(addresses);
        out.put_slice(rest);
        out.freeze()
    }

    /// The same frame with the tag of this VLAN; the priority bits of an earlier tag stay.
    pub(crate) fn tagged(&self, vlan: u16) -> Bytes {
        let (addresses, rest) = (&self.bytes[..ADDRESSES], self.rest());
        let mut out = BytesMut::with_capacity(addresses.len() + 4 + rest.len());
        out.put_slice(addresses);
        out.put_slice(&TAG);
        out.put_u16(self.tag.unwrap_or(0) & 0xf000 | vlan);
        out.put_slice(rest);
        out.freeze()
    }
}

/// A class of frames, for impairments that concern one protocol only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Traffic {
    /// Every frame.
    Any,
    /// ARP.
    Arp,
    /// UDP over IPv4 or IPv6, any port. TFTP answers from a port of its own choice, so it is best caught like this.
    Udp,
    /// UDP from or to this port.
    UdpPort(u16),
    /// TCP over IPv4 or IPv6, any port.
    Tcp,
    /// TCP from or to this port.
    TcpPort(u16),
}

impl Traffic {
    /// Does the frame belong to the class? IPv4 fragments after the first have no ports and belong to no port.
    pub(crate) fn matches(self, bytes: &[u8]) -> bool {
        const UDP: u8 = 17;
        const TCP: u8 = 6;
        let Some(frame) = Frame::parse(bytes) else { return self == Traffic::Any };
        let packet = frame.rest();
        match self {
            Traffic::Any => true,
            Traffic::Arp => packet.starts_with(&[0x08, 0x06]),
            Traffic::Udp => transport(packet).is_some_and(|(protocol, _)| protocol == UDP),
            Traffic::Tcp => transport(packet).is_some_and(|(protocol, _)| protocol == TCP),
            Traffic::UdpPort(port) => transport(packet)
                .is_some_and(|(protocol, ports)| protocol == UDP && ports.contains(&Some(port))),
            Traffic::TcpPort(port) => transport(packet)
                .is_some_and(|(protocol, ports)| protocol == TCP && ports.contains(&Some(port))),
        }
    }
}

/// The transport protocol of an Ethernet payload (type first), and its two ports.
/// IPv6 extension headers are not followed: nothing that boots a machine sends them before UDP or TCP.
fn transport(packet: &[u8]) -> Option<(u8, [Option<u16>; 2])> {
    let ip = packet.get(2..)?;
    let (protocol, payload) = match packet.first_chunk()? {
        [0x08, 0x00] => {
            let length = usize::from(ip.first()? & 0x0f) * 4;
            let later_fragment = u16::from_be_bytes(*ip.get(6..)?.first_chunk()?) & 0x1fff != 0;
            (*ip.get(9)?, if later_fragment { &[][..] } else { ip.get(length..).unwrap_or_default() })
        }
        [0x86, 0xdd] => (*ip.get(6)?, ip.get(40..).unwrap_or_default()),
        _ => return None,
    };
    let port = |at: usize| {
        payload.get(at..).and_then(|bytes| bytes.first_chunk()).map(|two| u16::from_be_bytes(*two))
    };
    Some((protocol, [port(0), port(2)]))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An untagged frame with a small payload.
    pub(crate) fn frame(destination: Mac, source: Mac, payload: &[u8]) -> Bytes {
        [&destination.0[..], &source.0, &[0x08, 0x00], payload].concat().into()
    }

    fn udp(from: u16, to: u16) -> Vec<u8> {
        let mut ip = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        ip.extend(from.to_be_bytes());
        ip.extend(to.to_be_bytes());
        ip.extend([0, 8, 0, 0]);
        ip
    }

    #[test]
    fn a_tag_goes_on_and_comes_off() {
        let plain = frame(Mac::BROADCAST, Mac::numbered(1), b"abc");
        let tagged = Frame::parse(&plain).unwrap().tagged(77);
        assert_eq!(tagged[12..18], [0x81, 0, 0, 77, 8, 0]);
        let read = Frame::parse(&tagged).unwrap();
        assert_eq!(
            (read.vlan(), read.destination, read.source),
            (Some(77), Mac::BROADCAST, Mac::numbered(1))
        );
        assert_eq!(read.untagged(), plain);
    }

    #[test]
    fn a_new_tag_keeps_the_priority() {
        let mut tagged =
            Frame::parse(&frame(Mac::BROADCAST, Mac::numbered(1), b"")).unwrap().tagged(5).to_vec();
        tagged[14] |= 0xe0;
        let again = Frame::parse(&tagged).unwrap().tagged(9);
        assert_eq!(again[14..16], [0xe0, 9]);
    }

    #[test]
    fn traffic_is_told_by_protocol_and_port() {
        let dhcp = frame(Mac::BROADCAST, Mac::numbered(1), &udp(68, 67));
        for (class, expected) in [
            (Traffic::Any, true),
            (Traffic::Udp, true),
            (Traffic::UdpPort(67), true),
            (Traffic::UdpPort(68), true),
            (Traffic::UdpPort(69), false),
            (Traffic::Tcp, false),
            (Traffic::TcpPort(67), false),
            (Traffic::Arp, false),
        ] {
            assert_eq!(class.matches(&dhcp), expected, "{class:?}");
            let tagged = Frame::parse(&dhcp).unwrap().tagged(3);
            assert_eq!(class.matches(&tagged), expected, "{class:?}, tagged");
        }
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut packet = udp(68, 67);
        packet[7] = 1;
        let fragment = frame(Mac::BROADCAST, Mac::numbered(1), &packet);
        assert!(Traffic::Udp.matches(&fragment));
        assert!(!Traffic::UdpPort(67).matches(&fragment));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..80), port in any::<u16>()) {
            for class in [Traffic::Any, Traffic::Arp, Traffic::Udp, Traffic::UdpPort(port), Traffic::Tcp, Traffic::TcpPort(port)] {
                class.matches(&bytes);
            }
            if let Some(frame) = Frame::parse(&bytes) {
                let inner = frame.untagged();
                prop_assert_eq!(inner.len() + if frame.vlan().is_some() { 4 } else { 0 }, bytes.len());
                prop_assert_eq!(Frame::parse(&frame.tagged(9)).and_then(|f| f.vlan()), Some(9));
            }
        }
    }
}

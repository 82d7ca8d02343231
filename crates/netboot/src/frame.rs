//! An Ethernet frame around a UDP datagram, for clients that have no address yet.
//!
//! RFC 2131 §4.1: an answer to a client that can take unicast before it has an address goes to its hardware address. The kernel
//! cannot do that (it would ask by ARP), so the shell sends the whole frame through a packet socket.

use std::net::SocketAddrV4;

/// Destination and source of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Our interface's hardware address.
    pub from_hardware: [u8; 6],
    /// The client's.
    pub to_hardware: [u8; 6],
    /// Our address and port.
    pub from: SocketAddrV4,
    /// The address that the client is being given, and its port.
    pub to: SocketAddrV4,
}

/// Builds the frame with both checksums filled in. A payload that fits no IPv4 packet gives `None`.
pub fn udp(ends: &Ends, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_len = u16::try_from(payload.len() + 8).ok()?;
    let ip_len = udp_len.checked_add(20)?;
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&ip_len.to_be_bytes());
    // Identification 0, don't fragment, time to live 64, UDP, checksum to come.
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&ends.from.ip().octets());
    ip.extend_from_slice(&ends.to.ip().octets());
    let sum = checksum(&[&ip]).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);

    let mut udp = Vec::with_capacity(usize::from(udp_len));
    udp.extend_from_slice(&ends.from.port().to_be_bytes());
    udp.extend_from_slice(&ends.to.port().to_be_bytes());
    udp.extend_from_slice(&udp_len.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    let [hi, lo] = udp_len.to_be_bytes();
    let sum = match checksum(&[&ip[12..20], &[0, 17, hi, lo], &udp]) {
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());

    let mut frame = Vec::with_capacity(14 + usize::from(ip_len));
    frame.extend_from_slice(&ends.to_hardware);
    frame.extend_from_slice(&ends.from_hardware);
    frame.extend_from_slice(&[8, 0]);
    frame.extend_from_slice(&ip);
    frame.extend_from_slice(&udp);
    Some(frame)
}

/// The Internet checksum (RFC 1071) over parts, of which all but the last have an even length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let pairs = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = pairs.map(|p| u32::from(p[0]) << 8 | u32::from(p.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_finds_both_checksums_right() {
        let ends = Ends {
            from_hardware: [2, 0, 0, 0, 0, 1],
            to_hardware: [0x52, 0x54, 0, 1, 0, 1],
            from: "10.0.0.1:67".parse().unwrap(),
            to: "10.0.0.10:68".parse().unwrap(),
        };
        for payload in [&b"odd"[..], b"even", b""] {
            let frame = udp(&ends, payload).unwrap();
            assert_eq!(checksum(&[&frame[14..34]]), 0, "IP header");
            let len = (payload.len() + 8) as u8;
            assert_eq!(checksum(&[&frame[26..34], &[0, 17, 0, len], &frame[34..]]), 0, "UDP");
            assert_eq!(&frame[..14], [0x52, 0x54, 0, 1, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0]);
            assert_eq!(&frame[42..], payload);
        }
    }

    #[test]
    fn too_much_is_none() {
        let zero = "0.0.0.0:0".parse().unwrap();
        let ends = Ends { from_hardware: [0; 6], to_hardware: [0; 6], from: zero, to: zero };
        assert_eq!(udp(&ends, &vec![0; 65536]), None);
        assert_eq!(udp(&ends, &vec![0; 65520]), None);
    }
}

//! Hostile datagrams, as bounded property tests: whole garbage, and valid packets that were damaged somewhere.
//! `make test-nightly` runs the same bodies under cargo-fuzz.

mod bodies;

use gantry_netboot::dhcp::Packet;
use proptest::prelude::*;

/// Bytes of a packet that firmware really sends: a PXE DISCOVER with a client id, a class and sub-options.
fn discover() -> Vec<u8> {
    let mut packet = Packet { xid: 7, chaddr: "52:54:00:00:00:01".parse().unwrap(), ..Packet::default() };
    packet.options.push(53, [1]);
    packet.options.push(57, 1472_u16.to_be_bytes());
    packet.options.push(55, [1, 3, 6, 43, 66, 67, 128, 175, 255]);
    packet.options.push(60, "PXEClient:Arch:00007:UNDI:003016");
    packet.options.push(77, "iPXE");
    packet.options.push(82, [1, 3, b'a', b'b', b'c', 5, 4, 10, 0, 0, 1]);
    packet.options.push(93, [0, 7]);
    packet.options.push(97, [0; 17]);
    packet.options.push(175, [177, 5, 1, 128, 134, 16, 14, 24, 1, 1]);
    packet.encode(1472).bytes
}

/// A whole TFTP dialogue as [`bodies::tftp`] reads it.
fn transfer() -> Vec<u8> {
    let mut all = Vec::new();
    let mut say = |datagram: &[u8]| {
        all.push(datagram.len() as u8);
        all.extend_from_slice(datagram);
    };
    say(b"\0\x01boot/file\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0");
    for block in [0_u16, 2, 1, 4, 4] {
        say(&[4_u16.to_be_bytes(), block.to_be_bytes()].concat());
    }
    say(b"");
    all
}

/// One damage: a byte written over, removed, or doubled, at a place given as a fraction of the length.
#[derive(Debug, Clone)]
enum Damage {
    Write(f64, u8),
    Remove(f64, usize),
    Double(f64, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0.0..1.0;
    prop_oneof![
        4 => (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Write(at, byte)),
        1 => (place.clone(), 1_usize..40).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (place, 1_usize..40).prop_map(|(at, len)| Damage::Double(at, len)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let place = |at: f64| (at * bytes.len() as f64) as usize;
        match *damage {
            Damage::Write(at, byte) => {
                let at = place(at);
                bytes[at..].iter_mut().take(1).for_each(|b| *b = byte);
            }
            Damage::Remove(at, len) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + len));
            }
            Damage::Double(at, len) => {
                let at = place(at);
                let copy = bytes[at..bytes.len().min(at + len)].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

#[test]
fn the_undamaged_inputs_are_what_they_should_be() {
    assert!(Packet::decode(&discover()).is_ok());
    bodies::dhcp(&discover());
    bodies::tftp(&transfer());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_datagram_on_port_67(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        bodies::dhcp(&bytes);
    }

    #[test]
    fn any_damaged_discover(damages in prop::collection::vec(damage(), 0..12)) {
        bodies::dhcp(&damaged(discover(), &damages));
    }

    #[test]
    fn any_story_of_clients(bytes in prop::collection::vec(any::<u8>(), 0..1200)) {
        bodies::engine(&bytes);
    }

    #[test]
    fn any_damaged_transfer(damages in prop::collection::vec(damage(), 0..12)) {
        bodies::tftp(&damaged(transfer(), &damages));
    }
}

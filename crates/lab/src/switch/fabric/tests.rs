//! Frames from port to port, as tables.

use proptest::prelude::*;

use super::super::frame::tests::frame;
use super::*;

const A: PortId = PortId(1);
const B: PortId = PortId(2);
const C: PortId = PortId(3);

fn mac(port: PortId) -> Mac {
    Mac::numbered(port.0)
}

fn fabric(ports: &[(PortId, Vlan)]) -> Fabric {
    let mut fabric = Fabric::new(1);
    ports.iter().for_each(|(id, vlan)| fabric.add_port(*id, vlan.clone()));
    fabric
}

fn three() -> Fabric {
    fabric(&[(A, Vlan::default()), (B, Vlan::default()), (C, Vlan::default())])
}

fn trunk(native: Option<u16>, tagged: &[u16]) -> Vlan {
    Vlan::Trunk { native, tagged: tagged.iter().copied().collect() }
}

fn at(fabric: &mut Fabric, now: u64, from: PortId, frame: Bytes) -> Vec<(PortId, Bytes)> {
    let mut out = Vec::new();
    fabric.receive(from, frame, Duration::from_secs(now), &mut out);
    out
}

fn ports(out: &[(PortId, Bytes)]) -> Vec<PortId> {
    out.iter().map(|(id, _)| *id).collect()
}

fn hello(from: PortId, to: Mac) -> Bytes {
    frame(to, mac(from), b"hello")
}

#[test]
fn unknown_and_group_addresses_go_everywhere_else() {
    let mut fabric = three();
    assert_eq!(ports(&at(&mut fabric, 0, A, hello(A, mac(B)))), [B, C]);
    assert_eq!(ports(&at(&mut fabric, 0, A, hello(A, Mac::BROADCAST))), [B, C]);
    assert_eq!(ports(&at(&mut fabric, 0, A, hello(A, Mac([0x33, 0x33, 0, 0, 0, 1])))), [B, C]);
}

#[test]
fn a_learned_address_goes_to_its_port_alone() {
    let mut fabric = three();
    at(&mut fabric, 0, B, hello(B, Mac::BROADCAST));
    assert_eq!(ports(&at(&mut fabric, 1, A, hello(A, mac(B)))), [B]);
    assert_eq!(ports(&at(&mut fabric, 1, B, hello(B, mac(B)))), [], "to its own port: nowhere");
}

#[test]
fn a_station_that_moves_is_found_at_its_new_port() {
    let mut fabric = three();
    at(&mut fabric, 0, B, hello(B, Mac::BROADCAST));
    at(&mut fabric, 1, C, hello(B, Mac::BROADCAST));
    assert_eq!(ports(&at(&mut fabric, 2, A, hello(A, mac(B)))), [C]);
}

#[test]
fn an_address_is_forgotten_by_time_and_with_its_port() {
    let mut fabric = three();
    at(&mut fabric, 0, B, hello(B, Mac::BROADCAST));
    assert_eq!(ports(&at(&mut fabric, 299, A, hello(A, mac(B)))), [B]);
    assert_eq!(ports(&at(&mut fabric, 300, A, hello(A, mac(B)))), [B, C]);
    at(&mut fabric, 301, B, hello(B, Mac::BROADCAST));
    fabric.remove_port(B);
    assert_eq!(ports(&at(&mut fabric, 302, A, hello(A, mac(B)))), [C]);
}

#[test]
fn a_group_address_is_never_learned() {
    let mut fabric = three();
    at(&mut fabric, 0, B, frame(Mac::BROADCAST, Mac::BROADCAST, b""));
    assert_eq!(ports(&at(&mut fabric, 0, A, hello(A, Mac::BROADCAST))), [B, C]);
}

#[test]
fn the_table_of_addresses_is_bounded() {
    let mut fabric = three();
    for n in 0..ADDRESSES as u32 + 10 {
        at(&mut fabric, 0, A, frame(Mac::BROADCAST, Mac::numbered(n + 100), b""));
    }
    assert_eq!(fabric.addresses.len(), ADDRESSES);
    at(&mut fabric, 301, B, hello(B, Mac::BROADCAST));
    assert_eq!(fabric.addresses.len(), 1, "the aged ones made room");
}

#[test]
fn access_ports_of_two_vlans_do_not_hear_each_other() {
    let mut fabric = fabric(&[(A, Vlan::Access(10)), (B, Vlan::Access(20)), (C, Vlan::Access(10))]);
    assert_eq!(ports(&at(&mut fabric, 0, A, hello(A, Mac::BROADCAST))), [C]);
    at(&mut fabric, 0, B, hello(A, Mac::BROADCAST));
    assert_eq!(ports(&at(&mut fabric, 0, C, hello(C, mac(A)))), [A], "learned per VLAN");
}

#[test]
fn a_tag_is_pushed_towards_a_trunk_and_popped_towards_access() {
    let mut fabric = fabric(&[(A, Vlan::Access(77)), (B, trunk(Some(1), &[77]))]);
    let plain = hello(A, Mac::BROADCAST);
    let out = at(&mut fabric, 0, A, plain.clone());
    assert_eq!(out[0].1[12..16], [0x81, 0, 0, 77]);
    let back = at(&mut fabric, 0, B, out[0].1.clone());
    assert_eq!(back, [(A, plain)]);
}

#[test]
fn the_native_vlan_of_a_trunk_is_untagged() {
    let mut fabric = fabric(&[(A, Vlan::Access(5)), (B, trunk(Some(5), &[77]))]);
    let plain = hello(A, Mac::BROADCAST);
    assert_eq!(at(&mut fabric, 0, A, plain.clone()), [(B, plain.clone())]);
    assert_eq!(at(&mut fabric, 0, B, plain.clone()), [(A, plain)]);
}

#[test]
fn frames_of_no_vlan_of_the_port_are_counted_and_dropped() {
    let mut fabric = fabric(&[(A, Vlan::Access(1)), (B, trunk(None, &[77])), (C, Vlan::Access(1))]);
    let plain = hello(A, Mac::BROADCAST);
    let tagged = Frame::parse(&plain).unwrap().tagged(1);
    assert_eq!(at(&mut fabric, 0, A, tagged.clone()), [], "tagged at an access port");
    assert_eq!(at(&mut fabric, 0, B, plain), [], "untagged at a trunk without a native VLAN");
    assert_eq!(at(&mut fabric, 0, B, tagged), [], "a VLAN that the trunk does not carry");
    assert_eq!(fabric.state(A).unwrap().3.wrong_vlan, 1);
    assert_eq!(fabric.state(B).unwrap().3.wrong_vlan, 2);
}

#[test]
fn a_priority_tag_is_no_vlan() {
    let mut fabric = three();
    let plain = hello(A, Mac::BROADCAST);
    let tagged = Frame::parse(&plain).unwrap().tagged(0);
    assert_eq!(at(&mut fabric, 0, A, tagged), [(B, plain.clone()), (C, plain)]);
}

#[test]
fn short_frames_are_counted() {
    let mut fabric = three();
    assert_eq!(at(&mut fabric, 0, A, Bytes::from_static(b"short")), []);
    assert_eq!(fabric.state(A).unwrap().3.malformed, 1);
}

#[test]
fn both_ways_of_a_port_can_be_impaired() {
    let mut fabric = three();
    fabric.impair(B, Way::To, Impairment { lose: 1.0, ..Impairment::default() });
    assert_eq!(ports(&at(&mut fabric, 0, A, hello(A, Mac::BROADCAST))), [C]);
    fabric.impair(A, Way::From, Impairment { delay: Duration::from_secs(2), ..Impairment::default() });
    assert_eq!(ports(&at(&mut fabric, 1, A, hello(A, Mac::BROADCAST))), []);
    assert_eq!(fabric.next_due(), Some(Duration::from_secs(3)));
    let mut out = Vec::new();
    fabric.advance(Duration::from_secs(3), &mut out);
    assert_eq!(ports(&out), [C]);
    let counters = (fabric.state(A).unwrap().3, fabric.state(B).unwrap().3);
    assert_eq!((counters.0.harm_from.delayed, counters.1.harm_to.lost), (1, 2));
    assert_eq!(fabric.next_due(), None);
}

#[test]
fn traffic_elsewhere_does_not_change_what_is_lost() {
    let half = Impairment { lose: 0.5, ..Impairment::default() };
    let run = |noise: bool| {
        let mut fabric = three();
        fabric.impair(B, Way::To, half);
        fabric.impair(C, Way::To, half);
        at(&mut fabric, 0, B, hello(B, Mac::BROADCAST));
        at(&mut fabric, 0, C, hello(C, Mac::BROADCAST));
        let mut fates = Vec::new();
        for _ in 0..64 {
            if noise {
                at(&mut fabric, 1, A, hello(A, mac(C)));
            }
            fates.push(at(&mut fabric, 1, A, hello(A, mac(B))).len());
        }
        fates
    };
    assert_eq!(run(false), run(true));
    assert!(run(false).contains(&0) && run(false).contains(&1));
}

proptest! {
    /// Whatever comes in, nothing leaves where it came in, nothing leaves twice, and nothing crosses VLANs.
    #[test]
    fn frames_stay_in_their_vlan(sent in proptest::collection::vec((0..6u32, 0..8u32, 0..8u32), 1..200)) {
        let vlan = |id: PortId| Vlan::Access(1 + (id.0 % 2) as u16);
        let all: Vec<_> = (0..6).map(PortId).map(|id| (id, vlan(id))).collect();
        let mut fabric = fabric(&all);
        for (port, source, destination) in sent {
            let port = PortId(port);
            let out = at(&mut fabric, 0, port, frame(Mac::numbered(destination), Mac::numbered(source), b"x"));
            let mut targets = ports(&out);
            prop_assert!(!targets.contains(&port));
            prop_assert!(targets.iter().all(|target| vlan(*target) == vlan(port)));
            targets.dedup();
            prop_assert_eq!(targets.len(), out.len());
        }
    }

    #[test]
    fn any_bytes_are_survived(sent in proptest::collection::vec((1..4u32, proptest::collection::vec(any::<u8>(), 0..40)), 0..50)) {
        let mut fabric = fabric(&[(A, Vlan::default()), (B, trunk(Some(1), &[2, 3])), (C, trunk(None, &[2]))]);
        for (port, bytes) in sent {
            at(&mut fabric, 0, PortId(port), bytes.into());
        }
    }
}

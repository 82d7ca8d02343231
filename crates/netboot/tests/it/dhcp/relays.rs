//! Clients behind relays, and where answers go (network.md §1.3, §1.13; the reference's scenario `option82-reflection`).

use super::world::{World, check};
use serde_json::json;

fn lab() -> World {
    let mut world = World::lab();
    world.settings.probe = false;
    world.subnet(&json!({
        "Name": "far", "Subnet": "172.17.10.0/24", "ActiveStart": "172.17.10.10", "ActiveEnd": "172.17.10.15",
        "Options": [{"Code": 3, "Value": "172.17.10.1"}]
    }));
    world
}

#[test]
fn a_relayed_client_is_served_from_the_relays_subnet_and_answered_through_it() {
    check(
        &mut lab(),
        "dis mac=1 gi=172.17.10.1 prl=3
         > ofr to 172.17.10.1:67 yi=172.17.10.10 si=10.0.0.1 | 54=10.0.0.1 51=60 3=172.17.10.1 58=30 59=45
         req mac=1 gi=172.17.10.1 50=172.17.10.10 54=10.0.0.1 prl=3
         > ack to 172.17.10.1:67 yi=172.17.10.10 si=10.0.0.1 | 54=10.0.0.1 51=60 3=172.17.10.1 58=30 59=45
         req mac=2 gi=172.17.10.1 50=172.17.10.10
         > nak to 172.17.10.1:67 | 54=10.0.0.1 (Taken)
         dis mac=3 gi=172.30.0.1
         > - NoLease(NoSubnet)",
    );
}

#[test]
fn a_tool_that_asks_as_a_relay_from_its_own_port_gets_a_copy() {
    let mut world = lab();
    let said = world.say("dis mac=1 gi=10.0.0.1 from=10.0.0.1:30567 prl=3");
    let to: Vec<_> = said.lines().map(|l| l.split(' ').nth(2).unwrap()).collect();
    assert_eq!(to, ["10.0.0.1:67", "10.0.0.1:30567"]);
}

#[test]
fn renewals_come_past_the_relay() {
    let mut world = lab();
    world.say("dis mac=1 gi=172.17.10.1");
    world.say("req mac=1 gi=172.17.10.1 50=172.17.10.10");
    check(
        &mut world,
        "+30
         req mac=1 ci=172.17.10.10 prl=3
         > ack to 172.17.10.10:68 yi=172.17.10.10 si=10.0.0.1 | 54=10.0.0.1 51=60 3=172.17.10.1 58=30 59=45",
    );
    assert_eq!(world.lease("172.17.10.10").unwrap().via.to_string(), "172.17.10.1");
}

#[test]
fn option_82_is_echoed_and_steers() {
    check(
        &mut lab(),
        "dis mac=1 gi=10.0.0.12 82=1,3,98,114,48 prl=3
         > ofr to 10.0.0.12:67 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 3=10.0.0.254 82=1,3,98,114,48 58=30 59=45
         dis mac=2 gi=10.0.0.12 82=5,4,172,17,10,1 prl=3
         > ofr to 10.0.0.12:67 yi=172.17.10.10 si=10.0.0.1 | 54=10.0.0.1 51=60 3=172.17.10.1 82=5,4,172,17,10,1 58=30 59=45
         dis mac=3 gi=10.0.0.12 82=11,4,8,8,8,8 prl=3
         > ofr to 10.0.0.12:67 yi=10.0.0.11 si=10.0.0.1 | 54=8.8.8.8 51=60 3=10.0.0.254 82=11,4,8,8,8,8 58=30 59=45
         req mac=3 gi=10.0.0.12 50=10.0.0.11 54=8.8.8.8 82=11,4,8,8,8,8 prl=3
         > ack to 10.0.0.12:67 yi=10.0.0.11 si=10.0.0.1 | 54=8.8.8.8 51=60 3=10.0.0.254 82=11,4,8,8,8,8 58=30 59=45
         dis mac=4 82=1,9,1 prl=3
         > ofr to 255.255.255.255:68 yi=10.0.0.12 si=10.0.0.1 | 54=10.0.0.1 51=60 3=10.0.0.254 82=1,9,1 58=30 59=45",
    );
}

#[test]
fn clients_without_an_address_are_answered_by_frame_or_broadcast() {
    use gantry_netboot::dhcp::engine::Destination;
    let mut world = lab();
    let to = |world: &mut World, line: &str| {
        world.say(line);
        world.last.last().unwrap().answers[0].to
    };
    assert!(matches!(to(&mut world, "dis mac=1"), Destination::Hardware(mac, at)
        if mac.to_string() == "52:54:00:00:00:01" && at.to_string() == "10.0.0.10:68"));
    assert_eq!(to(&mut world, "dis mac=1 bcast"), Destination::Broadcast(68));
    assert_eq!(to(&mut world, "req mac=1 50=10.0.0.10 bcast"), Destination::Broadcast(68));
    assert_eq!(
        to(&mut world, "req mac=1 ci=10.0.0.10"),
        Destination::Unicast("10.0.0.10:68".parse().unwrap())
    );
    assert_eq!(to(&mut world, "req mac=9 50=10.0.0.10"), Destination::Broadcast(68), "a NAK");
}

#[test]
fn the_answering_address_is_that_of_the_clients_network() {
    let mut world = lab();
    world.settings.force_address = Some("9.9.9.9".parse().unwrap());
    assert!(world.say("dis mac=1 prl=3").contains("si=9.9.9.9 | 54=9.9.9.9"));
    assert!(world.say("req mac=1 50=10.0.0.10 54=9.9.9.9").starts_with("ack"));
}

//! REQUEST and the smaller messages (network.md §1.8, §1.9, §1.22).

use super::world::{World, check, durability};
use gantry_netboot::dhcp::engine::Durability::{AfterAnswer, BeforeAnswer, Nothing};
use serde_json::json;

fn leased() -> World {
    let mut world = World::lab();
    world.settings.probe = false;
    world.say("dis mac=1");
    assert!(world.say("req mac=1 50=10.0.0.10 54=10.0.0.1").starts_with("ack"));
    world
}

#[test]
fn an_ack_is_durable_before_it_is_sent() {
    let world = leased();
    assert_eq!(durability(&world), [BeforeAnswer]);
    let lease = world.lease("10.0.0.10").unwrap();
    assert_eq!((lease.state.as_str(), lease.token.as_str()), ("ACK", "52:54:00:00:00:01"));
    assert_eq!((lease.duration, lease.via.to_string().as_str()), (60, "10.0.0.1"));
    assert_eq!(
        lease.expire_time,
        world.time().plus_seconds(90),
        "stored ahead of the 60 s that are promised"
    );
    let sent: Vec<_> = lease.provided_options.iter().map(|o| (o.code, o.value.as_str())).collect();
    assert_eq!(sent, [(53, "req"), (50, "10.0.0.10"), (54, "10.0.0.1")]);
}

#[test]
fn a_renewal_at_half_time_is_covered_by_what_is_stored() {
    let mut world = leased();
    world.now += 5;
    assert!(world.say("req mac=1 ci=10.0.0.10").starts_with("ack to 10.0.0.10:68"));
    assert_eq!(durability(&world), [Nothing], "asked again within seconds");
    world.now += 25;
    world.say("req mac=1 ci=10.0.0.10");
    assert_eq!(durability(&world), [AfterAnswer]);
    assert_eq!(world.lease("10.0.0.10").unwrap().expire_time, world.time().plus_seconds(90));
    world.now += 50;
    world.say("req mac=1 ci=10.0.0.10");
    assert_eq!(durability(&world), [BeforeAnswer], "a late renewal promises more than is stored");
}

#[test]
fn a_changed_promise_is_durable_first() {
    let mut world = leased();
    world.subnet(&json!({"ActiveLeaseTime": 80}));
    world.say("req mac=1 ci=10.0.0.10");
    assert_eq!(durability(&world), [BeforeAnswer]);
}

#[test]
fn without_a_list_every_option_is_sent_and_no_names() {
    let mut world = leased();
    check(
        &mut world,
        "req mac=1 50=10.0.0.10
         > ack to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 3=10.0.0.254 6=10.0.0.1 15=lab.test 28=10.0.0.255 58=30 59=45",
    );
}

#[test]
fn another_servers_client_is_left_to_it_and_frees_our_offer() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.say("dis mac=1");
    assert_eq!(world.say("req mac=1 50=10.0.0.77 54=10.0.0.2"), "- OtherServer(10.0.0.2)");
    assert!(world.memory.is_empty());
    assert_eq!(world.say("ofr 54=10.0.0.2"), "- CompetingServer(10.0.0.2)");
    assert_eq!(world.say("ofr 54=10.0.0.1"), "- NotHandled");
}

#[test]
fn refusals() {
    let mut world = leased();
    world.reserve("10.0.0.40", 5, &json!({}));
    check(
        &mut world,
        "req mac=2 50=10.0.0.10
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (Taken)
         req mac=2 50=10.0.0.11
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (NoSuchLease)
         req mac=2 50=192.168.9.9
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (NoSuchLease)
         req mac=2 50=224.0.0.1
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (NotUnicast)
         req mac=2
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (NotUnicast)
         req mac=2 50=10.0.0.40
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (ReservedForOther)
         req mac=2 ci=10.0.0.11
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (NoSuchLease)
         req mac=2 ci=10.7.0.11
         > nak to 10.7.0.11:68 | 54=10.0.0.1 (NoSuchLease)",
    );
}

#[test]
fn a_client_with_a_reservation_is_moved_to_it() {
    let mut world = leased();
    world.reserve("10.0.0.40", 1, &json!({}));
    assert!(world.say("req mac=1 ci=10.0.0.10").contains("(ReservedElsewhere)"));
    assert_eq!(world.lease("10.0.0.10").unwrap().state, "INVALID");
    assert!(world.say("dis mac=1").contains("yi=10.0.0.40"));
    assert!(world.say("req mac=1 50=10.0.0.40").starts_with("ack"), "also without an offer: it is its own");
}

#[test]
fn a_client_that_moved_networks_starts_over() {
    let mut world = leased();
    world.interface("eth1", "10.1.0.1", 24);
    world.subnet(&json!({"Name": "two", "Subnet": "10.1.0.0/24", "ActiveStart": "10.1.0.10", "ActiveEnd": "10.1.0.12"}));
    assert!(world.say("req mac=1 50=10.0.0.10 eth=eth1").contains("(Moved)"));
}

#[test]
fn another_way_into_the_same_network_is_no_move() {
    let mut world = leased();
    let check = |world: &mut World, line: &str| {
        let said = world.say(line);
        assert!(said.starts_with("ack") && said.contains("yi=10.0.0.10"), "{line}: {said}");
    };
    // A second relay that forwards the same broadcast, and is left alone when the first one dies.
    for relay in ["10.0.0.2", "10.0.0.3", "10.0.0.2"] {
        check(&mut world, &format!("req mac=1 50=10.0.0.10 54=10.0.0.1 gi={relay}"));
    }
    assert_eq!(world.lease("10.0.0.10").unwrap().via.to_string(), "10.0.0.2");
    // The server's own address changed.
    world.interface("eth0", "10.0.0.7", 24);
    check(&mut world, "req mac=1 ci=10.0.0.10");
    assert!(world.say("dis mac=1").contains("yi=10.0.0.10"));
    check(&mut world, "req mac=1 50=10.0.0.10 54=10.0.0.7");
}

#[test]
fn an_unscoped_reservation_follows_its_owner_into_another_network() {
    let mut world = leased();
    world.reserve("10.0.0.40", 2, &json!({}));
    assert!(world.say("req mac=2 50=10.0.0.40").starts_with("ack"));
    world.interface("eth1", "10.1.0.1", 24);
    world.subnet(&json!({"Name": "two", "Subnet": "10.1.0.0/24", "ActiveStart": "10.1.0.10", "ActiveEnd": "10.1.0.12"}));
    assert!(world.say("dis mac=2 eth=eth1").contains("yi=10.0.0.40"));
    assert!(world.say("req mac=2 50=10.0.0.40 54=10.1.0.1 eth=eth1").starts_with("ack"));
    assert_eq!(world.lease("10.0.0.40").unwrap().via.to_string(), "10.1.0.1");
}

#[test]
fn a_reservation_is_found_however_its_token_is_written() {
    for token in ["52:54:00:AB:cd:ef", "52:54:00:AB:CD:EF", "52:54:00:ab:cd:ef"] {
        let mut world = World::lab();
        world.reserve("10.0.0.40", 1, &json!({"Token": token}));
        let (arrival, mut packet) = world.arrival_and_packet("dis");
        packet.chaddr = "52:54:00:ab:cd:ef".parse().unwrap();
        world.judge(&arrival, &packet);
        assert_eq!(world.last[0].answers[0].packet.yiaddr.to_string(), "10.0.0.40", "{token}");
    }
}

#[test]
fn a_lease_whose_subnet_is_gone_is_deleted() {
    let mut world = leased();
    world.subnet(&json!({"Name": "other", "Subnet": "10.3.0.0/24", "ActiveStart": "10.3.0.2", "ActiveEnd": "10.3.0.3"}));
    world.delete_subnet("lab");
    assert!(world.say("req mac=1 50=10.0.0.10").contains("(NothingCovers)"));
    assert!(world.lease("10.0.0.10").is_none());
}

#[test]
fn release_needs_the_owner_and_no_server_id() {
    let mut world = leased();
    assert_eq!(world.say("rel mac=2 ci=10.0.0.10"), "- Spoofed(10.0.0.10)");
    assert_eq!(world.say("rel mac=2 ci=10.0.0.11"), "- UnknownLease");
    assert_eq!(world.say("rel mac=1 ci=10.0.0.10 54=10.0.0.99"), "- Released(10.0.0.10)");
    let lease = world.lease("10.0.0.10").unwrap();
    assert_eq!((lease.state.as_str(), lease.expire_time), ("EXPIRED", world.time()));
    assert!(world.say("req mac=1 50=10.0.0.10").starts_with("ack"), "the owner may have it again");
}

#[test]
fn decline_needs_the_owner_and_takes_the_address_out() {
    let mut world = leased();
    assert_eq!(world.say("dec mac=2 50=10.0.0.10"), "- Spoofed(10.0.0.10)");
    assert_eq!(world.say("dec mac=1 50=10.0.0.10"), "- Declined(10.0.0.10)");
    let lease = world.lease("10.0.0.10").unwrap();
    assert_eq!((lease.state.as_str(), lease.token.as_str(), lease.strategy.as_str()), ("INVALID", "", ""));
    assert!(world.say("dis mac=1").contains("yi=10.0.0.11"));
    assert_eq!(world.say("dec mac=1 50=10.0.0.77"), "- UnknownLease");
    assert_eq!(world.say("dec mac=1"), "- UnknownLease");
}

#[test]
fn an_address_that_was_only_offered_can_be_declined() {
    let mut world = World::lab();
    world.settings.probe = false;
    assert!(world.say("dis mac=1").contains("yi=10.0.0.10"));
    assert_eq!(world.say("dec mac=2 50=10.0.0.10"), "- Spoofed(10.0.0.10)");
    assert_eq!(world.say("dec mac=1 50=10.0.0.10"), "- Declined(10.0.0.10)");
    assert_eq!(world.lease("10.0.0.10").unwrap().state, "INVALID");
    for mac in [1, 2] {
        let said = world.say(&format!("dis mac={mac}"));
        assert!(!said.contains("yi=10.0.0.10"), "{said}");
    }
}

#[test]
fn inform_past_a_relay_gets_the_options_of_the_clients_network() {
    let mut world = leased();
    world.subnet(
        &json!({"Name": "far", "Subnet": "10.7.0.0/24", "ActiveStart": "10.7.0.10", "ActiveEnd": "10.7.0.12",
        "Options": [{"Code": 3, "Value": "10.7.0.254"}]}),
    );
    check(
        &mut world,
        "inf mac=1 ci=10.7.0.99 prl=3,28
         > ack to 10.7.0.99:68 si=10.0.0.1 | 54=10.0.0.1 3=10.7.0.254 28=10.7.0.255
         inf mac=1 ci=10.8.0.99 prl=3,28
         > - NoLease(NoSubnet)",
    );
}

#[test]
fn inform_gets_options_and_no_lease() {
    check(
        &mut World::lab(),
        "inf mac=1 ci=10.0.0.99 prl=1,3,6,51
         > ack to 10.0.0.99:68 si=10.0.0.1 | 54=10.0.0.1 1=255.255.255.0 3=10.0.0.254 6=10.0.0.1
         inf mac=1 ci=10.0.0.99 60=AAPLBSDPC/i386
         > - NotHandled",
    );
    assert_eq!(World::empty().say("inf mac=1 ci=10.0.0.99"), "- NoLease(NoSubnet)");
}

#[test]
fn bootp_is_for_reservations() {
    let mut world = World::lab();
    world.reserve("10.0.0.40", 1, &json!({"Options": [{"Code": 67, "Value": "core.elf"}]}));
    check(
        &mut world,
        "bootp mac=1
         > bootp to 255.255.255.255:68 yi=10.0.0.40 si=10.0.0.1 sname=10.0.0.1 file=core.elf | 1=255.255.255.0 3=10.0.0.254 6=10.0.0.1
         bootp mac=2
         > - MissingType",
    );
}

#[test]
fn what_is_no_request_is_counted_by_its_name() {
    let mut world = World::lab();
    world.settings.interfaces = vec!["eth9".into()];
    assert_eq!(world.say("dis"), "- Ignored");
    world.settings.interfaces = vec!["eth0".into()];
    assert_eq!(world.say("ack"), "- NotHandled");
    let (arrival, mut packet) = world.arrival_and_packet("bootp");
    packet.options.push(53, [9]);
    assert_eq!(world.decide_only(&arrival, &packet), "InvalidType");
    packet.op = 2;
    assert_eq!(world.decide_only(&arrival, &packet), "NotHandled");
    packet.op = 1;
    packet.chaddr = gantry_netboot::dhcp::packet::Hardware::new(&[]);
    assert_eq!(world.decide_only(&arrival, &packet), "NoHardwareAddress");
}

#[test]
fn broken_options_are_left_out_and_noted() {
    let mut world = World::lab();
    world.settings.probe = false;
    let options = json!([
        {"Code": 15, "Value": "{{broken"}, {"Code": 3, "Value": "not an address"}, {"Code": 12, "Value": "h-{{index . 77}}"},
        {"Code": 0, "Value": "pad"}, {"Code": 255, "Value": "end"}
    ]);
    world.subnet(&json!({"Options": options}));
    let said = world.say("dis mac=1 77=rack prl=12,15,3,0,255");
    assert!(said.contains("| 54=10.0.0.1 51=60 12=h-rack 58=30") && !said.contains("255="), "{said}");
    let notes = format!("{:?}", world.notes());
    assert!(
        notes.contains("BadOption(3, \"option 3: `not an address`") && notes.contains("BadOption(15"),
        "{notes}"
    );
}

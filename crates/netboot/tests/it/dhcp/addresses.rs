//! Which address a client gets (network.md §1.6, §1.7).

use super::world::{World, check};
use gantry_netboot::dhcp::engine::MAX_HOLDS;
use serde_json::json;

#[test]
fn nobody_is_answered_without_subnet_or_reservation() {
    check(
        &mut World::empty(),
        "dis mac=1\n> - NoLease(NoSubnet)\nreq mac=1 50=10.0.0.10\n> - NoLease(NoSubnet)",
    );
}

#[test]
fn a_fresh_address_is_probed_then_offered_and_offered_again() {
    let mut world = World::lab();
    check(
        &mut world,
        "dis mac=1 prl=1,3,6,15
         > - Probing(10.0.0.10)
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 3=10.0.0.254 6=10.0.0.1 15=lab.test 58=30 59=45
         dis mac=1 prl=1
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 58=30 59=45",
    );
    assert!(world.lease("10.0.0.10").is_none(), "an offer is not written");
}

#[test]
fn a_repeated_discover_during_a_probe_stays_unanswered() {
    let mut world = World::lab();
    world.hold_probes = true;
    check(&mut world, "dis mac=1\n> - Probing(10.0.0.10)\ndis mac=1\n> - InFlight(10.0.0.10)");
    world.last.clear();
    world.probed("10.0.0.10".parse().unwrap());
    assert_eq!(world.last[0].answers.len(), 1);
    world.last.clear();
    world.probed("10.0.0.10".parse().unwrap());
    assert!(world.last[0].answers.is_empty(), "a probe that comes back twice answers once");
}

#[test]
fn an_address_that_answers_is_left_alone_for_ten_minutes() {
    let mut world = World::lab();
    world.in_use = vec!["10.0.0.10".parse().unwrap()];
    check(
        &mut world,
        "dis mac=1 prl=1
         > - Probing(10.0.0.10)
         > - AddressInUse(10.0.0.10)
         > - Probing(10.0.0.11)
         > ofr to 255.255.255.255:68 yi=10.0.0.11 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 58=30 59=45",
    );
    let lease = world.lease("10.0.0.10").unwrap();
    assert_eq!((lease.state.as_str(), lease.token.as_str()), ("INVALID", ""));
    assert_eq!(lease.expire_time, world.time().plus_seconds(600));
}

#[test]
fn without_probing_the_offer_comes_at_once() {
    let mut world = World::lab();
    world.settings.probe = false;
    assert!(world.say("dis mac=1 prl=1").starts_with("ofr to"));
}

/// The reference's scenario `lease-wraparound`, with a pool of three.
#[test]
fn a_full_pool_gives_nothing_until_the_oldest_lease_is_free() {
    let mut world = World::lab();
    world.settings.probe = false;
    for mac in 1..=3 {
        world.say(&format!("dis mac={mac}"));
    }
    assert_eq!(world.say("dis mac=4"), "- NoLease(Exhausted)");
    for mac in 1..=3 {
        let ack = world.say(&format!("req mac={mac} 50=10.0.0.{} 54=10.0.0.1", mac + 9));
        assert!(ack.starts_with("ack"), "{ack}");
    }
    check(
        &mut world,
        "req mac=4 50=10.0.0.13 54=10.0.0.1
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (NoSuchLease)
         dis mac=4
         > - NoLease(Exhausted)
         rel mac=2 ci=10.0.0.11
         > - Released(10.0.0.11)
         +1
         dis mac=4 prl=1
         > ofr to 255.255.255.255:68 yi=10.0.0.11 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 58=30 59=45
         req mac=4 50=10.0.0.11 54=10.0.0.1 prl=1
         > ack to 255.255.255.255:68 yi=10.0.0.11 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 58=30 59=45
         req mac=2 50=10.0.0.11
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (Taken)",
    );
}

#[test]
fn leases_that_ran_out_are_reused_oldest_first() {
    let mut world = World::lab();
    world.settings.probe = false;
    for mac in [3, 1, 2] {
        world.say(&format!("dis mac={mac}"));
        let address = [11, 12, 10][mac - 1];
        assert!(world.say(&format!("req mac={mac} 50=10.0.0.{address}")).starts_with("ack"));
        world.now += 20;
    }
    world.now += 40;
    assert!(
        world.say("dis mac=9").contains("yi=10.0.0.10"),
        "its lease, of 60 s and 30 s of grace, ended first"
    );
    assert!(
        world.say("dis mac=3").starts_with("- NoLease"),
        "the others still run, although no longer promised"
    );
}

#[test]
fn a_client_gets_its_own_address_again() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.say("dis mac=1");
    world.say("req mac=1 50=10.0.0.10");
    world.now += 3600;
    assert!(world.say("dis mac=2").contains("yi=10.0.0.11"), "never used before recycled");
    assert!(world.say("dis mac=1").contains("yi=10.0.0.10"));
    assert!(world.say("dis mac=1 50=10.0.0.10").contains("yi=10.0.0.10"));
}

#[test]
fn a_wish_is_granted_when_it_can_be_and_does_no_harm_otherwise() {
    let mut world = World::lab();
    world.settings.probe = false;
    assert!(world.say("dis mac=1 50=10.0.0.12").contains("yi=10.0.0.12"));
    world.say("req mac=1 50=10.0.0.12");
    assert!(
        world.say("dis mac=2 50=10.0.0.12").contains("yi=10.0.0.10"),
        "of another: DRP would never answer"
    );
    assert!(world.say("dis mac=3 50=10.9.9.9").contains("yi=10.0.0.11"), "outside");
}

#[test]
fn our_own_address_and_the_edges_are_never_given_away() {
    let mut world = World::empty();
    world.settings.probe = false;
    world.subnet(&json!({"Subnet": "10.0.0.0/29", "ActiveStart": "10.0.0.0", "ActiveEnd": "10.0.0.7"}));
    let mut got: Vec<String> = Vec::new();
    for mac in 1..9 {
        let said = world.say(&format!("dis mac={mac} prl=1"));
        got.extend(said.split(' ').find_map(|w| w.strip_prefix("yi=")).map(str::to_owned));
    }
    assert_eq!(got, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
}

#[test]
fn pickers_none_and_reservations_only() {
    let mut world = World::lab();
    world.subnet(&json!({"OnlyReservations": true, "Pickers": ["none"]}));
    world.reserve("10.0.0.50", 2, &json!({}));
    check(
        &mut world,
        "dis mac=1
         > - NoLease(NoPicker)
         dis mac=2 prl=1
         > ofr to 255.255.255.255:68 yi=10.0.0.50 si=10.0.0.1 | 54=10.0.0.1 51=7200 1=255.255.255.0 58=3600 59=5400",
    );
}

#[test]
fn a_disabled_subnet_serves_reservations_and_renewals() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.say("dis mac=1");
    world.say("req mac=1 50=10.0.0.10");
    world.subnet(&json!({"Enabled": false}));
    world.reserve("10.0.0.50", 2, &json!({}));
    assert_eq!(world.say("dis mac=3"), "- NoLease(SubnetDisabled)");
    assert!(world.say("dis mac=2").contains("yi=10.0.0.50"));
    assert!(world.say("req mac=1 ci=10.0.0.10").starts_with("ack"));
}

#[test]
fn a_reservation_wins_over_the_pool_and_brings_its_own_terms() {
    let mut world = World::lab();
    let options = json!([{"Code": 12, "Value": "node7"}, {"Code": 6, "Value": "9.9.9.9"}]);
    world.reserve("10.0.0.11", 1, &json!({"Duration": 300, "NextServer": "10.0.0.5", "Options": options}));
    check(
        &mut world,
        "dis mac=1 prl=12,6,3
         > ofr to 255.255.255.255:68 yi=10.0.0.11 si=10.0.0.5 | 54=10.0.0.1 51=300 12=node7 6=9.9.9.9 3=10.0.0.254 58=150 59=225
         dis mac=2 50=10.0.0.11 prl=3
         > - Probing(10.0.0.10)
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 3=10.0.0.254 58=30 59=45
         req mac=2 50=10.0.0.11
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (Taken)
         req mac=1 50=10.0.0.10
         > nak to 255.255.255.255:68 | 54=10.0.0.1 (Taken)",
    );
}

#[test]
fn a_reservation_outside_every_subnet_works_and_a_scoped_one_only_at_home() {
    let mut world = World::lab();
    world.interface("eth1", "10.1.0.1", 24);
    world.reserve("172.16.0.9", 1, &json!({}));
    world.reserve("10.0.0.60", 2, &json!({"Scoped": true}));
    assert!(world.say("dis mac=1 eth=eth1").contains("yi=172.16.0.9"));
    assert!(world.say("dis mac=2").contains("yi=10.0.0.60"));
    assert_eq!(world.say("dis mac=2 eth=eth1"), "- NoLease(NoSubnet)");
}

#[test]
fn a_reserved_address_in_use_by_another_falls_back_to_the_pool() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.say("dis mac=2");
    world.say("req mac=2 50=10.0.0.10");
    world.reserve("10.0.0.10", 1, &json!({}));
    assert!(world.say("dis mac=1").contains("yi=10.0.0.11"));
    assert!(world.say("req mac=1 50=10.0.0.11 54=10.0.0.1").starts_with("ack"));
    assert!(world.say("req mac=2 ci=10.0.0.10").contains("(ReservedForOther)"), "and the squatter must move");
    assert_eq!(world.lease("10.0.0.10").unwrap().state, "INVALID");
}

#[test]
fn a_flood_of_invented_clients_ends_in_silence() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.subnet(&json!({"Subnet": "10.0.0.0/8", "ActiveStart": "10.1.0.0", "ActiveEnd": "10.9.0.0"}));
    let (arrival, mut packet) = world.arrival_and_packet("dis");
    for i in 0..MAX_HOLDS as u32 + 1 {
        packet.chaddr = gantry_netboot::dhcp::packet::Hardware::new(&[
            2,
            0,
            (i >> 24) as u8,
            (i >> 16) as u8,
            (i >> 8) as u8,
            i as u8,
        ]);
        world.decide_only(&arrival, &packet);
    }
    assert_eq!(world.say("dis mac=1"), "- NoLease(TooManyOffers)");
    world.now += 61;
    world.memory.sweep(world.time());
    assert!(world.say("dis mac=1").starts_with("ofr"), "{:?}", world.last);
}

#[test]
fn a_point_to_point_link_has_a_mask_of_its_own() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.subnet(&json!({"Pickers": ["point2point"]}));
    check(
        &mut world,
        "dis mac=1 gi=10.0.0.10 prl=1,3,28
         > ofr to 10.0.0.10:67 yi=10.0.0.11 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.254 3=10.0.0.10 58=30 59=45
         req mac=1 50=10.0.0.11 54=10.0.0.1 gi=10.0.0.10 prl=1,3,28
         > ack to 10.0.0.10:67 yi=10.0.0.11 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.254 3=10.0.0.10 58=30 59=45
         dis mac=2 gi=10.0.0.99
         > - NoLease(Exhausted)",
    );
}

//! Clients get their addresses through a network that loses, doubles and reorders what they say and what they are told.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use gantry_netboot::dhcp::{Message, Packet};
use proptest::prelude::*;

use super::world::World;
use crate::lossy::{Fate, Wire, fates};

/// A client as RFC 2131 §4.4 has it, as far as getting a first lease goes.
struct Client {
    mac: u8,
    xid: u32,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Selecting,
    Requesting(Ipv4Addr),
    Bound(Ipv4Addr),
}

impl Client {
    /// What it sends, now or again.
    fn line(&self) -> Option<String> {
        let Self { mac, xid, state } = self;
        match state {
            State::Selecting => Some(format!("dis mac={mac} xid={xid}")),
            State::Requesting(address) => Some(format!("req mac={mac} xid={xid} 50={address} 54=10.0.0.1")),
            State::Bound(_) => None,
        }
    }

    /// Takes an answer; true when there is something to say to it at once.
    fn hear(&mut self, answer: &Packet) -> bool {
        if answer.xid != self.xid {
            return false;
        }
        let next = match (answer.message(), &self.state) {
            (Some(Message::Offer), State::Selecting) => State::Requesting(answer.yiaddr),
            (Some(Message::Ack), State::Requesting(wanted)) if answer.yiaddr == *wanted => {
                State::Bound(*wanted)
            }
            (Some(Message::Nak), State::Requesting(_)) => {
                self.xid += 100;
                State::Selecting
            }
            _ => return false,
        };
        self.state = next;
        true
    }
}

/// Three clients for a pool of three; the turns it took until all were bound.
fn play(to_server: Vec<Fate>, to_clients: Vec<Fate>, probes: bool) -> Result<(), TestCaseError> {
    let mut world = World::lab();
    world.settings.probe = probes;
    let mut clients: Vec<_> =
        (1..=3).map(|mac| Client { mac, xid: u32::from(mac), state: State::Selecting }).collect();
    let (mut up, mut down) = (Wire::new(to_server), Wire::new(to_clients));
    clients.iter().filter_map(Client::line).for_each(|line| up.send(line));
    let mut patience = 60;
    while clients.iter().any(|c| !matches!(c.state, State::Bound(_))) {
        if let Some(answer) = down.receive() {
            let client = clients.iter_mut().find(|c| c.mac == hardware(&answer));
            if let Some(client) = client
                && client.hear(&answer)
                && let Some(line) = client.line()
            {
                up.send(line);
            }
        } else if let Some(line) = up.receive() {
            world.say(&line);
            world.last.iter().flat_map(|o| &o.answers).for_each(|a| down.send(a.packet.clone()));
        } else {
            // Nothing is under way: whoever waits asks again.
            patience -= 1;
            prop_assert!(
                patience > 0,
                "still waiting: {:?}",
                clients.iter().map(|c| &c.state).collect::<Vec<_>>()
            );
            world.now += 1;
            clients.iter().filter_map(Client::line).for_each(|line| up.send(line));
        }
    }
    let mut owners = BTreeMap::new();
    for client in &clients {
        let State::Bound(address) = client.state else { continue };
        prop_assert_eq!(owners.insert(address, client.mac), None, "{} was given twice", address);
        let lease = world.lease(&address.to_string());
        let token = lease.map(|lease| (lease.token.clone(), lease.state.clone()));
        prop_assert_eq!(token, Some((format!("52:54:00:00:00:{:02x}", client.mac), "ACK".to_owned())));
    }
    prop_assert_eq!(owners.len(), 3);
    Ok(())
}

fn hardware(packet: &Packet) -> u8 {
    packet.chaddr.as_bytes().last().copied().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the network does for a while, in the end each client has an address of its own and a lease that says so.
    #[test]
    fn every_client_gets_its_own_address(to_server in fates(40), to_clients in fates(40), probes in any::<bool>()) {
        play(to_server, to_clients, probes)?;
    }
}

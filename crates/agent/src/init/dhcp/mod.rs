//! A DHCP client as a pure state machine (RFC 2131 §4.4), with just the options that a machine in its
//! first minutes needs. Packets in, packets out; sockets and clocks are the caller's.
//!
//! Answers are asked for by broadcast, because the interface has no address yet. No client identifier is
//! sent: the firmware that booted us sent none either, and so we get the address that it had.

mod reply;
mod wire;

use reply::Reply;
use std::net::Ipv4Addr;
use std::time::Duration;
use wire::*;

/// What the client asks for.
const WANTED: [u8; 11] = [
    OPT_MASK,
    OPT_ROUTER,
    OPT_DNS,
    OPT_HOSTNAME,
    OPT_DOMAIN,
    OPT_MTU,
    OPT_LEASE,
    OPT_SERVER,
    OPT_T1,
    OPT_T2,
    OPT_ROUTES,
];

/// An address with all that came along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// Prefix length of its network.
    pub prefix: u8,
    /// The server that gave it.
    pub server: Ipv4Addr,
    /// Default gateway.
    pub router: Option<Ipv4Addr>,
    /// Classless routes: network, prefix, gateway (RFC 3442). When given, `router` does not count.
    pub routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Our name.
    pub hostname: Option<String>,
    /// Our domain.
    pub domain: Option<String>,
    /// Largest packet.
    pub mtu: Option<u32>,
    /// Life of the lease.
    pub life: Duration,
    /// When to renew.
    pub renew: Duration,
    /// When to ask any server.
    pub rebind: Duration,
}

/// What the client waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Selecting,
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    Renewing { address: Ipv4Addr, to: Ipv4Addr },
}

/// What a packet led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send the next packet now.
    Send,
    /// We have an address.
    Bound(Box<Lease>),
    /// The server took the address away; the client begins anew.
    Refused,
}

/// One client on one interface.
#[derive(Clone, Debug)]
pub struct Client {
    mac: [u8; 6],
    xid: u32,
    state: State,
    tries: u32,
    since: Duration,
}

impl Lease {
    /// Does the machine have to be set up anew when this takes the place of `other`?
    pub fn differs_from(&self, other: &Self) -> bool {
        let Self { server, life, renew, rebind, .. } = *other;
        Self { server, life, renew, rebind, ..self.clone() } != *other
    }
}

impl Client {
    /// A client that begins to look for servers. `xid` should be random.
    pub fn new(mac: [u8; 6], xid: u32) -> Self {
        Self { mac, xid, state: State::Selecting, tries: 0, since: Duration::ZERO }
    }

    /// A client that prolongs a lease, at the server that gave it or, by broadcast, at any.
    pub fn renewing(mac: [u8; 6], xid: u32, lease: &Lease, to: Ipv4Addr) -> Self {
        Self { state: State::Renewing { address: lease.address, to }, ..Self::new(mac, xid) }
    }

    /// Where the next packet goes. A client that was refused begins anew, and asks everybody.
    pub fn to(&self) -> Ipv4Addr {
        match self.state {
            State::Renewing { to, .. } => to,
            State::Selecting | State::Requesting { .. } => Ipv4Addr::BROADCAST,
        }
    }

    /// The packet to send now, and how long to wait for an answer. `elapsed` is the time since the start.
    pub fn packet(&mut self, elapsed: Duration) -> (Vec<u8>, Duration) {
        // Four lost REQUESTs in a row: the server has gone, look for another one.
        if matches!(self.state, State::Requesting { .. }) && self.tries >= 4 {
            self.state = State::Selecting;
            self.tries = 0;
        }
        let wait = Duration::from_millis(1000u64 << self.tries.min(4));
        self.tries += 1;
        self.since = elapsed;
        (self.encode(), wait)
    }

    /// Takes a packet from the wire. Anything that is not for us is ignored.
    pub fn take(&mut self, packet: &[u8]) -> Option<Event> {
        let reply = Reply::parse(packet, self.xid, self.mac)?;
        match (&self.state, reply.kind()?) {
            (State::Selecting, OFFER) => {
                self.state = State::Requesting { address: reply.address, server: reply.server()? };
                self.tries = 0;
                Some(Event::Send)
            }
            (State::Requesting { address, server }, ACK)
                if reply.address == *address && reply.server() == Some(*server) =>
            {
                Some(Event::Bound(Box::new(reply.lease()?)))
            }
            (State::Renewing { address, .. }, ACK) if reply.address == *address => {
                Some(Event::Bound(Box::new(reply.lease()?)))
            }
            (State::Requesting { .. } | State::Renewing { .. }, NAK) => {
                self.state = State::Selecting;
                self.tries = 0;
                Some(Event::Refused)
            }
            _ => None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut packet = vec![0; 240];
        packet[..3].copy_from_slice(&[1, 1, 6]);
        packet[4..8].copy_from_slice(&self.xid.to_be_bytes());
        packet[8..10].copy_from_slice(&(self.since.as_secs().min(0xffff) as u16).to_be_bytes());
        packet[28..34].copy_from_slice(&self.mac);
        packet[236..240].copy_from_slice(&COOKIE);
        let mut option = |code: u8, value: &[u8]| {
            packet.extend([code, value.len() as u8]);
            packet.extend_from_slice(value);
        };
        match &self.state {
            State::Selecting => option(OPT_TYPE, &[DISCOVER]),
            State::Requesting { address, server } => {
                option(OPT_TYPE, &[REQUEST]);
                option(OPT_ADDRESS, &address.octets());
                option(OPT_SERVER, &server.octets());
            }
            State::Renewing { .. } => option(OPT_TYPE, &[REQUEST]),
        }
        option(OPT_VENDOR, b"gantry-agent");
        option(OPT_WANTED, &WANTED);
        packet.push(255);
        match &self.state {
            // A renewing client has its address and can be answered directly.
            State::Renewing { address, .. } => packet[12..16].copy_from_slice(&address.octets()),
            _ => packet[10] = 0x80,
        }
        packet.resize(packet.len().max(300), 0);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 0, 1];

    fn reply(kind: u8, xid: u32, address: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut packet = vec![0; 240];
        packet[0] = 2;
        packet[4..8].copy_from_slice(&xid.to_be_bytes());
        packet[16..20].copy_from_slice(&address);
        packet[28..34].copy_from_slice(&MAC);
        packet[236..240].copy_from_slice(&COOKIE);
        packet.extend([OPT_TYPE, 1, kind, OPT_SERVER, 4, 10, 0, 0, 1]);
        for (code, value) in options {
            packet.extend([*code, value.len() as u8]);
            packet.extend_from_slice(value);
        }
        packet.push(255);
        packet
    }

    #[test]
    fn from_discover_to_lease() {
        let mut client = Client::new(MAC, 7);
        let (discover, wait) = client.packet(Duration::ZERO);
        assert_eq!((discover.len() >= 300, wait), (true, Duration::from_secs(1)));
        assert_eq!((discover[10], &discover[240..243]), (0x80, &[53, 1, 1][..]));
        assert_eq!(client.take(&reply(OFFER, 8, [10, 0, 0, 9], &[])), None, "foreign transaction");
        assert_eq!(client.take(&reply(OFFER, 7, [10, 0, 0, 9], &[])), Some(Event::Send));
        let (request, _) = client.packet(Duration::from_secs(1));
        assert!(request.windows(6).any(|w| w == [50, 4, 10, 0, 0, 9]));
        let ack = reply(
            ACK,
            7,
            [10, 0, 0, 9],
            &[
                (1, &[255, 255, 255, 0]),
                (3, &[10, 0, 0, 1]),
                (6, &[10, 0, 0, 1, 9, 9, 9, 9]),
                (51, &[0, 0, 14, 16]),
                (15, b"lab.test"),
                (12, b"a b"),
            ],
        );
        let Some(Event::Bound(lease)) = client.take(&ack) else { panic!("no lease") };
        assert_eq!((lease.address.octets(), lease.prefix), ([10, 0, 0, 9], 24));
        assert_eq!((lease.renew.as_secs(), lease.rebind.as_secs()), (1800, 3150));
        assert_eq!((lease.domain.as_deref(), lease.hostname, lease.dns.len()), (Some("lab.test"), None, 2));
    }

    #[test]
    fn silence_waits_longer_and_lost_servers_are_left() {
        let mut client = Client::new(MAC, 7);
        let waits: Vec<u64> = (0..6).map(|_| client.packet(Duration::ZERO).1.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 16]);
        client.take(&reply(OFFER, 7, [10, 0, 0, 9], &[]));
        let kinds: Vec<u8> = (0..5).map(|_| client.packet(Duration::ZERO).0[242]).collect();
        assert_eq!(kinds, [REQUEST, REQUEST, REQUEST, REQUEST, DISCOVER]);
    }

    #[test]
    fn a_nak_begins_anew_and_an_ack_of_another_server_is_ignored() {
        let mut client = Client::new(MAC, 7);
        client.take(&reply(OFFER, 7, [10, 0, 0, 9], &[]));
        assert_eq!(client.take(&reply(ACK, 7, [10, 0, 0, 10], &[])), None);
        assert_eq!(client.take(&reply(NAK, 7, [0; 4], &[])), Some(Event::Refused));
        assert_eq!(client.packet(Duration::ZERO).0[242], DISCOVER);
    }

    #[test]
    fn renewing_asks_directly() {
        let ack = reply(ACK, 7, [10, 0, 0, 9], &[]);
        let lease = Reply::parse(&ack, 7, MAC).and_then(|r| r.lease()).expect("lease");
        let mut client = Client::renewing(MAC, 7, &lease, lease.server);
        let (packet, _) = client.packet(Duration::ZERO);
        assert_eq!((packet[10], &packet[12..16]), (0, &[10, 0, 0, 9][..]));
        assert_eq!(client.to(), Ipv4Addr::new(10, 0, 0, 1));
        let Some(Event::Bound(again)) = client.take(&ack) else { panic!("no lease") };
        assert!(!again.differs_from(&lease));
    }

    #[test]
    fn a_renewal_that_is_refused_ends_with_another_address() {
        let ack = reply(ACK, 7, [10, 0, 0, 9], &[]);
        let lease = Reply::parse(&ack, 7, MAC).and_then(|r| r.lease()).expect("lease");
        let mut client = Client::renewing(MAC, 7, &lease, lease.server);
        assert_eq!(client.take(&reply(NAK, 7, [0; 4], &[])), Some(Event::Refused));
        let (packet, _) = client.packet(Duration::ZERO);
        assert_eq!((packet[242], &packet[12..16], client.to()), (DISCOVER, &[0; 4][..], Ipv4Addr::BROADCAST));
        client.take(&reply(OFFER, 7, [10, 0, 0, 40], &[]));
        let Some(Event::Bound(moved)) = client.take(&reply(ACK, 7, [10, 0, 0, 40], &[])) else {
            panic!("no lease")
        };
        assert!(moved.differs_from(&lease) && moved.address == Ipv4Addr::new(10, 0, 0, 40));
    }

    proptest::proptest! {
        #[test]
        fn any_packet_is_taken_without_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let mut packet = reply(OFFER, 7, [10, 0, 0, 9], &[]);
            packet.truncate(240);
            packet.extend(&body);
            let mut client = Client::new(MAC, 7);
            let _ = client.take(&packet);
            let _ = client.take(&body);
            let _ = Reply::parse(&packet, 7, MAC).and_then(|r| r.lease());
        }
    }
}

//! What to answer to a DHCP packet: a function of the View, the memory, the packet, where it arrived, and the time.
//!
//! An [`Engine`] is made for one decision and holds no state. It returns an [`Outcome`]: answers to send, objects to save and
//! whether they must be durable first, changes of the [`Memory`], effects whose result comes back as a new input, and the
//! [`Reason`]. The caller, in this order: saves (if [`Durability::BeforeAnswer`]), applies the memory, sends, then performs the
//! effects and late saves.
//!
//! **What is promised.** An offer is a hint, held in memory for a minute. An ACK is a promise: it is given only after the lease
//! is durable. The stored expiry runs half a lease ahead of the promised one, so that an ordinary renewal, at half time, is
//! covered by what is stored already and can be written after the answer.
//!
//! The rules follow reference network.md §1.3–1.14; where DRP's defects hurt, RFC 2131 wins, with a note at the place.
//! Left out: Apple BSDP (its packets are `NotHandled`), strategies other than `MAC`.

mod allocate;
mod boot;
mod facts;
mod memory;
mod outcome;
mod pools;
mod proxy;
mod reply;
mod request;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use gantry_model::{Machine, Time, View};
use serde_json::Value;

pub use memory::{Handed, Hold, MAX_HOLDS, MAX_PROBES, Memory, Pending, Remember, Why};
pub use outcome::{
    Answer, Destination, Durability, Effect, Grant, NakReason, NoLease, Note, Outcome, Reason, Save, Withheld,
};

use super::client::Client;
use super::option::code;
use super::packet::{Message, Packet};
use super::sub;
use facts::{Net, Place};

/// How long an offer is held, seconds.
const OFFER_SECONDS: i64 = 60;
/// How long an address that someone else was found to use is left alone, seconds.
const INVALID_SECONDS: i64 = 600;
/// The one strategy.
const MAC: &str = "MAC";

/// Who a lease belongs to: the client's hardware address as text, lower case with colons. Client ids (option 61) are not used
/// on purpose: firmware, iPXE, the discovery system and the installed one send different ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Arc<str>);

impl Token {
    /// From text in any case.
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A network interface of the server as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Kernel index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// IPv4 addresses with prefix length.
    pub addresses: Vec<(Ipv4Addr, u8)>,
}

/// Which service received a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Port 67.
    Dhcp,
    /// Port 4011: PXE boot server, which hands out boot files but no addresses.
    Binl,
}

/// Where a packet came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The interface.
    pub interface: Arc<Interface>,
    /// Source address and port.
    pub source: SocketAddrV4,
    /// The service.
    pub service: Service,
}

/// What the operator fixed at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Port of the plain HTTP file server, for URLs given to HTTP boot clients.
    pub file_port: u16,
    /// The server's address, whatever the interface says (`--force-static` with `--static-ip`).
    pub force_address: Option<Ipv4Addr>,
    /// The server's address when an interface has none.
    pub fallback_address: Option<Ipv4Addr>,
    /// Answer only on these interfaces; empty means all (`--dhcp-ifs`).
    pub interfaces: Vec<String>,
    /// Probe a fresh address before it is offered.
    pub probe: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            file_port: 8091,
            force_address: None,
            fallback_address: None,
            interfaces: Vec::new(),
            probe: true,
        }
    }
}

/// What the engine needs of crates that it may not see; the server implements it over `template` and `boot`.
pub trait Host {
    /// Renders an option's value. The data of the template is the map of what the client sent, as text by option number.
    ///
    /// # Errors
    /// A sentence; the option is then left out and a note made.
    fn render(&self, template: &str, options: &BTreeMap<u8, String>) -> Result<String, String>;

    /// The value of a parameter for a machine, or for no machine: `global`, then its default.
    fn param(&self, view: &View, machine: Option<&Machine>, name: &str) -> Option<Value>;
}

/// Everything one decision looks at.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// All objects at one revision.
    pub view: &'a View,
    /// Offers and probes.
    pub memory: &'a Memory,
    /// Fixed at start.
    pub settings: &'a Settings,
    /// Templates and parameters.
    pub host: &'a dyn Host,
    /// The time.
    pub now: Time,
}

/// One packet being judged, with what follows from it alone.
struct Ask<'a> {
    engine: Engine<'a>,
    arrival: &'a Arrival,
    packet: &'a Packet,
    client: Client,
    token: Token,
    /// Option 50, else ciaddr.
    wanted: Option<Ipv4Addr>,
    place: Place,
    /// Option 82.11: what the relay wants us to be called.
    server_override: Option<Ipv4Addr>,
}

impl<'a> Engine<'a> {
    /// Judges a packet.
    pub fn packet(&self, arrival: &Arrival, packet: &Packet) -> Outcome {
        if packet.op != 1 {
            return Outcome::silent(Reason::NotHandled);
        }
        let listed = &self.settings.interfaces;
        if !listed.is_empty() && !listed.contains(&arrival.interface.name) {
            return Outcome::silent(Reason::Ignored);
        }
        if packet.chaddr.as_bytes().is_empty() {
            return Outcome::silent(Reason::NoHardwareAddress);
        }
        let ask = self.ask(arrival, packet);
        if !packet.options.has(code::MESSAGE_TYPE) {
            return if arrival.service == Service::Dhcp {
                ask.bootp()
            } else {
                Outcome::silent(Reason::MissingType)
            };
        }
        match (packet.message(), arrival.service) {
            (None, _) => Outcome::silent(Reason::InvalidType),
            (Some(message), Service::Binl) => ask.binl(message),
            (Some(Message::Discover), _) => ask.discover(),
            (Some(Message::Request), _) => ask.request(),
            (Some(Message::Release), _) => ask.release(),
            (Some(Message::Decline), _) => ask.decline(),
            (Some(Message::Inform), _) => ask.inform(),
            (Some(Message::Offer), _) => ask.competitor(),
            (Some(Message::Ack | Message::Nak), _) => Outcome::silent(Reason::NotHandled),
        }
    }

    /// The result of [`Effect::Probe`]: did someone answer at the address?
    pub fn probed(&self, address: Ipv4Addr, in_use: bool) -> Outcome {
        let Some(pending) = self.memory.pending(address) else {
            return Outcome::silent(Reason::UnknownLease);
        };
        if in_use {
            return self.conflict(address, pending);
        }
        self.ask(&pending.arrival, &pending.packet).offer(address, None)
    }

    fn conflict(&self, address: Ipv4Addr, pending: &Pending) -> Outcome {
        let until = self.now.plus_seconds(INVALID_SECONDS);
        Outcome {
            saves: vec![Save::Shun(address, until)],
            durability: Durability::AfterAnswer,
            remember: vec![Remember::Hold(address, Hold::shunned(until))],
            effects: vec![Effect::Again(Box::new(pending.clone()))],
            ..Outcome::silent(Reason::AddressInUse(address))
        }
    }

    fn ask<'b>(&self, arrival: &'b Arrival, packet: &'b Packet) -> Ask<'b>
    where
        'a: 'b,
    {
        let relay = packet.options.get(code::RELAY).unwrap_or_default();
        let relay_address = |name: u8| {
            let value = sub::find(&relay, name)?;
            <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
        };
        let vias = match relay_address(sub::relay::LINK_SELECTION) {
            Some(link) => vec![link],
            None if !packet.giaddr.is_unspecified() => vec![packet.giaddr],
            None => arrival.interface.addresses.iter().map(|(a, _)| *a).collect(),
        };
        let named = packet.options.address(code::REQUESTED_ADDRESS);
        let wanted = named.or(Some(packet.ciaddr)).filter(|a| !a.is_unspecified());
        Ask {
            engine: *self,
            arrival,
            packet,
            client: Client::of(packet),
            token: Token::new(&packet.chaddr.to_string()),
            wanted,
            place: Place::find(self.view, &vias),
            server_override: relay_address(sub::relay::SERVER_ID_OVERRIDE),
        }
    }
}

impl Ask<'_> {
    fn discover(&self) -> Outcome {
        if let Some(net) = self.place.net.as_ref().filter(|net| net.subnet.proxy) {
            return match net.subnet.enabled {
                true => self.proxy_offer(),
                false => Outcome::silent(Reason::NoLease(NoLease::SubnetDisabled)),
            };
        }
        let reservation = self.reservation();
        if let Some(reservation) = &reservation
            && self.may_use_reserved(reservation.address)
        {
            return self.offer(reservation.address, None);
        }
        match &self.place.net {
            None => Outcome::silent(Reason::NoLease(NoLease::NoSubnet)),
            Some(net) if !net.subnet.enabled => Outcome::silent(Reason::NoLease(NoLease::SubnetDisabled)),
            Some(net) => self.discover_in(net),
        }
    }

    fn discover_in(&self, net: &Net) -> Outcome {
        if let Some((address, hold)) = self.held_in(net) {
            return match hold.why {
                Why::Probing(_) => Outcome::silent(Reason::InFlight(address)),
                _ => self.offer(address, None),
            };
        }
        let picked = match self.allocate(net) {
            Ok(picked) => picked,
            Err(why) => return Outcome::silent(Reason::NoLease(why)),
        };
        if !self.engine.memory.has_room() {
            return Outcome::silent(Reason::NoLease(NoLease::TooManyOffers));
        }
        let cursor = picked.cursor.map(|at| Remember::Cursor(net.subnet.name.clone(), at));
        if picked.fresh && self.engine.settings.probe && self.engine.memory.may_probe() {
            return self.probe(picked.address, cursor);
        }
        self.offer(picked.address, cursor)
    }

    fn probe(&self, address: Ipv4Addr, cursor: Option<Remember>) -> Outcome {
        let pending = Pending { packet: self.packet.clone(), arrival: self.arrival.clone() };
        let hold = self.hold(Why::Probing(Box::new(pending)));
        Outcome {
            remember: [Remember::Hold(address, hold)].into_iter().chain(cursor).collect(),
            effects: vec![Effect::Probe(address)],
            ..Outcome::silent(Reason::Probing(address))
        }
    }

    /// An address that was found to be free for this client, or is its own.
    fn offer(&self, address: Ipv4Addr, cursor: Option<Remember>) -> Outcome {
        let terms = self.terms(address);
        let mut outcome = Outcome::silent(Reason::Offered(address));
        // What was decided about netboot is in the answer.
        let _ = self.answer(&mut outcome, Message::Offer, &terms);
        outcome.remember.push(Remember::Hold(address, self.hold(Why::Offered)));
        outcome.remember.extend(cursor);
        outcome
    }

    /// Is the client on a network where another server hands out the addresses?
    fn is_proxied(&self) -> bool {
        self.place.net.as_ref().is_some_and(|net| net.subnet.proxy)
    }

    fn hold(&self, why: Why) -> Hold {
        Hold { token: self.token.clone(), until: self.engine.now.plus_seconds(OFFER_SECONDS), why }
    }

    /// What another server offers is heard when it broadcasts.
    fn competitor(&self) -> Outcome {
        let other = self.packet.options.address(code::SERVER_ID).unwrap_or(*self.arrival.source.ip());
        match self.is_ours(other) {
            true => Outcome::silent(Reason::NotHandled),
            false => Outcome::silent(Reason::CompetingServer(other)),
        }
    }
}

//! What the server knows of clients without having promised them anything: offers, probes, what was handed out.
//!
//! None of it is durable. A restart forgets it, and clients ask again. What the engine wants remembered comes back as
//! [`Remember`] and is applied by the caller, so that deciding twice on one input gives one answer. All of it is bounded.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use gantry_model::Time;

use super::pools::Pools;
use super::{Arrival, Token};
use crate::dhcp::Packet;
use crate::dhcp::option::code;
use crate::dhcp::packet::Hardware;

/// Offers, probes and shunned addresses held at once; a flood of invented clients stops here.
pub const MAX_HOLDS: usize = 65_536;
/// Probes under way at once; above it addresses are offered without a probe, for a whole rack may power on at once.
pub const MAX_PROBES: usize = 4_096;
const MAX_HANDED: usize = 65_536;
/// How long a write is waited for before a retransmission starts another one.
const PROMISE_SECONDS: i64 = 30;
/// How long a loader that was handed out explains an iPXE that comes next.
const HANDED_SECONDS: i64 = 180;

/// A packet that waits for its address to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The DISCOVER.
    pub packet: Packet,
    /// Where it came in.
    pub arrival: Arrival,
}

/// Why an address is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Being probed for this client.
    Probing(Box<Pending>),
    /// Offered to it.
    Offered,
    /// Found in use by someone unknown.
    Shunned,
}

/// An address that is spoken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The client; empty when shunned.
    pub token: Token,
    /// Until when.
    pub until: Time,
    /// Why.
    pub why: Why,
}

impl Hold {
    /// Nobody gets the address until then.
    pub(super) fn shunned(until: Time) -> Self {
        Self { token: Token::new(""), until, why: Why::Shunned }
    }
}

/// One change of the memory, as the engine asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remember {
    /// The address is held.
    Hold(Ipv4Addr, Hold),
    /// The address is held no more.
    Forget(Ipv4Addr),
    /// The picker `nextFree` of this subnet goes on behind this address.
    Cursor(String, Ipv4Addr),
    /// This was handed to this client in this transaction.
    Handed(Hardware, Handed),
    /// A lease ended before its time.
    Ended(Ipv4Addr),
}

/// A boot file that a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// The transaction.
    pub xid: u32,
    /// When.
    pub at: Time,
    /// It was the script, so the chain of loaders is complete; else a loader, after which iPXE may come.
    pub script: bool,
    /// It was named by URL: the firmware boots over HTTP, so what it loads goes on that way.
    pub http: bool,
}

/// A request whose promise is being made durable. Equal ones that arrive meanwhile are retransmissions: the one answer is for all
/// of them. The way back is part of it, for two relays may forward one broadcast, and each wants its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Promise {
    client: Hardware,
    xid: u32,
    giaddr: Ipv4Addr,
    ciaddr: Ipv4Addr,
    wanted: Option<Ipv4Addr>,
}

impl Promise {
    fn of(packet: &Packet) -> Self {
        let Packet { chaddr: client, xid, giaddr, ciaddr, .. } = *packet;
        Self { client, xid, giaddr, ciaddr, wanted: packet.options.address(code::REQUESTED_ADDRESS) }
    }
}

/// The memory.
#[derive(Debug, Default)]
pub struct Memory {
    promises: HashMap<Promise, Time>,
    holds: HashMap<Ipv4Addr, Hold>,
    tokens: HashMap<Token, Vec<Ipv4Addr>>,
    probes: usize,
    cursors: HashMap<String, Ipv4Addr>,
    handed: HashMap<Hardware, Handed>,
    pub(super) pools: Pools,
}

impl Memory {
    /// An empty memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies what the engine asked for, in order.
    pub fn apply(&mut self, changes: Vec<Remember>, now: Time) {
        changes.into_iter().for_each(|change| self.apply_one(change, now));
    }

    fn apply_one(&mut self, change: Remember, now: Time) {
        match change {
            Remember::Hold(address, hold) => self.hold(address, hold, now),
            Remember::Forget(address) => self.forget(address),
            Remember::Cursor(subnet, address) => {
                self.cursors.insert(subnet, address);
            }
            Remember::Handed(client, handed) => {
                if self.handed.len() >= MAX_HANDED {
                    self.sweep_handed(now);
                }
                if self.handed.len() < MAX_HANDED || self.handed.contains_key(&client) {
                    self.handed.insert(client, handed);
                }
            }
            Remember::Ended(address) => {
                self.pools.ended(address);
            }
        }
    }

    fn hold(&mut self, address: Ipv4Addr, hold: Hold, now: Time) {
        self.forget(address);
        if self.holds.len() >= MAX_HOLDS {
            self.sweep(now);
        }
        if self.holds.len() >= MAX_HOLDS {
            return;
        }
        self.probes += usize::from(matches!(hold.why, Why::Probing(_)));
        self.tokens.entry(hold.token.clone()).or_default().push(address);
        self.holds.insert(address, hold);
    }

    fn forget(&mut self, address: Ipv4Addr) {
        let Some(hold) = self.holds.remove(&address) else { return };
        self.probes -= usize::from(matches!(hold.why, Why::Probing(_)));
        if let Some(addresses) = self.tokens.get_mut(&hold.token) {
            addresses.retain(|a| *a != address);
            if addresses.is_empty() {
                self.tokens.remove(&hold.token);
            }
        }
    }

    /// Notes that the promise to a request is about to be made durable; false when the promise to an equal one is on its way, so
    /// that this one is a retransmission and gets no answer of its own. [`Memory::end_promise`] follows, whatever came of it.
    pub fn begin_promise(&mut self, packet: &Packet, now: Time) -> bool {
        let promise = Promise::of(packet);
        if self.promises.get(&promise).is_some_and(|until| now < *until) {
            return false;
        }
        self.promises.insert(promise, now.plus_seconds(PROMISE_SECONDS));
        true
    }

    /// The promise to this request is kept or has failed: the next equal one is answered anew.
    pub fn end_promise(&mut self, packet: &Packet) {
        self.promises.remove(&Promise::of(packet));
    }

    /// Drops what has run out.
    pub fn sweep(&mut self, now: Time) {
        self.promises.retain(|_, until| now < *until);
        let over: Vec<_> = self.holds.iter().filter(|(_, h)| h.until <= now).map(|(a, _)| *a).collect();
        over.into_iter().for_each(|address| self.forget(address));
        self.sweep_handed(now);
    }

    fn sweep_handed(&mut self, now: Time) {
        self.handed.retain(|_, handed| now < handed.at.plus_seconds(HANDED_SECONDS));
    }

    /// Who holds an address now.
    pub fn held(&self, address: Ipv4Addr, now: Time) -> Option<&Hold> {
        self.holds.get(&address).filter(|h| now < h.until)
    }

    /// The addresses that are held for a client now.
    pub fn held_for(&self, token: &Token, now: Time) -> impl Iterator<Item = (Ipv4Addr, &Hold)> {
        let addresses = self.tokens.get(token).map(Vec::as_slice).unwrap_or_default();
        addresses.iter().filter_map(move |a| Some((*a, self.held(*a, now)?)))
    }

    /// The packet that waits for this address.
    pub fn pending(&self, address: Ipv4Addr) -> Option<&Pending> {
        match &self.holds.get(&address)?.why {
            Why::Probing(pending) => Some(pending),
            Why::Offered | Why::Shunned => None,
        }
    }

    /// How many addresses are held, run out or not.
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    /// Is nothing held?
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Is there room for another hold?
    pub fn has_room(&self) -> bool {
        self.holds.len() < MAX_HOLDS
    }

    /// May another probe start?
    pub fn may_probe(&self) -> bool {
        self.probes < MAX_PROBES
    }

    /// Where `nextFree` goes on in a subnet.
    pub fn cursor(&self, subnet: &str) -> Option<Ipv4Addr> {
        self.cursors.get(subnet).copied()
    }

    /// Did this client get a boot loader in an earlier transaction of this boot, or the script in this one?
    pub fn has_loader(&self, client: &Hardware, xid: u32, now: Time) -> bool {
        self.handed(client, now).is_some_and(|handed| handed.script == (handed.xid == xid))
    }

    /// Did this client get its boot files by URL in this boot?
    pub fn boots_by_http(&self, client: &Hardware, now: Time) -> bool {
        self.handed(client, now).is_some_and(|handed| handed.http)
    }

    fn handed(&self, client: &Hardware, now: Time) -> Option<&Handed> {
        self.handed.get(client).filter(|handed| now < handed.at.plus_seconds(HANDED_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    fn offer(token: &str, until: i64) -> Hold {
        Hold { token: Token::new(token), until: at(until), why: Why::Offered }
    }

    #[test]
    fn a_hold_ends_by_time_by_being_forgotten_and_by_being_replaced() {
        let mut memory = Memory::new();
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        memory.apply(vec![Remember::Hold(a, offer("x", 60)), Remember::Hold(b, offer("x", 60))], at(0));
        assert_eq!(memory.held_for(&Token::new("x"), at(59)).count(), 2);
        assert_eq!(memory.held_for(&Token::new("x"), at(60)).count(), 0);
        memory.apply(vec![Remember::Hold(a, offer("y", 60)), Remember::Forget(b)], at(1));
        assert_eq!(memory.held_for(&Token::new("x"), at(1)).count(), 0);
        assert_eq!(memory.held(a, at(1)).unwrap().token, Token::new("y"));
        memory.sweep(at(60));
        assert!(memory.is_empty());
    }

    #[test]
    fn retransmissions_share_a_promise() {
        let mut memory = Memory::new();
        let mut request = Packet { xid: 7, chaddr: Hardware::new(&[1, 2, 3, 4, 5, 6]), ..Packet::default() };
        request.options.push(code::REQUESTED_ADDRESS, [10, 0, 0, 1]);
        assert!(memory.begin_promise(&request, at(0)));
        let again = Packet { secs: 4, ..request.clone() };
        assert!(!memory.begin_promise(&again, at(1)), "the seconds since boot make no other request");
        let through_another_relay = Packet { giaddr: Ipv4Addr::new(10, 0, 0, 2), ..request.clone() };
        assert!(memory.begin_promise(&through_another_relay, at(1)));
        assert!(memory.begin_promise(&Packet { xid: 8, ..request.clone() }, at(1)));
        memory.end_promise(&request);
        assert!(memory.begin_promise(&again, at(2)), "when it is over the next one is answered");
        assert!(
            memory.begin_promise(&again, at(32)),
            "a write that never ended does not silence a client for ever"
        );
        memory.sweep(at(100));
        assert!(memory.promises.is_empty());
    }

    #[test]
    fn a_flood_is_bounded_and_recovers() {
        let mut memory = Memory::new();
        for i in 0..MAX_HOLDS as u32 + 10 {
            memory.apply(vec![Remember::Hold(Ipv4Addr::from(i), offer(&i.to_string(), 60))], at(0));
        }
        assert_eq!(memory.len(), MAX_HOLDS);
        assert!(!memory.has_room());
        memory.apply(vec![Remember::Hold(Ipv4Addr::from(9_999_999), offer("late", 120))], at(61));
        assert_eq!(memory.len(), 1, "the room of what has run out is used again");
    }

    #[test]
    fn a_loader_is_remembered_for_this_boot_only() {
        let mut memory = Memory::new();
        let mac = Hardware::new(&[1, 2, 3, 4, 5, 6]);
        let handed = |xid, script| Remember::Handed(mac, Handed { xid, at: at(0), script, http: false });
        memory.apply(vec![handed(7, false)], at(0));
        assert!(!memory.has_loader(&mac, 7, at(1)), "the same transaction gets the same answer");
        assert!(memory.has_loader(&mac, 8, at(1)));
        assert!(!memory.has_loader(&mac, 8, at(181)));
        memory.apply(vec![handed(8, true)], at(2));
        assert!(memory.has_loader(&mac, 8, at(3)), "the script again when asked again");
        assert!(!memory.has_loader(&mac, 9, at(3)), "the next boot starts over");
    }
}

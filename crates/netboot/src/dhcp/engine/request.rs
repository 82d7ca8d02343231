//! REQUEST, RELEASE, DECLINE, INFORM and BOOTP: clients that have, want or return a certain address (network.md §1.8, §1.9).

use std::net::Ipv4Addr;

use gantry_model::parts::DhcpOption;
use gantry_model::{Lease, Subnet, Time};

use super::facts::{Place, Reserved, Standing, is_usable, lease_at, owns, reservation_at};
use super::reply::{Terms, boots};
use super::{
    Ask, Durability, Hold, INVALID_SECONDS, MAC, NakReason, NoLease, Note, Outcome, Reason, Remember, Save,
};
use crate::dhcp::option::{code, to_text};
use crate::dhcp::packet::Message;

impl Ask<'_> {
    pub(super) fn request(mut self) -> Outcome {
        if let Some(server) = self.packet.options.address(code::SERVER_ID)
            && !self.is_ours(server)
        {
            return self.lost_to(server);
        }
        self.find_renewing_client();
        let Some(wanted) = self.wanted.filter(|a| is_usable(*a)) else {
            return self.refuse(NakReason::NotUnicast, Vec::new());
        };
        if self.is_proxied() {
            // DRP refuses here, and so drives away clients of the server that does hand out addresses.
            return Outcome::silent(Reason::ProxySubnet);
        }
        self.request_of(wanted)
    }

    fn request_of(&self, wanted: Ipv4Addr) -> Outcome {
        let standing = self.standing(wanted);
        let mine = self.reservation().filter(|r| self.may_use_reserved(r.address));
        if matches!(standing, Standing::Taken) && mine.as_ref().is_none_or(|r| r.address != wanted) {
            return self.refuse(NakReason::Taken, Vec::new());
        }
        let own = match standing {
            Standing::Own(lease) | Standing::Expired(lease) => Some(lease),
            Standing::Free | Standing::Taken => None,
        };
        let there = reservation_at(self.view(), wanted);
        match &mine {
            None if there.as_ref().is_some_and(|r| !self.reserves(r)) => {
                return self.refuse(NakReason::ReservedForOther, self.invalidate(own.as_deref()));
            }
            Some(reserved) if reserved.address != wanted => {
                return self.refuse(NakReason::ReservedElsewhere, self.invalidate(own.as_deref()));
            }
            _ => {}
        }
        let offered = self.engine.memory.held(wanted, self.engine.now).is_some_and(|h| h.token == self.token);
        if own.is_none() && !offered && mine.is_none() {
            return match &self.place.net {
                Some(_) => self.refuse(NakReason::NoSuchLease, Vec::new()),
                None => Outcome::silent(Reason::NoLease(NoLease::NoSubnet)),
            };
        }
        self.request_granted(wanted, own.as_deref(), mine.as_ref())
    }

    fn request_granted(&self, wanted: Ipv4Addr, own: Option<&Lease>, mine: Option<&Reserved>) -> Outcome {
        if mine.is_none() && !self.place.net.as_ref().is_some_and(|net| net.covers(wanted)) {
            return self.refuse_stray(wanted, own);
        }
        self.acknowledge(wanted, own)
    }

    /// An address that does not belong here. DRP goes by the lease's Via, and so refuses clients whose relay or server changed
    /// its address: what counts is the network.
    fn refuse_stray(&self, wanted: Ipv4Addr, own: Option<&Lease>) -> Outcome {
        if Subnet::containing(self.view(), wanted.into()).is_some() {
            return self.refuse(NakReason::Moved, Vec::new());
        }
        self.refuse(NakReason::NothingCovers, own.map(|_| Save::NoLease(wanted)).into_iter().collect())
    }

    fn acknowledge(&self, address: Ipv4Addr, own: Option<&Lease>) -> Outcome {
        let terms = self.terms(address);
        let mut outcome = Outcome::silent(Reason::Acked(address));
        let choice = self.answer(&mut outcome, Message::Ack, &terms);
        outcome.remember.push(Remember::Forget(address));
        outcome.remember.extend(self.remember_loader(&choice));
        self.save_lease(&mut outcome, &terms, own);
        if boots(&choice) {
            self.save_machine(&mut outcome, address);
        }
        outcome
    }

    /// The lease as promised, and when it must be durable.
    fn save_lease(&self, outcome: &mut Outcome, terms: &Terms, own: Option<&Lease>) {
        let now = self.engine.now;
        let promised = now.plus_seconds(terms.duration);
        let lease = self.lease(terms, promised.plus_seconds(terms.duration / 2));
        let was = own.filter(|l| owns(l, &self.token) && l.state == "ACK");
        let same = was.is_some_and(|l| {
            (l.via, l.duration, l.next_server, l.skip_boot)
                == (lease.via, lease.duration, lease.next_server, lease.skip_boot)
        });
        let covered = was.is_some_and(|l| same && l.expire_time >= promised);
        outcome.durability = if covered { Durability::AfterAnswer } else { Durability::BeforeAnswer };
        // Firmware, loader, installer and system each ask within seconds: what is stored is good enough for all of them.
        let ample = promised.plus_seconds(terms.duration / 4);
        if covered && was.is_some_and(|l| l.expire_time >= ample && l.options == lease.options) {
            outcome.durability = Durability::Nothing;
            return;
        }
        outcome.saves.push(Save::Lease(Box::new(lease)));
    }

    fn lease(&self, terms: &Terms, expire_time: Time) -> Lease {
        let provided = self.packet.options.codes().into_iter().map(|code| {
            let value = self.packet.options.get(code).unwrap_or_default();
            DhcpOption { code: i64::from(code), value: to_text(code, &value) }
        });
        Lease {
            addr: terms.address.into(),
            next_server: terms.next_server.map(Into::into).unwrap_or_default(),
            via: self.place.via().map(Into::into).unwrap_or_default(),
            token: self.token.as_str().to_owned(),
            strategy: MAC.to_owned(),
            state: "ACK".to_owned(),
            duration: terms.duration,
            expire_time,
            options: terms.options.clone(),
            provided_options: provided.collect(),
            skip_boot: terms.skip_boot,
            ..Lease::default()
        }
    }

    /// A machine that boots from the network is where its lease is (network.md §1.11). Written with the ACK, not with the offer
    /// as DRP does: an offer may never be taken.
    fn save_machine(&self, outcome: &mut Outcome, address: Ipv4Addr) {
        let Some(machine) = self.machine(Some(address)) else { return };
        if machine.address.v4() == Some(address) {
            return;
        }
        outcome.notes.push(Note::MachineMoved {
            machine: machine.name.clone(),
            from: machine.address,
            to: address,
        });
        outcome.saves.push(Save::MachineAddress(machine.uuid.to_string(), address));
        outcome.durability = Durability::BeforeAnswer;
    }

    /// The client took another server's offer: ours is free again.
    fn lost_to(&self, server: Ipv4Addr) -> Outcome {
        let held = self.engine.memory.held_for(&self.token, self.engine.now);
        let remember = held.map(|(address, _)| Remember::Forget(address)).collect();
        Outcome { remember, ..Outcome::silent(Reason::OtherServer(server)) }
    }

    /// A client that renews talks to us directly, past its relay (RFC 2131 §4.3.2, RENEWING).
    fn find_renewing_client(&mut self) {
        let named =
            self.packet.options.has(code::REQUESTED_ADDRESS) || self.packet.options.has(code::SERVER_ID);
        if !named && lease_at(self.view(), self.packet.ciaddr).is_some_and(|l| owns(&l, &self.token)) {
            self.go_to_ciaddr();
        }
    }

    /// Who has an address and asks past its relay is on the network of that address, not on that of the interface.
    fn go_to_ciaddr(&mut self) {
        let ciaddr = self.packet.ciaddr;
        let here = self.place.net.as_ref().is_some_and(|net| net.covers(ciaddr));
        if here || !is_usable(ciaddr) || !self.packet.giaddr.is_unspecified() {
            return;
        }
        let lease = lease_at(self.view(), ciaddr).filter(|l| owns(l, &self.token));
        let via = lease.and_then(|l| l.via.v4()).unwrap_or(ciaddr);
        self.place = Place::find(self.view(), &[via, ciaddr]);
    }

    fn invalidate(&self, lease: Option<&Lease>) -> Vec<Save> {
        let until = self.engine.now.plus_seconds(INVALID_SECONDS);
        let address = lease.and_then(|l| l.addr.v4());
        address.map(|a| Save::Lease(Box::new(super::facts::invalid_lease(a, until)))).into_iter().collect()
    }

    pub(super) fn release(&self) -> Outcome {
        let address = self.packet.ciaddr;
        let Some(lease) = lease_at(self.view(), address) else {
            return Outcome::silent(Reason::UnknownLease);
        };
        if !owns(&lease, &self.token) {
            return Outcome::silent(Reason::Spoofed(address));
        }
        let ended = Lease { state: "EXPIRED".into(), expire_time: self.engine.now, ..(*lease).clone() };
        Outcome {
            saves: vec![Save::Lease(Box::new(ended))],
            durability: Durability::AfterAnswer,
            remember: vec![Remember::Forget(address), Remember::Ended(address)],
            ..Outcome::silent(Reason::Released(address))
        }
    }

    pub(super) fn decline(&self) -> Outcome {
        let Some(address) = self.wanted else { return Outcome::silent(Reason::UnknownLease) };
        let lease = lease_at(self.view(), address);
        let held = self.engine.memory.held(address, self.engine.now);
        let own = lease.as_ref().filter(|l| owns(l, &self.token));
        if own.is_none() && held.is_none_or(|h| h.token != self.token) {
            let known = lease.is_some() || held.is_some();
            return Outcome::silent(if known { Reason::Spoofed(address) } else { Reason::UnknownLease });
        }
        let until = self.engine.now.plus_seconds(INVALID_SECONDS);
        // An offer is known to the memory alone, which has forgotten it when this is written: a shun stands by itself.
        let save = match own {
            Some(_) => Save::Lease(Box::new(super::facts::invalid_lease(address, until))),
            None => Save::Shun(address, until),
        };
        Outcome {
            saves: vec![save],
            durability: Durability::AfterAnswer,
            remember: vec![Remember::Hold(address, Hold::shunned(until))],
            ..Outcome::silent(Reason::Declined(address))
        }
    }

    /// RFC 2131 §3.4: a client that has its address gets the options and no lease. DRP leaves these unanswered.
    pub(super) fn inform(mut self) -> Outcome {
        let class = self.packet.options.get(code::VENDOR_CLASS).unwrap_or_default();
        if class.starts_with(b"AAPLBSDPC") {
            return Outcome::silent(Reason::NotHandled);
        }
        self.go_to_ciaddr();
        if self.is_proxied() {
            return Outcome::silent(Reason::ProxySubnet);
        }
        if self.place.net.is_none() && self.reservation().is_none() {
            return Outcome::silent(Reason::NoLease(NoLease::NoSubnet));
        }
        let mut outcome = Outcome::silent(Reason::Informed);
        let terms = Terms { duration: 0, ..self.terms(Ipv4Addr::UNSPECIFIED) };
        // What was decided about netboot is in the answer.
        let _ = self.answer(&mut outcome, Message::Ack, &terms);
        outcome
    }

    /// BOOTP, for clients with a reservation only: IBM's POWER firmware (DRP release notes v4.7).
    pub(super) fn bootp(&self) -> Outcome {
        match self.reservation() {
            None => Outcome::silent(Reason::MissingType),
            Some(reserved) => self.bootp_reply(reserved.address),
        }
    }
}

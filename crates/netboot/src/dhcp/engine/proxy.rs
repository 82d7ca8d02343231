//! ProxyDHCP and the PXE boot server: boot information beside another DHCP server (network.md §1.14).

use std::net::Ipv4Addr;

use super::boot::Choice;
use super::facts::is_usable;
use super::reply::Terms;
use super::{Ask, NakReason, Outcome, Reason};
use crate::dhcp::client::Boot;
use crate::dhcp::option::code;
use crate::dhcp::packet::{Message, Packet};

impl Ask<'_> {
    /// An OFFER without an address. Always broadcast: the client has no address, and the one that it will get is not ours
    /// to know. Nothing is said to clients that do not netboot.
    pub(super) fn proxy_offer(&self) -> Outcome {
        if self.client.boot == Boot::Other {
            return Outcome::silent(Reason::NoPxe(super::Withheld::NoFirmware));
        }
        let mut outcome = Outcome::silent(Reason::ProxyOffered);
        match self.proxy_answer(&mut outcome, Message::Offer, Ipv4Addr::UNSPECIFIED) {
            Ok(choice) => {
                outcome.answers.iter_mut().for_each(|a| a.packet.flags |= Packet::BROADCAST);
                outcome.remember.extend(self.remember_loader(&Ok(choice)));
                outcome
            }
            Err(why) => Outcome { notes: outcome.notes, ..Outcome::silent(Reason::NoPxe(why)) },
        }
    }

    /// A request on port 4011.
    pub(super) fn binl(&self, message: Message) -> Outcome {
        let wanted = self.wanted.unwrap_or(Ipv4Addr::UNSPECIFIED);
        match message {
            Message::Discover => {}
            Message::Request if is_usable(wanted) => {}
            Message::Request => return self.refuse(NakReason::NotUnicast, Vec::new()),
            _ => return Outcome::silent(Reason::NotHandled),
        }
        if !self.place.net.as_ref().is_some_and(|net| net.subnet.enabled) {
            return Outcome::silent(Reason::NoInfo);
        }
        let mut outcome = Outcome::silent(Reason::BootServed);
        match self.proxy_answer(&mut outcome, Message::Ack, wanted) {
            Ok(choice) => {
                outcome.remember.extend(self.remember_loader(&Ok(choice)));
                outcome
            }
            Err(why) => Outcome { notes: outcome.notes, ..Outcome::silent(Reason::NoPxe(why)) },
        }
    }

    /// Boot options only: of the lease's options none is ours to give but 17, 43 and 60.
    fn proxy_answer(
        &self,
        outcome: &mut Outcome,
        kind: Message,
        address: Ipv4Addr,
    ) -> Result<Choice, super::Withheld> {
        let mut terms =
            Terms { duration: 0, address: Ipv4Addr::UNSPECIFIED, ..self.terms(Ipv4Addr::UNSPECIFIED) };
        let kept = [code::ROOT_PATH, code::VENDOR, code::VENDOR_CLASS, code::TFTP_SERVER, code::BOOT_FILE];
        terms.options.retain(|o| kept.iter().any(|k| i64::from(*k) == o.code));
        let choice = self.proxy_reply(outcome, kind, &terms)?;
        for answer in &mut outcome.answers {
            answer.packet.yiaddr = address;
            answer.packet.ciaddr = Ipv4Addr::UNSPECIFIED;
        }
        Ok(choice)
    }

    fn proxy_reply(
        &self,
        outcome: &mut Outcome,
        kind: Message,
        terms: &Terms,
    ) -> Result<Choice, super::Withheld> {
        let choice = self.answer(outcome, kind, terms)?;
        for answer in &mut outcome.answers {
            // A boot server says what it is, asked or not (PXE 2.1 §2.2.4).
            if self.client.boot == Boot::Pxe && !answer.packet.options.has(code::VENDOR_CLASS) {
                answer.packet.options.push(code::VENDOR_CLASS, *b"PXEClient");
            }
        }
        Ok(choice)
    }
}

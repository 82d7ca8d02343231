//! Building an answer and finding out where it goes (network.md §1.10, §1.13).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use gantry_model::parts::DhcpOption;

use super::boot::Choice;
use super::facts::{is_usable, merge_options};
use super::{
    Answer, Ask, Destination, Durability, NakReason, Note, Outcome, Reason, Save, Service, Withheld,
};
use crate::dhcp::client::Boot;
use crate::dhcp::option::{code, from_text, to_text};
use crate::dhcp::packet::{Message, Options, Packet};
use crate::dhcp::sub;

const DEFAULT_LEASE_SECONDS: i64 = 7200;

/// On what terms a client gets an address.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Unspecified: none (ProxyDHCP, INFORM).
    pub(super) address: Ipv4Addr,
    /// Seconds; 0 for no lease.
    pub(super) duration: i64,
    /// What the operator set; else the server.
    pub(super) next_server: Option<Ipv4Addr>,
    /// Templates by option, sorted.
    pub(super) options: Vec<DhcpOption>,
    /// Never netboot.
    pub(super) skip_boot: bool,
}

impl Ask<'_> {
    /// The terms for an address: those of the reservation at it, if it is this client's, else of the subnet.
    pub(super) fn terms(&self, address: Ipv4Addr) -> Terms {
        let reservation = self.reservation().filter(|r| address.is_unspecified() || r.address == address);
        let reservation = reservation.map(|r| r.object);
        let net = self.place.net.as_ref();
        let net = net.filter(|n| address.is_unspecified() || n.covers(address));
        let duration = match (&reservation, net) {
            (Some(r), _) if r.duration > 0 => r.duration,
            (Some(_), Some(net)) => net.subnet.reserved_lease_time,
            (None, Some(net)) => net.subnet.active_lease_time,
            (_, None) => DEFAULT_LEASE_SECONDS,
        };
        let reserved = reservation.as_ref().and_then(|r| r.next_server.v4());
        let next_server = reserved.filter(|a| is_usable(*a)).or(net.and_then(|n| n.subnet.next_server.v4()));
        Terms {
            address,
            duration: duration.clamp(1, i64::from(i32::MAX)),
            next_server: next_server.filter(|a| is_usable(*a)),
            options: merge_options(reservation.as_deref(), net),
            skip_boot: net.is_some_and(|n| n.subnet.unmanaged),
        }
    }

    /// Adds the answer for these terms to the outcome. Returns what was decided about netboot.
    pub(super) fn answer(
        &self,
        outcome: &mut Outcome,
        kind: Message,
        terms: &Terms,
    ) -> Result<Choice, Withheld> {
        let proxy = self.arrival.service == Service::Binl || (terms.duration == 0 && kind == Message::Offer);
        let lease_options = self.render(&terms.options, &mut outcome.notes);
        let choice = self.choose_boot(terms, lease_options.get(&code::BOOT_FILE), &mut outcome.notes);
        let mut packet = self.reply_header(terms);
        self.push_head(&mut packet.options, kind, terms);
        self.push_lease_options(&mut packet.options, &lease_options, boots(&choice));
        if let Ok(choice) = &choice {
            self.push_boot(&mut packet, choice, &lease_options);
        }
        self.set_server_name(&mut packet, terms, boots(&choice));
        if !proxy
            && !terms.skip_boot
            && self.packet.requests(code::IPXE)
            && !lease_options.contains_key(&code::IPXE)
        {
            packet.options.push(code::IPXE, sub::IPXE_NO_PROXY_DHCP);
        }
        self.push_tail(&mut packet.options, terms);
        outcome.answers.extend(self.address(&packet));
        choice
    }

    fn reply_header(&self, terms: &Terms) -> Packet {
        let asked = self.packet;
        let ciaddr = if terms.duration == 0 { asked.ciaddr } else { Ipv4Addr::UNSPECIFIED };
        Packet {
            op: 2,
            htype: asked.htype,
            xid: asked.xid,
            flags: asked.flags,
            ciaddr,
            giaddr: asked.giaddr,
            chaddr: asked.chaddr,
            yiaddr: terms.address,
            siaddr: self.next_server(terms),
            ..Packet::default()
        }
    }

    fn push_head(&self, options: &mut Options, kind: Message, terms: &Terms) {
        options.push(code::MESSAGE_TYPE, [kind as u8]);
        options.push(code::SERVER_ID, self.server_id(terms.address).octets());
        if terms.duration > 0 {
            options.push(code::LEASE_TIME, (terms.duration as u32).to_be_bytes());
        }
    }

    /// The lease's options in the order of the client's list; without a list all of them. Never what has its own place.
    fn push_lease_options(&self, options: &mut Options, lease: &BTreeMap<u8, Vec<u8>>, netboot: bool) {
        const PLACED: [u8; 10] = [
            code::LEASE_TIME,
            code::OVERLOAD,
            code::MESSAGE_TYPE,
            code::SERVER_ID,
            code::RENEWAL,
            code::REBINDING,
            code::TFTP_SERVER,
            code::BOOT_FILE,
            code::RELAY,
            code::PAD,
        ];
        let list = self.packet.options.get(code::PARAMETER_LIST);
        let order: Vec<u8> =
            list.map_or_else(|| lease.keys().copied().collect(), std::borrow::Cow::into_owned);
        let mut sent = [false; 256];
        for number in order {
            let skip = PLACED.contains(&number) || (number == code::ROOT_PATH && !netboot);
            let again = std::mem::replace(&mut sent[usize::from(number)], true);
            if let Some(value) = lease.get(&number).filter(|_| !skip && !again) {
                options.push(number, value.clone());
            }
        }
    }

    /// What firmware needs to believe a boot file. Option 60 tells it that we are the boot server; with option 43 it asks no
    /// one else (PXE 2.1 §2.2; seen with EDK2 and Intel ROMs). iPXE needs neither and gets neither.
    fn push_boot(&self, packet: &mut Packet, choice: &Choice, lease: &BTreeMap<u8, Vec<u8>>) {
        let asked = self.packet;
        match self.client.boot {
            Boot::Http => {
                if !lease.contains_key(&code::VENDOR_CLASS) {
                    packet.options.push(code::VENDOR_CLASS, *b"HTTPClient");
                }
                packet.options.push(code::BOOT_FILE, choice.file.as_bytes());
            }
            // A name that the header has no room for; 127 bytes and the NUL.
            _ if choice.file.len() > 127 => packet.options.push(code::BOOT_FILE, choice.file.as_bytes()),
            _ => packet.file = choice.file.clone().into_bytes(),
        }
        let pxe = self.client.boot == Boot::Pxe && self.client.ipxe.is_none();
        if pxe && asked.wants(code::VENDOR_CLASS) && asked.wants(code::VENDOR) {
            for (number, value) in
                [(code::VENDOR_CLASS, &b"PXEClient"[..]), (code::VENDOR, &sub::PXE_BOOT_DIRECTLY)]
            {
                if !lease.contains_key(&number) {
                    packet.options.push(number, value);
                }
            }
        }
        if let Some(uuid) = asked.options.get(code::CLIENT_UUID).filter(|_| asked.wants(code::CLIENT_UUID)) {
            packet.options.push(code::CLIENT_UUID, uuid.into_owned());
        }
    }

    fn set_server_name(&self, packet: &mut Packet, terms: &Terms, netboot: bool) {
        let http = self.client.boot == Boot::Http;
        if netboot && !http && self.packet.requests(code::TFTP_SERVER) {
            packet.sname = self.next_server(terms).to_string().into_bytes();
        }
    }

    fn push_tail(&self, options: &mut Options, terms: &Terms) {
        if let Some(relay) = self.packet.options.get(code::RELAY) {
            options.push(code::RELAY, relay.into_owned());
        }
        if terms.duration > 0 {
            let duration = terms.duration as u64;
            options.push(code::RENEWAL, ((duration / 2) as u32).to_be_bytes());
            options.push(code::REBINDING, ((duration * 3 / 4) as u32).to_be_bytes());
        }
    }

    /// Renders and packs the options; what fails is left out and noted.
    fn render(&self, options: &[DhcpOption], notes: &mut Vec<Note>) -> BTreeMap<u8, Vec<u8>> {
        let mut rendered = BTreeMap::new();
        let mut sent: Option<BTreeMap<u8, String>> = None;
        for option in options {
            // Pad and end are no options (RFC 2132, section 3).
            let sendable = u8::try_from(option.code).ok().filter(|number| !matches!(*number, 0 | code::END));
            let Some(number) = sendable else { continue };
            let mut text = Ok(option.value.clone());
            if option.value.contains("{{") {
                let sent = sent.get_or_insert_with(|| self.sent_options());
                text = self.engine.host.render(&option.value, sent);
            }
            let packed = text.and_then(|text| from_text(number, &text).map_err(|e| e.to_string()));
            match packed {
                Ok(value) => drop(rendered.insert(number, value)),
                Err(what) => notes.push(Note::BadOption(number, what)),
            }
        }
        rendered
    }

    fn sent_options(&self) -> BTreeMap<u8, String> {
        let options = &self.packet.options;
        options.codes().into_iter().map(|c| (c, to_text(c, &options.get(c).unwrap_or_default()))).collect()
    }

    /// Header and options as BOOTP knows them: no message type, no lease.
    pub(super) fn bootp_reply(&self, address: Ipv4Addr) -> Outcome {
        let mut outcome = Outcome::silent(Reason::Bootp(address));
        let terms = self.terms(address);
        let options = self.render(&terms.options, &mut outcome.notes);
        let mut packet = self.reply_header(&terms);
        packet.sname = packet.siaddr.to_string().into_bytes();
        packet.file = options.get(&code::BOOT_FILE).cloned().unwrap_or_default();
        for number in [code::SUBNET_MASK, code::ROUTER, 6, code::HOST_NAME] {
            if let Some(value) = options.get(&number) {
                packet.options.push(number, value.clone());
            }
        }
        outcome.answers.extend(self.address(&packet));
        outcome
    }

    /// A NAK: type and server, nothing else.
    pub(super) fn refuse(&self, why: NakReason, saves: Vec<Save>) -> Outcome {
        let asked = self.packet;
        let mut packet = Packet {
            op: 2,
            htype: asked.htype,
            xid: asked.xid,
            flags: asked.flags,
            giaddr: asked.giaddr,
            chaddr: asked.chaddr,
            ..Packet::default()
        };
        packet.options.push(code::MESSAGE_TYPE, [Message::Nak as u8]);
        packet
            .options
            .push(code::SERVER_ID, self.server_id(self.wanted.unwrap_or(Ipv4Addr::UNSPECIFIED)).octets());
        if let Some(relay) = asked.options.get(code::RELAY) {
            packet.options.push(code::RELAY, relay.into_owned());
        }
        let durability = if saves.is_empty() { Durability::Nothing } else { Durability::AfterAnswer };
        let answers = self.address(&packet);
        Outcome { answers, saves, durability, ..Outcome::silent(Reason::Refused(why)) }
    }

    /// Our address as seen from `address`: that of the interface in the same network, else its first one.
    pub(super) fn respond_from(&self, address: Ipv4Addr) -> Ipv4Addr {
        let address = if address.is_unspecified() { self.place.via().unwrap_or(address) } else { address };
        if let Some(forced) = self.engine.settings.force_address {
            return forced;
        }
        let own = &self.arrival.interface.addresses;
        let found = own.iter().find(|net| same_network(net, address)).or(own.first()).map(|(a, _)| *a);
        found.or(self.engine.settings.fallback_address).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Is the address unset, or in one of the interface's networks?
    fn is_on_link(&self, address: Ipv4Addr) -> bool {
        let own = &self.arrival.interface.addresses;
        address.is_unspecified() || own.is_empty() || own.iter().any(|net| same_network(net, address))
    }

    fn server_id(&self, address: Ipv4Addr) -> Ipv4Addr {
        self.server_override.unwrap_or_else(|| self.respond_from(address))
    }

    /// Does this address, in option 54, mean us?
    pub(super) fn is_ours(&self, server: Ipv4Addr) -> bool {
        self.is_own_interface(server)
            || Some(server) == self.server_override
            || Some(server) == self.engine.settings.force_address
            || (self.arrival.interface.addresses.is_empty()
                && Some(server) == self.engine.settings.fallback_address)
    }

    pub(super) fn next_server(&self, terms: &Terms) -> Ipv4Addr {
        terms.next_server.unwrap_or_else(|| self.respond_from(terms.address))
    }

    /// Where the answer goes, in the order of RFC 2131 §4.1.
    fn address(&self, packet: &Packet) -> Vec<Answer> {
        let asked = self.packet;
        let source = self.arrival.source;
        let nak = packet.message() == Some(Message::Nak);
        let to = if self.arrival.service == Service::Binl {
            vec![Destination::Unicast(source)]
        } else if !asked.giaddr.is_unspecified() {
            relay_ports(source.port())
                .map(|p| Destination::Unicast(SocketAddrV4::new(asked.giaddr, p)))
                .collect()
        } else if !asked.ciaddr.is_unspecified() && !nak {
            vec![Destination::Unicast(SocketAddrV4::new(asked.ciaddr, source.port()))]
        } else if nak && !self.is_on_link(asked.ciaddr) {
            // RFC 2131 wants a NAK broadcast, which a client behind a router would never hear.
            vec![Destination::Unicast(SocketAddrV4::new(asked.ciaddr, source.port()))]
        } else if nak || packet.flags & Packet::BROADCAST != 0 || packet.yiaddr.is_unspecified() {
            vec![Destination::Broadcast(source.port())]
        } else if !source.ip().is_unspecified() {
            vec![Destination::Unicast(source)]
        } else {
            vec![Destination::Hardware(asked.chaddr, SocketAddrV4::new(packet.yiaddr, source.port()))]
        };
        let from =
            self.respond_from(if packet.yiaddr.is_unspecified() { asked.giaddr } else { packet.yiaddr });
        let max = asked.max_reply();
        to.into_iter().map(|to| Answer { packet: packet.clone(), max, from, to }).collect()
    }
}

fn same_network((own, prefix): &(Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(*prefix).min(32)).unwrap_or(0);
    (u32::from(*own) ^ u32::from(address)) & mask == 0
}

/// May the client boot from the network? For one that is no firmware we have no file, but it may have one in mind, as U-Boot does:
/// it is told the server and the root path (network.md §1.11).
pub(super) fn boots(choice: &Result<Choice, Withheld>) -> bool {
    matches!(choice, Ok(_) | Err(Withheld::NoFirmware))
}

/// Relays listen on port 67 (RFC 2131 §4.1). Some tools ask as a relay from a port of their own and listen there, as DRP answers:
/// those get a copy.
fn relay_ports(source: u16) -> impl Iterator<Item = u16> {
    [67].into_iter().chain(Some(source).filter(|p| !matches!(p, 0 | 67 | 68)))
}

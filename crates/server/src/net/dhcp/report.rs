//! What is counted, logged and noted of each packet, and the words for it.

use std::net::Ipv4Addr;

use gantry_model::Kind;
use gantry_netboot::dhcp::client::Boot;
use gantry_netboot::dhcp::engine::{Answer, Note as Remark, Outcome, Reason, Service as Port};
use gantry_netboot::dhcp::packet::Error as Malformed;
use gantry_netboot::dhcp::{Client, Message};
use serde_json::{Map, Value, json};

use super::{Asked, Dhcp, words};
use crate::trace::Note;

impl Dhcp {
    /// Counts, logs and notes what was decided.
    pub(super) fn report(&self, asked: &Asked, outcome: &Outcome) {
        let (service, reason) = (word(asked.arrival.service), &outcome.reason);
        self.reports.counters.dhcp_result(service, reason.label());
        let client = asked.packet.chaddr;
        let asks = asked.packet.message().map_or("BOOTP", name);
        let says = outcome.answers.first().map(describe);
        tracing::debug!(service, %client, xid = format_args!("{:x}", asked.packet.xid), asks, ?reason, ?says, "dhcp");
        if let Reason::CompetingServer(server) = reason {
            tracing::warn!(%server, "another DHCP server answers here");
        }
        for remark in &outcome.notes {
            match remark {
                Remark::Withheld(why) => tracing::debug!(%client, ?why, "netboot not offered"),
                remark => tracing::warn!(%client, ?remark, "dhcp"),
            }
        }
        let text = match says {
            Some(says) => format!("{asks} -> {says}"),
            None => format!("{asks} -> {}", words::of(reason)),
        };
        self.reports.trace.note(Note {
            machine: self.machine(&client.to_string()),
            mac: Some(client.to_string()),
            address: address_of(outcome).map(Into::into),
            power_on: asked.power_on,
            repeats: is_renewal(asked, outcome),
            kind: "dhcp",
            text,
            data: details(asked, outcome),
        });
    }

    fn machine(&self, mac: &str) -> Option<String> {
        let view = self.durable.view();
        view.find(Kind::Machine, "HardwareAddrs", mac).next().map(|key| key.as_str().to_owned())
    }
}

pub(super) fn word(port: Port) -> &'static str {
    match port {
        Port::Dhcp => "dhcp",
        Port::Binl => "binl",
    }
}

pub(super) fn malformed(error: &Malformed) -> &'static str {
    match error {
        Malformed::TooSmall(_) => "TooSmall",
        Malformed::InvalidHlen(_) => "InvalidHlen",
        Malformed::Truncated { .. } => "Truncated",
    }
}

fn name(message: Message) -> &'static str {
    match message {
        Message::Discover => "DISCOVER",
        Message::Offer => "OFFER",
        Message::Request => "REQUEST",
        Message::Decline => "DECLINE",
        Message::Ack => "ACK",
        Message::Nak => "NAK",
        Message::Release => "RELEASE",
        Message::Inform => "INFORM",
    }
}

fn describe(answer: &Answer) -> String {
    let grant = answer.grant();
    let mut text = answer.packet.message().map_or("BOOTP reply", name).to_owned();
    if !grant.address.is_unspecified() {
        text += &format!(" {}", grant.address);
    }
    if let Some(file) = grant.file {
        text += &format!(" file {file}");
    }
    text
}

/// An operating system keeps the address that it has: it will say so again until it is shut down.
fn is_renewal(asked: &Asked, outcome: &Outcome) -> bool {
    matches!(outcome.reason, Reason::Acked(address) if address == asked.packet.ciaddr)
        && Client::of(&asked.packet).boot == Boot::Other
}

/// The address that the client has for certain: an offer teaches nothing.
fn address_of(outcome: &Outcome) -> Option<Ipv4Addr> {
    match outcome.reason {
        Reason::Acked(address) | Reason::Bootp(address) => Some(address),
        _ => None,
    }
}

fn details(asked: &Asked, outcome: &Outcome) -> Map<String, Value> {
    let client = Client::of(&asked.packet);
    let mut data = Map::new();
    data.insert("Xid".into(), format!("{:08x}", asked.packet.xid).into());
    data.insert("Result".into(), outcome.reason.label().into());
    data.insert("Interface".into(), asked.arrival.interface.name.clone().into());
    data.insert("Ms".into(), json!(asked.since.elapsed().as_micros() as f64 / 1000.0));
    if client.boot != Boot::Other {
        data.insert("Arch".into(), client.arch.row().map_or(json!(client.arch.0), |row| row.name.into()));
        data.insert("Ipxe".into(), client.ipxe.is_some().into());
    }
    data
}

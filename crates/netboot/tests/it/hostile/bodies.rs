//! What must hold for any bytes, each as a function that panics when it does not. The property tests beside this file run them
//! on a bounded number of inputs, the cargo-fuzz targets in `fuzz/` for as long as they are let.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, LazyLock};

use gantry_model::{Kind, Machine, Now, Time, Tx, View};
use gantry_netboot::dhcp::engine::{
    Arrival, Effect, Engine, Host, Interface, MAX_HOLDS, Memory, Outcome, Service, Settings,
};
use gantry_netboot::dhcp::packet::Hardware;
use gantry_netboot::dhcp::{Client, Message, Packet as Dhcp, option, sub, text};
use gantry_netboot::tftp::{Input, Limits, Packet as Tftp, Session};
use serde_json::json;

/// A datagram on port 67: decoding ends, and what decodes prints, encodes within the limit and decodes again.
pub(super) fn dhcp(bytes: &[u8]) {
    let Ok(packet) = Dhcp::decode(bytes) else { return };
    let _ = Client::of(&packet);
    for (code, value) in packet.options.iter() {
        let text = option::to_text(code, value);
        let _ = option::from_text(code, &text);
        let _ = sub::read(value).count();
    }
    let seen =
        text::Seen { interface: "eth0".into(), peer: "0.0.0.0:68".parse().expect("a constant"), port: 67 };
    let _ = text::parse(&text::print(&seen, &packet));
    let encoded = packet.encode(packet.max_reply());
    assert!(encoded.bytes.len() <= 1472, "{} bytes", encoded.bytes.len());
    Dhcp::decode(&encoded.bytes).expect("we can read what we write");
}

/// Datagrams of a TFTP client, each with its length in a byte before it; an empty one is a timeout. A session waits or ends,
/// sends at most a window at a time, and never reads past the content by more than a block.
pub(super) fn tftp(bytes: &[u8]) {
    const CONTENT: u64 = 5000;
    let Some((len, rest)) = bytes.split_first() else { return };
    let (first, mut rest) = rest.split_at(rest.len().min(usize::from(*len)));
    let Ok(Tftp::Read(request)) = Tftp::decode(first) else { return };
    let _ = gantry_netboot::path::clean(&request.file);
    let mut read = |offset: u64, buffer: &mut [u8]| {
        assert!(offset <= CONTENT, "read at {offset}, the content ends at {CONTENT}");
        let len = (CONTENT.saturating_sub(offset) as usize).min(buffer.len());
        buffer[..len].fill(7);
        Ok(len)
    };
    let limits = Limits::default();
    let (mut session, mut step) = Session::start(&request, Some(CONTENT), limits, &mut read);
    while step.ended.is_none() {
        let Some((len, tail)) = rest.split_first() else { return };
        let (datagram, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        rest = tail;
        let input = if datagram.is_empty() { Input::Timeout } else { Input::Packet(datagram) };
        step = session.drive(input, &mut read);
        assert!(step.send.len() <= usize::from(limits.window), "{} datagrams at once", step.send.len());
        assert!(session.bytes() <= CONTENT, "{} bytes acknowledged of {CONTENT}", session.bytes());
    }
}

/// The world of [`engine`]: a subnet with a small pool, a reservation, a machine and a subnet that only proxies.
static WORLD: LazyLock<View> = LazyLock::new(|| {
    let mut tx = Tx::new(View::empty(), Now::new(Time::from_unix(1_800_000_000), [7; 32]));
    let objects = [
        (Kind::BootEnv, json!({"Name": "local"})),
        (Kind::BootEnv, json!({"Name": "discovery", "OnlyUnknown": true, "OS": {"Name": "discovery"}})),
        (Kind::Stage, json!({"Name": "none"})),
        (
            Kind::Subnet,
            json!({"Name": "lab", "Enabled": true, "Subnet": "10.0.0.0/24", "ActiveStart": "10.0.0.10", "ActiveEnd": "10.0.0.12",
                "ActiveLeaseTime": 60, "ReservedLeaseTime": 7200, "Strategy": "MAC", "Options": [{"Code": 3, "Value": "10.0.0.254"}]}),
        ),
        (
            Kind::Subnet,
            json!({"Name": "theirs", "Enabled": true, "Proxy": true, "Subnet": "10.1.0.0/24", "ActiveStart": "10.1.0.10",
                "ActiveEnd": "10.1.0.12", "ActiveLeaseTime": 60, "ReservedLeaseTime": 7200, "Strategy": "MAC"}),
        ),
        (Kind::Reservation, json!({"Addr": "10.0.0.50", "Token": "52:54:00:00:00:01", "Strategy": "MAC"})),
        (Kind::Machine, json!({"Name": "m2", "HardwareAddrs": ["52:54:00:00:00:02"], "BootEnv": "local"})),
    ];
    for (kind, object) in objects {
        tx.create(kind, object).expect("the world is valid");
    }
    View::empty().apply(tx.edits(), 1).0
});

struct Nothing;

impl Host for Nothing {
    fn render(&self, template: &str, _: &BTreeMap<u8, String>) -> Result<String, String> {
        Ok(template.to_owned())
    }
    fn param(&self, _: &View, _: Option<&Machine>, _: &str) -> Option<serde_json::Value> {
        None
    }
}

/// Bytes as a story of clients: who says what with which addresses and options, and how time passes.
struct Story<'b>(std::slice::Iter<'b, u8>);

impl Story<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.0.next().copied()
    }

    /// An address of the subnet, or none.
    fn address(&mut self) -> Option<Ipv4Addr> {
        Some(match self.byte()? {
            0..=99 => Ipv4Addr::UNSPECIFIED,
            n @ 100..=199 => Ipv4Addr::new(10, 0, 0, n % 60),
            n => Ipv4Addr::new(10, n % 3, n % 2, n),
        })
    }

    /// The next packet, and seconds to wait before it.
    fn packet(&mut self) -> Option<(Arrival, Dhcp, i64)> {
        let (kind, who, wait) = (self.byte()?, self.byte()?, self.byte()?);
        let mut packet = Dhcp { xid: u32::from(who / 16), ..Dhcp::default() };
        packet.chaddr = Hardware::new(&[0x52, 0x54, 0, 0, 0, who % 6]);
        packet.ciaddr = self.address()?;
        packet.giaddr = self.address()?;
        if kind % 16 != 15 {
            packet.options.push(53, [kind % 16]);
        }
        let wanted = self.address()?;
        if !wanted.is_unspecified() {
            packet.options.push(50, wanted.octets());
        }
        for _ in 0..self.byte()? % 5 {
            let (code, len) = (self.byte()?, self.byte()? % 24);
            let value: Vec<u8> = self.0.by_ref().take(usize::from(len)).copied().collect();
            packet.options.push(code, value);
        }
        let address = Ipv4Addr::new(10, kind / 128, 0, 1);
        let interface = Arc::new(Interface { index: 2, name: "eth0".into(), addresses: vec![(address, 24)] });
        let service = if kind & 64 == 0 { Service::Dhcp } else { Service::Binl };
        let arrival = Arrival { interface, source: SocketAddrV4::new(packet.ciaddr, 68), service };
        Some((arrival, packet, i64::from(wait % 32)))
    }
}

/// A story of clients, played against the engine. Nothing panics, answers fit into a packet, memory stays bounded, and an address
/// that was promised to a client is promised to no other before its time, unless the client gave it back.
pub(super) fn engine(bytes: &[u8]) {
    let (mut story, mut view, mut memory, mut now) =
        (Story(bytes.iter()), WORLD.clone(), Memory::new(), 1_800_000_000);
    let (settings, mut promised) = (Settings::default(), HashMap::new());
    for _ in 0..200 {
        let Some((arrival, packet, wait)) = story.packet() else { return };
        now += wait;
        let time = Time::from_unix(now);
        let mut todo: Vec<Outcome> = Vec::new();
        let judge = |view: &View, memory: &Memory, act: &dyn Fn(&Engine<'_>) -> Outcome| {
            act(&Engine { view, memory, settings: &settings, host: &Nothing, now: time })
        };
        todo.push(judge(&view, &memory, &|engine| engine.packet(&arrival, &packet)));
        let gives_back = matches!(packet.message(), Some(Message::Release | Message::Decline));
        while let Some(outcome) = todo.pop() {
            let mut tx = Tx::new(view.clone(), Now::new(time, [7; 32]));
            outcome
                .saves
                .iter()
                .for_each(|save| save.write(&mut tx).expect("what the engine saves is valid"));
            view = view.apply(tx.edits(), view.revision() + 1).0;
            memory.apply(outcome.remember, time);
            assert!(memory.len() <= MAX_HOLDS);
            for answer in &outcome.answers {
                assert!(answer.packet.encode(answer.max).bytes.len() <= 1472);
                if answer.packet.message() == Some(Message::Ack) && arrival.service == Service::Dhcp {
                    promise(&mut promised, &answer.packet, now);
                }
            }
            for effect in outcome.effects {
                todo.push(match effect {
                    Effect::Probe(address) => {
                        judge(&view, &memory, &|engine| engine.probed(address, address.octets()[3] == 11))
                    }
                    Effect::Again(pending) => {
                        judge(&view, &memory, &|engine| engine.packet(&pending.arrival, &pending.packet))
                    }
                });
            }
        }
        if gives_back {
            promised.retain(|_, (owner, _)| *owner != packet.chaddr);
        }
    }
}

fn promise(promised: &mut HashMap<Ipv4Addr, (Hardware, i64)>, ack: &Dhcp, now: i64) {
    let seconds = ack.options.get(51).and_then(|v| Some(u32::from_be_bytes(v.as_ref().try_into().ok()?)));
    let (Some(seconds), false) = (seconds, ack.yiaddr.is_unspecified()) else { return };
    if let Some((owner, until)) = promised.insert(ack.yiaddr, (ack.chaddr, now + i64::from(seconds))) {
        assert!(
            owner == ack.chaddr || until < now,
            "{} given to {}, promised to {owner}",
            ack.yiaddr,
            ack.chaddr
        );
    }
}

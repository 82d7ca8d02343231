//! A server without sockets: View, memory, clock, and a notation for packets.
//!
//! A line is a client's message: `dis mac=1 pxe arch=7 prl=1,3,67 50=10.0.0.5`. Words: the type; `mac=` last byte; `pxe`, `http`
//! (option 60); `ipxe`, `ipxe-efi` (able ones), `ipxe-bare` (user class only); `ci=`, `gi=`, `from=` addresses; `eth=` interface;
//! `binl`; `bcast`; `xid=`; `N=text` any option; `prl=` option 55. The answer is a line as well: type, destination, fields, then
//! options behind the bar; `-` and the reason when silent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use gantry_model::{Kind, Lease, Machine, Now, Time, Tx, View};
use gantry_netboot::dhcp::engine::{
    Arrival, Durability, Effect, Engine, Host, Interface, Memory, Note, Outcome, Reason, Service, Settings,
};
use gantry_netboot::dhcp::option::{from_text, to_text};
use gantry_netboot::dhcp::packet::Packet;
use gantry_netboot::dhcp::{Message, text};
use serde_json::{Value, json};

/// Parameters by name; templates render as `<template>` with the client's user class put in.
#[derive(Default)]
pub(super) struct Content {
    pub(super) params: RefCell<BTreeMap<String, Value>>,
}

impl Host for Content {
    fn render(&self, template: &str, options: &BTreeMap<u8, String>) -> Result<String, String> {
        if template.contains("broken") {
            return Err("template: broken".into());
        }
        let class = options.get(&77).cloned().unwrap_or_default();
        Ok(template.replace("{{index . 77}}", &class))
    }

    fn param(&self, _view: &View, _machine: Option<&Machine>, name: &str) -> Option<Value> {
        self.params.borrow().get(name).cloned()
    }
}

pub(super) struct World {
    pub(super) view: View,
    pub(super) memory: Memory,
    pub(super) settings: Settings,
    pub(super) content: Content,
    pub(super) now: i64,
    /// Addresses at which someone answers to a probe.
    pub(super) in_use: Vec<Ipv4Addr>,
    /// Leave probes unanswered until [`World::probed`].
    pub(super) hold_probes: bool,
    interfaces: BTreeMap<String, Arc<Interface>>,
    pub(super) last: Vec<Outcome>,
}

impl World {
    /// One interface `eth0`, 10.0.0.1/24, and no objects but the built-in ones.
    pub(super) fn empty() -> Self {
        let mut world = Self {
            view: View::empty(),
            memory: Memory::new(),
            settings: Settings::default(),
            content: Content::default(),
            now: 1_800_000_000,
            in_use: Vec::new(),
            hold_probes: false,
            interfaces: BTreeMap::new(),
            last: Vec::new(),
        };
        world.interface("eth0", "10.0.0.1", 24);
        world
    }

    /// Subnet `lab` 10.0.0.0/24 with a pool of .10 to .12, a gateway, DNS and domain; leases of 60 s; boot environments
    /// `local` and `discovery` (for unknown machines), `sledgehammer` with a kernel.
    pub(super) fn lab() -> Self {
        let mut world = Self::empty();
        world.create(
            Kind::BootEnv,
            &json!({"Name": "discovery", "OnlyUnknown": true, "OS": {"Name": "discovery"}}),
        );
        world.create(Kind::BootEnv, &json!({"Name": "local"}));
        world.create(Kind::Stage, &json!({"Name": "none"}));
        world.create(
            Kind::BootEnv,
            &json!({"Name": "sledgehammer", "Kernel": "vmlinuz", "OS": {"Name": "sledgehammer"}, "Templates": [
                {"Name": "ipxe", "Path": "x", "Contents": "x"}]}),
        );
        world.subnet(&json!({}));
        world
    }

    pub(super) fn subnet(&mut self, with: &Value) {
        let mut subnet = json!({
            "Name": "lab", "Enabled": true, "Subnet": "10.0.0.0/24", "ActiveStart": "10.0.0.10", "ActiveEnd": "10.0.0.12",
            "ActiveLeaseTime": 60, "ReservedLeaseTime": 7200, "Strategy": "MAC",
            "Options": [{"Code": 3, "Value": "10.0.0.254"}, {"Code": 6, "Value": "10.0.0.1"}, {"Code": 15, "Value": "lab.test"}],
        });
        merge(&mut subnet, with);
        let name = subnet["Name"].as_str().unwrap().to_owned();
        if self.view.record(Kind::Subnet, &name).is_some() {
            self.write(|tx| tx.delete(Kind::Subnet, &name).map(drop).unwrap());
        }
        self.create(Kind::Subnet, &subnet);
    }

    pub(super) fn reserve(&mut self, address: &str, mac: u8, with: &Value) {
        let token = format!("52:54:00:00:00:{mac:02x}");
        let mut reservation = json!({"Addr": address, "Token": token, "Strategy": "MAC"});
        merge(&mut reservation, with);
        self.create(Kind::Reservation, &reservation);
    }

    pub(super) fn machine(&mut self, name: &str, mac: u8, boot_env: &str) {
        let hardware = format!("52:54:00:00:00:{mac:02x}");
        self.create(Kind::Machine, &json!({"Name": name, "HardwareAddrs": [hardware], "BootEnv": boot_env}));
    }

    pub(super) fn interface(&mut self, name: &str, address: &str, prefix: u8) {
        let index = self.interfaces.len() as u32 + 2;
        let addresses = vec![(address.parse().unwrap(), prefix)];
        self.interfaces.insert(name.into(), Arc::new(Interface { index, name: name.into(), addresses }));
    }

    pub(super) fn create(&mut self, kind: Kind, value: &Value) {
        self.write(|tx| drop(tx.create(kind, value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"))));
    }

    fn write(&mut self, change: impl FnOnce(&mut Tx)) {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&self.view.revision().to_be_bytes());
        let now = Now::new(Time::from_unix(self.now), seed);
        let mut tx = Tx::new(self.view.clone(), now);
        change(&mut tx);
        let edits = tx.edits().to_vec();
        self.view = self.view.apply(&edits, self.view.revision() + 1).0;
    }

    pub(super) fn time(&self) -> Time {
        Time::from_unix(self.now)
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            view: &self.view,
            memory: &self.memory,
            settings: &self.settings,
            host: &self.content,
            now: self.time(),
        }
    }

    /// Plays one line; answers of all that follows from it.
    pub(super) fn say(&mut self, line: &str) -> String {
        let (arrival, packet) = self.parse(line);
        self.last.clear();
        self.judge(&arrival, &packet);
        self.last.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    /// Plays one packet in the reference's form and answers in it.
    pub(super) fn replay(&mut self, packet: &str) -> String {
        let (seen, packet) = text::parse(packet).unwrap();
        let service = if seen.port == 4011 { Service::Binl } else { Service::Dhcp };
        let arrival =
            Arrival { interface: self.interfaces[&seen.interface].clone(), source: seen.peer, service };
        self.last.clear();
        self.judge(&arrival, &packet);
        let mut printed = String::new();
        for answer in self.last.iter().flat_map(|o| &o.answers) {
            let seen =
                text::Seen { interface: seen.interface.clone(), peer: answer.to.shown(), port: seen.port };
            printed += &text::print(&seen, &answer.packet);
        }
        printed
    }

    pub(super) fn judge(&mut self, arrival: &Arrival, packet: &Packet) {
        let outcome = self.engine().packet(arrival, packet);
        self.carry_out(outcome);
    }

    fn carry_out(&mut self, outcome: Outcome) {
        self.write(|tx| outcome.saves.iter().for_each(|save| save.write(tx).unwrap()));
        let now = self.time();
        self.memory.apply(outcome.remember.clone(), now);
        let effects = outcome.effects.clone();
        self.last.push(outcome);
        for effect in effects {
            match effect {
                Effect::Probe(_) if self.hold_probes => {}
                Effect::Probe(address) => self.probed(address),
                Effect::Again(pending) => self.judge(&pending.arrival, &pending.packet),
            }
        }
    }

    pub(super) fn probed(&mut self, address: Ipv4Addr) {
        let in_use = self.in_use.contains(&address);
        let outcome = self.engine().probed(address, in_use);
        self.carry_out(outcome);
    }

    pub(super) fn lease(&self, address: &str) -> Option<Arc<Lease>> {
        let address: Ipv4Addr = address.parse().unwrap();
        self.view.object::<Lease>(&format!("{:08X}", u32::from(address)))
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        self.last.iter().flat_map(|o| o.notes.clone()).collect()
    }

    pub(super) fn arrival_and_packet(&self, line: &str) -> (Arrival, Packet) {
        self.parse(line)
    }

    /// Judges and remembers, nothing else; the reason's label.
    pub(super) fn decide_only(&mut self, arrival: &Arrival, packet: &Packet) -> &'static str {
        let outcome = self.engine().packet(arrival, packet);
        let now = self.time();
        self.memory.apply(outcome.remember, now);
        outcome.reason.label()
    }

    pub(super) fn delete_subnet(&mut self, name: &str) {
        self.write(|tx| drop(tx.delete(Kind::Subnet, name).unwrap()));
    }

    fn by_name(&self, name: &str) -> Arc<Machine> {
        let key = self.view.lookup(Kind::Machine, &format!("Name:{name}")).unwrap();
        self.view.object::<Machine>(key.as_str()).unwrap()
    }

    pub(super) fn address_of(&self, name: &str) -> String {
        self.by_name(name).address.to_string()
    }

    pub(super) fn place(&mut self, name: &str, address: &str) {
        let address = address.parse::<Ipv4Addr>().unwrap().into();
        let machine = Machine { address, ..(*self.by_name(name)).clone() };
        self.write(|tx| drop(tx.save(&machine).unwrap()));
    }

    fn parse(&self, line: &str) -> (Arrival, Packet) {
        let mut packet = Packet { xid: 0x1234, ..Packet::default() };
        let mut mac = 1;
        let mut source: SocketAddrV4 = "0.0.0.0:68".parse().unwrap();
        let mut service = Service::Dhcp;
        let mut interface = "eth0";
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(("mac", v)) => mac = v.parse().unwrap(),
                Some(("ci", v)) => {
                    packet.ciaddr = v.parse().unwrap();
                    source.set_ip(packet.ciaddr);
                }
                Some(("gi", v)) => {
                    packet.giaddr = v.parse().unwrap();
                    source = SocketAddrV4::new(packet.giaddr, 67);
                }
                Some(("from", v)) => source = v.parse().unwrap(),
                Some(("eth", v)) => interface = v,
                Some(("xid", v)) => packet.xid = v.parse().unwrap(),
                Some(("arch", v)) => packet.options.push(93, from_text(93, v).unwrap()),
                Some(("prl", v)) => packet.options.push(55, from_text(55, v).unwrap()),
                Some((code, v)) => {
                    let code = code.parse().unwrap_or_else(|_| panic!("{word}"));
                    packet.options.push(code, from_text(code, v).unwrap());
                }
                None => word_of(word, &mut packet, &mut service),
            }
        }
        packet.chaddr = format!("52:54:00:00:00:{mac:02x}").parse().unwrap();
        (Arrival { interface: self.interfaces[interface].clone(), source, service }, packet)
    }
}

fn word_of(word: &str, packet: &mut Packet, service: &mut Service) {
    match word {
        "bootp" => {}
        "binl" => *service = Service::Binl,
        "bcast" => packet.flags = Packet::BROADCAST,
        "pxe" => packet.options.push(60, "PXEClient:Arch:00000:UNDI:002001"),
        "http" => packet.options.push(60, "HTTPClient:Arch:00016:UNDI:003000"),
        "ipxe" | "ipxe-efi" | "ipxe-bare" => {
            packet.options.push(60, "PXEClient:Arch:00000:UNDI:002001");
            packet.options.push(77, "iPXE");
            match word {
                "ipxe" => packet.options.push(175, [19, 1, 1, 24, 1, 1, 33, 1, 1]),
                "ipxe-efi" => packet.options.push(175, [19, 1, 1, 36, 1, 1]),
                _ => {}
            }
        }
        kind => packet.options.push(53, from_text(53, kind).unwrap()),
    }
}

fn show(outcome: &Outcome) -> String {
    if outcome.answers.is_empty() {
        return format!("- {:?}", outcome.reason);
    }
    let mut lines = Vec::new();
    for answer in &outcome.answers {
        let packet = &answer.packet;
        let kind = packet.message().map_or("bootp", Message::word);
        let mut line = format!("{kind} to {}", answer.to.shown());
        for (name, value) in [("yi", packet.yiaddr), ("si", packet.siaddr)] {
            if !value.is_unspecified() {
                write!(line, " {name}={value}").unwrap();
            }
        }
        for (name, value) in [("sname", &packet.sname), ("file", &packet.file)] {
            if !value.is_empty() {
                write!(line, " {name}={}", String::from_utf8_lossy(value)).unwrap();
            }
        }
        if packet.flags != 0 {
            line += " bcast";
        }
        line += " |";
        for (code, value) in packet.options.iter().filter(|(c, _)| *c != 53) {
            write!(line, " {code}={}", to_text(code, value)).unwrap();
        }
        if let Reason::Refused(why) = outcome.reason {
            write!(line, " ({why:?})").unwrap();
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Plays a dialogue: lines of clients with the answers below them, indented by `>`. `+N` lets N seconds pass.
pub(super) fn check(world: &mut World, dialogue: &str) {
    let mut said = Vec::new();
    for line in dialogue.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('>')) {
        said.push(line.to_owned());
        match line.strip_prefix('+') {
            Some(seconds) => world.now += seconds.parse::<i64>().unwrap(),
            None => said.extend(world.say(line).lines().map(|l| format!("> {l}"))),
        }
    }
    let want: Vec<_> = dialogue.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(said.join("\n"), want.join("\n"));
}

pub(super) fn durability(world: &World) -> Vec<Durability> {
    world.last.iter().map(|o| o.durability).collect()
}

fn merge(into: &mut Value, with: &Value) {
    for (name, value) in with.as_object().unwrap() {
        into[name] = value.clone();
    }
}
